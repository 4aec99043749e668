//! `~/.config/sluice/config`: options that hold unless the command line says otherwise.
//!
//! An option a line, spelt as on the command line; a value goes to the end of its line, and quotes around it
//! are taken off. Empty lines and those that begin with `#` do not count. Lines before the first `[NAME]` are
//! for every transfer, those behind it for `--profile=NAME`. Neither a daemon nor the server's side of a
//! session ever reads it.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use super::resolve::World;
use super::typed::{RuleArg, Typed};
use super::{UsageError, order, words};
use crate::path::{escape, operand};
use crate::process::ids;
use crate::sys::Errno;

/// The largest configuration that is read, in bytes. A guess, far above any real one.
const LIMIT: usize = 1 << 20;

/// One option of the file.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Line {
    number: usize,
    words: Vec<OsString>,
}

/// A part of the file: the lines before the first name, or a profile.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Section {
    name: Option<Vec<u8>>,
    lines: Vec<Line>,
}

/// Where the file is, by the variables XDG_CONFIG_HOME and HOME. A relative directory does not count, as the
/// specification of the former has it.
fn place(config_home: Option<OsString>, home: Option<OsString>) -> Option<OsString> {
    let absolute = |dir: &OsString| dir.as_bytes().starts_with(b"/");
    let below = |mut dir: OsString, name: &str| {
        dir.push(name);
        dir
    };
    let config = config_home.filter(absolute).map(|dir| below(dir, "/sluice/config"));
    config.or_else(|| home.filter(absolute).map(|dir| below(dir, "/.config/sluice/config")))
}

/// What was typed, `typed`, with the file's options as the defaults under it; `args` is the command line.
///
/// # Errors
///
/// The file cannot be read or used, a line of it is wrong, or there is no such profile: exit 1.
pub fn under(typed: Typed, args: &[OsString], world: &World<'_>) -> Result<Typed, UsageError> {
    if typed.no_config {
        return match typed.profiles.first() {
            None => Ok(typed),
            Some(_) => Err(UsageError::new("--profile cannot be used with --no-config")),
        };
    }
    let set = |name: &str| (world.variable)(name).filter(|value| !value.is_empty());
    let path = place(set("XDG_CONFIG_HOME"), set("HOME"));
    let path = path.as_deref();
    let text = path.map(read).transpose()?.flatten();
    let (Some(path), Some(text)) = (path, text) else {
        return match typed.profiles.first() {
            None => Ok(typed),
            Some(name) => Err(UsageError::new(format!(
                "--profile={}: there is no {}",
                escape(name.as_bytes()),
                path.map_or("~/.config/sluice/config".into(), |path| escape(path.as_bytes()))
            ))),
        };
    };
    let shown = escape(path.as_bytes());
    let sections = sections(&text, &shown)?;
    let mut base = Typed::default();
    for section in sections.iter().filter(|section| section.name.is_none()) {
        section.lines.iter().try_for_each(|line| apply(&mut base, line, &shown))?;
    }
    // A profile that nobody asks for is looked at too: a mistake is found when it is made.
    for section in sections.iter().filter(|section| section.name.is_some()) {
        let mut unused = Typed::default();
        section.lines.iter().try_for_each(|line| apply(&mut unused, line, &shown))?;
    }
    for name in &typed.profiles {
        let named = |section: &&Section| section.name.as_deref() == Some(name.as_bytes());
        let Some(section) = sections.iter().find(named) else {
            let name = escape(name.as_bytes());
            return Err(UsageError::new(format!("--profile={name}: there is no [{name}] in {shown}")));
        };
        section.lines.iter().try_for_each(|line| apply(&mut base, line, &shown))?;
    }
    with_defaults(base, args)
}

/// The command line on top of `base`. Of rules the first that matches counts, so what was typed comes first;
/// and a time of deletion that was typed replaces another.
fn with_defaults(mut base: Typed, args: &[OsString]) -> Result<Typed, UsageError> {
    let rules = std::mem::take(&mut base.rules);
    let delete_when = std::mem::take(&mut base.delete_when);
    order::parse_onto(&mut base, args)?;
    if base.delete_when.is_empty() {
        base.delete_when = delete_when;
    }
    if !rules.is_empty() {
        let ends = RuleArg::From0(base.from0);
        base.rules.push(RuleArg::From0(false));
        base.rules.extend(rules);
        base.rules.push(ends);
    }
    Ok(base)
}

/// The file's text; nothing if there is no file, or none that this user could reach: who became somebody else
/// may have kept the home of whom they were.
fn read(path: &OsStr) -> Result<Option<Vec<u8>>, UsageError> {
    let shown = escape(path.as_bytes());
    match operand::read_with_attrs(path, LIMIT) {
        Ok((attrs, _)) if attrs.uid != 0 && attrs.uid != ids::own_uid() => {
            let whose = format!("it belongs to user {}, and is not obeyed", attrs.uid);
            Err(UsageError::new(format!("{shown}: {whose}; --no-config goes without it")))
        }
        Ok((attrs, _)) if attrs.mode & 0o002 != 0 => {
            Err(UsageError::new(format!("{shown}: others may write it; chmod o-w it")))
        }
        Ok((_, text)) => Ok(Some(text)),
        Err(e) if matches!(e.source, Errno::ENOENT | Errno::ENOTDIR) => Ok(None),
        Err(e) if e.source == Errno::EACCES && operand::attrs(path).is_err() => Ok(None),
        Err(e) => Err(UsageError::new(format!("{e}; --no-config goes without it"))),
    }
}

fn sections(text: &[u8], shown: &str) -> Result<Vec<Section>, UsageError> {
    let mut sections = vec![Section { name: None, lines: Vec::new() }];
    for (number, line) in (1..).zip(text.split(|&b| b == b'\n')) {
        let wrong = |what: &str| UsageError::new(format!("{shown}:{number}: {what}"));
        let line = line.trim_ascii();
        match line {
            [] | [b'#', ..] => {}
            [b'[', name @ .., b']'] => {
                let name = name.trim_ascii();
                if name.is_empty() || name.contains(&b'[') || name.contains(&b']') {
                    return Err(wrong("a profile needs a name"));
                }
                if sections.iter().any(|section| section.name.as_deref() == Some(name)) {
                    return Err(wrong(&format!("[{}] is there already", escape(name))));
                }
                sections.push(Section { name: Some(name.to_vec()), lines: Vec::new() });
            }
            [b'-', b'-', _, ..] | [b'-', b'!'..=b',' | b'.'..=b'~', ..] => {
                if let Some(section) = sections.last_mut() {
                    section.lines.push(Line { number, words: split(line) });
                }
            }
            _ => return Err(wrong("this is no option; one stands on each line, as it is typed")),
        }
    }
    Ok(sections)
}

/// The option and its value: apart by `=` or blanks behind a word, by blanks behind a letter.
fn split(line: &[u8]) -> Vec<OsString> {
    let long = line.starts_with(b"--");
    let end = line.iter().position(|&b| b == b' ' || b == b'\t' || (long && b == b'='));
    let Some(end) = end else { return vec![OsString::from_vec(line.to_vec())] };
    let (option, value) = line.split_at(end);
    if value.starts_with(b"=") {
        return vec![OsString::from_vec([option, b"=", unquoted(&value[1..])].concat())];
    }
    let value = unquoted(value.trim_ascii_start());
    vec![OsString::from_vec(option.to_vec()), OsString::from_vec(value.to_vec())]
}

fn unquoted(value: &[u8]) -> &[u8] {
    match value {
        [b'"', inner @ .., b'"'] | [b'\'', inner @ .., b'\''] => inner,
        _ => value,
    }
}

fn apply(base: &mut Typed, line: &Line, shown: &str) -> Result<(), UsageError> {
    let wrong = |what: String| UsageError::new(format!("{shown}:{}: {what}", line.number));
    let mut alone = Typed::default();
    let operands = order::parse_onto(&mut alone, &line.words).map_err(|e| wrong(e.message))?;
    if !operands.is_empty() {
        return Err(wrong(format!("{} takes no value", escape(line.words[0].as_bytes()))));
    }
    let asks = words::asks_help(&alone.info) || words::asks_help(&alone.debug);
    let prints = alone.help || alone.version > 0 || alone.generate.is_some() || asks;
    let daemon = &alone.daemon;
    let serves = daemon.daemon || daemon.config.is_some() || !daemon.modules.is_empty() || !daemon.detach;
    if prints || serves || alone.no_config || !alone.profiles.is_empty() {
        let option = escape(line.words[0].as_bytes());
        return Err(wrong(format!("{option} is for the command line only")));
    }
    order::parse_onto(base, &line.words).map(drop).map_err(|e| wrong(e.message))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        split(line.as_bytes()).into_iter().map(|word| word.into_string().unwrap()).collect()
    }

    #[test]
    fn a_value_goes_to_the_end_of_its_line_without_the_quotes_around_it() {
        for (line, expected) in [
            ("-a", &["-a"][..]),
            ("--exclude=a b", &["--exclude=a b"]),
            ("--exclude a b", &["--exclude", "a b"]),
            ("--exclude='a b'", &["--exclude=a b"]),
            ("-e \"ssh -p 22\"", &["-e", "ssh -p 22"]),
            ("-e ssh -o X=y", &["-e", "ssh -o X=y"]),
            ("--filter=- x=y", &["--filter=- x=y"]),
            ("--suffix=", &["--suffix="]),
        ] {
            assert_eq!(words(line), expected, "{line}");
        }
    }

    #[test]
    fn the_place_is_an_absolute_one() {
        let place = |config: &str, home: &str| {
            let some = |text: &str| (!text.is_empty()).then(|| text.into());
            super::place(some(config), some(home))
        };
        assert_eq!(place("/c", "/h"), Some("/c/sluice/config".into()));
        assert_eq!(place("c", "/h"), Some("/h/.config/sluice/config".into()));
        assert_eq!(place("", "/h"), Some("/h/.config/sluice/config".into()));
        assert_eq!((place("", ""), place("", "h")), (None, None));
    }

    #[test]
    fn what_is_no_option_is_named_with_its_line() {
        for (text, line) in
            [("a", 1), ("-a\n\n# x\nsrc", 4), ("--\n", 1), ("-\n", 1), ("[]", 1), ("[a]\n[a]", 2)]
        {
            let error = sections(text.as_bytes(), "F").unwrap_err();
            assert!(error.message.starts_with(&format!("F:{line}: ")), "{text:?}: {error}");
        }
    }
}
