//! What `-z` and the options around it say.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use super::UsageError;
use crate::engine::ZeroCopy;
use crate::engine::pack::levels;
use crate::path::escape;
use crate::plan::pattern::Pattern;
use crate::session::compress::Compress;

/// What can be chosen with `--compress-choice`, best first; `auto` is the first of them that the peer has.
pub const CHOICES: [&str; 2] = ["zstd", "none"];

/// rsync's status for what is not supported.
const UNSUPPORTED: u8 = 4;

/// The options as typed.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// `-z`, or what means it, and no `--no-z` behind it.
    pub on: bool,
    /// `--compress-choice`, in the last of its forms.
    pub choice: Option<Vec<u8>>,
    /// `--compress-level`.
    pub level: i32,
    /// `--compress-threads`.
    pub threads: u8,
    /// `--skip-compress`.
    pub skip: Option<Vec<Pattern>>,
}

impl Asked {
    /// `--compress-choice=value`: means `-z`, but for `none`.
    pub fn choose(&mut self, value: &OsStr) {
        self.on = value != "none";
        self.choice = Some(value.as_bytes().to_vec());
    }

    /// `--compress-level=level`: means `-z`. A level beyond the ends is the end.
    pub fn set_level(&mut self, level: i32) {
        self.on = true;
        self.level = level.clamp(*levels().start(), *levels().end());
    }

    /// How files are to be packed, if at all. `list` is the variable `RSYNC_COMPRESS_LIST`.
    ///
    /// # Errors
    ///
    /// A choice that there is not, or that `list` leaves out (exit 4); a contradiction with `--zero-copy` (exit 1).
    pub fn resolve(&self, zero_copy: ZeroCopy, list: Option<&OsStr>) -> Result<Option<Compress>, UsageError> {
        if let Some(choice) = &self.choice
            && !CHOICES.iter().chain(&["auto"]).any(|known| known.as_bytes() == choice)
        {
            return Err(unsupported(format!(
                "unknown compress name: {} (there are: {}, auto)",
                escape(choice),
                CHOICES.join(", ")
            )));
        }
        let best = match self.choice.as_deref() {
            None | Some(b"auto") if self.on => best_of(list)?,
            Some(b"none") => "none",
            _ => "zstd",
        };
        if !self.on || best == "none" {
            return Ok(None);
        }
        if zero_copy == ZeroCopy::Always {
            return Err(UsageError::new("--compress (-z) cannot be used with --zero-copy=always"));
        }
        Ok(Some(Compress { level: self.level, threads: self.threads, skip: self.skip.clone() }))
    }
}

fn unsupported(message: String) -> UsageError {
    UsageError { status: UNSUPPORTED, ..UsageError::new(message) }
}

/// The first name in the client's part of the list that is known; without a list the best that there is.
fn best_of(list: Option<&OsStr>) -> Result<&'static str, UsageError> {
    let list = list.map(OsStr::as_bytes).unwrap_or_default();
    let client = list.split(|&b| b == b'&').next().unwrap_or_default();
    let mut words = client.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()).peekable();
    if words.peek().is_none() {
        return Ok(CHOICES[0]);
    }
    let known = |word: &[u8]| CHOICES.into_iter().find(|known| known.as_bytes() == word);
    words.find_map(known).ok_or_else(|| {
        unsupported(format!("RSYNC_COMPRESS_LIST has none of what there is: {}", CHOICES.join(", ")))
    })
}

/// Patterns of names (`dont compress`), which are compared without regard to case.
#[must_use]
pub fn names(words: &[Vec<u8>]) -> Vec<Pattern> {
    words.iter().map(|word| Pattern::new(&word.to_ascii_lowercase(), false)).collect()
}

/// The suffixes of `--skip-compress`, with slashes between them; classes of letters are the only wildcards.
#[must_use]
pub fn suffixes(list: &[u8]) -> Vec<Pattern> {
    let words = list.split(|&b| b == b'/').filter(|word| !word.is_empty());
    let pattern = |word: &[u8]| {
        let mut text = b"*.".to_vec();
        let mut inside = false;
        for byte in word.to_ascii_lowercase() {
            match byte {
                b'[' => inside = true,
                b']' => inside = false,
                b'*' | b'?' | b'\\' => text.push(b'\\'),
                b'-' | b'!' | b'^' | b':' if inside => text.push(b'\\'),
                _ => {}
            }
            text.push(byte);
        }
        Pattern::new(&text, false)
    };
    words.map(pattern).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matching(list: &str, name: &str) -> bool {
        suffixes(list.as_bytes()).iter().any(|pattern| pattern.matches(name.as_bytes(), None, 0, false))
    }

    #[test]
    fn suffixes_have_classes_of_letters_and_no_other_wildcards() {
        assert!(matching("gz/jpg/mp[34]/7z", "a.mp3") && matching("gz/jpg/mp[34]/7z", "b.c.7z"));
        assert!(!matching("mp[34]", "a.mp5") && !matching("mp[34]", "amp3") && !matching("", "a.gz"));
        assert!(!matching("g*", "a.gz") && matching("g*", "a.g*") && !matching("g?", "a.gz"));
        assert!(matching("x[a-c]", "f.x-") && !matching("x[a-c]", "f.xb") && matching("x[^a]", "f.x^"));
    }

    #[test]
    fn a_list_of_names_decides_where_nothing_was_chosen() {
        let asked = |choice: Option<&str>, list: &str| {
            let asked = Asked { on: true, choice: choice.map(|c| c.into()), ..Asked::default() };
            asked
                .resolve(ZeroCopy::Auto, Some(OsStr::new(list)))
                .map(|some| some.is_some())
                .map_err(|e| e.status)
        };
        assert_eq!(asked(None, ""), Ok(true));
        assert_eq!(asked(None, " & none"), Ok(true));
        assert_eq!(asked(None, "lz4 zstd zlib"), Ok(true));
        assert_eq!(asked(Some("auto"), "none zstd"), Ok(false));
        assert_eq!(asked(None, "lz4 zlib & zstd"), Err(4));
        assert_eq!(asked(Some("zstd"), "lz4"), Ok(true));
    }
}
