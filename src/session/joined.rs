//! Names that the destination has joined in one inode, and the source has not: what is done to the inode under one name
//! is seen under the next.
//!
//! Entries are looked at ahead of the work. So where the attributes of such an inode are changed, its other names are
//! looked at again when their turn comes and the change is made: each ends as if it were the only one, and the last
//! one counts, as with rsync.

use std::collections::HashMap;
use std::sync::Arc;

use super::consumer::Consumer;
use super::worker::{Action, OpenDir};
use crate::event::Change;
use crate::path::xattr::Inode;
use crate::path::{Attrs, Kind};
use crate::plan::attached::{Attached, Differs};
use crate::plan::compare::{self, Decision};
use crate::plan::look::Sources;
use crate::plan::visit::Planned;

/// What an inode of the destination has been given last.
struct Given {
    attrs: Attrs,
    attached: Option<Arc<Attached>>,
}

/// The inodes with several names whose attributes this run has changed: a few, as a rule.
#[derive(Default)]
pub(super) struct Joined(HashMap<(u64, u64), Given>);

impl Consumer<'_, '_> {
    /// Looks again at an entry whose inode was changed under another name.
    pub(super) fn look_again(
        &mut self,
        planned: &mut Planned,
        dir: &Option<Arc<OpenDir>>,
        sources: &Arc<Sources>,
        batch: &mut Vec<Action>,
    ) {
        let (Some(dest), Some(to)) = (planned.dest, dir) else { return };
        let stays = matches!(planned.decision, Decision::Unchanged | Decision::Attributes(_));
        if dest.kind == Kind::Dir || dest.nlink < 2 || !stays {
            return;
        }
        let inode = (dest.dev, dest.ino);
        let entry = &planned.entry;
        if self.joined.0.get(&inode).is_some_and(|given| given.differs(&entry.attrs, &entry.attached)) {
            self.send(dir, sources, batch);
            self.wait();
            if let Some((now, decision)) = self.decide_again(planned, to, inode) {
                (planned.dest, planned.decision) = (Some(now), decision);
            }
        }
        if matches!(planned.decision, Decision::Attributes(_)) {
            let given = Given { attrs: planned.entry.attrs, attached: planned.entry.attached.clone() };
            self.joined.0.insert(inode, given);
        }
    }

    /// What the destination has of an entry now, and what is to be done; `None` where it is not that inode.
    fn decide_again(&self, planned: &Planned, to: &OpenDir, inode: (u64, u64)) -> Option<(Attrs, Decision)> {
        let (entry, face) = (&planned.entry, self.cx.dest_face());
        // What cannot be looked at is told of where it is changed.
        let dir = to.held.get().ok()?;
        let now = face.stat_if_any(&dir, entry.target()).ok().flatten()?;
        if (now.dev, now.ino) != inode {
            return None;
        }
        let there = Inode::named(&dir, entry.target(), false).seen(face);
        let touches = |name: &[u8]| self.cx.touches_xattr(name);
        let differs = entry.attached.as_ref().map(|attached| attached.compare(there, &now, touches));
        let Differs { acl, xattrs } = differs.unwrap_or_default();
        let change = Change { acl, xattrs, ..compare::attributes(self.cx, &entry.attrs, &now) };
        Some((now, compare::of_attributes(self.cx.options, &entry.attrs, &now, change)))
    }
}

impl Given {
    /// Whether an entry is to have other attributes.
    fn differs(&self, attrs: &Attrs, attached: &Option<Arc<Attached>>) -> bool {
        let told = |attrs: &Attrs| (attrs.mode, attrs.uid, attrs.gid, attrs.mtime, attrs.atime);
        told(&self.attrs) != told(attrs) || self.attached != *attached
    }
}
