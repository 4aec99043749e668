//! `--list-only`: entries as lines of a listing.

use crate::event::{Item, LinkText};
use crate::path::Kind;

use super::clock::Clock;
use super::number::Human;

/// The line for `item`: raw bytes, not yet escaped.
///
/// Mode, size (14 columns; 11 for plain digits), modification time, name; the text of a symbolic link
/// where links are preserved, that is, where the item has one.
#[must_use]
pub fn line(item: &Item, human: Human, clock: &Clock) -> Vec<u8> {
    let attrs = &item.attrs;
    let size = match attrs.kind {
        Kind::File | Kind::Dir | Kind::Symlink => attrs.size,
        _ => 0,
    };
    let size = human.size(size);
    let width = if human == Human::Plain { 11 } else { 14 };
    let mut line = vec![kind_letter(attrs.kind)];
    line.extend_from_slice(&permissions(attrs.mode));
    line.extend_from_slice(format!(" {size:>width$} {} ", clock.show(attrs.mtime, ' ')).as_bytes());
    line.extend_from_slice(if item.path.is_root() { b"." } else { item.path.as_bytes() });
    if let Some(LinkText::Symlink(target)) = &item.link {
        line.extend_from_slice(b" -> ");
        line.extend_from_slice(target);
    }
    line
}

fn kind_letter(kind: Kind) -> u8 {
    match kind {
        Kind::File => b'-',
        Kind::Dir => b'd',
        Kind::Symlink => b'l',
        Kind::CharDevice => b'c',
        Kind::BlockDevice => b'b',
        Kind::Fifo => b'p',
        Kind::Socket => b's',
    }
}

/// Permission bits as `rwxrwxrwx`, with `s`, `S`, `t` and `T` for the special ones.
#[must_use]
pub fn permissions(mode: u32) -> [u8; 9] {
    let mut shown = *b"rwxrwxrwx";
    for (at, letter) in shown.iter_mut().enumerate() {
        if mode & (0o400 >> at) == 0 {
            *letter = b'-';
        }
    }
    for (bit, at, with_x, without_x) in
        [(0o4000, 2, b's', b'S'), (0o2000, 5, b's', b'S'), (0o1000, 8, b't', b'T')]
    {
        if mode & bit != 0 {
            shown[at] = if shown[at] == b'x' { with_x } else { without_x };
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::sample;
    use crate::event::Change;

    fn shown(item: &Item, human: Human) -> String {
        String::from_utf8(line(item, human, &Clock::utc())).unwrap()
    }

    #[test]
    fn sizes_have_the_columns_that_rsync_gives_them() {
        let file = sample::item("big.bin", Kind::File, Change::NONE);
        let seen = [
            (Human::Plain, "-rw-r-----     1234567 2026/01/02 03:04:05 big.bin"),
            (Human::Grouped, "-rw-r-----      1,234,567 2026/01/02 03:04:05 big.bin"),
            (Human::Decimal, "-rw-r-----          1.23M 2026/01/02 03:04:05 big.bin"),
            (Human::Binary, "-rw-r-----          1.18M 2026/01/02 03:04:05 big.bin"),
        ];
        for (human, line) in seen {
            assert_eq!(shown(&file, human), line);
        }
    }

    #[test]
    fn kinds_roots_and_links_are_shown() {
        let root = sample::item("", Kind::Dir, Change::NONE);
        assert_eq!(shown(&root, Human::Grouped), "drw-r-----      1,234,567 2026/01/02 03:04:05 .");
        let fifo = sample::item("fifo", Kind::Fifo, Change::NONE);
        assert_eq!(shown(&fifo, Human::Grouped), "prw-r-----              0 2026/01/02 03:04:05 fifo");
        let mut link = sample::item("lnk", Kind::Symlink, Change::NONE);
        link.link = Some(LinkText::Symlink(b"a.txt".to_vec()));
        assert!(shown(&link, Human::Grouped).ends_with(" lnk -> a.txt"));
        for (kind, letter) in [(Kind::CharDevice, 'c'), (Kind::BlockDevice, 'b'), (Kind::Socket, 's')] {
            assert!(shown(&sample::item("x", kind, Change::NONE), Human::Plain).starts_with(letter));
        }
    }

    /// What rsync 3.5.0 listed.
    #[test]
    fn special_bits_take_the_place_of_x() {
        let seen = [
            (0o0000, "---------"),
            (0o1776, "rwxrwxrwT"),
            (0o1777, "rwxrwxrwt"),
            (0o2644, "rw-r-Sr--"),
            (0o2755, "rwxr-sr-x"),
            (0o4644, "rwSr--r--"),
            (0o4755, "rwsr-xr-x"),
            (0o7777, "rwsrwsrwt"),
        ];
        for (mode, shown) in seen {
            assert_eq!(permissions(mode), shown.as_bytes(), "{mode:o}");
        }
    }
}
