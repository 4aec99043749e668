//! `Listed`: one entry of a listing, as it travels.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::codec::{Flaw, encoded_len, require};
use crate::engine::digest::Digest;
use crate::event::Note;
use crate::path::{Attrs, Kind, Name, Time};
use crate::plan;
use crate::plan::attached::Attached;
use crate::plan::owners::NOBODYS;

/// The longest text of a symbolic link in bytes: Linux's `PATH_MAX` without its terminator.
pub const LINK_MAX: usize = 4095;

/// The greatest size of a file in bytes: what a file offset can hold.
pub const SIZE_MAX: u64 = i64::MAX as u64;

/// What Linux calls an owner that it has no number for.
const UNMAPPED: u32 = 65_534;

/// The attributes of an entry that take part in a transfer, as the destination is to have them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Properties {
    /// The type; that of the referent, where a link is followed.
    pub kind: Kind,
    /// Permission bits, at most `0o7777`.
    pub mode: u32,
    /// Owner, never 4294967295: that is nobody's number.
    pub uid: u32,
    /// Group, likewise.
    pub gid: u32,
    /// Length in bytes, at most [`SIZE_MAX`].
    pub size: u64,
    /// Modification time.
    pub mtime: Time,
}

impl Properties {
    /// Those of `attrs`.
    #[must_use]
    pub fn of(attrs: &Attrs) -> Properties {
        let Attrs { kind, mode, uid, gid, size, mtime, .. } = *attrs;
        // A broken filesystem may report anything; what the peer would refuse is not sent.
        let mtime = whole(mtime);
        let somebody = |id: u32| if id == NOBODYS { UNMAPPED } else { id };
        let (uid, gid) = (somebody(uid), somebody(gid));
        Properties { kind, mode: mode & 0o7777, uid, gid, size: size.min(SIZE_MAX), mtime }
    }

    /// As a full record: what did not travel is zero, and the inode has one name.
    #[must_use]
    pub fn into_attrs(self) -> Attrs {
        let Properties { kind, mode, uid, gid, size, mtime } = self;
        let (dev, ino, nlink, rdev) = (0, 0, 1, 0);
        Attrs { kind, mode, uid, gid, size, mtime, atime: mtime, dev, ino, nlink, rdev, allocated: size }
    }

    pub(super) fn check(&self) -> Result<(), Flaw> {
        require(self.mode <= 0o7777, "mode", "more than permission bits")?;
        require(self.uid != NOBODYS, "uid", "nobody's number")?;
        require(self.gid != NOBODYS, "gid", "nobody's number")?;
        require(self.size <= SIZE_MAX, "size", "larger than a file can be")
    }
}

fn whole(time: Time) -> Time {
    Time { sec: time.sec, nsec: time.nsec.min(999_999_999) }
}

/// What tells which entries are names of one inode (`--hard-links`).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Inode {
    /// The sender's device number.
    pub dev: u64,
    /// The inode's number.
    pub ino: u64,
    /// How many names it has, at least 2.
    pub nlink: u64,
}

/// One entry of a listing.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Listed {
    /// Its name in the directory.
    pub name: Name,
    /// Its attributes.
    pub properties: Properties,
    /// Which of the session's sources has it, by its place in [`super::to_receiver::Roots::prefixes`].
    pub source: u32,
    /// It is a symbolic link of which the referent is copied.
    pub followed: bool,
    /// A directory on the way to what was asked for (`--relative`), not asked for itself.
    pub implied: bool,
    /// It is not transferred, and not deleted at the destination either; the note says why.
    pub skipped: Option<Note>,
    /// A symbolic link's text, 1 to [`LINK_MAX`] bytes without NUL; for a symbolic link and nothing else.
    #[serde(with = "serde_bytes")]
    pub link: Option<Box<[u8]>>,
    /// Which device; for device nodes and nothing else.
    pub rdev: Option<u64>,
    /// With `--atimes`, its access time; never for a directory.
    pub atime: Option<Time>,
    /// With `--hard-links`, for what is not a directory and has several names.
    pub inode: Option<Inode>,
    /// With `--checksum`, for a regular file that could be read.
    pub digest: Option<Digest>,
    /// With `--acls` and `--xattrs`, for what is not skipped and could be read.
    pub attached: Option<Arc<Attached>>,
}

impl Listed {
    /// The entry as it travels, with what `options` ask for. `source` is its source's place among those of the
    /// session ([`plan::entry::Entry::source`] is that among those of its directory).
    #[must_use]
    pub fn of(
        entry: &plan::entry::Entry,
        source: u32,
        options: &plan::Options,
        digest: Option<Digest>,
    ) -> Listed {
        let attrs = &entry.attrs;
        let inode = Inode { dev: attrs.dev, ino: attrs.ino, nlink: attrs.nlink };
        Listed {
            name: entry.name.clone(),
            properties: Properties::of(attrs),
            source,
            followed: entry.followed,
            implied: entry.implied,
            skipped: entry.skipped.as_deref().cloned(),
            link: entry.link.clone(),
            rdev: attrs.kind.is_device().then_some(attrs.rdev),
            atime: (options.atimes && attrs.kind != Kind::Dir).then_some(whole(attrs.atime)),
            inode: (options.hard_links && attrs.kind != Kind::Dir && attrs.nlink > 1).then_some(inode),
            digest: digest.filter(|_| attrs.kind == Kind::File),
            attached: entry.attached.clone(),
        }
    }

    /// The entry as the receiving half of the plan takes it: without members, which are the sender's
    /// business, and without the destination's own name for it.
    #[must_use]
    pub fn into_entry(self) -> plan::entry::Entry {
        let mut attrs = self.properties.into_attrs();
        attrs.rdev = self.rdev.unwrap_or(0);
        attrs.atime = self.atime.unwrap_or(attrs.mtime);
        if let Some(Inode { dev, ino, nlink }) = self.inode {
            (attrs.dev, attrs.ino, attrs.nlink) = (dev, ino, nlink);
        }
        plan::entry::Entry {
            // Its place in the whole directory, which only whoever puts that together knows.
            number: 0,
            name: self.name,
            attrs,
            link: self.link,
            followed: self.followed,
            source: self.source as usize,
            shares: Vec::new(),
            skipped: self.skipped.map(Box::new),
            implied: self.implied,
            renamed: None,
            digest: self.digest.map(|digest| Box::new(digest.0)),
            attached: self.attached,
        }
    }

    /// For how many entries it counts in [`super::WINDOW`].
    #[must_use]
    pub fn weight(&self) -> usize {
        1 + self.attached.as_ref().map_or(0, |attached| attached.weight())
    }

    /// The memory that it takes, in bytes.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        let note = self.skipped.as_ref().map_or(0, encoded_len);
        let link = self.link.as_ref().map_or(0, |text| text.len());
        let attached = self.attached.as_ref().map_or(0, |attached| attached.bytes());
        size_of::<Listed>() + self.name.as_bytes().len() + link + note + attached
    }

    /// Whether it is a directory with a listing of its own, and so with a number.
    #[must_use]
    pub fn is_listed_dir(&self) -> bool {
        self.properties.kind == Kind::Dir && self.skipped.is_none()
    }

    pub(super) fn check(&self) -> Result<(), Flaw> {
        let kind = self.properties.kind;
        self.properties.check()?;
        require(
            self.link.is_some() == (kind == Kind::Symlink),
            "link",
            "a symbolic link has a text, and only it",
        )?;
        if let Some(text) = &self.link {
            let fits = (1..=LINK_MAX).contains(&text.len()) && !text.contains(&0);
            require(fits, "link", "a link's text has 1 to 4095 bytes and no NUL")?;
        }
        require(self.rdev.is_some() == kind.is_device(), "rdev", "a device node has a number, and only it")?;
        let several = self.inode.is_none_or(|inode| inode.nlink > 1 && kind != Kind::Dir);
        require(several, "inode", "only what has several names, and no directory, is told by its inode")?;
        require(self.atime.is_none() || kind != Kind::Dir, "atime", "a directory's is not told")?;
        require(self.digest.is_none() || kind == Kind::File, "digest", "only a regular file has one")?;
        if let Some(attached) = &self.attached {
            let flaw = |(field, cause)| Flaw::new(&format!("attached.{field}"), cause);
            attached.check(kind).map_err(flaw)?;
        }
        require(!self.implied || kind == Kind::Dir, "implied", "only a directory lies on the way")
    }
}
