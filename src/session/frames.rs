//! Frames over a connection's two ends, sealed where the session has a key.

use std::fmt;
use std::os::fd::BorrowedFd;
use std::time::Duration;

use crate::engine::Pace;
use crate::engine::ledger::Ledger;
use crate::engine::stream::{FileHasher, Inlet, Outlet, StreamError};
use crate::sys::Errno;
use crate::wire::frame::{HEADER_LEN, TAG_LEN, TRAILER_LEN};
use crate::wire::{FrameKind, Header, Message, Seal, WireError};

/// Bytes of messages that are collected before they are sent although more are waiting. A guess.
const COLLECT: usize = 64 << 10;

/// After so long without anything to say, a sign of life is sent: a peer with `--timeout` is to know that
/// this side is busy. A guess: half of the shortest time-out that anybody will want.
pub(super) const SIGN_OF_LIFE: Duration = Duration::from_secs(5);

/// Why a conversation is over.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LinkError {
    /// The connection is.
    Stream(StreamError),
    /// What the peer sent is not what the protocol allows.
    Wire(WireError),
    /// The peer gave up, with this exit status and for this reason.
    Fatal(u8, String),
}

impl From<StreamError> for LinkError {
    fn from(e: StreamError) -> LinkError {
        LinkError::Stream(e)
    }
}

impl From<WireError> for LinkError {
    fn from(e: WireError) -> LinkError {
        LinkError::Wire(e)
    }
}

impl fmt::Display for LinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LinkError::Stream(e) => e.fmt(f),
            LinkError::Wire(e) => e.fmt(f),
            LinkError::Fatal(_, text) => f.write_str(&crate::path::escape(text.as_bytes())),
        }
    }
}

impl std::error::Error for LinkError {}

/// What a frame was.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Frame {
    /// A message; its payload is in the reader.
    Control,
    /// File data comes; to be taken with [`FrameReader::store`] before anything else.
    Data(Header),
    /// The peer has closed the connection between two frames.
    End,
}

/// Reads frames.
#[derive(Debug)]
pub struct FrameReader {
    inlet: Inlet,
    seal: Option<Seal>,
    payload: Vec<u8>,
    /// In the middle of a file's data: what follows is likely to be spliced, so nothing is read ahead.
    in_data: bool,
}

impl FrameReader {
    /// Reads from `inlet`; nothing is sealed so far.
    #[must_use]
    pub fn new(inlet: Inlet) -> FrameReader {
        FrameReader { inlet, seal: None, payload: Vec::new(), in_data: false }
    }

    /// The end that is read from.
    pub fn inlet(&mut self) -> &mut Inlet {
        &mut self.inlet
    }

    /// From here on every frame is sealed.
    pub fn seal(&mut self, seal: Seal) {
        self.seal = Some(seal);
    }

    /// Reads the next frame, skipping signs of life.
    ///
    /// # Errors
    ///
    /// The conversation is over.
    pub fn next(&mut self) -> Result<Frame, LinkError> {
        loop {
            let mut header = [0; HEADER_LEN];
            if !self.inlet.read_exact(&mut header, !self.in_data)? {
                return Ok(Frame::End);
            }
            let header = Header::parse(header)?;
            if header.kind() == FrameKind::Data {
                self.in_data = true;
                return Ok(Frame::Data(header));
            }
            self.in_data = false;
            self.payload.resize(header.len(), 0);
            self.take_payload(header)?;
            if header.kind() == FrameKind::Control {
                return Ok(Frame::Control);
            }
        }
    }

    fn take_payload(&mut self, header: Header) -> Result<(), LinkError> {
        if !self.inlet.read_exact(&mut self.payload, true)? && !header.is_empty() {
            return Err(StreamError::Closed.into());
        }
        if let Some(seal) = &mut self.seal {
            let mut tag = [0; TAG_LEN];
            if !self.inlet.read_exact(&mut tag, true)? {
                return Err(StreamError::Closed.into());
            }
            seal.check(header, &self.payload, tag)?;
        }
        Ok(())
    }

    /// The message of the last [`Frame::Control`].
    ///
    /// # Errors
    ///
    /// It does not decode: the conversation is over.
    pub fn message<M: Message>(&self) -> Result<M, LinkError> {
        Ok(M::decode(&self.payload)?)
    }

    /// Reads the next message, where no file data may come.
    ///
    /// # Errors
    ///
    /// The conversation is over, also if the peer has closed the connection.
    pub fn expect<M: Message>(&mut self) -> Result<M, LinkError> {
        match self.next()? {
            Frame::Control => self.message(),
            Frame::Data(_) => Err(WireError::NotAllowed {
                message: "data",
                field: "frame".into(),
                cause: "comes where a message is expected".into(),
            }
            .into()),
            Frame::End => Err(StreamError::Closed.into()),
        }
    }

    /// Stores the data of the frame with `header` in `file` at `off`; without a file it is dropped.
    ///
    /// Returns how many bytes of it are real, and what the file's side answered.
    ///
    /// # Errors
    ///
    /// The conversation is over.
    pub fn store(
        &mut self,
        header: Header,
        file: Option<BorrowedFd<'_>>,
        off: u64,
        ledger: &Ledger,
        pace: &dyn Pace,
    ) -> Result<(usize, Result<(), Errno>), LinkError> {
        let stored = self.inlet.store(file, off, header.len(), ledger, pace)?;
        let mut trailer = [0; TRAILER_LEN];
        if !self.inlet.read_exact(&mut trailer, false)? {
            return Err(StreamError::Closed.into());
        }
        let real = header.parse_trailer(trailer)?;
        if let Some(seal) = &mut self.seal {
            seal.note_data(header, real);
        }
        Ok((real, stored))
    }
}

/// Writes frames.
#[derive(Debug)]
pub struct FrameWriter {
    outlet: Outlet,
    seal: Option<Seal>,
    collected: Vec<u8>,
}

impl FrameWriter {
    /// Writes to `outlet`; nothing is sealed so far.
    #[must_use]
    pub fn new(outlet: Outlet) -> FrameWriter {
        FrameWriter { outlet, seal: None, collected: Vec::new() }
    }

    /// The end that is written to.
    pub fn outlet(&mut self) -> &mut Outlet {
        &mut self.outlet
    }

    /// From here on every frame is sealed.
    pub fn seal(&mut self, seal: Seal) {
        self.seal = Some(seal);
    }

    /// Adds a message to what is to be sent; sends, if that has become much.
    ///
    /// # Errors
    ///
    /// The conversation is over.
    pub fn push<M: Message>(&mut self, message: &M) -> Result<(), LinkError> {
        let start = self.collected.len();
        self.collected.extend_from_slice(&[0; HEADER_LEN]);
        message.encode(&mut self.collected)?;
        let payload = self.collected.get(start + HEADER_LEN..).unwrap_or_default();
        let header = Header::new(FrameKind::Control, payload.len())?;
        let tag = self.seal.as_mut().map(|seal| seal.tag(header, payload));
        if let Some(place) = self.collected.get_mut(start..start + HEADER_LEN) {
            place.copy_from_slice(&header.encode());
        }
        self.collected.extend_from_slice(tag.as_ref().map_or(&[][..], |tag| tag));
        if self.collected.len() >= COLLECT { self.flush() } else { Ok(()) }
    }

    /// Sends what was collected.
    ///
    /// # Errors
    ///
    /// The conversation is over.
    pub fn flush(&mut self) -> Result<(), LinkError> {
        if !self.collected.is_empty() {
            self.outlet.write_all(&self.collected)?;
            self.collected.clear();
        }
        Ok(())
    }

    /// Sends a sign of life.
    ///
    /// # Errors
    ///
    /// The conversation is over.
    pub fn sign_of_life(&mut self) -> Result<(), LinkError> {
        let header = Header::new(FrameKind::KeepAlive, 0)?;
        self.collected.extend_from_slice(&header.encode());
        if let Some(seal) = &mut self.seal {
            self.collected.extend_from_slice(&seal.tag(header, &[]));
        }
        self.flush()
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
        self.collected.extend_from_slice(&header.encode());
        self.outlet.cork();
        self.flush()?;
        let real = match copied {
            Some(hasher) => self.outlet.send_copy(file, off, len, Some(hasher), ledger, pace)?.0,
            None => self.outlet.send_file(file, off, len, ledger, pace)?,
        };
        self.collected.extend_from_slice(&header.trailer(real)?);
        self.flush()?;
        self.outlet.uncork();
        if let Some(seal) = &mut self.seal {
            seal.note_data(header, real);
        }
        Ok(real)
    }
}
