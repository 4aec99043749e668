//! FLOOR 3. Two listings in, ordered actions out. Changes nothing.

use std::ffi::OsString;

/// When surplus entries are deleted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Delete {
    /// Not at all.
    #[default]
    Off,
    /// `--delete-before`.
    Before,
    /// `--delete-during`, which `--delete` means.
    During,
    /// `--delete-delay`: found during, deleted after.
    Delay,
    /// `--delete-after`: found and deleted after.
    After,
}

/// What symbolic links in the source become.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Links {
    /// `-l`: symbolic links are copied as such.
    pub preserve: bool,
    /// `-L`: what they point to is copied.
    pub copy_all: bool,
    /// `--copy-unsafe-links`.
    pub copy_unsafe: bool,
    /// `--safe-links`.
    pub safe: bool,
    /// `-k`: links to directories only.
    pub copy_dirlinks: bool,
    /// `-K`: a destination link to a directory is used as a directory.
    pub keep_dirlinks: bool,
}

/// What is in the transfer, and what counts as a difference.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[allow(clippy::struct_excessive_bools)] // they are rsync's switches
pub struct Options {
    /// `-r`.
    pub recursive: bool,
    /// `-d`: directories without their contents.
    pub dirs: bool,
    /// Symbolic links.
    pub links: Links,
    /// `-H`.
    pub hard_links: bool,
    /// `-p`.
    pub perms: bool,
    /// `-t`.
    pub times: bool,
    /// `-O`: not for directories.
    pub omit_dir_times: bool,
    /// `-J`: not for links.
    pub omit_link_times: bool,
    /// `-o`, where permitted.
    pub owner: bool,
    /// `-g`.
    pub group: bool,
    /// `--devices`.
    pub devices: bool,
    /// `--specials`.
    pub specials: bool,
    /// `-c`.
    pub checksum: bool,
    /// `--size-only`.
    pub size_only: bool,
    /// `-I`.
    pub ignore_times: bool,
    /// `-u`.
    pub update: bool,
    /// `--existing`.
    pub existing: bool,
    /// `--ignore-existing`.
    pub ignore_existing: bool,
    /// `--modify-window` in seconds; -1 compares nanoseconds.
    pub modify_window: i64,
    /// How often `-x` was given: 1 leaves out what lies on another filesystem, 2 its mount points too.
    pub one_file_system: u8,
    /// `--delete*`.
    pub delete: Delete,
    /// `--delete-excluded`.
    pub delete_excluded: bool,
    /// `--force`.
    pub force: bool,
    /// `--ignore-errors`.
    pub ignore_errors: bool,
    /// `--max-size` in bytes.
    pub max_size: Option<u64>,
    /// `--min-size` in bytes.
    pub min_size: Option<u64>,
    /// `-m`.
    pub prune_empty_dirs: bool,
    /// `--numeric-ids`.
    pub numeric_ids: bool,
    /// `--chmod`, in order; parsed by [`chmod::parse`].
    pub chmod: Vec<chmod::Rule>,
    /// `--temp-dir` and `--backup-dir` inside the destination are not transferred: their names as typed.
    pub own_dirs: Vec<OsString>,
}

pub mod chmod;
mod cvs;
pub mod filter;
mod merge;
mod pattern;
mod prefix;
mod rules;
mod scope;
