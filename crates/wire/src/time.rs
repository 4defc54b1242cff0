//! Time as data: no machine reads a clock.

use core::time::Duration;

/// A point in time: whole microseconds since a start that the driver chose.
///
/// A driver takes its own monotonic clock, subtracts the moment it started, and hands the difference in. A simulator
/// counts as it likes. Arithmetic saturates, so that no value of a peer or a caller can overflow it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(u64);

impl Instant {
    /// The driver's start.
    pub const ZERO: Self = Self(0);

    /// The instant `micros` microseconds after the driver's start.
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// Microseconds since the driver's start.
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// The time from `earlier` to `self`; zero if `earlier` is later.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

impl core::ops::Add<Duration> for Instant {
    type Output = Self;

    fn add(self, time: Duration) -> Self {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(micros))
    }
}

/// When a machine wants its `handle_timeout` called, and what for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadline {
    /// The time from which `handle_timeout` has something to do. A later call delays and never corrupts.
    pub at: Instant,
    /// What the machine waits for, for logs.
    pub why: &'static str,
}

impl Deadline {
    /// The earlier of two deadlines, where there are any.
    pub fn sooner(one: Option<Self>, other: Option<Self>) -> Option<Self> {
        match (one, other) {
            (Some(a), Some(b)) => Some(if b.at < a.at { b } else { a }),
            (a, b) => a.or(b),
        }
    }
}

/// Which end of a connection a machine is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// The end that opened the connection.
    Dialer,
    /// The end that accepted it.
    Listener,
}

impl Role {
    /// Whether this is the end that opened the connection.
    pub const fn is_dialer(self) -> bool {
        matches!(self, Self::Dialer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_saturates() {
        assert_eq!(Instant::from_micros(u64::MAX) + Duration::from_secs(1), Instant::from_micros(u64::MAX));
        assert_eq!(Instant::ZERO + Duration::MAX, Instant::from_micros(u64::MAX));
        assert_eq!(Instant::ZERO.since(Instant::from_micros(5)), Duration::ZERO);
        assert_eq!(Instant::from_micros(7).since(Instant::from_micros(5)), Duration::from_micros(2));
    }

    #[test]
    fn sooner_takes_the_earlier_one() {
        let a = Deadline { at: Instant::from_micros(1), why: "a" };
        let b = Deadline { at: Instant::from_micros(2), why: "b" };
        assert_eq!(Deadline::sooner(Some(a), Some(b)), Some(a));
        assert_eq!(Deadline::sooner(Some(b), Some(a)), Some(a));
        assert_eq!(Deadline::sooner(None, Some(b)), Some(b));
        assert_eq!(Deadline::sooner(None, None), None);
    }
}
