//! What a connection has cost so far.

use core::time::Duration;

use sanswarm_wire::Instant;

/// Counts of one connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Changes of direction: how often something came in after something had gone out.
    pub round_trips: u32,
    /// Bytes that came in.
    pub bytes_in: u64,
    /// Bytes that went out, or wait in the send buffer.
    pub bytes_out: u64,
    /// Streams now.
    pub streams: usize,
    /// Bytes that have arrived for these and were not read yet.
    pub unread: usize,
    /// When the security handshake was done on our side.
    pub secured: Option<Mark>,
    /// When the muxer was agreed on.
    pub ready: Option<Mark>,
}

/// What a connection had cost when it came to a stage. What went out in the same flight is counted with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Time since the connection's start, which is after the transport's own connect.
    pub after: Duration,
    /// Changes of direction until then.
    pub round_trips: u32,
    /// Bytes that had come in.
    pub bytes_in: u64,
    /// Bytes that had gone out.
    pub bytes_out: u64,
}

/// Counts changes of direction, and remembers the counts at each stage.
#[derive(Debug)]
pub(crate) struct Turns {
    start: Instant,
    secured: Option<Mark>,
    ready: Option<Mark>,
    seen_in: u64,
    seen_out: u64,
    sent: bool,
    round_trips: u32,
}

impl Turns {
    pub(crate) fn new(start: Instant) -> Self {
        Self { start, secured: None, ready: None, seen_in: 0, seen_out: 0, sent: false, round_trips: 0 }
    }

    /// Remembers the counts at the stages that are over, once each.
    pub(crate) fn mark(&mut self, now: Instant, secured: bool, ready: bool) {
        if self.ready.is_some() {
            return;
        }
        let after = now.since(self.start);
        let (round_trips, bytes_in, bytes_out) = (self.round_trips, self.seen_in, self.seen_out);
        let mark = Some(Mark { after, round_trips, bytes_in, bytes_out });
        if secured {
            self.secured = self.secured.or(mark);
        }
        if ready {
            self.ready = mark;
        }
    }

    pub(crate) fn stats(&self, streams: usize, unread: usize) -> Stats {
        Stats {
            round_trips: self.round_trips,
            bytes_in: self.seen_in,
            bytes_out: self.seen_out,
            streams,
            unread,
            secured: self.secured,
            ready: self.ready,
        }
    }

    pub(crate) fn round_trips(&self) -> u32 {
        self.round_trips
    }

    /// So many bytes have come in by now.
    pub(crate) fn received(&mut self, total: u64) {
        if total > self.seen_in {
            self.seen_in = total;
            self.round_trips += u32::from(core::mem::take(&mut self.sent));
        }
    }

    /// So many bytes have gone out by now.
    pub(crate) fn sent(&mut self, total: u64) {
        if total > self.seen_out {
            self.seen_out = total;
            self.sent = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_mark_is_made_once() {
        let at = Instant::from_micros;
        let mut turns = Turns::new(at(10));
        turns.sent(5);
        turns.received(7);
        turns.mark(at(12), false, false);
        turns.mark(at(13), true, false);
        turns.sent(9);
        turns.mark(at(15), true, true);
        turns.sent(11);
        turns.mark(at(20), true, true);
        let stats = turns.stats(3, 4);
        let mark = |micros, bytes_out| {
            Some(Mark { after: Duration::from_micros(micros), round_trips: 1, bytes_in: 7, bytes_out })
        };
        assert_eq!((stats.secured, stats.ready), (mark(3, 5), mark(5, 9)));
        assert_eq!((stats.round_trips, stats.bytes_in, stats.bytes_out, stats.streams, stats.unread), (1, 7, 11, 3, 4));
    }
}
