//! The sending role's answers: files that are wanted are opened, hashed, and handed to the writer.

use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crossbeam_channel::Sender;

use super::frames::LinkError;
use super::outgoing::Out;
use super::reached::{Mover, Reached};
use super::sender::Sending;
use crate::apply::file::{diminished, source_problem};
use crate::apply::here::remove_source;
use crate::engine::digest::FileHasher;
use crate::engine::{Digest, DigestError, Following, Pace, Source};
use crate::event::Problem;
use crate::path::dir::{OpenFile, Reading};
use crate::path::xattr::{Inode, Xattrs};
use crate::path::{Attrs, HeldDir, Kind, temp};
use crate::plan::Append;
use crate::plan::attached::long_values;
use crate::plan::entry::Entry;
use crate::plan::look::At;
use crate::plan::source::typed;
use crate::wire::to_receiver::Outcome;
use crate::wire::to_sender::{Have, How};
use crate::wire::{ToReceiver, WireError, parts};

/// Files up to this many bytes travel inside a message: nothing is gained by moving so few by reference.
/// A guess, to be measured: a `sendfile` and its frame cost two to three calls.
const INLINE_UP_TO: u64 = 32 << 10;

/// What is wanted.
pub(super) enum Wish {
    /// The data of a file.
    File { dir: u32, number: u32, how: How, have: Option<Have> },
    /// The long values of the extended attributes of an entry, or of the directory itself.
    Xattrs { dir: u32, entry: Option<u32> },
}

/// The writer is gone.
pub(super) struct Gone;

impl Sending<'_> {
    /// Answers a wish.
    pub(super) fn answer(
        &self,
        wish: &Wish,
        messages: &Sender<ToReceiver>,
        files: &Sender<Out>,
    ) -> Result<(), Gone> {
        match *wish {
            Wish::File { dir, number, how, have } => {
                self.answer_file(dir, number, how, have, messages, files)
            }
            Wish::Xattrs { dir, entry } => {
                let (values, problem) = match self.long_xattrs(dir, entry) {
                    Ok(values) => (values.into_vec(), None),
                    Err(problem) => (Vec::new(), Some(problem)),
                };
                let mut parts = parts(values, usize::MAX);
                let last = parts.pop().unwrap_or_default();
                for values in parts {
                    let part = ToReceiver::Xattrs { dir, entry, values, last: false, problem: None };
                    messages.send(part).map_err(|_| Gone)?;
                }
                let last = ToReceiver::Xattrs { dir, entry, values: last, last: true, problem };
                messages.send(last).map_err(|_| Gone)
            }
        }
    }

    /// The values that the listing did not hold.
    fn long_xattrs(&self, dir: u32, entry: Option<u32>) -> Result<Xattrs, Problem> {
        let unlisted = || Problem::text("send", b"extended attributes", "were asked for and never listed");
        let announced = self.announced().get(&dir).cloned().ok_or_else(unlisted)?;
        let At::Here(dirs) = &announced.sources.at else { return Err(unlisted()) };
        let entry = match entry {
            Some(number) => Some(announced.entries.get(number as usize).ok_or_else(unlisted)?),
            None => None,
        };
        let attached = entry.map_or(&announced.own, |entry| &entry.attached);
        let attached = attached.as_ref().ok_or_else(unlisted)?;
        let source = entry.map_or(announced.own_source, |entry| entry.source);
        let path = &announced.sources.path;
        let path = entry.map_or_else(|| path.clone(), |entry| path.join(&entry.name));
        let (names, _) = attached.long();
        let read = || {
            let held = dirs.get(source).ok_or(crate::sys::Errno::ENOENT)?.get()?;
            let inode = match entry {
                Some(entry) => Inode::named(&held, &entry.name, entry.followed),
                None => Inode::dir(&held),
            };
            long_values(inode.seen(self.options.plan.source_face()), &names)
        };
        read().map_err(|e| {
            let typed = announced.sources.typed(source, &path);
            source_problem("read extended attributes of", &typed, e)
        })
    }

    /// Opens and hashes a file that is wanted, and has it sent.
    fn answer_file(
        &self,
        dir: u32,
        number: u32,
        how: How,
        have: Option<Have>,
        messages: &Sender<ToReceiver>,
        files: &Sender<Out>,
    ) -> Result<(), Gone> {
        let failed = |problem| {
            self.log(&problem);
            self.answered(dir, number);
            ToReceiver::FileEnd { dir, entry: number, outcome: Outcome::Failed(problem), digest: None }
        };
        let announced = self.announced().get(&dir).cloned();
        let entry = announced.as_ref().and_then(|a| a.entries.get(number as usize));
        let (Some(announced), Some(entry)) = (&announced, entry) else {
            // It was, and is not now: the receiver has the tree listed anew.
            let problem = Problem::text("send", b"a file", "was asked for and never listed");
            return messages.send(failed(problem)).map_err(|_| Gone);
        };
        let path = announced.sources.path.join(&entry.name);
        let name = announced.sources.typed(entry.source, &path);
        let held = match &announced.sources.at {
            At::Here(dirs) => dirs.get(entry.source),
            At::Peer(_) => None,
        };
        // Nobody compares what is only recorded, so what is hashed has to be what is recorded.
        let how = if self.options.only_batch { How::Copying } else { how };
        let reading = self.options.plan.reading();
        let opened = held.ok_or(crate::sys::Errno::ENOENT).and_then(|held| open(held, entry, reading));
        let file = match opened {
            Ok(file) if entry.attrs.kind == Kind::File => file,
            Ok(_) => return messages.send(failed(not_a_file(&name))).map_err(|_| Gone),
            Err(e) => {
                let problem = source_problem("open", &name, e);
                return messages.send(failed(problem)).map_err(|_| Gone);
            }
        };
        if let Some(watch) = self.options.watch.as_ref().filter(|_| how == How::Kernel) {
            watch.sends(&name, &path, file.attrs);
        }
        // What is added to is never sent whole.
        let unseen = have.filter(|have| have.digest.is_none());
        if file.attrs.size <= INLINE_UP_TO && unseen.is_none() {
            let message = match self.inline(&file) {
                Ok(data) => {
                    let digest = (!self.options.apply.unverified).then(|| self.digest_of(&data));
                    ToReceiver::Inline { dir, entry: number, mtime: file.attrs.mtime, data, digest }
                }
                Err(Some(e)) => failed(source_problem("read", &name, e)),
                Err(None) => {
                    ToReceiver::FileEnd { dir, entry: number, outcome: Outcome::Shrank, digest: None }
                }
            };
            self.meter.files_done.fetch_add(1, Ordering::Relaxed);
            self.answered(dir, number);
            return messages.send(message).map_err(|_| Gone);
        }
        let file = Arc::new(match held.filter(|_| how == How::Kernel && !entry.followed) {
            Some(held) => self.frozen(held, file),
            None => file,
        });
        let (from, mut following) = match self.beginning(&file, how, have) {
            Ok(Some(beginning)) => beginning,
            Ok(None) => return messages.send(failed(diminished(&name))).map_err(|_| Gone),
            Err(DigestError::Failed { source, .. }) => {
                return messages.send(failed(source_problem("read", &name, source))).map_err(|_| Gone);
            }
            Err(_) => return Err(Gone),
        };
        let shrank = Arc::new(AtomicBool::new(false));
        let pack = self.packing.as_ref().is_some_and(|packing| packing.takes(&entry.name));
        let reached = Arc::<Reached>::default();
        let mover = Mover(Arc::clone(&reached));
        let (sent, cut) = (Arc::clone(&file), Arc::clone(&shrank));
        let out = Out::File { dir, entry: number, file: sent, from, how, pack, shrank: cut, mover };
        files.send(out).map_err(|_| Gone)?;
        if how == How::Copying {
            return Ok(()); // what is sent is hashed as it is sent
        }
        let digest = || {
            reached.follow(&mut following)?;
            following.finish(file.attrs.size)
        };
        let digest = match (!self.options.apply.unverified).then(digest).transpose() {
            Ok(digest) => Ok(digest),
            Err(DigestError::Changed) => {
                shrank.store(true, Ordering::Relaxed);
                Ok(None)
            }
            Err(DigestError::Failed { source, .. }) => Err(source_problem("read", &name, source)),
            Err(DigestError::Interrupted) => return Err(Gone),
        };
        files.send(Out::End { dir, entry: number, digest, shrank }).map_err(|_| Gone)
    }

    /// The file, or an image of it that nobody writes to while it is on its way.
    fn frozen(&self, held: &HeldDir, file: OpenFile) -> OpenFile {
        let Attrs { size, dev, allocated, .. } = file.attrs;
        let source = Source { fd: file.as_fd(), dev, from: 0, len: size, allocated };
        let make = || held.get()?.create_unnamed(temp::PRIVATE);
        match self.engine.freeze(source, make, self.pacer) {
            Some(image) => file.seen_as(image),
            None => file,
        }
    }

    /// Where the data that the receiver lacks begins, in bytes, and the digest that goes on from there; `None`: the
    /// file has become shorter than what it is to be added to.
    fn beginning<'f>(
        &'f self,
        file: &'f OpenFile,
        how: How,
        have: Option<Have>,
    ) -> Result<Option<(u64, Following<'f>)>, DigestError> {
        let pace: &dyn Pace = self.pacer;
        let whole = || Ok(Some((0, self.engine.follow(file.as_fd(), pace))));
        let Some(Have { len, digest }) = have else { return whole() };
        if self.options.record.is_some() && digest.is_some() {
            // A batch holds whole files: other destinations may not have the beginning.
            return whole();
        }
        if len > file.attrs.size && self.options.plan.append != Append::Off {
            return Ok(None);
        }
        let Some(theirs) = digest else {
            let added = self.engine.follow_on(self.engine.hasher(), file.as_fd(), len, pace);
            return Ok((len <= file.attrs.size).then_some((len, added)));
        };
        if len > file.attrs.size || how == How::Copying {
            return whole();
        }
        let mut following = self.engine.follow(file.as_fd(), pace);
        match following.beginning(len) {
            Ok(ours) if ours == theirs => Ok(Some((len, following))),
            Ok(_) | Err(DigestError::Changed) => whole(),
            Err(e) => Err(e),
        }
    }

    /// All bytes of a small file; `None`: it ended early.
    pub(super) fn inline(&self, file: &OpenFile) -> Result<Vec<u8>, Option<crate::sys::Errno>> {
        let len = usize::try_from(file.attrs.size).map_err(|_| None)?;
        let data =
            crate::engine::stream::read_at(file.as_fd(), 0, len, self.engine.ledger()).map_err(Some)?;
        let paced = self.pacer.advance(data.len() as u64, crate::engine::Rung::Buffered);
        // A wish to stop is heard by the writer.
        let _over = paced.is_break();
        if data.len() == len { Ok(data) } else { Err(None) }
    }

    pub(super) fn digest_of(&self, data: &[u8]) -> Digest {
        let mut hasher = FileHasher::new(self.engine.key());
        hasher.update(data);
        hasher.finish()
    }

    pub(super) fn remove(&self, dir: u32, number: u32) -> Result<Option<Problem>, LinkError> {
        if !self.options.apply.remove_source_files {
            return Err(WireError::out_of_order("Stored", "sources are not to be removed").into());
        }
        let announced = self.announced().get(&dir).cloned();
        let entry = announced.as_ref().and_then(|a| a.entries.get(number as usize));
        let (Some(announced), Some(entry)) = (&announced, entry) else {
            return Err(WireError::out_of_order("Stored", "was never listed").into());
        };
        let At::Here(dirs) = &announced.sources.at else { return Ok(None) };
        let path = announced.sources.path.join(&entry.name);
        let name = typed(announced.sources.prefix(entry.source), &path);
        let held = dirs.get(entry.source).ok_or(crate::sys::Errno::ENOENT).and_then(|held| held.get());
        Ok(match held {
            Ok(held) => remove_source(&held, entry, None, &name).err(),
            Err(e) => Some(source_problem("remove", &name, e)),
        })
    }
}

pub(super) fn open(held: &HeldDir, entry: &Entry, reading: Reading) -> Result<OpenFile, crate::sys::Errno> {
    held.get()?.open_source(&entry.name, entry.followed, reading)
}

fn not_a_file(name: &[u8]) -> Problem {
    Problem::text("send", name, "is not a regular file")
}
