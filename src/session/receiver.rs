//! The receiving role: compares, makes, deletes, stores.
//!
//! [`Ahead`] walks the tree on a few threads. One thread, the consumer, takes its results in transfer
//! order (`session::consumer`) and queues work; workers carry it out (`session::worker`). What there is to
//! tell goes through the [`Sequencer`], which restores plan order.
//!
//! A dry run is the same, but that the consumer tells what a worker would have told.

use std::ffi::OsStr;
use std::os::fd::BorrowedFd;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::consumer::{Consumer, root_item};
use super::delayed::Waiters;
use super::deletion::{self, Deletions};
use super::destination::{self, Destination};
use super::joined::Joined;
use super::lock::Missed;
use super::order::Sequencer;
use super::pace::Pacer;
use super::selection::{self, Selection};
use super::team::{Team, UnderWay};
use super::worker::{Fetch, Shared};
use super::{DeleteLimit, Ended, Options, bases, listing, module, mounts};
use crate::apply::Applier;
use crate::apply::backup::BackupRoot;
use crate::apply::flags::Locks;
use crate::apply::partial::Partials;
use crate::engine::{Engine, Pace};
use crate::event::{Change, Event, Meter, Problem, Severity, Stats};
use crate::path::held::Budget;
use crate::path::own::path_of;
use crate::path::{Kind, Name, OwnDir, RelPath, operand};
use crate::plan::ahead::{Ahead, Step};
use crate::plan::attached::Namespaces;
use crate::plan::basis::{self, Beside};
use crate::plan::compare::Decision;
use crate::plan::filter::{Scope, Side};
use crate::plan::links::Groups;
use crate::plan::look::Unlisted;
use crate::plan::owners::Owners;
use crate::plan::source::SourceDir;
use crate::plan::visit::{Dest, Feed, Node, Origin, Visited, visit};
use crate::plan::{Context, Delete, listing as plan_listing};
use crate::sys::thread;

/// What the receiving role of one run works with.
pub(super) struct Receiver<'a> {
    pub(super) options: &'a Options,
    pub(super) plan: &'a crate::plan::Options,
    pub(super) budget: Arc<Budget>,
    pub(super) engine: &'a Engine,
    pub(super) pacer: &'a Pacer<'a>,
    pub(super) order: &'a Sequencer<'a>,
    pub(super) meter: &'a Meter,
    /// What owners and groups become here.
    pub(super) owners: &'a Owners,
    /// Has the sources, if they are not on this machine.
    pub(super) peer: Option<Peer<'a>>,
}

/// A sending peer.
#[derive(Clone, Copy)]
pub(super) struct Peer<'a> {
    pub(super) feed: &'a dyn Feed,
    pub(super) fetch: &'a dyn Fetch,
    /// It is the server: this side has the terminal.
    pub(super) serves: bool,
}

impl Receiver<'_> {
    /// Carries the run out: lists what `selection` holds, or transfers it.
    pub(super) fn begin(&self, mut selection: Selection) -> Ended {
        self.owners.translate(selection.root.iter_mut());
        self.owners.translate_lists(std::iter::once(&mut selection.root_attached));
        let mut events: Vec<Event> = selection.notes.drain(..).map(Event::Note).collect();
        events.extend(selection.problems.drain(..).map(Event::Problem));
        let mut seq = 0;
        let mut deliver = |events: Vec<Event>| {
            self.order.deliver(seq, events, |_| {});
            seq += 1;
            seq
        };
        deliver(events);
        if selection.prefixes.is_empty() && selection.missing.is_empty() {
            return Ended::Complete;
        }
        let Some(dest) = &self.options.dest else {
            let digest = |_: BorrowedFd<'_>, _: u64| None;
            let cx = self.context(&Destination::none(), &selection, &digest);
            let root = match self.root(&selection, None, &[]) {
                Ok(root) => root,
                Err(problem) => {
                    deliver(vec![Event::Problem(problem)]);
                    return Ended::Aborted;
                }
            };
            if let Some(attrs) = selection.root {
                let mut stats = Stats::default();
                stats.files.add(Kind::Dir);
                let item = root_item(
                    &plan_listing::root_attrs(&self.options.plan, cx.umask, attrs),
                    Change::NONE,
                    &selection,
                );
                self.order.deliver(1, vec![Event::Item(item)], |total| total.add(&stats));
                listing::list(&cx, root, self.order, 2);
            } else {
                listing::list(&cx, root, self.order, 1);
            }
            return if self.meter.stopped() { Ended::Stopped } else { Ended::Complete };
        };
        if let Some(problem) = mounts::missing_destination(self.options, dest) {
            deliver(vec![Event::Problem(problem)]);
            return Ended::Aborted;
        }
        let destination = match destination::destination(self.options, dest, &selection, &self.budget) {
            Ok(destination) => destination,
            Err(problem) => {
                deliver(vec![Event::Problem(problem)]);
                return Ended::Aborted;
            }
        };
        let mut start = deliver(destination.notes.iter().cloned().map(Event::Note).collect());
        let locked = self.lock(dest, &destination, |note| start = deliver(vec![Event::Note(note)]));
        match locked {
            Ok(()) => {}
            Err(Missed::Ended(ended)) => return ended,
            Err(Missed::Problem(problem)) => {
                deliver(vec![Event::Problem(problem)]);
                return Ended::Aborted;
            }
        }
        self.transfer(&selection, &destination, start)
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
                .flat_map(|source| selection::parents_below(source, identity))
                .collect(),
            _ => Vec::new(),
        };
        let whole = selection.sources.iter().filter(|source| source.members.is_all());
        let me = operand::identity();
        let acts_as_root = self.plan.fakes.dest || self.plan.superuser.unwrap_or(me.root);
        Context {
            options: self.plan,
            umask: operand::umask(),
            root: acts_as_root,
            unhindered: me.root,
            namespaces: Namespaces::of(acts_as_root, !self.plan.fakes.dest && self.options.module.is_some()),
            groups: me.groups,
            dest_root: destination.root.clone(),
            dest_identity: identity,
            copies_onto_itself,
            source_roots: whole.map(|source| source.held.identity()).collect(),
            source_parents,
            root_rename: destination.rename.clone(),
            bases: Vec::new(),
            protected: Scope::root(&self.options.filter, Side::Receiver),
            dest_prefix: self.options.dest.as_ref().map(|d| d.as_encoded_bytes().into()).unwrap_or_default(),
            owners: Some(self.owners),
            shows_munged: self.peer.is_some_and(|peer| peer.serves) && selection.sources.is_empty(),
            feed: self.peer.map(|peer| peer.feed),
            veil: self.options.module.as_ref().zip(self.options.dest.as_ref()).and_then(|(module, dest)| {
                // A file's new name is looked at with its directory.
                let dest = if destination.rename.is_some() { parent_of(dest) } else { dest.as_os_str() };
                module.veil_of(dest)
            }),
            meter: self.meter,
            digest,
        }
    }

    fn root(
        &self,
        selection: &Selection,
        destination: Option<&Destination>,
        bases: &[basis::Root],
    ) -> Result<Node, Problem> {
        let dest = destination.and_then(|destination| destination.root.as_ref());
        let to_file = destination.is_some_and(|destination| destination.rename.is_some());
        let typed =
            self.options.dest.as_deref().map_or_else(Vec::new, |dest| destination::base(dest, to_file));
        let there = dest.and_then(|held| self.options.absolute(&*held.get().ok()?, &typed));
        let there = there.map(|path| (path.clone(), path));
        Ok(Node {
            planned: None,
            origin: match self.peer {
                Some(_) => Origin::Peer { dir: 0, path: RelPath::root(), skipped: false },
                None => Origin::Here(Unlisted::root(&selection.sources, selection.incomplete)),
            },
            dest: dest.map_or(Dest::Absent, |held| Dest::Held(Arc::clone(held))),
            bases: Beside::roots(bases),
            receiver: selection::scope(self.options, Side::Receiver, there)?,
        })
    }

    fn transfer(&self, selection: &Selection, destination: &Destination, mut start: u64) -> Ended {
        let digest = |fd: BorrowedFd<'_>, len: u64| {
            self.engine.digest(fd, len, self.pacer as &dyn Pace).ok().map(|digest| digest.0)
        };
        let cx = self.context(destination, selection, &digest);
        let (bases, notes) = bases::open(self.options, destination, &self.budget);
        if !notes.is_empty() {
            self.order.deliver(start, notes.into_iter().map(Event::Note).collect(), |_| {});
            start += 1;
        }
        let fail = |problem: Problem| {
            self.order.deliver(start, vec![Event::Problem(problem)], |_| {});
            Ended::Aborted
        };
        if self.options.apply.remove_source_files && cx.copies_onto_itself {
            let text =
                "source and destination are the same directory: removing sources would remove everything";
            return fail(Problem::text("use", &cx.dest_prefix, text).severity(Severity::FileSelection));
        }
        let root = match self.root(selection, Some(destination), &bases) {
            Ok(root) => root,
            Err(problem) => return fail(problem),
        };
        let own = match self.own_dirs(destination) {
            Ok(own) => own,
            Err(problem) => return fail(problem),
        };
        let locks = Locks::default();
        let applier = Applier {
            options: &self.options.apply,
            cx: &cx,
            engine: self.engine,
            pace: self.pacer,
            meter: self.meter,
            backup_root: own.backup.as_ref(),
            temp_root: own.temp,
            partials: own.partials.as_ref(),
            locks: &locks,
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
        let main_cx = Context { options: &main_plan, bases, ..self.context(destination, selection, &digest) };
        let shared = Shared {
            applier: &applier,
            order: self.order,
            pacer: self.pacer,
            fetch: self.peer.map(|peer| peer.fetch),
            report_unchanged: self.options.report_unchanged,
            full: AtomicBool::new(false),
            delayed: Waiters::default(),
            cut_short: AtomicBool::new(false),
            under_way: UnderWay::default(),
        };
        let alone = |batch| shared.carry_out(batch);
        let ended = std::thread::scope(|scope| {
            self.meter.total_entries.store(u64::from(selection.root.is_some()), Ordering::Relaxed);
            let count_rest = |from: RelPath| {
                let (root, main_cx, shared) = (root.clone(), &main_cx, &shared);
                let over = move || shared.halted();
                thread::start(scope, move || count_rest(main_cx, root, &from, self.meter, &over)).is_ok()
            };
            // Of a peer's tree there is one look only, and with checksums a second one would read every file again.
            let may_count = self.options.count_ahead && self.peer.is_none() && !self.plan.checksum;
            let (queue, batches) = crossbeam_channel::bounded(self.options.jobs.max(1) * 4);
            let hire = || {
                let (batches, shared) = (batches.clone(), &shared);
                thread::start(scope, move || shared.work(&batches)).is_ok()
            };
            let (hired, most, under_way) = (0, self.options.jobs.max(1), &shared.under_way);
            let mut consumer = Consumer {
                run: self,
                cx: &main_cx,
                shared: &shared,
                team: Team { queue, hire: &hire, alone: &alone, hired, most, under_way },
                next_seq: start,
                frames: Vec::new(),
                groups: Groups::new(),
                joined: Joined::default(),
                deletions: Deletions::new(
                    self.options.dry_run,
                    self.plan.ignore_errors,
                    self.options.apply.max_delete,
                ),
                stats: Stats::default(),
                at: RelPath::root(),
                counts: true,
                count_rest: if may_count { Some(&count_rest) } else { None },
            };
            let mut done = Ok(());
            if !selection.missing.is_empty() {
                done = consumer.delete_missing(&selection.missing, &root.receiver);
            }
            if done.is_ok() && self.plan.delete == Delete::Before {
                done = consumer.delete_everywhere(&surplus_cx, root.clone(), threads);
            }
            if done.is_ok() {
                done = consumer.walk(&main_cx, root.clone(), selection, destination, threads);
            }
            consumer.wait();
            consumer.end_delay();
            if done.is_ok() && !shared.halted() {
                done = match self.plan.delete {
                    Delete::After => consumer.delete_delayed(Some(&root.receiver)),
                    Delete::Delay => consumer.delete_delayed(None),
                    _ => Ok(()),
                };
            }
            consumer.lock_flags();
            consumer.close();
            if self.pacer.late() && !self.meter.stopped() {
                Ended::Deadline
            } else if self.meter.stopped() {
                Ended::Stopped
            } else if shared.full.load(Ordering::Relaxed) {
                Ended::Aborted
            } else if done.is_err() || shared.cut_short.load(Ordering::Acquire) {
                Ended::Stopped
            } else {
                Ended::Complete
            }
        });
        // A run that was stopped did not wait for its workers before it came to what waits.
        shared.drop_delayed();
        ended
    }

    /// Where `--partial-dir` is: a relative one is in the directory of each file.
    fn partials(&self, typed: &OsStr) -> Partials {
        if typed.as_bytes().first() != Some(&b'/') {
            // Names only: whoever typed anything else was told.
            let names = module::place(typed.as_bytes()).unwrap_or_else(RelPath::root);
            return Partials::Beside(names.components().collect());
        }
        let veil = self.options.module.as_ref().and_then(|module| module.veil_of(typed));
        Partials::apart(OwnDir::new(typed, b"", None), veil)
    }

    /// Opens `--backup-dir` and `--temp-dir`: relative ones are below the destination.
    fn own_dirs(&self, destination: &Destination) -> Result<OwnDirs, Problem> {
        let mut own = OwnDirs::default();
        if self.options.dry_run {
            return Ok(own);
        }
        let root = destination.root.as_ref().map(|held| held.get()).transpose();
        let root = root.map_err(|e| Problem::os("open", b"", e).severity(Severity::FileIo))?;
        let dest = self.options.dest.as_deref().unwrap_or_default();
        let base = destination::base(dest, destination.rename.is_some());
        if let Some(typed) = &self.options.apply.temp_dir {
            let dir = OwnDir::new(&self.options.own_dir(typed, &base), &base, root.as_ref()).open();
            let dir = dir.map_err(|e| Problem::os("open", &e.path, e.source).severity(Severity::FileIo))?;
            own.temp = Some(Arc::new(dir));
        }
        if let Some(typed) = self.options.apply.backup_dir.as_ref().filter(|_| self.options.apply.backup) {
            let typed = self.options.own_dir(typed, &base);
            let place = OwnDir::new(&typed, &base, root.as_ref());
            place.check().map_err(|e| Problem::operand(&e, Severity::FileIo))?;
            let veil = self.options.module.as_ref();
            let veil = veil.and_then(|module| module.veil_of(&path_of(&typed, &base)));
            own.backup = Some(BackupRoot::new(place, &self.budget, veil));
        }
        if let Some(typed) = self.options.apply.partial_dir.as_ref().filter(|_| !self.options.apply.inplace) {
            own.partials = Some(self.partials(typed));
        }
        Ok(own)
    }
}

impl Destination {
    fn none() -> Destination {
        Destination { root: None, before: None, rename: None, notes: Vec::new() }
    }
}

fn parent_of(path: &OsStr) -> &OsStr {
    let bytes = path.as_bytes();
    OsStr::from_bytes(&bytes[..bytes.iter().rposition(|&b| b == b'/').unwrap_or(0)])
}

#[derive(Default)]
struct OwnDirs {
    backup: Option<BackupRoot>,
    temp: Option<Arc<crate::path::Dir>>,
    partials: Option<Partials>,
}

/// Walks the part of the plan behind the directory `from` once more, ahead of the work, for true totals, until the run
/// is `over`.
fn count_rest(cx: &Context<'_>, root: Node, from: &RelPath, meter: &Meter, over: &dyn Fn() -> bool) {
    let way: Vec<Name> = from.components().collect();
    let look = |node| {
        let (visited, mut children) = visit(cx, node);
        if leads(&visited.path, &way) {
            let next = way.get(visited.path.depth());
            let is_next = |child: &Node| child.planned.as_ref().map(|planned| &planned.entry.name) == next;
            // What is before it has been counted, and so has everything on the way.
            if let Some(at) = next.and_then(|_| children.iter().position(is_next)) {
                children.drain(..at);
            }
        }
        (visited, children)
    };
    let ahead = Ahead::new(&look, root);
    while let Some(step) = ahead.next() {
        if over() {
            return;
        }
        match step {
            Step::Enter(visited) if !leads(&visited.path, &way) => count(&visited, meter),
            _ => {}
        }
    }
    meter.total_known.store(true, Ordering::Release);
}

/// Whether `path` is on the `way`, or at its end.
fn leads(path: &RelPath, way: &[Name]) -> bool {
    path.depth() <= way.len() && path.components().eq(way.iter().take(path.depth()).cloned())
}

/// Adds what is in a directory to the totals.
pub(super) fn count(visited: &Visited, meter: &Meter) {
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
