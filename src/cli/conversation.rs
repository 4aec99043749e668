//! What a daemon says to its client, in frames: [`Conversation`] over the session's handshake.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use super::compress;
use super::signalled::Signalled;
use super::warden::{Place, Warden};
use crate::auth::Transcript;
use crate::daemon::conversation::{Conversation, Listed, ModuleSession, Refusal, Request};
use crate::engine::stream::Patience;
use crate::event::Meter;
use crate::path::operand;
use crate::process::inherited::Connection;
use crate::session::frames::LinkError;
use crate::session::handshake::{Greeted, greet};
use crate::session::module::Module;
use crate::session::remote::{self, Served};
use crate::wire::handshake::{MODULES_MAX, Module as OnWire};
use crate::wire::{Fatal, Features, FrameKind, Header, Hello, Message as _, ToClient, ToServer};

/// The longest silence of a client that was let in and has not said what it wants: it has nothing to wait for
/// then, and takes one of the module's connections.
const REQUEST: Duration = Duration::from_secs(10);

/// rsync's status for a client-server protocol that did not start.
const REFUSED: u8 = 5;

/// The talk with one client.
pub struct Talk {
    /// The connection, until hello has been said.
    connection: Option<Connection>,
    link: Option<Greeted>,
    deadline: Instant,
    stop: Arc<AtomicBool>,
}

/// Begins the talk with a client, whose login has to be over by `deadline`.
#[must_use]
pub fn begin(connection: Connection, deadline: Instant) -> Box<dyn Conversation> {
    Box::new(Talk { connection: Some(connection), link: None, deadline, stop: Arc::default() })
}

/// All that a client is sent that is refused unheard: a hello and the refusal. No session comes of it, so its random
/// number may be any.
#[must_use]
pub fn unheard(refusal: &Refusal) -> Vec<u8> {
    let hello = Hello::ours(Features::NONE, [0; 32]).encode();
    let message = ToClient::Refused(Fatal { code: REFUSED, text: refusal.to_string() });
    let mut payload = Vec::new();
    let encoded = message.encode(&mut payload);
    let header = encoded.and_then(|()| Header::new(FrameKind::Control, payload.len()));
    // It is short, and there is nothing in it that could not be encoded.
    header.map_or_else(|_| Vec::new(), |header| [&hello[..], &header.encode(), &payload].concat())
}

impl Talk {
    fn link(&mut self) -> Result<&mut Greeted, String> {
        self.link.as_mut().ok_or_else(|| "no hello was said".into())
    }

    fn step(&mut self) -> Result<Vec<u8>, String> {
        match self.link()?.reader.expect::<ToServer>().map_err(text)? {
            ToServer::Auth(step) => Ok(step),
            _ => Err("protocol error: the login was left in its middle".into()),
        }
    }
}

fn text(e: LinkError) -> String {
    e.to_string()
}

impl Conversation for Talk {
    fn request(&mut self, motd: &[u8]) -> Result<Request, String> {
        let Connection { input, output, .. } = self.connection.take().ok_or("the connection is gone")?;
        let patience = Patience { stop: Arc::clone(&self.stop), idle: None, until: Some(self.deadline) };
        let mut link = greet(input, output, &patience).map_err(text)?;
        if !motd.is_empty() {
            link.writer.push(&ToClient::Motd(motd.to_vec())).map_err(text)?;
            link.writer.flush().map_err(text)?;
        }
        let asked = link.reader.expect::<ToServer>().map_err(text)?;
        self.link = Some(link);
        match asked {
            ToServer::ListModules => Ok(Request::List),
            ToServer::Module { name } => Ok(Request::Module(name)),
            _ => {
                // The client may not be there to hear it.
                let text = "what is started there serves modules, and no paths: HOST::MODULE";
                let _unheard = self.link()?.refuse(REFUSED, text);
                Err("protocol error: neither a module nor their list was asked for".into())
            }
        }
    }

    fn list(&mut self, modules: &[Listed<'_>]) -> Result<(), String> {
        let link = self.link()?;
        let mut parts = modules.chunks(MODULES_MAX / 8).peekable();
        loop {
            let part = parts.next().unwrap_or_default();
            let modules = part
                .iter()
                .map(|module| OnWire { name: module.name.to_vec(), comment: module.comment.to_vec() })
                .collect();
            let last = parts.peek().is_none();
            link.writer.push(&ToClient::Modules { modules, last }).map_err(text)?;
            if last {
                return link.writer.flush().map_err(text);
            }
        }
    }

    fn refuse(&mut self, refusal: &Refusal) {
        if let Some(link) = &mut self.link {
            // A client that has gone away need not be told.
            let _unheard = link.refuse(REFUSED, refusal.to_string());
        }
    }

    fn challenge(&mut self) -> Result<Vec<u8>, String> {
        self.link()?.writer.send(&ToClient::AuthNeeded(Vec::new())).map_err(text)?;
        self.step()
    }

    fn transcript(&self, module: &[u8], user: &[u8]) -> Transcript {
        let hellos = self.link.as_ref().map(|link| (link.theirs.encode(), link.ours.encode()));
        let (client, server) = hellos.as_ref().map_or((&[][..], &[][..]), |(a, b)| (a, b));
        Transcript::new(client, server, module, user)
    }

    fn answer(&mut self, message: &[u8]) -> Result<Vec<u8>, String> {
        self.link()?.writer.send(&ToClient::Auth(message.to_vec())).map_err(text)?;
        self.step()
    }

    fn serve(mut self: Box<Self>, session: ModuleSession) -> Result<(), String> {
        let mut link = self.link.take().ok_or("no hello was said")?;
        let ModuleSession { root, rules, path, peer, user, key, log, slot: _slot } = session;
        if !operand::begin_all_paths_at(root) {
            return Err("this process has served already".into());
        }
        let meter = Meter { stop: Arc::clone(&self.stop), ..Meter::default() };
        Signalled::watch(&meter).map_err(|e| format!("register signal handlers: {e}"))?;
        // Until the client has said what it wants; then the module's own limit holds.
        let idle = rules.timeout.map_or(REQUEST, |timeout| timeout.min(REQUEST));
        link.set_patience(&Patience { stop: Arc::clone(&self.stop), idle: Some(idle), until: None });
        link.writer.send(&ToClient::Granted).map_err(text)?;
        if let Some(key) = key {
            link.seal(*key.bytes(), true);
        }
        let place = Place {
            address: peer.ip(),
            module: &rules.name,
            user: user.as_deref().unwrap_or_default(),
            path: &path,
        };
        let format = rules.log_format.as_deref();
        let warden = Warden::new(log, rules.refused, rules.max_verbosity, format, place);
        let module = Module {
            name: rules.name,
            read_only: rules.read_only,
            write_only: rules.write_only,
            filter: rules.filter,
            incoming_chmod: rules.incoming_chmod,
            outgoing_chmod: rules.outgoing_chmod,
            numeric_ids: rules.numeric_ids,
            munge_links: rules.munge_symlinks,
            fake_super: rules.fake_super,
            open_noatime: rules.open_noatime,
            readable_only: rules.readable_only,
            ignore_errors: rules.ignore_errors,
            timeout: rules.timeout,
            dont_compress: rules.dont_compress.map(|words| compress::names(&words)),
        };
        remote::serve(link, Served::Module(module, Arc::new(warden)), &meter).map_err(|e| match e {
            LinkError::Fatal(code, why) => format!("{why} (code {code})"),
            e => e.to_string(),
        })
    }
}
