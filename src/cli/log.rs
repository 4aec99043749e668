//! `--log-file`: every line with the time and the process before it.

use std::io::{self, BufWriter, Write};

use super::clock::Clock;
use super::printable::printable;
use crate::path::Time;

/// The header of a log of a run, as rsync writes it; `receiving`: the sources are on another machine.
#[must_use]
pub fn started(receiving: bool) -> &'static [u8] {
    if receiving { b"receiving file list" } else { b"building file list" }
}

/// A log file: `2026/01/02 03:04:05 [PID] text`, one record a line.
pub struct Log {
    out: BufWriter<Box<dyn Write + Send>>,
    clock: Clock,
    pid: u32,
}

impl Log {
    /// Writes to `out`, which was opened for appending.
    #[must_use]
    pub fn new(out: Box<dyn Write + Send>) -> Log {
        Log { out: BufWriter::new(out), clock: Clock::local(), pid: std::process::id() }
    }

    /// Writes one record. Everything but plain text is escaped, high bytes too: a log outlives its locale.
    ///
    /// # Errors
    ///
    /// What the file says; the caller writes no more of the log and tells it once.
    pub fn line(&mut self, line: &[u8]) -> io::Result<()> {
        write!(self.out, "{} [{}] ", self.clock.show(Time::now(), ' '), self.pid)?;
        self.out.write_all(&printable(line, false))?;
        self.out.write_all(b"\n")
    }

    /// Hands everything buffered to the kernel.
    ///
    /// # Errors
    ///
    /// As [`Log::line`].
    pub fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
