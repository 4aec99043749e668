//! Extended attributes and access control lists of an inode that is held.
//!
//! What is there already as it should be is not set again: a run that changes nothing leaves no trace.

use super::{Applier, Remarks};
use crate::event::Problem;
use crate::path::acl::Which;
use crate::path::escape;
use crate::path::xattr::{CAPABILITY, Inode, Xattrs};
use crate::path::{Attrs, Kind, RelPath};
use crate::plan::attached::{Acls, Ready, acls};
use crate::sys::Errno;

/// Which of the extended attributes are meant.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// All but file capabilities.
    Most,
    /// File capabilities, which every change of owner or data takes away.
    Capability,
}

/// What is to be done to make one set of extended attributes another.
#[derive(Default)]
struct Steps<'a> {
    remove: Vec<Box<[u8]>>,
    set: Vec<(&'a [u8], &'a [u8])>,
}

impl Applier<'_> {
    /// Whether `inode` needs any extended attribute changed, capabilities apart.
    pub(super) fn xattrs_differ(&self, inode: Inode<'_>, wanted: Option<&Xattrs>) -> bool {
        let steps = wanted.map(|wanted| self.steps(inode, wanted, Part::Most));
        steps.is_some_and(|steps| steps.is_ok_and(|steps| !steps.remove.is_empty() || !steps.set.is_empty()))
    }

    /// Gives `inode` the extended attributes `wanted`, as far as they are this side's business, and removes
    /// the others. Of what cannot be set there is one remark. Returns whether there was anything to do.
    pub(super) fn set_xattrs(
        &self,
        inode: Inode<'_>,
        wanted: &Xattrs,
        part: Part,
        path: &RelPath,
        remarks: &mut Remarks,
    ) -> bool {
        let steps = match self.steps(inode, wanted, part) {
            Ok(steps) => steps,
            Err(e) => {
                let typed = self.cx.dest_typed(path);
                remarks.problems.push(Problem::os("read extended attributes of", &typed, e));
                return false;
            }
        };
        let any = !steps.remove.is_empty() || !steps.set.is_empty();
        let mut failed: Vec<(Vec<u8>, Errno)> = Vec::new();
        for name in &steps.remove {
            failed.extend(inode.remove(name).err().map(|e| (name.to_vec(), e)));
        }
        for (name, value) in steps.set {
            failed.extend(inode.set(name, value).err().map(|e| (name.to_vec(), e)));
        }
        let Some((name, errno)) = failed.first() else { return any };
        let mut text = format!("\"{}\": {}", escape(name), std::io::Error::from(*errno));
        if failed.len() > 1 {
            text += &format!(", and {} more", failed.len() - 1);
        }
        // Not as the kernel's own answer: a full inode is no full disk.
        remarks.problems.push(Problem::text("set extended attributes of", &self.cx.dest_typed(path), text));
        any
    }

    /// What is attached to `inode`, of the destination, as far as the options keep it: for its backup.
    ///
    /// # Errors
    ///
    /// It cannot be read.
    pub(super) fn attached_to(&self, inode: Inode<'_>, attrs: &Attrs) -> Result<Ready, Errno> {
        let options = self.cx.options;
        let inode = inode.seen(self.cx.dest_face());
        let acls = (options.acls && attrs.kind != Kind::Symlink).then(|| acls(inode, attrs)).transpose()?;
        let xattrs = options.xattrs > 0;
        let xattrs = xattrs.then(|| inode.read(|name| self.cx.touches_xattr(name))).transpose()?;
        let has_flags = options.file_flags && matches!(attrs.kind, Kind::File | Kind::Dir);
        let flags = has_flags.then(|| inode.flags()).transpose()?;
        Ok(Ready { acls, xattrs, flags })
    }

    fn steps<'w>(&self, inode: Inode<'_>, wanted: &'w Xattrs, part: Part) -> Result<Steps<'w>, Errno> {
        let concerns =
            |name: &[u8]| (name == CAPABILITY) == (part == Part::Capability) && self.cx.touches_xattr(name);
        let mut steps = Steps::default();
        let mut there: Vec<Box<[u8]>> = inode.names()?;
        there.retain(|name| concerns(name));
        for one in wanted.iter().filter(|one| concerns(&one.name)) {
            // What cannot be read is set: that says what is the matter.
            let same = there.binary_search(&one.name).is_ok()
                && inode.get(&one.name).is_ok_and(|now| now.as_ref() == Some(&one.value));
            if !same {
                steps.set.push((&one.name, &one.value));
            }
        }
        there.retain(|name| wanted.get(name).is_none());
        steps.remove = there;
        Ok(steps)
    }

    /// Gives `inode`, of `kind`, the access control lists `wanted` with the permission bits `mode`, or takes
    /// away what it has (inherited from its directory, perhaps).
    pub(super) fn set_acls(
        &self,
        inode: Inode<'_>,
        kind: Kind,
        wanted: &Acls,
        mode: u32,
        path: &RelPath,
        remarks: &mut Remarks,
    ) {
        let access = wanted.access.as_ref().map(|acl| acl.with_mode(mode));
        let set = |which, acl: Option<&_>| {
            let same = inode.acl(which, mode).is_ok_and(|now| now.as_ref() == acl);
            if same { Ok(()) } else { inode.set_acl(which, acl) }
        };
        let mut done = set(Which::Access, access.as_ref());
        if kind == Kind::Dir {
            done = done.and(set(Which::Default, wanted.default.as_ref()));
        }
        if let Err(e) = done {
            let problem = Problem::text(
                "set access control list of",
                &self.cx.dest_typed(path),
                std::io::Error::from(e).to_string(),
            );
            remarks.problems.push(problem);
        }
    }
}
