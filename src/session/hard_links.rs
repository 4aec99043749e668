//! Hard links on their way to the workers: who leads, who follows, who waits ([`Groups`](crate::plan::links::Groups) decides).

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::consumer::Consumer;
use super::worker::{Action, Leader, OpenDir, Part};
use crate::event::{Change, Note, Update};
use crate::path::{Kind, RelPath};
use crate::plan::Context;
use crate::plan::basis::{Closeness, Found, Use};
use crate::plan::compare::{self, Decision};
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
        let inplace = self.run.options.apply.inplace;
        match self.groups.place((attrs.dev, attrs.ino), names, leads, member, |w| leader_of(w, inplace)) {
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
    pub(super) fn follows_all_the_same(&self, planned: &Planned) -> Option<Decision> {
        let source = &planned.entry.attrs;
        let left_alone = matches!(planned.decision, Decision::Skip(Note::NotShorter(_)));
        let linked = self.cx.options.hard_links && !planned.entry.followed && planned.basis.is_none();
        if !(left_alone && linked && self.groups.has_leader((source.dev, source.ino))) {
            return None;
        }
        let dest = planned.dest?;
        let size = source.size != dest.size;
        let mut change =
            Change { update: Update::Received, size, ..compare::attributes(self.cx, source, &dest) };
        compare::renewed(self.cx.options, source.kind, &mut change);
        Some(Decision::Transfer(change))
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
            leader.publish(leader.keeps);
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
            let leader = leader_of(&member, self.run.options.apply.inplace);
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

/// The line of a follower that comes after its leader compares its attributes with what had its name, of
/// its kind or not. Observed with rsync 3.5.0.
fn as_follower(cx: &Context<'_>, mut planned: Planned, leader: &Leader) -> Planned {
    if let Some(found) = planned.basis.take() {
        planned.decision = beside_basis(cx, &planned, &found, leader).unwrap_or(found.plain);
    }
    let source = &planned.entry.attrs;
    if let Some(dest) = planned.dest.filter(|dest| dest.kind != source.kind) {
        let size = source.kind == Kind::File && source.size != dest.size;
        let perms = cx.options.perms && source.mode != dest.mode;
        planned.decision = Decision::Make(Change { size, perms, ..compare::attributes(cx, source, &dest) });
    }
    planned
}

/// The line of a follower that is missing at the destination, beside what a basis directory has of it: that
/// is the leader's inode, so that they were joined before, or (of what is copied) a file with the same data. Observed with rsync 3.5.0.
fn beside_basis(cx: &Context<'_>, planned: &Planned, found: &Found, leader: &Leader) -> Option<Decision> {
    if planned.dest.is_some() || leader.moves {
        return None;
    }
    let source = &planned.entry.attrs;
    let change = match cx.options.bases.how {
        Use::Link if leader.keeps == Some((found.attrs.dev, found.attrs.ino)) => {
            return Some(Decision::Unchanged);
        }
        Use::Compare | Use::Copy if source.kind == Kind::File && found.closeness >= Closeness::Data => {
            compare::attributes(cx, source, &found.attrs)
        }
        _ => return None,
    };
    Some(Decision::Attributes(change))
}

fn leader_of(member: &Waiting, inplace: bool) -> Arc<Leader> {
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
    let moves = matches!(member.planned.decision, Decision::Transfer(_));
    let dir = member.dir.as_ref().map(|dir| Arc::clone(&dir.held));
    Leader::new(member.path.clone(), dir, member.planned.entry.target().clone(), keeps, moves)
}
