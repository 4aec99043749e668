//! Who acts as root: what is kept without its rights, with `--super` and with `--no-super`.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};

use nix::sys::stat::{Mode, SFlag, makedev, mknod};

use crate::requirement::{self, Need};
use crate::under_test::{run, run_as_nobody};

#[test]
fn others_pass_devices_over_and_keep_no_owners_unless_super_says_so() {
    if !requirement::met(&[Need::OtherUser]) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    fs::create_dir(at("src")).unwrap();
    fs::write(at("src/f"), "f").unwrap();
    chown(at("src/f"), Some(33), Some(33)).unwrap();
    mknod(&at("src/null"), SFlag::S_IFCHR, Mode::from_bits_truncate(0o644), makedev(1, 3)).unwrap();
    for name in ["one", "two"] {
        fs::create_dir(at(name)).unwrap();
        fs::set_permissions(at(name), fs::Permissions::from_mode(0o777)).unwrap();
    }
    let owner = |name: &str| fs::symlink_metadata(at(name)).map(|meta| meta.uid()).ok();
    let passed_over = run_as_nobody(dir.path(), ["-rtlpogD", "-O", "--no-p", "src/f", "src/null", "one/"]);
    let told = passed_over.expect(0).text();
    assert!(told.contains("skipping non-regular file \"null\""), "{told}");
    assert_eq!((owner("one/f"), owner("one/null")), (Some(65534), None));
    let tried = run_as_nobody(dir.path(), ["-rtlogD", "-O", "--super", "src/f", "src/null", "two/"]);
    let told = tried.expect(23).errors();
    assert!(told.contains("two/f") && told.contains("two/null"), "{told}");
    assert_eq!((owner("two/f"), owner("two/null")), (Some(65534), None));
    run(dir.path(), ["-a", "--no-super", "src/", "three"]).expect(0);
    assert_eq!((owner("three/f"), owner("three/null")), (Some(0), None));
    run(dir.path(), ["-a", "--no-super", "--super", "src/", "four"]).expect(0);
    assert_eq!((owner("four/f"), owner("four/null")), (Some(33), Some(0)));
}
