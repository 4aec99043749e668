//! Both roles in one process: the bytes go from descriptor to descriptor.
//!
//! The operands are resolved and held ([`selection`]); what must be refused is refused here. Then the
//! sources are listed, or received (`session::receiver`).

use std::os::fd::BorrowedFd;

use super::consumer::root_item;
use super::order::Sequencer;
use super::pace::Pacer;
use super::receiver::Receiver;
use super::selection::{self, Destination, Selection};
use super::{Ended, Options, Summary, listing, mounts};
use crate::engine::Engine;
use crate::event::{Change, Event, Meter, Observer, Problem, Severity, Stats};
use crate::path::held::Budget;
use crate::path::{Kind, operand};
use crate::plan::{Delete, listing as plan_listing};

/// Runs a local transfer (or listing) and tells `observer` about it in plan order.
///
/// # Errors
///
/// The operands or options can never be right: a message for the user; nothing was touched, exit 1.
pub fn run(options: &Options, meter: &Meter, observer: &dyn Observer) -> Result<Summary, String> {
    let budget = Budget::new(operand::raise_descriptor_limit());
    let selection = selection::select(options, &budget)?;
    let engine = Engine::new(options.engine);
    let pacer = Pacer::new(meter, options.apply.bwlimit, options.deadline);
    let order = Sequencer::new(observer, meter);
    let run = Receiver {
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

impl Receiver<'_> {
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
            return if self.meter.stopped() { Ended::Stopped } else { Ended::Complete };
        };
        if let Some(problem) = self.mount_refusal(&selection) {
            deliver(vec![Event::Problem(problem)]);
            return Ended::Aborted;
        }
        let destination = match selection::destination(self.options, dest, &selection, &self.budget) {
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
                let paths = path.map_or_else(|_| Vec::new(), |path| source.members.paths(path));
                if let Some(point) = paths.iter().find_map(|path| mounts::missing_mount(path)) {
                    return Some(refuse(&source.prefix, &point));
                }
            }
        }
        let dest = self.options.dest.as_ref()?;
        let path = operand::nearest_path(dest)?;
        mounts::missing_mount(&path).map(|point| refuse(dest.as_encoded_bytes(), &point))
    }
}

impl Destination {
    fn none() -> Destination {
        Destination { root: None, before: None, rename: None, notes: Vec::new() }
    }
}
