//! How a session with another machine ends when something goes wrong: exit status, message, and what is
//! left on either side.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::remote_shell;
use crate::under_test::{self, Run, command, finish};
use crate::ways;

/// Long enough for any machine; a run that needs it hangs.
const PATIENCE: Duration = Duration::from_secs(60);

fn place() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for tree in ["src", "dst"] {
        fs::create_dir(dir.path().join(tree)).unwrap();
    }
    fs::write(dir.path().join("src/f"), "new").unwrap();
    fs::write(dir.path().join("dst/f"), "old").unwrap();
    dir
}

/// A push and a pull with `script` for a remote shell; it gets what a remote shell gets.
fn with_shell(dir: &Path, script: &str, options: &[&str]) -> [Run; 2] {
    fs::write(dir.join("script"), script).unwrap();
    [["src/", "h:dst/"], ["h:src/", "dst/"]].map(|operands| {
        let mut run = command(&under_test::binary(), dir);
        run.args(["-a", "--rsh=sh ./script"]).args(options).args(operands);
        finish(run)
    })
}

#[track_caller]
fn both(runs: &[Run; 2], code: i32, part: &str) {
    for run in runs {
        assert!(run.expect(code).errors().contains(part), "{part:?} is missing in: {}", run.errors());
    }
}

#[test]
fn what_the_remote_shell_says_is_passed_on() {
    let dir = place();
    let at = dir.path();
    both(&with_shell(at, "exit 255", &[]), 255, "the remote shell failed");
    both(&with_shell(at, "exec no-such-program", &[]), 127, "--rsync-path");
    both(&with_shell(at, "exit 126", &[]), 126, "could not run");
    both(&with_shell(at, "exit 0", &[]), 12, "closed by the other side");
    for run in with_shell(at, "exit 126", &["--json"]) {
        let text = run.text();
        let objects: Vec<serde_json::Value> =
            text.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
        let kinds: Vec<_> = objects.iter().map(|object| object["type"].as_str().unwrap()).collect();
        assert_eq!(kinds, ["start", "broken", "broken", "given_up"]);
        assert_eq!(objects[3]["exit_code"], 126);
    }
    let [run, _] = with_shell(at, "", &["--rsh=/no/such/shell"]);
    assert!(run.expect(14).errors().contains("/no/such/shell"), "{}", run.errors());
    assert_eq!(fs::read_to_string(at.join("dst/f")).unwrap(), "old");
}

#[test]
fn a_peer_that_is_something_else_is_recognised() {
    let dir = place();
    let at = dir.path();
    both(&with_shell(at, "echo Welcome to this machine; sleep 9", &[]), 12, "Welcome to this machine");
    both(&with_shell(at, "echo @RSYNCD: 31.0; sleep 9", &[]), 12, "rsync");
    let hello = r"printf 'sluice\0\n\007\000\011\000'; head -c 40 /dev/zero; sleep 9";
    both(&with_shell(at, hello, &[]), 2, "7 to 9");
    // Half a hello, then nothing more.
    both(&with_shell(at, r"printf 'sluice\0\n\001'", &[]), 12, "sluice");
}

#[test]
fn a_silent_peer_ends_the_run_with_30() {
    let dir = place();
    both(&with_shell(dir.path(), "exec sleep 50", &["--timeout=1"]), 30, "timeout");
}

#[test]
fn options_of_a_client_decide_what_a_server_does_and_its_arguments_nothing() {
    // The command line is all that goes through the far shell.
    let dir = place();
    let script = "printf '%s\\n' \"$@\" >told; exit 255";
    with_shell(dir.path(), script, &["--exclude=$(touch x)", "--delete", "--rsync-path=prog"]);
    assert_eq!(fs::read_to_string(dir.path().join("told")).unwrap(), "h\nprog\n--server\n.\n");
}

/// A transfer that takes a quarter of a minute, in the middle of its first file; its server's pid is in `pid`.
fn start_slow(dir: &Path, push: bool) -> Child {
    let program = under_test::binary();
    let script = format!("echo $$ >pid\nexec {} --server .\n", Path::new(&program).display());
    fs::write(dir.join("script"), script).unwrap();
    fs::write(dir.join("src/f"), vec![b'n'; 64 << 20]).unwrap();
    for behind in ["g", "h", "i", "j"] {
        fs::write(dir.join("src").join(behind), vec![b'n'; 1 << 20]).unwrap();
    }
    let operands = if push { ["src/", "h:dst/"] } else { ["h:src/", "dst/"] };
    let mut run: Command = command(&program, dir);
    run.args(["-a", "--rsh=sh ./script", "--bwlimit=4000"]).args(operands);
    let child = run.stderr(Stdio::piped()).spawn().unwrap();
    let began = Instant::now();
    while !dir.join("pid").exists() && began.elapsed() < PATIENCE {
        sleep(Duration::from_millis(10));
    }
    // Into the middle of the data.
    sleep(Duration::from_millis(700));
    child
}

fn server(dir: &Path) -> Pid {
    Pid::from_raw(fs::read_to_string(dir.join("pid")).unwrap().trim().parse().unwrap())
}

/// Waits for both ends of a session; the client's exit status.
fn wait(dir: &Path, child: &mut Child) -> Option<i32> {
    let began = Instant::now();
    let mut code = None;
    let there = || Path::new(&format!("/proc/{}/exe", server(dir))).exists();
    while code.is_none() || there() {
        assert!(began.elapsed() < PATIENCE, "one side goes on: {code:?}");
        code = code.or(child.try_wait().unwrap());
        sleep(Duration::from_millis(10));
    }
    code.unwrap().code()
}

/// The large file is as it was, or is not there as it was not there. Smaller ones can have been faster: they are there
/// whole or not at all, and nothing else is.
#[track_caller]
fn nothing_half(dir: &Path, what: &str) {
    for entry in fs::read_dir(dir.join("dst")).unwrap() {
        let name = entry.unwrap().file_name();
        let there = fs::read(dir.join("dst").join(&name)).unwrap();
        match name.to_str() {
            Some("f") => assert_eq!(there, b"old", "{what}"),
            Some("g" | "h" | "i" | "j") => {
                let whole = there == fs::read(dir.join("src").join(&name)).unwrap();
                assert!(whole, "{what}: {} bytes of {name:?}", there.len());
            }
            _ => panic!("{what}: {name:?}"),
        }
    }
}

#[test]
fn an_interrupted_run_ends_with_20_and_leaves_nothing_on_either_side() {
    for push in [true, false] {
        for signal in [Signal::SIGINT, Signal::SIGTERM] {
            let dir = place();
            let mut child = start_slow(dir.path(), push);
            kill(Pid::from_raw(child.id().cast_signed()), signal).unwrap();
            assert_eq!(wait(dir.path(), &mut child), Some(20), "push {push}");
            nothing_half(dir.path(), &format!("push {push}, {signal}"));
            assert!(dir.path().join("dst/f").exists());
        }
    }
}

/// By then the other side, which does the work in a push, has had the time to say so.
#[test]
fn what_was_done_before_an_interruption_is_told_as_it_is_done_and_stands_in_the_log() {
    for push in [true, false] {
        let dir = place();
        let at = dir.path();
        for n in 0..10 {
            fs::write(at.join(format!("src/{n}")), vec![b'n'; 5 << 20]).unwrap();
        }
        let shell = remote_shell::to_itself(at);
        let operands = if push { ["src/", "h:dst/"] } else { ["h:src/", "dst/"] };
        let mut run: Command = command(&under_test::binary(), at);
        run.args(shell).args(["-ai", "--bwlimit=5000", "--log-file=log"]).args(operands);
        let mut child = run.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // The first lines come while the run goes on: it takes ten seconds.
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let first = lines.by_ref().map(Result::unwrap).find(|line| line.contains("f+++")).unwrap();
        assert!(child.try_wait().unwrap().is_none(), "push {push}: {first} came at the end");
        kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGTERM).unwrap();
        let told = 1 + lines.map(Result::unwrap).filter(|line| line.contains("f+++")).count();
        let ended = child.wait_with_output().unwrap();
        assert_eq!(ended.status.code(), Some(20), "push {push}");
        let closing = "sluice error: received SIGINT, SIGTERM, or SIGHUP (code 20)";
        let errors = String::from_utf8(ended.stderr).unwrap();
        assert_eq!(errors.matches(closing).count(), 1, "push {push}: {errors}");
        let log = fs::read_to_string(at.join("log")).unwrap();
        assert!(log.trim_end().ends_with(closing), "push {push}: {log}");
        assert_eq!(log.matches("f+++").count(), told, "push {push}: {log}");
    }
}

#[test]
fn a_killed_server_ends_the_run_with_12_and_leaves_nothing_on_this_side() {
    for push in [true, false] {
        let dir = place();
        let mut child = start_slow(dir.path(), push);
        kill(server(dir.path()), Signal::SIGKILL).unwrap();
        let code = wait(dir.path(), &mut child).unwrap();
        // rsync says 12 too, unless it has heard first how its shell ended.
        assert!([12, 125].contains(&code), "push {push}: {code}");
        let old = fs::read(dir.path().join("dst/f")).unwrap();
        assert_eq!(old, b"old", "push {push}");
        if !push {
            nothing_half(dir.path(), "pull");
        }
    }
}

#[test]
fn a_killed_client_leaves_no_server_and_nothing_on_its_side() {
    for push in [true, false] {
        let dir = place();
        let mut child = start_slow(dir.path(), push);
        child.kill().unwrap();
        wait(dir.path(), &mut child);
        assert_eq!(fs::read(dir.path().join("dst/f")).unwrap(), b"old", "push {push}");
        if push {
            nothing_half(dir.path(), "push");
        }
    }
}

#[test]
fn what_an_interrupted_run_keeps_is_made_whole_by_the_next() {
    for push in [true, false] {
        let dir = place();
        let at = dir.path();
        fs::remove_file(at.join("dst/f")).unwrap();
        let mut child = start_slow(at, push);
        kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGINT).unwrap();
        assert_eq!(wait(at, &mut child), Some(20));
        assert!(!at.join("dst/f").exists(), "push {push}");
        nothing_half(at, &format!("push {push}"));
        let operands = if push { ["src/", "h:dst/"] } else { ["h:src/", "dst/"] };
        let mut run = command(&under_test::binary(), at);
        run.args(remote_shell::to_itself(at)).args(["-a", "--partial"]).args(operands);
        finish(run).expect(0);
        assert!(fs::read(at.join("dst/f")).unwrap() == fs::read(at.join("src/f")).unwrap());
    }
}

#[test]
fn a_remote_program_that_is_killed_is_a_lost_connection_and_no_machine_that_is_not_reached() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    fs::create_dir(at.join("src")).unwrap();
    fs::write(at.join("src/f"), vec![b'f'; 400_000]).unwrap();
    // ssh ends with 255 where the program there was ended by a signal.
    let shell = "#!/bin/sh\nshift\nsh -c \"$*\" | dd bs=1 count=200000 2>/dev/null\nexit 255\n";
    fs::write(at.join("shell"), shell).unwrap();
    fs::set_permissions(at.join("shell"), fs::Permissions::from_mode(0o755)).unwrap();
    let program = format!("--rsync-path={}", Path::new(&under_test::binary()).display());
    let run = under_test::run(at, ["-a", "--rsh=./shell", &program, "far:src/", "dst/"]);
    assert!(
        run.expect(12).errors().contains("the connection was closed by the other side"),
        "{}",
        run.errors()
    );
    assert!(!run.errors().contains("reach"), "{}", run.errors());
}

#[test]
fn a_signal_that_ends_the_remote_shell_first_still_ends_the_run_with_20() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    fs::create_dir(at.join("src")).unwrap();
    fs::write(at.join("src/f"), "f").unwrap();
    // As on a terminal, where all of the group have it; this one is gone before sluice looks.
    let shell = "#!/bin/sh\nshift\nkill -INT $PPID\nexit 255\n";
    fs::write(at.join("shell"), shell).unwrap();
    fs::set_permissions(at.join("shell"), fs::Permissions::from_mode(0o755)).unwrap();
    let run = under_test::run(at, ["-a", "--rsh=./shell", "far:src/", "dst/"]);
    assert!(run.expect(20).errors().contains("received SIGINT"), "{}", run.errors());
}

#[test]
fn at_the_time_that_a_run_is_to_stop_it_says_so_and_ends_with_30_on_each_way() {
    // The next full minute that is not at hand.
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let minute = (now + 4).next_multiple_of(60);
    let mut date = command("date".as_ref(), Path::new("/"));
    date.args([format!("-d@{minute}"), "+--stop-at=%H:%M".into()]);
    let stop = finish(date).expect(0).text();
    let prepare = |dir: &Path| {
        fs::create_dir_all(dir.join("src")).unwrap();
        fs::create_dir(dir.join("dst")).unwrap();
        fs::write(dir.join("src/large"), vec![7; 64 << 20]).unwrap();
    };
    std::thread::scope(|scope| {
        for way in ways::ALL {
            let options = ["-a", "--partial", "--bwlimit=500k", stop.trim()];
            scope.spawn(move || {
                ways::run(way, "", &options, prepare, |dir, run| {
                    let told =
                        "stopping at requested limit\nsluice error: timeout in data send/receive (code 30)\n";
                    assert_eq!(run.expect(30).errors(), told, "{way:?}");
                    let kept = fs::metadata(dir.join("dst/large")).unwrap().len();
                    assert!(0 < kept && kept < 64 << 20, "{way:?}: {kept}");
                });
            });
        }
    });
}
