//! The floors of the design: a room imports only rooms below it.

use std::fs;
use std::path::Path;

/// Each room with the rooms (or single files of rooms) that it may name.
const FLOORS: &[(&str, &[&str])] = &[
    ("sys", &[]),
    ("path", &["sys"]),
    ("process", &["path", "sys"]),
    ("event", &["path", "sys::Errno"]),
    ("engine", &["sys"]),
    ("auth", &[]),
    ("plan", &["path", "engine::digest", "event", "sys::Errno", "sys::thread"]),
    ("apply", &["path", "engine", "delta", "plan", "event", "sys::Errno"]),
    ("wire", &["path", "engine::digest", "engine::LedgerSnapshot", "plan", "event"]),
    (
        "session",
        &["path", "auth", "engine", "delta", "plan", "apply", "wire", "event", "sys::Errno", "sys::thread"],
    ),
    (
        "daemon",
        &["path", "process", "engine", "delta", "plan", "apply", "wire", "auth", "event", "sys::Errno"],
    ),
    (
        "cli",
        &[
            "path",
            "process",
            "auth",
            "engine",
            "delta",
            "plan",
            "apply",
            "wire",
            "session",
            "daemon",
            "event",
            "sys::Errno",
            "sys::thread",
        ],
    ),
];

/// The `crate::` paths named in a Rust source, as written; groups are taken apart one level.
fn imports(source: &str) -> Vec<String> {
    let mut found = Vec::new();
    for line in source.lines().map(str::trim).filter(|l| !l.starts_with("//")) {
        for (at, _) in line.match_indices("crate::") {
            let rest = &line[at + "crate::".len()..];
            if let Some(group) = rest.strip_prefix('{') {
                found.extend(group.split(',').map(|p| p.trim_matches([' ', '}', ';']).to_string()));
            } else {
                let end =
                    rest.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':')).unwrap_or(rest.len());
                let path = &rest[..end];
                match rest[end..].strip_prefix('{') {
                    Some(group) if path.ends_with("::") => {
                        let inner = group.split('}').next().unwrap_or_default();
                        found.extend(inner.split(',').map(|p| format!("{path}{}", p.trim())));
                    }
                    _ => found.push(path.trim_end_matches(':').to_string()),
                }
            }
        }
    }
    found.retain(|p| !p.is_empty());
    found
}

fn violations(room: &str, allowed: &[&str], source: &str) -> Vec<String> {
    imports(source)
        .into_iter()
        .filter(|path| {
            let own = path == room || path.starts_with(&format!("{room}::"));
            let fine = allowed.iter().any(|a| path == a || path.starts_with(&format!("{a}::")));
            !own && !fine
        })
        .collect()
}

fn sources_of(room: &str) -> Vec<std::path::PathBuf> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let single = src.join(format!("{room}.rs"));
    if single.exists() {
        return vec![single];
    }
    walkdir::WalkDir::new(src.join(room))
        .into_iter()
        .map(|e| e.unwrap().into_path())
        .filter(|p| p.extension().is_some_and(|e| e == "rs"))
        .collect()
}

#[test]
fn no_room_imports_upwards_or_sideways() {
    let mut wrong = Vec::new();
    for (room, allowed) in FLOORS {
        let files = sources_of(room);
        assert!(!files.is_empty(), "room {room} has no source");
        for file in files {
            let source = fs::read_to_string(&file).unwrap();
            wrong.extend(
                violations(room, allowed, &source)
                    .into_iter()
                    .map(|p| format!("{} names crate::{p}", file.display())),
            );
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_room_stands_in_the_table() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for entry in fs::read_dir(src).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let room = name.trim_end_matches(".rs");
        let known = matches!(room, "lib" | "main") || FLOORS.iter().any(|(r, _)| *r == room);
        assert!(known, "{room} has no floor");
    }
}

#[test]
fn an_upward_import_is_found_in_every_spelling() {
    for source in
        ["use crate::cli;", "use crate::{path, cli};", "    crate::cli::run();", "use crate::cli::{run, x};"]
    {
        assert_eq!(violations("plan", &["path"], source).len().min(1), 1, "{source}");
    }
    assert!(violations("plan", &["path", "engine::digest"], "use crate::engine::digest::Digest;").is_empty());
    assert!(!violations("plan", &["path", "engine::digest"], "use crate::engine::ladder;").is_empty());
}

#[test]
fn every_test_file_is_part_of_the_binary() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it");
    let main = fs::read_to_string(dir.join("main.rs")).unwrap();
    for entry in fs::read_dir(dir).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let module = name.trim_end_matches(".rs");
        assert!(module == "main" || main.contains(&format!("mod {module};")), "{name} is not in main.rs");
    }
}
