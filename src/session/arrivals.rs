//! What comes from a sending peer: listings and data, each handed to whoever waits for it.
//!
//! One thread reads the connection ([`Arrivals::read`]). It stores data at once, in targets that workers
//! have made and announced, and never waits for anything but the connection: so whoever waits for an
//! arrival waits for the peer alone.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crossbeam_channel::Sender;

use super::coming::Peer;
use super::expected::Expected;
use super::frames::{Frame, FrameReader, LinkError};
use super::late::Late;
use super::module::Module;
use super::slot::Slot;
use super::tape::Batch;
use super::worker::Fetch;
use crate::apply::Failure;
use crate::apply::file::{Kept, Supply};
use crate::engine::ledger::{Ledger, LedgerSnapshot};
use crate::engine::stream::StreamError;
use crate::engine::{Pace, Rung};
use crate::event::{Problem, Stats};
use crate::path::RelPath;
use crate::path::xattr::{Xattr, Xattrs};
use crate::plan::look::{At, Listed, Sources};
use crate::plan::owners::Owners;
use crate::plan::visit::Feed;
use crate::wire::to_receiver::Outcome;
use crate::wire::to_sender::{Have, How};
use crate::wire::{Assembly, Directory, ToReceiver, ToSender, WINDOW, WireError};

/// Files that are under way at once, to be recorded and nothing else. A guess: as many as workers keep under way.
const COLLECTING_MAX: usize = 512;

/// Extended attributes that were asked for, as they come.
struct XattrSlot {
    values: Vec<Xattr>,
    /// Gone without an answer: there will be none.
    answer: Sender<Result<Xattrs, Problem>>,
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
    pub(super) records: bool,
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
    pub(super) fn give_up(&self, e: LinkError) {
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
                Frame::End => return Err(StreamError::Closed.into()),
                Frame::Data(header) => {
                    let key = current.ok_or_else(|| WireError::out_of_order("Data", "no file has begun"))?;
                    // Taken out while it is stored: nobody else ends it, and no lock is held meanwhile.
                    let mut slot =
                        self.lock().slots.remove(&key).ok_or_else(|| WireError::unasked("Data"))?;
                    slot.has_room("Data", header.len() as u64)?;
                    let (real, stored) = reader.store(header, slot.takes(), slot.at(), ledger, pace)?;
                    slot.took(real as u64, stored);
                    self.lock().slots.insert(key, slot);
                }
                Frame::Unpacked(len) => {
                    let key = current.ok_or_else(|| WireError::out_of_order("Data", "no file has begun"))?;
                    let mut slot =
                        self.lock().slots.remove(&key).ok_or_else(|| WireError::unasked("Data"))?;
                    slot.has_room("Data", len as u64)?;
                    let stored = reader.store_unpacked(slot.takes(), slot.at(), ledger, pace)?;
                    slot.took(len as u64, stored);
                    self.lock().slots.insert(key, slot);
                }
                Frame::Control => match reader.message()? {
                    ToReceiver::Listing(part) => self.listed(part)?,
                    ToReceiver::ListingDone => {
                        if self.lock().assembly.take().is_none_or(|assembly| !assembly.is_done()) {
                            return Err(
                                WireError::out_of_order("ListingDone", "directories are missing").into()
                            );
                        }
                        self.changed.notify_all();
                    }
                    ToReceiver::Ids(ids) => super::ids::teach(&ids, self.owners)?,
                    ToReceiver::File { dir, entry, size, mtime, from, .. } => {
                        let mut state = self.lock();
                        let slot =
                            state.slots.get_mut(&(dir, entry)).ok_or_else(|| WireError::unasked("File"))?;
                        slot.begin(size, mtime, from)?;
                        current = Some((dir, entry));
                    }
                    ToReceiver::Hole { len } => {
                        let key =
                            current.ok_or_else(|| WireError::out_of_order("Hole", "no file has begun"))?;
                        let mut state = self.lock();
                        let slot = state.slots.get_mut(&key).ok_or_else(|| WireError::unasked("Hole"))?;
                        slot.skip(len)?;
                    }
                    ToReceiver::Inline { dir, entry, mtime, data, digest } => {
                        let mut slot = self
                            .lock()
                            .slots
                            .remove(&(dir, entry))
                            .ok_or_else(|| WireError::unasked("Inline"))?;
                        slot.inline(&data, mtime, ledger)?;
                        if pace.advance(data.len() as u64, Rung::Buffered).is_break() {
                            return Err(StreamError::Stopped.into());
                        }
                        self.collected((dir, entry), &slot, &Outcome::Complete);
                        slot.finish(Outcome::Complete, digest.map(|digest| digest.0))?;
                    }
                    ToReceiver::FileEnd { dir, entry, outcome, digest } => {
                        let slot = self
                            .lock()
                            .slots
                            .remove(&(dir, entry))
                            .ok_or_else(|| WireError::unasked("FileEnd"))?;
                        if current == Some((dir, entry)) {
                            current = None;
                        }
                        self.collected((dir, entry), &slot, &outcome);
                        slot.finish(outcome, digest.map(|digest| digest.0))?;
                    }
                    ToReceiver::Xattrs { dir, entry, values, last, problem } => {
                        self.take_xattrs((dir, entry), values, last, problem)?;
                    }
                    ToReceiver::Removed { problem, .. } => {
                        self.lock().late.answered(problem)?;
                        self.changed.notify_all();
                    }
                    ToReceiver::Fatal(fatal) => return Err(LinkError::Fatal(fatal.code, fatal.text)),
                    ToReceiver::Bye { .. } if !self.lock().finished => {
                        return Err(WireError::out_of_order("Bye", "not everything has been sent").into());
                    }
                    ToReceiver::Bye { stats, ledger } => return Ok((stats, ledger)),
                    ToReceiver::Roots(_) => {
                        return Err(WireError::out_of_order("Roots", "they have been told").into());
                    }
                },
            }
        }
    }

    fn listed(&self, part: crate::wire::Listing) -> Result<(), LinkError> {
        let mut state = self.lock();
        let assembly = state
            .assembly
            .as_mut()
            .ok_or_else(|| WireError::out_of_order("Listing", "nothing is to be listed"))?;
        if let Some(directory) = assembly.take(part)? {
            let (before, bytes) = (state.held, state.held_bytes);
            state.held += directory.weight;
            state.held_bytes += directory.bytes;
            if before > WINDOW as usize || bytes > self.expected.listing_bytes() {
                return Err(WireError::out_of_order("Listing", "further ahead than was allowed").into());
            }
            state.listings.insert(directory.dir, directory);
            self.changed.notify_all();
        }
        Ok(())
    }

    /// Notes the end of a file that was to be recorded.
    fn collected(&self, (dir, entry): (u32, u32), slot: &Slot, outcome: &Outcome) {
        if !slot.is_recorded() {
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

    /// Waits until all that is to be recorded has come, and the sender has said of every source that it was to remove
    /// what became of it.
    pub(super) fn settle(&self) {
        let mut state = self.lock();
        let open =
            |state: &State| state.late.open() || state.collecting.values().any(|one| !one.open.is_empty());
        while open(&state) && !state.over {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Things that failed on the sending side after they were planned.
    pub(super) fn late_problems(&self) -> Vec<Problem> {
        self.lock().late.take()
    }

    /// Asks for a file, which is stored by `slot`; `have` is what is there of it.
    ///
    /// # Errors
    ///
    /// Only that the conversation is over.
    pub(super) fn want(
        &self,
        (dir, entry): (u32, u32),
        how: How,
        have: Option<Have>,
        slot: Slot,
    ) -> Result<(), Failure> {
        {
            let mut state = self.lock();
            if state.over {
                return Err(Failure::Stopped);
            }
            state.slots.insert((dir, entry), slot);
        }
        self.send(ToSender::Want { dir, entry, how, have })
    }

    /// Tells the sender that a file is stored, and may be removed there; it may answer that it could not.
    ///
    /// # Errors
    ///
    /// Only that the conversation is over.
    pub(super) fn stored(&self, dir: u32, entry: u32) -> Result<(), Failure> {
        self.lock().late.expect();
        self.send(ToSender::Stored { dir, entry })
    }

    /// Asks for the long values of an entry's extended attributes, or of the directory's own, and waits.
    pub(super) fn long_xattrs(&self, dir: u32, entry: Option<u32>) -> Result<Xattrs, Failure> {
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
        let mut slot = state.xattrs.remove(&key).ok_or_else(|| WireError::unasked("Xattrs"))?;
        slot.values.extend(values);
        // Never more than an inode may have, however many parts come.
        let values = Xattrs::new(std::mem::take(&mut slot.values));
        let values = values.map_err(|cause| WireError::out_of_order("Xattrs", cause))?;
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
        let kept = added_to.map_or(Kept::Nothing, Kept::Unseen);
        state.slots.insert((dir, entry), Slot::new(None, kept, added_to, Arc::default()));
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
