//! Where lines go: standard output, standard error and the log, each line escaped, none of them fatal.

use std::io::{self, BufWriter, ErrorKind, Write};
use std::time::{Duration, Instant};

use super::log::Log;
use super::printable::printable;

/// The writers of a run, given by the caller so that a test can look at what was written.
pub struct Outputs {
    /// Standard output.
    pub stdout: Box<dyn Write + Send>,
    /// Standard error.
    pub stderr: Box<dyn Write + Send>,
    /// The opened `--log-file`.
    pub log: Option<Box<dyn Write + Send>>,
    /// Standard output is a terminal: progress may be drawn there.
    pub terminal: bool,
}

/// Lines leave a buffered standard output at the latest with the first line that is this much younger
/// than the last flush, so that whoever follows a log sees it move.
const FLUSH_AFTER: Duration = Duration::from_millis(200);

/// Writes lines. A writer that fails is not written to again; what failed is kept.
pub struct Console {
    stdout: BufWriter<Box<dyn Write + Send>>,
    stderr: Box<dyn Write + Send>,
    log: Option<Log>,
    /// Every line is flushed: a terminal, or progress on a pipe.
    by_line: bool,
    flushed: Instant,
    eight_bit: bool,
    lost: Option<io::Error>,
    log_lost: Option<io::Error>,
}

impl Console {
    /// Takes the writers; `by_line` flushes standard output at every line.
    #[must_use]
    pub fn new(outputs: Outputs, by_line: bool, eight_bit: bool) -> Console {
        Console {
            stdout: BufWriter::with_capacity(64 * 1024, outputs.stdout),
            stderr: outputs.stderr,
            log: outputs.log.map(Log::new),
            by_line: by_line || outputs.terminal,
            flushed: Instant::now(),
            eight_bit,
            lost: None,
            log_lost: None,
        }
    }

    /// Writes a line to standard output, escaped.
    pub fn line(&mut self, line: &[u8]) {
        let line = printable(line, self.eight_bit);
        self.verbatim(&line);
    }

    /// Writes a line to standard output that is known to be harmless.
    pub fn verbatim(&mut self, line: &[u8]) {
        if self.lost.is_some() {
            return;
        }
        let due = self.by_line || self.flushed.elapsed() >= FLUSH_AFTER;
        let written = self.stdout.write_all(line).and_then(|()| self.stdout.write_all(b"\n"));
        self.note(written);
        if due {
            self.flush();
        }
    }

    /// Writes a line to standard error and to the log, after everything that standard output got before.
    pub fn error(&mut self, line: &[u8]) {
        self.flush();
        let mut shown = printable(line, self.eight_bit);
        shown.push(b'\n');
        // Nobody is left to be told that standard error is gone.
        let _unheard = self.stderr.write_all(&shown).and_then(|()| self.stderr.flush());
        self.log(line);
    }

    /// Writes a line to the log, if there is one.
    pub fn log(&mut self, line: &[u8]) {
        if let Some(log) = &mut self.log
            && let Err(error) = log.line(line)
        {
            self.log = None;
            self.log_lost = Some(error);
        }
    }

    /// Hands everything buffered to the kernel.
    pub fn flush(&mut self) {
        if self.lost.is_none() {
            let flushed = self.stdout.flush();
            self.note(flushed);
            self.flushed = Instant::now();
        }
        if let Some(log) = &mut self.log
            && let Err(error) = log.flush()
        {
            self.log = None;
            self.log_lost = Some(error);
        }
    }

    /// Whether standard output takes nothing any more.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.lost.is_some()
    }

    /// The failures to write that someone should hear of, each told once: what, and why. A closed pipe is
    /// not one of them: its reader has what it wanted.
    pub fn failures(&mut self) -> Vec<(&'static str, io::Error)> {
        let lost = self.lost.as_mut().and_then(|error| match error.kind() {
            ErrorKind::BrokenPipe => None,
            _ => Some(("standard output", std::mem::replace(error, ErrorKind::BrokenPipe.into()))),
        });
        let log = self.log_lost.take().map(|error| ("log file", error));
        lost.into_iter().chain(log).collect()
    }

    fn note(&mut self, result: io::Result<()>) {
        if let Err(error) = result
            && self.lost.is_none()
        {
            self.lost = Some(error);
        }
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        if self.lost.is_some() {
            // `BufWriter` would try once more to write what already failed.
            let sink: Box<dyn Write + Send> = Box::new(io::sink());
            let _discarded = std::mem::replace(&mut self.stdout, BufWriter::new(sink)).into_parts();
        }
    }
}
