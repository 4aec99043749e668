//! The ledger: what each rung moved, how often it was called, and what was refused.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use serde::{Deserialize, Deserializer, Serialize};

use super::ladder::Rung;
use crate::sys::Errno;

/// Linux's error numbers end at 133 (`EHWPOISON`); anything above is counted in the last place.
const ERRNOS: usize = 134;

/// The counts of a run, added to by all workers without locks.
#[derive(Debug, Default)]
pub struct Ledger {
    rungs: [Book; Rung::COUNT],
    hashed: AtomicU64,
}

#[derive(Debug)]
struct Book {
    calls: AtomicU64,
    bytes: AtomicU64,
    short: AtomicU64,
    refusals: [AtomicU64; ERRNOS],
}

impl Default for Book {
    fn default() -> Book {
        Book {
            calls: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            short: AtomicU64::new(0),
            refusals: [const { AtomicU64::new(0) }; ERRNOS],
        }
    }
}

impl Ledger {
    /// One step of `rung` that moved `moved` of the `asked` bytes. The `0` at an end of file is a call,
    /// not a short count.
    pub(super) fn step(&self, rung: Rung, moved: usize, asked: usize) {
        let book = &self.rungs[rung as usize];
        book.calls.fetch_add(1, Relaxed);
        book.bytes.fetch_add(moved as u64, Relaxed);
        if moved != 0 && moved < asked {
            book.short.fetch_add(1, Relaxed);
        }
    }

    /// Bytes that were read to be packed, and sent so: they have passed through user space.
    pub fn copied(&self, bytes: usize) {
        self.step(Rung::Buffered, bytes, bytes);
    }

    /// One step of `rung` that was refused with `errno`.
    pub(super) fn refusal(&self, rung: Rung, errno: Errno) {
        let book = &self.rungs[rung as usize];
        let at = usize::try_from(errno as i32).unwrap_or(ERRNOS).min(ERRNOS - 1);
        book.calls.fetch_add(1, Relaxed);
        book.refusals[at].fetch_add(1, Relaxed);
    }

    /// Bytes that a finished digest covers.
    pub(super) fn hashed(&self, bytes: u64) {
        self.hashed.fetch_add(bytes, Relaxed);
    }

    /// The counts now. Exact once the workers are done; before that, each is true for some recent moment.
    #[must_use]
    pub fn snapshot(&self) -> LedgerSnapshot {
        let rungs = Rung::ALL.map(|rung| {
            let book = &self.rungs[rung as usize];
            let refusals = (0..).zip(&book.refusals).map(|(errno, n)| (errno, n.load(Relaxed)));
            RungCounts {
                rung,
                calls: book.calls.load(Relaxed),
                bytes: book.bytes.load(Relaxed),
                short: book.short.load(Relaxed),
                refusals: refusals.filter(|(_, n)| *n > 0).collect(),
            }
        });
        LedgerSnapshot { rungs, hashed: self.hashed.load(Relaxed) }
    }
}

/// The counts of one rung.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RungCounts {
    /// Which one; [`Rung::name`] for people and `--json`.
    pub rung: Rung,
    /// Steps asked for, refused ones included.
    pub calls: u64,
    /// Bytes moved.
    pub bytes: u64,
    /// Steps that moved less than asked, but something.
    pub short: u64,
    /// How often each errno refused a step, by rising errno.
    pub refusals: Vec<(i32, u64)>,
}

/// The ledger at one moment, as plain data.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LedgerSnapshot {
    /// One for each rung, in the ladder's order.
    #[serde(deserialize_with = "in_order")]
    pub rungs: [RungCounts; Rung::COUNT],
    /// Bytes hashed, holes included.
    pub hashed: u64,
}

/// A snapshot finds a rung by its place.
fn in_order<'de, D: Deserializer<'de>>(from: D) -> Result<[RungCounts; Rung::COUNT], D::Error> {
    let rungs = <[RungCounts; Rung::COUNT]>::deserialize(from)?;
    if rungs.iter().zip(Rung::ALL).any(|(counts, rung)| counts.rung != rung) {
        return Err(serde::de::Error::custom("a rung stands in another one's place"));
    }
    Ok(rungs)
}

impl LedgerSnapshot {
    /// Adds the counts of another side.
    pub fn add(&mut self, other: &LedgerSnapshot) {
        // A peer's figures may be anything.
        let add = |mine: &mut u64, theirs: u64| *mine = mine.saturating_add(theirs);
        for (mine, theirs) in self.rungs.iter_mut().zip(&other.rungs) {
            add(&mut mine.calls, theirs.calls);
            add(&mut mine.bytes, theirs.bytes);
            add(&mut mine.short, theirs.short);
            for (errno, n) in &theirs.refusals {
                match mine.refusals.binary_search_by_key(errno, |(errno, _)| *errno) {
                    Ok(at) => add(&mut mine.refusals[at].1, *n),
                    Err(at) => mine.refusals.insert(at, (*errno, *n)),
                }
            }
        }
        add(&mut self.hashed, other.hashed);
    }

    /// The counts of one rung.
    #[must_use]
    pub fn of(&self, rung: Rung) -> &RungCounts {
        &self.rungs[rung as usize]
    }

    /// Bytes that passed through user space to be written.
    #[must_use]
    pub fn user_copied(&self) -> u64 {
        // A peer's figures may be anything.
        self.rungs.iter().filter(|r| r.rung.sees_bytes()).map(|r| r.bytes).fold(0, u64::saturating_add)
    }

    /// Bytes whose extents are shared by a reflink.
    #[must_use]
    pub fn cloned(&self) -> u64 {
        self.of(Rung::Reflink).bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_stay_with_their_rung() {
        let ledger = Ledger::default();
        ledger.step(Rung::Sendfile, 10, 10);
        ledger.step(Rung::Sendfile, 3, 10);
        ledger.step(Rung::Sendfile, 0, 10);
        ledger.step(Rung::Buffered, 5, 5);
        ledger.refusal(Rung::Reflink, Errno::EXDEV);
        ledger.hashed(99);
        let counts = ledger.snapshot();
        let sendfile = counts.of(Rung::Sendfile);
        assert_eq!((sendfile.calls, sendfile.bytes, sendfile.short), (3, 13, 1));
        assert_eq!(counts.of(Rung::Reflink).refusals, [(Errno::EXDEV as i32, 1)]);
        assert_eq!((counts.user_copied(), counts.cloned(), counts.hashed), (5, 0, 99));
    }

    #[test]
    fn a_snapshot_arrives_with_each_rung_in_its_place_or_not_at_all() {
        let snapshot = Ledger::default().snapshot();
        let mut bytes = postcard::to_allocvec(&snapshot).unwrap();
        assert_eq!(postcard::from_bytes(&bytes), Ok(snapshot));
        bytes[0] = 1; // the first rung's number
        assert!(postcard::from_bytes::<LedgerSnapshot>(&bytes).is_err());
    }
}
