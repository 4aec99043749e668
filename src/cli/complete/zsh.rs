//! `completions/_sluice`, for zsh.

use std::fmt::Write as _;

use super::super::flag::Hint;
use super::super::flags;
use super::{HOSTS, Offer, offers, origin};

const OPERANDS: &str = r#"
_sluice_operand() {
    local -a hosts found
    local word=${(Q)PREFIX}
    if [[ $word == *:* && ${word%%:*} != */* ]]; then
        # On another machine: sluice asks there, for a moment and nobody here.
        found=(${(f)"$($words[1] --complete "${(@Q)words[2,CURRENT-1]}" "$word" 2>/dev/null)"})
        compadd -S '' -- ${(M)found:#*/}
        compadd -- ${found:#*/}
        return
    fi
    hosts=(${(f)"$(_sluice_hosts)"})
    _alternative 'files:file:_files' 'hosts:host:compadd -S : -a hosts'
}
"#;

/// The script.
#[must_use]
pub fn script() -> String {
    let mut script = format!("#compdef sluice\n{}\n{HOSTS}{OPERANDS}\n", origin("complete-zsh"));
    script.push_str("_sluice() {\n    _arguments -s -S \\\n");
    for offer in flags::all().flat_map(offers) {
        // Writing to a String cannot fail.
        let _infallible = writeln!(script, "        {} \\", spec(&offer));
    }
    script.push_str("        '*:operand:_sluice_operand'\n}\n\n");
    // Sourced, the file only defines; autoloaded, its body is the function's first call.
    script.push_str("if [ \"$funcstack[1]\" = _sluice ]; then\n    _sluice \"$@\"\nelse\n    compdef _sluice sluice\nfi\n");
    script
}

/// The words of one `_arguments` specification.
fn spec(offer: &Offer) -> String {
    let (letter_end, word_end) = match offer.value {
        None => ("", ""),
        // `+` and `=`: the value follows in the same word or in the next; `=-`: in the same only.
        Some((_, _, false)) => ("+", "="),
        Some((_, _, true)) => ("", "=-"),
    };
    let letter = offer.short.map(|c| format!("-{c}{letter_end}"));
    let word = offer.long.as_ref().map(|long| format!("--{long}{word_end}"));
    let mut tail = format!("[{}]", escaped(&offer.help));
    if let Some((name, hint, optional)) = offer.value {
        let colons = if optional { "::" } else { ":" };
        let action = match hint {
            Hint::Any => " ".to_owned(),
            Hint::File => "_files".to_owned(),
            Hint::Dir => "_files -/".to_owned(),
            Hint::OneOf(words) => format!("({})", words.join(" ")),
            Hint::BeginsWith(words) => format!("compadd -S _ - {}", words.join(" ")),
            Hint::SomeOf(words) => format!("_sequence compadd - {}", words().join(" ")),
        };
        let _infallible = write!(tail, "{colons}{}:{action}", escaped(name));
    }
    match (letter, word) {
        (Some(letter), Some(word)) => format!("'*'{{{letter},{word}}}'{tail}'"),
        (letter, word) => format!("'*{}{tail}'", letter.or(word).unwrap_or_default()),
    }
}

/// Text within a specification within single quotes.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '[' | ']' | ':' | '\\' => out.extend(['\\', c]),
            '\'' => out.push_str(r"'\''"),
            _ => out.push(c),
        }
    }
    out
}
