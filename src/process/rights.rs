//! Capabilities, limits and switches: what a process gives up besides its user.

use nix::libc;

use crate::path::operand;
use crate::sys::process::{self, Limit};
use crate::sys::{Errno, capabilities};

/// The most descriptors that a process may have: directories are held by the hundred.
const DESCRIPTORS: u64 = 4096;

/// The most private memory, in bytes. A guess: eight times what a connection is meant to need.
const MEMORY: u64 = 512 << 20;

/// A capability, by its number in capabilities(7).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Capability {
    /// Give files to others.
    Chown = 0,
    /// Open what permissions would not let one open.
    DacOverride = 1,
    /// Change attributes of others' files.
    Fowner = 3,
    /// Set the set-group-id bit for groups one is not in.
    Fsetid = 4,
    /// Make devices.
    Mknod = 27,
    /// Give files capabilities.
    Setfcap = 31,
}

/// Takes away all capabilities but `kept`, from the process and from whatever it might run.
///
/// # Errors
///
/// Something was refused, or more is left than was to be kept: the process must not go on.
pub fn keep_capabilities(kept: &[Capability]) -> Result<(), String> {
    let failed = |what: &'static str| move |e: Errno| format!("{what}: {}", std::io::Error::from(e));
    let mask = kept.iter().fold(0, |mask, one| mask | 1u64 << *one as u8);
    let (effective, permitted) = capabilities::get().map_err(failed("capget"))?;
    for number in 0..64 {
        if mask & 1 << number != 0 {
            continue;
        }
        match capabilities::drop_bounding(number) {
            Ok(()) => {}
            Err(Errno::EINVAL) => break,
            // Without the right to drop there; it may not matter, as no program run later gains anything.
            Err(Errno::EPERM) if effective & 1 << 8 == 0 => break,
            Err(e) => return Err(failed("drop from the bounding set")(e)),
        }
    }
    capabilities::clear_ambient().map_err(failed("clear the ambient set"))?;
    capabilities::set(permitted & mask).map_err(failed("capset"))?;
    let (effective, permitted) = capabilities::get().map_err(failed("capget"))?;
    if (effective | permitted) & !mask != 0 {
        return Err("capabilities are left over".into());
    }
    Ok(())
}

/// Sets the limits of a process that works for a stranger: descriptors, memory, no core.
///
/// # Errors
///
/// A limit was refused.
pub fn limit() -> Result<(), String> {
    let failed = |what: &'static str| move |e: Errno| format!("limit {what}: {}", std::io::Error::from(e));
    process::fix_limit(Limit::RLIMIT_NOFILE, DESCRIPTORS).map_err(failed("descriptors"))?;
    process::lower_limit(Limit::RLIMIT_DATA, MEMORY).map_err(failed("memory"))?;
    process::lower_limit(Limit::RLIMIT_CORE, 0).map_err(failed("core"))?;
    Ok(())
}

/// No program run from here on gains rights by it, and nobody looks into this process.
///
/// # Errors
///
/// The kernel refused.
pub fn seal() -> Result<(), String> {
    process::set_no_new_privs().map_err(|e| format!("no_new_privs: {e}"))?;
    process::set_undumpable().map_err(|e| format!("dumpable: {e}"))
}

/// Whether this process has one thread only, as what binds a thread and its children needs.
///
/// # Errors
///
/// `/proc` is not there to tell.
pub fn is_single_threaded() -> Result<bool, String> {
    let tasks = operand::open_dir("/proc/self/task".as_ref()).map_err(|e| e.to_string())?;
    let mut count = 0;
    tasks.list(|_, _| count += 1).map_err(|e| format!("list /proc/self/task: {e}"))?;
    Ok(count == 1)
}

/// Ends this process by a signal after so many seconds, whatever it does; 0 calls that off.
pub fn end_after(seconds: u32) {
    process::alarm(seconds);
}

/// The exit by which [`end_after`] shows.
pub const ALARM: i32 = libc::SIGALRM;
