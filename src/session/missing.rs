//! Operands that are not there: passed over, or deleted at the destination (`--ignore-missing-args`,
//! `--delete-missing-args`).

use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

use super::consumer::Consumer;
use super::files_from::Line;
use super::selection::{Builder, names_of, split_relative};
use super::{Options, deletion::Deletions};
use crate::apply::remove::Removal;
use crate::apply::{Applier, Failure};
use crate::event::{Event, Problem, Severity};
use crate::path::{Kind, Name, RelPath};
use crate::plan::filter::{Scope, Side};
use crate::plan::source;
use crate::plan::surplus::Surplus;
use crate::sys::Errno;

impl Builder<'_> {
    /// What was named and cannot be looked at: `names` is its path in the transfer, `typed` how it was named.
    /// Returns whether that is a problem.
    pub(super) fn absent(&mut self, typed: &[u8], errno: Errno, names: &[Name]) -> bool {
        // What is to be entered has to be there.
        let passed_over = errno == Errno::ENOENT && !typed.ends_with(b"/");
        if passed_over && self.options.delete_missing {
            let path = RelPath::from_names(names.iter());
            if Scope::root(&self.options.filter, Side::Sender).check(path.as_bytes(), false).allowed {
                self.selection.missing.push(path);
            }
            match names {
                [name] => self.count(Kind::File, name),
                _ => self.others += 1,
            }
            return false;
        }
        if passed_over && self.options.ignore_missing {
            self.others += 1;
            return false;
        }
        match errno {
            Errno::ENOENT => self.failed("stat", typed, errno),
            _ => self.unusable("stat", typed, errno),
        }
        true
    }

    /// The directories on the way to something that is not there, as far as they are there.
    pub(super) fn absent_below(&mut self, dir: crate::path::Dir, prefix: Vec<u8>, names: &[Name]) {
        let Some((_, way)) = names.split_last().filter(|(_, way)| !way.is_empty()) else { return };
        let there = self.options.delete_missing && self.options.implied_dirs;
        let mut at = dir.again();
        for name in way.iter().filter(|_| there) {
            at = at.and_then(|at| at.child(name));
        }
        if there && at.is_ok() {
            self.pick(|| Ok(dir), prefix, way, false);
        }
    }
}

/// What of `missing`, which a peer has sent, this side has asked for: a peer names nothing else to be deleted.
pub(super) fn asked_for(options: &Options, missing: Vec<RelPath>) -> Vec<RelPath> {
    if !options.delete_missing {
        return Vec::new();
    }
    // A server has the paths from whoever started it.
    if options.sources.is_empty() {
        return missing;
    }
    let own: Vec<RelPath> = match &options.files_from {
        Some(list) => {
            let lines = list.iter().filter_map(|line| Line::parse(line).ok());
            lines.map(|line| RelPath::from_names(line.names.iter())).collect()
        }
        None => {
            let path = |source: &std::ffi::OsString| {
                let bytes = source.as_bytes();
                let kept = match options.relative {
                    true => split_relative(bytes).1,
                    false => bytes.rsplit(|&b| b == b'/').next().unwrap_or_default(),
                };
                names_of(kept).ok().map(|names| RelPath::from_names(names.iter()))
            };
            options.sources.iter().filter_map(path).collect()
        }
    };
    missing.into_iter().filter(|path| own.contains(path)).collect()
}

impl Consumer<'_, '_> {
    /// Deletes what was asked for and is not there, before anything else is done. A directory with something in it
    /// goes with `--force` or `--delete` only.
    pub(super) fn delete_missing(&mut self, missing: &[RelPath], rules: &Scope) -> Result<(), Failure> {
        let mut missing = missing.to_vec();
        missing.sort_by(|a, b| a.as_bytes().cmp(b.as_bytes()));
        missing.dedup();
        let applier = self.shared.applier;
        self.delete(|deletions, tell| {
            missing.iter().try_for_each(|path| one(applier, deletions, path, rules, tell))
        })
    }
}

fn one(
    applier: &Applier<'_>,
    deletions: &mut Deletions,
    path: &RelPath,
    rules: &Scope,
    tell: &mut dyn FnMut(Event),
) -> Result<(), Failure> {
    let cx = applier.cx;
    let names: Vec<Name> = path.components().collect();
    let (Some(root), Some((last, way))) = (&cx.dest_root, names.split_last()) else { return Ok(()) };
    // A single name may have another one at the destination.
    let last = cx.root_rename.as_ref().unwrap_or(last);
    let mut at = Arc::clone(root);
    let mut scope = rules.clone();
    let mut here = RelPath::root();
    for name in way {
        let Ok(child) = cx.open_dest_child(&at, name) else { return Ok(()) };
        here = here.join(name);
        scope = source::enter(&child, &here, &scope).unwrap_or(scope);
        at = child;
    }
    let path = here.join(last);
    let there = match at.get().and_then(|dir| dir.stat_if_any(last)) {
        Ok(Some(there)) => there,
        Ok(None) => return Ok(()),
        Err(e) => {
            tell(Event::Problem(Problem::os("stat", &cx.dest_typed(&path), e)));
            return Ok(());
        }
    };
    let is_dir = there.kind == Kind::Dir;
    if cx.veiled(&path, is_dir) {
        let text = "the daemon's configuration does not allow that name";
        let problem = Problem::text("delete", &cx.dest_typed(&path), text).severity(Severity::Partial);
        tell(Event::Problem(problem));
        return Ok(());
    }
    if !scope.check(path.as_bytes(), is_dir).allowed {
        return Ok(());
    }
    let force = cx.options.force || cx.options.delete != crate::plan::Delete::Off;
    let dry_run = deletions.dry_run();
    let mut removal = Removal { dry_run, contents_only: false, allowance: &mut deletions.allowance, tell };
    if is_dir && !force {
        if !removal.allowance.take() {
            return Ok(());
        }
        if applier.make_way(&at, last, &path, false, &scope, &mut removal)? {
            (removal.tell)(Event::Deleted { path, kind: Kind::Dir });
        }
        return Ok(());
    }
    applier
        .remove(&at, Surplus { name: last.clone(), kind: there.kind }, path, &scope, &mut removal)
        .map(drop)
}
