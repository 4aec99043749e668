//! Every option once: its names, its value, its text, its effect.
//!
//! The parser ([`super::order`]), `--help`, the manual page and the completions are all made of
//! [`SECTIONS`]. What rsync has and sluice does not have yet is in [`super::later`].
//!
//! Text: `help` is one line without a full stop. `more` is for the manual page: paragraphs apart by an
//! empty line, `` `bold` `` between backticks.

use super::flag::{Flag, Hint, Section, nothing, switch, take};
use super::reporting::{Debug, Info};
use super::typed::{Recurse, RuleArg};
use super::{age, generate, owners, value};
use crate::engine::{Freeze, Holes, Reflink, ZeroCopy};
use crate::plan::basis::Use;
use crate::plan::{Append, Delete};
use crate::session::lock::Lock;

/// All options, in the order of `--help` and the manual page.
pub const SECTIONS: &[Section] = &[
    Section { title: "What is copied", flags: WHAT },
    Section { title: "Which attributes are kept", flags: ATTRIBUTES },
    Section { title: "What counts as changed", flags: COMPARE },
    Section { title: "Filter rules", flags: FILTER },
    Section { title: "Deleting", flags: DELETE },
    Section { title: "How files are replaced", flags: REPLACE },
    Section { title: "How bytes are moved", flags: BYTES },
    Section { title: "Other machines", flags: PEER },
    Section { title: "In scripts", flags: SCRIPTS },
    Section { title: "What is shown", flags: SHOW },
    Section { title: "As a daemon", flags: DAEMON },
    Section { title: "Help", flags: HELP },
    Section { title: "Accepted for the sake of scripts, without effect", flags: NOTHING },
];

const WHAT: &[Flag] = &[
    switch('a', "archive", |t, _| t.set_archive()).help("Copy a tree as it is; the same as -rlptgoD").more(
        "This is the option to begin with. It leaves out hard links (`-H`), because finding them costs \
             memory. A part of it is taken back with `--no-` behind it: `-a --no-o` does not keep owners. \
             With `--files-from` it does not mean `-r`.",
    ),
    switch('r', "recursive", |t, on| t.recursive = if on { Recurse::Yes } else { Recurse::No })
        .no()
        .help("Copy directories with all that is in them"),
    switch('d', "dirs", |t, on| t.set_dirs(on))
        .no()
        .help("Copy directories, but not what is in them")
        .more(
            "What is directly inside is copied if the operand is `.` or ends in a slash. `-r` wins over it.",
        ),
    switch(' ', "old-dirs", |t, on| t.old_dirs = on)
        .or(&["old-d"])
        .help("Copy directories, and what is directly in them")
        .more("The same as `-r --exclude='/*/*'`, the rule behind all others."),
    switch('R', "relative", |t, on| t.relative = Some(on))
        .no()
        .help("Keep the path of each source as it was typed")
        .more(
            "`sluice -aR home/joe/notes /backup` makes `/backup/home/joe/notes`. A `/./` in a source says \
             where the part that is kept begins.",
        ),
    switch(' ', "implied-dirs", |t, on| t.implied_dirs = on)
        .only_no()
        .or(&["i-d"])
        .help("With -R, leave the directories on the way as they are")
        .more(
            "Directories that exist only because `-R` keeps a path are otherwise made like their sources: \
             with this option their attributes are not touched, and one that is a symbolic link stays one.",
        ),
    take(' ', "files-from", "FILE", |t, v| {
        t.files_from = Some(v.to_owned());
        Ok(())
    })
    .hint(Hint::File)
    .help("Copy just the names that FILE lists")
    .more(
        "Each line names something below the one source. `-` reads standard input, and `:FILE` or `HOST:FILE` a \
             file on the other machine, in a module one of the module's. Names end at a \
             line's end, or with `-0` at a NUL; empty lines and those that begin with `#` or `;` do not \
             count. The option means `-R` and `-d` as well, and `-a` does not mean `-r` then; `--no-R`, \
             `--no-d` and `-r` say otherwise, wherever they stand.",
    ),
    switch('0', "from0", |t, on| t.set_from0(on))
        .no()
        .help("Names and rules in files end with NUL, not with the line")
        .more(
            "Counts for `--files-from`, and for each `--exclude-from`, `--include-from` and merge file \
             behind it.",
        ),
    switch(' ', "delete-missing-args", |t, on| t.delete_missing = on)
        .help("Delete at the destination what operands name and is not there")
        .more(
            "Names of --files-from too. A directory that is not empty goes only with `--force` or `--delete`. Rules that \
             hide or protect a name hold.",
        ),
    switch(' ', "ignore-missing-args", |t, on| t.ignore_missing = on)
        .help("Pass over operands, and names of --files-from, that are not there"),
    switch('x', "one-file-system", |t, on| {
        t.plan.one_file_system = if on { t.plan.one_file_system.saturating_add(1).min(2) } else { 0 };
    })
    .no()
    .help("Stay on each source's filesystem; -xx leaves out mount points")
    .more(
        "Given once, a mount point is copied as an empty directory. At the destination nothing is \
             deleted across one either.",
    ),
    switch('l', "links", |t, on| t.plan.links.preserve = on)
        .no()
        .help("Copy symbolic links as symbolic links"),
    switch('L', "copy-links", |t, on| t.plan.links.copy_all = on)
        .help("Copy the targets of symbolic links, not the links"),
    switch(' ', "copy-unsafe-links", |t, on| t.plan.links.copy_unsafe = on)
        .help("Copy the targets of links that lead outside")
        .more(
            "A link leads outside if it is absolute, or has more `..` at its beginning than directories \
             above it in the transfer, or has a `..` further on. Only its text is looked at.",
        ),
    switch(' ', "safe-links", |t, on| t.plan.links.safe = on)
        .help("Leave out symbolic links that lead outside"),
    switch('k', "copy-dirlinks", |t, on| t.plan.links.copy_dirlinks = on)
        .help("Treat a source link to a directory as the directory"),
    switch('K', "keep-dirlinks", |t, on| t.plan.links.keep_dirlinks = on)
        .help("Treat a destination link to a directory as the directory")
        .more(
            "Otherwise such a link is replaced where the source has a directory. Use it only where you \
             trust every link in the destination.",
        ),
    take(' ', "link-dest", "DIR", |t, v| t.plan.bases.add(Use::Link, v.to_owned()))
        .hint(Hint::Dir)
        .help("Make hard links to DIR of what is unchanged there")
        .more(
            "For backups that share what did not change: `sluice -a --link-dest=../monday src/ tuesday/`. DIR has \
             the paths of the destination. What it has with the source's data and all attributes that are kept \
             becomes a hard link; a file that differs in attributes only is copied from it; anything else comes \
             from the source. With several, up to 20, the first that is the same counts. A relative DIR is below \
             the destination; symbolic links in it are not followed. Where a link cannot be made (another \
             filesystem), a copy is. A DIR that is missing is told of, and nothing more.",
        ),
    take(' ', "copy-dest", "DIR", |t, v| t.plan.bases.add(Use::Copy, v.to_owned()))
        .hint(Hint::Dir)
        .help("Copy from DIR what is unchanged there")
        .more("As `--link-dest`, with a copy in the place of each hard link."),
    take(' ', "compare-dest", "DIR", |t, v| t.plan.bases.add(Use::Compare, v.to_owned()))
        .hint(Hint::Dir)
        .help("Leave out what DIR has already")
        .more(
            "As `--link-dest`, but what would be linked is not made at the destination at all, and a file that \
             is there is removed (with `-b`: backed up). Directories are made.",
        ),
    switch(' ', "munge-links", |t, on| t.munge_links = on)
        .no()
        .help("Store links so that they lead nowhere; send them as they were")
        .more(
            "A side that receives puts `/rsyncd-munged/` before the text of each symbolic link; a side that sends \
             takes it away again. The option is for this side only: on one machine that is the sender, and \
             `-M--munge-links` has the links munged. It is refused while there is a directory of that name. With \
             `--safe-links` as well, a side that munges takes no links at all. A daemon has its own parameter, \
             `munge symlinks`.",
        ),
    take(' ', "copy-as", "USER[:GROUP]", |t, v| {
        t.copy_as = Some(v.to_owned());
        Ok(())
    })
    .help("Read and write with the rights of USER, who root becomes")
    .more(
        "For root, who copies out of or into a directory that somebody else can change meanwhile. What the options \
         name (rules, the log, passwords) is read, and the other machine is reached, before; from then on the \
         process is USER with their groups, or with GROUP alone, and cannot become root again. For this side only; \
         on one machine, for both.",
    ),
    switch(' ', "insecure-links", |t, on| t.insecure_links = on)
        .no()
        .help("Follow other users' links in the paths of operands and options")
        .more(
            "Otherwise a symbolic link on the way of a path that is typed is followed only if root or the running \
             user owns it. For this side only; a daemon does not take it.",
        ),
    take(' ', "confine-root", "DIR", |t, v| {
        if !v.as_encoded_bytes().starts_with(b"/") {
            return Err("--confine-root must be an absolute path".into());
        }
        t.confine_root = Some(v.to_owned());
        Ok(())
    })
    .hint(Hint::Dir)
    .help("Refuse paths of options, and of --files-from, outside of DIR")
    .more(
        "Files of rules and names, the log, `--backup-dir`, `--temp-dir` and what `--files-from` names have to be in \
         DIR, wherever links lead; operands need not. For whoever runs sluice for somebody else who chooses the \
         options. For this side only; a daemon's module is its boundary.",
    ),
    switch('m', "prune-empty-dirs", |t, on| t.plan.prune_empty_dirs = on)
        .no()
        .help("Leave out directories in which nothing is left to copy"),
    take(' ', "max-size", "SIZE", |t, v| {
        t.plan.max_size = Some(value::size("--max-size", v, b'b')?);
        Ok(())
    })
    .help("Leave out files larger than SIZE")
    .more(
        "SIZE is a number, perhaps with a fraction, and a unit: `k`, `m`, `g`, `t`, `p` alone or with \
             `ib` (`1.5MiB`) count in 1024s, with `b` (`1.5mb`) in 1000s. `+1` or `-1` at the end moves it \
             by one byte: `--max-size=1m-1` is everything below a mebibyte.",
    ),
    take(' ', "min-size", "SIZE", |t, v| {
        t.plan.min_size = Some(value::size("--min-size", v, b'b')?);
        Ok(())
    })
    .help("Leave out files smaller than SIZE"),
    take(' ', "max-age", "AGE", |t, v| {
        t.max_age = Some(age::parse("--max-age", v)?);
        Ok(())
    })
    .help("Leave out files that were modified longer ago than AGE")
    .more(
        "AGE is a number with a unit, or several: `90s`, `30m`, `36h`, `7d`, `2w`, `1y`, `1d12h`. It counts back \
             from the clock of the machine on which sluice is typed. As with `--max-size`, what is left out is in \
             the transfer all the same, so that it is not deleted; directories, links and special files have no age.",
    ),
    take(' ', "min-age", "AGE", |t, v| {
        t.min_age = Some(age::parse("--min-age", v)?);
        Ok(())
    })
    .help("Leave out files that were modified less than AGE ago"),
    take(' ', "newer-than", "FILE|TIME", |t, v| {
        t.newer_than = Some(v.to_owned());
        Ok(())
    })
    .hint(Hint::File)
    .help("Leave out files that are not newer than FILE or TIME")
    .more(
        "TIME is `2026-01-31`, `2026-01-31T12:30` or with seconds, in local time or with `Z` behind it, or `@` and \
             seconds since 1970. Anything else is a file of this machine, whose modification time counts; one that \
             is called like a time is `./2026-01-31`.",
    ),
    switch(' ', "existing", |t, on| t.plan.existing = on)
        .or(&["ignore-non-existing"])
        .help("Create nothing at the destination, only update"),
    switch(' ', "ignore-existing", |t, on| t.plan.ignore_existing = on)
        .help("Update nothing at the destination, only create"),
    switch('u', "update", |t, on| t.plan.update = on)
        .no()
        .help("Leave out files that are newer at the destination"),
    switch(' ', "list-only", |t, on| t.reporting.list_only = on)
        .help("List the sources, copy nothing")
        .more("The same happens when there is one operand only."),
];

const ATTRIBUTES: &[Flag] = &[
    switch('H', "hard-links", |t, on| t.plan.hard_links = on)
        .no()
        .help("Keep hard links among the copied files")
        .more(
            "Files that share an inode in the source share one in the destination. Only links inside the \
             transfer can be seen.",
        ),
    switch('p', "perms", |t, on| t.plan.perms = on).no().help("Keep permissions").more(
        "Without it a new file gets the source's permissions as far as the umask lets them, and an old \
             one keeps its own.",
    ),
    switch('E', "executability", |t, on| t.plan.executability = on)
        .help("Keep whether files are executable, without -p")
        .more(
            "An existing file that is to be executable becomes so for everybody who may read it; one that is not to \
             be loses it for everybody.",
        ),
    switch('A', "acls", |t, on| {
        t.plan.acls = on;
        t.plan.perms |= on;
    })
    .no()
    .help("Keep access control lists; implies -p")
    .more(
        "Those of access, and of directories the default ones. Where the source has none the destination \
             gets none, even if its directory would hand one down. Users and groups in them are kept by name, \
             as owners are, unless `--numeric-ids` is given.",
    ),
    switch('X', "xattrs", |t, on| {
        t.plan.xattrs = if on { t.plan.xattrs.saturating_add(1).min(2) } else { 0 };
    })
    .no()
    .help("Keep extended attributes; -XX also those of --fake-super")
    .more(
        "As root those of all namespaces but `system`, otherwise those of `user`. What the source does not \
             have is removed. A rule with the modifier `x` is about their names, and then nothing is left out \
             by itself: `--filter='-x! user.*'` keeps those of `user` only, `--filter='-xr *'` removes and \
             changes none. An attribute that cannot be set is reported, and the rest goes on (exit 23).",
    ),
    switch(' ', "fileflags", |t, on| t.plan.file_flags = on)
        .no()
        .help("Keep what chattr sets, and the project")
        .more(
            "Of files and directories. `i` and `a` are taken away before something is changed and set again when all \
             is done, which only root can; `C` is set before the first write. What the destination's filesystem does \
             not have is an error (exit 23), and the rest is kept. A difference is shown in the column `x` of `-i`.",
        ),
    switch('o', "owner", |t, on| t.plan.owner = on).no().help("Keep owners, where the user may (root)"),
    switch('g', "group", |t, on| t.plan.group = on).no().help("Keep groups, where the user may"),
    switch(' ', "super", |t, on| t.set_super(on))
        .no()
        .help("Act as root would at the destination; --no-super as others")
        .more(
            "Owners, groups, devices and extended attributes of all namespaces are kept, or tried to be, even if the \
             receiving side is not root's; what is refused is an error (exit 23). With `--no-super` root keeps no \
             more than anybody else could.",
        ),
    switch(' ', "fake-super", |t, _| t.set_fake_super())
        .help("Write down what only root can keep; read it from there")
        .more(
            "Where this side receives, owners, groups, devices, access control lists and extended attributes that are \
             not the user's are written into extended attributes `user.rsync.*` of plain files and directories, as rsync does it, and a \
             link becomes a file that holds its text. Where this side sends, a tree that was written so is taken for \
             what it stands for. The files themselves stay the running user's, readable and writable for them. On one \
             machine it is about both sides. The last one of `--super`, `--no-super` and this counts; not with `-XX`.",
        ),
    switch(' ', "numeric-ids", |t, on| t.plan.numeric_ids = on)
        .no()
        .help("Keep owners and groups by number, not by name"),
    take(' ', "usermap", "LIST", owners::usermap)
        .help("Give files to other users than the source's")
        .more(
            "LIST has FROM:TO pairs with commas between them, of which the first that fits counts: \
             `--usermap=0-99:nobody,wayne:admin,*:normal`. FROM is a user of the sending side: a number, a range of \
             numbers, a name, a pattern of names, or nothing for those without a name; `*` is everybody. TO is a \
             user of the receiving side, by name or number. A name that is unknown there is told, and its pair does \
             not count. Root's name is not sent: give 0, or the name that 0 has on the receiving side. With \
             `--numeric-ids` nobody has a name. The option means `-o` as well, and needs a receiver that is root.",
        ),
    take(' ', "groupmap", "LIST", owners::groupmap)
        .help("Give files to other groups than the source's")
        .more("As `--usermap`, for groups; it means `-g` as well."),
    take(' ', "chown", "USER:GROUP", owners::chown)
        .help("Give all files to USER and GROUP")
        .more(
            "The same as `--usermap=*:USER --groupmap=*:GROUP`. One of the two may be left out: `USER` alone, or \
             `:GROUP`.",
        ),
    take(' ', "chmod", "CHANGES", |t, v| value::bytes(v, |v| t.chmod.push(v)))
        .help("Change permissions on the way")
        .more(
            "CHANGES are as in chmod(1), with commas between them; a `D` before one makes it count for \
             directories only, an `F` for files only: `--chmod=D2775,Fu+rw,Fo-w`. They change what the \
             source is taken to have, so an existing file follows only with `-p`.",
        ),
    switch('D', "", |t, on| t.set_nodes(on))
        .no()
        .help("Keep devices and special files; the same as --devices --specials"),
    switch(' ', "copy-devices", |t, on| t.plan.copy_devices = on)
        .help("Copy what is in a device, into a file")
        .more("Where this side or the other sends. A daemon refuses it unless its `refuse options` has `!copy-devices`."),
    switch(' ', "write-devices", |t, on| {
        t.plan.write_devices = on;
        t.apply.inplace |= on;
    })
    .no()
    .help("Write data into devices at the destination, as if they were files")
    .more(
        "Means `--inplace`. What a device has stored is not read again to be compared. A daemon refuses it unless \
         its `refuse options` has `!write-devices`.",
    ),
    switch(' ', "drop-D", |t, on| t.plan.drop_nodes = on)
        .no()
        .help("Where this side receives: make neither devices nor special files")
        .more("What is there already stays. For this side only; `-M--drop-D` is for the other one."),
    switch(' ', "devices", |t, on| t.plan.devices = on).no().help("Keep device nodes (root)"),
    switch(' ', "specials", |t, on| t.plan.specials = on).no().help("Keep FIFOs and sockets"),
    switch('t', "times", |t, on| t.plan.times = on).no().help("Keep modification times").more(
        "Without it the next run cannot tell by time and size what has not changed, and copies \
             everything again.",
    ),
    switch('O', "omit-dir-times", |t, on| t.plan.omit_dir_times = on)
        .no()
        .help("Do not keep times of directories"),
    switch('J', "omit-link-times", |t, on| t.plan.omit_link_times = on)
        .no()
        .help("Do not keep times of symbolic links"),
    switch('U', "atimes", |t, on| t.set_atimes(on))
        .no()
        .help("Keep access times; -UU means --open-noatime as well")
        .more(
            "Of everything but directories. Reading a file may change the access time of the source; \
             `--open-noatime` keeps it.",
        ),
    switch(' ', "open-noatime", |t, on| t.plan.open_noatime = on)
        .no()
        .help("Leave the access time of files that are read")
        .more("Where the system allows it: to root, and to the owner of the file."),
];

const COMPARE: &[Flag] = &[
    switch('c', "checksum", |t, on| t.plan.checksum = on)
        .no()
        .help("Compare content (BLAKE3), not size and time")
        .more("Every file that has the same size on both sides is read on both sides."),
    take(' ', "checksum-choice", "NAME[,NAME]", |t, v| {
        t.checksum_choice = Some(v.to_owned());
        Ok(())
    })
    .or(&["cc"])
    .help("Which checksums: auto and blake3 are the same, or none")
    .more(
        "The first name is about the comparison of what has arrived from another machine, which `none` leaves out, \
         the second about `-c`; one name is about both.",
    ),
    switch('I', "ignore-times", |t, on| t.plan.ignore_times = on)
        .help("Copy files even if size and time are the same"),
    switch(' ', "size-only", |t, on| t.plan.size_only = on).help("Leave files alone that have the same size"),
    take('@', "modify-window", "SECONDS", |t, v| {
        t.plan.modify_window = value::integer("--modify-window", v)?.into();
        Ok(())
    })
    .help("Times that differ by no more than this are the same")
    .more(
        "0, the default, compares whole seconds; -1 compares nanoseconds; 1 suits FAT, which stores even \
             seconds only. A time that the destination's filesystem cannot store at all, and the nearest one \
             that it can, are always the same.",
    ),
];

const FILTER: &[Flag] = &[
    take(' ', "exclude", "PATTERN", |t, v| value::bytes(v, |v| t.rules.push(RuleArg::Exclude(v))))
        .help("Leave out what matches PATTERN"),
    take(' ', "include", "PATTERN", |t, v| value::bytes(v, |v| t.rules.push(RuleArg::Include(v))))
        .help("Do not leave out what matches PATTERN"),
    take(' ', "exclude-from", "FILE", |t, v| {
        t.rules.push(RuleArg::ExcludeFrom(v.to_owned()));
        Ok(())
    })
    .hint(Hint::File)
    .help("Read patterns to leave out from FILE")
    .more(
        "One a line; empty lines and those that begin with `#` or `;` do not count; `-` reads standard \
             input.",
    ),
    take(' ', "include-from", "FILE", |t, v| {
        t.rules.push(RuleArg::IncludeFrom(v.to_owned()));
        Ok(())
    })
    .hint(Hint::File)
    .help("Read patterns not to leave out from FILE"),
    take('f', "filter", "RULE", |t, v| value::bytes(v, |v| t.rules.push(RuleArg::Filter(v))))
        .hint(Hint::BeginsWith(&[
            "exclude",
            "include",
            "hide",
            "show",
            "protect",
            "risk",
            "merge",
            "dir-merge",
        ]))
        .help("Add a filter rule of any kind")
        .more("See FILTER RULES."),
    switch('F', "", |t, _| t.add_per_dir_filter())
        .help("Obey .rsync-filter files; -FF leaves them out of the copy")
        .more(
            "The first `-F` is `--filter='dir-merge /.rsync-filter'`, the second `--filter='exclude \
             .rsync-filter'`.",
        ),
    switch(' ', "gitignore", |t, _| t.rules.push(RuleArg::Gitignore))
        .help("Leave out what .gitignore files name, by git's rules")
        .more(
            "The `.gitignore` of each directory from the operand's own down counts for what is below it, as \
             gitignore(5) has it: the last pattern of a file that matches decides, `!` takes back, a nearer file \
             wins. Files are read on each side, so what the destination's own leave out is not deleted; with \
             `--delete-after` they are the new ones. Rules typed before the option win over it. `.git` itself, \
             `.git/info/exclude`, git's configuration and files above the operand play no part.",
        ),
    switch('C', "cvs-exclude", |t, on| t.cvs_exclude = on)
        .help("Leave out what version control and compilers leave behind")
        .more(
            "A fixed list (object files, backups of editors, `.git/` and its like), then what \
             `~/.cvsignore` and the variable CVSIGNORE name, then what a `.cvsignore` in each directory \
             names. These rules come behind all others.",
        ),
];

const DELETE: &[Flag] = &[
    switch(' ', "delete", |t, on| t.delete = on)
        .help("Delete what is in the destination but not in the source")
        .more(
            "Needs `-r` or `-d`, and looks only into directories that are copied. What a filter rule leaves \
             out is not deleted either, unless `--delete-excluded` is given. Where a source directory could \
             not be read, nothing is deleted. Try it with `-n` first.",
        ),
    switch(' ', "delete-before", |t, _| t.add_delete_when(Delete::Before, "--delete-before"))
        .help("Delete before anything is copied"),
    switch(' ', "delete-during", |t, _| t.add_delete_when(Delete::During, "--delete-during"))
        .or(&["del"])
        .help("Delete in each directory as it is reached (the default)"),
    switch(' ', "delete-delay", |t, _| t.add_delete_when(Delete::Delay, "--delete-delay"))
        .help("Find what to delete on the way, delete at the end"),
    switch(' ', "delete-after", |t, _| t.add_delete_when(Delete::After, "--delete-after"))
        .help("Find and delete when all is copied"),
    switch(' ', "delete-excluded", |t, on| t.plan.delete_excluded = on)
        .help("Also delete what filter rules leave out"),
    take(' ', "delete-limit", "N|N%", |t, v| {
        t.delete_limit = Some(value::delete_limit(v)?);
        Ok(())
    })
    .help("Refuse to delete anything if it would be more than N")
    .more(
        "Deletions are counted before the first one. If there are more than N entries, or more than N \
             percent of what the destination holds, the run ends with status 25 and nothing is deleted. \
             `--max-delete` differs: it deletes that many and then stops.",
    ),
    take(' ', "max-delete", "N", |t, v| {
        t.apply.max_delete = Some(u64::try_from(value::integer("--max-delete", v)?).unwrap_or(0));
        Ok(())
    })
    .help("Delete no more than N entries; tell how many were left"),
    switch(' ', "force", |t, on| t.plan.force = on)
        .no()
        .help("Remove a full directory that a file must take the place of"),
    switch(' ', "ignore-errors", |t, on| t.plan.ignore_errors = on)
        .no()
        .help("Delete even where the source could not be read"),
    switch(' ', "remove-source-files", |t, on| t.apply.remove_source_files = on)
        .or(&["remove-sent-files"])
        .help("Remove each source file when it has been copied"),
    switch(' ', "mount-check", |t, on| t.mount_check = on)
        .only_no()
        .help("Go on if a mount point that fstab knows is not mounted")
        .more(
            "A source or destination that lies on an entry of /etc/fstab which is not mounted now is nearly \
             always a disk that is missing: the source would look empty, and the copy would fill the wrong \
             disk. sluice refuses both before it changes anything.",
        ),
];

const REPLACE: &[Flag] = &[
    switch('b', "backup", |t, on| t.apply.backup = on)
        .no()
        .help("Keep what is replaced or deleted under another name")
        .more(
            "The name is the old one with `~` behind it, or what `--suffix` and `--backup-dir` say. Without \
             `--backup-dir`, times of directories are not kept (each backup would change them), and \
             `--delete` leaves backups alone.",
        ),
    take(' ', "backup-dir", "DIR", |t, v| {
        t.apply.backup_dir = Some(v.to_owned());
        Ok(())
    })
    .hint(Hint::Dir)
    .help("Put backups below DIR, with their paths (means -b)")
    .more(
        "A relative DIR is below the destination. Backups keep their names there unless `--suffix` is \
             given.",
    ),
    take(' ', "suffix", "SUFFIX", |t, v| value::bytes(v, |v| t.suffix = Some(v)))
        .help("What backups get behind their names (default ~)"),
    switch(' ', "inplace", |t, on| t.apply.inplace = on)
        .no()
        .help("Write into the old file instead of replacing it")
        .more(
            "The file is wrong while it is written, and stays so if the run is interrupted. For files that \
             must keep their inode or their hard links.",
        ),
    switch(' ', "append", |t, on| t.plan.append = if on { Append::Unseen } else { Append::Off })
        .no()
        .help("Only add to files that have become longer; leave others alone")
        .more(
            "For files that grow, such as logs: what the destination has counts as the source's beginning, without a \
             look at it, and only what follows is copied, into the file itself (as with `--inplace`). A file that is \
             not shorter at the destination is left as it is, unless only its attributes differ. Where not all files \
             are of that kind, others must be kept out by filter rules, or the result is a mixture.",
        ),
    switch(' ', "append-verify", |t, _| t.plan.append = Append::Verified)
        .help("The same, but a file whose beginning differs is copied whole")
        .more("What is there is read on both sides and compared (BLAKE3) before anything is added to it."),
    switch(' ', "partial", |t, on| t.apply.partial = on)
        .no()
        .help("Keep what was copied of a file when interrupted")
        .more(
            "It gets the file's name, dated 1970, unless a complete old file has that. From another machine the next \
             run with the option then fetches only what is missing, if what is there still is the source's beginning \
             (BLAKE3); so it does with any file that is shorter than its source. On one machine files are copied \
             again, which costs less than comparing.",
        ),
    take(' ', "partial-dir", "DIR", |t, v| {
        t.apply.partial_dir = Some(v.to_owned());
        Ok(())
    })
    .hint(Hint::Dir)
    .help("Keep that in DIR (means --partial)")
    .more(
        "A relative DIR, such as `.sluice-partial`, is in the directory of each file; it is made when it is needed, \
             removed when it is empty, and left out of the transfer by a rule behind all others \
             (`-f '-p DIR/'`). An absolute DIR is one for all files, and stays. Nobody else may be able to write to \
             DIR. One on another filesystem is not used: a rename cannot cross. The variable `SLUICE_PARTIAL_DIR` or \
             `RSYNC_PARTIAL_DIR` names DIR where `--partial` or `-P` is given without it.",
    ),
    switch(' ', "delay-updates", |t, on| t.apply.delay_updates = on)
        .no()
        .help("Give all updated files their names at the end of the run")
        .more(
            "Until then they wait in a directory `.~tmp~` beside each, which is left out of the copy and not \
             deleted, as by a rule `-p .~tmp~/` behind all others. They need room beside the old files. A run that is \
             stopped takes them away again. Not together with `--inplace`.",
        ),
    take('T', "temp-dir", "DIR", |t, v| {
        t.apply.temp_dir = Some(v.to_owned());
        Ok(())
    })
    .hint(Hint::Dir)
    .help("Write new files in DIR first")
    .more(
        "Otherwise a new file is written beside the one that it replaces, and renamed. A DIR on \
             another filesystem is not used: a rename cannot cross.",
    ),
    switch(' ', "mkpath", |t, on| t.mkpath = on).no().help("Make the directories above the destination"),
    switch(' ', "preallocate", |t, on| t.apply.preallocate = on)
        .help("Reserve the room for a file before its data comes")
        .more(
            "So that it lies in one piece, and a full disk is known at once; with `-S` nothing is reserved. Nothing is shared then \
             (`--reflink=never`), and each file is flushed before it gets its time: a crash must not leave one that \
             looks complete.",
        ),
    switch(' ', "fsync", |t, on| t.apply.fsync = on)
        .help("Wait until each file is on the disk before it gets its name"),
    take(' ', "verify", "WHEN", |t, v| {
        let (auto, always, never) = ((false, false), (true, false), (false, true));
        let typed = value::one_of("--verify", v, &[("auto", auto), ("always", always), ("never", never)])?;
        (t.apply.verify, t.apply.unverified) = typed;
        Ok(())
    })
    .hint(Hint::OneOf(&["auto", "always", "never"]))
    .missing("always")
    .no_is("never")
    .help("Read each copy again and compare (BLAKE3) before it gets its name")
    .more(
        "Without a value: `always`. A copy that differs is made once more; if it differs again, the old \
             file stays and the entry is an error. `auto`, the default, does not read again what was copied \
             on one machine, and always compares what came from another; `never`, which is `--no-verify`, \
             does not do that either. What is compared is what the kernel has, in memory perhaps: it is no test of \
             the disk.",
    ),
];

const BYTES: &[Flag] = &[
    take(' ', "reflink", "WHEN", |t, v| {
        t.engine.reflink = value::one_of(
            "--reflink",
            v,
            &[("auto", Reflink::Auto), ("always", Reflink::Always), ("never", Reflink::Never)],
        )?;
        Ok(())
    })
    .hint(Hint::OneOf(&["auto", "always", "never"]))
    .help("Share extents with the source: auto, always, never")
    .more(
        "On a filesystem that can (XFS, btrfs), a copy then costs no data at all. `auto`, the default, \
             does so where it is possible; `always` makes it an error where it is not; `never` leaves out \
             copy_file_range(2) too, which may share extents on its own.",
    ),
    take(' ', "zero-copy", "WHEN", |t, v| {
        t.engine.zero_copy = value::one_of(
            "--zero-copy",
            v,
            &[("auto", ZeroCopy::Auto), ("always", ZeroCopy::Always), ("never", ZeroCopy::Never)],
        )?;
        Ok(())
    })
    .hint(Hint::OneOf(&["auto", "always", "never"]))
    .help("Keep bytes out of user space: auto, always, never")
    .more(
        "`auto`, the default, takes the cheapest way; `always` makes a file an error that would have to \
             be read and written; `never` reads and writes everything.",
    ),
    take(' ', "jobs", "N", |t, v| {
        t.jobs = Some(value::jobs(v)?);
        Ok(())
    })
    .help("Copy with N threads (default: one a processor)"),
    switch('S', "sparse", |t, on| t.engine.holes = if on { Holes::Make } else { Holes::Keep })
        .no()
        .help("Make holes of runs of zeros")
        .more("Holes of the source are kept without it."),
    take(' ', "bwlimit", "RATE", |t, v| {
        t.apply.bwlimit = value::rate(v)?;
        Ok(())
    })
    .no_is("0")
    .help("Copy no more than RATE a second, in KiB without a unit")
    .more(
        "`--bwlimit=1.5m` is one and a half mebibytes. 0 is no limit. Shared extents do not count: no \
             byte moves.",
    ),
    take(' ', "stop-at", "TIME", |t, v| {
        t.stop_at = Some(v.to_owned());
        Ok(())
    })
    .help("Stop at TIME: y-m-dTh:m, or as much of it as is needed")
    .more(
        "In local time: `2030-12-31T23:59`, `1-30` (the next January 30th, at midnight), `14:00`, `1` (the next first \
         of a month), `:59` (the next minute 59). The exit status is that of `--stop-after`.",
    ),
    take(' ', "stop-after", "MINUTES", |t, v| {
        t.stop_after = Some(value::minutes(v)?);
        Ok(())
    })
    .or(&["time-limit"])
    .help("Stop when MINUTES have passed"),
];

const SCRIPTS: &[Flag] = &[
    take(' ', "write-batch", "FILE", |t, v| {
        (t.batch.write, t.batch.only) = (Some(v.to_owned()), false);
        Ok(())
    })
    .hint(Hint::File)
    .help("Record the update in FILE, for other destinations")
    .more(
        "What is done to DEST can then be done to any number of others that are as DEST was: FILE holds what was \
             listed and all data that was sent, and `FILE.sh`, beside it, is a script that repeats the update where \
             it is run, of the directory that it is given or of the same. It works in each way to run, and both are \
             written on this machine. They get their names when the run has come to its end; a batch that cannot be \
             written whole ends the run with status 11. The format is sluice's own (`docs/batch.md`). All data in \
             it can be compared with the source's BLAKE3 when it is read, whatever `--verify` says now. With `-n` \
             there is no batch.",
    ),
    take(' ', "only-write-batch", "FILE", |t, v| {
        (t.batch.write, t.batch.only) = (Some(v.to_owned()), true);
        Ok(())
    })
    .hint(Hint::File)
    .help("The same, and leave the destination as it is")
    .more(
        "What a run would do is planned and shown as always. Where the destination is on another machine, no data \
             goes there.",
    ),
    take(' ', "read-batch", "FILE", |t, v| {
        t.batch.read = Some(v.to_owned());
        Ok(())
    })
    .hint(Hint::File)
    .help("Update DEST from what FILE has recorded")
    .more(
        "`sluice -a --read-batch=FILE DEST` needs no source. FILE is read once from end to end before anything is \
             touched, so that one that is damaged or cut short changes nothing (status 12). `-` is standard \
             input; that, and any pipe, is first stored in a file without a name in `TMPDIR`, or else /tmp. Options \
             that say what was listed (`-r`, `-l`, `-H`, `-c` and others) are set as they were when FILE was \
             written; what is deleted, kept or shown is said anew, as `FILE.sh` does. Files that are as the source \
             already are left alone, and named. One that is needed and not in FILE, because this destination \
             differs from the one that FILE was made against, is an error (status 23), and the rest goes on.",
    ),
    take(' ', "exit-codes", "WHICH", |t, v| {
        let words = [("rsync", false), ("extended", true)];
        t.reporting.extended_codes = value::one_of("--exit-codes", v, &words)?;
        Ok(())
    })
    .hint(Hint::OneOf(&["rsync", "extended"]))
    .help("Which exit codes tell how it went: rsync (the default), extended")
    .more(
        "`extended` has numbers of its own for four cases that rsync's do not tell apart: nothing had to be done, \
             nothing went wrong but that files vanished, a copy was not what had been read, a file could not be \
             copied as `--zero-copy=always` or `--reflink=always` demands. See EXIT STATUS.",
    ),
    take(' ', "lock", "HOW", |t, v| {
        let words = [("fail", Lock::Fail), ("wait", Lock::Wait), ("off", Lock::Off)];
        t.lock = value::one_of("--lock", v, &words)?;
        Ok(())
    })
    .hint(Hint::OneOf(&["fail", "wait"]))
    .missing("fail")
    .no_is("off")
    .help("Keep other runs with --lock away from the destination")
    .more(
        "If another run has the destination, this one ends with status 40 before it changes anything; with \
             `--lock=wait` it waits for the other's end. The lock is flock(2)'s on the directory itself, on the \
             machine where that is: it leaves no file behind and is gone with the process. Where DEST is a file, \
             its directory is locked.",
    ),
    take(' ', "retry", "N", |t, v| {
        let times = u32::try_from(value::integer("--retry", v)?);
        t.retry = times.map_err(|_| "--retry: not below 0")?;
        Ok(())
    })
    .no_is("0")
    .help("Make a broken connection again, up to N times")
    .more(
        "A connection that breaks, falls silent (`--timeout`) or cannot be made is tried again after 1, 2, 4 and so on, at \
             most 60 seconds, each time with a line that says so. The run begins anew and finds what is done \
             already. A peer that refuses is not asked again. Nor is anybody else: a password that was typed is \
             kept, and ssh is told to ask for none. Not together with `--max-delete`, which would count anew, \
             with `--inplace` and `--backup`, which would keep what is half written, or `--copy-as`, which gives up the right to connect. Between two directories of one machine the option means nothing.",
    ),
    take(' ', "profile", "NAME", |t, v| {
        t.profiles.push(v.to_owned());
        Ok(())
    })
    .help("Use the options that stand under [NAME] in the configuration")
    .more("See CONFIGURATION. Can be given more than once."),
    switch(' ', "no-config", |t, on| t.no_config = on).help("Do not read the configuration"),
];

const SHOW: &[Flag] = &[
    switch('v', "verbose", |t, on| {
        t.reporting.verbose = if on { t.reporting.verbose.saturating_add(1) } else { 0 }
    })
    .no()
    .help("Say more; -vv more still"),
    switch('q', "quiet", |t, on| t.reporting.quiet = on).help("Say nothing but errors"),
    switch('n', "dry-run", |t, on| t.reporting.dry_run = on)
        .help("Change nothing; with -i or -v, tell what would be done"),
    switch('i', "itemize-changes", |t, on| {
        t.reporting.itemize = if on { t.reporting.itemize.saturating_add(1) } else { 0 }
    })
    .no()
    .help("Show what changes about each entry; -ii unchanged ones too")
    .more(
        "A line is eleven characters and a name. First what is done: `>` a file is copied, `c` \
             something is made or changed, `h` a hard link is made, `.` only attributes change, `*deleting` \
             it goes. Then what it is: `f` file, `d` directory, `L` symbolic link, `D` device, `S` special \
             file. Then a letter for each difference: `c` content (with `-c`) or link text, `s` size, `t` \
             time (`T`: set to now), `p` permissions, `o` owner, `g` group. All `+` is new.",
    ),
    take(' ', "out-format", "FORMAT", |t, v| value::bytes(v, |v| t.reporting.out_format = Some(v)))
        .or(&["log-format"])
        .help("Show entries as FORMAT says; -i is '%i %n%L'")
        .more(
            "`%n` name, `%L` what a link points to, `%i` the letters of `-i`, `%l` length, `%b` bytes \
             moved, `%f` path at the source, `%M` time of the file, `%t` now, `%B` permissions, `%U` and \
             `%G` owner and group by number, `%C` BLAKE3 where it is known, `%o` operation, `%p` process, \
             `%%` a percent sign.",
        ),
    switch('h', "human-readable", |t, on| {
        t.reporting.human = if on { t.reporting.human.saturating_add(1).min(3) } else { 0 }
    })
    .no()
    .help("Numbers in units of 1000, -hh of 1024; --no-h plain digits"),
    switch(' ', "stats", |t, on| t.stats = on)
        .help("Give statistics at the end, with the way the bytes took"),
    switch(' ', "progress", |t, on| t.progress = on).no().help("Show how far the run is").more(
        "On a terminal, names scroll above one line for the whole run: bytes, percent, rate, time left, and \
             in parentheses the files copied (`xfr#`) and how many entries are still to be looked at (`to-chk`; \
             `ir-chk` while they are being counted). Elsewhere each copied file gets a line. \
             `--info=progress2` is the line for the whole run without the names, once a second where there is \
             no terminal.",
    ),
    switch('P', "", |t, _| {
        t.apply.partial = true;
        t.progress = true;
    })
    .help("The same as --partial --progress"),
    switch(' ', "inc-recursive", |t, on| t.inc_recursive = Some(on))
        .no()
        .or(&["i-r"])
        .help("With a progress display, do not count ahead of the transfer")
        .more(
            "sluice lists and copies at the same time, so this changes only what the display can promise: by \
             default, and with `--no-i-r`, it counts the rest of the tree as soon as there is data to wait for; else, with \
             `--checksum`, and between machines, it knows the total with the last directory that is listed.",
        ),
    take(' ', "info", "WORDS", |t, v| value::words(v, &mut t.info))
        .hint(Hint::SomeOf(info_words))
        .help("Choose what is told, as in name0,stats2,progress2 (see help)")
        .more(
            "Words with commas between them, each with a level behind it if it is not 1: `--info=progress2` \
             shows the progress of the whole run, `--info=name0,stats2` no names but statistics. `none` and \
             `all` stand for every word. They win over what `-v` and `--progress` mean.",
        ),
    take(' ', "debug", "WORDS", |t, v| value::words(v, &mut t.debug))
        .hint(Hint::SomeOf(debug_words))
        .help("Choose what is told of the inner workings (see help)"),
    switch(' ', "json", |t, on| t.reporting.json = on).help("One JSON object a line instead of text").more(
            "Every event of the run, then its figures (`summary`), or `given_up` where the connection cannot be made or \
             is lost; both have the `exit_code`. The number of the schema is in `schema`. A name that is not UTF-8 \
             comes escaped as on a terminal, with its bytes in hexadecimal beside it.",
        ),
    take(' ', "stderr", "MODE", |t, v| value::stderr(v, &mut t.reporting.to_stderr))
        .hint(Hint::OneOf(&["errors", "all", "client"]))
        .help("Where messages go: errors (the default), all, or client")
        .more(
            "With `all` everything is written to standard error, otherwise errors only. `client` is the same as \
             `errors`: what happens on the other side is always told by this one. One letter is enough.",
        ),
    switch(' ', "msgs2stderr", |t, on| t.reporting.to_stderr = on)
        .no()
        .help("The same as --stderr=all"),
    take(' ', "log-file", "FILE", |t, v| {
        t.reporting.log_file = Some(v.to_owned());
        Ok(())
    })
    .hint(Hint::File)
    .help("Write what is done to FILE as well"),
    take(' ', "log-file-format", "FORMAT", |t, v| value::bytes(v, |v| t.reporting.log_file_format = Some(v)))
        .help("Write entries to the log as FORMAT says"),
    take(' ', "outbuf", "MODE", |t, v| {
        t.reporting.by_line = value::outbuf(v)?;
        Ok(())
    })
    .hint(Hint::OneOf(&["none", "line", "block"]))
    .help("Whether lines leave one by one: none, line, block")
    .more(
        "`line` and `none` write each line at once. `block`, the default, gathers them for at most a fifth of a \
             second, unless standard output is a terminal.",
    ),
    switch('8', "8-bit-output", |t, on| t.reporting.eight_bit = on)
        .no()
        .help("Show bytes above 127 as they are"),
];

const PEER: &[Flag] = &[
    take('e', "rsh", "COMMAND", |t, v| value::bytes(v, |v| t.rsh = Some(v)))
        .help("The remote shell, ssh if nothing else is said")
        .more(
            "Words with blanks between them, in quotes where blanks belong to a word: `-e \"ssh -p 2222\"`. The \
             variable `RSYNC_RSH` says the same. The shell gets `-l USER` if an operand names one, the host, the \
             program, and `--server`; options and paths go over the connection, so that no shell reads them. With a \
             module (`host::module`) the shell starts a daemon for this connection alone, see --server; the user of \
             the operand is the module's as well, unless COMMAND has a `-l` of its own. The variable does not do that.",
        ),
    take(' ', "rsync-path", "PROGRAM", |t, v| value::bytes(v, |v| t.rsync_path = Some(v)))
        .help("The program on the other machine, sluice if nothing else is said")
        .more("The remote shell reads it: `--rsync-path=\"sudo sluice\"` works."),
    take('M', "remote-option", "OPTION", |t, v| {
        t.remote.push(v.to_owned());
        Ok(())
    })
    .help("Give an option to the other side only")
    .more(
        "`-M--no-x` has the other side go without `-x`; an option with a value is one word with `=`, or two `-M`. On \
         one machine the other side is the receiving one. `-M--log-file=FILE` has the other side write down what it \
         does, which tells why a connection breaks. Rules, and files that are to be read there, cannot be given so.",
    ),
    take(' ', "freeze", "WHEN", |t, v| {
        t.engine.freeze =
            value::one_of("--freeze", v, &[("auto", Freeze::Auto), ("never", Freeze::Never)])?;
        Ok(())
    })
    .hint(Hint::OneOf(&["auto", "never"]))
    .help("Send a file as it is at one moment: auto, never")
    .more(
        "Where the sending side's filesystem can share extents (XFS, btrfs) and its directory can be written to, a \
             file of 1 MiB or more is first given a second inode without a name, which shares its extents and which \
             nobody else can write to; that is sent. It costs no data and no room. Elsewhere, and with `never`, the \
             file itself is sent; if it changes meanwhile, its digest differs and it is sent again.",
    ),
    switch('z', "compress", |t, on| t.compress.on = on)
        .no()
        .or(&["old-compress", "new-compress"])
        .help("Compress what goes over the connection")
        .more(
            "With zstd, and wherever it makes something smaller: the data of files, but for those that \
             `--skip-compress` leaves out, and the messages. What is compressed passes through user space on both \
             sides, which `--stats` shows; so it goes with a slow line, and not with `--zero-copy=always`. On one \
             machine it changes nothing. A line to a daemon is no more secret for it.",
        ),
    take(' ', "compress-choice", "NAME", |t, v| {
        t.compress.choose(v);
        Ok(())
    })
    .or(&["zc"])
    .hint(Hint::OneOf(&["zstd", "none", "auto"]))
    .help("How to compress: zstd, none, auto")
    .more(
        "It means `-z`, but for `none`, which means `--no-z`. `auto` is the best that both sides have, as without \
         the option. rsync's other names are refused with status 4.",
    ),
    take(' ', "compress-level", "N", |t, v| {
        t.compress.set_level(value::integer("--compress-level", v)?);
        Ok(())
    })
    .or(&["zl"])
    .help("How hard to compress: -131072 (fastest) to 22; 0 is 3")
    .more("It means `-z`. What is beyond the ends is the end."),
    take(' ', "compress-threads", "N", |t, v| {
        let threads = value::integer("--compress-threads", v)?.clamp(0, i32::from(u8::MAX));
        t.compress.threads = u8::try_from(threads).unwrap_or(0);
        Ok(())
    })
    .or(&["zt"])
    .help("How many threads compress a file")
    .more("One, without the option; at most 16, in a daemon 2. Each takes a mebibyte of the file at a time."),
    take(' ', "skip-compress", "LIST", |t, v| {
        value::bytes(v, |v| t.compress.skip = Some(super::compress::suffixes(&v)))
    })
    .help("Suffixes of files that are not compressed")
    .more(
        "With slashes between them, without the dot, and with classes of letters: `gz/jpg/mp[34]`. The list takes \
         the place of the usual one, but is added to that of a daemon that sends. Small files, which travel many \
         to a message, are compressed with it whatever their names. The usual list is \
         3g2 3gp 7z aac ace apk avi bz2 deb dmg ear f4v flac flv gpg gz iso jar jpeg jpg lrz lz lz4 lzma \
         lzo m1a m1v m2a m2ts m2v m4a m4b m4p m4r m4v mka mkv mov mp1 mp2 mp3 mp4 mpa mpeg mpg mpv mts \
         odb odf odg odi odm odp ods odt oga ogg ogm ogv ogx opus otg oth otp ots ott oxt png qt rar rpm \
         rz rzip spx squashfs sxc sxd sxg sxm sxw sz tbz tbz2 tgz tlz ts txz tzo vob war webm webp xz z \
         zip zst.",
    ),
    take(' ', "timeout", "SECONDS", |t, v| {
        t.timeout = Some(u64::try_from(value::integer("--timeout", v)?).unwrap_or(0));
        Ok(())
    })
    .no_is("0")
    .help("Give up when a peer is silent for so long")
    .more(
        "0, as without the option, waits for ever. A peer that is busy shows every five seconds that it lives, so \
         less than ten is of use only for tests. The other side is told, and gives up as early; of this and the \
         `timeout` of a daemon's module (see sluiced.conf(5)) the shorter one holds.",
    ),
    take(' ', "contimeout", "SECONDS", |t, v| {
        t.contimeout = Some(u64::try_from(value::integer("--contimeout", v)?).unwrap_or(0));
        Ok(())
    })
    .no_is("0")
    .help("Give up when a daemon does not answer for so long")
    .more("Only for a connection to a daemon; anything else refuses it."),
    take(' ', "sockopts", "OPTIONS", |t, v| value::socket_options(v).map(|options| t.sockopts = options))
        .help("Options for the socket to a daemon, as in SO_SNDBUF=65536")
        .more(
            "With commas or blanks between them; without a value they are turned on. There are `SO_KEEPALIVE`, \
             `SO_REUSEADDR`, `SO_BROADCAST`, `SO_SNDBUF`, `SO_RCVBUF`, `TCP_NODELAY`, which is on in any case, \
             `IPTOS_LOWDELAY` and `IPTOS_THROUGHPUT`. The kernel chooses well by itself.",
        ),
    take(' ', "password-file", "FILE", |t, v| {
        t.password_file = Some(v.to_owned());
        Ok(())
    })
    .hint(Hint::File)
    .help("The password for a daemon's module is the first line of FILE")
    .more(
        "`-` reads standard input. Others must not be able to read the file. Without the option the variable \
         `SLUICE_PASSWORD` or `RSYNC_PASSWORD` counts, and without those the terminal is asked.",
    ),
    switch(' ', "no-motd", |t, on| t.no_motd = on).help("Leave out a daemon's greeting"),
    switch('4', "ipv4", |t, _| t.family = Some(4)).help("Use IPv4"),
    switch('6', "ipv6", |t, _| t.family = Some(6)).help("Use IPv6"),
];

const DAEMON: &[Flag] = &[
    switch(' ', "daemon", |t, on| t.daemon.daemon = on)
        .help("Offer directories to other machines over TCP")
        .more(
            "What is offered, and to whom, stands in a configuration file: see sluiced.conf(5). If standard input \
             is a connection, only that one is served, as under inetd; sockets that systemd passes are used in \
             place of --address and --port.",
        ),
    switch(' ', "server", |t, on| t.daemon.server = on)
        .help("As a remote shell starts this program, with a dot behind it")
        .more(
            "Nobody types it, but a command that `authorized_keys` forces is made of it: `sluice --server .` is what \
             `host:path` starts, and `sluice --server --daemon .` what `-e ssh host::module` does: a daemon for that \
             one connection, with the rights and in the home directory of the user there. Its configuration is \
             `sluiced.conf` in that directory unless the user is root or --config names another one.",
        ),
    take(' ', "config", "FILE", |t, v| {
        t.daemon.config = Some(v.to_owned());
        Ok(())
    })
    .hint(Hint::File)
    .help("The daemon's configuration, if not /etc/sluiced.conf"),
    take(' ', "dparam", "NAME=VALUE", |t, v| {
        t.daemon.overrides.push(v.to_owned());
        Ok(())
    })
    .help("Set a parameter of the daemon's configuration")
    .more(
        "As if it stood at the end of the global section, before the first module. The name can be written without \
         blanks: `--dparam=pidfile=/run/sluiced.pid`. With `--daemon`, `-M` is the same.",
    ),
    take(' ', "module", "NAME=PATH[,rw]", |t, v| {
        t.daemon.modules.push(v.to_owned());
        Ok(())
    })
    .help("Without a configuration: offer PATH as NAME on this machine")
    .more(
        "For a first try. The directory is offered on the loopback address, without a password, with the rights \
         of whoever starts the daemon, who can watch it on the terminal. With `,rw` at the end it may be written \
         to. Can be given more than once.",
    ),
    switch(' ', "detach", |t, on| t.daemon.detach = on)
        .only_no()
        .help("Do not put the daemon into the background"),
    take(' ', "address", "ADDRESS", |t, v| {
        let address = v.to_str().and_then(|text| text.parse().ok());
        t.daemon.address = Some(address.ok_or_else(|| format!("--address={}: not an IP address", v.display()))?);
        Ok(())
    })
    .help("The IP address to listen on; for a client, the one to connect from"),
    take(' ', "port", "PORT", |t, v| {
        let port = u16::try_from(value::integer("--port", v)?).ok().filter(|port| *port > 0);
        t.daemon.port = Some(port.ok_or("--port: not from 1 to 65535")?);
        Ok(())
    })
    .help("The TCP port of the daemon, if not 8730")
    .more("For a client of `rsync://` the default is 873; a port in the operand wins over this option."),
];

const HELP: &[Flag] = &[
    switch(' ', "help", |t, _| t.help = true).help("Show this help; so does -h alone"),
    switch('V', "version", |t, _| t.version = t.version.saturating_add(1))
        .help("Show the version; -VV as JSON, with what this build can do"),
    take(' ', "generate", "PAGE", |t, v| {
        t.generate = Some(value::one_of("--generate", v, generate::PAGES)?);
        Ok(())
    })
    .hint(Hint::OneOf(&["man", "man-conf", "complete-bash", "complete-zsh", "complete-fish"]))
    .help("Print man, man-conf, complete-bash, complete-zsh or complete-fish"),
];

const NOTHING: &[Flag] = &[
    switch('W', "whole-file", |t, on| t.whole_file = on)
        .no()
        .help("Copy files whole, as is always done here")
        .more("`--no-W` changes nothing either: the result is the same. Not together with `--append`."),
    nothing('y', "fuzzy", "")
        .no()
        .help("Look for a file that is like a new one: not done here")
        .more("It would save parts of a transfer, and files are copied whole; the result is the same."),
    switch('s', "secluded-args", |t, on| t.secluded_args = Some(on))
        .no()
        .or(&["protect-args"])
        .help("Keep arguments away from the remote shell, as is always done here")
        .more("Wildcards are expanded by sluice in any case; with this option they take names with a leading dot."),
    switch(' ', "old-args", |t, on| t.old_args = Some(on))
        .no()
        .help("Leave arguments to the remote shell; not together with -s"),
    nothing(' ', "blocking-io", "").no().help("Blocking pipes to the remote shell"),
    nothing(' ', "trust-sender", "").help("Do not check what a sender lists"),
    nothing(' ', "qsort", "").help("Sort by another method"),
    take(' ', "protocol", "N", |_, v| value::integer("--protocol", v).map(drop))
        .help("The version of rsync's protocol"),
    take('B', "block-size", "SIZE", |_, v| value::at_most("--block-size", v, 128 << 10))
        .help("The size of the blocks that are compared"),
    take(' ', "max-alloc", "SIZE", |_, v| value::size("--max-alloc", v, b'b').map(drop))
        .help("The most memory to ask for at once"),
    take(' ', "checksum-seed", "NUM", |_, v| value::integer("--checksum-seed", v).map(drop))
        .help("A seed for checksums: BLAKE3 has none"),
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

/// All options, in order.
pub fn all() -> impl Iterator<Item = &'static Flag> {
    SECTIONS.iter().flat_map(|section| section.flags)
}
