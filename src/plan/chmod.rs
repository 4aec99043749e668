//! `--chmod`: symbolic and octal modes with rsync's `D` and `F` prefixes.

use serde::{Deserialize, Deserializer, Serialize};

/// One comma-separated item of `--chmod`.
///
/// What chmod(1) says holds, with these differences of rsync: one operator an item; `X` asks whether the
/// entry was executable before the first item, and is a plain `x` behind `-`; `s` without `u` or `g` means
/// set-user-id; and an octal mode sets all twelve bits, of a directory as well.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Rule {
    /// `D` or `F`: directories only, or everything else only.
    only: Option<Only>,
    change: Change,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
enum Only {
    Dirs,
    Others,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
enum Change {
    /// An octal mode.
    Exactly(#[serde(deserialize_with = "at_most::<_, 0o7777>")] u32),
    Symbolic {
        op: Op,
        /// The classes as 0o700, 0o070, 0o007.
        #[serde(deserialize_with = "at_most::<_, 0o777>")]
        who: u32,
        /// No class was named: the umask's bits are left alone.
        masked: bool,
        what: What,
    },
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
enum Op {
    Add,
    Remove,
    Set,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
enum What {
    Bits {
        /// Of `rwx`, as they stand for others: 0..=7.
        #[serde(deserialize_with = "at_most::<_, 7>")]
        permissions: u32,
        /// Set-id and sticky bits, where they belong.
        #[serde(deserialize_with = "at_most::<_, 0o7777>")]
        special: u32,
        /// `X`: the execute bit only for directories and what is executable already.
        executable: bool,
    },
    /// The bits of the class that lies so many bits up.
    Copy {
        #[serde(deserialize_with = "at_most::<_, 6>")]
        shift: u32,
    },
}

/// A peer's rules are masked and shifted with, so no number in them goes beyond what the parser makes.
fn at_most<'de, D: Deserializer<'de>, const MAX: u32>(from: D) -> Result<u32, D::Error> {
    let bits = u32::deserialize(from)?;
    if bits > MAX {
        return Err(serde::de::Error::custom("these are no mode bits"));
    }
    Ok(bits)
}

/// Why a text is no `--chmod`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ChmodError;

impl std::fmt::Display for ChmodError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Invalid argument passed to --chmod")
    }
}

impl std::error::Error for ChmodError {}

/// Reads the value of one `--chmod`. Values of repeated options are appended to each other.
///
/// # Errors
///
/// An item is empty or malformed: usage error, nothing may be touched.
pub fn parse(text: &[u8]) -> Result<Vec<Rule>, ChmodError> {
    text.split(|&b| b == b',').map(item).collect()
}

fn item(text: &[u8]) -> Result<Rule, ChmodError> {
    let mut only = None;
    let mut who = 0;
    let mut rest = text;
    loop {
        let (first, after) = rest.split_first().ok_or(ChmodError)?;
        match first {
            b'D' if only != Some(Only::Others) => only = Some(Only::Dirs),
            b'F' if only != Some(Only::Dirs) => only = Some(Only::Others),
            b'u' => who |= 0o700,
            b'g' => who |= 0o070,
            b'o' => who |= 0o007,
            b'a' => who |= 0o777,
            b'+' | b'-' | b'=' => break,
            b'0'..=b'7' if who == 0 => return Ok(Rule { only, change: Change::Exactly(octal(rest)?) }),
            _ => return Err(ChmodError),
        }
        rest = after;
    }
    let (op, rest) = match rest {
        [b'+', rest @ ..] => (Op::Add, rest),
        [b'-', rest @ ..] => (Op::Remove, rest),
        [_, rest @ ..] => (Op::Set, rest),
        [] => return Err(ChmodError),
    };
    let what = match rest {
        b"u" => What::Copy { shift: 6 },
        b"g" => What::Copy { shift: 3 },
        b"o" => What::Copy { shift: 0 },
        letters => bits(letters, who)?,
    };
    let masked = who == 0;
    Ok(Rule { only, change: Change::Symbolic { op, who: if masked { 0o777 } else { who }, masked, what } })
}

fn octal(digits: &[u8]) -> Result<u32, ChmodError> {
    digits.iter().try_fold(0, |mode, digit| match digit {
        b'0'..=b'7' if mode <= 0o777 => Ok((mode << 3) | u32::from(digit - b'0')),
        _ => Err(ChmodError),
    })
}

/// The permission letters behind an operator, for the classes `who` as named (0: none).
fn bits(letters: &[u8], who: u32) -> Result<What, ChmodError> {
    let (mut permissions, mut special, mut executable) = (0, 0, false);
    for letter in letters {
        match letter {
            b'r' => permissions |= 4,
            b'w' => permissions |= 2,
            b'x' => permissions |= 1,
            b'X' => {
                permissions |= 1;
                executable = true;
            }
            b's' => {
                special |= set_ids(who);
                if who & 0o770 == 0 {
                    special = 0o4000; // forgets a `t` before it, as rsync does
                }
            }
            b't' => special |= 0o1000,
            _ => return Err(ChmodError),
        }
    }
    Ok(What::Bits { permissions, special, executable })
}

/// What `rules` make of `mode`'s permission bits (0o7777); other bits of `mode` stay.
#[must_use]
pub fn apply(rules: &[Rule], mode: u32, is_dir: bool, umask: u32) -> u32 {
    let executable_before = is_dir || mode & 0o111 != 0;
    let fits = |rule: &&Rule| rule.only.is_none_or(|only| (only == Only::Dirs) == is_dir);
    rules.iter().filter(fits).fold(mode, |mode, rule| rule.change.apply(mode, executable_before, umask))
}

impl Change {
    fn apply(self, mode: u32, executable_before: bool, umask: u32) -> u32 {
        let (op, who, masked, what) = match self {
            Change::Exactly(bits) => return (mode & !0o7777) | bits,
            Change::Symbolic { op, who, masked, what } => (op, who, masked, what),
        };
        let mut cleared = who;
        let mut bits = match what {
            What::Copy { shift } => {
                // A copy also gives up the special bit of every class that it sets.
                cleared |= set_ids(who) | if who & 0o007 != 0 { 0o1000 } else { 0 };
                (((mode >> shift) & 7) * 0o111) & who
            }
            What::Bits { permissions, special, executable } => {
                let withheld = executable && op != Op::Remove && !executable_before;
                let permissions = if withheld { permissions & !1 } else { permissions };
                if special != 0 && !masked {
                    // Naming a special bit gives up the set-id bits of the classes named with it.
                    cleared |= set_ids(who);
                }
                ((permissions * 0o111) & who) | special
            }
        };
        if masked {
            bits &= !umask;
        }
        match op {
            Op::Add => mode | bits,
            Op::Remove => mode & !bits,
            Op::Set => (mode & !cleared) | bits,
        }
    }
}

/// The set-id bits of the classes in `who`.
fn set_ids(who: u32) -> u32 {
    let user = if who & 0o700 != 0 { 0o4000 } else { 0 };
    let group = if who & 0o070 != 0 { 0o2000 } else { 0 };
    user | group
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_come_out_as_rsync_makes_them() {
        // The item, and what becomes of a file with 644 and a directory with 755 under umask 022.
        for (text, file, dir) in [
            ("Dg+s,ug+w,Fo-w,+X", 0o664, 0o2775),
            ("D2775,F664", 0o664, 0o2775),
            ("ugo=rwX", 0o666, 0o777),
            ("+w", 0o644, 0o755),
            ("a+w", 0o666, 0o777),
            ("=w", 0o200, 0o200),
            ("go=", 0o600, 0o700),
            ("g=u", 0o664, 0o775),
            ("=u", 0o644, 0o755),
            ("g-u", 0o604, 0o705),
            ("F7777,a=u", 0o777, 0o777),
            ("F7777,u=r", 0o7477, 0o455),
            ("F7777,u=t", 0o3077, 0o1055),
            ("F7777,=s", 0o7000, 0o4000),
            ("o+s", 0o4644, 0o4755),
            ("F0,o=ts", 0o4000, 0o4750),
            ("F755,u-X", 0o655, 0o655),
            ("F644,+x,g=X", 0o705, 0o715),
            ("u+", 0o644, 0o755),
            ("DDu-w", 0o644, 0o555),
        ] {
            let rules = parse(text.as_bytes()).unwrap();
            assert_eq!(apply(&rules, 0o644, false, 0o022), file, "{text}: file");
            assert_eq!(apply(&rules, 0o755, true, 0o022), dir, "{text}: directory");
        }
        assert_eq!(apply(&parse(b"600").unwrap(), 0o100_644, false, 0), 0o100_600, "the type stays");
    }

    #[test]
    fn what_rsync_refuses_is_refused() {
        for text in [
            "", ",", "u+x,", "u", "D", "DF+x", "u644", "+644", "8", "10000", "64 4", "g=uo", "g=ur", "u+x-w",
            "+q", "q+x", " u+x", "u+xD",
        ] {
            assert_eq!(parse(text.as_bytes()), Err(ChmodError), "{text:?}");
        }
    }

    #[test]
    fn what_no_parser_makes_does_not_arrive() {
        let mut bytes = postcard::to_allocvec(&parse(b"g=u").unwrap()).unwrap();
        let back: Result<Vec<Rule>, _> = postcard::from_bytes(&bytes);
        assert_eq!(back, Ok(parse(b"g=u").unwrap()));
        let shift = bytes.last_mut().unwrap();
        assert_eq!(*shift, 6);
        *shift = 32;
        assert!(postcard::from_bytes::<Vec<Rule>>(&bytes).is_err());
        let mut bytes = postcard::to_allocvec(&parse(b"7777").unwrap()).unwrap();
        assert!(postcard::from_bytes::<Vec<Rule>>(&bytes).is_ok());
        *bytes.last_mut().unwrap() = 0x20; // 0o7777 is ff 1f
        assert!(postcard::from_bytes::<Vec<Rule>>(&bytes).is_err());
    }
}
