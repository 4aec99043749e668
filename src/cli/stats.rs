//! The statistics at the end: rsync's block to the letter, then the ledger.

use std::time::Duration;

use crate::event::{KindCounts, Stats};

use super::number::Human;
use crate::engine::ledger::{LedgerSnapshot, RungCounts};

/// The figures of a run, ready to be printed.
///
/// rsync counts the bytes of its protocol as sent and received. A local run of sluice has no protocol:
/// *sent* is the file data that was put into place, by whatever path (a reflink's bytes count, as they
/// are at the destination although nothing travelled), and *received* is nothing. The speedup divides by
/// that sum, or by one byte where nothing had to be moved.
#[derive(Clone, Copy, Debug)]
pub struct Figures<'a> {
    /// rsync's figures.
    pub stats: &'a Stats,
    /// How the bytes were moved.
    pub ledger: &'a LedgerSnapshot,
    /// Bytes of data moved, on this machine too: from what was kept, or from a basis directory.
    pub moved: u64,
    /// Bytes of data moved from the sources of the files that were transferred.
    pub literal: u64,
    /// Bytes sent to and received from a peer, where there is one.
    pub traffic: Option<(u64, u64)>,
    /// How long the run took.
    pub elapsed: Duration,
    /// Nothing was done (`-n`).
    pub dry_run: bool,
    /// Nothing was done but to write a batch (`--only-write-batch`).
    pub only_batch: bool,
}

impl Figures<'_> {
    /// The block of `--stats`: rsync's lines, then the ledger's. `all` shows idle rungs too.
    #[must_use]
    pub fn block(&self, human: Human, all: bool) -> Vec<String> {
        let stats = self.stats;
        let mut lines = vec![
            format!("Number of files: {}", counts(&stats.files, human)),
            format!("Number of created files: {}", counts(&stats.created, human)),
            format!("Number of deleted files: {}", counts(&stats.deleted, human)),
            format!("Number of regular files transferred: {}", human.count(stats.transferred)),
            format!("Total file size: {} bytes", human.size(stats.total_size)),
            format!("Total transferred file size: {} bytes", human.size(stats.transferred_size)),
            format!("Literal data: {} bytes", human.size(self.literal)),
            // Blocks found in an old file; only a delta has them.
            "Matched data: 0 bytes".to_string(),
            "File list size: 0".to_string(),
            format!("File list generation time: {:.3} seconds", stats.list_seconds),
            "File list transfer time: 0.000 seconds".to_string(),
            format!("Total bytes sent: {}", human.size(self.sent())),
            format!("Total bytes received: {}", human.size(self.received())),
        ];
        let used = |rung: &&RungCounts| all || rung.calls > 0 || !rung.refusals.is_empty();
        lines.extend(self.ledger.rungs.iter().filter(used).map(|rung| rung_line(rung, human)));
        lines
            .push(format!("Data copied through user space: {} bytes", human.size(self.ledger.user_copied())));
        lines.push(format!("Data hashed: {} bytes", human.size(self.ledger.hashed)));
        lines
    }

    /// The two lines that `-v` ends with.
    #[must_use]
    pub fn closing(&self, human: Human) -> [String; 2] {
        let (sent, received) = (self.sent(), self.received());
        let rate = ratio(sent + received, self.elapsed.as_secs_f64().max(0.001));
        #[allow(clippy::cast_precision_loss)] // two decimals are shown
        let speedup = ratio(self.stats.total_size, (sent + received).max(1) as f64);
        let dry = match (self.dry_run, self.only_batch) {
            (true, _) => " (DRY RUN)",
            (_, true) => " (BATCH ONLY)",
            _ => "",
        };
        [
            format!(
                "sent {} bytes  received {} bytes  {} bytes/sec",
                human.size(sent),
                human.size(received),
                human.rate(rate)
            ),
            format!(
                "total size is {}  speedup is {}{dry}",
                human.size(self.stats.total_size),
                human.ratio(speedup)
            ),
        ]
    }

    /// The one line that a log ends with when it has not got the other two.
    #[must_use]
    pub fn log_line(&self) -> String {
        log_line(self.sent(), self.received(), self.stats.total_size)
    }

    fn sent(&self) -> u64 {
        self.traffic.map_or(self.moved, |(sent, _)| sent)
    }

    fn received(&self) -> u64 {
        self.traffic.map_or(0, |(_, received)| received)
    }
}

#[allow(clippy::cast_precision_loss)] // two decimals are shown
fn ratio(n: u64, by: f64) -> f64 {
    n as f64 / by
}

/// `15 (reg: 9, dir: 4, link: 1, special: 1)`: kinds that do not occur are left out.
fn counts(counts: &KindCounts, human: Human) -> String {
    let kinds = [
        ("reg", counts.reg),
        ("dir", counts.dir),
        ("link", counts.link),
        ("dev", counts.dev),
        ("special", counts.special),
    ];
    let parts: Vec<String> = kinds
        .iter()
        .filter(|(_, n)| *n > 0)
        .map(|(kind, n)| format!("{kind}: {}", human.count(*n)))
        .collect();
    let total = human.count(counts.total());
    if parts.is_empty() { total } else { format!("{total} ({})", parts.join(", ")) }
}

fn rung_line(rung: &RungCounts, human: Human) -> String {
    let mut details = vec![format!("calls: {}", human.count(rung.calls))];
    if rung.short > 0 {
        details.push(format!("short: {}", human.count(rung.short)));
    }
    for (errno, times) in &rung.refusals {
        details.push(format!("{}: {}", errno_name(*errno), human.count(*times)));
    }
    format!("Data by {}: {} bytes ({})", rung.rung.name(), human.size(rung.bytes), details.join(", "))
}

/// `EXDEV` for 18; a number that has no name stays a number.
#[must_use]
pub fn errno_name(errno: i32) -> String {
    match crate::sys::Errno::from_raw(errno) {
        crate::sys::Errno::UnknownErrno => format!("errno {errno}"),
        known => format!("{known:?}"),
    }
}

/// The last line of a log that has no other statistics: the bytes of the connection, and those of all files in
/// the transfer.
#[must_use]
pub fn log_line(sent: u64, received: u64, total: u64) -> String {
    format!("sent {sent} bytes  received {received} bytes  total size {total}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::ladder::Rung;
    use crate::engine::ledger::Ledger;

    fn stats() -> Stats {
        Stats {
            files: KindCounts { reg: 3000, dir: 4, link: 1, dev: 2, special: 1 },
            created: KindCounts { reg: 2, ..KindCounts::default() },
            transferred: 8,
            total_size: 1_234_588,
            transferred_size: 1_234_578,
            list_seconds: 0.0014,
            ..Stats::default()
        }
    }

    fn ledger() -> LedgerSnapshot {
        let mut ledger = Ledger::default().snapshot();
        let reflink = &mut ledger.rungs[Rung::Reflink as usize];
        (reflink.calls, reflink.refusals) = (1, vec![(18, 1)]);
        let copied = &mut ledger.rungs[Rung::CopyFileRange as usize];
        (copied.calls, copied.bytes, copied.short) = (1200, 1_234_570, 3);
        let buffered = &mut ledger.rungs[Rung::Buffered as usize];
        (buffered.calls, buffered.bytes) = (8, 8);
        ledger
    }

    #[test]
    fn the_block_is_rsyncs_and_then_the_ledger() {
        let (stats, ledger) = (stats(), ledger());
        let elapsed = Duration::from_millis(500);
        let figures = Figures {
            stats: &stats,
            ledger: &ledger,
            moved: 1_234_578,
            literal: 1_234_578,
            traffic: None,
            elapsed,
            dry_run: false,
            only_batch: false,
        };
        let buffered = format!("Data by {}: 8 bytes (calls: 8)", Rung::Buffered.name());
        let expected = [
            "Number of files: 3,008 (reg: 3,000, dir: 4, link: 1, dev: 2, special: 1)",
            "Number of created files: 2 (reg: 2)",
            "Number of deleted files: 0",
            "Number of regular files transferred: 8",
            "Total file size: 1,234,588 bytes",
            "Total transferred file size: 1,234,578 bytes",
            "Literal data: 1,234,578 bytes",
            "Matched data: 0 bytes",
            "File list size: 0",
            "File list generation time: 0.001 seconds",
            "File list transfer time: 0.000 seconds",
            "Total bytes sent: 1,234,578",
            "Total bytes received: 0",
            "Data by reflink: 0 bytes (calls: 1, EXDEV: 1)",
            "Data by copy_file_range: 1,234,570 bytes (calls: 1,200, short: 3)",
            &buffered,
            "Data copied through user space: 8 bytes",
            "Data hashed: 0 bytes",
        ];
        assert_eq!(figures.block(Human::Grouped, false), expected);
        let all = figures.block(Human::Decimal, true);
        assert!(all.contains(&"Data by splice: 0 bytes (calls: 0)".to_string()), "{all:?}");
        assert!(all.contains(&"Total file size: 1.23M bytes".to_string()), "{all:?}");
    }

    #[test]
    fn the_closing_lines_have_rsyncs_form() {
        let (stats, ledger) = (stats(), ledger());
        let elapsed = Duration::from_millis(500);
        let figures = Figures {
            stats: &stats,
            ledger: &ledger,
            moved: 1_234_578,
            literal: 1_234_578,
            traffic: None,
            elapsed,
            dry_run: false,
            only_batch: false,
        };
        let expected = [
            "sent 1,234,578 bytes  received 0 bytes  2,469,156.00 bytes/sec",
            "total size is 1,234,588  speedup is 1.00",
        ];
        assert_eq!(figures.closing(Human::Grouped), expected);
        let dry = Figures { moved: 0, literal: 0, dry_run: true, ..figures };
        let expected = [
            "sent 0 bytes  received 0 bytes  0.00 bytes/sec",
            "total size is 1.23M  speedup is 1,234,588.00 (DRY RUN)",
        ];
        assert_eq!(dry.closing(Human::Decimal), expected);
        assert_eq!(figures.log_line(), "sent 1234578 bytes  received 0 bytes  total size 1234588");
    }

    #[test]
    fn a_run_without_bytes_or_time_has_finite_figures() {
        let (stats, ledger) = (Stats::default(), Ledger::default().snapshot());
        let elapsed = Duration::ZERO;
        let figures = Figures {
            stats: &stats,
            ledger: &ledger,
            moved: 0,
            literal: 0,
            traffic: None,
            elapsed,
            dry_run: false,
            only_batch: false,
        };
        let expected = ["sent 0 bytes  received 0 bytes  0.00 bytes/sec", "total size is 0  speedup is 0.00"];
        assert_eq!(figures.closing(Human::Grouped), expected);
    }
}
