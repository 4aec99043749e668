//! Operands and lists of names that are looked up on the other machine: wildcards, `~`, `--files-from=:FILE`.

use std::fs;
use std::path::Path;

use crate::remote_shell;
use crate::requirement::{Need, is_root, met};
use crate::served::{Served, file, tree};
use crate::under_test::{self, Run, command, finish};

/// A tree with names that wildcards tell apart.
fn build(at: &Path) {
    for name in ["a.log", "b.log", ".h.log", "x y.log", "[z].log", "d/in", "d/.in", "e/in", "e/f/deep"] {
        file(&at.join("src"), name, name);
    }
    file(at, "list", "a.log\n# not this\nd/in\n\n;nor this\nnone\n");
    file(at, "list0", "a.log\0d/in\0#x\0");
}

fn place() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    build(dir.path());
    dir
}

/// The program under test behind a shell that runs everything here, in this directory.
fn run(dir: &Path, args: &[&str]) -> Run {
    let mut command = command(&under_test::binary(), dir);
    command.args(remote_shell::to_itself(dir)).args(args);
    finish(command)
}

/// What is in `d`, by name; it is removed.
fn taken(dir: &Path) -> Vec<String> {
    let names = tree(&dir.join("dst")).into_iter().map(|line| line.split(": ").next().unwrap().to_owned());
    let names = names.collect();
    fs::remove_dir_all(dir.join("dst")).unwrap();
    names
}

#[test]
fn wildcards_behind_a_remote_shell_stand_for_what_a_shell_would_find() {
    let dir = place();
    let at = dir.path();
    for (typed, expected) in [
        (&["h:src/*.log"][..], &["[z].log", "a.log", "b.log", "x y.log"][..]),
        (&["h:src/[ab].log", ":src/d"], &["a.log", "b.log", "d/", "d/.in", "d/in"]),
        (&["h:src/x y*"], &["x y.log"]),
        (&["h:src/*/"], &[".in", "f/", "f/deep", "in"]),
        (&["-R", "h:src/./*/in"], &["d/", "d/in", "e/", "e/in"]),
        (&["h:src/[z].log"], &["[z].log"]),
        (&["h:src/.*"], &[".h.log"]),
        // As with rsync, which then expands by itself.
        (&["-s", "h:src/?*.log"], &[".h.log", "[z].log", "a.log", "b.log", "x y.log"]),
    ] {
        let args: Vec<&str> = ["-a"].into_iter().chain(typed.iter().copied()).chain(["dst/"]).collect();
        run(at, &args).expect(0);
        assert_eq!(taken(at), expected, "{typed:?}");
    }
    let missing = run(at, &["-a", "h:src/no*such", "dst/"]);
    assert!(missing.expect(23).errors().contains("src/no*such"), "{}", missing.errors());
    // A destination as well, if it is one.
    fs::create_dir_all(at.join("up/one")).unwrap();
    run(at, &["-a", "src/a.log", "h:up/o*/"]).expect(0);
    assert!(at.join("up/one/a.log").exists());
    fs::create_dir(at.join("up/other")).unwrap();
    let several = run(at, &["-a", "src/b.log", "h:up/o*"]);
    assert!(several.expect(1).errors().contains("stands for 2 names: up/o*"), "{}", several.errors());
    run(at, &["-a", "src/b.log", "h:up/n*w"]).expect(0);
    assert!(at.join("up/n*w").exists());
}

#[test]
fn a_tilde_is_the_home_there() {
    let dir = place();
    let run = run(dir.path(), &["-a", "h:~/no-such-name-in-a-home", "dst/"]);
    let errors = run.expect(23).errors();
    let home = std::env::home_dir().unwrap_or_default();
    assert!(
        errors.contains("no-such-name-in-a-home") && !errors.contains('~'),
        "{errors} {}",
        home.display()
    );
}

#[test]
fn the_other_side_reads_the_names_where_they_are() {
    let dir = place();
    let at = dir.path();
    let expected = ["a.log", "d/", "d/in"];
    for operands in [["h:src/", "dst/"], ["src/", "h:dst/"]] {
        for (list, code) in
            [("--files-from=:list", 23), ("--files-from=h:list", 23), ("--files-from=:list0", 0)]
        {
            let from0 = if list.ends_with('0') { "-0" } else { "-t" };
            let run = run(at, &["-a", from0, list, operands[0], operands[1]]);
            assert!(run.expect(code).errors().contains("none") == (code == 23), "{list} {operands:?}");
            assert_eq!(taken(at), expected, "{list} {operands:?}");
        }
        let run = |list: &str| run(at, &["-a", list, operands[0], operands[1]]);
        let missing = run("--files-from=:no-such-list");
        let text = "open --files-from \"no-such-list\": No such file or directory";
        assert!(missing.expect(1).errors().contains(text), "{}", missing.errors());
        let other = run("--files-from=other:list");
        assert!(other.expect(1).errors().contains("hostname is not the same"), "{}", other.errors());
        assert!(!at.join("dst").exists());
    }
    let local = under_test::run(at, ["-a", "--files-from=:list", "src/", "dst/"]);
    assert!(local.expect(1).errors().contains("cannot be remote when the transfer is local"));
}

#[test]
fn nothing_there_reads_or_finds_more_than_is_good() {
    let dir = place();
    let at = dir.path();
    fs::create_dir(at.join("many")).unwrap();
    for n in 0..30_000 {
        fs::write(at.join(format!("many/{n:0>200}")), "").unwrap();
    }
    let served = serve("", |module| fs::rename(at.join("many"), module.join("many")).unwrap());
    let many = served.run(["-an", "localhost::m/many/*", "dst/"]);
    assert!(many.expect(1).errors().contains("\"*\" matches too many names"), "{}", many.errors());
    fs::write(served.at("mod/names"), "0123456789abcdef\n".repeat(100_000)).unwrap();
    let long = served.run(["-an", "--files-from=:names", "localhost::m/many", "dst/"]);
    assert!(long.expect(1).errors().contains("--files-from"), "{}", long.errors());
}

fn serve(more: &str, prepare: impl FnOnce(&Path)) -> Served {
    let own = if is_root() { "uid = root\ngid = root\n" } else { "" };
    Served::new(&format!("use chroot = no\n{own}[m]\npath = @/mod\nread only = no\n{more}\n"), |at| {
        build(&at.join("mod"));
        prepare(&at.join("mod"));
        file(at, "secret", "secret");
    })
}

#[test]
fn wildcards_in_a_module_find_what_is_in_it_and_not_hidden() {
    let served = serve("exclude = /src/b.log /src/e hid*", |module| {
        file(module, "hidden", "secret");
        std::os::unix::fs::symlink("src", module.join("link")).unwrap();
        std::os::unix::fs::symlink("..", module.join("up")).unwrap();
    });
    for (typed, expected) in [
        (&["localhost::m/src/*.log"][..], &[".h.log", "[z].log", "a.log", "x y.log"][..]),
        (&["localhost::m/*/*.log"], &[".h.log", "[z].log", "a.log", "x y.log"]),
        (&["localhost::m/src/*/*"], &[".in", "in"]),
        (&["localhost::m/li*t", "::m/src/a*"], &["a.log", "list"]),
        // A further source in the same module may leave its name out.
        (&["localhost::m/src/a.log", "::src/d"], &["a.log", "d/", "d/.in", "d/in"]),
    ] {
        let args = ["-a"].into_iter().chain(typed.iter().copied()).chain(["dst/"]);
        served.run(args).expect(0);
        assert_eq!(taken(&served.at("")), expected, "{typed:?}");
    }
    for typed in ["hid*", "src/e/*", "src/b*", "*/../secret", "../s*", "up/s*", "up/*/*"] {
        let run = served.run(["-a", &format!("localhost::m/{typed}"), "dst/"]);
        assert!([1, 11, 23].contains(&run.code), "{typed}: {} {}", run.code, run.errors());
        assert!(!served.at("dst").exists() || taken(&served.at("")).is_empty(), "{typed}");
    }
    // A destination that a wildcard stands for is as hidden as if it had been typed.
    file(&served.at("mod"), "src/e/kept", "kept");
    for typed in ["h*den", "src/[e]/", "src/?/x"] {
        let run = served.run(["-a", "secret", &format!("localhost::m/{typed}")]);
        assert!(run.code == 0 || run.code == 3, "{typed}: {}", run.errors());
    }
    assert_eq!(fs::read_to_string(served.at("mod/hidden")).unwrap(), "secret");
    assert_eq!(tree(&served.at("mod/src/e")), ["f/", "f/deep: e/f/deep", "in: e/in", "kept: kept"]);
}

#[test]
fn a_module_reads_names_of_its_own_alone() {
    let served = serve("exclude = /hid", |module| {
        file(module, "hid/list", "a.log\n");
        file(module, "lists/list", "a.log\nd/in\n");
        std::os::unix::fs::symlink("../secret", module.join("out")).unwrap();
    });
    for operands in [["localhost::m/src/", "dst/"], ["mod/src/", "localhost::m/dst/"]] {
        let to = if operands[0].starts_with("mod") { served.at("mod") } else { served.at("") };
        for list in [":/lists/list", ":lists/list", "localhost:lists/list"] {
            served.run(["-a", &format!("--files-from={list}"), operands[0], operands[1]]).expect(0);
            assert_eq!(taken(&to), ["a.log", "d/", "d/in"], "{list} {operands:?}");
        }
        for list in [":hid/list", ":../secret", ":/../secret", ":out", ":lists", ":none"] {
            let run = served.run(["-a", &format!("--files-from={list}"), operands[0], operands[1]]);
            assert!(!run.expect(1).errors().contains("secret:"), "{list} {}", run.errors());
            assert!(!to.join("dst").exists(), "{list}");
        }
    }
    let refusing = serve("refuse options = files-from", |_| {});
    let run = refusing.run(["-a", "--files-from=:list", "localhost::m/src/", "dst/"]);
    assert!(run.expect(4).errors().contains("refuse --files-from"), "{}", run.errors());
}

#[test]
fn rsync_finds_the_same() {
    if !met(&[Need::Program("rsync")]) {
        return;
    }
    let dir = place();
    let at = dir.path();
    for typed in ["*.log", "[ab].log", "x y*", "*/", "*/in", "./*/f", r"\[z\].log", "e/*", "no*such", "?.log"]
    {
        for options in [&["-a"][..], &["-aR"], &["-as"]] {
            if typed == "./*/f" && options == ["-as"] {
                continue; // rsync looks for the rest in each directory, and misses it
            }
            let [ours, theirs] = [under_test::binary(), "rsync".into()].map(|program| {
                let mut run = command(&program, &at.join("src"));
                run.args(remote_shell::options(at, &program))
                    .args(options)
                    .args([&format!("h:{typed}"), "../dst/"]);
                let code = finish(run).code;
                let there = at.join("dst").exists();
                (code, if there { taken(at) } else { Vec::new() })
            });
            assert_eq!(ours, theirs, "{options:?} {typed}");
        }
    }
}
