//! What was typed → what is to be done: the options weighed against each other.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::operand::{Place, place};
use super::remote::{self, Peer, Way, Where};
use super::reporting::{Debug, Info, Reporting};
use super::typed::{Recurse, Typed};
use super::{UsageError, age, batch, checksums, clock, far, rules, stop_at, words};
use crate::engine::Reflink;
use crate::path::{Time, escape};
use crate::plan::{Append, Delete};
use crate::process::ids::{self, Identity};
use crate::session::expand::Wild;
use crate::session::files_from::{self, There};
use crate::session::proxy::{Program, Proxy, Through};
use crate::session::ssh::Shell;
use crate::session::tcp::{self, Daemon};
use crate::{apply, plan, session};

/// Has the paths of a process keep to `--insecure-links` and `--confine-root`, or says why not.
pub type Bound = dyn Fn(bool, Option<&OsStr>) -> Result<(), String>;

/// What the options need of the process: files that they name, variables, the time.
#[derive(Clone)]
pub struct World<'a> {
    /// Reads a file that the operator named; `-` is standard input.
    pub read: &'a dyn Fn(&OsStr) -> io::Result<Vec<u8>>,
    /// Has all paths of this process keep to `--insecure-links` and `--confine-root`; an error is the message.
    pub bound: &'a Bound,
    /// A variable of the environment.
    pub variable: &'a dyn Fn(&str) -> Option<OsString>,
    /// Now, from which `--stop-after` counts.
    pub now: Instant,
}

impl World<'_> {
    /// The variable `SLUICE_name`, or `RSYNC_name` if that says nothing.
    #[must_use]
    pub fn own(&self, name: &str) -> Option<OsString> {
        let set = |name: String| (self.variable)(&name).filter(|value| !value.is_empty());
        set(format!("SLUICE_{name}")).or_else(|| set(format!("RSYNC_{name}")))
    }

    /// Who logs in at a daemon if nobody is named.
    fn user(&self) -> Option<OsString> {
        (self.variable)("USER").or_else(|| (self.variable)("LOGNAME"))
    }
}

/// A run: what is to be done, and what of it is to be shown.
#[derive(Clone, Debug)]
pub struct Run {
    /// What is to be done.
    pub options: session::Options,
    /// What is to be shown.
    pub reporting: Reporting,
    /// Whose rights this side works with, once it is connected (`--copy-as`).
    pub copy_as: Option<Identity>,
    /// The other machine, if there is one.
    pub peer: Option<Peer>,
    /// How often a broken connection is made again (`--retry`).
    pub retry: u32,
    /// The batch that is the source (`--read-batch`).
    pub read_batch: Option<OsString>,
}

/// Weighs what was typed.
///
/// # Errors
///
/// Options or operands that cannot be combined, values that mean nothing: exit 1. A file of rules that
/// cannot be read: exit 11.
pub fn resolve(typed: Typed, operands: Vec<OsString>, world: &World<'_>) -> Result<Run, UsageError> {
    refuse_contradictions(&typed)?;
    batch::refuse_contradictions(&typed)?;
    (world.bound)(typed.insecure_links, typed.confine_root.as_deref()).map_err(UsageError::new)?;
    let read = far::once(world.read);
    let world = &World { read: &read, ..world.clone() };
    let mut reporting = reporting(&typed, operands.len())?;
    let (mut sources, mut dest) = operands_of(&typed, operands, reporting.list_only)?;
    let peer = peer(&typed, &mut sources, &mut dest, world)?;
    if typed.batch.read.is_some() && peer.is_some() {
        return Err(UsageError::new("remote destination is not allowed with --read-batch"));
    }
    reporting.receiving = typed.batch.read.is_some() || peer.as_ref().is_some_and(|peer| peer.sends);
    let host = peer.as_ref().map(|peer| peer.way.host());
    let named = typed.files_from.as_deref().map(|file| named(file, typed.from0, host, world)).transpose()?;
    let by_name = named.is_some();
    let (files_from, names_there) = match named {
        Some(Named::Here(names)) => (Some(names), None),
        Some(Named::There(file)) => (None, Some(file)),
        None => (None, None),
    };
    if typed.contimeout.is_some_and(|seconds| seconds > 0) && !connects(peer.as_ref(), &typed) {
        return Err(UsageError::new("--contimeout may only be used when connecting to a daemon"));
    }
    let wild = match peer.as_ref().map(|peer| &peer.way) {
        // Where no shell is used, and with -s, rsync expands by itself.
        Some(Way::Shell(_)) if !secluded(&typed, world) => Wild::AsShell,
        Some(_) => Wild::AsRsync,
        None => Wild::Nothing,
    };
    let given = Given { sources, dest, files_from, names_there, by_name, wild, now: Time::now() };
    let weigh = |typed: &Typed| weigh(typed, &reporting, &given, world);
    let mut options = weigh(&typed)?;
    far::settle(&typed, &mut options, peer.as_ref(), weigh)?;
    let record = batch::wanted(&typed, options.dest.as_deref(), &options.filter, peer.is_none())?;
    reporting.only_batch = record.is_some() && typed.batch.only;
    options.only_batch = reporting.only_batch;
    options.far.iter_mut().for_each(|far| far.only_batch = reporting.only_batch);
    options.record = record.map(Arc::new);
    let copy_as = typed.copy_as.as_ref().map(|who| ids::copy_as(who.as_bytes()));
    let copy_as = copy_as.transpose().map_err(|e| UsageError::new(format!("--copy-as: {e}")))?;
    Ok(Run { options, reporting, copy_as, peer, retry: typed.retry, read_batch: typed.batch.read })
}

/// What the operands and lists of names say, for both sides.
struct Given {
    sources: Vec<OsString>,
    dest: Option<OsString>,
    files_from: Option<Vec<Vec<u8>>>,
    names_there: Option<There>,
    /// Names come from a list.
    by_name: bool,
    wild: Wild,
    /// What ages count back from.
    now: Time,
}

/// One side's options.
fn weigh(
    typed: &Typed,
    reporting: &Reporting,
    given: &Given,
    world: &World<'_>,
) -> Result<session::Options, UsageError> {
    let recursive = match typed.recursive {
        _ if typed.old_dirs => true,
        Recurse::No => false,
        Recurse::Archive => !given.by_name,
        Recurse::Yes => true,
    };
    let dirs = !recursive && typed.dirs.unwrap_or(given.by_name || reporting.list_only);
    let delete = delete(typed);
    if delete != Delete::Off && !recursive && !dirs {
        return Err(UsageError::new("--delete does not work without --recursive (-r) or --dirs (-d)"));
    }

    let mut apply = typed.apply.clone();
    apply.backup |= apply.backup_dir.is_some();
    apply.inplace |= typed.plan.append != Append::Off;
    apply.partial |= apply.inplace || apply.partial_dir.is_some();
    apply.partial_dir = partial_dir(&apply, world)?;
    apply.suffix = suffix(typed)?;
    let backup_beside = apply.backup && apply.backup_dir.is_none();
    let (oldest, youngest) = age::bounds(typed, given.now)?;
    let plan = plan::Options {
        oldest,
        youngest,
        recursive,
        dirs,
        delete,
        omit_dir_times: typed.plan.omit_dir_times || backup_beside,
        chmod: rules::chmod(&typed.chmod)?,
        ..typed.plan.clone()
    };
    let protect =
        (backup_beside && delete != Delete::Off && !plan.delete_excluded).then_some(&apply.suffix[..]);
    let filter = rules::filter(typed, protect, apply.partial_dir.as_deref(), world)?;

    if let Some(choice) = &typed.checksum_choice {
        apply.unverified |= !checksums::chosen(choice, typed)?;
    }
    // A source that is to be removed is worth a look at its copy, and what a batch holds is compared when it is
    // read, whatever is compared now.
    apply.unverified &= !apply.remove_source_files && typed.batch.write.is_none();
    let threads = typed.jobs.unwrap_or_else(|| thread::available_parallelism().map_or(1, usize::from));
    let list = world.own("COMPRESS_LIST");
    let compress = typed.compress.resolve(typed.engine.zero_copy, list.as_deref())?;
    Ok(session::Options {
        sources: given.sources.clone(),
        dest: given.dest.clone(),
        dry_run: reporting.dry_run,
        copy_as: None,
        ignore_missing: typed.ignore_missing,
        delete_missing: typed.delete_missing,
        insecure_links: false,
        confine_root: None,
        relative: typed.relative.unwrap_or(given.by_name),
        implied_dirs: typed.implied_dirs,
        mkpath: typed.mkpath,
        files_from: given.files_from.clone(),
        names_there: given.names_there.clone(),
        wild: given.wild,
        jobs: threads,
        delete_limit: typed.delete_limit,
        mount_check: typed.mount_check,
        lock: typed.lock,
        deadline: deadline(typed, world)?,
        timeout: typed.timeout.filter(|seconds| *seconds > 0).map(Duration::from_secs),
        named: typed.named,
        compress,
        report_unchanged: reporting.itemize >= 2 || reporting.info.name >= 2,
        count_ahead: reporting.info.progress > 0 && typed.inc_recursive != Some(true),
        only_batch: false,
        record: None,
        far: None,
        module: None,
        watch: None,
        log: None,
        filter,
        plan,
        apply,
        engine: crate::engine::Policy {
            threads,
            reflink: if typed.apply.preallocate { Reflink::Never } else { typed.engine.reflink },
            ..typed.engine
        },
    })
}

/// When the run has to end: the earlier one of `--stop-after` and `--stop-at`.
fn deadline(typed: &Typed, world: &World<'_>) -> Result<Option<Instant>, UsageError> {
    let after = typed.stop_after.and_then(|minutes| world.now.checked_add(minutes));
    let Some(text) = &typed.stop_at else { return Ok(after) };
    let text = escape(text.as_bytes());
    let left = clock::until(|now| stop_at::next(&text, now)).map_err(UsageError::new)?;
    Ok(world.now.checked_add(left).into_iter().chain(after).min())
}

/// Options that say opposite things.
fn refuse_contradictions(typed: &Typed) -> Result<(), UsageError> {
    if typed.fake_super && typed.plan.xattrs > 1 {
        return Err(UsageError::new("--fake-super conflicts with -XX"));
    }
    if let [(_, first), (_, second), ..] = typed.delete_when[..] {
        return Err(UsageError::new(format!("{first} cannot be used with {second}")));
    }
    let append = typed.plan.append != Append::Off;
    if append && typed.whole_file {
        return Err(UsageError::new("--append cannot be used with --whole-file"));
    }
    let apart = if typed.apply.delay_updates {
        Some("--delay-updates")
    } else {
        typed.apply.partial_dir.as_ref().map(|_| "--partial-dir")
    };
    if let Some(apart) = apart.filter(|_| append || typed.apply.inplace) {
        let name = if append { "--append" } else { "--inplace" };
        return Err(UsageError::new(format!("{name} cannot be used with {apart}")));
    }
    if typed.apply.preallocate && typed.engine.reflink == Reflink::Always {
        return Err(UsageError::new("--preallocate cannot be used with --reflink=always"));
    }
    if typed.insecure_links && typed.confine_root.is_some() {
        return Err(UsageError::new("--insecure-links cannot be combined with --confine-root"));
    }
    if typed.secluded_args == Some(true) && typed.old_args == Some(true) {
        return Err(UsageError::new("--secluded-args (-s) cannot be used with --old-args"));
    }
    if typed.retry > 0 && typed.apply.max_delete.is_some() {
        // Each attempt would delete as many.
        return Err(UsageError::new("--retry cannot be used with --max-delete"));
    }
    if typed.retry > 0 && typed.apply.inplace && typed.apply.backup {
        // The backup would be of what the attempt before has half written.
        return Err(UsageError::new("--retry cannot be used with --inplace and --backup"));
    }
    if typed.retry > 0 && typed.copy_as.is_some() {
        // Whoever has given up root's rights cannot connect with them again.
        return Err(UsageError::new("--retry cannot be used with --copy-as"));
    }
    Ok(())
}

/// Whether a connection has to be made to a daemon that is there.
fn connects(peer: Option<&Peer>, typed: &Typed) -> bool {
    peer.is_some_and(|peer| matches!(peer.way, Way::Daemon { .. })) && typed.rsh.is_none()
}

/// Whether `-s` is meant: by itself, or by the variable `RSYNC_PROTECT_ARGS` where nothing else is said.
fn secluded(typed: &Typed, world: &World<'_>) -> bool {
    let set = |name: &str| world.own(name).is_some_and(|value| value != "0");
    let unsaid = typed.old_args.is_none() && !set("OLD_ARGS");
    typed.secluded_args.unwrap_or_else(|| unsaid && set("PROTECT_ARGS"))
}

/// What is between this machine and a daemon, by the variables `RSYNC_CONNECT_PROG` and `RSYNC_PROXY`.
fn through(world: &World<'_>) -> Result<Through, UsageError> {
    if let Some(program) = world.own("CONNECT_PROG") {
        let shell = world.own("SHELL").unwrap_or_else(|| "sh".into());
        return Ok(Through::Program(Program { command: program.into_vec(), shell }));
    }
    let Some(proxy) = world.own("PROXY") else { return Ok(Through::Nothing) };
    let parsed = Proxy::parse(&proxy).ok_or_else(|| {
        // It may hold a password, so it is not shown.
        let message = "RSYNC_PROXY is no proxy: should be HOST:PORT, or USER:PASSWORD@HOST:PORT";
        UsageError { status: 10, ..UsageError::new(message) }
    })?;
    Ok(Through::Proxy(parsed))
}

/// Where unfinished files are kept, if anywhere but under their own names: as typed, without what means nothing.
fn partial_dir(apply: &apply::Options, world: &World<'_>) -> Result<Option<OsString>, UsageError> {
    // What waits for its name has a directory of its own, as with rsync.
    let variable = || world.own("PARTIAL_DIR").filter(|_| !apply.delay_updates);
    let named = apply.partial_dir.clone().or_else(variable);
    let Some(typed) = named.filter(|_| apply.partial && !apply.inplace) else { return Ok(None) };
    let bytes = typed.as_bytes();
    if bytes.starts_with(b"/") {
        return Ok(Some(typed));
    }
    let names: Vec<_> =
        bytes.split(|&b| b == b'/').filter(|part| !part.is_empty() && *part != b".").collect();
    if names.iter().any(|name| *name == b"..") {
        let text =
            format!("--partial-dir={}: a relative one is below the directory of each file", escape(bytes));
        return Err(UsageError::new(text));
    }
    Ok((!names.is_empty()).then(|| OsStr::from_bytes(&names.join(&b'/')).to_owned()))
}

/// When surplus entries are deleted.
fn delete(typed: &Typed) -> Delete {
    match typed.delete_when[..] {
        [(when, _), ..] => when,
        [] if typed.delete || typed.plan.delete_excluded => Delete::During,
        [] => Delete::Off,
    }
}

/// What backups get behind their names.
fn suffix(typed: &Typed) -> Result<Vec<u8>, UsageError> {
    let backup_dir = typed.apply.backup_dir.as_ref();
    let suffix = match (&typed.suffix, backup_dir) {
        (Some(suffix), _) => suffix.clone(),
        (None, None) => b"~".to_vec(),
        (None, Some(_)) => Vec::new(),
    };
    if suffix.contains(&b'/') {
        return Err(UsageError::new(format!("--suffix cannot contain slashes: {}", escape(&suffix))));
    }
    if suffix.is_empty() && backup_dir.is_none() {
        return Err(UsageError::new("--suffix cannot be empty without --backup-dir"));
    }
    if suffix.is_empty() && backup_dir.is_some_and(|dir| dir.is_empty()) {
        return Err(UsageError::new("--suffix cannot be empty when --backup-dir is the destination itself"));
    }
    Ok(suffix)
}

/// Sources and destination as typed.
fn operands_of(
    typed: &Typed,
    mut operands: Vec<OsString>,
    list_only: bool,
) -> Result<(Vec<OsString>, Option<OsString>), UsageError> {
    let reads = typed.batch.read.is_some();
    let dest = if operands.len() > 1 || reads { operands.pop() } else { None };
    if operands.iter().any(|source| source.is_empty()) {
        return Err(UsageError::new("empty source operand"));
    }
    if dest.as_ref().is_some_and(|dest| dest.is_empty()) {
        return Err(UsageError::new("empty destination operand (\".\" is the current directory)"));
    }
    if reads && (dest.is_none() || !operands.is_empty()) {
        return Err(UsageError::new("--read-batch takes the destination, and no source"));
    }
    if operands.is_empty() && !reads {
        return Err(UsageError::new("no operands: sluice [OPTION]... SRC... DEST (see --help)"));
    }
    if typed.files_from.is_some() && (operands.len() > 1 || dest.is_none()) {
        return Err(UsageError::new("--files-from takes one source and a destination"));
    }
    Ok((operands, if list_only { None } else { dest }))
}

/// The other machine, if an operand names one; the operands become paths there.
fn peer(
    typed: &Typed,
    sources: &mut [OsString],
    dest: &mut Option<OsString>,
    world: &World<'_>,
) -> Result<Option<Peer>, UsageError> {
    let Where::There(sends, far) = remote::place(sources, dest).map_err(UsageError::new)? else {
        return Ok(None);
    };
    let seconds = |typed: Option<u64>| typed.filter(|seconds| *seconds > 0).map(Duration::from_secs);
    let idle = seconds(typed.timeout);
    if far.place == Place::Daemon {
        let through = match &typed.rsh {
            Some(_) => Through::Shell(shell(typed, &far, world)),
            None => through(world)?,
        };
        let host = String::from_utf8(far.host)
            .map_err(|e| UsageError::new(format!("no name of a machine: {}", escape(e.as_bytes()))))?;
        let user = far.user.or_else(|| world.user().map(OsString::into_vec));
        let end = far.path.iter().position(|&b| b == b'/').unwrap_or(far.path.len());
        let module = Some(far.path[..end].to_vec()).filter(|module| !module.is_empty());
        if module.is_none() && dest.is_some() {
            return Err(UsageError::new("no module is named: HOST::MODULE/PATH"));
        }
        let mut first = true;
        let strip = |path: &mut OsString| {
            let bytes = path.as_bytes();
            let end = bytes.iter().position(|&b| b == b'/').unwrap_or(bytes.len());
            // A further source that does not begin with the module's name lies in it all the same.
            let named = std::mem::take(&mut first) || Some(&bytes[..end]) == module.as_deref();
            let rest = if named { bytes.get(end + 1..).unwrap_or_default() } else { bytes };
            // What comes behind the module's name; nothing stands for all that is in it.
            let rest = if rest.is_empty() { &b"./"[..] } else { rest };
            *path = OsStr::from_bytes(rest).to_owned();
        };
        if sends {
            sources.iter_mut().for_each(strip)
        } else {
            dest.iter_mut().for_each(strip)
        }
        let daemon = Daemon {
            host,
            port: far.port.or(typed.daemon.port).unwrap_or(if far.rsync {
                tcp::RSYNC_PORT
            } else {
                tcp::PORT
            }),
            from: typed.daemon.address,
            family: typed.family,
            patience: seconds(typed.contimeout),
            options: typed.sockopts.clone(),
            through,
        };
        let way = Way::Daemon {
            daemon,
            module,
            user: user.unwrap_or_else(|| b"nobody".to_vec()),
            password_file: typed.password_file.clone(),
            no_motd: typed.no_motd,
        };
        return Ok(Some(Peer { sends, way, idle }));
    }
    Ok(Some(Peer { sends, way: Way::Shell(shell(typed, &far, world)), idle }))
}

/// The remote shell to the machine `far`.
fn shell(typed: &Typed, far: &super::operand::Remote, world: &World<'_>) -> Shell {
    let or = |typed: &Option<Vec<u8>>, default: &[u8]| typed.clone().unwrap_or_else(|| default.to_vec());
    let rsh = world.own("RSH").map(OsString::into_vec);
    Shell {
        command: or(&typed.rsh.clone().or(rsh), b"ssh"),
        user: far.user.clone(),
        host: far.host.clone(),
        program: or(&typed.rsync_path, b"sluice"),
        family: typed.family,
        modules: far.place == Place::Daemon,
    }
}

/// What a `--files-from` names.
enum Named {
    /// Names, read here.
    Here(Vec<Vec<u8>>),
    /// A file that is read there.
    There(There),
}

/// What a `--files-from` names; `host` is the other machine, if there is one.
fn named(file: &OsStr, from0: bool, host: Option<&[u8]>, world: &World<'_>) -> Result<Named, UsageError> {
    let far = super::operand::remote(file);
    if place(file) != Place::Local {
        let Some(host) = host else {
            return Err(UsageError::new("--files-from cannot be remote when the transfer is local"));
        };
        let far = far.filter(|far| far.place == Place::Shell && (far.host.is_empty() || far.host == host));
        let far = far.ok_or_else(|| {
            UsageError::new("--files-from hostname is not the same as the transfer hostname")
        })?;
        return Ok(Named::There(There { path: far.path, from0 }));
    }
    let contents = (world.read)(file)
        .map_err(|e| UsageError::new(format!("open --files-from \"{}\": {e}", escape(file.as_bytes()))))?;
    Ok(Named::Here(files_from::names(&contents, from0)))
}

/// What is to be shown.
fn reporting(typed: &Typed, operands: usize) -> Result<Reporting, UsageError> {
    let mut reporting = typed.reporting.clone();
    reporting.list_only |= operands == 1 && typed.batch.read.is_none();
    reporting.whole_list = typed.inc_recursive == Some(false);
    reporting.info = Info::at_verbosity(reporting.verbose);
    reporting.debug = Debug::at_verbosity(reporting.verbose);
    if typed.progress {
        reporting.info.flist = 2;
        reporting.info.progress = 1;
        // A format names entries already.
        if reporting.out_format.is_none() {
            reporting.info.name = reporting.info.name.max(1);
        }
    }
    if typed.stats {
        reporting.info.stats = if reporting.verbose >= 2 { 3 } else { 2 };
    }
    words::info(&typed.info, &mut reporting.info).map_err(UsageError::new)?;
    words::debug(&typed.debug, &mut reporting.debug).map_err(UsageError::new)?;
    if reporting.itemize > 0 && reporting.out_format.is_none() {
        reporting.out_format = Some(b"%i %n%L".to_vec());
    }
    reporting.stats = reporting.info.stats;
    reporting.progress = reporting.info.progress == 1;
    Ok(reporting)
}
