//! `FS_IOC_GETFLAGS`, `FS_IOC_FSGETXATTR` and what sets them: the flags of an inode, as chattr(1) has them, and the
//! project that it counts for.
#![allow(unsafe_code)]

use std::os::fd::{AsRawFd, BorrowedFd};

use nix::libc;

use super::{Errno, retry};

// The numbers say "long"; the kernel reads and writes an int.
const GETFLAGS: libc::Ioctl = nix::request_code_read!(b'f', 1, size_of::<libc::c_long>()) as libc::Ioctl;
const SETFLAGS: libc::Ioctl = nix::request_code_write!(b'f', 2, size_of::<libc::c_long>()) as libc::Ioctl;
const FSGETXATTR: libc::Ioctl = nix::request_code_read!(b'X', 31, size_of::<Fsxattr>()) as libc::Ioctl;
const FSSETXATTR: libc::Ioctl = nix::request_code_write!(b'X', 32, size_of::<Fsxattr>()) as libc::Ioctl;

/// `struct fsxattr` of linux/fs.h.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Fsxattr {
    xflags: u32,
    extsize: u32,
    nextents: u32,
    projid: u32,
    cowextsize: u32,
    pad: [u8; 8],
}

/// The flags of an open file or directory: `FS_…_FL` of linux/fs.h.
///
/// # Errors
///
/// `ENOTTY`, `EOPNOTSUPP`: this filesystem has none. Others: report the entry.
///
/// # Source
///
/// ioctl_iflags(2).
pub fn get(fd: BorrowedFd<'_>) -> Result<u32, Errno> {
    let mut flags: libc::c_int = 0;
    retry(|| {
        // SAFETY: the descriptor is borrowed for the whole call, and the kernel writes one int.
        let r = unsafe { libc::ioctl(fd.as_raw_fd(), GETFLAGS, &raw mut flags) };
        Errno::result(r).map(drop)
    })?;
    Ok(flags.cast_unsigned())
}

/// Sets all flags of an open file or directory; those that only the kernel changes have to be as they are.
///
/// # Errors
///
/// - `EOPNOTSUPP`, `EINVAL`, `ENOTTY`: this filesystem, or this kind of inode, has not all of them.
/// - `EPERM`: not the owner; immutable and append-only are for root alone.
/// - `EROFS`, `EACCES`: report the entry.
pub fn set(fd: BorrowedFd<'_>, flags: u32) -> Result<(), Errno> {
    let flags: libc::c_int = flags.cast_signed();
    retry(|| {
        // SAFETY: as above; the kernel only reads the int.
        let r = unsafe { libc::ioctl(fd.as_raw_fd(), SETFLAGS, &raw const flags) };
        Errno::result(r).map(drop)
    })
}

/// The number of the project that an open file or directory counts for; 0 where nobody has said.
///
/// # Errors
///
/// `ENOTTY`, `EOPNOTSUPP`: this filesystem has no projects. Others: report the entry.
pub fn project(fd: BorrowedFd<'_>) -> Result<u32, Errno> {
    read(fd).map(|all| all.projid)
}

/// Has an open file or directory count for the project `id`.
///
/// # Errors
///
/// `EOPNOTSUPP`, `ENOTTY`, `EINVAL`: this filesystem has no projects. `EPERM`, `EACCES`: not permitted.
pub fn set_project(fd: BorrowedFd<'_>, id: u32) -> Result<(), Errno> {
    let wanted = Fsxattr { projid: id, ..read(fd)? };
    retry(|| {
        // SAFETY: the descriptor is borrowed for the whole call; the kernel only reads the structure.
        let r = unsafe { libc::ioctl(fd.as_raw_fd(), FSSETXATTR, &raw const wanted) };
        Errno::result(r).map(drop)
    })
}

fn read(fd: BorrowedFd<'_>) -> Result<Fsxattr, Errno> {
    let mut all = Fsxattr::default();
    retry(|| {
        // SAFETY: the descriptor is borrowed for the whole call; the kernel writes one structure.
        let r = unsafe { libc::ioctl(fd.as_raw_fd(), FSGETXATTR, &raw mut all) };
        Errno::result(r).map(drop)
    })?;
    Ok(all)
}
