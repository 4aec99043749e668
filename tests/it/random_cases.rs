//! Reproducible random cases.
#![allow(clippy::print_stdout)] // a skip is loud

/// How many random cases to run: `usual`, or what `SLUICE_TEST_CASES` says.
pub fn cases(usual: u64) -> u64 {
    std::env::var("SLUICE_TEST_CASES").ok().and_then(|v| v.parse().ok()).unwrap_or(usual)
}

/// The seed of case `n`: new on every run unless `SLUICE_TEST_SEED` fixes the first one.
pub fn seed(n: u64) -> u64 {
    static FIRST: std::sync::OnceLock<u64> = std::sync::OnceLock::new();
    let first = FIRST.get_or_init(|| {
        let fixed = std::env::var("SLUICE_TEST_SEED").ok().and_then(|v| v.parse().ok());
        fixed.unwrap_or_else(|| {
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
            now.map_or(1, |d| u64::from(d.subsec_nanos()) * 1000)
        })
    });
    first + n
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
