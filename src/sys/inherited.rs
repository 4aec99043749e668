//! Descriptors that a process begins with: `close_range(2)`, and taking over those it was given.
#![allow(unsafe_code)]

use std::os::fd::{FromRawFd, OwnedFd, RawFd};

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::libc;

use super::Errno;

/// Closes every descriptor from `first` on (`close_range(2)`).
///
/// Call it before anything else is opened: what it closes must belong to nobody.
///
/// # Errors
///
/// `ENOSYS`: before Linux 5.9.
pub fn close_from(first: u32) -> Result<(), Errno> {
    // SAFETY: plain integers. The caller is at its start: no owner of a closed descriptor is left behind.
    Errno::result(unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, 0) }).map(drop)
}

/// Takes over the descriptor `fd` that the parent process left open, and keeps it from further children.
///
/// # Errors
///
/// `EBADF`: there is none of that number.
pub fn take(fd: RawFd) -> Result<OwnedFd, Errno> {
    // SAFETY: asked for its flags only; an unused number is answered with EBADF.
    let borrowed = unsafe { std::os::fd::BorrowedFd::borrow_raw(fd) };
    fcntl(borrowed, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
    // SAFETY: it is open, and by the contract of passing descriptors nobody else in this process has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
