//! The workers: each takes a batch of actions of one directory, carries them out in order, and delivers
//! what there is to tell.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::delayed::{Delayed, Waiters};
use super::leader::{Leader, Part};
use super::order::Sequencer;
use super::outcome::{Outcome, item, source_removed};
use super::pace::Pacer;
use super::team::UnderWay;
use crate::apply::file::{Begun, Place, Supply};
use crate::apply::here::Here;
use crate::apply::{Applier, Failure, Remarks, is_out_of_space};
use crate::event::{Change, Event, LinkText, Problem, Severity, Stats, Update};
use crate::path::xattr::{Inode, Xattrs};
use crate::path::{Attrs, Dir, HeldDir, Kind, RelPath};
use crate::plan::Options;
use crate::plan::attached::{Attached, Ready, long_values};
use crate::plan::compare::{self, Decision};
use crate::plan::look::{At, Sources};
use crate::plan::source::typed;
use crate::plan::visit::Planned;
use crate::sys::Errno;

/// A destination directory while things are done in it.
#[derive(Debug)]
pub struct OpenDir {
    /// The directory.
    pub held: Arc<HeldDir>,
    /// Its path in the transfer.
    pub path: RelPath,
    /// The peer's number for its sending side, if a peer has that.
    pub number: Option<u32>,
    /// What it is to become at its end: source's attributes, and its own before the run.
    pub finish: Option<(Attrs, Option<Attrs>)>,
    /// What is to be attached to it then, and where its long values are.
    pub attached: Option<(Arc<Attached>, Sources)>,
    /// Its attributes have to be set at the end: they differ, or something was done in it.
    pub touched: AtomicBool,
    /// Batches under way, and one for the consumer as long as it is in the directory.
    pub pending: AtomicUsize,
}

/// One planned entry on its way to be carried out.
#[derive(Debug)]
pub struct Action {
    /// What is planned.
    pub planned: Planned,
    /// Its part in a group of hard links.
    pub part: Part,
}

/// Actions in one directory, with their place in plan order.
#[derive(Debug)]
pub struct Batch {
    /// The place.
    pub seq: u64,
    /// The directory.
    pub dir: Arc<OpenDir>,
    /// Its sending side.
    pub sources: Arc<Sources>,
    /// What to do, in order.
    pub actions: Vec<Action>,
}

/// Gets the data of a peer's files.
pub trait Fetch: Sync {
    /// The sending side of what is in the directory that the peer has announced as number `dir`.
    fn supply(&self, dir: u32) -> Box<dyn Supply + '_>;

    /// The long values of the extended attributes of that directory itself.
    ///
    /// # Errors
    ///
    /// The peer cannot read them, or is gone.
    fn long_xattrs(&self, dir: u32) -> Result<Xattrs, Failure>;

    /// Nothing more will be asked of that directory.
    fn done(&self, dir: u32);

    /// Has the data of the file that people know as `typed` sent for the recording of it alone
    /// (`--only-write-batch`), without waiting for it; only what follows that many bytes, if it is to be added to.
    ///
    /// # Errors
    ///
    /// The peer is gone.
    fn collect(&self, dir: u32, entry: u32, added_to: Option<u64>, typed: &[u8]) -> Result<(), Failure>;

    /// The same of the long values of extended attributes of an entry, or of the directory itself.
    ///
    /// # Errors
    ///
    /// The peer is gone.
    fn collect_xattrs(&self, dir: u32, entry: Option<u32>) -> Result<(), Failure>;

    /// Whether what the peer has is a batch that holds the data of this file, wanted or not.
    fn has_batched(&self, dir: u32, entry: u32) -> bool;
}

/// What all workers share.
pub struct Shared<'a> {
    /// Carries decisions out.
    pub applier: &'a Applier<'a>,
    /// Takes what there is to tell.
    pub order: &'a Sequencer<'a>,
    /// Gets data from a peer, if that has the sources.
    pub fetch: Option<&'a dyn Fetch>,
    /// The pace, which knows when the run is over.
    pub pacer: &'a Pacer<'a>,
    /// Unchanged entries are told too.
    pub report_unchanged: bool,
    /// The destination is full: nothing more is transferred or deleted.
    pub full: AtomicBool,
    /// What `--delay-updates` has wait for the end.
    pub(super) delayed: Waiters,
    /// Something was left undone because its data will not come: nothing more is transferred or deleted.
    pub cut_short: AtomicBool,
    /// What the workers have.
    pub(super) under_way: UnderWay,
}

impl Shared<'_> {
    /// Whether nothing more is to be done: the run was stopped, its peer is gone, or the destination is full.
    pub fn halted(&self) -> bool {
        self.pacer.over() || self.full.load(Ordering::Relaxed) || self.cut_short.load(Ordering::Acquire)
    }

    /// Ends the run where one of `events` says that the destination has no room left.
    pub fn note_full(&self, events: &mut [Event]) {
        for event in events {
            if let Event::Problem(problem) = event
                && is_out_of_space(problem)
                && !self.full.swap(true, Ordering::Relaxed)
            {
                problem.severity = Severity::FileIo;
            }
        }
    }

    /// Takes batches until there are no more.
    pub fn work(&self, batches: &crossbeam_channel::Receiver<Batch>) {
        for batch in batches {
            self.carry_out(batch);
        }
    }

    /// Carries a batch out, and delivers what there is to tell of it.
    pub fn carry_out(&self, batch: Batch) {
        let Batch { seq, dir, sources, actions } = batch;
        let mut told = Told::default();
        let both = self.both_sides(&dir, &sources);
        let paths: Vec<_> = actions.iter().map(|action| dir.path.join(&action.planned.entry.name)).collect();
        // What a peer is to send is asked for before the first of it is waited for.
        let early = matches!(sources.at, At::Peer(_)) && !self.halted();
        let begin = actions.iter().zip(&paths).filter(|_| early).map(|(action, path)| {
            let moves = matches!(action.planned.decision, Decision::Transfer(_));
            let own = moves && !matches!(action.part, Part::Follows(_));
            own.then(|| both.place(action, path).and_then(|place| self.applier.begin(&place, 0)))
        });
        let mut begun: Vec<_> = begin.collect();
        let mut waiting = Vec::new();
        for (at, (action, path)) in actions.iter().zip(&paths).enumerate() {
            if self.halted() {
                if let Part::Leads(leader) = &action.part {
                    leader.publish(None);
                }
                if let Some(Ok(begun)) = begun.get_mut(at).and_then(Option::take)
                    && let Ok(place) = both.place(action, path)
                {
                    self.applier.abandon(&place, begun);
                }
                continue;
            }
            let begun = begun.get_mut(at).and_then(Option::take).transpose();
            let result =
                both.place(action, path).and_then(|place| self.act(action, &place, begun?, &dir, &mut told));
            if result.is_ok() && self.removes_source(action) {
                told.done.push((told.events.len(), at));
            }
            if let Part::Leads(leader) = &action.part {
                leader.publish(result.as_ref().ok().copied());
            }
            match result {
                Ok(_) if self.waits(action) => waiting.push(at),
                Ok(_) => {}
                Err(Failure::Stopped) => self.cut_short.store(true, Ordering::Release),
                Err(Failure::Problem(problem)) => told.events.push(Event::Problem(problem)),
            }
            self.note_full(&mut told.events);
        }
        drop(begun);
        self.remove_sources(&both, &actions, &paths, &mut told);
        for (at, action) in actions.into_iter().enumerate().filter(|(at, _)| waiting.contains(at)) {
            let (dir, sources) = (Arc::clone(&dir), Arc::clone(&sources));
            self.delayed.add(Delayed { at: (seq, at), dir, sources, action });
        }
        // Before the delivery: whoever waits for that may count on the directory being finished.
        told.events.extend(self.release(&dir));
        let stats = told.stats;
        self.order.deliver(seq, told.events, |total| total.add(&stats));
        self.under_way.done();
    }

    /// Whether an entry gets its name at the end of the transfer: its data is new, or that of its leader.
    fn waits(&self, action: &Action) -> bool {
        self.applier.options.delay_updates
            && match &action.part {
                Part::Follows(leader) => leader.fate.moves,
                _ => matches!(action.planned.decision, Decision::Transfer(_)),
            }
    }

    /// Whether the source of an entry goes when its batch is done (`--remove-source-files`). Of what waits it goes with
    /// the waiting; links and nodes that a basis directory has stay, as with rsync.
    fn removes_source(&self, action: &Action) -> bool {
        let taken = matches!(action.planned.decision, Decision::Link | Decision::Elsewhere);
        self.applier.options.remove_source_files
            && !self.waits(action)
            && !(taken && action.planned.entry.attrs.kind != Kind::File)
    }

    /// Both sides of a directory.
    pub(super) fn both_sides<'s>(&'s self, dir: &OpenDir, sources: &'s Sources) -> BothSides<'s> {
        let to = dir.held.get().map_err(|e| Problem::os("open", &self.applier.cx.dest_typed(&dir.path), e));
        let delay = self.applier.options.delay_updates;
        BothSides { to, supplies: self.supplies(sources), sources, delay }
    }

    /// `--remove-source-files`: what has been done of a batch is on the disk under its names before the first source
    /// is removed.
    fn remove_sources(&self, both: &BothSides<'_>, actions: &[Action], paths: &[RelPath], told: &mut Told) {
        let done = std::mem::take(&mut told.done);
        let (false, Ok(to)) = (done.is_empty(), &both.to) else { return };
        let flushed = to.flush();
        // From the end, so that what is told of one entry stays together.
        for (at, number) in done.into_iter().rev() {
            let (Some(action), Some(path)) = (actions.get(number), paths.get(number)) else { continue };
            let removed = both.place(action, path).and_then(|place| {
                flushed.map_err(|e| self.applier.dest_failure("flush the directory of", path, e))?;
                let new = matches!(action.planned.decision, Decision::Transfer(_) | Decision::Make(_));
                if !new && action.planned.decision != Decision::Elsewhere {
                    self.applier.flush_existing(&place)?;
                }
                place.supply.remove(&place)
            });
            told.events.splice(at..at, source_removed(removed, path));
        }
    }

    /// The sending side of each source of a directory.
    fn supplies(&self, sources: &Sources) -> Vec<Result<Box<dyn Supply + '_>, Errno>> {
        match &sources.at {
            At::Here(dirs) => {
                let options = self.applier.cx.options;
                let (reading, face) = (options.reading(), options.source_face());
                let here = |held: &Arc<HeldDir>| {
                    held.get().map(|dir| Box::new(Here { dir, reading, face }) as Box<dyn Supply>)
                };
                dirs.iter().map(here).collect()
            }
            At::Peer(dir) => {
                let supply = || self.fetch.map(|fetch| fetch.supply(*dir)).ok_or(Errno::ENOTCONN);
                sources.prefixes.iter().map(|_| supply()).collect()
            }
        }
    }

    /// Tells the peer, if there is one, that nothing more is wanted of its directory `number`.
    pub fn done(&self, number: Option<u32>) {
        if let (Some(fetch), Some(number)) = (self.fetch, number) {
            fetch.done(number);
        }
    }

    /// Ends one of the uses of `dir`; the last one gives it its attributes. Returns what there is to tell.
    ///
    /// That has no place of its own in plan order: a directory in which a hard link waits for its leader
    /// ends when the leader is known, perhaps at the very end, and everything after it would wait too.
    #[must_use]
    pub fn release(&self, dir: &OpenDir) -> Vec<Event> {
        if dir.pending.fetch_sub(1, Ordering::AcqRel) != 1 {
            return Vec::new();
        }
        let mut remarks = Remarks::default();
        if let Some((source, before)) = dir.finish.as_ref().filter(|_| dir.touched.load(Ordering::Relaxed)) {
            let done = self.ready(dir, &mut remarks).and_then(|attached| {
                let (before, remarks) = (before.as_ref(), &mut remarks);
                self.applier.finish_dir(&dir.held, source, before, &attached, &dir.path, remarks)
            });
            if let Err(Failure::Problem(problem)) = done {
                remarks.problems.push(problem);
            }
        }
        self.done(dir.number);
        remarks.problems.into_iter().map(Event::Problem).collect()
    }

    /// What is to be attached to a directory, with its long values. Where they cannot be had, the remarks
    /// say so and the destination's are left alone.
    fn ready(&self, dir: &OpenDir, remarks: &mut Remarks) -> Result<Ready, Failure> {
        let Some((attached, sources)) = &dir.attached else { return Ok(Ready::default()) };
        let (names, _) = attached.long();
        if names.is_empty() {
            return Ok(attached.ready(&Xattrs::default()));
        }
        let failed = |e| Problem::os("read extended attributes of", &sources.typed(0, &dir.path), e);
        let long = match &sources.at {
            At::Here(dirs) => {
                let held = dirs.first().ok_or(Errno::ENOENT).and_then(|held| held.get());
                let face = self.applier.cx.options.source_face();
                let values = held.and_then(|held| long_values(Inode::dir(&held).seen(face), &names));
                values.map_err(|e| failed(e).into())
            }
            At::Peer(number) => match self.fetch {
                Some(fetch) => fetch.long_xattrs(*number),
                None => Err(Failure::Stopped),
            },
        };
        match long {
            Ok(long) => Ok(attached.ready(&long)),
            Err(Failure::Problem(problem)) => {
                remarks.problems.push(problem);
                Ok(Ready { xattrs: None, ..attached.ready(&Xattrs::default()) })
            }
            Err(Failure::Stopped) => Err(Failure::Stopped),
        }
    }

    /// Carries out one action; returns the inode that now has the name.
    fn act(
        &self,
        action: &Action,
        place: &Place<'_>,
        begun: Option<Begun<'_>>,
        dir: &OpenDir,
        told: &mut Told,
    ) -> Result<(u64, u64), Failure> {
        let mut remarks = Remarks::default();
        let entry = &action.planned.entry;
        let mut outcome = Outcome::default();
        let stays = matches!(action.planned.decision, Decision::Unchanged | Decision::Skip(_));
        if place.dest.is_some() && !stays {
            self.applier.unlock_file(place.to, entry.target(), place.path);
        }
        let result = match (&action.part, &action.planned.decision) {
            (Part::Follows(leader), _) => {
                // A further name needs no data.
                let copies = matches!(action.planned.decision, Decision::Copy(_)) && self.fetch.is_none();
                if copies || matches!(action.planned.decision, Decision::Transfer(_)) {
                    self.applier.meter.bytes_unchanged.fetch_add(entry.data_size(), Ordering::Relaxed);
                }
                self.follow(leader, &action.planned, place, dir, &mut outcome, &mut remarks)
            }
            (_, Decision::Transfer(change)) => {
                dir.touched.store(true, Ordering::Relaxed);
                self.transfer(place, *change, begun, &mut outcome, &mut remarks)
            }
            (_, Decision::Link | Decision::Copy(_)) => {
                dir.touched.store(true, Ordering::Relaxed);
                self.take_basis(&action.planned, place, &mut outcome, &mut remarks)
            }
            (_, Decision::Elsewhere) => {
                dir.touched.store(true, Ordering::Relaxed);
                self.applier.leave_to_basis(place, &mut remarks).map(|()| (0, 0))
            }
            (_, Decision::Make(change)) => {
                dir.touched.store(true, Ordering::Relaxed);
                outcome.change = *change;
                place.ready(&mut remarks).and_then(|attached| {
                    self.applier.make_node(place.to, entry, place.dest, &attached, place.path, &mut remarks)
                })
            }
            (_, Decision::Attributes(change)) => {
                outcome.change = *change;
                place.ready(&mut remarks).and_then(|attached| {
                    self.applier.set_attributes_of(
                        place.to,
                        entry.target(),
                        &entry.attrs,
                        &attached,
                        place.path,
                        &mut remarks,
                    )
                })
            }
            (_, Decision::Unchanged | Decision::Skip(_)) => {
                Ok(place.dest.map_or((0, 0), |dest| (dest.dev, dest.ino)))
            }
        };
        if result.is_ok() {
            told.stats.count(&outcome, entry.attrs.size, entry.attrs.kind);
            if self.order.wants_items()
                && (self.report_unchanged || !outcome.change.is_none() || outcome.shown)
            {
                told.events.push(Event::Item(item(
                    self.applier.cx,
                    &action.planned,
                    place.path,
                    place.prefix,
                    outcome,
                )));
            }
        }
        told.events.extend(remarks.notes.into_iter().map(Event::Note));
        told.events.extend(remarks.problems.into_iter().map(Event::Problem));
        result
    }

    pub(super) fn transfer(
        &self,
        place: &Place<'_>,
        change: Change,
        begun: Option<Begun<'_>>,
        outcome: &mut Outcome,
        remarks: &mut Remarks,
    ) -> Result<(u64, u64), Failure> {
        self.applier.transfer(place, begun, remarks).map(|done| {
            let shown = outcome.shown;
            *outcome = Outcome {
                change,
                moved: done.moved,
                digest: done.digest,
                transferred: true,
                shown,
                link: None,
            };
            self.applier.meter.files_done.fetch_add(1, Ordering::Relaxed);
            self.meter_unmoved(place, done.moved);
            done.inode
        })
    }

    /// Holes, and what is kept of a file that is added to, are done with too.
    pub(super) fn meter_unmoved(&self, place: &Place<'_>, moved: u64) {
        let unmoved = place.entry.attrs.size.saturating_sub(moved);
        self.applier.meter.bytes_unchanged.fetch_add(unmoved, Ordering::Relaxed);
    }

    fn follow(
        &self,
        leader: &Leader,
        planned: &Planned,
        place: &Place<'_>,
        dir: &OpenDir,
        outcome: &mut Outcome,
        remarks: &mut Remarks,
    ) -> Result<(u64, u64), Failure> {
        let inode = leader.wait().ok_or_else(|| leaderless(place))?;
        let linked = place.dest.is_some_and(|dest| (dest.dev, dest.ino) == inode);
        *outcome = link_outcome(leader, planned, self.applier.cx.options, linked, self.report_unchanged);
        if !linked {
            dir.touched.store(true, Ordering::Relaxed);
            // Until the end, the leader waits too.
            if !(leader.fate.moves && self.applier.options.delay_updates) {
                self.link_to(leader, place, remarks)?;
            }
        }
        Ok(inode)
    }

    /// Makes an entry another name of its leader's inode.
    pub(super) fn link_to(
        &self,
        leader: &Leader,
        place: &Place<'_>,
        remarks: &mut Remarks,
    ) -> Result<(), Failure> {
        let inode = leader.wait().ok_or_else(|| leaderless(place))?;
        if let Some(leader_dir) = &leader.dir {
            let leader_dir =
                leader_dir.get().map_err(|e| Problem::os("open", &typed(place.prefix, place.path), e))?;
            let name = place.entry.target();
            self.applier.link(
                place.to,
                name,
                &leader_dir,
                &leader.name,
                inode,
                place.dest,
                place.path,
                remarks,
            )?;
        }
        Ok(())
    }
}

/// What a leader that failed leaves to those that would have followed it.
fn leaderless(place: &Place<'_>) -> Problem {
    let text = "the entry that it is a hard link of was not transferred";
    Problem::text("link", &typed(place.prefix, place.path), text)
}

/// A directory on both sides.
pub(super) struct BothSides<'b> {
    to: Result<Arc<Dir>, Problem>,
    supplies: Vec<Result<Box<dyn Supply + 'b>, Errno>>,
    sources: &'b Sources,
    /// `--delay-updates`.
    delay: bool,
}

impl BothSides<'_> {
    /// Where an entry comes from and where it goes.
    pub(super) fn place<'s>(&'s self, action: &'s Action, path: &'s RelPath) -> Result<Place<'s>, Failure> {
        let planned = &action.planned;
        let source = planned.entry.source;
        let to = self.to.as_ref().map_err(Problem::clone)?;
        let supply = match self.supplies.get(source) {
            Some(Ok(supply)) => &**supply,
            Some(Err(e)) => {
                return Err(Problem::os("open", &self.sources.typed(source, &self.sources.path), *e).into());
            }
            None => return Err(Failure::Stopped),
        };
        let prefix = self.sources.prefix(source);
        let moves = matches!(planned.decision, Decision::Transfer(_));
        let like = planned.basis.as_ref().filter(|_| moves).map(|found| &found.attrs);
        let (entry, dest, waits) = (&planned.entry, planned.dest.as_ref(), moves && self.delay);
        Ok(Place { supply, entry, to, dest, like, waits, path, prefix })
    }
}

/// What becomes of an entry that is linked to what a basis directory has.
pub const LINKED: Change = Change { update: Update::HardLink, ..Change::NONE };

/// What following `leader` shows; `linked` if the destination has the link already. What a basis directory has
/// joined too is shown only where `all` is.
///
/// The extended attributes that the line of what is there speaks of are the leader's, as they were before. Observed with
/// rsync 3.5.0.
pub fn link_outcome(
    leader: &Leader,
    planned: &Planned,
    options: &Options,
    linked: bool,
    all: bool,
) -> Outcome {
    let mut change = match &planned.decision {
        Decision::Transfer(change) | Decision::Make(change) | Decision::Attributes(change) if !linked => {
            *change
        }
        _ => Change::NONE,
    };
    let joined = planned.dest.is_none() && matches!(planned.decision, Decision::Unchanged);
    if !linked && (all || !joined) && !change.new {
        compare::renewed(options, planned.entry.attrs.kind, &mut change);
    }
    let xattrs = if planned.dest.is_some() { leader.fate.xattrs && !change.new } else { change.xattrs };
    Outcome {
        // A link's own data is not looked at, whatever --checksum says.
        change: Change { update: Update::HardLink, content: false, xattrs, ..change },
        link: (!linked && (all || !joined)).then(|| LinkText::Hard(leader.path.clone())),
        shown: !linked && !joined,
        ..Outcome::default()
    }
}

#[derive(Default)]
struct Told {
    events: Vec<Event>,
    /// Actions that were carried out, each with the place of what is to be told of it next.
    done: Vec<(usize, usize)>,
    stats: Stats,
}
