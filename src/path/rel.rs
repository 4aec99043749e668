//! `RelPath`: a relative path of checked components.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_bytes::Bytes;

use super::name::{Name, NameError};

/// A path below a root: [`Name`]s joined by `/`; empty for the root itself.
///
/// It names an entry in messages, filters and reports. It is never given to the kernel whole.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct RelPath(Box<[u8]>);

impl RelPath {
    /// The root itself.
    #[must_use]
    pub fn root() -> RelPath {
        RelPath::default()
    }

    /// Checks every component of `bytes`. Empty components, `.`, `..` and NUL are refused.
    pub fn parse(bytes: &[u8]) -> Result<RelPath, NameError> {
        if !bytes.is_empty() {
            for part in bytes.split(|&b| b == b'/') {
                Name::parse(part)?;
            }
        }
        Ok(RelPath(bytes.into()))
    }

    /// Joins names, outermost first.
    #[must_use]
    pub fn from_names<'a>(names: impl Iterator<Item = &'a Name>) -> RelPath {
        let mut bytes = Vec::new();
        for name in names {
            if !bytes.is_empty() {
                bytes.push(b'/');
            }
            bytes.extend_from_slice(name.as_bytes());
        }
        RelPath(bytes.into())
    }

    /// The path of `name` in this directory.
    #[must_use]
    pub fn join(&self, name: &Name) -> RelPath {
        let mut bytes = Vec::with_capacity(self.0.len() + 1 + name.as_bytes().len());
        bytes.extend_from_slice(&self.0);
        if !self.0.is_empty() {
            bytes.push(b'/');
        }
        bytes.extend_from_slice(name.as_bytes());
        RelPath(bytes.into())
    }

    /// The bytes, components joined by `/`, no leading or trailing one.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether this is the root itself.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// The components in order; none for the root.
    pub fn components(&self) -> impl Iterator<Item = Name> + '_ {
        self.0.split(|&b| b == b'/').filter_map(|part| Name::parse(part).ok())
    }

    /// How many components it has; 0 for the root.
    #[must_use]
    pub fn depth(&self) -> usize {
        if self.is_root() { 0 } else { 1 + self.0.iter().filter(|&&b| b == b'/').count() }
    }

    /// The last component's bytes; empty for the root.
    #[must_use]
    pub fn file_name(&self) -> &[u8] {
        self.0.rsplit(|&b| b == b'/').next().unwrap_or_default()
    }
}

impl Serialize for RelPath {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for RelPath {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<RelPath, D::Error> {
        RelPath::parse(<&Bytes>::deserialize(from)?).map_err(serde::de::Error::custom)
    }
}
