//! Both ends together: for any names and any pieces, one agreement and not a byte more.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::Arc;

use proptest::prelude::*;
use sanswarm_multistream::{HEADER_LINE, ProtocolName};
use sanswarm_multistream_select::{Error, Greeting, Mode, Names, Negotiator, Outcome};

const ALPHABET: [&str; 8] = ["/noise", "/tls/1.0.0", "/yamux/1.0.0", "/mplex/6.7.0", "/a", "/b", "/c", "d"];

fn names() -> impl Strategy<Value = Vec<ProtocolName>> {
    prop::collection::vec(prop::sample::select(&ALPHABET[..]).prop_map(ProtocolName::from_static), 0..6)
}

fn mode() -> impl Strategy<Value = Mode> {
    prop::sample::select(vec![Mode::Wait, Mode::Lazy])
}

fn greeting() -> impl Strategy<Value = Greeting> {
    prop::sample::select(vec![Greeting::AtOnce, Greeting::WithReply])
}

/// One direction of a connection, with what has been carried so far.
struct Pipe {
    bytes: Vec<u8>,
    /// `bytes[used..seen]` has been offered and not used.
    used: usize,
    seen: usize,
}

impl Pipe {
    fn new() -> Self {
        Self { bytes: Vec::new(), used: 0, seen: 0 }
    }

    /// Offers at most `piece` bytes more.
    fn carry(&mut self, piece: usize, to: &mut Negotiator, outcome: &mut Option<Outcome>) {
        self.seen = (self.seen + piece).min(self.bytes.len());
        let input = &self.bytes[self.used..self.seen];
        let (used, new) = to.handle_input(input).expect("an honest peer");
        assert!(used <= input.len());
        assert!(new.is_none() || outcome.is_none(), "one outcome");
        self.used += used;
        *outcome = outcome.take().or(new);
    }
}

type Verdict = (Result<(usize, Option<Outcome>), Error>, Vec<u8>);

/// What a negotiator makes of `input` in pieces: the bytes used, the outcome or the error, and what it sends.
fn verdict(mut negotiator: Negotiator, input: &[u8], pieces: &[usize]) -> Verdict {
    let (mut used, mut seen, mut sent) = (0, 0, Vec::new());
    let mut pieces = pieces.iter().copied().chain(core::iter::repeat(usize::MAX));
    let result = loop {
        seen = pieces.next().map_or(input.len(), |n| input.len().min(seen.saturating_add(n)));
        match negotiator.handle_input(&input[used..seen]) {
            Err(error) => break Err(error),
            Ok((n, outcome)) => {
                assert!(used + n <= seen);
                used += n;
                if outcome.is_some() || seen == input.len() {
                    break Ok((used, outcome));
                }
            }
        }
    };
    negotiator.encode(usize::MAX, &mut sent);
    (result, sent)
}

proptest! {
    #[test]
    fn both_agree_on_the_first_common_name_and_leave_the_rest(
        (offer, known) in (names(), names()),
        (mode, greeting) in (mode(), greeting()),
        pieces in prop::collection::vec(1usize..40, 1..20),
        (payload, response) in (any::<Vec<u8>>(), any::<Vec<u8>>()),
    ) {
        let expected = offer.iter().find(|name| known.contains(name)).cloned();
        let mut dialer = Negotiator::dialer(offer.clone(), mode);
        let mut listener = Negotiator::listener(Arc::new(Names::new(known)), greeting);
        let (mut there, mut back) = (Pipe::new(), Pipe::new());
        let (mut dialed, mut answered) = (None, None);
        let (mut payload_sent, mut response_sent) = (false, false);
        let mut pieces = pieces.into_iter().cycle();
        for _ in 0..2000 {
            dialer.encode(usize::MAX, &mut there.bytes);
            let lazy = dialer.lazy().is_some() && expected.is_some();
            if !payload_sent && (lazy || matches!(dialed, Some(Outcome::Agreed(_)))) {
                there.bytes.extend(&payload);
                payload_sent = true;
            }
            there.carry(pieces.next().unwrap_or(1), &mut listener, &mut answered);
            listener.encode(usize::MAX, &mut back.bytes);
            if !response_sent && answered.is_some() {
                back.bytes.extend(&response);
                response_sent = true;
            }
            back.carry(pieces.next().unwrap_or(1), &mut dialer, &mut dialed);
        }
        match expected {
            Some(name) => {
                prop_assert_eq!(&dialed, &Some(Outcome::Agreed(name.clone())));
                prop_assert_eq!(dialed, answered);
                prop_assert_eq!(&there.bytes[there.used..], &payload[..]);
                prop_assert_eq!(&back.bytes[back.used..], &response[..]);
                prop_assert_eq!(dialer.offered().last(), Some(&name));
            }
            None => {
                prop_assert_eq!(dialed, Some(Outcome::Refused));
                prop_assert_eq!(answered, None);
                prop_assert_eq!(dialer.offered(), &offer[..]);
                prop_assert!(offer.is_empty() || (there.used == there.bytes.len() && back.used == back.bytes.len()));
            }
        }
    }

    /// Header and first proposal are one flight, and so are header and first reply; each refusal costs one flight a side.
    #[test]
    fn flights_are_as_documented((offer, known) in (names(), names()), greeting in greeting()) {
        let mut offer = offer;
        offer.dedup();
        let refused = offer.iter().take_while(|name| !known.contains(name)).count();
        let agreed = refused < offer.len();
        let mut dialer = Negotiator::dialer(offer.clone(), Mode::Wait);
        let mut listener = Negotiator::listener(Arc::new(Names::new(known)), greeting);
        let (mut proposals, mut replies) = (0, 0);
        let mut early = Vec::new();
        if greeting == Greeting::AtOnce {
            listener.encode(usize::MAX, &mut early);
            prop_assert_eq!(&early, HEADER_LINE, "before a word was said");
        }
        loop {
            let mut flight = Vec::new();
            if dialer.encode(usize::MAX, &mut flight) == 0 {
                break;
            }
            proposals += 1;
            prop_assert_eq!(flight.starts_with(HEADER_LINE), proposals == 1);
            prop_assert_eq!(listener.handle_input(&flight).unwrap().0, flight.len());
            let mut reply = core::mem::take(&mut early);
            prop_assert!(listener.encode(usize::MAX, &mut reply) > 0);
            replies += 1;
            prop_assert_eq!(reply.starts_with(HEADER_LINE), replies == 1);
            prop_assert_eq!(dialer.handle_input(&reply).unwrap().0, reply.len());
        }
        prop_assert_eq!(proposals, refused + usize::from(agreed));
        prop_assert_eq!(replies, proposals);
    }

    /// Work follows bytes: a call that gets nothing new uses nothing, and all calls together use each byte once.
    #[test]
    fn every_byte_is_used_once(pieces in prop::collection::vec(1usize..7, 1..20), offered in 0usize..200) {
        let mut input = HEADER_LINE.to_vec();
        for i in 0..offered {
            input.extend([4, b'/', b'x', b'a' + (i % 26) as u8, b'\n']);
        }
        let mut listener = Negotiator::listener(Arc::new(Names::new([])), Greeting::WithReply);
        let (mut used, mut seen) = (0, 0);
        for piece in pieces.into_iter().cycle() {
            seen = (seen + piece).min(input.len());
            used += listener.handle_input(&input[used..seen]).unwrap().0;
            prop_assert!(seen - used < HEADER_LINE.len(), "no more than a part of a message stays");
            prop_assert_eq!(listener.handle_input(&input[used..seen]).unwrap(), (0, None));
            if seen == input.len() {
                break;
            }
        }
        prop_assert_eq!(used, input.len());
    }

    #[test]
    fn pieces_do_not_matter_and_no_bytes_panic(
        lines in prop::collection::vec(prop_oneof![
            4 => prop::sample::select(&ALPHABET[..]).prop_map(|name| name.as_bytes().to_vec()),
            2 => Just(b"na".to_vec()),
            1 => Just(b"/multistream/1.0.0".to_vec()),
            1 => prop::collection::vec(any::<u8>(), 0..50),
        ], 0..8),
        with_header in prop::bool::weighted(0.9),
        junk in prop::collection::vec(any::<u8>(), 0..20),
        pieces in prop::collection::vec(1usize..30, 0..30),
        (offer, known, mode, greeting) in (names(), names(), mode(), greeting()),
    ) {
        let mut input = if with_header { HEADER_LINE.to_vec() } else { Vec::new() };
        for line in lines {
            input.push(line.len() as u8 + 1);
            input.extend(line);
            input.push(b'\n');
        }
        input.extend(junk);
        let dialer = Negotiator::dialer(offer, mode);
        let listener = Negotiator::listener(Arc::new(Names::new(known)), greeting);
        for negotiator in [dialer, listener] {
            let whole = verdict(negotiator.clone(), &input, &[]);
            prop_assert_eq!(&verdict(negotiator.clone(), &input, &pieces), &whole);
            prop_assert_eq!(&verdict(negotiator, &input, &vec![1; input.len()]), &whole);
        }
    }
}
