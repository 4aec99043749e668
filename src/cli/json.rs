//! `--json`: one object a line on standard output, instead of everything else there.
//!
//! Every object has `schema` (1: fields may be added, never change their meaning) and `type`: `start`,
//! `item`, `deleted`, `note`, `problem`, and at last one `summary`. Sizes are bytes, times are seconds
//! since 1970 and nanoseconds. A path is a string of the same characters; where it is not valid UTF-8
//! the string is for people (escaped as on a terminal), and `path_bytes` beside it holds the bytes as
//! hexadecimal digits. The root of the destination is `.`.

use serde::Serialize;

use crate::event::{Change, Item, KindCounts, LinkText, Note, Problem};
use crate::path::{Attrs, Kind, RelPath, escape};
use crate::plan::itemize::itemize;

use super::entry::is_unchanged;
use super::exit::Status;
use super::object::{Path, below_root, hex, object, path};
use super::stats::{Figures, errno_name};
use super::vocabulary;

#[derive(Serialize)]
struct Start {
    program: &'static str,
    version: &'static str,
    dry_run: bool,
}

#[derive(Serialize)]
struct ItemBody {
    #[serde(flatten)]
    path: Path,
    kind: &'static str,
    /// The 11 characters of `-i`.
    itemized: String,
    /// `received`, `created`, `hard_link`, `attributes`, `unchanged`; `listed` where nothing is transferred.
    update: &'static str,
    new: bool,
    differs: Vec<&'static str>,
    size: u64,
    mode: String,
    uid: u32,
    gid: u32,
    mtime: i64,
    mtime_nsec: u32,
    /// Bytes of data moved for it.
    moved: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    symlink: Option<Path>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hard_link: Option<Path>,
    #[serde(skip_serializing_if = "Option::is_none")]
    blake3: Option<String>,
}

#[derive(Serialize)]
struct DeletedBody {
    #[serde(flatten)]
    path: Path,
    kind: &'static str,
}

#[derive(Serialize)]
struct NoteBody {
    /// What is told; a stable name.
    note: &'static str,
    text: String,
}

#[derive(Serialize)]
struct ProblemBody<'a> {
    op: &'a str,
    #[serde(flatten)]
    path: Path,
    cause: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    errno: Option<String>,
    severity: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'a str>,
}

#[derive(Serialize)]
struct Broken {
    text: String,
}

#[derive(Serialize)]
struct GivenUp {
    exit_code: u8,
}

#[derive(Serialize)]
struct Summary {
    exit_code: u8,
    exit_meaning: &'static str,
    dry_run: bool,
    elapsed_seconds: f64,
    files: Counts,
    created: Counts,
    deleted: Counts,
    transferred: u64,
    total_size: u64,
    transferred_size: u64,
    moved: u64,
    list_seconds: f64,
    io_error: bool,
    ledger: Ledger,
}

#[derive(Serialize)]
struct Counts {
    total: u64,
    file: u64,
    directory: u64,
    symlink: u64,
    device: u64,
    special: u64,
}

#[derive(Serialize)]
struct Ledger {
    rungs: Vec<Rung>,
    user_copied: u64,
    hashed: u64,
}

#[derive(Serialize)]
struct Rung {
    name: &'static str,
    calls: u64,
    bytes: u64,
    short: u64,
    refusals: Vec<Refusal>,
}

#[derive(Serialize)]
struct Refusal {
    errno: i32,
    name: String,
    times: u64,
}

/// The object that comes first.
#[must_use]
pub fn start(dry_run: bool) -> Vec<u8> {
    let version = env!("CARGO_PKG_VERSION");
    object("start", Start { program: "sluice", version, dry_run })
}

/// The object for an entry of the transfer.
#[must_use]
pub fn item(item: &Item) -> Vec<u8> {
    let unchanged = is_unchanged(item);
    entry(item, if unchanged { "unchanged" } else { vocabulary::update(item.change.update) })
}

/// The object for an entry that is only listed.
#[must_use]
pub fn listed(item: &Item) -> Vec<u8> {
    entry(item, "listed")
}

fn entry(item: &Item, update: &'static str) -> Vec<u8> {
    let Item { attrs, change, .. } = item;
    let Attrs { kind, size, uid, gid, mtime, .. } = *attrs;
    let (symlink, hard_link) = match &item.link {
        Some(LinkText::Symlink(text)) => (Some(path(text)), None),
        Some(LinkText::Hard(leader)) => (None, Some(path(leader.as_bytes()))),
        None => (None, None),
    };
    let body = ItemBody {
        path: below_root(&item.path),
        kind: vocabulary::kind(kind),
        itemized: itemize(change, kind).iter().map(|&b| char::from(b)).collect(),
        update,
        new: change.new,
        differs: differences(change),
        size,
        mode: format!("{:04o}", attrs.mode),
        uid,
        gid,
        mtime: mtime.sec,
        mtime_nsec: mtime.nsec,
        moved: item.moved,
        symlink,
        hard_link,
        blake3: item.digest.map(|digest| hex(&digest)),
    };
    object("item", body)
}

/// The object for a deleted entry.
#[must_use]
pub fn deleted(path: &RelPath, kind: Kind) -> Vec<u8> {
    object("deleted", DeletedBody { path: below_root(path), kind: vocabulary::kind(kind) })
}

/// The object for a note, whose line for people is `line`.
#[must_use]
pub fn note(note: &Note, line: &[u8]) -> Vec<u8> {
    object("note", NoteBody { note: vocabulary::note(note), text: escape(line) })
}

/// The object for a problem.
#[must_use]
pub fn problem(problem: &Problem) -> Vec<u8> {
    let errno = match problem.cause {
        crate::event::Cause::Os(errno) => Some(format!("{errno:?}")),
        crate::event::Cause::Text(_) => None,
    };
    let body = ProblemBody {
        op: &problem.op,
        path: path(&problem.path),
        cause: super::problem::cause(&problem.cause),
        errno,
        severity: vocabulary::severity(problem.severity),
        hint: problem.hint.as_deref(),
    };
    object("problem", body)
}

/// The object for a line about a connection that cannot be made or is lost.
#[must_use]
pub fn broken(line: &str) -> Vec<u8> {
    object("broken", Broken { text: line.into() })
}

/// The object that comes last where there is nothing to sum up: the run ends with `exit_code` because its connection
/// could not be made or was lost.
#[must_use]
pub fn given_up(exit_code: u8) -> Vec<u8> {
    object("given_up", GivenUp { exit_code })
}

/// The object that comes last.
#[must_use]
pub fn summary(figures: &Figures<'_>, status: Status) -> Vec<u8> {
    let Figures { stats, ledger, moved, elapsed, dry_run, .. } = *figures;
    let rungs = ledger
        .rungs
        .iter()
        .map(|rung| Rung {
            name: rung.rung.name(),
            calls: rung.calls,
            bytes: rung.bytes,
            short: rung.short,
            refusals: rung
                .refusals
                .iter()
                .map(|&(errno, times)| Refusal { errno, name: errno_name(errno), times })
                .collect(),
        })
        .collect();
    let body = Summary {
        exit_code: status.code(),
        exit_meaning: status.meaning(),
        dry_run,
        elapsed_seconds: elapsed.as_secs_f64(),
        files: counts(&stats.files),
        created: counts(&stats.created),
        deleted: counts(&stats.deleted),
        transferred: stats.transferred,
        total_size: stats.total_size,
        transferred_size: stats.transferred_size,
        moved,
        list_seconds: stats.list_seconds,
        io_error: stats.io_error,
        ledger: Ledger { rungs, user_copied: ledger.user_copied(), hashed: ledger.hashed },
    };
    object("summary", body)
}

fn counts(counts: &KindCounts) -> Counts {
    Counts {
        total: counts.total(),
        file: counts.reg,
        directory: counts.dir,
        symlink: counts.link,
        device: counts.dev,
        special: counts.special,
    }
}

fn differences(change: &Change) -> Vec<&'static str> {
    [
        (change.content, "content"),
        (change.size, "size"),
        (change.time, "time"),
        (change.time_now, "time_now"),
        (change.perms, "perms"),
        (change.owner, "owner"),
        (change.group, "group"),
        (change.atime, "access_time"),
    ]
    .into_iter()
    .filter_map(|(differs, name)| differs.then_some(name))
    .collect()
}
