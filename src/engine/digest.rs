//! BLAKE3 of files: the proof of what arrived.
//!
//! Small files are read into the thread's buffer. Larger ones are hashed over guarded mappings of bounded
//! size, by several threads where that is allowed; their holes are hashed without being read.

use std::fmt;
use std::ops::ControlFlow;
use std::os::fd::BorrowedFd;
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

use super::Pace;
use super::buffered::{BUFFER_BYTES, Scratch};
use super::drive::{End, drive};
use super::error::{Failure, failed};
use super::ledger::Ledger;
use super::sparse::{self, Extent, Segments};
use crate::sys::{self, Errno};

/// The BLAKE3 hash of a file's bytes, holes as zeros.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Digest(pub [u8; 32]);

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

/// Why a file has no digest.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DigestError {
    /// The file ended before the length asked for, or a mapped page could not be had. Redo or report.
    Changed,
    /// A call failed.
    Failed {
        /// Which one, as for a message.
        op: &'static str,
        /// The kernel's answer.
        source: Errno,
    },
    /// [`Pace`] asked to stop.
    Interrupted,
}

impl fmt::Display for DigestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DigestError::Changed => f.write_str("file changed while it was read"),
            DigestError::Failed { op, source } => {
                write!(f, "{op}: {}", std::io::Error::from_raw_os_error(*source as i32))
            }
            DigestError::Interrupted => f.write_str("interrupted"),
        }
    }
}

impl std::error::Error for DigestError {}

impl From<Failure> for DigestError {
    fn from(failure: Failure) -> DigestError {
        DigestError::Failed { op: failure.op, source: failure.errno }
    }
}

/// From this many bytes on a file is mapped.
///
/// Measured 2026-11, Linux 6.18, 2 cores (shared), tmpfs, one thread, best of 7 rounds of 500, read against mapped: 16 KiB
/// 11 µs and 16 µs, 64 KiB 48 µs and 30 µs, 128 KiB 96 µs and 56 µs, 512 KiB 408 µs and 243 µs.
const MAPPED_FROM: u64 = 64 << 10;

/// From this many bytes on several threads hash one file.
///
/// Measured as above, mapped, one thread against two: 128 KiB 56 µs and 90 µs, 512 KiB 243 µs and 234 µs, 1 MiB 535 µs and
/// 307 µs, 1 GiB 555 ms and 375 ms.
const PARALLEL_FROM: u64 = 1 << 20;

/// Bytes mapped and hashed at once: an interruption is answered after each. On 1 GiB with two threads, 4 MiB took
/// 539 ms, 32 MiB 470 ms, all at once 442 ms (as above).
const WINDOW: u64 = 32 << 20;

/// What holes are hashed as.
static ZEROS: [u8; 1 << 20] = [0; 1 << 20];

/// Whether other threads hash beside this one. blake3 has rayon start them with its first use, which panics where
/// they cannot be had; so they are started here.
fn helped() -> bool {
    static HELPED: OnceLock<bool> = OnceLock::new();
    *HELPED.get_or_init(|| rayon_core::ThreadPoolBuilder::new().build_global().is_ok())
}

fn hasher(key: Option<&[u8; 32]>) -> blake3::Hasher {
    key.map_or_else(blake3::Hasher::new, blake3::Hasher::new_keyed)
}

/// BLAKE3 over pieces, keyed or not.
#[derive(Clone, Debug)]
pub struct FileHasher(blake3::Hasher);

impl FileHasher {
    /// Keyed with `key`, if there is one.
    #[must_use]
    pub fn new(key: Option<&[u8; 32]>) -> FileHasher {
        FileHasher(hasher(key))
    }

    /// Adds the next piece.
    pub fn update(&mut self, piece: &[u8]) {
        self.0.update(piece);
    }

    /// Adds `len` zero bytes.
    pub fn zeros(&mut self, mut len: u64) {
        while len > 0 {
            let n = len.min(ZEROS.len() as u64);
            self.0.update(ZEROS.get(..usize::try_from(n).unwrap_or(0)).unwrap_or_default());
            len -= n;
        }
    }

    /// The digest of everything added.
    #[must_use]
    pub fn finish(&self) -> Digest {
        Digest(*self.0.finalize().as_bytes())
    }
}

/// BLAKE3 of a file from its beginning on, which follows whoever writes it: what has just been stored is hashed
/// while it is still in the processor's cache, and at the end little is left to do.
///
/// The file's position may move.
pub struct Following<'a> {
    hashing: Hashing<'a>,
    /// Where it has begun.
    from: u64,
    at: u64,
    threads: usize,
    ledger: &'a Ledger,
}

impl<'a> Following<'a> {
    /// `hasher` has seen what is to go before byte `from`. The rest at the end is hashed with up to `threads` threads.
    pub(super) fn new(
        hasher: FileHasher,
        fd: BorrowedFd<'a>,
        from: u64,
        threads: usize,
        ledger: &'a Ledger,
        pace: &'a dyn Pace,
    ) -> Following<'a> {
        let hashing = Hashing { fd, pace, parallel: false, hasher: hasher.0, window: None };
        Following { hashing, from, at: from, threads, ledger }
    }

    /// How many bytes are hashed.
    #[must_use]
    pub fn at(&self) -> u64 {
        self.at
    }

    /// Hashes up to byte `to`, with one thread; the bytes before it are not going to change.
    ///
    /// # Errors
    ///
    /// As [`Following::finish`].
    pub fn advance(&mut self, to: u64) -> Result<(), DigestError> {
        let part = Extent::between(self.at, to);
        self.hashing.extent(part)?;
        self.at = part.end();
        Ok(())
    }

    /// Hashes up to byte `to`, with all threads; returns the digest of everything so far.
    ///
    /// # Errors
    ///
    /// As [`Following::finish`].
    pub fn beginning(&mut self, to: u64) -> Result<Digest, DigestError> {
        self.hashing.parallel = self.threads > 1 && to.saturating_sub(self.at) >= PARALLEL_FROM;
        let hashed = self.advance(to);
        self.hashing.parallel = false;
        hashed.map(|()| Digest(*self.hashing.hasher.finalize().as_bytes()))
    }

    /// What has been hashed so far, to go on with elsewhere.
    #[must_use]
    pub fn into_hasher(self) -> FileHasher {
        self.ledger.hashed(self.at - self.from);
        FileHasher(self.hashing.hasher)
    }

    /// Hashes up to byte `len`, holes as zeros; bytes after it are not looked at.
    ///
    /// # Errors
    ///
    /// - [`DigestError::Changed`]: the file ended early, or a page of it could not be read.
    /// - [`DigestError::Failed`]: a read failed.
    /// - [`DigestError::Interrupted`]: the pace asked to stop.
    pub fn finish(mut self, len: u64) -> Result<Digest, DigestError> {
        let rest = Extent::between(self.at, len);
        self.hashing.parallel = self.threads > 1 && rest.len >= PARALLEL_FROM;
        self.hashing.extent(rest)?;
        if len >= MAPPED_FROM {
            // The last page of a file that was cut reads as zeros without a fault.
            if super::length(self.hashing.fd).map_err(failed("stat"))?.0 < len {
                return Err(DigestError::Changed);
            }
        }
        self.ledger.hashed(len.saturating_sub(self.from));
        Ok(Digest(*self.hashing.hasher.finalize().as_bytes()))
    }
}

struct Hashing<'a> {
    fd: BorrowedFd<'a>,
    pace: &'a dyn Pace,
    parallel: bool,
    hasher: blake3::Hasher,
    window: Option<Window>,
}

/// A part of the file that is mapped, perhaps beyond the file's present end.
struct Window {
    extent: Extent,
    mapping: sys::mmap::Mapping,
}

impl Window {
    /// The one in which byte `at` is; `None`: the file cannot be mapped.
    fn open(fd: BorrowedFd<'_>, at: u64) -> Option<Window> {
        let start = at - at % sys::mmap::page_size();
        let mapping = sys::mmap::Mapping::new(fd, start, usize::try_from(WINDOW).ok()?).ok()?;
        Some(Window { extent: Extent { start, len: WINDOW }, mapping })
    }

    /// The bytes of `part`, which lies in it and before the file's end.
    fn bytes(&self, part: Extent) -> &[u8] {
        let from = usize::try_from(part.start - self.extent.start).unwrap_or(usize::MAX);
        let bytes = self.mapping.bytes().get(from..).unwrap_or_default();
        bytes.get(..usize::try_from(part.len).unwrap_or(usize::MAX)).unwrap_or_default()
    }
}

impl Hashing<'_> {
    /// Hashes `extent` in the way that suits its size.
    fn extent(&mut self, extent: Extent) -> Result<(), DigestError> {
        match extent.len {
            0 => Ok(()),
            1..MAPPED_FROM => self.read(extent),
            _ if self.has_holes(extent)? => self.segments(extent),
            _ => self.mapped(extent),
        }
    }

    fn has_holes(&self, extent: Extent) -> Result<bool, DigestError> {
        let (_, allocated) = super::length(self.fd).map_err(failed("stat"))?;
        Ok(allocated < extent.end() && sparse::map_is_trusted(self.fd))
    }

    fn segments(&mut self, extent: Extent) -> Result<(), DigestError> {
        let mut segments = Segments::of(self.fd, extent);
        let mut at = extent.start;
        while let Some(segment) = segments.next()? {
            self.zeros(segment.start - at)?;
            self.mapped(segment)?;
            at = segment.end();
        }
        self.zeros(extent.end() - at)
    }

    /// Hashes `extent` over mappings; what cannot be mapped is read.
    fn mapped(&mut self, extent: Extent) -> Result<(), DigestError> {
        let mut rest = extent;
        while rest.len > 0 {
            // What follows a writer finds the rest of its window still mapped.
            let known = self.window.take().filter(|window| window.extent.holds(rest.start));
            let Some(window) = known.or_else(|| Window::open(self.fd, rest.start)) else {
                return self.read(rest);
            };
            let part = Extent::between(rest.start, rest.end().min(window.extent.end()));
            self.update(window.bytes(part));
            if window.mapping.changed() {
                return Err(DigestError::Changed);
            }
            self.window = Some(window);
            self.told(part.len)?;
            rest = rest.after(part.len);
        }
        Ok(())
    }

    /// Hashes `extent` through the thread's buffer.
    fn read(&mut self, extent: Extent) -> Result<(), DigestError> {
        let end = Scratch::with(|scratch| {
            let buffer = scratch.buffer();
            let hash = |off, len: usize| {
                let n = sys::pio::pread(self.fd, &mut buffer[..len], off).map_err(failed("read"))?;
                self.hasher.update(&buffer[..n]);
                Ok(n)
            };
            drive(extent, BUFFER_BYTES, hash, |n, _| self.pace.hashed(n as u64)).1
        });
        match end {
            End::Complete => Ok(()),
            End::Zero => Err(DigestError::Changed),
            End::Failed(failure) => Err(failure.into()),
            End::Stopped => Err(DigestError::Interrupted),
        }
    }

    fn zeros(&mut self, len: u64) -> Result<(), DigestError> {
        let mut left = len;
        while left > 0 {
            let n = left.min(ZEROS.len() as u64);
            self.update(&ZEROS[..n as usize]);
            self.told(n)?;
            left -= n;
        }
        Ok(())
    }

    fn update(&mut self, bytes: &[u8]) {
        if self.parallel && helped() {
            self.hasher.update_rayon(bytes);
        } else {
            self.hasher.update(bytes);
        }
    }

    fn told(&self, bytes: u64) -> Result<(), DigestError> {
        match self.pace.hashed(bytes) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(DigestError::Interrupted),
        }
    }
}
