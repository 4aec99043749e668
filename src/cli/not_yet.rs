//! The protocol's side of a daemon's connection, as long as there is none: it ends every connection, and says why.

use std::net::TcpStream;
use std::time::Instant;

use crate::auth::Transcript;
use crate::daemon::conversation::{Conversation, Listed, ModuleSession, Refusal, Request};

const NOT_YET: &str = "this sluice does not speak its protocol yet";

struct NotYet;

/// See the module.
#[must_use]
pub fn begin(_stream: TcpStream, _deadline: Instant) -> Box<dyn Conversation> {
    Box::new(NotYet)
}

impl Conversation for NotYet {
    fn request(&mut self, _motd: &[u8]) -> Result<Request, String> {
        Err(NOT_YET.into())
    }

    fn list(&mut self, _modules: &[Listed<'_>]) -> Result<(), String> {
        Err(NOT_YET.into())
    }

    fn refuse(&mut self, _refusal: &Refusal) {}

    fn challenge(&mut self) -> Result<Vec<u8>, String> {
        Err(NOT_YET.into())
    }

    fn transcript(&self, module: &[u8], user: &[u8]) -> Transcript {
        Transcript::new(b"", b"", module, user)
    }

    fn answer(&mut self, _message: &[u8]) -> Result<Vec<u8>, String> {
        Err(NOT_YET.into())
    }

    fn serve(self: Box<Self>, _session: ModuleSession) -> Result<(), String> {
        Err(NOT_YET.into())
    }
}
