//! What a configuration says, as values with their defaults.

use std::ffi::OsString;
use std::net::IpAddr;
use std::time::Duration;

use super::Template;
use crate::daemon::access::Hosts;
use crate::daemon::refuse::Refused;
use crate::daemon::users::UserRule;
use crate::plan::chmod;

/// What concerns the daemon as a whole. `None`: not said.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Globals {
    /// `address`: the only one to listen on.
    pub address: Option<IpAddr>,
    /// `port`.
    pub port: Option<u16>,
    /// `pid file`.
    pub pid_file: Option<OsString>,
    /// `motd file`.
    pub motd_file: Option<OsString>,
}

/// How many connections may use the lock file's modules at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Connections {
    /// As many as come.
    Unlimited,
    /// So many.
    AtMost(u16),
    /// None: the module is off.
    Off,
}

/// As whom a connection works.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Ids {
    /// As whoever runs the daemon (`--module`, where no file says anything).
    Own,
    /// As `uid` and `gid` say; each `None` means nobody if the daemon is run by root, else no change.
    Configured {
        /// `uid`: a name or a number.
        uid: Option<Template>,
        /// `gid`: names, numbers, or first `*`.
        gid: Option<Vec<Template>>,
    },
}

/// The parameters of a module, or what a module begins with.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(clippy::struct_excessive_bools)] // they are rsync's switches
pub struct Settings {
    /// `comment`.
    pub comment: Vec<u8>,
    /// `path`; there in every module that passed the check.
    pub path: Option<Template>,
    /// `use chroot`; `None`: if it can be had.
    pub use_chroot: Option<bool>,
    /// `numeric ids`; `None`: with a chroot, yes.
    pub numeric_ids: Option<bool>,
    /// `open noatime`; `None`: as the client asks.
    pub open_noatime: Option<bool>,
    /// `ignore nonreadable`.
    pub ignore_nonreadable: bool,
    /// `munge symlinks`; `None`: unless the module is the root of a chroot.
    pub munge_symlinks: Option<bool>,
    /// `fake super`.
    pub fake_super: bool,
    /// `max connections`.
    pub max_connections: Connections,
    /// `lock file`.
    pub lock_file: OsString,
    /// `log file`; `None`: standard error, or syslog where that leads nowhere.
    pub log_file: Option<OsString>,
    /// `syslog facility`.
    pub syslog_facility: Facility,
    /// `syslog tag`.
    pub syslog_tag: Vec<u8>,
    /// `max verbosity`.
    pub max_verbosity: u8,
    /// `read only`.
    pub read_only: bool,
    /// `write only`.
    pub write_only: bool,
    /// `list`.
    pub list: bool,
    /// `uid`, `gid`.
    pub ids: Ids,
    /// `filter`, unparsed: see [`super::Module::filter`].
    pub filter: Vec<u8>,
    /// `include`, unparsed.
    pub include: Vec<u8>,
    /// `include from`.
    pub include_from: Option<OsString>,
    /// `exclude`, unparsed.
    pub exclude: Vec<u8>,
    /// `exclude from`.
    pub exclude_from: Option<OsString>,
    /// `incoming chmod`.
    pub incoming_chmod: Vec<chmod::Rule>,
    /// `outgoing chmod`.
    pub outgoing_chmod: Vec<chmod::Rule>,
    /// `auth users`; `None`: everybody, without a password.
    pub auth_users: Option<Vec<UserRule>>,
    /// `secrets file`.
    pub secrets_file: Option<OsString>,
    /// `strict modes`.
    pub strict_modes: bool,
    /// `hosts allow`.
    pub hosts_allow: Option<Vec<Hosts>>,
    /// `hosts deny`.
    pub hosts_deny: Option<Vec<Hosts>>,
    /// `ignore errors`.
    pub ignore_errors: bool,
    /// `transfer logging`.
    pub transfer_logging: bool,
    /// `log format`.
    pub log_format: Vec<u8>,
    /// `timeout`; `None`: what the client says.
    pub timeout: Option<Duration>,
    /// `refuse options`.
    pub refused: Refused,
    /// `dont compress`: patterns of names; `None`: the usual suffixes.
    pub dont_compress: Option<Vec<Vec<u8>>>,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            comment: Vec::new(),
            path: None,
            use_chroot: None,
            numeric_ids: None,
            open_noatime: None,
            ignore_nonreadable: false,
            munge_symlinks: None,
            fake_super: false,
            max_connections: Connections::Unlimited,
            lock_file: "/run/sluiced.lock".into(),
            log_file: None,
            syslog_facility: Facility::DAEMON,
            syslog_tag: b"sluiced".to_vec(),
            max_verbosity: 1,
            read_only: true,
            write_only: false,
            list: true,
            ids: Ids::Configured { uid: None, gid: None },
            filter: Vec::new(),
            include: Vec::new(),
            include_from: None,
            exclude: Vec::new(),
            exclude_from: None,
            incoming_chmod: Vec::new(),
            outgoing_chmod: Vec::new(),
            auth_users: None,
            secrets_file: None,
            strict_modes: true,
            hosts_allow: None,
            hosts_deny: None,
            ignore_errors: false,
            transfer_logging: false,
            log_format: b"%o %h [%a] %m (%u) %f %l".to_vec(),
            timeout: None,
            refused: Refused::default(),
            dont_compress: None,
        }
    }
}

/// Which of the system's logs a message belongs to (syslog(3)).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Facility(u8);

impl Facility {
    /// For daemons.
    pub const DAEMON: Facility = Facility(3);

    const NAMES: &[(&str, u8)] = &[
        ("kern", 0),
        ("user", 1),
        ("mail", 2),
        ("daemon", 3),
        ("auth", 4),
        ("security", 4),
        ("syslog", 5),
        ("lpr", 6),
        ("news", 7),
        ("uucp", 8),
        ("cron", 9),
        ("authpriv", 10),
        ("ftp", 11),
        ("local0", 16),
        ("local1", 17),
        ("local2", 18),
        ("local3", 19),
        ("local4", 20),
        ("local5", 21),
        ("local6", 22),
        ("local7", 23),
    ];

    /// The facility of that name.
    #[must_use]
    pub fn named(name: &[u8]) -> Option<Facility> {
        let found = Facility::NAMES.iter().find(|(known, _)| known.as_bytes().eq_ignore_ascii_case(name));
        found.map(|(_, number)| Facility(*number))
    }

    /// The number before a message: facility and the level `notice`.
    #[must_use]
    pub fn priority(self) -> u8 {
        self.0 << 3 | 5
    }
}
