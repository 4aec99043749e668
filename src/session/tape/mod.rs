//! Batches: a session that is recorded (`--write-batch`), and one that is played again (`--read-batch`).
//!
//! A batch file is what a sender has said: the frames that would go, or went, to its receiver (`docs/batch.md`).
//! It is recorded on the client's side, whichever role that plays: a sender's writer and a receiver's reader
//! both pass what they handle to a `Tape`. On one machine the two roles are played by two threads with a
//! socket between them. To play it, the ordinary receiver is given a sender that answers from the file
//! (`replay`); a batch is believed no more than any peer.

use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use super::expected::Expected;
use super::frames::LinkError;
use super::handshake::{Greeted, greet};
use super::pace::Pacer;
use super::remote::{self, Beside};
use super::{Ended, Options, Summary, mounts, selection, sender};
use crate::engine::Engine;
use crate::engine::stream::{Patience, StreamError};
use crate::event::{Event, Meter, Note, Observer};
use crate::path::held::Budget;
use crate::path::operand;
use crate::sys::{Errno, thread};
use crate::wire::VERSIONS;
use crate::wire::batch::{Content, Head};

pub(super) use index::Batch;
pub(super) use writer::Tape;

mod index;
mod replay;
mod writer;

/// `--write-batch`: what is to be written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Wanted {
    /// The batch file, as typed.
    pub file: OsString,
    /// What `FILE.sh` holds.
    pub script: Vec<u8>,
}

/// Begins to record a session of these options, if they ask for it; `file_key` is the key of its files' digests.
///
/// # Errors
///
/// The file cannot be made.
pub(super) fn begin(options: &Options, file_key: Option<[u8; 32]>) -> Result<Option<Tape>, LinkError> {
    let Some(wanted) = &options.record else { return Ok(None) };
    let head = Head { protocol: VERSIONS.1, content: content(&options.plan), file_key };
    Tape::begin(wanted, &head).map(Some)
}

/// Gives what was recorded its name, if the run came to its end.
///
/// # Errors
///
/// It cannot be written.
pub(super) fn end(tape: Option<Tape>, ended: Ended) -> Result<(), LinkError> {
    match tape {
        Some(tape) if ended == Ended::Complete => tape.end(),
        // What was not done whole cannot be done again.
        _ => Ok(()),
    }
}

/// The options that shape a listing: bit, rsync's name, and where the option is.
#[allow(clippy::type_complexity)] // a table
const SHAPING: &[(Content, &str, fn(&mut crate::plan::Options) -> &mut bool)] = &[
    (Content::RECURSIVE, "--recurse (-r)", |plan| &mut plan.recursive),
    (Content::OWNER, "--owner (-o)", |plan| &mut plan.owner),
    (Content::GROUP, "--group (-g)", |plan| &mut plan.group),
    (Content::LINKS, "--links (-l)", |plan| &mut plan.links.preserve),
    (Content::DEVICES, "--devices", |plan| &mut plan.devices),
    (Content::SPECIALS, "--specials", |plan| &mut plan.specials),
    (Content::HARD_LINKS, "--hard-links (-H)", |plan| &mut plan.hard_links),
    (Content::CHECKSUM, "--checksum (-c)", |plan| &mut plan.checksum),
    (Content::DIRS, "--dirs (-d)", |plan| &mut plan.dirs),
    (Content::ACLS, "--acls (-A)", |plan| &mut plan.acls),
    (Content::ATIMES, "--atimes (-U)", |plan| &mut plan.atimes),
    (Content::FILE_FLAGS, "--fileflags", |plan| &mut plan.file_flags),
];

fn content(plan: &crate::plan::Options) -> Content {
    let mut plan = plan.clone();
    let xattrs = plan.xattrs;
    let all = SHAPING.iter().fold(Content::default(), |all, (bit, _, of)| all.with(*bit, *of(&mut plan)));
    all.with(Content::XATTRS, xattrs > 0).with(Content::ALL_XATTRS, xattrs > 1)
}

/// Has the options be what the batch was written with, as far as they shape what it lists; returns what there
/// is to tell of it.
fn match_options(plan: &mut crate::plan::Options, content: Content) -> Vec<Note> {
    let mut notes = Vec::new();
    for (bit, name, of) in SHAPING {
        let (option, on) = (of(plan), content.has(*bit));
        if *option != on {
            *option = on;
            notes.push(Note::BatchOption((*name).into(), on));
        }
    }
    let xattrs = u8::from(content.has(Content::XATTRS)) + u8::from(content.has(Content::ALL_XATTRS));
    if (plan.xattrs > 0) != (xattrs > 0) {
        notes.push(Note::BatchOption("--xattrs (-X)".into(), xattrs > 0));
    }
    plan.xattrs = xattrs;
    notes
}

/// Runs a transfer on this machine that is recorded.
///
/// # Errors
///
/// The operands or options can never be right ([`LinkError::Fatal`] with 1), or the batch cannot be written.
pub fn local(options: &Options, meter: &Meter, observer: &dyn Observer) -> Result<Summary, LinkError> {
    // Between two threads nothing gets faster by it.
    let options = &Options { compress: None, ..options.clone() };
    let budget = Budget::new(operand::raise_descriptor_limit());
    let mut selection = selection::select(options, &budget).map_err(|text| LinkError::Fatal(1, text))?;
    mounts::guard(options, &mut selection);
    let beside = Beside { sources: selection.sources.clone(), ..Beside::default() };
    let mut tape = begin(options, None)?;
    let (near, far) = pair(meter)?;
    // What is received is what counts: the sender's own figures are no one's.
    let own = Meter { stop: Arc::clone(&meter.stop), ..Meter::default() };
    let (sent, tape, received) = std::thread::scope(|scope| {
        let sending = thread::start(scope, || {
            let engine = Engine::new(options.engine);
            let pacer = Pacer::new(&own, options.apply.bwlimit, options.deadline);
            let Greeted { mut reader, mut writer, .. } = near;
            writer.record_on(tape.take());
            let (reader, writer_) = (&mut reader, &mut writer);
            let sent = sender::send(options, &selection, &engine, &pacer, &own, None, reader, writer_);
            (sent, writer.take_tape())
        });
        let sending = sending.map_err(LinkError::NoThread)?;
        let received =
            remote::receive(far, options, Expected::of(options, false), meter, observer, None, beside);
        let (sent, tape) = sending.join().unwrap_or((Err(StreamError::Closed.into()), None));
        Ok::<_, LinkError>((sent, tape, received))
    })?;
    let summary = first_cause(sent, received)?;
    end(tape, summary.ended)?;
    Ok(Summary { traffic: None, ..summary })
}

/// Of two sides of one session, what the one that knows says: a side that sees the other gone, or hears that it is to
/// stop, may do so because of that.
fn first_cause<T>(
    sent: Result<T, LinkError>,
    received: Result<Summary, LinkError>,
) -> Result<Summary, LinkError> {
    match (sent, received) {
        (Ok(_), received) => received,
        (Err(_), Ok(summary)) if summary.ended != Ended::Complete => Ok(summary),
        (Err(e), _) if !is_over(&e) => Err(e),
        (Err(_), Err(e)) if !is_over(&e) => Err(e),
        (Err(e), Ok(_)) => Err(e),
        // Neither has anything against the other: the run was to stop, and one was faster.
        (Err(_), Err(_)) => Err(StreamError::Stopped.into()),
    }
}

/// Whether a side says no more than that there is nobody to talk to, or that it is to stop.
fn is_over(e: &LinkError) -> bool {
    matches!(e, LinkError::Stream(StreamError::Closed | StreamError::Stopped))
}

/// Updates the destination from the batch in `file`, a regular file that is called `name`.
///
/// # Errors
///
/// It is none that can be used, or is damaged (nothing was touched then); or it cannot be read any more.
pub fn read(
    options: &Options,
    file: OwnedFd,
    name: &std::ffi::OsStr,
    meter: &Meter,
    observer: &dyn Observer,
) -> Result<Summary, LinkError> {
    let batch = Arc::new(Batch::open(file, writer::shown(name), &meter.stop)?);
    let mut options = Options { compress: None, ..options.clone() };
    for note in match_options(&mut options.plan, batch.head.content) {
        observer.event(&Event::Note(note));
    }
    let (near, mut far) = pair(meter)?;
    far.reader.unpack();
    let file_key = batch.head.file_key;
    let beside = Beside { file_key, batch: Some(Arc::clone(&batch)), ..Beside::default() };
    let own = Meter { stop: Arc::clone(&meter.stop), ..Meter::default() };
    let (sent, received) = std::thread::scope(|scope| {
        let sending = thread::start(scope, || {
            let pacer = Pacer::new(&own, options.apply.bwlimit, options.deadline);
            let Greeted { mut reader, mut writer, .. } = near;
            replay::replay(&batch, &pacer, &mut reader, &mut writer)
        });
        let sending = sending.map_err(LinkError::NoThread)?;
        let expected = Expected::of(&options, false);
        let received = remote::receive(far, &options, expected, meter, observer, None, beside);
        Ok::<_, LinkError>((sending.join().unwrap_or(Err(StreamError::Closed.into())), received))
    })?;
    first_cause(sent, received)
}

/// The two ends of a session within this process, which have said hello to each other.
fn pair(meter: &Meter) -> Result<(Greeted, Greeted), LinkError> {
    let failed = |e: std::io::Error| -> LinkError {
        let source = Errno::from_raw(e.raw_os_error().unwrap_or(0));
        StreamError::Failed { op: "make a pair of sockets", source }.into()
    };
    let patience = Patience { stop: Arc::clone(&meter.stop), idle: None, until: None };
    let (near, far) = UnixStream::pair().map_err(failed)?;
    let greet = |end: UnixStream| greet(end.try_clone().map_err(failed)?.into(), end.into(), &patience);
    std::thread::scope(|scope| {
        let near = thread::start(scope, || greet(near)).map_err(LinkError::NoThread)?;
        let far = greet(far);
        match (near.join().unwrap_or(Err(StreamError::Closed.into())), far) {
            (Ok(near), Ok(far)) => Ok((near, far)),
            (Err(e), _) | (_, Err(e)) if !is_over(&e) => Err(e),
            _ => Err(StreamError::Stopped.into()),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_become_those_of_the_batch_and_that_is_told() {
        let written = crate::plan::Options { recursive: true, acls: true, xattrs: 2, ..Default::default() };
        let mut plan = crate::plan::Options { checksum: true, acls: true, ..Default::default() };
        let notes = match_options(&mut plan, content(&written));
        let told = |name: &'static str, on| Note::BatchOption(name.into(), on);
        let expected =
            [told("--recurse (-r)", true), told("--checksum (-c)", false), told("--xattrs (-X)", true)];
        assert_eq!(notes, expected);
        assert!(plan.recursive && !plan.checksum && plan.acls && plan.xattrs == 2);
        assert!(match_options(&mut plan, content(&written)).is_empty());
    }
}
