//! `--list-only`: the sources' entries as events, nothing compared and nothing touched.

use super::order::Sequencer;
use super::outcome::{Outcome, item};
use crate::event::{Event, Stats};
use crate::plan::Context;
use crate::plan::ahead::{Ahead, Step};
use crate::plan::visit::{Node, visit};

/// Delivers every entry below `root` in transfer order as an item, beginning with group `seq`.
pub fn list(cx: &Context<'_>, root: Node, order: &Sequencer<'_>, mut seq: u64) {
    cx.begin_walk();
    let look = |node| visit(cx, node);
    let ahead = Ahead::new(&look, root);
    while let Some(step) = ahead.next().filter(|_| !cx.meter.stopped()) {
        let Step::Enter(visited) = step else { continue };
        let mut stats = Stats::default();
        let mut events: Vec<Event> = visited.problems.into_iter().map(Event::Problem).collect();
        stats.io_error = visited.incomplete;
        let own = visited.planned.iter().map(|planned| (planned, visited.path.clone()));
        let entries = visited.entries.iter().map(|planned| (planned, visited.path.join(&planned.entry.name)));
        for (planned, path) in own.chain(entries) {
            let prefix = visited.sources.prefix(0);
            stats.files.add(planned.entry.attrs.kind);
            stats.total_size = stats.total_size.saturating_add(planned.entry.data_size());
            let mut item = item(cx, planned, &path, prefix, Outcome::default());
            // Where links are not copied, where they lead is not shown either.
            item.link = item.link.filter(|_| cx.options.links.preserve);
            events.push(Event::Item(item));
        }
        order.deliver(seq, events, |total| total.add(&stats));
        seq += 1;
    }
}
