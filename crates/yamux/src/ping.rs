//! Pings in both directions, and the round trip that they measure.

use alloc::collections::VecDeque;
use core::time::Duration;

use sanswarm_wire::Instant;

/// How long a measurement counts as fresh.
const FRESH: Duration = Duration::from_secs(10);

/// One ping of ours, and the answers that we owe.
#[derive(Debug, Default)]
pub(crate) struct Pings {
    next: u32,
    outstanding: Option<Ping>,
    pub(crate) owed: VecDeque<u32>,
    /// The time of a round trip, and when it was measured last.
    round_trip: Option<(Duration, Instant)>,
}

#[derive(Clone, Copy, Debug)]
struct Ping {
    value: u32,
    /// When our owner asked for it; `None` if it is only to measure.
    asked: Option<Instant>,
    sent: Option<Instant>,
}

impl Pings {
    /// Queues a ping of our owner's unless one is outstanding. One that measures serves both.
    pub(crate) fn ask(&mut self, now: Instant) -> bool {
        let ping = self.outstanding.get_or_insert(Ping { value: self.next, asked: None, sent: None });
        if ping.asked.is_some() {
            return false;
        }
        ping.asked = Some(now);
        true
    }

    /// Queues a ping to measure, unless one is outstanding or the last measurement is fresh. Nobody waits for the
    /// answer: without one there is no measurement.
    pub(crate) fn measure(&mut self, now: Instant) {
        let is_fresh = self.round_trip.is_some_and(|(_, at)| now.since(at) < FRESH);
        if !is_fresh && self.outstanding.is_none() {
            self.outstanding = Some(Ping { value: self.next, asked: None, sent: None });
        }
    }

    /// The value of the ping that is to be sent.
    pub(crate) fn due(&self) -> Option<u32> {
        match &self.outstanding {
            Some(ping) if ping.sent.is_none() => Some(ping.value),
            _ => None,
        }
    }

    pub(crate) fn sent(&mut self, now: Instant) {
        if let Some(ping) = &mut self.outstanding {
            ping.sent = Some(now);
            self.next = self.next.wrapping_add(1);
        }
    }

    /// The peer answers: the time from the ping to this answer, if our owner asked for it. Answers to nothing are
    /// ignored.
    pub(crate) fn answered(&mut self, now: Instant, value: u32) -> Option<Duration> {
        let ping = self.outstanding.filter(|ping| ping.value == value)?;
        let time = now.since(ping.sent?);
        self.outstanding = None;
        // A shorter one counts at once, a longer one by and by: payload that waits before a pong makes it late.
        let round_trip = match self.round_trip {
            Some((old, _)) if time > old => old + (time - old) / 8,
            _ => time,
        };
        self.round_trip = Some((round_trip, now));
        ping.asked.map(|_| time)
    }

    pub(crate) fn round_trip(&self) -> Option<Duration> {
        Some(self.round_trip?.0)
    }

    /// Since when our owner awaits an answer. A peer that does not even let us ask is as silent as one that does not
    /// answer.
    pub(crate) fn asked(&self) -> Option<Instant> {
        self.outstanding?.asked
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Instant {
        Instant::from_micros(millis * 1000)
    }

    fn measured(pings: &mut Pings, start: u64, millis: u64) -> Option<Duration> {
        pings.measure(at(start));
        let value = pings.due().expect("none is outstanding");
        pings.sent(at(start));
        assert_eq!(pings.answered(at(start + millis), value), None, "nobody asked");
        pings.round_trip()
    }

    #[test]
    fn a_shorter_time_counts_at_once_and_a_longer_one_by_and_by() {
        let mut pings = Pings::default();
        assert_eq!(pings.round_trip(), None);
        assert_eq!(measured(&mut pings, 0, 80), Some(Duration::from_millis(80)));
        assert_eq!(measured(&mut pings, 20_000, 160), Some(Duration::from_millis(90)));
        assert_eq!(measured(&mut pings, 40_000, 10), Some(Duration::from_millis(10)));
    }

    #[test]
    fn a_fresh_measurement_is_not_repeated() {
        let mut pings = Pings::default();
        measured(&mut pings, 0, 5);
        pings.measure(at(10_004));
        assert_eq!(pings.due(), None);
        pings.measure(at(10_005));
        assert_eq!(pings.due(), Some(1));
        assert_eq!(pings.asked(), None, "nobody waits for it");
        pings.sent(at(10_006));
        pings.measure(at(90_000));
        assert_eq!(pings.due(), None, "one at a time, also where the peer does not answer");
    }

    #[test]
    fn one_ping_serves_who_measures_and_who_asks() {
        let mut pings = Pings::default();
        pings.measure(at(0));
        assert!(pings.ask(at(1)) && !pings.ask(at(2)));
        pings.measure(at(2));
        assert_eq!((pings.due(), pings.asked()), (Some(0), Some(at(1))));
        pings.sent(at(3));
        assert_eq!(pings.answered(at(7), 0), Some(Duration::from_millis(4)));
        assert_eq!((pings.asked(), pings.round_trip()), (None, Some(Duration::from_millis(4))));
        assert!(pings.ask(at(8)));
        assert_eq!((pings.due(), pings.answered(at(9), 1)), (Some(1), None), "not sent yet");
        assert_eq!(pings.asked(), Some(at(8)));
    }
}
