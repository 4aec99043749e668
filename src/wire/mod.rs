//! FLOOR 4. The protocol between two sluices: frames, seals and messages. Parsing only, no I/O.
//!
//! `docs/protocol.md` is the protocol in full: who speaks when, each message, its limits. In short:
//!
//! 1. Both sides send a [`Hello`] at once; [`hello::agree`] picks version and features.
//! 2. The client asks ([`ToServer`]), the server answers ([`ToClient`]), until `Ready`.
//! 3. One side is now the sender of the session, the other its receiver. Listings and data go one way
//!    ([`ToReceiver`]), wishes and results the other ([`ToSender`]), both at once and without a round trip
//!    for each file.
//!
//! Everything after the hello is in frames ([`frame`]); in an authenticated session they are sealed
//! ([`seal`]). What a peer sends is parsed, never trusted: a message that was decoded keeps every limit
//! that is written at its fields, and [`Assembly`] checks what only shows across messages.

pub mod assembly;
pub mod batch;
pub mod codec;
pub mod entry;
pub mod error;
pub mod frame;
pub mod handshake;
pub mod hello;
pub mod listing;
pub mod request;
pub mod seal;
pub mod to_receiver;
pub mod to_sender;

pub use assembly::{Assembly, Directory};
pub use codec::{Message, decode_value, encode_value, encoded_len, parts};
pub use entry::{Inode, Listed};
pub use error::WireError;
pub use frame::{FrameKind, Header};
pub use handshake::{Role, ToClient, ToServer};
pub use hello::{Features, Hello};
pub use listing::Listing;
pub use request::{Request, Requesting};
pub use seal::{Direction, Seal};
pub use to_receiver::ToReceiver;
pub use to_sender::ToSender;

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The versions that this program speaks, lowest and highest.
pub const VERSIONS: (u16, u16) = (1, 1);

/// How many entries of listings a sender may be ahead of [`ToSender::Took`].
///
/// A receiver holds what it has not taken: 16,384 entries at some 400 bytes are 7 MB of a daemon's 64 MiB.
/// 100,000 entries then need six round trips at most, and on a line of 100 ms a million entries spend 6 s
/// waiting. A directory may always be listed to its end, so that a larger one does not stop everything.
pub const WINDOW: u32 = 16_384;

/// How long a side sends nothing before it sends a keep-alive; a third of `--timeout`, if that is shorter. So
/// a limit of a minute sees two of them before it ends a session that is only busy.
pub const KEEP_ALIVE: Duration = Duration::from_secs(20);

/// How long a daemon gives an unknown peer, from the connection to the end of the authentication: a few round
/// trips of the slowest line, and the time for a password that a script supplies.
pub const HANDSHAKE: Duration = Duration::from_secs(10);

/// Why a peer gives up, or refuses to begin.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Fatal {
    /// The exit status that the other side ends with, as rsync numbers them: 1 to 255.
    pub code: u8,
    /// In words, for people.
    pub text: String,
}

impl Fatal {
    fn check(&self) -> Result<(), codec::Flaw> {
        codec::require(self.code != 0, "code", "a failure does not end with status 0")
    }
}
