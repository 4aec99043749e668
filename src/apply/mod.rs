//! FLOOR 4. One decision below a root becomes one result: file, node, backup, removal. No sockets.
//!
//! Whatever is done is done on held directories and descriptors. A destination name changes by one
//! rename (or one link where nothing was), after everything about the new inode is in place.

use std::ffi::OsString;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::engine::{Engine, Pace};
use crate::event::{Meter, Note, Problem, Severity};
use crate::path::acl::Which;
use crate::path::xattr::Inode;
use crate::path::{Attrs, Dir, Kind, RelPath, Time};
use crate::plan::Context;
use crate::plan::attached::Ready;
use crate::plan::compare::{accessed, drifted_mtime, keeps_atime, keeps_time, kept_mode, same_time};
use crate::sys::Errno;
use attached::Part;

mod attached;
pub mod backup;
pub mod basis;
pub mod dirs;
pub mod file;
pub mod flags;
pub mod here;
pub mod holding;
pub mod node;
pub mod partial;
pub mod remove;
mod stored;

/// How decisions are carried out.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[allow(clippy::struct_excessive_bools)] // they are rsync's switches
pub struct Options {
    /// `--verify`: hash source and destination before the rename.
    pub verify: bool,
    /// `--no-verify`: what comes from a peer is not compared with what was meant either.
    pub unverified: bool,
    /// `--inplace`.
    pub inplace: bool,
    /// `--partial`: keep what was copied when interrupted.
    pub partial: bool,
    /// `--partial-dir`, as typed: where that is kept.
    pub partial_dir: Option<OsString>,
    /// `--preallocate`: room for a file is had before its data comes.
    pub preallocate: bool,
    /// `--fsync`.
    pub fsync: bool,
    /// `--delay-updates`.
    pub delay_updates: bool,
    /// `-b`.
    pub backup: bool,
    /// `--backup-dir`, as typed.
    pub backup_dir: Option<OsString>,
    /// `--suffix`.
    #[serde(with = "serde_bytes")]
    pub suffix: Vec<u8>,
    /// `-T`, as typed.
    pub temp_dir: Option<OsString>,
    /// `--remove-source-files`.
    pub remove_source_files: bool,
    /// `--max-delete`.
    pub max_delete: Option<u64>,
    /// `--bwlimit` in bytes per second.
    pub bwlimit: Option<u64>,
}

/// Carries out decisions; shared by all workers of a run.
pub struct Applier<'a> {
    /// How.
    pub options: &'a Options,
    /// What the plan knows: which attributes are kept, who we are.
    pub cx: &'a Context<'a>,
    /// Moves the bytes.
    pub engine: &'a Engine,
    /// Told about every step of a copy; may ask to stop.
    pub pace: &'a dyn Pace,
    /// Where the progress is counted, and the wish to stop is found.
    pub meter: &'a Meter,
    /// `--backup-dir`; made when the first backup is.
    pub backup_root: Option<&'a backup::BackupRoot>,
    /// `--temp-dir`, open.
    pub temp_root: Option<Arc<Dir>>,
    /// `--partial-dir`.
    pub partials: Option<&'a partial::Partials>,
    /// What is locked at the end of the run (`--fileflags`).
    pub locks: &'a flags::Locks,
}

/// Why something was not done.
#[derive(Debug)]
pub enum Failure {
    /// Report it; the run goes on.
    Problem(Problem),
    /// The run was asked to stop.
    Stopped,
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Failure {
        Failure::Problem(problem)
    }
}

/// Things worth telling that came up while something was done all the same.
#[derive(Debug, Default)]
pub struct Remarks {
    /// What could not be kept.
    pub problems: Vec<Problem>,
    /// What else happened.
    pub notes: Vec<Note>,
}

/// The operations on an inode that is held, by whatever kind of descriptor.
trait Holder {
    fn owner(&self, uid: Option<u32>, gid: Option<u32>) -> Result<(), Errno>;
    fn mode(&self, mode: u32) -> Result<(), Errno>;
    fn times(&self, atime: Option<Time>, mtime: Option<Time>) -> Result<(), Errno>;
    fn inode(&self) -> Inode<'_>;
    fn attrs(&self) -> Result<Attrs, Errno>;
}

impl Applier<'_> {
    /// Gives the held inode, which is `now`, the attributes of `wanted` that the options keep, and what is
    /// `attached`, in the order owner, extended attributes, mode, access control lists, capabilities, time, flags:
    /// an earlier one undoes or refuses a later one.
    ///
    /// What cannot be set is remarked; the rest is set all the same.
    fn set_attributes(
        &self,
        inode: &dyn Holder,
        now: &Attrs,
        wanted: &Wanted,
        attached: &Ready,
        path: &RelPath,
        remarks: &mut Remarks,
    ) {
        if self.stores() {
            return self.store_attributes(inode, now, wanted, attached, path, remarks);
        }
        let failed = |op, errno, remarks: &mut Remarks| {
            let typed = self.cx.dest_typed(path);
            remarks.problems.push(Problem::os(op, &typed, errno));
        };
        let uid = wanted.uid.filter(|uid| *uid != now.uid);
        let gid = wanted.gid.filter(|gid| *gid != now.gid);
        let mut mode_now = now.mode;
        let mut changed = false;
        if uid.is_some() || gid.is_some() {
            if let Err(e) = inode.owner(uid, gid) {
                failed("set owner of", e, remarks);
            } else {
                // The kernel takes set-id bits away with the owner.
                mode_now &= 0o1777;
            }
        }
        if let Some(xattrs) = &attached.xattrs {
            // Only the owner's right to write lets anybody but root set those of the user's namespace.
            let locked = !self.cx.unhindered && mode_now & 0o200 == 0 && now.kind != Kind::Symlink;
            if locked
                && self.xattrs_differ(inode.inode(), Some(xattrs))
                && inode.mode(mode_now | 0o200).is_ok()
            {
                mode_now |= 0o200;
            }
            changed |= self.set_xattrs(inode.inode(), xattrs, Part::Most, path, remarks);
        }
        if let Some(mode) = wanted.mode.filter(|mode| *mode != mode_now || mode_now != now.mode)
            && let Err(e) = inode.mode(mode)
        {
            failed("set mode of", e, remarks);
        }
        if let Some(acls) = &attached.acls {
            let mode = wanted.mode.unwrap_or(now.mode);
            self.set_acls(inode.inode(), now.kind, acls, mode, path, remarks);
        }
        if let Some(xattrs) = &attached.xattrs {
            changed |= self.set_xattrs(inode.inode(), xattrs, Part::Capability, path, remarks);
        }
        let mtime = wanted.mtime.or(wanted.drifted.filter(|_| changed));
        self.set_times(inode, now, &Wanted { mtime, ..*wanted }, path, remarks);
        self.set_flags(inode.inode(), now, attached.flags, path, remarks);
    }

    /// The part of [`Applier::set_attributes`] that comes last but for flags.
    fn set_times(
        &self,
        inode: &dyn Holder,
        now: &Attrs,
        wanted: &Wanted,
        path: &RelPath,
        remarks: &mut Remarks,
    ) {
        let mtime = wanted.mtime.filter(|mtime| *mtime != now.mtime);
        let atime = wanted.atime.filter(|atime| *atime != now.atime);
        // libfuse 2 drops a request to set one time and not the other, and says that all is well.
        if (mtime.is_some() || atime.is_some())
            && let Err(e) = inode.times(atime.or(Some(now.atime)), mtime.or(wanted.mtime))
            // A filesystem without times for links keeps what it has, as rsync does without a word.
            && !(now.kind == Kind::Symlink && e == Errno::EOPNOTSUPP)
        {
            remarks.problems.push(Problem::os("set time of", &self.cx.dest_typed(path), e));
        }
    }

    /// The inode that is held, as the destination's are seen.
    fn inode_of<'h>(&self, held: &'h dyn Holder) -> Inode<'h> {
        held.inode().seen(self.cx.dest_face())
    }

    /// The permission bits that something new in `home` gets of those of its source, where they are not kept:
    /// what the directory's default access control list leaves, or else the umask.
    fn new_mode(&self, home: &Dir, source: u32) -> u32 {
        // A list that cannot be read is none; the umask is the narrower one in most cases.
        let list = Inode::dir(home).acl(Which::Default, 0).ok().flatten();
        source & 0o777 & list.map_or(!self.cx.umask, |list| list.mode())
    }

    /// What an entry with `source`'s attributes is to get in `home`, where `dest` is what was there of its kind.
    fn wanted(&self, source: &Attrs, dest: Option<&Attrs>, home: &Dir) -> Wanted {
        let options = self.cx.options;
        let mode = match dest {
            _ if source.kind == Kind::Symlink && !self.stores() => None,
            _ if options.perms => Some(source.mode),
            Some(dest) => Some(kept_mode(options, source, dest)),
            None => Some(self.new_mode(home, source.mode)),
        };
        Wanted {
            uid: (options.owner && self.cx.may_chown()).then_some(source.uid),
            gid: (options.group && self.cx.may_chgrp(source.gid)).then_some(source.gid),
            mode,
            mtime: keeps_time(options, source.kind).then_some(source.mtime),
            atime: keeps_atime(options, source.kind).then_some(source.atime),
            drifted: None,
        }
    }

    /// As [`Applier::wanted`], for an inode that keeps its time if that counts as equal: what is not seen
    /// as a difference is not set.
    fn wanted_of_existing(&self, source: &Attrs, now: &Attrs, home: &Dir) -> Wanted {
        let wanted = self.wanted(source, Some(now), home);
        let options = self.cx.options;
        let differs =
            |mtime: &Time| drifted_mtime(options, source, now) || !same_time(options, *mtime, now.mtime);
        let atime = wanted.atime.filter(|_| accessed(options, source, now));
        Wanted { mtime: wanted.mtime.filter(differs), atime, drifted: wanted.mtime, ..wanted }
    }

    /// A failed operation on the destination's `path`.
    pub fn dest_failure(&self, op: &'static str, path: &RelPath, errno: Errno) -> Failure {
        let problem = Problem::os(op, &self.cx.dest_typed(path), errno);
        Failure::Problem(match errno {
            Errno::ENOSPC | Errno::EDQUOT => {
                problem.hint("nothing more is deleted or transferred in this run")
            }
            _ => problem,
        })
    }
}

/// Whether the destination has no room left: the run must not delete or remove anything any more.
#[must_use]
pub fn is_out_of_space(problem: &Problem) -> bool {
    matches!(problem.cause, crate::event::Cause::Os(Errno::ENOSPC | Errno::EDQUOT))
}

/// The source's entry is gone: exit 24 unless something worse happens.
fn vanished(typed: &[u8]) -> Problem {
    Problem::text("copy", typed, "vanished before it could be copied").severity(Severity::Vanished)
}

/// Attributes to be set; `None` leaves one as it is.
#[derive(Clone, Copy, Debug, Default)]
struct Wanted {
    uid: Option<u32>,
    gid: Option<u32>,
    mode: Option<u32>,
    mtime: Option<Time>,
    atime: Option<Time>,
    /// The time that is set where an extended attribute is, though what is there counts as equal: to the
    /// nanosecond, as rsync does.
    drifted: Option<Time>,
}
