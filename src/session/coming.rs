//! A sending peer as the supply of the files that it has listed.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::arrivals::Arrivals;
use super::slot::{Arrived, Slot, Ticket};
use crate::apply::file::{Filled, Incoming, Kept, Place, Supply};
use crate::apply::{Applier, Failure};
use crate::engine::{DigestError, FileHasher, Target, stream};
use crate::path::xattr::Xattrs;
use crate::wire::to_receiver::Outcome;
use crate::wire::to_sender::{Have, How};

/// A directory of the peer's as the sending side of what is in it.
pub(super) struct Peer<'a> {
    pub(super) arrivals: &'a Arrivals<'a>,
    /// The peer's number for it.
    pub(super) dir: u32,
}

impl Supply for Peer<'_> {
    fn open(&self, place: &Place<'_>, attempt: u32) -> Result<Box<dyn Incoming + '_>, Failure> {
        // What differed may have differed because the pages had not left yet when they were changed.
        let how = if attempt == 0 { How::Kernel } else { How::Copying };
        let key = (self.dir, place.entry.number);
        Ok(Box::new(Coming { arrivals: self.arrivals, key, how, ticket: Arc::default(), seen: None }))
    }

    fn long_xattrs(&self, place: &Place<'_>, _names: &[&[u8]]) -> Result<Xattrs, Failure> {
        self.arrivals.long_xattrs(self.dir, Some(place.entry.number))
    }

    fn remove(&self, place: &Place<'_>) -> Result<(), Failure> {
        self.arrivals.stored(self.dir, place.entry.number)
    }
}

/// A file that is asked for.
struct Coming<'a> {
    arrivals: &'a Arrivals<'a>,
    key: (u32, u32),
    how: How,
    ticket: Arc<Ticket>,
    /// What is there has been hashed.
    seen: Option<FileHasher>,
}

impl Incoming for Coming<'_> {
    fn resumes(&self) -> bool {
        true
    }

    fn aim(&mut self, applier: &Applier<'_>, target: Arc<OwnedFd>, kept: Kept) -> Result<(), Failure> {
        let have = match kept {
            Kept::Nothing | Kept::Other => None,
            // A batch holds whole files: other destinations may not have the beginning.
            Kept::Partial(_) | Kept::Beginning(_) if self.arrivals.records => None,
            Kept::Unseen(len) => Some(Have { len, digest: None }),
            Kept::Partial(len) | Kept::Beginning(len) => {
                let mut following = applier.engine.follow(target.as_fd(), applier.pace);
                match following.beginning(len) {
                    Ok(digest) => {
                        self.seen = Some(following.into_hasher());
                        Some(Have { len, digest: Some(digest) })
                    }
                    Err(DigestError::Interrupted) => return Err(Failure::Stopped),
                    // It is sent whole, then.
                    Err(DigestError::Changed | DigestError::Failed { .. }) => None,
                }
            }
        };
        let slot = Slot::new(Some(target), kept, have.map(|have| have.len), Arc::clone(&self.ticket));
        self.arrivals.want(self.key, self.how, have, slot)
    }

    fn fill(
        self: Box<Self>,
        applier: &Applier<'_>,
        place: &Place<'_>,
        target: Target<'_>,
        kept: Kept,
    ) -> Result<Result<Filled, Failure>, Failure> {
        let engine = applier.engine;
        let seen = match kept {
            Kept::Unseen(_) => Some(engine.hasher()),
            _ => self.seen,
        };
        if seen.is_some() {
            // Where the data begins is not known before it comes.
            self.ticket.reached.begun();
        }
        let from = self.ticket.from.load(Ordering::Relaxed);
        // What was hashed to be compared is not hashed once more.
        let mut following = match seen.filter(|_| from > 0) {
            Some(seen) => engine.follow_on(seen, target.fd, from, applier.pace),
            None => engine.follow(target.fd, applier.pace),
        };
        let followed = if applier.options.unverified {
            self.ticket.reached.ended();
            Ok(())
        } else {
            self.ticket.reached.follow(&mut following)
        };
        let arrived = self.ticket.take().ok_or(Failure::Stopped)?;
        match arrived.outcome {
            Outcome::Complete => {}
            Outcome::Shrank => return Ok(Err(place.shrank())),
            Outcome::Failed(problem) => return Err(problem.into()),
        }
        let failed = |op| move |e| applier.dest_failure(op, place.path, e);
        arrived.stored.map_err(failed("write"))?;
        if !target.device && (arrived.end < arrived.size || !target.fresh) {
            stream::set_len(target.fd, arrived.size).map_err(failed("truncate"))?;
        }
        if applier.options.unverified && arrived.digest.is_none() || target.device {
            let Arrived { size, mtime, moved, .. } = arrived;
            return Ok(Ok(Filled { size, mtime, moved, digest: None }));
        }
        let ours = match followed.and_then(|()| following.finish(arrived.size)) {
            Ok(digest) => Some(digest.0),
            Err(DigestError::Changed) => None,
            Err(DigestError::Interrupted) => return Err(Failure::Stopped),
            Err(DigestError::Failed { source, .. }) => return Err(failed("verify")(source)),
        };
        if ours.is_none() || ours != arrived.digest {
            return Ok(Err(place.differs()));
        }
        let Arrived { size, mtime, moved, .. } = arrived;
        let digest = ours.filter(|_| !matches!(kept, Kept::Unseen(_)));
        Ok(Ok(Filled { size, mtime, moved, digest }))
    }
}
