//! Frames as they come.

use std::os::fd::BorrowedFd;
use std::time::Instant;

use super::LinkError;
use crate::engine::Pace;
use crate::engine::ledger::Ledger;
use crate::engine::pack::{BadPack, Unpacker};
use crate::engine::stream::{self, Inlet, StreamError};
use crate::session::tape::Tape;
use crate::sys::Errno;
use crate::wire::frame::{HEADER_LEN, TAG_LEN, TRAILER_LEN};
use crate::wire::{FrameKind, Header, Message, Seal, WireError};

/// Signs of life that a peer may show: so many at once, and so many in each second. An honest one shows three
/// a second at most.
const SIGNS: (u64, u64) = (100, 10);

/// What a frame was.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Frame {
    /// A message, to be taken with [`FrameReader::message`]; otherwise it is lost with the rest of its frame.
    Control,
    /// File data comes; to be taken with [`FrameReader::store`] before anything else.
    Data(Header),
    /// So many bytes of file data have come, packed; to be taken with [`FrameReader::store_unpacked`] before
    /// anything else.
    Unpacked(usize),
    /// The peer has closed the connection between two frames.
    End,
}

/// Reads frames, each to its last byte and no further: what follows may be data that is to be spliced.
#[derive(Debug)]
pub struct FrameReader {
    inlet: Inlet,
    seal: Option<Seal>,
    payload: Vec<u8>,
    /// Where the next message of `payload` begins.
    at: usize,
    /// That message was announced, and has not been taken.
    pending: bool,
    /// There if packed frames may come.
    unpacker: Option<Unpacker>,
    /// What a packed frame held.
    unpacked: Vec<u8>,
    began: Instant,
    /// Signs of life so far.
    signs: u64,
    /// What comes is recorded.
    tape: Option<Tape>,
}

impl FrameReader {
    /// Reads from `inlet`; nothing is sealed so far.
    #[must_use]
    pub fn new(inlet: Inlet) -> FrameReader {
        FrameReader {
            inlet,
            seal: None,
            payload: Vec::new(),
            at: 0,
            pending: false,
            unpacker: None,
            unpacked: Vec::new(),
            began: Instant::now(),
            signs: 0,
            tape: None,
        }
    }

    /// The end that is read from.
    pub fn inlet(&mut self) -> &mut Inlet {
        &mut self.inlet
    }

    /// From here on every frame is sealed.
    pub fn seal(&mut self, seal: Seal) {
        self.seal = Some(seal);
    }

    /// From here on what comes is recorded, beginning with messages that have been read and not been taken.
    ///
    /// # Errors
    ///
    /// It cannot be.
    pub(in crate::session) fn record_on(&mut self, mut tape: Option<Tape>) -> Result<(), LinkError> {
        if let Some(tape) = &mut tape {
            tape.push(self.payload.get(self.at..).unwrap_or_default())?;
        }
        self.tape = tape;
        Ok(())
    }

    /// Ends the recording.
    pub(in crate::session) fn take_tape(&mut self) -> Option<Tape> {
        self.tape.take()
    }

    /// From here on packed frames may come.
    pub fn unpack(&mut self) {
        self.unpacker = Unpacker::new();
    }

    /// Goes on to the next message or data frame, skipping signs of life.
    ///
    /// # Errors
    ///
    /// The conversation is over.
    pub fn advance(&mut self) -> Result<Frame, LinkError> {
        if self.pending {
            // Nobody wanted it, so nobody knows where the next one begins.
            self.at = self.payload.len();
        }
        while self.at >= self.payload.len() {
            let mut header = [0; HEADER_LEN];
            if !self.inlet.read_exact(&mut header, false)? {
                return Ok(Frame::End);
            }
            let header = Header::parse(header)?;
            if header.kind() == FrameKind::Data {
                return Ok(Frame::Data(header));
            }
            self.take_payload(header)?;
            match header.kind() {
                FrameKind::PackedData => {
                    if let Some(tape) = &mut self.tape {
                        tape.packed(&self.payload)?;
                    }
                    self.take_packed(header)?;
                    return Ok(Frame::Unpacked(self.unpacked.len()));
                }
                FrameKind::PackedControl => {
                    self.take_packed(header)?;
                    std::mem::swap(&mut self.payload, &mut self.unpacked);
                }
                FrameKind::KeepAlive => self.count_sign()?,
                FrameKind::Control | FrameKind::Data => {}
            }
            if let Some(tape) = &mut self.tape {
                tape.push(&self.payload)?;
            }
        }
        self.pending = true;
        Ok(Frame::Control)
    }

    /// Unpacks a payload, whose seal was found to be right; nothing of it is left for anybody else.
    fn take_packed(&mut self, header: Header) -> Result<(), LinkError> {
        let (kind, refused) =
            (header.kind(), |kind, cause: &str| WireError::Packed { kind, cause: cause.into() });
        let unpacker = self.unpacker.as_mut().ok_or_else(|| refused(kind, "was not agreed on"))?;
        let (size, packed) = header.parse_packed(&self.payload)?;
        unpacker.unpack(packed, size, &mut self.unpacked).map_err(|BadPack(cause)| refused(kind, cause))?;
        self.payload.clear();
        self.at = 0;
        Ok(())
    }

    /// Counts a sign of life. A flood of them would keep this side busy, and never end.
    fn count_sign(&mut self) -> Result<(), WireError> {
        self.signs += 1;
        let (most, each_second) = SIGNS;
        if self.signs <= most + each_second.saturating_mul(self.began.elapsed().as_secs()) {
            return Ok(());
        }
        let cause = "more of them than a sign of life takes".into();
        Err(WireError::NotAllowed { message: "keep-alive", field: "frame".into(), cause })
    }

    fn take_payload(&mut self, header: Header) -> Result<(), LinkError> {
        self.payload.resize(header.len(), 0);
        self.at = 0;
        if !self.inlet.read_exact(&mut self.payload, false)? && !header.is_empty() {
            return Err(StreamError::Closed.into());
        }
        if let Some(seal) = &mut self.seal {
            let mut tag = [0; TAG_LEN];
            if !self.inlet.read_exact(&mut tag, false)? {
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
    pub fn message<M: Message>(&mut self) -> Result<M, LinkError> {
        let payload = self.payload.get(self.at..).unwrap_or_default();
        let (message, rest) = M::decode_next(payload)?;
        self.at = self.payload.len() - rest.len();
        self.pending = false;
        Ok(message)
    }

    /// Reads the next message, where no file data may come.
    ///
    /// # Errors
    ///
    /// The conversation is over, also if the peer has closed the connection.
    pub fn expect<M: Message>(&mut self) -> Result<M, LinkError> {
        match self.advance()? {
            Frame::Control => self.message(),
            Frame::Data(_) | Frame::Unpacked(_) => Err(WireError::NotAllowed {
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
        let recorded = self.tape.as_mut().map(|tape| tape.begin_data(header)).transpose()?;
        let tape = self.tape.as_ref().zip(recorded);
        let (into, at) = tape.map_or((file, off), |(tape, at)| (Some(tape.as_fd()), at));
        let mut stored = self.inlet.store(into, at, header.len(), ledger, pace)?;
        if let (Err(e), Some((tape, _))) = (stored, tape) {
            return Err(tape.failed(e));
        }
        let mut trailer = [0; TRAILER_LEN];
        if !self.inlet.read_exact(&mut trailer, false)? {
            return Err(StreamError::Closed.into());
        }
        let real = header.parse_trailer(trailer)?;
        if let (Some(tape), Some(at)) = (&mut self.tape, recorded) {
            tape.end_data(header, real)?;
            let moved = file.map(|file| stream::copy_range(tape.as_fd(), at, file, off, real, ledger));
            stored = moved.unwrap_or(Ok(real)).and_then(|n| if n < real { Err(Errno::EIO) } else { Ok(()) });
        }
        if let Some(seal) = &mut self.seal {
            seal.note_data(header, real);
        }
        Ok((real, stored))
    }

    /// Stores the bytes of the last [`Frame::Unpacked`] in `file` at `off`; without a file they are dropped.
    ///
    /// Returns what the file's side answered.
    ///
    /// # Errors
    ///
    /// The run is to stop.
    pub fn store_unpacked(
        &mut self,
        file: Option<BorrowedFd<'_>>,
        off: u64,
        ledger: &Ledger,
        pace: &dyn Pace,
    ) -> Result<Result<(), Errno>, LinkError> {
        let bytes = std::mem::take(&mut self.unpacked);
        let stored = file.map_or(Ok(()), |file| stream::write_at(file, &bytes, off, ledger));
        let paced = pace.packed(bytes.len() as u64, 0);
        self.unpacked = bytes;
        if paced.is_break() { Err(StreamError::Stopped.into()) } else { Ok(stored) }
    }
}
