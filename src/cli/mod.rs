//! FLOOR 6: the command line.

pub mod complete;
pub mod flag;
pub mod flags;
pub mod generate;
pub mod help;
pub mod later;
pub mod manual;
pub mod operand;
pub mod order;
pub mod parse;
pub mod reporting;
pub mod resolve;
pub mod rules;
pub mod size;
pub mod typed;
pub mod value;
pub mod version;
pub mod words;

use std::io::{self, Write as _};
use std::process::ExitCode;
use std::time::Instant;

pub use parse::{Parsed, UsageError, parse};
pub use resolve::{Run, World};

/// Runs the command line of this process and returns its exit status.
#[must_use]
pub fn run() -> ExitCode {
    let read = |_: &std::ffi::OsStr| Err(io::ErrorKind::Unsupported.into());
    let (home, cvsignore) = (std::env::var_os("HOME"), std::env::var_os("CVSIGNORE"));
    let world = World { read: &read, home, cvsignore, now: Instant::now() };
    match parse(std::env::args_os().skip(1), &world) {
        Ok(Parsed::Print(text)) => match io::stdout().write_all(text.as_bytes()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::from(11),
        },
        Ok(Parsed::Run(_)) => ExitCode::from(1),
        Err(error) => {
            // Nothing is left to tell if standard error is closed.
            let _ = writeln!(io::stderr(), "sluice: {error}");
            ExitCode::from(error.status)
        }
    }
}
