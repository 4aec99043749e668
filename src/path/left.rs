//! What an interrupted transfer leaves on purpose (`--partial-dir`), as a [`TempFile`] again.
//!
//! It goes on under the name that it has there, so that another interruption loses nothing, until it becomes
//! its target.

use std::os::fd::AsFd;
use std::sync::Arc;

use super::attrs::Attrs;
use super::dir::{Dir, set_mode, set_owner};
use super::name::Name;
use super::temp::{PRIVATE, TempFile};
use crate::sys::{Errno, credentials, flock, stat};

impl TempFile {
    /// Goes on with the file `name` of `home`, which an earlier run left, to make it a file of `dir`; returns it
    /// with its length in bytes. `None`: there is none that can be trusted and is free.
    ///
    /// Trusted is what nobody else can have open for writing: a regular file of ours with a single name, which
    /// only we may write to. What it holds is still anybody's guess.
    ///
    /// # Errors
    ///
    /// `EACCES`, `EIO` and the like: nothing can be said about it.
    pub fn adopt(dir: &Arc<Dir>, home: &Arc<Dir>, name: &Name) -> Result<Option<(TempFile, u64)>, Errno> {
        let file = match home.open_file_for_update(name) {
            Ok(file) => file,
            Err(Errno::ENOENT | Errno::ELOOP | Errno::EBADFD | Errno::EISDIR | Errno::ENXIO) => {
                return Ok(None);
            }
            Err(e) => return Err(e),
        };
        let attrs = file.attrs;
        let ours = attrs.uid == credentials::effective_uid() && attrs.nlink == 1 && attrs.mode & 0o022 == 0;
        if !ours || attrs.size == 0 || attrs.dev != dir.attrs()?.dev {
            return Ok(None);
        }
        match flock::try_lock(file.as_fd()) {
            Ok(()) | Err(Errno::ENOLCK | Errno::EOPNOTSUPP) => {}
            Err(_) => return Ok(None),
        }
        // Another run may have been done with it between the opening and the lock.
        if !home.stat_if_any(name)?.is_some_and(|now| now.same_inode(&attrs)) {
            return Ok(None);
        }
        set_mode(file.as_fd(), PRIVATE)?;
        let left = Some((Arc::clone(home), name.clone()));
        let fd = Arc::new(file.into());
        Ok(Some((TempFile { dir: Arc::clone(dir), fd, name: None, left }, attrs.size)))
    }

    /// Leaves the unfinished file as `name` in `home`, for a later run to adopt; one that was adopted stays where
    /// it was.
    ///
    /// # Errors
    ///
    /// It is gone. `EBUSY`: another run is working on what has that name. `EXDEV`: another filesystem.
    pub fn leave(mut self, home: &Dir, name: &Name) -> Result<(), Errno> {
        if self.left.take().is_some() {
            return Ok(());
        }
        unless_in_use(home, name)?;
        set_mode(self.fd.as_fd(), PRIVATE)?;
        self.commit(home, name, false)
    }

    /// Removes it, also where an earlier run left it: what it holds is of no use.
    pub fn discard(mut self) {
        self.unleave();
    }

    /// Takes the name away under which an earlier run left it, if that still is its name.
    pub(super) fn unleave(&mut self) {
        let Some((home, name)) = self.left.take() else { return };
        let ours = stat::fstat(self.fd.as_fd()).map(|st| Attrs::from_stat(&st));
        if let (Ok(ours), Ok(Some(there))) = (ours, home.stat_if_any(&name))
            && there.same_inode(&ours)
        {
            // What stays is looked at by the next run as this one did.
            let _unheard = home.remove(&name);
        }
    }
}

/// Moves the complete file `name` of `from` to `home`, where it is what [`TempFile::leave`] leaves.
///
/// # Errors
///
/// It stays where it is. `EBUSY`: another run is working on what has that name. `EXDEV`: another filesystem.
pub fn set_aside(from: &Dir, home: &Dir, name: &Name) -> Result<(), Errno> {
    let file = from.open_file(name)?;
    unless_in_use(home, name)?;
    set_owner(file.as_fd(), Some(credentials::effective_uid()), None)?;
    set_mode(file.as_fd(), PRIVATE)?;
    from.rename(name, home, name)
}

/// Refuses, with `EBUSY`, to replace what another run is working on.
fn unless_in_use(home: &Dir, name: &Name) -> Result<(), Errno> {
    match home.open_file(name) {
        Ok(there) if flock::try_lock(there.as_fd()) == Err(Errno::EWOULDBLOCK) => Err(Errno::EBUSY),
        _ => Ok(()),
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)]
mod tests {
    use super::*;
    use crate::path::operand;
    use std::path::Path;

    fn name(text: &str) -> Name {
        Name::parse(text.as_bytes()).unwrap()
    }

    fn open(path: &Path) -> Arc<Dir> {
        Arc::new(operand::open_dir(path.as_os_str()).unwrap())
    }

    fn listing(path: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(path).unwrap();
        let mut names: Vec<_> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn what_was_left_on_purpose_is_adopted_and_ends_as_target_or_where_it_was() {
        let tmp = tempfile::tempdir().unwrap();
        std::fs::create_dir(tmp.path().join("home")).unwrap();
        let (dir, home) = (open(tmp.path()), open(&tmp.path().join("home")));
        let fresh = TempFile::create(&dir, &name("a"), 0o644).unwrap();
        nix::unistd::write(fresh.as_fd(), b"half").unwrap();
        fresh.leave(&home, &name("a")).unwrap();
        assert_eq!(listing(&tmp.path().join("home")), ["a"]);
        let adopt = || TempFile::adopt(&dir, &home, &name("a")).unwrap();
        let (again, len) = adopt().unwrap();
        assert_eq!(len, 4);
        // One at a time, and what is in use is not replaced.
        assert!(adopt().is_none());
        let other = TempFile::create(&dir, &name("a"), PRIVATE).unwrap();
        assert_eq!(other.leave(&home, &name("a")), Err(Errno::EBUSY));
        drop(again);
        assert_eq!(listing(&tmp.path().join("home")), ["a"]);
        for replaces in [false, true] {
            adopt().unwrap().0.commit(&dir, &name("a"), replaces).unwrap();
            assert_eq!(std::fs::read(tmp.path().join("a")).unwrap(), b"half");
            assert_eq!(listing(&tmp.path().join("home")), [""; 0]);
            std::fs::rename(tmp.path().join("a"), tmp.path().join("home/a")).unwrap();
        }
        adopt().unwrap().0.discard();
        assert_eq!(listing(tmp.path()), ["home"]);
        assert_eq!(listing(&tmp.path().join("home")), [""; 0]);
    }

    #[test]
    fn what_others_can_write_to_is_not_adopted() {
        use std::os::unix::fs::PermissionsExt;
        let tmp = tempfile::tempdir().unwrap();
        let dir = open(tmp.path());
        let at = |name: &str| tmp.path().join(name);
        std::fs::write(at("open"), "x").unwrap();
        std::fs::set_permissions(at("open"), std::fs::Permissions::from_mode(0o620)).unwrap();
        std::fs::write(at("twice"), "x").unwrap();
        std::fs::hard_link(at("twice"), at("other")).unwrap();
        std::fs::write(at("empty"), "").unwrap();
        std::os::unix::fs::symlink("twice", at("link")).unwrap();
        nix::unistd::mkfifo(&at("fifo"), nix::sys::stat::Mode::from_bits_truncate(0o600)).unwrap();
        std::fs::create_dir(at("dir")).unwrap();
        for what in ["open", "twice", "other", "empty", "link", "fifo", "dir", "nothing"] {
            assert!(TempFile::adopt(&dir, &dir, &name(what)).unwrap().is_none(), "{what}");
        }
    }
}
