//! `--fileflags`: what chattr sets, and the project, as lsattr shows them.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

use crate::remote_shell;
use crate::requirement::{self, Need};
use crate::scratch_fs::Mount;
use crate::under_test::{self, Run};

const NEEDS: &[Need<'_>] = &[Need::Root, Need::Program("chattr"), Need::Program("lsattr")];

/// A filesystem that has flags and projects; what is locked in it goes with it.
fn place() -> Option<Mount> {
    if !requirement::met(NEEDS) {
        return None;
    }
    Mount::new("xfs", 320 << 20)
}

fn chattr(args: &[&str], path: &Path) {
    let run = Command::new("chattr").args(args).arg(path).output().unwrap();
    assert!(run.status.success(), "chattr {args:?}: {}", String::from_utf8_lossy(&run.stderr));
}

/// Project and letters, without those that are the filesystem's business.
fn flags(path: &Path) -> String {
    let run = Command::new("lsattr").args(["-p", "-d"]).arg(path).output().unwrap();
    let text = String::from_utf8(run.stdout).unwrap();
    let mut words = text.split_whitespace();
    let (project, letters) = (words.next().unwrap().to_owned(), words.next().unwrap());
    project + &letters.chars().filter(|c| "sucSiadAmjtDTCxP".contains(*c)).collect::<String>()
}

/// A source with flags of all sorts.
fn source(src: &Path) -> [&'static str; 7] {
    fs::create_dir_all(src.join("dir/locked")).unwrap();
    for name in ["plain", "dump", "fixed", "log", "dir/locked/in"] {
        fs::write(src.join(name), name).unwrap();
    }
    chattr(&["+dA"], &src.join("dump"));
    chattr(&["-p", "7"], &src.join("dump"));
    chattr(&["+id"], &src.join("fixed"));
    chattr(&["+a"], &src.join("log"));
    chattr(&["+P", "-p", "9"], &src.join("dir"));
    chattr(&["+i"], &src.join("dir/locked"));
    ["", "plain", "dump", "fixed", "log", "dir", "dir/locked"]
}

fn run(dir: &Path, args: &[&str]) -> Run {
    under_test::run(dir, remote_shell::to_itself(dir).into_iter().chain(args.iter().map(Into::into)))
}

#[test]
fn flags_and_projects_are_kept_on_every_way_and_a_second_run_has_nothing_to_do() {
    let Some(mount) = place() else { return };
    let dir = mount.path();
    let names = source(&dir.join("src"));
    let all = |tree: &str| names.map(|name| flags(&dir.join(tree).join(name)));
    assert_eq!(all("src"), ["0", "0", "7dA", "0id", "0a", "9P", "0i"]);
    for (way, from, to) in
        [("here", "src/", "here/"), ("push", "src/", "far:push/"), ("pull", "far:src/", "pull/")]
    {
        run(dir, &["-a", "--fileflags", from, to]).expect(0);
        assert_eq!(all(way), all("src"), "{way}");
        assert_eq!(run(dir, &["-ai", "--fileflags", from, to]).expect(0).text(), "", "{way}");
        assert_eq!(all(way), all("src"), "{way}, again");
    }
    // Without the option nothing is known of them.
    run(dir, &["-a", "--no-fileflags", "src/", "without/"]).expect(0);
    assert_eq!(flags(&dir.join("without/fixed")), "0");
    // A flag alone is a difference.
    chattr(&["-d"], &dir.join("here/dump"));
    assert_eq!(run(dir, &["-ai", "--fileflags", "src/", "here/"]).expect(0).text(), ".f........x dump\n");
    assert_eq!(all("here"), all("src"));
}

#[test]
fn what_is_locked_is_unlocked_changed_and_locked_again() {
    let Some(mount) = place() else { return };
    let dir = mount.path();
    let names = source(&dir.join("src"));
    fs::create_dir(dir.join("links")).unwrap();
    fs::write(dir.join("links/a"), "one").unwrap();
    fs::hard_link(dir.join("links/a"), dir.join("links/b")).unwrap();
    chattr(&["+i"], &dir.join("links/a"));
    let args = ["-aH", "--fileflags", "src/", "links", "dst/"];
    run(dir, &args).expect(0);
    let links = ["a", "b"].map(|name| fs::metadata(dir.join("dst/links").join(name)).unwrap().ino());
    assert_eq!((links[0], flags(&dir.join("dst/links/b"))), (links[1], "0i".into()));
    chattr(&["-i"], &dir.join("src/fixed"));
    fs::write(dir.join("src/fixed"), "something longer").unwrap();
    chattr(&["+i"], &dir.join("src/fixed"));
    chattr(&["-i"], &dir.join("src/dir/locked"));
    fs::write(dir.join("src/dir/locked/more"), "more").unwrap();
    fs::remove_file(dir.join("src/dir/locked/in")).unwrap();
    chattr(&["+i"], &dir.join("src/dir/locked"));
    for more in [
        &["--delete"][..],
        &["--inplace", "-I"],
        &["-b", "--backup-dir=../bak", "-I"],
        &["--delay-updates", "-I"],
    ] {
        run(dir, &[more, &args].concat()).expect(0);
        let all = |tree: &str| names.map(|name| flags(&dir.join(tree).join(name)));
        assert_eq!(all("dst"), all("src"), "{more:?}");
        assert_eq!(fs::read_to_string(dir.join("dst/fixed")).unwrap(), "something longer");
        assert!(dir.join("dst/dir/locked/more").exists() && !dir.join("dst/dir/locked/in").exists());
    }
    // What cannot be changed stays locked.
    fs::create_dir(dir.join("dst/fixed.d")).unwrap();
    let refused = run(dir, &["-a", "--fileflags", "--max-size=1", "src/", "dst/"]);
    refused.expect(0);
    assert_eq!(flags(&dir.join("dst/fixed")), "0id");
}

#[test]
fn what_the_destination_does_not_have_is_told_once_for_each_entry_and_the_rest_is_kept() {
    let Some(mount) = place() else { return };
    let Some(tmpfs) = Mount::new("tmpfs", 1 << 20) else { return };
    let dir = mount.path();
    source(&dir.join("src"));
    chattr(&["+S"], &dir.join("src/dump"));
    let to = format!("{}/dst/", tmpfs.path().display());
    let told = run(dir, &["-a", "--fileflags", "src/dump", "src/fixed", &to]);
    let told = told.expect(23).errors();
    assert_eq!(told.matches("dst/dump\"").count(), 1, "{told}");
    assert_eq!(fs::read_to_string(tmpfs.path().join("dst/dump")).unwrap(), "dump");
    // Since Linux 6.6 tmpfs has some.
    assert!(["0id", "0", "0dA"].contains(&&*flags(&tmpfs.path().join("dst/fixed"))), "{told}");
    for name in ["dst/dump", "dst/fixed"] {
        let _not_there = Command::new("chattr").arg("-ia").arg(tmpfs.path().join(name)).output();
    }
}

#[test]
fn without_copy_on_write_is_said_before_the_first_write() {
    if !requirement::met(NEEDS) {
        return;
    }
    let Some(mount) = Mount::new("btrfs", 256 << 20) else { return };
    let dir = mount.path();
    fs::create_dir(dir.join("src")).unwrap();
    fs::write(dir.join("src/image"), "").unwrap();
    chattr(&["+C"], &dir.join("src/image"));
    fs::write(dir.join("src/image"), vec![7; 300_000]).unwrap();
    fs::write(dir.join("src/plain"), vec![8; 300_000]).unwrap();
    for to in ["dst/", "far:dst2/"] {
        run(dir, &["-a", "--fileflags", "src/", to]).expect(0);
        let tree = dir.join(to.trim_start_matches("far:"));
        assert!(flags(&tree.join("image")).contains('C'));
        assert!(!flags(&tree.join("plain")).contains('C'));
        assert_eq!(fs::read(tree.join("image")).unwrap(), vec![7; 300_000]);
    }
}

#[test]
fn somebody_else_keeps_the_flags_that_are_theirs_to_set() {
    let Some(mount) = place() else { return };
    if !requirement::met(&[Need::OtherUser]) {
        return;
    }
    let dir = mount.path();
    source(&dir.join("src"));
    fs::create_dir(dir.join("dst")).unwrap();
    std::os::unix::fs::chown(dir.join("dst"), Some(65534), Some(65534)).unwrap();
    let run = under_test::run_as_nobody(dir, ["-rlt", "--fileflags", "src/dump", "src/fixed", "dst/"]);
    let told = run.expect(23).errors();
    assert!(told.contains("dst/fixed") && told.contains(": Operation not permitted"), "{told}");
    assert!(flags(&dir.join("dst/dump")).ends_with("dA"), "{told}");
    assert_eq!(flags(&dir.join("dst/fixed")), "0d");
}

#[test]
fn what_is_locked_is_deleted_when_the_source_has_it_no_more() {
    let Some(mount) = place() else { return };
    let dir = mount.path();
    source(&dir.join("src"));
    fs::create_dir(dir.join("empty")).unwrap();
    for options in [&["-a"][..], &["-ab", "--backup-dir=../bak"]] {
        run(dir, &[options, &["--fileflags", "src/", "dst/"]].concat()).expect(0);
        let line = |more: &[&'static str]| {
            [options, &["--fileflags", "--delete"], more, &["empty/", "dst/"]].concat()
        };
        run(dir, &line(&["-n"])).expect(0);
        assert!(flags(&dir.join("dst/fixed")).contains('i'), "a dry run has unlocked it");
        run(dir, &line(&[])).expect(0);
        assert_eq!(fs::read_dir(dir.join("dst")).unwrap().count(), 0);
    }
}
