//! The hello: what both sides send first, at once, before any frame.

use super::error::WireError;

/// What a hello begins with. The line end makes a peer that reads lines answer, so that it can be recognised.
pub const MAGIC: [u8; 8] = *b"sluice\0\n";

/// Optional parts of the protocol, one bit each; a bit that one side does not know is off for both.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Features(pub u64);

impl Features {
    /// No optional part.
    pub const NONE: Features = Features(0);

    /// Packed frames, by zstd (`-z`).
    pub const ZSTD: Features = Features(1);

    /// What both sides have.
    #[must_use]
    pub fn and(self, other: Features) -> Features {
        Features(self.0 & other.0)
    }

    /// Whether all of `other` are among these.
    #[must_use]
    pub fn has(self, other: Features) -> bool {
        self.and(other) == other
    }
}

/// What a side says of itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Hello {
    /// The lowest and the highest protocol version that it speaks.
    pub versions: (u16, u16),
    /// The optional parts that it can do.
    pub features: Features,
    /// Random: makes each session's transcript, and so its key, a new one.
    pub nonce: [u8; 32],
}

/// What two hellos lead to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Agreed {
    /// The version that is spoken from here on.
    pub version: u16,
    /// The optional parts that may be used.
    pub features: Features,
}

impl Hello {
    /// Bytes of a hello, in every version: magic, lowest and highest version (2 each, little-endian),
    /// features (8, little-endian), nonce (32).
    pub const LEN: usize = 52;

    /// The hello of this program.
    #[must_use]
    pub fn ours(features: Features, nonce: [u8; 32]) -> Hello {
        Hello { versions: super::VERSIONS, features, nonce }
    }

    /// As it is sent; also what a transcript holds.
    #[must_use]
    pub fn encode(&self) -> [u8; Hello::LEN] {
        let mut bytes = [0; Hello::LEN];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..10].copy_from_slice(&self.versions.0.to_le_bytes());
        bytes[10..12].copy_from_slice(&self.versions.1.to_le_bytes());
        bytes[12..20].copy_from_slice(&self.features.0.to_le_bytes());
        bytes[20..].copy_from_slice(&self.nonce);
        bytes
    }

    /// Whether what has arrived so far can be the beginning of a hello; asked as the bytes come, so that a
    /// peer that never sends a whole hello is recognised all the same.
    ///
    /// # Errors
    ///
    /// [`WireError::Stranger`] with the first bytes: it is something else.
    pub fn recognise(arrived: &[u8]) -> Result<(), WireError> {
        let start = &arrived[..arrived.len().min(MAGIC.len())];
        if MAGIC.starts_with(start) { Ok(()) } else { Err(WireError::Stranger(start.to_vec())) }
    }

    /// Reads a hello.
    ///
    /// # Errors
    ///
    /// [`WireError::Stranger`]: it is none. [`WireError::NotAllowed`]: its versions are no range.
    pub fn parse(bytes: &[u8; Hello::LEN]) -> Result<Hello, WireError> {
        Hello::recognise(bytes)?;
        let mut nonce = [0; 32];
        nonce.copy_from_slice(&bytes[20..]);
        let number = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
        let mut features = [0; 8];
        features.copy_from_slice(&bytes[12..20]);
        let versions = (number(8), number(10));
        if versions.0 > versions.1 {
            return Err(WireError::NotAllowed {
                message: "Hello",
                field: "versions".into(),
                cause: format!("{} to {} is no range", versions.0, versions.1),
            });
        }
        Ok(Hello { versions, features: Features(u64::from_le_bytes(features)), nonce })
    }
}

/// The highest version that both speak, and what both can do.
///
/// # Errors
///
/// [`WireError::Versions`]: there is none; exit 2.
pub fn agree(ours: &Hello, theirs: &Hello) -> Result<Agreed, WireError> {
    let version = ours.versions.1.min(theirs.versions.1);
    if version < ours.versions.0.max(theirs.versions.0) {
        return Err(WireError::Versions { ours: ours.versions, theirs: theirs.versions });
    }
    Ok(Agreed { version, features: ours.features.and(theirs.features) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn speaks(lowest: u16, highest: u16) -> Hello {
        Hello { versions: (lowest, highest), features: Features(0b110), nonce: [1; 32] }
    }

    #[test]
    fn a_hello_comes_back_as_it_was() {
        let hello =
            Hello { versions: (1, 0x0203), features: Features(0x0807_0605_0403_0201), nonce: [9; 32] };
        assert_eq!(Hello::parse(&hello.encode()), Ok(hello));
    }

    #[test]
    fn the_highest_common_version_and_the_common_features_are_spoken() {
        let other = Hello { features: Features(0b011), ..speaks(2, 9) };
        assert_eq!(agree(&speaks(1, 5), &other), Ok(Agreed { version: 5, features: Features(0b010) }));
        assert_eq!(agree(&other, &speaks(9, 12)).unwrap().version, 9);
        let text = agree(&speaks(1, 2), &speaks(3, 4)).unwrap_err().to_string();
        assert!(text.contains("speaks 1 to 2") && text.contains("the peer 3 to 4"), "{text}");
        let mut bytes = speaks(0, 0).encode();
        bytes[8] = 1;
        assert!(matches!(Hello::parse(&bytes), Err(WireError::NotAllowed { message: "Hello", .. })));
    }

    #[test]
    fn a_stranger_is_recognised_by_its_first_bytes() {
        assert_eq!(Hello::recognise(b""), Ok(()));
        assert_eq!(Hello::recognise(b"slu"), Ok(()));
        let rsync = Hello::recognise(b"@RSYNCD: 32.0\n").unwrap_err();
        assert!(rsync.to_string().contains("rsync's own protocol"), "{rsync}");
        let shell = Hello::recognise(b"W\x1b").unwrap_err();
        let said = "the peer is no sluice: it began with \"W\\u{1b}\"; is that what a login prints there?";
        assert_eq!(shell.to_string(), said);
    }
}
