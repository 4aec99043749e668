//! A batch file that is read: checked from one end to the other before anything is touched, and what of it is
//! where.

use std::collections::HashMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::engine::Ledger;
use crate::engine::stream::{self, StreamError};
use crate::path::dir;
use crate::session::frames::LinkError;
use crate::sys::Errno;
use crate::wire::batch::{Head, HeadError};
use crate::wire::frame::{HEADER_LEN, TAG_LEN, TRAILER_LEN};
use crate::wire::to_receiver::Outcome;
use crate::wire::{FrameKind, Header, Message as _, Seal, ToReceiver, WireError};

/// Which file: the number of its directory, and its place in that.
pub(super) type Key = (u32, u32);

/// Where something is in the batch file, in bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) at: u64,
    pub(super) len: u32,
}

/// A part of a file's data.
#[derive(Clone, Copy, Debug)]
pub(super) enum Part {
    /// Bytes as they are.
    Data(Place),
    /// The payload of a packed frame.
    Packed(Place),
    /// A `Hole`.
    Hole(Place),
}

/// A file that the batch holds.
#[derive(Debug)]
pub(super) enum Recorded {
    /// In one message.
    Inline(Place),
    /// From `File` to `FileEnd`.
    Parts { begin: Place, from: u64, parts: Vec<Part>, end: Place },
}

/// See the module.
#[derive(Debug)]
pub(in crate::session) struct Batch {
    file: OwnedFd,
    name: String,
    pub(super) head: Head,
    /// What comes before the first listing.
    pub(super) prologue: Vec<Place>,
    /// The listings, with the names of owners and groups, of the last walk: the others only looked for what was to
    /// be deleted.
    pub(super) walk: Vec<Place>,
    pub(super) files: HashMap<Key, Recorded>,
    pub(super) xattrs: HashMap<(u32, Option<u32>), Vec<Place>>,
    /// How many sources the session had.
    pub(super) sources: u32,
    ledger: Ledger,
}

impl Batch {
    /// Reads all of `file` but the data; `name` is what it is called in messages.
    ///
    /// # Errors
    ///
    /// It is no batch, one of another version (exit 2), damaged or cut short (exit 12), or cannot be read (exit 11).
    pub(super) fn open(file: OwnedFd, name: String, stop: &AtomicBool) -> Result<Batch, LinkError> {
        let ledger = Ledger::default();
        let head = stream::read_at(file.as_fd(), 0, Head::LEN, &ledger);
        let head = head.map_err(|e| unreadable(&name, e))?;
        let head = Head::parse(&head)
            .map_err(|e: HeadError| LinkError::Fatal(2, format!("batch file \"{name}\": {e}")))?;
        let size = dir::attrs_of(file.as_fd()).map_err(|e| unreadable(&name, e))?.size;
        let (prologue, walk) = (Vec::new(), Vec::new());
        let (files, xattrs) = (HashMap::new(), HashMap::new());
        let mut batch = Batch { file, name, head, prologue, walk, files, xattrs, sources: 0, ledger };
        Scan::of(&mut batch, size).run(stop)?;
        Ok(batch)
    }

    /// Whether the batch has the data of a file.
    pub(in crate::session) fn offers(&self, dir: u32, entry: u32) -> bool {
        self.files.contains_key(&(dir, entry))
    }

    pub(super) fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    /// The bytes at `place`.
    pub(super) fn bytes(&self, place: Place) -> Result<Vec<u8>, LinkError> {
        let bytes = stream::read_at(self.as_fd(), place.at, place.len as usize, &self.ledger);
        let bytes = bytes.map_err(|e| unreadable(&self.name, e))?;
        if bytes.len() < place.len as usize { Err(short(&self.name)) } else { Ok(bytes) }
    }

    /// The message at `place`.
    pub(super) fn message(&self, place: Place) -> Result<ToReceiver, LinkError> {
        ToReceiver::decode(&self.bytes(place)?).map_err(|e| self.damaged(place.at, &e))
    }

    fn damaged(&self, at: u64, why: &dyn std::fmt::Display) -> LinkError {
        LinkError::Fatal(12, format!("batch file \"{}\" is damaged at byte {at}: {why}", self.name))
    }
}

fn unreadable(name: &str, e: Errno) -> LinkError {
    LinkError::Fatal(11, format!("read batch file \"{name}\": {}", std::io::Error::from(e)))
}

fn short(name: &str) -> LinkError {
    LinkError::Fatal(12, format!("batch file \"{name}\" ends too early: it is not all of what was written"))
}

/// The reading of a batch.
struct Scan<'b> {
    batch: &'b mut Batch,
    seal: Seal,
    size: u64,
    at: u64,
    /// Files that have begun and not ended.
    open: HashMap<Key, (Place, u64, Vec<Part>)>,
    current: Option<Key>,
    /// All roots have been told.
    rooted: bool,
    /// The walk in hand has been listed to its end.
    listed: bool,
    ended: bool,
}

impl<'b> Scan<'b> {
    fn of(batch: &'b mut Batch, size: u64) -> Scan<'b> {
        let (seal, at) = (batch.head.seal(), Head::LEN as u64);
        let (open, current) = (HashMap::new(), None);
        Scan { batch, seal, size, at, open, current, rooted: false, listed: false, ended: false }
    }

    fn run(mut self, stop: &AtomicBool) -> Result<(), LinkError> {
        while self.at < self.size {
            if stop.load(Ordering::Relaxed) {
                return Err(StreamError::Stopped.into());
            }
            if self.ended {
                return Err(self.batch.damaged(self.at, &"it goes on behind its end"));
            }
            self.frame()?;
        }
        if self.ended { Ok(()) } else { Err(short(&self.batch.name)) }
    }

    fn take(&mut self, len: usize) -> Result<Vec<u8>, LinkError> {
        let place = Place { at: self.at, len: u32::try_from(len).unwrap_or(u32::MAX) };
        if self.at + u64::from(place.len) > self.size {
            return Err(short(&self.batch.name));
        }
        self.at += u64::from(place.len);
        self.batch.bytes(place)
    }

    fn frame(&mut self) -> Result<(), LinkError> {
        let start = self.at;
        let header = self.take(HEADER_LEN)?;
        let header = header.first_chunk().copied().unwrap_or_default();
        let header = Header::parse(header).map_err(|e| self.batch.damaged(start, &e))?;
        let place = Place { at: self.at, len: u32::try_from(header.len()).unwrap_or(u32::MAX) };
        match header.kind() {
            FrameKind::Data => {
                self.at += u64::from(place.len);
                let trailer = self.take(TRAILER_LEN)?;
                let trailer = trailer.first_chunk().copied().unwrap_or_default();
                let real = header.parse_trailer(trailer).map_err(|e| self.batch.damaged(start, &e))?;
                self.seal.note_data(header, real);
                self.part(start, Part::Data(place))
            }
            FrameKind::PackedData => {
                let payload = self.checked(header, start)?;
                header.parse_packed(&payload).map_err(|e| self.batch.damaged(start, &e))?;
                self.part(start, Part::Packed(place))
            }
            FrameKind::Control => {
                let payload = self.checked(header, start)?;
                let mut rest = &payload[..];
                while !rest.is_empty() {
                    let at = place.at + (payload.len() - rest.len()) as u64;
                    let (message, left) =
                        ToReceiver::decode_next(rest).map_err(|e| self.batch.damaged(at, &e))?;
                    let len = u32::try_from(rest.len() - left.len()).unwrap_or(u32::MAX);
                    self.message(message, Place { at, len })?;
                    rest = left;
                }
                Ok(())
            }
            kind @ (FrameKind::KeepAlive | FrameKind::PackedControl) => {
                Err(self.batch.damaged(start, &format!("a {kind} frame has no place in it")))
            }
        }
    }

    /// A payload whose tag is right.
    fn checked(&mut self, header: Header, start: u64) -> Result<Vec<u8>, LinkError> {
        let payload = self.take(header.len())?;
        let tag = self.take(TAG_LEN)?;
        let tag = tag.first_chunk().copied().unwrap_or_default();
        self.seal.check(header, &payload, tag).map_err(|_: WireError| {
            self.batch.damaged(start, &"this, or what is before it, is not what was written")
        })?;
        Ok(payload)
    }

    fn part(&mut self, at: u64, part: Part) -> Result<(), LinkError> {
        let open = self.current.and_then(|key| self.open.get_mut(&key));
        let (.., parts) = open.ok_or_else(|| self.batch.damaged(at, &"data of no file"))?;
        parts.push(part);
        Ok(())
    }

    fn message(&mut self, message: ToReceiver, place: Place) -> Result<(), LinkError> {
        let wrong = |batch: &Batch, why: &str| Err(batch.damaged(place.at, &why));
        if self.ended {
            return wrong(self.batch, "it goes on behind its end");
        }
        match message {
            ToReceiver::Roots(_) if self.rooted => return wrong(self.batch, "roots are told twice"),
            ToReceiver::Roots(roots) => {
                let more = u32::try_from(roots.prefixes.len()).unwrap_or(u32::MAX);
                self.batch.sources = self.batch.sources.saturating_add(more);
                self.rooted = roots.last;
                self.batch.prologue.push(place);
            }
            ToReceiver::Ids(_) if !self.rooted => self.batch.prologue.push(place),
            _ if !self.rooted => return wrong(self.batch, "something comes before the roots"),
            ToReceiver::Ids(_) | ToReceiver::Listing(_) => {
                if std::mem::take(&mut self.listed) {
                    // Numbers begin anew, and what was sent for the old ones is nothing any more.
                    self.batch.walk.clear();
                    self.batch.files.clear();
                    self.batch.xattrs.clear();
                    self.open.clear();
                    self.current = None;
                }
                self.batch.walk.push(place);
            }
            ToReceiver::ListingDone => self.listed = true,
            ToReceiver::File { dir, entry, from, .. } => {
                self.open.insert((dir, entry), (place, from, Vec::new()));
                self.current = Some((dir, entry));
            }
            ToReceiver::Inline { dir, entry, .. } => {
                self.batch.files.insert((dir, entry), Recorded::Inline(place));
            }
            ToReceiver::Hole { .. } => return self.part(place.at, Part::Hole(place)),
            ToReceiver::FileEnd { dir, entry, outcome, .. } => {
                let key = (dir, entry);
                if self.current == Some(key) {
                    self.current = None;
                }
                let begun = self.open.remove(&key);
                if let (Outcome::Complete, Some((begin, from, parts))) = (outcome, begun) {
                    // A file that was sent again: what came last is what arrived.
                    self.batch.files.insert(key, Recorded::Parts { begin, from, parts, end: place });
                }
            }
            ToReceiver::Xattrs { dir, entry, last, problem, .. } => {
                let parts = self.batch.xattrs.entry((dir, entry)).or_default();
                parts.push(place);
                if last && problem.is_some() {
                    self.batch.xattrs.remove(&(dir, entry));
                }
            }
            ToReceiver::Removed { .. } => {}
            ToReceiver::Fatal(_) => return wrong(self.batch, "the run that it is of was given up"),
            ToReceiver::Bye { .. } if !self.listed && self.batch.sources > 0 => {
                return wrong(self.batch, "it ends before everything is listed");
            }
            ToReceiver::Bye { .. } => self.ended = true,
        }
        Ok(())
    }
}
