//! `Warden`: what a daemon's configuration and log have to do with a session in one of its modules.

use std::net::IpAddr;

use super::asked;
use super::clock::Clock;
use super::notes;
use super::reporting::{Debug as DebugLevels, Info, Reporting};
use super::served_lines::ServedLines;
use crate::daemon::log::Log;
use crate::daemon::refuse::Refused;
use crate::event::{Event, Item};
use crate::path::{RelPath, escape};
use crate::session::Options;
use crate::session::watch::Watch;
use crate::wire::Role;

/// See the module.
#[derive(Debug)]
pub struct Warden {
    log: Log,
    refused: Refused,
    /// What clients are told of at most.
    levels: Reporting,
    lines: Option<ServedLines>,
    clock: Clock,
    from: String,
}

/// With whom, and where, a session is: what the escapes of a daemon's log stand for.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The client's address (`%a`, `%h`).
    pub address: IpAddr,
    /// The module's name (`%m`).
    pub module: &'a [u8],
    /// Who logged in (`%u`); may be empty.
    pub user: &'a [u8],
    /// The module's path (`%P`).
    pub path: &'a [u8],
}

impl Warden {
    /// Writes to `log`; `format` is that of a line for each file, if there is to be one.
    #[must_use]
    pub fn new(
        log: Log,
        refused: Refused,
        max_verbosity: u8,
        format: Option<&[u8]>,
        place: Place<'_>,
    ) -> Warden {
        let lines = format.map(|format| {
            let address = place.address.to_string().into_bytes();
            let known: [(u8, &[u8]); 5] = [
                (b'a', &address),
                (b'h', &address),
                (b'm', place.module),
                (b'u', place.user),
                (b'P', place.path),
            ];
            ServedLines::new(format, &known, false)
        });
        let levels = Reporting {
            // What `-i` shows is no matter of verbosity.
            out_format: Some(b"%i".to_vec()),
            info: Info::at_verbosity(max_verbosity),
            debug: DebugLevels::at_verbosity(max_verbosity),
            ..Reporting::default()
        };
        let module = escape(place.module);
        let from = format!("module \"{module}\" for {}", place.address);
        Warden { log, refused, levels, lines, clock: Clock::local(), from }
    }
}

impl Watch for Warden {
    fn refuses(&self, role: Role, options: &Options) -> Option<String> {
        let option = asked::refused(&self.refused, role, options)?;
        Some(format!("The server is configured to refuse {option}"))
    }

    fn refused(&self, why: &str) {
        self.log.line(&format!("{}: refused: {why}", self.from));
    }

    fn happened(&self, path: &RelPath, event: &Event) {
        let line = match (event, &self.lines) {
            (Event::Problem(problem), _) => {
                let text = super::problem::line(problem);
                return self.log.line(&format!("{}: {}", self.from, escape(&text)));
            }
            (Event::Note(_), _) | (_, None) => return,
            (Event::Item(item), Some(lines)) => {
                let named = Item { source: path.as_bytes().to_vec(), ..item.clone() };
                lines.updated(&named, &self.clock)
            }
            (Event::Deleted { kind, .. }, Some(lines)) => Some(lines.deleted(path, *kind, &self.clock)),
        };
        if let Some(line) = line {
            self.log.line(&escape(&line));
        }
    }

    fn tells(&self, event: &Event) -> bool {
        match event {
            Event::Note(note) => notes::line(note, &self.levels).is_some(),
            _ => true,
        }
    }

    fn ended(&self, sent: u64, received: u64, _: u64) {
        self.log.line(&format!("{}: done, sent {sent} bytes  received {received} bytes", self.from));
    }
}
