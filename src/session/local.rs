//! Both roles in one process: the plan's decisions are carried out as they are made.
//!
//! 1. The operands are resolved and held ([`selection`]); what must be refused is refused here.
//! 2. [`Ahead`] walks the tree on a few threads. This thread, the consumer, takes its results in transfer
//!    order: it makes directories, deletes surplus, sorts out hard links, and queues what is to be done
//!    with everything else in batches for the workers.
//! 3. Workers carry batches out (`session::worker`). What there is to tell goes through the
//!    [`Sequencer`], which restores plan order.
//! 4. When the consumer has left a directory and its last batch is done, it gets its attributes.
//!
//! A dry run is the same, but that the consumer tells what a worker would have told.

use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use super::deletion::{self, Deletions, When};
use super::destination::{self, Destination};
use super::order::Sequencer;
use super::pace::Pacer;
use super::selection::{self, Selection};
use super::worker::{Action, Batch, Leader, OpenDir, Outcome, Part, Shared, item, link_outcome};
use super::{DeleteLimit, Ended, Options, Summary, listing, mounts};
use crate::apply::backup::BackupRoot;
use crate::apply::remove::Removal;
use crate::apply::{Applier, Failure};
use crate::engine::{Engine, Pace};
use crate::event::{Change, Event, Meter, Observer, Problem, Severity, Stats, Update};
use crate::path::held::Budget;
use crate::path::{Attrs, HeldDir, Kind, Name, RelPath, operand};
use crate::plan::ahead::{Ahead, Step};
use crate::plan::compare::{self, Decision};
use crate::plan::filter::{Scope, Side};
use crate::plan::links::{Groups, Role};
use crate::plan::source::SourceDir;
use crate::plan::visit::{Dest, Node, Planned, Visited};
use crate::plan::{Context, Delete, listing as plan_listing};

/// Actions that one batch may hold; more would make workers wait for each other.
const BATCH_ACTIONS: usize = 64;

/// Bytes that one batch may hold before it goes out, so that large files are spread over the workers.
const BATCH_BYTES: u64 = 4 << 20;

/// Runs a local transfer (or listing) and tells `observer` about it in plan order.
///
/// # Errors
///
/// The operands or options can never be right: a message for the user; nothing was touched, exit 1.
pub fn run(options: &Options, meter: &Meter, observer: &dyn Observer) -> Result<Summary, String> {
    let budget = Budget::new(operand::raise_descriptor_limit() / 2);
    let selection = selection::select(options, &budget)?;
    let engine = Engine::new(options.engine);
    let pacer = Pacer::new(meter, options.apply.bwlimit, options.deadline);
    let order = Sequencer::new(observer);
    let run = Prepared {
        options,
        plan: &options.plan,
        budget,
        engine: &engine,
        pacer: &pacer,
        order: &order,
        meter,
    };
    let ended = run.begin(selection);
    let (stats, worst) = order.totals();
    Ok(Summary { stats, ledger: engine.ledger().snapshot(), worst, ended })
}

struct Prepared<'a> {
    options: &'a Options,
    plan: &'a crate::plan::Options,
    budget: Arc<Budget>,
    engine: &'a Engine,
    pacer: &'a Pacer<'a>,
    order: &'a Sequencer<'a>,
    meter: &'a Meter,
}

impl Prepared<'_> {
    fn begin(&self, mut selection: Selection) -> Ended {
        let mut events: Vec<Event> = selection.notes.drain(..).map(Event::Note).collect();
        events.extend(selection.problems.drain(..).map(Event::Problem));
        let mut seq = 0;
        let mut deliver = |events: Vec<Event>| {
            self.order.deliver(seq, events, |_| {});
            seq += 1;
            seq
        };
        deliver(events);
        if selection.sources.is_empty() {
            return Ended::Complete;
        }
        let Some(dest) = &self.options.dest else {
            let digest = |_: BorrowedFd<'_>, _: u64| None;
            let cx = self.context(&Destination::none(), &selection, &digest);
            let root = match self.root(&selection, None) {
                Ok(root) => root,
                Err(problem) => {
                    deliver(vec![Event::Problem(problem)]);
                    return Ended::Aborted;
                }
            };
            if let Some(attrs) = selection.root {
                let mut stats = Stats::default();
                stats.files.add(Kind::Dir);
                let item = root_item(&plan_listing::root_attrs(&cx, attrs), Change::NONE, &selection);
                self.order.deliver(1, vec![Event::Item(item)], |total| total.add(&stats));
                listing::list(&cx, root, self.order, 2);
            } else {
                listing::list(&cx, root, self.order, 1);
            }
            return Ended::Complete;
        };
        if let Some(problem) = self.mount_refusal(&selection) {
            deliver(vec![Event::Problem(problem)]);
            return Ended::Aborted;
        }
        let destination = match destination::resolve(self.options, dest, &selection, &self.budget) {
            Ok(destination) => destination,
            Err(problem) => {
                deliver(vec![Event::Problem(problem)]);
                return Ended::Aborted;
            }
        };
        let start = deliver(destination.notes.iter().cloned().map(Event::Note).collect());
        self.transfer(&selection, &destination, start)
    }

    /// A known mount point without its filesystem is neither a source to delete by nor a destination.
    fn mount_refusal(&self, selection: &Selection) -> Option<Problem> {
        if !self.options.mount_check {
            return None;
        }
        let refuse = |typed: &[u8], point: &[u8]| {
            let point = crate::path::escape(point);
            let text = format!("{point} should be mounted (/etc/fstab) and is not; nothing was touched");
            Problem::text("use", typed, text)
                .severity(Severity::Refused)
                .hint("mount it, or say --no-mount-check")
        };
        if self.plan.delete != Delete::Off {
            for source in &selection.sources {
                let path = source.held.get().and_then(|dir| operand::kernel_path(&dir));
                if let Some(point) = path.ok().and_then(|path| mounts::missing_mount(&path)) {
                    return Some(refuse(&source.prefix, &point));
                }
            }
        }
        let dest = self.options.dest.as_ref()?;
        let path = operand::nearest_path(dest)?;
        mounts::missing_mount(&path).map(|point| refuse(dest.as_encoded_bytes(), &point))
    }

    fn context<'c>(
        &'c self,
        destination: &Destination,
        selection: &Selection,
        digest: &'c (dyn Fn(BorrowedFd<'_>, u64) -> Option<[u8; 32]> + Sync),
    ) -> Context<'c> {
        let identity = destination.root.as_ref().map(|root| root.identity());
        let is_dest = |source: &SourceDir| Some(source.held.identity()) == identity;
        let copies_onto_itself = selection.root.is_some() && selection.sources.iter().any(is_dest);
        let source_parents = match identity {
            Some(identity) if self.plan.delete != Delete::Off => selection
                .sources
                .iter()
                .filter(|source| !is_dest(source))
                .flat_map(|source| selection::parents_below(&source.held, identity))
                .collect(),
            _ => Vec::new(),
        };
        let me = operand::identity();
        Context {
            options: self.plan,
            umask: operand::umask(),
            root: me.root,
            groups: me.groups,
            dest_root: destination.root.clone(),
            dest_identity: identity,
            copies_onto_itself,
            source_parents,
            root_rename: destination.rename.clone(),
            protected: Scope::root(&self.options.filter, Side::Receiver),
            dest_prefix: self.options.dest.as_ref().map(|d| d.as_encoded_bytes().into()).unwrap_or_default(),
            digest,
        }
    }

    fn root(&self, selection: &Selection, dest: Option<&Arc<HeldDir>>) -> Result<Node, Problem> {
        let sources = &selection.sources;
        let there = dest.and_then(|held| operand::kernel_path(&*held.get().ok()?).ok());
        let there = there.map(|path| (path.clone(), path));
        Ok(Node {
            name: None,
            planned: None,
            parents: sources.clone(),
            source_members: sources.iter().enumerate().map(|(i, s)| (i, s.members.clone())).collect(),
            dest: dest.map_or(Dest::Absent, |held| Dest::Held(Arc::clone(held))),
            receiver: selection::scope(&self.options.filter, Side::Receiver, there)?,
        })
    }

    fn transfer(&self, selection: &Selection, destination: &Destination, start: u64) -> Ended {
        let digest = |fd: BorrowedFd<'_>, len: u64| {
            self.engine.digest(fd, len, self.pacer as &dyn Pace).ok().map(|digest| digest.0)
        };
        let cx = self.context(destination, selection, &digest);
        let fail = |problem: Problem| {
            self.order.deliver(start, vec![Event::Problem(problem)], |_| {});
            Ended::Aborted
        };
        if self.options.apply.remove_source_files && cx.copies_onto_itself {
            let text =
                "source and destination are the same directory: removing sources would remove everything";
            return fail(Problem::text("use", &cx.dest_prefix, text).severity(Severity::FileSelection));
        }
        let root = match self.root(selection, destination.root.as_ref()) {
            Ok(root) => root,
            Err(problem) => return fail(problem),
        };
        let own = match self.own_dirs(destination) {
            Ok(own) => own,
            Err(problem) => return fail(problem),
        };
        let applier = Applier {
            options: &self.options.apply,
            cx: &cx,
            engine: self.engine,
            pace: self.pacer,
            meter: self.meter,
            backup_root: own.backup.as_ref(),
            temp_root: own.temp,
        };
        let surplus_plan = deletion::surplus_only(self.plan);
        let surplus_cx = Context { options: &surplus_plan, ..self.context(destination, selection, &digest) };
        let threads = self.options.jobs.clamp(1, 4);
        if let (Some(limit), true) = (self.options.delete_limit, self.plan.delete != Delete::Off) {
            match Deletions::count(&applier, &surplus_cx, root.clone(), threads) {
                Ok(found) => {
                    let (over, limit) = match limit {
                        DeleteLimit::Count(most) => (found.surplus > most, most.to_string()),
                        DeleteLimit::Percent(most) => {
                            let (part, whole) = (u128::from(found.surplus), u128::from(found.entries.max(1)));
                            (part * 100 > whole * u128::from(most), format!("{most}%"))
                        }
                    };
                    if over {
                        return fail(deletion::refusal(&cx.dest_prefix, found, &limit));
                    }
                }
                Err(_) => return Ended::Stopped,
            }
        }
        let main_plan = match self.plan.delete {
            // A walk of its own deletes before the one that transfers.
            Delete::Before => crate::plan::Options { delete: Delete::Off, ..self.plan.clone() },
            _ => self.plan.clone(),
        };
        let main_cx = Context { options: &main_plan, ..self.context(destination, selection, &digest) };
        let shared = Shared {
            applier: &applier,
            order: self.order,
            pacer: self.pacer,
            report_unchanged: self.options.report_unchanged,
            full: AtomicBool::new(false),
        };
        std::thread::scope(|scope| {
            let counting = self.options.count_ahead.then(|| {
                let root = root.clone();
                let main_cx = &main_cx;
                let listed_root = u64::from(selection.root.is_some());
                self.meter.total_entries.store(listed_root, Ordering::Relaxed);
                scope.spawn(move || count_ahead(main_cx, root, self.meter))
            });
            let (queue, batches) = crossbeam_channel::bounded(self.options.jobs.max(1) * 4);
            if !self.options.dry_run {
                for _ in 0..self.options.jobs.max(1) {
                    let batches = batches.clone();
                    scope.spawn(|| {
                        let batches = batches;
                        shared.work(&batches);
                    });
                }
            }
            drop(batches);
            let mut consumer = Consumer {
                run: self,
                cx: &main_cx,
                shared: &shared,
                queue,
                next_seq: start,
                frames: Vec::new(),
                groups: Groups::new(),
                deletions: Deletions::new(
                    self.options.dry_run,
                    self.plan.ignore_errors,
                    self.options.apply.max_delete,
                ),
                stats: Stats::default(),
            };
            let mut done = Ok(());
            if self.plan.delete == Delete::Before {
                done = consumer.delete_everywhere(&surplus_cx, root.clone(), threads);
            }
            if done.is_ok() {
                done = consumer.walk(&main_cx, root.clone(), selection, destination, threads);
            }
            consumer.wait();
            if done.is_ok() && !shared.halted() {
                done = match self.plan.delete {
                    Delete::After => consumer.delete_delayed(Some(&root.receiver)),
                    Delete::Delay => consumer.delete_delayed(None),
                    _ => Ok(()),
                };
            }
            consumer.close();
            drop(counting);
            if self.pacer.late() && !self.meter.stopped() {
                Ended::Deadline
            } else if self.meter.stopped() || done.is_err() {
                Ended::Stopped
            } else if shared.full.load(Ordering::Relaxed) {
                Ended::Aborted
            } else {
                Ended::Complete
            }
        })
    }

    /// Opens `--backup-dir` and `--temp-dir`: relative ones are below the destination.
    fn own_dirs(&self, destination: &Destination) -> Result<OwnDirs, Problem> {
        let mut own = OwnDirs::default();
        if self.options.dry_run {
            return Ok(own);
        }
        let below = |typed: &std::ffi::OsString| match &self.options.dest {
            Some(dest) if !typed.as_encoded_bytes().starts_with(b"/") && destination.rename.is_none() => {
                let mut path = dest.clone();
                path.push("/");
                path.push(typed);
                path
            }
            _ => typed.clone(),
        };
        if let Some(typed) = &self.options.apply.temp_dir {
            let dir = operand::open_dir(&below(typed));
            let dir = dir.map_err(|e| Problem::os("open", &e.path, e.source).severity(Severity::FileIo))?;
            own.temp = Some(Arc::new(dir));
        }
        if let Some(typed) = self.options.apply.backup_dir.as_ref().filter(|_| self.options.apply.backup) {
            own.backup = Some(BackupRoot::new(below(typed), &self.budget));
        }
        Ok(own)
    }
}

#[derive(Default)]
struct OwnDirs {
    backup: Option<BackupRoot>,
    temp: Option<Arc<crate::path::Dir>>,
}

impl Destination {
    fn none() -> Destination {
        Destination { root: None, before: None, rename: None, notes: Vec::new() }
    }
}

/// Walks the plan once more, ahead of the work, for true totals.
fn count_ahead(cx: &Context<'_>, root: Node, meter: &Meter) {
    let ahead = Ahead::new(cx, root);
    while let Some(step) = ahead.next() {
        if meter.stopped() {
            return;
        }
        let Step::Enter(visited) = step else { continue };
        for planned in visited.planned.iter().chain(&visited.entries) {
            meter.total_entries.fetch_add(1, Ordering::Relaxed);
            let size = planned.entry.data_size();
            match planned.decision {
                Decision::Transfer(_) => meter.total_bytes.fetch_add(size, Ordering::Relaxed),
                _ if planned.entry.attrs.kind == Kind::File => {
                    meter.total_unchanged.fetch_add(size, Ordering::Relaxed)
                }
                _ => 0,
            };
        }
    }
    meter.total_known.store(true, Ordering::Release);
}

fn root_item(attrs: &Attrs, change: Change, selection: &Selection) -> crate::event::Item {
    crate::event::Item {
        path: RelPath::root(),
        source: selection.sources.first().map(|source| source.prefix.to_vec()).unwrap_or_default(),
        attrs: *attrs,
        change,
        link: None,
        moved: 0,
        digest: None,
    }
}

/// A directory that the consumer is in.
struct Frame {
    /// The destination's; `None` in a dry run that would have made it, or where it failed.
    dest: Option<Arc<OpenDir>>,
    /// Nothing in or below it is done: it was skipped or could not be made.
    dead: bool,
}

/// A member of a hard-link group that waits for its leader.
struct Waiting {
    planned: Planned,
    path: RelPath,
    dir: Option<Arc<OpenDir>>,
    sources: Arc<[SourceDir]>,
}

struct Consumer<'r, 'c> {
    run: &'r Prepared<'r>,
    cx: &'c Context<'c>,
    shared: &'r Shared<'r>,
    queue: crossbeam_channel::Sender<Batch>,
    next_seq: u64,
    frames: Vec<Frame>,
    groups: Groups<Waiting, Arc<Leader>>,
    deletions: Deletions,
    stats: Stats,
}

impl Consumer<'_, '_> {
    fn walk(
        &mut self,
        cx: &Context<'_>,
        root: Node,
        selection: &Selection,
        destination: &Destination,
        threads: usize,
    ) -> Result<(), Failure> {
        let ahead = Ahead::new(cx, root);
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| ahead.work());
            }
            let mut done = Ok(());
            loop {
                let asked = Instant::now();
                let step = ahead.next();
                self.stats.list_seconds += asked.elapsed().as_secs_f64();
                let Some(step) = step else { break };
                if self.shared.halted() {
                    done = Err(Failure::Stopped);
                    break;
                }
                done = match step {
                    Step::Enter(visited) => self.enter(*visited, selection, destination),
                    Step::Leave => {
                        self.leave();
                        Ok(())
                    }
                };
                if done.is_err() {
                    break;
                }
            }
            ahead.stop();
            while !self.frames.is_empty() {
                self.leave();
            }
            self.finish_groups();
            done
        })
    }

    /// Begins a directory: its own line, what is deleted in it, and its entries.
    fn enter(
        &mut self,
        mut visited: Visited,
        selection: &Selection,
        destination: &Destination,
    ) -> Result<(), Failure> {
        let planned = visited.planned.take();
        if self.frames.last().is_some_and(|frame| frame.dead) {
            self.frames.push(Frame { dest: None, dead: true });
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
        if !visited.surplus.is_empty() {
            let when = match self.cx.options.delete {
                Delete::Delay | Delete::After => When::Later,
                _ => When::Now,
            };
            if when == When::Now {
                self.touch();
            }
            let done =
                self.deletions.in_directory(self.shared.applier, &mut visited, when, &mut |e| events.push(e));
            self.deliver(events);
            done?;
        } else {
            self.deliver(events);
        }
        self.entries(visited)
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
        if let Some(attrs) = selection.root {
            let attrs = plan_listing::root_attrs(self.cx, attrs);
            // As it is now: --delete-before may have been at work in it.
            let now = visited.dest.as_ref().and_then(|held| held.get().ok()?.attrs().ok());
            let change = match destination.before.and(now) {
                Some(now) => compare::attributes(self.cx, &attrs, &now),
                None => Change { update: Update::Created, new: true, ..Change::NONE },
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
                self.shared.applier.unlock_dir(held, before);
            }
            if let Some((attrs, ..)) = &finish {
                self.shared.applier.settle_group(held, attrs);
            }
            Arc::new(OpenDir {
                held: Arc::clone(held),
                path: RelPath::root(),
                finish: finish.map(|(attrs, before, _)| (attrs, before)),
                touched,
                pending: AtomicUsize::new(1),
            })
        });
        Frame { dest, dead: false }
    }

    fn enter_child(
        &mut self,
        visited: &Visited,
        planned: &Planned,
        events: &mut Vec<Event>,
    ) -> Result<Frame, Failure> {
        let entry = &planned.entry;
        let dead = Frame { dest: None, dead: true };
        self.run.meter.checked.fetch_add(1, Ordering::Relaxed);
        self.stats.files.add(Kind::Dir);
        let change = match &planned.decision {
            Decision::Skip(note) => {
                events.push(Event::Note(note.clone()));
                return Ok(dead);
            }
            Decision::Unchanged => Change::NONE,
            Decision::Attributes(change) | Decision::Make(change) | Decision::Transfer(change) => *change,
        };
        let existing = planned.dest.filter(|dest| dest.kind == Kind::Dir);
        if existing.is_some() && visited.dest.is_none() {
            // It exists and could not be opened: reported with the listing.
            return Ok(dead);
        }
        let implied = entry.implied && !self.run.options.implied_dirs;
        let shown = !implied && (self.run.options.report_unchanged || !change.is_none());
        if self.shared.order.wants_items() && shown {
            let prefix: &[u8] = visited.sources.first().map_or(b"", |source| &source.prefix);
            let outcome = Outcome { change, ..Outcome::default() };
            events.push(Event::Item(item(planned, &visited.path, prefix, outcome)));
        }
        if change.new {
            self.stats.created.add(Kind::Dir);
        }
        if self.run.options.dry_run {
            return Ok(Frame { dest: None, dead: false });
        }
        let held = match &visited.dest {
            Some(held) => {
                if let Some(before) = &existing {
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
            finish: (!implied).then_some((entry.attrs, existing)),
            touched: AtomicBool::new(!change.is_none()),
            pending: AtomicUsize::new(1),
        };
        Ok(Frame { dest: Some(Arc::new(dir)), dead: false })
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

    /// Queues the entries of the current directory that are not directories.
    fn entries(&mut self, visited: Visited) -> Result<(), Failure> {
        let Visited { path, sources, entries, receiver, .. } = visited;
        let sources: Arc<[SourceDir]> = sources.into();
        let dir = self.frames.last().and_then(|frame| frame.dest.clone());
        let mut batch = Vec::new();
        let mut bytes = 0;
        for planned in entries {
            self.stats.files.add(planned.entry.attrs.kind);
            self.stats.total_size += planned.entry.data_size();
            self.meter_unchanged(&planned);
            if let Decision::Skip(note) = &planned.decision {
                self.send(&dir, &sources, &mut batch);
                self.deliver(vec![Event::Note(note.clone())]);
                continue;
            }
            if planned.dest.is_some_and(|dest| dest.kind == Kind::Dir) {
                self.send(&dir, &sources, &mut batch);
                if !self.make_way(&planned, &path, dir.as_ref(), &receiver)? {
                    continue;
                }
            }
            let attrs = &planned.entry.attrs;
            // Names that --remove-source-files has removed no longer count.
            let several = attrs.nlink > 1 || self.groups.knows((attrs.dev, attrs.ino));
            let linked = self.cx.options.hard_links && several && !planned.entry.followed;
            if linked {
                bytes += self.place_linked(planned, &path, &dir, &sources, &mut batch);
            } else {
                bytes += self.push(planned, Part::Alone, &mut batch);
            }
            if batch.len() >= BATCH_ACTIONS || bytes >= BATCH_BYTES {
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
        if planned.entry.attrs.kind == Kind::File && !matches!(planned.decision, Decision::Transfer(_)) {
            meter.bytes_unchanged.fetch_add(planned.entry.attrs.size, Ordering::Relaxed);
        }
    }

    /// Adds an entry to the batch, if anything is to be done or told. Returns the bytes that it moves.
    fn push(&mut self, planned: Planned, part: Part, batch: &mut Vec<Action>) -> u64 {
        let unchanged = matches!(planned.decision, Decision::Unchanged);
        let quiet = !self.run.options.report_unchanged && !self.run.options.apply.remove_source_files;
        match &part {
            Part::Alone if unchanged && quiet => return 0,
            _ => {}
        }
        let bytes =
            if matches!(planned.decision, Decision::Transfer(_)) { planned.entry.attrs.size } else { 0 };
        batch.push(Action { planned, part });
        bytes
    }

    /// Places an entry in its group of hard links. Returns the bytes that are moved now.
    fn place_linked(
        &mut self,
        planned: Planned,
        path: &RelPath,
        dir: &Option<Arc<OpenDir>>,
        sources: &Arc<[SourceDir]>,
        batch: &mut Vec<Action>,
    ) -> u64 {
        let attrs = planned.entry.attrs;
        let same_kind = planned.dest.filter(|dest| dest.kind == attrs.kind);
        let leads = attrs.kind != Kind::File || same_kind.is_some();
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
                let planned = as_follower(self.cx, member.planned);
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

    fn lead(
        &mut self,
        member: Waiting,
        leader: &Arc<Leader>,
        dir: &Option<Arc<OpenDir>>,
        sources: &Arc<[SourceDir]>,
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
    fn finish_groups(&mut self) {
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

    /// Sends a batch to the workers; in a dry run, tells what they would have told.
    fn send(&mut self, dir: &Option<Arc<OpenDir>>, sources: &Arc<[SourceDir]>, batch: &mut Vec<Action>) {
        if batch.is_empty() {
            return;
        }
        let actions = std::mem::take(batch);
        if self.run.options.dry_run {
            return self.pretend(sources, actions);
        }
        let Some(dir) = dir else { return };
        let seq = self.take_seq();
        dir.pending.fetch_add(1, Ordering::Relaxed);
        let batch = Batch { seq, dir: Arc::clone(dir), sources: Arc::clone(sources), actions };
        // The workers live as long as this sender does.
        let _sent = self.queue.send(batch);
    }

    fn pretend(&mut self, sources: &Arc<[SourceDir]>, actions: Vec<Action>) {
        let mut events = Vec::new();
        for Action { planned, part } in actions {
            let Some(source) = sources.get(planned.entry.source) else { continue };
            let path = source.held.path().join(&planned.entry.name);
            let outcome = match (&part, &planned.decision) {
                (Part::Follows(leader), _) => {
                    let inode = planned.dest.map(|dest| (dest.dev, dest.ino));
                    let linked = inode.is_some() && inode == leader.keeps;
                    link_outcome(leader, &planned, self.cx.options, linked)
                }
                (_, Decision::Transfer(change)) => {
                    Outcome { change: *change, transferred: true, ..Outcome::default() }
                }
                (_, Decision::Make(change) | Decision::Attributes(change)) => {
                    Outcome { change: *change, ..Outcome::default() }
                }
                _ => Outcome::default(),
            };
            self.stats.count(&outcome, planned.entry.attrs.size, planned.entry.attrs.kind);
            let shown = self.run.options.report_unchanged || outcome.shown || !outcome.change.is_none();
            if shown && self.shared.order.wants_items() {
                events.push(Event::Item(item(&planned, &path, &source.prefix, outcome)));
            }
        }
        self.deliver(events);
    }

    /// Makes way where the destination has a directory and the source something else.
    fn make_way(
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
        let Some(Frame { dest: Some(dir), .. }) = self.frames.pop() else { return };
        self.release(&dir);
    }

    /// Ends one of the uses of a directory, and tells what its end has to tell.
    fn release(&mut self, dir: &OpenDir) {
        let events = self.shared.release(dir);
        if !events.is_empty() {
            self.deliver(events);
        }
    }

    fn delete_everywhere(&mut self, cx: &Context<'_>, root: Node, threads: usize) -> Result<(), Failure> {
        let mut events = Vec::new();
        let applier = self.shared.applier;
        let mut deletions = std::mem::replace(&mut self.deletions, Deletions::new(true, false, None));
        deletions.times_show = true;
        let done = deletions.everywhere(applier, cx, root, threads, &mut |event| {
            events.push(event);
            if events.len() >= BATCH_ACTIONS {
                self.deliver(std::mem::take(&mut events));
            }
        });
        self.deletions = deletions;
        self.deliver(events);
        done
    }

    fn delete_delayed(&mut self, rules: Option<&Scope>) -> Result<(), Failure> {
        let mut events = Vec::new();
        let applier = self.shared.applier;
        let mut deletions = std::mem::replace(&mut self.deletions, Deletions::new(true, false, None));
        let done = deletions.delayed(applier, rules, &mut |event| {
            events.push(event);
            if events.len() >= BATCH_ACTIONS {
                self.deliver(std::mem::take(&mut events));
            }
        });
        self.deletions = deletions;
        self.deliver(events);
        done
    }

    fn deliver(&mut self, events: Vec<Event>) {
        let mut stats = std::mem::take(&mut self.stats);
        for event in &events {
            deletion::count_deleted(&mut stats, event);
        }
        let seq = self.take_seq();
        let io_error = stats.io_error;
        self.shared.order.deliver(seq, events, |total| total.add(&stats));
        self.stats.io_error = io_error;
    }

    fn take_seq(&mut self) -> u64 {
        let seq = self.next_seq;
        self.next_seq += 1;
        self.shared.order.wait_for_room(seq);
        seq
    }

    /// Waits until everything queued so far has been carried out and told.
    fn wait(&self) {
        self.shared.order.wait_until(self.next_seq);
    }

    /// Tells what is left to tell and lets the workers end.
    fn close(mut self) {
        let mut last = Vec::new();
        if let Some(note) = self.deletions.stopped() {
            last.push(Event::Note(note));
        }
        self.deliver(last);
        self.wait();
    }
}

/// The line of a follower that comes after its leader compares its attributes with what had its name, of
/// its kind or not. Observed with rsync 3.5.0.
fn as_follower(cx: &Context<'_>, mut planned: Planned) -> Planned {
    let source = &planned.entry.attrs;
    if let Some(dest) = planned.dest.filter(|dest| dest.kind != source.kind) {
        let size = source.kind == Kind::File && source.size != dest.size;
        let perms = cx.options.perms && source.mode != dest.mode;
        planned.decision = Decision::Make(Change { size, perms, ..compare::attributes(cx, source, &dest) });
    }
    planned
}

fn leader_of(member: &Waiting, inplace: bool) -> Arc<Leader> {
    let dest = member.planned.dest.filter(|dest| dest.kind == member.planned.entry.attrs.kind);
    let stays = match member.planned.decision {
        Decision::Unchanged | Decision::Attributes(_) => true,
        Decision::Transfer(_) => inplace,
        Decision::Make(_) | Decision::Skip(_) => false,
    };
    let keeps = dest.filter(|_| stays).map(|dest| (dest.dev, dest.ino));
    let dir = member.dir.as_ref().map(|dir| Arc::clone(&dir.held));
    Leader::new(member.path.clone(), dir, member.planned.entry.target().clone(), keeps)
}
