//! A change as the 11 characters `YXcstpoguax` of `--itemize-changes`.

use crate::event::{Change, Update};
use crate::path::Kind;

/// What `%i` shows for a deleted entry, as wide as an itemized change.
pub const DELETING: &[u8; WIDTH] = b"*deleting  ";

/// The characters of an itemized change.
pub const WIDTH: usize = 11;

/// Renders the change of an entry of `kind`.
///
/// The first column says what is done, the second what the entry is, and the other nine stand for
/// content, size, time, permissions, owner, group, access time, ACL and extended attributes. A new entry
/// has `+` in all nine; one without any difference has blanks, so that it is told from one whose
/// difference is elsewhere (dots between letters).
#[must_use]
pub fn itemize(change: &Change, kind: Kind) -> [u8; WIDTH] {
    let mut line = [b'.'; WIDTH];
    line[0] = match change.update {
        Update::Attributes => b'.',
        Update::Received => b'>',
        Update::Sent => b'<',
        Update::Created => b'c',
        Update::HardLink => b'h',
    };
    line[1] = match kind {
        Kind::File => b'f',
        Kind::Dir => b'd',
        Kind::Symlink => b'L',
        Kind::CharDevice | Kind::BlockDevice => b'D',
        Kind::Fifo | Kind::Socket => b'S',
    };
    let columns = &mut line[2..];
    if change.new {
        columns.fill(b'+');
        return line;
    }
    let letters = [
        (change.content, b'c'),
        (change.size, b's'),
        (change.time || change.time_now, if change.time_now { b'T' } else { b't' }),
        (change.perms, b'p'),
        (change.owner, b'o'),
        (change.group, b'g'),
        (change.atime, b'u'),
        (change.acl, b'a'),
        (change.xattrs, b'x'),
    ];
    for (column, (differs, letter)) in columns.iter_mut().zip(letters) {
        if differs {
            *column = letter;
        }
    }
    // A transfer without a known difference (`-I`) keeps its dots: something did happen.
    let nothing_happens = matches!(change.update, Update::Attributes | Update::HardLink | Update::Created);
    if nothing_happens && columns.iter().all(|&c| c == b'.') {
        columns.fill(b' ');
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(change: Change, kind: Kind) -> String {
        String::from_utf8(itemize(&change, kind).to_vec()).unwrap()
    }

    #[test]
    fn each_update_has_its_first_column() {
        let first = |update| shown(Change { update, size: true, ..Change::NONE }, Kind::File);
        assert_eq!(first(Update::Attributes), ".f.s.......");
        assert_eq!(first(Update::Received), ">f.s.......");
        assert_eq!(first(Update::Sent), "<f.s.......");
        assert_eq!(first(Update::Created), "cf.s.......");
        assert_eq!(first(Update::HardLink), "hf.s.......");
    }

    #[test]
    fn each_kind_has_its_second_column() {
        let second = |kind| shown(Change { time: true, ..Change::NONE }, kind);
        assert_eq!(second(Kind::File), ".f..t......");
        assert_eq!(second(Kind::Dir), ".d..t......");
        assert_eq!(second(Kind::Symlink), ".L..t......");
        assert_eq!(second(Kind::CharDevice), ".D..t......");
        assert_eq!(second(Kind::BlockDevice), ".D..t......");
        assert_eq!(second(Kind::Fifo), ".S..t......");
        assert_eq!(second(Kind::Socket), ".S..t......");
    }

    #[test]
    fn each_difference_has_its_own_column() {
        let none = Change::NONE;
        assert_eq!(shown(Change { content: true, ..none }, Kind::File), ".fc........");
        assert_eq!(shown(Change { size: true, ..none }, Kind::File), ".f.s.......");
        assert_eq!(shown(Change { time: true, ..none }, Kind::File), ".f..t......");
        assert_eq!(shown(Change { time_now: true, ..none }, Kind::File), ".f..T......");
        assert_eq!(shown(Change { perms: true, ..none }, Kind::File), ".f...p.....");
        assert_eq!(shown(Change { owner: true, ..none }, Kind::File), ".f....o....");
        assert_eq!(shown(Change { group: true, ..none }, Kind::File), ".f.....g...");
        assert_eq!(shown(Change { atime: true, ..none }, Kind::File), ".f......u..");
        assert_eq!(shown(Change { acl: true, ..none }, Kind::File), ".f.......a.");
        assert_eq!(shown(Change { xattrs: true, ..none }, Kind::File), ".f........x");
    }

    #[test]
    fn lines_seen_from_rsync_are_reproduced() {
        let none = Change::NONE;
        let new = |update| Change { update, new: true, ..none };
        assert_eq!(shown(new(Update::Received), Kind::File), ">f+++++++++");
        assert_eq!(shown(new(Update::Created), Kind::Dir), "cd+++++++++");
        assert_eq!(shown(new(Update::Created), Kind::Symlink), "cL+++++++++");
        assert_eq!(shown(new(Update::Created), Kind::Fifo), "cS+++++++++");
        assert_eq!(shown(new(Update::HardLink), Kind::File), "hf+++++++++");
        assert_eq!(shown(none, Kind::File), ".f         ");
        assert_eq!(shown(none, Kind::Dir), ".d         ");
        assert_eq!(shown(Change { update: Update::HardLink, ..none }, Kind::File), "hf         ");
        let text = Change { update: Update::Created, content: true, time: true, ..none };
        assert_eq!(shown(text, Kind::Symlink), "cLc.t......");
        let now = Change { update: Update::Received, time_now: true, ..none };
        assert_eq!(shown(now, Kind::File), ">f..T......");
        let all = Change {
            update: Update::Received,
            content: true,
            size: true,
            time: true,
            perms: true,
            owner: true,
            group: true,
            acl: true,
            xattrs: true,
            ..none
        };
        assert_eq!(shown(all, Kind::File), ">fcstpog.ax");
    }

    #[test]
    fn deleting_is_as_wide_as_a_change() {
        assert_eq!(DELETING.len(), itemize(&Change::NONE, Kind::File).len());
    }

    proptest! {
        #[test]
        fn columns_are_blank_only_where_nothing_differs(bits in 0u16..512) {
            let bit = |n: u8| bits & (1 << n) != 0;
            let change = Change {
                content: bit(0), size: bit(1), time: bit(2), perms: bit(3), owner: bit(4), group: bit(5),
                atime: bit(6), acl: bit(7), xattrs: bit(8),
                ..Change::NONE
            };
            let line = itemize(&change, Kind::File);
            prop_assert_eq!(line[2..].contains(&b' '), bits == 0);
            let letters = line[2..].iter().filter(|c| c.is_ascii_alphabetic()).count();
            prop_assert_eq!(letters, bits.count_ones() as usize);
        }
    }
}
