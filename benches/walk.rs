//! What a walk costs for each entry: the directory reader of `path`, and the walkdir crate in two ways.
//!
//! `cargo bench --bench walk -- DIR [ROUNDS]` walks DIR with the attributes of every entry, each way in turn, and prints the
//! best and the median time for an entry. The figures that the choice rests on are in `docs/performance.md`.
#![allow(clippy::print_stdout, clippy::disallowed_methods, clippy::unwrap_used, missing_docs)]

use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::time::Instant;

use sluice::path::{Dir, Kind, operand};
use walkdir::WalkDir;

fn main() {
    let mut args = std::env::args_os().skip(1).filter(|arg| arg != "--bench");
    let Some(root) = args.next() else {
        println!("usage: cargo bench --bench walk -- DIR [ROUNDS]");
        return;
    };
    let rounds = args.next().and_then(|n| n.to_str()?.parse().ok()).unwrap_or(7);
    let ways: [(&str, &dyn Fn() -> u64); 3] = [
        ("getdents64 and fstatat on a held directory", &|| held(&operand::open_dir(&root).unwrap())),
        ("walkdir, one held directory at a time", &|| walkdir_held(&File::open(&root).unwrap())),
        ("walkdir by path", &|| walkdir_by_path(root.as_ref())),
    ];
    let mut times = [const { Vec::new() }; 3];
    let mut entries = [0; 3];
    for _ in 0..=rounds {
        for (at, (_, walk)) in ways.iter().enumerate() {
            let began = Instant::now();
            entries[at] = walk();
            times[at].push(began.elapsed().as_nanos() as f64 / entries[at] as f64 / 1000.0);
        }
    }
    assert!(entries.iter().all(|n| *n == entries[0]), "they see different trees: {entries:?}");
    println!("{} entries, {rounds} rounds, µs an entry", entries[0]);
    for ((name, _), mut times) in ways.iter().zip(times) {
        times.remove(0); // warms the caches up
        times.sort_by(f64::total_cmp);
        println!("{name}: best {:.2}, median {:.2}", times[0], times[times.len() / 2]);
    }
}

fn held(dir: &Dir) -> u64 {
    let mut names = Vec::new();
    dir.list(|name, _| names.push(name)).unwrap();
    let count = names.len() as u64;
    let dirs = names.iter().filter(|name| dir.stat(name).unwrap().kind == Kind::Dir);
    count + dirs.map(|name| held(&dir.child(name).unwrap())).sum::<u64>()
}

fn walkdir_held(dir: &File) -> u64 {
    let here = format!("/proc/self/fd/{}", dir.as_raw_fd());
    let listed: Vec<_> =
        WalkDir::new(&here).min_depth(1).max_depth(1).into_iter().map(Result::unwrap).collect();
    let dirs = listed.iter().filter(|entry| entry.metadata().unwrap().is_dir());
    listed.len() as u64 + dirs.map(|entry| walkdir_held(&File::open(entry.path()).unwrap())).sum::<u64>()
}

fn walkdir_by_path(root: &Path) -> u64 {
    let mut count = 0;
    for entry in WalkDir::new(root).min_depth(1) {
        entry.unwrap().metadata().unwrap();
        count += 1;
    }
    count
}
