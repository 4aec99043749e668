//! What rsync's daemon has and this one has not: accepted where nobody is worse off, refused otherwise.

use super::{Parameter, Set, other};

pub const ALL: &[Parameter] = &[
    other("socket options", Set::NoEffect, "The system's own settings are used."),
    other("listen backlog", Set::NoEffect, "The largest queue that the system allows is used."),
    other("reverse lookup", Set::NoEffect, "No names are looked up."),
    other("forward lookup", Set::NoEffect, "No names are looked up."),
    other("auth digest", Set::NoEffect, "Passwords are never sent as digests."),
    other(
        "insecure links",
        Set::OnlyOff("no symbolic link in a module is ever followed"),
        "No link in a module is ever followed.",
    ),
    other(
        "proxy protocol",
        Set::OnlyOff("not supported: an address that anybody could claim would decide who comes in"),
        "The peer's address is the one that the kernel says.",
    ),
    other("proxy protocol hosts", Set::Refused("`proxy protocol` is not supported"), "See `proxy protocol`."),
    other(
        "daemon chroot",
        Set::Refused("not supported: start the daemon in its root"),
        "Start the daemon in its root.",
    ),
    other(
        "daemon uid",
        Set::Refused("not supported: start the daemon as that user"),
        "Start the daemon as that user.",
    ),
    other(
        "daemon gid",
        Set::Refused("not supported: start the daemon in that group"),
        "Start the daemon in that group.",
    ),
    other(
        "name converter",
        Set::Refused("not supported: the daemon runs no other programs"),
        "No other program is run.",
    ),
    other(
        "early exec",
        Set::Refused("not supported: the daemon runs no other programs"),
        "No other program is run.",
    ),
    other(
        "pre-xfer exec",
        Set::Refused("not supported: the daemon runs no other programs"),
        "No other program is run.",
    ),
    other(
        "post-xfer exec",
        Set::Refused("not supported: the daemon runs no other programs"),
        "No other program is run.",
    ),
    other(
        "charset",
        Set::Refused("not supported: names are bytes"),
        "Names are bytes and stay what they are.",
    ),
    other(
        "temp dir",
        Set::Refused("not supported: files are made beside their target"),
        "Files are made beside their target.",
    ),
];
