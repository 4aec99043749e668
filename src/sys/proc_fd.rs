//! `/proc/self/fd`, held: calls that only take a path reach an open file through it, even in a new root.

use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::sync::OnceLock;

use nix::fcntl::OFlag;

use super::{Errno, open};

/// The descriptors of this process, by their numbers. Opened when it is first needed, or wanted.
///
/// # Errors
///
/// `ENOENT`: no `/proc` here, and none when it was first asked for.
pub fn dir() -> Result<BorrowedFd<'static>, Errno> {
    static DIR: OnceLock<Result<OwnedFd, Errno>> = OnceLock::new();
    let opened = || open::open_ambient(c"/proc/self/fd", OFlag::O_PATH | OFlag::O_DIRECTORY);
    DIR.get_or_init(opened).as_ref().map(|fd| fd.as_fd()).map_err(|e| *e)
}
