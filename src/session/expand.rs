//! Wildcards in operands, expanded where the operand lies: `host:dir/*.log`.
//!
//! rsync leaves this to the remote shell, or does it itself where there is none. Here it is always the server:
//! no shell sees an operand. What comes out is text, as if the client had typed it, and is looked up and confined
//! like that.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use serde::{Deserialize, Serialize};

use super::module::Module;
use crate::path::operand::{self, Operand};
use crate::path::{Kind, Name, escape, ids};
use crate::plan::pattern::Pattern;
use crate::sys::Errno;
use crate::wire::Role;
use crate::wire::request::OPERAND_COST;

/// What is expanded in the operands on the other machine.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum Wild {
    /// Nothing: they are taken as they are.
    #[default]
    Nothing,
    /// What a shell would: `~`, and wildcards, which leave out names that begin with a dot unless they do too.
    AsShell,
    /// Wildcards, as rsync itself does: `*` is any name.
    AsRsync,
}

/// Expands operands in the rest of a budget.
struct Expansion<'a> {
    wild: Wild,
    module: Option<&'a Module>,
    /// In bytes, counted as for a request.
    left: usize,
}

/// The operands that `operands` stand for on this side, which plays `role`, inside `module` if it serves one.
/// One that matches nothing stays as it is. All that come out cost no more than `limit`, counted as for a request.
///
/// # Errors
///
/// They are too many; or a destination stands for several.
pub(super) fn expand(
    wild: Wild,
    role: Role,
    module: Option<&Module>,
    operands: &[Vec<u8>],
    limit: usize,
) -> Result<Vec<Vec<u8>>, String> {
    let mut expansion = Expansion { wild, module, left: limit };
    let mut all = Vec::new();
    for typed in operands {
        let found = expansion.operand(typed)?;
        if role == Role::Receiver && found.len() > 1 {
            return Err(format!("the destination stands for {} names: {}", found.len(), escape(typed)));
        }
        all.extend(found);
    }
    Ok(all)
}

fn is_wild(part: &[u8]) -> bool {
    part.iter().any(|b| b"*?[".contains(b))
}

impl Expansion<'_> {
    fn operand(&mut self, typed: &[u8]) -> Result<Vec<Vec<u8>>, String> {
        let typed = if self.wild == Wild::AsShell { home(typed) } else { typed.to_vec() };
        if self.wild == Wild::Nothing || !is_wild(&typed) {
            return Ok(vec![typed]);
        }
        let parts: Vec<&[u8]> = typed.split(|&b| b == b'/').collect();
        let mut found: Vec<Vec<u8>> = vec![Vec::new()];
        for (n, part) in parts.iter().enumerate() {
            let below = n > 0;
            if is_wild(part) {
                found = self.step(found, below, part, n + 1 < parts.len())?;
            } else {
                found.iter_mut().for_each(|path| append(path, below, part));
            }
        }
        if !parts.last().is_some_and(|part| is_wild(part)) {
            found.retain(|path| exists(path));
        }
        Ok(if found.is_empty() { vec![literal(typed)] } else { found })
    }

    /// What `part` matches in each of the directories `dirs`; with `dirs_only`, directories alone.
    fn step(
        &mut self,
        dirs: Vec<Vec<u8>>,
        below: bool,
        part: &[u8],
        dirs_only: bool,
    ) -> Result<Vec<Vec<u8>>, String> {
        let pattern = Pattern::new(part, false);
        let dotted = self.wild == Wild::AsRsync || part.starts_with(b".") || part.starts_with(b"\\.");
        let mut found = Vec::new();
        for path in dirs {
            // One that cannot be read matches nothing.
            let Ok(names) = matching(&path, below, &pattern, dotted) else { continue };
            for (name, kind) in names {
                let mut full = path.clone();
                append(&mut full, below, name.as_bytes());
                let is_dir = match kind {
                    Some(Kind::Dir) => true,
                    // Perhaps a link to one; what may be followed, only a look at it tells.
                    Some(Kind::Symlink) | None if dirs_only => {
                        operand::open_dir(OsStr::from_bytes(&full)).is_ok()
                    }
                    _ => false,
                };
                if dirs_only && !is_dir || self.module.is_some_and(|module| module.hides(&full, is_dir)) {
                    continue;
                }
                let left = self.left.checked_sub(full.len() + OPERAND_COST);
                self.left = left.ok_or_else(|| {
                    let shown = escape(part);
                    format!(
                        "\"{shown}\" matches too many names; copy the directory, with --include and --exclude"
                    )
                })?;
                found.push(full);
            }
        }
        Ok(found)
    }
}

/// What an operand that matched nothing means: itself; without backslashes, if they take every wildcard's meaning
/// away and nothing is called like that.
fn literal(typed: Vec<u8>) -> Vec<u8> {
    let mut plain = Vec::with_capacity(typed.len());
    let mut bytes = typed.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        match (byte, bytes.peek()) {
            (b'\\', Some(next)) if b"*?[]".contains(next) => plain.extend(bytes.next()),
            _ if b"*?[".contains(&byte) => return typed,
            _ => plain.push(byte),
        }
    }
    if exists(&typed) { typed } else { plain }
}

fn append(path: &mut Vec<u8>, below: bool, part: &[u8]) {
    if below {
        path.push(b'/');
    }
    path.extend_from_slice(part);
}

/// The names in a directory that a pattern matches, in order.
fn matching(
    path: &[u8],
    below: bool,
    pattern: &Pattern,
    dotted: bool,
) -> Result<Vec<(Name, Option<Kind>)>, Errno> {
    let path = match (path, below) {
        (b"", true) => b"/",
        (b"", false) => &b"."[..],
        (path, _) => path,
    };
    let dir = operand::open_dir(OsStr::from_bytes(path)).map_err(|e| e.source)?;
    let mut names = Vec::new();
    dir.list(|name, kind| {
        let bytes = name.as_bytes();
        if (dotted || !bytes.starts_with(b".")) && pattern.matches(bytes, None, 0, true) {
            names.push((name, kind));
        }
    })?;
    names.sort_by(|(a, _), (b, _)| a.cmp(b));
    Ok(names)
}

fn exists(path: &[u8]) -> bool {
    let at = operand::resolve(OsStr::from_bytes(path)).map_err(|e| e.source);
    at.and_then(|at: Operand| at.stat()).is_ok_and(|attrs| attrs.is_some())
}

/// `~` and `~USER` in front stand for a home, as in a shell; whoever has none stays as typed.
fn home(typed: &[u8]) -> Vec<u8> {
    let Some(rest) = typed.strip_prefix(b"~") else { return typed.to_vec() };
    let end = rest.iter().position(|&b| b == b'/').unwrap_or(rest.len());
    let (user, below) = rest.split_at(end);
    match ids::home((!user.is_empty()).then_some(user)) {
        Some(home) => [&home[..], below].concat(),
        None => typed.to_vec(),
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)] // the tests make what is found
mod tests {
    use super::*;

    fn tree() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for name in
            ["a.log", "b.log", ".h.log", "x y.log", "[z].log", "*.txt", "d/in", "d/.in", "e/in", "e/f/in"]
        {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        dir
    }

    fn found(wild: Wild, typed: &str) -> Vec<String> {
        let dir = tree();
        let top = format!("{}/", dir.path().display());
        let operand = format!("{top}{typed}").into_bytes();
        let found = expand(wild, Role::Sender, None, &[operand], 1 << 20).unwrap();
        let text = |path: Vec<u8>| String::from_utf8(path).unwrap().strip_prefix(&top).unwrap().to_owned();
        found.into_iter().map(text).collect()
    }

    #[test]
    fn wildcards_stand_for_names_in_order_and_nothing_found_stays_as_typed() {
        for (typed, expected) in [
            ("*.log", &["[z].log", "a.log", "b.log", "x y.log"][..]),
            ("[ab].log", &["a.log", "b.log"]),
            ("?.log", &["a.log", "b.log"]),
            ("[z].log", &["[z].log"]),
            ("x y*", &["x y.log"]),
            (".h*", &[".h.log"]),
            ("*/in", &["d/in", "e/in"]),
            ("*/", &["d/", "e/"]),
            ("e/*", &["e/f", "e/in"]),
            ("./*/./in", &["./d/./in", "./e/./in"]),
            ("*/f/*", &["e/f/in"]),
            ("no*such", &["no*such"]),
            ("a.log/*", &["a.log/*"]),
            (r"\*.txt", &["*.txt"]),
            (r"\*.log", &["*.log"]),
            (r"\*x*", &[r"\*x*"]),
            ("plain", &["plain"]),
            ("[", &["["]),
        ] {
            assert_eq!(found(Wild::AsShell, typed), expected, "{typed}");
        }
        assert_eq!(found(Wild::AsRsync, "*.log")[0], ".h.log");
        assert_eq!(found(Wild::AsRsync, "d/*"), ["d/.in", "d/in"]);
        assert_eq!(found(Wild::Nothing, "*.log"), ["*.log"]);
    }

    #[test]
    fn a_destination_is_one_and_no_operand_makes_too_many() {
        let dir = tree();
        let operand = |name: &str| vec![dir.path().join(name).into_os_string().into_encoded_bytes()];
        let expand = |role, name, limit| expand(Wild::AsShell, role, None, &operand(name), limit);
        assert!(expand(Role::Receiver, "d*", 1 << 20).unwrap()[0].ends_with(b"/d"));
        assert!(expand(Role::Receiver, "?", 1 << 20).unwrap_err().contains("stands for 2 names"));
        assert!(expand(Role::Sender, "*", 200).unwrap_err().contains("too many names"));
    }

    #[test]
    fn a_tilde_is_a_home_for_a_shell_alone() {
        let expand =
            |wild, typed: &str| expand(wild, Role::Sender, None, &[typed.into()], 1000).unwrap().remove(0);
        let home = ids::home(None).unwrap();
        assert_eq!(expand(Wild::AsShell, "~"), home);
        assert_eq!(expand(Wild::AsShell, "~/a b"), [&home[..], b"/a b"].concat());
        assert_eq!(expand(Wild::AsShell, "~root"), ids::home(Some(b"root")).unwrap());
        assert_eq!(expand(Wild::AsShell, "~no-such-user/x"), b"~no-such-user/x");
        assert_eq!(expand(Wild::AsShell, "a/~"), b"a/~");
        assert_eq!(expand(Wild::AsRsync, "~/x"), b"~/x");
    }
}
