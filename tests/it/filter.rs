//! Filter rules against rsync itself.
#![allow(clippy::disallowed_methods, clippy::unwrap_used)] // a test's own scratch files

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use sluice::path::RelPath;
use sluice::plan::filter::{FilterError, Rules, RulesBuilder, Scope, Side};

use crate::random_cases::{self, Random};

/// A tree in memory: the walk asks it, and rsync finds it on disk.
type Tree = BTreeMap<String, Entry>;

#[derive(Clone, Debug)]
enum Entry {
    File(String),
    Dir(Tree),
}

fn write(tree: &Tree, at: &Path) {
    fs::create_dir_all(at).unwrap();
    for (name, entry) in tree {
        match entry {
            Entry::File(text) => fs::write(at.join(name), text).unwrap(),
            Entry::Dir(tree) => write(tree, &at.join(name)),
        }
    }
}

fn join(dir: &RelPath, name: &str) -> String {
    if dir.is_root() {
        name.to_string()
    } else {
        format!("{}/{name}", String::from_utf8_lossy(dir.as_bytes()))
    }
}

fn enter(scope: &Scope, tree: &Tree, dir: &RelPath) -> Result<Scope, FilterError> {
    scope.enter(dir, &mut |name| {
        Ok(match tree.get(&*String::from_utf8_lossy(name.as_bytes())) {
            Some(Entry::File(text)) => Some(text.clone().into_bytes()),
            _ => None,
        })
    })
}

/// The rules above a transfer from (or to) the contents of `dir`.
fn beneath(rules: &Rules, side: Side, dir: &Path) -> Result<Scope, FilterError> {
    let dir = dir.to_str().unwrap().as_bytes();
    Scope::root(rules, side)
        .beneath(dir, dir, &mut |path| Ok(fs::read(Path::new(&*String::from_utf8_lossy(path))).ok()))
}

/// The entries that the sender's rules let through, directories with a `/` at the end.
fn sent(scope: &Scope, tree: &Tree, dir: &RelPath, out: &mut BTreeSet<String>) -> Result<(), FilterError> {
    let scope = enter(scope, tree, dir)?;
    for (name, entry) in tree {
        let path = join(dir, name);
        let is_dir = matches!(entry, Entry::Dir(_));
        let allowed = scope.check(path.as_bytes(), is_dir).allowed;
        assert!(allowed || !scope.is_empty(), "an empty scope decided");
        if allowed {
            out.insert(if is_dir { path.clone() + "/" } else { path.clone() });
            if let Entry::Dir(tree) = entry {
                sent(&scope, tree, &RelPath::parse(path.as_bytes()).unwrap(), out)?;
            }
        }
    }
    Ok(())
}

/// What deletion removes below `dir`, which the source has as well; `true` if nothing is left.
fn deleted(
    scope: &Scope,
    tree: &Tree,
    dir: &RelPath,
    keep: &BTreeSet<String>,
    out: &mut BTreeSet<String>,
) -> Result<bool, FilterError> {
    let scope = enter(scope, tree, dir)?;
    let mut empty = true;
    for (name, entry) in tree {
        let path = join(dir, name);
        let rel = RelPath::parse(path.as_bytes()).unwrap();
        match entry {
            Entry::Dir(tree) => {
                let shown = path.clone() + "/";
                if keep.contains(&shown) {
                    deleted(&scope, tree, &rel, keep, out)?;
                    empty = false;
                } else if scope.check(path.as_bytes(), true).allowed
                    && deleted(&scope.dying(), tree, &rel, keep, out)?
                {
                    out.insert(shown);
                } else {
                    empty = false;
                }
            }
            Entry::File(_) if !keep.contains(&path) && scope.check(path.as_bytes(), false).allowed => {
                out.insert(path);
            }
            Entry::File(_) => empty = false,
        }
    }
    Ok(empty)
}

fn rsync(args: &[&str], options: &[String], cvsignore: &str, from: &Path, to: &Path) -> Output {
    let mut command = Command::new("rsync");
    command.args(args).args(options).arg(format!("{}/", from.display())).arg(format!("{}/", to.display()));
    command.env("CVSIGNORE", cvsignore).env("HOME", "/nonexistent").output().unwrap()
}

fn lines(output: &Output) -> Vec<String> {
    String::from_utf8_lossy(&output.stdout).lines().map(str::to_string).collect()
}

const FILES: &[&str] = &["a", "b", "ab", "a.o", "b.c", "core", "a-b", "a[b", "\\a", "a*"];
const DIRS: &[&str] = &["d", "e", "ad", "d.o", "bd"];

fn random_tree(random: &mut Random, depth: usize, merges: bool, tops: bool) -> Tree {
    let mut tree = Tree::new();
    for _ in 0..2 + random.below(5) {
        tree.insert(random.of(FILES).to_string(), Entry::File(String::new()));
    }
    for _ in 0..if depth == 0 { 0 } else { 1 + random.below(2) } {
        tree.insert(random.of(DIRS).to_string(), Entry::Dir(random_tree(random, depth - 1, merges, tops)));
    }
    if merges {
        for name in [".m", ".n", ".cvsignore", ".rsync-filter"] {
            if random.one_in(3) {
                let mut text = String::new();
                for _ in 0..1 + random.below(3) {
                    let end = random.of(&["\n", "\n", "\n\n", "\r\n"]);
                    let rule = match name {
                        ".cvsignore" => random.of(&["a b", "*.o", "!", "d", "/a"]).to_string(),
                        ".n" if random.one_in(3) => random.of(&["!", "# x", "+ b", "; y"]).to_string(),
                        ".m" if random.one_in(4) => random.of(&[": .n", ":n .n", ":C"]).to_string(),
                        ".m" if tops && depth == 2 && random.one_in(4) => ". .n".to_string(),
                        _ => random_rule(random, false),
                    };
                    text += &(rule + end);
                }
                tree.insert(name.to_string(), Entry::File(text));
            }
        }
    }
    tree
}

fn random_pattern(random: &mut Random) -> String {
    let atoms = [
        "a",
        "b",
        "d",
        "e",
        ".",
        "o",
        "core",
        "*",
        "**",
        "***",
        "?",
        "/",
        "/",
        "[ab]",
        "[!a]",
        "[^b]",
        "[a-c]",
        "[[:alpha:]]",
        "[[:punct:]]",
        "\\",
        "\\*",
        "\\a",
        "[",
        "]",
        "-",
        "[]a]",
        "[a-]",
        "[\\a]",
        "[b-a]",
        "[.-a]",
        "[[:foo:]]",
        "[!]a]",
        "[/a]",
        "[]-a]",
        "[a\\]b]",
        "[a-\\c]",
        "[[:alpha:]-c]",
        "[[:alpha",
        "[:a]",
        "[[a]",
    ];
    match random.below(4) {
        0 => random.of(FILES).to_string(),
        1 => random.of(DIRS).to_string() + random.of(&["", "/", "/*", "/**", "/***", "/a", "***"]),
        _ => random.text(&atoms, 1, 6),
    }
}

fn random_rule(random: &mut Random, typed: bool) -> String {
    let pattern = random_pattern(random);
    match random.below(16) {
        0..3 => format!("+ {pattern}"),
        3..8 => format!("- {pattern}"),
        8 => format!("{} {pattern}", random.of(&["H", "S", "P", "R", "hide", "show", "protect", "risk"])),
        9 => format!("{}{pattern}", random.of(&["exclude ", "include_", "exclude,! ", "-,!_"])),
        10 => format!("-{} {pattern}", random.text(&["!", "s", "r", "p", "x"], 0, 2)),
        11 => format!("+{} {pattern}", random.text(&["!", "s", "r", "p", "x"], 0, 2)),
        12 if typed => random.of(&[": .m", ":n .m", ":- .n", ":e .m", ":s .n", ":ew+ .n", ":C"]).to_string(),
        13 if typed => random
            .of(&[":p- .n", "dir-merge .m", ":r .m", ": /.m", ": ../.m", ":/ .m", ":C .n", "!", "-C"])
            .to_string(),
        14 if typed => random.of(&["", "-", "+ ", "foo", "-q x", "H! *.o", ":! .m", "! x"]).to_string(),
        _ => format!("- {pattern}"),
    }
}

/// The text of a file of rules; patterns only if `bare`.
fn random_text(random: &mut Random, bare: bool, end: &str) -> String {
    let mut text = String::new();
    for _ in 0..1 + random.below(4) {
        text += &match random.below(6) {
            0 => random.of(&["", "#c", ";c", "!", "- a", "+ b"]).to_string(),
            1..4 if !bare => random_rule(random, false),
            _ if bare => random_pattern(random),
            _ => random.of(&["H a", "P d", "-p b", "-! a*"]).to_string(),
        };
        text += random.of(&[end, end, end, "\r\n", " "]);
    }
    text
}

/// Options as rsync takes them, and the same rules built here.
struct Case {
    options: Vec<String>,
    cvsignore: String,
    rules: Result<Rules, FilterError>,
}

/// A random case for the trees `s` and `t` in `scratch`, where files of rules are made as well.
fn random_case(random: &mut Random, delete_excluded: bool, scratch: &Path) -> Case {
    let (mut options, mut cvsignore) = (Vec::new(), String::new());
    let mut builder = RulesBuilder::new();
    let mut result = Ok(());
    let mut keep = |r: Result<(), FilterError>| {
        if result.is_ok() {
            result = r;
        }
    };
    let from0 = random.one_in(8);
    if from0 {
        options.push("-0".into());
        builder.from0(true);
    }
    for n in 0..1 + random.below(4) {
        let file = scratch.join(format!("rules{n}")).to_str().unwrap().to_string();
        match random.below(10) {
            0 => {
                let rule = random.of(&["- ", "+ ", "", "", "!"]).to_string() + &random_pattern(random);
                keep(builder.exclude(rule.as_bytes()));
                options.push(format!("--exclude={rule}"));
            }
            1 => {
                let rule = random_pattern(random);
                keep(builder.include(rule.as_bytes()));
                options.push(format!("--include={rule}"));
            }
            2 => {
                let text = random_text(random, true, if from0 { "\0" } else { "\n" });
                fs::write(&file, &text).unwrap();
                if random.one_in(2) {
                    keep(builder.exclude_from(file.as_bytes(), text.as_bytes(), from0));
                    options.push(format!("--exclude-from={file}"));
                } else {
                    keep(builder.include_from(file.as_bytes(), text.as_bytes(), from0));
                    options.push(format!("--include-from={file}"));
                }
            }
            3 => {
                let modifiers =
                    random.of(&["", "", "-", "+", "s", "r", "p", "C", "w-", "+w", "e", "n", "/", "x"]);
                let bare = modifiers.contains(['-', '+', 'C']);
                fs::write(&file, random_text(random, bare, if from0 { "\0" } else { "\n" })).unwrap();
                let rule = format!(".{modifiers} {file}");
                keep(builder.filter(rule.as_bytes(), &mut |path| {
                    fs::read(&*String::from_utf8_lossy(path)).map_err(|e| e.to_string())
                }));
                options.push(format!("--filter={rule}"));
            }
            4 => {
                let root = scratch.join("s");
                let root = random.of(&[root.to_str().unwrap(), "", "s/", "/s/", "t/", "**/", "**/s/", "*/"]);
                let rule = format!("-/ {root}{}{}", random.of(&["", "/"]), random_pattern(random));
                keep(builder.filter(rule.as_bytes(), &mut |_| Err("no".into())));
                options.push(format!("--filter={rule}"));
            }
            _ => {
                let rule = random_rule(random, true);
                keep(builder.filter(rule.as_bytes(), &mut |_| Err("no".into())));
                options.push(format!("--filter={rule}"));
            }
        }
    }
    if random.one_in(4) {
        let times = 1 + random.below(2);
        for n in 1..=times {
            options.push("-F".into());
            builder.per_dir_filter(n as u8);
        }
    }
    cvsignore += random.of(&["", "a*", "! b", "d e"]);
    builder.cvs_sources(None, Some(cvsignore.clone().into_bytes()));
    if random.one_in(5) {
        options.push("-C".into());
        builder.cvs(None, Some(cvsignore.clone().into_bytes()));
    }
    Case { options, cvsignore, rules: result.map(|()| builder.build(delete_excluded)) }
}

#[test]
fn a_pattern_matches_what_rsync_says_it_matches() {
    if !crate::requirement::has("rsync") {
        return;
    }
    let mut tree = Tree::new();
    for depth in 0..3 {
        let mut level = Tree::new();
        for name in FILES {
            level.insert(name.to_string(), Entry::File(String::new()));
        }
        for name in DIRS {
            if depth > 0 {
                level.insert(name.to_string(), Entry::Dir(tree.clone()));
            }
        }
        tree = level;
    }
    let scratch = tempfile::tempdir().unwrap();
    let (source, dest) = (scratch.path().join("s"), scratch.path().join("t"));
    write(&tree, &source);
    for seed in random_cases::seeds(60) {
        let random = &mut Random::new(seed);
        let pattern = random_pattern(random);
        let rule = format!("+{} {pattern}", random.of(&["", "", "", "!"]));
        let run = rsync(&["-rn", "--debug=FILTER"], &[format!("--filter={rule}")], "", &source, &dest);
        let want: BTreeSet<String> = lines(&run)
            .iter()
            .filter_map(|l| {
                let rest = l.strip_prefix("[sender] showing ")?;
                let rest = rest.strip_prefix("file ").or_else(|| rest.strip_prefix("directory "))?;
                rest.split(" because of ").next().map(str::to_string)
            })
            .collect();
        let mut builder = RulesBuilder::new();
        builder.filter(rule.as_bytes(), &mut |_| Err(String::new())).unwrap();
        let scope = Scope::root(&builder.build(false), Side::Sender);
        let mut all = BTreeSet::new();
        sent(&scope, &tree, &RelPath::root(), &mut all).unwrap();
        let have: BTreeSet<String> = all
            .iter()
            .map(|path| path.trim_end_matches('/').to_string())
            .filter(|path| scope.check(path.as_bytes(), all.contains(&format!("{path}/"))).rule.is_some())
            .collect();
        let only =
            |a: &BTreeSet<String>, b: &BTreeSet<String>| a.difference(b).take(5).cloned().collect::<Vec<_>>();
        assert!(
            have == want,
            "seed {seed}, rule {rule:?}: only rsync {:?}, only here {:?}",
            only(&want, &have),
            only(&have, &want)
        );
    }
}

#[test]
fn transfers_and_deletions_are_those_of_rsync() {
    if !crate::requirement::has("rsync") {
        return;
    }
    for seed in random_cases::seeds(60) {
        let random = &mut Random::new(seed);
        let delete_excluded = random.one_in(4);
        let scratch = tempfile::tempdir().unwrap();
        let (from, to) = (scratch.path().join("s"), scratch.path().join("t"));
        let Case { options, cvsignore, rules } = random_case(random, delete_excluded, scratch.path());
        // rsync forgets what the outer file's rule said about sides; rsync(1) says otherwise.
        let tops = !delete_excluded && !options.iter().any(|o| o.contains(":r") || o.contains(":s"));
        let (source, dest) = (random_tree(random, 2, true, tops), random_tree(random, 2, true, tops));
        let mut above = Vec::new();
        for name in [".m", ".rsync-filter"] {
            if random.one_in(3) {
                let pattern = random.of(&["", "/", "s/", "/s/", "/t/"]).to_string() + &random_pattern(random);
                fs::write(scratch.path().join(name), format!("- {pattern}\n")).unwrap();
                above.push((name, pattern));
            }
        }
        write(&source, &from);
        write(&dest, &to);
        let mode = if delete_excluded { "--delete-excluded" } else { "--delete-before" };
        let context = || {
            format!(
                "seed {seed}, {mode}, {options:?}, CVSIGNORE {cvsignore:?}, above {above:?}\nsource {source:?}\ndest {dest:?}"
            )
        };
        let list =
            rsync(&["-rn", "--out-format=%n"], &options, &cvsignore, &from, &scratch.path().join("empty"));
        let expected = (|| -> Result<_, FilterError> {
            let rules = rules.clone()?;
            let mut names = BTreeSet::new();
            sent(&beneath(&rules, Side::Sender, &from)?, &source, &RelPath::root(), &mut names)?;
            Ok((rules, names))
        })();
        let (rules, names) = match expected {
            Ok(expected) => expected,
            Err(why) => {
                assert!(!list.status.success(), "only refused here: {why}\n{}", context());
                continue;
            }
        };
        let errors = String::from_utf8_lossy(&list.stderr);
        assert!(list.status.success(), "only refused by rsync: {errors}\n{}", context());
        let want: BTreeSet<String> = lines(&list).into_iter().filter(|l| l != "./").collect();
        assert_eq!(names, want, "transfer (left: here): {}", context());

        let run = rsync(&["-ri", mode], &options, &cvsignore, &from, &to);
        let mut surplus = BTreeSet::new();
        let ours = beneath(&rules, Side::Receiver, &to)
            .and_then(|scope| deleted(&scope, &dest, &RelPath::root(), &names, &mut surplus));
        if let Err(why) = ours {
            assert!(!run.status.success(), "deletion only refused here: {why}\n{}", context());
            continue;
        }
        assert!(run.status.success(), "{}\n{}", String::from_utf8_lossy(&run.stderr), context());
        let want: BTreeSet<String> =
            lines(&run).iter().filter_map(|l| l.strip_prefix("*deleting   ").map(str::to_string)).collect();
        assert_eq!(surplus, want, "deletion (left: here): {}", context());
    }
}
