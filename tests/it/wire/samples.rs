//! One of each message, with every field set to something; their encodings are the golden vectors.

use std::sync::Arc;

use serde_bytes::ByteBuf;
use sluice::engine::Ledger;
use sluice::engine::digest::Digest;
use sluice::engine::ledger::{LedgerSnapshot, RungCounts};
use sluice::event::{
    Change, Ended, Event, Figures, Item, KindCounts, LinkText, Note, Problem, Severity, Stats, Update,
};
use sluice::path::acl::Acl;
use sluice::path::flags::Flags;
use sluice::path::xattr::Xattr;
use sluice::path::{Kind, Name, RelPath, Time};
use sluice::plan::attached::{Acls, Attached, Told, Value};
use sluice::sys::Errno;
use sluice::wire::entry::Properties;
use sluice::wire::handshake::Module;
use sluice::wire::to_receiver::{Ids, Outcome, Roots};
use sluice::wire::to_sender::{Have, How};
use sluice::wire::{Fatal, Inode, Listed, Listing, Role, ToClient, ToReceiver, ToSender, ToServer};

fn name(text: &str) -> Name {
    Name::parse(text.as_bytes()).unwrap()
}

fn path(text: &str) -> RelPath {
    RelPath::parse(text.as_bytes()).unwrap()
}

const DIGEST: Digest = Digest([0xd1; 32]);
const MTIME: Time = Time { sec: 1_700_000_000, nsec: 123_456_789 };

fn fatal() -> Fatal {
    Fatal { code: 23, text: "no".into() }
}

fn problem() -> Problem {
    Problem::os("open", b"src/a", Errno::EACCES).hint("ask")
}

fn properties(kind: Kind) -> Properties {
    Properties { kind, mode: 0o640, uid: 1000, gid: 100, size: 5, mtime: MTIME }
}

pub fn listed(text: &str, kind: Kind) -> Listed {
    Listed {
        name: name(text),
        properties: properties(kind),
        source: 0,
        followed: false,
        implied: false,
        skipped: None,
        link: (kind == Kind::Symlink).then(|| b"to"[..].into()),
        rdev: kind.is_device().then_some(0x0501),
        atime: None,
        inode: None,
        digest: None,
        attached: None,
    }
}

fn stats() -> Stats {
    let counts = |n| KindCounts { reg: n, dir: n + 1, link: n + 2, dev: n + 3, special: n + 4 };
    Stats {
        files: counts(1),
        created: counts(10),
        deleted: counts(20),
        transferred: 30,
        total_size: 300,
        transferred_size: 70_000,
        list_seconds: 0.5,
        io_error: true,
    }
}

fn ledger() -> Box<LedgerSnapshot> {
    let mut ledger = Ledger::default().snapshot();
    for (at, rung) in (1..).zip(&mut ledger.rungs) {
        *rung = RungCounts { calls: at, bytes: at * 100, short: 2, refusals: vec![(18, 7)], ..rung.clone() };
    }
    ledger.hashed = 1_000_000;
    Box::new(ledger)
}

/// Lists as the kernel stores them: version 2, then tag, permissions and number of each entry.
pub fn acl() -> Acl {
    let entries =
        [(1u16, 6u16, u32::MAX), (2, 4, 1000), (4, 4, u32::MAX), (0x10, 6, u32::MAX), (0x20, 0, u32::MAX)];
    let mut bytes = 2u32.to_le_bytes().to_vec();
    for (tag, permissions, id) in entries {
        bytes.extend([tag.to_le_bytes(), permissions.to_le_bytes()].concat());
        bytes.extend(id.to_le_bytes());
    }
    Acl::parse(&bytes).unwrap()
}

fn attached(dir: bool) -> Attached {
    let told = |name: &[u8], value| Told { name: name.into(), value };
    Attached {
        acls: Some(Acls { access: Some(acl()), default: dir.then(acl) }),
        xattrs: Some(vec![
            told(b"user.long", Value::Long(65, DIGEST)),
            told(b"user.short", Value::Whole(b"value"[..].into())),
        ]),
        flags: Flags::new(0x0080_0010, 7),
    }
}

pub fn to_server() -> Vec<(&'static str, ToServer)> {
    vec![
        ("ListModules", ToServer::ListModules),
        ("Module", ToServer::Module { name: b"backup".to_vec() }),
        ("Auth", ToServer::Auth(b"step".to_vec())),
        ("More", ToServer::More { options: b"op".to_vec(), operands: vec![ByteBuf::from(*b"a")] }),
        (
            "Start",
            ToServer::Start {
                role: Role::Receiver,
                options: b"tions".to_vec(),
                operands: vec![ByteBuf::from(*b"b c"), ByteBuf::from(*b"-d")],
            },
        ),
    ]
}

pub fn to_client() -> Vec<(&'static str, ToClient)> {
    let module = Module { name: b"backup".to_vec(), comment: b"nightly".to_vec() };
    vec![
        ("Motd", ToClient::Motd(b"hi\n".to_vec())),
        ("Modules", ToClient::Modules { modules: vec![module], last: true }),
        ("AuthNeeded", ToClient::AuthNeeded(b"method".to_vec())),
        ("Auth", ToClient::Auth(b"step".to_vec())),
        ("Granted", ToClient::Granted),
        ("Ready", ToClient::Ready),
        ("Refused", ToClient::Refused(fatal())),
        ("Names", ToClient::Names(vec![ByteBuf::from(*b"a b"), ByteBuf::from(*b"d/f")])),
    ]
}

pub fn to_receiver() -> Vec<(&'static str, ToReceiver)> {
    let roots = Roots {
        prefixes: vec![ByteBuf::from(*b"src"), ByteBuf::from(*b"")],
        missing: vec![path("x/gone")],
        notes: vec![Note::SkippingDirectory(b"d".to_vec())],
        problems: vec![problem()],
        last: true,
        root: Some(properties(Kind::Dir)),
        attached: Some(Arc::new(attached(true))),
        single: None,
    };
    let single = Roots { root: None, attached: None, single: Some(name("f")), ..roots.clone() };
    let ids = Ids {
        users: vec![(0, ByteBuf::from(*b"root")), (1000, ByteBuf::from(*b"ann"))],
        groups: vec![(100, ByteBuf::from(*b"users"))],
    };
    let listing = Listing {
        dir: 300,
        entries: vec![
            Listed {
                atime: Some(Time { sec: 7, nsec: 8 }),
                inode: Some(Inode { dev: 0xfe00, ino: 77, nlink: 2 }),
                digest: Some(DIGEST),
                source: 1,
                attached: Some(Arc::new(attached(false))),
                ..listed("f", Kind::File)
            },
            listed("l", Kind::Symlink),
            listed("n", Kind::CharDevice),
            Listed { implied: true, followed: true, ..listed("d", Kind::Dir) },
            Listed { skipped: Some(Note::MountPoint(path("x/m"))), ..listed("m", Kind::Dir) },
        ],
        notes: vec![Note::Hidden(path("x/h"), true, b"*.o".to_vec())],
        problems: vec![Problem::text("stat", b"src/x/v", "gone").severity(Severity::Vanished)],
        last: true,
        complete: true,
        incomplete: true,
    };
    let (dir, entry) = (300, 2);
    let long = &b"user.long"[..];
    let xattrs = |entry, values, problem| ToReceiver::Xattrs { dir, entry, values, last: true, problem };
    let end = |outcome, digest| ToReceiver::FileEnd { dir, entry, outcome, digest };
    vec![
        ("Roots", ToReceiver::Roots(roots)),
        ("Roots of a single file", ToReceiver::Roots(single)),
        ("Ids", ToReceiver::Ids(ids)),
        ("Listing", ToReceiver::Listing(listing)),
        ("ListingDone", ToReceiver::ListingDone),
        (
            "File",
            ToReceiver::File { dir, entry, size: 1 << 32, mtime: MTIME, from: 4096, digest_follows: true },
        ),
        (
            "Inline",
            ToReceiver::Inline { dir, entry, mtime: MTIME, data: b"data".to_vec(), digest: Some(DIGEST) },
        ),
        ("Hole", ToReceiver::Hole { len: i64::MAX as u64 }),
        ("FileEnd", end(Outcome::Complete, Some(DIGEST))),
        ("FileEnd of one that shrank", end(Outcome::Shrank, None)),
        ("FileEnd of one that failed", end(Outcome::Failed(problem()), None)),
        ("Removed", ToReceiver::Removed { dir, entry, problem: None }),
        ("Removed, not", ToReceiver::Removed { dir, entry, problem: Some(problem()) }),
        ("Fatal", ToReceiver::Fatal(fatal())),
        ("Bye", ToReceiver::Bye { stats: stats(), ledger: ledger() }),
        ("Xattrs", xattrs(Some(entry), vec![Xattr { name: long.into(), value: vec![7; 65].into() }], None)),
        ("Xattrs of a directory, not", xattrs(None, Vec::new(), Some(problem()))),
    ]
}

pub fn to_sender() -> Vec<(&'static str, ToSender)> {
    let (dir, entry) = (300, 2);
    let item = Item {
        path: path("x/f"),
        source: b"src/x/f".to_vec(),
        attrs: properties(Kind::File).into_attrs(),
        change: Change { update: Update::Sent, size: true, ..Change::NONE },
        link: Some(LinkText::Hard(path("x/e"))),
        moved: 5,
        digest: Some(DIGEST.0),
    };
    let told = vec![
        Event::Item(item),
        Event::Deleted { path: path("x/old"), kind: Kind::Dir },
        Event::Note(Note::CreatedDestination(b"dest".to_vec(), 2)),
        Event::Problem(problem()),
    ];
    let figures = Figures {
        checked: 1,
        files_done: 2,
        bytes_done: 3,
        bytes_unchanged: 4,
        bytes_cloned: 5,
        bytes_user: 6,
        totals: Some((7, 8, 9)),
    };
    let have = Have { len: 4096, digest: Some(DIGEST) };
    let (stats, ledger) = (stats(), ledger());
    vec![
        ("Want", ToSender::Want { dir, entry, how: How::Kernel, have: None }),
        ("Want, continued", ToSender::Want { dir, entry, how: How::Copying, have: Some(have) }),
        (
            "Want, added to",
            ToSender::Want { dir, entry, how: How::Kernel, have: Some(Have { digest: None, ..have }) },
        ),
        ("Took", ToSender::Took { entries: 16_384 }),
        ("DirDone", ToSender::DirDone { dir }),
        ("Stored", ToSender::Stored { dir, entry }),
        ("Told", ToSender::Told(told)),
        ("Progress", ToSender::Progress(figures)),
        (
            "Finished",
            ToSender::Finished { stats, ledger, worst: Some(Severity::Partial), ended: Ended::Complete },
        ),
        ("Fatal", ToSender::Fatal(fatal())),
        ("List", ToSender::List { digests: true }),
        ("WantXattrs", ToSender::WantXattrs { dir, entry: Some(entry) }),
        ("WantXattrs of a directory", ToSender::WantXattrs { dir, entry: None }),
    ]
}
