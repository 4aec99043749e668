//! Record locks that belong to an open file (`fcntl(2)`, `F_OFD_SETLK`).

use std::os::fd::BorrowedFd;

use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;

use super::{Errno, offset};

/// Takes the exclusive lock of the byte at `at` without waiting. It ends with the last descriptor of this
/// opening of the file. The byte need not exist.
///
/// # Errors
///
/// - `EAGAIN`, `EACCES`: somebody else has it.
/// - `ENOLCK`, `EINVAL`: no such locks on this filesystem.
pub fn try_lock_byte(file: BorrowedFd<'_>, at: u64) -> Result<(), Errno> {
    let write = libc::c_short::try_from(libc::F_WRLCK).unwrap_or_default();
    let start = libc::c_short::try_from(libc::SEEK_SET).unwrap_or_default();
    let lock = libc::flock { l_type: write, l_whence: start, l_start: offset(at)?, l_len: 1, l_pid: 0 };
    fcntl(file, FcntlArg::F_OFD_SETLK(&lock)).map(drop)
}
