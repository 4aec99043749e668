//! `Listing`: what one directory holds, or a part of it.

use serde::{Deserialize, Serialize};

use super::codec::{Flaw, PART_BYTES, encoded_len, list};
use super::entry::Listed;
use crate::event::{Note, Problem};

/// Most entries, notes and problems each of one part: decoded, each list takes 1 MiB at most beside its names.
pub const PART_ENTRIES: usize = 4096;

/// A directory's entries, of all its sources, filtered and in transfer order ([`crate::plan::entry::order`]).
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Listing {
    /// Which directory: the root is 0, others are numbered as they are announced.
    pub dir: u32,
    /// Its entries; at most [`PART_ENTRIES`], and more in the next part.
    #[serde(deserialize_with = "list::<_, _, PART_ENTRIES>")]
    pub entries: Vec<Listed>,
    /// What was left out, and whatever else there is to tell. At most [`PART_ENTRIES`].
    #[serde(deserialize_with = "list::<_, _, PART_ENTRIES>")]
    pub notes: Vec<Note>,
    /// What could not be read. At most [`PART_ENTRIES`].
    #[serde(deserialize_with = "list::<_, _, PART_ENTRIES>")]
    pub problems: Vec<Problem>,
    /// No part follows.
    pub last: bool,
    /// In the last part: every entry of some source was seen, so that what is not listed is surplus.
    pub complete: bool,
    /// In the last part: some source could not be read wholly, so that nothing may be deleted here or below.
    pub incomplete: bool,
}

impl Listing {
    /// Cuts a whole directory's listing into parts that fit into frames.
    #[must_use]
    pub fn parts(self) -> Vec<Listing> {
        let Listing { dir, entries, notes, problems, last, complete, incomplete } = self;
        let mut cut = Cut { dir, parts: Vec::new(), open: Listing::empty(dir), bytes: 0 };
        for entry in entries {
            cut.room(encoded_len(&entry)).entries.push(entry);
        }
        for note in notes {
            cut.room(encoded_len(&note)).notes.push(note);
        }
        for problem in problems {
            cut.room(encoded_len(&problem)).problems.push(problem);
        }
        cut.parts.push(Listing { last, complete, incomplete, ..cut.open });
        cut.parts
    }

    /// The memory that what it holds takes once it is decoded, in bytes.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        let entries: usize = self.entries.iter().map(Listed::held_bytes).sum();
        let notes: usize = self.notes.iter().map(|note| size_of::<Note>() + encoded_len(note)).sum();
        let problems = self.problems.iter().map(|problem| size_of::<Problem>() + encoded_len(problem));
        entries + notes + problems.sum::<usize>()
    }

    fn empty(dir: u32) -> Listing {
        let (entries, notes, problems) = (Vec::new(), Vec::new(), Vec::new());
        Listing { dir, entries, notes, problems, last: false, complete: false, incomplete: false }
    }

    pub(super) fn check(&self) -> Result<(), Flaw> {
        for (at, entry) in self.entries.iter().enumerate() {
            entry.check().map_err(|flaw| Flaw { field: format!("entries[{at}].{}", flaw.field), ..flaw })?;
        }
        Ok(())
    }
}

/// A listing being cut.
struct Cut {
    dir: u32,
    parts: Vec<Listing>,
    open: Listing,
    bytes: usize,
}

impl Cut {
    /// The part that something of so many bytes goes into.
    fn room(&mut self, bytes: usize) -> &mut Listing {
        let elements = self.open.entries.len() + self.open.notes.len() + self.open.problems.len();
        if elements >= PART_ENTRIES || elements > 0 && self.bytes + bytes > PART_BYTES {
            self.parts.push(std::mem::replace(&mut self.open, Listing::empty(self.dir)));
            self.bytes = 0;
        }
        self.bytes += bytes;
        &mut self.open
    }
}
