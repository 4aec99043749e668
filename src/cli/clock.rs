//! Points in time as rsync writes them, in local time.

use std::time::SystemTime;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::path::Time;

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
