//! Golden vectors: the encoding of each message, as `docs/protocol.md` prints it.
#![allow(clippy::disallowed_methods)] // a test looks at files by path

use std::fmt::Write as _;

use sluice::engine::pack::Unpacker;
use sluice::wire::hello::{Features, Hello};
use sluice::wire::{Direction, FrameKind, Header, Message, Seal, seal};

use super::samples;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

fn messages<M: Message>(samples: &[(&'static str, M)]) -> String {
    let mut table = format!("\nTo the {}:\n\n| message | payload |\n|---|---|\n", M::TO);
    for (name, message) in samples {
        let mut payload = Vec::new();
        message.encode(&mut payload).unwrap();
        writeln!(table, "| {name} | `{}` |", hex(&payload)).unwrap();
    }
    table
}

fn frames() -> String {
    let key = [0x5e; 32];
    let hello = Hello { versions: (1, 3), features: Features(5), nonce: [0xee; 32] };
    let control = Header::new(FrameKind::Control, 3).unwrap();
    let data = Header::new(FrameKind::Data, 70_000).unwrap();
    let keep_alive = Header::new(FrameKind::KeepAlive, 0).unwrap();
    let mut sealing = Seal::new(&key, Direction::ToServer);
    let first = sealing.tag(control, b"abc");
    sealing.note_data(data, 65_000);
    let second = sealing.tag(keep_alive, b"");
    let other = Seal::new(&key, Direction::ToClient).tag(control, b"abc");
    // zstd's own way to pack nothing: one block as it is.
    let zstd = b"\x28\xb5\x2f\xfd\x20\x03\x19\0\0abc";
    let packed = Header::new(FrameKind::PackedControl, 4 + zstd.len()).unwrap();
    let payload = [&3u32.to_le_bytes()[..], zstd].concat();
    let (size, inside) = packed.parse_packed(&payload).unwrap();
    let mut unpacked = Vec::new();
    Unpacker::new().unwrap().unpack(inside, size, &mut unpacked).unwrap();
    assert_eq!(unpacked, b"abc");
    let whole = [&packed.encode()[..], &payload].concat();
    let tag_of_packed = Seal::new(&key, Direction::ToServer).tag(packed, &payload);
    let rows: [(&str, &[u8]); 11] = [
        ("hello: versions 1 to 3, features 5, nonce of 32 bytes ee", &hello.encode()),
        ("header: control, 3 bytes", &control.encode()),
        ("header: data, 70,000 bytes", &data.encode()),
        ("trailer: 65,000 real bytes", &data.trailer(65_000).unwrap()),
        ("header: keep-alive", &keep_alive.encode()),
        ("key of digests of files, session key of 32 bytes 5e", &seal::file_key(&key)),
        ("tag, same key, to the server: control frame `abc`, the first", &first),
        ("tag: the data frame above, then keep-alive, the second", &second),
        ("tag, to the client: control frame `abc`, the first", &other),
        ("packed control frame that holds `abc`", &whole),
        ("tag, same key, to the server: that packed frame, the first", &tag_of_packed),
    ];
    let mut table = "| what | bytes |\n|---|---|\n".to_string();
    for (what, bytes) in rows {
        writeln!(table, "| {what} | `{}` |", hex(bytes)).unwrap();
    }
    table
}

fn page() -> String {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/protocol.md");
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn the_vectors_in_the_protocol_page_are_what_is_spoken() {
    let mut table = frames();
    table += &messages(&samples::to_server());
    table += &messages(&samples::to_client());
    table += &messages(&samples::to_receiver());
    table += &messages(&samples::to_sender());
    let page = page();
    let (_, vectors) = page.split_once("<!-- vectors -->\n").expect("the mark in docs/protocol.md");
    assert!(
        vectors.trim() == table.trim(),
        "a change of the encoding is a change of the protocol's version; if it is meant, the page must say:\n\n{table}"
    );
}

/// The payloads in the page, by the heading over them.
fn printed(to: &str) -> Vec<Vec<u8>> {
    let page = page();
    let (_, table) = page.split_once(&format!("\nTo the {to}:\n")).unwrap();
    let table = table.trim_start().lines().skip(2).take_while(|line| line.starts_with('|'));
    table.map(|line| unhex(line.split('`').nth(1).unwrap())).collect()
}

fn decode_to<M: Message + PartialEq + std::fmt::Debug>(samples: Vec<(&'static str, M)>) {
    let payloads = printed(M::TO);
    assert_eq!(payloads.len(), samples.len());
    let mut numbers: Vec<_> = payloads.iter().map(|payload| payload[0]).collect();
    for (payload, (name, message)) in payloads.iter().zip(samples) {
        assert_eq!(M::decode(payload), Ok(message), "{name}");
        assert!(name.starts_with(M::NAMES[usize::from(payload[0])]), "{name}");
        for end in 0..payload.len() {
            assert!(M::decode(&payload[..end]).is_err(), "{name} cut off after {end} bytes");
        }
        let longer = [payload, &[0][..]].concat();
        let text = M::decode(&longer).unwrap_err().to_string();
        assert!(text.contains("go on"), "{name}: {text}");
    }
    numbers.dedup();
    assert_eq!(numbers.len(), M::NAMES.len(), "a message without a vector");
}

#[test]
fn each_vector_decodes_to_its_message_and_no_part_of_it_decodes() {
    decode_to(samples::to_server());
    decode_to(samples::to_client());
    decode_to(samples::to_receiver());
    decode_to(samples::to_sender());
}
