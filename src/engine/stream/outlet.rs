//! `Outlet`: the end of a connection that this process sends by.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{BUFFER_BYTES, Patience, StreamError, lost};
use crate::engine::Pace;
use crate::engine::digest::FileHasher;
use crate::engine::ladder::Rung;
use crate::engine::ledger::Ledger;
use crate::sys::stream::End;
use crate::sys::{self, Errno};

/// The sending end of a connection.
#[derive(Debug)]
pub struct Outlet {
    fd: OwnedFd,
    end: End,
    patience: Patience,
    written: Arc<AtomicU64>,
}

impl Outlet {
    /// Takes the descriptor over.
    ///
    /// # Errors
    ///
    /// It is none that can be written to.
    pub fn new(fd: OwnedFd, patience: Patience) -> Result<Outlet, StreamError> {
        let end = sys::stream::prepare(fd.as_fd()).map_err(lost("prepare the connection"))?;
        if end == End::Socket {
            // Frames are put together before they are sent, so waiting for more gains nothing. Not TCP: no delay.
            let _unneeded = sys::stream::no_delay(fd.as_fd());
        }
        Ok(Outlet { fd, end, patience, written: Arc::default() })
    }

    /// Bytes sent so far.
    #[must_use]
    pub fn written(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.written)
    }

    /// Changes how long is waited.
    pub fn set_patience(&mut self, patience: Patience) {
        self.patience = patience;
    }

    /// Sends all of `bytes`.
    ///
    /// # Errors
    ///
    /// The connection is over.
    pub fn write_all(&mut self, mut bytes: &[u8]) -> Result<(), StreamError> {
        while !bytes.is_empty() {
            match sys::stream::write(self.fd.as_fd(), bytes) {
                Ok(n) => {
                    self.written.fetch_add(n as u64, Ordering::Relaxed);
                    bytes = bytes.get(n..).unwrap_or_default();
                }
                Err(Errno::EAGAIN) => self.patience.wait(self.fd.as_fd(), true)?,
                Err(e) => return Err(lost("write to the peer")(e)),
            }
        }
        Ok(())
    }

    /// Holds back small pieces until [`Outlet::uncork`], so that a header travels with what follows it.
    pub fn cork(&self) {
        if self.end == End::Socket {
            // Not TCP: nothing to hold back.
            let _unneeded = sys::stream::cork(self.fd.as_fd(), true);
        }
    }

    /// Ends [`Outlet::cork`].
    pub fn uncork(&self) {
        if self.end == End::Socket {
            let _unneeded = sys::stream::cork(self.fd.as_fd(), false);
        }
    }

    /// Sends `len` bytes of `file` at `off`, by `sendfile` where these two allow it. Where the file ends
    /// early, zeros make up for what is missing.
    ///
    /// Returns how many of the bytes were the file's. The pages go by reference: what the file becomes
    /// before they have left can still change what arrives.
    ///
    /// # Errors
    ///
    /// The connection is over. A file that cannot be read counts as one that has ended.
    pub fn send_file(
        &mut self,
        file: BorrowedFd<'_>,
        off: u64,
        len: usize,
        ledger: &Ledger,
        pace: &dyn Pace,
    ) -> Result<usize, StreamError> {
        let mut sent = 0;
        while sent < len {
            let asked = (len - sent).min(pace.step_limit());
            match sys::sendfile::sendfile(file, off + sent as u64, self.fd.as_fd(), asked) {
                Ok(0) => {
                    self.pad(len - sent)?;
                    return Ok(sent);
                }
                Ok(n) => {
                    ledger.step(Rung::Sendfile, n, asked);
                    self.written.fetch_add(n as u64, Ordering::Relaxed);
                    sent += n;
                    if pace.advance(n as u64, Rung::Sendfile).is_break() {
                        return Err(StreamError::Stopped);
                    }
                }
                Err(Errno::EAGAIN) => self.patience.wait(self.fd.as_fd(), true)?,
                Err(e @ (Errno::EPIPE | Errno::ECONNRESET)) => return Err(lost("send to the peer")(e)),
                Err(e) => {
                    ledger.refusal(Rung::Sendfile, e);
                    let at = off + sent as u64;
                    let (real, _) = self.send_copy(file, at, len - sent, None, ledger, pace)?;
                    return Ok(sent + real);
                }
            }
        }
        Ok(sent)
    }

    /// As [`Outlet::send_file`], through user space: what is sent is what was read, and is added to
    /// `hasher`.
    ///
    /// Returns how many of the bytes were the file's, and why there were not more, if that was an error.
    ///
    /// # Errors
    ///
    /// The connection is over.
    pub fn send_copy(
        &mut self,
        file: BorrowedFd<'_>,
        off: u64,
        len: usize,
        mut hasher: Option<&mut FileHasher>,
        ledger: &Ledger,
        pace: &dyn Pace,
    ) -> Result<(usize, Option<Errno>), StreamError> {
        let mut buffer = vec![0; BUFFER_BYTES.min(len.max(1))];
        let mut sent = 0;
        while sent < len {
            let want = (len - sent).min(buffer.len()).min(pace.step_limit());
            let piece = buffer.get_mut(..want).unwrap_or_default();
            let n = match sys::pio::pread(file, piece, off + sent as u64) {
                Ok(n) if n > 0 => n,
                other => {
                    self.pad(len - sent)?;
                    return Ok((sent, other.err()));
                }
            };
            let piece = piece.get(..n).unwrap_or_default();
            if let Some(hasher) = &mut hasher {
                hasher.update(piece);
            }
            self.write_all(piece)?;
            ledger.step(Rung::Buffered, n, want);
            sent += n;
            if pace.advance(n as u64, Rung::Buffered).is_break() {
                return Err(StreamError::Stopped);
            }
        }
        Ok((sent, None))
    }

    fn pad(&mut self, len: usize) -> Result<(), StreamError> {
        let zeros = vec![0; len.min(BUFFER_BYTES)];
        let mut left = len;
        while left > 0 {
            let n = left.min(zeros.len());
            self.write_all(zeros.get(..n).unwrap_or_default())?;
            left -= n;
        }
        Ok(())
    }
}
