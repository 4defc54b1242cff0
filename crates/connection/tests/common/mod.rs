//! Two connections and the wire between them.
#![allow(dead_code)]

use std::sync::Arc;

use bytes::Bytes;
use libp2p_identity::{Keypair, PeerId};
use sanswarm_connection::{Config, Connection, Error, Event, Hangup, Limits, Muxer, Security, StreamId};
use sanswarm_multistream::ProtocolName;
use sanswarm_multistream_select::Names;
use sanswarm_wire::{Instant, RecvBuf, Role, SendBuf};

pub fn name(text: &'static str) -> ProtocolName {
    ProtocolName::from_static(text)
}

pub fn names(list: &[&'static str]) -> Arc<[ProtocolName]> {
    list.iter().map(|n| name(n)).collect()
}

pub fn keypair(seed: u8) -> Keypair {
    Keypair::ed25519_from_bytes([seed; 32]).unwrap()
}

pub fn config(seed: u8, limits: Limits) -> Arc<Config> {
    Arc::new(
        Config::new(&keypair(seed), [seed + 1; 32], Security::defaults(), Muxer::defaults(), limits).unwrap(),
    )
}

pub fn now() -> Instant {
    Instant::ZERO
}

pub struct End {
    pub conn: Connection,
    pub recv: RecvBuf,
    pub send: SendBuf,
    /// Events that nobody has looked at.
    pub events: Vec<Event>,
    pub error: Option<Error>,
}

impl End {
    pub fn of(conn: Connection) -> Self {
        Self { conn, recv: RecvBuf::default(), send: SendBuf::default(), events: Vec::new(), error: None }
    }

    pub fn new(role: Role, seed: u8, expected: Option<PeerId>, speaks: &[&'static str]) -> Self {
        Self::with(role, seed, expected, speaks, Limits::default())
    }

    pub fn with(role: Role, seed: u8, expected: Option<PeerId>, speaks: &[&'static str], limits: Limits) -> Self {
        let mut conn = Connection::new(now(), role, config(seed, limits), expected, [seed + 2; 32]);
        conn.set_names(Arc::new(Names::new(speaks.iter().map(|n| name(n)))));
        Self::of(conn)
    }

    /// Takes events until there are none.
    pub fn poll(&mut self, at: Instant) -> usize {
        let before = self.events.len();
        loop {
            match self.conn.poll_event(at, &mut self.recv) {
                Ok(Some(event)) => self.events.push(event),
                Ok(None) => return self.events.len() - before,
                Err(error) => {
                    self.error = Some(error);
                    return self.events.len() - before;
                }
            }
        }
    }

    pub fn flush(&mut self, at: Instant) {
        while self.conn.poll_transmit(at, &mut self.send) > 0 {}
    }

    /// Reads all that is there.
    pub fn read_all(&mut self, id: StreamId) -> Vec<u8> {
        let mut out = Vec::new();
        while let Ok(Some(bytes)) = self.conn.read(id) {
            out.extend_from_slice(&bytes);
        }
        out
    }

    pub fn read(&mut self, id: StreamId) -> Option<Bytes> {
        self.conn.read(id).unwrap()
    }

    pub fn write(&mut self, id: StreamId, data: &[u8]) -> usize {
        self.conn.write(now(), id, data, &mut self.send).unwrap()
    }

    /// The inbound stream that was opened last.
    pub fn inbound(&self) -> StreamId {
        self.events
            .iter()
            .rev()
            .find_map(|e| match e {
                Event::Opened { stream, direction: sanswarm_connection::Direction::Inbound, .. } => Some(*stream),
                _ => None,
            })
            .expect("an inbound stream")
    }

    pub fn hangup(&self) -> Hangup {
        self.conn.hangup(&self.send)
    }
}

pub struct Pair {
    pub a: End,
    pub b: End,
    pub chunk: usize,
    pub at: Instant,
}

impl Pair {
    /// A dialer that speaks nothing and a listener that speaks `speaks`.
    pub fn new(speaks: &[&'static str]) -> Self {
        let b = End::new(Role::Listener, 50, None, speaks);
        let a = End::new(Role::Dialer, 10, Some(keypair(50).public().to_peer_id()), &[]);
        Self::of(a, b)
    }

    pub fn of(a: End, b: End) -> Self {
        Self { a, b, chunk: usize::MAX, at: now() }
    }

    /// Carries bytes both ways until nothing moves.
    pub fn run(&mut self) {
        for _ in 0..1_000_000 {
            let (at, chunk) = (self.at, self.chunk);
            let moved = self.a.poll(at) + self.b.poll(at);
            if moved + carry(&mut self.a, &mut self.b, at, chunk) + carry(&mut self.b, &mut self.a, at, chunk) == 0 {
                return;
            }
        }
        panic!("it never comes to rest");
    }

    /// Carries bytes in whole flights: all that one end has to say, then all of the other. Returns who sent how much.
    pub fn flights(&mut self, most: usize) -> Vec<(Role, usize)> {
        let mut flights = Vec::new();
        for _ in 0..most {
            for role in [Role::Dialer, Role::Listener] {
                let (from, to) =
                    if role.is_dialer() { (&mut self.a, &mut self.b) } else { (&mut self.b, &mut self.a) };
                from.poll(self.at);
                from.flush(self.at);
                from.poll(self.at);
                let n = carry(from, to, self.at, usize::MAX);
                if n > 0 {
                    flights.push((role, n));
                }
            }
        }
        flights
    }
}

fn carry(from: &mut End, to: &mut End, at: Instant, chunk: usize) -> usize {
    from.flush(at);
    let ready = from.send.ready();
    let n = to.recv.feed(&ready[..ready.len().min(chunk)]);
    from.send.sent(n);
    if from.hangup() >= Hangup::Write {
        to.recv.set_eof();
    }
    n
}
