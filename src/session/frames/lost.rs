//! Why a conversation is over.

use std::fmt;
use std::sync::atomic::Ordering;
use std::sync::{Mutex, PoisonError};

use crate::engine::stream::StreamError;
use crate::event::Meter;
use crate::sys::Errno;
use crate::wire::{Fatal, WireError};

/// Why a conversation is over.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LinkError {
    /// The connection is.
    Stream(StreamError),
    /// What the peer sent is not what the protocol allows.
    Wire(WireError),
    /// The peer gave up, with this exit status and for this reason.
    Fatal(u8, String),
    /// A thread that it needs could not be started.
    NoThread(Errno),
}

impl From<StreamError> for LinkError {
    fn from(e: StreamError) -> LinkError {
        LinkError::Stream(e)
    }
}

impl From<WireError> for LinkError {
    fn from(e: WireError) -> LinkError {
        LinkError::Wire(e)
    }
}

impl fmt::Display for LinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LinkError::Stream(e) => e.fmt(f),
            LinkError::Wire(e) => e.fmt(f),
            LinkError::NoThread(e) => {
                let e = std::io::Error::from_raw_os_error(*e as i32);
                write!(f, "start a thread: {e}; see the limits on processes (ulimit -u)")
            }
            LinkError::Fatal(_, text) => f.write_str(&crate::path::escape(text.as_bytes())),
        }
    }
}

impl std::error::Error for LinkError {}

/// Why a conversation was lost, where several threads may find out: the first knows, unless the peer itself
/// has said why.
#[derive(Default, Debug)]
pub(in crate::session) struct Lost(Mutex<Option<LinkError>>);

impl Lost {
    /// Notes why, and has whatever is under way given up: whoever waits for the peer waits no longer.
    pub(in crate::session) fn note(&self, e: LinkError, meter: &Meter) {
        let mut lost = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(e, LinkError::Fatal(..)) {
            *lost = Some(e);
        } else {
            lost.get_or_insert(e);
        }
        meter.stop.store(true, Ordering::Relaxed);
    }

    /// What the peer is to be told, if it may be there to hear it.
    pub(in crate::session) fn fatal(&self) -> Option<Fatal> {
        let lost = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (code, e) = match lost.as_ref()? {
            e @ LinkError::Wire(_) => (12, e),
            e @ LinkError::Stream(StreamError::Idle(_)) => (30, e),
            e @ LinkError::NoThread(_) => (14, e),
            LinkError::Stream(_) | LinkError::Fatal(..) => return None,
        };
        Some(Fatal { code, text: e.to_string() })
    }

    /// Why, if it was lost.
    pub(in crate::session) fn into_result(self) -> Result<(), LinkError> {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
    }
}
