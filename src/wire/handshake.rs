//! What client and server say after the hello, until the session begins.

use serde::{Deserialize, Serialize};

use super::Fatal;
use super::codec::{Flaw, Message, list, require};

/// The longest name of a module in bytes, and the longest comment: they are lines of a configuration.
pub const MODULE_MAX: usize = 1024;

/// Most modules in one message; a longer list comes in parts.
pub const MODULES_MAX: usize = 1024;

/// Most operands in one message; more come in [`ToServer::More`].
pub const OPERANDS_MAX: usize = 4096;

/// The longest message of an authentication in bytes: key exchanges need a few hundred, and whoever sends
/// them is not known yet.
pub const AUTH_MAX: usize = 4096;

/// What the server is to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Role {
    /// The client receives.
    Sender,
    /// The client sends.
    Receiver,
}

/// A message to the server.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum ToServer {
    /// To a daemon: which modules are there?
    ListModules,
    /// To a daemon: the module that operands and options are about.
    Module {
        /// 1 to [`MODULE_MAX`] bytes.
        #[serde(with = "serde_bytes")]
        name: Vec<u8>,
    },
    /// A step of the authentication, as its method has it; 1 to [`AUTH_MAX`] bytes.
    Auth(#[serde(with = "serde_bytes")] Vec<u8>),
    /// A part of the request that [`ToServer::Start`] ends.
    More {
        /// See [`ToServer::Start`].
        #[serde(with = "serde_bytes")]
        options: Vec<u8>,
        /// See [`ToServer::Start`].
        #[serde(deserialize_with = "list::<_, _, OPERANDS_MAX>")]
        operands: Vec<serde_bytes::ByteBuf>,
    },
    /// The session is to begin.
    Start {
        /// What the server is to be.
        role: Role,
        /// The last part of the encoded options.
        #[serde(with = "serde_bytes")]
        options: Vec<u8>,
        /// The last of the operands, as typed. At most [`OPERANDS_MAX`].
        #[serde(deserialize_with = "list::<_, _, OPERANDS_MAX>")]
        operands: Vec<serde_bytes::ByteBuf>,
    },
}

/// A module as a daemon lists it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Module {
    /// Its name, 1 to [`MODULE_MAX`] bytes.
    #[serde(with = "serde_bytes")]
    pub name: Vec<u8>,
    /// What it is, in a line, at most [`MODULE_MAX`] bytes.
    #[serde(with = "serde_bytes")]
    pub comment: Vec<u8>,
}

/// A message to the client.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum ToClient {
    /// The daemon's message of the day; at most once, before anything else.
    Motd(#[serde(with = "serde_bytes")] Vec<u8>),
    /// The modules; in parts where there are many.
    Modules {
        /// At most [`MODULES_MAX`].
        #[serde(deserialize_with = "list::<_, _, MODULES_MAX>")]
        modules: Vec<Module>,
        /// No part follows, and the connection ends.
        last: bool,
    },
    /// The module wants to know who asks; what its method needs to begin, at most [`AUTH_MAX`] bytes.
    AuthNeeded(#[serde(with = "serde_bytes")] Vec<u8>),
    /// A step of the authentication; 1 to [`AUTH_MAX`] bytes.
    Auth(#[serde(with = "serde_bytes")] Vec<u8>),
    /// The module may be used: a request may follow.
    Granted,
    /// The session begins.
    Ready,
    /// It does not, and the connection ends.
    Refused(Fatal),
    /// Names that a client which sends has asked for, before [`ToClient::Ready`]; in parts of at most
    /// [`OPERANDS_MAX`].
    Names(#[serde(deserialize_with = "list::<_, _, OPERANDS_MAX>")] Vec<serde_bytes::ByteBuf>),
}

impl Message for ToServer {
    const TO: &'static str = "server";
    const NAMES: &'static [&'static str] = &["ListModules", "Module", "Auth", "More", "Start"];

    fn check(&self) -> Result<(), Flaw> {
        match self {
            ToServer::Module { name } => named(name, "name"),
            ToServer::Auth(step) => auth(step, 1),
            ToServer::ListModules | ToServer::More { .. } | ToServer::Start { .. } => Ok(()),
        }
    }
}

impl Message for ToClient {
    const TO: &'static str = "client";
    const NAMES: &'static [&'static str] =
        &["Motd", "Modules", "AuthNeeded", "Auth", "Granted", "Ready", "Refused", "Names"];

    fn check(&self) -> Result<(), Flaw> {
        match self {
            ToClient::Modules { modules, .. } => modules.iter().try_for_each(|module| {
                named(&module.name, "modules.name")?;
                require(module.comment.len() <= MODULE_MAX, "modules.comment", "longer than 1024 bytes")
            }),
            ToClient::AuthNeeded(step) => auth(step, 0),
            ToClient::Auth(step) => auth(step, 1),
            ToClient::Refused(fatal) => fatal.check(),
            ToClient::Motd(_) | ToClient::Granted | ToClient::Ready | ToClient::Names(_) => Ok(()),
        }
    }
}

fn named(name: &[u8], field: &str) -> Result<(), Flaw> {
    require((1..=MODULE_MAX).contains(&name.len()), field, "a module's name has 1 to 1024 bytes")
}

fn auth(step: &[u8], min: usize) -> Result<(), Flaw> {
    require((min..=AUTH_MAX).contains(&step.len()), "step", "longer than 4096 bytes, or empty")
}
