//! Users and groups of this machine, by number and by name.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use nix::unistd::{Gid, Group, Uid, User};

/// The number of the user called `name`; `None` if there is none, or the system cannot say.
#[must_use]
pub fn user(name: &[u8]) -> Option<u32> {
    let name = OsStr::from_bytes(name).to_str()?;
    User::from_name(name).ok()?.map(|user| user.uid.as_raw())
}

/// The number of the group called `name`; as [`user`].
#[must_use]
pub fn group(name: &[u8]) -> Option<u32> {
    let name = OsStr::from_bytes(name).to_str()?;
    Group::from_name(name).ok()?.map(|group| group.gid.as_raw())
}

/// What the user `uid` is called; `None` if there is none, or the system cannot say.
#[must_use]
pub fn user_name(uid: u32) -> Option<Vec<u8>> {
    Some(User::from_uid(Uid::from_raw(uid)).ok()??.name.into_bytes())
}

/// What the group `gid` is called; as [`user_name`].
#[must_use]
pub fn group_name(gid: u32) -> Option<Vec<u8>> {
    Some(Group::from_gid(Gid::from_raw(gid)).ok()??.name.into_bytes())
}

/// The home of the user called `name`, or of whoever runs this process; `None` if the system knows none.
#[must_use]
pub fn home(name: Option<&[u8]>) -> Option<Vec<u8>> {
    let user = match name {
        Some(name) => User::from_name(OsStr::from_bytes(name).to_str()?),
        None => User::from_uid(Uid::effective()),
    };
    let home = user.ok()??.dir.into_os_string().into_encoded_bytes();
    (!home.is_empty()).then_some(home)
}
