//! `Teller`: what a server that receives tells its client, together with what else its side has to say.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use crossbeam_channel::{Receiver as Inbox, Sender as Outbox, bounded};

use super::Options;
use super::destination;
use super::frames::{FrameWriter, LinkError, idle};
use super::module;
use super::selection::Selection;
use super::watch::Watch;
use crate::event::{Event, Meter, Observer};
use crate::path::{RelPath, operand};
use crate::wire::to_sender::TOLD_MAX;
use crate::wire::{ToSender, parts};

/// Messages with events that may wait for the writer: some megabytes, if the client does not listen.
const UNTOLD: usize = 8;

/// How often the client is told how far a server has got that receives.
const BEAT: Duration = Duration::from_millis(250);

/// Events that are told in one message.
const TOLD: usize = 256;

/// Tells the client what happens, where the server receives.
pub(super) struct Teller {
    outbox: Mutex<Telling>,
    watch: Option<Arc<dyn Watch>>,
    /// The destination in a module, below which entries have their paths.
    base: OnceLock<RelPath>,
}

struct Telling {
    tell: Outbox<Vec<Event>>,
    events: Vec<Event>,
}

impl Teller {
    /// Tells whoever listens at the other end of the channel, as far as `watch` lets it, and `watch` itself.
    pub(super) fn new(watch: Option<Arc<dyn Watch>>) -> (Teller, Inbox<Vec<Event>>) {
        let (tell, told) = bounded(UNTOLD);
        let outbox = Mutex::new(Telling { tell, events: Vec::new() });
        (Teller { outbox, watch, base: OnceLock::new() }, told)
    }

    /// All that has been sent to `told`, and what waits until there is more to tell with it.
    fn waiting(&self, told: &Inbox<Vec<Event>>) -> Vec<Event> {
        // Not waited for: whoever has the lock may wait for room, and the caller is the one who makes it.
        let mut telling = self.outbox.try_lock().ok();
        let sent = told.try_iter().flatten();
        sent.chain(telling.iter_mut().flat_map(|telling| std::mem::take(&mut telling.events))).collect()
    }

    /// Sends what waits until there is more to tell with it.
    pub(super) fn flush(&self) {
        let mut telling = self.outbox.lock().unwrap_or_else(PoisonError::into_inner);
        let events = std::mem::take(&mut telling.events);
        if !events.is_empty() {
            // The connection is gone, and its reader says so.
            let _unheard = telling.tell.send(events);
        }
    }

    /// Where the destination is, once it is known what comes.
    pub(super) fn begin(&self, options: &Options, selection: &Selection) {
        let dest = options.dest.as_deref().unwrap_or_default();
        let typed = dest.as_encoded_bytes();
        let to_file =
            selection.single.is_some() && !typed.ends_with(b"/") && operand::open_dir(dest).is_err();
        let base = destination::base(dest, to_file);
        let base = options.module.as_ref().and_then(|_| module::place(&base));
        let _first = self.base.set(base.unwrap_or_else(RelPath::root));
    }

    fn watched(&self, watch: &dyn Watch, event: &Event) {
        let path = match event {
            Event::Item(item) => &item.path,
            Event::Deleted { path, .. } => path,
            Event::Note(_) | Event::Problem(_) => return watch.happened(&RelPath::root(), event),
        };
        let base = self.base.get().cloned().unwrap_or_else(RelPath::root);
        watch.happened(&path.components().fold(base, |at, name| at.join(&name)), event);
    }
}

impl Observer for Teller {
    fn event(&self, event: &Event) {
        let mut telling = self.outbox.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(watch) = &self.watch {
            self.watched(watch.as_ref(), event);
            if !watch.tells(event) {
                return;
            }
        }
        telling.events.push(event.clone());
        if telling.events.len() >= TOLD {
            let events = std::mem::take(&mut telling.events);
            let _unheard = telling.tell.send(events);
        }
    }
}

/// What the client is to be told.
#[derive(Clone, Copy)]
pub(super) struct Told<'t> {
    /// What has been sent.
    pub(super) told: &'t Inbox<Vec<Event>>,
    /// What waits.
    pub(super) teller: &'t Teller,
}

/// Writes wishes and what is to be told, up to the message that all is finished.
///
/// # Errors
///
/// The connection is over.
pub(super) fn write_all(
    writer: &mut FrameWriter,
    outgoing: &Inbox<ToSender>,
    told: Option<Told<'_>>,
    meter: &Meter,
    quiet: Duration,
) -> Result<(), LinkError> {
    let never = crossbeam_channel::never();
    // Whoever is told shows progress, also in the middle of a large file.
    let beat = if told.is_some() { crossbeam_channel::tick(BEAT) } else { crossbeam_channel::never() };
    let teller = told.map(|told| told.teller);
    let told = told.map_or(&never, |told| told.told);
    let tell = |writer: &mut FrameWriter, events| -> Result<(), LinkError> {
        // The figures first: what is told of a file shows how far the run is.
        writer.push(&ToSender::Progress(meter.figures()))?;
        parts(events, TOLD_MAX).into_iter().try_for_each(|part| writer.push(&ToSender::Told(part)))
    };
    loop {
        if idle(|| outgoing.is_empty() && told.is_empty()) {
            writer.flush()?;
        }
        crossbeam_channel::select_biased! {
            recv(told) -> events => if let Ok(events) = events {
                tell(writer, events)?;
            },
            recv(beat) -> _ => {
                match teller.map(|teller| teller.waiting(told)).filter(|events| !events.is_empty()) {
                    Some(events) => tell(writer, events)?,
                    None => writer.push(&ToSender::Progress(meter.figures()))?,
                }
            }
            recv(outgoing) -> message => match message {
                Ok(message @ (ToSender::Finished { .. } | ToSender::Fatal(_))) => {
                    // One look at several channels is several looks: the last events can have come after the one
                    // at theirs, and before the one here.
                    told.try_iter().try_for_each(|events| tell(writer, events))?;
                    if teller.is_some() {
                        // Also of what there was nothing to tell of.
                        writer.push(&ToSender::Progress(meter.figures()))?;
                    }
                    return writer.send(&message);
                }
                Ok(message) => writer.push(&message)?,
                Err(_) => return writer.flush(),
            },
            default(quiet) => writer.keep_alive()?,
        }
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)] // a test may panic
mod tests {
    use super::*;
    use crate::engine::stream::{Inlet, Outlet, Patience};
    use crate::event::Note;
    use crate::session::frames::{FrameReader, quiet};
    use crate::wire::Fatal;

    /// The events come earlier or later in the writer's looking around, which meets the gap between two of its
    /// looks once in some thousand rounds.
    const ROUNDS: u32 = 8_000;

    #[test]
    fn what_was_told_before_the_end_is_sent_before_the_end() {
        let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        let mut writer = FrameWriter::new(Outlet::new(ours.into(), Patience::default()).unwrap());
        let mut reader = FrameReader::new(Inlet::new(theirs.into(), Patience::default()).unwrap());
        let meter = Meter::default();
        for round in 0..ROUNDS {
            let (teller, told) = Teller::new(None);
            let (outbox, outgoing) = bounded(1);
            let client = Some(Told { told: &told, teller: &teller });
            std::thread::scope(|scope| {
                scope.spawn(|| write_all(&mut writer, &outgoing, client, &meter, quiet(None)).unwrap());
                for _ in 0..round % 4_000 {
                    std::hint::spin_loop();
                }
                teller.event(&Event::Note(Note::SkippingDirectory(b"d".to_vec())));
                teller.flush();
                outbox.send(ToSender::Fatal(Fatal { code: 1, text: "the end".into() })).unwrap();
            });
            let mut heard = 0;
            loop {
                match reader.expect::<ToSender>().unwrap() {
                    ToSender::Told(events) => heard += events.len(),
                    ToSender::Fatal(_) => break,
                    _ => {}
                }
            }
            assert_eq!(heard, 1, "round {round}");
        }
    }
}
