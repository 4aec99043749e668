//! `copy_file_range(2)`: bytes from file to file inside the kernel.

use std::os::fd::BorrowedFd;

use super::{Errno, offset, retry};

/// Copies up to `len` bytes from `src` at `src_off` to `dst` at `dst_off` inside the kernel.
///
/// Units: bytes; offsets count from the start of each file. The descriptors' own positions neither
/// matter nor move. The filesystem may share extents instead of copying.
///
/// Returns the bytes moved, possibly fewer than `len`. `0` means that `src` has ended, except that
/// kernels from 5.3 to 5.18 also return a first `0` for virtual files that hold data.
///
/// # Errors
///
/// - `EXDEV`, `EOPNOTSUPP`, `ENOSYS`: these filesystems or this kernel cannot. Next rung.
/// - `EINVAL`: not regular files, or overlapping ranges of one file. Next rung.
/// - `EPERM`: seccomp filter, or `dst` is immutable. Next rung; its error names the real cause.
/// - `EBADF`: wrong open mode, or `dst` was opened with `O_APPEND`. Next rung, which says so too.
/// - anything else (`ENOSPC`, `EIO`, `EFBIG`): the data path failed. Fail, keeping the count.
///
/// # Source
///
/// copy_file_range(2), RETURN VALUE, ERRORS, BUGS. Linux 4.5; cross-filesystem rules changed in 5.3
/// and 5.19. Observed on 6.18, ext4: `0` at end of file, `EXDEV` from procfs.
pub fn copy_file_range(
    src: BorrowedFd<'_>,
    src_off: u64,
    dst: BorrowedFd<'_>,
    dst_off: u64,
    len: usize,
) -> Result<usize, Errno> {
    let (from, to) = (offset(src_off)?, offset(dst_off)?);
    retry(|| {
        let (mut from, mut to) = (from, to);
        nix::fcntl::copy_file_range(src, Some(&mut from), dst, Some(&mut to), len)
    })
}
