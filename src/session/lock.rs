//! `--lock`: one run at a time to a destination.
//!
//! The lock is `flock(2)`'s on the destination's own descriptor, which is held for the whole run: it needs no
//! file, is gone with the process however that ends, and keeps out only those who ask for it too.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Ended;
use super::destination::Destination;
use super::receiver::Receiver;
use crate::event::{Note, Problem, Severity};

/// How often a waiting run looks again. Only another holder's end changes anything.
const LOOK: Duration = Duration::from_millis(100);

/// What a run does about other runs to the same destination.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum Lock {
    /// Nothing.
    #[default]
    Off,
    /// Ends if one has the lock.
    Fail,
    /// Waits for its end.
    Wait,
}

/// Why a run does not have the lock.
pub(super) enum Missed {
    /// Somebody else has it, or it cannot be had here.
    Problem(Problem),
    /// The run is to end before that.
    Ended(Ended),
}

impl Receiver<'_> {
    /// Takes the lock of the destination, typed `dest`; it is held as long as the destination is. `tell`
    /// gets what a run says that has to wait.
    pub(super) fn lock(
        &self,
        dest: &OsStr,
        destination: &Destination,
        mut tell: impl FnMut(Note),
    ) -> Result<(), Missed> {
        let typed = dest.as_bytes();
        // A dry run that would have to make the destination meets nobody there.
        let Some(root) = destination.root.as_ref().filter(|_| self.options.lock != Lock::Off) else {
            return Ok(());
        };
        let failed = |e| Missed::Problem(Problem::os("lock", typed, e).severity(Severity::FileIo));
        let dir = root.get().map_err(failed)?;
        let mut told = false;
        while !dir.try_lock().map_err(failed)? {
            if self.options.lock == Lock::Fail {
                let problem = Problem::text("lock", typed, "another run has this destination");
                let problem = problem.severity(Severity::Locked).hint("--lock=wait waits for its end");
                return Err(Missed::Problem(problem));
            }
            if !std::mem::replace(&mut told, true) {
                tell(Note::WaitingForLock(typed.to_vec()));
            }
            if self.meter.stopped() {
                return Err(Missed::Ended(Ended::Stopped));
            }
            if self.pacer.late() {
                return Err(Missed::Ended(Ended::Deadline));
            }
            std::thread::sleep(LOOK);
        }
        Ok(())
    }
}
