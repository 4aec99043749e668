//! The beginning of a conversation: hello, request, and what comes before the first listing.

use std::os::fd::OwnedFd;

use super::Options;
use super::frames::{FrameReader, FrameWriter, LinkError};
use crate::engine::stream::{Inlet, Outlet, Patience, StreamError};
use serde_bytes::ByteBuf;

use crate::wire::codec::{decode_value, encode_value, parts};
use crate::wire::handshake::OPERANDS_MAX;
use crate::wire::hello::{Agreed, agree};
use crate::wire::request::{OPERAND_COST, REQUEST_MAX, Request, Requesting};
use crate::wire::{Direction, Fatal, Features, Hello, Role, Seal, ToClient, ToServer, WireError};

/// A connection on which both sides have said hello.
#[derive(Debug)]
pub struct Greeted {
    /// Reads frames.
    pub reader: FrameReader,
    /// Writes frames.
    pub writer: FrameWriter,
    /// What this side said.
    pub ours: Hello,
    /// What the peer said.
    pub theirs: Hello,
    /// What both can do.
    pub agreed: Agreed,
    /// The session's key, once the client is authenticated.
    pub key: Option<[u8; 32]>,
}

/// Says hello on a connection, and hears the peer's.
///
/// # Errors
///
/// The peer is no sluice, speaks other versions only, or says nothing.
pub fn greet(input: OwnedFd, output: OwnedFd, patience: &Patience) -> Result<Greeted, LinkError> {
    let mut outlet = Outlet::new(output, patience.clone())?;
    let mut inlet = Inlet::new(input, patience.clone())?;
    let ours = Hello::ours(Features::ZSTD, crate::engine::stream::nonce()?);
    // What does not listen may have said why.
    let heard = match outlet.write_all(&ours.encode()) {
        Err(StreamError::Closed) => false,
        written => written.map(|()| true)?,
    };
    let mut theirs = [0; Hello::LEN];
    // Byte by byte as far as the magic, so that a peer that is something else is recognised at once.
    for at in 0..Hello::LEN {
        let byte = theirs.get_mut(at..=at).unwrap_or_default();
        if !inlet.read_exact(byte, true)? {
            return Err(if at == 0 { StreamError::Closed.into() } else { stranger(&theirs[..at]) });
        }
        let start = theirs.get(..=at).unwrap_or_default();
        if Hello::recognise(start).is_err() {
            let more = inlet.ahead();
            return Err(stranger(&[start, more.get(..SHOWN.min(more.len())).unwrap_or_default()].concat()));
        }
    }
    if !heard {
        return Err(StreamError::Closed.into());
    }
    let theirs = Hello::parse(&theirs)?;
    let agreed = agree(&ours, &theirs)?;
    let (reader, writer) = (FrameReader::new(inlet), FrameWriter::new(outlet));
    Ok(Greeted { reader, writer, ours, theirs, agreed, key: None })
}

/// How much of what a stranger says is shown, in bytes.
const SHOWN: usize = 60;

fn stranger(start: &[u8]) -> LinkError {
    WireError::Stranger(start.to_vec()).into()
}

impl Greeted {
    /// Changes how long is waited, in both directions.
    pub fn set_patience(&mut self, patience: &Patience) {
        self.reader.inlet().set_patience(patience.clone());
        self.writer.outlet().set_patience(patience.clone());
    }

    /// From here on all frames are sealed with `key`; `server`: this side is the server.
    pub fn seal(&mut self, key: [u8; 32], server: bool) {
        let (out, back) = if server {
            (Direction::ToClient, Direction::ToServer)
        } else {
            (Direction::ToServer, Direction::ToClient)
        };
        self.writer.seal(Seal::new(&key, out));
        self.reader.seal(Seal::new(&key, back));
        self.key = Some(key);
    }

    /// The key of files' digests.
    #[must_use]
    pub fn file_key(&self) -> Option<[u8; 32]> {
        self.key.as_ref().map(crate::wire::seal::file_key)
    }

    /// Asks the server to play `role` with these options and operands, and waits until it is ready; returns the
    /// names that it has read for this side, if it was asked to.
    ///
    /// # Errors
    ///
    /// It refuses ([`LinkError::Fatal`]), or the conversation is over.
    pub fn request(
        &mut self,
        role: Role,
        options: &Options,
        operands: Vec<Vec<u8>>,
    ) -> Result<Option<Vec<Vec<u8>>>, LinkError> {
        let asked = options.names_there.is_some();
        let options = encode_value("options", options)?;
        for message in (Request { role, options, operands }).into_messages() {
            self.writer.push(&message)?;
        }
        self.writer.flush()?;
        let mut names: Option<Vec<Vec<u8>>> = None;
        let mut left = REQUEST_MAX;
        loop {
            match self.reader.expect::<ToClient>()? {
                ToClient::Ready => return Ok(names),
                ToClient::Names(part) if asked && role == Role::Receiver => {
                    let cost = part.iter().map(|name| name.len() + OPERAND_COST).sum();
                    left = left.checked_sub(cost).ok_or_else(|| WireError::NotAllowed {
                        message: "Names",
                        field: "names".into(),
                        cause: "they are too long in all".into(),
                    })?;
                    names.get_or_insert_default().extend(part.into_iter().map(ByteBuf::into_vec));
                }
                ToClient::Refused(Fatal { code, text }) => return Err(LinkError::Fatal(code, text)),
                other => return Err(unexpected(&other)),
            }
        }
    }

    /// Tells the client, which sends, the names that it asked for (`--files-from=:FILE`).
    ///
    /// # Errors
    ///
    /// The conversation is over.
    pub fn tell_names(&mut self, names: Vec<Vec<u8>>) -> Result<(), LinkError> {
        for part in parts(names.into_iter().map(ByteBuf::from).collect(), OPERANDS_MAX) {
            self.writer.push(&ToClient::Names(part))?;
        }
        Ok(())
    }

    /// Waits for a client's request, of at most `limit` bytes: its role for this side, options and operands.
    ///
    /// # Errors
    ///
    /// The conversation is over.
    pub fn requested(&mut self, limit: usize) -> Result<(Role, Options, Vec<Vec<u8>>), LinkError> {
        let (mut requesting, mut first) = (Requesting::new(limit), true);
        loop {
            let message = self.reader.expect::<ToServer>()?;
            let module = matches!(message, ToServer::Module { .. } | ToServer::ListModules);
            if std::mem::take(&mut first) && module {
                self.refuse(5, "what is started there serves paths, and no modules: HOST:PATH")?;
                return Err(StreamError::Closed.into());
            }
            if let Some(Request { role, options, operands }) = requesting.take(message)? {
                let options = decode_value("options", &options)?;
                return Ok((role, options, operands));
            }
        }
    }

    /// Tells the client that the session begins.
    ///
    /// # Errors
    ///
    /// The conversation is over.
    pub fn ready(&mut self) -> Result<(), LinkError> {
        self.writer.send(&ToClient::Ready)
    }

    /// Tells the client that there is no session, and why.
    ///
    /// # Errors
    ///
    /// The conversation is over before that.
    pub fn refuse(&mut self, code: u8, text: impl Into<String>) -> Result<(), LinkError> {
        self.writer.send(&ToClient::Refused(Fatal { code: code.max(1), text: text.into() }))
    }
}

pub(super) fn unexpected(message: &ToClient) -> LinkError {
    let name = match message {
        ToClient::Motd(_) => "Motd",
        ToClient::Modules { .. } => "Modules",
        ToClient::AuthNeeded(_) => "AuthNeeded",
        ToClient::Auth(_) => "Auth",
        ToClient::Granted => "Granted",
        ToClient::Names(_) => "Names",
        ToClient::Ready => "Ready",
        ToClient::Refused(_) => "Refused",
    };
    WireError::NotAllowed { message: name, field: "order".into(), cause: "not now".into() }.into()
}
