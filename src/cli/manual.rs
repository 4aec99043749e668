//! The texts of `--help`, and the manual page.

/// What sluice is, in a line.
pub const ABOUT: &str =
    "Make one directory tree like another: rsync's command line, bytes that stay in the kernel";

/// The forms of the command line.
pub const USAGE: &str = "sluice [OPTION]... SRC... DEST\n       sluice [OPTION]... SRC";

/// What stands below the options.
pub const AFTER_HELP: &str = "\
A slash at the end of SRC means \"what is in it\": sluice -a src/ dest/ makes dest like src,
sluice -a src dest makes dest/src.

  sluice -a --delete ~/ /backup/home/     mirror a home directory
  sluice -ani --delete src/ dest/         show what that would do
  sluice -aH --info=progress2 / /mnt -x   move a system, with one progress line

--no-OPTION takes back an option that another one means: -a --no-o. See sluice(1).";

/// The manual page in roff.
#[must_use]
pub fn page() -> String {
    String::new()
}
