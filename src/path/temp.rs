//! `TempFile`: a file in progress, beside its target, that becomes it by one rename.
//!
//! Where the filesystem can, the file has no name until it is complete (`O_TMPFILE`), so that even a
//! killed run leaves nothing. Where a name is needed it is `.NAME.XXXXXX`, mode 0600, and the first name
//! tried is always the same for a target: whoever finds it taken by a file that nobody has locked has
//! found the leftover of a killed run, and removes it. A lock dies with its process, so a run that
//! still works keeps its files.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::attrs::{Attrs, Kind};
use super::dir::Dir;
use super::name::Name;
use crate::sys::{Errno, flock, stat};

/// Characters behind the last dot of a temp name, as rsync has them.
const SUFFIX: usize = 6;

/// Names tried before a directory in which all of them are taken is an error.
const ATTEMPTS: u32 = 64;

/// Permission bits of a file that is nobody else's business: readable and writable by its owner.
pub const PRIVATE: u32 = 0o600;

/// A file in progress. Dropped without [`TempFile::commit`], it leaves nothing behind.
#[derive(Debug)]
pub struct TempFile {
    pub(super) dir: Arc<Dir>,
    pub(super) fd: Arc<OwnedFd>,
    pub(super) name: Option<Name>,
    /// Where it was left by an earlier run, and is left again unless it is committed or discarded.
    pub(super) left: Option<(Arc<Dir>, Name)>,
}

impl TempFile {
    /// Makes an empty file in `dir` to become `target`. As long as it has no name, by which others could open it, it
    /// has the permission bits `mode`, as far as the umask or a default access control list leaves them; otherwise
    /// [`PRIVATE`].
    ///
    /// # Errors
    ///
    /// `ENOSPC`, `EDQUOT`, `EROFS`, `EACCES`: report the entry.
    pub fn create(dir: &Arc<Dir>, target: &Name, mode: u32) -> Result<TempFile, Errno> {
        match dir.create_unnamed(mode) {
            Ok(fd) => Ok(TempFile { dir: Arc::clone(dir), fd: Arc::new(fd), name: None, left: None }),
            // What open(2) answers where O_TMPFILE is unknown to the filesystem or to the kernel.
            Err(Errno::EOPNOTSUPP | Errno::EISDIR | Errno::ENOENT | Errno::EINVAL) => {
                TempFile::create_named(dir, target)
            }
            Err(e) => Err(e),
        }
    }

    fn create_named(dir: &Arc<Dir>, target: &Name) -> Result<TempFile, Errno> {
        for name in candidates(dir, target) {
            let fd = match dir.create_file(&name) {
                Ok(fd) => fd,
                Err(Errno::EEXIST) => {
                    remove_stale(dir, &name)?;
                    match dir.create_file(&name) {
                        Ok(fd) => fd,
                        Err(Errno::EEXIST) => continue,
                        Err(e) => return Err(e),
                    }
                }
                Err(e) => return Err(e),
            };
            // Between creation and lock another run may have taken it for a leftover.
            let ours = flock::try_lock(fd.as_fd());
            let inode = Attrs::from_stat(&stat::fstat(fd.as_fd())?);
            let kept = dir.stat_if_any(&name)?.is_some_and(|now| now.same_inode(&inode));
            match ours {
                Ok(()) | Err(Errno::ENOLCK | Errno::EOPNOTSUPP) if kept => {
                    let (dir, fd) = (Arc::clone(dir), Arc::new(fd));
                    return Ok(TempFile { dir, fd, name: Some(name), left: None });
                }
                _ => {}
            }
        }
        Err(Errno::EEXIST)
    }

    /// Puts the file under its final name in `into`. Nothing may be done to it afterwards.
    ///
    /// `replaces` says whether something is thought to be there: only which way is tried first.
    ///
    /// # Errors
    ///
    /// The target is untouched and the temp file gone. `EXDEV`: another filesystem. `EISDIR`: a
    /// directory appeared there.
    pub fn commit(mut self, into: &Dir, target: &Name, replaces: bool) -> Result<(), Errno> {
        if self.name.is_none() {
            if !replaces {
                match into.link_unnamed(self.fd.as_fd(), target) {
                    Err(Errno::EEXIST) => {}
                    other => {
                        other?;
                        self.unleave();
                        return Ok(());
                    }
                }
            }
            self.give_name(target)?;
        }
        let Some(name) = &self.name else { return Err(Errno::ENOENT) };
        self.dir.rename(name, into, target)?;
        self.name = None;
        self.unleave();
        Ok(())
    }

    /// The open file, for somebody who may need it longer.
    #[must_use]
    pub fn shared(&self) -> Arc<OwnedFd> {
        Arc::clone(&self.fd)
    }

    fn give_name(&mut self, target: &Name) -> Result<(), Errno> {
        // Locked before it has a name, so nobody ever sees it free. (Once more does no harm.)
        match flock::try_lock(self.fd.as_fd()) {
            Ok(()) | Err(Errno::ENOLCK | Errno::EOPNOTSUPP) => {}
            Err(e) => return Err(e),
        }
        self.name =
            Some(with_temp_name(&self.dir, target, |name| self.dir.link_unnamed(self.fd.as_fd(), name))?);
        Ok(())
    }
}

impl AsFd for TempFile {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        if let Some(name) = &self.name {
            // Nobody is left to tell; the next run recognises what stays.
            let _unheard = self.dir.remove(name);
        }
    }
}

/// Makes something under a free temp name of `target` in `dir` and returns the name.
///
/// # Errors
///
/// `EEXIST`: every name tried is taken. Others: what `make` answered.
pub fn with_temp_name(
    dir: &Dir,
    target: &Name,
    mut make: impl FnMut(&Name) -> Result<(), Errno>,
) -> Result<Name, Errno> {
    for name in candidates(dir, target) {
        match make(&name) {
            Ok(()) => return Ok(name),
            Err(Errno::EEXIST) => {
                remove_stale(dir, &name)?;
                match make(&name) {
                    Ok(()) => return Ok(name),
                    Err(Errno::EEXIST) => {}
                    Err(e) => return Err(e),
                }
            }
            Err(e) => return Err(e),
        }
    }
    Err(Errno::EEXIST)
}

/// Removes what a killed run left under the temp name `name`; leaves what is in use.
fn remove_stale(dir: &Dir, name: &Name) -> Result<(), Errno> {
    let Some(found) = dir.stat_if_any(name)? else { return Ok(()) };
    match found.kind {
        Kind::Dir => Ok(()),
        Kind::File => match dir.open_file(name) {
            Ok(file) if file.attrs.same_inode(&found) && flock::try_lock(file.as_fd()).is_ok() => {
                dir.remove(name)
            }
            _ => Ok(()),
        },
        // Links and nodes cannot be locked; they live for two system calls.
        _ => dir.remove(name),
    }
}

/// The temp names of `target` in `dir`: always the same one first, then others.
///
/// They depend on the directory too: a leftover that was copied along with its tree is a file like any other.
fn candidates(dir: &Dir, target: &Name) -> impl Iterator<Item = Name> {
    static SALT: AtomicU32 = AtomicU32::new(0);
    let target = target.as_bytes().to_vec();
    let place = place(dir);
    let own = std::process::id();
    (0..ATTEMPTS).filter_map(move |attempt| {
        // FNV-1a: any spread will do, but it must be the same in every version.
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        let salt = if attempt == 0 { 0 } else { own.wrapping_mul(31) ^ SALT.fetch_add(1, Ordering::Relaxed) };
        for byte in target.iter().copied().chain(place).chain(salt.to_le_bytes()) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        let kept = &target[..target.len().min(Name::MAX - SUFFIX - 2)];
        let mut bytes = Vec::with_capacity(kept.len() + SUFFIX + 2);
        bytes.push(b'.');
        bytes.extend_from_slice(kept);
        bytes.push(b'.');
        for _ in 0..SUFFIX {
            const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
            bytes.push(DIGITS[usize::try_from(hash % 62).unwrap_or(0)]);
            hash /= 62;
        }
        Name::parse(&bytes).ok()
    })
}

/// What tells a directory from any other, also after a reboot: its filesystem's id and its inode.
fn place(dir: &Dir) -> [u8; 16] {
    let filesystem = stat::fstatfs_id(dir.fd()).unwrap_or(0);
    let inode = dir.attrs().map_or(0, |attrs| attrs.ino);
    (u128::from(filesystem) << 64 | u128::from(inode)).to_le_bytes()
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
        let mut names: Vec<_> =
            std::fs::read_dir(path).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_dropped_file_leaves_nothing_named_or_not() {
        let tmp = tempfile::tempdir().unwrap();
        let dir = open(tmp.path());
        drop(TempFile::create(&dir, &name("a"), PRIVATE).unwrap());
        drop(TempFile::create_named(&dir, &name("a")).unwrap());
        assert!(listing(tmp.path()).is_empty());
    }

    #[test]
    fn a_file_without_a_name_has_its_permission_bits_from_the_beginning() {
        let tmp = tempfile::tempdir().unwrap();
        let dir = open(tmp.path());
        let mode = |file: &TempFile| stat::fstat(file.as_fd()).unwrap().st_mode & 0o7777;
        assert_eq!(mode(&TempFile::create(&dir, &name("a"), 0o500).unwrap()), 0o500);
        assert_eq!(mode(&TempFile::create_named(&dir, &name("a")).unwrap()), PRIVATE);
    }

    #[test]
    fn commit_replaces_or_makes_the_target_and_nothing_else_stays() {
        let tmp = tempfile::tempdir().unwrap();
        let dir = open(tmp.path());
        for replaces in [false, true] {
            for named in [false, true] {
                std::fs::write(tmp.path().join("old"), "old").unwrap();
                for target in ["old", "new"] {
                    let target_name = name(target);
                    let file = match named {
                        true => TempFile::create_named(&dir, &target_name),
                        false => TempFile::create(&dir, &target_name, PRIVATE),
                    };
                    let file = file.unwrap();
                    nix::unistd::write(file.as_fd(), b"fresh").unwrap();
                    file.commit(&dir, &name(target), replaces).unwrap();
                    assert_eq!(std::fs::read(tmp.path().join(target)).unwrap(), b"fresh");
                }
                assert_eq!(listing(tmp.path()), ["new", "old"]);
                std::fs::remove_file(tmp.path().join("new")).unwrap();
            }
        }
    }

    #[test]
    fn the_leftover_of_a_killed_run_is_replaced_and_a_live_one_is_kept() {
        let tmp = tempfile::tempdir().unwrap();
        let dir = open(tmp.path());
        let live = TempFile::create_named(&dir, &name("a")).unwrap();
        let second = TempFile::create_named(&dir, &name("a")).unwrap();
        assert_ne!(live.name, second.name);
        let leftover = live.name.clone().unwrap();
        drop((live, second));
        std::fs::write(tmp.path().join(std::str::from_utf8(leftover.as_bytes()).unwrap()), "half").unwrap();
        let next = TempFile::create_named(&dir, &name("a")).unwrap();
        assert_eq!(next.name, Some(leftover));
        drop(next);
        assert!(listing(tmp.path()).is_empty());
    }

    #[test]
    fn a_leftover_that_was_copied_from_another_tree_is_kept() {
        let tmp = tempfile::tempdir().unwrap();
        let dirs = ["one", "two"].map(|name| {
            std::fs::create_dir(tmp.path().join(name)).unwrap();
            open(&tmp.path().join(name))
        });
        let there = candidates(&dirs[0], &name("a")).next().unwrap();
        let copied = tmp.path().join("two").join(std::str::from_utf8(there.as_bytes()).unwrap());
        std::fs::write(&copied, "content").unwrap();
        TempFile::create_named(&dirs[1], &name("a")).unwrap().commit(&dirs[1], &name("a"), true).unwrap();
        assert_eq!(std::fs::read(&copied).unwrap(), b"content");
    }

    #[test]
    fn long_names_that_begin_alike_have_temp_names_of_their_own() {
        let tmp = tempfile::tempdir().unwrap();
        let dir = open(tmp.path());
        let [a, b] = ["a", "b"].map(|end| name(&("x".repeat(254) + end)));
        assert_ne!(candidates(&dir, &a).next(), candidates(&dir, &b).next());
        assert_eq!(candidates(&dir, &a).next(), candidates(&open(tmp.path()), &a).next());
    }

    #[test]
    fn a_name_of_255_bytes_has_a_temp_name_too() {
        let tmp = tempfile::tempdir().unwrap();
        let dir = open(tmp.path());
        let long = name(&"x".repeat(255));
        let file = TempFile::create_named(&dir, &long).unwrap();
        file.commit(&dir, &long, false).unwrap();
        assert_eq!(listing(tmp.path()), ["x".repeat(255)]);
    }
}
