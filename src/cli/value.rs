//! Values of options: numbers, words, sizes. Each error is the message behind `sluice: `.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use super::size;
use crate::engine::dial::SocketOption;
use crate::path::escape;
use crate::session::DeleteLimit;

/// The smallest rate but none that rsync takes, in bytes a second.
const MIN_RATE: u64 = 512;

fn shown(value: &OsStr) -> String {
    escape(value.as_bytes())
}

/// Gives the value's bytes to `set`.
///
/// # Errors
///
/// None; the result spares each option of the table an `Ok(())`.
pub fn bytes(value: &OsStr, set: impl FnOnce(Vec<u8>)) -> Result<(), String> {
    set(value.as_bytes().to_vec());
    Ok(())
}

/// Adds the words of `--info` or `--debug`; which ones exist is looked at later.
///
/// # Errors
///
/// The value is no text.
pub fn words(value: &OsStr, list: &mut Vec<String>) -> Result<(), String> {
    list.push(value.to_str().ok_or_else(|| format!("unknown word: {}", shown(value)))?.to_owned());
    Ok(())
}

/// A size in bytes; see [`size::parse`].
///
/// # Errors
///
/// It is none.
pub fn size(option: &str, value: &OsStr, unit: u8) -> Result<u64, String> {
    let parsed = value.to_str().ok_or(size::BadSize::Malformed).and_then(|text| size::parse(text, unit));
    parsed.map_err(|bad| format!("{option}={} is {}", shown(value), bad.words()))
}

/// A size that must be no more than `most` bytes, and is used for nothing.
///
/// # Errors
///
/// It is none, or larger.
pub fn at_most(option: &str, value: &OsStr, most: u64) -> Result<(), String> {
    match size(option, value, b'b')? {
        n if n > most => Err(format!("{option}={} is too large (max: {most})", shown(value))),
        _ => Ok(()),
    }
}

/// A rate in bytes a second, to the nearest KiB as rsync has it; `None` for no limit.
///
/// # Errors
///
/// It is none, or too small to be one.
pub fn rate(value: &OsStr) -> Result<Option<u64>, String> {
    match size("--bwlimit", value, b'k')? {
        0 => Ok(None),
        n if n < MIN_RATE => Err(format!(
            "--bwlimit={} is too small (the least is {MIN_RATE}, or 0 for no limit)",
            shown(value)
        )),
        n => Ok(Some((n.saturating_add(512) / 1024).saturating_mul(1024))),
    }
}

/// Options of a socket: `NAME` or `NAME=VALUE`, with commas or blanks between them.
///
/// # Errors
///
/// One is unknown, or its value no number.
pub fn socket_options(value: &OsStr) -> Result<Vec<SocketOption>, String> {
    let text = value.to_str().unwrap_or("?");
    let words = text.split([',', ' ', '\t']).filter(|word| !word.is_empty());
    let option = |word: &str| {
        let (name, value) = word.split_once('=').unwrap_or((word, "1"));
        let value = integer(&format!("--sockopts={name}"), OsStr::new(value))?;
        SocketOption::named(name, value).ok_or_else(|| {
            let names: Vec<&str> = SocketOption::names().collect();
            let shown = escape(word.as_bytes());
            format!("--sockopts={shown}: unknown socket option (there are: {})", names.join(", "))
        })
    };
    words.map(option).collect()
}

/// A whole number, also octal (`010`) or hexadecimal (`0x10`) as C writes it. Nothing is 0.
///
/// # Errors
///
/// It is none, or does not fit 32 bits.
pub fn integer(option: &str, value: &OsStr) -> Result<i32, String> {
    let text = value.to_str().unwrap_or("?");
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let (digits, radix) = match digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        Some(digits) => (digits, 16),
        None if digits.len() > 1 && digits.starts_with('0') => (digits, 8),
        None => (digits, 10),
    };
    if text.is_empty() {
        return Ok(0);
    }
    if digits.is_empty() || !digits.chars().all(|c| c.is_digit(radix)) {
        return Err(format!("{option}={}: invalid numeric value", shown(value)));
    }
    let number = i64::from_str_radix(digits, radix).ok().map(|n| sign * n);
    let number = number.and_then(|n| i32::try_from(n).ok());
    number.ok_or_else(|| format!("{option}={}: number too large or too small", shown(value)))
}

/// A number of minutes, above 0.
///
/// # Errors
///
/// It is none. A fraction is cut off as rsync does.
pub fn minutes(value: &OsStr) -> Result<Duration, String> {
    let text = value.to_str().unwrap_or_default();
    let whole = text.split_once('.').map_or(text, |(whole, _)| whole);
    match whole.parse::<u32>() {
        Ok(minutes) if minutes > 0 => Ok(Duration::from_secs(u64::from(minutes) * 60)),
        _ => Err(format!("invalid --stop-after value: {}", shown(value))),
    }
}

/// A number of threads, above 0.
///
/// # Errors
///
/// It is none.
pub fn jobs(value: &OsStr) -> Result<usize, String> {
    match value.to_str().and_then(|text| text.parse().ok()) {
        Some(jobs) if jobs > 0 => Ok(jobs),
        _ => Err(format!("--jobs={}: invalid number of threads", shown(value))),
    }
}

/// `N` or `N%` of `--delete-limit`.
///
/// # Errors
///
/// It is neither, or more than 100 percent.
pub fn delete_limit(value: &OsStr) -> Result<DeleteLimit, String> {
    let text = value.to_str().unwrap_or_default();
    let limit = match text.strip_suffix('%') {
        Some(percent) => percent.parse().ok().filter(|&p| p <= 100).map(DeleteLimit::Percent),
        None => text.parse().ok().map(DeleteLimit::Count),
    };
    limit.ok_or_else(|| format!("--delete-limit={} is invalid (give N, or N% up to 100%)", shown(value)))
}

/// One of some words.
///
/// # Errors
///
/// It is none of them; the message lists them.
pub fn one_of<T: Copy>(option: &str, value: &OsStr, words: &[(&'static str, T)]) -> Result<T, String> {
    let found = words.iter().find(|(word, _)| value == *word);
    found.map(|(_, meaning)| *meaning).ok_or_else(|| {
        let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        format!("{option}={} is invalid (one of: {})", shown(value), words.join(", "))
    })
}

/// `--stderr`: whether everything goes there; `errors`, `all`, `client`, or as much of one as tells them apart.
///
/// # Errors
///
/// It is none of them.
pub fn stderr(value: &OsStr, all: &mut bool) -> Result<(), String> {
    let begins = |word: &&str| word.as_bytes().starts_with(value.as_bytes()) && !value.is_empty();
    let Some(mode) = ["errors", "all", "client"].into_iter().find(begins) else {
        return Err(format!("--stderr mode \"{}\" is not one of errors, all, or client", shown(value)));
    };
    *all = mode == "all";
    Ok(())
}

/// `--outbuf`: None, Line or Block (Unbuffered, Full), by the first letter; `true`: each line leaves at once.
///
/// # Errors
///
/// It is none of them.
pub fn outbuf(value: &OsStr) -> Result<bool, String> {
    match value.as_bytes().first().map(u8::to_ascii_lowercase) {
        Some(b'n' | b'u' | b'l') => Ok(true),
        Some(b'b' | b'f') => Ok(false),
        _ => Err("invalid --outbuf value: give none, line or block".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_count_in_kib_and_are_rounded_to_them() {
        let rate = |text: &str| rate(OsStr::new(text));
        assert_eq!(rate("100"), Ok(Some(102_400)));
        assert_eq!(rate("1.5m"), Ok(Some(1_572_864)));
        assert_eq!(rate("512b"), Ok(Some(1024)));
        assert_eq!((rate("0"), rate("")), (Ok(None), Ok(None)));
        assert!(rate("511b").unwrap_err().contains("too small"));
        assert_eq!(rate("x"), Err("--bwlimit=x is invalid".into()));
    }

    #[test]
    fn numbers_are_as_c_writes_them() {
        let number = |text: &str| integer("--timeout", OsStr::new(text));
        assert_eq!((number("-1"), number("0x10"), number("010"), number("")), (Ok(-1), Ok(16), Ok(8), Ok(0)));
        assert_eq!(number("x"), Err("--timeout=x: invalid numeric value".into()));
        assert_eq!(number("99999999999"), Err("--timeout=99999999999: number too large or too small".into()));
    }

    #[test]
    fn delete_limit_is_a_count_or_a_percentage() {
        let limit = |text: &str| delete_limit(OsStr::new(text));
        assert_eq!(limit("10"), Ok(DeleteLimit::Count(10)));
        assert_eq!(limit("25%"), Ok(DeleteLimit::Percent(25)));
        assert!(limit("101%").is_err() && limit("-1").is_err() && limit("").is_err());
    }

    #[test]
    fn stop_after_takes_whole_minutes_above_zero() {
        assert_eq!(minutes(OsStr::new("1.5")), Ok(Duration::from_secs(60)));
        for bad in ["0", "-1", "x", "", "0x10"] {
            assert_eq!(minutes(OsStr::new(bad)), Err(format!("invalid --stop-after value: {bad}")));
        }
    }
}
