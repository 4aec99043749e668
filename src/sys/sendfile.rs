//! `sendfile(2)`: bytes from a file to a file or socket inside the kernel.

use std::os::fd::BorrowedFd;

use super::{Errno, offset, retry};

/// Moves up to `len` bytes from `src` at `src_off` to the present position of `dst`, which advances.
///
/// Returns the bytes moved, possibly fewer than `len` (never more than 0x7ffff000); `0`: `src` has ended.
/// To a socket the pages go by reference: a later change of `src` can still change what arrives.
///
/// # Errors
///
/// - `EINVAL`, `ENOSYS`, `EPERM`: this pair of descriptors cannot. Next rung.
/// - `EAGAIN`: a non-blocking socket is full. Wait for it.
/// - anything else (`ENOSPC`, `EIO`, `EPIPE`): the data path failed. Fail, keeping the count.
///
/// # Source
///
/// sendfile(2). File to file since Linux 2.6.33.
pub fn sendfile(src: BorrowedFd<'_>, src_off: u64, dst: BorrowedFd<'_>, len: usize) -> Result<usize, Errno> {
    let from = offset(src_off)?;
    retry(|| {
        let mut from = from;
        nix::sys::sendfile::sendfile64(dst, src, Some(&mut from), len)
    })
}
