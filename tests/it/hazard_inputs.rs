//! Inputs that break tools: names, depths, numbers, kinds and times at the edge, and sources that
//! change while they are copied.

use std::fs::{self, File};
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::Child;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, SystemTime};

use nix::fcntl::{OFlag, open, openat};
use nix::sys::stat::{Mode, UtimensatFlags, mkdirat, utimensat};
use nix::sys::time::TimeSpec;
use nix::unistd::mkfifo;

use crate::oracle::Manifest;
use crate::under_test::{self, command};

fn scratch() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("src")).unwrap();
    dir
}

/// Copies `src/` to `dst/`, which must then be the same, and again, which must say nothing.
#[track_caller]
fn copies_and_is_stable(dir: &Path, options: &[&str]) {
    let since = SystemTime::now();
    let args = || options.iter().copied().chain(["-i", "src/", "dst/"]);
    under_test::run(dir, args()).expect(0);
    let [src, dst] = ["src", "dst"].map(|tree| Manifest::of(&dir.join(tree), since));
    assert_eq!(dst.difference(&src), "");
    assert_eq!(under_test::run(dir, args()).expect(0).text(), "");
}

#[test]
fn names_of_any_bytes_are_copied_and_shown_on_one_line_each() {
    let dir = scratch();
    let names: [&[u8]; 7] =
        [b"new\nline", b"\x1b]0;title\x07", b"\xff\xfe\xfd", b"-rf", b" ", b"\\#012", b"\xe2\x80\xae"];
    for name in names {
        fs::write(dir.path().join("src").join(std::ffi::OsStr::from_bytes(name)), name).unwrap();
    }
    let dry = under_test::run(dir.path(), ["-ain", "src/", "dst/"]);
    assert_eq!(dry.out.iter().filter(|b| **b == b'\n').count(), names.len() + 2, "{}", dry.text());
    assert!(!dry.out.contains(&0x1b), "an escape sequence reached the terminal");
    copies_and_is_stable(dir.path(), &["-a"]);
}

#[test]
fn names_of_255_bytes_are_replaced_too() {
    let dir = scratch();
    let names = ["n".repeat(255), "é".repeat(127), format!(".{}", "h".repeat(254))];
    for name in &names {
        fs::create_dir_all(dir.path().join("dst")).unwrap();
        fs::write(dir.path().join("src").join(name), "new").unwrap();
        fs::write(dir.path().join("dst").join(name), "older").unwrap();
    }
    copies_and_is_stable(dir.path(), &["-a"]);
}

/// Opens or makes `levels` directories, each in the one before, and returns the innermost.
fn descend(root: &Path, levels: usize, make: bool) -> OwnedFd {
    let flags = OFlag::O_DIRECTORY | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW;
    let mut at = open(root, flags, Mode::empty()).unwrap();
    for level in 0..levels {
        let name = format!("level-{level:05}-of-a-tall-tree");
        if make {
            mkdirat(&at, name.as_str(), Mode::S_IRWXU).unwrap();
        }
        at =
            openat(&at, name.as_str(), flags, Mode::empty()).unwrap_or_else(|e| panic!("level {level}: {e}"));
    }
    at
}

#[test]
fn a_tree_deeper_than_a_path_may_be_long_is_copied() {
    if !under_test::is_sluice() {
        return; // rsync's paths end at PATH_MAX
    }
    const LEVELS: usize = 400; // of 27 bytes each: 10,800, and PATH_MAX is 4096
    let dir = scratch();
    let bottom = descend(&dir.path().join("src"), LEVELS, true);
    let mut leaf =
        File::from(openat(&bottom, "leaf", OFlag::O_CREAT | OFlag::O_WRONLY, Mode::S_IRUSR).unwrap());
    leaf.write_all(b"deep").unwrap();
    under_test::run(dir.path(), ["-a", "src/", "dst/"]).expect(0);
    let bottom = descend(&dir.path().join("dst"), LEVELS, false);
    let leaf = File::from(openat(&bottom, "leaf", OFlag::O_RDONLY, Mode::empty()).unwrap());
    assert_eq!(std::io::read_to_string(leaf).unwrap(), "deep");
    assert_eq!(under_test::run(dir.path(), ["-ai", "src/", "dst/"]).expect(0).text(), "");
    fs::remove_dir_all(dir.path().join("src")).unwrap();
    fs::create_dir(dir.path().join("src")).unwrap();
    under_test::run(dir.path(), ["-a", "--delete", "src/", "dst/"]).expect(0);
    assert_eq!(fs::read_dir(dir.path().join("dst")).unwrap().count(), 0, "the deep tree was not deleted");
}

#[test]
fn a_hundred_thousand_entries_in_one_directory_are_copied_and_deleted() {
    let dir = crate::scratch_fs::in_memory();
    let src = dir.path().join("src");
    fs::create_dir(&src).unwrap();
    for i in 0..100_000 {
        File::create(src.join(format!("{i}"))).unwrap();
    }
    under_test::run(dir.path(), ["-a", "src/", "dst/"]).expect(0);
    assert_eq!(fs::read_dir(dir.path().join("dst")).unwrap().count(), 100_000);
    assert_eq!(under_test::run(dir.path(), ["-ai", "--delete", "src/", "dst/"]).expect(0).text(), "");
    for i in 0..50_000 {
        fs::remove_file(src.join(format!("{i}"))).unwrap();
    }
    under_test::run(dir.path(), ["-a", "--delete", "src/", "dst/"]).expect(0);
    assert_eq!(fs::read_dir(dir.path().join("dst")).unwrap().count(), 50_000);
}

#[test]
fn a_fifo_is_never_opened() {
    for options in [&["-a"][..], &["-r"], &["-aL"], &["-a", "--checksum"], &["-a", "--inplace"]] {
        let dir = scratch();
        let fifo = dir.path().join("src/fifo");
        mkfifo(&fifo, Mode::S_IRWXU).unwrap();
        std::os::unix::fs::symlink("fifo", dir.path().join("src/link")).unwrap();
        // A writer waits in open(2) for as long as nobody opens the FIFO for reading.
        let (opened, was_opened) = mpsc::channel();
        let writer = thread::spawn({
            let fifo = fifo.clone();
            move || {
                let fifo = fs::OpenOptions::new().write(true).open(fifo).unwrap();
                opened.send(()).unwrap();
                drop(fifo);
            }
        });
        under_test::run(dir.path(), options.iter().copied().chain(["src/", "dst/"])).expect(0);
        assert!(was_opened.try_recv().is_err(), "{options:?} opened the FIFO");
        drop(open(&fifo, OFlag::O_RDONLY | OFlag::O_NONBLOCK, Mode::empty()).unwrap());
        writer.join().unwrap();
    }
}

#[test]
fn times_long_past_and_far_ahead_are_kept_or_at_least_stable() {
    let dir = scratch();
    let seconds =
        [-2_147_483_649, -2_147_483_648, -1, 0, 2_147_483_648, 4_294_967_296, 15_032_385_536, 16_725_225_600];
    for (i, second) in seconds.into_iter().enumerate() {
        let path = dir.path().join(format!("src/{i}"));
        fs::write(&path, "t").unwrap();
        let time = TimeSpec::new(second, 999_999_999);
        utimensat(nix::fcntl::AT_FDCWD, &path, &time, &time, UtimensatFlags::NoFollowSymlink).unwrap();
    }
    copies_and_is_stable(dir.path(), &["-a"]);
}

/// Starts a copy of `src/` that takes two seconds for each 8 MiB.
fn start_slow_copy(dir: &Path) -> Child {
    let mut command = command(&under_test::binary(), dir);
    command.args(["-a", "--bwlimit=4000", "src/", "dst/"]);
    let child = command.stderr(std::process::Stdio::null()).spawn().unwrap();
    thread::sleep(Duration::from_millis(600));
    child
}

#[test]
fn a_file_that_shrinks_while_it_is_copied_is_whole_or_left_as_it_was() {
    let dir = scratch();
    fs::create_dir(dir.path().join("dst")).unwrap();
    fs::write(dir.path().join("src/f"), vec![b'n'; 8 << 20]).unwrap();
    fs::write(dir.path().join("dst/f"), "old").unwrap();
    let mut child = start_slow_copy(dir.path());
    let source = fs::OpenOptions::new().write(true).open(dir.path().join("src/f")).unwrap();
    source.set_len(100_000).unwrap();
    let code = child.wait().unwrap().code().unwrap();
    let copy = fs::read(dir.path().join("dst/f")).unwrap();
    if copy == b"old" {
        assert!([23, 24].contains(&code), "exit status {code} for a file that was not copied");
    } else {
        assert!(copy == vec![b'n'; 100_000], "{} bytes that the source never held", copy.len());
    }
}

#[test]
fn a_file_that_grows_while_it_is_copied_is_a_prefix_of_what_it_became() {
    let dir = scratch();
    fs::write(dir.path().join("src/f"), vec![b'n'; 8 << 20]).unwrap();
    let mut child = start_slow_copy(dir.path());
    let mut source = fs::OpenOptions::new().append(true).open(dir.path().join("src/f")).unwrap();
    source.write_all(&vec![b'm'; 1 << 20]).unwrap();
    child.wait().unwrap();
    if let Ok(copy) = fs::read(dir.path().join("dst/f")) {
        let source = fs::read(dir.path().join("src/f")).unwrap();
        assert!(copy.len() >= 8 << 20 && source.starts_with(&copy), "{} bytes", copy.len());
    }
    under_test::run(dir.path(), ["-a", "src/", "dst/"]).expect(0);
    assert_eq!(fs::metadata(dir.path().join("dst/f")).unwrap().len(), 9 << 20);
}

#[test]
fn a_file_that_vanishes_is_not_at_the_destination_and_told_by_24() {
    let dir = scratch();
    fs::write(dir.path().join("src/a"), vec![b'n'; 8 << 20]).unwrap();
    fs::write(dir.path().join("src/b"), vec![b'n'; 8 << 20]).unwrap();
    fs::write(dir.path().join("src/z"), "z").unwrap();
    let mut child = start_slow_copy(dir.path());
    fs::remove_file(dir.path().join("src/z")).unwrap();
    let code = child.wait().unwrap().code().unwrap();
    // A worker may have had it before it vanished.
    let copied = dir.path().join("dst/z").exists();
    assert_eq!(code, if copied { 0 } else { 24 });
}

#[test]
fn a_destination_inside_the_source_does_not_copy_itself_for_ever() {
    let dir = scratch();
    fs::create_dir_all(dir.path().join("src/sub/dst")).unwrap();
    fs::write(dir.path().join("src/f"), "f").unwrap();
    fs::write(dir.path().join("src/sub/g"), "g").unwrap();
    for _ in 0..3 {
        under_test::run(dir.path(), ["-a", "src/", "src/sub/dst"]);
    }
    let dst = dir.path().join("src/sub/dst");
    assert_eq!(fs::read(dst.join("f")).unwrap(), b"f");
    assert_eq!(fs::read(dst.join("sub/g")).unwrap(), b"g");
    let files =
        walkdir::WalkDir::new(dir.path()).into_iter().filter(|e| e.as_ref().unwrap().file_type().is_file());
    if under_test::is_sluice() {
        assert_eq!(files.count(), 4, "the copy was copied"); // rsync goes one level deeper each time
    }
}

#[test]
fn a_source_that_is_its_own_destination_stays_as_it_is() {
    for options in
        [&["-a"][..], &["-aI"], &["-aI", "--inplace"], &["-a", "--delete"], &["-ac", "--remove-source-files"]]
    {
        let dir = scratch();
        fs::write(dir.path().join("src/f"), "content").unwrap();
        fs::create_dir(dir.path().join("src/sub")).unwrap();
        std::os::unix::fs::symlink("src", dir.path().join("alias")).unwrap();
        if options.contains(&"--remove-source-files") && !under_test::is_sluice() {
            continue; // rsync removes the only copy
        }
        for dest in ["src", "src/", "./src/sub/..", "alias/"] {
            under_test::run(dir.path(), options.iter().copied().chain(["src/", dest]));
            under_test::run(dir.path(), options.iter().copied().chain(["src/f", "src/f"]));
            assert_eq!(fs::read(dir.path().join("src/f")).unwrap(), b"content", "{options:?} {dest}");
            assert!(dir.path().join("src/sub").is_dir(), "{options:?} {dest}");
        }
    }
}

#[test]
fn a_source_inside_the_destination_survives_in_one_of_the_two() {
    for when in ["--delete-during", "--delete-after", "--delete-delay", "--delete-before"] {
        if when != "--delete-after" && !under_test::is_sluice() {
            continue; // rsync may delete its source before it has read it
        }
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("dst/in/src")).unwrap();
        fs::write(dir.path().join("dst/in/src/f"), "content").unwrap();
        under_test::run(dir.path(), ["-a", when, "dst/in/src/", "dst"]);
        let copies = ["dst/f", "dst/in/src/f"].map(|f| fs::read(dir.path().join(f)).unwrap_or_default());
        assert!(copies.contains(&b"content".to_vec()), "{when} lost the only copy");
    }
}
