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
