//! Runs a part of this test binary in a process of its own that has one thread.
#![allow(unsafe_code)] // fork: the test runner has threads, and its child must not

use std::process::Command;

use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, fork};

/// The variable by which a test knows that it is to be the child of another.
pub const CHILD: &str = "SLUICE_TEST_CHILD";

/// The command that runs the test `name` (with its module) and nothing else, as a child.
#[must_use]
pub fn command(name: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", name, "--nocapture", "--test-threads=1"]).env(CHILD, name);
    command
}

/// In the process that [`command`] started, does `work` in a fork of it and exits; elsewhere does nothing.
pub fn if_child(name: &str, work: impl FnOnce() -> i32) {
    if std::env::var_os(CHILD).is_none_or(|child| child != name) {
        return;
    }
    // SAFETY: the other thread is the runner's and waits for this one; it holds no lock.
    match unsafe { fork() }.unwrap() {
        ForkResult::Child => {
            let code = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).unwrap_or(101);
            std::process::exit(code);
        }
        ForkResult::Parent { child } => match waitpid(child, None).unwrap() {
            WaitStatus::Exited(_, code) => std::process::exit(code),
            WaitStatus::Signaled(_, signal, _) => std::process::exit(128 + signal as i32),
            other => panic!("{other:?}"),
        },
    }
}
