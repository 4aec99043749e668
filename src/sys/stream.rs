//! The two ends of a connection to a peer: `read(2)`, `write(2)`, `poll(2)`, and `splice(2)` from it.
//!
//! A connection is a socket or a pair of pipes. Its descriptors are non-blocking, so that every wait has an
//! end: whoever meets `EAGAIN` waits with [`wait`] for as long as it wants to.

#![allow(unsafe_code)]

use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::time::Duration;

use nix::fcntl::{FcntlArg, OFlag, SpliceFFlags};
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout};

use super::splice::Pipe;
use super::{Errno, offset, retry};

/// What a connection's end is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// A socket.
    Socket,
    /// A pipe.
    Pipe,
    /// Something else, such as a terminal or a file: bytes pass through user space.
    Other,
}

/// Makes `fd` non-blocking and says what it is.
///
/// # Errors
///
/// `EBADF`: no descriptor. Fail.
pub fn prepare(fd: BorrowedFd<'_>) -> Result<End, Errno> {
    let flags = OFlag::from_bits_truncate(nix::fcntl::fcntl(fd, FcntlArg::F_GETFL)?);
    nix::fcntl::fcntl(fd, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
    let kind = super::stat::fstat(fd)?.st_mode & libc::S_IFMT;
    Ok(match kind {
        libc::S_IFSOCK => End::Socket,
        libc::S_IFIFO => End::Pipe,
        _ => End::Other,
    })
}

/// Waits until `fd` can be read, or written if `writing`, or is broken; at most for `most`.
///
/// Returns whether it is so far.
///
/// # Errors
///
/// `EINVAL`, `ENOMEM`: the connection is lost.
pub fn wait(fd: BorrowedFd<'_>, writing: bool, most: Duration) -> Result<bool, Errno> {
    let events = if writing { PollFlags::POLLOUT } else { PollFlags::POLLIN };
    let millis = u16::try_from(most.as_millis()).unwrap_or(u16::MAX);
    match nix::poll::poll(&mut [PollFd::new(fd, events)], PollTimeout::from(millis)) {
        // A signal: whoever waits looks at its flags and comes back.
        Err(Errno::EINTR) => Ok(false),
        other => Ok(other? > 0),
    }
}

/// Reads up to `buf.len()` bytes. Returns how many; `0`: the peer has closed.
///
/// # Errors
///
/// - `EAGAIN`: nothing has arrived. [`wait`].
/// - `ECONNRESET`, `EIO` and others: the connection is lost.
pub fn read(fd: BorrowedFd<'_>, buf: &mut [u8]) -> Result<usize, Errno> {
    retry(|| nix::unistd::read(fd, buf))
}

/// Writes up to `buf.len()` bytes. Returns how many.
///
/// # Errors
///
/// - `EAGAIN`: the peer has not taken what was sent. [`wait`].
/// - `EPIPE`, `ECONNRESET` and others: the connection is lost.
pub fn write(fd: BorrowedFd<'_>, buf: &[u8]) -> Result<usize, Errno> {
    retry(|| nix::unistd::write(fd, buf))
}

/// Moves up to `len` bytes from the connection `src` into an empty pipe. Returns how many; `0`: the peer
/// has closed.
///
/// # Errors
///
/// - `EAGAIN`: nothing has arrived. [`wait`].
/// - `EINVAL`: this connection cannot. Read instead.
/// - others: the connection is lost.
pub fn splice_in(src: BorrowedFd<'_>, pipe: &Pipe, len: usize) -> Result<usize, Errno> {
    let flags = SpliceFFlags::SPLICE_F_MOVE | SpliceFFlags::SPLICE_F_NONBLOCK;
    retry(|| nix::fcntl::splice(src, None, pipe.into.as_fd(), None, len, flags))
}

/// Moves up to `len` bytes from the pipe that is the connection `src` to the file `dst` at `off`.
///
/// # Errors
///
/// As [`splice_in`]; those of the file (`ENOSPC`, `EIO`) come through here too.
pub fn splice_to_file(
    src: BorrowedFd<'_>,
    dst: BorrowedFd<'_>,
    off: u64,
    len: usize,
) -> Result<usize, Errno> {
    let at = offset(off)?;
    let flags = SpliceFFlags::SPLICE_F_MOVE | SpliceFFlags::SPLICE_F_NONBLOCK;
    retry(|| {
        let mut at = at;
        nix::fcntl::splice(src, None, dst, Some(&mut at), len, flags)
    })
}

/// Holds back what is sent on a TCP socket until it fills a packet, or lets it go.
///
/// # Errors
///
/// `ENOPROTOOPT`, `EOPNOTSUPP`: not TCP; go on without.
pub fn cork(socket: BorrowedFd<'_>, on: bool) -> Result<(), Errno> {
    set(socket, libc::IPPROTO_TCP, libc::TCP_CORK, i32::from(on))
}

/// Sends on a TCP socket at once, whatever the peer has not acknowledged yet.
///
/// # Errors
///
/// As [`cork`].
pub fn no_delay(socket: BorrowedFd<'_>) -> Result<(), Errno> {
    set(socket, libc::IPPROTO_TCP, libc::TCP_NODELAY, 1)
}

/// Has [`wait`] for reading end only when so many bytes are there, so that fewer calls move more each.
///
/// # Errors
///
/// As [`cork`].
pub fn low_water(socket: BorrowedFd<'_>, bytes: i32) -> Result<(), Errno> {
    set(socket, libc::SOL_SOCKET, libc::SO_RCVLOWAT, bytes)
}

pub(super) fn set(socket: BorrowedFd<'_>, level: i32, name: i32, value: i32) -> Result<(), Errno> {
    let len = libc::socklen_t::try_from(size_of::<i32>()).unwrap_or(4);
    // SAFETY: `value` lives for the call and `len` is its size.
    let done = unsafe { libc::setsockopt(socket.as_raw_fd(), level, name, (&raw const value).cast(), len) };
    Errno::result(done).map(drop)
}
