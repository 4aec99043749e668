//! Stand-in for `engine::ledger::LedgerSnapshot` until that room has it.

/// The ledger's figures at one moment. Sizes in bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LedgerSnapshot {
    /// Each rung, best first.
    pub rungs: Vec<RungCounts>,
    /// Bytes that passed through user space.
    pub user_copied: u64,
    /// Bytes that were hashed.
    pub hashed: u64,
}

/// What one rung of the ladder did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RungCounts {
    /// Its name: `reflink`, `copy_file_range`, `sendfile`, `splice`, `read/write`.
    pub name: &'static str,
    /// Kernel calls.
    pub calls: u64,
    /// Bytes moved.
    pub bytes: u64,
    /// Calls that moved less than was asked for.
    pub short: u64,
    /// Refusals by errno.
    pub refusals: Vec<(i32, u64)>,
}
