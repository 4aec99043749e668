//! The passwords of a module: its `secrets file`.

use std::ffi::OsStr;

use super::users::Login;
use crate::auth::Password;
use crate::path::operand;
use zeroize::Zeroizing;

/// The largest secrets file, in bytes. A guess: some ten thousand users.
const LIMIT: usize = 1 << 20;

/// Permission bits that make a secrets file none: others may read or write it.
const OTHERS: u32 = 0o006;

/// The password with which `user` logs in: the one of their own line, else the one of the group that let
/// them in. `None`: there is none, and so no login.
///
/// The file is opened once, and what is checked is what is read. `own_uid` is the user who runs the daemon.
///
/// # Errors
///
/// The file cannot be read, or with `strict` is open to others or, for root, somebody else's. For the log:
/// the client learns no more than that it was not let in.
pub fn find(
    path: &OsStr,
    strict: bool,
    own_uid: u32,
    user: &[u8],
    login: &Login,
) -> Result<Option<Password>, String> {
    let (attrs, text) = operand::read_with_attrs(path, LIMIT).map_err(|e| e.to_string())?;
    let text = Zeroizing::new(text);
    if strict {
        let shown = crate::path::escape(path.as_encoded_bytes());
        if attrs.mode & OTHERS != 0 {
            return Err(format!(
                "secrets file \"{shown}\": others may read or write it; chmod o-rw it, or say strict modes = no"
            ));
        }
        if own_uid == 0 && attrs.uid != 0 {
            return Err(format!("secrets file \"{shown}\": it belongs to user {}, not to root", attrs.uid));
        }
    }
    let group = login.group.as_ref().map(|group| [b"@", &group[..]].concat());
    let found = line(&text, user).or_else(|| line(&text, group.as_deref()?));
    Ok(found.and_then(|password| Password::new(password.to_vec())))
}

/// What is behind the colon of the first line for `name`.
fn line<'a>(text: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let lines = text.split(|&b| b == b'\n').filter(|line| !line.starts_with(b"#"));
    lines.filter_map(|line| line.strip_prefix(name)?.strip_prefix(b":")).next()
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)] // the tests write what is read
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    const TEXT: &[u8] =
        b"# joe:x\nann:first\nann:second\nbob:with:colon \n carl:x\nempty:\n@staff:shared\n#x:y";

    fn file(mode: u32) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), TEXT).unwrap();
        std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(mode)).unwrap();
        file
    }

    fn found(user: &str, group: Option<&str>) -> Option<String> {
        let group = group.map(|g| g.as_bytes().to_vec());
        let login = Login { group, read_only: None };
        let group = login.group.as_ref().map(|group| [b"@", &group[..]].concat());
        let found = line(TEXT, user.as_bytes()).or_else(|| line(TEXT, group.as_deref()?));
        found.map(|text| String::from_utf8(text.to_vec()).unwrap())
    }

    #[test]
    fn the_first_line_counts_and_all_behind_the_colon() {
        assert_eq!(found("ann", None).unwrap(), "first");
        assert_eq!(found("bob", None).unwrap(), "with:colon ");
        for user in ["carl", "joe", "# joe", "an", "ann:first", "@", "staff", "#x"] {
            assert_eq!(found(user, None), None, "{user}");
        }
    }

    #[test]
    fn a_groups_line_is_for_those_without_their_own() {
        assert_eq!(found("kim", Some("staff")).unwrap(), "shared");
        assert_eq!(found("ann", Some("staff")).unwrap(), "first");
        assert_eq!(found("kim", Some("other")), None);
    }

    #[test]
    fn an_empty_password_lets_nobody_in() {
        let file = file(0o600);
        let login = Login { group: None, read_only: None };
        let find = |user: &[u8]| find(file.path().as_os_str(), false, 1, user, &login).unwrap();
        assert!(find(b"empty").is_none() && find(b"ann").is_some());
    }

    #[test]
    fn a_file_that_others_may_read_or_write_is_refused_unless_modes_are_not_strict() {
        let login = Login { group: None, read_only: None };
        for (mode, fine) in [(0o600, true), (0o640, true), (0o601, true), (0o644, false), (0o602, false)] {
            let file = file(mode);
            let find = |strict| find(file.path().as_os_str(), strict, 1, b"ann", &login);
            assert_eq!(find(true).is_ok(), fine, "{mode:o}");
            assert!(find(false).is_ok());
        }
    }

    #[test]
    fn root_reads_only_its_own_secrets() {
        use std::os::unix::fs::MetadataExt as _;
        let file = file(0o600);
        let owner = std::fs::metadata(file.path()).unwrap().uid();
        if owner == 0 && std::os::unix::fs::chown(file.path(), Some(65534), None).is_err() {
            return;
        }
        let login = Login { group: None, read_only: None };
        let error = find(file.path().as_os_str(), true, 0, b"ann", &login).unwrap_err();
        assert!(error.contains("not to root"), "{error}");
    }
}
