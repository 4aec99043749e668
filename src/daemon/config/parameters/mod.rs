//! Every parameter once: its name, what its value does, its default, its text.
//!
//! The reader and the manual page are made of [`all`]. Text: `` `bold` `` between backticks,
//! `_italic_`, paragraphs apart by an empty line.

mod foreign;
mod global;
mod module;

use super::settings::{Globals, Settings};
use super::value::Value;

/// One parameter.
pub struct Parameter {
    /// Its name, as it is usually written.
    pub name: &'static str,
    /// What stands in its place, for the manual page; empty if that takes no word.
    pub default: &'static str,
    /// What it means, for the manual page.
    pub text: &'static str,
    /// What it does.
    pub set: Set,
}

/// What a parameter does; an error is the message.
#[derive(Clone, Copy)]
pub enum Set {
    /// Something of one module, or of all that follow.
    Module(fn(&mut Settings, &Value<'_>) -> Result<(), String>),
    /// Something of the whole daemon.
    Global(fn(&mut Globals, &Value<'_>) -> Result<(), String>),
    /// Nothing: what it turns on or off does not exist here, and nobody is worse off.
    NoEffect,
    /// Nothing if it is `no`; otherwise refused, for this reason.
    OnlyOff(&'static str),
    /// Refused, for this reason.
    Refused(&'static str),
}

const fn global(
    name: &'static str,
    default: &'static str,
    set: fn(&mut Globals, &Value<'_>) -> Result<(), String>,
    text: &'static str,
) -> Parameter {
    Parameter { name, default, text, set: Set::Global(set) }
}

const fn module(
    name: &'static str,
    default: &'static str,
    set: fn(&mut Settings, &Value<'_>) -> Result<(), String>,
    text: &'static str,
) -> Parameter {
    Parameter { name, default, text, set: Set::Module(set) }
}

const fn other(name: &'static str, set: Set, text: &'static str) -> Parameter {
    Parameter { name, default: "", text, set }
}

/// All of rsyncd.conf(5), in the order of the manual page.
pub fn all() -> impl Iterator<Item = &'static Parameter> {
    [global::ALL, module::ALL, foreign::ALL].into_iter().flatten()
}
