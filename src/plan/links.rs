//! Hard links (`-H`): which member of a group is transferred, and which ones follow it.
//!
//! A group is the entries of the transfer that share a source inode. Its leader is the first member that
//! exists at the destination, so that what is there is used; if none exists, the last. Members that come
//! before their leader wait for it and follow it last first: this is the order that rsync 3.5.0 shows in
//! a dry run. The last member is known when as many have been seen as the inode has names; where names
//! lie outside the transfer, only at its end.

use std::collections::HashMap;

/// The groups met so far. `W` is a member that waits, `L` what a follower needs to know of its leader.
#[derive(Debug)]
pub struct Groups<W, L> {
    groups: HashMap<(u64, u64), Group<W, L>>,
}

#[derive(Debug)]
struct Group<W, L> {
    seen: u64,
    waiting: Vec<W>,
    leader: Option<L>,
}

/// What a member is to do.
#[derive(Debug, PartialEq, Eq)]
pub enum Role<W, L> {
    /// It leads, as this leader: handled as any entry, then those that waited follow it, in this order.
    Lead(W, L, Vec<W>),
    /// It becomes another name of its leader.
    Follow(W, L),
    /// It waits; it will come back with a leader, or from [`Groups::finish`].
    Wait,
}

impl<W, L: Clone> Groups<W, L> {
    /// No groups.
    #[must_use]
    pub fn new() -> Groups<W, L> {
        Groups { groups: HashMap::new() }
    }

    /// Places the next member, in transfer order, of the group of the source inode `inode`, which has
    /// `names` names. `leads_at_once`: it exists at the destination, or is of a kind whose first member
    /// always leads. `leader` is what followers will be told if it leads.
    pub fn place(
        &mut self,
        inode: (u64, u64),
        names: u64,
        leads_at_once: bool,
        member: W,
        leader: impl FnOnce(&W) -> L,
    ) -> Role<W, L> {
        let new = || Group { seen: 0, waiting: Vec::new(), leader: None };
        let group = self.groups.entry(inode).or_insert_with(new);
        group.seen += 1;
        let last = group.seen >= names;
        let role = match &group.leader {
            Some(leader) => Role::Follow(member, leader.clone()),
            None if leads_at_once || last => {
                let leader = leader(&member);
                group.leader = Some(leader.clone());
                let mut waiting = std::mem::take(&mut group.waiting);
                waiting.reverse();
                Role::Lead(member, leader, waiting)
            }
            None => {
                group.waiting.push(member);
                Role::Wait
            }
        };
        if last {
            // Nobody else can come: what a group costs is freed when it is whole.
            self.groups.remove(&inode);
        }
        role
    }

    /// Whether a member of the inode's group has been placed, and others can still come.
    #[must_use]
    pub fn knows(&self, inode: (u64, u64)) -> bool {
        self.groups.contains_key(&inode)
    }

    /// Whether the inode's group has a leader.
    #[must_use]
    pub fn has_leader(&self, inode: (u64, u64)) -> bool {
        self.groups.get(&inode).is_some_and(|group| group.leader.is_some())
    }

    /// The groups that still wait at the end of the transfer: for each a leader and its followers.
    pub fn finish(&mut self) -> Vec<(W, Vec<W>)> {
        let mut left: Vec<_> = self.groups.drain().filter(|(_, group)| !group.waiting.is_empty()).collect();
        left.sort_by_key(|(inode, _)| *inode);
        left.into_iter()
            .filter_map(|(_, mut group)| {
                let leader = group.waiting.pop()?;
                group.waiting.reverse();
                Some((leader, group.waiting))
            })
            .collect()
    }
}

impl<W, L: Clone> Default for Groups<W, L> {
    fn default() -> Self {
        Groups::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type G = Groups<&'static str, &'static str>;

    #[test]
    fn without_a_copy_at_the_destination_the_last_name_leads_and_the_others_follow_last_first() {
        let mut groups = G::new();
        assert_eq!(groups.place((1, 1), 3, false, "mm", |w| w), Role::Wait);
        assert_eq!(groups.place((1, 1), 3, false, "zz", |w| w), Role::Wait);
        assert_eq!(
            groups.place((1, 1), 3, false, "a/one", |w| w),
            Role::Lead("a/one", "a/one", vec!["zz", "mm"])
        );
        assert!(groups.groups.is_empty());
    }

    #[test]
    fn the_first_name_that_exists_leads_and_later_ones_follow_at_once() {
        let mut groups = G::new();
        assert_eq!(groups.place((1, 1), 4, false, "a", |w| w), Role::Wait);
        assert_eq!(groups.place((1, 1), 4, true, "b", |w| w), Role::Lead("b", "b", vec!["a"]));
        assert_eq!(groups.place((1, 1), 4, true, "c", |w| w), Role::Follow("c", "b"));
        assert_eq!(groups.place((1, 1), 4, false, "d", |w| w), Role::Follow("d", "b"));
        assert!(groups.finish().is_empty());
    }

    #[test]
    fn names_outside_the_transfer_hold_a_group_back_to_the_end_and_no_longer() {
        let mut groups = G::new();
        assert_eq!(groups.place((1, 1), 9, false, "a", |w| w), Role::Wait);
        assert_eq!(groups.place((1, 1), 9, false, "b", |w| w), Role::Wait);
        assert_eq!(groups.finish(), vec![("b", vec!["a"])]);
    }
}
