//! Who may log in to a module, and what for: `auth users`.

use crate::path::escape;
use crate::plan::pattern::Pattern;

/// One rule of `auth users`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UserRule {
    who: Who,
    right: Right,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Who {
    /// Users whose name, as the client gives it, matches.
    User(Pattern),
    /// Users of this system in a group whose name matches.
    Group(Pattern),
}

/// What a rule says about those it is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Right {
    Deny,
    ReadOnly,
    ReadWrite,
    /// What `read only` says.
    AsModule,
}

/// A user whom a rule lets try a password.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Login {
    /// The group that let them in, whose password counts if they have none of their own.
    pub group: Option<Vec<u8>>,
    /// `Some` where the rule overrides the module's `read only`.
    pub read_only: Option<bool>,
}

impl UserRule {
    /// Reads `NAME`, `@GROUP`, each perhaps with `:deny`, `:ro` or `:rw`.
    ///
    /// # Errors
    ///
    /// Something else is behind the colon, or nothing before it.
    pub fn parse(text: &[u8]) -> Result<UserRule, String> {
        let (name, right) = match text.iter().position(|&b| b == b':') {
            None => (text, Right::AsModule),
            Some(at) => match &text[at + 1..] {
                b"deny" => (&text[..at], Right::Deny),
                b"ro" => (&text[..at], Right::ReadOnly),
                b"rw" => (&text[..at], Right::ReadWrite),
                other => return Err(format!("\":{}\" is none of :deny, :ro, :rw", escape(other))),
            },
        };
        let (name, who): (_, fn(Pattern) -> Who) = match name.strip_prefix(b"@") {
            Some(group) => (group, Who::Group),
            None => (name, Who::User),
        };
        if name.is_empty() || name.contains(&b'/') {
            return Err(format!("\"{}\" names nobody", escape(text)));
        }
        Ok(UserRule { who: who(Pattern::new(name, false)), right })
    }
}

/// The first rule that is about `user` decides. `groups` gives the names of the groups of a user of this
/// system; it is asked only if a rule is about groups, and at most once.
///
/// Returns `None` for a user who may not log in, whatever the password.
#[must_use]
pub fn find(rules: &[UserRule], user: &[u8], groups: &dyn Fn(&[u8]) -> Vec<Vec<u8>>) -> Option<Login> {
    if user.is_empty() || user.contains(&b'/') || user.starts_with(b"@") {
        return None;
    }
    let mut known: Option<Vec<Vec<u8>>> = None;
    for rule in rules {
        let group = match &rule.who {
            Who::User(pattern) if matches(pattern, user) => None,
            Who::User(_) => continue,
            Who::Group(pattern) => {
                let groups = known.get_or_insert_with(|| groups(user));
                match groups.iter().find(|group| matches(pattern, group)) {
                    Some(group) => Some(group.clone()),
                    None => continue,
                }
            }
        };
        let read_only = match rule.right {
            Right::Deny => return None,
            Right::ReadOnly => Some(true),
            Right::ReadWrite => Some(false),
            Right::AsModule => None,
        };
        return Some(Login { group, read_only });
    }
    None
}

fn matches(pattern: &Pattern, name: &[u8]) -> bool {
    pattern.matches(name, None, 0, false)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(text: &str) -> Vec<UserRule> {
        text.split_whitespace().map(|rule| UserRule::parse(rule.as_bytes()).unwrap()).collect()
    }

    fn groups(user: &[u8]) -> Vec<Vec<u8>> {
        match user {
            b"admin" | b"kim" => vec![b"rsync".to_vec()],
            b"visitor" => vec![b"guest".to_vec(), b"rsync".to_vec()],
            _ => Vec::new(),
        }
    }

    fn login(user: &str) -> Option<Option<bool>> {
        let rules = rules("joe:deny @guest:deny admin:rw @rsync:ro susan joe s?m*");
        find(&rules, user.as_bytes(), &groups).map(|login| login.read_only)
    }

    #[test]
    fn the_first_rule_that_matches_decides() {
        assert_eq!(login("joe"), None);
        assert_eq!(login("visitor"), None);
        assert_eq!(login("admin"), Some(Some(false)));
        assert_eq!(login("kim"), Some(Some(true)));
        assert_eq!(login("susan"), Some(None));
        assert_eq!(login("sammy"), Some(None));
        assert_eq!(login("bob"), None);
    }

    #[test]
    fn the_group_that_let_a_user_in_is_remembered() {
        let login = find(&rules("@rs*"), b"kim", &groups).unwrap();
        assert_eq!(login.group.as_deref(), Some(&b"rsync"[..]));
        assert_eq!(find(&rules("kim @rsync"), b"kim", &groups).unwrap().group, None);
    }

    #[test]
    fn no_name_reaches_a_groups_line_or_means_a_path() {
        let all = rules("*");
        for user in ["", "@rsync", "a/b", "/"] {
            assert_eq!(find(&all, user.as_bytes(), &groups), None, "{user:?}");
        }
    }

    #[test]
    fn the_system_is_not_asked_for_groups_unless_a_rule_is_about_them() {
        assert!(find(&rules("a b*"), b"c", &|_| panic!("asked")).is_none());
    }

    #[test]
    fn a_rule_with_something_else_behind_the_colon_is_refused() {
        for text in ["joe:", "joe:RO", "joe:ro:rw", ":ro", "@", "@:deny", "a/b"] {
            assert!(UserRule::parse(text.as_bytes()).is_err(), "{text:?}");
        }
    }
}
