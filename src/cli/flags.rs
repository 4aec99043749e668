//! Every option once: its names, its value, its text, its effect.
//!
//! The parser ([`super::order`]), `--help`, the manual page and the completions are all made of
//! [`SECTIONS`]. An option that rsync has and sluice does not have yet is in [`LATER`], so that it can be
//! refused by name.
//!
//! Text: `help` is one line without a full stop. `more` is for the manual page: paragraphs apart by an
//! empty line, `` `bold` `` between backticks.

use std::ffi::OsStr;

use super::reporting::{Debug, Info};
use super::typed::{Recurse, RuleArg, Typed};
use super::{generate, value};
use crate::engine::{Holes, Reflink, ZeroCopy};
use crate::plan::Delete;

/// One option.
#[derive(Clone, Copy)]
pub struct Flag {
    /// The letter behind one dash.
    pub short: Option<char>,
    /// The word behind two dashes. An option has a letter, a word or both.
    pub long: Option<&'static str>,
    /// Other words for it that rsync takes, and this does.
    pub aliases: &'static [&'static str],
    /// What it takes, if anything.
    pub value: Option<Value>,
    /// Which of `--x` and `--no-x` exist, and which of them is shown.
    pub sign: Sign,
    /// What it does, in a line.
    pub help: &'static str,
    /// What else there is to say, for the manual page.
    pub more: &'static str,
    /// What it does to what was typed so far.
    pub effect: Effect,
}

/// Which forms of an option exist.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sign {
    /// Only `--x`.
    Plain,
    /// `--x`, and `--no-x` takes it back.
    Negatable,
    /// `--no-x` is the one that people type; `--x` takes it back.
    Negative,
}

/// What an option takes.
#[derive(Clone, Copy)]
pub struct Value {
    /// Its name in the texts.
    pub name: &'static str,
    /// What it is, for completion.
    pub hint: Hint,
    /// What the option means without a value; with it, a value must follow an `=`.
    pub missing: Option<&'static str>,
    /// The value that `--no-x` stands for.
    pub off: &'static str,
}

/// What a value is.
#[derive(Clone, Copy)]
pub enum Hint {
    /// Anything.
    Any,
    /// A file's name.
    File,
    /// A directory's name.
    Dir,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// Some of these words, with commas between them.
    SomeOf(fn() -> Vec<&'static str>),
}

/// What an option does.
#[derive(Clone, Copy)]
pub enum Effect {
    /// Turns something on, or with `--no-` off.
    Switch(fn(&mut Typed, bool)),
    /// Takes its value; an error is the message.
    Take(fn(&mut Typed, &OsStr) -> Result<(), String>),
    /// Nothing, on one machine.
    Nothing,
}

/// Options that belong together.
pub struct Section {
    /// Their heading.
    pub title: &'static str,
    /// They, in the order in which they are shown.
    pub flags: &'static [Flag],
}

impl Flag {
    /// The name by which the parser knows it.
    #[must_use]
    pub fn id(&self) -> String {
        self.long.map_or_else(|| self.short.unwrap_or_default().to_string(), str::to_owned)
    }

    /// Every word behind `--` that turns it on.
    pub fn words(&self) -> impl Iterator<Item = &'static str> {
        self.long.into_iter().chain(self.aliases.iter().copied())
    }

    /// Every word behind `--` that turns it off: `no-` before the words and before the letter.
    #[must_use]
    pub fn negative_words(&self) -> Vec<String> {
        if self.sign == Sign::Plain {
            return Vec::new();
        }
        self.words().map(|word| format!("no-{word}")).chain(self.short.map(|c| format!("no-{c}"))).collect()
    }

    const fn no(mut self) -> Flag {
        self.sign = Sign::Negatable;
        self
    }

    /// Like [`Flag::no`], for an option with a value: `--no-x` is `--x=off`.
    const fn no_is(mut self, off: &'static str) -> Flag {
        if let Some(value) = &mut self.value {
            value.off = off;
        }
        self.no()
    }

    const fn only_no(mut self) -> Flag {
        self.sign = Sign::Negative;
        self
    }

    const fn or(mut self, aliases: &'static [&'static str]) -> Flag {
        self.aliases = aliases;
        self
    }

    const fn more(mut self, text: &'static str) -> Flag {
        self.more = text;
        self
    }

    const fn hint(mut self, hint: Hint) -> Flag {
        if let Some(value) = &mut self.value {
            value.hint = hint;
        }
        self
    }

    const fn missing(mut self, text: &'static str) -> Flag {
        if let Some(value) = &mut self.value {
            value.missing = Some(text);
        }
        self
    }
}

/// An option without a value. `' '` is no letter, `""` no word.
const fn switch(short: char, long: &'static str, effect: fn(&mut Typed, bool), help: &'static str) -> Flag {
    flag(short, long, None, Effect::Switch(effect), help)
}

/// An option with a value.
const fn take(
    short: char,
    long: &'static str,
    value: &'static str,
    effect: fn(&mut Typed, &OsStr) -> Result<(), String>,
    help: &'static str,
) -> Flag {
    let value = Value { name: value, hint: Hint::Any, missing: None, off: "" };
    flag(short, long, Some(value), Effect::Take(effect), help)
}

/// An option that means nothing on one machine. `value` is `""` for one that takes none.
const fn nothing(short: char, long: &'static str, value: &'static str, help: &'static str) -> Flag {
    let value = match value.as_bytes() {
        b"" => None,
        _ => Some(Value { name: value, hint: Hint::Any, missing: None, off: "" }),
    };
    flag(short, long, value, Effect::Nothing, help)
}

const fn flag(
    short: char,
    long: &'static str,
    value: Option<Value>,
    effect: Effect,
    help: &'static str,
) -> Flag {
    Flag {
        short: if short == ' ' { None } else { Some(short) },
        long: if long.is_empty() { None } else { Some(long) },
        aliases: &[],
        value,
        sign: Sign::Plain,
        help,
        more: "",
        effect,
    }
}

/// All options, in the order of `--help` and the manual page.
pub const SECTIONS: &[Section] = &[
    Section { title: "What is copied", flags: WHAT },
    Section { title: "What is kept of it", flags: ATTRIBUTES },
    Section { title: "What counts as changed", flags: COMPARE },
    Section { title: "Filter rules", flags: FILTER },
    Section { title: "Deleting", flags: DELETE },
    Section { title: "How files are replaced", flags: REPLACE },
    Section { title: "How bytes are moved", flags: BYTES },
    Section { title: "What is shown", flags: SHOW },
    Section { title: "Help", flags: HELP },
    Section { title: "Taken for the sake of scripts; without effect on one machine", flags: NOTHING },
];

const WHAT: &[Flag] = &[
    switch('a', "archive", |t, _| t.set_archive(), "Copy a tree as it is; the same as -rlptgoD").more(
        "This is the option to begin with. It leaves out hard links (`-H`), because finding them costs memory. \
         A part of it is taken back with `--no-` behind it: `-a --no-o` does not keep owners. \
         With `--files-from` it does not mean `-r`.",
    ),
    switch('r', "recursive", |t, on| t.recursive = if on { Recurse::Yes } else { Recurse::No }, "Go into directories").no(),
    switch('d', "dirs", |t, on| t.dirs = Some(on), "Copy directories, but not what is in them").no().more(
        "What is directly inside is copied if the operand is `.` or ends in a slash. `-r` wins over it.",
    ),
    switch('R', "relative", |t, on| t.relative = Some(on), "Keep the path of each source as it was typed").no().more(
        "`sluice -aR home/joe/notes /backup` makes `/backup/home/joe/notes`. \
         A `/./` in a source says where the part that is kept begins.",
    ),
    switch(' ', "implied-dirs", |t, on| t.implied_dirs = on, "With -R, leave the directories on the way as they are").only_no().or(&["i-d"]).more(
        "Directories that exist only because `-R` keeps a path are otherwise made like their sources: \
         with this option their attributes are not touched, and one that is a symbolic link stays one.",
    ),
    take(' ', "files-from", "FILE", |t, v| { t.files_from = Some(v.to_owned()); Ok(()) }, "Copy just the names that FILE lists").hint(Hint::File).more(
        "Each line names something below the one source. `-` reads standard input. Names end at a line's end, or \
         with `-0` at a NUL; empty lines and those that begin with `#` or `;` do not count. The option means `-R` and `-d` \
         as well, and `-a` does not mean `-r` then; `--no-R`, `--no-d` and `-r` say otherwise, wherever they stand.",
    ),
    switch('0', "from0", |t, on| t.from0 = on, "Names and rules in files end with NUL, not with the line").no().more(
        "Counts for `--files-from`, and for each `--exclude-from`, `--include-from` and merge file behind it.",
    ),
    switch('x', "one-file-system", |t, on| {
        t.plan.one_file_system = if on { t.plan.one_file_system.saturating_add(1).min(2) } else { 0 };
    }, "Stay on each source's filesystem; -xx leaves out mount points").no().more(
        "Given once, a mount point is copied as an empty directory. At the destination nothing is deleted across one either.",
    ),
    switch('l', "links", |t, on| t.plan.links.preserve = on, "Copy symbolic links as symbolic links").no(),
    switch('L', "copy-links", |t, on| t.plan.links.copy_all = on, "Copy what symbolic links point to"),
    switch(' ', "copy-unsafe-links", |t, on| t.plan.links.copy_unsafe = on, "Copy what links that lead outside point to").more(
        "A link leads outside if it is absolute, or has more `..` at its beginning than directories above it in \
         the transfer, or has a `..` further on. Only its text is looked at.",
    ),
    switch(' ', "safe-links", |t, on| t.plan.links.safe = on, "Leave out symbolic links that lead outside"),
    switch('k', "copy-dirlinks", |t, on| t.plan.links.copy_dirlinks = on, "Treat a source link to a directory as the directory"),
    switch('K', "keep-dirlinks", |t, on| t.plan.links.keep_dirlinks = on, "Treat a destination link to a directory as the directory").more(
        "Otherwise such a link is replaced where the source has a directory. Use it only where you trust every link in the destination.",
    ),
    switch('m', "prune-empty-dirs", |t, on| t.plan.prune_empty_dirs = on, "Leave out directories in which nothing is left to copy").no(),
    take(' ', "max-size", "SIZE", |t, v| { t.plan.max_size = Some(value::size("--max-size", v, b'b')?); Ok(()) }, "Leave out files larger than SIZE").more(
        "SIZE is a number, perhaps with a fraction, and a unit: `k`, `m`, `g`, `t`, `p` alone or with `ib` (`1.5MiB`) count in \
         1024s, with `b` (`1.5mb`) in 1000s. `+1` or `-1` at the end moves it by one byte: `--max-size=1m-1` is everything below a mebibyte.",
    ),
    take(' ', "min-size", "SIZE", |t, v| { t.plan.min_size = Some(value::size("--min-size", v, b'b')?); Ok(()) }, "Leave out files smaller than SIZE"),
    switch(' ', "existing", |t, on| t.plan.existing = on, "Create nothing at the destination, only update").or(&["ignore-non-existing"]),
    switch(' ', "ignore-existing", |t, on| t.plan.ignore_existing = on, "Update nothing at the destination, only create"),
    switch('u', "update", |t, on| t.plan.update = on, "Leave out files that are newer at the destination").no(),
    switch(' ', "list-only", |t, on| t.reporting.list_only = on, "List the sources, copy nothing").more(
        "The same happens when there is one operand only.",
    ),
];

const ATTRIBUTES: &[Flag] = &[
    switch('H', "hard-links", |t, on| t.plan.hard_links = on, "Keep hard links among the copied files").no().more(
        "Files that share an inode in the source share one in the destination. Only links inside the transfer can be seen.",
    ),
    switch('p', "perms", |t, on| t.plan.perms = on, "Keep permissions").no().more(
        "Without it a new file gets the source's permissions as far as the umask lets them, and an old one keeps its own.",
    ),
    switch('o', "owner", |t, on| t.plan.owner = on, "Keep owners, where the user may (root)").no(),
    switch('g', "group", |t, on| t.plan.group = on, "Keep groups, where the user may").no(),
    switch(' ', "numeric-ids", |t, on| t.plan.numeric_ids = on, "Keep owners and groups by number, not by name").no(),
    take(' ', "chmod", "CHANGES", |t, v| value::bytes(v, |v| t.chmod.push(v)), "Change permissions on the way").more(
        "CHANGES are as in chmod(1), with commas between them; a `D` before one makes it count for directories only, an `F` for files only: \
         `--chmod=D2775,Fu+rw,Fo-w`. They change what the source is taken to have, so an existing file follows only with `-p`.",
    ),
    switch('D', "", |t, on| t.set_nodes(on), "Keep devices and special files; the same as --devices --specials").no(),
    switch(' ', "devices", |t, on| t.plan.devices = on, "Keep device nodes (root)").no(),
    switch(' ', "specials", |t, on| t.plan.specials = on, "Keep FIFOs and sockets").no(),
    switch('t', "times", |t, on| t.plan.times = on, "Keep modification times").no().more(
        "Without it the next run cannot tell by time and size what has not changed, and copies everything again.",
    ),
    switch('O', "omit-dir-times", |t, on| t.plan.omit_dir_times = on, "With -t, leave out directories").no(),
    switch('J', "omit-link-times", |t, on| t.plan.omit_link_times = on, "With -t, leave out symbolic links").no(),
];

const COMPARE: &[Flag] = &[
    switch('c', "checksum", |t, on| t.plan.checksum = on, "Compare content (BLAKE3), not size and time").no().more(
        "Every file that has the same size on both sides is read on both sides.",
    ),
    switch('I', "ignore-times", |t, on| t.plan.ignore_times = on, "Copy files even if size and time are the same"),
    switch(' ', "size-only", |t, on| t.plan.size_only = on, "Leave files alone that have the same size"),
    take('@', "modify-window", "SECONDS", |t, v| { t.plan.modify_window = value::integer("--modify-window", v)?.into(); Ok(()) }, "Times that differ by no more than this are the same").more(
        "0, the default, compares whole seconds; -1 compares nanoseconds; 1 suits FAT, which knows every second second only.",
    ),
];

const FILTER: &[Flag] = &[
    take(' ', "exclude", "PATTERN", |t, v| value::bytes(v, |v| t.rules.push(RuleArg::Exclude(v))), "Leave out what matches PATTERN"),
    take(' ', "include", "PATTERN", |t, v| value::bytes(v, |v| t.rules.push(RuleArg::Include(v))), "Do not leave out what matches PATTERN"),
    take(' ', "exclude-from", "FILE", |t, v| { t.rules.push(RuleArg::ExcludeFrom(v.to_owned(), t.from0)); Ok(()) }, "Read patterns to leave out from FILE").hint(Hint::File).more(
        "One a line; empty lines and those that begin with `#` or `;` do not count; `-` reads standard input.",
    ),
    take(' ', "include-from", "FILE", |t, v| { t.rules.push(RuleArg::IncludeFrom(v.to_owned(), t.from0)); Ok(()) }, "Read patterns not to leave out from FILE").hint(Hint::File),
    take('f', "filter", "RULE", |t, v| value::bytes(v, |v| t.rules.push(RuleArg::Filter(v))), "Add a filter rule of any kind").more(
        "See FILTER RULES.",
    ),
    switch('F', "", |t, _| t.add_per_dir_filter(), "Obey .rsync-filter files; -FF leaves them out of the copy").more(
        "The first `-F` is `--filter='dir-merge /.rsync-filter'`, the second `--filter='exclude .rsync-filter'`.",
    ),
    switch('C', "cvs-exclude", |t, on| t.cvs_exclude = on, "Leave out what version control and compilers leave behind").more(
        "A fixed list (object files, backups of editors, `.git/` and its like), then what `~/.cvsignore` and the variable CVSIGNORE \
         name, then what a `.cvsignore` in each directory names. These rules come behind all others.",
    ),
];

const DELETE: &[Flag] = &[
    switch(' ', "delete", |t, on| t.delete = on, "Delete what is in the destination but not in the source").more(
        "Needs `-r` or `-d`, and looks only into directories that are copied. What a filter rule leaves out is not deleted either, unless \
         `--delete-excluded` is given. Where a source directory could not be read, nothing is deleted. Try it with `-n` first.",
    ),
    switch(' ', "delete-before", |t, _| t.add_delete_when(Delete::Before, "--delete-before"), "Delete before anything is copied"),
    switch(' ', "delete-during", |t, _| t.add_delete_when(Delete::During, "--delete-during"), "Delete in each directory as it is reached (the default)").or(&["del"]),
    switch(' ', "delete-delay", |t, _| t.add_delete_when(Delete::Delay, "--delete-delay"), "Find what to delete on the way, delete at the end"),
    switch(' ', "delete-after", |t, _| t.add_delete_when(Delete::After, "--delete-after"), "Find and delete when all is copied"),
    switch(' ', "delete-excluded", |t, on| t.plan.delete_excluded = on, "Also delete what filter rules leave out"),
    take(' ', "delete-limit", "N|N%", |t, v| { t.delete_limit = Some(value::delete_limit(v)?); Ok(()) }, "Refuse to delete anything if it would be more than N").more(
        "Deletions are counted before the first one. If there are more than N entries, or more than N percent of what the destination holds, \
         the run ends with status 25 and nothing is deleted. `--max-delete` differs: it deletes that many and then stops.",
    ),
    take(' ', "max-delete", "N", |t, v| { t.apply.max_delete = Some(u64::try_from(value::integer("--max-delete", v)?).unwrap_or(0)); Ok(()) }, "Delete no more than N entries; tell how many were left"),
    switch(' ', "force", |t, on| t.plan.force = on, "Remove a full directory that a file must take the place of").no(),
    switch(' ', "ignore-errors", |t, on| t.plan.ignore_errors = on, "Delete even where the source could not be read").no(),
    switch(' ', "remove-source-files", |t, on| t.apply.remove_source_files = on, "Remove each source file when it has been copied").or(&["remove-sent-files"]),
    switch(' ', "mount-check", |t, on| t.mount_check = on, "Go on if a mount point that fstab knows is not mounted").only_no().more(
        "A source or destination that lies on an entry of /etc/fstab which is not mounted now is nearly always a disk that is missing: \
         the source would look empty, and the copy would fill the wrong disk. sluice refuses both before it changes anything.",
    ),
];

const REPLACE: &[Flag] = &[
    switch('b', "backup", |t, on| t.apply.backup = on, "Keep what is replaced or deleted under another name").no().more(
        "The name is the old one with `~` behind it, or what `--suffix` and `--backup-dir` say. Without `--backup-dir`, times of directories are not kept \
         (each backup would change them), and `--delete` leaves backups alone.",
    ),
    take(' ', "backup-dir", "DIR", |t, v| { t.apply.backup_dir = Some(v.to_owned()); Ok(()) }, "Put backups below DIR, with their paths (means -b)").hint(Hint::Dir).more(
        "A relative DIR is below the destination. Backups keep their names there unless `--suffix` is given.",
    ),
    take(' ', "suffix", "SUFFIX", |t, v| value::bytes(v, |v| t.suffix = Some(v)), "What backups get behind their names (default ~)"),
    switch(' ', "inplace", |t, on| t.apply.inplace = on, "Write into the old file instead of replacing it").no().more(
        "The file is wrong while it is written, and stays so if the run is interrupted. For files that must keep their inode or their hard links.",
    ),
    switch(' ', "partial", |t, on| t.apply.partial = on, "Keep what was copied of a file when interrupted").no(),
    take('T', "temp-dir", "DIR", |t, v| { t.apply.temp_dir = Some(v.to_owned()); Ok(()) }, "Write new files in DIR first").hint(Hint::Dir).more(
        "Otherwise a new file is written beside the one that it replaces, and renamed. From another filesystem it has to be copied once more.",
    ),
    switch(' ', "mkpath", |t, on| t.mkpath = on, "Make the directories above the destination").no(),
    switch(' ', "fsync", |t, on| t.apply.fsync = on, "Wait until each file is on the disk before it gets its name"),
    take(' ', "verify", "WHEN", |t, v| {
        t.apply.verify = value::one_of("--verify", v, &[("auto", false), ("always", true), ("never", false)])?;
        Ok(())
    }, "Read each copy again and compare (BLAKE3) before it gets its name").hint(Hint::OneOf(&["auto", "always", "never"])).missing("always").no_is("never").more(
        "Without a value: `always`. A copy that differs is made once more; if it differs again, the old file stays and the entry is an error. \
         `auto`, the default, does not read again what was copied on one machine. What is compared is what the kernel has, in memory perhaps: it is no test of the disk.",
    ),
];

const BYTES: &[Flag] = &[
    take(' ', "reflink", "WHEN", |t, v| {
        t.engine.reflink = value::one_of("--reflink", v, &[("auto", Reflink::Auto), ("always", Reflink::Always), ("never", Reflink::Never)])?;
        Ok(())
    }, "Share extents with the source: auto, always, never").hint(Hint::OneOf(&["auto", "always", "never"])).more(
        "On a filesystem that can (XFS, btrfs), a copy then costs no data at all. `auto`, the default, does so where it is possible; \
         `always` makes it an error where it is not; `never` leaves out copy_file_range(2) too, which may share extents on its own.",
    ),
    take(' ', "zero-copy", "WHEN", |t, v| {
        t.engine.zero_copy = value::one_of("--zero-copy", v, &[("auto", ZeroCopy::Auto), ("always", ZeroCopy::Always), ("never", ZeroCopy::Never)])?;
        Ok(())
    }, "Keep bytes out of user space: auto, always, never").hint(Hint::OneOf(&["auto", "always", "never"])).more(
        "`auto`, the default, takes the cheapest way; `always` makes a file an error that would have to be read and written; `never` reads and writes everything.",
    ),
    take(' ', "jobs", "N", |t, v| { t.jobs = Some(value::jobs(v)?); Ok(()) }, "Copy with N threads (default: one a processor)"),
    switch('S', "sparse", |t, on| t.engine.holes = if on { Holes::Make } else { Holes::Keep }, "Make holes of runs of zeros").no().more(
        "Holes of the source are kept without it.",
    ),
    take(' ', "bwlimit", "RATE", |t, v| { t.apply.bwlimit = value::rate(v)?; Ok(()) }, "Copy no more than RATE a second, in KiB without a unit").no_is("0").more(
        "`--bwlimit=1.5m` is one and a half mebibytes. 0 is no limit. Shared extents do not count: no byte moves.",
    ),
    take(' ', "stop-after", "MINUTES", |t, v| { t.stop_after = Some(value::minutes(v)?); Ok(()) }, "Stop when MINUTES have passed").or(&["time-limit"]),
];

const SHOW: &[Flag] = &[
    switch('v', "verbose", |t, on| t.reporting.verbose = if on { t.reporting.verbose.saturating_add(1) } else { 0 }, "Say more; -vv more still").no(),
    switch('q', "quiet", |t, on| t.reporting.quiet = on, "Say nothing but errors"),
    switch('n', "dry-run", |t, on| t.reporting.dry_run = on, "Change nothing; with -i or -v, tell what would be done"),
    switch('i', "itemize-changes", |t, on| t.reporting.itemize = if on { t.reporting.itemize.saturating_add(1) } else { 0 }, "Show what changes about each entry; -ii unchanged ones too").no().more(
        "A line is eleven characters and a name. First what is done: `>` a file is copied, `c` something is made or changed, `h` a hard link is made, `.` only attributes \
         change, `*deleting` it goes. Then what it is: `f` file, `d` directory, `L` symbolic link, `D` device, `S` special file. Then a letter for each difference: \
         `c` content (with `-c`) or link text, `s` size, `t` time (`T`: set to now), `p` permissions, `o` owner, `g` group. All `+` is new.",
    ),
    take(' ', "out-format", "FORMAT", |t, v| value::bytes(v, |v| t.reporting.out_format = Some(v)), "Show entries as FORMAT says; -i is '%i %n%L'").or(&["log-format"]).more(
        "`%n` name, `%L` what a link points to, `%i` the letters of `-i`, `%l` length, `%b` bytes moved, `%f` path at the source, `%M` time of the file, \
         `%t` now, `%B` permissions, `%U` and `%G` owner and group by number, `%C` BLAKE3 where it is known, `%o` operation, `%p` process, `%%` a percent sign.",
    ),
    switch('h', "human-readable", |t, on| t.reporting.human = if on { t.reporting.human.saturating_add(1).min(3) } else { 0 }, "Numbers in units of 1000, -hh of 1024; --no-h plain digits").no(),
    switch(' ', "stats", |t, on| t.stats = on, "Give statistics at the end, with the way the bytes took"),
    switch(' ', "progress", |t, on| t.progress = on, "Show each file's progress").no(),
    switch('P', "", |t, _| { t.apply.partial = true; t.progress = true; }, "The same as --partial --progress"),
    take(' ', "info", "WORDS", |t, v| value::words(v, &mut t.info), "Choose what is told: name, del, stats2, progress2, ... (help lists)").hint(Hint::SomeOf(info_words)).more(
        "Words with commas between them, each with a level behind it if it is not 1: `--info=progress2` shows the progress of the whole run, `--info=name0,stats2` no names but \
         statistics. `none` and `all` stand for every word. They win over what `-v` and `--progress` mean.",
    ),
    take(' ', "debug", "WORDS", |t, v| value::words(v, &mut t.debug), "Choose what is told of the inner workings (help lists)").hint(Hint::SomeOf(debug_words)),
    switch(' ', "json", |t, on| t.reporting.json = on, "One JSON object a line instead of text").more(
        "Every event of the run, then its statistics; each object has the number of the schema in `schema`. Names that are not UTF-8 come escaped as on a terminal.",
    ),
    take(' ', "log-file", "FILE", |t, v| { t.reporting.log_file = Some(v.to_owned()); Ok(()) }, "Write what is done to FILE as well").hint(Hint::File),
    take(' ', "log-file-format", "FORMAT", |t, v| value::bytes(v, |v| t.reporting.log_file_format = Some(v)), "Write entries to the log as FORMAT says"),
    switch('8', "8-bit-output", |t, on| t.reporting.eight_bit = on, "Show bytes above 127 as they are").no(),
];

const HELP: &[Flag] = &[
    switch(' ', "help", |t, _| t.help = true, "Show this help; so does -h alone"),
    switch(
        'V',
        "version",
        |t, _| t.version = t.version.saturating_add(1),
        "Show the version; -VV as JSON, with what this build can do",
    ),
    take(
        ' ',
        "generate",
        "PAGE",
        |t, v| {
            t.generate = Some(value::one_of("--generate", v, generate::PAGES)?);
            Ok(())
        },
        "Print man, complete-bash, complete-zsh or complete-fish",
    )
    .hint(Hint::OneOf(&["man", "complete-bash", "complete-zsh", "complete-fish"])),
];

const NOTHING: &[Flag] = &[
    switch(' ', "inc-recursive", |t, on| t.inc_recursive = Some(on), "List ahead of a progress display (--no-i-r), or do not").no().or(&["i-r"]).more(
        "sluice always lists and copies at the same time. With `--no-i-r` a progress display counts the whole tree first, as it does by default; with `--i-r` it does not.",
    ),
    nothing('W', "whole-file", "", "Copy files whole: always so on one machine").no().more(
        "`--no-W` is taken too: files are still copied whole, with the same result.",
    ),
    nothing('z', "compress", "", "Nothing crosses a network").no(),
    nothing(' ', "compress-choice", "NAME", "As -z").or(&["zc"]),
    nothing(' ', "compress-level", "N", "As -z").or(&["zl"]),
    nothing(' ', "compress-threads", "N", "As -z").or(&["zt"]),
    nothing(' ', "skip-compress", "LIST", "As -z"),
    nothing('e', "rsh", "COMMAND", "There is no remote side"),
    nothing(' ', "rsync-path", "PROGRAM", "As -e"),
    switch('s', "secluded-args", |t, on| t.secluded_args = on, "As -e").no().or(&["protect-args"]),
    switch(' ', "old-args", |t, on| t.old_args = on, "As -e").no(),
    nothing(' ', "blocking-io", "", "As -e").no(),
    nothing(' ', "trust-sender", "", "As -e"),
    take(' ', "timeout", "SECONDS", |_, v| value::integer("--timeout", v).map(|_| ()), "No peer can fall silent").no_is("0"),
    nothing(' ', "protocol", "N", "There is no protocol between two directories"),
    take(' ', "outbuf", "MODE", |_, v| value::outbuf(v), "Output is written by the line anyway").hint(Hint::OneOf(&["none", "line", "block"])),
    nothing('4', "ipv4", "", "No network"),
    nothing('6', "ipv6", "", "No network"),
    nothing('B', "block-size", "SIZE", "Files are copied whole"),
    nothing(' ', "max-alloc", "SIZE", "Memory does not grow with the number of files"),
    nothing(' ', "no-motd", "", "No daemon greets"),
];

fn info_words() -> Vec<&'static str> {
    Info::WORDS
        .iter()
        .map(|word| word.name)
        .chain(["progress2", "stats2", "name2", "all", "none", "help"])
        .collect()
}

fn debug_words() -> Vec<&'static str> {
    Debug::WORDS.iter().map(|word| word.name).chain(["all", "none", "help"]).collect()
}

/// An option that rsync has and sluice does not have yet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Later {
    /// Its letter.
    pub short: Option<char>,
    /// Its words; the first is its name.
    pub words: &'static [&'static str],
    /// Whether a value follows it.
    pub value: bool,
}

impl Later {
    /// How it is called in the message: `--acls (-A)`.
    #[must_use]
    pub fn name(&self) -> String {
        let word = self.words.first().copied().unwrap_or_default();
        self.short.map_or_else(|| format!("--{word}"), |c| format!("--{word} (-{c})"))
    }
}

const fn later(short: char, words: &'static [&'static str]) -> Later {
    Later { short: if short == ' ' { None } else { Some(short) }, words, value: false }
}

const fn later_with(short: char, words: &'static [&'static str]) -> Later {
    Later { value: true, ..later(short, words) }
}

/// What rsync 3.5.0 has and sluice refuses by name. `--no-` before one of them is taken: sluice does not do it.
pub const LATER: &[Later] = &[
    later('A', &["acls"]),
    later('X', &["xattrs"]),
    later('U', &["atimes"]),
    later('N', &["crtimes"]),
    later('E', &["executability"]),
    later(' ', &["open-noatime"]),
    later(' ', &["super"]),
    later(' ', &["fake-super"]),
    later(' ', &["append"]),
    later(' ', &["append-verify"]),
    later(' ', &["preallocate"]),
    later(' ', &["copy-devices"]),
    later(' ', &["write-devices"]),
    later(' ', &["drop-D"]),
    later(' ', &["munge-links"]),
    later(' ', &["insecure-links"]),
    later_with(' ', &["confine-root"]),
    later(' ', &["old-dirs", "old-d"]),
    later(' ', &["ignore-missing-args"]),
    later(' ', &["delete-missing-args"]),
    later_with(' ', &["partial-dir"]),
    later(' ', &["delay-updates"]),
    later('y', &["fuzzy"]),
    later_with(' ', &["compare-dest"]),
    later_with(' ', &["copy-dest"]),
    later_with(' ', &["link-dest"]),
    later_with(' ', &["usermap"]),
    later_with(' ', &["groupmap"]),
    later_with(' ', &["chown"]),
    later_with(' ', &["copy-as"]),
    later_with(' ', &["checksum-choice", "cc"]),
    later_with(' ', &["checksum-seed"]),
    later_with(' ', &["iconv"]),
    later_with(' ', &["stop-at"]),
    later_with(' ', &["stderr"]),
    later(' ', &["msgs2stderr"]),
    later_with(' ', &["write-batch"]),
    later_with(' ', &["only-write-batch"]),
    later_with(' ', &["read-batch"]),
    later_with('M', &["remote-option"]),
    later_with(' ', &["contimeout"]),
    later_with(' ', &["address"]),
    later_with(' ', &["port"]),
    later_with(' ', &["sockopts"]),
    later_with(' ', &["password-file"]),
    later_with(' ', &["early-input"]),
    later(' ', &["daemon"]),
];

/// All options, in order.
pub fn all() -> impl Iterator<Item = &'static Flag> {
    SECTIONS.iter().flat_map(|section| section.flags)
}
