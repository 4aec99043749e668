//! What the destination has and the source does not: candidates for deletion.

use std::collections::HashSet;

use super::Context;
use super::entry::order;
use super::filter::Scope;
use crate::event::Note;
use crate::path::{Dir, Kind, Name, RelPath};
use crate::sys::Errno;

/// One destination entry that no source has.
#[derive(Clone, Debug)]
pub struct Surplus {
    /// Its name.
    pub name: Name,
    /// What it is.
    pub kind: Kind,
}

/// Why the rules in `scope` protect the entry `path`, if they do.
#[must_use]
pub fn protected(path: &RelPath, kind: Kind, scope: &Scope) -> Option<Note> {
    let verdict = scope.check(path.as_bytes(), kind == Kind::Dir);
    let rule = || verdict.rule.map(<[u8]>::to_vec).unwrap_or_default();
    (!verdict.allowed).then(|| Note::Protected(path.clone(), kind == Kind::Dir, rule()))
}

/// Lists what of `dest`, which is `path` in the transfer, is not in `known` and not protected, in the
/// order in which it is deleted: directories first, last names first. With `-x` that is nothing where another
/// filesystem than that of the destination's root is mounted, nor its mount point.
///
/// # Errors
///
/// The destination directory could not be read completely; nothing in it is deleted.
pub fn find(
    cx: &Context<'_>,
    dest: &Dir,
    path: &RelPath,
    known: &HashSet<&[u8]>,
    scope: Option<&Scope>,
    notes: &mut Vec<Note>,
) -> Result<Vec<Surplus>, Errno> {
    let fenced = cx.options.one_file_system > 0;
    if fenced && cx.is_mounted_below(dest.attrs()?.dev) {
        return Ok(Vec::new());
    }
    let mut surplus = Vec::new();
    dest.list(|name, kind| {
        if !known.contains(name.as_bytes()) {
            surplus.push((name, kind));
        }
    })?;
    let mut found = Vec::with_capacity(surplus.len());
    for (name, kind) in surplus {
        let kind = match kind {
            Some(kind) => kind,
            None => match dest.stat_if_any(&name)? {
                Some(attrs) => attrs.kind,
                None => continue,
            },
        };
        let kind = match kind {
            // For the figures; one that says nothing sensible counts as what it is.
            Kind::File if !cx.dest_face().is_real() => {
                cx.dest_face().stat(dest, &name).map_or(kind, |attrs| attrs.kind)
            }
            kind => kind,
        };
        if kind == Kind::Dir && (fenced || !cx.source_parents.is_empty()) {
            let attrs = dest.stat(&name)?;
            if cx.is_mounted_below(attrs.dev) {
                notes.push(Note::MountPointKept(path.join(&name)));
                continue;
            }
            // A source inside the destination would delete itself.
            if cx.source_parents.contains(&(attrs.dev, attrs.ino)) {
                notes.push(Note::Protected(path.join(&name), true, b"it holds a source".to_vec()));
                continue;
            }
        }
        if cx.veiled(&path.join(&name), kind == Kind::Dir)
            || cx.veil.as_ref().is_some_and(|veil| veil.hides_unread(dest, &name, kind, false))
        {
            continue;
        }
        if let Some(note) = scope.and_then(|scope| protected(&path.join(&name), kind, scope)) {
            notes.push(note);
            continue;
        }
        found.push(Surplus { name, kind });
    }
    found.sort_by(|a, b| order(&b.name, b.kind, &a.name, a.kind));
    Ok(found)
}
