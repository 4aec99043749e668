//! `--gitignore` against git itself, and how old files may be.
#![allow(clippy::disallowed_methods, clippy::unwrap_used)] // a test looks at files by path

use std::fs::{self, File};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};

use crate::random_cases::seeds;
use crate::random_tree::Rng;
use crate::remote_shell;
use crate::requirement;
use crate::served::{Served, file, tree};
use crate::under_test::{Run, run};

fn line(dir: &Path, line: &str) -> Run {
    run(dir, line.split_whitespace())
}

/// Names of which random trees and patterns are made.
const NAMES: &[&str] = &["a", "b", "ab", "a.o", "b.c", "out", "x y", "#n", "!k", "{a,b}"];

/// Lines of random `.gitignore` files.
const LINES: &[&str] = &[
    "a",
    "*.o",
    "/b",
    "out/",
    "a/b",
    "**/ab",
    "a/**",
    "!a.o",
    "!b.c",
    "*",
    "!*/",
    "!/a",
    "b?c",
    "[ab]",
    "[!a]",
    "x\\ y",
    "x y",
    "\\#n",
    "#n",
    "\\!k",
    "a*",
    "**/out/*.c",
    "/*/b",
    "!out/",
    "a ",
    "ab/",
    "a/**/b",
    "/",
    "",
    "*.[oc]",
    "{a,b}",
    "[{]*",
    "*}",
];

fn random_tree(rng: &mut Rng, at: &Path, depth: usize) {
    fs::create_dir(at).unwrap();
    for name in NAMES {
        if rng.chance(50) {
            continue;
        }
        if depth > 0 && rng.chance(45) {
            random_tree(rng, &at.join(name), depth - 1);
        } else {
            fs::write(at.join(name), "").unwrap();
        }
    }
    if depth == 3 || rng.chance(30) {
        let lines: Vec<&str> = (0..1 + rng.below(5)).map(|_| LINES[rng.below(LINES.len())]).collect();
        fs::write(at.join(".gitignore"), lines.join("\n")).unwrap();
    }
}

/// The files that git would not ignore, sorted.
fn by_git(at: &Path) -> Vec<String> {
    let git = |args: &[&str]| {
        let mut command = Command::new("git");
        command.args(["-c", "core.excludesFile=/dev/null"]).args(args).current_dir(at);
        command.env("HOME", at).env("GIT_CONFIG_NOSYSTEM", "1");
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    git(&["init", "-q", "."]);
    let mut names: Vec<String> = git(&["ls-files", "-z", "--others", "--exclude-standard"])
        .split_terminator('\0')
        .map(str::to_owned)
        .collect();
    fs::remove_dir_all(at.join(".git")).unwrap();
    names.sort();
    names
}

fn files(at: &Path) -> Vec<String> {
    let files =
        walkdir::WalkDir::new(at).into_iter().map(Result::unwrap).filter(|entry| entry.file_type().is_file());
    let name = |entry: walkdir::DirEntry| entry.path().strip_prefix(at).unwrap().display().to_string();
    let mut names: Vec<String> = files.map(name).collect();
    names.sort();
    names
}

#[test]
fn what_git_ignores_is_left_out_and_nothing_else() {
    if !requirement::has("git") {
        return;
    }
    for seed in seeds(15) {
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path();
        random_tree(&mut Rng::new(seed), &at.join("s"), 3);
        let expected = by_git(&at.join("s"));
        line(at, "-a --gitignore s/ d/").expect(0);
        assert_eq!(files(&at.join("d")), expected, "SLUICE_TEST_SEED={seed} SLUICE_TEST_CASES=1");
        // What is ignored is not deleted either, and what is not ignored is.
        line(at, "-a s/ e/").expect(0);
        let all = files(&at.join("e"));
        line(at, "-a --delete-after --gitignore s/ e/").expect(0);
        assert_eq!(files(&at.join("e")), all, "SLUICE_TEST_SEED={seed} SLUICE_TEST_CASES=1");
        line(at, "-a --delete --delete-excluded --gitignore s/ e/").expect(0);
        assert_eq!(files(&at.join("e")), expected, "SLUICE_TEST_SEED={seed} SLUICE_TEST_CASES=1");
    }
}

/// A tree in which `*.o` is ignored but for one, and a directory but for what its own file takes back.
fn project(at: &Path) {
    file(at, "s/.gitignore", "*.o\n!keep.o\nout/\n");
    file(at, "s/a.c", "");
    file(at, "s/a.o", "");
    file(at, "s/keep.o", "");
    file(at, "s/out/x", "");
    file(at, "s/sub/.gitignore", "!b.o\nkeep.o\n");
    file(at, "s/sub/b.o", "");
    file(at, "s/sub/keep.o", "");
}

const KEPT: [&str; 6] = [
    ".gitignore: *.o\n!keep.o\nout/",
    "a.c: ",
    "keep.o: ",
    "sub/",
    "sub/.gitignore: !b.o\nkeep.o",
    "sub/b.o: ",
];

/// Has the daemon write with the rights of the test.
fn as_root() -> &'static str {
    if requirement::is_root() { "uid = root\ngid = root\n" } else { "" }
}

#[test]
fn gitignore_works_wherever_the_two_sides_are() {
    let modules = format!("[m]\npath = @/\nread only = no\nuse chroot = no\n{}", as_root());
    let served = Served::new(&modules, project);
    let at = served.at("");
    let [rsh, path] = remote_shell::to_itself(&at);
    let (rsh, path) = (rsh.to_str().unwrap(), path.to_str().unwrap());
    run(&at, ["-a", "--gitignore", "s/", "d1/"]).expect(0);
    run(&at, ["-a", "--gitignore", rsh, path, "s/", "far:d2/"]).expect(0);
    run(&at, ["-a", "--gitignore", rsh, path, "far:s/", "d3/"]).expect(0);
    served.run(["-a", "--gitignore", "s/", "localhost::m/d4/"]).expect(0);
    served.run(["-a", "--gitignore", "localhost::m/s/", "d5/"]).expect(0);
    for n in 1..=5 {
        let dest = served.at(&format!("d{n}"));
        assert_eq!(tree(&dest), KEPT, "d{n}");
        file(&dest, "sub/more.o", "");
        file(&dest, "sub/more.c", "");
    }
    // What the destination's own files leave out is spared there, whoever does the deleting.
    run(&at, ["-a", "--del", "--gitignore", rsh, path, "s/", "far:d2/"]).expect(0);
    served.run(["-a", "--del", "--gitignore", "s/", "localhost::m/d4/"]).expect(0);
    for n in [2, 4] {
        let found = tree(&served.at(&format!("d{n}")));
        assert!(
            found.contains(&"sub/more.o: ".into()) && !found.contains(&"sub/more.c: ".into()),
            "{found:?}"
        );
    }
}

#[test]
fn rules_that_stand_before_gitignore_win_over_it() {
    let dir = tempfile::tempdir().unwrap();
    project(dir.path());
    line(dir.path(), "-a --include=a.o --exclude=a.c --gitignore --exclude=sub/ s/ d/").expect(0);
    assert_eq!(tree(&dir.path().join("d"))[1..], ["a.o: ", "keep.o: "]);
}

/// A file that was modified `age` seconds ago.
fn aged(at: &Path, name: &str, age: u64) {
    file(at, name, name);
    let then = SystemTime::now() - Duration::from_secs(age);
    File::options().write(true).open(at.join(name)).unwrap().set_modified(then).unwrap();
}

#[test]
fn files_are_chosen_by_their_age() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    aged(at, "s/new", 0);
    aged(at, "s/hours", 5 * 3600);
    aged(at, "s/days", 5 * 86_400);
    aged(at, "stamp", 6 * 3600);
    let chosen = |options: &str| {
        let run = line(at, &format!("-rn --out-format=%n {options} s/ d/"));
        run.expect(0);
        run.text().lines().filter(|name| !name.ends_with('/')).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(chosen("--max-age=1h"), "new");
    assert_eq!(chosen("--max-age=1d12h"), "hours new");
    assert_eq!(chosen("--min-age=1h"), "days hours");
    assert_eq!(chosen("--min-age=1h --max-age=1d"), "hours");
    assert_eq!(chosen("--newer-than=stamp"), "hours new");
    assert_eq!(chosen("--newer-than=s/hours"), "new");
    assert_eq!(chosen("--newer-than=2020-01-01 --min-age=1d"), "days");
    assert_eq!(chosen("--newer-than=2999-01-01"), "");
    let told = line(at, "-rn --info=skip --max-age=1h --min-age=30m s/ d/");
    assert_eq!(told.text(), "days is too old\nhours is too old\nnew is too young\n");
    for (option, what) in
        [("--max-age=5", "--max-age=5 is invalid"), ("--newer-than=gone", "--newer-than=gone is no time")]
    {
        let run = line(at, &format!("-r {option} s/ d/"));
        run.expect(1);
        assert!(run.errors().contains(what), "{}", run.errors());
    }
    // As with --max-size, what is left out is in the transfer: it is not deleted.
    line(at, "-a s/ d/").expect(0);
    line(at, "-a --delete --max-age=1h s/ d/").expect(0);
    assert_eq!(files(&at.join("d")), ["days", "hours", "new"]);
}
