//! Ways to another machine: a daemon by a proxy or a program, sockets with options, remote shells that fail.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::mpsc::{Receiver, channel};

use crate::requirement::{Need, is_root, met};
use crate::served::{Served, file, tree};
use crate::sshd;
use crate::under_test::{self, Run, command, finish};

fn serve() -> Served {
    let own = if is_root() { "uid = root\ngid = root\n" } else { "" };
    let log = "transfer logging = yes\nlog format = %o %f\n";
    Served::new(&format!("use chroot = no\n{own}[m]\npath = @/mod\nread only = no\n{log}"), |at| {
        file(at, "mod/f", "text");
        file(at, "src/g", "other");
    })
}

/// An HTTP proxy for `times` connections, which says `answer`, then connects to `port` if that was yes. What it was
/// asked comes out of the channel.
fn proxy(times: usize, answer: &'static str, port: u16) -> (u16, Receiver<String>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let own = listener.local_addr().unwrap().port();
    let (told, asked) = channel();
    std::thread::spawn(move || {
        for _ in 0..times {
            let (client, _) = listener.accept().unwrap();
            let mut reader = BufReader::new(client.try_clone().unwrap());
            let mut request = String::new();
            while !request.ends_with("\r\n\r\n") && reader.read_line(&mut request).unwrap() > 0 {}
            told.send(request).unwrap();
            let mut to_client = client.try_clone().unwrap();
            to_client.write_all(answer.as_bytes()).unwrap();
            if !answer.contains(" 200") {
                continue;
            }
            let daemon = TcpStream::connect(("127.0.0.1", port)).unwrap();
            let mut to_daemon = daemon.try_clone().unwrap();
            std::thread::spawn(move || {
                let _copied = std::io::copy(&mut reader, &mut to_daemon);
                let _closed = to_daemon.shutdown(std::net::Shutdown::Write);
            });
            let mut from_daemon = daemon;
            let _copied = std::io::copy(&mut from_daemon, &mut to_client);
            let _closed = client.shutdown(std::net::Shutdown::Both);
        }
    });
    (own, asked)
}

fn with(served: &Served, variables: &[(&str, &str)], args: &[&str]) -> Run {
    let mut client = served.client(args);
    for name in ["CONNECT_PROG", "PROXY", "SHELL"] {
        client.env_remove(format!("RSYNC_{name}")).env_remove(format!("SLUICE_{name}"));
    }
    client.envs(variables.iter().copied());
    finish(client)
}

#[test]
fn a_daemon_is_reached_by_a_proxy_that_hears_the_login() {
    let served = serve();
    let (port, asked) = proxy(2, "HTTP/1.1 200 Connection established\r\nVia: x\r\n\r\n", served.port());
    let at = format!("joe:word@localhost:{port}");
    let variables = [("RSYNC_PROXY", at.as_str())];
    // The host's name is the proxy's business.
    let run = with(&served, &variables, &["-a", "no.such.host.invalid::m/", "d/"]);
    run.expect(0);
    assert_eq!(tree(&served.at("d")), ["f: text"]);
    let expected = format!("CONNECT no.such.host.invalid:{} HTTP/1.0\r\n", served.port());
    let request = asked.recv().unwrap();
    assert_eq!(request, expected + "Proxy-Authorization: Basic am9lOndvcmQ=\r\n\r\n");
    let own = format!("localhost:{port}");
    let variables = [("RSYNC_PROXY", "nowhere"), ("SLUICE_PROXY", own.as_str())];
    with(&served, &variables, &["-a", "src/", "sluice://[::1]:99/m/up/"]).expect(0);
    assert_eq!(asked.recv().unwrap(), "CONNECT [::1]:99 HTTP/1.0\r\n\r\n");
    assert_eq!(tree(&served.at("mod/up")), ["g: other"]);
}

#[test]
fn a_proxy_that_refuses_or_is_none_ends_the_run_with_10() {
    let served = serve();
    for (answer, part) in [
        ("HTTP/1.0 407 Proxy Authentication Required\r\n\r\n", "bad response: \"HTTP/1.0 407 Proxy"),
        ("hello\r\n\r\n", "bad response: \"hello\""),
        ("HTTP/1.0 200", "proxy localhost port"),
    ] {
        let (port, _asked) = proxy(1, answer, 1);
        let at = format!("localhost:{port}");
        let run = with(&served, &[("RSYNC_PROXY", at.as_str())], &["-a", "host::m/", "d/"]);
        assert!(run.expect(10).errors().contains(part), "{}", run.errors());
    }
    let run = with(&served, &[("RSYNC_PROXY", "localhost")], &["-a", "localhost::m/", "d/"]);
    assert!(run.expect(10).errors().contains("HOST:PORT"), "{}", run.errors());
}

/// Joins standard input and output with a port of this machine.
const JOIN: &str = r#"import os, socket, sys, threading
peer = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
def up():
    while data := os.read(0, 65536):
        peer.sendall(data)
    peer.shutdown(socket.SHUT_WR)
threading.Thread(target=up, daemon=True).start()
while data := peer.recv(65536):
    while data:
        data = data[os.write(1, data):]
"#;

#[test]
fn a_daemon_is_reached_by_a_program_that_is_told_the_host_and_the_port() {
    if !met(&[Need::Program("python3")]) {
        return;
    }
    let served = serve();
    fs::write(served.at("join.py"), JOIN).unwrap();
    let port = served.port();
    let program = format!("echo %H 100%% $RSYNC_PORT >said; exec python3 join.py {port}");
    let variables = [("RSYNC_CONNECT_PROG", program.as_str())];
    with(&served, &variables, &["-a", "far.invalid::m/", "d/"]).expect(0);
    assert_eq!(tree(&served.at("d")), ["f: text"]);
    assert_eq!(fs::read_to_string(served.at("said")).unwrap(), format!("far.invalid 100% {port}\n"));
    let variables = [("SLUICE_CONNECT_PROG", program.as_str()), ("RSYNC_CONNECT_PROG", "exit 1")];
    with(&served, &variables, &["-a", "src/", "far.invalid::m/up/"]).expect(0);
    assert_eq!(tree(&served.at("mod/up")), ["g: other"]);
    let variables = [("RSYNC_CONNECT_PROG", "exit 1")];
    let run = with(&served, &variables, &["-a", "localhost::m/", "e/"]);
    assert!(run.expect(12).errors().contains("closed"), "{}", run.errors());
    // What stands for the host is no place for a command.
    let run = with(&served, &variables, &["-a", "$(touch pwned)::m/", "e/"]);
    assert!(run.code != 0 && !served.at("pwned").exists(), "{}", run.errors());
    let shell = served.at("shell");
    fs::write(&shell, "#!/bin/sh\necho \"$@\" >shell-said\nexit 1\n").unwrap();
    fs::set_permissions(&shell, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let variables = [("RSYNC_CONNECT_PROG", "go to %H"), ("RSYNC_SHELL", shell.to_str().unwrap())];
    with(&served, &variables, &["-a", "localhost::m/", "e/"]).expect(12);
    assert_eq!(fs::read_to_string(served.at("shell-said")).unwrap(), "-c go to localhost\n");
}

#[test]
fn options_of_the_socket_are_set_before_it_connects() {
    let served = serve();
    served
        .run(["-a", "--sockopts=SO_KEEPALIVE,SO_SNDBUF=70000 TCP_NODELAY", "localhost::m/", "d/"])
        .expect(0);
    for (option, part) in [
        ("SO_FOO", "--sockopts=SO_FOO: unknown socket option (there are: SO_KEEPALIVE"),
        ("SO_SNDBUF=x", "--sockopts=SO_SNDBUF=x"),
    ] {
        let run = served.run([&format!("--sockopts={option}"), "-a", "localhost::m/", "d/"]);
        assert!(run.expect(1).errors().contains(part), "{}", run.errors());
    }
    if met(&[Need::Program("strace")]) {
        let mut traced = command(std::ffi::OsStr::new("strace"), &served.at(""));
        traced.args(["-f", "-o", "calls", "-e", "trace=setsockopt,connect"]).arg(under_test::binary());
        traced.arg(format!("--port={}", served.port()));
        finish({
            traced.args(["--sockopts=SO_RCVBUF=90000,IPTOS_LOWDELAY", "127.0.0.1::m/"]);
            traced
        })
        .expect(0);
        let calls = fs::read_to_string(served.at("calls")).unwrap();
        let at = |what: &str| calls.find(what).unwrap_or_else(|| panic!("{what} is not in {calls}"));
        let connect = at(&format!("htons({})", served.port()));
        assert!(at("SO_RCVBUF, [90000]") < connect && at("IP_TOS, [16]") < connect, "{calls}");
    }
}

#[test]
fn what_only_a_daemon_has_is_refused_elsewhere_and_the_other_way_round() {
    let served = serve();
    for operands in [["src/", "d/"], ["src/", "h:d/"]] {
        let run = served.run(["-a", "--contimeout=3", operands[0], operands[1]]);
        assert!(run.expect(1).errors().contains("--contimeout"), "{}", run.errors());
    }
    served.run(["-a", "--contimeout=0", "src/", "d/"]).expect(0);
    let mut run = served.client(["-a", "localhost::m/", "e/"]);
    run.env("RSYNC_RSH", "ssh");
    finish(run).expect(0);
}

#[test]
fn a_time_out_of_the_client_is_one_of_the_other_side_too() {
    let served = serve();
    fs::write(served.at("mod/large"), vec![7; 3_000_000]).unwrap();
    let mut client =
        served.client(["-a", "--timeout=2", "--bwlimit=100", "localhost::m/large", "e/"]).spawn().unwrap();
    served.logged("send large");
    let pid = nix::unistd::Pid::from_raw(i32::try_from(client.id()).unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGSTOP).unwrap();
    // The module has no time-out of its own.
    let log = served.logged("timeout: nothing moved for 2 seconds");
    assert!(log.contains("module \"m\" for 127.0.0.1: timeout"), "{log}");
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).unwrap();
    client.wait().unwrap();
}

/// The program under test through the real ssh, with these arguments behind those that say how.
fn by_ssh(server: &sshd::Server, dir: &Path, args: &[&str]) -> Run {
    let mut run = command(&under_test::binary(), dir);
    run.args(server.options()).args(args);
    finish(run)
}

#[test]
fn what_goes_wrong_behind_the_real_ssh_is_told_with_what_can_be_done() {
    let Some(server) = sshd::Server::start() else { return };
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    file(at, "src/f", "text");
    let there = format!("h:{}/dst/", at.display());
    let program = under_test::binary().into_string().unwrap();
    let cases: [(&[&str], i32, &str); 6] = [
        (&["--rsync-path=/no/such/sluice"], 127, "did not find \"/no/such/sluice\": install sluice there"),
        (&["--rsync-path=/etc/passwd"], 126, "could not run \"/etc/passwd\""),
        (&["--rsync-path=rsync"], 12, "rsync answered, which speaks its own protocol"),
        (&["--rsync-path=false"], 12, "the remote shell, or \"false\" there, ended with status 1"),
        (&["--rsync-path=echo hello;"], 12, "began with \"hello"),
        (&["--rsh=ssh -F none -o BatchMode=yes -p 1"], 255, "the remote shell failed"),
    ];
    for (options, code, part) in cases {
        let run = by_ssh(&server, at, &[options, &["-a", "src/", &there]].concat());
        assert!(run.expect(code).errors().contains(part), "{options:?}: {}", run.errors());
        assert!(run.errors().lines().count() < 12, "{}", run.errors());
    }
    assert!(!at.join("dst").exists());
    // A name with all that a shell makes something of, as program's argument and as path.
    let odd = format!("{}/d s't $(touch x) *", at.display());
    fs::create_dir(&odd).unwrap();
    by_ssh(&server, at, &["-az", &format!("--rsync-path={program}"), "src/", &format!("h:{odd}/")]).expect(0);
    assert!(Path::new(&odd).join("f").exists() && !at.join("x").exists());
    let pattern = format!("h:{}/s*c/?", at.display());
    by_ssh(&server, at, &["-a", &pattern, "back/"]).expect(0);
    assert_eq!(tree(&at.join("back")), ["f: text"]);
}

#[test]
fn a_login_that_talks_is_shown() {
    let dir = tempfile::tempdir().unwrap();
    file(dir.path(), "src/f", "text");
    fs::write(dir.path().join("shell"), "echo Welcome, friend\nexec sleep 9\n").unwrap();
    let run = under_test::run(dir.path(), ["-a", "--rsh=sh shell", "src/", "h:d/"]);
    let errors = run.expect(12).errors();
    assert!(errors.contains("it began with \"Welcome, friend") && errors.contains("login"), "{errors}");
}

#[test]
fn a_daemon_whose_standard_input_is_a_unix_socket_serves_it_and_ends() {
    let served = serve();
    let text = fs::read_to_string(served.at("conf")).unwrap();
    let conf =
        format!("log file = {}\n{text}[far]\npath = /\nhosts deny = 127.0.0.1\n", served.at("log").display());
    fs::write(served.at("own"), conf).unwrap();
    let binary = std::path::PathBuf::from(under_test::binary());
    // The port is another daemon's: one that listened would fail, and not stay.
    let daemon = format!("exec '{}' --daemon --config=own --port={}", binary.display(), served.port());
    let variables = [("RSYNC_CONNECT_PROG", daemon.as_str())];
    with(&served, &variables, &["-a", "localhost::m/", "d/"]).expect(0);
    assert_eq!(tree(&served.at("d")), ["f: text"]);
    with(&served, &variables, &["-a", "src/", "localhost::m/up/"]).expect(0);
    assert_eq!(tree(&served.at("mod/up")), ["g: other"]);
    let log = fs::read_to_string(served.at("log")).unwrap();
    assert!(log.contains("connect from 127.0.0.1") && !log.contains("listens"), "{log}");
    let run = with(&served, &variables, &["-a", "localhost::far/", "e/"]);
    assert!(run.expect(5).errors().contains("access denied"), "{}", run.errors());
}
