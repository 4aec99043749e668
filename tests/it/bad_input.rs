//! What bad input gets: exit 1 and the name of what is wrong, before anything is touched.
#![allow(clippy::disallowed_methods, clippy::unwrap_used)] // a test looks at files by path

use std::fs;
use std::process::Command;

use crate::oracle::Manifest;
use crate::requirement;
use crate::served::file;
use crate::under_test::run;

/// Command lines, and what their message names.
const BAD: &[(&str, &[&str])] = &[
    // Options that say opposite things: both are named.
    ("-r --delete-before --delete-after", &["--delete-before", "--delete-after"]),
    ("-r --del --delete-before", &["--delete-during", "--delete-before"]),
    ("-r --delete-delay --delete-after", &["--delete-delay", "--delete-after"]),
    ("-r -s --old-args", &["--secluded-args", "--old-args"]),
    ("-r --retry=1 --max-delete=1", &["--retry", "--max-delete"]),
    ("-r --retry=1 --copy-as=0", &["--retry", "--copy-as"]),
    ("-r --retry=1 --inplace --backup", &["--retry", "--inplace"]),
    ("-r --preallocate --reflink=always", &["--preallocate", "--reflink=always"]),
    ("-r --insecure-links --confine-root=/x", &["--insecure-links", "--confine-root"]),
    ("-r --confine-root=x", &["--confine-root", "absolute"]),
    ("-r --stop-at=32", &["--stop-at", "32"]),
    ("-r --stderr=x", &["--stderr", "x"]),
    ("-r --profile=x --no-config", &["--profile", "--no-config"]),
    ("-r --config=x", &["--config", "--daemon"]),
    ("--delete", &["--delete", "--recursive", "--dirs"]),
    ("-r --suffix=", &["--suffix", "--backup-dir"]),
    ("-r --backup-dir=", &["--suffix", "--backup-dir"]),
    // Numbers that are none, or out of range.
    ("-r --timeout=x", &["--timeout=x"]),
    ("-r --timeout=99999999999", &["--timeout=99999999999"]),
    ("-r --modify-window=1e3", &["--modify-window=1e3"]),
    ("-r --max-delete=many", &["--max-delete=many"]),
    ("-r --max-size=1x", &["--max-size=1x"]),
    ("-r --min-size=9999P", &["--min-size=9999P"]),
    ("-r --bwlimit=1b", &["--bwlimit=1b"]),
    ("-r --jobs=0", &["--jobs=0"]),
    ("-r --retry=-1", &["--retry"]),
    ("-r --port=70000", &["--port"]),
    ("-r --stop-after=0", &["--stop-after"]),
    ("-r --delete-limit=101%", &["--delete-limit=101%"]),
    ("-r --max-age=7", &["--max-age=7"]),
    ("-r --newer-than=gone", &["--newer-than=gone"]),
    ("-r --block-size=1m", &["--block-size=1m"]),
    ("-r --protocol=x", &["--protocol=x"]),
    ("-r --max-alloc=x", &["--max-alloc=x"]),
    // Words that are unknown.
    ("-r --info=nmae", &["--info", "nmae"]),
    ("-r --debug=fliter", &["--debug", "fliter"]),
    ("-r --outbuf=x", &["--outbuf"]),
    ("-r --verify=so", &["--verify=so"]),
    ("-r --reflink=perhaps", &["--reflink=perhaps"]),
    ("-r --lock=now", &["--lock=now"]),
    ("-r --exit-codes=mine", &["--exit-codes=mine"]),
    ("-r --chmod=u+q", &["--chmod=u+q"]),
    ("-r --suffix=a/b", &["--suffix", "a/b"]),
    ("-r --filter=zzz", &["zzz"]),
    ("-r --filter=-q_x", &["modifier", "q"]),
    ("-r --nonsense", &["--nonsense"]),
    // Files of names that cannot be read.
    ("-r --files-from=gone", &["--files-from", "gone"]),
    ("-r --temp-dir=gone", &["--temp-dir", "gone"]),
];

#[test]
fn bad_input_is_named_with_exit_1_and_nothing_is_touched() {
    let dir = tempfile::tempdir().unwrap();
    file(dir.path(), "s/f", "new");
    file(dir.path(), "d/old", "old");
    let before = Manifest::exact(dir.path());
    for (line, named) in BAD {
        let tried = run(dir.path(), line.split_whitespace().chain(["s/", "d/"]));
        assert_eq!(tried.code, 1, "{line}: {}", tried.errors());
        for word in *named {
            assert!(tried.errors().contains(word), "{line} names no {word}: {}", tried.errors());
        }
        assert_eq!(tried.errors().lines().filter(|line| line.starts_with("sluice: ")).count(), 1, "{line}");
    }
    // As with rsync, a file of rules that cannot be read is exit 11.
    for line in ["-r --exclude-from=gone", "-r --include-from=gone", "-r -f._gone"] {
        let tried = run(dir.path(), line.split_whitespace().chain(["s/", "d/"]));
        assert_eq!(tried.code, 11, "{line}: {}", tried.errors());
        assert!(tried.errors().contains("gone"), "{line}: {}", tried.errors());
    }
    assert_eq!(Manifest::exact(dir.path()).difference(&before), "");
}

#[test]
fn what_rsync_refuses_of_two_options_is_refused() {
    if !requirement::has("rsync") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("s")).unwrap();
    let options = [
        "--delete-before",
        "--delete-during",
        "--delete-delay",
        "--delete-after",
        "--delete",
        "--old-args",
        "-s",
        "--inplace",
        "--existing",
    ];
    for (at, one) in options.iter().enumerate() {
        for other in &options[at + 1..] {
            let args = ["-r", "-n", one, other, "s/", "d/"];
            let theirs = Command::new("rsync").args(args).current_dir(&dir).output().unwrap();
            let ours = run(dir.path(), args);
            assert_eq!(Some(ours.code), theirs.status.code(), "{one} {other}: {}", ours.errors());
        }
    }
}
