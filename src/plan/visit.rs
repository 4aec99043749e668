//! One directory of the transfer: its sources listed and merged, and compared with the destination.

use std::collections::HashSet;
use std::os::fd::AsFd;
use std::sync::Arc;

use super::compare::{self, Closer, Decision};
use super::entry::{Entry, Members};
use super::filter::{FilterError, Scope};
use super::listing::{self, Listing};
use super::source::{self, SourceDir};
use super::surplus::{self, Surplus};
use super::{Context, Delete};
use crate::event::{Note, Problem, Severity};
use crate::path::{Attrs, Dir, HeldDir, Kind, Name, RelPath};

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

/// A directory of the transfer that has not been looked into.
#[derive(Clone, Debug)]
pub struct Node {
    /// Its path in the transfer.
    pub name: Option<Name>,
    /// Its entry in its parent, with what is to be done about it; `None` for the root.
    pub planned: Option<Planned>,
    /// Its parents on the sending side, of which [`Node::source_members`] are to be opened.
    pub parents: Vec<SourceDir>,
    /// For each source: which parent, and what of the directory takes part. For the root: all parents
    /// are the directory itself.
    pub source_members: Vec<(usize, Members)>,
    /// The destination's side.
    pub dest: Dest,
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
}

/// A directory that has been looked into.
#[derive(Debug)]
pub struct Visited {
    /// Its path in the transfer.
    pub path: RelPath,
    /// Its own entry in its parent; `None` for the root.
    pub planned: Option<Planned>,
    /// Its sources, open.
    pub sources: Vec<SourceDir>,
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

/// Looks into `node`: returns what was found, and its subdirectories in transfer order.
pub fn visit(cx: &Context<'_>, node: Node) -> (Visited, Vec<Node>) {
    let mut problems = Vec::new();
    let mut incomplete = false;
    let mut sources = Vec::with_capacity(node.source_members.len());
    match &node.name {
        None => sources.clone_from(&node.parents),
        Some(name) => {
            let follow = node.planned.as_ref().is_some_and(|planned| planned.entry.followed);
            for (parent, members) in &node.source_members {
                let Some(parent) = node.parents.get(*parent) else { continue };
                match parent.child(name, follow, members.clone()) {
                    Ok(source) => sources.push(source),
                    Err(e) => {
                        incomplete = true;
                        let path = parent.held.path().join(name);
                        problems.push(parent.problem("open", &path, e));
                    }
                }
            }
        }
    }
    let path = match (&node.name, node.parents.first()) {
        (Some(name), Some(parent)) => parent.held.path().join(name),
        _ => RelPath::root(),
    };
    let mut work = Work { cx, path, notes: Vec::new(), problems, incomplete };
    sources.retain_mut(|source| {
        let entered = source.enter(&work.path);
        work.checked(entered).is_some()
    });
    let dest = work.open_dest(node.dest);
    let receiver = match &dest {
        Some(held) if cx.options.delete != Delete::Off => {
            let entered = source::enter(held, &work.path, &node.receiver);
            work.checked(entered).unwrap_or_else(|| node.receiver.clone())
        }
        _ => node.receiver.clone(),
    };

    let mut complete = false;
    let mut entries = Vec::new();
    for (index, source) in sources.iter().enumerate() {
        let Listing { entries: listed, notes, problems, complete: whole } =
            listing::list(cx, source, index, &work.path);
        work.notes.extend(notes);
        work.incomplete |= !whole && source.members == Members::All;
        work.problems.extend(problems);
        complete |= whole;
        entries.extend(listed);
    }
    merge(&mut entries, sources.len());
    entries.retain(|entry| !entry.implied || work.leads_somewhere(&sources, entry));
    if cx.options.prune_empty_dirs {
        entries.retain(|entry| entry.attrs.kind != Kind::Dir || work.keeps(&sources, entry));
    }

    let surplus = work.surplus(&entries, complete, dest.as_ref(), &receiver);
    let (dirs, files) = work.compare(entries, &sources, dest.as_ref());
    let children =
        dirs.into_iter().map(|planned| child(planned, &sources, dest.as_ref(), &receiver)).collect();
    let Work { path, notes, problems, incomplete, .. } = work;
    let visited = Visited {
        path,
        planned: node.planned,
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

fn child(planned: Planned, sources: &[SourceDir], dest: Option<&Arc<HeldDir>>, receiver: &Scope) -> Node {
    let name = planned.entry.name.clone();
    let existing = dest.filter(|_| planned.dest.is_some_and(|attrs| attrs.kind == Kind::Dir));
    let skipped = planned.entry.skipped.is_some() || matches!(planned.decision, Decision::Skip(_));
    Node {
        source_members: if skipped { Vec::new() } else { planned.entry.members.clone() },
        parents: sources.to_vec(),
        dest: existing.map_or(Dest::Absent, |held| Dest::Child(Arc::clone(held), name.clone())),
        receiver: receiver.clone(),
        name: Some(name),
        planned: Some(planned),
    }
}

/// Sorts, and makes one entry of those of one name: a directory wins over anything else, otherwise the
/// first source does; directories take part from all sources.
fn merge(entries: &mut Vec<Entry>, sources: usize) {
    entries.sort_by(Entry::order);
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
            first.members.append(&mut later.members);
        }
        same
    });
}

struct Work<'a, 'c> {
    cx: &'a Context<'c>,
    path: RelPath,
    notes: Vec<Note>,
    problems: Vec<Problem>,
    incomplete: bool,
}

impl Work<'_, '_> {
    /// A directory whose rules cannot be read takes no part: rules that hide or protect may be missing.
    fn checked<T>(&mut self, entered: Result<T, FilterError>) -> Option<T> {
        match entered {
            Ok(entered) => Some(entered),
            Err(e) => {
                self.incomplete = true;
                let problem = Problem::text("read filter rules in", self.path.as_bytes(), e.to_string());
                self.problems.push(problem.severity(match e {
                    FilterError::Syntax(_) => Severity::Syntax,
                    FilterError::File(_) => Severity::FileIo,
                }));
                None
            }
        }
    }

    fn open_dest(&mut self, dest: Dest) -> Option<Arc<HeldDir>> {
        match dest {
            Dest::Absent => None,
            Dest::Held(held) => Some(held),
            Dest::Child(parent, name) => match self.cx.open_dest_child(&parent, &name) {
                Ok(held) => Some(held),
                Err(e) => {
                    let path = self.cx.dest_typed(&self.path);
                    self.problems.push(Problem::os("open", &path, e));
                    None
                }
            },
        }
    }

    /// Whether an entry on the way to picked ones leads to any: a rule may have hidden them.
    fn leads_somewhere(&self, sources: &[SourceDir], entry: &Entry) -> bool {
        let path = self.path.join(&entry.name);
        entry.members.iter().any(|(index, members)| {
            let child = sources.get(*index).map(|s| s.child(&entry.name, entry.followed, members.clone()));
            // What cannot be looked into is reported where it is opened.
            let Some(Ok(child)) = child else { return true };
            listing::has_picked(self.cx, &child, &path)
        })
    }

    fn keeps(&self, sources: &[SourceDir], entry: &Entry) -> bool {
        let path = self.path.join(&entry.name);
        if !self.cx.protected.check(path.as_bytes(), true).allowed {
            return true;
        }
        entry.members.iter().any(|(index, members)| {
            let child = sources.get(*index).map(|s| s.child(&entry.name, entry.followed, members.clone()));
            match child {
                Some(Ok(child)) => {
                    child.members != Members::Nothing && listing::has_content(self.cx, child, &path)
                }
                // What cannot be looked into is not known to be empty.
                _ => true,
            }
        })
    }

    fn surplus(
        &mut self,
        entries: &[Entry],
        complete: bool,
        dest: Option<&Arc<HeldDir>>,
        receiver: &Scope,
    ) -> Vec<Surplus> {
        let may = complete && (!self.incomplete || self.cx.options.ignore_errors);
        let Some(dest) = dest.filter(|_| self.cx.options.delete != Delete::Off && may) else {
            return Vec::new();
        };
        let known = entries.iter().map(|entry| entry.name.as_bytes()).collect();
        // What is deleted at the very end is asked of the rules then.
        let scope = (self.cx.options.delete != Delete::After).then_some(receiver);
        let found = dest
            .get()
            .and_then(|dir| surplus::find(self.cx, &dir, &self.path, &known, scope, &mut self.notes));
        found.unwrap_or_else(|e| {
            self.problems.push(Problem::os("read directory", &self.cx.dest_typed(&self.path), e));
            Vec::new()
        })
    }

    /// Compares every entry and separates directories from the rest.
    fn compare(
        &mut self,
        entries: Vec<Entry>,
        sources: &[SourceDir],
        dest: Option<&Arc<HeldDir>>,
    ) -> (Vec<Planned>, Vec<Planned>) {
        let dest_dir = dest.and_then(|held| held.get().ok());
        let source_dirs: Vec<_> = sources.iter().map(|source| source.held.get().ok()).collect();
        let (mut dirs, mut files) = (Vec::new(), Vec::with_capacity(entries.len()));
        for entry in entries {
            let there = match dest_dir.as_ref().map(|dir| dir.stat_if_any(entry.target())).transpose() {
                Ok(there) => there.flatten(),
                Err(e) => {
                    let path = self.cx.dest_typed(&self.path.join(&entry.name));
                    self.problems.push(Problem::os("stat", &path, e));
                    continue;
                }
            };
            let there = self.through_kept_link(&entry, there, dest_dir.as_deref());
            let decision = match &entry.skipped {
                Some(note) => Decision::Skip(note.clone()),
                None => {
                    let from = source_dirs.get(entry.source).and_then(Option::as_deref);
                    let mut closer = InDirs { cx: self.cx, entry: &entry, from, to: dest_dir.as_deref() };
                    compare::decide(self.cx, &entry, there.as_ref(), &mut closer, || {
                        self.path.join(&entry.name)
                    })
                }
            };
            let is_dir = entry.attrs.kind == Kind::Dir;
            let planned = Planned { entry, dest: there, decision };
            if is_dir { dirs.push(planned) } else { files.push(planned) }
        }
        (dirs, files)
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
    to: Option<&'a Dir>,
}

impl Closer for InDirs<'_, '_> {
    fn same_data(&mut self) -> bool {
        let (Some(from), Some(to)) = (self.from, self.to) else { return false };
        let name = &self.entry.name;
        let source = if self.entry.followed { from.open_file_following(name) } else { from.open_file(name) };
        let (Ok(source), Ok(dest)) = (source, to.open_file(self.entry.target())) else { return false };
        let digest = |file: &crate::path::dir::OpenFile| (self.cx.digest)(file.as_fd(), file.attrs.size);
        source.attrs.size == dest.attrs.size
            && matches!((digest(&source), digest(&dest)), (Some(a), Some(b)) if a == b)
    }

    fn dest_link(&mut self) -> Option<Vec<u8>> {
        self.to.and_then(|dir| dir.read_link(self.entry.target()).ok())
    }
}
