//! Random trees as values: the same seed gives the same tree, so that a pair can be built as often as
//! a comparison needs it, and an older or otherwise different destination is a mutation of its source.

use std::collections::BTreeMap;

/// A small generator of repeatable numbers (splitmix64).
pub struct Rng(u64);

impl Rng {
    /// Starts at a seed.
    #[must_use]
    pub fn new(seed: u64) -> Rng {
        Rng(seed)
    }

    /// The next number.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `n`.
    pub fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.next() % n as u64).unwrap()
    }

    /// True in `percent` of all calls.
    pub fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// One of `items`.
    pub fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len())]
    }
}

/// What a random tree may hold.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Directories may nest so deep.
    pub depth: usize,
    /// A directory has fewer entries than this.
    pub width: usize,
    /// Names of 255 bytes occur.
    pub long_names: bool,
    /// Inodes with several names occur.
    pub hard_links: bool,
    /// Symbolic links are going to be followed: none leads in a circle.
    pub follow: bool,
    /// Links that lead nowhere may occur among those that are followed.
    pub dangling: bool,
    /// Owners, devices and unreadable modes occur: only root can make and read them.
    pub root: bool,
    /// Extended attributes and access control lists occur.
    pub attached: bool,
}

/// Everything about an inode but its kind.
#[derive(Clone, Debug, PartialEq)]
pub struct Attrs {
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    /// Seconds since 1970, nanoseconds.
    pub mtime: (i64, i64),
    /// What its extended attributes and access control lists follow from; 0 for none.
    pub attached: u64,
}

/// What a leaf is.
#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    /// A file of so many bytes that follow from a seed, perhaps with a hole in the middle.
    Bytes { seed: u64, len: usize, hole: bool },
    /// A file with this text.
    Text(Vec<u8>),
    /// A symbolic link.
    Symlink(Vec<u8>),
    /// A FIFO.
    Fifo,
    /// A character device of this minor number (major 1, memory devices).
    Device(u64),
}

/// A directory or the number of an inode.
#[derive(Clone, Debug)]
pub enum Node {
    /// A directory.
    Dir(Attrs, BTreeMap<Vec<u8>, Node>),
    /// A name of an inode.
    Leaf(usize),
}

impl Body {
    /// The size of a file.
    fn size(&self) -> Option<usize> {
        match self {
            Body::Bytes { len, .. } => Some(*len),
            Body::Text(text) => Some(text.len()),
            Body::Symlink(_) | Body::Fifo | Body::Device(_) => None,
        }
    }
}

impl Node {
    /// What has the path `path` below this.
    fn at(&self, path: &[u8]) -> Option<&Node> {
        let mut node = self;
        for name in path.split(|b| *b == b'/') {
            let Node::Dir(_, children) = node else { return None };
            node = children.get(name)?;
        }
        Some(node)
    }

    /// Removes that.
    fn remove(&mut self, path: &[u8]) {
        let Node::Dir(_, children) = self else { return };
        match path.iter().position(|b| *b == b'/') {
            Some(at) => {
                if let Some(child) = children.get_mut(&path[..at]) {
                    child.remove(&path[at + 1..]);
                }
            }
            None => drop(children.remove(path)),
        }
    }
}

/// A tree with the inodes that its leaves name.
#[derive(Clone, Debug)]
pub struct Tree {
    pub inodes: Vec<(Body, Attrs)>,
    pub root: Node,
}

#[rustfmt::skip] // a list, not a column
const NAMES: &[&[u8]] = &[
    b"a", b"b", b"c", b"d", b"e", b"foo", b"bar", b"main.c", b"main.o", b"util.c", b"util.o", b"core",
    b"a.d", b"a!", b"a-", b"a0", b".hidden", b".git", b"CVS", b"tags", b"x~", b"y.bak", b"README", b"lib",
    b"src", b"sub", b"deep", b"Z", b"_", b"~", b"b.orig", b"foo.d",
];
#[rustfmt::skip] // a list, not a column
const ODD_NAMES: &[&[u8]] = &[
    b" lead", b"trail ", b"-dash", b"--delete", b"new\nline", b"tab\there", b"\x01ctrl", b"\x1b[31mred",
    b"\xff\xfe", b"back\\slash", b"\\#012", b"*", b"[ab]", b"?", b"#hash", b";semi", b"quo'te", b"dq\"",
    b"\xc3\xa9", b"$HOME", b"a b c", b"...", b"!bang", b"\x7f",
];
const SIZES: &[usize] = &[0, 1, 2, 3, 10, 100, 700, 4095, 4096, 4097, 9000];
const BIG_SIZES: &[usize] = &[65_536, 65_537, 131_071, 1_048_577];
const MODES: &[u32] = &[0o644, 0o644, 0o600, 0o755, 0o664, 0o640, 0o444];
const ODD_MODES: &[u32] = &[0o000, 0o4755, 0o2755, 0o6711, 0o1777, 0o200, 0o111, 0o777];
/// Seconds since 1970 and nanoseconds.
pub const TIMES: &[(i64, i64)] = &[
    (1_000_000_000, 0),
    (1_000_000_000, 1),
    (1_000_000_000, 999_999_999),
    (1_000_000_001, 0),
    (1_234_567_890, 123_456_789),
    (1_500_000_000, 500_000_000),
    (1_600_000_000, 0),
    (-86_400, 250_000_000),
    (-1, 0),
    (0, 0),
    (2_208_988_800, 7), // 2040
    (4_000_000_000, 0),
];
#[rustfmt::skip] // a list, not a column
const TARGETS: &[&[u8]] = &[
    b"a", b"b", b"foo", b"nowhere", b"../a", b"sub", b"../../x", b"../../../etc/nothing", b"/etc/nothing",
    b"/nonexistent/dir", b"/rsyncd-munged/a", b"/rsyncd-munged//rsyncd-munged/../b", b".", b"..", b"sub/../a", b"./foo", b"ta\nrget", b"lib", b"deep/", b"src/../../a",
];
/// Beside the tree: what [`build_outside`] makes.
const OUTSIDE_TARGETS: &[&[u8]] = &[
    b"../outside/file",
    b"../../outside/file",
    b"../outside/dir",
    b"../../outside/dir",
    b"nowhere",
    b"/nonexistent",
    b"./nothing",
];
/// The same, from wherever in the tree the link is: `@` becomes the way to `outside`. Nothing leads to
/// anything that is not the test's own: some options remove what they have followed a link to.
const FIRM_TARGETS: &[&[u8]] = &[b"@/file", b"@/dir", b"@/dir/inner", b"@/./file"];
/// Rule files that some trees hold, for filter options that read them.
pub const RULE_FILES: &[&[u8]] = &[b".rsync-filter", b".rules", b".cvsignore"];
const RULES: &[&[u8]] = &[
    b"- *.o\n",
    b"+ main.o\n- *.o\n",
    b"- /a\n- sub/\n",
    b"P *.c\n",
    b"# nothing\n\n",
    b"H foo\n",
    b"- b\n!\n",
];
const CVS_RULES: &[&[u8]] = &[b"*.c foo\n", b"b !\n", b"*.d\n"];

fn random_name(rng: &mut Rng, shape: &Shape) -> Vec<u8> {
    if shape.long_names && rng.chance(2) {
        return vec![rng.pick(b"nxyz"); 255];
    }
    if rng.chance(8) { rng.pick(ODD_NAMES).to_vec() } else { rng.pick(NAMES).to_vec() }
}

fn random_attrs(rng: &mut Rng, shape: &Shape, dir: bool) -> Attrs {
    let mut mode = if rng.chance(12) { rng.pick(ODD_MODES) } else { rng.pick(MODES) };
    if dir {
        mode |= 0o111;
    }
    if !shape.root {
        mode |= if dir { 0o700 } else { 0o600 };
    }
    let (uid, gid) = match shape.root {
        true if rng.chance(30) => (rng.pick(&[0, 1, 33, 12_345]), rng.pick(&[0, 2, 33, 54_321])),
        true => (0, 0),
        false => (nix::unistd::geteuid().as_raw(), nix::unistd::getegid().as_raw()),
    };
    let mtime = rng.pick(TIMES);
    let attached = if shape.attached && rng.chance(50) { rng.next() } else { 0 };
    Attrs { mode, uid, gid, mtime, attached }
}

fn random_bytes(rng: &mut Rng) -> Body {
    let big = rng.chance(4);
    let len = if big { rng.pick(BIG_SIZES) } else { rng.pick(SIZES) };
    Body::Bytes { seed: rng.next(), len, hole: len > 8192 && rng.chance(40) }
}

fn random_body(rng: &mut Rng, shape: &Shape) -> Body {
    match rng.below(100) {
        0..70 => random_bytes(rng),
        70..90 => {
            let targets = match (shape.follow, shape.dangling) {
                (true, true) => OUTSIDE_TARGETS,
                (true, false) => FIRM_TARGETS,
                (false, _) => TARGETS,
            };
            Body::Symlink(rng.pick(targets).to_vec())
        }
        90..96 => Body::Fifo,
        _ if shape.root => Body::Device(rng.pick(&[3, 5, 7])),
        _ => Body::Fifo,
    }
}

impl Tree {
    /// A tree of this shape.
    #[must_use]
    pub fn random(rng: &mut Rng, shape: &Shape) -> Tree {
        let mut tree = Tree { inodes: Vec::new(), root: Node::Leaf(0) };
        tree.root = tree.random_dir(rng, shape, shape.depth);
        tree
    }

    /// A tree with nothing in it.
    #[must_use]
    pub fn empty(rng: &mut Rng, shape: &Shape) -> Tree {
        Tree { inodes: Vec::new(), root: Node::Dir(random_attrs(rng, shape, true), BTreeMap::new()) }
    }

    /// The tree as the only entry, under `name`, of another.
    #[must_use]
    pub fn below(self, name: &[u8]) -> Tree {
        let attrs = Attrs { mode: 0o755, ..self.root_attrs().clone() };
        let root = Node::Dir(attrs, BTreeMap::from([(name.to_vec(), self.root)]));
        Tree { inodes: self.inodes, root }
    }

    fn root_attrs(&self) -> &Attrs {
        match &self.root {
            Node::Dir(attrs, _) => attrs,
            Node::Leaf(_) => panic!("BUG: the root is a directory"),
        }
    }

    /// The names in the root: directories, and the rest.
    #[must_use]
    pub fn top_names(&self) -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
        let Node::Dir(_, children) = &self.root else { panic!("BUG: the root is a directory") };
        let (dirs, leaves): (Vec<_>, Vec<_>) =
            children.iter().partition(|(_, node)| matches!(node, Node::Dir(..)));
        let names = |v: Vec<(&Vec<u8>, &Node)>| v.into_iter().map(|(name, _)| name.clone()).collect();
        (names(dirs), names(leaves))
    }

    /// The paths of everything below the root.
    #[must_use]
    pub fn paths(&self) -> Vec<Vec<u8>> {
        let mut paths = Vec::new();
        gather(&self.root, &[], &mut paths);
        paths
    }

    /// The tree without what clashes with the entry of `other` at the same place; `None` is a directory.
    #[must_use]
    pub fn without(mut self, other: &Tree, clashes: fn(Option<&Body>, Option<&Body>) -> bool) -> Tree {
        let mut root = std::mem::replace(&mut self.root, Node::Leaf(0));
        self.clear(&mut root, other, &other.root, clashes);
        self.root = root;
        self
    }

    fn clear(
        &self,
        node: &mut Node,
        other: &Tree,
        theirs: &Node,
        clashes: fn(Option<&Body>, Option<&Body>) -> bool,
    ) {
        let (Node::Dir(_, node), Node::Dir(_, theirs)) = (node, theirs) else { return };
        node.retain(|name, mine| {
            let Some(theirs) = theirs.get(name) else { return true };
            let clash = clashes(self.body(mine), other.body(theirs));
            self.clear(mine, other, theirs, clashes);
            !clash
        });
    }

    /// The tree without files that are not, with data and time, those of `other` at the same place; with `devices` those
    /// of `other` are files too.
    #[must_use]
    pub fn without_other_files(mut self, other: &Tree, devices: bool) -> Tree {
        let mut root = std::mem::replace(&mut self.root, Node::Leaf(0));
        self.clear_other_files(&mut root, other, &other.root, devices);
        self.root = root;
        self
    }

    fn clear_other_files(&self, node: &mut Node, other: &Tree, theirs: &Node, devices: bool) {
        let (Node::Dir(_, node), Node::Dir(_, theirs)) = (node, theirs) else { return };
        let is_file = |body: &Body| matches!(body, Body::Bytes { .. } | Body::Text(_));
        node.retain(|name, mine| {
            let Some(theirs) = theirs.get(name) else { return true };
            self.clear_other_files(mine, other, theirs, devices);
            let (Node::Leaf(mine), Node::Leaf(theirs)) = (mine, theirs) else { return true };
            let ((body, attrs), (as_body, as_attrs)) = (&self.inodes[*mine], &other.inodes[*theirs]);
            let as_file = is_file(as_body) || devices && matches!(as_body, Body::Device(_));
            !(is_file(body) && as_file) || (body, attrs.mtime) == (as_body, as_attrs.mtime)
        });
    }

    /// The tree without names of what has several in `other`, unless it is a file and all of them are here as they are
    /// there, or this one has another size.
    #[must_use]
    pub fn with_whole_groups(mut self, other: &Tree) -> Tree {
        let mut groups: BTreeMap<usize, Vec<Vec<u8>>> = BTreeMap::new();
        for path in other.paths() {
            if let Some(Node::Leaf(inode)) = other.root.at(&path) {
                groups.entry(*inode).or_default().push(path);
            }
        }
        for (inode, names) in groups.into_iter().filter(|(_, names)| names.len() > 1) {
            let wanted = &other.inodes[inode];
            let here = |name: &Vec<u8>| match self.root.at(name) {
                Some(Node::Leaf(inode)) => Some(&self.inodes[*inode]),
                _ => None,
            };
            if wanted.0.size().is_some() && names.iter().all(|name| here(name) == Some(wanted)) {
                continue;
            }
            let other_size =
                |(body, _): &(Body, Attrs)| body.size().is_some() && body.size() != wanted.0.size();
            let gone: Vec<_> = names
                .iter()
                .filter(|name| here(name).is_some_and(|mine| !other_size(mine)))
                .cloned()
                .collect();
            gone.iter().for_each(|name| self.root.remove(name));
        }
        self
    }

    fn body(&self, node: &Node) -> Option<&Body> {
        match node {
            Node::Leaf(inode) => Some(&self.inodes[*inode].0),
            Node::Dir(..) => None,
        }
    }

    fn random_dir(&mut self, rng: &mut Rng, shape: &Shape, depth: usize) -> Node {
        let mut children = BTreeMap::new();
        for _ in 0..rng.below(shape.width) {
            let name = random_name(rng, shape);
            let node = self.random_node(rng, shape, depth);
            children.insert(name, node);
        }
        if rng.chance(15) {
            let name = rng.pick(RULE_FILES);
            let text = if name == b".cvsignore" { rng.pick(CVS_RULES) } else { rng.pick(RULES) };
            let attrs = Attrs { mode: 0o644, ..random_attrs(rng, shape, false) };
            children.insert(name.to_vec(), self.leaf(Body::Text(text.to_vec()), attrs));
        }
        Node::Dir(random_attrs(rng, shape, true), children)
    }

    fn random_node(&mut self, rng: &mut Rng, shape: &Shape, depth: usize) -> Node {
        if depth > 0 && rng.chance(35) {
            return self.random_dir(rng, shape, depth - 1);
        }
        if shape.hard_links && !self.inodes.is_empty() && rng.chance(20) {
            let inode = rng.below(self.inodes.len());
            // The way to `outside` is not the same for each name.
            if !matches!(&self.inodes[inode].0, Body::Symlink(target) if target.starts_with(b"@")) {
                return Node::Leaf(inode);
            }
        }
        let body = random_body(rng, shape);
        let attrs = random_attrs(rng, shape, false);
        self.leaf(body, attrs)
    }

    fn leaf(&mut self, body: Body, attrs: Attrs) -> Node {
        self.inodes.push((body, attrs));
        Node::Leaf(self.inodes.len() - 1)
    }

    /// The same tree as it may have been some time ago: other sizes, times, modes and kinds, entries
    /// that are missing and entries that are too many.
    #[must_use]
    pub fn mutated(&self, rng: &mut Rng, shape: &Shape) -> Tree {
        let mut tree = Tree { inodes: self.inodes.clone(), root: self.root.clone() };
        for inode in &mut tree.inodes {
            mutate_inode(rng, shape, inode);
        }
        let root = std::mem::replace(&mut tree.root, Node::Leaf(0));
        tree.root = tree.mutate_node(rng, shape, root, shape.depth, true);
        tree
    }

    /// The same, with some files cut: what is left of them are beginnings.
    pub fn cut(mut self, rng: &mut Rng) -> Tree {
        for (body, _) in &mut self.inodes {
            if let Body::Bytes { len, hole: false, .. } = body
                && rng.chance(40)
            {
                *len = rng.below(*len + 1);
            }
        }
        self
    }

    fn mutate_node(&mut self, rng: &mut Rng, shape: &Shape, node: Node, depth: usize, root: bool) -> Node {
        if !root && rng.chance(6) {
            return self.random_node(rng, shape, depth.min(2));
        }
        match node {
            // The inode's other names keep it: a group is torn apart here.
            Node::Leaf(inode) if rng.chance(5) => {
                let (body, attrs) = self.inodes[inode].clone();
                self.leaf(body, attrs)
            }
            Node::Leaf(inode) => Node::Leaf(inode),
            Node::Dir(attrs, children) => {
                let attrs = if rng.chance(25) { random_attrs(rng, shape, true) } else { attrs };
                let mut kept = BTreeMap::new();
                for (name, child) in children {
                    // Rule files stay such: see `mutate_inode`.
                    if RULE_FILES.contains(&&name[..]) {
                        kept.insert(name, child);
                    } else if rng.chance(90) {
                        kept.insert(
                            name,
                            self.mutate_node(rng, shape, child, depth.saturating_sub(1), false),
                        );
                    }
                }
                while rng.chance(30) {
                    let name = random_name(rng, shape);
                    let node = self.random_node(rng, shape, depth.min(2));
                    kept.entry(name).or_insert(node);
                }
                Node::Dir(attrs, kept)
            }
        }
    }
}

fn gather(node: &Node, path: &[u8], paths: &mut Vec<Vec<u8>>) {
    let Node::Dir(_, children) = node else { return };
    for (name, child) in children {
        let path = if path.is_empty() { name.clone() } else { [path, name].join(&b'/') };
        paths.push(path.clone());
        gather(child, &path, paths);
    }
}

fn mutate_inode(rng: &mut Rng, shape: &Shape, (body, attrs): &mut (Body, Attrs)) {
    match rng.below(20) {
        // Rule files stay such: of anything else rsync makes a syntax error, or waits for ever (a FIFO).
        0 | 1 | 6 if matches!(body, Body::Text(_)) => {}
        0 => *body = random_bytes(rng),
        // Another content of the same size, at the same time or not: what the quick check cannot see.
        1 => {
            if let Body::Bytes { seed, .. } = body {
                *seed = rng.next();
            }
        }
        2 | 3 => attrs.mtime = rng.pick(TIMES),
        4 | 5 => *attrs = random_attrs(rng, shape, false),
        6 => *body = random_body(rng, shape),
        7 => attrs.mode = random_attrs(rng, shape, false).mode,
        _ => {}
    }
    if shape.attached && rng.chance(20) {
        attrs.attached = rng.next();
    }
}

#[test]
fn a_seed_always_builds_the_same_tree_and_a_mutation_another() {
    use crate::oracle::Manifest;
    let since = std::time::SystemTime::now();
    let dir = tempfile::tempdir().unwrap();
    let shape = Shape {
        depth: 3,
        width: 9,
        long_names: true,
        hard_links: true,
        follow: false,
        dangling: true,
        root: crate::requirement::is_root(),
        attached: true,
    };
    let [one, two] = [1, 1].map(|seed| Tree::random(&mut Rng::new(seed), &shape));
    one.build(&dir.path().join("one"));
    two.build(&dir.path().join("two"));
    one.mutated(&mut Rng::new(2), &shape).build(&dir.path().join("other"));
    let [one, two, other] = ["one", "two", "other"].map(|name| Manifest::of(&dir.path().join(name), since));
    assert_eq!(one.difference(&two), "");
    assert_ne!(one.difference(&other), "");
}
