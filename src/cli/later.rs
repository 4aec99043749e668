//! What rsync has and sluice does not have yet: refused by name, before anything is touched.

/// An option that rsync has and sluice does not have yet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Later {
    /// Its letter.
    pub short: Option<char>,
    /// Its words; the first is its name.
    pub words: &'static [&'static str],
    /// Whether a value follows it.
    pub value: bool,
    /// Why it will never be there; empty: it may be.
    pub never: &'static str,
}

impl Later {
    /// What is said of it: `--acls (-A) is not supported yet`.
    #[must_use]
    pub fn refusal(&self) -> String {
        match self.never {
            "" => format!("{} is not supported yet", self.name()),
            why => format!("{} is not supported: {why}", self.name()),
        }
    }

    /// How it is called in the message: `--acls (-A)`.
    #[must_use]
    pub fn name(&self) -> String {
        let word = self.words.first().copied().unwrap_or_default();
        self.short.map_or_else(|| format!("--{word}"), |c| format!("--{word} (-{c})"))
    }
}

const fn later(short: char, words: &'static [&'static str]) -> Later {
    Later { short: if short == ' ' { None } else { Some(short) }, words, value: false, never: "" }
}

const fn later_with(short: char, words: &'static [&'static str]) -> Later {
    Later { value: true, ..later(short, words) }
}

/// What rsync 3.5.0 has and sluice refuses. `--no-` before one of them is taken: sluice does not do it anyway.
pub const LATER: &[Later] = &[
    Later { never: "Linux has no way to set when a file was made", ..later('N', &["crtimes"]) },
    Later { never: "names are bytes, and arrive as they are", ..later_with(' ', &["iconv"]) },
    Later {
        never: "no daemon of sluice runs a program that could read it",
        ..later_with(' ', &["early-input"])
    },
];
