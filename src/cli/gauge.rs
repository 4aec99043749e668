//! The figures of a progress line: how much is done, how fast, how long it will take.

use std::collections::VecDeque;
use std::sync::atomic::Ordering::{Acquire, Relaxed};
use std::time::Duration;

use crate::event::Meter;

use super::number::{Human, progress_rate};

/// Rates are those of this last stretch of time: long enough to be steady, short enough to be true.
const WINDOW: Duration = Duration::from_secs(5);

/// A bar of fewer columns says nothing, one of more no more.
const LEAST_BAR: usize = 4;
const WIDEST_BAR: usize = 40;

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
    /// Entries listed so far.
    pub entries: u64,
    /// Bytes in all, once they, and with them all entries, are known.
    pub total: Option<u64>,
}

impl Reading {
    /// Reads `meter`.
    #[must_use]
    pub fn of(meter: &Meter) -> Reading {
        // The totals are written before the flag: read the flag first.
        let known = meter.total_known.load(Acquire);
        let bytes = || meter.total_bytes.load(Relaxed).saturating_add(meter.total_unchanged.load(Relaxed));
        let checked = meter.checked.load(Relaxed);
        Reading {
            moved: meter.bytes_done.load(Relaxed),
            unchanged: meter.bytes_unchanged.load(Relaxed),
            files: meter.files_done.load(Relaxed),
            checked,
            // Where nothing counts ahead, what was looked at is all that is known.
            entries: meter.total_entries.load(Relaxed).max(checked),
            total: known.then(bytes),
        }
    }

    /// The same after a run that went through: what was done is then all that there was.
    fn complete(self) -> Reading {
        Reading { total: self.total.or(Some(self.done())), ..self }
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
        let left = reading.total.and_then(|bytes| {
            let left = bytes.saturating_sub(reading.done());
            if left == 0 { Some(Duration::ZERO) } else { time_for(left, pace) }
        });
        let left = left.map_or_else(|| "   -:--:--".to_string(), clock_time);
        if reading.total.is_none() {
            self.advance(reading);
            let (size, files) = (self.human.size(self.done), reading.files);
            let rate = progress_rate(rate);
            return format!("{size:>15} scanning {rate} (xfr#{files}, {})", to_check(reading));
        }
        self.write(reading, rate, &left)
    }

    /// The line after the run: the rate is that of all of it, the time is what it took. One that did not
    /// come to its end is as far as it came, which is no part of anything if the total is not known.
    pub fn last_line(&mut self, elapsed: Duration, reading: &Reading, complete: bool) -> String {
        let reading = if complete { reading.complete() } else { *reading };
        self.write(&reading, per_second(reading.moved, elapsed), &clock_time(elapsed))
    }

    /// `line` in so many columns, with a bar behind it if there is room, and if the total is known.
    pub fn with_bar(&mut self, reading: &Reading, line: String, columns: usize) -> String {
        self.advance(reading);
        let mut line = fit(line, columns);
        let width = columns.saturating_sub(line.len() + 1).min(WIDEST_BAR);
        if reading.total.is_some() && width >= LEAST_BAR {
            #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            let full = (self.share * width as f64) as usize; // a share is within 0 and 1
            line.push(' ');
            line.extend((0..width).map(|at| if at < full { '█' } else { '░' }));
        }
        line
    }

    fn advance(&mut self, reading: &Reading) {
        self.done = self.done.max(reading.done());
        if let Some(bytes) = reading.total {
            self.share = self.share.max(share(self.done, bytes, reading.checked, reading.entries));
        }
    }

    fn write(&mut self, reading: &Reading, rate: f64, time: &str) -> String {
        self.advance(reading);
        let (size, rate, files) = (self.human.size(self.done), progress_rate(rate), reading.files);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // within 0 and 100
        let percent = (self.share * 100.0) as u8;
        let percent = reading.total.map_or_else(String::new, |_| format!("{percent}%"));
        format!("{size:>15} {percent:>4} {rate} {time} (xfr#{files}, {})", to_check(reading))
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

/// `to-chk=LEFT/ALL`, rsync's count of entries; before all are listed it is `ir-chk=LEFT/LISTED`.
#[must_use]
pub fn to_check(reading: &Reading) -> String {
    let word = if reading.total.is_some() { "to-chk" } else { "ir-chk" };
    format!("{word}={}/{}", reading.entries.saturating_sub(reading.checked), reading.entries)
}

/// `line` in a terminal of so many columns: blanks go first, then what is in parentheses.
#[must_use]
pub fn fit(line: String, columns: usize) -> String {
    if line.len() <= columns {
        return line;
    }
    let mut words: Vec<&str> = line.split_whitespace().collect();
    if words.join(" ").len() > columns {
        let figures = words.iter().position(|word| word.starts_with('(')).unwrap_or(words.len());
        words.truncate(figures);
    }
    let mut line = words.join(" ");
    line.truncate(columns); // only ASCII is in it
    line
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
        Reading { moved, unchanged, files: 2, checked: 3, entries: 6, total }
    }

    #[test]
    fn a_line_has_rsyncs_columns() {
        let mut gauge = Gauge::new(Human::Grouped);
        let line = gauge.line(Duration::from_secs(2), &reading(1_234_567, 0, Some(2_469_134)));
        assert_eq!(line, "      1,234,567  50%  602.82kB/s    0:00:02 (xfr#2, to-chk=3/6)");
        let line = gauge.last_line(Duration::from_secs(4), &reading(2_469_134, 0, Some(2_469_134)), true);
        assert_eq!(line, "      2,469,134 100%  602.82kB/s    0:00:04 (xfr#2, to-chk=3/6)");
    }

    #[test]
    fn before_the_total_is_known_there_is_no_percentage() {
        let line = Gauge::new(Human::Decimal).line(Duration::from_secs(1), &reading(5_000_000, 0, None));
        assert_eq!(line, "          5.00M scanning    4.77MB/s (xfr#2, ir-chk=3/6)");
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
        let line = Gauge::new(Human::Grouped).last_line(Duration::ZERO, &reading(0, 100, Some(100)), true);
        assert_eq!(line, "            100 100%    0.00kB/s    0:00:00 (xfr#2, to-chk=3/6)");
    }

    #[test]
    fn without_bytes_the_entries_tell_how_far_it_is() {
        let line = Gauge::new(Human::Grouped).last_line(Duration::ZERO, &reading(0, 0, Some(0)), true);
        assert!(line.contains(" 50% "), "{line}");
    }

    #[test]
    fn one_byte_short_is_not_all() {
        let mut gauge = Gauge::new(Human::Grouped);
        let line = gauge.last_line(Duration::ZERO, &reading(u64::MAX - 1, 0, Some(u64::MAX)), true);
        assert!(line.contains(" 99% "), "{line}");
    }

    #[test]
    fn a_run_that_went_through_is_all_of_it_even_if_nothing_was_counted_ahead() {
        let uncounted = Reading { checked: 6, ..reading(100, 50, None) };
        let last =
            |complete| Gauge::new(Human::Grouped).last_line(Duration::from_secs(1), &uncounted, complete);
        assert_eq!(last(true), "            150 100%    0.10kB/s    0:00:01 (xfr#2, to-chk=0/6)");
        assert_eq!(last(false), "            150         0.10kB/s    0:00:01 (xfr#2, ir-chk=0/6)");
    }

    #[test]
    fn a_bar_fills_what_is_left_of_a_line_and_is_full_at_the_end() {
        let mut gauge = Gauge::new(Human::Grouped);
        let mut drawn =
            |done, columns| gauge.with_bar(&reading(done, 0, Some(100)), "figures".to_owned(), columns);
        assert_eq!(drawn(50, 16), "figures ████░░░░");
        assert_eq!(drawn(99, 12), "figures ███░");
        assert_eq!(drawn(100, 12), "figures ████");
        assert_eq!(drawn(100, 11), "figures");
        assert_eq!(drawn(100, 200).chars().count(), "figures ".len() + WIDEST_BAR);
        assert_eq!(gauge.with_bar(&reading(1, 0, None), "figures".to_owned(), 80), "figures");
    }

    #[test]
    fn a_narrow_terminal_gets_the_figures_without_blanks() {
        let line = "      1,234,567  50%  602.82kB/s    0:00:02 (xfr#2, to-chk=3/6)";
        let fitted = |columns| fit(line.to_owned(), columns);
        assert_eq!(fitted(80), line);
        assert_eq!(fitted(60), "1,234,567 50% 602.82kB/s 0:00:02 (xfr#2, to-chk=3/6)");
        assert_eq!(fitted(40), "1,234,567 50% 602.82kB/s 0:00:02");
        assert_eq!(fitted(12), "1,234,567 50");
    }

    proptest! {
        #[test]
        fn progress_never_goes_backwards(steps in proptest::collection::vec((0u64..1000, 0u64..1000), 1..20)) {
            let mut gauge = Gauge::new(Human::Plain);
            let (mut shown, mut full) = (0, 0);
            for (at, (moved, unchanged)) in steps.into_iter().enumerate() {
                let reading = reading(moved, unchanged, Some(1500));
                let line = gauge.line(Duration::from_millis(at as u64 * 100), &reading);
                let done: u64 = line.split_whitespace().next().unwrap().parse().unwrap();
                prop_assert!(done >= shown);
                shown = done;
                let next = gauge.with_bar(&reading, line, 100).matches('█').count();
                prop_assert!(next >= full);
                full = next;
            }
        }
    }
}
