//! `ftruncate(2)`, `fallocate(2)`, `fsync(2)` and their relatives: a file's size, space and safety.

use std::os::fd::BorrowedFd;

use nix::fcntl::FallocateFlags;

use super::{Errno, offset, retry};

/// Sets the size of an open file to `len` bytes; what is added is a hole.
///
/// # Errors
///
/// - `EFBIG`, `ENOSPC`, `EPERM`, `EIO`: fail the entry. `EINVAL`: not a regular file: a changed type.
pub fn ftruncate(fd: BorrowedFd<'_>, len: u64) -> Result<(), Errno> {
    let len = offset(len)?;
    retry(|| nix::unistd::ftruncate(fd, len))
}

/// Makes bytes `[off, off + len)` a hole; they read as zeros and the file's size stays.
///
/// `fallocate(2)` with `FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE`. `len` must not be 0.
///
/// # Errors
///
/// - `EOPNOTSUPP`, `ENOSYS`: this filesystem cannot. Write zeros instead.
/// - `EPERM`: append-only or immutable. Fail the entry. `ENOSPC`, `EIO`: fail the entry.
pub fn punch_hole(fd: BorrowedFd<'_>, off: u64, len: u64) -> Result<(), Errno> {
    let (off, len) = (offset(off)?, offset(len)?);
    let flags = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
    retry(|| nix::fcntl::fallocate(fd, flags, off, len))
}

/// Reserves space for `[0, len)` without changing the file's size (`--preallocate`).
///
/// `fallocate(2)` with `FALLOC_FL_KEEP_SIZE`. `len` must not be 0.
///
/// # Errors
///
/// - `EOPNOTSUPP`, `ENOSYS`: this filesystem cannot. Go on without.
/// - `ENOSPC`, `EDQUOT`: there is no room for this file. Fail the entry before any data is moved.
pub fn reserve(fd: BorrowedFd<'_>, len: u64) -> Result<(), Errno> {
    let len = offset(len)?;
    retry(|| nix::fcntl::fallocate(fd, FallocateFlags::FALLOC_FL_KEEP_SIZE, 0, len))
}

/// Waits until data and attributes of an open file or directory are on storage.
///
/// # Errors
///
/// - `EIO`, `ENOSPC`, `EDQUOT`: some earlier write was lost, and this is told only once. Never ask again
///   and believe it: redo the data, or fail the entry.
/// - `EINVAL`: this file cannot be synced. Report it once.
pub fn fsync(fd: BorrowedFd<'_>) -> Result<(), Errno> {
    retry(|| nix::unistd::fsync(fd))
}

/// As [`fsync`], without attributes that are not needed to read the data back.
///
/// # Errors
///
/// As [`fsync`].
pub fn fdatasync(fd: BorrowedFd<'_>) -> Result<(), Errno> {
    retry(|| nix::unistd::fdatasync(fd))
}

/// Waits until everything written so far to the filesystem that holds `fd` is on storage.
///
/// Since Linux 5.8 it also tells of write errors after `fd` was opened: open it before the first write.
///
/// # Errors
///
/// As [`fsync`], for every file written since.
pub fn syncfs(fd: BorrowedFd<'_>) -> Result<(), Errno> {
    retry(|| nix::unistd::syncfs(fd))
}
