//! `sluice --daemon`: listens, or serves the one connection on its standard input.

use std::ffi::{OsStr, OsString};
use std::io::{self, Write as _};
use std::net::IpAddr;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};

use super::conversation;
use super::exit::Status;
use crate::daemon::config::{Config, Settings};
use crate::daemon::connection::{self, Begin, Outcome};
use crate::daemon::conversation::Refusal;
use crate::daemon::limits::Limits;
use crate::daemon::listener::{self, LET_IN, LOGIN_FAILED, Listener, MISCONFIGURED, Signals};
use crate::daemon::log::Log;
use crate::path::escape;
use crate::process::background::{self, PidFile};
use crate::process::ids;
use crate::process::inherited::{self, Connection};

/// The configuration where none is named.
const CONFIG: &str = "/etc/sluiced.conf";

/// The same for whoever has come by a remote shell and is not root: in their home directory, as with rsync.
const OWN_CONFIG: &str = "sluiced.conf";

/// rsync's exit status for sockets that cannot be had.
const SOCKET_IO: u8 = 10;

/// What was typed about the daemon.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Options {
    /// `--daemon`.
    pub daemon: bool,
    /// `--server`: started by a remote shell, for one client on standard input and output.
    pub server: bool,
    /// `--no-detach` turns it off.
    pub detach: bool,
    /// `--config`.
    pub config: Option<OsString>,
    /// Each `--dparam`: a parameter in the place of the configuration's global one.
    pub overrides: Vec<OsString>,
    /// Each `--module`.
    pub modules: Vec<OsString>,
    /// `--address`.
    pub address: Option<IpAddr>,
    /// `--port`.
    pub port: Option<u16>,
    /// `--log-file`: in the place of every `log file` of the configuration.
    pub log_file: Option<OsString>,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            daemon: false,
            server: false,
            detach: true,
            config: None,
            overrides: Vec::new(),
            modules: Vec::new(),
            address: None,
            port: None,
            log_file: None,
        }
    }
}

/// Why the daemon does not run: the exit status and the message.
struct Failure(u8, String);

/// Runs the daemon; `begin` makes the protocol's side of a connection. Returns when it was asked to end, or
/// its one connection has ended.
#[must_use]
pub fn run(options: &Options, begin: Begin<'_>) -> ExitCode {
    let connection = match options.server {
        true => inherited::by_shell(std::env::var("SSH_CONNECTION").ok().as_deref()).map(Some),
        false => inherited::connection(),
    };
    let ended = match connection {
        Ok(Some(connection)) => Ok(serve(options, connection, begin)),
        Ok(None) => listen(options).map(|()| ExitCode::SUCCESS),
        Err(why) => Err(Failure(SOCKET_IO, why)),
    };
    ended.unwrap_or_else(|Failure(status, why)| {
        super::complain(&why);
        ExitCode::from(status)
    })
}

fn configuration(options: &Options) -> Result<Config, String> {
    let mut config = if options.modules.is_empty() {
        let usual = if options.server && ids::own_uid() != 0 { OWN_CONFIG } else { CONFIG };
        let path = options.config.as_deref().unwrap_or(OsStr::new(usual));
        Config::load(path, &|name| std::env::var_os(name), &options.overrides).map_err(|e| {
            match options.config {
                Some(_) => e.to_string(),
                None => format!("{e}; name another file with --config, or try --module=NAME=PATH"),
            }
        })?
    } else {
        Config::quick(&options.modules).map_err(|e| e.to_string())?
    };
    if let Some(path) = &options.log_file {
        config.defaults.log_file = Some(path.clone());
        config.modules.iter_mut().for_each(|module| module.settings.log_file = Some(path.clone()));
    }
    Ok(config)
}

/// One connection, in a process that has nothing else to do.
fn serve(options: &Options, connection: Connection, begin: Begin<'_>) -> ExitCode {
    // What a remote shell passes on is for its user, and the log is not.
    let heard = !options.server && inherited::stderr_is_heard();
    let listener = !options.server && inherited::stdout_is_a_pipe();
    let config = match configuration(options) {
        Ok(config) => config,
        Err(why) => {
            // Whoever has come by a shell could read the file there themselves.
            if options.server {
                super::complain(&why);
            }
            // A listener reads the file itself, and has the log that the file names.
            if let Ok(log) = Log::open(&Settings::default(), heard)
                && !listener
            {
                log.line(&format!("connection refused: {why}"));
            }
            connection::turn_away(connection, begin);
            return ExitCode::from(u8::try_from(MISCONFIGURED).unwrap_or(1));
        }
    };
    let let_in = || {
        // Anybody else would not know what the byte means.
        if listener {
            let _gone = io::stdout().write_all(&[LET_IN]).and_then(|()| io::stdout().flush());
        }
    };
    match connection::handle(connection, &config, begin, heard, &let_in) {
        Outcome::Served => ExitCode::SUCCESS,
        Outcome::LoginFailed => ExitCode::from(u8::try_from(LOGIN_FAILED).unwrap_or(1)),
        Outcome::Failed => ExitCode::from(12),
    }
}

fn listen(options: &Options) -> Result<(), Failure> {
    let usage = |why: String| Failure(Status::Usage.code(), why);
    let variable = |name: &str| std::env::var(name).ok();
    let passed = inherited::listeners(variable("LISTEN_PID").as_deref(), variable("LISTEN_FDS").as_deref())
        .map_err(|why| Failure(SOCKET_IO, why))?;
    // Whoever goes into the background, or changes root, still knows where its files are.
    let options = &Options {
        config: options.config.as_deref().map(absolute).transpose().map_err(usage)?,
        log_file: options.log_file.as_deref().map(absolute).transpose().map_err(usage)?,
        modules: options
            .modules
            .iter()
            .map(|m| absolute_module(m))
            .collect::<Result<_, _>>()
            .map_err(usage)?,
        ..options.clone()
    };
    let config = configuration(options).map_err(usage)?;
    let address = options.address.or(config.globals.address);
    let port = options.port.or(config.globals.port).unwrap_or(listener::PORT);
    let from_systemd = !passed.is_empty();
    let sockets = if from_systemd {
        passed
    } else {
        listener::bind(address, port).map_err(|why| Failure(SOCKET_IO, why))?
    };
    let mut pid_file = match &config.globals.pid_file {
        Some(path) => Some(PidFile::lock(path).map_err(|why| Failure(Status::FileIo.code(), why))?),
        None => None,
    };
    let io = |what: &'static str| move |e: io::Error| Failure(Status::FileIo.code(), format!("{what}: {e}"));
    // A first try is looked at; a service that systemd started has no terminal to leave.
    if options.detach && options.modules.is_empty() && !from_systemd {
        background::detach().map_err(|e| io("detach")(e.into()))?;
    }
    let log = Log::open(&config.defaults, inherited::stderr_is_heard());
    let log = log.map_err(|why| Failure(Status::FileIo.code(), why))?;
    if let Some(file) = &mut pid_file {
        file.write().map_err(io("write pid file"))?;
    }
    config.unusable().for_each(|why| log.line(&why));
    let signals = Signals::register().map_err(io("register signal handlers"))?;
    for socket in &sockets {
        let at = socket.local_addr().map_err(io("listen"))?;
        log.line(&format!("sluice {} listens on {at}", env!("CARGO_PKG_VERSION")));
        if !options.modules.is_empty() {
            for module in &config.modules {
                log.line(&format!("try: sluice sluice://{at}/{}/", escape(&module.name)));
            }
        }
    }
    let command = || again(options);
    let mut check = || match configuration(options) {
        Ok(config) => {
            let read = format!("configuration read: {} modules", config.modules.len());
            std::iter::once(read).chain(config.unusable()).collect::<Vec<_>>().join("; ")
        }
        Err(why) => format!("{why}; connections are refused until that is mended"),
    };
    let listener = Listener {
        sockets,
        command: &command,
        limits: Limits::default(),
        log: &log,
        unheard: conversation::unheard(&Refusal::TooManyFailures),
        again: &mut check,
    };
    let ended = listener.run(&signals).map_err(|why| Failure(SOCKET_IO, why));
    log.line("listens no more");
    if let Some(file) = pid_file {
        file.remove();
    }
    ended
}

/// This program once more, for one connection. By `/proc/self/exe`: an upgrade in between changes nothing.
fn again(options: &Options) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.arg0("sluice").arg("--daemon");
    let with = |name: &str, value: &OsStr| {
        let mut argument = OsString::from(name);
        argument.push(value);
        argument
    };
    command.args(options.config.iter().map(|path| with("--config=", path)));
    command.args(options.overrides.iter().map(|text| with("--dparam=", text)));
    command.args(options.modules.iter().map(|module| with("--module=", module)));
    command.args(options.log_file.iter().map(|path| with("--log-file=", path)));
    command
}

fn absolute(path: &OsStr) -> Result<OsString, String> {
    let found = std::path::absolute(path).map_err(|e| format!("working directory: {e}"))?;
    Ok(found.into_os_string())
}

/// `NAME=PATH`, the path made absolute.
fn absolute_module(text: &OsStr) -> Result<OsString, String> {
    use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
    let bytes = text.as_bytes();
    match bytes.iter().position(|&b| b == b'=') {
        Some(at) if at + 1 < bytes.len() => {
            let path = absolute(OsStr::from_bytes(&bytes[at + 1..]))?;
            Ok(OsString::from_vec([&bytes[..=at], path.as_bytes()].concat()))
        }
        _ => Ok(text.to_owned()),
    }
}
