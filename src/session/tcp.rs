//! A peer that is a daemon: the connection, the module, the login.

use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs};
use std::os::fd::OwnedFd;
use std::time::Duration;

use super::frames::LinkError;
use super::handshake::{Greeted, greet, unexpected};
use super::proxy::Through;
use super::ssh::Shell;
use crate::auth::{AuthError, Client, Password, Transcript};
use crate::engine::dial::{SocketOption, dial};
use crate::engine::stream::{Patience, StreamError};
use crate::sys::Errno;
use crate::wire::handshake::Module;
use crate::wire::{Fatal, ToClient, ToServer};

/// The port of a daemon of this program.
pub const PORT: u16 = 8730;

/// The port that `rsync://` stands for: a script changes over with its daemon's port as it was.
pub const RSYNC_PORT: u16 = 873;

/// Modules that a daemon may list. A guess: a configuration has some dozens.
const LISTED_MAX: usize = 1 << 16;

/// Where a daemon is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Daemon {
    /// Name or address of the machine.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Only addresses of this family, 4 or 6.
    pub family: Option<u8>,
    /// The address of this machine to connect from.
    pub from: Option<IpAddr>,
    /// How long a connection may take to come about.
    pub patience: Option<Duration>,
    /// Options of the socket (`--sockopts`).
    pub options: Vec<SocketOption>,
    /// What is between.
    pub through: Through,
}

impl Daemon {
    /// Connects and says hello.
    ///
    /// # Errors
    ///
    /// A message and an exit status (10, as rsync has for sockets): nobody is there. Else as [`greet`].
    pub fn connect(&self, patience: &Patience) -> Result<Greeted, LinkError> {
        let failed = |text| LinkError::Fatal(10, text);
        match &self.through {
            Through::Nothing => greet_on(self.dial(&self.host, self.port)?, patience),
            Through::Proxy(proxy) => {
                let stream = self.dial(&proxy.host, proxy.port)?;
                proxy.ask(&stream, &self.host, self.port, self.patience.or(patience.idle)).map_err(failed)?;
                greet_on(stream, patience)
            }
            Through::Program(program) => {
                let (input, output) = program.start(&self.host, self.port).map_err(failed)?;
                greet(input, output, patience)
            }
            Through::Shell(shell) => by_shell(shell, patience),
        }
    }

    fn dial(&self, host: &str, port: u16) -> Result<TcpStream, LinkError> {
        let failed = |why: String| LinkError::Fatal(10, format!("connect to {host} port {port}: {why}"));
        let ipv4 = self.family.map(|family| family == 4).or(self.from.map(|from| from.is_ipv4()));
        let fits = |address: &SocketAddr| ipv4.is_none_or(|ipv4| ipv4 == address.is_ipv4());
        let addresses = (host, port).to_socket_addrs().map_err(|e| failed(e.to_string()))?;
        let mut last = "no address of that kind".to_string();
        for address in addresses.filter(fits) {
            match dial(address, self.from, &self.options, self.patience) {
                Ok(stream) => return Ok(stream),
                Err(e) => last = e.to_string(),
            }
        }
        Err(failed(last))
    }
}

/// Has `shell` start the daemon, and says hello to it.
fn by_shell(shell: &Shell, patience: &Patience) -> Result<Greeted, LinkError> {
    let mut far = shell.start().map_err(|text| LinkError::Fatal(14, text))?;
    match far.greet(patience) {
        Ok(link) => {
            far.let_go();
            Ok(link)
        }
        Err(LinkError::Stream(StreamError::Closed)) => {
            let why = far.end().explain(&shell.program);
            Err(why.map_or(StreamError::Closed.into(), |(code, text)| LinkError::Fatal(code, text)))
        }
        Err(e) => {
            far.kill();
            far.end();
            Err(e)
        }
    }
}

/// Says hello on a TCP connection.
///
/// # Errors
///
/// As [`greet`].
pub fn greet_on(stream: TcpStream, patience: &Patience) -> Result<Greeted, LinkError> {
    let input = stream.try_clone().map_err(|e| StreamError::Failed {
        op: "duplicate the connection",
        source: Errno::from_raw(e.raw_os_error().unwrap_or(0)),
    })?;
    greet(OwnedFd::from(input), OwnedFd::from(stream), patience)
}

/// Who logs in, where a module asks.
pub struct Login<'a> {
    /// The user's name.
    pub user: Vec<u8>,
    /// Gets the password; asked only if the daemon asks.
    pub password: &'a dyn Fn() -> Result<Password, (u8, String)>,
}

/// Asks a daemon for a module, and logs in if that is wanted. `motd` gets the message of the day.
///
/// # Errors
///
/// The daemon refuses, the login fails (exit 5, as with rsync), or the conversation is over.
pub fn enter(
    link: &mut Greeted,
    module: &[u8],
    login: &Login<'_>,
    motd: &mut dyn FnMut(&[u8]),
) -> Result<(), LinkError> {
    link.writer.send(&ToServer::Module { name: module.to_vec() })?;
    let mut greeted = false;
    loop {
        match link.reader.expect::<ToClient>()? {
            ToClient::Motd(text) if !std::mem::replace(&mut greeted, true) => motd(&text),
            ToClient::AuthNeeded(_) => return prove(link, module, login),
            ToClient::Granted => return Ok(()),
            ToClient::Refused(Fatal { code, text }) => return Err(LinkError::Fatal(code, text)),
            other => return Err(unexpected(&other)),
        }
    }
}

fn prove(link: &mut Greeted, module: &[u8], login: &Login<'_>) -> Result<(), LinkError> {
    let failed = |_: AuthError| {
        let text =
            "the login failed: wrong password, no such user, or the daemon is not the one that knows it";
        LinkError::Fatal(5, text.into())
    };
    let password = (login.password)().map_err(|(code, text)| LinkError::Fatal(code, text))?;
    let transcript = Transcript::new(&link.ours.encode(), &link.theirs.encode(), module, &login.user);
    let (client, first) = Client::start(&login.user, password, transcript).map_err(failed)?;
    link.writer.send(&ToServer::Auth(first))?;
    let (key, last) = match link.reader.expect::<ToClient>()? {
        ToClient::Auth(second) => client.finish(&second).map_err(failed)?,
        ToClient::Refused(Fatal { code, text }) => return Err(LinkError::Fatal(code, text)),
        other => return Err(unexpected(&other)),
    };
    link.writer.send(&ToServer::Auth(last))?;
    match link.reader.expect::<ToClient>()? {
        ToClient::Granted => {
            // Whoever sent that without the key gets no further.
            link.seal(*key.bytes(), false);
            Ok(())
        }
        ToClient::Refused(Fatal { code, text }) => Err(LinkError::Fatal(code, text)),
        other => Err(unexpected(&other)),
    }
}

/// Asks a daemon for its modules.
///
/// # Errors
///
/// The daemon refuses, or the conversation is over.
pub fn modules(link: &mut Greeted, motd: &mut dyn FnMut(&[u8])) -> Result<Vec<Module>, LinkError> {
    link.writer.send(&ToServer::ListModules)?;
    let (mut all, mut greeted) = (Vec::new(), false);
    loop {
        match link.reader.expect::<ToClient>()? {
            ToClient::Motd(text) if !std::mem::replace(&mut greeted, true) => motd(&text),
            ToClient::Modules { modules, last } if all.len() < LISTED_MAX => {
                all.extend(modules);
                if last {
                    return Ok(all);
                }
            }
            ToClient::Refused(Fatal { code, text }) => return Err(LinkError::Fatal(code, text)),
            other => return Err(unexpected(&other)),
        }
    }
}
