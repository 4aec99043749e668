//! The whole tree in transfer order, looked at ahead of whoever takes the results.
//!
//! What is still to come is a stack, the next directory on top. A thread takes the topmost directory that
//! nobody has looked into, looks into it, and puts its subdirectories below it, so that the stack is in
//! transfer order at any time. The consumer takes results from the top; where the top has not been
//! looked into it does so itself. Therefore a bound on what lies ready can never block the consumer:
//! memory follows the depth of the tree and the width of what is in flight.

use super::entry::Entry;
use super::look::Listed;
use super::visit::Visited;
use crate::sys::thread;

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// What a look into a directory finds.
pub trait Found {
    /// The entries in it that are kept in memory until somebody takes them.
    fn weight(&self) -> usize;
}

impl Found for Visited {
    fn weight(&self) -> usize {
        self.entries.iter().map(|planned| planned.entry.weight()).sum()
    }
}

impl Found for Listed {
    fn weight(&self) -> usize {
        self.entries.iter().map(Entry::weight).sum()
    }
}

/// Looks into one directory: returns what was found, and its subdirectories in transfer order.
pub type Look<'a, N, V> = &'a (dyn Fn(N) -> (V, Vec<N>) + Sync);

/// Directories looked into and not yet taken. A guess: enough to hide a slow one, little memory.
const READY_DIRS: usize = 64;

/// Entries in them. A guess: some 15 MB.
const READY_ENTRIES: usize = 32 * 1024;

/// One step of the walk.
#[derive(Debug)]
pub enum Step<V> {
    /// A directory begins.
    Enter(Box<V>),
    /// The directory entered last, and not left yet, ends: all below it has been taken.
    Leave,
}

/// The walk; see the module.
pub struct Ahead<'a, N, V> {
    look: Look<'a, N, V>,
    state: Mutex<State<N, V>>,
    changed: Condvar,
}

struct State<N, V> {
    stack: Vec<Slot<N, V>>,
    next_id: u64,
    ready_dirs: usize,
    ready_entries: usize,
    over: bool,
}

enum Slot<N, V> {
    Waiting(u64, Box<N>),
    Running(u64),
    Ready(Box<V>),
    Leave,
}

impl<'a, N, V: Found> Ahead<'a, N, V> {
    /// A walk that begins at `root` and looks into directories by `look`.
    #[must_use]
    pub fn new(look: Look<'a, N, V>, root: N) -> Ahead<'a, N, V> {
        let stack = vec![Slot::Waiting(0, Box::new(root))];
        let state = State { stack, next_id: 1, ready_dirs: 0, ready_entries: 0, over: false };
        Ahead { look, state: Mutex::new(state), changed: Condvar::new() }
    }

    /// Runs `take`, which takes the steps, while up to `threads` threads look ahead of it; returns what it does.
    ///
    /// A tree that is one directory has no threads started for it: that would be a good part of a short run's time.
    pub fn helped<R>(&self, threads: usize, take: impl FnOnce() -> R) -> R
    where
        N: Send,
        V: Send,
    {
        std::thread::scope(|scope| {
            if self.begin() {
                // Without help the one who takes the steps does it all.
                let start = |_| thread::start(scope, || self.work()).ok();
                let _helpers: Vec<_> = (0..threads).map_while(start).collect();
            }
            let taken = take();
            self.stop();
            taken
        })
    }

    /// Looks into the root; returns whether there is more to look into.
    fn begin(&self) -> bool {
        let state = self.lock();
        let state = if state.stack.len() == 1 { self.look_into(state, 0) } else { state };
        state.stack.iter().any(|slot| matches!(slot, Slot::Waiting(..)))
    }

    /// The next step; `None` at the end.
    pub fn next(&self) -> Option<Step<V>> {
        let mut state = self.lock();
        loop {
            match state.stack.last() {
                None => {
                    drop(state);
                    self.stop();
                    return None;
                }
                Some(Slot::Running(_)) => {
                    state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                }
                Some(Slot::Waiting(..)) => {
                    let top = state.stack.len() - 1;
                    state = self.look_into(state, top);
                }
                Some(Slot::Ready(_) | Slot::Leave) => match state.stack.pop() {
                    Some(Slot::Ready(visited)) => {
                        state.ready_dirs -= 1;
                        state.ready_entries -= visited.weight();
                        self.changed.notify_all();
                        return Some(Step::Enter(visited));
                    }
                    _ => return Some(Step::Leave),
                },
            }
        }
    }

    /// Looks into directories ahead of the consumer until the walk is over.
    fn work(&self) {
        let mut state = self.lock();
        while !state.over {
            let room = state.ready_dirs < READY_DIRS && state.ready_entries < READY_ENTRIES;
            let near = state.stack.len().saturating_sub(4 * READY_DIRS);
            let waiting = state.stack[near..].iter().rposition(|slot| matches!(slot, Slot::Waiting(..)));
            match waiting.filter(|_| room) {
                Some(at) => state = self.look_into(state, near + at),
                None => state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }

    /// Ends the walk: the threads in [`Ahead::work`] return.
    fn stop(&self) {
        self.lock().over = true;
        self.changed.notify_all();
    }

    fn look_into<'s>(
        &'s self,
        mut state: MutexGuard<'s, State<N, V>>,
        at: usize,
    ) -> MutexGuard<'s, State<N, V>> {
        let Slot::Waiting(id, _) = &state.stack[at] else { return state };
        let id = *id;
        let Slot::Waiting(_, node) = std::mem::replace(&mut state.stack[at], Slot::Running(id)) else {
            return state;
        };
        drop(state);
        let (visited, children) = (self.look)(*node);
        let mut state = self.lock();
        let found = state.stack.iter().rposition(|slot| matches!(slot, Slot::Running(i) if *i == id));
        if let Some(at) = found {
            state.ready_dirs += 1;
            state.ready_entries += visited.weight();
            state.stack[at] = Slot::Ready(Box::new(visited));
            let first = state.next_id;
            state.next_id += children.len() as u64;
            let below = (first..).zip(children).map(|(id, node)| Slot::Waiting(id, Box::new(node)));
            let below: Vec<_> =
                std::iter::once(Slot::Leave).chain(below.collect::<Vec<_>>().into_iter().rev()).collect();
            state.stack.splice(at..at, below);
        }
        self.changed.notify_all();
        state
    }

    fn lock(&self) -> MutexGuard<'_, State<N, V>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
