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
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

pub use contents::{clear, copy_range, read_at, set_len, write_at};
pub use inlet::Inlet;
pub use outlet::Outlet;

use crate::sys::{self, Errno};

mod contents;
mod inlet;
mod outlet;

/// 32 random bytes that nobody can guess: they make a session's hello a new one.
///
/// # Errors
///
/// The kernel has none.
pub fn nonce() -> Result<[u8; 32], StreamError> {
    sys::random::bytes().map_err(|source| StreamError::Failed { op: "get random bytes", source })
}

/// The connection of a process that a remote shell has started: descriptors of its own for standard input and
/// output. Nothing but the connection may be written to standard output from then on.
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
    /// Nothing came, or could be sent, for so many seconds; 0: not by [`Patience::until`].
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
            StreamError::Idle(0) => f.write_str("timeout: it took too long"),
            StreamError::Idle(seconds) => write!(f, "timeout: nothing moved for {seconds} seconds"),
            StreamError::Failed { op, source } => {
                write!(f, "{op}: {}", std::io::Error::from_raw_os_error(*source as i32))
            }
        }
    }
}

impl std::error::Error for StreamError {}

impl Patience {
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
