//! `--retry`: a connection that broke is made again, and the run begun anew with what is left to do.
//!
//! Only the connection is a reason: a peer that refuses, or breaks the protocol, does so again. Nothing has
//! to be asked again either: a password that was typed is kept, and ssh is told not to ask for one.

use std::cell::RefCell;
use std::ffi::OsStr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::remote::{self, Peer};
use super::report::Reporter;
use super::resolve::Run;
use super::signalled::Signalled;
use super::{exit::Status, password};
use crate::auth::Password;
use crate::event::Meter;
use crate::session::lock::Lock;

/// The pause before the second attempt; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// The longest pause. A guess: a machine that starts again is back within a few of them.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// How often a pause looks whether it is to end.
const NAP: Duration = Duration::from_millis(100);

/// Runs a transfer with another machine to its end, again after each of `run.retry` breaks of the connection.
/// `signalled` knows the signals that ask the run to end.
#[must_use]
pub fn run(
    run: &Run,
    peer: &Peer,
    meter: &Arc<Meter>,
    signalled: &Signalled,
    reporter: &Reporter,
    began: Instant,
) -> ExitCode {
    let (mut run, mut peer) = (run.clone(), peer.clone());
    let memory = Memory::default();
    let mut pause = FIRST_PAUSE;
    for attempt in 1.. {
        let lost = match remote::run(&run, &peer, meter, reporter, &memory, began) {
            Ok(code) => return code,
            Err(lost) => lost,
        };
        if signalled.asked() {
            // The remote shell may have had the signal too, and be gone for that reason.
            return reporter.give_up(Status::Signal.code());
        }
        if lost.code == Status::Signal.code() {
            // No signal: it was the deadline that ended it.
            reporter.late();
            return reporter.give_up(Status::Timeout.code());
        }
        reporter.broken(&lost.lines);
        if !lost.again || attempt > run.retry {
            return reporter.give_up(lost.code);
        }
        reporter.broken(&[format!("trying again in {} s ({attempt} of {})", pause.as_secs(), run.retry)]);
        meter.begin_again();
        let until = Instant::now() + pause;
        while Instant::now() < until {
            if signalled.asked() {
                return reporter.give_up(Status::Signal.code());
            }
            if run.options.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                return ExitCode::from(Status::Timeout.code());
            }
            std::thread::sleep(NAP);
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
        again(&mut run, &mut peer);
    }
    ExitCode::from(Status::Unsupported.code())
}

/// Has a further attempt ask nobody, and wait for the one before it, which the other side may not have
/// missed yet.
fn again(run: &mut Run, peer: &mut Peer) {
    let options = &mut run.options;
    for lock in options.far.iter_mut().map(|far| &mut far.lock).chain([&mut options.lock]) {
        if *lock == Lock::Fail {
            *lock = Lock::Wait;
        }
    }
    if let Some(shell) = peer.way.shell_mut() {
        const BATCH: &[u8] = b" -oBatchMode=yes";
        let program = shell.command.split(|&b| b == b' ').next().unwrap_or_default();
        if program.rsplit(|&b| b == b'/').next() == Some(b"ssh") && !shell.command.ends_with(BATCH) {
            shell.command.extend_from_slice(BATCH);
        }
    }
}

/// The password of a run, once it has been found: standard input and a terminal give it once.
#[derive(Default)]
pub struct Memory(RefCell<Option<Password>>);

impl Memory {
    /// The password for a daemon's module; see [`password::find`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn password(&self, file: Option<&OsStr>) -> Result<Password, (u8, String)> {
        if let Some(known) = self.0.borrow().as_ref() {
            return Ok(known.clone());
        }
        let found = password::find(file, &|name| std::env::var_os(name), "Password: ")?;
        *self.0.borrow_mut() = Some(found.clone());
        Ok(found)
    }
}
