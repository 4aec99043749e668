//! FLOOR 6: the command line.

pub mod reporting;

use std::process::ExitCode;

/// Runs the command line of this process and returns its exit status.
#[must_use]
pub fn run() -> ExitCode {
    ExitCode::from(1)
}
