//! From files to [`Config`]: sections, inherited defaults, `&include` and `&merge`.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

use super::parameters::{Set, all};
use super::syntax::{Line, Place, lines};
use super::value::Value;
use super::{Config, ConfigError, Environment, Globals, Module, Settings};
use crate::path::{Kind, escape, operand};

/// The largest configuration file, in bytes. A guess: some ten thousand modules.
const FILE_LIMIT: usize = 8 << 20;

/// How deep files may include files; deeper is a loop.
const MAX_DEPTH: usize = 16;

/// Reads the file at `path` and whatever it includes; `overrides` stand at the end of its global section, before the
/// first module.
pub fn read(
    path: &OsStr,
    environment: Environment<'_>,
    overrides: &[OsString],
) -> Result<Config, ConfigError> {
    let mut reader = Reader {
        environment,
        overrides,
        overridden: false,
        globals: Globals::default(),
        modules: Vec::new(),
        defaults: Settings::default(),
        section: Section::Global,
        included: 0,
    };
    let text = contents(path).map_err(ConfigError::plain)?;
    reader.file(path, &text, 0)?;
    reader.override_globals()?;
    let Reader { globals, defaults, modules, .. } = reader;
    Ok(Config { globals, defaults, modules })
}

/// What a parameter belongs to.
#[derive(Clone, Copy, PartialEq)]
enum Section {
    Global,
    /// The module of that index.
    Module(usize),
    /// Behind an `&include` in a module, where it would not be clear.
    Unclear,
}

struct Reader<'a> {
    environment: Environment<'a>,
    /// `NAME=VALUE`, from the command line.
    overrides: &'a [OsString],
    /// They have taken their place.
    overridden: bool,
    globals: Globals,
    modules: Vec<Module>,
    /// What the next module begins with.
    defaults: Settings,
    section: Section,
    /// How many `&include` (not `&merge`) lie around the line.
    included: usize,
}

impl Reader<'_> {
    fn file(&mut self, path: &OsStr, text: &[u8], depth: usize) -> Result<(), ConfigError> {
        // Of this file's current section: a slip of the pen, where the second would silently win.
        let mut seen = HashSet::new();
        for (place, line) in lines(&Arc::from(escape(path.as_bytes())), text)? {
            match line {
                Line::Section(name) => {
                    seen.clear();
                    self.enter(name)?;
                }
                Line::Parameter(name, value) => {
                    let set = self.parameter(&name, &value);
                    set.map_err(|why| ConfigError::at(&place, why))?;
                    if !seen.insert(name.clone()) {
                        return Err(ConfigError::at(&place, format!("`{name}` is there twice")));
                    }
                }
                Line::Include(path) => self.include(&place, &path, depth)?,
                Line::Merge(path) => {
                    for (path, text) in files(&path, ".inc").map_err(|why| ConfigError::at(&place, why))? {
                        self.deeper(&place, &path, &text, depth)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn deeper(&mut self, at: &Place, path: &[u8], text: &[u8], depth: usize) -> Result<(), ConfigError> {
        if depth + 1 >= MAX_DEPTH {
            return Err(ConfigError::at(at, format!("files include each other more than {MAX_DEPTH} deep")));
        }
        self.file(OsStr::from_bytes(path), text, depth + 1)
    }

    /// Each file begins with the defaults of this place, and leaves them as they were.
    fn include(&mut self, at: &Place, path: &[u8], depth: usize) -> Result<(), ConfigError> {
        let (defaults, overridden) = (self.defaults.clone(), self.overridden);
        let behind = if self.section == Section::Global { Section::Global } else { Section::Unclear };
        self.included += 1;
        for (path, text) in files(path, ".conf").map_err(|why| ConfigError::at(at, why))? {
            self.section = Section::Global;
            self.deeper(at, &path, &text, depth)?;
            self.defaults = defaults.clone();
            // What came before the first module of all holds for those of the next files too.
            self.overridden = overridden;
            if !self.modules.is_empty() {
                self.override_globals()?;
            }
        }
        self.included -= 1;
        self.section = behind;
        Ok(())
    }

    /// A module that was there before goes on.
    fn enter(&mut self, name: Vec<u8>) -> Result<(), ConfigError> {
        if name.eq_ignore_ascii_case(b"global") {
            self.section = Section::Global;
            return Ok(());
        }
        self.override_globals()?;
        let at = self.modules.iter().position(|module| module.name == name).unwrap_or_else(|| {
            self.modules.push(Module { name, settings: self.defaults.clone() });
            self.modules.len() - 1
        });
        self.section = Section::Module(at);
        Ok(())
    }

    /// Sets what the command line says, unless that has been done.
    fn override_globals(&mut self) -> Result<(), ConfigError> {
        if std::mem::replace(&mut self.overridden, true) {
            return Ok(());
        }
        let (section, included) = (self.section, self.included);
        (self.section, self.included) = (Section::Global, 0);
        for (number, text) in self.overrides.iter().enumerate() {
            let place = Place { file: Arc::from("--dparam"), line: number + 1 };
            match &lines(&place.file, text.as_bytes())?[..] {
                [(_, Line::Parameter(name, value))] => {
                    self.parameter(name, value).map_err(|why| ConfigError::at(&place, why))?;
                }
                _ => {
                    let why = format!("\"{}\" is not NAME=VALUE", escape(text.as_bytes()));
                    return Err(ConfigError::at(&place, why));
                }
            }
        }
        (self.section, self.included) = (section, included);
        Ok(())
    }

    fn parameter(&mut self, name: &str, value: &[u8]) -> Result<(), String> {
        let found = all().find(|p| p.name.bytes().filter(|b| *b != b' ').eq(name.bytes()));
        let parameter = found.ok_or_else(|| format!("unknown parameter `{}`", escape(name.as_bytes())))?;
        let explain = |why: String| format!("`{}`: {why}", parameter.name);
        let value = Value { raw: value, environment: self.environment };
        let settings = match self.section {
            Section::Global => &mut self.defaults,
            Section::Module(at) => &mut self.modules[at].settings,
            Section::Unclear => {
                return Err("behind &include in a module a section has to begin: [global] or [NAME]".into());
            }
        };
        match parameter.set {
            Set::Module(set) => set(settings, &value).map_err(explain),
            Set::Global(set) if self.section == Section::Global && self.included == 0 => {
                set(&mut self.globals, &value).map_err(explain)
            }
            Set::Global(_) => {
                Err(explain("counts only before the first module of the main file, or in [global]".into()))
            }
            Set::NoEffect => Ok(()),
            Set::OnlyOff(why) => match value.boolean_or_unset().map_err(explain)? {
                Some(true) => Err(explain(why.into())),
                _ => Ok(()),
            },
            Set::Refused(why) => Err(explain(why.into())),
        }
    }
}

fn contents(path: &OsStr) -> Result<Vec<u8>, String> {
    operand::read_file(path, FILE_LIMIT).map_err(|e| e.to_string())
}

/// A file's path and what it holds.
type NamedText = (Vec<u8>, Vec<u8>);

/// The file that a directive names, or those in the directory that it names whose names end in `suffix`, in
/// alphabetical order.
fn files(path: &[u8], suffix: &str) -> Result<Vec<NamedText>, String> {
    let os = OsStr::from_bytes(path);
    let Ok(dir) = operand::open_dir(os) else {
        return Ok(vec![(path.to_vec(), contents(os)?)]);
    };
    let mut names = Vec::new();
    let fail = |e: crate::sys::Errno| format!("list \"{}\": {}", escape(path), std::io::Error::from(e));
    dir.list(|name, kind| {
        if name.as_bytes().ends_with(suffix.as_bytes()) && kind != Some(Kind::Dir) {
            names.push(name);
        }
    })
    .map_err(fail)?;
    names.sort_unstable();
    let read = |name: crate::path::Name| {
        let path = [path, b"/", name.as_bytes()].concat();
        let text = contents(OsStr::from_bytes(&path))?;
        Ok((path, text))
    };
    names.into_iter().map(read).collect()
}

#[cfg(test)]
mod tests;
