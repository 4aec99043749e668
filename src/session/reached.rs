//! How far a file on its way has got: one thread moves it, another hashes behind it.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crate::engine::{DigestError, Following};

/// How many bytes of a file, from its beginning, are where they belong.
#[derive(Default, Debug)]
pub(super) struct Reached {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default, Debug)]
struct State {
    bytes: u64,
    over: bool,
    /// Somebody waits. To wake nobody costs a system call too, and most files are there before they are waited for.
    waited: bool,
}

impl Reached {
    /// All bytes before `to` are there.
    pub(super) fn tell(&self, to: u64) {
        self.change(|state| state.bytes = to);
    }

    /// No more will come.
    pub(super) fn end(&self) {
        self.change(|state| state.over = true);
    }

    /// Waits for the end, and has `following` hash meanwhile what is there.
    ///
    /// # Errors
    ///
    /// What it could not hash; the end has come all the same.
    pub(super) fn follow(&self, following: &mut Following<'_>) -> Result<(), DigestError> {
        let mut followed = Ok(());
        while let Some(to) = self.wait(if followed.is_ok() { following.at() } else { u64::MAX }) {
            followed = following.advance(to);
        }
        followed
    }

    /// Waits for the first bytes, or the end.
    pub(super) fn begun(&self) {
        let _first = self.wait(0);
    }

    /// Waits for the end.
    pub(super) fn ended(&self) {
        while self.wait(u64::MAX).is_some() {}
    }

    /// Waits until more than `seen` bytes are there, and says how many; `None`: no more will come.
    fn wait(&self, seen: u64) -> Option<u64> {
        let mut state = self.lock();
        loop {
            if state.over {
                return None;
            }
            if state.bytes > seen {
                return Some(state.bytes);
            }
            state.waited = true;
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.waited = false;
        }
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.lock();
        change(&mut state);
        if state.waited {
            self.changed.notify_all();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whoever moves the file; when it is gone, no more will come.
#[derive(Debug)]
pub(super) struct Mover(pub(super) Arc<Reached>);

impl Drop for Mover {
    fn drop(&mut self) {
        self.0.end();
    }
}
