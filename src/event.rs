//! What the library tells its caller while it works: values, never output.
//!
//! Events of one run reach the [`Observer`] in plan order, one at a time, whatever order the workers
//! finished in. Names in them are raw bytes; only [`crate::path::escape()`] makes text of them.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

use crate::path::face::Unseen;
use crate::path::{Attrs, Kind, PathError, RelPath, escape};
use crate::sys::Errno;

/// The most bytes of something strange that a message shows.
const SHOWN: usize = 64;

/// Receives the events of a run, in plan order, from whichever thread has the next one.
pub trait Observer: Sync {
    /// Takes one event. Calls never overlap.
    fn event(&self, event: &Event);

    /// Whether anybody looks at [`Event::Item`]s; where nobody does, none are made.
    fn wants_items(&self) -> bool {
        true
    }
}

/// One thing that happened.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum Event {
    /// An entry that was (or with `--dry-run`: would be) created, updated, or found unchanged.
    Item(Item),
    /// A destination entry that was, or would be, deleted.
    Deleted {
        /// Which one.
        path: RelPath,
        /// What it was.
        kind: Kind,
    },
    /// Something worth telling at some verbosity.
    Note(Note),
    /// Something that failed. The run goes on unless [`Problem::fatal`] says otherwise.
    Problem(Problem),
}

/// The first column of an itemized line: what kind of update this is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Update {
    /// `.`: no update of the data; attributes perhaps.
    Attributes,
    /// `>`: data transferred to this side.
    Received,
    /// `<`: data transferred to a remote side.
    Sent,
    /// `c`: a local change or creation: directory, symbolic link, node.
    Created,
    /// `h`: a hard link to another entry of the transfer.
    HardLink,
}

/// The difference between a source entry and what the destination had: one itemized column each.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Change {
    /// What is done.
    pub update: Update,
    /// The entry did not exist at the destination: all columns are `+`.
    pub new: bool,
    /// `c`: content differs (checksums differ; a symlink's text, a device's number differ).
    pub content: bool,
    /// `s`: sizes differ.
    pub size: bool,
    /// `t`: times differ and will be set to the source's.
    pub time: bool,
    /// `T`: the time will be that of the transfer (no `--times`, or a link whose time cannot be set).
    pub time_now: bool,
    /// `p`: permissions differ.
    pub perms: bool,
    /// `o`: owners differ.
    pub owner: bool,
    /// `g`: groups differ.
    pub group: bool,
    /// `u`: access times differ.
    pub atime: bool,
    /// `a`: access control lists differ.
    pub acl: bool,
    /// `x`: extended attributes differ.
    pub xattrs: bool,
}

impl Change {
    /// No difference at all.
    pub const NONE: Change = Change {
        update: Update::Attributes,
        new: false,
        content: false,
        size: false,
        time: false,
        time_now: false,
        perms: false,
        owner: false,
        group: false,
        atime: false,
        acl: false,
        xattrs: false,
    };

    /// Whether the entry is exactly as it should be already.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Change::NONE
    }
}

/// What an entry's line shows behind the name.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum LinkText {
    /// ` -> TEXT`: a symbolic link's text.
    Symlink(#[serde(with = "serde_bytes")] Vec<u8>),
    /// ` => PATH`: the entry whose inode it shares.
    Hard(RelPath),
}

/// One entry of the transfer and what was done with it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Item {
    /// The path below the destination (rsync's transfer name); the root is empty and shown as `./`.
    pub path: RelPath,
    /// The path on the source side as the operator would type it (`%f`): operand prefix and all.
    #[serde(with = "serde_bytes")]
    pub source: Vec<u8>,
    /// The source's attributes.
    pub attrs: Attrs,
    /// What differs and what is done.
    pub change: Change,
    /// Target of a symbolic or hard link.
    pub link: Option<LinkText>,
    /// Bytes of data that were moved for it (`%b`); 0 in a dry run.
    pub moved: u64,
    /// The content's BLAKE3, where it was computed (`%C`).
    pub digest: Option<[u8; 32]>,
}

/// Things that are not failures. Which verbosity shows them is the reporter's business.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Note {
    /// `created directory DEST`; with `--mkpath`, `created N directories for DEST`. Path as typed, and the
    /// number made; 0 without `--mkpath`.
    CreatedDestination(#[serde(with = "serde_bytes")] Vec<u8>, u32),
    /// A source operand is a directory and neither `-r` nor `-d` is on. Path as typed.
    SkippingDirectory(#[serde(with = "serde_bytes")] Vec<u8>),
    /// Neither a file nor something that the options copy (a symlink without `-l`, a device …).
    SkippingNonRegular(RelPath),
    /// `--safe-links` left it out: path and text.
    UnsafeLink(RelPath, #[serde(with = "serde_bytes")] Vec<u8>),
    /// `--copy-unsafe-links` copies what it leads to: path and text.
    CopyingUnsafeLink(RelPath, #[serde(with = "serde_bytes")] Vec<u8>),
    /// `--existing`: not created; what it would have been.
    NotCreated(RelPath, Kind),
    /// `--ignore-existing`: exists.
    Exists(RelPath),
    /// `--update`: the destination is newer.
    Newer(RelPath),
    /// `--max-size`.
    OverMaxSize(RelPath),
    /// `--min-size`.
    UnderMinSize(RelPath),
    /// `--one-file-system`: a mount point left out.
    MountPoint(RelPath),
    /// A filter rule hides it from the transfer: path, whether a directory, the rule's pattern.
    Hidden(RelPath, bool, #[serde(with = "serde_bytes")] Vec<u8>),
    /// A filter rule protects it from deletion: path, whether a directory, the rule's pattern.
    Protected(RelPath, bool, #[serde(with = "serde_bytes")] Vec<u8>),
    /// `--delete` is off for the rest, because the source could not be read completely.
    DeletionSkippedIoError,
    /// `--max-delete` was reached; so many were left.
    DeletionsStopped(u64),
    /// A directory could not be removed because something in it is kept.
    NotEmpty(RelPath),
    /// A backup was made: entry, and the backup's path as shown.
    BackedUp(RelPath, #[serde(with = "serde_bytes")] Vec<u8>),
    /// `--remove-source-files` removed it.
    RemovedSource(RelPath),
    /// The destination lies inside the source and is left out of the transfer.
    DestinationInsideSource(RelPath),
    /// A destination directory that is a source, or the destination once more by a mount: left as it is.
    SourceInsideDestination(RelPath),
    /// A name of `--usermap` or `--groupmap` that the receiving system does not know: option and name. The rest
    /// of the option holds.
    UnknownName(Cow<'static, str>, #[serde(with = "serde_bytes")] Vec<u8>),
    /// A basis directory that cannot be used: its option, its path, and why not.
    UnusableBasis(Cow<'static, str>, #[serde(with = "serde_bytes")] Vec<u8>, #[serde(with = "errno")] Errno),
    /// `--max-age`, `--newer-than`.
    TooOld(RelPath),
    /// `--min-age`.
    TooYoung(RelPath),
    /// `--lock=wait`: another run has the destination. Path as typed.
    WaitingForLock(#[serde(with = "serde_bytes")] Vec<u8>),
    /// `--append`: the destination is not shorter than the source.
    NotShorter(RelPath),
    /// `--read-batch`: an option that was turned on or off because the batch was written so.
    BatchOption(Cow<'static, str>, bool),
    /// `--read-batch`: the batch has data for a file that does not want it.
    BatchSkipped(RelPath),
    /// `--one-file-system`: a mount point of the destination that is not deleted, nor anything behind it.
    MountPointKept(RelPath),
}

/// How bad a problem is: the exit status that it asks for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub enum Severity {
    /// The source vanished before it could be copied: exit 24 if nothing worse happens.
    Vanished,
    /// `--max-delete` stopped deletions: exit 25.
    DeleteLimit,
    /// This file was not transferred, because `--zero-copy=always` or `--reflink=always` leaves no way: exit 23.
    ZeroCopy,
    /// This entry (or an attribute of it) was not transferred: exit 23.
    Partial,
    /// What was stored of this file was not what had been read, and the old file stays: exit 23.
    Unverified,
    /// A destination or source root could not be used: exit 11.
    FileIo,
    /// An option or a file of rules in the tree is wrong: exit 1.
    Syntax,
    /// The operands cannot be combined: exit 3.
    FileSelection,
    /// Refused before anything was touched, such as `--delete-limit`: exit 25.
    Refused,
    /// Another run has the destination (`--lock`): exit 40.
    Locked,
}

/// One failure, in the parts that a message needs.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Problem {
    /// The operation as a verb: `open`, `stat`, `mkdir`, `copy`, `verify` …
    pub op: Cow<'static, str>,
    /// The path for people; raw bytes.
    #[serde(with = "serde_bytes")]
    pub path: Vec<u8>,
    /// Why.
    pub cause: Cause,
    /// What it does to the exit status.
    pub severity: Severity,
    /// What the user can do about it, where that is not obvious.
    pub hint: Option<Cow<'static, str>>,
}

/// Why something failed.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum Cause {
    /// The kernel said so.
    Os(#[serde(with = "errno")] Errno),
    /// sluice said so, in words that need no path.
    Text(String),
}

/// Linux's error numbers as they are in `asm-generic`, which both ends of a connection take them for.
mod errno {
    use super::{Deserialize, Errno};

    pub fn serialize<S: serde::Serializer>(errno: &Errno, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_i32(*errno as i32)
    }

    pub fn deserialize<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Errno, D::Error> {
        i32::deserialize(from).map(Errno::from_raw)
    }
}

impl Problem {
    /// A failure that the kernel reported; the entry is not (fully) transferred.
    #[must_use]
    pub fn os(op: &'static str, path: &[u8], errno: Errno) -> Problem {
        let cause = Cause::Os(errno);
        Problem { op: op.into(), path: path.to_vec(), cause, severity: Severity::Partial, hint: None }
    }

    /// A failure that sluice found itself.
    #[must_use]
    pub fn text(op: &'static str, path: &[u8], text: impl Into<String>) -> Problem {
        let cause = Cause::Text(text.into());
        Problem { op: op.into(), path: path.to_vec(), cause, severity: Severity::Partial, hint: None }
    }

    /// An entry of which it is not known what it is; `op` is what was tried.
    #[must_use]
    pub fn unseen(op: &'static str, path: &[u8], why: &Unseen) -> Problem {
        match why {
            Unseen::Os(errno) => Problem::os(op, path, *errno),
            Unseen::Corrupt(text) => {
                let shown = escape(text.get(..SHOWN).unwrap_or(text));
                Problem::text(
                    "read user.rsync.%stat of",
                    path,
                    format!("\"{shown}\" is not what --fake-super writes"),
                )
                .hint("repair it with setfattr, or remove it: the entry is then what it looks like")
            }
        }
    }

    /// An operand, or a directory that an option names, that cannot be used.
    #[must_use]
    pub fn operand(e: &PathError, severity: Severity) -> Problem {
        Problem {
            hint: e.advice().map(Cow::Borrowed),
            ..Problem::os(e.op, &e.path, e.source).severity(severity)
        }
    }

    /// The same with another severity.
    #[must_use]
    pub fn severity(mut self, severity: Severity) -> Problem {
        self.severity = severity;
        self
    }

    /// The same with advice.
    #[must_use]
    pub fn hint(mut self, hint: &'static str) -> Problem {
        self.hint = Some(hint.into());
        self
    }

    /// Whether the run ends with it.
    #[must_use]
    pub fn fatal(&self) -> bool {
        self.severity >= Severity::FileIo
    }
}

/// Whether a run came to its end.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Ended {
    /// Everything was dealt with.
    Complete,
    /// [`Meter::stop`] was set: exit 20.
    Stopped,
    /// The deadline passed: exit 30.
    Deadline,
    /// Something made going on pointless, and was reported.
    Aborted,
}

/// Counts by kind of entry, as rsync's statistics print them.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KindCounts {
    /// Regular files.
    pub reg: u64,
    /// Directories.
    pub dir: u64,
    /// Symbolic links.
    pub link: u64,
    /// Devices.
    pub dev: u64,
    /// FIFOs and sockets.
    pub special: u64,
}

impl KindCounts {
    /// Adds one entry of `kind`.
    pub fn add(&mut self, kind: Kind) {
        match kind {
            Kind::File => self.reg += 1,
            Kind::Dir => self.dir += 1,
            Kind::Symlink => self.link += 1,
            Kind::CharDevice | Kind::BlockDevice => self.dev += 1,
            Kind::Fifo | Kind::Socket => self.special += 1,
        }
    }

    /// All entries.
    #[must_use]
    pub fn total(&self) -> u64 {
        // A peer's figures may be anything.
        [self.dir, self.link, self.dev, self.special].into_iter().fold(self.reg, u64::saturating_add)
    }
}

/// The figures of a run, in rsync's terms. Sizes in bytes.
#[derive(Clone, PartialEq, Default, Debug, Serialize, Deserialize)]
pub struct Stats {
    /// Entries in the transfer.
    pub files: KindCounts,
    /// Entries made that were not there.
    pub created: KindCounts,
    /// Entries deleted.
    pub deleted: KindCounts,
    /// Regular files whose data was (or would be) transferred.
    pub transferred: u64,
    /// Total size of all files and links in the transfer.
    pub total_size: u64,
    /// Total size of the transferred files.
    pub transferred_size: u64,
    /// Seconds spent listing, as far as it delayed the transfer.
    pub list_seconds: f64,
    /// Whether some source directory or entry could not be read.
    pub io_error: bool,
}

/// Figures that change while a run goes on, for a progress display to poll. Sizes in bytes.
#[derive(Default, Debug)]
pub struct Meter {
    /// Entries looked at so far.
    pub checked: AtomicU64,
    /// Files whose data has been transferred so far.
    pub files_done: AtomicU64,
    /// Bytes of data done: cloned, kernel-copied or user-copied.
    pub bytes_done: AtomicU64,
    /// Bytes that need no moving: of unchanged files, and holes and what is kept in those that are transferred.
    pub bytes_unchanged: AtomicU64,
    /// Of `bytes_done`: shared by reflink.
    pub bytes_cloned: AtomicU64,
    /// Of `bytes_done`: copied through user space.
    pub bytes_user: AtomicU64,
    /// Entries in the whole plan; valid once `total_known`.
    pub total_entries: AtomicU64,
    /// Bytes of data in the whole plan that must be moved; valid once `total_known`.
    pub total_bytes: AtomicU64,
    /// Bytes of files in the whole plan that are unchanged; valid once `total_known`.
    pub total_unchanged: AtomicU64,
    /// Whether the totals are final.
    pub total_known: AtomicBool,
    /// Set to ask the run to stop; it ends within a second, leaving no temp file.
    pub stop: Arc<AtomicBool>,
}

/// The figures of a [`Meter`] at one moment, as plain data.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct Figures {
    /// Entries looked at so far.
    pub checked: u64,
    /// Files whose data has been transferred so far.
    pub files_done: u64,
    /// Bytes of data done.
    pub bytes_done: u64,
    /// Bytes that need no moving.
    pub bytes_unchanged: u64,
    /// Of `bytes_done`: shared by reflink.
    pub bytes_cloned: u64,
    /// Of `bytes_done`: copied through user space.
    pub bytes_user: u64,
    /// Once they are final: entries, bytes to be moved, and unchanged bytes of the whole plan.
    pub totals: Option<(u64, u64, u64)>,
}

impl Meter {
    /// Takes over what a receiving peer has counted; what this side counts itself, the bytes that it sends,
    /// stays.
    pub fn take_over(&self, figures: &Figures) {
        self.checked.store(figures.checked, Ordering::Relaxed);
        self.bytes_unchanged.store(figures.bytes_unchanged, Ordering::Relaxed);
        self.know(figures.totals);
    }

    /// Takes totals over, once there are any.
    fn know(&self, totals: Option<(u64, u64, u64)>) {
        if let Some((entries, bytes, unchanged)) = totals {
            self.total_entries.store(entries, Ordering::Relaxed);
            self.total_bytes.store(bytes, Ordering::Relaxed);
            self.total_unchanged.store(unchanged, Ordering::Relaxed);
            self.total_known.store(true, Ordering::Release);
        }
    }

    /// The figures now. Each is true for some recent moment.
    #[must_use]
    pub fn figures(&self) -> Figures {
        let now = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let known = self.total_known.load(Ordering::Acquire);
        Figures {
            checked: now(&self.checked),
            files_done: now(&self.files_done),
            bytes_done: now(&self.bytes_done),
            bytes_unchanged: now(&self.bytes_unchanged),
            bytes_cloned: now(&self.bytes_cloned),
            bytes_user: now(&self.bytes_user),
            totals: known
                .then(|| (now(&self.total_entries), now(&self.total_bytes), now(&self.total_unchanged))),
        }
    }

    /// Shows the figures of a meter elsewhere, in place of what this one counted.
    pub fn show(&self, figures: &Figures) {
        let set = |counter: &AtomicU64, value| counter.store(value, Ordering::Relaxed);
        set(&self.checked, figures.checked);
        set(&self.files_done, figures.files_done);
        set(&self.bytes_done, figures.bytes_done);
        set(&self.bytes_unchanged, figures.bytes_unchanged);
        set(&self.bytes_cloned, figures.bytes_cloned);
        set(&self.bytes_user, figures.bytes_user);
        self.know(figures.totals);
    }

    /// Forgets what was counted, and the wish to stop, before another attempt at the same run.
    pub fn begin_again(&self) {
        let figures = Figures { totals: Some((0, 0, 0)), ..Figures::default() };
        self.show(&figures);
        self.total_known.store(false, Ordering::Release);
        self.stop.store(false, Ordering::Relaxed);
    }

    /// Whether the run was asked to stop.
    #[must_use]
    pub fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}
