//! `--atimes`, `--open-noatime`, `--executability`, `--crtimes`: sentences of rsync(1), held against rsync itself
//! and in every way to run.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;

use nix::fcntl::AT_FDCWD;
use nix::sys::stat::{Mode, UtimensatFlags, utimensat};
use nix::sys::time::TimeSpec;

use crate::requirement::has;
use crate::under_test::{command, finish, run};
use crate::ways::{self, Way};

fn set_times(path: &Path, atime: i64, mtime: i64) {
    let at = |seconds| TimeSpec::new(seconds, 0);
    utimensat(AT_FDCWD, path, &at(atime), &at(mtime), UtimensatFlags::NoFollowSymlink).unwrap();
}

/// A file, a link, a FIFO and a directory, accessed after they were changed.
fn prepare(dir: &Path) {
    let src = dir.join("src");
    fs::create_dir_all(src.join("d")).unwrap();
    fs::create_dir(dir.join("dst")).unwrap();
    fs::write(src.join("f"), "file").unwrap();
    fs::write(src.join("d/g"), "more").unwrap();
    symlink("f", src.join("l")).unwrap();
    nix::unistd::mkfifo(&src.join("p"), Mode::from_bits_truncate(0o644)).unwrap();
    for name in ["f", "d/g", "l", "p", "d", ""] {
        set_times(&src.join(name), 2_000_000, 1_000_000);
    }
}

/// The access times of what is not a directory in `dir`.
fn accessed(dir: &Path) -> Vec<(&'static str, i64)> {
    ["f", "d/g", "l", "p"].map(|name| (name, dir.join(name).symlink_metadata().unwrap().atime())).to_vec()
}

#[test]
fn atimes_sets_the_access_times_of_the_destination_files_to_the_same_value_as_the_source_files() {
    for way in ways::ALL {
        ways::run(way, "", &["-aU"], prepare, |dir, run| {
            run.expect(0);
            let wanted = ["f", "d/g", "l", "p"].map(|name| (name, 2_000_000));
            assert_eq!(accessed(&dir.join("dst")), wanted, "{way:?}");
        });
    }
}

#[test]
fn an_access_time_that_differs_is_set_and_shown_as_u_but_for_a_link() {
    let later = |dir: &Path| {
        prepare(dir);
        run(dir, ["-aU", "src/", "dst/"]).expect(0);
        set_times(&dir.join("src/f"), 3_000_000, 1_000_000);
        set_times(&dir.join("src/l"), 3_000_000, 1_000_000);
        set_times(&dir.join("src/d/g"), 2_000_000, 1_000_000);
    };
    for way in ways::ALL {
        ways::run(way, "", &["-aUi"], later, |dir, run| {
            assert_eq!(run.expect(0).text(), ".f......u.. f\n", "{way:?}");
            let wanted = [("f", 3_000_000), ("d/g", 2_000_000), ("l", 3_000_000), ("p", 2_000_000)];
            assert_eq!(accessed(&dir.join("dst")), wanted, "{way:?}");
        });
        ways::run(way, "", &["-aUiJ"], later, |dir, run| {
            assert_eq!(run.expect(0).text(), ".f......u.. f\n", "{way:?}");
            // Its text may have been read to be compared.
            assert_ne!(accessed(&dir.join("dst"))[2], ("l", 3_000_000), "{way:?}: -J");
        });
    }
}

#[test]
fn without_times_a_new_file_keeps_its_access_time_and_the_moment_of_the_run() {
    ways::run(Way::Here, "", &["-rU"], prepare, |dir, run| {
        run.expect(0);
        let meta = fs::metadata(dir.join("dst/f")).unwrap();
        assert_eq!(meta.atime(), 2_000_000);
        assert!(meta.mtime() > 1_500_000_000);
    });
}

#[test]
fn what_a_comparison_has_read_gets_its_access_time_back() {
    let again = |dir: &Path| {
        prepare(dir);
        run(dir, ["-aUU", "src/", "dst/"]).expect(0);
        // Read after a change: every mount but one without access times notes that.
        for name in ["src/f", "dst/f"] {
            set_times(&dir.join(name), 500_000, 1_000_000);
        }
    };
    for way in ways::ALL {
        ways::run(way, "", &["-aUUci"], again, |dir, run| {
            assert_eq!(run.expect(0).text(), "", "{way:?}");
            assert_eq!(accessed(&dir.join("dst"))[0], ("f", 500_000), "{way:?}");
        });
    }
}

#[test]
fn only_the_walk_that_compares_reads_what_it_lists() {
    let again = |dir: &Path| {
        prepare(dir);
        run(dir, ["-aU", "src/", "dst/"]).expect(0);
        for name in ["src/f", "dst/f", "src/d/g", "dst/d/g"] {
            set_times(&dir.join(name), 500_000, 1_000_000);
        }
    };
    for way in ways::ALL {
        for first_walk in ["--delete-before", "--delete-limit=9"] {
            ways::run(way, "", &["-aUci", "--delete", first_walk], again, |dir, run| {
                assert_eq!(run.expect(0).text(), "", "{way:?} {first_walk}");
                assert_eq!(accessed(&dir.join("dst"))[0], ("f", 500_000), "{way:?} {first_walk}");
                // Else this shows nothing: the mount notes no access.
                assert_ne!(accessed(&dir.join("src"))[0], ("f", 500_000), "{way:?} {first_walk}");
            });
        }
    }
}

#[test]
fn open_noatime_avoids_changing_the_access_time_of_the_files_that_are_being_transferred() {
    let unread = |dir: &Path| {
        prepare(dir);
        set_times(&dir.join("src/f"), 500_000, 1_000_000);
        fs::write(dir.join("src/big"), vec![7; 300_000]).unwrap();
        set_times(&dir.join("src/big"), 500_000, 1_000_000);
    };
    for (options, module) in
        [(&["-aUU"][..], ""), (&["-a", "--open-noatime"], ""), (&["-a"], "open noatime = yes\n")]
    {
        for way in ways::ALL {
            if !module.is_empty() && way != Way::DaemonPull {
                continue;
            }
            ways::run(way, module, options, unread, |dir, run| {
                run.expect(0);
                for name in ["f", "big"] {
                    let meta = fs::metadata(dir.join("src").join(name)).unwrap();
                    assert_eq!(meta.atime(), 500_000, "{way:?} {options:?} {name}");
                }
            });
        }
    }
}

/// Files of several modes on both sides, with the same data and time.
fn modes(dir: &Path) {
    for side in ["src", "dst"] {
        fs::create_dir(dir.join(side)).unwrap();
    }
    for theirs in [0o644, 0o755, 0o010, 0o600] {
        for ours in [0o644, 0o755, 0o600, 0o711, 0o466, 0o077, 0o640] {
            let name = format!("{theirs:o}-{ours:o}");
            for (side, mode) in [("src", theirs), ("dst", ours)] {
                let path = dir.join(side).join(&name);
                fs::write(&path, "").unwrap();
                fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
                set_times(&path, 5, 5);
            }
        }
    }
}

#[test]
fn executability_turns_off_all_x_or_turns_on_each_that_has_a_corresponding_r() {
    if !has("rsync") || !crate::requirement::met(&[crate::requirement::Need::Root]) {
        return;
    }
    for options in [["-rtEi", "--size-only"], ["-rtEi", "-I"], ["-rtpEi", "--size-only"]] {
        let scratch = tempfile::tempdir().unwrap();
        modes(scratch.path());
        let mut theirs = command("rsync".as_ref(), scratch.path());
        theirs.args(options).args(["src/", "dst/"]);
        let theirs = finish(theirs);
        let found = |dir: &Path| {
            let mode = |entry: walkdir::DirEntry| {
                (entry.file_name().to_owned(), entry.metadata().unwrap().permissions().mode() & 0o7777)
            };
            let entries = walkdir::WalkDir::new(dir.join("dst")).min_depth(1).sort_by_file_name();
            entries.into_iter().map(|entry| mode(entry.unwrap())).collect::<Vec<_>>()
        };
        let wanted = found(scratch.path());
        for way in ways::ALL {
            ways::run(way, "", &options, modes, |dir, run| {
                let sent = run.expect(0).text().replace("<f", ">f");
                let lines = |text: &str| {
                    text.lines().filter(|line| !line.ends_with("./")).map(str::to_owned).collect::<Vec<_>>()
                };
                assert_eq!(lines(&sent), lines(&theirs.text()), "{way:?} {options:?}");
                assert_eq!(found(dir), wanted, "{way:?} {options:?}");
            });
        }
    }
}

#[test]
fn the_os_must_support_the_setting_of_creation_times_for_crtimes_to_be_supported() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("src")).unwrap();
    for option in ["-aN", "--crtimes"] {
        let refused = run(dir.path(), [option, "src/", "dst/"]);
        let text = "--crtimes (-N) is not supported: Linux has no way to set when a file was made";
        assert!(refused.expect(1).errors().contains(text), "{}", refused.errors());
    }
    assert!(!dir.path().join("dst").exists());
}

#[test]
fn with_atimes_the_backup_of_a_file_that_is_written_in_place_keeps_its_access_time() {
    for option in ["--inplace", "--append"] {
        let later = |dir: &Path| {
            prepare(dir);
            fs::write(dir.join("dst/f"), "fi").unwrap();
            set_times(&dir.join("dst/f"), 3_000_000, 2_000_000);
        };
        for way in ways::ALL {
            ways::run(way, "", &["-aUb", option], later, |dir, run| {
                run.expect(0);
                let kept = dir.join("dst/f~").metadata().unwrap();
                assert_eq!((kept.atime(), kept.mtime()), (3_000_000, 2_000_000), "{way:?} {option}");
            });
        }
    }
}
