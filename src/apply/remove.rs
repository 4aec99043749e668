//! Deleting what is surplus, contents first.

use std::collections::HashSet;
use std::sync::Arc;

use super::{Applier, Failure, Remarks};
use crate::event::{Event, Note, Problem};
use crate::path::xattr::Inode;
use crate::path::{HeldDir, Kind, Name, RelPath};
use crate::plan::filter::Scope;
use crate::plan::source;
use crate::plan::surplus::{self, Surplus};
use crate::sys::Errno;

/// How many deletions a run may still make (`--max-delete`), and what happened to it.
#[derive(Debug, Default)]
pub struct Allowance {
    /// `None` for as many as there are.
    pub left: Option<u64>,
    /// Entries that stayed because nothing was left.
    pub skipped: u64,
}

impl Allowance {
    /// Counts one more; `false`: there are none left.
    pub fn take(&mut self) -> bool {
        match &mut self.left {
            None => true,
            Some(0) => {
                self.skipped += 1;
                false
            }
            Some(left) => {
                *left -= 1;
                true
            }
        }
    }

    /// A directory below another one could not go, since it is not empty. Where nothing is left it counts as one
    /// that was left out, as with rsync 3.5.0.
    fn tried(&mut self) {
        self.skipped += u64::from(self.left == Some(0));
    }
}

/// A directory on the way down, and what is still to be deleted in it.
struct Level {
    held: Arc<HeldDir>,
    path: RelPath,
    scope: Scope,
    rest: std::vec::IntoIter<Surplus>,
    /// Something in it stays, so it stays itself.
    kept: bool,
    /// The name to be removed when it is empty.
    own: Surplus,
    parent: Arc<HeldDir>,
}

/// What is being deleted, for [`Applier::remove`].
pub struct Removal<'a> {
    /// Nothing is really deleted.
    pub dry_run: bool,
    /// Only what is in the directory goes, not the directory itself: to make way for something else.
    pub contents_only: bool,
    /// How many may go.
    pub allowance: &'a mut Allowance,
    /// Told of every deletion, note and problem, in order.
    pub tell: &'a mut dyn FnMut(Event),
}

impl Applier<'_> {
    /// Deletes `what` in `parent` with everything in it that no rule protects. Returns whether it is gone.
    ///
    /// `scope` is the receiver's rules in `parent`, `path` the transfer path of `what`.
    ///
    /// # Errors
    ///
    /// Only that the run was asked to stop; everything else is told and leaves the entry in place.
    pub fn remove(
        &self,
        parent: &Arc<HeldDir>,
        what: Surplus,
        path: RelPath,
        scope: &Scope,
        removal: &mut Removal<'_>,
    ) -> Result<bool, Failure> {
        if self.meter.stopped() {
            return Err(Failure::Stopped);
        }
        if what.kind != Kind::Dir {
            return Ok(self.remove_leaf(parent, &what, &path, removal));
        }
        let mut levels = Vec::new();
        match self.level(parent, what, path, scope, removal) {
            Ok(level) => levels.push(level),
            Err(()) => return Ok(false),
        }
        while let Some(level) = levels.last_mut() {
            if self.meter.stopped() {
                return Err(Failure::Stopped);
            }
            match level.rest.next() {
                Some(next) => {
                    let path = level.path.join(&next.name);
                    if next.kind == Kind::Dir {
                        let (held, scope) = (Arc::clone(&level.held), level.scope.clone());
                        match self.level(&held, next, path, &scope, removal) {
                            Ok(below) => levels.push(below),
                            Err(()) => level.kept = true,
                        }
                    } else {
                        let held = Arc::clone(&level.held);
                        level.kept |= !self.remove_leaf(&held, &next, &path, removal);
                    }
                }
                None => {
                    let Some(done) = levels.pop() else { break };
                    let top = levels.is_empty();
                    let gone = self.remove_level(&done, top && removal.contents_only, removal);
                    if done.kept && !top {
                        removal.allowance.tried();
                    }
                    match levels.last_mut() {
                        Some(above) => above.kept |= !gone,
                        None => return Ok(gone),
                    }
                }
            }
        }
        Ok(true)
    }

    fn level(
        &self,
        parent: &Arc<HeldDir>,
        own: Surplus,
        path: RelPath,
        scope: &Scope,
        removal: &mut Removal<'_>,
    ) -> Result<Level, ()> {
        let mut notes = Vec::new();
        let found = parent.child(&own.name, false).and_then(|held| {
            self.unlock_dir(&held, &held.get()?.attrs()?);
            if !removal.dry_run {
                self.unlock_flags(&held, &path);
            }
            let scope = source::enter(&held, &path, &scope.dying()).map_err(|_| Errno::EINVAL)?;
            let dir = held.get()?;
            if self.cx.is_mounted_below(dir.attrs()?.dev) {
                notes.push(Note::MountPointKept(path.clone()));
            }
            let rest = surplus::find(self.cx, &dir, &path, &HashSet::new(), Some(&scope), &mut notes)?;
            // What a rule or a mount protects stays, and so does the directory that it is in.
            let kept = !notes.is_empty();
            Ok(Level {
                held,
                path: path.clone(),
                scope,
                rest: rest.into_iter(),
                kept,
                own,
                parent: Arc::clone(parent),
            })
        });
        for note in notes {
            (removal.tell)(Event::Note(note));
        }
        found.map_err(|e| {
            (removal.tell)(Event::Problem(Problem::os("delete", &self.cx.dest_typed(&path), e)));
        })
    }

    /// Removes a directory whose contents have been dealt with.
    fn remove_level(&self, done: &Level, spare: bool, removal: &mut Removal<'_>) -> bool {
        if spare {
            return !done.kept;
        }
        if done.kept {
            (removal.tell)(Event::Note(Note::NotEmpty(done.path.clone())));
            return false;
        }
        if !removal.allowance.take() {
            return false;
        }
        if !removal.dry_run {
            match done.parent.get().and_then(|dir| dir.remove_dir(&done.own.name)) {
                Ok(()) | Err(Errno::ENOENT) => {}
                Err(Errno::ENOTEMPTY | Errno::EEXIST) => {
                    (removal.tell)(Event::Note(Note::NotEmpty(done.path.clone())));
                    return false;
                }
                Err(e) => {
                    let typed = self.cx.dest_typed(&done.path);
                    (removal.tell)(Event::Problem(Problem::os("delete", &typed, e)));
                    return false;
                }
            }
        }
        (removal.tell)(Event::Deleted { path: done.path.clone(), kind: Kind::Dir });
        true
    }

    fn remove_leaf(
        &self,
        parent: &Arc<HeldDir>,
        what: &Surplus,
        path: &RelPath,
        removal: &mut Removal<'_>,
    ) -> bool {
        if !removal.allowance.take() {
            return false;
        }
        let mut remarks = Remarks::default();
        let backed_up = self.options.backup && !self.is_backup(path);
        // A backup beside it keeps its directory from going: in a dry run too.
        let gone = !backed_up || self.options.backup_dir.is_some();
        if !removal.dry_run {
            let done = parent.get().map_err(|e| self.dest_failure("delete", path, e)).and_then(|dir| {
                self.unlock_file(&dir, &what.name, path);
                if backed_up {
                    let real = dir.pin(&what.name).map_err(|e| self.dest_failure("stat", path, e))?;
                    let attrs = self.seen(Inode::pinned(&real), real.attrs);
                    return self.move_to_backup(&dir, &what.name, path, &attrs, &mut remarks);
                }
                match dir.remove(&what.name) {
                    Ok(()) | Err(Errno::ENOENT) => Ok(()),
                    Err(e) => Err(self.dest_failure("delete", path, e)),
                }
            });
            if let Err(failure) = done {
                if let Failure::Problem(problem) = failure {
                    (removal.tell)(Event::Problem(problem));
                }
                return false;
            }
        }
        (removal.tell)(Event::Deleted { path: path.clone(), kind: what.kind });
        for note in remarks.notes {
            (removal.tell)(Event::Note(note));
        }
        for problem in remarks.problems {
            (removal.tell)(Event::Problem(problem));
        }
        gone
    }

    /// Makes way for something that is not a directory where the destination has one: with `force` by
    /// deleting what is in it, otherwise only if it is empty. Returns whether the way is free.
    ///
    /// # Errors
    ///
    /// As [`Applier::remove`].
    pub fn make_way(
        &self,
        parent: &Arc<HeldDir>,
        name: &Name,
        path: &RelPath,
        force: bool,
        scope: &Scope,
        removal: &mut Removal<'_>,
    ) -> Result<bool, Failure> {
        if force {
            removal.contents_only = true;
            let what = Surplus { name: name.clone(), kind: Kind::Dir };
            let emptied = self.remove(parent, what, path.clone(), scope, removal)?;
            removal.contents_only = false;
            if !emptied {
                (removal.tell)(Event::Note(Note::NotEmpty(path.clone())));
                return Ok(false);
            }
            if removal.dry_run {
                return Ok(true);
            }
        } else if removal.dry_run {
            let mut empty = true;
            let listed = parent.child(name, false).and_then(|held| held.get()?.list(|_, _| empty = false));
            if listed.is_err() || !empty {
                (removal.tell)(Event::Note(Note::NotEmpty(path.clone())));
            }
            return Ok(listed.is_ok() && empty);
        }
        match parent.get().and_then(|dir| dir.remove_dir(name)) {
            Ok(()) | Err(Errno::ENOENT) => Ok(true),
            Err(Errno::ENOTEMPTY | Errno::EEXIST) => {
                (removal.tell)(Event::Note(Note::NotEmpty(path.clone())));
                Ok(false)
            }
            Err(e) => {
                (removal.tell)(Event::Problem(Problem::os("delete", &self.cx.dest_typed(path), e)));
                Ok(false)
            }
        }
    }
}
