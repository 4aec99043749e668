//! `-z`: bytes made smaller by zstd before they cross a connection, and whole again behind it.
//!
//! Each piece is one zstd frame by itself, with its size in it. So nothing is remembered from one piece to the
//! next, a window is never larger than a piece, and what a peer sends is unpacked straight into a buffer of
//! the size that it claims, which its frame has bounded ([`Unpacker::unpack`]).
//!
//! Slower when: the line is faster than one processor packs (level 3: some 300 MB/s); files are compressed
//! already, whose pieces are packed in vain and then sent as they are.

use std::fmt;
use std::os::fd::BorrowedFd;
use std::sync::{Mutex, PoisonError};

use zstd::bulk::{Compressor, Decompressor};
use zstd::zstd_safe;

use crate::sys;

/// The level where none is asked for; zstd's own.
pub const LEVEL: i32 = 3;

/// Every level, the fastest first.
#[must_use]
pub fn levels() -> std::ops::RangeInclusive<i32> {
    zstd::compression_level_range()
}

/// Less than this is not worth packing, in bytes: a frame and its dictionary of nothing cost some twenty.
const LEAST: usize = 128;

/// Packs pieces.
pub struct Packer {
    context: Compressor<'static>,
}

/// Keeps its context to itself.
impl fmt::Debug for Packer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Packer")
    }
}

impl Packer {
    /// One that packs with `level`; 0 is [`LEVEL`], and what is beyond the ends is the end.
    ///
    /// `None`: there is no memory for it.
    #[must_use]
    pub fn new(level: i32) -> Option<Packer> {
        let level = level.clamp(*levels().start(), *levels().end());
        Compressor::new(level).ok().map(|context| Packer { context })
    }

    /// Appends `bytes` to `out`, packed. Returns `false`, with `out` as it was, where that gains nothing or
    /// cannot be: they are to be sent as they are.
    pub fn pack(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> bool {
        if bytes.len() < LEAST {
            return false;
        }
        let start = out.len();
        // With room for less than all of it: what does not get smaller ends early.
        out.resize(start + bytes.len() - LEAST / 8, 0);
        let room = out.get_mut(start..).unwrap_or_default();
        match self.context.compress_to_buffer(bytes, room) {
            Ok(n) => {
                out.truncate(start + n);
                true
            }
            Err(_) => {
                out.truncate(start);
                false
            }
        }
    }
}

/// A piece of a file, read to be packed.
#[derive(Debug, Default)]
pub struct Piece {
    /// What was read.
    pub bytes: Vec<u8>,
    /// The same, packed behind what the caller wants in front; `None`: it is to be sent as it is.
    pub packed: Option<Vec<u8>>,
}

/// Several packers, which pack pieces of one file at the same time (`--compress-threads`).
#[derive(Debug)]
pub struct Crew(Vec<Packer>);

impl Crew {
    /// `threads` packers, at least one. `None`: there is no memory for them.
    #[must_use]
    pub fn new(level: i32, threads: usize) -> Option<Crew> {
        (0..threads.max(1)).map(|_| Packer::new(level)).collect::<Option<Vec<_>>>().map(Crew)
    }

    /// Reads and packs the next pieces of `file` from `off` on, of at most `piece` bytes each and `len` in
    /// all: as many as there are packers. `front` bytes are left free in front of each packed one.
    ///
    /// A piece that cannot be read whole is not packed: whoever sends it as it is finds out why.
    pub fn pack(
        &mut self,
        file: BorrowedFd<'_>,
        off: u64,
        len: u64,
        piece: usize,
        front: usize,
    ) -> Vec<Piece> {
        let starts = (off..off.saturating_add(len)).step_by(piece.max(1));
        let mut pieces: Vec<_> = starts.clone().zip(&self.0).map(|_| Piece::default()).collect();
        let helpers = pieces.len().saturating_sub(1);
        let jobs = Mutex::new(pieces.iter_mut().zip(&mut self.0).zip(starts));
        let next = || jobs.lock().unwrap_or_else(PoisonError::into_inner).next();
        let work = || {
            while let Some(((place, packer), at)) = next() {
                let len = usize::try_from(off + len - at).unwrap_or(piece).min(piece);
                let bytes = read(file, at, len);
                let mut packed = vec![0; front];
                let smaller = bytes.len() == len && packer.pack(&bytes, &mut packed);
                *place = Piece { bytes, packed: smaller.then_some(packed) };
            }
        };
        std::thread::scope(|scope| {
            // Whatever nobody helps with is done here.
            let start = |_| sys::thread::start(scope, work).ok();
            let _helpers: Vec<_> = (0..helpers).map_while(start).collect();
            work();
        });
        pieces
    }
}

/// Up to `len` bytes; fewer where the file ends or cannot be read.
fn read(file: BorrowedFd<'_>, off: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    let mut done = 0;
    while done < len {
        match sys::pio::pread(file, bytes.get_mut(done..).unwrap_or_default(), off + done as u64) {
            Ok(n) if n > 0 => done += n,
            _ => break,
        }
    }
    bytes.truncate(done);
    bytes
}

/// What was to be unpacked is not what it should be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BadPack(
    /// Why.
    pub &'static str,
);

/// Unpacks pieces.
pub struct Unpacker {
    context: Decompressor<'static>,
}

/// Keeps its context to itself.
impl fmt::Debug for Unpacker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Unpacker")
    }
}

impl Unpacker {
    /// One that has unpacked nothing. `None`: there is no memory for it.
    #[must_use]
    pub fn new() -> Option<Unpacker> {
        Decompressor::new().ok().map(|context| Unpacker { context })
    }

    /// Makes `out` what `packed` holds, which has to be one zstd frame of exactly `size` bytes. No more memory
    /// is taken than for these, whose number the caller has looked at.
    ///
    /// # Errors
    ///
    /// It is something else.
    pub fn unpack(&mut self, packed: &[u8], size: usize, out: &mut Vec<u8>) -> Result<(), BadPack> {
        // Before anything is unpacked: it is one frame, and says the same of its size.
        if zstd_safe::find_frame_compressed_size(packed) != Ok(packed.len()) {
            return Err(BadPack("is not one zstd frame"));
        }
        match zstd_safe::get_frame_content_size(packed) {
            Ok(Some(own)) if own == size as u64 => {}
            _ => return Err(BadPack("has another size than it claims")),
        }
        out.resize(size, 0);
        match self.context.decompress_to_buffer(packed, &mut out[..]) {
            Ok(n) if n == size => Ok(()),
            _ => Err(BadPack("does not unpack")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text() -> Vec<u8> {
        (0..40_000_u32).flat_map(|n| format!("{} ", n % 977).into_bytes()).collect()
    }

    fn packed(bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        assert!(Packer::new(0).unwrap().pack(bytes, &mut out));
        out
    }

    #[test]
    fn what_was_packed_comes_back_with_every_level() {
        let mut unpacker = Unpacker::new().unwrap();
        for level in [-5, 0, 1, 19, i32::MAX] {
            let mut out = b"front".to_vec();
            assert!(Packer::new(level).unwrap().pack(&text(), &mut out), "level {level}");
            assert!(out.starts_with(b"front") && out.len() < text().len() / 2);
            let mut back = b"something else".to_vec();
            unpacker.unpack(&out[5..], text().len(), &mut back).unwrap();
            assert!(back == text(), "level {level}");
        }
        // The fastest finds next to nothing, and is a level all the same.
        assert!(Packer::new(i32::MIN).is_some());
    }

    #[test]
    fn what_does_not_get_smaller_is_left_as_it_is() {
        let noise: Vec<u8> = (0..500_u64).flat_map(|n| *blake3::hash(&n.to_le_bytes()).as_bytes()).collect();
        let mut out = b"front".to_vec();
        let mut packer = Packer::new(0).unwrap();
        assert!(
            !packer.pack(&noise, &mut out)
                && !packer.pack(b"", &mut out)
                && !packer.pack(&[7; 100], &mut out)
        );
        assert_eq!(out, b"front");
        assert!(packer.pack(&[7; 1000], &mut out), "the packer goes on");
    }

    #[test]
    fn nothing_but_one_frame_of_the_size_that_was_claimed_is_unpacked() {
        let good = packed(&text());
        let len = text().len();
        let mut unpacker = Unpacker::new().unwrap();
        let mut refused = |bytes: &[u8], size: usize| {
            let mut out = Vec::new();
            unpacker.unpack(bytes, size, &mut out).unwrap_err().0
        };
        assert_eq!(refused(&good, len - 1), "has another size than it claims");
        assert_eq!(refused(&good, len + 1), "has another size than it claims");
        assert_eq!(refused(&[&good[..], &good[..]].concat(), len), "is not one zstd frame");
        assert_eq!(refused(&good[..good.len() - 1], len), "is not one zstd frame");
        assert_eq!(refused(b"", 1), "is not one zstd frame");
        // A skippable frame, which holds nothing.
        assert_eq!(refused(b"\x50\x2a\x4d\x18\x01\0\0\0x", 1), "has another size than it claims");
        let mut unpacked = 0;
        for at in 0..good.len().min(2000) {
            let mut bad = good.clone();
            bad[at] ^= 0x41;
            let mut out = Vec::new();
            unpacked += usize::from(unpacker.unpack(&bad, len, &mut out).is_ok());
            assert!(out.len() <= len);
        }
        // No checksum is in the frame: the file's digest finds what is left.
        assert!(unpacked < 2000);
        let mut out = Vec::new();
        unpacker.unpack(&good, len, &mut out).unwrap();
        assert!(out == text(), "the unpacker goes on");
    }

    #[test]
    fn a_crew_packs_as_many_pieces_as_it_has_packers_and_none_beyond_the_end() {
        use std::io::Write as _;
        use std::os::fd::AsFd as _;
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&text()).unwrap();
        let len = text().len() as u64;
        let mut crew = Crew::new(0, 3).unwrap();
        let mut at = 0;
        let mut seen = Vec::new();
        while at < len {
            let pieces = crew.pack(file.as_fd(), at, len - at, 10_000, 4);
            assert!((1..=3).contains(&pieces.len()));
            for piece in pieces {
                let packed = piece.packed.unwrap();
                let mut back = Vec::new();
                Unpacker::new().unwrap().unpack(&packed[4..], piece.bytes.len(), &mut back).unwrap();
                assert!(back == piece.bytes);
                at += back.len() as u64;
                seen.extend(back);
            }
        }
        assert!(seen == text());
        let short = crew.pack(file.as_fd(), len - 500, 1000, 1000, 4);
        assert!(short.len() == 1 && short[0].bytes.len() == 500 && short[0].packed.is_none());
        assert!(crew.pack(file.as_fd(), 0, 0, 1000, 4).is_empty());
    }
}
