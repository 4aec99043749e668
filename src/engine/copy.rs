//! One copy: the ladder over the segments of one file.

use std::ops::ControlFlow;

use super::buffered::Scratch;
use super::drive::{End, drive};
use super::error::{CopyError, Failure, failed};
use super::ladder::{self, Pair, Refusals, Rung, Verdict};
use super::ledger::Ledger;
use super::sparse::{self, Extent, NonZero, Segments};
use super::{Copied, Holes, Outcome, Pace, Policy, Reflink, Source, Target};
use crate::sys::{self, Errno};

/// The steps of [`Engine::copy`](super::Engine::copy); see the room's page.
pub(super) fn copy(
    policy: &Policy,
    refusals: &Refusals,
    ledger: &Ledger,
    src: Source<'_>,
    dst: Target<'_>,
    pace: &dyn Pace,
) -> Result<Copied, CopyError> {
    Scratch::with(|scratch| {
        scratch.position = dst.fresh.then_some(0);
        let mut copy = Copy {
            policy,
            refusals,
            ledger,
            src,
            dst,
            pace,
            scratch,
            left: ladder::rungs(policy, src.len),
            rung: Rung::Buffered,
            moved_by_rung: 0,
            refused: None,
            old_len: 0,
            settled: src.from.min(src.len),
            data_end: 0,
            copied: Copied { bytes: 0, cloned: 0, user: 0, outcome: Outcome::Complete },
        };
        copy.run().map_err(|stop| stop.counted(copy.copied.bytes))?;
        Ok(copy.copied)
    })
}

/// Why a copy ends before its time, before the count is known.
enum Stop {
    Failed(Failure),
    /// The policy leaves no rung that these files allow.
    NoWay(Failure),
    Interrupted,
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Stop {
        Stop::Failed(failure)
    }
}

impl Stop {
    fn counted(self, moved: u64) -> CopyError {
        match self {
            Stop::Failed(Failure { op, errno }) => CopyError::Failed { op, source: errno, moved },
            Stop::NoWay(Failure { op, errno }) => CopyError::NoWay { op, source: errno, moved },
            Stop::Interrupted => CopyError::Interrupted { moved },
        }
    }
}

/// What one drive of the current rung left to do.
enum Attempt {
    Done,
    /// The rung was left for the next one; this is what remains.
    Fell(Extent),
    /// The source ends here.
    Shrank(u64),
}

struct Copy<'a, Rungs> {
    policy: &'a Policy,
    refusals: &'a Refusals,
    ledger: &'a Ledger,
    src: Source<'a>,
    dst: Target<'a>,
    pace: &'a dyn Pace,
    scratch: &'a mut Scratch,
    /// The rungs below the current one.
    left: Rungs,
    rung: Rung,
    moved_by_rung: u64,
    /// The last refusal, for the message when no rung is left.
    refused: Option<Failure>,
    /// The size of a target that is overwritten; 0 for a fresh one.
    old_len: u64,
    /// Everything of the target before this offset is as it should be.
    settled: u64,
    /// The end of the last bytes moved.
    data_end: u64,
    copied: Copied,
}

impl<Rungs: Iterator<Item = Rung>> Copy<'_, Rungs> {
    fn run(&mut self) -> Result<(), Stop> {
        if !self.dst.fresh {
            // A device has no tail, but whatever was there is there where the source has a hole.
            self.old_len = if self.dst.device { self.src.len } else { size(self.dst.fd)? };
        }
        let whole = Extent::between(self.settled, self.src.len);
        if whole.len == 0 {
            return self.finish(None);
        }
        if !self.next_rung() {
            return Err(self.no_way());
        }
        while self.rung.properties().keeps_holes {
            // It takes whole blocks, and what the target holds already rarely ends with one.
            if whole.start > 0 {
                if !self.next_rung() {
                    return Err(self.no_way());
                }
            } else if let Attempt::Done = self.attempt(whole)? {
                self.settled = self.src.len;
                return self.finish(None);
            }
        }
        let mut shrank = self.segments(whole)?;
        if shrank.is_some() || self.settled < self.src.len {
            // A hole to the end, or the zeros after the end in a mapping's last page, look like an end that
            // came early, and the other way round: the size decides, but not against bytes that were there
            // (virtual files say 0).
            let now = size(self.src.fd)?.max(self.data_end);
            shrank = shrank.or((now < self.src.len).then_some(self.src.len)).map(|at| at.min(now));
        }
        self.finish(shrank)
    }

    /// Moves the data segments of `whole`; `Some(at)`: the source ends at `at`.
    fn segments(&mut self, whole: Extent) -> Result<Option<u64>, Stop> {
        let make = self.policy.holes == Holes::Make;
        if self.src.allocated >= self.src.len {
            return if make { self.non_zero(whole) } else { self.extent(whole) };
        }
        if !sparse::map_is_trusted(self.src.fd) {
            return self.non_zero(whole);
        }
        let mut segments = Segments::of(self.src.fd, whole);
        while let Some(segment) = segments.next()? {
            let shrank = if make { self.non_zero(segment) } else { self.extent(segment) }?;
            if shrank.is_some() {
                return Ok(shrank);
            }
        }
        Ok(None)
    }

    /// As [`Self::extent`], leaving out blocks of zeros.
    fn non_zero(&mut self, extent: Extent) -> Result<Option<u64>, Stop> {
        let mut runs = NonZero::of(self.src.fd, extent);
        while let Some(run) = runs.next() {
            let shrank = self.extent(run)?;
            if shrank.is_some() {
                return Ok(shrank);
            }
        }
        Ok(None)
    }

    /// Moves all of `extent`, whatever rungs it takes; `Some(at)`: the source ends at `at`.
    fn extent(&mut self, extent: Extent) -> Result<Option<u64>, Stop> {
        self.clear(extent.start)?;
        let mut rest = extent;
        loop {
            match self.attempt(rest)? {
                Attempt::Done => {
                    self.settled = extent.end();
                    return Ok(None);
                }
                Attempt::Fell(left) => rest = left,
                Attempt::Shrank(at) => {
                    self.settled = at;
                    return Ok(Some(at));
                }
            }
        }
    }

    /// Drives the current rung over `extent` until it ends, and falls to the next one where that helps.
    fn attempt(&mut self, extent: Extent) -> Result<Attempt, Stop> {
        let (rung, is) = (self.rung, self.rung.properties());
        let most = if is.keeps_holes { is.step } else { is.step.min(self.pace.step_limit()) };
        let (moved, end) = drive(
            extent,
            most,
            |off, len| (is.run)(self.src.fd, self.dst.fd, off, len, self.scratch),
            |n, asked| {
                self.ledger.step(rung, n, asked);
                if n == 0 { ControlFlow::Continue(()) } else { self.pace.advance(n as u64, rung) }
            },
        );
        self.moved_by_rung += moved;
        self.copied.bytes += moved;
        if moved > 0 {
            self.data_end = extent.start + moved;
        }
        if rung == Rung::Reflink {
            self.copied.cloned += moved;
        }
        if is.sees_bytes {
            self.copied.user += moved;
        }
        let rest = extent.after(moved);
        match end {
            End::Complete => Ok(Attempt::Done),
            End::Stopped => Err(Stop::Interrupted),
            // Virtual files answer 0 to some rungs and still hold bytes: the next rung, at last read, decides.
            End::Zero if self.moved_by_rung == 0 && self.next_rung() => Ok(Attempt::Fell(rest)),
            End::Zero => Ok(Attempt::Shrank(rest.start)),
            // The source has another length by now. What was shared is overwritten by the next rung.
            End::Failed(failure) if is.keeps_holes && moved > 0 && failure.errno == Errno::EINVAL => {
                self.copied.bytes -= moved;
                self.copied.cloned -= moved;
                self.data_end = 0;
                self.old_len = self.old_len.max(moved);
                self.refusal(failure).map(|()| Attempt::Fell(extent))
            }
            End::Failed(failure) if self.moved_by_rung > 0 => Err(failure.into()),
            End::Failed(failure) => self.refusal(failure).map(|()| Attempt::Fell(rest)),
        }
    }

    /// Books an error of the current rung that moved nothing, and takes the next rung if that is the answer.
    fn refusal(&mut self, failure: Failure) -> Result<(), Stop> {
        let pair = self.pair();
        let verdict = ladder::judge(self.rung, failure.errno, pair.0 == pair.1);
        if verdict == Verdict::Fail {
            return Err(failure.into());
        }
        self.ledger.refusal(self.rung, failure.errno);
        if verdict == Verdict::Never {
            self.refusals.remember(pair, self.rung, failure.errno);
        }
        self.refused = Some(failure);
        if self.next_rung() { Ok(()) } else { Err(self.no_way()) }
    }

    /// Goes to the next rung that this pair has not refused for good; `false`: none is left.
    fn next_rung(&mut self) -> bool {
        let pair = self.pair();
        for rung in self.left.by_ref() {
            let known = if rung.sees_bytes() { None } else { self.refusals.known(pair, rung) };
            match known {
                Some(errno) => self.refused = Some(Failure { op: rung.name(), errno }),
                None => {
                    self.rung = rung;
                    self.moved_by_rung = 0;
                    return true;
                }
            }
        }
        false
    }

    /// The error when the policy leaves no rung that these files allow.
    fn no_way(&self) -> Stop {
        let errno = self.refused.map_or(Errno::EOPNOTSUPP, |f| f.errno);
        let op = match (self.policy.forced, self.policy.reflink) {
            (Some(rung), _) => rung.name(),
            (None, Reflink::Always) => Rung::Reflink.name(),
            _ => "zero-copy",
        };
        Stop::NoWay(Failure { op, errno })
    }

    fn pair(&self) -> Pair {
        (self.src.dev, self.dst.dev)
    }

    /// Settles the target up to `to`: where the source has a hole, old bytes of the target go.
    fn clear(&mut self, to: u64) -> Result<(), Failure> {
        let gap = Extent::between(self.settled, to.min(self.old_len));
        self.settled = self.settled.max(to);
        if gap.len == 0 {
            return Ok(());
        }
        match sys::fallocate::punch_hole(self.dst.fd, gap.start, gap.len) {
            Err(Errno::EOPNOTSUPP | Errno::ENOSYS) => self.write_zeros(gap),
            done => done.map_err(failed("punch hole")),
        }
    }

    fn write_zeros(&mut self, gap: Extent) -> Result<(), Failure> {
        let zeros = self.scratch.buffer();
        zeros.fill(0);
        let write =
            |off, len: usize| sys::pio::pwrite(self.dst.fd, &zeros[..len], off).map_err(failed("write"));
        match drive(gap, zeros.len(), write, |_, _| ControlFlow::Continue(())) {
            (_, End::Failed(failure)) => Err(failure),
            (_, End::Zero) => Err(Failure { op: "write", errno: Errno::EIO }),
            _ => Ok(()),
        }
    }

    /// Settles the target's end, after all data.
    fn finish(&mut self, shrank: Option<u64>) -> Result<(), Stop> {
        // What was there before is not the source's to take away.
        let end = shrank.map_or(self.src.len, |at| at.max(self.src.from));
        let written = self.settled;
        if let Some(at) = shrank {
            self.copied.outcome = Outcome::SourceShrank { at };
        }
        self.clear(end)?;
        // Whoever writes nothing over nothing has written all the same: the target's time says so.
        let emptied = end == 0 && !self.dst.fresh;
        let cut = shrank.is_some() || written < end || self.old_len > end || emptied;
        if cut && !self.dst.device {
            sys::fallocate::ftruncate(self.dst.fd, end).map_err(failed("truncate"))?;
        }
        Ok(())
    }
}

fn size(fd: std::os::fd::BorrowedFd<'_>) -> Result<u64, Failure> {
    super::length(fd).map(|(size, _)| size).map_err(failed("stat"))
}
