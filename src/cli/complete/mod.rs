//! Completions for the shells, made of the table of options.
//!
//! Written here and not by clap's generator, because that knows neither lists with commas (`--info`), nor
//! `host:` in front of a path, nor in bash a value behind `=`.

pub mod bash;
pub mod fish;
pub mod remote;
pub mod zsh;

use super::flag::{Flag, Hint, Sign};

/// Says where a script comes from, in its first lines.
fn origin(page: &str) -> String {
    format!("# Completion of sluice's options, files and hosts. Made by: sluice --generate {page}\n")
}

/// Names of hosts from ssh's files, one a line: a function for any shell with POSIX syntax. Patterns,
/// hashed names and certificate lines are left out.
const HOSTS: &str = r#"_sluice_hosts() {
    {
        sed -n 's/^[[:space:]]*[Hh][Oo][Ss][Tt][[:space:]=]\{1,\}//p' ~/.ssh/config /etc/ssh/ssh_config |
            tr -s '[:space:]' '\n'
        sed -n 's/^\([^@|#[:space:]][^[:space:]]*\).*/\1/p' ~/.ssh/known_hosts | tr , '\n' |
            sed 's/^\[\(.*\)\]:.*/\1/'
    } 2>/dev/null | grep -v '[][*?!"]' | sort -u
}
"#;

/// One spelling of an option as the shells offer it.
struct Offer {
    /// The letter, if this spelling has one.
    short: Option<char>,
    /// The word behind `--`, if it has one.
    long: Option<String>,
    /// What is shown beside it.
    help: String,
    /// What it takes, and whether that may be left out.
    value: Option<(&'static str, Hint, bool)>,
}

/// The spellings to offer for `flag`: the shown one, and the one that takes it back.
fn offers(flag: &Flag) -> Vec<Offer> {
    let value = flag.value.map(|value| (value.name, value.hint, value.missing.is_some()));
    let on =
        Offer { short: flag.short, long: flag.long.map(str::to_owned), help: flag.help.to_owned(), value };
    // A flag without a word is taken back by its letter: --no-D.
    let negative = flag.negative_words().into_iter().next();
    match flag.sign {
        Sign::Plain => vec![on],
        Sign::Negatable => {
            let help = format!("Take back --{}", flag.id());
            vec![on, Offer { short: None, long: negative, help, value: None }]
        }
        Sign::Negative => vec![Offer { short: None, long: negative, ..on }],
    }
}
