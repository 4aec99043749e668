//! A whole session of one role against a peer in memory that says any bytes; shared with the fuzz targets.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use sluice::cli::{Parsed, World, parse};
use sluice::engine::stream::Patience;
use sluice::event::{Event, Meter, Observer};
use sluice::session::handshake::greet;
use sluice::session::{Options, remote};
use sluice::wire::frame::{HEADER_LEN, TRAILER_LEN};
use sluice::wire::{Features, FrameKind, Header, Hello, Message, ToClient};

/// After so long without a word of the honest side the peer goes on.
const PATIENCE: Duration = Duration::from_millis(30);

struct Nobody;

impl Observer for Nobody {
    fn event(&self, _: &Event) {}
}

/// What was parsed once, for these two paths.
fn options(src: &Path, dst: &Path) -> Options {
    static PARSED: OnceLock<Options> = OnceLock::new();
    let parsed = PARSED.get_or_init(|| {
        let read = |_: &std::ffi::OsStr| Err(std::io::ErrorKind::NotFound.into());
        let now = Instant::now();
        let world = World { read: &read, bound: &|_, _| Ok(()), variable: &|_| None, now };
        match parse(["-a", "--delete-delay", "src/", "dst/"].map(Into::into), &world) {
            Ok(Parsed::Run(run)) => run.options,
            other => panic!("{other:?}"),
        }
    });
    Options { sources: vec![src.into()], dest: Some(dst.into()), ..parsed.clone() }
}

/// The bytes as frames, each with whether it answers something; what is no frame is one piece at the end.
fn pieces(mut bytes: &[u8], answers: &[u8]) -> Vec<(Vec<u8>, bool)> {
    let mut pieces = Vec::new();
    while let Some(start) = bytes.first_chunk::<HEADER_LEN>() {
        let Ok(header) = Header::parse(*start) else { break };
        let trailer = if header.kind() == FrameKind::Data { TRAILER_LEN } else { 0 };
        let Some((frame, rest)) = bytes.split_at_checked(HEADER_LEN + header.len() + trailer) else { break };
        let answer =
            header.kind() == FrameKind::Control && frame.get(HEADER_LEN).is_some_and(|n| answers.contains(n));
        pieces.push((frame.to_vec(), answer));
        bytes = rest;
    }
    pieces.push((bytes.to_vec(), false));
    pieces
}

/// Says the bytes after a proper beginning; before what `answers`, by the numbers of the messages, it waits
/// until the other side has said something new.
fn say(mut end: UnixStream, bytes: &[u8], answers: &[u8]) {
    let hello = Hello::ours(Features::NONE, [3; 32]).encode();
    let mut ready = Vec::new();
    ToClient::Ready.encode(&mut ready).expect("a short message");
    let header = Header::new(FrameKind::Control, ready.len()).expect("a short payload").encode();
    let _gone = end.write_all(&[&hello[..], &header, &ready].concat());
    end.set_read_timeout(Some(PATIENCE)).expect("a socket");
    let mut heard = [0; 1 << 16];
    for (piece, answer) in pieces(bytes, answers) {
        if answer {
            // Hello, request, `List`: what is said without being asked comes at once.
            while matches!(end.read(&mut heard), Ok(1..)) {}
        }
        if end.write_all(&piece).is_err() {
            return;
        }
    }
    let _gone = end.shutdown(Shutdown::Write);
    end.set_read_timeout(None).expect("a socket");
    while matches!(end.read(&mut heard), Ok(1..)) {}
}

/// A client that receives, or one that sends, hears `bytes`.
fn session(push: bool, bytes: &[u8]) {
    let dir = tempfile::Builder::new().prefix("sluice-probe.").tempdir().expect("a temporary directory");
    let at = dir.path();
    for (name, text) in
        [("src/f", "newer"), ("src/sub/g", "more"), ("dst/f", "old"), ("dst/kept", "kept"), ("out/side", "x")]
    {
        let path = at.join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
        fs::write(path, text).expect("a file");
    }
    let (ours, theirs) = UnixStream::pair().expect("a pair of sockets");
    std::thread::scope(|scope| {
        // File, Inline, FileEnd, Removed and Bye answer a receiver; wants and the rest answer a sender's listing.
        let answers: &[u8] = if push { &[0, 1, 2, 3, 6] } else { &[2, 4, 5, 7, 8, 10] };
        scope.spawn(move || say(theirs, bytes, answers));
        let meter = Meter::default();
        let patience = Patience { stop: meter.stop.clone(), ..Patience::default() };
        let ends = (ours.try_clone().expect("a socket"), ours);
        let options = options(&at.join("src/"), &at.join("dst/"));
        let side = if push { remote::push } else { remote::pull };
        let ended = greet(ends.0.into(), ends.1.into(), &patience)
            .and_then(|link| side(link, &options, &meter, &Nobody));
        if let Err(e) = ended {
            assert!(!e.to_string().is_empty());
        }
    });
    let outside: Vec<_> =
        fs::read_dir(at).expect("it stays").map(|e| e.expect("an entry").file_name()).collect();
    assert_eq!(outside.len(), 3, "something was made outside: {outside:?}");
    assert_eq!(fs::read(at.join("out/side")).expect("it stays"), b"x");
    assert_eq!(fs::read(at.join("src/f")).expect("it stays"), b"newer");
    assert_eq!(fs::read(at.join("src/sub/g")).expect("it stays"), b"more");
}

/// A session that receives.
pub fn receive(bytes: &[u8]) {
    session(false, bytes);
}

/// A session that sends.
pub fn send(bytes: &[u8]) {
    session(true, bytes);
}
