//! A scripted hostile peer in each of the four roles, against the program itself: a client of it, or a daemon's
//! child. Whatever is said, the session ends in time and says why; nothing outside is touched, nothing is
//! deleted, no temp file stays, and the daemon, within its memory, serves the next client.
//!
//! What they say: [`lies_of_a_sender`](crate::lies_of_a_sender), [`lies_of_a_receiver`](crate::lies_of_a_receiver).

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::Mutex;
use std::thread::sleep;
use std::time::{Duration, Instant};

use sluice::engine::stream::Patience;
use sluice::session::frames::Frame;
use sluice::session::handshake::Greeted;
use sluice::session::tcp::{Login, enter, greet_on};
use sluice::wire::{Role, ToClient, ToServer};

use crate::lies_of_a_receiver::{self, RECEIVER};
use crate::lies_of_a_sender::{self, DAEMON, GROWING, SENDER};
use crate::requirement::is_root;
use crate::scripted::{options, say};
use crate::served::{Served, file, tree};
use crate::under_test::{self, Run, command, finish, is_sluice};

/// What a liar says, and a part of what the other side then says about it.
pub type Lie = (&'static str, fn(&mut Greeted));

/// Long enough for any machine; whatever needs it hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// The most memory that a daemon's child may ever have had, in KiB: 64 MiB.
const MEMORY: u64 = 64 << 10;

/// Liars that are at work at the same time: they wait most of the time.
const THREADS: usize = 4;

/// Deletions come last: until then nothing that was said in order has had an effect.
const OPTIONS: [&str; 2] = ["-a", "--delete-delay"];

fn trees(at: &Path) {
    for (name, text) in [
        ("src/f", "new"),
        ("src/sub/g", "new"),
        ("dst/f", "old"),
        ("dst/keep", "kept"),
        ("dst/sub/keep", "kept"),
        ("outside/secret", "not for you"),
    ] {
        file(at, name, text);
    }
    fs::write(at.join("src/zbig"), vec![b'z'; 8 << 20]).unwrap();
}

/// Nothing has been changed, made or deleted.
#[track_caller]
fn untouched(at: &Path, lie: &str) {
    let dst = ["f: old", "keep: kept", "sub/", "sub/keep: kept"];
    assert_eq!(tree(&at.join("dst")), dst, "{lie}");
    assert_eq!(tree(&at.join("outside")), ["secret: not for you"], "{lie}");
    let src: Vec<_> = tree(&at.join("src")).into_iter().filter(|line| !line.starts_with("zbig")).collect();
    assert_eq!(src, ["f: new", "sub/", "sub/g: new"], "{lie}");
}

/// Has `test` done with every one of `lies`, a few at a time.
fn each(lies: &[Lie], test: impl Fn(Lie) + Sync) {
    let left = Mutex::new(lies.iter());
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                while let Some(lie) = { left.lock().unwrap().next() } {
                    test(*lie);
                }
            });
        }
    });
}

fn drain(link: &mut Greeted) {
    while let Ok(Frame::Control | Frame::Data(_)) = link.reader.advance() {
        // Data that nobody stores is in the way of the next header: enough was heard.
        if link.reader.message::<ToClient>().is_err() && link.reader.message::<ToServer>().is_err() {
            let mut rest = [0; 4096];
            while matches!(link.reader.inlet().read_exact(&mut rest, true), Ok(true)) {}
        }
    }
}

/// A client of a liar; `there` is whether the liar has the sources.
fn client_of(liar: impl FnOnce(TcpStream) + Send, there: bool) -> (tempfile::TempDir, Run) {
    let dir = tempfile::tempdir().unwrap();
    trees(dir.path());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("sluice://{}/m/", listener.local_addr().unwrap());
    let run = std::thread::scope(|scope| {
        scope.spawn(move || liar(listener.accept().unwrap().0));
        let mut client = command("timeout".as_ref(), dir.path());
        client.args(["--signal=KILL", "60"]).arg(under_test::binary()).args(OPTIONS).arg("--timeout=2");
        client.args(if there { [url.as_str(), "dst/"] } else { ["src/", &url] });
        finish(client)
    });
    (dir, run)
}

/// The liar is the server.
fn of_a_server(lies: &[Lie], there: bool) {
    each(lies, |(says, lie)| {
        let liar = |stream| {
            let mut link = greet_on(stream, &Patience::default()).unwrap();
            assert!(matches!(link.reader.expect(), Ok(ToServer::Module { .. })));
            say(&mut link, &ToClient::Granted);
            link.requested(1 << 20).unwrap();
            link.ready().unwrap();
            lie(&mut link);
            drain(&mut link);
        };
        let (dir, run) = client_of(liar, there);
        let errors = run.errors();
        assert!([2, 12, 30].contains(&run.code), "{says}: {} {errors}", run.code);
        assert!(errors.contains(says) && !errors.contains("panicked"), "{says}: {} {errors}", run.code);
        untouched(dir.path(), says);
    });
}

fn daemon() -> Served {
    let own = if is_root() { "uid = root\ngid = root\n" } else { "" };
    let module = "[m]\npath = @/\nread only = no\ntimeout = 2\nmunge symlinks = no\n";
    Served::new(&format!("use chroot = no\n{own}{module}"), trees)
}

/// The most memory that any child of `daemon` has had while `work` was done, in KiB.
pub fn memory_of_children(daemon: &Served, work: impl FnOnce()) -> u64 {
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let watching = scope.spawn(|| {
            let mut most = 0;
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                most = daemon.children_peak().max(most);
                sleep(Duration::from_millis(1));
            }
            most
        });
        let worked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        let most = watching.join().unwrap();
        worked.unwrap_or_else(|why| std::panic::resume_unwind(why));
        most
    })
}

/// The daemon is there for the next client, and what the last one wanted has not been done.
#[track_caller]
fn served_after(daemon: &Served, lie: &str) {
    untouched(&daemon.at(""), lie);
    assert!(daemon.run(["localhost::m/src/"]).expect(0).text().contains("sub"), "{lie}");
}

/// The liar is a client, which plays `role` for the daemon to play the other; `after` looks at what has come of it.
fn of_a_client(lies: &[Lie], role: Role, after: fn(&Served, &str)) {
    each(lies, |(says, lie)| {
        let daemon = daemon();
        let memory = memory_of_children(&daemon, || {
            let stream = TcpStream::connect(("127.0.0.1", daemon.port())).unwrap();
            let mut link = greet_on(stream, &Patience::default()).unwrap();
            let login = Login { user: Vec::new(), password: &|| Err((5, "no password".into())) };
            enter(&mut link, b"m", &login, &mut |_| {}).unwrap();
            let options = options(&[OPTIONS[0], OPTIONS[1], "src/", "dst/"], Path::new("/"));
            let operand = if role == Role::Receiver { "dst/" } else { "src/" };
            link.request(role, &options, vec![operand.into()]).unwrap();
            lie(&mut link);
            drain(&mut link);
            let log = daemon.logged("module \"m\" for 127.0.0.1: ");
            daemon.logged(says);
            assert!(!log.contains("panicked"), "{says}: {log}");
        });
        assert!(memory > 0 && memory <= MEMORY, "{says}: {memory} KiB");
        after(&daemon, says);
    });
}

/// Directories may have been made; of files there are those that there were.
#[track_caller]
fn no_file_more(daemon: &Served, lie: &str) {
    let files = walkdir::WalkDir::new(daemon.at("dst")).into_iter().filter(|entry| {
        // Deeper than that no path can be looked at.
        entry.as_ref().is_ok_and(|entry| entry.file_type().is_file())
    });
    assert_eq!(files.count(), 3, "{lie}");
    assert_eq!(fs::read_to_string(daemon.at("dst/f")).unwrap(), "old", "{lie}");
    assert_eq!(tree(&daemon.at("outside")), ["secret: not for you"], "{lie}");
    daemon.run(["localhost::m/src/"]).expect(0);
}

#[test]
fn a_server_that_sends_and_lies() {
    if is_sluice() {
        of_a_server(SENDER, true);
    }
}

#[test]
fn a_client_that_sends_and_lies() {
    if is_sluice() {
        of_a_client(SENDER, Role::Receiver, served_after);
    }
}

#[test]
fn a_client_that_sends_without_end() {
    if is_sluice() {
        of_a_client(DAEMON, Role::Receiver, served_after);
        of_a_client(GROWING, Role::Receiver, no_file_more);
    }
}

#[test]
fn a_server_that_receives_and_lies() {
    if is_sluice() {
        of_a_server(RECEIVER, false);
    }
}

#[test]
fn a_client_that_receives_and_lies() {
    if is_sluice() {
        of_a_client(RECEIVER, Role::Sender, served_after);
    }
}

#[test]
fn digests_that_never_match_end_with_the_old_file_and_23() {
    let (dir, run) = client_of(
        |stream| {
            let mut link = greet_on(stream, &Patience::default()).unwrap();
            assert!(matches!(link.reader.expect(), Ok(ToServer::Module { .. })));
            say(&mut link, &ToClient::Granted);
            link.requested(1 << 20).unwrap();
            link.ready().unwrap();
            lies_of_a_sender::wrong_for_ever(&mut link);
            drain(&mut link);
        },
        true,
    );
    assert!(run.expect(23).errors().contains("not what the source holds"), "{}", run.errors());
    assert_eq!(fs::read_to_string(dir.path().join("dst/f")).unwrap(), "old");
}

#[test]
fn a_peer_that_finishes_twice_has_finished() {
    let (dir, run) = client_of(
        |stream| {
            let mut link = greet_on(stream, &Patience::default()).unwrap();
            assert!(matches!(link.reader.expect(), Ok(ToServer::Module { .. })));
            say(&mut link, &ToClient::Granted);
            link.requested(1 << 20).unwrap();
            link.ready().unwrap();
            lies_of_a_receiver::finished(&mut link);
            lies_of_a_receiver::finished(&mut link);
            drain(&mut link);
        },
        false,
    );
    run.expect(0);
    untouched(dir.path(), "Finished twice");
}

/// What a stranger sends, and a part of what the log then says.
type Stranger = (&'static str, fn(&mut TcpStream));

fn bytes(stream: &mut TcpStream, bytes: &[u8]) {
    // It may have been hung up on.
    let _sent = stream.write_all(bytes);
}

fn hello() -> [u8; 52] {
    sluice::wire::Hello::ours(sluice::wire::Features::NONE, [7; 32]).encode()
}

fn framed<M: sluice::wire::Message>(message: &M) -> Vec<u8> {
    let mut payload = Vec::new();
    message.encode(&mut payload).unwrap();
    let header = sluice::wire::Header::new(sluice::wire::FrameKind::Control, payload.len()).unwrap();
    [&header.encode()[..], &payload].concat()
}

/// One byte at a time, until the other side has had enough.
fn drop_by_drop(stream: &mut TcpStream, all: &[u8]) {
    stream.set_nodelay(true).unwrap();
    for byte in all.iter().chain(std::iter::repeat(&0)) {
        if stream.write_all(&[*byte]).is_err() {
            return;
        }
        sleep(Duration::from_millis(400));
    }
}

const STRANGERS: &[Stranger] = &[
    ("no sluice", |s| bytes(s, &[0; 52])),
    ("no sluice", |s| bytes(s, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")),
    ("no common protocol version", |s| {
        bytes(s, b"sluice\0\n\x09\0\x0a\0\0\0\0\0\0\0\0\0................................")
    }),
    ("frame type 9", |s| bytes(s, &[&hello()[..], &[0, 0, 0, 9]].concat())),
    ("control frame of 16777215 bytes", |s| bytes(s, &[&hello()[..], &[0xff, 0xff, 0xff, 1]].concat())),
    ("data", |s| bytes(s, &[&hello()[..], &[3, 0, 0, 2, 1, 2, 3, 3, 0, 0, 0]].concat())),
    ("Module", |s| bytes(s, &[&hello()[..], &framed(&ToServer::Module { name: Vec::new() })].concat())),
    ("Module", |s| bytes(s, &[&hello()[..], &framed(&ToServer::Module { name: vec![b'm'; 1025] })].concat())),
    ("neither a module nor", |s| bytes(s, &[&hello()[..], &framed(&ToServer::Auth(vec![1]))].concat())),
    ("neither a module nor", |s| {
        let start = ToServer::Start { role: Role::Sender, options: vec![1, 2, 3], operands: Vec::new() };
        bytes(s, &[&hello()[..], &framed(&start)].concat());
    }),
    ("message 77 to the server", |s| bytes(s, &[&hello()[..], &[1, 0, 0, 1, 77]].concat())),
    ("keep-alive", |s| bytes(s, &[&hello()[..], &[0, 0, 0, 3].repeat(50_000)].concat())),
    ("options", |s| {
        let module = framed(&ToServer::Module { name: b"m".to_vec() });
        let start = ToServer::Start { role: Role::Sender, options: vec![0xff; 300], operands: Vec::new() };
        bytes(s, &[&hello()[..], &module, &framed(&start)].concat());
    }),
    ("More", |s| {
        let more = framed(&ToServer::More { options: vec![0; 200_000], operands: Vec::new() });
        bytes(s, &[&hello()[..], &framed(&ToServer::Module { name: b"m".to_vec() })].concat());
        (0..20).for_each(|_| bytes(s, &more));
    }),
    // In silence, or as good as that: ten seconds and no more.
    ("timeout", |_| {}),
    ("timeout", |s| bytes(s, &hello())),
    ("timeout", |s| bytes(s, &[&hello()[..], &[9, 0, 0, 1, 1]].concat())),
    ("timeout", |s| drop_by_drop(s, &hello())),
    ("timeout", |s| {
        bytes(s, &hello());
        drop_by_drop(s, &[200, 0, 0, 1]);
    }),
];

#[test]
fn a_stranger_is_shown_the_door_in_time_whatever_it_says() {
    if !is_sluice() {
        return;
    }
    let daemon = daemon();
    // A line of the log is one of many; each has to have its own.
    let memory = memory_of_children(&daemon, || {
        std::thread::scope(|scope| {
            for (says, stranger) in STRANGERS {
                let daemon = &daemon;
                scope.spawn(move || {
                    let began = Instant::now();
                    // Ten from one address may be unknown at a time.
                    while began.elapsed() < PATIENCE {
                        let mut stream = TcpStream::connect(("127.0.0.1", daemon.port())).unwrap();
                        let mut heard = Vec::new();
                        stranger(&mut stream);
                        stream.set_read_timeout(Some(PATIENCE)).unwrap();
                        match stream.read_to_end(&mut heard) {
                            Ok(_) | Err(_) if heard.is_empty() => sleep(Duration::from_millis(200)),
                            Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => {
                                panic!("{says}: it hangs")
                            }
                            _ => {
                                daemon.logged(says);
                                return;
                            }
                        }
                    }
                    panic!("{says}: never heard");
                });
            }
        });
    });
    assert!(memory > 0 && memory <= MEMORY, "{memory} KiB");
    let log = daemon.logged("timeout");
    assert!(!log.contains("panicked"), "{log}");
    served_after(&daemon, "strangers");
}

#[test]
fn a_client_that_is_let_in_and_wants_nothing_is_shown_the_door_where_the_module_has_no_time_limit() {
    if !is_sluice() {
        return;
    }
    let daemon = Served::new("use chroot = no\n[m]\npath = @/\n", trees);
    let mut stream = TcpStream::connect(("127.0.0.1", daemon.port())).unwrap();
    bytes(&mut stream, &[&hello()[..], &framed(&ToServer::Module { name: b"m".to_vec() })].concat());
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut heard = Vec::new();
    stream.read_to_end(&mut heard).expect("it hangs");
    daemon.logged("timeout: nothing moved for 10 seconds");
}

/// Lies of a server before the session has begun.
const GREETERS: &[Stranger] = &[
    ("no sluice", |s| bytes(s, &[0; 52])),
    ("no common protocol version", |s| {
        bytes(s, b"sluice\0\n\x09\0\x0a\0\0\0\0\0\0\0\0\0................................");
    }),
    ("frame type 9", |s| bytes(s, &[&hello()[..], &[0, 0, 0, 9]].concat())),
    ("control frame of 16777215 bytes", |s| bytes(s, &[&hello()[..], &[0xff, 0xff, 0xff, 1]].concat())),
    ("Ready", |s| bytes(s, &[&hello()[..], &framed(&ToClient::Ready)].concat())),
    ("Motd", |s| bytes(s, &[&hello()[..], &framed(&ToClient::Motd(b"hi\n".to_vec())).repeat(9)].concat())),
    ("Modules", |s| {
        bytes(s, &[&hello()[..], &framed(&ToClient::Modules { modules: vec![], last: false })].concat())
    }),
    ("message 77 to the client", |s| bytes(s, &[&hello()[..], &[1, 0, 0, 1, 77]].concat())),
    ("keep-alive", |s| bytes(s, &[&hello()[..], &[0, 0, 0, 3].repeat(50_000)].concat())),
    ("Granted", |s| bytes(s, &[&hello()[..], &framed(&ToClient::Granted).repeat(2)].concat())),
    ("Auth", |s| {
        bytes(s, &[&hello()[..], &framed(&ToClient::Granted), &framed(&ToClient::Auth(vec![1]))].concat());
    }),
    ("timeout", |_| {}),
    ("timeout", |s| bytes(s, &hello())),
    ("timeout", |s| bytes(s, &[&hello()[..], &framed(&ToClient::Granted)].concat())),
    ("timeout", |s| {
        bytes(s, &[&hello()[..], &framed(&ToClient::Granted), &framed(&ToClient::Ready)].concat());
    }),
];

#[test]
fn a_server_that_lies_before_the_session_is_left_in_time() {
    if !is_sluice() {
        return;
    }
    for there in [true, false] {
        let left = Mutex::new(GREETERS.iter());
        std::thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    while let Some((says, lie)) = { left.lock().unwrap().next() } {
                        let liar = |mut stream: TcpStream| {
                            lie(&mut stream);
                            let _rest = stream.read_to_end(&mut Vec::new());
                        };
                        let (dir, run) = client_of(liar, there);
                        assert!([2, 12, 30].contains(&run.code), "{says}: {} {}", run.code, run.errors());
                        assert!(run.errors().contains(says), "{says}: {} {}", run.code, run.errors());
                        untouched(dir.path(), says);
                    }
                });
            }
        });
    }
}
