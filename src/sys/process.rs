//! Limits and switches of a whole process: `setrlimit(2)`, `alarm(2)`, `prctl(2)`.

use nix::sys::prctl;
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use super::Errno;

pub use nix::sys::resource::Resource as Limit;

/// Lowers a limit to `most`, for good; one that is lower already stays.
///
/// # Errors
///
/// `EINVAL`: the kernel has no such limit.
pub fn lower_limit(which: Resource, most: u64) -> Result<(), Errno> {
    let (soft, hard) = getrlimit(which)?;
    setrlimit(which, soft.min(most), hard.min(most))
}

/// Raises a soft limit as far as `most` and the hard limit allow, then makes it the hard one.
///
/// # Errors
///
/// `EINVAL`: the kernel has no such limit.
pub fn fix_limit(which: Resource, most: u64) -> Result<(), Errno> {
    let (_, hard) = getrlimit(which)?;
    setrlimit(which, hard.min(most), hard.min(most))
}

/// Ends this process by `SIGALRM` after so many seconds; 0 calls an earlier request off.
pub fn alarm(seconds: u32) {
    if seconds == 0 {
        nix::unistd::alarm::cancel();
    } else {
        nix::unistd::alarm::set(seconds);
    }
}

/// No program run from here on gains rights by running (`PR_SET_NO_NEW_PRIVS`).
///
/// # Errors
///
/// `EINVAL`: before Linux 3.5.
pub fn set_no_new_privs() -> Result<(), Errno> {
    prctl::set_no_new_privs()
}

/// No other process of the same user may look into this one, and no core is dumped (`PR_SET_DUMPABLE`).
///
/// # Errors
///
/// None on Linux.
pub fn set_undumpable() -> Result<(), Errno> {
    prctl::set_dumpable(false)
}

/// Leaves the terminal and the starting process behind (`daemon(3)`): the caller goes on in a new process
/// of a new session, with `/` as its working directory and `/dev/null` as its standard streams.
///
/// Only with a single thread: others do not come along.
///
/// # Errors
///
/// `EAGAIN`, `ENOMEM`: no further process.
pub fn detach() -> Result<(), Errno> {
    nix::unistd::daemon(false, false)
}
