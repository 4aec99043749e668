//! The table of every option in `docs/differences.md`: complete, and true row by row.
#![allow(clippy::disallowed_methods, clippy::unwrap_used)] // a test looks at files by path

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use sluice::cli::flag::{Effect, Flag, Sign};
use sluice::cli::{flags, later};

use crate::requirement::{self, Need};
use crate::served::file;
use crate::under_test::{Run, run};

/// Spellings that rsync 3.5.0 takes and does not show in its help: found by running it.
const UNSHOWN: &[&str] = &[
    "--cc",
    "--zc",
    "--zl",
    "--zt",
    "--new-compress",
    "--old-compress",
    "--log-format",
    "--time-limit",
    "--remove-sent-files",
    "--protect-args",
    "--msgs2stderr",
    "--implied-dirs",
    "--qsort",
    "--i-d",
    "--no-i-d",
];

/// Values for options whose value is not just any text.
pub const VALUES: &[(&str, &str)] = &[
    ("--suffix", ".x"),
    ("--chmod", "u+x"),
    ("--chown", "0:0"),
    ("--usermap", "0:0"),
    ("--groupmap", "0:0"),
    ("--filter", "- x"),
    ("-f", "- x"),
    ("--info", "name"),
    ("--debug", "filter"),
    ("--temp-dir", "."),
    ("-T", "."),
    ("--files-from", "list"),
    ("--exclude-from", "list"),
    ("--include-from", "list"),
    ("--address", "127.0.0.1"),
    ("--outbuf", "L"),
    ("--log-file", "log"),
    ("--stop-at", "2099-01-01T00:00"),
    ("--stderr", "errors"),
    ("--checksum-choice", "auto"),
    ("--cc", "auto"),
    ("--compress-choice", "zstd"),
    ("--zc", "zstd"),
    ("--copy-as", "root"),
    ("--confine-root", "/"),
    ("--compare-dest", "."),
    ("--copy-dest", "."),
    ("--link-dest", "."),
    ("--write-batch", "batch"),
    ("--only-write-batch", "batch"),
    ("--remote-option", "-v"),
    ("-M", "-v"),
    ("--sockopts", "SO_KEEPALIVE"),
    ("--iconv", "-"),
    ("--early-input", "list"),
];

/// Options that make something else of the run than a transfer: they are tried with `--help`.
const OTHERWISE: &[&str] = &[
    "--daemon",
    "--no-detach",
    "--config",
    "--dparam",
    "--server",
    "--help",
    "--version",
    "-V",
    "--read-batch",
    "--contimeout",
];

/// What the table says of an option.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Says {
    Same,
    Differs,
    NoEffect,
    Refused,
}

fn document() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/differences.md")).unwrap()
}

/// The text between a heading and the next.
fn section(text: &str, heading: &str) -> String {
    let (_, rest) =
        text.split_once(&format!("\n## {heading}\n")).unwrap_or_else(|| panic!("no section {heading}"));
    rest.split("\n## ").next().unwrap_or_default().to_owned()
}

/// The options in the table, each spelling by itself.
fn table() -> BTreeMap<String, Says> {
    let mut says = BTreeMap::new();
    let text = section(&document(), "Every option of rsync(1)");
    for row in text.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        let [options, verdict] = cells[..] else { panic!("a row has two cells: {row}") };
        let said = match verdict.split(':').next().unwrap_or_default() {
            "same" => Says::Same,
            "differs" => Says::Differs,
            "no effect" => Says::NoEffect,
            "refused" => Says::Refused,
            other => panic!("{other:?} is none of same, differs, no effect and refused: {row}"),
        };
        for word in options.split(['`', ' ']).filter(|word| !word.is_empty()) {
            assert!(word.starts_with('-'), "{word} is no option: {row}");
            assert_eq!(says.insert(word.to_owned(), said), None, "{word} is in the table twice");
        }
    }
    assert!(says.len() > 180, "only {} spellings", says.len());
    says
}

/// The flag that `word` spells, and whether it turns it on.
fn flag(word: &str) -> Option<(&'static Flag, bool)> {
    let name = word.strip_prefix("--");
    flags::all().find_map(|flag| {
        let letter = word
            .strip_prefix('-')
            .filter(|rest| rest.chars().count() == 1)
            .and_then(|rest| rest.chars().next());
        let on = name.is_some_and(|name| flag.words().any(|word| word == name))
            || letter.is_some() && flag.short == letter;
        let off = name.is_some_and(|name| flag.negative_words().iter().any(|word| word == name));
        (on || off).then_some((flag, on))
    })
}

fn takes_value(word: &str) -> bool {
    if let Some((flag, on)) = flag(word) {
        return on && flag.value.is_some();
    }
    later::LATER.iter().any(|later| later.value && spellings(later).iter().any(|known| known == word))
}

fn spellings(later: &later::Later) -> Vec<String> {
    later.words.iter().map(|word| format!("--{word}")).chain(later.short.map(|c| format!("-{c}"))).collect()
}

fn try_out(at: &Path, word: &str) -> Run {
    let mut args = vec![word.to_owned()];
    if takes_value(word) {
        let value = VALUES.iter().find(|(name, _)| *name == word).map_or("1", |(_, value)| value);
        args.push(value.to_owned());
    }
    if OTHERWISE.contains(&word) {
        args.push("--help".into());
    } else {
        args.extend(["-r", "-n", "s/", "d/"].map(str::to_owned));
    }
    run(at, args)
}

#[test]
fn every_row_of_the_table_is_true() {
    let dir = tempfile::tempdir().unwrap();
    file(dir.path(), "s/1", "");
    fs::write(dir.path().join("list"), "1\n").unwrap();
    fs::create_dir(dir.path().join("d")).unwrap();
    for (word, says) in table() {
        if word == "--copy-as" && !requirement::met(&[Need::Root]) {
            continue;
        }
        let tried = try_out(dir.path(), &word);
        if says == Says::Refused {
            assert_eq!(tried.code, 1, "{word} is said to be refused");
            let named = later::LATER.iter().find(|later| spellings(later).contains(&word));
            let name = named
                .unwrap_or_else(|| panic!("{word} is said to be refused, and is not in later.rs"))
                .name();
            assert!(
                tried.errors().starts_with(&format!("sluice: {name} is not supported")),
                "{word}: {}",
                tried.errors()
            );
        } else {
            assert_eq!(tried.code, 0, "{word} is said to be accepted: {}", tried.errors());
            let nothing = matches!(flag(&word), Some((flag, _)) if matches!(flag.effect, Effect::Nothing));
            assert!(!nothing || says == Says::NoEffect, "{word} has no effect, and the table says otherwise");
        }
    }
}

#[test]
fn every_option_of_rsync_has_a_row() {
    if !requirement::has("rsync") {
        return;
    }
    let table = table();
    for help in [&["--help"][..], &["--daemon", "--help"]] {
        let output = Command::new("rsync").args(help).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        for line in text.lines().filter(|line| line.starts_with('-')) {
            let names = line.split("  ").next().unwrap_or_default().trim_end_matches("(*)");
            for name in names.split(", ").map(|name| name.split(['=', ' ', '[']).next().unwrap_or_default()) {
                assert!(table.contains_key(name) || name == "--no-OPTION", "{name} has no row");
            }
        }
    }
    let scratch = tempfile::tempdir().unwrap();
    for name in UNSHOWN {
        assert!(table.contains_key(*name), "{name} has no row");
        let mut rsync = Command::new("rsync");
        let output = rsync.args([name, "1", "-n", "a/", "b/"]).current_dir(&scratch).output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!told.contains("unknown option"), "{name}: {told}");
    }
}

#[test]
fn every_option_of_sluice_is_in_the_table_or_said_to_be_its_own() {
    let table = table();
    let own = section(&document(), "sluice's own");
    for flag in flags::all() {
        let words = flag.words().map(|word| match flag.sign {
            Sign::Negative => format!("--no-{word}"),
            _ => format!("--{word}"),
        });
        for word in words.chain(flag.short.map(|c| format!("-{c}"))) {
            let is_own = own.split(['`', '=', '[', ' ', '\n']).any(|known| known == word);
            assert!(table.contains_key(&word) != is_own, "{word} is in the table or among sluice's own");
        }
    }
    for later in later::LATER {
        for word in spellings(later) {
            assert_eq!(table.get(&word), Some(&Says::Refused), "{word} is refused");
        }
    }
}
