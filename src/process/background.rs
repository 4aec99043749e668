//! A process that goes on in the background: leaving the terminal, and the file that has its number.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Write as _;

use crate::path::operand;
use crate::sys::{Errno, process};

/// Goes on in the background, as [`process::detach`] describes.
///
/// # Errors
///
/// No further process can be had.
pub fn detach() -> Result<(), Errno> {
    process::detach()
}

/// A file with the number of this process, locked for as long as it runs.
#[derive(Debug)]
pub struct PidFile {
    path: OsString,
    file: File,
}

impl PidFile {
    /// Opens and locks the file at `path`, before its number is known.
    ///
    /// # Errors
    ///
    /// It cannot be written, or another process holds it: that one runs.
    pub fn lock(path: &OsStr) -> Result<PidFile, String> {
        let shown = crate::path::escape(path.as_encoded_bytes());
        let file = operand::append_file(path).map_err(|e| e.to_string())?;
        match file.try_lock() {
            Ok(()) => Ok(PidFile { path: path.to_owned(), file }),
            Err(std::fs::TryLockError::WouldBlock) => {
                Err(format!("pid file \"{shown}\": another daemon runs and holds it"))
            }
            Err(std::fs::TryLockError::Error(e)) => Err(format!("lock pid file \"{shown}\": {e}")),
        }
    }

    /// Writes the number of this process, in place of an older one.
    ///
    /// # Errors
    ///
    /// The disk is full, or the like.
    pub fn write(&mut self) -> std::io::Result<()> {
        self.file.set_len(0)?;
        writeln!(self.file, "{}", std::process::id())
    }

    /// Removes the file, as the last thing that the process does with it.
    pub fn remove(self) {
        // If it cannot be removed it stays, unlocked: the next daemon takes it over.
        if let Ok(at) = operand::resolve(&self.path)
            && let Some(name) = at.name
        {
            let _stays = at.dir.remove(&name);
        }
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)] // the test looks at the file from outside
mod tests {
    use super::*;

    #[test]
    fn a_pid_file_is_held_by_one_and_gone_at_the_end() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("pid");
        std::fs::write(&path, "4194305 is longer than any\n").unwrap();
        let mut held = PidFile::lock(path.as_os_str()).unwrap();
        assert!(PidFile::lock(path.as_os_str()).unwrap_err().contains("another daemon"));
        held.write().unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), format!("{}\n", std::process::id()));
        held.remove();
        assert!(!path.exists());
    }
}
