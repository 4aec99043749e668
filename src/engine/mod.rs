//! FLOOR 2. Moves and hashes bytes between open descriptors; never sees a path.

/// `--reflink`: whether files may share extents.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Reflink {
    /// Where the filesystem can.
    #[default]
    Auto,
    /// Or the entry is an error.
    Always,
    /// Not even through `copy_file_range(2)`, which may share extents too.
    Never,
}

/// `--zero-copy`: whether bytes may pass through user space.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum ZeroCopy {
    /// By the cheapest path.
    #[default]
    Auto,
    /// Never: an entry that would need it is an error.
    Always,
    /// Always: only the copying rung is used.
    Never,
}

/// What becomes of holes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Holes {
    /// The source's holes are kept.
    #[default]
    Keep,
    /// And runs of zeros become holes (`--sparse`).
    Make,
}

/// How bytes are to be moved in a run.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Policy {
    /// `--reflink`.
    pub reflink: Reflink,
    /// `--zero-copy`.
    pub zero_copy: ZeroCopy,
    /// `--sparse`.
    pub holes: Holes,
    /// Threads that one large file may be split or hashed over; 1 for no splitting.
    pub threads: usize,
}
