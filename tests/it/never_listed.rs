//! What was never listed is not known to be gone: operands that cannot be used, directories that cannot be looked into,
//! at the source and at the destination. Beside rsync.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, lchown};
use std::path::Path;

use crate::requirement::{self, Need, has};
use crate::served::{file, tree};
use crate::under_test::{self, binary, command, finish};
use crate::{remote_shell, scratch_fs};

/// Two sources of which a destination has everything, and more; loops, dead ends, and names for lists.
fn sources(dir: &Path) {
    for name in
        ["one/a", "one/dir/x", "two/b", "two/dir/y", "dst/a", "dst/b", "dst/c", "dst/dir/x", "dst/dir/y"]
    {
        file(dir, name, "same");
    }
    std::os::unix::fs::symlink("loop", dir.join("two/loop")).unwrap();
    std::os::unix::fs::symlink("nowhere", dir.join("two/dead")).unwrap();
    file(dir, "list", "./\ngone/./x\n");
    file(dir, "list-plain", "./\ngone\n");
    file(dir, "list-file", "./\na/x\n");
}

/// Runs both programs; returns what each deleted, and what it left.
fn both(options: &[&str], prepare: impl Fn(&Path)) -> [(Vec<String>, Vec<String>); 2] {
    [binary(), OsString::from("rsync")].map(|program| {
        let dir = tempfile::tempdir().unwrap();
        prepare(dir.path());
        let mut command = command(&program, dir.path());
        command.args(options);
        seen(dir.path(), &finish(command))
    })
}

fn seen(dir: &Path, done: &under_test::Run) -> (Vec<String>, Vec<String>) {
    assert!(matches!(done.code, 11 | 23), "{} {}", done.code, done.errors());
    let text = done.text();
    let deleted = text.lines().filter(|line| line.starts_with("*del")).map(str::to_owned).collect();
    (deleted, tree(&dir.join("dst")))
}

#[test]
fn an_operand_that_cannot_be_used_stops_deletion_unless_it_is_a_single_name_that_is_missing() {
    if !has("rsync") {
        return;
    }
    for (options, deletes) in [
        (&["-ai", "--delete", "one/", "gone/", "dst/"][..], false),
        (&["-ai", "--delete-before", "gone/", "one/", "dst/"], false),
        (&["-ai", "--delete-delay", "one/", "gone/.", "dst/"], false),
        (&["-ai", "--delete-after", "one/", "gone/x", "dst/"], false),
        (&["-ai", "--delete", "one/", "one/a/", "dst/"], false),
        (&["-ai", "--delete", "one/", "two/loop/", "dst/"], false),
        (&["-ai", "--delete", "one/", "two/loop/x", "dst/"], false),
        (&["-aiL", "--delete", "one/", "two/loop", "dst/"], false),
        (&["-aiL", "--delete", "one/", "two/dead", "dst/"], true),
        (&["-ai", "--delete", "one/", "gone", "dst/"], true),
        (&["-ai", "--delete", "--ignore-errors", "one/", "gone/", "dst/"], true),
        (&["-aiR", "--delete", "one/./", "gone/./", "dst/"], false),
        (&["-aiR", "--delete", "one/./", "one/./a/x", "dst/"], false),
        (&["-aiR", "--delete", "one/./", "two/./gone", "dst/"], true),
        (&["-air", "--delete", "--files-from=list", "one", "dst/"], false),
        (&["-air", "--delete", "--files-from=list-file", "one", "dst/"], false),
        (&["-air", "--delete", "--files-from=list-plain", "one", "dst/"], true),
    ] {
        let [ours, theirs] = both(options, sources);
        assert_eq!(ours, theirs, "{options:?}");
        assert_eq!(!ours.0.is_empty(), deletes, "{options:?}: {ours:?}");
    }
}

#[test]
fn a_root_that_may_not_be_read_stops_deletion_for_the_others() {
    if !requirement::met(&[Need::OtherUser]) {
        return;
    }
    for operands in [["one/", "two/"], ["two/", "one/"], ["one/", "two/b"]] {
        let dir = tempfile::tempdir().unwrap();
        sources(dir.path());
        give_to_nobody(dir.path());
        under_test::lock(&dir.path().join("two"));
        let run =
            under_test::run_as_nobody(dir.path(), ["-ai", "--delete", operands[0], operands[1], "dst/"]);
        let (deleted, left) = seen(dir.path(), &run);
        assert!(deleted.is_empty() && left.len() == 6, "{operands:?}: {deleted:?} {left:?}");
    }
}

#[test]
fn a_sender_on_another_machine_says_that_a_root_is_missing() {
    for operands in [["far:one/", "far:gone/", "dst/"], ["one/", "gone/", "far:dst/"]] {
        let dir = tempfile::tempdir().unwrap();
        sources(dir.path());
        let mut args: Vec<OsString> = vec!["-ai".into(), "--delete".into()];
        args.extend(remote_shell::to_itself(dir.path()));
        args.extend(operands.map(OsString::from));
        let (deleted, left) = seen(dir.path(), &under_test::run(dir.path(), args));
        assert!(deleted.is_empty() && left.len() == 6, "{operands:?}: {deleted:?} {left:?}");
    }
}

#[test]
fn a_directory_that_may_not_be_read_is_not_pruned_as_empty() {
    if !requirement::met(&[Need::OtherUser]) {
        return;
    }
    for when in ["--delete", "--delete-before", "--delete-after"] {
        let dir = tempfile::tempdir().unwrap();
        for name in ["src/f", "src/a/b/x", "dst/f", "dst/a/b/x"] {
            file(dir.path(), name, "same");
        }
        give_to_nobody(dir.path());
        under_test::lock(&dir.path().join("src/a/b"));
        let run = under_test::run_as_nobody(dir.path(), ["-aim", "--no-p", when, "src/", "dst/"]);
        assert_eq!(run.expect(23).text().matches("deleting").count(), 0, "{when}: {}", run.text());
        assert_eq!(tree(&dir.path().join("dst")), ["a/", "a/b/", "a/b/x: same", "f: same"], "{when}");
    }
}

#[test]
fn a_destination_directory_that_cannot_be_opened_is_not_taken_for_empty() {
    let dir = scratch_fs::in_memory();
    let dir = dir.path();
    for branch in 0..5 {
        let mut at = format!("d{branch}");
        for _ in 0..6 {
            for n in 0..3 {
                file(dir, &format!("src/{at}/f{n}"), "longer");
                file(dir, &format!("dst/{at}/f{n}"), "there");
            }
            // What takes a while to be looked through, so that other threads have their directories opened meanwhile.
            for n in 0..800 {
                fs::File::create(dir.join(format!("dst/{at}/x{n}"))).unwrap();
            }
            at.push_str("/d");
        }
    }
    // Met in one of four runs.
    for run in 0..24 {
        let mut command = command(OsStr::new("sh"), dir);
        command.arg("-c").arg(format!("ulimit -n {} && exec \"$0\" \"$@\"", 16 + run % 2)).arg(binary());
        command.args(["-a", "--delete", "--exclude=x*", "--ignore-existing", "src/", "dst/"]);
        let errors = finish(command).errors();
        for entry in walkdir::WalkDir::new(dir.join("dst")) {
            let entry = entry.unwrap();
            let replaced = entry.file_type().is_file() && entry.metadata().unwrap().len() == 6;
            assert!(!replaced, "{}: {errors}", entry.path().display());
        }
    }
}

fn give_to_nobody(root: &Path) {
    fs::set_permissions(root, fs::Permissions::from_mode(0o755)).unwrap();
    for entry in walkdir::WalkDir::new(root) {
        lchown(entry.unwrap().path(), Some(65_534), Some(65_534)).unwrap();
    }
}
