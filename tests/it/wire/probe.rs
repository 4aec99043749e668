//! Decodes bytes as everything that they could be; shared with the fuzz targets.

use sluice::engine::pack::Unpacker;
use sluice::wire::frame::{HEADER_LEN, TAG_LEN, TRAILER_LEN};
use sluice::wire::{
    Assembly, Direction, FrameKind, Header, Hello, Message, Requesting, Seal, ToClient, ToReceiver, ToSender,
    ToServer, hello,
};

/// What decodes must encode again, to a payload that decodes to the same.
fn message<M: Message + PartialEq + std::fmt::Debug>(payload: &[u8]) -> Option<M> {
    let decoded = match M::decode(payload) {
        Ok(decoded) => decoded,
        Err(e) => {
            assert!(!e.to_string().is_empty());
            return None;
        }
    };
    let mut again = Vec::new();
    decoded.encode(&mut again).expect("what fitted into a frame fits again");
    assert!(again.len() <= payload.len(), "there is no shorter encoding than ours");
    assert_eq!(M::decode(&again).as_ref(), Ok(&decoded));
    Some(decoded)
}

/// Any bytes are a message or an error, in each direction of each phase.
pub fn payload(bytes: &[u8]) {
    message::<ToServer>(bytes);
    message::<ToClient>(bytes);
    message::<ToSender>(bytes);
    message::<ToReceiver>(bytes);
}

/// Reads bytes as a whole connection: a hello, frames of a request, then frames of a session.
pub fn stream(bytes: &[u8]) {
    let Some((start, mut rest)) = bytes.split_first_chunk::<{ Hello::LEN }>() else {
        let _either = Hello::recognise(bytes);
        return;
    };
    let ours = Hello::ours(hello::Features::NONE, [0; 32]);
    if let Ok(theirs) = Hello::parse(start) {
        assert_eq!(theirs.encode(), *start);
        let _either = hello::agree(&ours, &theirs);
    }
    let mut seal = Seal::new(&[1; 32], Direction::ToServer);
    let mut assembly = Assembly::new(3, 1 << 20);
    let mut unpacker = Unpacker::new().expect("there is memory");
    let mut requesting = Requesting::new(1 << 20);
    while let Some((header, after)) = rest.split_first_chunk::<HEADER_LEN>() {
        let Ok(header) = Header::parse(*header) else { return };
        let Some((payload, after)) = after.split_at_checked(header.len()) else { return };
        rest = after;
        match header.kind() {
            FrameKind::Data => {
                let Some((trailer, after)) = rest.split_first_chunk::<TRAILER_LEN>() else { return };
                rest = after;
                let Ok(real) = header.parse_trailer(*trailer) else { return };
                assert!(real <= payload.len());
                seal.note_data(header, real);
            }
            FrameKind::KeepAlive | FrameKind::Control | FrameKind::PackedControl | FrameKind::PackedData => {
                let tag = seal.tag(header, payload);
                assert_ne!(tag, [0; TAG_LEN]);
                let mut unpacked = Vec::new();
                let payload = match header.kind() {
                    FrameKind::PackedControl | FrameKind::PackedData => {
                        let Ok((size, packed)) = header.parse_packed(payload) else { return };
                        if unpacker.unpack(packed, size, &mut unpacked).is_err() {
                            return;
                        }
                        assert_eq!(unpacked.len(), size);
                        &unpacked
                    }
                    _ => payload,
                };
                self::payload(payload);
                if let Some(part) = message::<ToServer>(payload) {
                    let _either = requesting.take(part);
                }
                if let Some(ToReceiver::Listing(part)) = message::<ToReceiver>(payload)
                    && let Ok(Some(whole)) = assembly.take(part)
                {
                    let dirs = whole.entries.iter().filter(|entry| entry.is_listed_dir()).count();
                    assert_eq!(whole.children.len(), dirs);
                    whole.entries.into_iter().for_each(|entry| drop(entry.into_entry()));
                }
            }
        }
    }
}
