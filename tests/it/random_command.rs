//! Random command lines over random trees: what the differential test draws.
//!
//! Drawn are the options that decide what is transferred, deleted, kept and shown as a change: those of
//! [`SWITCHES`], [`DELETES`] and [`FILTERS`], what the base mode leaves out (`--no-t`, `--specials` …),
//! `-R` with and without `--no-implied-dirs`, and `--files-from`, over one or two sources with and
//! without a trailing slash and a destination that is older, empty or missing.
//!
//! Not drawn is `-K`: below a link that leads out of the destination, rsync 3.5.0 fails with `ELOOP`.
//!
//! Not drawn are options that change neither the tree nor the itemized lines (`-q`, `-h`, `-P`, `--stats`,
//! `--info`, `--log-file`, `--bwlimit`, `--timeout`, `--stop-after` …): their tests are `options`, `report`
//! and `report_oracle`. Patterns and rules have a random test of their own in `filter`.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use crate::random_tree::{Body, Rng, Shape, Tree};

/// Trees and a command line.
#[derive(Clone)]
pub struct Case {
    /// Trees by the name that they get.
    pub trees: Vec<(&'static str, Tree)>,
    /// Files beside them, which options name.
    pub files: Vec<(&'static str, Vec<u8>)>,
    /// The command line.
    pub args: Vec<OsString>,
}

impl Case {
    /// Whether the option is given, in these words.
    pub fn has(&self, option: &str) -> bool {
        self.args.iter().any(|arg| arg == option)
    }

    /// The command line where the case is set up in `dir`: an `@` in an option is that.
    pub fn args_in(&self, dir: &Path) -> Vec<OsString> {
        let at = |arg: &OsString| match arg.as_bytes() {
            bytes if bytes.starts_with(b"--") && bytes.contains(&b'@') => {
                let parts: Vec<_> = bytes.split(|b| *b == b'@').collect();
                OsString::from_vec(parts.join(dir.as_os_str().as_bytes()))
            }
            _ => arg.clone(),
        };
        self.args.iter().map(at).collect()
    }

    /// Whether entries without any change are shown too: `-i` twice.
    pub fn shows_unchanged(&self) -> bool {
        self.args.iter().filter(|arg| *arg == "-i").count() > 1
    }
}

/// Options that are given on their own, with how often in a hundred cases.
const SWITCHES: &[(usize, &[&str])] = &[
    (25, &["-H"]),
    (10, &["-c"]),
    (8, &["-u"]),
    (6, &["-I"]),
    (6, &["--size-only"]),
    (5, &["--existing"]),
    (5, &["--ignore-existing"]),
    (4, &["-x"]),
    (2, &["-xx"]),
    (5, &["-S"]),
    (4, &["-L"]),
    (5, &["-k"]),
    (6, &["--safe-links"]),
    (5, &["--copy-unsafe-links"]),
    (8, &["-O"]),
    (6, &["-J"]),
    (6, &["-m"]),
    (6, &["--force"]),
    (4, &["--ignore-errors"]),
    (4, &["--max-delete=0"]),
    (4, &["--max-delete=3"]),
    (5, &["--max-size=4096"]),
    (2, &["--max-size=1K"]),
    (5, &["--min-size=2"]),
    (6, &["-b"]),
    (4, &["--backup", "--suffix=.old"]),
    (5, &["--backup-dir=../bak"]),
    (4, &["--backup-dir=../bak/deep", "--suffix=.old"]),
    (2, &["--backup-dir=@/bak"]),
    (2, &["--backup-dir=.bak", "-O"]),
    (5, &["--inplace"]),
    (3, &["--temp-dir=@/tmp"]),
    (3, &["--partial"]),
    (2, &["--fsync"]),
    (4, &["--mkpath"]),
    (6, &["--remove-source-files"]),
    (5, &["--chmod=F640,D750"]),
    (5, &["--chmod=u+w,go-w,a+X"]),
    (3, &["--chmod=Dg+s,F=rX,Fu+w"]),
    (10, &["--numeric-ids"]),
    (5, &["--modify-window=1"]),
    (5, &["--modify-window=-1"]),
    (5, &["-W"]),
    (15, &["-n"]),
    (10, &["-i"]),
    (4, &["-v"]),
    (4, &["--out-format=%i %n%L"]),
];

const DELETES: &[&[&str]] = &[
    &["--delete"],
    &["--del"],
    &["--delete-before"],
    &["--delete-during"],
    &["--delete-delay"],
    &["--delete-after"],
    &["--delete-excluded"],
    &["--delete-excluded", "--delete-after"],
    &["--delete-excluded", "--delete-before"],
];

const FILTERS: &[&[&str]] = &[
    &["--exclude=*.o"],
    &["--exclude=/a"],
    &["--exclude=sub/"],
    &["--include=*/", "--include=*.c", "--exclude=*"],
    &["--include=main.*", "--exclude=*.o"],
    &["--exclude=[a-c]"],
    &["--exclude=sub/**"],
    &["--exclude=**/b"],
    &["--exclude=/*/foo"],
    &["--exclude=a?"],
    &["--exclude=lib/***"],
    &["--exclude-from=patterns"],
    &["--include-from=patterns", "--exclude=*"],
    &["-f", "- b"],
    &["-f", "exclude b"],
    &["-f", "include,s main.c", "-f", "- *.c"],
    &["-f", "-/ /src/a"],
    &["-f", "P *.o"],
    &["-f", "protect a"],
    &["-f", "H *.c"],
    &["-f", "hide,! */"],
    &["-f", "S main.c", "-f", "H *.c"],
    &["-f", "show main.c", "-f", "H *.c"],
    &["-f", "R *.o", "-f", "P *"],
    &["-f", "risk b", "-f", "P *"],
    &["-f", "-s foo"],
    &["-f", "-r foo"],
    &["-f", "-p b"],
    &["-f", "-sp b"],
    &["-f", "-! */"],
    &["-f", "-C"],
    &["-f", "-x user.*"],
    &["-f", ". rules"],
    &["-f", ".- patterns"],
    &["-f", "merge,+ patterns", "-f", "- *"],
    &["-f", ".C patterns"],
    &["-f", ": .rules"],
    &["-f", "dir-merge /.rules"],
    &["-f", ":- .rules"],
    &["-f", ":+ .rules"],
    &["-f", ":e .rules"],
    &["-f", ":n .rules"],
    &["-f", ":w- .rules"],
    &["-f", ":en- .rules"],
    &["-f", ":p .rules"],
    &["-f", ":C"],
    &["-f", "- a", "-f", "!", "-f", "- c"],
    &["-f", "- a", "-f", "clear", "-f", "- c"],
    &["-F"],
    &["-FF"],
    &["-C"],
];

/// Files beside the trees that some options read.
const FILES: &[(&str, &[u8])] = &[
    ("rules", b"# rules\n+ main.c\n- *.c\nP *.o\n\n- /b\nH sub/\n"),
    ("patterns", b"*.o\n; no\nsub/\n/a\nfoo*\n"),
];

fn random_options(rng: &mut Rng) -> Vec<&'static str> {
    let mut options = vec!["-i"];
    match rng.below(10) {
        0..6 => options.push("-a"),
        6 => {
            let less =
                ["--no-t", "--no-p", "--no-o", "--no-g", "--no-D", "--no-l", "--no-devices", "--no-specials"];
            options.extend(["-a", rng.pick(&less)]);
        }
        7 => options.extend(["-d", "-lptgo"]),
        _ => {
            options.push("-r");
            let more = ["-l", "-p", "-t", "-g", "-o", "-D", "--devices", "--specials"];
            options.extend(more.iter().filter(|_| rng.chance(50)));
        }
    }
    for (percent, switch) in SWITCHES {
        if rng.chance(*percent) {
            options.extend(*switch);
        }
    }
    if rng.chance(55) {
        options.extend(rng.pick(DELETES));
    }
    while rng.chance(25) {
        options.extend(rng.pick(FILTERS));
    }
    options
}

/// Whether rsync's answer under these options is one that sluice does not follow.
fn out_of_scope(options: &[&str]) -> bool {
    let has = |o: &str| options.iter().any(|x| x == &o || x.starts_with(&format!("{o}=")));
    let deletes = DELETES.iter().any(|o| has(o[0]));
    [
        // With a window, rsync takes a file of the same time for newer, against its manual: after
        // `echo 1 >s/f; echo 22 >d/f; touch -d @9 s/f d/f`, `rsync -tu s/ d/` transfers f, and with
        // `--modify-window=1` as well it does not. With -1, one that is a second newer is overwritten.
        has("-u") && has("--modify-window"),
        // It cannot look at a path with `..` there: `rsync -a --inplace --backup-dir=../b s/ d/` says
        // `stat "…/d/../b/f" failed: Invalid argument` for each file that it changes, and ends with 23.
        has("--inplace") && (has("--backup-dir=../bak") || has("--backup-dir=../bak/deep")),
        // Backups in the destination are surplus there: `rsync -a --delete --backup-dir=.bak s/ d/` deletes
        // of them what it comes across after it has made it.
        has("--backup-dir=.bak") && deletes,
        // It deletes the backups that it has just made: `rsync -ab --delete-excluded --delete-after s/ d/`.
        has("--delete-excluded")
            && has("--delete-after")
            && !has("--backup-dir")
            && (has("-b") || has("--backup")),
        // What two followed links lead to is removed after its first transfer: whether the second is in time
        // is nobody's to say.
        has("--remove-source-files") && ["-L", "-k", "--copy-unsafe-links"].iter().any(|o| has(o)),
        // It loses links: after `ln -s ../../x d/l`, `rsync -ab --delete --safe-links s/ d/` removes l and
        // leaves no l~.
        has("--safe-links") && ["-b", "--backup", "--backup-dir"].iter().any(|o| has(o)),
        // It waits for ever: `mkdir s/a; ln -s x s/c; ln s/c s/a/t; ln -s x d/c; rsync -rH --existing s/ d/`.
        has("--existing")
            && has("-H")
            && (!has("-a") || ["--no-l", "--no-D", "--no-devices", "--no-specials"].iter().any(|o| has(o))),
    ]
    .contains(&true)
}

/// An operand below `src`: the path `path`, whose transfer path begins after `skip` components where
/// that is said with `/./`.
fn operand(path: &[u8], skip: Option<usize>) -> OsString {
    let mut parts: Vec<&[u8]> = vec![b"src"];
    parts.extend(path.split(|b| *b == b'/'));
    if let Some(skip) = skip {
        parts.insert((skip + 1).min(parts.len() - 1), b".");
    }
    OsString::from_vec(parts.join(&b'/'))
}

/// The case of a seed.
pub fn random_case(seed: u64, root: bool) -> Case {
    let rng = &mut Rng::new(seed);
    let options = loop {
        let options = random_options(rng);
        if !out_of_scope(&options) {
            break options;
        }
    };
    let has = |option: &str| options.iter().any(|o| o.starts_with(option));
    let deletes = DELETES.iter().any(|o| options.contains(&o[0]));
    let shape = Shape {
        // A link without referent stops rsync's deletion from then on: what went before depends on how far
        // its sender was ahead. And it looks for links below directories that --existing leaves out.
        dangling: !deletes && !has("--existing"),
        depth: 1 + rng.below(3),
        width: 4 + rng.below(9),
        long_names: !has("-b") && !has("--backup"),
        hard_links: options.contains(&"-H"),
        follow: ["-L", "-k", "--copy-unsafe-links"].iter().any(|o| options.contains(o)),
        root,
    };
    let source = Tree::random(rng, &shape);
    // With nothing but a root in its list, rsync --existing does not make a missing destination, and rsync
    // --mkpath shows it as new.
    let may_be_bare =
        source.paths().is_empty() || has("-f") || has("--exclude") || has("-F") || has("-C") || has("-m");
    // Its dry run shows a root that --mkpath would have made as new, its real run does not; with --existing
    // it is the other way about.
    let two_answers = options.contains(&"-n") && options.contains(&"-H");
    let mut dest = match rng.below(10) {
        0 if !((has("--existing") || has("--mkpath")) && (may_be_bare || two_answers)) => None,
        1 => Some(Tree::empty(rng, &shape)),
        _ => Some(source.mutated(rng, &shape)),
    };
    let mut case = Case {
        trees: Vec::new(),
        files: FILES.iter().map(|(name, text)| (*name, text.to_vec())).collect(),
        args: options.iter().map(OsString::from).collect(),
    };
    let args = &mut case.args;
    let mut second = None;
    let paths = source.paths();
    let (dirs, leaves) = source.top_names();
    let mut named = false;
    match rng.below(24) {
        0..11 => args.push("src/".into()),
        // A directory without anything in it is copied to a missing destination as if it were a file:
        // `mkdir e; rsync -a e new` makes `new`, and not `new/e`.
        11..13 if dest.is_some() => {
            args.push("src".into());
            named = true;
        }
        // Of a directory that both have, rsync keeps an empty one: `mkdir -p s/a t/a; rsync -rm s/ t/ d/`.
        13..15 if !has("-m") => {
            if options.contains(&"-H") {
                // Otherwise it ends with `hard-link gnum 10 precedes flist start 22` and exit 2.
                args.push("--no-inc-recursive".into());
            }
            second = Some(source.mutated(rng, &shape));
            args.extend(["src/".into(), "src2/".into()]);
        }
        // As above, a single directory.
        15 if !dirs.is_empty() && (dest.is_some() || !leaves.is_empty()) => {
            args.push(operand(&dirs[rng.below(dirs.len())], None));
            args.extend(leaves.first().map(|name| operand(name, None)));
        }
        16 if !leaves.is_empty() => args.push(operand(&leaves[rng.below(leaves.len())], None)),
        17..20 if !paths.is_empty() && dest.is_some() => {
            args.push("-R".into());
            if rng.chance(30) {
                args.push("--no-implied-dirs".into());
            }
            let skip = if rng.chance(60) { Some(rng.below(2)) } else { None };
            named = skip.is_none();
            for _ in 0..1 + rng.below(2) {
                args.push(operand(&paths[rng.below(paths.len())], skip));
            }
        }
        20..22 if !paths.is_empty() && dest.is_some() => {
            let zeros = rng.chance(40);
            let names = random_list(rng, &paths, if zeros { 0 } else { b'\n' });
            case.files.push(("names", names));
            args.push("--files-from=names".into());
            if zeros {
                args.push(rng.pick(&["-0", "--from0"]).into());
            }
            if rng.chance(30) {
                args.push("-r".into());
            }
            if rng.chance(20) {
                args.push("--no-implied-dirs".into());
            }
            args.push("src/".into());
        }
        _ => args.push("src/.".into()),
    }
    args.push(rng.pick(&["dst", "dst/"]).into());
    let unlisted = case.args.iter().any(|arg| arg == "--no-implied-dirs");
    for from in [Some(&source), second.as_ref()].into_iter().flatten() {
        // Where a directory of the source has something else in its place, rsync looks into that, fails,
        // and at last gives it the directory's time (`mkdir -p s/x; touch d/x; rsync -a --delete
        // --ignore-existing s/ d/`).
        // And what is in the way of a directory that --no-implied-dirs does not list, it leaves there, with
        // as many errors as it has files below it.
        if has("--ignore-existing") || unlisted {
            dest = dest.map(|dest| dest.without(from, |mine, there| mine.is_some() && there.is_none()));
        }
        // Where a full directory is in the way of a member of a group and must stay, it waits for ever:
        // `touch s/f s/g; ln s/f s/l; ln s/g s/m; mkdir d/l d/m; touch d/l/x d/m/x; rsync -aH s/ d/`.
        if options.contains(&"-H") && !deletes && !has("--force") {
            dest = dest.map(|dest| dest.without(from, |mine, there| mine.is_none() && there.is_some()));
        }
        // Where a FIFO or device replaces a link, rsync without -p gives it the link's mode: 0777.
        if !options.contains(&"-a") || options.contains(&"--no-p") {
            dest = dest.map(|dest| {
                dest.without(from, |mine, there| {
                    matches!((mine, there), (Some(Body::Symlink(_)), Some(Body::Fifo | Body::Device(_))))
                })
            });
        }
    }
    case.trees = vec![("src", source)];
    case.trees.extend(second.map(|tree| ("src2", tree)));
    case.trees.extend(dest.map(|tree| ("dst", if named { tree.below(b"src") } else { tree })));
    case
}

/// A list of names for `--files-from`: some of `paths`, in any order, perhaps with one that is not there.
fn random_list(rng: &mut Rng, paths: &[Vec<u8>], end: u8) -> Vec<u8> {
    let mut list = Vec::new();
    for _ in 0..1 + rng.below(5) {
        list.extend_from_slice(rng.pick(&[&b""[..], b"", b"", b"./", b"/"]));
        let name = &paths[rng.below(paths.len())];
        list.extend_from_slice(if rng.chance(3) { b"not-there" } else { name });
        list.push(end);
    }
    list
}
