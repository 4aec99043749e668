//! One integration binary, a file per behaviour.
#![allow(clippy::disallowed_methods)] // the tests look at trees from outside, by path
#![allow(clippy::unwrap_used)] // a failure of the helpers is a failure of the test
#![allow(clippy::print_stderr)] // SKIP: why

mod cases;
mod oracle;
mod random_tree;
mod requirement;
mod under_test;

mod chmod;
mod confine;
mod delete;
mod differential;
mod filter;
mod floors;
mod hazard_inputs;
mod interrupt;
mod stability;
mod strace;
