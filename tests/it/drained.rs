//! `--remove-source-files`: a source that stays is one of the run's problems, in every way to run.

use std::cell::RefCell;
use std::fs;
use std::path::Path;

use nix::mount::{MsFlags, mount};

use crate::mounted_below::Mounts;
use crate::requirement::{self, Need};
use crate::under_test;
use crate::{scratch_fs, ways};

#[test]
fn a_source_that_cannot_be_removed_is_an_error_however_late_it_is_told() {
    if !requirement::met(&[Need::Root, Need::MountTmpfs]) {
        return;
    }
    for way in ways::ALL {
        // The other side may be done before it hears of it, or not.
        for _ in 0..8 {
            let mounts = RefCell::new(None);
            let prepare = |dir: &Path| {
                for tree in ["src", "dst"] {
                    fs::create_dir(dir.join(tree)).unwrap();
                }
                // On what is a mount point itself, no name can be removed.
                let stuck = dir.join("src/stuck");
                fs::write(&stuck, "s").unwrap();
                fs::write(dir.join("src/free"), "f").unwrap();
                mount(Some(&stuck), &stuck, None::<&str>, MsFlags::MS_BIND, None::<&str>).unwrap();
                *mounts.borrow_mut() = Some(Mounts(vec![stuck]));
            };
            ways::run(way, "read only = no\n", &["-a", "--remove-source-files"], prepare, |dir, run| {
                let _mounts = mounts.take();
                assert!(run.errors().contains("Device or resource busy"), "{way:?}: {}", run.errors());
                assert_eq!(run.code, 23, "{way:?}: {}", run.errors());
                for (at, there) in
                    [("src/stuck", true), ("src/free", false), ("dst/stuck", true), ("dst/free", true)]
                {
                    assert_eq!(dir.join(at).exists(), there, "{way:?}: {at}");
                }
            });
        }
    }
}

/// What follows its leader late, when copying that has changed the access time of both, is another name all the same.
#[test]
fn a_hard_link_whose_leader_has_been_appended_to_and_removed_goes_too() {
    let dir = scratch_fs::in_memory();
    let at = |name: &str| dir.path().join(name);
    for tree in ["src/e", "dst/e"] {
        fs::create_dir_all(at(tree)).unwrap();
    }
    // More directories than are listed ahead.
    for number in 0..4000 {
        fs::create_dir(at(&format!("src/d{number}"))).unwrap();
        fs::write(at(&format!("src/d{number}/f")), "").unwrap();
    }
    for (tree, text) in [("src", "longer"), ("dst", "")] {
        fs::write(at(tree).join("a"), text).unwrap();
        fs::hard_link(at(tree).join("a"), at(tree).join("e/b")).unwrap();
        let long_ago = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1000);
        let file = fs::File::options().write(true).open(at(tree).join("a")).unwrap();
        file.set_times(fs::FileTimes::new().set_accessed(long_ago).set_modified(long_ago)).unwrap();
    }
    under_test::run(dir.path(), ["-aH", "--append", "--remove-source-files", "src/", "dst/"]).expect(0);
    assert!(!at("src/a").exists() && !at("src/e/b").exists());
    assert_eq!(fs::read(at("dst/e/b")).unwrap(), b"longer");
}
