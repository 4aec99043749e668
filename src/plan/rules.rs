//! The filter language: from the bytes of an option or a merge file to rules.
//!
//! Three syntaxes share one set of rules: [`Syntax::Full`] (`--filter` and merge files), [`Syntax::Old`]
//! (`--exclude`, `--include` and their `-from` files) and [`Syntax::Bare`] (merge files that hold nothing
//! but patterns). This file knows nothing about directories or matching; it reads no file itself.

use serde::{Deserialize, Serialize};

use super::cvs;
use super::pattern::Pattern;
use super::prefix::{Kind, Modifiers, kind, prefix_only};

/// How deep merge files may name further merge files; rsync's limit.
pub const MAX_DEPTH: usize = 32;

/// Why filter rules could not be used. The run cannot start (or go on): its selection would be wrong.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum FilterError {
    /// A rule is malformed: rsync's exit status 1. The text never repeats what a file holds.
    Syntax(String),
    /// A file of rules could not be read: rsync's exit status 11.
    File(String),
}

impl std::fmt::Display for FilterError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            FilterError::Syntax(text) | FilterError::File(text) => f.write_str(text),
        }
    }
}

impl std::error::Error for FilterError {}

/// The sides of a transfer that a rule works on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Sides {
    pub sender: bool,
    pub receiver: bool,
}

impl Sides {
    pub const SENDER: Sides = Sides { sender: true, receiver: false };
    pub const RECEIVER: Sides = Sides { sender: false, receiver: true };

    /// These sides as well as `other`, if it names any.
    pub fn and(self, other: Option<Sides>) -> Option<Sides> {
        let other = other.unwrap_or(self);
        Some(Sides { sender: self.sender || other.sender, receiver: self.receiver || other.receiver })
    }
}

/// One include or exclude rule.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Rule {
    pub include: bool,
    /// `None`: the rule does not say.
    pub sides: Option<Sides>,
    /// `!`: takes effect where the pattern does not match.
    pub negated: bool,
    /// `/`: matched against the absolute path.
    pub absolute: bool,
    /// `p`: ignored in directories that are being deleted.
    pub perishable: bool,
    /// `x`: about names of extended attributes, never of entries.
    pub xattr: bool,
    pub pattern: Pattern,
}

/// A dir-merge rule.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct DirMerge {
    /// As written; the last component is what is looked for in each directory.
    #[serde(with = "serde_bytes")]
    pub path: Box<[u8]>,
    /// `n`: the rules hold in the file's own directory only.
    pub own_directory_only: bool,
    /// How the files are read.
    pub reading: Reading,
}

impl DirMerge {
    /// The name that is looked for in each directory.
    pub fn file_name(&self) -> &[u8] {
        let path = self.path.strip_suffix(b"/").unwrap_or(&self.path);
        path.rsplit(|&b| b == b'/').next().unwrap_or_default()
    }
}

/// One element of a list of rules.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Item {
    Rule(Rule),
    DirMerge(DirMerge),
    /// The global CVS rules stand here, each with this rule's modifiers.
    Cvs(Rule),
}

/// A list under construction.
#[derive(Clone, Default, Debug)]
pub struct List {
    pub items: Vec<Item>,
    /// A `!` was met: what the list would be added to is void as well.
    pub cleared: bool,
}

impl List {
    /// A file name is looked for once: the first rule that names it decides how and where.
    pub fn add_dir_merge(&mut self, merge: DirMerge) {
        let known = |item: &Item| matches!(item, Item::DirMerge(m) if m.file_name() == merge.file_name());
        if !self.items.iter().any(known) {
            self.items.push(Item::DirMerge(merge));
        }
    }

    fn clear(&mut self) {
        self.items.clear();
        self.cleared = true;
    }
}

/// What a line may look like.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Syntax {
    /// `RULE,MODIFIERS PATTERN`.
    Full,
    /// A pattern, after `- ` or `+ ` if it differs from the default; `!` alone clears.
    Old { include: bool },
    /// A pattern and nothing else; `!` alone clears only if `clears`.
    Bare { include: bool, clears: bool },
    /// The patterns of gitignore(5).
    Git,
}

/// How a text of rules is read, and what each of its rules has by default.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Reading {
    pub syntax: Syntax,
    /// Split at white space, without comments.
    pub words: bool,
    /// Rules end with NUL.
    pub from0: bool,
    pub sides: Option<Sides>,
    pub absolute: bool,
    pub perishable: bool,
}

impl Reading {
    /// Lines in `syntax`, nothing preset.
    pub fn lines(syntax: Syntax) -> Reading {
        Reading { syntax, words: false, from0: false, sides: None, absolute: false, perishable: false }
    }
}

/// Reads a merge file, given its path as written: its contents, or why not.
pub type ReadFile<'a> = &'a mut dyn FnMut(&[u8]) -> Result<Vec<u8>, String>;

/// Adds the rules of a whole text to `list`. `name` is the text's name for messages.
pub fn parse_text(
    list: &mut List,
    text: &[u8],
    reading: &Reading,
    name: &str,
    depth: usize,
    read: ReadFile,
) -> Result<(), FilterError> {
    if reading.words {
        let ends = |b: &u8| matches!(b, b' ' | b'\t'..=b'\r') || *b == 0 && reading.from0;
        let mut words = text.split(ends).filter(|word| !word.is_empty()).map(until_nul);
        while let Some(word) = words.next() {
            let shown = Shown::InFile { name, line: None };
            // The space behind a prefix does not end the rule.
            let joined = match (reading.syntax, prefix_only(word)) {
                (Syntax::Full, true) => words.next().map(|pattern| [word, b" ", pattern].concat()),
                (Syntax::Old { .. }, _) if matches!(word, b"-" | b"+") => {
                    words.next().map(|pattern| [word, b" ", pattern].concat())
                }
                _ => None,
            };
            parse_rule(list, joined.as_deref().unwrap_or(word), reading, shown, depth, read)?;
        }
        return Ok(());
    }
    let ends = |b: &u8| if reading.from0 { *b == 0 } else { matches!(b, b'\n' | b'\r') };
    for (at, line) in text.split(ends).enumerate() {
        if matches!(line, [] | [b'#' | b';', ..]) {
            continue;
        }
        parse_rule(list, until_nul(line), reading, Shown::InFile { name, line: Some(at + 1) }, depth, read)?;
    }
    Ok(())
}

/// What precedes a NUL: none can be part of a rule.
fn until_nul(rule: &[u8]) -> &[u8] {
    rule.split(|&b| b == 0).next().unwrap_or_default()
}

/// How a rule is named in a message: one that was typed by its text, one from a file by its place.
#[derive(Clone, Copy)]
pub enum Shown<'a> {
    Typed(&'a [u8]),
    InFile { name: &'a str, line: Option<usize> },
}

impl std::fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Shown::Typed(rule) => f.write_str(&crate::path::escape(rule)),
            Shown::InFile { name, line: Some(line) } => write!(f, "<rule from {name} line {line}>"),
            Shown::InFile { name, line: None } => write!(f, "<rule from {name}>"),
        }
    }
}

/// Adds one rule to `list`. An empty one adds nothing.
pub fn parse_rule(
    list: &mut List,
    text: &[u8],
    reading: &Reading,
    shown: Shown,
    depth: usize,
    read: ReadFile,
) -> Result<(), FilterError> {
    let end = || FilterError::Syntax(format!("unexpected end of filter rule: {shown}"));
    let plain = |include: bool, pattern: &[u8]| rule(include, pattern, reading);
    let item = match (reading.syntax, text) {
        (_, []) => return Ok(()),
        (Syntax::Old { .. } | Syntax::Bare { clears: true, .. }, b"!") => {
            list.clear();
            return Ok(());
        }
        (Syntax::Old { .. }, [sign @ (b'-' | b'+'), b' ', pattern @ ..]) => {
            if pattern.is_empty() {
                return Err(end());
            }
            plain(*sign == b'+', pattern)
        }
        (Syntax::Old { include } | Syntax::Bare { include, .. }, pattern) => plain(include, pattern),
        (Syntax::Full, _) => return parse_full(list, text, reading, shown, depth, read),
        // Files of this syntax are compiled whole, not rule by rule.
        (Syntax::Git, _) => return Ok(()),
    };
    list.items.push(Item::Rule(item));
    Ok(())
}

fn rule(include: bool, pattern: &[u8], reading: &Reading) -> Rule {
    Rule {
        include,
        sides: reading.sides,
        negated: false,
        absolute: reading.absolute,
        perishable: reading.perishable,
        xattr: false,
        pattern: Pattern::new(pattern, reading.absolute),
    }
}

fn parse_full(
    list: &mut List,
    text: &[u8],
    reading: &Reading,
    shown: Shown,
    depth: usize,
    read: ReadFile,
) -> Result<(), FilterError> {
    let syntax = |what: &str| FilterError::Syntax(format!("{what}: {shown}"));
    let Some((kind, rest)) = kind(text) else { return Err(syntax("Unknown filter rule")) };
    if kind == Kind::Clear {
        if !rest.is_empty() {
            return Err(syntax("'!' rule has trailing characters"));
        }
        list.clear();
        return Ok(());
    }
    let end = rest.iter().position(|b| matches!(b, b' ' | b'_')).unwrap_or(rest.len());
    let modifiers = Modifiers::parse(kind, &rest[..end])
        .map_err(|bad| syntax(&format!("invalid modifier '{}' in filter rule", bad.escape_ascii())))?;
    if reading.sides.is_some() && modifiers.sides.is_some() {
        return Err(syntax("specified-side merge file contains specified-side filter"));
    }
    let mut argument = rest.get(end + 1..).unwrap_or_default();
    if argument.is_empty() && !modifiers.cvs {
        return Err(syntax("unexpected end of filter rule"));
    }
    match kind {
        Kind::Sign { include } | Kind::Sided { include, .. } => {
            let absolute = modifiers.absolute || reading.absolute;
            let rule = Rule {
                include,
                sides: modifiers.sides.or(reading.sides),
                negated: modifiers.negated,
                absolute,
                perishable: modifiers.perishable || reading.perishable,
                xattr: modifiers.xattr,
                pattern: Pattern::new(argument, absolute),
            };
            list.items.push(if modifiers.cvs { Item::Cvs(rule) } else { Item::Rule(rule) });
            return Ok(());
        }
        Kind::Merge | Kind::DirMerge | Kind::Clear => {}
    }
    if argument.is_empty() {
        argument = cvs::FILE;
    }
    let inner = Reading {
        syntax: modifiers.syntax,
        words: modifiers.words,
        from0: reading.from0,
        sides: modifiers.sides.or(reading.sides),
        absolute: modifiers.absolute || reading.absolute,
        perishable: modifiers.perishable || reading.perishable,
    };
    let merge =
        DirMerge { path: argument.into(), own_directory_only: modifiers.own_directory_only, reading: inner };
    if modifiers.excludes_itself {
        list.items.push(Item::Rule(rule(false, merge.file_name(), &Reading::lines(Syntax::Full))));
    }
    if kind == Kind::DirMerge {
        list.add_dir_merge(merge);
        return Ok(());
    }
    if depth >= MAX_DEPTH {
        return Err(FilterError::File(format!(
            "merge-file include depth limit ({MAX_DEPTH}) exceeded at {shown}"
        )));
    }
    let (text, name) = match shown {
        Shown::Typed(_) => (read(argument), crate::path::escape(argument)),
        Shown::InFile { .. } => (read(argument), format!("a file named at {shown}")),
    };
    let text =
        text.map_err(|why| FilterError::File(format!("failed to open merge file of {shown}: {why}")))?;
    parse_text(list, &text, &inner, &name, depth + 1, read)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(rule: &str) -> Result<Vec<Item>, FilterError> {
        let mut list = List::default();
        let (text, reading) = (rule.as_bytes(), Reading::lines(Syntax::Full));
        parse_rule(&mut list, text, &reading, Shown::Typed(text), 0, &mut |_| Ok(b"- in\n".to_vec()))?;
        Ok(list.items)
    }

    #[test]
    fn every_spelling_of_a_rule_is_the_same_rule() {
        for same in [
            &["- a", "-_a", "-, a", "exclude a", "exclude_a", "exclude, a"][..],
            &["H! a", "hide,! a", "-s! a", "-,!s_a", "exclude,!s a"],
            &["R a", "risk a", "+r a", "include,r a"],
            &[":C", ":C .cvsignore", "dir-merge,C", "dir-merge,C .cvsignore"],
            &[":en .x", "dir-merge,ne .x"],
            &["", "!", "clear", "clear,"],
        ] {
            let first = parse(same[0]).unwrap();
            assert!(same.iter().all(|rule| parse(rule).unwrap() == first), "{same:?}");
        }
        assert_ne!(parse("- a").unwrap(), parse("-  a").unwrap());
    }

    #[test]
    fn what_is_no_rule_is_refused() {
        for rule in [
            "a",
            "foo",
            " - a",
            "_- a",
            "-",
            "- ",
            "-_",
            "exclude",
            "exclude ",
            "excludea",
            "exclude/ a",
            "-a",
            "-!a",
            "-q a",
            "-n a",
            "-+ a",
            "Hs a",
            "PC",
            "! x",
            "!x",
            "clear x",
            ".",
            "merge",
            ":",
            ": ",
            ":n",
            ":! a",
            ":+- a",
            ":C+",
            ":-C",
            "-CC",
        ] {
            assert!(matches!(parse(rule), Err(FilterError::Syntax(_))), "{rule:?}");
        }
    }

    #[test]
    fn a_merged_file_has_its_rules_in_place_with_the_modifiers_of_the_merge() {
        assert_eq!(parse(". f").unwrap(), parse("- in").unwrap());
        assert_eq!(parse(".ps f").unwrap(), parse("-ps in").unwrap());
        assert_eq!(parse(".+ f").unwrap(), parse("+ - in").unwrap());
        assert_eq!(parse(".e f").unwrap(), [parse("- f").unwrap(), parse("- in").unwrap()].concat());
        assert_eq!(
            parse(".w f").unwrap(),
            parse("- in").unwrap(),
            "the space behind a prefix is part of the rule"
        );
        assert_eq!(parse(".w- f").unwrap(), [parse("- -").unwrap(), parse("- in").unwrap()].concat());
    }

    #[test]
    fn a_message_never_repeats_what_a_file_holds() {
        let mut list = List::default();
        let reading = Reading::lines(Syntax::Full);
        for text in [&b"secret"[..], b"- x\n. other"] {
            let result = parse_text(&mut list, text, &reading, "F", 0, &mut |_| Err("no".into()));
            let shown = result.unwrap_err().to_string();
            assert!(
                shown.contains("<rule from F line ") && !shown.contains("secret") && !shown.contains("other")
            );
        }
    }
}
