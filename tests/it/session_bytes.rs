//! Whole sessions against a peer that says what the corpora of `fuzz/` hold, and changes of that.
#![allow(clippy::print_stdout)] // the seed of a failure

use std::fs;
use std::path::{Path, PathBuf};

use sluice::path::Kind;
use sluice::wire::to_receiver::Roots;
use sluice::wire::to_sender::How;
use sluice::wire::{FrameKind, Header, Message, ToReceiver, ToSender};

use crate::random_cases::{Random, seeds};
use crate::scripted::*;
use crate::session_probe;
use crate::wire::memory::mutate;
use crate::wire::samples::listed;

fn framed<M: Message>(message: &M) -> Vec<u8> {
    let mut payload = Vec::new();
    message.encode(&mut payload).unwrap();
    [&Header::new(FrameKind::Control, payload.len()).unwrap().encode()[..], &payload].concat()
}

fn data_frame(bytes: &[u8]) -> Vec<u8> {
    let header = Header::new(FrameKind::Data, bytes.len()).unwrap();
    [&header.encode(), bytes, &header.trailer(bytes.len()).unwrap()].concat()
}

fn roots() -> Vec<u8> {
    let prefixes = vec![serde_bytes::ByteBuf::from(*b"src/")];
    framed(&ToReceiver::Roots(Roots { prefixes, last: true, root: Some(properties()), ..Roots::default() }))
}

fn goodbye() -> Vec<u8> {
    let ledger = Box::new(sluice::engine::ledger::Ledger::default().snapshot());
    framed(&ToReceiver::Bye { stats: sluice::event::Stats::default(), ledger })
}

/// What is said to a receiver: honest sessions, and some that come far before they lie.
fn to_receiver() -> Samples {
    let list = |names: &[(&str, Kind)]| {
        let entries = names.iter().map(|(name, kind)| listed(name, *kind)).collect();
        [roots(), framed(&listing(0, entries)), framed(&ToReceiver::ListingDone)].concat()
    };
    let f = list(&[("f", Kind::File)]);
    let wrong = [f.clone(), framed(&file(5)), data_frame(b"wrong"), framed(&end(digest(b"right")))].concat();
    let kinds = [("f", Kind::File), ("l", Kind::Symlink), ("p", Kind::Fifo), ("d", Kind::Dir)];
    let entries = kinds.iter().map(|(name, kind)| listed(name, *kind)).collect();
    vec![
        ("nothing", [list(&[]), goodbye()].concat()),
        ("inline", [f.clone(), framed(&inline(b"new", b"new")), goodbye()].concat()),
        (
            "data",
            [f.clone(), framed(&file(5)), data_frame(b"right"), framed(&end(digest(b"right"))), goodbye()]
                .concat(),
        ),
        (
            "hole",
            [
                f.clone(),
                framed(&file(1 << 20)),
                data_frame(b"begin"),
                framed(&ToReceiver::Hole { len: (1 << 20) - 5 }),
                framed(&end(digest(b"no"))),
                goodbye(),
            ]
            .concat(),
        ),
        ("again", [wrong, framed(&inline(b"right", b"right")), goodbye()].concat()),
        (
            "tree",
            [
                roots(),
                framed(&listing(0, entries)),
                framed(&listing(1, vec![listed("g", Kind::File)])),
                framed(&ToReceiver::ListingDone),
                framed(&inline(b"new", b"new")),
            ]
            .concat(),
        ),
    ]
}

/// What is said to a sender.
fn to_sender() -> Samples {
    let want = |dir, entry| framed(&ToSender::Want { dir, entry, how: How::Kernel, have: None });
    let (stats, ledger) =
        (sluice::event::Stats::default(), Box::new(sluice::engine::ledger::Ledger::default().snapshot()));
    let finished =
        framed(&ToSender::Finished { stats, ledger, worst: None, ended: sluice::event::Ended::Complete });
    let list = framed(&ToSender::List { digests: true });
    vec![
        ("nothing", [list.clone(), finished.clone()].concat()),
        (
            "all",
            [
                list.clone(),
                want(0, 0),
                want(1, 0),
                framed(&ToSender::Took { entries: 3 }),
                framed(&ToSender::DirDone { dir: 1 }),
                framed(&ToSender::DirDone { dir: 0 }),
                finished.clone(),
            ]
            .concat(),
        ),
        ("twice", [list.clone(), want(0, 0), want(0, 0), list, want(1, 0), finished].concat()),
    ]
}

fn corpus_of(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target)
}

/// What a corpus has, by name.
type Samples = Vec<(&'static str, Vec<u8>)>;

/// A target of the fuzzer, what its corpus has, and what it does with bytes.
type Target = (&'static str, fn() -> Samples, fn(&[u8]));

const TARGETS: [Target; 2] = [
    ("session_receive", to_receiver, session_probe::receive),
    ("session_send", to_sender, session_probe::send),
];

/// With `SLUICE_TEST_WRITE_CORPUS=1`, writes them.
#[test]
fn the_corpora_of_the_fuzz_targets_are_what_the_protocol_says_now() {
    for (target, samples, _) in TARGETS {
        for (name, bytes) in samples() {
            let path = corpus_of(target).join(name);
            if std::env::var_os("SLUICE_TEST_WRITE_CORPUS").is_some() {
                fs::create_dir_all(corpus_of(target)).unwrap();
                fs::write(&path, &bytes).unwrap();
            }
            assert!(fs::read(&path).is_ok_and(|old| old == bytes), "{} is out of date", path.display());
        }
    }
}

#[test]
fn sessions_end_without_a_panic_whatever_the_peer_says() {
    for (target, _, probe) in TARGETS {
        let mut files: Vec<_> = fs::read_dir(corpus_of(target)).unwrap().map(|e| e.unwrap().path()).collect();
        files.sort();
        let corpus: Vec<Vec<u8>> = files.iter().map(|file| fs::read(file).unwrap()).collect();
        corpus.iter().for_each(|bytes| probe(bytes));
        for seed in seeds(250) {
            println!("{target}, SLUICE_TEST_SEED={seed}");
            let random = &mut Random::new(seed);
            let mut bytes = corpus[random.below(corpus.len())].clone();
            mutate(&mut bytes, random);
            probe(&bytes);
        }
    }
}
