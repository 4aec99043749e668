//! `SourceDir`: a directory on the sending side, and how to name what is in it to people.

use std::sync::Arc;

use super::entry::{Members, Share};
use super::filter::{FilterError, Scope};
use super::veil::Veil;
use crate::event::{Problem, Severity};
use crate::path::{HeldDir, Name, RelPath};
use crate::sys::Errno;

/// The largest per-directory filter file that is read, in bytes. A guess, far above any real one.
pub const FILTER_FILE_LIMIT: usize = 4 << 20;

/// How many symbolic links a path may lead through, as the kernel has it (`path_resolution(7)`). A walk by descriptors
/// would go round for ever where a link leads to a directory above it.
const LINKS_MAX: u8 = 40;

/// A source directory of the transfer.
#[derive(Clone, Debug)]
pub struct SourceDir {
    /// The directory.
    pub held: Arc<HeldDir>,
    /// What of it takes part.
    pub members: Members,
    /// How many symbolic links were followed on the way to it from the operand.
    pub links: u8,
    /// The device of the operand that it belongs to (`--one-file-system`).
    pub dev: u64,
    /// The sender's rules in its parent; in itself, once [`SourceDir::enter`] has been called.
    pub scope: Scope,
    /// What does not exist for the client (a daemon's module).
    pub veil: Option<Arc<Veil>>,
    /// What the operator typed for the root of the operand: goes before the path in messages.
    pub prefix: Arc<[u8]>,
}

impl SourceDir {
    /// The subdirectory `name`, as `share` has it.
    ///
    /// # Errors
    ///
    /// As [`HeldDir::child`]; `ELOOP` also where more symbolic links lead to it than a path may have.
    pub fn child(&self, name: &Name, share: Share) -> Result<SourceDir, Errno> {
        let links = self.links + u8::from(share.followed);
        if links > LINKS_MAX {
            return Err(Errno::ELOOP);
        }
        let held = self.held.child(name, share.followed)?;
        // What was picked by name is where the operator said to be, whatever filesystem that is on.
        let dev = if self.members.pick(name).is_some() { held.identity().0 } else { self.dev };
        Ok(SourceDir {
            held,
            members: share.members,
            links,
            dev,
            scope: self.scope.clone(),
            veil: self.veil.clone(),
            prefix: Arc::clone(&self.prefix),
        })
    }

    /// Adds the rules of its own filter files, which is `path` in the transfer. Operands that were picked
    /// by name leave the rules of the directory they lie in outside.
    ///
    /// # Errors
    ///
    /// A filter file that cannot be read or understood.
    pub fn enter(&mut self, path: &RelPath) -> Result<(), FilterError> {
        if self.members.is_all() {
            self.scope = enter(&self.held, path, &self.scope)?;
        }
        Ok(())
    }

    /// The path of `name` in the directory `path` as the operator would type it.
    #[must_use]
    pub fn typed(&self, path: &RelPath, name: Option<&Name>) -> Vec<u8> {
        let path = name.map_or_else(|| path.clone(), |name| path.join(name));
        typed(&self.prefix, &path)
    }

    /// As [`SourceDir::problem`], for something that has been listed: if it is gone, it vanished.
    #[must_use]
    pub fn problem_with_listed(&self, op: &'static str, path: &RelPath, errno: Errno) -> Problem {
        let problem = self.problem(op, path, errno);
        if errno == Errno::ENOENT { problem.severity(Severity::Vanished) } else { problem }
    }

    /// The directory `path` could not be opened or read (`op`); that it is there no longer is told as such.
    #[must_use]
    pub fn unread(&self, op: &'static str, path: &RelPath, errno: Errno) -> Problem {
        match errno {
            Errno::ENOENT => self.problem("read directory", path, errno).severity(Severity::Vanished),
            errno => self.problem(op, path, errno),
        }
    }

    /// A failed operation on `path`.
    #[must_use]
    pub fn problem(&self, op: &'static str, path: &RelPath, errno: Errno) -> Problem {
        Problem::os(op, &typed(&self.prefix, path), errno)
    }
}

/// `path` below what was typed as `prefix`.
#[must_use]
pub fn typed(prefix: &[u8], path: &RelPath) -> Vec<u8> {
    let mut text = prefix.to_vec();
    if !path.is_root() {
        if !text.is_empty() && !text.ends_with(b"/") {
            text.push(b'/');
        }
        text.extend_from_slice(path.as_bytes());
    }
    if text.is_empty() { b".".to_vec() } else { text }
}

/// The rules in the directory `held`, which is `path` in the transfer, on either side.
///
/// # Errors
///
/// A filter file that cannot be read or understood.
pub fn enter(held: &HeldDir, path: &RelPath, scope: &Scope) -> Result<Scope, FilterError> {
    if !scope.needs_enter() {
        return Ok(scope.clone());
    }
    scope.enter(path, &mut |name| held.get()?.read_small(name, FILTER_FILE_LIMIT))
}
