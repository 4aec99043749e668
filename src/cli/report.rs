//! `Reporter`: turns the events of a run into rsync's lines, and into the exit status.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::event::{Cause, Event, Item, Meter, Note, Observer, Problem, Severity, Stats, Update};
use crate::path::Kind;

use super::clock::Clock;
use super::console::{Console, Outputs};
use super::exit::Status;
use super::format::{Format, ITEMIZED, NAME, Subject, short_name};
use super::json;
use super::ledger_shim::LedgerSnapshot;
use super::number::Human;
use super::progress::{Progress, file_line};
use super::reporting::Reporting;
use super::stats::Figures;
use super::{list, log, notes};

/// Tells a run: lines to standard output, problems to standard error, both to the log.
///
/// Made before the run, given to it as its [`Observer`], and asked by [`Reporter::finish`] for the
/// statistics and the exit status. A standard output that takes no more never stops a transfer, as with
/// rsync; it does stop a dry run and a listing, which have no other purpose.
pub struct Reporter {
    reporting: Reporting,
    human: Human,
    clock: Clock,
    /// The line of a changed entry.
    format: Format,
    log_format: Format,
    meter: Arc<Meter>,
    console: Arc<Mutex<Console>>,
    progress: Progress,
    tally: Mutex<Tally>,
}

/// What is counted over a run.
#[derive(Default)]
struct Tally {
    worst: Option<Severity>,
    /// Files whose transfer was told, for `xfr#`.
    transfers: u64,
    /// When the last transfer was told, for its rate.
    last_transfer: Option<std::time::Instant>,
    /// The run was asked to stop because nobody reads what it says.
    output_closed: bool,
}

impl Reporter {
    /// Prepares to report to `outputs`; `meter` is the run's.
    #[must_use]
    pub fn new(reporting: &Reporting, meter: Arc<Meter>, outputs: Outputs) -> Reporter {
        let human = Human::level(reporting.human);
        let wants_progress = !reporting.quiet && !reporting.json && !reporting.list_only;
        let level =
            if wants_progress { reporting.info.progress.max(u8::from(reporting.progress)) } else { 0 };
        let terminal = outputs.terminal;
        let console = Arc::new(Mutex::new(Console::new(outputs, level > 0, reporting.eight_bit)));
        let progress = Progress::start(level, terminal, human, &meter, &console);
        Reporter {
            human,
            clock: Clock::local(),
            format: Format::parse(reporting.out_format.as_deref().unwrap_or(NAME)),
            log_format: Format::parse(reporting.log_file_format.as_deref().unwrap_or(ITEMIZED)),
            meter,
            console,
            progress,
            tally: Mutex::new(Tally::default()),
            reporting: reporting.clone(),
        }
    }

    /// Writes what comes before the first entry.
    pub fn start(&self) {
        self.write(|console| console.log(log::STARTED));
        if self.reporting.json {
            self.write(|console| console.verbatim(&json::start(self.reporting.dry_run)));
        } else if self.reporting.info.flist >= 1 {
            self.out(b"sending incremental file list");
        }
    }

    /// Writes the statistics and the closing line, and says how the run ended.
    ///
    /// `ended` is why it ended before its work was done (a signal, a deadline), if it did; `elapsed` is
    /// its duration. Statistics follow a run that went through, with or without problems.
    #[must_use]
    pub fn finish(
        &self,
        ended: Option<Status>,
        stats: &Stats,
        ledger: &LedgerSnapshot,
        elapsed: Duration,
    ) -> Status {
        self.progress.finish();
        let tally = lock(&self.tally);
        let ended = ended.filter(|_| !tally.output_closed);
        let mut status = ended.or(tally.worst.map(Status::of)).unwrap_or(Status::Success);
        let through = ended.is_none() && tally.worst.is_none_or(|worst| worst < Severity::FileIo);
        drop(tally);
        let moved = self.meter.bytes_done.load(Ordering::Relaxed);
        let figures = Figures { stats, ledger, moved, elapsed, dry_run: self.reporting.dry_run };
        let mut console = lock(&self.console);
        console.flush();
        let failures = console.failures();
        if !failures.is_empty() && status == Status::Success {
            status = Status::Diagnostics;
        }
        drop(console);
        for (what, error) in failures {
            self.err(format!("sluice: write to {what}: {error}").as_bytes());
        }
        if self.reporting.json {
            self.json(&json::summary(&figures, status));
        }
        if through {
            self.statistics(&figures);
        }
        if let Some(line) = status.closing_line() {
            self.err(line.as_bytes());
        }
        lock(&self.console).flush();
        status
    }

    fn statistics(&self, figures: &Figures<'_>) {
        let level = self.reporting.info.stats.max(self.reporting.stats);
        let mut told = Vec::new();
        if level >= 2 {
            told.push(String::new());
            told.extend(figures.block(self.human, level >= 3));
        }
        if level >= 1 {
            told.push(String::new());
            told.extend(figures.closing(self.human));
        } else {
            let line = figures.log_line();
            self.write(|console| console.log(line.as_bytes()));
        }
        for line in told {
            self.show(line.as_bytes());
            if !line.is_empty() {
                self.write(|console| console.log(line.as_bytes()));
            }
        }
    }

    fn item(&self, item: &Item) {
        let subject = Subject::Item(item);
        let Reporting { info, itemize, .. } = &self.reporting;
        let all = *itemize >= 2 || info.name >= 2;
        if !self.log_format.is_empty() && (all || !unchanged(item)) {
            self.log_format_line(subject);
        }
        if self.reporting.json {
            if all || !unchanged(item) {
                self.json(&json::item(item));
            }
            return;
        }
        if self.reporting.list_only {
            self.show(&list::line(item, self.human, &self.clock));
            return;
        }
        let itemizes = self.format.has(b'i');
        let formatted = self.reporting.out_format.is_some();
        let mut line = Vec::new();
        if unchanged(item) {
            if itemizes && all {
                line = self.format.render(subject, &self.clock);
            } else if !itemizes && info.name >= 2 && item.attrs.kind != Kind::Dir {
                short_name(&mut line, subject);
                line.extend_from_slice(b" is uptodate");
            } else {
                return;
            }
        } else if itemizes || (significant(item) && (formatted || info.name >= 1)) {
            line = self.format.render(subject, &self.clock);
        } else if info.name >= 2 {
            short_name(&mut line, subject);
        } else {
            return self.transferred(item);
        }
        self.show(&line);
        self.transferred(item);
    }

    /// The line of `--progress` for a file, where no bar shows it.
    fn transferred(&self, item: &Item) {
        let moved = matches!(item.change.update, Update::Received | Update::Sent);
        if !moved || item.attrs.kind != Kind::File || self.reporting.dry_run {
            return;
        }
        let now = std::time::Instant::now();
        let mut tally = lock(&self.tally);
        tally.transfers += 1;
        let since = tally.last_transfer.replace(now).map(|last| now - last).unwrap_or_default();
        let transfers = tally.transfers;
        drop(tally);
        if self.progress.wants_file_lines() {
            let line = file_line(item.attrs.size, since, transfers, self.human, &self.meter);
            self.show(line.as_bytes());
        }
    }

    fn deleted(&self, subject: Subject<'_>) {
        if !self.log_format.is_empty() {
            self.log_deleted(subject);
        }
        if self.reporting.json {
            if let Subject::Deleted(path, kind) = subject {
                self.json(&json::deleted(path, kind));
            }
            return;
        }
        let Reporting { info, out_format, .. } = &self.reporting;
        if info.del >= 1 || info.name >= 1 || out_format.is_some() {
            self.show(&deleted_line(&self.format, subject, &self.clock));
        }
    }

    fn log_deleted(&self, subject: Subject<'_>) {
        let mut console = lock(&self.console);
        if console.has_log() {
            console.log(&deleted_line(&self.log_format, subject, &self.clock));
        }
    }

    fn log_format_line(&self, subject: Subject<'_>) {
        let mut console = lock(&self.console);
        if console.has_log() {
            console.log(&self.log_format.render(subject, &self.clock));
        }
    }

    fn note(&self, note: &Note) {
        if let Note::DeletionsStopped(_) = note {
            self.worse(Severity::DeleteLimit);
        }
        let Some(line) = notes::line(note, &self.reporting) else { return };
        if let Note::DeletionsStopped(_) = note {
            // A warning, not information: `-q` does not silence it.
            self.err(&line);
        } else {
            self.out(&line);
        }
        if self.reporting.json {
            self.json(&json::note(note, &line));
        }
    }

    fn problem(&self, problem: &Problem) {
        self.worse(problem.severity);
        self.err(&problem_line(problem));
        if self.reporting.json {
            self.json(&json::problem(problem));
        }
    }

    fn worse(&self, severity: Severity) {
        let mut tally = lock(&self.tally);
        tally.worst = tally.worst.max(Some(severity));
    }

    /// A line of information: to standard output unless it is silent or JSON's, and to the log.
    fn out(&self, line: &[u8]) {
        self.show(line);
        self.write(|console| console.log(line));
    }

    /// A line to standard output alone.
    fn show(&self, line: &[u8]) {
        if !self.reporting.quiet && !self.reporting.json {
            self.write(|console| console.line(line));
        }
    }

    fn json(&self, object: &[u8]) {
        if !self.reporting.quiet {
            self.write(|console| console.verbatim(object));
        }
    }

    fn err(&self, line: &[u8]) {
        self.write(|console| console.error(line));
    }

    fn write(&self, write: impl FnOnce(&mut Console)) {
        let lost = self.progress.above(|| {
            let mut console = lock(&self.console);
            write(&mut console);
            console.is_lost()
        });
        if lost && (self.reporting.dry_run || self.reporting.list_only) {
            lock(&self.tally).output_closed = true;
            self.meter.stop.store(true, Ordering::Relaxed);
        }
    }
}

impl Observer for Reporter {
    fn event(&self, event: &Event) {
        match event {
            Event::Item(item) => self.item(item),
            Event::Deleted { path, kind } => self.deleted(Subject::Deleted(path, *kind)),
            Event::Note(note) => self.note(note),
            Event::Problem(problem) => self.problem(problem),
        }
    }
}

/// Whether nothing differs: a hard link that is one already counts as such.
fn unchanged(item: &Item) -> bool {
    let update = match item.change.update {
        Update::HardLink => Update::Attributes,
        other => other,
    };
    crate::event::Change { update, ..item.change }.is_none()
}

/// Whether a plain list of names mentions it: what was transferred, made or linked, and directories with
/// any difference; not files whose attributes alone differ.
fn significant(item: &Item) -> bool {
    item.change.update != Update::Attributes || item.attrs.kind == Kind::Dir
}

/// rsync formats a deletion only where the format tells it from an update; else it says so in words.
fn deleted_line(format: &Format, subject: Subject<'_>, clock: &Clock) -> Vec<u8> {
    if format.has(b'i') || format.has(b'o') {
        return format.render(subject, clock);
    }
    let mut line = b"deleting ".to_vec();
    short_name(&mut line, subject);
    line
}

/// `sluice: OP "PATH": CAUSE; HINT`, or rsync's words for a vanished file.
fn problem_line(problem: &Problem) -> Vec<u8> {
    let mut line = Vec::new();
    if problem.severity == Severity::Vanished {
        line.extend_from_slice(b"file has vanished: \"");
        line.extend_from_slice(&problem.path);
        line.push(b'"');
        return line;
    }
    line.extend_from_slice(b"sluice: ");
    line.extend_from_slice(problem.op.as_bytes());
    if !problem.path.is_empty() {
        line.extend_from_slice(b" \"");
        line.extend_from_slice(&problem.path);
        line.push(b'"');
    }
    line.extend_from_slice(b": ");
    line.extend_from_slice(cause_text(&problem.cause).as_bytes());
    if let Some(hint) = problem.hint {
        line.extend_from_slice(b"; ");
        line.extend_from_slice(hint.as_bytes());
    }
    line
}

/// Why, in words.
#[must_use]
pub fn cause_text(cause: &Cause) -> String {
    match cause {
        Cause::Os(errno) => std::io::Error::from(*errno).to_string(),
        Cause::Text(text) => text.clone(),
    }
}

/// A poisoned lock is taken all the same: what it guards is only ever appended to.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
