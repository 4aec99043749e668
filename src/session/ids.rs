//! Owners and groups by name: what the sending side tells of them. [`crate::plan::owners`] is the other half.

use std::collections::HashSet;

use serde_bytes::ByteBuf;

use crate::path::{Attrs, ids};
use crate::plan::Options;
use crate::plan::attached::Attached;
use crate::plan::owners::Owners;
use crate::wire::WireError;
use crate::wire::to_receiver::{ID_NAME_MAX, Ids};

/// Users and groups that a peer may name, each. A guess: far above what a tree has, and 2 MB here.
const NAMED_MAX: usize = 1 << 17;

/// Has the receiving side know the names of a message.
///
/// # Errors
///
/// There is no end of them.
pub(super) fn teach(told: &Ids, owners: &Owners) -> Result<(), WireError> {
    owners.learn(pairs(&told.users), pairs(&told.groups));
    if owners.known() > NAMED_MAX {
        let cause = format!("more than {NAMED_MAX} users or groups");
        return Err(WireError::NotAllowed { message: "Ids", field: "number".into(), cause });
    }
    Ok(())
}

fn pairs(list: &[(u32, ByteBuf)]) -> impl Iterator<Item = (u32, &[u8])> {
    list.iter().map(|(number, name)| (*number, &name[..]))
}

/// The sending side: which names have been told.
#[derive(Debug, Default)]
pub(super) struct IdNames {
    users: HashSet<u32>,
    groups: HashSet<u32>,
}

impl IdNames {
    /// The names that must be told before an entry with `attrs`, and lists in `attached`, added to `told`.
    pub(super) fn note(
        &mut self,
        options: &Options,
        attrs: &Attrs,
        attached: Option<&Attached>,
        told: &mut Ids,
    ) {
        if options.numeric_ids {
            return;
        }
        if options.owner {
            self.user(attrs.uid, told);
        }
        if options.group {
            self.group(attrs.gid, told);
        }
        let Some(acls) = attached.and_then(|attached| attached.acls.as_ref()) else { return };
        for acl in [&acls.access, &acls.default].into_iter().flatten() {
            let (users, groups) = acl.ids();
            users.into_iter().for_each(|uid| self.user(uid, told));
            groups.into_iter().for_each(|gid| self.group(gid, told));
        }
    }

    fn user(&mut self, uid: u32, told: &mut Ids) {
        if self.users.insert(uid) {
            let name = ids::user_name(uid).filter(|name| fits(name));
            told.users.extend(name.map(|name| (uid, ByteBuf::from(name))));
        }
    }

    fn group(&mut self, gid: u32, told: &mut Ids) {
        if self.groups.insert(gid) {
            let name = ids::group_name(gid).filter(|name| fits(name));
            told.groups.extend(name.map(|name| (gid, ByteBuf::from(name))));
        }
    }
}

fn fits(name: &[u8]) -> bool {
    (1..=ID_NAME_MAX).contains(&name.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::path::acl::Acl;
    use crate::plan::attached::Acls;

    /// A list that names these users and groups.
    fn list(users: &[u32], groups: &[u32]) -> Acl {
        let none = u32::MAX;
        let mut entries = vec![(1u16, 6u16, none), (4, 4, none), (0x10, 6, none), (0x20, 0, none)];
        entries.extend(users.iter().map(|id| (2, 4, *id)));
        entries.extend(groups.iter().map(|id| (8, 4, *id)));
        let entry = |(tag, permissions, id): (u16, u16, u32)| {
            [&tag.to_le_bytes()[..], &permissions.to_le_bytes(), &id.to_le_bytes()].concat()
        };
        let entries: Vec<u8> = entries.into_iter().flat_map(entry).collect();
        Acl::parse(&[&2u32.to_le_bytes()[..], &entries].concat()).unwrap()
    }

    #[test]
    fn whom_a_list_names_is_told_unless_numbers_are_kept() {
        let attached = Attached {
            acls: Some(Acls { access: Some(list(&[0], &[0])), default: None }),
            xattrs: None,
            flags: None,
        };
        let here = crate::path::operand::open_dir(std::ffi::OsStr::new("/")).unwrap().attrs().unwrap();
        for (numeric_ids, told) in [(false, 1), (true, 0)] {
            let options = Options { acls: true, numeric_ids, ..Options::default() };
            let mut ids = Ids::default();
            IdNames::default().note(&options, &here, Some(&attached), &mut ids);
            assert_eq!((ids.users.len(), ids.groups.len()), (told, told));
        }
    }
}
