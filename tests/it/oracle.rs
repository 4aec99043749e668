//! A manifest of a tree, made without a line of sluice: what two trees must agree in to be the same.

use std::collections::BTreeMap;
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::attached;

/// A modification time as far as two runs can agree in it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Time {
    /// Seconds since 1970 and nanoseconds.
    At(i64, i64),
    /// Some moment of the test itself.
    Now,
}

/// One entry of a tree.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// `f`ile, `d`irectory, symbolic `l`ink, FIFO `p`, `s`ocket, `c`har or `b`lock device.
    pub kind: char,
    /// Permission bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Modification time.
    pub mtime: Time,
    /// Access time in seconds, where that was asked for: of everything but directories and links.
    pub atime: Option<Time>,
    /// Size of a file in bytes.
    pub size: u64,
    /// BLAKE3 of a file's content.
    pub content: Option<blake3::Hash>,
    /// Text of a symbolic link.
    pub target: Option<Vec<u8>>,
    /// Number of a device.
    pub rdev: u64,
    /// The first name in the tree of the inode, where it has several there.
    pub linked: Option<Vec<u8>>,
    /// Extended attributes, access control lists among them.
    pub attached: BTreeMap<Vec<u8>, Vec<u8>>,
}

/// All entries of a tree by their path below its root, which itself is the empty path.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Manifest(pub BTreeMap<Vec<u8>, Entry>);

impl Manifest {
    /// Looks at the tree at `root`; a root that does not exist has no entries. Times after `since`
    /// are taken for moments of the test.
    #[must_use]
    pub fn of(root: &Path, since: SystemTime) -> Manifest {
        let mut manifest = Manifest::with_access(root, since);
        manifest.0.values_mut().for_each(|entry| entry.atime = None);
        manifest
    }

    /// As [`Manifest::of`], with access times.
    #[must_use]
    pub fn with_access(root: &Path, since: SystemTime) -> Manifest {
        let mut entries = BTreeMap::new();
        let mut first_names: BTreeMap<(u64, u64), Vec<u8>> = BTreeMap::new();
        if root.symlink_metadata().is_err() {
            return Manifest(entries);
        }
        for found in walkdir::WalkDir::new(root).sort_by_file_name() {
            let found = found.unwrap_or_else(|e| panic!("the oracle cannot read the tree: {e}"));
            let path = found.path().strip_prefix(root).unwrap().as_os_str().as_bytes().to_vec();
            let meta = found.path().symlink_metadata().unwrap();
            let mut entry = look(found.path(), &meta, since);
            if !meta.is_dir() && meta.nlink() > 1 {
                let first =
                    first_names.entry((meta.dev(), meta.ino())).or_insert_with(|| path.clone()).clone();
                if first != path {
                    entry.linked = Some(first.clone());
                    let leader: &mut Entry = entries.get_mut(&first).unwrap();
                    leader.linked = Some(first);
                }
            }
            entries.insert(path, entry);
        }
        Manifest(entries)
    }

    /// Looks at the tree at `root` and takes every time as it is: to see whether a tree was touched.
    #[must_use]
    pub fn exact(root: &Path) -> Manifest {
        Manifest::of(root, SystemTime::now() + Duration::from_secs(3600))
    }

    /// One line for every entry in which the two differ; empty when they are the same.
    #[must_use]
    pub fn difference(&self, other: &Manifest) -> String {
        let mut text = String::new();
        for (path, mine) in &self.0 {
            match other.0.get(path) {
                Some(theirs) if theirs == mine => {}
                Some(theirs) => text += &format!("{}\n   {mine}\n   {theirs}\n", path.escape_ascii()),
                None => text += &format!("{}\n   {mine}\n   (missing)\n", path.escape_ascii()),
            }
        }
        for (path, theirs) in other.0.iter().filter(|(path, _)| !self.0.contains_key(*path)) {
            text += &format!("{}\n   (missing)\n   {theirs}\n", path.escape_ascii());
        }
        text
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{} {:04o} {}:{} {:?}", self.kind, self.mode, self.uid, self.gid, self.mtime)?;
        if let Some(content) = &self.content {
            write!(f, " size {} {}", self.size, &content.to_hex()[..16])?;
        }
        if let Some(target) = &self.target {
            write!(f, " -> {}", target.escape_ascii())?;
        }
        if let Some(first) = &self.linked {
            write!(f, " == {}", first.escape_ascii())?;
        }
        if let Some(atime) = self.atime {
            write!(f, " accessed {atime:?}")?;
        }
        for (name, value) in &self.attached {
            let value: String = value.escape_ascii().to_string().chars().take(60).collect();
            write!(f, " {}={value}", name.escape_ascii())?;
        }
        if self.rdev != 0 { write!(f, " dev {:#x}", self.rdev) } else { Ok(()) }
    }
}

fn look(path: &Path, meta: &std::fs::Metadata, since: SystemTime) -> Entry {
    let kind = meta.file_type();
    let mut entry = Entry {
        kind: '?',
        mode: meta.mode() & 0o7777,
        uid: meta.uid(),
        gid: meta.gid(),
        mtime: time(meta.mtime(), meta.mtime_nsec(), since),
        atime: Some(time(meta.atime(), 0, since)).filter(|_| !kind.is_dir() && !kind.is_symlink()),
        size: 0,
        content: None,
        target: None,
        rdev: 0,
        linked: None,
        attached: attached::of(path),
    };
    if kind.is_file() {
        let mut hasher = blake3::Hasher::new();
        hasher.update_reader(std::fs::File::open(path).unwrap()).unwrap();
        entry = Entry { kind: 'f', size: meta.size(), content: Some(hasher.finalize()), ..entry };
    } else if kind.is_dir() {
        entry.kind = 'd';
    } else if kind.is_symlink() {
        let target = std::fs::read_link(path).unwrap().as_os_str().as_bytes().to_vec();
        entry = Entry { kind: 'l', target: Some(target), ..entry };
    } else if kind.is_fifo() {
        entry.kind = 'p';
    } else if kind.is_socket() {
        entry.kind = 's';
    } else {
        entry.kind = if kind.is_char_device() { 'c' } else { 'b' };
        entry.rdev = meta.rdev();
    }
    entry
}

fn time(sec: i64, nsec: i64, since: SystemTime) -> Time {
    // The kernel stamps with a clock that lags behind the one that `SystemTime` reads.
    let since = (since - Duration::from_secs(1)).duration_since(UNIX_EPOCH).unwrap();
    let now = (SystemTime::now() + Duration::from_secs(1)).duration_since(UNIX_EPOCH).unwrap();
    match u64::try_from(sec) {
        Ok(seconds) if (since.as_secs()..=now.as_secs()).contains(&seconds) => Time::Now,
        _ => Time::At(sec, nsec),
    }
}

#[test]
fn every_attribute_that_differs_is_told() {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    type Sabotage = fn(&Path);
    let sabotages: &[(&str, Sabotage)] = &[
        ("content", |t| fs::write(t.join("file"), "y").unwrap()),
        ("size", |t| fs::write(t.join("file"), "xx").unwrap()),
        ("mode", |t| fs::set_permissions(t.join("file"), fs::Permissions::from_mode(0o600)).unwrap()),
        ("extended attribute", |t| attached::set(&t.join("file"), "user.x", b"1")),
        ("surplus", |t| fs::write(t.join("more"), "").unwrap()),
        ("missing", |t| fs::remove_file(t.join("link")).unwrap()),
        ("kind", |t| fs::remove_file(t.join("link")).and_then(|()| fs::create_dir(t.join("link"))).unwrap()),
        ("link text", |t| {
            fs::remove_file(t.join("link")).unwrap();
            std::os::unix::fs::symlink("other", t.join("link")).unwrap();
        }),
        ("hard link", |t| {
            fs::remove_file(t.join("two")).and_then(|()| fs::write(t.join("two"), "x")).unwrap()
        }),
        ("directory time", |t| {
            fs::File::open(t.join("dir")).unwrap().set_modified(UNIX_EPOCH + Duration::from_secs(7)).unwrap();
        }),
    ];
    for (what, sabotage) in sabotages {
        let since = SystemTime::now();
        let trees = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        for tree in &trees {
            fs::write(tree.path().join("file"), "x").unwrap();
            fs::write(tree.path().join("one"), "x").unwrap();
            fs::hard_link(tree.path().join("one"), tree.path().join("two")).unwrap();
            std::os::unix::fs::symlink("text", tree.path().join("link")).unwrap();
            fs::create_dir(tree.path().join("dir")).unwrap();
        }
        let [one, two] = [&trees[0], &trees[1]].map(|t| Manifest::of(t.path(), since));
        assert_eq!(one.difference(&two), "");
        sabotage(trees[1].path());
        assert_ne!(one.difference(&Manifest::of(trees[1].path(), since)), "", "{what} was not seen");
    }
}
