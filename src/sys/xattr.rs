//! `listxattr(2)`, `getxattr(2)`, `setxattr(2)`, `removexattr(2)` and their relatives: extended attributes
//! of what is held.
//!
//! A real descriptor takes the calls that begin with `f`. One from `O_PATH` does not; it is reached through
//! the held `/proc/self/fd` by the calls that end in `at` (Linux 6.13), which need no path and so work in
//! any root; older kernels are given a path below `/proc/self/fd` (`On::older`).
#![allow(unsafe_code)]

use std::ffi::{CStr, CString};
use std::os::fd::{AsRawFd, BorrowedFd};

use nix::libc;

use super::{Errno, proc_fd, retry};

/// The longest list of names in bytes (`XATTR_LIST_MAX`).
pub const LIST_MAX: usize = 65_536;

/// The longest value in bytes (`XATTR_SIZE_MAX`).
pub const VALUE_MAX: usize = 65_536;

// The same on every architecture that Linux has added calls to since 5.1; not in `libc` yet.
const SYS_SETXATTRAT: libc::c_long = 463;
const SYS_GETXATTRAT: libc::c_long = 464;
const SYS_LISTXATTRAT: libc::c_long = 465;
const SYS_REMOVEXATTRAT: libc::c_long = 466;

/// `struct xattr_args` of `linux/xattr.h`.
#[repr(C)]
struct Args {
    value: u64,
    size: u32,
    flags: u32,
}

/// Which inode is meant.
#[derive(Clone, Copy, Debug)]
pub enum On<'a> {
    /// That of a descriptor that was opened for data, or of a directory.
    Fd(BorrowedFd<'a>),
    /// That of a descriptor from `O_PATH`, a symbolic link itself included.
    PathFd(BorrowedFd<'a>),
    /// What has this single name in a held directory; a symbolic link is meant itself.
    Name(BorrowedFd<'a>, &'a CStr),
    /// What this single name in a held directory leads to, wherever that is.
    Following(BorrowedFd<'a>, &'a CStr),
}

impl On<'_> {
    /// The path below `/proc/self/fd` by which kernels before 6.13 reach the inode, and whether a link at its
    /// end is to be followed; `None` where a descriptor does.
    fn older(self) -> Option<(CString, bool)> {
        let fd = |fd: BorrowedFd<'_>| format!("/proc/self/fd/{}", fd.as_raw_fd()).into_bytes();
        let below = |dir, name: &CStr| [&fd(dir)[..], b"/", name.to_bytes()].concat();
        let (path, follow) = match self {
            On::Fd(_) => return None,
            On::PathFd(path) => (fd(path), true),
            On::Name(dir, name) => (below(dir, name), false),
            On::Following(dir, name) => (below(dir, name), true),
        };
        // A name holds no NUL.
        CString::new(path).ok().map(|path| (path, follow))
    }

    /// How the calls that end in `at` are told: descriptor, name, flags.
    fn at(self) -> Result<Option<(libc::c_int, CString, libc::c_int)>, Errno> {
        Ok(match self {
            On::Fd(_) => None,
            On::PathFd(fd) => {
                let number = CString::new(fd.as_raw_fd().to_string()).map_err(|_| Errno::EINVAL)?;
                Some((proc_fd::dir()?.as_raw_fd(), number, 0))
            }
            On::Name(dir, name) => Some((dir.as_raw_fd(), name.to_owned(), libc::AT_SYMLINK_NOFOLLOW)),
            On::Following(dir, name) => Some((dir.as_raw_fd(), name.to_owned(), 0)),
        })
    }
}

/// Reads the names into `buffer`, each ended by a NUL; returns how many bytes they are. An empty buffer asks
/// for that number only.
///
/// # Errors
///
/// - `ERANGE`: the buffer is too small. Ask again.
/// - `EOPNOTSUPP`: this filesystem has none.
/// - `ENOENT`: vanished.
pub fn list(on: On<'_>, buffer: &mut [u8]) -> Result<usize, Errno> {
    let (out, len) = (buffer.as_mut_ptr(), buffer.len());
    if let On::Fd(fd) = on {
        // SAFETY: the descriptor is borrowed and the buffer is valid for `len` bytes during the call.
        return retry(|| length(unsafe { libc::flistxattr(fd.as_raw_fd(), out.cast(), len) }));
    }
    if let Some((dir, name, flags)) = on.at()? {
        // SAFETY: as above; the name is a C string that lives during the call.
        let call = || unsafe { libc::syscall(SYS_LISTXATTRAT, dir, name.as_ptr(), flags, out, len) };
        match retry(|| count(call())) {
            Err(Errno::ENOSYS) => {}
            other => return other,
        }
    }
    let (path, follow) = on.older().ok_or(Errno::EBADF)?;
    let call = if follow { libc::listxattr } else { libc::llistxattr };
    // SAFETY: as above.
    retry(|| length(unsafe { call(path.as_ptr(), out.cast(), len) }))
}

/// Reads the value of `name` into `buffer`; returns how many bytes it is. An empty buffer asks for that only.
///
/// # Errors
///
/// As [`list`]; `ENODATA`: there is none of that name (any more). `EACCES`, `EPERM`: report the entry.
pub fn get(on: On<'_>, name: &CStr, buffer: &mut [u8]) -> Result<usize, Errno> {
    let (out, len) = (buffer.as_mut_ptr(), buffer.len());
    if let On::Fd(fd) = on {
        // SAFETY: the descriptor is borrowed, the name is a C string, the buffer is valid for `len` bytes.
        return retry(|| length(unsafe { libc::fgetxattr(fd.as_raw_fd(), name.as_ptr(), out.cast(), len) }));
    }
    if let Some((dir, path, flags)) = on.at()? {
        let size = u32::try_from(len).map_err(|_| Errno::EINVAL)?;
        let mut args = Args { value: out as u64, size, flags: 0 };
        let mut call = || {
            let (args, bytes) = (&raw mut args, size_of::<Args>());
            // SAFETY: as above; `args` lives during the call and says where the buffer is.
            unsafe { libc::syscall(SYS_GETXATTRAT, dir, path.as_ptr(), flags, name.as_ptr(), args, bytes) }
        };
        match retry(|| count(call())) {
            Err(Errno::ENOSYS) => {}
            other => return other,
        }
    }
    let (path, follow) = on.older().ok_or(Errno::EBADF)?;
    let call = if follow { libc::getxattr } else { libc::lgetxattr };
    // SAFETY: as above.
    retry(|| length(unsafe { call(path.as_ptr(), name.as_ptr(), out.cast(), len) }))
}

/// Gives `name` the value `value`, whether there is one already or not.
///
/// # Errors
///
/// - `EPERM`, `EACCES`: not permitted for this name, or on this kind of inode.
/// - `ENOSPC`, `EDQUOT`, `E2BIG`, `ERANGE`: no room for it.
/// - `EOPNOTSUPP`: this filesystem has none of that kind.
///
/// All: report the entry; the rest goes on.
pub fn set(on: On<'_>, name: &CStr, value: &[u8]) -> Result<(), Errno> {
    let (from, len) = (value.as_ptr(), value.len());
    if let On::Fd(fd) = on {
        // SAFETY: the descriptor is borrowed, the name is a C string, the value is valid for `len` bytes.
        let call = || unsafe { libc::fsetxattr(fd.as_raw_fd(), name.as_ptr(), from.cast(), len, 0) };
        return retry(|| Errno::result(call()).map(drop));
    }
    if let Some((dir, path, flags)) = on.at()? {
        let size = u32::try_from(len).map_err(|_| Errno::E2BIG)?;
        let mut args = Args { value: from as u64, size, flags: 0 };
        let mut call = || {
            let (args, bytes) = (&raw mut args, size_of::<Args>());
            // SAFETY: as above; the kernel only reads what `args` says.
            unsafe { libc::syscall(SYS_SETXATTRAT, dir, path.as_ptr(), flags, name.as_ptr(), args, bytes) }
        };
        match retry(|| Errno::result(call()).map(drop)) {
            Err(Errno::ENOSYS) => {}
            other => return other,
        }
    }
    let (path, follow) = on.older().ok_or(Errno::EBADF)?;
    let call = if follow { libc::setxattr } else { libc::lsetxattr };
    // SAFETY: as above.
    retry(|| Errno::result(unsafe { call(path.as_ptr(), name.as_ptr(), from.cast(), len, 0) }).map(drop))
}

/// Removes `name`.
///
/// # Errors
///
/// `ENODATA`: it is gone already. Others as [`set`].
pub fn remove(on: On<'_>, name: &CStr) -> Result<(), Errno> {
    if let On::Fd(fd) = on {
        // SAFETY: the descriptor is borrowed and the name is a C string.
        let call = || unsafe { libc::fremovexattr(fd.as_raw_fd(), name.as_ptr()) };
        return retry(|| Errno::result(call()).map(drop));
    }
    if let Some((dir, path, flags)) = on.at()? {
        let call = || {
            // SAFETY: both names are C strings that live during the call.
            unsafe { libc::syscall(SYS_REMOVEXATTRAT, dir, path.as_ptr(), flags, name.as_ptr()) }
        };
        match retry(|| Errno::result(call()).map(drop)) {
            Err(Errno::ENOSYS) => {}
            other => return other,
        }
    }
    let (path, follow) = on.older().ok_or(Errno::EBADF)?;
    let call = if follow { libc::removexattr } else { libc::lremovexattr };
    // SAFETY: as above.
    retry(|| Errno::result(unsafe { call(path.as_ptr(), name.as_ptr()) }).map(drop))
}

fn length(result: libc::ssize_t) -> Result<usize, Errno> {
    Errno::result(result).map(|n| usize::try_from(n).unwrap_or(0))
}

fn count(result: libc::c_long) -> Result<usize, Errno> {
    Errno::result(result).map(|n| usize::try_from(n).unwrap_or(0))
}
