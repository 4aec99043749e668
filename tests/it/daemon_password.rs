//! Passwords of a daemon's modules, and what somebody on the line can do.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex};

use crate::requirement::is_root;
use crate::served::{Served, file, tree};

const PASSWORD: &str = "correct horse";

fn module(more: &str) -> String {
    let own = if is_root() { "uid = root\ngid = root\n" } else { "" };
    format!(
        "use chroot = no\n{own}[m]\npath = @/mod\nread only = no\nauth users = joe, ann:ro, kim:deny\nsecrets file = @/secrets\n{more}"
    )
}

fn prepare(at: &Path) {
    file(at, "mod/f", "one");
    file(at, "src/new", "two");
    fs::write(at.join("secrets"), format!("joe:{PASSWORD}\nann:{PASSWORD}\nkim:{PASSWORD}\n")).unwrap();
    fs::set_permissions(at.join("secrets"), fs::Permissions::from_mode(0o600)).unwrap();
}

#[test]
fn the_right_password_lets_in_and_any_other_looks_like_a_stranger() {
    let served = Served::new(&module(""), prepare);
    served.run_as(PASSWORD, ["-a", "joe@localhost::m/", "d/"]).expect(0);
    assert_eq!(tree(&served.at("d")), ["f: one"]);
    let wrong = served.run_as("wrong horse", ["-a", "joe@localhost::m/", "e/"]);
    let stranger = served.run_as(PASSWORD, ["-a", "nobody@localhost::m/", "e/"]);
    assert_eq!(wrong.expect(5).errors(), stranger.expect(5).errors());
    assert!(!served.at("e").exists());
    let log = served.logged("for user \"nobody\"");
    assert!(log.contains("for user \"joe\" (wrong password)"), "{log}");
    assert!(!log.contains("horse"), "a password is in the log:\n{log}");
}

#[test]
fn a_rule_of_a_user_decides_what_that_user_may() {
    let served = Served::new(&module(""), prepare);
    served.run_as(PASSWORD, ["-a", "src/new", "joe@localhost::m/"]).expect(0);
    let refused = served.run_as(PASSWORD, ["-a", "src/new", "ann@localhost::m/"]);
    assert!(refused.expect(1).errors().contains("read only"));
    served.run_as(PASSWORD, ["-a", "kim@localhost::m/", "d/"]).expect(5);
}

#[test]
fn a_group_lets_its_members_in_with_the_groups_password() {
    if !is_root() {
        return;
    }
    // Root is a member of its own group wherever there is one.
    let text = module("").replace("joe, ann:ro, kim:deny", "@root");
    let served = Served::new(&text, |at| {
        prepare(at);
        fs::write(at.join("secrets"), format!("@root:{PASSWORD}\n")).unwrap();
    });
    served.run_as(PASSWORD, ["-a", "root@localhost::m/", "d/"]).expect(0);
    served.run_as(PASSWORD, ["-a", "joe@localhost::m/", "e/"]).expect(5);
}

#[test]
fn without_a_password_the_login_fails_with_5() {
    let served = Served::new(&module(""), prepare);
    let none = served.run_as("", ["-a", "joe@localhost::m/", "d/"]);
    assert!(none.expect(5).errors().contains("RSYNC_PASSWORD: empty"), "{}", none.errors());
}

#[test]
fn a_password_file_is_read_unless_others_can() {
    let served = Served::new(&module(""), prepare);
    fs::write(served.at("mine"), format!("{PASSWORD}\nmore\n")).unwrap();
    fs::set_permissions(served.at("mine"), fs::Permissions::from_mode(0o600)).unwrap();
    let with = ["-a", "--password-file=mine", "joe@localhost::m/", "d/"];
    served.run(with).expect(0);
    fs::set_permissions(served.at("mine"), fs::Permissions::from_mode(0o604)).unwrap();
    assert!(served.run(with).expect(1).errors().contains("chmod o-rw"));
    fs::remove_file(served.at("mine")).unwrap();
    assert!(served.run(with).expect(1).errors().contains("No such file"));
    // The daemon's own file, likewise; and without it nobody comes in.
    fs::set_permissions(served.at("secrets"), fs::Permissions::from_mode(0o604)).unwrap();
    served.run_as(PASSWORD, ["-a", "joe@localhost::m/", "d/"]).expect(5);
    served.logged("others may read or write it");
    fs::remove_file(served.at("secrets")).unwrap();
    served.run_as(PASSWORD, ["-a", "joe@localhost::m/", "d/"]).expect(5);
}

/// Somebody between a client and a daemon, who sees each direction's bytes, and changes them.
fn between(daemon: u16, change: impl Fn(bool, usize, &mut [u8]) + Send + Clone + 'static) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        while let Ok((client, _)) = listener.accept() {
            let server = TcpStream::connect(("127.0.0.1", daemon)).unwrap();
            for to_server in [true, false] {
                let ends = (client.try_clone().unwrap(), server.try_clone().unwrap());
                let (mut from, mut to) = if to_server { ends } else { (ends.1, ends.0) };
                let change = change.clone();
                std::thread::spawn(move || {
                    let (mut seen, mut buffer) = (0, [0; 4096]);
                    while let Ok(n) = from.read(&mut buffer) {
                        if n == 0 {
                            break;
                        }
                        change(to_server, seen, &mut buffer[..n]);
                        seen += n;
                        if to.write_all(&buffer[..n]).is_err() {
                            break;
                        }
                    }
                    let _closed = to.shutdown(Shutdown::Write);
                });
            }
        }
    });
    port
}

#[test]
fn a_recorded_session_says_nothing_to_the_daemon_a_second_time() {
    let served = Served::new(&module(""), prepare);
    let recorded = Arc::<Mutex<Vec<u8>>>::default();
    let record = Arc::clone(&recorded);
    let port = between(served.port(), move |to_server, _, bytes| {
        if to_server {
            record.lock().unwrap().extend_from_slice(bytes);
        }
    });
    let mut client = served.client(["-a", "--timeout=20"]);
    client
        .arg(format!("--port={port}"))
        .args(["src/", "joe@localhost::m/up/"])
        .env("RSYNC_PASSWORD", PASSWORD);
    crate::under_test::finish(client).expect(0);
    assert!(served.at("mod/up/new").exists());
    fs::remove_dir_all(served.at("mod/up")).unwrap();
    let said = recorded.lock().unwrap().clone();
    let said_of = |text: &[u8]| said.windows(text.len()).any(|window| window == text);
    assert!(!said_of(PASSWORD.as_bytes()), "the password is on the line");
    let mut replay = TcpStream::connect(("127.0.0.1", served.port())).unwrap();
    // It may be hung up on in the middle.
    let _sent = replay.write_all(&said).and_then(|()| replay.shutdown(Shutdown::Write));
    let _heard = replay.read_to_end(&mut Vec::new());
    served.logged("login failed on module \"m\" for user \"joe\"");
    assert!(!served.at("mod/up").exists(), "a replayed session wrote");
}

/// A push through somebody who flips the bit in that direction at that place: the exit status, what was
/// stored, and how many bytes went each way.
fn flipped(spot: Option<(bool, usize)>) -> (i32, Vec<String>, [usize; 2]) {
    // A daemon for each: whoever seems to guess passwords is not heard for a while.
    let served = Served::new(&module(""), sources);
    let lengths = Arc::new(Mutex::new([0usize; 2]));
    let counted = Arc::clone(&lengths);
    let port = between(served.port(), move |to_server, seen, bytes| {
        counted.lock().unwrap()[usize::from(to_server)] = seen + bytes.len();
        if let Some((direction, at)) = spot
            && direction == to_server
            && at >= seen
            && let Some(byte) = bytes.get_mut(at - seen)
        {
            *byte ^= 1 << (at % 8);
        }
    });
    let mut client = served.client(["-rt", "--timeout=3"]);
    client.arg(format!("--port={port}")).args(["src/", "joe@localhost::m/up/"]);
    client.env("RSYNC_PASSWORD", PASSWORD);
    let code = crate::under_test::finish(client).code;
    let up = served.at("mod/up");
    let stored = if up.exists() { tree(&up) } else { Vec::new() };
    let lengths = *lengths.lock().unwrap();
    (code, stored, lengths)
}

/// Large enough to be sent by reference, so that data frames are among what is flipped.
fn sources(at: &Path) {
    prepare(at);
    fs::write(at.join("src/large"), vec![b'7'; 100_000]).unwrap();
}

#[test]
fn a_bit_that_somebody_flips_is_noticed_and_never_stored() {
    let (code, whole, [back, there]) = flipped(None);
    assert_eq!((code, whole.len()), (0, 2));
    // Densely where the login and the request are, thinly in the data; the goodbyes at the end matter no more.
    let spots = |to_server: bool, len: usize| {
        let head = (0..len.min(700)).step_by(37);
        let rest = (700..len.max(700)).step_by((len / 6).max(1));
        head.chain(rest).map(move |at| (to_server, at))
    };
    for spot in spots(true, there).chain(spots(false, back.saturating_sub(40))) {
        let (code, stored, _) = flipped(Some(spot));
        assert!(stored.iter().all(|line| whole.contains(line)), "{spot:?}: {code} {stored:?}");
        assert!(code != 0 || stored == whole, "{spot:?}: a success without all files");
        // A file whose digest is not the one that was meant is sent once more.
        assert!(code != 0 || spot.0 && spot.1 > 700, "{spot:?}: nobody noticed");
    }
}

#[test]
fn whoever_has_failed_too_often_is_told_so_and_not_heard() {
    let served = Served::new(&module(""), prepare);
    for _ in 0..4 {
        served.run_as("wrong", ["ann@localhost::m/"]).expect(5);
    }
    // The listener counts when the connection's process has ended.
    let end = std::time::Instant::now() + std::time::Duration::from_secs(20);
    loop {
        let run = served.run_as("wrong", ["ann@localhost::m/"]);
        if run.expect(5).errors().contains("too many logins from this address failed: try again later") {
            break;
        }
        assert!(std::time::Instant::now() < end, "{}", run.errors());
    }
    served.run(["localhost::"]).expect(5);
    served.logged("turned away: too many failed logins from there");
}
