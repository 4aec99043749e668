//! The filter rules inside one directory, for one side of the transfer.
//!
//! A scope is a list of runs of rules; the merge files of a directory and of those above it stand where
//! their dir-merge rule stood, the nearest first. Entering a directory makes a new list that shares the
//! rules of the old one.

use std::cell::OnceCell;
use std::sync::Arc;

use super::filter::{Rules, Settings};
use super::gitignore::Patterns;
use super::merge::{self, Place, ReadHere, components, descend, names_of, scan_start, step};
use super::rules::{DirMerge, FilterError, Rule, Sides};
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
pub(super) struct Inner {
    nodes: Vec<Node>,
    side: Side,
    pub(super) settings: Settings,
    /// What makes a transfer path absolute, without the leading slash: empty or ends with `/`.
    top: Arc<[u8]>,
    /// Inside a directory that is being deleted: perishable rules are void.
    dying: bool,
    /// While a directory is entered: the merge file names that have a rule.
    pub(super) active: Vec<Box<[u8]>>,
}

#[derive(Clone, Debug)]
pub(super) enum Node {
    Run(Arc<Run>),
    Merge(Arc<Merge>),
    Git(Arc<Git>),
}

/// Rules from one place.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) anchor: Anchor,
    pub(super) rules: Vec<Rule>,
    /// Those about names of extended attributes.
    pub(super) xattrs: Vec<Rule>,
}

/// The `.gitignore` of one directory.
#[derive(Debug)]
pub(super) struct Git {
    pub(super) anchor: Anchor,
    pub(super) patterns: Patterns,
}

/// Where paths begin for patterns with a leading slash: behind so many bytes of the path.
#[derive(Clone, Copy, Debug)]
pub(super) enum Anchor {
    /// The path in the transfer.
    Transfer(usize),
    /// The absolute path: the merge file stands above the transfer.
    Absolute(usize),
}

/// A dir-merge rule with what its files have said so far: the nearest directory first.
#[derive(Debug)]
pub(super) struct Merge {
    pub(super) rule: DirMerge,
    pub(super) nodes: Vec<Node>,
}

/// Reads a merge file above the transfer by its absolute path; `None` if there is no such file.
pub type ReadAbove<'a> = &'a mut dyn FnMut(&[u8]) -> Result<Option<Vec<u8>>, Errno>;

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
        if let Ok(nodes) = merge::compile(&mut inner, rules.items.to_vec(), Anchor::Transfer(0), &mut merged)
        {
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
    pub fn beneath(&self, top: &[u8], first: &[u8], read: ReadAbove) -> Result<Scope, FilterError> {
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
            Some((allowed, rule)) => Verdict { allowed, rule: Some(rule) },
            None => Verdict { allowed: true, rule: None },
        }
    }

    /// What the rules say about an extended attribute called `name`: whether it takes part; `None` where no
    /// rule is about such names, and the usual ones take part.
    #[must_use]
    pub fn check_xattr(&self, name: &[u8]) -> Option<bool> {
        let (mut any, mut first) = (self.0.settings.xattrs, None);
        each_run(&self.0.nodes, &mut |run| {
            any |= !run.xattrs.is_empty();
            let found = run
                .xattrs
                .iter()
                .find(|rule| rule.pattern.matches(name, Some(name), 0, false) != rule.negated);
            first = first.or(found.map(|rule| rule.include));
        });
        any.then_some(first.unwrap_or(true))
    }

    /// Whether no rule can match anything in this directory: [`Scope::check`] need not be called.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        fn empty(nodes: &[Node]) -> bool {
            nodes.iter().all(|node| match node {
                Node::Run(run) => run.rules.is_empty(),
                Node::Merge(merge) => empty(&merge.nodes),
                Node::Git(_) => false,
            })
        }
        empty(&self.0.nodes)
    }

    /// Whether these rules decide by the path in the transfer alone, so that both sides know what they say.
    #[must_use]
    pub fn needs_paths_only(&self) -> bool {
        self.0.nodes.iter().all(|node| match node {
            Node::Merge(_) | Node::Git(_) => false,
            Node::Run(run) => run.rules.iter().all(|rule| !rule.absolute),
        })
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

fn each_run(nodes: &[Node], each: &mut dyn FnMut(&Run)) {
    for node in nodes {
        match node {
            Node::Run(run) => each(run),
            Node::Merge(merge) => each_run(&merge.nodes, each),
            Node::Git(_) => {}
        }
    }
}

/// Whether the first rule that matches lets the entry take part, and its text.
fn first_match<'a>(nodes: &'a [Node], entry: &Entry, dying: bool) -> Option<(bool, &'a [u8])> {
    nodes.iter().find_map(|node| match node {
        Node::Merge(merge) => first_match(&merge.nodes, entry, dying),
        Node::Git(git) => git.patterns.check(entry.below(git.anchor)?, entry.is_dir),
        Node::Run(run) => {
            let below = entry.below(run.anchor);
            let found = run.rules.iter().find(|rule| {
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
            });
            found.map(|rule| (rule.include, rule.pattern.text()))
        }
    })
}

impl Inner {
    /// Whether what names no side is for this one.
    pub(super) fn takes_unsided(&self) -> bool {
        self.side == Side::Sender || !self.settings.delete_excluded
    }

    /// Whether `rule` is for this side, and about entries.
    pub(super) fn applies(&self, rule: &Rule) -> bool {
        let unsaid = Sides { sender: true, receiver: !self.settings.delete_excluded };
        let sides = rule.sides.unwrap_or(unsaid);
        match self.side {
            Side::Sender => sides.sender,
            Side::Receiver => sides.receiver,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::filter::RulesBuilder;
    use super::*;

    fn rules(typed: &[&str]) -> Rules {
        let mut builder = RulesBuilder::new();
        for rule in typed {
            builder.filter(rule.as_bytes(), &mut |_| Err("no file".into())).unwrap();
        }
        builder.build(false)
    }

    fn allows(scope: &Scope, path: &str) -> bool {
        let name = path.trim_end_matches('/');
        scope.check(name.as_bytes(), name != path).allowed
    }

    fn dir(path: &str) -> RelPath {
        RelPath::parse(path.as_bytes()).unwrap()
    }

    #[test]
    fn the_first_rule_that_matches_decides() {
        let scope = Scope::root(&rules(&["+ */", "+ *.c", "- *"]), Side::Sender);
        assert!(allows(&scope, "d/") && allows(&scope, "d/a.c") && !allows(&scope, "d/a.o"));
        assert_eq!(scope.check(b"d/a.o", false).rule, Some(&b"*"[..]));
        assert!(!scope.is_empty() && !scope.needs_enter());
        assert!(Scope::root(&Rules::default(), Side::Sender).is_empty());
    }

    #[test]
    fn a_rule_for_one_side_is_void_on_the_other() {
        let rules = rules(&["H a", "P b", "-x c"]);
        let (sender, receiver) = (Scope::root(&rules, Side::Sender), Scope::root(&rules, Side::Receiver));
        assert!(!allows(&sender, "a") && allows(&sender, "b") && allows(&sender, "c"));
        assert!(allows(&receiver, "a") && !allows(&receiver, "b") && allows(&receiver, "c"));
    }

    #[test]
    fn a_perishable_rule_is_void_in_a_directory_that_is_being_deleted() {
        let scope = Scope::root(&rules(&["-p a", "- b"]), Side::Receiver);
        assert!(!allows(&scope, "d/a") && allows(&scope.dying(), "d/a") && !allows(&scope.dying(), "d/b"));
    }

    #[test]
    fn a_nearer_merge_file_wins_over_those_above_and_anchors_at_itself() {
        let top = Scope::root(&rules(&["- z", ": .m", "- *.o"]), Side::Sender);
        assert!(top.needs_enter());
        let wrong = top.enter(&RelPath::root(), &mut |_| Ok(Some(b"- x\nsecret\n".to_vec()))).unwrap_err();
        assert_eq!(wrong.to_string(), "Unknown filter rule: <rule from .m line 2>");
        let top = top.enter(&RelPath::root(), &mut |_| Ok(Some(b"- x\n- /only\n".to_vec()))).unwrap();
        let below = top.enter(&dir("d"), &mut |_| Ok(Some(b"+ x\n- /here\n+ z".to_vec()))).unwrap();
        assert!(!allows(&top, "x") && !allows(&top, "only") && allows(&below, "d/only"));
        assert!(allows(&below, "d/x") && !allows(&below, "d/here") && allows(&below, "d/e/here"));
        assert!(!allows(&below, "d/z") && !allows(&below, "d/a.o"));
    }

    #[test]
    fn rules_not_inherited_end_with_their_directory() {
        let top = Scope::root(&rules(&[":C"]), Side::Sender);
        let top = top.enter(&RelPath::root(), &mut |_| Ok(Some(b"a b".to_vec()))).unwrap();
        let below = top.enter(&dir("d"), &mut |_| Ok(None)).unwrap();
        assert!(!allows(&top, "b") && allows(&below, "d/b") && below.is_empty());
    }

    #[test]
    fn a_merge_file_that_names_itself_ends() {
        let top = Scope::root(&rules(&[": .m"]), Side::Sender);
        let top = top.enter(&RelPath::root(), &mut |_| Ok(Some(b": .m\n- a".to_vec()))).unwrap();
        assert!(!allows(&top, "a"));
        let looping = top.enter(&RelPath::root(), &mut |_| Ok(Some(b". .m\n".to_vec())));
        assert!(matches!(looping, Err(FilterError::File(_))));
    }

    #[test]
    fn a_tree_cannot_name_files_outside_itself() {
        let top = Scope::root(&rules(&[": .m"]), Side::Sender);
        for text in [". /etc/shadow", ". ../x", ". d/x", "merge /x"] {
            let read = &mut |name: &Name| {
                assert_eq!(name.as_bytes(), b".m");
                Ok(Some(text.as_bytes().to_vec()))
            };
            assert!(matches!(top.enter(&RelPath::root(), read), Err(FilterError::File(_))), "{text}");
        }
    }

    #[test]
    fn directories_above_are_scanned_from_the_one_that_the_rule_names() {
        let scan = |rule: &str| {
            let mut seen = Vec::new();
            let scope = Scope::root(&rules(&[rule]), Side::Sender);
            let scope = scope.beneath(b"/h/me", b"/h/me/src", &mut |path| {
                seen.push(String::from_utf8_lossy(path).into_owned());
                Ok((path == b"/h/.m").then(|| b"- /me/src/a\n- b".to_vec()))
            });
            (seen, scope.unwrap())
        };
        let (seen, scope) = scan(": /.m");
        assert_eq!(seen, ["/.m", "/h/.m", "/h/me/.m"]);
        assert!(!allows(&scope, "src/a") && allows(&scope, "a") && !allows(&scope, "src/b"));
        assert_eq!(scan(": ../../.m").0, ["/h/.m", "/h/me/.m"]);
        assert!(
            scan(": .m").0.is_empty()
                && scan(": /h/me/src/.m").0.is_empty()
                && scan(": ../x/.m").0.is_empty()
        );
    }

    #[test]
    fn absolute_rules_see_where_the_transfer_stands() {
        let scope = Scope::root(&rules(&["-/ /h/me/a", "-/ me/b"]), Side::Sender);
        let scope = scope.beneath(b"/h/me", b"/h/me", &mut |_| Ok(None)).unwrap();
        assert!(!allows(&scope, "a") && !allows(&scope, "b") && allows(&scope, "d/b"));
    }
}
