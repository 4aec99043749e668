//! Points in time as rsync writes them, in local time.

use std::time::{Duration, SystemTime};

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

    /// Now.
    #[must_use]
    pub fn now() -> Time {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Time { sec: i64::try_from(since.as_secs()).unwrap_or(i64::MAX), nsec: since.subsec_nanos() }
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
    fn a_time_beyond_every_calendar_is_shown_as_seconds() {
        assert_eq!(Clock::utc().show(Time { sec: i64::MAX, nsec: 0 }, ' '), "@9223372036854775807");
        assert_eq!(Clock::utc().show(Time { sec: i64::MIN, nsec: 0 }, ' '), "@-9223372036854775808");
    }
}
