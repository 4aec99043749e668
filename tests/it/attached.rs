//! Extended attributes and access control lists for trees of tests, set and read without a line of sluice.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::random_tree::Rng;
use crate::requirement;

/// The attribute that holds the list which decides about access.
pub const ACCESS: &str = "system.posix_acl_access";
/// The attribute of a directory that holds the list which what is made in it begins with.
pub const DEFAULT: &str = "system.posix_acl_default";

/// The extended attributes of `path` itself, access control lists included.
pub fn of(path: &Path) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let names = xattr::list(path).map(Iterator::collect::<Vec<_>>).unwrap_or_default();
    let value = |name: &OsStr| xattr::get(path, name).ok().flatten();
    names.iter().filter_map(|name| Some((name.as_bytes().to_vec(), value(name)?))).collect()
}

/// Sets one; what this filesystem or this user cannot set is left out.
pub fn set(path: &Path, name: &str, value: &[u8]) {
    let _not_here = xattr::set(path, name, value);
}

/// A list as the kernel stores it, of which `mode` are the permission bits, with a user and a group.
pub fn acl(mode: u32, owning_group: u16, user: (u32, u16), group: (u32, u16)) -> Vec<u8> {
    let bits = |shift: u32| u16::try_from(mode >> shift & 7).unwrap();
    let none = u32::MAX;
    let entries = [
        (1, bits(6), none),
        (2, user.1, user.0),
        (4, owning_group, none),
        (8, group.1, group.0),
        (0x10, bits(3), none),
        (0x20, bits(0), none),
    ];
    let mut bytes = 2u32.to_le_bytes().to_vec();
    for (tag, permissions, id) in entries {
        let (tag, permissions): (u16, u16) = (tag, permissions);
        bytes.extend([tag.to_le_bytes(), permissions.to_le_bytes()].concat());
        bytes.extend(id.to_le_bytes());
    }
    bytes
}

/// Attaches to `path`, which has the permission bits `mode`, what follows from `seed`; nothing for 0.
pub fn attach(path: &Path, seed: u64, mode: u32, kind: char) {
    let rng = &mut Rng::new(seed);
    if seed == 0 {
        return;
    }
    let mut names: Vec<&str> = Vec::new();
    if matches!(kind, 'f' | 'd') {
        names.extend(["user.a", "user.b", "user.long", "user.rsync.%x", "user.empty"]);
    }
    if requirement::is_root() {
        names.extend(["trusted.t", "security.sluice-test"]);
    }
    for name in names {
        if rng.chance(40) {
            let len = if name == "user.empty" { 0 } else { 1 + rng.below(3) };
            let len = if name == "user.long" { len * 70 } else { len };
            set(path, name, &vec![rng.pick(b"xyz"); len]);
        }
    }
    if kind == 'l' || rng.chance(60) {
        return;
    }
    let mut list = |mode| {
        let mut any = || (rng.pick(&[7, 33, 12_345]), rng.pick(&[0, 4, 6, 7]));
        acl(mode, 4, any(), any())
    };
    set(path, ACCESS, &list(mode));
    let default = list(0o750);
    if kind == 'd' && rng.chance(30) {
        set(path, DEFAULT, &default);
    }
}
