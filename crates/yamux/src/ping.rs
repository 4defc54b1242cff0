//! Pings in both directions.

use alloc::collections::VecDeque;
use core::time::Duration;

use sanswarm_wire::Instant;

/// One ping of ours, and the answers that we owe.
#[derive(Debug, Default)]
pub(crate) struct Pings {
    next: u32,
    outstanding: Option<Ping>,
    pub(crate) owed: VecDeque<u32>,
}

#[derive(Clone, Copy, Debug)]
struct Ping {
    value: u32,
    asked: Instant,
    sent: Option<Instant>,
}

impl Pings {
    /// Queues a ping unless one is outstanding.
    pub(crate) fn ask(&mut self, now: Instant) -> bool {
        if self.outstanding.is_some() {
            return false;
        }
        self.outstanding = Some(Ping { value: self.next, asked: now, sent: None });
        self.next = self.next.wrapping_add(1);
        true
    }

    /// The value of the ping that is to be sent.
    pub(crate) fn due(&self) -> Option<u32> {
        self.outstanding.filter(|ping| ping.sent.is_none()).map(|ping| ping.value)
    }

    pub(crate) fn sent(&mut self, now: Instant) {
        if let Some(ping) = &mut self.outstanding {
            ping.sent = Some(now);
        }
    }

    /// The time from the ping to this answer; `None` if nothing like it was asked.
    pub(crate) fn answered(&mut self, now: Instant, value: u32) -> Option<Duration> {
        let sent = self.outstanding.filter(|ping| ping.value == value)?.sent?;
        self.outstanding = None;
        Some(now.since(sent))
    }

    /// Since when an answer is awaited. A peer that does not even let us ask is as silent as one that does not answer.
    pub(crate) fn asked(&self) -> Option<Instant> {
        self.outstanding.map(|ping| ping.asked)
    }
}
