//! `--copy-as`: sentences of rsync(1).

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::Path;

use crate::requirement::{Need, met};
use crate::under_test::{run, run_as_nobody};
use crate::ways::{self, Way};

/// What everybody can read, what only root can, and a destination of 65534's.
fn prepare(dir: &Path) {
    fs::set_permissions(dir, Permissions::from_mode(0o755)).unwrap();
    for side in ["src", "dst"] {
        fs::create_dir(dir.join(side)).unwrap();
    }
    fs::write(dir.join("src/open"), "open").unwrap();
    fs::write(dir.join("src/secret"), "secret").unwrap();
    fs::set_permissions(dir.join("src/secret"), Permissions::from_mode(0o600)).unwrap();
    chown(dir.join("dst"), Some(65534), Some(65534)).unwrap();
}

fn owner(path: &Path) -> (u32, u32) {
    let meta = fs::metadata(path).unwrap();
    (meta.uid(), meta.gid())
}

#[test]
fn a_local_transfer_affects_both_sides() {
    if !met(&[Need::Root]) {
        return;
    }
    for (who, group) in [("65534:1", 1), ("65534:65534", 65534)] {
        let option = format!("--copy-as={who}");
        ways::run(Way::Here, "", &["-rt", &option], prepare, |dir, run| {
            assert!(run.expect(23).errors().contains("Permission denied"), "{}", run.errors());
            assert_eq!(owner(&dir.join("dst/open")), (65534, group));
            assert!(!dir.join("dst/secret").exists());
        });
    }
}

#[test]
fn the_option_only_affects_one_side_of_the_transfer_unless_the_transfer_is_local() {
    if !met(&[Need::Root]) {
        return;
    }
    let option = "--copy-as=65534:1";
    for (way, options) in [
        (Way::ShellPull, ["-rt", option]),
        (Way::ShellPush, ["-rt", "-M--copy-as=65534:1"]),
        (Way::DaemonPull, ["-rt", option]),
    ] {
        ways::run(way, "", &options, prepare, |dir, run| {
            run.expect(0);
            assert_eq!(owner(&dir.join("dst/open")), (65534, 1), "{way:?}");
            assert_eq!(fs::read_to_string(dir.join("dst/secret")).unwrap(), "secret", "{way:?}");
        });
    }
    for way in [Way::ShellPush, Way::DaemonPush] {
        ways::run(way, "", &["-rt", option], prepare, |dir, run| {
            run.expect(23);
            assert_eq!(owner(&dir.join("dst/open")), (0, 0), "{way:?}");
            assert!(!dir.join("dst/secret").exists(), "{way:?}");
        });
    }
}

#[test]
fn what_the_options_name_is_read_with_the_rights_of_root() {
    if !met(&[Need::Root]) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    prepare(dir.path());
    fs::write(dir.path().join("rules"), "- secret\n").unwrap();
    fs::set_permissions(dir.path().join("rules"), Permissions::from_mode(0o600)).unwrap();
    let log = run(
        dir.path(),
        ["-rt", "--copy-as=65534:1", "--exclude-from=rules", "--log-file=log", "src/", "dst/"],
    );
    log.expect(0);
    assert_eq!(owner(&dir.path().join("log")), (0, 0));
}

#[test]
fn this_only_works_if_the_user_that_is_running_it_has_the_ability_to_change_users() {
    if !met(&[Need::OtherUser]) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    prepare(dir.path());
    let refused = run_as_nobody(dir.path(), ["-r", "--copy-as=1:1", "src/", "dst/"]);
    assert!(refused.expect(1).errors().contains("--copy-as: "), "{}", refused.errors());
    assert!(!dir.path().join("dst/open").exists());
}

#[test]
fn somebody_who_does_not_exist_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("src")).unwrap();
    for who in ["", ":daemon", "no-such-user", "root:no-such-group"] {
        let refused = run(dir.path(), ["-r", &format!("--copy-as={who}"), "src/", "dst/"]);
        assert!(refused.expect(1).errors().contains("--copy-as: no "), "{}", refused.errors());
    }
    assert!(!dir.path().join("dst").exists());
}

#[test]
fn a_daemon_becomes_nobody_else() {
    if !met(&[Need::Root]) {
        return;
    }
    ways::run(Way::DaemonPush, "", &["-r", "-M--copy-as=1:1"], prepare, |dir, run| {
        run.expect(4);
        assert!(!dir.join("dst/open").exists());
    });
}
