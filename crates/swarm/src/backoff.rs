//! What has failed and should rest before it is tried again.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use libp2p_identity::PeerId;
use multiaddr::Multiaddr;
use sanswarm_wire::Instant;

use crate::Limits;

/// What rests: an address where a peer (or whoever) was expected, or a peer as a whole.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Resting {
    Address(Option<PeerId>, Multiaddr),
    Peer(PeerId),
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    failures: u32,
    until: Instant,
    /// When it is forgotten.
    forget: Instant,
}

/// The table of back-offs, at most [`Limits::backoffs`] of them.
#[derive(Debug, Default)]
pub(crate) struct Backoffs {
    entries: BTreeMap<Resting, Entry>,
    /// By the time at which they are forgotten. Values are shared with `entries`.
    ends: BTreeSet<(Instant, Resting)>,
}

impl Backoffs {
    /// How long it still rests, and how often it has failed.
    pub(crate) fn left(&self, now: Instant, what: &Resting) -> Option<(Duration, u32)> {
        let entry = self.entries.get(what).filter(|entry| entry.until > now)?;
        Some((entry.until.since(now), entry.failures))
    }

    /// How often it has failed, as far as that is remembered.
    pub(crate) fn failures(&self, what: &Resting) -> u32 {
        self.entries.get(what).map_or(0, |entry| entry.failures)
    }

    /// It has failed: it rests, each time twice as long. `lot` is a random number for the jitter of a quarter, so that
    /// those whom one fault has hit do not all come back at once.
    pub(crate) fn fail(&mut self, now: Instant, what: Resting, limits: &Limits, lot: u64) {
        if limits.backoff.is_zero() || limits.backoffs == 0 {
            return;
        }
        self.purge(now);
        let failures = self.success(&what).saturating_add(1);
        while self.entries.len() >= limits.backoffs {
            self.drop_first();
        }
        let doubled = limits.backoff.saturating_mul(1 << failures.min(31).saturating_sub(1));
        let rest = doubled.min(limits.backoff_max).saturating_mul(768 + (lot % 512) as u32) / 1024;
        let until = now + rest;
        let forget = until + limits.backoff_max;
        self.entries.insert(what.clone(), Entry { failures, until, forget });
        self.ends.insert((forget, what));
    }

    /// It works: all is forgotten. Returns how often it had failed.
    pub(crate) fn success(&mut self, what: &Resting) -> u32 {
        let Some((what, entry)) = self.entries.remove_entry(what) else { return 0 };
        self.ends.remove(&(entry.forget, what));
        entry.failures
    }

    /// Forgets a few of those that are over, so that a call takes constant time.
    fn purge(&mut self, now: Instant) {
        for _ in 0..2 {
            if self.ends.first().is_none_or(|(at, _)| *at > now) {
                return;
            }
            self.drop_first();
        }
    }

    fn drop_first(&mut self) {
        if let Some((_, what)) = self.ends.pop_first() {
            self.entries.remove(&what);
        }
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        assert_eq!(self.entries.len(), self.ends.len());
        self.entries.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn what(id: u8) -> Resting {
        Resting::Peer(PeerId::from_bytes(&[0, 1, id]).unwrap())
    }

    #[test]
    fn the_rest_doubles_with_jitter_up_to_its_bound() {
        let limits = Limits::default();
        for lot in [0, 255, 511, u64::MAX] {
            let (mut backoffs, mut now) = (Backoffs::default(), Instant::ZERO);
            for n in 0..40 {
                backoffs.fail(now, what(1), &limits, lot);
                let (left, failures) = backoffs.left(now, &what(1)).unwrap();
                let plain = limits.backoff.saturating_mul(1 << n.min(20)).min(limits.backoff_max);
                assert!(left >= plain * 3 / 4 && left <= plain * 5 / 4, "{n}: {left:?} of {plain:?}");
                assert_eq!(failures, n + 1);
                now = now + left;
                assert_eq!(backoffs.left(now, &what(1)), None, "the rest is over");
            }
            assert_eq!(backoffs.success(&what(1)), 40);
            assert_eq!((backoffs.failures(&what(1)), backoffs.len()), (0, 0));
        }
    }

    #[test]
    fn the_table_is_bounded_and_forgets_what_is_long_over() {
        let limits = Limits { backoffs: 3, ..Limits::default() };
        let mut backoffs = Backoffs::default();
        for id in 0..9 {
            backoffs.fail(Instant::from_micros(id.into()), what(id), &limits, 0);
            assert!(backoffs.len() <= 3);
        }
        assert_eq!(backoffs.failures(&what(0)), 0, "the first to end makes way");
        let late = Instant::ZERO + limits.backoff_max * 3;
        backoffs.fail(late, what(8), &limits, 0);
        assert_eq!((backoffs.len(), backoffs.failures(&what(8))), (1, 2), "two a call");
    }

    #[test]
    fn no_time_means_no_back_off() {
        let mut backoffs = Backoffs::default();
        let limits = Limits { backoff: Duration::ZERO, ..Limits::default() };
        backoffs.fail(Instant::ZERO, what(1), &limits, 7);
        assert_eq!(backoffs.len(), 0);
    }
}
