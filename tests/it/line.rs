//! Somebody on the line between two honest sides who cuts it, holds a byte back, flips a bit or says a byte
//! twice: at every offset of a small session, pushed and pulled, with and without a key.
//!
//! Whatever is done: both sides end in time and none panics; a client that says it was successful has the
//! whole tree; what is under a final name is a whole old or new file; nothing else is left; what is surplus is
//! deleted by whoever has everything else and by nobody before. What a flipped bit of a request or a listing
//! may do where there is no key, no tool can know: there the names may be others, their contents not.

use std::fs::{self, Permissions};
use std::io::{Read as _, Write as _};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Mutex, OnceLock};
use std::thread::sleep;
use std::time::Duration;

use sluice::engine::stream::{Patience, StreamError};
use sluice::event::{Ended, Event, Meter, Observer};
use sluice::session::frames::LinkError;
use sluice::session::handshake::{Greeted, greet};
use sluice::session::remote::{self, Machine, Served};
use sluice::session::watch::{LogFile, Watch};
use sluice::session::{Options, Summary};
use sluice::wire::{Hello, Role};

use crate::scratch_fs::in_memory;
use crate::scripted::options;
use crate::served::{file, tree};

/// The client that is let through asks for nothing but files; one whose bits are flipped may.
#[derive(Debug)]
struct FilesOnly;

impl Machine for FilesOnly {
    fn assume(&self, _: &std::ffi::OsStr) -> Result<(), String> {
        Ok(())
    }

    fn keep_log(&self, _: &LogFile, _: Role) -> Option<std::sync::Arc<dyn Watch>> {
        None
    }
}

/// Long enough for any machine; a session that needs it hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// After so long a silence both sides give up, where bytes are missing or too many.
const IDLE: Duration = Duration::from_millis(200);

/// Sessions at the same time.
const THREADS: usize = 4;

/// The smallest file that travels in frames of its own is larger than this.
const BIG: usize = 33_000;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Deed {
    Nothing,
    Cut,
    Delay,
    Flip,
    Twice,
}

/// What is done, and to which byte of which direction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Spot {
    deed: Deed,
    to_server: bool,
    at: usize,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Session {
    push: bool,
    sealed: bool,
}

/// Passes on what comes from `from`, but for the deed; returns what came.
fn pass(mut from: UnixStream, mut to: UnixStream, spot: Option<Spot>) -> Vec<u8> {
    let mut seen = Vec::new();
    let mut buffer = [0; 1 << 16];
    while let Ok(n @ 1..) = from.read(&mut buffer) {
        let start = seen.len();
        seen.extend_from_slice(&buffer[..n]);
        let bytes = &mut buffer[..n];
        let sent = match spot.filter(|spot| (start..start + n).contains(&spot.at)) {
            None => to.write_all(bytes),
            Some(Spot { deed, at, .. }) => {
                let at = at - start;
                match deed {
                    Deed::Nothing => to.write_all(bytes),
                    Deed::Cut => {
                        let _sent = to.write_all(&bytes[..at]);
                        let _cut = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
                        break;
                    }
                    Deed::Delay => to.write_all(&bytes[..at]).and_then(|()| {
                        sleep(Duration::from_millis(1));
                        to.write_all(&bytes[at..])
                    }),
                    Deed::Flip => {
                        bytes[at] ^= 1 << ((start + at) % 8);
                        to.write_all(bytes)
                    }
                    Deed::Twice => to.write_all(&bytes[..=at]).and_then(|()| to.write_all(&bytes[at..])),
                }
            }
        };
        if sent.is_err() {
            break;
        }
    }
    let _closed = to.shutdown(Shutdown::Write);
    seen
}

/// Nobody listens; problems are counted.
#[derive(Default)]
struct Problems(AtomicUsize);

impl Observer for Problems {
    fn event(&self, event: &Event) {
        if matches!(event, Event::Problem(_)) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// What came of a session.
struct Came {
    dir: tempfile::TempDir,
    client: Result<Summary, LinkError>,
    server: Result<(), LinkError>,
    problems: usize,
    /// What was said to the client and to the server.
    said: [Vec<u8>; 2],
}

fn play(session: Session, spot: Option<Spot>) -> Came {
    let dir = in_memory();
    let at = dir.path();
    for (name, text) in [
        ("src/f", "newer"),
        ("src/sub/g", "more"),
        ("dst/f", "old"),
        ("dst/gone", "surplus"),
        ("outside/s", "s"),
    ] {
        file(at, name, text);
    }
    fs::write(at.join("src/big"), [b'7'; BIG]).unwrap();
    // Parsing takes longer than all the rest.
    static PARSED: OnceLock<Options> = OnceLock::new();
    let parsed = PARSED.get_or_init(|| options(&["-a", "--delete-delay", "src/", "dst/"], Path::new("/")));
    let [src, dst] = ["src/", "dst/"].map(|name| at.join(name).into_os_string());
    let options = Options { sources: vec![src], dest: Some(dst), ..parsed.clone() };
    let idle = spot.filter(|spot| matches!(spot.deed, Deed::Cut | Deed::Flip | Deed::Twice)).map(|_| IDLE);
    let begin = move |end: UnixStream, meter: &Meter, server: bool| -> Result<Greeted, LinkError> {
        let patience = Patience { stop: meter.stop.clone(), idle, until: None };
        let mut link = greet(end.try_clone().unwrap().into(), OwnedFd::from(end), &patience)?;
        if session.sealed {
            link.seal([9; 32], server);
        }
        Ok(link)
    };
    let ([ours, to_us], [theirs, to_them]) =
        (<[_; 2]>::from(UnixStream::pair().unwrap()), <[_; 2]>::from(UnixStream::pair().unwrap()));
    let (done, ended) = channel();
    let passing = [(true, to_us.try_clone(), to_them.try_clone()), (false, Ok(to_them), Ok(to_us))].map(
        |(to_server, from, to)| {
            let spot = spot.filter(|spot| spot.to_server == to_server);
            std::thread::spawn(move || pass(from.unwrap(), to.unwrap(), spot))
        },
    );
    std::thread::spawn(move || {
        let server = std::thread::spawn(move || {
            let meter = Meter::default();
            begin(theirs, &meter, true)
                .and_then(|link| remote::serve(link, Served::Machine(&FilesOnly), &meter))
        });
        let client = std::thread::spawn(move || {
            let (meter, problems) = (Meter::default(), Problems::default());
            let side = if session.push { remote::push } else { remote::pull };
            let ended = begin(ours, &meter, false).and_then(|link| side(link, &options, &meter, &problems));
            (ended, problems.0.into_inner())
        });
        let (client, server) = (client.join(), server.join());
        let [there, back] = passing.map(|thread| thread.join().unwrap());
        done.send((client, server, [back, there])).unwrap();
    });
    let (client, server, said) =
        ended.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("{session:?} {spot:?} hangs"));
    let (client, problems) = client.unwrap_or_else(|_| panic!("{session:?} {spot:?}: the client panicked"));
    let server = server.unwrap_or_else(|_| panic!("{session:?} {spot:?}: the server panicked"));
    Came { dir, client, server, problems, said }
}

/// Lets the owner read and remove all of a tree: a bit that was flipped in a mode keeps everybody but root out.
fn open_up(dir: &Path) {
    fs::set_permissions(dir, Permissions::from_mode(0o700)).unwrap();
    for entry in fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        match entry.file_type().unwrap() {
            kind if kind.is_dir() => open_up(&entry.path()),
            kind if kind.is_file() => {
                fs::set_permissions(entry.path(), Permissions::from_mode(0o600)).unwrap()
            }
            _ => {}
        }
    }
}

/// The lines of `dst`, and whether it is what it is to become.
fn stored(at: &Path) -> (Vec<String>, bool) {
    open_up(&at.join("dst"));
    let lines = tree(&at.join("dst"));
    let whole = ["big: ", "f: newer", "sub/", "sub/g: more"];
    let is_whole =
        lines.len() == whole.len() && lines.iter().zip(whole).all(|(line, all)| line.starts_with(all));
    (lines, is_whole)
}

impl Came {
    /// Everything holds that must hold whatever was done; `trusted`: what was said came from the other side.
    #[track_caller]
    fn check(&self, session: Session, spot: Spot, trusted: bool) {
        let at = self.dir.path();
        let (lines, whole) = stored(at);
        let shown = format!(
            "{session:?} {spot:?}: {:?}, {:?}, {lines:?}",
            self.client.as_ref().map(|s| s.ended),
            self.server
        );
        let full = self.client.as_ref().is_ok_and(|summary| summary.ended == Ended::Complete);
        match &self.client {
            Ok(_) if !trusted => {}
            Ok(_) => assert!(full && whole && self.problems == 0, "{shown}"),
            Err(LinkError::Fatal(code, _)) => assert!(!trusted || [2, 12, 30].contains(code), "{shown}"),
            Err(e) => assert_ne!(*e, LinkError::Stream(StreamError::Stopped), "{shown}"),
        }
        let big = String::from_utf8(vec![b'7'; BIG]).unwrap();
        for line in &lines {
            let Some((name, text)) = line.split_once(": ") else { continue };
            // A request that was changed may ask for --inplace or --append: then a file begins empty under its name.
            let begun = !trusted && spot.to_server && text.is_empty();
            assert!(begun || ["old", "newer", "more", "surplus", &big].contains(&text), "{shown}");
            // A temp file begins with a dot and ends with six characters behind another.
            assert!(!name.rsplit('/').next().unwrap().starts_with('.') || !trusted, "{shown}");
        }
        if trusted {
            let known = ["big: ", "f: old", "f: newer", "gone: surplus", "sub/", "sub/g: more"];
            assert!(lines.iter().all(|line| known.iter().any(|known| line.starts_with(known))), "{shown}");
            assert!(whole || lines.iter().any(|line| line == "gone: surplus"), "{shown}");
            assert!(lines.iter().any(|line| line.starts_with("f: ")), "{shown}");
        }
        assert_eq!(tree(&at.join("outside")), ["s: s"], "{shown}");
        assert_eq!(tree(&at.join("src")).len(), 4, "{shown}");
    }

    fn noticed(&self) -> bool {
        self.client.is_err() || self.server.is_err()
    }
}

/// Every offset of `bytes`, but few of those amid the data of the large file.
fn offsets(bytes: &[u8]) -> Vec<usize> {
    let amid = |at: usize| {
        let around = bytes.get(at.saturating_sub(2)..at + 3);
        around.is_some_and(|around| around.iter().all(|byte| *byte == b'7'))
    };
    (0..bytes.len()).filter(|at| !amid(*at) || at % 8192 == 0).collect()
}

fn at_every_offset(session: Session, deed: Deed, trusted: impl Fn(&Spot) -> bool + Sync) {
    let said = play(session, None).said;
    let mut spots = Vec::new();
    for (to_server, said) in [(false, &said[0]), (true, &said[1])] {
        spots.extend(offsets(said).into_iter().map(|at| Spot { deed, to_server, at }));
    }
    assert!(spots.len() > 300, "{}", spots.len());
    let left = Mutex::new(spots.iter());
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                while let Some(spot) = { left.lock().unwrap().next() } {
                    let came = play(session, Some(*spot));
                    came.check(session, *spot, trusted(spot));
                    // Data that was repaired was noticed too, and not every session is equally long.
                    let said = &came.said[usize::from(spot.to_server)];
                    let data = said.get(spot.at).is_none_or(|byte| *byte == b'7');
                    // One more behind the end of all is nobody's.
                    let behind =
                        said.get(spot.at..).is_none_or(|rest| rest.iter().all(|byte| *byte == rest[0]));
                    let data = data || deed == Deed::Twice && behind;
                    let changes = matches!(deed, Deed::Flip | Deed::Twice);
                    if session.sealed && changes && spot.at >= Hello::LEN && !data {
                        assert!(came.noticed(), "{session:?} {spot:?}: nobody noticed");
                    }
                    if deed == Deed::Delay {
                        assert!(!came.noticed(), "{session:?} {spot:?}: {:?}", came.server);
                    }
                }
            });
        }
    });
}

const PULL: Session = Session { push: false, sealed: false };
const PUSH: Session = Session { push: true, sealed: false };
const SEALED_PULL: Session = Session { push: false, sealed: true };
const SEALED_PUSH: Session = Session { push: true, sealed: true };

#[test]
fn an_undisturbed_session_is_whole() {
    for session in [PULL, PUSH, SEALED_PULL, SEALED_PUSH] {
        let came = play(session, None);
        came.check(session, Spot { deed: Deed::Nothing, to_server: true, at: 0 }, true);
        assert!(!came.noticed(), "{session:?}: {:?}", came.server);
    }
}

#[test]
fn a_line_that_is_cut_anywhere() {
    for session in [PULL, SEALED_PUSH] {
        at_every_offset(session, Deed::Cut, |_| true);
    }
}

#[test]
fn a_byte_that_comes_late_anywhere() {
    for session in [PUSH, SEALED_PULL] {
        at_every_offset(session, Deed::Delay, |_| true);
    }
}

/// Which hello belongs to the session is for the login to see.
#[test]
fn a_bit_that_is_flipped_anywhere_in_a_sealed_session() {
    for session in [SEALED_PULL, SEALED_PUSH] {
        at_every_offset(session, Deed::Flip, |_| true);
    }
}

#[test]
fn a_byte_that_comes_twice_anywhere_in_a_sealed_session() {
    for session in [SEALED_PULL, SEALED_PUSH] {
        at_every_offset(session, Deed::Twice, |_| true);
    }
}

#[test]
fn a_bit_that_is_flipped_or_a_byte_that_comes_twice_without_seals() {
    at_every_offset(PULL, Deed::Flip, |_| false);
    at_every_offset(PUSH, Deed::Flip, |_| false);
    at_every_offset(PULL, Deed::Twice, |_| false);
}
