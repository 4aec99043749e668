//! `--chown`, `--usermap`, `--groupmap`, `--numeric-ids`: sentences of rsync(1), held against rsync itself and in
//! every way to run.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::path::Path;

use crate::requirement::{Need, met};
use crate::under_test::{self, command, finish, run};
use crate::ways;

/// Files of root, of a user with a name, of another one, and of one without a name.
const OWNERS: [(&str, u32, u32); 4] =
    [("a", 1, 2), ("b", 0, 0), ("c", 33, 33), ("n", 3_333_333_333, 2_222_222_222)];

fn prepare(dir: &Path) {
    for name in ["src/d", "dst"] {
        fs::create_dir_all(dir.join(name)).unwrap();
    }
    for (name, uid, gid) in OWNERS {
        fs::write(dir.join("src").join(name), name).unwrap();
        std::os::unix::fs::symlink("x", dir.join("src/d").join(name)).unwrap();
        chown(dir.join("src").join(name), Some(uid), Some(gid)).unwrap();
        std::os::unix::fs::lchown(dir.join("src/d").join(name), Some(uid), Some(gid)).unwrap();
    }
    chown(dir.join("src/d"), Some(1), Some(33)).unwrap();
    chown(dir.join("src"), Some(33), Some(1)).unwrap();
}

/// Owner and group of everything in `dir`.
fn owners(dir: &Path) -> Vec<(String, u32, u32)> {
    let each = |entry: walkdir::DirEntry| {
        let meta = entry.path().symlink_metadata().unwrap();
        (entry.path().strip_prefix(dir).unwrap().display().to_string(), meta.uid(), meta.gid())
    };
    walkdir::WalkDir::new(dir).sort_by_file_name().into_iter().map(|entry| each(entry.unwrap())).collect()
}

/// Runs rsync with `options` too, and compares in each way to run.
#[track_caller]
fn as_rsync_does(options: &[&str]) {
    let scratch = tempfile::tempdir().unwrap();
    prepare(scratch.path());
    let mut theirs = command("rsync".as_ref(), scratch.path());
    theirs.args(options).args(["src/", "dst/"]);
    let theirs = finish(theirs);
    let wanted = owners(&scratch.path().join("dst"));
    for way in ways::ALL {
        ways::run(way, "", options, prepare, |dir, ours| {
            assert_eq!(ours.code, theirs.code, "{way:?} {options:?}: {}", ours.errors());
            assert_eq!(owners(&dir.join("dst")), wanted, "{way:?} {options:?}");
            if theirs.code == 0 {
                let said = ours.errors() + &ours.text();
                for line in theirs.errors().lines() {
                    assert!(said.contains(line), "{way:?} {options:?}: {line:?} is not in {said:?}");
                }
            }
        });
    }
}

#[test]
fn any_matching_from_value_from_the_sender_is_replaced_with_a_to_value_from_the_receiver() {
    if !met(&[Need::Root, Need::Program("rsync")]) {
        return;
    }
    as_rsync_does(&["-a", "--usermap=daemon:www-data,*:7", "--groupmap=0-2:9,w*:8"]);
    as_rsync_does(&["-r", "--usermap=33:daemon"]);
    as_rsync_does(&["-rlt", "--groupmap=[v-x]*:2,?in:3"]);
}

#[test]
fn any_ids_that_do_not_have_a_name_on_the_sending_side_are_treated_as_having_an_empty_name() {
    if !met(&[Need::Root, Need::Program("rsync")]) {
        return;
    }
    as_rsync_does(&["-a", "--usermap=:nobody", "--groupmap=*:nogroup"]);
}

#[test]
fn when_numeric_ids_is_used_all_the_ids_are_treated_as_having_an_empty_name() {
    if !met(&[Need::Root, Need::Program("rsync")]) {
        return;
    }
    as_rsync_does(&["-a", "--numeric-ids", "--usermap=daemon:5,root:6,33:7", "--groupmap=:8"]);
    as_rsync_does(&["-a", "--numeric-ids", "--usermap=*:5"]);
}

#[test]
fn the_names_of_user_and_group_0_are_those_in_effect_on_the_receiving_side() {
    if !met(&[Need::Root, Need::Program("rsync")]) {
        return;
    }
    as_rsync_does(&["-a", "--usermap=root:5", "--groupmap=r*:6"]);
    as_rsync_does(&["-a", "--usermap=0:5", "--groupmap=0:6"]);
}

#[test]
fn chown_is_exactly_the_same_as_both_maps_and_the_implied_owner_and_group() {
    if !met(&[Need::Root, Need::Program("rsync")]) {
        return;
    }
    as_rsync_does(&["-r", "--chown=daemon:www-data"]);
    as_rsync_does(&["-a", "--chown=:5"]);
    as_rsync_does(&["-a", "--chown=5:6", "--no-g"]);
}

#[test]
fn a_name_that_the_receiver_does_not_know_is_told_and_makes_nobody_root() {
    if !met(&[Need::Root, Need::Program("rsync")]) {
        return;
    }
    as_rsync_does(&["-a", "--chown=no-such-user:no-such-group"]);
    as_rsync_does(&["-a", "--usermap=1:no-such-user,33:5"]);
}

#[test]
fn contradictions_and_malformed_lists_end_as_with_rsync_before_anything_is_done() {
    if !met(&[Need::Root, Need::Program("rsync")]) {
        return;
    }
    for options in [
        &["--chown=1:2", "--usermap=*:3"][..],
        &["--groupmap=*:3", "--chown=:2"],
        &["--usermap=*:1", "--usermap=*:2"],
        &["--chown=1", "--chown=2"],
        &["--usermap=a"],
        &["--usermap=*:"],
        &["--groupmap=1a:5"],
        &["--chown=1,2"],
    ] {
        let dir = tempfile::tempdir().unwrap();
        prepare(dir.path());
        let mut theirs = command("rsync".as_ref(), dir.path());
        theirs.args(options).args(["-a", "src/", "dst/"]);
        assert_eq!(finish(theirs).code, 1, "{options:?}");
        run(dir.path(), options.iter().chain(&["-a", "src/", "new/"])).expect(1);
        assert!(!dir.path().join("new").exists(), "{options:?}");
    }
}

#[test]
fn the_number_that_means_leave_it_alone_owns_nothing() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("src")).unwrap();
    for option in ["--chown=4294967295", "--chown=:4294967295", "--usermap=*:4294967295"] {
        let refused = run(dir.path(), ["-a", option, "src/", "dst/"]);
        assert!(refused.expect(1).errors().contains("cannot own anything"), "{}", refused.errors());
    }
    assert!(!dir.path().join("dst").exists());
}

#[test]
fn who_is_not_root_maps_no_users_and_what_groups_are_theirs() {
    if !met(&[Need::OtherUser]) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("src")).unwrap();
    fs::write(dir.path().join("src/f"), "").unwrap();
    fs::create_dir(dir.path().join("dst")).unwrap();
    chown(dir.path().join("dst"), Some(65534), Some(65534)).unwrap();
    let options = ["-a", "--chown=1:65534", "src/", "dst/"];
    under_test::run_as_nobody(dir.path(), options).expect(0);
    let meta = fs::metadata(dir.path().join("dst/f")).unwrap();
    assert_eq!((meta.uid(), meta.gid()), (65534, 65534));
}
