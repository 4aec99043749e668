//! FLOOR 2. Moves and hashes bytes between open descriptors; never sees a path.
//!
//! [`Engine::copy`] in steps:
//!
//! 1. an empty source needs no bytes: [`Copied`] at once;
//! 2. [`ladder`] says which rungs the policy and the file's size leave, and which of them this pair of
//!    devices has refused before;
//! 3. a rung that keeps holes (the reflink) takes the whole file;
//! 4. for the others `sparse` cuts it into data segments, and with [`Holes::Make`] takes the runs of
//!    zeros out of these;
//! 5. `drive` moves each segment in steps, counting in the [`ledger`] and asking [`Pace`] after each;
//!    a refusal with nothing moved falls to the next rung;
//! 6. a trailing hole, or the tail of an overwritten file, is settled by `ftruncate`, after the data.
//!
//! A file is copied by one thread. Halves of one 1 GiB file copied by two threads gained nothing over one
//! (measured 2026-11, Linux 6.18, 2 cores shared with others, best of 9 on tmpfs and of 3 elsewhere: tmpfs `copy_file_range` 526 ms against 533 ms, ext4
//! 497 ms against 409 ms, ext4 to tmpfs `sendfile` 598 ms against 541 ms): writing takes the inode's lock, and
//! the kernel's rungs hold it while they move pages. Only read and write gained on tmpfs (517 ms against 653 ms),
//! which makes it as fast as the kernel's rung with one thread. So workers take different files, only
//! hashing is split, and a file's final size is never set before its data.

mod buffered;
mod copy;
pub mod dial;
pub mod digest;
mod drive;
mod error;
mod kernel;
pub mod ladder;
pub mod ledger;
pub mod pack;
mod sparse;
pub mod stream;

use std::ops::ControlFlow;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::sys::Errno;

use serde::{Deserialize, Serialize};

pub use digest::{Digest, DigestError, FileHasher, Following};
pub use error::CopyError;
pub use ladder::Rung;
pub use ledger::{Ledger, LedgerSnapshot, RungCounts};

/// `--reflink`: whether files may share extents.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum Reflink {
    /// Where the filesystem can.
    #[default]
    Auto,
    /// Or the entry is an error.
    Always,
    /// Not even through `copy_file_range(2)`, which may share extents too.
    Never,
}

/// `--zero-copy`: whether bytes may pass through user space.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum ZeroCopy {
    /// By the cheapest path.
    #[default]
    Auto,
    /// Never: an entry that would need it is an error.
    Always,
    /// Always: only the copying rung is used.
    Never,
}

/// What becomes of holes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum Holes {
    /// The source's holes are kept.
    #[default]
    Keep,
    /// And runs of zeros become holes (`--sparse`).
    Make,
}

/// `--freeze`: whether a file that goes to a peer is frozen before it is sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum Freeze {
    /// Where the filesystem can share extents.
    #[default]
    Auto,
    /// What is sent is the file itself, whoever writes to it meanwhile.
    Never,
}

/// From this many bytes on a file is frozen before it is sent.
///
/// Measured 2026-11-27, Linux 6.18, loop mounts, 200 files a round, best of 7: a file without a name that shares the extents
/// of another costs, with its end, 45 to 57 µs on XFS and 47 to 58 µs on btrfs, for 16 KiB as for 1 MiB. Less than this
/// is on its way in one frame, and takes 1 ms or less.
const FREEZE_FROM: u64 = 1 << 20;

/// How bytes are to be moved in a run.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Policy {
    /// `--reflink`.
    pub reflink: Reflink,
    /// `--zero-copy`.
    pub zero_copy: ZeroCopy,
    /// `--sparse`.
    pub holes: Holes,
    /// `--freeze`.
    pub freeze: Freeze,
    /// Threads that one large file may be hashed over; 0 or 1 for no splitting.
    pub threads: usize,
    /// Only this rung, whatever the other settings and the file's size say; for tests and measurements.
    pub forced: Option<Rung>,
}

/// The file that bytes come from.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// Open for reading. Its position may be moved.
    pub fd: BorrowedFd<'a>,
    /// `st_dev`.
    pub dev: u64,
    /// Where what is wanted of it begins, in bytes: 0, or what the target holds already.
    pub from: u64,
    /// `st_size` as announced when it was opened, in bytes: what is copied, even if it grows.
    pub len: u64,
    /// `st_blocks` times 512. Below `len`, the file has holes (or is compressed) and its map is read.
    pub allocated: u64,
}

/// The file that bytes go to.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// Open for reading and writing, not for appending. Its position is moved; that of a fresh one is 0.
    pub fd: BorrowedFd<'a>,
    /// `st_dev`.
    pub dev: u64,
    /// New and empty. Otherwise it is overwritten in place from [`Source::from`] on: holes are punched, a longer
    /// tail is cut.
    pub fresh: bool,
    /// A device: it has the size that it has, and is not read again.
    pub device: bool,
}

/// How long what is open is, in bytes, and how many of them have room on a disk: a block device has an end, but
/// says that its size is 0, and has no holes.
///
/// # Errors
///
/// As `fstat(2)`.
pub(crate) fn length(fd: BorrowedFd<'_>) -> Result<(u64, u64), Errno> {
    let stat = crate::sys::stat::fstat(fd)?;
    if stat.st_mode & nix::libc::S_IFMT == nix::libc::S_IFBLK {
        let end = crate::sys::lseek::end(fd)?;
        return Ok((end, end));
    }
    let count = |n: i64| u64::try_from(n).unwrap_or(0);
    Ok((count(stat.st_size), count(stat.st_blocks).saturating_mul(512)))
}

/// Told of every step of a copy or a digest, in the thread that does it.
pub trait Pace: Sync {
    /// Bytes that `rung` has just moved. May sleep, to keep a bandwidth limit; `Break` stops the copy with
    /// [`CopyError::Interrupted`].
    fn advance(&self, bytes: u64, rung: Rung) -> ControlFlow<()>;

    /// Bytes that have just been hashed. `Break` stops with [`DigestError::Interrupted`].
    fn hashed(&self, bytes: u64) -> ControlFlow<()>;

    /// Bytes that have just been moved through user space, and how many went over the connection for them: fewer,
    /// because they were packed. As [`Pace::advance`]; a bandwidth limit is one of what is sent.
    fn packed(&self, bytes: u64, _sent: u64) -> ControlFlow<()> {
        self.advance(bytes, Rung::Buffered)
    }

    /// The most bytes that one step may move, at least 1. The default leaves the rung's own step.
    fn step_limit(&self) -> usize {
        usize::MAX
    }
}

/// Nobody watches and nothing stops it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unpaced;

impl Pace for Unpaced {
    fn advance(&self, _bytes: u64, _rung: Rung) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    fn hashed(&self, _bytes: u64) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}

/// Bytes that are no progress of the run: only a wish to stop is heard.
struct Stoppable<'a>(&'a dyn Pace);

impl Pace for Stoppable<'_> {
    fn advance(&self, _bytes: u64, _rung: Rung) -> ControlFlow<()> {
        self.0.hashed(0)
    }

    fn hashed(&self, bytes: u64) -> ControlFlow<()> {
        self.0.hashed(bytes)
    }
}

/// How a copy that did not fail ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub enum Outcome {
    /// The target holds all `len` bytes and ends there.
    Complete,
    /// The source ended early; the target holds its bytes `[0, at)` and ends there.
    SourceShrank {
        /// Where the source ended, in bytes from its start.
        at: u64,
    },
}

/// What a copy moved.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub struct Copied {
    /// Bytes moved or shared, holes not counted, except those of a reflinked file.
    pub bytes: u64,
    /// Of these, bytes whose extents are shared by a reflink.
    pub cloned: u64,
    /// Of these, bytes that passed through user space.
    pub user: u64,
    /// Whether that was all.
    pub outcome: Outcome,
}

/// Moves and hashes for one run: what is allowed, what was refused, what was done. Shared by all workers.
#[derive(Debug, Default)]
pub struct Engine {
    policy: Policy,
    /// Keys all digests.
    key: Option<[u8; 32]>,
    refusals: ladder::Refusals,
    ledger: Ledger,
}

impl Engine {
    /// An engine with empty books.
    #[must_use]
    pub fn new(policy: Policy) -> Engine {
        Engine { policy, ..Engine::default() }
    }

    /// The same with digests keyed with `key`, as an authenticated session has them.
    #[must_use]
    pub fn keyed(self, key: Option<[u8; 32]>) -> Engine {
        Engine { key, ..self }
    }

    /// Whether zeros become holes.
    #[must_use]
    pub fn makes_holes(&self) -> bool {
        self.policy.holes == Holes::Make
    }

    /// What digests are keyed with.
    #[must_use]
    pub fn key(&self) -> Option<&[u8; 32]> {
        self.key.as_ref()
    }

    /// What was done so far.
    #[must_use]
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Makes `dst` hold bytes `[src.from, src.len)` of `src`, and end there; what it holds before them stays.
    ///
    /// # Errors
    ///
    /// - [`CopyError::Failed`]: the named call failed. [`CopyError::NoWay`]: the policy forbids every rung that could. The
    ///   target is incomplete: remove it, report the entry. `ENOSPC` and `EDQUOT` stop new data.
    /// - [`CopyError::Interrupted`]: [`Pace`] asked to stop. Remove or keep the partial file.
    pub fn copy(&self, src: Source<'_>, dst: Target<'_>, pace: &dyn Pace) -> Result<Copied, CopyError> {
        copy::copy(&self.policy, &self.refusals, &self.ledger, src, dst, pace)
    }

    /// An image of `src` that nobody writes to, by sharing its extents with the empty file that `make` makes on the
    /// same filesystem; `None`, where that cannot be or is not worth it: then `src` itself is sent.
    pub fn freeze(
        &self,
        src: Source<'_>,
        make: impl FnOnce() -> Result<OwnedFd, Errno>,
        pace: &dyn Pace,
    ) -> Option<OwnedFd> {
        let refused = || self.refusals.known((src.dev, src.dev), Rung::Reflink).is_some();
        if self.policy.freeze == Freeze::Never || src.len < FREEZE_FROM || refused() {
            return None;
        }
        // A directory that nobody here may write to, or a filesystem mounted for reading.
        let image = make().ok()?;
        let policy = Policy { reflink: Reflink::Always, ..Policy::default() };
        let target = Target { fd: image.as_fd(), dev: src.dev, fresh: true, device: false };
        let copied = copy::copy(&policy, &self.refusals, &self.ledger, src, target, &Stoppable(pace)).ok()?;
        (copied.outcome == Outcome::Complete).then_some(image)
    }

    /// Calls `each` with the data segments (offset and length in bytes) of bytes `[src.from, src.len)` of
    /// `src`, in order, as far as the filesystem's map is to be trusted; with [`Holes::Make`] without runs of
    /// zeros. What lies between them reads as zeros. Ends early where `each` says so.
    ///
    /// # Errors
    ///
    /// The map, or with [`Holes::Make`] the data, cannot be read.
    pub fn each_data(
        &self,
        src: Source<'_>,
        each: &mut dyn FnMut(u64, u64) -> ControlFlow<()>,
    ) -> Result<(), Errno> {
        sparse::each_data(src, self.policy.holes, each).map_err(|failure| failure.errno)
    }

    /// BLAKE3 of bytes `[0, len)` of `fd`, holes as zeros.
    ///
    /// # Errors
    ///
    /// - [`DigestError::Changed`]: the file ended early or could not be read through its mapping. Redo.
    /// - [`DigestError::Failed`]: reading failed. Report the entry.
    /// - [`DigestError::Interrupted`]: [`Pace`] asked to stop.
    pub fn digest(&self, fd: BorrowedFd<'_>, len: u64, pace: &dyn Pace) -> Result<Digest, DigestError> {
        self.follow(fd, pace).finish(len)
    }

    /// A hasher that has seen nothing, keyed as this engine's digests are.
    #[must_use]
    pub fn hasher(&self) -> FileHasher {
        FileHasher::new(self.key.as_ref())
    }

    /// As [`Engine::follow`], from byte `from` on; `hasher` has seen what is to go before that.
    pub fn follow_on<'a>(
        &'a self,
        hasher: FileHasher,
        fd: BorrowedFd<'a>,
        from: u64,
        pace: &'a dyn Pace,
    ) -> Following<'a> {
        Following::new(hasher, fd, from, self.policy.threads, &self.ledger, pace)
    }

    /// Begins a digest of `fd` that follows whoever writes it.
    pub fn follow<'a>(&'a self, fd: BorrowedFd<'a>, pace: &'a dyn Pace) -> Following<'a> {
        self.follow_on(self.hasher(), fd, 0, pace)
    }
}
