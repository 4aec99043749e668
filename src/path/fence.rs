//! The kernel's own fence around held directories: Landlock, and a new `/`.
//!
//! Everything else in this room keeps to what it holds because it is written so. This makes it true for the
//! whole process, whatever runs in it: after [`Fence::close`] no path that leads outside can be opened, made,
//! renamed, linked or removed. Not covered by Landlock are calls that change attributes by name (chmod, chown,
//! utimensat, setxattr); nothing here makes one with a path, and in a new `/` there is nothing outside.

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, PathBeneath, Ruleset, RulesetAttr as _,
    RulesetCreatedAttr as _, RulesetStatus, Scope,
};
use nix::fcntl::OFlag;

use super::Dir;
use crate::sys::{Errno, credentials, open, proc_fd};

/// The newest Landlock whose rights are named here; an older kernel applies what it knows of them.
const NEWEST: ABI = ABI::V6;

/// What the process may reach from now on.
#[derive(Debug)]
pub struct Fence<'a> {
    /// The only tree.
    pub root: &'a Dir,
    /// Whether it may be written to.
    pub write: bool,
    /// Whether devices may be made in it.
    pub devices: bool,
    /// Whether the system's lists of users and groups may be read.
    pub names: bool,
}

impl Fence<'_> {
    /// Puts the fence up around this thread and all that it will start, for good. Call it while there is
    /// only one thread. The result says, for the log, what the kernel enforces.
    ///
    /// # Errors
    ///
    /// The kernel has no Landlock, or has it switched off: the process must not go on.
    pub fn close(&self) -> Result<&'static str, String> {
        let status = self.restrict().map_err(|e| format!("Landlock: {e}"))?;
        match status {
            RulesetStatus::FullyEnforced => Ok("Landlock, all rights"),
            RulesetStatus::PartiallyEnforced => Ok("Landlock, the rights that this kernel knows"),
            RulesetStatus::NotEnforced => {
                Err("Landlock: this kernel does not have it, or has it switched off \
                 (it needs Linux 5.13, and `landlock` in /sys/kernel/security/lsm)"
                    .into())
            }
        }
    }

    fn restrict(&self) -> Result<RulesetStatus, Box<dyn std::error::Error>> {
        let mut rules = Ruleset::default()
            .handle_access(AccessFs::from_all(NEWEST))?
            .handle_access(AccessNet::from_all(NEWEST))?
            .scope(Scope::from_all(NEWEST))?
            .create()?
            .add_rule(PathBeneath::new(self.root.fd(), self.rights()))?;
        if self.names {
            for file in [c"/etc/passwd", c"/etc/group", c"/etc/nsswitch.conf"] {
                match open::open_ambient(file, OFlag::O_PATH) {
                    Ok(fd) => rules = rules.add_rule(PathBeneath::new(fd, AccessFs::ReadFile))?,
                    // Nothing to read, then.
                    Err(Errno::ENOENT | Errno::ENOTDIR) => {}
                    Err(e) => return Err(e.into()),
                }
            }
        }
        Ok(rules.restrict_self()?.ruleset)
    }

    /// Never to run a program, never a device's controls.
    fn rights(&self) -> BitFlags<AccessFs> {
        let mut rights = AccessFs::ReadFile | AccessFs::ReadDir;
        if self.write {
            rights |= AccessFs::WriteFile
                | AccessFs::Truncate
                | AccessFs::RemoveFile
                | AccessFs::RemoveDir
                | AccessFs::MakeReg
                | AccessFs::MakeDir
                | AccessFs::MakeSym
                | AccessFs::MakeFifo
                | AccessFs::MakeSock
                | AccessFs::Refer;
        }
        if self.write && self.devices {
            rights |= AccessFs::MakeChar | AccessFs::MakeBlock;
        }
        rights
    }
}

/// Makes `dir` the `/` of this process. Directories that are held stay held.
///
/// # Errors
///
/// `EPERM`: not privileged.
pub fn enter(dir: &Dir) -> Result<(), Errno> {
    // What older kernels need it for must not end with the old root: giving an unnamed file its name.
    let _absent_then = proc_fd::dir();
    credentials::change_root(dir.fd())
}
