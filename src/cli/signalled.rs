//! `Signalled`: which signals have asked this run to end.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGXFSZ};
use signal_hook::flag as signal;

use super::exit::Status;
use crate::event::Meter;

/// Whether a signal has come, as opposed to another reason to stop, and with which status it has the run end.
#[derive(Clone, Debug, Default)]
pub struct Signalled {
    any: Arc<AtomicBool>,
    user: Arc<AtomicBool>,
}

impl Signalled {
    /// From now on these signals ask the run of `meter` to end: SIGINT, SIGTERM, SIGHUP, and, as with rsync,
    /// SIGUSR1.
    ///
    /// # Errors
    ///
    /// The kernel refuses a handler.
    pub fn watch(meter: &Meter) -> io::Result<Signalled> {
        let signalled = Signalled::default();
        for number in [SIGINT, SIGTERM, SIGHUP, SIGUSR1] {
            // The first one asks the run to end, and the second ends it: nothing unfinished has a name then either.
            signal::register_conditional_default(number, Arc::clone(&signalled.any))?;
            signal::register(number, Arc::clone(&meter.stop))?;
            signal::register(number, Arc::clone(&signalled.any))?;
        }
        signal::register(SIGUSR1, Arc::clone(&signalled.user))?;
        // A file that may not grow that far (`ulimit -f`) is an error of that file: EFBIG from the call.
        signal::register(SIGXFSZ, Arc::<AtomicBool>::default())?;
        Ok(signalled)
    }

    /// Whether one has come.
    #[must_use]
    pub fn asked(&self) -> bool {
        self.any.load(Ordering::Relaxed)
    }

    /// What `status` becomes where it says no more than that a signal has come.
    #[must_use]
    pub fn name(&self, status: Status) -> Status {
        match status {
            Status::Signal if self.user.load(Ordering::Relaxed) => Status::UserSignal,
            status => status,
        }
    }
}
