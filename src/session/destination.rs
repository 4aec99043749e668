//! Where a transfer goes: the destination as typed, made where that is meant, and the directories that
//! are named relative to it.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

use super::Options;
use super::selection::{Selection, strip_slashes};
use crate::event::{Note, Problem, Severity};
use crate::path::held::Budget;
use crate::path::operand::{self, Operand};
use crate::path::{Attrs, Dir, HeldDir, Kind, Name, OwnDir, PathError};
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
/// The run cannot begin, and nothing was touched: the problem says why and with which status it ends.
pub fn destination(
    options: &Options,
    dest: &OsString,
    selection: &Selection,
    budget: &Arc<Budget>,
) -> Result<Destination, Problem> {
    let held = |dir: Dir| -> Result<(Arc<HeldDir>, Attrs), Problem> {
        let fail = |e| Problem::os("stat", dest.as_bytes(), e).severity(Severity::FileIo);
        let attrs = options.plan.dest_face().of_dir(&dir);
        let attrs =
            attrs.map_err(|e| Problem::unseen("stat", dest.as_bytes(), &e).severity(Severity::FileIo))?;
        Ok((HeldDir::root(dir, budget).map_err(fail)?, attrs))
    };
    match operand::open_dir(dest) {
        Ok(dir) => {
            let (root, attrs) = held(dir)?;
            check_temp_dir(options, &base(dest, false), root.get().ok().as_ref())?;
            return Ok(Destination {
                root: Some(root),
                before: Some(attrs),
                rename: None,
                notes: Vec::new(),
            });
        }
        Err(e) if matches!(e.source, Errno::ENOENT | Errno::ENOTDIR) => {}
        Err(e) => return Err(Problem::operand(&e, Severity::FileSelection)),
    }
    // A name that is not a directory: a file to be written, or a directory to be made.
    let typed = dest.as_bytes();
    let to_file = selection.single.is_some() && !typed.ends_with(b"/") && !typed.ends_with(b"/.");
    if to_file {
        let Some(Operand { dir, name }) = beside_file(options, dest)? else {
            return Ok(Destination { root: None, before: None, rename: None, notes: Vec::new() });
        };
        let unreadable =
            |e| Problem::os("open the parent directory of", typed, e).severity(Severity::FileSelection);
        let (root, attrs) = held(operand::readable(&dir).map_err(unreadable)?)?;
        return Ok(Destination { root: Some(root), before: Some(attrs), rename: name, notes: Vec::new() });
    }
    check_temp_dir(options, &base(dest, false), None)?;
    let there = operand::resolve(dest).ok().and_then(|at| at.stat().ok().flatten());
    // A directory now: somebody has made it between the two looks.
    if there.is_some_and(|there| !matches!(there.kind, Kind::Symlink | Kind::Dir)) {
        let text = if selection.single.is_none() {
            "the destination must be a directory when copying more than one file"
        } else {
            "the destination is not a directory"
        };
        return Err(Problem::text("use", typed, text).severity(Severity::FileSelection));
    }
    let missing = operand::missing_dirs(dest).map_err(|e| match e.source {
        // There is something, and it is no directory: nothing was to be made.
        Errno::ENOTDIR if !options.mkpath => Problem::operand(&e, Severity::FileSelection),
        _ => not_made(&e),
    })?;
    if missing > 1 && !options.mkpath {
        let e = PathError { op: "mkdir", path: typed.to_vec(), source: Errno::ENOENT };
        return Err(not_made(&e).hint("make the directories above it first, or say --mkpath"));
    }
    let told = if options.mkpath { missing } else { 0 };
    let notes = vec![Note::CreatedDestination(typed.to_vec(), told)];
    if options.dry_run {
        return Ok(Destination { root: None, before: None, rename: None, notes });
    }
    operand::make_dirs(dest).map_err(|e| not_made(&e))?;
    let made = operand::open_dir(dest).map_err(|e| Problem::operand(&e, Severity::FileIo))?;
    let (root, attrs) = held(made)?;
    // What --mkpath made counts as having been there, as with rsync.
    Ok(Destination { root: Some(root), before: options.mkpath.then_some(attrs), rename: None, notes })
}

/// The directory that the file `dest` is to be in, and its name there; `None` in a dry run that would
/// have to make the directory.
fn beside_file(options: &Options, dest: &OsStr) -> Result<Option<Operand>, Problem> {
    let parent = OsStr::from_bytes(parent(dest));
    let mut resolved = operand::resolve(dest);
    let there = resolved.as_ref().ok().and_then(|at| operand::readable(&at.dir).ok()).map(Arc::new);
    check_temp_dir(options, &base(dest, true), there.as_ref())?;
    if options.mkpath && resolved.as_ref().is_err_and(|e| e.source == Errno::ENOENT) {
        if options.dry_run {
            return operand::missing_dirs(parent).map(|_| None).map_err(|e| not_made(&e));
        }
        operand::make_dirs(parent).map_err(|e| not_made(&e))?;
        resolved = operand::resolve(dest);
    }
    resolved.map(Some).map_err(|e| {
        let problem = Problem::operand(&e, Severity::FileSelection);
        if e.source == Errno::ENOENT {
            problem.hint("make its directory first, or say --mkpath")
        } else {
            problem
        }
    })
}

fn not_made(e: &PathError) -> Problem {
    if e.source == Errno::EEXIST {
        let text = "a symbolic link of that name leads nowhere, and is not followed";
        return Problem::text(e.op, &e.path, text)
            .severity(Severity::FileIo)
            .hint("make the directory that it leads to, or remove it");
    }
    Problem::operand(e, Severity::FileIo)
}

/// Refuses a `--temp-dir` that is none, before the destination is made.
fn check_temp_dir(options: &Options, base: &[u8], root: Option<&Arc<Dir>>) -> Result<(), Problem> {
    let Some(typed) = &options.apply.temp_dir else { return Ok(()) };
    match OwnDir::new(typed, base, root).open() {
        Ok(_) => Ok(()),
        Err(e) => {
            let hint = "make it first, or leave the option out: files are then made beside their targets";
            let problem = Problem::operand(&PathError { op: "use --temp-dir", ..e }, Severity::Syntax);
            Err(if problem.hint.is_none() { problem.hint(hint) } else { problem })
        }
    }
}

/// What is typed for the directory that the destination is, or that it is in where it is a file: relative
/// directories of options are below it.
#[must_use]
pub fn base(dest: &OsStr, to_file: bool) -> Vec<u8> {
    if to_file { parent(dest).to_vec() } else { strip_slashes(dest.as_bytes()) }
}

/// What is typed in front of the last component; empty if nothing is.
fn parent(path: &OsStr) -> &[u8] {
    let path = path.as_bytes();
    match path.iter().rposition(|&b| b == b'/') {
        Some(0) => b"/",
        Some(at) => &path[..at],
        None => b"",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_of_options_are_below_the_destination_or_beside_the_file() {
        let of = |dest: &str, to_file| String::from_utf8(base(OsStr::new(dest), to_file)).unwrap();
        assert_eq!(of("d/e/", false), "d/e");
        assert_eq!(of("d/file", true), "d");
        assert_eq!(of("file", true), "");
        assert_eq!(of("/", false), "/");
        assert_eq!(of("/file", true), "/");
    }
}
