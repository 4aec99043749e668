//! The sending half of one directory of the transfer: its sources listed, merged, and put in order.

use std::collections::HashSet;
use std::sync::Arc;

use super::Context;
use super::entry::{Entry, Members, Share};
use super::filter::FilterError;
use super::listing::{self, Listing};
use super::source::{SourceDir, typed};
use crate::event::{Note, Problem, Severity};
use crate::path::{HeldDir, Kind, Name, RelPath};
use crate::sys::Errno;

/// A directory of the sources that has not been looked into.
#[derive(Clone, Debug)]
pub struct Unlisted {
    /// Its path in the transfer.
    pub path: RelPath,
    /// Its name; `None` for the root.
    pub name: Option<Name>,
    /// Its parents, of which [`Unlisted::shares`] are to be opened. For the root: itself.
    pub parents: Arc<[SourceDir]>,
    /// Its share in each of them that has it.
    pub shares: Vec<Share>,
    /// Something that was to have a share in it cannot be used.
    pub incomplete: bool,
}

impl Unlisted {
    /// The root of a transfer from `sources`, which are not all that there should be if it is `incomplete`.
    #[must_use]
    pub fn root(sources: &[SourceDir], incomplete: bool) -> Unlisted {
        let (path, parents) = (RelPath::root(), sources.into());
        Unlisted { path, name: None, parents, shares: Vec::new(), incomplete }
    }

    /// A directory of which nothing takes part.
    #[must_use]
    pub fn nothing(path: RelPath) -> Unlisted {
        Unlisted { path, name: None, parents: Arc::default(), shares: Vec::new(), incomplete: false }
    }
}

/// A directory of the sources that has been looked into.
#[derive(Debug)]
pub struct Listed {
    /// Where its entries are.
    pub sources: Sources,
    /// What takes part, in transfer order.
    pub entries: Vec<Entry>,
    /// Things of interest.
    pub notes: Vec<Note>,
    /// Things that failed.
    pub problems: Vec<Problem>,
    /// Every entry of some source was seen: what is not among them is surplus at the destination.
    pub complete: bool,
    /// Some source could not be read completely: nothing is deleted here or below.
    pub incomplete: bool,
}

/// A directory of the transfer on the sending side.
#[derive(Clone, Debug)]
pub struct Sources {
    /// Its path in the transfer.
    pub path: RelPath,
    /// What was typed for the root of each source: goes before the path in messages.
    pub prefixes: Arc<[Arc<[u8]>]>,
    /// How to get at what is in it.
    pub at: At,
}

/// Where a directory of the sources is.
#[derive(Clone, Debug)]
pub enum At {
    /// These directories, open.
    Here(Arc<[Arc<HeldDir>]>),
    /// A peer has it, and knows it by this number.
    Peer(u32),
}

impl Listed {
    /// What is known of a directory that could not be listed: nothing.
    #[must_use]
    pub fn nothing(sources: Sources) -> Listed {
        Listed {
            sources,
            entries: Vec::new(),
            notes: Vec::new(),
            problems: Vec::new(),
            complete: false,
            incomplete: true,
        }
    }
}

impl Sources {
    /// The path of `name` in it as the operator would type it, for the `source`th source.
    #[must_use]
    pub fn typed(&self, source: usize, path: &RelPath) -> Vec<u8> {
        typed(self.prefix(source), path)
    }

    /// The peer's number for it, if a peer has it.
    #[must_use]
    pub fn number(&self) -> Option<u32> {
        match self.at {
            At::Here(_) => None,
            At::Peer(number) => Some(number),
        }
    }

    /// What was typed for the root of the `source`th source.
    #[must_use]
    pub fn prefix(&self, source: usize) -> &[u8] {
        self.prefixes.get(source).map_or(b"", |prefix| prefix)
    }
}

/// Looks into a directory: returns what was found, and its subdirectories in transfer order.
pub fn look(cx: &Context<'_>, dir: Unlisted) -> (Listed, Vec<Unlisted>) {
    let Unlisted { path, name, parents, shares, mut incomplete } = dir;
    let mut problems = Vec::new();
    let mut sources = Vec::with_capacity(shares.len());
    match &name {
        None => sources.extend_from_slice(&parents),
        Some(name) => {
            for share in shares {
                let Some(parent) = parents.get(share.source) else { continue };
                let alone = share.members == Members::Nothing;
                match parent.child(name, share) {
                    Ok(source) => sources.push(source),
                    // What takes part for itself alone need not be readable.
                    Err(Errno::EACCES) if alone => {}
                    Err(e) => {
                        // What is gone is no reason to keep what else is surplus: here nothing is complete, so nothing goes.
                        incomplete |= e != Errno::ENOENT;
                        problems.push(parent.unread("open", &path, e));
                    }
                }
            }
        }
    }
    sources.retain_mut(|source| match source.enter(&path) {
        Ok(()) => true,
        Err(e) => {
            incomplete = true;
            problems.push(unreadable_rules(&path, &e));
            false
        }
    });

    let mut complete = false;
    let mut notes = Vec::new();
    let mut entries = Vec::new();
    for (index, source) in sources.iter().enumerate() {
        let listing = listing::list(cx, source, index, &path);
        let Listing { entries: listed, notes: noted, problems: told, complete: whole, failed, vanished } =
            listing;
        notes.extend(noted);
        problems.extend(told);
        incomplete |= failed || (!whole && !vanished && source.members.is_all());
        complete |= whole;
        // One source is the rule: what it has is not copied.
        if entries.is_empty() {
            entries = listed;
        } else {
            entries.extend(listed);
        }
    }
    merge(&mut entries, sources.len());
    entries.retain(|entry| !entry.implied || leads_somewhere(cx, &sources, &path, entry));
    if cx.options.prune_empty_dirs {
        entries.retain(|entry| entry.attrs.kind != Kind::Dir || keeps(cx, &sources, &path, entry));
    }
    for (number, entry) in (0..).zip(&mut entries) {
        entry.number = number;
    }

    let parents: Arc<[SourceDir]> = sources.into();
    let below = entries.iter().filter(|entry| entry.attrs.kind == Kind::Dir).map(|entry| Unlisted {
        path: path.join(&entry.name),
        name: Some(entry.name.clone()),
        parents: Arc::clone(&parents),
        shares: if entry.skipped.is_some() { Vec::new() } else { entry.shares.clone() },
        incomplete: false,
    });
    let below = below.collect();
    let sources = Sources {
        prefixes: parents.iter().map(|source| Arc::clone(&source.prefix)).collect(),
        at: At::Here(parents.iter().map(|source| Arc::clone(&source.held)).collect()),
        path,
    };
    (Listed { sources, entries, notes, problems, complete, incomplete }, below)
}

/// A directory whose rules cannot be read takes no part: rules that hide or protect may be missing.
#[must_use]
pub fn unreadable_rules(path: &RelPath, e: &FilterError) -> Problem {
    let problem = Problem::text("read filter rules in", path.as_bytes(), e.to_string());
    problem.severity(match e {
        FilterError::Syntax(_) => Severity::Syntax,
        FilterError::File(_) => Severity::FileIo,
    })
}

/// Sorts, and makes one entry of those of one name: a directory wins over anything else, otherwise the
/// first source does; directories take part from all sources.
fn merge(entries: &mut Vec<Entry>, sources: usize) {
    // No source has a name twice.
    entries.sort_unstable_by(|a, b| a.order(b).then(a.source.cmp(&b.source)));
    if sources < 2 {
        return;
    }
    let dirs: HashSet<Name> =
        entries.iter().filter(|e| e.attrs.kind == Kind::Dir).map(|e| e.name.clone()).collect();
    entries.retain(|e| e.attrs.kind == Kind::Dir || !dirs.contains(&e.name));
    entries.dedup_by(|later, first| {
        let same = later.name == first.name;
        if same {
            first.implied &= later.implied;
            first.shares.append(&mut later.shares);
        }
        same
    });
}

/// Whether an entry on the way to picked ones leads to any: a rule may have hidden them.
fn leads_somewhere(cx: &Context<'_>, sources: &[SourceDir], path: &RelPath, entry: &Entry) -> bool {
    let path = path.join(&entry.name);
    entry.shares.iter().any(|share| {
        let child = sources.get(share.source).map(|s| s.child(&entry.name, share.clone()));
        // What cannot be looked into is reported where it is opened.
        let Some(Ok(child)) = child else { return true };
        listing::has_picked(cx, &child, &path)
    })
}

/// Whether `--prune-empty-dirs` keeps the directory `entry`.
fn keeps(cx: &Context<'_>, sources: &[SourceDir], path: &RelPath, entry: &Entry) -> bool {
    let path = path.join(&entry.name);
    if !cx.protected.check(path.as_bytes(), true).allowed {
        return true;
    }
    entry.shares.iter().any(|share| {
        let child = sources.get(share.source).map(|s| s.child(&entry.name, share.clone()));
        match child {
            Some(Ok(child)) => child.members != Members::Nothing && listing::has_content(cx, child, &path),
            // What cannot be looked into is not known to be empty.
            _ => true,
        }
    })
}
