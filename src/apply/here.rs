//! The data of a file of this machine: opened, copied by the ladder, verified.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use super::file::{Filled, Incoming, Kept, Place, Supply, source_problem};
use super::{Applier, Failure};
use crate::engine::{CopyError, Digest, DigestError, Outcome, Source, Target};
use crate::event::{Problem, Severity};
use crate::path::dir::{OpenFile, Reading};
use crate::path::xattr::{Inode, Xattrs};
use crate::path::{Attrs, Dir, Face, Kind};
use crate::plan::Append;
use crate::plan::attached::long_values;
use crate::plan::entry::Entry;
use crate::sys::Errno;

/// The source's directory, as a [`Supply`].
#[derive(Debug)]
pub struct Here {
    /// The directory.
    pub dir: Arc<Dir>,
    /// How its inodes are seen.
    pub face: Face,
    /// How its files are read.
    pub reading: Reading,
}

impl Supply for Here {
    fn open(&self, place: &Place<'_>, _attempt: u32) -> Result<Box<dyn Incoming + '_>, Failure> {
        let opened = self.dir.open_source(&place.entry.name, place.entry.followed, self.reading);
        Ok(Box::new(opened.map_err(|e| place.source_failure("open", e))?))
    }

    fn long_xattrs(&self, place: &Place<'_>, names: &[&[u8]]) -> Result<Xattrs, Failure> {
        let inode = Inode::named(&self.dir, &place.entry.name, place.entry.followed).seen(self.face);
        long_values(inode, names).map_err(|e| place.source_failure("read extended attributes of", e))
    }

    fn remove(&self, place: &Place<'_>) -> Result<(), Failure> {
        Ok(remove_source(&self.dir, place.entry, place.dest, &place.source_typed())?)
    }
}

/// Removes the source `entry` of `dir`, `typed` as the operator would, after a transfer
/// (`--remove-source-files`). `dest` is what the destination had, where that is on this machine.
///
/// # Errors
///
/// It is its own destination, has changed meanwhile, or cannot be removed: it stays.
pub fn remove_source(dir: &Dir, entry: &Entry, dest: Option<&Attrs>, typed: &[u8]) -> Result<(), Problem> {
    let now = dir.stat(&entry.name).map_err(|e| source_problem("remove", typed, e))?;
    let then = &entry.attrs;
    if dest.is_some_and(|dest| dest.same_inode(&now)) {
        return Err(Problem::text("remove", typed, "is its own destination; it is not removed"));
    }
    // A link's text never changes; how long it is told to be, --munge-links decides.
    let changed = now.mtime != then.mtime || now.kind != Kind::Symlink && now.size != then.size;
    if !entry.followed && (!now.same_inode(then) || changed) {
        return Err(Problem::text("remove", typed, "changed after it was transferred; it is not removed"));
    }
    dir.remove(&entry.name).map_err(|e| source_problem("remove", typed, e))
}

impl Incoming for OpenFile {
    fn fill(
        self: Box<Self>,
        applier: &Applier<'_>,
        place: &Place<'_>,
        target: Target<'_>,
        kept: Kept,
    ) -> Result<Result<Filled, Failure>, Failure> {
        let (from, verified) = applier.common(place, &self, target.fd, kept)?;
        let moved = match applier.copy(place, &self, target, from)? {
            Ok(moved) => moved,
            Err(shrank) => return Ok(Err(shrank)),
        };
        let digest = match applier.verify(place, &self, target, verified)? {
            Ok(digest) => digest,
            Err(differs) => return Ok(Err(differs)),
        };
        Ok(Ok(Filled { size: self.attrs.size, mtime: self.attrs.mtime, moved, digest }))
    }
}

impl Applier<'_> {
    /// Bytes moved; or that the source shrank, which is worth another try.
    fn copy(
        &self,
        place: &Place<'_>,
        source: &OpenFile,
        target: Target<'_>,
        from: u64,
    ) -> Result<Result<u64, Failure>, Failure> {
        let from = Source {
            fd: source.as_fd(),
            dev: source.attrs.dev,
            from,
            len: source.attrs.size,
            allocated: source.attrs.allocated,
        };
        match self.engine.copy(from, target, self.pace) {
            Ok(copied) => Ok(match copied.outcome {
                Outcome::Complete => Ok(copied.bytes),
                Outcome::SourceShrank { .. } => Err(place.shrank()),
            }),
            Err(CopyError::Interrupted { .. }) => Err(Failure::Stopped),
            Err(CopyError::NoWay { op, source, .. }) => {
                let problem = Problem::os(op, &place.source_typed(), source);
                Err(problem.severity(Severity::ZeroCopy).into())
            }
            // The kernel does not say which of the two files it means; these can only be the target.
            Err(CopyError::Failed { op, source, .. }) => Err(match source {
                Errno::ENOSPC | Errno::EDQUOT | Errno::EFBIG | Errno::EROFS => {
                    self.dest_failure(op, place.path, source)
                }
                errno => place.source_failure(op, errno),
            }),
        }
    }

    /// The digest of both, if they are equal and wanted; or that they differ, which is worth another try.
    fn verify(
        &self,
        place: &Place<'_>,
        source: &OpenFile,
        target: Target<'_>,
        from: u64,
    ) -> Result<Result<Option<[u8; 32]>, Failure>, Failure> {
        if !self.options.verify || target.device {
            return Ok(Ok(None));
        }
        Ok(match self.same(place, source, target.fd, from, source.attrs.size)? {
            // Of a part there is none to be told.
            Some(digest) => Ok((from == 0).then_some(digest.0)),
            None => Err(place.differs()),
        })
    }

    /// Where the source is to be copied from, and from where on the copy can be compared with it, in bytes.
    fn common(
        &self,
        place: &Place<'_>,
        source: &OpenFile,
        target: BorrowedFd<'_>,
        kept: Kept,
    ) -> Result<(u64, u64), Failure> {
        let len = match kept {
            Kept::Nothing | Kept::Other => return Ok((0, 0)),
            Kept::Partial(len) | Kept::Beginning(len) | Kept::Unseen(len) => len,
        };
        if len > source.attrs.size {
            return if self.cx.options.append == Append::Off { Ok((0, 0)) } else { Err(place.diminished()) };
        }
        if matches!(kept, Kept::Unseen(_)) {
            return Ok((len, len));
        }
        Ok((self.same(place, source, target, 0, len)?.map_or(0, |_| len), 0))
    }

    /// The digest of bytes `[from, to)` of source and target, if they hold the same.
    fn same(
        &self,
        place: &Place<'_>,
        source: &OpenFile,
        target: BorrowedFd<'_>,
        from: u64,
        to: u64,
    ) -> Result<Option<Digest>, Failure> {
        let digest = |fd, failed: &dyn Fn(Errno) -> Failure| match self
            .engine
            .follow_on(self.engine.hasher(), fd, from, self.pace)
            .finish(to)
        {
            Ok(digest) => Ok(Some(digest)),
            Err(DigestError::Changed) => Ok(None),
            Err(DigestError::Interrupted) => Err(Failure::Stopped),
            Err(DigestError::Failed { source, .. }) => Err(failed(source)),
        };
        let ours = digest(target, &|e| self.dest_failure("verify", place.path, e))?;
        let theirs = digest(source.as_fd(), &|e| place.source_failure("verify", e))?;
        Ok(ours.filter(|ours| Some(ours) == theirs.as_ref()))
    }
}
