//! A connection's process gives up all but its module: who it becomes, and in what order.
//!
//! The order matters. What needs root comes first (limits, a new `/`, groups, user); then capabilities, which
//! a module that works as root still has; then what makes it final: `no_new_privs`, Landlock. All of it
//! before there is a second thread, because some of it binds a thread and those that it starts.

use super::config::{Ids, Peer, Settings};
use crate::path::fence::{self, Fence};
use crate::path::{Dir, operand};
use crate::process::ids::{self, Identity};
use crate::process::rights::{self, Capability};

/// A module's directories, opened while the rights for it were still there.
#[derive(Debug)]
pub struct Roots {
    /// The directory that is offered.
    pub module: Dir,
    /// Where the chroot begins, if that is above it.
    pub outer: Option<Dir>,
}

/// What is to be given up, worked out while the system's files can still be read.
#[derive(Debug)]
pub struct Plan {
    /// `None`: whoever the process is now.
    identity: Option<Identity>,
    chroot: Chroot,
    write: bool,
    numeric_ids: Option<bool>,
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Chroot {
    Required,
    IfPossible,
    No,
}

/// What holds now.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Confined {
    /// Whether the process's `/` is the module, or what is before `/./` in its path.
    pub chroot: bool,
    /// Whether owners and groups go by number.
    pub numeric_ids: bool,
    /// For the log: what was reached.
    pub level: String,
}

impl Roots {
    /// Opens what `path` names: `OUTER/./INNER`, or one directory.
    ///
    /// # Errors
    ///
    /// For the log: path and cause.
    pub fn open(path: &[u8]) -> Result<Roots, String> {
        use std::os::unix::ffi::OsStrExt as _;
        let open =
            |path: &[u8]| operand::open_dir(std::ffi::OsStr::from_bytes(path)).map_err(|e| e.to_string());
        let divided = path.windows(3).position(|three| three == b"/./");
        let outer = divided.map(|at| open(if at == 0 { b"/" } else { &path[..at] })).transpose()?;
        Ok(Roots { module: open(path)?, outer })
    }
}

impl Plan {
    /// What `settings` ask for. `write` says whether this connection may write.
    ///
    /// # Errors
    ///
    /// A user or group that does not exist, or that this process cannot become.
    pub fn new(settings: &Settings, peer: &Peer, write: bool) -> Result<Plan, String> {
        let root = ids::own_uid() == 0;
        let chroot = match settings.use_chroot {
            Some(true) => Chroot::Required,
            Some(false) => Chroot::No,
            None if root => Chroot::IfPossible,
            None => Chroot::No,
        };
        let identity = match &settings.ids {
            Ids::Own => None,
            Ids::Configured { uid, gid } => {
                let uid = match uid {
                    Some(uid) => Some(ids::user(&uid.fill(peer)?)?),
                    None if root => Some(ids::user(b"nobody").unwrap_or(65534)),
                    None => None,
                };
                match uid {
                    // Without root's rights nothing can be changed; what was asked for must hold already.
                    Some(uid) if !root && uid != ids::own_uid() => {
                        return Err(format!("`uid` is {uid}, and only root can become another user"));
                    }
                    Some(uid) if root => Some(Identity { uid, ..groups(gid.as_deref(), uid, peer)? }),
                    _ => None,
                }
            }
        };
        Ok(Plan { identity, chroot, write, numeric_ids: settings.numeric_ids })
    }

    /// Gives up everything else, for good.
    ///
    /// # Errors
    ///
    /// Something could not be given up: the process must end without a further byte from the peer.
    pub fn carry_out(self, roots: &Roots) -> Result<Confined, String> {
        if !rights::is_single_threaded()? {
            return Err("there is a second thread, which would keep its rights".into());
        }
        rights::limit()?;
        let chroot = self.change_root(roots)?;
        let numeric_ids = self.numeric_ids.unwrap_or(chroot);
        if !numeric_ids {
            // Whatever the system loads to look names up, it loads now.
            let _unknown = ids::user(b"no such user, but looked for");
            let _unknown = ids::group(b"no such group, but looked for");
        }
        let uid = match &self.identity {
            Some(identity) => {
                identity.assume()?;
                identity.uid
            }
            None => ids::own_uid(),
        };
        let all = uid == 0;
        rights::keep_capabilities(match (all, self.write) {
            (true, true) => &[
                Capability::Chown,
                Capability::DacOverride,
                Capability::Fowner,
                Capability::Fsetid,
                Capability::Mknod,
                Capability::Setfcap,
            ],
            (true, false) => &[Capability::DacOverride],
            (false, _) => &[],
        })?;
        rights::seal()?;
        let fence = Fence { root: &roots.module, write: self.write, devices: all, names: !numeric_ids };
        let landlock = fence.close()?;
        let level = format!(
            "user {uid}, {}, {}, {landlock}",
            if chroot { "chroot" } else { "no chroot" },
            if self.write { "read and write" } else { "read only" },
        );
        Ok(Confined { chroot, numeric_ids, level })
    }

    fn change_root(&self, roots: &Roots) -> Result<bool, String> {
        // A module with `/./` in its path has asked for one.
        let required =
            self.chroot == Chroot::Required || self.chroot == Chroot::IfPossible && roots.outer.is_some();
        if self.chroot == Chroot::No {
            return Ok(false);
        }
        match fence::enter(roots.outer.as_ref().unwrap_or(&roots.module)) {
            Ok(()) => Ok(true),
            Err(e) if required => Err(format!("chroot: {}", std::io::Error::from(e))),
            Err(_) => Ok(false),
        }
    }
}

/// The groups that `gid` names for the user `uid`; the `uid` of the result is of no account.
fn groups(gid: Option<&[super::config::Template]>, uid: u32, peer: &Peer) -> Result<Identity, String> {
    let Some(list) = gid else {
        let nobody = ids::group(b"nobody").or_else(|_| ids::group(b"nogroup")).unwrap_or(65534);
        return Ok(Identity { uid, gid: nobody, groups: vec![nobody] });
    };
    let mut groups = Vec::new();
    for (at, name) in list.iter().enumerate() {
        match name.fill(peer)?.as_slice() {
            b"*" if at == 0 => groups.extend(ids::groups_of(uid)?),
            b"*" => return Err("`gid`: * is for the first place".into()),
            name => groups.push(ids::group(name)?),
        }
    }
    match groups.first() {
        Some(&gid) => Ok(Identity { uid, gid, groups }),
        None => Err("`gid` names no group".into()),
    }
}
