//! `Name`: one path component, parsed or refused.

use std::ffi::{CStr, CString};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_bytes::Bytes;

/// One path component: 1 to 255 bytes, no `/`, no NUL, neither `.` nor `..`.
///
/// Only [`Name::parse`] makes one, so whoever holds a `Name` and a [`super::Dir`] can reach an entry of
/// that directory and nothing else. Bytes, not text: the kernel knows no encoding.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Name(Box<CStr>);

/// Why bytes are not a [`Name`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NameError {
    /// No bytes at all.
    Empty,
    /// `.` or `..`.
    Dots,
    /// A `/` or a NUL inside.
    Separator,
    /// More than 255 bytes, which no Linux filesystem stores.
    TooLong,
}

impl Name {
    /// The longest name in bytes (`NAME_MAX`).
    pub const MAX: usize = 255;

    /// Checks `bytes` and makes a name of them.
    pub fn parse(bytes: &[u8]) -> Result<Name, NameError> {
        match bytes {
            [] => Err(NameError::Empty),
            b"." | b".." => Err(NameError::Dots),
            _ if bytes.len() > Name::MAX => Err(NameError::TooLong),
            _ if bytes.contains(&b'/') => Err(NameError::Separator),
            _ => {
                let name = CString::new(bytes).map_err(|_| NameError::Separator)?;
                Ok(Name(name.into_boxed_c_str()))
            }
        }
    }

    /// The bytes, without a terminator.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.0.to_bytes()
    }

    /// The name as the kernel takes it.
    #[must_use]
    pub fn as_cstr(&self) -> &CStr {
        &self.0
    }
}

impl Serialize for Name {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_bytes(self.as_bytes())
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Name, D::Error> {
        Name::parse(<&Bytes>::deserialize(from)?).map_err(serde::de::Error::custom)
    }
}

impl std::fmt::Display for NameError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            NameError::Empty => "a name cannot be empty",
            NameError::Dots => "\".\" and \"..\" are not names",
            NameError::Separator => "a name cannot hold \"/\" or NUL",
            NameError::TooLong => "a name has at most 255 bytes",
        })
    }
}

impl std::error::Error for NameError {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_not_one_component_is_refused() {
        assert_eq!(Name::parse(b""), Err(NameError::Empty));
        assert_eq!(Name::parse(b"."), Err(NameError::Dots));
        assert_eq!(Name::parse(b".."), Err(NameError::Dots));
        assert_eq!(Name::parse(b"a/b"), Err(NameError::Separator));
        assert_eq!(Name::parse(b"/"), Err(NameError::Separator));
        assert_eq!(Name::parse(b"a\0b"), Err(NameError::Separator));
        assert_eq!(Name::parse(&[b'x'; 256]), Err(NameError::TooLong));
        assert!(Name::parse(&[b'x'; 255]).is_ok());
        assert!(Name::parse(b"...").is_ok());
        assert!(Name::parse(b"\xff\n").is_ok());
    }

    proptest! {
        #[test]
        fn a_parsed_name_is_the_bytes_given_and_one_component(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            if let Ok(name) = Name::parse(&bytes) {
                prop_assert_eq!(name.as_bytes(), &bytes[..]);
                prop_assert!(!bytes.is_empty() && bytes.len() <= 255);
                prop_assert!(!bytes.contains(&b'/') && !bytes.contains(&0));
                prop_assert!(bytes != b"." && bytes != b"..");
            }
        }
    }
}
