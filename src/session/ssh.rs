//! A peer behind a remote shell: a child process whose standard input and output are the connection.

use std::ffi::{OsStr, OsString};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::process::{Child, Command, Stdio};

use super::frames::LinkError;
use super::handshake::{Greeted, greet};
use crate::engine::stream::{Patience, StreamError};
use crate::sys::thread;

/// How the other machine is reached.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Shell {
    /// The remote shell and its arguments, as `--rsh` has them: words, perhaps in quotes.
    pub command: Vec<u8>,
    /// The user there.
    pub user: Option<Vec<u8>>,
    /// The machine.
    pub host: Vec<u8>,
    /// The program to run there (`--rsync-path`); the remote shell reads it.
    pub program: Vec<u8>,
    /// `-4`, `-6`: given to a shell that is ssh.
    pub family: Option<u8>,
    /// What is started there is to offer modules, like a daemon.
    pub modules: bool,
}

/// The running remote shell.
#[derive(Debug)]
pub struct Remote {
    child: Child,
    /// What the peer writes.
    pub input: Option<OwnedFd>,
    /// What the peer reads.
    pub output: Option<OwnedFd>,
}

/// How the remote shell ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ShellEnd {
    /// With this exit status.
    Status(u8),
    /// By a signal.
    Killed,
}

impl Shell {
    /// Starts the remote shell.
    ///
    /// # Errors
    ///
    /// A message: the command or the host's name cannot be, or the shell cannot be started.
    pub fn start(&self) -> Result<Remote, String> {
        let mut words = words(&self.command)?.into_iter();
        let program = words.next().ok_or("--rsh names no command")?;
        check_host(&self.host)?;
        let mut command = Command::new(OsStr::from_bytes(&program));
        // The user of a module may be another than the one whom the shell was told.
        let told = self.modules && words.clone().any(|word| word == b"-l");
        command.args(words.map(OsString::from_vec));
        if let Some(user) = self.user.as_ref().filter(|_| !told) {
            if user.is_empty() || user.starts_with(b"-") {
                return Err(format!("a user cannot be called \"{}\"", crate::path::escape(user)));
            }
            command.arg("-l").arg(OsStr::from_bytes(user));
        }
        let name = program.rsplit(|&b| b == b'/').next().unwrap_or_default();
        if let Some(family) = self.family.filter(|_| name == b"ssh") {
            command.arg(if family == 4 { "-4" } else { "-6" });
        }
        // Options and paths do not go through the remote shell; they are told over the connection. The dot has an
        // rsync that is started instead begin its protocol, by which it is recognised.
        command
            .arg(OsStr::from_bytes(&self.host))
            .arg(OsStr::from_bytes(&self.program))
            .arg("--server")
            .args(self.modules.then_some("--daemon"))
            .arg(".");
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child =
            command.spawn().map_err(|e| format!("run \"{}\": {e}", crate::path::escape(&program)))?;
        let input = child.stdout.take().map(OwnedFd::from);
        let output = child.stdin.take().map(OwnedFd::from);
        Ok(Remote { child, input, output })
    }
}

impl Remote {
    /// Says hello to what was started there.
    ///
    /// # Errors
    ///
    /// As [`greet`].
    pub fn greet(&mut self, patience: &Patience) -> Result<Greeted, LinkError> {
        let (Some(input), Some(output)) = (self.input.take(), self.output.take()) else {
            return Err(StreamError::Closed.into());
        };
        greet(input, output, patience)
    }

    /// Leaves the remote shell to itself: it ends when the connection does, and how, nobody asks.
    pub fn let_go(mut self) {
        // Without a thread it is waited for when this process is gone.
        let _started = thread::start_apart(move || drop(self.child.wait()));
    }

    /// Waits for the remote shell, whose ends of the connection are closed, and says how it ended.
    pub fn end(&mut self) -> ShellEnd {
        (self.input, self.output) = (None, None);
        match self.child.wait() {
            Ok(status) => status
                .code()
                .and_then(|code| u8::try_from(code).ok())
                .map_or(ShellEnd::Killed, ShellEnd::Status),
            Err(_) => ShellEnd::Killed,
        }
    }

    /// Ends the remote shell.
    pub fn kill(&mut self) {
        // It has ended by itself already.
        let _gone = self.child.kill();
    }
}

impl ShellEnd {
    /// The exit status that a lost connection gets if the shell, which was to run `program`, ended like this, with
    /// rsync's meaning; and what to tell about it.
    #[must_use]
    pub fn explain(self, program: &[u8]) -> Option<(u8, String)> {
        let program = crate::path::escape(program);
        match self {
            ShellEnd::Status(0) => None,
            ShellEnd::Status(127) => Some((
                127,
                format!(
                    "the remote shell did not find \"{program}\": install sluice there, or say with --rsync-path where it is"
                ),
            )),
            ShellEnd::Status(126) => Some((
                126,
                format!("the remote shell could not run \"{program}\" (--rsync-path says what it runs)"),
            )),
            ShellEnd::Status(255) => {
                Some((255, "the remote shell failed: it does not reach the machine, or is not let in".into()))
            }
            ShellEnd::Status(code) => Some((
                12,
                format!(
                    "the remote shell, or \"{program}\" there, ended with status {code}, before it said what was wrong"
                ),
            )),
            ShellEnd::Killed => Some((125, "the remote shell was killed".into())),
        }
    }
}

/// The words of a command line: apart by blanks, with single and double quotes around what belongs together.
/// A quote in a quoted part is written twice.
///
/// # Errors
///
/// A quote that does not end.
fn words(line: &[u8]) -> Result<Vec<Vec<u8>>, String> {
    let mut words = Vec::new();
    let mut word: Option<Vec<u8>> = None;
    let mut bytes = line.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        match byte {
            b' ' | b'\t' => words.extend(word.take()),
            b'\'' | b'"' => {
                let word = word.get_or_insert_default();
                loop {
                    match bytes.next() {
                        Some(end) if end == byte => {
                            if bytes.next_if_eq(&byte).is_none() {
                                break;
                            }
                            word.push(byte);
                        }
                        Some(inside) => word.push(inside),
                        None => {
                            return Err(format!(
                                "a quote is missing in the command \"{}\"",
                                crate::path::escape(line)
                            ));
                        }
                    }
                }
            }
            other => word.get_or_insert_default().push(other),
        }
    }
    words.extend(word);
    Ok(words)
}

/// Refuses what a remote shell could take for an option or a command.
pub(super) fn check_host(host: &[u8]) -> Result<(), String> {
    let plain = |b: &u8| b.is_ascii_alphanumeric() || b"-._:%@".contains(b) || *b >= 0x80;
    if host.is_empty() || host.starts_with(b"-") || !host.iter().all(plain) {
        return Err(format!("a host cannot be called \"{}\"", crate::path::escape(host)));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(line: &str) -> Vec<String> {
        let words = words(line.as_bytes()).unwrap();
        words.into_iter().map(|word| String::from_utf8(word).unwrap()).collect()
    }

    #[test]
    fn a_command_is_split_at_blanks_outside_quotes() {
        assert_eq!(split("ssh -p 22"), ["ssh", "-p", "22"]);
        assert_eq!(split("  ssh\t-o 'ProxyCommand=nc \"x\" 1' "), ["ssh", "-o", "ProxyCommand=nc \"x\" 1"]);
        assert_eq!(split("a 'it''s' \"\" b\"c d\"e"), ["a", "it's", "", "bc de"]);
        assert!(words(b"ssh 'x").is_err());
    }

    #[test]
    fn a_host_cannot_be_an_option_or_a_command() {
        for host in ["", "-oProxyCommand=x", "a b", "a;b", "a\nb", "$(x)", "a/b", "`x`"] {
            assert!(check_host(host.as_bytes()).is_err(), "{host}");
        }
        for host in ["host", "10.0.0.1", "::1", "fe80::1%eth0", "a-b.example", "m\u{fc}nchen"] {
            assert!(check_host(host.as_bytes()).is_ok(), "{host}");
        }
    }
}
