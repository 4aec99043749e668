//! Which entries the filter rules let through: first match wins.
//!
//! [`RulesBuilder`] takes the options in the order of the command line and gives [`Rules`], the same for
//! the whole run. [`Scope`] is those rules as one side of the transfer applies them inside one directory:
//! the per-directory merge files of that directory and of those above it stand where their rule stood.

use std::sync::Arc;

use super::cvs;
use super::rules::{DirMerge, Item, List, Reading, Rule, Shown, Sides, Syntax, parse_rule, parse_text};
pub use super::rules::{FilterError, ReadFile};
use crate::path::{Name, RelPath};
use crate::sys::Errno;

/// The filter rules of a run. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    items: Arc<[Item]>,
    settings: Settings,
}

/// What rules read later (from per-directory files) need to know about the run.
#[derive(Clone, Debug, Default)]
struct Settings {
    /// A rule that names no side is for the sender only.
    delete_excluded: bool,
    /// The names that `-C` rules stand for.
    cvs: Arc<[Item]>,
}

/// Collects the filter options in the order of the command line.
#[derive(Clone, Debug, Default)]
pub struct RulesBuilder {
    list: List,
    from0: bool,
    cvs: bool,
    home: Vec<u8>,
    environment: Vec<u8>,
}

impl RulesBuilder {
    /// No rules.
    #[must_use]
    pub fn new() -> RulesBuilder {
        RulesBuilder::default()
    }

    /// `--from0`: merge files that later rules name hold rules that end with NUL.
    pub fn from0(&mut self, on: bool) {
        self.from0 = on;
    }

    /// `--filter=RULE`. `read` gives the contents of a merge file that the rule names, or why it cannot.
    ///
    /// # Errors
    ///
    /// The rule, or one in a file that it merges, is malformed, or the file cannot be read.
    pub fn filter(&mut self, rule: &[u8], read: ReadFile) -> Result<(), FilterError> {
        let reading = Reading { from0: self.from0, ..Reading::lines(Syntax::Full) };
        parse_rule(&mut self.list, rule, &reading, Shown::Typed(rule), 0, read)
    }

    /// `--exclude=PATTERN`; as in rsync, `- PATTERN`, `+ PATTERN` and `!` are understood as well.
    ///
    /// # Errors
    ///
    /// A prefix without a pattern.
    pub fn exclude(&mut self, pattern: &[u8]) -> Result<(), FilterError> {
        self.old(pattern, false)
    }

    /// `--include=PATTERN`; otherwise like [`RulesBuilder::exclude`].
    ///
    /// # Errors
    ///
    /// A prefix without a pattern.
    pub fn include(&mut self, pattern: &[u8]) -> Result<(), FilterError> {
        self.old(pattern, true)
    }

    /// `--exclude-from=FILE`, given what the file holds and its name for messages.
    ///
    /// # Errors
    ///
    /// A line with a prefix and no pattern.
    pub fn exclude_from(&mut self, name: &[u8], contents: &[u8], from0: bool) -> Result<(), FilterError> {
        self.old_file(name, contents, from0, false)
    }

    /// `--include-from=FILE`, given what the file holds and its name for messages.
    ///
    /// # Errors
    ///
    /// A line with a prefix and no pattern.
    pub fn include_from(&mut self, name: &[u8], contents: &[u8], from0: bool) -> Result<(), FilterError> {
        self.old_file(name, contents, from0, true)
    }

    /// `-F`: pass 1 for its first occurrence, 2 for the second; more have no effect.
    pub fn per_dir_filter(&mut self, times: u8) {
        let rule: &[u8] = match times {
            1 => b": /.rsync-filter",
            2 => b"- .rsync-filter",
            _ => return,
        };
        // Neither rule can be refused: both are well-formed and merge no file now.
        let _added = self.filter(rule, &mut |_| Err(String::new()));
    }

    /// What the `-C` option and every `-C` rule add to the default list: the contents of
    /// `$HOME/.cvsignore` and the value of `$CVSIGNORE`.
    pub fn cvs_sources(&mut self, home_cvsignore: Option<Vec<u8>>, environment: Option<Vec<u8>>) {
        self.home = home_cvsignore.unwrap_or_default();
        self.environment = environment.unwrap_or_default();
    }

    /// `--cvs-exclude`: its rules stand behind all others, wherever the option stood.
    pub fn cvs(&mut self, home_cvsignore: Option<Vec<u8>>, environment: Option<Vec<u8>>) {
        self.cvs = true;
        self.cvs_sources(home_cvsignore, environment);
    }

    /// The rules. With `delete_excluded` (`--delete-excluded`) a rule that names no side protects nothing.
    #[must_use]
    pub fn build(mut self, delete_excluded: bool) -> Rules {
        if self.cvs {
            for rule in [b":C", b"-C"] {
                // Neither rule can be refused: both are well-formed and merge no file now.
                let _added = self.filter(rule, &mut |_| Err(String::new()));
            }
        }
        let mut names = List::default();
        let bare = Syntax::Bare { include: false, clears: true };
        let words = Reading { words: true, ..Reading::lines(bare) };
        let sources = [(cvs::DEFAULT, true), (&self.home, false), (&self.environment, false)];
        for (text, perishable) in sources {
            let words = Reading { perishable, ..words };
            // Words without prefixes are never malformed.
            let _added = parse_text(&mut names, text, &words, "", 0, &mut |_| Err(String::new()));
        }
        let settings = Settings { delete_excluded, cvs: names.items.into() };
        Rules { items: self.list.items.into(), settings }
    }

    fn old(&mut self, pattern: &[u8], include: bool) -> Result<(), FilterError> {
        let reading = Reading::lines(Syntax::Old { include });
        parse_rule(&mut self.list, pattern, &reading, Shown::Typed(pattern), 0, &mut |_| Err(String::new()))
    }

    fn old_file(&mut self, name: &[u8], text: &[u8], from0: bool, include: bool) -> Result<(), FilterError> {
        let reading = Reading { from0, ..Reading::lines(Syntax::Old { include }) };
        let name = crate::path::escape(name);
        parse_text(&mut self.list, text, &reading, &name, 0, &mut |_| Err(String::new()))
    }
}

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
    /// Where a transfer path begins for anchored patterns: behind the directory of the merge file.
    base: usize,
    rules: Vec<Rule>,
}

/// A dir-merge rule with what its files have said so far: the nearest directory first.
#[derive(Debug)]
struct Merge {
    rule: DirMerge,
    nodes: Vec<Node>,
}

/// Reads a merge file of the directory that is entered; `None` if there is no such file.
type ReadHere<'a> = &'a mut dyn FnMut(&Name) -> Result<Option<Vec<u8>>, Errno>;

impl Scope {
    /// The rules above the transfer's root: enter the root with [`Scope::enter`] before asking about what
    /// is in it. An operand without a trailing slash is itself checked in this scope.
    #[must_use]
    pub fn root(rules: &Rules, side: Side) -> Scope {
        let mut inner = Inner {
            nodes: Vec::new(),
            side,
            settings: rules.settings.clone(),
            dying: false,
            active: Vec::new(),
        };
        let mut merged = |_: &mut Inner, merge: DirMerge| Ok(Some(Merge { rule: merge, nodes: Vec::new() }));
        // The closure never fails, so neither does this.
        if let Ok(nodes) = compile(&mut inner, rules.items.to_vec(), 0, &mut merged) {
            inner.nodes = nodes;
        }
        Scope(Arc::new(inner))
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
        inner.nodes = descend(&mut inner, &nodes, dir, read)?;
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
        match self.0.first_match(&self.0.nodes, path, name, is_dir) {
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

impl Inner {
    fn first_match<'a>(&self, nodes: &'a [Node], path: &[u8], name: usize, is_dir: bool) -> Option<&'a Rule> {
        nodes.iter().find_map(|node| match node {
            Node::Merge(merge) => self.first_match(&merge.nodes, path, name, is_dir),
            Node::Run(run) => run.rules.iter().find(|rule| {
                !(self.dying && rule.perishable)
                    && rule.pattern.matches(path, run.base, name, is_dir) != rule.negated
            }),
        })
    }

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

/// Makes nodes of `items`, which see paths from `base` on; `merged` gives the state of each dir-merge.
fn compile(
    inner: &mut Inner,
    items: Vec<Item>,
    base: usize,
    merged: &mut dyn FnMut(&mut Inner, DirMerge) -> Result<Option<Merge>, FilterError>,
) -> Result<Vec<Node>, FilterError> {
    let mut nodes = Vec::new();
    let mut rules = Vec::new();
    let flush = |nodes: &mut Vec<Node>, rules: &mut Vec<Rule>| {
        if !rules.is_empty() {
            nodes.push(Node::Run(Arc::new(Run { base, rules: std::mem::take(rules) })));
        }
    };
    for item in items {
        match item {
            Item::Rule(rule) => rules.extend(Some(rule).filter(|rule| inner.applies(rule))),
            Item::Cvs(like) => {
                let names = inner.settings.cvs.clone();
                rules.extend(names.iter().filter_map(|item| {
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

/// The `nodes` of a directory as its child `dir` has them.
fn descend(
    inner: &mut Inner,
    nodes: &[Node],
    dir: &RelPath,
    read: ReadHere,
) -> Result<Vec<Node>, FilterError> {
    let mut result = Vec::with_capacity(nodes.len());
    for node in nodes {
        result.push(match node {
            Node::Run(run) => Node::Run(run.clone()),
            Node::Merge(merge) => {
                let inherited: &[Node] = if merge.rule.own_directory_only { &[] } else { &merge.nodes };
                let inherited = descend(inner, inherited, dir, read)?;
                let nodes = read_merge(inner, &merge.rule, inherited, dir, read)?;
                Node::Merge(Arc::new(Merge { rule: merge.rule.clone(), nodes }))
            }
        });
    }
    Ok(result)
}

/// The rules of `rule`'s file in `dir`, in front of the `inherited` ones.
fn read_merge(
    inner: &mut Inner,
    rule: &DirMerge,
    inherited: Vec<Node>,
    dir: &RelPath,
    read: ReadHere,
) -> Result<Vec<Node>, FilterError> {
    let Ok(name) = Name::parse(rule.file_name()) else { return Ok(inherited) };
    let shown = crate::path::escape(dir.join(&name).as_bytes());
    let failed =
        |errno: Errno| FilterError::File(format!("read \"{shown}\": {}", std::io::Error::from(errno)));
    let Some(text) = read(&name).map_err(failed)? else { return Ok(inherited) };
    let mut list = List::default();
    // What a tree holds never names a file outside it. rsync takes the path from the transfer's top, so
    // that only there it means what a reader of the file expects: elsewhere it is refused.
    let mut merge = |path: &[u8]| {
        let name = Name::parse(path).ok().filter(|_| dir.is_root());
        let name =
            name.ok_or("only a file at the transfer's top can merge another one, from the same place")?;
        let text = read(&name).map_err(|errno| std::io::Error::from(errno).to_string())?;
        text.ok_or_else(|| std::io::Error::from(Errno::ENOENT).to_string())
    };
    parse_text(&mut list, &text, &rule.reading, &shown, 0, &mut merge)?;
    let base = if dir.is_root() { 0 } else { dir.as_bytes().len() + 1 };
    let mut nodes = compile(inner, list.items, base, &mut |inner, nested| {
        if inner.active.iter().any(|name| **name == *nested.file_name()) {
            return Ok(None);
        }
        inner.active.push(nested.file_name().into());
        let nodes = read_merge(inner, &nested, Vec::new(), dir, read)?;
        Ok(Some(Merge { rule: nested, nodes }))
    })?;
    if !list.cleared {
        nodes.extend(inherited);
    }
    Ok(nodes)
}
