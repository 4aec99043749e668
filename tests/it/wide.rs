//! Directories of more entries than a sender may be ahead of its receiver.

use std::ffi::OsString;
use std::fs::{self, File, Permissions};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::Path;

use crate::requirement::{self, Need};
use crate::ways::{self, Way};
use crate::{remote_shell, under_test};

/// More than the window, in any case with what was listed before them.
const MANY: usize = 16_400;

fn trees(dir: &Path) {
    for made in ["dst/b", "src/a/few", "src/b/many", "src/c"] {
        fs::create_dir_all(dir.join(made)).unwrap();
    }
    for n in 0..MANY {
        File::create(dir.join(format!("src/b/many/{n}"))).unwrap();
    }
    File::create(dir.join("src/c/last")).unwrap();
}

#[test]
fn a_directory_of_more_than_the_window_is_listed_whatever_was_listed_before_it() {
    for way in [Way::ShellPull, Way::DaemonPush] {
        // Nobody waits for data, so it is the listings alone that could wait for each other.
        ways::run(way, "", &["-rin"], trees, |_, run| {
            let listed = run.expect(0).text().lines().filter(|line| line.contains("many/")).count();
            assert_eq!(listed, MANY + 1, "{way:?}");
        });
    }
}

#[test]
fn a_directory_that_cannot_be_looked_at_at_the_destination_does_not_keep_the_next_from_coming() {
    if !requirement::met(&[Need::OtherUser]) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    trees(dir);
    fs::create_dir_all(dir.join("dst/b/many")).unwrap();
    for own in ["dst", "dst/b", "dst/b/many"] {
        chown(dir.join(own), Some(65_534), Some(65_534)).unwrap();
    }
    fs::set_permissions(dir.join("dst/b"), Permissions::from_mode(0o600)).unwrap();
    let far = under_test::copy_into(dir).replacen('.', &dir.display().to_string(), 1);
    let mut args: Vec<OsString> = vec!["-rin".into(), "far:src/".into(), "dst/".into()];
    args.extend(remote_shell::options(dir, far.as_ref()));
    let run = under_test::run_as_nobody(dir, args);
    assert!(run.expect(23).text().contains("c/last"), "{}", run.text());
}
