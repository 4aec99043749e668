//! `--backup`: entries of the source that have the name of a backup end as the source has them, and what the backup holds is
//! backed up once more, as with rsync.

use std::fs::{self, File};
use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::requirement::has;
use crate::served::{file, tree};
use crate::under_test::{binary, command, finish};
use crate::ways;

/// More than workers get in one piece: what comes behind it is not in the same hands.
const LARGE: u64 = 9 << 20;

/// A tree of what `src` and `dst` have; what is there is older, `=` is the same on both sides, `-` a symbolic link, and `+`
/// another name of the one without `~`.
fn prepare(dir: &Path, src: &[&str], dst: &[&str]) {
    for (side, names) in [("src", src), ("dst", dst)] {
        fs::create_dir_all(dir.join(side)).unwrap();
        for name in names {
            if let Some(link) = name.strip_prefix('-') {
                std::os::unix::fs::symlink("nowhere", dir.join(side).join(link)).unwrap();
                continue;
            }
            if let Some(second) = name.strip_prefix('+') {
                let at = dir.join(side);
                fs::hard_link(at.join(second.trim_end_matches('~')), at.join(second)).unwrap();
                continue;
            }
            let (name, same) = name.strip_prefix('=').map_or((*name, false), |name| (name, true));
            let text = if same { "same".to_owned() } else { format!("{name} of {side}") };
            file(dir, &format!("{side}/{name}"), &text);
            let age = if same || side == "dst" { 100_000_000 } else { 0 };
            let at = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000 - age);
            File::options().write(true).open(dir.join(side).join(name)).unwrap().set_modified(at).unwrap();
        }
    }
    let large = dir.join("src/f");
    if large.exists() {
        File::options().write(true).open(large).unwrap().set_len(LARGE).unwrap();
    }
}

const CASES: &[(&[&str], &[&str])] = &[
    (&["f", "f~"], &["f"]),
    (&["f", "f~"], &["f", "f~"]),
    (&["f", "f~", "f~~"], &["f", "f~", "f~~"]),
    (&["e", "e~"], &["e"]),
    (&["e", "e~", "e~~"], &["e", "e~"]),
    (&["=g~"], &["g", "=g~"]),
    (&["g~"], &["g", "g~"]),
    (&["g~"], &["g"]),
    (&["=l~"], &["-l", "=l~"]),
    (&["x"], &["h", "+h~"]),
];

#[test]
fn what_has_the_name_of_a_backup_is_the_sources_in_the_end_and_the_backup_is_backed_up() {
    if !has("rsync") {
        return;
    }
    for (src, dst) in CASES {
        for more in
            [&["--delete"][..], &["--delete-before"], &["--delete", "--delay-updates"], &["--delete-after"]]
        {
            let [ours, theirs] = [binary(), "rsync".into()].map(|program| {
                let dir = tempfile::tempdir().unwrap();
                prepare(dir.path(), src, dst);
                let mut command = command(&program, dir.path());
                command.args(["-ab", "--remove-source-files"]).args(more).args(["src/", "dst/"]);
                let run = finish(command);
                let seen = |side: &str| -> Vec<String> {
                    tree(&dir.path().join(side)).iter().map(|line| line.chars().take(20).collect()).collect()
                };
                (run.code, seen("dst"), seen("src"))
            });
            assert_eq!(ours, theirs, "{src:?} {dst:?} {more:?}");
        }
    }
}

#[test]
fn that_holds_in_every_way_to_run() {
    for way in ways::ALL {
        let prepare = |dir: &Path| prepare(dir, &["f", "f~"], &["f"]);
        ways::run(way, "", &["-ab"], prepare, |dir, run| {
            run.expect(0);
            let held = |name: &str| fs::read_to_string(dir.join("dst").join(name)).unwrap();
            assert_eq!([held("f~"), held("f~~")], ["f~ of src", "f of dst"], "{way:?}");
        });
    }
}
