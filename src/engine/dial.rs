//! A connection to a peer that is a daemon.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::Duration;

use crate::sys;

pub use crate::sys::connect::SocketOption;

/// Connects to `to`, from the local address `from` if one is named, with `options`, waiting for `most` at most.
///
/// # Errors
///
/// Nobody is there, not in time, or `from` is no address of this machine: the caller tries another address.
pub fn dial(
    to: SocketAddr,
    from: Option<IpAddr>,
    options: &[SocketOption],
    most: Option<Duration>,
) -> io::Result<TcpStream> {
    match (from, most) {
        _ if from.is_some() || !options.is_empty() => sys::connect::connect_with(to, from, options, most)
            .map_err(|errno| match errno {
                sys::Errno::EINPROGRESS => io::ErrorKind::TimedOut.into(),
                other => other.into(),
            }),
        (_, Some(most)) => TcpStream::connect_timeout(&to, most),
        (_, None) => TcpStream::connect(to),
    }
}
