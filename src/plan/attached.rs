//! What is attached to an inode beside the attributes that every inode has: extended attributes (`-X`) and
//! access control lists (`-A`), as a listing carries them and as they are compared.
//!
//! Values may be large, and a listing is held in memory ahead of the work. So a listing holds a long value's
//! length and digest, which is enough to compare it; the value itself is read, or asked for, when it is set.

use serde::{Deserialize, Serialize};

use super::Options;
use super::filter::Scope;
use crate::engine::digest::{Digest, FileHasher};
use crate::path::acl::{self, Acl, Which};
use crate::path::flags::Flags;
use crate::path::xattr::{INODE_MAX, Inode, Xattr, Xattrs};
use crate::path::{Attrs, Kind};
use crate::sys::Errno;

/// The longest value that a listing holds itself, in bytes: security labels, capabilities, times and most of
/// what programs write; a digest takes half as much.
pub const WHOLE_MAX: usize = 64;

/// The most extended attributes of one inode: with their names they fit into a frame.
pub const XATTRS_MAX: usize = 1024;

/// Where rsync, and sluice, keep what they could not set (`--fake-super`): never copied unless `-X` is repeated.
const RESERVED: &[u8] = b"user.rsync.%";

/// The value of an extended attribute, as a listing tells it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Value {
    /// The value, at most [`WHOLE_MAX`] bytes.
    Whole(#[serde(with = "serde_bytes")] Box<[u8]>),
    /// A longer one: its length in bytes, and its BLAKE3.
    Long(u32, Digest),
}

impl Value {
    /// What a listing tells of `value`.
    #[must_use]
    pub fn of(value: &[u8]) -> Value {
        if value.len() <= WHOLE_MAX {
            return Value::Whole(value.into());
        }
        let mut hasher = FileHasher::new(None);
        hasher.update(value);
        Value::Long(u32::try_from(value.len()).unwrap_or(u32::MAX), hasher.finish())
    }
}

/// An extended attribute, as a listing tells it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Told {
    /// Its name with its namespace.
    #[serde(with = "serde_bytes")]
    pub name: Box<[u8]>,
    /// Its value.
    pub value: Value,
}

/// The access control lists of an inode; `None`: its permission bits say everything.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Acls {
    /// Who may do what with it.
    pub access: Option<Acl>,
    /// For a directory: what is made in it begins with that.
    pub default: Option<Acl>,
}

/// What is attached to an inode, as far as the options keep it.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Attached {
    /// `--acls`: never for a symbolic link.
    pub acls: Option<Acls>,
    /// `--xattrs`: sorted by name.
    pub xattrs: Option<Vec<Told>>,
    /// `--fileflags`: of files and directories only.
    pub flags: Option<Flags>,
}

/// What is to be set: [`Attached`] with the long values.
#[derive(Clone, Debug, Default)]
pub struct Ready {
    /// The lists.
    pub acls: Option<Acls>,
    /// The extended attributes.
    pub xattrs: Option<Xattrs>,
    /// The flags.
    pub flags: Option<Flags>,
}

/// In what two inodes differ.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Differs {
    /// An access control list, permission bits apart.
    pub acl: bool,
    /// An extended attribute, or a flag.
    pub xattrs: bool,
}

/// Whether the sender keeps an extended attribute called `name` to itself. At the destination it is surplus like
/// any other.
#[must_use]
pub fn is_reserved(options: &Options, name: &[u8]) -> bool {
    options.xattrs < 2 && name.starts_with(RESERVED)
}

/// Which extended attributes one side has the rights for (xattr(7)).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Namespaces {
    /// Those of `user`.
    User,
    /// These and `security.capability`: root's process that has given up what is not about files.
    Files,
    /// Those of all namespaces but `system`, whose lists are [`Attached::acls`].
    All,
}

impl Namespaces {
    /// Those of a process that is root's or not, and serves a daemon's module or not.
    #[must_use]
    pub fn of(root: bool, module: bool) -> Namespaces {
        match (root, module) {
            (false, _) => Namespaces::User,
            (true, true) => Namespaces::Files,
            (true, false) => Namespaces::All,
        }
    }

    fn hold(self, name: &[u8]) -> bool {
        match self {
            Namespaces::All => !name.starts_with(b"system."),
            Namespaces::Files if name == b"security.capability" => true,
            Namespaces::User | Namespaces::Files => name.starts_with(b"user."),
        }
    }
}

/// Whether an extended attribute called `name` takes part, by the rules of one side: it is one of `namespaces`, where no
/// rule says otherwise. Where lists are kept as such (`--acls`), they are no attributes beside.
#[must_use]
pub fn takes_part(options: &Options, rules: &Scope, namespaces: Namespaces, name: &[u8]) -> bool {
    if options.acls && acl::is_list(name) {
        return false;
    }
    rules.check_xattr(name).unwrap_or_else(|| namespaces.hold(name))
}

/// What is attached to `inode`, a source entry with `attrs`; `None` where nothing of it is kept.
///
/// # Errors
///
/// What cannot be read, as a verb for a message: the entry's are then left alone.
pub fn of(
    options: &Options,
    inode: Inode<'_>,
    attrs: &Attrs,
    wanted: impl Fn(&[u8]) -> bool,
) -> Result<Option<Attached>, (&'static str, Errno)> {
    if !options.acls && options.xattrs == 0 && !options.file_flags {
        return Ok(None);
    }
    let failed = |e| ("read extended attributes of", e);
    let acls = if options.acls && attrs.kind != Kind::Symlink {
        Some(acls(inode, attrs).map_err(|e| ("read access control list of", e))?)
    } else {
        None
    };
    let told = |Xattr { name, value }| Told { value: Value::of(&value), name };
    let xattrs = if options.xattrs > 0 {
        let found = inode.read(wanted).map_err(failed)?.into_vec();
        if found.len() > XATTRS_MAX {
            return Err(failed(Errno::E2BIG));
        }
        Some(found.into_iter().map(told).collect())
    } else {
        None
    };
    let has_flags = options.file_flags && matches!(attrs.kind, Kind::File | Kind::Dir);
    let flags = has_flags.then(|| inode.flags()).transpose().map_err(|e| ("read flags of", e))?;
    Ok(Some(Attached { acls, xattrs, flags }))
}

/// The access control lists of an inode with `attrs`.
///
/// # Errors
///
/// They cannot be read.
pub fn acls(inode: Inode<'_>, attrs: &Attrs) -> Result<Acls, Errno> {
    let list = |which| inode.acl(which, attrs.mode);
    let default = if attrs.kind == Kind::Dir { list(Which::Default)? } else { None };
    Ok(Acls { access: list(Which::Access)?, default })
}

impl Attached {
    /// In what `inode`, of the destination with `attrs`, differs from this. `touches`: which names are the
    /// receiver's business. What cannot be read differs.
    #[must_use]
    pub fn compare(&self, inode: Inode<'_>, attrs: &Attrs, touches: impl Fn(&[u8]) -> bool) -> Differs {
        let mut differs = Differs::default();
        if let Some(wanted) = &self.acls {
            differs.acl = acls(inode, attrs).map_or(true, |there| !same_acls(wanted, &there));
        }
        if let Some(told) = &self.xattrs {
            let mut told = told.iter().filter(|one| touches(&one.name));
            differs.xattrs = inode.read(&touches).map_or(true, |there| {
                let same = |one: &Xattr| {
                    told.next()
                        .is_some_and(|told| told.name == one.name && told.value == Value::of(&one.value))
                };
                !there.iter().all(same) || told.next().is_some()
            });
        }
        if let Some(flags) = self.flags {
            differs.xattrs |= inode.flags() != Ok(flags);
        }
        differs
    }

    /// The names of long values, which have to be read or asked for, and their bytes in all.
    #[must_use]
    pub fn long(&self) -> (Vec<&[u8]>, usize) {
        let long = self.xattrs.iter().flatten().filter_map(|one| match one.value {
            Value::Long(len, _) => Some((&*one.name, len as usize)),
            Value::Whole(_) => None,
        });
        long.fold((Vec::new(), 0), |(mut names, bytes), (name, len)| {
            names.push(name);
            (names, bytes.saturating_add(len))
        })
    }

    /// With the long values `long`. What is not among them was removed meanwhile, and is left out.
    #[must_use]
    pub fn ready(&self, long: &Xattrs) -> Ready {
        let xattrs = self.xattrs.as_ref().map(|told| {
            let mut all = Xattrs::default();
            for Told { name, value } in told {
                match (value, long.get(name)) {
                    (Value::Whole(value), _) => all.put(name, value.clone()),
                    (Value::Long(..), Some(value)) => all.put(name, value.into()),
                    (Value::Long(..), None) => {}
                }
            }
            all
        });
        Ready { acls: self.acls.clone(), xattrs, flags: self.flags }
    }

    /// For how many more entries it counts where what is held of a listing has a limit: one for each 512 bytes.
    #[must_use]
    pub fn weight(&self) -> usize {
        self.bytes() / 512
    }

    /// The memory that it takes, in bytes: an entry of a list 8, an extended attribute 64 with its name and
    /// short value.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let acl = |acl: &Option<Acl>| acl.as_ref().map_or(0, Acl::bytes);
        let lists = self.acls.as_ref().map_or(0, |acls| acl(&acls.access) + acl(&acls.default));
        let told = |one: &Told| {
            let value = if let Value::Whole(value) = &one.value { value.len() } else { 0 };
            64 + one.name.len() + value
        };
        lists + self.xattrs.iter().flatten().map(told).sum::<usize>()
    }

    /// Whether a peer may send this for an entry of `kind`.
    ///
    /// # Errors
    ///
    /// The field, and what is wrong with it.
    pub fn check(&self, kind: Kind) -> Result<(), (&'static str, &'static str)> {
        if let Some(acls) = &self.acls {
            if kind == Kind::Symlink {
                return Err(("acls", "a symbolic link has none"));
            }
            if kind != Kind::Dir && acls.default.is_some() {
                return Err(("acls.default", "only a directory has one"));
            }
        }
        if self.flags.is_some() && !matches!(kind, Kind::File | Kind::Dir) {
            return Err(("flags", "only files and directories have any"));
        }
        let Some(told) = &self.xattrs else { return Ok(()) };
        if told.len() > XATTRS_MAX {
            return Err(("xattrs", "more than 1024"));
        }
        let whole = |one: &Told| match &one.value {
            Value::Whole(value) => (value.len() <= WHOLE_MAX).then(|| value.clone()),
            Value::Long(len, _) => {
                let len = *len as usize;
                (len > WHOLE_MAX && len <= crate::path::xattr::VALUE_MAX).then(Box::default)
            }
        };
        let list = told.iter().map(|one| Some(Xattr { name: one.name.clone(), value: whole(one)? }));
        let list: Option<Vec<Xattr>> = list.collect();
        let list = list.ok_or(("xattrs.value", "longer, or shorter, than its form allows"))?;
        Xattrs::new(list).map_err(|cause| ("xattrs", cause))?;
        let (_, long) = self.long();
        if long > INODE_MAX { Err(("xattrs", "more than 1 MiB of values")) } else { Ok(()) }
    }
}

/// The values of `names`, which [`Attached::long`] gave, of a source's inode. One that is gone is left out.
///
/// # Errors
///
/// One cannot be read, or they have become more than an inode may have.
pub fn long_values(inode: Inode<'_>, names: &[&[u8]]) -> Result<Xattrs, Errno> {
    let mut found = Xattrs::default();
    for name in names {
        if let Some(value) = inode.get(name)? {
            found.put(name, value);
        }
    }
    if found.bytes() > INODE_MAX { Err(Errno::E2BIG) } else { Ok(found) }
}

/// Whether two inodes' lists are the same but for what permission bits say.
fn same_acls(a: &Acls, b: &Acls) -> bool {
    let bare = |acl: &Option<Acl>| acl.as_ref().map(|acl| acl.with_mode(0));
    bare(&a.access) == bare(&b.access) && a.default == b.default
}
