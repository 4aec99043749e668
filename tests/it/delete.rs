//! What is deleted, what stops a deletion, and what refuses it before the first one.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use crate::oracle::Manifest;
use crate::requirement::{self, Need};
use crate::under_test::{self, Run, command, finish};
use crate::ways;
use sluice::path::operand;

/// `src` with `keep`, and `dst` with that and ten surplus files, five of them in a directory.
fn trees() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for tree in ["src", "dst/old"] {
        fs::create_dir_all(dir.path().join(tree)).unwrap();
    }
    for file in ["src/keep", "dst/keep"] {
        fs::write(dir.path().join(file), "k").unwrap();
    }
    for i in 0..5 {
        fs::write(dir.path().join(format!("dst/s{i}")), "s").unwrap();
        fs::write(dir.path().join(format!("dst/old/s{i}")), "s").unwrap();
    }
    dir
}

fn entries(dir: &Path) -> usize {
    walkdir::WalkDir::new(dir).min_depth(1).into_iter().filter_map(Result::ok).count()
}

#[test]
fn an_empty_source_empties_the_destination() {
    let dir = trees();
    fs::remove_file(dir.path().join("src/keep")).unwrap();
    under_test::run(dir.path(), ["-a", "--delete", "src/", "dst/"]).expect(0);
    assert_eq!(entries(&dir.path().join("dst")), 0);
}

#[test]
fn max_delete_deletes_so_many_and_then_exits_25() {
    for (max, left) in [("0", 12), ("1", 11), ("5", 7), ("6", 6), ("11", 1)] {
        let dir = trees();
        let run =
            under_test::run(dir.path(), ["-a", "--delete", &format!("--max-delete={max}"), "src/", "dst/"]);
        assert_eq!(run.code, if max == "11" { 0 } else { 25 }, "--max-delete={max}: {}", run.errors());
        assert_eq!(entries(&dir.path().join("dst")), left, "--max-delete={max}");
    }
}

#[test]
fn delete_limit_refuses_before_the_first_deletion() {
    if !under_test::is_sluice() {
        return; // rsync has no such option
    }
    for (limit, refused) in
        [("10", true), ("11", false), ("91%", true), ("92%", false), ("0", true), ("100%", false)]
    {
        for when in ["--delete", "--delete-before", "--delete-after"] {
            let dir = trees();
            fs::write(dir.path().join("src/new"), "n").unwrap();
            let run =
                under_test::run(dir.path(), ["-a", when, &format!("--delete-limit={limit}"), "src/", "dst/"]);
            let surplus = entries(&dir.path().join("dst/old"));
            assert_eq!(run.code, if refused { 25 } else { 0 }, "{when} {limit}: {}", run.errors());
            assert_eq!(dir.path().join("dst/s0").exists(), refused, "{when} {limit}");
            assert_eq!(surplus, if refused { 5 } else { 0 }, "{when} {limit}");
        }
    }
}

#[test]
fn delete_limit_says_the_same_in_a_dry_run() {
    if !under_test::is_sluice() {
        return;
    }
    let dir = trees();
    under_test::run(dir.path(), ["-an", "--delete", "--delete-limit=10", "src/", "dst/"]).expect(25);
    assert_eq!(entries(&dir.path().join("dst")), 12);
}

/// Runs the program under test where `/etc/fstab` is `fstab` and, if named, a tmpfs is mounted: a
/// mount namespace of its own, so that the program needs no way to be told another file.
fn run_with_fstab(dir: &Path, fstab: &str, mounted: Option<&str>, args: &[&str]) -> Run {
    let table = tempfile::NamedTempFile::new().unwrap();
    fs::write(table.path(), fstab).unwrap();
    let mount =
        mounted.map_or(String::new(), |at| format!("mount -t tmpfs none '{at}' && touch '{at}/keep' &&"));
    let script = format!("mount --bind '{}' /etc/fstab && {mount} exec \"$@\"", table.path().display());
    let mut command = command(OsStr::new("unshare"), dir);
    command.args(["-m", "sh", "-c", &script, "sh"]).arg(under_test::binary()).args(args);
    finish(command)
}

fn can_replace_fstab() -> bool {
    if !requirement::met(&[Need::MountTmpfs, Need::Program("unshare"), Need::Program("mount")]) {
        return false;
    }
    let there = Path::new("/etc/fstab").is_file();
    if !there {
        requirement::skip("there is no /etc/fstab to put another one over");
    }
    there && under_test::is_sluice()
}

#[test]
fn a_source_that_should_be_mounted_and_is_not_deletes_nothing() {
    if !can_replace_fstab() {
        return;
    }
    for below in ["src", "src/sub"] {
        let dir = trees();
        fs::create_dir_all(dir.path().join(below)).unwrap();
        let fstab = format!("# comment\n/dev/none {} ext4 defaults 0 0\n", dir.path().join("src").display());
        let before = Manifest::exact(&dir.path().join("dst"));
        let source = format!("{below}/");
        let run = run_with_fstab(dir.path(), &fstab, None, &["-a", "--delete", &source, "dst/"]);
        let after = Manifest::exact(&dir.path().join("dst"));
        assert_ne!(run.code, 0, "{below}: {}", run.text());
        assert_eq!(after.difference(&before), "", "{below}");
        let run = run_with_fstab(
            dir.path(),
            &fstab,
            None,
            &["-a", "--delete", "--no-mount-check", &source, "dst/"],
        );
        run.expect(0);
        assert!(!dir.path().join("dst/s0").exists(), "--no-mount-check did not override");
    }
}

/// A directory that is named without a slash, or lies below what `--relative` keeps, is looked for all the same.
#[test]
fn a_source_named_without_a_slash_is_checked_for_its_mount() {
    if !can_replace_fstab() {
        return;
    }
    for (options, source) in [("-a", "in/src"), ("-aR", "in/src"), ("-aR", "./in/src/"), ("-a", "in/src/.")] {
        let dir = trees();
        fs::create_dir_all(dir.path().join("in/src")).unwrap();
        for tree in ["dst/src", "dst/in/src"] {
            fs::create_dir_all(dir.path().join(tree)).unwrap();
            fs::write(dir.path().join(tree).join("precious"), "p").unwrap();
        }
        let fstab = format!("/dev/none {} ext4 defaults 0 0\n", dir.path().join("in/src").display());
        let before = Manifest::exact(&dir.path().join("dst"));
        run_with_fstab(dir.path(), &fstab, None, &[options, "--delete", source, "dst/"]).expect(25);
        let after = Manifest::exact(&dir.path().join("dst"));
        assert_eq!(after.difference(&before), "", "{options} {source}");
    }
}

#[test]
fn a_source_that_is_mounted_deletes_as_usual() {
    if !can_replace_fstab() {
        return;
    }
    let dir = trees();
    let source = dir.path().join("src").display().to_string();
    let fstab = format!("/dev/none {source} ext4 defaults 0 0\n");
    run_with_fstab(dir.path(), &fstab, Some(&source), &["-a", "--delete", "src/", "dst/"]).expect(0);
    assert_eq!(entries(&dir.path().join("dst")), 1);
}

#[test]
fn a_destination_that_should_be_mounted_and_is_not_is_not_written() {
    if !can_replace_fstab() {
        return;
    }
    // fstab writes a space as \040.
    for dest in ["dst", "dst/old", "dst/new", "with space"] {
        let dir = trees();
        let point = if dest == "with space" { "with\\040space" } else { "dst" };
        fs::create_dir_all(dir.path().join("with space")).unwrap();
        let fstab = format!("UUID=none {}/{point} ext4 noauto,nofail 0 0\n", dir.path().display());
        let before = Manifest::exact(dir.path());
        let run = run_with_fstab(dir.path(), &fstab, None, &["-a", "src/", dest]);
        let after = Manifest::exact(dir.path());
        assert_ne!(run.code, 0, "{dest}: {}", run.text());
        assert_eq!(after.difference(&before), "", "{dest}");
    }
}

#[test]
fn a_source_directory_that_cannot_be_read_blocks_deletion_in_and_below_it() {
    if !requirement::met(&[Need::OtherUser]) {
        return;
    }
    for when in ["--delete", "--delete-before", "--delete-delay", "--delete-after"] {
        let dir = trees();
        for at in ["src/sub/deep", "dst/sub/deep"] {
            fs::create_dir_all(dir.path().join(at)).unwrap();
        }
        for file in ["dst/sub/surplus", "dst/sub/deep/surplus"] {
            fs::write(dir.path().join(file), "s").unwrap();
        }
        give_to_nobody(dir.path());
        under_test::lock(&dir.path().join("src/sub"));
        under_test::run_as_nobody(dir.path(), ["-rt", when, "src/", "dst/"]).expect(23);
        for file in ["dst/sub/surplus", "dst/sub/deep/surplus"] {
            assert!(dir.path().join(file).exists(), "{when} deleted {file}");
        }
    }
}

#[test]
fn a_source_root_that_cannot_be_read_deletes_nothing() {
    if !requirement::met(&[Need::OtherUser]) {
        return;
    }
    let dir = trees();
    give_to_nobody(dir.path());
    under_test::lock(&dir.path().join("src"));
    let run = under_test::run_as_nobody(dir.path(), ["-rt", "--delete", "src/", "dst/"]);
    run.expect(if under_test::is_sluice() { 11 } else { 23 });
    assert_eq!(entries(&dir.path().join("dst")), 12);
}

fn give_to_nobody(root: &Path) {
    for entry in walkdir::WalkDir::new(root) {
        std::os::unix::fs::chown(entry.unwrap().path(), Some(65_534), Some(65_534)).unwrap();
    }
}

#[test]
fn ignore_existing_makes_no_way_for_anything() {
    let dir = trees();
    fs::write(dir.path().join("src/old"), "a file where the destination has a full directory").unwrap();
    let run = under_test::run(dir.path(), ["-ai", "--delete", "--ignore-existing", "src/old", "dst/"]);
    assert_eq!(run.expect(0).text(), "");
    assert_eq!(entries(&dir.path().join("dst/old")), 5);
}

#[test]
fn of_a_backup_there_is_no_backup() {
    let dir = trees();
    fs::create_dir(dir.path().join("src/e~")).unwrap();
    for (name, text) in [("old~", "surplus"), ("e~", "in the way")] {
        fs::write(dir.path().join("dst").join(name), text).unwrap();
    }
    under_test::run(dir.path(), ["-ab", "--delete-excluded", "src/", "dst/"]).expect(0);
    let there = |name: &str| dir.path().join("dst").join(name).exists();
    assert!(there("s0~") && !there("s0"));
    assert!(!there("old~") && !there("old~~") && !there("e~~"));
    assert!(dir.path().join("dst/e~").is_dir());
}

#[test]
fn a_dry_run_knows_that_backups_keep_their_directory() {
    if !under_test::is_sluice() {
        return; // rsync's dry run deletes the directory
    }
    let dir = trees();
    let [dry, real] = ["-abin", "-abi"].map(|options| {
        let run = under_test::run(dir.path(), [options, "--delete", "src/", "dst/"]);
        run.expect(0).text()
    });
    assert_eq!(dry, real);
    assert!(real.contains("cannot delete non-empty directory: old"), "{real}");
}

#[test]
fn a_directory_in_which_something_is_deleted_at_the_end_has_its_sources_time_to_the_nanosecond() {
    let since = |nanos| std::time::UNIX_EPOCH + std::time::Duration::new(1_000_000_000, nanos);
    let set =
        |path: std::path::PathBuf, nanos| fs::File::open(path).unwrap().set_modified(since(nanos)).unwrap();
    for way in ways::ALL {
        for when in ["--delete-delay", "--delete-after", "--delete-during"] {
            let prepare = |dir: &Path| {
                for (tree, nanos) in [("src", 5), ("dst", 999_999_999)] {
                    fs::create_dir_all(dir.join(tree).join("d")).unwrap();
                    if tree == "dst" {
                        fs::write(dir.join("dst/surplus"), "").unwrap();
                        fs::write(dir.join("dst/d/surplus"), "").unwrap();
                    }
                    set(dir.join(tree).join("d"), nanos);
                    set(dir.join(tree), nanos);
                }
            };
            ways::run(way, "", &["-a", when], prepare, |dir, run| {
                assert_eq!((run.code, run.errors().as_str()), (0, ""), "{way:?} {when}");
                for name in ["dst", "dst/d"] {
                    assert!(!dir.join(name).join("surplus").exists(), "{way:?} {when}");
                    let time = fs::metadata(dir.join(name)).unwrap().modified().unwrap();
                    assert_eq!(time, since(5), "{way:?} {when} {name}");
                }
            });
        }
    }
}

#[test]
fn a_directory_in_which_max_delete_leaves_everything_keeps_its_time_to_the_nanosecond() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    for tree in ["src/d", "dst/d"] {
        fs::create_dir_all(at.join(tree)).unwrap();
    }
    fs::write(at.join("dst/d/surplus"), "").unwrap();
    let set = |tree: &str, nanos: u32| {
        let time = std::time::UNIX_EPOCH + std::time::Duration::new(1_000_000, nanos);
        fs::File::open(at.join(tree)).unwrap().set_modified(time).unwrap();
    };
    set("src/d", 0);
    for (max, nanos) in [("--max-delete=0", 5), ("--max-delete=1", 0)] {
        set("dst/d", 5);
        under_test::run(at, ["-a", "--delete-after", max, "src/", "dst"]);
        assert_eq!(fs::metadata(at.join("dst/d")).unwrap().mtime_nsec(), nanos, "{max}");
    }
}

#[test]
fn max_delete_counts_directories_below_that_could_not_go_anyway_as_rsync_does() {
    for (files, max, skipped) in [
        (&["a/f.o"][..], 0, 0),
        (&["a/b/f.o"], 0, 1),
        (&["a/b/f.o"], 1, 0),
        (&["a/b/c/f.o"], 0, 2),
        (&["a/b/f.o", "a/b/x"], 0, 2),
        (&["a/b/f.o", "a/b/x"], 1, 1),
        (&["a/b/f.o", "a/x"], 1, 0),
    ] {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("src")).unwrap();
        for file in files {
            let at = dir.path().join("dst").join(file);
            fs::create_dir_all(at.parent().unwrap()).unwrap();
            fs::write(at, "").unwrap();
        }
        let max_delete = format!("--max-delete={max}");
        let run =
            under_test::run(dir.path(), ["-r", "--delete", "--exclude=*.o", &max_delete, "src/", "dst"]);
        let told = format!("({skipped} skipped)");
        assert_eq!(
            run.expect(if skipped > 0 { 25 } else { 0 }).errors().contains(&told),
            skipped > 0,
            "{files:?} {max}"
        );
    }
}

/// Enough names for several reads of one directory.
fn crowd(at: &Path) {
    fs::create_dir_all(at).unwrap();
    for i in 0..10_000 {
        fs::File::create(at.join(format!("{i}"))).unwrap();
    }
}

#[test]
fn an_open_directory_listed_by_several_threads_tells_each_of_them_every_name_once() {
    let dir = crate::scratch_fs::in_memory();
    crowd(&dir.path().join("many"));
    let held = operand::open_dir(dir.path().join("many").as_os_str()).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for _ in 0..20 {
                    let (mut told, mut distinct) = (0, std::collections::HashSet::new());
                    let each = |name: sluice::path::Name, _| {
                        told += 1;
                        distinct.insert(name);
                    };
                    held.list(each).unwrap();
                    assert_eq!((told, distinct.len()), (10_000, 10_000));
                }
            });
        }
    });
}

#[test]
fn nothing_of_the_source_is_deleted_while_the_tree_is_counted_ahead() {
    let dir = crate::scratch_fs::in_memory();
    crowd(&dir.path().join("src"));
    under_test::run(dir.path(), ["-a", "src/", "dst/"]).expect(0);
    for run in 0..6 {
        let options = ["-ai", "--delete", "--info=progress2", "--no-i-r", "src/", "dst/"];
        let text = under_test::run(dir.path(), options).expect(0).text();
        assert!(!text.contains("deleting") && !text.contains("+++"), "run {run}: {text}");
        assert_eq!(entries(&dir.path().join("dst")), 10_000, "run {run}");
    }
}
