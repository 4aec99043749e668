//! Progress on a terminal: what fits, what is left behind.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};

use nix::pty::{Winsize, openpty};

use crate::remote_shell;
use crate::under_test::{binary, command, is_sluice, run};

/// Runs in a terminal of so many columns and returns what was written there.
fn on_terminal(dir: &Path, columns: u16, args: &[&str]) -> String {
    let size = Winsize { ws_row: 24, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    let pty = openpty(Some(&size), None).unwrap();
    let mut command: Command = command(&binary(), dir);
    command.env("TERM", "xterm").args(args).stderr(Stdio::null()).stdout(pty.slave);
    let mut child = command.spawn().unwrap();
    drop(command); // the last other holder of the slave: the master's end comes with the child's
    let mut seen = Vec::new();
    // Where the child's end is closed, Linux says EIO instead of an end of file.
    let _end = File::from(pty.master).read_to_end(&mut seen);
    assert!(child.wait().unwrap().success());
    String::from_utf8(seen).unwrap()
}

/// What was drawn or written, a piece for each time the cursor began a line.
fn pieces(seen: &str) -> Vec<String> {
    let lines = seen.split(['\r', '\n']).map(|line| line.replace("\u{1b}[2K", ""));
    lines.filter(|line| !line.is_empty()).collect()
}

/// A tree that takes some frames at a slow rate.
fn place() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("s")).unwrap();
    fs::write(dir.path().join("s/f"), vec![7; 300_000]).unwrap();
    dir
}

#[test]
fn progress_leaves_room_for_an_echoed_interrupt_and_ends_with_all_of_it() {
    if !is_sluice() {
        return;
    }
    for (columns, figures) in [(80, " (xfr#1, to-chk=0/2)"), (40, "")] {
        let dir = place();
        let seen = on_terminal(dir.path(), columns, &["-a", "--info=progress2", "--bwlimit=1000", "s/", "d"]);
        let pieces = pieces(&seen);
        for piece in &pieces {
            assert!(piece.chars().count() <= usize::from(columns) - 3, "{columns} columns: {piece:?}");
        }
        let last = pieces.last().unwrap();
        assert!(last.contains("300,000 100% ") && last.ends_with(figures), "{last:?}");
    }
}

#[test]
fn progress_without_a_count_ahead_ends_with_all_of_it() {
    if !is_sluice() {
        return;
    }
    let dir = place();
    let seen = on_terminal(dir.path(), 80, &["-a", "--info=progress2", "--inc-recursive", "s/", "d"]);
    let last = pieces(&seen).pop().unwrap();
    assert!(last.contains("300,000 100% ") && last.ends_with("(xfr#1, to-chk=0/2)"), "{last:?}");
}

#[test]
fn with_checksums_a_progress_display_has_no_file_read_twice() {
    if !is_sluice() {
        return;
    }
    let dir = place();
    run(dir.path(), ["-a", "s/", "d"]).expect(0);
    for progress in ["--no-progress", "--progress", "--info=progress2"] {
        let text = run(dir.path(), ["-ac", "--no-h", "--stats", progress, "s/", "d"]).expect(0).text();
        assert!(text.contains("Data hashed: 600000 bytes\n"), "{progress}: {text}");
    }
}

#[test]
fn between_machines_progress_knows_the_whole_before_its_end() {
    if !is_sluice() {
        return;
    }
    for push in [true, false] {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("s")).unwrap();
        for n in 0..12 {
            fs::write(dir.path().join(format!("s/{n}")), vec![7; 200_000]).unwrap();
        }
        let shell = remote_shell::to_itself(dir.path()).map(|option| option.into_string().unwrap());
        let operands = if push { ["s/", "far:d"] } else { ["far:s/", "d"] };
        let options = ["-a", "--info=progress2", "--bwlimit=1000", &shell[0], &shell[1]];
        let seen = on_terminal(dir.path(), 80, &[&options[..], &operands].concat());
        let pieces = pieces(&seen);
        assert!(pieces.last().unwrap().contains("2,400,000 100% "), "push {push}: {seen:?}");
        let early = pieces.iter().filter(|piece| piece.contains("% ") && !piece.contains("100% ")).count();
        assert!(early > 0, "push {push}: {seen:?}");
    }
}

#[test]
fn progress_knows_the_whole_as_soon_as_data_keeps_the_walk_waiting() {
    if !is_sluice() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    for at in 0..24 {
        let at = dir.path().join(format!("s/{}/{}/{at}", at / 12, at / 3));
        fs::create_dir_all(&at).unwrap();
        for n in 0..30 {
            fs::write(at.join(n.to_string()), vec![7; 1500]).unwrap();
        }
    }
    // In the middle there is something that need not be moved.
    let kept = dir.path().join("d/1/4");
    fs::create_dir_all(&kept).unwrap();
    run(dir.path(), ["-a", "s/1/4/", "d/1/4"]).expect(0);
    let entries = walkdir::WalkDir::new(dir.path().join("s")).into_iter().count();
    let seen =
        on_terminal(dir.path(), 80, &["-a", "--info=progress2", "--bwlimit=900", "--jobs=1", "s/", "d"]);
    let pieces = pieces(&seen);
    let known: Vec<_> = pieces.iter().filter(|piece| piece.contains("to-chk=")).collect();
    assert!(known.iter().all(|piece| piece.contains(&format!("/{entries})"))), "{entries}: {pieces:?}");
    let early = known.iter().filter(|piece| !piece.contains("100% ")).count();
    assert!(early > 2, "{pieces:?}");
    assert!(pieces.last().unwrap().contains(" 1,080,000 100% "), "{pieces:?}");
}

#[test]
fn a_run_that_went_through_is_all_done_whatever_needed_no_moving() {
    if !is_sluice() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    fs::create_dir_all(at.join("s")).unwrap();
    fs::write(at.join("s/a"), vec![7; 300_000]).unwrap();
    fs::write(at.join("s/b"), vec![8; 200_000]).unwrap();
    fs::hard_link(at.join("s/a"), at.join("s/h")).unwrap();
    File::create(at.join("s/holes")).unwrap().set_len(5_000_000).unwrap();
    let shell = remote_shell::to_itself(at).map(|option| option.into_string().unwrap());
    for options in [
        &["-a"][..],
        &["-aS"],
        &["-aH"],
        &["-an"],
        &["-aHn"],
        &["-a", "--copy-dest=../s"],
        &["-a", "--append"],
    ] {
        for operands in [["s/", "d"], ["s/", "far:d"], ["far:s/", "d"]] {
            if options.contains(&"--copy-dest=../s") && operands[0] == "far:s/" {
                // What is copied here from a basis counts twice then, and is more than all.
                continue;
            }
            fs::create_dir(at.join("d")).unwrap();
            if options.contains(&"--append") {
                fs::write(at.join("d/a"), vec![7; 100_000]).unwrap();
            }
            let args = [options, &["--info=progress2", "--no-h", &shell[0], &shell[1]], &operands].concat();
            let text = run(at, &args).expect(0).text();
            let last = text.trim_end().rsplit(['\r', '\n']).next().unwrap();
            assert!(last.trim_start().starts_with("5800000 100% "), "{options:?} {operands:?}: {text}");
            fs::remove_dir_all(at.join("d")).unwrap();
        }
    }
}

#[test]
fn quiet_writes_nothing_to_a_terminal() {
    let dir = place();
    assert_eq!(on_terminal(dir.path(), 80, &["-aPq", "s/", "d"]), "");
}
