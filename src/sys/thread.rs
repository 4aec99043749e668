//! pthread_create(3): threads that may not be had.
//!
//! `std::thread::spawn` and `Scope::spawn` panic where no thread can be started. Limits on processes
//! (`RLIMIT_NPROC`, the pids controller of cgroups) make that an ordinary thing to happen.

use std::thread::{Builder, Scope, ScopedJoinHandle};

use super::Errno;

/// Starts a thread that runs `work` and ends within `scope`.
///
/// # Errors
///
/// `EAGAIN`: a limit on threads or memory is reached. `work` is dropped, and the caller does without, or gives up.
pub fn start<'scope, T: Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    work: impl FnOnce() -> T + Send + 'scope,
) -> Result<ScopedJoinHandle<'scope, T>, Errno> {
    Builder::new().spawn_scoped(scope, work).map_err(errno)
}

/// Starts a thread that runs `work` until it or the process ends.
///
/// # Errors
///
/// As of [`start`].
pub fn start_apart(work: impl FnOnce() + Send + 'static) -> Result<(), Errno> {
    Builder::new().spawn(work).map(drop).map_err(errno)
}

fn errno(e: std::io::Error) -> Errno {
    e.raw_os_error().map_or(Errno::EAGAIN, Errno::from_raw)
}
