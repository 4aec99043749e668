//! Everything without data: links, FIFOs, sockets, devices; hard links; attributes of what exists.

use std::sync::Arc;

use super::{Applier, Failure, Holder, Remarks};
use crate::event::Problem;
use crate::path::dir::Pinned;
use crate::path::xattr::Inode;
use crate::path::{Attrs, Dir, Kind, Name, RelPath, Time, temp};
use crate::plan::attached::Ready;
use crate::plan::entry::Entry;
use crate::sys::Errno;

impl Applier<'_> {
    /// Makes a link or node like `entry` in `to`, in place of `dest` if that is there. Returns the new inode.
    ///
    /// # Errors
    ///
    /// What was there is as it was.
    pub fn make_node(
        &self,
        to: &Dir,
        entry: &Entry,
        dest: Option<&Attrs>,
        attached: &Ready,
        path: &RelPath,
        remarks: &mut Remarks,
    ) -> Result<(u64, u64), Failure> {
        if self.stores() {
            return self.store_node(to, entry, dest, attached, path, remarks);
        }
        let make = |name: &Name| match entry.attrs.kind {
            Kind::Symlink => to.make_symlink(name, entry.link.as_deref().unwrap_or_default()),
            kind => to.make_node(name, kind, entry.attrs.rdev),
        };
        let verb = if entry.attrs.kind == Kind::Symlink { "make symlink" } else { "make node" };
        if dest.is_none() {
            match make(entry.target()) {
                Ok(()) => return self.finish_node(to, entry.target(), entry, None, attached, path, remarks),
                // Somebody was faster: replace what is there, like anything else.
                Err(Errno::EEXIST) => {}
                Err(e) => return Err(self.dest_failure(verb, path, e)),
            }
        }
        let fail = |e| self.dest_failure(verb, path, e);
        let fresh = temp::with_temp_name(to, entry.target(), make).map_err(fail)?;
        let done = self.finish_node(to, &fresh, entry, dest, attached, path, remarks).and_then(|inode| {
            if let Some(dest) = self.replaces(to, entry.target(), path, dest)? {
                self.back_up(to, entry.target(), path, &dest, remarks)?;
            }
            to.rename(&fresh, to, entry.target()).map_err(|e| self.dest_failure("rename to", path, e))?;
            Ok(inode)
        });
        if done.is_err() {
            // The reason is on its way already.
            let _unheard = to.remove(&fresh);
        }
        done
    }

    #[allow(clippy::too_many_arguments)] // a name, what it is to be, and whom to tell
    fn finish_node(
        &self,
        to: &Dir,
        name: &Name,
        entry: &Entry,
        dest: Option<&Attrs>,
        attached: &Ready,
        path: &RelPath,
        remarks: &mut Remarks,
    ) -> Result<(u64, u64), Failure> {
        let node = to.pin(name).map_err(|e| self.dest_failure("stat", path, e))?;
        if node.attrs.kind != entry.attrs.kind {
            let text = "was replaced by somebody else while it was made";
            return Err(Problem::text("make node", &self.cx.dest_typed(path), text).into());
        }
        // Without --perms what is replaced leaves its mode behind, whatever it was; a link has none.
        let dest = dest.filter(|dest| dest.kind != Kind::Symlink);
        let wanted = self.wanted(&entry.attrs, dest, to);
        self.set_attributes(&node, &node.attrs, &wanted, attached, path, remarks);
        Ok((node.attrs.dev, node.attrs.ino))
    }

    /// Sets the attributes of the existing `name`, whatever it is but a directory.
    ///
    /// # Errors
    ///
    /// It vanished or is something else now.
    pub fn set_attributes_of(
        &self,
        to: &Dir,
        name: &Name,
        source: &Attrs,
        attached: &Ready,
        path: &RelPath,
        remarks: &mut Remarks,
    ) -> Result<(u64, u64), Failure> {
        let node = to.pin(name).map_err(|e| self.dest_failure("stat", path, e))?;
        let now = self.seen(Inode::pinned(&node), node.attrs);
        if now.kind != source.kind {
            let text = "changed its type during the run";
            return Err(Problem::text("set attributes of", &self.cx.dest_typed(path), text).into());
        }
        let wanted = self.wanted_of_existing(source, &now, to);
        self.set_attributes(&node, &now, &wanted, attached, path, remarks);
        Ok((node.attrs.dev, node.attrs.ino))
    }

    /// Makes `name` in `to` another name of `leader`'s, which must be the inode `inode`; in place of
    /// `dest` if that is there.
    ///
    /// # Errors
    ///
    /// What was there is as it was.
    #[allow(clippy::too_many_arguments)] // two names, each with its directory
    pub fn link(
        &self,
        to: &Arc<Dir>,
        name: &Name,
        leader_dir: &Dir,
        leader: &Name,
        inode: (u64, u64),
        dest: Option<&Attrs>,
        path: &RelPath,
        remarks: &mut Remarks,
    ) -> Result<(), Failure> {
        self.place_link(to, name, inode, dest, path, remarks, &|name| to.link_from(name, leader_dir, leader))
    }

    /// Gives `name` in `to` to the inode `inode` by `link`, in place of `dest` if that is there.
    ///
    /// # Errors
    ///
    /// `link` does not do it, or gave the name to something else. What was there is as it was.
    #[allow(clippy::too_many_arguments)] // the name's side and the inode's
    pub(super) fn place_link(
        &self,
        to: &Arc<Dir>,
        name: &Name,
        inode: (u64, u64),
        dest: Option<&Attrs>,
        path: &RelPath,
        remarks: &mut Remarks,
        link: &dyn Fn(&Name) -> Result<(), Errno>,
    ) -> Result<(), Failure> {
        let fail = |e| self.dest_failure("link", path, e);
        let linked = |name: &Name| {
            let there = to.stat(name).map_err(fail)?;
            if (there.dev, there.ino) == inode {
                return Ok(());
            }
            let text = "the entry that it is to be a link of was replaced meanwhile";
            // The wrong link is ours: it was made a moment ago under this name.
            let _unheard = to.remove(name);
            Err(Failure::Problem(Problem::text("link", &self.cx.dest_typed(path), text)))
        };
        if dest.is_none() {
            match link(name) {
                Ok(()) => return linked(name),
                Err(Errno::EEXIST) => {}
                Err(e) => return Err(fail(e)),
            }
        }
        let fresh = temp::with_temp_name(to, name, link).map_err(fail)?;
        linked(&fresh)?;
        let backed_up = self.replaces(to, name, path, dest).and_then(|dest| match dest {
            Some(dest) => self.back_up(to, name, path, &dest, remarks),
            None => Ok(()),
        });
        let done = backed_up.and_then(|()| to.rename(&fresh, to, name).map_err(fail));
        // rename(2) of two names of one inode does nothing and leaves both.
        if done.is_err() || to.stat_if_any(&fresh).is_ok_and(|left| left.is_some()) {
            let _unheard = to.remove(&fresh);
        }
        done
    }
}

impl Holder for Pinned {
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
        Inode::pinned(self)
    }

    fn attrs(&self) -> Result<Attrs, Errno> {
        self.attrs_now()
    }
}
