//! Batches: a run that is recorded (`--write-batch`, `--only-write-batch`) and done again (`--read-batch`), in every
//! way to run; what becomes of batches that are damaged, and of destinations that they were not made for.

use std::fs;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Stdio;
use std::time::SystemTime;

use crate::differential::set_up;
use crate::oracle::Manifest;
use crate::random_cases::{Random, seeds};
use crate::random_command::random_case;
use crate::requirement::{self, Need};
use crate::resumed::noise;
use crate::served::{Served, file, tree};
use crate::under_test::{Run, binary, command, finish, run};
use crate::ways::{self, Way};

/// More than goes into a message, and more than a frame holds.
const LARGE: usize = (2 << 20) + 17;

/// A source, and a destination with an older state of it; a copy of that is `other`.
fn trees(dir: &Path) {
    file(dir, "src/small", "small");
    file(dir, "src/d/changed", "changed");
    file(dir, "src/d/same", "same");
    file(dir, "src/empty", "");
    fs::create_dir(dir.join("src/hollow")).unwrap();
    fs::write(dir.join("src/large"), noise(3, LARGE)).unwrap();
    let sparse = fs::File::create(dir.join("src/d/sparse")).unwrap();
    sparse.write_all_at(b"middle", 3 << 20).unwrap();
    sparse.set_len(5 << 20).unwrap();
    fs::hard_link(dir.join("src/large"), dir.join("src/zz-linked")).unwrap();
    symlink("small", dir.join("src/link")).unwrap();
    fs::set_permissions(dir.join("src/d"), fs::Permissions::from_mode(0o711)).unwrap();
    file(dir, "dst/d/changed", "old");
    file(dir, "dst/gone", "gone");
    file(dir, "dst/d/same", "same");
    let time = fs::metadata(dir.join("src/d/same")).unwrap().modified().unwrap();
    fs::File::options().write(true).open(dir.join("dst/d/same")).unwrap().set_modified(time).unwrap();
    let mut copy = command("cp".as_ref(), dir);
    copy.args(["-a", "dst", "other"]);
    finish(copy).expect(0);
}

fn manifest(dir: &Path, name: &str) -> Manifest {
    Manifest::exact(&dir.join(name))
}

#[track_caller]
fn assert_same(dir: &Path, one: &str, other: &str, what: &dyn std::fmt::Debug) {
    let difference = manifest(dir, one).difference(&manifest(dir, other));
    assert!(difference.is_empty(), "{what:?}: {one} and {other} differ\n{difference}");
}

/// Runs `FILE.sh` of the batch `name` for the destination `dest`.
fn script(dir: &Path, name: &str, dest: &str) -> Run {
    let mut shell = command("sh".as_ref(), dir);
    shell.arg(format!("./{name}.sh")).arg(dest);
    finish(shell)
}

fn is_push(way: Way) -> bool {
    matches!(way, Way::ShellPush | Way::DaemonPush)
}

#[test]
fn in_every_way_what_was_done_once_is_done_again() {
    for way in ways::ALL {
        for more in [&[][..], &["-z"][..], &["--verify=never"][..]] {
            let options = [&["-aHi", "--delete", "--write-batch=@/batch"][..], more].concat();
            ways::run(way, "", &options, trees, |dir, run| {
                assert_eq!(run.expect(0).errors(), "", "{way:?} {more:?}");
                assert_same(dir, "src", "dst", &(way, more));
                let again = script(dir, "batch", "other/");
                assert_eq!(again.expect(0).errors(), "", "{way:?} {more:?}");
                assert_same(dir, "src", "other", &(way, more));
                assert!(fs::metadata(dir.join("other/d/sparse")).unwrap().blocks() < 4096, "{way:?}: holes");
                let arrow = if is_push(way) { "<f" } else { ">f" };
                assert_eq!(again.text(), run.text().replace(arrow, ">f"), "{way:?}: the same lines");
                let third = script(dir, "batch", "other/");
                let skipped = third.expect(0).text();
                assert!(skipped.contains("(Skipping batched update for \"d/changed\")\n"), "{skipped}");
                assert!(!skipped.contains("d/same"), "{skipped}");
            });
        }
    }
}

#[test]
fn only_a_batch_is_written_and_it_holds_what_a_run_would_have_done() {
    for way in ways::ALL {
        ways::run(way, "", &["-aHvi", "--delete", "--only-write-batch=@/batch"], trees, |dir, run| {
            assert_eq!(run.expect(0).errors(), "", "{way:?}");
            assert!(run.text().trim_end().ends_with(" (BATCH ONLY)"), "{way:?}: {}", run.text());
            assert_same(dir, "dst", "other", &way);
            let again = script(dir, "batch", "other/");
            assert_eq!(again.expect(0).errors(), "", "{way:?}");
            assert_same(dir, "src", "other", &way);
        });
    }
}

#[test]
fn what_was_added_is_added_again_and_what_was_gone_on_with_is_recorded_whole() {
    for way in ways::ALL {
        for option in ["--append", "--append-verify", "--partial", "--inplace"] {
            for kind in ["--write-batch=@/batch", "--only-write-batch=@/batch"] {
                let prepare = |dir: &Path| {
                    fs::create_dir(dir.join("src")).unwrap();
                    fs::write(dir.join("src/large"), noise(5, LARGE)).unwrap();
                    file(dir, "src/small", "beginning and end");
                    for at in ["dst", "other"] {
                        file(dir, &format!("{at}/small"), "beginning");
                        fs::write(dir.join(at).join("large"), &noise(5, LARGE)[..LARGE - 70_000]).unwrap();
                    }
                };
                ways::run(way, "", &["-a", option, kind], prepare, |dir, run| {
                    assert_eq!(run.expect(0).errors(), "", "{way:?} {option} {kind}");
                    let again = script(dir, "batch", "other/");
                    assert_eq!(again.expect(0).errors(), "", "{way:?} {option} {kind}");
                    for name in ["small", "large"] {
                        let [new, source] =
                            ["other", "src"].map(|at| fs::read(dir.join(at).join(name)).unwrap());
                        assert!(new == source, "{way:?} {option} {kind}: {name}");
                    }
                    let size = fs::metadata(dir.join("batch")).unwrap().len();
                    assert_eq!(
                        size < LARGE as u64 / 2,
                        option == "--append",
                        "{way:?} {option} {kind}: {size}"
                    );
                    let fresh = script(dir, "batch", "fresh/");
                    fresh.expect(if option == "--append" { 23 } else { 0 });
                });
            }
        }
    }
}

#[test]
fn lines_are_those_of_a_run_that_is_not_recorded() {
    let scratch = tempfile::tempdir().unwrap();
    let dir = scratch.path();
    trees(dir);
    let plain = run(dir, ["-aHvii", "--delete", "-n", "src/", "dst/"]);
    let recorded = run(dir, ["-aHvii", "--delete", "--write-batch=b", "src/", "dst/"]);
    let lines = |run: &Run| {
        let text = run.expect(0).text();
        text.lines().take_while(|line| !line.is_empty()).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(lines(&recorded), lines(&plain));
    let read = run(dir, ["-aHvii", "--delete", "--read-batch=b", "other"]);
    assert_eq!(lines(&read)[1..], lines(&plain)[1..]);
    assert_eq!(lines(&read)[0], "receiving incremental file list");
}

#[test]
fn long_attributes_lists_and_devices_are_in_it() {
    if !requirement::met(&[Need::Root, Need::Program("setfattr"), Need::Program("setfacl")]) {
        return;
    }
    for way in ways::ALL {
        for kind in ["--write-batch=@/b", "--only-write-batch=@/b"] {
            let prepare = |dir: &Path| {
                trees(dir);
                let long = "x".repeat(900);
                for name in ["src/small", "src/d", "src/hollow", "src/large"] {
                    let mut set = command("setfattr".as_ref(), dir);
                    set.args(["-n", "user.long", "-v", &long, name]);
                    finish(set).expect(0);
                    let mut set = command("setfacl".as_ref(), dir);
                    set.args(["-m", "u:1234:r", name]);
                    finish(set).expect(0);
                }
                nix::unistd::mkfifo(&dir.join("src/pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
            };
            ways::run(way, "", &["-aHAX", "--numeric-ids", "--delete", kind], prepare, |dir, run| {
                assert_eq!(run.expect(0).errors(), "", "{way:?} {kind}");
                assert_eq!(script(dir, "b", "other/").expect(0).errors(), "", "{way:?} {kind}");
                assert_same(dir, "src", "other", &(way, kind));
            });
        }
    }
}

#[test]
fn rules_that_protect_protect_again_and_a_batch_of_a_session_with_a_key_is_read_without_it() {
    let module = "[src]\npath = @/src\nauth users = joe\nsecrets file = @/secrets\n";
    let own = if requirement::is_root() { "uid = root\ngid = root\n" } else { "" };
    let served = Served::new(&format!("use chroot = no\n{own}{module}"), |dir| {
        trees(dir);
        file(dir, "secrets", "joe:secret\n");
        fs::set_permissions(dir.join("secrets"), fs::Permissions::from_mode(0o600)).unwrap();
        file(dir, "dst/it's kept", "");
        file(dir, "other/it's kept", "");
        let time = fs::metadata(dir.join("dst/it's kept")).unwrap().modified().unwrap();
        fs::File::options()
            .write(true)
            .open(dir.join("other/it's kept"))
            .unwrap()
            .set_modified(time)
            .unwrap();
        file(dir, "rules", "- it's*\n");
    });
    let options = ["-aH", "--delete", "-c", "-f. rules", "--write-batch=b", "joe@localhost::src/", "dst/"];
    served.run_as("secret", options).expect(0);
    let dir = served.at("");
    fs::remove_file(dir.join("rules")).unwrap();
    let again = script(&dir, "b", "other/");
    assert_eq!(again.expect(0).errors(), "");
    assert!(dir.join("other/it's kept").exists() && !dir.join("other/gone").exists());
    assert_same(&dir, "dst", "other", &"with a key");
}

#[test]
fn standard_input_and_pipes_are_read_too() {
    let scratch = tempfile::tempdir().unwrap();
    let dir = scratch.path();
    trees(dir);
    run(dir, ["-aH", "--only-write-batch=b", "src/", "dst/"]).expect(0);
    for (at, reading) in [("one", "--read-batch=- one <b"), ("two", "--read-batch=/dev/stdin two < pipe")] {
        nix::unistd::mkfifo(&dir.join("pipe"), nix::sys::stat::Mode::S_IRWXU).or_else(exists).unwrap();
        let mut shell = command("sh".as_ref(), dir);
        shell.arg("-c").arg(format!("cat b >pipe & \"$0\" -aH {reading}; code=$?; : <>pipe; exit $code"));
        shell.arg(binary()).env("TMPDIR", dir);
        // What the destination had is not in it.
        finish(shell).expect(23);
        assert!(fs::read(dir.join(at).join("large")).unwrap() == noise(3, LARGE), "{at}");
    }
}

#[test]
fn what_is_needed_and_missing_is_named_and_the_rest_goes_on() {
    let scratch = tempfile::tempdir().unwrap();
    let dir = scratch.path();
    trees(dir);
    run(dir, ["-a", "--write-batch=b", "src/", "dst/"]).expect(0);
    let read = run(dir, ["-a", "--read-batch=b", "fresh"]);
    read.expect(23);
    let expected = "sluice: update \"d/same\": not in the batch: the destination differs from the one that it was \
                    made against\n";
    assert!(read.errors().starts_with(expected), "{}", read.errors());
    assert_eq!(read.errors().lines().count(), 2, "{}", read.errors());
    assert!(!dir.join("fresh/d/same").exists() && dir.join("fresh/d/changed").exists());
    assert_eq!(tree(&dir.join("fresh")).len() + 1, tree(&dir.join("src")).len());
}

#[test]
fn options_are_set_as_the_batch_was_written_and_that_is_told() {
    let scratch = tempfile::tempdir().unwrap();
    let dir = scratch.path();
    trees(dir);
    run(dir, ["-a", "--only-write-batch=b", "src/", "dst/"]).expect(0);
    let read = run(dir, ["-vHc", "--times", "--perms", "--read-batch=b", "other"]);
    let text = read.expect(0).text();
    for line in [
        "Setting the --recurse (-r) option to match the batchfile.",
        "Setting the --owner (-o) option to match the batchfile.",
        "Setting the --links (-l) option to match the batchfile.",
        "Clearing the --hard-links (-H) option to match the batchfile.",
        "Clearing the --checksum (-c) option to match the batchfile.",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
    fs::remove_file(dir.join("other/gone")).unwrap();
    let unlinked = |name: &str| fs::metadata(dir.join("other").join(name)).unwrap().nlink();
    assert_eq!((unlinked("large"), unlinked("zz-linked")), (1, 1));
}

fn exists(e: nix::errno::Errno) -> nix::Result<()> {
    if e == nix::errno::Errno::EEXIST { Ok(()) } else { Err(e) }
}

/// One random case: recorded, it does what it does otherwise; and what it did is done again elsewhere. With `only`,
/// it is recorded and not done.
fn record_random(seed: u64, only: bool) -> Result<(), String> {
    let case = random_case(seed, requirement::is_root());
    if case.has("-n") {
        return Ok(());
    }
    let scratch = tempfile::tempdir().unwrap();
    let (since, at) = (SystemTime::now(), |name: &str| scratch.path().join(name));
    let dirs = ["plain", "recorded", "again"].map(at);
    dirs.iter().for_each(|dir| set_up(&case, dir));
    let [plain, recorded, again] = &dirs;
    let batch = if only { "--only-write-batch=../b" } else { "--write-batch=../b" };
    let first = run(plain, case.args_in(plain));
    let second = run(recorded, std::iter::once(batch.into()).chain(case.args_in(recorded)));
    let shown = format!("seed {seed}, only {only}: {:?}\n{}{}", case.args, second.text(), second.errors());
    if first.code != second.code {
        return Err(format!("exit status {} and {}: {shown}", first.code, second.code));
    }
    let lines = |run: &Run| {
        let text = run.text();
        let lines = text.lines().take_while(|line| !line.starts_with("sent ")).map(str::to_owned);
        lines.collect::<Vec<_>>()
    };
    if !only && lines(&first) != lines(&second) {
        return Err(format!("lines: {:?}\n{shown}", lines(&first)));
    }
    let same = |one: &Path, other: &Path| {
        let differ = Manifest::of(one, since).difference(&Manifest::of(other, since));
        if differ.is_empty() {
            Ok(())
        } else {
            Err(format!("{} and {}: {differ}\n{shown}", one.display(), other.display()))
        }
    };
    if !only {
        same(plain, recorded)?;
    }
    if !at("b").exists() {
        return Ok(());
    }
    // Where options name directories beside the trees, they are those of this run.
    let script = fs::read(at("b.sh")).unwrap();
    let script = String::from_utf8_lossy(&script).replace("/recorded/", "/again/");
    fs::write(at("b.sh"), script).unwrap();
    let mut shell = command("sh".as_ref(), again);
    shell.arg("../b.sh");
    let third = finish(shell);
    if third.code != first.code {
        return Err(format!("read: exit status {}\n{}{}\n{shown}", third.code, third.text(), third.errors()));
    }
    same(&plain.join("dst"), &again.join("dst"))
}

#[test]
fn random_runs_are_the_same_when_they_are_recorded_and_are_done_again() {
    let failed: Vec<String> = seeds(60).filter_map(|seed| record_random(seed, seed % 3 == 0).err()).collect();
    assert!(failed.is_empty(), "{}", failed.join("\n\n"));
}

/// A small batch, and the state that its destination was in.
fn small_batch(dir: &Path) -> Vec<u8> {
    file(dir, "src/a", "some text");
    file(dir, "src/d/b", "more of it");
    fs::write(dir.join("src/large"), noise(9, 70_000)).unwrap();
    symlink("a", dir.join("src/l")).unwrap();
    run(dir, ["-a", "--only-write-batch=b", "src/", "dst/"]).expect(0);
    fs::read(dir.join("b")).unwrap()
}

/// Reads the batch `bytes`, which is not as it was written, into a fresh directory.
#[track_caller]
fn read_damaged(dir: &Path, bytes: &[u8], what: &str) -> Run {
    fs::write(dir.join("damaged"), bytes).unwrap();
    let _fresh = fs::remove_dir_all(dir.join("other"));
    fs::create_dir(dir.join("other")).unwrap();
    let read = run(dir, ["-a", "--read-batch=damaged", "other/"]);
    assert!([2, 11, 12, 23].contains(&read.code), "{what}: {} {}", read.code, read.errors());
    assert!(
        read.errors().contains("sluice: ") && !read.errors().contains("panicked"),
        "{what}: {}",
        read.errors()
    );
    for name in walkdir::WalkDir::new(dir.join("other")) {
        let name = name.unwrap();
        assert!(!name.file_name().to_string_lossy().starts_with('.'), "{what}: {name:?} is left");
    }
    read
}

#[test]
fn a_batch_that_is_cut_short_changes_nothing() {
    let scratch = tempfile::tempdir().unwrap();
    let dir = scratch.path();
    let whole = small_batch(dir);
    let mut random = Random::new(seeds(1).start);
    let ends = (0..30).map(|_| random.below(whole.len())).chain([0, 1, 8, 47, 48, 49, whole.len() - 1]);
    for end in ends {
        let read = read_damaged(dir, &whole[..end], &format!("cut at {end}"));
        assert_ne!(read.code, 23, "cut at {end}");
        assert!(tree(&dir.join("other")).is_empty(), "cut at {end}");
    }
    let longer = [&whole[..], b"x"].concat();
    assert_eq!(read_damaged(dir, &longer, "longer").code, 12);
}

#[test]
fn a_bit_that_is_flipped_is_found_out_before_anything_has_its_name() {
    let scratch = tempfile::tempdir().unwrap();
    let dir = scratch.path();
    let whole = small_batch(dir);
    let mut random = Random::new(seeds(1).start);
    let places = (0..60).map(|_| random.below(whole.len())).collect::<Vec<_>>();
    for at in places.into_iter().chain(0..52) {
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << random.below(8);
        let read = read_damaged(dir, &bytes, &format!("flipped at {at}"));
        let left = tree(&dir.join("other"));
        if read.code == 23 {
            // It was a byte of the large file.
            assert_eq!(left, ["a: some text", "d/", "d/b: more of it", "l -> a"], "flipped at {at}");
        } else {
            assert!(left.is_empty(), "flipped at {at}: {left:?}");
        }
    }
}

#[test]
fn what_is_no_batch_is_told_so() {
    let scratch = tempfile::tempdir().unwrap();
    let dir = scratch.path();
    fs::create_dir(dir.join("dst")).unwrap();
    file(dir, "text", "not a batch at all, but long enough to be one, as far as its length goes");
    let read = |name: &str| run(dir, ["-a", &format!("--read-batch={name}"), "dst"]);
    assert!(read("text").expect(2).errors().contains("it is no batch that sluice has written"));
    assert!(read("missing").expect(11).errors().contains("batch file: open \"missing\": No such file"));
    read("dst").expect(11);
    assert!(read("/dev/null").expect(2).errors().contains("no batch"));
}

#[test]
fn a_batch_that_finds_no_room_is_an_error_and_leaves_nothing() {
    if !requirement::met(&[Need::MountTmpfs]) {
        return;
    }
    for way in ways::ALL {
        let mount = crate::scratch_fs::Mount::new("tmpfs", 1 << 20).unwrap();
        let option = format!("--write-batch={}/b", mount.path().display());
        ways::run(way, "", &["-a", &option], trees, |_, run| {
            let errors = run.expect(11).errors();
            assert!(
                errors.contains("write batch file") && errors.contains("No space left"),
                "{way:?}: {errors}"
            );
            assert!(tree(mount.path()).is_empty(), "{way:?}");
        });
    }
}

#[test]
fn a_run_that_is_stopped_leaves_no_batch() {
    for only in [false, true] {
        let scratch = tempfile::tempdir().unwrap();
        let dir = scratch.path();
        trees(dir);
        let kind = if only { "--only-write-batch=b" } else { "--write-batch=b" };
        let mut child = command(&binary(), dir);
        let mut child = child.args(["-a", "--bwlimit=100", "--outbuf=none", "-v", kind, "src/", "dst/"]);
        child = child.stdout(Stdio::piped());
        let mut child = child.spawn().unwrap();
        // Its first line: signals are heard from then on.
        let mut first = [0; 1];
        std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut first).unwrap();
        let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap());
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).unwrap();
        let mut rest = Vec::new();
        std::io::Read::read_to_end(child.stdout.as_mut().unwrap(), &mut rest).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(20), "{kind}");
        let mut names: Vec<_> = fs::read_dir(dir)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(names, ["dst", "other", "src"], "{kind}");
        let temps =
            tree(&dir.join("dst")).into_iter().filter(|name| name.contains("/.") || name.starts_with('.'));
        assert_eq!(temps.count(), 0, "{kind}");
    }
}

#[test]
fn options_that_contradict_are_refused_with_both_named() {
    let scratch = tempfile::tempdir().unwrap();
    let dir = scratch.path();
    trees(dir);
    let refused = |args: &[&str]| run(dir, args).expect(1).errors();
    for (args, other) in [
        (&["-a", "--read-batch=b", "--write-batch=c", "dst"][..], "--write-batch"),
        (&["-a", "--read-batch=b", "--only-write-batch=c", "dst"], "--only-write-batch"),
        (&["-a", "--read-batch=b", "--files-from=src/small", "dst"], "--files-from"),
        (&["-a", "--read-batch=b", "--remove-source-files", "dst"], "--remove-source-files"),
    ] {
        assert_eq!(refused(args), format!("sluice: --read-batch cannot be used with {other}\n"));
    }
    for (ours, operands) in [("--write-batch", &["src/", "dst/"][..]), ("--read-batch", &["dst/"])] {
        for demand in ["--reflink=always", "--zero-copy=always"] {
            let option = format!("{ours}=b");
            let args = [&["-a", &option, demand], operands].concat();
            assert_eq!(refused(&args), format!("sluice: {ours} cannot be used with {demand}\n"));
        }
    }
    assert!(refused(&["-a", "--read-batch=b", "src/", "dst/"]).contains("no source"));
    assert!(refused(&["-a", "--read-batch=b"]).contains("takes the destination"));
    assert!(refused(&["-a", "--read-batch=b", "far:dst"]).contains("remote destination is not allowed"));
    assert_same(dir, "dst", "other", &"refused");
    run(dir, ["-an", "--write-batch=b", "src/", "dst/"]).expect(0);
    assert!(!dir.join("b").exists() && !dir.join("b.sh").exists(), "a dry run writes no batch");
    let run = run(dir, ["-a", "--write-batch=no/b", "src/", "dst/"]);
    assert!(run.expect(3).errors().contains("No such file"), "{}", run.errors());
    assert_same(dir, "dst", "other", &"nothing was begun");
}

#[test]
fn both_files_are_the_owners_and_replace_older_ones() {
    let scratch = tempfile::tempdir().unwrap();
    let dir = scratch.path();
    trees(dir);
    file(dir, "b", "older");
    file(dir, "b.sh", "older");
    run(dir, ["-a", "--delete", "--write-batch=b", "src/", "dst/"]).expect(0);
    let mode = |name: &str| fs::metadata(dir.join(name)).unwrap().mode() & 0o777;
    assert_eq!((mode("b"), mode("b.sh")), (0o600, 0o700));
    let mut direct = command(dir.join("b.sh").as_os_str(), dir);
    direct.arg("other").stdout(Stdio::null());
    finish(direct).expect(0);
    assert_same(dir, "dst", "other", &"run as a program");
}

#[test]
fn the_vector_in_the_page_is_how_a_batch_begins() {
    use sluice::wire::batch::{Content, Head};
    use sluice::wire::{FrameKind, Header, Message as _, ToReceiver};
    let content = Content::default().with(Content::RECURSIVE, true).with(Content::LINKS, true);
    let head = Head { protocol: 1, content, file_key: None };
    let mut payload = Vec::new();
    ToReceiver::ListingDone.encode(&mut payload).unwrap();
    let header = Header::new(FrameKind::Control, payload.len()).unwrap();
    let tag = head.seal().tag(header, &payload);
    let bytes = [&head.encode()[..], &header.encode(), &payload, &tag].concat();
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/batch.md")).unwrap();
    assert!(page.contains(&format!("\n{hex}\n")), "{hex}");
}

/// What a batch of somebody else may say.
enum Say {
    Message(Box<sluice::wire::ToReceiver>),
    /// A data frame, which claims so many real bytes.
    Data(&'static [u8], u32),
    /// Any bytes as a control frame.
    Raw(&'static [u8]),
}

/// A batch in which everything but what is said is as it should be.
fn forged(said: &[Say]) -> Vec<u8> {
    use sluice::wire::batch::{Content, Head};
    use sluice::wire::{FrameKind, Header, Message as _};
    let content = Content::default().with(Content::RECURSIVE, true).with(Content::LINKS, true);
    let head = Head { protocol: 1, content, file_key: None };
    let (mut bytes, mut seal) = (head.encode().to_vec(), head.seal());
    for one in said {
        let payload = match one {
            Say::Data(data, real) => {
                let header = Header::new(FrameKind::Data, data.len()).unwrap();
                seal.note_data(header, *real as usize);
                bytes.extend([&header.encode()[..], data, &real.to_le_bytes()].concat());
                continue;
            }
            Say::Raw(bytes) => bytes.to_vec(),
            Say::Message(message) => {
                let mut payload = Vec::new();
                message.encode(&mut payload).unwrap();
                payload
            }
        };
        let header = Header::new(FrameKind::Control, payload.len()).unwrap();
        let tag = seal.tag(header, &payload);
        bytes.extend([&header.encode()[..], &payload, &tag].concat());
    }
    bytes
}

#[test]
fn a_batch_that_lies_gets_no_further_than_a_peer() {
    use crate::wire::samples::listed;
    use sluice::engine::Ledger;
    use sluice::event::Stats;
    use sluice::path::{Kind, Time};
    use sluice::wire::to_receiver::{Outcome, Roots};
    use sluice::wire::{Listed, Listing, ToReceiver};
    let say = |message: ToReceiver| Say::Message(Box::new(message));
    let roots = || {
        let prefixes = vec![serde_bytes::ByteBuf::from(*b"src/")];
        say(ToReceiver::Roots(Roots { prefixes, last: true, ..Roots::default() }))
    };
    let listing = |dir: u32, entries: Vec<Listed>| {
        let (notes, problems) = (Vec::new(), Vec::new());
        let listing =
            Listing { dir, entries, notes, problems, last: true, complete: true, incomplete: false };
        say(ToReceiver::Listing(listing))
    };
    let done = || say(ToReceiver::ListingDone);
    let bye =
        || say(ToReceiver::Bye { stats: Stats::default(), ledger: Box::new(Ledger::default().snapshot()) });
    let f = || listing(0, vec![listed("f", Kind::File)]);
    let mtime = Time { sec: 1, nsec: 0 };
    let begin = |size| say(ToReceiver::File { dir: 0, entry: 0, size, mtime, from: 0, digest_follows: true });
    let end = |digest| say(ToReceiver::FileEnd { dir: 0, entry: 0, outcome: Outcome::Complete, digest });
    let right = sluice::engine::digest::Digest(*blake3::hash(b"right").as_bytes());
    let cases: Vec<(&str, Vec<Say>, &[i32], bool)> = vec![
        (
            "as it should be",
            vec![roots(), f(), done(), begin(5), Say::Data(b"right", 5), end(Some(right)), bye()],
            &[0],
            true,
        ),
        (
            "another file than was hashed",
            vec![roots(), f(), done(), begin(5), Say::Data(b"wrong", 5), end(Some(right)), bye()],
            &[23],
            false,
        ),
        (
            "no digest",
            vec![roots(), f(), done(), begin(5), Say::Data(b"right", 5), end(None), bye()],
            &[23],
            false,
        ),
        (
            "more than was announced",
            vec![roots(), f(), done(), begin(2), Say::Data(b"right", 5), end(Some(right)), bye()],
            &[12],
            false,
        ),
        (
            "more real bytes than there are",
            vec![roots(), f(), done(), begin(5), Say::Data(b"right", 6), bye()],
            &[12],
            false,
        ),
        ("data of no file", vec![roots(), f(), done(), Say::Data(b"right", 5), bye()], &[12], false),
        (
            "a huge hole",
            vec![
                roots(),
                f(),
                done(),
                begin(5),
                say(ToReceiver::Hole { len: 1 << 60 }),
                end(Some(right)),
                bye(),
            ],
            &[12],
            false,
        ),
        (
            "listed twice",
            vec![roots(), listing(0, vec![listed("f", Kind::File), listed("f", Kind::File)]), done(), bye()],
            &[12],
            false,
        ),
        ("a directory that nobody announced", vec![roots(), listing(7, vec![]), done(), bye()], &[12], false),
        (
            "a device that is not in it",
            vec![roots(), listing(0, vec![listed("n", Kind::CharDevice)]), done(), bye()],
            &[12],
            false,
        ),
        (
            "a source that does not exist",
            vec![roots(), listing(0, vec![Listed { source: 3, ..listed("f", Kind::File) }]), done(), bye()],
            &[12],
            false,
        ),
        (
            "a directory that is missing",
            vec![roots(), listing(0, vec![listed("d", Kind::Dir)]), done(), bye()],
            &[12],
            false,
        ),
        ("no roots", vec![f(), done(), bye()], &[12], false),
        ("no end", vec![roots(), f(), done()], &[12], false),
        ("two ends", vec![roots(), f(), done(), bye(), bye()], &[12], false),
        ("no message", vec![roots(), Say::Raw(b"\xff\xff\xff\xff\x7f"), bye()], &[12], false),
        ("half a message", vec![roots(), Say::Raw(b"\x02\x00"), bye()], &[12], false),
    ];
    let scratch = tempfile::tempdir().unwrap();
    let dir = scratch.path();
    for (what, said, codes, stored) in cases {
        fs::write(dir.join("b"), forged(&said)).unwrap();
        let _fresh = fs::remove_dir_all(dir.join("dst"));
        fs::create_dir(dir.join("dst")).unwrap();
        let mut command = command("timeout".as_ref(), dir);
        command.arg("60").arg(binary()).args(["-r", "--read-batch=b", "dst"]);
        let run = finish(command);
        assert!(codes.contains(&run.code), "{what}: {} {}", run.code, run.errors());
        assert!(!run.errors().contains("panicked"), "{what}: {}", run.errors());
        let files = tree(&dir.join("dst")).into_iter().filter(|name| name.starts_with("f:")).count();
        assert_eq!(files == 1, stored, "{what}: {:?}", tree(&dir.join("dst")));
        let temps = tree(&dir.join("dst")).into_iter().filter(|name| name.starts_with('.')).count();
        assert_eq!(temps, 0, "{what}: {:?}", tree(&dir.join("dst")));
    }
}
