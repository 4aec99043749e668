//! `completions/sluice.fish`.

use std::fmt::Write as _;

use super::super::flag::Hint;
use super::super::flags;
use super::{offers, origin};

/// Operands on other machines: sluice asks there, for a moment and nobody here.
const REMOTE: &str = r"function __sluice_remote
    set -l word (string unescape -- (commandline -ct))
    string match -rq '^[^/]*:' -- $word; or return
    set -l words (commandline -opc)
    $words[1] --complete $words[2..] $word 2>/dev/null
end
complete -c sluice -a '(__sluice_remote)'
";

/// The script.
#[must_use]
pub fn script() -> String {
    let mut script = origin("complete-fish");
    script.push_str(REMOTE);
    script.push_str("complete -c sluice -a \"(printf '%s:\\n' (__fish_print_hostnames))\" -d Host\n");
    for offer in flags::all().flat_map(offers) {
        script.push_str("complete -c sluice");
        // Writing to a String cannot fail.
        if let Some(short) = offer.short {
            let _infallible = write!(script, " -s {short}");
        }
        if let Some(long) = &offer.long {
            let _infallible = write!(script, " -l {long}");
        }
        if let Some((_, hint, optional)) = offer.value {
            script.push_str(match (hint, optional) {
                // Without -r, fish takes a value behind = only.
                (_, true) => " -f",
                (Hint::File, _) => " -r -F",
                _ => " -x",
            });
            match hint {
                Hint::Any | Hint::File => {}
                Hint::Dir => script.push_str(" -a '(__fish_complete_directories)'"),
                Hint::OneOf(words) => {
                    let _infallible = write!(script, " -a '{}'", words.join(" "));
                }
                Hint::BeginsWith(words) => {
                    let words: Vec<String> = words.iter().map(|word| format!("{word}_")).collect();
                    let _infallible = write!(script, " -a '{}'", words.join(" "));
                }
                Hint::SomeOf(words) => {
                    let _infallible = write!(script, " -a '(__fish_append , {})'", words().join(" "));
                }
            }
        }
        let help = offer.help.replace('\\', r"\\").replace('\'', r"\'");
        let _infallible = writeln!(script, " -d '{help}'");
    }
    script
}
