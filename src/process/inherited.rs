//! The sockets that a process is started with: one connection on standard input, or listeners of systemd.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd, RawFd};

use nix::libc;
use nix::sys::socket::{
    AddressFamily, SockType, SockaddrLike as _, SockaddrStorage, getpeername, getsockname, getsockopt,
    setsockopt, sockopt,
};

use crate::sys::{inherited, stat};

/// The first descriptor that systemd passes on (`sd_listen_fds(3)`).
const FIRST_PASSED: RawFd = 3;

/// A connection that this process was started with.
#[derive(Debug)]
pub struct Connection {
    /// What the client sends.
    pub input: OwnedFd,
    /// What it gets.
    pub output: OwnedFd,
    /// Its address. A client by a Unix socket has none, and is on this machine: it counts as 127.0.0.1, as with
    /// rsync. One by a remote shell has what the shell says; or the unspecified address, which no `hosts allow` names.
    pub client: SocketAddr,
}

/// The connection of a process that a remote shell has started: standard input and output, whatever they are.
/// `from` is the variable `SSH_CONNECTION`, which sshd sets. All other descriptors but the standard ones are closed.
///
/// # Errors
///
/// They are not open; or the kernel is older than Linux 5.9.
pub fn by_shell(from: Option<&str>) -> Result<Connection, String> {
    inherited::close_from(FIRST_PASSED.unsigned_abs()).map_err(|e| format!("close_range: {e}"))?;
    let own =
        |fd: BorrowedFd<'_>| fd.try_clone_to_owned().map_err(|e| format!("standard input and output: {e}"));
    let mut words = from.unwrap_or_default().split(' ');
    let client =
        words.next().and_then(|ip| Some(SocketAddr::new(ip.parse().ok()?, words.next()?.parse().ok()?)));
    Ok(Connection {
        input: own(std::io::stdin().as_fd())?,
        output: own(std::io::stdout().as_fd())?,
        client: client.unwrap_or(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0))),
    })
}

/// The connection on standard input, if it is one: inetd, systemd with `Accept=yes`, our own listener, a program that
/// joins it with a client by a Unix socket (the type is that of the usual case). Then all other descriptors but the
/// standard ones are closed: call it before anything is opened.
///
/// # Errors
///
/// It is a socket, but not a connected stream; or the kernel is older than Linux 5.9.
pub fn connection() -> Result<Option<Connection>, String> {
    let stdin = std::io::stdin();
    if !is_socket(stdin.as_fd()) {
        return Ok(None);
    }
    if getsockopt(&stdin, sockopt::SockType) != Ok(SockType::Stream) {
        return Err("standard input is a socket, but no stream".into());
    }
    inherited::close_from(FIRST_PASSED.unsigned_abs()).map_err(|e| format!("close_range: {e}"))?;
    let stream = stdin.as_fd().try_clone_to_owned().map_err(|e| format!("standard input: {e}"))?;
    let stream = TcpStream::from(stream);
    // A peer that has vanished without a word is noticed in the end. If it cannot be, a timeout will have to do.
    let _without = setsockopt(&stream, sockopt::KeepAlive, &true);
    let connected = peer(&stream).and_then(|client| Ok((client, stream.try_clone()?)));
    let (client, input) =
        connected.map_err(|e| format!("standard input is a socket, but not connected: {e}"))?;
    Ok(Some(Connection { input: input.into(), output: stream.into(), client }))
}

fn peer(stream: &TcpStream) -> std::io::Result<SocketAddr> {
    let there: SockaddrStorage = getpeername(stream.as_raw_fd())?;
    match there.family() {
        Some(AddressFamily::Unix) => Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))),
        _ => stream.peer_addr(),
    }
}

fn is_socket(fd: BorrowedFd<'_>) -> bool {
    stat::fstat(fd).is_ok_and(|st| st.st_mode & libc::S_IFMT == libc::S_IFSOCK)
}

fn is_internet(fd: BorrowedFd<'_>) -> bool {
    let address = getsockname::<SockaddrStorage>(fd.as_raw_fd());
    let family = address.ok().and_then(|address| address.family());
    matches!(family, Some(AddressFamily::Inet | AddressFamily::Inet6))
}

/// Whether somebody hears what is written to standard error: not `/dev/null`, and not the connection
/// itself, which inetd gives for it too.
#[must_use]
pub fn stderr_is_heard() -> bool {
    let error = std::io::stderr();
    let null = stat::fstat(error.as_fd())
        .map(|st| st.st_mode & libc::S_IFMT == libc::S_IFCHR && st.st_rdev == libc::makedev(1, 3));
    null == Ok(false) && !is_internet(error.as_fd()) && !is_same(error.as_fd(), std::io::stdin().as_fd())
}

/// Whether both are the same socket.
fn is_same(a: BorrowedFd<'_>, b: BorrowedFd<'_>) -> bool {
    let inode = |fd| stat::fstat(fd).map(|st| (st.st_dev, st.st_ino)).ok();
    is_socket(a) && inode(a) == inode(b)
}

/// Whether standard output is a pipe.
#[must_use]
pub fn stdout_is_a_pipe() -> bool {
    stat::fstat(std::io::stdout().as_fd()).is_ok_and(|st| st.st_mode & libc::S_IFMT == libc::S_IFIFO)
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
    let accepts = getsockopt(&socket, sockopt::AcceptConn).unwrap_or(false);
    if accepts && is_internet(socket.as_fd()) {
        Ok(TcpListener::from(socket))
    } else {
        Err("not a listening TCP socket".into())
    }
}
