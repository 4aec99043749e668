//! Where a client's password comes from: `--password-file`, the environment, the terminal.

use std::ffi::{OsStr, OsString};
use std::io::{self, BufRead as _};

use crate::auth::{MAX_PASSWORD, Password};
use crate::path::{escape, operand};
use crate::process::ids;
use zeroize::Zeroizing;

/// The variables that may hold a password; the first that is set counts.
const VARIABLES: [&str; 2] = ["SLUICE_PASSWORD", "RSYNC_PASSWORD"];

/// The password for a daemon: what `file` says, `-` being standard input; else a variable of the
/// environment; else what is typed at the question `prompt`.
///
/// # Errors
///
/// The file cannot be read, is open to others, or, for root, somebody else's; there is no password, or no
/// terminal to ask on. rsync's exit status, and a text for the user, who can do something about it.
pub fn find(
    file: Option<&OsStr>,
    environment: &dyn Fn(&str) -> Option<OsString>,
    prompt: &str,
) -> Result<Password, (u8, String)> {
    // A file that is no use is a wrong option; without a password the login fails.
    let (syntax, login) = (1, 5);
    let status = if file.is_some() { syntax } else { login };
    let (text, from) = if let Some(path) = file {
        let line = first_line(path).map_err(|text| (status, text))?;
        (line, format!("password file \"{}\"", escape(path.as_encoded_bytes())))
    } else if let Some((name, value)) = VARIABLES.iter().find_map(|name| Some((name, environment(name)?))) {
        (Zeroizing::new(value.into_encoded_bytes()), (*name).to_owned())
    } else {
        let typed = rpassword::prompt_password(prompt).map_err(|e| {
            (status, format!("ask for the password: {e}; use --password-file, or set RSYNC_PASSWORD"))
        })?;
        (Zeroizing::new(typed.into_bytes()), "password".to_owned())
    };
    let found = Password::new(text.to_vec());
    found.ok_or_else(|| (status, format!("{from}: empty, or longer than {MAX_PASSWORD} bytes")))
}

fn first_line(path: &OsStr) -> Result<Zeroizing<Vec<u8>>, String> {
    let mut text = Zeroizing::new(Vec::new());
    if path == "-" {
        io::stdin().lock().read_until(b'\n', &mut text).map_err(|e| format!("standard input: {e}"))?;
    } else {
        let (attrs, contents) = operand::read_with_attrs(path, 1 << 20).map_err(|e| e.to_string())?;
        *text = contents;
        let shown = escape(path.as_encoded_bytes());
        if attrs.mode & 0o006 != 0 {
            return Err(format!("password file \"{shown}\": others may read or write it; chmod o-rw it"));
        }
        if ids::own_uid() == 0 && attrs.uid != 0 {
            return Err(format!("password file \"{shown}\": it belongs to user {}, not to root", attrs.uid));
        }
    }
    let end = text.iter().position(|b| matches!(b, b'\n' | b'\r')).unwrap_or(text.len());
    text.truncate(end);
    Ok(text)
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)] // the tests write what is read
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    fn file(text: &str, mode: u32) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(mode)).unwrap();
        file
    }

    fn from_file(text: &str, mode: u32) -> Result<String, String> {
        let file = file(text, mode);
        first_line(file.path().as_os_str()).map(|line| String::from_utf8(line.to_vec()).unwrap())
    }

    #[test]
    fn only_the_first_line_of_the_file_counts() {
        assert_eq!(from_file("secret word \nother\n", 0o600).unwrap(), "secret word ");
        assert_eq!(from_file("secret\r\n", 0o640).unwrap(), "secret");
        assert_eq!(from_file("", 0o600).unwrap(), "");
    }

    #[test]
    fn a_file_that_others_may_read_or_write_is_refused() {
        for mode in [0o604, 0o602, 0o666] {
            assert!(from_file("x", mode).unwrap_err().contains("chmod o-rw"), "{mode:o}");
        }
    }

    #[test]
    fn the_file_wins_and_of_the_variables_our_own() {
        let set = |name: &str| match name {
            "SLUICE_PASSWORD" => Some("ours".into()),
            "RSYNC_PASSWORD" => Some("theirs".into()),
            _ => None,
        };
        assert!(find(None, &set, "").is_ok());
        let none = file("\n", 0o600);
        assert!(find(Some(none.path().as_os_str()), &set, "").unwrap_err().1.contains("empty"));
        let empty = |name: &str| (name == "RSYNC_PASSWORD").then(OsString::new);
        let (status, text) = find(None, &empty, "").unwrap_err();
        assert!(status == 5 && text.starts_with("RSYNC_PASSWORD: empty"), "{status} {text}");
    }
}
