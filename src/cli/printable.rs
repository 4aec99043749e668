//! A line of output as bytes that a terminal shows and does nothing else with.

use crate::path::escape;

/// Escapes everything in `line` that is not plain text, and keeps tabs.
///
/// The whole line passes here, so that no name gets around it. Tabs pass because formats use them between
/// columns, and because rsync lets them pass. With `eight_bit` (`-8`) bytes above 127 pass as they are, in
/// whatever encoding they may be.
#[must_use]
pub fn printable(line: &[u8], eight_bit: bool) -> Vec<u8> {
    if line.iter().all(|b| matches!(b, b'\t' | b' '..=b'~') && *b != b'\\') {
        return line.to_vec();
    }
    let mut out = Vec::with_capacity(line.len() + 16);
    for (at, part) in line.split(|&b| b == b'\t').enumerate() {
        if at > 0 {
            out.push(b'\t');
        }
        if eight_bit {
            for run in part.chunk_by(|a, b| a.is_ascii() == b.is_ascii()) {
                if run[0].is_ascii() {
                    out.extend_from_slice(escape(run).as_bytes());
                } else {
                    out.extend_from_slice(run);
                }
            }
        } else {
            out.extend_from_slice(escape(part).as_bytes());
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lines_seen_from_rsync_are_reproduced() {
        assert_eq!(printable(b">f+++++++++ ctl\nnl", false), b">f+++++++++ ctl\\#012nl");
        assert_eq!(printable(b"bad\xffname", false), b"bad\\#377name");
        assert_eq!(printable(b"bad\xffname", true), b"bad\xffname");
        assert_eq!(printable(b"bs\\#012", false), b"bs\\#134#012");
        assert_eq!(printable(b"a\tb", false), b"a\tb");
        assert_eq!(printable("pl\u{e4}in".as_bytes(), false), "pl\u{e4}in".as_bytes());
        assert_eq!(printable("pl\u{e4}\nin".as_bytes(), true), "pl\u{e4}\\#012in".as_bytes());
    }

    proptest! {
        #[test]
        fn no_control_character_comes_out(line in proptest::collection::vec(any::<u8>(), 0..80)) {
            let out = String::from_utf8(printable(&line, false)).unwrap();
            prop_assert!(!out.chars().any(|c| c.is_control() && c != '\t'), "{:?}", out);
        }

        #[test]
        fn eight_bit_output_has_no_ascii_control(line in proptest::collection::vec(any::<u8>(), 0..80)) {
            prop_assert!(!printable(&line, true).iter().any(|b| b.is_ascii_control() && *b != b'\t'));
        }
    }
}
