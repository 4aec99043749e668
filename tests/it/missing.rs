//! `--ignore-missing-args`, `--delete-missing-args`: what rsync does with operands that are not there.

use std::fs;

use crate::requirement::has;
use crate::served::{file, tree};
use crate::under_test::{binary, command, finish};
use crate::ways::{self, Way};

/// Exit status and destination after `options` with sluice and with rsync.
fn both(options: &[&str]) -> [(i32, Vec<String>); 2] {
    [binary(), "rsync".into()].map(|program| {
        let dir = tempfile::tempdir().unwrap();
        for name in ["src/f", "src/sub/x", "dst/old", "dst/sub/old", "dst/full/x/y"] {
            file(dir.path(), name, name);
        }
        fs::create_dir(dir.path().join("dst/gone")).unwrap();
        file(dir.path(), "list", "f\nold\nsub/x\nsub/old\nnever\ngone\nfull\n");
        let mut command = command(&program, dir.path());
        command.args(options);
        let done = finish(command);
        let text = done.text();
        let mut deleted: Vec<_> =
            text.lines().filter(|line| line.starts_with("*del")).map(str::to_owned).collect();
        deleted.extend(tree(&dir.path().join("dst")));
        (done.code, deleted)
    })
}

#[test]
fn this_option_suppresses_that_error_and_does_not_try_to_transfer_the_file() {
    if !has("rsync") {
        return;
    }
    for options in [
        &["-a", "--ignore-missing-args", "src/f", "src/old", "dst/"][..],
        &["-a", "--ignore-missing-args", "src/old", "dst/"],
        &["-a", "--ignore-missing-args", "src/old/", "src/f", "dst/"],
        &["-aR", "--ignore-missing-args", "src/./sub/old", "src/./f", "dst/"],
        &["-a", "--ignore-missing-args", "--files-from=list", "src", "dst/"],
        &["-a", "--files-from=list", "src", "dst/"],
    ] {
        let [ours, theirs] = both(options);
        assert_eq!(ours, theirs, "{options:?}");
    }
}

#[test]
fn a_side_that_sends_from_another_machine_passes_over_what_is_not_there_too() {
    for way in [Way::ShellPull, Way::ShellPush, Way::DaemonPull, Way::DaemonPush] {
        let prepare = |dir: &std::path::Path| {
            file(dir, "src/f", "f");
            file(dir, "list", "f\nold\n");
            fs::create_dir(dir.join("dst")).unwrap();
        };
        ways::run(way, "", &["-a", "--ignore-missing-args", "--files-from=@/list"], prepare, |dir, run| {
            run.expect(0);
            assert_eq!(tree(&dir.join("dst")), ["f: f"], "{way:?}");
        });
    }
}

#[test]
fn each_missing_argument_becomes_a_deletion_request_of_the_corresponding_destination_file() {
    if !has("rsync") {
        return;
    }
    let (delete, all) =
        ("--delete-missing-args", ["src/f", "src/old", "src/gone", "src/full", "src/never", "dst/"]);
    for options in [
        &["-ai", delete][..],
        &["-ai", delete, "--force"],
        &["-ai", delete, "--delete"],
        &["-ai", delete, "--ignore-missing-args", "-n"],
        &["-ai", delete, "--max-delete=0"],
        &["-ai", delete, "--exclude=old"],
        &["-ai", delete, "-f", "P old"],
        &["-aib", delete],
        &["-ai", delete, "--existing"],
    ] {
        let [ours, theirs] = both(&[options, &all].concat());
        assert_eq!(ours, theirs, "{options:?}");
    }
    for options in [
        &["-ai", delete, "--files-from=list", "src", "dst/"][..],
        &["-ai", delete, "--files-from=list", "-r", "--force", "src", "dst/"],
        &["-ai", delete, "--files-from=list", "-n", "src", "dst/"],
        &["-aiR", delete, "src/./sub/old", "src/./f", "dst/"],
        &["-ai", delete, "src/old", "dst/old"],
        &["-ai", delete, "src/old", "dst/"],
        &["-ai", delete, "--delete-after", "src/", "src/old", "dst/"],
    ] {
        let [ours, theirs] = both(options);
        assert_eq!(ours, theirs, "{options:?}");
    }
}

#[test]
fn what_is_missing_on_another_machine_is_deleted_here_and_the_other_way_round() {
    for way in ways::ALL {
        let prepare = |dir: &std::path::Path| {
            for name in ["src/f", "src/sub/x", "dst/old", "dst/sub/old", "dst/kept"] {
                file(dir, name, "");
            }
            file(dir, "list", "f\nold\nsub/old\n");
        };
        ways::run(way, "", &["-a", "--delete-missing-args", "--files-from=@/list"], prepare, |dir, run| {
            run.expect(0);
            assert_eq!(tree(&dir.join("dst")), ["f: ", "kept: ", "sub/"], "{way:?}");
        });
    }
}
