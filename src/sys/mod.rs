//! FLOOR 0. One file per kernel call (or per family with one manual page), mechanical.
//!
//! A wrapper here takes descriptors and single names, adds `O_CLOEXEC`, retries `EINTR`, and returns
//! [`Errno`] as the kernel gave it. It has no policy: no fallback, no joined paths, no output. This is
//! the only room that may hold `unsafe` code, and it is allowed file by file.

pub mod attrs;
pub mod getdents;
pub mod names;
pub mod open;
pub mod stat;

pub use nix::errno::Errno;

/// Runs `call` again for as long as it fails with `EINTR`.
pub(crate) fn retry<T>(mut call: impl FnMut() -> nix::Result<T>) -> nix::Result<T> {
    loop {
        match call() {
            Err(Errno::EINTR) => {}
            other => return other,
        }
    }
}
