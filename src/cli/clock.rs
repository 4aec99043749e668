//! Points in time as rsync writes them, in local time.

use std::time::Duration;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

use crate::path::Time;

/// How long it is, in local time, to the moment that `choose` picks when it is told what time it is.
///
/// # Errors
///
/// What `choose` says; a moment that no calendar holds.
pub fn until(choose: impl FnOnce(DateTime) -> Result<DateTime, String>) -> Result<Duration, String> {
    let now = Zoned::now();
    let then = choose(now.datetime())?.to_zoned(now.time_zone().clone()).map_err(|e| e.to_string())?;
    let left = then.timestamp().as_millisecond() - now.timestamp().as_millisecond();
    Ok(Duration::from_millis(u64::try_from(left).unwrap_or(0)))
}

/// Writes times in one time zone.
#[derive(Clone, Debug)]
pub struct Clock(TimeZone);

impl Clock {
    /// The time zone of this process: `TZ`, else the system's.
    #[must_use]
    pub fn local() -> Clock {
        Clock(TimeZone::system())
    }

    /// Coordinated universal time, for results that are the same everywhere.
    #[must_use]
    pub fn utc() -> Clock {
        Clock(TimeZone::UTC)
    }

    /// `2026/01/02`, `between`, `03:04:05`; a time that no calendar holds becomes `@` and its seconds.
    #[must_use]
    pub fn show(&self, time: Time, between: char) -> String {
        let Ok(stamp) = Timestamp::from_second(time.sec) else {
            return format!("@{}", time.sec);
        };
        let at = self.0.to_datetime(stamp);
        let (y, mo, d) = (at.year(), at.month(), at.day());
        format!("{y:04}/{mo:02}/{d:02}{between}{:02}:{:02}:{:02}", at.hour(), at.minute(), at.second())
    }

    /// The time that `text` is in this time zone: `2026-01-02`, `2026-01-02T03:04`, with seconds, with `Z`, or `@`
    /// and seconds since 1970.
    #[must_use]
    pub fn read(&self, text: &str) -> Option<Time> {
        if let Some(seconds) = text.strip_prefix('@') {
            return seconds.parse().ok().map(|sec| Time { sec, nsec: 0 });
        }
        let stamp = text.parse::<Timestamp>().ok().or_else(|| {
            let at = text.parse::<jiff::civil::DateTime>().ok()?;
            self.0.to_timestamp(at).ok()
        })?;
        let nsec = stamp.subsec_nanosecond();
        let (sec, nsec) =
            if nsec < 0 { (stamp.as_second() - 1, nsec + 1_000_000_000) } else { (stamp.as_second(), nsec) };
        Some(Time { sec, nsec: nsec.unsigned_abs() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_rsyncs_form() {
        let clock = Clock::utc();
        let at = |sec| clock.show(Time { sec, nsec: 999_999_999 }, ' ');
        assert_eq!(at(0), "1970/01/01 00:00:00");
        assert_eq!(at(-1), "1969/12/31 23:59:59");
        assert_eq!(at(1_767_323_045), "2026/01/02 03:04:05");
        assert_eq!(clock.show(Time { sec: 1_767_323_045, nsec: 0 }, '-'), "2026/01/02-03:04:05");
    }

    #[test]
    fn a_time_is_read_in_the_forms_that_people_type() {
        let read = |text: &str| Clock::utc().read(text).map(|time| (time.sec, time.nsec));
        for text in ["2026-01-02T03:04:05", "2026-01-02 03:04:05", "2026-01-02T03:04:05Z", "@1767323045"] {
            assert_eq!(read(text), Some((1_767_323_045, 0)), "{text}");
        }
        assert_eq!(read("2026-01-02T03:04"), Some((1_767_323_040, 0)));
        assert_eq!(read("2026-01-02"), Some((1_767_312_000, 0)));
        assert_eq!(read("1969-12-31T23:59:59.5Z"), Some((-1, 500_000_000)));
        assert_eq!((read("yesterday"), read("@x"), read("2026"), read("")), (None, None, None, None));
    }

    #[test]
    fn a_time_beyond_every_calendar_is_shown_as_seconds() {
        assert_eq!(Clock::utc().show(Time { sec: i64::MAX, nsec: 0 }, ' '), "@9223372036854775807");
        assert_eq!(Clock::utc().show(Time { sec: i64::MIN, nsec: 0 }, ' '), "@-9223372036854775808");
    }
}
