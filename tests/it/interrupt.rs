//! A run that is stopped leaves no temp file and no half file; one that was killed is cleaned up by
//! the next.

use std::fs;
use std::path::Path;
use std::process::Child;
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::oracle::Manifest;
use crate::requirement::{self, Need};
use crate::under_test::{self, Run, command};

/// Long enough for any machine; a run that needs it hangs.
const PATIENCE: Duration = Duration::from_secs(60);

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// `src` with a large file, and `dst` with an older one of that name and a surplus file.
fn trees() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for tree in ["src", "dst"] {
        fs::create_dir(dir.path().join(tree)).unwrap();
    }
    fs::write(dir.path().join("src/big"), vec![b'n'; 64 << 20]).unwrap();
    fs::write(dir.path().join("dst/big"), "old").unwrap();
    fs::write(dir.path().join("dst/surplus"), "s").unwrap();
    dir
}

/// Starts a copy that takes a quarter of a minute, and returns when it is in the middle of the data.
fn start_slow_copy(dir: &Path) -> Child {
    let mut command = command(&under_test::binary(), dir);
    command.args(["-a", "--delete-after", "--bwlimit=4000", "src/", "dst/"]);
    let mut child = command.spawn().unwrap();
    let started = Instant::now();
    // A temp file may have no name: then a second is what it gets.
    while names(&dir.join("dst")).len() == 2 && started.elapsed() < Duration::from_secs(1) {
        sleep(Duration::from_millis(10));
    }
    assert!(child.try_wait().unwrap().is_none(), "the copy was over before it could be interrupted");
    child
}

fn send(child: &Child, signal: Signal) {
    kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), signal).unwrap();
}

/// Waits for the child's end and for that of processes which it may have left to clean up.
fn wait(child: &mut Child, dst: &Path) -> Option<i32> {
    let started = Instant::now();
    let code = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status.code();
        }
        if started.elapsed() > PATIENCE {
            child.kill().unwrap();
            panic!("it went on after the signal");
        }
        sleep(Duration::from_millis(10));
    };
    while !under_test::is_sluice() && names(dst).len() > 2 && started.elapsed() < PATIENCE {
        sleep(Duration::from_millis(10));
    }
    code
}

#[test]
fn a_signal_ends_the_run_with_20_and_leaves_the_old_file_and_no_temp_file() {
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        let dir = trees();
        let dst = dir.path().join("dst");
        let mut child = start_slow_copy(dir.path());
        send(&child, signal);
        assert_eq!(wait(&mut child, &dst), Some(20), "{signal}");
        assert_eq!(names(&dst), ["big", "surplus"], "{signal}: a leftover, or a deletion after the signal");
        assert_eq!(fs::read(dst.join("big")).unwrap(), b"old", "{signal}");
    }
}

#[test]
fn the_run_after_a_killed_one_leaves_no_leftover() {
    if !under_test::is_sluice() {
        return; // rsync leaves it
    }
    let dir = trees();
    let mut child = start_slow_copy(dir.path());
    send(&child, Signal::SIGKILL);
    child.wait().unwrap();
    assert_eq!(fs::read(dir.path().join("dst/big")).unwrap(), b"old");
    under_test::run(dir.path(), ["-a", "src/", "dst/"]).expect(0);
    assert_eq!(names(&dir.path().join("dst")), ["big", "surplus"]);
    under_test::run(dir.path(), ["-a", "--delete", "src/", "dst/"]).expect(0);
    let since = SystemTime::now();
    let [src, dst] = ["src", "dst"].map(|t| Manifest::of(&dir.path().join(t), since));
    assert_eq!(dst.difference(&src), "");
}

#[test]
fn a_file_of_the_user_that_looks_like_a_temp_file_is_kept() {
    let dir = trees();
    let dst = dir.path().join("dst");
    for name in [".big.orig", ".big.backup", ".other.AbCdEf"] {
        fs::write(dst.join(name), "precious").unwrap();
    }
    under_test::run(dir.path(), ["-a", "src/", "dst/"]).expect(0);
    assert_eq!(names(&dst), [".big.backup", ".big.orig", ".other.AbCdEf", "big", "surplus"]);
}

#[test]
fn a_full_disk_keeps_the_old_file_deletes_nothing_and_leaves_no_temp_file() {
    if !requirement::met(&[Need::MountTmpfs]) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let [src, dst] = ["src", "dst"].map(|tree| dir.path().join(tree));
    for tree in [&src, &dst] {
        fs::create_dir(tree).unwrap();
    }
    requirement::mount_tmpfs(&dst, "4m").unwrap();
    fs::write(src.join("big"), vec![b'n'; 16 << 20]).unwrap();
    fs::write(dst.join("big"), vec![b'o'; 1 << 20]).unwrap();
    fs::write(dst.join("surplus"), "s").unwrap();
    let run: Run = under_test::run(dir.path(), ["-a", "--delete-after", "src/", "dst/"]);
    let left = names(&dst);
    let old = fs::read(dst.join("big"));
    nix::mount::umount(&dst).unwrap();
    assert!([11, 23].contains(&run.code), "exit status {}\n{}", run.code, run.errors());
    assert!(run.errors().contains("No space left on device"), "{}", run.errors());
    assert_eq!(left, ["big", "surplus"]);
    assert!(old.unwrap() == vec![b'o'; 1 << 20], "the old file is not what it was");
}
