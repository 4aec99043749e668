//! A file that goes to another machine is frozen first where its filesystem shares extents (`--freeze`).

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::remote_shell;
use crate::scratch_fs::Mount;
use crate::under_test::{self, Run, command, finish, is_sluice};

const SIZE: usize = 24 << 20;

/// `from` to `to`, one of them behind a shell.
fn sync(at: &Path, options: &[&str], from: &str, to: &str) -> Run {
    let far = |operand: &str| match operand.strip_prefix("far:") {
        Some(name) => format!("far:{}/{name}", at.display()),
        None => operand.to_owned(),
    };
    let mut command = command(&under_test::binary(), at);
    command.args(remote_shell::to_itself(at)).arg("-a").args(options).args([far(from), far(to)]);
    finish(command)
}

fn frozen(run: &Run) -> bool {
    run.text().contains("Data by reflink: 25,165,824 bytes")
}

#[test]
fn a_large_file_is_frozen_where_extents_can_be_shared_unless_never_is_said() {
    for kind in ["xfs", "btrfs"] {
        let Some(mount) = Mount::new(kind, 600 << 20) else { return };
        if !is_sluice() {
            return;
        }
        let at = mount.path();
        fs::create_dir(at.join("src")).unwrap();
        fs::write(at.join("src/large"), vec![7; SIZE]).unwrap();
        fs::write(at.join("src/small"), vec![7; 100_000]).unwrap();
        for (from, to) in [("src/", "far:pushed/"), ("far:src/", "pulled/")] {
            let run = sync(at, &["--stats"], from, to);
            run.expect(0);
            assert!(frozen(&run), "{kind}, {from}: {}", run.text());
            let run = sync(at, &["--stats", "--freeze=never", "-I"], from, to);
            run.expect(0);
            assert!(!run.text().contains("Data by reflink"), "{kind}, {from}: {}", run.text());
        }
        assert!(fs::read(at.join("pushed/large")).unwrap() == vec![7; SIZE]);
        let left = fs::read_dir(at.join("src")).unwrap().count();
        assert_eq!(left, 2, "an image has no name");
    }
}

#[test]
fn a_source_directory_that_cannot_be_written_to_is_sent_all_the_same() {
    let Some(mount) = Mount::new("xfs", 600 << 20) else { return };
    if !is_sluice() {
        return;
    }
    let at = mount.path();
    fs::create_dir(at.join("src")).unwrap();
    fs::write(at.join("src/large"), vec![7; SIZE]).unwrap();
    let scratch = tempfile::tempdir().unwrap();
    let mount = std::process::Command::new("mount").args(["-o", "remount,ro"]).arg(at).status().unwrap();
    assert!(mount.success());
    let run = sync(scratch.path(), &["--stats"], &format!("{}/src/", at.display()), "far:dst/");
    run.expect(0);
    assert!(!run.text().contains("Data by reflink"), "{}", run.text());
    assert!(fs::read(scratch.path().join("dst/large")).unwrap() == vec![7; SIZE]);
}

#[test]
fn what_arrives_of_a_frozen_file_is_one_of_its_states_though_it_is_rewritten_in_place() {
    let Some(mount) = Mount::new("xfs", 600 << 20) else { return };
    if !is_sluice() {
        return;
    }
    let at = mount.path();
    fs::create_dir(at.join("src")).unwrap();
    let path = at.join("src/large");
    fs::write(&path, vec![0; SIZE]).unwrap();
    let writer: File = OpenOptions::new().write(true).open(&path).unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        // One write replaces all: the kernel holds the file's lock meanwhile, and a clone waits for it.
        scope.spawn(|| {
            for state in (1..=u8::MAX).cycle() {
                if done.load(Ordering::Relaxed) {
                    return;
                }
                assert_eq!(writer.write_at(&vec![state; SIZE], 0).unwrap(), SIZE);
            }
        });
        let _stop = Stop(&done);
        for round in 0..5 {
            let run = sync(at, &["--stats", "-I"], "src/", "far:dst/");
            run.expect(0);
            assert!(frozen(&run), "round {round}: {}", run.text());
            let arrived = fs::read(at.join("dst/large")).unwrap();
            assert!(arrived.iter().all(|byte| *byte == arrived[0]), "round {round}: two states in one file");
        }
    });
}

/// Ends the writer, however the test ends.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
