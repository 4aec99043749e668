//! The daemon's log: one event a line, in a file, on standard error, or with syslog.

use std::fs::File;
use std::io::Write as _;
use std::os::unix::net::UnixDatagram;

use jiff::Timestamp;

use super::config::Settings;
use crate::path::{escape, operand};

/// Where syslog listens.
const SYSLOG: &str = "/dev/log";

/// A log that stays open whatever the process gives up later.
#[derive(Debug)]
pub struct Log {
    sink: Sink,
    /// Looked up once, while the system's files can be read.
    zone: jiff::tz::TimeZone,
}

#[derive(Debug)]
enum Sink {
    File(File),
    Stderr,
    Syslog { socket: UnixDatagram, head: Vec<u8> },
    Nowhere,
}

impl Log {
    /// Opens the log that `settings` name. Without a name: standard error, if `stderr` says that somebody
    /// hears it, else syslog, else nothing.
    ///
    /// # Errors
    ///
    /// The file cannot be opened. Not to be passed over: whoever names a log relies on it.
    pub fn open(settings: &Settings, stderr: bool) -> Result<Log, String> {
        let sink = match &settings.log_file {
            Some(path) => Sink::File(operand::append_file(path).map_err(|e| e.to_string())?),
            None if stderr => Sink::Stderr,
            None => syslog(settings).unwrap_or(Sink::Nowhere),
        };
        Ok(Log { sink, zone: jiff::tz::TimeZone::system() })
    }

    /// The log of somebody who runs the daemon by hand.
    #[must_use]
    pub fn stderr() -> Log {
        Log { sink: Sink::Stderr, zone: jiff::tz::TimeZone::system() }
    }

    /// Writes one event. What a peer or a file has named in it is escaped already; a control character that
    /// is left all the same does no harm.
    pub fn line(&self, text: &str) {
        let escaped = text.chars().any(char::is_control).then(|| escape(text.as_bytes()));
        let text = escaped.as_deref().unwrap_or(text);
        let stamped = || {
            // Not `Zoned::now`, which would look the time zone up again.
            let now = Timestamp::now().to_zoned(self.zone.clone());
            let pid = std::process::id();
            // In one write: other processes append to the same file.
            format!("{} [{pid}] {text}\n", now.strftime("%Y/%m/%d %H:%M:%S"))
        };
        // There is nobody left to tell if it fails: the log is where one would.
        let _unheard = match &self.sink {
            Sink::File(file) => (&mut &*file).write_all(stamped().as_bytes()),
            Sink::Stderr => std::io::stderr().write_all(stamped().as_bytes()),
            Sink::Syslog { socket, head } => socket.send(&[&head[..], text.as_bytes()].concat()).map(drop),
            Sink::Nowhere => Ok(()),
        };
    }
}

fn syslog(settings: &Settings) -> Option<Sink> {
    let socket = UnixDatagram::unbound().ok()?;
    socket.connect(SYSLOG).ok()?;
    // A full log must not hold a transfer up.
    socket.set_nonblocking(true).ok()?;
    let tag = escape(&settings.syslog_tag);
    let head = format!("<{}>{tag}[{}]: ", settings.syslog_facility.priority(), std::process::id());
    Some(Sink::Syslog { socket, head: head.into_bytes() })
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)] // the test reads what was logged
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_line_whatever_is_in_it() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("log");
        let settings = Settings { log_file: Some(path.clone().into()), ..Settings::default() };
        let log = Log::open(&settings, true).unwrap();
        log.line("connect from 192.0.2.1");
        log.line("a\nb\x1b[2J");
        let text = std::fs::read_to_string(path).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 2);
        assert!(lines[0].ends_with(&format!("[{}] connect from 192.0.2.1", std::process::id())));
        assert!(lines[1].ends_with("a\\#012b\\#033[2J"));
    }

    #[test]
    fn a_log_that_cannot_be_opened_is_an_error() {
        let settings = Settings { log_file: Some("/nonexistent/log".into()), ..Settings::default() };
        assert!(Log::open(&settings, true).unwrap_err().contains("/nonexistent/log"));
    }
}
