//! Filesystems that are mounted below the destination: `-x` is about "the analogous recursion on the receiving
//! side during deletion" too (rsync(1), `--one-file-system`).

use std::cell::RefCell;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::errno::Errno;

use crate::requirement::{self, Need, mount_tmpfs};
use crate::ways::{self, Way};

/// Long enough for any machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Takes mounts away again, the last one first.
pub struct Mounts(pub Vec<PathBuf>);

impl Drop for Mounts {
    fn drop(&mut self) {
        for at in self.0.iter().rev() {
            // The other side's process may hold it for a moment after this side has ended.
            let began = Instant::now();
            while let Err(e) = nix::mount::umount(at) {
                assert!(e == Errno::EBUSY && began.elapsed() < PATIENCE, "{}: {e}", at.display());
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    }
}

/// Where something is mounted at the destination: the source has a directory there, nothing, nothing above it
/// either, or a file.
const MOUNTS: [&str; 4] = ["both", "surplus", "gone/deep/mount", "file"];

fn prepare(dir: &Path, with_file: bool) -> Mounts {
    let (src, dst) = (dir.join("src"), dir.join("dst"));
    fs::create_dir_all(src.join("both")).unwrap();
    fs::write(src.join("f"), "f").unwrap();
    if with_file {
        fs::write(src.join("file"), "file").unwrap();
    }
    let mut mounts = Mounts(Vec::new());
    for name in MOUNTS {
        let at = dst.join(name);
        fs::create_dir_all(&at).unwrap();
        mount_tmpfs(&at, "1m").unwrap();
        fs::create_dir(at.join("sub")).unwrap();
        fs::write(at.join("precious"), "p").unwrap();
        fs::write(at.join("sub/precious"), "p").unwrap();
        mounts.0.push(at);
    }
    fs::write(dst.join("gone/z"), "z").unwrap();
    mounts
}

#[test]
fn with_one_file_system_nothing_is_deleted_behind_a_mount_point_of_the_destination() {
    if !requirement::met(&[Need::Root, Need::MountTmpfs]) {
        return;
    }
    let options: [&[&str]; 9] = [
        &["-ax", "--delete"],
        &["-axx", "--delete"],
        &["-ax", "--delete-before"],
        &["-ax", "--delete-delay"],
        &["-ax", "--delete-after"],
        &["-ax", "--delete-excluded", "--exclude=precious"],
        &["-ax", "--delete", "--force"],
        &["-ax", "--delete", "-b", "--backup-dir=bak"],
        &["-ax", "--delete", "--delete-limit=9", "-vv"],
    ];
    for way in ways::ALL {
        for options in options {
            for with_file in [false, true] {
                let mounts = RefCell::new(None);
                let prepare = |dir: &Path| *mounts.borrow_mut() = Some(prepare(dir, with_file));
                ways::run(way, "", options, prepare, |dir, run| {
                    // Gone before the directory is.
                    let _mounts = mounts.take();
                    let what = format!("{way:?} {options:?} {}", run.errors());
                    for name in MOUNTS {
                        for precious in ["precious", "sub/precious"] {
                            assert!(dir.join("dst").join(name).join(precious).exists(), "{name}: {what}");
                        }
                    }
                    assert!(!dir.join("dst/gone/z").exists() && dir.join("dst/f").exists(), "{what}");
                    assert_eq!(run.code, if with_file { 23 } else { 0 }, "{what}");
                    // A module's `max verbosity` is 1.
                    if options.contains(&"-vv") && !matches!(way, Way::DaemonPush | Way::DaemonPull) {
                        let note = "cannot delete mount point: surplus\n";
                        assert!(run.text().contains(note), "{what} {}", run.text());
                    }
                });
            }
        }
    }
}

#[test]
fn without_it_what_is_mounted_is_emptied_like_any_directory() {
    if !requirement::met(&[Need::Root, Need::MountTmpfs]) {
        return;
    }
    let mounts = RefCell::new(None);
    let prepare = |dir: &Path| *mounts.borrow_mut() = Some(prepare(dir, false));
    ways::run(Way::Here, "", &["-a", "--delete"], prepare, |dir, run| {
        let _mounts = mounts.take();
        run.expect(23);
        assert!(run.errors().contains("Device or resource busy"), "{}", run.errors());
        for name in MOUNTS {
            assert!(!dir.join("dst").join(name).join("precious").exists(), "{name}");
        }
    });
}
