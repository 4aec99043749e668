//! Random command lines over random trees: what the differential test draws.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use crate::random_tree::{Rng, Shape, Tree};

/// Two trees and a command line.
pub struct Case {
    /// Trees by the name that they get.
    pub trees: Vec<(&'static str, Tree)>,
    /// The command line.
    pub args: Vec<OsString>,
}

impl Case {
    /// Whether the option is given, in these words.
    pub fn has(&self, option: &str) -> bool {
        self.args.iter().any(|arg| arg == option)
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
    (5, &["-S"]),
    (4, &["-L"]),
    (5, &["-k"]),
    (6, &["--safe-links"]),
    (5, &["--copy-unsafe-links"]),
    (8, &["-O"]),
    (6, &["-J"]),
    (6, &["-m"]),
    (6, &["--force"]),
    (4, &["--max-delete=0"]),
    (4, &["--max-delete=3"]),
    (5, &["--max-size=4096"]),
    (5, &["--min-size=2"]),
    (6, &["-b"]),
    (4, &["-b", "--suffix=.old"]),
    (5, &["--backup-dir=../bak"]),
    (4, &["--backup-dir=../bak/deep", "--suffix=.old"]),
    (5, &["--inplace"]),
    (4, &["--mkpath"]),
    (6, &["--remove-source-files"]),
    (5, &["--chmod=F640,D750"]),
    (5, &["--chmod=u+w,go-w,a+X"]),
    (10, &["--numeric-ids"]),
    (5, &["--modify-window=1"]),
    (5, &["--modify-window=-1"]),
    (5, &["-W"]),
    (15, &["-n"]),
    (10, &["-i"]),
];

const DELETES: &[&str] = &[
    "--delete",
    "--del",
    "--delete-before",
    "--delete-during",
    "--delete-delay",
    "--delete-after",
    "--delete-excluded",
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
    &["-f", "- b"],
    &["-f", "-/ /src/a"],
    &["-f", "P *.o"],
    &["-f", "H *.c"],
    &["-f", "S main.c", "-f", "H *.c"],
    &["-f", "R *.o", "-f", "P *"],
    &["-f", "-s foo"],
    &["-f", "-r foo"],
    &["-f", "-p b"],
    &["-f", "-! */"],
    &["-f", ": .rules"],
    &["-f", ":- .rules"],
    &["-f", ":e .rules"],
    &["-f", ":n .rules"],
    &["-f", ":C"],
    &["-f", "- a", "-f", "!", "-f", "- c"],
    &["-F"],
    &["-FF"],
    &["-C"],
];

fn random_options(rng: &mut Rng) -> Vec<&'static str> {
    let mut options = vec!["-i"];
    match rng.below(10) {
        0..6 => options.push("-a"),
        6 => options.extend(["-a", rng.pick(&["--no-t", "--no-p", "--no-o", "--no-g", "--no-D", "--no-l"])]),
        7 => options.extend(["-d", "-lptgo"]),
        _ => {
            options.push("-r");
            options.extend(["-l", "-p", "-t", "-g", "-o", "-D"].iter().filter(|_| rng.chance(50)));
        }
    }
    for (percent, switch) in SWITCHES {
        if rng.chance(*percent) {
            options.extend(*switch);
        }
    }
    if rng.chance(55) {
        options.push(rng.pick(DELETES));
    }
    while rng.chance(25) {
        options.extend(rng.pick(FILTERS));
    }
    options
}

/// Whether rsync itself gives no firm answer under these options, or one that sluice does not follow.
fn out_of_scope(options: &[&str]) -> bool {
    let has = |o: &str| options.iter().any(|x| x == &o || x.starts_with(&format!("{o}=")));
    let deletes = DELETES.iter().any(|o| has(o));
    let followed = has("-L") || has("--copy-unsafe-links");
    [
        // Its generator opens what is no directory, and calls that an I/O error.
        has("--ignore-existing") && deletes,
        // Its dry run makes way for members of a group once for each of them.
        has("-n") && has("-H"),
        // The times of links that follow a link: some are set, some are shown, by no rule that we found.
        has("-H") && (has("-J") || has("-c")),
        // Which directories are empty is no question where none is looked into; rsync prunes some.
        has("-m") && has("-d"),
        // A link without referent stops deletion from then on: how much went before depends on how far
        // the sender was ahead.
        followed && deletes,
        // Members that -u leaves alone are linked all the same, or not, with their leader.
        has("-u") && has("-H"),
        // What is left of one inode with several names depends on which process came first.
        has("--inplace") && (has("-H") || has("-b") || has("--backup-dir")),
    ]
    .contains(&true)
}

fn operand(path: &[u8], name: &[u8]) -> OsString {
    OsString::from_vec([path, name].concat())
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
    let backup = options.iter().any(|o| o.starts_with("-b") || o.starts_with("--backup"));
    let shape = Shape {
        depth: 1 + rng.below(3),
        width: 4 + rng.below(9),
        long_names: !backup,
        hard_links: options.contains(&"-H"),
        follow: ["-L", "-k", "--copy-unsafe-links"].iter().any(|o| options.contains(o)),
        root,
    };
    let source = Tree::random(rng, &shape);
    let dest = match rng.below(10) {
        // With nothing but a root to transfer, rsync does not make a missing destination.
        0 if !options.contains(&"--existing") => None,
        1 => Some(Tree::empty(rng, &shape)),
        _ => Some(source.mutated(rng, &shape)),
    };
    let mut second = None;
    let mut args: Vec<OsString> = options.iter().map(OsString::from).collect();
    let (dirs, leaves) = source.top_names();
    let mut named = None;
    match rng.below(20) {
        0..11 => args.push("src/".into()),
        // Where all of `src` is hidden and `dst` is missing, rsync makes `dst` itself a copy of `src`.
        11..13 if dest.is_some() => {
            args.push("src".into());
            named = Some(b"src".as_slice());
        }
        13..15 => {
            // rsync ends with a protocol error where two sources have hard links (3.5.0).
            if options.contains(&"-H") {
                args.push("src/".into());
            } else {
                second = Some(source.mutated(rng, &shape));
                args.extend(["src/".into(), "src2/".into()]);
            }
        }
        15 if !dirs.is_empty() => {
            args.push(operand(b"src/", &dirs[rng.below(dirs.len())]));
            args.extend(leaves.first().map(|name| operand(b"src/", name)));
        }
        16 if !leaves.is_empty() => args.push(operand(b"src/", &leaves[rng.below(leaves.len())])),
        17 if !dirs.is_empty() => {
            args.extend(["-R".into(), operand(b"src/./", &dirs[rng.below(dirs.len())])]);
        }
        18 if !dirs.is_empty() => {
            args.extend(["-R".into(), operand(b"src/", &dirs[0])]);
            args.extend(leaves.first().map(|name| operand(b"src/", name)));
            named = Some(b"src".as_slice());
        }
        _ => args.push("src/.".into()),
    }
    args.push(rng.pick(&["dst", "dst/"]).into());
    let mut trees = vec![("src", source)];
    trees.extend(second.map(|tree| ("src2", tree)));
    trees.extend(dest.map(|tree| ("dst", if let Some(name) = named { tree.below(name) } else { tree })));
    Case { trees, args }
}
