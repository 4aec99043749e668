//! The configuration: the syntax and the parameter names of rsyncd.conf(5), parsed once into typed values.
//!
//! What cannot be understood is an error with its file and line, never skipped: rsync goes on without an
//! unknown parameter, and a `hosts deny` with a slip of the pen in its name denies nobody.

mod parameters;
mod reader;
mod settings;
mod syntax;
mod template;
mod value;

use std::ffi::{OsStr, OsString};
use std::net::IpAddr;
use std::os::unix::ffi::OsStrExt;

pub use parameters::{Parameter, Set, all as parameters};
pub use settings::{Connections, Facility, Globals, Ids, Settings};
pub use template::{Peer, Template};

use crate::path::{escape, operand};
use crate::plan::filter::{FilterError, Rules, RulesBuilder};
use crate::plan::veil::Veil;

/// The largest file of rules that a module may name, in bytes. A guess: a million patterns.
const RULES_LIMIT: usize = 64 << 20;

/// What a module's rules cannot have.
const NO_DIR_MERGE: &str = "dir-merge rules are not supported in a module";

/// Looks a variable of the environment up.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<OsString>;

/// A configuration that was understood from end to end.
#[derive(Clone, Debug)]
pub struct Config {
    /// What concerns the daemon as a whole.
    pub globals: Globals,
    /// The parameters that hold before a module is known: above all where to log.
    pub defaults: Settings,
    /// The modules, in the order in which they first appear.
    pub modules: Vec<Module>,
}

/// A directory that the daemon offers under a name.
#[derive(Clone, Debug)]
pub struct Module {
    /// Its name: no `/`, no `]`, single blanks only.
    pub name: Vec<u8>,
    /// Its parameters, those of the global section among them.
    pub settings: Settings,
}

/// Why a configuration is not used. The daemon does not start, or refuses the connection.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ConfigError {
    /// File and line, as far as one can be blamed.
    place: Option<syntax::Place>,
    message: String,
}

impl ConfigError {
    fn at(place: &syntax::Place, message: impl Into<String>) -> ConfigError {
        ConfigError { place: Some(place.clone()), message: message.into() }
    }

    fn plain(message: impl Into<String>) -> ConfigError {
        ConfigError { place: None, message: message.into() }
    }
}

impl std::fmt::Display for ConfigError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.place {
            Some(place) => write!(f, "{place}: {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

impl std::error::Error for ConfigError {}

impl Config {
    /// Reads the file at `path` and those that it includes, and checks every module. `overrides`, each `NAME=VALUE`,
    /// count as if they stood at the end of the global section (rsync(1), `--dparam`).
    ///
    /// # Errors
    ///
    /// [`ConfigError`]: nothing of it may be used.
    pub fn load(
        path: &OsStr,
        environment: Environment<'_>,
        overrides: &[OsString],
    ) -> Result<Config, ConfigError> {
        let config = reader::read(path, environment, overrides)?;
        for module in &config.modules {
            module.check()?;
        }
        Ok(config)
    }

    /// A configuration without a file: one directory each, on loopback, for a first try.
    ///
    /// `modules` are `NAME=PATH` and `NAME=PATH,rw`.
    ///
    /// # Errors
    ///
    /// One of them is neither.
    pub fn quick(modules: &[OsString]) -> Result<Config, ConfigError> {
        let loopback = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
        let globals = Globals { address: Some(loopback), ..Globals::default() };
        let mut config = Config { globals, defaults: Settings::default(), modules: Vec::new() };
        for text in modules {
            let bad = || ConfigError::plain(format!("--module is NAME=PATH[,rw], not {text:?}"));
            let text = text.as_bytes();
            let at = text.iter().position(|&b| b == b'=').ok_or_else(bad)?;
            let (path, writable) = match text[at + 1..].strip_suffix(b",rw") {
                Some(path) => (path, true),
                None => (&text[at + 1..], false),
            };
            let name = syntax::module_name(&text[..at]).map_err(|_| bad())?;
            if path.is_empty() || config.find(&name).is_some() {
                return Err(bad());
            }
            // Whoever tries it out is the user that the files belong to: nobody's rights would not do.
            let own = Ids::Own;
            let settings = Settings {
                path: Some(Template::literal(path)),
                read_only: !writable,
                ids: own,
                ..Settings::default()
            };
            config.modules.push(Module { name, settings });
        }
        Ok(config)
    }

    /// Why modules cannot be used as their files of rules are now, a line each: the others can.
    pub fn unusable(&self) -> impl Iterator<Item = String> {
        self.modules.iter().filter_map(|module| {
            let why = module.filter().err()?;
            Some(format!("module \"{}\" cannot be served: {why}", escape(&module.name)))
        })
    }

    /// The module of that name, written as a client may write it.
    #[must_use]
    pub fn find(&self, name: &[u8]) -> Option<&Module> {
        self.modules.iter().find(|module| module.name == name)
    }
}

impl Module {
    /// Whether the module can be used as it is configured: what only shows when several parameters, or the
    /// files that they name, are looked at together.
    fn check(&self) -> Result<(), ConfigError> {
        let bad = |why: &str| ConfigError::plain(format!("module [{}]: {why}", escape(&self.name)));
        if self.settings.path.is_none() {
            return Err(bad("`path` is missing"));
        }
        if self.settings.auth_users.is_some() && self.settings.secrets_file.is_none() {
            return Err(bad("`auth users` needs a `secrets file`"));
        }
        if self.settings.read_only && self.settings.write_only {
            return Err(bad("`write only` needs `read only = no`: nothing could be done with it"));
        }
        Ok(())
    }

    /// The module's own filter rules. Their files are read anew each time.
    ///
    /// # Errors
    ///
    /// A rule is none, or a file of rules cannot be read: the module cannot be used. The text is for the log: it names
    /// the file.
    pub fn filter(&self) -> Result<Rules, String> {
        let set = &self.settings;
        let mut builder = RulesBuilder::new();
        let mut read = Vec::new();
        let merged = builder.filter_words(&set.filter, &mut |path| {
            read.push(format!("\"{}\"", escape(path)));
            read_rules(path)
        });
        // Rules of a file are shown by their place; which file that is they do not say.
        merged.map_err(|e| format!("`filter`, which merges {}: {e}", read.join(", ")))?;
        let text = |e: FilterError| e.to_string();
        if let Some(file) = &set.include_from {
            builder.include_from(file.as_bytes(), &from_file(file).map_err(text)?, false).map_err(text)?;
        }
        builder.include_words(&set.include).map_err(text)?;
        if let Some(file) = &set.exclude_from {
            builder.exclude_from(file.as_bytes(), &from_file(file).map_err(text)?, false).map_err(text)?;
        }
        builder.exclude_words(&set.exclude).map_err(text)?;
        let rules = builder.build(false);
        if Veil::understands(&rules) { Ok(rules) } else { Err(NO_DIR_MERGE.into()) }
    }
}

fn from_file(path: &OsStr) -> Result<Vec<u8>, FilterError> {
    read_rules(path.as_bytes()).map_err(FilterError::File)
}

fn read_rules(path: &[u8]) -> Result<Vec<u8>, String> {
    operand::read_file(OsStr::from_bytes(path), RULES_LIMIT).map_err(|e| e.to_string())
}
