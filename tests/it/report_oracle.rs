//! Lines of entries compared with those of the installed rsync.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, clippy::print_stderr)]

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use sluice::cli::clock::Clock;
use sluice::cli::format::{Format, Subject};
use sluice::cli::list;
use sluice::cli::number::Human;
use sluice::event::{Item, LinkText};
use sluice::path::{Attrs, Kind, Time};

use crate::report::{attrs, new_item};

/// A flat tree of every kind that needs no privilege, and its entries in rsync's order.
fn flat_tree(dir: &Path) -> Vec<Item> {
    fs::write(dir.join("a"), b"hello").unwrap();
    fs::File::create(dir.join("big")).unwrap().set_len(123_456_789_012).unwrap();
    fs::write(dir.join("c\nd\x1b"), b"").unwrap();
    std::os::unix::fs::symlink("a", dir.join("link")).unwrap();
    let old = std::time::SystemTime::UNIX_EPOCH - Duration::from_secs(1_000_000_000);
    fs::File::open(dir.join("a")).unwrap().set_modified(old).unwrap();
    let mut names = vec![dir.to_path_buf()];
    names.extend(["a", "big", "c\nd\x1b", "link"].map(|name| dir.join(name)));
    names.iter().map(|path| looked_at(path, dir)).collect()
}

fn looked_at(path: &Path, root: &Path) -> Item {
    let meta = fs::symlink_metadata(path).unwrap();
    let kind = Kind::from_mode(meta.mode());
    let attrs = Attrs {
        mode: meta.mode() & 0o7777,
        uid: meta.uid(),
        gid: meta.gid(),
        mtime: Time { sec: meta.mtime(), nsec: 0 },
        ..attrs(kind, meta.size())
    };
    let below = path.strip_prefix(root).unwrap().as_os_str().as_bytes();
    let link = (kind == Kind::Symlink).then(|| LinkText::Symlink(b"a".to_vec()));
    Item { attrs, link, moved: 0, ..new_item(below, kind) }
}

fn rsync(args: &[&str], source: &Path, dest: Option<&Path>) -> Vec<String> {
    let out = Command::new("rsync")
        .args(args)
        .arg(source.join(""))
        .args(dest)
        .env("LC_ALL", "C.UTF-8")
        .env("TZ", "UTC")
        .output()
        .unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).unwrap().lines().map(str::to_string).collect()
}

#[test]
fn listings_equal_rsyncs() {
    if !crate::requirement::has("rsync") {
        return;
    }
    let tree = tempfile::tempdir().unwrap();
    let items = flat_tree(tree.path());
    for (level, option) in [(0, "--no-h"), (1, "-l"), (2, "-h"), (3, "-hh")] {
        let ours: Vec<String> = items
            .iter()
            .map(|item| printable(&list::line(item, Human::level(level), &Clock::utc())))
            .collect();
        assert_eq!(rsync(&["-rl", option, "--list-only"], tree.path(), None), ours, "{option}");
    }
}

#[test]
fn formatted_lines_equal_rsyncs() {
    if !crate::requirement::has("rsync") {
        return;
    }
    let tree = tempfile::tempdir().unwrap();
    let items = flat_tree(tree.path());
    let format = "%i|%n%L|%-30n|%l|%'l|%''16l|%'''-9l|%B|%M|%25M|%U|%5G|%o|%b|%%|%m|%a|%h|%u|%P|%z|%";
    let dest = tree.path().with_extension("not-there");
    let options = ["-nrlog", &format!("--out-format={format}")];
    let mut theirs = rsync(&options, tree.path(), Some(&dest));
    theirs.retain(|line| !line.starts_with("created directory"));
    let parsed = Format::parse(format.as_bytes());
    let ours: Vec<String> =
        items.iter().map(|item| printable(&parsed.render(Subject::Item(item), &Clock::utc()))).collect();
    assert_eq!(theirs, ours);
}

fn printable(line: &[u8]) -> String {
    String::from_utf8(sluice::cli::printable::printable(line, false)).unwrap()
}
