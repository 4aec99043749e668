//! `--usermap`, `--groupmap`, `--chown`: who says what about users, and about groups, and that nobody says it twice.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use super::typed::Typed;
use crate::plan::owners::{Mapping, everybody, parse};

/// Which option has spoken about users, or about groups.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Said {
    /// `--usermap` or `--groupmap`.
    Map,
    /// `--chown`.
    Chown,
}

/// One of the two that are mapped.
struct Side<'t> {
    map: &'static str,
    affects: &'static str,
    said: &'t mut Option<Said>,
    kept: &'t mut bool,
    rules: &'t mut Vec<Mapping>,
}

impl Side<'_> {
    fn take(self, by: Said, rules: Vec<Mapping>) -> Result<(), String> {
        let (map, affects) = (self.map, self.affects);
        match (*self.said, by) {
            (None, _) => {}
            (Some(Said::Map), Said::Map) => return Err(format!("{map} can be given only once")),
            (Some(Said::Chown), Said::Map) => return Err(format!("{map} conflicts with an earlier --chown")),
            (Some(Said::Map), Said::Chown) => return Err(format!("--chown conflicts with an earlier {map}")),
            (Some(Said::Chown), Said::Chown) => {
                return Err(format!("a --chown that affects {affects} can be given only once"));
            }
        }
        (*self.said, *self.kept, *self.rules) = (Some(by), true, rules);
        Ok(())
    }
}

fn users(typed: &mut Typed) -> Side<'_> {
    Side {
        map: "--usermap",
        affects: "users",
        said: &mut typed.users_said,
        kept: &mut typed.plan.owner,
        rules: &mut typed.plan.usermap,
    }
}

fn groups(typed: &mut Typed) -> Side<'_> {
    Side {
        map: "--groupmap",
        affects: "groups",
        said: &mut typed.groups_said,
        kept: &mut typed.plan.group,
        rules: &mut typed.plan.groupmap,
    }
}

/// `--usermap`.
///
/// # Errors
///
/// It is malformed, or users have been spoken about already.
pub fn usermap(typed: &mut Typed, value: &OsStr) -> Result<(), String> {
    let rules = parse("--usermap", value.as_bytes())?;
    users(typed).take(Said::Map, rules)
}

/// `--groupmap`.
///
/// # Errors
///
/// As [`usermap`].
pub fn groupmap(typed: &mut Typed, value: &OsStr) -> Result<(), String> {
    let rules = parse("--groupmap", value.as_bytes())?;
    groups(typed).take(Said::Map, rules)
}

/// `--chown`: the user before the first colon, the group behind it; what is empty is not spoken about.
///
/// # Errors
///
/// As [`usermap`].
pub fn chown(typed: &mut Typed, value: &OsStr) -> Result<(), String> {
    let value = value.as_bytes();
    let colon = value.iter().position(|&b| b == b':').unwrap_or(value.len());
    let (user, group) = (&value[..colon], value.get(colon + 1..).unwrap_or_default());
    if !user.is_empty() {
        let rules = everybody("--chown", user)?;
        users(typed).take(Said::Chown, rules)?;
    }
    if !group.is_empty() {
        let rules = everybody("--chown", group)?;
        groups(typed).take(Said::Chown, rules)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(options: &[(&str, &str)]) -> Result<Typed, String> {
        let mut typed = Typed::default();
        for (option, value) in options {
            let value = OsStr::new(value);
            match *option {
                "usermap" => usermap(&mut typed, value)?,
                "groupmap" => groupmap(&mut typed, value)?,
                _ => chown(&mut typed, value)?,
            }
        }
        Ok(typed)
    }

    #[test]
    fn chown_is_implemented_by_the_maps_and_thus_they_cannot_be_mixed() {
        for (options, why) in [
            ([("chown", "1:2"), ("usermap", "*:3")], "--usermap conflicts with an earlier --chown"),
            ([("usermap", "*:3"), ("chown", "1")], "--chown conflicts with an earlier --usermap"),
            ([("chown", ":2"), ("groupmap", "*:3")], "--groupmap conflicts with an earlier --chown"),
            ([("groupmap", "*:3"), ("chown", ":2")], "--chown conflicts with an earlier --groupmap"),
            ([("usermap", "*:3"), ("usermap", "*:3")], "--usermap can be given only once"),
            ([("chown", "1"), ("chown", "2")], "a --chown that affects users can be given only once"),
            ([("chown", ":1"), ("chown", "2:1")], "a --chown that affects groups can be given only once"),
        ] {
            assert_eq!(typed(&options).unwrap_err(), why, "{options:?}");
        }
    }

    #[test]
    fn if_either_is_empty_no_mapping_for_the_omitted_one_occurs() {
        let both = |options: &[(&str, &str)]| {
            let plan = typed(options).unwrap().plan;
            (plan.owner, plan.usermap.len(), plan.group, plan.groupmap.len())
        };
        assert_eq!(both(&[("chown", "1")]), (true, 1, false, 0));
        assert_eq!(both(&[("chown", "1:")]), (true, 1, false, 0));
        assert_eq!(both(&[("chown", ":1")]), (false, 0, true, 1));
        assert_eq!(both(&[("chown", "")]), (false, 0, false, 0));
        assert_eq!(both(&[("chown", ":")]), (false, 0, false, 0));
        assert_eq!(both(&[("chown", "1"), ("chown", ":3")]), (true, 1, true, 1));
        assert_eq!(both(&[("chown", ":2"), ("usermap", "*:3")]), (true, 1, true, 1));
    }
}
