//! The way in: arguments → a run, or a text to print.

use std::ffi::OsString;

use super::resolve::{Run, World, resolve};
use super::{config, generate, help, order, version, words};

/// What the arguments ask for.
#[derive(Clone, Debug)]
pub enum Parsed {
    /// A run.
    Run(Box<Run>),
    /// A daemon.
    Daemon(Box<super::daemon::Options>),
    /// A text on standard output, and exit 0: `--help`, `--version`, `--generate`, `--info=help`.
    Print(String),
}

/// Why nothing is done: a line for standard error, without the program's name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UsageError {
    /// What is wrong.
    pub message: String,
    /// The exit status.
    pub status: u8,
}

impl UsageError {
    /// A mistake on the command line: exit 1.
    #[must_use]
    pub fn new(message: impl Into<String>) -> UsageError {
        UsageError { message: message.into(), status: 1 }
    }
}

impl std::fmt::Display for UsageError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for UsageError {}

/// Parses arguments, the first of which is the first behind the program's name.
///
/// # Errors
///
/// [`UsageError`]; nothing was touched.
pub fn parse(args: impl IntoIterator<Item = OsString>, world: &World<'_>) -> Result<Parsed, UsageError> {
    let args: Vec<OsString> = args.into_iter().collect();
    if args.len() == 1 && args[0] == "-h" {
        return Ok(Parsed::Print(help::text()));
    }
    let (typed, operands) = order::parse(&args)?;
    if typed.help {
        return Ok(Parsed::Print(help::text()));
    }
    if let Some(page) = typed.generate {
        return Ok(Parsed::Print(generate::page(page)));
    }
    if typed.version > 0 {
        return match typed.version {
            1 => Ok(Parsed::Print(version::plain())),
            _ => version::json().map(Parsed::Print).map_err(|e| UsageError::new(e.to_string())),
        };
    }
    if words::asks_help(&typed.info) {
        return Ok(Parsed::Print(words::info_help()));
    }
    if words::asks_help(&typed.debug) {
        return Ok(Parsed::Print(words::debug_help()));
    }
    let daemon = &typed.daemon;
    if daemon.daemon {
        // The dot behind --server stands for what the connection says.
        let stands_for_all = daemon.server && operands == ["."];
        if !operands.is_empty() && !stands_for_all {
            return Err(UsageError::new("--daemon takes no sources and no destination"));
        }
        if daemon.config.is_some() && !daemon.modules.is_empty() {
            return Err(UsageError::new("--config and --module exclude each other"));
        }
        // A daemon has no other side: its -M is --dparam, as with rsync.
        let overrides = [&typed.remote[..], &daemon.overrides].concat();
        if !overrides.is_empty() && !daemon.modules.is_empty() {
            return Err(UsageError::new("--dparam and --module exclude each other"));
        }
        let log_file = typed.reporting.log_file.clone();
        let options = super::daemon::Options { log_file, overrides, ..daemon.clone() };
        return Ok(Parsed::Daemon(Box::new(options)));
    }
    let client = super::daemon::Options { address: daemon.address, port: daemon.port, ..Default::default() };
    if *daemon != client {
        return Err(UsageError::new(
            "--config, --dparam, --module, --no-detach and --server go with --daemon",
        ));
    }
    let mut typed = config::under(typed, &args, world)?;
    if typed.batch.write.is_some() {
        typed.batch.words = order::words(&args)?;
    }
    resolve(typed, operands, world).map(|run| Parsed::Run(Box::new(run)))
}
