//! One option: names, value, text, effect; and the small language in which [`super::flags`] lists them.

use std::ffi::OsStr;

use super::typed::Typed;

/// One option.
#[derive(Clone, Copy)]
pub struct Flag {
    /// The letter behind one dash.
    pub short: Option<char>,
    /// The word behind two dashes. An option has a letter, a word or both.
    pub long: Option<&'static str>,
    /// Other words for it that rsync takes, and this does.
    pub aliases: &'static [&'static str],
    /// What it takes, if anything.
    pub value: Option<Value>,
    /// Which of `--x` and `--no-x` exist, and which of them is shown.
    pub sign: Sign,
    /// What it does, in a line.
    pub help: &'static str,
    /// What else there is to say, for the manual page.
    pub more: &'static str,
    /// What it does to what was typed so far.
    pub effect: Effect,
}

/// Which forms of an option exist.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sign {
    /// Only `--x`.
    Plain,
    /// `--x`, and `--no-x` takes it back.
    Negatable,
    /// `--no-x` is the one that people type; `--x` takes it back.
    Negative,
}

/// What an option takes.
#[derive(Clone, Copy)]
pub struct Value {
    /// Its name in the texts.
    pub name: &'static str,
    /// What it is, for completion.
    pub hint: Hint,
    /// What the option means without a value; with it, a value must follow an `=`.
    pub missing: Option<&'static str>,
    /// The value that `--no-x` stands for.
    pub off: &'static str,
}

/// What a value is.
#[derive(Clone, Copy)]
pub enum Hint {
    /// Anything.
    Any,
    /// A file's name.
    File,
    /// A directory's name.
    Dir,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// One of these words, then `_` and something of the user's own.
    BeginsWith(&'static [&'static str]),
    /// Some of these words, with commas between them.
    SomeOf(fn() -> Vec<&'static str>),
}

/// What an option does.
#[derive(Clone, Copy)]
pub enum Effect {
    /// Turns something on, or with `--no-` off.
    Switch(fn(&mut Typed, bool)),
    /// Takes its value; an error is the message.
    Take(fn(&mut Typed, &OsStr) -> Result<(), String>),
    /// Nothing, on one machine.
    Nothing,
}

/// Options that belong together.
pub struct Section {
    /// Their heading.
    pub title: &'static str,
    /// They, in the order in which they are shown.
    pub flags: &'static [Flag],
}

impl Flag {
    /// The name by which the parser knows it.
    #[must_use]
    pub fn id(&self) -> String {
        self.long.map_or_else(|| self.short.unwrap_or_default().to_string(), str::to_owned)
    }

    /// Every word behind `--` that turns it on.
    pub fn words(&self) -> impl Iterator<Item = &'static str> {
        self.long.into_iter().chain(self.aliases.iter().copied())
    }

    /// Every word behind `--` that turns it off: `no-` before the words and before the letter.
    #[must_use]
    pub fn negative_words(&self) -> Vec<String> {
        if self.sign == Sign::Plain {
            return Vec::new();
        }
        self.words().map(|word| format!("no-{word}")).chain(self.short.map(|c| format!("no-{c}"))).collect()
    }

    pub(super) const fn no(mut self) -> Flag {
        self.sign = Sign::Negatable;
        self
    }

    /// Like [`Flag::no`], for an option with a value: `--no-x` is `--x=off`.
    pub(super) const fn no_is(mut self, off: &'static str) -> Flag {
        if let Some(value) = &mut self.value {
            value.off = off;
        }
        self.no()
    }

    pub(super) const fn only_no(mut self) -> Flag {
        self.sign = Sign::Negative;
        self
    }

    pub(super) const fn or(mut self, aliases: &'static [&'static str]) -> Flag {
        self.aliases = aliases;
        self
    }

    pub(super) const fn help(mut self, text: &'static str) -> Flag {
        self.help = text;
        self
    }

    pub(super) const fn more(mut self, text: &'static str) -> Flag {
        self.more = text;
        self
    }

    pub(super) const fn hint(mut self, hint: Hint) -> Flag {
        if let Some(value) = &mut self.value {
            value.hint = hint;
        }
        self
    }

    pub(super) const fn missing(mut self, text: &'static str) -> Flag {
        if let Some(value) = &mut self.value {
            value.missing = Some(text);
        }
        self
    }
}

/// An option without a value. `' '` is no letter, `""` no word.
pub(super) const fn switch(short: char, long: &'static str, effect: fn(&mut Typed, bool)) -> Flag {
    flag(short, long, None, Effect::Switch(effect))
}

/// An option with a value.
pub(super) const fn take(
    short: char,
    long: &'static str,
    value: &'static str,
    effect: fn(&mut Typed, &OsStr) -> Result<(), String>,
) -> Flag {
    let value = Value { name: value, hint: Hint::Any, missing: None, off: "" };
    flag(short, long, Some(value), Effect::Take(effect))
}

/// An option that means nothing on one machine. `value` is `""` for one that takes none.
pub(super) const fn nothing(short: char, long: &'static str, value: &'static str) -> Flag {
    let value = match value.as_bytes() {
        b"" => None,
        _ => Some(Value { name: value, hint: Hint::Any, missing: None, off: "" }),
    };
    flag(short, long, value, Effect::Nothing)
}

const fn flag(short: char, long: &'static str, value: Option<Value>, effect: Effect) -> Flag {
    Flag {
        short: if short == ' ' { None } else { Some(short) },
        long: if long.is_empty() { None } else { Some(long) },
        aliases: &[],
        value,
        sign: Sign::Plain,
        help: "",
        more: "",
        effect,
    }
}
