//! `sluice --complete WORD...`: what the shells ask for on the tabulator: the last word, an operand on another
//! machine, as far as it is typed, completed.
//!
//! Nobody is asked anything, nothing is said but candidates, and it takes no longer than a moment: ssh runs in
//! batch mode, a module with a password has no candidates, and a host that does not answer has none either.

use std::ffi::{OsStr, OsString};
use std::io::{self, Write as _};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

use super::super::operand::{Place, place, remote};
use super::super::order;
use super::super::parse::{Parsed, parse};
use super::super::remote::{Peer, Way};
use super::super::resolve::{Run, World};
use crate::engine::stream::Patience;
use crate::event::{Event, Meter, Observer};
use crate::path::Kind;
use crate::session::ssh::Shell;
use crate::session::tcp::{self, Daemon, Login};
use crate::session::{Options, remote as session};
use crate::sys::thread;

/// How long somebody waits who has pressed a key.
const LIMIT: Duration = Duration::from_secs(3);

/// What ssh is told: to ask nothing, and not to try for long.
const SSH: &[u8] = b" -oBatchMode=yes -oConnectTimeout=2";

/// Prints a candidate a line for the last of `words`; those before it are the command line so far.
#[must_use]
pub fn run(words: Vec<OsString>) -> ExitCode {
    let (found, finds) = mpsc::channel();
    // Whatever it waits for, it does not outlive this thread.
    let work = move || drop(found.send(candidates(&words).unwrap_or_default()));
    if thread::start_apart(work).is_err() {
        return ExitCode::FAILURE;
    }
    let mut text = Vec::new();
    for candidate in finds.recv_timeout(LIMIT).unwrap_or_default() {
        text.extend_from_slice(&candidate);
        text.push(b'\n');
    }
    match io::stdout().write_all(&text) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn candidates(words: &[OsString]) -> Option<Vec<Vec<u8>>> {
    let (word, before) = words.split_last()?;
    if place(word) == Place::Local {
        return None;
    }
    let far = remote(word)?;
    let typed = word.as_bytes();
    if far.path.is_empty() && !typed.ends_with(b":") && !typed.ends_with(b"/") {
        // Of a URL the machine's name is still being typed.
        return None;
    }
    let modules = far.place == Place::Daemon && !far.path.contains(&b'/');
    let leaf = far.path.rsplit(|&b| b == b'/').next().unwrap_or_default();
    let head = typed.strip_suffix(leaf)?;
    let asked = OsStr::from_bytes(head);
    let Run { options, peer: Some(Peer { mut way, .. }), .. } = listing(asked, before, far.place)? else {
        return None;
    };
    if let Some(shell) = way.shell_mut() {
        let program = shell.command.split(|&b| b == b' ').next().unwrap_or_default();
        // Another shell might ask, or do who knows what.
        if program.rsplit(|&b| b == b'/').next() != Some(b"ssh") || !is_plain(&shell.command) {
            return None;
        }
        shell.command.extend_from_slice(SSH);
    }
    let names = match (way, modules) {
        (Way::Daemon { daemon, .. }, true) => modules_of(&daemon)?,
        (Way::Daemon { daemon, module, user, .. }, false) => in_module(&daemon, &module?, user, &options)?,
        (Way::Shell(shell), _) => behind_shell(&shell, &options)?,
    };
    let fits = |name: &Vec<u8>| {
        let hidden = name.starts_with(b".") && !leaf.starts_with(b".");
        name.starts_with(leaf) && !hidden && !name.contains(&b'\n')
    };
    Some(names.into_iter().filter(fits).map(|name| [head, &name].concat()).collect())
}

/// A run that lists what is directly in `asked`.
fn listing(asked: &OsStr, before: &[OsString], place: Place) -> Option<Run> {
    let mut args: Vec<OsString> =
        ["-d", "--list-only", "--no-config", "--timeout=2"].map(OsString::from).into();
    let before: Vec<OsString> = before.iter().map(|word| unquoted(word)).collect();
    let mut connects = place == Place::Daemon;
    // What is typed so far may be no command line yet.
    if let Ok((typed, _)) = order::parse(&before) {
        let option = |name: &str, value: &[u8]| OsString::from_vec([name.as_bytes(), value].concat());
        connects &= typed.rsh.is_none();
        args.extend(typed.rsh.map(|rsh| option("--rsh=", &rsh)));
        args.extend(
            typed.rsync_path.filter(|path| is_plain(path)).map(|path| option("--rsync-path=", &path)),
        );
        args.extend(typed.daemon.port.map(|port| format!("--port={port}").into()));
        args.extend(typed.family.map(|family| format!("-{family}").into()));
    }
    args.extend(connects.then(|| "--contimeout=2".into()));
    args.push(asked.to_owned());
    // No program of the environment's is run, but for ssh.
    const TAKEN: [&str; 4] = ["USER", "LOGNAME", "SLUICE_RSH", "RSYNC_RSH"];
    let variable = |name: &str| TAKEN.contains(&name).then(|| std::env::var_os(name)).flatten();
    let read = |_: &OsStr| Err(io::ErrorKind::NotFound.into());
    let world = World { read: &read, bound: &|_, _| Ok(()), variable: &variable, now: Instant::now() };
    match parse(args, &world) {
        Ok(Parsed::Run(run)) => Some(*run),
        _ => None,
    }
}

/// A word as the shell would pass it, where quotes are all around it.
fn unquoted(word: &OsStr) -> OsString {
    match word.as_bytes() {
        [b'"', inner @ .., b'"'] | [b'\'', inner @ .., b'\''] => OsStr::from_bytes(inner).to_owned(),
        _ => word.to_owned(),
    }
}

/// Whether a command that has not been sent off yet may be run all the same: the name of a program, perhaps
/// behind that of another.
fn is_plain(command: &[u8]) -> bool {
    command.iter().all(|b| b.is_ascii_alphanumeric() || b"/._- ".contains(b))
}

fn patience() -> Patience {
    Patience { stop: Arc::default(), idle: Some(LIMIT), until: Instant::now().checked_add(LIMIT) }
}

fn modules_of(daemon: &Daemon) -> Option<Vec<Vec<u8>>> {
    let mut link = daemon.connect(&patience()).ok()?;
    let modules = tcp::modules(&mut link, &mut |_| {}).ok()?;
    Some(modules.into_iter().map(|module| [&module.name, &b"/"[..]].concat()).collect())
}

fn in_module(daemon: &Daemon, module: &[u8], user: Vec<u8>, options: &Options) -> Option<Vec<Vec<u8>>> {
    let mut link = daemon.connect(&patience()).ok()?;
    let login = Login { user, password: &|| Err((5, "nobody is asked".into())) };
    tcp::enter(&mut link, module, &login, &mut |_| {}).ok()?;
    let names = Names::default();
    session::pull(link, options, &Meter::default(), &names).ok()?;
    Some(names.taken())
}

fn behind_shell(shell: &Shell, options: &Options) -> Option<Vec<Vec<u8>>> {
    let mut far = shell.start().ok()?;
    let names = Names::default();
    let listed = far
        .greet(&patience())
        .and_then(|link| session::pull(link, options, &Meter::default(), &names).map(drop));
    if listed.is_err() {
        far.kill();
    }
    far.end();
    Some(names.taken())
}

/// The names that a listing tells; those of directories end in a slash.
#[derive(Default)]
struct Names(Mutex<Vec<Vec<u8>>>);

impl Names {
    fn taken(self) -> Vec<Vec<u8>> {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observer for Names {
    fn event(&self, event: &Event) {
        let Event::Item(item) = event else { return };
        if item.path.is_root() {
            return;
        }
        let mut name = item.path.as_bytes().to_vec();
        if item.attrs.kind == Kind::Dir {
            name.push(b'/');
        }
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_half_typed_command_is_not_run_unless_it_is_a_programs_name() {
        assert!(is_plain(b"ssh -p 2222 -i id_rsa") && is_plain(b"sudo /opt/sluice"));
        for command in ["sh -c 'x'", "x; y", "$(x)", "ssh -oProxyCommand=x", "a|b", "a>b", "`x`", "a\nb"] {
            assert!(!is_plain(command.as_bytes()), "{command}");
        }
    }

    #[test]
    fn quotes_around_a_word_are_the_shells() {
        assert_eq!(unquoted(OsStr::new("'ssh -p 1'")), "ssh -p 1");
        assert_eq!(unquoted(OsStr::new("\"a b\"")), "a b");
        assert_eq!(unquoted(OsStr::new("'a")), "'a");
    }
}
