//! `mmap(2)` of files that others may cut short, and the `SIGBUS` guard that makes this safe.
//!
//! Touching a page of a mapped file beyond the file's end raises `SIGBUS`, and so does a page that the
//! storage cannot deliver. The guard is a handler, installed with the first mapping. It looks the fault
//! up in a table of our mappings; if it is in one, it maps zero pages from there to the mapping's end,
//! marks the mapping as changed and returns, so that the reader goes on (over zeros) and asks
//! [`Mapping::changed`] afterwards. A fault anywhere else goes to whatever handler was there before.
//! The handler touches only atomics and makes one system call; it never unwinds and never allocates.
#![allow(unsafe_code)]

use std::num::NonZeroUsize;
use std::os::fd::BorrowedFd;
use std::ptr::NonNull;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use nix::libc;
use nix::sys::mman::{MapFlags, MmapAdvise, ProtFlags};

use super::{Errno, offset};

/// Mappings that may exist at one time. A worker needs one or two; with more the caller reads instead.
const SLOTS: usize = 128;

/// In `Slot::start`: the slot is taken, its limits are not yet written.
const RESERVED: usize = 1;

/// One live mapping as the handler sees it. `start` is 0 for a free slot.
struct Slot {
    start: AtomicUsize,
    end: AtomicUsize,
    changed: AtomicBool,
}

static TABLE: [Slot; SLOTS] = [const {
    Slot { start: AtomicUsize::new(0), end: AtomicUsize::new(0), changed: AtomicBool::new(false) }
}; SLOTS];

/// The size of a page, for the handler, which may not ask.
static PAGE: AtomicUsize = AtomicUsize::new(4096);

/// What handled `SIGBUS` before us, or the errno with which the guard could not be installed.
static GUARD: OnceLock<Result<libc::sigaction, Errno>> = OnceLock::new();

/// The size of a page in bytes; offsets of mappings are multiples of it.
pub fn page_size() -> u64 {
    // SAFETY: asks for a constant of the running system.
    u64::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096)
}

/// A read-only, guarded mapping of a part of a file.
pub struct Mapping {
    addr: NonNull<libc::c_void>,
    len: NonZeroUsize,
    slot: &'static Slot,
}

// SAFETY: the mapping is only read, and stays until it is dropped.
unsafe impl Send for Mapping {}
// SAFETY: as above; `changed` is an atomic.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps `len` bytes of `fd` from `off`, which is a multiple of [`page_size`], for reading in order.
    ///
    /// `mmap(2)` with `PROT_READ`, `MAP_SHARED`; `madvise(2)` with `MADV_SEQUENTIAL`.
    ///
    /// # Errors
    ///
    /// - `EINVAL`: `len` is 0, or `off` is not such a multiple: a sluice bug.
    /// - `EAGAIN`: too many mappings at once. `ENODEV`, `EACCES`, `ENOMEM`: this file cannot be
    ///   mapped. All of them: read instead.
    pub fn new(fd: BorrowedFd<'_>, off: u64, len: usize) -> Result<Mapping, Errno> {
        let len = NonZeroUsize::new(len).ok_or(Errno::EINVAL)?;
        if let Err(errno) = GUARD.get_or_init(install) {
            return Err(*errno);
        }
        let at = offset(off)?;
        let slot = TABLE
            .iter()
            .find(|s| s.start.compare_exchange(0, RESERVED, Ordering::AcqRel, Ordering::Relaxed).is_ok())
            .ok_or(Errno::EAGAIN)?;
        // SAFETY: the kernel chooses the address, so no other mapping is replaced.
        let mapped =
            unsafe { nix::sys::mman::mmap(None, len, ProtFlags::PROT_READ, MapFlags::MAP_SHARED, fd, at) };
        let addr = match mapped {
            Ok(addr) => addr,
            Err(errno) => {
                slot.start.store(0, Ordering::Release);
                return Err(errno);
            }
        };
        slot.changed.store(false, Ordering::Relaxed);
        slot.end.store(addr.addr().get() + len.get(), Ordering::Release);
        slot.start.store(addr.addr().get(), Ordering::Release);
        // SAFETY: exactly the mapping just made. Only advice: an error changes nothing.
        let _advice = unsafe { nix::sys::mman::madvise(addr, len.get(), MmapAdvise::MADV_SEQUENTIAL) };
        Ok(Mapping { addr, len, slot })
    }

    /// The mapped bytes; zeros from the first one that the file no longer had when it was touched.
    ///
    /// Another process may write to the file meanwhile; what is read is then a mixture, as with any
    /// reading of a file in use. Callers only hash or scan it, and never trust a byte to stay.
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: `addr` is mapped for `len` bytes until drop, and the guard keeps every byte readable.
        unsafe { std::slice::from_raw_parts(self.addr.as_ptr().cast::<u8>().cast_const(), self.len.get()) }
    }

    /// Whether some page could not be had since the mapping was made: the file was cut, or storage failed.
    pub fn changed(&self) -> bool {
        self.slot.changed.load(Ordering::Acquire)
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // The slot goes first: once unmapped, the address may belong to another thread's mapping.
        self.slot.start.store(0, Ordering::Release);
        // SAFETY: exactly the mapping made in `new`; no slice of it outlives `self`.
        let _unmapped = unsafe { nix::sys::mman::munmap(self.addr, self.len.get()) };
    }
}

/// Puts the guard in front of whatever handles `SIGBUS` now, and returns that.
fn install() -> Result<libc::sigaction, Errno> {
    if let Ok(size) = usize::try_from(page_size()) {
        PAGE.store(size, Ordering::Relaxed);
    }
    // SAFETY: all-zero is a valid `sigaction` (default action, empty mask).
    let mut old: libc::sigaction = unsafe { std::mem::zeroed() };
    let handler: extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void) = on_sigbus;
    // SAFETY: as above.
    let mut new: libc::sigaction = unsafe { std::mem::zeroed() };
    new.sa_sigaction = handler as libc::sighandler_t;
    new.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_RESTART;
    // SAFETY: `new` holds a handler that only does what a handler may; `old` is written by the kernel.
    Errno::result(unsafe { libc::sigaction(libc::SIGBUS, &raw const new, &raw mut old) })?;
    Ok(old)
}

extern "C" fn on_sigbus(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: the kernel passes a valid `info` to a handler installed with SA_SIGINFO; errno is ours
    // to save and put back; `cover` and `pass_on` are made for this context.
    unsafe {
        let errno = *libc::__errno_location();
        let sent_by_a_process = (*info).si_code <= 0;
        if sent_by_a_process || !cover((*info).si_addr().addr()) {
            pass_on(signal, info, context);
        }
        *libc::__errno_location() = errno;
    }
}

/// Maps zero pages from the fault to the end of our mapping around it; `false`: it is not in one.
fn cover(fault: usize) -> bool {
    let page = PAGE.load(Ordering::Relaxed);
    for slot in &TABLE {
        let start = slot.start.load(Ordering::Acquire);
        let end = slot.end.load(Ordering::Acquire);
        // Read twice, so that limits of two successive mappings in one slot are never mixed.
        let stable = slot.start.load(Ordering::Acquire) == start;
        if start > RESERVED && stable && (start..end).contains(&fault) {
            slot.changed.store(true, Ordering::Release);
            let from = fault & !(page - 1);
            // SAFETY: replaces only pages of our own live mapping, which is read-only; every reader of it
            // accepts any bytes. The mapping ends on a page boundary at or after `end`.
            let r = unsafe {
                libc::mmap(
                    std::ptr::with_exposed_provenance_mut(from),
                    end - from,
                    libc::PROT_READ,
                    libc::MAP_FIXED | libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                    -1,
                    0,
                )
            };
            return r != libc::MAP_FAILED;
        }
    }
    false
}

/// Gives a `SIGBUS` that is not ours to the handler that was there before.
///
/// # Safety
///
/// Only from the handler, with the arguments that the kernel gave it.
unsafe fn pass_on(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: the earlier handler is called as its flags say it is to be called; the default action is
    // restored with a valid, all-zero `sigaction`, and the signal then comes again: a fault by itself
    // when the instruction is repeated, a sent one because it is raised here.
    unsafe {
        let earlier = GUARD.get().and_then(|g| g.as_ref().ok());
        let sent = (*info).si_code <= 0;
        match earlier {
            Some(old) if old.sa_sigaction == libc::SIG_IGN && sent => {}
            Some(old) if old.sa_sigaction != libc::SIG_DFL && old.sa_sigaction != libc::SIG_IGN => {
                if old.sa_flags & libc::SA_SIGINFO != 0 {
                    let call: extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void) =
                        std::mem::transmute(old.sa_sigaction);
                    call(signal, info, context);
                } else {
                    let call: extern "C" fn(libc::c_int) = std::mem::transmute(old.sa_sigaction);
                    call(signal);
                }
            }
            _ => {
                let default: libc::sigaction = std::mem::zeroed();
                libc::sigaction(signal, &raw const default, std::ptr::null_mut());
                if sent {
                    libc::raise(signal);
                }
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)]
mod tests {
    use std::os::fd::AsFd;
    use std::os::unix::process::ExitStatusExt;
    use std::process::{Command, ExitStatus};

    use super::*;

    const LEN: usize = 1 << 20;

    fn file() -> std::fs::File {
        let file = tempfile::tempfile().unwrap();
        crate::sys::pio::pwrite(file.as_fd(), &vec![7; LEN], 0).unwrap();
        file
    }

    #[test]
    fn a_mapping_shows_the_file_and_is_unchanged() {
        let file = file();
        let mapping = Mapping::new(file.as_fd(), page_size(), 5000).unwrap();
        assert!(mapping.bytes().iter().all(|&b| b == 7) && mapping.bytes().len() == 5000);
        assert!(!mapping.changed());
    }

    #[test]
    fn a_cut_file_reads_as_zeros_in_every_thread_and_is_marked() {
        let file = file();
        let mapping = Mapping::new(file.as_fd(), 0, LEN).unwrap();
        let whole = Mapping::new(file.as_fd(), 0, 4096).unwrap();
        file.set_len(4096).unwrap();
        std::thread::scope(|scope| {
            for part in mapping.bytes().chunks(LEN / 4) {
                scope.spawn(move || assert_eq!(part[LEN / 4 - 1], 0));
            }
        });
        assert!(mapping.changed());
        assert!(!whole.changed(), "a mapping without a fault is not marked");
        assert_eq!(whole.bytes()[0], 7);
    }

    #[test]
    fn slots_are_used_again_and_running_out_of_them_is_an_error() {
        let file = file();
        for _ in 0..2 {
            let mut held = Vec::new();
            let refused = loop {
                match Mapping::new(file.as_fd(), 0, 4096) {
                    Ok(mapping) => held.push(mapping),
                    Err(errno) => break errno,
                }
            };
            // Other tests of this process hold some of them.
            assert!(held.len() > SLOTS / 2 && held.len() <= SLOTS);
            assert_eq!(refused, Errno::EAGAIN);
        }
    }

    const CHILD: &str = "SLUICE_TEST_SIGBUS";

    /// Runs the named test of this module again, in a process that may die.
    fn in_a_child(test: &str) -> ExitStatus {
        let mut child = Command::new(std::env::current_exe().unwrap());
        let name = format!("sys::mmap::tests::{test}");
        child.args(["--exact", &name]).env(CHILD, "1").output().unwrap().status
    }

    fn touch_an_unguarded_mapping() {
        let file = file();
        let guarded = Mapping::new(file.as_fd(), 0, LEN).unwrap();
        let len = NonZeroUsize::new(LEN).unwrap();
        // SAFETY: the kernel chooses the address.
        let bare = unsafe {
            nix::sys::mman::mmap(None, len, ProtFlags::PROT_READ, MapFlags::MAP_SHARED, &file, 0).unwrap()
        };
        file.set_len(0).unwrap();
        assert_eq!(guarded.bytes()[0], 0);
        // SAFETY: mapped; that reading it raises SIGBUS is what the test is about.
        let byte = unsafe { bare.cast::<u8>().read_volatile() };
        panic!("read {byte} beyond the end of the file");
    }

    #[test]
    fn a_foreign_fault_still_kills_by_default() {
        if std::env::var_os(CHILD).is_some() {
            touch_an_unguarded_mapping();
        }
        assert_eq!(in_a_child("a_foreign_fault_still_kills_by_default").signal(), Some(libc::SIGBUS));
    }

    #[test]
    fn a_sent_signal_still_kills_by_default() {
        if std::env::var_os(CHILD).is_some() {
            // Rust's own handler lets the first signal that is no fault pass; without it the default acts.
            // SAFETY: restores the default action.
            unsafe { libc::signal(libc::SIGBUS, libc::SIG_DFL) };
            let _mapping = Mapping::new(file().as_fd(), 0, LEN).unwrap();
            // SAFETY: sends a signal to this thread.
            unsafe { libc::raise(libc::SIGBUS) };
            return;
        }
        assert_eq!(in_a_child("a_sent_signal_still_kills_by_default").signal(), Some(libc::SIGBUS));
    }

    #[test]
    fn a_foreign_fault_reaches_the_earlier_handler() {
        extern "C" fn earlier(_: libc::c_int) {
            // SAFETY: ends the process at once, which a handler may do.
            unsafe { libc::_exit(42) }
        }
        if std::env::var_os(CHILD).is_some() {
            let handler: extern "C" fn(libc::c_int) = earlier;
            // SAFETY: the handler only ends the process.
            unsafe { libc::signal(libc::SIGBUS, handler as libc::sighandler_t) };
            touch_an_unguarded_mapping();
        }
        assert_eq!(in_a_child("a_foreign_fault_reaches_the_earlier_handler").code(), Some(42));
    }
}
