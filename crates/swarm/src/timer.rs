//! What the swarm waits for, ordered by time.

use std::collections::BTreeSet;

use sanswarm_wire::{Deadline, Instant, Key};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Timer {
    /// A connection must be ready.
    Ready(Key),
    /// A dial must be answered.
    Dial(Key),
    /// The next address of a plan is to be tried.
    Stagger(Key),
    /// A connection has been idle for long.
    Idle(Key),
    /// Connections are to be trimmed that were too young before.
    Trim,
    /// Time is up for connections in use.
    Shutdown,
    /// The name service must have answered.
    Resolve(Key),
}

impl Timer {
    const fn why(self) -> &'static str {
        match self {
            Self::Ready(_) => "swarm: connection must be ready",
            Self::Dial(_) => "swarm: dial must be answered",
            Self::Stagger(_) => "swarm: next address",
            Self::Idle(_) => "swarm: connection is idle",
            Self::Trim => "swarm: connections to be trimmed",
            Self::Shutdown => "swarm: shutdown",
            Self::Resolve(_) => "swarm: name must be resolved",
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Timers(BTreeSet<(Instant, Timer)>);

impl Timers {
    pub(crate) fn set(&mut self, at: Instant, timer: Timer) {
        self.0.insert((at, timer));
    }

    pub(crate) fn unset(&mut self, at: Instant, timer: Timer) {
        self.0.remove(&(at, timer));
    }

    pub(crate) fn next(&self) -> Option<Deadline> {
        self.0.first().map(|(at, timer)| Deadline { at: *at, why: timer.why() })
    }

    /// Takes the first timer that is due.
    pub(crate) fn pop(&mut self, now: Instant) -> Option<Timer> {
        if self.0.first().is_none_or(|(at, _)| *at > now) {
            return None;
        }
        self.0.pop_first().map(|(_, timer)| timer)
    }
}
