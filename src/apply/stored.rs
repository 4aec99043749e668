//! `--fake-super` at the destination: what only root could set or make is written down with the inode instead
//! ([`Face`] says how).
//!
//! The inode itself stays the running user's own, with permissions that let that user go on with it and give
//! nobody else's rights away.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use super::attached::Part;
use super::file::File;
use super::{Applier, Failure, Holder, Remarks, Wanted};
use crate::event::Problem;
use crate::path::dir;
use crate::path::face::{Face, usable_mode};
use crate::path::temp::PRIVATE;
use crate::path::xattr::Inode;
use crate::path::{Attrs, Dir, Kind, RelPath, TempFile};
use crate::plan::attached::Ready;
use crate::plan::entry::Entry;
use crate::sys::Errno;

impl Applier<'_> {
    /// Whether attributes are written down, and not set.
    pub(super) fn stores(&self) -> bool {
        self.cx.dest_face() == Face::Stored
    }

    /// The attributes for which `inode`, which itself has `real`, stands. What is nonsense says nothing: it is
    /// written anew.
    pub(super) fn seen(&self, inode: Inode<'_>, real: Attrs) -> Attrs {
        self.cx.dest_face().attrs(inode, real).unwrap_or(real)
    }

    /// As [`Applier::set_attributes`], written down. `now` is what the inode stands for.
    pub(super) fn store_attributes(
        &self,
        inode: &dyn Holder,
        now: &Attrs,
        wanted: &Wanted,
        attached: &Ready,
        path: &RelPath,
        remarks: &mut Remarks,
    ) {
        let meant = Attrs {
            mode: wanted.mode.unwrap_or(now.mode),
            uid: wanted.uid.unwrap_or(now.uid),
            gid: wanted.gid.unwrap_or(now.gid),
            ..*now
        };
        let usable = self.make_usable(inode, meant.mode, path, remarks);
        if let Some(xattrs) = &attached.xattrs {
            for part in [Part::Most, Part::Capability] {
                self.set_xattrs(self.inode_of(inode), xattrs, part, path, remarks);
            }
        }
        if let Some(acls) = &attached.acls {
            self.set_acls(self.inode_of(inode), now.kind, acls, meant.mode, path, remarks);
        }
        let written = usable.and_then(|real| Face::write(inode.inode(), &real, &meant));
        if let Err(e) = written {
            // Not as the kernel's own answer: a full inode is no full disk.
            let text = std::io::Error::from(e).to_string();
            let problem = Problem::text("write user.rsync.%stat of", &self.cx.dest_typed(path), text);
            remarks.problems.push(problem);
        }
        self.set_times(inode, now, wanted, path, remarks);
        self.set_flags(inode.inode(), now, attached.flags, path, remarks);
    }

    /// Gives the inode permissions with which the running user can go on with it; returns its attributes then.
    /// What is no file or directory can have nothing written down, which [`Face::write`] finds out.
    fn make_usable(
        &self,
        inode: &dyn Holder,
        mode: u32,
        path: &RelPath,
        remarks: &mut Remarks,
    ) -> Result<Attrs, Errno> {
        let real = inode.attrs()?;
        let usable = usable_mode(mode, real.kind == Kind::Dir);
        if !matches!(real.kind, Kind::File | Kind::Dir) || real.mode == usable {
            return Ok(real);
        }
        match inode.mode(usable) {
            Ok(()) => Ok(Attrs { mode: usable, ..real }),
            Err(e) => {
                remarks.problems.push(Problem::os("set mode of", &self.cx.dest_typed(path), e));
                Ok(real)
            }
        }
    }

    /// Has the copy `file` of something that stood for `like` stand for that.
    ///
    /// # Errors
    ///
    /// The copy cannot say what it is itself.
    pub(super) fn store_copy(
        &self,
        file: BorrowedFd<'_>,
        like: &Attrs,
        attached: &Ready,
        path: &RelPath,
        remarks: &mut Remarks,
    ) -> Result<(), Errno> {
        let now = Attrs { kind: like.kind, rdev: like.rdev, ..dir::attrs_of(file)? };
        let wanted = Wanted {
            uid: Some(like.uid),
            gid: Some(like.gid),
            mode: Some(like.mode),
            mtime: Some(like.mtime),
            atime: None,
            ..Wanted::default()
        };
        self.store_attributes(&File(file), &now, &wanted, attached, path, remarks);
        Ok(())
    }

    /// Makes a file that stands for the link or node `entry`, as [`Applier::make_node`] makes that.
    ///
    /// # Errors
    ///
    /// What was there is as it was.
    pub(super) fn store_node(
        &self,
        to: &Dir,
        entry: &Entry,
        dest: Option<&Attrs>,
        attached: &Ready,
        path: &RelPath,
        remarks: &mut Remarks,
    ) -> Result<(u64, u64), Failure> {
        let fail = |e| self.dest_failure("make a file that stands for", path, e);
        let home = Arc::new(to.again().map_err(fail)?);
        let temp = TempFile::create(&home, entry.target(), PRIVATE).map_err(fail)?;
        dir::write_all(temp.as_fd(), entry.link.as_deref().unwrap_or_default()).map_err(fail)?;
        let real = dir::attrs_of(temp.as_fd()).map_err(fail)?;
        let now = Attrs { kind: entry.attrs.kind, rdev: entry.attrs.rdev, ..real };
        let like = dest.filter(|dest| dest.kind != Kind::Symlink);
        let wanted = self.wanted(&entry.attrs, like, to);
        self.store_attributes(&File(temp.as_fd()), &now, &wanted, attached, path, remarks);
        if let Some(dest) = dest {
            self.back_up(to, entry.target(), path, dest, remarks)?;
        }
        let done = temp.commit(to, entry.target(), dest.is_some());
        done.map_err(|e| self.dest_failure("rename to", path, e))?;
        Ok((real.dev, real.ino))
    }
}
