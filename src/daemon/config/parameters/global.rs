//! What concerns the daemon as a whole.

use super::{Parameter, global};

pub const ALL: &[Parameter] = &[
    global(
        "address",
        "every address of the machine",
        |g, v| {
            let text = String::from_utf8(v.text()?).unwrap_or_default();
            g.address = Some(text.parse().map_err(|_| "not an IP address")?);
            Ok(())
        },
        "The one IP address to listen on. --address wins over it.",
    ),
    global(
        "port",
        "8730",
        |g, v| {
            g.port = u16::try_from(v.integer(1, 65535)?).ok();
            Ok(())
        },
        "The TCP port to listen on. --port wins over it.",
    ),
    global(
        "pid file",
        "none",
        |g, v| {
            g.pid_file = v.path()?;
            Ok(())
        },
        "Where the daemon writes its process id. It keeps the file locked, so that a second daemon with the same \
         file does not start, and removes it at the end.",
    ),
    global(
        "motd file",
        "none",
        |g, v| {
            g.motd_file = v.path()?;
            Ok(())
        },
        "A file that is shown to every client, the message of the day. At most 4 KiB of it are.",
    ),
];
