//! Paths as the operator typed them: walked once, component by component, then held.
//!
//! A symbolic link on the way is followed only if root or the running user owns it: in a directory that
//! others can write (`/tmp`), a link planted by somebody else leads nowhere.

use std::collections::VecDeque;
use std::ffi::{CString, OsStr};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::sync::OnceLock;

use nix::fcntl::OFlag;
use nix::libc;
use nix::sys::stat::Mode;

use super::PathError;
use super::attrs::{Attrs, Kind};
use super::bounds;
use super::dir::{self, Dir, OpenFile};
use super::name::Name;
use crate::sys::{Errno, names, open, stat};

/// Where all paths of this process begin, once [`begin_all_paths_at`] has said so.
static ROOT: OnceLock<Dir> = OnceLock::new();

/// From here on every path begins at `root`, absolute or not; `..` and symbolic links in it are refused.
///
/// It is for a process that serves one directory to somebody who names paths in it: what `chroot(2)` does for
/// the kernel's resolution of paths, and without privilege. It cannot be taken back. Returns whether this was
/// the first call; a second one changes nothing.
pub fn begin_all_paths_at(root: Dir) -> bool {
    ROOT.set(root).is_ok()
}

/// Links followed in one path before it counts as a loop (the kernel's own limit).
const MAX_LINKS: usize = 40;

/// An operand, resolved: the directory that holds it, and its name there.
#[derive(Debug)]
pub struct Operand {
    /// The held directory: the one named, or the parent of the entry named.
    pub dir: Dir,
    /// The entry's name in `dir`; `None` when the path names `dir` itself (`/`, `.`, `x/`, `x/..`).
    pub name: Option<Name>,
}

impl Operand {
    /// The attributes of what was named, a link in last place not followed; `None` if there is nothing.
    ///
    /// # Errors
    ///
    /// Any but `ENOENT`.
    pub fn stat(&self) -> Result<Option<Attrs>, Errno> {
        match &self.name {
            Some(name) => self.dir.stat_if_any(name),
            None => self.dir.attrs().map(Some),
        }
    }
}

/// Resolves all but the last component of `path`, which is returned by name; a path that ends in `/`,
/// `/.` or `..`, and `.` itself, name a directory and are resolved whole.
///
/// # Errors
///
/// `ENOENT`, `ENOTDIR`, `EACCES`: as for any path. `ELOOP`: too many links. `EPERM`: a link on the way
/// belongs to another user.
pub fn resolve(path: &OsStr) -> Result<Operand, PathError> {
    walk(path.as_bytes(), false).map_err(|source| error("open", path, source))
}

/// As [`resolve`], but that a link in last place is followed too: what `path` names is a file, or one to be made
/// (`--write-batch`).
///
/// # Errors
///
/// As [`resolve`]; `EISDIR` for a path that can only name a directory.
pub fn resolve_followed(path: &OsStr) -> Result<Operand, PathError> {
    let (dir, name) = last_name(path).map_err(|source| error("open", path, source))?;
    Ok(Operand { dir, name: Some(name) })
}

/// Opens the directory that `path` names, following links as described at the head of this file.
///
/// # Errors
///
/// As [`resolve`]; `ENOTDIR` where it is not a directory.
pub fn open_dir(path: &OsStr) -> Result<Dir, PathError> {
    let at = walk(path.as_bytes(), true).map_err(|source| error("open", path, source))?;
    readable(&at.dir).map_err(|source| error("open", path, source))
}

/// Reads the file that `path` names, at most `limit` bytes (pattern files, lists of names).
///
/// # Errors
///
/// As [`resolve`]; `EFBIG` where there is more than `limit`; `EISDIR` for a directory.
pub fn read_file(path: &OsStr, limit: usize) -> Result<Vec<u8>, PathError> {
    read(path, limit).map_err(|source| error("read", path, source))
}

/// Reads the beginning of the file that `path` names: `limit` bytes, or all that there are.
///
/// # Errors
///
/// As [`resolve`]; `EISDIR` for a directory.
pub fn read_start(path: &OsStr, limit: usize) -> Result<Vec<u8>, PathError> {
    let read = || dir::read_up_to(to_read(path)?.as_fd(), limit);
    read().map_err(|source| error("read", path, source))
}

/// Reads the regular file that `path` names, at most `limit` bytes, with the attributes that the very
/// descriptor it is read from gave (files of passwords).
///
/// # Errors
///
/// As [`read_file`]; `EBADFD` where it is not a regular file.
pub fn read_with_attrs(path: &OsStr, limit: usize) -> Result<(Attrs, Vec<u8>), PathError> {
    let read = || -> Result<(Attrs, Vec<u8>), Errno> {
        let (at, name) = last_name(path)?;
        bounds::check(&at)?;
        let file = at.open_file(&name)?;
        Ok((file.attrs, dir::read_all(file.as_fd(), limit)?))
    };
    read().map_err(|source| error("read", path, source))
}

/// The attributes of what `path` names, a symbolic link followed (`--newer-than`).
///
/// # Errors
///
/// As [`resolve`].
pub fn attrs(path: &OsStr) -> Result<super::Attrs, PathError> {
    let attrs = || -> Result<super::Attrs, Errno> {
        match last_name(path) {
            Ok((at, name)) => {
                bounds::check(&at)?;
                at.stat(&name)
            }
            Err(Errno::EISDIR) => {
                let dir = walk(path.as_bytes(), true)?.dir;
                bounds::check(&dir)?;
                dir.attrs()
            }
            Err(e) => Err(e),
        }
    };
    attrs().map_err(|source| error("stat", path, source))
}

/// Opens the file that `path` names for appending, made with mode 0644 less the umask if it is not
/// there (`--log-file`).
///
/// # Errors
///
/// As [`resolve`]; `EISDIR` for a directory.
pub fn append_file(path: &OsStr) -> Result<std::fs::File, PathError> {
    let open = || -> Result<OwnedFd, Errno> {
        let (at, name) = last_name(path)?;
        bounds::check(&at)?;
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_APPEND;
        open::openat(at.fd(), name.as_cstr(), flags, Mode::from_bits_truncate(0o644))
    };
    open().map(std::fs::File::from).map_err(|source| error("open", path, source))
}

/// Makes a directory that may also be read out of one held as a location only.
///
/// # Errors
///
/// `EACCES`: it may be passed through, but not be read.
pub fn readable(dir: &Dir) -> Result<Dir, Errno> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY;
    open::openat(dir.fd(), c".", flags, Mode::empty()).map(Dir::from_fd)
}

/// Opens what `path` names for reading, a FIFO as well as a file (`--read-batch`).
///
/// # Errors
///
/// As [`resolve`]; `EISDIR` for a directory.
pub fn open_to_read(path: &OsStr) -> Result<OwnedFd, PathError> {
    to_read(path).map_err(|source| error("open", path, source))
}

fn to_read(path: &OsStr) -> Result<OwnedFd, Errno> {
    let (at, name) = last_name(path)?;
    bounds::check(&at)?;
    // Named by the operator, so a FIFO or /dev/stdin is as welcome as a file.
    if on_procfs(&at) {
        open::openat_following(at.fd(), name.as_cstr(), OFlag::O_RDONLY)
    } else {
        open::openat(at.fd(), name.as_cstr(), OFlag::O_RDONLY, Mode::empty())
    }
}

fn read(path: &OsStr, limit: usize) -> Result<Vec<u8>, Errno> {
    dir::read_all(to_read(path)?.as_fd(), limit)
}

/// Links of `/proc` (where `/dev/fd/N` of a shell's `<(…)` leads) are not paths but handles.
fn on_procfs(dir: &Dir) -> bool {
    stat::fstatfs_type(dir.fd()).is_ok_and(|kind| kind == i64::from(libc::PROC_SUPER_MAGIC as i32))
}

/// Parent and name of a path whose last component, if a link, has been followed too.
fn last_name(path: &OsStr) -> Result<(Dir, Name), Errno> {
    let at = walk(path.as_bytes(), false)?;
    let Some(name) = at.name else { return Err(Errno::EISDIR) };
    let link = at.dir.stat_if_any(&name)?.filter(|attrs| attrs.kind == Kind::Symlink);
    let link = link.filter(|_| !on_procfs(&at.dir));
    let Some(attrs) = link else { return Ok((at.dir, name)) };
    let mut rest = VecDeque::new();
    let mut links = 0;
    let start = follow(&at.dir, &name, &attrs, &mut rest, &mut links)?.unwrap_or(at.dir);
    let at = descend(start, rest, Last::NameFollowed, links)?;
    at.name.map(|name| (at.dir, name)).ok_or(Errno::EISDIR)
}

fn error(op: &'static str, path: &OsStr, source: Errno) -> PathError {
    PathError { op, path: path.as_bytes().to_vec(), source }
}

/// What becomes of the last component.
#[derive(Clone, Copy, PartialEq)]
enum Last {
    /// It is a directory and is entered.
    Enter,
    /// It is returned by name, whatever it is.
    Name,
    /// As `Name`, but a link is followed first.
    NameFollowed,
}

fn walk(path: &[u8], enter: bool) -> Result<Operand, Errno> {
    if path.is_empty() || path.contains(&0) {
        return Err(if path.is_empty() { Errno::ENOENT } else { Errno::EINVAL });
    }
    let location = OFlag::O_PATH | OFlag::O_DIRECTORY;
    let start = match ROOT.get() {
        Some(root) => open::openat(root.fd(), c".", location, Mode::empty())?,
        None => open::open_ambient(if path[0] == b'/' { c"/" } else { c"." }, location)?,
    };
    let parts: VecDeque<Vec<u8>> = components(path);
    // "x/" and "x/." name the directory x, whatever leads there.
    let directory = path.ends_with(b"/") || path.ends_with(b"/.");
    let last = if enter || directory { Last::Enter } else { Last::Name };
    descend(Dir::from_fd(start), parts, last, 0)
}

fn components(path: &[u8]) -> VecDeque<Vec<u8>> {
    path.split(|&b| b == b'/').filter(|p| !p.is_empty() && *p != b".").map(<[u8]>::to_vec).collect()
}

fn descend(mut at: Dir, mut rest: VecDeque<Vec<u8>>, last: Last, mut links: usize) -> Result<Operand, Errno> {
    let location = OFlag::O_PATH | OFlag::O_DIRECTORY;
    while let Some(part) = rest.pop_front() {
        if part == b".." {
            if ROOT.get().is_some() {
                return Err(Errno::EXDEV);
            }
            at = Dir::from_fd(open::openat(at.fd(), c"..", location, Mode::empty())?);
            continue;
        }
        let name = Name::parse(&part).map_err(|_| Errno::ENAMETOOLONG)?;
        if rest.is_empty() && last == Last::Name {
            return Ok(Operand { dir: at, name: Some(name) });
        }
        let fd = match open::openat(at.fd(), name.as_cstr(), OFlag::O_PATH, Mode::empty()) {
            // A file to be made: its name is the answer.
            Err(Errno::ENOENT) if rest.is_empty() && last == Last::NameFollowed => {
                return Ok(Operand { dir: at, name: Some(name) });
            }
            other => other?,
        };
        let attrs = Attrs::from_stat(&stat::fstat(fd.as_fd())?);
        match attrs.kind {
            Kind::Symlink if rest.is_empty() && last == Last::NameFollowed && on_procfs(&at) => {
                return Ok(Operand { dir: at, name: Some(name) });
            }
            Kind::Symlink => {
                if let Some(root) = follow(&at, &name, &attrs, &mut rest, &mut links)? {
                    at = root;
                }
            }
            _ if rest.is_empty() && last == Last::NameFollowed => {
                return Ok(Operand { dir: at, name: Some(name) });
            }
            Kind::Dir => at = Dir::from_fd(fd),
            _ => return Err(Errno::ENOTDIR),
        }
    }
    Ok(Operand { dir: at, name: None })
}

/// Puts the text of the link `name` in front of `rest`; returns `/` where the text is absolute.
fn follow(
    at: &Dir,
    name: &Name,
    attrs: &Attrs,
    rest: &mut VecDeque<Vec<u8>>,
    links: &mut usize,
) -> Result<Option<Dir>, Errno> {
    if ROOT.get().is_some() {
        return Err(Errno::ELOOP);
    }
    *links += 1;
    if *links > MAX_LINKS {
        return Err(Errno::ELOOP);
    }
    let trusted = bounds::trusts_everybody() || attrs.uid == 0;
    if !trusted && attrs.uid != nix::unistd::geteuid().as_raw() {
        return Err(Errno::EPERM);
    }
    // O_PATH pins the very link whose owner was checked.
    let link = open::openat(at.fd(), name.as_cstr(), OFlag::O_PATH, Mode::empty())?;
    let now = Attrs::from_stat(&stat::fstat(link.as_fd())?);
    if !now.same_inode(attrs) {
        return Err(Errno::ESTALE);
    }
    let text = names::readlinkat(link.as_fd(), c"")?;
    for part in components(&text).into_iter().rev() {
        rest.push_front(part);
    }
    if text.first() != Some(&b'/') {
        return Ok(None);
    }
    let root = open::open_ambient(c"/", OFlag::O_PATH | OFlag::O_DIRECTORY)?;
    Ok(Some(Dir::from_fd(root)))
}

/// Opens what an operand names as a regular file.
///
/// # Errors
///
/// As [`Dir::open_file`].
pub fn open_file(operand: &Operand) -> Result<OpenFile, Errno> {
    operand.name.as_ref().map_or(Err(Errno::EISDIR), |name| operand.dir.open_file(name))
}

/// How many directories of `path` are missing, beginning with the first that is.
///
/// # Errors
///
/// As [`resolve`]; `EEXIST`, with the path up to there, for a symbolic link that leads nowhere.
pub fn missing_dirs(path: &OsStr) -> Result<u32, PathError> {
    let fail = |path: &[u8], source| error("mkdir", OsStr::from_bytes(path), source);
    let mut missing = 0;
    for_each_prefix(path, |so_far, part| {
        if missing == 0 {
            match walk(so_far, true) {
                Ok(_) => return Ok(()),
                Err(Errno::ENOENT) => {}
                Err(e) => return Err(fail(so_far, e)),
            }
            let there = walk(so_far, false).and_then(|at| at.stat()).map_err(|e| fail(so_far, e))?;
            match there.map(|there| there.kind) {
                None => {}
                Some(Kind::Symlink) => return Err(fail(so_far, Errno::EEXIST)),
                // Somebody has made it between the two looks.
                Some(_) => return Ok(()),
            }
        }
        missing += u32::from(part != b"..");
        Ok(())
    })?;
    Ok(missing)
}

/// Makes the directories of `path` that are missing, with the mode that the umask leaves of 0777.
///
/// # Errors
///
/// As [`resolve`] and `mkdir(2)`, with the path of the directory that could not be made.
pub fn make_dirs(path: &OsStr) -> Result<(), PathError> {
    for_each_prefix(path, |so_far, _| {
        let make = || match walk(so_far, true) {
            Err(Errno::ENOENT) => match walk(so_far, false)? {
                Operand { dir, name: Some(name) } => match names::mkdirat(dir.fd(), name.as_cstr(), 0o777) {
                    // Made meanwhile by somebody else, unless it is a link that leads nowhere.
                    Err(Errno::EEXIST) => walk(so_far, true).map(drop).map_err(|_| Errno::EEXIST),
                    made => made,
                },
                Operand { name: None, .. } => Ok(()),
            },
            other => other.map(|_| ()),
        };
        make().map_err(|e| error("mkdir", OsStr::from_bytes(so_far), e))
    })
}

/// Calls `each` with the path up to each of its components, and that component.
fn for_each_prefix(
    path: &OsStr,
    mut each: impl FnMut(&[u8], &[u8]) -> Result<(), PathError>,
) -> Result<(), PathError> {
    let absolute = path.as_bytes().first() == Some(&b'/');
    let mut so_far: Vec<u8> = if absolute { b"/".to_vec() } else { Vec::new() };
    for part in components(path.as_bytes()) {
        so_far.extend_from_slice(&part);
        each(&so_far, &part)?;
        so_far.push(b'/');
    }
    Ok(())
}

/// The path of the held directory as the kernel knows it, for messages and mount checks.
///
/// # Errors
///
/// `ENOENT`: no `/proc`, or removed meanwhile.
pub fn kernel_path(dir: &Dir) -> Result<Vec<u8>, Errno> {
    use std::os::fd::AsRawFd;
    let link = CString::new(format!("/proc/self/fd/{}", dir.fd().as_raw_fd())).map_err(|_| Errno::EINVAL)?;
    let path = nix::fcntl::readlink(link.as_c_str())?;
    Ok(path.as_bytes().to_vec())
}

/// The path, as the kernel knows it, of what `typed` names or of the nearest directory above it that
/// exists; `None` if even that cannot be said.
#[must_use]
pub fn nearest_path(typed: &OsStr) -> Option<Vec<u8>> {
    nearest_dir(typed).and_then(|dir| kernel_path(&dir).ok())
}

/// What `typed` names, held as a location, or the nearest directory above it that exists; `None` if even that
/// cannot be said.
#[must_use]
pub fn nearest_dir(typed: &OsStr) -> Option<Dir> {
    let mut bytes = typed.as_bytes();
    loop {
        if let Ok(at) = walk(if bytes.is_empty() { b"." } else { bytes }, true) {
            return Some(at.dir);
        }
        let end = bytes.iter().rposition(|&b| b == b'/');
        bytes = match end {
            Some(0) if bytes.len() > 1 => b"/",
            Some(at) => &bytes[..at],
            None if bytes.is_empty() => return None,
            None => b"",
        };
    }
}

/// Who this process is, as far as ownership goes.
#[derive(Clone, Debug)]
pub struct Identity {
    /// It may give files away.
    pub root: bool,
    /// The groups that it may give its files to.
    pub groups: Vec<u32>,
}

/// Asks who this process is.
#[must_use]
pub fn identity() -> Identity {
    let mut groups: Vec<u32> =
        nix::unistd::getgroups().unwrap_or_default().into_iter().map(nix::unistd::Gid::as_raw).collect();
    groups.push(nix::unistd::getegid().as_raw());
    Identity { root: nix::unistd::geteuid().is_root(), groups }
}

/// The umask of this process as it was when this was first asked, which is to be before threads exist: it can only
/// be read by setting and restoring it, and of two threads that did so at once one would restore the other's.
#[must_use]
pub fn umask() -> u32 {
    static UMASK: OnceLock<u32> = OnceLock::new();
    *UMASK.get_or_init(|| {
        let mask = nix::sys::stat::umask(Mode::from_bits_truncate(0o077));
        nix::sys::stat::umask(mask);
        mask.bits()
    })
}

/// Raises the number of descriptors that this process may have as far as it may, and returns it.
#[must_use]
pub fn raise_descriptor_limit() -> usize {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return 256 };
    let limit =
        if soft < hard && setrlimit(Resource::RLIMIT_NOFILE, hard, hard).is_ok() { hard } else { soft };
    usize::try_from(limit.min(libc::rlim_t::from(1u32 << 20))).unwrap_or(256)
}
