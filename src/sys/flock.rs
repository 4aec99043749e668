//! `flock(2)`: an advisory lock that dies with its holder.
#![allow(unsafe_code)]

use std::os::fd::{AsRawFd, BorrowedFd};

use nix::libc;

use super::{Errno, retry};

/// Takes the exclusive lock of an open file without waiting; closing the file gives it back.
///
/// # Errors
///
/// - `EWOULDBLOCK`: somebody else holds it: the file is in use.
/// - `ENOLCK`, `EOPNOTSUPP`: no locks on this filesystem: treat the file as in use.
pub fn try_lock(fd: BorrowedFd<'_>) -> Result<(), Errno> {
    retry(|| {
        // SAFETY: plain integers; the descriptor is borrowed for the whole call.
        let r = unsafe { libc::flock(fd.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) };
        Errno::result(r).map(drop)
    })
}
