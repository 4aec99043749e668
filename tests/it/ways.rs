//! The ways to run: on one machine, to and from another by a remote shell, to and from a daemon.

use std::ffi::OsString;
use std::path::Path;

use crate::remote_shell;
use crate::served::Served;
use crate::under_test::{self, Run};

/// How the two sides of a run are connected.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Way {
    /// Both in one process.
    Here,
    /// The destination behind a remote shell.
    ShellPush,
    /// The source behind a remote shell.
    ShellPull,
    /// The destination in a daemon's module.
    DaemonPush,
    /// The source in a daemon's module.
    DaemonPull,
}

/// All of them.
pub const ALL: [Way; 5] = [Way::Here, Way::ShellPush, Way::ShellPull, Way::DaemonPush, Way::DaemonPull];

/// Modules for both sides, with `more` in them.
fn modules(more: &str) -> String {
    let own = if crate::requirement::is_root() { "uid = root\ngid = root\n" } else { "" };
    let more = if more.contains("munge") { more.to_owned() } else { format!("munge symlinks = no\n{more}") };
    format!("use chroot = no\n{own}{more}\n[src]\npath = @/src\n[dst]\npath = @/dst\nread only = no\n")
}

/// Runs `options src/ dst/` in the way `way`, where `prepare` has made `src` and `dst` in a directory; `@/` in an
/// option is that. A daemon's modules have the parameters `module`. Then calls `check` with the directory.
pub fn run(
    way: Way,
    module: &str,
    options: &[&str],
    prepare: impl FnOnce(&Path),
    check: impl FnOnce(&Path, &Run),
) {
    let at = |dir: &Path| -> Vec<OsString> {
        let dir = format!("{}/", dir.display());
        options.iter().map(|option| option.replace("@/", &dir).into()).collect()
    };
    let with = |mut args: Vec<OsString>, operands: [&str; 2]| {
        args.extend(operands.map(OsString::from));
        args
    };
    if matches!(way, Way::DaemonPush | Way::DaemonPull) {
        let served = Served::new(&modules(module), prepare);
        let dir = served.at("");
        let operands =
            if way == Way::DaemonPush { ["src/", "localhost::dst/"] } else { ["localhost::src/", "dst/"] };
        let run = served.run(with(at(&dir), operands));
        return check(&dir, &run);
    }
    let scratch = tempfile::tempdir().unwrap();
    let dir = scratch.path();
    prepare(dir);
    let mut args = at(dir);
    let shell = |args: &mut Vec<OsString>| args.extend(remote_shell::to_itself(dir));
    let operands = match way {
        Way::ShellPush => {
            shell(&mut args);
            ["src/", "far:dst/"]
        }
        Way::ShellPull => {
            shell(&mut args);
            ["far:src/", "dst/"]
        }
        _ => ["src/", "dst/"],
    };
    let run = under_test::run(dir, with(args, operands));
    check(dir, &run);
}
