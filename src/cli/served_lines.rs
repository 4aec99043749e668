//! The lines about entries in a server's log: a daemon's `log format`, or `-M --log-file-format`.

use super::clock::Clock;
use super::entry::{deletion, is_unchanged};
use super::format::{Format, Subject};
use crate::event::{Item, Update};
use crate::path::{Kind, RelPath};

/// Decides which entries have a line, and makes it.
#[derive(Debug)]
pub struct ServedLines {
    sent: Format,
    received: Format,
    deleted: Format,
    silent: bool,
    unchanged: bool,
}

impl ServedLines {
    /// Lines in `format`, in which each letter in `known` stands for a text that is the same in every line, and
    /// `%o` for what is done. An empty format leaves deletions only; `unchanged`: one that itemizes has a line
    /// for what does not differ too.
    #[must_use]
    pub fn new(format: &[u8], known: &[(u8, &[u8])], unchanged: bool) -> ServedLines {
        let of = |operation: &[u8]| Format::parse_with(format, &[&[(b'o', operation)], known].concat());
        let (sent, received, deleted) = (of(b"send"), of(b"recv"), Format::parse_with(format, known));
        ServedLines { sent, received, deleted, silent: format.is_empty(), unchanged }
    }

    /// The line for an entry of the transfer, if it gets one; raw bytes.
    ///
    /// A format that itemizes has a line for every difference, another for file data that was moved.
    #[must_use]
    pub fn updated(&self, item: &Item, clock: &Clock) -> Option<Vec<u8>> {
        let format = if item.change.update == Update::Sent { &self.sent } else { &self.received };
        let moved = matches!(item.change.update, Update::Sent | Update::Received);
        let itemized = format.has(b'i') && (self.unchanged || !is_unchanged(item));
        let lined = !self.silent && (moved && item.attrs.kind == Kind::File || itemized);
        lined.then(|| format.render(Subject::Item(item), clock))
    }

    /// The line for a deletion; raw bytes.
    #[must_use]
    pub fn deleted(&self, path: &RelPath, kind: Kind, clock: &Clock) -> Vec<u8> {
        deletion(&self.deleted, Subject::Deleted(path, kind), clock)
    }
}
