//! Ways to a daemon that are no connection of one's own: an HTTP proxy, or a program.

use std::ffi::{OsStr, OsString};
use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::ssh::{Shell, check_host};
use crate::path::escape;
use crate::sys::thread;

/// The longest answer of a proxy that is read, in bytes. A guess: some dozens of headers.
const ANSWER_MAX: usize = 16 << 10;

/// How a daemon is reached.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Through {
    /// By a connection to it.
    #[default]
    Nothing,
    /// By a connection to a proxy.
    Proxy(Proxy),
    /// By a program's standard input and output.
    Program(Program),
    /// By a remote shell, which starts it for this connection alone.
    Shell(Shell),
}

/// An HTTP proxy that makes connections for others (`RSYNC_PROXY`).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Proxy {
    /// Its name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// `USER:PASSWORD`, if it wants that.
    pub login: Option<Vec<u8>>,
}

impl Proxy {
    /// Reads `[USER:PASSWORD@]HOST:PORT`; an IPv6 address stands in brackets. `None`: it is something else.
    #[must_use]
    pub fn parse(text: &OsStr) -> Option<Proxy> {
        let bytes = text.as_bytes();
        let (login, place) = match bytes.iter().rposition(|&b| b == b'@') {
            Some(at) => (Some(bytes[..at].to_vec()), &bytes[at + 1..]),
            None => (None, bytes),
        };
        let (host, port) = std::str::from_utf8(place).ok()?.rsplit_once(':')?;
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let port = port.parse().ok().filter(|port| *port > 0)?;
        (!host.is_empty()).then(|| Proxy { host: host.to_owned(), port, login })
    }

    /// Has the proxy at the other end of `stream` connect to `host`; each of its pauses may be `patience` long.
    ///
    /// # Errors
    ///
    /// A text: it does not answer, or with something else than yes.
    pub(super) fn ask(
        &self,
        mut stream: &TcpStream,
        host: &str,
        port: u16,
        patience: Option<Duration>,
    ) -> Result<(), String> {
        let failed = |why: &dyn std::fmt::Display| format!("proxy {} port {}: {why}", self.host, self.port);
        check_host(host.as_bytes())?;
        let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
        let login =
            self.login.as_deref().map(|login| format!("Proxy-Authorization: Basic {}\r\n", base64(login)));
        let asked = format!("CONNECT {host}:{port} HTTP/1.0\r\n{}\r\n", login.unwrap_or_default());
        let mut talk = || -> io::Result<Vec<u8>> {
            stream.set_read_timeout(patience)?;
            stream.write_all(asked.as_bytes())?;
            let mut answer = Vec::new();
            // Byte by byte: what comes behind the empty line is the daemon's.
            while !answer.ends_with(b"\r\n\r\n") && !answer.ends_with(b"\n\n") && answer.len() < ANSWER_MAX {
                let mut byte = [0];
                stream.read_exact(&mut byte)?;
                answer.push(byte[0]);
            }
            stream.set_read_timeout(None)?;
            Ok(answer)
        };
        let answer = talk().map_err(|e| failed(&e))?;
        let line = answer.split(|b| b"\r\n".contains(b)).next().unwrap_or_default();
        let mut words = line.split(|&b| b == b' ').filter(|word| !word.is_empty());
        let http = words.next().is_some_and(|word| word.starts_with(b"HTTP/"));
        let yes = words.next().is_some_and(|code| code.len() == 3 && code.starts_with(b"2"));
        if http && yes && answer.len() < ANSWER_MAX {
            return Ok(());
        }
        Err(failed(&format!("bad response: \"{}\"", escape(line))))
    }
}

/// A program that makes the connection (`RSYNC_CONNECT_PROG`).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Program {
    /// A shell's command, as the operator wrote it; `%H` is the daemon's host, `%%` a percent sign.
    pub command: Vec<u8>,
    /// The shell that runs it.
    pub shell: OsString,
}

impl Program {
    /// Starts it for a daemon; returns what it writes and what it reads.
    ///
    /// # Errors
    ///
    /// A text: it cannot be started, or `host` is nothing that a shell may see.
    pub(super) fn start(&self, host: &str, port: u16) -> Result<(OwnedFd, OwnedFd), String> {
        check_host(host.as_bytes())?;
        let failed = |e: io::Error| format!("run \"{}\": {e}", escape(self.shell.as_bytes()));
        // A socket, so that file data can go by reference as far as here.
        let (ours, theirs) = UnixStream::pair().map_err(failed)?;
        let twice = || Ok((ours.try_clone()?, theirs.try_clone()?));
        let (input, to) = twice().map_err(failed)?;
        let mut command = Command::new(&self.shell);
        command.arg("-c").arg(OsStr::from_bytes(&self.for_host(host.as_bytes())));
        command.env("RSYNC_PORT", port.to_string()).env("SLUICE_PORT", port.to_string());
        command.stdin(Stdio::from(OwnedFd::from(theirs))).stdout(Stdio::from(OwnedFd::from(to)));
        let mut child = command.spawn().map_err(failed)?;
        // It ends when the connection does; how, nobody asks. Without a thread it is waited for when this process is gone.
        let _started = thread::start_apart(move || drop(child.wait()));
        Ok((input.into(), ours.into()))
    }

    fn for_host(&self, host: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        let mut bytes = self.command.iter().copied().peekable();
        while let Some(byte) = bytes.next() {
            match (byte, bytes.peek()) {
                (b'%', Some(b'H')) => out.extend_from_slice(host),
                (b'%', Some(b'%')) => out.push(b'%'),
                _ => {
                    out.push(byte);
                    continue;
                }
            }
            bytes.next();
        }
        out
    }
}

/// As RFC 4648 has it.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for part in bytes.chunks(3) {
        let word = part.iter().fold(0_u32, |word, b| word << 8 | u32::from(*b)) << (8 * (3 - part.len()));
        for at in 0..4 {
            let digit = DIGITS[(word >> (18 - 6 * at)) as usize & 63];
            text.push(if at <= part.len() { char::from(digit) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_the_rfc() {
        for (plain, coded) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(plain.as_bytes()), coded);
        }
        assert_eq!(base64(&[0xff, 0xfe, 0xfb]), "//77");
    }

    #[test]
    fn a_proxy_is_a_host_and_a_port_and_perhaps_a_login() {
        let parsed = |text: &str| Proxy::parse(OsStr::new(text)).map(|p| (p.host, p.port, p.login));
        assert_eq!(parsed("proxy:3128"), Some(("proxy".into(), 3128, None)));
        assert_eq!(parsed("[::1]:80"), Some(("::1".into(), 80, None)));
        assert_eq!(parsed("joe:p@ss@proxy:80"), Some(("proxy".into(), 80, Some(b"joe:p@ss".to_vec()))));
        for bad in ["proxy", "proxy:", ":80", "proxy:0", "proxy:99999", "proxy:http"] {
            assert_eq!(parsed(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_host_takes_the_place_of_its_sign_alone() {
        let program = |command: &str| Program { command: command.into(), shell: "sh".into() };
        assert_eq!(program("ssh gate nc %H 8730").for_host(b"far"), b"ssh gate nc far 8730");
        assert_eq!(program("%%H %H%H %x %").for_host(b"h"), b"%H hh %x %");
        assert!(program("true").start("a;b", 1).is_err());
    }
}
