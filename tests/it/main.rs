//! One integration binary, a file per behaviour.
#![allow(clippy::disallowed_methods)] // the tests look at trees from outside, by path
#![allow(clippy::unwrap_used)] // a failure of the helpers is a failure of the test
#![allow(clippy::print_stdout, clippy::print_stderr)] // SKIP: why

/// The same cases, functions of a `&Place`, for one rung.
macro_rules! cases {
    ($rung:ident, $place:expr, [$($case:ident),* $(,)?]) => {
        mod $rung {
            use super::*;
            $(#[test]
            fn $case() {
                let Some(place) = $place else { return };
                super::$case(&place);
            })*
        }
    };
}

mod alone;
mod attached;
mod built_tree;
mod drained;
mod either_daemon;
mod far;
mod known_difference;
mod oracle;
mod random_cases;
mod random_command;
mod random_options;
mod random_tree;
mod remote_shell;
mod requirement;
mod scratch_fs;
mod scripted;
mod served;
mod under_test;
mod ways;

mod absolute_rules;
mod access;
mod asked_for;
mod bad_input;
mod basis;
mod batch;
mod changing;
mod changing_far;
mod chmod;
mod completion;
mod compress;
mod confine;
mod copy;
mod copy_as;
mod daemon_command;
mod daemon_confine;
mod daemon_connection;
mod daemon_escape;
mod daemon_memory;
mod daemon_password;
mod daemon_session;
mod delayed;
mod delete;
mod devices;
mod differential;
mod digest;
mod every_option;
mod fake_super;
mod far_operands;
mod fileflags;
mod filter;
mod floors;
mod freeze;
mod fuse;
mod generated;
mod gitignore;
mod hard_links;
mod hazard_inputs;
mod hostile;
mod idioms;
mod interrupt;
mod killed;
mod liar;
mod lies_of_a_receiver;
mod lies_of_a_sender;
mod limits;
mod line;
mod missing;
mod module_by_shell;
mod mounted_below;
mod namesakes;
mod never_listed;
mod one_side;
mod operands;
mod options;
mod overlap;
mod owners;
mod peer;
mod peer_ends;
mod races;
mod reached;
mod refused_options;
mod report;
mod report_oracle;
mod report_remote;
mod resumed;
mod scripts;
mod selected;
mod session_bytes;
mod session_probe;
mod sparse;
mod sshd;
mod stability;
mod stderr;
mod strace;
mod superuser;
mod terminal;
mod veth;
mod wide;
mod wire;
mod xattrs;
