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
