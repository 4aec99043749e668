//! Places in a file, one for each process: how `max connections` is counted.

use std::fs::File;
use std::os::fd::AsFd as _;

use crate::sys::{Errno, record_lock};

/// A place that was free. It is free again when this is let go, or the process ends however it ends.
#[derive(Debug)]
pub struct Slot {
    _file: File,
}

/// Takes one of the first `count` places of `file`; `None` if all are taken.
///
/// # Errors
///
/// The filesystem has no locks.
pub fn take(file: File, count: u16) -> Result<Option<Slot>, Errno> {
    for at in 0..u64::from(count) {
        match record_lock::try_lock_byte(file.as_fd(), at) {
            Ok(()) => return Ok(Some(Slot { _file: file })),
            Err(Errno::EAGAIN | Errno::EACCES) => {}
            Err(e) => return Err(e),
        }
    }
    Ok(None)
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)] // the test opens its own file
mod tests {
    use super::*;

    #[test]
    fn no_more_than_so_many_have_a_place_and_one_let_go_is_free() {
        let scratch = tempfile::NamedTempFile::new().unwrap();
        let open = || File::options().write(true).open(scratch.path()).unwrap();
        let first = take(open(), 2).unwrap().unwrap();
        let _second = take(open(), 2).unwrap().unwrap();
        assert!(take(open(), 2).unwrap().is_none());
        assert!(take(open(), 0).unwrap().is_none());
        drop(first);
        assert!(take(open(), 2).unwrap().is_some());
    }
}
