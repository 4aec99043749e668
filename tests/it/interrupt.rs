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
fn a_signal_ends_the_run_with_20_or_19_and_leaves_the_old_file_and_no_temp_file() {
    for (signal, code) in
        [(Signal::SIGINT, 20), (Signal::SIGTERM, 20), (Signal::SIGHUP, 20), (Signal::SIGUSR1, 19)]
    {
        let dir = trees();
        let dst = dir.path().join("dst");
        let mut child = start_slow_copy(dir.path());
        send(&child, signal);
        assert_eq!(wait(&mut child, &dst), Some(code), "{signal}");
        assert_eq!(names(&dst), ["big", "surplus"], "{signal}: a leftover, or a deletion after the signal");
        assert_eq!(fs::read(dst.join("big")).unwrap(), b"old", "{signal}");
    }
}

/// Whether the child has said what `signal` means to it.
fn catches(child: &Child, signal: Signal) -> bool {
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    let caught = caught.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    caught >> (signal as i32 - 1) & 1 == 1
}

/// Waits for the end of a child that has been asked to end, and fails if it has to be forced.
fn code_of(child: &mut Child) -> Option<i32> {
    let started = Instant::now();
    while started.elapsed() < PATIENCE {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code();
        }
        sleep(Duration::from_millis(5));
    }
    child.kill().unwrap();
    panic!("it went on after the signal");
}

#[test]
fn a_reader_that_does_not_read_does_not_keep_a_run_that_is_to_end() {
    if !under_test::is_sluice() {
        return;
    }
    for (options, streams) in [("-ai", 1), ("-anii", 1), ("-avv", 2)] {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("src")).unwrap();
        // More lines than a pipe holds.
        for i in 0..3000 {
            fs::write(dir.path().join(format!("src/a-name-of-more-than-a-few-letters-{i}")), "f").unwrap();
        }
        let (reader, writer) = std::io::pipe().unwrap();
        let mut command = command(&under_test::binary(), dir.path());
        command.args([options, "src/", "dst/"]).stdout(writer.try_clone().unwrap());
        if streams == 2 {
            command.stderr(writer.try_clone().unwrap());
        }
        let mut child = command.spawn().unwrap();
        drop((command, writer));
        while !catches(&child, Signal::SIGHUP) {}
        sleep(Duration::from_millis(700));
        assert!(child.try_wait().unwrap().is_none(), "{options}: it never blocked");
        send(&child, Signal::SIGTERM);
        assert_eq!(code_of(&mut child), Some(20), "{options}");
        drop(reader);
        let dst = dir.path().join("dst");
        assert!(
            !dst.exists() || names(&dst).iter().all(|name| !name.starts_with('.')),
            "{options}: a leftover"
        );
    }
}

#[test]
fn a_closed_standard_output_does_not_stop_a_copy() {
    let dir = trees();
    for i in 0..2000 {
        fs::write(dir.path().join(format!("src/a-name-of-more-than-a-few-letters-{i}")), "f").unwrap();
    }
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = command(&under_test::binary(), dir.path());
    let mut child = command.args(["-avv", "src/", "dst/"]).stdout(writer).spawn().unwrap();
    let code = code_of(&mut child);
    if under_test::is_sluice() {
        assert_eq!(code, Some(0));
        assert_eq!(names(&dir.path().join("dst")).len(), 2002);
    }
}

#[test]
fn a_listing_and_a_huge_directory_hear_a_signal() {
    if !under_test::is_sluice() {
        return;
    }
    let dir = crate::scratch_fs::in_memory();
    fs::create_dir(dir.path().join("src")).unwrap();
    for i in 0..60_000 {
        fs::File::create(dir.path().join(format!("src/{i}"))).unwrap();
    }
    fs::create_dir(dir.path().join("empty")).unwrap();
    let runs: &[&[&str]] = &[
        &["-r", "--list-only", "src/"],
        &["-a", "src/", "dst/"],
        &["-anc", "src/", "dst/"],
        &["-a", "--delete", "empty/", "dst/"],
        &["-a", "--delete-before", "--delete-limit=100%", "empty/", "dst/"],
    ];
    for args in runs {
        let mut command = command(&under_test::binary(), dir.path());
        let mut child = command.args(*args).stdout(std::process::Stdio::null()).spawn().unwrap();
        while !catches(&child, Signal::SIGHUP) {}
        // Long enough to begin, and much too short to end.
        sleep(Duration::from_millis(30));
        send(&child, Signal::SIGINT);
        assert_eq!(code_of(&mut child), Some(20), "{args:?}");
        let dst = dir.path().join("dst");
        assert!(
            !dst.exists() || names(&dst).iter().all(|name| !name.starts_with('.')),
            "{args:?}: a leftover"
        );
        // For the next one.
        under_test::run(dir.path(), ["-a", "src/", "dst/"]).expect(0);
    }
}

/// A seed that fails is in the message.
#[test]
fn signals_at_random_moments_end_with_20_or_a_whole_copy_and_no_leftover() {
    if !under_test::is_sluice() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    for i in 0..60 {
        fs::create_dir_all(dir.path().join(format!("src/d{i}"))).unwrap();
        for j in 0..10 {
            fs::write(dir.path().join(format!("src/d{i}/f{j}")), vec![b'n'; 3000 + j * 20_000]).unwrap();
        }
    }
    let rng = &mut crate::random_tree::Rng::new(1);
    for round in 0..40 {
        let signal = rng.pick(&[Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP]);
        let option = rng.pick(&["-aI", "-aIH", "-aIi", "-aIc", "-aIb"]);
        let mut command = command(&under_test::binary(), dir.path());
        command.args([option, "--delete", "--backup-dir=../bak", "src/", "dst/"]);
        let mut child =
            command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).spawn().unwrap();
        while !catches(&child, signal) && child.try_wait().unwrap().is_none() {}
        sleep(Duration::from_millis(rng.below(150) as u64));
        if child.try_wait().unwrap().is_none() {
            send(&child, signal);
        }
        let code = code_of(&mut child);
        assert!([Some(0), Some(20)].contains(&code), "round {round}: {signal} {option}: {code:?}");
        let left = walkdir::WalkDir::new(dir.path()).min_depth(1).into_iter().map(Result::unwrap);
        let left: Vec<_> = left.filter(|e| e.file_name().to_string_lossy().starts_with('.')).collect();
        assert!(left.is_empty(), "round {round}: {signal} {option}: {left:?}");
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
