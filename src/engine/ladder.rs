//! The ladder: the mechanisms that move bytes, best first, each as data plus one function.
//!
//! `FICLONERANGE` → `copy_file_range` → `sendfile` → `splice` through a pipe → read and write. Which of
//! them a copy may use is decided here, from the policy, the file's size, and what this pair of devices
//! has refused before.

use std::os::fd::BorrowedFd;
use std::sync::{PoisonError, RwLock};

use serde::{Deserialize, Serialize};

use super::buffered::Scratch;
use super::error::Failure;
use super::{Policy, Reflink, ZeroCopy, buffered, kernel};
use crate::sys::Errno;

/// One mechanism that moves bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Rung {
    /// `FICLONERANGE`: extents are shared.
    Reflink,
    /// `copy_file_range(2)`.
    CopyFileRange,
    /// `sendfile(2)`.
    Sendfile,
    /// `splice(2)` into a pipe and out of it.
    Splice,
    /// `pread(2)` and `pwrite(2)`.
    Buffered,
}

/// Moves up to `len` bytes at the same offset `off` of both files, and returns how many.
pub(super) type Step = fn(
    src: BorrowedFd<'_>,
    dst: BorrowedFd<'_>,
    off: u64,
    len: usize,
    &mut Scratch,
) -> Result<usize, Failure>;

/// What the driver must know of a rung.
pub(super) struct Properties {
    /// As the ledger names it.
    pub name: &'static str,
    /// The bytes pass through user space.
    pub sees_bytes: bool,
    /// Holes of the source become holes without our doing, so it takes a whole file at once.
    pub keeps_holes: bool,
    /// The result may share storage with the source.
    pub may_share_extents: bool,
    /// Can move between two filesystems. Where it cannot, a refusal between two devices is for good.
    pub crosses_filesystems: bool,
    /// Most bytes of one step. Kernel rungs: 8 MiB take about 5 ms from and to memory, and under a second on a
    /// disk that writes 10 MB/s, so that a signal is answered in time (a guess checked by hand).
    pub step: usize,
    /// The mechanism itself.
    pub run: Step,
}

/// In the order in which they are tried; indexed by `Rung as usize`.
const TABLE: [Properties; Rung::COUNT] = [
    Properties {
        name: "reflink",
        sees_bytes: false,
        keeps_holes: true,
        may_share_extents: true,
        crosses_filesystems: false,
        step: kernel::CLONE_BYTES,
        run: kernel::reflink,
    },
    Properties {
        name: "copy_file_range",
        sees_bytes: false,
        keeps_holes: false,
        may_share_extents: true,
        crosses_filesystems: false,
        step: 8 << 20,
        run: kernel::copy_file_range,
    },
    Properties {
        name: "sendfile",
        sees_bytes: false,
        keeps_holes: false,
        may_share_extents: false,
        crosses_filesystems: true,
        step: 8 << 20,
        run: kernel::sendfile,
    },
    Properties {
        name: "splice",
        sees_bytes: false,
        keeps_holes: false,
        may_share_extents: false,
        crosses_filesystems: true,
        step: kernel::PIPE_BYTES,
        run: kernel::splice,
    },
    Properties {
        name: "read+write",
        sees_bytes: true,
        keeps_holes: false,
        may_share_extents: false,
        crosses_filesystems: true,
        step: buffered::BUFFER_BYTES,
        run: buffered::read_write,
    },
];

impl Rung {
    /// How many there are.
    pub const COUNT: usize = 5;

    /// All of them, in the order in which they are tried.
    pub const ALL: [Rung; Rung::COUNT] =
        [Rung::Reflink, Rung::CopyFileRange, Rung::Sendfile, Rung::Splice, Rung::Buffered];

    pub(super) fn properties(self) -> &'static Properties {
        &TABLE[self as usize]
    }

    /// As the ledger and messages name it.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.properties().name
    }

    /// Whether the bytes pass through user space.
    #[must_use]
    pub fn sees_bytes(self) -> bool {
        self.properties().sees_bytes
    }
}

/// Below this many bytes read and write cost the same or less.
///
/// Measured 2026-11, Linux 6.18, 2 cores, one thread, 200 files a round, best of 15, ns per file for
/// `sendfile` and for read and write: tmpfs 512 B 4,765 and 4,457, 2 KiB 5,417 and 5,975, 16 KiB 10,914 and 17,442;
/// ext4 1 KiB 10,149 and 7,533, 2 KiB 8,099 and 8,569, 16 KiB 18,659 and 22,731; XFS 2 KiB 8,622 and 8,312, 4 KiB
/// 8,390 and 8,858; btrfs 2 KiB 10,325 and 9,630, 4 KiB 8,737 and 10,474.
pub(super) const READ_BELOW: u64 = 2 << 10;

/// Below this many bytes moving them costs less than sharing extents.
///
/// Measured as above: a reflink costs 14 to 16 µs at any size, on XFS as on btrfs; `sendfile` of 8 KiB 10 µs (XFS) and
/// 13 µs (btrfs), of 16 KiB 11 µs and 26 µs, of 64 KiB 17 µs and 80 µs. `copy_file_range` shares extents there and
/// costs the same; on ext4 and tmpfs it copies, at `sendfile`'s price.
pub(super) const SHARE_FROM: u64 = 16 << 10;

/// The rungs that `policy` leaves for a file of `len` bytes, in order.
pub(super) fn rungs(policy: &Policy, len: u64) -> impl Iterator<Item = Rung> + use<> {
    let policy = *policy;
    Rung::ALL.into_iter().filter(move |&rung| allows(&policy, len, rung))
}

fn allows(policy: &Policy, len: u64, rung: Rung) -> bool {
    if let Some(forced) = policy.forced {
        return rung == forced;
    }
    if policy.reflink == Reflink::Always {
        return rung == Rung::Reflink;
    }
    let is = rung.properties();
    if is.may_share_extents && (policy.reflink == Reflink::Never || len < SHARE_FROM) {
        return false;
    }
    match policy.zero_copy {
        ZeroCopy::Always => !is.sees_bytes,
        ZeroCopy::Never => is.sees_bytes,
        ZeroCopy::Auto => len >= READ_BELOW || is.sees_bytes,
    }
}

/// What a rung's error means for the rest of the ladder.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Verdict {
    /// These two filesystems, or this kernel, never can: remember it and take the next rung.
    Never,
    /// These two files cannot, or the cause is better told by the next rung: take it.
    NotHere,
    /// The data path failed.
    Fail,
}

/// Judges an error of `rung` with nothing moved by it in this file.
pub(super) fn judge(rung: Rung, errno: Errno, one_device: bool) -> Verdict {
    if rung.sees_bytes() {
        return Verdict::Fail;
    }
    match errno {
        Errno::EXDEV | Errno::EOPNOTSUPP | Errno::ENOSYS | Errno::ENOTTY => Verdict::Never,
        // Between two devices nothing but the pair can be the reason.
        Errno::EINVAL if !one_device && !rung.properties().crosses_filesystems => Verdict::Never,
        Errno::EINVAL
        | Errno::EPERM
        | Errno::EACCES
        | Errno::EBADF
        | Errno::ETXTBSY
        | Errno::ENOENT
        | Errno::EFBIG
        | Errno::EOVERFLOW
        | Errno::EMFILE
        | Errno::ENFILE
        | Errno::EIO => Verdict::NotHere,
        _ => Verdict::Fail,
    }
}

/// A source device and a destination device.
pub(super) type Pair = (u64, u64);

/// Which rungs each pair of devices has refused for good, and with what error.
#[derive(Debug, Default)]
pub(super) struct Refusals(RwLock<Vec<(Pair, [Option<Errno>; Rung::COUNT])>>);

impl Refusals {
    /// With what error this pair refused `rung` before.
    pub fn known(&self, pair: Pair, rung: Rung) -> Option<Errno> {
        let table = self.0.read().unwrap_or_else(PoisonError::into_inner);
        table.iter().find(|(p, _)| *p == pair).and_then(|(_, refused)| refused[rung as usize])
    }

    /// Remembers that this pair refuses `rung`.
    pub fn remember(&self, pair: Pair, rung: Rung, errno: Errno) {
        let mut table = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let at = table.iter().position(|(p, _)| *p == pair).unwrap_or_else(|| {
            table.push((pair, [None; Rung::COUNT]));
            table.len() - 1
        });
        table[at].1[rung as usize] = Some(errno);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LARGE: u64 = 1 << 30;

    fn left(policy: Policy, len: u64) -> Vec<Rung> {
        rungs(&policy, len).collect()
    }

    #[test]
    fn table_stands_in_the_order_of_the_enum() {
        for (at, rung) in Rung::ALL.into_iter().enumerate() {
            assert_eq!(rung as usize, at);
        }
        let names = Rung::ALL.map(Rung::name);
        assert_eq!(names, ["reflink", "copy_file_range", "sendfile", "splice", "read+write"]);
    }

    #[test]
    fn default_policy_tries_all_for_a_large_file_shares_no_small_one_and_reads_a_tiny_one() {
        assert_eq!(left(Policy::default(), LARGE), Rung::ALL);
        assert_eq!(left(Policy::default(), SHARE_FROM), Rung::ALL);
        assert_eq!(left(Policy::default(), SHARE_FROM - 1), [Rung::Sendfile, Rung::Splice, Rung::Buffered]);
        assert_eq!(left(Policy::default(), READ_BELOW - 1), [Rung::Buffered]);
    }

    #[test]
    fn reflink_never_skips_copy_file_range_too() {
        let policy = Policy { reflink: Reflink::Never, ..Policy::default() };
        assert_eq!(left(policy, LARGE), [Rung::Sendfile, Rung::Splice, Rung::Buffered]);
    }

    #[test]
    fn reflink_always_leaves_nothing_else_even_for_a_small_file() {
        let policy = Policy { reflink: Reflink::Always, ..Policy::default() };
        assert_eq!(left(policy, 1), [Rung::Reflink]);
    }

    #[test]
    fn zero_copy_always_never_reads_and_zero_copy_never_only_reads() {
        let always = Policy { zero_copy: ZeroCopy::Always, ..Policy::default() };
        assert!(left(always, 1).iter().all(|r| !r.sees_bytes()));
        let never = Policy { zero_copy: ZeroCopy::Never, ..Policy::default() };
        assert_eq!(left(never, LARGE), [Rung::Buffered]);
    }

    #[test]
    fn refusals_belong_to_one_pair_and_one_direction() {
        let refusals = Refusals::default();
        refusals.remember((1, 2), Rung::Reflink, Errno::EXDEV);
        assert_eq!(refusals.known((1, 2), Rung::Reflink), Some(Errno::EXDEV));
        assert_eq!(refusals.known((1, 2), Rung::Sendfile), None);
        assert_eq!(refusals.known((2, 1), Rung::Reflink), None);
    }

    #[test]
    fn a_full_disk_is_never_a_refusal() {
        for rung in Rung::ALL {
            assert_eq!(judge(rung, Errno::ENOSPC, true), Verdict::Fail);
            assert_eq!(judge(rung, Errno::EDQUOT, true), Verdict::Fail);
        }
    }

    #[test]
    fn an_immutable_file_does_not_close_a_rung_for_its_filesystem() {
        assert_eq!(judge(Rung::CopyFileRange, Errno::EPERM, true), Verdict::NotHere);
        assert_eq!(judge(Rung::CopyFileRange, Errno::EXDEV, false), Verdict::Never);
    }
}
