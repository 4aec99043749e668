//! FLOOR 3. Two listings in, ordered decisions out. Changes nothing.
//!
//! 1. [`listing::list`] lists one source directory: links resolved, rules applied. [`look::look`] merges
//!    the listings of a directory's sources: the sending half.
//! 2. [`visit::visit`], the receiving half, looks at the destination, and has
//!    [`compare::decide`] say for each entry what is to be done, and [`basis::Search`] what a basis directory
//!    changes about that; [`surplus::find`] says what is to go.
//! 3. [`ahead::Ahead`] does that for the whole tree in transfer order, some directories ahead of whoever
//!    takes the results, on a few threads.
//! 4. [`links::Groups`] sorts out hard links as the results are taken.

use std::ffi::CString;
use std::os::fd::BorrowedFd;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::event::Meter;
use crate::path::dir::Reading;
use crate::path::{Face, HeldDir, Kind, Name, RelPath, Time};
use crate::sys::Errno;

use attached::Namespaces;

pub mod ahead;
pub mod attached;
pub mod basis;
pub mod chmod;
pub mod compare;
mod cvs;
pub mod entry;
pub mod filter;
mod gitignore;
pub mod itemize;
pub mod links;
pub mod listing;
pub mod look;
mod merge;
pub mod munge;
pub mod owners;
pub(crate) mod pattern;
mod prefix;
mod rules;
mod scope;
pub mod source;
pub mod surplus;
pub mod unsafe_link;
pub mod veil;
pub mod visit;
mod written;

/// When surplus entries are deleted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum Delete {
    /// Not at all.
    #[default]
    Off,
    /// `--delete-before`.
    Before,
    /// `--delete-during`, which `--delete` means.
    During,
    /// `--delete-delay`: found during, deleted after.
    Delay,
    /// `--delete-after`: found and deleted after.
    After,
}

/// Which files are only added to: what the destination holds of them counts as the source's beginning.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum Append {
    /// None.
    #[default]
    Off,
    /// All (`--append`), and what is there is not looked at.
    Unseen,
    /// All (`--append-verify`), if what is there is the source's beginning; otherwise they are written anew.
    Verified,
}

/// What symbolic links in the source become.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Links {
    /// `-l`: symbolic links are copied as such.
    pub preserve: bool,
    /// `-L`: what they point to is copied.
    pub copy_all: bool,
    /// `--copy-unsafe-links`.
    pub copy_unsafe: bool,
    /// `--safe-links`.
    pub safe: bool,
    /// `-k`: links to directories only.
    pub copy_dirlinks: bool,
    /// `-K`: a destination link to a directory is used as a directory.
    pub keep_dirlinks: bool,
    /// `--munge-links` where this side sends: links are told as they were before they were munged.
    pub unmunge: bool,
    /// `--munge-links` where this side receives: links are stored munged.
    pub munge: bool,
}

/// On which sides what only root could do is written down and read (`--fake-super`).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Fakes {
    /// Where the source is.
    pub source: bool,
    /// Where the destination is.
    pub dest: bool,
}

/// What is in the transfer, and what counts as a difference.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[allow(clippy::struct_excessive_bools)] // they are rsync's switches
pub struct Options {
    /// `-r`.
    pub recursive: bool,
    /// `-d`: directories without their contents.
    pub dirs: bool,
    /// Symbolic links.
    pub links: Links,
    /// `-H`.
    pub hard_links: bool,
    /// `-p`.
    pub perms: bool,
    /// `-A`.
    pub acls: bool,
    /// `--super`, `--no-super`: the receiving side acts as root would, or as others do.
    pub superuser: Option<bool>,
    /// `--fake-super`.
    pub fakes: Fakes,
    /// `--fileflags`.
    pub file_flags: bool,
    /// How often `-X` was given: 2 copies the names that rsync keeps for itself too.
    pub xattrs: u8,
    /// `-t`.
    pub times: bool,
    /// `-O`: not for directories.
    pub omit_dir_times: bool,
    /// `-J`: not for links.
    pub omit_link_times: bool,
    /// `-U`: access times too, of all but directories.
    pub atimes: bool,
    /// `--open-noatime`: reading a file leaves its access time.
    pub open_noatime: bool,
    /// `--copy-devices`: a device of the sending side is a regular file with its contents.
    pub copy_devices: bool,
    /// `--write-devices`: a device of the receiving side is written to like a file.
    pub write_devices: bool,
    /// `-E`: whether a regular file is executable, where `-p` does not say more.
    pub executability: bool,
    /// `-o`, where permitted.
    pub owner: bool,
    /// `-g`.
    pub group: bool,
    /// `--devices`.
    pub devices: bool,
    /// `--specials`.
    pub specials: bool,
    /// `--drop-D`: the receiving side makes neither devices nor special files.
    pub drop_nodes: bool,
    /// `-c`.
    pub checksum: bool,
    /// `--size-only`.
    pub size_only: bool,
    /// `-I`.
    pub ignore_times: bool,
    /// `-u`.
    pub update: bool,
    /// `--existing`.
    pub existing: bool,
    /// `--ignore-existing`.
    pub ignore_existing: bool,
    /// `--append`, `--append-verify`.
    pub append: Append,
    /// `--modify-window` in seconds; -1 compares nanoseconds.
    pub modify_window: i64,
    /// How often `-x` was given: 1 leaves out what lies on another filesystem, 2 its mount points too.
    pub one_file_system: u8,
    /// `--delete*`.
    pub delete: Delete,
    /// `--delete-excluded`.
    pub delete_excluded: bool,
    /// `--force`.
    pub force: bool,
    /// `--ignore-errors`.
    pub ignore_errors: bool,
    /// `--max-size` in bytes.
    pub max_size: Option<u64>,
    /// `--min-size` in bytes.
    pub min_size: Option<u64>,
    /// `--max-age`, `--newer-than`: files older than this are left out.
    pub oldest: Option<Time>,
    /// `--min-age`: files younger than this are left out.
    pub youngest: Option<Time>,
    /// `-m`.
    pub prune_empty_dirs: bool,
    /// `--numeric-ids`.
    pub numeric_ids: bool,
    /// `--usermap`, and what `--chown` says of users.
    pub usermap: Vec<owners::Mapping>,
    /// `--groupmap`, and what `--chown` says of groups.
    pub groupmap: Vec<owners::Mapping>,
    /// `--chmod`, in order; parsed by [`chmod::parse`].
    pub chmod: Vec<chmod::Rule>,
    /// `--link-dest`, `--copy-dest`, `--compare-dest`.
    pub bases: basis::Bases,
}

impl Options {
    /// How the source's inodes are seen.
    #[must_use]
    pub fn source_face(&self) -> Face {
        if self.fakes.source { Face::Recovered } else { Face::Real }
    }

    /// How the destination's inodes are seen.
    #[must_use]
    pub fn dest_face(&self) -> Face {
        if self.fakes.dest { Face::Stored } else { Face::Real }
    }

    /// Which extended attributes take part on the sending side, whose process has the rights for `own`: what was written
    /// down is of every namespace.
    #[must_use]
    pub fn sends_namespaces(&self, own: Namespaces) -> Namespaces {
        if self.fakes.source { Namespaces::All } else { own }
    }

    /// How the options have sources read.
    #[must_use]
    pub fn reading(&self) -> Reading {
        Reading { quiet: self.open_noatime, devices: self.copy_devices }
    }

    /// Whether an entry of `source`'s kind is data that goes into the device `dest`.
    #[must_use]
    pub fn writes_into(&self, source: Kind, dest: Kind) -> bool {
        self.write_devices && source == Kind::File && dest.is_device()
    }
}

/// What the whole plan of one run needs to know.
pub struct Context<'a> {
    /// The options.
    pub options: &'a Options,
    /// The process's umask.
    pub umask: u32,
    /// Files are given away, devices made: the process is root's, unless `--super` or `--no-super` says otherwise.
    pub root: bool,
    /// Permissions do not hold the process up: it is root's, whatever was said.
    pub unhindered: bool,
    /// Which extended attributes take part here.
    pub namespaces: Namespaces,
    /// Groups that the process may give its files to.
    pub groups: Vec<u32>,
    /// The destination, where it exists.
    pub dest_root: Option<Arc<HeldDir>>,
    /// The destination's device and inode.
    pub dest_identity: Option<(u64, u64)>,
    /// A source is the destination itself.
    pub copies_onto_itself: bool,
    /// The sources of the transfer's root. Where one of them lies inside the destination it is not written to.
    pub source_roots: Vec<(u64, u64)>,
    /// Sources that lie inside the destination, with all their parents: they are never surplus.
    pub source_parents: Vec<(u64, u64)>,
    /// The destination's name for the only source, a file.
    pub root_rename: Option<Name>,
    /// The destination as typed, for messages.
    pub dest_prefix: Arc<[u8]>,
    /// The receiver's rules that hold everywhere: a directory that they protect is not pruned
    /// (`--prune-empty-dirs`).
    pub protected: filter::Scope,
    /// What owners and groups become here; not asked by the sending half.
    pub owners: Option<&'a owners::Owners>,
    /// Links that are stored munged are shown so: this side has asked for the session, and the other sends.
    pub shows_munged: bool,
    /// Gives the listings, where a peer has the sources.
    pub feed: Option<&'a dyn visit::Feed>,
    /// Where the wish to stop is found: what is looked at meanwhile is left incomplete, and nobody takes it.
    pub meter: &'a Meter,
    /// The basis directories that could be opened, in order.
    pub bases: Vec<basis::Root>,
    /// What of the destination does not exist for the client (a daemon's module).
    pub veil: Option<veil::Veil>,
    /// BLAKE3 of so many bytes of an open file; `None` where they cannot all be read.
    pub digest: &'a (dyn Fn(BorrowedFd<'_>, u64) -> Option<[u8; 32]> + Sync),
}

impl Context<'_> {
    /// What the sending half needs where the destination is a peer's.
    #[must_use]
    pub fn of_sender<'a>(
        options: &'a Options,
        rules: &filter::Rules,
        in_module: bool,
        meter: &'a Meter,
        digest: &'a (dyn Fn(BorrowedFd<'_>, u64) -> Option<[u8; 32]> + Sync),
    ) -> Context<'a> {
        Context {
            options,
            umask: crate::path::operand::umask(),
            root: false,
            unhindered: false,
            namespaces: Namespaces::of(crate::path::operand::identity().root, in_module),
            groups: Vec::new(),
            dest_root: None,
            dest_identity: None,
            copies_onto_itself: false,
            source_roots: Vec::new(),
            source_parents: Vec::new(),
            root_rename: None,
            protected: filter::Scope::root(rules, filter::Side::Receiver),
            dest_prefix: Arc::default(),
            owners: None,
            shows_munged: false,
            feed: None,
            bases: Vec::new(),
            veil: None,
            meter,
            digest,
        }
    }

    /// Whether the entry at `path` of the destination does not exist for the client.
    #[must_use]
    pub fn veiled(&self, path: &RelPath, is_dir: bool) -> bool {
        self.veil.as_ref().is_some_and(|veil| veil.hides(path, is_dir))
    }

    /// Says that a walk begins, to a peer that lists the tree for it.
    pub fn begin_walk(&self) {
        if let Some(feed) = self.feed {
            feed.begin(self.options.checksum);
        }
    }

    /// Whether an extended attribute called `name` is the receiving side's business: the others it neither
    /// sets nor removes.
    #[must_use]
    pub fn touches_xattr(&self, name: &[u8]) -> bool {
        attached::takes_part(self.options, &self.protected, self.namespaces, name)
    }

    /// How the destination's inodes are seen.
    #[must_use]
    pub fn dest_face(&self) -> Face {
        self.options.dest_face()
    }

    /// Whether what is on the device `dev` of the destination is on another than its root, and out of reach for
    /// deletions (`-x`; rsync(1), "--one-file-system").
    #[must_use]
    pub fn is_mounted_below(&self, dev: u64) -> bool {
        self.options.one_file_system > 0 && self.dest_identity.is_some_and(|(root, _)| root != dev)
    }

    /// Whether owners can be set at all.
    #[must_use]
    pub fn may_chown(&self) -> bool {
        self.root
    }

    /// Whether a file of ours can be given to the group `gid`.
    #[must_use]
    pub fn may_chgrp(&self, gid: u32) -> bool {
        self.root || self.groups.contains(&gid)
    }

    /// `path` below the destination as the operator would type it.
    #[must_use]
    pub fn dest_typed(&self, path: &RelPath) -> Vec<u8> {
        source::typed(&self.dest_prefix, path)
    }

    /// Opens the destination's directory `name` in `parent`; with `--keep-dirlinks` also where it is a
    /// symbolic link that stays below the destination.
    ///
    /// # Errors
    ///
    /// As [`HeldDir::child`]; `EXDEV` for a link that leads out of the destination.
    pub fn open_dest_child(&self, parent: &Arc<HeldDir>, name: &Name) -> Result<Arc<HeldDir>, Errno> {
        let opened = parent.child(name, false);
        match (&opened, &self.dest_root) {
            (Err(Errno::ELOOP | Errno::ENOTDIR), Some(root)) if self.options.links.keep_dirlinks => {
                let path = CString::new(parent.path().join(name).as_bytes()).map_err(|_| Errno::EINVAL)?;
                let dir = root.get()?.child_beneath(&path)?;
                parent.adopt(name, dir, true)
            }
            _ => opened,
        }
    }
}
