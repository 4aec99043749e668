//! `AskedLog`: the log that a server behind a remote shell keeps because its client asks for it (`-M --log-file`).

use std::sync::{Mutex, PoisonError};

use super::clock::Clock;
use super::complain;
use super::format::ITEMIZED;
use super::log::{self, Log};
use super::notes;
use super::reporting::Reporting;
use super::served_lines::ServedLines;
use super::stats::log_line;
use crate::event::Event;
use crate::path::{RelPath, operand};
use crate::session::Options;
use crate::session::watch::{LogFile, Watch};
use crate::wire::Role;

/// See the module.
pub struct AskedLog {
    /// `None` once it could not be written.
    log: Mutex<Option<Log>>,
    lines: ServedLines,
    entries: bool,
    /// What is told of without any option.
    levels: Reporting,
    clock: Clock,
}

impl std::fmt::Debug for AskedLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AskedLog")
    }
}

impl AskedLog {
    /// Opens the log of a session in which this side plays `role`, and writes its header.
    ///
    /// # Errors
    ///
    /// It cannot be opened: a text.
    pub fn begin(file: &LogFile, role: Role) -> Result<AskedLog, String> {
        let out = operand::append_file(&file.path).map_err(|e| e.to_string())?;
        let lines = ServedLines::new(file.format.as_deref().unwrap_or(ITEMIZED), &[], file.unchanged);
        let log = Mutex::new(Some(Log::new(Box::new(out))));
        let begun = AskedLog {
            log,
            lines,
            entries: file.entries,
            levels: Reporting::default(),
            clock: Clock::local(),
        };
        begun.line(log::started(role == Role::Receiver));
        Ok(begun)
    }

    /// Writes a record, at once: whoever reads it wants to know why a connection broke.
    pub fn line(&self, line: &[u8]) {
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(open) = &mut *log else { return };
        if let Err(e) = open.line(line).and_then(|()| open.flush()) {
            *log = None;
            complain(&format!("write the log: {e}; the rest of the run is not in it"));
        }
    }
}

impl Watch for AskedLog {
    fn refuses(&self, _: Role, _: &Options) -> Option<String> {
        None
    }

    fn refused(&self, why: &str) {
        self.line(format!("sluice: {why}").as_bytes());
    }

    fn happened(&self, _: &RelPath, event: &Event) {
        let line = match event {
            Event::Problem(problem) => Some(super::problem::line(problem)),
            Event::Item(item) if self.entries => self.lines.updated(item, &self.clock),
            Event::Deleted { path, kind, .. } if self.entries => {
                Some(self.lines.deleted(path, *kind, &self.clock))
            }
            Event::Item(_) | Event::Deleted { .. } => None,
            Event::Note(note) => notes::line(note, &self.levels),
        };
        if let Some(line) = line {
            self.line(&line);
        }
    }

    fn tells(&self, _: &Event) -> bool {
        true
    }

    fn ended(&self, sent: u64, received: u64, total: u64) {
        self.line(log_line(sent, received, total).as_bytes());
    }
}
