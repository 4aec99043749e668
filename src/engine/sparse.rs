//! Data and holes: where a source has data, and which of its data are only zeros.
//!
//! Slower when: a file has many small extents (two `lseek` calls each), and with [`Holes::Make`] always
//! for files without zeros, which are looked at once more. Looking is done over a guarded mapping, so that
//! the bytes are not copied for it and a kernel's rung still moves them.
//!
//! [`Holes::Make`]: super::Holes::Make

use std::ops::ControlFlow;
use std::os::fd::BorrowedFd;

use super::error::{Failure, failed};
use super::{Holes, Source};
use crate::sys::{self, Errno};

/// A part of a file: bytes `[start, start + len)`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Extent {
    pub start: u64,
    pub len: u64,
}

impl Extent {
    /// The extent from `start` to `end`, which is not before it.
    pub fn between(start: u64, end: u64) -> Extent {
        Extent { start, len: end.saturating_sub(start) }
    }

    /// The first byte after it.
    pub fn end(&self) -> u64 {
        self.start.saturating_add(self.len)
    }

    /// Whether byte `at` is in it.
    pub fn holds(&self, at: u64) -> bool {
        (self.start..self.end()).contains(&at)
    }

    /// What is left of it after its first `n` bytes.
    pub fn after(&self, n: u64) -> Extent {
        let n = n.min(self.len);
        Extent { start: self.start + n, len: self.len - n }
    }
}

/// `f_type` of the filesystems whose map of holes is believed: ext, XFS, btrfs, tmpfs, f2fs, overlay.
/// Elsewhere (ZFS, network, FUSE) maps have been seen that miss data just written.
const TRUSTED_MAPS: [i64; 6] = [0xef53, 0x5846_5342, 0x9123_683e, 0x0102_1994, 0xf2f5_2010, 0x794c_7630];

/// Whether the filesystem that holds `fd` tells the truth about holes.
pub(super) fn map_is_trusted(fd: BorrowedFd<'_>) -> bool {
    sys::stat::fstatfs_type(fd).is_ok_and(|kind| TRUSTED_MAPS.contains(&kind))
}

/// The data segments of a part of a file, in order, none empty, none outside it.
///
/// They are a hint for reading: the file may change between two calls. Each step ends beyond where it began.
pub(super) struct Segments<'a> {
    fd: BorrowedFd<'a>,
    at: u64,
    end: u64,
}

impl<'a> Segments<'a> {
    /// Those of `extent` of `fd`, by its map.
    pub fn of(fd: BorrowedFd<'a>, extent: Extent) -> Segments<'a> {
        Segments { fd, at: extent.start, end: extent.end() }
    }

    /// The next one; `None`: only a hole is left, or the file ends earlier, which the caller finds out.
    pub fn next(&mut self) -> Result<Option<Extent>, Failure> {
        if self.at >= self.end {
            return Ok(None);
        }
        let start = match sys::lseek::seek_data(self.fd, self.at) {
            Ok(start) => start.max(self.at),
            Err(Errno::ENXIO) => self.end,
            Err(Errno::EINVAL | Errno::EOPNOTSUPP | Errno::ENOSYS) => self.at,
            Err(errno) => return Err(failed("seek")(errno)),
        };
        if start >= self.end {
            self.at = self.end;
            return Ok(None);
        }
        let end = match sys::lseek::seek_hole(self.fd, start) {
            Ok(end) if end > start => end.min(self.end),
            // No progress, no map, or cut this very moment (ENXIO): data to the end, and moving it
            // finds out what is there.
            _ => self.end,
        };
        self.at = end;
        Ok(Some(Extent::between(start, end)))
    }
}

/// The unit in which zeros are looked for: smaller holes save nothing on the filesystems that we know.
const BLOCK: usize = 4096;

/// Most bytes that are looked at before they are moved, so that moving finds them in the cache.
const WINDOW: u64 = 8 << 20;

/// Below this, a read is cheaper than making and removing a mapping (a guess: 16 pages).
const MAP_FROM: u64 = 64 << 10;

/// The parts of one extent that are not blocks of zeros, in order.
pub(super) struct NonZero<'a> {
    fd: BorrowedFd<'a>,
    left: Extent,
    window: Option<Window>,
}

impl<'a> NonZero<'a> {
    /// Those of `extent` of `fd`.
    pub fn of(fd: BorrowedFd<'a>, extent: Extent) -> NonZero<'a> {
        NonZero { fd, left: extent, window: None }
    }

    /// The next one, at most [`WINDOW`] long; where the bytes cannot be looked at they count as data.
    pub fn next(&mut self) -> Option<Extent> {
        while self.left.len > 0 {
            let window = match self.window.take() {
                Some(window) if window.end > self.left.start => window,
                _ => match Window::open(self.fd, self.left) {
                    Some(window) => window,
                    None => return Some(std::mem::replace(&mut self.left, Extent { start: 0, len: 0 })),
                },
            };
            let end = window.end.min(self.left.end());
            let start = window.skip(self.left.start, end, true);
            let stop = window.skip(start, end, false);
            self.left = Extent::between(stop, self.left.end());
            self.window = Some(window);
            if stop > start {
                return Some(Extent::between(start, stop));
            }
        }
        None
    }
}

/// See [`super::Engine::each_data`].
pub(super) fn each_data(
    src: Source<'_>,
    holes: Holes,
    each: &mut dyn FnMut(u64, u64) -> ControlFlow<()>,
) -> Result<(), Failure> {
    let whole = Extent::between(src.from, src.len);
    let mut segment_of = |segment: Extent| {
        if holes == Holes::Keep {
            return each(segment.start, segment.len);
        }
        let mut runs = NonZero::of(src.fd, segment);
        while let Some(run) = runs.next() {
            each(run.start, run.len)?;
        }
        ControlFlow::Continue(())
    };
    if src.allocated >= src.len || !map_is_trusted(src.fd) {
        let _early = segment_of(whole);
        return Ok(());
    }
    let mut segments = Segments::of(src.fd, whole);
    while let Some(segment) = segments.next()? {
        if segment_of(segment).is_break() {
            break;
        }
    }
    Ok(())
}

/// Some bytes of the file, to be looked at.
struct Window {
    start: u64,
    end: u64,
    bytes: Bytes,
}

enum Bytes {
    Mapped(sys::mmap::Mapping),
    Read(Vec<u8>),
}

impl Window {
    /// The first bytes of `extent`, at least one; `None` where they cannot be had.
    fn open(fd: BorrowedFd<'_>, extent: Extent) -> Option<Window> {
        let start = extent.start - extent.start % sys::mmap::page_size();
        let end = extent.end().min(start + WINDOW);
        if extent.len >= MAP_FROM
            && let Ok(len) = usize::try_from(end - start)
            && let Ok(mapping) = sys::mmap::Mapping::new(fd, start, len)
        {
            return Some(Window { start, end, bytes: Bytes::Mapped(mapping) });
        }
        let len = usize::try_from((end - start).min(super::buffered::BUFFER_BYTES as u64)).ok()?;
        let mut bytes = vec![0; len];
        let n = sys::pio::pread(fd, &mut bytes, start).ok()?;
        bytes.truncate(n);
        let end = start + n as u64;
        (end > extent.start).then_some(Window { start, end, bytes: Bytes::Read(bytes) })
    }

    /// The end of the run of zero blocks (or of others) that begins at `from`, at most `end`.
    fn skip(&self, from: u64, end: u64, zero: bool) -> u64 {
        let bytes = match &self.bytes {
            Bytes::Mapped(mapping) => mapping.bytes(),
            Bytes::Read(bytes) => bytes,
        };
        let mut at = from;
        while at < end {
            let next = (at - at % BLOCK as u64 + BLOCK as u64).min(end);
            let (a, b) = ((at - self.start) as usize, (next - self.start) as usize);
            // Zeros of a page that is gone are not the file's: data, and moving it finds the end.
            if (is_zero(&bytes[a..b]) && !self.changed()) != zero {
                break;
            }
            at = next;
        }
        at
    }

    fn changed(&self) -> bool {
        matches!(&self.bytes, Bytes::Mapped(mapping) if mapping.changed())
    }
}

/// Whether a block (at most [`BLOCK`] bytes) holds only zeros.
fn is_zero(block: &[u8]) -> bool {
    static ZEROS: [u8; BLOCK] = [0; BLOCK];
    block.first() == Some(&0) && *block == ZEROS[..block.len()]
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)]
mod tests {
    use std::io::Write;
    use std::os::fd::AsFd;

    use proptest::prelude::*;

    use super::*;

    fn file(bytes: &[u8]) -> std::fs::File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file
    }

    fn runs(fd: BorrowedFd<'_>, extent: Extent) -> Vec<Extent> {
        let mut found = NonZero::of(fd, extent);
        std::iter::from_fn(|| found.next()).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn what_lies_between_non_zero_runs_is_zero_and_blocks_inside_are_not(
            blocks in proptest::collection::vec(any::<bool>(), 1..60),
            skip in 0usize..5000,
            tail in 0usize..BLOCK,
        ) {
            let mut bytes: Vec<u8> = blocks.iter().flat_map(|&full| [u8::from(full); BLOCK]).collect();
            bytes.truncate(bytes.len() - tail);
            let file = file(&bytes);
            let skip = skip.min(bytes.len() - 1);
            let extent = Extent::between(skip as u64, bytes.len() as u64);
            let mut at = extent.start;
            for run in runs(file.as_fd(), extent) {
                prop_assert!(run.len > 0 && run.start >= at && run.end() <= extent.end());
                prop_assert!(bytes[at as usize..run.start as usize].iter().all(|&b| b == 0));
                prop_assert!(bytes[run.start as usize..run.end() as usize].iter().all(|&b| b == 1));
                at = run.end();
            }
            prop_assert!(bytes[at as usize..].iter().all(|&b| b == 0));
        }
    }

    #[test]
    fn a_file_that_ends_early_is_data_to_the_expected_end() {
        let file = file(&[0; 10]);
        let expected = Extent { start: 0, len: 1 << 20 };
        let last = runs(file.as_fd(), expected).pop().unwrap();
        assert_eq!(last.end(), expected.end());
    }

    #[test]
    fn segments_cover_all_data_of_a_file_with_holes() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(10 << 20).unwrap();
        sys::pio::pwrite(file.as_fd(), b"x", 3 << 20).unwrap();
        let mut segments = Segments::of(file.as_fd(), Extent { start: 0, len: 10 << 20 });
        let first = segments.next().unwrap().unwrap();
        assert!(first.start <= 3 << 20 && first.end() > 3 << 20 && first.len <= 1 << 20, "{first:?}");
        assert_eq!(segments.next().unwrap(), None);
    }

    #[test]
    fn segments_never_reach_beyond_the_length_asked_for() {
        let file = file(&[1; 9000]);
        let mut segments = Segments::of(file.as_fd(), Extent { start: 0, len: 5000 });
        assert_eq!(segments.next().unwrap(), Some(Extent { start: 0, len: 5000 }));
        assert_eq!(segments.next().unwrap(), None);
    }
}
