//! A run with another machine: which side that is, how it is reached, and how the run ends.

use std::cell::OnceCell;
use std::ffi::{OsStr, OsString};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::asked_log::AskedLog;
use super::exit::Status;
use super::operand::Place;
use super::report::Reporter;
use super::resolve::Run;
use super::retry::Memory;
use super::signalled::Signalled;
use super::{complain, operand};
use crate::engine::stream::{Patience, StreamError};
use crate::event::Meter;
use crate::process::ids::{self, Identity};
use crate::session::Summary;
use crate::session::frames::LinkError;
use crate::session::handshake::greet;
use crate::session::proxy::Through;
use crate::session::remote::{self, Machine, Served};
use crate::session::ssh::{Shell, ShellEnd};
use crate::session::tcp::{self, Daemon, Login};
use crate::session::watch::{LogFile, Watch};
use crate::wire::Role;

/// The other machine.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Peer {
    /// It has the sources; otherwise the destination.
    pub sends: bool,
    /// How it is reached.
    pub way: Way,
    /// A silence of so long ends the run (`--timeout`).
    pub idle: Option<Duration>,
}

/// How another machine is reached.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Way {
    /// By a remote shell.
    Shell(Shell),
    /// As a daemon.
    Daemon {
        /// Where it is.
        daemon: Daemon,
        /// Which of its modules; `None`: they are to be listed.
        module: Option<Vec<u8>>,
        /// Who logs in, if the module asks.
        user: Vec<u8>,
        /// Where the password is, if the module asks (`--password-file`).
        password_file: Option<OsString>,
        /// Leaves the message of the day out.
        no_motd: bool,
    },
}

impl Way {
    /// The machine.
    #[must_use]
    pub fn host(&self) -> &[u8] {
        match self {
            Way::Shell(shell) => &shell.host,
            Way::Daemon { daemon, .. } => daemon.host.as_bytes(),
        }
    }

    /// The remote shell, if there is one.
    #[must_use]
    pub fn shell_mut(&mut self) -> Option<&mut Shell> {
        match self {
            Way::Shell(shell) | Way::Daemon { daemon: Daemon { through: Through::Shell(shell), .. }, .. } => {
                Some(shell)
            }
            Way::Daemon { .. } => None,
        }
    }
}

/// A connection that came to its end before the run did.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Lost {
    /// The exit status.
    pub code: u8,
    /// What there is to say about it.
    pub lines: Vec<String>,
    /// It broke, or was not to be had now: it may be worth another try.
    pub again: bool,
}

/// Runs a transfer with another machine, to its end.
///
/// # Errors
///
/// The connection is over before that.
pub fn run(
    run: &Run,
    peer: &Peer,
    meter: &Arc<Meter>,
    reporter: &Reporter,
    memory: &Memory,
    began: Instant,
) -> Result<ExitCode, Lost> {
    let patience = Patience { stop: Arc::clone(&meter.stop), idle: peer.idle, until: None };
    let transfer = |link| {
        if let Some(Err(why)) = run.copy_as.as_ref().map(Identity::assume) {
            return Err(LinkError::Fatal(Status::Usage.code(), format!("--copy-as: {why}")));
        }
        if peer.sends {
            remote::pull(link, &run.options, meter, reporter)
        } else {
            remote::push(link, &run.options, meter, reporter)
        }
    };
    let shell = match &peer.way {
        Way::Shell(shell) => shell,
        Way::Daemon { daemon, module, user, password_file, no_motd } => {
            let mut show = |text: &[u8]| {
                if !no_motd {
                    reporter.motd(text);
                }
            };
            let ask = || memory.password(password_file.as_deref());
            let result = daemon.connect(&patience).and_then(|mut link| {
                let Some(module) = module else {
                    for module in tcp::modules(&mut link, &mut show)? {
                        reporter.module(&module.name, &module.comment);
                    }
                    return Ok(None);
                };
                let login = Login { user: user.clone(), password: &ask };
                tcp::enter(&mut link, module, &login, &mut show)?;
                transfer(link).map(Some)
            });
            return match result {
                Ok(Some(summary)) => Ok(finish(reporter, &summary, began)),
                Ok(None) => Ok(ExitCode::SUCCESS),
                Err(e) => Err(lost(&e, None)),
            };
        }
    };
    let mut far = match shell.start() {
        Ok(far) => far,
        Err(message) => return Err(Lost { code: 14, lines: vec![message], again: false }),
    };
    let mut greeted = false;
    let result = far.greet(&patience).and_then(|link| {
        greeted = true;
        transfer(link)
    });
    match result {
        Ok(summary) => {
            far.end();
            Ok(finish(reporter, &summary, began))
        }
        Err(e) => {
            if !matches!(e, LinkError::Stream(StreamError::Closed)) {
                far.kill();
            }
            Err(match far.end() {
                // ssh says so of a line that broke and of a program that was killed, too: both are lost connections.
                ShellEnd::Status(255) if greeted => lost(&e, None),
                end => lost(&e, end.explain(&shell.program)),
            })
        }
    }
}

/// The report of a run that came to its end.
pub fn finish(reporter: &Reporter, summary: &Summary, began: Instant) -> ExitCode {
    let ended = Status::of_end(summary.ended);
    let status = reporter.finish(ended, summary, began.elapsed());
    ExitCode::from(status.code())
}

/// What to make of a connection that came to its end before the run did; `shell` is how the remote shell ended.
pub(super) fn lost(e: &LinkError, shell: Option<(u8, String)>) -> Lost {
    let mut lines = Vec::new();
    let broke = matches!(shell, None | Some((255, _)));
    let code = match (e, shell) {
        (LinkError::Fatal(code, _), _) => *code,
        (LinkError::Stream(StreamError::Stopped), _) => Status::Signal.code(),
        (LinkError::Stream(StreamError::Idle(_)), _) => Status::Timeout.code(),
        (LinkError::Stream(StreamError::Closed), Some((code, why))) => {
            lines.push(why);
            code
        }
        (LinkError::Wire(crate::wire::WireError::Versions { .. }), _) => 2,
        (LinkError::NoThread(_), _) => 14,
        _ => 12,
    };
    // A signal has a closing line of its own.
    if !matches!(e, LinkError::Stream(StreamError::Stopped)) {
        lines.push(e.to_string());
    }
    let again = match e {
        LinkError::Stream(StreamError::Stopped) | LinkError::Wire(_) | LinkError::NoThread(_) => false,
        LinkError::Stream(_) => broke,
        // Nobody is there, or the remote shell says so.
        LinkError::Fatal(code, _) => matches!(code, 10 | 255),
    };
    Lost { code, lines, again }
}

/// The server's side, behind a remote shell (`--server`): the connection is standard input and output.
#[must_use]
pub fn serve() -> ExitCode {
    let meter = Arc::new(Meter::default());
    if let Err(e) = Signalled::watch(&meter) {
        complain(&format!("register signal handlers: {e}"));
        return ExitCode::from(Status::FileIo.code());
    }
    let patience = Patience { stop: Arc::clone(&meter.stop), idle: None, until: None };
    let machine = Here::default();
    let connection = crate::engine::stream::standard();
    let served = connection
        .map_err(LinkError::from)
        .and_then(|(input, output)| greet(input, output, &patience))
        .and_then(|link| remote::serve(link, Served::Machine(&machine), &meter));
    match served {
        Ok(()) => ExitCode::SUCCESS,
        // The client knows, or is gone.
        Err(LinkError::Stream(StreamError::Closed)) => ExitCode::from(12),
        Err(e) => {
            let Lost { code, lines, .. } = lost(&e, None);
            for line in lines {
                complain(&line);
                if let Some(log) = machine.log.get() {
                    log.line(format!("sluice: {line}").as_bytes());
                }
            }
            ExitCode::from(code)
        }
    }
}

/// What a client may ask of the machine that this process serves, and the log that it keeps.
#[derive(Debug, Default)]
struct Here {
    log: OnceCell<Arc<AskedLog>>,
}

impl Machine for Here {
    fn assume(&self, who: &OsStr) -> Result<(), String> {
        ids::copy_as(who.as_encoded_bytes()).and_then(|who| who.assume())
    }

    fn keep_log(&self, log: &LogFile, role: Role) -> Option<Arc<dyn Watch>> {
        match AskedLog::begin(log, role) {
            Ok(log) => Some(Arc::clone(self.log.get_or_init(|| Arc::new(log))) as Arc<dyn Watch>),
            Err(why) => {
                complain(&format!("--log-file: {why}; there is no log of this run"));
                None
            }
        }
    }
}

/// What the operands say of other machines.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Where {
    /// Nothing.
    Here,
    /// This operand is on another machine, and with it all sources (`true`) or the destination.
    There(bool, operand::Remote),
}

/// Finds out which side is on another machine, and turns the operands into paths there.
///
/// # Errors
///
/// Operands that cannot be combined: exit 1.
pub fn place(sources: &mut [OsString], dest: &mut Option<OsString>) -> Result<Where, String> {
    use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
    let shown = |operand: &std::ffi::OsStr| crate::path::escape(operand.as_bytes()).to_string();
    let parse = |operand: &OsString| match operand::place(operand) {
        Place::Local => Ok(None),
        _ => operand::remote(operand)
            .map(Some)
            .ok_or_else(|| format!("this is no address of another machine: {}", shown(operand))),
    };
    let path = |remote: &operand::Remote| {
        // As with rsync: no path is the directory in which the remote shell begins.
        OsString::from_vec(if remote.path.is_empty() { b".".to_vec() } else { remote.path.clone() })
    };
    let far_dest = dest.as_ref().map(&parse).transpose()?.flatten();
    let Some(first) = sources.first().map(&parse).transpose()?.flatten() else {
        if let Some(far) = sources.iter().find(|source| operand::place(source) != Place::Local) {
            return Err(format!("sources on this and on another machine cannot be combined: {}", shown(far)));
        }
        return Ok(match far_dest {
            None => Where::Here,
            Some(far) => {
                *dest = Some(path(&far));
                Where::There(false, far)
            }
        });
    };
    if far_dest.is_some() {
        return Err("source and destination cannot both be on another machine".into());
    }
    for source in sources.iter_mut() {
        let far = parse(source)?
            .ok_or_else(|| format!("a source on this machine among others: {}", shown(source)))?;
        let same = far.host == first.host && far.user == first.user;
        if far.place != first.place || !(same || far.host.is_empty()) {
            return Err(format!("all sources must be on the same machine: {}", shown(source)));
        }
        *source = path(&far);
    }
    if first.host.is_empty() {
        return Err("the first source names no machine".into());
    }
    Ok(Where::There(true, first))
}
