//! What comes from a sending peer: listings and data, each handed to whoever waits for it.
//!
//! One thread reads the connection ([`Arrivals::read`]). It stores data at once, in targets that workers
//! have made and announced, and never waits for anything but the connection: so whoever waits for an
//! arrival waits for the peer alone.

use std::collections::HashMap;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crossbeam_channel::Sender;

use super::expected::Expected;
use super::frames::{Frame, FrameReader, LinkError};
use super::module::Module;
use super::reached::Reached;
use super::tape::Batch;
use super::worker::Fetch;
use crate::apply::file::{Filled, Incoming, Kept, Place, Supply};
use crate::apply::{Applier, Failure};
use crate::engine::ledger::{Ledger, LedgerSnapshot};
use crate::engine::{DigestError, FileHasher, Pace, Rung, Target, stream};
use crate::event::{Problem, Stats};
use crate::path::xattr::{Xattr, Xattrs};
use crate::path::{RelPath, Time};
use crate::plan::look::{At, Listed, Sources};
use crate::plan::owners::Owners;
use crate::plan::visit::Feed;
use crate::sys::Errno;
use crate::wire::to_receiver::Outcome;
use crate::wire::to_sender::{Have, How};
use crate::wire::{Assembly, Directory, ToReceiver, ToSender, WINDOW, WireError, encoded_len};

/// Most bytes of problems with sources that are kept to be told at the end; more are only counted.
const LATE_MAX: usize = 4 << 20;

/// Files that are under way at once, to be recorded and nothing else. A guess: as many as workers keep under way.
const COLLECTING_MAX: usize = 512;

/// A file that was asked for.
struct Slot {
    /// `None`: what comes is recorded, and goes nowhere.
    target: Option<Arc<OwnedFd>>,
    /// What was in the target before.
    kept: Kept,
    /// Where the peer may begin besides 0: what it was told to be there.
    have: Option<u64>,
    /// What the peer said of it, once it has begun.
    begun: Option<(u64, Time)>,
    /// Where the next of its bytes belong.
    at: u64,
    /// The end of the data stored last.
    end: u64,
    moved: u64,
    stored: Result<(), Errno>,
    ticket: Arc<Ticket>,
}

/// Extended attributes that were asked for, as they come.
struct XattrSlot {
    values: Vec<Xattr>,
    /// Gone without an answer: there will be none.
    answer: Sender<Result<Xattrs, Problem>>,
}

/// What became of a file that was asked for.
#[derive(Debug)]
struct Arrived {
    size: u64,
    mtime: Time,
    moved: u64,
    /// Data was stored up to here; what is missing up to `size` is a hole.
    end: u64,
    outcome: Outcome,
    digest: Option<[u8; 32]>,
    stored: Result<(), Errno>,
}

/// A file that somebody waits for.
#[derive(Default, Debug)]
struct Ticket {
    reached: Reached,
    /// Where the peer has begun it, in bytes, as soon as anything has come.
    from: AtomicU64,
    arrived: Mutex<Option<Arrived>>,
}

impl Ticket {
    /// The file has come.
    fn give(&self, arrived: Arrived) {
        *self.arrived.lock().unwrap_or_else(PoisonError::into_inner) = Some(arrived);
        self.reached.end();
    }

    /// What came, once [`Reached`] has ended; `None`: it never will.
    fn take(&self) -> Option<Arrived> {
        self.arrived.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

#[derive(Default)]
struct State {
    listings: HashMap<u32, Directory>,
    slots: HashMap<(u32, u32), Slot>,
    xattrs: HashMap<(u32, Option<u32>), XattrSlot>,
    /// Entries taken that the peer has not been told of.
    taken: u32,
    /// Entries that are held for whoever takes them, and the memory that they take, in bytes.
    held: usize,
    held_bytes: usize,
    assembly: Option<Assembly>,
    late: Late,
    /// What is collected of each directory.
    collecting: HashMap<u32, Collecting>,
    /// Nothing more will be asked for: the sender may say goodbye.
    finished: bool,
    over: bool,
}

/// Files of one directory that are sent to be recorded.
#[derive(Default)]
struct Collecting {
    /// Those that have not come, with what people know them as.
    open: HashMap<u32, Vec<u8>>,
    /// Nothing more will be asked for.
    left: bool,
}

/// What comes after the plan: sources that could not be removed.
#[derive(Default)]
struct Late {
    /// Entries that the sender was told of and may still answer for.
    open: u64,
    problems: Vec<Problem>,
    bytes: usize,
    /// Further ones.
    more: u64,
}

impl Late {
    fn answered(&mut self, problem: Option<Problem>) -> Result<(), WireError> {
        self.open = self.open.checked_sub(1).ok_or_else(|| unasked("Removed"))?;
        if let Some(problem) = problem {
            self.add(problem);
        }
        Ok(())
    }

    fn add(&mut self, problem: Problem) {
        self.bytes += size_of::<Problem>() + encoded_len(&problem);
        if self.bytes <= LATE_MAX { self.problems.push(problem) } else { self.more += 1 }
    }

    fn take(&mut self) -> Vec<Problem> {
        let mut problems = std::mem::take(&mut self.problems);
        if std::mem::take(&mut self.more) > 0 {
            problems.push(Problem::text("remove", b"more sources", "could not be removed, as those before"));
        }
        problems
    }
}

/// See the module.
pub(super) struct Arrivals<'a> {
    outbox: Sender<ToSender>,
    prefixes: Arc<[Arc<[u8]>]>,
    owners: &'a Owners,
    expected: Expected,
    /// Has the session given up.
    lose: &'a (dyn Fn(LinkError) + Sync),
    /// The daemon's module that is written to, and the umask.
    module: Option<(Arc<Module>, u32)>,
    /// What comes is from a batch.
    batch: Option<Arc<Batch>>,
    /// What comes is recorded.
    records: bool,
    state: Mutex<State>,
    changed: Condvar,
}

impl<'a> Arrivals<'a> {
    /// Nothing has come. Wishes go to `outbox`; `prefixes` are what was typed for each source, `expected` is
    /// what was asked for. `lose` is told why the conversation is over, if that is before its end.
    pub(super) fn new(
        outbox: Sender<ToSender>,
        prefixes: Arc<[Arc<[u8]>]>,
        expected: Expected,
        module: Option<(Arc<Module>, u32)>,
        owners: &'a Owners,
        lose: &'a (dyn Fn(LinkError) + Sync),
        batch: Option<Arc<Batch>>,
    ) -> Arrivals<'a> {
        let (state, changed, records) = Default::default();
        Arrivals { outbox, prefixes, owners, expected, lose, module, batch, records, state, changed }
    }

    /// The same; if `records`, what comes is recorded.
    pub(super) fn recorded(self, records: bool) -> Arrivals<'a> {
        Arrivals { records, ..self }
    }

    /// Reads until the sender says goodbye; returns its figures, if it did.
    ///
    /// Whatever the end, nobody waits for an arrival afterwards.
    pub(super) fn read(
        &self,
        reader: &mut FrameReader,
        ledger: &Ledger,
        pace: &dyn Pace,
    ) -> Option<(Stats, Box<LedgerSnapshot>)> {
        match self.read_all(reader, ledger, pace) {
            Ok(figures) => {
                self.end();
                Some(figures)
            }
            Err(e) => {
                self.give_up(e);
                None
            }
        }
    }

    /// Has the session lost, before anybody who waits can take what is missing for the end.
    fn give_up(&self, e: LinkError) {
        (self.lose)(e);
        self.end();
    }

    fn end(&self) {
        let mut state = self.lock();
        state.over = true;
        state.slots.clear();
        state.xattrs.clear();
        state.collecting.clear();
        self.changed.notify_all();
    }

    /// Nothing more will be asked for.
    pub(super) fn finish(&self) {
        self.lock().finished = true;
    }

    fn read_all(
        &self,
        reader: &mut FrameReader,
        ledger: &Ledger,
        pace: &dyn Pace,
    ) -> Result<(Stats, Box<LedgerSnapshot>), LinkError> {
        let mut current = None;
        loop {
            match reader.advance()? {
                Frame::End => return Err(crate::engine::stream::StreamError::Closed.into()),
                Frame::Data(header) => {
                    let key = current.ok_or_else(|| not_allowed("Data", "no file has begun"))?;
                    // Taken out while it is stored: nobody else ends it, and no lock is held meanwhile.
                    let mut slot = self.lock().slots.remove(&key).ok_or_else(|| unasked("Data"))?;
                    slot.has_room("Data", header.len() as u64)?;
                    let target = slot.target.as_ref().filter(|_| slot.stored.is_ok()).map(AsFd::as_fd);
                    let (real, stored) = reader.store(header, target, slot.at, ledger, pace)?;
                    slot.took(real as u64, stored);
                    self.lock().slots.insert(key, slot);
                }
                Frame::Unpacked(len) => {
                    let key = current.ok_or_else(|| not_allowed("Data", "no file has begun"))?;
                    let mut slot = self.lock().slots.remove(&key).ok_or_else(|| unasked("Data"))?;
                    slot.has_room("Data", len as u64)?;
                    let target = slot.target.as_ref().filter(|_| slot.stored.is_ok()).map(AsFd::as_fd);
                    let stored = reader.store_unpacked(target, slot.at, ledger, pace)?;
                    slot.took(len as u64, stored);
                    self.lock().slots.insert(key, slot);
                }
                Frame::Control => match reader.message()? {
                    ToReceiver::Listing(part) => self.listed(part)?,
                    ToReceiver::ListingDone => {
                        if self.lock().assembly.take().is_none_or(|assembly| !assembly.is_done()) {
                            return Err(not_allowed("ListingDone", "directories are missing").into());
                        }
                        self.changed.notify_all();
                    }
                    ToReceiver::Ids(ids) => super::ids::teach(&ids, self.owners)?,
                    ToReceiver::File { dir, entry, size, mtime, from, .. } => {
                        let mut state = self.lock();
                        let slot = state.slots.get_mut(&(dir, entry)).ok_or_else(|| unasked("File"))?;
                        if slot.begun.is_some() || !slot.may_begin(from) {
                            return Err(not_allowed("File", "begins where it cannot").into());
                        }
                        slot.begun = Some((size, mtime));
                        slot.begin(from);
                        current = Some((dir, entry));
                    }
                    ToReceiver::Hole { len } => {
                        let key = current.ok_or_else(|| not_allowed("Hole", "no file has begun"))?;
                        let mut state = self.lock();
                        let slot = state.slots.get_mut(&key).ok_or_else(|| unasked("Hole"))?;
                        slot.has_room("Hole", len)?;
                        if let Some(target) =
                            slot.target.as_ref().filter(|_| slot.kept != Kept::Nothing && slot.stored.is_ok())
                        {
                            slot.stored = stream::clear(target.as_fd(), slot.at, len);
                        }
                        slot.at += len;
                    }
                    ToReceiver::Inline { dir, entry, mtime, data, digest } => {
                        let mut slot =
                            self.lock().slots.remove(&(dir, entry)).ok_or_else(|| unasked("Inline"))?;
                        if slot.begun.is_some() || !slot.may_begin(0) {
                            return Err(not_allowed("Inline", "the file has begun otherwise").into());
                        }
                        if let Some(target) = &slot.target {
                            slot.stored = stream::write_at(target.as_fd(), &data, 0, ledger);
                        }
                        let size = data.len() as u64;
                        if pace.advance(size, Rung::Buffered).is_break() {
                            return Err(stream::StreamError::Stopped.into());
                        }
                        (slot.begun, slot.end, slot.moved) = (Some((size, mtime)), size, size);
                        self.collected((dir, entry), &slot, &Outcome::Complete);
                        slot.finish(Outcome::Complete, digest.map(|digest| digest.0));
                    }
                    ToReceiver::FileEnd { dir, entry, outcome, digest } => {
                        let slot =
                            self.lock().slots.remove(&(dir, entry)).ok_or_else(|| unasked("FileEnd"))?;
                        if outcome == Outcome::Complete && slot.begun.is_none() && slot.target.is_some() {
                            return Err(not_allowed("FileEnd", "the file has not begun").into());
                        }
                        if current == Some((dir, entry)) {
                            current = None;
                        }
                        self.collected((dir, entry), &slot, &outcome);
                        slot.finish(outcome, digest.map(|digest| digest.0));
                    }
                    ToReceiver::Xattrs { dir, entry, values, last, problem } => {
                        self.take_xattrs((dir, entry), values, last, problem)?;
                    }
                    ToReceiver::Removed { problem, .. } => self.lock().late.answered(problem)?,
                    ToReceiver::Fatal(fatal) => return Err(LinkError::Fatal(fatal.code, fatal.text)),
                    ToReceiver::Bye { .. } if !self.lock().finished => {
                        return Err(not_allowed("Bye", "not everything has been sent").into());
                    }
                    ToReceiver::Bye { stats, ledger } => return Ok((stats, ledger)),
                    ToReceiver::Roots(_) => return Err(not_allowed("Roots", "they have been told").into()),
                },
            }
        }
    }

    fn listed(&self, part: crate::wire::Listing) -> Result<(), LinkError> {
        let mut state = self.lock();
        let assembly =
            state.assembly.as_mut().ok_or_else(|| not_allowed("Listing", "nothing is to be listed"))?;
        if let Some(directory) = assembly.take(part)? {
            let (before, bytes) = (state.held, state.held_bytes);
            state.held += directory.weight;
            state.held_bytes += directory.bytes;
            if before > WINDOW as usize || bytes > self.expected.listing_bytes() {
                return Err(not_allowed("Listing", "further ahead than was allowed").into());
            }
            state.listings.insert(directory.dir, directory);
            self.changed.notify_all();
        }
        Ok(())
    }

    /// Notes the end of a file that was to be recorded.
    fn collected(&self, (dir, entry): (u32, u32), slot: &Slot, outcome: &Outcome) {
        if slot.target.is_some() {
            return;
        }
        let mut state = self.lock();
        let Some(collecting) = state.collecting.get_mut(&dir) else { return };
        let typed = collecting.open.remove(&entry).unwrap_or_default();
        let done = collecting.open.is_empty() && collecting.left;
        match outcome {
            Outcome::Complete => {}
            Outcome::Shrank => {
                state.late.add(Problem::text("read", &typed, "it became shorter while it was recorded"));
            }
            Outcome::Failed(problem) => state.late.add(problem.clone()),
        }
        if done {
            state.collecting.remove(&dir);
            // Where there is no room for it now, the sender keeps the listing a while longer.
            let _kept = self.outbox.try_send(ToSender::DirDone { dir });
        }
        self.changed.notify_all();
    }

    /// Waits until all that is to be recorded has come.
    pub(super) fn settle(&self) {
        let mut state = self.lock();
        while state.collecting.values().any(|one| !one.open.is_empty()) && !state.over {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Things that failed on the sending side after they were planned.
    pub(super) fn late_problems(&self) -> Vec<Problem> {
        self.lock().late.take()
    }

    /// Asks for the long values of an entry's extended attributes, or of the directory's own, and waits.
    fn long_xattrs(&self, dir: u32, entry: Option<u32>) -> Result<Xattrs, Failure> {
        let (answer, answered) = crossbeam_channel::bounded(1);
        {
            let mut state = self.lock();
            if state.over {
                return Err(Failure::Stopped);
            }
            state.xattrs.insert((dir, entry), XattrSlot { values: Vec::new(), answer });
        }
        self.send(ToSender::WantXattrs { dir, entry })?;
        answered.recv().map_err(|_| Failure::Stopped)?.map_err(Failure::Problem)
    }

    /// Takes a part of what [`Arrivals::long_xattrs`] has asked for.
    fn take_xattrs(
        &self,
        key: (u32, Option<u32>),
        values: Vec<Xattr>,
        last: bool,
        problem: Option<Problem>,
    ) -> Result<(), LinkError> {
        let mut state = self.lock();
        let mut slot = state.xattrs.remove(&key).ok_or_else(|| unasked("Xattrs"))?;
        slot.values.extend(values);
        // Never more than an inode may have, however many parts come.
        let values = Xattrs::new(std::mem::take(&mut slot.values));
        let values = values.map_err(|cause| not_allowed("Xattrs", cause))?;
        if last {
            // Whoever has asked waits for it, unless the run was stopped.
            let _sent = slot.answer.send(problem.map_or(Ok(values), Err));
        } else {
            slot.values = values.into_vec();
            state.xattrs.insert(key, slot);
        }
        Ok(())
    }

    fn send(&self, message: ToSender) -> Result<(), Failure> {
        // The writer is gone: so is the connection, and the reader says why.
        self.outbox.send(message).map_err(|_| Failure::Stopped)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slot {
    /// Whether the peer may begin the file there.
    fn may_begin(&self, from: u64) -> bool {
        self.have == Some(from) || (from == 0 && !matches!(self.kept, Kept::Unseen(_)))
    }

    /// The peer begins there: what was kept is the source's beginning, or it is nothing.
    fn begin(&mut self, from: u64) {
        (self.at, self.end) = (from, from);
        self.ticket.from.store(from, Ordering::Relaxed);
        if let Some(target) =
            self.target.as_ref().filter(|_| from == 0 && matches!(self.kept, Kept::Partial(_)))
        {
            self.stored = stream::set_len(target.as_fd(), 0);
            self.kept = Kept::Nothing;
        }
    }

    /// Refuses `len` bytes more than the peer has announced, before they take room.
    fn has_room(&self, message: &'static str, len: u64) -> Result<(), WireError> {
        let size = self.begun.map_or(0, |(size, _)| size);
        if len > size.saturating_sub(self.at) {
            return Err(not_allowed(message, "goes beyond the size that was announced"));
        }
        Ok(())
    }

    /// The next `len` bytes are stored, or `stored` says why not.
    fn took(&mut self, len: u64, stored: Result<(), Errno>) {
        self.at += len;
        (self.end, self.moved) = (self.at, self.moved + len);
        self.stored = self.stored.and(stored);
        if self.stored.is_ok() {
            self.ticket.reached.tell(self.at);
        }
    }

    fn finish(self, outcome: Outcome, digest: Option<[u8; 32]>) {
        let (size, mtime) = self.begun.unwrap_or((0, Time { sec: 0, nsec: 0 }));
        let Slot { end, moved, stored, .. } = self;
        self.ticket.give(Arrived { size, mtime, moved, end, outcome, digest, stored });
    }
}

impl Drop for Slot {
    /// Whoever waits is never left waiting.
    fn drop(&mut self) {
        self.ticket.reached.end();
    }
}

fn not_allowed(message: &'static str, cause: &str) -> WireError {
    WireError::NotAllowed { message, field: "order".into(), cause: cause.into() }
}

fn unasked(message: &'static str) -> WireError {
    not_allowed(message, "nobody has asked for that")
}

impl Feed for Arrivals<'_> {
    fn begin(&self, digests: bool) {
        let sources = u32::try_from(self.prefixes.len()).unwrap_or(u32::MAX);
        {
            let mut state = self.lock();
            // The walk before has been taken; that it is done may still be on its way.
            while state.assembly.is_some() && !state.over {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            state.assembly = Some(Assembly::new(sources, self.expected.listing_bytes()));
            state.listings.clear();
            (state.held, state.held_bytes, state.taken) = (0, 0, 0);
        }
        // The writer is gone: so is the connection, and no listing will come.
        let _sent = self.send(ToSender::List { digests });
    }

    fn listing(&self, dir: u32, path: &RelPath) -> (Listed, Vec<u32>) {
        let mut state = self.lock();
        let directory = loop {
            if let Some(directory) = state.listings.remove(&dir) {
                break Some(directory);
            }
            if state.over {
                break None;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        };
        let sources = Sources { path: path.clone(), prefixes: Arc::clone(&self.prefixes), at: At::Peer(dir) };
        let Some(directory) = directory else {
            return (Listed::nothing(sources), Vec::new());
        };
        let weight = u32::try_from(directory.weight).unwrap_or(u32::MAX);
        state.held = state.held.saturating_sub(directory.weight);
        state.held_bytes = state.held_bytes.saturating_sub(directory.bytes);
        state.taken = state.taken.saturating_add(weight);
        let told = if state.taken >= WINDOW / 4 || state.over { std::mem::take(&mut state.taken) } else { 0 };
        drop(state);
        if told > 0 {
            let _sent = self.send(ToSender::Took { entries: told });
        }
        if let Err(e) = self.expected.check(path, &directory.entries) {
            self.give_up(e.into());
            return (Listed::nothing(sources), Vec::new());
        }
        let Directory { children, entries, notes, problems, complete, incomplete, .. } = directory;
        let entries = (0..).zip(entries).map(|(number, listed)| {
            let mut entry = listed.into_entry();
            entry.number = number;
            if let Some((module, umask)) = &self.module {
                module.incoming(&mut entry, *umask);
            }
            entry
        });
        let listed = Listed { sources, entries: entries.collect(), notes, problems, complete, incomplete };
        (listed, children.collect())
    }
}

impl Fetch for Arrivals<'_> {
    fn supply(&self, dir: u32) -> Box<dyn Supply + '_> {
        Box::new(Peer { arrivals: self, dir })
    }

    fn long_xattrs(&self, dir: u32) -> Result<Xattrs, Failure> {
        Arrivals::long_xattrs(self, dir, None)
    }

    fn done(&self, dir: u32) {
        {
            let mut state = self.lock();
            match state.collecting.get_mut(&dir) {
                // It is told when the last of them has come.
                Some(collecting) if !collecting.open.is_empty() => return collecting.left = true,
                _ => drop(state.collecting.remove(&dir)),
            }
        }
        // The writer is gone: so is the connection.
        let _sent = self.send(ToSender::DirDone { dir });
    }

    fn collect(&self, dir: u32, entry: u32, added_to: Option<u64>, typed: &[u8]) -> Result<(), Failure> {
        let mut state = self.lock();
        while state.slots.len() >= COLLECTING_MAX && !state.over {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.over {
            return Err(Failure::Stopped);
        }
        let (begun, ticket) = Default::default();
        let (at, end, moved, stored) = (0, 0, 0, Ok(()));
        let kept = added_to.map_or(Kept::Nothing, Kept::Unseen);
        let slot = Slot { target: None, kept, have: added_to, begun, at, end, moved, stored, ticket };
        state.slots.insert((dir, entry), slot);
        state.collecting.entry(dir).or_default().open.insert(entry, typed.to_vec());
        drop(state);
        let have = added_to.map(|len| Have { len, digest: None });
        self.send(ToSender::Want { dir, entry, how: How::Kernel, have })
    }

    fn collect_xattrs(&self, dir: u32, entry: Option<u32>) -> Result<(), Failure> {
        // They are few and long, and are waited for: they are recorded on their way.
        self.long_xattrs(dir, entry).map(drop)
    }

    fn has_batched(&self, dir: u32, entry: u32) -> bool {
        self.batch.as_ref().is_some_and(|batch| batch.offers(dir, entry))
    }
}

/// A directory of the peer's as the sending side of what is in it.
struct Peer<'a> {
    arrivals: &'a Arrivals<'a>,
    dir: u32,
}

impl Supply for Peer<'_> {
    fn open(&self, place: &Place<'_>, attempt: u32) -> Result<Box<dyn Incoming + '_>, Failure> {
        // What differed may have differed because the pages had not left yet when they were changed.
        let how = if attempt == 0 { How::Kernel } else { How::Copying };
        let key = (self.dir, place.entry.number);
        Ok(Box::new(Coming { arrivals: self.arrivals, key, how, ticket: Arc::default(), seen: None }))
    }

    fn long_xattrs(&self, place: &Place<'_>, _names: &[&[u8]]) -> Result<Xattrs, Failure> {
        self.arrivals.long_xattrs(self.dir, Some(place.entry.number))
    }

    fn remove(&self, place: &Place<'_>) -> Result<(), Failure> {
        self.arrivals.lock().late.open += 1;
        self.arrivals.send(ToSender::Stored { dir: self.dir, entry: place.entry.number })
    }
}

/// A file that is asked for.
struct Coming<'a> {
    arrivals: &'a Arrivals<'a>,
    key: (u32, u32),
    how: How,
    ticket: Arc<Ticket>,
    /// What is there has been hashed.
    seen: Option<FileHasher>,
}

impl Incoming for Coming<'_> {
    fn resumes(&self) -> bool {
        true
    }

    fn aim(&mut self, applier: &Applier<'_>, target: Arc<OwnedFd>, kept: Kept) -> Result<(), Failure> {
        let have = match kept {
            Kept::Nothing | Kept::Other => None,
            // A batch holds whole files: other destinations may not have the beginning.
            Kept::Partial(_) | Kept::Beginning(_) if self.arrivals.records => None,
            Kept::Unseen(len) => Some(Have { len, digest: None }),
            Kept::Partial(len) | Kept::Beginning(len) => {
                let mut following = applier.engine.follow(target.as_fd(), applier.pace);
                match following.beginning(len) {
                    Ok(digest) => {
                        self.seen = Some(following.into_hasher());
                        Some(Have { len, digest: Some(digest) })
                    }
                    Err(DigestError::Interrupted) => return Err(Failure::Stopped),
                    // It is sent whole, then.
                    Err(DigestError::Changed | DigestError::Failed { .. }) => None,
                }
            }
        };
        let slot = Slot {
            target: Some(target),
            kept,
            have: have.map(|have| have.len),
            begun: None,
            at: 0,
            end: 0,
            moved: 0,
            stored: Ok(()),
            ticket: Arc::clone(&self.ticket),
        };
        {
            let mut state = self.arrivals.lock();
            if state.over {
                return Err(Failure::Stopped);
            }
            state.slots.insert(self.key, slot);
        }
        let (dir, entry) = self.key;
        self.arrivals.send(ToSender::Want { dir, entry, how: self.how, have })
    }

    fn fill(
        self: Box<Self>,
        applier: &Applier<'_>,
        place: &Place<'_>,
        target: Target<'_>,
        kept: Kept,
    ) -> Result<Result<Filled, Failure>, Failure> {
        let engine = applier.engine;
        let seen = match kept {
            Kept::Unseen(_) => Some(engine.hasher()),
            _ => self.seen,
        };
        if seen.is_some() {
            // Where the data begins is not known before it comes.
            self.ticket.reached.begun();
        }
        let from = self.ticket.from.load(Ordering::Relaxed);
        // What was hashed to be compared is not hashed once more.
        let mut following = match seen.filter(|_| from > 0) {
            Some(seen) => engine.follow_on(seen, target.fd, from, applier.pace),
            None => engine.follow(target.fd, applier.pace),
        };
        let followed = if applier.options.unverified {
            self.ticket.reached.ended();
            Ok(())
        } else {
            self.ticket.reached.follow(&mut following)
        };
        let arrived = self.ticket.take().ok_or(Failure::Stopped)?;
        match arrived.outcome {
            Outcome::Complete => {}
            Outcome::Shrank => return Ok(Err(place.shrank())),
            Outcome::Failed(problem) => return Err(problem.into()),
        }
        let failed = |op| move |e| applier.dest_failure(op, place.path, e);
        arrived.stored.map_err(failed("write"))?;
        if !target.device && (arrived.end < arrived.size || !target.fresh) {
            stream::set_len(target.fd, arrived.size).map_err(failed("truncate"))?;
        }
        if applier.options.unverified && arrived.digest.is_none() || target.device {
            let Arrived { size, mtime, moved, .. } = arrived;
            return Ok(Ok(Filled { size, mtime, moved, digest: None }));
        }
        let ours = match followed.and_then(|()| following.finish(arrived.size)) {
            Ok(digest) => Some(digest.0),
            Err(DigestError::Changed) => None,
            Err(DigestError::Interrupted) => return Err(Failure::Stopped),
            Err(DigestError::Failed { source, .. }) => return Err(failed("verify")(source)),
        };
        if ours.is_none() || ours != arrived.digest {
            return Ok(Err(place.differs()));
        }
        let Arrived { size, mtime, moved, .. } = arrived;
        let digest = ours.filter(|_| !matches!(kept, Kept::Unseen(_)));
        Ok(Ok(Filled { size, mtime, moved, digest }))
    }
}
