//! One connection, from the accepted socket to the module's session: the whole life of its process.
//!
//! 1. Whatever happens, the process ends when ten seconds have passed and the client has not been let in.
//! 2. The client says what it wants ([`Conversation::request`]). No module's directory is open yet.
//! 3. Its address is checked, then its password, then whether there is a place for it.
//! 4. The module's directory is opened, with the rights that the daemon was started with.
//! 5. All rights but those for this directory are given up ([`super::confine`]).
//! 6. The module is served.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::access;
use super::config::{Config, Connections, Module, Peer};
use super::confine::{Confined, Plan, Roots};
use super::conversation::{Conversation, Listed, ModuleRules, ModuleSession, Refusal, Request};
use super::log::Log;
use super::{secrets, users};
use crate::auth::{First, Server, SessionKey};
use crate::path::{Name, escape, operand};
use crate::process::ids;
use crate::process::inherited::Connection;
use crate::process::rights;
use crate::process::slots::{self, Slot};

/// From the connection to the end of the login, in seconds.
const LOGIN: u32 = 10;

/// How much of the message of the day is shown, in bytes.
const MOTD_LIMIT: usize = 4096;

/// Makes the protocol's side of a connection, given the time by which the login has to be over.
pub type Begin<'a> = &'a dyn Fn(Connection, Instant) -> Box<dyn Conversation>;

/// What a connection came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// A module was served to the end, or the list of modules.
    Served,
    /// Somebody tried a password that was wrong, or gave up when they saw that it was.
    LoginFailed,
    /// It ended early for another reason, which the log says.
    Failed,
}

/// How a connection ended before it was served.
enum Stop {
    /// The client is told, and the log says why.
    Refused(Refusal, String),
    /// The same, for a login that failed; the client may be gone.
    LoginFailed(Refusal, String),
    /// The client is not there, or does not speak the protocol.
    Broken(String),
}

/// Serves one connection to its end. `let_in` is called once the login is over; `stderr` says whether
/// somebody hears standard error.
pub fn handle(
    connection: Connection,
    config: &Config,
    begin: Begin<'_>,
    stderr: bool,
    let_in: &dyn Fn(),
) -> Outcome {
    rights::end_after(LOGIN + 1);
    let deadline = Instant::now() + Duration::from_secs(LOGIN.into());
    let log = match Log::open(&config.defaults, stderr) {
        Ok(log) => log,
        Err(why) => {
            Log::stderr().line(&format!("connection refused: {why}"));
            return Outcome::Failed;
        }
    };
    let peer = canonical(connection.client);
    log.line(&format!("connect from {}", peer.ip()));
    let conversation = begin(connection, deadline);
    Client { config, peer, stderr, let_in }.run(conversation, &log)
}

/// Tells a client that the configuration cannot be used.
pub fn turn_away(connection: Connection, begin: Begin<'_>) {
    rights::end_after(LOGIN + 1);
    let mut talk = begin(connection, Instant::now() + Duration::from_secs(LOGIN.into()));
    // Whoever speaks something else is told nothing.
    if talk.request(&[]).is_ok() {
        talk.refuse(&Refusal::Misconfigured);
    }
}

/// An IPv4 address in IPv6 clothing, without it.
fn canonical(peer: SocketAddr) -> SocketAddr {
    SocketAddr::new(peer.ip().to_canonical(), peer.port())
}

struct Client<'a> {
    config: &'a Config,
    peer: SocketAddr,
    stderr: bool,
    let_in: &'a dyn Fn(),
}

/// A client whose address and password are in order.
struct Admitted {
    user: Option<Vec<u8>>,
    key: Option<SessionKey>,
    read_only: bool,
}

impl Client<'_> {
    fn run(&self, mut talk: Box<dyn Conversation>, log: &Log) -> Outcome {
        let from = self.peer.ip();
        let (refusal, why, outcome) = match self.admit(&mut *talk, log) {
            Ok(None) => return Outcome::Served,
            Ok(Some(session)) => {
                let name = escape(&session.rules.name);
                return match talk.serve(session) {
                    Ok(()) => Outcome::Served,
                    Err(why) => {
                        log.line(&format!("module \"{name}\" for {from}: {why}"));
                        Outcome::Failed
                    }
                };
            }
            Err(Stop::Broken(why)) => (None, why, Outcome::Failed),
            Err(Stop::Refused(refusal, why)) => (Some(refusal), why, Outcome::Failed),
            Err(Stop::LoginFailed(refusal, why)) => (Some(refusal), why, Outcome::LoginFailed),
        };
        log.line(&format!("{why} from {from}"));
        if let Some(refusal) = refusal {
            talk.refuse(&refusal);
        }
        outcome
    }

    /// Steps 2 to 5; `None` where a list was all that was asked for.
    fn admit(&self, talk: &mut dyn Conversation, log: &Log) -> Result<Option<ModuleSession>, Stop> {
        let name = match talk.request(&self.motd(log)).map_err(Stop::Broken)? {
            Request::List => {
                log.line(&format!("module-list request from {}", self.peer.ip()));
                let listed = self.config.modules.iter().filter(|module| module.settings.list);
                let listed: Vec<Listed> = listed
                    .map(|module| Listed { name: &module.name, comment: &module.settings.comment })
                    .collect();
                talk.list(&listed).map_err(Stop::Broken)?;
                return Ok(None);
            }
            Request::Module(name) => name,
        };
        let module = self.find(&name)?;
        let admitted = self.login(talk, module)?;
        let slot = self.place(module)?;
        (self.let_in)();
        let session = self.confine(module, admitted, slot, log)?;
        rights::end_after(0);
        Ok(Some(session))
    }

    /// The message of the day; nothing where it cannot be read, which is no reason to refuse anybody.
    fn motd(&self, log: &Log) -> Vec<u8> {
        let Some(path) = &self.config.globals.motd_file else { return Vec::new() };
        let mut text = match operand::read_start(path, MOTD_LIMIT + 1) {
            Ok(text) => text,
            Err(e) => {
                log.line(&format!("motd file: {e}"));
                return Vec::new();
            }
        };
        if text.len() > MOTD_LIMIT {
            text.truncate(MOTD_LIMIT);
            let whole = text.iter().rposition(|&b| b == b'\n').map_or(MOTD_LIMIT, |end| end + 1);
            text.truncate(whole);
            log.line(&format!(
                "motd file: only the first {whole} bytes are shown, of more than {MOTD_LIMIT}"
            ));
        }
        text
    }

    /// The module, if this address may use it.
    fn find(&self, name: &[u8]) -> Result<&Module, Stop> {
        let unknown = |why: String| Stop::Refused(Refusal::UnknownModule(name.to_vec()), why);
        let module = self
            .config
            .find(name)
            .ok_or_else(|| unknown(format!("unknown module \"{}\" tried", escape(name))))?;
        let set = &module.settings;
        match access::check(self.peer.ip(), set.hosts_allow.as_deref(), set.hosts_deny.as_deref()) {
            Ok(access::Allowed { .. }) => Ok(module),
            Err(access::Denied) => {
                let why = format!("access denied to module \"{}\"", escape(name));
                Err(match set.list {
                    true => Stop::Refused(Refusal::AccessDenied(name.to_vec()), why),
                    false => unknown(why),
                })
            }
        }
    }

    /// The user, if the module wants one, after the password was proved.
    fn login(&self, talk: &mut dyn Conversation, module: &Module) -> Result<Admitted, Stop> {
        let set = &module.settings;
        let Some(rules) = &set.auth_users else {
            return Ok(Admitted { user: None, key: None, read_only: set.read_only });
        };
        let first = talk.challenge().map_err(Stop::Broken)?;
        let first = First::parse(&first).map_err(|e| Stop::Broken(e.to_string()))?;
        let user = first.user;
        let login = users::find(rules, user, &ids::group_names_of);
        let mut why = "no rule lets this user in".to_owned();
        // The file is read for strangers as well: what it takes is no answer either.
        let nobody = users::Login { group: None, read_only: None };
        let found = match &set.secrets_file {
            Some(path) => {
                let login = login.as_ref().unwrap_or(&nobody);
                secrets::find(path, set.strict_modes, ids::own_uid(), user, login)
            }
            None => Ok(None),
        };
        let password = match (&login, found) {
            (None, _) => None,
            (Some(_), Ok(Some(password))) => {
                why = "wrong password".into();
                Some(password)
            }
            (Some(_), Ok(None)) => {
                why = "no password for this user in the secrets file".into();
                None
            }
            (Some(_), Err(error)) => {
                why = error;
                None
            }
        };
        let transcript = talk.transcript(&module.name, user);
        let proved = Server::answer(password.as_ref(), &first, transcript).ok();
        let key = match proved {
            Some((server, second)) => {
                // A client that sees from the answer that its guess was wrong will not say so.
                talk.answer(&second).ok().and_then(|third| server.finish(&third).ok())
            }
            None => None,
        };
        match (login, key) {
            (Some(login), Some(key)) => {
                let read_only = login.read_only.unwrap_or(set.read_only);
                Ok(Admitted { user: Some(user.to_vec()), key: Some(key), read_only })
            }
            _ => {
                let (module_name, user) = (escape(&module.name), escape(user));
                let why = format!("login failed on module \"{module_name}\" for user \"{user}\" ({why})");
                Err(Stop::LoginFailed(Refusal::LoginFailed(module.name.clone()), why))
            }
        }
    }

    /// A place among `max connections`; `None` where they are not counted.
    fn place(&self, module: &Module) -> Result<Option<Slot>, Stop> {
        let full = |why: &str| {
            let why = format!("module \"{}\": {why}", escape(&module.name));
            Stop::Refused(Refusal::Full(module.name.clone()), why)
        };
        let count = match module.settings.max_connections {
            Connections::Unlimited => return Ok(None),
            Connections::Off => return Err(full("switched off by `max connections`")),
            Connections::AtMost(count) => count,
        };
        let file = operand::append_file(&module.settings.lock_file);
        let file = file.map_err(|e| self.unavailable(module, &e.to_string()))?;
        match slots::take(file, count) {
            Ok(Some(slot)) => Ok(Some(slot)),
            Ok(None) => Err(full(&format!("max connections ({count}) reached"))),
            Err(e) => Err(self.unavailable(module, &format!("lock file: {e}"))),
        }
    }

    fn unavailable(&self, module: &Module, why: &str) -> Stop {
        let why = format!("module \"{}\": {why}; connection refused", escape(&module.name));
        Stop::Refused(Refusal::Unavailable(module.name.clone()), why)
    }

    fn confine(
        &self,
        module: &Module,
        admitted: Admitted,
        slot: Option<Slot>,
        log: &Log,
    ) -> Result<ModuleSession, Stop> {
        let bad = |why: String| self.unavailable(module, &why);
        let set = &module.settings;
        let peer = Peer {
            user: admitted.user.clone().unwrap_or_default(),
            module: module.name.clone(),
            address: self.peer.ip().to_string(),
        };
        let path = set.path.as_ref().ok_or_else(|| bad("`path` is missing".into()))?;
        let path = path.fill(&peer).map_err(bad)?;
        let own_log = Log::open(set, self.stderr).map_err(bad)?;
        let filter = module.filter().map_err(bad)?;
        let roots = Roots::open(&path).map_err(bad)?;
        let plan = Plan::new(set, &peer, !admitted.read_only).map_err(bad)?;
        let confined = plan.carry_out(&roots).map_err(bad)?;
        let munge = self.munges(module, &roots, &confined).map_err(bad)?;
        let user = admitted.user.as_deref().map(|user| format!("{}@", escape(user))).unwrap_or_default();
        let name = escape(&module.name);
        log.line(&format!("module \"{name}\" for {user}{}: {}", self.peer.ip(), confined.level));
        Ok(ModuleSession {
            root: roots.module,
            path,
            rules: ModuleRules {
                name: module.name.clone(),
                read_only: admitted.read_only,
                write_only: set.write_only,
                filter,
                incoming_chmod: set.incoming_chmod.clone(),
                outgoing_chmod: set.outgoing_chmod.clone(),
                numeric_ids: confined.numeric_ids,
                munge_symlinks: munge,
                fake_super: set.fake_super,
                open_noatime: set.open_noatime,
                readable_only: set.ignore_nonreadable,
                refused: set.refused.clone(),
                max_verbosity: set.max_verbosity,
                timeout: set.timeout,
                dont_compress: set.dont_compress.clone(),
                ignore_errors: set.ignore_errors,
                log_format: set.transfer_logging.then(|| set.log_format.clone()),
            },
            peer: self.peer,
            user: admitted.user,
            key: admitted.key,
            log: own_log,
            slot,
        })
    }

    /// Whether links are munged, which a directory of that name would turn into links that lead somewhere.
    fn munges(&self, module: &Module, roots: &Roots, confined: &Confined) -> Result<bool, String> {
        let root_of_chroot = confined.chroot && roots.outer.is_none();
        if !module.settings.munge_symlinks.unwrap_or(!root_of_chroot) {
            return Ok(false);
        }
        let there = Name::parse(b"rsyncd-munged").ok().map(|name| roots.module.stat_if_any(&name));
        match there {
            Some(Ok(None)) => Ok(true),
            Some(Err(e)) => Err(format!("look for rsyncd-munged in the module: {}", std::io::Error::from(e))),
            _ => Err("`munge symlinks` needs that there is no rsyncd-munged in the module".into()),
        }
    }
}
