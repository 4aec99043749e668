//! Calls that make, replace or remove one name in a held directory: `mkdirat(2)`, `symlinkat(2)`,
//! `readlinkat(2)`, `linkat(2)`, `mknodat(2)`, `unlinkat(2)`, `renameat2(2)`.
//!
//! None of them has a `RESOLVE_` flag: they are safe because the parent is held and the name is one
//! component.

use std::ffi::{CStr, OsString};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::ffi::OsStringExt;

use nix::fcntl::{AtFlags, RenameFlags};
use nix::sys::stat::{Mode, SFlag};
use nix::unistd::UnlinkatFlags;

use super::{Errno, retry};

/// Makes the directory `name` with permission bits `mode` (less the umask).
///
/// # Errors
///
/// - `EEXIST`: something has that name. Look again.
/// - `ENOSPC`, `EDQUOT`, `EROFS`, `EACCES`: report the entry; nothing below it can be made.
pub fn mkdirat(dir: BorrowedFd<'_>, name: &CStr, mode: u32) -> Result<(), Errno> {
    retry(|| nix::sys::stat::mkdirat(dir, name, Mode::from_bits_truncate(mode)))
}

/// Makes the symbolic link `name` with the text `target`, which is never looked at.
///
/// # Errors
///
/// As [`mkdirat`]; `ENAMETOOLONG` when the text exceeds what the filesystem stores.
pub fn symlinkat(target: &CStr, dir: BorrowedFd<'_>, name: &CStr) -> Result<(), Errno> {
    retry(|| nix::unistd::symlinkat(target, dir, name))
}

/// Reads the text of the symbolic link `name`; with an empty name, of the link that `dir` holds.
///
/// # Errors
///
/// - `EINVAL`: not a symbolic link (any more). A changed type.
pub fn readlinkat(dir: BorrowedFd<'_>, name: &CStr) -> Result<Vec<u8>, Errno> {
    retry(|| nix::fcntl::readlinkat(dir, name)).map(OsString::into_vec)
}

/// Makes `new_name` in `new_dir` another name of `name` in `dir`; a symbolic link is linked itself.
///
/// # Errors
///
/// - `EEXIST`: `new_name` is taken. Link to a temp name and rename.
/// - `EXDEV`: another filesystem. `EMLINK`: too many links. `EPERM`: not allowed here. Copy instead.
pub fn linkat(
    dir: BorrowedFd<'_>,
    name: &CStr,
    new_dir: BorrowedFd<'_>,
    new_name: &CStr,
) -> Result<(), Errno> {
    retry(|| nix::unistd::linkat(dir, name, new_dir, new_name, AtFlags::empty()))
}

/// Gives the open, unnamed file `fd` (from `O_TMPFILE`) the name `new_name` in `new_dir`.
///
/// `linkat(2)` with `AT_EMPTY_PATH`, which asks for `CAP_DAC_READ_SEARCH` before Linux 6.10.
///
/// # Errors
///
/// - `EEXIST`: `new_name` is taken.
/// - `ENOENT`: not permitted here; use [`link_proc_fd`].
pub fn link_fd(fd: BorrowedFd<'_>, new_dir: BorrowedFd<'_>, new_name: &CStr) -> Result<(), Errno> {
    retry(|| nix::unistd::linkat(fd, c"", new_dir, new_name, AtFlags::AT_EMPTY_PATH))
}

/// As [`link_fd`], through `/proc/self/fd`, which needs no privilege but a mounted `/proc`.
///
/// # Errors
///
/// - `EEXIST`: `new_name` is taken.
/// - `ENOENT`, `EXDEV`: no `/proc` here. Use a named temp file from the start.
pub fn link_proc_fd(fd: BorrowedFd<'_>, new_dir: BorrowedFd<'_>, new_name: &CStr) -> Result<(), Errno> {
    let (proc, number) = (super::proc_fd::dir()?, fd.as_raw_fd().to_string());
    retry(|| nix::unistd::linkat(proc, number.as_str(), new_dir, new_name, AtFlags::AT_SYMLINK_FOLLOW))
}

/// Makes the FIFO, socket or device `name`: `mode` is the file type with the permission bits.
///
/// # Errors
///
/// - `EPERM`: devices need privilege. Report the entry.
pub fn mknodat(dir: BorrowedFd<'_>, name: &CStr, mode: u32, rdev: u64) -> Result<(), Errno> {
    let kind = SFlag::from_bits_truncate(mode & SFlag::S_IFMT.bits());
    retry(|| nix::sys::stat::mknodat(dir, name, kind, Mode::from_bits_truncate(mode), rdev))
}

/// Removes the name of anything but a directory.
///
/// # Errors
///
/// - `ENOENT`: already gone: done. `EISDIR`: a directory now: changed type. Others: report.
pub fn unlinkat(dir: BorrowedFd<'_>, name: &CStr) -> Result<(), Errno> {
    retry(|| nix::unistd::unlinkat(dir, name, UnlinkatFlags::NoRemoveDir))
}

/// Removes an empty directory.
///
/// # Errors
///
/// - `ENOTEMPTY`: something is kept in it: report "cannot delete non-empty directory".
/// - `EBUSY`: a mount point. Report.
pub fn rmdirat(dir: BorrowedFd<'_>, name: &CStr) -> Result<(), Errno> {
    retry(|| nix::unistd::unlinkat(dir, name, UnlinkatFlags::RemoveDir))
}

/// Renames within or between held directories, replacing what has the new name.
///
/// # Errors
///
/// - `EXDEV`: another filesystem (a temp dir elsewhere). Copy beside the target instead.
/// - `EISDIR`, `ENOTEMPTY`, `ENOTDIR`: the target changed its type. Report the entry.
pub fn renameat(
    dir: BorrowedFd<'_>,
    name: &CStr,
    new_dir: BorrowedFd<'_>,
    new_name: &CStr,
) -> Result<(), Errno> {
    retry(|| nix::fcntl::renameat(dir, name, new_dir, new_name))
}

/// As [`renameat`], but fails with `EEXIST` instead of replacing.
///
/// # Errors
///
/// - `EEXIST`: the new name is taken. `EINVAL`: this filesystem cannot; link and unlink instead.
pub fn rename_noreplace(
    dir: BorrowedFd<'_>,
    name: &CStr,
    new_dir: BorrowedFd<'_>,
    new_name: &CStr,
) -> Result<(), Errno> {
    retry(|| nix::fcntl::renameat2(dir, name, new_dir, new_name, RenameFlags::RENAME_NOREPLACE))
}
