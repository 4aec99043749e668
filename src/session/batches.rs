//! Entries on their way to the workers: batches of one directory, in plan order.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::consumer::Consumer;
use super::leader::Part;
use super::namesakes::Backups;
use super::outcome::{Outcome, item};
use super::worker::{Action, Batch, LINKED, OpenDir, link_outcome};
use crate::apply::Failure;
use crate::event::{Event, Note};
use crate::path::{Kind, RelPath};
use crate::plan::Append;
use crate::plan::compare::Decision;
use crate::plan::look::Sources;
use crate::plan::visit::{Planned, Visited};

/// Actions that one batch may hold; more would make workers wait for each other.
pub(super) const BATCH_ACTIONS: usize = 64;

/// Bytes that one batch may hold before it goes out, so that large files are spread over the workers.
const BATCH_BYTES: u64 = 4 << 20;

impl Consumer<'_, '_> {
    /// Queues the entries of the current directory that are not directories.
    pub(super) fn entries(&mut self, visited: Visited, mut backups: Backups) -> Result<(), Failure> {
        let Visited { path, sources, entries, receiver, .. } = visited;
        let sources = Arc::new(sources);
        let dir = self.frames.last().and_then(|frame| frame.dest.clone());
        let mut batch = Vec::new();
        let mut bytes = 0;
        for mut planned in entries {
            self.meet_backup(&mut planned, &backups, &dir, &sources, &mut batch);
            self.follow_all_the_same(&mut planned);
            self.look_again(&mut planned, &dir, &sources, &mut batch);
            // There may be nothing to be added by now.
            self.follow_all_the_same(&mut planned);
            self.stats.files.add(planned.entry.attrs.kind);
            self.stats.total_size = self.stats.total_size.saturating_add(planned.entry.data_size());
            self.meter_unchanged(&planned);
            self.skip_batched(&planned, &path, &dir, &sources, &mut batch);
            if let Decision::Skip(note) = &planned.decision {
                self.send(&dir, &sources, &mut batch);
                self.deliver(vec![Event::Note((**note).clone())]);
                continue;
            }
            if planned.dest.is_some_and(|dest| dest.kind == Kind::Dir) {
                self.send(&dir, &sources, &mut batch);
                if !self.make_way(&planned, &path, dir.as_ref(), &receiver)? {
                    continue;
                }
            }
            self.note_replaced(&planned, &mut backups);
            let attrs = &planned.entry.attrs;
            // Names that --remove-source-files has removed no longer count.
            let several = attrs.nlink > 1 || self.groups.knows((attrs.dev, attrs.ino));
            // What a basis directory keeps has no part in a group.
            let made = !matches!(planned.decision, Decision::Elsewhere);
            let linked = self.cx.options.hard_links && several && !planned.entry.followed && made;
            if linked {
                let moves = self.place_linked(planned, &path, &dir, &sources, &mut batch);
                bytes = moves.saturating_add(bytes);
            } else {
                bytes = self.push(planned, Part::Alone, &mut batch).saturating_add(bytes);
            }
            if batch.len() >= BATCH_ACTIONS || bytes >= BATCH_BYTES {
                if self.shared.halted() {
                    return Err(Failure::Stopped);
                }
                self.send(&dir, &sources, &mut batch);
                bytes = 0;
            }
        }
        self.send(&dir, &sources, &mut batch);
        Ok(())
    }

    fn meter_unchanged(&self, planned: &Planned) {
        let meter = self.run.meter;
        meter.checked.fetch_add(1, Ordering::Relaxed);
        // What is copied there does not move between machines.
        let moves = match planned.decision {
            Decision::Transfer(_) => true,
            Decision::Copy(_) => self.run.peer.is_none(),
            _ => false,
        };
        if planned.entry.attrs.kind == Kind::File && !moves {
            meter.bytes_unchanged.fetch_add(planned.entry.attrs.size, Ordering::Relaxed);
        }
    }

    /// In a dry run, what would be moved is done with when it is told.
    fn meter_pretended(&self, planned: &Planned, follows: bool) {
        let meter = self.run.meter;
        let transfers = matches!(planned.decision, Decision::Transfer(_));
        meter.files_done.fetch_add(u64::from(transfers && !follows), Ordering::Relaxed);
        if transfers || self.run.peer.is_none() && matches!(planned.decision, Decision::Copy(_)) {
            meter.bytes_unchanged.fetch_add(planned.entry.data_size(), Ordering::Relaxed);
        }
    }

    /// Adds an entry to the batch, if anything is to be done or told. Returns the bytes that it moves.
    pub(super) fn push(&mut self, planned: Planned, part: Part, batch: &mut Vec<Action>) -> u64 {
        let unchanged = matches!(planned.decision, Decision::Unchanged);
        let quiet = !self.run.options.report_unchanged && !self.run.options.apply.remove_source_files;
        let absent = matches!(planned.decision, Decision::Elsewhere) && planned.dest.is_none();
        match &part {
            Part::Alone if (unchanged || absent) && quiet => return 0,
            _ => {}
        }
        let moves = matches!(planned.decision, Decision::Transfer(_) | Decision::Copy(_));
        let bytes = if moves { planned.entry.attrs.size } else { 0 };
        batch.push(Action { planned, part });
        bytes
    }

    /// Sends a batch to the workers; in a dry run, tells what they would have told.
    pub(super) fn send(
        &mut self,
        dir: &Option<Arc<OpenDir>>,
        sources: &Arc<Sources>,
        batch: &mut Vec<Action>,
    ) {
        if batch.is_empty() {
            return;
        }
        let actions = std::mem::take(batch);
        if self.run.options.dry_run {
            if self.run.options.only_batch {
                self.collect(sources, &actions);
            }
            return self.pretend(sources, actions);
        }
        let Some(dir) = dir else { return };
        let seq = self.take_seq();
        dir.pending.fetch_add(1, Ordering::Relaxed);
        let batch = Batch { seq, dir: Arc::clone(dir), sources: Arc::clone(sources), actions };
        if self.team.keeps_waiting() {
            self.have_the_rest_counted();
        }
        self.team.give(batch);
    }

    /// Tells of a file whose data a batch holds, and that does not want it.
    fn skip_batched(
        &mut self,
        planned: &Planned,
        path: &RelPath,
        dir: &Option<Arc<OpenDir>>,
        sources: &Arc<Sources>,
        batch: &mut Vec<Action>,
    ) {
        let wanted = matches!(planned.decision, Decision::Transfer(_));
        let (Some(fetch), Some(number)) = (self.shared.fetch, sources.number()) else { return };
        if !wanted && fetch.has_batched(number, planned.entry.number) {
            self.send(dir, sources, batch);
            self.deliver(vec![Event::Note(Note::BatchSkipped(path.join(&planned.entry.name)))]);
        }
    }

    /// Has what these actions would need sent, to be recorded.
    fn collect(&self, sources: &Sources, actions: &[Action]) {
        let (Some(fetch), Some(dir)) = (self.shared.fetch, sources.number()) else { return };
        for Action { planned, part } in actions {
            let Planned { entry, decision, .. } = planned;
            let needs = match decision {
                _ if matches!(part, Part::Follows(_)) => continue,
                Decision::Transfer(_) => {
                    let typed = sources.typed(entry.source, &sources.path.join(&entry.name));
                    let appends = self.cx.options.append == Append::Unseen;
                    let there =
                        planned.dest.filter(|dest| appends && dest.kind == Kind::File && dest.size > 0);
                    fetch.collect(dir, entry.number, there.map(|dest| dest.size), &typed)
                }
                Decision::Make(_) | Decision::Attributes(_) => Ok(()),
                _ => continue,
            };
            let long = entry.attached.as_ref().is_some_and(|attached| attached.long().1 > 0);
            let needs = needs
                .and_then(|()| if long { fetch.collect_xattrs(dir, Some(entry.number)) } else { Ok(()) });
            // The peer is gone, and its reader says why.
            let _over = needs;
        }
    }

    fn pretend(&mut self, sources: &Arc<Sources>, actions: Vec<Action>) {
        let mut events = Vec::new();
        for Action { planned, part } in actions {
            let path = sources.path.join(&planned.entry.name);
            let prefix = sources.prefix(planned.entry.source);
            let outcome = match (&part, &planned.decision) {
                (Part::Follows(leader), _) => {
                    let inode = planned.dest.map(|dest| (dest.dev, dest.ino));
                    let linked = inode.is_some() && inode == leader.fate.keeps;
                    link_outcome(leader, &planned, self.cx.options, linked, self.run.options.report_unchanged)
                }
                (_, Decision::Transfer(change)) => {
                    Outcome { change: *change, transferred: true, ..Outcome::default() }
                }
                (_, Decision::Make(change) | Decision::Attributes(change) | Decision::Copy(change)) => {
                    Outcome { change: *change, ..Outcome::default() }
                }
                (_, Decision::Link) => Outcome { change: LINKED, ..Outcome::default() },
                _ => Outcome::default(),
            };
            self.stats.count(&outcome, planned.entry.attrs.size, planned.entry.attrs.kind);
            self.meter_pretended(&planned, matches!(part, Part::Follows(_)));
            let shown = self.run.options.report_unchanged || outcome.shown || !outcome.change.is_none();
            if shown && self.shared.order.wants_items() {
                events.push(Event::Item(item(self.cx, &planned, &path, prefix, outcome)));
            }
        }
        self.deliver(events);
    }
}
