//! Per-directory merge files: how a scope's rules change on the way down.

use std::sync::Arc;

use super::gitignore::Patterns;
use super::rules::{DirMerge, FilterError, Item, List, Reading, Rule, Syntax, parse_text};
use super::scope::{Anchor, Git, Inner, Merge, Node, Run};
use crate::path::{Name, escape};
use crate::sys::Errno;

/// Reads a merge file of the directory that is entered; `None` if there is no such file.
pub type ReadHere<'a> = &'a mut dyn FnMut(&Name) -> Result<Option<Vec<u8>>, Errno>;

/// The directory whose merge files are being read.
pub struct Place<'a> {
    pub anchor: Anchor,
    /// Its path for messages.
    pub shown: &'a str,
    /// Its files may merge others beside them.
    pub merges: bool,
}

/// Gives the state of a dir-merge rule that is met, or `None` if it adds nothing.
pub type Merged<'a> = &'a mut dyn FnMut(&mut Inner, DirMerge) -> Result<Option<Merge>, FilterError>;

/// Makes nodes of `items`, anchored at `anchor`.
pub fn compile(
    inner: &mut Inner,
    items: Vec<Item>,
    anchor: Anchor,
    merged: Merged,
) -> Result<Vec<Node>, FilterError> {
    let mut nodes = Vec::new();
    let mut rules = Vec::new();
    let flush = |nodes: &mut Vec<Node>, rules: &mut Vec<Rule>| {
        if !rules.is_empty() {
            let (xattrs, rules) = std::mem::take(rules).into_iter().partition(|rule| rule.xattr);
            nodes.push(Node::Run(Arc::new(Run { anchor, rules, xattrs })));
        }
    };
    for item in items {
        match item {
            Item::Rule(rule) => rules.extend(Some(rule).filter(|rule| inner.applies(rule))),
            Item::Cvs(like) => {
                rules.extend(inner.settings.cvs.iter().filter_map(|item| {
                    let Item::Rule(name) = item else { return None };
                    let (pattern, perishable) = (name.pattern.clone(), name.perishable || like.perishable);
                    Some(Rule { pattern, perishable, ..like.clone() }).filter(|rule| inner.applies(rule))
                }));
            }
            Item::DirMerge(merge) => {
                flush(&mut nodes, &mut rules);
                nodes.extend(merged(inner, merge)?.map(|merge| Node::Merge(Arc::new(merge))));
            }
        }
    }
    flush(&mut nodes, &mut rules);
    Ok(nodes)
}

/// Adds the file names of all dir-merge rules in `nodes` to `names`.
pub fn names_of(nodes: &[Node], names: &mut Vec<Box<[u8]>>) {
    for node in nodes {
        if let Node::Merge(merge) = node {
            names.push(merge.rule.file_name().into());
            names_of(&merge.nodes, names);
        }
    }
}

/// The `nodes` of a directory as they are in its child at `place`.
pub fn descend(
    inner: &mut Inner,
    nodes: &[Node],
    place: &Place,
    read: ReadHere,
) -> Result<Vec<Node>, FilterError> {
    let mut result = Vec::with_capacity(nodes.len());
    for node in nodes {
        result.push(match node {
            Node::Run(run) => Node::Run(run.clone()),
            Node::Git(git) => Node::Git(git.clone()),
            Node::Merge(merge) => Node::Merge(Arc::new(step(inner, merge, place, read)?)),
        });
    }
    Ok(result)
}

/// `merge` as it is one directory further down, at `place`.
pub fn step(inner: &mut Inner, merge: &Merge, place: &Place, read: ReadHere) -> Result<Merge, FilterError> {
    let inherited: &[Node] = if merge.rule.own_directory_only { &[] } else { &merge.nodes };
    let inherited = descend(inner, inherited, place, read)?;
    let nodes = read_merge(inner, &merge.rule, inherited, place, read)?;
    Ok(Merge { rule: merge.rule.clone(), nodes })
}

/// The rules of `rule`'s file at `place`, in front of the `inherited` ones.
fn read_merge(
    inner: &mut Inner,
    rule: &DirMerge,
    inherited: Vec<Node>,
    place: &Place,
    read: ReadHere,
) -> Result<Vec<Node>, FilterError> {
    let Ok(name) = Name::parse(rule.file_name()) else { return Ok(inherited) };
    let slash = if place.shown.is_empty() { "" } else { "/" };
    let shown = format!("{}{slash}{}", place.shown, escape(name.as_bytes()));
    let cause = |errno: Errno| std::io::Error::from(errno).to_string();
    let failed = |errno| FilterError::File(format!("read \"{shown}\": {}", cause(errno)));
    let Some(text) = read(&name).map_err(failed)? else { return Ok(inherited) };
    if rule.reading.syntax == Syntax::Git {
        let patterns = Patterns::parse(&text, &shown)?;
        if !inner.takes_unsided() {
            return Ok(inherited);
        }
        let git = Node::Git(Arc::new(Git { anchor: place.anchor, patterns }));
        return Ok(std::iter::once(git).chain(inherited).collect());
    }
    // What a tree holds never names a file outside it. rsync takes the path from the transfer's top, so
    // that only there it means what a reader of the file expects: elsewhere it is refused.
    let mut merge = |path: &[u8]| {
        let name = Name::parse(path).ok().filter(|_| place.merges);
        let name = name.ok_or("only a file at the transfer's top can merge another one, beside it")?;
        read(&name).map_err(cause)?.ok_or_else(|| cause(Errno::ENOENT))
    };
    let mut list = List::default();
    let reading = Reading { from0: inner.settings.from0, ..rule.reading };
    parse_text(&mut list, &text, &reading, &shown, 0, &mut merge)?;
    let mut nodes = compile(inner, list.items, place.anchor, &mut |inner, nested| {
        // A name that is looked for already stays where it is; this also ends a file that names itself.
        if inner.active.iter().any(|name| **name == *nested.file_name()) {
            return Ok(None);
        }
        inner.active.push(nested.file_name().into());
        let nodes = read_merge(inner, &nested, Vec::new(), place, read)?;
        Ok(Some(Merge { rule: nested, nodes }))
    })?;
    if !list.cleared {
        nodes.extend(inherited);
    }
    Ok(nodes)
}

pub fn components(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.split(|&b| b == b'/').filter(|part| !part.is_empty())
}

/// How many components of `first` the directory has where the search for `rule`'s file begins; `None` if
/// the rule names no directory above `first`.
pub fn scan_start(rule: &DirMerge, first: &[&[u8]]) -> Option<usize> {
    let dir = rule.path.strip_suffix(rule.file_name())?;
    if dir.is_empty() {
        return None;
    }
    let mut resolved: Vec<&[u8]> = if dir.first() == Some(&b'/') { Vec::new() } else { first.to_vec() };
    for part in components(dir) {
        match part {
            b"." => {}
            b".." => drop(resolved.pop()),
            part => resolved.push(part),
        }
    }
    (resolved.len() < first.len() && first.starts_with(&resolved)).then_some(resolved.len())
}
