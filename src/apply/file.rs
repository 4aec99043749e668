//! A regular file: temp file, data, attributes, verification, commit.
//!
//! 1. The source is opened; its descriptor, not the listing, says how long it is and when it changed.
//! 2. The data is copied to a temp file. A source that got shorter meanwhile is copied again once.
//! 3. Owner, mode and time are set on the temp file's descriptor.
//! 4. With `--verify` both are hashed; if they differ all is done again once, and then given up.
//! 5. What is to be replaced is backed up, and the temp file renamed over it.
//!
//! Whatever fails, the old file stays as it was; only `--inplace` gives that promise away.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use super::{Applier, Failure, Holder, Remarks, Wanted, vanished};
use crate::engine::{CopyError, DigestError, Outcome, Source, Target};
use crate::event::Problem;
use crate::path::dir::{self, OpenFile};
use crate::path::{Attrs, Dir, Kind, RelPath, TempFile, Time};
use crate::plan::entry::Entry;
use crate::sys::Errno;

/// Copies of one file before it is given up: a source that changes under us gets a second chance.
const ATTEMPTS: u32 = 2;

/// A file that has been transferred.
#[derive(Debug)]
pub struct Transferred {
    /// Bytes of data moved.
    pub moved: u64,
    /// Device and inode of what now has the name.
    pub inode: (u64, u64),
    /// BLAKE3 of the data, where it was verified.
    pub digest: Option<[u8; 32]>,
}

/// Where a file comes from and where it goes.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The source's directory.
    pub from: &'a Dir,
    /// The source's entry.
    pub entry: &'a Entry,
    /// The destination's directory.
    pub to: &'a Arc<Dir>,
    /// What the destination has under that name; never a directory.
    pub dest: Option<&'a Attrs>,
    /// The path in the transfer.
    pub path: &'a RelPath,
    /// What was typed for the root of the source.
    pub prefix: &'a [u8],
}

impl Place<'_> {
    fn source_typed(&self) -> Vec<u8> {
        crate::plan::source::typed(self.prefix, self.path)
    }

    fn source_failure(&self, op: &'static str, errno: Errno) -> Failure {
        match errno {
            Errno::ENOENT => vanished(&self.source_typed()),
            Errno::ELOOP | Errno::EBADFD | Errno::ENOTDIR => {
                Problem::text(op, &self.source_typed(), "changed its type while it was being copied").into()
            }
            errno => Problem::os(op, &self.source_typed(), errno).into(),
        }
    }
}

enum Attempt {
    Done(Transferred),
    Again(Failure),
}

impl Applier<'_> {
    /// Transfers the data and attributes of a regular file.
    ///
    /// # Errors
    ///
    /// The old file, if any, is as it was (but for `--inplace`).
    pub fn transfer(&self, place: &Place<'_>, remarks: &mut Remarks) -> Result<Transferred, Failure> {
        let mut last = None;
        for _ in 0..ATTEMPTS {
            let attempt = if self.options.inplace && place.dest.is_none_or(|dest| dest.kind == Kind::File) {
                self.transfer_in_place(place, remarks)
            } else {
                self.transfer_by_rename(place, remarks)
            };
            match attempt? {
                Attempt::Done(done) => return Ok(done),
                Attempt::Again(why) => last = Some(why),
            }
        }
        Err(last.unwrap_or(Failure::Stopped))
    }

    fn open_source(&self, place: &Place<'_>) -> Result<OpenFile, Failure> {
        let name = &place.entry.name;
        let opened = if place.entry.followed {
            place.from.open_file_following(name)
        } else {
            place.from.open_file(name)
        };
        opened.map_err(|e| place.source_failure("open", e))
    }

    fn transfer_by_rename(&self, place: &Place<'_>, remarks: &mut Remarks) -> Result<Attempt, Failure> {
        let source = self.open_source(place)?;
        let name = place.entry.target();
        let home = self.temp_home(place);
        let temp = TempFile::create(home, name)
            .map_err(|e| self.dest_failure("make a temp file for", place.path, e))?;
        let now = dir::attrs_of(temp.as_fd()).map_err(|e| self.dest_failure("stat", place.path, e))?;

        let copied = match self.copy(place, &source, temp.as_fd(), &now, true) {
            Err(Failure::Stopped) => {
                self.keep_partial(temp, place);
                return Err(Failure::Stopped);
            }
            other => other?,
        };
        let moved = match copied {
            Ok(copied) => copied,
            Err(shrank) => return Ok(Attempt::Again(shrank)),
        };
        let digest = match self.verify(place, &source, temp.as_fd())? {
            Ok(digest) => digest,
            Err(differs) => return Ok(Attempt::Again(differs)),
        };
        let attrs = Attrs { size: source.attrs.size, mtime: source.attrs.mtime, ..place.entry.attrs };
        let there = place.dest.filter(|dest| dest.kind == Kind::File);
        self.set_attributes(&File(temp.as_fd()), &now, &self.wanted(&attrs, there), place.path, remarks);
        if self.options.fsync || self.options.remove_source_files {
            dir::flush(temp.as_fd()).map_err(|e| self.dest_failure("flush", place.path, e))?;
        }
        let unless_backup = |dest: &&Attrs| dest.kind == Kind::File || !self.is_backup(place.path);
        if let Some(dest) = place.dest.filter(unless_backup) {
            self.back_up(place.to, name, place.path, dest, remarks)?;
        }
        temp.commit(place.to, name, place.dest.is_some())
            .map_err(|e| self.dest_failure("rename to", place.path, e))?;
        Ok(Attempt::Done(Transferred { moved, inode: (now.dev, now.ino), digest }))
    }

    fn transfer_in_place(&self, place: &Place<'_>, remarks: &mut Remarks) -> Result<Attempt, Failure> {
        let source = self.open_source(place)?;
        let name = place.entry.target();
        if let Some(dest) = place.dest {
            self.back_up_by_copy(place.to, name, place.path, dest, remarks)?;
        }
        let (target, now);
        match place.dest {
            Some(_) => {
                let file = place.to.open_file_for_update(name);
                let file = file.map_err(|e| self.dest_failure("open", place.path, e))?;
                now = file.attrs;
                target = std::os::fd::OwnedFd::from(file);
            }
            None => {
                target =
                    place.to.create_file(name).map_err(|e| self.dest_failure("create", place.path, e))?;
                now = dir::attrs_of(target.as_fd()).map_err(|e| self.dest_failure("stat", place.path, e))?;
            }
        }
        let moved = match self.copy(place, &source, target.as_fd(), &now, place.dest.is_none())? {
            Ok(copied) => copied,
            Err(shrank) => return Ok(Attempt::Again(shrank)),
        };
        let digest = match self.verify(place, &source, target.as_fd())? {
            Ok(digest) => digest,
            Err(differs) => return Ok(Attempt::Again(differs)),
        };
        let attrs = Attrs { size: source.attrs.size, mtime: source.attrs.mtime, ..place.entry.attrs };
        // Writing has moved the time and may have dropped set-id bits: nothing counts as right already.
        let unsure = Attrs { mode: u32::MAX, mtime: Time { sec: i64::MIN, nsec: 0 }, ..now };
        self.set_attributes(
            &File(target.as_fd()),
            &unsure,
            &self.wanted(&attrs, place.dest),
            place.path,
            remarks,
        );
        if self.options.fsync || self.options.remove_source_files {
            dir::flush(target.as_fd()).map_err(|e| self.dest_failure("flush", place.path, e))?;
        }
        Ok(Attempt::Done(Transferred { moved, inode: (now.dev, now.ino), digest }))
    }

    /// Bytes moved; or that the source shrank, which is worth another try.
    fn copy(
        &self,
        place: &Place<'_>,
        source: &OpenFile,
        target: BorrowedFd<'_>,
        target_attrs: &Attrs,
        fresh: bool,
    ) -> Result<Result<u64, Failure>, Failure> {
        let from = Source {
            fd: source.as_fd(),
            dev: source.attrs.dev,
            len: source.attrs.size,
            allocated: source.attrs.allocated,
        };
        match self.engine.copy(from, Target { fd: target, dev: target_attrs.dev, fresh }, self.pace) {
            Ok(copied) => Ok(match copied.outcome {
                Outcome::Complete => Ok(copied.bytes),
                Outcome::SourceShrank { .. } => {
                    let text = "ended before the length that it announces; the destination is unchanged";
                    let problem = Problem::text("copy", &place.source_typed(), text);
                    Err(problem.hint("it is being rewritten, or made up by the kernel (/sys, /proc)").into())
                }
            }),
            Err(CopyError::Interrupted { .. }) => Err(Failure::Stopped),
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
        target: BorrowedFd<'_>,
    ) -> Result<Result<Option<[u8; 32]>, Failure>, Failure> {
        if !self.options.verify {
            return Ok(Ok(None));
        }
        let digest = |fd, failed: &dyn Fn(Errno) -> Failure| match self.engine.digest(
            fd,
            source.attrs.size,
            self.pace,
        ) {
            Ok(digest) => Ok(Some(digest)),
            Err(DigestError::Changed) => Ok(None),
            Err(DigestError::Interrupted) => Err(Failure::Stopped),
            Err(DigestError::Failed { source, .. }) => Err(failed(source)),
        };
        let ours = digest(target, &|e| self.dest_failure("verify", place.path, e))?;
        let theirs = digest(source.as_fd(), &|e| place.source_failure("verify", e))?;
        Ok(match (ours, theirs) {
            (Some(ours), Some(theirs)) if ours == theirs => Ok(Some(ours.0)),
            _ => {
                let text = "what was stored is not what the source holds; the destination is unchanged";
                let problem = Problem::text("verify", &place.source_typed(), text);
                Err(problem
                    .hint("the source changes while it is read, or memory or a disk is failing")
                    .into())
            }
        })
    }

    /// Where the temp file of this target is made: `--temp-dir`, if a rename from there can succeed.
    fn temp_home<'p>(&'p self, place: &'p Place<'_>) -> &'p Arc<Dir> {
        let same_filesystem = |temp: &&Arc<Dir>| match (temp.attrs(), place.to.attrs()) {
            (Ok(a), Ok(b)) => a.dev == b.dev,
            _ => false,
        };
        self.temp_root.as_ref().filter(same_filesystem).unwrap_or(place.to)
    }

    /// `--partial`: what an interrupted copy left gets the name, if no complete file has it.
    fn keep_partial(&self, temp: TempFile, place: &Place<'_>) {
        if self.options.partial && place.dest.is_none() {
            // As old as can be, so that no later run takes it for newer than its source.
            let wanted =
                Wanted { mtime: Some(Time { sec: 0, nsec: 0 }), ..self.wanted(&place.entry.attrs, None) };
            if let Ok(now) = dir::attrs_of(temp.as_fd()) {
                self.set_attributes(&File(temp.as_fd()), &now, &wanted, place.path, &mut Remarks::default());
            }
            // The run ends anyway, with its own message; a partial that cannot be kept is dropped.
            let _kept = temp.commit(place.to, place.entry.target(), false);
        }
    }

    /// Removes the source's file after a transfer, if it is still what was transferred
    /// (`--remove-source-files`).
    ///
    /// # Errors
    ///
    /// It changed meanwhile, or cannot be removed: it stays.
    pub fn remove_source(&self, place: &Place<'_>) -> Result<(), Failure> {
        let name = &place.entry.name;
        let now = place.from.stat(name).map_err(|e| place.source_failure("remove", e))?;
        let then = &place.entry.attrs;
        if place.dest.is_some_and(|dest| dest.same_inode(&now)) {
            let text = "is its own destination; it is not removed";
            return Err(Problem::text("remove", &place.source_typed(), text).into());
        }
        if !place.entry.followed
            && (!now.same_inode(then) || now.mtime != then.mtime || now.size != then.size)
        {
            let text = "changed after it was transferred; it is not removed";
            return Err(Problem::text("remove", &place.source_typed(), text).into());
        }
        place.from.remove(name).map_err(|e| place.source_failure("remove", e))
    }
}

/// An open file whose attributes are set through its descriptor.
pub(super) struct File<'a>(pub BorrowedFd<'a>);

impl Holder for File<'_> {
    fn owner(&self, uid: Option<u32>, gid: Option<u32>) -> Result<(), Errno> {
        dir::set_owner(self.0, uid, gid)
    }

    fn mode(&self, mode: u32) -> Result<(), Errno> {
        dir::set_mode(self.0, mode)
    }

    fn mtime(&self, mtime: Time) -> Result<(), Errno> {
        dir::set_mtime(self.0, mtime)
    }
}
