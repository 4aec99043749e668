//! What a hostile receiver says once the session has begun, each with a part of what the sender says then.
//!
//! The source has `f`, `zbig` (8 MiB) and `sub`: entries 0 to 2 of the root.

use sluice::engine::digest::Digest;
use sluice::engine::ledger::Ledger;
use sluice::event::{Ended, Stats};
use sluice::session::handshake::Greeted;
use sluice::wire::to_sender::{Have, How};
use sluice::wire::{ToReceiver, ToSender};

use crate::hostile::Lie;
use crate::scripted::*;

const BIG: u32 = 1;
const SUB: u32 = 2;

fn want(link: &mut Greeted, dir: u32, entry: u32) {
    say(link, &ToSender::Want { dir, entry, how: How::Kernel, have: None });
}

fn have(link: &mut Greeted, len: u64, digest: Option<Digest>) {
    let have = Some(Have { len, digest });
    say(link, &ToSender::Want { dir: 0, entry: BIG, how: How::Kernel, have });
}

/// The tree has been listed.
fn listed_all(link: &mut Greeted) {
    say(link, &ToSender::List { digests: true });
    while !matches!(link.reader.expect().unwrap(), ToReceiver::ListingDone) {}
}

/// Says that all is done.
pub fn finished(link: &mut Greeted) {
    let (stats, ledger) = (Stats::default(), Box::new(Ledger::default().snapshot()));
    say(link, &ToSender::Finished { stats, ledger, worst: None, ended: Ended::Complete });
}

pub const RECEIVER: &[Lie] = &[
    // What was never listed.
    ("Want", |link| want(link, 0, 0)),
    ("Want", |link| {
        listed_all(link);
        want(link, 0, 99);
    }),
    ("Want", |link| {
        listed_all(link);
        want(link, 0, u32::MAX);
    }),
    ("Want", |link| {
        listed_all(link);
        want(link, 77, 0);
    }),
    ("Want", |link| {
        listed_all(link);
        want(link, 0, SUB);
    }),
    ("Want", |link| {
        listed_all(link);
        say(link, &ToSender::DirDone { dir: 0 });
        want(link, 0, 0);
    }),
    // What is on its way, as nobody takes it.
    ("Want", |link| {
        listed_all(link);
        want(link, 0, BIG);
        want(link, 0, BIG);
    }),
    // What the options do not have the sender go on with.
    ("Want", |link| {
        listed_all(link);
        have(link, 1, Some(Digest([0; 32])));
    }),
    ("Want", |link| {
        listed_all(link);
        have(link, 1, None);
    }),
    ("Finished", |link| {
        listed_all(link);
        want(link, 0, BIG);
        finished(link);
    }),
    ("more than was sent", |link| say(link, &ToSender::Took { entries: 1 })),
    ("more than was sent", |link| {
        listed_all(link);
        say(link, &ToSender::Took { entries: u32::MAX });
    }),
    ("Took.entries", |link| say(link, &ToSender::Took { entries: 0 })),
    ("Stored", |link| {
        listed_all(link);
        say(link, &ToSender::Stored { dir: 0, entry: 0 });
    }),
    ("the walk before is under way", |link| {
        (0..40).for_each(|_| say(link, &ToSender::List { digests: true }))
    }),
    ("has none to send", |link| data(link, b"abc", 3)),
    ("has none to send", |link| {
        listed_all(link);
        data(link, b"abc", 3);
    }),
    ("frame type 9", |link| raw(link, &[0, 0, 0, 9])),
    ("control frame of 0 bytes", |link| raw(link, &[0, 0, 0, 1])),
    ("control frame of 16777215 bytes", |link| {
        listed_all(link);
        raw(link, &[0xff, 0xff, 0xff, 1]);
    }),
    ("message 99 to the sender", |link| raw(link, &[1, 0, 0, 1, 99])),
    ("keep-alive", |link| raw(link, &[0, 0, 0, 3].repeat(50_000))),
    ("keep-alive", |link| {
        listed_all(link);
        raw(link, &[0, 0, 0, 3].repeat(50_000));
    }),
    ("nothing moved", |_| {}),
    ("nothing moved", listed_all),
    ("nothing moved", |link| {
        listed_all(link);
        want(link, 0, BIG);
        std::thread::sleep(std::time::Duration::from_secs(4));
    }),
    ("nothing moved", |link| {
        listed_all(link);
        raw(link, &[5, 0, 0, 1, 1]);
    }),
];
