//! Entries that have the name of a backup (`--backup` without `--backup-dir`): `f~` beside `f`.
//!
//! A directory is compared before anything is done in it. When the turn of `f~` comes, the backup of `f` may have its
//! name, or be about to take it: `f~` is begun only when that is done, so that it is the source's in the end, and what the
//! backup holds becomes `f~~`, as with rsync.

use std::collections::HashMap;
use std::sync::Arc;

use super::consumer::Consumer;
use super::hard_links::replaced;
use super::worker::{Action, OpenDir};
use crate::event::{Change, Update};
use crate::path::{Attrs, Dir, Kind, Name};
use crate::plan::Context;
use crate::plan::compare::{self, Decision};
use crate::plan::look::Sources;
use crate::plan::surplus::Surplus;
use crate::plan::visit::Planned;

/// Names that backups take in one directory, and whether they are of what has been deleted already.
#[derive(Default)]
pub(super) struct Backups(HashMap<Vec<u8>, bool>);

impl Consumer<'_, '_> {
    fn backup_of(&self, name: &Name) -> Option<Vec<u8>> {
        let apply = &self.run.options.apply;
        let beside = apply.backup && apply.backup_dir.is_none() && !self.run.options.dry_run;
        beside.then(|| [name.as_bytes(), &apply.suffix].concat())
    }

    /// Notes the backups of what is deleted in a directory, before its entries are begun.
    pub(super) fn note_deleted(&self, surplus: &[Surplus], backups: &mut Backups) {
        let files = surplus.iter().filter(|what| what.kind != Kind::Dir);
        backups.0.extend(files.filter_map(|what| Some((self.backup_of(&what.name)?, true))));
    }

    /// Notes the backup of what an entry replaces.
    pub(super) fn note_replaced(&self, planned: &Planned, backups: &mut Backups) {
        let stays = matches!(planned.decision, Decision::Unchanged | Decision::Attributes(_));
        if planned.dest.is_some_and(|dest| dest.kind != Kind::Dir) && !stays {
            backups.0.extend(self.backup_of(planned.entry.target()).map(|name| (name, false)));
        }
    }

    /// Waits for the backup that takes the name of an entry, if there is one. Of what was deleted it is there now, and
    /// the entry is compared with that.
    pub(super) fn meet_backup(
        &mut self,
        planned: &mut Planned,
        backups: &Backups,
        dir: &Option<Arc<OpenDir>>,
        sources: &Arc<Sources>,
        batch: &mut Vec<Action>,
    ) {
        let target = planned.entry.target();
        let (Some(&deleted), Some(to)) = (backups.0.get(target.as_bytes()), dir) else { return };
        self.send(dir, sources, batch);
        self.wait();
        let face = self.cx.dest_face();
        // What cannot be looked at is told of where it is replaced.
        let now = to.held.get().ok().and_then(|dir| face.stat_if_any(&dir, target).ok().flatten());
        let Some(now) = now.filter(|_| deleted) else { return };
        let compared = matches!(
            planned.decision,
            Decision::Unchanged | Decision::Attributes(_) | Decision::Transfer(_) | Decision::Make(_)
        );
        if compared && planned.dest.is_none_or(|dest| !dest.same_inode(&now)) {
            let text = |dir: &Arc<Dir>| face.read_link(dir, target).ok();
            let same = now.kind == Kind::Symlink
                && planned.entry.link.as_deref()
                    == to.held.get().ok().as_ref().and_then(text).as_ref().map(|(text, _)| &**text);
            planned.decision = match same {
                true => {
                    let change = compare::attributes(self.cx, &planned.entry.attrs, &now);
                    compare::of_attributes(self.cx.options, &planned.entry.attrs, &now, change)
                }
                false => in_place_of(self.cx, &planned.entry.attrs, &now),
            };
            planned.dest = Some(now);
        }
    }
}

/// What is done with an entry where something else has its name.
fn in_place_of(cx: &Context<'_>, source: &Attrs, now: &Attrs) -> Decision {
    let new = now.kind != source.kind;
    match source.kind {
        Kind::File if new => Decision::Transfer(Change { update: Update::Received, new, ..Change::NONE }),
        Kind::File => replaced(cx, source, now),
        _ if new => Decision::Make(Change { update: Update::Created, new, ..Change::NONE }),
        kind => {
            let mut change =
                Change { update: Update::Created, content: true, ..compare::attributes(cx, source, now) };
            compare::renewed(cx.options, kind, &mut change);
            Decision::Make(change)
        }
    }
}
