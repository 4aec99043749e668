//! The pace of a run: what has been done is counted, a bandwidth limit is kept, a wish to stop is heard.

use std::ops::ControlFlow;
use std::sync::atomic::Ordering;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::engine::{Pace, Rung};
use crate::event::Meter;

/// Longest sleep in one go, so that a wish to stop is heard within a second.
const NAP: Duration = Duration::from_millis(200);

/// What was not used of a limit in so long is made up for: the time that the bytes themselves take, and that a sleep
/// takes too long. Without it a limit of 60 MB/s gave 35 on a busy machine.
const CREDIT: Duration = Duration::from_millis(500);

/// See the module. One for all workers, so that a limit holds for their sum.
pub struct Pacer<'a> {
    meter: &'a Meter,
    deadline: Option<Instant>,
    limit: Option<u64>,
    /// When the bytes moved so far are paid for.
    paid: Mutex<Instant>,
}

impl<'a> Pacer<'a> {
    /// A pace of at most `limit` bytes per second, until `deadline`.
    #[must_use]
    pub fn new(meter: &'a Meter, limit: Option<u64>, deadline: Option<Instant>) -> Pacer<'a> {
        let limit = limit.filter(|limit| *limit > 0);
        Pacer { meter, deadline, limit, paid: Mutex::new(Instant::now()) }
    }

    /// Whether the run is to end now.
    #[must_use]
    pub fn over(&self) -> bool {
        self.meter.stopped() || self.late()
    }

    /// Whether the deadline has passed.
    #[must_use]
    pub fn late(&self) -> bool {
        self.deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }

    fn go_on(&self) -> ControlFlow<()> {
        if self.over() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn pay(&self, bytes: u64, limit: u64) {
        #[allow(clippy::cast_precision_loss)] // a limit need not be exact
        let cost = Duration::from_secs_f64(bytes as f64 / limit as f64);
        let due = {
            let mut paid = self.paid.lock().unwrap_or_else(PoisonError::into_inner);
            let now = Instant::now();
            *paid = (*paid).max(now.checked_sub(CREDIT).unwrap_or(now)) + cost;
            *paid
        };
        loop {
            let left = due.saturating_duration_since(Instant::now());
            if left.is_zero() || self.over() {
                return;
            }
            std::thread::sleep(left.min(NAP));
        }
    }
}

impl Pace for Pacer<'_> {
    fn advance(&self, bytes: u64, rung: Rung) -> ControlFlow<()> {
        self.meter.bytes_done.fetch_add(bytes, Ordering::Relaxed);
        if rung == Rung::Reflink {
            self.meter.bytes_cloned.fetch_add(bytes, Ordering::Relaxed);
        } else {
            if rung.sees_bytes() {
                self.meter.bytes_user.fetch_add(bytes, Ordering::Relaxed);
            }
            if let Some(limit) = self.limit {
                self.pay(bytes, limit);
            }
        }
        self.go_on()
    }

    fn hashed(&self, _bytes: u64) -> ControlFlow<()> {
        self.go_on()
    }

    fn packed(&self, bytes: u64, sent: u64) -> ControlFlow<()> {
        self.meter.bytes_done.fetch_add(bytes, Ordering::Relaxed);
        self.meter.bytes_user.fetch_add(bytes, Ordering::Relaxed);
        if let Some(limit) = self.limit {
            self.pay(sent, limit);
        }
        self.go_on()
    }

    fn step_limit(&self) -> usize {
        // A tenth of a second's worth, so that a limited copy is smooth and can be stopped.
        self.limit.map_or(usize::MAX, |limit| usize::try_from(limit / 10).unwrap_or(usize::MAX).max(1024))
    }
}
