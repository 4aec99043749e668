//! `Reporter`: turns the events of a run into rsync's lines, and into the exit status.

use std::process::ExitCode;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::event::{Ended, Event, Item, Meter, Note, Observer, Problem, Severity, Update};
use crate::path::{Kind, RelPath, escape};

use super::clock::Clock;
use super::company::Company;
use super::console::{Console, Outputs};
use super::entry::{EntryLines, is_unchanged};
use super::exit::Status;
use super::format::Subject;
use super::json;
use super::number::Human;
use super::progress::{Progress, file_line};
use super::reporting::Reporting;
use super::signalled::Signalled;
use super::stats::Figures;
use super::{list, log, notes, problem};
use crate::session::Summary;

/// What rsync says where `--stop-after` or `--stop-at` ends a run.
const LIMIT: &[u8] = b"stopping at requested limit";

/// Tells a run: lines to standard output, problems to standard error, both to the log.
///
/// Made before the run, given to it as its [`Observer`], and asked by [`Reporter::finish`] for the
/// statistics and the exit status. A standard output that takes no more never stops a transfer, as with
/// rsync; it does stop a dry run and a listing, which have no other purpose.
pub struct Reporter {
    reporting: Reporting,
    human: Human,
    clock: Clock,
    lines: EntryLines,
    log_lines: EntryLines,
    has_log: bool,
    meter: Arc<Meter>,
    signalled: Signalled,
    console: Arc<Mutex<Console>>,
    progress: Progress,
    company: Mutex<Company>,
    tally: Mutex<Tally>,
}

/// How the sources are listed, which rsync says before the first entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Listing {
    /// While the transfer goes on: `--recursive`, unless something needs the whole list first.
    Incremental,
    /// Before the transfer: `--dirs`, `--prune-empty-dirs`, `--delete-before`, `--delete-after`.
    Complete,
    /// Nothing but the operands: neither `--recursive` nor `--dirs`.
    Operands,
}

/// What is counted over a run.
struct Tally {
    worst: Option<Severity>,
    /// Something at the destination, or with `-n` something that would be.
    changed: bool,
    /// Files whose transfer was told, for `xfr#`.
    transfers: u64,
    /// Bytes of data that were moved for them.
    literal: u64,
    /// When the run began, for its rate.
    began: Instant,
    /// When the last transfer was told, for the time of the next one.
    last_transfer: Instant,
    /// The run was asked to stop because nobody reads what it says.
    output_closed: bool,
}

impl Reporter {
    /// Prepares to report to `outputs`; `meter` is the run's.
    #[must_use]
    pub fn new(reporting: &Reporting, meter: Arc<Meter>, signalled: Signalled, outputs: Outputs) -> Reporter {
        let human = Human::level(reporting.human);
        let wants_progress = !reporting.quiet && !reporting.json && !reporting.list_only;
        let level =
            if wants_progress { reporting.info.progress.max(u8::from(reporting.progress)) } else { 0 };
        let (terminal, has_log) = (outputs.terminal, outputs.log.is_some());
        let console =
            Arc::new(Mutex::new(Console::new(outputs, level > 0 || reporting.by_line, reporting.eight_bit)));
        let progress = Progress::start(level, terminal, human, &meter, &console);
        Reporter {
            human,
            clock: Clock::local(),
            lines: EntryLines::on_output(reporting),
            log_lines: EntryLines::in_log(reporting),
            has_log,
            meter,
            signalled,
            console,
            progress,
            company: Mutex::default(),
            tally: Mutex::new(Tally {
                worst: None,
                changed: false,
                transfers: 0,
                literal: 0,
                began: Instant::now(),
                last_transfer: Instant::now(),
                output_closed: false,
            }),
            reporting: reporting.clone(),
        }
    }

    /// Writes what comes before the first entry.
    pub fn start(&self, listing: Listing) {
        let receiving = self.reporting.receiving;
        self.write(|console| console.log(log::started(receiving)));
        if self.reporting.json {
            self.json(&json::start(self.reporting.dry_run));
        }
        if self.reporting.info.flist >= 1 {
            match (listing, receiving) {
                (Listing::Incremental, false) => self.show(b"sending incremental file list"),
                (Listing::Incremental, true) => self.show(b"receiving incremental file list"),
                (Listing::Complete, false) => self.show(b"building file list ... done"),
                (Listing::Complete, true) => self.show(b"receiving file list ... done"),
                (Listing::Operands, _) => {}
            }
        }
    }

    /// Writes the statistics and the closing line, and says how the run ended.
    ///
    /// `ended` is why it ended before its work was done (a signal, a deadline), if it did; `elapsed` is
    /// its duration. Statistics follow a run that went through, with or without problems. The status is that of
    /// the worst problem which the run knows of, whether its line has been seen here or not.
    #[must_use]
    pub fn finish(&self, ended: Option<Status>, summary: &Summary, elapsed: Duration) -> Status {
        let Summary { stats, ledger, worst, traffic, .. } = summary;
        let held = lock(&self.company).rest();
        held.iter().for_each(|event| self.tell(event));
        let (worst, changed, literal, ended) = {
            let tally = lock(&self.tally);
            (
                tally.worst.max(*worst),
                tally.changed,
                tally.literal,
                ended.filter(|_| !tally.output_closed).map(|ended| self.signalled.name(ended)),
            )
        };
        let complete = ended.is_none() && worst.is_none_or(|worst| worst < Severity::FileIo);
        self.progress.finish(complete);
        // What a run was broken off for has been told; a peer that does not tell it has still not done it.
        let untold = if summary.ended == Ended::Aborted { Status::FileIo } else { Status::Success };
        let mut status = ended.or(worst.map(Status::of)).unwrap_or(untold);
        if self.reporting.extended_codes && !self.reporting.list_only {
            status = status.extended(worst, changed);
        }
        let moved = self.meter.bytes_done.load(Ordering::Relaxed);
        let Reporting { dry_run, only_batch, .. } = self.reporting;
        let figures =
            Figures { stats, ledger, moved, literal, traffic: *traffic, elapsed, dry_run, only_batch };
        let went_well = |status| matches!(status, Status::Success | Status::Unchanged);
        if self.output_failed() && went_well(status) {
            status = Status::Diagnostics;
        }
        if self.reporting.json {
            self.json(&json::summary(&figures, status));
        }
        if complete {
            self.statistics(&figures);
        }
        // The last lines fail to be written as easily as the first.
        if self.output_failed() && went_well(status) {
            status = Status::Diagnostics;
        }
        if went_well(status) && self.cut_short() {
            status = self.signalled.name(Status::Signal);
        }
        if ended == Some(Status::Timeout) {
            self.err(LIMIT);
        }
        if let Some(line) = status.closing_line() {
            self.err(line.as_bytes());
        }
        lock(&self.console).flush();
        status
    }

    /// Tells that the time is up that the run was given, before it had an end of its own.
    pub fn late(&self) {
        self.err(LIMIT);
        if let Some(line) = Status::Timeout.closing_line() {
            self.err(line.as_bytes());
        }
    }

    /// Tells why a conversation with another machine is over before the run is.
    pub fn broken(&self, lines: &[String]) {
        let held = lock(&self.company).rest();
        held.iter().for_each(|event| self.tell(event));
        for line in lines {
            if self.reporting.json {
                self.json(&json::broken(line));
            }
            self.err(format!("sluice: {line}").as_bytes());
        }
    }

    /// The run is over without an end of its own; `status` is why. Returns what it ends with.
    pub fn give_up(&self, status: u8) -> ExitCode {
        self.progress.finish(false);
        let signal = (status == Status::Signal.code()).then(|| self.signalled.name(Status::Signal));
        let status = signal.map_or(status, Status::code);
        if self.reporting.json {
            self.json(&json::given_up(status));
        }
        if let Some(line) = signal.and_then(Status::closing_line) {
            self.err(line.as_bytes());
        }
        lock(&self.console).flush();
        ExitCode::from(status)
    }

    /// Whether a signal came while all was done but not all was told, to a reader that does not read.
    fn cut_short(&self) -> bool {
        lock(&self.console).is_lost() && self.meter.stopped() && !lock(&self.tally).output_closed
    }

    /// Flushes; tells what could not be written, and whether there was such a thing.
    fn output_failed(&self) -> bool {
        let mut console = lock(&self.console);
        console.flush();
        let failures = console.failures();
        for (what, error) in &failures {
            console.error(format!("sluice: write to {what}: {error}").as_bytes());
        }
        !failures.is_empty()
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
        if self.reporting.list_only {
            return if self.reporting.json {
                self.json(&json::listed(item));
            } else {
                self.show(&list::line(item, self.human, &self.clock));
            };
        }
        self.log_entry(|lines| lines.updated(item, &self.clock));
        if self.reporting.json {
            if self.lines.tells_unchanged() || !is_unchanged(item) {
                self.json(&json::item(item));
            }
            return;
        }
        if let Some(line) = self.lines.updated(item, &self.clock) {
            self.show(&line);
        }
        self.transferred(item);
    }

    /// Counts a file that was transferred, and shows the line of `--progress` for it, where no bar does.
    fn transferred(&self, item: &Item) {
        let moved = matches!(item.change.update, Update::Received | Update::Sent);
        if !moved || item.attrs.kind != Kind::File || self.reporting.dry_run {
            return;
        }
        let now = Instant::now();
        let mut tally = lock(&self.tally);
        tally.transfers += 1;
        tally.literal += item.moved;
        let since = now - std::mem::replace(&mut tally.last_transfer, now);
        let (transfers, running) = (tally.transfers, now - tally.began);
        drop(tally);
        if self.progress.wants_file_lines() {
            let line = file_line(item.attrs.size, since, running, transfers, self.human, &self.meter);
            self.show(line.as_bytes());
        }
    }

    fn deleted(&self, path: &RelPath, kind: Kind) {
        let subject = Subject::Deleted(path, kind);
        self.log_entry(|lines| lines.deleted(subject, &self.clock));
        if self.reporting.json {
            self.json(&json::deleted(path, kind));
        } else if let Some(line) = self.lines.deleted(subject, &self.clock) {
            self.show(&line);
        }
    }

    fn log_entry(&self, line: impl FnOnce(&EntryLines) -> Option<Vec<u8>>) {
        if self.has_log
            && let Some(line) = line(&self.log_lines)
        {
            self.write(|console| console.log(&line));
        }
    }

    fn note(&self, note: &Note) {
        if let Note::DeletionsStopped(_) = note {
            self.worse(Severity::DeleteLimit);
        }
        let Some(line) = notes::line(note, &self.reporting) else { return };
        if let Note::DeletionsStopped(_) | Note::UnusableBasis(..) = note {
            // A warning, not information: `-q` does not silence it.
            self.err(&line);
        } else {
            self.out(&line);
        }
        if self.reporting.json {
            self.json(&json::note(note, &line));
        }
        if let Note::WaitingForLock(_) = note {
            // Nothing follows for a while.
            lock(&self.console).flush();
        }
    }

    fn problem(&self, problem: &Problem) {
        self.worse(problem.severity);
        self.err(&problem::line(problem));
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

    /// A daemon's message of the day.
    pub fn motd(&self, text: &[u8]) {
        for line in text.split(|&b| b == b'\n') {
            self.show(escape(line).as_bytes());
        }
    }

    /// A module of a daemon, in the list of them.
    pub fn module(&self, name: &[u8], comment: &[u8]) {
        self.show(format!("{:<15}\t{}", escape(name), escape(comment)).as_bytes());
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
        // After a signal the output may be lost too: then it is the signal that ends the run.
        if lost && (self.reporting.dry_run || self.reporting.list_only) && !self.meter.stopped() {
            lock(&self.tally).output_closed = true;
            self.meter.stop.store(true, Ordering::Relaxed);
        }
    }
}

impl Observer for Reporter {
    fn event(&self, event: &Event) {
        // Programs are told of what was made, whatever else there is.
        let held = if self.reporting.json { None } else { lock(&self.company).next(event) };
        match held {
            None => self.tell(event),
            Some(due) => due.iter().for_each(|event| self.tell(event)),
        }
    }
}

impl Reporter {
    fn tell(&self, event: &Event) {
        if changes(event) {
            lock(&self.tally).changed = true;
        }
        match event {
            Event::Item(item) => self.item(item),
            Event::Deleted { path, kind } => self.deleted(path, *kind),
            Event::Note(note) => self.note(note),
            Event::Problem(problem) => self.problem(problem),
        }
    }
}

/// Whether something was, or would be, done to an entry.
fn changes(event: &Event) -> bool {
    match event {
        Event::Item(item) => !is_unchanged(item),
        Event::Deleted { .. } => true,
        Event::Note(note) => matches!(note, Note::CreatedDestination(..) | Note::RemovedSource(_)),
        Event::Problem(_) => false,
    }
}

/// A poisoned lock is taken all the same: what it guards is only ever appended to.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
