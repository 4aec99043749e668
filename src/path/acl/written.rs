//! How an access control list is written down (`--fake-super`), as rsync 3.5.0 does it; observed by running that.
//!
//! Permissions of the owner, the group, the mask and the others, then user or group and permissions of each further
//! entry, all in 4 bytes, little-endian. What is missing is [`NONE`]. In the list that decides about access the
//! permission bits count: the owner's and the others' are always missing, the group's where they are the same as
//! those bits, and the mask is what they say, whatever is written. The permissions of a user have [`OF_USER`].

use super::{Acl, Entry, GROUP, GROUP_OBJ, MASK, NO_ID, OTHER, USER, USER_OBJ, Which};

/// In the place of permissions that are none.
const NONE: u32 = 0x80;

/// With the permissions of an entry that is about a user.
const OF_USER: u32 = 1 << 31;

impl Which {
    /// The attribute in which this list is written down.
    pub(super) fn written(self) -> &'static [u8] {
        match self {
            Which::Access => b"user.rsync.%aacl",
            Which::Default => b"user.rsync.%dacl",
        }
    }
}

impl Acl {
    /// Takes a list from what was written down of something with the permission bits `mode`; `None` if it is none.
    pub(super) fn read(bytes: &[u8], which: Which, mode: u32) -> Option<Acl> {
        if !bytes.len().is_multiple_of(4) {
            return None;
        }
        let mut words = bytes.chunks_exact(4).filter_map(|word| word.try_into().ok()).map(u32::from_le_bytes);
        let mut list = Vec::new();
        for tag in [USER_OBJ, GROUP_OBJ, MASK, OTHER] {
            match words.next()? {
                NONE if tag == MASK => {}
                NONE if which == Which::Access => list.push(Entry(tag, of_mode(mode, tag), NO_ID)),
                perm => list.push(Entry(tag, u16::try_from(perm).ok()?, NO_ID)),
            }
        }
        while let Some(id) = words.next() {
            let perm = words.next()?;
            let tag = if perm & OF_USER == 0 { GROUP } else { USER };
            list.push(Entry(tag, u16::try_from(perm & !OF_USER).ok()?, id));
        }
        let named = list.iter().any(|e| matches!(e.0, USER | GROUP));
        if named && !list.iter().any(|e| e.0 == MASK) {
            list.push(Entry(MASK, 7, NO_ID));
        }
        let list = Acl::new(list)?;
        Some(if which == Which::Access { list.with_mode(mode) } else { list })
    }

    /// What is written down of the list.
    pub(super) fn write(&self, which: Which) -> Vec<u8> {
        let perm = |tag| self.0.iter().find(|e| e.0 == tag).map_or(NONE, |e| u32::from(e.1));
        let mut words = [USER_OBJ, GROUP_OBJ, MASK, OTHER].map(perm).to_vec();
        if which == Which::Access {
            // What the permission bits say too.
            for at in if words[1] == words[2] { &[0, 1, 3][..] } else { &[0, 3] } {
                words[*at] = NONE;
            }
        }
        for Entry(tag, perm, id) in self.0.iter().filter(|e| matches!(e.0, USER | GROUP)) {
            let of_user = if *tag == USER { OF_USER } else { 0 };
            words.extend([*id, u32::from(*perm) | of_user]);
        }
        words.into_iter().flat_map(u32::to_le_bytes).collect()
    }
}

/// What permission bits say of the owner, the group or the others.
fn of_mode(mode: u32, tag: u16) -> u16 {
    let shift = match tag {
        USER_OBJ => 6,
        GROUP_OBJ => 3,
        _ => 0,
    };
    u16::try_from(mode >> shift & 7).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(text: &str) -> Vec<u8> {
        (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
    }

    #[test]
    fn lists_that_rsync_wrote_are_read_and_written_the_same() {
        // setfacl -m u:55:rx,g:66:w on a file of mode 4771; setfacl -d -m u:88:r on a directory.
        let access = hex("8000000005000000070000008000000037000000050000804200000002000000");
        let default = hex("070000000500000005000000050000005800000004000080");
        let read = Acl::read(&access, Which::Access, 0o4771).unwrap();
        assert_eq!((read.mode(), read.ids()), (0o771, (vec![55], vec![66])));
        assert_eq!(read.write(Which::Access), access);
        // setfacl -m u:55:rw,g::r,m::r on a file of mode 644: the group has what the mask has.
        let alike = hex("800000008000000004000000800000003700000006000080");
        let read = Acl::read(&alike, Which::Access, 0o644).unwrap();
        assert_eq!(read.write(Which::Access), alike);
        assert_eq!(
            read.with_mode(0o600),
            Acl::read(&read.with_mode(0o600).write(Which::Access), Which::Access, 0o600).unwrap()
        );
        let read = Acl::read(&default, Which::Default, 0).unwrap();
        assert_eq!((read.mode(), read.ids()), (0o755, (vec![88], vec![])));
        assert_eq!(read.write(Which::Default), default);
    }

    #[test]
    fn nonsense_is_no_list() {
        for bad in ["", "11", "80000000050000000700000080", "80000000050000000700000080000000370000"] {
            assert_eq!(Acl::read(&hex(bad), Which::Access, 0o600), None, "{bad}");
        }
        let odd = "8000000005000000070000008000000037000000";
        assert_eq!(Acl::read(&hex(odd), Which::Access, 0o600), None, "an id without permissions");
        let twice = "80000000050000000700000080000000370000000500008037000000050000";
        assert_eq!(Acl::read(&hex(&(twice.to_owned() + "80")), Which::Access, 0o600), None, "one user twice");
        let strange = "8000000005000000ff00000080000000";
        assert_eq!(
            Acl::read(&hex(strange), Which::Access, 0o600),
            None,
            "permissions that there are none of"
        );
        assert_eq!(
            Acl::read(&hex("80000000050000000700000007000000"), Which::Default, 0o600),
            None,
            "without an owner"
        );
    }
}
