//! The stable names of kinds, updates, severities and notes in `--json`. They are added to, never changed.

use crate::event::{Note, Severity, Update};
use crate::path::Kind;

/// The name of a kind.
#[must_use]
pub fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::File => "file",
        Kind::Dir => "directory",
        Kind::Symlink => "symlink",
        Kind::CharDevice => "char_device",
        Kind::BlockDevice => "block_device",
        Kind::Fifo => "fifo",
        Kind::Socket => "socket",
    }
}

/// The name of an update.
#[must_use]
pub fn update(update: Update) -> &'static str {
    match update {
        Update::Attributes => "attributes",
        Update::Received => "received",
        Update::Sent => "sent",
        Update::Created => "created",
        Update::HardLink => "hard_link",
    }
}

/// The name of a severity.
#[must_use]
pub fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Vanished => "vanished",
        Severity::ZeroCopy => "zero_copy",
        Severity::Unverified => "unverified",
        Severity::Locked => "locked",
        Severity::Partial => "partial",
        Severity::DeleteLimit => "delete_limit",
        Severity::Syntax => "syntax",
        Severity::FileIo => "file_io",
        Severity::FileSelection => "file_selection",
        Severity::Refused => "refused",
    }
}

/// The name of a note.
#[must_use]
pub fn note(note: &Note) -> &'static str {
    match note {
        Note::CreatedDestination(..) => "created_destination",
        Note::SkippingDirectory(_) => "skipping_directory",
        Note::SkippingNonRegular(_) => "skipping_non_regular",
        Note::UnsafeLink(..) => "unsafe_link",
        Note::CopyingUnsafeLink(..) => "copying_unsafe_link",
        Note::NotCreated(..) => "not_created",
        Note::Exists(_) => "exists",
        Note::Newer(_) => "newer",
        Note::OverMaxSize(_) => "over_max_size",
        Note::UnderMinSize(_) => "under_min_size",
        Note::NotShorter(_) => "not_shorter",
        Note::MountPoint(_) => "mount_point",
        Note::MountPointKept(_) => "mount_point_kept",
        Note::Hidden(..) => "hidden",
        Note::Protected(..) => "protected",
        Note::DeletionSkippedIoError => "deletion_skipped_io_error",
        Note::DeletionsStopped(_) => "deletions_stopped",
        Note::NotEmpty(_) => "not_empty",
        Note::BackedUp(..) => "backed_up",
        Note::RemovedSource(_) => "removed_source",
        Note::DestinationInsideSource(_) => "destination_inside_source",
        Note::SourceInsideDestination(_) => "source_inside_destination",
        Note::UnknownName(..) => "unknown_name",
        Note::UnusableBasis(..) => "unusable_basis",
        Note::TooOld(_) => "too_old",
        Note::TooYoung(_) => "too_young",
        Note::WaitingForLock(_) => "waiting_for_lock",
        Note::BatchOption(..) => "batch_option",
        Note::BatchSkipped(_) => "batch_skipped",
    }
}
