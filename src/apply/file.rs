//! A regular file: temp file, data, attributes, verification, commit.
//!
//! 1. The source is opened; its descriptor, not the listing, says how long it is and when it changed.
//! 2. The data is copied to a temp file, or added to what an earlier run left of it (`super::partial`). A source
//!    that got shorter meanwhile is copied again once.
//! 3. Owner, mode, what is attached, and time are set on the temp file's descriptor.
//! 4. With `--verify` both are hashed; if they differ all is done again once, and then given up.
//! 5. What is to be replaced is backed up, and the temp file renamed over it.
//!
//! Whatever fails, the old file stays as it was; only `--inplace` gives that promise away.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use super::{Applier, Failure, Holder, Remarks, vanished};
use crate::engine::Target;
use crate::event::{Problem, Severity};
use crate::path::dir;
use crate::path::xattr::{Inode, Xattrs};
use crate::path::{Attrs, Dir, Kind, RelPath, TempFile, Time};
use crate::plan::Append;
use crate::plan::attached::Ready;
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
#[derive(Clone, Copy)]
pub struct Place<'a> {
    /// The sending side.
    pub supply: &'a dyn Supply,
    /// The source's entry.
    pub entry: &'a Entry,
    /// The destination's directory.
    pub to: &'a Arc<Dir>,
    /// What the destination has under that name; never a directory.
    pub dest: Option<&'a Attrs>,
    /// What a basis directory has under that name, which a new file takes its mode from where modes are not
    /// kept.
    pub like: Option<&'a Attrs>,
    /// It gets its name at the end of the transfer (`--delay-updates`).
    pub waits: bool,
    /// The path in the transfer.
    pub path: &'a RelPath,
    /// What was typed for the root of the source.
    pub prefix: &'a [u8],
}

impl Place<'_> {
    pub(super) fn source_typed(&self) -> Vec<u8> {
        crate::plan::source::typed(self.prefix, self.path)
    }

    pub(super) fn source_failure(&self, op: &'static str, errno: Errno) -> Failure {
        source_problem(op, &self.source_typed(), errno).into()
    }

    /// What is attached to the entry, with the values that its listing did not hold. Where they cannot be
    /// had there is a remark, and the destination's are left alone.
    ///
    /// # Errors
    ///
    /// Only that the run was asked to stop.
    pub fn ready(&self, remarks: &mut Remarks) -> Result<Ready, Failure> {
        let Some(attached) = &self.entry.attached else { return Ok(Ready::default()) };
        let (names, _) = attached.long();
        if names.is_empty() {
            return Ok(attached.ready(&Xattrs::default()));
        }
        match self.supply.long_xattrs(self, &names) {
            Ok(long) => Ok(attached.ready(&long)),
            Err(Failure::Problem(problem)) => {
                remarks.problems.push(problem);
                Ok(Ready { xattrs: None, ..attached.ready(&Xattrs::default()) })
            }
            Err(Failure::Stopped) => Err(Failure::Stopped),
        }
    }

    /// The source got shorter while it was copied.
    #[must_use]
    pub fn shrank(&self) -> Failure {
        let text = "ended before the length that it announces; the destination is unchanged";
        let problem = Problem::text("copy", &self.source_typed(), text);
        problem.hint("it is being rewritten, or made up by the kernel (/sys, /proc)").into()
    }

    /// The source is shorter by now than what it was to be added to (`--append`).
    #[must_use]
    pub fn diminished(&self) -> Failure {
        diminished(&self.source_typed()).into()
    }

    /// What was stored is something else than the source.
    #[must_use]
    pub fn differs(&self) -> Failure {
        let text = "what was stored is not what the source holds; the destination is unchanged";
        let problem = Problem::text("verify", &self.source_typed(), text).severity(Severity::Unverified);
        problem.hint("the source changes while it is read, or memory or a disk is failing").into()
    }
}

/// What is wrong with a source file, `typed` as the operator would, that was listed and cannot be opened
/// or read now.
#[must_use]
pub fn source_problem(op: &'static str, typed: &[u8], errno: Errno) -> Problem {
    match errno {
        Errno::ENOENT => vanished(typed),
        Errno::ELOOP | Errno::EBADFD | Errno::ENOTDIR => {
            Problem::text(op, typed, "changed its type while it was being copied")
        }
        errno => Problem::os(op, typed, errno),
    }
}

/// The source `typed` is shorter by now than what it was to be added to (`--append`).
#[must_use]
pub fn diminished(typed: &[u8]) -> Problem {
    Problem::text("append", typed, "has become shorter than what is there; the destination is unchanged")
}

/// What a target holds before anything is stored in it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kept {
    /// Nothing: it is new.
    Nothing,
    /// Something else, which is overwritten where it lies.
    Other,
    /// So many bytes that an earlier run left, in a file that has no name of its own yet. If they are not the source's
    /// beginning, nothing of them is kept.
    Partial(u64),
    /// So many bytes of a file that keeps its inode. If they are not the source's beginning, they are overwritten
    /// (`--append-verify`, `--inplace`).
    Beginning(u64),
    /// So many bytes of a file that is added to, whatever they are (`--append`).
    Unseen(u64),
}

/// The sending side of an entry: where data comes from.
pub trait Supply {
    /// Gets hold of the source's data. `attempt` counts from 0: an earlier one went wrong in a way that is worth
    /// another try.
    ///
    /// # Errors
    ///
    /// It cannot be opened, or is no regular file any more.
    fn open(&self, place: &Place<'_>, attempt: u32) -> Result<Box<dyn Incoming + '_>, Failure>;

    /// The values of the extended attributes `names` of the source's entry; one that is gone is left out.
    ///
    /// # Errors
    ///
    /// They cannot be read (any more).
    fn long_xattrs(&self, place: &Place<'_>, names: &[&[u8]]) -> Result<Xattrs, Failure>;

    /// Removes the source after a transfer, if it is still what was transferred (`--remove-source-files`).
    ///
    /// # Errors
    ///
    /// It changed meanwhile, or cannot be removed: it stays.
    fn remove(&self, place: &Place<'_>) -> Result<(), Failure>;
}

/// The data of one file on its way.
pub trait Incoming {
    /// Says where the data is to go, before [`Incoming::fill`] waits for it: what comes from a peer can be
    /// asked for early.
    ///
    /// # Errors
    ///
    /// The source is out of reach.
    fn aim(&mut self, _applier: &Applier<'_>, _target: Arc<OwnedFd>, _kept: Kept) -> Result<(), Failure> {
        Ok(())
    }

    /// Whether what an earlier run left is cheaper to compare with the source than to be had again. On one machine it
    /// is not: both would be read to save a copy that the kernel makes.
    fn resumes(&self) -> bool {
        false
    }

    /// Has the data stored in a target that held `kept`, and verified where that is wanted. The inner error is worth
    /// another try.
    ///
    /// # Errors
    ///
    /// The target holds no complete file.
    fn fill(
        self: Box<Self>,
        applier: &Applier<'_>,
        place: &Place<'_>,
        target: Target<'_>,
        kept: Kept,
    ) -> Result<Result<Filled, Failure>, Failure>;
}

/// What a target was filled with.
#[derive(Debug)]
pub struct Filled {
    /// The source's length when it was opened, in bytes.
    pub size: u64,
    /// Its time then.
    pub mtime: Time,
    /// Bytes of data moved.
    pub moved: u64,
    /// BLAKE3 of the data, where it was verified.
    pub digest: Option<[u8; 32]>,
}

/// A transfer that has begun: the source is at hand and the target is made.
pub struct Begun<'s> {
    incoming: Box<dyn Incoming + 's>,
    goal: Goal,
    kept: Kept,
    now: Attrs,
    remarks: Remarks,
}

enum Goal {
    /// Gets its name when it is complete.
    Temp(TempFile),
    /// Is written under its name (`--inplace`).
    InPlace(Arc<OwnedFd>),
}

impl Goal {
    fn fd(&self) -> BorrowedFd<'_> {
        match self {
            Goal::Temp(temp) => temp.as_fd(),
            Goal::InPlace(file) => file.as_fd(),
        }
    }

    fn shared(&self) -> Arc<OwnedFd> {
        match self {
            Goal::Temp(temp) => temp.shared(),
            Goal::InPlace(file) => Arc::clone(file),
        }
    }
}

enum Attempt {
    Done(Transferred),
    Again(Failure),
}

impl Applier<'_> {
    /// Transfers the data and attributes of a regular file; `begun`, if that has been begun.
    ///
    /// # Errors
    ///
    /// The old file, if any, is as it was (but for `--inplace`).
    pub fn transfer(
        &self,
        place: &Place<'_>,
        mut begun: Option<Begun<'_>>,
        remarks: &mut Remarks,
    ) -> Result<Transferred, Failure> {
        let mut last = None;
        for attempt in 0..ATTEMPTS {
            let begun = match begun.take() {
                Some(begun) => begun,
                None => self.begin(place, attempt)?,
            };
            match self.finish(place, begun, remarks)? {
                Attempt::Done(done) => return Ok(done),
                Attempt::Again(why) => last = Some(why),
            }
        }
        Err(last.unwrap_or(Failure::Stopped))
    }

    /// Gets hold of the source and makes the target: a temp file, or with `--inplace` the file itself.
    ///
    /// # Errors
    ///
    /// One of the two cannot be had; nothing has changed.
    pub fn begin<'s>(&self, place: &Place<'s>, attempt: u32) -> Result<Begun<'s>, Failure> {
        let mut incoming = place.supply.open(place, attempt)?;
        let mut remarks = Remarks::default();
        let device = place.dest.filter(|dest| self.cx.options.writes_into(Kind::File, dest.kind));
        let in_place =
            self.options.inplace && place.dest.is_none_or(|dest| dest.kind == Kind::File || device.is_some());
        let name = place.entry.target();
        if place.dest.is_some() {
            self.unlock_file(place.to, name, place.path);
        }
        // What differed once may have differed for what was kept.
        let resumes = attempt == 0 && incoming.resumes();
        let (goal, kept) = match place.dest.filter(|_| in_place) {
            Some(dest) => {
                // The attempt before has written to it already.
                if attempt == 0 {
                    self.back_up_by_copy(place.to, name, place.path, dest, &mut remarks)?;
                }
                let failed = |e| self.dest_failure("open", place.path, e);
                match device {
                    Some(device) => {
                        let file = place.to.open_device_for_update(name, device).map_err(failed)?;
                        (Goal::InPlace(Arc::new(file.into())), Kept::Other)
                    }
                    None => {
                        let file = place.to.open_file_for_update(name).map_err(failed)?;
                        let kept = self.kept_in_place(place, dest, &file.attrs, attempt, resumes)?;
                        (Goal::InPlace(Arc::new(file.into())), kept)
                    }
                }
            }
            None if in_place => {
                let file = place.to.create_file(name);
                let file = file.map_err(|e| self.dest_failure("create", place.path, e))?;
                (Goal::InPlace(Arc::new(file)), Kept::Nothing)
            }
            None => {
                let (temp, kept) = self.temp_file(place, resumes)?;
                (Goal::Temp(temp), kept)
            }
        };
        let now = dir::attrs_of(goal.fd()).map_err(|e| self.dest_failure("stat", place.path, e))?;
        if let Some(flags) = place.entry.attached.as_ref().and_then(|attached| attached.flags) {
            // Only of an empty file it can be said whether it is copied on write.
            let _told_later = Inode::file(goal.fd()).set_cow(flags);
        }
        // Where holes are asked for, there is no room to be had for them.
        let reserves = self.options.preallocate && !self.engine.makes_holes() && device.is_none();
        if reserves && place.entry.attrs.size > now.size {
            match dir::reserve(goal.fd(), place.entry.attrs.size) {
                // A filesystem that cannot: there is nothing to gain.
                Ok(()) | Err(Errno::EOPNOTSUPP | Errno::ENOSYS) => {}
                Err(e) => return Err(self.dest_failure("preallocate", place.path, e)),
            }
        }
        incoming.aim(self, goal.shared(), kept)?;
        Ok(Begun { incoming, goal, kept, now, remarks })
    }

    /// What of a file that is written in place may stay; `dest` is it as it was looked at, `now` as it was opened.
    fn kept_in_place(
        &self,
        place: &Place<'_>,
        dest: &Attrs,
        now: &Attrs,
        attempt: u32,
        resumes: bool,
    ) -> Result<Kept, Failure> {
        let append = self.cx.options.append;
        if append != Append::Off && now.size < dest.size {
            let text = "has become shorter since it was looked at; nothing is added to it";
            return Err(Problem::text("append to", &self.cx.dest_typed(place.path), text).into());
        }
        let longer = place.entry.attrs.size > dest.size;
        Ok(match append {
            _ if dest.size == 0 => Kept::Other,
            Append::Unseen => Kept::Unseen(dest.size),
            Append::Verified if attempt == 0 => Kept::Beginning(dest.size),
            Append::Off if resumes && longer => Kept::Beginning(dest.size),
            _ => Kept::Other,
        })
    }

    /// Gives up a transfer that has begun, because the run is over: what has come of it is kept where that is
    /// wanted.
    pub fn abandon(&self, place: &Place<'_>, begun: Begun<'_>) {
        if let Goal::Temp(temp) = begun.goal {
            self.keep_partial(temp, place);
        }
    }

    fn finish(&self, place: &Place<'_>, begun: Begun<'_>, remarks: &mut Remarks) -> Result<Attempt, Failure> {
        let Begun { incoming, goal, kept, now, remarks: remarked } = begun;
        remarks.problems.extend(remarked.problems);
        remarks.notes.extend(remarked.notes);
        let fresh = kept == Kept::Nothing;
        let device = now.kind.is_device();
        let target = Target { fd: goal.fd(), dev: now.dev, fresh, device };
        let filled = match incoming.fill(self, place, target, kept) {
            Ok(Ok(filled)) => filled,
            Ok(Err(again)) => {
                if let Goal::Temp(temp) = goal {
                    temp.discard();
                    self.forget_partial(place, matches!(kept, Kept::Partial(_)));
                }
                return Ok(Attempt::Again(again));
            }
            Err(failure) => {
                if let (Failure::Stopped, Goal::Temp(temp)) = (&failure, goal) {
                    self.keep_partial(temp, place);
                }
                return Err(failure);
            }
        };
        let attrs = Attrs { size: filled.size, mtime: filled.mtime, ..place.entry.attrs };
        let there = place.dest.filter(|dest| dest.kind == Kind::File || device).or(place.like);
        if self.options.preallocate {
            // With its time a file must have its data, also after a crash: its size may be there before that.
            dir::flush(goal.fd()).map_err(|e| self.dest_failure("flush", place.path, e))?;
        }
        // Writing has moved the time and may have dropped set-id bits: nothing counts as right already.
        let never = Time { sec: i64::MIN, nsec: 0 };
        let atime = if self.cx.options.atimes { never } else { now.atime };
        let unsure = Attrs { mode: u32::MAX, mtime: never, atime, ..now };
        let holds = match &goal {
            Goal::Temp(_) if fresh => now,
            _ if self.stores() => {
                let seen = self.seen(Inode::file(goal.fd()), now);
                Attrs { mtime: never, atime, ..seen }
            }
            _ => unsure,
        };
        let attached = place.ready(remarks)?;
        let wanted = self.wanted(&attrs, there, place.to);
        self.set_attributes(&File(goal.fd()), &holds, &wanted, &attached, place.path, remarks);
        if self.options.fsync || self.options.remove_source_files {
            dir::flush(goal.fd()).map_err(|e| self.dest_failure("flush", place.path, e))?;
        }
        if let Goal::Temp(temp) = goal {
            let name = place.entry.target();
            let fail = |e| self.dest_failure("rename to", place.path, e);
            if place.waits {
                let done = temp.commit(&*self.holding(place)?, name, false);
                if done.is_err() {
                    self.remove_holding(place.to);
                }
                done.map_err(fail)?;
            } else {
                self.back_up_replaced(place, remarks)?;
                temp.commit(place.to, name, place.dest.is_some()).map_err(fail)?;
            }
            self.forget_partial(place, matches!(kept, Kept::Partial(_)));
        }
        let Filled { moved, digest, .. } = filled;
        Ok(Attempt::Done(Transferred { moved, inode: (now.dev, now.ino), digest }))
    }

    /// Backs up what a file replaces, where that is asked for.
    pub(super) fn back_up_replaced(&self, place: &Place<'_>, remarks: &mut Remarks) -> Result<(), Failure> {
        let unless_backup = |dest: &Attrs| dest.kind == Kind::File || !self.is_backup(place.path);
        let name = place.entry.target();
        match self.replaces(place.to, name, place.path, place.dest)?.filter(unless_backup) {
            Some(dest) => self.back_up(place.to, name, place.path, &dest, remarks),
            None => Ok(()),
        }
    }

    /// Waits until what the destination has of an entry, which was there before, is on its disk.
    ///
    /// # Errors
    ///
    /// It cannot be said to be.
    pub fn flush_existing(&self, place: &Place<'_>) -> Result<(), Failure> {
        if place.entry.attrs.kind != Kind::File {
            return Ok(());
        }
        let flushed = place.to.open_file(place.entry.target()).and_then(|file| dir::flush(file.as_fd()));
        flushed.map_err(|e| self.dest_failure("flush", place.path, e))
    }

    /// Where the temp file of this target is made: `--temp-dir`, if a rename from there can succeed.
    pub(super) fn temp_home<'p>(&'p self, place: &'p Place<'_>) -> &'p Arc<Dir> {
        let same_filesystem = |temp: &&Arc<Dir>| match (temp.attrs(), place.to.attrs()) {
            (Ok(a), Ok(b)) => a.dev == b.dev,
            _ => false,
        };
        self.temp_root.as_ref().filter(same_filesystem).unwrap_or(place.to)
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

    fn times(&self, atime: Option<Time>, mtime: Option<Time>) -> Result<(), Errno> {
        dir::set_times(self.0, atime, mtime)
    }

    fn inode(&self) -> Inode<'_> {
        Inode::file(self.0)
    }

    fn attrs(&self) -> Result<Attrs, Errno> {
        dir::attrs_of(self.0)
    }
}
