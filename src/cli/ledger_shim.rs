//! Stand-in for `engine::ledger` and `engine::ladder::Rung` until that room has them: same names and fields.

/// One mechanism that moves bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rung {
    /// `FICLONERANGE`.
    Reflink,
    /// `copy_file_range(2)`.
    CopyFileRange,
    /// `sendfile(2)`.
    Sendfile,
    /// `splice(2)`.
    Splice,
    /// `pread(2)` and `pwrite(2)`.
    Buffered,
}

impl Rung {
    /// How many there are.
    pub const COUNT: usize = 5;

    const ALL: [(Rung, &str); Rung::COUNT] = [
        (Rung::Reflink, "reflink"),
        (Rung::CopyFileRange, "copy_file_range"),
        (Rung::Sendfile, "sendfile"),
        (Rung::Splice, "splice"),
        (Rung::Buffered, "read and write"),
    ];

    /// Its name for people and `--json`.
    #[must_use]
    pub fn name(self) -> &'static str {
        Rung::ALL[self as usize].1
    }
}

/// The counts of one rung.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RungCounts {
    /// Which one.
    pub rung: Rung,
    /// Steps asked for.
    pub calls: u64,
    /// Bytes moved.
    pub bytes: u64,
    /// Steps that moved less than asked.
    pub short: u64,
    /// Refusals by errno.
    pub refusals: Vec<(i32, u64)>,
}

/// The ledger at one moment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LedgerSnapshot {
    /// One for each rung.
    pub rungs: [RungCounts; Rung::COUNT],
    /// Bytes hashed.
    pub hashed: u64,
}

impl LedgerSnapshot {
    /// Bytes that passed through user space to be written.
    #[must_use]
    pub fn user_copied(&self) -> u64 {
        self.rungs[Rung::Buffered as usize].bytes
    }
}

/// An empty ledger.
#[derive(Default)]
pub struct Ledger(());

impl Ledger {
    /// Its figures: none.
    #[must_use]
    pub fn snapshot(&self) -> LedgerSnapshot {
        let rungs =
            Rung::ALL.map(|(rung, _)| RungCounts { rung, calls: 0, bytes: 0, short: 0, refusals: vec![] });
        LedgerSnapshot { rungs, hashed: 0 }
    }
}
