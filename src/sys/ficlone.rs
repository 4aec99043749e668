//! `FICLONERANGE`: lets one file share the extents of another.
#![allow(unsafe_code)]

use std::os::fd::{AsRawFd, BorrowedFd};

use nix::libc;

use super::{Errno, retry};

/// `FICLONERANGE` of linux/fs.h: `_IOW(0x94, 13, struct file_clone_range)`.
const FICLONERANGE: libc::Ioctl =
    nix::request_code_write!(0x94, 13, size_of::<FileCloneRange>()) as libc::Ioctl;

/// `struct file_clone_range` of linux/fs.h.
#[repr(C)]
struct FileCloneRange {
    src_fd: i64,
    src_offset: u64,
    src_length: u64,
    dest_offset: u64,
}

/// Makes bytes `[off, off + len)` of `dst` share the extents of the same bytes of `src`; all of them or none.
///
/// `FICLONERANGE` rather than `FICLONE`: when `src` has meanwhile grown or shrunk, so that
/// `off + len` is neither its end nor a block boundary, the kernel refuses, where `FICLONE` would take whatever is
/// there. Holes stay holes. `dst` grows to `off + len` if it was shorter and is not cut if it was longer.
/// Both are in bytes; `off` must be a multiple of the filesystem's block, and `len` must not be 0, which the kernel takes for "to the end".
///
/// # Errors
///
/// - `EXDEV`, `EOPNOTSUPP`, `ENOTTY`, `ENOSYS`: these filesystems or this kernel cannot. Next rung.
/// - `EINVAL`: `src` changed its size, or these two files cannot share (swap, no checksums). Next rung.
/// - `EPERM`, `ETXTBSY`, `EBADF`: immutable, a swap file, not regular. Next rung, which names the cause.
/// - `ENOSPC`, `EDQUOT`: no room for the metadata. Fail.
///
/// # Source
///
/// ioctl_ficlonerange(2). Linux 4.5.
pub fn clone_range(src: BorrowedFd<'_>, dst: BorrowedFd<'_>, off: u64, len: u64) -> Result<(), Errno> {
    let range = FileCloneRange {
        src_fd: i64::from(src.as_raw_fd()),
        src_offset: off,
        src_length: len,
        dest_offset: off,
    };
    retry(|| {
        // SAFETY: the kernel only reads the structure, which outlives the call; both descriptors are
        // borrowed for the whole call.
        let r = unsafe { libc::ioctl(dst.as_raw_fd(), FICLONERANGE, &raw const range) };
        Errno::result(r).map(drop)
    })
}
