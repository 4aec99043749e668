//! `Assembly`: listings as they arrive become directories; what only shows across messages is checked.

use std::cmp::Ordering;
use std::ops::Range;

use super::entry::Listed;
use super::error::WireError;
use super::listing::Listing;
use crate::event::{Note, Problem};
use crate::path::Kind;
use crate::plan::entry::order;

/// A directory's listing, whole.
#[derive(Clone, PartialEq, Debug)]
pub struct Directory {
    /// Its number.
    pub dir: u32,
    /// The numbers of its subdirectories, in the order of its entries that [`Listed::is_listed_dir`].
    pub children: Range<u32>,
    /// Its entries in transfer order, each name once.
    pub entries: Vec<Listed>,
    /// For how many entries they count ([`Listed::weight`]).
    pub weight: usize,
    /// What there is to tell.
    pub notes: Vec<Note>,
    /// What could not be read.
    pub problems: Vec<Problem>,
    /// Every entry of some source was seen.
    pub complete: bool,
    /// Some source could not be read wholly.
    pub incomplete: bool,
    /// The memory that all this takes, in bytes.
    pub bytes: usize,
}

/// The listings of a session so far: which directory is due, and what has come of it.
///
/// Directories are due in pre-order, so the numbers still to come are one range for each level.
#[derive(Debug)]
pub struct Assembly {
    /// For each level, outermost first, the numbers announced there that are not listed yet.
    due: Vec<Range<u32>>,
    announced: u32,
    sources: u32,
    limit: usize,
    open: Option<Directory>,
}

impl Assembly {
    /// Nothing listed yet: the root is due. `sources` is how many the session has; a directory that takes
    /// more than `limit` bytes of memory is refused.
    #[must_use]
    pub fn new(sources: u32, limit: usize) -> Assembly {
        Assembly { due: std::iter::once(0..1).collect(), announced: 1, sources, limit, open: None }
    }

    /// Whether every announced directory has been listed.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.due.is_empty()
    }

    /// Takes the next listing: returns the directory once it is whole.
    ///
    /// # Errors
    ///
    /// [`WireError::NotAllowed`]: another directory is due, or none; an entry is out of order or a name is
    /// there twice; an entry of a source that does not exist; more entries than the limit. The session ends.
    pub fn take(&mut self, part: Listing) -> Result<Option<Directory>, WireError> {
        let Some(due) = self.due.last().map(|range| range.start) else {
            return Err(flaw("dir", format!("directory {} is listed after all others were", part.dir)));
        };
        if part.dir != due {
            return Err(flaw("dir", format!("directory {} is listed where {due} is due", part.dir)));
        }
        let open = self.open.get_or_insert_with(|| Directory::new(due));
        for entry in &part.entries {
            if entry.source >= self.sources {
                return Err(flaw("entries.source", format!("there is no source {}", entry.source)));
            }
        }
        open.bytes += part.held_bytes();
        if open.bytes > self.limit {
            let cause = format!("one directory takes more than {} MiB of memory", self.limit >> 20);
            return Err(flaw("entries", cause));
        }
        open.add(part.entries)?;
        open.notes.extend(part.notes);
        open.problems.extend(part.problems);
        if !part.last {
            return Ok(None);
        }
        let Some(mut whole) = self.open.take() else { return Ok(None) };
        let children = whole.entries.iter().filter(|entry| entry.is_listed_dir()).count();
        let end = u32::try_from(children).ok().and_then(|n| self.announced.checked_add(n));
        let Some(end) = end else { return Err(flaw("entries", "more than 2^32 directories".into())) };
        whole.children = self.announced..end;
        (whole.complete, whole.incomplete) = (part.complete, part.incomplete);
        self.announced = end;
        self.step(whole.children.clone());
        Ok(Some(whole))
    }

    /// The directory that was due is listed, and `children` are announced.
    fn step(&mut self, children: Range<u32>) {
        if let Some(level) = self.due.last_mut() {
            level.start += 1;
        }
        if !children.is_empty() {
            // A level that is used up goes first, so that there are never more than the tree is deep.
            self.due.retain(|level| !level.is_empty());
            self.due.push(children);
        }
        while self.due.last().is_some_and(Range::is_empty) {
            self.due.pop();
        }
    }
}

impl Directory {
    fn new(dir: u32) -> Directory {
        let (entries, notes, problems) = (Vec::new(), Vec::new(), Vec::new());
        let (children, complete, incomplete) = (0..0, false, false);
        let (weight, bytes) = (0, 0);
        Directory { dir, children, entries, weight, notes, problems, complete, incomplete, bytes }
    }

    /// Adds entries that must all come after those there are, under names that are new.
    fn add(&mut self, entries: Vec<Listed>) -> Result<(), WireError> {
        for entry in entries {
            let (name, kind) = (&entry.name, entry.properties.kind);
            let follows = self.entries.last().is_none_or(|before| {
                order(&before.name, before.properties.kind, name, kind) == Ordering::Less
            });
            if !follows {
                let text = crate::path::escape(name.as_bytes());
                return Err(flaw("entries", format!("\"{text}\" is out of order, or there twice")));
            }
            // Within files and within directories the order leaves no name twice; across them it does.
            if kind == Kind::Dir {
                let files = self.entries.partition_point(|entry| entry.properties.kind != Kind::Dir);
                if self.entries[..files].binary_search_by(|file| file.name.cmp(name)).is_ok() {
                    let text = crate::path::escape(name.as_bytes());
                    return Err(flaw("entries", format!("\"{text}\" is there twice")));
                }
            }
            self.weight += entry.weight();
            self.entries.push(entry);
        }
        Ok(())
    }
}

fn flaw(field: &str, cause: String) -> WireError {
    WireError::NotAllowed { message: "Listing", field: field.into(), cause }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::path::{Name, Time};
    use crate::wire::entry::Properties;

    const LIMIT: usize = 1 << 20;

    fn listing(dir: u32, names: &[&str]) -> Listing {
        let entry = |text: &&str| {
            let kind = if text.ends_with('/') { Kind::Dir } else { Kind::File };
            let name = Name::parse(text.trim_end_matches('/').as_bytes()).unwrap();
            let properties = Properties { kind, mode: 0, uid: 0, gid: 0, size: 0, mtime: Time::default() };
            let (link, rdev, atime, inode, digest, skipped, attached) =
                (None, None, None, None, None, None, None);
            let (followed, implied, source) = (false, false, 0);
            Listed {
                name,
                properties,
                source,
                followed,
                implied,
                skipped,
                link,
                rdev,
                atime,
                inode,
                digest,
                attached,
            }
        };
        let (notes, problems) = (Vec::new(), Vec::new());
        let entries = names.iter().map(entry).collect();
        Listing { dir, entries, notes, problems, last: true, complete: true, incomplete: false }
    }

    fn refusal(assembly: &mut Assembly, part: Listing) -> String {
        assembly.take(part).unwrap_err().to_string()
    }

    #[test]
    fn directories_are_numbered_as_announced_and_due_in_pre_order() {
        let mut assembly = Assembly::new(1, LIMIT);
        let mut take = |dir, names: &[&str]| {
            let children = assembly.take(listing(dir, names)).unwrap().unwrap().children;
            assert!(assembly.due.len() <= 3, "{assembly:?}");
            (children, assembly.is_done())
        };
        assert_eq!(take(0, &["f", "a/", "b/"]), (1..3, false));
        assert_eq!(take(1, &["c/", "d/"]), (3..5, false));
        assert_eq!(take(3, &["e/"]), (5..6, false));
        assert_eq!(take(5, &[]), (6..6, false));
        assert_eq!(take(4, &["x"]), (6..6, false));
        assert_eq!(take(2, &[]), (6..6, true));
        assert!(refusal(&mut assembly, listing(6, &[])).contains("after all others"));
    }

    #[test]
    fn another_directory_than_the_one_due_is_refused() {
        let mut assembly = Assembly::new(1, LIMIT);
        assert!(refusal(&mut assembly, listing(1, &[])).contains("directory 1 is listed where 0 is due"));
        assembly.take(listing(0, &["a/", "b/"])).unwrap();
        assert!(assembly.take(listing(2, &[])).is_err(), "the second before the first");
        assert!(assembly.take(listing(0, &[])).is_err(), "twice");
        assembly.take(Listing { last: false, ..listing(1, &["f"]) }).unwrap();
        assert!(assembly.take(listing(2, &[])).is_err(), "before the last part of the first");
    }

    #[test]
    fn parts_make_one_listing_and_only_the_last_says_that_it_is_complete() {
        let mut assembly = Assembly::new(1, LIMIT);
        assert_eq!(assembly.take(Listing { last: false, ..listing(0, &["a", "b"]) }), Ok(None));
        let last = Listing { complete: false, incomplete: true, ..listing(0, &["c", "d/"]) };
        let whole = assembly.take(last).unwrap().unwrap();
        assert_eq!((whole.entries.len(), whole.children), (4, 1..2));
        assert!(!whole.complete && whole.incomplete);
    }

    #[test]
    fn a_name_that_is_there_twice_or_out_of_order_is_refused() {
        for names in [&["b", "a"][..], &["a", "a"], &["a/", "f"], &["a/", "a/"], &["a", "b", "x/", "b/"]] {
            assert!(
                refusal(&mut Assembly::new(1, LIMIT), listing(0, names)).contains("out of order"),
                "{names:?}"
            );
        }
        let text = refusal(&mut Assembly::new(1, LIMIT), listing(0, &["a", "b", "c", "b/"]));
        assert_eq!(text, "protocol error: Listing.entries: \"b\" is there twice");
        let mut assembly = Assembly::new(1, LIMIT);
        assembly.take(Listing { last: false, ..listing(0, &["b"]) }).unwrap();
        assert!(assembly.take(listing(0, &["a"])).is_err(), "across parts");
    }

    #[test]
    fn a_skipped_directory_has_no_number() {
        let mut assembly = Assembly::new(1, LIMIT);
        let mut root = listing(0, &["a/", "b/"]);
        root.entries[0].skipped = Some(Note::DeletionSkippedIoError);
        assert_eq!(assembly.take(root).unwrap().unwrap().children, 1..2);
    }

    #[test]
    fn more_than_the_limit_and_sources_that_do_not_exist_are_refused() {
        let most = Listing { last: false, ..listing(0, &["a", "b", "c"]) };
        let mut assembly = Assembly::new(1, most.held_bytes());
        assembly.take(most).unwrap();
        assert!(refusal(&mut assembly, listing(0, &["d"])).contains("more than 0 MiB of memory"));
        assert!(Assembly::new(0, LIMIT).take(listing(0, &["a"])).is_err());
    }
}
