//! The quick check, and which attributes differ: one source entry against what the destination has.

use super::attached::Differs;
use super::entry::Entry;
use super::{Append, Context, Options};
use crate::event::{Change, Note, Update};
use crate::path::{Attrs, Kind, RelPath, Time};

/// What is to be done with an entry.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Decision {
    /// Nothing, and it is not even counted as unchanged: an option says so.
    Skip(Box<Note>),
    /// Nothing: it is as it should be.
    Unchanged,
    /// The data is right; the attributes that `Change` names are set.
    Attributes(Change),
    /// A regular file's data is transferred.
    Transfer(Change),
    /// A regular file's data is copied from a basis directory.
    Copy(Change),
    /// It becomes another name of what a basis directory has.
    Link,
    /// A basis directory has it, so the destination is not to.
    Elsewhere,
    /// A directory, link or node is made (in place of what has its name).
    Make(Change),
}

impl Decision {
    /// Whether it is left alone because `--append` has nothing to add to it.
    #[must_use]
    pub fn is_not_shorter(&self) -> bool {
        matches!(self, Decision::Skip(note) if matches!(**note, Note::NotShorter(_)))
    }
}

/// What the destination knows about an entry beyond its attributes, asked only where it matters.
pub trait Closer {
    /// Whether source and destination hold the same data (`--checksum`). An error counts as "no".
    fn same_data(&mut self) -> bool;
    /// The text of the destination's symbolic link; `None` where it cannot be read.
    fn dest_link(&mut self) -> Option<Vec<u8>>;
    /// In what the extended attributes and access control lists differ, as far as they are kept.
    fn attached(&mut self) -> Differs;
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
    if let Some(note) = skip(cx, source, dest, &path) {
        return Decision::Skip(Box::new(note));
    }
    // Devices of either type are of one kind, and so are special files, as with rsync.
    let alike = |dest: Kind| {
        dest == source.kind
            || dest.is_device() && source.kind.is_device()
            || dest.is_special() && source.kind.is_special()
            || options.writes_into(source.kind, dest)
    };
    let same_kind = dest.filter(|dest| alike(dest.kind));
    let Some(dest) = same_kind else {
        let update = if source.kind == Kind::File { Update::Received } else { Update::Created };
        let change = Change { update, new: true, ..Change::NONE };
        return if source.kind == Kind::File { Decision::Transfer(change) } else { Decision::Make(change) };
    };
    let mut change = attributes(cx, source, dest);
    let Differs { acl, xattrs } = closer.attached();
    change = Change { acl, xattrs, ..change };
    // What is made anew has nothing attached yet, and what is attached to it then is no news, as with rsync.
    let anew = |change: Change| Change { acl: false, xattrs: has_xattrs(cx, entry), ..change };
    match source.kind {
        Kind::File => {
            let same = data_unchanged(options, source, dest, closer);
            if !same && options.append != Append::Off && dest.size >= source.size {
                // There is nothing to add, and what is there is not to be replaced: not even attributes are set.
                return Decision::Skip(Box::new(Note::NotShorter(path())));
            }
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
            return Decision::Make(anew(change));
        }
        kind if kind != dest.kind || kind.is_device() && source.rdev != dest.rdev => {
            change.update = Update::Created;
            change.content = true;
            renewed(options, source.kind, &mut change);
            return Decision::Make(anew(change));
        }
        _ => {}
    }
    of_attributes(options, source, dest, change)
}

/// What is to be done with an entry whose data is right, where `change` says in which attributes it differs.
#[must_use]
pub fn of_attributes(options: &Options, source: &Attrs, dest: &Attrs, mut change: Change) -> Decision {
    if change.acl && source.kind != Kind::Dir {
        // The permission bits are part of the list that is set.
        change.perms &= (source.mode ^ dest.mode) & 0o7000 != 0;
    }
    if change.is_none() && !drifted(options, source, dest) {
        Decision::Unchanged
    } else {
        Decision::Attributes(change)
    }
}

/// Whether the entry has extended attributes that are the receiving side's business.
#[must_use]
pub fn has_xattrs(cx: &Context<'_>, entry: &Entry) -> bool {
    let told = entry.attached.iter().flat_map(|attached| attached.xattrs.iter().flatten());
    told.map(|one| &one.name).any(|name| cx.touches_xattr(name))
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

/// Whether the options have entries of this kind keep their access times.
#[must_use]
pub fn keeps_atime(options: &Options, kind: Kind) -> bool {
    options.atimes && kind != Kind::Dir && !(kind == Kind::Symlink && options.omit_link_times)
}

/// Whether a time that counts as equal is set all the same: that of a file whose content was compared, to
/// the nanosecond, as rsync does. It is no difference to show. Neither is the access time of a link.
#[must_use]
pub fn drifted(options: &Options, source: &Attrs, dest: &Attrs) -> bool {
    drifted_mtime(options, source, dest)
        // What was read to be compared has been accessed.
        || options.checksum && options.atimes && source.kind == Kind::File
        || source.kind == Kind::Symlink && accessed(options, source, dest)
}

/// Whether the modification time has drifted; see [`drifted`].
#[must_use]
pub fn drifted_mtime(options: &Options, source: &Attrs, dest: &Attrs) -> bool {
    let stored = as_stored(source.mtime, dest.mtime);
    options.checksum && options.times && source.kind == Kind::File && stored != dest.mtime
}

/// Whether access times are kept and differ: by whole seconds and more than `--modify-window`, whatever its sign.
#[must_use]
pub fn accessed(options: &Options, source: &Attrs, dest: &Attrs) -> bool {
    let window = options.modify_window.max(0).unsigned_abs();
    keeps_atime(options, source.kind)
        && as_stored(source.atime, dest.atime).sec.abs_diff(dest.atime.sec) > window
}

/// The mode that an existing file has from now on, where modes are not kept: its own, but that with `-E` it is
/// executable if the source is. Then each one may execute it who may read it.
#[must_use]
pub fn kept_mode(options: &Options, source: &Attrs, dest: &Attrs) -> u32 {
    let executable = |attrs: &Attrs| attrs.mode & 0o111 != 0;
    if !options.executability || source.kind != Kind::File || executable(source) == executable(dest) {
        return dest.mode;
    }
    if executable(source) { dest.mode | (dest.mode & 0o444) >> 2 } else { dest.mode & !0o111 }
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
        return Some(Note::NotCreated(path(), source.kind));
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
        if options.oldest.is_some_and(|oldest| source.mtime < oldest) {
            return Some(Note::TooOld(path()));
        }
        if options.youngest.is_some_and(|youngest| source.mtime > youngest) {
            return Some(Note::TooYoung(path()));
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

/// Whether the source's data counts as that of `dest`, by the options that say what counts.
pub(super) fn data_unchanged(
    options: &Options,
    source: &Attrs,
    dest: &Attrs,
    closer: &mut dyn Closer,
) -> bool {
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

/// Whether the destination's time counts as the source's under `--modify-window`: whole seconds, unless it
/// is negative.
#[must_use]
pub fn same_time(options: &Options, source: Time, dest: Time) -> bool {
    let source = as_stored(source, dest);
    if options.modify_window < 0 {
        return source == dest;
    }
    source.sec.abs_diff(dest.sec) <= options.modify_window.unsigned_abs()
}

/// The first and the last second that filesystems hold; a time beyond is stored as the nearest of
/// them, and without nanoseconds.
/// Measured on Linux 6.18: ext4 and XFS from 1901; ext4 to 2446, with small inodes to 2038; XFS to 2486.
const TIME_LIMITS: [i64; 4] = [-2_147_483_648, 2_147_483_647, 15_032_385_535, 16_299_260_424];

/// The source's time as the destination has stored it: what a filesystem cannot hold is not set again, and
/// its file not copied again, with every run.
fn as_stored(source: Time, dest: Time) -> Time {
    let beyond = |limit: &i64| match dest.sec == *limit {
        true if *limit < 0 => source.sec <= *limit,
        true => source.sec >= *limit,
        false => false,
    };
    if dest.nsec == 0 && TIME_LIMITS.iter().any(beyond) { dest } else { source }
}

/// The attributes that the options preserve and in which the two differ.
#[must_use]
pub fn attributes(cx: &Context<'_>, source: &Attrs, dest: &Attrs) -> Change {
    let options = cx.options;
    Change {
        time: keeps_time(options, source.kind) && !same_time(options, source.mtime, dest.mtime),
        perms: match options.perms {
            true => (source.kind != Kind::Symlink || options.fakes.dest) && source.mode != dest.mode,
            false => kept_mode(options, source, dest) != dest.mode,
        },
        owner: options.owner && source.uid != dest.uid && cx.may_chown(),
        group: options.group && source.gid != dest.gid && cx.may_chgrp(source.gid),
        atime: source.kind != Kind::Symlink && accessed(options, source, dest),
        ..Change::NONE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same(window: i64, source: i64, dest: i64) -> bool {
        let at = |sec| Time { sec, nsec: 0 };
        same_time(&Options { modify_window: window, ..Options::default() }, at(source), at(dest))
    }

    #[test]
    fn a_time_beyond_what_a_filesystem_stores_equals_the_nearest_that_it_stores() {
        for window in [0, -1, 5] {
            assert!(same(window, 1 << 40, i64::from(i32::MAX)));
            assert!(same(window, 16_300_000_000, 16_299_260_424));
            assert!(same(window, -(1 << 40), i64::from(i32::MIN)));
        }
    }

    #[test]
    fn other_times_differ_as_the_window_says() {
        assert!(!same(0, i64::from(i32::MAX) - 1, i64::from(i32::MAX)));
        assert!(!same(0, 1 << 40, i64::from(i32::MAX) - 1));
        assert!(!same(0, i64::from(i32::MIN) + 1, i64::from(i32::MIN)));
        assert!(same(1, 100, 101) && !same(1, 100, 102) && same(-1, 100, 100));
    }
}
