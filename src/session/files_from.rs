//! `--files-from`: names below the only source, each as if it had been an operand of `--relative`.

use std::ffi::OsStr;
use std::fmt::Display;
use std::os::unix::ffi::OsStrExt;

use serde::{Deserialize, Serialize};

use super::module::Module;
use super::selection::{Builder, parent_of, strip_slashes};
use crate::event::{Problem, Severity};
use crate::path::operand::{self, Operand};
use crate::path::{Attrs, Dir, Kind, Name, bounds, escape};
use crate::sys::Errno;
use crate::wire::request::OPERAND_COST;

/// A file of names on the other machine.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct There {
    /// Its path there, as typed.
    #[serde(with = "serde_bytes")]
    pub path: Vec<u8>,
    /// Its names end with NUL (`-0`).
    pub from0: bool,
}

/// The names in a file: lines, or with `from0` what ends with NUL. Empty ones and comments do not count.
#[must_use]
pub fn names(contents: &[u8], from0: bool) -> Vec<Vec<u8>> {
    let ends = |b: &u8| *b == 0 || (!from0 && (*b == b'\n' || *b == b'\r'));
    let names = contents.split(ends).filter(|name| name.first().is_some_and(|first| !b"#;".contains(first)));
    names.map(<[u8]>::to_vec).collect()
}

impl There {
    /// Reads the names on this side, inside `module` if it serves one; they cost no more than `limit`, counted as
    /// for a request.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or is not there for the client; or the names are too many.
    pub(super) fn read(&self, module: Option<&Module>, limit: usize) -> Result<Vec<Vec<u8>>, String> {
        let failed = |why: &dyn Display| format!("open --files-from \"{}\": {why}", escape(&self.path));
        if module.is_some_and(|module| module.hides(&self.path, false)) {
            return Err(failed(&std::io::Error::from(Errno::ENOENT)));
        }
        let contents = operand::read_file(OsStr::from_bytes(&self.path), limit)
            .map_err(|e| failed(&std::io::Error::from(e.source)))?;
        let names = names(&contents, self.from0);
        let cost: usize = names.iter().map(|name| name.len() + OPERAND_COST).sum();
        if cost > limit { Err(failed(&"it names too much")) } else { Ok(names) }
    }
}

impl Builder<'_> {
    /// Selects what the list names; what of it is missing is reported.
    ///
    /// # Errors
    ///
    /// A name that no file can have: nothing is touched, exit 1.
    pub(super) fn files_from(&mut self, list: &[Vec<u8>]) -> Result<(), String> {
        let Some(source) = self.options.sources.first() else { return Ok(()) };
        if let Err(e) = operand::open_dir(source) {
            self.others += 1;
            self.selection.problems.push(Problem::operand(&e, Severity::FileSelection));
            return Ok(());
        }
        let source = strip_slashes(source.as_bytes());
        let mut parent = None;
        for line in list.iter().filter(|line| !line.is_empty()) {
            self.listed(&source, Line::parse(line)?, &mut parent);
        }
        Ok(())
    }

    fn listed(&mut self, source: &[u8], line: Line, parent: &mut Parent) {
        let Line { base, names, root, contents } = line;
        let (relative, recursive) = (self.options.relative, self.options.plan.recursive);
        let base = typed(source, &base);
        let path = typed(&base, &names);
        if root && relative {
            self.others += 1;
            if self.options.implied_dirs {
                self.root(&base);
            }
        }
        let Some(last) = names.last() else {
            return match open(&base) {
                Ok(dir) => self.contents(dir, &base),
                Err(e) => self.unusable("open", &base, e),
            };
        };
        let kind = match self.found_beside(&path, last, parent) {
            Ok(attrs) => attrs.kind,
            Err(e) => {
                let kept = if relative { &names[..] } else { std::slice::from_ref(last) };
                let told = self.absent(&path, e, kept);
                match open(&base) {
                    Ok(dir) => self.absent_below(dir, base, kept),
                    Err(_) => self.selection.incomplete |= told,
                }
                return;
            }
        };
        // As a directory it is gone into.
        if let Some(Err(e)) = (!relative && contents && kind != Kind::Dir).then(|| open(&path)) {
            return self.unusable("open", &path, e);
        }
        if names.len() == 1 || !relative {
            self.count(kind, last);
        } else {
            self.others += 1;
        }
        let whole = recursive || contents;
        let (at, picked) = match (relative, contents && kind == Kind::Dir) {
            (true, _) => (base, &names[..]),
            (false, true) => (path.clone(), &[][..]),
            (false, false) => (parent_of(&path, last), std::slice::from_ref(last)),
        };
        if !picked.is_empty() {
            return self.pick(|| open(&at), at.clone(), picked, whole);
        }
        match open(&at) {
            Ok(dir) => self.contents(dir, &at),
            Err(e) => self.unusable("stat", &path, e),
        }
    }

    /// As [`Builder::found`]; `name` is the last one of `path`, and `parent` what the name before it was in: a list
    /// names many in one directory, and to walk there anew took two thirds of the time of a long one.
    fn found_beside(&self, path: &[u8], name: &Name, parent: &mut Parent) -> Result<Attrs, Errno> {
        let above = parent_of(path, name);
        let operand = match parent.take() {
            Some((at, dir)) if at == above => Operand { dir, name: Some(name.clone()) },
            _ => operand::resolve(OsStr::from_bytes(path)).map_err(|e| e.source)?,
        };
        let found = self.found_at(&operand, path);
        *parent = Some((above, operand.dir));
        found
    }
}

/// A directory and its path.
type Parent = Option<(Vec<u8>, Dir)>;

fn open(path: &[u8]) -> Result<Dir, Errno> {
    let dir = operand::open_dir(OsStr::from_bytes(path)).map_err(|e| e.source)?;
    bounds::check(&dir)?;
    Ok(dir)
}

/// `names` below the path `above`.
pub(super) fn typed(above: &[u8], names: &[Name]) -> Vec<u8> {
    let mut path = above.to_vec();
    for name in names {
        if !path.ends_with(b"/") {
            path.push(b'/');
        }
        path.extend_from_slice(name.as_bytes());
    }
    path
}

/// A name of the list.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// The directories in front of `/./`, which are no part of the transfer.
    base: Vec<Name>,
    /// The path in the transfer.
    pub(super) names: Vec<Name>,
    /// It begins with `./`: the root itself is in the transfer.
    pub(super) root: bool,
    /// Its contents are meant, and not only itself.
    pub(super) contents: bool,
}

impl Line {
    pub(super) fn parse(line: &[u8]) -> Result<Line, String> {
        let start = line.iter().position(|&b| b != b'/').unwrap_or(line.len());
        let line = &line[start..];
        let (base, rest) = match line.windows(3).position(|part| part == b"/./") {
            Some(at) => (&line[..at], &line[at + 3..]),
            None => (&b""[..], line),
        };
        let last = rest.rsplit(|&b| b == b'/').next().unwrap_or_default();
        Ok(Line {
            base: below(base)?,
            names: below(rest)?,
            root: rest.starts_with(b"./"),
            contents: matches!(last, b"" | b"." | b".."),
        })
    }
}

/// The names of `path`, in which `..` takes one away and leads nowhere above the source.
fn below(path: &[u8]) -> Result<Vec<Name>, String> {
    let mut names = Vec::new();
    for part in path.split(|&b| b == b'/') {
        match part {
            b"" | b"." => {}
            b".." => {
                names.pop();
            }
            part => names.push(Name::parse(part).map_err(|e| format!("{}: {e}", escape(path)))?),
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> (String, String, bool, bool) {
        let Line { base, names, root, contents } = Line::parse(line.as_bytes()).unwrap();
        let text = |names: &[Name]| String::from_utf8(typed(b"", names)).unwrap();
        (text(&base), text(&names), root, contents)
    }

    #[test]
    fn names_are_read_as_rsync_reads_them() {
        let line = |base: &str, names: &str, root, contents| (base.into(), names.into(), root, contents);
        assert_eq!(parsed("a/b"), line("", "/a/b", false, false));
        assert_eq!(parsed("//a//b"), line("", "/a/b", false, false));
        assert_eq!(parsed("./a"), line("", "/a", true, false));
        assert_eq!(parsed("a/"), line("", "/a", false, true));
        assert_eq!(parsed("a/./b"), line("/a", "/b", false, false));
        assert_eq!(parsed("a/././b"), line("/a", "/b", true, false));
        assert_eq!(parsed("./a/./b"), line("/a", "/b", false, false));
        assert_eq!(parsed("a/b/./"), line("/a/b", "", false, true));
        assert_eq!(parsed("."), line("", "", false, true));
    }

    #[test]
    fn nothing_above_the_source_can_be_named() {
        assert_eq!(parsed("../../a").1, "/a");
        assert_eq!(parsed("a/../../b").1, "/b");
        assert_eq!(parsed("a/b/.."), (String::new(), "/a".into(), false, true));
        assert_eq!(parsed("../x/./../../y"), ("/x".into(), "/y".into(), false, false));
    }
}
