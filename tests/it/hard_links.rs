//! Hard links (`-H`), where a group is more than the transfer sees.

use std::fs;
use std::os::unix::fs::MetadataExt;
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
