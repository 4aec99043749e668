//! What the receiver of a session tells its sender.

use serde::{Deserialize, Serialize};

use super::Fatal;
use super::codec::{Flaw, Message, figures, list, require};
use super::entry::SIZE_MAX;
use crate::engine::LedgerSnapshot;
use crate::engine::digest::Digest;
use crate::event::{Ended, Event, Figures, Severity, Stats};

/// Most events of one message: decoded, they take 1 MiB at most beside their names.
pub const TOLD_MAX: usize = 4096;

/// How a wanted file is to be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum How {
    /// As the sender sees fit: by reference, where the kernel can.
    Kernel,
    /// Copied before it is sent: by reference, what arrived was not what was meant.
    Copying,
}

/// The beginning of a file that is there already.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Have {
    /// Its length in bytes, at least 1.
    pub len: u64,
    /// Its digest, keyed as those of whole files: if the source's first `len` bytes have another, the file is sent
    /// from 0. Without one they are not compared (`--append`): what follows them is sent, and the digest at the end is
    /// that of what was sent.
    pub digest: Option<Digest>,
}

/// A message to the sender.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum ToSender {
    /// The data of this entry, a regular file, is wanted.
    Want {
        /// The directory's number.
        dir: u32,
        /// The entry's place in the directory's whole listing, from 0.
        entry: u32,
        /// How it is to be read.
        how: How,
        /// What is there already.
        have: Option<Have>,
    },
    /// So many entries of listings are no longer held: as many more may be sent. At least 1.
    Took {
        /// How many; never more in all than were sent.
        entries: u32,
    },
    /// Nothing more will be wanted of this directory.
    DirDone {
        /// The directory's number.
        dir: u32,
    },
    /// The entry is at the destination, checked and named: its source may be removed.
    Stored {
        /// The directory's number.
        dir: u32,
        /// The entry's place in the directory's whole listing, from 0.
        entry: u32,
    },
    /// What the receiver did, in plan order, where the sender is the client. At most [`TOLD_MAX`].
    Told(#[serde(deserialize_with = "list::<_, _, TOLD_MAX>")] Vec<Event>),
    /// How far the receiver is, where the sender is the client and shows progress.
    Progress(Figures),
    /// Last but for [`super::ToReceiver::Bye`]: everything wanted has come, or is given up.
    Finished {
        /// The receiver's figures.
        stats: Stats,
        /// What its mechanisms moved.
        ledger: Box<LedgerSnapshot>,
        /// The worst thing that was reported, if any.
        worst: Option<Severity>,
        /// Whether it came to its end.
        ended: Ended,
    },
    /// The receiver gives up.
    Fatal(Fatal),
    /// The tree is to be listed, from the root on. Again only when the walk before has come to its end:
    /// numbers begin anew, and nothing of the earlier ones may be wanted any more.
    List {
        /// This walk compares by digests: with `--checksum` the sender reads what it lists. No other walk does,
        /// since reading changes access times, and the next walk would tell those.
        digests: bool,
    },
    /// The values of extended attributes that the listing told by their digests only are wanted.
    WantXattrs {
        /// The directory's number.
        dir: u32,
        /// The entry's place in the directory's whole listing, from 0; `None` for the directory itself.
        entry: Option<u32>,
    },
}

impl Message for ToSender {
    const TO: &'static str = "sender";
    const NAMES: &'static [&'static str] =
        &["Want", "Took", "DirDone", "Stored", "Told", "Progress", "Finished", "Fatal", "List", "WantXattrs"];

    fn check(&self) -> Result<(), Flaw> {
        match self {
            ToSender::Want { have: Some(have), .. } => {
                require((1..=SIZE_MAX).contains(&have.len), "have.len", "a beginning has 1 to 2^63 - 1 bytes")
            }
            ToSender::Took { entries } => require(*entries > 0, "entries", "none were taken"),
            ToSender::Finished { stats, .. } => figures(stats),
            ToSender::Fatal(fatal) => fatal.check(),
            _ => Ok(()),
        }
    }
}
