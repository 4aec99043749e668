//! FLOOR 1. Authority as values: what may be touched is what a value of this room lets you name.
//!
//! A [`Name`] is one component, a [`RelPath`] a checked sequence of them, a [`Dir`] an open directory.
//! "Beneath" means: reached from a held [`Dir`] by single names, following no symbolic link. Raw
//! directory descriptors stop here; no floor above opens a path.

pub mod acl;
pub mod attrs;
pub mod bounds;
pub mod dir;
pub mod escape;
pub mod face;
pub mod fence;
pub mod flags;
pub mod held;
pub mod ids;
pub mod left;
pub mod name;
pub mod operand;
pub mod own;
pub mod rel;
pub mod temp;
pub mod xattr;

pub use attrs::{Attrs, Kind, Time};
pub use dir::Dir;
pub use escape::escape;
pub use face::Face;
pub use held::HeldDir;
pub use name::Name;
pub use own::OwnDir;
pub use rel::RelPath;
pub use temp::TempFile;

use crate::sys::Errno;

/// What failed, on which path, and why.
#[derive(Debug, Clone)]
pub struct PathError {
    /// The operation as a verb, for the message: `open`, `stat`, `mkdir` …
    pub op: &'static str,
    /// The path for people, relative to its root or as the operator typed it; raw bytes.
    pub path: Vec<u8>,
    /// The kernel's answer.
    pub source: Errno,
}

impl PathError {
    /// What the user can do about it, where the kernel's answer does not say.
    #[must_use]
    pub fn advice(&self) -> Option<&'static str> {
        match self.source {
            // The walk of an operand refuses with this errno; the calls behind it do not know it.
            Errno::EPERM => Some(
                "a symbolic link on the way belongs to neither root nor you and is not followed: \
                 name what it leads to, or make the link yours (chown -h)",
            ),
            Errno::EXDEV if bounds::confines() => Some("it is outside of --confine-root"),
            _ => None,
        }
    }
}

impl std::fmt::Display for PathError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} \"{}\": {}", self.op, escape(&self.path), std::io::Error::from(self.source))?;
        self.advice().map_or(Ok(()), |advice| write!(f, "; {advice}"))
    }
}

impl std::error::Error for PathError {}
