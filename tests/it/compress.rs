//! `-z`: what goes over a connection gets smaller, and what arrives is the same.

use std::ffi::OsString;
use std::fs;
use std::path::Path;

use crate::oracle::Manifest;
use crate::remote_shell;
use crate::requirement::is_root;
use crate::served::Served;
use crate::under_test::{self, Run, command, finish};

/// Numbers in a row: text that packs well. Some 6 bytes each.
fn numbers(up_to: u32) -> Vec<u8> {
    (0..up_to).flat_map(|n| format!("{n}\n").into_bytes()).collect()
}

/// Bytes that do not pack.
fn noise(blocks: u64) -> Vec<u8> {
    (0..blocks).flat_map(|n| *blake3::hash(&n.to_le_bytes()).as_bytes()).collect()
}

/// Of every sort: large and small, that packs and that does not, with a hole.
fn build(src: &Path) {
    fs::create_dir_all(src.join("sub")).unwrap();
    fs::write(src.join("text"), numbers(400_000)).unwrap();
    fs::write(src.join("noise"), noise(50_000)).unwrap();
    fs::write(src.join("sub/mixed"), [numbers(100_000), noise(40_000), numbers(100_000)].concat()).unwrap();
    for n in 0..200 {
        fs::write(src.join(format!("sub/small{n}")), numbers(n)).unwrap();
    }
    let sparse = fs::File::create(src.join("sparse")).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&sparse, &numbers(100_000), 5 << 20).unwrap();
    sparse.set_len(9 << 20).unwrap();
}

/// What `--stats` says behind `what`.
#[track_caller]
fn figure(run: &Run, what: &str) -> u64 {
    let text = run.text();
    let line = text.lines().find_map(|line| line.strip_prefix(what));
    // What took no part has no line.
    let number = line.map_or("0", |line| line.split(' ').next().unwrap());
    number.replace(',', "").parse().unwrap()
}

/// What went over the connection, both ways.
#[track_caller]
fn traffic(run: &Run) -> u64 {
    figure(run, "Total bytes sent: ") + figure(run, "Total bytes received: ")
}

/// `src/` to `dst`, pushed or pulled through a shell that runs everything here.
fn sync(dir: &Path, push: bool, options: &[&str]) -> Run {
    let _nothing_there = fs::remove_dir_all(dir.join("dst"));
    let mut run = command(&under_test::binary(), dir);
    run.args(remote_shell::to_itself(dir)).args(["-a", "--stats", "--no-h"]).args(options);
    finish(if push {
        run.args(["src/", "h:dst/"]);
        run
    } else {
        run.args(["h:src/", "dst/"]);
        run
    })
}

#[test]
fn a_tree_arrives_as_it_is_in_half_the_bytes_and_the_ledger_says_what_was_copied() {
    let since = std::time::SystemTime::now();
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    build(&at.join("src"));
    let source = Manifest::of(&at.join("src"), since);
    for push in [true, false] {
        let plain = sync(at, push, &[]);
        let copied = figure(plain.expect(0), "Data copied through user space: ");
        for more in
            [&["-z"][..], &["--zc=zstd"], &["-zz", "--zl=1", "--zt=3"], &["--new-compress", "--no-verify"]]
        {
            let packed = sync(at, push, more);
            assert_eq!(Manifest::of(&at.join("dst"), since).difference(&source), "", "{more:?}, push {push}");
            let [before, after] = [&plain, packed.expect(0)].map(traffic);
            // Noise is more than a third of it.
            assert!(after < before * 2 / 3, "{more:?}, push {push}: {before} → {after}");
            let now = figure(&packed, "Data copied through user space: ");
            assert!(now > copied + 6_000_000, "{more:?}, push {push}: {copied} → {now}");
            // What does not get smaller still leaves by itself.
            assert!(figure(&packed, "Data by sendfile: ") >= 1_500_000, "{more:?}, push {push}");
        }
        for less in [&["-z", "--no-z"][..], &["-z", "--zc=none"], &["--zl=9", "--no-compress"]] {
            let run = sync(at, push, less);
            assert!(traffic(run.expect(0)) > traffic(&plain) * 9 / 10, "{less:?}, push {push}");
        }
    }
}

#[test]
fn a_second_run_is_silent_and_a_dry_run_tells_the_same() {
    for push in [true, false] {
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path();
        build(&at.join("src"));
        let dry = sync(at, push, &["-zi", "-n", "--info=stats0"]);
        let real = sync(at, push, &["-zi", "--info=stats0"]);
        assert_eq!(dry.expect(0).text(), real.expect(0).text());
        let mut again = command(&under_test::binary(), at);
        let operands = if push { ["src/", "h:dst/"] } else { ["h:src/", "dst/"] };
        again.args(remote_shell::to_itself(at)).args(["-azic"]).args(operands);
        assert_eq!(finish(again).expect(0).text(), "");
    }
}

#[test]
fn files_with_the_suffixes_of_the_list_are_sent_as_they_are() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    fs::create_dir(at.join("src")).unwrap();
    for name in ["a.GZ", "b.tar.xz", "c.own"] {
        fs::write(at.join("src").join(name), numbers(200_000)).unwrap();
    }
    let one = numbers(200_000).len() as u64;
    for push in [true, false] {
        let by_itself = |options: &[&str]| figure(sync(at, push, options).expect(0), "Data by sendfile: ");
        assert_eq!(by_itself(&["-z"]), one * 2);
        assert_eq!(by_itself(&["-z", "--skip-compress=ow[mn]/c"]), one);
        assert_eq!(by_itself(&["-z", "--skip-compress="]), 0);
    }
}

#[test]
fn what_cannot_be_is_refused_with_both_sides_named() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    fs::create_dir(at.join("src")).unwrap();
    for name in ["zlib", "zlibx", "lz4", "foo"] {
        let run = under_test::run(at, [&format!("--zc={name}"), "-a", "src/", "dst/"]);
        let error = format!("unknown compress name: {name} (there are: zstd, none, auto)");
        assert!(run.expect(4).errors().contains(&error), "{}", run.errors());
    }
    let run = under_test::run(at, ["-az", "--zero-copy=always", "src/", "dst/"]);
    assert!(run.expect(1).errors().contains("--compress (-z) cannot be used with --zero-copy=always"));
    under_test::run(at, ["-az", "--zc=none", "--zero-copy=always", "src/", "dst/"]).expect(0);
    for (variable, list, code) in [
        ("RSYNC_COMPRESS_LIST", "lz4 zlib", 4),
        ("RSYNC_COMPRESS_LIST", "lz4 zstd", 0),
        ("SLUICE_COMPRESS_LIST", "none", 0),
    ] {
        let mut run = command(&under_test::binary(), at);
        run.env("RSYNC_COMPRESS_LIST", "nothing").env(variable, list).args(["-az", "src/", "dst/"]);
        finish(run).expect(code);
    }
}

/// Modules to read and to write, and one with a password, for whoever runs the tests.
fn modules(more: &str) -> String {
    let own = if is_root() { "uid = root\ngid = root\n" } else { "" };
    format!(
        "use chroot = no\n{own}[m]\npath = @/mod\nread only = no\n{more}\n\
         [locked]\npath = @/mod\nread only = no\nauth users = ann\nsecrets file = @/secrets\n"
    )
}

fn serve(more: &str) -> Served {
    Served::new(&modules(more), |at| {
        build(&at.join("src"));
        fs::create_dir(at.join("mod")).unwrap();
        crate::served::file(at, "secrets", "ann:word\n");
        fs::set_permissions(at.join("secrets"), std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    })
}

#[test]
fn a_daemon_packs_and_unpacks_also_behind_a_password_and_at_the_hardest_level() {
    let since = std::time::SystemTime::now();
    let served = serve("");
    let source = Manifest::of(&served.at("src"), since);
    for module in ["m", "locked"] {
        for level in ["--zl=-1000", "--zl=0", "--zl=999"] {
            let [there, back] = [format!("ann@localhost::{module}/t/"), "back/".to_string()];
            let options = ["-aI", "--delete", "--stats", "--no-h", "--zt=200", level];
            let pushed = served.run_as("word", options.into_iter().chain(["src/", &there]));
            assert!(traffic(pushed.expect(0)) < 8_500_000, "{}", pushed.text());
            let pulled = served.run_as("word", options.into_iter().chain([&*there, &back]));
            assert!(traffic(pulled.expect(0)) < 8_500_000, "{}", pulled.text());
            assert_eq!(Manifest::of(&served.at("back"), since).difference(&source), "", "{module} {level}");
            fs::remove_dir_all(served.at("back")).unwrap();
            fs::remove_dir_all(served.at("mod/t")).unwrap();
        }
    }
}

#[test]
fn a_module_says_what_is_not_compressed_and_can_refuse_to() {
    let sent = |served: &Served, more: &[&str]| {
        let options = ["-a", "--stats", "--no-h", "-z"].into_iter().chain(more.iter().copied());
        let run = served.run(options.chain(["localhost::m/", "d/"]));
        fs::remove_dir_all(served.at("d")).unwrap();
        figure(run.expect(0), "Data by sendfile: ")
    };
    let fill = |served: &Served| {
        for name in ["a.txt", "b.gz", "c.own"] {
            fs::write(served.at("mod").join(name), numbers(200_000)).unwrap();
        }
    };
    let one = numbers(200_000).len() as u64;
    for (more, expected) in [
        ("", [one, one * 2]),
        ("dont compress = *.TXT a*", [one, one * 2]),
        ("dont compress = *", [one * 3, one * 3]),
    ] {
        let served = serve(more);
        fill(&served);
        assert_eq!([sent(&served, &[]), sent(&served, &["--skip-compress=own"])], expected, "{more}");
    }
    let served = serve("refuse options = compress*");
    let refused = served.run(["-az", "localhost::m/", "d/"]);
    assert!(refused.expect(4).errors().contains("refuse --compress (-z)"), "{}", refused.errors());
    served.run(["-a", "localhost::m/", "d/"]).expect(0);
}

#[test]
fn locally_it_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    build(&at.join("src"));
    let lines = |options: &[&str]| {
        let args = options.iter().copied().chain(["-ai", "src/", "dst/"]).map(OsString::from);
        let told = under_test::run(at, args).expect(0).text();
        fs::remove_dir_all(at.join("dst")).unwrap();
        told
    };
    assert_eq!(lines(&["-z", "--zl=9", "--zt=2", "--skip-compress=gz"]), lines(&[]));
}
