//! `Dir`: one open directory, and everything that can be done with a name in it.

use std::ffi::CString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Mutex, PoisonError};

use nix::fcntl::OFlag;
use nix::libc;
use nix::sys::stat::Mode;

use super::attrs::{Attrs, Kind, Time};
use super::name::Name;
use crate::sys::{Errno, attrs, flock, getdents, lseek, lseek_start, names, open, stat};

/// Bytes asked of one directory read: large directories in few calls, small ones in one.
const LIST_BUFFER: usize = 64 * 1024;

/// An open directory. Its children are reached by single [`Name`]s, and a symbolic link is followed
/// only by the methods whose name says so, which exist for options that ask for exactly that.
#[derive(Debug)]
pub struct Dir {
    fd: OwnedFd,
    /// Held while somebody lists it: all who read a descriptor share its position.
    listing: Mutex<()>,
}

/// An open regular file with the attributes that its own descriptor gave.
#[derive(Debug)]
pub struct OpenFile {
    fd: OwnedFd,
    /// Attributes at the moment of opening.
    pub attrs: Attrs,
}

impl OpenFile {
    /// The same file as `fd` shows it: an image of it, perhaps.
    #[must_use]
    pub fn seen_as(self, fd: OwnedFd) -> OpenFile {
        OpenFile { fd, ..self }
    }
}

impl From<OpenFile> for OwnedFd {
    fn from(file: OpenFile) -> OwnedFd {
        file.fd
    }
}

impl AsFd for OpenFile {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Dir {
    pub(super) fn from_fd(fd: OwnedFd) -> Dir {
        Dir { fd, listing: Mutex::default() }
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Another descriptor of this same directory.
    ///
    /// # Errors
    ///
    /// `EMFILE`: descriptors ran out.
    pub fn again(&self) -> Result<Dir, Errno> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY;
        open::openat(self.fd(), c".", flags, Mode::empty()).map(Dir::from_fd)
    }

    /// The directory above, as a location: only to find out where this one lies.
    ///
    /// # Errors
    ///
    /// `EACCES`: this directory may not be searched.
    pub fn parent(&self) -> Result<Dir, Errno> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY;
        open::openat(self.fd(), c"..", flags, Mode::empty()).map(Dir::from_fd)
    }

    /// Opens the directory `name`.
    ///
    /// # Errors
    ///
    /// `ENOTDIR`, `ELOOP`: something else is there (now). `ENOENT`: vanished. Report the entry.
    pub fn child(&self, name: &Name) -> Result<Dir, Errno> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY;
        open::openat(self.fd(), name.as_cstr(), flags, Mode::empty()).map(Dir::from_fd)
    }

    /// Opens the directory that the source's symbolic link `name` leads to, wherever that is
    /// (`--copy-links`, `--copy-dirlinks`, `--copy-unsafe-links`).
    ///
    /// # Errors
    ///
    /// As [`Dir::child`].
    pub fn child_following(&self, name: &Name) -> Result<Dir, Errno> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY;
        open::openat_following(self.fd(), name.as_cstr(), flags).map(Dir::from_fd)
    }

    /// Opens the directory `path`, in which symbolic links are followed as long as they stay beneath this
    /// one (`--keep-dirlinks`).
    ///
    /// # Errors
    ///
    /// `EXDEV`: a link leads out of this directory. `ENOSYS`: no `openat2` here. Report the entry.
    pub fn child_beneath(&self, path: &CString) -> Result<Dir, Errno> {
        open::open_beneath_links(self.fd(), path, OFlag::O_RDONLY | OFlag::O_DIRECTORY).map(Dir::from_fd)
    }

    /// Takes the advisory lock of this opening of the directory, without waiting; `false`: somebody else has it.
    ///
    /// # Errors
    ///
    /// No locks on this filesystem.
    pub fn try_lock(&self) -> Result<bool, Errno> {
        match flock::try_lock(self.fd()) {
            Ok(()) => Ok(true),
            Err(Errno::EWOULDBLOCK) => Ok(false),
            Err(e) => Err(e),
        }
    }

    /// The directory's own attributes.
    ///
    /// # Errors
    ///
    /// `EIO` and the like; report the directory.
    pub fn attrs(&self) -> Result<Attrs, Errno> {
        stat::fstat(self.fd()).map(|st| Attrs::from_stat(&st))
    }

    /// The attributes of `name` itself, a symbolic link not followed.
    ///
    /// # Errors
    ///
    /// `ENOENT`: no such entry.
    pub fn stat(&self, name: &Name) -> Result<Attrs, Errno> {
        stat::lstatat(self.fd(), name.as_cstr()).map(|st| Attrs::from_stat(&st))
    }

    /// As [`Dir::stat`], with `None` for an entry that does not exist.
    ///
    /// # Errors
    ///
    /// Any but `ENOENT`.
    pub fn stat_if_any(&self, name: &Name) -> Result<Option<Attrs>, Errno> {
        match self.stat(name) {
            Ok(attrs) => Ok(Some(attrs)),
            Err(Errno::ENOENT) => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// The attributes of what the source's symbolic link `name` leads to.
    ///
    /// # Errors
    ///
    /// `ENOENT`: the link dangles. `ELOOP`: too many links.
    pub fn stat_following(&self, name: &Name) -> Result<Attrs, Errno> {
        stat::stat_following(self.fd(), name.as_cstr()).map(|st| Attrs::from_stat(&st))
    }

    /// Whether this process may read what is called `name`; `follow`: what it leads to, where it is a symbolic link.
    pub fn is_readable(&self, name: &Name, follow: bool) -> bool {
        stat::is_readable(self.fd(), name.as_cstr(), follow)
    }

    /// Calls `each` with every name and, where the filesystem tells, its kind. In the directory's order.
    ///
    /// One listing of a directory waits for another of it, so `each` must not begin one.
    ///
    /// # Errors
    ///
    /// The listing is then incomplete and no basis for deletion.
    pub fn list(&self, mut each: impl FnMut(Name, Option<Kind>)) -> Result<(), Errno> {
        thread_local! {
            static BUFFER: std::cell::RefCell<Vec<u8>> = const { std::cell::RefCell::new(Vec::new()) };
        }
        // A listing of another directory on the same thread (from `each`) gets a buffer of its own.
        let mut buffer = BUFFER.take();
        buffer.resize(LIST_BUFFER, 0);
        let _alone = self.listing.lock().unwrap_or_else(PoisonError::into_inner);
        lseek_start(self.fd())?;
        let mut bad_name = false;
        let result = loop {
            match getdents::getdents(self.fd(), &mut buffer, |name, kind| match Name::parse(name) {
                Ok(name) => each(name, kind_of(kind)),
                Err(_) => bad_name = true,
            }) {
                Ok(true) => {}
                Ok(false) => break Ok(()),
                Err(e) => break Err(e),
            }
        };
        BUFFER.set(buffer);
        // A filesystem that hands out a name with a slash in it is lying; nothing below it is listed.
        if bad_name { Err(Errno::EIO) } else { result }
    }

    /// Opens the regular file `name` for reading.
    ///
    /// `O_NONBLOCK`, so that a FIFO swapped in after the listing does not block; anything that is not
    /// a regular file is refused before a byte is read.
    ///
    /// # Errors
    ///
    /// `ENOENT`: vanished. `ELOOP`, `EBADFD`: changed its type. `EACCES`: report.
    pub fn open_file(&self, name: &Name) -> Result<OpenFile, Errno> {
        let fd = open::openat(self.fd(), name.as_cstr(), OFlag::O_RDONLY | OFlag::O_NONBLOCK, Mode::empty())?;
        regular(fd)
    }

    /// Opens the regular file `name` of a source; with `followed`, the one that its symbolic link leads to.
    ///
    /// # Errors
    ///
    /// As [`Dir::open_file`].
    pub fn open_source(&self, name: &Name, followed: bool, reading: Reading) -> Result<OpenFile, Errno> {
        let opened = |more: OFlag| {
            let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | more;
            match followed {
                true => open::openat_following(self.fd(), name.as_cstr(), flags),
                false => open::openat(self.fd(), name.as_cstr(), flags, Mode::empty()),
            }
        };
        let fd = match reading.quiet.then(|| opened(OFlag::O_NOATIME)) {
            // Only its owner and root may.
            None | Some(Err(Errno::EPERM)) => opened(OFlag::empty()),
            Some(other) => other,
        }?;
        if reading.devices { regular_or_device(fd) } else { regular(fd) }
    }

    /// Opens the device `name` for writing data into it (`--write-devices`); it must be the one that `seen` is.
    ///
    /// # Errors
    ///
    /// `EBADFD`: something else is there now. Others as `open(2)` says of that device.
    pub fn open_device_for_update(&self, name: &Name, seen: &Attrs) -> Result<OpenFile, Errno> {
        let fd = open::openat(self.fd(), name.as_cstr(), OFlag::O_RDWR | OFlag::O_NONBLOCK, Mode::empty())?;
        let attrs = Attrs::from_stat(&stat::fstat(fd.as_fd())?);
        let same = attrs.kind == seen.kind && attrs.rdev == seen.rdev && attrs.kind.is_device();
        if same { Ok(OpenFile { fd, attrs }) } else { Err(Errno::EBADFD) }
    }

    /// Opens the existing regular file `name` for writing in place.
    ///
    /// # Errors
    ///
    /// `ETXTBSY`: a running program. Otherwise as [`Dir::open_file`].
    pub fn open_file_for_update(&self, name: &Name) -> Result<OpenFile, Errno> {
        let fd = open::openat(self.fd(), name.as_cstr(), OFlag::O_RDWR | OFlag::O_NONBLOCK, Mode::empty())?;
        regular(fd)
    }

    /// Makes the regular file `name`, which must not exist, with mode 0600.
    ///
    /// # Errors
    ///
    /// `EEXIST`: taken. `ENOSPC`, `EDQUOT`, `EROFS`, `EACCES`: report.
    pub fn create_file(&self, name: &Name) -> Result<OwnedFd, Errno> {
        let flags = OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_EXCL;
        open::openat(self.fd(), name.as_cstr(), flags, Mode::from_bits_truncate(0o600))
    }

    /// Makes a file without a name in this directory's filesystem, with the permission bits `mode` as far as the umask
    /// or the directory's default access control list leaves them.
    ///
    /// # Errors
    ///
    /// `EOPNOTSUPP`, `EISDIR`, `ENOENT`, `EINVAL`: this filesystem cannot; make a named one.
    pub fn create_unnamed(&self, mode: u32) -> Result<OwnedFd, Errno> {
        let flags = OFlag::O_RDWR | OFlag::O_TMPFILE;
        open::openat(self.fd(), c".", flags, Mode::from_bits_truncate(mode))
    }

    /// The text of the symbolic link `name`.
    ///
    /// # Errors
    ///
    /// `EINVAL`: not a link (any more). `ENOENT`: vanished.
    pub fn read_link(&self, name: &Name) -> Result<Vec<u8>, Errno> {
        names::readlinkat(self.fd(), name.as_cstr())
    }

    /// Reads the small regular file `name` whole, at most `limit` bytes; `None` where there is none.
    ///
    /// # Errors
    ///
    /// `EFBIG`: longer than `limit`. Others as [`Dir::open_file`].
    pub fn read_small(&self, name: &Name, limit: usize) -> Result<Option<Vec<u8>>, Errno> {
        let file = match self.open_file(name) {
            Ok(file) => file,
            Err(Errno::ENOENT | Errno::ELOOP) => return Ok(None),
            Err(e) => return Err(e),
        };
        read_all(file.as_fd(), limit).map(Some)
    }

    /// Makes the directory `name`, for the owner only until its contents are in place.
    ///
    /// # Errors
    ///
    /// `EEXIST`: taken. Others: report; nothing below it can be made.
    pub fn make_dir(&self, name: &Name) -> Result<(), Errno> {
        names::mkdirat(self.fd(), name.as_cstr(), 0o700)
    }

    /// Makes the symbolic link `name` with the text `target`.
    ///
    /// # Errors
    ///
    /// `EEXIST`: taken. `EINVAL`: the text holds a NUL, which no link can.
    pub fn make_symlink(&self, name: &Name, target: &[u8]) -> Result<(), Errno> {
        let target = CString::new(target).map_err(|_| Errno::EINVAL)?;
        names::symlinkat(&target, self.fd(), name.as_cstr())
    }

    /// Makes the FIFO, socket or device `name`, for the owner only.
    ///
    /// # Errors
    ///
    /// `EPERM`: devices need privilege. `EEXIST`: taken.
    pub fn make_node(&self, name: &Name, kind: Kind, rdev: u64) -> Result<(), Errno> {
        names::mknodat(self.fd(), name.as_cstr(), kind.mode_bits() | 0o600, rdev)
    }

    /// Makes `name` another name of `from_name` in `from`.
    ///
    /// # Errors
    ///
    /// `EEXIST`: taken. `EXDEV`, `EMLINK`, `EPERM`: cannot be linked.
    pub fn link_from(&self, name: &Name, from: &Dir, from_name: &Name) -> Result<(), Errno> {
        names::linkat(from.fd(), from_name.as_cstr(), self.fd(), name.as_cstr())
    }

    /// Gives the unnamed file `file` the name `name`.
    ///
    /// # Errors
    ///
    /// `EEXIST`: taken. `ENOENT`: neither the privilege nor `/proc`.
    pub fn link_unnamed(&self, file: BorrowedFd<'_>, name: &Name) -> Result<(), Errno> {
        match names::link_fd(file, self.fd(), name.as_cstr()) {
            Err(Errno::ENOENT) => names::link_proc_fd(file, self.fd(), name.as_cstr()),
            other => other,
        }
    }

    /// Makes `name` another name of what is held, whatever it is but a directory.
    ///
    /// # Errors
    ///
    /// `EEXIST`: taken. `EXDEV`, `EMLINK`, `EPERM`: cannot be linked.
    pub fn link_pinned(&self, pinned: &Pinned, name: &Name) -> Result<(), Errno> {
        self.link_unnamed(pinned.fd.as_fd(), name)
    }

    /// Removes `name`, which is not a directory.
    ///
    /// # Errors
    ///
    /// `ENOENT`: gone already. `EISDIR`: a directory now. Others: report.
    pub fn remove(&self, name: &Name) -> Result<(), Errno> {
        names::unlinkat(self.fd(), name.as_cstr())
    }

    /// Removes the empty directory `name`.
    ///
    /// # Errors
    ///
    /// `ENOTEMPTY`: not empty. `EBUSY`: a mount point.
    pub fn remove_dir(&self, name: &Name) -> Result<(), Errno> {
        names::rmdirat(self.fd(), name.as_cstr())
    }

    /// Renames `name` to `new_name` in `new_dir`, replacing what is there.
    ///
    /// # Errors
    ///
    /// `EXDEV`: another filesystem. `EISDIR`, `ENOTEMPTY`: the target is a directory.
    pub fn rename(&self, name: &Name, new_dir: &Dir, new_name: &Name) -> Result<(), Errno> {
        names::renameat(self.fd(), name.as_cstr(), new_dir.fd(), new_name.as_cstr())
    }

    /// As [`Dir::rename`], but never replaces anything.
    ///
    /// # Errors
    ///
    /// `EEXIST`: taken. `EINVAL`: this filesystem cannot promise it.
    pub fn rename_noreplace(&self, name: &Name, new_dir: &Dir, new_name: &Name) -> Result<(), Errno> {
        names::rename_noreplace(self.fd(), name.as_cstr(), new_dir.fd(), new_name.as_cstr())
    }

    /// Sets owner and group of this directory; `None` leaves one alone.
    ///
    /// # Errors
    ///
    /// `EPERM`: not privileged.
    pub fn set_owner(&self, uid: Option<u32>, gid: Option<u32>) -> Result<(), Errno> {
        attrs::fchown(self.fd(), uid, gid)
    }

    /// Sets this directory's permission bits.
    ///
    /// # Errors
    ///
    /// `EPERM`: not the owner.
    pub fn set_mode(&self, mode: u32) -> Result<(), Errno> {
        attrs::fchmod(self.fd(), mode)
    }

    /// Sets this directory's access and modification time; `None` leaves one alone.
    ///
    /// # Errors
    ///
    /// `EPERM`: not the owner.
    pub fn set_times(&self, atime: Option<Time>, mtime: Option<Time>) -> Result<(), Errno> {
        set_times(self.fd(), atime, mtime)
    }

    /// Waits until the names in this directory are on its disk (`fsync(2)`).
    ///
    /// # Errors
    ///
    /// As [`flush`].
    pub fn flush(&self) -> Result<(), Errno> {
        flush(self.fd())
    }

    /// Holds the entry `name` itself, whatever it is, without opening it for data.
    ///
    /// # Errors
    ///
    /// `ENOENT`: vanished.
    pub fn pin(&self, name: &Name) -> Result<Pinned, Errno> {
        let fd = open::openat(self.fd(), name.as_cstr(), OFlag::O_PATH, Mode::empty())?;
        let attrs = Attrs::from_stat(&stat::fstat(fd.as_fd())?);
        Ok(Pinned { fd, attrs })
    }
}

/// How sources are read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Reading {
    /// Their access times stay (`--open-noatime`), where this process may ask for that.
    pub quiet: bool,
    /// Devices are read like files (`--copy-devices`).
    pub devices: bool,
}

/// An inode held by a descriptor that can neither read nor write: for setting attributes of links, FIFOs,
/// devices, and of files that may not be opened.
#[derive(Debug)]
pub struct Pinned {
    fd: OwnedFd,
    /// Attributes at the moment of pinning.
    pub attrs: Attrs,
}

impl Pinned {
    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Attributes now.
    ///
    /// # Errors
    ///
    /// As [`attrs_of`].
    pub fn attrs_now(&self) -> Result<Attrs, Errno> {
        attrs_of(self.fd.as_fd())
    }

    /// Sets owner and group; `None` leaves one alone.
    ///
    /// # Errors
    ///
    /// `EPERM`: not privileged.
    pub fn set_owner(&self, uid: Option<u32>, gid: Option<u32>) -> Result<(), Errno> {
        attrs::chown_path_fd(self.fd.as_fd(), uid, gid)
    }

    /// Sets the permission bits.
    ///
    /// # Errors
    ///
    /// `EOPNOTSUPP`: a symbolic link, which has none. `EPERM`: not the owner.
    pub fn set_mode(&self, mode: u32) -> Result<(), Errno> {
        match attrs::chmod_path_fd(self.fd.as_fd(), mode) {
            // Through /proc a link would be followed: its mode cannot be set anyway.
            Err(Errno::ENOSYS) if self.attrs.kind == Kind::Symlink => Err(Errno::EOPNOTSUPP),
            Err(Errno::ENOSYS) => attrs::chmod_proc_fd(self.fd.as_fd(), mode),
            other => other,
        }
    }

    /// Sets access and modification time; `None` leaves one alone.
    ///
    /// # Errors
    ///
    /// `EPERM`: not the owner. `EOPNOTSUPP`: this filesystem has no times for links.
    pub fn set_times(&self, atime: Option<Time>, mtime: Option<Time>) -> Result<(), Errno> {
        attrs::utimens_path_fd(self.fd.as_fd(), atime.map(Time::parts), mtime.map(Time::parts))
    }
}

/// The attributes of an open file.
///
/// # Errors
///
/// `EIO` and the like fail the entry.
pub fn attrs_of(file: BorrowedFd<'_>) -> Result<Attrs, Errno> {
    stat::fstat(file).map(|st| Attrs::from_stat(&st))
}

/// Reserves room for `len` bytes, which are not 0, in an open file, whose size stays (`--preallocate`).
///
/// # Errors
///
/// `EOPNOTSUPP`, `ENOSYS`: this filesystem cannot. `ENOSPC`, `EDQUOT`: there is no room.
pub fn reserve(file: BorrowedFd<'_>, len: u64) -> Result<(), Errno> {
    crate::sys::fallocate::reserve(file, len)
}

/// Waits until the data and attributes of an open file are on its disk (`fsync(2)`).
///
/// # Errors
///
/// `EIO`, `ENOSPC`: the data is not safe, and asking again would not tell: redo it or fail.
pub fn flush(file: BorrowedFd<'_>) -> Result<(), Errno> {
    crate::sys::retry(|| nix::unistd::fsync(file))
}

/// Sets owner and group of an open file.
///
/// # Errors
///
/// `EPERM`: not privileged.
pub fn set_owner(file: BorrowedFd<'_>, uid: Option<u32>, gid: Option<u32>) -> Result<(), Errno> {
    attrs::fchown(file, uid, gid)
}

/// Sets the permission bits of an open file.
///
/// # Errors
///
/// `EPERM`: not the owner.
pub fn set_mode(file: BorrowedFd<'_>, mode: u32) -> Result<(), Errno> {
    attrs::fchmod(file, mode)
}

/// Sets access and modification time of an open file; `None` leaves one alone.
///
/// # Errors
///
/// `EPERM`: not the owner.
pub fn set_times(file: BorrowedFd<'_>, atime: Option<Time>, mtime: Option<Time>) -> Result<(), Errno> {
    attrs::futimens(file, atime.map(Time::parts), mtime.map(Time::parts))
}

/// Reads an open file from where it stands, at most `limit` bytes.
///
/// # Errors
///
/// `EFBIG`: there is more than `limit`.
pub fn read_all(file: BorrowedFd<'_>, limit: usize) -> Result<Vec<u8>, Errno> {
    let mut out = Vec::new();
    let mut chunk = [0; 16 * 1024];
    loop {
        match crate::sys::retry(|| nix::unistd::read(file, &mut chunk))? {
            0 => return Ok(out),
            n if out.len() + n > limit => return Err(Errno::EFBIG),
            n => out.extend_from_slice(&chunk[..n]),
        }
    }
}

/// Reads an open file from where it stands: `limit` bytes, or all that there are.
///
/// # Errors
///
/// `EIO` and what else a read meets.
pub fn read_up_to(file: BorrowedFd<'_>, limit: usize) -> Result<Vec<u8>, Errno> {
    let mut out = vec![0; limit];
    let mut filled = 0;
    while let Some(room) = out.get_mut(filled..).filter(|room| !room.is_empty()) {
        match crate::sys::retry(|| nix::unistd::read(file, room))? {
            0 => break,
            n => filled += n,
        }
    }
    out.truncate(filled);
    Ok(out)
}

/// Writes all of `bytes` to an open file, from where it stands.
///
/// # Errors
///
/// `ENOSPC`, `EDQUOT`, `EIO`: it is not complete.
pub fn write_all(file: BorrowedFd<'_>, mut bytes: &[u8]) -> Result<(), Errno> {
    while !bytes.is_empty() {
        match crate::sys::retry(|| nix::unistd::write(file, bytes))? {
            0 => return Err(Errno::EIO),
            n => bytes = bytes.get(n..).unwrap_or_default(),
        }
    }
    Ok(())
}

/// A device as the regular file that it is taken for (`--copy-devices`): as long as it is, without holes.
fn regular_or_device(fd: OwnedFd) -> Result<OpenFile, Errno> {
    let mut attrs = Attrs::from_stat(&stat::fstat(fd.as_fd())?);
    if !attrs.kind.is_device() {
        return regular(fd);
    }
    // A device without an end is as good as empty.
    let size = lseek::end(fd.as_fd()).unwrap_or(0);
    lseek_start(fd.as_fd()).or_else(|e| if size == 0 { Ok(()) } else { Err(e) })?;
    (attrs.kind, attrs.size, attrs.allocated) = (Kind::File, size, size);
    // Its node's time says nothing of when its data was written: as with rsync, that is now.
    attrs.mtime = Time::now();
    Ok(OpenFile { fd, attrs })
}

fn regular(fd: OwnedFd) -> Result<OpenFile, Errno> {
    let attrs = Attrs::from_stat(&stat::fstat(fd.as_fd())?);
    if attrs.kind == Kind::File { Ok(OpenFile { fd, attrs }) } else { Err(Errno::EBADFD) }
}

fn kind_of(d_type: u8) -> Option<Kind> {
    Some(match d_type {
        libc::DT_REG => Kind::File,
        libc::DT_DIR => Kind::Dir,
        libc::DT_LNK => Kind::Symlink,
        libc::DT_CHR => Kind::CharDevice,
        libc::DT_BLK => Kind::BlockDevice,
        libc::DT_FIFO => Kind::Fifo,
        libc::DT_SOCK => Kind::Socket,
        _ => return None,
    })
}
