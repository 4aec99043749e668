//! `-e ssh host::module`: a daemon that a remote shell starts for one connection. The words that the shell gets, and
//! which user they name, are what rsync(1) says of "RSYNC-DAEMON FEATURES VIA A REMOTE-SHELL CONNECTION".

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::requirement::{Need, is_root, met};
use crate::served::{file, tree};
use crate::under_test::{Run, binary, command, copy_into, finish};
use crate::{remote_shell, sshd};

const CONF: &str = "conf";

/// A directory with a module `m` in `mod`, a source, and the configuration `conf` with `more` in the module.
fn there(more: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    file(at, "mod/f", "text");
    file(at, "src/g", "other");
    fs::create_dir(at.join("dst")).unwrap();
    let own = if is_root() { "uid = root\ngid = root\n" } else { "" };
    let at = at.display();
    let conf = format!(
        "use chroot = no\nlog file = {at}/log\n{own}[m]\ncomment = a place\npath = {at}/mod\nread only = no\n{more}"
    );
    fs::write(dir.path().join(CONF), conf).unwrap();
    dir
}

/// `--rsync-path`: the program with the configuration of `there`.
fn program(dir: &Path) -> OsString {
    let mut program = binary();
    program.push(" --config=");
    program.push(dir.join(CONF));
    program
}

fn run_with(dir: &Path, variables: &[(&str, &str)], args: &[&str]) -> Run {
    let mut run = command(&binary(), dir);
    run.env_remove("SSH_CONNECTION").envs(variables.iter().copied());
    run.args(remote_shell::options(dir, &program(dir))).args(args);
    finish(run)
}

fn run(dir: &Path, args: &[&str]) -> Run {
    run_with(dir, &[], args)
}

#[test]
fn modules_are_listed_pulled_from_and_pushed_to() {
    let dir = there("");
    let at = dir.path();
    assert_eq!(run(at, &["host::"]).expect(0).text(), "m              \ta place\n");
    assert_eq!(run(at, &["rsync://host/m"]).expect(0).text().lines().count(), 2);
    run(at, &["-a", "host::m/", "dst/"]).expect(0);
    assert_eq!(tree(&at.join("dst")), ["f: text"]);
    run(at, &["-a", "src/", "host::m/up/"]).expect(0);
    assert_eq!(tree(&at.join("mod/up")), ["g: other"]);
    let log = fs::read_to_string(at.join("log")).unwrap();
    assert!(log.contains("connect from 0.0.0.0"), "{log}");
    assert_eq!(run(at, &["-a", "host::m/", "dst/"]).expect(0).errors(), "", "the log is not for the client");
}

#[test]
fn what_cannot_be_is_told_to_the_client() {
    let dir = there("");
    let at = dir.path();
    let unknown = run(at, &["-a", "host::nosuch/", "dst/"]);
    assert!(unknown.expect(5).errors().contains("nosuch"), "{}", unknown.errors());
    fs::write(at.join(CONF), "[m]\nno such = 1\n").unwrap();
    let broken = run(at, &["-a", "host::m/", "dst/"]);
    assert!(broken.expect(5).errors().contains("conf line 2: unknown parameter"), "{}", broken.errors());
    let shell = |program: &str| {
        let mut run = command(&binary(), at);
        run.args(remote_shell::options(at, program.as_ref())).args(["-a", "host::m/", "dst/"]);
        finish(run)
    };
    let missing = shell("no-such-program");
    assert!(
        missing.expect(127).errors().contains("did not find \"no-such-program\""),
        "{}",
        missing.errors()
    );
    let stranger = shell("echo '@RSYNCD: 32.0' #");
    assert!(stranger.expect(12).errors().contains("rsync's own protocol"), "{}", stranger.errors());
    let waits = run(at, &["--contimeout=5", "-a", "host::m/", "dst/"]);
    assert!(waits.expect(1).errors().contains("--contimeout"), "{}", waits.errors());
}

#[test]
fn the_address_is_the_one_that_sshd_tells() {
    let dir = there("hosts allow = 192.0.2.7\n");
    let at = dir.path();
    run_with(at, &[("SSH_CONNECTION", "192.0.2.7 40000 192.0.2.1 22")], &["-a", "host::m/", "dst/"])
        .expect(0);
    assert_eq!(tree(&at.join("dst")), ["f: text"]);
    for other in ["192.0.2.8 40000 192.0.2.1 22", "nonsense", ""] {
        run_with(at, &[("SSH_CONNECTION", other)], &["-a", "host::m/", "dst/"]).expect(5);
    }
}

#[test]
fn a_module_can_ask_for_a_password() {
    let dir = there("auth users = joe\nsecrets file = @/secrets\n");
    let at = dir.path();
    let conf = fs::read_to_string(at.join(CONF)).unwrap().replace("@", &at.display().to_string());
    fs::write(at.join(CONF), conf).unwrap();
    for (name, text) in [("secrets", "joe:word\n"), ("right", "word\n"), ("wrong", "sword\n")] {
        fs::write(at.join(name), text).unwrap();
        fs::set_permissions(at.join(name), fs::Permissions::from_mode(0o600)).unwrap();
    }
    run(at, &["-a", "--password-file=wrong", "joe@host::m/", "dst/"]).expect(5);
    assert_eq!(tree(&at.join("dst")), [""; 0]);
    run(at, &["-a", "--password-file=right", "joe@host::m/", "dst/"]).expect(0);
    assert_eq!(tree(&at.join("dst")), ["f: text"]);
}

#[test]
fn the_shell_gets_the_user_unless_it_was_told_one() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    fs::write(at.join("words"), "echo \"$*\" > said; exit 1\n").unwrap();
    let said = |shell: &str, operand: &str, variables: &[(&str, &str)]| {
        let mut run = command(&binary(), at);
        run.envs(variables.iter().copied()).args([shell, "-a", operand, "dst/"]);
        finish(run);
        fs::read_to_string(at.join("said")).unwrap()
    };
    assert_eq!(said("--rsh=sh words", "joe@host::m/", &[]), "-l joe host sluice --server --daemon .\n");
    assert_eq!(
        said("--rsh=sh words -l ann", "joe@host::m/", &[]),
        "-l ann host sluice --server --daemon .\n"
    );
    assert_eq!(said("--rsh=sh words", "host::m/", &[]), "host sluice --server --daemon .\n");
    // For a path the operand's user is the shell's.
    assert_eq!(said("--rsh=sh words -l ann", "joe@host:m/", &[]), "-l ann -l joe host sluice --server .\n");
    fs::remove_file(at.join("said")).unwrap();
    let mut run = command(&binary(), at);
    run.env("RSYNC_RSH", "sh words").args(["-a", "--port=1", "localhost::m/", "dst/"]);
    assert!(finish(run).expect(10).errors().contains("port 1"), "the variable alone starts no shell");
    assert!(!at.join("said").exists());
}

#[test]
fn the_configuration_of_whoever_is_not_root_is_in_their_directory() {
    if !met(&[Need::Root, Need::Program("setpriv")]) {
        return;
    }
    let dir = there("");
    let at = dir.path();
    let program = copy_into(at);
    let home = "exec setpriv --reuid=65534 --regid=65534 --clear-groups sh -c \"$*\"\n";
    fs::write(at.join("home.sh"), format!("shift\ncd {}\n{home}", at.display())).unwrap();
    fs::set_permissions(at, fs::Permissions::from_mode(0o755)).unwrap();
    let shell = |operand: &str| {
        let mut run = command(&binary(), at);
        run.arg("--rsh=sh home.sh").arg(format!("--rsync-path={program}")).args(["-a", operand, "dst/"]);
        finish(run)
    };
    let absent = shell("host::m/");
    assert!(absent.expect(5).errors().contains("sluiced.conf"), "{}", absent.errors());
    fs::write(at.join("sluiced.conf"), format!("[m]\npath = {}/mod\n", at.display())).unwrap();
    shell("host::m/").expect(0);
    assert_eq!(tree(&at.join("dst")), ["f: text"]);
}

#[test]
fn through_a_real_sshd_it_is_the_same() {
    let Some(server) = sshd::Server::start() else { return };
    let dir = there("");
    let at = dir.path();
    // More than any buffer on the way holds, so that both ends have to wait.
    fs::write(at.join("mod/large"), vec![7; 9 << 20]).unwrap();
    let run = |args: &[&str]| {
        let mut options = server.options();
        options.pop();
        let mut path = OsString::from("--rsync-path=");
        path.push(program(at));
        let mut run = command(&binary(), at);
        run.args(options).arg(path).args(args);
        finish(run)
    };
    run(&["-a", "host::m/", "dst/"]).expect(0);
    assert_eq!(fs::read(at.join("dst/large")).unwrap(), fs::read(at.join("mod/large")).unwrap());
    assert_eq!(run(&["-ai", "host::m/", "dst/"]).expect(0).text(), "");
    run(&["-a", "--delete", "src/", "host::m/"]).expect(0);
    assert_eq!(tree(&at.join("mod")), ["g: other"]);
    assert!(fs::read_to_string(at.join("log")).unwrap().contains("connect from 127.0.0.1"));
}

#[test]
fn a_command_that_is_forced_says_what_it_serves() {
    let dir = there("");
    let at = dir.path();
    let forced = |command_line: &str, operand: &str| {
        fs::write(at.join("forced"), format!("exec {command_line}\n")).unwrap();
        let mut run = command(&binary(), at);
        run.args(["-a", "--rsh=sh forced", operand, "dst/"]);
        finish(run)
    };
    let program = binary().into_string().unwrap();
    let paths = forced(&format!("{program} --server ."), "host::m/");
    assert!(paths.expect(5).errors().contains("HOST:PATH"), "{}", paths.errors());
    let serves = format!("{program} --server --daemon --config={} .", at.join(CONF).display());
    let modules = forced(&serves, "host:m/");
    assert!(modules.expect(5).errors().contains("HOST::MODULE"), "{}", modules.errors());
    forced(&serves, "host::m/").expect(0);
    assert_eq!(tree(&at.join("dst")), ["f: text"]);
}
