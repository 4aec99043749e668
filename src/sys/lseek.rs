//! `lseek(2)`: positions, and the map of data and holes.

use std::os::fd::BorrowedFd;

use nix::unistd::Whence;

use super::{Errno, offset};

/// Sets the position of an open file to `off` bytes from its start.
///
/// # Errors
///
/// - `ESPIPE`: a pipe or socket, which has no position. Fail.
pub fn seek_to(fd: BorrowedFd<'_>, off: u64) -> Result<(), Errno> {
    nix::unistd::lseek(fd, offset(off)?, Whence::SeekSet).map(drop)
}

/// The offset of the first byte at or after `off` that is not in a hole. Moves the file's position.
///
/// # Errors
///
/// - `ENXIO`: no data at or after `off`: a hole to the end, or the file has become shorter than `off`.
/// - `EINVAL`, `EOPNOTSUPP`: this filesystem has no such map. Take everything for data.
pub fn seek_data(fd: BorrowedFd<'_>, off: u64) -> Result<u64, Errno> {
    seek(fd, off, Whence::SeekData)
}

/// The offset of the first hole at or after `off`; the end of the file counts as one. Moves the
/// file's position.
///
/// # Errors
///
/// - `ENXIO`: the file has become shorter than `off`, even if it had data there a moment ago.
/// - `EINVAL`, `EOPNOTSUPP`: as for [`seek_data`].
pub fn seek_hole(fd: BorrowedFd<'_>, off: u64) -> Result<u64, Errno> {
    seek(fd, off, Whence::SeekHole)
}

/// The end of an open block device, which says 0 for its size. Moves the position.
///
/// # Errors
///
/// `ESPIPE`, `EINVAL`: a device without an end.
pub fn end(fd: BorrowedFd<'_>) -> Result<u64, Errno> {
    seek(fd, 0, Whence::SeekEnd)
}

fn seek(fd: BorrowedFd<'_>, off: u64, whence: Whence) -> Result<u64, Errno> {
    nix::unistd::lseek(fd, offset(off)?, whence).map(|at| u64::try_from(at).unwrap_or(off))
}
