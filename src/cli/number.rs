//! rsync's ways to write a number: digits, digits in groups, units of 1000, units of 1024.

/// How numbers are written: the level of `--human-readable`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Human {
    /// `--no-h`: `1234567`.
    Plain,
    /// The default: `1,234,567`.
    Grouped,
    /// `-h`: `1.23M`, units of 1000.
    Decimal,
    /// `-hh`: `1.18M`, units of 1024.
    Binary,
}

impl Human {
    /// The level so many steps above plain digits; beyond the last it stays the last.
    #[must_use]
    pub fn level(level: u8) -> Human {
        match level {
            0 => Human::Plain,
            1 => Human::Grouped,
            2 => Human::Decimal,
            _ => Human::Binary,
        }
    }

    /// A size or count that may be shortened to a unit.
    #[must_use]
    pub fn size(self, n: u64) -> String {
        match self {
            Human::Plain => n.to_string(),
            Human::Grouped => grouped(&n.to_string()),
            Human::Decimal => in_units(n, 1000).unwrap_or_else(|| n.to_string()),
            Human::Binary => in_units(n, 1024).unwrap_or_else(|| grouped(&n.to_string())),
        }
    }

    /// A count that is never shortened: rsync shows how many files there are to the last one.
    #[must_use]
    pub fn count(self, n: u64) -> String {
        match self {
            Human::Plain => n.to_string(),
            _ => grouped(&n.to_string()),
        }
    }

    /// A size per second: always two decimals.
    #[must_use]
    pub fn rate(self, per_second: f64) -> String {
        let whole = whole(per_second);
        let short = match self {
            Human::Plain | Human::Grouped => None,
            Human::Decimal => in_units(whole, 1000),
            Human::Binary => in_units(whole, 1024),
        };
        short.unwrap_or_else(|| self.ratio(per_second))
    }

    /// A ratio with two decimals, never shortened.
    #[must_use]
    pub fn ratio(self, ratio: f64) -> String {
        let text = format!("{:.2}", if ratio.is_finite() { ratio } else { 0.0 });
        match self {
            Human::Plain => text,
            _ => grouped(&text),
        }
    }
}

/// A rate in progress lines, whatever the level: `382.04MB/s`, units of 1024, right-aligned.
#[must_use]
pub fn progress_rate(per_second: f64) -> String {
    const UNITS: [&str; 4] = ["kB/s", "MB/s", "GB/s", "TB/s"];
    let mut value = if per_second.is_finite() { per_second / 1024.0 } else { 0.0 };
    let mut unit = 0;
    while value > 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:>7.2}{}", UNITS[unit])
}

/// Puts a comma before every third digit from the end of the whole part.
fn grouped(text: &str) -> String {
    let whole = text.split('.').next().unwrap_or(text).len();
    let mut out = String::with_capacity(text.len() + whole / 3);
    for (at, c) in text.char_indices() {
        if at > 0 && at < whole && (whole - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}

/// `n` with two decimals and a unit, or nothing when it is below the first unit.
fn in_units(n: u64, base: u64) -> Option<String> {
    let (mut unit, mut name) = (base, 'K');
    if n < unit {
        return None;
    }
    for next in ['M', 'G', 'T', 'P'] {
        if n / base < unit {
            break;
        }
        unit *= base;
        name = next;
    }
    #[allow(clippy::cast_precision_loss)] // two decimals are shown
    let value = n as f64 / unit as f64;
    Some(format!("{value:.2}{name}"))
}

/// The whole part; 0 for what is no number.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // `as` saturates, and that is meant
fn whole(value: f64) -> u64 {
    value as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What rsync 3.5.0 printed as "Total file size" with `--no-h`, nothing, `-h` and `-hh`.
    const SEEN: &[(u64, [&str; 4])] = &[
        (0, ["0", "0", "0", "0"]),
        (999, ["999", "999", "999", "999"]),
        (1000, ["1000", "1,000", "1.00K", "1,000"]),
        (1023, ["1023", "1,023", "1.02K", "1,023"]),
        (1024, ["1024", "1,024", "1.02K", "1.00K"]),
        (1499, ["1499", "1,499", "1.50K", "1.46K"]),
        (9995, ["9995", "9,995", "9.99K", "9.76K"]),
        (9999, ["9999", "9,999", "10.00K", "9.76K"]),
        (99_994, ["99994", "99,994", "99.99K", "97.65K"]),
        (999_949, ["999949", "999,949", "999.95K", "976.51K"]),
        (999_995, ["999995", "999,995", "1000.00K", "976.56K"]),
        (1_000_000, ["1000000", "1,000,000", "1.00M", "976.56K"]),
        (1_048_575, ["1048575", "1,048,575", "1.05M", "1024.00K"]),
        (1_048_576, ["1048576", "1,048,576", "1.05M", "1.00M"]),
        (1_234_567, ["1234567", "1,234,567", "1.23M", "1.18M"]),
        (999_999_999, ["999999999", "999,999,999", "1000.00M", "953.67M"]),
        (1_073_741_823, ["1073741823", "1,073,741,823", "1.07G", "1024.00M"]),
        (123_456_789_012, ["123456789012", "123,456,789,012", "123.46G", "114.98G"]),
        (999_999_999_999, ["999999999999", "999,999,999,999", "1000.00G", "931.32G"]),
    ];

    #[test]
    fn sizes_are_written_as_rsync_writes_them() {
        for (n, seen) in SEEN {
            for (level, expected) in seen.iter().enumerate() {
                let human = Human::level(u8::try_from(level).unwrap());
                assert_eq!(human.size(*n), *expected, "{n} at level {level}");
            }
        }
    }

    #[test]
    fn more_than_two_h_stay_at_1024() {
        assert_eq!(Human::level(7), Human::Binary);
    }

    #[test]
    fn counts_are_never_shortened() {
        assert_eq!(Human::Binary.count(3001), "3,001");
        assert_eq!(Human::Plain.count(3001), "3001");
    }

    #[test]
    fn rates_and_ratios_keep_two_decimals() {
        assert_eq!(Human::Grouped.rate(2_471_724.0), "2,471,724.00");
        assert_eq!(Human::Decimal.rate(2_471_724.0), "2.47M");
        assert_eq!(Human::Decimal.rate(994.0), "994.00");
        assert_eq!(Human::Plain.rate(2_471_724.0), "2471724.00");
        assert_eq!(Human::Decimal.ratio(14355.434), "14,355.43");
        assert_eq!(Human::Plain.ratio(14355.434), "14355.43");
        assert_eq!(Human::Grouped.ratio(f64::INFINITY), "0.00");
    }

    #[test]
    fn progress_rates_are_aligned() {
        assert_eq!(progress_rate(1000.0), "   0.98kB/s");
        assert_eq!(progress_rate(400_597_974.0), " 382.04MB/s");
        assert_eq!(progress_rate(1.15 * 1024.0 * 1024.0 * 1024.0), "   1.15GB/s");
    }

    proptest! {
        #[test]
        fn grouping_only_adds_commas(n: u64) {
            prop_assert_eq!(Human::Grouped.size(n).replace(',', ""), n.to_string());
        }

        #[test]
        fn the_largest_numbers_have_a_unit_too(n: u64, level in 0u8..4) {
            prop_assert!(!Human::level(level).size(n).is_empty());
        }
    }
}
