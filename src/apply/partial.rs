//! `--partial`, `--partial-dir`: what an interrupted transfer leaves, and what the next one finds.
//!
//! Without a directory it gets the file's own name, dated 1970, where nothing complete has that. In a directory
//! it is nobody's but ours (mode 0600), is gone on with where it lies ([`TempFile::adopt`]), and goes when its
//! file is complete. What is found is only ever used after it was compared with the source.

use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, PoisonError};

use super::file::{File, Kept, Place};
use super::{Applier, Failure, Remarks, Wanted};
use crate::engine::{Outcome, Source, Target};
use crate::path::dir;
use crate::path::left::set_aside;
use crate::path::temp::PRIVATE;
use crate::path::{Attrs, Dir, Kind, Name, OwnDir, RelPath, TempFile, Time};
use crate::plan::attached::Ready;
use crate::plan::veil::Veil;
use crate::sys::Errno;

/// Files below this length in bytes are sent again: the sender has them in a message of their own (a guess, as
/// there).
const RESUME_FROM: u64 = 32 << 10;

/// The time of a partial file that has its file's own name: so old that no run takes it for newer than its source.
const MARK: Time = Time { sec: 0, nsec: 0 };

/// Where partial files are kept.
#[derive(Debug)]
pub enum Partials {
    /// `--partial-dir` is relative: these names, below the directory of each file.
    Beside(Vec<Name>),
    /// It is absolute: one directory for all.
    Apart {
        /// Where.
        place: OwnDir,
        /// It, once it was needed and is there.
        held: Mutex<Option<Arc<Dir>>>,
        /// What does not exist in it for the client of a daemon.
        veil: Option<Veil>,
    },
}

/// The directory of a file's partial, where it exists.
struct Home {
    dir: Arc<Dir>,
    /// It lies in this directory under this name, and is removed when it is empty.
    removable: Option<(Arc<Dir>, Name)>,
}

impl Partials {
    /// The one at `place`, in which `veil` hides names from the client of a daemon.
    #[must_use]
    pub fn apart(place: OwnDir, veil: Option<Veil>) -> Partials {
        Partials::Apart { place, held: Mutex::default(), veil }
    }

    /// The directory for partial files of what is in `to`; with `make`, made where it is missing, but for what is
    /// above it.
    fn home(&self, to: &Arc<Dir>, make: bool) -> Result<Home, Errno> {
        match self {
            Partials::Beside(names) => {
                let mut at = Arc::clone(to);
                for (depth, name) in names.iter().enumerate() {
                    let last = depth + 1 == names.len();
                    let child = match at.child(name) {
                        Err(Errno::ENOENT) if make && last => {
                            match at.make_dir(name) {
                                // Another worker was faster: just as well.
                                Ok(()) | Err(Errno::EEXIST) => {}
                                Err(e) => return Err(e),
                            }
                            at.child(name)?
                        }
                        other => other?,
                    };
                    let child = Arc::new(child);
                    if last {
                        return Ok(Home { dir: child, removable: Some((at, name.clone())) });
                    }
                    at = child;
                }
                Err(Errno::ENOENT)
            }
            Partials::Apart { place, held, .. } => {
                let mut held = held.lock().unwrap_or_else(PoisonError::into_inner);
                let dir = match &*held {
                    Some(dir) => Arc::clone(dir),
                    None => {
                        let opened = if make { place.make_last() } else { place.open() };
                        Arc::new(opened.map_err(|e| e.source)?)
                    }
                };
                *held = Some(Arc::clone(&dir));
                Ok(Home { dir, removable: None })
            }
        }
    }

    /// Whether the partial file of the entry at `path`, which becomes `name`, does not exist for the client.
    fn hidden(&self, veil: Option<&Veil>, path: &RelPath, name: &Name) -> bool {
        match self {
            Partials::Beside(names) => veil.is_some_and(|veil| {
                let at: Vec<Name> = path.components().collect();
                let above = at.iter().take(at.len().saturating_sub(1));
                veil.hides_on_the_way(&RelPath::from_names(above.chain(names).chain([name])), false)
            }),
            Partials::Apart { veil, .. } => {
                veil.as_ref().is_some_and(|veil| veil.hides_on_the_way(&RelPath::root().join(name), false))
            }
        }
    }
}

impl Applier<'_> {
    /// `--partial-dir`, as far as it may be used for this entry.
    fn partials_for(&self, place: &Place<'_>) -> Option<&Partials> {
        let partials = self.partials?;
        let hidden = partials.hidden(self.cx.veil.as_ref(), place.path, place.entry.target());
        (!hidden).then_some(partials)
    }

    /// The temp file for an entry, with what an earlier run left of it if that can be gone on with.
    pub(super) fn temp_file(&self, place: &Place<'_>, resumes: bool) -> Result<(TempFile, Kept), Failure> {
        if resumes && let Some(found) = self.adopted(place) {
            return Ok(found);
        }
        let temp = self.new_temp_file(place)?;
        let begins = |dest: &&Attrs| {
            dest.kind == Kind::File && (RESUME_FROM..place.entry.attrs.size).contains(&dest.size)
        };
        match place.dest.filter(begins).filter(|_| resumes && self.options.partial && self.partials.is_none())
        {
            Some(dest) => self.begun_with(place, temp, dest.size),
            None => Ok((temp, Kept::Nothing)),
        }
    }

    /// What `--partial-dir` has of an entry. What cannot be had is not there.
    fn adopted(&self, place: &Place<'_>) -> Option<(TempFile, Kept)> {
        let home = self.partials_for(place)?.home(place.to, false).ok()?;
        let (temp, len) = TempFile::adopt(place.to, &home.dir, place.entry.target()).ok()??;
        if len > place.entry.attrs.size {
            // Of another version: of no use to anybody.
            temp.discard();
            home.remove_empty();
            return None;
        }
        Some((temp, Kept::Partial(len)))
    }

    /// Has `temp` begin with the `len` bytes that the destination has under the file's name (`--partial`): they may
    /// be what an earlier run left.
    fn begun_with(&self, place: &Place<'_>, temp: TempFile, len: u64) -> Result<(TempFile, Kept), Failure> {
        let copied = || {
            let there = place.to.open_file(place.entry.target()).ok()?;
            let attrs = there.attrs;
            let source =
                Source { fd: there.as_fd(), dev: attrs.dev, from: 0, len, allocated: attrs.allocated };
            let target = Target {
                fd: temp.as_fd(),
                dev: dir::attrs_of(temp.as_fd()).ok()?.dev,
                fresh: true,
                device: false,
            };
            let copied = self.engine.copy(source, target, self.pace).ok()?;
            (copied.outcome == Outcome::Complete).then_some(())
        };
        if copied().is_some() {
            return Ok((temp, Kept::Partial(len)));
        }
        // Then the file is sent whole.
        drop(temp);
        Ok((self.new_temp_file(place)?, Kept::Nothing))
    }

    /// A temp file with the permission bits that it is to end with, where those are known: as long as it has no name
    /// nobody else can open it, and they need not be set later.
    fn new_temp_file(&self, place: &Place<'_>) -> Result<TempFile, Failure> {
        let known = self.cx.options.perms && !self.stores();
        let mode = if known { place.entry.attrs.mode & 0o777 } else { PRIVATE };
        let temp = TempFile::create(self.temp_home(place), place.entry.target(), mode);
        temp.map_err(|e| self.dest_failure("make a temp file for", place.path, e))
    }

    /// Keeps what an interrupted transfer has of a file, if the options want that and it is something.
    pub(super) fn keep_partial(&self, temp: TempFile, place: &Place<'_>) {
        let Ok(now) = dir::attrs_of(temp.as_fd()) else { return };
        if !self.options.partial || now.size == 0 {
            return;
        }
        let name = place.entry.target();
        // The run ends anyway, with its own message; a partial that cannot be kept is dropped.
        if self.partials.is_some() {
            let Some(partials) = self.partials_for(place) else { return };
            if let Ok(home) = partials.home(place.to, true) {
                let _kept = temp.leave(&home.dir, name);
            }
            return;
        }
        // A complete old file is worth more than half a new one; and what has the whole length could be taken for
        // complete by a run that compares sizes, though nobody has compared what it holds.
        let worth = |dest: &Attrs| dest.kind == Kind::File && dest.mtime == MARK && dest.size < now.size;
        if place.dest.is_none_or(worth) && now.size < place.entry.attrs.size {
            let wanted = Wanted { mtime: Some(MARK), ..self.wanted(&place.entry.attrs, None, place.to) };
            let (nothing, mut unheard) = (Ready::default(), Remarks::default());
            self.set_attributes(&File(temp.as_fd()), &now, &wanted, &nothing, place.path, &mut unheard);
            let _kept = temp.commit(place.to, name, place.dest.is_some());
        }
    }

    /// Moves an entry that waited in `holding` to `--partial-dir`; returns whether it is there now.
    pub(super) fn keep_held(&self, holding: &Dir, place: &Place<'_>) -> bool {
        let Some(partials) = self.partials_for(place) else { return false };
        let home = partials.home(place.to, true);
        home.and_then(|home| set_aside(holding, &home.dir, place.entry.target())).is_ok()
    }

    /// Removes what an earlier run left in `--partial-dir` of an entry that is complete now; `adopted`: it has become
    /// the entry.
    pub(super) fn forget_partial(&self, place: &Place<'_>, adopted: bool) {
        let Some(Ok(home)) = self.partials_for(place).map(|partials| partials.home(place.to, false)) else {
            return;
        };
        let name = place.entry.target();
        // What stays is of no harm: it is compared before it is used.
        let there = home.dir.stat_if_any(name).ok().flatten();
        let removed = there.is_some_and(|there| there.kind == Kind::File && home.dir.remove(name).is_ok());
        if removed || adopted {
            home.remove_empty();
        }
    }

    /// Removes what earlier runs left in a relative `--partial-dir` in `to` of those entries, by their names there,
    /// that are as they should be. Returns whether there was anything.
    pub fn tidy_partials<'n>(
        &self,
        to: &Arc<Dir>,
        path: &RelPath,
        done: impl Iterator<Item = &'n Name>,
    ) -> bool {
        let Some(partials @ Partials::Beside(_)) = self.partials else { return false };
        let Ok(home) = partials.home(to, false) else { return false };
        let mut left = Vec::new();
        // What cannot be listed is not tidied.
        let listed = home.dir.list(|name, _| left.push(name));
        let mut tidied = false;
        for name in done.filter(|name| listed.is_ok() && left.contains(name)) {
            if !partials.hidden(self.cx.veil.as_ref(), &path.join(name), name) {
                tidied |= home.dir.remove(name).is_ok();
            }
        }
        tidied && {
            home.remove_empty();
            true
        }
    }
}

impl Home {
    /// Removes the directory where it was made for a file's sake and holds none any more.
    fn remove_empty(&self) {
        if let Some((above, name)) = &self.removable {
            // Mostly it is not empty, or another worker was faster.
            let _unheard = above.remove_dir(name);
        }
    }
}
