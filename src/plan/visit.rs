//! The receiving half of one directory of the transfer: its listing compared with the destination.

use std::os::fd::AsFd;
use std::sync::Arc;

use super::attached::Differs;
use super::basis::{Beside, Found, InDir, Search};
use super::compare::{self, Closer, Decision};
use super::entry::Entry;
use super::filter::{FilterError, Scope};
use super::look::{At, Listed, Sources, Unlisted, look, unreadable_rules};
use super::munge;
use super::source;
use super::surplus::{self, Surplus};
use super::{Context, Delete};
use crate::event::{Note, Problem};
use crate::path::dir::Reading;
use crate::path::xattr::Inode;
use crate::path::{Attrs, Dir, HeldDir, Kind, Name, RelPath};
use crate::sys::Errno;

/// The destination's side of a directory.
#[derive(Clone, Debug)]
pub enum Dest {
    /// It does not exist; everything in it is new.
    Absent,
    /// It is open.
    Held(Arc<HeldDir>),
    /// It is the directory of that name in the open one.
    Child(Arc<HeldDir>, Name),
}

/// The sending side of a directory that has not been looked into.
#[derive(Clone, Debug)]
pub enum Origin {
    /// On this machine.
    Here(Unlisted),
    /// A peer lists it under this number.
    Peer {
        /// The number.
        dir: u32,
        /// Its path in the transfer.
        path: RelPath,
        /// The listing comes, but nothing in it takes part.
        skipped: bool,
    },
}

/// Gives the listings that a peer sends.
pub trait Feed: Sync {
    /// A walk begins: the peer is asked to list the tree, with the digests of files if it compares by
    /// `digests`. The walk before, if any, has come to its end.
    fn begin(&self, digests: bool);

    /// Waits for the listing of the directory that the peer has announced as number `dir`; its path is
    /// `path`. Returns it with the numbers of its subdirectories, in order. Asked once for each.
    fn listing(&self, dir: u32, path: &RelPath) -> (Listed, Vec<u32>);
}

/// A directory of the transfer that has not been looked into.
#[derive(Clone, Debug)]
pub struct Node {
    /// Its entry in its parent, with what is to be done about it; `None` for the root.
    pub planned: Option<Planned>,
    /// The sending side.
    pub origin: Origin,
    /// The destination's side.
    pub dest: Dest,
    /// What stands for its parent in the basis directories; for it, if it is the root.
    pub bases: Beside,
    /// The receiver's rules in its parent.
    pub receiver: Scope,
}

/// A source entry with what the destination has and what is to be done.
#[derive(Clone, Debug)]
pub struct Planned {
    /// The source's entry.
    pub entry: Entry,
    /// What the destination has under its name.
    pub dest: Option<Attrs>,
    /// What to do.
    pub decision: Decision,
    /// What a basis directory has of it, if that has a part in what is done.
    pub basis: Option<Box<Found>>,
}

/// A directory that has been looked into.
#[derive(Debug)]
pub struct Visited {
    /// Its path in the transfer.
    pub path: RelPath,
    /// Its own entry in its parent; `None` for the root.
    pub planned: Option<Planned>,
    /// Its sending side.
    pub sources: Sources,
    /// The destination's directory, where it existed.
    pub dest: Option<Arc<HeldDir>>,
    /// Everything but directories, in transfer order.
    pub entries: Vec<Planned>,
    /// What is to be deleted in it, in order.
    pub surplus: Vec<Surplus>,
    /// Things of interest.
    pub notes: Vec<Note>,
    /// Things that failed.
    pub problems: Vec<Problem>,
    /// A source could not be read completely: nothing is deleted here or below.
    pub incomplete: bool,
    /// The receiver's rules in it, for deleting below.
    pub receiver: Scope,
}

/// After so many entries of a directory that are compared, the memory that they took before is given back. A guess.
const GIVEN_BACK: usize = 1 << 16;

/// Looks into `node`: returns what was found, and its subdirectories in transfer order.
pub fn visit(cx: &Context<'_>, node: Node) -> (Visited, Vec<Node>) {
    let Node { planned, origin, dest, bases, receiver } = node;
    let bases = match &planned {
        Some(planned) if !bases.is_empty() => bases.child(&planned.entry.name),
        _ => bases,
    };
    let (listed, below) = match origin {
        Origin::Here(dir) => {
            let (listed, below) = look(cx, dir);
            (listed, below.into_iter().map(Origin::Here).collect::<Vec<_>>())
        }
        Origin::Peer { dir, path, skipped } => {
            let (mut listed, numbers) = match cx.feed {
                Some(feed) => feed.listing(dir, &path),
                None => {
                    let (prefixes, at) = (Arc::default(), At::Peer(dir));
                    (Listed::nothing(Sources { path, prefixes, at }), Vec::new())
                }
            };
            let dirs = listed.entries.iter().filter(|entry| entry.attrs.kind == Kind::Dir);
            let mut numbers = numbers.into_iter();
            let below = dirs.map(|entry| {
                let path = listed.sources.path.join(&entry.name);
                match if entry.skipped.is_none() { numbers.next() } else { None } {
                    Some(dir) => Origin::Peer { dir, path, skipped },
                    None => Origin::Here(Unlisted::nothing(path)),
                }
            });
            let below = below.collect();
            if skipped {
                listed.entries.retain(|entry| entry.attrs.kind == Kind::Dir);
                listed.notes.clear();
                listed.complete = false;
            }
            (listed, below)
        }
    };
    let Listed { sources, mut entries, notes, problems, complete, incomplete } = listed;
    if let Some(owners) = cx.owners.filter(|owners| !owners.changes_nothing()) {
        owners.translate(entries.iter_mut().map(|entry| &mut entry.attrs));
        owners.translate_lists(entries.iter_mut().map(|entry| &mut entry.attached));
    }
    for entry in &mut entries {
        let kind = entry.attrs.kind;
        let path = || sources.path.join(&entry.name);
        if cx.options.drop_nodes && (kind.is_device() || kind.is_special()) {
            entry.skipped = entry.skipped.take().or_else(|| Some(Box::new(Note::SkippingNonRegular(path()))));
        }
        if cx.options.links.munge && kind == Kind::Symlink {
            let path = path();
            munge::receive(&cx.options.links, entry, || path.clone());
        }
    }
    let mut work = Work { cx, path: sources.path.clone(), notes, problems, incomplete };
    let (dest, to) = work.open_dest(dest).unzip();
    let receiver = match &dest {
        Some(held) if cx.options.delete != Delete::Off => {
            let entered = source::enter(held, &work.path, &receiver);
            work.checked(entered).unwrap_or(receiver)
        }
        _ => receiver,
    };
    if work.path.is_root() && cx.root_rename.is_some() {
        entries.iter_mut().for_each(|entry| entry.renamed.clone_from(&cx.root_rename));
    }
    work.veil(&mut entries);
    if !cx.root && !cx.dest_prefix.is_empty() {
        // Only root can make them, so nobody else is told more than that.
        for entry in
            entries.iter_mut().filter(|entry| entry.attrs.kind.is_device() && entry.skipped.is_none())
        {
            entry.skipped = Some(Box::new(Note::SkippingNonRegular(work.path.join(&entry.name))));
        }
    }
    let surplus = work.surplus(&entries, complete, to.as_deref(), &receiver);
    let (dirs, files) = work.compare(entries, below, &sources, to.as_ref(), &bases);
    let children = dirs.into_iter();
    let children =
        children.map(|(planned, origin)| child(planned, origin, dest.as_ref(), &bases, &receiver)).collect();
    let Work { path, notes, problems, incomplete, .. } = work;
    let visited = Visited {
        path,
        planned,
        sources,
        dest,
        entries: files,
        surplus,
        notes,
        problems,
        incomplete,
        receiver,
    };
    (visited, children)
}

fn child(
    planned: Planned,
    mut origin: Origin,
    dest: Option<&Arc<HeldDir>>,
    bases: &Beside,
    receiver: &Scope,
) -> Node {
    let name = planned.entry.name.clone();
    let existing = dest.filter(|_| planned.dest.is_some_and(|attrs| attrs.kind == Kind::Dir));
    if planned.entry.skipped.is_some() || matches!(planned.decision, Decision::Skip(_)) {
        match &mut origin {
            Origin::Here(dir) => dir.shares.clear(),
            Origin::Peer { skipped, .. } => *skipped = true,
        }
    }
    Node {
        origin,
        dest: existing.map_or(Dest::Absent, |held| Dest::Child(Arc::clone(held), name)),
        bases: bases.clone(),
        receiver: receiver.clone(),
        planned: Some(planned),
    }
}

struct Work<'a, 'c> {
    cx: &'a Context<'c>,
    path: RelPath,
    notes: Vec<Note>,
    problems: Vec<Problem>,
    incomplete: bool,
}

impl Work<'_, '_> {
    fn checked<T>(&mut self, entered: Result<T, FilterError>) -> Option<T> {
        let unreadable = |e| {
            self.incomplete = true;
            self.problems.push(unreadable_rules(&self.path, &e));
        };
        entered.map_err(unreadable).ok()
    }

    /// The destination's directory, and an opening of it for as long as it is looked into: one that is there and cannot
    /// be opened is never taken for one that has nothing in it.
    fn open_dest(&mut self, dest: Dest) -> Option<(Arc<HeldDir>, Arc<Dir>)> {
        let held = match dest {
            Dest::Absent => return None,
            Dest::Held(held) => Ok(held),
            Dest::Child(parent, name) => self.cx.open_dest_child(&parent, &name),
        };
        match held.and_then(|held| held.get().map(|dir| (held, dir))) {
            Ok(opened) => Some(opened),
            Err(e) => {
                let path = self.cx.dest_typed(&self.path);
                self.problems.push(match e {
                    Errno::EXDEV => Problem::text("open", &path, "this link leads out of the destination")
                        .hint("nothing is written behind it; without --keep-dirlinks a directory takes its place"),
                    e => Problem::os("open", &path, e),
                });
                None
            }
        }
    }

    /// What a client lists and must not write is left alone, and it is told so.
    fn veil(&mut self, entries: &mut [Entry]) {
        if self.cx.veil.is_none() {
            return;
        }
        for entry in entries.iter_mut().filter(|entry| entry.skipped.is_none()) {
            let path = self.path.join(entry.target());
            let is_dir = entry.attrs.kind == Kind::Dir;
            if self.cx.veiled(&path, is_dir) {
                let text = "the daemon's configuration does not allow that name";
                self.problems.push(Problem::text("write", &self.cx.dest_typed(&path), text));
                entry.skipped = Some(Box::new(Note::Hidden(path, is_dir, Vec::new())));
            }
        }
    }

    fn surplus(
        &mut self,
        entries: &[Entry],
        complete: bool,
        dest: Option<&Dir>,
        receiver: &Scope,
    ) -> Vec<Surplus> {
        let may = complete && (!self.incomplete || self.cx.options.ignore_errors);
        let Some(dest) = dest.filter(|_| self.cx.options.delete != Delete::Off && may) else {
            return Vec::new();
        };
        let known = entries.iter().map(|entry| entry.name.as_bytes()).collect();
        // What is deleted at the very end is asked of the rules then.
        let scope = (self.cx.options.delete != Delete::After).then_some(receiver);
        let found = surplus::find(self.cx, dest, &self.path, &known, scope, &mut self.notes);
        found.unwrap_or_else(|e| {
            self.problems.push(Problem::os("read directory", &self.cx.dest_typed(&self.path), e));
            Vec::new()
        })
    }

    /// Compares every entry and separates directories from the rest.
    fn compare(
        &mut self,
        mut entries: Vec<Entry>,
        below: Vec<Origin>,
        sources: &Sources,
        dest_dir: Option<&Arc<Dir>>,
        bases: &Beside,
    ) -> (Vec<(Planned, Origin)>, Vec<Planned>) {
        let source_dirs: Vec<_> = match &sources.at {
            At::Here(dirs) => dirs.iter().map(|held| held.get().ok()).collect(),
            At::Peer(_) => Vec::new(),
        };
        let (mut dirs, mut files) = (Vec::with_capacity(below.len()), Vec::with_capacity(entries.len()));
        let mut below = below.into_iter();
        // From the end of a reversed list, so that a directory of very many does not take memory for both lists whole.
        entries.reverse();
        while let Some(mut entry) = entries.pop() {
            if entries.len().is_multiple_of(GIVEN_BACK) {
                entries.shrink_to_fit();
            }
            if self.cx.meter.stopped() {
                self.incomplete = true;
                break;
            }
            let origin = if entry.attrs.kind == Kind::Dir { below.next() } else { None };
            let face = self.cx.dest_face();
            let there = dest_dir.map(|dir| face.stat_if_any(dir, entry.target()));
            let there = match there.transpose() {
                Ok(there) => there.flatten(),
                Err(e) => {
                    let path = self.path.join(&entry.name);
                    self.problems.push(Problem::unseen("stat", &self.cx.dest_typed(&path), &e));
                    if origin.is_none() {
                        continue;
                    }
                    // What a peer lists of a directory and below it comes in any case, and waits to be taken.
                    entry.skipped = Some(Box::new(Note::Hidden(path, true, Vec::new())));
                    None
                }
            };
            let there = self.through_kept_link(&entry, there, dest_dir.map(|dir| &**dir));
            let from = source_dirs.get(entry.source).and_then(Option::as_deref);
            let mut closer = InDirs { cx: self.cx, entry: &entry, from, to: dest_dir.cloned(), digest: None };
            let decision = match &entry.skipped {
                Some(note) => Decision::Skip(note.clone()),
                None if self.meets_itself(there.as_ref()) => {
                    Decision::Skip(Box::new(Note::SourceInsideDestination(self.path.join(&entry.name))))
                }
                None => compare::decide(self.cx, &entry, there.as_ref(), &mut closer, || {
                    self.path.join(&entry.name)
                }),
            };
            let search = Search { beside: bases, entry: &entry, dir: &self.path, there: there.as_ref() };
            let (decision, basis) = if search.counts(&decision) {
                search.settle(self.cx, decision, &mut closer)
            } else {
                (decision, None)
            };
            let planned = Planned { entry, dest: there, decision, basis };
            match origin {
                Some(origin) => dirs.push((planned, origin)),
                None => files.push(planned),
            }
        }
        (dirs, files)
    }

    /// Whether a directory of the destination is a source, or the destination itself behind a mount: to write
    /// or delete in it would change what is being read.
    fn meets_itself(&self, there: Option<&Attrs>) -> bool {
        there.filter(|attrs| attrs.kind == Kind::Dir).is_some_and(|attrs| {
            let identity = (attrs.dev, attrs.ino);
            self.cx.dest_identity == Some(identity) || self.cx.source_roots.contains(&identity)
        })
    }

    /// `--keep-dirlinks`: a destination link to a directory counts as that directory.
    fn through_kept_link(&self, entry: &Entry, there: Option<Attrs>, dest: Option<&Dir>) -> Option<Attrs> {
        let found = there?;
        if !self.cx.options.links.keep_dirlinks
            || entry.attrs.kind != Kind::Dir
            || found.kind != Kind::Symlink
        {
            return there;
        }
        let behind = dest.and_then(|dir| dir.stat_following(&entry.name).ok());
        behind.filter(|attrs| attrs.kind == Kind::Dir).or(there)
    }
}

struct InDirs<'a, 'c> {
    cx: &'a Context<'c>,
    entry: &'a Entry,
    from: Option<&'a Dir>,
    to: Option<Arc<Dir>>,
    /// BLAKE3 of the source and its length, once known: with basis directories it is asked for again.
    digest: Option<(u64, [u8; 32])>,
}

impl InDirs<'_, '_> {
    fn source_digest(&mut self) -> Option<(u64, [u8; 32])> {
        if let Some(known) =
            self.entry.digest.as_deref().map(|&digest| (self.entry.attrs.size, digest)).or(self.digest)
        {
            return Some(known);
        }
        let (from, name) = (self.from?, &self.entry.name);
        let source = from.open_source(name, self.entry.followed, self.cx.options.reading()).ok()?;
        let digest = (self.cx.digest)(source.as_fd(), source.attrs.size)?;
        self.digest = Some((source.attrs.size, digest));
        self.digest
    }
}

impl InDir for InDirs<'_, '_> {
    fn turn_to(&mut self, dir: &Arc<HeldDir>) {
        self.to = dir.get().ok();
    }
}

impl Closer for InDirs<'_, '_> {
    fn same_data(&mut self) -> bool {
        let quiet = Reading { devices: false, ..self.cx.options.reading() };
        let opened = self.to.as_ref().map(|to| to.open_source(self.entry.target(), false, quiet));
        let Some(Ok(dest)) = opened else { return false };
        let Some((size, source)) = self.source_digest() else { return false };
        size == dest.attrs.size && (self.cx.digest)(dest.as_fd(), size) == Some(source)
    }

    fn dest_link(&mut self) -> Option<Vec<u8>> {
        let read = |dir: &Arc<Dir>| self.cx.dest_face().read_link(dir, self.entry.target()).ok();
        self.to.as_ref().and_then(read).map(|(text, _)| text)
    }

    fn attached(&mut self) -> Differs {
        let (Some(attached), Some(to)) = (&self.entry.attached, &self.to) else { return Differs::default() };
        let attrs = &self.entry.attrs;
        let face = self.cx.dest_face();
        // What is written down of a list is read together with the permission bits.
        let seen = if face.is_real() { None } else { face.stat(to, self.entry.target()).ok() };
        let follow = attrs.kind == Kind::Dir && self.cx.options.links.keep_dirlinks;
        let inode = Inode::named(to, self.entry.target(), follow).seen(face);
        attached.compare(inode, seen.as_ref().unwrap_or(attrs), |name| self.cx.touches_xattr(name))
    }
}
