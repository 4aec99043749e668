//! The one loop that moves bytes: steps, short counts, ends of file, interruption.

use std::ops::ControlFlow;

use super::error::Failure;
use super::sparse::Extent;

/// How a drive ended. The count is beside it, whatever the end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum End {
    /// All of the extent was moved.
    Complete,
    /// The rung moved nothing although more was expected: the source has ended, if the rung can be trusted.
    Zero,
    /// A step failed.
    Failed(Failure),
    /// The caller's `after` asked to stop.
    Stopped,
}

/// Moves `extent` in steps of at most `most` bytes and returns the bytes moved and why it ended.
///
/// `step(off, len)` moves up to `len` bytes at `off` and returns how many: fewer is resumed from there, `0`
/// ends the drive, so every turn makes progress. `after(moved, asked)` hears of each step, the last
/// one included; an interruption after the last byte is still [`End::Complete`].
pub(super) fn drive(
    extent: Extent,
    most: usize,
    mut step: impl FnMut(u64, usize) -> Result<usize, Failure>,
    mut after: impl FnMut(usize, usize) -> ControlFlow<()>,
) -> (u64, End) {
    let mut moved: u64 = 0;
    while moved < extent.len {
        let left = extent.len - moved;
        let asked = usize::try_from(left).unwrap_or(usize::MAX).min(most.max(1));
        let n = match step(extent.start + moved, asked) {
            Ok(n) => n.min(asked),
            Err(failure) => return (moved, End::Failed(failure)),
        };
        moved += n as u64;
        let go_on = after(n, asked);
        if n == 0 {
            return (moved, End::Zero);
        }
        if go_on.is_break() && moved < extent.len {
            return (moved, End::Stopped);
        }
    }
    (moved, End::Complete)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::Errno;

    const EXTENT: Extent = Extent { start: 100, len: 1000 };

    fn go_on(_: usize, _: usize) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    #[test]
    fn short_counts_are_resumed_where_they_ended() {
        let mut asked = Vec::new();
        let step = |off, len| {
            asked.push((off, len));
            Ok(if len > 300 { 300 } else { len })
        };
        assert_eq!(drive(EXTENT, 400, step, go_on), (1000, End::Complete));
        assert_eq!(asked, [(100, 400), (400, 400), (700, 400), (1000, 100)]);
    }

    #[test]
    fn zero_before_the_end_is_told_with_the_count() {
        let step = |off, len| Ok(if off < 500 { len } else { 0 });
        assert_eq!(drive(EXTENT, 400, step, go_on), (400, End::Zero));
    }

    #[test]
    fn an_error_keeps_the_count() {
        let failure = Failure { op: "write", errno: Errno::ENOSPC };
        let step = |off, len| if off < 500 { Ok(len) } else { Err(failure) };
        assert_eq!(drive(EXTENT, 400, step, go_on), (400, End::Failed(failure)));
    }

    #[test]
    fn interruption_stops_after_the_step_and_keeps_the_count() {
        let stop = |_, _| ControlFlow::Break(());
        assert_eq!(drive(EXTENT, 400, |_, len| Ok(len), stop), (400, End::Stopped));
        assert_eq!(drive(EXTENT, 1000, |_, len| Ok(len), stop), (1000, End::Complete));
    }

    #[test]
    fn a_rung_that_claims_more_than_asked_never_counts_beyond_the_extent() {
        assert_eq!(drive(EXTENT, 400, |_, len| Ok(len + 7), go_on), (1000, End::Complete));
    }
}
