//! Frames: a header word of type and length, and what follows it.

use std::fmt;

use super::error::WireError;

/// Bytes of a header.
pub const HEADER_LEN: usize = 4;

/// Bytes of a data frame's trailer.
pub const TRAILER_LEN: usize = 4;

/// Bytes of the size that a packed frame's payload begins with.
pub const SIZE_LEN: usize = 4;

/// Bytes of the tag behind a sealed frame.
pub const TAG_LEN: usize = 16;

/// The longest control payload in bytes. It is held in memory whole before it is decoded, and what is
/// decoded may be ten times as large: both must stay small beside a daemon's 64 MiB.
pub const CONTROL_MAX: usize = 256 << 10;

/// The longest data payload in bytes. Nothing else can be sent meanwhile, so it bounds how long an error or
/// a sign of life waits (1 MiB at 10 Mbit/s: 0.9 s); and it is a default pipe's upper limit.
pub const DATA_MAX: usize = 1 << 20;

/// What a frame holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FrameKind {
    /// Messages, one behind the other; at least one.
    Control = 1,
    /// Bytes of the file begun last, and a trailer.
    Data = 2,
    /// Nothing: the sender of it is alive.
    KeepAlive = 3,
    /// As `Control`, packed.
    PackedControl = 4,
    /// Bytes of the file begun last, packed.
    PackedData = 5,
}

impl FrameKind {
    /// Every type, by rising number.
    pub const ALL: [FrameKind; 5] = [
        FrameKind::Control,
        FrameKind::Data,
        FrameKind::KeepAlive,
        FrameKind::PackedControl,
        FrameKind::PackedData,
    ];

    /// The smallest and the greatest payload in bytes. Empty data would be a stream without progress.
    #[must_use]
    pub const fn lengths(self) -> (usize, usize) {
        match self {
            FrameKind::Control => (1, CONTROL_MAX),
            FrameKind::Data => (1, DATA_MAX),
            FrameKind::KeepAlive => (0, 0),
            FrameKind::PackedControl => (SIZE_LEN + 1, CONTROL_MAX),
            FrameKind::PackedData => (SIZE_LEN + 1, DATA_MAX),
        }
    }

    /// The most bytes that a packed frame of this type may hold when it is unpacked: as many as the plain one.
    const fn unpacked_max(self) -> usize {
        match self {
            FrameKind::PackedControl => CONTROL_MAX,
            FrameKind::PackedData => DATA_MAX,
            FrameKind::Control | FrameKind::Data | FrameKind::KeepAlive => 0,
        }
    }
}

impl fmt::Display for FrameKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            FrameKind::Control => "control",
            FrameKind::Data => "data",
            FrameKind::KeepAlive => "keep-alive",
            FrameKind::PackedControl => "packed control",
            FrameKind::PackedData => "packed data",
        })
    }
}

/// A frame's first four bytes: a little-endian word with the type in the upper 8 bits and the payload's
/// length in the lower 24.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    kind: FrameKind,
    len: u32,
}

impl Header {
    /// The header of a frame with `len` bytes of payload.
    ///
    /// # Errors
    ///
    /// [`WireError::FrameLength`]: that type cannot be so long or so short.
    pub fn new(kind: FrameKind, len: usize) -> Result<Header, WireError> {
        let allowed = kind.lengths();
        match u32::try_from(len) {
            Ok(word) if (allowed.0..=allowed.1).contains(&len) => Ok(Header { kind, len: word }),
            _ => Err(WireError::FrameLength { kind, len, allowed }),
        }
    }

    /// What the frame holds.
    #[must_use]
    pub fn kind(self) -> FrameKind {
        self.kind
    }

    /// Bytes of payload; trailer and tag are not counted.
    #[must_use]
    pub fn len(self) -> usize {
        self.len as usize
    }

    /// Whether there is no payload.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.len == 0
    }

    /// As it is sent.
    #[must_use]
    pub fn encode(self) -> [u8; HEADER_LEN] {
        ((self.kind as u32) << 24 | self.len).to_le_bytes()
    }

    /// Reads a header.
    ///
    /// # Errors
    ///
    /// [`WireError::UnknownFrame`], [`WireError::FrameLength`]: the session ends before anything is read
    /// or allocated for the payload.
    pub fn parse(bytes: [u8; HEADER_LEN]) -> Result<Header, WireError> {
        let word = u32::from_le_bytes(bytes);
        let number = (word >> 24) as u8;
        let kind = FrameKind::ALL.into_iter().find(|kind| *kind as u8 == number);
        Header::new(kind.ok_or(WireError::UnknownFrame(number))?, (word & 0x00ff_ffff) as usize)
    }

    /// Reads the trailer of this data frame: how many of its bytes were real. The rest is padding, to be
    /// dropped: the source had shrunk when they were sent.
    ///
    /// # Errors
    ///
    /// [`WireError::Trailer`]: more than it has.
    pub fn parse_trailer(self, bytes: [u8; TRAILER_LEN]) -> Result<usize, WireError> {
        let real = u32::from_le_bytes(bytes);
        if real > self.len {
            return Err(WireError::Trailer { real, len: self.len });
        }
        Ok(real as usize)
    }

    /// Takes the payload of this packed frame apart: how many bytes it holds, and the zstd frame that they are in.
    ///
    /// # Errors
    ///
    /// [`WireError::Packed`]: nothing, or more than the plain frame might hold. Nothing has been unpacked.
    pub fn parse_packed(self, payload: &[u8]) -> Result<(usize, &[u8]), WireError> {
        let max = self.kind.unpacked_max();
        let (size, packed) = payload.split_first_chunk().unwrap_or((&[0; SIZE_LEN], &[]));
        let size = u32::from_le_bytes(*size) as usize;
        if !(1..=max).contains(&size) {
            return Err(WireError::Packed {
                kind: self.kind,
                cause: format!("claims {size} bytes; 1 to {max} are allowed"),
            });
        }
        Ok((size, packed))
    }

    /// The trailer that says that `real` bytes of this data frame were real.
    ///
    /// # Errors
    ///
    /// [`WireError::Trailer`]: more than it has.
    pub fn trailer(self, real: usize) -> Result<[u8; TRAILER_LEN], WireError> {
        let bytes = u32::try_from(real).unwrap_or(u32::MAX).to_le_bytes();
        self.parse_trailer(bytes).map(|_| bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_type_and_length_in_one_little_endian_word() {
        let header = Header::new(FrameKind::Data, 0x01_0203).unwrap();
        assert_eq!(header.encode(), [3, 2, 1, 2]);
        assert_eq!(Header::parse([3, 2, 1, 2]), Ok(header));
        assert_eq!(Header::parse(Header::new(FrameKind::KeepAlive, 0).unwrap().encode()).unwrap().len(), 0);
    }

    #[test]
    fn types_and_lengths_that_do_not_exist_are_named() {
        let text = |word: u32| Header::parse(word.to_le_bytes()).unwrap_err().to_string();
        assert_eq!(text(0), "protocol error: frame type 0 does not exist");
        assert_eq!(text(0xff00_0000), "protocol error: frame type 255 does not exist");
        assert_eq!(
            text(0x0100_0000 | 262_145),
            "protocol error: control frame of 262145 bytes; 1 to 262144 are allowed"
        );
        assert!(Header::parse((0x0100_0000u32 | 262_144).to_le_bytes()).is_ok());
        assert!(Header::parse((0x0200_0000u32 | 1 << 20).to_le_bytes()).is_ok());
        assert!(Header::parse((0x0200_0000u32 | ((1 << 20) + 1)).to_le_bytes()).is_err());
        assert!(Header::parse(0x0200_0000u32.to_le_bytes()).is_err(), "empty data");
        assert!(Header::parse(0x0300_0001u32.to_le_bytes()).is_err(), "a keep-alive holds nothing");
    }

    #[test]
    fn a_packed_frame_holds_no_more_than_a_plain_one() {
        let header = Header::new(FrameKind::PackedControl, 9).unwrap();
        assert_eq!(header.parse_packed(b"\x03\0\0\0zstd."), Ok((3, &b"zstd."[..])));
        assert_eq!(
            header.parse_packed(&[1, 0, 4, 0, 0]).unwrap_err().to_string(),
            "protocol error: packed control frame: claims 262145 bytes; 1 to 262144 are allowed"
        );
        assert!(header.parse_packed(&[0; 9]).is_err());
        let data = Header::new(FrameKind::PackedData, 9).unwrap();
        assert!(
            data.parse_packed(&[0, 0, 16, 0, 1]).is_ok() && data.parse_packed(&[1, 0, 16, 0, 1]).is_err()
        );
        assert!(Header::new(FrameKind::PackedData, 4).is_err(), "a size alone holds nothing");
    }

    #[test]
    fn a_trailer_claims_no_more_than_the_frame_has() {
        let header = Header::new(FrameKind::Data, 10).unwrap();
        assert_eq!(header.parse_trailer(header.trailer(10).unwrap()), Ok(10));
        assert_eq!(header.parse_trailer([0; 4]), Ok(0));
        assert_eq!(header.parse_trailer([11, 0, 0, 0]), Err(WireError::Trailer { real: 11, len: 10 }));
        assert!(header.trailer(11).is_err());
    }
}
