//! FLOOR 6: the command line. The only room that knows a terminal, the environment and exit statuses.

pub mod age;
pub mod asked;
pub mod asked_log;
pub mod batch;
pub mod checksums;
pub mod clock;
pub mod company;
pub mod complete;
pub mod compress;
pub mod conf_manual;
pub mod config;
pub mod console;
pub mod conversation;
pub mod daemon;
pub mod entry;
pub mod exit;
pub mod far;
pub mod flag;
pub mod flags;
pub mod format;
pub mod gauge;
pub mod generate;
pub mod help;
pub mod json;
pub mod later;
pub mod list;
pub mod log;
pub mod manual;
pub mod notes;
pub mod number;
pub mod object;
pub mod operand;
pub mod order;
pub mod owners;
pub mod parse;
pub mod password;
pub mod patient;
pub mod printable;
pub mod problem;
pub mod progress;
pub mod remote;
pub mod report;
pub mod reporting;
pub mod resolve;
pub mod retry;
pub mod rules;
pub mod served_lines;
pub mod signalled;
pub mod size;
pub mod stats;
pub mod stop_at;
pub mod terminal;
pub mod typed;
pub mod value;
pub mod version;
pub mod vocabulary;
pub mod warden;
pub mod words;

#[cfg(test)]
mod sample;

use std::ffi::OsStr;
use std::io::{self, IsTerminal as _, Read as _, Write};
use std::os::fd::AsFd;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context as _;

use crate::event::Meter;
use crate::path::operand as operands;
use crate::plan::{Delete, munge};
use crate::process::ids::Identity;
use crate::session::local;

use console::Outputs;
use exit::Status;
use patient::Patient;
use report::{Listing, Reporter};
use signalled::Signalled;

pub use parse::{Parsed, UsageError, parse};
pub use resolve::{Run, World};

/// The largest file of rules or names that is read, in bytes. A guess: tens of millions of names.
const LIST_LIMIT: usize = 4 << 30;

/// Runs the command line of this process and returns its exit status.
#[must_use]
pub fn run() -> ExitCode {
    // A thread that ended in a bug would be waited for without end.
    let told = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |bug| {
        told(bug);
        std::process::abort();
    }));
    let began = Instant::now();
    // As long as there is one thread.
    let _kept = operands::umask();
    let mut words = std::env::args_os().skip(1);
    if words.next().is_some_and(|word| word == "--server") && words.all(|word| word == ".") {
        return remote::serve();
    }
    if std::env::args_os().nth(1).is_some_and(|first| first == "--complete") {
        return complete::remote::run(std::env::args_os().skip(2).collect());
    }
    let variable = |name: &str| std::env::var_os(name);
    let bound = &crate::session::remote::bound;
    let world = World { read: &read, bound, variable: &variable, now: began };
    match parse(std::env::args_os().skip(1), &world) {
        Ok(Parsed::Print(text)) => match io::stdout().write_all(text.as_bytes()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::from(Status::Diagnostics.code()),
        },
        Ok(Parsed::Run(run)) => transfer(&run, began).unwrap_or_else(|error| {
            complain(&format!("{error:#}"));
            ExitCode::from(Status::FileIo.code())
        }),
        Ok(Parsed::Daemon(options)) => daemon::run(&options, &conversation::begin),
        Err(error) => {
            complain(&error.to_string());
            ExitCode::from(error.status)
        }
    }
}

fn complain(message: &str) {
    // Nothing is left to tell if standard error is closed.
    let _unheard = writeln!(io::stderr(), "sluice: {message}");
}

fn transfer(run: &Run, began: Instant) -> anyhow::Result<ExitCode> {
    let Run { options, reporting, copy_as, peer, .. } = run;
    let meter = Arc::new(Meter::default());
    let signalled = Signalled::watch(&meter).context("register signal handlers")?;
    let log: Option<Box<dyn Write + Send>> = match &reporting.log_file {
        Some(path) => Some(Box::new(operands::append_file(path)?)),
        None => None,
    };
    let to_stderr = reporting.to_stderr;
    let stdout = if to_stderr { unbuffered(io::stderr())? } else { unbuffered(io::stdout())? };
    let outputs = Outputs {
        stdout: Box::new(Patient::new(stdout, Arc::clone(&meter.stop))),
        stderr: Box::new(Patient::new(unbuffered(io::stderr())?, Arc::clone(&meter.stop))),
        log,
        terminal: if to_stderr { io::stderr().is_terminal() } else { io::stdout().is_terminal() },
    };
    let reporter = Reporter::new(reporting, Arc::clone(&meter), signalled.clone(), outputs);
    let plan = &options.plan;
    let listing = match plan.delete {
        _ if !plan.recursive && !plan.dirs => Listing::Operands,
        Delete::Before | Delete::After => Listing::Complete,
        _ if plan.prune_empty_dirs
            || !plan.recursive
            || reporting.whole_list
            || options.apply.delay_updates =>
        {
            Listing::Complete
        }
        _ => Listing::Incremental,
    };
    reporter.start(listing);
    if (plan.links.munge || plan.links.unmunge) && munge::is_unsafe() {
        complain(crate::session::MUNGING_IS_UNSAFE);
        return Ok(ExitCode::from(4));
    }
    if peer.is_none()
        && let Some(Err(why)) = copy_as.as_ref().map(Identity::assume)
    {
        complain(&format!("--copy-as: {why}"));
        return Ok(ExitCode::from(Status::Usage.code()));
    }
    if let Some(file) = &run.read_batch {
        return Ok(batch::read(run, file, &meter, &reporter, began));
    }
    if let Some(peer) = peer {
        return Ok(retry::run(run, peer, &meter, &signalled, &reporter, began));
    }
    if options.record.is_some() {
        return Ok(batch::write(run, &meter, &reporter, began));
    }
    match local::run(options, &meter, &reporter) {
        Ok(summary) => Ok(remote::finish(&reporter, &summary, began)),
        Err(message) => {
            complain(&message);
            Ok(ExitCode::from(Status::Usage.code()))
        }
    }
}

fn unbuffered(stream: impl AsFd) -> anyhow::Result<std::fs::File> {
    let own = stream.as_fd().try_clone_to_owned().context("open standard output or error")?;
    Ok(own.into())
}

/// Reads a file that an option names; `-` is standard input.
fn read(path: &OsStr) -> io::Result<Vec<u8>> {
    if path != "-" {
        return operands::read_file(path, LIST_LIMIT).map_err(|e| {
            let error = io::Error::from(e.source);
            match e.advice() {
                Some(advice) => io::Error::new(error.kind(), format!("{error}; {advice}")),
                None => error,
            }
        });
    }
    let mut contents = Vec::new();
    io::stdin().read_to_end(&mut contents)?;
    Ok(contents)
}
