//! `fstat(2)` and `fstatat(2)`: attributes of a descriptor, or of one name in a held directory.

use std::ffi::CStr;
use std::os::fd::BorrowedFd;

use nix::fcntl::AtFlags;
use nix::libc;
use nix::unistd::AccessFlags;

use super::{Errno, retry};

/// The kernel's own record: sizes in bytes, times in seconds and nanoseconds.
pub type Stat = libc::stat;

/// Reads the attributes of an open descriptor.
///
/// # Errors
///
/// `EBADF` is a sluice bug; `EIO`, `ENOMEM` and `EOVERFLOW` fail the entry.
pub fn fstat(fd: BorrowedFd<'_>) -> Result<Stat, Errno> {
    nix::sys::stat::fstat(fd)
}

/// Reads the attributes of `name` in `dir`; a symbolic link is described itself, never followed.
///
/// `fstatat(2)` with `AT_SYMLINK_NOFOLLOW`.
///
/// # Errors
///
/// - `ENOENT`: no such entry (any more). Absent, or vanished.
/// - `EACCES`: `dir` may not be searched. Report the entry.
pub fn lstatat(dir: BorrowedFd<'_>, name: &CStr) -> Result<Stat, Errno> {
    retry(|| nix::sys::stat::fstatat(dir, name, AtFlags::AT_SYMLINK_NOFOLLOW))
}

/// Reads the attributes of what `path` names below `dir`, following symbolic links.
///
/// `fstatat(2)` without flags: the one call here that leaves the tree, for `--copy-links` and its
/// relatives, where the operator asked for exactly that.
///
/// # Errors
///
/// - `ENOENT`: a dangling link. `ELOOP`: too many links. Both: report the entry.
pub fn stat_following(dir: BorrowedFd<'_>, path: &CStr) -> Result<Stat, Errno> {
    retry(|| nix::sys::stat::fstatat(dir, path, AtFlags::empty()))
}

/// Whether this process may read what `name` in `dir` is; `follow`: what it leads to, where it is a symbolic link.
///
/// `faccessat2(2)` with `AT_EACCESS`, so that the rights that count are those of the next `openat(2)`.
///
/// # Errors
///
/// None: what cannot be asked about, because it is gone or `dir` may not be searched, cannot be read either.
pub fn is_readable(dir: BorrowedFd<'_>, name: &CStr, follow: bool) -> bool {
    let follow = if follow { AtFlags::empty() } else { AtFlags::AT_SYMLINK_NOFOLLOW };
    nix::unistd::faccessat(dir, name, AccessFlags::R_OK, follow | AtFlags::AT_EACCESS).is_ok()
}

/// The number that `statfs(2)` gives for a descriptor's filesystem type (`f_type`).
///
/// # Errors
///
/// `ENOSYS` on filesystems without statistics: treat as unknown.
pub fn fstatfs_type(fd: BorrowedFd<'_>) -> Result<i64, Errno> {
    retry(|| nix::sys::statfs::fstatfs(fd)).map(|s| s.filesystem_type().0)
}

/// The number that tells a descriptor's filesystem from others (`f_fsid`), the same after the next mount.
///
/// `fstatvfs(3)`. Filesystems without one say 0.
///
/// # Errors
///
/// `ENOSYS` on filesystems without statistics: treat as unknown.
pub fn fstatfs_id(fd: BorrowedFd<'_>) -> Result<u64, Errno> {
    retry(|| nix::sys::statvfs::fstatvfs(fd)).map(|s| s.filesystem_id())
}
