//! The node's clock.

use std::time;

use sanswarm::Instant;

/// Counts microseconds from its start: what the machines call time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock(time::Instant);

impl Clock {
    pub(crate) fn new() -> Self {
        Self(system_now())
    }

    pub(crate) fn now(self) -> Instant {
        let micros = system_now().saturating_duration_since(self.0).as_micros();
        Instant::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
    }

    /// From now to `at`; zero if that is over.
    pub(crate) fn until(self, at: Instant) -> time::Duration {
        at.since(self.now())
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place where this adapter reads the clock")]
fn system_now() -> time::Instant {
    time::Instant::now()
}
