//! Seals: the tag behind each control frame of an authenticated session.
//!
//! A tag is the first 16 bytes of BLAKE3, keyed for one direction, over: the number of control frames
//! sealed before (8 bytes, little-endian); for each data frame since then its header and trailer (8 bytes);
//! this frame's header; its payload; the number of those data frames (8 bytes, little-endian). So no frame
//! can be altered, left out, repeated, moved or turned back, and the end of a file's data is where its
//! sender said. The data itself travels as it is: [`file_key`] keys the digest that covers it.

use blake3::Hasher;

use super::error::WireError;
use super::frame::{HEADER_LEN, Header, TAG_LEN};

/// Which way a frame goes. Each way has its own key, so that nothing can be sent back to where it came from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Direction {
    /// From the client, which opened the connection.
    ToServer,
    /// From the server.
    ToClient,
}

impl Direction {
    /// What BLAKE3 derives the key of this direction with.
    #[must_use]
    pub const fn context(self) -> &'static str {
        match self {
            Direction::ToServer => "sluice 2026-11 wire 1 frames to the server",
            Direction::ToClient => "sluice 2026-11 wire 1 frames to the client",
        }
    }
}

/// What BLAKE3 derives the key of files' digests with.
pub const FILE_CONTEXT: &str = "sluice 2026-11 wire 1 file digests";

/// The key of the digests of files in a session with this key.
#[must_use]
pub fn file_key(session_key: &[u8; 32]) -> [u8; 32] {
    blake3::derive_key(FILE_CONTEXT, session_key)
}

/// One direction's seals, on the side that makes or on the side that checks them.
pub struct Seal {
    key: [u8; 32],
    frames: u64,
    data_frames: u64,
    next: Hasher,
}

impl Seal {
    /// The first seal of a session with `session_key`.
    #[must_use]
    pub fn new(session_key: &[u8; 32], direction: Direction) -> Seal {
        let key = blake3::derive_key(direction.context(), session_key);
        let mut seal = Seal { key, frames: 0, data_frames: 0, next: Hasher::new_keyed(&key) };
        seal.begin();
        seal
    }

    /// Notes a data frame, of which `real` bytes are real, in the order in which it is sent or arrives.
    pub fn note_data(&mut self, header: Header, real: usize) {
        let real = u32::try_from(real).unwrap_or(u32::MAX);
        self.next.update(&header.encode()).update(&real.to_le_bytes());
        self.data_frames += 1;
    }

    /// The tag of the next control or keep-alive frame.
    #[must_use]
    pub fn tag(&mut self, header: Header, payload: &[u8]) -> [u8; TAG_LEN] {
        let header: [u8; HEADER_LEN] = header.encode();
        self.next.update(&header).update(payload).update(&self.data_frames.to_le_bytes());
        let mut tag = [0; TAG_LEN];
        self.next.finalize_xof().fill(&mut tag);
        self.frames += 1;
        self.data_frames = 0;
        self.begin();
        tag
    }

    /// Checks the tag of a control or keep-alive frame that arrived, in constant time.
    ///
    /// # Errors
    ///
    /// [`WireError::Forged`]: nothing of the frame may be used, nor anything after it.
    pub fn check(&mut self, header: Header, payload: &[u8], tag: [u8; TAG_LEN]) -> Result<(), WireError> {
        // Whole hashes are what is compared in constant time; the rest of both is zeros.
        let whole = |tag: [u8; TAG_LEN]| {
            let mut bytes = [0; blake3::OUT_LEN];
            bytes[..TAG_LEN].copy_from_slice(&tag);
            blake3::Hash::from_bytes(bytes)
        };
        if whole(self.tag(header, payload)) == whole(tag) { Ok(()) } else { Err(WireError::Forged) }
    }

    fn begin(&mut self) {
        self.next = Hasher::new_keyed(&self.key);
        self.next.update(&self.frames.to_le_bytes());
    }
}

/// Keys stay out of logs.
impl std::fmt::Debug for Seal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Seal").field("frames", &self.frames).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::frame::FrameKind;

    const KEY: [u8; 32] = [7; 32];

    fn control(payload: &[u8]) -> Header {
        Header::new(FrameKind::Control, payload.len()).unwrap()
    }

    fn data(len: usize) -> Header {
        Header::new(FrameKind::Data, len).unwrap()
    }

    fn pair() -> (Seal, Seal) {
        (Seal::new(&KEY, Direction::ToServer), Seal::new(&KEY, Direction::ToServer))
    }

    #[test]
    fn what_was_sealed_in_order_is_accepted() {
        let (mut ours, mut theirs) = pair();
        for payload in [&b"one"[..], b"two", b"two"] {
            for seal in [&mut ours, &mut theirs] {
                seal.note_data(data(100), 100);
                seal.note_data(data(50), 0);
            }
            let tag = ours.tag(control(payload), payload);
            assert_eq!(theirs.check(control(payload), payload, tag), Ok(()));
        }
    }

    #[test]
    fn a_change_of_anything_is_noticed() {
        let sealed = |prepare: fn(&mut Seal), header: Header, payload: &[u8], direction| {
            let mut seal = Seal::new(&KEY, direction);
            prepare(&mut seal);
            seal.tag(header, payload)
        };
        let prepare: fn(&mut Seal) = |seal| seal.note_data(data(8), 8);
        let right = sealed(prepare, control(b"text"), b"text", Direction::ToServer);
        let keep_alive = Header::new(FrameKind::KeepAlive, 0).unwrap();
        let wrong = [
            ("payload", sealed(prepare, control(b"texu"), b"texu", Direction::ToServer)),
            ("type", sealed(prepare, data(4), b"text", Direction::ToServer)),
            ("length", sealed(prepare, control(b"tex"), b"tex", Direction::ToServer)),
            ("direction", sealed(prepare, control(b"text"), b"text", Direction::ToClient)),
            ("no data", sealed(|_| {}, control(b"text"), b"text", Direction::ToServer)),
            (
                "length of data",
                sealed(|s| s.note_data(data(9), 8), control(b"text"), b"text", Direction::ToServer),
            ),
            (
                "real bytes",
                sealed(|s| s.note_data(data(8), 7), control(b"text"), b"text", Direction::ToServer),
            ),
            ("empty", sealed(prepare, keep_alive, b"", Direction::ToServer)),
        ];
        for (what, tag) in wrong {
            assert_ne!(tag, right, "{what}");
        }
    }

    #[test]
    fn a_repeated_or_missing_frame_is_refused() {
        let (mut ours, mut theirs) = pair();
        let first = ours.tag(control(b"x"), b"x");
        let second = ours.tag(control(b"x"), b"x");
        assert_eq!(theirs.check(control(b"x"), b"x", second), Err(WireError::Forged));
        let (_, mut theirs) = pair();
        assert_eq!(theirs.check(control(b"x"), b"x", first), Ok(()));
        assert_eq!(theirs.check(control(b"x"), b"x", first), Err(WireError::Forged));
    }
}
