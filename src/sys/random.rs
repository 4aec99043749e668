//! `getrandom(2)`: random bytes.

#![allow(unsafe_code)]

use super::{Errno, retry};

/// Random bytes that nobody can guess.
///
/// # Errors
///
/// `ENOSYS`: a kernel before 3.17. Fail.
pub fn bytes<const N: usize>() -> Result<[u8; N], Errno> {
    let mut bytes = [0; N];
    let mut done = 0;
    while done < N {
        let rest = bytes.get_mut(done..).unwrap_or_default();
        done += retry(|| {
            // SAFETY: `rest` is writable for its length, which is what is passed.
            let n = unsafe { nix::libc::getrandom(rest.as_mut_ptr().cast(), rest.len(), 0) };
            Errno::result(n).map(|n| usize::try_from(n).unwrap_or(0))
        })?;
    }
    Ok(bytes)
}
