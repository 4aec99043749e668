//! Digests are BLAKE3 of the logical bytes, however they are read, and never of a file that changed.

use std::fs::{self, File, OpenOptions};
use std::ops::ControlFlow;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;

use sluice::engine::{Digest, DigestError, Engine, Pace, Policy, Unpaced};

use crate::copy::{Stepping, pattern};

fn engine(threads: usize) -> Engine {
    Engine::new(Policy { threads, ..Policy::default() })
}

fn digest(engine: &Engine, file: &File, len: usize, pace: &dyn Pace) -> Result<Digest, DigestError> {
    engine.digest(file.as_fd(), len as u64, pace)
}

fn file(bytes: &[u8]) -> File {
    let file = tempfile::tempfile().unwrap();
    file.write_all_at(bytes, 0).unwrap();
    file
}

#[test]
fn digests_are_blake3_for_every_way_of_reading() {
    for len in [0, 1, 4096, (64 << 10) - 1, 64 << 10, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, (33 << 20) + 77]
    {
        let bytes = pattern(len);
        let expected = Digest(*blake3::hash(&bytes).as_bytes());
        let file = file(&bytes);
        for threads in [0, 1, 2] {
            let engine = engine(threads);
            assert_eq!(digest(&engine, &file, len, &Unpaced), Ok(expected), "{len} bytes, {threads} threads");
            assert_eq!(engine.ledger().snapshot().hashed, len as u64);
        }
    }
}

#[test]
fn a_digest_that_follows_the_writer_is_that_of_the_whole_file() {
    // Data and holes, in pieces on both sides of what is mapped, and across a mapping's end.
    let len = (70 << 20) + 77;
    let mut bytes = vec![0; len];
    let data = [(0, 3 << 20), (5 << 20, 10), ((31 << 20) + 5, 2 << 20), (69 << 20, 1 << 20)];
    for (start, len) in data {
        bytes[start..start + len].copy_from_slice(&pattern(len));
    }
    for step in [7 << 10, 1 << 20, (32 << 20) + 4097] {
        let file = tempfile::tempfile().unwrap();
        let engine = engine(2);
        let mut following = engine.follow(file.as_fd(), &Unpaced);
        let mut at = 0;
        for (start, len) in data {
            for from in (start..start + len).step_by(step) {
                let to = (start + len).min(from + step);
                file.write_all_at(&bytes[from..to], from as u64).unwrap();
                following.advance(to as u64).unwrap();
                assert_eq!(following.at(), to as u64);
                at = to;
            }
        }
        assert!(at < len, "the end is a hole");
        file.set_len(len as u64).unwrap();
        let expected = Digest(*blake3::hash(&bytes).as_bytes());
        assert_eq!(following.finish(len as u64), Ok(expected), "in steps of {step}");
        assert_eq!(engine.ledger().snapshot().hashed, len as u64);
    }
}

#[test]
fn a_file_that_is_cut_behind_the_one_that_follows_it_has_no_digest() {
    let file = file(&pattern(2 << 20));
    let engine = engine(1);
    let mut following = engine.follow(file.as_fd(), &Unpaced);
    following.advance(1 << 20).unwrap();
    file.set_len(100).unwrap();
    assert_eq!(following.finish(2 << 20), Err(DigestError::Changed));
}

#[test]
fn digests_print_as_hexadecimal() {
    let text = digest(&engine(1), &file(b""), 0, &Unpaced).unwrap().to_string();
    assert_eq!(text, "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262");
}

#[test]
fn holes_count_as_zeros() {
    let mut bytes = vec![0; (9 << 20) + 5];
    let file = tempfile::tempfile().unwrap();
    file.set_len(bytes.len() as u64).unwrap();
    for at in [5000, 4 << 20, (7 << 20) + 1] {
        file.write_all_at(b"data", at as u64).unwrap();
        bytes[at..at + 4].copy_from_slice(b"data");
    }
    let expected = Digest(*blake3::hash(&bytes).as_bytes());
    assert_eq!(digest(&engine(2), &file, bytes.len(), &Unpaced), Ok(expected));
}

#[test]
fn bytes_after_the_length_do_not_count() {
    let bytes = pattern(3 << 20);
    let expected = Digest(*blake3::hash(&bytes[..(2 << 20) + 1]).as_bytes());
    assert_eq!(digest(&engine(2), &file(&bytes), (2 << 20) + 1, &Unpaced), Ok(expected));
}

#[test]
fn a_file_that_is_too_short_has_changed() {
    for (has, expected) in
        [(0, 1), (1000, 4096), (1000, 2 << 20), ((2 << 20) - 10, 2 << 20), (2 << 20, 40 << 20)]
    {
        let file = file(&pattern(has));
        assert_eq!(
            digest(&engine(2), &file, expected, &Unpaced),
            Err(DigestError::Changed),
            "{has} of {expected}"
        );
    }
}

#[test]
fn a_file_cut_while_it_is_hashed_has_changed() {
    for threads in [1, 2] {
        let file = file(&pattern(40 << 20));
        let after = || {
            file.set_len(0).unwrap();
            ControlFlow::Continue(())
        };
        let pace = Stepping { limit: usize::MAX, after };
        assert_eq!(digest(&engine(threads), &file, 40 << 20, &pace), Err(DigestError::Changed));
    }
}

#[test]
fn a_file_cut_and_grown_all_the_time_never_ends_the_process() {
    const LEN: usize = 8 << 20;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    fs::write(&path, pattern(LEN)).unwrap();
    let intact = Digest(*blake3::hash(&pattern(LEN)).as_bytes());
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let file = OpenOptions::new().write(true).open(&path).unwrap();
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                file.set_len(0).unwrap();
                file.set_len(LEN as u64).unwrap();
            }
        });
        let file = File::open(&path).unwrap();
        for _ in 0..20 {
            // Whether a cut fell into the hashing is chance; that the process lives and answers is not.
            let result = digest(&engine(2), &file, LEN, &Unpaced);
            assert!(matches!(result, Ok(_) | Err(DigestError::Changed)), "{result:?}");
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    let file = File::open(&path).unwrap();
    assert_ne!(digest(&engine(2), &file, LEN, &Unpaced), Ok(intact));
}

#[test]
fn hashing_stops_when_asked() {
    let file = file(&pattern(40 << 20));
    let pace = Stepping { limit: usize::MAX, after: || ControlFlow::Break(()) };
    let engine = engine(2);
    assert_eq!(digest(&engine, &file, 40 << 20, &pace), Err(DigestError::Interrupted));
    assert_eq!(engine.ledger().snapshot().hashed, 0);
}
