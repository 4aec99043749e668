//! What the user asked to see: plain data, made by `resolve`, read by `report` and `progress`.
//!
//! `-v`, `--stats`, `--progress` and `--info` all end in the levels of [`Info`] and [`struct@Debug`]; whoever
//! prints asks those and nothing else. A level of 0 is silence.

use std::ffi::OsString;

/// How a run is shown.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(clippy::struct_excessive_bools)] // they are rsync's switches
pub struct Reporting {
    /// How often `-v` was given (after `--no-v`).
    pub verbose: u8,
    /// `--no-inc-recursive`: the list of files is called complete.
    pub whole_list: bool,
    /// The sources are on another machine.
    pub receiving: bool,
    /// `-q`: nothing but errors.
    pub quiet: bool,
    /// `--stderr=all`: everything goes to standard error.
    pub to_stderr: bool,
    /// How often `-i` was given; 2 shows unchanged entries too.
    pub itemize: u8,
    /// 0: digits only; 1 (the default): digits in groups; 2 (`-h`): units of 1000; 3 (`-hh`): of 1024.
    pub human: u8,
    /// The statistics at the end: 0 none, 1 the two lines of `-v`, 2 `--stats`, 3 with details. Equal to
    /// [`Info::stats`].
    pub stats: u8,
    /// Each file's progress is shown (`--progress`, `-P`, `--info=progress`). The progress of the whole
    /// run is level 2 of [`Info::progress`].
    pub progress: bool,
    /// What is told, by subject.
    pub info: Info,
    /// What is told about the inner workings, by subject.
    pub debug: Debug,
    /// The format of an entry's line: `--out-format`, else what `-i` means; `None` for plain names.
    pub out_format: Option<Vec<u8>>,
    /// `--log-file`, as typed.
    pub log_file: Option<OsString>,
    /// `--log-file-format`; `None` for the default.
    pub log_file_format: Option<Vec<u8>>,
    /// `--json`: one object a line instead of everything else.
    pub json: bool,
    /// `-8`: bytes above 127 are shown as they are, whatever the locale.
    pub eight_bit: bool,
    /// Entries are listed, not copied (`--list-only`, or a single operand).
    pub list_only: bool,
    /// `-n`.
    pub dry_run: bool,
    /// `--only-write-batch`.
    pub only_batch: bool,
    /// `--outbuf=line`: each line leaves at once.
    pub by_line: bool,
    /// `--exit-codes=extended`.
    pub extended_codes: bool,
}

/// The human-readable level without `-h`.
pub const DEFAULT_HUMAN: u8 = 1;

impl Default for Reporting {
    fn default() -> Reporting {
        Reporting {
            verbose: 0,
            whole_list: false,
            receiving: false,
            quiet: false,
            itemize: 0,
            human: DEFAULT_HUMAN,
            stats: 0,
            progress: false,
            info: Info::at_verbosity(0),
            debug: Debug::at_verbosity(0),
            out_format: None,
            to_stderr: false,
            log_file: None,
            log_file_format: None,
            json: false,
            eight_bit: false,
            list_only: false,
            dry_run: false,
            only_batch: false,
            by_line: false,
            extended_codes: false,
        }
    }
}

/// A word of `--info` or `--debug`.
#[derive(Debug)]
pub struct Word<L: 'static> {
    /// As typed, in lower case.
    pub name: &'static str,
    /// What it shows, for `--info=help`.
    pub help: &'static str,
    /// The verbosity that sets level 1, that which sets level 2, and so on.
    pub raised_at: &'static [u8],
    /// The word's level within all levels.
    pub level: fn(&mut L) -> &mut u8,
}

/// Declares a struct of levels together with the table of its words, so that neither can lack one.
macro_rules! levels {
    ($(#[$doc:meta])* $name:ident { $($word:ident: $help:literal, $raised:expr;)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
        pub struct $name {
            $(#[doc = concat!($help, ".")] pub $word: u8,)*
        }

        impl $name {
            /// Every word, in alphabetical order.
            pub const WORDS: &'static [Word<$name>] = &[
                $(Word { name: stringify!($word), help: $help, raised_at: &$raised, level: |l| &mut l.$word },)*
            ];

            /// The levels that so many `-v` stand for.
            #[must_use]
            pub fn at_verbosity(verbose: u8) -> $name {
                let mut levels = $name::default();
                for word in $name::WORDS {
                    let reached = word.raised_at.iter().filter(|&&at| at <= verbose).count();
                    *(word.level)(&mut levels) = u8::try_from(reached).unwrap_or(u8::MAX);
                }
                levels
            }

            /// Every word at `level`.
            #[must_use]
            pub fn all(level: u8) -> $name {
                let mut levels = $name::default();
                for word in $name::WORDS {
                    *(word.level)(&mut levels) = level;
                }
                levels
            }
        }
    };
}

levels! {
    /// What the user is told, by the words of `--info`.
    Info {
        backup: "Backups that were made", [2];
        copy: "Files copied from another place at the destination", [1];
        del: "Entries that were deleted", [1];
        flist: "Listing the source: 1) that it happens, 2) how far it is", [1];
        misc: "Notes that fit nowhere else: 1) few, 2) more", [1, 2];
        mount: "Mount points that were found or left out", [2];
        name: "Names of 1) changed, 2) unchanged entries", [1, 2];
        nonreg: "Entries left out because they are no regular files", [0];
        progress: "Progress of 1) each file, 2) the whole run", [];
        remove: "Source files removed after their transfer", [2];
        skip: "Files left out by an option, with 1) the option, 2) more", [2];
        stats: "Statistics: 1) two lines, 2) counts, 3) details", [1];
        symsafe: "Symbolic links left out as unsafe", [1];
    }
}

levels! {
    /// What is told about the inner workings, by the words of `--debug`.
    Debug {
        acl: "Access control lists", [3];
        backup: "How backups are made (1-2)", [3];
        bind: "Sockets that are bound", [2];
        chdir: "Changes of directory: there are none", [5];
        cmd: "Commands that are run (1-2)", [2, 4];
        connect: "Connections (1-2)", [2, 3];
        del: "Deletion (1-3)", [2, 3, 4];
        deltasum: "Comparing content by checksums (1-4)", [2, 3, 4, 5];
        dup: "Names that came twice", [2];
        exit: "The end of the run (1-3)", [3, 4];
        filter: "Filter rules as they match (1-3)", [2, 3];
        flist: "The listings (1-4)", [2, 3, 4, 5];
        fuzzy: "Similar files as a basis (1-2)", [3, 5];
        genr: "Deciding what is to be done", [3];
        hash: "Hash tables", [5];
        hlink: "Hard links (1-3)", [5];
        iconv: "Conversion of names (1-2)", [2, 4];
        io: "Reading and writing (1-4)", [];
        nstr: "What two sides agree on", [];
        own: "Owners and groups (1-2)", [3, 4];
        proto: "The protocol", [4];
        recv: "The receiving side", [3];
        send: "The sending side", [3];
        time: "Setting times (1-2)", [3, 4];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_v_only_nonregular_entries_are_told() {
        assert_eq!(Info::at_verbosity(0), Info { nonreg: 1, ..Info::default() });
        assert_eq!(Debug::at_verbosity(1), Debug::default());
    }

    #[test]
    fn second_v_adds_unchanged_names_and_skipped_files() {
        let info = Info::at_verbosity(2);
        assert_eq!((info.name, info.skip, info.misc, info.stats, info.progress), (2, 1, 2, 1, 0));
    }

    #[test]
    fn words_are_sorted_so_that_help_reads_well() {
        assert!(Info::WORDS.is_sorted_by_key(|w| w.name));
        assert!(Debug::WORDS.is_sorted_by_key(|w| w.name));
    }
}
