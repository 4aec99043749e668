//! What is told of a run with another machine, compared with rsync behind the same shell.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::remote_shell;
use crate::requirement::{Need, met};
use crate::served::file;
use crate::under_test::{self, Run, command, finish};

/// Files, a directory, a link, something to delete and something to change.
fn build(dir: &Path) {
    for name in ["src/a", "src/b", "src/sub/c", "dst/gone", "dst/old/x"] {
        file(dir, name, name);
    }
    file(dir, "dst/sub/c", "what was there");
    fs::write(dir.join("src/large"), vec![b'l'; 300_000]).unwrap();
    symlink("a", dir.join("src/link")).unwrap();
    // The same times in every run; the source's are newer.
    for (tree, seconds) in [("src", 1_600_000_000), ("dst", 1_500_000_000)] {
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        for entry in walkdir::WalkDir::new(dir.join(tree)) {
            let entry = entry.unwrap();
            if entry.path_is_symlink() {
                let time = nix::sys::time::TimeVal::new(i64::try_from(seconds).unwrap(), 0);
                nix::sys::stat::lutimes(entry.path(), &time, &time).unwrap();
            } else {
                fs::File::open(entry.path()).unwrap().set_modified(time).unwrap();
            }
        }
    }
}

/// `options src/ dst/` by `program` on both sides, one of them behind a shell; what it has logged as well.
fn run(program: &OsStr, push: bool, options: &[&str]) -> (Run, String) {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    build(at);
    let mut run = command(program, at);
    run.args(remote_shell::options(at, program)).args(options).arg("--log-file=log");
    run.args(if push { ["src/", "h:dst/"] } else { ["h:src/", "dst/"] });
    let run = finish(run);
    (run, fs::read_to_string(at.join("log")).unwrap_or_default())
}

/// The lines without what no two programs have in common: numbers of bytes, rates, seconds.
fn lines(text: &str) -> Vec<String> {
    let known = [
        // What rsync puts behind "building file list".
        "done",
        "sent ",
        "total size is ",
        "Total bytes ",
        "File list ",
        "Data ",
        // rsync tells what it did not know yet when it began.
        "delta-transmission ",
        "opening connection ",
        "total: matches=",
    ];
    let told = text.lines().filter(|line| !known.iter().any(|start| line.starts_with(start)));
    let mut told: Vec<String> = told.map(String::from).collect();
    // Where deletions stand is by chance with rsync.
    told.sort();
    told
}

/// The lines of a log, without date and process.
fn logged(text: &str) -> Vec<String> {
    lines(
        &text
            .lines()
            .map(|line| line.splitn(4, ' ').nth(3).unwrap_or_default().to_owned() + "\n")
            .collect::<String>(),
    )
}

#[test]
fn lines_listings_figures_and_logs_are_rsyncs() {
    if !met(&[Need::Program("rsync")]) {
        return;
    }
    for push in [true, false] {
        for options in [
            &["-a"][..],
            &["-ai", "--delete"],
            &["-av", "--delete"],
            &["-avn", "--delete"],
            &["-avv"],
            &["-rtv", "--no-inc-recursive"],
            &["-dv"],
            &["-rvm"],
            &["-rv", "--delete-after"],
            &["-v"],
            &["-aq"],
            &["-a", "--stats"],
            &["-r", "--list-only"],
            &["-rlv", "--list-only"],
            &["-a", "--out-format=%o %n %l %i%L"],
            &["-rtz", "--stats", "--delete"],
        ] {
            let [(ours, our_log), (theirs, their_log)] =
                [under_test::binary(), "rsync".into()].map(|program| run(&program, push, options));
            assert_eq!(ours.code, theirs.code, "{options:?}, push {push}: {}", ours.errors());
            assert_eq!(lines(&ours.text()), lines(&theirs.text()), "{options:?}, push {push}");
            assert_eq!(ours.errors(), theirs.errors(), "{options:?}, push {push}");
            // What rsync's log leaves out of a dry run and puts in of a listing is in docs/differences.md.
            if !options.iter().any(|option| ["-avn", "-avv", "--list-only"].contains(option)) {
                assert_eq!(logged(&our_log), logged(&their_log), "{options:?}, push {push}: the log");
            }
        }
    }
}

#[test]
fn the_other_side_logs_what_rsyncs_other_side_logs() {
    if !met(&[Need::Program("rsync")]) {
        return;
    }
    for push in [true, false] {
        for options in [
            &["-a"][..],
            &["-ai", "--delete"],
            &["-aii"],
            &["-a", "--delete", "-M--log-file-format="],
            &["-a", "--delete", "-M--log-file-format=%o %n%L"],
            &["-a", "--delete", "-M--log-file-format=%n"],
            &["-n", "-ai", "--delete"],
            &["-a", "--log-file-format=%n"],
            &["-a", "--compare-dest=/nonexistent/none"],
        ] {
            let [ours, theirs] = [under_test::binary(), "rsync".into()].map(|program| {
                let dir = tempfile::tempdir().unwrap();
                build(dir.path());
                let mut run = command(&program, dir.path());
                run.args(remote_shell::options(dir.path(), &program)).args(options);
                // rsync's remote shell begins where this one runs, and so does sluice's.
                run.args(["-M--log-file=far", "--log-file=near"]);
                run.args(if push { ["src/", "h:dst/"] } else { ["h:src/", "dst/"] });
                finish(run).expect(0);
                let mut log = logged(&fs::read_to_string(dir.path().join("far")).unwrap());
                if !push {
                    // A sender of sluice knows of what it sends, and not how it differs: docs/differences.md.
                    log.retain(|line| {
                        !line.contains("+++ ") && !line.starts_with('.') || line.contains("<f")
                    });
                    log.iter_mut().for_each(|line| {
                        if line.starts_with("<f") {
                            line.replace_range(2..11, "");
                        }
                    });
                }
                log
            });
            assert_eq!(ours, theirs, "{options:?}, push {push}");
            assert!(!ours.is_empty(), "{options:?}, push {push}");
        }
    }
}

#[test]
fn a_log_that_the_other_side_cannot_write_is_told_and_the_run_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    build(dir.path());
    let mut run = command(&under_test::binary(), dir.path());
    run.args(remote_shell::to_itself(dir.path())).args(["-a", "-M--log-file=none/far", "src/", "h:dst/"]);
    let run = finish(run);
    let wanted = "--log-file: open \"none/far\": No such file or directory";
    assert!(run.expect(0).errors().contains(wanted), "{}", run.errors());
    assert!(dir.path().join("dst/a").exists());
}

#[test]
fn the_other_sides_log_says_why_the_run_ended() {
    let dir = tempfile::tempdir().unwrap();
    build(dir.path());
    let mut run = command(&under_test::binary(), dir.path());
    run.args(remote_shell::to_itself(dir.path())).args(["-a", "-M--log-file=far", "h:nothing", "dst/"]);
    finish(run).expect(23);
    let log = fs::read_to_string(dir.path().join("far")).unwrap();
    assert!(log.contains("sluice: stat \"nothing\": No such file or directory"), "{log}");
}

#[test]
fn sent_and_received_are_what_went_over_the_connection() {
    for push in [true, false] {
        let (run, _) = run(&under_test::binary(), push, &["-a", "--stats", "--no-h"]);
        let text = run.expect(0).text();
        let number = |start: &str| -> u64 {
            let line = text.lines().find_map(|line| line.strip_prefix(start)).unwrap();
            line.split(' ').next().unwrap().parse().unwrap()
        };
        let (sent, received) = (number("Total bytes sent: "), number("Total bytes received: "));
        let (data, rest) = if push { (sent, received) } else { (received, sent) };
        assert!((300_000..306_000).contains(&data) && (1..5_000).contains(&rest), "push {push}: {text}");
        assert!(text.contains(&format!("sent {sent} bytes  received {received} bytes  ")), "{text}");
        let total = number("total size is ");
        #[allow(clippy::cast_precision_loss)] // two decimals are shown
        let speedup = format!("speedup is {:.2}\n", total as f64 / (sent + received) as f64);
        assert!(text.contains(&speedup), "{speedup} {text}");
        assert!(text.contains("Literal data: 300019 bytes\n"), "what came inside messages counts: {text}");
    }
}

#[test]
fn progress_of_the_whole_run_ends_at_a_hundred_percent() {
    for push in [true, false] {
        let (run, _) = run(&under_test::binary(), push, &["-a", "--info=progress2", "--no-h"]);
        let text = run.expect(0).text();
        assert!(text.contains("300019 100%") && text.contains("(xfr#4, to-chk=0/7)"), "push {push}: {text}");
        let (run, _) = self::run(&under_test::binary(), push, &["-a", "--progress"]);
        let text = run.expect(0).text();
        let lines = text.lines().filter(|line| line.contains("100%"));
        assert_eq!(lines.clone().count(), 4, "push {push}: {text}");
        assert!(lines.clone().all(|line| !line.contains("chk=0/0")), "push {push}: {text}");
    }
}
