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
mod built_tree;
mod known_difference;
mod oracle;
mod random_cases;
mod random_command;
mod random_options;
mod random_tree;
mod remote_shell;
mod requirement;
mod scratch_fs;
mod served;
mod under_test;
mod ways;

mod access;
mod basis;
mod changing;
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
mod daemon_password;
mod daemon_session;
mod delayed;
mod delete;
mod devices;
mod differential;
mod digest;
mod far_operands;
mod filter;
mod floors;
mod freeze;
mod generated;
mod hard_links;
mod hazard_inputs;
mod interrupt;
mod killed;
mod liar;
mod limits;
mod missing;
mod one_side;
mod operands;
mod options;
mod overlap;
mod owners;
mod peer;
mod peer_ends;
mod races;
mod reached;
mod report;
mod report_oracle;
mod report_remote;
mod selected;
mod sparse;
mod sshd;
mod stability;
mod stderr;
mod strace;
mod terminal;
mod wire;
