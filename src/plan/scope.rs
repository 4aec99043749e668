//! The filter rules inside one directory, for one side of the transfer.
//!
//! A scope is a list of runs of rules; the merge files of a directory and of those above it stand where
//! their dir-merge rule stood, the nearest first. Entering a directory makes a new list that shares the
//! rules of the old one.

use std::cell::OnceCell;
use std::sync::Arc;

use super::filter::{Rules, Settings};
use super::rules::{DirMerge, FilterError, Item, List, Reading, Rule, Sides, parse_text};
use crate::path::{Name, RelPath, escape};
use crate::sys::Errno;

/// The half of a transfer that applies rules.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Side {
    /// Decides what is in the transfer: hide and show.
    Sender,
    /// Decides what deletion spares: protect and risk.
    Receiver,
}

/// What the rules say about one entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Verdict<'a> {
    /// Sender: the entry is in the transfer. Receiver: the entry may be deleted.
    pub allowed: bool,
    /// The pattern of the rule that decided; `None` where no rule matched.
    pub rule: Option<&'a [u8]>,
}

/// The rules as they apply inside one directory of the transfer. Cheap to clone, `Send` and `Sync`.
#[derive(Clone, Debug)]
pub struct Scope(Arc<Inner>);

#[derive(Clone, Debug)]
struct Inner {
    nodes: Vec<Node>,
    side: Side,
    settings: Settings,
    /// What makes a transfer path absolute, without the leading slash: empty or ends with `/`.
    top: Arc<[u8]>,
    /// Inside a directory that is being deleted: perishable rules are void.
    dying: bool,
    /// While a directory is entered: the merge file names that have a rule.
    active: Vec<Box<[u8]>>,
}

#[derive(Clone, Debug)]
enum Node {
    Run(Arc<Run>),
    Merge(Arc<Merge>),
}

/// Rules from one place.
#[derive(Debug)]
struct Run {
    anchor: Anchor,
    rules: Vec<Rule>,
}

/// Where paths begin for patterns with a leading slash: behind so many bytes of the path.
#[derive(Clone, Copy, Debug)]
enum Anchor {
    /// The path in the transfer.
    Transfer(usize),
    /// The absolute path: the merge file stands above the transfer.
    Absolute(usize),
}

/// A dir-merge rule with what its files have said so far: the nearest directory first.
#[derive(Debug)]
struct Merge {
    rule: DirMerge,
    nodes: Vec<Node>,
}

/// Reads a merge file of the directory that is entered; `None` if there is no such file.
type ReadHere<'a> = &'a mut dyn FnMut(&Name) -> Result<Option<Vec<u8>>, Errno>;

/// The directory whose merge files are being read.
struct Place<'a> {
    anchor: Anchor,
    /// Its path for messages.
    shown: &'a str,
    /// Its files may merge others beside them.
    merges: bool,
}

impl Scope {
    /// The rules above the transfer's root: enter the root with [`Scope::enter`] before asking about what
    /// is in it. An operand without a trailing slash is itself checked in this scope.
    ///
    /// The place of the transfer on the disk is not known: absolute rules see transfer paths as if they
    /// began at `/`, and dir-merge rules find nothing above the transfer. [`Scope::beneath`] says it.
    #[must_use]
    pub fn root(rules: &Rules, side: Side) -> Scope {
        let mut inner = Inner {
            nodes: Vec::new(),
            side,
            settings: rules.settings.clone(),
            top: Arc::default(),
            dying: false,
            active: Vec::new(),
        };
        let mut merged = |_: &mut Inner, merge: DirMerge| Ok(Some(Merge { rule: merge, nodes: Vec::new() }));
        // The closure never fails, so neither does this.
        if let Ok(nodes) = compile(&mut inner, rules.items.to_vec(), Anchor::Transfer(0), &mut merged) {
            inner.nodes = nodes;
        }
        Scope(Arc::new(inner))
    }

    /// The same rules for a transfer whose paths stand below the absolute path `top`, and whose first
    /// directory is the absolute path `first` (`/src/x` and `/src/x/y` for the operand `/src/x/y`, twice
    /// the same for `/src/x/`). Neither may hold `.` or `..`.
    ///
    /// Dir-merge rules that name a directory above `first`, such as `: /.rules` or `: ../.rules`, look for
    /// their file from there down; `read` gets absolute paths and gives `None` where there is no file.
    ///
    /// # Errors
    ///
    /// As for [`Scope::enter`].
    pub fn beneath(
        &self,
        top: &[u8],
        first: &[u8],
        read: &mut dyn FnMut(&[u8]) -> Result<Option<Vec<u8>>, Errno>,
    ) -> Result<Scope, FilterError> {
        let mut inner = (*self.0).clone();
        let parts: Vec<&[u8]> = components(top).collect();
        inner.top = parts.iter().flat_map(|part| [part, &b"/"[..]].concat()).collect();
        let first: Vec<&[u8]> = components(first).collect();
        names_of(&self.0.nodes, &mut inner.active);
        for (at, node) in self.0.nodes.iter().enumerate() {
            let Node::Merge(merge) = node else { continue };
            let Some(from) = scan_start(&merge.rule, &first) else { continue };
            let mut merge = merge.clone();
            for depth in from..first.len() {
                let dir: Vec<u8> = first[..depth].iter().flat_map(|part| [b"/", *part].concat()).collect();
                let anchor = Anchor::Absolute(if depth == 0 { 0 } else { dir.len() });
                let place = Place { anchor, shown: &escape(&dir), merges: false };
                let mut here = |name: &Name| read(&[&dir[..], b"/", name.as_bytes()].concat());
                merge = Arc::new(step(&mut inner, &merge, &place, &mut here)?);
            }
            inner.nodes[at] = Node::Merge(merge);
        }
        inner.active = Vec::new();
        Ok(Scope(Arc::new(inner)))
    }

    /// The rules inside directory `dir` (its transfer path; root for the top), which must be the top or a
    /// child of this scope's directory. Reads the directory's merge files through `read`.
    ///
    /// # Errors
    ///
    /// A merge file cannot be read or holds a malformed rule. What it should have hidden or protected is
    /// unknown, so the run must not go on.
    pub fn enter(&self, dir: &RelPath, read: ReadHere) -> Result<Scope, FilterError> {
        if !self.needs_enter() {
            return Ok(self.clone());
        }
        let mut inner = (*self.0).clone();
        let nodes = std::mem::take(&mut inner.nodes);
        names_of(&nodes, &mut inner.active);
        let anchor = Anchor::Transfer(if dir.is_root() { 0 } else { dir.as_bytes().len() + 1 });
        let place = Place { anchor, shown: &escape(dir.as_bytes()), merges: dir.is_root() };
        inner.nodes = descend(&mut inner, &nodes, &place, read)?;
        inner.active = Vec::new();
        Ok(Scope(Arc::new(inner)))
    }

    /// The same rules inside a directory that is being deleted: perishable ones are void there.
    #[must_use]
    pub fn dying(&self) -> Scope {
        Scope(Arc::new(Inner { dying: true, ..(*self.0).clone() }))
    }

    /// What the rules say about the entry at `path` (transfer path, no leading slash).
    #[must_use]
    pub fn check(&self, path: &[u8], is_dir: bool) -> Verdict<'_> {
        let name = path.iter().rposition(|&b| b == b'/').map_or(0, |at| at + 1);
        let entry = Entry { path, name, is_dir, top: &self.0.top, absolute: OnceCell::new() };
        match first_match(&self.0.nodes, &entry, self.0.dying) {
            Some(rule) => Verdict { allowed: rule.include, rule: Some(rule.pattern.text()) },
            None => Verdict { allowed: true, rule: None },
        }
    }

    /// Whether no rule can match anything in this directory: [`Scope::check`] need not be called.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        fn empty(nodes: &[Node]) -> bool {
            nodes.iter().all(|node| match node {
                Node::Run(run) => run.rules.is_empty(),
                Node::Merge(merge) => empty(&merge.nodes),
            })
        }
        empty(&self.0.nodes)
    }

    /// Whether entering a directory can add rules. If not, a scope serves its whole subtree.
    #[must_use]
    pub fn needs_enter(&self) -> bool {
        self.0.nodes.iter().any(|node| matches!(node, Node::Merge(_)))
    }
}

/// An entry that rules are asked about.
struct Entry<'a> {
    path: &'a [u8],
    /// Where its last component begins.
    name: usize,
    is_dir: bool,
    top: &'a [u8],
    /// Few rules want it.
    absolute: OnceCell<Vec<u8>>,
}

impl Entry<'_> {
    fn absolute(&self) -> &[u8] {
        self.absolute.get_or_init(|| [self.top, self.path].concat())
    }

    fn below(&self, anchor: Anchor) -> Option<&[u8]> {
        match anchor {
            Anchor::Transfer(at) => self.path.get(at..),
            Anchor::Absolute(at) => self.absolute().get(at..),
        }
    }
}

fn first_match<'a>(nodes: &'a [Node], entry: &Entry, dying: bool) -> Option<&'a Rule> {
    nodes.iter().find_map(|node| match node {
        Node::Merge(merge) => first_match(&merge.nodes, entry, dying),
        Node::Run(run) => {
            let below = entry.below(run.anchor);
            run.rules.iter().find(|rule| {
                if dying && rule.perishable {
                    return false;
                }
                let matches = if rule.absolute {
                    let path = entry.absolute();
                    rule.pattern.matches(path, Some(path), entry.top.len() + entry.name, entry.is_dir)
                } else {
                    rule.pattern.matches(entry.path, below, entry.name, entry.is_dir)
                };
                matches != rule.negated
            })
        }
    })
}

impl Inner {
    /// Whether `rule` is for this side, and about entries.
    fn applies(&self, rule: &Rule) -> bool {
        let unsaid = Sides { sender: true, receiver: !self.settings.delete_excluded };
        let sides = rule.sides.unwrap_or(unsaid);
        !rule.xattr
            && match self.side {
                Side::Sender => sides.sender,
                Side::Receiver => sides.receiver,
            }
    }
}

/// Makes nodes of `items`, anchored at `anchor`; `merged` gives the state of each dir-merge, if it has one.
fn compile(
    inner: &mut Inner,
    items: Vec<Item>,
    anchor: Anchor,
    merged: &mut dyn FnMut(&mut Inner, DirMerge) -> Result<Option<Merge>, FilterError>,
) -> Result<Vec<Node>, FilterError> {
    let mut nodes = Vec::new();
    let mut rules = Vec::new();
    let flush = |nodes: &mut Vec<Node>, rules: &mut Vec<Rule>| {
        if !rules.is_empty() {
            nodes.push(Node::Run(Arc::new(Run { anchor, rules: std::mem::take(rules) })));
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
fn names_of(nodes: &[Node], names: &mut Vec<Box<[u8]>>) {
    for node in nodes {
        if let Node::Merge(merge) = node {
            names.push(merge.rule.file_name().into());
            names_of(&merge.nodes, names);
        }
    }
}

/// The `nodes` of a directory as they are in its child at `place`.
fn descend(
    inner: &mut Inner,
    nodes: &[Node],
    place: &Place,
    read: ReadHere,
) -> Result<Vec<Node>, FilterError> {
    let mut result = Vec::with_capacity(nodes.len());
    for node in nodes {
        result.push(match node {
            Node::Run(run) => Node::Run(run.clone()),
            Node::Merge(merge) => Node::Merge(Arc::new(step(inner, merge, place, read)?)),
        });
    }
    Ok(result)
}

/// `merge` as it is one directory further down, at `place`.
fn step(inner: &mut Inner, merge: &Merge, place: &Place, read: ReadHere) -> Result<Merge, FilterError> {
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

fn components(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.split(|&b| b == b'/').filter(|part| !part.is_empty())
}

/// How many components of `first` the directory has where the search for `rule`'s file begins; `None` if
/// the rule names no directory above `first`.
fn scan_start(rule: &DirMerge, first: &[&[u8]]) -> Option<usize> {
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
