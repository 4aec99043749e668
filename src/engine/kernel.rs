//! Rungs 1 to 4: the kernel moves the bytes and this process never sees them.
//!
//! Slower when: the file is tiny ([`READ_BELOW`]); extents are shared of a small one ([`SHARE_FROM`]); `splice`
//! on most filesystems when another one works (two calls for every 1 MiB).
//!
//! [`READ_BELOW`]: super::ladder::READ_BELOW
//! [`SHARE_FROM`]: super::ladder::SHARE_FROM

use std::os::fd::BorrowedFd;

use super::buffered::Scratch;
use super::error::{Failure, failed};
use crate::sys;

/// What the pipe of the splice rung is asked to hold: `/proc/sys/fs/pipe-max-size` as shipped.
pub(super) const PIPE_BYTES: usize = 1 << 20;

/// Bytes shared in one step: a file may consist of blocks, and each extent takes the kernel some 30 µs to share.
/// Measured 2026-11, Linux 6.18, XFS: 100,000 extents in 800 MB at once 2.8 s to 5.5 s, which no signal interrupts.
pub(super) const CLONE_BYTES: usize = 64 << 20;

/// Rung 1. The last step must reach the end of the file; all others, whole blocks.
pub(super) fn reflink(
    src: BorrowedFd<'_>,
    dst: BorrowedFd<'_>,
    off: u64,
    len: usize,
    _: &mut Scratch,
) -> Result<usize, Failure> {
    let bytes = u64::try_from(len).map_err(|_| Failure { op: "reflink", errno: sys::Errno::EOVERFLOW })?;
    sys::ficlone::clone_range(src, dst, off, bytes).map_err(failed("reflink"))?;
    Ok(len)
}

/// Rung 2.
pub(super) fn copy_file_range(
    src: BorrowedFd<'_>,
    dst: BorrowedFd<'_>,
    off: u64,
    len: usize,
    _: &mut Scratch,
) -> Result<usize, Failure> {
    sys::copy_file_range::copy_file_range(src, off, dst, off, len).map_err(failed("copy_file_range"))
}

/// Rung 3. The kernel writes at the target's own position, which is set first unless it is known to be right.
pub(super) fn sendfile(
    src: BorrowedFd<'_>,
    dst: BorrowedFd<'_>,
    off: u64,
    len: usize,
    scratch: &mut Scratch,
) -> Result<usize, Failure> {
    if scratch.position.take() != Some(off) {
        sys::lseek::seek_to(dst, off).map_err(failed("seek"))?;
    }
    let n = sys::sendfile::sendfile(src, off, dst, len).map_err(failed("sendfile"))?;
    scratch.position = Some(off + n as u64);
    Ok(n)
}

/// Rung 4. A step ends with the pipe empty, or with the pipe thrown away.
pub(super) fn splice(
    src: BorrowedFd<'_>,
    dst: BorrowedFd<'_>,
    off: u64,
    len: usize,
    scratch: &mut Scratch,
) -> Result<usize, Failure> {
    let pipe = match scratch.pipe.take() {
        Some(pipe) => pipe,
        None => sys::splice::pipe(PIPE_BYTES as i32).map_err(failed("pipe"))?,
    };
    let filled = sys::splice::fill(src, off, &pipe, len).map_err(failed("splice"))?;
    let mut done = 0;
    while done < filled {
        match sys::splice::drain(&pipe, dst, off + done as u64, filled - done) {
            Ok(n) if n > 0 => done += n,
            // What reached the target counts; the rest is read again from the source.
            _ if done > 0 => return Ok(done),
            Ok(_) => return Err(Failure { op: "splice", errno: sys::Errno::EIO }),
            Err(errno) => return Err(Failure { op: "splice", errno }),
        }
    }
    scratch.pipe = Some(pipe);
    Ok(done)
}
