//! The consumer: takes the plan in transfer order and turns it into work.
//!
//! It makes directories, deletes surplus where that is due, queues the rest in batches for the workers
//! (`session::batches`), and ends a directory when it has left it and its last batch is done.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use super::batches::BATCH_ACTIONS;
use super::deletion::{self, Deletions, When};
use super::destination::Destination;
use super::hard_links::Waiting;
use super::joined::Joined;
use super::leader::Leader;
use super::namesakes::Backups;
use super::outcome::{Outcome, item};
use super::receiver::{self, Receiver};
use super::selection::Selection;
use super::team::Team;
use super::worker::{OpenDir, Shared};
use crate::apply::Failure;
use crate::apply::remove::Removal;
use crate::event::{Change, Event, Item, Problem, Stats};
use crate::path::xattr::Inode;
use crate::path::{Attrs, HeldDir, Kind, Name, RelPath};
use crate::plan::ahead::{Ahead, Step};
use crate::plan::attached::{Attached, Differs};
use crate::plan::basis;
use crate::plan::compare::{self, Decision};
use crate::plan::filter::Scope;
use crate::plan::links::Groups;
use crate::plan::look::{At, Sources};
use crate::plan::visit::{Node, Planned, Visited, visit};
use crate::plan::{Context, Delete, listing as plan_listing};

/// A directory that the consumer is in.
pub(super) struct Frame {
    /// The destination's; `None` in a dry run that would have made it, or where it failed.
    pub(super) dest: Option<Arc<OpenDir>>,
    /// Nothing in or below it is done: it was skipped or could not be made.
    dead: bool,
    /// The peer's number for it, if a peer has the sources.
    number: Option<u32>,
}

/// See the module.
pub(super) struct Consumer<'r, 'c> {
    pub(super) run: &'r Receiver<'r>,
    pub(super) cx: &'c Context<'c>,
    pub(super) shared: &'r Shared<'r>,
    pub(super) team: Team<'r>,
    pub(super) next_seq: u64,
    pub(super) frames: Vec<Frame>,
    pub(super) groups: Groups<Waiting, Arc<Leader>>,
    pub(super) joined: Joined,
    pub(super) deletions: Deletions,
    pub(super) stats: Stats,
    /// The directory that the walk came to last.
    pub(super) at: RelPath,
    /// The walk counts what there is to do as it goes.
    pub(super) counts: bool,
    /// Begins to count what comes behind a directory in its place; returns whether it could.
    pub(super) count_rest: Option<&'r dyn Fn(RelPath) -> bool>,
}

impl Consumer<'_, '_> {
    pub(super) fn walk(
        &mut self,
        cx: &Context<'_>,
        root: Node,
        selection: &Selection,
        destination: &Destination,
        threads: usize,
    ) -> Result<(), Failure> {
        cx.begin_walk();
        let look = |node| visit(cx, node);
        let ahead = Ahead::new(&look, root);
        let mut asked = Instant::now();
        let done = ahead.helped(threads, || {
            let mut done = Ok(());
            loop {
                let step = ahead.next();
                self.stats.list_seconds += asked.elapsed().as_secs_f64();
                let Some(step) = step else { break };
                if self.shared.halted() {
                    done = Err(Failure::Stopped);
                    break;
                }
                done = match step {
                    Step::Enter(visited) => {
                        self.at = visited.path.clone();
                        if self.counts {
                            receiver::count(&visited, self.run.meter);
                        }
                        self.enter(*visited, selection, destination)
                    }
                    Step::Leave => {
                        self.leave();
                        Ok(())
                    }
                };
                if done.is_err() {
                    break;
                }
                asked = Instant::now();
            }
            done
        });
        self.count_rest = None;
        if done.is_ok() && self.counts {
            self.run.meter.total_known.store(true, Ordering::Release);
        }
        while !self.frames.is_empty() {
            self.leave();
        }
        self.finish_groups();
        done
    }

    /// Has a second walk find out how much is still to come, for a progress display: this one has to wait, and
    /// keeps no more of what lies ahead than it needs.
    pub(super) fn have_the_rest_counted(&mut self) {
        if let Some(count) = self.count_rest.take() {
            self.counts = !count(self.at.clone());
        }
    }

    /// Begins a directory: its own line, what is deleted in it, and its entries.
    pub(super) fn enter(
        &mut self,
        mut visited: Visited,
        selection: &Selection,
        destination: &Destination,
    ) -> Result<(), Failure> {
        let planned = visited.planned.take();
        let number = visited.sources.number();
        if self.frames.last().is_some_and(|frame| frame.dead) {
            self.frames.push(Frame { dest: None, dead: true, number });
            return Ok(());
        }
        let mut events = Vec::new();
        let frame = match &planned {
            None => self.enter_root(&visited, selection, destination, &mut events),
            Some(planned) => self.enter_child(&visited, planned, &mut events)?,
        };
        self.stats.io_error |= visited.incomplete;
        let dead = frame.dead;
        self.frames.push(frame);
        if self.run.options.only_batch && !dead {
            let attached =
                planned.as_ref().map_or(&selection.root_attached, |planned| &planned.entry.attached);
            let long = attached.as_ref().is_some_and(|attached| attached.long().1 > 0);
            if let (Some(fetch), Some(dir), true) = (self.shared.fetch, number, long) {
                fetch.collect_xattrs(dir, None)?;
            }
        }
        events.extend(visited.notes.drain(..).map(Event::Note));
        events.extend(visited.problems.drain(..).map(Event::Problem));
        if visited.incomplete {
            let mut told = Vec::new();
            self.deletions.block(&mut told);
            if self.cx.options.delete != Delete::Off {
                events.extend(told);
            }
        }
        if dead {
            self.deliver(events);
            return Ok(());
        }
        let mut backups = Backups::default();
        if !visited.surplus.is_empty() {
            let when = match self.cx.options.delete {
                Delete::Delay | Delete::After => When::Later,
                _ => When::Now,
            };
            if when == When::Now {
                self.touch();
                self.note_deleted(&visited.surplus, &mut backups);
            }
            let own = planned.as_ref().map_or(selection.root, |planned| Some(planned.entry.attrs));
            let time = own.map(|attrs| attrs.mtime);
            let done = self
                .deletions
                .in_directory(self.shared.applier, &mut visited, time, when, &mut |e| events.push(e));
            self.deliver(events);
            done?;
        } else {
            self.deliver(events);
        }
        self.tidy_partials(&visited);
        self.entries(visited, backups)
    }

    /// Removes partial files of entries that are as they should be: nothing will go on with them.
    fn tidy_partials(&self, visited: &Visited) {
        let Some(Ok(dest)) = visited.dest.as_ref().map(|held| held.get()) else { return };
        let done = visited.entries.iter().filter(|planned| {
            planned.entry.attrs.kind == Kind::File
                && matches!(planned.decision, Decision::Unchanged | Decision::Attributes(_))
        });
        let done = done.map(|planned| planned.entry.target());
        if !self.run.options.dry_run && self.shared.applier.tidy_partials(&dest, &visited.path, done) {
            self.touch();
        }
    }

    fn enter_root(
        &mut self,
        visited: &Visited,
        selection: &Selection,
        destination: &Destination,
        events: &mut Vec<Event>,
    ) -> Frame {
        let mut finish = None;
        // A backup directory may be made in it.
        let disturbed = self.run.options.apply.backup_dir.is_some();
        let attached = selection.root_attached.clone();
        if let Some(attrs) = selection.root {
            let attrs = plan_listing::root_attrs(self.cx.options, self.cx.umask, attrs);
            // As it is now: --delete-before may have been at work in it.
            let seen = |held: &Arc<HeldDir>| self.cx.dest_face().of_dir(&*held.get().ok()?).ok();
            let now = visited.dest.as_ref().and_then(seen);
            let differs = self.root_differs(visited, attached.as_deref(), &attrs);
            let change = match destination.before.and(now) {
                Some(now) => {
                    let Differs { acl, xattrs } = differs;
                    Change { acl, xattrs, ..compare::attributes(self.cx, &attrs, &now) }
                }
                None => basis::root_change(self.cx, &attrs, attached.as_deref()),
            };
            self.run.meter.checked.fetch_add(1, Ordering::Relaxed);
            self.stats.files.add(Kind::Dir);
            if change.new {
                self.stats.created.add(Kind::Dir);
            }
            // rsync's dry run says nothing of a root that --existing would keep from being filled.
            let pretended = self.run.options.dry_run && self.cx.options.existing && change.new;
            let shown = (self.run.options.report_unchanged || !change.is_none()) && !pretended;
            if self.shared.order.wants_items() && shown {
                events.push(Event::Item(root_item(&attrs, change, selection)));
            }
            finish = Some((attrs, destination.before, !change.is_none() || disturbed));
        }
        let dest = visited.dest.as_ref().filter(|_| !self.run.options.dry_run).map(|held| {
            let touched = AtomicBool::new(finish.as_ref().is_some_and(|(_, _, differs)| *differs));
            if let Some(before) = &destination.before {
                self.shared.applier.unlock_flags(held, &RelPath::root());
                self.shared.applier.unlock_dir(held, before);
            }
            if let Some((attrs, ..)) = &finish {
                self.shared.applier.settle_group(held, attrs);
            }
            Arc::new(OpenDir {
                held: Arc::clone(held),
                path: RelPath::root(),
                number: visited.sources.number(),
                finish: finish.map(|(attrs, before, _)| (attrs, before)),
                attached: attached.map(|attached| (attached, root_sources(visited, selection))),
                touched,
                pending: AtomicUsize::new(1),
            })
        });
        Frame { dest, dead: false, number: visited.sources.number() }
    }

    /// In what is attached to the root the two sides differ.
    fn root_differs(&self, visited: &Visited, attached: Option<&Attached>, attrs: &Attrs) -> Differs {
        let dir = visited.dest.as_ref().and_then(|held| held.get().ok());
        let (Some(dir), Some(attached)) = (dir, attached) else { return Differs::default() };
        let face = self.cx.dest_face();
        let seen = face.of_dir(&dir).unwrap_or(*attrs);
        attached.compare(Inode::dir(&dir).seen(face), &seen, |name| self.cx.touches_xattr(name))
    }

    fn enter_child(
        &mut self,
        visited: &Visited,
        planned: &Planned,
        events: &mut Vec<Event>,
    ) -> Result<Frame, Failure> {
        let entry = &planned.entry;
        let number = visited.sources.number();
        let dead = Frame { dest: None, dead: true, number };
        self.run.meter.checked.fetch_add(1, Ordering::Relaxed);
        self.stats.files.add(Kind::Dir);
        let change = match &planned.decision {
            Decision::Skip(note) => {
                events.push(Event::Note((**note).clone()));
                return Ok(dead);
            }
            // The last two are not for directories.
            Decision::Unchanged | Decision::Link | Decision::Elsewhere => Change::NONE,
            Decision::Attributes(change)
            | Decision::Make(change)
            | Decision::Transfer(change)
            | Decision::Copy(change) => *change,
        };
        let existing = planned.dest.filter(|dest| dest.kind == Kind::Dir);
        if existing.is_some() && visited.dest.is_none() {
            // It exists and could not be opened: reported with the listing.
            return Ok(dead);
        }
        let implied = entry.implied && !self.run.options.implied_dirs;
        let shown = !implied && (self.run.options.report_unchanged || !change.is_none());
        if self.shared.order.wants_items() && shown {
            let prefix = visited.sources.prefix(0);
            let outcome = Outcome { change, ..Outcome::default() };
            events.push(Event::Item(item(self.cx, planned, &visited.path, prefix, outcome)));
        }
        if change.new {
            self.stats.created.add(Kind::Dir);
        }
        if self.run.options.dry_run {
            return Ok(Frame { dest: None, dead: false, number });
        }
        let held = match &visited.dest {
            Some(held) => {
                if let Some(before) = &existing {
                    self.shared.applier.unlock_flags(held, &visited.path);
                    self.shared.applier.unlock_dir(held, before);
                }
                Arc::clone(held)
            }
            None => match self.make_dir(planned, &visited.path) {
                Ok(held) => {
                    if implied {
                        self.shared.applier.default_dir_mode(&held);
                    }
                    held
                }
                Err(Failure::Problem(problem)) => {
                    if change.new {
                        self.stats.created.dir -= 1;
                    }
                    events.push(Event::Problem(problem));
                    return Ok(dead);
                }
                Err(stopped) => return Err(stopped),
            },
        };
        if !implied {
            self.shared.applier.settle_group(&held, &entry.attrs);
        }
        let dir = OpenDir {
            held,
            path: visited.path.clone(),
            number: visited.sources.number(),
            finish: (!implied).then_some((entry.attrs, existing)),
            attached: entry.attached.clone().map(|attached| (attached, visited.sources.clone())),
            touched: AtomicBool::new(!change.is_none()),
            pending: AtomicUsize::new(1),
        };
        Ok(Frame { dest: Some(Arc::new(dir)), dead: false, number })
    }

    /// Makes a directory in the current one, in place of whatever else has its name.
    fn make_dir(&mut self, planned: &Planned, path: &RelPath) -> Result<Arc<HeldDir>, Failure> {
        let Some(parent) = self.frames.last().and_then(|frame| frame.dest.clone()) else {
            return Err(Failure::Stopped);
        };
        parent.touched.store(true, Ordering::Relaxed);
        let name = planned.entry.target();
        if planned.dest.is_some() {
            if planned.entry.implied && !self.run.options.implied_dirs {
                // It is no part of the transfer, so nothing is removed for it.
                let text = "something else is where a directory of the path should be";
                return Err(Problem::text("mkdir", &self.cx.dest_typed(path), text).into());
            }
            self.shared.applier.clear_for_dir(&parent.held, name, path)?;
        }
        self.shared.applier.make_dir(&parent.held, name, path)
    }

    /// Makes way where the destination has a directory and the source something else.
    pub(super) fn make_way(
        &mut self,
        planned: &Planned,
        path: &RelPath,
        dir: Option<&Arc<OpenDir>>,
        scope: &Scope,
    ) -> Result<bool, Failure> {
        let dry_run = self.run.options.dry_run;
        let options = self.run.plan;
        let force = options.force || options.delete != Delete::Off;
        let path = path.join(&planned.entry.name);
        let parent = match dir {
            Some(dir) => Arc::clone(&dir.held),
            // In a dry run the directory of an existing entry exists too, but is not kept: find it again.
            None => match self.dry_parent(&path) {
                Some(held) => held,
                None => return Ok(true),
            },
        };
        let mut events = Vec::new();
        let mut tell = |event| events.push(event);
        let mut removal = Removal {
            dry_run,
            contents_only: false,
            allowance: &mut self.deletions.allowance,
            tell: &mut tell,
        };
        let name = planned.entry.target();
        let free = self.shared.applier.make_way(&parent, name, &path, force, scope, &mut removal);
        if let Ok(false) = free {
            let what = match planned.entry.attrs.kind {
                Kind::File => "new regular file",
                Kind::Symlink => "new symlink",
                Kind::CharDevice | Kind::BlockDevice => "new device file",
                _ => "new special file",
            };
            let text = format!("a directory that is not empty is in the way of a {what}");
            let problem = Problem::text("replace", &self.cx.dest_typed(&path), text);
            events.push(Event::Problem(problem.hint("--force or --delete would remove its contents")));
        }
        if !dry_run {
            self.touch();
        }
        self.deliver(events);
        free
    }

    fn dry_parent(&self, path: &RelPath) -> Option<Arc<HeldDir>> {
        let mut at = Arc::clone(self.cx.dest_root.as_ref()?);
        let names: Vec<Name> = path.components().collect();
        for name in &names[..names.len().saturating_sub(1)] {
            at = self.cx.open_dest_child(&at, name).ok()?;
        }
        Some(at)
    }

    /// Something is done in the current directory, so its time has to be set again.
    fn touch(&self) {
        if let Some(dir) = self.frames.last().and_then(|frame| frame.dest.as_ref()) {
            dir.touched.store(true, Ordering::Relaxed);
        }
    }

    /// Ends a directory: its attributes are set now or when its last batch is done.
    fn leave(&mut self) {
        match self.frames.pop() {
            Some(Frame { dest: Some(dir), .. }) => self.release(&dir),
            Some(Frame { number, .. }) => self.shared.done(number),
            None => {}
        }
    }

    /// Ends one of the uses of a directory, and tells what its end has to tell.
    pub(super) fn release(&mut self, dir: &OpenDir) {
        let events = self.shared.release(dir);
        if !events.is_empty() {
            self.deliver(events);
        }
    }

    pub(super) fn delete_everywhere(
        &mut self,
        cx: &Context<'_>,
        root: Node,
        threads: usize,
    ) -> Result<(), Failure> {
        let applier = self.shared.applier;
        self.deletions.times_show = true;
        self.delete(|deletions, tell| deletions.everywhere(applier, cx, root, threads, tell))
    }

    pub(super) fn delete_delayed(&mut self, rules: Option<&Scope>) -> Result<(), Failure> {
        let applier = self.shared.applier;
        self.delete(|deletions, tell| deletions.delayed(applier, rules, tell))
    }

    /// Has the deletions done by `work`, and tells of them as they are made.
    pub(super) fn delete(
        &mut self,
        work: impl FnOnce(&mut Deletions, &mut dyn FnMut(Event)) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let mut events = Vec::new();
        let mut deletions = std::mem::replace(&mut self.deletions, Deletions::new(true, false, None));
        let done = work(&mut deletions, &mut |event| {
            events.push(event);
            if events.len() >= BATCH_ACTIONS {
                self.deliver(std::mem::take(&mut events));
            }
        });
        self.deletions = deletions;
        self.deliver(events);
        done
    }

    pub(super) fn deliver(&mut self, mut events: Vec<Event>) {
        self.shared.note_full(&mut events);
        let mut stats = std::mem::take(&mut self.stats);
        for event in &events {
            deletion::count_deleted(&mut stats, event);
        }
        let seq = self.take_seq();
        let io_error = stats.io_error;
        self.shared.order.deliver(seq, events, |total| total.add(&stats));
        self.stats.io_error = io_error;
    }

    pub(super) fn take_seq(&mut self) -> u64 {
        let seq = self.next_seq;
        self.next_seq += 1;
        self.shared.order.wait_for_room(seq);
        seq
    }

    /// Waits until everything queued so far has been carried out and told.
    pub(super) fn wait(&self) {
        self.shared.order.wait_until(self.next_seq);
    }

    /// Locks what is to be locked, everything else being done (`--fileflags`).
    pub(super) fn lock_flags(&mut self) {
        self.wait();
        let problems = self.shared.applier.lock_all();
        self.deliver(problems.into_iter().map(Event::Problem).collect());
    }

    /// Tells what is left to tell and lets the workers end.
    pub(super) fn close(mut self) {
        let mut last = Vec::new();
        if let Some(note) = self.deletions.stopped() {
            last.push(Event::Note(note));
        }
        self.deliver(last);
        self.wait();
    }
}

/// Where the long values of what is attached to the root are: its first source is the one that gives it its
/// attributes.
fn root_sources(visited: &Visited, selection: &Selection) -> Sources {
    let mut sources = visited.sources.clone();
    if let At::Here(dirs) = &mut sources.at {
        *dirs = dirs.get(selection.root_source).cloned().into_iter().collect();
    }
    sources
}

pub(super) fn root_item(attrs: &Attrs, change: Change, selection: &Selection) -> Item {
    Item {
        path: RelPath::root(),
        source: selection.prefixes.first().map(|prefix| prefix.to_vec()).unwrap_or_default(),
        attrs: *attrs,
        change,
        link: None,
        moved: 0,
        digest: None,
    }
}
