//! Bytes between a file and a peer: out by `sendfile`, in by `splice`, over one duplex byte stream.
//!
//! An [`Outlet`] and an [`Inlet`] are the two ends that this process has of a connection: one socket, or
//! two pipes. What is not file data passes through small buffers; large file data is never seen.
//!
//! Slower when: files are tiny (a frame of its own for each; they are sent inside a message instead); the
//! connection is neither a socket nor a pipe (everything is read and written).

use std::fmt;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::kernel::PIPE_BYTES;
use super::ladder::Rung;
use super::ledger::Ledger;
use super::{Digest, Pace};
use crate::sys::stream::End;
use crate::sys::{self, Errno};

/// 32 random bytes that nobody can guess: they make a session's hello a new one.
///
/// # Errors
///
/// The kernel has none.
pub fn nonce() -> Result<[u8; 32], StreamError> {
    sys::random::bytes().map_err(|source| StreamError::Failed { op: "get random bytes", source })
}

/// The connection of a process that a remote shell has started: standard input and output. Both are
/// replaced, so that nothing else is ever written into the connection.
///
/// # Errors
///
/// They are not open.
pub fn standard() -> Result<(OwnedFd, OwnedFd), StreamError> {
    let own = |fd: BorrowedFd<'_>| {
        let failed = |e: std::io::Error| StreamError::Failed {
            op: "take standard input and output",
            source: Errno::from_raw(e.raw_os_error().unwrap_or(0)),
        };
        fd.try_clone_to_owned().map_err(failed)
    };
    Ok((own(std::io::stdin().as_fd())?, own(std::io::stdout().as_fd())?))
}

/// Longest wait in one go, so that a wish to stop is heard within a second.
const NAP: Duration = Duration::from_millis(200);

/// What is read at once when it is not known how much is coming. A guess: many small messages.
const BUFFER_BYTES: usize = 64 << 10;

/// Bytes that should have arrived before a splice is worth while (`SO_RCVLOWAT`). A guess.
const LOW_WATER: usize = 128 << 10;

/// How long a connection is waited for.
#[derive(Clone, Debug, Default)]
pub struct Patience {
    /// Set to end every wait.
    pub stop: Arc<AtomicBool>,
    /// A silence of so long ends the connection (`--timeout`); `None`: never.
    pub idle: Option<Duration>,
    /// No wait goes beyond this moment.
    pub until: Option<Instant>,
}

/// Why a connection is over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StreamError {
    /// The peer closed it in the middle of something.
    Closed,
    /// [`Patience::stop`] was set.
    Stopped,
    /// Nothing came, or could be sent, for so many seconds.
    Idle(u64),
    /// A call failed.
    Failed {
        /// Which one, as for a message.
        op: &'static str,
        /// The kernel's answer.
        source: Errno,
    },
}

impl fmt::Display for StreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StreamError::Closed => f.write_str("the connection was closed by the other side"),
            StreamError::Stopped => f.write_str("interrupted"),
            StreamError::Idle(seconds) => write!(f, "timeout: nothing moved for {seconds} seconds"),
            StreamError::Failed { op, source } => {
                write!(f, "{op}: {}", std::io::Error::from_raw_os_error(*source as i32))
            }
        }
    }
}

impl std::error::Error for StreamError {}

impl Patience {
    fn limit_idle(&mut self, idle: Duration) {
        self.idle = Some(self.idle.map_or(idle, |before| before.min(idle)));
    }

    fn wait(&self, fd: BorrowedFd<'_>, writing: bool) -> Result<(), StreamError> {
        let began = Instant::now();
        loop {
            if self.stop.load(Ordering::Relaxed) {
                return Err(StreamError::Stopped);
            }
            let now = Instant::now();
            if self.until.is_some_and(|until| now >= until) {
                return Err(StreamError::Idle(0));
            }
            if let Some(idle) = self.idle.filter(|idle| now - began >= *idle) {
                return Err(StreamError::Idle(idle.as_secs()));
            }
            let left = self.idle.map_or(NAP, |idle| NAP.min(idle)).max(Duration::from_millis(1));
            let ready = sys::stream::wait(fd, writing, left);
            if ready.map_err(|source| StreamError::Failed { op: "wait for the peer", source })? {
                return Ok(());
            }
        }
    }
}

fn lost(op: &'static str) -> impl Fn(Errno) -> StreamError {
    move |source| match source {
        Errno::EPIPE | Errno::ECONNRESET => StreamError::Closed,
        source => StreamError::Failed { op, source },
    }
}

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

    /// Ends the connection after a silence of `idle`, or of what was set before if that is shorter.
    pub fn limit_idle(&mut self, idle: Duration) {
        self.patience.limit_idle(idle);
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

/// BLAKE3 over pieces, keyed or not.
#[derive(Clone, Debug)]
pub struct FileHasher(blake3::Hasher);

impl FileHasher {
    /// Keyed with `key`, if there is one.
    #[must_use]
    pub fn new(key: Option<&[u8; 32]>) -> FileHasher {
        FileHasher(key.map_or_else(blake3::Hasher::new, blake3::Hasher::new_keyed))
    }

    /// Adds the next piece.
    pub fn update(&mut self, piece: &[u8]) {
        self.0.update(piece);
    }

    /// Adds `len` zero bytes.
    pub fn zeros(&mut self, mut len: u64) {
        const ZEROS: [u8; 16 << 10] = [0; 16 << 10];
        while len > 0 {
            let n = len.min(ZEROS.len() as u64);
            self.0.update(ZEROS.get(..usize::try_from(n).unwrap_or(0)).unwrap_or_default());
            len -= n;
        }
    }

    /// The digest of everything added.
    #[must_use]
    pub fn finish(&self) -> Digest {
        Digest(*self.0.finalize().as_bytes())
    }
}

/// Makes `len` bytes of `file` at `off` read as zeros: a hole, where old bytes may be in the way.
///
/// # Errors
///
/// The filesystem cannot, or has no room.
pub fn clear(file: BorrowedFd<'_>, off: u64, len: u64) -> Result<(), Errno> {
    match sys::fallocate::punch_hole(file, off, len) {
        Err(Errno::EOPNOTSUPP | Errno::ENOSYS) => {}
        done => return done,
    }
    let zeros = vec![0; BUFFER_BYTES];
    let mut done = 0;
    while done < len {
        let n = usize::try_from(len - done).unwrap_or(BUFFER_BYTES).min(BUFFER_BYTES);
        done += sys::pio::pwrite(file, zeros.get(..n).unwrap_or_default(), off + done)? as u64;
    }
    Ok(())
}

/// Reads up to `len` bytes of `file` at `off`; fewer, where it ends.
///
/// # Errors
///
/// As `pread(2)`.
pub fn read_at(file: BorrowedFd<'_>, off: u64, len: usize, ledger: &Ledger) -> Result<Vec<u8>, Errno> {
    let mut bytes = vec![0; len];
    let mut done = 0;
    while done < len {
        match sys::pio::pread(file, bytes.get_mut(done..).unwrap_or_default(), off + done as u64)? {
            0 => break,
            n => {
                ledger.step(Rung::Buffered, n, len - done);
                done += n;
            }
        }
    }
    bytes.truncate(done);
    Ok(bytes)
}

/// Writes all of `bytes` to `file` at `off`.
///
/// # Errors
///
/// As `pwrite(2)`.
pub fn write_at(file: BorrowedFd<'_>, bytes: &[u8], off: u64, ledger: &Ledger) -> Result<(), Errno> {
    let mut storing = Storing { file: Some(file), result: Ok(()), ledger };
    storing.write(bytes, off);
    storing.result
}

/// Ends `file` after `len` bytes, the data being in place.
///
/// # Errors
///
/// As `ftruncate(2)`.
pub fn set_len(file: BorrowedFd<'_>, len: u64) -> Result<(), Errno> {
    sys::fallocate::ftruncate(file, len)
}

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

    /// As [`Outlet::limit_idle`].
    pub fn limit_idle(&mut self, idle: Duration) {
        self.patience.limit_idle(idle);
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

/// The file's side of [`Inlet::store`].
struct Storing<'a> {
    file: Option<BorrowedFd<'a>>,
    result: Result<(), Errno>,
    ledger: &'a Ledger,
}

impl Storing<'_> {
    /// Nothing more is written.
    fn over(&self) -> bool {
        self.file.is_none() || self.result.is_err()
    }

    fn write(&mut self, bytes: &[u8], at: u64) {
        let Some(file) = self.file.filter(|_| self.result.is_ok()) else { return };
        let mut done = 0;
        while done < bytes.len() {
            let rest = bytes.get(done..).unwrap_or_default();
            match sys::pio::pwrite(file, rest, at + done as u64) {
                Ok(n) if n > 0 => {
                    self.ledger.step(Rung::Buffered, n, rest.len());
                    done += n;
                }
                Ok(_) => return self.result = Err(Errno::EIO),
                Err(e) => return self.result = Err(e),
            }
        }
    }

    /// Empties the pipe into the file; `false`: the pipe is to be thrown away.
    fn drain(&mut self, pipe: &sys::splice::Pipe, at: u64, len: usize) -> bool {
        let Some(file) = self.file else { return false };
        let mut done = 0;
        while done < len {
            match sys::splice::drain(pipe, file, at + done as u64, len - done) {
                Ok(n) if n > 0 => done += n,
                Ok(_) => {
                    self.result = Err(Errno::EIO);
                    return false;
                }
                Err(e) => {
                    self.result = Err(e);
                    return false;
                }
            }
        }
        true
    }
}
