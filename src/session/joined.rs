//! Names that the destination has joined in one inode, and the source has not: what is done to the inode under one name
//! is seen under the next.
//!
//! Entries are looked at ahead of the work. So where the attributes of such an inode are changed, its other names are
//! looked at again when their turn comes and the change is made: each ends as if it were the only one, and the last
//! one counts, as with rsync. Where its data is changed too (`--inplace`), two files are never written to it at the same
//! time, and one that had been left as it was is written again.

use std::collections::HashMap;
use std::sync::Arc;

use super::consumer::Consumer;
use super::worker::{Action, OpenDir};
use crate::event::{Change, Note, Update};
use crate::path::xattr::Inode;
use crate::path::{Attrs, Kind};
use crate::plan::attached::{Attached, Differs};
use crate::plan::compare::{self, Decision};
use crate::plan::entry::Entry;
use crate::plan::look::Sources;
use crate::plan::visit::Planned;
use crate::plan::{Append, Context};

/// What an inode of the destination has been given last.
struct Given {
    attrs: Attrs,
    attached: Option<Arc<Attached>>,
    /// Data as well.
    written: bool,
}

/// The inodes with several names whose attributes this run has changed: a few, as a rule.
#[derive(Default)]
pub(super) struct Joined(HashMap<(u64, u64), Given>);

impl Consumer<'_, '_> {
    /// Looks again at an entry whose inode was changed under another name, or would have been.
    pub(super) fn look_again(
        &mut self,
        planned: &mut Planned,
        dir: &Option<Arc<OpenDir>>,
        sources: &Arc<Sources>,
        batch: &mut Vec<Action>,
    ) {
        let Some(dest) = planned.dest else { return };
        let left = matches!(planned.decision, Decision::Skip(_) | Decision::Link | Decision::Elsewhere);
        if dest.kind == Kind::Dir || dest.nlink < 2 || left {
            return;
        }
        let inode = (dest.dev, dest.ino);
        let given = self.joined.0.get(&inode);
        let mut written = given.is_some_and(|given| given.written);
        let again = given.filter(|given| given.differs(&planned.entry, self.cx.options.atimes));
        let now = match (again, dir) {
            (None, _) => None,
            (Some(given), None) => Some(given.pretend(self.cx, &planned.entry, &dest)),
            (Some(_), Some(to)) => {
                self.send(dir, sources, batch);
                self.wait();
                now(self.cx, &planned.entry, to, inode)
            }
        };
        if let Some((now, differs)) = now {
            decide_again(self.cx, planned, now, differs, written);
            let adds = self.cx.options.append != Append::Off;
            if adds
                && matches!(planned.decision, Decision::Transfer(_))
                && now.size >= planned.entry.attrs.size
            {
                let path = sources.path.join(&planned.entry.name);
                planned.decision = Decision::Skip(Box::new(Note::NotShorter(path)));
            }
        }
        // What becomes another name of its leader leaves the inode as it is.
        let source = &planned.entry.attrs;
        if self.cx.options.hard_links && self.groups.has_leader((source.dev, source.ino)) {
            return;
        }
        written |= match planned.decision {
            Decision::Transfer(_) | Decision::Copy(_) if self.run.options.apply.inplace => true,
            Decision::Attributes(_) => false,
            _ => return,
        };
        let (attrs, attached) = (planned.entry.attrs, planned.entry.attached.clone());
        self.joined.0.insert(inode, Given { attrs, attached, written });
    }
}

/// What the destination has of an entry now; `None` where it is not that inode.
fn now(cx: &Context<'_>, entry: &Entry, to: &OpenDir, inode: (u64, u64)) -> Option<(Attrs, Differs)> {
    // What cannot be looked at is told of where it is changed.
    let (dir, face) = (to.held.get().ok()?, cx.dest_face());
    let now = face.stat_if_any(&dir, entry.target()).ok().flatten()?;
    if (now.dev, now.ino) != inode {
        return None;
    }
    let there = Inode::named(&dir, entry.target(), false).seen(face);
    let touches = |name: &[u8]| cx.touches_xattr(name);
    let differs = entry.attached.as_ref().map(|attached| attached.compare(there, &now, touches));
    Some((now, differs.unwrap_or_default()))
}

/// Decides again. What is to be made or transferred is so all the same, and data in any case if other data was `written`.
fn decide_again(cx: &Context<'_>, planned: &mut Planned, now: Attrs, differs: Differs, written: bool) {
    let Differs { acl, xattrs } = differs;
    let source = &planned.entry.attrs;
    let change = Change { acl, xattrs, ..compare::attributes(cx, source, &now) };
    let size = source.size != now.size;
    planned.dest = Some(now);
    let anew = |mut change: Change| {
        compare::renewed(cx.options, source.kind, &mut change);
        change
    };
    planned.decision = match planned.decision {
        Decision::Copy(first) => Decision::Copy(first),
        Decision::Make(first) if first.new => Decision::Make(first),
        Decision::Transfer(first) if first.new => Decision::Transfer(first),
        Decision::Make(Change { update, content, acl, xattrs, .. }) => {
            Decision::Make(anew(Change { update, content, acl, xattrs, ..change }))
        }
        Decision::Transfer(Change { content, .. }) => {
            Decision::Transfer(anew(Change { update: Update::Received, content, size, ..change }))
        }
        _ if written => {
            let content = cx.options.checksum;
            Decision::Transfer(anew(Change { update: Update::Received, content, size, ..change }))
        }
        _ => compare::of_attributes(cx.options, source, &now, change),
    };
}

impl Given {
    /// Whether an entry is to have other attributes, or other data than was written.
    fn differs(&self, entry: &Entry, atimes: bool) -> bool {
        // Where access times are not kept, copying the first name may have changed that of the next.
        let atime = |attrs: &Attrs| atimes.then_some(attrs.atime);
        let told = |attrs: &Attrs| (attrs.mode, attrs.uid, attrs.gid, attrs.mtime, atime(attrs));
        // A peer tells which inodes they are only where that matters to it.
        let same_source = self.attrs.ino != 0 && self.attrs.same_inode(&entry.attrs);
        told(&self.attrs) != told(&entry.attrs)
            || self.attached != entry.attached
            || self.written && !same_source
    }

    /// What `dest` would have become (`--dry-run`).
    fn pretend(&self, cx: &Context<'_>, entry: &Entry, dest: &Attrs) -> (Attrs, Differs) {
        let (options, given) = (cx.options, &self.attrs);
        let now = Attrs {
            mode: if options.perms { given.mode } else { compare::kept_mode(options, given, dest) },
            uid: if options.owner && cx.may_chown() { given.uid } else { dest.uid },
            gid: if options.group && cx.may_chgrp(given.gid) { given.gid } else { dest.gid },
            mtime: if compare::keeps_time(options, dest.kind) { given.mtime } else { dest.mtime },
            atime: if compare::keeps_atime(options, dest.kind) { given.atime } else { dest.atime },
            size: if self.written { given.size } else { dest.size },
            ..*dest
        };
        let [one, other] = [&self.attached, &entry.attached].map(Option::as_deref);
        let acl = one.map(|attached| &attached.acls) != other.map(|attached| &attached.acls);
        let xattrs = one.map(|attached| &attached.xattrs) != other.map(|attached| &attached.xattrs);
        (now, Differs { acl, xattrs })
    }
}
