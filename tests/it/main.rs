//! One integration binary, a file per behaviour.
#![allow(clippy::disallowed_methods)] // the tests look at trees from outside, by path

mod floors;

mod oracle;
mod random_tree;
mod requirement;
mod under_test;

mod differential;
