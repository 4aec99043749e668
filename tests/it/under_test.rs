//! Runs the binary under test, or the one that it is compared with, and keeps what came of it.
//! `SLUICE_TEST_BIN` puts another program in the place of sluice: with `rsync` the tests of what both
//! promise must pass too.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::far;

/// The program that the tests are about.
#[must_use]
pub fn binary() -> OsString {
    std::env::var_os("SLUICE_TEST_BIN").unwrap_or_else(|| env!("CARGO_BIN_EXE_sluice").into())
}

/// Whether it is really sluice, so that what only sluice promises can be tested.
#[must_use]
pub fn is_sluice() -> bool {
    std::env::var_os("SLUICE_TEST_BIN")
        .is_none_or(|bin| Path::new(&bin).file_name() == Some(OsStr::new("sluice")))
}

/// A command for `program` in `dir`, with the surroundings fixed: locale, time zone, an empty home.
#[must_use]
pub fn command(program: &OsStr, dir: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(dir).stdin(Stdio::null());
    command.env("LC_ALL", "C.UTF-8").env("TZ", "UTC").env("HOME", "/nonexistent");
    let names =
        ["PARTIAL_DIR", "MAX_ALLOC", "ICONV", "RSH", "PROXY", "CONNECT_PROG", "SHELL", "COMPRESS_LIST"];
    for name in names.into_iter().chain(["PROTECT_ARGS", "OLD_ARGS", "CHECKSUM_LIST"]) {
        command.env_remove(format!("RSYNC_{name}")).env_remove(format!("SLUICE_{name}"));
    }
    command.env_remove("CVSIGNORE").env_remove("XDG_CONFIG_HOME");
    command
}

/// What a finished process left behind.
#[derive(Debug)]
pub struct Run {
    /// Its exit status; -1 when a signal ended it.
    pub code: i32,
    /// Standard output.
    pub out: Vec<u8>,
    /// Standard error.
    pub err: Vec<u8>,
}

impl Run {
    /// Standard output as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.out).into_owned()
    }

    /// Standard error as text.
    #[must_use]
    pub fn errors(&self) -> String {
        String::from_utf8_lossy(&self.err).into_owned()
    }

    /// Fails the test unless the exit status is `code`.
    #[track_caller]
    pub fn expect(&self, code: i32) -> &Run {
        assert_eq!(self.code, code, "exit status\n{}{}", self.text(), self.errors());
        self
    }
}

/// Runs a command to its end.
pub fn finish(mut command: Command) -> Run {
    let output = command.output().unwrap_or_else(|e| panic!("cannot run {command:?}: {e}"));
    Run { code: output.status.code().unwrap_or(-1), out: output.stdout, err: output.stderr }
}

/// Runs the program under test in `dir`.
pub fn run<A: AsRef<OsStr>>(dir: &Path, args: impl IntoIterator<Item = A>) -> Run {
    let mut command = command(&binary(), dir);
    command.args(far::sent(dir, args));
    finish(command)
}

/// Puts a copy of the program under test into `dir`, where anybody may run it: `./program-under-test`.
///
/// Another process writes it: a child that a thread of this one starts meanwhile would have it open for writing too, and
/// the kernel runs nothing that somebody may write (`ETXTBSY`).
pub fn copy_into(dir: &Path) -> &'static str {
    let copied = Command::new("cp").arg(binary()).arg(dir.join("program-under-test")).status().unwrap();
    assert!(copied.success());
    "./program-under-test"
}

/// Runs the program under test in `dir` with the rights of user and group 65534 and no others.
///
/// `dir` becomes searchable for everybody and gets a copy of the program: where cargo keeps it may
/// be closed to others.
pub fn run_as_nobody<A: AsRef<OsStr>>(dir: &Path, args: impl IntoIterator<Item = A>) -> Run {
    let mut program = binary();
    if Path::new(&program).components().count() > 1 {
        program = copy_into(dir).into();
    }
    fs::set_permissions(dir, fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = command(OsStr::new("setpriv"), dir);
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(program);
    command.args(far::sent(dir, args));
    finish(command)
}

/// Takes everybody's rights to a directory away.
pub fn lock(dir: &Path) {
    fs::set_permissions(dir, fs::Permissions::from_mode(0o0)).unwrap();
}
