//! `socket(2)`, `bind(2)`, `connect(2)`: a TCP connection from an address of one's own choice.

use std::net::{IpAddr, SocketAddr, TcpStream};
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::time::Duration;

use nix::libc;
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrIn, SockaddrIn6, SockaddrLike, bind, connect, setsockopt,
    socket, sockopt,
};
use nix::sys::time::TimeVal;

use super::Errno;

/// An option of a socket with its value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SocketOption {
    level: i32,
    name: i32,
    value: i32,
}

/// The options that can be set by name, each with the value that it always has, if it has one.
const OPTIONS: [(&str, i32, i32, Option<i32>); 8] = [
    ("SO_KEEPALIVE", libc::SOL_SOCKET, libc::SO_KEEPALIVE, None),
    ("SO_REUSEADDR", libc::SOL_SOCKET, libc::SO_REUSEADDR, None),
    ("SO_BROADCAST", libc::SOL_SOCKET, libc::SO_BROADCAST, None),
    ("SO_SNDBUF", libc::SOL_SOCKET, libc::SO_SNDBUF, None),
    ("SO_RCVBUF", libc::SOL_SOCKET, libc::SO_RCVBUF, None),
    ("TCP_NODELAY", libc::IPPROTO_TCP, libc::TCP_NODELAY, None),
    ("IPTOS_LOWDELAY", libc::IPPROTO_IP, libc::IP_TOS, Some(0x10)),
    ("IPTOS_THROUGHPUT", libc::IPPROTO_IP, libc::IP_TOS, Some(0x08)),
];

impl SocketOption {
    /// The option called `name`, with `value` unless it has one of its own.
    #[must_use]
    pub fn named(name: &str, value: i32) -> Option<SocketOption> {
        let found = OPTIONS.iter().find(|(known, ..)| *known == name);
        found.map(|&(_, level, name, own)| SocketOption { level, name, value: own.unwrap_or(value) })
    }

    /// The names that there are.
    pub fn names() -> impl Iterator<Item = &'static str> {
        OPTIONS.iter().map(|(name, ..)| *name)
    }
}

/// Connects to `to`, from the local address `from` if one is named, with these options set before, waiting for
/// `most` at most.
///
/// # Errors
///
/// `EADDRNOTAVAIL`: `from` is no address of this machine. `ENOPROTOOPT`, `EINVAL`, `EPERM`: an option cannot be set. `EINPROGRESS`: not in time. Otherwise as
/// connect(2): nobody is there. The caller tries another address, or fails.
pub fn connect_with(
    to: SocketAddr,
    from: Option<IpAddr>,
    options: &[SocketOption],
    most: Option<Duration>,
) -> Result<TcpStream, Errno> {
    let family = if to.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let fd = socket(family, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
    for option in options {
        super::stream::set(fd.as_fd(), option.level, option.name, option.value)?;
    }
    if let Some(from) = from {
        bind(fd.as_raw_fd(), linux(SocketAddr::new(from, 0)).as_ref())?;
    }
    if let Some(most) = most {
        // It bounds connect(2) too (socket(7)).
        let seconds = i64::try_from(most.as_secs()).unwrap_or(i64::MAX);
        setsockopt(&fd, sockopt::SendTimeout, &TimeVal::new(seconds, 0))?;
    }
    connect(fd.as_raw_fd(), linux(to).as_ref())?;
    setsockopt(&fd, sockopt::SendTimeout, &TimeVal::new(0, 0))?;
    Ok(TcpStream::from(fd))
}

fn linux(address: SocketAddr) -> Box<dyn SockaddrLike> {
    match address {
        SocketAddr::V4(v4) => Box::new(SockaddrIn::from(v4)),
        SocketAddr::V6(v6) => Box::new(SockaddrIn6::from(v6)),
    }
}
