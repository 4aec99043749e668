//! FLOOR 5. One conversation between a sender and a receiver.
//!
//! [`local::run`] is that conversation with both in one process: the plan's decisions go straight to the
//! applier, and the bytes from descriptor to descriptor.

use std::ffi::OsString;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::engine::ledger::LedgerSnapshot;
use crate::event::{Severity, Stats};

pub use crate::event::Ended;

mod answers;
mod arrivals;
mod bases;
mod batches;
mod coming;
pub mod compress;
mod consumer;
mod delayed;
pub mod deletion;
pub mod destination;
pub mod expand;
mod expected;
pub mod files_from;
pub mod frames;
pub mod handshake;
mod hard_links;
mod ids;
mod joined;
mod late;
mod leader;
pub mod listing;
pub mod local;
pub mod lock;
mod missing;
pub mod module;
pub mod mounts;
pub mod named;
mod namesakes;
pub mod order;
mod outcome;
mod outgoing;
pub mod pace;
pub mod proxy;
mod reached;
mod receiver;
pub mod remote;
pub mod selection;
mod sender;
mod slot;
pub mod ssh;
pub mod tape;
pub mod tcp;
mod team;
mod teller;
pub mod watch;
mod worker;

mod deadline;

/// How a run ended.
#[derive(Clone, Debug)]
pub struct Summary {
    /// rsync's figures.
    pub stats: Stats,
    /// What each mechanism moved.
    pub ledger: LedgerSnapshot,
    /// The worst thing that was reported, if any.
    pub worst: Option<Severity>,
    /// Whether it came to its end.
    pub ended: Ended,
    /// Bytes sent and received over a connection, by this process.
    pub traffic: Option<(u64, u64)>,
}

/// `--delete-limit`: refuses before the first deletion.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum DeleteLimit {
    /// At most so many entries.
    Count(u64),
    /// At most so many percent of the destination's entries.
    Percent(u8),
}

/// Why links are not munged (rsync's exit status 4): they would lead somewhere.
pub const MUNGING_IS_UNSAFE: &str = "munging links is unsafe while there is a directory /rsyncd-munged";

/// Everything that a local run needs to know; `cli` makes it of what was typed.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[allow(clippy::struct_excessive_bools)] // they are rsync's switches
pub struct Options {
    /// Sources as typed.
    pub sources: Vec<OsString>,
    /// Destination as typed; `None` lists the sources (`--list-only`).
    pub dest: Option<OsString>,
    /// `-n`.
    pub dry_run: bool,
    /// `--insecure-links`, for the server: links of other users on the way of a path are followed.
    pub insecure_links: bool,
    /// `--confine-root`, for the server: where paths of options may lead.
    pub confine_root: Option<OsString>,
    /// `--copy-as`, for the server: whose rights it works with.
    pub copy_as: Option<OsString>,
    /// `-M --log-file`: the log that the server keeps of the run.
    pub log: Option<watch::LogFile>,
    /// `--ignore-missing-args`: operands that are not there are passed over.
    pub ignore_missing: bool,
    /// `--delete-missing-args`: they are deleted at the destination.
    pub delete_missing: bool,
    /// `-R`.
    pub relative: bool,
    /// `--no-implied-dirs` turns it off.
    pub implied_dirs: bool,
    /// `--mkpath`.
    pub mkpath: bool,
    /// `--files-from`: the names read, in order.
    pub files_from: Option<Vec<Vec<u8>>>,
    /// `--files-from=:FILE`: the other side reads the names.
    pub names_there: Option<files_from::There>,
    /// What is expanded in the operands on the other side.
    pub wild: expand::Wild,
    /// `--jobs`: worker threads.
    pub jobs: usize,
    /// `--delete-limit`.
    pub delete_limit: Option<DeleteLimit>,
    /// `--no-mount-check` turns it off.
    pub mount_check: bool,
    /// `--lock`.
    pub lock: lock::Lock,
    /// `--stop-after`, `--stop-at`.
    #[serde(with = "deadline")]
    pub deadline: Option<Instant>,
    /// `--timeout`: a silence of so long between two machines ends the session.
    pub timeout: Option<Duration>,
    /// Options that a daemon may refuse, whatever they mean to it.
    pub named: named::Named,
    /// `-z`: between two machines file data is packed.
    pub compress: Option<compress::Compress>,
    /// Unchanged entries are reported too (`-ii`, `-vv`).
    pub report_unchanged: bool,
    /// Progress wants totals ahead of the work.
    pub count_ahead: bool,
    /// `--write-batch`: where the session is recorded, on the client's side.
    #[serde(skip)]
    pub record: Option<std::sync::Arc<tape::Wanted>>,
    /// `--only-write-batch`: nothing is changed, and what would have been is sent or recorded all the same.
    pub only_batch: bool,
    /// What the server is told, where that differs (`--remote-option`).
    #[serde(skip)]
    pub far: Option<Box<Options>>,
    /// The daemon's module that this process serves; never told by a client.
    #[serde(skip)]
    pub module: Option<std::sync::Arc<module::Module>>,
    /// Who is told what this process does as a server; never told by a client.
    #[serde(skip)]
    pub watch: Option<std::sync::Arc<dyn watch::Watch>>,
    /// Filter rules.
    pub filter: crate::plan::filter::Rules,
    /// What is transferred and compared.
    pub plan: crate::plan::Options,
    /// How actions are carried out.
    pub apply: crate::apply::Options,
    /// How bytes are moved.
    pub engine: crate::engine::Policy,
}
