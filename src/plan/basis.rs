//! Basis directories (`--link-dest`, `--copy-dest`, `--compare-dest`): what else there is of an entry on the
//! destination's side, and what is made of it.
//!
//! They are looked into by the transfer's own names, one held directory at a time and through no symbolic
//! link, as the destination is. The closest one counts, the first of those that are as close.

use std::ffi::OsString;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Context;
use super::attached::{Attached, Differs};
use super::compare::{self, Closer, Decision};
use super::entry::Entry;
use super::veil::Veil;
use crate::event::{Change, Update};
use crate::path::xattr::Inode;
use crate::path::{Attrs, HeldDir, Kind, Name, RelPath};

/// Most basis directories of a run, as with rsync.
pub const DIRS_MAX: usize = 20;

/// What is made of an entry that a basis directory has.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum Use {
    /// `--compare-dest`: it is not made at the destination.
    #[default]
    Compare,
    /// `--copy-dest`: it is copied from there.
    Copy,
    /// `--link-dest`: it becomes a hard link of what is there.
    Link,
}

impl Use {
    /// The option that means it.
    #[must_use]
    pub fn option(self) -> &'static str {
        match self {
            Use::Compare => "--compare-dest",
            Use::Copy => "--copy-dest",
            Use::Link => "--link-dest",
        }
    }
}

/// The basis directories that were asked for.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Bases {
    /// What they are for.
    pub how: Use,
    /// As typed, in order.
    pub dirs: Vec<OsString>,
}

impl Bases {
    /// Adds another one.
    ///
    /// # Errors
    ///
    /// There are [`DIRS_MAX`] already, or they are for something else.
    pub fn add(&mut self, how: Use, dir: OsString) -> Result<(), String> {
        if !self.dirs.is_empty() && self.how != how {
            return Err(format!(
                "the {} option conflicts with the {} option",
                how.option(),
                self.how.option()
            ));
        }
        if self.dirs.len() >= DIRS_MAX {
            return Err(format!("at most {DIRS_MAX} {} args may be specified", how.option()));
        }
        self.how = how;
        self.dirs.push(dir);
        Ok(())
    }
}

/// A basis directory that is open.
#[derive(Clone, Debug)]
pub struct Root {
    /// The directory.
    pub held: Arc<HeldDir>,
    /// What of it does not exist for the client (a daemon's module).
    pub veil: Option<Veil>,
}

/// The directories that stand for one directory of the transfer in the basis directories: `None` where one
/// has none. Empty where none has any.
#[derive(Clone, Debug, Default)]
pub struct Beside(Arc<[Option<Arc<HeldDir>>]>);

impl Beside {
    /// Those of the transfer's root.
    #[must_use]
    pub fn roots(roots: &[Root]) -> Beside {
        Beside(roots.iter().map(|root| Some(Arc::clone(&root.held))).collect())
    }

    /// Those of the directory `name` in this one.
    #[must_use]
    pub fn child(&self, name: &Name) -> Beside {
        // What cannot be opened, or is no directory, has nothing to offer.
        let open = |held: &Option<Arc<HeldDir>>| held.as_ref()?.child(name, false).ok();
        let children: Vec<_> = self.0.iter().map(open).collect();
        if children.iter().all(Option::is_none) { Beside::default() } else { Beside(children.into()) }
    }

    /// Whether there is nothing to look into.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// How much what a basis directory has is like the source's entry.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Closeness {
    /// It is of the same kind.
    Kind,
    /// It holds the same data.
    Data,
    /// All attributes that are kept are the same too.
    Exact,
}

/// What a basis directory has of an entry.
#[derive(Clone, Debug)]
pub struct Found {
    /// The directory that it is in, under the name that the entry has at the destination.
    pub dir: Arc<HeldDir>,
    /// Its attributes.
    pub attrs: Attrs,
    /// How much it is like the source's.
    pub closeness: Closeness,
    /// What the last directory that was looked into has of its name, of whatever kind, and what of that is attached
    /// otherwise.
    pub last: (Attrs, Differs),
    /// The inodes that basis directories have of it, where it may be linked to one of them and belongs to a group of
    /// hard links (`--hard-links`).
    pub inodes: Vec<(u64, u64)>,
    /// What was to be done without it.
    pub plain: Decision,
}

/// A [`Closer`] for one directory after another.
pub trait InDir: Closer {
    /// From now on it is about the entry's twin in `dir`.
    fn turn_to(&mut self, dir: &Arc<HeldDir>);
}

/// One entry with the places to look for it.
pub struct Search<'a> {
    /// The basis directories beside the entry's.
    pub beside: &'a Beside,
    /// The entry.
    pub entry: &'a Entry,
    /// The path of its directory in the transfer.
    pub dir: &'a RelPath,
    /// What the destination has.
    pub there: Option<&'a Attrs>,
}

impl Search<'_> {
    /// Whether basis directories count for the entry: they stand in for what the destination does not have,
    /// and for a file that it has otherwise, even where that has nothing to be added (`--append`), as with rsync.
    #[must_use]
    pub fn counts(&self, plain: &Decision) -> bool {
        let makes = match self.entry.attrs.kind {
            Kind::File => true,
            Kind::Dir => self.there.is_none_or(|there| there.kind != Kind::Dir),
            _ => self.there.is_none(),
        };
        let skipped = matches!(plain, Decision::Skip(_)) && !plain.is_not_shorter();
        !self.beside.is_empty() && makes && !skipped
    }

    /// Looks for the entry; returns what is to be done now, and what was found, if that has a part in it.
    /// `closer` says more of the entry's twin in the directory that it was given last.
    pub fn settle(
        &self,
        cx: &Context<'_>,
        plain: Decision,
        closer: &mut dyn InDir,
    ) -> (Decision, Option<Box<Found>>) {
        let mut best: Option<(Arc<HeldDir>, Attrs, Closeness, Differs)> = None;
        let grouped =
            cx.options.hard_links && cx.options.bases.how == Use::Link && self.entry.attrs.nlink > 1;
        let (mut inodes, mut last) = (Vec::new(), None);
        let is_dir = self.entry.attrs.kind == Kind::Dir;
        let hidden = |veil: &Veil| veil.hides_on_the_way(&self.dir.join(self.entry.target()), is_dir);
        for (held, root) in self.beside.0.iter().zip(&cx.bases) {
            let Some(held) = held else { continue };
            if root.veil.as_ref().is_some_and(hidden) {
                continue;
            }
            let dir = held.get().ok();
            let found = dir.and_then(|dir| cx.dest_face().stat_if_any(&dir, self.entry.target()).ok());
            let Some(attrs) = found.flatten() else { continue };
            if attrs.kind != self.entry.attrs.kind {
                last = Some((attrs, Differs::default()));
                continue;
            }
            if grouped {
                inodes.push((attrs.dev, attrs.ino));
            }
            if best.as_ref().is_some_and(|(_, _, closeness, _)| *closeness == Closeness::Exact) {
                continue;
            }
            closer.turn_to(held);
            let (closeness, differs) = closeness(cx, self.entry, &attrs, closer);
            last = Some((attrs, differs));
            if best.as_ref().is_none_or(|(_, _, other, _)| closeness > *other) {
                best = Some((Arc::clone(held), attrs, closeness, differs));
            }
            if closeness == Closeness::Exact && !grouped {
                break;
            }
        }
        let (Some((dir, attrs, closeness, differs)), Some(last)) = (best, last) else { return (plain, None) };
        let Some(decision) = self.decide(cx, &attrs, closeness, differs) else { return (plain, None) };
        (decision, Some(Box::new(Found { dir, attrs, closeness, last, inodes, plain })))
    }

    /// What to do about the entry, of which a basis directory has `found`; `None`: what is done without it.
    fn decide(
        &self,
        cx: &Context<'_>,
        found: &Attrs,
        closeness: Closeness,
        differs: Differs,
    ) -> Option<Decision> {
        let exact = closeness == Closeness::Exact;
        let kind = self.entry.attrs.kind;
        // It is there already: another name of it, or the very one.
        if self.there.is_some_and(|there| there.same_inode(found)) {
            return None;
        }
        match cx.options.bases.how {
            Use::Link if exact && kind != Kind::Dir => return Some(Decision::Link),
            Use::Compare if exact && kind != Kind::Dir => return Some(Decision::Elsewhere),
            _ if kind == Kind::File && self.there.is_some_and(|there| there.kind == kind) => return None,
            _ => {}
        }
        let change = change(cx, &self.entry.attrs, found, closeness, differs);
        Some(match (kind, closeness) {
            (Kind::File, Closeness::Kind) => Decision::Transfer(change),
            (Kind::File, _) => Decision::Copy(change),
            _ => Decision::Make(change),
        })
    }
}

/// The change of the transfer's root, which has `source`'s attributes and is made anew.
#[must_use]
pub fn root_change(cx: &Context<'_>, source: &Attrs, attached: Option<&Attached>) -> Change {
    let seen = |root: &Root| {
        let (dir, face) = (root.held.get().ok()?, cx.dest_face());
        let attrs = face.of_dir(&dir).ok()?;
        let inode = Inode::dir(&dir).seen(face);
        let differs = attached.map(|wanted| wanted.compare(inode, &attrs, |name| cx.touches_xattr(name)));
        let differs = differs.unwrap_or_default();
        Some((attrs, closeness_of_dir(cx, source, &attrs, differs), differs))
    };
    let found: Vec<_> = cx.bases.iter().filter_map(seen).collect();
    let exact = found.iter().find(|(_, closeness, _)| *closeness == Closeness::Exact);
    match exact.or(found.first()) {
        Some((attrs, closeness, differs)) => change(cx, source, attrs, *closeness, *differs),
        None => Change { update: Update::Created, new: true, ..Change::NONE },
    }
}

/// How much `found` is like the entry, and in what is attached to the two differs.
fn closeness(cx: &Context<'_>, entry: &Entry, found: &Attrs, closer: &mut dyn InDir) -> (Closeness, Differs) {
    let source = &entry.attrs;
    let differs = closer.attached();
    let same = match source.kind {
        Kind::Dir => return (closeness_of_dir(cx, source, found, differs), differs),
        Kind::File => compare::data_unchanged(cx.options, source, found, closer),
        Kind::Symlink => closer.dest_link().as_deref() == entry.link.as_deref(),
        Kind::CharDevice | Kind::BlockDevice => source.rdev == found.rdev,
        Kind::Fifo | Kind::Socket => true,
    };
    let closeness = match same {
        false => Closeness::Kind,
        // Another name of it, or the very one, brings what is attached to it along.
        true if compare::attributes(cx, source, found).is_none() && differs == Differs::default() => {
            Closeness::Exact
        }
        true => Closeness::Data,
    };
    (closeness, differs)
}

/// Times of directories count even with `--omit-dir-times`, as with rsync.
fn closeness_of_dir(cx: &Context<'_>, source: &Attrs, found: &Attrs, differs: Differs) -> Closeness {
    let later = cx.options.times && !compare::same_time(cx.options, source.mtime, found.mtime);
    let same = compare::attributes(cx, source, found).is_none() && differs == Differs::default();
    if !later && same { Closeness::Exact } else { Closeness::Data }
}

/// How an entry that is made is shown beside what a basis directory has.
fn change(cx: &Context<'_>, source: &Attrs, found: &Attrs, closeness: Closeness, differs: Differs) -> Change {
    let Differs { acl, xattrs } = differs;
    let mut change =
        Change { update: Update::Created, acl, xattrs, ..compare::attributes(cx, source, found) };
    let exact = closeness == Closeness::Exact;
    match source.kind {
        Kind::File if closeness == Closeness::Kind => {
            change.update = Update::Received;
            change.content = cx.options.checksum;
            change.size = source.size != found.size;
        }
        Kind::File => {}
        _ if exact => return change,
        Kind::Dir => {}
        _ => change.content = true,
    }
    compare::renewed(cx.options, source.kind, &mut change);
    change
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn basis_directories_are_of_one_use_and_twenty_at_most() {
        let mut bases = Bases::default();
        for n in 0..DIRS_MAX {
            bases.add(Use::Link, n.to_string().into()).unwrap();
        }
        assert_eq!(
            bases.add(Use::Link, "x".into()).unwrap_err(),
            "at most 20 --link-dest args may be specified"
        );
        assert_eq!(
            bases.add(Use::Copy, "x".into()).unwrap_err(),
            "the --copy-dest option conflicts with the --link-dest option"
        );
        assert_eq!(bases.dirs.len(), DIRS_MAX);
    }
}
