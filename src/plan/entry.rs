//! `Entry`: one thing in a source directory that takes part in the transfer.

use std::cmp::Ordering;
use std::sync::Arc;

use super::attached::Attached;
use crate::event::Note;
use crate::path::{Attrs, Kind, Name};

/// What of a source directory takes part in the transfer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Members {
    /// Everything in it, by the rules; and, whatever they say of the way, what was picked below it by name.
    All(Vec<Pick>),
    /// Nothing: the directory itself only.
    Nothing,
    /// The named entries only, in the order of their names: what operands and `--files-from` picked.
    Only(Vec<Pick>),
}

impl Members {
    /// Everything in it, and nothing in it was picked by name.
    pub const ALL: Members = Members::All(Vec::new());

    /// Everything in it takes part: what is not listed is surplus at the destination.
    #[must_use]
    pub fn is_all(&self) -> bool {
        matches!(self, Members::All(_))
    }

    /// What was picked of it by name.
    #[must_use]
    pub fn picks(&self) -> &[Pick] {
        match self {
            Members::All(picks) | Members::Only(picks) => picks,
            Members::Nothing => &[],
        }
    }

    /// As [`Members::picks`].
    #[must_use]
    pub fn into_picks(self) -> Vec<Pick> {
        match self {
            Members::All(picks) | Members::Only(picks) => picks,
            Members::Nothing => Vec::new(),
        }
    }

    /// What was picked in it as `name`.
    #[must_use]
    pub fn pick(&self, name: &Name) -> Option<&Pick> {
        let picks = self.picks();
        picks.binary_search_by(|pick| pick.name.cmp(name)).ok().map(|at| &picks[at])
    }

    /// What still takes part where it may not be taken as a whole: what was picked by name.
    #[must_use]
    pub fn named(self) -> Members {
        match self {
            Members::All(picks) if picks.is_empty() => Members::Nothing,
            Members::All(picks) => Members::Only(picks),
            named => named,
        }
    }

    /// The paths of what takes part whole, below the directory's own path `at`.
    #[must_use]
    pub fn paths(&self, at: Vec<u8>) -> Vec<Vec<u8>> {
        let Members::Only(picks) = self else { return vec![at] };
        let below = |pick: &Pick| pick.members.paths([&at[..], b"/", pick.name.as_bytes()].concat());
        picks.iter().flat_map(below).collect()
    }
}

/// One picked name of a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pick {
    /// The name.
    pub name: Name,
    /// What of it, where it is a directory.
    pub members: Members,
    /// It was not asked for itself but lies on the way to what was (`--relative`).
    pub implied: bool,
}

/// A directory in one of the sources that have it.
#[derive(Clone, Debug)]
pub struct Share {
    /// Which of the parent's sources it is in: an index.
    pub source: usize,
    /// There, it is a symbolic link to be followed.
    pub followed: bool,
    /// What of it takes part.
    pub members: Members,
}

/// One source entry of the transfer.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its name in the directory.
    pub name: Name,
    /// Its attributes as the destination is to have them (`--chmod` applied).
    pub attrs: Attrs,
    /// A symbolic link's text.
    pub link: Option<Box<[u8]>>,
    /// It is a symbolic link of which the referent is copied; `attrs` are the referent's.
    pub followed: bool,
    /// Its rank in the listing of its directory: how a peer is asked for it.
    pub number: u32,
    /// Which of the directory's sources has it: an index.
    pub source: usize,
    /// For a directory: its share in each source that has it.
    pub shares: Vec<Share>,
    /// It is listed, so that it is not deleted at the destination, but nothing is done with it.
    pub skipped: Option<Box<Note>>,
    /// A directory on the way only; see [`Pick::implied`].
    pub implied: bool,
    /// The destination's name for it, where that is another one: a single file copied to a file's name.
    pub renamed: Option<Name>,
    /// BLAKE3 of a peer's file, where contents are compared (`--checksum`).
    pub digest: Option<Box<[u8; 32]>>,
    /// Its extended attributes and access control lists, as far as they are kept.
    pub attached: Option<Arc<Attached>>,
}

impl Entry {
    /// What it adds to the total size of a transfer, in bytes: files and links count.
    #[must_use]
    pub fn data_size(&self) -> u64 {
        if matches!(self.attrs.kind, Kind::File | Kind::Symlink) { self.attrs.size } else { 0 }
    }

    /// For how many entries it counts where what is held of a listing has a limit.
    #[must_use]
    pub fn weight(&self) -> usize {
        1 + self.attached.as_ref().map_or(0, |attached| attached.weight())
    }

    /// Its name at the destination.
    #[must_use]
    pub fn target(&self) -> &Name {
        self.renamed.as_ref().unwrap_or(&self.name)
    }

    /// The order of a transfer: non-directories by their bytes, then directories by theirs as if the
    /// name ended in `/`.
    #[must_use]
    pub fn order(&self, other: &Entry) -> Ordering {
        order(&self.name, self.attrs.kind, &other.name, other.attrs.kind)
    }
}

/// See [`Entry::order`].
#[must_use]
pub fn order(a: &Name, a_kind: Kind, b: &Name, b_kind: Kind) -> Ordering {
    match (a_kind == Kind::Dir, b_kind == Kind::Dir) {
        (false, false) => a.cmp(b),
        (false, true) => Ordering::Less,
        (true, false) => Ordering::Greater,
        (true, true) => {
            let (a, b) = (a.as_bytes(), b.as_bytes());
            let common = a.len().min(b.len());
            let next = |name: &[u8]| name.get(common).copied().unwrap_or(b'/');
            a[..common].cmp(&b[..common]).then_with(|| next(a).cmp(&next(b))).then(a.len().cmp(&b.len()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_come_first_and_directories_sort_as_if_they_ended_in_a_slash() {
        let mut names: Vec<(Name, Kind)> = [
            ("a", Kind::Dir),
            ("a0", Kind::Dir),
            ("a!", Kind::Dir),
            ("a.x", Kind::Dir),
            ("z", Kind::File),
            ("B", Kind::Symlink),
        ]
        .map(|(name, kind)| (Name::parse(name.as_bytes()).unwrap(), kind))
        .into();
        names.sort_by(|a, b| order(&a.0, a.1, &b.0, b.1));
        let names: Vec<_> = names.iter().map(|(n, _)| std::str::from_utf8(n.as_bytes()).unwrap()).collect();
        assert_eq!(names, ["B", "z", "a!", "a.x", "a", "a0"]);
    }
}
