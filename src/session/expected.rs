//! `Expected`: what a sending peer may list, as the request has it. Whoever asks for `host:dir` gets a `dir`,
//! and no `.profile` beside it, whatever the host would like to give.

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt;

use super::Options;
use super::expand::Wild;
use super::files_from::Line;
use super::selection::names_of;
use crate::event::Problem;
use crate::path::{Kind, Name, RelPath, escape};
use crate::plan::attached::Attached;
use crate::plan::filter::{Scope, Side};
use crate::plan::pattern::Pattern;
use crate::plan::unsafe_link::is_unsafe;
use crate::wire::to_receiver::Roots;
use crate::wire::{Listed, WireError, encoded_len};

/// Most memory for listings that are held, in bytes: a limit for a peer that lists without end, far above any
/// directory that people have.
const LISTING: usize = 4 << 30;

/// The same in a daemon's child.
const DAEMON_LISTING: usize = 24 << 20;

/// How deep a tree may be in a daemon's child: directories, and bytes of a path. Of every directory that has
/// been begun and not ended the path is held. Four times as long as a path that the kernel takes whole.
const DAEMON_DEPTH: (usize, usize) = (2048, 16 << 10);

/// What a sender may tell of its roots, in bytes of memory: each line of `--files-from` may have a problem.
const ROOTS: usize = 256 << 20;

/// The same in a daemon's child.
const DAEMON_ROOTS: usize = 16 << 20;

/// What may be listed in one directory.
#[derive(Default, Debug)]
struct Bound {
    /// Anything, and below its directories too, if the transfer is recursive.
    all: bool,
    /// These names, and in them what their bounds say.
    named: BTreeMap<Name, Bound>,
    /// Names that these match, and all that is below them, if the transfer is recursive. Those that begin with a
    /// dot only if that is said.
    like: Vec<(Pattern, bool)>,
}

impl Bound {
    fn matches(&self, name: &Name) -> bool {
        let bytes = name.as_bytes();
        let like = |pattern: &Pattern| pattern.matches(bytes, None, 0, true);
        self.like.iter().any(|(pattern, dotted)| (*dotted || !bytes.starts_with(b".")) && like(pattern))
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Expected {
    /// `None`: anything, which is what a server takes whose client sends.
    root: Option<Bound>,
    /// The root's own attributes may be told.
    contents: bool,
    recursive: bool,
    links: crate::plan::Links,
    devices: bool,
    specials: bool,
    acls: bool,
    xattrs: bool,
    flags: bool,
    /// The rules of the sending side, where they can be known here.
    rules: Option<Scope>,
    /// How much memory the listings that are held may take, in bytes, and any single one of them.
    listing_bytes: usize,
    /// How deep the tree may be: directories, and bytes of a path.
    depth: (usize, usize),
    /// Bytes of [`Roots`] that may still come.
    roots_left: usize,
    /// All that the transfer has, where its destination may be another name for that.
    single: Option<Name>,
}

impl Expected {
    /// What a client of these options asks for. `asked`: it named the sources, and has them sent; otherwise it
    /// sends them, and they are its own affair.
    pub(super) fn of(options: &Options, asked: bool) -> Expected {
        let recursive = options.plan.recursive;
        let (root, contents) = if asked { named(options) } else { (None, true) };
        let rules = Scope::root(&options.filter, Side::Sender);
        Expected {
            root,
            contents,
            recursive,
            links: options.plan.links,
            devices: options.plan.devices,
            specials: options.plan.specials,
            acls: options.plan.acls,
            xattrs: options.plan.xattrs > 0,
            flags: options.plan.file_flags,
            rules: (asked && !rules.is_empty() && rules.needs_paths_only()).then_some(rules),
            depth: if options.module.is_some() { DAEMON_DEPTH } else { (usize::MAX, usize::MAX) },
            listing_bytes: if options.module.is_some() { DAEMON_LISTING } else { LISTING },
            roots_left: if options.module.is_some() { DAEMON_ROOTS } else { ROOTS },
            single: None,
        }
    }

    /// How much memory the listings that are held may take, in bytes, and any single one of them.
    pub(super) fn listing_bytes(&self) -> usize {
        self.listing_bytes
    }

    /// Takes what the sender says of the roots.
    ///
    /// # Errors
    ///
    /// The attributes of a root that nobody has asked for; a list without end.
    pub(super) fn roots(&mut self, roots: &Roots) -> Result<(), WireError> {
        let elements = roots.prefixes.len() + roots.missing.len() + roots.notes.len() + roots.problems.len();
        let bytes = encoded_len(roots) + elements * size_of::<Problem>();
        self.roots_left = self
            .roots_left
            .checked_sub(bytes)
            .ok_or_else(|| flaw("Roots", "last", "far too much of it".into()))?;
        if roots.root.is_some() && !self.contents {
            return Err(flaw("Roots", "root", "no operand names the contents of a directory".into()));
        }
        if roots.attached.as_deref().is_some_and(|attached| self.is_more(attached)) {
            return Err(flaw("Roots", "attached", "attributes that were not asked for".into()));
        }
        self.single.clone_from(&roots.single);
        Ok(())
    }

    /// Whether these are attributes that no option asks for.
    fn is_more(&self, attached: &Attached) -> bool {
        !self.acls && attached.acls.is_some()
            || !self.xattrs && attached.xattrs.is_some()
            || !self.flags && attached.flags.is_some()
    }

    /// Checks the entries of the directory `path`.
    ///
    /// # Errors
    ///
    /// One of them was not asked for; a tree without end.
    pub(super) fn check(&self, path: &RelPath, entries: &[Listed]) -> Result<(), WireError> {
        let (levels, bytes) = self.depth;
        if path.depth() > levels || path.as_bytes().len() > bytes {
            let cause = format!("deeper than {levels} directories or {bytes} bytes");
            return Err(flaw("Listing", "dir", cause));
        }
        let flaw = |entry: &Listed, cause: &str| {
            let shown = path.join(&entry.name);
            flaw("Listing", "entries", format!("\"{}\" {cause}", escape(shown.as_bytes())))
        };
        let bound = self.bound(path);
        for entry in entries {
            let within = bound.as_ref().is_none_or(|(all, bound)| {
                *all || bound
                    .is_some_and(|bound| bound.named.contains_key(&entry.name) || bound.matches(&entry.name))
            });
            let single = path.is_root() && self.single.as_ref().is_some_and(|single| *single != entry.name);
            if !within || single {
                return Err(flaw(entry, "was not asked for"));
            }
            if entry.skipped.is_some() {
                continue;
            }
            let kind = entry.properties.kind;
            let wanted = match kind {
                Kind::File | Kind::Dir => true,
                Kind::Symlink => self.links.preserve,
                Kind::CharDevice | Kind::BlockDevice => self.devices,
                Kind::Fifo | Kind::Socket => self.specials,
            };
            if !wanted {
                return Err(flaw(entry, "is of a kind that was not asked for"));
            }
            if entry.attached.as_deref().is_some_and(|attached| self.is_more(attached)) {
                return Err(flaw(entry, "comes with attributes that were not asked for"));
            }
            if let Some(text) = entry.link.as_deref().filter(|_| self.links.safe)
                && is_unsafe(text, path.depth())
            {
                return Err(flaw(
                    entry,
                    "is a link that leads out of the transfer, and only safe ones were asked for",
                ));
            }
            if let Some(rules) = self.rules.as_ref().filter(|_| !entry.implied)
                && !rules.check(path.join(&entry.name).as_bytes(), kind == Kind::Dir).allowed
            {
                return Err(flaw(entry, "is left out by a rule"));
            }
        }
        Ok(())
    }

    /// Whether anything may be in the directory `path`, and what else; `None` where nobody minds.
    fn bound(&self, path: &RelPath) -> Option<(bool, Option<&Bound>)> {
        let root = self.root.as_ref()?;
        let (mut all, mut at) = (root.all, Some(root));
        for name in path.components() {
            all = all || at.is_some_and(|bound| bound.matches(&name));
            at = at.and_then(|bound| bound.named.get(&name));
            all = all && self.recursive || at.is_some_and(|bound| bound.all);
        }
        Some((all, at))
    }
}

/// What the operands name, and whether the root itself is among it. An operand that says nothing this side
/// could know of leaves it open.
fn named(options: &Options) -> (Option<Bound>, bool) {
    let recursive = options.plan.recursive;
    let wild = options.wild != Wild::Nothing;
    let has_wildcard = |typed: &[u8]| wild && typed.iter().any(|byte| b"*?[\\~".contains(byte));
    let (mut root, mut like) = (Bound::default(), Vec::new());
    let mut contents = false;
    if options.names_there.is_some() {
        return (None, true);
    }
    let mut add = |names: &[Name], all: bool| {
        contents |= names.is_empty();
        let mut at = &mut root;
        for name in names {
            at = at.named.entry(name.clone()).or_default();
        }
        at.all |= all;
    };
    match &options.files_from {
        Some(list) => {
            for line in list.iter().filter(|line| !line.is_empty()) {
                // What does not parse the sender refuses.
                let Ok(line) = Line::parse(line) else { return (None, true) };
                if line.root {
                    add(&[], false);
                }
                let all = recursive || line.contents;
                match line.names.split_last() {
                    Some((last, _)) if !options.relative => {
                        if line.contents {
                            add(&[], true);
                        }
                        add(std::slice::from_ref(last), all);
                    }
                    _ => add(&line.names, all),
                }
            }
        }
        None if options.relative => {
            for source in &options.sources {
                let source = source.as_bytes();
                // What comes of them is more than a name, which the other side knows.
                if has_wildcard(source) {
                    return (None, true);
                }
                let rest =
                    source.windows(3).position(|part| part == b"/./").map_or(source, |at| &source[at + 3..]);
                let Ok(names) = names_of(rest) else { return (None, true) };
                let directory = rest.ends_with(b"/") || rest.ends_with(b"/.");
                add(&names, recursive || directory || names.is_empty());
            }
        }
        None => {
            for source in &options.sources {
                let last = source.as_bytes().rsplit(|&b| b == b'/').next().unwrap_or_default();
                if wild && last.starts_with(b"~") {
                    return (None, true);
                }
                if has_wildcard(last) {
                    let dotted =
                        options.wild == Wild::AsRsync || last.starts_with(b".") || last.starts_with(b"\\.");
                    like.push((Pattern::new(last, false), dotted));
                    let plain: Vec<u8> = last.iter().copied().filter(|byte| *byte != b'\\').collect();
                    if let Ok(plain) = Name::parse(&plain) {
                        add(&[plain], recursive);
                    }
                }
                match Name::parse(last) {
                    Ok(name) => add(&[name], recursive),
                    Err(_) => add(&[], true),
                }
            }
        }
    }
    root.like = like;
    (Some(root), contents)
}

fn flaw(message: &'static str, field: &str, cause: String) -> WireError {
    WireError::NotAllowed { message, field: field.into(), cause }
}
