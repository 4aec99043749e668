//! A destination on a filesystem of libfuse 2, which drops what sets one time of a file and not the other.

use std::fs;
use std::process::Command;

use crate::mounted_below::Mounts;
use crate::requirement::{self, Need};
use crate::under_test::run;

#[test]
fn times_are_kept_on_a_filesystem_that_takes_both_or_none() {
    if !requirement::met(&[Need::Root, Need::Program("bindfs"), Need::Program("fusermount")]) {
        return;
    }
    for options in ["-ai", "-aib --backup-dir=../bak", "-aiU --open-noatime", "-ai --inplace"] {
        let options: Vec<_> = options.split(' ').collect();
        let dir = tempfile::tempdir().unwrap();
        let [src, back, dst] = ["src", "back", "dst"].map(|name| dir.path().join(name));
        fs::create_dir_all(src.join("sub")).unwrap();
        fs::create_dir(&back).unwrap();
        fs::create_dir(&dst).unwrap();
        std::os::unix::fs::symlink("nowhere", src.join("link")).unwrap();
        for name in ["new", "written-over", "touched", "sub/f"] {
            fs::write(src.join(name), name).unwrap();
        }
        // The same data with another time, and another file of that name.
        fs::write(back.join("touched"), "touched").unwrap();
        fs::write(back.join("written-over"), "an older file").unwrap();
        for name in ["new", "written-over", "touched", "link", "sub/f", "sub", ""] {
            assert!(
                Command::new("touch")
                    .args(["-hd", "2020-01-02 03:04:05"])
                    .arg(src.join(name))
                    .status()
                    .unwrap()
                    .success()
            );
        }
        assert!(Command::new("bindfs").args([&back, &dst]).status().unwrap().success());
        let _mounted = Mounts(vec![dst.clone()]);
        let line = |more: &[&'static str]| [&options[..], more, &["src/", "dst/"]].concat();
        run(dir.path(), line(&["--size-only"])).expect(0);
        for name in ["new", "written-over", "touched", "link", "sub/f", "sub", ""] {
            let times =
                [&src, &dst].map(|tree| fs::symlink_metadata(tree.join(name)).unwrap().modified().unwrap());
            assert_eq!(times[0], times[1], "{options:?}: {name:?}");
        }
        let again = run(dir.path(), line(&[]));
        assert_eq!(again.expect(0).text(), "", "{options:?}");
    }
}
