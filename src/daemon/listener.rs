//! The listener: accepts connections and gives each a process of its own, which is this program run anew.
//!
//! Run anew, not forked, so that connections share neither memory nor its layout. The process gets the
//! connection as its standard input, as from inetd, and a pipe as its standard output on which one byte says
//! that its client has been let in: until then it counts against limits that strangers cannot push up.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGTERM};
use signal_hook::low_level::pipe;

use super::limits::{Limits, Penalties, TurnedAway, source};
use super::log::Log;
use crate::process::rights::ALARM;

/// The port where there is no other word.
pub const PORT: u16 = 8730;

/// What a connection's process writes to its standard output once its client has been let in (ASCII ACK).
pub const LET_IN: u8 = 0x06;

/// The exit status of a connection's process whose client failed to log in (rsync's number for it).
pub const LOGIN_FAILED: i32 = 5;

/// The exit status of a connection's process that found a mistake in the configuration, and told its client.
pub const MISCONFIGURED: i32 = 3;

/// How many clients that are not heard are told why at the same time, and for how long: a socket each, no process.
const TOLD_MOST: usize = 64;

/// See [`TOLD_MOST`].
const TOLD_FOR: Duration = Duration::from_secs(3);

/// Listens on `address`, or else on all addresses.
///
/// # Errors
///
/// The port is taken, or needs privilege.
pub fn bind(address: Option<IpAddr>, port: u16) -> Result<Vec<TcpListener>, String> {
    let bind = |ip: IpAddr| {
        let at = SocketAddr::new(ip, port);
        TcpListener::bind(at).map_err(|e| (e.kind(), format!("listen on {at}: {e}")))
    };
    let listener = match address {
        Some(ip) => bind(ip),
        // One socket for both kinds of addresses, where there are both.
        None => bind(Ipv6Addr::UNSPECIFIED.into()).or_else(|(kind, why)| match kind {
            ErrorKind::AddrInUse | ErrorKind::PermissionDenied => Err((kind, why)),
            _ => bind(Ipv4Addr::UNSPECIFIED.into()),
        }),
    };
    Ok(vec![listener.map_err(|(_, why)| why)?])
}

/// The signals that a listener obeys, from when it is made.
pub struct Signals {
    wake: UnixStream,
    stop: Arc<AtomicBool>,
    again: Arc<AtomicBool>,
}

impl Signals {
    /// From now on SIGTERM and SIGINT ask the listener to end, SIGHUP to read its configuration.
    ///
    /// # Errors
    ///
    /// Descriptors ran out.
    pub fn register() -> std::io::Result<Signals> {
        let (wake, woken) = UnixStream::pair()?;
        wake.set_nonblocking(true)?;
        let (stop, again) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        for (signal, flag) in
            [(SIGTERM, Some(&stop)), (SIGINT, Some(&stop)), (SIGHUP, Some(&again)), (SIGCHLD, None)]
        {
            if let Some(flag) = flag {
                signal_hook::flag::register(signal, Arc::clone(flag))?;
            }
            // Behind the flag, so that it is seen by whoever is woken.
            pipe::register(signal, woken.try_clone()?)?;
        }
        Ok(Signals { wake, stop, again })
    }
}

/// A process that serves one connection.
struct Connection {
    child: Child,
    /// Until it says that its client is in, or ends.
    pipe: Option<ChildStdout>,
    let_in: bool,
    source: IpAddr,
}

/// Everything that the listener works with.
pub struct Listener<'a> {
    /// Where connections come from.
    pub sockets: Vec<TcpListener>,
    /// Makes the command that serves one connection, without its standard input and output.
    pub command: &'a dyn Fn() -> Command,
    /// How many there may be.
    pub limits: Limits,
    /// Where events go.
    pub log: &'a Log,
    /// What a client is sent that is not heard for its failed logins.
    pub unheard: Vec<u8>,
    /// SIGHUP: reads the configuration again, and says what came of it.
    pub again: &'a mut dyn FnMut() -> String,
}

impl Listener<'_> {
    /// Accepts connections until it is asked to stop. Connections that are being served go on.
    ///
    /// # Errors
    ///
    /// The sockets cannot be waited for.
    pub fn run(self, signals: &Signals) -> Result<(), String> {
        let mut connections: Vec<Connection> = Vec::new();
        let mut turned_away = TurnedAway::default();
        let mut penalties = Penalties::default();
        let mut told: VecDeque<(Instant, TcpStream)> = VecDeque::new();
        for socket in &self.sockets {
            socket.set_nonblocking(true).map_err(|e| format!("listen: {e}"))?;
        }
        loop {
            let mut waited: Vec<PollFd> = vec![PollFd::new(signals.wake.as_fd(), PollFlags::POLLIN)];
            waited.extend(self.sockets.iter().map(|s| PollFd::new(s.as_fd(), PollFlags::POLLIN)));
            let pipes = connections.iter().filter_map(|c| c.pipe.as_ref());
            waited.extend(pipes.map(|pipe| PollFd::new(pipe.as_fd(), PollFlags::POLLIN)));
            let until = if told.is_empty() { PollTimeout::NONE } else { PollTimeout::from(1000u16) };
            match poll(&mut waited, until) {
                Ok(_) | Err(nix::Error::EINTR) => {}
                Err(e) => return Err(format!("wait for connections: {e}")),
            }
            let mut drain = [0; 256];
            while matches!((&signals.wake).read(&mut drain), Ok(n) if n > 0) {}
            if signals.stop.load(Ordering::Relaxed) {
                return Ok(());
            }
            if signals.again.swap(false, Ordering::Relaxed) {
                self.log.line(&(self.again)());
            }
            while told.front().is_some_and(|(since, _)| since.elapsed() > TOLD_FOR) {
                told.pop_front();
            }
            connections.iter_mut().for_each(Connection::hear);
            let mut misconfigured = Vec::new();
            connections.retain_mut(|connection| match connection.has_ended(self.log, &mut penalties) {
                Some(MISCONFIGURED) => {
                    misconfigured.push(connection.source);
                    false
                }
                ended => ended.is_none(),
            });
            if !misconfigured.is_empty() {
                let why = (self.again)();
                misconfigured.iter().for_each(|source| turned_away.tell(self.log, *source, &why));
            }
            for socket in &self.sockets {
                // A few at a time, so that signals and ends are seen in between.
                for _ in 0..16 {
                    let (stream, peer) = match socket.accept() {
                        Ok(accepted) => accepted,
                        Err(e) if e.kind() == ErrorKind::WouldBlock => break,
                        Err(e) if e.kind() == ErrorKind::ConnectionAborted => continue,
                        Err(e) => {
                            self.log.line(&format!("accept: {e}"));
                            // Descriptors or memory ran out: asking again at once would only burn time.
                            std::thread::sleep(Duration::from_millis(100));
                            break;
                        }
                    };
                    let source = source(peer.ip());
                    let all = connections.iter().map(|c| (c.source, c.let_in));
                    if let Err(why) = penalties.check(source, Instant::now()) {
                        turned_away.tell(self.log, peer.ip(), why);
                        self.tell(stream, &mut told);
                        continue;
                    }
                    match self.limits.admit(all, source) {
                        Ok(()) => self.start(stream, peer, &mut connections),
                        Err(why) => turned_away.tell(self.log, peer.ip(), why),
                    }
                }
            }
        }
    }

    /// Has a client know that it is not heard, whatever it says: closed at once, the connection could break before it
    /// has read that.
    fn tell(&self, mut stream: TcpStream, told: &mut VecDeque<(Instant, TcpStream)>) {
        let said = stream.set_nonblocking(true).and_then(|()| stream.write_all(&self.unheard));
        if said.and_then(|()| stream.shutdown(Shutdown::Write)).is_ok() {
            told.push_back((Instant::now(), stream));
            if told.len() > TOLD_MOST {
                told.pop_front();
            }
        }
    }

    fn start(&self, stream: TcpStream, peer: SocketAddr, connections: &mut Vec<Connection>) {
        let started = stream.set_nonblocking(false).and_then(|()| {
            let mut command = (self.command)();
            command.stdin(OwnedFd::from(stream)).stdout(Stdio::piped()).spawn()
        });
        match started {
            Ok(mut child) => {
                let pipe = child.stdout.take().filter(|pipe| {
                    use nix::fcntl::{FcntlArg, OFlag, fcntl};
                    fcntl(pipe, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).is_ok()
                });
                connections.push(Connection { child, pipe, let_in: false, source: source(peer.ip()) });
            }
            Err(e) => self.log.line(&format!("start a process for {}: {e}", peer.ip())),
        }
    }
}

impl Connection {
    fn hear(&mut self) {
        let Some(pipe) = &mut self.pipe else { return };
        let mut heard = [0; 64];
        match pipe.read(&mut heard) {
            Ok(0) => self.pipe = None,
            Ok(n) => self.let_in |= heard[..n].contains(&LET_IN),
            Err(e) if e.kind() == ErrorKind::WouldBlock || e.kind() == ErrorKind::Interrupted => {}
            Err(_) => self.pipe = None,
        }
    }

    /// The exit status of its process, 0 where there is none; `None`: it goes on.
    fn has_ended(&mut self, log: &Log, penalties: &mut Penalties) -> Option<i32> {
        use std::os::unix::process::ExitStatusExt as _;
        let Ok(ended) = self.child.try_wait() else { return Some(0) };
        let status = ended?;
        match status.signal() {
            Some(ALARM) => log.line(&format!("{}: no login in time, connection ended", self.source)),
            Some(signal) => {
                log.line(&format!("{}: the connection's process died of signal {signal}", self.source))
            }
            None if status.code() == Some(LOGIN_FAILED) => penalties.failed(self.source, Instant::now()),
            None => {}
        }
        Some(status.code().unwrap_or(0))
    }
}
