//! FLOOR 0. One file per kernel call (or per family with one manual page), mechanical.
//!
//! A wrapper here takes descriptors and single names, adds `O_CLOEXEC`, retries `EINTR`, and returns
//! [`Errno`] as the kernel gave it. It has no policy: no fallback, no joined paths, no output. This is
//! the only room that may hold `unsafe` code, and it is allowed file by file.

pub mod attrs;
pub mod capabilities;
pub mod connect;
pub mod copy_file_range;
pub mod credentials;
pub mod fallocate;
pub mod ficlone;
pub mod flock;
pub mod getdents;
pub mod inherited;
pub mod inode_flags;
pub mod lseek;
pub mod mmap;
pub mod names;
pub mod open;
pub mod pio;
pub mod proc_fd;
pub mod process;
pub mod random;
pub mod record_lock;
pub mod sendfile;
pub mod splice;
pub mod stat;
pub mod stream;
pub mod thread;
pub mod xattr;

pub use nix::errno::Errno;

/// Sets a descriptor's position to its start (`lseek(2)`), so that a directory is read from its top.
///
/// # Errors
///
/// `ESPIPE`: neither file nor directory: a sluice bug.
pub fn lseek_start(fd: std::os::fd::BorrowedFd<'_>) -> Result<(), Errno> {
    nix::unistd::lseek(fd, 0, nix::unistd::Whence::SeekSet).map(drop)
}

/// Runs `call` again for as long as it fails with `EINTR`.
pub(crate) fn retry<T>(mut call: impl FnMut() -> nix::Result<T>) -> nix::Result<T> {
    loop {
        match call() {
            Err(Errno::EINTR) => {}
            other => return other,
        }
    }
}

/// A file offset or length as the kernel takes it.
///
/// # Errors
///
/// `EOVERFLOW`: beyond 2^63 - 1, where no file can have bytes.
pub(crate) fn offset(at: u64) -> nix::Result<nix::libc::off_t> {
    nix::libc::off_t::try_from(at).map_err(|_| Errno::EOVERFLOW)
}
