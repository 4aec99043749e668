//! `--delay-updates`: a file that has been transferred waits in `.~tmp~` beside its target, and gets its name
//! when all others have been transferred too.
//!
//! What is in there is complete and has its attributes. A run that is stopped takes away what it put there (to
//! `--partial-dir`, if there is one); what a killed one left is replaced by the next run that updates the same file.

use std::sync::Arc;

use super::file::Place;
use super::{Applier, Failure, Remarks};
use crate::event::Problem;
use crate::path::{Dir, Kind, Name, RelPath};
use crate::sys::Errno;

/// The directory's name, as rsync has it.
pub const HOLDING: &[u8] = b".~tmp~";

fn holding_name() -> Result<Name, Errno> {
    Name::parse(HOLDING).map_err(|_| Errno::EINVAL)
}

impl Applier<'_> {
    /// The directory in which the entry waits; made, for its owner only, where it is missing. What else has its
    /// name is removed: it is nobody's.
    ///
    /// # Errors
    ///
    /// It cannot be had: the entry stays as it was.
    pub(super) fn holding(&self, place: &Place<'_>) -> Result<Arc<Dir>, Failure> {
        let fail = |e| self.dest_failure("make the holding directory of", place.path, e);
        let name = holding_name().map_err(fail)?;
        let path = beside(place.path, &name);
        if self.cx.veiled(&path, true) {
            let text = "the daemon's configuration does not allow the name of the holding directory";
            return Err(Problem::text("write", &self.cx.dest_typed(&path), text).into());
        }
        let there = place.to.stat_if_any(&name).map_err(fail)?;
        if there.is_some_and(|there| there.kind != Kind::Dir) {
            place.to.remove(&name).map_err(fail)?;
        }
        match place.to.make_dir(&name) {
            // It is there, or another worker was faster.
            Ok(()) | Err(Errno::EEXIST) => {}
            Err(e) => return Err(fail(e)),
        }
        place.to.child(&name).map(Arc::new).map_err(fail)
    }

    /// Gives an entry that waited its name.
    ///
    /// # Errors
    ///
    /// What had the name has it still; what waited is gone.
    pub fn let_go(&self, place: &Place<'_>, remarks: &mut Remarks) -> Result<(), Failure> {
        let name = place.entry.target();
        let fail = |e| self.dest_failure("rename to", place.path, e);
        let holding = holding_name().and_then(|holding| place.to.child(&holding)).map_err(fail)?;
        let done = self.back_up_replaced(place, remarks);
        let done = done.and_then(|()| holding.rename(name, place.to, name).map_err(fail));
        if done.is_err() {
            // The reason is on its way already.
            let _unheard = holding.remove(name);
        }
        done
    }

    /// Takes away an entry that waits in vain: to `--partial-dir`, if there is one.
    pub fn drop_held(&self, place: &Place<'_>) {
        let Ok(holding) = holding_name().and_then(|holding| place.to.child(&holding)) else { return };
        if !self.keep_held(&holding, place) {
            // What cannot be removed is replaced by the next run.
            let _unheard = holding.remove(place.entry.target());
        }
    }

    /// Removes the holding directory in `dir`, if nothing waits in it any more.
    pub fn remove_holding(&self, dir: &Dir) {
        // Where something is left in it, it stays, as with rsync.
        let _unheard = holding_name().and_then(|holding| dir.remove_dir(&holding));
    }
}

fn beside(path: &RelPath, name: &Name) -> RelPath {
    let names: Vec<Name> = path.components().collect();
    RelPath::from_names(names.iter().take(names.len().saturating_sub(1)).chain([name]))
}
