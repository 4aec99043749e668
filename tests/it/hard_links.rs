//! Hard links (`-H`), where a group is more than the transfer sees.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use crate::under_test;

/// More directories than events may wait for an earlier one: a run that waited for the group would stop.
#[test]
fn a_hard_link_with_a_name_outside_the_transfer_holds_nothing_up() {
    let dir = tempfile::tempdir().unwrap();
    for i in 0..1500 {
        fs::create_dir_all(dir.path().join(format!("src/d{i:04}"))).unwrap();
        fs::write(dir.path().join(format!("src/d{i:04}/f")), "f").unwrap();
    }
    for i in 0..3 {
        fs::write(dir.path().join(format!("src/d{i:04}/linked")), "l").unwrap();
        fs::hard_link(dir.path().join(format!("src/d{i:04}/linked")), dir.path().join(format!("outside{i}")))
            .unwrap();
    }
    fs::hard_link(dir.path().join("outside0"), dir.path().join("src/d1499/linked")).unwrap();
    let run = under_test::run(dir.path(), ["-aHi", "src/", "dst/"]);
    run.expect(0);
    let inode = |name: &str| fs::metadata(dir.path().join(name)).unwrap().ino();
    assert_eq!(inode("dst/d0000/linked"), inode("dst/d1499/linked"));
    assert_ne!(inode("dst/d0001/linked"), inode("dst/d0002/linked"));
    let again = under_test::run(dir.path(), ["-aHi", "src/", "dst/"]);
    assert_eq!(String::from_utf8_lossy(&again.out), "");
}

/// Names and texts at the destination, names that are one inode then, lines.
type Case = (&'static [(&'static str, &'static str)], &'static [&'static str], &'static [&'static str]);

#[test]
fn what_append_has_nothing_to_add_to_follows_a_leader_all_the_same_and_stays_as_it_is_without_one() {
    let since = |seconds| std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
    // What the destination has of the four names of one file; which of them are one inode then, and the lines.
    let cases: [Case; 3] = [
        (
            &[("a", "12"), ("b", "12345678"), ("c", "54321")],
            &["a", "b", "c", "e"],
            &["f.st...... a", "f.st...... b => a", "f..t...... c => a", "f+++++++++ e => a"],
        ),
        (
            &[("a", "54321"), ("b", "12"), ("c", "54321"), ("e", "1")],
            &["b", "c", "e"],
            &["f.st...... b", "f..t...... c => b", "f.st...... e => b"],
        ),
        (&[("a", "54321"), ("b", "12345678"), ("c", "54321"), ("e", "54321")], &[], &[]),
    ];
    for way in crate::ways::ALL {
        for (there, joined, lines) in cases {
            for dry in [true, false] {
                let prepare = |dir: &Path| {
                    for tree in ["src", "dst"] {
                        fs::create_dir(dir.join(tree)).unwrap();
                    }
                    fs::write(dir.join("src/a"), "12345").unwrap();
                    fs::File::open(dir.join("src/a")).unwrap().set_modified(since(1_000_000_000)).unwrap();
                    for name in ["b", "c", "e"] {
                        fs::hard_link(dir.join("src/a"), dir.join("src").join(name)).unwrap();
                    }
                    for (name, text) in there {
                        fs::write(dir.join("dst").join(name), text).unwrap();
                    }
                };
                let options: &[&str] = if dry { &["-aiHOn", "--append"] } else { &["-aiHO", "--append"] };
                crate::ways::run(way, "", options, prepare, |dir, run| {
                    let at = format!("{way:?} {there:?} {options:?}");
                    assert_eq!((run.code, run.errors().as_str()), (0, ""), "{at}");
                    let out = String::from_utf8_lossy(&run.out).into_owned();
                    let told: Vec<&str> = out.lines().map(|line| &line[1..]).collect();
                    assert_eq!(told, lines, "{at}");
                    if dry {
                        return;
                    }
                    for name in joined {
                        let [one, leader] =
                            [name, &joined[0]].map(|n| fs::metadata(dir.join("dst").join(n)).unwrap().ino());
                        assert_eq!(one, leader, "{at} {name}");
                        assert_eq!(
                            fs::read_to_string(dir.join("dst").join(name)).unwrap(),
                            "12345",
                            "{at} {name}"
                        );
                    }
                    for (name, text) in there.iter().filter(|(name, _)| !joined.contains(name)) {
                        assert_eq!(
                            fs::read_to_string(dir.join("dst").join(name)).unwrap(),
                            *text,
                            "{at} {name}"
                        );
                    }
                });
            }
        }
    }
}

/// What is attached at the destination to the names `a` and `b`, whether these are one inode, the lines.
type Attached<'a> = ([Option<&'a str>; 2], bool, &'a [&'a str]);

/// Makes `src/a` and `src/b`, one file with an attribute and a list, and what the destination has of them.
fn attach_two(dir: &Path, [a, b]: [Option<&str>; 2], joined: bool) {
    let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
    let make = |path: &str, what: &str| {
        let path = dir.join(path);
        fs::write(&path, if what == "other data" { "12345678" } else { "12345" }).unwrap();
        fs::File::open(&path).unwrap().set_modified(time).unwrap();
        if what != "other attribute" {
            crate::attached::set(&path, "user.a", b"1");
        }
        let user = if what == "other list" { 2 } else { 1 };
        let list = crate::attached::acl(0o644, 4, (user, 4), (5, 4));
        crate::attached::set(&path, crate::attached::ACCESS, &list);
    };
    for tree in ["src", "dst"] {
        fs::create_dir(dir.join(tree)).unwrap();
    }
    make("src/a", "");
    fs::hard_link(dir.join("src/a"), dir.join("src/b")).unwrap();
    for (name, what) in [("dst/a", a), ("dst/b", b)] {
        match what {
            Some("a link") => std::os::unix::fs::symlink("x", dir.join(name)).unwrap(),
            Some(what) => make(name, what),
            None if joined => fs::hard_link(dir.join("dst/a"), dir.join(name)).unwrap(),
            None => {}
        }
    }
}

#[test]
fn a_new_link_shows_its_leaders_attributes_as_they_were_and_lists_only_where_there_could_be_none() {
    if !crate::requirement::met(&[crate::requirement::Need::Root]) {
        return;
    }
    let (same, attribute, list, data) =
        (Some("same"), Some("other attribute"), Some("other list"), Some("other data"));
    let cases: [Attached<'_>; 9] = [
        ([same, attribute], false, &["hf          b => a"]),
        ([same, list], false, &["hf          b => a"]),
        ([attribute, same], false, &[".f........x a", "hf........x b => a"]),
        ([list, same], false, &[".f.......a. a", "hf          b => a"]),
        ([attribute, None], false, &[".f........x a", "hf+++++++++ b => a"]),
        ([attribute, None], true, &[".f........x a", "hf........x b"]),
        ([list, None], true, &[".f.......a. a"]),
        ([same, Some("a link")], false, &["hf.stp...a. b => a"]),
        ([data, attribute], false, &[">f.s....... a", "hf          b => a"]),
    ];
    for way in crate::ways::ALL {
        for (there, joined, lines) in cases {
            for options in [&["-aHXAiO"], &["-aHXAiOn"]] {
                let prepare = |dir: &Path| attach_two(dir, there, joined);
                crate::ways::run(way, "", options, prepare, |dir, run| {
                    let at = format!("{way:?} {there:?} {joined} {options:?}");
                    assert_eq!((run.code, run.errors().as_str()), (0, ""), "{at}");
                    let out = String::from_utf8_lossy(&run.out).replace('<', ">");
                    assert_eq!(out.lines().collect::<Vec<_>>(), lines, "{at}");
                    if !options[0].ends_with('n') {
                        let [wanted, one, other] =
                            ["src/a", "dst/a", "dst/b"].map(|path| crate::attached::of(&dir.join(path)));
                        assert_eq!((&one, &other), (&wanted, &wanted), "{at}");
                    }
                });
            }
        }
    }
}

#[test]
fn what_append_has_nothing_to_add_to_shows_what_differs_where_a_basis_directory_has_its_group() {
    for option in ["-aiHO", "-aiHOn"] {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
        for tree in ["src", "bas", "dst"] {
            fs::create_dir(at(tree)).unwrap();
        }
        for name in ["src/a", "bas/a", "bas/b"] {
            fs::write(at(name), "12345").unwrap();
            fs::File::open(at(name)).unwrap().set_modified(time).unwrap();
        }
        fs::hard_link(at("src/a"), at("src/b")).unwrap();
        fs::write(at("dst/b"), "54321").unwrap();
        let run = under_test::run(dir.path(), [option, "--append", "--link-dest=../bas", "src/", "dst/"]);
        run.expect(0);
        assert_eq!(String::from_utf8_lossy(&run.out), "hf..t...... b => a\n", "{option}");
    }
}

/// What of the two names of one file the first and the second basis directory have, each as a file of its own or both
/// joined; the lines.
type Based<'a> = ([&'a [&'a str]; 2], [bool; 2], &'a [&'a str]);

#[test]
fn a_new_link_that_any_basis_directory_has_joined_with_its_leader_is_not_shown() {
    let cases: [Based<'_>; 5] = [
        ([&["b"], &["a", "b"]], [false, true], &[]),
        ([&["a", "b"], &["b"]], [true, false], &[]),
        ([&["a"], &["a", "b"]], [false, true], &["hf+++++++++ b => a"]),
        ([&["a", "b"], &["a", "b"]], [false, true], &["hf+++++++++ b => a"]),
        ([&["b"], &["a", "b"]], [false, false], &["hf+++++++++ b => a"]),
    ];
    let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
    let make = |dir: &Path, names: &[&str], joined: bool| {
        fs::create_dir_all(dir).unwrap();
        for (at, name) in names.iter().enumerate() {
            if joined && at > 0 {
                fs::hard_link(dir.join(names[0]), dir.join(name)).unwrap();
                continue;
            }
            fs::write(dir.join(name), "1").unwrap();
            fs::File::open(dir.join(name)).unwrap().set_modified(time).unwrap();
        }
    };
    for way in crate::ways::ALL {
        for ([one, two], joined, lines) in cases {
            for option in ["-aiHO", "-aiHOn"] {
                let prepare = |dir: &Path| {
                    make(&dir.join("src"), &["a", "b"], true);
                    make(&dir.join("dst/one"), one, joined[0]);
                    make(&dir.join("dst/two"), two, joined[1]);
                };
                let options = [option, "--link-dest=one", "--link-dest=two"];
                crate::ways::run(way, "", &options, prepare, |_, run| {
                    let at = format!("{way:?} {one:?} {two:?} {joined:?} {option}");
                    assert_eq!((run.code, run.errors().as_str()), (0, ""), "{at}");
                    let out = String::from_utf8_lossy(&run.out).into_owned();
                    assert_eq!(out.lines().collect::<Vec<_>>(), lines, "{at}");
                });
            }
        }
    }
}

#[test]
fn what_only_the_destination_has_joined_ends_as_the_last_of_its_names_says() {
    let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
    let make = |path: &Path, mode: u32| {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "1").unwrap();
        fs::File::open(path).unwrap().set_modified(time).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    for way in crate::ways::ALL {
        for options in ["-aiO", "-aiOH", "-aiOc", "-aiOn"] {
            let prepare = |dir: &Path| {
                for (name, mode) in [("a", 0o600), ("b/c", 0o640), ("d/e", 0o644)] {
                    make(&dir.join("src").join(name), mode);
                }
                make(&dir.join("dst/a"), 0o644);
                for name in ["b/c", "d/e"] {
                    let path = dir.join("dst").join(name);
                    fs::create_dir_all(path.parent().unwrap()).unwrap();
                    fs::hard_link(dir.join("dst/a"), path).unwrap();
                }
            };
            crate::ways::run(way, "", &[options], prepare, |dir, run| {
                let at = format!("{way:?} {options}");
                assert_eq!((run.code, run.errors().as_str()), (0, ""), "{at}");
                let lines = [".f...p..... a", ".f...p..... b/c", ".f...p..... d/e"];
                let out = String::from_utf8_lossy(&run.out).into_owned();
                assert_eq!(out.lines().collect::<Vec<_>>(), lines, "{at}");
                // After a dry run it is as before, which is the same.
                for name in ["a", "b/c", "d/e"] {
                    let meta = fs::metadata(dir.join("dst").join(name)).unwrap();
                    assert_eq!((meta.mode() & 0o777, meta.nlink()), (0o644, 3), "{at} {name}");
                }
            });
        }
    }
}

/// More directories than are looked at ahead lie between the two names.
#[test]
fn a_source_that_was_read_under_its_first_name_is_not_shown_as_accessed_under_the_next() {
    let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
    let times = fs::FileTimes::new().set_accessed(time).set_modified(time);
    for way in [crate::ways::Way::Here, crate::ways::Way::ShellPull] {
        let prepare = |dir: &Path| {
            for i in 0..1500 {
                fs::create_dir_all(dir.join(format!("src/d{i:04}"))).unwrap();
            }
            let make = |name: &str, text: &str| {
                fs::create_dir_all(dir.join(name).parent().unwrap()).unwrap();
                fs::write(dir.join(name), text).unwrap();
                fs::File::open(dir.join(name)).unwrap().set_times(times).unwrap();
            };
            make("src/a", "12");
            fs::create_dir(dir.join("src/z")).unwrap();
            fs::hard_link(dir.join("src/a"), dir.join("src/z/a")).unwrap();
            make("dst/a", "1");
            make("dst/z/a", "1");
        };
        crate::ways::run(way, "", &["-aiHUO"], prepare, |_, run| {
            assert_eq!((run.code, run.errors().as_str()), (0, ""), "{way:?}");
            let told = String::from_utf8_lossy(&run.out).into_owned();
            assert!(told.ends_with("\nhf.s....... z/a => a\n"), "{way:?}: {}", &told[told.len() - 60..]);
        });
    }
}

#[test]
fn written_in_place_what_only_the_destination_has_joined_holds_what_its_last_name_says() {
    let since = |seconds| std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
    for way in crate::ways::ALL {
        for (there, option) in [("22", "--inplace"), ("333", "--inplace"), ("22", "--append")] {
            let prepare = |dir: &Path| {
                let make = |name: &str, text: &str, seconds| {
                    let path = dir.join(name);
                    fs::create_dir_all(path.parent().unwrap()).unwrap();
                    fs::write(&path, text).unwrap();
                    fs::File::open(&path).unwrap().set_modified(since(seconds)).unwrap();
                };
                make("src/a/f", &"1".repeat(3_000_000), 1_000_000_001);
                make("src/b/f", "22", 1_000_000_000);
                make("dst/a/f", there, 1_000_000_000);
                fs::create_dir(dir.join("dst/b")).unwrap();
                fs::hard_link(dir.join("dst/a/f"), dir.join("dst/b/f")).unwrap();
            };
            crate::ways::run(way, "", &["-ai", option], prepare, |dir, run| {
                let at = format!("{way:?} {there} {option}");
                assert_eq!((run.code, run.errors().as_str()), (0, ""), "{at}");
                let out = String::from_utf8_lossy(&run.out).replace('<', ">");
                let told: Vec<&str> = out.lines().filter(|line| line.contains('f')).collect();
                let [one, other] = ["dst/a/f", "dst/b/f"].map(|name| fs::read(dir.join(name)).unwrap());
                assert!(one == other, "{at}");
                if option == "--append" {
                    assert_eq!(told, [">f.st...... a/f"], "{at}");
                    assert!(one.starts_with(b"221") && one.len() == 3_000_000, "{at}");
                } else {
                    assert_eq!(told, [">f.st...... a/f", ">f.st...... b/f"], "{at}");
                    assert_eq!(one, b"22", "{at}");
                }
            });
        }
    }
}

#[test]
fn a_link_that_is_made_anew_without_keeping_its_time_is_shown_so_where_unchanged_entries_are() {
    let dir = tempfile::tempdir().unwrap();
    for tree in ["src", "bas"] {
        fs::create_dir(dir.path().join(tree)).unwrap();
        fs::write(dir.path().join(tree).join("a"), "1").unwrap();
        fs::hard_link(dir.path().join(tree).join("a"), dir.path().join(tree).join("b")).unwrap();
    }
    let run = |options: &[&str]| {
        let dst = dir.path().join("dst");
        fs::create_dir(&dst).unwrap();
        let args = [options, &["-rlH", "--size-only", "--link-dest=../bas", "src/", "dst/"]].concat();
        let run = under_test::run(dir.path(), args);
        fs::remove_dir_all(dst).unwrap();
        assert_eq!((run.code, run.errors().as_str()), (0, ""));
        String::from_utf8_lossy(&run.out).into_owned()
    };
    assert_eq!(run(&["-i"]), "");
    assert_eq!(run(&["-ii"]), ".d          ./\nhf          a\nhf..T...... b => a\n");
}
