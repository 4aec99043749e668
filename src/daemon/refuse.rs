//! Options that a module refuses: `refuse options`.

use crate::path::escape;
use crate::plan::pattern::Pattern;

/// What `-a` stands for; refusing it by name refuses these.
const ARCHIVE: &[(&str, char)] = &[
    ("recursive", 'r'),
    ("dirs", 'd'),
    ("links", 'l'),
    ("perms", 'p'),
    ("times", 't'),
    ("group", 'g'),
    ("owner", 'o'),
    ("devices", 'D'),
    ("specials", 'D'),
];

/// What only its exact name refuses, because too much depends on it.
const VITAL: &[&str] = &[
    "server",
    "rsh",
    "out-format",
    "sender",
    "dry-run",
    "seclude-args",
    "secluded-args",
    "from0",
    "iconv",
    "no-iconv",
    "checksum-seed",
    "write-devices",
    // rsync's clients do not tell its daemon of these.
    "stop-after",
    "stop-at",
];

/// Other words for options, and the usual ones.
const ALIASES: &[(&str, &str)] = &[
    ("cc", "checksum-choice"),
    ("log-format", "out-format"),
    ("old-compress", "compress"),
    ("new-compress", "compress"),
    ("protect-args", "secluded-args"),
    ("remove-sent-files", "remove-source-files"),
    ("time-limit", "stop-after"),
    ("zc", "compress-choice"),
    ("zl", "compress-level"),
    ("zt", "compress-threads"),
];

/// Refused unless the list says otherwise.
const REFUSED_BY_DEFAULT: &[&str] = &["copy-devices", "write-devices"];

/// Refused whatever the list says: a client names no file of the daemon's.
const ALWAYS_REFUSED: &[&str] = &["log-file", "log-file-format"];

/// The list of one module.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Refused {
    terms: Vec<Term>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
struct Term {
    /// `!`: accepts again.
    accepts: bool,
    text: String,
    pattern: Pattern,
    wild: bool,
}

/// An option as a client asks for it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Asked<'a> {
    /// Its word, without dashes.
    pub long: &'a str,
    /// Its letter, if it has one.
    pub short: Option<char>,
}

impl Refused {
    /// Reads the words of the parameter: names, letters, patterns, each perhaps behind a `!`.
    ///
    /// # Errors
    ///
    /// A word that is no name and no pattern.
    pub fn parse(words: &[Vec<u8>]) -> Result<Refused, String> {
        let term = |word: &Vec<u8>| {
            let text = std::str::from_utf8(word).ok().map(|text| text.strip_prefix('!').unwrap_or(text));
            let text = text.map(|text| text.trim_start_matches('-')).filter(|text| !text.is_empty());
            let text = text.ok_or_else(|| format!("\"{}\" is no option", escape(word)))?;
            let usual = ALIASES.iter().find(|(alias, _)| *alias == text).map(|(_, usual)| *usual);
            let text = usual.unwrap_or(text);
            Ok(Term {
                accepts: word.starts_with(b"!"),
                text: text.to_owned(),
                pattern: Pattern::new(text.as_bytes(), false),
                wild: text.contains(['*', '?', '[']),
            })
        };
        Ok(Refused { terms: words.iter().map(term).collect::<Result<_, String>>()? })
    }

    /// Whether the module refuses `asked`. The last term that is about it decides. With `sending`, the
    /// daemon is the sender.
    #[must_use]
    pub fn refuses(&self, asked: Asked<'_>, sending: bool) -> bool {
        if ALWAYS_REFUSED.contains(&asked.long) {
            return true;
        }
        let last = self.terms.iter().rev().find(|term| term.concerns(asked));
        let listed = last.map_or(REFUSED_BY_DEFAULT.contains(&asked.long), |term| !term.accepts);
        let delete = Asked { long: "delete", short: None };
        // What implies an option falls with it.
        let implies = asked.long.starts_with("delete-") && asked.long != "delete-limit"
            || asked.long == "del"
            || asked.long == "remove-source-files" && sending;
        let implied = implies && last.is_none_or(|term| term.wild) && self.refuses_by_name(delete);
        listed || implied
    }

    /// Whether `asked` is refused by a term that spells it out.
    fn refuses_by_name(&self, asked: Asked<'_>) -> bool {
        let last = self.terms.iter().rev().find(|term| term.concerns(asked));
        last.is_some_and(|term| !term.wild && !term.accepts)
    }
}

impl Term {
    fn concerns(&self, asked: Asked<'_>) -> bool {
        if !self.wild {
            let archive = matches!(self.text.as_str(), "a" | "archive");
            let part = archive && ARCHIVE.iter().any(|(long, _)| *long == asked.long);
            return part
                || self.text == asked.long
                || asked.short.is_some_and(|c| self.text == c.to_string());
        }
        let letter = asked.short.map(|c| c.to_string()).unwrap_or_default();
        let matches = |name: &str| !name.is_empty() && self.pattern.matches(name.as_bytes(), None, 0, false);
        !VITAL.contains(&asked.long) && (matches(asked.long) || matches(&letter))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(list: &str, long: &str) -> bool {
        let words: Vec<Vec<u8>> = list.split_whitespace().map(|w| w.as_bytes().to_vec()).collect();
        let short =
            [("checksum", 'c'), ("archive", 'a'), ("verbose", 'v'), ("dry-run", 'n'), ("compress", 'z')];
        let short = short.into_iter().chain(ARCHIVE.iter().copied()).find(|(l, _)| *l == long);
        Refused::parse(&words).unwrap().refuses(Asked { long, short: short.map(|(_, c)| c) }, true)
    }

    #[test]
    fn the_examples_of_the_manual_mean_what_it_says() {
        let list = "c delete";
        assert!(
            ["checksum", "delete", "delete-after", "del", "remove-source-files"]
                .iter()
                .all(|o| refused(list, o))
        );
        assert!(!refused(list, "verbose"));
        let list = "delete-* !delete-during";
        assert!(refused(list, "delete-after") && !refused(list, "delete-during"));
        assert!(!refused(list, "remove-source-files"));
        let list = "* !a !v !compress*";
        assert!(
            ["recursive", "times", "verbose", "compress-level", "compress"].iter().all(|o| !refused(list, o))
        );
        assert!(refused(list, "checksum") && refused(list, "delete"));
        let list = "* !a !delete !delete-during";
        assert!(!refused(list, "delete") && !refused(list, "delete-during") && refused(list, "delete-after"));
        let list = "* !a !delete* delete-after";
        assert!(!refused(list, "delete-before") && refused(list, "delete-after"));
    }

    #[test]
    fn patterns_spare_what_everything_depends_on() {
        assert!(!refused("*", "dry-run") && refused("n", "dry-run"));
        assert!(!refused("*", "server") && !refused("*", "from0"));
    }

    #[test]
    fn devices_are_refused_unless_accepted_and_logs_always() {
        assert!(refused("", "write-devices") && !refused("!write-devices", "write-devices"));
        assert!(refused("!log-file", "log-file"));
    }

    #[test]
    fn refusing_archive_by_name_refuses_its_parts() {
        assert!(refused("a", "perms") && refused("archive", "owner") && !refused("a*", "perms"));
    }
}
