//! What scripts build by hand around such a program: exit codes, a lock, another try, defaults.
#![allow(clippy::disallowed_methods, clippy::unwrap_used)] // a test looks at files by path

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use nix::fcntl::{Flock, FlockArg};

use crate::remote_shell;
use crate::requirement::{self, Need};
use crate::served::{Served, file, tree};
use crate::under_test::{Run, binary, command, copy_into, finish, run};

/// A scratch directory with a source `s` of one file, `s/f`.
fn scratch() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    file(dir.path(), "s/f", "text");
    dir
}

fn line(dir: &Path, line: &str) -> Run {
    run(dir, line.split_whitespace())
}

/// The lock that another run would have.
fn locked(dir: &Path) -> Flock<File> {
    Flock::lock(File::open(dir).unwrap(), FlockArg::LockExclusiveNonblock).unwrap()
}

#[test]
fn extended_exit_codes_say_that_nothing_had_to_be_done() {
    let dir = scratch();
    let at = dir.path();
    line(at, "-an --exit-codes=extended s/ d/").expect(0);
    line(at, "-a --exit-codes=extended s/ d/").expect(0);
    line(at, "-a --exit-codes=extended s/ d/").expect(41);
    line(at, "-an --exit-codes=extended s/ d/").expect(41);
    line(at, "-a s/ d/").expect(0);
    fs::write(at.join("d/more"), "").unwrap();
    fs::File::open(at.join("d"))
        .unwrap()
        .set_modified(fs::metadata(at.join("s")).unwrap().modified().unwrap())
        .unwrap();
    line(at, "-an --delete --exit-codes=extended s/ d/").expect(0);
    line(at, "-a --exit-codes=extended s/").expect(0);
    line(at, "-a --exit-codes=extended s/missing d/").expect(23);
    line(at, "-a --exit-codes=other s/ d/").expect(1);
}

#[test]
fn extended_exit_codes_say_that_zero_copy_was_not_met() {
    let Ok(dir) = tempfile::tempdir_in("/dev/shm") else {
        return crate::requirement::skip("no /dev/shm");
    };
    let at = dir.path();
    file(at, "s/f", "text");
    line(at, "-a --reflink=always --exit-codes=extended s/ d/").expect(44);
    line(at, "-a --reflink=always s/ d/").expect(23);
}

#[test]
fn a_destination_that_another_run_has_is_left_alone() {
    let dir = scratch();
    let at = dir.path();
    fs::create_dir(at.join("d")).unwrap();
    let lock = locked(&at.join("d"));
    let refused = line(at, "-a --lock s/ d/");
    refused.expect(40);
    assert!(
        refused.errors().contains("lock \"d/\": another run has this destination"),
        "{}",
        refused.errors()
    );
    line(at, "-a --lock s/f d/g").expect(40);
    assert_eq!(tree(&at.join("d")), [""; 0]);
    line(at, "-a s/ d/").expect(0);
    drop(lock);
    line(at, "-a --lock s/ d/").expect(0);
    line(at, "-a --lock s/ new/").expect(0);
}

#[test]
fn a_run_waits_for_the_lock_if_it_is_told_to() {
    let dir = scratch();
    let at = dir.path();
    fs::create_dir(at.join("d")).unwrap();
    let lock = locked(&at.join("d"));
    let mut child = command(&binary(), at)
        .args(["-a", "--lock=wait", "s/", "d/"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut said).unwrap();
    assert_eq!(said, "waiting for another run to d/\n");
    assert_eq!(tree(&at.join("d")), [""; 0]);
    drop(lock);
    assert!(child.wait().unwrap().success());
    assert_eq!(tree(&at.join("d")), ["f: text"]);
}

#[test]
fn the_lock_is_taken_where_the_destination_is() {
    let dir = scratch();
    let at = dir.path();
    fs::create_dir(at.join("d")).unwrap();
    let lock = locked(&at.join("d"));
    let [rsh, path] = remote_shell::to_itself(at);
    let push = || {
        [OsStr::new("-a"), OsStr::new("--lock"), &rsh, &path, OsStr::new("s/"), OsStr::new("far:d/")]
            .map(OsStr::to_owned)
    };
    run(at, push()).expect(40);
    let pull = [OsStr::new("-a"), OsStr::new("--lock"), &rsh, &path, OsStr::new("far:s/"), OsStr::new("d/")];
    run(at, pull).expect(40);
    assert_eq!(tree(&at.join("d")), [""; 0]);
    drop(lock);
    run(at, push()).expect(0);
    assert_eq!(tree(&at.join("d")), ["f: text"]);
}

#[test]
fn a_daemon_locks_its_destination_unless_its_module_refuses_to() {
    let own = if crate::requirement::is_root() { "uid = root\ngid = root\n" } else { "" };
    let modules = format!(
        "[m]\npath = @/m\nread only = no\nuse chroot = no\n{own}\
         [n]\npath = @/m\nread only = no\nuse chroot = no\nrefuse options = lock\n{own}"
    );
    let served = Served::new(&modules, |at| {
        file(at, "s/f", "text");
        fs::create_dir(at.join("m")).unwrap();
    });
    let lock = locked(&served.at("m"));
    served.run(["-a", "--lock", "s/", "localhost::m/"]).expect(40);
    served.run(["-a", "--lock", "s/", "localhost::n/"]).expect(4);
    assert_eq!(tree(&served.at("m")), [""; 0]);
    drop(lock);
    served.run(["-a", "--lock", "s/", "localhost::m/"]).expect(0);
    assert_eq!(tree(&served.at("m")), ["f: text"]);
}

/// A remote shell named `name` that does `first` the first time, notes its arguments, and works from then on.
fn failing_once(dir: &Path, name: &str, first: &str) -> String {
    let script = dir.join(name);
    let text = format!(
        "#!/bin/sh\necho \"$@\" >> {0}/args\nwhile :; do case $1 in -*) shift ;; *) break ;; esac; done\nshift\n\
         if [ ! -e {0}/been ]; then : > {0}/been; {first}; fi\nexec sh -c \"$*\"\n",
        dir.display()
    );
    fs::write(&script, text).unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    script.display().to_string()
}

fn pull(dir: &Path, shell: &str, retry: &str) -> Run {
    let program = format!("--rsync-path={}", Path::new(&binary()).display());
    run(dir, ["-a", &format!("--rsh={shell}"), &program, retry, "far:s/", "d/"])
}

#[test]
fn a_connection_that_breaks_is_made_again_with_what_is_left_to_do() {
    for (first, code) in [("exit 255", 255), ("sh -c \"$*\" | dd bs=1 count=250000 2>&-; exit 255", 12)] {
        let dir = tempfile::tempdir().unwrap();
        file(dir.path(), "s/f", &"x".repeat(200_000));
        file(dir.path(), "s/g", &"y".repeat(200_000));
        let shell = failing_once(dir.path(), "shell", first);
        pull(dir.path(), &shell, "--retry=0").expect(code);
        fs::remove_file(dir.path().join("been")).unwrap();
        let again = pull(dir.path(), &shell, "--retry=1");
        again.expect(0);
        assert!(again.errors().contains("sluice: trying again in 1 s (1 of 1)\n"), "{}", again.errors());
        assert_eq!(tree(&dir.path().join("d")), tree(&dir.path().join("s")));
    }
}

#[test]
fn what_is_no_broken_connection_is_not_tried_again() {
    for (first, code) in [("exit 127", 127), ("echo hello; exec cat > /dev/null", 12)] {
        let dir = scratch();
        let shell = failing_once(dir.path(), "shell", first);
        let run = pull(dir.path(), &shell, "--retry=3");
        run.expect(code);
        assert!(!run.errors().contains("trying again"), "{}", run.errors());
    }
}

#[test]
fn ssh_is_told_not_to_ask_when_the_connection_is_made_again() {
    let dir = scratch();
    let shell = failing_once(dir.path(), "ssh", "exit 255");
    pull(dir.path(), &shell, "--retry=1").expect(0);
    let args = fs::read_to_string(dir.path().join("args")).unwrap();
    let batch: Vec<bool> = args.lines().map(|line| line.starts_with("-oBatchMode=yes ")).collect();
    assert_eq!(batch, [false, true], "{args}");
}

#[test]
fn a_daemon_that_is_not_there_yet_is_tried_again() {
    let dir = scratch();
    let port = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
    let gone = run(dir.path(), ["-a", "--retry=1", "s/", &format!("sluice://127.0.0.1:{port}/m/")]);
    gone.expect(10);
    assert!(gone.errors().contains("trying again in 1 s (1 of 1)"), "{}", gone.errors());
    let refused = line(dir.path(), "-a --delete --retry=1 --max-delete=3 s/ h:d");
    refused.expect(1);
    assert!(refused.errors().contains("--retry cannot be used with --max-delete"), "{}", refused.errors());
}

/// A home whose configuration is `text`.
fn configured(text: &str) -> tempfile::TempDir {
    let home = scratch();
    file(home.path(), "cfg/sluice/config", text);
    file(home.path(), "s/a.o", "");
    home
}

fn with_config(home: &tempfile::TempDir, line: &str) -> Run {
    let mut command = command(&binary(), home.path());
    command.env("XDG_CONFIG_HOME", home.path().join("cfg")).args(line.split_whitespace());
    finish(command)
}

#[test]
fn a_home_that_is_closed_to_the_user_has_no_configuration() {
    if !requirement::met(&[Need::OtherUser]) {
        return;
    }
    let dir = scratch();
    let home = dir.path().join("home");
    file(&home, ".config/sluice/config", "--no-such-option\n");
    let program = copy_into(dir.path());
    let run = |mode: u32| {
        fs::set_permissions(&home, fs::Permissions::from_mode(mode)).unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let mut command = command("setpriv".as_ref(), dir.path());
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups", program]);
        command.env("HOME", &home).args(["-n", "s/"]);
        finish(command)
    };
    run(0o700).expect(0);
    let obeyed = run(0o755);
    obeyed.expect(1);
    assert!(obeyed.errors().contains("no-such-option"), "{}", obeyed.errors());
}

#[test]
fn the_configuration_sets_defaults_under_what_is_typed() {
    let home =
        configured("# mine\n-i\n--exclude=*.o\n--delete-after\n\n[quiet]\n--no-i\n[all]\n--include '*.o'\n");
    let shown = |line: &str| {
        let run = with_config(&home, line);
        run.expect(0);
        run.text()
    };
    fs::create_dir(home.path().join("d")).unwrap();
    assert_eq!(shown("-rn s/ d/"), ">f+++++++++ f\n");
    assert_eq!(shown("-rn --no-config s/ d/"), "");
    assert_eq!(shown("-rn --profile=quiet s/ d/"), "");
    assert_eq!(shown("-rn --include=*.o s/ d/"), ">f+++++++++ a.o\n>f+++++++++ f\n");
    assert_eq!(shown("-rn --delete-before s/ d/"), shown("-rn s/ d/"), "what is typed replaces a default");
    fs::create_dir_all(home.path().join(".config/sluice")).unwrap();
    fs::write(home.path().join(".config/sluice/config"), "-v\n").unwrap();
    let mut command = command(&binary(), home.path());
    command.env("HOME", home.path()).args(["-rn", "s/", "d/"]);
    assert!(finish(command).text().starts_with("sending incremental file list\n"));
}

#[test]
fn a_bad_line_of_the_configuration_is_named_before_anything_is_touched() {
    for (text, line, what) in [
        ("-a\nsrc\n", 2, "this is no option"),
        ("--foo\n", 1, "--foo: unknown option"),
        ("--max-size=x", 1, "--max-size=x is invalid"),
        ("-a dir\n", 1, "-a takes no value"),
        ("--daemon\n", 1, "--daemon is for the command line only"),
        ("--help\n", 1, "--help is for the command line only"),
        ("--profile=x\n", 1, "--profile=x is for the command line only"),
        ("[p]\n--suffix\n", 2, "--suffix: missing argument"),
        ("[p]\n[p]\n", 2, "[p] is there already"),
    ] {
        let home = configured(text);
        let run = with_config(&home, "-a s/ d/");
        run.expect(1);
        let place = format!("{}:{line}: {what}", home.path().join("cfg/sluice/config").display());
        assert!(run.errors().contains(&place), "{place}: {}", run.errors());
        assert!(!home.path().join("d").exists());
        with_config(&home, "-a --no-config s/ d/").expect(0);
    }
}

#[test]
fn a_profile_that_is_not_there_is_an_error() {
    let home = configured("[p]\n-v\n");
    for (line, what) in [
        ("-a --profile=q s/ d/", "--profile=q: there is no [q] in "),
        ("-a --profile=p --no-config s/ d/", "--profile cannot be used with --no-config"),
    ] {
        let run = with_config(&home, line);
        run.expect(1);
        assert!(run.errors().contains(what), "{}", run.errors());
    }
    fs::remove_file(home.path().join("cfg/sluice/config")).unwrap();
    with_config(&home, "-a --profile=p s/ d/").expect(1);
    with_config(&home, "-a s/ d/").expect(0);
}

#[test]
fn a_configuration_that_others_may_write_is_not_obeyed() {
    let home = configured("-v\n");
    let path = home.path().join("cfg/sluice/config");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o646)).unwrap();
    let run = with_config(&home, "-a s/ d/");
    run.expect(1);
    assert!(run.errors().contains("others may write it"), "{}", run.errors());
}

#[test]
fn neither_a_daemon_nor_the_servers_side_reads_the_configuration() {
    let home = configured("--nonsense\n");
    let server = Command::new(binary())
        .arg("--server")
        .env("XDG_CONFIG_HOME", home.path().join("cfg"))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(!String::from_utf8_lossy(&server.stderr).contains("nonsense"));
    with_config(&home, "--daemon --no-detach --config=/nonexistent").expect(1);
    let daemon = with_config(&home, "--daemon --no-detach --config=/nonexistent");
    assert!(!daemon.errors().contains("nonsense"), "{}", daemon.errors());
    assert_eq!(with_config(&home, "--version").code, 0);
}
