//! Whether a path lies on a filesystem that should be mounted and is not.
//!
//! A backup disk that is not there leaves an empty mount point behind: as a source it would empty the
//! destination (`--delete`), as a destination it would fill the disk below. `/etc/fstab` says what should
//! be mounted, `/proc/self/mountinfo` what is.

use std::ffi::OsStr;
use std::sync::Arc;

use super::Options;
use super::selection::Selection;
use crate::event::{Problem, Severity};
use crate::path::operand;
use crate::plan::Delete;

/// The largest table that is read, in bytes. A guess, far above any real one.
const TABLE_LIMIT: usize = 16 << 20;

/// Leaves nothing selected where something is to be deleted and a source lies on a known mount point without
/// its filesystem.
pub fn guard(options: &Options, selection: &mut Selection) {
    if !options.mount_check || options.plan.delete == Delete::Off {
        return;
    }
    let missing = selection.sources.iter().find_map(|source| {
        let path = source.held.get().and_then(|dir| operand::kernel_path(&dir)).ok()?;
        let point = source.members.paths(path).iter().find_map(|path| missing_mount(path))?;
        Some(refusal(&source.prefix, &point))
    });
    if let Some(problem) = missing {
        selection.problems.push(problem);
        selection.sources.clear();
        selection.prefixes = Arc::default();
    }
}

/// The refusal of a destination that lies on a known mount point without its filesystem.
#[must_use]
pub fn missing_destination(options: &Options, dest: &OsStr) -> Option<Problem> {
    let path = operand::nearest_path(dest).filter(|_| options.mount_check)?;
    Some(refusal(dest.as_encoded_bytes(), &missing_mount(&path)?))
}

fn refusal(typed: &[u8], point: &[u8]) -> Problem {
    let point = crate::path::escape(point);
    let text = format!("{point} should be mounted (/etc/fstab) and is not; nothing was touched");
    let problem = Problem::text("use", typed, text).severity(Severity::Refused);
    problem.hint("mount it, or say --no-mount-check")
}

/// The mount point at or above the absolute path `path` that is known and not mounted, if any.
///
/// A system without either table knows no mount points.
#[must_use]
fn missing_mount(path: &[u8]) -> Option<Vec<u8>> {
    let read = |name: &str| operand::read_file(OsStr::new(name), TABLE_LIMIT).ok();
    find(path, &read("/etc/fstab")?, &read("/proc/self/mountinfo")?)
}

fn find(path: &[u8], fstab: &[u8], mountinfo: &[u8]) -> Option<Vec<u8>> {
    let mounted: Vec<Vec<u8>> = rows(mountinfo).filter_map(|row| row.into_iter().nth(4)).collect();
    let known = rows(fstab).filter_map(|row| {
        let mut fields = row.into_iter();
        let (_, point, kind) = (fields.next()?, fields.next()?, fields.next()?);
        (kind != b"swap" && point.starts_with(b"/")).then_some(point)
    });
    known
        .map(|point| point.strip_suffix(b"/").map_or(point.clone(), <[u8]>::to_vec))
        .filter(|point| !point.is_empty() && !mounted.contains(point))
        .find(|point| path.strip_prefix(&point[..]).is_some_and(|rest| rest.is_empty() || rest[0] == b'/'))
}

/// The fields of each line, with octal escapes (`\040` for a space) undone; comments left out.
fn rows(table: &[u8]) -> impl Iterator<Item = Vec<Vec<u8>>> + '_ {
    table.split(|&b| b == b'\n').filter(|line| line.first() != Some(&b'#')).map(|line| {
        line.split(u8::is_ascii_whitespace).filter(|field| !field.is_empty()).map(unescape).collect()
    })
}

fn unescape(field: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&byte, behind)) = rest.split_first() {
        let octal = behind
            .get(..3)
            .filter(|_| byte == b'\\')
            .and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok());
        out.push(octal.unwrap_or(byte));
        rest = if octal.is_some() { &behind[3..] } else { behind };
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const FSTAB: &[u8] = b"# comment\nUUID=1 / ext4 defaults 0 1\nUUID=2 /backup ext4 noauto 0 2\n\
        /dev/x none swap sw 0 0\nUUID=3 /mnt/my\\040disk xfs defaults 0 0\nUUID=4 /data/ xfs defaults 0 0\n";
    const MOUNTS: &[u8] = b"22 1 8:1 / / rw - ext4 /dev/sda1 rw\n30 22 8:2 / /data rw - xfs /dev/sdb rw\n";

    #[test]
    fn a_known_mount_point_that_is_not_mounted_is_found_from_itself_and_from_below() {
        assert_eq!(find(b"/backup", FSTAB, MOUNTS), Some(b"/backup".to_vec()));
        assert_eq!(find(b"/backup/a/b", FSTAB, MOUNTS), Some(b"/backup".to_vec()));
        assert_eq!(find(b"/mnt/my disk/x", FSTAB, MOUNTS), Some(b"/mnt/my disk".to_vec()));
    }

    #[test]
    fn what_is_mounted_or_unknown_or_only_begins_alike_is_fine() {
        assert_eq!(find(b"/data/x", FSTAB, MOUNTS), None);
        assert_eq!(find(b"/home", FSTAB, MOUNTS), None);
        assert_eq!(find(b"/backup2", FSTAB, MOUNTS), None);
        assert_eq!(find(b"/", FSTAB, MOUNTS), None);
    }
}
