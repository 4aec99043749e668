//! Random trees on disk.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::Path;

use nix::sys::stat::{Mode, SFlag, UtimensatFlags, fchmodat, makedev, mknod, utimensat};
use nix::sys::time::TimeSpec;
use nix::unistd::{FchownatFlags, Gid, Uid, fchownat};

use crate::attached;
use crate::random_tree::{Attrs, Body, Node, Rng, TIMES, Tree};

impl Tree {
    /// Builds the tree at `at`, which must not exist.
    pub fn build(&self, at: &Path) {
        let mut first_names = vec![None; self.inodes.len()];
        self.build_node(&self.root, at, 0, &mut first_names);
    }

    fn build_node(
        &self,
        node: &Node,
        at: &Path,
        depth: usize,
        first_names: &mut [Option<std::path::PathBuf>],
    ) {
        match node {
            Node::Leaf(inode) => match &first_names[*inode] {
                Some(first) => fs::hard_link(first, at).unwrap(),
                None => {
                    let (body, attrs) = &self.inodes[*inode];
                    build_body(body, at, depth);
                    set_attrs(
                        attrs,
                        at,
                        match body {
                            Body::Symlink(_) => 'l',
                            Body::Bytes { .. } | Body::Text(_) => 'f',
                            _ => 'p',
                        },
                    );
                    first_names[*inode] = Some(at.to_path_buf());
                }
            },
            Node::Dir(attrs, children) => {
                fs::create_dir(at).unwrap_or_else(|e| panic!("mkdir {}: {e}", at.display()));
                for (name, child) in children {
                    self.build_node(child, &at.join(OsStr::from_bytes(name)), depth + 1, first_names);
                }
                set_attrs(attrs, at, 'd');
            }
        }
    }
}

/// Makes `outside` in `dir`: something for symbolic links that lead out of a tree beside it.
pub fn build_outside(dir: &Path) {
    let (uid, gid) = (nix::unistd::geteuid().as_raw(), nix::unistd::getegid().as_raw());
    let outside = Node::Dir(
        Attrs { mode: 0o755, uid, gid, mtime: TIMES[0], attached: 0 },
        BTreeMap::from([
            (b"file".to_vec(), Node::Leaf(0)),
            (
                b"dir".to_vec(),
                Node::Dir(
                    Attrs { mode: 0o750, uid, gid, mtime: TIMES[3], attached: 0 },
                    BTreeMap::from([(b"inner".to_vec(), Node::Leaf(1))]),
                ),
            ),
        ]),
    );
    let attrs = Attrs { mode: 0o640, uid, gid, mtime: TIMES[4], attached: 0 };
    let texts = [b"outside".to_vec(), b"inner".to_vec()];
    let tree = Tree { inodes: texts.map(|text| (Body::Text(text), attrs.clone())).to_vec(), root: outside };
    tree.build(&dir.join("outside"));
}

fn build_body(body: &Body, at: &Path, depth: usize) {
    match body {
        Body::Bytes { seed, len, hole } => {
            let mut rng = Rng::new(*seed);
            let mut bytes: Vec<u8> = (0..len.div_ceil(8)).flat_map(|_| rng.next().to_le_bytes()).collect();
            bytes.truncate(*len);
            let file = fs::File::create_new(at).unwrap_or_else(|e| panic!("create {}: {e}", at.display()));
            if *hole {
                file.write_all_at(&bytes[..100], 0).unwrap();
                file.write_all_at(&bytes[len - 100..], *len as u64 - 100).unwrap();
            } else {
                file.write_all_at(&bytes, 0).unwrap();
            }
        }
        Body::Text(text) => fs::write(at, text).unwrap(),
        Body::Symlink(target) => {
            let text = match target.strip_prefix(b"@") {
                Some(rest) => [&b"../".repeat(depth)[..], b"outside", rest].concat(),
                None => target.clone(),
            };
            std::os::unix::fs::symlink(OsStr::from_bytes(&text), at).unwrap();
        }
        Body::Fifo => mknod(at, SFlag::S_IFIFO, Mode::S_IRUSR, 0).unwrap(),
        Body::Device(minor) => mknod(at, SFlag::S_IFCHR, Mode::S_IRUSR, makedev(1, *minor)).unwrap(),
    }
}

fn set_attrs(attrs: &Attrs, at: &Path, kind: char) {
    let cwd = nix::fcntl::AT_FDCWD;
    let (uid, gid) = (Uid::from_raw(attrs.uid), Gid::from_raw(attrs.gid));
    fchownat(cwd, at, Some(uid), Some(gid), FchownatFlags::AT_SYMLINK_NOFOLLOW).unwrap();
    if kind != 'l' {
        let mode = Mode::from_bits_truncate(attrs.mode);
        fchmodat(cwd, at, mode, nix::sys::stat::FchmodatFlags::FollowSymlink).unwrap();
    }
    attached::attach(at, attrs.attached, attrs.mode, kind);
    let time = TimeSpec::new(attrs.mtime.0, attrs.mtime.1);
    utimensat(cwd, at, &time, &time, UtimensatFlags::NoFollowSymlink).unwrap();
}
