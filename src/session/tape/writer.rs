//! `Tape`: a session on its way into a batch file.
//!
//! Data is stored here first, and goes on from here: what a batch holds is what was sent, or what arrived,
//! whatever becomes of the source meanwhile. The file has no name until it is whole.

use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

use super::Wanted;
use crate::engine::Ledger;
use crate::engine::stream;
use crate::path::temp::{PRIVATE, TempFile};
use crate::path::{Dir, Kind, Name, PathError, dir, escape, operand};
use crate::session::frames::LinkError;
use crate::sys::Errno;
use crate::wire::batch::Head;
use crate::wire::frame::CONTROL_MAX;
use crate::wire::{FrameKind, Header, Seal};

/// Bytes of messages that make a frame. A guess, as for frames on a connection.
const COLLECT: usize = 64 << 10;

/// Who may read and run `FILE.sh`: as rsync has it.
const SCRIPT_MODE: u32 = 0o700;

/// See the module.
#[derive(Debug)]
pub struct Tape {
    wanted: Arc<Wanted>,
    dir: Arc<Dir>,
    name: Name,
    script: Name,
    file: TempFile,
    /// Where the next frame begins.
    at: u64,
    seal: Seal,
    /// Messages that are not in a frame yet.
    payload: Vec<u8>,
    /// What is written here is no part of the run's figures.
    ledger: Ledger,
}

impl Tape {
    /// Begins the batch `wanted` with `head`.
    ///
    /// # Errors
    ///
    /// The file cannot be made: exit 3, as with rsync, or 11.
    pub(super) fn begin(wanted: &Arc<Wanted>, head: &Head) -> Result<Tape, LinkError> {
        let file = &wanted.file;
        let begin = || -> Result<Tape, PathError> {
            let at = operand::resolve_followed(file)?;
            let failed = |source| PathError { op: "write", path: file.as_bytes().to_vec(), source };
            let (dir, Some(name)) = (at.dir, at.name) else { return Err(failed(Errno::EISDIR)) };
            let dir = Arc::new(dir);
            let script = Name::parse(&[name.as_bytes(), b".sh"].concat());
            let script = script.map_err(|_| failed(Errno::ENAMETOOLONG))?;
            for name in [&name, &script] {
                // It will be replaced: a file, and nothing that is something else to others.
                match dir.stat_if_any(name).map_err(failed)?.map(|there| there.kind) {
                    None | Some(Kind::File) => {}
                    Some(Kind::Dir) => return Err(failed(Errno::EISDIR)),
                    Some(_) => return Err(failed(Errno::EINVAL)),
                }
            }
            let file = TempFile::create(&dir, &name, PRIVATE).map_err(failed)?;
            let (payload, ledger) = (Vec::new(), Ledger::default());
            let seal = head.seal();
            Ok(Tape { wanted: Arc::clone(wanted), dir, name, script, file, at: 0, seal, payload, ledger })
        };
        let mut tape = begin().map_err(|e| {
            let code = if e.source == Errno::ENOENT { 3 } else { 11 };
            LinkError::Fatal(code, format!("batch file: {e}"))
        })?;
        tape.write(&head.encode())?;
        Ok(tape)
    }

    /// Where data that was recorded can be had from.
    pub(in crate::session) fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    /// Records a message, encoded.
    ///
    /// # Errors
    ///
    /// The batch cannot be written, as with everything here: the run ends, exit 11.
    pub(in crate::session) fn push(&mut self, message: &[u8]) -> Result<(), LinkError> {
        if self.payload.len() + message.len() > CONTROL_MAX {
            self.flush()?;
        }
        self.payload.extend_from_slice(message);
        if self.payload.len() >= COLLECT { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), LinkError> {
        let payload = std::mem::take(&mut self.payload);
        if payload.is_empty() {
            return Ok(());
        }
        self.sealed(FrameKind::Control, &payload)?;
        self.payload = payload;
        self.payload.clear();
        Ok(())
    }

    fn sealed(&mut self, kind: FrameKind, payload: &[u8]) -> Result<(), LinkError> {
        let header = Header::new(kind, payload.len())?;
        let tag = self.seal.tag(header, payload);
        self.write(&[&header.encode(), payload, &tag].concat())
    }

    /// Records data that is packed: the payload of its frame.
    ///
    /// # Errors
    ///
    /// As [`Tape::push`].
    pub(in crate::session) fn packed(&mut self, payload: &[u8]) -> Result<(), LinkError> {
        self.flush()?;
        self.sealed(FrameKind::PackedData, payload)
    }

    /// Begins a data frame; returns where its data belongs in the file.
    ///
    /// # Errors
    ///
    /// As [`Tape::push`].
    pub(in crate::session) fn begin_data(&mut self, header: Header) -> Result<u64, LinkError> {
        self.flush()?;
        self.write(&header.encode())?;
        Ok(self.at)
    }

    /// Ends the data frame begun last, of which `real` bytes are real.
    ///
    /// # Errors
    ///
    /// As [`Tape::push`].
    pub(in crate::session) fn end_data(&mut self, header: Header, real: usize) -> Result<(), LinkError> {
        self.at += header.len() as u64;
        self.seal.note_data(header, real);
        self.write(&header.trailer(real)?)
    }

    /// Records `header`'s bytes of `file` from `off` on; returns where they are now, and how many are real.
    ///
    /// # Errors
    ///
    /// As [`Tape::push`].
    pub(in crate::session) fn data(
        &mut self,
        header: Header,
        file: BorrowedFd<'_>,
        off: u64,
        ledger: &Ledger,
    ) -> Result<(u64, usize), LinkError> {
        let at = self.begin_data(header)?;
        let real = stream::copy_range(file, off, self.file.as_fd(), at, header.len(), ledger);
        let real = real.map_err(|e| self.failed(e))?;
        self.end_data(header, real)?;
        Ok((at, real))
    }

    /// What to say where the batch cannot be written.
    pub(in crate::session) fn failed(&self, e: Errno) -> LinkError {
        let shown = escape(self.wanted.file.as_bytes());
        LinkError::Fatal(11, format!("write batch file \"{shown}\": {}", std::io::Error::from(e)))
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), LinkError> {
        stream::write_at(self.file.as_fd(), bytes, self.at, &self.ledger).map_err(|e| self.failed(e))?;
        self.at += bytes.len() as u64;
        Ok(())
    }

    /// Gives the batch and its script their names: all has been recorded.
    ///
    /// # Errors
    ///
    /// As [`Tape::push`].
    pub(super) fn end(mut self) -> Result<(), LinkError> {
        self.flush()?;
        let script = self.write_script();
        let script = script.map_err(|e| self.failed(e))?;
        dir::flush(self.file.as_fd()).map_err(|e| self.failed(e))?;
        let Tape { wanted, dir, name, script: script_name, file, .. } = self;
        let done = file.commit(&dir, &name, true).and_then(|()| script.commit(&dir, &script_name, true));
        done.map_err(|e| {
            let shown = escape(wanted.file.as_bytes());
            LinkError::Fatal(11, format!("write batch file \"{shown}\": {}", std::io::Error::from(e)))
        })
    }

    fn write_script(&self) -> Result<TempFile, Errno> {
        let script = TempFile::create(&self.dir, &self.script, PRIVATE)?;
        stream::write_at(script.as_fd(), &self.wanted.script, 0, &self.ledger)?;
        dir::set_mode(script.as_fd(), SCRIPT_MODE)?;
        Ok(script)
    }
}

/// A path as people read it.
pub(super) fn shown(path: &OsStr) -> String {
    escape(path.as_bytes())
}
