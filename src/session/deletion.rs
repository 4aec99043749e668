//! Deletion in a run: when it happens, how much of it may, and what stops it.
//!
//! `--delete-during` deletes in each directory as the run reaches it. `--delete-before` is a walk of its
//! own, and so is counting for `--delete-limit`. `--delete-delay` and `--delete-after` remember what they
//! found and delete at the end, the latter by the rules that the destination's filter files hold then.
//! The sources are not listed again for that: by then they may have been removed, and what was copied
//! from them would count as surplus.

use std::sync::Arc;

use crate::apply::remove::{Allowance, Removal};
use crate::apply::{Applier, Failure};
use crate::event::{Event, Note, Problem, Severity, Stats};
use crate::path::{HeldDir, RelPath, Time};
use crate::plan::ahead::{Ahead, Step};
use crate::plan::compare;
use crate::plan::filter::Scope;
use crate::plan::source;
use crate::plan::surplus::{self, Surplus};
use crate::plan::visit::{Node, Visited, visit};
use crate::plan::{Context, Delete, Options};

/// What is surplus in one directory.
struct Found {
    dir: Arc<HeldDir>,
    path: RelPath,
    scope: Scope,
    surplus: Vec<Surplus>,
    /// The source's time, in the transfer.
    time: Option<Time>,
}

/// When what was found in a directory is deleted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum When {
    /// At once; the directory gets its time when the run leaves it.
    Now,
    /// At the end of the run.
    Later,
}

/// The deletions of one run.
pub struct Deletions {
    dry_run: bool,
    ignore_errors: bool,
    /// How many may still be made.
    pub allowance: Allowance,
    /// Directories show that something was deleted in them: the run compares them afterwards.
    pub times_show: bool,
    blocked: bool,
    delayed: Vec<Found>,
}

/// What a walk through the surplus found.
#[derive(Clone, Copy, Default, Debug)]
pub struct Census {
    /// Entries that would go.
    pub surplus: u64,
    /// Entries of the destination that the walk met, those included.
    pub entries: u64,
}

impl Deletions {
    /// Whether nothing is really deleted.
    #[must_use]
    pub fn dry_run(&self) -> bool {
        self.dry_run
    }

    /// None made yet.
    #[must_use]
    pub fn new(dry_run: bool, ignore_errors: bool, max_delete: Option<u64>) -> Deletions {
        let allowance = Allowance { left: max_delete, skipped: 0 };
        Deletions {
            dry_run,
            ignore_errors,
            allowance,
            times_show: false,
            blocked: false,
            delayed: Vec::new(),
        }
    }

    /// Nothing is deleted any more, and why is told once: the source could not be read completely.
    pub fn block(&mut self, events: &mut Vec<Event>) {
        if !self.blocked && !self.ignore_errors {
            self.blocked = true;
            events.push(Event::Note(Note::DeletionSkippedIoError));
        }
    }

    /// Deletes what is surplus in `visited`, whose source has the time `time`, or remembers it for later.
    ///
    /// # Errors
    ///
    /// Only that the run is to stop.
    pub fn in_directory(
        &mut self,
        applier: &Applier<'_>,
        visited: &mut Visited,
        time: Option<Time>,
        when: When,
        tell: &mut dyn FnMut(Event),
    ) -> Result<(), Failure> {
        let Some(dest) = &visited.dest else { return Ok(()) };
        let surplus = std::mem::take(&mut visited.surplus);
        if self.blocked || surplus.is_empty() {
            return Ok(());
        }
        let (dir, path, scope) = (Arc::clone(dest), visited.path.clone(), visited.receiver.clone());
        let found = Found { dir, path, scope, surplus, time };
        if when == When::Later {
            self.delayed.push(found);
            return Ok(());
        }
        self.delete(applier, found, when, tell)
    }

    /// Deletes what was remembered, less what the rules protect by now if `rules`, those above the
    /// destination's root, are given.
    ///
    /// # Errors
    ///
    /// Only that the run is to stop.
    pub fn delayed(
        &mut self,
        applier: &Applier<'_>,
        rules: Option<&Scope>,
        tell: &mut dyn FnMut(Event),
    ) -> Result<(), Failure> {
        let mut found = std::mem::take(&mut self.delayed);
        if self.blocked {
            return Ok(());
        }
        if let Some(rules) = rules {
            for found in &mut found {
                match rules_now(applier, rules, &found.path) {
                    Ok(scope) => found.scope = scope,
                    Err(problem) => {
                        tell(Event::Problem(problem));
                        found.surplus.clear();
                    }
                }
                let Found { path, scope, surplus, .. } = found;
                surplus.retain(|what| {
                    let note = surplus::protected(&path.join(&what.name), what.kind, scope);
                    note.map(|note| tell(Event::Note(note))).is_none()
                });
            }
        }
        found.into_iter().try_for_each(|found| self.delete(applier, found, When::Later, tell))
    }

    /// Walks the whole tree and deletes all surplus, before the transfer. Nothing is deleted before all
    /// has been listed, so that an unreadable source prevents everything.
    ///
    /// # Errors
    ///
    /// Only that the run is to stop.
    pub fn everywhere(
        &mut self,
        applier: &Applier<'_>,
        cx: &Context<'_>,
        root: Node,
        threads: usize,
        tell: &mut dyn FnMut(Event),
    ) -> Result<(), Failure> {
        walk(cx, root, threads, |mut visited| {
            if visited.incomplete {
                let mut events = Vec::new();
                self.block(&mut events);
                events.into_iter().for_each(&mut *tell);
            }
            self.in_directory(applier, &mut visited, None, When::Later, tell)
        })?;
        self.delayed(applier, None, tell)
    }

    /// Counts without deleting (`--delete-limit`).
    ///
    /// # Errors
    ///
    /// Only that the run is to stop.
    pub fn count(
        applier: &Applier<'_>,
        cx: &Context<'_>,
        root: Node,
        threads: usize,
    ) -> Result<Census, Failure> {
        let mut found = Census::default();
        let mut counting = Deletions::new(true, cx.options.ignore_errors, None);
        walk(cx, root, threads, |mut visited| {
            if visited.incomplete {
                counting.block(&mut Vec::new());
            }
            found.entries += visited.entries.iter().filter(|planned| planned.dest.is_some()).count() as u64;
            found.entries += u64::from(visited.dest.is_some() && !visited.path.is_root());
            let mut tell = |event| {
                if let Event::Deleted { .. } = event {
                    found.surplus += 1;
                    found.entries += 1;
                }
            };
            counting.in_directory(applier, &mut visited, None, When::Now, &mut tell)
        })?;
        Ok(found)
    }

    /// What `--max-delete` left undone.
    #[must_use]
    pub fn stopped(&self) -> Option<Note> {
        (self.allowance.skipped > 0).then_some(Note::DeletionsStopped(self.allowance.skipped))
    }

    fn delete(
        &mut self,
        applier: &Applier<'_>,
        found: Found,
        when: When,
        tell: &mut dyn FnMut(Event),
    ) -> Result<(), Failure> {
        let Found { dir, path, scope, surplus, time } = found;
        let dry_run = self.dry_run;
        let attrs = || dir.get().and_then(|dir| dir.attrs()).ok();
        let before = if dry_run || when == When::Now || self.times_show { None } else { attrs() };
        for what in surplus {
            let path = path.join(&what.name);
            let mut removal = Removal { dry_run, contents_only: false, allowance: &mut self.allowance, tell };
            applier.remove(&dir, what, path, &scope, &mut removal)?;
        }
        // With --max-delete nothing may have been deleted.
        if let Some(mut before) = before.filter(|before| attrs().is_none_or(|now| now.mtime != before.mtime))
        {
            // What counts as the same was not set before, and may be so much off; now it is touched in any case.
            let options = applier.cx.options;
            before.mtime =
                time.filter(|time| compare::same_time(options, *time, before.mtime)).unwrap_or(before.mtime);
            applier
                .restore_time(&dir, &before, &path)
                .unwrap_or_else(|problem| tell(Event::Problem(problem)));
        }
        Ok(())
    }
}

/// The rules that apply in the destination's directory `path` now.
fn rules_now(applier: &Applier<'_>, above: &Scope, path: &RelPath) -> Result<Scope, Problem> {
    let cx = applier.cx;
    let unreadable = |at: &RelPath, text: String| Problem::text("read filter rules in", at.as_bytes(), text);
    if !above.needs_enter() {
        return Ok(above.clone());
    }
    let Some(mut held) = cx.dest_root.clone() else { return Ok(above.clone()) };
    let mut at = RelPath::root();
    let mut scope = source::enter(&held, &at, above).map_err(|e| unreadable(&at, e.to_string()))?;
    for name in path.components() {
        held = cx.open_dest_child(&held, &name).map_err(|e| Problem::os("open", at.as_bytes(), e))?;
        at = at.join(&name);
        scope = source::enter(&held, &at, &scope).map_err(|e| unreadable(&at, e.to_string()))?;
    }
    Ok(scope)
}

/// The options of a walk that only looks for surplus.
#[must_use]
pub fn surplus_only(options: &Options) -> Options {
    Options { delete: Delete::During, checksum: false, ..options.clone() }
}

/// Adds a deletion to the figures.
pub fn count_deleted(stats: &mut Stats, event: &Event) {
    if let Event::Deleted { kind, .. } = event {
        stats.deleted.add(*kind);
    }
}

/// The refusal of a plan that deletes too much.
#[must_use]
pub fn refusal(dest: &[u8], found: Census, limit: &str) -> Problem {
    let text = format!(
        "the plan would delete {} of {} entries, more than --delete-limit={limit}; nothing was touched",
        found.surplus, found.entries
    );
    Problem::text("delete in", dest, text)
        .severity(Severity::Refused)
        .hint("look at it with --dry-run --itemize-changes, then raise the limit if it is meant")
}

fn walk(
    cx: &Context<'_>,
    root: Node,
    threads: usize,
    mut each: impl FnMut(Visited) -> Result<(), Failure>,
) -> Result<(), Failure> {
    cx.begin_walk();
    let look = |node| visit(cx, node);
    let ahead = Ahead::new(&look, root);
    ahead.helped(threads, || {
        let mut result = Ok(());
        while let Some(step) = ahead.next() {
            // What was listed after the wish to stop is not complete.
            result = if cx.meter.stopped() { Err(Failure::Stopped) } else { Ok(()) };
            if let (Ok(()), Step::Enter(visited)) = (&result, step) {
                result = each(*visited);
            }
            if result.is_err() {
                break;
            }
        }
        result
    })
}
