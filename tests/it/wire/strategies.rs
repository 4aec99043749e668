//! Any message, for properties that hold of all of them.

use std::sync::Arc;

use super::samples::acl;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use serde_bytes::ByteBuf;
use sluice::engine::Ledger;
use sluice::engine::digest::Digest;
use sluice::engine::ledger::LedgerSnapshot;
use sluice::event::{
    Change, Ended, Event, Figures, Item, KindCounts, LinkText, Note, Problem, Severity, Stats, Update,
};
use sluice::path::flags::Flags;
use sluice::path::xattr::Xattr;
use sluice::path::{Attrs, Kind, Name, RelPath, Time};
use sluice::plan::attached::{Acls, Attached, Told, Value};
use sluice::sys::Errno;
use sluice::wire::entry::Properties;
use sluice::wire::handshake::Module;
use sluice::wire::to_receiver::{Ids, Outcome, Roots};
use sluice::wire::to_sender::{Have, How};
use sluice::wire::{Fatal, Inode, Listed, Listing, Role, ToClient, ToReceiver, ToSender, ToServer};

fn bytes(max: usize) -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 0..=max)
}

fn some_bytes(max: usize) -> impl Strategy<Value = Vec<u8>> {
    vec(1..=255u8, 1..=max)
}

fn byte_bufs() -> impl Strategy<Value = Vec<ByteBuf>> {
    vec(bytes(9).prop_map(ByteBuf::from), 0..4)
}

fn name() -> impl Strategy<Value = Name> {
    some_bytes(255).prop_filter_map("a name", |bytes| Name::parse(&bytes).ok())
}

fn path() -> impl Strategy<Value = RelPath> {
    vec(name(), 0..4).prop_map(|names| RelPath::from_names(names.iter()))
}

fn one_of<T: Clone + std::fmt::Debug + 'static>(choices: &'static [T]) -> impl Strategy<Value = T> {
    prop::sample::select(choices)
}

fn kind() -> impl Strategy<Value = Kind> {
    use Kind::{BlockDevice, CharDevice, Dir, Fifo, File, Socket, Symlink};
    one_of(&[File, Dir, Symlink, CharDevice, BlockDevice, Fifo, Socket])
}

fn time() -> impl Strategy<Value = Time> {
    (any::<i64>(), 0..1_000_000_000u32).prop_map(|(sec, nsec)| Time { sec, nsec })
}

fn size() -> impl Strategy<Value = u64> {
    0..=i64::MAX as u64
}

fn digest() -> impl Strategy<Value = Digest> {
    any::<[u8; 32]>().prop_map(Digest)
}

fn properties(kind: impl Strategy<Value = Kind>) -> impl Strategy<Value = Properties> {
    (kind, 0..=0o7777u32, any::<(u32, u32)>(), size(), time())
        .prop_map(|(kind, mode, (uid, gid), size, mtime)| Properties { kind, mode, uid, gid, size, mtime })
}

fn attrs() -> impl Strategy<Value = Attrs> {
    (properties(kind()), time(), any::<[u64; 5]>()).prop_map(|(properties, atime, rest)| {
        let [dev, ino, nlink, rdev, allocated] = rest;
        Attrs { atime, dev, ino, nlink, rdev, allocated, ..properties.into_attrs() }
    })
}

fn fatal() -> impl Strategy<Value = Fatal> {
    (1..=255u8, any::<String>()).prop_map(|(code, text)| Fatal { code, text })
}

fn severity() -> impl Strategy<Value = Severity> {
    use Severity::{DeleteLimit, FileIo, FileSelection, Locked, Partial, Refused, Syntax, Vanished};
    use Severity::{Unverified, ZeroCopy};
    one_of(&[
        Vanished,
        DeleteLimit,
        ZeroCopy,
        Partial,
        Unverified,
        FileIo,
        Syntax,
        FileSelection,
        Refused,
        Locked,
    ])
}

fn problem() -> impl Strategy<Value = Problem> {
    let cause = prop_oneof![(1..=133i32).prop_map(Ok), any::<String>().prop_map(Err)];
    (any::<String>(), bytes(20), cause, severity(), option::of(any::<String>())).prop_map(
        |(op, path, cause, severity, hint)| {
            let problem = match cause {
                Ok(errno) => Problem::os("", &path, Errno::from_raw(errno)),
                Err(text) => Problem::text("", &path, text),
            };
            Problem { op: op.into(), hint: hint.map(Into::into), ..problem.severity(severity) }
        },
    )
}

fn note() -> impl Strategy<Value = Note> {
    let typed = prop_oneof![
        (bytes(9), any::<u32>()).prop_map(|(path, n)| Note::CreatedDestination(path, n)),
        bytes(9).prop_map(Note::SkippingDirectory),
        any::<u64>().prop_map(Note::DeletionsStopped),
        Just(Note::DeletionSkippedIoError),
    ];
    let about: &'static [fn(RelPath) -> Note] = &[
        Note::SkippingNonRegular,
        Note::Exists,
        Note::Newer,
        Note::OverMaxSize,
        Note::UnderMinSize,
        Note::MountPoint,
        Note::NotEmpty,
        Note::RemovedSource,
        Note::DestinationInsideSource,
        Note::NotShorter,
        Note::BatchSkipped,
        Note::MountPointKept,
    ];
    prop_oneof![
        typed,
        (path(), one_of(about)).prop_map(|(path, note)| note(path)),
        path().prop_map(|path| Note::NotCreated(path, Kind::File)),
        any::<bool>().prop_map(|on| Note::BatchOption("--links (-l)".into(), on)),
        (path(), bytes(9)).prop_map(|(path, text)| Note::CopyingUnsafeLink(path, text)),
        (path(), bytes(9)).prop_map(|(path, text)| Note::UnsafeLink(path, text)),
        (path(), bytes(9)).prop_map(|(path, text)| Note::BackedUp(path, text)),
        (path(), any::<bool>(), bytes(9)).prop_map(|(path, dir, rule)| Note::Hidden(path, dir, rule)),
        (path(), any::<bool>(), bytes(9)).prop_map(|(path, dir, rule)| Note::Protected(path, dir, rule)),
    ]
}

fn change() -> impl Strategy<Value = Change> {
    use Update::{Attributes, Created, HardLink, Received, Sent};
    (one_of(&[Attributes, Received, Sent, Created, HardLink]), any::<[bool; 11]>()).prop_map(
        |(update, [new, content, size, time, time_now, perms, owner, group, atime, acl, xattrs])| Change {
            update,
            new,
            content,
            size,
            time,
            time_now,
            perms,
            owner,
            group,
            atime,
            acl,
            xattrs,
        },
    )
}

fn event() -> impl Strategy<Value = Event> {
    let link = prop_oneof![bytes(9).prop_map(LinkText::Symlink), path().prop_map(LinkText::Hard)];
    let item =
        (path(), bytes(9), attrs(), change(), option::of(link), any::<u64>(), any::<Option<[u8; 32]>>())
            .prop_map(|(path, source, attrs, change, link, moved, digest)| Item {
                path,
                source,
                attrs,
                change,
                link,
                moved,
                digest,
            });
    prop_oneof![
        item.prop_map(Event::Item),
        (path(), kind()).prop_map(|(path, kind)| Event::Deleted { path, kind }),
        note().prop_map(Event::Note),
        problem().prop_map(Event::Problem),
    ]
}

fn stats() -> impl Strategy<Value = Stats> {
    let counts = || {
        any::<[u64; 5]>().prop_map(|[reg, dir, link, dev, special]| KindCounts {
            reg,
            dir,
            link,
            dev,
            special,
        })
    };
    (counts(), counts(), counts(), any::<[u64; 3]>(), 0.0..1e9, any::<bool>()).prop_map(
        |(files, created, deleted, [transferred, total_size, transferred_size], list_seconds, io_error)| {
            Stats {
                files,
                created,
                deleted,
                transferred,
                total_size,
                transferred_size,
                list_seconds,
                io_error,
            }
        },
    )
}

fn ledger() -> impl Strategy<Value = Box<LedgerSnapshot>> {
    let refusals = vec(any::<(i32, u64)>(), 0..3);
    (vec((any::<[u64; 3]>(), refusals), 8), any::<u64>()).prop_map(|(counts, hashed)| {
        let mut ledger = Ledger::default().snapshot();
        for (rung, ([calls, bytes, short], refusals)) in ledger.rungs.iter_mut().zip(counts) {
            (rung.calls, rung.bytes, rung.short, rung.refusals) = (calls, bytes, short, refusals);
        }
        ledger.hashed = hashed;
        Box::new(ledger)
    })
}

fn xattrs() -> impl Strategy<Value = Vec<Xattr>> {
    prop::collection::btree_map(some_bytes(255), bytes(99), 0..4).prop_map(|all| {
        let one = |(name, value): (Vec<u8>, Vec<u8>)| Xattr { name: name.into(), value: value.into() };
        all.into_iter().map(one).collect()
    })
}

fn attached(kind: Kind) -> impl Strategy<Value = Option<Arc<Attached>>> {
    let told = |xattrs: Vec<Xattr>| {
        xattrs.into_iter().map(|one| Told { value: Value::of(&one.value), name: one.name }).collect()
    };
    let acls = any::<[bool; 2]>().prop_map(move |[access, default]| Acls {
        access: access.then(acl),
        default: (default && kind == Kind::Dir).then(acl),
    });
    let flags = any::<(u32, u32)>().prop_map(|(bits, project)| Flags::new(bits & 0x2283_c4ff, project));
    let all = (option::of(acls), option::of(xattrs().prop_map(told)), flags);
    option::of(all.prop_map(move |(acls, xattrs, flags)| {
        let flags = flags.filter(|_| matches!(kind, Kind::File | Kind::Dir));
        Arc::new(Attached { acls: acls.filter(|_| kind != Kind::Symlink), xattrs, flags })
    }))
}

fn listed() -> impl Strategy<Value = Listed> {
    let inode = (any::<(u64, u64)>(), 2..=u64::MAX).prop_map(|((dev, ino), nlink)| Inode { dev, ino, nlink });
    let first = (name(), properties(kind()), any::<u32>(), any::<[bool; 2]>(), option::of(note()));
    let second = (some_bytes(40), any::<u64>(), option::of(time()), option::of(inode), option::of(digest()));
    let with = |first: (Name, Properties, u32, [bool; 2], Option<Note>)| {
        let attached = attached(first.1.kind);
        (Just(first), attached)
    };
    (first.prop_flat_map(with), second).prop_map(|((first, attached), (link, rdev, atime, inode, digest))| {
        let (name, properties, source, [followed, implied], skipped) = first;
        let kind = properties.kind;
        Listed {
            name,
            properties,
            source,
            followed,
            implied: implied && kind == Kind::Dir,
            skipped,
            link: (kind == Kind::Symlink).then(|| link.into()),
            rdev: kind.is_device().then_some(rdev),
            atime: atime.filter(|_| kind != Kind::Dir),
            inode: inode.filter(|_| kind != Kind::Dir),
            digest: digest.filter(|_| kind == Kind::File),
            attached,
        }
    })
}

pub fn listing() -> impl Strategy<Value = Listing> {
    let lists = (vec(listed(), 0..5), vec(note(), 0..3), vec(problem(), 0..3));
    (any::<u32>(), lists, any::<[bool; 3]>()).prop_map(
        |(dir, (entries, notes, problems), [last, complete, incomplete])| Listing {
            dir,
            entries,
            notes,
            problems,
            last,
            complete,
            incomplete,
        },
    )
}

fn roots() -> impl Strategy<Value = Roots> {
    let root = prop_oneof![
        Just((None, None, None)),
        (properties(Just(Kind::Dir)), attached(Kind::Dir)).prop_map(|(root, own)| (Some(root), own, None)),
        name().prop_map(|single| (None, None, Some(single))),
    ];
    (byte_bufs(), vec(path(), 0..3), vec(note(), 0..3), vec(problem(), 0..3), any::<bool>(), root).prop_map(
        |(prefixes, missing, notes, problems, last, (root, attached, single))| Roots {
            prefixes,
            missing,
            notes,
            problems,
            last,
            root,
            attached,
            single,
        },
    )
}

pub fn to_server() -> impl Strategy<Value = ToServer> {
    prop_oneof![
        Just(ToServer::ListModules),
        some_bytes(1024).prop_map(|name| ToServer::Module { name }),
        some_bytes(4096).prop_map(ToServer::Auth),
        (bytes(99), byte_bufs()).prop_map(|(options, operands)| ToServer::More { options, operands }),
        (one_of(&[Role::Sender, Role::Receiver]), bytes(99), byte_bufs())
            .prop_map(|(role, options, operands)| ToServer::Start { role, options, operands }),
    ]
}

pub fn to_client() -> impl Strategy<Value = ToClient> {
    let module = (some_bytes(9), bytes(9)).prop_map(|(name, comment)| Module { name, comment });
    prop_oneof![
        bytes(99).prop_map(ToClient::Motd),
        (vec(module, 0..4), any::<bool>()).prop_map(|(modules, last)| ToClient::Modules { modules, last }),
        bytes(4096).prop_map(ToClient::AuthNeeded),
        some_bytes(4096).prop_map(ToClient::Auth),
        one_of(&[ToClient::Granted, ToClient::Ready]),
        fatal().prop_map(ToClient::Refused),
        vec(some_bytes(300).prop_map(ByteBuf::from), 0..4).prop_map(ToClient::Names),
    ]
}

pub fn to_receiver() -> impl Strategy<Value = ToReceiver> {
    let ids = || vec((any::<u32>(), some_bytes(256).prop_map(ByteBuf::from)), 0..3);
    let place = any::<(u32, u32)>;
    let file = (place(), size(), time(), any::<bool>(), 0.0..=1.0).prop_map(
        |((dir, entry), size, mtime, digest_follows, part)| {
            let from = ((size as f64 * part) as u64).min(size);
            ToReceiver::File { dir, entry, size, mtime, from, digest_follows }
        },
    );
    let inline = (place(), time(), bytes(300), option::of(digest())).prop_map(
        |((dir, entry), mtime, data, digest)| ToReceiver::Inline { dir, entry, mtime, data, digest },
    );
    let end = prop_oneof![
        option::of(digest()).prop_map(|digest| (Outcome::Complete, digest)),
        Just((Outcome::Shrank, None)),
        problem().prop_map(|problem| (Outcome::Failed(problem), None)),
    ];
    prop_oneof![
        roots().prop_map(ToReceiver::Roots),
        (ids(), ids()).prop_map(|(users, groups)| ToReceiver::Ids(Ids { users, groups })),
        listing().prop_map(ToReceiver::Listing),
        Just(ToReceiver::ListingDone),
        file,
        inline,
        (1..=i64::MAX as u64).prop_map(|len| ToReceiver::Hole { len }),
        (place(), end).prop_map(|((dir, entry), (outcome, digest))| ToReceiver::FileEnd {
            dir,
            entry,
            outcome,
            digest
        }),
        (place(), option::of(problem())).prop_map(|((dir, entry), problem)| ToReceiver::Removed {
            dir,
            entry,
            problem
        }),
        fatal().prop_map(ToReceiver::Fatal),
        (stats(), ledger()).prop_map(|(stats, ledger)| ToReceiver::Bye { stats, ledger }),
        (any::<u32>(), any::<Option<u32>>(), xattrs(), option::of(problem())).prop_map(
            |(dir, entry, values, problem)| ToReceiver::Xattrs { dir, entry, values, last: true, problem }
        ),
    ]
}

pub fn to_sender() -> impl Strategy<Value = ToSender> {
    use Ended::{Aborted, Complete, Deadline, Stopped};
    let have = (1..=i64::MAX as u64, option::of(digest())).prop_map(|(len, digest)| Have { len, digest });
    let figures =
        (any::<[u64; 6]>(), any::<Option<(u64, u64, u64)>>()).prop_map(
            |([checked, files_done, bytes_done, bytes_unchanged, bytes_cloned, bytes_user], totals)| {
                Figures { checked, files_done, bytes_done, bytes_unchanged, bytes_cloned, bytes_user, totals }
            },
        );
    prop_oneof![
        (any::<(u32, u32)>(), one_of(&[How::Kernel, How::Copying]), option::of(have))
            .prop_map(|((dir, entry), how, have)| ToSender::Want { dir, entry, how, have }),
        (1..=u32::MAX).prop_map(|entries| ToSender::Took { entries }),
        any::<u32>().prop_map(|dir| ToSender::DirDone { dir }),
        any::<(u32, u32)>().prop_map(|(dir, entry)| ToSender::Stored { dir, entry }),
        vec(event(), 0..4).prop_map(ToSender::Told),
        figures.prop_map(ToSender::Progress),
        (stats(), ledger(), option::of(severity()), one_of(&[Complete, Stopped, Deadline, Aborted]))
            .prop_map(|(stats, ledger, worst, ended)| ToSender::Finished { stats, ledger, worst, ended }),
        fatal().prop_map(ToSender::Fatal),
        any::<bool>().prop_map(|digests| ToSender::List { digests }),
        any::<(u32, Option<u32>)>().prop_map(|(dir, entry)| ToSender::WantXattrs { dir, entry }),
    ]
}
