//! A parameter's value, and the forms in which it may be written.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use super::{Environment, Template};

/// The text behind the `=`.
#[derive(Clone, Copy)]
pub struct Value<'a> {
    /// As it stands in the file.
    pub raw: &'a [u8],
    /// For `%VAR%`.
    pub environment: Environment<'a>,
}

impl Value<'_> {
    /// The value, its places for the connection still open.
    pub fn template(&self) -> Template {
        Template::parse(self.raw, self.environment)
    }

    /// The value with all variables filled in.
    pub fn text(&self) -> Result<Vec<u8>, String> {
        self.template().fixed().ok_or_else(|| {
            "variables of the connection (%RSYNC_USER_NAME% and the like) are for path, uid and gid".into()
        })
    }

    /// A path; none where the value is empty.
    pub fn path(&self) -> Result<Option<OsString>, String> {
        let text = self.text()?;
        Ok((!text.is_empty()).then(|| OsString::from_vec(text)))
    }

    /// `yes`, `no`, `true`, `false`, `1`, `0`.
    pub fn boolean(&self) -> Result<bool, String> {
        match self.text()?.to_ascii_lowercase().as_slice() {
            b"yes" | b"true" | b"1" => Ok(true),
            b"no" | b"false" | b"0" => Ok(false),
            _ => Err("neither yes nor no".into()),
        }
    }

    /// [`Value::boolean`], or nothing for an empty value and `unset`.
    pub fn boolean_or_unset(&self) -> Result<Option<bool>, String> {
        match self.text()?.to_ascii_lowercase().as_slice() {
            b"" | b"unset" => Ok(None),
            _ => self.boolean().map(Some),
        }
    }

    /// A whole number from `least` to `most`.
    pub fn integer(&self, least: i64, most: i64) -> Result<i64, String> {
        let text = String::from_utf8(self.text()?).unwrap_or_default();
        let number = text.parse().ok().filter(|n| (least..=most).contains(n));
        number.ok_or_else(|| format!("not a whole number from {least} to {most}"))
    }

    /// The elements of a list: apart by blanks and commas, or by commas only if it begins with one.
    pub fn list(&self) -> Result<Vec<Vec<u8>>, String> {
        Ok(split(&self.text()?))
    }

    /// The elements of a list that only blanks separate.
    pub fn words(&self) -> Result<Vec<Vec<u8>>, String> {
        let text = self.text()?;
        let words = text.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
        Ok(words.map(<[u8]>::to_vec).collect())
    }
}

/// See [`Value::list`].
pub fn split(text: &[u8]) -> Vec<Vec<u8>> {
    let commas_only = text.starts_with(b",");
    text.split(|b| *b == b',' || !commas_only && b.is_ascii_whitespace())
        .map(<[u8]>::trim_ascii)
        .filter(|element| !element.is_empty())
        .map(<[u8]>::to_vec)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(raw: &str) -> Value<'_> {
        Value { raw: raw.as_bytes(), environment: &|_| None }
    }

    #[test]
    fn a_boolean_has_six_spellings_in_any_case_and_no_others() {
        assert!(["yes", "TRUE", "1"].iter().all(|v| value(v).boolean() == Ok(true)));
        assert!(["no", "False", "0"].iter().all(|v| value(v).boolean() == Ok(false)));
        assert!(["on", "off", "", "maybe", "2", "y"].iter().all(|v| value(v).boolean().is_err()));
    }

    #[test]
    fn a_list_that_begins_with_a_comma_keeps_its_blanks() {
        assert_eq!(split(b"a, b\tc ,,d"), [b"a", b"b", b"c", b"d"]);
        assert_eq!(split(b", a b , c,, "), [&b"a b"[..], b"c"]);
    }

    #[test]
    fn numbers_outside_their_range_are_refused() {
        assert_eq!(value("65535").integer(1, 65535), Ok(65535));
        for text in ["0", "65536", "-1", "1k", "", " 1", "99999999999999999999"] {
            assert!(value(text).integer(1, 65535).is_err(), "{text:?}");
        }
    }
}
