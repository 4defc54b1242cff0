//! What happens on a node, for those who want to hear it.

use core::time::Duration;
use std::{
    collections::VecDeque,
    sync::{Arc, Condvar, Mutex, PoisonError, Weak},
};

use sanswarm::Event;

use crate::threads::lock;

/// Events that are kept for a listener; of more the oldest are dropped.
const EVENTS_MAX: usize = 256;

/// The events of a node from the call of [`Node::events`](crate::Node::events) on: connections, peers, pings, listeners.
///
/// It keeps the last 256. Whoever is slower loses the oldest, and [`missed`](Self::missed) says how many.
#[derive(Debug)]
pub struct Events(Arc<Queue>);

#[derive(Debug, Default)]
struct Queue {
    state: Mutex<State>,
    filled: Condvar,
}

#[derive(Debug, Default)]
struct State {
    events: VecDeque<Event>,
    missed: u64,
    ended: bool,
}

impl Events {
    /// Waits for the next event. `None`: the node has been shut down and all was told.
    pub fn recv(&self) -> Option<Event> {
        let state = lock(&self.0.state);
        let waited = self.0.filled.wait_while(state, |state| state.events.is_empty() && !state.ended);
        waited.unwrap_or_else(PoisonError::into_inner).events.pop_front()
    }

    /// Waits for the next event for at most `time`. `None`: there was none, or the node has been shut down.
    pub fn recv_timeout(&self, time: Duration) -> Option<Event> {
        let state = lock(&self.0.state);
        let is_idle = |state: &mut State| state.events.is_empty() && !state.ended;
        let waited = self.0.filled.wait_timeout_while(state, time, is_idle);
        waited.unwrap_or_else(PoisonError::into_inner).0.events.pop_front()
    }

    /// How many events were dropped unheard since the last call.
    pub fn missed(&self) -> u64 {
        core::mem::take(&mut lock(&self.0.state).missed)
    }
}

impl Iterator for Events {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        self.recv()
    }
}

/// All who listen.
#[derive(Debug, Default)]
pub(crate) struct Hub {
    listeners: Mutex<Listeners>,
}

#[derive(Debug, Default)]
struct Listeners {
    queues: Vec<Weak<Queue>>,
    ended: bool,
}

impl Hub {
    pub(crate) fn listen(&self) -> Events {
        let queue = Arc::new(Queue::default());
        let mut listeners = lock(&self.listeners);
        listeners.queues.push(Arc::downgrade(&queue));
        lock(&queue.state).ended = listeners.ended;
        Events(queue)
    }

    pub(crate) fn tell(&self, event: &Event) {
        self.each(|state| {
            if state.events.len() == EVENTS_MAX {
                state.events.pop_front();
                state.missed += 1;
            }
            state.events.push_back(event.clone());
        });
    }

    /// Nothing more will be told.
    pub(crate) fn end(&self) {
        lock(&self.listeners).ended = true;
        self.each(|state| state.ended = true);
    }

    fn each(&self, change: impl Fn(&mut State)) {
        lock(&self.listeners).queues.retain(|queue| {
            let Some(queue) = queue.upgrade() else { return false };
            change(&mut lock(&queue.state));
            queue.filled.notify_all();
            true
        });
    }
}
