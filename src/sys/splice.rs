//! `splice(2)` and `pipe2(2)`: pages from a file into a pipe and from a pipe into a file.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::fcntl::{FcntlArg, OFlag, SpliceFFlags};

use super::{Errno, offset, retry};

/// Both ends of a pipe: the reading one, the writing one.
pub struct Pipe {
    /// Bytes come out here.
    pub out: OwnedFd,
    /// Bytes go in here.
    pub into: OwnedFd,
}

/// Makes a pipe that holds `capacity` bytes if the system's limits allow it, else the usual 64 KiB.
///
/// # Errors
///
/// - `EMFILE`, `ENFILE`: descriptors ran out. Next rung.
pub fn pipe(capacity: i32) -> Result<Pipe, Errno> {
    let (out, into) = nix::unistd::pipe2(OFlag::O_CLOEXEC)?;
    // Refused (EPERM) above the user's share of pipe memory: then each call moves less, that is all.
    let _capacity = nix::fcntl::fcntl(&into, FcntlArg::F_SETPIPE_SZ(capacity));
    Ok(Pipe { out, into })
}

/// Moves up to `len` bytes of `src` at `off` into an empty pipe.
///
/// Returns the bytes moved, at most what the pipe holds; `0`: `src` has ended.
///
/// # Errors
///
/// - `EINVAL`, `ENOSYS`, `EPERM`: this file cannot. Next rung.
/// - anything else: reading failed. Fail, keeping the count.
pub fn fill(src: BorrowedFd<'_>, off: u64, pipe: &Pipe, len: usize) -> Result<usize, Errno> {
    let at = offset(off)?;
    retry(|| {
        let mut at = at;
        nix::fcntl::splice(src, Some(&mut at), pipe.into.as_fd(), None, len, SpliceFFlags::SPLICE_F_MOVE)
    })
}

/// Moves up to `len` bytes that are in the pipe to `dst` at `off`.
///
/// Returns the bytes moved, possibly fewer than `len`; the others stay in the pipe.
///
/// # Errors
///
/// - `EINVAL`: `dst` cannot, or is in append mode. The pipe's bytes must be thrown away with it.
/// - anything else (`ENOSPC`, `EIO`): writing failed. As above.
pub fn drain(pipe: &Pipe, dst: BorrowedFd<'_>, off: u64, len: usize) -> Result<usize, Errno> {
    let at = offset(off)?;
    retry(|| {
        let mut at = at;
        nix::fcntl::splice(pipe.out.as_fd(), None, dst, Some(&mut at), len, SpliceFFlags::SPLICE_F_MOVE)
    })
}
