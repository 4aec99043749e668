//! Frames over a connection's two ends, sealed where the session has a key.

mod lost;
mod reader;
mod writer;

use std::time::Duration;

pub use self::lost::LinkError;
pub(super) use self::lost::Lost;
pub use self::reader::{Frame, FrameReader};
pub use self::writer::FrameWriter;
use crate::wire::frame::{HEADER_LEN, SIZE_LEN};

/// Silence after which a side that has nothing to say shows that it is alive.
const QUIET: Duration = Duration::from_secs(20);

/// How long a side is silent at most, where one of so long (`--timeout`) ends the session.
#[must_use]
pub fn quiet(timeout: Option<Duration>) -> Duration {
    timeout.map_or(QUIET, |timeout| QUIET.min(timeout / 3))
}

/// Whether there is nothing to write, as `empty` says, although others have had the chance to add something: on
/// a machine with more to do than processors, messages then travel many to a frame.
pub(super) fn idle(empty: impl Fn() -> bool) -> bool {
    if empty() {
        std::thread::yield_now();
        return empty();
    }
    false
}

/// Bytes in front of what is packed: the frame's header, and the size.
pub const PACKED_FRONT: usize = HEADER_LEN + SIZE_LEN;
