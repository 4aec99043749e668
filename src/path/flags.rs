//! `Flags`: what chattr(1) sets of an inode, and the project that it counts for (`--fileflags`).
//!
//! Two of them are apart: what is immutable or append-only cannot be written to, renamed, linked, or get any other
//! attribute. They are taken away before anything is done, and set when everything is ([`Flags::unlocked`]).

use std::os::fd::BorrowedFd;

use serde::{Deserialize, Deserializer, Serialize};

use super::xattr::Inode;
use crate::sys::{Errno, inode_flags};

/// `FS_…_FL` of linux/fs.h that are kept, with chattr's letters. What says how a file is stored by its filesystem
/// (encryption, verity, extents, case folding) is not.
const KEPT: &[(u32, char)] = &[
    (0x0000_0001, 's'),
    (0x0000_0002, 'u'),
    (0x0000_0004, 'c'),
    (0x0000_0008, 'S'),
    (IMMUTABLE, 'i'),
    (APPEND, 'a'),
    (0x0000_0040, 'd'),
    (0x0000_0080, 'A'),
    (0x0000_0400, 'm'),
    (0x0000_4000, 'j'),
    (0x0000_8000, 't'),
    (0x0001_0000, 'D'),
    (0x0002_0000, 'T'),
    (NO_COW, 'C'),
    (0x0200_0000, 'x'),
    (0x2000_0000, 'P'),
];

const IMMUTABLE: u32 = 0x0000_0010;
const APPEND: u32 = 0x0000_0020;
const NO_COW: u32 = 0x0080_0000;

/// What is kept of an inode's flags.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Flags {
    bits: u32,
    /// The project; 0 is none.
    project: u32,
}

/// Flags that could not be set.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unkept {
    /// Which: chattr's letters, or `project N`.
    pub what: String,
    /// The kernel's answer.
    pub errno: Errno,
}

impl Flags {
    /// These bits and this project; `None` if one of the bits is not kept.
    #[must_use]
    pub fn new(bits: u32, project: u32) -> Option<Flags> {
        (bits & !kept() == 0).then_some(Flags { bits, project })
    }

    /// Whether one of the two is set that keep an inode from being changed.
    #[must_use]
    pub fn locks(self) -> bool {
        self.bits & (IMMUTABLE | APPEND) != 0
    }

    /// The same without those two.
    #[must_use]
    pub fn unlocked(self) -> Flags {
        Flags { bits: self.bits & !(IMMUTABLE | APPEND), ..self }
    }

    fn of(fd: BorrowedFd<'_>) -> Result<Flags, Errno> {
        let bits = or_none(inode_flags::get(fd))? & kept();
        Ok(Flags { bits, project: or_none(inode_flags::project(fd))? })
    }

    fn set(self, fd: BorrowedFd<'_>) -> Result<(), Unkept> {
        let project = || -> Result<(), Errno> {
            if or_none(inode_flags::project(fd))? == self.project {
                return Ok(());
            }
            inode_flags::set_project(fd, self.project)
        };
        let failed = |errno| Unkept { what: format!("project {}", self.project), errno };
        // It comes first, and the flags are set all the same: some of them lock the inode.
        let project = project().map_err(failed);
        self.set_bits(fd).and(project)
    }

    fn set_bits(self, fd: BorrowedFd<'_>) -> Result<(), Unkept> {
        let unkept = |bits, errno| Unkept { what: letters(bits), errno };
        let mut now = or_none(inode_flags::get(fd)).map_err(|errno| unkept(self.bits, errno))?;
        let differs = (now & kept()) ^ self.bits;
        if differs == 0 {
            return Ok(());
        }
        let all = inode_flags::set(fd, now ^ differs);
        let Err(errno) = all else { return Ok(()) };
        // Those that this filesystem has, one by one; what locks the inode comes last.
        let (mut failed, mut why) = (0, errno);
        let lock = |bit: &u32| matches!(*bit, IMMUTABLE | APPEND);
        let bits = KEPT.iter().map(|(bit, _)| *bit).filter(|bit| differs & bit != 0);
        for bit in bits.clone().filter(|bit| !lock(bit)).chain(bits.filter(lock)) {
            match inode_flags::set(fd, now ^ bit) {
                Ok(()) => now ^= bit,
                Err(errno) => (failed, why) = (failed | bit, errno),
            }
        }
        if failed == 0 { Ok(()) } else { Err(unkept(failed, why)) }
    }
}

impl Inode<'_> {
    /// Its flags, which only files and directories have.
    ///
    /// # Errors
    ///
    /// `EACCES`: not ours to open. `EBADFD`: neither file nor directory (any more). Report the entry.
    pub fn flags(&self) -> Result<Flags, Errno> {
        self.opened(Flags::of)?
    }

    /// Gives it these flags.
    ///
    /// # Errors
    ///
    /// Which of them are not kept; the others are.
    pub fn set_flags(&self, flags: Flags) -> Result<(), Unkept> {
        let failed = |errno| Unkept { what: letters(flags.bits), errno };
        self.opened(|fd| flags.set(fd)).map_err(failed)?
    }

    /// Has an empty file be copied on write, or not, as `flags` say: later it is too late.
    ///
    /// # Errors
    ///
    /// It stays as it is; [`Inode::set_flags`] tells.
    pub fn set_cow(&self, flags: Flags) -> Result<(), Errno> {
        self.opened(|fd| {
            let now = or_none(inode_flags::get(fd))?;
            let differs = (now ^ flags.bits) & NO_COW;
            if differs == 0 { Ok(()) } else { inode_flags::set(fd, now ^ differs) }
        })?
    }
}

fn kept() -> u32 {
    KEPT.iter().fold(0, |all, (bit, _)| all | bit)
}

/// A filesystem that knows no flags has none set.
fn or_none(asked: Result<u32, Errno>) -> Result<u32, Errno> {
    match asked {
        Err(Errno::ENOTTY | Errno::EOPNOTSUPP | Errno::ENOSYS | Errno::EINVAL) => Ok(0),
        other => other,
    }
}

fn letters(bits: u32) -> String {
    KEPT.iter().filter(|(bit, _)| bits & bit != 0).map(|(_, letter)| letter).collect()
}

impl<'de> Deserialize<'de> for Flags {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Flags, D::Error> {
        let (bits, project) = <(u32, u32)>::deserialize(from)?;
        Flags::new(bits, project).ok_or_else(|| serde::de::Error::custom("flags that are not kept"))
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)]
mod tests {
    use super::*;

    #[test]
    fn flags_come_back_and_what_cannot_be_set_is_named() {
        let file = tempfile::NamedTempFile::new_in(".").unwrap();
        let fd = std::os::fd::AsFd::as_fd(file.as_file());
        let inode = Inode::file(fd);
        let before = inode.flags().unwrap();
        let no_dump = Flags { bits: before.bits | 0x40, ..before };
        match inode.set_flags(no_dump) {
            Ok(()) => assert_eq!(inode.flags().unwrap(), no_dump),
            // A filesystem without flags.
            Err(e) => return assert_eq!(e.what, "d"),
        }
        // ext4, XFS and tmpfs have no files without copy-on-write, and nothing is undeletable anywhere.
        let odd = Flags { bits: no_dump.bits | 0x82 | 0x2, ..before };
        let set = inode.set_flags(odd);
        assert_eq!(inode.flags().unwrap().bits & 0x80, 0x80, "the rest is set");
        if let Err(e) = set {
            assert_eq!(e.what, "u");
        }
        inode.set_flags(before).unwrap();
        assert_eq!(inode.flags().unwrap(), before);
    }

    #[test]
    fn only_flags_that_are_kept_are_taken() {
        assert_eq!(Flags::new(0x0008_0000, 0), None, "extents are the filesystem's business");
        assert!(Flags::new(0x30, 7).is_some_and(Flags::locks));
        assert_eq!(Flags::new(0x50, 7).map(Flags::unlocked), Flags::new(0x40, 7));
        assert_eq!(letters(0x0080_0050), "idC");
    }
}
