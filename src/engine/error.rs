//! Why a copy did not come to its end.

use std::fmt;

use crate::sys::Errno;

/// Why a copy stopped; it always says how much had been moved.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CopyError {
    /// A call failed.
    Failed {
        /// The call, as for a message: `write` …
        op: &'static str,
        /// The kernel's answer.
        source: Errno,
        /// Bytes that were moved before.
        moved: u64,
    },
    /// The policy leaves no rung: what `--zero-copy=always` or `--reflink=always` demands cannot be had here.
    NoWay {
        /// The demand, as for a message: `reflink`, `zero-copy`.
        op: &'static str,
        /// The kernel's answer to the last rung that was tried; `EOPNOTSUPP` where none was.
        source: Errno,
        /// Bytes that were moved before.
        moved: u64,
    },
    /// [`Pace`](super::Pace) asked to stop.
    Interrupted {
        /// Bytes that were moved before.
        moved: u64,
    },
}

impl CopyError {
    /// Bytes that were moved before the copy stopped.
    #[must_use]
    pub fn moved(&self) -> u64 {
        match self {
            CopyError::Failed { moved, .. }
            | CopyError::NoWay { moved, .. }
            | CopyError::Interrupted { moved } => *moved,
        }
    }
}

impl fmt::Display for CopyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CopyError::Failed { op, source, .. } | CopyError::NoWay { op, source, .. } => {
                write!(f, "{op}: {}", std::io::Error::from_raw_os_error(*source as i32))
            }
            CopyError::Interrupted { .. } => f.write_str("interrupted"),
        }
    }
}

impl std::error::Error for CopyError {}

/// A call that failed and how, before the count is known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Failure {
    /// The call.
    pub op: &'static str,
    /// Its answer.
    pub errno: Errno,
}

/// Names the call whose error this is: `.map_err(failed("write"))`.
pub(super) fn failed(op: &'static str) -> impl Fn(Errno) -> Failure {
    move |errno| Failure { op, errno }
}
