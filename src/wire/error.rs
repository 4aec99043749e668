//! `WireError`: what is wrong with what a peer sent, in words that name the message and the place.

use std::fmt;

use super::frame::FrameKind;

/// Why bytes are not what the protocol allows. The session ends: exit 12, or 2 for versions that do not fit.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum WireError {
    /// The first bytes are not a hello; these are they, at most as many as a hello's magic has.
    Stranger(Vec<u8>),
    /// No version that both sides speak.
    Versions {
        /// Lowest and highest of this side.
        ours: (u16, u16),
        /// Lowest and highest of the peer.
        theirs: (u16, u16),
    },
    /// A frame of a type that does not exist.
    UnknownFrame(u8),
    /// A frame whose length its type does not allow.
    FrameLength {
        /// Its type.
        kind: FrameKind,
        /// The length in its header, in bytes.
        len: usize,
        /// The smallest and the greatest length allowed.
        allowed: (usize, usize),
    },
    /// A data frame that claims more real bytes than it has.
    Trailer {
        /// What the trailer says.
        real: u32,
        /// The frame's length.
        len: u32,
    },
    /// A packed frame that may not be there, or does not hold what it claims.
    Packed {
        /// Its type.
        kind: FrameKind,
        /// Why.
        cause: String,
    },
    /// A frame's tag is not that of its content: the stream was altered, or the keys differ.
    Forged,
    /// A message with a number that none has.
    UnknownMessage {
        /// Whom the message was for.
        to: &'static str,
        /// Its number.
        number: u32,
    },
    /// A message that does not decode.
    Malformed {
        /// Its name.
        message: &'static str,
        /// The byte of the payload at which decoding stopped.
        at: usize,
        /// Why.
        cause: &'static str,
    },
    /// A message that decodes and says what is not allowed.
    NotAllowed {
        /// Its name.
        message: &'static str,
        /// Which field, as in `entries[3].link`.
        field: String,
        /// Why.
        cause: String,
    },
    /// A message that is too long to be sent. Nothing was encoded.
    TooLong {
        /// Its name.
        message: &'static str,
        /// The greatest length in bytes.
        max: usize,
    },
}

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WireError::Stranger(start) if start.starts_with(b"@RSYNCD") => {
                f.write_str("the peer speaks rsync's own protocol; sluice needs a sluice there")
            }
            // How rsync begins behind a remote shell: its protocol's version, as 4 bytes.
            WireError::Stranger(start) if matches!(start[..], [20..=99, 0, 0, 0, ..]) => f.write_str(
                "rsync answered, which speaks its own protocol: install sluice there, or name it with --rsync-path",
            ),
            WireError::Stranger(start) => {
                let hint = "is that what a login prints there?";
                // Whoever shows the line escapes what no terminal should get.
                let start = String::from_utf8_lossy(start);
                write!(f, "the peer is no sluice: it began with \"{}\"; {hint}", start.escape_debug())
            }
            WireError::Versions { ours, theirs } => write!(
                f,
                "no common protocol version: this sluice speaks {} to {}, the peer {} to {}; update the older one",
                ours.0, ours.1, theirs.0, theirs.1
            ),
            WireError::UnknownFrame(kind) => write!(f, "protocol error: frame type {kind} does not exist"),
            WireError::FrameLength { kind, len, allowed: (min, max) } => {
                write!(f, "protocol error: {kind} frame of {len} bytes; {min} to {max} are allowed")
            }
            WireError::Trailer { real, len } => {
                write!(f, "protocol error: data frame of {len} bytes claims {real} real ones")
            }
            WireError::Packed { kind, cause } => write!(f, "protocol error: {kind} frame: {cause}"),
            WireError::Forged => f.write_str(
                "a frame's tag is wrong: the connection was altered on its way, or the peer is another",
            ),
            WireError::UnknownMessage { to, number } => {
                write!(f, "protocol error: message {number} to the {to} does not exist")
            }
            WireError::Malformed { message, at, cause } => {
                write!(f, "protocol error: {message}, byte {at}: {cause}")
            }
            WireError::NotAllowed { message, field, cause } => {
                write!(f, "protocol error: {message}.{field}: {cause}")
            }
            WireError::TooLong { message, max } => {
                write!(f, "{message} is too long to be sent: {max} bytes are allowed")
            }
        }
    }
}

impl WireError {
    /// A message that would be allowed at another time.
    pub(crate) fn out_of_order(message: &'static str, cause: &str) -> WireError {
        WireError::NotAllowed { message, field: "order".into(), cause: cause.into() }
    }

    /// An answer to what nobody has asked for.
    pub(crate) fn unasked(message: &'static str) -> WireError {
        WireError::out_of_order(message, "nobody has asked for that")
    }
}

impl std::error::Error for WireError {}
