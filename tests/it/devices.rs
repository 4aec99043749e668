//! `--copy-devices`, `--write-devices`, `--preallocate`, and hard links of what is no file: sentences of rsync(1), in
//! every way to run.

use std::fs;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sys::stat::{Mode, SFlag, mknod};

use crate::requirement::{Need, has, met, skip};
use crate::served::file;
use crate::under_test::{command, finish, run};
use crate::ways::{self, Way};

/// A loop device over a file of so many bytes; it goes with the test.
struct Loop {
    device: PathBuf,
    image: tempfile::NamedTempFile,
}

impl Loop {
    fn new(contents: &[u8]) -> Option<Loop> {
        if !met(&[Need::Root, Need::Program("losetup")]) {
            return None;
        }
        let image = tempfile::NamedTempFile::new().unwrap();
        fs::write(image.path(), contents).unwrap();
        let made = Command::new("losetup").args(["-f", "--show"]).arg(image.path()).output().unwrap();
        if !made.status.success() {
            skip("no loop device");
            return None;
        }
        let device = PathBuf::from(String::from_utf8(made.stdout).unwrap().trim());
        Some(Loop { device, image })
    }

    /// Another node of the device.
    fn node(&self, at: &Path) {
        let number = fs::metadata(&self.device).unwrap().rdev();
        mknod(at, SFlag::S_IFBLK, Mode::from_bits_truncate(0o600), number).unwrap();
    }

    fn contents(&self) -> Vec<u8> {
        let _flushed = Command::new("blockdev").arg("--flushbufs").arg(&self.device).status();
        fs::read(self.image.path()).unwrap()
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        let _gone = Command::new("losetup").arg("-d").arg(&self.device).status();
    }
}

fn noise(len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    blake3::Hasher::new().finalize_xof().fill(&mut bytes);
    bytes
}

#[test]
fn copy_devices_treats_a_device_on_the_sending_side_as_a_regular_file() {
    let contents = noise(1 << 20);
    let Some(device) = Loop::new(&contents) else { return };
    let prepare = |dir: &Path| {
        fs::create_dir(dir.join("src")).unwrap();
        fs::create_dir(dir.join("dst")).unwrap();
        device.node(&dir.join("src/disk"));
        mknod(
            &dir.join("src/null"),
            SFlag::S_IFCHR,
            Mode::from_bits_truncate(0o600),
            nix::sys::stat::makedev(1, 3),
        )
        .unwrap();
    };
    for way in ways::ALL {
        ways::run(
            way,
            "refuse options = !copy-devices\n",
            &["-rtc", "--copy-devices"],
            prepare,
            |dir, run| {
                run.expect(0);
                assert!(fs::read(dir.join("dst/disk")).unwrap() == contents, "{way:?}");
                assert_eq!(fs::metadata(dir.join("dst/null")).unwrap().len(), 0, "{way:?}");
                assert!(fs::metadata(dir.join("dst/null")).unwrap().is_file(), "{way:?}");
            },
        );
    }
    // As an operand.
    let dir = tempfile::tempdir().unwrap();
    run(dir.path(), ["--copy-devices".as_ref(), device.device.as_os_str(), "copy".as_ref()]).expect(0);
    assert!(fs::read(dir.path().join("copy")).unwrap() == contents);
}

#[test]
fn a_device_is_copied_again_for_the_time_of_its_node_says_nothing_of_its_data() {
    let Some(device) = Loop::new(&noise(1 << 20)) else { return };
    for way in ways::ALL {
        let prepare = |dir: &Path| {
            fs::create_dir(dir.join("src")).unwrap();
            device.node(&dir.join("src/disk"));
            file(dir, "dst/disk", "");
            fs::write(dir.join("dst/disk"), vec![0; 1 << 20]).unwrap();
            let both = ["src/disk", "dst/disk"].map(|name| dir.join(name));
            assert!(Command::new("touch").args(["-d", "2001-01-01"]).args(both).status().unwrap().success());
        };
        let module = "refuse options = !copy-devices\n";
        ways::run(way, module, &["-rti", "--copy-devices"], prepare, |_, run| {
            assert!(run.expect(0).text().contains("f..t...... disk\n"), "{way:?}: {}", run.text());
        });
    }
}

#[test]
fn write_devices_treats_a_device_on_the_receiving_side_as_a_regular_file() {
    let Some(device) = Loop::new(&noise(1 << 20)) else { return };
    let mut wanted = noise(300_000);
    wanted.extend(vec![0; 100_000]);
    wanted.extend(noise(50_000));
    for way in ways::ALL {
        fs::write(&device.device, vec![7; 1 << 20]).unwrap();
        let prepare = |dir: &Path| {
            for side in ["src", "dst"] {
                fs::create_dir(dir.join(side)).unwrap();
            }
            // With a hole: what the device had there has to go.
            let file = fs::File::create(dir.join("src/disk")).unwrap();
            std::os::unix::fs::FileExt::write_all_at(&file, &wanted[..300_000], 0).unwrap();
            std::os::unix::fs::FileExt::write_all_at(&file, &wanted[400_000..], 400_000).unwrap();
            device.node(&dir.join("dst/disk"));
        };
        let module = "refuse options = !write-devices\n";
        ways::run(way, module, &["-rt", "--write-devices"], prepare, |dir, run| {
            run.expect(0);
            assert!(
                fs::symlink_metadata(dir.join("dst/disk")).unwrap().file_type().is_block_device(),
                "{way:?}"
            );
            let now = device.contents();
            assert!(now[..wanted.len()] == wanted, "{way:?}");
            assert!(now[wanted.len()..].iter().all(|b| *b == 7), "{way:?}: more than the file was written");
        });
    }
}

#[test]
fn without_write_devices_a_file_takes_the_place_of_a_device() {
    let Some(device) = Loop::new(&[7; 4096]) else { return };
    let dir = tempfile::tempdir().unwrap();
    for side in ["src", "dst"] {
        fs::create_dir(dir.path().join(side)).unwrap();
    }
    fs::write(dir.path().join("src/disk"), "text").unwrap();
    device.node(&dir.path().join("dst/disk"));
    run(dir.path(), ["-r", "--inplace", "src/", "dst/"]).expect(0);
    assert_eq!(fs::read_to_string(dir.path().join("dst/disk")).unwrap(), "text");
    assert!(device.contents().iter().all(|b| *b == 7));
}

#[test]
fn these_options_are_refused_by_default_by_a_daemon() {
    let prepare = |dir: &Path| {
        for side in ["src", "dst"] {
            fs::create_dir(dir.join(side)).unwrap();
        }
    };
    for (way, option) in [(Way::DaemonPull, "--copy-devices"), (Way::DaemonPush, "--write-devices")] {
        ways::run(way, "", &["-r", option], prepare, |_, run| {
            assert!(run.expect(4).errors().contains(option), "{}", run.errors());
        });
    }
}

/// A file with a hole of a mebibyte in it.
fn holey(dir: &Path) {
    for side in ["src", "dst"] {
        fs::create_dir(dir.join(side)).unwrap();
    }
    let file = fs::File::create(dir.join("src/f")).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, &noise(70_000), 1 << 20).unwrap();
    fs::write(dir.join("src/zeros"), vec![0; 1 << 20]).unwrap();
}

#[test]
fn preallocate_allocates_each_destination_file_to_its_eventual_size() {
    for way in ways::ALL {
        for sparse in [false, true] {
            let options: &[&str] =
                if sparse { &["-rtS", "--preallocate"] } else { &["-rt", "--preallocate"] };
            ways::run(way, "", options, holey, |dir, run| {
                run.expect(0);
                for name in ["f", "zeros"] {
                    let (from, to) = (dir.join("src").join(name), dir.join("dst").join(name));
                    assert!(fs::read(&from).unwrap() == fs::read(&to).unwrap(), "{way:?} {options:?} {name}");
                    let meta = fs::metadata(&to).unwrap();
                    let full = meta.blocks() * 512 >= meta.len();
                    assert_eq!(full, !sparse, "{way:?} {options:?} {name}: {} blocks", meta.blocks());
                }
            });
        }
    }
}

#[test]
fn a_file_that_was_allocated_ahead_is_flushed_before_it_gets_its_time() {
    if !has("strace") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    holey(dir.path());
    let mut traced = command("strace".as_ref(), dir.path());
    traced.args(["-f", "-o", "trace", "-e", "trace=fallocate,fsync,utimensat,linkat,rename,renameat"]);
    traced.arg(crate::under_test::binary()).args(["-rt", "--jobs=1", "--preallocate", "src/f", "dst/"]);
    let done = finish(traced);
    if done.code != 0 && done.errors().contains("ptrace") {
        return skip("strace cannot trace here");
    }
    done.expect(0);
    let trace = fs::read_to_string(dir.path().join("trace")).unwrap();
    let place = |call: &str| trace.find(call).unwrap_or_else(|| panic!("no {call} in {trace}"));
    assert!(place("fallocate(") < place("fsync("), "{trace}");
    assert!(place("fsync(") < place("utimensat("), "{trace}");
}

#[test]
fn what_shares_extents_cannot_be_allocated_ahead() {
    let dir = tempfile::tempdir().unwrap();
    holey(dir.path());
    run(dir.path(), ["-r", "--preallocate", "--reflink=always", "src/", "dst/"]).expect(1);
}

#[test]
fn hard_links_of_links_and_specials_are_linked_together_at_the_destination() {
    let prepare = |dir: &Path| {
        for name in ["src/d", "dst"] {
            fs::create_dir_all(dir.join(name)).unwrap();
        }
        symlink("nowhere", dir.join("src/l")).unwrap();
        nix::unistd::mkfifo(&dir.join("src/p"), Mode::from_bits_truncate(0o600)).unwrap();
        fs::write(dir.join("src/f"), "file").unwrap();
        for name in ["l", "p", "f"] {
            fs::hard_link(dir.join("src").join(name), dir.join("src/d").join(name)).unwrap();
        }
    };
    for way in ways::ALL {
        ways::run(way, "", &["-aH"], prepare, |dir, run| {
            run.expect(0);
            for name in ["l", "p", "f"] {
                let inode = |at: &str| dir.join(at).join(name).symlink_metadata().unwrap().ino();
                assert_eq!(inode("dst"), inode("dst/d"), "{way:?} {name}");
            }
        });
    }
}

#[test]
fn a_device_that_replaces_one_of_the_other_type_is_shown_as_changed_not_as_new() {
    if !met(&[Need::Root]) {
        return;
    }
    let prepare = |dir: &Path| {
        for (tree, kind, minor) in [("src", SFlag::S_IFCHR, 3), ("dst", SFlag::S_IFBLK, 5)] {
            fs::create_dir(dir.join(tree)).unwrap();
            let number = nix::sys::stat::makedev(1, minor);
            mknod(&dir.join(tree).join("x"), kind, Mode::from_bits_truncate(0o600), number).unwrap();
        }
    };
    for way in ways::ALL {
        ways::run(way, "", &["-rDi"], prepare, |dir, run| {
            assert!(run.expect(0).text().contains("cDc.T...... x\n"), "{way:?}: {}", run.text());
            let made = fs::symlink_metadata(dir.join("dst/x")).unwrap();
            assert!(made.file_type().is_char_device(), "{way:?}");
            assert_eq!(made.rdev(), nix::sys::stat::makedev(1, 3), "{way:?}");
        });
    }
}

#[test]
fn a_copied_device_leaves_its_set_id_and_sticky_bits_behind() {
    if !met(&[Need::Root]) {
        return;
    }
    let prepare = |dir: &Path| {
        fs::create_dir(dir.join("src")).unwrap();
        let number = nix::sys::stat::makedev(1, 3);
        mknod(&dir.join("src/x"), SFlag::S_IFCHR, Mode::from_bits_truncate(0o600), number).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o7751);
        fs::set_permissions(dir.join("src/x"), mode).unwrap();
    };
    for way in [Way::Here, Way::ShellPush, Way::ShellPull] {
        ways::run(way, "", &["-a", "--copy-devices"], prepare, |dir, run| {
            run.expect(0);
            assert_eq!(fs::metadata(dir.join("dst/x")).unwrap().mode() & 0o7777, 0o751, "{way:?}");
        });
    }
}
