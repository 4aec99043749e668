//! A file that was asked for, as it comes: where its data goes, and who waits for it.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::reached::Reached;
use crate::apply::file::Kept;
use crate::engine::ledger::Ledger;
use crate::engine::stream;
use crate::path::Time;
use crate::sys::Errno;
use crate::wire::WireError;
use crate::wire::to_receiver::Outcome;

/// A file that was asked for.
pub(super) struct Slot {
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

impl Slot {
    /// Nothing has come. `have` bytes are in the target of which the peer was told; `ticket` has who waits.
    pub(super) fn new(
        target: Option<Arc<OwnedFd>>,
        kept: Kept,
        have: Option<u64>,
        ticket: Arc<Ticket>,
    ) -> Slot {
        Slot { target, kept, have, begun: None, at: 0, end: 0, moved: 0, stored: Ok(()), ticket }
    }

    /// What comes is recorded, and goes nowhere.
    pub(super) fn is_recorded(&self) -> bool {
        self.target.is_none()
    }

    /// Where data goes, if that still takes it.
    pub(super) fn takes(&self) -> Option<BorrowedFd<'_>> {
        self.target.as_ref().filter(|_| self.stored.is_ok()).map(AsFd::as_fd)
    }

    /// Where the next of its bytes belong.
    pub(super) fn at(&self) -> u64 {
        self.at
    }

    /// Whether the peer may begin the file there.
    fn may_begin(&self, from: u64) -> bool {
        self.have == Some(from) || (from == 0 && !matches!(self.kept, Kept::Unseen(_)))
    }

    /// The peer begins the file, of `size` bytes, at `from`: what was kept is the source's beginning, or it is
    /// nothing.
    ///
    /// # Errors
    ///
    /// It has begun it before, or was not told of so many bytes.
    pub(super) fn begin(&mut self, size: u64, mtime: Time, from: u64) -> Result<(), WireError> {
        if self.begun.is_some() || !self.may_begin(from) {
            return Err(WireError::out_of_order("File", "begins where it cannot"));
        }
        self.begun = Some((size, mtime));
        (self.at, self.end) = (from, from);
        self.ticket.from.store(from, Ordering::Relaxed);
        if let Some(target) =
            self.target.as_ref().filter(|_| from == 0 && matches!(self.kept, Kept::Partial(_)))
        {
            self.stored = stream::set_len(target.as_fd(), 0);
            self.kept = Kept::Nothing;
        }
        Ok(())
    }

    /// The peer sends the whole file at once.
    ///
    /// # Errors
    ///
    /// It has begun it otherwise.
    pub(super) fn inline(&mut self, data: &[u8], mtime: Time, ledger: &Ledger) -> Result<(), WireError> {
        if self.begun.is_some() || !self.may_begin(0) {
            return Err(WireError::out_of_order("Inline", "the file has begun otherwise"));
        }
        if let Some(target) = &self.target {
            self.stored = stream::write_at(target.as_fd(), data, 0, ledger);
        }
        let size = data.len() as u64;
        (self.begun, self.end, self.moved) = (Some((size, mtime)), size, size);
        Ok(())
    }

    /// The next `len` bytes are a hole.
    ///
    /// # Errors
    ///
    /// There is no room for it.
    pub(super) fn skip(&mut self, len: u64) -> Result<(), WireError> {
        self.has_room("Hole", len)?;
        if let Some(target) = self.takes().filter(|_| self.kept != Kept::Nothing) {
            self.stored = stream::clear(target, self.at, len);
        }
        self.at += len;
        Ok(())
    }

    /// Refuses `len` bytes more than the peer has announced, before they take room.
    ///
    /// # Errors
    ///
    /// They are too many.
    pub(super) fn has_room(&self, message: &'static str, len: u64) -> Result<(), WireError> {
        let size = self.begun.map_or(0, |(size, _)| size);
        if len > size.saturating_sub(self.at) {
            return Err(WireError::out_of_order(message, "goes beyond the size that was announced"));
        }
        Ok(())
    }

    /// The next `len` bytes are stored, or `stored` says why not.
    pub(super) fn took(&mut self, len: u64, stored: Result<(), Errno>) {
        self.at += len;
        (self.end, self.moved) = (self.at, self.moved + len);
        self.stored = self.stored.and(stored);
        if self.stored.is_ok() {
            self.ticket.reached.tell(self.at);
        }
    }

    /// The peer ends the file, and says what became of it and what its digest is. Whoever waits is told.
    ///
    /// # Errors
    ///
    /// A whole file, of which nothing has begun.
    pub(super) fn finish(self, outcome: Outcome, digest: Option<[u8; 32]>) -> Result<(), WireError> {
        if outcome == Outcome::Complete && self.begun.is_none() && self.target.is_some() {
            return Err(WireError::out_of_order("FileEnd", "the file has not begun"));
        }
        let (size, mtime) = self.begun.unwrap_or((0, Time { sec: 0, nsec: 0 }));
        let Slot { end, moved, stored, .. } = self;
        self.ticket.give(Arrived { size, mtime, moved, end, outcome, digest, stored });
        Ok(())
    }
}

impl Drop for Slot {
    /// Whoever waits is never left waiting.
    fn drop(&mut self) {
        self.ticket.reached.end();
    }
}

/// What became of a file that was asked for.
#[derive(Debug)]
pub(super) struct Arrived {
    /// Bytes that the file has, where the sender has read it.
    pub(super) size: u64,
    /// Its time there.
    pub(super) mtime: Time,
    /// Bytes of data that came.
    pub(super) moved: u64,
    /// Data was stored up to here; what is missing up to `size` is a hole.
    pub(super) end: u64,
    /// Whether it came to its end.
    pub(super) outcome: Outcome,
    /// What the sender meant to send.
    pub(super) digest: Option<[u8; 32]>,
    /// What the target's side answered.
    pub(super) stored: Result<(), Errno>,
}

/// A file that somebody waits for.
#[derive(Default, Debug)]
pub(super) struct Ticket {
    /// How far it has come.
    pub(super) reached: Reached,
    /// Where the peer has begun it, in bytes, as soon as anything has come.
    pub(super) from: AtomicU64,
    arrived: Mutex<Option<Arrived>>,
}

impl Ticket {
    /// The file has come.
    fn give(&self, arrived: Arrived) {
        *self.arrived.lock().unwrap_or_else(PoisonError::into_inner) = Some(arrived);
        self.reached.end();
    }

    /// What came, once [`Reached`] has ended; `None`: it never will.
    pub(super) fn take(&self) -> Option<Arrived> {
        self.arrived.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}
