//! `--link-dest`, `--copy-dest`, `--compare-dest`: in every way to run, under the commands of programs that
//! keep snapshots, and within the directories that they name. Trees and lines under random options are
//! compared in `differential`.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;
use std::time::SystemTime;

use nix::fcntl::AT_FDCWD;
use nix::sys::stat::{UtimensatFlags, utimensat};
use nix::sys::time::TimeSpec;

use crate::oracle::Manifest;
use crate::requirement::{self, Need};
use crate::served::{Served, file};
use crate::under_test::{self, Run, binary, command, finish};
use crate::ways::{self, Way};

/// Gives everything below `at` one time.
fn age(at: &Path) {
    for entry in walkdir::WalkDir::new(at).contents_first(true) {
        let time = TimeSpec::new(1000, 0);
        let flag = UtimensatFlags::NoFollowSymlink;
        utimensat(AT_FDCWD, entry.unwrap().path(), &time, &time, flag).unwrap();
    }
}

fn inode(path: &Path) -> u64 {
    fs::symlink_metadata(path).unwrap().ino()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

/// A source, and in `prev` below the destination an older copy of it.
fn older_copy(dir: &Path) {
    for at in ["src", "dst/prev"] {
        for name in ["same", "mode", "text", "d/same"] {
            file(dir, &format!("{at}/{name}"), "old");
        }
    }
    file(dir, "src/text", "changed");
    fs::set_permissions(dir.join("src/mode"), fs::Permissions::from_mode(0o640)).unwrap();
    fs::set_permissions(dir.join("dst/prev/mode"), fs::Permissions::from_mode(0o600)).unwrap();
    age(&dir.join("src"));
    age(&dir.join("dst/prev"));
}

fn in_every_way(option: &str, check: impl Fn(Way, &Path)) {
    for way in ways::ALL {
        ways::run(way, "", &["-ai", option], older_copy, |dir, run| {
            assert_eq!(run.expect(0).errors(), "", "{way:?}");
            let text = run.text();
            let arrow = if matches!(way, Way::ShellPush | Way::DaemonPush) { '<' } else { '>' };
            assert!(text.contains("cf...p..... mode\n"), "{way:?}: {text}");
            assert!(text.contains(&format!("{arrow}f.s....... text\n")), "{way:?}: {text}");
            assert!(!text.contains("same"), "{way:?}: {text}");
            assert_eq!(fs::read(dir.join("dst/text")).unwrap(), b"changed", "{way:?}");
            assert_eq!(fs::read(dir.join("dst/mode")).unwrap(), b"old", "{way:?}");
            let modes = ["dst/mode", "dst/prev/mode"].map(|name| mode(&dir.join(name)));
            assert_eq!(modes, [0o640, 0o600], "{way:?}");
            check(way, dir);
        });
    }
}

#[test]
fn what_is_unchanged_becomes_a_link_and_what_differs_leaves_the_old_copy_alone() {
    in_every_way("--link-dest=prev", |way, dir| {
        for name in ["same", "d/same"] {
            let [new, old] = ["dst", "dst/prev"].map(|at| inode(&dir.join(at).join(name)));
            assert_eq!(new, old, "{way:?}: {name}");
        }
    });
}

#[test]
fn what_is_unchanged_is_copied_from_there() {
    in_every_way("--copy-dest=prev", |way, dir| {
        for name in ["same", "d/same"] {
            let [new, old] = ["dst", "dst/prev"].map(|at| fs::metadata(dir.join(at).join(name)).unwrap());
            assert_ne!(new.ino(), old.ino(), "{way:?}: {name}");
            assert_eq!((new.len(), new.mtime()), (3, 1000), "{way:?}: {name}");
        }
    });
}

#[test]
fn what_is_unchanged_is_left_there_and_nowhere_else() {
    in_every_way("--compare-dest=prev", |way, dir| {
        assert!(!dir.join("dst/same").exists() && !dir.join("dst/d/same").exists(), "{way:?}");
        assert!(dir.join("dst/d").is_dir(), "{way:?}");
    });
}

#[test]
fn commands_of_snapshot_programs_do_what_rsync_does() {
    if !requirement::met(&[Need::Program("rsync")]) {
        return;
    }
    let since = SystemTime::now();
    let commands: &[&[&str]] = &[
        &["-a", "--link-dest=@/b/latest", "src/", "b/new"],
        // rsync-time-backup
        &[
            "-D",
            "--numeric-ids",
            "--links",
            "--hard-links",
            "--one-file-system",
            "--itemize-changes",
            "--times",
            "--recursive",
            "--perms",
            "--owner",
            "--group",
            "--human-readable",
            "--log-file=log",
            "--exclude-from=skip",
            "--link-dest=@/b/old",
            "--",
            "src/",
            "b/new/",
        ],
        // rsnapshot
        &[
            "-a",
            "--delete",
            "--numeric-ids",
            "--relative",
            "--delete-excluded",
            "--link-dest=../old",
            "src/./d",
            "src/./own",
            "b/there/",
        ],
        // timeshift
        &[
            "-aii",
            "--recursive",
            "--links",
            "--delete",
            "--force",
            "--link-dest=@/b/old",
            "--log-file=log",
            "--exclude-from=skip",
            "src/",
            "b/there/",
        ],
        &["-aHii", "--copy-dest=../old", "src/", "b/there/"],
        &["-aii", "--compare-dest=../old", "src/", "b/there/"],
        &["-aii", "--link-dest=../not-there", "src/own", "b/there/named"],
        &["-aii", "--link-dest=../old", "src/own", "b/there/other"],
        &["-ain", "--link-dest=../old", "src/", "b/new"],
    ];
    for args in commands {
        let outcomes = [binary(), "rsync".into()].map(|program| {
            let scratch = tempfile::tempdir().unwrap();
            let at = scratch.path();
            for tree in ["src", "b/old"] {
                for name in ["own", "other", "d/one", "d/deep/two", "skipped"] {
                    file(at, &format!("{tree}/{name}"), name);
                }
                fs::hard_link(at.join(tree).join("own"), at.join(tree).join("d/own")).unwrap();
                symlink("own", at.join(tree).join("link")).unwrap();
            }
            file(at, "src/d/one", "changed");
            file(at, "b/there/other", "older");
            file(at, "b/there/d/gone", "");
            file(at, "skip", "skipped\n");
            symlink("old", at.join("b/latest")).unwrap();
            age(at);
            let here = format!("{}/", at.display());
            let args = args.iter().map(|arg| arg.replace("@/", &here));
            let mut command = command(&program, at);
            command.args(args);
            let run = finish(command);
            let _log = fs::remove_file(at.join("log"));
            (run, Manifest::of(at, since))
        });
        let [(ours, tree), (theirs, expected)] = outcomes;
        assert_eq!(ours.code, theirs.code, "{args:?}: {}{}", ours.errors(), theirs.errors());
        assert_eq!(tree.difference(&expected), "", "{args:?}");
        let lines = |run: &Run| {
            let mut lines: Vec<_> = run.text().lines().map(str::to_owned).collect();
            lines.sort();
            lines
        };
        assert_eq!(lines(&ours), lines(&theirs), "{args:?}");
    }
}

#[test]
fn a_basis_directory_that_is_missing_is_told_of_and_the_run_goes_on() {
    for (named, why) in [("../nowhere", "does not exist"), ("../src/same", "is not a dir")] {
        let scratch = tempfile::tempdir().unwrap();
        older_copy(scratch.path());
        let run = under_test::run(
            scratch.path(),
            ["-ai", "--link-dest", named, "--link-dest=prev", "src/", "dst/"].map(OsStr::new),
        );
        let told = format!("--link-dest arg {why}: dst/{named}\n");
        assert_eq!(run.expect(0).errors(), told);
        assert_eq!(inode(&scratch.path().join("dst/same")), inode(&scratch.path().join("dst/prev/same")));
    }
}

#[test]
fn no_symbolic_link_in_a_basis_directory_is_followed() {
    for option in ["--link-dest=prev", "--copy-dest=prev", "--compare-dest=prev"] {
        let scratch = tempfile::tempdir().unwrap();
        let at = scratch.path();
        older_copy(at);
        fs::rename(at.join("dst/prev/d"), at.join("outside")).unwrap();
        symlink("../../outside", at.join("dst/prev/d")).unwrap();
        fs::rename(at.join("dst/prev/same"), at.join("outside/file")).unwrap();
        symlink("../../outside/file", at.join("dst/prev/same")).unwrap();
        let run = under_test::run(at, ["-ai", option, "src/", "dst/"]);
        assert!(run.expect(0).text().contains(">f+++++++++ d/same\n"), "{option}: {}", run.text());
        assert!(run.text().contains(">f+++++++++ same\n"), "{option}: {}", run.text());
        for name in ["same", "d/same"] {
            assert_eq!(fs::metadata(at.join("dst").join(name)).unwrap().nlink(), 1, "{option}: {name}");
        }
        // The directory itself, too, where it is typed as a name below the destination.
        fs::rename(at.join("dst/prev"), at.join("moved")).unwrap();
        symlink("../moved", at.join("dst/prev")).unwrap();
        let run = under_test::run(at, ["-ai", option, "src/", "dst/"]);
        assert!(run.expect(0).errors().contains("is not a dir"), "{option}: {}", run.errors());
    }
}

#[test]
fn to_a_daemon_a_basis_directory_is_one_of_the_module() {
    const CONF: &str = "use chroot = no\n[m]\npath = @/m\nread only = no\nexclude = /hid secret\n\
                        [no]\npath = @/m\nread only = no\nrefuse options = link-dest\n";
    let own = if requirement::is_root() { "uid = root\ngid = root\n" } else { "" };
    let served = Served::new(&format!("{own}{CONF}"), |at| {
        for tree in ["src", "m/prev", "m/hid", "out"] {
            file(at, &format!("{tree}/f"), "old");
            file(at, &format!("{tree}/secret"), "old");
            age(&at.join(tree));
        }
        fs::create_dir(at.join("m/new")).unwrap();
        symlink(at.join("out"), at.join("m/leads-out")).unwrap();
    });
    let push = |option: &str| served.run(["-ai", option, "--exclude=secret", "src/", "localhost::m/new/"]);
    for (option, code, text) in [
        ("--link-dest=../hid", 4, "excluded the directory \"../hid\""),
        ("--link-dest=/hid", 4, "excluded the directory \"/hid\""),
    ] {
        let run = push(option);
        assert!(run.expect(code).errors().contains(text), "{option}: {}", run.errors());
    }
    let refused = served.run(["-ai", "--link-dest=/prev", "src/", "localhost::no/new/"]);
    assert!(refused.expect(4).errors().contains("--link-dest"), "{}", refused.errors());
    // Above the module there is nothing, and no link is followed.
    let out = format!("--link-dest={}", served.at("out").display());
    for outside in [&out, "--link-dest=/leads-out", "--link-dest=../leads-out", "--link-dest=../../out"] {
        let run = push(outside);
        assert!(run.expect(0).errors().contains("--link-dest arg "), "{outside}: {}", run.errors());
        assert_eq!(fs::metadata(served.at("m/new/f")).unwrap().nlink(), 1, "{outside}");
        fs::remove_file(served.at("m/new/f")).unwrap();
    }
    for inside in ["--link-dest=/prev", "--link-dest=../prev"] {
        push(inside).expect(0);
        assert_eq!(inode(&served.at("m/new/f")), inode(&served.at("m/prev/f")), "{inside}");
        fs::remove_file(served.at("m/new/f")).unwrap();
    }
    // From a daemon it is the client's, wherever that is.
    served.run(["-a", "--link-dest=../out", "localhost::m/prev/", "got/"]).expect(0);
    assert_eq!(inode(&served.at("got/f")), inode(&served.at("out/f")));
}

#[test]
fn on_another_filesystem_a_copy_is_made() {
    if !requirement::met(&[Need::MountTmpfs]) {
        return;
    }
    let scratch = tempfile::tempdir().unwrap();
    let at = scratch.path();
    older_copy(at);
    fs::create_dir(at.join("mounted")).unwrap();
    requirement::mount_tmpfs(&at.join("mounted"), "1m").unwrap();
    let run = under_test::run(at, ["-ai", "--link-dest=../dst/prev", "src/", "mounted/"]);
    let same = fs::metadata(at.join("mounted/same"));
    nix::mount::umount2(&at.join("mounted"), nix::mount::MntFlags::MNT_DETACH).unwrap();
    assert_eq!(run.expect(0).errors(), "");
    let same = same.unwrap();
    assert_eq!((same.nlink(), same.len(), same.mtime()), (1, 3, 1000));
}

#[test]
fn an_ordinary_user_links_what_is_theirs_and_copies_what_is_not() {
    if !requirement::met(&[Need::OtherUser]) {
        return;
    }
    let scratch = tempfile::tempdir().unwrap();
    let at = scratch.path();
    older_copy(at);
    symlink("text", at.join("src/link")).unwrap();
    for entry in walkdir::WalkDir::new(at) {
        std::os::unix::fs::lchown(entry.unwrap().path(), Some(65534), Some(65534)).unwrap();
    }
    under_test::run_as_nobody(at, ["-a", "src/", "first/"]).expect(0);
    under_test::run_as_nobody(at, ["-a", "--link-dest=../first", "src/", "second/"]).expect(0);
    for name in ["same", "d/same", "link"] {
        let [first, second] = ["first", "second"].map(|tree| inode(&at.join(tree).join(name)));
        assert_eq!(first, second, "{name}");
    }
}

#[test]
fn the_old_file_is_backed_up_where_a_link_replaces_it_or_a_basis_directory_has_it() {
    for option in ["--link-dest=prev", "--compare-dest=prev"] {
        let scratch = tempfile::tempdir().unwrap();
        older_copy(scratch.path());
        file(scratch.path(), "dst/same", "older still");
        under_test::run(scratch.path(), ["-ab", option, "src/", "dst/"]).expect(0);
        assert_eq!(fs::read(scratch.path().join("dst/same~")).unwrap(), b"older still", "{option}");
    }
}

#[test]
fn what_a_basis_directory_has_replaces_a_file_that_has_nothing_to_be_added() {
    for way in ways::ALL {
        for (option, left) in [
            ("--link-dest=prev", Some("old")),
            ("--copy-dest=prev", Some("longer than the source")),
            ("--compare-dest=prev", None),
        ] {
            let prepare = |dir: &Path| {
                older_copy(dir);
                file(dir, "dst/same", "longer than the source");
            };
            ways::run(way, "", &["-a", "--append", option], prepare, |dir, run| {
                run.expect(0);
                let text = fs::read_to_string(dir.join("dst/same")).ok();
                assert_eq!(text.as_deref(), left, "{way:?} {option}");
            });
        }
    }
}

#[test]
fn options_that_cannot_be_combined_are_refused() {
    let scratch = tempfile::tempdir().unwrap();
    let run = |args: &[&str]| under_test::run(scratch.path(), args);
    let conflict = run(&["-a", "--link-dest=a", "--copy-dest=b", "s/", "d/"]);
    let text = "the --copy-dest option conflicts with the --link-dest option";
    assert!(conflict.expect(1).errors().contains(text), "{}", conflict.errors());
    let many = vec!["--link-dest=a"; 21];
    let many = run(&[&["-a"], &many[..], &["s/", "d/"]].concat());
    assert!(many.expect(1).errors().contains("at most 20 --link-dest args"), "{}", many.errors());
}
