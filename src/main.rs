//! The `sluice` command: everything happens in [`sluice::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    sluice::cli::run()
}
