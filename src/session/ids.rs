//! Owners and groups by name: what a number on the sending side is called, and what number that has here.

use std::collections::{HashMap, HashSet};

use serde_bytes::ByteBuf;

use crate::path::{Attrs, ids};
use crate::plan::Options;
use crate::wire::to_receiver::{ID_NAME_MAX, Ids};

/// The receiving side: numbers of the peer's become those of this machine.
#[derive(Debug, Default)]
pub(super) struct IdMap {
    users: HashMap<u32, u32>,
    groups: HashMap<u32, u32>,
}

impl IdMap {
    /// Learns names. One that this machine does not know keeps its number, as rsync does; so does root's,
    /// whatever a peer calls it.
    pub(super) fn learn(&mut self, told: &Ids) {
        let found = |number: u32, here: Option<u32>| match here {
            // Nobody becomes root by a name.
            Some(0) if number != 0 => number,
            Some(here) => here,
            None => number,
        };
        for (number, name) in told.users.iter().filter(|(number, _)| *number != 0) {
            self.users.insert(*number, found(*number, ids::user(name)));
        }
        for (number, name) in told.groups.iter().filter(|(number, _)| *number != 0) {
            self.groups.insert(*number, found(*number, ids::group(name)));
        }
    }

    /// Gives `attrs` the owner and group that they name here.
    pub(super) fn translate(&self, attrs: &mut Attrs) {
        attrs.uid = self.users.get(&attrs.uid).copied().unwrap_or(attrs.uid);
        attrs.gid = self.groups.get(&attrs.gid).copied().unwrap_or(attrs.gid);
    }
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
