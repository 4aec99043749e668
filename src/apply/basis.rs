//! What a basis directory has of an entry becomes the destination's: linked, copied, or left where it is.
//!
//! What was found there when the run was planned is held by a descriptor first, and used only if it still is
//! that inode with those attributes; it is linked and copied from by the descriptor.

use std::os::fd::AsFd;
use std::sync::Arc;

use super::file::{Filled, Incoming, Kept, Place, Supply, Transferred};
use super::{Applier, Failure, Remarks};
use crate::engine::Target;
use crate::event::Problem;
use crate::path::dir::OpenFile;
use crate::path::xattr::{Inode, Xattrs};
use crate::path::{Attrs, Dir, Kind};
use crate::plan::basis::Found;
use crate::sys::Errno;

impl Applier<'_> {
    /// Makes the entry another name of what `found` says. Returns that inode.
    ///
    /// # Errors
    ///
    /// It is not what was found any more, or cannot be linked (another filesystem, too many names, not
    /// permitted): to be copied instead. What the destination had is as it was.
    pub fn link_basis(
        &self,
        place: &Place<'_>,
        found: &Found,
        remarks: &mut Remarks,
    ) -> Result<(u64, u64), Failure> {
        let (to, name) = (place.to, place.entry.target());
        let pinned = found.dir.get().and_then(|dir| dir.pin(name));
        let pinned = pinned.map_err(|e| self.dest_failure("open the basis of", place.path, e))?;
        if !unchanged(&self.seen(Inode::pinned(&pinned), pinned.attrs), &found.attrs) {
            return Err(self.changed(place));
        }
        let inode = (found.attrs.dev, found.attrs.ino);
        self.place_link(to, name, inode, place.dest, place.path, remarks, &|name| {
            to.link_pinned(&pinned, name)
        })?;
        Ok(inode)
    }

    /// Makes the entry, a regular file, a copy of what `found` says, with its source's attributes.
    ///
    /// # Errors
    ///
    /// It is not what was found any more, or the copy cannot be made. What the destination had is as it was.
    pub fn copy_basis(
        &self,
        place: &Place<'_>,
        found: &Found,
        remarks: &mut Remarks,
    ) -> Result<Transferred, Failure> {
        let dir = found.dir.get().map_err(|e| self.dest_failure("open the basis of", place.path, e))?;
        let supply = Basis { dir, attrs: &found.attrs, applier: self, origin: place.supply };
        self.transfer(&Place { supply: &supply, waits: false, ..*place }, None, remarks)
    }

    /// Removes what the destination has of an entry that a basis directory has exactly (`--compare-dest`).
    ///
    /// # Errors
    ///
    /// It stays where it is.
    pub fn leave_to_basis(&self, place: &Place<'_>, remarks: &mut Remarks) -> Result<(), Failure> {
        let Some(dest) = place.dest.filter(|dest| dest.kind != Kind::Dir) else { return Ok(()) };
        let name = place.entry.target();
        if self.options.backup && !self.is_backup(place.path) {
            return self.move_to_backup(place.to, name, place.path, dest, remarks);
        }
        match place.to.remove(name) {
            Ok(()) | Err(Errno::ENOENT) => Ok(()),
            Err(e) => Err(self.dest_failure("delete", place.path, e)),
        }
    }

    fn changed(&self, place: &Place<'_>) -> Failure {
        let text = "what a basis directory has of it changed during the run";
        Problem::text("use", &self.cx.dest_typed(place.path), text).into()
    }
}

/// Whether what was found is still there as it was.
fn unchanged(now: &Attrs, then: &Attrs) -> bool {
    let same = |a: &Attrs, b: &Attrs| {
        (a.kind, a.mode, a.uid, a.gid, a.rdev) == (b.kind, b.mode, b.uid, b.gid, b.rdev)
    };
    now.same_inode(then) && same(now, then) && now.size == then.size && now.mtime == then.mtime
}

/// A basis directory as the sending side of a file.
struct Basis<'a> {
    dir: Arc<Dir>,
    attrs: &'a Attrs,
    applier: &'a Applier<'a>,
    /// The entry's own sending side: what is attached to it is the source's.
    origin: &'a dyn Supply,
}

impl Supply for Basis<'_> {
    fn open(&self, place: &Place<'_>, _attempt: u32) -> Result<Box<dyn Incoming + '_>, Failure> {
        let opened = self.dir.open_file(place.entry.target());
        let file = opened.map_err(|e| self.applier.dest_failure("open the basis of", place.path, e))?;
        if !unchanged(&self.applier.seen(Inode::file(file.as_fd()), file.attrs), self.attrs) {
            return Err(self.applier.changed(place));
        }
        Ok(Box::new(Twin(file)))
    }

    fn long_xattrs(&self, place: &Place<'_>, names: &[&[u8]]) -> Result<Xattrs, Failure> {
        self.origin.long_xattrs(place, names)
    }

    fn remove(&self, _place: &Place<'_>) -> Result<(), Failure> {
        // What is removed after a transfer is the source.
        Ok(())
    }
}

/// An open file with the source's data, but not its time.
struct Twin(OpenFile);

impl Incoming for Twin {
    fn fill(
        self: Box<Self>,
        applier: &Applier<'_>,
        place: &Place<'_>,
        target: Target<'_>,
        kept: Kept,
    ) -> Result<Result<Filled, Failure>, Failure> {
        let filled = Box::new(self.0).fill(applier, place, target, kept)?;
        Ok(filled.map(|filled| Filled { mtime: place.entry.attrs.mtime, ..filled }))
    }
}
