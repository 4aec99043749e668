//! The quick check, and which attributes differ: one source entry against what the destination has.

use super::entry::Entry;
use super::{Context, Options};
use crate::event::{Change, Note, Update};
use crate::path::{Attrs, Kind, RelPath, Time};

/// What is to be done with an entry.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Decision {
    /// Nothing, and it is not even counted as unchanged: an option says so.
    Skip(Note),
    /// Nothing: it is as it should be.
    Unchanged,
    /// The data is right; the attributes that `Change` names are set.
    Attributes(Change),
    /// A regular file's data is transferred.
    Transfer(Change),
    /// A directory, link or node is made (in place of what has its name).
    Make(Change),
}

/// What the destination knows about an entry beyond its attributes, asked only where it matters.
pub trait Closer {
    /// Whether source and destination hold the same data (`--checksum`). An error counts as "no".
    fn same_data(&mut self) -> bool;
    /// The text of the destination's symbolic link; `None` where it cannot be read.
    fn dest_link(&mut self) -> Option<Vec<u8>>;
}

/// Decides about `entry`, whose transfer path is `path()`, against `dest`, the destination's entry of
/// that name.
pub fn decide(
    cx: &Context<'_>,
    entry: &Entry,
    dest: Option<&Attrs>,
    closer: &mut dyn Closer,
    path: impl Fn() -> RelPath,
) -> Decision {
    let options = cx.options;
    let source = &entry.attrs;
    if let Some(note) = skip(cx, source, dest, path) {
        return Decision::Skip(note);
    }
    let same_kind = dest.filter(|dest| dest.kind == source.kind);
    let Some(dest) = same_kind else {
        let update = if source.kind == Kind::File { Update::Received } else { Update::Created };
        let change = Change { update, new: true, ..Change::NONE };
        return if source.kind == Kind::File { Decision::Transfer(change) } else { Decision::Make(change) };
    };
    let mut change = attributes(cx, source, dest);
    match source.kind {
        Kind::File => {
            let same = data_unchanged(options, source, dest, closer);
            if !same {
                change.update = Update::Received;
                change.content = options.checksum;
                change.size = source.size != dest.size;
                renewed(options, source.kind, &mut change);
                return Decision::Transfer(change);
            }
        }
        Kind::Symlink if closer.dest_link().as_deref() != entry.link.as_deref() => {
            change.update = Update::Created;
            change.content = true;
            renewed(options, source.kind, &mut change);
            return Decision::Make(change);
        }
        Kind::CharDevice | Kind::BlockDevice if source.rdev != dest.rdev => {
            change.update = Update::Created;
            change.content = true;
            renewed(options, source.kind, &mut change);
            return Decision::Make(change);
        }
        _ => {}
    }
    if change.is_none() && !drifted(options, source, dest) {
        Decision::Unchanged
    } else {
        Decision::Attributes(change)
    }
}

/// Whether the options have entries of this kind keep their times.
#[must_use]
pub fn keeps_time(options: &Options, kind: Kind) -> bool {
    options.times
        && match kind {
            Kind::Dir => !options.omit_dir_times,
            Kind::Symlink => !options.omit_link_times,
            _ => true,
        }
}

/// Whether a time that counts as equal is set all the same: that of a file whose content was compared, to
/// the nanosecond, as rsync does. It is no difference to show.
#[must_use]
pub fn drifted(options: &Options, source: &Attrs, dest: &Attrs) -> bool {
    options.checksum && options.times && source.kind == Kind::File && source.mtime != dest.mtime
}

/// Shows the time of an entry that is made anew and does not keep the source's: with `--times` as a
/// difference (`--omit-link-times`), without as a moment of this run.
pub fn renewed(options: &Options, kind: Kind, change: &mut Change) {
    if !keeps_time(options, kind) {
        change.time = options.times;
        change.time_now = !options.times;
    }
}

/// The options that leave an entry alone whatever its attributes say.
fn skip(cx: &Context<'_>, source: &Attrs, dest: Option<&Attrs>, path: impl Fn() -> RelPath) -> Option<Note> {
    let options = cx.options;
    if options.existing && dest.is_none() {
        return Some(Note::NotCreated(path()));
    }
    if source.kind == Kind::Dir {
        let clash = dest.is_some_and(|dest| dest.kind != Kind::Dir);
        return (options.ignore_existing && clash).then(|| Note::Exists(path()));
    }
    if source.kind == Kind::File {
        if options.max_size.is_some_and(|max| source.size > max) {
            return Some(Note::OverMaxSize(path()));
        }
        if options.min_size.is_some_and(|min| source.size < min) {
            return Some(Note::UnderMinSize(path()));
        }
    }
    let dest = dest?;
    if options.ignore_existing {
        return Some(Note::Exists(path()));
    }
    let newer = options.update && source.kind == Kind::File && dest.kind == Kind::File && {
        let window = options.modify_window.max(0);
        let ahead = dest.mtime.sec.saturating_sub(source.mtime.sec);
        ahead > window || (options.modify_window < 0 && dest.mtime > source.mtime)
    };
    newer.then(|| Note::Newer(path()))
}

fn data_unchanged(options: &Options, source: &Attrs, dest: &Attrs, closer: &mut dyn Closer) -> bool {
    if source.size != dest.size {
        return false;
    }
    // rsync(1) has --checksum decide even where --ignore-times is on.
    if options.checksum {
        return closer.same_data();
    }
    // Nor does --ignore-times count where sizes alone are asked for.
    options.size_only || (!options.ignore_times && same_time(options, source.mtime, dest.mtime))
}

/// Whether two times count as equal under `--modify-window`: whole seconds, unless it is negative.
#[must_use]
pub fn same_time(options: &Options, a: Time, b: Time) -> bool {
    if options.modify_window < 0 {
        return a == b;
    }
    a.sec.abs_diff(b.sec) <= options.modify_window.unsigned_abs()
}

/// The attributes that the options preserve and in which the two differ.
#[must_use]
pub fn attributes(cx: &Context<'_>, source: &Attrs, dest: &Attrs) -> Change {
    let options = cx.options;
    Change {
        time: keeps_time(options, source.kind) && !same_time(options, source.mtime, dest.mtime),
        perms: options.perms && source.kind != Kind::Symlink && source.mode != dest.mode,
        owner: options.owner && source.uid != dest.uid && cx.may_chown(),
        group: options.group && source.gid != dest.gid && cx.may_chgrp(source.gid),
        ..Change::NONE
    }
}
