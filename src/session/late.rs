//! What fails on the sending side after it was planned, to be told at the end.

use crate::event::Problem;
use crate::wire::{WireError, encoded_len};

/// Most bytes of problems with sources that are kept to be told at the end; more are only counted.
const LATE_MAX: usize = 4 << 20;

/// What comes after the plan: sources that could not be removed.
#[derive(Default)]
pub(super) struct Late {
    /// Entries that the sender was told of and may still answer for.
    open: u64,
    problems: Vec<Problem>,
    bytes: usize,
    /// Further ones.
    more: u64,
}

impl Late {
    /// The sender has been told of an entry more.
    pub(super) fn expect(&mut self) {
        self.open += 1;
    }

    /// Whether the sender has not answered for all of them.
    pub(super) fn open(&self) -> bool {
        self.open > 0
    }

    /// The sender answers for one of them.
    ///
    /// # Errors
    ///
    /// It was told of no further one.
    pub(super) fn answered(&mut self, problem: Option<Problem>) -> Result<(), WireError> {
        self.open = self.open.checked_sub(1).ok_or_else(|| WireError::unasked("Removed"))?;
        if let Some(problem) = problem {
            self.add(problem);
        }
        Ok(())
    }

    /// One more, as long as there is room for it.
    pub(super) fn add(&mut self, problem: Problem) {
        self.bytes += size_of::<Problem>() + encoded_len(&problem);
        if self.bytes <= LATE_MAX { self.problems.push(problem) } else { self.more += 1 }
    }

    /// What there is to tell.
    pub(super) fn take(&mut self) -> Vec<Problem> {
        let mut problems = std::mem::take(&mut self.problems);
        if std::mem::take(&mut self.more) > 0 {
            problems.push(Problem::text("remove", b"more sources", "could not be removed, as those before"));
        }
        problems
    }
}
