//! `HeldDir`: a directory of a tree that is open while descriptors suffice, and found again when not.
//!
//! A tree can be deeper than a process may have descriptors (20,000 levels were made and removed here).
//! Every directory in flight is therefore a `HeldDir`: it knows its parent, its name and its identity.
//! When too many are open the longest open one is closed; asked again, it is opened from the nearest
//! ancestor that is still open, one name at a time, and refused unless it is the same inode as before.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::attrs::Attrs;
use super::dir::Dir;
use super::name::Name;
use super::rel::RelPath;
use crate::sys::Errno;

/// Descriptors that two workers and two threads that list have besides directories. Counted.
const BESIDES: usize = 32;

/// The directories of one tree that are open, oldest first, and how many may be.
#[derive(Debug)]
pub struct Budget {
    limit: usize,
    open: Mutex<VecDeque<Weak<HeldDir>>>,
}

impl Budget {
    /// A budget for a process that may have `descriptors`: all but those that files, pipes and the
    /// directories at work need, and at least 8.
    #[must_use]
    pub fn new(descriptors: usize) -> Arc<Budget> {
        let limit = (descriptors.saturating_sub(BESIDES) / 2).max(8);
        Arc::new(Budget { limit, open: Mutex::default() })
    }

    /// Counts `dir` as open and closes the oldest ones beyond the limit.
    fn admit(&self, dir: &Weak<HeldDir>) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.push_back(Weak::clone(dir));
        if open.len() <= self.limit {
            return;
        }
        // Most entries are dead by now: drop those first, then really close some.
        open.retain(|held| held.strong_count() > 0);
        while open.len() > self.limit / 2 {
            if let Some(old) = open.pop_front().and_then(|held| held.upgrade())
                && old.parent.is_some()
            {
                *old.dir.lock().unwrap_or_else(PoisonError::into_inner) = None;
            }
        }
    }
}

/// One directory of a tree; see the module.
#[derive(Debug)]
pub struct HeldDir {
    parent: Option<Arc<HeldDir>>,
    /// Empty path for a root; else the last component.
    name: Option<Name>,
    dev: u64,
    ino: u64,
    /// Reached through a symbolic link that an option told us to follow; found again the same way.
    followed: bool,
    budget: Arc<Budget>,
    /// Itself, for the budget.
    me: Weak<HeldDir>,
    dir: Mutex<Option<Arc<Dir>>>,
}

impl HeldDir {
    /// Makes `dir` the root of a tree.
    ///
    /// # Errors
    ///
    /// The directory cannot say what it is: report it.
    pub fn root(dir: Dir, budget: &Arc<Budget>) -> Result<Arc<HeldDir>, Errno> {
        let attrs = dir.attrs()?;
        Ok(HeldDir::new(None, None, false, dir, &attrs, budget))
    }

    fn new(
        parent: Option<Arc<HeldDir>>,
        name: Option<Name>,
        followed: bool,
        dir: Dir,
        attrs: &Attrs,
        budget: &Arc<Budget>,
    ) -> Arc<HeldDir> {
        let held = Arc::new_cyclic(|me| HeldDir {
            parent,
            name,
            dev: attrs.dev,
            ino: attrs.ino,
            followed,
            budget: Arc::clone(budget),
            me: Weak::clone(me),
            dir: Mutex::new(Some(Arc::new(dir))),
        });
        budget.admit(&held.me);
        held
    }

    /// Takes the child `name`, already open as `dir`, into the tree.
    ///
    /// # Errors
    ///
    /// The directory cannot say what it is: report it.
    pub fn adopt(self: &Arc<Self>, name: &Name, dir: Dir, followed: bool) -> Result<Arc<HeldDir>, Errno> {
        let attrs = dir.attrs()?;
        let parent = Some(Arc::clone(self));
        Ok(HeldDir::new(parent, Some(name.clone()), followed, dir, &attrs, &self.budget))
    }

    /// Opens the child directory `name`; with `follow`, also where it is a symbolic link.
    ///
    /// # Errors
    ///
    /// As [`Dir::child`].
    pub fn child(self: &Arc<Self>, name: &Name, follow: bool) -> Result<Arc<HeldDir>, Errno> {
        let here = self.get()?;
        let dir = if follow { here.child_following(name)? } else { here.child(name)? };
        self.adopt(name, dir, follow)
    }

    /// The open directory; opened again if it had to be closed.
    ///
    /// # Errors
    ///
    /// `ESTALE`: another directory has its place now: somebody renamed, and the entry is reported.
    /// Others as [`Dir::child`].
    pub fn get(&self) -> Result<Arc<Dir>, Errno> {
        if let Some(dir) = &*self.dir.lock().unwrap_or_else(PoisonError::into_inner) {
            return Ok(Arc::clone(dir));
        }
        // Up to the nearest open ancestor, then down again.
        let mut missing = vec![self];
        let mut at = loop {
            let Some(parent) = missing.last().and_then(|held| held.parent.as_deref()) else {
                return Err(Errno::ESTALE); // a root is never closed
            };
            if let Some(dir) = &*parent.dir.lock().unwrap_or_else(PoisonError::into_inner) {
                break Arc::clone(dir);
            }
            missing.push(parent);
        };
        while let Some(held) = missing.pop() {
            let Some(name) = &held.name else { return Err(Errno::ESTALE) };
            let dir = if held.followed { at.child_following(name)? } else { at.child(name)? };
            let attrs = dir.attrs()?;
            if (attrs.dev, attrs.ino) != (held.dev, held.ino) {
                return Err(Errno::ESTALE);
            }
            at = Arc::new(dir);
            // The last ones on the way stay open: whoever comes back up needs them next.
            if missing.len() < (held.budget.limit / 4).min(100) {
                *held.dir.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&at));
                held.budget.admit(&held.me);
            }
        }
        Ok(at)
    }

    /// Device and inode number: what this directory is, whatever it is called.
    #[must_use]
    pub fn identity(&self) -> (u64, u64) {
        (self.dev, self.ino)
    }

    /// The path below the root of this tree.
    #[must_use]
    pub fn path(&self) -> RelPath {
        let mut names = Vec::new();
        let mut at = Some(self);
        while let Some(held) = at {
            names.extend(held.name.as_ref());
            at = held.parent.as_deref();
        }
        RelPath::from_names(names.into_iter().rev())
    }
}

impl Drop for HeldDir {
    /// Lets go of a chain of parents in a loop: dropping 20,000 levels by recursion overflows the stack.
    fn drop(&mut self) {
        let mut next = self.parent.take();
        while let Some(parent) = next {
            next = Arc::into_inner(parent).and_then(|mut held| held.parent.take());
        }
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)]
mod tests {
    use super::*;
    use crate::path::operand;

    fn name(text: &str) -> Name {
        Name::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn a_closed_directory_is_found_again_and_a_replaced_one_is_refused() {
        let tmp = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(tmp.path().join("a/b")).unwrap();
        let root = operand::open_dir(tmp.path().as_os_str()).unwrap();
        let root = HeldDir::root(root, &Budget::new(16)).unwrap();
        let a = root.child(&name("a"), false).unwrap();
        let b = a.child(&name("b"), false).unwrap();
        *a.dir.lock().unwrap() = None;
        *b.dir.lock().unwrap() = None;
        assert_eq!(b.get().unwrap().attrs().unwrap().ino, b.ino);
        assert!(a.dir.lock().unwrap().is_some(), "what was opened on the way stays open");
        *b.dir.lock().unwrap() = None;
        std::fs::rename(tmp.path().join("a/b"), tmp.path().join("a/old")).unwrap();
        std::fs::create_dir(tmp.path().join("a/b")).unwrap();
        assert_eq!(b.get().unwrap_err(), Errno::ESTALE);
        assert_eq!(b.path().as_bytes(), b"a/b");
    }

    #[test]
    fn no_more_directories_stay_open_than_the_budget_allows() {
        let tmp = tempfile::tempdir().unwrap();
        let budget = Budget::new(64);
        let root = operand::open_dir(tmp.path().as_os_str()).unwrap();
        let mut chain = vec![HeldDir::root(root, &budget).unwrap()];
        for _ in 0..200 {
            let last = chain.last().unwrap();
            last.get().unwrap().make_dir(&name("d")).unwrap();
            chain.push(last.child(&name("d"), false).unwrap());
        }
        let open = || chain.iter().filter(|held| held.dir.lock().unwrap().is_some()).count();
        assert!(open() <= 18, "{} are open", open());
        for held in chain.iter().rev() {
            assert_eq!(held.get().unwrap().attrs().unwrap().ino, held.ino);
            assert!(open() <= 18, "{} are open", open());
        }
    }
}
