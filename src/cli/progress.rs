//! Progress: a line with a bar on a terminal, plain lines elsewhere, by one thread that polls the meter.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle, Thread};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::event::Meter;

use super::console::Console;
use super::gauge::{Gauge, Reading, clock_time, fit, to_check};
use super::number::{Human, progress_rate};
use super::report::lock;
use super::terminal::Terminal;

/// How often a bar is drawn.
const FRAME: Duration = Duration::from_millis(100);

/// How often a plain line is written.
const PLAIN: Duration = Duration::from_secs(1);

/// How often a terminal is written to at most, in hertz.
const DRAWS: u8 = 20;

/// Shows how far a run is, until it is finished or dropped.
pub struct Progress {
    bar: Option<ProgressBar>,
    file_lines: bool,
    thread: Mutex<Option<JoinHandle<()>>>,
    waker: Option<Thread>,
    done: Arc<AtomicBool>,
    complete: Arc<AtomicBool>,
}

impl Progress {
    /// Begins to show progress: `level` 1 of each file, 2 of the whole run, 0 none.
    ///
    /// On a terminal both draw a bar for the whole run below the lines. Elsewhere level 1 is a line for
    /// each file, which the reporter writes, and level 2 a line a second, which the thread writes to
    /// `console`.
    #[must_use]
    pub fn start(
        level: u8,
        terminal: bool,
        human: Human,
        meter: &Arc<Meter>,
        console: &Arc<Mutex<Console>>,
    ) -> Progress {
        let terminal = terminal.then(Terminal::stdout);
        let bar = terminal.clone().filter(|_| level > 0).map(|terminal| {
            let target = ProgressDrawTarget::term_like_with_hz(Box::new(terminal), DRAWS);
            ProgressBar::with_draw_target(None, target).with_style(style())
        });
        let (done, complete) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let mut progress = Progress {
            bar,
            file_lines: level == 1 && terminal.is_none(),
            thread: Mutex::new(None),
            waker: None,
            done: Arc::clone(&done),
            complete: Arc::clone(&complete),
        };
        if level == 0 || progress.file_lines {
            return progress;
        }
        let drawing = Drawing {
            gauge: Gauge::new(human),
            started: Instant::now(),
            meter: Arc::clone(meter),
            console: Arc::clone(console),
            shown: progress.bar.clone().zip(terminal),
            complete,
        };
        let spawned = thread::Builder::new().name("progress".into()).spawn(move || drawing.run(&done));
        // Without a thread there is no progress to see; the run itself does not depend on it.
        if let Ok(handle) = spawned {
            progress.waker = Some(handle.thread().clone());
            progress.thread = Mutex::new(Some(handle));
        }
        progress
    }

    /// Whether each file's line is to be written where it is told.
    #[must_use]
    pub fn wants_file_lines(&self) -> bool {
        self.file_lines
    }

    /// Runs `write`, which writes lines, with the bar out of the way.
    pub fn above<T>(&self, write: impl FnOnce() -> T) -> T {
        match &self.bar {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }

    /// Draws the last state as a line that stays, and ends; `complete` if the run went through.
    pub fn finish(&self, complete: bool) {
        self.complete.store(complete, Ordering::Relaxed);
        self.done.store(true, Ordering::Release);
        if let Some(waker) = &self.waker {
            waker.unpark();
        }
        if let Some(thread) = lock(&self.thread).take() {
            // A drawing thread that panicked has told so itself.
            let _drawn = thread.join();
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.finish(false);
    }
}

/// What the drawing thread holds.
struct Drawing {
    gauge: Gauge,
    started: Instant,
    meter: Arc<Meter>,
    console: Arc<Mutex<Console>>,
    /// The bar, and the terminal on which it is; where there is none, lines are written.
    shown: Option<(ProgressBar, Terminal)>,
    complete: Arc<AtomicBool>,
}

impl Drawing {
    fn run(mut self, done: &AtomicBool) {
        let pause = if self.shown.is_some() { FRAME } else { PLAIN };
        let mut next = Instant::now() + pause;
        while !done.load(Ordering::Acquire) {
            let now = Instant::now();
            if now < next {
                thread::park_timeout(next - now);
                continue;
            }
            next = now + pause;
            self.draw();
        }
        let (reading, complete) = (Reading::of(&self.meter), self.complete.load(Ordering::Relaxed));
        let mut line = self.gauge.last_line(self.started.elapsed(), &reading, complete);
        if let Some((bar, terminal)) = &self.shown {
            line = fit(line, terminal.columns());
            bar.finish_and_clear();
        }
        lock(&self.console).line(line.as_bytes());
    }

    fn draw(&mut self) {
        let reading = Reading::of(&self.meter);
        let line = self.gauge.line(self.started.elapsed(), &reading);
        let Some((bar, terminal)) = &self.shown else {
            lock(&self.console).line(line.as_bytes());
            return;
        };
        bar.set_message(self.gauge.with_bar(&reading, line, terminal.columns()));
    }
}

/// The gauge makes the whole line.
fn style() -> ProgressStyle {
    ProgressStyle::with_template("{msg}").unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// The line of a transferred file of `size` bytes, which was the `transfers`th of the run; `took` is the time since the one
/// before it, and `running` that since the run began.
///
/// The rate is the run's: files are copied beside each other, so that none has one of its own.
#[must_use]
pub fn file_line(
    size: u64,
    took: Duration,
    running: Duration,
    transfers: u64,
    human: Human,
    meter: &Meter,
) -> String {
    let moved = meter.bytes_done.load(Ordering::Relaxed);
    #[allow(clippy::cast_precision_loss)] // two decimals are shown
    let rate = if running.is_zero() { 0.0 } else { moved as f64 / running.as_secs_f64() };
    let (size, rate, took) = (human.size(size), progress_rate(rate), clock_time(took));
    format!("{size:>15} 100% {rate} {took} (xfr#{transfers}, {})", to_check(&Reading::of(meter)))
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)] // a test may panic
mod tests {
    use super::*;

    #[test]
    fn the_rate_of_a_file_that_is_told_with_others_is_the_runs() {
        let meter = Meter::default();
        meter.bytes_done.store(4 << 20, Ordering::Relaxed);
        let (at_once, running) = (Duration::from_nanos(1), Duration::from_secs(2));
        let line = file_line(1 << 20, at_once, running, 4, Human::level(1), &meter);
        assert!(line.contains(" 2.00MB/s "), "{line}");
    }
}
