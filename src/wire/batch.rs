//! The head of a batch file (`--write-batch`); frames of a session follow it, as `docs/batch.md` has it.

use std::fmt;

use super::VERSIONS;
use super::seal::{Direction, Seal};
use crate::path::escape;

/// How every batch file begins: not as a hello does.
pub const MAGIC: [u8; 8] = *b"sluice\0B";

/// The format that this program writes and reads.
pub const FORMAT: u16 = 1;

/// What BLAKE3 derives the key of a batch's tags with, from the head.
pub const CONTEXT: &str = "sluice 2026-11 batch 1 frames";

/// What was listed: the options that a reader has to have as the writer had them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Content(u32);

impl Content {
    /// `--recursive`.
    pub const RECURSIVE: Content = Content(1);
    /// `--dirs`.
    pub const DIRS: Content = Content(1 << 1);
    /// `--links`.
    pub const LINKS: Content = Content(1 << 2);
    /// `--owner`.
    pub const OWNER: Content = Content(1 << 3);
    /// `--group`.
    pub const GROUP: Content = Content(1 << 4);
    /// `--devices`.
    pub const DEVICES: Content = Content(1 << 5);
    /// `--specials`.
    pub const SPECIALS: Content = Content(1 << 6);
    /// `--hard-links`.
    pub const HARD_LINKS: Content = Content(1 << 7);
    /// `--checksum`.
    pub const CHECKSUM: Content = Content(1 << 8);
    /// `--acls`.
    pub const ACLS: Content = Content(1 << 9);
    /// `--xattrs`.
    pub const XATTRS: Content = Content(1 << 10);
    /// `--xattrs` twice.
    pub const ALL_XATTRS: Content = Content(1 << 11);
    /// `--atimes`.
    pub const ATIMES: Content = Content(1 << 12);

    /// `--fileflags`.
    pub const FILE_FLAGS: Content = Content(1 << 13);

    /// Every bit that means something.
    const KNOWN: u32 = (1 << 14) - 1;

    /// These and, if `on`, `other`.
    #[must_use]
    pub const fn with(self, other: Content, on: bool) -> Content {
        if on { Content(self.0 | other.0) } else { self }
    }

    /// Whether `other` is among these.
    #[must_use]
    pub const fn has(self, other: Content) -> bool {
        self.0 & other.0 == other.0
    }
}

/// What a batch file begins with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Head {
    /// The version of the protocol that its frames are of.
    pub protocol: u16,
    /// What was listed.
    pub content: Content,
    /// The key of the digests of files, if the session had one.
    pub file_key: Option<[u8; 32]>,
}

/// Why a file is no batch that can be read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum HeadError {
    /// It begins otherwise.
    Stranger(Vec<u8>),
    /// It is of another format, or of another version of the protocol, or holds what is not known here.
    Newer,
}

impl fmt::Display for HeadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HeadError::Stranger(start) => {
                write!(f, "it is no batch that sluice has written: it begins with \"{}\"", escape(start))
            }
            HeadError::Newer => f.write_str("it was written by a newer sluice; update this one"),
        }
    }
}

impl std::error::Error for HeadError {}

impl Head {
    /// Bytes of a head.
    pub const LEN: usize = 48;

    /// As it stands in the file.
    #[must_use]
    pub fn encode(&self) -> [u8; Head::LEN] {
        let keyed = u32::from(self.file_key.is_some()) << 31;
        let mut bytes = [0; Head::LEN];
        let parts: [&[u8]; 5] = [
            &MAGIC,
            &FORMAT.to_le_bytes(),
            &self.protocol.to_le_bytes(),
            &(self.content.0 | keyed).to_le_bytes(),
            &self.file_key.unwrap_or_default(),
        ];
        for (place, byte) in bytes.iter_mut().zip(parts.concat()) {
            *place = byte;
        }
        bytes
    }

    /// Reads a head.
    ///
    /// # Errors
    ///
    /// This is no batch, or none that can be read here.
    pub fn parse(bytes: &[u8]) -> Result<Head, HeadError> {
        let stranger = || HeadError::Stranger(bytes.get(..MAGIC.len()).unwrap_or(bytes).to_vec());
        let rest = bytes.strip_prefix(&MAGIC).ok_or_else(stranger)?;
        let word = |at: usize| rest.get(at..).and_then(<[u8]>::first_chunk).copied();
        let (Some(format), Some(protocol)) = (word(0), word(2)) else { return Err(stranger()) };
        let (format, protocol) = (u16::from_le_bytes(format), u16::from_le_bytes(protocol));
        if format != FORMAT || !(VERSIONS.0..=VERSIONS.1).contains(&protocol) {
            return Err(HeadError::Newer);
        }
        let content = rest.get(4..).and_then(<[u8]>::first_chunk).copied().ok_or_else(stranger)?;
        let key = rest.get(8..).and_then(<[u8]>::first_chunk).copied().ok_or_else(stranger)?;
        let content = u32::from_le_bytes(content);
        let (keyed, content) = (content >> 31 == 1, content & (u32::MAX >> 1));
        if content & !Content::KNOWN != 0 || !keyed && key != [0; 32] {
            return Err(HeadError::Newer);
        }
        Ok(Head { protocol, content: Content(content), file_key: keyed.then_some(key) })
    }

    /// The tags of the frames behind this head. They show damage, and nobody is kept from making others.
    #[must_use]
    pub fn seal(&self) -> Seal {
        Seal::new(&blake3::derive_key(CONTEXT, &self.encode()), Direction::ToClient)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_comes_back_as_it_was() {
        for file_key in [None, Some([7; 32])] {
            let content = Content::default().with(Content::RECURSIVE, true).with(Content::ATIMES, true);
            let head = Head { protocol: 1, content: content.with(Content::ACLS, false), file_key };
            assert_eq!(Head::parse(&head.encode()), Ok(head));
            assert!(head.content.has(Content::ATIMES) && !head.content.has(Content::ACLS));
        }
    }

    #[test]
    fn what_is_no_head_is_told_from_one_that_is_newer() {
        let head = Head { protocol: 1, content: Content::default(), file_key: None }.encode();
        let text = |bytes: &[u8]| Head::parse(bytes).unwrap_err().to_string();
        assert!(text(b"").contains("no batch"));
        assert!(text(b"\x20\0\0\0rsync").contains("no batch"));
        assert!(text(&head[..20]).contains("no batch"));
        for at in [8, 10, 13, 16, 47] {
            let mut other = head;
            other[at] ^= 0x40;
            assert_eq!(Head::parse(&other), Err(HeadError::Newer), "{at}");
        }
    }
}
