//! `created directory` is told only of a destination that gets company: rsync is silent about it where
//! the list has a single entry and the destination was typed without a slash behind it.

use crate::event::{Event, Note};

/// Keeps the first events of a run back until it is known whether the first of them is told.
#[derive(Debug, Default)]
pub struct Company {
    /// The note and what came behind it; empty where nothing is in question.
    held: Vec<Event>,
    entries: usize,
}

impl Company {
    /// Takes the next event; returns what is to be told now, in order, or nothing for the event itself.
    pub fn next(&mut self, event: &Event) -> Option<Vec<Event>> {
        if self.held.is_empty() && !is_questionable(event) {
            return None;
        }
        self.entries += usize::from(is_entry(event));
        self.held.push(event.clone());
        Some(if self.entries > 1 { std::mem::take(&mut self.held) } else { Vec::new() })
    }

    /// What is left to be told at the end: all but the note.
    pub fn rest(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.held).into_iter().skip(1).collect()
    }
}

/// A destination that was made for whatever comes. What `--mkpath` made is told in any case.
fn is_questionable(event: &Event) -> bool {
    matches!(event, Event::Note(Note::CreatedDestination(typed, 0)) if !typed.ends_with(b"/"))
}

/// Whether the event is about an entry of the list.
fn is_entry(event: &Event) -> bool {
    match event {
        Event::Item(_) => true,
        Event::Note(note) => matches!(
            note,
            Note::SkippingNonRegular(_)
                | Note::UnsafeLink(..)
                | Note::NotCreated(..)
                | Note::Exists(_)
                | Note::Newer(_)
                | Note::OverMaxSize(_)
                | Note::UnderMinSize(_)
                | Note::TooOld(_)
                | Note::TooYoung(_)
        ),
        Event::Deleted { .. } | Event::Problem(_) => false,
    }
}
