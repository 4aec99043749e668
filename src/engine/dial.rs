//! A connection to a peer that is a daemon.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::Duration;

use crate::sys;

/// Connects to `to`, from the local address `from` if one is named, waiting for `most` at most.
///
/// # Errors
///
/// Nobody is there, not in time, or `from` is no address of this machine: the caller tries another address.
pub fn dial(to: SocketAddr, from: Option<IpAddr>, most: Option<Duration>) -> io::Result<TcpStream> {
    match (from, most) {
        (Some(from), _) => sys::connect::connect_from(to, from, most).map_err(|errno| match errno {
            sys::Errno::EINPROGRESS => io::ErrorKind::TimedOut.into(),
            other => other.into(),
        }),
        (None, Some(most)) => TcpStream::connect_timeout(&to, most),
        (None, None) => TcpStream::connect(to),
    }
}
