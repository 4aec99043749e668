//! What comes from a sending peer: listings and data, each handed to whoever waits for it.
//!
//! One thread reads the connection ([`Arrivals::read`]). It stores data at once, in targets that workers
//! have made and announced, and never waits for anything but the connection: so whoever waits for an
//! arrival waits for the peer alone.

use std::collections::HashMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crossbeam_channel::Sender;

use super::frames::{Frame, FrameReader, LinkError};
use super::module::Module;
use super::reached::Reached;
use super::worker::Fetch;
use crate::apply::file::{Filled, Incoming, Place, Supply};
use crate::apply::{Applier, Failure};
use crate::engine::ledger::{Ledger, LedgerSnapshot};
use crate::engine::{DigestError, Pace, Rung, Target, stream};
use crate::event::{Problem, Stats};
use crate::path::{RelPath, Time};
use crate::plan::look::{At, Listed, Sources};
use crate::plan::owners::Owners;
use crate::plan::visit::Feed;
use crate::sys::Errno;
use crate::wire::to_receiver::Outcome;
use crate::wire::to_sender::How;
use crate::wire::{Assembly, Directory, ToReceiver, ToSender, WINDOW, WireError};

/// Most entries of one directory that a peer may list. What is listed is held in memory, about 400 bytes an
/// entry: a limit for a peer that lists without end, far above any directory that people have.
const DIRECTORY_MAX: usize = 16 << 20;

/// A file that was asked for.
struct Slot {
    target: OwnedFd,
    /// Nothing was in the target before.
    fresh: bool,
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
    /// Entries taken that the peer has not been told of.
    taken: u32,
    /// Entries that are held for whoever takes them.
    held: usize,
    assembly: Option<Assembly>,
    problems: Vec<Problem>,
    over: bool,
}

/// See the module.
pub(super) struct Arrivals<'a> {
    outbox: Sender<ToSender>,
    prefixes: Arc<[Arc<[u8]>]>,
    owners: &'a Owners,
    /// The daemon's module that is written to, and the umask.
    module: Option<(Arc<Module>, u32)>,
    state: Mutex<State>,
    changed: Condvar,
}

impl<'a> Arrivals<'a> {
    /// Nothing has come. Wishes go to `outbox`; `prefixes` are what was typed for each source.
    pub(super) fn new(
        outbox: Sender<ToSender>,
        prefixes: Arc<[Arc<[u8]>]>,
        module: Option<(Arc<Module>, u32)>,
        owners: &'a Owners,
    ) -> Arrivals<'a> {
        Arrivals { outbox, prefixes, owners, module, state: Mutex::default(), changed: Condvar::new() }
    }

    /// Reads until the sender says goodbye; returns its figures.
    ///
    /// Whatever the end, nobody waits for an arrival afterwards.
    ///
    /// # Errors
    ///
    /// The conversation is over before its end.
    pub(super) fn read(
        &self,
        reader: &mut FrameReader,
        ledger: &Ledger,
        pace: &dyn Pace,
    ) -> Result<(Stats, Box<LedgerSnapshot>), LinkError> {
        let ended = self.read_all(reader, ledger, pace);
        let mut state = self.lock();
        state.over = true;
        state.slots.clear();
        self.changed.notify_all();
        ended
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
                    let target = slot.stored.is_ok().then(|| slot.target.as_fd());
                    let (real, stored) = reader.store(header, target, slot.at, ledger, pace)?;
                    slot.took(real as u64, stored);
                    self.lock().slots.insert(key, slot);
                }
                Frame::Unpacked(len) => {
                    let key = current.ok_or_else(|| not_allowed("Data", "no file has begun"))?;
                    let mut slot = self.lock().slots.remove(&key).ok_or_else(|| unasked("Data"))?;
                    slot.has_room("Data", len as u64)?;
                    let target = slot.stored.is_ok().then(|| slot.target.as_fd());
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
                    ToReceiver::Ids(ids) => super::ids::teach(&ids, self.owners),
                    ToReceiver::File { dir, entry, size, mtime, from, .. } => {
                        let mut state = self.lock();
                        let slot = state.slots.get_mut(&(dir, entry)).ok_or_else(|| unasked("File"))?;
                        if slot.begun.is_some() || from > 0 {
                            return Err(not_allowed("File", "begins where it cannot").into());
                        }
                        slot.begun = Some((size, mtime));
                        current = Some((dir, entry));
                    }
                    ToReceiver::Hole { len } => {
                        let key = current.ok_or_else(|| not_allowed("Hole", "no file has begun"))?;
                        let mut state = self.lock();
                        let slot = state.slots.get_mut(&key).ok_or_else(|| unasked("Hole"))?;
                        slot.has_room("Hole", len)?;
                        if !slot.fresh && slot.stored.is_ok() {
                            slot.stored = stream::clear(slot.target.as_fd(), slot.at, len);
                        }
                        slot.at += len;
                    }
                    ToReceiver::Inline { dir, entry, mtime, data, digest } => {
                        let mut slot =
                            self.lock().slots.remove(&(dir, entry)).ok_or_else(|| unasked("Inline"))?;
                        if slot.begun.is_some() {
                            return Err(not_allowed("Inline", "the file has begun otherwise").into());
                        }
                        slot.stored = stream::write_at(slot.target.as_fd(), &data, 0, ledger);
                        let size = data.len() as u64;
                        if pace.advance(size, Rung::Buffered).is_break() {
                            return Err(stream::StreamError::Stopped.into());
                        }
                        (slot.begun, slot.end, slot.moved) = (Some((size, mtime)), size, size);
                        slot.finish(Outcome::Complete, digest.map(|digest| digest.0));
                    }
                    ToReceiver::FileEnd { dir, entry, outcome, digest } => {
                        let slot =
                            self.lock().slots.remove(&(dir, entry)).ok_or_else(|| unasked("FileEnd"))?;
                        if outcome == Outcome::Complete && slot.begun.is_none() {
                            return Err(not_allowed("FileEnd", "the file has not begun").into());
                        }
                        if current == Some((dir, entry)) {
                            current = None;
                        }
                        slot.finish(outcome, digest.map(|digest| digest.0));
                    }
                    ToReceiver::Removed { problem, .. } => self.lock().problems.extend(problem),
                    ToReceiver::Fatal(fatal) => return Err(LinkError::Fatal(fatal.code, fatal.text)),
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
            state.held += directory.entries.len();
            if state.held - directory.entries.len() > WINDOW as usize {
                return Err(not_allowed("Listing", "further ahead than was allowed").into());
            }
            state.listings.insert(directory.dir, directory);
            self.changed.notify_all();
        }
        Ok(())
    }

    /// Things that failed on the sending side after they were planned.
    pub(super) fn late_problems(&self) -> Vec<Problem> {
        std::mem::take(&mut self.lock().problems)
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
    fn begin(&self) {
        let sources = u32::try_from(self.prefixes.len()).unwrap_or(u32::MAX);
        {
            let mut state = self.lock();
            // The walk before has been taken; that it is done may still be on its way.
            while state.assembly.is_some() && !state.over {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            state.assembly = Some(Assembly::new(sources, DIRECTORY_MAX));
            state.listings.clear();
            (state.held, state.taken) = (0, 0);
        }
        // The writer is gone: so is the connection, and no listing will come.
        let _sent = self.send(ToSender::List);
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
        let entries = u32::try_from(directory.entries.len()).unwrap_or(u32::MAX);
        state.held = state.held.saturating_sub(directory.entries.len());
        state.taken = state.taken.saturating_add(entries);
        let told = if state.taken >= WINDOW / 4 || state.over { std::mem::take(&mut state.taken) } else { 0 };
        drop(state);
        if told > 0 {
            let _sent = self.send(ToSender::Took { entries: told });
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

    fn done(&self, dir: u32) {
        // The writer is gone: so is the connection.
        let _sent = self.send(ToSender::DirDone { dir });
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
        Ok(Box::new(Coming { arrivals: self.arrivals, key, how, ticket: Arc::default() }))
    }

    fn remove(&self, place: &Place<'_>) -> Result<(), Failure> {
        self.arrivals.send(ToSender::Stored { dir: self.dir, entry: place.entry.number })
    }
}

/// A file that is asked for.
struct Coming<'a> {
    arrivals: &'a Arrivals<'a>,
    key: (u32, u32),
    how: How,
    ticket: Arc<Ticket>,
}

impl Incoming for Coming<'_> {
    fn aim(&mut self, target: BorrowedFd<'_>, fresh: bool) -> Result<(), Failure> {
        let target = target.try_clone_to_owned().map_err(|e| {
            let errno = Errno::from_raw(e.raw_os_error().unwrap_or(0));
            Problem::os("duplicate a descriptor for", b"a temp file", errno)
        })?;
        let slot = Slot {
            target,
            fresh,
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
        self.arrivals.send(ToSender::Want { dir, entry, how: self.how, have: None })
    }

    fn fill(
        self: Box<Self>,
        applier: &Applier<'_>,
        place: &Place<'_>,
        target: Target<'_>,
    ) -> Result<Result<Filled, Failure>, Failure> {
        let mut following = applier.engine.follow(target.fd, applier.pace);
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
        Ok(Ok(Filled { size, mtime, moved, digest: ours }))
    }
}
