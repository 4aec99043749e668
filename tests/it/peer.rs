//! Transfers with another machine behind a remote shell: what arrives, what is told, how it ends.
//!
//! A shell script stands for ssh (`remote_shell`); the last test goes through the real one.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::path::Path;
use std::time::SystemTime;

use crate::oracle::Manifest;
use crate::random_tree::{Rng, Shape, Tree};
use crate::remote_shell;
use crate::requirement::{self, Need};
use crate::under_test::{self, Run, command, finish, is_sluice};

/// Which side is behind the shell.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Way {
    Push,
    Pull,
}

const WAYS: [Way; 2] = [Way::Push, Way::Pull];

/// `src/` to `dst/`, one of them behind `shell`, in `dir`.
fn sync_by(shell: &[OsString], way: Way, dir: &Path, options: &[&str]) -> Run {
    // A real ssh begins in the user's home.
    let [src, dst] = ["src/", "dst/"].map(|name| dir.join(name).into_os_string());
    let far = |path: OsString| [OsString::from("far:"), path].into_iter().collect::<OsString>();
    let operands = if way == Way::Push { [src, far(dst)] } else { [far(src), dst] };
    let mut command = command(&under_test::binary(), dir);
    command.args(shell).args(options).args(operands);
    finish(command)
}

fn sync(way: Way, dir: &Path, options: &[&str]) -> Run {
    sync_by(&remote_shell::to_itself(dir), way, dir, options)
}

/// Runs with exactly these arguments behind those that say which shell.
fn run(dir: &Path, args: &[&str]) -> Run {
    let mut command = command(&under_test::binary(), dir);
    command.args(remote_shell::to_itself(dir)).args(args);
    finish(command)
}

fn manifest(dir: &Path, name: &str, since: SystemTime) -> Manifest {
    Manifest::of(&dir.join(name), since)
}

/// An empty place with these files, by name and content.
fn place(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, content) in files {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    dir
}

/// What is in `dir`, by path, files with their content.
fn contents(dir: &Path) -> Vec<String> {
    let found = walkdir::WalkDir::new(dir).min_depth(1).sort_by_file_name().into_iter();
    let show = |entry: walkdir::DirEntry| {
        let name = entry.path().strip_prefix(dir).unwrap().display().to_string();
        let text = entry.file_type().is_file().then(|| fs::read_to_string(entry.path()).unwrap());
        name + &text.map_or("/".into(), |text| format!("={text}"))
    };
    found.map(|entry| show(entry.unwrap())).collect()
}

/// The shape of the trees that are sent.
fn shape() -> Shape {
    let root = requirement::is_root();
    Shape {
        depth: 4,
        width: 12,
        long_names: true,
        hard_links: true,
        follow: false,
        dangling: true,
        root,
        attached: false,
    }
}

#[track_caller]
fn equal_and_then_silent(shell: &[OsString], way: Way, seed: u64) {
    let since = SystemTime::now();
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let rng = &mut Rng::new(seed);
    let source = Tree::random(rng, &shape());
    source.build(&at.join("src"));
    source.mutated(rng, &shape()).build(&at.join("dst"));
    let before = manifest(at, "src", since);
    let options = ["-aHi", "--delete", "-I", "--modify-window=-1"];
    let first = sync_by(shell, way, at, &options);
    first.expect(0);
    let update = if way == Way::Push { "<f" } else { ">f" };
    assert!(first.text().lines().any(|line| line.starts_with(update)), "{}", first.text());
    assert_eq!(manifest(at, "dst", since).difference(&before), "", "seed {seed}, {way:?}");
    assert_eq!(manifest(at, "src", since).difference(&before), "", "seed {seed}, {way:?}: the source");
    let second = sync_by(shell, way, at, &["-aHi", "--delete"]);
    assert_eq!(second.expect(0).text() + &second.errors(), "", "seed {seed}, {way:?}: the second run");
}

#[test]
fn a_tree_arrives_as_it_is_and_the_second_run_is_silent() {
    for seed in 1..6 {
        for way in WAYS {
            let dir = tempfile::tempdir().unwrap();
            equal_and_then_silent(&remote_shell::to_itself(dir.path()), way, seed);
        }
    }
}

#[test]
fn a_dry_run_tells_what_the_real_one_does_and_does_nothing() {
    for way in WAYS {
        let mut told = 0;
        for seed in 20..25 {
            let since = SystemTime::now();
            let dir = tempfile::tempdir().unwrap();
            let at = dir.path();
            let rng = &mut Rng::new(seed);
            let source = Tree::random(rng, &shape());
            source.build(&at.join("src"));
            source.mutated(rng, &shape()).build(&at.join("dst"));
            let before = manifest(at, "dst", since);
            let dry = sync(way, at, &["-ai", "--delete", "-n"]);
            assert_eq!(manifest(at, "dst", since).difference(&before), "", "seed {seed}, {way:?}");
            let real = sync(way, at, &["-ai", "--delete"]);
            assert_eq!(dry.expect(0).text(), real.expect(0).text(), "seed {seed}, {way:?}");
            told += real.text().lines().count();
        }
        assert!(told > 20, "{way:?}: {told} lines");
    }
}

#[test]
fn surplus_is_deleted_at_any_time_and_the_limit_refuses_before_the_first() {
    for way in WAYS {
        for when in ["--delete", "--delete-before", "--delete-during", "--delete-delay", "--delete-after"] {
            let files =
                [("src/a/f", "new"), ("src/g", "g"), ("dst/a/f", "o"), ("dst/a/x", "x"), ("dst/y/z", "z")];
            let dir = place(&files);
            let run = sync(way, dir.path(), &["-ai", when]);
            assert_eq!(
                contents(&dir.path().join("dst")),
                ["a/", "a/f=new", "g=g"],
                "{way:?} {when} {}",
                run.errors()
            );
            let deleted = |run: &Run| run.text().lines().filter(|l| l.starts_with("*deleting")).count();
            assert_eq!(deleted(run.expect(0)), 3, "{way:?} {when}: {}", run.text());
            let dir = place(&files);
            let limit = if is_sluice() { "--delete-limit=2" } else { "--max-delete=0" };
            let run = sync(way, dir.path(), &["-ai", when, limit]);
            assert_eq!(deleted(run.expect(25)), 0, "{way:?} {when}");
            assert!(dir.path().join("dst/y/z").exists() && dir.path().join("dst/a/x").exists());
        }
    }
}

#[test]
fn checksums_find_what_sizes_and_times_hide() {
    for way in WAYS {
        let dir = place(&[("src/f", "new"), ("dst/f", "old"), ("src/same", "s"), ("dst/same", "s")]);
        let at = dir.path();
        let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
        for name in ["src/f", "dst/f", "src/same", "dst/same"] {
            fs::File::open(at.join(name)).unwrap().set_modified(time).unwrap();
        }
        sync(way, at, &["-a"]).expect(0);
        assert_eq!(contents(&at.join("dst")), ["f=old", "same=s"]);
        let told = sync(way, at, &["-aic"]).expect(0).text();
        let update = if way == Way::Push { '<' } else { '>' };
        assert_eq!(told, format!("{update}fc........ f\n"), "{way:?}");
        assert_eq!(contents(&at.join("dst")), ["f=new", "same=s"]);
    }
}

#[test]
fn holes_stay_holes() {
    for way in WAYS {
        let dir = place(&[("src/small", "s")]);
        let at = dir.path();
        let file = fs::File::create(at.join("src/sparse")).unwrap();
        file.set_len(96 << 20).unwrap();
        file.write_all_at(b"data", 40 << 20).unwrap();
        file.write_all_at(b"more", (80 << 20) - 2).unwrap();
        let holey = |name: &str| fs::metadata(at.join(name)).unwrap().blocks() * 512 < 2 << 20;
        assert!(holey("src/sparse"), "this filesystem keeps no holes");
        sync(way, at, &["-aS"]).expect(0);
        assert!(holey("dst/sparse"), "{way:?}");
        let [a, b] = ["src/sparse", "dst/sparse"].map(|name| fs::read(at.join(name)).unwrap());
        assert!(a == b, "{way:?}");
    }
}

#[test]
fn listed_names_and_relative_paths_and_several_sources() {
    for way in WAYS {
        let dir = place(&[("src/a/b/f", "1"), ("src/a/g", "2"), ("src/h", "3"), ("two/i", "4")]);
        let at = dir.path();
        fs::write(at.join("names"), "a/b/f\nh\n").unwrap();
        sync(way, at, &["-a", "--files-from=names"]).expect(0);
        assert_eq!(contents(&at.join("dst")), ["a/", "a/b/", "a/b/f=1", "h=3"], "{way:?}");
        let (one, two, to) = match way {
            Way::Push => ("src/./a/g", "two", "far:all"),
            Way::Pull => ("far:src/./a/g", ":two", "all"),
        };
        run(at, &["-aR", one, two, to]).expect(0);
        assert_eq!(contents(&at.join("all")), ["a/", "a/g=2", "two/", "two/i=4"], "{way:?}");
    }
}

#[test]
fn filters_hold_on_both_sides() {
    for way in WAYS {
        let files = [
            ("src/keep.c", "1"),
            ("src/skip.o", "2"),
            ("src/sub/.rules", "- secret\n"),
            ("src/sub/secret", "3"),
            ("src/sub/open", "4"),
            ("dst/mine.o", "5"),
            ("dst/safe", "6"),
            ("dst/surplus", "7"),
        ];
        let dir = place(&files);
        let filters = ["--exclude=*.o", "-f", ": .rules", "-f", "P safe"];
        sync(way, dir.path(), &[&["-a", "--delete"][..], &filters].concat()).expect(0);
        let there = ["keep.c=1", "mine.o=5", "safe=6", "sub/", "sub/.rules=- secret\n", "sub/open=4"];
        assert_eq!(contents(&dir.path().join("dst")), there, "{way:?}");
        let dir = place(&files);
        sync(way, dir.path(), &["-a", "--max-size=1"]).expect(0);
        assert!(!dir.path().join("dst/sub/.rules").exists());
    }
}

#[test]
fn sources_are_removed_once_they_are_stored() {
    for way in WAYS {
        let dir = place(&[("src/a/f", "1"), ("src/g", "2"), ("src/keep", "3"), ("dst/g", "old")]);
        let at = dir.path();
        sync(way, at, &["-a", "--remove-source-files", "--exclude=keep"]).expect(0);
        assert_eq!(contents(&at.join("src")), ["a/", "keep=3"], "{way:?}");
        assert_eq!(contents(&at.join("dst")), ["a/", "a/f=1", "g=2"], "{way:?}");
    }
}

#[test]
fn backups_and_writing_in_place() {
    for way in WAYS {
        let files = [("src/f", "new"), ("dst/f", "older"), ("dst/gone", "x")];
        let dir = place(&files);
        let at = dir.path();
        sync(way, at, &["-ab", "--delete", "--backup-dir=../bak"]).expect(0);
        assert_eq!(contents(&at.join("dst")), ["f=new"], "{way:?}");
        assert_eq!(contents(&at.join("bak")), ["f=older", "gone=x"], "{way:?}");
        let dir = place(&files);
        let at = dir.path();
        let inode = fs::metadata(at.join("dst/f")).unwrap().ino();
        sync(way, at, &["-a", "--inplace"]).expect(0);
        assert_eq!(contents(&at.join("dst")), ["f=new", "gone=x"], "{way:?}");
        assert_eq!(fs::metadata(at.join("dst/f")).unwrap().ino(), inode, "{way:?}");
    }
}

/// A name that shells and terminals would make something of.
fn odd_names() -> Vec<OsString> {
    let names: [&[u8]; 9] = [
        b"with space",
        b"quo'te \"dq\"",
        b"new\nline",
        b"-rf",
        b"--delete",
        b"$(touch pwned)`touch pwned`;touch pwned",
        b"\xff\xfe\x80",
        b"a:b",
        b"*",
    ];
    names.map(|name| OsString::from_vec(name.to_vec())).to_vec()
}

#[test]
fn operands_arrive_as_typed_whatever_is_in_their_names() {
    for way in WAYS {
        for name in odd_names() {
            let dir = tempfile::tempdir().unwrap();
            let at = dir.path();
            let typed = |prefix: &str, suffix: &str| {
                // All but wildcards, which a backslash makes a name.
                let escape = if name == "*" && prefix.starts_with("far:") { "\\" } else { "" };
                let parts = [prefix.as_bytes(), escape.as_bytes(), name.as_bytes(), suffix.as_bytes()];
                OsString::from_vec(parts.concat())
            };
            fs::create_dir_all(at.join("src").join(&name)).unwrap();
            fs::write(at.join("src").join(&name).join(&name), "x").unwrap();
            let mut command = command(&under_test::binary(), at);
            command.args(remote_shell::to_itself(at)).arg("-a");
            match way {
                Way::Push => command.args([typed("src/", "/"), typed("far:", "")]),
                Way::Pull => command.args([typed("far:src/", "/"), typed("./", "")]),
            };
            finish(command).expect(0);
            let there = fs::read(at.join(&name).join(&name));
            assert_eq!(there.ok().as_deref(), Some(&b"x"[..]), "{way:?} {name:?}");
            assert!(!at.join("pwned").exists(), "{way:?} {name:?}: a shell took part of the name");
        }
    }
}

#[test]
fn a_single_remote_operand_is_listed() {
    let dir = place(&[("src/f", "12345"), ("src/sub/g", "1")]);
    let told = run(dir.path(), &["-r", "far:src/"]).expect(0).text();
    let names: Vec<_> = told.lines().map(|line| line.rsplit(' ').next().unwrap()).collect();
    assert_eq!(names, [".", "f", "sub", "sub/g"], "{told}");
    assert_eq!(told, under_test::run(dir.path(), ["-r", "src/"]).expect(0).text());
    let listed = run(dir.path(), &["-r", "--list-only", "far:src/", "dst"]).expect(0).text();
    assert_eq!(listed, told);
    assert!(!dir.path().join("dst").exists());
}

#[test]
fn a_source_that_is_missing_or_unreadable_ends_with_23_and_the_rest_arrives() {
    for way in WAYS {
        let dir = place(&[("src/f", "x")]);
        let at = dir.path();
        let (there, missing, to) = match way {
            Way::Push => ("src/f", "src/none", "far:dst/"),
            Way::Pull => ("far:src/f", ":src/none", "dst/"),
        };
        let run = run(at, &["-a", there, missing, to]);
        assert_eq!(contents(&at.join("dst")), ["f=x"], "{way:?}");
        assert!(run.expect(23).errors().contains("src/none"), "{way:?}: {}", run.errors());
    }
}

#[test]
fn a_file_that_cannot_be_read_stays_behind_with_23() {
    if !requirement::met(&[Need::OtherUser]) {
        return;
    }
    for way in WAYS {
        let dir = place(&[("src/f", "x"), ("src/locked", "y")]);
        let at = dir.path();
        fs::create_dir(at.join("dst")).unwrap();
        fs::set_permissions(at.join("dst"), fs::Permissions::from_mode(0o777)).unwrap();
        fs::set_permissions(at.join("src/locked"), fs::Permissions::from_mode(0o0)).unwrap();
        fs::copy(under_test::binary(), at.join("program")).unwrap();
        let shell = remote_shell::options(at, OsStr::new("./program"));
        let operands = if way == Way::Push { ["src/", "far:dst/"] } else { ["far:src/", "dst/"] };
        let args = shell.into_iter().chain(["-rt".into()]).chain(operands.map(OsString::from));
        let run = under_test::run_as_nobody(at, args);
        assert!(run.expect(23).errors().contains("locked"), "{way:?}: {}", run.errors());
        assert_eq!(contents(&at.join("dst")), ["f=x"], "{way:?}");
    }
}

#[test]
fn through_the_real_ssh() {
    let Some(server) = crate::sshd::Server::start() else { return };
    for way in WAYS {
        equal_and_then_silent(&server.options(), way, 11);
    }
}
