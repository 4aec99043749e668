//! `--fileflags`: flags of inodes, of which two lock them.
//!
//! What is immutable or append-only is unlocked before anything is done with it, and locked again when all is done:
//! a locked file can be neither renamed nor linked, and in a locked directory nothing can be made.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::{Applier, Remarks};
use crate::event::Problem;
use crate::path::flags::{Flags, Unkept};
use crate::path::xattr::Inode;
use crate::path::{Attrs, Dir, HeldDir, Kind, Name, RelPath};
use crate::sys::Errno;

/// What is to be locked at the end of a run, by path.
#[derive(Debug, Default)]
pub struct Locks(Mutex<BTreeMap<RelPath, Lock>>);

/// An inode that is to be locked.
#[derive(Debug)]
struct Lock {
    /// Device and number of the one that was meant.
    inode: (u64, u64),
    flags: Flags,
}

impl Locks {
    fn add(&self, path: &RelPath, inode: (u64, u64), flags: Flags) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(path.clone(), Lock { inode, flags });
    }
}

impl Applier<'_> {
    /// Gives `inode`, which is `now`, the flags that it is to have, but for those that lock it.
    pub(super) fn set_flags(
        &self,
        inode: Inode<'_>,
        now: &Attrs,
        flags: Option<Flags>,
        path: &RelPath,
        remarks: &mut Remarks,
    ) {
        let Some(flags) = flags.filter(|_| matches!(now.kind, Kind::File | Kind::Dir)) else { return };
        if let Err(unkept) = inode.set_flags(flags.unlocked()) {
            remarks.problems.push(self.unkept(path, &unkept));
        }
        if flags.locks() {
            self.locks.add(path, (now.dev, now.ino), flags);
        }
    }

    /// Unlocks the file `name`, which is about to be changed or replaced. Where it stays, it is locked again.
    pub fn unlock_file(&self, to: &Dir, name: &Name, path: &RelPath) {
        if !self.cx.options.file_flags {
            return;
        }
        // What cannot be unlocked is told by what fails for it.
        if let Ok(pinned) = to.pin(name) {
            let _may_fail = self.unlock(Inode::pinned(&pinned), &pinned.attrs, path);
        }
    }

    /// Unlocks the directory `held`, in which things are about to be done.
    pub fn unlock_flags(&self, held: &HeldDir, path: &RelPath) {
        if !self.cx.options.file_flags {
            return;
        }
        let _may_fail = held.get().map(|dir| {
            let attrs = dir.attrs()?;
            self.unlock(Inode::dir(&dir), &attrs, path)
        });
    }

    fn unlock(&self, inode: Inode<'_>, now: &Attrs, path: &RelPath) -> Result<(), Errno> {
        if !matches!(now.kind, Kind::File | Kind::Dir) {
            return Ok(());
        }
        let flags = inode.flags()?;
        if flags.locks() && inode.set_flags(flags.unlocked()).is_ok() {
            self.locks.add(path, (now.dev, now.ino), flags);
        }
        Ok(())
    }

    /// Locks what is to be locked. Returns what could not be.
    #[must_use]
    pub fn lock_all(&self) -> Vec<Problem> {
        let all = std::mem::take(&mut *self.locks.0.lock().unwrap_or_else(PoisonError::into_inner));
        let locked = |(path, lock): (&RelPath, &Lock)| {
            self.lock(path, lock).err().map(|unkept| self.unkept(path, &unkept))
        };
        all.iter().filter_map(locked).collect()
    }

    /// What has another inode by now has its own flags.
    fn lock(&self, path: &RelPath, lock: &Lock) -> Result<(), Unkept> {
        let Lock { inode, flags } = *lock;
        let failed = |errno| Unkept { what: "immutable or append-only".into(), errno };
        let Some(root) = &self.cx.dest_root else { return Ok(()) };
        let mut names: Vec<Name> = path.components().collect();
        let Some(last) = names.pop() else {
            return Inode::dir(&*root.get().map_err(failed)?).set_flags(flags);
        };
        let mut at = Arc::clone(root);
        for name in &names {
            at = match self.cx.open_dest_child(&at, name) {
                Ok(below) => below,
                // It was deleted, with what was in it.
                Err(Errno::ENOENT) => return Ok(()),
                Err(errno) => return Err(failed(errno)),
            };
        }
        let last = self.cx.root_rename.as_ref().filter(|_| names.is_empty()).unwrap_or(&last);
        match at.get().and_then(|dir| dir.pin(last)) {
            Ok(there) if (there.attrs.dev, there.attrs.ino) == inode => {
                Inode::pinned(&there).set_flags(flags)
            }
            Ok(_) | Err(Errno::ENOENT) => Ok(()),
            Err(errno) => Err(failed(errno)),
        }
    }

    fn unkept(&self, path: &RelPath, unkept: &Unkept) -> Problem {
        let text = format!("{}: {}", unkept.what, std::io::Error::from(unkept.errno));
        Problem::text("set flags of", &self.cx.dest_typed(path), text)
    }
}
