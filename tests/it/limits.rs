//! Limits of the machine: sizes, descriptors, room, rights. Each is an error of the entry that meets it, and
//! leaves the old file whole and nothing behind.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::time::SystemTime;

use nix::sys::stat::{UtimensatFlags, utimensat};
use nix::sys::time::TimeSpec;

use crate::oracle::Manifest;
use crate::remote_shell;
use crate::requirement::{self, Need};
use crate::scratch_fs::Mount;
use crate::under_test::{self, Run, command, finish};

fn trees() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for tree in ["src", "dst"] {
        fs::create_dir(dir.path().join(tree)).unwrap();
    }
    dir
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Runs the program under test by a shell that has set limits before.
fn limited(dir: &Path, limit: &str, args: &[&str]) -> Run {
    let mut shell = command("sh".as_ref(), dir);
    shell.args(["-c", &format!("{limit} && exec \"$@\""), "sh"]).arg(under_test::binary());
    shell.args(crate::far::sent(dir, args));
    finish(shell)
}

#[test]
fn a_file_above_the_limit_of_size_is_an_error_of_that_file() {
    let dir = trees();
    fs::write(dir.path().join("src/big"), vec![b'n'; 3 << 20]).unwrap();
    fs::write(dir.path().join("src/small"), "s").unwrap();
    fs::write(dir.path().join("dst/big"), "old").unwrap();
    for options in ["-a", "-aS", "-ac"] {
        let run = limited(dir.path(), "ulimit -f 1000", &[options, "src/", "dst/"]);
        run.expect(23);
        assert!(run.errors().contains("File too large"), "{}", run.errors());
        assert_eq!(names(&dir.path().join("dst")), ["big", "small"]);
        assert_eq!(fs::read(dir.path().join("dst/big")).unwrap(), b"old");
    }
}

#[test]
fn a_tree_deeper_than_there_are_descriptors_is_copied_compared_and_deleted() {
    let dir = trees();
    let mut at = dir.path().join("src");
    for level in 0..250 {
        at.push(format!("d{level}"));
        fs::create_dir(&at).unwrap();
        fs::write(at.join("f"), "f").unwrap();
    }
    for descriptors in ["64", "40"] {
        let limit = format!("ulimit -n {descriptors}");
        limited(dir.path(), &limit, &["-a", "src/", "dst/"]).expect(0);
        assert_eq!(limited(dir.path(), &limit, &["-aic", "--delete", "src/", "dst/"]).expect(0).text(), "");
        fs::create_dir(dir.path().join("empty")).unwrap();
        limited(dir.path(), &limit, &["-a", "--delete", "empty/", "dst/"]).expect(0);
        assert_eq!(names(&dir.path().join("dst")), [""; 0]);
        fs::remove_dir(dir.path().join("empty")).unwrap();
    }
}

/// Five of them are more bytes than a number of 64 bits counts.
#[test]
fn sparse_files_of_eight_exbibytes_are_copied_and_counted() {
    let Some(mount) = Mount::new("tmpfs", 8 << 20) else { return };
    fs::create_dir(mount.path().join("src")).unwrap();
    for i in 0..5 {
        let file = fs::File::create(mount.path().join(format!("src/f{i}"))).unwrap();
        file.set_len(i64::MAX as u64).unwrap();
    }
    for options in [&["-ai", "--stats"][..], &["-aiI", "--stats", "-P"], &["-aiI", "--json"]] {
        under_test::run(mount.path(), options.iter().copied().chain(["src/", "dst/"])).expect(0);
    }
    assert_eq!(under_test::run(mount.path(), ["-ai", "src/", "dst/"]).expect(0).text(), "");
    for i in 0..5 {
        let copy = fs::metadata(mount.path().join(format!("dst/f{i}"))).unwrap();
        assert_eq!((copy.len(), copy.blocks()), (i64::MAX as u64, 0));
    }
}

#[test]
fn a_file_too_large_for_the_destination_s_filesystem_leaves_nothing() {
    let Some(mount) = Mount::new("ext4", 64 << 20) else { return };
    let Ok(dir) = tempfile::tempdir_in("/dev/shm") else { return requirement::skip("no /dev/shm") };
    let dst = mount.path().join("dst");
    for tree in [&dir.path().join("src"), &dst] {
        fs::create_dir(tree).unwrap();
    }
    fs::File::create(dir.path().join("src/huge")).unwrap().set_len(i64::MAX as u64).unwrap();
    fs::write(dir.path().join("src/small"), "s").unwrap();
    let run = under_test::run(dir.path(), ["-a", "src/", dst.to_str().unwrap()]);
    assert!(run.errors().contains("File too large"), "{}", run.errors());
    run.expect(23);
    assert_eq!(names(&dst), ["small"]);
}

#[test]
fn times_that_the_destination_cannot_hold_are_not_set_again_with_every_run() {
    let Ok(dir) = tempfile::tempdir_in("/dev/shm") else { return requirement::skip("no /dev/shm") };
    let src = dir.path().join("src");
    fs::create_dir_all(src.join("dir")).unwrap();
    let seconds = [
        -14_831_769_600,
        -2_147_483_649,
        -2_147_483_648,
        -1,
        0,
        2_147_483_648,
        15_032_385_536,
        253_370_764_800,
    ];
    for (i, second) in seconds.into_iter().enumerate() {
        let path = src.join(format!("dir/{i}"));
        fs::write(&path, "t").unwrap();
        std::os::unix::fs::symlink("t", src.join(format!("dir/l{i}"))).unwrap();
        let time = TimeSpec::new(second, 999_999_999);
        for path in [path, src.join(format!("dir/l{i}"))] {
            utimensat(nix::fcntl::AT_FDCWD, &path, &time, &time, UtimensatFlags::NoFollowSymlink).unwrap();
        }
    }
    let time = TimeSpec::new(253_370_764_800, 5);
    utimensat(nix::fcntl::AT_FDCWD, &src.join("dir"), &time, &time, UtimensatFlags::NoFollowSymlink).unwrap();
    for kind in ["ext4", "xfs", "btrfs"] {
        let Some(mount) = Mount::new(kind, 320 << 20) else { return };
        let dst = format!("{}/dst/", mount.path().display());
        under_test::run(dir.path(), ["-a", "src/", &dst]).expect(0);
        for options in ["-ai", "-aic", "-aiH"] {
            let again = under_test::run(dir.path(), [options, "--modify-window=-1", "src/", &dst]);
            assert_eq!(again.expect(0).text(), "", "{kind} {options}");
        }
    }
}

/// `src` holds more than fits, `dst` an old file, a surplus file and nearly no room.
fn fill(src: &Path, dst: &Path) {
    fs::create_dir_all(src.join("dir")).unwrap();
    fs::create_dir_all(dst).unwrap();
    for i in 0..4 {
        fs::write(src.join(format!("big{i}")), vec![b'n'; 6 << 20]).unwrap();
        fs::write(dst.join(format!("big{i}")), vec![b'o'; 1 << 20]).unwrap();
    }
    fs::write(src.join("dir/more"), vec![b'n'; 6 << 20]).unwrap();
    fs::write(dst.join("surplus"), "s").unwrap();
}

#[test]
fn a_full_disk_leaves_old_files_whole_deletes_nothing_more_and_ends_with_11() {
    for kind in ["ext4", "tmpfs", "xfs"] {
        for options in [&["-a"][..], &["-a", "--jobs=4"], &["-aS", "--verify"], &["-ab"]] {
            let size = match kind {
                "xfs" => 320 << 20,
                _ => 16 << 20,
            };
            let Some(mount) = Mount::new(kind, size) else { return };
            let dir = tempfile::tempdir().unwrap();
            let (src, dst) = (dir.path().join("src"), mount.path().join("dst"));
            fill(&src, &dst);
            let ballast = fs::File::create(mount.path().join("ballast")).unwrap();
            let _full = std::io::copy(&mut std::io::repeat(1), &mut &ballast).unwrap_err();
            let room = ballast.metadata().unwrap().len().saturating_sub(7 << 20);
            ballast.set_len(room).unwrap();
            ballast.sync_all().unwrap();
            let to = dst.to_str().unwrap();
            let run =
                under_test::run(dir.path(), options.iter().copied().chain(["--delete-after", "src/", to]));
            let what = format!("{kind} {options:?}: {}", run.errors());
            assert!(run.errors().contains("No space left on device"), "{what}");
            assert_eq!(run.code, 11, "{what}");
            assert!(dst.join("surplus").exists(), "deleted after the disk was full: {what}");
            assert!(names(&dst).iter().all(|name| !name.starts_with('.')), "a leftover: {what}");
            for i in 0..4 {
                let file = fs::read(dst.join(format!("big{i}"))).unwrap();
                let whole = file == vec![b'o'; 1 << 20] || file == vec![b'n'; 6 << 20];
                assert!(whole, "{what}: big{i} is neither old nor new");
            }
        }
    }
}

#[test]
fn no_room_for_a_directory_ends_the_run_like_no_room_for_a_file() {
    if !requirement::met(&[Need::MountTmpfs]) {
        return;
    }
    let dir = trees();
    let dst = dir.path().join("dst");
    nix::mount::mount(
        Some("none"),
        &dst,
        Some("tmpfs"),
        nix::mount::MsFlags::empty(),
        Some("size=4m,nr_inodes=4"),
    )
    .unwrap();
    fs::write(dst.join("surplus"), "s").unwrap();
    for i in 0..5 {
        fs::create_dir(dir.path().join(format!("src/d{i}"))).unwrap();
    }
    let run = under_test::run(dir.path(), ["-a", "--delete-after", "src/", "dst/"]);
    let kept = dst.join("surplus").exists();
    nix::mount::umount(&dst).unwrap();
    assert_eq!(run.code, 11, "{}", run.errors());
    assert!(run.errors().contains("mkdir \"dst/d") && kept, "{}", run.errors());
}

#[test]
fn a_destination_that_cannot_be_written_is_told_entry_by_entry() {
    if !requirement::met(&[Need::MountTmpfs]) {
        return;
    }
    let dir = trees();
    let dst = dir.path().join("dst");
    requirement::mount_tmpfs(&dst, "4m").unwrap();
    for name in ["a", "b"] {
        fs::write(dir.path().join("src").join(name), "new!").unwrap();
        fs::write(dst.join(name), "old").unwrap();
    }
    let read_only = nix::mount::MsFlags::MS_REMOUNT | nix::mount::MsFlags::MS_RDONLY;
    nix::mount::mount(None::<&str>, &dst, None::<&str>, read_only, None::<&str>).unwrap();
    let before = Manifest::exact(&dst);
    let run = under_test::run(dir.path(), ["-a", "--delete", "src/", "dst/"]);
    let after = Manifest::exact(&dst);
    nix::mount::umount(&dst).unwrap();
    run.expect(23);
    assert_eq!(after.difference(&before), "");
    for name in ["a", "b"] {
        let line = format!("sluice: make a temp file for \"dst/{name}\": Read-only file system");
        assert!(!under_test::is_sluice() || run.errors().contains(&line), "{}", run.errors());
    }
}

#[test]
fn an_immutable_file_stays_and_the_rest_is_copied() {
    if !requirement::met(&[Need::Root, Need::Program("chattr")]) {
        return;
    }
    let Some(mount) = Mount::new("ext4", 32 << 20) else { return };
    let at = |name: &str| mount.path().join(name);
    for tree in ["src", "dst"] {
        fs::create_dir(at(tree)).unwrap();
    }
    for name in ["fixed", "other"] {
        fs::write(at("src").join(name), "new!").unwrap();
        fs::write(at("dst").join(name), "old").unwrap();
    }
    fs::write(at("dst/surplus"), "s").unwrap();
    let chattr = |how: &str, what: &str| {
        let mut chattr = command("chattr".as_ref(), mount.path());
        chattr.args([how, what]);
        finish(chattr).expect(0);
    };
    chattr("+i", "dst/fixed");
    chattr("+i", "dst/surplus");
    for options in [&["-a"][..], &["-a", "--inplace"], &["-ab"], &["-a", "--size-only", "--chmod=600"]] {
        let run = under_test::run(mount.path(), options.iter().copied().chain(["--delete", "src/", "dst/"]));
        assert_eq!(run.code, 23, "{options:?}: {}", run.errors());
        assert!(run.errors().contains("Operation not permitted"), "{options:?}: {}", run.errors());
        assert_eq!(fs::read(at("dst/fixed")).unwrap(), b"old", "{options:?}");
        assert_eq!(fs::read(at("dst/other")).unwrap(), b"new!", "{options:?}");
        let left: Vec<_> = names(&at("dst")).into_iter().filter(|name| name.starts_with('.')).collect();
        assert_eq!(left, [""; 0], "{options:?}");
    }
    chattr("-i", "dst/fixed");
    chattr("-i", "dst/surplus");
}

#[test]
fn without_rights_to_the_destination_nothing_changes_there() {
    if !requirement::met(&[Need::OtherUser]) {
        return;
    }
    let dir = trees();
    fs::write(dir.path().join("src/f"), "new!").unwrap();
    fs::write(dir.path().join("dst/f"), "old").unwrap();
    fs::write(dir.path().join("dst/surplus"), "s").unwrap();
    for mode in [0o755, 0o500, 0o000] {
        fs::set_permissions(dir.path().join("dst"), fs::Permissions::from_mode(mode)).unwrap();
        let before = Manifest::exact(&dir.path().join("dst"));
        let run = under_test::run_as_nobody(dir.path(), ["-a", "--delete", "src/", "dst/"]);
        let after = Manifest::exact(&dir.path().join("dst"));
        assert!([3, 11, 23].contains(&run.code), "{mode:o}: {} {}", run.code, run.errors());
        assert!(
            run.errors().contains("Permission denied") && after.difference(&before).is_empty(),
            "{mode:o}"
        );
    }
}

#[test]
fn a_working_directory_that_is_gone_matters_to_relative_paths_only() {
    let dir = trees();
    fs::write(dir.path().join("src/f"), "f").unwrap();
    let at = |name: &str| dir.path().join(name).display().to_string();
    fs::create_dir(at("gone")).unwrap();
    let vanish = format!("cd '{0}' && rmdir '{0}'", at("gone"));
    limited(dir.path(), &vanish, &["-a", &at("src/"), &at("dst/")]).expect(0);
    assert_eq!(fs::read(at("dst/f")).unwrap(), b"f");
    fs::create_dir(at("gone")).unwrap();
    let run = limited(dir.path(), &vanish, &["-a", "src/", &at("dst/")]);
    assert!([3, 11, 23].contains(&run.code), "{} {}", run.code, run.errors());
}

/// Opening some devices does something: rewinds a tape, resets a watchdog.
#[test]
fn sockets_and_device_nodes_are_copied_and_never_opened_for_data() {
    if !requirement::met(&[Need::Root, Need::Program("strace")]) {
        return;
    }
    use nix::sys::stat::{Mode, SFlag, makedev, mknod};
    let dir = trees();
    let src = dir.path().join("src");
    let _socket = std::os::unix::net::UnixListener::bind(src.join("node-socket")).unwrap();
    nix::unistd::mkfifo(&src.join("node-fifo"), Mode::S_IRWXU).unwrap();
    for (name, kind) in [("node-char", SFlag::S_IFCHR), ("node-block", SFlag::S_IFBLK)] {
        if mknod(&src.join(name), kind, Mode::S_IRWXU, makedev(1, 7)).is_err() {
            return requirement::skip("no device nodes can be made here");
        }
    }
    for options in ["-a", "-ac", "-aI"] {
        let mut strace = command("strace".as_ref(), dir.path());
        strace.args(["-f", "-qq", "-e", "trace=open,openat,openat2", "-e", "signal=none", "-o", "trace"]);
        strace.arg(under_test::binary()).args([options, "src/", "dst/"]);
        finish(strace).expect(0);
        let trace = fs::read_to_string(dir.path().join("trace")).unwrap();
        let opened = trace.lines().filter(|line| line.contains("\"node-") && !line.contains("O_PATH"));
        assert_eq!(opened.collect::<Vec<_>>(), [""; 0], "{options}");
    }
    let [src, dst] = ["src", "dst"].map(|tree| Manifest::of(&dir.path().join(tree), SystemTime::now()));
    assert_eq!(dst.difference(&src), "");
}

/// Each process and each thread of a user counts.
#[test]
fn where_no_thread_can_be_started_a_run_does_without_or_says_so() {
    if !requirement::met(&[Need::OtherUser, Need::Program("prlimit")]) {
        return;
    }
    let dir = trees();
    let at = dir.path();
    fs::create_dir(at.join("src/dir")).unwrap();
    fs::write(at.join("src/dir/f"), "f").unwrap();
    // Long enough to be hashed and packed by several threads.
    fs::write(at.join("src/big"), vec![b'n'; 3 << 20]).unwrap();
    let program = under_test::copy_into(at);
    fs::set_permissions(at, fs::Permissions::from_mode(0o755)).unwrap();
    // Each run is a user of its own: what is left of a process counts until somebody has waited for it.
    let mut user = 1_000_000 + 100 * std::process::id();
    let mut run = |most: u32, args: &[&str]| {
        user += 1;
        for name in ["", "src", "src/dir", "src/dir/f", "src/big", "dst"] {
            std::os::unix::fs::chown(at.join(name), Some(user), Some(user)).unwrap();
        }
        let mut command = command("setpriv".as_ref(), at);
        command.args([format!("--reuid={user}"), format!("--regid={user}"), "--clear-groups".into()]);
        command.args(["prlimit".into(), format!("--nproc={most}"), program.into()]);
        command.args(args);
        finish(command)
    };
    let shell = remote_shell::options(at, program.as_ref()).map(|o| o.into_string().unwrap());
    let here = ["-a", "--verify", "src/", "dst/"];
    let push = ["-az", &shell[0], &shell[1], "src/", "far:dst/"];
    let pull = ["-az", &shell[0], &shell[1], "far:src/", "dst/"];
    for (way, args) in [("here", &here[..]), ("push", &push), ("pull", &pull)] {
        let (mut done, mut refused, mut last) = (0, 0, String::new());
        for most in 1..=12 {
            let run = run(most, args);
            if run.code == 0 {
                let (source, copy) = (Manifest::exact(&at.join("src")), Manifest::exact(&at.join("dst")));
                assert_eq!(copy.difference(&source), "", "{way} {most}");
                done += 1;
            } else {
                assert!(matches!(run.code, 12 | 14), "{way} {most}: {} {}", run.code, run.errors());
                let whys = ["Resource temporarily unavailable", "Cannot fork"];
                assert!(whys.iter().any(|why| run.errors().contains(why)), "{}", run.errors());
                assert!(!run.errors().contains("panicked"), "{way} {most}: {}", run.errors());
                assert_eq!(names(&at.join("dst")), [""; 0], "{way} {most}");
                refused += 1;
                last = run.errors();
            }
            let mut empty = command("sh".as_ref(), at);
            empty.args(["-c", "rm -rf dst/*"]);
            finish(empty).expect(0);
        }
        assert!(
            done > 0 && (way == "here") == (refused == 0),
            "{way}: {done} done, {refused} refused\n{last}"
        );
    }
}
