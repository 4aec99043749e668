//! The manual page: `manual.txt` with the options put in, as roff.
//!
//! The text's markup: `# ` a section, `## ` a subsection, `: ` a term whose explanation is on the lines
//! below it, four spaces an example, `` `bold` ``, `_italic_` at the edges of a word. Everything else is
//! paragraphs. `@OPTIONS@` and `@LATER@` stand for what the tables of options say.

use clap_mangen::roff::{Inline, Roff, bold, italic, roman};

use super::flag::{Flag, Section, Sign};
use super::flags::SECTIONS;
use super::later::LATER;

const TEXT: &str = include_str!("manual.txt");

/// The manual page in roff.
#[must_use]
pub fn page() -> String {
    let mut roff = Roff::new();
    let version = concat!("sluice ", env!("CARGO_PKG_VERSION"));
    // No date: the page changes with the version only.
    roff.control("TH", ["SLUICE", "1", "\\&", version, "User Commands"]);
    let text = TEXT.replace("@LATER@", &later());
    render(&mut roff, &text, &|roff, _| SECTIONS.iter().for_each(|section| options(roff, section)));
    roff.to_roff()
}

/// Puts a text with the markup described above into `roff`; `insert` is called for each line `@WORD@`.
pub(super) fn render(roff: &mut Roff, text: &str, insert: &dyn Fn(&mut Roff, &str)) {
    let mut lines = text.lines().peekable();
    let mut after_heading = false;
    while let Some(line) = lines.next() {
        if let Some(title) = line.strip_prefix("# ") {
            roff.control("SH", [title]);
        } else if let Some(title) = line.strip_prefix("## ") {
            roff.control("SS", [title]);
        } else if let Some(term) = line.strip_prefix(": ") {
            roff.control("TP", []);
            roff.text(inlines(term));
        } else if line.starts_with("    ") {
            let rest = std::iter::from_fn(|| lines.next_if(|line| line.starts_with("    ")));
            example(roff, std::iter::once(line).chain(rest));
        } else if let Some(word) = line.strip_prefix('@').and_then(|line| line.strip_suffix('@')) {
            insert(roff, word);
        } else if line.is_empty() {
            // Headings and terms begin a paragraph on their own; a second request would draw a warning.
            if !after_heading && lines.peek().is_some_and(|next| begins_paragraph(next)) {
                roff.control("PP", []);
            }
            continue;
        } else {
            roff.text(inlines(line));
            if line.starts_with("`sluice` [") {
                roff.control("br", []);
            }
        }
        after_heading = line.starts_with('#');
    }
}

fn begins_paragraph(line: &str) -> bool {
    !(line.is_empty() || line.starts_with(['#', ':', '@']) || line.starts_with("    "))
}

/// Lines to be shown as they are.
fn example<'a>(roff: &mut Roff, lines: impl Iterator<Item = &'a str>) {
    roff.control("PP", []);
    roff.control("RS", ["4"]);
    roff.control("nf", []);
    for line in lines {
        roff.text([roman(line.strip_prefix("    ").unwrap_or(line))]);
    }
    roff.control("fi", []);
    roff.control("RE", []);
}

/// One group of options.
fn options(roff: &mut Roff, section: &Section) {
    roff.control("SS", [section.title]);
    for flag in section.flags {
        roff.control("TP", []);
        roff.text(names(flag));
        roff.text(inlines(&explanation(flag)));
    }
}

/// `-t, --[no-]times`; `--suffix=SUFFIX`.
fn names(flag: &Flag) -> Vec<Inline> {
    let mut line = Vec::new();
    if let Some(short) = flag.short {
        line.push(bold(format!("-{short}")));
    }
    if let Some(long) = flag.long {
        if flag.short.is_some() {
            line.push(roman(", "));
        }
        line.push(bold(match flag.sign {
            Sign::Plain => format!("--{long}"),
            Sign::Negatable => format!("--[no-]{long}"),
            Sign::Negative => format!("--no-{long}"),
        }));
    }
    if let Some(value) = &flag.value {
        let optional = value.missing.is_some();
        line.push(roman(if optional { "[=" } else { "=" }));
        line.push(italic(value.name));
        if optional {
            line.push(roman("]"));
        }
    }
    line
}

fn explanation(flag: &Flag) -> String {
    let mut text = format!("{}.", flag.help);
    if !flag.more.is_empty() {
        text.push(' ');
        text.push_str(flag.more);
    }
    if !flag.aliases.is_empty() {
        let spellings: Vec<String> = flag.aliases.iter().map(|word| spelling(flag, word)).collect();
        text.push_str(&format!(" Also spelt {}.", spellings.join(", ")));
    }
    text
}

fn spelling(flag: &Flag, word: &str) -> String {
    match flag.sign {
        Sign::Plain => format!("`--{word}`"),
        Sign::Negatable => format!("`--[no-]{word}`"),
        Sign::Negative => format!("`--no-{word}`"),
    }
}

fn later() -> String {
    let mut names: Vec<String> = LATER.iter().map(|option| format!("`{}`", option.name())).collect();
    names.sort_unstable();
    format!("{}.", names.join(", "))
}

/// A line with its markup taken out.
pub(super) fn inlines(line: &str) -> Vec<Inline> {
    let mut parts = Vec::new();
    for (n, piece) in line.split('`').enumerate() {
        if n % 2 == 1 {
            parts.push(bold(piece));
        } else {
            plain(piece, &mut parts);
        }
    }
    parts
}

/// Text outside backticks: `_x_` is italic, and an option is bold without being marked.
fn plain(text: &str, parts: &mut Vec<Inline>) {
    let mut rest = text;
    while let Some(at) = rest.find(['_', '-']) {
        let (before, tail) = rest.split_at(at);
        let at_edge = before.chars().next_back().is_none_or(|c| !c.is_alphanumeric());
        let length = match tail.strip_prefix('_') {
            Some(inner) => inner.find('_').filter(|_| at_edge).map(|end| end + 2),
            None => option_length(tail).filter(|_| at_edge),
        };
        let length = length.unwrap_or(0);
        let (found, after) = tail.split_at(length);
        parts.push(roman(before));
        if length == 0 {
            parts.push(roman(&tail[..1]));
            rest = &tail[1..];
            continue;
        }
        parts.push(if found.starts_with('_') { italic(found.trim_matches('_')) } else { bold(found) });
        rest = after;
    }
    parts.push(roman(rest));
}

/// How long the option is that `text` begins with, if it does.
fn option_length(text: &str) -> Option<usize> {
    let name = text.trim_start_matches('-');
    let dashes = text.len() - name.len();
    let length = name.find(|c: char| !c.is_ascii_alphanumeric() && c != '-').unwrap_or(name.len());
    (dashes <= 2 && length > 0 && !name.starts_with(|c: char| c.is_ascii_digit())).then_some(dashes + length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_in_plain_text_are_bold_and_hyphens_are_not_options() {
        let roff = |text: &str| {
            let mut roff = Roff::new();
            roff.text(inlines(text));
            roff.render()
        };
        assert!(roff("as --no-o says").contains(r"as \fB\-\-no\-o\fR says"));
        assert!(roff("with -rlptgoD;").contains(r"\fB\-rlptgoD\fR;"));
        assert!(roff("well-kept, 1 - 2").contains(r"well\-kept, 1 \- 2"));
        assert!(roff("[_OPTION_]... a_b").contains(r"[\fIOPTION\fR]... a_b"));
    }

    #[test]
    fn every_option_is_on_the_page() {
        let page = page();
        for flag in super::super::flags::all() {
            let word = flag.long.unwrap_or_default().replace('-', r"\-");
            assert!(page.contains(&word), "{}", flag.id());
        }
        assert!(page.contains(r"\-\-link\-dest"));
        assert!(!page.contains('@') || page.contains(r"\-@"), "a placeholder is left");
    }
}
