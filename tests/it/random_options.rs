//! The options that the differential test draws, and the combinations that it leaves out.
//!
//! Drawn are those that decide what is transferred, deleted, kept and shown as a change: [`SWITCHES`],
//! [`DELETES`], [`FILTERS`] and [`BASES`], over `-a`, over `-a` less one of its parts, over `-d` and over any part of
//! `-rlptgoD`. [`random_command`](crate::random_command) adds `-R`, `--no-implied-dirs`, `--files-from`, `-0`
//! and `--from0`.
//!
//! Not drawn are options that change neither the tree nor the itemized lines (`-q`, `-h`, `-P`, `--stats`,
//! `--info`, `--log-file`, `--bwlimit`, `--timeout`, `--stop-after` …): their tests are `options`, `report`
//! and `report_oracle`. Patterns and rules have a random test of their own in `filter`. Nor is `-K`: below a
//! link that leads out of the destination, rsync 3.5.0 fails with `ELOOP`.

use crate::random_tree::Rng;

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
    (6, &["-E"]),
    (4, &["--munge-links"]),
    (4, &["-M--munge-links"]),
    (3, &["--drop-D"]),
    (3, &["-M--drop-D"]),
    (3, &["--copy-devices"]),
    (3, &["--preallocate"]),
    (2, &["--old-dirs"]),
    (3, &["--ignore-missing-args"]),
    (3, &["--delete-missing-args"]),
    (2, &["--cc=none"]),
    (2, &["--insecure-links"]),
    (8, &["-U"]),
    (3, &["-UU"]),
    (3, &["--open-noatime"]),
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
    (4, &["--partial-dir=.p"]),
    (2, &["--partial-dir=sub"]),
    (2, &["--partial-dir=@/tmp"]),
    (6, &["--append"]),
    (5, &["--append-verify"]),
    (6, &["--delay-updates"]),
    (2, &["--fsync"]),
    (4, &["--mkpath"]),
    (6, &["--remove-source-files"]),
    (5, &["--chmod=F640,D750"]),
    (5, &["--chmod=u+w,go-w,a+X"]),
    (3, &["--chmod=Dg+s,F=rX,Fu+w"]),
    (10, &["--numeric-ids"]),
    (4, &["--chown=1:33"]),
    (4, &["--chown=:33"]),
    (4, &["--usermap=0-32:33,*:12345", "--groupmap=:7,[a-s]*:2"]),
    (5, &["--modify-window=1"]),
    (5, &["--modify-window=-1"]),
    (5, &["-W"]),
    (15, &["-n"]),
    (10, &["-i"]),
    (4, &["-v"]),
    (4, &["--out-format=%i %n%L"]),
];

/// Options that delete, of which one choice in about half of the cases.
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

/// Basis directories, of which one choice in some of the cases.
const BASES: &[&[&str]] = &[
    &["--link-dest=../bas"],
    &["--link-dest=../bas"],
    &["--link-dest=@/bas", "--link-dest=../bas2"],
    &["--link-dest=../not-there", "--link-dest=../bas"],
    &["--copy-dest=../bas"],
    &["--copy-dest=../bas2", "--copy-dest=../bas"],
    &["--compare-dest=../bas"],
    &["--compare-dest=@/bas", "--compare-dest=../bas2"],
];

/// Rules, of which any number.
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
    &["-f", "-!s *.c", "-f", "-r a"],
    &["-f", "+! */", "-f", "- b"],
    &["-f", "S! *.c", "-f", "H *"],
    &["-f", "P!p *.o"],
    &["-f", "R/ a", "-f", "P *"],
    &["-f", "include,/ */src/a", "-f", "- a"],
    &["-f", "-/p **/sub"],
    &["-f", ".r- patterns"],
    &["-f", ".pe rules"],
    &["-f", ":r- .rules"],
    &["-f", ":/ .rules"],
    &["-f", ":nw- .rules"],
    &["-f", ":C .rules"],
    &["-f", "- a", "-f", "!", "-f", "- c"],
    &["-f", "- a", "-f", "clear", "-f", "- c"],
    &["-F"],
    &["-FF"],
    &["-C"],
];

/// Options that keep extended attributes and access control lists beside `others`, more often where the trees
/// have such.
pub fn attached(rng: &mut Rng, occurs: bool, others: &[&str]) -> Vec<&'static str> {
    let often = if occurs { 55 } else { 5 };
    let mut options = Vec::new();
    // Without -p, rsync gives what has other extended attributes the source's mode too: `touch s/f d/f; chmod
    // 600 s/f; setfattr -n user.a -v 1 s/f; rsync -rltX s/ d/`. And what links lead to gets those of the link.
    let modes = others.contains(&"-lptgo") || others.contains(&"-p") || others.contains(&"-a");
    // Long values of a source that is to be removed it reads once more, perhaps when that is gone.
    let modes = modes && !others.contains(&"--no-p") && !others.contains(&"--remove-source-files");
    let bases = others.iter().filter(|o| o.contains("-dest=") && !o.ends_with("not-there")).count();
    // Of several basis directories the first that has a directory, link, FIFO or device decides, though another has
    // its lists and attributes as well: `mkdir -p s/x b/x c/x; setfattr -n user.a -v 1 b/x; touch -d @1 ?/x; rsync -aX
    // --copy-dest=../b --copy-dest=../c s/ d/`.
    if bases > 1 {
        return options;
    }
    // The dry run changes the current directory: `setfattr -n user.a -v 1 s b; touch -d @1 s b; rsync -anX
    // --compare-dest=../b s/ new/; getfattr -d .`. And it fails for what is in directories that it has not made.
    let dry = bases > 0 && others.contains(&"-n");
    // Backups are copies there, without access control lists but for what they inherit.
    let in_place = ["--inplace", "--append", "--append-verify"].iter().any(|o| others.contains(o));
    let backs_up = others.iter().any(|o| *o == "-b" || o.starts_with("--backup"));
    // Maps of owners hold for access control lists too, even with --numeric-ids where the whole list comes first (-m,
    // --delete-before …): `setfacl -m u:33:r s/f; rsync -aAm --numeric-ids --chown=1 s/ d/`.
    let maps = ["--chown", "--usermap", "--groupmap"];
    let mapped =
        others.contains(&"--numeric-ids") && others.iter().any(|o| maps.iter().any(|m| o.starts_with(m)));
    let follows = ["-L", "-k", "--copy-unsafe-links"].iter().any(|option| others.contains(option));
    if modes && !follows && !dry && rng.chance(often) {
        options.push(rng.pick(&["-X", "-X", "-X", "-XX"]));
    }
    if !(mapped || dry || in_place && backs_up) && rng.chance(often) {
        options.push("-A");
    }
    // With --delete-excluded such rules are the sender's, and rsync removes the lists that it has set.
    let rules = !others.contains(&"--delete-excluded") && options.iter().any(|o| o.starts_with("-X"));
    if rules && rng.chance(25) {
        options.extend(rng.pick(XATTR_RULES));
    }
    options
}

/// Rules about names of extended attributes.
const XATTR_RULES: &[&[&str]] = &[
    &["-f", "-x user.a"],
    &["-f", "-x! user.*"],
    &["-f", "-xs user.b", "-f", "-x system.*"],
    &["-f", "-xr user.*", "-f", "-x system.*"],
    &["-f", "+x user.long", "-f", "-x *"],
];

/// Options that rsync has an answer to that sluice follows.
pub fn random_options(rng: &mut Rng) -> Vec<&'static str> {
    loop {
        let options = any_options(rng);
        if !out_of_scope(&options) {
            return options;
        }
    }
}

/// Whether the options, as [`random_options`] draws them, delete anything.
pub fn deletes(options: &[&str]) -> bool {
    DELETES.iter().any(|delete| options.contains(&delete[0]))
}

fn any_options(rng: &mut Rng) -> Vec<&'static str> {
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
    if rng.chance(30) {
        options.extend(rng.pick(BASES));
    }
    options
}

/// Whether rsync's answer under these options is one that sluice does not follow. Each line says what rsync
/// 3.5.0 does, in most cases with commands that show it; in them `s` is the source, `d` the destination.
fn out_of_scope(options: &[&str]) -> bool {
    let has = |o: &str| options.iter().any(|x| x == &o || x.starts_with(&format!("{o}=")));
    let any = |options: &[&str]| options.iter().any(|o| has(o));
    let backs_up_beside = any(&["-b", "--backup"]) && !has("--backup-dir");
    let append = any(&["--append", "--append-verify"]);
    let in_place = append || has("--inplace");
    let all_kinds = has("-a") && !any(&["--no-l", "--no-D", "--no-devices", "--no-specials"]);
    [
        // With a window, a file of the same time is taken for newer, against the manual: after
        // `echo 1 >s/f; echo 22 >d/f; touch -d @9 s/f d/f`, `rsync -tu s/ d/` transfers f, and with
        // `--modify-window=1` as well it does not. With -1, one that is a second newer is overwritten.
        has("-u") && has("--modify-window"),
        // Newer files are overwritten, against the manual: `echo 1 >s/a; ln s/a s/b; cp -p s/a d/a; sleep 1;
        // echo 22 >d/b; rsync -rtuH s/ d/` makes d/b a link to d/a.
        has("-u") && has("-H"),
        // It cannot look at a path with `..` there: `rsync -a --inplace --backup-dir=../b s/ d/` says
        // `stat "…/d/../b/f" failed: Invalid argument` for each file that it changes, and ends with 23.
        in_place && any(&["--backup-dir=../bak", "--backup-dir=../bak/deep"]),
        // Backups are copies there, which have only those attributes that the options keep.
        in_place
            && any(&["-b", "--backup", "--backup-dir"])
            && (!has("-a") || any(&["--no-t", "--no-p", "--no-o", "--no-g"])),
        // Backups in the destination are surplus there: `echo 1 >s/f; echo 22 >d/f; rsync -a --delete-after
        // --backup-dir=.bak s/ d/` leaves d/.bak/.bak/f.
        has("--backup-dir=.bak") && deletes(options),
        // The backups that it has just made are deleted:
        // `echo 1 >s/f; echo 22 >d/f; rsync -ab --delete-excluded --delete-after s/ d/` leaves no d/f~.
        backs_up_beside && has("--delete-excluded") && has("--delete-after"),
        // So they are with a rule that includes their names: `--include='f*'` in its place.
        backs_up_beside && any(&["--include", "--include-from"]) && has("--delete-after"),
        // Links are lost: after `ln -s ../../x d/l`, `rsync -ab --delete --safe-links s/ d/` removes l and
        // leaves no l~.
        has("--safe-links") && any(&["-b", "--backup", "--backup-dir"]),
        // It waits for ever where hard-linked links are left out: `mkdir -p s/a s/x/y/z; touch s/f;
        // ln -s ../../x s/a/l; ln s/a/l s/x/y/z/m; rsync -aH --safe-links s/ d/`, and
        // `mkdir s/a; ln -s x s/c; ln s/c s/a/t; ln -s x d/c; rsync -rH --existing s/ d/`.
        has("-H") && has("--safe-links"),
        has("-H") && has("--existing") && !all_kinds,
        // It follows symbolic links in a basis directory, out of that too: where the source's `l` is a link to a
        // directory that is copied as one, `rsync -aL --link-dest=../bas s/ d/` links what bas/l leads to.
        any(&["--link-dest", "--copy-dest", "--compare-dest"]) && any(&["-L", "-k", "--copy-unsafe-links"]),
        // A FIFO or device of a basis directory is made anew where its `x` bits differ, though -E is about regular files:
        // `mkfifo -m 644 s/f; mkfifo -m 755 bas/f; rsync -rDE --link-dest=../bas s/ d/`.
        has("-E") && any(&["--link-dest", "--copy-dest", "--compare-dest"]) && (!all_kinds || has("--no-p")),
        // They exclude each other.
        in_place && any(&["--delay-updates", "--partial-dir"]),
        append && has("-W"),
        // It changes the basis: what it links gets the mode of what was there, in DIR too. `echo 1 >s/f; echo 1 >bas/f;
        // echo 2 >d/f; chmod 600 bas/f; touch -d @9 s/f bas/f; rsync -rtU --link-dest=../bas s/ d/; stat bas/f`.
        any(&["-U", "-UU"]) && has("--link-dest") && (!any(&["-a", "-p", "-lptgo"]) || has("--no-p")),
        // With -I what a basis directory has is never the same: see `random_command`.
        append && has("-I") && any(&["--link-dest", "--copy-dest", "--compare-dest"]),
        // With no checksum it takes files whole, which excludes --append: `rsync -a --cc=none --append s/ h:d/`
        // ends with 1, locally all is well.
        append && has("--cc"),
        // The receiving side is told of neither: `rsync -a -M--drop-D --append s/ d/` ends with 12.
        append && options.iter().any(|o| o.starts_with("-M")),
        // Files of one name from several directories wait there under that name alone: `mkdir -p s/a s/b; echo 1
        // >s/a/f; echo 2 >s/b/f; rsync -a --delay-updates --partial-dir=/tmp/p s/ d/` makes d/a/f the second one.
        has("--delay-updates") && options.contains(&"--partial-dir=@/tmp"),
        // And what waits there is in the way of a file that is called so: `echo 1 >s/p; rsync -a --delay-updates
        // --partial-dir=p s/ d/` makes d/p/p.
        has("--delay-updates") && options.contains(&"--partial-dir=sub"),
        // `Skipping sender remove for changed file`, since a device is no file: `mknod s/n c 1 3; rsync -a
        // --copy-devices --remove-source-files s/ d/` ends with 23.
        has("--copy-devices") && has("--remove-source-files"),
        // What is read to be compared has been accessed where it is looked at again: for each name of a group, in each
        // basis directory, and where a new owner has cost a file its set-id bits.
        has("-c")
            && any(&["-U", "-UU"])
            && any(&["-H", "--link-dest", "--copy-dest", "--compare-dest", "--chown", "--usermap"]),
        // The same of what is compared with the source's beginning.
        has("--append-verify") && any(&["-U", "-UU"]) && any(&["-H", "-b", "--backup", "--backup-dir"]),
        // It waits for ever where a name of a group is there already that the basis has.
        has("-H") && has("--ignore-existing") && any(&["--copy-dest", "--compare-dest"]),
        // It waits for ever, or ends with 2, where the last name of a group is there and the others are left out:
        // `touch s/a; ln s/a s/b; touch d/b; rsync -aH --ignore-existing --min-size=2 s/ d/`.
        has("-H") && any(&["--ignore-existing", "--existing"]) && any(&["--min-size", "--max-size"]),
        // What the destination has becomes zeros.
        append && has("-S"),
        // A file of the destination that a basis directory has is replaced or removed without a backup:
        // `echo 1 >s/f; cp -p s/f bas/; echo 22 >d/f; rsync -ab --link-dest=../bas s/ d/` leaves no d/f~, and
        // with --compare-dest no d/f either.
        any(&["--link-dest", "--compare-dest"]) && any(&["-b", "--backup", "--backup-dir"]),
        // Its dry run is wrong (see `differential`), and its real run shows times that deletions have changed.
        has("-n") && any(&["-H", "-b", "--backup"]) && has("--delete-before"),
        // There is nothing to compare with.
        has("-c") && has("--cc"),
        // They cannot be mixed, nor given twice.
        options.iter().filter(|o| o.starts_with("--chown") || o.starts_with("--usermap")).count() > 1,
        // What two followed links lead to is removed after its first transfer: whether the second is in time
        // is nobody's to say.
        has("--remove-source-files") && any(&["-L", "-k", "--copy-unsafe-links"]),
    ]
    .contains(&true)
}
