//! A standard stream that a run can turn its back on: a reader that does not read must not keep a run that
//! is to stop.

use std::io::{self, ErrorKind, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout};

/// Longest wait in one go, in milliseconds.
const NAP: u16 = 100;

/// What a reader gets after the wish to stop: enough for one that is only slow.
const GRACE: Duration = Duration::from_millis(500);

/// Bytes that a pipe which can be written to takes without blocking: `PIPE_BUF`.
const PIECE: usize = 4096;

/// Writes to a stream that may block, but for no longer than a moment once `stop` is set. The stream must not
/// have a buffer of its own, which would block at a time of its choosing.
#[derive(Debug)]
pub struct Patient<S> {
    stream: S,
    stop: Arc<AtomicBool>,
    /// When the wish to stop met a stream that takes nothing.
    stuck: Option<Instant>,
}

impl<S: AsFd + Write> Patient<S> {
    /// Watches `stop` while `stream` takes nothing.
    #[must_use]
    pub fn new(stream: S, stop: Arc<AtomicBool>) -> Patient<S> {
        Patient { stream, stop, stuck: None }
    }

    fn wait(&mut self) -> io::Result<()> {
        while !writable(self.stream.as_fd()) {
            if !self.stop.load(Ordering::Relaxed) {
                continue;
            }
            if self.stuck.get_or_insert_with(Instant::now).elapsed() >= GRACE {
                return Err(io::Error::new(ErrorKind::BrokenPipe, "nobody reads it"));
            }
        }
        Ok(())
    }
}

impl<S: AsFd + Write> Write for Patient<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.wait()?;
        self.stream.write(&bytes[..bytes.len().min(PIECE)])
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

/// Whether a write would not block, after waiting for that for a moment. What cannot be asked is written to.
fn writable(stream: BorrowedFd<'_>) -> bool {
    let mut asked = [PollFd::new(stream, PollFlags::POLLOUT)];
    match nix::poll::poll(&mut asked, PollTimeout::from(NAP)) {
        Ok(ready) => ready > 0,
        Err(nix::errno::Errno::EINTR) => false,
        Err(_) => true,
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)] // a test may panic
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn what_is_read_arrives_whole() {
        let (mut reader, writer) = io::pipe().unwrap();
        let bytes: Vec<u8> = (0..1_000_000_u32).map(|i| (i % 251) as u8).collect();
        let expected = bytes.clone();
        let thread = std::thread::spawn(move || {
            let mut writer = Patient::new(writer, Arc::default());
            writer.write_all(&bytes).unwrap();
        });
        let mut got = Vec::new();
        reader.read_to_end(&mut got).unwrap();
        thread.join().unwrap();
        assert!(got == expected);
    }

    #[test]
    fn a_reader_that_does_not_read_is_left_when_the_run_is_to_stop() {
        let (_reader, writer) = io::pipe().unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let mut writer = Patient::new(writer, Arc::clone(&stop));
        let thread = std::thread::spawn(move || writer.write_all(&[7; 1 << 20]));
        stop.store(true, Ordering::Relaxed);
        assert_eq!(thread.join().unwrap().unwrap_err().kind(), ErrorKind::BrokenPipe);
    }
}
