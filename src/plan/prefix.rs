//! What stands before a rule's argument: its name, short or long, and its modifiers.

use super::rules::{Sides, Syntax};

/// What a rule does.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Sign { include: bool },
    Sided { include: bool, sides: Sides },
    Merge,
    DirMerge,
    Clear,
}

const KINDS: &[(u8, &[u8], Kind)] = &[
    (b'-', b"exclude", Kind::Sign { include: false }),
    (b'+', b"include", Kind::Sign { include: true }),
    (b'.', b"merge", Kind::Merge),
    (b':', b"dir-merge", Kind::DirMerge),
    (b'H', b"hide", Kind::Sided { include: false, sides: Sides::SENDER }),
    (b'S', b"show", Kind::Sided { include: true, sides: Sides::SENDER }),
    (b'P', b"protect", Kind::Sided { include: false, sides: Sides::RECEIVER }),
    (b'R', b"risk", Kind::Sided { include: true, sides: Sides::RECEIVER }),
    (b'!', b"clear", Kind::Clear),
];

/// The kind of a rule in full syntax, and what follows its name (behind the `,` if there is one).
pub fn kind(text: &[u8]) -> Option<(Kind, &[u8])> {
    let after = |rest: &'_ [u8]| rest.first().is_none_or(|b| matches!(b, b' ' | b'_' | b','));
    let long = KINDS
        .iter()
        .find_map(|(_, name, kind)| Some((*kind, text.strip_prefix(*name).filter(|r| after(r))?)));
    let (kind, rest) = long.or_else(|| {
        let (first, rest) = text.split_first()?;
        KINDS.iter().find(|(short, ..)| short == first).map(|(_, _, kind)| (*kind, rest))
    })?;
    Some((kind, rest.strip_prefix(b",").unwrap_or(rest)))
}

/// Whether a word is a rule's name and modifiers that still want a pattern.
pub fn prefix_only(word: &[u8]) -> bool {
    kind(word)
        .is_some_and(|(kind, rest)| kind != Kind::Clear && !rest.iter().any(|b| matches!(b, b'_' | b'C')))
}

/// What stands between a rule's name and its argument.
pub struct Modifiers {
    pub sides: Option<Sides>,
    pub negated: bool,
    pub absolute: bool,
    pub perishable: bool,
    pub xattr: bool,
    pub cvs: bool,
    pub syntax: Syntax,
    pub words: bool,
    pub own_directory_only: bool,
    pub excludes_itself: bool,
}

impl Modifiers {
    /// Reads `letters`; the error is the first letter that `kind` does not take.
    pub fn parse(kind: Kind, letters: &[u8]) -> Result<Modifiers, u8> {
        let mut m = Modifiers {
            sides: if let Kind::Sided { sides, .. } = kind { Some(sides) } else { None },
            negated: false,
            absolute: false,
            perishable: false,
            xattr: false,
            cvs: false,
            syntax: Syntax::Full,
            words: false,
            own_directory_only: false,
            excludes_itself: false,
        };
        let sign = matches!(kind, Kind::Sign { .. });
        let merges = matches!(kind, Kind::Merge | Kind::DirMerge);
        for &letter in letters {
            match letter {
                b'/' => m.absolute = true,
                b'p' => m.perishable = true,
                b'x' => m.xattr = true,
                b'!' if !merges => m.negated = true,
                b's' if sign || merges => m.sides = Sides::SENDER.and(m.sides),
                b'r' if sign || merges => m.sides = Sides::RECEIVER.and(m.sides),
                b'C' if (sign || merges) && !m.cvs && m.syntax == Syntax::Full => {
                    m.cvs = true;
                    if merges {
                        m.syntax = Syntax::Bare { include: false, clears: true };
                        (m.words, m.own_directory_only) = (true, true);
                    }
                }
                b'-' | b'+' if merges && m.syntax == Syntax::Full => {
                    m.syntax = Syntax::Bare { include: letter == b'+', clears: false };
                }
                b'e' if merges => m.excludes_itself = true,
                b'n' if merges => m.own_directory_only = true,
                b'w' if merges => m.words = true,
                bad => return Err(bad),
            }
        }
        Ok(m)
    }
}
