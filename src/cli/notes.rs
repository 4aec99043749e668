//! A note as the line that rsync prints for it, at the levels at which rsync prints it.

use crate::event::Note;
use crate::path::{Kind, RelPath};
use crate::sys::Errno;

use super::format::Format;
use super::reporting::Reporting;
use crate::session::selection::strip_slashes;

/// The line for `note`, unescaped, or nothing where the levels keep it silent.
#[must_use]
pub fn line(note: &Note, reporting: &Reporting) -> Option<Vec<u8>> {
    shown(note, reporting).then(|| text(note, reporting))
}

fn shown(note: &Note, reporting: &Reporting) -> bool {
    let Reporting { info, debug, .. } = reporting;
    let itemizes = || reporting.out_format.as_ref().is_some_and(|format| Format::parse(format).has(b'i'));
    match note {
        Note::CreatedDestination(..) => info.name >= 1 || itemizes(),
        Note::SkippingDirectory(_)
        | Note::DeletionSkippedIoError
        | Note::DeletionsStopped(_)
        | Note::NotEmpty(_)
        | Note::DestinationInsideSource(_)
        | Note::SourceInsideDestination(_)
        | Note::UnknownName(..)
        | Note::UnusableBasis(..)
        | Note::BatchSkipped(_)
        | Note::WaitingForLock(_) => true,
        Note::BatchOption(..) => info.misc >= 1,
        Note::SkippingNonRegular(_) => info.nonreg >= 1,
        Note::UnsafeLink(..) | Note::CopyingUnsafeLink(..) => info.symsafe >= 1,
        Note::NotCreated(..)
        | Note::Exists(_)
        | Note::Newer(_)
        | Note::OverMaxSize(_)
        | Note::UnderMinSize(_)
        | Note::TooOld(_)
        | Note::TooYoung(_) => info.skip >= 1,
        // rsync is silent about it.
        Note::NotShorter(_) => info.skip >= 2,
        Note::MountPoint(_) | Note::MountPointKept(_) => info.mount >= 1,
        Note::Hidden(..) | Note::Protected(..) => debug.filter >= 1,
        Note::BackedUp(..) => info.backup >= 1,
        Note::RemovedSource(_) => info.remove >= 1,
    }
}

fn text(note: &Note, reporting: &Reporting) -> Vec<u8> {
    match note {
        Note::CreatedDestination(typed, made) => created(&strip_slashes(typed), *made),
        Note::SkippingDirectory(path) => words(&[b"skipping directory ", path]),
        Note::SkippingNonRegular(path) => words(&[b"skipping non-regular file \"", name(path), b"\""]),
        Note::UnsafeLink(path, text) => {
            words(&[b"ignoring unsafe symlink \"", name(path), b"\" -> \"", text, b"\""])
        }
        Note::CopyingUnsafeLink(path, text) => {
            words(&[b"copying unsafe symlink \"", name(path), b"\" -> \"", text, b"\""])
        }
        Note::NotCreated(path, kind) => {
            let what: &[u8] = if *kind == Kind::Dir { b"directory" } else { b"file" };
            words(&[b"not creating new ", what, b" \"", name(path), b"\""])
        }
        Note::Exists(path) => words(&[name(path), b" exists"]),
        Note::Newer(path) => words(&[name(path), b" is newer"]),
        Note::OverMaxSize(path) => words(&[name(path), b" is over max-size"]),
        Note::UnderMinSize(path) => words(&[name(path), b" is under min-size"]),
        Note::NotShorter(path) => words(&[name(path), b" is not shorter"]),
        Note::MountPoint(path) => words(&[b"[sender] skipping mount-point dir ", name(path)]),
        Note::MountPointKept(path) => words(&[b"cannot delete mount point: ", name(path)]),
        Note::Hidden(path, is_dir, pattern) => filtered(b"[sender] hiding ", path, *is_dir, pattern),
        Note::Protected(path, is_dir, pattern) => {
            filtered(b"[generator] protecting ", path, *is_dir, pattern)
        }
        Note::DeletionSkippedIoError => words(&[b"IO error encountered -- skipping file deletion"]),
        Note::DeletionsStopped(left) => {
            let left = reporting_count(*left, reporting);
            words(&[b"Deletions stopped due to --max-delete limit (", left.as_bytes(), b" skipped)"])
        }
        Note::NotEmpty(path) => words(&[b"cannot delete non-empty directory: ", name(path)]),
        Note::BackedUp(path, backup) => words(&[b"backed up ", name(path), b" to ", backup]),
        Note::RemovedSource(path) => words(&[b"sender removed ", name(path)]),
        Note::DestinationInsideSource(path) => {
            words(&[b"skipping the destination, which lies inside the source: ", name(path)])
        }
        Note::SourceInsideDestination(path) => {
            words(&[b"skipping the source, which lies inside the destination: ", name(path)])
        }
        Note::UnknownName(option, name) => {
            words(&[b"Unknown ", option.as_bytes(), b" name on receiver: ", name])
        }
        Note::UnusableBasis(option, path, why) => {
            let why = match why {
                Errno::ENOENT => " arg does not exist: ".into(),
                Errno::ENOTDIR => " arg is not a dir: ".into(),
                e => format!(" arg cannot be used ({}): ", std::io::Error::from(*e)),
            };
            words(&[option.as_bytes(), why.as_bytes(), path])
        }
        Note::TooOld(path) => words(&[name(path), b" is too old"]),
        Note::TooYoung(path) => words(&[name(path), b" is too young"]),
        Note::BatchOption(option, on) => {
            let what: &[u8] = if *on { b"Setting" } else { b"Clearing" };
            words(&[what, b" the ", option.as_bytes(), b" option to match the batchfile."])
        }
        Note::BatchSkipped(path) => words(&[b"(Skipping batched update for \"", name(path), b"\")"]),
        Note::WaitingForLock(path) => words(&[b"waiting for another run to ", path]),
    }
}

fn created(path: &[u8], made: u32) -> Vec<u8> {
    match made {
        0 => words(&[b"created directory ", path]),
        1 => words(&[b"created 1 directory for ", path]),
        n => words(&[b"created ", n.to_string().as_bytes(), b" directories for ", path]),
    }
}

fn reporting_count(n: u64, reporting: &Reporting) -> String {
    super::number::Human::level(reporting.human).count(n)
}

fn filtered(what: &[u8], path: &RelPath, is_dir: bool, pattern: &[u8]) -> Vec<u8> {
    let kind: &[u8] = if is_dir { b"directory " } else { b"file " };
    words(&[what, kind, name(path), b" because of pattern ", pattern])
}

fn words(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

/// The path as messages show it: the root is `.`.
fn name(path: &RelPath) -> &[u8] {
    if path.is_root() { b"." } else { path.as_bytes() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::reporting::{Debug, Info};

    fn at_verbosity(verbose: u8) -> Reporting {
        let (info, debug) = (Info::at_verbosity(verbose), Debug::at_verbosity(verbose));
        Reporting { verbose, info, debug, ..Reporting::default() }
    }

    fn rel(path: &str) -> RelPath {
        RelPath::parse(path.as_bytes()).unwrap()
    }

    /// What rsync 3.5.0 printed, and the lowest number of `-v` at which it did.
    #[test]
    fn lines_seen_from_rsync_are_reproduced_at_their_level() {
        let seen: &[(Note, u8, &str)] = &[
            (Note::CreatedDestination(b"d1".to_vec(), 0), 1, "created directory d1"),
            (Note::CreatedDestination(b"d1".to_vec(), 1), 1, "created 1 directory for d1"),
            (Note::CreatedDestination(b"g5/x/y".to_vec(), 3), 1, "created 3 directories for g5/x/y"),
            (Note::SkippingDirectory(b".".to_vec()), 0, "skipping directory ."),
            (Note::SkippingNonRegular(rel("fifo")), 0, "skipping non-regular file \"fifo\""),
            (
                Note::UnsafeLink(rel("abs"), b"/etc/passwd".to_vec()),
                1,
                "ignoring unsafe symlink \"abs\" -> \"/etc/passwd\"",
            ),
            (
                Note::CopyingUnsafeLink(rel("abs"), b"/etc/passwd".to_vec()),
                1,
                "copying unsafe symlink \"abs\" -> \"/etc/passwd\"",
            ),
            (Note::NotCreated(rel("a.txt"), Kind::File), 2, "not creating new file \"a.txt\""),
            (Note::NotCreated(rel("p"), Kind::Fifo), 2, "not creating new file \"p\""),
            (Note::NotCreated(rel("d"), Kind::Dir), 2, "not creating new directory \"d\""),
            (Note::Exists(rel("a")), 2, "a exists"),
            (Note::Newer(rel("b")), 2, "b is newer"),
            (Note::OverMaxSize(rel("big")), 2, "big is over max-size"),
            (Note::UnderMinSize(rel("d/f")), 2, "d/f is under min-size"),
            (Note::MountPoint(rel("m")), 2, "[sender] skipping mount-point dir m"),
            (Note::MountPointKept(rel("m")), 2, "cannot delete mount point: m"),
            (Note::Hidden(rel("b"), false, b"b".to_vec()), 2, "[sender] hiding file b because of pattern b"),
            (
                Note::Protected(rel("gone/sub/keepme"), false, b"keepme".to_vec()),
                2,
                "[generator] protecting file gone/sub/keepme because of pattern keepme",
            ),
            (Note::DeletionSkippedIoError, 0, "IO error encountered -- skipping file deletion"),
            (Note::DeletionsStopped(2), 0, "Deletions stopped due to --max-delete limit (2 skipped)"),
            (Note::NotEmpty(rel("gone/sub")), 0, "cannot delete non-empty directory: gone/sub"),
            (Note::BackedUp(rel("b"), b"b.bak".to_vec()), 2, "backed up b to b.bak"),
            (Note::RemovedSource(rel("u/a")), 2, "sender removed u/a"),
        ];
        for (note, level, text) in seen {
            for verbose in 0..=3 {
                let expected = (verbose >= *level).then(|| text.as_bytes().to_vec());
                assert_eq!(line(note, &at_verbosity(verbose)), expected, "{note:?} at -v {verbose}");
            }
        }
    }

    #[test]
    fn itemizing_mentions_the_created_destination_without_v_and_a_list_of_names_does_not() {
        let told = |format: &[u8]| {
            let reporting = Reporting { out_format: Some(format.to_vec()), ..Reporting::default() };
            line(&Note::CreatedDestination(b"d/".to_vec(), 0), &reporting)
        };
        assert_eq!(told(b"%i %n").as_deref(), Some(&b"created directory d"[..]));
        assert_eq!((told(b"%n"), told(b"%%i"), told(b"")), (None, None, None));
    }
}
