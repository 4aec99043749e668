//! Killed at random moments: a name has its old file or its new one, whole; the next run cleans up.
//!
//! A case is a kill, of each set of options as many: `SLUICE_TEST_CASES=400 cargo test --test it killed`.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::oracle::{Entry, Manifest};
use crate::random_cases;
use crate::random_tree::Rng;
use crate::requirement::{self, Need};
use crate::under_test::{self, command, finish};

const SMALL: usize = 120;
const LARGE: usize = 4;

/// One of two generations of a tree: the same names, other sizes, bytes, times and link texts. Each has a few
/// files that the other lacks.
fn generation(root: &Path, which: u8) {
    let bytes = |seed: usize, len: usize| -> Vec<u8> {
        (0..len).map(|i| (i * (which as usize + 3) + seed) as u8 | 1).collect()
    };
    for dir in ["a/deep", "b", "links"] {
        fs::create_dir_all(root.join(dir)).unwrap();
    }
    let mut files = Vec::new();
    for i in 0..SMALL {
        let dir = ["a", "a/deep", "b"][i % 3];
        files.push((format!("{dir}/small{i}"), bytes(i, [5, 3000, 70_000][i % 3] + which as usize)));
    }
    for i in 0..LARGE {
        files.push((format!("b/large{i}"), bytes(i, (3 << 20) + i + which as usize)));
    }
    for i in 0..5 {
        files.push((format!("a/only-in-{which}-{i}"), bytes(i, 100)));
    }
    files.push((format!("a/{}", "long".repeat(63)), bytes(1, 2000)));
    for (at, (name, content)) in files.into_iter().enumerate() {
        let path = root.join(name);
        fs::write(&path, content).unwrap();
        let time = Duration::new(1_500_000_000 + u64::from(which) * 1000 + at as u64, 123_456_789);
        fs::File::open(&path).unwrap().set_modified(std::time::UNIX_EPOCH + time).unwrap();
        if at % 10 == 0 {
            fs::hard_link(&path, root.join(format!("links/hard{at}"))).unwrap();
        }
    }
    for i in 0..10 {
        symlink(format!("text-{which}-{i}"), root.join(format!("links/soft{i}"))).unwrap();
    }
    for dir in ["a/deep", "a", "b", "links", ""] {
        let time = Duration::from_secs(1_400_000_000 + u64::from(which));
        fs::File::open(root.join(dir)).unwrap().set_modified(std::time::UNIX_EPOCH + time).unwrap();
    }
}

/// What must be the same in an entry that is wholly of one generation. A node without data may have its name a
/// moment before its attributes.
fn essence(entry: &Entry) -> Entry {
    let mut entry = Entry { linked: None, ..entry.clone() };
    if entry.kind != 'f' {
        entry = Entry { mode: 0, mtime: crate::oracle::Time::Now, ..entry };
    }
    entry
}

/// Fails unless everything in `dst` is wholly of one of the two generations, and nothing that both have is
/// missing. Temp files of the killed run are counted.
fn check(dst: &Manifest, generations: &[Manifest; 2], what: &str) -> usize {
    let mut leftovers = 0;
    for (path, entry) in &dst.0 {
        let known: Vec<_> = generations.iter().filter_map(|tree| tree.0.get(path)).collect();
        if known.is_empty() {
            let name = path.rsplit(|b| *b == b'/').next().unwrap();
            assert!(name.starts_with(b"."), "{what}: {} came from nowhere", path.escape_ascii());
            leftovers += 1;
        } else {
            let whole = known.iter().any(|known| essence(known) == essence(entry));
            assert!(whole, "{what}: {} is neither old nor new: {entry}", path.escape_ascii());
        }
    }
    for path in generations[0].0.keys().filter(|path| generations[1].0.contains_key(*path)) {
        assert!(dst.0.contains_key(path), "{what}: {} is missing", path.escape_ascii());
    }
    leftovers
}

/// Kills runs with `options` that make `dst` the one generation and the other by turns.
fn kill_and_check(options: &[&str], start: &dyn Fn(&Path) -> Command) {
    if !under_test::is_sluice() {
        return; // rsync leaves its temp files
    }
    let kills = random_cases::seeds(24);
    let rng = &mut Rng::new(kills.start);
    let dir = tempfile::tempdir().unwrap();
    let [trees @ .., _] = ["one/", "two/", "dst/"];
    for (which, tree) in trees.iter().enumerate() {
        generation(&dir.path().join(tree), which as u8);
    }
    let generations = trees.map(|tree| Manifest::exact(&dir.path().join(tree)));
    let run = |from: &str| {
        let mut command = start(dir.path());
        command.args(options).args([from, "dst/"]).stderr(std::process::Stdio::null());
        command
    };
    let clean = |from: usize| {
        let mut again = start(dir.path());
        again.args(options).arg("--delete").args([trees[from], "dst/"]);
        finish(again).expect(0);
    };
    clean(0);
    clean(1);
    let began = Instant::now();
    clean(0);
    let whole = began.elapsed();
    let mut left = BTreeMap::new();
    let mut to = 0;
    for kill in kills.clone() {
        let what = format!("SLUICE_TEST_SEED={}, kill {kill}, {options:?}", kills.start);
        let mut child = run(trees[to]).spawn().unwrap();
        sleep(whole.mul_f64(rng.below(1000) as f64 / 900.0));
        child.kill().unwrap();
        child.wait().unwrap();
        let dst = Manifest::exact(&dir.path().join("dst"));
        *left.entry(check(&dst, &generations, &what)).or_insert(0) += 1;
        if kill % 8 == 7 {
            // Without --delete, which would take leftovers for surplus.
            assert!(run(trees[to]).status().unwrap().success(), "{what}");
            let dst = Manifest::exact(&dir.path().join("dst"));
            assert_eq!(check(&dst, &generations, &what), 0, "{what}: leftovers after a whole run");
            clean(to);
            let dst = Manifest::exact(&dir.path().join("dst"));
            let mut expected = generations[to].clone();
            if !options.iter().any(|option| option.contains('H')) {
                expected.0.values_mut().for_each(|entry| entry.linked = None);
            }
            assert_eq!(dst.difference(&expected), "", "{what}");
            let mut silent = run(trees[to]);
            silent.args(["-i", "--delete"]);
            assert_eq!(finish(silent).expect(0).text(), "", "{what}: the run after is not silent");
            to = 1 - to;
        }
    }
    println!("leftovers after a kill, and how often: {left:?}");
}

fn plain(dir: &Path) -> Command {
    command(&under_test::binary(), dir)
}

#[test]
fn every_name_has_its_old_file_or_its_new_one() {
    kill_and_check(&["-a"], &plain);
}

#[test]
fn with_hard_links() {
    kill_and_check(&["-aH"], &plain);
}

#[test]
fn with_deletion_and_verification() {
    kill_and_check(&["-a", "--delete-before", "--verify", "--jobs=4"], &plain);
}

#[test]
fn with_backups() {
    kill_and_check(&["-ab", "--backup-dir=../bak"], &plain);
}

/// Starts a program to which `O_TMPFILE` is unknown, as on NFS: a filter of the process's system calls.
const NO_TMPFILE: &str = r"
import ctypes, os, platform, struct, sys
call = {'x86_64': 257, 'aarch64': 56}[platform.machine()]
program = [
    (0x20, 0, 0, 0),            # the number of the call
    (0x15, 0, 3, call),         # openat?
    (0x20, 0, 0, 32),           # its flags
    (0x45, 0, 1, 0o20000000),   # __O_TMPFILE?
    (0x06, 0, 0, 0x50000 | 95), # EOPNOTSUPP
    (0x06, 0, 0, 0x7fff0000),   # allowed
]
code = ctypes.create_string_buffer(b''.join(struct.pack('HBBI', *op) for op in program))
fprog = ctypes.create_string_buffer(struct.pack('HxxxxxxP', len(program), ctypes.addressof(code)))
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(38, 1, 0, 0, 0) == 0
assert libc.prctl(22, 2, fprog, 0, 0) == 0, os.strerror(ctypes.get_errno())
os.execv(sys.argv[1], sys.argv[1:])
";

#[test]
fn where_files_cannot_be_made_without_a_name() {
    if !requirement::met(&[Need::Program("python3")]) {
        return;
    }
    let start = |dir: &Path| {
        let mut python = command("python3".as_ref(), dir);
        python.args(["-c", NO_TMPFILE]).arg(under_test::binary());
        python
    };
    kill_and_check(&["-aH", "--jobs=4"], &start);
}

#[test]
fn a_killed_run_that_wrote_in_place_is_repaired_by_the_next() {
    let dir = tempfile::tempdir().unwrap();
    for (which, tree) in ["one", "dst"].iter().enumerate() {
        generation(&dir.path().join(tree), which as u8);
    }
    let expected = Manifest::exact(&dir.path().join("one"));
    let rng = &mut Rng::new(1);
    for _ in 0..10 {
        let mut child = plain(dir.path());
        let mut child = child.args(["-aH", "--inplace", "-I", "one/", "dst/"]).spawn().unwrap();
        sleep(Duration::from_millis(rng.below(120) as u64));
        child.kill().unwrap();
        child.wait().unwrap();
        let inode = fs::metadata(dir.path().join("dst/b/large0")).unwrap().ino();
        under_test::run(dir.path(), ["-aH", "--inplace", "--delete", "one/", "dst/"]).expect(0);
        let dst = Manifest::exact(&dir.path().join("dst"));
        assert_eq!(dst.difference(&expected), "");
        assert_eq!(fs::metadata(dir.path().join("dst/b/large0")).unwrap().ino(), inode);
    }
}
