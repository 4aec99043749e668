//! The point in time of `--stop-at`: as much of a date and a time as is said, and the next moment that has it.

use jiff::civil::{Date, DateTime};

/// What is said.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Said {
    year: Option<i16>,
    month: Option<i8>,
    day: Option<i8>,
    hour: Option<i8>,
    minute: i8,
}

/// How far ahead a day is looked for, in days: a 29th of February is at most eight years away.
const DAYS: usize = 366 * 9;

/// The next moment after `now` that `text` describes, in the same time zone.
///
/// # Errors
///
/// It describes none, or one that has passed: a message.
pub fn next(text: &str, now: DateTime) -> Result<DateTime, String> {
    let invalid = || format!("invalid --stop-at format: {text}");
    let said = read(text).ok_or_else(invalid)?;
    if let (Some(year), Some(month), Some(day)) = (said.year, said.month, said.day) {
        // Two digits are a year of this century.
        let year = if year < 100 { now.year() - now.year() % 100 + year } else { year };
        let date = Date::new(year, month, day).map_err(|_| invalid())?;
        return on(date, &said, now).ok_or_else(|| format!("--stop-at time is not in the future: {text}"));
    }
    let mut date = now.date();
    for _ in 0..DAYS {
        let fits = said.month.is_none_or(|m| m == date.month()) && said.day.is_none_or(|d| d == date.day());
        if let Some(found) = on(date, &said, now).filter(|_| fits) {
            return Ok(found);
        }
        date = date.tomorrow().map_err(|_| invalid())?;
    }
    Err(invalid())
}

/// The first moment of that day, after `now`, that has the time.
fn on(date: Date, said: &Said, now: DateTime) -> Option<DateTime> {
    let hours = said.hour.map_or(0..=23, |hour| hour..=hour);
    hours.map(|hour| date.at(hour, said.minute, 0, 0)).find(|moment| *moment > now)
}

fn read(text: &str) -> Option<Said> {
    let (date, time) = match text.split_once('T') {
        Some((date, time)) => (date, time),
        None if text.contains(':') => ("", text),
        None => (text, ""),
    };
    if date.is_empty() && time.is_empty() {
        return None;
    }
    let (year, month, day) = if date.is_empty() {
        (None, None, None)
    } else {
        let parts: Option<Vec<i16>> = date.split(['-', '/']).map(|part| number(part, 4)).collect();
        match parts?[..] {
            [day] => (None, None, Some(day)),
            [month, day] => (None, Some(month), Some(day)),
            [year, month, day] => (Some(year), Some(month), Some(day)),
            _ => return None,
        }
    };
    let (hour, minute) = match time {
        // No time is midnight.
        "" => (Some(0), 0),
        time => {
            let (hour, minute) = time.split_once(':')?;
            let hour = if hour.is_empty() { None } else { Some(within(number(hour, 2)?, 0, 23)?) };
            (hour, within(number(minute, 2)?, 0, 59)?)
        }
    };
    let small = |part: Option<i16>, most| match part {
        Some(part) => within(part, 1, most).map(Some),
        None => Some(None),
    };
    Some(Said { year, month: small(month, 12)?, day: small(day, 31)?, hour, minute })
}

fn number(text: &str, digits: usize) -> Option<i16> {
    let good = (1..=digits).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|_| good)
}

fn within(number: i16, least: i16, most: i16) -> Option<i8> {
    i8::try_from(number).ok().filter(|_| (least..=most).contains(&number))
}

#[cfg(test)]
mod tests {
    use jiff::civil::datetime;

    use super::*;

    fn at(text: &str) -> Result<DateTime, String> {
        next(text, datetime(2026, 11, 27, 17, 55, 30, 0))
    }

    #[test]
    fn the_next_possible_point_in_time_is_taken_where_the_supplied_information_matches() {
        for (text, wanted) in [
            ("1-30", datetime(2027, 1, 30, 0, 0, 0, 0)),
            ("14:00", datetime(2026, 11, 28, 14, 0, 0, 0)),
            ("23:59", datetime(2026, 11, 27, 23, 59, 0, 0)),
            ("1", datetime(2026, 12, 1, 0, 0, 0, 0)),
            ("31", datetime(2026, 12, 31, 0, 0, 0, 0)),
            (":59", datetime(2026, 11, 27, 17, 59, 0, 0)),
            (":5", datetime(2026, 11, 27, 18, 5, 0, 0)),
            ("2/29", datetime(2028, 2, 29, 0, 0, 0, 0)),
            ("99-1-1", datetime(2099, 1, 1, 0, 0, 0, 0)),
            ("2030/12/31T23:59", datetime(2030, 12, 31, 23, 59, 0, 0)),
            ("2027-1-1T", datetime(2027, 1, 1, 0, 0, 0, 0)),
            ("27T18:00", datetime(2026, 11, 27, 18, 0, 0, 0)),
            ("T3:04", datetime(2026, 11, 28, 3, 4, 0, 0)),
            ("27", datetime(2026, 12, 27, 0, 0, 0, 0)),
        ] {
            assert_eq!(at(text), Ok(wanted), "{text}");
        }
    }

    #[test]
    fn a_time_that_is_now_or_past_is_an_error_and_so_is_what_is_no_time() {
        for text in ["2000-12-31T23:59", "1970-1-1", "100-1-1", "26-11-27T17:55"] {
            assert_eq!(at(text), Err(format!("--stop-at time is not in the future: {text}")));
        }
        for text in [
            "",
            "x",
            "0",
            "32",
            "25:00",
            "0:60",
            "2/30",
            "13-1",
            "2030-01",
            "5:",
            "3T4",
            "1-30T12",
            "1:2:3",
            ":61",
            "2027",
            "2027-01-01 10:00",
            "2100-02-29",
            "1-2-3-4",
            "T",
        ] {
            assert_eq!(at(text), Err(format!("invalid --stop-at format: {text}")));
        }
    }
}
