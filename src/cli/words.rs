//! The words of `--info` and `--debug`: `name2,del,progress2`, `NONE`, `ALL1`, `help`.

use std::fmt::Write as _;

use super::reporting::{Debug, Info, Word};

/// One word as typed, taken apart.
struct Item<'a> {
    name: &'a str,
    level: u8,
}

fn item(text: &str) -> Item<'_> {
    let name = text.trim_end_matches(|c: char| c.is_ascii_digit());
    let digits = &text[name.len()..];
    let level = if digits.is_empty() { 1 } else { digits.parse().unwrap_or(u8::MAX) };
    Item { name, level }
}

/// Sets in `levels` what `typed` says, word after word.
///
/// # Errors
///
/// The first word that is none of `words`, nor `all`, nor `none`.
fn apply<L>(typed: &[String], words: &[Word<L>], levels: &mut L) -> Result<(), String> {
    for text in typed.iter().flat_map(|list| list.split(',')).filter(|text| !text.is_empty()) {
        let Item { name, level } = item(text);
        let all = name.eq_ignore_ascii_case("all");
        if all || name.eq_ignore_ascii_case("none") {
            for word in words {
                *(word.level)(levels) = if all { level } else { 0 };
            }
        } else if let Some(word) = words.iter().find(|word| name.eq_ignore_ascii_case(word.name)) {
            *(word.level)(levels) = level;
        } else {
            return Err(name.to_owned());
        }
    }
    Ok(())
}

/// Sets the levels that `--info` names.
///
/// # Errors
///
/// The word that is unknown, for the message.
pub fn info(typed: &[String], levels: &mut Info) -> Result<(), String> {
    apply(typed, Info::WORDS, levels).map_err(|word| format!("unknown --info word: {word}"))
}

/// Sets the levels that `--debug` names.
///
/// # Errors
///
/// The word that is unknown, for the message.
pub fn debug(typed: &[String], levels: &mut Debug) -> Result<(), String> {
    apply(typed, Debug::WORDS, levels).map_err(|word| format!("unknown --debug word: {word}"))
}

/// Whether `help` is among the words.
#[must_use]
pub fn asks_help(typed: &[String]) -> bool {
    typed.iter().flat_map(|list| list.split(',')).any(|word| word.eq_ignore_ascii_case("help"))
}

/// The answer to `--info=help`.
#[must_use]
pub fn info_help() -> String {
    help("--info", Info::WORDS)
}

/// The answer to `--debug=help`.
#[must_use]
pub fn debug_help() -> String {
    help("--debug", Debug::WORDS)
}

fn help<L>(option: &str, words: &[Word<L>]) -> String {
    let mut text = format!(
        "{option}=WORD[,WORD]...: WORD or WORD1 turns it on, WORD2 shows more, WORD0 turns it off.\n\n"
    );
    let mut line = |name: &str, help: &str| {
        // Writing to a String cannot fail.
        let _infallible = writeln!(text, "{name:<10} {help}");
    };
    for word in words {
        line(word.name, word.help);
    }
    line("all", "Every word at once (all2: at level 2)");
    line("none", "No word at all");
    line("help", "This text");
    text.push_str("\nWhat each -v adds:\n");
    for verbose in 0..=5 {
        let added: Vec<String> = words.iter().flat_map(|word| raised(word, verbose)).collect();
        if !added.is_empty() {
            let _infallible = writeln!(text, "{verbose}) {}", added.join(","));
        }
    }
    text
}

/// How `word` is written if `verbose` raises its level.
fn raised<L>(word: &Word<L>, verbose: u8) -> Option<String> {
    let level = word.raised_at.iter().rposition(|&at| at == verbose)? + 1;
    Some(if level == 1 { word.name.to_owned() } else { format!("{}{level}", word.name) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(words: &[&str]) -> Vec<String> {
        words.iter().map(|&w| w.to_owned()).collect()
    }

    #[test]
    fn later_words_win_and_case_does_not_matter() {
        let mut levels = Info::at_verbosity(2);
        info(&typed(&["none", "NAME2,,del", "stats0"]), &mut levels).unwrap();
        assert_eq!(levels, Info { name: 2, del: 1, ..Info::default() });
        info(&typed(&["all3,skip0"]), &mut levels).unwrap();
        assert_eq!((levels.name, levels.skip, levels.progress), (3, 0, 3));
    }

    #[test]
    fn unknown_word_is_named_without_its_level() {
        let mut levels = Info::default();
        assert_eq!(info(&typed(&["nam2"]), &mut levels), Err("unknown --info word: nam".into()));
    }

    #[test]
    fn help_says_what_each_v_adds() {
        let text = info_help();
        assert!(text.contains("\n1) copy,del,flist,misc,name,stats,symsafe\n"), "{text}");
        assert!(text.contains("\n2) backup,misc2,mount,name2,remove,skip\n"), "{text}");
        assert!(debug_help().contains("\n5) chdir,deltasum4,flist4,fuzzy2,hash,hlink\n"));
    }
}
