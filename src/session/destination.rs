//! Where the transfer goes: the destination operand, made where it is missing and that is meant.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

use super::Options;
use super::selection::{Selection, strip_slashes};
use crate::event::{Note, Problem, Severity};
use crate::path::held::Budget;
use crate::path::operand::{self, Operand};
use crate::path::{Attrs, HeldDir, Name};
use crate::sys::Errno;

/// Where the transfer goes.
#[derive(Debug)]
pub struct Destination {
    /// The directory that the transfer's root is; `None` in a dry run that would have to make it.
    pub root: Option<Arc<HeldDir>>,
    /// Its attributes before the run; `None` if it was made.
    pub before: Option<Attrs>,
    /// The destination names a file: the name that the only source gets.
    pub rename: Option<Name>,
    /// What there is to tell.
    pub notes: Vec<Note>,
}

/// Resolves the destination, and makes it where it is missing and that is meant.
///
/// # Errors
///
/// The run cannot begin: the problem says why and with which status it ends.
pub fn resolve(
    options: &Options,
    dest: &OsString,
    selection: &Selection,
    budget: &Arc<Budget>,
) -> Result<Destination, Problem> {
    let typed = dest.as_bytes();
    let fail = |op, errno, severity| Problem::os(op, typed, errno).severity(severity);
    let held = |dir: crate::path::Dir| -> Result<(Arc<HeldDir>, Attrs), Problem> {
        let attrs = dir.attrs().map_err(|e| fail("stat", e, Severity::FileIo))?;
        let held = HeldDir::root(dir, budget).map_err(|e| fail("stat", e, Severity::FileIo))?;
        Ok((held, attrs))
    };
    match operand::open_dir(dest) {
        Ok(dir) => {
            let (held, attrs) = held(dir)?;
            return Ok(Destination {
                root: Some(held),
                before: Some(attrs),
                rename: None,
                notes: Vec::new(),
            });
        }
        Err(e) if matches!(e.source, Errno::ENOENT | Errno::ENOTDIR) => {}
        Err(e) => return Err(fail("open", e.source, Severity::FileSelection)),
    }
    // A name that is not a directory: a file to be written, or a directory to be made.
    let resolved = operand::resolve(dest);
    let exists = match &resolved {
        Ok(Operand { name: Some(_), .. }) => {
            resolved.as_ref().is_ok_and(|o| o.stat().is_ok_and(|st| st.is_some()))
        }
        _ => false,
    };
    let to_file = selection.single.is_some() && !typed.ends_with(b"/") && !typed.ends_with(b"/.");
    if exists && !to_file {
        let text = if selection.single.is_none() {
            "the destination must be a directory when copying more than one file"
        } else {
            "the destination is not a directory"
        };
        return Err(Problem::text("use", typed, text).severity(Severity::FileSelection));
    }
    if to_file {
        let parent_missing = |e| fail("open the parent directory of", e, Severity::FileSelection);
        let resolved = match resolved {
            Err(e) if e.source == Errno::ENOENT && options.mkpath => {
                let parent = OsStr::from_bytes(&typed[..typed.iter().rposition(|&b| b == b'/').unwrap_or(0)]);
                if !options.dry_run {
                    operand::make_dirs(parent, true)
                        .map_err(|e| Problem::os("mkdir", &e.path, e.source).severity(Severity::FileIo))?;
                }
                match operand::resolve(dest) {
                    Err(_) if options.dry_run => {
                        return Ok(Destination { root: None, before: None, rename: None, notes: Vec::new() });
                    }
                    other => other,
                }
            }
            other => other,
        };
        let Operand { dir, name } = resolved.map_err(|e| parent_missing(e.source))?;
        let dir = operand::readable(&dir).map_err(parent_missing)?;
        let (held, attrs) = held(dir)?;
        return Ok(Destination { root: Some(held), before: Some(attrs), rename: name, notes: Vec::new() });
    }
    let mut notes = Vec::new();
    let shown = strip_slashes(typed);
    if options.dry_run {
        notes.push(Note::CreatedDestination(shown, u32::from(options.mkpath)));
        return Ok(Destination { root: None, before: None, rename: None, notes });
    }
    let made = operand::make_dirs(dest, options.mkpath)
        .map_err(|e| Problem::os("mkdir", typed, e.source).severity(Severity::FileIo))?;
    notes.push(Note::CreatedDestination(shown, if options.mkpath { made } else { 0 }));
    let dir = operand::open_dir(dest).map_err(|e| fail("open", e.source, Severity::FileIo))?;
    let (root, attrs) = held(dir)?;
    // What --mkpath made counts as having been there, as with rsync.
    Ok(Destination { root: Some(root), before: options.mkpath.then_some(attrs), rename: None, notes })
}
