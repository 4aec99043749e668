//! Users and groups: names to numbers, and becoming somebody else.

use std::ffi::CString;

use nix::unistd::{self, Gid, Group, Uid, User};

use crate::path::escape;
use crate::sys::credentials;

/// Somebody to become.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Identity {
    /// The user.
    pub uid: u32,
    /// The group that new files get.
    pub gid: u32,
    /// All groups.
    pub groups: Vec<u32>,
}

/// Whom this process works as now.
#[must_use]
pub fn own_uid() -> u32 {
    credentials::effective_uid()
}

/// A user of this system, by name or by number. A number needs no entry in the list of users.
///
/// # Errors
///
/// No such user. Never another one instead.
pub fn user(text: &[u8]) -> Result<u32, String> {
    let unknown = || format!("no user \"{}\" on this system", escape(text));
    match number(text) {
        Some(uid) => Ok(uid),
        None => named(text).ok().flatten().map(|user| user.uid.as_raw()).ok_or_else(unknown),
    }
}

/// A group of this system, by name or by number.
///
/// # Errors
///
/// No such group.
pub fn group(text: &[u8]) -> Result<u32, String> {
    let unknown = || format!("no group \"{}\" on this system", escape(text));
    if let Some(gid) = number(text) {
        return Ok(gid);
    }
    let name = std::str::from_utf8(text).map_err(|_| unknown())?;
    Group::from_name(name).ok().flatten().map(|group| group.gid.as_raw()).ok_or_else(unknown)
}

/// All groups of the user with that number, their own first.
///
/// # Errors
///
/// The system does not know the user, or cannot say.
pub fn groups_of(uid: u32) -> Result<Vec<u32>, String> {
    let user = User::from_uid(Uid::from_raw(uid)).ok().flatten();
    let user = user.ok_or_else(|| format!("no user with the number {uid} on this system"))?;
    Ok(all_groups(&user)?.into_iter().map(Gid::as_raw).collect())
}

/// The names of all groups of a user; none for somebody whom the system does not know.
#[must_use]
pub fn group_names_of(name: &[u8]) -> Vec<Vec<u8>> {
    let groups = named(name).ok().flatten().and_then(|user| all_groups(&user).ok()).unwrap_or_default();
    let names = groups.into_iter().filter_map(|gid| Group::from_gid(gid).ok().flatten());
    names.map(|group| group.name.into_bytes()).collect()
}

fn number(text: &[u8]) -> Option<u32> {
    let digits = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    // The largest means "leave it alone" to the kernel.
    std::str::from_utf8(text).ok()?.parse().ok().filter(|n| digits && *n != u32::MAX)
}

fn named(name: &[u8]) -> nix::Result<Option<User>> {
    std::str::from_utf8(name).map_or(Ok(None), User::from_name)
}

fn all_groups(user: &User) -> Result<Vec<Gid>, String> {
    let name = CString::new(user.name.as_bytes()).map_err(|e| e.to_string())?;
    unistd::getgrouplist(&name, user.gid).map_err(|e| format!("groups of \"{}\": {e}", user.name))
}

/// Whom `USER` or `USER:GROUP` names (`--copy-as`): without a group, the user with all their groups.
///
/// # Errors
///
/// There is no such user or group.
pub fn copy_as(text: &[u8]) -> Result<Identity, String> {
    let colon = text.iter().position(|&b| b == b':').unwrap_or(text.len());
    let uid = user(&text[..colon])?;
    let groups = match text.get(colon + 1..) {
        None | Some([]) => groups_of(uid)?,
        Some(name) => vec![group(name)?],
    };
    let gid = groups.first().copied().ok_or("a user without any group")?;
    Ok(Identity { uid, gid, groups })
}

impl Identity {
    /// Becomes this user, for good: real, effective and saved, user and groups. Then tries to become root
    /// again, and takes it as a failure if that works.
    ///
    /// # Errors
    ///
    /// Something was refused, or is not as it should be: the process must not go on.
    pub fn assume(&self) -> Result<(), String> {
        let failed = |what: &'static str| move |e| format!("{what}: {}", std::io::Error::from(e));
        credentials::set_groups(&self.groups).map_err(failed("setgroups"))?;
        credentials::set_gid(self.gid).map_err(failed("setresgid"))?;
        credentials::set_uid(self.uid).map_err(failed("setresuid"))?;
        let uids = credentials::uids().map_err(failed("getresuid"))?;
        let gids = credentials::gids().map_err(failed("getresgid"))?;
        if uids != [self.uid; 3] || gids != [self.gid; 3] {
            return Err("the user or group is another than was asked for".into());
        }
        if self.uid != 0
            && (credentials::set_uid(0).is_ok() || credentials::set_gid(0).is_ok() && self.gid != 0)
        {
            return Err("the rights of root can be had again".into());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_nobody_has_is_an_error_and_never_root() {
        assert_eq!(user(b"root"), Ok(0));
        assert_eq!(user(b"65534"), Ok(65534));
        for name in ["", "no-such-user-as-this", "-1", "4294967295", "+0", "0x0", " 0", "root\0"] {
            assert!(user(name.as_bytes()).is_err() && group(name.as_bytes()).is_err(), "{name:?}");
        }
        assert!(user(b"\xff").is_err());
    }

    #[test]
    fn if_the_group_is_not_specified_the_users_default_groups_are_used() {
        assert_eq!(copy_as(b"root").unwrap().groups, groups_of(0).unwrap());
        assert_eq!(copy_as(b"65534:1").unwrap(), Identity { uid: 65534, gid: 1, groups: vec![1] });
        for text in ["", ":0", "no-such-user-as-this", "0:no-such-group-as-this", "4294967295:0"] {
            assert!(copy_as(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn groups_have_names_and_strangers_have_none() {
        assert_eq!(groups_of(0).unwrap().first(), Some(&0));
        assert!(group_names_of(b"root").contains(&b"root".to_vec()));
        assert!(group_names_of(b"no-such-user-as-this").is_empty());
    }
}
