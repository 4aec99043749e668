//! A second run has nothing to do and prints nothing with `-i`, whatever the trees and the options.

use std::ffi::{OsStr, OsString};
use std::os::unix::fs::MetadataExt;

use nix::fcntl::AT_FDCWD;
use nix::sys::stat::{UtimensatFlags, utimensat};
use nix::sys::time::TimeSpec;

use crate::built_tree;
use crate::random_cases;
use crate::random_tree::{Rng, Shape, Tree};
use crate::requirement;
use crate::scratch_fs::Mount;
use crate::under_test;

/// Options that each leave a second run nothing to do.
const SWITCHES: &[(usize, &str)] = &[
    (30, "-H"),
    (20, "-c"),
    (20, "-u"),
    (20, "-S"),
    (15, "-O"),
    (15, "-J"),
    (15, "-m"),
    (15, "-k"),
    (15, "--safe-links"),
    (15, "--existing"),
    (15, "--force"),
    (30, "--delete"),
    (10, "--delete-after"),
    (15, "--max-size=4096"),
    (15, "--chmod=F640,D750"),
    (15, "--exclude=*.o"),
    (15, "--inplace"),
    (15, "--backup-dir=../bak"),
    (20, "--numeric-ids"),
    (40, "-X"),
    (40, "-A"),
    (10, "--modify-window=-1"),
];

#[test]
fn a_second_run_says_nothing() {
    for seed in random_cases::seeds(60) {
        let rng = &mut Rng::new(seed);
        let mut options = vec!["-i", rng.pick(&["-a", "-a", "-rlt", "-rltp", "-r --size-only"])];
        options = options.iter().flat_map(|o| o.split(' ')).collect();
        options
            .extend(SWITCHES.iter().filter(|(percent, _)| rng.chance(*percent)).map(|(_, option)| *option));
        let shape = Shape {
            depth: 3,
            width: 8,
            long_names: true,
            hard_links: options.contains(&"-H"),
            follow: options.contains(&"-k"),
            dangling: true,
            root: requirement::is_root(),
            attached: true,
        };
        let source = Tree::random(rng, &shape);
        let dir = tempfile::tempdir().unwrap();
        built_tree::build_outside(dir.path());
        source.build(&dir.path().join("src"));
        source.mutated(rng, &shape).build(&dir.path().join("dst"));
        let args: Vec<OsString> = options.iter().chain(&["src/", "dst/"]).map(OsString::from).collect();
        let first = under_test::run(dir.path(), &args);
        assert!([0, 23].contains(&first.code), "seed {seed} {options:?}: {}", first.errors());
        let second = under_test::run(dir.path(), &args);
        // What is never copied is told every time; it is no item.
        let said: Vec<_> = second.text().lines().map(String::from).collect();
        let items: Vec<_> =
            said.iter().filter(|l| !l.starts_with("skipping ") && !l.starts_with("cannot delete ")).collect();
        assert!(
            items.is_empty(),
            "seed {seed} {options:?}: the second run says\n{items:#?}\nfirst:\n{}",
            first.text()
        );
        assert!([0, first.code].contains(&second.code), "seed {seed} {options:?}: {}", second.errors());
    }
}

#[test]
fn a_second_run_says_nothing_where_the_filesystem_cannot_store_the_times() {
    let is_sluice = under_test::is_sluice();
    for (kind, options) in [("ext4", ["-I", "128"]), ("xfs", ["-m", "bigtime=0"])] {
        let Some(mount) = Mount::made_with(kind, &options, 320 << 20) else { return };
        let dir = tempfile::tempdir().unwrap();
        let source = dir.path().join("s");
        std::fs::create_dir_all(source.join("d")).unwrap();
        std::fs::write(source.join("f"), "content").unwrap();
        std::os::unix::fs::symlink("f", source.join("l")).unwrap();
        for name in ["f", "l", "d"] {
            let far = TimeSpec::new(4_102_444_800, 500_000_000); // in 2100
            utimensat(AT_FDCWD, &source.join(name), &far, &far, UtimensatFlags::NoFollowSymlink).unwrap();
        }
        let run = || under_test::run(dir.path(), [OsStr::new("-ai"), "s/".as_ref(), mount.path().as_ref()]);
        run().expect(0);
        let stored = mount.path().join("f").metadata().unwrap().mtime();
        assert_eq!(stored, i64::from(i32::MAX), "{kind} stored the time");
        assert!(run().expect(0).text().is_empty() || !is_sluice, "{kind}: {}", run().text());
    }
}
