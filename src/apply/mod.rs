//! FLOOR 4. One action below a root becomes one result: file, node, backup, removal. No sockets.

use std::ffi::OsString;

/// How actions are carried out.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[allow(clippy::struct_excessive_bools)] // they are rsync's switches
pub struct Options {
    /// `--verify`: hash source and destination before the rename.
    pub verify: bool,
    /// `--inplace`.
    pub inplace: bool,
    /// `--partial`: keep what was copied when interrupted.
    pub partial: bool,
    /// `--fsync`.
    pub fsync: bool,
    /// `-b`.
    pub backup: bool,
    /// `--backup-dir`, as typed.
    pub backup_dir: Option<OsString>,
    /// `--suffix`.
    pub suffix: Vec<u8>,
    /// `-T`, as typed.
    pub temp_dir: Option<OsString>,
    /// `--remove-source-files`.
    pub remove_source_files: bool,
    /// `--max-delete`.
    pub max_delete: Option<u64>,
    /// `--bwlimit` in bytes per second.
    pub bwlimit: Option<u64>,
}
