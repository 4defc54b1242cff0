//! Black holes: whole transports whose packets nobody ever answers.

use std::collections::BTreeMap;

use crate::{Carrier, Family, Kind, Reach};

/// How many results are looked at.
const WINDOW: u32 = 100;
/// How many of them must have been answers.
const ANSWERS_MIN: u32 = 5;
/// Of so many addresses that a black hole would swallow, one is tried to see whether it still does.
const PROBE: u32 = 100;

/// What a network lets through or does not: UDP or TCP, of either family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Way {
    udp: bool,
    family: Family,
}

#[derive(Clone, Copy, Debug, Default)]
struct Results {
    /// The last results, the newest in the lowest bit; 1 is an answer.
    bits: u128,
    len: u32,
    /// How many were left out since the last probe.
    skipped: u32,
}

/// The results of each way, as far as public addresses show them.
#[derive(Debug, Default)]
pub(crate) struct Holes(BTreeMap<Way, Results>);

fn way(kind: &Kind) -> Option<Way> {
    let udp = match kind.carrier {
        Carrier::Quic | Carrier::Web => true,
        Carrier::Tcp | Carrier::WebSocket => false,
        Carrier::Other => return None,
    };
    let is_direct = kind.reach == Reach::Public && !kind.relayed && kind.family != Family::Other;
    is_direct.then_some(Way { udp, family: kind.family })
}

impl Results {
    const fn is_hole(&self) -> bool {
        self.len >= WINDOW && (self.bits & ((1 << WINDOW) - 1)).count_ones() < ANSWERS_MIN
    }
}

impl Holes {
    /// Somebody answered, be it with a refusal; or nobody did.
    pub(crate) fn note(&mut self, kind: &Kind, answered: bool) {
        let Some(way) = way(kind) else { return };
        let results = self.0.entry(way).or_default();
        if answered && results.is_hole() {
            *results = Results::default();
        }
        results.bits = results.bits << 1 | u128::from(answered);
        results.len = (results.len + 1).min(WINDOW);
    }

    /// Whether nobody ever answers over this way.
    pub(crate) fn is_hole(&self, kind: &Kind) -> bool {
        way(kind).and_then(|way| self.0.get(&way)).is_some_and(Results::is_hole)
    }

    /// Whether this address, which would go into a hole, is to be tried nevertheless.
    pub(crate) fn probes(&mut self, kind: &Kind) -> bool {
        let Some(results) = way(kind).and_then(|way| self.0.get_mut(&way)) else { return false };
        results.skipped = (results.skipped + 1) % PROBE;
        results.skipped == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(text: &str) -> Kind {
        Kind::of(&text.parse().unwrap())
    }

    #[test]
    fn a_way_without_answers_is_a_hole_until_a_probe_is_answered() {
        let (quic, quic6, tcp) =
            (kind("/ip4/1.1.1.1/udp/1/quic-v1"), kind("/ip6/2600::1/udp/1/quic-v1"), kind("/ip4/1.1.1.1/tcp/1"));
        let mut holes = Holes::default();
        for i in 0..WINDOW {
            assert!(!holes.is_hole(&quic), "{i}");
            holes.note(&quic, i < ANSWERS_MIN - 1);
        }
        assert!(holes.is_hole(&quic) && !holes.is_hole(&quic6) && !holes.is_hole(&tcp));
        assert_eq!((0..3 * PROBE).filter(|_| holes.probes(&quic)).count(), 3);
        holes.note(&quic, false);
        assert!(holes.is_hole(&quic));
        holes.note(&quic, true);
        assert!(!holes.is_hole(&quic), "it starts afresh");
    }

    #[test]
    fn few_answers_are_enough() {
        let tcp = kind("/ip6/2600::1/tcp/1");
        let mut holes = Holes::default();
        for i in 0..10 * WINDOW {
            holes.note(&tcp, i % (WINDOW / ANSWERS_MIN) == 0);
            assert!(!holes.is_hole(&tcp));
        }
    }

    #[test]
    fn private_and_relayed_addresses_say_nothing() {
        let lan = kind("/ip4/10.0.0.1/tcp/1");
        let mut holes = Holes::default();
        (0..2 * WINDOW).for_each(|_| holes.note(&lan, false));
        assert!(!holes.is_hole(&lan) && !holes.is_hole(&kind("/ip4/1.1.1.1/tcp/1")));
    }
}
