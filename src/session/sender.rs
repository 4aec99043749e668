//! The sending role towards a peer: lists the tree, answers wishes with data.
//!
//! Four kinds of threads: one reads what the receiver says, one lists (with a few that look into directories
//! ahead of it), some open and hash the files that are wanted, and one writes. Only the writer waits for the
//! connection to take something; the reader waits for nothing else, so both directions always move.

use std::collections::HashMap;
use std::ops::{ControlFlow, Range};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crossbeam_channel::{Receiver, Sender, bounded, select_biased, unbounded};

use super::Options;
use super::frames::{Frame, FrameReader, FrameWriter, LinkError, Lost, quiet};
use super::ids::IdNames;
use super::pace::Pacer;
use super::selection::Selection;
use crate::apply::file::source_problem;
use crate::apply::here::remove_source;
use crate::engine::digest::FileHasher;
use crate::engine::stream::StreamError;
use crate::engine::{Digest, DigestError, Engine, Pace, Source};
use crate::event::{Event, Meter, Observer, Problem, Stats, Update};
use crate::path::dir::OpenFile;
use crate::path::{Attrs, HeldDir, Kind, operand};
use crate::plan::Context;
use crate::plan::ahead::{Ahead, Step};
use crate::plan::entry::Entry;
use crate::plan::listing::root_attrs;
use crate::plan::look::{At, Listed, Unlisted, look};
use crate::plan::source::typed;
use crate::wire::entry::{Listed as ListedEntry, Properties};
use crate::wire::frame::DATA_MAX;
use crate::wire::listing::Listing;
use crate::wire::to_receiver::{Ids, Outcome, Roots};
use crate::wire::to_sender::How;
use crate::wire::{ToReceiver, ToSender, WINDOW, WireError};

/// Files up to this many bytes travel inside a message: nothing is gained by moving so few by reference.
/// A guess, to be measured: a `sendfile` and its frame cost two to three calls.
const INLINE_UP_TO: u64 = 32 << 10;

/// Wishes that a receiver may have open at once. A receiver of this program has some hundreds.
const WISHES_MAX: usize = 1 << 16;

/// Messages that may wait for the writer.
const OUTBOX: usize = 256;

/// What the receiver said at the end.
pub(super) type Finished = super::Summary;

/// What is needed to answer for a directory that was listed.
struct Announced {
    sources: crate::plan::look::Sources,
    entries: Vec<Entry>,
}

struct Wish {
    dir: u32,
    number: u32,
    how: How,
}

/// What the writer sends in order.
enum Out {
    /// The data of a file.
    File { dir: u32, entry: u32, file: Arc<OpenFile>, how: How, shrank: Arc<AtomicBool> },
    /// Its end, after the data.
    End { dir: u32, entry: u32, digest: Result<Option<Digest>, Problem>, shrank: Arc<AtomicBool> },
}

#[derive(Default)]
struct Credit {
    ahead: u64,
    over: bool,
}

struct Sending<'a> {
    options: &'a Options,
    engine: &'a Engine,
    pacer: &'a Pacer<'a>,
    meter: &'a Meter,
    observer: Option<&'a dyn Observer>,
    selection: &'a Selection,
    announced: Mutex<HashMap<u32, Arc<Announced>>>,
    credit: Mutex<Credit>,
    credited: Condvar,
    /// The tree is being listed.
    walking: AtomicBool,
}

/// Plays the sending role for `selection` until the receiver has finished; returns what that said.
///
/// `observer` is told what the receiver does, where that is the server.
///
/// # Errors
///
/// The conversation is over before its end.
#[allow(clippy::too_many_arguments)] // one run's parts, made by the caller
pub(super) fn send(
    options: &Options,
    selection: &Selection,
    engine: &Engine,
    pacer: &Pacer<'_>,
    meter: &Meter,
    observer: Option<&dyn Observer>,
    reader: &mut FrameReader,
    writer: &mut FrameWriter,
) -> Result<Finished, LinkError> {
    let sending = Sending {
        options,
        engine,
        pacer,
        meter,
        observer,
        selection,
        announced: Mutex::default(),
        credit: Mutex::default(),
        credited: Condvar::new(),
        walking: AtomicBool::new(false),
    };
    for part in sending.roots() {
        writer.push(&ToReceiver::Roots(part))?;
    }
    writer.flush()?;
    let (messages, outgoing) = bounded(OUTBOX);
    let (files, data) = bounded(OUTBOX);
    let (wishes, wanted) = unbounded();
    let (walks, walk) = unbounded();
    let jobs = options.jobs.max(2);
    let lost = Lost::default();
    let finished = std::thread::scope(|scope| {
        let reading = {
            let (sending, messages, lost) = (&sending, messages.clone(), &lost);
            scope.spawn(move || {
                let ended = sending.listen(reader, &wishes, &walks, &messages);
                sending.stop();
                // With the channels to the others gone, they end; so does the writer.
                ended.map_err(|e| lost.note(e, meter)).ok()
            })
        };
        {
            let (sending, messages) = (&sending, messages.clone());
            scope.spawn(move || sending.list_all(&walk, &messages));
        }
        for _ in 0..jobs {
            let (sending, messages, files, wanted) =
                (&sending, messages.clone(), files.clone(), wanted.clone());
            scope.spawn(move || {
                for wish in wanted {
                    if sending.answer(&wish, &messages, &files).is_err() {
                        return;
                    }
                }
            });
        }
        drop((messages, files, wanted));
        let written = sending.write_all(writer, &outgoing, &data);
        // Whoever still has something to send finds nobody to take it, and ends.
        drop((outgoing, data));
        if let Err(e) = written {
            sending.stop();
            lost.note(e, meter);
        }
        reading.join().ok().flatten()
    });
    lost.into_result()?;
    let (stats, ledger) = (Stats::default(), Box::new(engine.ledger().snapshot()));
    writer.send(&ToReceiver::Bye { stats, ledger })?;
    finished.ok_or_else(|| StreamError::Closed.into())
}

impl Sending<'_> {
    fn roots(&self) -> Vec<Roots> {
        let chmod = |attrs: Attrs| root_attrs(&self.options.plan, operand::umask(), attrs);
        let selection = self.selection;
        let roots = Roots {
            prefixes: selection.prefixes.iter().map(|prefix| prefix.to_vec().into()).collect(),
            notes: selection.notes.clone(),
            problems: selection.problems.clone(),
            last: true,
            root: selection.root.map(|attrs| Properties::of(&chmod(attrs))),
            single: selection.single.clone(),
        };
        roots.parts()
    }

    /// Reads what the receiver says until it has finished.
    fn listen(
        &self,
        reader: &mut FrameReader,
        wishes: &Sender<Wish>,
        walks: &Sender<()>,
        messages: &Sender<ToReceiver>,
    ) -> Result<Finished, LinkError> {
        loop {
            match reader.advance()? {
                Frame::End => return Err(StreamError::Closed.into()),
                Frame::Data(_) => return Err(not_allowed("Data", "the receiver has none to send").into()),
                Frame::Control => {}
            }
            match reader.message()? {
                ToSender::Want { dir, entry: number, how, .. } => {
                    if wishes.len() >= WISHES_MAX {
                        return Err(not_allowed("Want", "more than can be open at once").into());
                    }
                    // The workers live as long as this sender does.
                    let _sent = wishes.send(Wish { dir, number, how });
                }
                ToSender::Took { entries } => {
                    let mut credit = self.credit();
                    credit.ahead = credit
                        .ahead
                        .checked_sub(u64::from(entries))
                        .ok_or_else(|| not_allowed("Took", "more than was sent"))?;
                    self.credited.notify_all();
                }
                ToSender::DirDone { dir } => {
                    self.announced().remove(&dir);
                }
                ToSender::Stored { dir, entry } => {
                    let problem = self.remove(dir, entry)?;
                    if problem.is_some() {
                        let _sent = messages.send(ToReceiver::Removed { dir, entry, problem });
                    }
                }
                ToSender::Told(events) => {
                    events.into_iter().for_each(|event| self.tell(event));
                }
                ToSender::Progress(figures) => self.meter.take_over(&figures),
                ToSender::Finished { stats, ledger, worst, ended } => {
                    return Ok(Finished { stats, ledger: *ledger, worst, ended, traffic: None });
                }
                ToSender::Fatal(fatal) => return Err(LinkError::Fatal(fatal.code, fatal.text)),
                ToSender::List => {
                    if self.walking.swap(true, Ordering::AcqRel) {
                        return Err(not_allowed("List", "the walk before is under way").into());
                    }
                    // What the receiver held of an earlier walk it holds no longer.
                    self.credit().ahead = 0;
                    let _sent = walks.send(());
                }
            }
        }
    }

    /// Tells the client what the receiver has done: seen from here, data was sent.
    fn tell(&self, mut event: Event) {
        if let Event::Item(item) = &mut event
            && item.change.update == Update::Received
        {
            item.change.update = Update::Sent;
        }
        if let Some(observer) = self.observer {
            observer.event(&event);
        }
    }

    /// Lists the tree once for every `()`.
    fn list_all(&self, walk: &Receiver<()>, messages: &Sender<ToReceiver>) {
        for () in walk {
            self.announced().clear();
            if self.list(messages).is_break() {
                return;
            }
        }
    }

    fn list(&self, messages: &Sender<ToReceiver>) -> ControlFlow<()> {
        let digest = |_: std::os::fd::BorrowedFd<'_>, _: u64| None;
        let cx = Context::of_sender(&self.options.plan, &self.options.filter, self.meter, &digest);
        let look_and_hash = |dir: Unlisted| {
            let (mut listed, below) = look(&cx, dir);
            if let Some(module) = &self.options.module {
                module.outgoing(&mut listed);
            }
            if self.options.plan.checksum {
                self.hash(&mut listed);
            }
            let dirs = listed.entries.iter().filter(|entry| entry.attrs.kind == Kind::Dir);
            let below = below.into_iter().zip(dirs).filter(|(_, entry)| entry.skipped.is_none());
            let below = below.map(|(unlisted, _)| unlisted).collect();
            (listed, below)
        };
        let root = Unlisted::root(&self.selection.sources);
        let ahead = Ahead::new(&look_and_hash, root);
        let mut numbering = Numbering::new();
        let mut names = IdNames::default();
        std::thread::scope(|scope| {
            for _ in 0..self.options.jobs.clamp(1, 4) {
                scope.spawn(|| ahead.work());
            }
            let mut flow = ControlFlow::Continue(());
            while let Some(step) = ahead.next() {
                flow = match step {
                    Step::Enter(listed) => self.announce(*listed, &mut numbering, &mut names, messages),
                    Step::Leave => {
                        numbering.leave();
                        ControlFlow::Continue(())
                    }
                };
                if flow.is_break() {
                    break;
                }
            }
            ahead.stop();
            flow
        })?;
        // From here on the receiver may ask for the next.
        self.walking.store(false, Ordering::Release);
        send_or_stop(messages, ToReceiver::ListingDone)
    }

    /// Sends a directory's listing, when the receiver has room for it.
    fn announce(
        &self,
        listed: Listed,
        numbering: &mut Numbering,
        names: &mut IdNames,
        messages: &Sender<ToReceiver>,
    ) -> ControlFlow<()> {
        let Listed { sources, entries, notes, problems, complete, incomplete } = listed;
        let children = entries.iter().filter(|e| e.attrs.kind == Kind::Dir && e.skipped.is_none()).count();
        let dir = numbering.enter(children);
        self.wait_for_credit(entries.len() as u64)?;
        let hard_links = self.options.plan.hard_links;
        // Which source of the whole session each source of this directory is.
        let rank = |prefix: &Arc<[u8]>| {
            let all = self.selection.prefixes.iter();
            let found = all.zip(0..).find(|(known, _)| Arc::ptr_eq(known, prefix));
            found.map_or(0, |(_, rank)| rank)
        };
        let ranks: Vec<u32> = sources.prefixes.iter().map(rank).collect();
        let mut told = Ids::default();
        let on_wire = entries.iter().map(|entry| {
            names.note(&self.options.plan, &entry.attrs, &mut told);
            let source = ranks.get(entry.source).copied().unwrap_or(0);
            ListedEntry::of(entry, source, hard_links, entry.digest.map(Digest))
        });
        let on_wire = on_wire.collect();
        if !told.users.is_empty() || !told.groups.is_empty() {
            send_or_stop(messages, ToReceiver::Ids(told))?;
        }
        if !self.options.dry_run {
            let announced = Arc::new(Announced { sources, entries });
            self.announced().insert(dir, announced);
        }
        let listing = Listing { dir, entries: on_wire, notes, problems, last: true, complete, incomplete };
        for part in listing.parts() {
            send_or_stop(messages, ToReceiver::Listing(part))?;
        }
        ControlFlow::Continue(())
    }

    /// Waits until so many entries more may be sent, and counts them.
    fn wait_for_credit(&self, entries: u64) -> ControlFlow<()> {
        let mut credit = self.credit();
        while credit.ahead > 0 && credit.ahead + entries > u64::from(WINDOW) {
            if credit.over {
                return ControlFlow::Break(());
            }
            credit = self.credited.wait(credit).unwrap_or_else(PoisonError::into_inner);
        }
        credit.ahead += entries;
        if credit.over { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    /// The digests that `--checksum` compares by.
    fn hash(&self, listed: &mut Listed) {
        let At::Here(dirs) = &listed.sources.at else { return };
        for entry in &mut listed.entries {
            if entry.attrs.kind != Kind::File || entry.skipped.is_some() {
                continue;
            }
            let Some(dir) = dirs.get(entry.source) else { continue };
            let Ok(file) = open(dir, entry) else { continue };
            let digest = self.engine.digest(file.as_fd(), file.attrs.size, self.pacer as &dyn Pace);
            entry.digest = digest.ok().filter(|_| file.attrs.size == entry.attrs.size).map(|digest| digest.0);
        }
    }

    /// Opens and hashes a file that is wanted, and has it sent.
    fn answer(&self, wish: &Wish, messages: &Sender<ToReceiver>, files: &Sender<Out>) -> Result<(), Gone> {
        let Wish { dir, number, how } = *wish;
        let failed = |problem| ToReceiver::FileEnd {
            dir,
            entry: number,
            outcome: Outcome::Failed(problem),
            digest: None,
        };
        let announced = self.announced().get(&dir).cloned();
        let entry = announced.as_ref().and_then(|a| a.entries.get(number as usize));
        let (Some(announced), Some(entry)) = (&announced, entry) else {
            // Only a peer that does not keep to the protocol asks for it; it gets nothing.
            let problem = Problem::text("send", b"a file", "was asked for and never listed");
            return messages.send(failed(problem)).map_err(|_| Gone);
        };
        let path = announced.sources.path.join(&entry.name);
        let name = announced.sources.typed(entry.source, &path);
        let held = match &announced.sources.at {
            At::Here(dirs) => dirs.get(entry.source),
            At::Peer(_) => None,
        };
        let opened = held.ok_or(crate::sys::Errno::ENOENT).and_then(|held| open(held, entry));
        let file = match opened {
            Ok(file) if entry.attrs.kind == Kind::File => file,
            Ok(_) => return messages.send(failed(not_a_file(&name))).map_err(|_| Gone),
            Err(e) => {
                let problem = source_problem("open", &name, e);
                return messages.send(failed(problem)).map_err(|_| Gone);
            }
        };
        if let Some(module) = self.options.module.as_ref().filter(|_| how == How::Kernel) {
            module.sends(&name, &path, file.attrs);
        }
        if file.attrs.size <= INLINE_UP_TO {
            let message = match self.inline(&file) {
                Ok(data) => {
                    let digest = (!self.options.apply.unverified).then(|| self.digest_of(&data));
                    ToReceiver::Inline { dir, entry: number, mtime: file.attrs.mtime, data, digest }
                }
                Err(Some(e)) => failed(source_problem("read", &name, e)),
                Err(None) => {
                    ToReceiver::FileEnd { dir, entry: number, outcome: Outcome::Shrank, digest: None }
                }
            };
            self.meter.files_done.fetch_add(1, Ordering::Relaxed);
            return messages.send(message).map_err(|_| Gone);
        }
        let file = Arc::new(file);
        let shrank = Arc::new(AtomicBool::new(false));
        let out = Out::File { dir, entry: number, file: Arc::clone(&file), how, shrank: Arc::clone(&shrank) };
        files.send(out).map_err(|_| Gone)?;
        if how == How::Copying {
            return Ok(()); // what is sent is hashed as it is sent
        }
        let digest = || self.engine.digest(file.as_fd(), file.attrs.size, self.pacer as &dyn Pace);
        let digest = match (!self.options.apply.unverified).then(digest).transpose() {
            Ok(digest) => Ok(digest),
            Err(DigestError::Changed) => {
                shrank.store(true, Ordering::Relaxed);
                Ok(None)
            }
            Err(DigestError::Failed { source, .. }) => Err(source_problem("read", &name, source)),
            Err(DigestError::Interrupted) => return Err(Gone),
        };
        files.send(Out::End { dir, entry: number, digest, shrank }).map_err(|_| Gone)
    }

    /// All bytes of a small file; `None`: it ended early.
    fn inline(&self, file: &OpenFile) -> Result<Vec<u8>, Option<crate::sys::Errno>> {
        let len = usize::try_from(file.attrs.size).map_err(|_| None)?;
        let data =
            crate::engine::stream::read_at(file.as_fd(), 0, len, self.engine.ledger()).map_err(Some)?;
        let paced = self.pacer.advance(data.len() as u64, crate::engine::Rung::Buffered);
        // A wish to stop is heard by the writer.
        let _over = paced.is_break();
        if data.len() == len { Ok(data) } else { Err(None) }
    }

    fn digest_of(&self, data: &[u8]) -> Digest {
        let mut hasher = FileHasher::new(self.engine.key());
        hasher.update(data);
        hasher.finish()
    }

    fn remove(&self, dir: u32, number: u32) -> Result<Option<Problem>, LinkError> {
        if !self.options.apply.remove_source_files {
            return Err(not_allowed("Stored", "sources are not to be removed").into());
        }
        let announced = self.announced().get(&dir).cloned();
        let entry = announced.as_ref().and_then(|a| a.entries.get(number as usize));
        let (Some(announced), Some(entry)) = (&announced, entry) else {
            return Err(not_allowed("Stored", "was never listed").into());
        };
        let At::Here(dirs) = &announced.sources.at else { return Ok(None) };
        let path = announced.sources.path.join(&entry.name);
        let name = typed(announced.sources.prefix(entry.source), &path);
        let held = dirs.get(entry.source).ok_or(crate::sys::Errno::ENOENT).and_then(|held| held.get());
        Ok(match held {
            Ok(held) => remove_source(&held, entry, None, &name).err(),
            Err(e) => Some(source_problem("remove", &name, e)),
        })
    }

    /// Writes until nobody has anything to send any more.
    fn write_all(
        &self,
        writer: &mut FrameWriter,
        messages: &Receiver<ToReceiver>,
        files: &Receiver<Out>,
    ) -> Result<(), LinkError> {
        let (mut messages_open, mut files_open) = (true, true);
        let quiet = quiet(self.options.timeout);
        let never_message = crossbeam_channel::never();
        let never_file = crossbeam_channel::never();
        while messages_open || files_open {
            if messages.is_empty() && files.is_empty() {
                writer.flush()?;
            }
            let from_messages = if messages_open { messages } else { &never_message };
            let from_files = if files_open { files } else { &never_file };
            select_biased! {
                recv(from_messages) -> message => match message {
                    Ok(message) => writer.push(&message)?,
                    Err(_) => messages_open = false,
                },
                recv(from_files) -> out => match out {
                    Ok(out) => self.write_file(writer, out, messages)?,
                    Err(_) => files_open = false,
                },
                default(quiet) => writer.keep_alive()?,
            }
        }
        writer.flush()
    }

    fn write_file(
        &self,
        writer: &mut FrameWriter,
        out: Out,
        messages: &Receiver<ToReceiver>,
    ) -> Result<(), LinkError> {
        let (dir, entry, outcome, digest) = match out {
            Out::End { dir, entry, digest, shrank } => match digest {
                _ if shrank.load(Ordering::Relaxed) => (dir, entry, Outcome::Shrank, None),
                Ok(digest) => (dir, entry, Outcome::Complete, digest),
                Err(problem) => (dir, entry, Outcome::Failed(problem), None),
            },
            Out::File { dir, entry, file, how, shrank } => {
                let Attrs { size, mtime, .. } = file.attrs;
                let digest_follows = !self.options.apply.unverified || how == How::Copying;
                writer.push(&ToReceiver::File { dir, entry, size, mtime, from: 0, digest_follows })?;
                let mut hasher = (how == How::Copying).then(|| FileHasher::new(self.engine.key()));
                let whole = self.write_data(writer, &file, hasher.as_mut(), messages)?;
                shrank.fetch_or(!whole, Ordering::Relaxed);
                if whole {
                    self.meter.files_done.fetch_add(1, Ordering::Relaxed);
                }
                match hasher {
                    None => return Ok(()),
                    Some(hasher) if whole => (dir, entry, Outcome::Complete, Some(hasher.finish())),
                    Some(_) => (dir, entry, Outcome::Shrank, None),
                }
            }
        };
        writer.push(&ToReceiver::FileEnd { dir, entry, outcome, digest })
    }

    /// Sends the data and holes of a file; `false`: it ended early.
    fn write_data(
        &self,
        writer: &mut FrameWriter,
        file: &OpenFile,
        mut hasher: Option<&mut FileHasher>,
        messages: &Receiver<ToReceiver>,
    ) -> Result<bool, LinkError> {
        let Attrs { size, dev, allocated, .. } = file.attrs;
        let source = Source { fd: file.as_fd(), dev, len: size, allocated };
        let mut at = 0;
        let mut result = Ok(true);
        let mut segment = |start: u64, len: u64| -> Result<bool, LinkError> {
            if start > at {
                writer.push(&ToReceiver::Hole { len: start - at })?;
                if let Some(hasher) = &mut hasher {
                    hasher.zeros(start - at);
                }
            }
            at = start;
            while at < start + len {
                let piece = usize::try_from(start + len - at).unwrap_or(DATA_MAX).min(DATA_MAX);
                let ledger = self.engine.ledger();
                let real = writer.data(file.as_fd(), at, piece, hasher.as_deref_mut(), ledger, self.pacer)?;
                if real < piece {
                    return Ok(false);
                }
                at += piece as u64;
                // Listings and small files do not wait for a large one to end.
                while let Ok(message) = messages.try_recv() {
                    writer.push(&message)?;
                }
            }
            Ok(true)
        };
        let mapped = self.engine.each_data(source, &mut |start, len| {
            result = segment(start, len);
            if matches!(result, Ok(true)) { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        let whole = result?;
        if whole && mapped.is_ok() && at < size {
            writer.push(&ToReceiver::Hole { len: size - at })?;
            if let Some(hasher) = &mut hasher {
                hasher.zeros(size - at);
            }
        }
        Ok(whole && mapped.is_ok())
    }

    fn stop(&self) {
        self.credit().over = true;
        self.credited.notify_all();
    }

    fn credit(&self) -> MutexGuard<'_, Credit> {
        self.credit.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn announced(&self) -> MutexGuard<'_, HashMap<u32, Arc<Announced>>> {
        self.announced.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The writer is gone.
struct Gone;

fn send_or_stop(messages: &Sender<ToReceiver>, message: ToReceiver) -> ControlFlow<()> {
    match messages.send(message) {
        Ok(()) => ControlFlow::Continue(()),
        Err(_) => ControlFlow::Break(()),
    }
}

fn open(held: &HeldDir, entry: &Entry) -> Result<OpenFile, crate::sys::Errno> {
    let dir = held.get()?;
    if entry.followed { dir.open_file_following(&entry.name) } else { dir.open_file(&entry.name) }
}

fn not_a_file(name: &[u8]) -> Problem {
    Problem::text("send", name, "is not a regular file")
}

fn not_allowed(message: &'static str, cause: &str) -> WireError {
    WireError::NotAllowed { message, field: "order".into(), cause: cause.into() }
}

/// Numbers directories as they are announced, while they are listed in pre-order.
struct Numbering {
    next: u32,
    levels: Vec<Range<u32>>,
}

impl Numbering {
    fn new() -> Numbering {
        Numbering { next: 1, levels: std::iter::once(0..1).collect() }
    }

    /// The number of the directory that is listed now, of whose entries `children` are announced.
    fn enter(&mut self, children: usize) -> u32 {
        let number = self.levels.last_mut().and_then(Iterator::next).unwrap_or(0);
        let end = self.next.saturating_add(u32::try_from(children).unwrap_or(u32::MAX));
        self.levels.push(self.next..end);
        self.next = end;
        number
    }

    fn leave(&mut self) {
        self.levels.pop();
    }
}
