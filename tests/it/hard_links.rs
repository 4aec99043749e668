//! Hard links (`-H`), where a group is more than the transfer sees.

use std::fs;
use std::os::unix::fs::MetadataExt;

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
