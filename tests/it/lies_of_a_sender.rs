//! What a hostile sender says once the session has begun, each with a part of what the receiver says then.

use serde_bytes::ByteBuf;
use sluice::event::{Note, Problem};
use sluice::path::Kind;
use sluice::session::handshake::Greeted;
use sluice::sys::Errno;
use sluice::wire::frame::Header;
use sluice::wire::to_receiver::{Ids, Outcome, Roots};
use sluice::wire::to_sender::How;
use sluice::wire::{FrameKind, Listed, Listing, Message, ToReceiver, ToSender};

use crate::hostile::Lie;
use crate::scripted::*;
use crate::wire::samples::listed;

fn roots(link: &mut Greeted) {
    let prefixes = vec![ByteBuf::from(*b"src/")];
    say(
        link,
        &ToReceiver::Roots(Roots { prefixes, last: true, root: Some(properties()), ..Roots::default() }),
    );
}

/// The receiver asks for the tree.
fn asked(link: &mut Greeted) {
    roots(link);
    assert!(matches!(link.reader.expect(), Ok(ToSender::List { .. })));
}

fn files(names: &[&str]) -> Vec<Listed> {
    let kind = |name: &str| if name.ends_with('/') { Kind::Dir } else { Kind::File };
    names.iter().map(|name| listed(name.trim_end_matches('/'), kind(name))).collect()
}

fn lists(link: &mut Greeted, names: &[&str]) {
    asked(link);
    say(link, &listing(0, files(names)));
}

/// One entry, changed.
fn entry(link: &mut Greeted, kind: Kind, change: impl FnOnce(&mut Listed)) {
    asked(link);
    let mut entry = listed("f", kind);
    change(&mut entry);
    say(link, &listing(0, vec![entry]));
}

/// A file whose name is of these bytes, which no [`sluice::path::Name`] can have.
fn named(link: &mut Greeted, name: &[u8]) {
    asked(link);
    let mut payload = Vec::new();
    listing(0, files(&["QQ"])).encode(&mut payload).unwrap();
    let at = payload.windows(3).position(|three| three == b"\x02QQ").unwrap();
    let len = if name.len() < 128 {
        vec![name.len() as u8]
    } else {
        vec![name.len() as u8 | 0x80, (name.len() >> 7) as u8]
    };
    payload.splice(at..at + 3, [&len[..], name].concat());
    let header = Header::new(FrameKind::Control, payload.len()).unwrap();
    raw(link, &[&header.encode()[..], &payload].concat());
}

/// The receiver wants `f`.
fn asked_for_f(link: &mut Greeted) {
    lists(link, &["f"]);
    say(link, &ToReceiver::ListingDone);
    assert_eq!(wanted(link), Some(How::Kernel));
}

/// Wanted, and begun with five bytes announced.
fn begun(link: &mut Greeted) {
    asked_for_f(link);
    say(link, &file(5));
}

/// Sends `f`, and again, with digests of something else; then all is over.
pub fn wrong_for_ever(link: &mut Greeted) {
    asked_for_f(link);
    say(link, &file(5));
    data(link, b"wrong", 5);
    say(link, &end(digest(b"right")));
    assert_eq!(wanted(link), Some(How::Copying));
    say(link, &inline(b"wrong", b"right"));
    assert_eq!(wanted(link), None, "a third time");
    bye(link);
}

fn keep_alives(link: &mut Greeted) {
    raw(link, &[0, 0, 0, 3].repeat(50_000));
}

pub const SENDER: &[Lie] = &[
    // Names.
    ("protocol error: Listing", |link| named(link, b"..")),
    ("protocol error: Listing", |link| named(link, b".")),
    ("protocol error: Listing", |link| named(link, b"")),
    ("protocol error: Listing", |link| named(link, b"a/b")),
    ("protocol error: Listing", |link| named(link, b"../outside/secret")),
    ("protocol error: Listing", |link| named(link, b"/etc")),
    ("protocol error: Listing", |link| named(link, b"a\0b")),
    ("protocol error: Listing", |link| named(link, &[b'n'; 256])),
    ("there twice", |link| lists(link, &["f", "f"])),
    ("there twice", |link| lists(link, &["a", "f", "a/"])),
    ("there twice", |link| lists(link, &["a/", "a/"])),
    ("out of order", |link| lists(link, &["g", "f"])),
    // Entries.
    ("entries[0].mode", |link| entry(link, Kind::File, |e| e.properties.mode = 0o177_777)),
    ("entries[0].mode", |link| entry(link, Kind::Dir, |e| e.properties.mode = u32::MAX)),
    ("entries[0].size", |link| entry(link, Kind::File, |e| e.properties.size = 1 << 63)),
    ("entries[0].size", |link| entry(link, Kind::File, |e| e.properties.size = u64::MAX)),
    ("entries[0].link", |link| entry(link, Kind::Symlink, |e| e.link = Some(b"a\0b"[..].into()))),
    ("entries[0].link", |link| entry(link, Kind::Symlink, |e| e.link = Some(b""[..].into()))),
    ("entries[0].link", |link| entry(link, Kind::Symlink, |e| e.link = Some(vec![b'x'; 4096].into()))),
    ("entries[0].link", |link| entry(link, Kind::Symlink, |e| e.link = None)),
    ("entries[0].rdev", |link| entry(link, Kind::CharDevice, |e| e.rdev = None)),
    ("there is no source 1", |link| entry(link, Kind::File, |e| e.source = 1)),
    ("there is no source", |link| entry(link, Kind::Dir, |e| e.source = u32::MAX)),
    // Listings.
    ("directory 1 is listed where 0 is due", |link| {
        asked(link);
        say(link, &listing(1, files(&["f"])));
    }),
    ("directory 0 is listed after all others", |link| {
        lists(link, &["f"]);
        say(link, &listing(0, files(&["g"])));
    }),
    ("directory 9 is listed where 1 is due", |link| {
        lists(link, &["a/"]);
        say(link, &listing(9, files(&["g"])));
    }),
    ("ListingDone", |link| {
        asked(link);
        say(link, &ToReceiver::ListingDone);
    }),
    ("ListingDone", |link| {
        lists(link, &["a/"]);
        say(link, &ToReceiver::ListingDone);
    }),
    ("ListingDone", |link| {
        lists(link, &["f"]);
        say(link, &ToReceiver::ListingDone);
        say(link, &ToReceiver::ListingDone);
    }),
    ("nothing is to be listed", |link| {
        lists(link, &["f"]);
        say(link, &ToReceiver::ListingDone);
        say(link, &listing(0, files(&["f"])));
    }),
    ("Roots", |link| {
        asked(link);
        roots(link);
    }),
    ("Roots", |link| say(link, &listing(0, files(&["f"])))),
    // Data that nobody has asked for.
    ("File", |link| {
        asked(link);
        say(link, &file(5));
    }),
    ("Inline", |link| {
        asked(link);
        say(link, &inline(b"new", b"new"));
    }),
    ("Inline", |link| {
        asked_for_f(link);
        say(link, &ToReceiver::Inline { dir: 7, entry: 0, mtime: MTIME, data: vec![], digest: None });
    }),
    ("File", |link| {
        begun(link);
        say(link, &file(5));
    }),
    ("File", |link| {
        asked_for_f(link);
        let (dir, entry, mtime, digest_follows) = (0, 1, MTIME, true);
        say(link, &ToReceiver::File { dir, entry, size: 5, mtime, from: 0, digest_follows });
    }),
    ("File", |link| {
        asked_for_f(link);
        let (dir, entry, mtime, digest_follows) = (0, 0, MTIME, true);
        say(link, &ToReceiver::File { dir, entry, size: 5, mtime, from: 3, digest_follows });
    }),
    ("Data", |link| {
        asked_for_f(link);
        data(link, b"new", 3);
    }),
    ("Hole", |link| {
        asked_for_f(link);
        say(link, &ToReceiver::Hole { len: 3 });
    }),
    ("FileEnd", |link| {
        asked_for_f(link);
        say(link, &end(digest(b"")));
    }),
    ("FileEnd", |link| {
        begun(link);
        data(link, b"wrong", 5);
        say(link, &end(digest(b"right")));
        assert_eq!(wanted(link), Some(How::Copying));
        say(link, &end(digest(b"right")));
    }),
    ("Inline", |link| {
        begun(link);
        data(link, b"wrong", 5);
        say(link, &inline(b"ri", b"ri"));
    }),
    ("Removed", |link| {
        asked_for_f(link);
        say(link, &ToReceiver::Removed { dir: 0, entry: 0, problem: None });
    }),
    // Lengths.
    ("goes beyond the size", |link| {
        begun(link);
        data(link, b"longer than that", 16);
    }),
    ("goes beyond the size", |link| {
        begun(link);
        data(link, b"abc", 3);
        say(link, &ToReceiver::Hole { len: 3 });
    }),
    ("goes beyond the size", |link| {
        begun(link);
        say(link, &ToReceiver::Hole { len: i64::MAX as u64 });
    }),
    ("Hole.len", |link| {
        begun(link);
        say(link, &ToReceiver::Hole { len: 1 << 63 });
    }),
    ("Hole.len", |link| {
        begun(link);
        say(link, &ToReceiver::Hole { len: 0 });
    }),
    ("File.size", |link| {
        asked_for_f(link);
        say(link, &file(1 << 63));
    }),
    ("data frame of 5 bytes claims 6", |link| {
        begun(link);
        raw(link, &[5, 0, 0, 2, b'a', b'b', b'c', b'd', b'e', 6, 0, 0, 0]);
    }),
    ("data frame of 0 bytes", |link| {
        begun(link);
        raw(link, &[0, 0, 0, 2]);
    }),
    ("data frame of 2097152 bytes", |link| {
        begun(link);
        raw(link, &[0, 0, 0x20, 2]);
    }),
    // Frames and messages.
    ("frame type 9", |link| {
        asked(link);
        raw(link, &[0, 0, 0, 9]);
    }),
    ("control frame of 0 bytes", |link| {
        asked(link);
        raw(link, &[0, 0, 0, 1]);
    }),
    ("control frame of 16777215 bytes", |link| {
        asked_for_f(link);
        raw(link, &[0xff, 0xff, 0xff, 1]);
    }),
    ("message 99 to the receiver", |link| {
        asked(link);
        raw(link, &[1, 0, 0, 1, 99]);
    }),
    ("keep-alive", keep_alives),
    ("keep-alive", |link| {
        asked_for_f(link);
        keep_alives(link);
    }),
    // The end.
    ("Bye", |link| {
        asked(link);
        bye(link);
    }),
    ("Bye", |link| {
        lists(link, &["f"]);
        bye(link);
    }),
    ("Bye", |link| {
        asked_for_f(link);
        bye(link);
    }),
    ("Bye", |link| {
        begun(link);
        data(link, b"new", 3);
        bye(link);
    }),
    // Silence.
    ("nothing moved", |_| {}),
    ("nothing moved", asked),
    ("nothing moved", |link| lists(link, &["f", "a/"])),
    ("nothing moved", asked_for_f),
    ("nothing moved", begun),
    ("nothing moved", |link| {
        begun(link);
        raw(link, &[5, 0, 0, 2, b'a', b'b']);
    }),
    ("nothing moved", |link| {
        asked(link);
        raw(link, &[5, 0, 0]);
    }),
];

/// Says the same until nobody listens any more.
fn without_end(link: &mut Greeted, mut message: impl FnMut(u32) -> ToReceiver) {
    let mut n = 0;
    while link.writer.send(&message(n)).is_ok() {
        n += 1;
    }
}

fn part(entries: Vec<Listed>, notes: Vec<Note>, problems: Vec<Problem>) -> ToReceiver {
    let (last, complete, incomplete) = (false, true, false);
    ToReceiver::Listing(Listing { dir: 0, entries, notes, problems, last, complete, incomplete })
}

fn long_problem() -> Problem {
    Problem::os("open", &[b'p'; 200_000], Errno::EACCES)
}

/// What only shows in a daemon's child, whose memory is small.
pub const DAEMON: &[Lie] = &[
    ("takes more than", |link| {
        asked(link);
        without_end(link, |n| {
            let names = (0..1000).map(|at| listed(&format!("{n:08}-{at:04}-{:0200}", 0), Kind::File));
            part(names.collect(), Vec::new(), Vec::new())
        });
    }),
    ("takes more than", |link| {
        asked(link);
        without_end(link, |n| {
            let links = (0..50).map(|at| Listed {
                link: Some(vec![b'l'; 4095].into()),
                ..listed(&format!("{n:08}-{at:04}"), Kind::Symlink)
            });
            part(links.collect(), Vec::new(), Vec::new())
        });
    }),
    ("takes more than", |link| {
        asked(link);
        without_end(link, |_| part(Vec::new(), Vec::new(), vec![long_problem()]));
    }),
    ("takes more than", |link| {
        asked(link);
        without_end(link, |_| {
            part(Vec::new(), vec![Note::SkippingDirectory(vec![b'd'; 200_000])], Vec::new())
        });
    }),
    ("far too much", |link| {
        without_end(link, |_| {
            ToReceiver::Roots(Roots { prefixes: vec![ByteBuf::from([b'p'; 40]); 4096], ..Roots::default() })
        });
    }),
    ("far too much", |link| {
        without_end(link, |_| {
            ToReceiver::Roots(Roots { problems: vec![long_problem()], ..Roots::default() })
        });
    }),
    ("users or groups", |link| {
        asked(link);
        without_end(link, |n| {
            let users =
                (0..4096).map(|at| (1 + n * 4096 + at, ByteBuf::from(format!("no-{n}-{at}")))).collect();
            ToReceiver::Ids(Ids { users, groups: Vec::new() })
        });
    }),
    ("FileEnd", |link| {
        asked_for_f(link);
        without_end(link, |_| ToReceiver::FileEnd {
            dir: 0,
            entry: 0,
            outcome: Outcome::Failed(long_problem()),
            digest: None,
        });
    }),
];

/// What is in order for a while: directories are made. Then there is no end of it.
pub const GROWING: &[Lie] = &[
    ("further ahead", |link| {
        // The files are wanted and never come, so that nothing more is taken.
        asked(link);
        let dirs = (0..2000).map(|n| listed(&format!("d{n:04}"), Kind::Dir)).collect();
        say(link, &listing(0, dirs));
        let files = |n| (0..1000).map(|at| listed(&format!("{n}-{at:04}"), Kind::File)).collect();
        without_end(link, |n| listing(1 + n, files(n)));
    }),
    ("protocol error: Listing", |link| {
        asked(link);
        without_end(link, |n| listing(n, vec![listed(&"d".repeat(250), Kind::Dir)]));
    }),
    ("protocol error: Listing", |link| {
        asked(link);
        without_end(link, |n| listing(n, vec![listed("d", Kind::Dir)]));
    }),
];
