//! `--delay-updates`: no updated file has its name before all have been transferred, and what waits is neither
//! copied nor deleted nor left behind.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::oracle::Manifest;
use crate::requirement::{self, Need};
use crate::served::{file, tree};
use crate::under_test::{self, Run, binary, command, finish};
use crate::ways;

fn trees(at: &Path) {
    for (name, text) in [("new", "1"), ("changed", "22"), ("d/changed", "22"), ("d/new", "1")] {
        file(at, &format!("src/{name}"), text);
    }
    fs::hard_link(at.join("src/changed"), at.join("src/linked")).unwrap();
    symlink("text", at.join("src/link")).unwrap();
    for name in ["changed", "d/changed", "gone", ".~tmp~/other", ".~tmp~/changed"] {
        file(at, &format!("dst/{name}"), "old");
    }
    file(at, "src/.~tmp~/not-copied", "");
    // Whether both sides have the time of the same second must not be left to chance.
    for (name, seconds) in [("src", 1_000_000_000), ("src/d", 1_000_000_000), ("dst", 1), ("dst/d", 1)] {
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        fs::File::open(at.join(name)).unwrap().set_modified(time).unwrap();
    }
}

#[test]
fn in_every_way_files_are_updated_and_what_others_left_is_kept() {
    for way in ways::ALL {
        let options = ["-aH", "--delay-updates", "--delete", "--backup-dir=old"];
        ways::run(way, "", &options, trees, |dir, run| {
            assert_eq!(run.expect(0).errors(), "", "{way:?}");
            let expected = [
                ".~tmp~/",
                ".~tmp~/other: old",
                "changed: 22",
                "d/",
                "d/changed: 22",
                "d/new: 1",
                "link -> text",
                "linked: 22",
                "new: 1",
                "old/",
                "old/changed: old",
                "old/d/",
                "old/d/changed: old",
                "old/gone: old",
            ];
            assert_eq!(tree(&dir.join("dst")), expected, "{way:?}");
            let inode = |name: &str| fs::metadata(dir.join("dst").join(name)).unwrap().ino();
            assert_eq!(inode("changed"), inode("linked"), "{way:?}");
        });
    }
}

#[test]
fn it_comes_out_as_with_rsync() {
    if !requirement::met(&[Need::Program("rsync")]) {
        return;
    }
    let since = SystemTime::now();
    let commands: &[&[&str]] = &[
        &["-ai", "--delay-updates"],
        &["-aHii", "--delay-updates", "--delete", "-b"],
        &["-ai", "--delay-updates", "--remove-source-files", "--delete-delay"],
        // tunasync
        &[
            "-aHvh",
            "--no-o",
            "--no-g",
            "--filter",
            "risk .~tmp~/",
            "--exclude",
            ".~tmp~/",
            "--delete",
            "--delete-after",
            "--delay-updates",
            "--safe-links",
            "--timeout=120",
            "--out-format=%i %n",
        ],
        &["-ain", "--delay-updates", "--delete"],
    ];
    for args in commands {
        let outcomes = [binary(), "rsync".into()].map(|program| {
            let scratch = tempfile::tempdir().unwrap();
            trees(scratch.path());
            let mut command = command(&program, scratch.path());
            command.args(*args).args(["src/", "dst/"]);
            (finish(command), Manifest::of(scratch.path(), since))
        });
        let [(ours, tree), (theirs, expected)] = outcomes;
        assert_eq!(ours.code, theirs.code, "{args:?}: {}{}", ours.errors(), theirs.errors());
        assert_eq!(tree.difference(&expected), "", "{args:?}");
        let lines = |run: &Run| {
            let text = run.text();
            let mut lines: Vec<_> =
                text.lines().filter(|line| line.get(11..12) == Some(" ")).map(str::to_owned).collect();
            lines.sort();
            lines
        };
        assert_eq!(lines(&ours), lines(&theirs), "{args:?}");
    }
}

#[test]
fn until_the_last_file_is_there_all_have_their_old_content_and_a_stopped_run_leaves_nothing() {
    let scratch = tempfile::tempdir().unwrap();
    let at = scratch.path();
    for (name, old) in [("a", "old"), ("d/b", "old")] {
        file(at, &format!("dst/{name}"), old);
        file(at, &format!("src/{name}"), "new one");
    }
    fs::write(at.join("src/big"), vec![b'n'; 64 << 20]).unwrap();
    let mut slow = command(&binary(), at);
    slow.args(["-a", "--jobs=2", "--delay-updates", "--bwlimit=4000", "src/", "dst/"]);
    let mut child = slow.spawn().unwrap();
    let end = Instant::now() + Duration::from_secs(60);
    while !(at.join("dst/.~tmp~/a").exists() && at.join("dst/d/.~tmp~/b").exists()) {
        assert!(Instant::now() < end, "nothing waits in .~tmp~");
        std::thread::sleep(Duration::from_millis(5));
    }
    for name in ["a", "d/b"] {
        assert_eq!(fs::read(at.join("dst").join(name)).unwrap(), b"old", "{name}");
    }
    kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), Signal::SIGINT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(20));
    assert_eq!(tree(&at.join("dst")), ["a: old", "d/", "d/b: old"]);
}

#[test]
fn a_link_in_the_place_of_the_holding_directory_is_not_followed() {
    let scratch = tempfile::tempdir().unwrap();
    let at = scratch.path();
    trees(at);
    fs::remove_dir_all(at.join("dst/.~tmp~")).unwrap();
    fs::create_dir(at.join("outside")).unwrap();
    symlink("../outside", at.join("dst/.~tmp~")).unwrap();
    under_test::run(at, ["-a", "--delay-updates", "src/", "dst/"]).expect(0);
    assert_eq!(fs::read(at.join("dst/changed")).unwrap(), b"22");
    assert_eq!(tree(&at.join("outside")), Vec::<String>::new());
    assert!(!at.join("dst/.~tmp~").exists());
}

#[test]
fn it_cannot_be_combined_with_writing_in_place() {
    let scratch = tempfile::tempdir().unwrap();
    let run = under_test::run(scratch.path(), ["-a", "--inplace", "--delay-updates", "s/", "d/"]);
    assert!(run.expect(1).errors().contains("--inplace cannot be used with --delay-updates"));
}
