//! `Face`: how the inodes of one side are seen, as they are or as `--fake-super` has them.
//!
//! Only root can give files away, make devices, or set what is in the namespaces `trusted` and `security`. With
//! `--fake-super` such things are written down in extended attributes of the namespace `user`, which are those
//! that rsync 3.5.0 writes and reads (observed by running it):
//!
//! - `user.rsync.%stat`: `100644 0,0 1000:1000`, which is type and permissions in octal, the device's number, owner
//!   and group; left out where the inode itself says so. Links, devices, FIFOs and sockets are empty files, but
//!   for the text of a link.
//! - `user.rsync.%aacl` and `user.rsync.%dacl`: access control lists ([`Acl`](super::acl::Acl) has their form).
//! - `user.rsync.trusted.x` is the extended attribute `trusted.x`.
//!
//! What is written there can be anything, since whoever owns the file can set it. It is taken for what it says of
//! this one entry, never for more: a directory stays one and nothing else becomes one.

use nix::libc;

use super::attrs::{Attrs, Kind};
use super::dir::Dir;
use super::name::Name;
use super::xattr::Inode;
use crate::sys::Errno;

/// The attribute that says what an inode stands for.
const STAT: &[u8] = b"user.rsync.%stat";

/// What is before the name of an extended attribute that only root could set.
const PREFIX: &[u8] = b"user.rsync.";

/// The longest text of a link in bytes.
const LINK_MAX: usize = 4095;

/// How the inodes of one side are seen.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Face {
    /// As they are.
    #[default]
    Real,
    /// A source's, with what was written down. Extended attributes that an inode has itself count where no other
    /// is written down.
    Recovered,
    /// A destination's, where things are written down. What it has of other namespaces is not looked at.
    Stored,
}

/// Why it is not known what an entry is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Unseen {
    /// The kernel's answer.
    Os(Errno),
    /// `user.rsync.%stat` holds this.
    Corrupt(Box<[u8]>),
}

impl From<Errno> for Unseen {
    fn from(errno: Errno) -> Unseen {
        Unseen::Os(errno)
    }
}

impl Face {
    /// Whether inodes are seen as they are.
    #[must_use]
    pub fn is_real(self) -> bool {
        self == Face::Real
    }

    /// The attributes of `inode`, which itself has `real`.
    ///
    /// # Errors
    ///
    /// What is written down cannot be read, or is nonsense: report the entry.
    pub fn attrs(self, inode: Inode<'_>, real: Attrs) -> Result<Attrs, Unseen> {
        if self.is_real() || !matches!(real.kind, Kind::File | Kind::Dir) {
            return Ok(real);
        }
        match inode.seen(Face::Real).get(STAT)? {
            Some(text) => parse(&text, real).ok_or(Unseen::Corrupt(text)),
            None => Ok(real),
        }
    }

    /// The attributes of `name` in `dir`, a symbolic link not followed.
    ///
    /// # Errors
    ///
    /// As [`Dir::stat`] and [`Face::attrs`].
    pub fn stat(self, dir: &Dir, name: &Name) -> Result<Attrs, Unseen> {
        if self.is_real() {
            return Ok(dir.stat(name)?);
        }
        let pinned = dir.pin(name)?;
        self.attrs(Inode::pinned(&pinned), pinned.attrs)
    }

    /// As [`Face::stat`], with `None` for an entry that does not exist.
    ///
    /// # Errors
    ///
    /// Any but `ENOENT`.
    pub fn stat_if_any(self, dir: &Dir, name: &Name) -> Result<Option<Attrs>, Unseen> {
        match self.stat(dir, name) {
            Ok(attrs) => Ok(Some(attrs)),
            Err(Unseen::Os(Errno::ENOENT)) => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// The attributes of the open directory `dir`.
    ///
    /// # Errors
    ///
    /// As [`Dir::attrs`] and [`Face::attrs`].
    pub fn of_dir(self, dir: &Dir) -> Result<Attrs, Unseen> {
        self.attrs(Inode::dir(dir), dir.attrs()?)
    }

    /// The text of the symbolic link `name` in `dir`, and whether it is one that is only written down.
    ///
    /// # Errors
    ///
    /// As [`Dir::read_link`]. Of a link that is written down: `EINVAL` for a text that none can have, and for a
    /// destination's real link, which is to be replaced by one that is written down.
    pub fn read_link(self, dir: &Dir, name: &Name) -> Result<(Vec<u8>, bool), Errno> {
        if self != Face::Stored {
            match dir.read_link(name) {
                Err(Errno::EINVAL) if !self.is_real() => {}
                other => return other.map(|text| (text, false)),
            }
        }
        let text =
            dir.read_small(name, LINK_MAX).map_err(|e| if e == Errno::EFBIG { Errno::EINVAL } else { e })?;
        let text = text.filter(|text| !text.is_empty() && !text.contains(&0));
        text.map(|text| (text, true)).ok_or(Errno::EINVAL)
    }

    /// Writes down that `inode`, which itself has `real`, stands for `wanted`; or takes that away where it says
    /// so itself. What is there already is not set again.
    ///
    /// # Errors
    ///
    /// As [`Inode::set`]: the entry has its data, and these attributes are not kept.
    pub fn write(inode: Inode<'_>, real: &Attrs, wanted: &Attrs) -> Result<(), Errno> {
        let inode = inode.seen(Face::Real);
        let same = |a: &Attrs, b: &Attrs| (a.kind, a.mode, a.uid, a.gid) == (b.kind, b.mode, b.uid, b.gid);
        if same(real, wanted) {
            // Where the filesystem has no such attributes there is none to remove.
            return inode.remove(STAT);
        }
        let text = format(wanted);
        if inode.get(STAT).is_ok_and(|now| now.as_deref() == Some(text.as_bytes())) {
            return Ok(());
        }
        inode.set(STAT, text.as_bytes())
    }

    /// The name by which the attribute `raw` of an inode is seen; `None`: it is not.
    pub(super) fn told(self, raw: &[u8]) -> Option<&[u8]> {
        if self.is_real() {
            return Some(raw);
        }
        match raw.strip_prefix(PREFIX) {
            Some(rest) if rest.starts_with(b"%") => None,
            Some(rest) if is_written_down(rest) => Some(rest),
            Some(_) => Some(raw),
            None => (raw.starts_with(b"user.") || self == Face::Recovered).then_some(raw),
        }
    }

    /// Under which name the attribute `name` is written down; `None`: there is no way.
    pub(super) fn stored(self, name: &[u8]) -> Option<Vec<u8>> {
        let plain = match name.strip_prefix(PREFIX) {
            // As it is it would be read as something else.
            Some(rest) => !rest.starts_with(b"%") && !is_written_down(rest),
            None => name.starts_with(b"user."),
        };
        if self.is_real() || plain {
            return Some(name.to_vec());
        }
        is_written_down(name).then(|| [PREFIX, name].concat())
    }
}

/// The permission bits of an inode that stands for something with `mode`: whoever wrote it down can use it, and
/// nothing runs with another's rights.
#[must_use]
pub fn usable_mode(mode: u32, is_dir: bool) -> u32 {
    mode & 0o777 | if is_dir { 0o700 } else { 0o600 }
}

/// Whether an extended attribute of this name is written down under another one. Names in `user.rsync.` are where
/// they would be taken for that themselves.
fn is_written_down(name: &[u8]) -> bool {
    [PREFIX, b"trusted.", b"security.", b"system."].iter().any(|space| name.starts_with(space))
}

fn format(attrs: &Attrs) -> String {
    let rdev = if attrs.kind.is_device() { attrs.rdev } else { 0 };
    let (major, minor) = (libc::major(rdev), libc::minor(rdev));
    format!("{:o} {major},{minor} {}:{}", attrs.kind.mode_bits() | attrs.mode, attrs.uid, attrs.gid)
}

/// What `text` says of an inode that itself has `real`; `None`: nonsense.
fn parse(text: &[u8], real: Attrs) -> Option<Attrs> {
    let mut words = std::str::from_utf8(text).ok()?.split_ascii_whitespace();
    let (mode, device, owner) = (words.next()?, words.next()?, words.next()?);
    if words.next().is_some() || !mode.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let mode = u32::from_str_radix(mode, 8).ok()?;
    let kind = Kind::from_mode(mode);
    // A type that there is none of counts as a socket's.
    if mode & !0o7777 != kind.mode_bits() || (kind == Kind::Dir) != (real.kind == Kind::Dir) {
        return None;
    }
    let (major, minor) = numbers(device, ',')?;
    let (uid, gid) = numbers(owner, ':').filter(|(uid, gid)| *uid != u32::MAX && *gid != u32::MAX)?;
    let rdev = if kind.is_device() { libc::makedev(major, minor) } else { 0 };
    Some(Attrs { kind, mode: mode & 0o7777, uid, gid, rdev, ..real })
}

fn numbers(text: &str, between: char) -> Option<(u32, u32)> {
    let (first, second) = text.split_once(between)?;
    let number = |text: &str| text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok())?;
    Some((number(first)?, number(second)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::path::Time;

    fn file() -> Attrs {
        let time = Time::default();
        Attrs {
            kind: Kind::File,
            mode: 0o644,
            uid: 7,
            gid: 8,
            size: 3,
            mtime: time,
            atime: time,
            dev: 1,
            ino: 2,
            nlink: 1,
            rdev: 0,
            allocated: 0,
        }
    }

    #[test]
    fn what_is_written_down_comes_back_and_says_nothing_of_the_inode_itself() {
        for (kind, mode, rdev) in [
            (Kind::File, 0o4711, 0),
            (Kind::Symlink, 0o777, 0),
            (Kind::CharDevice, 0o600, libc::makedev(5, 300)),
            (Kind::BlockDevice, 0o640, libc::makedev(259, 70000)),
            (Kind::Fifo, 0, 0),
            (Kind::Socket, 0o7777, 0),
        ] {
            let wanted = Attrs { kind, mode, rdev, uid: 0, gid: u32::MAX - 1, ..file() };
            assert_eq!(parse(format(&wanted).as_bytes(), file()), Some(wanted));
        }
        assert_eq!(format(&file()), "100644 0,0 7:8");
        assert_eq!(parse(b" 100644  0,0 7:8\n", file()), Some(file()), "as rsync reads it");
    }

    #[test]
    fn nonsense_is_none_and_a_directory_stays_one() {
        for bad in [
            "",
            "x",
            "100644",
            "100644 0,0",
            "100644 0,0 1",
            "100644 0 1:2",
            "100644 0,0 -1:2",
            "100644 0,0 4294967295:2",
            "100644 0,0 1:4294967295",
            "100644 0,0 4294967296:2",
            "644 0,0 1:2",
            "0 0,0 1:2",
            "170000 0,0 1:2",
            "1100644 0,0 1:2",
            "40755 0,0 1:2",
            "+100644 0,0 1:2",
            "100644 0,0 +1:2",
            "100684 0,0 1:2",
            "100644 0,0 1:2 x",
            "100644 ,0 1:2",
            "777777777777777 0,0 1:2",
            "100644 0,0 1:2\0",
        ] {
            assert_eq!(parse(bad.as_bytes(), file()), None, "{bad:?}");
        }
        let dir = Attrs { kind: Kind::Dir, ..file() };
        assert_eq!(parse(b"100644 0,0 1:2", dir), None);
        assert_eq!(parse(b"\xff\xfe", file()), None);
        assert_eq!(parse(b"41777 0,0 1:2", dir).map(|a| a.mode), Some(0o1777));
    }

    #[test]
    fn every_name_is_written_down_under_one_that_is_seen_as_it() {
        for name in [
            "user.a",
            "trusted.x",
            "security.capability",
            "system.nfs4_acl",
            "user.rsync.foo",
            "user.rsync.%stat",
            "user.rsync.trusted.x",
            "user.rsync.user.rsync.%stat",
            "user.rsync.",
        ] {
            let stored = Face::Stored.stored(name.as_bytes()).unwrap();
            assert!(stored.starts_with(b"user."), "{name}");
            assert!(!stored.starts_with(b"user.rsync.%"), "{name}");
            for face in [Face::Stored, Face::Recovered] {
                assert_eq!(face.told(&stored), Some(name.as_bytes()));
            }
        }
        for never in ["%stat", "%aacl", "foo", ""] {
            assert_eq!(Face::Stored.stored(never.as_bytes()), None, "{never}");
        }
        for hidden in ["user.rsync.%stat", "user.rsync.%dacl", "user.rsync.%anything"] {
            assert_eq!(Face::Recovered.told(hidden.as_bytes()), None);
        }
        assert_eq!(Face::Stored.told(b"trusted.x"), None);
        assert_eq!(Face::Recovered.told(b"trusted.x"), Some(&b"trusted.x"[..]));
    }
}
