//! What a connection is used for and what it holds, as the control is told.

use core::time::Duration;

use sanswarm_wire::Instant;

use super::Link;
use crate::message::ToControlKind;

/// How long a connection has no stream until it is called unused, and holds less until that is told: who opens one short
/// stream after another, or reads what has gathered, should not cost two messages each time.
const REST: Duration = Duration::from_secs(1);

/// What an idle connection holds.
const IDLE_BYTES: usize = 20 << 10;
/// What a stream holds of which all has been read.
const STREAM_BYTES: usize = 1 << 10;
/// What is held beyond is told in steps of this.
const STEP: usize = 64 << 10;

/// What a control was told of the application's streams, and of memory.
#[derive(Debug, Default)]
pub(super) struct Usage {
    used: bool,
    /// When it is told that there are no more.
    pub(super) until: Option<Instant>,
    /// The node is shutting down and waits for the last stream to end.
    drains: bool,
    /// Steps of memory.
    steps: usize,
    /// When it is told that there are fewer.
    pub(super) less_at: Option<Instant>,
    /// When the control is told what was counted; zero if there is nothing. (Of what an idle link holds.)
    pub(super) count_at: Instant,
    /// Bytes that wait to be sent.
    pub(super) unsent: usize,
}

impl Link {
    /// From now on the control is told at once that there is no stream any more.
    pub(super) fn drain(&mut self) {
        self.usage.drains = true;
        self.usage.until = None;
    }

    /// Compares what was told with what is. Called at each rest.
    pub(super) fn tell_usage(&mut self, now: Instant) {
        if self.peer.is_none() || self.ended {
            (self.usage.until, self.usage.less_at) = (None, None);
            return;
        }
        let stats = self.conn.stats();
        // Those that only we use, for pings and identify, are no use of the application's.
        self.tell_streams(now, stats.streams.saturating_sub(self.services.len()));
        self.tell_memory(now, stats.unread + stats.streams * STREAM_BYTES + self.usage.unsent);
    }

    /// Sees to it that the control hears within a second what was counted, or at once if there is something to be told.
    pub(super) fn count(&mut self, now: Instant) {
        if self.conn.counters().is_none() {
            return;
        }
        if self.usage.count_at == Instant::ZERO {
            self.usage.count_at = now + REST;
        }
        if self.usage.count_at <= now || !self.to_control.is_empty() {
            self.tell_counters();
        }
    }

    pub(super) fn tell_counters(&mut self) {
        self.usage.count_at = Instant::ZERO;
        if let Some(counters) = self.conn.take_counters() {
            self.tell(ToControlKind::Counters(counters));
        }
    }

    fn tell_streams(&mut self, now: Instant, streams: usize) {
        if streams > 0 {
            self.usage.until = None;
            if !core::mem::replace(&mut self.usage.used, true) {
                self.tell(ToControlKind::Streams(streams));
            }
        } else if self.usage.used {
            let rest = if self.usage.drains { Duration::ZERO } else { REST };
            let until = *self.usage.until.get_or_insert(now + rest);
            if until <= now {
                (self.usage.used, self.usage.until) = (false, None);
                self.tell(ToControlKind::Streams(0));
            }
        }
    }

    /// More is told at once, less a while later. The first few streams are an idle connection's.
    fn tell_memory(&mut self, now: Instant, bytes: usize) {
        let steps = if bytes < STEP / 4 { 0 } else { bytes.div_ceil(STEP) };
        let told = self.usage.steps;
        if steps >= told {
            self.usage.less_at = None;
        }
        if steps > told || (steps < told && *self.usage.less_at.get_or_insert(now + REST) <= now) {
            (self.usage.steps, self.usage.less_at) = (steps, None);
            self.tell(ToControlKind::Memory(IDLE_BYTES + steps * STEP));
        }
    }
}
