//! Who writes down what a server does: its daemon, or the log that its client has it keep (`-M --log-file`).

use std::ffi::OsString;

use serde::{Deserialize, Serialize};

use super::{Options, module};
use crate::event::{Change, Event, Item, Update};
use crate::path::{Attrs, RelPath};
use crate::wire::Role;

/// Decides about options, and is told what happens, on the side of the server.
pub trait Watch: std::fmt::Debug + Send + Sync {
    /// Why the client may not have these options, this side playing `role`; `None`: it may.
    fn refuses(&self, role: Role, options: &Options) -> Option<String>;

    /// Something was refused after the login.
    fn refused(&self, why: &str);

    /// Something has happened: `path` is that of the entry in the module.
    fn happened(&self, path: &RelPath, event: &Event);

    /// Whether the client is told of it.
    fn tells(&self, event: &Event) -> bool;

    /// The session came to its end: the bytes of the connection in both directions, and those of all files in
    /// the transfer.
    fn ended(&self, sent: u64, received: u64, total: u64);
}

impl dyn Watch {
    /// A file is sent: `typed` in the module or as an operand names it, `path` in the transfer.
    pub(super) fn sends(&self, typed: &[u8], path: &RelPath, attrs: Attrs) {
        let item = Item {
            path: path.clone(),
            source: typed.to_vec(),
            attrs,
            change: Change { update: Update::Sent, ..Change::NONE },
            link: None,
            moved: attrs.size,
            digest: None,
        };
        self.happened(&module::place(typed).unwrap_or_else(RelPath::root), &Event::Item(item));
    }
}

/// A log that the client has the server keep.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LogFile {
    /// Where, as typed: below the directory in which the remote shell begins.
    pub path: OsString,
    /// The format of a line for an entry (`--log-file-format`); `None` for the default.
    pub format: Option<Vec<u8>>,
    /// What does not differ has a line too (`-ii`).
    pub unchanged: bool,
    /// Entries have lines at all: in a dry run they have none there.
    pub entries: bool,
}
