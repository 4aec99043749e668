//! Owners and groups by name: what the sending side tells of them. [`crate::plan::owners`] is the other half.

use std::collections::HashSet;

use serde_bytes::ByteBuf;

use crate::path::{Attrs, ids};
use crate::plan::Options;
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
    /// The names that must be told before an entry with `attrs`, added to `told`.
    pub(super) fn note(&mut self, options: &Options, attrs: &Attrs, told: &mut Ids) {
        if options.numeric_ids {
            return;
        }
        let fits = |name: &Vec<u8>| (1..=ID_NAME_MAX).contains(&name.len());
        if options.owner && self.users.insert(attrs.uid) {
            let name = ids::user_name(attrs.uid).filter(fits);
            told.users.extend(name.map(|name| (attrs.uid, ByteBuf::from(name))));
        }
        if options.group && self.groups.insert(attrs.gid) {
            let name = ids::group_name(attrs.gid).filter(fits);
            told.groups.extend(name.map(|name| (attrs.gid, ByteBuf::from(name))));
        }
    }
}
