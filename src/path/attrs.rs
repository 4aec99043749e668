//! `Attrs`: what an entry is, as values, read once from a descriptor or a listing.

use std::time::SystemTime;

use nix::libc;
use serde::{Deserialize, Serialize};

use crate::sys::stat::Stat;

/// The type of an entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, Serialize, Deserialize)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Dir,
    /// A symbolic link.
    Symlink,
    /// A character device.
    CharDevice,
    /// A block device.
    BlockDevice,
    /// A FIFO.
    Fifo,
    /// A socket.
    Socket,
}

impl Kind {
    /// Whether `--devices` governs it.
    #[must_use]
    pub fn is_device(self) -> bool {
        matches!(self, Kind::CharDevice | Kind::BlockDevice)
    }

    /// Whether `--specials` governs it.
    #[must_use]
    pub fn is_special(self) -> bool {
        matches!(self, Kind::Fifo | Kind::Socket)
    }

    /// The kind that the file type bits of `mode` name; sockets stand for unknown types too.
    #[must_use]
    pub fn from_mode(mode: u32) -> Kind {
        match mode & libc::S_IFMT {
            libc::S_IFREG => Kind::File,
            libc::S_IFDIR => Kind::Dir,
            libc::S_IFLNK => Kind::Symlink,
            libc::S_IFCHR => Kind::CharDevice,
            libc::S_IFBLK => Kind::BlockDevice,
            libc::S_IFIFO => Kind::Fifo,
            _ => Kind::Socket,
        }
    }

    /// The file type bits (`S_IFMT`) of this kind.
    #[must_use]
    pub fn mode_bits(self) -> u32 {
        match self {
            Kind::File => libc::S_IFREG,
            Kind::Dir => libc::S_IFDIR,
            Kind::Symlink => libc::S_IFLNK,
            Kind::CharDevice => libc::S_IFCHR,
            Kind::BlockDevice => libc::S_IFBLK,
            Kind::Fifo => libc::S_IFIFO,
            Kind::Socket => libc::S_IFSOCK,
        }
    }
}

/// A point in time: seconds since 1970 (negative before) and nanoseconds, 0..=999,999,999.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Hash, Serialize, Deserialize)]
pub struct Time {
    /// Seconds since 1970-01-01 00:00 UTC.
    pub sec: i64,
    /// Nanoseconds after `sec`.
    #[serde(deserialize_with = "nanoseconds")]
    pub nsec: u32,
}

impl Time {
    /// Now.
    #[must_use]
    pub fn now() -> Time {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Time { sec: i64::try_from(since.as_secs()).unwrap_or(i64::MAX), nsec: since.subsec_nanos() }
    }

    /// Seconds and nanoseconds, as the kernel's calls take them.
    #[must_use]
    pub fn parts(self) -> (i64, i64) {
        (self.sec, i64::from(self.nsec))
    }
}

fn nanoseconds<'de, D: serde::Deserializer<'de>>(from: D) -> Result<u32, D::Error> {
    let nsec = u32::deserialize(from)?;
    if nsec > 999_999_999 {
        return Err(serde::de::Error::custom("a second has no more than 999,999,999 nanoseconds"));
    }
    Ok(nsec)
}

/// The attributes of one entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Attrs {
    /// The type.
    pub kind: Kind,
    /// Permission bits, `0o7777`.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Length in bytes: a file's data, a link's text.
    pub size: u64,
    /// Modification time.
    pub mtime: Time,
    /// Access time.
    pub atime: Time,
    /// The filesystem's device number.
    pub dev: u64,
    /// The inode's number.
    pub ino: u64,
    /// How many names the inode has.
    pub nlink: u64,
    /// For a device node: which device.
    pub rdev: u64,
    /// Space taken, in bytes.
    pub allocated: u64,
}

impl Attrs {
    /// Takes the kernel's record apart.
    #[must_use]
    #[allow(clippy::cast_sign_loss, clippy::cast_possible_truncation)] // sizes and nanoseconds are never negative
    pub fn from_stat(st: &Stat) -> Attrs {
        Attrs {
            kind: Kind::from_mode(st.st_mode),
            mode: st.st_mode & 0o7777,
            uid: st.st_uid,
            gid: st.st_gid,
            size: st.st_size as u64,
            mtime: Time { sec: st.st_mtime, nsec: st.st_mtime_nsec as u32 },
            atime: Time { sec: st.st_atime, nsec: st.st_atime_nsec as u32 },
            dev: st.st_dev,
            ino: st.st_ino,
            nlink: st.st_nlink,
            rdev: st.st_rdev,
            allocated: (st.st_blocks as u64).saturating_mul(512),
        }
    }

    /// Whether two records describe the same inode.
    #[must_use]
    pub fn same_inode(&self, other: &Attrs) -> bool {
        self.dev == other.dev && self.ino == other.ino
    }
}
