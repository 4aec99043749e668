//! `--remove-source-files`: a source that stays is one of the run's problems, in every way to run.

use std::cell::RefCell;
use std::fs;
use std::path::Path;

use nix::mount::{MsFlags, mount};

use crate::mounted_below::Mounts;
use crate::requirement::{self, Need};
use crate::ways;

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
