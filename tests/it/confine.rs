//! Nothing outside the two trees is read or written, whatever another process does to them meanwhile.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};

use crate::oracle::Manifest;
use crate::under_test::{self, command};

/// Runs of the program against one flipping name: enough for hundreds of flips in each.
const RUNS: usize = 25;

/// Exchanges two names for as long as it lives.
struct Flipper<'a> {
    stop: &'a AtomicBool,
}

impl Drop for Flipper<'_> {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// Does `work` while `name` is exchanged with `other` over and over.
pub fn while_flipping(name: &Path, other: &Path, work: impl FnOnce()) {
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                // One of them may be gone for a moment: a link that is being replaced by a directory.
                let _ = renameat2(AT_FDCWD, name, AT_FDCWD, other, RenameFlags::RENAME_EXCHANGE);
                thread::sleep(Duration::from_micros(30));
            }
        });
        let _stops = Flipper { stop: &stop };
        work();
    });
}

/// `src/dir` and `outside` with files of the same names, and an empty `dst`.
fn trees() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for tree in ["src/dir/sub", "dst/dir", "outside/sub"] {
        fs::create_dir_all(dir.path().join(tree)).unwrap();
    }
    for i in 0..60 {
        for name in [format!("f{i}"), format!("sub/g{i}")] {
            fs::write(dir.path().join("src/dir").join(&name), "public").unwrap();
            fs::write(dir.path().join("outside").join(&name), "secret").unwrap();
        }
    }
    dir
}

/// A program that never does anything would do nothing wrong either.
#[track_caller]
fn copies_when_left_alone(dir: &Path) {
    // Directories whose times differ by less than a second are equal without the window.
    under_test::run(dir, ["-a", "--delete", "--modify-window=-1", "src/", "dst/"]).expect(0);
    let [src, dst] = ["src", "dst"].map(|tree| Manifest::exact(&dir.join(tree)));
    assert_eq!(dst.difference(&src), "");
}

fn remove(path: &Path) {
    if path.is_symlink() {
        fs::remove_file(path).unwrap();
    } else if path.exists() {
        fs::remove_dir_all(path).unwrap();
    }
}

fn files_below(root: &Path) -> Vec<PathBuf> {
    let entries = walkdir::WalkDir::new(root).into_iter().map(|e| e.unwrap());
    entries.filter(|e| e.file_type().is_file()).map(walkdir::DirEntry::into_path).collect()
}

#[test]
fn a_destination_directory_that_turns_into_a_link_leads_nowhere() {
    let dir = trees();
    let at = |name: &str| dir.path().join(name);
    // Every second run would like to delete everything below `dir`.
    fs::create_dir_all(at("src2/dir")).unwrap();
    let before = Manifest::exact(&at("outside"));
    for run in 0..RUNS {
        // The program may have made a directory of the link.
        for name in ["dst", "dst-link"] {
            remove(&at(name));
        }
        fs::create_dir_all(at("dst/dir/sub")).unwrap();
        symlink("../outside", at("dst-link")).unwrap();
        while_flipping(&at("dst/dir"), &at("dst-link"), || {
            let source = ["src/", "src2/"][run % 2];
            under_test::run(dir.path(), ["-a", "--delete", "--chmod=u+rwx", source, "dst/"]);
        });
    }
    let after = Manifest::exact(&at("outside"));
    assert_eq!(after.difference(&before), "", "something outside the destination was changed");
    copies_when_left_alone(dir.path());
}

#[test]
fn a_source_directory_or_file_that_turns_into_a_link_is_not_followed() {
    for (name, target) in
        [("src/dir", "../outside"), ("src/dir/sub", "../../outside/sub"), ("src/dir/f1", "../../outside/f1")]
    {
        let dir = trees();
        let at = |name: &str| dir.path().join(name);
        symlink(target, at("src-link")).unwrap();
        while_flipping(&at(name), &at("src-link"), || {
            for _ in 0..RUNS {
                under_test::run(dir.path(), ["-a", "--ignore-times", "src/", "dst/"]);
                for file in files_below(&at("dst")) {
                    assert_ne!(
                        fs::read(&file).unwrap(),
                        b"secret",
                        "{name}: {} came from outside",
                        file.display()
                    );
                }
            }
        });
        copies_when_left_alone(dir.path());
    }
}

#[test]
fn a_destination_directory_replaced_by_a_link_in_the_middle_of_a_file_leads_nowhere() {
    let dir = trees();
    let at = |name: &str| dir.path().join(name);
    fs::create_dir(at("empty")).unwrap();
    fs::write(at("src/dir/e-big"), vec![b'b'; 8 << 20]).unwrap();
    let mut slow = command(&under_test::binary(), dir.path());
    let mut child = slow.args(["-a", "--bwlimit=4000", "src/", "dst/"]).spawn().unwrap();
    thread::sleep(Duration::from_millis(700));
    assert!(child.try_wait().unwrap().is_none(), "the copy was over before the directory could be replaced");
    fs::rename(at("dst/dir"), at("dst-moved")).unwrap();
    symlink("../empty", at("dst/dir")).unwrap();
    child.wait().unwrap();
    assert_eq!(files_below(&at("empty")), Vec::<PathBuf>::new());
    copies_when_left_alone(dir.path());
}
