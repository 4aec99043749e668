//! The workers of a run, started one by one as there is something for them to do.

use std::sync::atomic::{AtomicUsize, Ordering};

use crossbeam_channel::Sender;

use super::worker::Batch;

/// Batches that have been given to a team and are not done with.
#[derive(Default, Debug)]
pub(super) struct UnderWay(AtomicUsize);

impl UnderWay {
    /// One of them is done with.
    pub(super) fn done(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }

    /// One more; returns how many that makes.
    fn more(&self) -> usize {
        self.0.fetch_add(1, Ordering::Relaxed) + 1
    }
}

/// See the module.
pub(super) struct Team<'c> {
    /// Where workers take batches from.
    pub(super) queue: Sender<Batch>,
    /// Starts a worker; returns whether it could.
    pub(super) hire: &'c dyn Fn() -> bool,
    /// Carries a batch out on this thread.
    pub(super) alone: &'c dyn Fn(Batch),
    /// Workers.
    pub(super) hired: usize,
    /// There are to be at most so many.
    pub(super) most: usize,
    /// What they have.
    pub(super) under_way: &'c UnderWay,
}

impl Team<'_> {
    /// Whether the next batch has to wait for a worker: data moves slower than it is found.
    pub(super) fn keeps_waiting(&self) -> bool {
        self.hired > 0 && self.queue.is_full()
    }

    /// Has `batch` carried out: by a worker more if all have something to do, and by the caller if there can be none.
    ///
    /// Each thread costs a short run some tenths of a millisecond (`docs/performance.md`).
    pub(super) fn give(&mut self, batch: Batch) {
        if self.under_way.more() > self.hired && self.hired < self.most {
            if (self.hire)() {
                self.hired += 1;
            } else {
                self.most = self.hired;
            }
        }
        if self.hired == 0 {
            return (self.alone)(batch);
        }
        // The workers live as long as this sender does.
        let _sent = self.queue.send(batch);
    }
}
