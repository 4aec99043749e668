//! `getdents64(2)`: the names of an open directory, in bounded batches.
#![allow(unsafe_code)]

use std::os::fd::{AsRawFd, BorrowedFd};

use nix::libc;

use super::{Errno, retry};

/// Reads the next batch of directory records of `fd` into `buf` and calls `each` with every name and
/// its type (`DT_*`, `DT_UNKNOWN` where the filesystem does not say). `.` and `..` are left out.
///
/// Returns `false` when the directory has ended. `buf` should hold tens of KiB: one call returns as
/// many whole records as fit. The descriptor's position moves.
///
/// # Errors
///
/// - `EINVAL`: `buf` is smaller than one record: a sluice bug.
/// - `ENOENT`: the directory was removed while open: treat as ended with an error.
/// - `EIO` and others: the listing is not complete; the caller must not delete from it.
///
/// # Source
///
/// getdents64(2): `struct linux_dirent64`.
pub fn getdents(
    fd: BorrowedFd<'_>,
    buf: &mut [u8],
    mut each: impl FnMut(&[u8], u8),
) -> Result<bool, Errno> {
    let n = retry(|| {
        // SAFETY: the kernel writes at most `buf.len()` bytes into `buf`, which outlives the call.
        let r = unsafe { libc::syscall(libc::SYS_getdents64, fd.as_raw_fd(), buf.as_mut_ptr(), buf.len()) };
        Errno::result(r)
    })?;
    let mut rest = &buf[..usize::try_from(n).unwrap_or(0)];
    let more = !rest.is_empty();
    // struct linux_dirent64 { u64 ino; i64 off; u16 reclen; u8 type; char name[]; }
    const HEAD: usize = 19;
    while rest.len() > HEAD {
        let reclen = usize::from(u16::from_ne_bytes([rest[16], rest[17]]));
        if reclen <= HEAD || reclen > rest.len() {
            return Err(Errno::EIO);
        }
        let name = &rest[HEAD..reclen];
        let name = &name[..name.iter().position(|&b| b == 0).unwrap_or(name.len())];
        if name != b"." && name != b".." {
            each(name, rest[18]);
        }
        rest = &rest[reclen..];
    }
    Ok(more)
}
