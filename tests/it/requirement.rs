//! What a test needs from its machine. A test whose need is not met says `SKIP: why` and passes,
//! unless `SLUICE_TEST_REQUIRE=all` makes every skip a failure.

use std::env;
use std::path::Path;

/// A need of a test.
#[derive(Clone, Copy, Debug)]
pub enum Need<'a> {
    /// A program somewhere in `PATH`.
    Program(&'a str),
    /// Effective user id 0.
    Root,
    /// Another user's rights can be taken by `setpriv` (so: root, and the program).
    OtherUser,
    /// A tmpfs of a chosen size can be mounted.
    MountTmpfs,
}

/// Whether all `needs` are met. If not, says so, or panics where skipping is forbidden.
#[must_use]
pub fn met(needs: &[Need<'_>]) -> bool {
    for need in needs {
        if let Err(why) = check(*need) {
            skip(&why);
            return false;
        }
    }
    true
}

/// Whether the program `name` is there; otherwise as [`met`].
#[must_use]
pub fn has(name: &str) -> bool {
    met(&[Need::Program(name)])
}

/// Tells that the calling test could not run because of `why`.
pub fn skip(why: &str) {
    assert!(!skips_are_failures(), "SKIP is forbidden by SLUICE_TEST_REQUIRE=all: {why}");
    // Not through the macro: the test runner would keep it to itself when the test passes.
    let _shown = std::io::Write::write_all(&mut std::io::stderr(), format!("SKIP: {why}\n").as_bytes());
}

fn skips_are_failures() -> bool {
    env::var_os("SLUICE_TEST_REQUIRE").is_some_and(|v| v == "all")
}

fn check(need: Need<'_>) -> Result<(), String> {
    match need {
        Need::Program(name) if in_path(name) => Ok(()),
        Need::Program(name) => Err(format!("{name} is not installed")),
        Need::Root if is_root() => Ok(()),
        Need::Root => Err("needs root".into()),
        Need::OtherUser => check(Need::Root).and_then(|()| check(Need::Program("setpriv"))),
        Need::MountTmpfs => check(Need::Root).and_then(|()| can_mount()),
    }
}

fn in_path(name: &str) -> bool {
    env::var_os("PATH").is_some_and(|path| env::split_paths(&path).any(|dir| dir.join(name).is_file()))
}

/// Whether the tests run as root.
#[must_use]
pub fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

fn can_mount() -> Result<(), String> {
    let at = tempfile::tempdir().map_err(|e| e.to_string())?;
    mount_tmpfs(at.path(), "64k").map_err(|e| format!("cannot mount a tmpfs: {e}"))?;
    nix::mount::umount(at.path()).map_err(|e| e.to_string())
}

/// Mounts a tmpfs of `size` (as `mount -o size=` takes it).
pub fn mount_tmpfs(at: &Path, size: &str) -> nix::Result<()> {
    let options = format!("size={size},mode=755");
    nix::mount::mount(Some("tmpfs"), at, Some("tmpfs"), nix::mount::MsFlags::empty(), Some(options.as_str()))
}

#[test]
fn a_program_that_is_not_installed_is_an_unmet_need() {
    assert!(check(Need::Program("sh")).is_ok());
    assert!(check(Need::Program("no-such-program-as-this")).is_err());
}
