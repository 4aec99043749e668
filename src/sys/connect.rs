//! `socket(2)`, `bind(2)`, `connect(2)`: a TCP connection from an address of one's own choice.

use std::net::{IpAddr, SocketAddr, TcpStream};
use std::os::fd::AsRawFd as _;
use std::time::Duration;

use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrIn, SockaddrIn6, SockaddrLike, bind, connect, setsockopt,
    socket, sockopt,
};
use nix::sys::time::TimeVal;

use super::Errno;

/// Connects to `to` from the local address `from`, waiting for `most` at most.
///
/// # Errors
///
/// `EADDRNOTAVAIL`: `from` is no address of this machine. `EINPROGRESS`: not in time. Otherwise as
/// connect(2): nobody is there. The caller tries another address, or fails.
pub fn connect_from(to: SocketAddr, from: IpAddr, most: Option<Duration>) -> Result<TcpStream, Errno> {
    let family = if to.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let fd = socket(family, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
    bind(fd.as_raw_fd(), linux(SocketAddr::new(from, 0)).as_ref())?;
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
