//! `Request`: what a client asks for, whole; it travels in parts where it is long.

use std::mem::take;

use serde_bytes::ByteBuf;

use super::codec::{PART_BYTES, parts};
use super::error::WireError;
use super::handshake::{OPERANDS_MAX, Role, ToServer};

/// The longest request over a remote shell, in bytes of options and operands, each operand counted with
/// [`OPERAND_COST`] more: `--files-from` and `--exclude-from` may be long lists.
pub const REQUEST_MAX: usize = 16 << 20;

/// The longest request to a daemon, counted the same way: decoded it may be 30 times as large, and a daemon's
/// child has 64 MiB for everything.
pub const DAEMON_REQUEST_MAX: usize = 1 << 20;

/// What an operand costs beyond its bytes.
pub const OPERAND_COST: usize = 32;

/// What a client asks for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Request {
    /// What the server is to be.
    pub role: Role,
    /// The session's options, encoded.
    pub options: Vec<u8>,
    /// The operands as typed, without host and module.
    pub operands: Vec<Vec<u8>>,
}

impl Request {
    /// The messages that say it: the last is [`ToServer::Start`], those before it [`ToServer::More`].
    #[must_use]
    pub fn into_messages(self) -> Vec<ToServer> {
        let mut messages = Vec::new();
        let mut chunks = self.options.chunks(PART_BYTES / 2).map(<[u8]>::to_vec);
        let mut options = chunks.next().unwrap_or_default();
        for next in chunks {
            messages.push(ToServer::More { options, operands: Vec::new() });
            options = next;
        }
        let mut operands = parts(self.operands.into_iter().map(ByteBuf::from).collect(), OPERANDS_MAX);
        let last = operands.pop().unwrap_or_default();
        for operands in operands {
            messages.push(ToServer::More { options: take(&mut options), operands });
        }
        messages.push(ToServer::Start { role: self.role, options, operands: last });
        messages
    }
}

/// A request as it arrives.
#[derive(Clone, Debug)]
pub struct Requesting {
    left: usize,
    options: Vec<u8>,
    operands: Vec<Vec<u8>>,
}

impl Requesting {
    /// Nothing has arrived of a request that may cost `limit`: [`REQUEST_MAX`] or [`DAEMON_REQUEST_MAX`].
    #[must_use]
    pub fn new(limit: usize) -> Requesting {
        Requesting { left: limit, options: Vec::new(), operands: Vec::new() }
    }

    /// Takes the next message: returns the request once it is whole.
    ///
    /// # Errors
    ///
    /// [`WireError::NotAllowed`]: not a part of a request, or the request is longer than the limit.
    pub fn take(&mut self, message: ToServer) -> Result<Option<Request>, WireError> {
        let refused = |message, cause: &str| {
            let (field, cause) = ("request".into(), cause.into());
            Err(WireError::NotAllowed { message, field, cause })
        };
        let (name, role, options, operands) = match message {
            ToServer::More { options, operands } => ("More", None, options, operands),
            ToServer::Start { role, options, operands } => ("Start", Some(role), options, operands),
            ToServer::ListModules => return refused("ListModules", "comes before a request"),
            ToServer::Module { .. } => return refused("Module", "comes before a request"),
            ToServer::Auth(_) => return refused("Auth", "comes before a request"),
        };
        let cost = options.len() + operands.iter().map(|o| o.len() + OPERAND_COST).sum::<usize>();
        let Some(left) = self.left.checked_sub(cost) else {
            return refused(name, "the options and operands are too long in all");
        };
        self.left = left;
        self.options.extend_from_slice(&options);
        self.operands.extend(operands.into_iter().map(ByteBuf::into_vec));
        Ok(role.map(|role| {
            let (options, operands) = (take(&mut self.options), take(&mut self.operands));
            Request { role, options, operands }
        }))
    }
}
