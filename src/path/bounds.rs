//! How far the paths that an operator typed may be trusted, for the whole process (`--insecure-links`,
//! `--confine-root`).

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use super::dir::Dir;
use crate::sys::Errno;

/// Links of all users are followed.
static TRUSTING: AtomicBool = AtomicBool::new(false);

/// Device and inode of the directory in which paths of options have to end; `None` inside: it does not exist, so
/// nothing is in it.
static CONFINED: OnceLock<Option<(u64, u64)>> = OnceLock::new();

/// From here on a symbolic link on the way of a path that the operator typed is followed whoever owns it.
pub fn follow_links_of_everybody() {
    TRUSTING.store(true, Ordering::Relaxed);
}

/// Whether links of all users are followed.
pub(super) fn trusts_everybody() -> bool {
    TRUSTING.load(Ordering::Relaxed)
}

/// From here on what an option names has to be in `dir`, or below it; `None`: nowhere. The first call counts.
///
/// # Errors
///
/// The directory cannot say what it is.
pub fn confine_options_to(dir: Option<&Dir>) -> Result<(), Errno> {
    let identity = dir.map(|dir| dir.attrs().map(|attrs| (attrs.dev, attrs.ino))).transpose()?;
    CONFINED.get_or_init(|| identity);
    Ok(())
}

/// Whether options are confined.
#[must_use]
pub fn confines() -> bool {
    CONFINED.get().is_some()
}

/// Refuses the directory `at`, to which an option's path has led, if it is outside.
///
/// # Errors
///
/// `EXDEV`: outside. Others: it cannot be said where it is, so it is not used.
pub fn check(at: &Dir) -> Result<(), Errno> {
    let Some(root) = CONFINED.get() else { return Ok(()) };
    let Some(root) = root else { return Err(Errno::EXDEV) };
    let identity = |dir: &Dir| dir.attrs().map(|attrs| (attrs.dev, attrs.ino));
    let mut last = identity(at)?;
    let mut above = at.parent()?;
    while last != *root {
        let next = identity(&above)?;
        // The root of all is its own parent.
        if next == last {
            return Err(Errno::EXDEV);
        }
        last = next;
        above = above.parent()?;
    }
    Ok(())
}
