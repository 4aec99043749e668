//! Twenty command lines as they stand in people's scripts, with rsync and with sluice: same trees, same exit
//! status, same lines but for figures of the protocol and the order in which several processes tell things.
#![allow(clippy::disallowed_methods, clippy::unwrap_used)] // a test looks at files by path

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::oracle::Manifest;
use crate::remote_shell;
use crate::requirement;
use crate::served::file;
use crate::under_test::{Run, binary, command, finish};

/// The lines, with `$P` for the program, and for another machine `$R` for the options that reach it and
/// `far:$PWD` for a directory there.
const LINES: &[&str] = &[
    // rsync-backup
    "$P -av --delete src/ dst &>> out",
    // The wiki form
    r#"$P -aAXHv --delete --exclude={"/dev/*","/proc/*","/sys/*","/tmp/*","/run/*","/mnt/*","/media/*","/lost+found"} src/ dst"#,
    // Snapshots by hard links
    r#"$P -a --link-dest="$PWD/dst" src/ "new/" && ln -sfn new latest"#,
    // Docker's directory to another disk
    "$P -aHAX --numeric-ids --info=progress2 src/ dst/",
    // rsync-time-backup
    r#"$P -D --numeric-ids --links --hard-links --one-file-system --itemize-changes --times --recursive --perms --owner --group --stats --human-readable --log-file=log --exclude-from=list --link-dest="$PWD/dst" -- src/ new/"#,
    // rsnapshot
    "$P -a --delete --numeric-ids --relative --delete-excluded --link-dest=../dst src ./new/",
    // timeshift
    "$P -aii --recursive --links --stats --delete --force --link-dest=../dst --log-file=log --exclude-from=list src/ new/",
    // backintime
    r#"$P -rtDHh --links --no-p --no-g --no-o --info=progress2 --no-i-r --bwlimit=20000 --rsh="ssh -p 22" --chmod=Du+wx --out-format="BACKINTIME: %i %n%L" src/ dst/"#,
    // tunasync's two stages
    r#"$P -aHvh --no-o --no-g --stats --filter "risk .~tmp~/" --exclude ".~tmp~/" --exclude 'b*' --delay-updates --safe-links --timeout=120 src/ dst/ && $P -aHvh --no-o --no-g --stats --filter "risk .~tmp~/" --exclude ".~tmp~/" --delete --delete-after --delay-updates --safe-links --timeout=120 src/ dst/"#,
    // Arch's mirrors (there, with --contimeout, from a daemon)
    "$P -rtlHq --delete-delay --delay-updates --safe-links --timeout=600 src/ dst/",
    // A storage box
    r#"$P -avz --delete --partial $R --exclude-from=list src/ far:$PWD/dst/ >> out 2>&1"#,
    r#"$P -a -H -hh --numeric-ids --inplace --stats --delete --delete-excluded --exclude-from=list $R --link-dest=../dst src/ far:$PWD/new"#,
    // log2ram
    r#"$P -aAXv --sparse --inplace --no-whole-file --delete-after "src"/ "dst"/"#,
    // volsync
    "$P -aAhHSxz -r --exclude=lost+found --itemize-changes --info=stats2,misc2 --files-from=names src/ dst/",
    // incus
    r#"$P -a -HA --sparse --devices --delete --numeric-ids --modify-window=-1 --xattrs --filter="-x security.selinux" --bwlimit 20000 src/ dst/"#,
    // teslausb
    // Without the link among the names: whether what it leads to is removed before it is read is a matter of time.
    "sed -i /^link/d names && $P -avhRL --remove-source-files --no-perms --omit-dir-times --stats --ignore-missing-args --files-from=names src dst || [[ $? = 24 ]]",
    // barman
    "cat names | $P -rLKpts --delete-excluded --inplace --files-from=- src dst --bwlimit 20000",
    // ansible
    "$P --delay-updates -F --compress --archive $R --out-format='<<CHANGED>>%i %n%L' src/ far:$PWD/dst/",
    // vagrant
    "$P --verbose --archive --delete -z --copy-links --no-owner --no-group $R src/ far:$PWD/dst/",
    // What is new, to another machine; a look before; and with nice and a lock around it
    "find src -type f -newer stamp | $P -av --files-from=- . far:$PWD/dst $R",
    "$P -avun --delete src/ dst/ | cat; nice flock -n lock $P -a src/ dst/",
];

fn set_up(at: &Path) {
    fs::create_dir(at).unwrap();
    let old = UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    for (name, text) in [
        ("src/a.txt", "new text"),
        ("src/b.bin", "0123456789"),
        ("src/same", "same"),
        ("src/dir/c", "c"),
        ("src/dir/deep/d", "d"),
        ("src/tmp/t", "t"),
        ("src/skip.me", "s"),
        ("src/mode", "m"),
        ("dst/a.txt", "old"),
        ("dst/same", "same"),
        ("dst/mode", "m"),
        ("dst/gone", "g"),
        ("dst/gonedir/x", "x"),
        ("dst/dir/c", "c"),
        ("dst/skip.me", "old"),
    ] {
        file(at, name, text);
        fs::File::options().write(true).open(at.join(name)).unwrap().set_modified(old).unwrap();
    }
    let holes = fs::File::create(at.join("src/holes")).unwrap();
    holes.set_len(300_000).unwrap();
    holes.set_modified(old).unwrap();
    fs::hard_link(at.join("src/same"), at.join("src/twin")).unwrap();
    symlink("a.txt", at.join("src/link")).unwrap();
    symlink("../outside", at.join("src/out")).unwrap();
    file(at, "outside", "outside");
    fs::create_dir(at.join("src/empty")).unwrap();
    fs::set_permissions(at.join("src/mode"), fs::Permissions::from_mode(0o750)).unwrap();
    fs::write(at.join("list"), "skip.*\n").unwrap();
    fs::write(at.join("names"), "a.txt\ndir/c\nlink\n").unwrap();
    for dir in ["src/dir/deep", "src/dir", "src/empty", "src/tmp", "src", "dst/dir", "dst"] {
        fs::File::open(at.join(dir)).unwrap().set_modified(old).unwrap();
    }
    fs::write(at.join("stamp"), "").unwrap();
    fs::File::options()
        .write(true)
        .open(at.join("stamp"))
        .unwrap()
        .set_modified(old - Duration::from_secs(9))
        .unwrap();
}

/// One program's run of a line; `out` and `log` count as printed.
fn play(line: &str, at: &Path, program: &OsStr, since: SystemTime) -> (Run, Vec<String>, Manifest) {
    set_up(at);
    let [rsh, path] = remote_shell::options(at.parent().unwrap(), program);
    let script = format!("R=(\"$1\" \"$2\"); P=$0; {}", line.replace("$R", "\"${R[@]}\""));
    let mut bash = command(OsStr::new("bash"), at);
    bash.args(["--norc", "-c", &script]).arg(program).args([rsh, path]);
    let run = finish(bash);
    let mut lines = compared(&run.text());
    for name in ["out", "log"] {
        if let Ok(text) = fs::read_to_string(at.join(name)) {
            lines.extend(compared(&text));
            fs::remove_file(at.join(name)).unwrap();
        }
    }
    lines.sort();
    (run, lines, Manifest::of(at, since))
}

/// The lines of an output that the two programs agree in: not the figures of the protocol, nor what only one
/// of them has to tell of how the bytes went.
fn compared(text: &str) -> Vec<String> {
    const APART: &[&str] = &[
        "sent ",
        "total size is ",
        "Total bytes ",
        "Literal data",
        "Matched data",
        "File list ",
        "Data ",
        "delta-transmission",
        "total: matches",
    ];
    // In a log, behind the time and the process.
    let bare = |line: &str| match line.split_once("] ") {
        Some((head, rest)) if head.starts_with("20") && head.contains(" [") => rest.to_owned(),
        _ => line.to_owned(),
    };
    let lines = text.split(['\n', '\r']).map(bare);
    lines
        .filter(|line| !line.is_empty() && !APART.iter().any(|apart| line.starts_with(apart)))
        .filter(|line| !line.contains("xfr#") && !line.contains("% ") && !line.contains("to-chk="))
        .collect()
}

#[test]
fn twenty_lines_of_peoples_scripts_do_with_sluice_what_they_do_with_rsync() {
    if !requirement::has("rsync") || !requirement::has("bash") || !requirement::has("flock") {
        return;
    }
    for line in LINES {
        let scratch = tempfile::tempdir().unwrap();
        let since = SystemTime::now() - Duration::from_secs(5);
        let at = |name: &str| scratch.path().join(name);
        fs::create_dir(at("theirs")).unwrap();
        fs::create_dir(at("ours")).unwrap();
        let (theirs, their_lines, their_tree) =
            play(line, &at("theirs").join("w"), OsStr::new("rsync"), since);
        let (ours, our_lines, our_tree) = play(line, &at("ours").join("w"), &binary(), since);
        assert_eq!(ours.code, theirs.code, "{line}\n{}{}", ours.errors(), theirs.errors());
        let differs = our_tree.difference(&their_tree);
        assert!(differs.is_empty(), "{line}\n{differs}\n{}", ours.errors());
        let only = |these: &[String], those: &[String]| -> Vec<String> {
            these.iter().filter(|line| !those.contains(line)).cloned().collect()
        };
        assert_eq!(only(&our_lines, &their_lines), only(&their_lines, &our_lines), "{line}");
        assert_eq!(our_lines, their_lines, "{line}");
    }
}
