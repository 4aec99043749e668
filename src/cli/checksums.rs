//! `--checksum-choice`: there is one checksum, and it can be left out.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use super::UsageError;
use super::typed::Typed;
use crate::path::escape;

/// rsync's exit status for a checksum that there is none of.
const UNSUPPORTED: u8 = 4;

/// Whether each of the two is done: comparing what has arrived, comparing before the transfer (`-c`).
///
/// # Errors
///
/// A name that is none of those that there are; none where `-c` asks for one: exit 4.
pub fn chosen(choice: &OsStr, typed: &Typed) -> Result<bool, UsageError> {
    let refuse = |message: String| UsageError { message, status: UNSUPPORTED };
    let used = |name: &[u8]| match name {
        b"auto" | b"blake3" => Ok(true),
        b"none" => Ok(false),
        other => Err(refuse(format!(
            "--checksum-choice: there is no \"{}\" here (there are: auto, blake3, none)",
            escape(other)
        ))),
    };
    let mut names = choice.as_bytes().splitn(2, |&b| b == b',');
    let transfer = used(names.next().unwrap_or_default())?;
    let before = names.next().map_or(Ok(transfer), used)?;
    if !before && typed.plan.checksum {
        return Err(refuse("--checksum (-c) cannot be used with --checksum-choice=none".into()));
    }
    Ok(transfer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_name_affects_the_transfer_and_the_second_the_comparison_before_it() {
        let compare =
            Typed { plan: crate::plan::Options { checksum: true, ..Default::default() }, ..Typed::default() };
        let chosen = |choice: &str, typed: &Typed| chosen(OsStr::new(choice), typed).map_err(|e| e.status);
        for (choice, alone, with_c) in [
            ("auto", Ok(true), Ok(true)),
            ("blake3,auto", Ok(true), Ok(true)),
            ("none", Ok(false), Err(4)),
            ("none,blake3", Ok(false), Ok(false)),
            ("blake3,none", Ok(true), Err(4)),
            ("md5", Err(4), Err(4)),
            ("", Err(4), Err(4)),
            ("auto,auto,auto", Err(4), Err(4)),
        ] {
            assert_eq!(chosen(choice, &Typed::default()), alone, "{choice}");
            assert_eq!(chosen(choice, &compare), with_c, "{choice} -c");
        }
    }
}
