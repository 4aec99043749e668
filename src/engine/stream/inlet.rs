//! `Inlet`: the end of a connection that this process receives by.

use std::fmt;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::contents::Storing;
use super::{BUFFER_BYTES, Patience, StreamError, lost};
use crate::engine::Pace;
use crate::engine::kernel::PIPE_BYTES;
use crate::engine::ladder::Rung;
use crate::engine::ledger::Ledger;
use crate::sys::stream::End;
use crate::sys::{self, Errno};

/// Bytes that should have arrived before a splice is worth while (`SO_RCVLOWAT`). A guess.
const LOW_WATER: usize = 128 << 10;

/// The receiving end of a connection.
#[derive(Debug)]
pub struct Inlet {
    fd: OwnedFd,
    end: End,
    patience: Patience,
    buffer: Vec<u8>,
    /// What of `buffer` has been read from the peer and not been taken.
    filled: std::ops::Range<usize>,
    pipe: Option<sys::splice::Pipe>,
    low_water: usize,
    read: Arc<AtomicU64>,
}

impl fmt::Debug for sys::splice::Pipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pipe")
    }
}

impl Inlet {
    /// Takes the descriptor over.
    ///
    /// # Errors
    ///
    /// It is none that can be read from.
    pub fn new(fd: OwnedFd, patience: Patience) -> Result<Inlet, StreamError> {
        let end = sys::stream::prepare(fd.as_fd()).map_err(lost("prepare the connection"))?;
        let buffer = vec![0; BUFFER_BYTES];
        Ok(Inlet { fd, end, patience, buffer, filled: 0..0, pipe: None, low_water: 1, read: Arc::default() })
    }

    /// Bytes received so far.
    #[must_use]
    pub fn read(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.read)
    }

    /// Changes how long is waited.
    pub fn set_patience(&mut self, patience: Patience) {
        self.patience = patience;
    }

    /// Receives exactly `into.len()` bytes. With `ahead`, what has arrived behind them may be read in the
    /// same call, and is kept.
    ///
    /// Returns `false` if the peer has closed before the first of them.
    ///
    /// # Errors
    ///
    /// The connection is over, [`StreamError::Closed`] in the middle of the bytes among others.
    pub fn read_exact(&mut self, into: &mut [u8], ahead: bool) -> Result<bool, StreamError> {
        let mut done = 0;
        while done < into.len() {
            let rest = into.get_mut(done..).unwrap_or_default();
            if self.filled.is_empty() && ahead && rest.len() < BUFFER_BYTES {
                self.low_water(1);
                let n = self.receive(sys::stream::read)?;
                self.filled = 0..n;
                if n == 0 {
                    return if done == 0 { Ok(false) } else { Err(StreamError::Closed) };
                }
                continue;
            }
            let ready = self.buffer.get(self.filled.clone()).unwrap_or_default();
            let n = ready.len().min(rest.len());
            if n > 0 {
                rest.get_mut(..n).unwrap_or_default().copy_from_slice(ready.get(..n).unwrap_or_default());
                self.filled.start += n;
                done += n;
                continue;
            }
            self.low_water(1);
            let n = self.receive(|fd, _| sys::stream::read(fd, rest))?;
            if n == 0 {
                return if done == 0 { Ok(false) } else { Err(StreamError::Closed) };
            }
            done += n;
        }
        Ok(true)
    }

    /// What has been read from the peer and not been taken.
    #[must_use]
    pub fn ahead(&self) -> &[u8] {
        self.buffer.get(self.filled.clone()).unwrap_or_default()
    }

    fn receive(
        &mut self,
        mut read: impl FnMut(BorrowedFd<'_>, &mut [u8]) -> Result<usize, Errno>,
    ) -> Result<usize, StreamError> {
        loop {
            match read(self.fd.as_fd(), &mut self.buffer) {
                Ok(n) => {
                    self.read.fetch_add(n as u64, Ordering::Relaxed);
                    return Ok(n);
                }
                Err(Errno::EAGAIN) => self.patience.wait(self.fd.as_fd(), false)?,
                Err(e) => return Err(lost("read from the peer")(e)),
            }
        }
    }

    /// Stores the next `len` bytes in `file` at `off`, by `splice` where these two allow it; without a
    /// file they are dropped.
    ///
    /// Returns what the file's side answered: whatever goes wrong there, all bytes are taken from the
    /// connection, which goes on.
    ///
    /// # Errors
    ///
    /// The connection is over.
    pub fn store(
        &mut self,
        file: Option<BorrowedFd<'_>>,
        off: u64,
        len: usize,
        ledger: &Ledger,
        pace: &dyn Pace,
    ) -> Result<Result<(), Errno>, StreamError> {
        let mut storing = Storing { file, result: Ok(()), ledger };
        let mut done = 0;
        let mut kernel = self.end != End::Other;
        while done < len {
            let at = off + done as u64;
            let left = (len - done).min(pace.step_limit());
            let (n, rung) = if !self.filled.is_empty() || !kernel || storing.over() {
                (self.store_buffered(&mut storing, at, left)?, Rung::Buffered)
            } else if self.end == End::Socket {
                match self.store_from_socket(&mut storing, at, left)? {
                    Some(n) => (n, Rung::Splice),
                    None => {
                        kernel = false;
                        continue;
                    }
                }
            } else {
                match self.store_from_pipe(&mut storing, at, left)? {
                    Some(n) => (n, Rung::Splice),
                    None => {
                        kernel = false;
                        continue;
                    }
                }
            };
            done += n;
            if pace.advance(n as u64, rung).is_break() {
                return Err(StreamError::Stopped);
            }
        }
        Ok(storing.result)
    }

    fn store_buffered(
        &mut self,
        storing: &mut Storing<'_>,
        at: u64,
        left: usize,
    ) -> Result<usize, StreamError> {
        if self.filled.is_empty() {
            self.low_water(1);
            // No more than is asked for: what comes behind it may be spliced.
            let n = self.receive(|fd, buffer| {
                let most = left.min(buffer.len());
                sys::stream::read(fd, buffer.get_mut(..most).unwrap_or_default())
            })?;
            if n == 0 {
                return Err(StreamError::Closed);
            }
            self.filled = 0..n;
        }
        let n = self.filled.len().min(left);
        storing.write(self.buffer.get(self.filled.start..self.filled.start + n).unwrap_or_default(), at);
        self.filled.start += n;
        Ok(n)
    }

    /// `None`: this connection cannot be spliced.
    fn store_from_socket(
        &mut self,
        storing: &mut Storing<'_>,
        at: u64,
        left: usize,
    ) -> Result<Option<usize>, StreamError> {
        let pipe = match self.pipe.take() {
            Some(pipe) => pipe,
            None => match sys::splice::pipe(PIPE_BYTES as i32) {
                Ok(pipe) => pipe,
                Err(_) => return Ok(None),
            },
        };
        self.low_water(LOW_WATER.min(left));
        let n = match self.receive(|fd, _| sys::stream::splice_in(fd, &pipe, left)) {
            Ok(0) => return Err(StreamError::Closed),
            Ok(n) => n,
            Err(StreamError::Failed {
                source: e @ (Errno::EINVAL | Errno::ENOSYS | Errno::EPERM), ..
            }) => {
                storing.ledger.refusal(Rung::Splice, e);
                return Ok(None);
            }
            Err(e) => return Err(e),
        };
        storing.ledger.step(Rung::Splice, n, n);
        if storing.drain(&pipe, at, n) {
            self.pipe = Some(pipe);
        }
        Ok(Some(n))
    }

    fn store_from_pipe(
        &mut self,
        storing: &mut Storing<'_>,
        at: u64,
        left: usize,
    ) -> Result<Option<usize>, StreamError> {
        let Some(file) = storing.file else { return Ok(None) };
        match self.receive(|fd, _| sys::stream::splice_to_file(fd, file, at, left)) {
            Ok(0) => Err(StreamError::Closed),
            Ok(n) => {
                storing.ledger.step(Rung::Splice, n, left);
                Ok(Some(n))
            }
            Err(StreamError::Failed { source, .. }) => {
                // The pipe's side has hardly anything to refuse: the next write says whether the file's has.
                storing.ledger.refusal(Rung::Splice, source);
                Ok(None)
            }
            Err(e) => Err(e),
        }
    }

    fn low_water(&mut self, bytes: usize) {
        if self.end == End::Socket && bytes != self.low_water {
            // Without it there are more calls, that is all.
            let _unneeded = sys::stream::low_water(self.fd.as_fd(), i32::try_from(bytes).unwrap_or(1));
            self.low_water = bytes;
        }
    }
}
