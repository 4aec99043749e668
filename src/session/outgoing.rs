//! The sending role's writer: messages, and the data of files in the order in which they were answered.

use std::ops::ControlFlow;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crossbeam_channel::{Receiver, select_biased};

use super::compress::Packing;
use super::frames::{FrameWriter, LinkError, PACKED_FRONT, idle, quiet};
use super::reached::{Mover, Reached};
use super::sender::Sending;
use crate::engine::digest::FileHasher;
use crate::engine::pack::{Crew, Piece};
use crate::engine::{Digest, Source};
use crate::event::Problem;
use crate::path::Attrs;
use crate::path::dir::OpenFile;
use crate::wire::ToReceiver;
use crate::wire::frame::DATA_MAX;
use crate::wire::to_receiver::Outcome;
use crate::wire::to_sender::How;

/// What the writer sends in order.
pub(super) enum Out {
    /// The data of a file, from there on.
    File {
        dir: u32,
        entry: u32,
        file: Arc<OpenFile>,
        from: u64,
        how: How,
        pack: bool,
        shrank: Arc<AtomicBool>,
        mover: Mover,
    },
    /// Its end, after the data.
    End { dir: u32, entry: u32, digest: Result<Option<Digest>, Problem>, shrank: Arc<AtomicBool> },
}

impl Sending<'_> {
    /// Writes until nobody has anything to send any more.
    pub(super) fn write_all(
        &self,
        writer: &mut FrameWriter,
        messages: &Receiver<ToReceiver>,
        files: &Receiver<Out>,
    ) -> Result<(), LinkError> {
        let (mut messages_open, mut files_open) = (true, true);
        let quiet = quiet(self.options.timeout);
        let never_message = crossbeam_channel::never();
        let never_file = crossbeam_channel::never();
        let mut crew = self.packing.as_ref().and_then(Packing::crew);
        while messages_open || files_open {
            if idle(|| messages.is_empty() && files.is_empty()) {
                writer.flush()?;
            }
            let from_messages = if messages_open { messages } else { &never_message };
            let from_files = if files_open { files } else { &never_file };
            select_biased! {
                recv(from_messages) -> message => match message {
                    Ok(message) => self.push(writer, message)?,
                    Err(_) => messages_open = false,
                },
                recv(from_files) -> out => match out {
                    Ok(out) => self.write_file(writer, out, crew.as_mut(), messages)?,
                    Err(_) => files_open = false,
                },
                default(quiet) => writer.keep_alive()?,
            }
        }
        writer.flush()
    }

    /// Whether the data of files is recorded only (`--only-write-batch`, where this side is the client).
    fn diverts(&self, writer: &FrameWriter) -> bool {
        self.options.only_batch && writer.records()
    }

    /// Sends a message; of a small file that is recorded only, that it has been dealt with.
    fn push(&self, writer: &mut FrameWriter, message: ToReceiver) -> Result<(), LinkError> {
        match message {
            ToReceiver::Inline { dir, entry, .. } if self.diverts(writer) => {
                writer.record(&message)?;
                let outcome = Outcome::Complete;
                writer.push_unrecorded(&ToReceiver::FileEnd { dir, entry, outcome, digest: None })
            }
            message => writer.push(&message),
        }
    }

    /// Sends what belongs to a file's data, or records it only.
    fn push_data(&self, writer: &mut FrameWriter, message: &ToReceiver) -> Result<(), LinkError> {
        if self.diverts(writer) { writer.record(message) } else { writer.push(message) }
    }

    pub(super) fn write_file(
        &self,
        writer: &mut FrameWriter,
        out: Out,
        crew: Option<&mut Crew>,
        messages: &Receiver<ToReceiver>,
    ) -> Result<(), LinkError> {
        let (dir, entry, outcome, digest) = match out {
            Out::End { dir, entry, digest, shrank } => match digest {
                _ if shrank.load(Ordering::Relaxed) => (dir, entry, Outcome::Shrank, None),
                Ok(digest) => (dir, entry, Outcome::Complete, digest),
                Err(problem) => {
                    self.log(&problem);
                    (dir, entry, Outcome::Failed(problem), None)
                }
            },
            Out::File { dir, entry, file, from, how, pack, shrank, mover } => {
                let Attrs { size, mtime, dev, allocated, .. } = file.attrs;
                let digest_follows = !self.options.apply.unverified || how == How::Copying;
                let begin = ToReceiver::File { dir, entry, size, mtime, from, digest_follows };
                self.push_data(writer, &begin)?;
                let mut hasher = (how == How::Copying).then(|| FileHasher::new(self.engine.key()));
                let crew = crew.filter(|_| pack && !self.diverts(writer));
                let source = Source { fd: file.as_fd(), dev, from, len: size, allocated };
                let whole = self.write_data(writer, source, &mover.0, hasher.as_mut(), crew, messages)?;
                shrank.fetch_or(!whole, Ordering::Relaxed);
                if whole {
                    self.meter.files_done.fetch_add(1, Ordering::Relaxed);
                }
                match hasher {
                    None => return Ok(()),
                    Some(hasher) if whole => (dir, entry, Outcome::Complete, Some(hasher.finish())),
                    Some(_) => (dir, entry, Outcome::Shrank, None),
                }
            }
        };
        self.answered(dir, entry);
        writer.push(&ToReceiver::FileEnd { dir, entry, outcome, digest })
    }

    /// Sends the data and holes of a file; `false`: it ended early.
    pub(super) fn write_data(
        &self,
        writer: &mut FrameWriter,
        source: Source<'_>,
        reached: &Reached,
        mut hasher: Option<&mut FileHasher>,
        mut crew: Option<&mut Crew>,
        messages: &Receiver<ToReceiver>,
    ) -> Result<bool, LinkError> {
        let Source { fd: file, from, len: size, .. } = source;
        let mut at = from;
        let mut result = Ok(true);
        let mut segment = |start: u64, len: u64| -> Result<bool, LinkError> {
            if start > at {
                self.push_data(writer, &ToReceiver::Hole { len: start - at })?;
                if let Some(hasher) = &mut hasher {
                    hasher.zeros(start - at);
                }
            }
            at = start;
            let ledger = self.engine.ledger();
            while at < start + len {
                let left = start + len - at;
                let pieces = match &mut crew {
                    Some(crew) => crew.pack(file, at, left, DATA_MAX, PACKED_FRONT),
                    None => vec![Piece::default()],
                };
                for Piece { bytes, packed } in pieces {
                    let piece = usize::try_from(start + len - at).unwrap_or(DATA_MAX).min(DATA_MAX);
                    let real = match packed {
                        Some(packed) => {
                            if let Some(hasher) = &mut hasher {
                                hasher.update(&bytes);
                            }
                            writer.packed_data(bytes.len(), packed, ledger, self.pacer)?;
                            bytes.len()
                        }
                        None => {
                            let hasher = hasher.as_deref_mut();
                            if self.diverts(writer) {
                                writer.record_data(file, at, piece, hasher, ledger, self.pacer)?
                            } else {
                                writer.data(file, at, piece, hasher, ledger, self.pacer)?
                            }
                        }
                    };
                    if real < piece {
                        return Ok(false);
                    }
                    at += piece as u64;
                    reached.tell(at);
                    // Listings and small files do not wait for a large one to end.
                    while let Ok(message) = messages.try_recv() {
                        self.push(writer, message)?;
                    }
                }
            }
            Ok(true)
        };
        let mapped = self.engine.each_data(source, &mut |start, len| {
            result = segment(start, len);
            if matches!(result, Ok(true)) { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        let whole = result?;
        if whole && mapped.is_ok() && at < size {
            self.push_data(writer, &ToReceiver::Hole { len: size - at })?;
            if let Some(hasher) = &mut hasher {
                hasher.zeros(size - at);
            }
        }
        Ok(whole && mapped.is_ok())
    }
}
