//! `--stderr`, `--msgs2stderr`, `--checksum-choice`, `--stop-at`: what is accepted, and what it does.

use std::fs;
use std::path::Path;

use crate::requirement::has;
use crate::under_test::{command, finish, run};
use crate::ways::{self, Way};

fn prepare(dir: &Path) {
    for side in ["src", "dst"] {
        fs::create_dir(dir.join(side)).unwrap();
    }
    fs::write(dir.join("src/f"), vec![1; 100_000]).unwrap();
}

#[test]
fn stderr_all_causes_all_messages_to_be_written_directly_to_stderr() {
    for way in ways::ALL {
        for (option, to_stderr) in
            [("--stderr=all", true), ("--stderr=a", true), ("--msgs2stderr", true), ("--stderr=e", false)]
        {
            ways::run(way, "", &["-ai", option], prepare, |_, run| {
                let (shown, other) =
                    if to_stderr { (run.errors(), run.text()) } else { (run.text(), run.errors()) };
                assert!(
                    run.expect(0).code == 0 && shown.contains("f+++++++++ f\n"),
                    "{way:?} {option}: {shown}"
                );
                assert_eq!(other, "", "{way:?} {option}");
            });
        }
    }
}

#[test]
fn a_mode_or_a_checksum_that_there_is_none_of_ends_as_with_rsync() {
    if !has("rsync") {
        return;
    }
    for options in [
        &["--stderr=A"][..],
        &["--stderr="],
        &["--stderr=client"],
        &["--no-msgs2stderr"],
        &["--cc=foo"],
        &["--cc=none", "-c"],
        &["--cc=auto,none", "-c"],
        &["--cc=none,auto", "-c"],
        &["--checksum-choice=none"],
        &["--checksum-seed=x"],
        &["--checksum-seed=-1"],
        &["--stop-at=2000-12-31T23:59"],
        &["--stop-at=x"],
        &["--stop-at=1:2:3"],
        &["--stop-at=:59"],
        &["--stop-at=2099/1/2T3:4"],
    ] {
        let dir = tempfile::tempdir().unwrap();
        prepare(dir.path());
        let mut theirs = command("rsync".as_ref(), dir.path());
        theirs.args(options).args(["-a", "src/", "theirs/"]);
        let theirs = finish(theirs);
        let ours = run(dir.path(), options.iter().chain(&["-a", "src/", "ours/"]));
        assert_eq!(ours.code, theirs.code, "{options:?}: {}{}", ours.errors(), theirs.errors());
        assert_eq!(dir.path().join("ours").exists(), dir.path().join("theirs").exists(), "{options:?}");
    }
    let dir = tempfile::tempdir().unwrap();
    prepare(dir.path());
    let named = run(dir.path(), ["-a", "--cc=md5", "src/", "dst/"]);
    assert!(named.expect(4).errors().contains("auto, blake3, none"), "{}", named.errors());
}

#[test]
fn if_none_is_specified_no_checksum_verification_is_performed_on_the_transferred_data() {
    for way in [Way::ShellPush, Way::DaemonPull] {
        for (option, hashes) in [("--cc=none", false), ("--cc=auto,none", true)] {
            ways::run(way, "", &["-a", "--stats", option], prepare, |dir, run| {
                run.expect(0);
                assert_eq!(fs::read(dir.join("dst/f")).unwrap(), vec![1; 100_000]);
                let hashed = !run.text().contains("Data hashed: 0 bytes");
                assert_eq!(hashed, hashes, "{way:?} {option}: {}", run.text());
            });
        }
    }
}
