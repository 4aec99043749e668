//! `Leader`: the member of a group of hard links that is transferred, for which the others wait.

use std::sync::{Arc, Condvar, Mutex, PoisonError};

use crate::path::{HeldDir, Name, RelPath, Time};

/// What is planned for the member of a hard-link group that is transferred, as far as it concerns the others.
#[derive(Clone, Copy, Debug)]
pub struct Fate {
    /// Its inode at the destination, if the run leaves it that; with `--link-dest`, that of its basis.
    pub keeps: Option<(u64, u64)>,
    /// Its data is transferred.
    pub moves: bool,
    /// Its extended attributes are set, but not those of transferred data.
    pub xattrs: bool,
    /// When its source had been accessed, before this run read it.
    pub accessed: Time,
}

/// The member of a hard-link group that is transferred, and what became of it.
#[derive(Debug)]
pub struct Leader {
    /// Its path in the transfer.
    pub path: RelPath,
    /// Its directory at the destination; `None` in a dry run.
    pub dir: Option<Arc<HeldDir>>,
    /// Its name there.
    pub name: Name,
    /// What was planned for it.
    pub fate: Fate,
    state: Mutex<Option<Option<(u64, u64)>>>,
    known: Condvar,
}

impl Leader {
    /// A leader of which nothing is known yet.
    pub fn new(path: RelPath, dir: Option<Arc<HeldDir>>, name: Name, fate: Fate) -> Arc<Leader> {
        Arc::new(Leader { path, dir, name, fate, state: Mutex::default(), known: Condvar::new() })
    }

    /// Tells followers its inode; `None` if it could not be transferred. The first answer counts.
    pub fn publish(&self, inode: Option<(u64, u64)>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.is_none() {
            *state = Some(inode);
            self.known.notify_all();
        }
    }

    /// Waits for the leader, which was queued earlier and therefore comes to an end.
    pub(super) fn wait(&self) -> Option<(u64, u64)> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(inode) = *state {
                return inode;
            }
            state = self.known.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// An entry in a hard-link group.
#[derive(Clone, Debug)]
pub enum Part {
    /// In none, or the only one.
    Alone,
    /// It leads this group.
    Leads(Arc<Leader>),
    /// It becomes another name of this leader.
    Follows(Arc<Leader>),
}
