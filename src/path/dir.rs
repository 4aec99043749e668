//! `Dir`: one open directory, and everything that can be done with a name in it.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::fcntl::OFlag;
use nix::sys::stat::Mode;

use super::name::Name;
use crate::sys::{self, Errno};

/// An open directory. Its children are reached by single [`Name`]s and never through a symbolic link.
#[derive(Debug)]
pub struct Dir {
    fd: OwnedFd,
}
