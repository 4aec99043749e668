//! The file's side of a connection: pieces of its contents, read, written and cleared.

use std::os::fd::BorrowedFd;

use super::BUFFER_BYTES;
use crate::engine::ladder::Rung;
use crate::engine::ledger::Ledger;
use crate::sys::{self, Errno};

/// Makes `len` bytes of `file` at `off` read as zeros: a hole, where old bytes may be in the way.
///
/// # Errors
///
/// The filesystem cannot, or has no room.
pub fn clear(file: BorrowedFd<'_>, off: u64, len: u64) -> Result<(), Errno> {
    match sys::fallocate::punch_hole(file, off, len) {
        Err(Errno::EOPNOTSUPP | Errno::ENOSYS) => {}
        done => return done,
    }
    let zeros = vec![0; BUFFER_BYTES];
    let mut done = 0;
    while done < len {
        let n = usize::try_from(len - done).unwrap_or(BUFFER_BYTES).min(BUFFER_BYTES);
        done += sys::pio::pwrite(file, zeros.get(..n).unwrap_or_default(), off + done)? as u64;
    }
    Ok(())
}

/// Reads up to `len` bytes of `file` at `off`; fewer, where it ends.
///
/// # Errors
///
/// As `pread(2)`.
pub fn read_at(file: BorrowedFd<'_>, off: u64, len: usize, ledger: &Ledger) -> Result<Vec<u8>, Errno> {
    let mut bytes = vec![0; len];
    let mut done = 0;
    while done < len {
        match sys::pio::pread(file, bytes.get_mut(done..).unwrap_or_default(), off + done as u64)? {
            0 => break,
            n => {
                ledger.step(Rung::Buffered, n, len - done);
                done += n;
            }
        }
    }
    bytes.truncate(done);
    Ok(bytes)
}

/// Writes all of `bytes` to `file` at `off`.
///
/// # Errors
///
/// As `pwrite(2)`.
pub fn write_at(file: BorrowedFd<'_>, bytes: &[u8], off: u64, ledger: &Ledger) -> Result<(), Errno> {
    let mut storing = Storing { file: Some(file), result: Ok(()), ledger };
    storing.write(bytes, off);
    storing.result
}

/// Copies up to `len` bytes of `from` at `off` to `to` at `at`, inside the kernel where these two allow it.
///
/// Returns how many: fewer, where `from` ends or cannot be read.
///
/// # Errors
///
/// `to` cannot take them, as `pwrite(2)`.
pub fn copy_range(
    from: BorrowedFd<'_>,
    off: u64,
    to: BorrowedFd<'_>,
    at: u64,
    len: usize,
    ledger: &Ledger,
) -> Result<usize, Errno> {
    let mut done = 0;
    while done < len {
        match sys::copy_file_range::copy_file_range(from, off + done as u64, to, at + done as u64, len - done)
        {
            Ok(n) if n > 0 => {
                ledger.step(Rung::CopyFileRange, n, len - done);
                done += n;
            }
            // An end, which virtual files have too early; or a refusal. Reading and writing decide.
            Ok(_) => break,
            Err(e) => {
                ledger.refusal(Rung::CopyFileRange, e);
                break;
            }
        }
    }
    let mut buffer = vec![0; if done < len { BUFFER_BYTES.min(len - done) } else { 0 }];
    while done < len {
        let want = buffer.len().min(len - done);
        let n = match sys::pio::pread(from, buffer.get_mut(..want).unwrap_or_default(), off + done as u64) {
            Ok(n) if n > 0 => n,
            _ => break,
        };
        write_at(to, buffer.get(..n).unwrap_or_default(), at + done as u64, ledger)?;
        done += n;
    }
    Ok(done)
}

/// Ends `file` after `len` bytes, the data being in place.
///
/// # Errors
///
/// As `ftruncate(2)`.
pub fn set_len(file: BorrowedFd<'_>, len: u64) -> Result<(), Errno> {
    sys::fallocate::ftruncate(file, len)
}

/// The file's side of [`Inlet::store`](super::Inlet::store).
pub(super) struct Storing<'a> {
    pub(super) file: Option<BorrowedFd<'a>>,
    pub(super) result: Result<(), Errno>,
    pub(super) ledger: &'a Ledger,
}

impl Storing<'_> {
    /// Nothing more is written.
    pub(super) fn over(&self) -> bool {
        self.file.is_none() || self.result.is_err()
    }

    pub(super) fn write(&mut self, bytes: &[u8], at: u64) {
        let Some(file) = self.file.filter(|_| self.result.is_ok()) else { return };
        let mut done = 0;
        while done < bytes.len() {
            let rest = bytes.get(done..).unwrap_or_default();
            match sys::pio::pwrite(file, rest, at + done as u64) {
                Ok(n) if n > 0 => {
                    self.ledger.step(Rung::Buffered, n, rest.len());
                    done += n;
                }
                Ok(_) => return self.result = Err(Errno::EIO),
                Err(e) => return self.result = Err(e),
            }
        }
    }

    /// Empties the pipe into the file; `false`: the pipe is to be thrown away.
    pub(super) fn drain(&mut self, pipe: &sys::splice::Pipe, at: u64, len: usize) -> bool {
        let Some(file) = self.file else { return false };
        let mut done = 0;
        while done < len {
            match sys::splice::drain(pipe, file, at + done as u64, len - done) {
                Ok(n) if n > 0 => done += n,
                Ok(_) => {
                    self.result = Err(Errno::EIO);
                    return false;
                }
                Err(e) => {
                    self.result = Err(e);
                    return false;
                }
            }
        }
        true
    }
}
