//! `--delay-updates`: what waits for the end of the transfer, and how it gets its name then.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use super::consumer::Consumer;
use super::leader::Part;
use super::outcome::source_removed;
use super::worker::{Action, OpenDir, Shared};
use crate::apply::file::Place;
use crate::apply::{Failure, Remarks};
use crate::event::Event;
use crate::plan::look::Sources;

/// An entry that waits.
pub(super) struct Delayed {
    /// Its place in plan order: its batch's, and its own in that.
    pub(super) at: (u64, usize),
    pub(super) dir: Arc<OpenDir>,
    pub(super) sources: Arc<Sources>,
    pub(super) action: Action,
}

/// All that wait. Memory grows with the number of updated files, as with rsync.
#[derive(Default)]
pub(super) struct Waiters(Mutex<Vec<Delayed>>);

impl Waiters {
    /// Adds one; its directory does not end before it has been dealt with.
    pub(super) fn add(&self, delayed: Delayed) {
        delayed.dir.pending.fetch_add(1, Ordering::Relaxed);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(delayed);
    }

    fn take(&self) -> Vec<Delayed> {
        let mut all = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        all.sort_by_key(|delayed| delayed.at);
        all
    }
}

impl Consumer<'_, '_> {
    /// Gives all that wait their names, in plan order, once everything has been transferred. What waits in a
    /// run that is to stop is taken away.
    pub(super) fn end_delay(&mut self) {
        let mut delayed = self.shared.delayed.take().into_iter().peekable();
        while let Some(one) = delayed.next() {
            let mut events = Vec::new();
            self.shared.end_delay_of(&one, true, &mut events);
            let last = delayed.peek().is_none_or(|next| !Arc::ptr_eq(&next.dir, &one.dir));
            if last && let Ok(dir) = one.dir.held.get() {
                self.shared.applier.remove_holding(&dir);
            }
            self.deliver(events);
            self.release(&one.dir);
        }
    }
}

impl Shared<'_> {
    /// Takes away what waits still, when the workers have ended.
    pub(super) fn drop_delayed(&self) {
        for one in self.delayed.take() {
            self.end_delay_of(&one, false, &mut Vec::new());
            if let Ok(dir) = one.dir.held.get() {
                self.applier.remove_holding(&dir);
            }
            // The run ends with its own message.
            let _unheard = self.release(&one.dir);
        }
    }

    fn end_delay_of(&self, delayed: &Delayed, keep: bool, events: &mut Vec<Event>) {
        let Delayed { dir, sources, action, .. } = delayed;
        let both = self.both_sides(dir, sources);
        let path = dir.path.join(&action.planned.entry.name);
        let (mut remarks, mut removed) = (Remarks::default(), None);
        let done = both.place(action, &path).and_then(|place| {
            if !keep || self.halted() {
                self.applier.drop_held(&place);
                return Err(Failure::Stopped);
            }
            match &action.part {
                Part::Follows(leader) => self.link_to(leader, &place, &mut remarks)?,
                _ => self.applier.let_go(&place, &mut remarks)?,
            }
            if self.applier.options.remove_source_files {
                removed = self.remove_source(&place);
            }
            Ok(())
        });
        events.extend(remarks.notes.into_iter().map(Event::Note));
        events.extend(remarks.problems.into_iter().map(Event::Problem));
        events.extend(removed);
        if let Err(Failure::Problem(problem)) = done {
            events.push(Event::Problem(problem));
        }
    }

    /// `--remove-source-files`, once the entry has its name, on the disk.
    fn remove_source(&self, place: &Place<'_>) -> Option<Event> {
        let flushed = place.to.flush();
        let flushed = flushed.map_err(|e| self.applier.dest_failure("flush the directory of", place.path, e));
        source_removed(flushed.and_then(|()| place.supply.remove(place)), place.path)
    }
}
