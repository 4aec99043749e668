//! A directory of the operator's own: `--backup-dir`, `--temp-dir`.
//!
//! An absolute path, or one with `..` in it, is an operand like any other. Any other lies below the
//! destination, among names that came from the source: there no symbolic link is followed, whoever owns it,
//! or who can write the source could choose where root keeps its backups.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

use super::dir::Dir;
use super::name::Name;
use super::{PathError, bounds, operand};
use crate::sys::{Errno, names};

/// Where such a directory is; see the module.
#[derive(Clone, Debug)]
pub struct OwnDir {
    /// For messages, and for what is resolved as an operand.
    path: OsString,
    /// The names below the destination, which may be missing.
    below: Option<(Option<Arc<Dir>>, Vec<Name>)>,
}

impl OwnDir {
    /// The directory typed as `typed`; a relative one is below the directory that was typed as `base` and is
    /// open as `root`, `None` if it does not exist.
    #[must_use]
    pub fn new(typed: &OsStr, base: &[u8], root: Option<&Arc<Dir>>) -> OwnDir {
        let bytes = typed.as_bytes();
        if bytes.first() == Some(&b'/') {
            return OwnDir { path: typed.to_os_string(), below: None };
        }
        let path = path_of(typed, base);
        let parts = bytes.split(|&b| b == b'/').filter(|part| !part.is_empty() && *part != b".");
        let names: Result<Vec<_>, _> = parts.map(Name::parse).collect();
        OwnDir { path, below: names.ok().map(|names| (root.cloned(), names)) }
    }

    /// Opens it.
    ///
    /// # Errors
    ///
    /// As [`operand::open_dir`]; `ENOTDIR` for a symbolic link below the destination.
    pub fn open(&self) -> Result<Dir, PathError> {
        let dir = match &self.below {
            None => operand::open_dir(&self.path),
            Some((root, names)) => self.descend(root, names, false),
        }?;
        self.bounded(&dir)?;
        Ok(dir)
    }

    /// Opens it, made first where it is missing, with the mode that the umask leaves of 0777.
    ///
    /// # Errors
    ///
    /// As [`OwnDir::open`] and [`operand::make_dirs`].
    pub fn make(&self) -> Result<Dir, PathError> {
        self.check()?;
        match &self.below {
            None => operand::make_dirs(&self.path).and_then(|_| operand::open_dir(&self.path)),
            Some((root, names)) => self.descend(root, names, true),
        }
    }

    /// As [`OwnDir::make`], but only its last name is made, for its owner alone.
    ///
    /// # Errors
    ///
    /// As [`OwnDir::open`], and `ENOENT` where more than that is missing.
    pub fn make_last(&self) -> Result<Dir, PathError> {
        match self.open() {
            Err(e) if e.source == Errno::ENOENT => {}
            other => return other,
        }
        self.check()?;
        let fail = |op, source| PathError { op, path: self.path.as_bytes().to_vec(), source };
        match &self.below {
            None => {
                let at = operand::resolve(&self.path)?;
                let Some(name) = at.name else { return self.open() };
                at.dir.make_dir(&name).map_err(|e| fail("mkdir", e))?;
                self.open()
            }
            Some((root, names)) => {
                let Some((last, above)) = names.split_last() else { return self.open() };
                let at = self.descend(root, above, false)?;
                at.make_dir(last).map_err(|e| fail("mkdir", e))?;
                at.child(last).map_err(|e| fail("open", e))
            }
        }
    }

    /// Refuses it, there or yet to be made, if it is outside of `--confine-root`.
    ///
    /// # Errors
    ///
    /// `EXDEV`: it is.
    pub fn check(&self) -> Result<(), PathError> {
        let above = match &self.below {
            None => operand::nearest_dir(&self.path),
            Some((root, _)) => root.as_ref().and_then(|root| root.again().ok()),
        };
        above.iter().try_for_each(|above| self.bounded(above))
    }

    fn bounded(&self, dir: &Dir) -> Result<(), PathError> {
        let path = || self.path.as_bytes().to_vec();
        bounds::check(dir).map_err(|source| PathError { op: "open", path: path(), source })
    }

    fn descend(&self, root: &Option<Arc<Dir>>, names: &[Name], make: bool) -> Result<Dir, PathError> {
        let fail = |op, source| PathError { op, path: self.path.as_bytes().to_vec(), source };
        let root = root.as_ref().ok_or_else(|| fail("open", Errno::ENOENT))?;
        let mut at = root.again().map_err(|e| fail("open", e))?;
        for name in names {
            at = match at.child(name) {
                Err(Errno::ENOENT) if make => {
                    names::mkdirat(at.fd(), name.as_cstr(), 0o777).map_err(|e| fail("mkdir", e))?;
                    at.child(name)
                }
                other => other,
            }
            .map_err(|e| fail("open", e))?;
        }
        Ok(at)
    }
}

/// The path of the directory typed as `typed`; a relative one is below what was typed as `base`.
#[must_use]
pub fn path_of(typed: &OsStr, base: &[u8]) -> OsString {
    let bytes = typed.as_bytes();
    if bytes.first() == Some(&b'/') {
        return typed.to_os_string();
    }
    let slash: &[u8] = if base.is_empty() || base.ends_with(b"/") { b"" } else { b"/" };
    OsStr::from_bytes(&[base, slash, bytes].concat()).to_os_string()
}

/// `path` without `.`, and without each `..` that has a name before it, which goes with it; above `/` there is nothing.
/// Where no symbolic link is followed this is the same place.
#[must_use]
pub fn straightened(path: &OsStr) -> OsString {
    let bytes = path.as_bytes();
    let absolute = bytes.first() == Some(&b'/');
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in bytes.split(|&b| b == b'/').filter(|part| !part.is_empty() && *part != b".") {
        match (part, parts.last()) {
            (b"..", Some(last)) if *last != b".." => {
                parts.pop();
            }
            (b"..", None) if absolute => {}
            _ => parts.push(part),
        }
    }
    let start: &[u8] = if absolute { b"/" } else { b"./" };
    OsStr::from_bytes(&[start, &parts.join(&b'/')].concat()).to_os_string()
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)]
mod tests {
    use super::*;

    fn of(typed: &str, dest: &OsStr, root: &Arc<Dir>) -> OwnDir {
        OwnDir::new(OsStr::new(typed), dest.as_bytes(), Some(root))
    }

    #[test]
    fn a_straightened_path_leads_nowhere_above_its_beginning() {
        for (typed, straight) in [
            ("a/../b", "./b"),
            ("../b", "./../b"),
            ("a/../../b/.", "./../b"),
            ("/a/./b/../c/", "/a/c"),
            ("/../../b", "/b"),
            ("/..", "/"),
            ("", "./"),
        ] {
            assert_eq!(straightened(OsStr::new(typed)), straight, "{typed}");
        }
    }

    #[test]
    fn messages_name_the_directory_as_it_would_have_been_typed() {
        let refused = |base: &str, typed: &str| {
            let e = OwnDir::new(OsStr::new(typed), base.as_bytes(), None).open().unwrap_err();
            assert_eq!(e.source, Errno::ENOENT);
            String::from_utf8(e.path).unwrap()
        };
        assert_eq!(refused("d/e", "tmp"), "d/e/tmp");
        assert_eq!(refused("", "tmp/more"), "tmp/more");
        assert_eq!(refused("/", "no-such-tmp"), "/no-such-tmp");
        assert_eq!(refused("d", "/no-such-directory/x"), "/no-such-directory/x");
    }

    #[test]
    fn below_the_destination_directories_are_made_and_links_are_not_followed() {
        let tmp = tempfile::tempdir().unwrap();
        let dest = tmp.path().join("dst");
        std::fs::create_dir_all(tmp.path().join("out")).unwrap();
        std::fs::create_dir(&dest).unwrap();
        std::os::unix::fs::symlink("../out", dest.join("link")).unwrap();
        let root = Arc::new(operand::open_dir(dest.as_os_str()).unwrap());
        assert_eq!(of("a/./b", dest.as_os_str(), &root).open().unwrap_err().source, Errno::ENOENT);
        of("a/./b/", dest.as_os_str(), &root).make().unwrap();
        assert!(dest.join("a/b").is_dir());
        for linked in ["link", "link/more"] {
            let refused = of(linked, dest.as_os_str(), &root).make().unwrap_err();
            assert_eq!(refused.source, Errno::ENOTDIR, "{linked}");
        }
        of("../out/bak", dest.as_os_str(), &root).make().unwrap();
        assert!(tmp.path().join("out/bak").is_dir());
    }
}
