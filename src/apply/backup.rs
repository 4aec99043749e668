//! `--backup`: what is replaced or deleted lives on under another name.

use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, PoisonError};

use super::attached::Part;
use super::{Applier, Failure, Remarks};
use crate::engine::{CopyError, Outcome, Source, Target};
use crate::event::{Note, Problem};
use crate::path::dir::{self, Dir};
use crate::path::held::Budget;
use crate::path::temp::PRIVATE;
use crate::path::xattr::Inode;
use crate::path::{Attrs, HeldDir, Kind, Name, OwnDir, RelPath, TempFile, Time, temp};
use crate::plan::entry::Entry;
use crate::plan::veil::Veil;
use crate::sys::Errno;

/// The directory of `--backup-dir`, which comes into being with the first backup.
#[derive(Debug)]
pub struct BackupRoot {
    place: OwnDir,
    budget: Arc<Budget>,
    held: Mutex<Option<Arc<HeldDir>>>,
    veil: Option<Veil>,
}

impl BackupRoot {
    /// The directory at `place`, in which `veil` hides names from the client of a daemon.
    #[must_use]
    pub fn new(place: OwnDir, budget: &Arc<Budget>, veil: Option<Veil>) -> BackupRoot {
        BackupRoot { place, budget: Arc::clone(budget), held: Mutex::default(), veil }
    }

    fn get(&self) -> Result<Arc<HeldDir>, Errno> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(held) = &*held {
            return Ok(Arc::clone(held));
        }
        let dir = self.place.make().map_err(|e| e.source)?;
        let made = HeldDir::root(dir, &self.budget)?;
        *held = Some(Arc::clone(&made));
        Ok(made)
    }
}

/// The directory of a backup (`None`: the entry's own), its name there, and how it is shown.
type BackupPlace = (Option<Arc<Dir>>, Name, Vec<u8>);

impl Applier<'_> {
    /// Whether `path` looks like a backup that an earlier run left beside its file. Of such there is no
    /// backup where it is deleted, or makes way for something of another kind.
    pub(super) fn is_backup(&self, path: &RelPath) -> bool {
        let (path, suffix) = (path.as_bytes(), &self.options.suffix);
        self.options.backup_dir.is_none() && path.len() > suffix.len() && path.ends_with(suffix)
    }

    /// What the entry `path` is about to replace: `dest`, as it was looked at. Where nothing was there, the backup of another
    /// entry may have taken the name `name` since.
    ///
    /// # Errors
    ///
    /// That cannot be said, so it must not be made.
    pub(super) fn replaces(
        &self,
        home: &Dir,
        name: &Name,
        path: &RelPath,
        dest: Option<&Attrs>,
    ) -> Result<Option<Attrs>, Failure> {
        if dest.is_some() || !self.options.backup || !self.is_backup(path) {
            return Ok(dest.copied());
        }
        home.stat_if_any(name).map_err(|e| self.dest_failure("stat", path, e))
    }

    /// Gives `name`, which is about to be replaced, its backup name as well, so that it is never missing.
    /// Does nothing without `--backup`, or for a directory.
    ///
    /// # Errors
    ///
    /// There is no backup, so it must not be replaced.
    pub(super) fn back_up(
        &self,
        home: &Dir,
        name: &Name,
        path: &RelPath,
        dest: &Attrs,
        remarks: &mut Remarks,
    ) -> Result<(), Failure> {
        if !self.options.backup || dest.kind == Kind::Dir {
            return Ok(());
        }
        let (into, backup, shown) = self.backup_place(name, path)?;
        let into = into.as_deref().unwrap_or(home);
        // The name in between is made here and not where the backups are: those may lie in the source, whose
        // lister must not meet it.
        let made = in_between(name).and_then(|between| {
            temp::with_temp_name(home, &between, |fresh| home.link_from(fresh, home, name))
        });
        let done = made.and_then(|fresh| {
            let renamed = home.rename(&fresh, into, &backup);
            if renamed.is_err() || home.stat_if_any(&fresh).is_ok_and(|left| left.is_some()) {
                let _unheard = home.remove(&fresh);
            }
            renamed
        });
        let done = match done {
            Err(Errno::EPERM | Errno::EMLINK | Errno::EOPNOTSUPP) => home.rename(name, into, &backup),
            Err(Errno::EXDEV) => self.copy_backup(home, name, into, &backup, dest, path, remarks)?,
            other => other,
        };
        done.map_err(|e| self.dest_failure("back up", path, e))?;
        remarks.notes.push(Note::BackedUp(path.clone(), shown));
        Ok(())
    }

    /// As [`Applier::back_up`], but the data is copied and the file keeps its inode (`--inplace`).
    ///
    /// # Errors
    ///
    /// There is no backup, so it must not be written to.
    pub(super) fn back_up_by_copy(
        &self,
        home: &Dir,
        name: &Name,
        path: &RelPath,
        dest: &Attrs,
        remarks: &mut Remarks,
    ) -> Result<(), Failure> {
        if !self.options.backup {
            return Ok(());
        }
        let (into, backup, shown) = self.backup_place(name, path)?;
        let into = into.as_deref().unwrap_or(home);
        self.copy_backup(home, name, into, &backup, dest, path, remarks)?
            .map_err(|e| self.dest_failure("back up", path, e))?;
        remarks.notes.push(Note::BackedUp(path.clone(), shown));
        Ok(())
    }

    /// Moves `name`, which is surplus, to its backup name.
    ///
    /// # Errors
    ///
    /// It stays where it is.
    pub(super) fn move_to_backup(
        &self,
        home: &Dir,
        name: &Name,
        path: &RelPath,
        dest: &Attrs,
        remarks: &mut Remarks,
    ) -> Result<(), Failure> {
        let (into, backup, shown) = self.backup_place(name, path)?;
        let into = into.as_deref().unwrap_or(home);
        let moved = match home.rename(name, into, &backup) {
            Err(Errno::EXDEV) => self
                .copy_backup(home, name, into, &backup, dest, path, remarks)?
                .and_then(|()| home.remove(name)),
            // rename(2) of two names of one inode does nothing and leaves both.
            Ok(()) => match home.stat_if_any(name) {
                Ok(Some(left)) if left.same_inode(dest) => home.remove(name),
                other => other.map(drop),
            },
            other => other,
        };
        moved.map_err(|e| self.dest_failure("back up", path, e))?;
        remarks.notes.push(Note::BackedUp(path.clone(), shown));
        Ok(())
    }

    /// Where the backup of the entry `path`, which is called `name`, goes.
    fn backup_place(&self, name: &Name, path: &RelPath) -> Result<BackupPlace, Failure> {
        let mut bytes = name.as_bytes().to_vec();
        bytes.extend_from_slice(&self.options.suffix);
        let backup =
            Name::parse(&bytes).map_err(|_| self.dest_failure("back up", path, Errno::ENAMETOOLONG))?;
        let names: Vec<Name> = path.components().collect();
        let above = names.len().saturating_sub(1);
        let beside = RelPath::from_names(names.iter().take(above).chain([&backup]));
        let veil = self.backup_root.map_or(self.cx.veil.as_ref(), |root| root.veil.as_ref());
        if veil.is_some_and(|veil| veil.hides_on_the_way(&beside, false)) {
            let text = "the daemon's configuration does not allow the name of the backup";
            return Err(Problem::text("back up", &self.cx.dest_typed(path), text).into());
        }
        let Some(root) = self.backup_root else {
            let mut shown = path.as_bytes().to_vec();
            shown.extend_from_slice(&self.options.suffix);
            return Ok((None, backup, shown));
        };
        let fail = |e| self.dest_failure("make the backup directory of", path, e);
        let mut at = root.get().map_err(fail)?;
        for depth in 0..above {
            let name = &names[depth];
            at = match at.child(name, false) {
                Err(Errno::ENOENT) => {
                    let here = at.get().map_err(fail)?;
                    match here.make_dir(name) {
                        // Another worker was faster: just as well.
                        Ok(()) | Err(Errno::EEXIST) => {}
                        Err(e) => return Err(fail(e)),
                    }
                    let made = at.child(name, false).map_err(fail)?;
                    self.mirror_attributes(&made, &names[..=depth], path).map_err(fail)?;
                    made
                }
                other => other.map_err(fail)?,
            };
        }
        let mut shown =
            self.options.backup_dir.as_ref().map(|d| d.as_encoded_bytes().to_vec()).unwrap_or_default();
        shown.push(b'/');
        shown.extend_from_slice(path.as_bytes());
        shown.extend_from_slice(&self.options.suffix);
        Ok((Some(at.get().map_err(fail)?), backup, shown))
    }

    /// Gives a new directory below `--backup-dir` the owner and mode of the one that it mirrors.
    fn mirror_attributes(&self, made: &HeldDir, names: &[Name], path: &RelPath) -> Result<(), Errno> {
        let made = made.get()?;
        let mut mirrored = self.cx.dest_root.clone();
        for name in names {
            mirrored = mirrored.and_then(|dir| self.cx.open_dest_child(&dir, name).ok());
        }
        let mirrored = mirrored.and_then(|dir| {
            let dir = dir.get().ok()?;
            let attrs = self.seen(Inode::dir(&dir), dir.attrs().ok()?);
            Some((attrs, self.attached_to(Inode::dir(&dir), &attrs).unwrap_or_default()))
        });
        let Some((attrs, attached)) = mirrored else {
            return made.set_mode(0o777 & !self.cx.umask);
        };
        // Its time is that of the backups in it.
        let wanted = super::Wanted { mtime: None, ..self.wanted(&attrs, Some(&attrs), &made) };
        self.set_attributes(&*made, &made.attrs()?, &wanted, &attached, path, &mut Remarks::default());
        Ok(())
    }

    /// Copies `name` to the backup name on another filesystem, attributes and all.
    #[allow(clippy::too_many_arguments)] // two names, each with its directory
    fn copy_backup(
        &self,
        home: &Dir,
        name: &Name,
        into: &Dir,
        backup: &Name,
        dest: &Attrs,
        path: &RelPath,
        remarks: &mut Remarks,
    ) -> Result<Result<(), Errno>, Failure> {
        let written_down = self.stores() && home.stat(name).is_ok_and(|real| real.kind == Kind::File);
        if dest.kind != Kind::File && !written_down {
            let link = if dest.kind == Kind::Symlink {
                Some(home.read_link(name).map_err(|e| self.dest_failure("back up", path, e))?.into())
            } else {
                None
            };
            let copy = Entry {
                name: backup.clone(),
                attrs: *dest,
                link,
                followed: false,
                number: 0,
                source: 0,
                shares: Vec::new(),
                skipped: None,
                implied: false,
                renamed: None,
                digest: None,
                attached: None,
            };
            let there = into.stat_if_any(backup).map_err(|e| self.dest_failure("back up", path, e))?;
            let quiet =
                Applier { options: &super::Options::default(), backup_root: None, temp_root: None, ..*self };
            let attached = self.attached_to(Inode::named(home, name, false), dest);
            let attached = attached.map_err(|e| self.dest_failure("back up", path, e))?;
            return quiet.make_node(into, &copy, there.as_ref(), &attached, path, remarks).map(|_| Ok(()));
        }
        let mut copy = || -> Result<(), Errno> {
            let source = home.open_file(name)?;
            let into = Arc::new(into.again()?);
            let temp = TempFile::create(&into, backup, PRIVATE)?;
            let from = Source {
                fd: source.as_fd(),
                dev: source.attrs.dev,
                from: 0,
                len: source.attrs.size,
                allocated: source.attrs.allocated,
            };
            let target = Target {
                fd: temp.as_fd(),
                dev: dir::attrs_of(temp.as_fd())?.dev,
                fresh: true,
                device: false,
            };
            match self.engine.copy(from, target, self.pace) {
                Ok(copied) if copied.outcome == Outcome::Complete => {}
                Ok(_) => return Err(Errno::EBUSY),
                Err(CopyError::Interrupted { .. }) => return Err(Errno::EINTR),
                Err(CopyError::Failed { source, .. } | CopyError::NoWay { source, .. }) => {
                    return Err(source);
                }
            }
            if self.stores() {
                let attached = self.attached_to(Inode::file(source.as_fd()), dest)?;
                self.store_copy(temp.as_fd(), dest, &attached, path, remarks)?;
                return temp.commit(&into, backup, true);
            }
            dir::set_owner(temp.as_fd(), Some(dest.uid), Some(dest.gid)).or_else(|e| match e {
                // Not privileged: the backup then belongs to whoever made it.
                Errno::EPERM => Ok(()),
                e => Err(e),
            })?;
            let attached = self.attached_to(Inode::file(source.as_fd()), dest)?;
            let inode = Inode::file(temp.as_fd());
            for part in [Part::Most, Part::Capability] {
                if let Some(xattrs) = &attached.xattrs {
                    self.set_xattrs(inode, xattrs, part, path, remarks);
                }
            }
            dir::set_mode(temp.as_fd(), dest.mode)?;
            if let Some(acls) = &attached.acls {
                self.set_acls(inode, dest.kind, acls, dest.mode, path, remarks);
            }
            let atime = if self.cx.options.atimes { dest.atime } else { Time::now() };
            dir::set_times(temp.as_fd(), Some(atime), Some(dest.mtime))?;
            temp.commit(&into, backup, true)
        };
        Ok(copy())
    }
}

/// What the name in between of a backup is made from: not from the entry's own name, under whose temp names its
/// successor is being made.
fn in_between(name: &Name) -> Result<Name, Errno> {
    const MARK: &[u8] = b"~backup";
    let name = name.as_bytes();
    let kept = name.get(..Name::MAX - MARK.len()).unwrap_or(name);
    Name::parse(&[kept, MARK].concat()).map_err(|_| Errno::ENAMETOOLONG)
}
