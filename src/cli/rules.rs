//! Filter rules and `--chmod` as typed → the plan's values. The only place that calls their parsers.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use super::UsageError;
use super::resolve::World;
use super::typed::{RuleArg, Typed};
use crate::apply::holding::HOLDING;
use crate::path::escape;
use crate::plan::chmod;
use crate::plan::filter::{FilterError, Rules, RulesBuilder};

/// The exit status for a file of rules that cannot be read.
const FILE_IO: u8 = 11;

/// The rules of a run, in the order of typing; those of `-C`, and the ones for backups, for partial files and for what
/// waits in its holding directory, last.
///
/// `protect` is the suffix of backups that `--delete` is to leave alone, `partial` the directory of partial files.
///
/// # Errors
///
/// A rule is none (exit 1); a file of rules cannot be read (exit 11).
pub fn filter(
    typed: &Typed,
    protect: Option<&[u8]>,
    partial: Option<&OsStr>,
    world: &World<'_>,
) -> Result<Rules, UsageError> {
    let mut builder = RulesBuilder::new();
    let mut from0 = false;
    let mut merge = |file: &[u8]| {
        (world.read)(OsStr::from_bytes(file)).map_err(|e| cannot_open(OsStr::from_bytes(file), &e))
    };
    for rule in &typed.rules {
        match rule {
            RuleArg::From0(on) => {
                from0 = *on;
                builder.from0(*on);
            }
            RuleArg::Filter(rule) => builder.filter(rule, &mut merge).map_err(refused)?,
            RuleArg::PerDir(times) => builder.per_dir_filter(*times),
            RuleArg::Gitignore => builder.gitignore(),
            RuleArg::Exclude(pattern) => builder.exclude(pattern).map_err(refused)?,
            RuleArg::Include(pattern) => builder.include(pattern).map_err(refused)?,
            RuleArg::ExcludeFrom(file) => {
                builder.exclude_from(file.as_bytes(), &read(file, world)?, from0).map_err(refused)?;
            }
            RuleArg::IncludeFrom(file) => {
                builder.include_from(file.as_bytes(), &read(file, world)?, from0).map_err(refused)?;
            }
        }
    }
    if typed.old_dirs {
        builder.exclude(b"/*/*").map_err(refused)?;
    }
    if typed.apply.delay_updates {
        builder.filter(&[b"-p ", HOLDING, b"/"].concat(), &mut merge).map_err(refused)?;
    }
    if let Some(suffix) = protect {
        builder.filter(&[b"P *", suffix].concat(), &mut merge).map_err(refused)?;
    }
    // An absolute one is reserved for that, wherever it is.
    if let Some(dir) = partial.filter(|dir| !dir.as_bytes().starts_with(b"/")) {
        let rule = [b"-p ", &literal(dir.as_bytes())[..], b"/"].concat();
        builder.filter(&rule, &mut merge).map_err(refused)?;
    }
    if typed.cvs_exclude {
        builder.cvs(home_cvsignore(world), variable(world));
    } else if !typed.rules.is_empty() {
        // A rule, perhaps in a file that is yet to be found, may ask for them with the modifier C.
        builder.cvs_sources(home_cvsignore(world), variable(world));
    }
    Ok(builder.build(typed.plan.delete_excluded))
}

/// A pattern that matches this name and no other.
fn literal(name: &[u8]) -> Vec<u8> {
    // A backslash is one unless the pattern has wildcards.
    if !name.iter().any(|b| b"*?[".contains(b)) {
        return name.to_vec();
    }
    let escaped = |b: &u8| if b"*?[\\".contains(b) { vec![b'\\', *b] } else { vec![*b] };
    name.iter().flat_map(escaped).collect()
}

/// What `~/.cvsignore` holds; nothing if it is not there.
fn home_cvsignore(world: &World<'_>) -> Option<Vec<u8>> {
    let mut path = (world.variable)("HOME")?;
    path.push("/.cvsignore");
    (world.read)(&path).ok()
}

fn variable(world: &World<'_>) -> Option<Vec<u8>> {
    (world.variable)("CVSIGNORE").map(OsString::into_vec)
}

fn read(file: &OsString, world: &World<'_>) -> Result<Vec<u8>, UsageError> {
    (world.read)(file).map_err(|e| UsageError { message: cannot_open(file, &e), status: FILE_IO })
}

fn cannot_open(file: &OsStr, error: &std::io::Error) -> String {
    format!("open \"{}\": {error}", escape(file.as_bytes()))
}

fn refused(error: FilterError) -> UsageError {
    match error {
        FilterError::Syntax(message) => UsageError::new(message),
        FilterError::File(message) => UsageError { message, status: FILE_IO },
    }
}

/// The changes of every `--chmod`, in order.
///
/// # Errors
///
/// One of them is none: exit 1.
pub fn chmod(typed: &[Vec<u8>]) -> Result<Vec<chmod::Rule>, UsageError> {
    let mut rules = Vec::new();
    for text in typed {
        let parsed = chmod::parse(text)
            .map_err(|_| UsageError::new(format!("--chmod={} is invalid", escape(text))))?;
        rules.extend(parsed);
    }
    Ok(rules)
}
