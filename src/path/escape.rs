//! The only way from name bytes to text for a terminal or a log.

use std::fmt::Write as _;

/// Renders `bytes` so that a terminal prints them and does nothing else.
///
/// Printable text passes. Control characters (C0, DEL, C1 in either form), bytes that are not UTF-8 and
/// characters that reorder text become `\#ooo` with three octal digits a byte, as rsync(1) prints them;
/// a backslash that could be read as such an escape is escaped itself.
#[must_use]
pub fn escape(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        let text = chunk.valid();
        for (at, c) in text.char_indices() {
            let ambiguous = c == '\\' && {
                let rest = &text.as_bytes()[at + 1..];
                rest.len() >= 4 && rest[0] == b'#' && rest[1..4].iter().all(u8::is_ascii_digit)
            };
            if c.is_control() || reorders(c) || ambiguous {
                octal(&mut out, c.encode_utf8(&mut [0; 4]).as_bytes());
            } else {
                out.push(c);
            }
        }
        octal(&mut out, chunk.invalid());
    }
    out
}

fn octal(out: &mut String, bytes: &[u8]) {
    for b in bytes {
        // Writing to a String cannot fail.
        let _infallible = write!(out, "\\#{b:03o}");
    }
}

/// Bidirectional controls, and the line and paragraph separators that some terminals break at.
fn reorders(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{061c}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn plain_and_accented_names_pass() {
        assert_eq!(escape("pläin name.txt".as_bytes()), "pläin name.txt");
    }

    #[test]
    fn controls_and_bad_utf8_become_octal_as_in_rsync() {
        assert_eq!(escape(b"a\nb"), "a\\#012b");
        assert_eq!(escape(b"\x1b[31m"), "\\#033[31m");
        assert_eq!(escape(b"\xff"), "\\#377");
        assert_eq!(escape("\u{9b}".as_bytes()), "\\#302\\#233");
        assert_eq!(escape("\u{202e}".as_bytes()), "\\#342\\#200\\#256");
        assert_eq!(escape(b"\\#012"), "\\#134#012");
    }

    proptest! {
        #[test]
        fn nothing_that_moves_a_cursor_comes_out(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            prop_assert!(!escape(&bytes).chars().any(char::is_control));
        }
    }
}
