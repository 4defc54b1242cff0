//! Whether the application uses a connection, as the control is told.

use core::time::Duration;

use sanswarm_wire::Instant;

use super::Link;
use crate::message::ToControlKind;

/// How long a connection has no stream until it is called unused: who opens one short stream after another should not cost
/// two messages each.
const REST: Duration = Duration::from_secs(1);

/// What a control was told of the application's streams.
#[derive(Debug, Default)]
pub(super) struct Usage {
    used: bool,
    /// When it is told that there are no more.
    pub(super) until: Option<Instant>,
    /// The node is shutting down and waits for the last stream to end.
    drains: bool,
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
            self.usage.until = None;
            return;
        }
        // Those that only we use, for pings and identify, are no use of the application's.
        let streams = self.conn.stats().streams.saturating_sub(self.services.len());
        if streams > 0 {
            self.usage.until = None;
            if !core::mem::replace(&mut self.usage.used, true) {
                self.tell(ToControlKind::Streams(streams));
            }
        } else if self.usage.used {
            let rest = if self.usage.drains { Duration::ZERO } else { REST };
            let until = *self.usage.until.get_or_insert(now + rest);
            if until <= now {
                self.usage = Usage { drains: self.usage.drains, ..Usage::default() };
                self.tell(ToControlKind::Streams(0));
            }
        }
    }
}
