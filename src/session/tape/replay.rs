//! The sending role out of a batch file.
//!
//! One thread hears what the receiver wants; another, the caller's, lists in order as far as the receiver has
//! room, and sends what is wanted, from the file by the kernel's own path.

use std::collections::HashMap;

use crossbeam_channel::{Receiver as Inbox, Sender as Outbox, TryRecvError, unbounded};

use super::index::{Batch, Part, Place, Recorded};
use crate::engine::stream::StreamError;
use crate::engine::{Ledger, Pace};
use crate::event::{Problem, Stats};
use crate::path::{Name, RelPath};
use crate::session::frames::{Frame, FrameReader, FrameWriter, LinkError};
use crate::session::pace::Pacer;
use crate::sys::thread;
use crate::wire::frame::HEADER_LEN;
use crate::wire::to_receiver::Outcome;
use crate::wire::to_sender::Have;
use crate::wire::{Assembly, Fatal, ToReceiver, ToSender, WINDOW, WireError};

/// Wishes that a receiver may have open at once, as for a sender.
const WISHES_MAX: usize = 1 << 16;

/// Why a file that is wanted cannot be had.
const ABSENT: &str = "not in the batch: the destination differs from the one that it was made against";

/// Plays the sending role for `batch` until the receiver has finished.
///
/// # Errors
///
/// The batch cannot be read any more, which the receiver is told; or the conversation is over before its end.
pub(super) fn replay(
    batch: &Batch,
    pacer: &Pacer<'_>,
    reader: &mut FrameReader,
    writer: &mut FrameWriter,
) -> Result<(), LinkError> {
    let (asked, wishes) = unbounded();
    std::thread::scope(|scope| {
        let hearing = thread::start(scope, move || hear(reader, &asked)).map_err(LinkError::NoThread)?;
        let ledger = Ledger::default();
        let mut player =
            Player { batch, pacer, writer, ledger: &ledger, ahead: 0, walk: None, announced: HashMap::new() };
        let mut played = player.play(&wishes);
        if let Err(LinkError::Fatal(code, text)) = &played {
            // Whoever waits for more is told why there is none.
            let _heard = player.writer.send(&ToReceiver::Fatal(Fatal { code: *code, text: text.clone() }));
        }
        if let Ok(Some(fatal)) = &played {
            played = Err(LinkError::Fatal(fatal.code, fatal.text.clone()));
        }
        drop(wishes);
        let heard = hearing.join().unwrap_or(Err(StreamError::Closed.into()));
        played.map(drop).and(heard)
    })
}

/// Hears the receiver until it has finished, or given up.
fn hear(reader: &mut FrameReader, asked: &Outbox<ToSender>) -> Result<(), LinkError> {
    loop {
        match reader.advance()? {
            Frame::End => return Err(StreamError::Closed.into()),
            Frame::Data(_) | Frame::Unpacked(_) => {
                return Err(WireError::out_of_order("Data", "the receiver has none to send").into());
            }
            Frame::Control => {}
        }
        let message = reader.message::<ToSender>()?;
        if asked.len() >= WISHES_MAX {
            return Err(WireError::out_of_order("Want", "more than can be open at once").into());
        }
        let last = matches!(message, ToSender::Finished { .. } | ToSender::Fatal(_));
        if asked.send(message).is_err() || last {
            return Ok(());
        }
    }
}

/// A directory that was listed and may be asked for.
struct Announced {
    path: RelPath,
    names: Vec<Name>,
}

/// A walk under way.
struct Walk {
    /// Which of the batch's listings is next.
    next: usize,
    assembly: Assembly,
    /// Paths of directories that have a number and are not listed yet.
    paths: HashMap<u32, RelPath>,
}

struct Player<'p, 'a> {
    batch: &'p Batch,
    pacer: &'p Pacer<'a>,
    writer: &'p mut FrameWriter,
    ledger: &'p Ledger,
    /// Entries sent that the receiver has not taken.
    ahead: u64,
    walk: Option<Walk>,
    announced: HashMap<u32, Announced>,
}

impl Player<'_, '_> {
    /// Until the receiver has finished; returns why, if it gave up.
    fn play(&mut self, wishes: &Inbox<ToSender>) -> Result<Option<Fatal>, LinkError> {
        for place in &self.batch.prologue {
            self.writer.push(&self.batch.message(*place)?)?;
        }
        self.writer.flush()?;
        loop {
            let wish = match wishes.try_recv() {
                Ok(wish) => wish,
                Err(TryRecvError::Empty) if self.may_list() => {
                    self.list()?;
                    continue;
                }
                Err(TryRecvError::Empty) => {
                    self.writer.flush()?;
                    wishes.recv().map_err(|_| StreamError::Closed)?
                }
                Err(TryRecvError::Disconnected) => return Err(StreamError::Closed.into()),
            };
            match wish {
                ToSender::Want { dir, entry, have, .. } => self.file(dir, entry, have)?,
                ToSender::WantXattrs { dir, entry } => self.xattrs(dir, entry)?,
                ToSender::Took { entries } => self.ahead = self.ahead.saturating_sub(u64::from(entries)),
                ToSender::DirDone { dir } => {
                    self.announced.remove(&dir);
                }
                ToSender::List { .. } => self.begin(),
                // Sources are removed where they are, and that is not here.
                ToSender::Stored { dir, entry } => {
                    self.writer.push(&ToReceiver::Removed { dir, entry, problem: None })?;
                }
                ToSender::Told(_) | ToSender::Progress(_) => {}
                ToSender::Finished { .. } => {
                    let (stats, ledger) = (Stats::default(), Box::new(self.ledger.snapshot()));
                    self.writer.send(&ToReceiver::Bye { stats, ledger })?;
                    return Ok(None);
                }
                ToSender::Fatal(fatal) => return Ok(Some(fatal)),
            }
        }
    }

    fn begin(&mut self) {
        self.ahead = 0;
        self.announced.clear();
        let assembly = Assembly::new(self.batch.sources, usize::MAX);
        self.walk = Some(Walk { next: 0, assembly, paths: std::iter::once((0, RelPath::root())).collect() });
    }

    /// The receiver has room for more of the listing.
    fn may_list(&self) -> bool {
        self.walk.is_some() && self.ahead < u64::from(WINDOW)
    }

    /// Sends one directory's listing, or that there is no more.
    fn list(&mut self) -> Result<(), LinkError> {
        let Some(walk) = &mut self.walk else { return Ok(()) };
        while let Some(place) = self.batch.walk.get(walk.next) {
            walk.next += 1;
            let message = self.batch.message(*place)?;
            self.writer.push(&message)?;
            let ToReceiver::Listing(part) = message else { continue };
            let whole = walk.assembly.take(part).map_err(|e| LinkError::Fatal(12, e.to_string()))?;
            let Some(whole) = whole else { continue };
            self.ahead += whole.weight as u64;
            let path = walk.paths.remove(&whole.dir).unwrap_or_else(RelPath::root);
            let dirs = whole.entries.iter().filter(|entry| entry.is_listed_dir());
            walk.paths.extend(whole.children.zip(dirs).map(|(dir, entry)| (dir, path.join(&entry.name))));
            let names = whole.entries.into_iter().map(|entry| entry.name).collect();
            self.announced.insert(whole.dir, Announced { path, names });
            return Ok(());
        }
        self.walk = None;
        self.writer.push(&ToReceiver::ListingDone)
    }

    /// Says what is missing.
    fn absent(&self, dir: u32, entry: Option<u32>) -> Problem {
        let announced = self.announced.get(&dir);
        let name = entry.and_then(|entry| announced?.names.get(entry as usize));
        let path = announced.map_or_else(RelPath::root, |announced| announced.path.clone());
        let path = name.map_or_else(|| path.clone(), |name| path.join(name));
        Problem::text("update", path.as_bytes(), ABSENT)
    }

    fn file(&mut self, dir: u32, entry: u32, have: Option<Have>) -> Result<(), LinkError> {
        // What is added to whatever it is (`--append`) is not replaced, and anything else is whole.
        let added_to = have.filter(|have| have.digest.is_none()).map_or(0, |have| have.len);
        match self.batch.files.get(&(dir, entry)) {
            Some(Recorded::Inline(place)) if added_to == 0 => self.again(*place),
            Some(Recorded::Parts { begin, from, parts, end }) if *from == added_to => {
                self.again(*begin)?;
                for part in parts {
                    self.part(*part)?;
                }
                self.again(*end)
            }
            _ => {
                let outcome = Outcome::Failed(self.absent(dir, Some(entry)));
                self.writer.push(&ToReceiver::FileEnd { dir, entry, outcome, digest: None })
            }
        }
    }

    /// Says what was said once.
    fn again(&mut self, place: Place) -> Result<(), LinkError> {
        self.writer.push(&self.batch.message(place)?)
    }

    fn part(&mut self, part: Part) -> Result<(), LinkError> {
        match part {
            Part::Hole(place) => self.again(place),
            Part::Packed(place) => {
                let payload = self.batch.bytes(place)?;
                let size = payload.first_chunk().copied().map_or(0, u32::from_le_bytes);
                let front = vec![0; HEADER_LEN];
                self.writer.packed_data(size as usize, [front, payload].concat(), self.ledger, self.pacer)
            }
            Part::Data(place) => {
                let (file, len) = (self.batch.as_fd(), place.len as usize);
                let pace: &dyn Pace = self.pacer;
                self.writer.data(file, place.at, len, None, self.ledger, pace).map(drop)
            }
        }
    }

    fn xattrs(&mut self, dir: u32, entry: Option<u32>) -> Result<(), LinkError> {
        match self.batch.xattrs.get(&(dir, entry)) {
            Some(places) => places.iter().try_for_each(|place| self.again(*place)),
            None => {
                let problem = Some(self.absent(dir, entry));
                self.writer.push(&ToReceiver::Xattrs { dir, entry, values: Vec::new(), last: true, problem })
            }
        }
    }
}
