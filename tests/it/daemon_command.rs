//! `sluice --daemon` as operators start it: by hand, in the background, under inetd, by systemd.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::under_test::{binary, command, run};

/// A process that does not outlive the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ended = self.0.kill();
        let _waited = self.0.wait();
    }
}

#[track_caller]
fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A scratch directory with a module in `mod` and a configuration that logs to `log`.
fn scratch(more: &str) -> tempfile::TempDir {
    let scratch = tempfile::tempdir().unwrap();
    fs::create_dir(scratch.path().join("mod")).unwrap();
    let at = scratch.path().display();
    let text = format!("log file = {at}/log\naddress = 127.0.0.1\n{more}\n[m]\npath = {at}/mod\n");
    fs::write(scratch.path().join("conf"), text.replace('@', &at.to_string())).unwrap();
    scratch
}

fn logged(scratch: &Path, what: &str) {
    wait_for(&format!("{what:?} in the log"), || {
        fs::read_to_string(scratch.join("log")).ok().filter(|text| text.contains(what))
    });
}

/// A port that nobody listens on now.
fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}

/// Connects, and waits until the daemon has hung up: it greets nobody who stays silent and then leaves.
fn knock(at: SocketAddr) {
    let mut stream = wait_for("somebody listens", || TcpStream::connect(at).ok());
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let _hung_up = stream.read_to_end(&mut Vec::new());
}

#[test]
fn a_directory_is_offered_without_a_configuration_on_loopback_only() {
    let scratch = tempfile::tempdir().unwrap();
    let port = free_port();
    let mut command = command(&binary(), scratch.path());
    command.args(["--daemon", "--module=try me=.", &format!("--port={port}")]).stderr(Stdio::piped());
    let mut daemon = Running(command.spawn().unwrap());
    let mut lines = BufReader::new(daemon.0.stderr.take().unwrap()).lines().map_while(Result::ok);
    let mut until = |what: &str| lines.find(|line| line.contains(what)).unwrap();
    until(&format!("listens on 127.0.0.1:{port}"));
    until(&format!("try: sluice sluice://127.0.0.1:{port}/try me/"));
    knock(([127, 0, 0, 1], port).into());
    until("connect from 127.0.0.1");
    kill(Pid::from_raw(i32::try_from(daemon.0.id()).unwrap()), Signal::SIGTERM).unwrap();
    until("listens no more");
    assert!(daemon.0.wait().unwrap().success());
}

#[test]
fn a_daemon_in_the_background_has_a_pid_file_while_it_runs_and_only_one_does() {
    let scratch = scratch("pid file = @/pid");
    let port = format!("--port={}", free_port());
    run(scratch.path(), ["--daemon", "--config=conf", &port]).expect(0);
    let pid =
        wait_for("a pid", || fs::read_to_string(scratch.path().join("pid")).ok()?.trim().parse::<i32>().ok());
    logged(scratch.path(), "listens on 127.0.0.1:");
    let second = run(scratch.path(), ["--daemon", "--config=conf", &format!("--port={}", free_port())]);
    assert!(second.expect(11).errors().contains("another daemon runs"));
    kill(Pid::from_raw(pid), Signal::SIGTERM).unwrap();
    wait_for("the pid file is gone", || (!scratch.path().join("pid").exists()).then_some(()));
}

#[test]
fn parameters_on_the_command_line_hold_for_the_daemon_and_for_its_connections() {
    let scratch = scratch("");
    let port = free_port();
    let pid_file = format!("-Mpidfile={}", scratch.path().join("pid").display());
    let port_there = format!("--dparam=port={port}");
    run(scratch.path(), ["--daemon", "--config=conf", &pid_file, &port_there, "-M", "Comment = typed"])
        .expect(0);
    let pid =
        wait_for("a pid", || fs::read_to_string(scratch.path().join("pid")).ok()?.trim().parse::<i32>().ok());
    logged(scratch.path(), "listens on 127.0.0.1:");
    let listed = run(scratch.path(), [format!("sluice://localhost:{port}/")]);
    let modules = listed.expect(0).text();
    kill(Pid::from_raw(pid), Signal::SIGTERM).unwrap();
    assert!(modules.lines().any(|line| line.ends_with("typed")), "{modules}");
    let bad = run(scratch.path(), ["--daemon", "--config=conf", "-M", "bogus=1"]);
    assert!(
        bad.expect(1).errors().contains("--dparam line 1: unknown parameter `bogus`"),
        "{}",
        bad.errors()
    );
    let client = run(scratch.path(), ["--dparam=port=1", "a", "b"]);
    assert!(
        client.expect(1).errors().contains("--dparam, --module, --no-detach and --server go with --daemon")
    );
}

#[test]
fn a_connection_on_standard_input_is_served_as_under_inetd() {
    let scratch = scratch("");
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let accepted = listener.accept().unwrap().0;
    let mut command = command(&binary(), scratch.path());
    // inetd gives the socket for all three.
    let other = || Stdio::from(OwnedFd::from(accepted.try_clone().unwrap()));
    command.args(["--daemon", "--config=conf"]).stdin(other()).stdout(other()).stderr(other());
    let mut daemon = Running(command.spawn().unwrap());
    drop((accepted, command));
    client.shutdown(std::net::Shutdown::Write).unwrap();
    daemon.0.wait().unwrap();
    logged(scratch.path(), "connect from 127.0.0.1");
}

#[test]
fn sockets_that_systemd_passes_are_listened_on() {
    let scratch = scratch("");
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let at = listener.local_addr().unwrap();
    let script = "export LISTEN_PID=$$ LISTEN_FDS=1; exec \"$0\" --daemon --config=conf 3<&0 </dev/null";
    let mut shell = Command::new("sh");
    shell.current_dir(scratch.path()).args(["-c", script]).arg(binary()).stdin(OwnedFd::from(listener));
    let _daemon = Running(shell.spawn().unwrap());
    drop(shell);
    knock(at);
    logged(scratch.path(), &format!("listens on {at}"));
    logged(scratch.path(), "connect from 127.0.0.1");
}

#[test]
fn what_keeps_a_daemon_from_starting_is_told_before_it_leaves_the_terminal() {
    let scratch = scratch("bogus = 1");
    let bad = run(scratch.path(), ["--daemon", "--config=conf"]);
    assert!(bad.expect(1).errors().contains("conf line 3: unknown parameter `bogus`"));
    let missing = run(scratch.path(), ["--daemon", "--config=nowhere"]);
    assert!(missing.expect(1).errors().contains("nowhere\": No such file"));
    let taken = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = format!("--port={}", taken.local_addr().unwrap().port());
    let busy = run(scratch.path(), ["--daemon", "--module=m=/", &port]);
    assert!(busy.expect(10).errors().contains("listen on 127.0.0.1:"));
    for args in [
        &["--daemon", "a", "b"][..],
        &["--config=x", "a", "b"],
        &["--no-detach", "a", "b"],
        &["--daemon", "--config=x", "--module=a=b"],
        &["--daemon", "--module=a"],
        &["--daemon", "--address=localhost"],
        &["--daemon", "--port=0"],
    ] {
        run(scratch.path(), args).expect(1);
    }
}
