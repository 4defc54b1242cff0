//! A dialer and a listener against each other, over up to three layers, as a connection has them: the next negotiation
//! begins where the one before has agreed, and payload comes behind the last.
//!
//! Input: a byte of flags (1: lazy, 2: the header at once, 4: a predicate, 8: a list, 16: bytes are injected, 32:
//! limits for each end, 64: the last layer asks for the list); a byte, of which the number of layers less one; if
//! injected, a byte for the direction, two for the place and a byte of length with its bytes; if limited, the limits of
//! the dialer and of the listener; for each layer the names of the dialer and those of the listener; a byte of length
//! and its bytes for the payload of either end; then operations of one byte: see `Pair::step`.
//!
//! - Without injection and with the usual limits both agree, at every layer, on the dialer's first name that the
//!   listener accepts, or the dialer is refused; a query gets the list. Bytes behind the agreement are untouched, in
//!   both directions, whatever they are.
//! - With narrow limits an end may fail, by its limits only, but who agrees agrees on that name.
//! - With bytes injected anything may be the verdict; nothing panics, what is sent stays within bounds, and it comes to
//!   rest.

#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use sanswarm_fuzz::{
    Input,
    reference::{self, Known},
};
use sanswarm_multistream::{self as multistream, HEADER_LINE, ProtocolName, encoded_len};
use sanswarm_multistream_select::{Error, Greeting, Limits, Mode, Names, Negotiator, Outcome};
use sanswarm_wire::SendBuf;

/// What both ends of one layer have.
struct Layer {
    offer: Vec<ProtocolName>,
    known: Known,
    asks: bool,
}

impl Layer {
    /// What the dialer's end must come to.
    fn outcome(&self) -> Outcome {
        let names = &self.known.names;
        if self.asks {
            let mut list: Vec<_> = names.iter().filter(|name| **name != ProtocolName::NESTED).cloned().collect();
            list.sort();
            list.dedup();
            return if self.known.list().is_some() { Outcome::Listed(list) } else { Outcome::Refused };
        }
        let accepts = |name: &&ProtocolName| {
            names.contains(name)
                || self.known.predicate && **name != ProtocolName::NESTED && reference::matches(name.as_str())
        };
        self.offer.iter().find(accepts).map_or(Outcome::Refused, |name| Outcome::Agreed(name.clone()))
    }

    fn dialer(&self, is_lazy: bool) -> Negotiator {
        if self.asks {
            return Negotiator::query();
        }
        Negotiator::dialer(self.offer.clone(), if is_lazy { Mode::Lazy } else { Mode::Wait })
    }

    fn listener(&self, greeting: Greeting) -> Negotiator {
        let mut names = Names::new(self.known.names.iter().cloned());
        if self.known.predicate {
            names = names.with_predicate(|name| reference::matches(name.as_str()));
        }
        Negotiator::listener(Arc::new(if self.known.list { names.with_list() } else { names }), greeting)
    }
}

/// One end, with a negotiator a layer.
struct End {
    negotiators: Vec<Negotiator>,
    outcomes: Vec<Outcome>,
    error: Option<Error>,
    /// The layer that writes.
    writing: usize,
    payload: Option<Vec<u8>>,
    /// What may follow a proposal at once: those names are known.
    lazily: bool,
    out: Vec<u8>,
    inbox: Vec<u8>,
    sent: usize,
    received: usize,
    buffer: SendBuf,
}

impl End {
    fn new(negotiators: Vec<Negotiator>, limits: Limits, payload: &[u8], lazily: bool) -> Self {
        Self {
            negotiators: negotiators.into_iter().map(|negotiator| negotiator.with_limits(limits)).collect(),
            outcomes: Vec::new(),
            error: None,
            writing: 0,
            payload: Some(payload.to_vec()),
            lazily,
            out: Vec::new(),
            inbox: Vec::new(),
            sent: 0,
            received: 0,
            buffer: SendBuf::default(),
        }
    }

    /// The layer that reads; `None` behind the last, and where no agreement was.
    fn reading(&self) -> Option<usize> {
        let agreed = self.outcomes.iter().all(|outcome| matches!(outcome, Outcome::Agreed(_)));
        (agreed && self.error.is_none() && self.outcomes.len() < self.negotiators.len()).then_some(self.outcomes.len())
    }

    fn has_agreed(&self, layer: usize) -> bool {
        matches!(self.outcomes.get(layer), Some(Outcome::Agreed(_)))
    }

    /// Sends what is due, with this much room: what is owed comes before the next layer.
    fn send(&mut self, room: usize, buffered: bool) {
        while let Some(negotiator) = self.negotiators.get_mut(self.writing) {
            let before = self.out.len();
            let n = if buffered {
                let n = negotiator.poll_transmit(&mut self.buffer);
                self.out.extend(self.buffer.ready());
                self.buffer.sent(usize::MAX);
                n
            } else {
                negotiator.encode(room, &mut self.out)
            };
            assert_eq!(self.out.len() - before, n);
            self.sent += n;
            let goes_on =
                self.has_agreed(self.writing) || self.lazily && self.negotiators[self.writing].lazy().is_some();
            if self.negotiators[self.writing].is_due() || !goes_on {
                return;
            }
            self.writing += 1;
        }
        let payload = self.payload.take().unwrap_or_default();
        self.sent += payload.len();
        self.out.extend(payload);
    }

    fn receive(&mut self, bytes: &[u8]) {
        self.inbox.extend(bytes);
        self.received += bytes.len();
        while let Some(layer) = self.reading() {
            let (used, outcome) = match self.negotiators[layer].handle_input(&self.inbox) {
                Ok(result) => result,
                Err(error) => {
                    assert_eq!(self.negotiators[layer].handle_input(&[]), Err(error), "an error stays");
                    self.error = Some(error);
                    return;
                }
            };
            assert!(used <= self.inbox.len(), "used more than was given");
            self.inbox.drain(..used);
            let Some(outcome) = outcome else { return };
            assert_eq!(self.negotiators[layer].handle_input(&self.inbox), Ok((0, None)), "an outcome stays");
            self.outcomes.push(outcome);
        }
    }

    /// What an end of the input means to the layer that reads.
    fn end(&mut self) -> Option<Error> {
        let layer = self.reading()?;
        let error = self.negotiators[layer].handle_eof();
        assert_eq!(self.negotiators[layer].handle_input(b"\x03na\n"), Err(error), "it stays");
        Some(error)
    }
}

struct Injection {
    to_dialer: bool,
    at: usize,
    bytes: Vec<u8>,
}

struct Pair {
    dialer: End,
    listener: End,
    injection: Option<Injection>,
}

impl Pair {
    /// One operation, by the two lowest bits: the dialer sends, the listener sends, bytes go to the listener, bytes go
    /// to the dialer. The rest says how much: 1 to 32 bytes, or 64 and more; an odd one sends by way of a `SendBuf`.
    fn step(&mut self, op: u8) {
        let amount = usize::from(op >> 2);
        let bytes = if amount < 32 { amount + 1 } else { (amount - 31) * 64 };
        match op & 3 {
            0 => self.dialer.send(bytes, amount % 8 == 7),
            1 => self.listener.send(bytes, amount % 8 == 7),
            direction => self.carry(direction == 3, bytes),
        }
    }

    fn carry(&mut self, to_dialer: bool, bytes: usize) {
        let (from, to) =
            if to_dialer { (&mut self.listener, &mut self.dialer) } else { (&mut self.dialer, &mut self.listener) };
        let bytes: Vec<_> = from.out.drain(..bytes.min(from.out.len())).collect();
        let place = |injection: &mut Injection| {
            injection.to_dialer == to_dialer && (to.received..=to.received + bytes.len()).contains(&injection.at)
        };
        match self.injection.take_if(place) {
            Some(injection) => {
                let (front, back) = bytes.split_at(injection.at - to.received);
                to.receive(&[front, &injection.bytes, back].concat());
            }
            None => to.receive(&bytes),
        }
    }

    /// All goes on until nothing does.
    fn rest(&mut self) {
        for _ in 0..1000 {
            let progress = [self.dialer.received, self.listener.received];
            self.dialer.send(usize::MAX, false);
            self.carry(false, usize::MAX);
            self.listener.send(usize::MAX, false);
            self.carry(true, usize::MAX);
            if progress == [self.dialer.received, self.listener.received] {
                let ends = [&self.dialer, &self.listener];
                assert!(ends.iter().all(|end| !end.negotiators.get(end.writing).is_some_and(Negotiator::is_due)));
                return;
            }
        }
        panic!("it never comes to rest");
    }
}

fn by_limits(error: &Error) -> bool {
    matches!(
        error,
        Error::Line(multistream::Error::TooLong { .. })
            | Error::TooManyProposals { .. }
            | Error::TooManyBytes { .. }
            | Error::Refused
    )
}

/// What holds without injection and within the limits.
fn check(pair: &mut Pair, layers: &[Layer], payloads: [&[u8]; 2], payload_is_read: bool) {
    let Pair { dialer, listener, .. } = pair;
    for (at, layer) in layers.iter().enumerate() {
        let outcome = layer.outcome();
        assert_eq!(dialer.outcomes.get(at), Some(&outcome), "layer {at}");
        if let Outcome::Agreed(_) = outcome {
            assert_eq!(listener.outcomes.get(at), Some(&outcome), "layer {at}");
            continue;
        }
        let says_nothing = layer.offer.is_empty() && !layer.asks;
        assert!(dialer.error.is_none());
        if payload_is_read {
            return; // Some of it may even have been answered.
        }
        assert!(dialer.inbox.is_empty() || says_nothing);
        assert!(listener.error.is_none() && listener.outcomes.len() == at, "a listener waits for the next proposal");
        assert!(listener.inbox.is_empty());
        let end = match outcome {
            Outcome::Refused if !says_nothing => Error::Refused,
            _ => Error::Eof,
        };
        assert_eq!(listener.end(), Some(end));
        return;
    }
    assert!(dialer.error.is_none() && listener.error.is_none());
    assert_eq!([&listener.inbox[..], &dialer.inbox], payloads, "bytes behind the agreement");
}

/// What holds without injection, whatever the limits: faults are of limits, and no other name is agreed on.
fn honest(pair: &Pair, layers: &[Layer]) {
    for end in [&pair.dialer, &pair.listener] {
        assert!(end.error.as_ref().is_none_or(by_limits), "{:?} of an honest peer", end.error);
        for (layer, outcome) in layers.iter().zip(&end.outcomes) {
            let agreed = matches!(outcome, Outcome::Agreed(_));
            assert!(!agreed || *outcome == layer.outcome(), "agreed on another name");
        }
    }
}

/// What holds always: how much an end may send.
fn bounded(pair: &mut Pair, layers: &[Layer], payloads: [&[u8]; 2]) {
    let offer = layers.iter().flat_map(|layer| &layer.offer);
    let asked: usize = offer.map(|name| encoded_len(name.as_bytes())).sum();
    assert!(pair.dialer.sent <= layers.len() * (HEADER_LINE.len() + 4) + asked + payloads[0].len());
    // For two bytes, an empty name, there are four of `na`; a list is told once a layer.
    let most = pair.listener.received * 2 + layers.len() * (HEADER_LINE.len() + 16 * 1024) + payloads[1].len();
    assert!(pair.listener.sent <= most);
    for end in [&mut pair.dialer, &mut pair.listener] {
        end.end();
    }
}

fuzz_target!(|data: &[u8]| {
    let mut input = Input::new(data);
    let (flags, count) = (input.byte(), input.byte() % 3 + 1);
    let (is_lazy, predicate, list) = (flags & 1 != 0, flags & 4 != 0, flags & 8 != 0);
    let greeting = if flags & 2 != 0 { Greeting::AtOnce } else { Greeting::WithReply };
    let injection = (flags & 16 != 0).then(|| {
        let (to_dialer, at, len) = (input.byte() % 2 == 1, input.short() % 512, input.byte());
        Injection { to_dialer, at, bytes: input.take(len.into()).to_vec() }
    });
    let limits = if flags & 32 != 0 { [input.limits(), input.limits()] } else { [Limits::default(); 2] };
    let layers: Vec<_> = (1..=count)
        .map(|layer| {
            let (offer, names) = (input.names(), input.names());
            Layer { offer, known: Known { names, predicate, list }, asks: flags & 64 != 0 && layer == count }
        })
        .collect();
    let mut payload = || {
        let len = input.byte();
        input.take(len.into())
    };
    let payloads = [payload(), payload()];

    // A layer may follow a lazy proposal only if the listener accepts it; payload, of the last, follows in any case.
    let (last, inner) = layers.split_last().expect("one layer at least");
    let is_known = |layer: &Layer| matches!(layer.outcome(), Outcome::Agreed(_));
    let lazy = |at: usize, layer: &Layer| is_lazy && (is_known(layer) || at + 1 == layers.len());
    let dialers = layers.iter().enumerate().map(|(at, layer)| layer.dialer(lazy(at, layer))).collect();
    let listeners = layers.iter().map(|layer| layer.listener(greeting)).collect();
    let mut pair = Pair {
        dialer: End::new(dialers, limits[0], payloads[0], true),
        listener: End::new(listeners, limits[1], payloads[1], false),
        injection,
    };
    let is_injected = pair.injection.is_some();
    while let Some(op) = input.maybe() {
        pair.step(op);
    }
    pair.rest();

    // A list is read as names if its first line has the length 47: a slash, but no name that begins with one.
    let list_is_like_names = last.asks && {
        let first = last.known.names.iter().map(ProtocolName::as_bytes).min();
        first.is_some_and(|first| first.len() == 46 && first[0] != b'/')
    };
    let payload_is_read = is_lazy && last.offer.len() == 1 && !is_known(last) && inner.iter().all(is_known);
    if !is_injected && flags & 32 == 0 && !list_is_like_names {
        check(&mut pair, &layers, payloads, payload_is_read);
    }
    bounded(&mut pair, &layers, payloads);
    // A listener that refused may agree on what a lazy dialer's payload looks like: the reason for the rule.
    if !is_injected && !payload_is_read {
        honest(&pair, &layers);
    }
});
