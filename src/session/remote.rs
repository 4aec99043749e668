//! Sessions with a peer: [`pull`] and [`push`] on the client's side, [`serve`] on the server's.
//!
//! Whichever side receives runs what a local session runs (`session::receiver`), fed by the connection
//! (`session::arrivals`); the other side plays the sender (`session::sender`). Events arise where the
//! receiver is, and are told to the client.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStringExt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::ScopedJoinHandle;

use crossbeam_channel::{Receiver as Inbox, bounded};

use super::arrivals::Arrivals;
use super::expand::expand;
use super::expected::Expected;
use super::frames::{LinkError, Lost, quiet};
use super::handshake::Greeted;
use super::module::{Module, Refusal};
use super::order::Sequencer;
use super::pace::Pacer;
use super::receiver::{Peer, Receiver};
use super::selection::{self, Selection};
use super::sender;
use super::tape::{self, Batch};
use super::teller::{Teller, Told, write_all};
use super::watch::{LogFile, Watch};
use super::{Ended, Options, Summary, missing, mounts};
use crate::engine::Engine;
use crate::engine::stream::{Patience, StreamError};
use crate::event::{Event, Meter, Observer};
use crate::path::held::Budget;
use crate::path::{bounds, operand};
use crate::plan::munge;
use crate::plan::owners::Owners;
use crate::plan::source::SourceDir;
use crate::sys::{Errno, thread};
use crate::wire::request::{DAEMON_REQUEST_MAX, REQUEST_MAX};
use crate::wire::to_receiver::Roots;
use crate::wire::{Fatal, Role, ToReceiver, ToSender};

/// Wishes and other messages that may wait to be sent.
const OUTBOX: usize = 1024;

/// Worker threads of a receiver at least: each waits for the batch that it has asked for, so that many are
/// under way at any time. 8 batches of 64 files or 4 MiB each keep a line of 1 Gbit/s and 100 ms busy.
const JOBS: usize = 8;

/// Threads of each kind that a client can have the server start: each has a stack of its own.
const JOBS_MAX: usize = 64;

/// Transfers from the server to this machine: this side receives.
///
/// # Errors
///
/// The conversation is over before its end, or the server refuses.
pub fn pull(
    mut link: Greeted,
    options: &Options,
    meter: &Meter,
    observer: &dyn Observer,
) -> Result<Summary, LinkError> {
    let operands = options.sources.iter().map(|source| source.as_encoded_bytes().to_vec()).collect();
    link.can_compress(options)?;
    let tape = tape::begin(options, link.file_key())?;
    link.request(Role::Sender, &for_server(options), operands)?;
    link.may_unpack(options);
    link.packs(options);
    link.reader.record_on(tape)?;
    let beside = Beside { file_key: link.file_key(), ..Beside::default() };
    receive(link, options, Expected::of(options, true), meter, observer, None, beside)
}

/// Transfers from this machine to the server: this side sends.
///
/// # Errors
///
/// The operands cannot be used, the conversation is over before its end, or the server refuses.
pub fn push(
    mut link: Greeted,
    options: &Options,
    meter: &Meter,
    observer: &dyn Observer,
) -> Result<Summary, LinkError> {
    let budget = Budget::new(operand::raise_descriptor_limit());
    let select = |options: &Options| -> Result<Selection, LinkError> {
        let mut selection = selection::select(options, &budget).map_err(|text| LinkError::Fatal(1, text))?;
        mounts::guard(options, &mut selection);
        Ok(selection)
    };
    link.can_compress(options)?;
    let operands = options.dest.iter().map(|dest| dest.as_encoded_bytes().to_vec()).collect();
    // What cannot be is known before the server is asked, unless that has the names.
    let ahead = options.names_there.is_none().then(|| select(options)).transpose()?;
    let tape = tape::begin(options, link.file_key())?;
    let names = link.request(Role::Receiver, &for_server(options), operands)?;
    let options = &Options { files_from: options.files_from.clone().or(names), ..options.clone() };
    let selection = ahead.map_or_else(|| select(options), Ok)?;
    link.may_unpack(options);
    link.packs(options);
    let engine = Engine::new(options.engine).keyed(link.file_key());
    let pacer = Pacer::new(meter, options.apply.bwlimit, options.deadline);
    let Greeted { mut reader, mut writer, .. } = link;
    let (read, written) = (reader.inlet().read(), writer.outlet().written());
    let observer = Some(observer);
    writer.record_on(tape);
    let summary =
        sender::send(options, &selection, &engine, &pacer, meter, observer, &mut reader, &mut writer)?;
    tape::end(writer.take_tape(), summary.ended)?;
    let mut ledger = summary.ledger;
    ledger.add(&engine.ledger().snapshot());
    let traffic = Some((written.load(Ordering::Relaxed), read.load(Ordering::Relaxed)));
    Ok(Summary { ledger, traffic, ..summary })
}

/// What a client has before it.
#[derive(Clone, Debug)]
pub enum Served<'s> {
    /// A daemon's module, and who is told what happens in it.
    Module(Module, Arc<dyn Watch>),
    /// All that the user of this process may reach.
    Machine(&'s dyn Machine),
}

/// What a server that was started by a remote shell is asked for besides files.
pub trait Machine: std::fmt::Debug {
    /// Has this process become whom `USER` or `USER:GROUP` names, for good (`--copy-as`).
    ///
    /// # Errors
    ///
    /// A text for the client, which is refused.
    fn assume(&self, who: &OsStr) -> Result<(), String>;

    /// Begins the log of a session in which this side plays `role`; `None`: it cannot be written, and the
    /// session goes on without.
    fn keep_log(&self, log: &LogFile, role: Role) -> Option<Arc<dyn Watch>>;
}

/// The server's side of a session that a client has asked for.
///
/// # Errors
///
/// The conversation is over before its end.
pub fn serve(mut link: Greeted, served: Served<'_>, meter: &Meter) -> Result<(), LinkError> {
    let (limit, patience) = match &served {
        Served::Module(module, _) => (DAEMON_REQUEST_MAX, module.timeout),
        Served::Machine(_) => (REQUEST_MAX, None),
    };
    let (role, mut options, mut operands) = link.requested(limit)?;
    options.jobs = options.jobs.clamp(1, JOBS_MAX);
    options.engine.threads = options.engine.threads.min(JOBS_MAX);
    // From here on, of two limits, the client's and the server's own, the shorter one holds.
    let idle = [options.timeout, patience].into_iter().flatten().min();
    link.set_patience(&Patience { stop: Arc::clone(&meter.stop), idle, until: None });
    let granted = grant(served, role, &mut options, &mut operands);
    // The client keeps it, and tells why it ends; this side would end as if it had been interrupted.
    options.deadline = None;
    let watch = options.watch.clone();
    if let Err(refusal) = granted {
        return refuse(&mut link, watch.as_deref(), refusal);
    }
    if let Some(there) = options.names_there.take() {
        match there.read(options.module.as_deref(), limit) {
            Ok(names) if role == Role::Receiver => link.tell_names(names)?,
            Ok(names) => options.files_from = Some(names),
            Err(text) => return refuse(&mut link, watch.as_deref(), (1, text)),
        }
    }
    if let Err(LinkError::Fatal(code, text)) = link.can_compress(&options) {
        return refuse(&mut link, watch.as_deref(), (code, text));
    }
    // A client that sends may begin, and pack, before it has heard that this side is ready.
    link.may_unpack(&options);
    let (received, sent) = (link.reader.inlet().read(), link.writer.outlet().written());
    let operands: Vec<OsString> = operands.into_iter().map(OsString::from_vec).collect();
    let summary = match role {
        Role::Sender => {
            let budget = Budget::new(operand::raise_descriptor_limit());
            let options = Options { sources: operands, dest: None, ..options };
            match selection::select(&options, &budget) {
                Ok(selection) => serve_sender(link, &options, selection, meter)?,
                Err(text) => return refuse(&mut link, watch.as_deref(), (1, text)),
            }
        }
        Role::Receiver => match <[OsString; 1]>::try_from(operands) {
            Ok([dest]) => {
                serve_receiver(link, &Options { sources: Vec::new(), dest: Some(dest), ..options }, meter)?
            }
            Err(_) => {
                let text = "a receiving server needs one destination".into();
                return refuse(&mut link, watch.as_deref(), (1, text));
            }
        },
    };
    if let Some(watch) = watch {
        let [sent, received] = [sent, received].map(|bytes| bytes.load(Ordering::Relaxed));
        watch.ended(sent, received, summary.stats.total_size);
    }
    Ok(())
}

/// Has a request keep to what is `served`, expands its operands, and puts whoever watches with its options.
fn grant(
    served: Served<'_>,
    role: Role,
    options: &mut Options,
    operands: &mut Vec<Vec<u8>>,
) -> Result<(), Refusal> {
    match served {
        Served::Module(module, watch) => {
            let admitted = module.admit(watch.as_ref(), role, options, operands);
            (options.module, options.watch) = (Some(Arc::new(module)), Some(watch));
            admitted
        }
        Served::Machine(machine) => {
            bound(options.insecure_links, options.confine_root.as_deref()).map_err(|text| (1, text))?;
            if let Some(who) = &options.copy_as {
                machine.assume(who).map_err(|text| (1, format!("--copy-as: {text}")))?;
            }
            // With the rights of whom it became, and where its options may lead.
            options.watch = options.log.take().and_then(|log| machine.keep_log(&log, role));
            let links = options.plan.links;
            if (links.munge || links.unmunge) && munge::is_unsafe() {
                return Err((4, super::MUNGING_IS_UNSAFE.into()));
            }
            *operands = expand(options.wild, role, None, operands, REQUEST_MAX).map_err(|text| (1, text))?;
            Ok(())
        }
    }
}

/// Has the paths of this process keep to what `--insecure-links` and `--confine-root` say.
///
/// # Errors
///
/// The directory of `--confine-root` cannot be: a message, exit 1.
pub fn bound(insecure: bool, root: Option<&OsStr>) -> Result<(), String> {
    if insecure {
        bounds::follow_links_of_everybody();
    }
    let Some(root) = root.filter(|root| *root != "/") else { return Ok(()) };
    let dir = match operand::open_dir(root) {
        Ok(dir) => Some(dir),
        // Nothing is in a directory that does not exist.
        Err(e) if e.source == Errno::ENOENT => None,
        Err(e) => return Err(format!("--confine-root: {e}")),
    };
    bounds::confine_options_to(dir.as_ref()).map_err(|e| format!("--confine-root: {e}"))
}

/// Refuses what a client has asked for; whoever watches hears of it too.
fn refuse(link: &mut Greeted, watch: Option<&dyn Watch>, (code, text): Refusal) -> Result<(), LinkError> {
    if let Some(watch) = watch {
        watch.refused(&text);
    }
    link.refuse(code, text)
}

fn serve_sender(
    mut link: Greeted,
    options: &Options,
    mut selection: Selection,
    meter: &Meter,
) -> Result<Summary, LinkError> {
    mounts::guard(options, &mut selection);
    link.ready()?;
    link.packs(options);
    let engine = Engine::new(options.engine).keyed(link.file_key());
    let pacer = Pacer::new(meter, options.apply.bwlimit, options.deadline);
    let Greeted { mut reader, mut writer, .. } = link;
    sender::send(options, &selection, &engine, &pacer, meter, None, &mut reader, &mut writer)
}

fn serve_receiver(mut link: Greeted, options: &Options, meter: &Meter) -> Result<Summary, LinkError> {
    link.ready()?;
    link.packs(options);
    let (teller, told) = Teller::new(options.watch.clone());
    let expected = Expected::of(options, false);
    let beside = Beside { file_key: link.file_key(), ..Beside::default() };
    receive(link, options, expected, meter, &teller, Some((&teller, told)), beside)
}

/// The options as they travel: what was typed for either side goes as operands.
fn for_server(options: &Options) -> Options {
    let far = options.far.as_deref().unwrap_or(options);
    Options { sources: Vec::new(), dest: None, count_ahead: false, ..far.clone() }
}

/// What else a receiver knows of its sender.
#[derive(Default)]
pub(super) struct Beside {
    /// The key of files' digests.
    pub(super) file_key: Option<[u8; 32]>,
    /// The sources, if they are on this machine: they are not deleted in.
    pub(super) sources: Vec<SourceDir>,
    /// The sender plays this batch.
    pub(super) batch: Option<Arc<Batch>>,
}

/// Plays the receiving role.
///
/// # Errors
///
/// The conversation is over before its end.
pub(super) fn receive(
    mut link: Greeted,
    options: &Options,
    mut expected: Expected,
    meter: &Meter,
    observer: &dyn Observer,
    telling: Option<(&Teller, Inbox<Vec<Event>>)>,
    beside: Beside,
) -> Result<Summary, LinkError> {
    let (owners, notes) = Owners::new(&options.plan, false);
    let mut selection = roots(&mut link, &owners, &mut expected)?;
    selection.notes.extend(notes);
    selection.sources = beside.sources;
    selection.missing = missing::asked_for(options, selection.missing);
    if let Some((teller, _)) = &telling {
        teller.begin(options, &selection);
    }
    let module = options.module.clone().map(|module| (module, operand::umask()));
    if let Some((module, umask)) = &module {
        selection.root = selection.root.map(|attrs| module.incoming_mode(attrs, *umask));
    }
    let dry_run = options.dry_run || options.only_batch;
    let records = options.record.is_some();
    let options = &Options { jobs: options.jobs.max(JOBS), dry_run, ..options.clone() };
    let engine = Engine::new(options.engine).keyed(beside.file_key);
    let pacer = Pacer::new(meter, None, options.deadline);
    let order = Sequencer::new(observer, meter);
    let (outbox, outgoing) = bounded(OUTBOX);
    let lost = Lost::default();
    let lose = |e: LinkError| lost.note(e, meter);
    let prefixes = Arc::clone(&selection.prefixes);
    let arrivals = Arrivals::new(outbox.clone(), prefixes, expected, module, &owners, &lose, beside.batch);
    let arrivals = arrivals.recorded(records);
    let Greeted { mut reader, mut writer, .. } = link;
    let (read, written) = (reader.inlet().read(), writer.outlet().written());
    let (teller, told) = telling.map_or((None, None), |(teller, told)| (Some(teller), Some(told)));
    let budget = Budget::new(operand::raise_descriptor_limit());
    let run = Receiver {
        options,
        plan: &options.plan,
        budget,
        engine: &engine,
        pacer: &pacer,
        order: &order,
        meter,
        owners: &owners,
        peer: Some(Peer { feed: &arrivals, fetch: &arrivals, serves: teller.is_none() }),
    };
    let summary = std::thread::scope(|scope| {
        let told = told.as_ref().zip(teller.as_ref());
        let (told, writer, lose) = (told.map(|(told, teller)| Told { told, teller }), &mut writer, &lose);
        let quiet = quiet(options.timeout);
        let writing = thread::start(scope, move || {
            // Once this thread ends, whoever still has something to send finds nobody to take it.
            if let Err(e) = write_all(writer, &outgoing, told, meter, quiet) {
                lose(e);
            }
        });
        let reading = thread::start(scope, || arrivals.read(&mut reader, engine.ledger(), &pacer));
        let ended = match [writing.as_ref().err(), reading.as_ref().err()].into_iter().flatten().next() {
            None => run.begin(selection),
            Some(&e) => {
                arrivals.give_up(LinkError::NoThread(e));
                Ended::Aborted
            }
        };
        arrivals.settle();
        for problem in arrivals.late_problems() {
            observer.event(&Event::Problem(problem));
        }
        if let Some(teller) = teller {
            teller.flush();
        }
        let (stats, worst) = order.totals();
        let mut ledger = engine.ledger().snapshot();
        let last = lost.fatal().map_or_else(
            || ToSender::Finished { stats: stats.clone(), ledger: Box::new(ledger.clone()), worst, ended },
            ToSender::Fatal,
        );
        arrivals.finish();
        let _sent = outbox.send(last);
        let theirs = reading.ok().and_then(|reading| reading.join().ok()).flatten();
        drop(outbox);
        let _written = writing.map(ScopedJoinHandle::join);
        if let Some((_, theirs)) = theirs {
            ledger.add(&theirs);
        }
        let traffic = Some((written.load(Ordering::Relaxed), read.load(Ordering::Relaxed)));
        Summary { stats, ledger, worst, ended, traffic }
    });
    lost.into_result()?;
    tape::end(reader.take_tape(), summary.ended)?;
    Ok(summary)
}

/// What the sender has to send.
fn roots(link: &mut Greeted, owners: &Owners, expected: &mut Expected) -> Result<Selection, LinkError> {
    let mut selection = Selection::default();
    let mut prefixes: Vec<Arc<[u8]>> = Vec::new();
    loop {
        match link.reader.expect::<ToReceiver>()? {
            ToReceiver::Roots(part) => {
                expected.roots(&part)?;
                let Roots { prefixes: more, missing, notes, problems, last, root, attached, single } = part;
                selection.missing.extend(missing);
                prefixes.extend(more.into_iter().map(|prefix| Arc::from(prefix.into_vec())));
                selection.notes.extend(notes);
                selection.problems.extend(problems);
                if last {
                    selection.root = root.map(crate::wire::entry::Properties::into_attrs);
                    selection.root_attached = attached;
                    selection.single = single;
                    selection.prefixes = prefixes.into();
                    return Ok(selection);
                }
            }
            // What the root's owner and group are called.
            ToReceiver::Ids(ids) => super::ids::teach(&ids, owners)?,
            ToReceiver::Fatal(Fatal { code, text }) => return Err(LinkError::Fatal(code, text)),
            _ => {
                return Err(crate::wire::WireError::NotAllowed {
                    message: "Roots",
                    field: "order".into(),
                    cause: "something else came first".into(),
                }
                .into());
            }
        }
    }
}

/// Whether a problem with the connection is that the run was asked to stop.
#[must_use]
pub fn was_stopped(e: &LinkError) -> bool {
    matches!(e, LinkError::Stream(StreamError::Stopped))
}
