//! The entries of one source directory that take part in the transfer.

use std::sync::Arc;

use super::attached::{self, Attached};
use super::entry::{Entry, Members, Pick, Share};
use super::source::SourceDir;
use super::veil::Veil;
use super::{Context, Options, munge, unsafe_link};
use crate::event::{Note, Problem, Severity};
use crate::path::face::Unseen;
use crate::path::xattr::Inode;
use crate::path::{Attrs, Dir, Kind, Name, RelPath};
use crate::sys::Errno;

/// What one source directory holds.
#[derive(Debug, Default)]
pub struct Listing {
    /// The entries, in no order yet.
    pub entries: Vec<Entry>,
    /// What was left out, and at what verbosity anybody wants to know.
    pub notes: Vec<Note>,
    /// What could not be read.
    pub problems: Vec<Problem>,
    /// Every entry was seen: what is not among them is surplus at the destination.
    pub complete: bool,
    /// Something that is there could not be looked at.
    pub failed: bool,
    /// The directory itself is there no longer.
    pub vanished: bool,
}

/// Lists `source`, the `index`th source of the directory `path`, by its rules.
///
/// What cannot be read is a problem of the listing, which then is not complete.
pub fn list(cx: &Context<'_>, source: &SourceDir, index: usize, path: &RelPath) -> Listing {
    let mut listing = Listing::default();
    if source.members == Members::Nothing {
        return listing;
    }
    let dir = match source.held.get() {
        Ok(dir) => dir,
        Err(e) => {
            listing.vanished = e == Errno::ENOENT;
            listing.failed = !listing.vanished;
            listing.problems.push(source.unread("open", path, e));
            return listing;
        }
    };
    let mut lister = Lister { cx, source, index, path, dir: &dir, listing };
    match &source.members {
        Members::Nothing => {}
        Members::All(_) => {
            let mut names = Vec::new();
            match dir.list(|name, _| names.push(name)) {
                Ok(()) => lister.listing.complete = true,
                Err(e) => {
                    lister.listing.vanished = e == Errno::ENOENT;
                    lister.listing.problems.push(source.unread("read directory", path, e));
                }
            }
            lister.listing.entries.reserve(names.len());
            for name in names {
                if cx.meter.stopped() {
                    lister.listing.complete = false;
                    break;
                }
                let pick = source.members.pick(&name);
                lister.add(name, pick);
            }
        }
        Members::Only(picks) => {
            for pick in picks {
                lister.add(pick.name.clone(), Some(pick));
            }
        }
    }
    lister.listing
}

struct Lister<'a, 'c> {
    cx: &'a Context<'c>,
    source: &'a SourceDir,
    index: usize,
    path: &'a RelPath,
    dir: &'a Dir,
    listing: Listing,
}

impl Lister<'_, '_> {
    /// Adds `name`, of which `pick` was asked for by name.
    fn add(&mut self, name: Name, pick: Option<&Pick>) {
        let all = self.source.members.is_all();
        let on_the_way = pick.is_some_and(|pick| pick.implied);
        let picked = pick.is_some() && !(all && on_the_way);
        let attrs = match self.cx.options.source_face().stat(self.dir, &name) {
            Ok(attrs) => attrs,
            Err(Unseen::Os(Errno::ENOENT)) if !picked => {
                let text = "vanished before it could be looked at";
                let problem = Problem::text("stat", &self.source.typed(self.path, Some(&name)), text);
                self.listing.problems.push(problem.severity(Severity::Vanished));
                return;
            }
            Err(e) => {
                self.listing.complete = false;
                self.listing.failed |= !matches!(e, Unseen::Os(Errno::ENOENT));
                let typed = self.source.typed(self.path, Some(&name));
                self.listing.problems.push(Problem::unseen("stat", &typed, &e));
                return;
            }
        };
        // A link on the way is followed, though it is taken for itself as well.
        let implied = on_the_way && (!all || attrs.kind == Kind::Symlink);
        let named = pick.map_or(Members::Nothing, |pick| pick.members.clone());
        let mut below = match all && self.cx.options.recursive && !implied {
            true => Members::All(named.into_picks()),
            false => named,
        };
        let mut entry = Entry {
            name,
            attrs,
            link: None,
            followed: false,
            number: 0,
            source: self.index,
            shares: Vec::new(),
            skipped: None,
            implied,
            renamed: None,
            digest: None,
            attached: None,
        };
        let mut to_rules = attrs.kind;
        if attrs.kind == Kind::Symlink {
            match self.resolve_link(&mut entry, picked) {
                Some(kind) => to_rules = kind,
                None => return,
            }
        }
        let unread =
            |veil: &Arc<Veil>| veil.hides_unread(self.dir, &entry.name, entry.attrs.kind, entry.followed);
        if !picked && self.source.veil.as_ref().is_some_and(unread) {
            return;
        }
        if self.hidden(&entry, to_rules == Kind::Dir) {
            // A rule leaves it out itself, but other names lead through it.
            below = below.named();
            entry.implied = matches!(below, Members::Only(_)) && entry.attrs.kind == Kind::Dir;
            if !entry.implied {
                return;
            }
        }
        self.classify(entry, below, picked);
    }

    /// What is attached to an entry, as far as it is kept.
    fn attached(&mut self, entry: &Entry) -> Option<Arc<Attached>> {
        let face = self.cx.options.source_face();
        let inode = Inode::named(self.dir, &entry.name, entry.followed).seen(face);
        let namespaces = self.cx.options.sends_namespaces(self.cx.namespaces);
        let wanted = |name: &[u8]| {
            !attached::is_reserved(self.cx.options, name)
                && attached::takes_part(self.cx.options, &self.source.scope, namespaces, name)
        };
        match attached::of(self.cx.options, inode, &entry.attrs, wanted) {
            Ok(attached) => attached.map(Arc::new),
            Err((op, e)) => {
                let path = self.path.join(&entry.name);
                self.listing.problems.push(self.source.problem_with_listed(op, &path, e));
                None
            }
        }
    }

    /// Decides what becomes of a symbolic link. Returns what rules see in it; `None` where it takes no part at all.
    fn resolve_link(&mut self, entry: &mut Entry, picked: bool) -> Option<Kind> {
        let links = self.cx.options.links;
        let (text, written_down) = match self.cx.options.source_face().read_link(self.dir, &entry.name) {
            Ok(read) => read,
            Err(Errno::EINVAL) if self.cx.options.fakes.source => {
                let typed = self.source.typed(self.path, Some(&entry.name));
                let text = "its content is no text that a symbolic link can have";
                (self.listing.complete, self.listing.failed) = (false, true);
                self.listing.problems.push(Problem::text("read link", &typed, text));
                return None;
            }
            Err(e) => {
                self.listing.complete = false;
                self.listing.failed |= e != Errno::ENOENT;
                let path = self.path.join(&entry.name);
                self.listing.problems.push(self.source.problem_with_listed("read link", &path, e));
                return None;
            }
        };
        let is_unsafe = unsafe_link::is_unsafe(&text, self.path.depth());
        let wanted = links.copy_all || entry.implied || (links.copy_unsafe && is_unsafe);
        // One that is only written down leads nowhere; it stays a link whatever was said, as with rsync.
        if !written_down && (wanted || links.copy_dirlinks) {
            match self.dir.stat_following(&entry.name) {
                Ok(attrs) if wanted || attrs.kind == Kind::Dir => {
                    entry.attrs = attrs;
                    entry.followed = true;
                    if links.copy_all || !links.copy_unsafe || !is_unsafe {
                        return Some(entry.attrs.kind);
                    }
                    // Of what was picked by name the rules see the link, as with rsync.
                    let to_rules = if picked { Kind::Symlink } else { entry.attrs.kind };
                    // It is not copied after all if a rule leaves it out.
                    if self.hidden(entry, to_rules == Kind::Dir) {
                        return None;
                    }
                    let path = self.path.join(&entry.name);
                    self.listing.notes.push(Note::CopyingUnsafeLink(path, text));
                    return Some(to_rules);
                }
                Err(e) if wanted => {
                    // What it leads to is not known, so a rule about directories leaves it out too, as with rsync.
                    let kinds = [entry.attrs.kind, Kind::Dir];
                    if kinds.into_iter().any(|kind| self.hidden(entry, kind == Kind::Dir)) {
                        return None;
                    }
                    let typed = self.source.typed(self.path, Some(&entry.name));
                    let problem = match e {
                        Errno::ENOENT => Problem::text("stat", &typed, "symlink has no referent"),
                        e => Problem::os("stat", &typed, e),
                    };
                    // What it should have become is unknown, so nothing here counts as surplus.
                    self.listing.complete = false;
                    self.listing.failed |= e != Errno::ENOENT;
                    self.listing.problems.push(problem);
                    return None;
                }
                // A dangling link is no link to a directory: it stays a link.
                _ => {}
            }
        }
        let text = if links.unmunge { munge::unmunged(&text).to_vec() } else { text };
        let path = || self.path.join(&entry.name);
        if !links.preserve {
            entry.skipped = Some(Box::new(Note::SkippingNonRegular(path())));
        } else if links.safe && unsafe_link::is_unsafe(&text, self.path.depth()) {
            entry.skipped = Some(Box::new(Note::UnsafeLink(path(), text.clone())));
        }
        entry.attrs.size = if links.unmunge { text.len() as u64 } else { entry.attrs.size };
        entry.link = Some(text.into());
        Some(Kind::Symlink)
    }

    fn hidden(&mut self, entry: &Entry, is_dir: bool) -> bool {
        if self.source.scope.is_empty() && self.source.veil.is_none() {
            return false;
        }
        let path = self.path.join(&entry.name);
        if self.source.veil.as_ref().is_some_and(|veil| veil.hides(&path, is_dir)) {
            return true;
        }
        let verdict = self.source.scope.check(path.as_bytes(), is_dir);
        // What only lies on the way to a picked entry is there for its sake, whatever the rules say.
        if verdict.allowed || entry.implied {
            return false;
        }
        let rule = verdict.rule.map(|rule| rule.to_vec()).unwrap_or_default();
        self.listing.notes.push(Note::Hidden(path, is_dir, rule));
        true
    }

    fn classify(&mut self, mut entry: Entry, mut below: Members, picked: bool) {
        let options = self.cx.options;
        if options.copy_devices && entry.attrs.kind.is_device() {
            let opened = self.dir.open_source(&entry.name, entry.followed, options.reading());
            let found = opened.map_or(Attrs { size: 0, ..entry.attrs }, |device| device.attrs);
            (entry.attrs.size, entry.attrs.mtime) = (found.size, found.mtime);
            (entry.attrs.kind, entry.attrs.rdev) = (Kind::File, 0);
            // What is set-id or sticky about the device is not the file's, as with rsync.
            entry.attrs.mode &= 0o777;
        }
        let attrs = &entry.attrs;
        let path = || self.path.join(&entry.name);
        let skip_kind = match attrs.kind {
            Kind::CharDevice | Kind::BlockDevice => !options.devices,
            Kind::Fifo | Kind::Socket => !options.specials,
            Kind::File | Kind::Dir | Kind::Symlink => false,
        };
        if skip_kind {
            entry.skipped = Some(Box::new(Note::SkippingNonRegular(path())));
        }
        // The device is asked of what was listed, never of the whole transfer: each operand is a world of its own.
        if options.one_file_system > 0 && attrs.dev != self.source.dev && !picked {
            below = below.named();
            if below == Members::Nothing && (attrs.kind != Kind::Dir || options.one_file_system > 1) {
                self.listing.notes.push(Note::MountPoint(path()));
                return;
            }
        }
        if attrs.kind == Kind::Dir {
            // Listing the destination as part of the source would copy the copy, without end.
            if Some((attrs.dev, attrs.ino)) == self.cx.dest_identity {
                entry.skipped = Some(Box::new(Note::DestinationInsideSource(path())));
            }
            let share = Share { source: self.index, followed: entry.followed, members: below };
            entry.shares.push(share);
        }
        if attrs.kind != Kind::Symlink && !options.chmod.is_empty() {
            let is_dir = attrs.kind == Kind::Dir;
            entry.attrs.mode = super::chmod::apply(&options.chmod, attrs.mode, is_dir, self.cx.umask);
        }
        if entry.skipped.is_none() {
            entry.attached = self.attached(&entry);
        }
        self.listing.entries.push(entry);
    }
}

/// Whether anything but directories, or a directory that a rule protects, is to be found in or below the directory `name` of `source`
/// (`--prune-empty-dirs`).
pub fn has_content(cx: &Context<'_>, source: SourceDir, path: &RelPath) -> bool {
    let mut pending = vec![(source, path.clone())];
    while let Some((mut source, path)) = pending.pop() {
        if cx.meter.stopped() || source.enter(&path).is_err() {
            return true;
        }
        let Listing { entries, complete, failed, .. } = list(cx, &source, 0, &path);
        // What cannot be looked into is not known to be empty. It is reported where it is listed.
        if failed || (!complete && source.members.is_all()) {
            return true;
        }
        for entry in entries {
            let path = path.join(&entry.name);
            if entry.attrs.kind != Kind::Dir || !cx.protected.check(path.as_bytes(), true).allowed {
                return true;
            }
            for share in entry.shares.into_iter().filter(|share| share.members != Members::Nothing) {
                match source.child(&entry.name, share) {
                    Ok(child) => pending.push((child, path.clone())),
                    Err(_) => return true,
                }
            }
        }
    }
    false
}

/// Whether anything that was picked by name is to be found in or below the directory `name` of `source`,
/// through directories that only lie on the way.
pub fn has_picked(cx: &Context<'_>, source: &SourceDir, path: &RelPath) -> bool {
    let Listing { entries, problems, .. } = list(cx, source, 0, path);
    // What cannot be looked at is reported where it is listed.
    !problems.is_empty()
        || entries.into_iter().any(|entry| {
            !entry.implied
                || entry.shares.into_iter().any(|share| {
                    let child = source.child(&entry.name, share);
                    child.map_or(true, |child| has_picked(cx, &child, &path.join(&entry.name)))
                })
        })
}

/// The attributes that `--chmod` makes of those of a directory that is itself the root of the transfer.
#[must_use]
pub fn root_attrs(options: &Options, umask: u32, mut attrs: Attrs) -> Attrs {
    if !options.chmod.is_empty() {
        attrs.mode = super::chmod::apply(&options.chmod, attrs.mode, attrs.kind == Kind::Dir, umask);
    }
    attrs
}
