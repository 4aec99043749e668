//! `capget(2)`, `capset(2)` and the capability operations of `prctl(2)`. A set is a mask of bits.
#![allow(unsafe_code)]

use nix::libc;

use super::Errno;

/// `_LINUX_CAPABILITY_VERSION_3`: sets of 64 bits in two halves.
const VERSION_3: u32 = 0x2008_0522;

#[repr(C)]
struct Header {
    version: u32,
    pid: libc::c_int,
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Half {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

/// Effective and permitted capabilities of this thread.
///
/// # Errors
///
/// None that a process can cause for itself.
pub fn get() -> Result<(u64, u64), Errno> {
    let mut header = Header { version: VERSION_3, pid: 0 };
    let mut halves = [Half::default(); 2];
    // SAFETY: both point to memory of the layout that version 3 prescribes, valid for the whole call.
    let r = unsafe { libc::syscall(libc::SYS_capget, &raw mut header, halves.as_mut_ptr()) };
    Errno::result(r)?;
    let join = |low: u32, high: u32| u64::from(high) << 32 | u64::from(low);
    let [low, high] = halves;
    Ok((join(low.effective, high.effective), join(low.permitted, high.permitted)))
}

/// Makes `mask` the effective and permitted capabilities of this thread; none are inheritable.
///
/// # Errors
///
/// `EPERM`: a capability in `mask` is not permitted now.
pub fn set(mask: u64) -> Result<(), Errno> {
    let half = |bits: u64| {
        let bits = u32::try_from(bits & u64::from(u32::MAX)).unwrap_or(0);
        Half { effective: bits, permitted: bits, inheritable: 0 }
    };
    let mut header = Header { version: VERSION_3, pid: 0 };
    let halves = [half(mask), half(mask >> 32)];
    // SAFETY: both point to memory of the layout that version 3 prescribes, valid for the whole call.
    let r = unsafe { libc::syscall(libc::SYS_capset, &raw mut header, halves.as_ptr()) };
    Errno::result(r).map(drop)
}

/// Takes a capability out of the bounding set (`PR_CAPBSET_DROP`): no program run later can gain it.
///
/// # Errors
///
/// `EINVAL`: the kernel has no capability of that number: the last one was the one before.
/// `EPERM`: without `CAP_SETPCAP`.
pub fn drop_bounding(capability: u8) -> Result<(), Errno> {
    // SAFETY: plain integers.
    let r = unsafe { libc::prctl(libc::PR_CAPBSET_DROP, libc::c_ulong::from(capability), 0, 0, 0) };
    Errno::result(r).map(drop)
}

/// Empties the ambient set (`PR_CAP_AMBIENT_CLEAR_ALL`).
///
/// # Errors
///
/// `EINVAL`: before Linux 4.3, which has no such set.
pub fn clear_ambient() -> Result<(), Errno> {
    let clear = libc::c_ulong::try_from(libc::PR_CAP_AMBIENT_CLEAR_ALL).unwrap_or(0);
    // SAFETY: plain integers.
    let r = unsafe { libc::prctl(libc::PR_CAP_AMBIENT, clear, 0, 0, 0) };
    Errno::result(r).map(drop)
}
