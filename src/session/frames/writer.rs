//! Frames on their way.

use std::os::fd::BorrowedFd;

use super::{LinkError, PACKED_FRONT};
use crate::engine::digest::FileHasher;
use crate::engine::ledger::Ledger;
use crate::engine::pack::Packer;
use crate::engine::stream::{self, Outlet, StreamError};
use crate::engine::{Pace, Rung};
use crate::session::tape::Tape;
use crate::wire::frame::{CONTROL_MAX, HEADER_LEN};
use crate::wire::{FrameKind, Header, Message, Seal};

/// Bytes of messages that make a frame although more are waiting. A guess: some dozens of small files.
const COLLECT: usize = 64 << 10;

/// Fills in what stands in front of `size` bytes that are packed in `frame`, and puts the tag behind them.
fn finish_packed(
    kind: FrameKind,
    size: usize,
    frame: &mut Vec<u8>,
    seal: Option<&mut Seal>,
) -> Result<(), LinkError> {
    let header = Header::new(kind, frame.len().saturating_sub(HEADER_LEN))?;
    let size = u32::try_from(size).unwrap_or(u32::MAX).to_le_bytes();
    let front = [header.encode(), size].concat();
    if let Some(place) = frame.get_mut(..PACKED_FRONT) {
        place.copy_from_slice(&front);
    }
    if let Some(seal) = seal {
        let tag = seal.tag(header, frame.get(HEADER_LEN..).unwrap_or_default());
        frame.extend_from_slice(&tag);
    }
    Ok(())
}

/// Writes frames. Messages are collected, so that small ones travel many to a frame.
#[derive(Debug)]
pub struct FrameWriter {
    outlet: Outlet,
    seal: Option<Seal>,
    /// Room for a header, and the messages collected.
    frame: Vec<u8>,
    /// There if messages are to be packed.
    packer: Option<Packer>,
    /// What is sent is recorded.
    tape: Option<Tape>,
}

impl FrameWriter {
    /// Writes to `outlet`; nothing is sealed so far.
    #[must_use]
    pub fn new(outlet: Outlet) -> FrameWriter {
        FrameWriter { outlet, seal: None, frame: vec![0; HEADER_LEN], packer: None, tape: None }
    }

    /// The end that is written to.
    pub fn outlet(&mut self) -> &mut Outlet {
        &mut self.outlet
    }

    /// From here on every frame is sealed.
    pub fn seal(&mut self, seal: Seal) {
        self.seal = Some(seal);
    }

    /// From here on messages are packed with `level` where that makes them smaller.
    pub fn pack(&mut self, level: i32) {
        self.packer = Packer::new(level);
    }

    /// From here on what is sent is recorded.
    pub(in crate::session) fn record_on(&mut self, tape: Option<Tape>) {
        self.tape = tape;
    }

    /// Whether what is sent is recorded.
    pub(in crate::session) fn records(&self) -> bool {
        self.tape.is_some()
    }

    /// Ends the recording.
    pub(in crate::session) fn take_tape(&mut self) -> Option<Tape> {
        self.tape.take()
    }

    /// Records a message that is not sent.
    ///
    /// # Errors
    ///
    /// It cannot be recorded.
    pub(in crate::session) fn record<M: Message>(&mut self, message: &M) -> Result<(), LinkError> {
        let Some(tape) = &mut self.tape else { return Ok(()) };
        let mut encoded = Vec::new();
        message.encode(&mut encoded)?;
        tape.push(&encoded)
    }

    /// Records `len` bytes of `file` at `off` that are not sent, and adds them to `hasher`. As [`FrameWriter::data`].
    ///
    /// # Errors
    ///
    /// They cannot be recorded.
    pub(in crate::session) fn record_data(
        &mut self,
        file: BorrowedFd<'_>,
        off: u64,
        len: usize,
        hasher: Option<&mut FileHasher>,
        ledger: &Ledger,
        pace: &dyn Pace,
    ) -> Result<usize, LinkError> {
        let Some(tape) = &mut self.tape else { return Ok(len) };
        let (at, real) = tape.data(Header::new(FrameKind::Data, len)?, file, off, ledger)?;
        if let Some(hasher) = hasher {
            hasher.update(&stream::read_at(tape.as_fd(), at, real, ledger).map_err(|e| tape.failed(e))?);
        }
        if pace.advance(real as u64, Rung::CopyFileRange).is_break() {
            return Err(StreamError::Stopped.into());
        }
        Ok(real)
    }

    /// Adds a message to what is to be sent; sends, if that has become much.
    ///
    /// # Errors
    ///
    /// The conversation is over.
    pub fn push<M: Message>(&mut self, message: &M) -> Result<(), LinkError> {
        self.record(message)?;
        self.push_unrecorded(message)
    }

    /// As [`FrameWriter::push`], whatever is recorded.
    ///
    /// # Errors
    ///
    /// The conversation is over.
    pub(in crate::session) fn push_unrecorded<M: Message>(&mut self, message: &M) -> Result<(), LinkError> {
        let start = self.frame.len();
        message.encode(&mut self.frame)?;
        if self.frame.len() - HEADER_LEN > CONTROL_MAX {
            // Too much for one frame together: what was there goes first.
            let own = self.frame.split_off(start);
            self.flush()?;
            self.frame.extend_from_slice(&own);
        }
        if self.frame.len() >= COLLECT { self.flush() } else { Ok(()) }
    }

    /// Sends what was collected.
    ///
    /// # Errors
    ///
    /// The conversation is over.
    pub fn flush(&mut self) -> Result<(), LinkError> {
        let payload = self.frame.get(HEADER_LEN..).unwrap_or_default();
        if payload.is_empty() {
            return Ok(());
        }
        let mut packed = vec![0; PACKED_FRONT];
        if self.packer.as_mut().is_some_and(|packer| packer.pack(payload, &mut packed)) {
            let size = payload.len();
            self.frame.truncate(HEADER_LEN);
            finish_packed(FrameKind::PackedControl, size, &mut packed, self.seal.as_mut())?;
            return Ok(self.outlet.write_all(&packed)?);
        }
        let header = Header::new(FrameKind::Control, payload.len())?;
        let tag = self.seal.as_mut().map(|seal| seal.tag(header, payload));
        if let Some(place) = self.frame.get_mut(..HEADER_LEN) {
            place.copy_from_slice(&header.encode());
        }
        self.frame.extend_from_slice(tag.as_ref().map_or(&[][..], |tag| tag));
        self.outlet.write_all(&self.frame)?;
        self.frame.truncate(HEADER_LEN);
        Ok(())
    }

    /// Sends `size` bytes of a file, which are packed behind [`PACKED_FRONT`] free bytes of `packed`.
    ///
    /// # Errors
    ///
    /// The conversation is over.
    pub fn packed_data(
        &mut self,
        size: usize,
        mut packed: Vec<u8>,
        ledger: &Ledger,
        pace: &dyn Pace,
    ) -> Result<(), LinkError> {
        self.flush()?;
        let end = packed.len();
        finish_packed(FrameKind::PackedData, size, &mut packed, self.seal.as_mut())?;
        if let Some(tape) = &mut self.tape {
            tape.packed(packed.get(HEADER_LEN..end).unwrap_or_default())?;
        }
        ledger.copied(size);
        let mut told = size as u64;
        // In steps, so that a limited line is used evenly and can be stopped.
        for part in packed.chunks(pace.step_limit().max(1)) {
            self.outlet.write_all(part)?;
            if pace.packed(std::mem::take(&mut told), part.len() as u64).is_break() {
                return Err(StreamError::Stopped.into());
            }
        }
        Ok(())
    }

    /// Sends a message at once.
    ///
    /// # Errors
    ///
    /// The conversation is over.
    pub fn send<M: Message>(&mut self, message: &M) -> Result<(), LinkError> {
        self.push(message)?;
        self.flush()
    }

    /// Sends what was collected, and a sign of life.
    ///
    /// # Errors
    ///
    /// The conversation is over.
    pub fn keep_alive(&mut self) -> Result<(), LinkError> {
        self.flush()?;
        let header = Header::new(FrameKind::KeepAlive, 0)?;
        let tag = self.seal.as_mut().map(|seal| seal.tag(header, &[]));
        let tag = tag.as_ref().map_or(&[][..], |tag| tag);
        Ok(self.outlet.write_all(&[&header.encode(), tag].concat())?)
    }

    /// Sends `len` bytes of `file` at `off` as one data frame; with `copied`, through user space and into
    /// that hasher.
    ///
    /// Returns how many of them were real.
    ///
    /// # Errors
    ///
    /// The conversation is over.
    pub fn data(
        &mut self,
        file: BorrowedFd<'_>,
        off: u64,
        len: usize,
        copied: Option<&mut FileHasher>,
        ledger: &Ledger,
        pace: &dyn Pace,
    ) -> Result<usize, LinkError> {
        let header = Header::new(FrameKind::Data, len)?;
        // What is recorded is what is sent: nobody else writes to it.
        let recorded = self.tape.as_mut().map(|tape| tape.data(header, file, off, ledger)).transpose()?;
        self.outlet.cork();
        self.flush()?;
        self.outlet.write_all(&header.encode())?;
        let tape = self.tape.as_ref().zip(recorded);
        let (file, off) = tape.map_or((file, off), |(tape, (at, _))| (tape.as_fd(), at));
        let sent = match copied {
            Some(hasher) => self.outlet.send_copy(file, off, len, Some(hasher), ledger, pace)?.0,
            None => self.outlet.send_file(file, off, len, ledger, pace)?,
        };
        let real = recorded.map_or(sent, |(_, real)| real.min(sent));
        self.outlet.write_all(&header.trailer(real)?)?;
        self.outlet.uncork();
        if let Some(seal) = &mut self.seal {
            seal.note_data(header, real);
        }
        Ok(real)
    }
}
