//! The basis directories of a run: opened (relative ones are below the destination), and used by the workers.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

use super::Options;
use super::destination::{self, Destination};
use super::outcome::Outcome;
use super::worker::{LINKED, Shared};
use crate::apply::file::Place;
use crate::apply::{Failure, Remarks, is_out_of_space};
use crate::event::{Change, Note, Update};
use crate::path::held::Budget;
use crate::path::own::{path_of, straightened};
use crate::path::{Dir, HeldDir, Kind, OwnDir, PathError, bounds, operand};
use crate::plan::basis::Root;
use crate::plan::compare::{self, Decision};
use crate::plan::visit::Planned;

/// Opens those that can be; the others are told of, and the run goes on without them.
pub(super) fn open(
    options: &Options,
    destination: &Destination,
    budget: &Arc<Budget>,
) -> (Vec<Root>, Vec<Note>) {
    let bases = &options.plan.bases;
    let dest = options.dest.as_deref().unwrap_or_default();
    let base = destination::base(dest, destination.rename.is_some());
    let below = destination.root.as_ref().and_then(|held| held.get().ok());
    let (mut roots, mut notes) = (Vec::new(), Vec::new());
    for typed in &bases.dirs {
        let typed = &options.own_dir(typed, &base);
        // A dry run has not made the destination that the path begins in.
        let missing = below.is_none();
        let unusable = |e: PathError| {
            let shown = path_of(typed, &base).as_bytes().to_vec();
            Note::UnusableBasis(bases.how.option().into(), shown, e.source)
        };
        let held = |dir: Dir| HeldDir::root(dir, budget);
        let opened = match missing {
            true => {
                let path = without_missing(typed, &base);
                let bounded = |dir: Dir| match bounds::check(&dir) {
                    Ok(()) => Ok(dir),
                    Err(source) => Err(PathError { op: "open", path: path.as_bytes().to_vec(), source }),
                };
                operand::open_dir(&path).and_then(bounded)
            }
            false => OwnDir::new(typed, &base, below.as_ref()).open(),
        };
        match opened.map(held) {
            Ok(Ok(held)) => {
                let module = options.module.as_ref();
                let veil = module.and_then(|module| module.veil_of(&path_of(typed, &base)));
                roots.push(Root { held, veil });
            }
            Ok(Err(source)) => notes.push(unusable(PathError { op: "stat", path: Vec::new(), source })),
            Err(e) => notes.push(unusable(e)),
        }
    }
    (roots, notes)
}

impl Shared<'_> {
    /// Makes an entry of what a basis directory has: a link of it, or where that cannot be, a copy. What is
    /// not as it was found any more is of no use, and the entry is transferred as if nothing had been found.
    pub(super) fn take_basis(
        &self,
        planned: &Planned,
        place: &Place<'_>,
        outcome: &mut Outcome,
        remarks: &mut Remarks,
    ) -> Result<(u64, u64), Failure> {
        let Some(found) = &planned.basis else { return Err(Failure::Stopped) };
        let hopeless = |failure: &Failure| match failure {
            Failure::Stopped => true,
            Failure::Problem(problem) => is_out_of_space(problem),
        };
        let kind = planned.entry.attrs.kind;
        let mut change = Change { update: Update::Created, ..Change::NONE };
        match &planned.decision {
            Decision::Copy(planned) => change = *planned,
            _ => match self.applier.link_basis(place, found, remarks) {
                Ok(inode) => {
                    outcome.change = LINKED;
                    return Ok(inode);
                }
                Err(failure) if hopeless(&failure) => return Err(failure),
                Err(_) if kind == Kind::File => {
                    compare::renewed(self.applier.cx.options, kind, &mut change);
                }
                Err(_) => {
                    outcome.change = change;
                    let attached = place.ready(remarks)?;
                    let (to, entry, dest) = (place.to, place.entry, place.dest);
                    return self.applier.make_node(to, entry, dest, &attached, place.path, remarks);
                }
            },
        }
        match self.applier.copy_basis(place, found, remarks) {
            Ok(done) => {
                if self.fetch.is_none() && matches!(planned.decision, Decision::Copy(_)) {
                    self.meter_unmoved(place, done.moved);
                }
                (outcome.change, outcome.digest) = (change, done.digest);
                Ok(done.inode)
            }
            Err(failure) if hopeless(&failure) => Err(failure),
            Err(_) => {
                let new = place.dest.is_none_or(|dest| dest.kind != kind);
                let change = Change { update: Update::Received, new, ..Change::NONE };
                self.transfer(place, change, None, outcome, remarks)
            }
        }
    }
}

/// The path typed as `typed` below the directory `base`, which does not exist: `..` at its beginning leads
/// out of that again.
fn without_missing(typed: &OsStr, base: &[u8]) -> OsString {
    if typed.as_bytes().first() == Some(&b'/') {
        return typed.to_owned();
    }
    straightened(&path_of(typed, base))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn out_of_a_destination_that_is_missing_leads_the_way_that_was_typed() {
        let of = |typed: &str, base: &str| without_missing(OsStr::new(typed), base.as_bytes());
        assert_eq!(of("../prev", "dst"), "./prev");
        assert_eq!(of("../prev", "/b/dst"), "/b/prev");
        assert_eq!(of("../../prev", "b/dst"), "./prev");
        assert_eq!(of("../../prev", "dst"), "./../prev");
        assert_eq!(of("/prev", "dst"), "/prev");
        assert_eq!(of("sub", "dst"), "./dst/sub");
    }
}
