//! Frames over a connection's two ends, sealed where the session has a key.

use std::fmt;
use std::os::fd::BorrowedFd;
use std::sync::atomic::Ordering;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::tape::Tape;
use crate::engine::digest::FileHasher;
use crate::engine::ledger::Ledger;
use crate::engine::pack::{BadPack, Packer, Unpacker};
use crate::engine::stream::{self, Inlet, Outlet, StreamError};
use crate::engine::{Pace, Rung};
use crate::event::Meter;
use crate::sys::Errno;
use crate::wire::frame::{CONTROL_MAX, HEADER_LEN, SIZE_LEN, TAG_LEN, TRAILER_LEN};
use crate::wire::{Fatal, FrameKind, Header, Message, Seal, WireError};

/// Bytes of messages that make a frame although more are waiting. A guess: some dozens of small files.
const COLLECT: usize = 64 << 10;

/// Silence after which a side that has nothing to say shows that it is alive.
const QUIET: Duration = Duration::from_secs(20);

/// How long a side is silent at most, where one of so long (`--timeout`) ends the session.
#[must_use]
pub fn quiet(timeout: Option<Duration>) -> Duration {
    timeout.map_or(QUIET, |timeout| QUIET.min(timeout / 3))
}

/// Whether there is nothing to write, as `empty` says, although others have had the chance to add something: on
/// a machine with more to do than processors, messages then travel many to a frame.
pub(super) fn idle(empty: impl Fn() -> bool) -> bool {
    if empty() {
        std::thread::yield_now();
        return empty();
    }
    false
}

/// Signs of life that a peer may show: so many at once, and so many in each second. An honest one shows three
/// a second at most.
const SIGNS: (u64, u64) = (100, 10);

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

/// Why a conversation was lost, where several threads may find out: the first knows, unless the peer itself
/// has said why.
#[derive(Default, Debug)]
pub(super) struct Lost(Mutex<Option<LinkError>>);

impl Lost {
    /// Notes why, and has whatever is under way given up: whoever waits for the peer waits no longer.
    pub(super) fn note(&self, e: LinkError, meter: &Meter) {
        let mut lost = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(e, LinkError::Fatal(..)) {
            *lost = Some(e);
        } else {
            lost.get_or_insert(e);
        }
        meter.stop.store(true, Ordering::Relaxed);
    }

    /// What the peer is to be told, if it may be there to hear it.
    pub(super) fn fatal(&self) -> Option<Fatal> {
        let lost = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (code, e) = match lost.as_ref()? {
            e @ LinkError::Wire(_) => (12, e),
            e @ LinkError::Stream(StreamError::Idle(_)) => (30, e),
            LinkError::Stream(_) | LinkError::Fatal(..) => return None,
        };
        Some(Fatal { code, text: e.to_string() })
    }

    /// Why, if it was lost.
    pub(super) fn into_result(self) -> Result<(), LinkError> {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
    }
}

/// Bytes in front of what is packed: the frame's header, and the size.
pub const PACKED_FRONT: usize = HEADER_LEN + SIZE_LEN;

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
    pub(super) fn record_on(&mut self, mut tape: Option<Tape>) -> Result<(), LinkError> {
        if let Some(tape) = &mut tape {
            tape.push(self.payload.get(self.at..).unwrap_or_default())?;
        }
        self.tape = tape;
        Ok(())
    }

    /// Ends the recording.
    pub(super) fn take_tape(&mut self) -> Option<Tape> {
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
}

impl FrameReader {
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
    pub(super) fn record_on(&mut self, tape: Option<Tape>) {
        self.tape = tape;
    }

    /// Whether what is sent is recorded.
    pub(super) fn records(&self) -> bool {
        self.tape.is_some()
    }

    /// Ends the recording.
    pub(super) fn take_tape(&mut self) -> Option<Tape> {
        self.tape.take()
    }

    /// Records a message that is not sent.
    ///
    /// # Errors
    ///
    /// It cannot be recorded.
    pub(super) fn record<M: Message>(&mut self, message: &M) -> Result<(), LinkError> {
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
    pub(super) fn record_data(
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
    pub(super) fn push_unrecorded<M: Message>(&mut self, message: &M) -> Result<(), LinkError> {
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
