//! The differences between the lines of sluice and rsync that are meant (`docs/differences.md`), each as an
//! exact rule: what is not covered by one fails the differential test.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::attached::{ACCESS, DEFAULT};
use crate::oracle::{Entry, Manifest};
use crate::random_command::Case;

/// An itemized line: 11 characters, a blank, the name.
type Line = Vec<u8>;

/// What the rules need to know of the trees as they were before the run.
pub struct Before {
    /// The modes, by path below the destination, of everything but directories that has set-id bits.
    set_ids: BTreeMap<Vec<u8>, u32>,
    /// Paths below the sources of inodes that have several names there.
    grouped: BTreeSet<Vec<u8>>,
    /// The directories of the destination by their paths below it, with the access control list that what is made in
    /// them begins with.
    dirs: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
}

impl Before {
    /// Looks at `src`, `src2` and `dst` in `dir`.
    pub fn of(dir: &Path) -> Before {
        let [src, src2, dst] = ["src", "src2", "dst"].map(|name| leaves(&dir.join(name)));
        let several = |leaves: &BTreeMap<Vec<u8>, std::fs::Metadata>| {
            let several = leaves.iter().filter(|(_, meta)| meta.nlink() > 1);
            several.map(|(path, _)| path.clone()).collect::<BTreeSet<_>>()
        };
        let set_ids = dst.iter().filter(|(_, meta)| meta.mode() & 0o6000 != 0 && !meta.is_symlink());
        let set_ids = set_ids.map(|(path, meta)| (path.clone(), meta.mode() & 0o7777)).collect();
        let grouped = several(&src).union(&several(&src2)).cloned().collect();
        Before { set_ids, grouped, dirs: dirs(&dir.join("dst")) }
    }

    /// Our lines as rsync shows them where the owner or group of a file with set-id bits changes; `after` is
    /// the destination's tree then.
    ///
    /// The kernel takes such bits away with the owner. rsync then looks at the file again and forgets what
    /// it has just changed: with source and destination of mode 4755, `rsync -ai` prints `.f...p.....` for a
    /// new owner, with a source of mode 755 nothing at all, and `rsync -ain` in both cases what is the
    /// matter.
    pub fn forgetting_owners(&self, ours: &[Line], after: &Manifest, case: &Case) -> Vec<Line> {
        let forget = |line: &Line| {
            let path = name(line);
            let changes = line[0] == b'.' && line.len() > 12 && (line[6] == b'o' || line[7] == b'g');
            let Some(before) = self.set_ids.get(&path).filter(|_| changes) else { return Some(line.clone()) };
            let mut line = line.clone();
            let lost = 0o4000 | if before & 0o010 == 0 { 0 } else { 0o2000 };
            let after = after.0.get(&[b"dst/", &path[..]].concat()).map(|entry| entry.mode);
            // What it looks at then has the new access control list, and so its permission bits, already.
            let looked_at = if line[9] == b'a' { 0o7000 } else { 0o7777 };
            let differs = after.is_none_or(|after| (after ^ (before & !lost)) & looked_at != 0);
            line[5] = if case.keeps_modes() && differs { b'p' } else { b'.' };
            line[6..8].fill(b'.');
            let nothing = line[2..11].iter().all(|column| *column == b'.');
            if nothing {
                line[2..11].fill(b' ');
            }
            (!nothing || case.shows_unchanged()).then_some(line)
        };
        ours.iter().filter_map(forget).collect()
    }

    /// Our lines as rsync shows them where lists of directories differ and there is a rule about attributes: for it lists
    /// are attributes too then. `mkdir s/y d/y; setfacl -m u:7:r s/y; rsync -aiAX -f '-x user.a' s/ d/` shows `.d.......ax y/`.
    pub fn with_lists_as_attributes(ours: &mut [Line], theirs: &[Line]) {
        for (ours, theirs) in ours.iter_mut().zip(theirs) {
            if ours.len() > 12 && ours[1] == b'd' && ours[9] == b'a' && theirs.get(10) == Some(&b'x') {
                ours[10] = b'x';
            }
        }
    }

    /// Our lines as rsync's dry run shows them where a list goes: its mask counts as permission bits, which the real run
    /// takes away with it. `echo 1 >s/f; cp -p s/f d/; chmod 600 s/f; setfacl -m u:7:r,m:r d/f; rsync -naiA s/ d/` shows
    /// `.f...p...a. f`, and without -n `.f.......a. f`.
    pub fn with_masks_as_bits(ours: &mut [Line], theirs: &[Line]) {
        for (ours, theirs) in ours.iter_mut().zip(theirs) {
            if ours.len() > 12 && ours[9] == b'a' && theirs.get(5) == Some(&b'p') {
                ours[5] = b'p';
            }
        }
    }

    /// Our tree as rsync leaves it where a file with set-id bits gets a list: the list's owning group may lose its
    /// permissions. `echo 1 >s/f; cp -p s/f d/; setfacl -m u:33:rwx,m::r s/f; chmod 2644 d/f; rsync -aA s/ d/` leaves
    /// `group::---`, and the next run mends it.
    pub fn losing_group(&self, ours: &Manifest, theirs: &Manifest) -> Manifest {
        let mut ours = ours.clone();
        let had =
            |path: &[u8]| path.strip_prefix(b"dst/").is_some_and(|path| self.set_ids.contains_key(path));
        let of_group = |entry: &Entry, path: &[u8]| match &entry.linked {
            Some(first) => {
                theirs.0.iter().any(|(path, other)| other.linked.as_ref() == Some(first) && had(path))
            }
            None => had(path),
        };
        for (path, entry) in &mut ours.0 {
            let Some(other) = theirs.0.get(path) else { continue };
            let lists = (entry.attached.get_mut(ACCESS.as_bytes()), other.attached.get(ACCESS.as_bytes()));
            let (Some(mine), Some(theirs)) = lists else { continue };
            // An entry of a list is its tag, its permissions, its number; 4 is the owning group.
            let lost = |one: &[u8]| matches!(one, [4, 0, 0, 0, ..]);
            let Some(at) = (4..theirs.len()).step_by(8).find(|at| lost(&theirs[*at..])) else { continue };
            if of_group(other, path) && mine.len() == theirs.len() {
                mine[at + 2] = 0;
            }
        }
        ours
    }

    /// rsync's tree without lists that directories, FIFOs and devices have from the directory that they were made in, where
    /// lists are attributes because of a rule about these: `setfacl -d -m u:7:rwx d; mkfifo s/p; rsync -aX -f '-x user.a' s/
    /// d/; getfacl d/p`. The next run takes them away. And whether that directory has lost its list by then, or has got it,
    /// is chance: another process of rsync's sees to it.
    pub fn without_inherited(&self, ours: &Manifest, theirs: &Manifest) -> Manifest {
        let mut without = theirs.clone();
        for (path, entry) in &mut without.0 {
            let Some(mine) = ours.0.get(path).filter(|_| b"dpscb".contains(&(entry.kind as u8))) else {
                continue;
            };
            let was_there = path.strip_prefix(b"dst/").is_none_or(|below| self.dirs.contains_key(below));
            if was_there && entry.kind == 'd' {
                continue;
            }
            let names = theirs.0.iter().filter(|(name, other)| {
                *name == path || other.linked.is_some() && other.linked == entry.linked
            });
            let begun: Vec<Vec<u8>> = names.flat_map(|(name, _)| self.lists_above(name, theirs)).collect();
            // An entry of a list is its tag, its permissions, its number.
            let whose = |list: &[u8]| -> Vec<(Vec<u8>, Vec<u8>)> {
                let entries = list.get(4..).unwrap_or_default().chunks(8);
                entries.map(|one| (one[..2].to_vec(), one[4..].to_vec())).collect()
            };
            for name in [ACCESS, DEFAULT].map(str::as_bytes) {
                let inherited = |list: &Vec<u8>| match name == DEFAULT.as_bytes() {
                    true => begun.contains(list),
                    false => begun.iter().any(|other| whose(other) == whose(list)),
                };
                if !mine.attached.contains_key(name) && entry.attached.get(name).is_some_and(inherited) {
                    entry.attached.remove(name);
                }
            }
        }
        without
    }

    /// The lists that what is made in the directories above `path` begins with, before the run and after it.
    fn lists_above(&self, path: &[u8], after: &Manifest) -> Vec<Vec<u8>> {
        let ends = (0..path.len()).filter(|at| path[*at] == b'/');
        let above = ends.map(|at| &path[..at]);
        let lists = above.flat_map(|dir| {
            let below = dir.strip_prefix(b"dst").map(|rest| rest.strip_prefix(b"/").unwrap_or(rest));
            let before = below.and_then(|below| self.dirs.get(below).cloned().flatten());
            let after = after.0.get(dir).and_then(|entry| entry.attached.get(DEFAULT.as_bytes()).cloned());
            [before, after]
        });
        lists.flatten().collect()
    }

    /// Takes the lines of names of hard-link groups out of `items`, and returns them sorted.
    ///
    /// Where a group has names outside the transfer, sluice knows its leader only at the end, and shows it
    /// there; rsync shows it at its place.
    pub fn take_groups(&self, items: &mut Vec<Line>) -> Vec<Line> {
        let (mut taken, rest): (Vec<_>, Vec<_>) =
            items.drain(..).partition(|line| among(&self.grouped, &name(line)));
        *items = rest;
        taken.sort();
        taken
    }
}

/// Leaves of the lines of new hard links what does not depend on when a basis directory was looked at: with `-U`, rsync
/// compares it with a source that it has copied from there already, and so read, under the group's first name: `echo 1
/// >s/f; cp -p s/f b/; ln s/f s/l; ln b/f b/l; rsync -aUHi --copy-dest=../b s/ d/` shows `hf......u.. l`.
pub fn without_basis_access(links: &[Line], case: &Case) -> Vec<Line> {
    let copies = case.args.iter().any(|arg| arg.as_bytes().starts_with(b"--copy-dest="));
    let mut links = links.to_vec();
    if !copies || !case.keeps_access_times() {
        return links;
    }
    for line in links.iter_mut().filter(|line| line.len() > 12 && line[8] == b'u') {
        line[8] = b'.';
        if line[2..11].iter().all(|column| *column == b'.') {
            line[2..11].fill(b' ');
        }
    }
    links.sort();
    links
}

/// Leaves of the lines of new hard links what depends on whether rsync has heard, when it comes to them, that a leader in
/// another directory is done: `mkdir s/a s/b; ln -s x s/a/l; ln s/a/l s/b/l; setfattr -hn trusted.a -v 1 s/a/l; cp -a s/b d/;
/// rsync -aiHX s/ d/` shows `hL........x b/l => a/l`, and with more directories sometimes no `x`.
pub fn without_far_xattrs(mut links: Vec<Line>) -> Vec<Line> {
    let dir = |path: &[u8]| path.iter().rposition(|b| *b == b'/').map(|at| path[..at].to_vec());
    for line in links.iter_mut().filter(|line| line.len() > 12 && line[10] == b'x') {
        let shown = &line[12..];
        let Some(at) = shown.windows(4).position(|part| part == b" => ") else { continue };
        if dir(&shown[..at]) != dir(&shown[at + 4..]) {
            line[10] = b'.';
            if line[2..11].iter().all(|column| *column == b'.') {
                line[2..11].fill(b' ');
            }
        }
    }
    links.sort();
    links
}

/// Everything but directories by its path below `root`.
fn leaves(root: &Path) -> BTreeMap<Vec<u8>, std::fs::Metadata> {
    let found = walkdir::WalkDir::new(root).into_iter().filter_map(Result::ok);
    let leaves = found.filter(|entry| !entry.file_type().is_dir());
    leaves
        .map(|entry| {
            let path = entry.path().strip_prefix(root).unwrap().as_os_str().as_bytes().to_vec();
            (path, entry.metadata().unwrap())
        })
        .collect()
}

/// The directories at and below `root`, with their default access control lists.
fn dirs(root: &Path) -> BTreeMap<Vec<u8>, Option<Vec<u8>>> {
    let found = walkdir::WalkDir::new(root).into_iter().filter_map(Result::ok);
    let dirs = found.filter(|entry| entry.file_type().is_dir());
    dirs.map(|entry| {
        let path = entry.path().strip_prefix(root).unwrap().as_os_str().as_bytes().to_vec();
        (path, xattr::get(entry.path(), DEFAULT).ok().flatten())
    })
    .collect()
}

/// Whether `name`, a path in a transfer that may begin above or below the roots of `paths`, is one of them.
fn among(paths: &BTreeSet<Vec<u8>>, name: &[u8]) -> bool {
    let ends = |long: &[u8], short: &[u8]| {
        long.strip_suffix(short).is_some_and(|rest| rest.is_empty() || rest.ends_with(b"/"))
    };
    !name.is_empty() && paths.iter().any(|path| ends(path, name) || ends(name, path))
}

/// The name in a line, as it is on disk.
fn name(line: &[u8]) -> Vec<u8> {
    let shown = line.get(12..).unwrap_or_default();
    let end = shown.windows(4).position(|part| part == b" -> " || part == b" => ");
    let mut rest = &shown[..end.unwrap_or(shown.len())];
    let mut name = Vec::new();
    while let Some((first, after)) = rest.split_first() {
        let octal = rest.get(2..5).and_then(|digits| std::str::from_utf8(digits).ok());
        match octal.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) if rest.starts_with(b"\\#") => {
                name.push(byte);
                rest = &rest[5..];
            }
            _ => {
                name.push(*first);
                rest = after;
            }
        }
    }
    name
}

#[test]
fn a_name_is_read_back_from_its_line() {
    assert_eq!(name(b">f+++++++++ a/b c"), b"a/b c");
    assert_eq!(name(b"cL+++++++++ a -> b"), b"a");
    assert_eq!(name(b"hf+++++++++ new\\#012line => b"), b"new\nline");
    assert_eq!(name(b">f+++++++++ \\#377\\#134#012"), b"\xff\\#012");
}
