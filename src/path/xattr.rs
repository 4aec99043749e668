//! Extended attributes of one inode, as values, and how they get there and back.

use std::ffi::CString;
use std::os::fd::{AsFd, BorrowedFd};

use nix::fcntl::OFlag;
use nix::sys::stat::Mode;

use serde::{Deserialize, Deserializer, Serialize};

use super::attrs::Kind;
use super::dir::{Dir, Pinned, attrs_of};
use super::face::Face;
use super::name::Name;
use crate::sys::{Errno, open, xattr};

/// The most bytes of names and values together that one inode may have, so that what is held of one entry has
/// a limit. ext4 has room for some kilobytes, btrfs for some thousand bytes in a value; XFS and tmpfs may hold
/// more, and nothing is known that does. A guess.
pub const INODE_MAX: usize = 1 << 20;

/// The longest name in bytes (`XATTR_NAME_MAX`).
pub const NAME_MAX: usize = 255;

/// The longest value in bytes, whatever the filesystem.
pub const VALUE_MAX: usize = xattr::VALUE_MAX;

/// The name of file capabilities: almost every change of a file takes them away, so they come last.
pub const CAPABILITY: &[u8] = b"security.capability";

/// An inode whose extended attributes are meant, and how they are seen: as they are, unless [`Inode::seen`] says
/// otherwise.
#[derive(Clone, Copy, Debug)]
pub struct Inode<'a>(xattr::On<'a>, Face);

impl<'a> Inode<'a> {
    /// An open file.
    #[must_use]
    pub fn file(fd: BorrowedFd<'a>) -> Inode<'a> {
        Inode(xattr::On::Fd(fd), Face::Real)
    }

    /// A directory.
    #[must_use]
    pub fn dir(dir: &'a Dir) -> Inode<'a> {
        Inode(xattr::On::Fd(dir.fd()), Face::Real)
    }

    /// Whatever is pinned.
    #[must_use]
    pub fn pinned(pinned: &'a Pinned) -> Inode<'a> {
        Inode(xattr::On::PathFd(pinned.fd()), Face::Real)
    }

    /// What is called `name` in `dir`; with `follow`, what the source's symbolic link of that name leads to.
    #[must_use]
    pub fn named(dir: &'a Dir, name: &'a Name, follow: bool) -> Inode<'a> {
        let (dir, name) = (dir.fd(), name.as_cstr());
        Inode(if follow { xattr::On::Following(dir, name) } else { xattr::On::Name(dir, name) }, Face::Real)
    }

    /// The same inode, seen by `face`.
    #[must_use]
    pub fn seen(self, face: Face) -> Inode<'a> {
        Inode(self.0, face)
    }

    /// Calls `work` with a descriptor of it that was opened for data: it is a file or a directory.
    pub(super) fn opened<T>(&self, work: impl FnOnce(BorrowedFd<'_>) -> T) -> Result<T, Errno> {
        let hold = OFlag::O_PATH;
        let held = match self.0 {
            xattr::On::Fd(fd) => return Ok(work(fd)),
            xattr::On::PathFd(fd) => fd.try_clone_to_owned().map_err(|_| Errno::EMFILE)?,
            xattr::On::Name(dir, name) => open::openat(dir, name, hold, Mode::empty())?,
            xattr::On::Following(dir, name) => open::openat_following(dir, name, hold)?,
        };
        match attrs_of(held.as_fd())?.kind {
            Kind::File | Kind::Dir => {}
            _ => return Err(Errno::EBADFD),
        }
        let opened = open::reopen(held.as_fd(), OFlag::O_RDONLY | OFlag::O_NONBLOCK)?;
        Ok(work(opened.as_fd()))
    }

    pub(super) fn face(&self) -> Face {
        self.1
    }

    /// The names of all attributes, sorted. None where the filesystem has no such thing.
    ///
    /// # Errors
    ///
    /// `ENOENT`: vanished. `E2BIG`: more than the kernel lists. Report the entry.
    pub fn names(&self) -> Result<Vec<Box<[u8]>>, Errno> {
        let mut list = with_buffer(|buffer| {
            let len = match xattr::list(self.0, buffer) {
                Err(Errno::EOPNOTSUPP) => 0,
                Err(Errno::ERANGE) => return Err(Errno::E2BIG),
                other => other?,
            };
            let names = buffer[..len].split(|&b| b == 0).filter(|name| !name.is_empty());
            Ok(names.filter_map(|name| self.1.told(name)).map(Box::from).collect::<Vec<Box<[u8]>>>())
        })?;
        list.sort_unstable();
        list.dedup();
        Ok(list)
    }

    /// The value of `name`; `None` where there is none.
    ///
    /// # Errors
    ///
    /// `EACCES`, `EPERM`: not ours to read. Report the entry.
    pub fn get(&self, name: &[u8]) -> Result<Option<Box<[u8]>>, Errno> {
        match self.1.stored(name).map_or(Ok(None), |stored| self.get_raw(stored))? {
            // What was not written down may be there itself.
            None if self.1 == Face::Recovered && !name.starts_with(b"user.") => self.get_raw(name),
            value => Ok(value),
        }
    }

    fn get_raw(&self, name: impl Into<Vec<u8>>) -> Result<Option<Box<[u8]>>, Errno> {
        let name = CString::new(name).map_err(|_| Errno::EINVAL)?;
        with_buffer(|buffer| match xattr::get(self.0, &name, buffer) {
            Ok(len) => Ok(Some(Box::from(&buffer[..len]))),
            Err(Errno::ENODATA | Errno::EOPNOTSUPP) => Ok(None),
            Err(e) => Err(e),
        })
    }

    /// The name by which the kernel knows the attribute `name`.
    fn raw(&self, name: &[u8]) -> Result<CString, Errno> {
        let raw = self.1.stored(name).ok_or(Errno::EOPNOTSUPP)?;
        CString::new(raw).map_err(|_| Errno::EINVAL)
    }

    /// Gives `name` the value `value`.
    ///
    /// # Errors
    ///
    /// `EPERM`, `ENOSPC`, `EOPNOTSUPP` …: it is not kept. Report the entry.
    pub fn set(&self, name: &[u8], value: &[u8]) -> Result<(), Errno> {
        xattr::set(self.0, &self.raw(name)?, value)
    }

    /// Removes `name`, if it is there.
    ///
    /// # Errors
    ///
    /// As [`Inode::set`].
    pub fn remove(&self, name: &[u8]) -> Result<(), Errno> {
        match xattr::remove(self.0, &self.raw(name)?) {
            Err(Errno::ENODATA | Errno::EOPNOTSUPP) => Ok(()),
            other => other,
        }
    }

    /// All attributes whose names are `wanted`.
    ///
    /// # Errors
    ///
    /// As [`Inode::get`]; `E2BIG`: more than [`INODE_MAX`].
    pub fn read(&self, wanted: impl Fn(&[u8]) -> bool) -> Result<Xattrs, Errno> {
        let mut found = Xattrs::default();
        let mut bytes = 0;
        for name in self.names()?.into_iter().filter(|name| wanted(name)) {
            // One that was removed meanwhile is none.
            let Some(value) = self.get(&name)? else { continue };
            bytes += name.len() + value.len();
            if bytes > INODE_MAX {
                return Err(Errno::E2BIG);
            }
            found.0.push(Xattr { name, value });
        }
        Ok(found)
    }
}

/// Calls `work` with a buffer that holds the longest list and the longest value.
fn with_buffer<T>(work: impl FnOnce(&mut [u8]) -> T) -> T {
    thread_local! {
        static BUFFER: std::cell::RefCell<Vec<u8>> = const { std::cell::RefCell::new(Vec::new()) };
    }
    let mut buffer = BUFFER.take();
    buffer.resize(xattr::LIST_MAX.max(VALUE_MAX), 0);
    let result = work(&mut buffer);
    BUFFER.set(buffer);
    result
}

/// One extended attribute.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Xattr {
    /// Its name with its namespace: `user.mime_type`. 1 to [`NAME_MAX`] bytes without NUL.
    #[serde(with = "serde_bytes")]
    pub name: Box<[u8]>,
    /// Its value, at most [`VALUE_MAX`] bytes.
    #[serde(with = "serde_bytes")]
    pub value: Box<[u8]>,
}

/// Extended attributes of one inode: sorted by name, each name once, at most [`INODE_MAX`] bytes.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Xattrs(Vec<Xattr>);

impl Xattrs {
    /// Takes attributes as they come from a peer.
    ///
    /// # Errors
    ///
    /// What is not allowed: out of order, a name twice, something longer than it may be.
    pub fn new(list: Vec<Xattr>) -> Result<Xattrs, &'static str> {
        let all = Xattrs(list);
        let named = |one: &Xattr| (1..=NAME_MAX).contains(&one.name.len()) && !one.name.contains(&0);
        if !all.0.iter().all(named) {
            return Err("the name of an extended attribute has 1 to 255 bytes and no NUL");
        }
        if all.0.iter().any(|one| one.value.len() > VALUE_MAX) {
            return Err("the value of an extended attribute has at most 65536 bytes");
        }
        if !all.0.is_sorted_by(|a, b| a.name < b.name) {
            return Err("extended attributes are out of order, or one is there twice");
        }
        if all.bytes() > INODE_MAX {
            return Err("an inode has at most 1 MiB of extended attributes");
        }
        Ok(all)
    }

    /// The attributes, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Xattr> {
        self.0.iter()
    }

    /// The attributes, to be taken apart.
    #[must_use]
    pub fn into_vec(self) -> Vec<Xattr> {
        self.0
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The value of `name`, if it is among them.
    #[must_use]
    pub fn get(&self, name: &[u8]) -> Option<&[u8]> {
        let at = self.0.binary_search_by(|one| (*one.name).cmp(name)).ok()?;
        Some(&self.0[at].value)
    }

    /// Adds one, or gives it another value.
    pub fn put(&mut self, name: &[u8], value: Box<[u8]>) {
        match self.0.binary_search_by(|one| (*one.name).cmp(name)) {
            Ok(at) => self.0[at].value = value,
            Err(at) => self.0.insert(at, Xattr { name: name.into(), value }),
        }
    }

    /// Takes those whose names are not `wanted` away.
    pub fn retain(&mut self, wanted: impl Fn(&[u8]) -> bool) {
        self.0.retain(|one| wanted(&one.name));
    }

    /// Bytes of names and values together.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.0.iter().map(|one| one.name.len() + one.value.len()).sum()
    }
}

impl<'de> Deserialize<'de> for Xattrs {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Xattrs, D::Error> {
        Xattrs::new(Vec::deserialize(from)?).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)]
mod tests {
    use super::*;
    use crate::path::operand;

    fn one(name: &str, value: &[u8]) -> Xattr {
        Xattr { name: name.as_bytes().into(), value: value.into() }
    }

    #[test]
    fn what_a_peer_may_not_send_is_refused() {
        assert!(Xattrs::new(vec![one("user.a", b""), one("user.b", b"x")]).is_ok());
        for bad in [
            vec![one("user.b", b""), one("user.a", b"")],
            vec![one("user.a", b""), one("user.a", b"")],
            vec![one("", b"")],
            vec![one("user.a\0b", b"")],
            vec![one(&"x".repeat(256), b"")],
            vec![one("user.a", &[0; VALUE_MAX + 1])],
            (10..40).map(|n| one(&format!("user.{n}"), &[0; VALUE_MAX])).collect(),
        ] {
            assert!(Xattrs::new(bad).is_err());
        }
    }

    #[test]
    fn every_kind_of_descriptor_reaches_the_same_inode_and_a_link_is_itself() {
        let tmp = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        std::fs::write(tmp.path().join("f"), "").unwrap();
        std::os::unix::fs::symlink("f", tmp.path().join("l")).unwrap();
        let dir = operand::open_dir(tmp.path().as_os_str()).unwrap();
        let [f, l] = ["f", "l"].map(|name| Name::parse(name.as_bytes()).unwrap());
        let file = dir.open_file(&f).unwrap();
        let file = Inode::file(std::os::fd::AsFd::as_fd(&file));
        match file.set(b"user.a", b"1") {
            Err(Errno::EOPNOTSUPP) => return,
            other => other.unwrap(),
        }
        let pinned = dir.pin(&f).unwrap();
        let ways =
            [Inode::pinned(&pinned), Inode::named(&dir, &f, false), Inode::named(&dir, &l, true), file];
        for (at, inode) in ways.iter().enumerate() {
            let name = format!("user.{at}");
            assert_eq!(inode.get(b"user.a").unwrap().as_deref(), Some(&b"1"[..]), "{inode:?}");
            inode.set(name.as_bytes(), &[7; 300]).unwrap();
            let read = inode.read(|name| name.starts_with(b"user.")).unwrap();
            assert_eq!(read.get(name.as_bytes()), Some(&[7; 300][..]));
            inode.remove(name.as_bytes()).unwrap();
            inode.remove(name.as_bytes()).unwrap();
            assert_eq!(inode.get(name.as_bytes()).unwrap(), None);
        }
        assert!(Inode::named(&dir, &l, false).read(|name| name.starts_with(b"user.")).unwrap().is_empty());
        assert!(Inode::pinned(&dir.pin(&l).unwrap()).set(b"user.x", b"").is_err(), "links have no user.*");
        assert_eq!(file.get(b"user.x").unwrap(), None, "and are not followed");
    }
}
