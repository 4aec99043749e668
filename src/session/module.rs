//! A daemon's module: what a session in it may do, and what it changes on the way.

use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use std::time::Duration;

use super::Options;
use super::destination;
use super::expand::{Wild, expand};
use super::watch::Watch;
use crate::path::own::{path_of, straightened};
use crate::path::{Attrs, Dir, Kind, Name, RelPath, operand};
use crate::plan::chmod::{self, Rule};
use crate::plan::filter::Rules;
use crate::plan::pattern::Pattern;
use crate::plan::veil::Veil;
use crate::plan::{Delete, Fakes, entry::Entry};
use crate::wire::Role;
use crate::wire::request::DAEMON_REQUEST_MAX;

/// Worker threads that a client may have at most.
const JOBS_MAX: usize = 16;

/// A request that a module does not grant: rsync's exit status, and a text for the client.
pub type Refusal = (u8, String);

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
    /// `fake super`: what only root could do is written down in extended attributes, and read from there.
    pub fake_super: bool,
    /// Links are stored munged, and told as they were before ([`crate::plan::munge`]).
    pub munge_links: bool,
    /// Whether reading a file leaves its access time; `None`: as the client asks.
    pub open_noatime: Option<bool>,
    /// Deletion goes on after errors.
    pub ignore_errors: bool,
    /// What this process may not read does not exist for the client.
    pub readable_only: bool,
    /// Silence after which the session ends; `None`: what the client says.
    pub timeout: Option<Duration>,
    /// Names that are not packed, as patterns of lower-case letters; `None`: those with a usual suffix.
    pub dont_compress: Option<Vec<Pattern>>,
}

impl Module {
    /// Has a client's request keep to the module, and to the options that `watch` lets it have.
    ///
    /// # Errors
    ///
    /// What it asks for is not to be had here.
    pub fn admit(
        &self,
        watch: &dyn Watch,
        role: Role,
        options: &mut Options,
        operands: &mut Vec<Vec<u8>>,
    ) -> Result<(), Refusal> {
        let name = crate::path::escape(&self.name);
        let refused = |text: String| (1, text);
        let refuse = |text: String| Err(refused(text));
        match role {
            Role::Receiver if self.read_only => return refuse(format!("module \"{name}\" is read only")),
            Role::Sender if self.read_only && options.apply.remove_source_files => {
                return refuse(format!("module \"{name}\" is read only: not with --remove-source-files"));
            }
            Role::Sender if self.write_only => return refuse(format!("module \"{name}\" is write only")),
            _ => {}
        }
        if let Some(text) = watch.refuses(role, options) {
            return Err((4, text));
        }
        if options.log.is_some() {
            // rsync's words: it refuses that always, whatever is configured.
            return Err((4, "The server is configured to refuse --log-file".into()));
        }
        if options.insecure_links {
            return Err((4, "a daemon does not take --insecure-links".into()));
        }
        if options.copy_as.is_some() {
            return Err((4, "a daemon's module says who it works as: not with --copy-as".into()));
        }
        let links = options.plan.links;
        // What a link leads to may be outside, or hidden.
        let follows = match role {
            Role::Sender => links.copy_all || links.copy_unsafe || links.copy_dirlinks,
            Role::Receiver => links.keep_dirlinks,
        };
        if follows {
            let which = if role == Role::Sender { "-L, -k or --copy-unsafe-links" } else { "-K" };
            return refuse(format!("a daemon follows no links: not with {which}"));
        }
        if !Veil::understands(&self.filter) {
            return refuse(format!("module \"{name}\" has dir-merge rules, which are not supported yet"));
        }
        // Homes are no business of a client's.
        let wild = if options.wild == Wild::AsShell { Wild::AsRsync } else { options.wild };
        *operands = expand(wild, role, Some(self), operands, DAEMON_REQUEST_MAX).map_err(refused)?;
        let names_there = options.names_there.as_ref().map(|there| &there.path[..]);
        // Of a client that receives they are on its own machine.
        let receives = role == Role::Receiver;
        let own_dirs = [&options.apply.backup_dir, &options.apply.temp_dir].into_iter().flatten();
        let own_dirs = own_dirs.chain(&options.plan.bases.dirs);
        let partials = options.apply.partial_dir.iter().filter(|_| receives);
        let own_dirs: Vec<&OsStr> = own_dirs.filter(|_| receives).map(OsString::as_os_str).collect();
        let typed = operands.iter().map(Vec::as_slice).chain(partials.clone().map(|dir| dir.as_bytes()));
        for path in typed.chain(names_there) {
            if place(path).is_none() {
                return refuse(format!(
                    "a path in a module has no \"..\": \"{}\"",
                    crate::path::escape(path)
                ));
            }
        }
        // What is selected to be sent is looked at one by one.
        for dest in operands.iter().filter(|_| receives) {
            let shown = crate::path::escape(dest);
            if [true, false].iter().any(|is_dir| self.hides(dest, *is_dir)) {
                return Err((3, format!("the daemon has excluded the destination \"{shown}\"")));
            }
            for dir in own_dirs.iter().copied().chain(partials.clone().map(OsString::as_os_str)) {
                let places = [true, false].map(|to_file| {
                    let base = destination::base(OsStr::from_bytes(dest), to_file);
                    path_of(&inside(dir, &base), &base)
                });
                if places.iter().any(|place| self.hides(place.as_bytes(), true)) {
                    let shown = crate::path::escape(dir.as_bytes());
                    return Err((
                        4,
                        format!("the daemon has excluded the directory \"{shown}\" of an option"),
                    ));
                }
            }
        }
        options.jobs = options.jobs.clamp(1, JOBS_MAX);
        options.engine.threads = options.engine.threads.clamp(1, JOBS_MAX);
        self.fake(role, &mut options.plan);
        options.plan.links.munge = self.munge_links && role == Role::Receiver;
        options.plan.links.unmunge = self.munge_links && role == Role::Sender;
        options.plan.numeric_ids |= self.numeric_ids;
        options.plan.open_noatime = self.open_noatime.unwrap_or(options.plan.open_noatime);
        options.plan.ignore_errors |= self.ignore_errors && options.plan.delete != Delete::Off;
        if role == Role::Sender {
            let own = self.outgoing_chmod.iter().cloned();
            options.plan.chmod = own.chain(options.plan.chmod.drain(..)).collect();
        }
        Ok(())
    }

    /// Whether attributes are written down is the module's to say. A client that asks for it where it does not is
    /// taken to mean `--super`, as with rsync.
    fn fake(&self, role: Role, plan: &mut crate::plan::Options) {
        let receives = role == Role::Receiver;
        if plan.fakes.dest && receives && !self.fake_super {
            plan.superuser = Some(true);
        }
        plan.fakes = Fakes { source: self.fake_super && !receives, dest: self.fake_super && receives };
    }

    /// Whether what was typed as `path` does not exist for the client, by itself or because something above
    /// it does not.
    #[must_use]
    pub fn hides(&self, path: &[u8], is_dir: bool) -> bool {
        let Some(path) = place(path) else { return true };
        self.veil(RelPath::root()).is_some_and(|veil| veil.hides_on_the_way(&path, is_dir))
    }

    /// What is hidden below the directory `at`.
    #[must_use]
    pub fn veil(&self, at: RelPath) -> Option<Veil> {
        Veil::new(&self.filter, at, self.readable_only)
    }

    /// What is hidden below what was typed as `path`.
    #[must_use]
    pub fn veil_of(&self, path: &OsStr) -> Option<Veil> {
        self.veil(place(path.as_bytes()).unwrap_or_else(RelPath::root))
    }

    /// Has an entry that a client lists be as it is to be stored.
    pub fn incoming(&self, entry: &mut Entry, umask: u32) {
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

/// The directory of an option, typed as `typed` for one below `base`: in a module, where nothing is followed, `..` is
/// taken out of it together with what it leads out of. Above the module there is nothing, as above `/`.
fn inside<'a>(typed: &'a OsStr, base: &[u8]) -> Cow<'a, OsStr> {
    if !typed.as_bytes().split(|&b| b == b'/').any(|part| part == b"..") {
        return Cow::Borrowed(typed);
    }
    let from_top = [b"/".as_slice(), path_of(typed, base).as_bytes()].concat();
    Cow::Owned(straightened(OsStr::from_bytes(&from_top)))
}

impl Options {
    /// The directory of an option, typed as `typed` for one below `base`.
    pub(super) fn own_dir<'a>(&self, typed: &'a OsStr, base: &[u8]) -> Cow<'a, OsStr> {
        if self.module.is_some() { inside(typed, base) } else { Cow::Borrowed(typed) }
    }

    /// The absolute path of `dir`, typed as `typed`, for rules that ask for it: in a module its directory is `/`, and
    /// where that is on the disk is no business of a client's. `None` if it cannot be said.
    pub(super) fn absolute(&self, dir: &Dir, typed: &[u8]) -> Option<Vec<u8>> {
        match &self.module {
            Some(_) => place(typed).map(|path| [b"/", path.as_bytes()].concat()),
            None => operand::kernel_path(dir).ok(),
        }
    }
}

/// The names in a path of a module; `None` if it leads upwards.
pub(super) fn place(path: &[u8]) -> Option<RelPath> {
    let parts = path.split(|&b| b == b'/').filter(|part| !part.is_empty() && *part != b".");
    let names: Option<Vec<Name>> = parts.map(|part| Name::parse(part).ok()).collect();
    names.map(|names| RelPath::from_names(names.iter()))
}
