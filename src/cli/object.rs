//! One JSON object on one line, in characters that a terminal shows and does nothing else with.

use std::io;

use serde::Serialize;
use serde_json::ser::{CharEscape, Formatter};

use crate::path::{RelPath, escape};

/// The version of the objects' form.
pub const SCHEMA: u32 = 1;

#[derive(Serialize)]
struct Line<T> {
    schema: u32,
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(flatten)]
    body: T,
}

/// A path, losslessly.
#[derive(Serialize)]
pub struct Path {
    path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    path_bytes: Option<String>,
}

/// The object of type `kind` with the fields of `body`.
#[must_use]
pub fn object<T: Serialize>(kind: &'static str, body: T) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    let mut serializer = serde_json::Serializer::with_formatter(&mut out, OnlyText);
    // Writing these values to memory cannot fail; a half object would not parse, so none is written.
    if (Line { schema: SCHEMA, kind, body }).serialize(&mut serializer).is_err() {
        out.clear();
    }
    out
}

/// Writes as `\uXXXX` what a terminal would obey, beyond what JSON itself asks for.
struct OnlyText;

impl Formatter for OnlyText {
    fn write_string_fragment<W: io::Write + ?Sized>(&mut self, out: &mut W, text: &str) -> io::Result<()> {
        if text.bytes().all(|b| matches!(b, b' '..=b'~')) {
            return out.write_all(text.as_bytes());
        }
        for c in text.chars() {
            let mut buffer = [0; 4];
            let bytes = c.encode_utf8(&mut buffer).as_bytes();
            if escape(bytes).as_bytes() == bytes {
                out.write_all(bytes)?;
            } else {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    write!(out, "\\u{unit:04x}")?;
                }
            }
        }
        Ok(())
    }

    fn write_char_escape<W: io::Write + ?Sized>(
        &mut self,
        out: &mut W,
        escape: CharEscape,
    ) -> io::Result<()> {
        serde_json::ser::CompactFormatter.write_char_escape(out, escape)
    }
}

/// A path or a link's text.
#[must_use]
pub fn path(bytes: &[u8]) -> Path {
    match std::str::from_utf8(bytes) {
        Ok(text) => Path { path: text.to_string(), path_bytes: None },
        Err(_) => Path { path: escape(bytes), path_bytes: Some(hex(bytes)) },
    }
}

/// A path below the destination's root.
#[must_use]
pub fn below_root(rel: &RelPath) -> Path {
    path(if rel.is_root() { b"." } else { rel.as_bytes() })
}

/// Bytes as hexadecimal digits.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(bytes: &[u8]) -> String {
        String::from_utf8(object("test", path(bytes))).unwrap()
    }

    #[test]
    fn a_path_that_is_no_text_has_its_bytes_beside_it() {
        assert_eq!(shown(b"a/b"), r#"{"schema":1,"type":"test","path":"a/b"}"#);
        assert_eq!(shown(b"a\xff"), r#"{"schema":1,"type":"test","path":"a\\#377","path_bytes":"61ff"}"#);
    }

    #[test]
    fn what_a_terminal_would_obey_is_escaped() {
        assert_eq!(
            shown("\u{9b}\u{202e}\n\u{7f}".as_bytes()),
            r#"{"schema":1,"type":"test","path":"\u009b\u202e\n\u007f"}"#
        );
    }

    proptest! {
        #[test]
        fn any_path_comes_back_from_its_object(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let line = shown(&bytes);
            prop_assert!(!line.chars().any(char::is_control), "{:?}", line);
            let read: serde_json::Value = serde_json::from_str(&line).unwrap();
            let back = match read.get("path_bytes").and_then(|b| b.as_str()) {
                Some(hex) => (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect(),
                None => read["path"].as_str().unwrap().as_bytes().to_vec(),
            };
            prop_assert_eq!(back, bytes);
        }

        #[test]
        fn any_text_comes_back_from_its_object(text in ".{0,40}") {
            let read: serde_json::Value = serde_json::from_str(&shown(text.as_bytes())).unwrap();
            prop_assert_eq!(read["path"].as_str().unwrap(), text);
        }
    }
}
