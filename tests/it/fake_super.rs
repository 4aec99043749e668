//! `--fake-super`: what only root can keep is written down in extended attributes, as rsync does it, and both
//! programs read what the other has written.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, chown, lchown, symlink};
use std::path::Path;
use std::process::Command;
use std::time::SystemTime;

use nix::fcntl::AT_FDCWD;
use nix::sys::stat::{Mode, SFlag, UtimensatFlags, makedev, mknod, utimensat};
use nix::sys::time::TimeSpec;

use crate::attached::{self, ACCESS, DEFAULT};
use crate::oracle::{Manifest, Time};
use crate::random_cases;
use crate::random_tree::{Rng, Shape, Tree};
use crate::remote_shell;
use crate::requirement::{self, Need};
use crate::served::Served;
use crate::under_test::{self, Run, binary};

const STAT: &str = "user.rsync.%stat";
const NEEDS: &[Need<'_>] = &[Need::Root, Need::Program("rsync")];

/// A place whose filesystem keeps all kinds of extended attributes.
fn place() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    dir
}

/// What anybody can read of what only root can make.
fn tree(at: &Path) {
    fs::create_dir_all(at.join("dir")).unwrap();
    for (name, mode, owner) in
        [("plain", 0o644, 0), ("suid", 0o4755, 33), ("closed", 0o444, 12), ("dir/in", 0o600, 65534)]
    {
        fs::write(at.join(name), name).unwrap();
        chown(at.join(name), Some(owner), Some(owner + 1)).unwrap();
        fs::set_permissions(at.join(name), fs::Permissions::from_mode(mode)).unwrap();
    }
    symlink("no/where", at.join("link")).unwrap();
    lchown(at.join("link"), Some(5), Some(6)).unwrap();
    for (name, kind, device) in [
        ("fifo", SFlag::S_IFIFO, 0),
        ("char", SFlag::S_IFCHR, makedev(5, 300)),
        ("block", SFlag::S_IFBLK, makedev(259, 7)),
        ("sock", SFlag::S_IFSOCK, 0),
    ] {
        mknod(&at.join(name), kind, Mode::from_bits_truncate(0o640), device).unwrap();
    }
    xattr::set(at.join("suid"), "user.own", b"1").unwrap();
    xattr::set(at.join("suid"), "trusted.t", b"2").unwrap();
    xattr::set(at.join("dir"), "security.sluice-test", b"3").unwrap();
    xattr::set(at.join("link"), "trusted.l", b"4").unwrap();
    xattr::set(at.join("plain"), ACCESS, &attached::acl(0o664, 4, (55, 6), (66, 4))).unwrap();
    xattr::set(at.join("dir"), ACCESS, &attached::acl(0o755, 4, (55, 6), (66, 4))).unwrap();
    xattr::set(at.join("dir"), DEFAULT, &attached::acl(0o750, 5, (7, 7), (9, 0))).unwrap();
    fs::set_permissions(at.join("dir"), fs::Permissions::from_mode(0o3755)).unwrap();
    fs::hard_link(at.join("char"), at.join("dir/char")).unwrap();
    fs::hard_link(at.join("link"), at.join("dir/link")).unwrap();
    age(at, 1_400_000_000);
}

/// Gives everything in `tree` the time `seconds`.
fn age(tree: &Path, seconds: i64) {
    let time = TimeSpec::new(seconds, 0);
    for entry in walkdir::WalkDir::new(tree).contents_first(true) {
        utimensat(AT_FDCWD, entry.unwrap().path(), &time, &time, UtimensatFlags::NoFollowSymlink).unwrap();
    }
}

/// Runs `program` in `dir`, with itself behind a remote shell for what is on `far`.
fn far(program: &OsStr, dir: &Path, args: &[&str]) -> Run {
    let mut command = under_test::command(program, dir);
    command.args(remote_shell::options(dir, program)).args(args);
    under_test::finish(command)
}

fn rsync() -> OsString {
    "rsync".into()
}

/// Backs `src` up to `to` by `program`, which is root's there and writes down.
fn back_up(program: &OsStr, dir: &Path, src: &str, to: &str) {
    let (src, to) = (format!("far:{src}/"), format!("{to}/"));
    // rsync forgets the lists of a directory that it makes and gives its extended attributes to.
    for _ in 0..2 {
        far(program, dir, &["-aHAX", "--numeric-ids", "--delete", "--fake-super", &src, &to]).expect(0);
    }
}

/// Restores `from` into `to` by `program`.
fn restore(program: &OsStr, dir: &Path, from: &str, to: &str) {
    let (from, to) = (format!("{from}/"), format!("far:{to}/"));
    far(program, dir, &["-aHAX", "--numeric-ids", "--fake-super", &from, &to]).expect(0);
}

/// With no masks in the access control lists that are written down: the permission bits say them, and rsync writes
/// that of some other file with the same list. Times to the second, which is what is compared.
fn written(mut tree: Manifest) -> Manifest {
    for entry in tree.0.values_mut() {
        if let Time::At(_, nanoseconds) = &mut entry.mtime {
            *nanoseconds = 0;
        }
        if let Some(list) = entry.attached.get_mut(&b"user.rsync.%aacl"[..]) {
            list[8..12].fill(0);
        }
    }
    tree
}

fn same(dir: &Path, one: &str, other: &str) {
    let [one, other] = [one, other].map(|name| (name, written(Manifest::exact(&dir.join(name)))));
    let difference = one.1.difference(&other.1);
    assert!(difference.is_empty(), "{} and {}:\n{difference}", one.0, other.0);
}

#[test]
fn each_program_writes_what_the_other_writes_and_reads_it() {
    if !requirement::met(NEEDS) {
        return;
    }
    let dir = place();
    let dir = dir.path();
    tree(&dir.join("src"));
    let programs = [("ours", binary()), ("theirs", rsync())];
    for (name, program) in &programs {
        back_up(program, dir, "src", name);
    }
    same(dir, "ours", "theirs");
    for (name, program) in &programs {
        for from in ["ours", "theirs"] {
            let back = format!("{name}-of-{from}");
            restore(program, dir, from, &back);
            same(dir, "src", &back);
        }
    }
    let again = |to: &str| {
        let run = far(&binary(), dir, &["-aHAXi", "--numeric-ids", "--fake-super", "far:src/", to]);
        run.expect(0).text()
    };
    assert_eq!([again("ours/"), again("theirs/")], ["", ""]);
    let back =
        far(&binary(), dir, &["-aHAXi", "--numeric-ids", "--fake-super", "theirs/", "far:ours-of-theirs/"]);
    assert_eq!(back.expect(0).text(), "");
    for to in ["ours", "theirs"] {
        let (to, before) = (dir.join(to), Manifest::exact(&dir.join(to)));
        far(&rsync(), dir, &["-aHAX", "--numeric-ids", "--fake-super", "far:src/", to.to_str().unwrap()])
            .expect(0);
        assert_eq!(before.difference(&Manifest::exact(&to)), "", "rsync finds nothing to do");
    }
}

#[test]
fn random_trees_are_written_down_and_changed_as_by_rsync() {
    if !requirement::met(NEEDS) {
        return;
    }
    for seed in random_cases::seeds(12) {
        let rng = &mut Rng::new(seed);
        let shape = Shape {
            depth: 2,
            width: 9,
            long_names: false,
            hard_links: true,
            follow: false,
            dangling: true,
            root: true,
            attached: true,
        };
        let source = Tree::random(rng, &shape);
        let dir = place();
        let dir = dir.path();
        source.build(&dir.join("src"));
        source.mutated(rng, &shape).build(&dir.join("later"));
        println!("seed {seed}");
        back_up(&binary(), dir, "src", "ours");
        back_up(&rsync(), dir, "src", "theirs");
        same(dir, "ours", "theirs");
        // Each goes on with what the other has made.
        back_up(&binary(), dir, "later", "theirs");
        back_up(&rsync(), dir, "later", "ours");
        same(dir, "theirs", "ours");
        restore(&binary(), dir, "ours", "back");
        forget_reserved(&dir.join("later"));
        // Names that were joined before and have the same content stay joined; what has the same size and time
        // counts as that.
        let [later, back] = ["later", "back"].map(|name| {
            let mut tree = written(Manifest::exact(&dir.join(name)));
            tree.0.values_mut().for_each(|entry| (entry.linked, entry.content) = (None, None));
            tree
        });
        assert_eq!(later.difference(&back), "", "seed {seed}");
    }
}

/// Takes away what `-X` leaves behind.
fn forget_reserved(tree: &Path) {
    for entry in walkdir::WalkDir::new(tree) {
        let _not_there = xattr::remove(entry.unwrap().path(), "user.rsync.%x");
    }
}

#[test]
fn somebody_who_is_not_root_keeps_what_root_has() {
    if !requirement::met(NEEDS) || !requirement::met(&[Need::OtherUser]) {
        return;
    }
    let dir = place();
    let dir = dir.path();
    tree(&dir.join("src"));
    fs::set_permissions(dir.join("src/dir/in"), fs::Permissions::from_mode(0o644)).unwrap();
    for name in ["ours", "theirs"] {
        fs::create_dir(dir.join(name)).unwrap();
        chown(dir.join(name), Some(65534), Some(65534)).unwrap();
    }
    // The lists are compared apart: as above.
    let options = ["-aHAX", "--numeric-ids", "--fake-super"];
    let local = |program: OsString, to: &str| {
        let mut command = under_test::command(OsStr::new("setpriv"), dir);
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(program).args(options);
        under_test::finish({
            command.args(["src/", to]);
            command
        })
    };
    under_test::run_as_nobody(dir, options.iter().chain(&["src/", "ours/"])).expect(0);
    for _ in 0..2 {
        local(rsync(), "theirs/").expect(0);
    }
    same(dir, "ours", "theirs");
    let owner = |name: &str| fs::symlink_metadata(dir.join("ours").join(name)).unwrap();
    assert!(owner("char").file_type().is_file() && owner("link").file_type().is_file());
    assert_eq!((owner("suid").uid(), owner("suid").mode() & 0o7777), (65534, 0o755));
    let again = under_test::run_as_nobody(dir, ["-aHAXi", "--numeric-ids", "--fake-super", "src/", "ours/"]);
    assert_eq!(again.expect(0).text(), "");
    for to in ["back", "back-by-rsync"] {
        let program = if to == "back" { binary() } else { rsync() };
        restore(&program, dir, "ours", to);
    }
    same(dir, "back", "back-by-rsync");
    let back = Manifest::exact(&dir.join("back"));
    let source = Manifest::exact(&dir.join("src"));
    // On one machine both sides are read so, and lists are only those that are written down.
    let bare = |mut tree: Manifest| {
        for entry in tree.0.values_mut() {
            entry.attached.retain(|name, _| name.starts_with(b"user.") || name.starts_with(b"security."));
        }
        tree
    };
    assert_eq!(bare(source).difference(&bare(back)), "");
}

#[test]
fn what_a_file_stands_for_may_change() {
    if !requirement::met(NEEDS) {
        return;
    }
    let dir = place();
    let dir = dir.path();
    let at = |name: &str| dir.join("src").join(name);
    fs::create_dir(dir.join("src")).unwrap();
    let steps: &[fn(&Path)] = &[
        |at| symlink("foo", at).unwrap(),
        |at| fs::write(at, "foo").unwrap(),
        |at| symlink("other", at).unwrap(),
        |at| mknod(at, SFlag::S_IFCHR, Mode::from_bits_truncate(0o600), makedev(1, 3)).unwrap(),
        |at| mknod(at, SFlag::S_IFIFO, Mode::from_bits_truncate(0o6707), 0).unwrap(),
        |at| mknod(at, SFlag::S_IFBLK, Mode::from_bits_truncate(0o600), makedev(1, 4)).unwrap(),
        |at| fs::create_dir(at).unwrap(),
        |at| symlink("last", at).unwrap(),
    ];
    let since = SystemTime::now();
    for (number, step) in steps.iter().enumerate() {
        let _gone = fs::remove_file(at("x")).or_else(|_| fs::remove_dir(at("x")));
        step(&at("x"));
        let mut lines = Vec::new();
        for (to, program) in [("ours/", binary()), ("theirs/", rsync())] {
            let run = far(&program, dir, &["-ai", "--fake-super", "--no-t", "far:src/", to]);
            lines.push(run.expect(0).text().replace(to.trim_end_matches('/'), ""));
        }
        assert_eq!(lines[0], lines[1], "step {number}");
        let [ours, theirs] = ["ours", "theirs"].map(|tree| Manifest::of(&dir.join(tree), since));
        assert_eq!(ours.difference(&theirs), "", "step {number}");
    }
    // The figures are about what they stand for.
    fs::remove_file(at("x")).unwrap();
    let deleted = [binary(), rsync()].map(|program| {
        let to = if program == "rsync" { "theirs/" } else { "ours/" };
        let text = far(&program, dir, &["-a", "--delete", "--stats", "--fake-super", "far:src/", to]).text();
        text.lines().find(|line| line.starts_with("Number of deleted")).map(str::to_owned)
    });
    assert_eq!(deleted[0], Some("Number of deleted files: 1 (link: 1)".into()));
    assert_eq!(deleted[0], deleted[1]);
}

#[test]
fn options_that_replace_in_other_ways_keep_what_is_written_down() {
    if !requirement::met(NEEDS) {
        return;
    }
    for more in [
        &["--inplace"][..],
        &["--delay-updates"],
        &["-b"],
        &["-b", "--backup-dir=../bak"],
        &["--link-dest=../base"],
        &["--copy-dest=../base"],
        &["-c"],
        &["--chmod=F2640,D1750"],
        &["--chown=77:88"],
        &["-n"],
    ] {
        let dir = place();
        let dir = dir.path();
        tree(&dir.join("src"));
        let changed: BTreeMap<&str, OsString> = [("ours", binary()), ("theirs", rsync())].into();
        let mut lines = Vec::new();
        for (name, program) in &changed {
            // Each in a directory of its own: the options name what lies beside the destination.
            let own = dir.join(name);
            fs::create_dir(&own).unwrap();
            for to in ["dst", "base"] {
                far(&rsync(), dir, &["-aH", "--fake-super", "far:src/", &format!("{name}/{to}/")]).expect(0);
            }
            fs::remove_file(own.join("dst/link")).unwrap();
            fs::remove_file(own.join("dst/char")).unwrap();
            fs::write(own.join("dst/plain"), "older").unwrap();
            age(&own.join("dst"), 1_500_000_000);
            fs::write(own.join("dst/suid"), "older, and longer").unwrap();
            xattr::set(own.join("dst/fifo"), STAT, b"10600 0,0 4:4").unwrap();
            let to = format!("{name}/dst/");
            let mut args = vec!["-aHi", "--fake-super"];
            args.extend(more);
            args.extend(["far:src/", &to]);
            let mut text: Vec<_> =
                far(program, dir, &args).expect(0).text().lines().map(str::to_owned).collect();
            text.sort();
            lines.push(text);
        }
        assert_eq!(lines[0], lines[1], "{more:?}");
        let since = SystemTime::now() - std::time::Duration::from_secs(60);
        let [ours, theirs] = ["ours", "theirs"].map(|tree| Manifest::of(&dir.join(tree), since));
        assert_eq!(ours.difference(&theirs), "", "{more:?}");
    }
}

#[test]
fn a_module_with_fake_super_takes_and_gives_everything_as_an_ordinary_user() {
    if !requirement::met(&[Need::OtherUser]) {
        return;
    }
    let module = |name: &str, more: &str| {
        format!(
            "[{name}]\npath = @/{name}\nread only = no\nuse chroot = no\nuid = 65534\ngid = 65534\n{more}munge symlinks = no\n"
        )
    };
    let modules = module("fake", "fake super = yes\n") + &module("plain", "");
    let served = Served::new(&modules, |at| {
        tree(&at.join("src"));
        for name in ["fake", "plain"] {
            fs::create_dir(at.join(name)).unwrap();
            chown(at.join(name), Some(65534), Some(65534)).unwrap();
        }
    });
    let all = ["-aHAX", "--numeric-ids"];
    let run = |more: &[&str]| served.run(all.iter().chain(more));
    run(&["src/", "localhost::fake/"]).expect(0);
    assert_eq!(run(&["-i", "src/", "localhost::fake/"]).expect(0).text(), "");
    let stored = fs::symlink_metadata(served.at("fake/char")).unwrap();
    assert!(stored.file_type().is_file() && stored.uid() == 65534);
    assert_eq!(xattr::get(served.at("fake/char"), STAT).unwrap().unwrap(), b"20640 5,300 0:0");
    run(&["localhost::fake/", "back/"]).expect(0);
    same(&served.at(""), "src", "back");
    // Whatever the client says of it.
    run(&["--no-super", "src/", "localhost::fake/"]).expect(0);
    assert_eq!(run(&["-i", "src/", "localhost::fake/"]).expect(0).text(), "");
    run(&["--fake-super", "src/suid", "localhost::plain/"]).expect(0);
    assert_eq!(xattr::get(served.at("plain/suid"), STAT).unwrap(), None);
}

#[test]
fn nonsense_that_is_written_down_is_an_error_of_its_entry() {
    if !requirement::met(&[Need::Root]) {
        return;
    }
    let dir = place();
    let dir = dir.path();
    fs::create_dir_all(dir.join("src/dir")).unwrap();
    let file = |name: &str, content: &[u8], stat: &str| {
        fs::write(dir.join("src").join(name), content).unwrap();
        xattr::set(dir.join("src").join(name), STAT, stat.as_bytes()).unwrap();
    };
    fs::write(dir.join("src/good"), "good").unwrap();
    let bad = [
        ("empty", ""),
        ("word", "x"),
        ("short", "100644 0,0"),
        ("nobody", "100644 0,0 4294967295:0"),
        ("negative", "100644 0,0 -1:0"),
        ("typeless", "644 0,0 0:0"),
        ("unknown", "170000 0,0 0:0"),
        ("directory", "40755 0,0 0:0"),
        ("huge", "777777777777777777777777777 0,0 0:0"),
        ("strange", "\u{1b}[31m"),
    ];
    for (name, stat) in bad {
        file(name, b"x", stat);
    }
    file("no-text", b"", "120777 0,0 0:0");
    file("with-nul", b"a\0b", "120777 0,0 0:0");
    file("endless", &[b'a'; 4096], "120777 0,0 0:0");
    file("list", b"x", "100600 0,0 0:0");
    xattr::set(dir.join("src/list"), "user.rsync.%aacl", b"nonsense").unwrap();
    xattr::set(dir.join("src/dir"), STAT, b"100644 0,0 0:0").unwrap();
    fs::create_dir(dir.join("dst")).unwrap();
    fs::write(dir.join("dst/surplus"), "").unwrap();
    let run = far(&binary(), dir, &["-aA", "--delete", "--fake-super", "src/", "far:dst/"]);
    let said = run.expect(23).errors();
    for (name, _) in
        bad.iter().chain(&[("dir", ""), ("no-text", ""), ("with-nul", ""), ("endless", ""), ("list", "")])
    {
        assert!(said.contains(&format!("src/{name}\"")), "{name}: {said}");
    }
    assert!(said.contains("user.rsync.%stat") && !said.contains('\u{1b}'), "{said}");
    let left: Vec<_> = Manifest::exact(&dir.join("dst")).0.into_keys().collect();
    assert_eq!(left, ["", "good", "list", "surplus"].map(|name| name.as_bytes().to_vec()));
    // At the destination: left as it is.
    file("good", b"better", "100600 0,0 3:4");
    fs::create_dir(dir.join("fake")).unwrap();
    fs::write(dir.join("fake/good"), "old").unwrap();
    xattr::set(dir.join("fake/good"), STAT, b"nonsense").unwrap();
    let run = far(&binary(), dir, &["-a", "--fake-super", "far:src/good", "far:src/list", "fake/"]);
    let said = run.expect(23).errors();
    assert!(said.contains("fake/good"), "{said}");
    assert_eq!(fs::read(dir.join("fake/good")).unwrap(), b"old");
    assert!(dir.join("fake/list").exists());
}

#[test]
fn nothing_privileged_happens_where_things_are_written_down() {
    if !requirement::met(&[Need::Root]) {
        return;
    }
    let dir = place();
    let dir = dir.path();
    tree(&dir.join("src"));
    let attack = ["user.rsync.%stat", "user.rsync.%aacl", "user.rsync.trusted.x", "user.rsync.foo"];
    for name in attack {
        xattr::set(dir.join("src/plain"), name, b"104777 0,0 0:0").unwrap();
    }
    far(&binary(), dir, &["-aHAX", "--fake-super", "far:src/", "fake/"]).expect(0);
    for entry in walkdir::WalkDir::new(dir.join("fake")) {
        let entry = entry.unwrap();
        let meta = entry.path().symlink_metadata().unwrap();
        assert!(meta.is_file() || meta.is_dir(), "{entry:?}");
        assert_eq!((meta.uid(), meta.gid(), meta.mode() & 0o7000), (0, 0, 0), "{entry:?}");
        let names = attached::of(entry.path());
        assert!(names.keys().all(|name| name.starts_with(b"user.")), "{entry:?} {names:?}");
    }
    // The source's own attributes of such names are no more than that, and come back.
    assert_eq!(xattr::get(dir.join("fake/plain"), STAT).unwrap().unwrap(), b"100664 0,0 0:1");
    far(&binary(), dir, &["-aHAX", "--fake-super", "fake/", "far:back/"]).expect(0);
    let came = attached::of(&dir.join("back/plain"));
    assert!(
        came.contains_key(&b"user.rsync.trusted.x"[..]) && came.contains_key(&b"user.rsync.foo"[..]),
        "{came:?}"
    );
    assert!(!came.contains_key(&b"trusted.x"[..]), "{came:?}");
    // Where it is not asked for, nothing is read from there.
    far(&binary(), dir, &["-aX", "fake/", "far:bare/"]).expect(0);
    let bare = fs::symlink_metadata(dir.join("bare/char")).unwrap();
    assert!(bare.file_type().is_file() && !bare.file_type().is_char_device());
}

#[test]
fn where_nothing_can_be_written_down_the_data_is_there_and_the_rest_an_error() {
    if !requirement::met(NEEDS) {
        return;
    }
    let dir = place();
    let dir = dir.path();
    tree(&dir.join("src"));
    fs::create_dir(dir.join("m")).unwrap();
    let mounted = Command::new("mount").args(["-t", "ramfs", "none"]).arg(dir.join("m")).status().unwrap();
    if !mounted.success() {
        return requirement::skip("no filesystem without extended attributes can be mounted");
    }
    let runs = [("m/ours/", binary()), ("m/theirs/", rsync())]
        .map(|(to, program)| far(&program, dir, &["-ai", "--fake-super", "far:src/", to]));
    let since = SystemTime::now() - std::time::Duration::from_secs(60);
    let [ours, theirs] = ["m/ours", "m/theirs"].map(|tree| Manifest::of(&dir.join(tree), since));
    let difference = ours.difference(&theirs);
    assert!(Command::new("umount").arg(dir.join("m")).status().unwrap().success());
    for run in &runs {
        run.expect(23);
        assert!(run.errors().contains("link"), "{}", run.errors());
    }
    assert_eq!(difference, "");
    assert_eq!(runs[0].text().replace("m/ours", "m/theirs"), runs[1].text());
}

#[test]
fn the_last_one_of_super_and_fake_super_counts_and_xx_is_refused() {
    if !requirement::met(NEEDS) {
        return;
    }
    let dir = place();
    let dir = dir.path();
    tree(&dir.join("src"));
    let kind = |args: &[&str]| {
        let of = [binary(), rsync()].map(|program| {
            let to = format!("{}-{}", Path::new(&program).file_name().unwrap().display(), args.concat());
            let mut command = under_test::command(&program, dir);
            command.args(["-a"]).args(args).args(["src/", &to]);
            under_test::finish(command).expect(0);
            (
                dir.join(&to).join("link").symlink_metadata().unwrap().is_symlink(),
                dir.join(to).join("char").exists(),
            )
        });
        assert_eq!(of[0], of[1], "{args:?}");
        of[0]
    };
    assert_eq!(kind(&["--super", "--fake-super"]), (false, true));
    assert_eq!(kind(&["--fake-super", "--super"]), (true, true));
    assert_eq!(kind(&["--fake-super", "--no-super"]), (true, false));
    assert_eq!(kind(&["--no-super", "--fake-super"]), (false, true));
    let refused = under_test::run(dir, ["-aXX", "--fake-super", "src/", "dst/"]);
    assert!(refused.expect(1).errors().contains("conflicts with -XX"), "{}", refused.errors());
    assert!(!dir.join("dst").exists());
}

#[test]
fn the_other_side_is_told_by_remote_option_and_on_one_machine_one_side_can_be_left_out() {
    if !requirement::met(&[Need::Root]) {
        return;
    }
    let dir = place();
    let at = dir.path();
    tree(&at.join("src"));
    let stat =
        |name: &str| xattr::get(at.join(name), STAT).unwrap().map(|text| String::from_utf8(text).unwrap());
    far(&binary(), at, &["-a", "-M--fake-super", "src/", "far:pushed/"]).expect(0);
    assert_eq!(stat("pushed/suid").as_deref(), Some("104755 0,0 33:34"));
    far(&binary(), at, &["-a", "-M--fake-super", "far:pushed/", "back/"]).expect(0);
    assert_eq!(fs::metadata(at.join("back/suid")).unwrap().mode(), 0o104755);
    assert!(fs::metadata(at.join("back/char")).unwrap().file_type().is_char_device());
    under_test::run(at, ["-a", "-M--fake-super", "src/", "kept/"]).expect(0);
    assert_eq!(stat("kept/suid").as_deref(), Some("104755 0,0 33:34"));
    under_test::run(at, ["-a", "--fake-super", "-M--super", "kept/", "restored/"]).expect(0);
    assert_eq!(fs::metadata(at.join("restored/suid")).unwrap().mode(), 0o104755);
    assert_eq!(stat("restored/suid"), None);
}
