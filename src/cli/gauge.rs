//! The figures of a progress line: how much is done, how fast, how long it will take.

use std::collections::VecDeque;
use std::sync::atomic::Ordering::{Acquire, Relaxed};
use std::time::Duration;

use crate::event::Meter;

use super::number::{Human, progress_rate};

/// Rates are those of this last stretch of time: long enough to be steady, short enough to be true.
const WINDOW: Duration = Duration::from_secs(5);

/// The meter at one moment. Sizes in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Reading {
    /// Data put into place, by whatever path.
    pub moved: u64,
    /// Data in files that needed nothing.
    pub unchanged: u64,
    /// Files transferred.
    pub files: u64,
    /// Entries looked at.
    pub checked: u64,
    /// Bytes and entries in all, once they are known.
    pub total: Option<(u64, u64)>,
}

impl Reading {
    /// Reads `meter`.
    #[must_use]
    pub fn of(meter: &Meter) -> Reading {
        // The totals are written before the flag: read the flag first.
        let known = meter.total_known.load(Acquire);
        let bytes = || meter.total_bytes.load(Relaxed).saturating_add(meter.total_unchanged.load(Relaxed));
        Reading {
            moved: meter.bytes_done.load(Relaxed),
            unchanged: meter.bytes_unchanged.load(Relaxed),
            files: meter.files_done.load(Relaxed),
            checked: meter.checked.load(Relaxed),
            total: known.then(|| (bytes(), meter.total_entries.load(Relaxed))),
        }
    }

    fn done(&self) -> u64 {
        self.moved.saturating_add(self.unchanged)
    }
}

/// Turns readings into lines; remembers what it showed, so that progress never goes backwards.
#[derive(Debug)]
pub struct Gauge {
    human: Human,
    /// The most bytes shown as done.
    done: u64,
    /// The highest part shown, of the whole as 1.
    share: f64,
    /// When, and what was moved and done then; oldest first, within the window.
    samples: VecDeque<(Duration, u64, u64)>,
}

impl Gauge {
    /// A gauge that writes sizes as `human` says.
    #[must_use]
    pub fn new(human: Human) -> Gauge {
        Gauge { human, done: 0, share: 0.0, samples: VecDeque::from([(Duration::ZERO, 0, 0)]) }
    }

    /// The line at `elapsed` after the start: bytes, percent, rate, time left, files, entries to check.
    ///
    /// Reflinked, kernel-copied, user-copied and unchanged bytes all count towards the 100 %. While the
    /// total is not known there is no percentage and no time left.
    pub fn line(&mut self, elapsed: Duration, reading: &Reading) -> String {
        self.samples.push_back((elapsed, reading.moved, reading.done()));
        while self.samples.len() > 2 && self.samples[1].0 + WINDOW < elapsed {
            self.samples.pop_front();
        }
        let first = self.samples.front().copied().unwrap_or_default();
        let window = elapsed.saturating_sub(first.0);
        let rate = per_second(reading.moved.saturating_sub(first.1), window);
        let pace = per_second(reading.done().saturating_sub(first.2), window);
        let left = reading.total.and_then(|(bytes, _)| {
            let left = bytes.saturating_sub(reading.done());
            if left == 0 { Some(Duration::ZERO) } else { time_for(left, pace) }
        });
        let left = left.map_or_else(|| "   -:--:--".to_string(), clock_time);
        self.write(reading, rate, &left)
    }

    /// The line after the run: the rate is that of all of it, the time is what it took.
    pub fn last_line(&mut self, elapsed: Duration, reading: &Reading) -> String {
        self.write(reading, per_second(reading.moved, elapsed), &clock_time(elapsed))
    }

    /// How many of `parts` are done; nothing while the total is not known.
    pub fn part(&mut self, reading: &Reading, parts: u64) -> Option<u64> {
        reading.total?;
        self.advance(reading);
        #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let part = (self.share * parts as f64) as u64; // a share is within 0 and 1
        Some(part)
    }

    fn advance(&mut self, reading: &Reading) {
        self.done = self.done.max(reading.done());
        if let Some((bytes, entries)) = reading.total {
            self.share = self.share.max(share(self.done, bytes, reading.checked, entries));
        }
    }

    fn write(&mut self, reading: &Reading, rate: f64, time: &str) -> String {
        self.advance(reading);
        let (size, rate, files) = (self.human.size(self.done), progress_rate(rate), reading.files);
        let checks = to_check(reading);
        if reading.total.is_none() {
            return format!("{size:>15} scanning {rate} (xfr#{files}, {checks})");
        }
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // within 0 and 100
        let percent = (self.share * 100.0) as u8;
        format!("{size:>15} {percent:>3}% {rate} {time} (xfr#{files}, {checks})")
    }
}

/// The part that is done. Without any bytes to speak of, entries tell.
fn share(done: u64, bytes: u64, checked: u64, entries: u64) -> f64 {
    let (part, whole) = if bytes > 0 { (done, bytes) } else { (checked, entries) };
    if part >= whole {
        return 1.0;
    }
    #[allow(clippy::cast_precision_loss)] // a percentage is shown
    let share = part as f64 / whole as f64;
    // Rounded up to 1 it would say that all is done while something is not.
    share.min(0.999_999)
}

/// `to-chk=LEFT/ALL`, rsync's count of entries; before all are known, how many were looked at.
#[must_use]
pub fn to_check(reading: &Reading) -> String {
    match reading.total {
        Some((_, entries)) => format!("to-chk={}/{entries}", entries.saturating_sub(reading.checked)),
        None => format!("chk={}", reading.checked),
    }
}

fn per_second(bytes: u64, time: Duration) -> f64 {
    #[allow(clippy::cast_precision_loss)] // two decimals are shown
    let bytes = bytes as f64;
    if time.is_zero() { 0.0 } else { bytes / time.as_secs_f64() }
}

fn time_for(bytes: u64, per_second: f64) -> Option<Duration> {
    #[allow(clippy::cast_precision_loss)] // whole seconds are shown
    let seconds = bytes as f64 / per_second;
    Duration::try_from_secs_f64(seconds).ok()
}

/// Hours, minutes and seconds in ten columns: `   0:00:08`.
#[must_use]
pub fn clock_time(time: Duration) -> String {
    let seconds = time.as_secs();
    let hours = (seconds / 3600).min(9999);
    format!("{hours:>4}:{:02}:{:02}", seconds / 60 % 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn reading(moved: u64, unchanged: u64, total: Option<u64>) -> Reading {
        Reading { moved, unchanged, files: 2, checked: 3, total: total.map(|bytes| (bytes, 6)) }
    }

    #[test]
    fn a_line_has_rsyncs_columns() {
        let mut gauge = Gauge::new(Human::Grouped);
        let line = gauge.line(Duration::from_secs(2), &reading(1_234_567, 0, Some(2_469_134)));
        assert_eq!(line, "      1,234,567  50%  602.82kB/s    0:00:02 (xfr#2, to-chk=3/6)");
        let line = gauge.last_line(Duration::from_secs(4), &reading(2_469_134, 0, Some(2_469_134)));
        assert_eq!(line, "      2,469,134 100%  602.82kB/s    0:00:04 (xfr#2, to-chk=3/6)");
    }

    #[test]
    fn before_the_total_is_known_there_is_no_percentage() {
        let line = Gauge::new(Human::Decimal).line(Duration::from_secs(1), &reading(5_000_000, 0, None));
        assert_eq!(line, "          5.00M scanning    4.77MB/s (xfr#2, chk=3)");
    }

    #[test]
    fn the_rate_is_that_of_the_last_seconds() {
        let mut gauge = Gauge::new(Human::Grouped);
        for second in 1..=60 {
            gauge.line(Duration::from_secs(second), &reading(second * 1024, 0, Some(1 << 40)));
        }
        let stalled = gauge.line(Duration::from_secs(70), &reading(60 * 1024, 0, Some(1 << 40)));
        assert!(stalled.contains("   0.00kB/s    -:--:-- "), "{stalled}");
    }

    #[test]
    fn unchanged_files_count_towards_the_whole() {
        let line = Gauge::new(Human::Grouped).last_line(Duration::ZERO, &reading(0, 100, Some(100)));
        assert_eq!(line, "            100 100%    0.00kB/s    0:00:00 (xfr#2, to-chk=3/6)");
    }

    #[test]
    fn without_bytes_the_entries_tell_how_far_it_is() {
        let line = Gauge::new(Human::Grouped).last_line(Duration::ZERO, &reading(0, 0, Some(0)));
        assert!(line.contains(" 50% "), "{line}");
    }

    #[test]
    fn one_byte_short_is_not_all() {
        let mut gauge = Gauge::new(Human::Grouped);
        let line = gauge.last_line(Duration::ZERO, &reading(u64::MAX - 1, 0, Some(u64::MAX)));
        assert!(line.contains(" 99% "), "{line}");
    }

    proptest! {
        #[test]
        fn progress_never_goes_backwards(steps in proptest::collection::vec((0u64..1000, 0u64..1000), 1..20)) {
            let mut gauge = Gauge::new(Human::Plain);
            let (mut shown, mut part) = (0, 0);
            for (at, (moved, unchanged)) in steps.into_iter().enumerate() {
                let reading = reading(moved, unchanged, Some(1500));
                let line = gauge.line(Duration::from_millis(at as u64 * 100), &reading);
                let done: u64 = line.split_whitespace().next().unwrap().parse().unwrap();
                prop_assert!(done >= shown);
                shown = done;
                let next = gauge.part(&reading, 1000).unwrap();
                prop_assert!((part..=1000).contains(&next));
                part = next;
            }
        }
    }
}
