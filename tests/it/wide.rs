//! Directories of more entries than a sender may be ahead of its receiver.

use std::fs::{self, File};
use std::path::Path;

use crate::ways::{self, Way};

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
