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

/// An operand taken apart.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Remote {
    /// How it is reached.
    pub place: Place,
    /// The user there.
    pub user: Option<Vec<u8>>,
    /// The machine; empty in `:PATH`, which means that of the operand before.
    pub host: Vec<u8>,
    /// The port, where it is in the operand.
    pub port: Option<u16>,
    /// The path there; with a daemon, its first component is the module.
    pub path: Vec<u8>,
}

/// Takes a remote operand apart; `None` for a local one, or a URL that is none.
#[must_use]
pub fn remote(operand: &OsStr) -> Option<Remote> {
    let place = place(operand);
    let bytes = operand.as_bytes();
    let (login, path) = match place {
        Place::Local => return None,
        Place::Daemon if bytes.windows(3).position(|w| w == b"://").is_some_and(|at| at <= 6) => {
            let rest = &bytes[bytes.windows(3).position(|w| w == b"://")? + 3..];
            let end = rest.iter().position(|&b| b == b'/').unwrap_or(rest.len());
            (&rest[..end], rest.get(end + 1..).unwrap_or_default())
        }
        _ => {
            let skip = match bytes.iter().position(|&b| b == b'[') {
                Some(open) if bytes[..open].last().is_none_or(|&b| b == b'@') => {
                    bytes.iter().position(|&b| b == b']').unwrap_or(0)
                }
                _ => 0,
            };
            let colon = skip + bytes[skip..].iter().position(|&b| b == b':')?;
            let behind = if place == Place::Daemon { colon + 2 } else { colon + 1 };
            (&bytes[..colon], &bytes[behind..])
        }
    };
    let (user, host) = match login.iter().rposition(|&b| b == b'@') {
        Some(at) => (Some(login[..at].to_vec()), &login[at + 1..]),
        None => (None, login),
    };
    let (host, port) = match host.strip_prefix(b"[").and_then(|inside| {
        let end = inside.iter().position(|&b| b == b']')?;
        Some((&inside[..end], &inside[end + 1..]))
    }) {
        Some((address, rest)) => (address, rest.strip_prefix(b":")),
        None if place == Place::Daemon => match host.iter().position(|&b| b == b':') {
            Some(at) => (&host[..at], Some(&host[at + 1..])),
            None => (host, None),
        },
        None => (host, None),
    };
    let port = match port {
        Some(digits) => Some(std::str::from_utf8(digits).ok()?.parse().ok()?),
        None => None,
    };
    Some(Remote { place, user, host: host.to_vec(), port, path: path.to_vec() })
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

    #[test]
    fn a_remote_operand_is_taken_apart() {
        let apart = |text: &str| {
            let found = remote(OsStr::new(text))?;
            let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
            Some((found.user.map(text), text(found.host), found.port, text(found.path)))
        };
        let part = |user: Option<&str>, host: &str, port, path: &str| {
            Some((user.map(String::from), host.to_string(), port, path.to_string()))
        };
        assert_eq!(apart("host:a b"), part(None, "host", None, "a b"));
        assert_eq!(apart("joe@host:"), part(Some("joe"), "host", None, ""));
        assert_eq!(apart(":more"), part(None, "", None, "more"));
        assert_eq!(apart("joe@[fe80::1]:/x:y"), part(Some("joe"), "fe80::1", None, "/x:y"));
        assert_eq!(apart("host::mod/dir"), part(None, "host", None, "mod/dir"));
        assert_eq!(apart("rsync://joe@host:99/mod/dir/"), part(Some("joe"), "host", Some(99), "mod/dir/"));
        assert_eq!(apart("sluice://[::1]:99/mod"), part(None, "::1", Some(99), "mod"));
        assert_eq!(apart("sluice://host"), part(None, "host", None, ""));
        assert_eq!(apart("sluice://host:no/mod"), None);
        assert_eq!(apart("./a:b"), None);
    }
}
