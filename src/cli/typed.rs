//! What was typed, option by option, before the options are weighed against each other.
//!
//! Where an option means one field of a lower floor's `Options`, it is set there at once; the rest waits
//! here for [`super::resolve`], because its meaning depends on what else was typed.

use std::ffi::OsString;
use std::time::Duration;

use super::owners::Said;
use super::reporting::Reporting;
use crate::engine::dial::SocketOption;
use crate::plan::Delete;
use crate::session::named::Named;
use crate::{apply, engine, plan, session};

/// Whether directories are entered.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Recurse {
    /// No.
    #[default]
    No,
    /// Because of `-a`, which does not mean it together with `--files-from`.
    Archive,
    /// `-r`.
    Yes,
}

/// What was said about filter rules, in the order of the command line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RuleArg {
    /// `--filter`.
    Filter(Vec<u8>),
    /// `-F`, the how-manieth.
    PerDir(u8),
    /// `--exclude`.
    Exclude(Vec<u8>),
    /// `--include`.
    Include(Vec<u8>),
    /// `--exclude-from`.
    ExcludeFrom(OsString),
    /// `--include-from`.
    IncludeFrom(OsString),
    /// `--gitignore`.
    Gitignore,
    /// `-0`, `--no-from0`: counts for what follows.
    From0(bool),
}

/// The options as typed. Fields that have an `Option` are `None` when nobody said anything.
#[derive(Clone, Debug)]
#[allow(clippy::struct_excessive_bools)] // they are rsync's switches
pub struct Typed {
    /// What is transferred and compared, as far as one option alone decides it.
    pub plan: plan::Options,
    /// How actions are carried out, likewise.
    pub apply: apply::Options,
    /// How bytes are moved.
    pub engine: engine::Policy,
    /// How the run is shown, likewise.
    pub reporting: Reporting,
    /// What a daemon may refuse by its name.
    pub named: Named,
    /// `-r`, `-a`.
    pub recursive: Recurse,
    /// `-d`.
    pub dirs: Option<bool>,
    /// `-R`.
    pub relative: Option<bool>,
    /// `--no-implied-dirs`.
    pub implied_dirs: bool,
    /// `--inc-recursive`, `--no-inc-recursive`.
    pub inc_recursive: Option<bool>,
    /// `--fake-super`.
    pub fake_super: bool,
    /// `--mkpath`.
    pub mkpath: bool,
    /// `-W`, which only contradicts others.
    pub whole_file: bool,
    /// `--delete`.
    pub delete: bool,
    /// Each different `--delete-WHEN`, with its spelling.
    pub delete_when: Vec<(Delete, &'static str)>,
    /// `--delete-limit`.
    pub delete_limit: Option<session::DeleteLimit>,
    /// `--no-mount-check`.
    pub mount_check: bool,
    /// `--lock`.
    pub lock: session::lock::Lock,
    /// `--retry`.
    pub retry: u32,
    /// Each `--profile`.
    pub profiles: Vec<OsString>,
    /// `--no-config`.
    pub no_config: bool,
    /// `--max-age` in seconds.
    pub max_age: Option<u64>,
    /// `--min-age` in seconds.
    pub min_age: Option<u64>,
    /// `--newer-than`.
    pub newer_than: Option<OsString>,
    /// `--suffix`.
    pub suffix: Option<Vec<u8>>,
    /// Filter rules, in order.
    pub rules: Vec<RuleArg>,
    /// `--rsh`.
    pub rsh: Option<Vec<u8>>,
    /// `--rsync-path`.
    pub rsync_path: Option<Vec<u8>>,
    /// `-z` and what is around it.
    pub compress: super::compress::Asked,
    /// `-4`, `-6`.
    pub family: Option<u8>,
    /// `--password-file`.
    pub password_file: Option<OsString>,
    /// `--contimeout` in seconds.
    pub contimeout: Option<u64>,
    /// `--sockopts`.
    pub sockopts: Vec<SocketOption>,
    /// `--no-motd`.
    pub no_motd: bool,
    /// `--timeout` in seconds.
    pub timeout: Option<u64>,
    /// `--write-batch`, `--only-write-batch`, `--read-batch`.
    pub batch: super::batch::Asked,
    /// How often `-F` came.
    pub per_dir_filters: u8,
    /// `-C`.
    pub cvs_exclude: bool,
    /// `-0`.
    pub from0: bool,
    /// `--files-from`.
    pub files_from: Option<OsString>,
    /// Each `--chmod`.
    pub chmod: Vec<Vec<u8>>,
    /// Which option has spoken about users: `--usermap` or `--chown`.
    pub users_said: Option<Said>,
    /// The same of groups.
    pub groups_said: Option<Said>,
    /// `-M`: options for the other side, in order.
    pub remote: Vec<OsString>,
    /// `--munge-links`.
    pub munge_links: bool,
    /// `--copy-as`.
    pub copy_as: Option<OsString>,
    /// `--ignore-missing-args`.
    pub ignore_missing: bool,
    /// `--delete-missing-args`.
    pub delete_missing: bool,
    /// `--checksum-choice`.
    pub checksum_choice: Option<OsString>,
    /// `--stop-at`.
    pub stop_at: Option<OsString>,
    /// `--old-dirs`.
    pub old_dirs: bool,
    /// `--insecure-links`.
    pub insecure_links: bool,
    /// `--confine-root`.
    pub confine_root: Option<OsString>,
    /// `--stop-after`.
    pub stop_after: Option<Duration>,
    /// `--jobs`.
    pub jobs: Option<usize>,
    /// `--stats`.
    pub stats: bool,
    /// `--progress`.
    pub progress: bool,
    /// Words of `--info`, as typed.
    pub info: Vec<String>,
    /// Words of `--debug`, as typed.
    pub debug: Vec<String>,
    /// `-s` and `--old-args`, which exclude each other.
    pub secluded_args: Option<bool>,
    /// See `secluded_args`.
    pub old_args: Option<bool>,
    /// The daemon's options, `--address` and `--port` among them.
    pub daemon: super::daemon::Options,
    /// `--help`.
    pub help: bool,
    /// How often `-V` came.
    pub version: u8,
    /// `--generate`.
    pub generate: Option<super::generate::Page>,
}

impl Default for Typed {
    fn default() -> Typed {
        Typed {
            plan: plan::Options::default(),
            apply: apply::Options::default(),
            engine: engine::Policy::default(),
            named: Named::default(),
            reporting: Reporting::default(),
            recursive: Recurse::No,
            dirs: None,
            relative: None,
            implied_dirs: true,
            inc_recursive: None,
            fake_super: false,
            mkpath: false,
            whole_file: false,
            delete: false,
            delete_when: Vec::new(),
            delete_limit: None,
            mount_check: true,
            lock: session::lock::Lock::Off,
            retry: 0,
            profiles: Vec::new(),
            no_config: false,
            max_age: None,
            min_age: None,
            newer_than: None,
            suffix: None,
            rsh: None,
            rsync_path: None,
            compress: super::compress::Asked::default(),
            family: None,
            password_file: None,
            contimeout: None,
            sockopts: Vec::new(),
            no_motd: false,
            timeout: None,
            batch: super::batch::Asked::default(),
            rules: Vec::new(),
            per_dir_filters: 0,
            cvs_exclude: false,
            from0: false,
            files_from: None,
            chmod: Vec::new(),
            users_said: None,
            groups_said: None,
            remote: Vec::new(),
            munge_links: false,
            copy_as: None,
            ignore_missing: false,
            delete_missing: false,
            checksum_choice: None,
            stop_at: None,
            old_dirs: false,
            insecure_links: false,
            confine_root: None,
            stop_after: None,
            jobs: None,
            stats: false,
            progress: false,
            info: Vec::new(),
            debug: Vec::new(),
            secluded_args: None,
            old_args: None,
            daemon: super::daemon::Options::default(),
            help: false,
            version: 0,
            generate: None,
        }
    }
}

impl Typed {
    /// `-D`: devices and special files.
    pub fn set_nodes(&mut self, on: bool) {
        self.plan.devices = on;
        self.plan.specials = on;
    }

    /// `--super`, `--no-super`; of these and `--fake-super` the last one counts.
    pub fn set_super(&mut self, on: bool) {
        self.plan.superuser = Some(on);
        self.fake_super = false;
    }

    /// `--fake-super`.
    pub fn set_fake_super(&mut self) {
        self.plan.superuser = None;
        self.fake_super = true;
    }

    /// `-U`, once more, or `--no-atimes`.
    pub fn set_atimes(&mut self, on: bool) {
        self.plan.open_noatime |= on && self.plan.atimes;
        self.plan.atimes = on;
    }

    /// What holds for the other side unless `-M` says otherwise: not the options that are for one side alone.
    #[must_use]
    pub fn for_the_other_side(&self) -> Typed {
        let mut far = self.clone();
        far.remote.clear();
        far.munge_links = false;
        far.copy_as = None;
        far.insecure_links = false;
        far.confine_root = None;
        far.plan.drop_nodes = false;
        far.reporting.log_file = None;
        far.reporting.log_file_format = None;
        far
    }

    /// Whether anything was said that is not for the other side.
    #[must_use]
    pub fn is_partly_for_this_side(&self) -> bool {
        self.munge_links || self.plan.drop_nodes || self.fake_super
    }

    /// `-d`, which takes `--old-dirs` back, and the opposite of both.
    pub fn set_dirs(&mut self, on: bool) {
        self.old_dirs = false;
        self.dirs = Some(on);
    }

    /// `-a`: `-rlptgoD`.
    pub fn set_archive(&mut self) {
        if self.recursive == Recurse::No {
            self.recursive = Recurse::Archive;
        }
        self.plan.links.preserve = true;
        self.plan.perms = true;
        self.plan.times = true;
        self.plan.group = true;
        self.plan.owner = true;
        self.set_nodes(true);
    }

    /// A `--delete-WHEN`, spelt `name`.
    pub fn add_delete_when(&mut self, when: Delete, name: &'static str) {
        // Of these two the last counts, as with rsync; the others exclude each other.
        let related = |when: &Delete| matches!(when, Delete::During | Delete::Delay);
        self.delete_when.retain(|(other, _)| !(related(other) && related(&when)));
        if !self.delete_when.iter().any(|(other, _)| *other == when) {
            self.delete_when.push((when, name));
        }
    }

    /// `-F`, once more.
    pub fn add_per_dir_filter(&mut self) {
        self.per_dir_filters = self.per_dir_filters.saturating_add(1);
        self.rules.push(RuleArg::PerDir(self.per_dir_filters));
    }

    /// `-0`.
    pub fn set_from0(&mut self, on: bool) {
        self.from0 = on;
        self.rules.push(RuleArg::From0(on));
    }
}
