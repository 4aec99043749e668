//! `--min-age`, `--max-age`, `--newer-than`: how old a file may be, as bounds of its modification time.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use super::UsageError;
use super::clock::Clock;
use super::typed::Typed;
use crate::path::{Time, escape, operand};

/// Units of an age, in seconds.
const UNITS: &[(u8, u64)] =
    &[(b's', 1), (b'm', 60), (b'h', 3600), (b'd', 86_400), (b'w', 604_800), (b'y', 31_536_000)];

/// The oldest and the youngest modification time that a file may have; `now` is what ages count back from.
///
/// # Errors
///
/// `--newer-than` names no time and no file that is there: exit 1.
pub fn bounds(typed: &Typed, now: Time) -> Result<(Option<Time>, Option<Time>), UsageError> {
    let before = |age: u64| Time { sec: now.sec.saturating_sub_unsigned(age), nsec: now.nsec };
    let newer = typed.newer_than.as_deref().map(newer_than).transpose()?;
    let oldest = typed.max_age.map(before).max(newer);
    Ok((oldest, typed.min_age.map(before)))
}

/// The earliest time that is newer than what was typed.
fn newer_than(typed: &OsStr) -> Result<Time, UsageError> {
    let text = typed.to_str().unwrap_or_default();
    let time = match Clock::local().read(text) {
        Some(time) => time,
        None => {
            let attrs = operand::attrs(typed).map_err(|e| {
                let typed = escape(typed.as_bytes());
                UsageError::new(format!("--newer-than={typed} is no time, and as a file: {e}"))
            })?;
            attrs.mtime
        }
    };
    Ok(match time.nsec {
        999_999_999 => Time { sec: time.sec.saturating_add(1), nsec: 0 },
        nsec => Time { nsec: nsec + 1, ..time },
    })
}

/// An age in seconds: numbers with a unit each, `90s`, `36h`, `1d12h`, `2w`, `1y`.
///
/// # Errors
///
/// It is none; the message names `option`.
pub fn parse(option: &str, value: &OsStr) -> Result<u64, String> {
    let bad = || {
        let value = escape(value.as_bytes());
        format!("{option}={value} is invalid (numbers with a unit: s, m, h, d, w, y)")
    };
    let mut rest = value.as_bytes();
    let mut age = 0u64;
    if rest.is_empty() {
        return Err(bad());
    }
    while !rest.is_empty() {
        let end = rest.iter().position(|b| !b.is_ascii_digit()).ok_or_else(bad)?;
        let number: u64 =
            std::str::from_utf8(&rest[..end]).ok().and_then(|digits| digits.parse().ok()).ok_or_else(bad)?;
        let (_, seconds) = UNITS.iter().find(|(unit, _)| *unit == rest[end]).ok_or_else(bad)?;
        age = number.checked_mul(*seconds).and_then(|part| age.checked_add(part)).ok_or_else(bad)?;
        rest = &rest[end + 1..];
    }
    Ok(age)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_is_numbers_with_units() {
        let age = |text: &str| parse("--max-age", OsStr::new(text));
        assert_eq!(
            (age("90s"), age("2m"), age("36h"), age("1d12h")),
            (Ok(90), Ok(120), Ok(129_600), Ok(129_600))
        );
        assert_eq!((age("2w"), age("1y"), age("0s")), (Ok(1_209_600), Ok(31_536_000), Ok(0)));
        for text in ["", "5", "d", "5 d", "-1d", "1.5d", "5x", "99999999999999999999d", "999999999999999999y"]
        {
            assert!(age(text).unwrap_err().starts_with(&format!("--max-age={text} is invalid")), "{text}");
        }
    }

    #[test]
    fn of_two_bounds_the_narrower_counts() {
        let now = Time { sec: 1_000_000, nsec: 5 };
        let typed = |max_age, newer: Option<&str>| Typed {
            max_age,
            min_age: Some(60),
            newer_than: newer.map(Into::into),
            ..Typed::default()
        };
        let oldest = |typed: &Typed| bounds(typed, now).unwrap().0.unwrap();
        assert_eq!(oldest(&typed(Some(100), Some("@1"))), Time { sec: 999_900, nsec: 5 });
        assert_eq!(oldest(&typed(Some(100), Some("@999999"))), Time { sec: 999_999, nsec: 1 });
        assert_eq!(bounds(&typed(None, None), now).unwrap(), (None, Some(Time { sec: 999_940, nsec: 5 })));
        assert!(
            bounds(&typed(None, Some("/nonexistent/x")), now).unwrap_err().message.contains("is no time")
        );
    }
}
