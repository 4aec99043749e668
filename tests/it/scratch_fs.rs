//! Filesystems made for one test: loop-mounted XFS, btrfs and ext4, and small tmpfs.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::requirement::skip;

/// A directory in memory where there is one, for what is about the number of entries and not about a disk.
pub fn in_memory() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

/// A mounted filesystem of its own, unmounted and gone when dropped.
pub struct Mount {
    root: PathBuf,
    _dir: tempfile::TempDir,
}

impl Mount {
    /// Makes and mounts a filesystem of `kind` (`xfs`, `btrfs`, `ext4`, `tmpfs`) with `size` bytes.
    ///
    /// `None`, after telling why, where this machine or user cannot.
    pub fn new(kind: &str, size: u64) -> Option<Mount> {
        Mount::made_with(kind, &[], size)
    }

    /// The same, with further options for its `mkfs`.
    pub fn made_with(kind: &str, options: &[&str], size: u64) -> Option<Mount> {
        if !nix::unistd::geteuid().is_root() {
            skip(&format!("mounting {kind} needs root"));
            return None;
        }
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("mnt");
        std::fs::create_dir(&root).unwrap();
        let made = if kind == "tmpfs" {
            run(Command::new("mount").args(["-t", "tmpfs", "-o", &format!("size={size}"), "none"]).arg(&root))
        } else {
            let image = dir.path().join("image");
            std::fs::File::create(&image).unwrap().set_len(size).unwrap();
            let quiet = if kind == "xfs" || kind == "btrfs" { "-f" } else { "-F" };
            run(Command::new(format!("mkfs.{kind}")).args(["-q", quiet]).args(options).arg(&image)).and_then(
                |()| run(Command::new("mount").args(["-o", "loop", "-t", kind]).arg(&image).arg(&root)),
            )
        };
        match made {
            Ok(()) => Some(Mount { root, _dir: dir }),
            Err(why) => {
                skip(&format!("no {kind} here: {why}"));
                None
            }
        }
    }

    /// Its root directory, empty at first (but for `lost+found` on ext4).
    pub fn path(&self) -> &Path {
        &self.root
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        if let Err(why) = run(Command::new("umount").arg(&self.root)) {
            eprintln!("{} stays mounted: {why}", self.root.display());
        }
    }
}

fn run(command: &mut Command) -> Result<(), String> {
    let out = command.output().map_err(|e| format!("{:?}: {e}", command.get_program()))?;
    if out.status.success() {
        return Ok(());
    }
    Err(format!("{:?}: {}", command.get_program(), String::from_utf8_lossy(&out.stderr).trim()))
}

#[test]
fn a_mount_holds_files_and_is_gone_afterwards() {
    let Some(mount) = Mount::new("tmpfs", 1 << 20) else { return };
    let file = mount.path().join("file");
    std::fs::write(&file, b"x").unwrap();
    assert_eq!(std::fs::read(&file).unwrap(), b"x");
    drop(mount);
    assert!(!file.exists());
}
