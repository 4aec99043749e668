//! sluice: file sync with rsync's command line that leaves the bytes in the kernel.
#![allow(clippy::missing_errors_doc)]

pub mod event;

pub mod sys;

pub mod engine;
pub mod path;

pub mod plan;

pub mod apply;

pub mod session;

pub mod cli;
