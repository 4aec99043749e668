//! `fchown(2)`, `fchmod(2)`, `utimensat(2)` and their `*at` forms: attributes through descriptors.
#![allow(unsafe_code)]

use std::os::fd::{AsRawFd, BorrowedFd};

use nix::fcntl::AtFlags;
use nix::libc;
use nix::sys::stat::Mode;
use nix::sys::time::TimeSpec;
use nix::unistd::{Gid, Uid};

use super::{Errno, retry};

/// Sets owner and group of an open file; `None` leaves that one alone.
///
/// `fchown(2)`. Clears set-id bits and file capabilities, so it comes before mode and capabilities.
///
/// # Errors
///
/// - `EPERM`: not privileged. Report "owner not kept" for the entry; the rest goes on.
/// - `EINVAL`: an id that this user namespace does not map. As `EPERM`.
pub fn fchown(fd: BorrowedFd<'_>, uid: Option<u32>, gid: Option<u32>) -> Result<(), Errno> {
    retry(|| nix::unistd::fchown(fd, uid.map(Uid::from_raw), gid.map(Gid::from_raw)))
}

/// Sets owner and group of the inode that an `O_PATH` descriptor holds, a symbolic link included.
///
/// `fchownat(2)` with `AT_EMPTY_PATH`.
///
/// # Errors
///
/// As [`fchown`].
pub fn chown_path_fd(fd: BorrowedFd<'_>, uid: Option<u32>, gid: Option<u32>) -> Result<(), Errno> {
    let (uid, gid) = (uid.map(Uid::from_raw), gid.map(Gid::from_raw));
    retry(|| nix::unistd::fchownat(fd, c"", uid, gid, AtFlags::AT_EMPTY_PATH))
}

/// Sets the permission bits (`0o7777`) of an open file or directory.
///
/// `fchmod(2)`.
///
/// # Errors
///
/// - `EPERM`: not the owner. Report for the entry; the rest goes on.
pub fn fchmod(fd: BorrowedFd<'_>, mode: u32) -> Result<(), Errno> {
    retry(|| nix::sys::stat::fchmod(fd, Mode::from_bits_truncate(mode)))
}

/// Sets the permission bits (`0o7777`) of the inode that an `O_PATH` descriptor holds.
///
/// `fchmodat2(2)` with `AT_EMPTY_PATH` (Linux 6.6), for FIFOs, devices and sockets that must not be
/// opened for data.
///
/// # Errors
///
/// - `ENOSYS`: an older kernel; use [`chmod_proc_fd`].
/// - `EOPNOTSUPP`: a symbolic link; its mode cannot be set.
pub fn chmod_path_fd(fd: BorrowedFd<'_>, mode: u32) -> Result<(), Errno> {
    retry(|| {
        // SAFETY: the descriptor is borrowed for the whole call and the path is a constant C string.
        let r = unsafe {
            libc::syscall(libc::SYS_fchmodat2, fd.as_raw_fd(), c"".as_ptr(), mode, libc::AT_EMPTY_PATH)
        };
        Errno::result(r).map(drop)
    })
}

/// Sets the permission bits through `/proc/self/fd`, for kernels without `fchmodat2(2)`.
///
/// # Errors
///
/// - `ENOENT`: no `/proc`. Report "mode not kept" for the entry.
pub fn chmod_proc_fd(fd: BorrowedFd<'_>, mode: u32) -> Result<(), Errno> {
    let (proc, number) = (super::proc_fd::dir()?, fd.as_raw_fd().to_string());
    let mode = Mode::from_bits_truncate(mode);
    retry(|| {
        nix::sys::stat::fchmodat(proc, number.as_str(), mode, nix::sys::stat::FchmodatFlags::FollowSymlink)
    })
}

/// Sets access and modification time of an open file; `None` leaves one alone.
///
/// `futimens(2)`: seconds may be negative, nanoseconds are 0..=999,999,999. A filesystem clamps what
/// it cannot hold and still answers success, so a caller that must know asks `fstat` afterwards.
///
/// # Errors
///
/// - `EPERM`, `EACCES`: not the owner. Report for the entry.
pub fn futimens(
    fd: BorrowedFd<'_>,
    atime: Option<(i64, i64)>,
    mtime: Option<(i64, i64)>,
) -> Result<(), Errno> {
    let (a, m) = specs(atime, mtime);
    retry(|| nix::sys::stat::futimens(fd, &a, &m))
}

/// Sets access and modification time of the inode that an `O_PATH` descriptor holds, a symbolic link included;
/// `None` leaves one alone.
///
/// `utimensat(2)` with `AT_EMPTY_PATH`; values as for [`futimens`].
///
/// # Errors
///
/// As [`futimens`]; also `EOPNOTSUPP` for links on filesystems without link times, and `EINVAL` on
/// kernels before 5.8, which have no `AT_EMPTY_PATH` here.
pub fn utimens_path_fd(
    fd: BorrowedFd<'_>,
    atime: Option<(i64, i64)>,
    mtime: Option<(i64, i64)>,
) -> Result<(), Errno> {
    let (a, m) = specs(atime, mtime);
    let times = [*a.as_ref(), *m.as_ref()];
    retry(|| {
        // SAFETY: the descriptor is borrowed for the whole call, the path is a constant C string, and
        // `times` is the array of two that the call reads.
        let r = unsafe { libc::utimensat(fd.as_raw_fd(), c"".as_ptr(), times.as_ptr(), libc::AT_EMPTY_PATH) };
        Errno::result(r).map(drop)
    })
}

fn specs(atime: Option<(i64, i64)>, mtime: Option<(i64, i64)>) -> (TimeSpec, TimeSpec) {
    let spec = |time: Option<(i64, i64)>| time.map_or(TimeSpec::UTIME_OMIT, |(s, ns)| TimeSpec::new(s, ns));
    (spec(atime), spec(mtime))
}
