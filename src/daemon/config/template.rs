//! Values with `%VAR%` in them: the environment's at once, a connection's when it is known.

use super::Environment;

/// What is known of a connection when a [`Template`] is filled in.
#[derive(Clone, Debug, Default)]
pub struct Peer {
    /// The user who authenticated; empty without one.
    pub user: Vec<u8>,
    /// The module asked for.
    pub module: Vec<u8>,
    /// The peer's address as text.
    pub address: String,
}

/// A value in which some places are filled in later.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Template {
    parts: Vec<Part>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Part {
    Text(Vec<u8>),
    User,
    Module,
    Address,
}

impl Template {
    /// Text that is meant as it stands.
    #[must_use]
    pub fn literal(text: &[u8]) -> Template {
        Template { parts: vec![Part::Text(text.to_vec())] }
    }

    /// Reads a value: `%%` is a percent sign, `%NAME%` a variable; anything else stands for itself, a
    /// variable that does not exist too.
    #[must_use]
    pub fn parse(value: &[u8], environment: Environment<'_>) -> Template {
        let mut parts = Vec::new();
        let mut text = Vec::new();
        let mut rest = value;
        while let [first, after @ ..] = rest {
            rest = after;
            if *first != b'%' {
                text.push(*first);
                continue;
            }
            if let Some(behind) = after.strip_prefix(b"%") {
                text.push(b'%');
                rest = behind;
                continue;
            }
            let Some((name, behind)) = reference(after) else {
                text.push(b'%');
                continue;
            };
            let late = match name.strip_prefix("RSYNC_").or_else(|| name.strip_prefix("SLUICE_")) {
                Some("USER_NAME") => Some(Part::User),
                Some("MODULE_NAME") => Some(Part::Module),
                Some("HOST_ADDR") => Some(Part::Address),
                _ => None,
            };
            if let Some(part) = late {
                parts.push(Part::Text(std::mem::take(&mut text)));
                parts.push(part);
                rest = behind;
            } else if let Some(found) = environment(name) {
                text.extend_from_slice(found.as_encoded_bytes());
                rest = behind;
            } else {
                text.push(b'%');
            }
        }
        parts.push(Part::Text(text));
        Template { parts }
    }

    /// The text, if nothing in it depends on the connection.
    #[must_use]
    pub fn fixed(&self) -> Option<Vec<u8>> {
        let text = |part: &Part| if let Part::Text(text) = part { Some(text.clone()) } else { None };
        self.parts.iter().map(text).collect::<Option<Vec<_>>>().map(|texts| texts.concat())
    }

    /// The text for one connection.
    ///
    /// # Errors
    ///
    /// It needs the user's name, and there is none, or it could be more than one component of a path.
    pub fn fill(&self, peer: &Peer) -> Result<Vec<u8>, String> {
        let mut out = Vec::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => out.extend_from_slice(text),
                Part::User => match crate::path::Name::parse(&peer.user) {
                    Ok(_) => out.extend_from_slice(&peer.user),
                    Err(_) => return Err("%RSYNC_USER_NAME% needs a user whose name can be a file's".into()),
                },
                Part::Module => out.extend_from_slice(&peer.module),
                Part::Address => out.extend_from_slice(peer.address.as_bytes()),
            }
        }
        Ok(out)
    }
}

/// The name before the next `%`, and what is behind it.
fn reference(text: &[u8]) -> Option<(&str, &[u8])> {
    let end = text.iter().position(|&b| b == b'%')?;
    let name = std::str::from_utf8(&text[..end]).ok()?;
    let fine = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    fine.then_some((name, &text[end + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Template {
        Template::parse(text.as_bytes(), &|name| (name == "HOME").then(|| "/h".into()))
    }

    #[test]
    fn variables_of_the_environment_are_filled_in_at_once() {
        for (text, expected) in [
            ("%HOME%/x", "/h/x"),
            ("%NOPE%/x", "%NOPE%/x"),
            ("50%% 5%", "50% 5%"),
            ("%h [%a] %HOME%", "%h [%a] /h"),
            ("%%HOME%%", "%HOME%"),
            ("%NOPE%HOME%", "%NOPE/h"),
        ] {
            assert_eq!(parse(text).fixed().unwrap(), expected.as_bytes(), "{text}");
        }
    }

    #[test]
    fn what_the_connection_brings_waits_for_it() {
        let template = parse("/home/%RSYNC_USER_NAME%/%SLUICE_MODULE_NAME%/%RSYNC_HOST_ADDR%");
        assert_eq!(template.fixed(), None);
        let peer = Peer { user: b"ann".into(), module: b"m".into(), address: "::1".into() };
        assert_eq!(template.fill(&peer).unwrap(), b"/home/ann/m/::1");
    }

    #[test]
    fn a_user_never_makes_more_than_one_component() {
        for user in ["", ".", "..", "a/b", "../x"] {
            let peer = Peer { user: user.into(), ..Peer::default() };
            assert!(parse("/home/%RSYNC_USER_NAME%").fill(&peer).is_err(), "{user:?}");
        }
    }
}
