//! `pread(2)` and `pwrite(2)`: bytes through user space, at given offsets.

use std::os::fd::BorrowedFd;

use super::{Errno, offset, retry};

/// Reads up to `buf.len()` bytes of `fd` at `off`, counted from the start of the file.
///
/// Returns the bytes read, possibly fewer; `0`: the file ends at or before `off`.
///
/// # Errors
///
/// - `EISDIR`, `EBADF`, `ESPIPE`: not a readable regular file. Fail.
/// - `EIO`, `ESTALE`: the storage failed. Fail, keeping the count.
pub fn pread(fd: BorrowedFd<'_>, buf: &mut [u8], off: u64) -> Result<usize, Errno> {
    let at = offset(off)?;
    retry(|| nix::sys::uio::pread(fd, buf, at))
}

/// Writes up to `buf.len()` bytes to `fd` at `off`, counted from the start of the file.
///
/// Returns the bytes written, possibly fewer.
///
/// # Errors
///
/// - `ENOSPC`, `EDQUOT`, `EFBIG`: no room. Fail, keeping the count.
/// - `EIO`, `EROFS`, `EPERM`: the storage failed or refuses. Fail, keeping the count.
pub fn pwrite(fd: BorrowedFd<'_>, buf: &[u8], off: u64) -> Result<usize, Errno> {
    let at = offset(off)?;
    retry(|| nix::sys::uio::pwrite(fd, buf, at))
}
