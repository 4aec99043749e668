//! Sources that change while they are looked at: no crash, no wrong file, and the exit status says so.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::{FileExt, symlink};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::requirement;
use crate::under_test;

const LEN: u64 = 6 << 20;

/// Does `work` while `change` is done over and over.
pub fn while_changing(change: impl Fn() + Sync, work: impl FnOnce()) {
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                change();
            }
        });
        struct Stop<'a>(&'a AtomicBool);
        impl Drop for Stop<'_> {
            fn drop(&mut self) {
                self.0.store(true, Ordering::Relaxed);
            }
        }
        let _stops = Stop(&stop);
        work();
    });
}

fn trees() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for tree in ["src", "dst"] {
        fs::create_dir(dir.path().join(tree)).unwrap();
    }
    dir
}

/// Mappings of a file that is being cut raise SIGBUS: whatever maps it must live through that.
#[test]
fn a_file_that_is_cut_while_it_is_hashed_or_searched_for_zeros_kills_nothing() {
    let options: &[&[&str]] = &[
        &["-a", "--verify"],
        &["-ac"],
        &["-aS"],
        &["-aS", "--verify", "-c", "--jobs=4"],
        &["-ac", "--inplace"],
    ];
    for options in options {
        let dir = trees();
        let source = dir.path().join("src/f");
        fs::write(&source, vec![b'n'; LEN as usize]).unwrap();
        fs::write(dir.path().join("dst/f"), vec![b'o'; LEN as usize]).unwrap();
        let file = OpenOptions::new().write(true).open(&source).unwrap();
        let cut = || {
            file.set_len(100_000).unwrap();
            file.set_len(LEN).unwrap();
        };
        while_changing(cut, || {
            for _ in 0..12 {
                let run = under_test::run(dir.path(), options.iter().copied().chain(["-I", "src/", "dst/"]));
                assert!([0, 23, 24].contains(&run.code), "{options:?}: {} {}", run.code, run.errors());
                assert_eq!(run.code == 0, run.err.is_empty(), "{options:?}: {}", run.errors());
            }
        });
        under_test::run(dir.path(), options.iter().copied().chain(["-I", "src/", "dst/"])).expect(0);
        assert!(fs::read(&source).unwrap() == fs::read(dir.path().join("dst/f")).unwrap());
    }
}

/// The bytes alternate as wholes: with `--verify` a mixture is never stored under the name.
#[test]
fn a_verified_file_is_one_that_the_source_held() {
    if !under_test::is_sluice() {
        return;
    }
    let dir = trees();
    let source = dir.path().join("src/f");
    let [one, two] = [b'1', b'2'].map(|byte| vec![byte; LEN as usize]);
    fs::write(&source, &one).unwrap();
    let old = b"old".to_vec();
    fs::write(dir.path().join("dst/f"), &old).unwrap();
    let file = OpenOptions::new().write(true).open(&source).unwrap();
    let rewrite = || {
        for bytes in [&one, &two] {
            file.write_all_at(bytes, 0).unwrap();
            thread::sleep(std::time::Duration::from_millis(3));
        }
    };
    while_changing(rewrite, || {
        for _ in 0..20 {
            let run = under_test::run(dir.path(), ["-aI", "--verify", "src/", "dst/"]);
            let stored = fs::read(dir.path().join("dst/f")).unwrap();
            if run.code == 23 {
                assert!(run.errors().contains("verify \"src/f\": what was stored"), "{}", run.errors());
                continue;
            }
            run.expect(0);
            assert_eq!(stored.len() as u64, LEN);
        }
    });
    assert!(!fs::read_dir(dir.path().join("dst")).unwrap().any(|e| e.unwrap().file_name() != "f"));
}

/// Puts one of `kinds` at `path`, in place of whatever is there, by rename.
fn become_(path: &Path, spare: &Path, kind: usize) {
    match kind {
        0 => fs::write(spare, "a file").unwrap(),
        1 => fs::create_dir(spare).unwrap(),
        2 => symlink("nowhere", spare).unwrap(),
        _ => nix::unistd::mkfifo(spare, nix::sys::stat::Mode::S_IRWXU).unwrap(),
    }
    let _ = fs::remove_dir(path);
    let _ = fs::remove_file(path);
    let _ = fs::rename(spare, path);
}

#[test]
fn an_entry_that_changes_its_type_is_one_of_them_or_reported() {
    let dir = trees();
    let [changing, spare] = ["src/x", "spare"].map(|name| dir.path().join(name));
    for i in 0..50 {
        fs::write(dir.path().join(format!("src/f{i}")), "f").unwrap();
    }
    let turns = std::sync::atomic::AtomicUsize::new(0);
    let change = || become_(&changing, &spare, turns.fetch_add(1, Ordering::Relaxed) % 4);
    while_changing(change, || {
        for _ in 0..60 {
            let run = under_test::run(dir.path(), ["-aI", "--delete", "src/", "dst/"]);
            assert!([0, 23, 24].contains(&run.code), "{} {}", run.code, run.errors());
            assert_eq!(run.code == 0, run.err.is_empty(), "{}", run.errors());
            let copy = dir.path().join("dst/x");
            if fs::symlink_metadata(&copy).is_ok_and(|found| found.is_file()) {
                assert_eq!(fs::read(&copy).unwrap(), b"a file");
            }
            assert_eq!(fs::read_dir(dir.path().join("dst")).unwrap().count() / 50, 1, "files are missing");
        }
    });
    under_test::run(dir.path(), ["-a", "--delete", "src/", "dst/"]).expect(0);
    assert_eq!(under_test::run(dir.path(), ["-ai", "--delete", "src/", "dst/"]).expect(0).text(), "");
}

/// What is listed and then removed, file or directory, is told by 24 and nothing worse.
#[test]
fn what_vanishes_and_comes_again_is_told_by_24() {
    let dir = trees();
    let at = |i: usize| dir.path().join(format!("src/{i}"));
    fs::write(dir.path().join("src/zzz"), "stays").unwrap();
    let change = || {
        for i in 0..40 {
            let _ = if i % 2 == 0 { fs::create_dir(at(i)) } else { fs::write(at(i), vec![1; 10_000]) };
        }
        for i in 0..40 {
            let _ = if i % 2 == 0 { fs::remove_dir(at(i)) } else { fs::remove_file(at(i)) };
        }
    };
    let mut seen = [0, 0];
    while_changing(change, || {
        for _ in 0..150 {
            let run = under_test::run(dir.path(), ["-aI", "src/", "dst/"]);
            assert!([0, 24].contains(&run.code), "{} {}", run.code, run.errors());
            assert_eq!(fs::read(dir.path().join("dst/zzz")).unwrap(), b"stays");
            seen[usize::from(run.code == 24)] += 1;
        }
    });
    println!("exit 0 and 24: {seen:?}");
}

#[test]
fn a_growing_log_is_copied_up_to_a_length_that_it_had() {
    let dir = trees();
    let source = dir.path().join("src/log");
    let mut line = 0;
    fs::write(&source, "").unwrap();
    let file = std::sync::Mutex::new((OpenOptions::new().append(true).open(&source).unwrap(), &mut line));
    let append = || {
        let (file, line) = &mut *file.lock().unwrap();
        std::io::Write::write_all(file, format!("line {line}\n").as_bytes()).unwrap();
        **line += 1;
        thread::sleep(std::time::Duration::from_micros(20));
    };
    while_changing(append, || {
        for options in [&["-a"][..], &["-a", "--verify"], &["-a", "--inplace"], &["-aS"]] {
            for _ in 0..10 {
                under_test::run(dir.path(), options.iter().copied().chain(["src/", "dst/"])).expect(0);
                let copy = fs::read(dir.path().join("dst/log")).unwrap();
                assert!(fs::read(&source).unwrap().starts_with(&copy), "{options:?}");
            }
        }
    });
    drop(File::open(&source).unwrap());
    under_test::run(dir.path(), ["-a", "src/", "dst/"]).expect(0);
    assert!(fs::read(&source).unwrap() == fs::read(dir.path().join("dst/log")).unwrap());
}

#[test]
fn the_backup_of_a_file_that_is_written_in_place_twice_is_what_was_there_before() {
    // The kernel says that it is as long as a page, and it never is: each attempt to copy it fails.
    let short = Path::new("/sys/devices/system/cpu/online");
    if !short.exists() {
        return requirement::skip("no /sys");
    }
    let dir = trees();
    fs::write(dir.path().join("dst/online"), "what was there before").unwrap();
    let run = under_test::run(
        dir.path(),
        [short.as_os_str(), "-ab".as_ref(), "--inplace".as_ref(), "dst/".as_ref()],
    );
    run.expect(23);
    assert_eq!(fs::read_to_string(dir.path().join("dst/online~")).unwrap(), "what was there before");
}

#[test]
fn two_runs_with_one_destination_share_the_directories_that_both_make() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    for name in 0..300 {
        fs::create_dir_all(at.join(format!("src/{name}/sub"))).unwrap();
        fs::write(at.join(format!("src/{name}/sub/file")), name.to_string()).unwrap();
    }
    for round in 0..4 {
        let dest = format!("dst{round}/");
        let run = || under_test::run(at, ["-a", "src/", &dest]);
        let runs =
            std::thread::scope(|scope| [scope.spawn(run), scope.spawn(run)].map(|run| run.join().unwrap()));
        for run in &runs {
            assert_eq!(run.expect(0).errors(), "", "round {round}");
        }
        let again = under_test::run(at, ["-ai", "src/", &dest]).expect(0).text();
        assert_eq!(again, "", "round {round}");
    }
}

#[test]
fn a_source_directory_that_vanishes_keeps_nothing_else_from_being_deleted() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let mut vanished = 0;
    for _ in 0..60 {
        for name in 0..400 {
            fs::create_dir_all(at.join(format!("src/a/{name}"))).unwrap();
        }
        for name in ["src/z", "dst/z", "dst/a/399"] {
            fs::create_dir_all(at.join(name)).unwrap();
        }
        fs::write(at.join("dst/z/surplus"), "").unwrap();
        fs::write(at.join("dst/a/399/kept"), "").unwrap();
        let run = thread::scope(|scope| {
            let run = scope.spawn(|| under_test::run(at, ["-a", "--delete-after", "src/", "dst/"]));
            while !run.is_finished() && !at.join("dst/a/0").exists() {
                thread::yield_now();
            }
            for name in (0..400).rev() {
                fs::remove_dir(at.join(format!("src/a/{name}"))).unwrap();
            }
            run.join().unwrap()
        });
        assert!([0, 24].contains(&run.code), "{}: {}", run.code, run.errors());
        assert!(!at.join("dst/z/surplus").exists(), "{}: {}", run.code, run.errors());
        if run.code == 24 {
            assert!(run.errors().contains("directory has vanished: \"src/a/"), "{}", run.errors());
            vanished += 1;
        }
        if vanished == 3 {
            return;
        }
        fs::remove_dir_all(at.join("dst")).unwrap();
    }
    panic!("none vanished in time");
}
