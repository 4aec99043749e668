//! Directories: made before their contents, finished after them.

use std::sync::Arc;

use super::{Applier, Failure, Holder, Remarks};
use crate::event::Problem;
use crate::path::xattr::Inode;
use crate::path::{Attrs, Dir, HeldDir, Name, RelPath, Time};
use crate::plan::attached::Ready;
use crate::sys::Errno;

impl Applier<'_> {
    /// Removes, or backs up, what is not a directory where a directory is to be made.
    ///
    /// # Errors
    ///
    /// It is still there.
    pub fn clear_for_dir(&self, parent: &HeldDir, name: &Name, path: &RelPath) -> Result<(), Failure> {
        let dir = parent.get().map_err(|e| self.dest_failure("open", path, e))?;
        let there = match dir.stat_if_any(name) {
            Ok(Some(there)) => there,
            Ok(None) => return Ok(()),
            Err(e) => return Err(self.dest_failure("stat", path, e)),
        };
        if self.options.backup && !self.is_backup(path) {
            return self.move_to_backup(&dir, name, path, &there, &mut Remarks::default());
        }
        dir.remove(name).map_err(|e| self.dest_failure("delete", path, e))
    }

    /// Makes the directory `name` in `parent`, open to its owner only until [`Applier::finish_dir`]. One that somebody
    /// else has made meanwhile will do: another run with the same destination, perhaps.
    ///
    /// # Errors
    ///
    /// Nothing below it can be made.
    pub fn make_dir(
        &self,
        parent: &Arc<HeldDir>,
        name: &Name,
        path: &RelPath,
    ) -> Result<Arc<HeldDir>, Failure> {
        match parent.get().and_then(|dir| dir.make_dir(name)) {
            Ok(()) => parent.child(name, false).map_err(|e| self.dest_failure("open", path, e)),
            Err(Errno::EEXIST) => {
                let held = parent.child(name, false);
                let held = held.map_err(|_| self.dest_failure("mkdir", path, Errno::EEXIST))?;
                if let Ok(now) = held.get().and_then(|dir| dir.attrs()) {
                    self.unlock_dir(&held, &now);
                }
                Ok(held)
            }
            Err(e) => Err(self.dest_failure("mkdir", path, e)),
        }
    }

    /// Makes an existing directory that its owner may not write or search usable for the time of the
    /// transfer; [`Applier::finish_dir`] gives it its mode. Root needs no such help.
    pub fn unlock_dir(&self, held: &HeldDir, now: &Attrs) {
        let real = || held.get().and_then(|dir| dir.attrs()).ok();
        let real = if self.stores() { real() } else { None };
        let now = real.as_ref().unwrap_or(now);
        if !self.cx.unhindered && now.mode & 0o700 != 0o700 {
            // If it does not help, what is done in the directory says why.
            let _may_fail = held.get().and_then(|dir| dir.set_mode(now.mode | 0o700));
        }
    }

    /// Gives a directory the set-group-id bit that it will have at its end, or takes it away, where the group
    /// of what is made in it follows from that: groups are not kept (`--group`), modes are.
    pub fn settle_group(&self, held: &HeldDir, source: &Attrs) {
        let options = self.cx.options;
        if !options.perms || self.stores() || (options.group && self.cx.root) {
            return;
        }
        // If it cannot be set now, it cannot at the end, where that is reported.
        let _may_fail = held.get().and_then(|dir| {
            let now = dir.attrs()?.mode;
            let changed = (now ^ source.mode) & 0o2000;
            if changed == 0 { Ok(()) } else { dir.set_mode(now ^ changed) }
        });
    }

    /// Gives a directory that was only made because something lies in it (`--no-implied-dirs`) the mode of
    /// any new directory.
    pub fn default_dir_mode(&self, held: &HeldDir) {
        // If it cannot be set, it stays what the run itself needs.
        let _may_fail = held.get().and_then(|dir| {
            let inherited = dir.attrs()?.mode & 0o2000;
            dir.set_mode(self.new_mode(&dir, 0o777) | inherited)
        });
    }

    /// Gives a directory back the time that it had before something in it was deleted, where directory
    /// times are kept.
    ///
    /// # Errors
    ///
    /// A problem to report: the next run finds the time different.
    pub fn restore_time(&self, held: &HeldDir, before: &Attrs, path: &RelPath) -> Result<(), Problem> {
        if !self.cx.options.times || self.cx.options.omit_dir_times {
            return Ok(());
        }
        let set = held.get().and_then(|dir| dir.set_times(Some(dir.attrs()?.atime), Some(before.mtime)));
        set.map_err(|e| Problem::os("set time of", &self.cx.dest_typed(path), e))
    }

    /// Gives a directory its attributes, after everything in it has been done. `before` is what it was
    /// before the run; `None` if the run made it.
    ///
    /// # Errors
    ///
    /// It is no longer there.
    pub fn finish_dir(
        &self,
        held: &HeldDir,
        source: &Attrs,
        before: Option<&Attrs>,
        attached: &Ready,
        path: &RelPath,
        remarks: &mut Remarks,
    ) -> Result<(), Failure> {
        let fail = |e| self.dest_failure("set attributes of", path, e);
        let dir = held.get().map_err(fail)?;
        let now = self.seen(Inode::dir(&dir), dir.attrs().map_err(fail)?);
        let mut wanted = match before {
            // Nothing has been done in it: a time that counts as equal stays.
            Some(before) if before.mtime == now.mtime => self.wanted_of_existing(source, before, &dir),
            // A new one has the default list of its parent by now.
            before => self.wanted(source, before, &dir),
        };
        if before.is_none() && !self.cx.options.perms {
            // A new directory keeps the set-group-id bit that it got from its parent.
            wanted.mode = wanted.mode.map(|mode| mode | (now.mode & 0o2000));
        }
        self.set_attributes(&*dir, &now, &wanted, attached, path, remarks);
        Ok(())
    }
}

impl Holder for Dir {
    fn owner(&self, uid: Option<u32>, gid: Option<u32>) -> Result<(), Errno> {
        self.set_owner(uid, gid)
    }

    fn mode(&self, mode: u32) -> Result<(), Errno> {
        self.set_mode(mode)
    }

    fn times(&self, atime: Option<Time>, mtime: Option<Time>) -> Result<(), Errno> {
        self.set_times(atime, mtime)
    }

    fn inode(&self) -> Inode<'_> {
        Inode::dir(self)
    }

    fn attrs(&self) -> Result<Attrs, Errno> {
        self.attrs()
    }
}
