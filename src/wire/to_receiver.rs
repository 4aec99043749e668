//! What the sender of a session tells its receiver.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Fatal;
use super::codec::{Flaw, Message, PART_BYTES, encoded_len, figures, list, parts, require};
use super::entry::{Properties, SIZE_MAX};
use super::listing::{Listing, PART_ENTRIES};
use crate::engine::LedgerSnapshot;
use crate::engine::digest::Digest;
use crate::event::{Note, Problem, Stats};
use crate::path::xattr::{Xattr, Xattrs};
use crate::path::{Kind, Name, RelPath, Time};
use crate::plan::attached::{Attached, XATTRS_MAX};

/// The largest file in bytes that goes inline: half a control frame, so that it fits with all fields. Where
/// it pays is the sender's decision.
pub const INLINE_MAX: usize = 128 << 10;

/// The longest name of a user or group in bytes, as Linux's `LOGIN_NAME_MAX` has it.
pub const ID_NAME_MAX: usize = 256;

/// What is to be transferred; in parts where it is long.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Roots {
    /// What the operator typed for each source, which stands before a path in messages. At most
    /// [`PART_ENTRIES`] in a part.
    #[serde(deserialize_with = "list::<_, _, PART_ENTRIES>")]
    pub prefixes: Vec<serde_bytes::ByteBuf>,
    /// What was asked for and is not there, to be deleted (`--delete-missing-args`). At most [`PART_ENTRIES`].
    #[serde(deserialize_with = "list::<_, _, PART_ENTRIES>")]
    pub missing: Vec<RelPath>,
    /// What there is to tell. At most [`PART_ENTRIES`].
    #[serde(deserialize_with = "list::<_, _, PART_ENTRIES>")]
    pub notes: Vec<Note>,
    /// Operands that could not be used. At most [`PART_ENTRIES`].
    #[serde(deserialize_with = "list::<_, _, PART_ENTRIES>")]
    pub problems: Vec<Problem>,
    /// No part follows.
    pub last: bool,
    /// In the last part: the root is itself in the transfer (some operand names a directory's contents).
    pub root: Option<Properties>,
    /// In the last part: what is attached to the root, with `--acls` and `--xattrs`.
    pub attached: Option<Arc<Attached>>,
    /// In the last part: all that was selected is one entry that is not a directory, so that the destination
    /// may be a name for it.
    pub single: Option<Name>,
}

impl Roots {
    /// Cuts what is long into parts that fit into frames.
    #[must_use]
    pub fn parts(self) -> Vec<Roots> {
        let elements = self.prefixes.len().max(self.missing.len());
        let elements = elements.max(self.notes.len()).max(self.problems.len());
        if elements <= PART_ENTRIES && encoded_len(&self) <= PART_BYTES {
            return vec![self];
        }
        let (prefixes, missing, notes, problems) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let part = Roots::default;
        let mut all = Vec::new();
        all.extend(
            parts(self.prefixes, PART_ENTRIES).into_iter().map(|prefixes| Roots { prefixes, ..part() }),
        );
        all.extend(parts(self.missing, PART_ENTRIES).into_iter().map(|missing| Roots { missing, ..part() }));
        all.extend(parts(self.notes, PART_ENTRIES).into_iter().map(|notes| Roots { notes, ..part() }));
        all.extend(
            parts(self.problems, PART_ENTRIES).into_iter().map(|problems| Roots { problems, ..part() }),
        );
        all.push(Roots { prefixes, missing, notes, problems, ..self });
        all
    }
}

/// Names that the sender knows for owners and groups. One is sent before the first entry that has the
/// number; a number without a name is none that the sender could name.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Ids {
    /// Users: number and name, 1 to [`ID_NAME_MAX`] bytes. At most [`PART_ENTRIES`].
    #[serde(deserialize_with = "list::<_, _, PART_ENTRIES>")]
    pub users: Vec<(u32, serde_bytes::ByteBuf)>,
    /// Groups: the same.
    #[serde(deserialize_with = "list::<_, _, PART_ENTRIES>")]
    pub groups: Vec<(u32, serde_bytes::ByteBuf)>,
}

impl Ids {
    /// Cuts what is long into parts that fit into frames; none where there is nothing to tell.
    #[must_use]
    pub fn parts(self) -> Vec<Ids> {
        let users = parts(self.users, PART_ENTRIES).into_iter();
        let groups = parts(self.groups, PART_ENTRIES).into_iter();
        let (mut all, mut groups): (Vec<Ids>, Vec<Ids>) = (
            users.map(|users| Ids { users, groups: Vec::new() }).collect(),
            groups.map(|groups| Ids { users: Vec::new(), groups }).collect(),
        );
        if let ([users], [groups]) = (&mut all[..], &mut groups[..])
            && encoded_len(users) + encoded_len(groups) <= PART_BYTES
        {
            users.groups = std::mem::take(&mut groups.groups);
            return all;
        }
        all.append(&mut groups);
        all
    }
}

/// How the sending of a file ended.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum Outcome {
    /// All of it was sent; the digest is that of what was meant.
    Complete,
    /// It became shorter while it was sent: what was sent is no state that the file ever had.
    Shrank,
    /// It could not be read (any more).
    Failed(Problem),
}

/// A message to the receiver.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum ToReceiver {
    /// First: what is to be transferred.
    Roots(Roots),
    /// Names of owners and groups.
    Ids(Ids),
    /// A directory's entries.
    Listing(Listing),
    /// Every announced directory has been listed.
    ListingDone,
    /// The data of a file that was wanted begins: data frames and holes up to its end follow.
    File {
        /// The directory's number.
        dir: u32,
        /// The entry's place in the directory's whole listing, from 0.
        entry: u32,
        /// The size in bytes when it was opened.
        size: u64,
        /// The modification time when it was opened.
        mtime: Time,
        /// Where the data begins, in bytes: 0, or the length that the receiver has already.
        from: u64,
        /// A digest will come with the end of it.
        digest_follows: bool,
    },
    /// A small file that was wanted, whole.
    Inline {
        /// The directory's number.
        dir: u32,
        /// The entry's place in the directory's whole listing, from 0.
        entry: u32,
        /// The modification time when it was opened.
        mtime: Time,
        /// The data, at most [`INLINE_MAX`] bytes.
        #[serde(with = "serde_bytes")]
        data: Vec<u8>,
        /// The digest of the data, unless verification is off.
        digest: Option<Digest>,
    },
    /// The file begun last goes on with so many zeros that need no space, at least 1.
    Hole {
        /// In bytes.
        len: u64,
    },
    /// The end of a file that was wanted. It may come after the next file has begun, since the digest is
    /// computed beside the sending; it may come without a beginning, for a file that could not be opened.
    FileEnd {
        /// The directory's number.
        dir: u32,
        /// The entry's place in the directory's whole listing, from 0.
        entry: u32,
        /// How it went.
        outcome: Outcome,
        /// BLAKE3 of the whole file, or of what was wanted of it without a look at its beginning, keyed with
        /// [`super::seal::file_key`] in an authenticated session; with [`Outcome::Complete`] where one was promised,
        /// and with nothing else.
        digest: Option<Digest>,
    },
    /// A source file that was stored was removed (`--remove-source-files`), or could not be.
    Removed {
        /// The directory's number.
        dir: u32,
        /// The entry's place in the directory's whole listing, from 0.
        entry: u32,
        /// Why it is still there.
        problem: Option<Problem>,
    },
    /// The sender gives up.
    Fatal(Fatal),
    /// Last: what the sender did.
    Bye {
        /// The sender's figures.
        stats: Stats,
        /// What its mechanisms moved.
        ledger: Box<LedgerSnapshot>,
    },
    /// Long values of extended attributes, which were wanted; in parts where they are long.
    Xattrs {
        /// The directory's number.
        dir: u32,
        /// The entry's place in the directory's whole listing, from 0; `None` for the directory itself.
        entry: Option<u32>,
        /// The values, by name.
        #[serde(deserialize_with = "list::<_, _, XATTRS_MAX>")]
        values: Vec<Xattr>,
        /// No part follows.
        last: bool,
        /// In the last part: why there are none.
        problem: Option<Problem>,
    },
}

impl Message for ToReceiver {
    const TO: &'static str = "receiver";
    const NAMES: &'static [&'static str] = &[
        "Roots",
        "Ids",
        "Listing",
        "ListingDone",
        "File",
        "Inline",
        "Hole",
        "FileEnd",
        "Removed",
        "Fatal",
        "Bye",
        "Xattrs",
    ];

    fn check(&self) -> Result<(), Flaw> {
        match self {
            ToReceiver::Roots(roots) => {
                let Some(root) = &roots.root else {
                    return require(roots.attached.is_none(), "attached", "there is no root");
                };
                require(root.kind == Kind::Dir, "root.kind", "the root is a directory")?;
                require(roots.single.is_none(), "single", "the root is not a single entry")?;
                if let Some(attached) = &roots.attached {
                    let flaw = |(field, cause)| Flaw::new(&format!("attached.{field}"), cause);
                    attached.check(Kind::Dir).map_err(flaw)?;
                }
                root.check().map_err(|flaw| Flaw { field: format!("root.{}", flaw.field), ..flaw })
            }
            ToReceiver::Ids(Ids { users, groups }) => {
                let fits = |name: &[u8]| (1..=ID_NAME_MAX).contains(&name.len()) && !name.contains(&0);
                let cause = "a name has 1 to 256 bytes and no NUL";
                require(users.iter().all(|(_, name)| fits(name)), "users", cause)?;
                require(groups.iter().all(|(_, name)| fits(name)), "groups", cause)
            }
            ToReceiver::Listing(listing) => listing.check(),
            ToReceiver::File { size, from, .. } => {
                require(*size <= SIZE_MAX, "size", "larger than a file can be")?;
                require(from <= size, "from", "beyond the end of the file")
            }
            ToReceiver::Inline { data, .. } => {
                require(data.len() <= INLINE_MAX, "data", "too long to be sent inline")
            }
            ToReceiver::Hole { len } => {
                require((1..=SIZE_MAX).contains(len), "len", "a hole has 1 to 2^63 - 1 bytes")
            }
            ToReceiver::FileEnd { outcome, digest, .. } => {
                let fits = digest.is_none() || *outcome == Outcome::Complete;
                require(fits, "digest", "only what was sent completely has one")
            }
            ToReceiver::Fatal(fatal) => fatal.check(),
            ToReceiver::Bye { stats, .. } => figures(stats),
            ToReceiver::Xattrs { values, last, problem, .. } => {
                Xattrs::new(values.clone()).map_err(|cause| Flaw::new("values", cause))?;
                require(problem.is_none() || *last, "problem", "only the last part has one")
            }
            ToReceiver::ListingDone | ToReceiver::Removed { .. } => Ok(()),
        }
    }
}
