//! Operands: `path`, `host:path`, `host::module/path`, `rsync://host/module`, `sluice://host/module`.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

/// Where an operand is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// A path on this machine.
    Local,
    /// `[USER@]HOST:PATH`: behind a remote shell.
    Shell,
    /// `[USER@]HOST::MODULE`, `rsync://`, `sluice://`: a daemon's.
    Daemon,
}

/// Tells where an operand is, by its spelling alone: it is remote if a colon comes before any slash, so
/// `./a:b` is a file.
#[must_use]
pub fn place(operand: &OsStr) -> Place {
    let bytes = operand.as_bytes();
    let scheme = |s: &[u8]| bytes.len() >= s.len() && bytes[..s.len()].eq_ignore_ascii_case(s);
    if scheme(b"rsync://") || scheme(b"sluice://") {
        return Place::Daemon;
    }
    // The colons of an address in brackets do not count.
    let host_end = match bytes.iter().position(|&b| b == b'[') {
        Some(open) if bytes[..open].last().is_none_or(|&b| b == b'@') => {
            bytes.iter().position(|&b| b == b']').unwrap_or(0)
        }
        _ => 0,
    };
    let rest = &bytes[host_end..];
    match rest.iter().position(|&b| b == b':' || b == b'/') {
        Some(at) if rest[at] == b':' => {
            if rest.get(at + 1) == Some(&b':') {
                Place::Daemon
            } else {
                Place::Shell
            }
        }
        _ => Place::Local,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Place {
        place(OsStr::new(text))
    }

    #[test]
    fn colon_before_any_slash_makes_it_remote() {
        assert_eq!(at("host:path"), Place::Shell);
        assert_eq!(at("joe@host:"), Place::Shell);
        assert_eq!(at(":path"), Place::Shell);
        assert_eq!(at("[::1]:path"), Place::Shell);
        assert_eq!(at("joe@[fe80::1]::module"), Place::Daemon);
        assert_eq!(at("host::module/path"), Place::Daemon);
        assert_eq!(at("RSYNC://host/module"), Place::Daemon);
        assert_eq!(at("sluice://host/module"), Place::Daemon);
    }

    #[test]
    fn colon_behind_a_slash_is_part_of_a_name() {
        for text in ["./a:b", "/a:b", "a/b::c", "plain", "", "[", "a[b]c", "[x/y]:z"] {
            let want = if text == "[x/y]:z" { Place::Shell } else { Place::Local };
            assert_eq!(at(text), want, "{text}");
        }
    }
}
