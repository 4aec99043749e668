//! POSIX access control lists, in the form in which the kernel hands them out as extended attributes
//! (`linux/posix_acl_xattr.h`): version 2, then entries of tag, permissions and number, little-endian.

use serde::{Deserialize, Deserializer, Serialize};

use super::face::Face;
use super::xattr::{Inode, VALUE_MAX};
use crate::sys::Errno;

mod written;

/// The attribute that holds the list which decides about access.
const ACCESS: &[u8] = b"system.posix_acl_access";

/// The attribute of a directory that holds the list which what is made in it begins with.
const DEFAULT: &[u8] = b"system.posix_acl_default";

const VERSION: u32 = 2;
const USER_OBJ: u16 = 0x01;
const USER: u16 = 0x02;
const GROUP_OBJ: u16 = 0x04;
const GROUP: u16 = 0x08;
const MASK: u16 = 0x10;
const OTHER: u16 = 0x20;

/// The number of an entry that has none.
const NO_ID: u32 = u32::MAX;

/// The most entries: what the longest value of an extended attribute has room for.
pub const ENTRIES_MAX: usize = (VALUE_MAX - 4) / 8;

/// Whether the kernel hands out a list as the extended attribute `name`.
#[must_use]
pub fn is_list(name: &[u8]) -> bool {
    name == ACCESS || name == DEFAULT
}

/// Which of an inode's two lists.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Which {
    /// The one that decides about access.
    Access,
    /// A directory's, for what is made in it.
    Default,
}

impl Which {
    fn name(self) -> &'static [u8] {
        match self {
            Which::Access => ACCESS,
            Which::Default => DEFAULT,
        }
    }
}

/// One entry: its tag, its permissions (`0o7`), the user or group that it is about.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
struct Entry(u16, u16, u32);

/// A list that says more than permission bits can, sorted by tag and number.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Acl(Vec<Entry>);

impl Acl {
    /// Takes a list from the bytes of its attribute; `None` if they are none.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Acl> {
        let (version, entries) = bytes.split_first_chunk::<4>()?;
        if u32::from_le_bytes(*version) != VERSION || entries.len() % 8 != 0 {
            return None;
        }
        let entry = |e: &[u8]| match *e {
            [t0, t1, p0, p1, i0, i1, i2, i3] => Some(Entry(
                u16::from_le_bytes([t0, t1]),
                u16::from_le_bytes([p0, p1]),
                u32::from_le_bytes([i0, i1, i2, i3]),
            )),
            _ => None,
        };
        let entries: Option<Vec<Entry>> = entries.chunks_exact(8).map(entry).collect();
        Acl::new(entries?)
    }

    /// Puts entries in order, and sees that they are a list.
    fn new(mut entries: Vec<Entry>) -> Option<Acl> {
        for Entry(tag, _, id) in &mut entries {
            if !matches!(*tag, USER | GROUP) {
                *id = NO_ID;
            }
        }
        entries.sort_unstable_by_key(|Entry(tag, _, id)| (*tag, *id));
        let known = |e: &Entry| matches!(e.0, USER_OBJ | USER | GROUP_OBJ | GROUP | MASK | OTHER) && e.1 <= 7;
        let once = entries.is_sorted_by(|a, b| (a.0, a.2) < (b.0, b.2));
        let has = |tag| entries.iter().any(|e| e.0 == tag);
        let whole =
            [USER_OBJ, GROUP_OBJ, OTHER].into_iter().all(has) && (has(MASK) || !has(USER) && !has(GROUP));
        let fits = entries.len() <= ENTRIES_MAX && entries.iter().all(known);
        (once && whole && fits).then_some(Acl(entries))
    }

    /// The bytes of its attribute.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = VERSION.to_le_bytes().to_vec();
        for Entry(tag, perm, id) in &self.0 {
            bytes.extend_from_slice(&tag.to_le_bytes());
            bytes.extend_from_slice(&perm.to_le_bytes());
            bytes.extend_from_slice(&id.to_le_bytes());
        }
        bytes
    }

    /// Bytes that it takes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        4 + 8 * self.0.len()
    }

    /// The users and the groups that it names, by number.
    #[must_use]
    pub fn ids(&self) -> (Vec<u32>, Vec<u32>) {
        let of = |tag| self.0.iter().filter(move |e| e.0 == tag).map(|e| e.2).collect();
        (of(USER), of(GROUP))
    }

    /// The same list about other users and groups. Where two become one, the first counts.
    #[must_use]
    pub fn with_ids(&self, mut user: impl FnMut(u32) -> u32, mut group: impl FnMut(u32) -> u32) -> Acl {
        let mut entries = self.0.clone();
        for Entry(tag, _, id) in &mut entries {
            match *tag {
                USER => *id = user(*id),
                GROUP => *id = group(*id),
                _ => {}
            }
        }
        entries.sort_by_key(|Entry(tag, _, id)| (*tag, *id));
        entries.dedup_by_key(|Entry(tag, _, id)| (*tag, *id));
        Acl(entries)
    }

    /// The permission bits (`0o777`) that it amounts to: the mask stands for the group.
    #[must_use]
    pub fn mode(&self) -> u32 {
        let of = |tag| self.0.iter().find(|e| e.0 == tag).map(|e| u32::from(e.1));
        let group = of(MASK).or_else(|| of(GROUP_OBJ)).unwrap_or(0);
        of(USER_OBJ).unwrap_or(0) << 6 | group << 3 | of(OTHER).unwrap_or(0)
    }

    /// The same list with the permission bits of `mode`, as chmod(2) changes it.
    #[must_use]
    pub fn with_mode(&self, mode: u32) -> Acl {
        let mut entries = self.0.clone();
        let group = if entries.iter().any(|e| e.0 == MASK) { MASK } else { GROUP_OBJ };
        for Entry(tag, perm, _) in &mut entries {
            let shift = match *tag {
                USER_OBJ => 6,
                OTHER => 0,
                tag if tag == group => 3,
                _ => continue,
            };
            *perm = u16::try_from(mode >> shift & 7).unwrap_or(0);
        }
        Acl(entries)
    }
}

impl<'de> Deserialize<'de> for Acl {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Acl, D::Error> {
        let entries = Vec::<Entry>::deserialize(from)?;
        let sorted = entries.clone();
        let acl = Acl::new(entries).filter(|acl| acl.0 == sorted);
        acl.ok_or_else(|| serde::de::Error::custom("no access control list"))
    }
}

impl Inode<'_> {
    /// The list; `None` where the inode has none and its permission bits, `mode`, say everything.
    ///
    /// # Errors
    ///
    /// As [`Inode::get`]; `EINVAL`: the kernel hands out something else than a list.
    pub fn acl(&self, which: Which, mode: u32) -> Result<Option<Acl>, Errno> {
        // Of a list that is not written down nothing is known: the inode's own came from where it was put.
        let (name, real) = (which.name(), self.seen(Face::Real));
        let bytes = real.get(if self.face().is_real() { name } else { which.written() })?;
        let parse = |bytes: &[u8]| match self.face().is_real() {
            true => Acl::parse(bytes),
            false => Acl::read(bytes, which, mode),
        };
        bytes.map(|bytes| parse(&bytes).ok_or(Errno::EINVAL)).transpose()
    }

    /// Gives the inode the list, or takes its list away.
    ///
    /// # Errors
    ///
    /// As [`Inode::set`].
    pub fn set_acl(&self, which: Which, acl: Option<&Acl>) -> Result<(), Errno> {
        let real = self.seen(Face::Real);
        match (acl, self.face().is_real()) {
            (Some(acl), true) => real.set(which.name(), &acl.to_bytes()),
            (None, true) => real.remove(which.name()),
            (Some(acl), false) => real.set(which.written(), &acl.write(which)),
            (None, false) => real.remove(which.written()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn acl(entries: &[(u16, u16, u32)]) -> Option<Acl> {
        Acl::new(entries.iter().map(|e| Entry(e.0, e.1, e.2)).collect())
    }

    #[test]
    fn a_list_comes_back_as_it_was_and_nonsense_does_not() {
        let list = acl(&[
            (USER_OBJ, 6, NO_ID),
            (USER, 4, 7),
            (GROUP_OBJ, 4, 0),
            (MASK, 6, NO_ID),
            (OTHER, 0, NO_ID),
        ]);
        let list = list.unwrap();
        assert_eq!(Acl::parse(&list.to_bytes()), Some(list.clone()));
        assert_eq!(list.mode(), 0o660);
        assert_eq!(list.with_mode(0o751).mode(), 0o751);
        assert_eq!(list.ids(), (vec![7], vec![]));
        let without_mask = acl(&[(USER_OBJ, 6, NO_ID), (USER, 4, 7), (GROUP_OBJ, 4, 0), (OTHER, 0, NO_ID)]);
        assert_eq!(without_mask, None);
        assert_eq!(acl(&[(USER_OBJ, 6, 0), (USER_OBJ, 6, 0), (GROUP_OBJ, 4, 0), (OTHER, 0, 0)]), None);
        assert_eq!(acl(&[(USER_OBJ, 8, 0), (GROUP_OBJ, 4, 0), (OTHER, 0, 0)]), None);
        assert_eq!(Acl::parse(b""), None);
        assert_eq!(Acl::parse(&list.to_bytes()[..19]), None);
    }

    #[test]
    fn users_that_become_one_have_one_entry() {
        let list = acl(&[
            (USER_OBJ, 6, 0),
            (USER, 4, 7),
            (USER, 6, 9),
            (GROUP_OBJ, 4, 0),
            (GROUP, 1, 3),
            (MASK, 6, 0),
            (OTHER, 0, 0),
        ]);
        let mapped = list.unwrap().with_ids(|_| 5, |gid| gid + 1);
        assert_eq!(mapped.ids(), (vec![5], vec![4]));
        assert!(Acl::parse(&mapped.to_bytes()).is_some());
    }
}
