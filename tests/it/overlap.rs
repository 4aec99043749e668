//! Source and destination in each other, in whatever disguise: never an endless copy, never a lost file.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;

use crate::oracle::Manifest;
use crate::requirement::{self, Need};
use crate::under_test::{self, Run, command, finish};

/// A tree of ten files, two of them below `sub`, and an empty `other`.
fn tree() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join("tree/sub/deep")).unwrap();
    fs::create_dir(dir.path().join("other")).unwrap();
    for i in 0..8 {
        fs::write(dir.path().join(format!("tree/f{i}")), format!("content {i}")).unwrap();
    }
    for name in ["tree/sub/g", "tree/sub/deep/h"] {
        fs::write(dir.path().join(name), name).unwrap();
    }
    dir
}

/// Bytes, and nothing lost: every content that was there is there still, somewhere.
fn contents(root: &Path) -> Vec<Vec<u8>> {
    let files = walkdir::WalkDir::new(root).into_iter().map(Result::unwrap);
    let files =
        files.filter(|entry| entry.file_type().is_file() && entry.file_name() != "program-under-test");
    let mut contents: Vec<_> = files.map(|entry| fs::read(entry.path()).unwrap()).collect();
    contents.sort();
    contents.dedup();
    contents
}

fn entries(root: &Path) -> usize {
    walkdir::WalkDir::new(root).into_iter().count()
}

/// What a case must not lose, where a deletion is asked for: what only the destination has is surplus.
#[derive(Clone, Copy, PartialEq)]
enum Holds {
    /// The source holds the files of `tree`, those of `tree/sub` aside.
    Tree,
    /// The source is `tree/sub`.
    Sub,
    /// Nothing is surplus.
    All,
    /// Everything may be: the source holds the destination and no other file.
    Nothing,
}

/// Runs many sets of options four times with the two operands, after `prepare`; in a mount namespace with
/// `binds` (`FROM TO`), if there are any.
fn overlap(prepare: &dyn Fn(&Path), binds: &[(&str, &str)], operands: [&str; 2], source: Holds) {
    if !under_test::is_sluice() {
        return; // rsync deletes sources, and copies one level deeper with each run
    }
    for options in [
        &["-a"][..],
        &["-a", "--delete"],
        &["-a", "--delete-before"],
        &["-a", "--delete-after", "--force"],
        &["-aI"],
        &["-aI", "--inplace"],
        &["-aIS", "--inplace"],
        &["-aH", "--delete", "-c"],
        &["-ab", "--backup-dir=bak", "--delete", "-I"],
        &["-aI", "--temp-dir=."],
        &["-a", "--remove-source-files"],
        &["-aI", "--remove-source-files"],
        &["-aR", "--delete"],
    ] {
        let dir = tree();
        prepare(dir.path());
        let mut before = contents(dir.path());
        if options.iter().any(|option| option.starts_with("--delete")) {
            before.retain(|content| match source {
                Holds::Tree => content.starts_with(b"content"),
                Holds::Sub => content.starts_with(b"tree/sub"),
                Holds::All => true,
                Holds::Nothing => false,
            });
        }
        let mut sizes = Vec::new();
        for _ in 0..4 {
            let run = run_bound(dir.path(), binds, options, operands);
            assert!(
                [0, 1, 3, 11, 23, 24].contains(&run.code),
                "{options:?} {operands:?}: {} {}",
                run.code,
                run.errors()
            );
            sizes.push(entries(dir.path()));
        }
        let after = contents(dir.path());
        let lost: Vec<_> = before.iter().filter(|content| !after.contains(content)).collect();
        assert!(lost.is_empty(), "{options:?} {operands:?} lost {lost:?}");
        assert!(after.len() <= 10, "{options:?} {operands:?} spoilt a file");
        let backups = options.contains(&"-ab");
        assert!(
            backups || sizes[2] == sizes[3],
            "{options:?} {operands:?}: it grows with every run: {sizes:?}"
        );
        assert!(sizes[0] < 120, "{options:?} {operands:?}: {sizes:?}");
    }
}

fn run_bound(dir: &Path, binds: &[(&str, &str)], options: &[&str], operands: [&str; 2]) -> Run {
    if binds.is_empty() {
        return under_test::run(dir, options.iter().chain(&operands));
    }
    let mounts: String = binds.iter().map(|(from, to)| format!("mount --bind {from} {to} && ")).collect();
    let mut command = command(OsStr::new("unshare"), dir);
    command.args(["-m", "sh", "-c", &format!("{mounts} exec \"$@\""), "sh"]).arg(under_test::binary());
    finish({
        command.args(options).args(operands);
        command
    })
}

#[test]
fn the_destination_is_the_source() {
    overlap(&|_| {}, &[], ["tree/", "tree/"], Holds::All);
    overlap(&|_| {}, &[], ["tree/", "tree/sub/.."], Holds::All);
    overlap(&|dir| symlink("tree", dir.join("alias")).unwrap(), &[], ["alias/", "tree"], Holds::All);
    overlap(&|_| {}, &[], ["tree", "."], Holds::All);
}

#[test]
fn the_destination_lies_in_the_source() {
    overlap(&|_| {}, &[], ["tree/", "tree/sub"], Holds::Tree);
    overlap(&|_| {}, &[], ["tree", "tree"], Holds::Tree);
    overlap(&|_| {}, &[], ["tree/", "tree/sub/deep/new"], Holds::Tree);
    overlap(
        &|dir| symlink("../tree/sub", dir.join("other/alias")).unwrap(),
        &[],
        ["tree/", "other/alias/"],
        Holds::Tree,
    );
}

#[test]
fn the_source_lies_in_the_destination() {
    overlap(&|_| {}, &[], ["tree/sub/", "tree"], Holds::Sub);
    overlap(&|_| {}, &[], ["tree/sub", "."], Holds::Sub);
    overlap(&|_| {}, &[], ["tree/sub/", "tree/"], Holds::Sub);
    overlap(
        &|dir| symlink("../tree/sub", dir.join("other/alias")).unwrap(),
        &[],
        ["other/alias/", "tree"],
        Holds::Sub,
    );
}

/// The source has a directory of the name under which it lies in the destination itself.
#[test]
fn a_source_that_meets_itself_in_the_destination_is_not_written_to() {
    for when in ["--delete-before", "--delete", "--delete-after"] {
        let dir = tempfile::tempdir().unwrap();
        let source = dir.path().join("dst/in/src");
        fs::create_dir_all(source.join("in/src")).unwrap();
        fs::write(source.join("only"), "only").unwrap();
        fs::write(source.join("in/src/below"), "below").unwrap();
        let before = Manifest::exact(&source);
        under_test::run(dir.path(), ["-a", when, "dst/in/src/", "dst/"]).expect(0);
        let after = Manifest::exact(&source);
        assert_eq!(after.difference(&before), "", "{when} changed the source");
        assert_eq!(fs::read(dir.path().join("dst/only")).unwrap(), b"only");
    }
}

/// `user/user` is copied over `user`, of which it is a part.
#[test]
fn a_source_named_like_the_directory_it_lies_in_is_not_surplus_there() {
    for when in ["--delete-before", "--delete", "--delete-after"] {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("user/user")).unwrap();
        fs::write(dir.path().join("user/user/f"), "content").unwrap();
        fs::write(dir.path().join("user/surplus"), "s").unwrap();
        under_test::run(dir.path(), ["-a", when, "user/user", "."]).expect(0);
        assert_eq!(fs::read(dir.path().join("user/f")).unwrap(), b"content", "{when}");
        assert_eq!(fs::read(dir.path().join("user/user/f")).unwrap(), b"content", "{when}");
        assert!(!dir.path().join("user/surplus").exists(), "{when}");
    }
}

#[test]
fn a_bind_mount_disguises_one_as_the_other() {
    if !requirement::met(&[Need::MountTmpfs, Need::Program("unshare"), Need::Program("mount")]) {
        return;
    }
    for (bind, operands, source) in [
        (("tree", "other"), ["tree/", "other/"], Holds::All),
        (("tree", "other"), ["other/", "tree/"], Holds::All),
        (("tree", "other"), ["other/sub/", "tree/"], Holds::Sub),
        (("tree", "other"), ["other/", "tree/sub/"], Holds::Tree),
        (("tree/sub", "other"), ["tree/", "other/"], Holds::Tree),
        (("tree/sub", "other"), ["other/", "tree/"], Holds::Sub),
        ((".", "other"), ["tree/", "other/"], Holds::Tree),
        ((".", "other"), ["other/tree/", "tree/"], Holds::All),
        ((".", "other"), ["other/", "tree/"], Holds::Nothing),
        (("tree", "tree/sub"), ["tree/", "tree/sub/"], Holds::Tree),
        (("tree", "tree/sub"), ["tree/sub/", "tree/"], Holds::Tree),
    ] {
        overlap(&|_| {}, &[bind], operands, source);
    }
}

#[test]
fn files_that_are_hard_links_of_their_sources_keep_their_bytes() {
    let prepare = |dir: &Path| {
        for i in 0..8 {
            fs::hard_link(dir.join(format!("tree/f{i}")), dir.join(format!("other/f{i}"))).unwrap();
        }
    };
    overlap(&prepare, &[], ["tree/", "other/"], Holds::All);
    let dir = tree();
    fs::hard_link(dir.path().join("tree/f0"), dir.path().join("other/f1")).unwrap();
    under_test::run(dir.path(), ["-a", "--inplace", "tree/f0", "other/f1"]).expect(0);
    under_test::run(dir.path(), ["-aI", "--inplace", "tree/f0", "other/f1"]);
    assert_eq!(fs::read(dir.path().join("other/f1")).unwrap(), b"content 0");
    assert_eq!(fs::metadata(dir.path().join("tree/f0")).unwrap().nlink(), 2);
}

#[test]
fn backups_that_lie_in_the_source_do_not_copy_themselves_in_one_run() {
    let dir = tree();
    under_test::run(dir.path(), ["-a", "tree/", "other/"]).expect(0);
    let backup = dir.path().join("tree/bak").display().to_string();
    for round in 1..4 {
        fs::write(dir.path().join("tree/f0"), format!("content of round {}", "x".repeat(round))).unwrap();
        let all = ["-ab", "--delete", &format!("--backup-dir={backup}"), "tree/", "other/"];
        under_test::run(dir.path(), all).expect(0);
        assert_eq!(
            fs::read(dir.path().join("other/f0")).unwrap(),
            format!("content of round {}", "x".repeat(round)).as_bytes()
        );
        let depth = walkdir::WalkDir::new(&backup).into_iter().map(|entry| entry.unwrap().depth()).max();
        assert!(depth.unwrap() <= round + 2, "round {round}: {depth:?}");
    }
}
