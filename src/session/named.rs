//! Options that travel by name alone: what they do is the client's own business, or nothing. A daemon may refuse
//! them all the same, as rsync's does.

use serde::{Deserialize, Serialize};

/// One of these options.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Name {
    /// Its word, without dashes.
    pub long: &'static str,
    /// Its letter, if it has one.
    pub short: Option<char>,
    /// Only a side that receives is told.
    pub receives: bool,
}

/// All of them, in the order in which they are counted. Observed of rsync 3.5.0, but for those that it does not have.
pub const NAMES: &[Name] = &[
    name("verbose", Some('v'), false),
    name("quiet", Some('q'), false),
    name("stats", None, true),
    name("info", None, false),
    name("out-format", None, true),
    name("list-only", None, false),
    name("cvs-exclude", Some('C'), false),
    name("checksum-choice", None, false),
    name("compress-choice", None, false),
    name("compress-level", None, false),
    name("sparse", Some('S'), false),
    name("whole-file", Some('W'), false),
    name("fuzzy", Some('y'), true),
    name("block-size", Some('B'), false),
    name("max-alloc", None, false),
    name("checksum-seed", None, false),
    name("secluded-args", Some('s'), false),
    name("jobs", None, false),
];

const fn name(long: &'static str, short: Option<char>, receives: bool) -> Name {
    Name { long, short, receives }
}

/// Which of [`NAMES`] are in effect: bit N is the Nth.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct Named(u32);

impl Named {
    /// The option with that word is on, or off; nothing for one that is not in [`NAMES`].
    pub fn set(&mut self, long: &str, on: bool) {
        // What `-i` means travels as a format.
        let long = if long == "itemize-changes" { "out-format" } else { long };
        let Some(at) = NAMES.iter().position(|name| name.long == long) else { return };
        if on {
            self.0 |= 1 << at;
        } else {
            self.0 &= !(1 << at);
        }
    }

    /// Those that are on.
    pub fn iter(self) -> impl Iterator<Item = &'static Name> {
        NAMES.iter().enumerate().filter(move |(at, _)| self.0 & 1 << at != 0).map(|(_, name)| name)
    }
}
