//! Modes: `--chmod` against rsync itself, and what depends on the mode of a directory.
#![allow(clippy::disallowed_methods, clippy::unwrap_used)] // a test's own scratch files

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::Command;

use sluice::plan::chmod::{apply, parse};

use crate::random_cases::{self, Random};
use crate::requirement::{Need, met};
use crate::under_test;

fn random_text(random: &mut Random) -> String {
    let items: Vec<String> = (0..1 + random.below(3))
        .map(|_| {
            let prefix = random.of(&["", "", "", "D", "F", "DF", "FF"]);
            if random.one_in(5) {
                return prefix.to_string()
                    + random.of(&["644", "755", "0", "7777", "2775", "04751", "10000", "8"]);
            }
            let who = random.text(&["u", "g", "o", "a", "D"], 0, 2);
            let op = random.of(&["+", "-", "="]);
            let what = match random.below(6) {
                0 => random.of(&["u", "g", "o", "ug", "gr", "q"]).to_string(),
                1 => random.text(&["r", "w", "x", "X", "s", "t", "", "+"], 0, 2),
                _ => random.text(&["r", "w", "x", "X", "s", "t"], 0, 4),
            };
            format!("{prefix}{who}{op}{what}")
        })
        .collect();
    items.join(random.of(&[",", ",", ",", ",", ",,"]))
}

#[test]
fn modes_are_what_rsync_makes_of_them() {
    if !crate::requirement::has("rsync") {
        return;
    }
    for seed in random_cases::seeds(40) {
        let random = &mut Random::new(seed);
        let text = random_text(random);
        let umask = [0o022, 0o077, 0, 0o027, 0o777][random.below(5)];
        let scratch = tempfile::tempdir().unwrap();
        let (source, dest) = (scratch.path().join("s"), scratch.path().join("t"));
        fs::create_dir(&source).unwrap();
        let mut modes = Vec::new();
        for n in 0..12 {
            let (path, is_dir) = (source.join(n.to_string()), n % 3 == 0);
            if is_dir {
                fs::create_dir(&path).unwrap()
            } else {
                fs::write(&path, "").unwrap()
            }
            // Readable, so that the comparison needs no root.
            let mode = 0o400 | random.below(0o10000) as u32;
            let mode = if is_dir { mode | 0o700 } else { mode };
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            // What the kernel kept of it.
            modes.push((n, is_dir, fs::metadata(&path).unwrap().permissions().mode() & 0o7777));
        }
        let command = format!("umask {umask:o}; exec rsync -rp --chmod=\"$0\" \"$1/\" \"$2/\"");
        let run =
            Command::new("sh").arg("-c").arg(command).arg(&text).arg(&source).arg(&dest).output().unwrap();
        let rules = parse(text.as_bytes());
        let context = format!("seed {seed}, --chmod={text}, umask {umask:o}");
        assert_eq!(rules.is_ok(), run.status.code() != Some(1), "{context}: whether it is refused");
        let Ok(rules) = rules else { continue };
        for (n, is_dir, mode) in modes {
            let Ok(meta) = fs::metadata(dest.join(n.to_string())) else { continue };
            let (have, want) = (apply(&rules, mode, is_dir, umask), meta.permissions().mode() & 0o7777);
            assert_eq!(format!("{have:o}"), format!("{want:o}"), "{context}: {mode:o}, directory: {is_dir}");
        }
    }
}

#[test]
fn files_made_below_a_directory_that_gets_a_set_group_id_bit_get_its_group() {
    if !met(&[Need::Root]) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    for path in ["src/a", "dst/a"] {
        fs::create_dir_all(dir.path().join(path)).unwrap();
    }
    fs::write(dir.path().join("src/a/new"), "").unwrap();
    fs::set_permissions(dir.path().join("src/a"), Permissions::from_mode(0o2755)).unwrap();
    std::os::unix::fs::chown(dir.path().join("dst/a"), None, Some(7)).unwrap();
    under_test::run(dir.path(), ["-rp", "src/", "dst/"]).expect(0);
    assert_eq!(fs::metadata(dir.path().join("dst/a/new")).unwrap().gid(), 7);
}
