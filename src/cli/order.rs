//! From arguments to [`Typed`]: clap takes them apart, then the options act in the order of typing.
//!
//! The order matters: `-a --no-o` keeps no owners, `--no-o -a` does. clap tells for each occurrence of an
//! option where it stood; [`parse`] sorts by that and lets one after the other act.

use std::ffi::{OsStr, OsString};

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction, ArgMatches, Command};

use super::batch::Word;
use super::flag::{Effect, Flag, Sign};
use super::flags::{self, SECTIONS};
use super::later::{LATER, Later};
use super::typed::Typed;
use super::{UsageError, help};
use crate::path::escape;

/// The name of the operands within clap's definition; no option is spelt so.
const OPERANDS: &str = "OPERANDS";

/// The command as clap knows it, made of the table of options.
#[must_use]
pub fn command() -> Command {
    let mut command = Command::new("sluice")
        .about(help::ABOUT)
        .override_usage(help::USAGE)
        .after_help(help::AFTER)
        .disable_help_flag(true)
        .disable_version_flag(true)
        .max_term_width(100)
        .arg(Arg::new(OPERANDS).num_args(0..).value_parser(clap::value_parser!(OsString)).hide(true));
    for section in SECTIONS {
        for flag in section.flags {
            let negative = flag.sign == Sign::Negative;
            command = command.arg(positive(flag).help_heading(section.title).hide(negative));
            if let Some(arg) = opposite(flag) {
                command = command.arg(arg.help_heading(section.title).hide(!negative));
            }
        }
    }
    for option in LATER {
        command = command.arg(refused(option)).arg(harmless(option));
    }
    command
}

/// An option that takes no value and may come any number of times.
fn bare(id: String) -> Arg {
    // `Append` remembers where each occurrence stood; `Count` and `SetTrue` only the last.
    Arg::new(id).action(ArgAction::Append).num_args(0).default_missing_value("")
}

fn valued(id: String) -> Arg {
    // What follows is the value, even if it looks like an option: so in rsync.
    Arg::new(id).action(ArgAction::Append).num_args(1).allow_hyphen_values(true)
}

/// `--x` and its letter.
fn positive(flag: &Flag) -> Arg {
    let mut arg = match &flag.value {
        None => bare(flag.id()),
        Some(value) => {
            let arg = valued(flag.id()).value_name(value.name);
            match value.missing {
                None => arg,
                Some(missing) => arg.num_args(0..=1).require_equals(true).default_missing_value(missing),
            }
        }
    };
    if let Some(short) = flag.short {
        arg = arg.short(short);
    }
    if let Some(long) = flag.long {
        arg = arg.long(long);
    }
    arg.aliases(flag.aliases.iter().copied()).value_parser(clap::value_parser!(OsString)).help(flag.help)
}

/// `--no-x`.
fn opposite(flag: &Flag) -> Option<Arg> {
    let mut words = flag.negative_words().into_iter();
    let first = words.next()?;
    let arg = bare(negative_id(flag)).long(first).aliases(words);
    Some(arg.value_parser(clap::value_parser!(OsString)).help(flag.help))
}

fn negative_id(flag: &Flag) -> String {
    format!("no-{}", flag.id())
}

/// An option to be refused by name.
fn refused(option: &Later) -> Arg {
    let id = option.words.first().copied().unwrap_or_default().to_owned();
    let mut arg = if option.value { valued(id.clone()) } else { bare(id.clone()) }.long(id);
    if let Some(short) = option.short {
        arg = arg.short(short);
    }
    arg.aliases(option.words.iter().skip(1).copied()).value_parser(clap::value_parser!(OsString)).hide(true)
}

/// Turning off what sluice never does.
fn harmless(option: &Later) -> Arg {
    let mut words =
        option.words.iter().map(|word| format!("no-{word}")).chain(option.short.map(|c| format!("no-{c}")));
    let first = words.next().unwrap_or_default();
    bare(first.clone()).long(first).aliases(words).hide(true)
}

/// Takes `args` (without the program's name) apart.
///
/// Returns what was typed and the operands, each in order.
///
/// # Errors
///
/// An option is unknown, not supported yet, lacks its value or has a wrong one: exit 1.
pub fn parse(args: &[OsString]) -> Result<(Typed, Vec<OsString>), UsageError> {
    let mut typed = Typed::default();
    parse_onto(&mut typed, args).map(|operands| (typed, operands))
}

/// As [`parse`], on top of what has been said already.
///
/// # Errors
///
/// As [`parse`].
pub fn parse_onto(typed: &mut Typed, args: &[OsString]) -> Result<Vec<OsString>, UsageError> {
    let mut matches = matches(args)?;
    if let Some(option) = LATER.iter().find(|option| occurs(&matches, option)) {
        return Err(UsageError::new(option.refusal()));
    }
    act_all(&matches, typed)?;
    Ok(matches.remove_many(OPERANDS).map(Iterator::collect).unwrap_or_default())
}

fn matches(args: &[OsString]) -> Result<ArgMatches, UsageError> {
    command().no_binary_name(true).try_get_matches_from(args).map_err(|e| usage(&e, args))
}

fn in_order(matches: &ArgMatches) -> Vec<Act> {
    let mut acts: Vec<Act> = flags::all().flat_map(|flag| acts(matches, flag)).collect();
    acts.sort_by_key(|act| act.index);
    acts
}

/// The options of a command line, in the order of typing.
///
/// # Errors
///
/// As [`parse`].
pub fn words(args: &[OsString]) -> Result<Vec<Word>, UsageError> {
    let word = |Act { flag, on, value, .. }| Word { flag, on, value };
    Ok(in_order(&matches(args)?).into_iter().map(word).collect())
}

/// The options for the other side: those of `typed` that are for both, and then what `-M` says. `here`: the other
/// side is on this machine, where `--fake-super` is for both.
///
/// # Errors
///
/// As [`parse`]; also what is an operand, or an option that only makes sense where it is typed.
pub fn far(typed: &Typed, here: bool) -> Result<Typed, UsageError> {
    let mut far = typed.for_the_other_side();
    far.fake_super &= here;
    let wrong = |text: &str| UsageError::new(format!("--remote-option: {text}"));
    let matches = matches(&typed.remote).map_err(|e| wrong(&e.message))?;
    if let Some(option) = LATER.iter().find(|option| occurs(&matches, option)) {
        return Err(wrong(&option.refusal()));
    }
    if matches.contains_id(OPERANDS) {
        return Err(wrong("something that is no option"));
    }
    act_all(&matches, &mut far)?;
    if !far.remote.is_empty() {
        return Err(wrong("it cannot hold itself"));
    }
    if far.rules != typed.rules || far.files_from != typed.files_from {
        return Err(wrong("rules and lists of names are for both sides"));
    }
    let daemon = &far.daemon;
    if *daemon
        != (super::daemon::Options { address: daemon.address, port: daemon.port, ..Default::default() })
    {
        return Err(wrong("a daemon's options are not for a transfer"));
    }
    Ok(far)
}

/// Has all options act in the order of typing.
fn act_all(matches: &ArgMatches, typed: &mut Typed) -> Result<(), UsageError> {
    in_order(matches).iter().try_for_each(|act| act.act(typed)).map_err(UsageError::new)
}

fn occurs(matches: &ArgMatches, option: &Later) -> bool {
    option.words.first().is_some_and(|id| matches.indices_of(id).is_some())
}

/// One occurrence of an option.
struct Act {
    index: usize,
    flag: &'static Flag,
    on: bool,
    value: OsString,
}

impl Act {
    fn act(&self, typed: &mut Typed) -> Result<(), String> {
        typed.named.set(self.flag.long.unwrap_or_default(), self.on);
        match self.flag.effect {
            Effect::Switch(set) => {
                set(typed, self.on);
                Ok(())
            }
            Effect::Take(set) if self.on => set(typed, &self.value),
            Effect::Take(set) => set(typed, OsStr::new(self.flag.value.map_or("", |value| value.off))),
            Effect::Nothing => Ok(()),
        }
    }
}

/// Every occurrence of `flag` and of its opposite.
fn acts(matches: &ArgMatches, flag: &'static Flag) -> Vec<Act> {
    let mut acts = Vec::new();
    let mut collect = |id: &str, on: bool| {
        let indices = matches.indices_of(id).into_iter().flatten();
        let values = matches.get_many::<OsString>(id).into_iter().flatten();
        acts.extend(indices.zip(values).map(|(index, value)| Act { index, flag, on, value: value.clone() }));
    };
    collect(&flag.id(), true);
    if flag.sign != Sign::Plain {
        collect(&negative_id(flag), false);
    }
    acts
}

/// clap's complaint about `args` in rsync's words.
fn usage(error: &clap::Error, args: &[OsString]) -> UsageError {
    let named = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(text)) => text.as_str(),
        _ => "",
    };
    // clap adds the value's name: `--suffix <SUFFIX>`.
    let mut option = escape(named.split([' ', '=']).next().unwrap_or(named).as_bytes());
    if option == "--" {
        // A hyphen among short options, which looks like the end of them all.
        let short =
            |arg: &&[u8]| arg.starts_with(b"-") && !arg.starts_with(b"--") && arg[1..].contains(&b'-');
        option = args.iter().map(|arg| arg.as_encoded_bytes()).find(short).map_or(option, escape);
    }
    UsageError::new(match error.kind() {
        ErrorKind::UnknownArgument => format!("{option}: unknown option"),
        ErrorKind::TooManyValues => format!("{option}: option does not take an argument"),
        ErrorKind::InvalidValue | ErrorKind::TooFewValues | ErrorKind::WrongNumberOfValues => {
            format!("{option}: missing argument")
        }
        _ => escape(
            error.to_string().lines().next().unwrap_or_default().trim_start_matches("error: ").as_bytes(),
        ),
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStrExt;

    use super::*;

    fn typed(line: &str) -> Result<(Typed, Vec<OsString>), String> {
        let args: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
        parse(&args).map_err(|e| e.message)
    }

    #[test]
    fn clap_accepts_the_definition() {
        command().debug_assert();
    }

    #[test]
    fn options_act_in_the_order_of_typing() {
        let plan = |line: &str| typed(line).unwrap().0.plan;
        assert!(!plan("-a --no-o").owner);
        assert!(plan("--no-o -a").owner);
        assert!(!plan("-avHo --no-owner -v").owner);
        assert!(plan("--no-D -a").devices);
        assert!(!plan("-a --no-D").specials);
        assert_eq!(plan("-xx --no-x -x").one_file_system, 1);
    }

    #[test]
    fn options_and_operands_mix_and_two_dashes_end_the_options() {
        let (t, operands) = typed("a -r b --times -- -c --no-t").unwrap();
        assert!(t.plan.times && !t.plan.checksum);
        assert_eq!(operands, ["a", "b", "-c", "--no-t"]);
    }

    #[test]
    fn values_follow_in_each_of_rsyncs_ways() {
        for line in ["--temp-dir=/t", "--temp-dir /t", "-T/t", "-T /t", "-T=/t", "-avT/t"] {
            assert_eq!(typed(line).unwrap().0.apply.temp_dir, Some("/t".into()), "{line}");
        }
        assert_eq!(typed("-@ -1").unwrap().0.plan.modify_window, -1);
        assert_eq!(typed("--suffix -n").unwrap().0.suffix, Some(b"-n".to_vec()));
        assert_eq!(typed("--suffix=").unwrap().0.suffix, Some(Vec::new()));
    }

    #[test]
    fn complaints_name_the_option_as_rsync_does() {
        let error = |line: &str| typed(line).unwrap_err();
        assert_eq!(error("--foo a b"), "--foo: unknown option");
        assert_eq!(error("-aY a b"), "-Y: unknown option");
        assert_eq!(error("-aHAX-x a b"), "-aHAX-x: unknown option");
        assert_eq!(error("--recurs a b"), "--recurs: unknown option");
        assert_eq!(error("--no-delete"), "--no-delete: unknown option");
        assert_eq!(error("--archive=x"), "--archive: option does not take an argument");
        assert_eq!(error("-a --suffix"), "--suffix: missing argument");
        assert_eq!(error("-af"), "--filter: missing argument");
        assert_eq!(
            error("--iconv=x a b"),
            "--iconv is not supported: names are bytes, and arrive as they are"
        );
    }

    #[test]
    fn value_is_optional_only_behind_an_equals_sign() {
        let (t, operands) = typed("--verify a b").unwrap();
        assert!(t.apply.verify);
        assert_eq!(operands, ["a", "b"]);
        assert!(!typed("--verify --no-verify").unwrap().0.apply.verify);
        assert!(!typed("--verify --verify=auto").unwrap().0.apply.verify);
        assert!(typed("--verify=so").unwrap_err().starts_with("--verify=so is invalid"));
    }

    #[test]
    fn names_that_are_not_utf8_arrive_whole() {
        let bad = OsStr::from_bytes(b"a\xff").to_owned();
        let args = [OsString::from("--suffix"), bad.clone(), bad.clone()];
        let (t, operands) = parse(&args).unwrap();
        assert_eq!(t.suffix.unwrap(), bad.as_bytes());
        assert_eq!(operands, [bad]);
    }
}
