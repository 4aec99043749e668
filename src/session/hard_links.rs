//! Hard links on their way to the workers: who leads, who follows, who waits ([`Groups`](crate::plan::links::Groups) decides).

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::consumer::Consumer;
use super::leader::{Fate, Leader, Part};
use super::worker::{Action, OpenDir};
use crate::event::{Change, Update};
use crate::path::{Attrs, Kind, RelPath, Time};
use crate::plan::Context;
use crate::plan::attached::Differs;
use crate::plan::basis::{Closeness, Found, Use};
use crate::plan::compare::{self, Decision};
use crate::plan::entry::Entry;
use crate::plan::links::Role;
use crate::plan::look::Sources;
use crate::plan::visit::Planned;

/// A member of a hard-link group that waits for its leader.
pub(super) struct Waiting {
    pub(super) planned: Planned,
    pub(super) path: RelPath,
    pub(super) dir: Option<Arc<OpenDir>>,
    pub(super) sources: Arc<Sources>,
}

impl Consumer<'_, '_> {
    /// Places an entry in its group of hard links. Returns the bytes that are moved now.
    pub(super) fn place_linked(
        &mut self,
        planned: Planned,
        path: &RelPath,
        dir: &Option<Arc<OpenDir>>,
        sources: &Arc<Sources>,
        batch: &mut Vec<Action>,
    ) -> u64 {
        let attrs = planned.entry.attrs;
        let same_kind = planned.dest.filter(|dest| dest.kind == attrs.kind);
        let leads = attrs.kind != Kind::File || same_kind.is_some() || planned.basis.is_some();
        let member = Waiting {
            path: path.join(&planned.entry.name),
            planned,
            dir: dir.clone(),
            sources: Arc::clone(sources),
        };
        let names = if self.run.options.apply.remove_source_files { u64::MAX } else { attrs.nlink };
        let (cx, inplace) = (self.cx, self.run.options.apply.inplace);
        match self.groups.place((attrs.dev, attrs.ino), names, leads, member, |w| leader_of(cx, w, inplace)) {
            Role::Lead(member, leader, waiting) => {
                let bytes = self.lead(member, &leader, dir, sources, batch);
                if !waiting.is_empty() {
                    self.send(dir, sources, batch);
                    self.follow_all(waiting, &leader);
                    return 0;
                }
                bytes
            }
            Role::Follow(member, leader) => {
                let planned = as_follower(self.cx, member.planned, &leader);
                self.push(planned, Part::Follows(leader), batch)
            }
            Role::Wait => {
                if let Some(dir) = dir {
                    // Its directory is not done before it is.
                    dir.pending.fetch_add(1, Ordering::Relaxed);
                }
                0
            }
        }
    }

    /// What is done with a file to which `--append` has nothing to add and that belongs to a group with a leader: it
    /// follows like any other name. Without a leader it stays as it is. Observed with rsync 3.5.0.
    pub(super) fn follow_all_the_same(&self, planned: &mut Planned) {
        let source = &planned.entry.attrs;
        let left_alone = planned.decision.is_not_shorter();
        let linked = self.cx.options.hard_links && !planned.entry.followed && planned.basis.is_none();
        let follows = left_alone && linked && self.groups.has_leader((source.dev, source.ino));
        if let Some(dest) = planned.dest.filter(|_| follows) {
            planned.decision = replaced(self.cx, source, &dest);
        }
    }

    fn lead(
        &mut self,
        member: Waiting,
        leader: &Arc<Leader>,
        dir: &Option<Arc<OpenDir>>,
        sources: &Arc<Sources>,
        batch: &mut Vec<Action>,
    ) -> u64 {
        if matches!(member.planned.decision, Decision::Unchanged) {
            leader.publish(leader.fate.keeps);
        }
        let same = match (&member.dir, dir) {
            (Some(theirs), Some(ours)) => Arc::ptr_eq(theirs, ours),
            _ => self.run.options.dry_run,
        };
        if same {
            return self.push(member.planned, Part::Leads(Arc::clone(leader)), batch);
        }
        self.send(dir, sources, batch);
        let mut own = Vec::new();
        self.push(member.planned, Part::Leads(Arc::clone(leader)), &mut own);
        self.send(&member.dir, &member.sources, &mut own);
        0
    }

    /// Queues members that have waited for `leader`, each in its own directory.
    fn follow_all(&mut self, waiting: Vec<Waiting>, leader: &Arc<Leader>) {
        for Waiting { planned, dir, sources, .. } in waiting {
            let mut own = vec![Action { planned, part: Part::Follows(Arc::clone(leader)) }];
            self.send(&dir, &sources, &mut own);
            if let Some(dir) = dir {
                self.release(&dir);
            }
        }
    }

    /// Groups of which names lie outside the transfer: their last member leads.
    pub(super) fn finish_groups(&mut self) {
        for (member, waiting) in self.groups.finish() {
            let leader = leader_of(self.cx, &member, self.run.options.apply.inplace);
            let (dir, sources) = (member.dir.clone(), Arc::clone(&member.sources));
            let mut own = Vec::new();
            self.lead(member, &leader, &dir, &sources, &mut own);
            self.send(&dir, &sources, &mut own);
            if let Some(dir) = dir {
                self.release(&dir);
            }
            self.follow_all(waiting, &leader);
        }
    }
}

/// A file that is replaced, whatever `--append` has to add to it.
pub(super) fn replaced(cx: &Context<'_>, source: &Attrs, dest: &Attrs) -> Decision {
    let size = source.size != dest.size;
    let mut change = Change { update: Update::Received, size, ..compare::attributes(cx, source, dest) };
    compare::renewed(cx.options, source.kind, &mut change);
    Decision::Transfer(change)
}

/// The line of a follower that comes after its leader compares its attributes with what had its name, of
/// its kind or not. Observed with rsync 3.5.0.
fn as_follower(cx: &Context<'_>, mut planned: Planned, leader: &Leader) -> Planned {
    unread(cx, &mut planned, leader.fate.accessed);
    if let Some(found) = planned.basis.take() {
        planned.decision = beside_basis(cx, &planned, &found, leader).unwrap_or(found.plain);
    }
    let source = &planned.entry.attrs;
    let Some(dest) = planned.dest else { return planned };
    if planned.decision.is_not_shorter() {
        planned.decision = replaced(cx, source, &dest);
    }
    if dest.kind != source.kind {
        let size = source.kind == Kind::File && source.size != dest.size;
        let perms = cx.options.perms && source.mode != dest.mode;
        let acl = is_listed(&planned.entry) && is_unlisted(cx, dest.kind);
        let change = Change { size, perms, acl, ..compare::attributes(cx, source, &dest) };
        planned.decision = Decision::Make(change);
    } else if let Decision::Transfer(change)
    | Decision::Make(change)
    | Decision::Attributes(change)
    | Decision::Copy(change) = &mut planned.decision
    {
        // The lists are those of the leader by now, and so the permission bits are no part of them.
        change.acl = false;
        change.perms = compare::attributes(cx, source, &dest).perms;
    }
    planned
}

/// Gives a follower the access time that its source had when its leader was listed: copying that has read it.
fn unread(cx: &Context<'_>, planned: &mut Planned, accessed: Time) {
    if planned.entry.attrs.atime == accessed {
        return;
    }
    planned.entry.attrs.atime = accessed;
    let Some(dest) = planned.dest else { return };
    let atime = compare::attributes(cx, &planned.entry.attrs, &dest).atime;
    if let Decision::Transfer(change) | Decision::Copy(change) | Decision::Attributes(change) =
        &mut planned.decision
    {
        change.atime = atime;
    }
}

/// Whether an entry has an access control list beyond its permission bits.
fn is_listed(entry: &Entry) -> bool {
    let acls = entry.attached.as_ref().and_then(|attached| attached.acls.as_ref());
    acls.is_some_and(|acls| acls.access.is_some())
}

/// Whether what is of this kind at the destination has no access control list, or none that is looked at.
fn is_unlisted(cx: &Context<'_>, kind: Kind) -> bool {
    match kind {
        Kind::Symlink => true,
        kind if kind.is_device() => !cx.options.devices,
        kind if kind.is_special() => !cx.options.specials,
        _ => false,
    }
}

/// The line of a follower that is missing at the destination, beside what basis directories have of it: one of them has
/// the leader's inode, so that they were joined before, or (of what is copied) a file with the same data; then it is shown
/// beside what the last one has. Observed with rsync 3.5.0.
fn beside_basis(cx: &Context<'_>, planned: &Planned, found: &Found, leader: &Leader) -> Option<Decision> {
    if planned.dest.is_some() || leader.fate.moves {
        return None;
    }
    let source = &planned.entry.attrs;
    let change = match cx.options.bases.how {
        Use::Link if leader.fate.keeps.is_some_and(|kept| found.inodes.contains(&kept)) => {
            return Some(Decision::Unchanged);
        }
        Use::Compare | Use::Copy if source.kind == Kind::File && found.closeness >= Closeness::Data => {
            let (attrs, Differs { acl, xattrs }) = &found.last;
            let size = source.size != attrs.size;
            Change { size, acl: *acl, xattrs: *xattrs, ..compare::attributes(cx, source, attrs) }
        }
        _ => return None,
    };
    Some(Decision::Attributes(change))
}

fn leader_of(cx: &Context<'_>, member: &Waiting, inplace: bool) -> Arc<Leader> {
    let dest = member.planned.dest.filter(|dest| dest.kind == member.planned.entry.attrs.kind);
    let stays = match member.planned.decision {
        Decision::Unchanged | Decision::Attributes(_) => true,
        Decision::Transfer(_) | Decision::Copy(_) => inplace,
        Decision::Make(_) | Decision::Link | Decision::Elsewhere | Decision::Skip(_) => false,
    };
    let keeps = match (&member.planned.decision, &member.planned.basis) {
        (Decision::Link, Some(found)) => Some((found.attrs.dev, found.attrs.ino)),
        _ => dest.filter(|_| stays).map(|dest| (dest.dev, dest.ino)),
    };
    let xattrs = match &member.planned.decision {
        Decision::Attributes(change) | Decision::Copy(change) => change.xattrs,
        Decision::Make(_) => compare::has_xattrs(cx, &member.planned.entry),
        _ => false,
    };
    let moves = matches!(member.planned.decision, Decision::Transfer(_));
    let fate = Fate { keeps, moves, xattrs, accessed: member.planned.entry.attrs.atime };
    let dir = member.dir.as_ref().map(|dir| Arc::clone(&dir.held));
    Leader::new(member.path.clone(), dir, member.planned.entry.target().clone(), fate)
}
