//! Random command lines over random trees: what the differential test draws.
//!
//! One or two sources with and without a trailing slash, one or two entries of a source, `-R` and
//! `--files-from`, to a destination that is older, empty or missing, with older trees as basis
//! directories; the options are [`random_options`](crate::random_options).

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use crate::random_options::{self, random_options};
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

    /// Whether modes are kept.
    pub fn keeps_modes(&self) -> bool {
        // Of these the last one counts.
        let decides = ["-a", "-A", "-p", "-lptgo", "--no-p"];
        let last = self.args.iter().rev().find(|arg| decides.iter().any(|option| *arg == option));
        last.is_some_and(|arg| arg != "--no-p")
    }

    /// Whether access times come out as with rsync: where what is there is compared, it is read.
    pub fn keeps_access_times(&self) -> bool {
        (self.has("-U") || self.has("-UU")) && !self.has("-c")
    }

    /// Whether entries without any change are shown too: `-i` twice.
    pub fn shows_unchanged(&self) -> bool {
        self.args.iter().filter(|arg| *arg == "-i").count() > 1
    }
}

/// Files beside the trees that some options read.
const FILES: &[(&str, &[u8])] = &[
    ("rules", b"# rules\n+ main.c\n- *.c\nP *.o\n\n- /b\nH sub/\n"),
    ("patterns", b"*.o\n; no\nsub/\n/a\nfoo*\n"),
];

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
    let mut options = random_options(rng);
    // Of a generator of their own, so that the cases without them stay what they were.
    let apart = &mut Rng::new(seed ^ 0x000a_77ac_ed00);
    // A partial file keeps what is attached to it, and with -X the line says what differs from that: `mkdir d/p; echo 11 >s/f;
    // echo 1 >d/f; cp d/f d/p/; setfattr -n user.a -v 1 d/p/f; rsync -aiX --partial-dir=p s/ d/` shows `>f.s......x f`.
    let attached = apart.chance(40) && !options.contains(&"--partial-dir=sub");
    let more = random_options::attached(apart, attached, &options);
    options.extend(more);
    let has = |option: &str| options.iter().any(|o| o.starts_with(option));
    let deletes = random_options::deletes(&options);
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
        attached,
    };
    let source = Tree::random(rng, &shape);
    // Where one inode of the destination is written to under several names, the last one wins, and in rsync
    // that is whichever its processes come to last.
    let append = has("--append");
    let dest_shape = Shape { hard_links: shape.hard_links && !has("--inplace") && !append, ..shape };
    // With nothing but a root in its list, rsync --existing does not make a missing destination, and rsync
    // --mkpath shows it as new.
    let may_be_bare =
        source.paths().is_empty() || has("-f") || has("--exclude") || has("-F") || has("-C") || has("-m");
    // Its dry run shows a root that --mkpath would have made as new, its real run does not; with --existing
    // it is the other way about.
    let two_answers = options.contains(&"-n");
    // There it looks for a relative basis directory beside the destination's parent.
    let based = has("--link-dest") || has("--copy-dest") || has("--compare-dest");
    let mut dest = match rng.below(10) {
        0 if !((has("--existing") || has("--mkpath")) && (may_be_bare || two_answers))
            && !(based && may_be_bare) =>
        {
            None
        }
        1 => Some(Tree::empty(rng, &shape)),
        _ => Some(source.mutated(rng, &dest_shape)),
    };
    let mut case = Case {
        trees: Vec::new(),
        files: FILES.iter().map(|(name, text)| (*name, text.to_vec())).collect(),
        args: options.iter().map(OsString::from).collect(),
    };
    if append {
        dest = dest.map(|dest| dest.cut(apart));
    }
    let args = &mut case.args;
    let mut second = None;
    let paths = source.paths();
    let (dirs, leaves) = source.top_names();
    let mut named = false;
    // What such a rule names it sends all the same of directories on the way: `mkdir -p s/a d/a; touch s/a/f; setfattr -n
    // user.b -v 1 s/a; rsync -aXR -f '-xs user.b' s/./a/f d/`.
    let sends_less = has("-xs");
    match rng.below(24) {
        0..11 => args.push("src/".into()),
        // A directory without anything in it is copied to a missing destination as if it were a file:
        // `mkdir e; rsync -a e new` makes `new`, and not `new/e`.
        11..13 if dest.is_some() => {
            args.push("src".into());
            named = true;
        }
        // Of a directory that both have, rsync keeps an empty one: `mkdir -p s/a s/b t/a; touch s/f t/g;
        // rsync -rm s/ t/ d/` makes d/a.
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
        17..20 if !paths.is_empty() && dest.is_some() && !sends_less => {
            args.push("-R".into());
            if rng.chance(30) {
                args.push("--no-implied-dirs".into());
            }
            let skip = if rng.chance(60) { Some(rng.below(2)) } else { None };
            named = skip.is_none();
            // With -H, what two operands name is one inode with more names than it has: rsync links all.
            let operands = if options.contains(&"-H") { 1 } else { 1 + rng.below(2) };
            for _ in 0..operands {
                args.push(operand(&paths[rng.below(paths.len())], skip));
            }
        }
        // With an option for the other side as well, it ends with `File-list index 107 not in -1 - 1` and exit 2:
        // `ln -s x s/l; echo l >n; rsync -a -M--munge-links --files-from=n s/ d/`.
        20..22 if !paths.is_empty() && dest.is_some() && !has("-M") && !sends_less => {
            let zeros = rng.chance(40);
            // What is left of a name with a newline has no directory: `rsync -aR --delete-missing-args s/./a/b d/` ends
            // with 24 where `s/a` is not there either.
            let whole = |path: &&Vec<u8>| zeros || !has("--delete-missing-args") || !path.contains(&b'\n');
            // With -0 these are names where the sources are on another machine, and comments where they are here.
            let named = |path: &&Vec<u8>| !zeros || !matches!(path.first(), Some(b'#' | b';'));
            let mut paths: Vec<Vec<u8>> = paths.iter().filter(whole).filter(named).cloned().collect();
            if paths.is_empty() {
                paths.push(b"not-there".to_vec());
            }
            // What comes twice, or leads to another as well, is no empty directory to it: `mkdir -p s/a/b; rsync -am
            // --files-from=<(echo a; echo a/b) s/ d/` makes `a`.
            let names = random_list(rng, &paths, if zeros { 0 } else { b'\n' }, has("-m"));
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
    // Where the whole list comes first and what is there is no beginning, it ends with `Invalid packet at end of run` and 2:
    // `echo 123 >s/a; ln s/a s/b; printf 9 >d/a; rsync -aHm --append-verify s/ d/`.
    let recursive =
        ["-a", "-r"].iter().any(|o| case.has(o)) && (!case.has("--files-from=names") || case.has("-r"));
    let whole = ["-m", "--delete-before", "--delete-after", "--no-inc-recursive"].iter().any(|o| case.has(o));
    let verified = case.has("--append-verify") && case.has("-H") && (whole || !recursive);
    for from in [Some(&source), second.as_ref()].into_iter().flatten() {
        // Where a directory of the source has something else in its place, rsync looks into that, fails,
        // and at last gives it the directory's time (`mkdir -p s/x; touch d/x; rsync -a --delete
        // --ignore-existing s/ d/`).
        // And what is in the way of a directory that --no-implied-dirs does not list, it leaves there, with
        // as many errors as it has files below it.
        if has("--ignore-existing") || unlisted {
            dest = dest.map(|dest| {
                dest.without(from, |mine, there| {
                    mine.is_some() && matches!(there, None | Some(Body::Symlink(_)))
                })
            });
        }
        if verified {
            dest = dest.map(|dest| {
                dest.without(from, |mine, there| match (mine, there) {
                    (Some(Body::Bytes { seed: a, .. }), Some(Body::Bytes { seed: b, .. })) => a != b,
                    (Some(Body::Text(a)), Some(Body::Text(b))) => !b.starts_with(a),
                    (mine, there) => mine.is_some() && there.is_some() && mine != there,
                })
            });
        }
        // Where a full directory is in the way of a member of a group and must stay, it waits for ever:
        // `touch s/f s/g; ln s/f s/l; ln s/g s/m; mkdir d/l d/m; touch d/l/x d/m/x; rsync -aH s/ d/`.
        // And where what is in it is left out and thus stays, `File-list index 2 not in 8 - 70` and exit 2.
        // And with -A, for a new link it looks for the default list of the directory that was there, in what is there now.
        if options.contains(&"-H") && (!has("--force") || options.contains(&"-A")) {
            dest = dest.map(|dest| dest.without(from, |mine, there| mine.is_none() && there.is_some()));
        }
        // What has a name of a group and is of another kind is removed, and nothing takes its place: `echo 1 >s/a; ln s/a
        // s/b; mkfifo d/a; rsync -aH --existing s/ d/`.
        if options.contains(&"-H") && has("--existing") {
            dest = dest.map(|dest| dest.without(from, |mine, there| there.is_some() && !alike(mine, there)));
        }
        // As where a FIFO replaces a link below: a copy from a basis directory takes the link's mode 0777.
        if based && (!options.contains(&"-a") || options.contains(&"--no-p")) {
            dest = dest.map(|dest| {
                dest.without(from, |mine, there| {
                    let is_file =
                        |body: Option<&Body>| matches!(body, Some(Body::Bytes { .. } | Body::Text(_)));
                    is_file(there) && !is_file(mine)
                })
            });
        }
        // Where a FIFO or device replaces a link or directory, rsync without -p gives it the mode of that,
        // 0777 or 0755.
        if !options.contains(&"-a") || options.contains(&"--no-p") {
            dest = dest.map(|dest| {
                dest.without(from, |mine, there| {
                    matches!(
                        (mine, there),
                        (Some(Body::Symlink(_)) | None, Some(Body::Fifo | Body::Device(_)))
                    )
                })
            });
        }
    }
    let mut bases = Vec::new();
    for name in ["bas", "bas2"] {
        let named = |arg: &OsString| arg.as_bytes().ends_with(format!("/{name}").as_bytes());
        if case.args.iter().any(named) {
            // As with links that are followed: see `out_of_scope`.
            let tree = source.mutated(rng, &dest_shape);
            let linked = |mine: Option<&Body>, there: Option<&Body>| {
                matches!(mine, Some(Body::Symlink(_))) && there.is_none()
            };
            let tree = tree.without(&source, linked);
            // What a basis directory has shorter becomes zeros with --append, and what is not shorter is not copied:
            // `echo abc >s/f; echo abd >bas/f; touch -d @1000 bas/f; rsync -a --append --copy-dest=../bas s/ d/` leaves
            // d empty, and with `echo >bas/f` d/f begins with a NUL.
            let others = [Some(&source), second.as_ref()].into_iter().flatten();
            let copied = has("--copy-devices");
            let tree = match append {
                true => others.clone().fold(tree, |tree, other| tree.without_other_files(other, copied)),
                false => tree,
            };
            // Where it has one name of a group and not another, the one is made, or the other is not, or all wait for ever:
            // `touch s/a; ln s/a s/b; cp -p s/a bas/; rsync -aH --compare-dest=../bas s/ d/` makes a, with `cp -p s/b` not b.
            let grouped = has("--compare-dest") && options.contains(&"-H");
            let again = others.chain([&source]).filter(|_| grouped);
            let tree = again.fold(tree, Tree::with_whole_groups);
            // What is made like a link, FIFO or device there, but with another mode or time, loses its extended
            // attributes: `mkfifo s/p b/p; setfattr -n trusted.a -v 1 s/p b/p; chmod 600 b/p; rsync -aX
            // --link-dest=../b s/ d/`.
            let bare = |_: Option<&Body>, there: Option<&Body>| {
                matches!(there, Some(Body::Symlink(_) | Body::Fifo | Body::Device(_)))
            };
            let loses = has("-X");
            bases.push((name, if loses { tree.without(&source, bare) } else { tree }));
        }
    }
    case.trees = vec![("src", source)];
    case.trees.extend(second.map(|tree| ("src2", tree)));
    let placed = |tree: Tree| if named { tree.below(b"src") } else { tree };
    case.trees.extend(bases.into_iter().map(|(name, tree)| (name, placed(tree))));
    case.trees.extend(dest.map(|tree| ("dst", placed(tree))));
    case
}

/// Whether two entries are of one kind, directories and files of any content among them.
fn alike(mine: Option<&Body>, there: Option<&Body>) -> bool {
    let file = |body: &Body| matches!(body, Body::Bytes { .. } | Body::Text(_));
    match (mine, there) {
        (Some(mine), Some(there)) => {
            file(mine) && file(there) || std::mem::discriminant(mine) == std::mem::discriminant(there)
        }
        (mine, there) => mine.is_none() && there.is_none(),
    }
}

/// A list of names for `--files-from`: some of `paths`, in any order, perhaps with one that is not there; none is or leads to
/// another if they are to be `apart`.
fn random_list(rng: &mut Rng, paths: &[Vec<u8>], end: u8, apart: bool) -> Vec<u8> {
    let (mut list, mut listed) = (Vec::new(), Vec::<&[u8]>::new());
    let leads =
        |to: &[u8], from: &[u8]| to.strip_prefix(from).is_some_and(|rest| matches!(rest, [] | [b'/', ..]));
    for _ in 0..1 + rng.below(5) {
        let begin = rng.pick(&[&b""[..], b"", b"", b"./", b"/"]);
        let name = &paths[rng.below(paths.len())][..];
        if apart && listed.iter().any(|other| leads(name, other) || leads(other, name)) {
            continue;
        }
        listed.push(name);
        list.extend_from_slice(begin);
        list.extend_from_slice(if rng.chance(3) { b"not-there" } else { name });
        list.push(end);
    }
    list
}
