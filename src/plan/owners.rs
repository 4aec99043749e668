//! Owners and groups: what a number on the sending side is called, what that name has for a number here,
//! and what `--usermap`, `--groupmap` and `--chown` make of it.
//!
//! The receiving side decides: its system's names are behind the colons, the sender's before them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use super::Options;
use super::attached::{Acls, Attached};
use super::pattern::Pattern;
use crate::event::Note;
use crate::path::acl::Acl;
use crate::path::{Attrs, escape, ids};

/// The number that means "leave it alone" to the kernel: nobody's.
pub const NOBODYS: u32 = u32::MAX;

/// One `FROM:TO` of `--usermap` or `--groupmap`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Mapping {
    from: From,
    to: To,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
enum From {
    /// The numbers from the first to the second.
    Numbers(u32, u32),
    /// What has no name on the sending side.
    Nameless,
    /// A name there, or a pattern of names.
    Name(Pattern),
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
enum To {
    Number(#[serde(deserialize_with = "somebodys")] u32),
    Name(#[serde(with = "serde_bytes")] Vec<u8>),
}

fn somebodys<'de, D: serde::Deserializer<'de>>(from: D) -> Result<u32, D::Error> {
    match u32::deserialize(from)? {
        NOBODYS => Err(serde::de::Error::custom("4294967295 is nobody's number")),
        number => Ok(number),
    }
}

/// Reads the value of `option`, which is `--usermap` or `--groupmap`.
///
/// # Errors
///
/// It is no list of `FROM:TO`, or a number in it is none: a message.
pub fn parse(option: &str, text: &[u8]) -> Result<Vec<Mapping>, String> {
    text.split(|&b| b == b',').map(|pair| parse_pair(option, pair)).collect()
}

/// What `--chown` means by a name: everybody becomes it.
///
/// # Errors
///
/// As [`parse`].
pub fn everybody(option: &str, to: &[u8]) -> Result<Vec<Mapping>, String> {
    parse(option, &[b"*:", to].concat())
}

fn parse_pair(option: &str, pair: &[u8]) -> Result<Mapping, String> {
    let wrong = |what: &str| format!("{option}: {what}: \"{}\"", escape(pair));
    let colon = pair.iter().position(|&b| b == b':').ok_or_else(|| wrong("no colon"))?;
    let (from, to) = (&pair[..colon], &pair[colon + 1..]);
    let number = |text: &[u8]| {
        let digits = std::str::from_utf8(text).ok().filter(|text| text.bytes().all(|b| b.is_ascii_digit()));
        digits.and_then(|digits| digits.parse().ok()).ok_or_else(|| wrong("invalid number"))
    };
    let from = match from {
        [] => From::Nameless,
        [b'0'..=b'9', ..] => match from.iter().position(|&b| b == b'-') {
            Some(dash) => From::Numbers(number(&from[..dash])?, number(&from[dash + 1..])?),
            None => number(from).map(|number| From::Numbers(number, number))?,
        },
        name => From::Name(Pattern::new(name, false)),
    };
    let to = match to {
        [] => return Err(wrong("nothing behind the colon")),
        digits if digits.iter().all(u8::is_ascii_digit) => match number(digits)? {
            NOBODYS => return Err(wrong("that number cannot own anything")),
            number => To::Number(number),
        },
        name => To::Name(name.to_vec()),
    };
    Ok(Mapping { from, to })
}

/// Numbers of the sending side and what they become here; shared by all who look at entries.
#[derive(Debug)]
pub struct Owners {
    users: Mutex<Table>,
    groups: Mutex<Table>,
}

/// Users, or groups.
#[derive(Debug)]
struct Table {
    system: &'static System,
    rules: Vec<(From, u32)>,
    /// The sender is this machine: names that nobody has told are looked up.
    here: bool,
    numeric: bool,
    known: HashMap<u32, u32>,
}

/// The system's names.
#[derive(Debug)]
struct System {
    number: fn(&[u8]) -> Option<u32>,
    name: fn(u32) -> Option<Vec<u8>>,
}

const USERS: System = System { number: ids::user, name: ids::user_name };
const GROUPS: System = System { number: ids::group, name: ids::group_name };

impl Owners {
    /// What `options` ask for; `here`: the sources are on this machine. Returns with it what there is to tell:
    /// a name that this system does not know never stands for a number, so its rule is not there.
    #[must_use]
    pub fn new(options: &Options, here: bool) -> (Owners, Vec<Note>) {
        let mut notes = Vec::new();
        let mut table = |system: &'static System, option: &'static str, map: &[Mapping], keeps: bool| {
            let mut rules = Vec::new();
            for Mapping { from, to } in map.iter().filter(|_| keeps) {
                let to = match to {
                    To::Number(number) => Some(*number),
                    To::Name(name) => (system.number)(name).or_else(|| {
                        notes.push(Note::UnknownName(option.into(), name.clone()));
                        None
                    }),
                };
                rules.extend(to.map(|to| (from.clone(), to)));
            }
            Mutex::new(Table { system, rules, here, numeric: options.numeric_ids, known: HashMap::new() })
        };
        let users = table(&USERS, "--usermap", &options.usermap, options.owner);
        let groups = table(&GROUPS, "--groupmap", &options.groupmap, options.group);
        (Owners { users, groups }, notes)
    }

    /// Learns what a peer calls its users and groups. One that this machine does not know keeps its number, as
    /// rsync does; so does root's, whatever a peer calls it.
    pub fn learn<'n>(
        &self,
        users: impl Iterator<Item = (u32, &'n [u8])>,
        groups: impl Iterator<Item = (u32, &'n [u8])>,
    ) {
        lock(&self.users).learn(users);
        lock(&self.groups).learn(groups);
    }

    /// How many users, or groups if that is more, are known by number.
    #[must_use]
    pub fn known(&self) -> usize {
        lock(&self.users).known.len().max(lock(&self.groups).known.len())
    }

    /// Gives each of `all` the owner and group that it is to have here.
    pub fn translate<'e>(&self, all: impl Iterator<Item = &'e mut Attrs>) {
        let (mut users, mut groups) = (lock(&self.users), lock(&self.groups));
        for attrs in all {
            attrs.uid = users.becomes(attrs.uid);
            attrs.gid = groups.becomes(attrs.gid);
        }
    }

    /// Gives each of `all` the users and groups in its access control lists that they are to be here.
    pub fn translate_lists<'e>(&self, all: impl Iterator<Item = &'e mut Option<Arc<Attached>>>) {
        let (mut users, mut groups) = (lock(&self.users), lock(&self.groups));
        // Maps are about owners then; lists keep their numbers, as with rsync.
        if users.numeric {
            return;
        }
        for attached in all {
            let Some(acls) = attached.as_ref().and_then(|attached| attached.acls.as_ref()) else { continue };
            let mut here = |acl: &Option<Acl>| {
                acl.as_ref().map(|acl| acl.with_ids(|uid| users.becomes(uid), |gid| groups.becomes(gid)))
            };
            let here = Acls { access: here(&acls.access), default: here(&acls.default) };
            if here != *acls {
                let others = attached.as_deref().cloned().unwrap_or_default();
                *attached = Some(Arc::new(Attached { acls: Some(here), ..others }));
            }
        }
    }

    /// Whether every number stands for itself, so that nothing needs to be translated.
    #[must_use]
    pub fn changes_nothing(&self) -> bool {
        [&self.users, &self.groups].into_iter().all(|table| {
            let table = lock(table);
            table.rules.is_empty() && table.here
        })
    }
}

fn lock(table: &Mutex<Table>) -> std::sync::MutexGuard<'_, Table> {
    table.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Table {
    fn learn<'n>(&mut self, names: impl Iterator<Item = (u32, &'n [u8])>) {
        // A daemon may go by numbers where its client does not know that.
        for (number, name) in names.filter(|(number, _)| *number != 0 && !self.numeric) {
            let becomes = self.ruled(number, name).unwrap_or_else(|| match (self.system.number)(name) {
                // Nobody becomes root by a name, and nobody nobody.
                Some(0 | NOBODYS) | None => number,
                Some(here) => here,
            });
            self.known.insert(number, becomes);
        }
    }

    fn becomes(&mut self, number: u32) -> u32 {
        if let Some(known) = self.known.get(&number) {
            return *known;
        }
        if self.rules.is_empty() {
            return number;
        }
        // The sender tells no name for 0: it is called as it is here.
        let asks = !self.numeric && (self.here || number == 0);
        let name = if asks { (self.system.name)(number) } else { None };
        let becomes = self.ruled(number, &name.unwrap_or_default()).unwrap_or(number);
        self.known.insert(number, becomes);
        becomes
    }

    /// What the first rule about the number or its name makes of it.
    fn ruled(&self, number: u32, name: &[u8]) -> Option<u32> {
        let concerns = |from: &From| match from {
            From::Numbers(low, high) => (*low..=*high).contains(&number),
            From::Nameless => name.is_empty(),
            From::Name(pattern) => pattern.matches(name, None, 0, false),
        };
        self.rules.iter().find(|(from, _)| concerns(from)).map(|(_, to)| *to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(usermap: &str) -> Options {
        let usermap = parse("--usermap", usermap.as_bytes()).unwrap();
        Options { owner: true, usermap, ..Options::default() }
    }

    /// What the rules make of a peer's user.
    fn mapped(usermap: &str, number: u32, name: &str) -> u32 {
        let (owners, _) = Owners::new(&options(usermap), false);
        owners.learn([(number, name.as_bytes())].into_iter().filter(|(_, n)| !n.is_empty()), [].into_iter());
        lock(&owners.users).becomes(number)
    }

    #[test]
    fn the_first_match_in_the_list_is_the_one_that_is_used() {
        let map = "0-99:7,wayne:8,*:9";
        assert_eq!(mapped(map, 5, "wayne"), 7);
        assert_eq!(mapped(map, 500, "wayne"), 8);
        assert_eq!(mapped(map, 500, "garth"), 9);
        assert_eq!(mapped(map, 500, ""), 9);
        assert_eq!(mapped("*:9,wayne:8", 500, "wayne"), 9);
    }

    #[test]
    fn an_empty_from_value_matches_only_ids_that_have_no_name() {
        assert_eq!(mapped(":7", 5001, ""), 7);
        assert_eq!(mapped(":7", 5001, "nobody-has-this-name"), 5001);
    }

    #[test]
    fn wild_cards_match_names_and_do_not_match_against_numbers() {
        assert_eq!(mapped("w*e:7", 5001, "wayne"), 7);
        assert_eq!(mapped("?ayne:7,[a-c]*:8", 5001, "bart"), 8);
        assert_eq!(mapped("?*:7", 5001, ""), 5001);
    }

    /// A list that names this user.
    fn list(user: u32) -> Acl {
        let entries =
            [(1u16, 6u16, NOBODYS), (2, 4, user), (4, 4, NOBODYS), (0x10, 6, NOBODYS), (0x20, 0, NOBODYS)];
        let entry = |(tag, permissions, id): (u16, u16, u32)| {
            [&tag.to_le_bytes()[..], &permissions.to_le_bytes(), &id.to_le_bytes()].concat()
        };
        let entries: Vec<u8> = entries.into_iter().flat_map(entry).collect();
        Acl::parse(&[&2u32.to_le_bytes()[..], &entries].concat()).unwrap()
    }

    #[test]
    fn lists_name_users_of_this_machine_and_nobody_becomes_root() {
        let Some(daemon) = ids::user(b"daemon") else { return };
        let (owners, _) = Owners::new(&Options { acls: true, ..Options::default() }, false);
        owners.learn([(4711, &b"daemon"[..]), (4712, b"root")].into_iter(), [].into_iter());
        for (there, here) in [(4711, daemon), (4712, 4712), (4713, 4713)] {
            let acls = Some(Acls { access: Some(list(there)), default: None });
            let mut attached = Some(Arc::new(Attached { acls, xattrs: None, flags: None }));
            owners.translate_lists(std::iter::once(&mut attached));
            assert_eq!(attached.unwrap().acls.clone().unwrap().access, Some(list(here)));
        }
    }

    #[test]
    fn a_malformed_list_is_refused() {
        for (text, why) in [
            ("a", "no colon"),
            ("", "no colon"),
            ("*:5,", "no colon"),
            ("*:", "nothing behind the colon"),
            ("1a:5", "invalid number"),
            ("0x1:5", "invalid number"),
            ("1-:5", "invalid number"),
            ("1-5-7:5", "invalid number"),
            ("4294967296:5", "invalid number"),
            ("1:4294967296", "invalid number"),
            ("1:4294967295", "cannot own anything"),
        ] {
            let error = parse("--usermap", text.as_bytes()).unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
        assert!(parse("--usermap", b"5-1:5,a:b:c,-5:5,1-4294967295:nobody").is_ok());
    }

    #[test]
    fn a_name_that_nobody_has_here_is_told_and_stands_for_nothing() {
        let (owners, notes) = Owners::new(&options("*:no-such-user,77:5"), true);
        assert_eq!(notes, [Note::UnknownName("--usermap".into(), b"no-such-user".to_vec())]);
        assert_eq!(lock(&owners.users).becomes(5001), 5001);
        assert_eq!(lock(&owners.users).becomes(77), 5);
    }
}
