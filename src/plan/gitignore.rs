//! `--gitignore`: what one `.gitignore` file says about the entries below its directory.
//!
//! The patterns are those of gitignore(5), by the `ignore` crate: in one file the last that matches decides, `!`
//! takes back. The files are found and read as merge files are ([`super::merge`]), the nearest directory first;
//! nothing is looked up by path here.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use ignore::Match;
use ignore::gitignore::{Gitignore, GitignoreBuilder};

use super::rules::FilterError;

/// The name that is looked for in each directory.
pub const FILE: &[u8] = b".gitignore";

/// The most patterns of one file: compiled they are many times as large. A guess, far above any real file.
const MAX_PATTERNS: usize = 10_000;

/// The patterns of one file.
#[derive(Clone, Debug)]
pub struct Patterns {
    compiled: Gitignore,
}

impl Patterns {
    /// Reads the file `text`; `name` is its name for messages. A pattern that is malformed matches nothing, as in
    /// git.
    ///
    /// # Errors
    ///
    /// There are too many patterns, or a line is not UTF-8: what it should have left out cannot be known.
    pub fn parse(text: &[u8], name: &str) -> Result<Patterns, FilterError> {
        let mut builder = GitignoreBuilder::new("");
        let mut patterns = 0;
        let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
        for (number, line) in (1..).zip(text.split(|&b| b == b'\n')) {
            let wrong = |what: &str| FilterError::Syntax(format!("{what}: {name} line {number}"));
            let line = std::str::from_utf8(line.strip_suffix(b"\r").unwrap_or(line));
            let line = line.map_err(|_| wrong("a pattern is not UTF-8"))?;
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            patterns += 1;
            if patterns > MAX_PATTERNS {
                return Err(wrong("there are too many patterns"));
            }
            // A pattern that is none matches nothing.
            let _malformed = builder.add_line(None, &without_choices(line));
        }
        let compiled = builder.build();
        Ok(Patterns { compiled: compiled.map_err(|e| FilterError::Syntax(format!("{name}: {e}")))? })
    }

    /// What the file says about the entry at `path` below its directory: whether it takes part, and the pattern
    /// that decided; nothing where none matches.
    #[must_use]
    pub fn check(&self, path: &[u8], is_dir: bool) -> Option<(bool, &[u8])> {
        match self.compiled.matched(Path::new(OsStr::from_bytes(path)), is_dir) {
            Match::None => None,
            Match::Ignore(glob) => Some((false, glob.original().as_bytes())),
            Match::Whitelist(glob) => Some((true, glob.original().as_bytes())),
        }
    }
}

/// The pattern with its braces taken literally: to git they are letters, to the crate `{a,b}` is a choice.
fn without_choices(line: &str) -> Cow<'_, str> {
    if !line.contains(['{', '}']) {
        return Cow::Borrowed(line);
    }
    let mut plain = String::with_capacity(line.len() + 4);
    let (mut escaped, mut class) = (false, false);
    for c in line.chars() {
        if matches!(c, '{' | '}') && !escaped && !class {
            plain.push('\\');
        }
        if !escaped {
            class = c == '[' || class && c != ']';
        }
        escaped = c == '\\' && !escaped;
        plain.push(c);
    }
    Cow::Owned(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What git says: `Some(false)` ignored, `Some(true)` taken back.
    fn says(text: &str, path: &str) -> Option<bool> {
        let patterns = Patterns::parse(text.as_bytes(), "F").unwrap();
        let name = path.trim_end_matches('/');
        patterns.check(name.as_bytes(), name != path).map(|(taken, _)| taken)
    }

    #[test]
    fn the_last_pattern_that_matches_decides() {
        assert_eq!(says("*.o\n!keep.o\n", "a/keep.o"), Some(true));
        assert_eq!(says("!keep.o\n*.o\n", "keep.o"), Some(false));
        assert_eq!(says("*.o\n", "a.c"), None);
    }

    #[test]
    fn slashes_anchor_and_mean_directories() {
        assert_eq!((says("/a", "a"), says("/a", "b/a")), (Some(false), None));
        assert_eq!((says("b/a", "b/a"), says("b/a", "c/b/a")), (Some(false), None));
        assert_eq!((says("out/", "out/"), says("out/", "out")), (Some(false), None));
        assert_eq!(
            (says("**/x", "p/q/x"), says("a/**", "a/b/c"), says("a/**/z", "a/z")),
            (Some(false), Some(false), Some(false))
        );
    }

    #[test]
    fn braces_are_letters_as_in_git() {
        assert_eq!((says("{a,b}", "{a,b}"), says("{a,b}", "a")), (Some(false), None));
        assert_eq!(
            (says("\\{a}", "{a}"), says("[{x]", "{"), says("*{", "q{")),
            (Some(false), Some(false), Some(false))
        );
    }

    #[test]
    fn comments_blanks_and_malformed_patterns_are_nothing() {
        assert_eq!(says("# a\n\n\\#b\n", "# a"), None);
        assert_eq!(says("\\#b\n", "#b"), Some(false));
        assert_eq!(says("a \n", "a"), Some(false));
        assert_eq!(says("[\nb\r\n", "b"), Some(false));
        assert_eq!(says("\u{feff}a\n", "a"), Some(false));
        assert!(
            matches!(Patterns::parse(b"a\n\xff\n", "F"), Err(FilterError::Syntax(text)) if text.ends_with("F line 2"))
        );
        assert!(Patterns::parse("a\n".repeat(MAX_PATTERNS + 1).as_bytes(), "F").is_err());
    }
}
