//! SIZE as rsync spells it: `1.5m`, `2GiB`, `100kb-1`.

/// Why a size is none.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BadSize {
    /// Not of the form number, unit, `+1` or `-1`.
    Malformed,
    /// Below zero, or more than fits a file.
    OutOfRange,
}

impl BadSize {
    /// The end of the sentence `--max-size=… is …`.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            BadSize::Malformed => "invalid",
            BadSize::OutOfRange => "too large",
        }
    }
}

/// Reads a size in bytes. `unit` is the letter that a number without one is taken to have: `b` or `k`.
///
/// A number may have a fraction (`1.5m`, `.5k`). Units are b, k, m, g, t, p in either case: alone or with
/// `ib` behind they count in 1024s, with `b` in 1000s. A final `+1` or `-1` adds or takes one byte. An
/// empty text is 0.
///
/// # Errors
///
/// [`BadSize`], for the caller to put behind the option's name.
pub fn parse(text: &str, unit: u8) -> Result<u64, BadSize> {
    if text.starts_with('-') {
        return Err(BadSize::OutOfRange);
    }
    let digits = |s: &str| s.bytes().take_while(u8::is_ascii_digit).count();
    let (whole, rest) = text.split_at(digits(text));
    let (fraction, rest) = match rest.strip_prefix('.') {
        Some(rest) => rest.split_at(digits(rest)),
        None => ("", rest),
    };
    if whole.is_empty() && fraction.is_empty() && !text.is_empty() {
        return Err(BadSize::Malformed);
    }
    let (suffix, offset) = match rest.find(['+', '-']) {
        Some(at) => rest.split_at(at),
        None => (rest, ""),
    };
    let scale = scale(suffix, unit).ok_or(BadSize::Malformed)?;
    let offset: i128 = match offset {
        "" => 0,
        "+1" => 1,
        "-1" => -1,
        _ => return Err(BadSize::Malformed),
    };
    let too_large = |_| BadSize::OutOfRange;
    let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().map_err(too_large)? };
    // Behind 17 digits even a petabyte's fraction is less than a byte.
    let fraction = &fraction[..fraction.len().min(17)];
    let part = if fraction.is_empty() {
        0
    } else {
        fraction.parse::<u128>().map_err(too_large)? * scale / 10_u128.pow(fraction.len() as u32)
    };
    let bytes = u128::from(whole).checked_mul(scale).and_then(|n| n.checked_add(part));
    let bytes = bytes.and_then(|n| i128::try_from(n).ok()).ok_or(BadSize::OutOfRange)? + offset;
    // rsync's sizes are signed, as the kernel's are.
    i64::try_from(bytes).ok().and_then(|n| u64::try_from(n).ok()).ok_or(BadSize::OutOfRange)
}

/// How many bytes a suffix stands for; `None` if it is none.
fn scale(suffix: &str, unit: u8) -> Option<u128> {
    let suffix = suffix.to_ascii_lowercase();
    let (letter, rest) = match suffix.as_bytes() {
        [] => (unit, &b""[..]),
        [letter, rest @ ..] => (*letter, rest),
    };
    let base: u128 = match rest {
        b"" | b"ib" => 1024,
        b"b" => 1000,
        _ => return None,
    };
    let power = b"bkmgtp".iter().position(|&l| l == letter)?;
    Some(base.pow(u32::try_from(power).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn single_letters_count_in_1024s_and_kb_in_1000s() {
        assert_eq!(parse("10", b'b'), Ok(10));
        assert_eq!(parse("10", b'k'), Ok(10_240));
        assert_eq!(parse("1k", b'b'), Ok(1024));
        assert_eq!(parse("1KiB", b'b'), Ok(1024));
        assert_eq!(parse("1kb", b'b'), Ok(1000));
        assert_eq!(parse("3B", b'k'), Ok(3));
        assert_eq!(parse("2P", b'b'), Ok(2 << 50));
    }

    #[test]
    fn fractions_and_offsets_are_exact() {
        assert_eq!(parse("1.5mb-1", b'b'), Ok(1_499_999));
        assert_eq!(parse("2g+1", b'b'), Ok(2_147_483_649));
        assert_eq!(parse(".5k", b'b'), Ok(512));
        assert_eq!(parse("5.k", b'b'), Ok(5120));
        assert_eq!(parse("1.99999", b'b'), Ok(1));
        assert_eq!(parse("", b'b'), Ok(0));
    }

    #[test]
    fn what_rsync_refuses_is_refused() {
        for text in ["abc", "1x", "10ki", "10k+2", "+10k", "1,5k", "10kb+1x", ".", "k"] {
            assert_eq!(parse(text, b'b'), Err(BadSize::Malformed), "{text}");
        }
        for text in ["-1", "0-1", "8192P", "99999999999999999999"] {
            assert_eq!(parse(text, b'b'), Err(BadSize::OutOfRange), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_size_or_an_error(text in "[0-9.kmgtpbi+-]{0,24}") {
            let _no_panic = parse(&text, b'b');
        }

        #[test]
        fn plain_numbers_are_bytes(n in 0..=i64::MAX as u64) {
            prop_assert_eq!(parse(&n.to_string(), b'b'), Ok(n));
        }
    }
}
