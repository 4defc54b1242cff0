//! Two connections, what their users do, and the wire between them.
#![allow(dead_code, reason = "each test file uses a part")]
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod by_hand;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use core::time::Duration;

use bytes::Bytes;
use libp2p_identity::{Keypair, PeerId};
use sanswarm_connection::{
    Config, Connection, Direction, Error, Event, Hangup, Limits, Muxer, Open, Refusal, Security, StreamId,
};
use sanswarm_multistream::ProtocolName;
use sanswarm_multistream_select::Names;
use sanswarm_wire::{Instant, RecvBuf, Role, SendBuf};

#[allow(unused_imports, reason = "each test file uses a part")]
pub(crate) use by_hand::{ByHand, noise};

pub(crate) fn name(text: &'static str) -> ProtocolName {
    ProtocolName::from_static(text)
}

pub(crate) fn names(list: &[&'static str]) -> Arc<[ProtocolName]> {
    list.iter().map(|n| name(n)).collect()
}

pub(crate) fn known(list: &[&'static str]) -> Arc<Names> {
    Arc::new(list.iter().map(|n| name(n)).collect())
}

pub(crate) fn keypair(seed: u8) -> Keypair {
    Keypair::ed25519_from_bytes([seed; 32]).unwrap()
}

pub(crate) fn peer(seed: u8) -> PeerId {
    keypair(seed).public().to_peer_id()
}

pub(crate) fn config(seed: u8, limits: Limits) -> Arc<Config> {
    Arc::new(Config::new(&keypair(seed), [seed + 1; 32], Security::defaults(), Muxer::defaults(), limits).unwrap())
}

/// What a node of this seed offers.
pub(crate) fn config_of(seed: u8, security: Vec<Security>, muxers: Vec<Muxer>, limits: Limits) -> Arc<Config> {
    Arc::new(Config::new(&keypair(seed), [seed + 1; 32], security, muxers, limits).unwrap())
}

pub(crate) fn now() -> Instant {
    Instant::ZERO
}

pub(crate) fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// Bytes that tell their place.
pub(crate) fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i % 251) as u8).collect()
}

/// The seeds of the two ends.
pub(crate) const DIALER: u8 = 10;
pub(crate) const LISTENER: u8 = 50;

/// What the user of an end sends on one stream.
#[derive(Debug, Default)]
struct Outbox {
    data: Vec<u8>,
    sent: usize,
    finish: bool,
}

/// One end: a connection, its buffers, its user, and what the user has seen.
pub(crate) struct End {
    pub(crate) conn: Connection,
    pub(crate) recv: RecvBuf,
    pub(crate) send: SendBuf,
    pub(crate) events: Vec<Event>,
    pub(crate) error: Option<Error>,
    /// Sends back what it reads on inbound streams.
    pub(crate) echoes: bool,
    /// Reads all that comes.
    pub(crate) reads: bool,
    pub(crate) got: BTreeMap<StreamId, Vec<u8>>,
    /// Streams on which the peer has finished.
    pub(crate) ended: BTreeSet<StreamId>,
    outboxes: BTreeMap<StreamId, Outbox>,
    /// Streams that the peer has opened.
    accepted: BTreeSet<StreamId>,
    seen: usize,
}

impl End {
    pub(crate) fn of(conn: Connection) -> Self {
        Self {
            conn,
            recv: RecvBuf::default(),
            send: SendBuf::default(),
            events: Vec::new(),
            error: None,
            echoes: false,
            reads: true,
            got: BTreeMap::new(),
            ended: BTreeSet::new(),
            outboxes: BTreeMap::new(),
            accepted: BTreeSet::new(),
            seen: 0,
        }
    }

    pub(crate) fn dialer(limits: Limits) -> Self {
        let expected = Some(peer(LISTENER));
        Self::of(Connection::new(now(), Role::Dialer, config(DIALER, limits), expected, [DIALER + 2; 32]))
    }

    /// A listener that speaks `speaks` and echoes on all of it.
    pub(crate) fn listener(speaks: &[&'static str], limits: Limits) -> Self {
        let config = config(LISTENER, limits);
        let mut conn = Connection::new(now(), Role::Listener, config, None, [LISTENER + 2; 32]);
        conn.set_names(known(speaks));
        Self { echoes: true, ..Self::of(conn) }
    }

    /// Takes events until there are none. Returns whether something came.
    pub(crate) fn poll(&mut self, at: Instant) -> bool {
        let before = (self.events.len(), self.error.is_some());
        loop {
            match self.conn.poll_event(at, &mut self.recv) {
                Ok(Some(event)) => {
                    if let Event::Opened { stream, direction: Direction::Inbound, .. } = event {
                        self.accepted.insert(stream);
                    }
                    self.events.push(event);
                }
                Ok(None) => break,
                Err(error) => {
                    assert_eq!(self.error.get_or_insert(error.clone()), &error, "an error is sticky");
                    break;
                }
            }
        }
        before != (self.events.len(), self.error.is_some())
    }

    pub(crate) fn flush(&mut self, at: Instant) {
        while self.conn.poll_transmit(at, &mut self.send) > 0 {}
    }

    /// Polls, lets the user act, and flushes, until nothing changes: all that can be done without the peer.
    pub(crate) fn settle(&mut self, at: Instant) -> bool {
        let mut moved = false;
        loop {
            let before = self.send.total();
            let polled = self.poll(at);
            self.serve(at);
            self.flush(at);
            if !polled && self.send.total() == before {
                return moved;
            }
            moved = true;
        }
    }

    /// What the user does about the events that it has not seen.
    fn serve(&mut self, at: Instant) {
        while let Some(event) = self.events.get(self.seen).cloned() {
            self.seen += 1;
            match event {
                Event::Opened { stream, .. } | Event::Writable { stream } => self.push_out(at, stream),
                Event::Readable { stream } if self.reads => self.take_in(at, stream),
                Event::Finished { stream } => {
                    self.ended.insert(stream);
                    if self.reads {
                        self.take_in(at, stream);
                    }
                }
                _ => {}
            }
        }
    }

    /// Reads all that is there, and echoes it if that is what this user does.
    pub(crate) fn take_in(&mut self, at: Instant, id: StreamId) {
        let bytes = self.read_all(id);
        self.got.entry(id).or_default().extend_from_slice(&bytes);
        if self.echoes && self.accepted.contains(&id) {
            let ended = self.ended.contains(&id);
            let outbox = self.outboxes.entry(id).or_default();
            outbox.data.extend_from_slice(&bytes);
            outbox.finish |= ended;
            self.push_out(at, id);
        }
    }

    fn push_out(&mut self, at: Instant, id: StreamId) {
        let Some(outbox) = self.outboxes.get_mut(&id) else { return };
        if outbox.sent < outbox.data.len() {
            outbox.sent += self.conn.write(at, id, &outbox.data[outbox.sent..], &mut self.send).unwrap_or(0);
        }
        if outbox.sent == outbox.data.len() && core::mem::take(&mut outbox.finish) {
            let _ = self.conn.finish(id);
        }
    }

    /// Sends all of `data` as room comes, and then finishes.
    pub(crate) fn send_all(&mut self, id: StreamId, data: &[u8]) {
        self.outboxes.insert(id, Outbox { data: data.to_vec(), sent: 0, finish: true });
        self.push_out(now(), id);
    }

    /// Opens a stream, sends `data` on it and finishes.
    pub(crate) fn request(&mut self, list: &[&'static str], how: Open, data: &[u8]) -> StreamId {
        let id = self.conn.open(now(), names(list), how).unwrap();
        self.send_all(id, data);
        id
    }

    pub(crate) fn open(&mut self, list: &[&'static str], how: Open) -> StreamId {
        self.conn.open(now(), names(list), how).unwrap()
    }

    pub(crate) fn read_all(&mut self, id: StreamId) -> Vec<u8> {
        let mut out = Vec::new();
        while let Ok(Some(bytes)) = self.conn.read(id) {
            out.extend_from_slice(&bytes);
        }
        out
    }

    pub(crate) fn read(&mut self, id: StreamId) -> Option<Bytes> {
        self.conn.read(id).unwrap()
    }

    pub(crate) fn write(&mut self, id: StreamId, data: &[u8]) -> usize {
        self.conn.write(now(), id, data, &mut self.send).unwrap()
    }

    /// The inbound streams that were opened, in order.
    pub(crate) fn inbound(&self) -> Vec<StreamId> {
        let inbound = |e: &Event| match e {
            Event::Opened { stream, direction: Direction::Inbound, .. } => Some(*stream),
            _ => None,
        };
        self.events.iter().filter_map(inbound).collect()
    }

    pub(crate) fn refusal(&self, id: StreamId) -> Option<&Refusal> {
        self.events.iter().find_map(|e| match e {
            Event::Refused { stream, refusal } if *stream == id => Some(refusal),
            _ => None,
        })
    }

    pub(crate) fn saw(&self, event: &Event) -> bool {
        self.events.contains(event)
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.events.iter().any(|e| matches!(e, Event::Ready { .. }))
    }

    pub(crate) fn opened(&self, id: StreamId) -> bool {
        self.events.iter().any(|e| matches!(e, Event::Opened { stream, .. } if *stream == id))
    }

    pub(crate) fn hangup(&self) -> Hangup {
        self.conn.hangup(&self.send)
    }
}

/// One direction of the wire.
#[derive(Debug, Default)]
pub(crate) struct Line {
    /// All that has passed.
    pub(crate) passed: usize,
    /// Nothing passes from here on, but an end of input.
    pub(crate) cut: Option<usize>,
    /// The byte at this place is changed by this mask.
    pub(crate) flip: Option<(usize, u8)>,
    /// The bytes that have passed.
    pub(crate) tap: Vec<u8>,
}

pub(crate) struct Pair {
    pub(crate) a: End,
    pub(crate) b: End,
    /// The most that passes at once.
    pub(crate) chunk: usize,
    pub(crate) at: Instant,
    pub(crate) forth: Line,
    pub(crate) back: Line,
}

impl Pair {
    /// A dialer and a listener that echoes on `speaks`.
    pub(crate) fn new(speaks: &[&'static str]) -> Self {
        Self::with(speaks, Limits::default(), Limits::default())
    }

    pub(crate) fn with(speaks: &[&'static str], dialer: Limits, listener: Limits) -> Self {
        Self::of(End::dialer(dialer), End::listener(speaks, listener))
    }

    /// The same, over a pipe that is secure already.
    pub(crate) fn secured(speaks: &[&'static str], limits: Limits) -> Self {
        let a = Connection::secured(now(), Role::Dialer, config(DIALER, limits), peer(LISTENER));
        let mut b = Connection::secured(now(), Role::Listener, config(LISTENER, limits), peer(DIALER));
        b.set_names(known(speaks));
        Self::of(End::of(a), End { echoes: true, ..End::of(b) })
    }

    /// Both ends ready.
    pub(crate) fn ready(speaks: &[&'static str]) -> Self {
        Self::ready_with(speaks, Limits::default())
    }

    pub(crate) fn ready_with(speaks: &[&'static str], limits: Limits) -> Self {
        Self::made_ready(Self::with(speaks, limits, limits))
    }

    /// Both ends ready, with this muxer and no other.
    pub(crate) fn ready_over(muxer: Muxer, speaks: &[&'static str], limits: Limits) -> Self {
        Self::made_ready(Self::over(muxer, speaks, limits))
    }

    /// Both ends have this muxer and no other.
    pub(crate) fn over(muxer: Muxer, speaks: &[&'static str], limits: Limits) -> Self {
        let mut pair = Self::of_configs(
            config_of(DIALER, Security::defaults(), vec![muxer], limits),
            config_of(LISTENER, Security::defaults(), vec![muxer], limits),
        );
        pair.b.conn.set_names(known(speaks));
        pair
    }

    /// The two ends offer these muxers.
    pub(crate) fn of_muxers(dialer: &[Muxer], listener: &[Muxer]) -> Self {
        let config = |seed, muxers: &[Muxer]| config_of(seed, Security::defaults(), muxers.to_vec(), Limits::default());
        Self::of_configs(config(DIALER, dialer), config(LISTENER, listener))
    }

    /// A dialer that expects the listener, and a listener that echoes.
    pub(crate) fn of_configs(dialer: Arc<Config>, listener: Arc<Config>) -> Self {
        let expected = Some(listener.local());
        let a = Connection::new(now(), Role::Dialer, dialer, expected, [DIALER + 2; 32]);
        let b = Connection::new(now(), Role::Listener, listener, None, [LISTENER + 2; 32]);
        Self::of(End::of(a), End { echoes: true, ..End::of(b) })
    }

    fn made_ready(mut pair: Self) -> Self {
        pair.run();
        assert!(pair.a.is_ready() && pair.b.is_ready());
        pair
    }

    pub(crate) fn of(a: End, b: End) -> Self {
        let (forth, back) = Default::default();
        Self { a, b, chunk: usize::MAX, at: now(), forth, back }
    }

    /// Carries bytes both ways until nothing moves.
    pub(crate) fn run(&mut self) {
        for _ in 0..2_000_000 {
            if !self.round() {
                return;
            }
        }
        panic!("it never comes to rest");
    }

    /// One piece in each direction. Returns whether something happened.
    pub(crate) fn round(&mut self) -> bool {
        let moved = self.a.settle(self.at) | self.b.settle(self.at);
        let n = carry(&mut self.a, &mut self.b, &mut self.forth, self.chunk)
            + carry(&mut self.b, &mut self.a, &mut self.back, self.chunk);
        moved || n > 0
    }

    /// Lets time pass for both.
    pub(crate) fn pass(&mut self, time: Duration) {
        self.at = self.at + time;
        self.a.conn.handle_timeout(self.at);
        self.b.conn.handle_timeout(self.at);
    }

    /// Carries whole flights, the dialer's first, until `done`. Returns how many of the dialer's were answered.
    pub(crate) fn round_trips(&mut self, done: impl Fn(&End) -> bool) -> u32 {
        for n in 0..20 {
            self.a.settle(self.at);
            if done(&self.a) {
                assert_eq!(self.a.conn.stats().round_trips, n, "the connection counts the same");
                return n;
            }
            carry(&mut self.a, &mut self.b, &mut self.forth, usize::MAX);
            self.b.settle(self.at);
            carry(&mut self.b, &mut self.a, &mut self.back, usize::MAX);
        }
        panic!("not done after 20 round trips");
    }
}

fn carry(from: &mut End, to: &mut End, line: &mut Line, chunk: usize) -> usize {
    let left = line.cut.map_or(usize::MAX, |cut| cut - line.passed);
    let mut bytes = from.send.ready()[..from.send.ready().len().min(chunk).min(left)].to_vec();
    if let Some((at, mask)) = line.flip
        && let Some(byte) = at.checked_sub(line.passed).and_then(|i| bytes.get_mut(i))
    {
        *byte ^= mask;
    }
    let n = if to.recv.wants() { to.recv.feed(&bytes) } else { 0 };
    line.tap.extend_from_slice(&bytes[..n]);
    line.passed += n;
    from.send.sent(n);
    let was_eof = to.recv.is_eof();
    if from.hangup() >= Hangup::Write || line.cut == Some(line.passed) {
        to.recv.set_eof();
    }
    n + usize::from(!was_eof && to.recv.is_eof())
}
