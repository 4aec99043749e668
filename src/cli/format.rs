//! `--out-format` and `--log-file-format`: the escapes of rsyncd.conf(5)'s "log format".

use crate::event::{Item, LinkText};
use crate::path::{Kind, RelPath, Time};
use crate::plan::itemize::{DELETING, itemize};

use super::clock::Clock;
use super::list::permissions;
use super::number::Human;

/// What `-i` stands for, and what a log shows unless told otherwise.
pub const ITEMIZED: &[u8] = b"%i %n%L";

/// What `-v` shows of a changed entry.
pub const NAME: &[u8] = b"%n%L";

/// Wider fields are cut to this: a typing error must not fill the memory.
const MAX_WIDTH: usize = 9999;

/// Bytes in a BLAKE3 digest written as hexadecimal digits: the width of an unknown one.
const DIGEST_WIDTH: usize = 64;

/// The escapes that mean something without a daemon. `%a`, `%h`, `%u` and `%P` do not, and stay as typed,
/// as in rsync's own local runs; `%m` is empty there.
const LETTERS: &[u8] = b"bBcCfGilLmMnopU%t";

/// What a line is about.
#[derive(Clone, Copy, Debug)]
pub enum Subject<'a> {
    /// An entry of the transfer.
    Item(&'a Item),
    /// A deleted entry.
    Deleted(&'a RelPath, Kind),
}

/// A parsed format.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Format(Vec<Piece>);

#[derive(Clone, PartialEq, Eq, Debug)]
enum Piece {
    Literal(Vec<u8>),
    Field { letter: u8, width: usize, left: bool, human: Human },
}

impl Format {
    /// Takes `text` apart. What is no known escape stands for itself.
    ///
    /// An escape is `%`, then in any order a width (`-` before it aligns left; padding is always blanks)
    /// and apostrophes (each raises the [`Human`] level of a number, which starts at plain digits), then
    /// a letter.
    #[must_use]
    pub fn parse(text: &[u8]) -> Format {
        Format::parse_with(text, &[])
    }

    /// As [`Format::parse`], where each letter in `known` stands for a text that is the same in every line.
    #[must_use]
    pub fn parse_with(text: &[u8], known: &[(u8, &[u8])]) -> Format {
        let mut pieces = Vec::new();
        let mut literal = Vec::new();
        let mut rest = text;
        while let Some((&first, after)) = rest.split_first() {
            match (first == b'%').then(|| field(after, known)).flatten() {
                Some((field, after)) => {
                    if !literal.is_empty() {
                        pieces.push(Piece::Literal(std::mem::take(&mut literal)));
                    }
                    pieces.push(field);
                    rest = after;
                }
                None => {
                    literal.push(first);
                    rest = after;
                }
            }
        }
        if !literal.is_empty() {
            pieces.push(Piece::Literal(literal));
        }
        Format(pieces)
    }

    /// Whether the escape `letter` occurs.
    #[must_use]
    pub fn has(&self, letter: u8) -> bool {
        self.0.iter().any(|piece| matches!(piece, Piece::Field { letter: l, .. } if *l == letter))
    }

    /// The line for `subject`: raw bytes, not yet escaped.
    #[must_use]
    pub fn render(&self, subject: Subject<'_>, clock: &Clock) -> Vec<u8> {
        let mut line = Vec::with_capacity(64);
        for piece in &self.0 {
            match piece {
                Piece::Literal(text) => line.extend_from_slice(text),
                Piece::Field { letter, width, left, human } => {
                    let start = line.len();
                    value(&mut line, *letter, subject, *human, clock);
                    let pad = width.saturating_sub(line.len() - start);
                    let at = if *left { line.len() } else { start };
                    line.splice(at..at, std::iter::repeat_n(b' ', pad));
                }
            }
        }
        line
    }
}

/// The escape that follows a `%`, and what follows the escape.
fn field<'a>(text: &'a [u8], known: &[(u8, &[u8])]) -> Option<(Piece, &'a [u8])> {
    let (mut width, mut left, mut quotes, mut at) = (0usize, false, 0u8, 0);
    loop {
        match *text.get(at)? {
            b'-' if width == 0 => left = true,
            b'\'' => quotes = quotes.saturating_add(1),
            digit @ b'0'..=b'9' => width = (width * 10 + usize::from(digit - b'0')).min(MAX_WIDTH),
            letter if known.iter().any(|(of, _)| *of == letter) => {
                let text_of = known.iter().find(|(of, _)| *of == letter).map_or(&b""[..], |(_, text)| text);
                let pad = vec![b' '; width.saturating_sub(text_of.len())];
                let padded = if left { [text_of, &pad].concat() } else { [&pad, text_of].concat() };
                return Some((Piece::Literal(padded), &text[at + 1..]));
            }
            letter if LETTERS.contains(&letter) => {
                let human = Human::level(quotes);
                return Some((Piece::Field { letter, width, left, human }, &text[at + 1..]));
            }
            _ => return None,
        }
        at += 1;
    }
}

fn value(line: &mut Vec<u8>, letter: u8, subject: Subject<'_>, human: Human, clock: &Clock) {
    match letter {
        // The operation, seen from the sending side, where rsync's client sits in a local run too.
        b'o' => line.extend_from_slice(if matches!(subject, Subject::Item(_)) { b"send" } else { b"del." }),
        b'n' => short_name(line, subject),
        b'p' => text(line, &std::process::id().to_string()),
        b't' => text(line, &clock.show(Time::now(), ' ')),
        b'%' => line.push(b'%'),
        // The size of a basis file's checksums; a local run makes none.
        b'c' => line.push(b'0'),
        _ => match subject {
            Subject::Item(item) => of_item(line, letter, item, human, clock),
            Subject::Deleted(path, _) => of_deleted(line, letter, path, clock),
        },
    }
}

fn of_item(line: &mut Vec<u8>, letter: u8, item: &Item, human: Human, clock: &Clock) {
    match letter {
        b'b' => text(line, &human.size(item.moved)),
        b'B' => line.extend_from_slice(&permissions(item.attrs.mode)),
        b'C' => match &item.digest {
            Some(digest) => digest.iter().for_each(|byte| text(line, &format!("{byte:02x}"))),
            None => text(line, &" ".repeat(DIGEST_WIDTH)),
        },
        b'f' => long_name(line, item),
        b'G' => text(line, &item.attrs.gid.to_string()),
        b'i' => line.extend_from_slice(&itemize(&item.change, item.attrs.kind)),
        b'l' => text(line, &human.size(item.attrs.size)),
        b'L' => match &item.link {
            Some(LinkText::Symlink(target)) => {
                text(line, " -> ");
                line.extend_from_slice(target);
            }
            Some(LinkText::Hard(path)) => {
                text(line, " => ");
                line.extend_from_slice(path.as_bytes());
            }
            None => {}
        },
        b'M' => text(line, &clock.show(item.attrs.mtime, '-')),
        b'U' => text(line, &item.attrs.uid.to_string()),
        _ => {}
    }
}

/// Of a deleted entry rsync knows the name and nothing else: the rest is zero.
fn of_deleted(line: &mut Vec<u8>, letter: u8, path: &RelPath, clock: &Clock) {
    match letter {
        b'i' => line.extend_from_slice(DELETING),
        b'f' => line.extend_from_slice(path.as_bytes()),
        b'b' | b'l' | b'U' | b'G' => line.push(b'0'),
        b'B' => line.extend_from_slice(b"---------"),
        b'C' => text(line, &" ".repeat(DIGEST_WIDTH)),
        b'M' => text(line, &clock.show(Time::default(), '-')),
        _ => {}
    }
}

/// `%n`: the path below the destination; a directory's ends in `/`.
pub fn short_name(line: &mut Vec<u8>, subject: Subject<'_>) {
    let (path, kind) = match subject {
        Subject::Item(item) => (&item.path, item.attrs.kind),
        Subject::Deleted(path, kind) => (path, kind),
    };
    line.extend_from_slice(if path.is_root() { b"." } else { path.as_bytes() });
    if kind == Kind::Dir {
        line.push(b'/');
    }
}

fn text(line: &mut Vec<u8>, text: &str) {
    line.extend_from_slice(text.as_bytes());
}

/// `%f`: the path at the source, as rsync cleans it: no slash at either end, not even of an absolute path, and
/// none twice; no `.` in it, but one behind a directory whose content was meant.
fn long_name(line: &mut Vec<u8>, item: &Item) {
    let parts = item.source.split(|&b| b == b'/').filter(|part| !part.is_empty() && *part != b".");
    let root = item.path.is_root().then_some(&b"."[..]);
    for (at, part) in parts.chain(root).enumerate() {
        if at > 0 {
            line.push(b'/');
        }
        line.extend_from_slice(part);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::sample;
    use crate::event::{Change, Update};
    use proptest::prelude::*;

    fn sample_item() -> Item {
        let change = Change { update: Update::Received, new: true, ..Change::NONE };
        Item { moved: 1_234_567, ..sample::item("sub/b", Kind::File, change) }
    }

    fn shown(format: &str, item: &Item) -> String {
        let line = Format::parse(format.as_bytes()).render(Subject::Item(item), &Clock::utc());
        String::from_utf8(line).unwrap()
    }

    #[test]
    fn each_escape_shows_what_rsync_shows_in_a_local_run() {
        let item = sample_item();
        let seen = [
            ("%a", "%a"),
            ("%b", "1234567"),
            ("%B", "rw-r-----"),
            ("%c", "0"),
            ("%f", "src/sub/b"),
            ("%G", "100"),
            ("%h", "%h"),
            ("%i", ">f+++++++++"),
            ("%l", "1234567"),
            ("%L", ""),
            ("%m", ""),
            ("%M", "2026/01/02-03:04:05"),
            ("%n", "sub/b"),
            ("%o", "send"),
            ("%P", "%P"),
            ("%u", "%u"),
            ("%U", "1000"),
            ("%%", "%"),
        ];
        for (format, expected) in seen {
            assert_eq!(shown(&format!("[{format}]"), &item), format!("[{expected}]"), "{format}");
        }
        assert_eq!(shown("%p", &item), std::process::id().to_string());
        assert_eq!(shown("%t", &item).len(), "2026/01/02 03:04:05".len());
    }

    #[test]
    fn digests_have_one_width_known_or_not() {
        let known = Item { digest: Some([0xab; 32]), ..sample_item() };
        assert_eq!(shown("%C", &known), "ab".repeat(32));
        assert_eq!(shown("%C", &sample_item()), " ".repeat(64));
    }

    #[test]
    fn apostrophes_raise_the_level_of_a_number() {
        let item = sample_item();
        assert_eq!(shown("%'l", &item), "1,234,567");
        assert_eq!(shown("%''l", &item), "1.23M");
        assert_eq!(shown("%'''b", &item), "1.18M");
        assert_eq!(shown("%''''b", &item), "1.18M");
        assert_eq!(shown("%'U", &item), "1000");
    }

    #[test]
    fn widths_pad_with_blanks_on_either_side() {
        let item = sample_item();
        assert_eq!(shown("%10l|", &item), "   1234567|");
        assert_eq!(shown("%-10l|", &item), "1234567   |");
        assert_eq!(shown("%010l|", &item), "   1234567|");
        assert_eq!(shown("%'12l|", &item), "   1,234,567|");
        assert_eq!(shown("%12'l|", &item), "   1,234,567|");
        assert_eq!(shown("%3n|", &item), "sub/b|");
        assert_eq!(shown("%15o", &item), "           send");
        assert_eq!(shown("%5%", &item), "    %");
    }

    #[test]
    fn what_is_no_escape_stands_for_itself() {
        for format in ["%", "abc%", "%5", "%-|", "%'|", "%-5.2n", "%z", "%5h", ""] {
            assert_eq!(shown(format, &sample_item()), format);
        }
    }

    #[test]
    fn links_and_directories_are_marked() {
        let link = Item { link: Some(LinkText::Symlink(b"a.txt".to_vec())), ..sample_item() };
        assert_eq!(shown("%n%L", &link), "sub/b -> a.txt");
        let hard = Item { link: Some(LinkText::Hard(RelPath::parse(b"hard").unwrap())), ..sample_item() };
        assert_eq!(shown("%n%L", &hard), "sub/b => hard");
        let root = Item { source: b"s/".to_vec(), ..sample::item("", Kind::Dir, Change::NONE) };
        assert_eq!(shown("%n|%f", &root), "./|s/.");
        let here = Item { source: b".//".to_vec(), ..sample::item("", Kind::Dir, Change::NONE) };
        assert_eq!(shown("%f", &here), ".");
        let typed = Item { source: b"./s//./sub/../b".to_vec(), ..sample_item() };
        assert_eq!(shown("%f", &typed), "s/sub/../b");
        let absolute = Item { source: b"/tmp/rp/pm".to_vec(), ..sample_item() };
        assert_eq!(shown("%f", &absolute), "tmp/rp/pm");
    }

    #[test]
    fn a_deleted_entry_has_a_name_and_zeros() {
        let path = RelPath::parse(b"gone").unwrap();
        let line = Format::parse(b"%o|%n|%f|%i|%l|%b|%B|%M|%U|%G|%L|%c")
            .render(Subject::Deleted(&path, Kind::File), &Clock::utc());
        let seen = "del.|gone|gone|*deleting  |0|0|---------|1970/01/01-00:00:00|0|0||0";
        assert_eq!(String::from_utf8(line).unwrap(), seen);
    }

    proptest! {
        #[test]
        fn any_format_is_taken_apart_and_rendered(format in proptest::collection::vec(any::<u8>(), 0..40)) {
            let line = Format::parse(&format).render(Subject::Item(&sample_item()), &Clock::utc());
            prop_assert!(line.len() <= 40 * (MAX_WIDTH + 64));
        }

        #[test]
        fn text_without_percent_is_kept(text in "[^%]{0,40}") {
            prop_assert_eq!(shown(&text, &sample_item()), text);
        }
    }
}
