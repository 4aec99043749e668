//! `setgroups(2)`, `setresgid(2)`, `setresuid(2)`, `chroot(2)`: who this process is, and where its `/` is.

use std::os::fd::BorrowedFd;

use nix::unistd::{self, Gid, Uid};

use super::{Errno, retry};

/// The effective user of this process.
#[must_use]
pub fn effective_uid() -> u32 {
    unistd::geteuid().as_raw()
}

/// The effective group of this process.
#[must_use]
pub fn effective_gid() -> u32 {
    unistd::getegid().as_raw()
}

/// Replaces the supplementary groups (`setgroups(2)`).
///
/// # Errors
///
/// `EPERM`: not privileged. Fatal to whoever gives rights up.
pub fn set_groups(groups: &[u32]) -> Result<(), Errno> {
    let groups: Vec<Gid> = groups.iter().map(|gid| Gid::from_raw(*gid)).collect();
    unistd::setgroups(&groups)
}

/// Sets the real, the effective and the saved group (`setresgid(2)`).
///
/// # Errors
///
/// `EPERM`: not privileged.
pub fn set_gid(gid: u32) -> Result<(), Errno> {
    let gid = Gid::from_raw(gid);
    unistd::setresgid(gid, gid, gid)
}

/// Sets the real, the effective and the saved user (`setresuid(2)`), in every thread. Away from root it
/// also takes all capabilities.
///
/// # Errors
///
/// `EPERM`: not privileged. `EAGAIN`: that user may have no further process.
pub fn set_uid(uid: u32) -> Result<(), Errno> {
    let uid = Uid::from_raw(uid);
    unistd::setresuid(uid, uid, uid)
}

/// Real, effective and saved user.
///
/// # Errors
///
/// None on Linux.
pub fn uids() -> Result<[u32; 3], Errno> {
    let ids = unistd::getresuid()?;
    Ok([ids.real.as_raw(), ids.effective.as_raw(), ids.saved.as_raw()])
}

/// Real, effective and saved group.
///
/// # Errors
///
/// None on Linux.
pub fn gids() -> Result<[u32; 3], Errno> {
    let ids = unistd::getresgid()?;
    Ok([ids.real.as_raw(), ids.effective.as_raw(), ids.saved.as_raw()])
}

/// Makes the directory the root of this process's file system, and its working directory
/// (`fchdir(2)`, `chroot(2)`).
///
/// # Errors
///
/// `EPERM`: not privileged. `EACCES`: the directory may not be entered.
pub fn change_root(dir: BorrowedFd<'_>) -> Result<(), Errno> {
    retry(|| unistd::fchdir(dir))?;
    retry(|| unistd::chroot(c"."))
}
