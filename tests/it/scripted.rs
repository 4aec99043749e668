//! What a scripted peer says: messages and frames, honest or not.

use std::ffi::OsString;
use std::path::Path;
use std::time::Instant;

use sluice::cli::{Parsed, World, parse};
use sluice::engine::digest::Digest;
use sluice::engine::ledger::Ledger;
use sluice::event::Stats;
use sluice::path::{Kind, Time};
use sluice::session::Options;
use sluice::session::handshake::Greeted;
use sluice::wire::entry::Properties;
use sluice::wire::frame::Header;
use sluice::wire::to_receiver::Outcome;
use sluice::wire::to_sender::How;
use sluice::wire::{FrameKind, Listed, Listing, Message, ToReceiver, ToSender};

pub const MTIME: Time = Time { sec: 1_000_000_000, nsec: 0 };

/// The options of a command line; `@` in a word is `dir`.
pub fn options(line: &[&str], dir: &Path) -> Options {
    let read = |_: &std::ffi::OsStr| Err(std::io::ErrorKind::NotFound.into());
    let world = World { read: &read, bound: &|_, _| Ok(()), variable: &|_| None, now: Instant::now() };
    let at = |word: &&str| OsString::from(word.replace('@', dir.to_str().unwrap()));
    match parse(line.iter().map(at), &world) {
        Ok(Parsed::Run(run)) => run.options,
        other => panic!("{line:?}: {other:?}"),
    }
}

/// The liar says something; that the other side has left already is no failure of the test.
pub fn say<M: Message>(link: &mut Greeted, message: &M) {
    let _heard = link.writer.send(message);
}

pub fn raw(link: &mut Greeted, bytes: &[u8]) {
    let _heard = link.writer.outlet().write_all(bytes);
}

/// Data of which `real` bytes are said to be real.
pub fn data(link: &mut Greeted, bytes: &[u8], real: usize) {
    let header = Header::new(FrameKind::Data, bytes.len()).unwrap();
    raw(link, &[&header.encode(), bytes, &header.trailer(real).unwrap()].concat());
}

pub fn properties() -> Properties {
    Properties { kind: Kind::Dir, mode: 0o755, uid: 0, gid: 0, size: 0, mtime: MTIME }
}

pub fn listing(dir: u32, entries: Vec<Listed>) -> ToReceiver {
    ToReceiver::Listing(Listing {
        dir,
        entries,
        notes: Vec::new(),
        problems: Vec::new(),
        last: true,
        complete: true,
        incomplete: false,
    })
}

pub fn wanted(link: &mut Greeted) -> Option<How> {
    loop {
        match link.reader.expect::<ToSender>() {
            Ok(ToSender::Want { dir: 0, entry: 0, how, .. }) => return Some(how),
            Ok(ToSender::Finished { .. }) | Err(_) => return None,
            Ok(_) => {}
        }
    }
}

pub fn file(size: u64) -> ToReceiver {
    file_from(size, 0)
}

pub fn file_from(size: u64, from: u64) -> ToReceiver {
    ToReceiver::File { dir: 0, entry: 0, size, mtime: MTIME, from, digest_follows: true }
}

pub fn end(digest: Option<[u8; 32]>) -> ToReceiver {
    ToReceiver::FileEnd { dir: 0, entry: 0, outcome: Outcome::Complete, digest: digest.map(Digest) }
}

pub fn digest(bytes: &[u8]) -> Option<[u8; 32]> {
    Some(*blake3::hash(bytes).as_bytes())
}

pub fn inline(bytes: &[u8], of: &[u8]) -> ToReceiver {
    let digest = digest(of).map(Digest);
    ToReceiver::Inline { dir: 0, entry: 0, mtime: MTIME, data: bytes.to_vec(), digest }
}

pub fn bye(link: &mut Greeted) {
    let ledger = Box::new(Ledger::default().snapshot());
    say(link, &ToReceiver::Bye { stats: Stats::default(), ledger });
}
