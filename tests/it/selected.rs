//! What `--files-from`, `--relative` and `--prune-empty-dirs` select, and what little they say of it.

use std::fs;
use std::path::Path;

use crate::mounted_below::Mounts;
use crate::requirement::{Need, met, mount_tmpfs};
use crate::under_test;

/// `src` with `top`, `a/g`, `a/b/f` and the empty directory `e`.
fn tree() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join("src/a/b")).unwrap();
    fs::create_dir_all(dir.path().join("src/e")).unwrap();
    for file in ["top", "a/g", "a/b/f"] {
        fs::write(dir.path().join("src").join(file), file).unwrap();
    }
    fs::create_dir(dir.path().join("dst")).unwrap();
    let old = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
    fs::File::open(dir.path().join("src")).unwrap().set_modified(old).unwrap();
    dir
}

/// The names in the lines of a run, without their changes.
fn names(dir: &Path, args: &[&str], code: i32) -> String {
    let run = under_test::run(dir, args);
    run.expect(code);
    run.text().lines().map(|line| line[12..].to_string()).collect::<Vec<_>>().join(" ")
}

#[track_caller]
fn listed(list: &str, options: &[&str], code: i32) -> String {
    let dir = tree();
    fs::write(dir.path().join("list"), list).unwrap();
    let args = [&["-ai", "--files-from=list"], options, &["src/", "dst/"]].concat();
    names(dir.path(), &args, code)
}

#[test]
fn a_listed_name_brings_the_directories_above_it() {
    assert_eq!(listed("a/b/f\n", &[], 0), "a/ a/b/ a/b/f");
    assert_eq!(listed("a/b/f\n", &["--no-implied-dirs"], 0), "a/b/f");
}

#[test]
fn a_listed_name_that_begins_with_a_dot_and_slash_brings_the_root() {
    assert_eq!(listed("./top\n", &[], 0), "./ top");
    assert_eq!(listed("./a/g\ntop\n", &[], 0), "./ top a/ a/g");
    assert_eq!(listed("./top\n", &["--include=top", "--exclude=*"], 0), "top");
}

#[test]
fn a_dot_between_slashes_in_a_listed_name_begins_the_path_of_the_transfer() {
    assert_eq!(listed("a/./b/f\n", &[], 0), "b/ b/f");
}

#[test]
fn dots_in_a_listed_name_lead_nowhere_above_the_source() {
    assert_eq!(listed("../../a/../top\n", &[], 0), "top");
}

#[test]
fn a_listed_name_that_is_missing_brings_nothing() {
    assert_eq!(listed("a/nope\n", &[], 23), "");
}

#[test]
fn a_rule_does_not_hide_the_directories_above_a_named_entry() {
    let dir = tree();
    assert_eq!(names(dir.path(), &["-aiR", "--exclude=a", "src/./a/b/f", "dst"], 0), "a/ a/b/ a/b/f");
}

#[test]
fn what_a_rule_hides_does_not_bring_the_directories_above_it() {
    let dir = tree();
    assert_eq!(names(dir.path(), &["-aiR", "--exclude=f", "src/./a/b/f", "dst"], 0), "");
}

#[test]
fn directories_that_are_made_without_being_listed_can_be_entered_by_all() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tree();
    under_test::run(dir.path(), ["-aR", "--no-implied-dirs", "src/./a/b/f", "dst"]).expect(0);
    let mode = fs::metadata(dir.path().join("dst/a")).unwrap().permissions().mode();
    assert_eq!(mode & 0o700, 0o700);
    assert_eq!(mode & 0o777, 0o777 & !umask());
}

fn umask() -> u32 {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("plain")).unwrap();
    0o777 & !fs::metadata(dir.path().join("plain")).unwrap().permissions().mode()
}

#[test]
fn an_unlisted_directory_replaces_nothing() {
    let dir = tree();
    fs::write(dir.path().join("dst/a"), "mine").unwrap();
    under_test::run(dir.path(), ["-aR", "--no-implied-dirs", "src/./a/b/f", "dst"]).expect(23);
    assert_eq!(fs::read(dir.path().join("dst/a")).unwrap(), b"mine");
}

#[test]
fn an_empty_directory_that_a_rule_protects_is_not_pruned() {
    let dir = tree();
    assert_eq!(names(dir.path(), &["-aim", "src/", "dst/"], 0), "./ top a/ a/g a/b/ a/b/f");
    assert_eq!(names(dir.path(), &["-aim", "-f", "P e/", "src/", "dst/"], 0), "e/");
}

#[test]
fn every_directory_is_pruned_where_none_is_looked_into() {
    let dir = tree();
    assert_eq!(names(dir.path(), &["-dim", "src/", "dst/"], 0), "top");
}

#[test]
fn a_source_of_files_from_that_is_no_directory_ends_the_run_with_3_and_makes_nothing() {
    for source in ["nosuch/", "list"] {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("list"), "a\n").unwrap();
        under_test::run(dir.path(), ["-a", "--files-from=list", source, "dst/"]).expect(3);
        assert!(!dir.path().join("dst").exists(), "{source}");
    }
}

#[test]
fn a_rule_about_a_directory_that_is_named_keeps_nothing_out_that_is_named_below_it() {
    for (names, options) in [
        ("a/d\na/d/f\n", &["-r", "--exclude=/a/d"][..]),
        ("a/d/f\na/d\n", &["-r", "--exclude=/a/d"]),
        ("a/d\na/d/f\n", &["--exclude=/a/d"]),
        ("a/d\na/d/f\n", &["--old-dirs"]),
        ("a\na/d/f\n", &["-r", "--exclude=/a/d"]),
        ("a/d/f\na\n", &["-r", "--exclude=d/"]),
        ("a/d/f\na/\n", &["--exclude=/a/d"]),
        ("a/\na/d/f\n", &[]),
    ] {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("src/a/d")).unwrap();
        for name in ["f", "g"] {
            fs::write(dir.path().join("src/a/d").join(name), name).unwrap();
        }
        fs::write(dir.path().join("list"), names).unwrap();
        let line = [&["-a", "--files-from=list"], options, &["src/", "dst/"]].concat();
        under_test::run(dir.path(), line).expect(0);
        assert!(dir.path().join("dst/a/d/f").exists(), "{names:?} {options:?}");
        assert!(!dir.path().join("dst/a/d/g").exists(), "{names:?} {options:?}");
    }
}

#[test]
fn a_link_on_the_way_is_followed_even_where_it_is_copied_itself() {
    let dir = tree();
    std::os::unix::fs::symlink("b", dir.path().join("src/a/l")).unwrap();
    fs::write(dir.path().join("list"), "a\na/l/f\n").unwrap();
    under_test::run(dir.path(), ["-ar", "--files-from=list", "src/", "dst/"]).expect(0);
    // As with rsync: what the link leads to is there, and no link.
    assert!(fs::symlink_metadata(dir.path().join("dst/a/l")).unwrap().is_dir());
    assert!(dir.path().join("dst/a/l/f").exists() && dir.path().join("dst/a/b/f").exists());
}

#[test]
fn what_is_named_below_another_filesystem_is_copied_and_no_more_of_it() {
    if !met(&[Need::Root, Need::MountTmpfs]) {
        return;
    }
    for (options, whole) in [(&["-x"][..], "a/m"), (&["-x", "-x"], "a/m/f")] {
        let dir = tree();
        let point = dir.path().join("src/a/m");
        fs::create_dir(&point).unwrap();
        mount_tmpfs(&point, "1m").unwrap();
        let _mounted = Mounts(vec![point.clone()]);
        for name in ["f", "g"] {
            fs::write(point.join(name), name).unwrap();
        }
        fs::write(dir.path().join("list"), "a\na/m/f\n").unwrap();
        let line = [&["-ar", "--files-from=list"], options, &["src/", "dst/"]].concat();
        under_test::run(dir.path(), line).expect(0);
        assert!(dir.path().join("dst").join(whole).exists(), "{options:?}");
        assert!(
            dir.path().join("dst/a/m/f").exists() && !dir.path().join("dst/a/m/g").exists(),
            "{options:?}"
        );
    }
}

/// rsync(1), `--copy-unsafe-links`: what is named is what the operator sees, and that is a link.
#[test]
fn to_rules_an_unsafe_link_that_is_named_is_a_link_and_one_that_is_listed_a_directory() {
    let with = |args: &[&str]| {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("src/c")).unwrap();
        fs::create_dir_all(dir.path().join("outside/dir")).unwrap();
        std::os::unix::fs::symlink("../../outside/dir", dir.path().join("src/c/a")).unwrap();
        fs::write(dir.path().join("list"), "c/a\n").unwrap();
        under_test::run(dir.path(), [&["-a", "--copy-unsafe-links"], args, &["dst/"]].concat()).expect(0);
        dir.path().join("dst/c/a").exists()
    };
    assert!(!with(&["--include=*/", "--exclude=*", "--files-from=list", "src/"]));
    assert!(with(&["--exclude=a/", "--files-from=list", "src/"]));
    assert!(with(&["--include=*/", "--exclude=*", "src/"]));
    assert!(!with(&["--exclude=a/", "src/"]));
}

#[test]
fn a_directory_that_is_listed_for_itself_alone_need_not_be_readable() {
    if !met(&[Need::Root, Need::Program("setpriv")]) {
        return;
    }
    for options in [&["-lpt", "--files-from=list"][..], &["-dl", "--exclude=top", "--exclude=/a"]] {
        let dir = tree();
        fs::write(dir.path().join("list"), "e\n").unwrap();
        fs::set_permissions(dir.path().join("dst"), std::os::unix::fs::PermissionsExt::from_mode(0o777))
            .unwrap();
        under_test::lock(&dir.path().join("src/e"));
        let line = [options, &["src/", "dst/"]].concat();
        let run = under_test::run_as_nobody(dir.path(), line);
        assert_eq!((run.code, run.errors().as_str()), (0, ""), "{options:?}");
        assert!(dir.path().join("dst/e").is_dir(), "{options:?}");
    }
}

/// `path_resolution(7)`: 40 links, and so for rsync, which goes by paths.
#[test]
fn a_followed_link_to_a_directory_above_it_leads_round_forty_times_and_is_then_an_error() {
    for options in [&["-aL"][..], &["-rL"], &["-ak"], &["-aL", "--files-from=list", "-r"]] {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("src/a")).unwrap();
        fs::write(dir.path().join("src/a/f"), "f").unwrap();
        std::os::unix::fs::symlink("../a", dir.path().join("src/a/up")).unwrap();
        fs::write(dir.path().join("list"), "a\n").unwrap();
        let run = under_test::run(dir.path(), [options, &["src/", "dst/"]].concat());
        assert!(run.expect(23).errors().contains("Too many levels of symbolic links"), "{options:?}");
        let round = |times: usize| dir.path().join("dst/a").join("up/".repeat(times));
        assert!(round(40).join("f").exists(), "{options:?}");
        // As with rsync the last one is a directory, into which nothing leads.
        assert!(round(41).exists() && !round(41).join("f").exists(), "{options:?}");
    }
}

#[test]
fn a_listed_name_that_ends_in_a_slash_and_is_no_directory_is_an_error_without_relative() {
    for name in ["top/", "top/.", "a/g/"] {
        assert_eq!(listed(&format!("{name}\n"), &["--no-R"], 23), "", "{name}");
    }
    assert_eq!(listed("top/\n", &[], 0), "top");
}

#[test]
fn a_listed_name_that_cannot_be_looked_at_is_an_error_of_its_own_alone() {
    let dir = tree();
    std::os::unix::fs::symlink("round", dir.path().join("src/round")).unwrap();
    fs::write(dir.path().join("list"), "round\ntop\n").unwrap();
    under_test::run(dir.path(), ["-aL", "--files-from=list", "src/", "dst/"]).expect(23);
    assert!(dir.path().join("dst/top").exists());
}

#[test]
fn of_a_followed_link_that_is_named_no_more_is_taken_than_of_a_directory() {
    for options in
        [&["-dl", "-k", "-R"][..], &["-d", "-L", "-R"], &["-dl", "--copy-unsafe-links", "-R"], &["-dl", "-k"]]
    {
        let dir = tree();
        std::os::unix::fs::symlink("../src/a", dir.path().join("src/l")).unwrap();
        under_test::run(dir.path(), [options, &["src/./l", "dst/"]].concat()).expect(0);
        assert!(fs::symlink_metadata(dir.path().join("dst/l")).unwrap().is_dir(), "{options:?}");
        assert_eq!(fs::read_dir(dir.path().join("dst/l")).unwrap().count(), 0, "{options:?}");
    }
}
