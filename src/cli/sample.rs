//! Entries for the tests of this room.

use crate::event::{Change, Item};
use crate::path::{Attrs, Kind, RelPath, Time};

/// An entry at `path` with a size of 1,234,567 bytes and a time that is easy to recognise.
pub fn item(path: &str, kind: Kind, change: Change) -> Item {
    let attrs = Attrs {
        kind,
        mode: 0o640,
        uid: 1000,
        gid: 100,
        size: 1_234_567,
        mtime: Time { sec: 1_767_323_045, nsec: 5 },
        atime: Time::default(),
        dev: 1,
        ino: 2,
        nlink: 1,
        rdev: 0,
        allocated: 0,
    };
    Item {
        path: RelPath::parse(path.as_bytes()).unwrap(),
        source: format!("src/{path}").into_bytes(),
        attrs,
        change,
        link: None,
        moved: 0,
        digest: None,
    }
}
