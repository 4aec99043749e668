//! Events leave in plan order, whatever order the workers finish in.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::event::{Event, Meter, Observer, Severity, Stats};

/// Groups of events that may wait for an earlier one. A guess: with 64 entries a group, some 20 MB of
/// itemized lines while one huge file is copied.
const WINDOW: u64 = 1024;

/// Longest wait in one go, so that a wish to stop is heard within a second.
const NAP: Duration = Duration::from_millis(200);

/// Puts the groups of events that workers deliver back into the order in which they were planned.
pub struct Sequencer<'a> {
    observer: &'a dyn Observer,
    meter: &'a Meter,
    state: Mutex<State>,
    moved: Condvar,
}

#[derive(Default)]
struct State {
    /// The group that is to leave next.
    next: u64,
    waiting: BTreeMap<u64, Vec<Event>>,
    stats: Stats,
    worst: Option<Severity>,
}

impl<'a> Sequencer<'a> {
    /// A sequence that begins with group 0. Nobody waits in it once `meter` asks to stop.
    #[must_use]
    pub fn new(observer: &'a dyn Observer, meter: &'a Meter) -> Sequencer<'a> {
        Sequencer { observer, meter, state: Mutex::default(), moved: Condvar::new() }
    }

    /// Whether anybody wants items.
    #[must_use]
    pub fn wants_items(&self) -> bool {
        self.observer.wants_items()
    }

    /// Delivers the events of group `seq`, and adds what `count` adds to the figures.
    pub fn deliver(&self, seq: u64, events: Vec<Event>, count: impl FnOnce(&mut Stats)) {
        let mut state = self.lock();
        count(&mut state.stats);
        for event in &events {
            if let Event::Problem(problem) = event {
                state.worst = state.worst.max(Some(problem.severity));
            }
        }
        if seq != state.next {
            state.waiting.insert(seq, events);
            return;
        }
        self.emit(&events);
        state.next += 1;
        loop {
            let next = state.next;
            let Some(events) = state.waiting.remove(&next) else { break };
            self.emit(&events);
            state.next += 1;
        }
        self.moved.notify_all();
    }

    /// Waits until group `seq` is near enough to be planned: memory stays bounded. Or until the run is to
    /// stop: then little more is planned.
    pub fn wait_for_room(&self, seq: u64) {
        self.wait_while(|next| seq > next + WINDOW);
    }

    /// Waits until every group before `seq` has left, or the run is to stop: then they leave later.
    pub fn wait_until(&self, seq: u64) {
        self.wait_while(|next| next < seq);
    }

    fn wait_while(&self, early: impl Fn(u64) -> bool) {
        let mut state = self.lock();
        while early(state.next) && !self.meter.stopped() {
            (state, _) = self.moved.wait_timeout(state, NAP).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The figures and the worst problem so far.
    #[must_use]
    pub fn totals(&self) -> (Stats, Option<Severity>) {
        let state = self.lock();
        (state.stats.clone(), state.worst)
    }

    fn emit(&self, events: &[Event]) {
        for event in events {
            self.observer.event(event);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)] // a test may panic
mod tests {
    use super::*;
    use crate::event::Note;
    use crate::path::RelPath;

    #[derive(Default)]
    struct Seen(Mutex<Vec<String>>);

    impl Observer for Seen {
        fn event(&self, event: &Event) {
            if let Event::Note(Note::Exists(path)) = event {
                self.0.lock().unwrap().push(String::from_utf8(path.as_bytes().to_vec()).unwrap());
            }
        }
    }

    #[test]
    fn groups_leave_in_the_order_of_their_numbers() {
        let seen = Seen::default();
        let meter = Meter::default();
        let order = Sequencer::new(&seen, &meter);
        for seq in [3, 1, 0, 2, 4] {
            let path = RelPath::parse(seq.to_string().as_bytes()).unwrap();
            order.deliver(seq, vec![Event::Note(Note::Exists(path))], |stats| stats.transferred += 1);
        }
        order.wait_until(5);
        assert_eq!(seen.0.lock().unwrap().concat(), "01234");
        assert_eq!(order.totals().0.transferred, 5);
    }
    #[test]
    fn nobody_waits_for_a_group_that_never_comes_once_the_run_is_to_stop() {
        let (seen, meter) = (Seen::default(), Meter::default());
        let order = Sequencer::new(&seen, &meter);
        std::thread::scope(|scope| {
            let waiting =
                [scope.spawn(|| order.wait_until(1)), scope.spawn(|| order.wait_for_room(WINDOW + 1))];
            meter.stop.store(true, std::sync::atomic::Ordering::Relaxed);
            for thread in waiting {
                thread.join().unwrap();
            }
        });
        assert_eq!(order.totals().0.transferred, 0);
    }
}
