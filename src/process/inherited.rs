//! The sockets that a process is started with: one connection on standard input, or listeners of systemd.

use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd as _, OwnedFd, RawFd};

use nix::sys::socket::{AddressFamily, SockType, getsockname, getsockopt, sockopt};

use crate::sys::{Errno, inherited};

/// The first descriptor that systemd passes on (`sd_listen_fds(3)`).
const FIRST_PASSED: RawFd = 3;

/// The connection on standard input, if it is one (inetd, systemd with `Accept=yes`, our own listener).
///
/// # Errors
///
/// It is a socket, but not a TCP connection.
pub fn connection() -> Result<Option<TcpStream>, String> {
    let stdin = std::io::stdin();
    match getsockopt(&stdin, sockopt::SockType) {
        Err(_) => return Ok(None),
        Ok(SockType::Stream) => {}
        Ok(_) => return Err("standard input is a socket, but no stream".into()),
    }
    let stream = stdin.as_fd().try_clone_to_owned().map_err(|e| format!("standard input: {e}"))?;
    let stream = TcpStream::from(stream);
    // A listener, or a socket of another family, has no such address.
    stream.peer_addr().map_err(|e| format!("standard input is a socket, but no TCP connection: {e}"))?;
    Ok(Some(stream))
}

/// Whether standard error leads somewhere else than to the peer: inetd gives the socket for it too.
#[must_use]
pub fn stderr_is_a_socket_of_the_peer() -> bool {
    let name = |fd: std::os::fd::BorrowedFd<'_>| {
        nix::sys::socket::getpeername::<nix::sys::socket::SockaddrStorage>(std::os::fd::AsRawFd::as_raw_fd(
            &fd,
        ))
        .ok()
    };
    let (input, error) = (std::io::stdin(), std::io::stderr());
    name(input.as_fd()).is_some_and(|peer| name(error.as_fd()) == Some(peer))
}

/// Closes everything but the three standard descriptors. Call it first of all.
///
/// # Errors
///
/// Before Linux 5.9.
pub fn close_others() -> Result<(), Errno> {
    inherited::close_from(3)
}

/// The listening sockets that systemd passed, if `LISTEN_PID` and `LISTEN_FDS`, given here, say so. To be
/// called once, before anything else is opened.
///
/// # Errors
///
/// One of them is no TCP listener.
pub fn listeners(pid: Option<&str>, count: Option<&str>) -> Result<Vec<TcpListener>, String> {
    let mine = pid.and_then(|pid| pid.parse().ok()) == Some(std::process::id());
    let count: RawFd = count.and_then(|count| count.parse().ok()).unwrap_or(0);
    if !mine || !(1..=64).contains(&count) {
        return Ok(Vec::new());
    }
    (FIRST_PASSED..FIRST_PASSED + count)
        .map(|fd| {
            let bad = |why: String| format!("socket {fd} of LISTEN_FDS: {why}");
            let socket = inherited::take(fd).map_err(|e| bad(e.to_string()))?;
            listener(socket).map_err(bad)
        })
        .collect()
}

fn listener(socket: OwnedFd) -> Result<TcpListener, String> {
    use nix::sys::socket::SockaddrLike as _;
    let accepts = getsockopt(&socket, sockopt::AcceptConn).unwrap_or(false);
    let address: nix::sys::socket::SockaddrStorage =
        getsockname(std::os::fd::AsRawFd::as_raw_fd(&socket)).map_err(|e| e.to_string())?;
    let internet = matches!(address.family(), Some(AddressFamily::Inet | AddressFamily::Inet6));
    if !accepts || !internet {
        return Err("not a listening TCP socket".into());
    }
    Ok(TcpListener::from(socket))
}
