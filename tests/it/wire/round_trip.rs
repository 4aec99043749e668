//! Every message comes back as it was, and long ones come back from their parts.

use std::sync::atomic::Ordering;

use proptest::prelude::*;
use sluice::event::{Event, Figures, Meter, Note};
use sluice::path::{Kind, Name, RelPath, Time};
use sluice::wire::frame::CONTROL_MAX;
use sluice::wire::listing::Listing;
use sluice::wire::to_receiver::{INLINE_MAX, Roots};
use sluice::wire::{
    Fatal, Inode, Listed, Message, Request, Requesting, Role, ToReceiver, ToSender, ToServer, WireError,
    encoded_len,
};

use super::samples::listed;
use super::strategies;

fn comes_back<M: Message + PartialEq + std::fmt::Debug>(message: M) -> Result<(), TestCaseError> {
    let mut payload = b"before".to_vec();
    message.encode(&mut payload).unwrap();
    prop_assert_eq!(payload.len(), 6 + encoded_len(&message));
    prop_assert_eq!(M::decode(&payload[6..]), Ok(message));
    Ok(())
}

proptest! {
    #[test]
    fn messages_to_the_server_come_back(message in strategies::to_server()) {
        comes_back(message)?;
    }

    #[test]
    fn messages_to_the_client_come_back(message in strategies::to_client()) {
        comes_back(message)?;
    }

    #[test]
    fn messages_to_the_receiver_come_back(message in strategies::to_receiver()) {
        comes_back(message)?;
    }

    #[test]
    fn messages_to_the_sender_come_back(message in strategies::to_sender()) {
        comes_back(message)?;
    }
}

#[test]
fn what_does_not_fit_into_a_frame_is_not_encoded() {
    let fits = ToServer::More { options: vec![7; CONTROL_MAX - 5], operands: Vec::new() };
    let mut out = b"before".to_vec();
    fits.encode(&mut out).unwrap();
    assert_eq!(out.len(), 6 + CONTROL_MAX);
    let long = ToServer::More { options: vec![7; CONTROL_MAX - 4], operands: Vec::new() };
    out.truncate(6);
    assert_eq!(long.encode(&mut out), Err(WireError::TooLong { message: "More", max: CONTROL_MAX }));
    assert_eq!(out, b"before");
}

#[test]
fn a_long_listing_travels_in_parts_that_fit() {
    let entries: Vec<Listed> = (0..20_000).map(|n| listed(&format!("{n:0200}"), Kind::File)).collect();
    let whole = Listing {
        dir: 3,
        entries: entries.clone(),
        notes: Vec::new(),
        problems: Vec::new(),
        last: true,
        complete: true,
        incomplete: false,
    };
    let parts = whole.parts();
    let (last, others) = parts.split_last().unwrap();
    assert!(others.iter().all(|part| !part.last && !part.complete) && last.last && last.complete);
    let mut back = Vec::new();
    for part in parts {
        let mut payload = Vec::new();
        let message = ToReceiver::Listing(part);
        message.encode(&mut payload).unwrap();
        assert!(payload.len() < CONTROL_MAX / 2 + 32);
        let Ok(ToReceiver::Listing(part)) = ToReceiver::decode(&payload) else { panic!("{payload:?}") };
        back.extend(part.entries);
    }
    assert_eq!(back, entries);
}

#[test]
fn long_roots_travel_in_parts_that_fit() {
    let prefixes: Vec<_> = (0..20_000).map(|n| format!("{n:040}").into_bytes().into()).collect();
    let notes = vec![Note::SkippingDirectory(vec![b'd'; 200_000]); 2];
    let single = Some(Name::parse(b"f").unwrap());
    let whole = Roots { prefixes, notes, last: true, single, ..Roots::default() };
    let mut back = Roots::default();
    for part in whole.clone().parts() {
        let mut payload = Vec::new();
        ToReceiver::Roots(part).encode(&mut payload).unwrap();
        let Ok(ToReceiver::Roots(part)) = ToReceiver::decode(&payload) else { panic!("{payload:?}") };
        assert!(!back.last);
        back.prefixes.extend(part.prefixes);
        back.notes.extend(part.notes);
        back = Roots { last: part.last, single: part.single, ..back };
    }
    assert_eq!(back, whole);
    assert_eq!(Roots::default().parts().len(), 1);
}

#[test]
fn a_long_request_travels_in_parts_and_has_an_end() {
    let request = Request {
        role: Role::Sender,
        options: (0..400_000u32).map(|n| n as u8).collect(),
        operands: (0..10_000).map(|n| format!("operand {n}").into_bytes()).collect(),
    };
    let mut requesting = Requesting::new(3 << 20);
    let mut back = None;
    for message in request.clone().into_messages() {
        let mut payload = Vec::new();
        message.encode(&mut payload).unwrap();
        assert!(back.is_none());
        back = requesting.take(ToServer::decode(&payload).unwrap()).unwrap();
    }
    assert_eq!(back, Some(request));

    let part =
        |options| ToServer::More { options: vec![0; options], operands: vec![b"1234".to_vec().into()] };
    let mut requesting = Requesting::new(100);
    assert_eq!(requesting.take(part(14)), Ok(None));
    assert!(requesting.clone().take(part(15)).is_err(), "an operand counts with 32 bytes more");
    assert_eq!(requesting.take(part(14)), Ok(None));
    assert!(Requesting::new(9).take(ToServer::ListModules).is_err());
}

#[test]
fn a_longer_list_than_allowed_is_refused_by_its_message() {
    let decoded = |n| {
        let mut payload = Vec::new();
        let note = Event::Note(Note::DeletionSkippedIoError);
        ToSender::Told(vec![note; n]).encode(&mut payload).unwrap();
        ToSender::decode(&payload).map(drop).map_err(|e| e.to_string())
    };
    assert_eq!(decoded(4096), Ok(()));
    let text = decoded(4097).unwrap_err();
    assert_eq!(text, "protocol error: Told, byte 8197: a name, number or count that is not allowed");
}

fn refused<M: Message + std::fmt::Debug>(message: M) -> String {
    let mut payload = Vec::new();
    message.encode(&mut payload).unwrap();
    M::decode(&payload).unwrap_err().to_string()
}

#[test]
fn what_a_field_must_not_say_is_refused_by_its_name() {
    let entry = |change: fn(&mut Listed)| {
        let mut entries = vec![listed("a", Kind::File), listed("b", Kind::File)];
        change(&mut entries[1]);
        let (notes, problems) = (Vec::new(), Vec::new());
        let part =
            Listing { dir: 0, entries, notes, problems, last: true, complete: true, incomplete: false };
        refused(ToReceiver::Listing(part))
    };
    let (dir, entry_at, mtime) = (0, 0, Time::default());
    let file =
        |size, from| ToReceiver::File { dir, entry: entry_at, size, mtime, from, digest_follows: true };
    let texts = [
        entry(|e| e.link = Some(b"to"[..].into())),
        entry(|e| *e = Listed { link: None, ..listed("l", Kind::Symlink) }),
        entry(|e| *e = Listed { link: Some(b"a\0"[..].into()), ..listed("l", Kind::Symlink) }),
        entry(|e| *e = Listed { link: Some(vec![b'x'; 4096].into()), ..listed("l", Kind::Symlink) }),
        entry(|e| e.properties.mode = 0o10000),
        entry(|e| e.properties.size = 1 << 63),
        entry(|e| e.rdev = Some(1)),
        entry(|e| e.implied = true),
        entry(|e| e.inode = Some(Inode { dev: 1, ino: 1, nlink: 1 })),
        refused(file(1 << 63, 0)),
        refused(file(5, 6)),
        refused(ToReceiver::Hole { len: 0 }),
        refused(ToReceiver::Hole { len: 1 << 63 }),
        refused(ToReceiver::Inline { dir, entry: 0, mtime, data: vec![0; INLINE_MAX + 1], digest: None }),
        refused(ToReceiver::Fatal(Fatal { code: 0, text: String::new() })),
        refused(ToSender::Took { entries: 0 }),
        refused(ToServer::Module { name: Vec::new() }),
        refused(ToServer::Auth(vec![0; 4097])),
    ];
    let fields = [
        "Listing.entries[1].link: a symbolic link has a text",
        "Listing.entries[1].link: a symbolic link has a text",
        "Listing.entries[1].link: a link's text has 1 to 4095 bytes",
        "Listing.entries[1].link: a link's text has 1 to 4095 bytes",
        "Listing.entries[1].mode",
        "Listing.entries[1].size",
        "Listing.entries[1].rdev",
        "Listing.entries[1].implied",
        "Listing.entries[1].inode",
        "File.size",
        "File.from",
        "Hole.len",
        "Hole.len",
        "Inline.data",
        "Fatal.code",
        "Took.entries",
        "Module.name",
        "Auth.step",
    ];
    for (text, field) in texts.iter().zip(fields) {
        assert!(text.starts_with(&format!("protocol error: {field}")), "{text}");
    }
}

#[test]
fn names_and_paths_that_lead_elsewhere_do_not_decode() {
    let named = |name: &[u8; 2]| {
        let mut payload = Vec::new();
        let entries = vec![listed("@@", Kind::File)];
        let notes = vec![Note::Exists(RelPath::parse(b"d/%%").unwrap())];
        let part = Listing {
            dir: 0,
            entries,
            notes,
            problems: Vec::new(),
            last: true,
            complete: true,
            incomplete: false,
        };
        ToReceiver::Listing(part).encode(&mut payload).unwrap();
        let with = |mark: &[u8; 2]| {
            let mut payload = payload.clone();
            let at = payload.windows(2).position(|bytes| bytes == mark).unwrap();
            payload[at..at + 2].copy_from_slice(name);
            ToReceiver::decode(&payload)
        };
        (with(b"@@"), with(b"%%"))
    };
    assert!(matches!(named(b"ok"), (Ok(_), Ok(_))));
    for name in [b"..", b"a\0", b"/."] {
        let (entry, path) = named(name);
        assert!(matches!(entry, Err(WireError::Malformed { message: "Listing", .. })), "{entry:?}");
        assert!(matches!(path, Err(WireError::Malformed { message: "Listing", .. })), "{path:?}");
    }
}

#[test]
fn the_figures_of_a_meter_show_on_another() {
    let (ours, theirs) = (Meter::default(), Meter::default());
    theirs.bytes_done.store(5, Ordering::Relaxed);
    theirs.total_bytes.store(9, Ordering::Relaxed);
    ours.show(&theirs.figures());
    assert_eq!(ours.figures(), Figures { bytes_done: 5, totals: None, ..Figures::default() });
    theirs.total_known.store(true, Ordering::Relaxed);
    ours.show(&theirs.figures());
    assert_eq!(ours.figures().totals, Some((0, 9, 0)));
}
