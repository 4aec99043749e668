//! Munged links (`--munge-links`, `munge symlinks`): stored with [`MUNGED`] before their text, so that they lead
//! nowhere; told and sent without it.

use super::Links;
use super::entry::Entry;
use crate::event::{LinkText, Note};
use crate::path::{Attrs, Kind, RelPath, operand};
use crate::sys::Errno;

/// What is before the text of a munged link.
pub const MUNGED: &[u8] = b"/rsyncd-munged/";

/// Whether a munged link could lead somewhere: there is a directory where all of them lead, or a link, which may
/// lead to one.
#[must_use]
pub fn is_unsafe() -> bool {
    match operand::open_dir("/rsyncd-munged".as_ref()) {
        Err(e) => !matches!(e.source, Errno::ENOENT | Errno::ENOTDIR),
        Ok(_) => true,
    }
}

/// The text of a link as it is sent by a side that has munged ones.
#[must_use]
pub fn unmunged(text: &[u8]) -> &[u8] {
    text.strip_prefix(MUNGED).unwrap_or(text)
}

/// Has a link that is received be as it is to be stored. `--safe-links` is the receiver's, and looks at that: it
/// leaves out every munged link. `path` is the entry's.
pub fn receive(links: &Links, entry: &mut Entry, path: impl Fn() -> RelPath) {
    let Some(text) = entry.link.take() else { return };
    let munged = [MUNGED, &text[..]].concat();
    if links.safe && entry.skipped.as_deref().is_none_or(|note| matches!(note, Note::UnsafeLink(..))) {
        entry.skipped = Some(Box::new(Note::UnsafeLink(path(), munged.clone())));
    }
    entry.attrs.size = munged.len() as u64;
    entry.link = Some(munged.into());
}

/// What is shown of a link that is stored as `text`, and of its attributes.
#[must_use]
pub fn shown(text: &[u8], attrs: &Attrs) -> (LinkText, Attrs) {
    let own = unmunged(text);
    let size = if attrs.kind == Kind::Symlink { own.len() as u64 } else { attrs.size };
    (LinkText::Symlink(own.to_vec()), Attrs { size, ..*attrs })
}
