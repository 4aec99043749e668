//! A peer that lies, in either role, over a socket pair: the session ends with an error that says how it
//! lied, what is at the destination stays whole, nothing is left behind, and nobody waits for ever.

use std::cell::RefCell;
use std::fs;
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::Mutex;
use std::sync::mpsc::channel;
use std::time::Duration;

use serde_bytes::ByteBuf;
use sluice::engine::digest::Digest;
use sluice::engine::ledger::Ledger;
use sluice::engine::stream::{Patience, StreamError};
use sluice::event::{Ended, Event, Meter, Observer, Stats};
use sluice::path::Kind;
use sluice::session::frames::{Frame, LinkError};
use sluice::session::handshake::{Greeted, greet};
use sluice::session::{Options, Summary, remote};
use sluice::wire::frame::Header;
use sluice::wire::to_receiver::Roots;
use sluice::wire::to_sender::{Have, How};
use sluice::wire::{FrameKind, Listed, Message, ToReceiver, ToSender};

use crate::scripted::*;
use crate::wire::samples::listed;

/// Long enough for any machine; whatever needs it hangs.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Default)]
struct Heard(Mutex<Vec<String>>);

impl Observer for Heard {
    fn event(&self, event: &Event) {
        if let Event::Problem(problem) = event {
            self.0.lock().unwrap().push(format!("{problem:?}"));
        }
    }
}

/// What came of a session with a liar.
pub struct Came {
    dir: tempfile::TempDir,
    result: Result<Summary, LinkError>,
    problems: Vec<String>,
}

impl Came {
    /// The session ended with an error that has `part` in it, and nothing at the destination has changed.
    #[track_caller]
    pub fn refused(&self, part: &str) {
        self.failed(part);
        self.unchanged();
    }

    /// The session ended with an error that has `part` in it, and no file has been made.
    #[track_caller]
    pub fn failed(&self, part: &str) {
        let text = self.result.as_ref().map(|_| ()).unwrap_err().to_string();
        assert!(text.contains(part), "{text}");
        let all = walkdir::WalkDir::new(self.dir.path().join("dst")).into_iter().map(Result::unwrap);
        let files: Vec<_> = all.filter(|entry| !entry.file_type().is_dir()).collect();
        assert_eq!(files.len(), 1, "{files:?}");
    }

    #[track_caller]
    fn unchanged(&self) {
        let dst = self.dir.path().join("dst");
        let names: Vec<_> = fs::read_dir(&dst).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(names, ["f"], "something was left, or made");
        assert_eq!(fs::read_to_string(dst.join("f")).unwrap(), "old");
    }
}

/// What a liar does, once it is asked.
type Lie = fn(&mut Greeted);

pub type Side = fn(Greeted, &Options, &Meter, &dyn Observer) -> Result<Summary, LinkError>;

/// An honest `side` with these options against `liar`; `@` in an option is the directory, which has `src/f`
/// and `dst/f`. What the honest side says after the lie is read and dropped.
fn against(
    side: Side,
    line: &[&str],
    idle: Option<Duration>,
    liar: impl FnOnce(&mut Greeted) + Send + 'static,
) -> Came {
    with_options(side, line, |_| {}, idle, liar)
}

/// The same, the options changed by `change`.
pub fn with_options(
    side: Side,
    line: &[&str],
    change: fn(&mut Options),
    idle: Option<Duration>,
    liar: impl FnOnce(&mut Greeted) + Send + 'static,
) -> Came {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in [("src/f", "new"), ("dst/f", "old")] {
        fs::create_dir_all(dir.path().join(name).parent().unwrap()).unwrap();
        fs::write(dir.path().join(name), text).unwrap();
    }
    let mut options = options(line, dir.path());
    change(&mut options);
    let (ours, theirs) = UnixStream::pair().unwrap();
    let greeted = |end: UnixStream, patience: &Patience| {
        greet(end.try_clone().unwrap().into(), OwnedFd::from(end), patience)
    };
    std::thread::spawn(move || {
        SOCKET.set(Some(theirs.try_clone().unwrap()));
        let mut link = greeted(theirs, &Patience::default()).unwrap();
        liar(&mut link);
        while let Ok(Frame::Control | Frame::Data(_)) = link.reader.advance() {}
    });
    let (done, end) = channel();
    std::thread::spawn(move || {
        let meter = Meter::default();
        let patience = Patience { stop: meter.stop.clone(), idle, until: None };
        let heard = Heard::default();
        let result = greeted(ours, &patience).and_then(|link| side(link, &options, &meter, &heard));
        done.send((result, heard.0.into_inner().unwrap())).unwrap();
    });
    let (result, problems) = end.recv_timeout(PATIENCE).expect("the session hangs");
    Came { dir, result, problems }
}

fn pull(liar: impl FnOnce(&mut Greeted) + Send + 'static) -> Came {
    against(remote::pull, &["-a", "h:src/", "@/dst"], None, liar)
}

fn push(line: &[&str], liar: impl FnOnce(&mut Greeted) + Send + 'static) -> Came {
    against(remote::push, line, None, liar)
}

thread_local! {
    /// The liar's end.
    static SOCKET: RefCell<Option<UnixStream>> = const { RefCell::new(None) };
}

/// The liar goes away.
fn hang_up() {
    SOCKET.with_borrow(|socket| socket.as_ref().unwrap().shutdown(Shutdown::Both).unwrap());
}

/// The liar has the sources, and is asked to list them.
fn asked_to_list(link: &mut Greeted) {
    link.requested(1 << 20).unwrap();
    link.ready().unwrap();
    let roots = Roots {
        prefixes: vec![ByteBuf::from(*b"src/")],
        last: true,
        root: Some(properties()),
        ..Roots::default()
    };
    say(link, &ToReceiver::Roots(roots));
    assert_eq!(link.reader.expect::<ToSender>().unwrap(), ToSender::List { digests: false });
}

#[test]
fn a_sender_has_nothing_deleted_that_the_receiver_has_not_named() {
    for line in [
        &["-a", "h:src/", "@/dst"][..],
        &["-a", "--delete-missing-args", "h:src/", "h:other", "@/dst"],
        &["-aR", "--delete-missing-args", "h:src/./x/f", "@/dst"],
    ] {
        let came = against(remote::pull, line, None, |link| {
            link.requested(1 << 20).unwrap();
            link.ready().unwrap();
            let path = sluice::path::RelPath::parse(b"f").unwrap();
            let missing = vec![path];
            let prefixes = vec![ByteBuf::from(*b"src/")];
            say(link, &ToReceiver::Roots(Roots { prefixes, missing, last: true, ..Roots::default() }));
            assert_eq!(link.reader.expect::<ToSender>().unwrap(), ToSender::List { digests: false });
            say(link, &listing(0, Vec::new()));
            say(link, &ToReceiver::ListingDone);
            hang_up();
        });
        came.unchanged();
    }
}

/// The liar lists `f`, which is wanted.
fn asked_for_f(link: &mut Greeted) {
    asked_to_list(link);
    say(link, &listing(0, vec![listed("f", Kind::File)]));
    say(link, &ToReceiver::ListingDone);
    assert_eq!(wanted(link), Some(How::Kernel));
}

#[test]
fn no_more_than_what_was_announced_is_stored() {
    let beyond = "beyond the size that was announced";
    let lies: &[(&str, Lie)] = &[
        ("Data", |link| data(link, b"longer than that", 16)),
        ("Data", |link| data(link, b"padding too", 0)),
        ("Hole", |link| say(link, &ToReceiver::Hole { len: 6 })),
        ("Hole", |link| say(link, &ToReceiver::Hole { len: i64::MAX as u64 })),
        ("Hole", |link| {
            data(link, b"abc", 3);
            say(link, &ToReceiver::Hole { len: 3 });
        }),
        ("Data", |link| {
            say(link, &ToReceiver::Hole { len: 3 });
            data(link, b"abc", 3);
        }),
    ];
    for (message, lie) in lies {
        let came = pull(|link| {
            asked_for_f(link);
            say(link, &file(5));
            lie(link);
        });
        came.refused(&format!("protocol error: {message}"));
        came.refused(beyond);
    }
}

#[test]
fn files_begin_once_and_only_when_they_are_wanted() {
    let lies: &[(&str, Lie)] = &[
        ("FileEnd", |link| say(link, &end(digest(b"")))),
        ("Data", |link| data(link, b"abc", 3)),
        ("Hole", |link| say(link, &ToReceiver::Hole { len: 3 })),
        ("File", |link| {
            say(link, &file(5));
            data(link, b"abcde", 5);
            say(link, &file(2));
        }),
        // What is behind the end of the short file would stay.
        ("Inline", |link| {
            say(link, &file(5));
            data(link, b"abcde", 5);
            say(link, &inline(b"ab", b"ab"));
        }),
        ("File", |link| {
            say(
                link,
                &ToReceiver::File { dir: 0, entry: 0, size: 5, mtime: MTIME, from: 3, digest_follows: true },
            )
        }),
        ("File", |link| {
            say(
                link,
                &ToReceiver::File { dir: 0, entry: 1, size: 5, mtime: MTIME, from: 0, digest_follows: true },
            )
        }),
        ("Inline", |link| {
            say(link, &ToReceiver::Inline { dir: 7, entry: 0, mtime: MTIME, data: vec![], digest: None })
        }),
    ];
    for (at, (message, lie)) in lies.iter().enumerate() {
        let came = pull(|link| {
            asked_for_f(link);
            lie(link);
        });
        let text = came.result.as_ref().map(|_| ()).unwrap_err().to_string();
        assert!(text.contains(&format!("protocol error: {message}")), "{at}: {text}");
        came.unchanged();
    }
}

#[test]
fn what_arrived_wrong_is_asked_for_once_more_and_then_left_alone() {
    let came = pull(|link| {
        asked_for_f(link);
        say(link, &file(5));
        data(link, b"wrong", 5);
        say(link, &end(digest(b"right")));
        assert_eq!(wanted(link), Some(How::Copying));
        say(link, &inline(b"wrong", b"right"));
        assert_eq!(wanted(link), None, "a third time");
        bye(link);
    });
    assert_eq!(came.result.as_ref().unwrap().ended, Ended::Complete);
    assert!(came.problems.iter().any(|problem| problem.contains("not what the source holds")));
    came.unchanged();
}

#[test]
fn what_arrived_wrong_first_and_right_then_is_stored() {
    let came = pull(|link| {
        asked_for_f(link);
        say(link, &file(5));
        data(link, b"wrong", 5);
        say(link, &end(None));
        assert_eq!(wanted(link), Some(How::Copying));
        say(link, &file(9));
        data(link, b"right", 5);
        say(link, &ToReceiver::Hole { len: 4 });
        say(link, &end(digest(b"right\0\0\0\0")));
        assert_eq!(wanted(link), None);
        bye(link);
    });
    assert_eq!(came.problems, [""; 0]);
    assert_eq!(came.result.unwrap().ended, Ended::Complete);
    assert_eq!(fs::read(came.dir.path().join("dst/f")).unwrap(), b"right\0\0\0\0");
}

#[test]
fn listings_that_lie_are_refused() {
    fn names(names: &[&str]) -> Vec<Listed> {
        let kind = |name: &str| if name.ends_with('/') { Kind::Dir } else { Kind::File };
        names.iter().map(|name| listed(name.trim_end_matches('/'), kind(name))).collect()
    }
    let lies: &[(&str, Lie)] = &[
        ("there twice", |link| say(link, &listing(0, names(&["f", "f"])))),
        ("there twice", |link| say(link, &listing(0, names(&["a", "f", "a/"])))),
        ("out of order", |link| say(link, &listing(0, names(&["g", "f"])))),
        ("directory 1 is listed where 0 is due", |link| say(link, &listing(1, names(&["f"])))),
        ("directories are missing", |link| say(link, &ToReceiver::ListingDone)),
        ("there is no source 1", |link| {
            say(link, &listing(0, vec![Listed { source: 1, ..listed("f", Kind::File) }]))
        }),
        ("Roots", |link| say(link, &ToReceiver::Roots(Roots { last: true, ..Roots::default() }))),
        ("frame type 9", |link| raw(link, &[0, 0, 0, 9])),
        ("control frame of 16777215 bytes", |link| raw(link, &[0xff, 0xff, 0xff, 1])),
    ];
    for (part, lie) in lies {
        pull(|link| {
            asked_to_list(link);
            lie(link);
        })
        .refused(part);
    }
}

/// A packed frame of any kind, in which `packed` claims to be `size` bytes.
fn packed_frame(link: &mut Greeted, kind: FrameKind, size: u32, packed: &[u8]) {
    let payload = [&size.to_le_bytes(), packed].concat();
    let header = Header::new(kind, payload.len()).unwrap();
    raw(link, &[&header.encode()[..], &payload].concat());
}

/// A megabyte of zeros in a few bytes.
fn small_and_large() -> Vec<u8> {
    let mut packed = Vec::new();
    assert!(sluice::engine::pack::Packer::new(0).unwrap().pack(&vec![0; 1 << 20], &mut packed));
    packed
}

#[test]
fn a_packed_frame_comes_only_where_it_was_agreed_on_and_holds_what_it_claims() {
    pull(|link| {
        asked_to_list(link);
        packed_frame(link, FrameKind::PackedControl, 1 << 18, &small_and_large());
    })
    .refused("packed control frame: was not agreed on");
    let lies: [(&str, Lie); 6] = [
        ("claims 1048576 bytes; 1 to 262144", |link| {
            packed_frame(link, FrameKind::PackedControl, 1 << 20, &small_and_large());
        }),
        ("has another size than it claims", |link| {
            packed_frame(link, FrameKind::PackedControl, 1 << 18, &small_and_large());
        }),
        ("is not one zstd frame", |link| packed_frame(link, FrameKind::PackedControl, 3, b"abc")),
        ("claims 0 bytes", |link| packed_frame(link, FrameKind::PackedData, 0, &small_and_large())),
        ("no file has begun", |link| {
            packed_frame(link, FrameKind::PackedData, 1 << 20, &small_and_large());
        }),
        ("protocol error: ", |link| {
            // It unpacks, to no message.
            let mut packed = Vec::new();
            assert!(sluice::engine::pack::Packer::new(0).unwrap().pack(&[0xff; 1000], &mut packed));
            packed_frame(link, FrameKind::PackedControl, 1000, &packed);
        }),
    ];
    for (part, lie) in lies {
        against(remote::pull, &["-az", "h:src/", "@/dst"], None, move |link| {
            asked_to_list(link);
            lie(link);
        })
        .refused(part);
    }
}

#[test]
fn names_that_lead_elsewhere_do_not_decode() {
    for name in [&b".."[..], b".\0", b"a/", b"/a", b"./"] {
        let came = pull(move |link| {
            asked_to_list(link);
            let mut payload = Vec::new();
            listing(0, vec![listed("QQ", Kind::File)]).encode(&mut payload).unwrap();
            let at = payload.windows(2).position(|two| two == b"QQ").unwrap();
            payload[at..at + 2].copy_from_slice(name);
            let header = Header::new(FrameKind::Control, payload.len()).unwrap();
            raw(link, &[&header.encode()[..], &payload].concat());
        });
        came.refused("protocol error: Listing");
        assert_eq!(fs::read_dir(came.dir.path()).unwrap().count(), 2, "something was made outside");
    }
}

#[test]
fn no_more_is_listed_ahead_than_was_allowed() {
    // The files are wanted and never come, so that nothing more is taken.
    let came = pull(|link| {
        asked_to_list(link);
        let dirs: Vec<_> = (0..200).map(|n| listed(&format!("d{n:03}"), Kind::Dir)).collect();
        say(link, &listing(0, dirs));
        let files = |n| (0..1000).map(|at| listed(&format!("{n}-{at:04}"), Kind::File)).collect();
        for n in 0..200 {
            say(link, &listing(1 + n, files(n)));
        }
    });
    let text = came.result.unwrap_err().to_string();
    assert!(text.contains("further ahead than was allowed"), "{text}");
    let left = walkdir::WalkDir::new(came.dir.path().join("dst")).into_iter();
    let files: Vec<_> = left.map(Result::unwrap).filter(|e| e.file_type().is_file()).collect();
    assert_eq!(files.len(), 1, "temp files are left: {files:?}");
}

#[test]
fn a_sender_that_goes_away_at_any_point_leaves_nothing() {
    let steps: [fn(&mut Greeted); 7] = [
        |_| {},
        |link| drop(link.requested(1 << 20)),
        |link| link.ready().unwrap(),
        |link| {
            let roots = Roots { prefixes: vec![ByteBuf::from(*b"s")], last: true, ..Roots::default() };
            say(link, &ToReceiver::Roots(roots));
        },
        |link| {
            assert_eq!(link.reader.expect::<ToSender>().unwrap(), ToSender::List { digests: false });
            say(link, &listing(0, vec![listed("f", Kind::File)]));
            say(link, &ToReceiver::ListingDone);
        },
        |link| {
            while wanted(link).is_none() {}
            say(link, &file(5));
        },
        |link| raw(link, &[5, 0, 0, 2, b'a', b'b']),
    ];
    for count in 0..=steps.len() {
        let came = pull(move |link| {
            steps[..count].iter().for_each(|step| step(link));
            hang_up();
        });
        came.refused("closed");
    }
}

#[test]
fn a_silent_peer_is_given_up_after_the_timeout() {
    let sides: [(Side, [&str; 3]); 2] =
        [(remote::pull, ["-a", "h:src/", "@/dst"]), (remote::push, ["-a", "@/src/", "h:d"])];
    for (side, line) in sides {
        let came = against(side, &line, Some(Duration::from_secs(1)), |link| {
            link.requested(1 << 20).unwrap();
            link.ready().unwrap();
            std::thread::sleep(PATIENCE);
        });
        assert_eq!(came.result.unwrap_err(), LinkError::Stream(StreamError::Idle(1)));
    }
}

#[test]
fn a_receiver_that_lies_is_refused_and_the_source_stays() {
    let lies: &[(&str, Lie)] = &[
        ("more than was sent", |link| say(link, &ToSender::Took { entries: 5000 })),
        ("not to be removed", |link| say(link, &ToSender::Stored { dir: 0, entry: 0 })),
        ("the walk before is under way", |link| {
            (0..9).for_each(|_| say(link, &ToSender::List { digests: true }))
        }),
        ("has none to send", |link| data(link, b"abc", 3)),
        ("closed", |_| hang_up()),
    ];
    for (part, lie) in lies {
        let came = push(&["-a", "@/src/", "h:dst"], |link| {
            link.requested(1 << 20).unwrap();
            link.ready().unwrap();
            say(link, &ToSender::List { digests: true });
            lie(link);
        });
        came.refused(part);
        assert_eq!(fs::read_to_string(came.dir.path().join("src/f")).unwrap(), "new");
    }
}

#[test]
fn what_was_never_listed_is_not_sent_and_not_removed() {
    let refusals: [(Lie, &str); 3] = [
        (
            |link| say(link, &ToSender::Want { dir: 0, entry: 0, how: How::Kernel, have: None }),
            "no such file",
        ),
        (
            |link| say(link, &ToSender::Want { dir: 0, entry: 9, how: How::Kernel, have: None }),
            "no such file",
        ),
        (|link| say(link, &ToSender::Stored { dir: 0, entry: 0 }), "was never listed"),
    ];
    for (lie, part) in refusals {
        let came = push(&["-a", "--remove-source-files", "--exclude=f", "@/src/", "h:dst"], move |link| {
            link.requested(1 << 20).unwrap();
            link.ready().unwrap();
            say(link, &ToSender::List { digests: true });
            while !matches!(link.reader.expect().unwrap(), ToReceiver::ListingDone) {}
            lie(link);
        });
        came.refused(part);
        assert_eq!(fs::read_to_string(came.dir.path().join("src/f")).unwrap(), "new");
    }
}

#[test]
fn a_receiver_has_only_what_the_options_let_it_keep_and_never_more_than_was_listed() {
    let some = Some(Digest([0; 32]));
    for (option, have) in [
        ("--times", Have { len: 1, digest: some }),
        ("--times", Have { len: 1, digest: None }),
        ("--partial", Have { len: 1, digest: None }),
        ("--partial", Have { len: 4, digest: some }),
        ("--append", Have { len: 1, digest: some }),
        ("--append", Have { len: 4, digest: None }),
        ("--append-verify", Have { len: 1, digest: None }),
        ("--append-verify", Have { len: u64::MAX >> 1, digest: some }),
    ] {
        let came = push(&["-a", option, "@/src/", "h:dst"], move |link| {
            link.requested(1 << 20).unwrap();
            link.ready().unwrap();
            say(link, &ToSender::List { digests: true });
            while !matches!(link.reader.expect().unwrap(), ToReceiver::ListingDone) {}
            say(link, &ToSender::Want { dir: 0, entry: 0, how: How::Kernel, have: Some(have) });
        });
        came.refused("nothing of that can be there");
    }
}

#[test]
fn a_sender_begins_where_it_was_told_that_something_is_and_nowhere_else() {
    // `f` has 3 bytes here, and 5 are listed.
    let begins: &[(&str, &str, Lie)] = &[
        ("--append", "File", |link| say(link, &file(5))),
        ("--append", "Inline", |link| say(link, &inline(b"older", b"older"))),
        ("--append", "File", |link| say(link, &file_from(5, 2))),
        ("--append", "File", |link| say(link, &file_from(2, 3))),
        ("--append-verify", "File", |link| say(link, &file_from(5, 4))),
        ("--inplace", "File", |link| say(link, &file_from(5, 1))),
        ("--append-verify", "Data", |link| {
            say(link, &file_from(5, 3));
            data(link, b"der", 3);
        }),
        ("--append", "Hole", |link| {
            say(link, &file_from(5, 3));
            say(link, &ToReceiver::Hole { len: 3 });
        }),
    ];
    for (option, message, lie) in begins {
        let came = against(remote::pull, &["-a", option, "h:src/", "@/dst"], None, |link| {
            asked_to_list(link);
            let mut f = listed("f", Kind::File);
            f.properties.size = 5;
            say(link, &listing(0, vec![f]));
            say(link, &ToReceiver::ListingDone);
            assert_eq!(wanted(link), Some(How::Kernel));
            lie(link);
        });
        came.refused(&format!("protocol error: {message}"));
    }
}

#[test]
fn a_receiver_that_wants_without_end_and_reads_nothing_is_refused() {
    let came = push(&["-a", "@/src/", "h:dst"], |link| {
        link.requested(1 << 20).unwrap();
        link.ready().unwrap();
        say(link, &ToSender::List { digests: true });
        loop {
            let want = ToSender::Want { dir: 0, entry: 0, how: How::Kernel, have: None };
            if link.writer.push(&want).is_err() {
                return;
            }
        }
    });
    came.refused("Want");
}

#[test]
fn figures_of_any_size_are_taken() {
    let came = pull(|link| {
        asked_to_list(link);
        say(link, &listing(0, vec![Listed { ..listed("f", Kind::Dir) }]));
        say(link, &listing(1, Vec::new()));
        say(link, &ToReceiver::ListingDone);
        while !matches!(link.reader.expect::<ToSender>(), Ok(ToSender::Finished { .. }) | Err(_)) {}
        let mut ledger = Box::new(Ledger::default().snapshot());
        for rung in &mut ledger.rungs {
            (rung.calls, rung.bytes, rung.short) = (u64::MAX, u64::MAX, u64::MAX);
        }
        ledger.hashed = u64::MAX;
        say(link, &ToReceiver::Bye { stats: Stats::default(), ledger });
    });
    assert_eq!(came.result.unwrap().ledger.hashed, u64::MAX);
}
