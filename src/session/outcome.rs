//! `Outcome`: what was done with an entry, as it is told and counted.

use crate::apply::Failure;
use crate::event::{Change, Event, Item, LinkText, Note, Stats};
use crate::path::{Kind, RelPath};
use crate::plan::source::typed;
use crate::plan::visit::Planned;
use crate::plan::{Context, munge};

/// What was done with an entry.
#[derive(Debug)]
pub struct Outcome {
    /// What differed.
    pub change: Change,
    /// Bytes of data moved.
    pub moved: u64,
    /// BLAKE3 of the data, if known.
    pub digest: Option<[u8; 32]>,
    /// Its link text, if that is another than the entry's own.
    pub link: Option<LinkText>,
    /// Data was transferred.
    pub transferred: bool,
    /// It is told even if nothing differed.
    pub shown: bool,
}

impl Default for Outcome {
    fn default() -> Outcome {
        Outcome { change: Change::NONE, moved: 0, digest: None, link: None, transferred: false, shown: false }
    }
}

/// The event for an entry.
pub fn item(cx: &Context<'_>, planned: &Planned, path: &RelPath, prefix: &[u8], outcome: Outcome) -> Item {
    let text = planned.entry.link.as_deref();
    let (symlink, attrs) = match text.filter(|_| cx.options.links.munge && !cx.shows_munged) {
        Some(munged) => {
            let (text, attrs) = munge::shown(munged, &planned.entry.attrs);
            (Some(text), attrs)
        }
        None => (text.map(|text| LinkText::Symlink(text.to_vec())), planned.entry.attrs),
    };
    Item {
        path: path.clone(),
        source: typed(prefix, path),
        attrs,
        change: outcome.change,
        link: outcome.link.or(symlink),
        moved: outcome.moved,
        digest: outcome.digest,
    }
}

/// What there is to tell of a source that was to be removed.
pub(super) fn source_removed(removed: Result<(), Failure>, path: &RelPath) -> Option<Event> {
    match removed {
        Ok(()) => Some(Event::Note(Note::RemovedSource(path.clone()))),
        Err(Failure::Problem(problem)) => Some(Event::Problem(problem)),
        Err(Failure::Stopped) => None,
    }
}

impl Stats {
    /// Adds what became of one entry.
    pub(super) fn count(&mut self, outcome: &Outcome, size: u64, kind: Kind) {
        if outcome.change.new {
            self.created.add(kind);
        }
        if outcome.transferred {
            self.transferred += 1;
            self.transferred_size = self.transferred_size.saturating_add(size);
        }
    }

    /// Adds other figures to these.
    pub(super) fn add(&mut self, other: &Stats) {
        for (mine, theirs) in [
            (&mut self.files, &other.files),
            (&mut self.created, &other.created),
            (&mut self.deleted, &other.deleted),
        ] {
            mine.reg += theirs.reg;
            mine.dir += theirs.dir;
            mine.link += theirs.link;
            mine.dev += theirs.dev;
            mine.special += theirs.special;
        }
        self.transferred += other.transferred;
        // Of sparse files a few are enough for more than a number holds.
        self.total_size = self.total_size.saturating_add(other.total_size);
        self.transferred_size = self.transferred_size.saturating_add(other.transferred_size);
        self.list_seconds += other.list_seconds;
        self.io_error |= other.io_error;
    }
}
