//! A daemon's module: what a session in it may do, and what it changes on the way.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use super::Options;
use crate::path::{Attrs, Kind, Name, RelPath};
use crate::plan::chmod::{self, Rule};
use crate::plan::filter::Rules;
use crate::plan::look::Listed;
use crate::plan::veil::Veil;
use crate::plan::{Delete, entry::Entry};
use crate::wire::Role;

/// What is before the text of a munged link, which leads nowhere while it lies in the module.
pub const MUNGED: &[u8] = b"/rsyncd-munged/";

/// Worker threads that a client may have at most.
const JOBS_MAX: usize = 16;

/// A module's parameters as they hold for one session.
#[derive(Clone, Debug, Default)]
#[allow(clippy::struct_excessive_bools)] // they are parameters
pub struct Module {
    /// Its name, for messages.
    pub name: Vec<u8>,
    /// Nothing may be uploaded.
    pub read_only: bool,
    /// Nothing may be downloaded.
    pub write_only: bool,
    /// What does not exist for the client, anchored at the module's directory.
    pub filter: Rules,
    /// Changes to the modes of what is uploaded.
    pub incoming_chmod: Vec<Rule>,
    /// Changes to the modes that the client is told.
    pub outgoing_chmod: Vec<Rule>,
    /// Owners and groups go by number.
    pub numeric_ids: bool,
    /// Links are stored behind [`MUNGED`], and told without it.
    pub munge_links: bool,
    /// Deletion goes on after errors.
    pub ignore_errors: bool,
}

impl Module {
    /// Has a client's request keep to the module.
    ///
    /// # Errors
    ///
    /// What it asks for is not to be had here: the text is for the client.
    pub fn admit(&self, role: Role, options: &mut Options, operands: &[Vec<u8>]) -> Result<(), String> {
        let name = crate::path::escape(&self.name);
        match role {
            Role::Receiver if self.read_only => return Err(format!("module \"{name}\" is read only")),
            Role::Sender if self.write_only => return Err(format!("module \"{name}\" is write only")),
            _ => {}
        }
        let links = options.plan.links;
        if links.copy_all || links.copy_unsafe || links.copy_dirlinks || links.keep_dirlinks {
            // What a link leads to may be outside, or hidden.
            return Err("a daemon follows no links: not with -L, -k, -K or --copy-unsafe-links".into());
        }
        if !Veil::understands(&self.filter) {
            return Err(format!("module \"{name}\" has dir-merge rules, which are not supported yet"));
        }
        for operand in operands {
            self.admit_path(operand)?;
        }
        options.jobs = options.jobs.clamp(1, JOBS_MAX);
        options.engine.threads = options.engine.threads.clamp(1, JOBS_MAX);
        options.plan.numeric_ids |= self.numeric_ids;
        options.plan.ignore_errors |= self.ignore_errors && options.plan.delete != Delete::Off;
        if role == Role::Sender {
            let own = self.outgoing_chmod.iter().cloned();
            options.plan.chmod = own.chain(options.plan.chmod.drain(..)).collect();
        }
        Ok(())
    }

    /// Refuses a path that leads upwards, or into what is hidden.
    fn admit_path(&self, path: &[u8]) -> Result<(), String> {
        let shown = crate::path::escape(path);
        let at = place(path).ok_or_else(|| format!("a path in a module has no \"..\": \"{shown}\""))?;
        match self.veil(at) {
            // Hidden is hidden: what it says is what it would say of a name that is not there.
            Some(veil) if veil.hides_itself() => Err(format!("stat \"{shown}\": No such file or directory")),
            _ => Ok(()),
        }
    }

    /// What is hidden below the directory `at`.
    #[must_use]
    pub fn veil(&self, at: RelPath) -> Option<Veil> {
        Veil::new(&self.filter, at)
    }

    /// What is hidden below what was typed as `path`.
    #[must_use]
    pub fn veil_of(&self, path: &OsStr) -> Option<Veil> {
        self.veil(place(path.as_bytes()).unwrap_or_else(RelPath::root))
    }

    /// Tells links without what is put before them.
    pub fn outgoing(&self, listed: &mut Listed) {
        for entry in listed.entries.iter_mut().filter(|_| self.munge_links) {
            if let Some(text) = entry.link.as_deref().and_then(|text| text.strip_prefix(MUNGED)) {
                set_link(entry, text.into());
            }
        }
    }

    /// Has an entry that a client lists be as it is to be stored.
    pub fn incoming(&self, entry: &mut Entry, umask: u32) {
        if let Some(text) = entry.link.as_deref().filter(|_| self.munge_links) {
            let munged = [MUNGED, text].concat();
            set_link(entry, munged.into());
        }
        entry.attrs = self.incoming_mode(entry.attrs, umask);
    }

    /// The attributes with the mode that they are to be stored with.
    #[must_use]
    pub fn incoming_mode(&self, attrs: Attrs, umask: u32) -> Attrs {
        if attrs.kind == Kind::Symlink || self.incoming_chmod.is_empty() {
            return attrs;
        }
        let mode = chmod::apply(&self.incoming_chmod, attrs.mode, attrs.kind == Kind::Dir, umask);
        Attrs { mode, ..attrs }
    }
}

fn set_link(entry: &mut Entry, text: Box<[u8]>) {
    entry.attrs.size = text.len() as u64;
    entry.link = Some(text);
}

/// The names in a path of a module; `None` if it leads upwards.
fn place(path: &[u8]) -> Option<RelPath> {
    let parts = path.split(|&b| b == b'/').filter(|part| !part.is_empty() && *part != b".");
    let names: Option<Vec<Name>> = parts.map(|part| Name::parse(part).ok()).collect();
    names.map(|names| RelPath::from_names(names.iter()))
}
