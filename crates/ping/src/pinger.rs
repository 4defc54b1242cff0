//! The end that measures.

use core::time::Duration;

use bytes::BufMut;
use sanswarm_wire::{Deadline, Instant};

use crate::{Error, PAYLOAD};

/// What a [`Pinger`] may be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// How long a ping may take, from `start` to the last byte of its echo. 10 s, as go-libp2p and js-libp2p have it.
    /// Against a peer that accepts the stream and says nothing.
    pub timeout: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self { timeout: Duration::from_secs(10) }
    }
}

/// The dialer of a ping stream: one ping at a time, any number one after another.
#[derive(Clone, Debug)]
pub struct Pinger {
    config: Config,
    ping: Option<Ping>,
    failed: Option<Error>,
}

#[derive(Clone, Copy, Debug)]
struct Ping {
    payload: [u8; PAYLOAD],
    started: Instant,
    sent: bool,
    /// The bytes of the echo that have come.
    echoed: usize,
}

impl Pinger {
    /// A pinger with nothing under way.
    pub const fn new(config: Config) -> Self {
        Self { config, ping: None, failed: None }
    }

    /// Begins a ping with 32 bytes that the peer cannot guess; its time counts from `now`. `false`, and nothing
    /// happens, if one is under way or the stream has failed.
    pub const fn start(&mut self, now: Instant, payload: [u8; PAYLOAD]) -> bool {
        if self.ping.is_some() || self.failed.is_some() {
            return false;
        }
        self.ping = Some(Ping { payload, started: now, sent: false, echoed: 0 });
        true
    }

    /// Whether a payload is to be sent.
    pub fn is_due(&self) -> bool {
        self.failed.is_none() && self.ping.is_some_and(|ping| !ping.sent)
    }

    /// Whether a ping is under way: `start` would refuse another.
    pub const fn is_busy(&self) -> bool {
        self.ping.is_some()
    }

    /// Adds the payload that is due to `out` and returns its length: 32, or 0 if none is due or `room` bytes do not
    /// hold it.
    pub fn encode(&mut self, room: usize, out: &mut impl BufMut) -> usize {
        if !self.is_due() || room.min(out.remaining_mut()) < PAYLOAD {
            return 0;
        }
        let Some(ping) = &mut self.ping else { return 0 };
        out.put_slice(&ping.payload);
        ping.sent = true;
        PAYLOAD
    }

    /// Compares bytes of the echo as they come. Returns how many it used, and the round-trip time with the last of
    /// them. What follows an echo is used by the next call, and is an error unless the next ping has been sent.
    ///
    /// # Errors
    ///
    /// [`Error::Mismatch`], [`Error::Unsolicited`], or the error that the stream has failed with.
    pub fn handle_input(&mut self, now: Instant, input: &[u8]) -> Result<(usize, Option<Duration>), Error> {
        self.check()?;
        if input.is_empty() {
            return Ok((0, None));
        }
        let Some(ping) = self.ping.as_mut().filter(|ping| ping.sent) else {
            return Err(self.fail(Error::Unsolicited));
        };
        let owed = &ping.payload[ping.echoed..];
        let used = owed.len().min(input.len());
        if let Some(at) = owed.iter().zip(input).position(|(a, b)| a != b) {
            let at = ping.echoed + at;
            return Err(self.fail(Error::Mismatch { at }));
        }
        ping.echoed += used;
        if ping.echoed < PAYLOAD {
            return Ok((used, None));
        }
        let rtt = now.since(ping.started);
        self.ping = None;
        Ok((used, Some(rtt)))
    }

    /// When the ping under way is too late.
    pub fn poll_timeout(&self) -> Option<Deadline> {
        let ping = self.ping.filter(|_| self.failed.is_none())?;
        Some(Deadline { at: ping.started + self.config.timeout, why: "ping: echo" })
    }

    /// Looks whether the ping under way is too late.
    ///
    /// # Errors
    ///
    /// [`Error::Timeout`], or the error that the stream has failed with.
    pub fn handle_timeout(&mut self, now: Instant) -> Result<(), Error> {
        self.check()?;
        let Some(ping) = self.ping.filter(|ping| now >= ping.started + self.config.timeout) else { return Ok(()) };
        Err(self.fail(Error::Timeout { elapsed: now.since(ping.started), limit: self.config.timeout }))
    }

    const fn check(&self) -> Result<(), Error> {
        match self.failed {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    const fn fail(&mut self, error: Error) -> Error {
        self.failed = Some(error);
        error
    }
}

#[cfg(test)]
mod tests {
    use alloc::{vec, vec::Vec};

    use proptest::prelude::*;

    use super::*;

    const T0: Instant = Instant::from_micros(1_000_000);

    fn payload() -> [u8; 32] {
        core::array::from_fn(|i| i as u8)
    }

    fn sent() -> Pinger {
        let mut pinger = Pinger::new(Config::default());
        assert!(pinger.start(T0, payload()));
        assert_eq!(pinger.encode(32, &mut Vec::new()), 32);
        pinger
    }

    #[test]
    fn one_stream_serves_many_pings_one_at_a_time() {
        let mut pinger = Pinger::new(Config::default());
        for i in 0..3 {
            let mut out = Vec::new();
            assert!(pinger.start(T0, [i; 32]));
            assert!(!pinger.start(T0, [9; 32]), "one is under way");
            assert!(pinger.is_due());
            assert_eq!(pinger.encode(31, &mut out), 0, "no room");
            assert_eq!(pinger.encode(32, &mut out), 32);
            assert_eq!(pinger.encode(32, &mut out), 0, "once only");
            assert_eq!(out, [i; 32]);
            let rtt = Duration::from_millis(5);
            assert_eq!(pinger.handle_input(T0 + rtt, &out), Ok((32, Some(rtt))));
            assert_eq!(pinger.poll_timeout(), None);
        }
    }

    #[test]
    fn a_difference_is_found_where_it_is() {
        for at in 0..32 {
            let mut echo = payload();
            echo[at] ^= 1;
            let mut pinger = sent();
            let error = Error::Mismatch { at };
            assert_eq!(pinger.handle_input(T0, &echo), Err(error));
            assert_eq!(pinger.handle_input(T0, &payload()), Err(error), "an error is for ever");
            assert_eq!(pinger.handle_timeout(T0), Err(error));
            assert!(!pinger.start(T0, payload()));
            assert_eq!(pinger.poll_timeout(), None);
        }
    }

    #[test]
    fn bytes_that_nobody_asked_for_are_an_error() {
        let mut pinger = Pinger::new(Config::default());
        assert_eq!(pinger.handle_input(T0, &[]), Ok((0, None)));
        assert_eq!(pinger.clone().handle_input(T0, &[0]), Err(Error::Unsolicited));
        assert!(pinger.start(T0, payload()));
        assert_eq!(pinger.handle_input(T0, &payload()), Err(Error::Unsolicited), "it was not sent yet");

        let mut pinger = sent();
        let long = [&payload()[..], &[0]].concat();
        assert_eq!(pinger.handle_input(T0, &long), Ok((32, Some(Duration::ZERO))));
        assert_eq!(pinger.handle_input(T0, &long[32..]), Err(Error::Unsolicited));
    }

    #[test]
    fn a_late_echo_is_an_error_once_the_time_is_told() {
        let limit = Duration::from_secs(10);
        let mut pinger = sent();
        assert_eq!(pinger.poll_timeout().map(|d| d.at), Some(T0 + limit));
        assert_eq!(pinger.handle_timeout(T0 + Duration::from_micros(9_999_999)), Ok(()));
        let elapsed = Duration::from_secs(11);
        assert_eq!(pinger.handle_timeout(T0 + elapsed), Err(Error::Timeout { elapsed, limit }));
        assert_eq!(pinger.handle_input(T0, &payload()), Err(Error::Timeout { elapsed, limit }));
    }

    proptest! {
        #[test]
        fn the_result_does_not_depend_on_the_pieces(
            flip in prop::option::of(0usize..32),
            extra in 0usize..3,
            pieces in prop::collection::vec(1usize..40, 1..40),
        ) {
            let mut echo = [&payload()[..], &vec![0; extra]].concat();
            if let Some(at) = flip { echo[at] ^= 0x80; }
            let run = |pieces: &mut dyn Iterator<Item = usize>| {
                let (mut pinger, mut at, mut rtts) = (sent(), 0, Vec::new());
                while at < echo.len() {
                    let end = echo.len().min(at + pieces.next().unwrap());
                    match pinger.handle_input(T0 + Duration::from_micros(3), &echo[at..end]) {
                        Ok((used, rtt)) => { at += used; rtts.extend(rtt); }
                        Err(error) => return (rtts, Some(error)),
                    }
                }
                (rtts, None)
            };
            let whole = run(&mut core::iter::repeat(usize::MAX / 2));
            prop_assert_eq!(&run(&mut core::iter::repeat(1)), &whole);
            prop_assert_eq!(&run(&mut pieces.iter().copied().cycle()), &whole);
            let expect = match (flip, extra) {
                (Some(at), _) => (vec![], Some(Error::Mismatch { at })),
                (None, 0) => (vec![Duration::from_micros(3)], None),
                (None, _) => (vec![Duration::from_micros(3)], Some(Error::Unsolicited)),
            };
            prop_assert_eq!(whole, expect);
        }
    }
}
