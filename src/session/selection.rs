//! What the operands select: source directories with the members that take part.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

use super::Options;
use super::files_from::typed;
use crate::event::{Note, Problem, Severity};
use crate::path::bounds;
use crate::path::face::Unseen;
use crate::path::held::Budget;
use crate::path::operand::{self, Operand};
use crate::path::xattr::Inode;
use crate::path::{Attrs, Dir, HeldDir, Kind, Name, PathError, RelPath};
use crate::plan::attached::{self, Attached, Namespaces};
use crate::plan::entry::{Members, Pick};
use crate::plan::filter::{FilterError, Scope, Side};
use crate::plan::source::{FILTER_FILE_LIMIT, SourceDir};
use crate::sys::Errno;

/// What is to be transferred.
#[derive(Debug, Default)]
pub struct Selection {
    /// The sources of the transfer's root, in the order of the operands.
    pub sources: Vec<SourceDir>,
    /// What was typed for each of them: goes before a path in messages.
    pub prefixes: Arc<[Arc<[u8]>]>,
    /// The root itself is in the transfer, with these attributes: some operand names its contents.
    pub root: Option<Attrs>,
    /// What is attached to it, as far as that is kept.
    pub root_attached: Option<Arc<Attached>>,
    /// Which of the sources it is.
    pub root_source: usize,
    /// The only thing selected is one entry that is not a directory: its name.
    pub single: Option<Name>,
    /// Operands that are not there, by their paths in the transfer: to be deleted (`--delete-missing-args`).
    pub missing: Vec<RelPath>,
    /// Operands that select nothing.
    pub notes: Vec<Note>,
    /// Operands that could not be used.
    pub problems: Vec<Problem>,
    /// Some of them might have held anything: what no source has is not known to be surplus.
    pub incomplete: bool,
}

/// Resolves the operands.
///
/// # Errors
///
/// An operand that can never be right (`..` with `--relative`): nothing is touched, exit 1.
pub fn select(options: &Options, budget: &Arc<Budget>) -> Result<Selection, String> {
    let mut builder =
        Builder { options, budget, selection: Selection::default(), groups: Vec::new(), files: 0, others: 0 };
    if let Some(names) = &options.files_from {
        builder.files_from(names)?;
    } else {
        for source in &options.sources {
            if options.relative {
                builder.relative(source)?;
            } else {
                builder.plain(source);
            }
        }
    }
    Ok(builder.finish())
}

/// A source root with the names picked from it so far.
struct Group {
    prefix: Vec<u8>,
    held: Arc<HeldDir>,
    picks: Option<Tree>,
}

/// Picked names, by directory.
#[derive(Default)]
pub(super) struct Tree(BTreeMap<Name, Branch>);

#[derive(Default)]
struct Branch {
    below: Tree,
    /// It was asked for itself; otherwise it lies on the way.
    named: bool,
    /// And with what is in it.
    whole: bool,
}

impl Tree {
    /// Adds the path `names`, of whose last all that is in it takes part if it is `whole`.
    pub(super) fn add(&mut self, names: &[Name], whole: bool) {
        let Some((first, rest)) = names.split_first() else { return };
        let branch = self.0.entry(first.clone()).or_default();
        if rest.is_empty() {
            branch.named = true;
            branch.whole |= whole;
        } else {
            branch.below.add(rest, whole);
        }
    }

    fn into_picks(self) -> Vec<Pick> {
        let pick = |(name, branch): (Name, Branch)| {
            let below = branch.below.into_picks();
            let members = match branch.whole {
                true => Members::All(below),
                false if below.is_empty() => Members::Nothing,
                false => Members::Only(below),
            };
            Pick { name, members, implied: !branch.named }
        };
        self.0.into_iter().map(pick).collect()
    }
}

pub(super) struct Builder<'a> {
    pub(super) options: &'a Options,
    budget: &'a Arc<Budget>,
    pub(super) selection: Selection,
    groups: Vec<Group>,
    files: usize,
    pub(super) others: usize,
}

impl Builder<'_> {
    fn plain(&mut self, source: &OsString) {
        let Operand { dir, name } = match operand::resolve(source) {
            Ok(operand) => operand,
            Err(e) => {
                let last = source.as_bytes().rsplit(|&b| b == b'/').next().unwrap_or_default();
                let told = self.absent(source.as_bytes(), e.source, &names_of(last).unwrap_or_default());
                // Where it should lie is not there either, or it is a directory whose contents were meant.
                self.selection.incomplete |= told;
                return;
            }
        };
        match name {
            None if self.hides(source.as_bytes(), true) => {
                self.unusable("stat", source.as_bytes(), Errno::ENOENT);
            }
            None => match operand::readable(&dir) {
                Ok(dir) => self.contents(dir, source.as_bytes()),
                Err(e) => self.unusable("open", source.as_bytes(), e),
            },
            Some(name) => {
                let attrs = match dir.stat(&name) {
                    Ok(attrs) if !self.hides(source.as_bytes(), attrs.kind == Kind::Dir) => attrs,
                    Ok(_) => return self.failed("stat", source.as_bytes(), Errno::ENOENT),
                    Err(e) => {
                        self.absent(source.as_bytes(), e, &[name]);
                        return;
                    }
                };
                let follow = self.options.plan.links.copy_all || self.options.plan.links.copy_dirlinks;
                let behind = if follow { dir.stat_following(&name).ok() } else { None };
                let kind = behind.map_or(attrs.kind, |behind| behind.kind);
                if kind == Kind::Dir && !self.takes_dirs() {
                    return self.selection.notes.push(Note::SkippingDirectory(name.as_bytes().to_vec()));
                }
                let dir = match operand::readable(&dir) {
                    Ok(dir) => dir,
                    Err(e) => return self.unusable("open", source.as_bytes(), e),
                };
                self.count(kind, &name);
                let whole = self.options.plan.recursive;
                self.pick(|| Ok(dir), parent_of(source.as_bytes(), &name), &[name], whole);
            }
        }
    }

    /// `--relative`: the path as typed is part of the transfer, or what of it stands behind `/./`.
    fn relative(&mut self, source: &OsString) -> Result<(), String> {
        let bytes = source.as_bytes();
        let (base, rest) = split_relative(bytes);
        let directory = rest.is_empty() || rest.ends_with(b"/") || rest.ends_with(b"/.") || rest == b".";
        let names = names_of(rest)?;
        let dir = match operand::open_dir(OsStr::from_bytes(base)) {
            Ok(dir) => dir,
            Err(e) => {
                self.unusable("stat", bytes, e.source);
                return Ok(());
            }
        };
        if names.is_empty() {
            self.contents(dir, base);
            return Ok(());
        }
        let attrs = match self.found(bytes) {
            Ok(attrs) => attrs,
            Err(e) => {
                self.absent(bytes, e, &names);
                let prefix = if base == b"." { Vec::new() } else { base.to_vec() };
                self.absent_below(dir, prefix, &names);
                return Ok(());
            }
        };
        if attrs.kind == Kind::Dir && !self.takes_dirs() {
            self.selection.notes.push(Note::SkippingDirectory(bytes.to_vec()));
            return Ok(());
        }
        match &names[..] {
            [name] => self.count(attrs.kind, name),
            _ => self.others += 1, // several directories are never copied to a file's name
        }
        let whole = directory || self.options.plan.recursive;
        let prefix = if base == b"." { Vec::new() } else { base.to_vec() };
        self.pick(|| Ok(dir), prefix, &names, whole);
        Ok(())
    }

    /// A directory that is itself the root of the transfer, without what is in it.
    pub(super) fn root(&mut self, typed: &[u8]) {
        self.others += 1;
        let picked = |group: &Group| group.prefix == typed && group.picks.is_some();
        if self.selection.root.is_some() && self.groups.last().is_some_and(picked) {
            return;
        }
        // Unlike a root whose contents are named, this one is an entry like any other to the rules.
        if !Scope::root(&self.options.filter, Side::Sender).check(b".", true).allowed {
            return;
        }
        match operand::open_dir(OsStr::from_bytes(typed))
            .map_err(|e| Unseen::Os(e.source))
            .and_then(|dir| Ok((self.options.plan.source_face().of_dir(&dir)?, dir)))
        {
            Ok((attrs, dir)) => {
                self.take_root(&dir, attrs, typed);
                self.group(dir, typed.to_vec(), Some(Tree::default()));
            }
            Err(e) => self.unseen(typed, &e),
        }
    }

    /// What is at `path`, which was named; with `--copy-links`, what the link there leads to.
    pub(super) fn found(&self, path: &[u8]) -> Result<Attrs, Errno> {
        let operand = operand::resolve(OsStr::from_bytes(path)).map_err(|e| e.source)?;
        self.found_at(&operand, path)
    }

    /// As [`Builder::found`], for a path that has been resolved.
    pub(super) fn found_at(&self, operand: &Operand, path: &[u8]) -> Result<Attrs, Errno> {
        if self.options.files_from.is_some() {
            bounds::check(&operand.dir)?;
        }
        let attrs = operand.stat()?.ok_or(Errno::ENOENT)?;
        if self.hides(path, attrs.kind == Kind::Dir) {
            return Err(Errno::ENOENT);
        }
        match &operand.name {
            Some(name) if self.options.plan.links.copy_all && attrs.kind == Kind::Symlink => {
                operand.dir.stat_following(name)
            }
            _ => Ok(attrs),
        }
    }

    /// Whether `path` does not exist for the client of a daemon's module.
    pub(super) fn hides(&self, path: &[u8], is_dir: bool) -> bool {
        self.options.module.as_ref().is_some_and(|module| module.hides(path, is_dir))
    }

    /// The contents of a directory, which is itself the root of the transfer.
    pub(super) fn contents(&mut self, dir: crate::path::Dir, typed: &[u8]) {
        if !self.takes_dirs() {
            return self.selection.notes.push(Note::SkippingDirectory(b".".to_vec()));
        }
        match self.options.plan.source_face().of_dir(&dir) {
            Ok(attrs) => {
                self.others += 1;
                self.take_root(&dir, attrs, typed);
                self.group(dir, strip_slashes(typed), None);
            }
            Err(e) => self.unseen(typed, &e),
        }
    }

    /// The first directory that is itself the root gives it its attributes.
    fn take_root(&mut self, dir: &Dir, attrs: Attrs, typed: &[u8]) {
        if self.selection.root.is_some() {
            return;
        }
        self.selection.root = Some(attrs);
        self.selection.root_source = self.groups.len();
        let plan = &self.options.plan;
        let own = Namespaces::of(operand::identity().root, self.options.module.is_some());
        let namespaces = plan.sends_namespaces(own);
        let scope = Scope::root(&self.options.filter, Side::Sender);
        let wanted = |name: &[u8]| {
            !attached::is_reserved(plan, name) && attached::takes_part(plan, &scope, namespaces, name)
        };
        match attached::of(plan, Inode::dir(dir).seen(plan.source_face()), &attrs, wanted) {
            Ok(attached) => self.selection.root_attached = attached.map(Arc::new),
            Err((op, e)) => self.selection.problems.push(Problem::os(op, typed, e)),
        }
    }

    /// Takes what `names` leads to below the directory `prefix`, which is opened where it is not at hand.
    pub(super) fn pick(
        &mut self,
        open: impl FnOnce() -> Result<Dir, Errno>,
        prefix: Vec<u8>,
        names: &[Name],
        whole: bool,
    ) {
        let same = |group: &&mut Group| group.prefix == prefix && group.picks.is_some();
        // Only the last group: what stands between two operands of one directory keeps its rank.
        match self.groups.last_mut().filter(same) {
            Some(Group { picks: Some(tree), .. }) => tree.add(names, whole),
            _ => {
                let mut tree = Tree::default();
                tree.add(names, whole);
                match open() {
                    Ok(dir) => self.group(dir, prefix, Some(tree)),
                    Err(e) => self.unusable("stat", &typed(&prefix, names), e),
                }
            }
        }
    }

    pub(super) fn group(&mut self, dir: crate::path::Dir, prefix: Vec<u8>, picks: Option<Tree>) {
        match HeldDir::root(dir, self.budget) {
            Ok(held) => self.groups.push(Group { prefix, held, picks }),
            Err(e) => self.unusable("stat", &prefix, e),
        }
    }

    fn finish(mut self) -> Selection {
        for Group { prefix, held, picks } in std::mem::take(&mut self.groups) {
            let members = picks.map_or(Members::ALL, |picked| Members::Only(picked.into_picks()));
            let dev = held.identity().0;
            let scope = match self.scope(&held, &prefix, &members) {
                Ok(scope) => scope,
                Err(problem) => {
                    self.selection.incomplete = true;
                    self.selection.problems.push(problem);
                    continue;
                }
            };
            let module = self.options.module.as_ref();
            let veil = module.and_then(|module| module.veil_of(OsStr::from_bytes(&prefix))).map(Arc::new);
            let prefix = prefix.into();
            self.selection.sources.push(SourceDir { held, members, links: 0, dev, scope, veil, prefix });
        }
        if self.files != 1 || self.others > 0 {
            self.selection.single = None;
        }
        let prefixes = self.selection.sources.iter().map(|source| Arc::clone(&source.prefix));
        self.selection.prefixes = prefixes.collect();
        self.selection
    }

    /// The sender's rules above a source root, which was typed as `typed`.
    fn scope(&self, held: &HeldDir, typed: &[u8], members: &Members) -> Result<Scope, Problem> {
        let place = held.get().ok().and_then(|dir| self.options.absolute(&dir, typed)).map(|top| {
            let first = match members {
                Members::Only(picks) => {
                    let name = picks.first().map_or(&b""[..], |pick| pick.name.as_bytes());
                    [&top[..], b"/", name].concat()
                }
                _ => top.clone(),
            };
            (top, first)
        });
        scope(self.options, Side::Sender, place)
    }

    fn takes_dirs(&self) -> bool {
        self.options.plan.recursive || self.options.plan.dirs
    }

    pub(super) fn count(&mut self, kind: Kind, name: &Name) {
        if kind == Kind::Dir {
            self.others += 1;
        } else {
            self.files += 1;
            self.selection.single = Some(name.clone());
        }
    }

    fn unseen(&mut self, typed: &[u8], why: &Unseen) {
        match why {
            Unseen::Os(errno) => self.unusable("stat", typed, *errno),
            why => {
                self.others += 1;
                self.selection.incomplete = true;
                self.selection.problems.push(Problem::unseen("stat", typed, why));
            }
        }
    }

    /// What cannot be used may be there and hold what would count as surplus without it.
    pub(super) fn unusable(&mut self, op: &'static str, typed: &[u8], errno: Errno) {
        self.selection.incomplete = true;
        self.failed(op, typed, errno);
    }

    /// A single name that is missing does not make the others' directories incomplete, so it does not stop deletion.
    pub(super) fn failed(&mut self, op: &'static str, typed: &[u8], errno: Errno) {
        self.others += 1;
        // A root that is there and cannot be used is worse than one that is missing, or than a name of a list.
        let missing = matches!(errno, Errno::ENOENT | Errno::ENOTDIR);
        let severity =
            if missing || self.options.files_from.is_some() { Severity::Partial } else { Severity::FileIo };
        let e = PathError { op, path: typed.to_vec(), source: errno };
        self.selection.problems.push(Problem::operand(&e, severity));
    }
}

/// The rules above the transfer's root, which lies below the first of the two absolute paths; its
/// first directory is the second.
///
/// # Errors
///
/// A file of rules above the root cannot be read or understood: the run cannot begin.
pub fn scope(options: &Options, side: Side, place: Option<(Vec<u8>, Vec<u8>)>) -> Result<Scope, Problem> {
    let scope = Scope::root(&options.filter, side);
    let Some((top, first)) = place.filter(|_| !scope.is_empty() || scope.needs_enter()) else {
        return Ok(scope);
    };
    let mut read = |path: &[u8]| {
        let path = match &options.module {
            Some(module) if module.hides(path, false) => return Ok(None),
            // The session works in the module's directory.
            Some(_) => path.strip_prefix(b"/").unwrap_or(path),
            None => path,
        };
        match operand::read_file(OsStr::from_bytes(path), FILTER_FILE_LIMIT) {
            Ok(text) => Ok(Some(text)),
            // What is outside of --confine-root is not there.
            Err(e) if matches!(e.source, Errno::ENOENT | Errno::ELOOP | Errno::EXDEV) => Ok(None),
            Err(e) => Err(e.source),
        }
    };
    scope.beneath(&top, &first, &mut read).map_err(|e| {
        let severity = match e {
            FilterError::Syntax(_) => Severity::Syntax,
            FilterError::File(_) => Severity::FileIo,
        };
        Problem::text("read filter rules above", &first, e.to_string()).severity(severity)
    })
}

/// Where `--relative` has the part of a path begin that is kept, and that part.
pub(super) fn split_relative(path: &[u8]) -> (&[u8], &[u8]) {
    match path.windows(3).position(|part| part == b"/./") {
        Some(0) => (b"/", &path[3..]),
        Some(at) => (&path[..at], &path[at + 3..]),
        None if path.first() == Some(&b'/') => (b"/", path),
        None => (b".", path),
    }
}

pub(super) fn names_of(path: &[u8]) -> Result<Vec<Name>, String> {
    let mut names = Vec::new();
    for part in path.split(|&b| b == b'/').filter(|part| !part.is_empty() && *part != b".") {
        if part == b".." {
            return Err(format!("found \"..\" dir in relative path: {}", crate::path::escape(path)));
        }
        names.push(Name::parse(part).map_err(|e| format!("{}: {e}", crate::path::escape(path)))?);
    }
    Ok(names)
}

/// `path` without the slashes that it ends in, unless it is nothing else.
pub fn strip_slashes(path: &[u8]) -> Vec<u8> {
    let kept = path.iter().rposition(|&b| b != b'/').map_or(path.len().min(1), |last| last + 1);
    path[..kept].to_vec()
}

/// What is typed in front of `name` in `path`.
pub(super) fn parent_of(path: &[u8], name: &Name) -> Vec<u8> {
    path.strip_suffix(name.as_bytes()).map_or_else(Vec::new, strip_slashes)
}

/// What `--delete` must never take for surplus: the source itself, and the directories above it up to (not
/// including) the one with identity `dest`, if the source lies in there. A bind mount hides that it does,
/// so the source counts wherever it is.
#[must_use]
pub fn parents_below(source: &SourceDir, dest: (u64, u64)) -> Vec<(u64, u64)> {
    let mut found = vec![source.held.identity()];
    let here = source.held.get();
    if let (Members::Only(picks), Ok(dir)) = (&source.members, &here) {
        let picked = picks.iter().filter_map(|pick| dir.stat(&pick.name).ok());
        found.splice(0..0, picked.map(|attrs| (attrs.dev, attrs.ino)));
    }
    let own = found.clone();
    let Ok(mut at) = here.and_then(|dir| dir.again()) else { return found };
    loop {
        let Ok(above) = at.parent() else { return own };
        let Ok(attrs) = above.attrs() else { return own };
        let identity = (attrs.dev, attrs.ino);
        if identity == dest {
            return found;
        }
        // The root of all is its own parent.
        if found.last() == Some(&identity) {
            return own;
        }
        found.push(identity);
        at = above;
    }
}
