//! The texts around the options in `--help`.

use super::order;

/// What sluice is, in a line.
pub const ABOUT: &str =
    "Make one directory tree like another: rsync's command line, bytes that stay in the kernel";

/// The forms of the command line.
pub const USAGE: &str = "sluice [OPTION]... SRC... DEST\n       sluice [OPTION]... SRC          (lists it)";

/// What stands below the options.
pub const AFTER: &str = "\
A slash at the end of SRC means \"what is in it\": sluice -a src/ dest makes dest like src,
sluice -a src dest makes dest/src. --no-OPTION takes back an option: -a --no-o.

Examples:
  sluice -a --delete ~/ /backup/home/                    make the backup like the home directory
  sluice -ani --delete ~/ /backup/home/                  show what that would change
  sluice -aHx --numeric-ids --info=progress2 / /mnt      move a system, with one line of progress

The manual page sluice(1) explains each option: sluice --generate man | man -l -";

/// The text of `--help`: an option a line.
#[must_use]
pub fn text() -> String {
    order::command().render_help().to_string()
}
