//! The sending role towards a peer: lists the tree, answers wishes with data.
//!
//! Four kinds of threads: one reads what the receiver says, one lists (with a few that look into directories
//! ahead of it), some open and hash the files that are wanted, and one writes. Only the writer waits for the
//! connection to take something; the reader waits for nothing else, so both directions always move. How files
//! are answered for is in `session::answers`, how they are written in `session::outgoing`.

use std::collections::{HashMap, HashSet};
use std::ops::{ControlFlow, Range};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};

use super::Options;
use super::answers::{Wish, open};
use super::compress::Packing;
use super::frames::{Frame, FrameReader, FrameWriter, LinkError, Lost};
use super::ids::IdNames;
use super::pace::Pacer;
use super::selection::Selection;
use crate::engine::stream::StreamError;
use crate::engine::{Digest, Engine, Pace};
use crate::event::{Ended, Event, Meter, Observer, Problem, Stats, Update};
use crate::path::{Attrs, Kind, RelPath, operand};
use crate::plan::ahead::{Ahead, Step};
use crate::plan::attached::Attached;
use crate::plan::entry::Entry;
use crate::plan::listing::root_attrs;
use crate::plan::look::{At, Listed, Sources, Unlisted, look};
use crate::plan::{Append, Context};
use crate::sys::thread;
use crate::wire::entry::{Listed as ListedEntry, Properties};
use crate::wire::listing::Listing;
use crate::wire::to_receiver::{Ids, Roots};
use crate::wire::to_sender::Have;
use crate::wire::{ToReceiver, ToSender, WINDOW, WireError};

/// Wishes that a receiver may have open at once. A receiver of this program has some hundreds.
const WISHES_MAX: usize = 1 << 16;

/// Messages that may wait for the writer.
const OUTBOX: usize = 256;

/// What the receiver said at the end.
pub(super) type Finished = super::Summary;

/// What is needed to answer for a directory that was listed.
pub(super) struct Announced {
    pub(super) sources: Sources,
    pub(super) entries: Vec<Entry>,
    /// What is attached to the directory itself.
    pub(super) own: Option<Arc<Attached>>,
    /// Which of its sources that is from.
    pub(super) own_source: usize,
}

#[derive(Default)]
struct Credit {
    ahead: u64,
    over: bool,
}

/// What the threads of the sending role share.
pub(super) struct Sending<'a> {
    pub(super) options: &'a Options,
    pub(super) engine: &'a Engine,
    pub(super) pacer: &'a Pacer<'a>,
    pub(super) meter: &'a Meter,
    pub(super) packing: Option<Packing>,
    observer: Option<&'a dyn Observer>,
    selection: &'a Selection,
    announced: Mutex<HashMap<u32, Arc<Announced>>>,
    /// Files that are wanted and have not been answered to their end: directory and entry.
    open: Mutex<HashSet<(u32, u32)>>,
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
        packing: Packing::of(options),
        observer,
        selection,
        announced: Mutex::default(),
        open: Mutex::default(),
        credit: Mutex::default(),
        credited: Condvar::new(),
        walking: AtomicBool::new(false),
    };
    let mut told = Ids::default();
    if let Some(root) = &selection.root {
        IdNames::default().note(&options.plan, root, selection.root_attached.as_deref(), &mut told);
    }
    for part in told.parts() {
        writer.push(&ToReceiver::Ids(part))?;
    }
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
    let (finished, whole) = std::thread::scope(|scope| {
        let listing = {
            let (sending, messages) = (&sending, messages.clone());
            thread::start(scope, move || sending.list_all(&walk, &messages))
        };
        let answer = |_| {
            let (sending, messages, files, wanted) =
                (&sending, messages.clone(), files.clone(), wanted.clone());
            thread::start(scope, move || {
                for wish in wanted {
                    if sending.answer(&wish, &messages, &files).is_err() {
                        return;
                    }
                }
            })
        };
        // One of them will do.
        let answering = answer(0).inspect(|_| (1..jobs).map_while(|n| answer(n).ok()).for_each(drop));
        // Last: only the peer ends it, and with the channels to the others gone, they end; so does the writer.
        let reading = listing.and(answering).and_then(|_| {
            let (sending, messages, lost) = (&sending, messages.clone(), &lost);
            thread::start(scope, move || {
                let ended = sending.listen(reader, &wishes, &walks, &messages);
                sending.stop();
                ended.map_err(|e| lost.note(e, meter)).ok()
            })
        });
        drop((messages, files, wanted));
        let written = sending.write_all(writer, &outgoing, &data);
        // Whoever still has something to say finds nobody to take it, and ends.
        drop(outgoing);
        let whole = written.is_ok();
        if let Err(e) = written {
            sending.stop();
            lost.note(e, meter);
        }
        // A file that is still queued keeps its hasher waiting until it is dropped; a closed channel keeps what is in it.
        data.iter().for_each(drop);
        let heard = match reading {
            Ok(reading) => reading.join().ok().flatten(),
            Err(e) => {
                lost.note(LinkError::NoThread(e), meter);
                None
            }
        };
        (heard, whole)
    });
    // In the middle of a frame nothing can be said.
    if let Some(fatal) = lost.fatal().filter(|_| whole) {
        let _heard = writer.send(&ToReceiver::Fatal(fatal));
    }
    lost.into_result()?;
    let (stats, ledger) = (Stats::default(), Box::new(engine.ledger().snapshot()));
    writer.send(&ToReceiver::Bye { stats, ledger })?;
    finished.ok_or_else(|| StreamError::Closed.into())
}

impl Sending<'_> {
    fn roots(&self) -> Vec<Roots> {
        let chmod = |attrs: Attrs| root_attrs(&self.options.plan, operand::umask(), attrs);
        let selection = self.selection;
        selection.problems.iter().for_each(|problem| self.log(problem));
        let roots = Roots {
            prefixes: selection.prefixes.iter().map(|prefix| prefix.to_vec().into()).collect(),
            missing: selection.missing.clone(),
            notes: selection.notes.clone(),
            problems: selection.problems.clone(),
            last: true,
            root: selection.root.map(|attrs| Properties::of(&chmod(attrs))),
            attached: selection.root_attached.clone(),
            single: selection.single.clone(),
        };
        roots.parts()
    }

    /// Reads what the receiver says until it has finished.
    fn listen(
        &self,
        reader: &mut FrameReader,
        wishes: &Sender<Wish>,
        walks: &Sender<bool>,
        messages: &Sender<ToReceiver>,
    ) -> Result<Finished, LinkError> {
        loop {
            match reader.advance()? {
                Frame::End => return Err(StreamError::Closed.into()),
                Frame::Data(_) | Frame::Unpacked(_) => {
                    return Err(WireError::out_of_order("Data", "the receiver has none to send").into());
                }
                Frame::Control => {}
            }
            match reader.message()? {
                ToSender::Want { dir, entry: number, how, have } => {
                    if wishes.len() >= WISHES_MAX {
                        return Err(WireError::out_of_order("Want", "more than can be open at once").into());
                    }
                    let size = self.listed_size(dir, number);
                    let size =
                        size.ok_or_else(|| WireError::out_of_order("Want", "no such file was listed"))?;
                    if have.is_some_and(|have| !self.may_have(have, size)) {
                        return Err(WireError::out_of_order("Want", "nothing of that can be there").into());
                    }
                    if !self.open().insert((dir, number)) {
                        return Err(WireError::out_of_order("Want", "the same file is on its way").into());
                    }
                    // The workers live as long as this sender does.
                    let _sent = wishes.send(Wish::File { dir, number, how, have });
                }
                ToSender::WantXattrs { dir, entry } => {
                    if wishes.len() >= WISHES_MAX {
                        return Err(
                            WireError::out_of_order("WantXattrs", "more than can be open at once").into()
                        );
                    }
                    let _sent = wishes.send(Wish::Xattrs { dir, entry });
                }
                ToSender::Took { entries } => {
                    let mut credit = self.credit();
                    credit.ahead = credit
                        .ahead
                        .checked_sub(u64::from(entries))
                        .ok_or_else(|| WireError::out_of_order("Took", "more than was sent"))?;
                    self.credited.notify_all();
                }
                ToSender::DirDone { dir } => {
                    self.announced().remove(&dir);
                }
                ToSender::Stored { dir, entry } => {
                    let problem = self.remove(dir, entry)?;
                    let _sent = messages.send(ToReceiver::Removed { dir, entry, problem });
                }
                ToSender::Told(events) => {
                    events.into_iter().for_each(|event| self.tell(event));
                }
                ToSender::Progress(figures) => self.meter.take_over(&figures),
                ToSender::Finished { ended: Ended::Complete, .. } if !self.open().is_empty() => {
                    return Err(WireError::out_of_order("Finished", "files are still on their way").into());
                }
                ToSender::Finished { stats, ledger, worst, ended } => {
                    return Ok(Finished { stats, ledger: *ledger, worst, ended, traffic: None });
                }
                ToSender::Fatal(fatal) => return Err(LinkError::Fatal(fatal.code, fatal.text)),
                ToSender::List { digests } => {
                    if self.walking.swap(true, Ordering::AcqRel) {
                        return Err(WireError::out_of_order("List", "the walk before is under way").into());
                    }
                    // What the receiver held of an earlier walk it holds no longer.
                    self.credit().ahead = 0;
                    let _sent = walks.send(digests);
                }
            }
        }
    }

    /// A server writes down what it could not send: the client is told by the message that it goes into.
    pub(super) fn log(&self, problem: &Problem) {
        if let Some(watch) = &self.options.watch {
            watch.happened(&RelPath::root(), &Event::Problem(problem.clone()));
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

    /// Lists the tree once for every walk of the receiver, with digests where that wants them.
    fn list_all(&self, walks: &Receiver<bool>, messages: &Sender<ToReceiver>) {
        for digests in walks {
            self.announced().clear();
            if self.list(digests, messages).is_break() {
                return;
            }
        }
    }

    fn list(&self, digests: bool, messages: &Sender<ToReceiver>) -> ControlFlow<()> {
        let digest = |_: std::os::fd::BorrowedFd<'_>, _: u64| None;
        let Options { plan, filter, module, .. } = self.options;
        let cx = Context::of_sender(plan, filter, module.is_some(), self.meter, &digest);
        let look_and_hash = |dir: Unlisted| {
            let (mut listed, below) = look(&cx, dir);
            if digests && self.options.plan.checksum {
                self.hash(&mut listed);
            }
            let dirs = listed.entries.iter().filter(|entry| entry.attrs.kind == Kind::Dir);
            let below = below.into_iter().zip(dirs).filter(|(_, entry)| entry.skipped.is_none());
            let below = below.map(|(unlisted, _)| unlisted).collect();
            (listed, below)
        };
        let root = Unlisted::root(&self.selection.sources, self.selection.incomplete);
        let ahead = Ahead::new(&look_and_hash, root);
        let mut numbering = Numbering::new();
        numbering.attached.extend(self.selection.root_attached.clone().map(|attached| (0, attached)));
        let mut names = IdNames::default();
        ahead.helped(self.options.jobs.clamp(1, 4), || {
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
        self.wait_for_credit(entries.iter().map(|entry| entry.weight() as u64).sum())?;
        // Which source of the whole session each source of this directory is.
        let rank = |prefix: &Arc<[u8]>| {
            let all = self.selection.prefixes.iter();
            let found = all.zip(0..).find(|(known, _)| Arc::ptr_eq(known, prefix));
            found.map_or(0, |(_, rank)| rank)
        };
        let ranks: Vec<u32> = sources.prefixes.iter().map(rank).collect();
        let mut told = Ids::default();
        let on_wire = entries.iter().map(|entry| {
            names.note(&self.options.plan, &entry.attrs, entry.attached.as_deref(), &mut told);
            let source = ranks.get(entry.source).copied().unwrap_or(0);
            ListedEntry::of(entry, source, &self.options.plan, entry.digest.as_deref().copied().map(Digest))
        });
        let on_wire = on_wire.collect();
        for part in told.parts() {
            send_or_stop(messages, ToReceiver::Ids(part))?;
        }
        let own = numbering.attached.remove(&dir);
        if !self.options.dry_run {
            let dirs = entries.iter().filter(|e| e.attrs.kind == Kind::Dir && e.skipped.is_none());
            numbering.attach(dirs.map(|entry| entry.attached.as_ref()));
            let own_source = if dir == 0 { self.selection.root_source } else { 0 };
            let announced = Arc::new(Announced { sources, entries, own, own_source });
            self.announced().insert(dir, announced);
        }
        problems.iter().for_each(|problem| self.log(problem));
        let listing = Listing { dir, entries: on_wire, notes, problems, last: true, complete, incomplete };
        for part in listing.parts() {
            send_or_stop(messages, ToReceiver::Listing(part))?;
        }
        ControlFlow::Continue(())
    }

    /// Waits until so many entries more may be sent, and counts them.
    fn wait_for_credit(&self, entries: u64) -> ControlFlow<()> {
        let mut credit = self.credit();
        // Less than a quarter the receiver may have taken without a word (`Took`): to wait for that would be for ever.
        while credit.ahead >= u64::from(WINDOW / 4) && credit.ahead + entries > u64::from(WINDOW) {
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
            let Ok(file) = open(dir, entry, self.options.plan.reading()) else { continue };
            let digest = self.engine.digest(file.as_fd(), file.attrs.size, self.pacer as &dyn Pace);
            entry.digest =
                digest.ok().filter(|_| file.attrs.size == entry.attrs.size).map(|digest| Box::new(digest.0));
        }
    }

    /// The length of a regular file, as it was listed; `None`: no such file was.
    fn listed_size(&self, dir: u32, number: u32) -> Option<u64> {
        let announced = self.announced().get(&dir).cloned();
        let entry = announced.as_ref().and_then(|dir| dir.entries.get(number as usize));
        let file = entry.filter(|entry| entry.attrs.kind == Kind::File && entry.skipped.is_none());
        file.map(|file| file.attrs.size)
    }

    /// Whether the options let the receiver go on with that of a file that was listed with `size` bytes.
    fn may_have(&self, have: Have, size: u64) -> bool {
        let append = self.options.plan.append;
        let kept = match have.digest {
            Some(_) => append != Append::Unseen && self.options.apply.partial,
            None => append == Append::Unseen,
        };
        kept && have.len <= size
    }

    /// A wish is answered to its end: it may come again.
    pub(super) fn answered(&self, dir: u32, number: u32) {
        self.open().remove(&(dir, number));
    }

    fn open(&self) -> MutexGuard<'_, HashSet<(u32, u32)>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stop(&self) {
        self.credit().over = true;
        self.credited.notify_all();
    }

    fn credit(&self) -> MutexGuard<'_, Credit> {
        self.credit.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn announced(&self) -> MutexGuard<'_, HashMap<u32, Arc<Announced>>> {
        self.announced.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn send_or_stop(messages: &Sender<ToReceiver>, message: ToReceiver) -> ControlFlow<()> {
    match messages.send(message) {
        Ok(()) => ControlFlow::Continue(()),
        Err(_) => ControlFlow::Break(()),
    }
}

/// Numbers directories as they are announced, while they are listed in pre-order.
struct Numbering {
    next: u32,
    levels: Vec<Range<u32>>,
    /// What is attached to directories that have a number and are not listed yet, as far as it has values that
    /// their listing does not hold.
    attached: HashMap<u32, Arc<Attached>>,
}

impl Numbering {
    fn new() -> Numbering {
        Numbering { next: 1, levels: std::iter::once(0..1).collect(), attached: HashMap::new() }
    }

    /// The number of the directory that is listed now, of whose entries `children` are announced.
    fn enter(&mut self, children: usize) -> u32 {
        let number = self.levels.last_mut().and_then(Iterator::next).unwrap_or(0);
        let end = self.next.saturating_add(u32::try_from(children).unwrap_or(u32::MAX));
        self.levels.push(self.next..end);
        self.next = end;
        number
    }

    /// Notes what is attached to the directories that have just got their numbers, in their order.
    fn attach<'e>(&mut self, dirs: impl Iterator<Item = Option<&'e Arc<Attached>>>) {
        let Some(numbers) = self.levels.last().cloned() else { return };
        let long = numbers.zip(dirs).filter_map(|(number, attached)| Some((number, attached?)));
        let long = long.filter(|(_, attached)| attached.long().1 > 0);
        self.attached.extend(long.map(|(number, attached)| (number, Arc::clone(attached))));
    }

    fn leave(&mut self) {
        self.levels.pop();
    }
}
