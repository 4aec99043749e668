//! Reproducible random cases: a case is a seed, and the same seed makes the same case on every machine.
//!
//! `SLUICE_TEST_CASES` is the number of cases, `SLUICE_TEST_SEED` the first seed; both hold for every
//! test that draws its cases.

use std::ffi::OsString;
use std::ops::Range;

/// The seeds to run: `usual` of them, or as many as `SLUICE_TEST_CASES` says, from 1 or
/// `SLUICE_TEST_SEED` on.
pub fn seeds(usual: u64) -> Range<u64> {
    let first = number("SLUICE_TEST_SEED", 1);
    first..first + number("SLUICE_TEST_CASES", usual)
}

/// Whether `SLUICE_TEST_WITH` asks for a case of these options: of each of its words, one of the parts between `|`
/// begins an option.
pub fn asked_for(options: &[OsString]) -> bool {
    let words = std::env::var("SLUICE_TEST_WITH").unwrap_or_default();
    let given =
        |part: &str| options.iter().any(|option| option.as_encoded_bytes().starts_with(part.as_bytes()));
    words.split_whitespace().all(|word| word.split('|').any(given))
}

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable)
        .map_or(default, |v| v.parse().unwrap_or_else(|_| panic!("{variable} is no number")))
}

/// Random choices that a seed repeats.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// A number below `n`.
    pub fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ((self.0 >> 11) % n as u64) as usize
    }

    /// True in one of `n` cases.
    pub fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    /// One of `choices`.
    pub fn of<'a, T: ?Sized>(&mut self, choices: &[&'a T]) -> &'a T {
        choices[self.below(choices.len())]
    }

    /// `min` to `max` of `choices`, joined.
    pub fn text(&mut self, choices: &[&str], min: usize, max: usize) -> String {
        (0..min + self.below(max - min + 1)).map(|_| self.of(choices)).collect()
    }
}
