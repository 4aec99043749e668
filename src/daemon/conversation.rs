//! What the daemon needs of the protocol, and what the protocol gets of the daemon.
//!
//! The daemon knows neither frames nor messages: whoever does implements [`Conversation`], and is asked in
//! this order: [`Conversation::request`]; then one of [`Conversation::list`], [`Conversation::refuse`], or,
//! for a module with passwords, [`Conversation::challenge`] and [`Conversation::answer`]; at last
//! [`Conversation::serve`].

use std::net::SocketAddr;
use std::time::Duration;

use super::log::Log;
use super::refuse::Refused;
use crate::auth::{SessionKey, Transcript};
use crate::path::Dir;
use crate::plan::chmod;
use crate::plan::filter::Rules;
use crate::process::slots::Slot;

/// The talk with one client. Until [`Conversation::serve`] every wait ends at the deadline that it was made
/// with; an error of any method is a text for the log, and ends the connection. No thread may be started
/// before [`Conversation::serve`]: it would keep rights that the process gives up.
pub trait Conversation {
    /// Exchanges hellos, shows `motd` (unless it is empty) and returns what the client asks for.
    ///
    /// # Errors
    ///
    /// The peer is gone, too slow, or speaks something else.
    fn request(&mut self, motd: &[u8]) -> Result<Request, String>;

    /// Answers [`Request::List`].
    ///
    /// # Errors
    ///
    /// The peer is gone.
    fn list(&mut self, modules: &[Listed<'_>]) -> Result<(), String>;

    /// Tells the client that it is refused, if it still listens.
    fn refuse(&mut self, refusal: &Refusal);

    /// Asks the client to log in; returns the first message of [`crate::auth`].
    ///
    /// # Errors
    ///
    /// As [`Conversation::request`].
    fn challenge(&mut self) -> Result<Vec<u8>, String>;

    /// Both hellos as they were, with the module and the user that were asked for.
    fn transcript(&self, module: &[u8], user: &[u8]) -> Transcript;

    /// Sends the second message of [`crate::auth`] and returns the third.
    ///
    /// # Errors
    ///
    /// As [`Conversation::request`].
    fn answer(&mut self, message: &[u8]) -> Result<Vec<u8>, String>;

    /// Tells the client that it is let in, and serves the module. The process can reach nothing else any more.
    ///
    /// # Errors
    ///
    /// What ended the session early.
    fn serve(self: Box<Self>, session: ModuleSession) -> Result<(), String>;
}

/// What a client wants.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Request {
    /// The names of the modules.
    List,
    /// The module of that name, as the client wrote it.
    Module(Vec<u8>),
}

/// A module in the list.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Listed<'a> {
    /// Its name.
    pub name: &'a [u8],
    /// What is said about it; may be empty.
    pub comment: &'a [u8],
}

/// Why a client is not served. The text is for it, and tells no more than it may know.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// No such module, or none that this address may know of.
    UnknownModule(Vec<u8>),
    /// The address may not use the module.
    AccessDenied(Vec<u8>),
    /// Wrong password, or a user who may not log in: not told which.
    LoginFailed(Vec<u8>),
    /// `max connections`.
    Full(Vec<u8>),
    /// Something is wrong on this side; the log says what.
    Unavailable(Vec<u8>),
    /// The configuration has a mistake; the log says which.
    Misconfigured,
    /// Too many logins from that address failed: nothing that comes from there is heard for a while.
    TooManyFailures,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (before, module, after) = match self {
            Refusal::Misconfigured => {
                return f.write_str("the daemon can serve nobody now: its log says why");
            }
            Refusal::TooManyFailures => {
                return f.write_str("too many logins from this address failed: try again later");
            }
            Refusal::UnknownModule(m) => ("unknown module", m, ""),
            Refusal::AccessDenied(m) => ("access denied to module", m, ""),
            Refusal::LoginFailed(m) => {
                ("login failed on module", m, ": wrong password, or this user may not")
            }
            Refusal::Full(m) => ("all connections are taken on module", m, ": try again later"),
            Refusal::Unavailable(m) => ("module", m, " cannot be served now: the daemon's log says why"),
        };
        write!(f, "{before} \"{}\"{after}", crate::path::escape(module))
    }
}

/// One client, let in: everything that serving it needs, in a process that can do nothing else.
#[derive(Debug)]
pub struct ModuleSession {
    /// The module's directory.
    pub root: Dir,
    /// Its path as configured, for the log.
    pub path: Vec<u8>,
    /// What may be done in it, and how.
    pub rules: ModuleRules,
    /// The client's address.
    pub peer: SocketAddr,
    /// The user who logged in; `None` in a module without passwords.
    pub user: Option<Vec<u8>>,
    /// The key of the session, if there was a login: for frames and digests.
    pub key: Option<SessionKey>,
    /// Where events go.
    pub log: Log,
    /// The place among `max connections`, held for as long as the session lasts.
    pub slot: Option<Slot>,
}

/// The parameters of a module as they hold for one session.
#[derive(Clone, Debug)]
#[allow(clippy::struct_excessive_bools)] // they are rsync's switches
pub struct ModuleRules {
    /// The module's name.
    pub name: Vec<u8>,
    /// Nothing may be uploaded; the kernel knows it too.
    pub read_only: bool,
    /// Nothing may be downloaded.
    pub write_only: bool,
    /// What does not exist for the client.
    pub filter: Rules,
    /// Changes to the modes of what is uploaded, after everything else.
    pub incoming_chmod: Vec<chmod::Rule>,
    /// Changes to the modes that the client is told, before everything else.
    pub outgoing_chmod: Vec<chmod::Rule>,
    /// Owners and groups go by number.
    pub numeric_ids: bool,
    /// Symbolic links are stored munged, and told as they were before.
    pub munge_symlinks: bool,
    /// What only root could keep is written down, and read from there.
    pub fake_super: bool,
    /// Whether reading a file leaves its access time; `None`: as the client asks.
    pub open_noatime: Option<bool>,
    /// What cannot be read does not exist for the client.
    pub readable_only: bool,
    /// Options that the client may not use.
    pub refused: Refused,
    /// The highest level of `-v` that counts.
    pub max_verbosity: u8,
    /// Silence after which the session ends; `None`: what the client says.
    pub timeout: Option<Duration>,
    /// Patterns of names that are not compressed; `None`: the usual suffixes.
    pub dont_compress: Option<Vec<Vec<u8>>>,
    /// Deletion goes on after errors.
    pub ignore_errors: bool,
    /// The format of a line for each file; `None`: no such lines.
    pub log_format: Option<Vec<u8>>,
}
