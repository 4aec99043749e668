//! Copies through each rung of the ladder, which all run the same cases.

use std::fs::{self, File, OpenOptions};
use std::ops::ControlFlow;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use sluice::engine::{
    Copied, CopyError, Engine, Outcome, Pace, Policy, Reflink, Rung, Source, Target, Unpaced, ZeroCopy,
};
use sluice::sys::Errno;

use crate::requirement::skip;
use crate::scratch_fs::Mount;

/// Bytes that repeat only after a prime number of them, so that a shifted copy is a wrong one.
pub fn pattern(len: usize) -> Vec<u8> {
    // As whole rounds: byte by byte it takes longer than what is tested.
    let mut bytes = (1..=251).collect::<Vec<u8>>().repeat(len.div_ceil(251));
    bytes.truncate(len);
    bytes
}

/// A directory for one case, and the policy that forces its rung.
pub struct Place {
    dir: PathBuf,
    policy: Policy,
    _temp: Option<tempfile::TempDir>,
    _mount: Option<Mount>,
}

impl Place {
    pub fn forced(rung: Rung) -> Option<Place> {
        let temp = tempfile::tempdir().unwrap();
        let policy = Policy { forced: Some(rung), ..Policy::default() };
        Some(Place { dir: temp.path().to_owned(), policy, _temp: Some(temp), _mount: None })
    }

    /// On a filesystem that can reflink, with the rungs below left for files that change their size.
    pub fn reflinking(kind: &str) -> Option<Place> {
        let mount = Mount::new(kind, 320 << 20)?;
        Some(Place {
            dir: mount.path().to_owned(),
            policy: Policy::default(),
            _temp: None,
            _mount: Some(mount),
        })
    }

    pub fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.dir.join(name);
        fs::write(&path, bytes).unwrap();
        path
    }

    pub fn with(&self, change: impl FnOnce(&mut Policy)) -> Engine {
        let mut policy = self.policy;
        change(&mut policy);
        Engine::new(policy)
    }

    pub fn engine(&self) -> Engine {
        self.with(|_| {})
    }

    pub fn target(&self) -> PathBuf {
        self.dir.join("target")
    }
}

/// Copies `len` bytes of `src` to `dst`, which is made if it does not exist and overwritten if it does.
pub fn copy(engine: &Engine, src: &Path, len: u64, dst: &Path, pace: &dyn Pace) -> Result<Copied, CopyError> {
    let fresh = !dst.exists();
    let from = File::open(src).unwrap();
    let to = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(dst).unwrap();
    let (a, b) = (from.metadata().unwrap(), to.metadata().unwrap());
    // A file that had no holes when it was opened was `len` long then, whatever it is now.
    let allocated = if a.blocks() * 512 < a.len() { a.blocks() * 512 } else { len };
    let src = Source { fd: from.as_fd(), dev: a.dev(), from: 0, len, allocated };
    engine.copy(src, Target { fd: to.as_fd(), dev: b.dev(), fresh, device: false }, pace)
}

/// Small steps, and something done after each one.
pub struct Stepping<F> {
    pub limit: usize,
    pub after: F,
}

impl<F: Fn() -> ControlFlow<()> + Sync> Pace for Stepping<F> {
    fn advance(&self, _: u64, _: Rung) -> ControlFlow<()> {
        (self.after)()
    }

    fn hashed(&self, _: u64) -> ControlFlow<()> {
        (self.after)()
    }

    fn step_limit(&self) -> usize {
        self.limit
    }
}

pub fn whole_copy(place: &Place) {
    let bytes = pattern(3_000_123);
    let src = place.file("source", &bytes);
    let engine = place.engine();
    let copied = copy(&engine, &src, 3_000_123, &place.target(), &Unpaced).unwrap();
    assert_eq!((copied.bytes, copied.outcome), (3_000_123, Outcome::Complete));
    assert_eq!(fs::read(place.target()).unwrap(), bytes);
    let rung = place.policy.forced.unwrap_or(Rung::Reflink);
    let counts = engine.ledger().snapshot();
    assert_eq!(counts.of(rung).bytes, 3_000_123);
    assert_eq!(
        counts.rungs.iter().map(|r| r.calls).sum::<u64>(),
        counts.of(rung).calls,
        "no other rung was asked"
    );
    assert_eq!(copied.user, if rung.sees_bytes() { copied.bytes } else { 0 });
    assert_eq!(copied.cloned, if rung == Rung::Reflink { copied.bytes } else { 0 });
    assert_eq!((counts.user_copied(), counts.cloned()), (copied.user, copied.cloned));
}

pub fn empty_file(place: &Place) {
    let src = place.file("source", b"");
    let copied = copy(&place.engine(), &src, 0, &place.target(), &Unpaced).unwrap();
    assert_eq!((copied.bytes, copied.outcome), (0, Outcome::Complete));
    assert_eq!(fs::read(place.target()).unwrap(), b"");
}

pub fn many_steps_make_the_same_file(place: &Place) {
    let bytes = pattern(100_000);
    let src = place.file("source", &bytes);
    let pace = Stepping { limit: 4097, after: || ControlFlow::Continue(()) };
    let copied = copy(&place.engine(), &src, 100_000, &place.target(), &pace).unwrap();
    assert_eq!((copied.bytes, copied.outcome), (100_000, Outcome::Complete));
    assert_eq!(fs::read(place.target()).unwrap(), bytes);
}

pub fn a_source_shorter_than_announced_is_told(place: &Place) {
    let bytes = pattern(70_000);
    let src = place.file("source", &bytes);
    let copied = copy(&place.engine(), &src, 200_000, &place.target(), &Unpaced).unwrap();
    assert_eq!((copied.bytes, copied.outcome), (70_000, Outcome::SourceShrank { at: 70_000 }));
    assert_eq!(fs::read(place.target()).unwrap(), bytes);
}

pub fn a_source_cut_to_nothing_is_told(place: &Place) {
    let src = place.file("source", b"");
    let copied = copy(&place.engine(), &src, 200_000, &place.target(), &Unpaced).unwrap();
    assert_eq!((copied.bytes, copied.outcome), (0, Outcome::SourceShrank { at: 0 }));
    assert_eq!(fs::read(place.target()).unwrap(), b"");
}

pub fn a_source_that_grew_is_cut_at_the_announced_size(place: &Place) {
    let bytes = pattern(300_000);
    let src = place.file("source", &bytes);
    let copied = copy(&place.engine(), &src, 200_001, &place.target(), &Unpaced).unwrap();
    assert_eq!((copied.bytes, copied.outcome), (200_001, Outcome::Complete));
    assert_eq!(fs::read(place.target()).unwrap(), &bytes[..200_001]);
}

pub fn a_longer_target_is_overwritten_and_cut(place: &Place) {
    let bytes = pattern(200_001);
    let src = place.file("source", &bytes);
    place.file("target", &[0xff; 300_000]);
    let copied = copy(&place.engine(), &src, 200_001, &place.target(), &Unpaced).unwrap();
    assert_eq!(copied.outcome, Outcome::Complete);
    assert_eq!(fs::read(place.target()).unwrap(), bytes);
}

pub fn an_empty_source_empties_the_target(place: &Place) {
    let src = place.file("source", b"");
    place.file("target", &[0xff; 3000]);
    let copied = copy(&place.engine(), &src, 0, &place.target(), &Unpaced).unwrap();
    assert_eq!(copied.outcome, Outcome::Complete);
    assert_eq!(fs::read(place.target()).unwrap(), b"");
}

pub fn a_source_cut_between_steps_is_told_where(place: &Place) {
    let bytes = pattern(300_000);
    let src = place.file("source", &bytes);
    let cut = OpenOptions::new().write(true).open(&src).unwrap();
    let after = || {
        cut.set_len(150_000).unwrap();
        ControlFlow::Continue(())
    };
    let copied =
        copy(&place.engine(), &src, 300_000, &place.target(), &Stepping { limit: 1 << 16, after }).unwrap();
    assert_eq!((copied.bytes, copied.outcome), (150_000, Outcome::SourceShrank { at: 150_000 }));
    assert_eq!(fs::read(place.target()).unwrap(), &bytes[..150_000]);
}

pub fn interruption_stops_and_keeps_the_count(place: &Place) {
    let src = place.file("source", &pattern(300_000));
    let steps = AtomicU64::new(0);
    let after = || match steps.fetch_add(1, Ordering::Relaxed) {
        0 => ControlFlow::Continue(()),
        _ => ControlFlow::Break(()),
    };
    let engine = place.engine();
    let stopped =
        copy(&engine, &src, 300_000, &place.target(), &Stepping { limit: 1 << 16, after }).unwrap_err();
    assert_eq!(stopped, CopyError::Interrupted { moved: 2 << 16 });
    assert_eq!(engine.ledger().snapshot().rungs.iter().map(|r| r.bytes).sum::<u64>(), 2 << 16);
}

pub fn a_full_disk_fails_with_the_count(place: &Place) {
    let Some(full) = Mount::new("tmpfs", 1 << 20) else { return };
    if place.policy.forced == Some(Rung::CopyFileRange) {
        // Does not cross filesystems, so its source must be on the full one too.
        fs::write(full.path().join("source"), pattern(600_000)).unwrap();
    }
    let src = match place.policy.forced {
        Some(Rung::CopyFileRange) => full.path().join("source"),
        _ => place.file("source", &pattern(3_000_000)),
    };
    let len = fs::metadata(&src).unwrap().len();
    let target = full.path().join("target");
    let pace = Stepping { limit: 1 << 16, after: || ControlFlow::Continue(()) };
    match copy(&place.engine(), &src, len, &target, &pace).unwrap_err() {
        CopyError::Failed { source: Errno::ENOSPC, moved, .. } => {
            assert!(moved > 0 && moved <= fs::metadata(&target).unwrap().len(), "{moved}");
        }
        other => panic!("{other:?}"),
    }
}

/// The cases that hold for every rung.
macro_rules! every_rung {
    ($($rung:ident in $place:expr;)*) => { $(
        cases!($rung, $place, [
            whole_copy,
            empty_file,
            many_steps_make_the_same_file,
            a_source_shorter_than_announced_is_told,
            a_source_cut_to_nothing_is_told,
            a_source_that_grew_is_cut_at_the_announced_size,
            a_longer_target_is_overwritten_and_cut,
            an_empty_source_empties_the_target,
        ]);
    )* };
}

/// Those of rungs that move bytes in steps.
macro_rules! stepping_rungs {
    ($($rung:ident in $place:expr;)*) => { $(
        cases!($rung, $place, [
            a_source_cut_between_steps_is_told_where,
            interruption_stops_and_keeps_the_count,
            a_full_disk_fails_with_the_count,
        ]);
    )* };
}

mod every {
    use super::*;
    every_rung! {
        copy_file_range in Place::forced(Rung::CopyFileRange);
        sendfile in Place::forced(Rung::Sendfile);
        splice in Place::forced(Rung::Splice);
        buffered in Place::forced(Rung::Buffered);
        reflink_xfs in Place::reflinking("xfs");
        reflink_btrfs in Place::reflinking("btrfs");
    }
}

mod stepping {
    use super::*;
    stepping_rungs! {
        copy_file_range in Place::forced(Rung::CopyFileRange);
        sendfile in Place::forced(Rung::Sendfile);
        splice in Place::forced(Rung::Splice);
        buffered in Place::forced(Rung::Buffered);
    }
}

/// A directory on another filesystem than `here`, in memory.
fn elsewhere(here: &Path) -> Option<tempfile::TempDir> {
    let places = ["/dev/shm", env!("CARGO_TARGET_TMPDIR")];
    let other = places
        .iter()
        .filter_map(|place| tempfile::tempdir_in(place).ok())
        .find(|t| fs::metadata(t).unwrap().dev() != fs::metadata(here).unwrap().dev());
    if other.is_none() {
        skip("/dev/shm is not a filesystem of its own");
    }
    other
}

#[test]
fn a_refusal_between_two_filesystems_is_asked_for_once() {
    let place = Place::forced(Rung::Buffered).unwrap();
    let Some(there) = elsewhere(&place.dir) else { return };
    let src = place.file("source", &pattern(300_000));
    let engine = place.with(|p| p.forced = None);
    for name in ["one", "two"] {
        let _copied = copy(&engine, &src, 300_000, &there.path().join(name), &Unpaced).unwrap();
    }
    let counts = engine.ledger().snapshot();
    for rung in [Rung::Reflink, Rung::CopyFileRange] {
        let refused: u64 = counts.of(rung).refusals.iter().map(|(_, n)| n).sum();
        assert_eq!((counts.of(rung).calls, refused, counts.of(rung).bytes), (1, 1, 0), "{rung:?}");
    }
    assert_eq!(counts.of(Rung::Sendfile).bytes, 600_000);
    assert_eq!(counts.user_copied(), 0);
}

#[test]
fn reflink_always_is_an_error_where_extents_cannot_be_shared() {
    let Ok(dir) = tempfile::tempdir_in("/dev/shm") else { return skip("no /dev/shm") };
    let src = dir.path().join("source");
    fs::write(&src, b"small").unwrap();
    let engine = Engine::new(Policy { reflink: Reflink::Always, ..Policy::default() });
    for _ in 0..2 {
        let error = copy(&engine, &src, 5, &dir.path().join("target"), &Unpaced).unwrap_err();
        let refused = CopyError::NoWay { op: "reflink", source: Errno::EOPNOTSUPP, moved: 0 };
        assert_eq!(error, refused, "{error}");
    }
}

#[test]
fn zero_copy_always_moves_even_a_small_file_in_the_kernel() {
    let place = Place::forced(Rung::Buffered).unwrap();
    let src = place.file("source", b"small");
    let engine = Engine::new(Policy { zero_copy: ZeroCopy::Always, ..Policy::default() });
    let copied = copy(&engine, &src, 5, &place.target(), &Unpaced).unwrap();
    assert_eq!((copied.bytes, copied.user), (5, 0));
    assert_eq!(fs::read(place.target()).unwrap(), b"small");
}

#[test]
fn a_small_file_is_one_read_and_one_write_in_the_ledger() {
    let place = Place::forced(Rung::Buffered).unwrap();
    let src = place.file("source", b"small");
    let engine = Engine::new(Policy::default());
    let _copied = copy(&engine, &src, 5, &place.target(), &Unpaced).unwrap();
    let counts = engine.ledger().snapshot();
    assert_eq!((counts.of(Rung::Buffered).calls, counts.user_copied()), (1, 5));
    assert_eq!(counts.rungs.iter().map(|r| r.calls).sum::<u64>(), 1);
}

#[test]
fn a_virtual_file_that_answers_zero_or_refuses_is_read() {
    let place = Place::forced(Rung::Buffered).unwrap();
    let bytes = fs::read("/proc/version").unwrap();
    let engine = Engine::new(Policy { zero_copy: ZeroCopy::Auto, ..Policy::default() });
    let announced = 1 << 20;
    let copied = copy(&engine, Path::new("/proc/version"), announced, &place.target(), &Unpaced).unwrap();
    assert_eq!(copied.outcome, Outcome::SourceShrank { at: bytes.len() as u64 });
    assert_eq!(fs::read(place.target()).unwrap(), bytes);
}

#[test]
fn an_engine_is_shared_by_threads() {
    let place = Place::forced(Rung::Splice).unwrap();
    let bytes = pattern(300_000);
    let src = place.file("source", &bytes);
    let engine = place.engine();
    std::thread::scope(|scope| {
        for i in 0..4 {
            let (engine, src, dst) = (&engine, &src, place.dir.join(format!("target{i}")));
            let bytes = &bytes;
            scope.spawn(move || {
                let _copied = copy(engine, src, 300_000, &dst, &Unpaced).unwrap();
                assert_eq!(&fs::read(dst).unwrap(), bytes);
            });
        }
    });
    assert_eq!(engine.ledger().snapshot().of(Rung::Splice).bytes, 4 * 300_000);
}

/// Under `strace`, this test runs itself to make one copy of 64 MiB, and counts what read and write carried.
#[test]
fn the_bytes_of_a_large_file_pass_no_read_or_write() {
    const LEN: u64 = 64 << 20;
    const CHILD: &str = "SLUICE_TEST_COPY_IN";
    if let Some(dir) = std::env::var_os(CHILD) {
        let dir = PathBuf::from(dir);
        let copied =
            copy(&Engine::new(Policy::default()), &dir.join("source"), LEN, &dir.join("target"), &Unpaced)
                .unwrap();
        assert_eq!((copied.bytes, copied.user), (LEN, 0));
        return;
    }
    let place = Place::forced(Rung::Buffered).unwrap();
    let bytes = pattern(LEN as usize);
    place.file("source", &bytes);
    let log = place.dir.join("strace");
    let traced = std::process::Command::new("strace")
        .args(["-f", "-e", "trace=read,write,pread64,pwrite64,readv,writev,preadv,pwritev", "-o"])
        .arg(&log)
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "copy::the_bytes_of_a_large_file_pass_no_read_or_write"])
        .env(CHILD, &place.dir)
        .output();
    let traced = match traced {
        Ok(traced) => traced,
        Err(why) => return skip(&format!("strace: {why}")),
    };
    let log = fs::read_to_string(&log).unwrap_or_default();
    if log.is_empty() {
        return skip(&format!("strace may not trace here: {}", String::from_utf8_lossy(&traced.stderr)));
    }
    assert!(traced.status.success(), "{}", String::from_utf8_lossy(&traced.stdout));
    assert_eq!(fs::read(place.target()).unwrap(), bytes);
    let carried: u64 =
        log.lines().filter_map(|l| l.rsplit_once(" = ")?.1.split(' ').next()?.parse::<u64>().ok()).sum();
    assert!(carried > 0, "the log names no call: {log}");
    assert!(carried < LEN / 64, "{carried} bytes passed user space");
}

/// A file is shared in steps; one that has another length when the last of them is due is copied after all.
#[test]
fn a_source_that_changes_its_length_while_it_is_shared_is_copied() {
    const LEN: u64 = (130 << 20) + 5;
    for new in [LEN - 1000, LEN + 1000] {
        let Some(place) = Place::reflinking("xfs") else { return };
        let src = place.file("source", &pattern(LEN as usize));
        let file = OpenOptions::new().write(true).open(&src).unwrap();
        let after = || {
            file.set_len(new).unwrap();
            ControlFlow::Continue(())
        };
        let engine = place.engine();
        let copied = copy(&engine, &src, LEN, &place.target(), &Stepping { limit: 8 << 20, after }).unwrap();
        let end = new.min(LEN);
        let outcome = if new < LEN { Outcome::SourceShrank { at: end } } else { Outcome::Complete };
        assert_eq!((copied.outcome, copied.bytes, copied.cloned), (outcome, end, 0));
        assert!(engine.ledger().snapshot().cloned() > 0, "it was never shared");
        assert!(fs::read(place.target()).unwrap() == pattern(LEN as usize)[..end as usize]);
    }
}

#[test]
fn sharing_is_interrupted_between_its_steps() {
    let Some(place) = Place::reflinking("xfs") else { return };
    let src = place.file("source", &pattern(130 << 20));
    let after = || ControlFlow::Break(());
    let stopped =
        copy(&place.engine(), &src, 130 << 20, &place.target(), &Stepping { limit: 8 << 20, after })
            .unwrap_err();
    assert_eq!(stopped, CopyError::Interrupted { moved: 64 << 20 });
}
