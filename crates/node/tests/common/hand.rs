//! Peers that are no nodes: they say nothing, or the wrong thing, or only a part.

use std::{collections::BTreeMap, sync::Arc};

use sanswarm::{Instant, Muxer, ProtocolName, RecvBuf, Role, Security, SendBuf};
use sanswarm_connection::{self as connection, Connection, Direction, Hangup, StreamId};
use sanswarm_multistream_select::{Greeting, Names, Negotiator};
use sanswarm_noise::{Handshake, StaticKey};

use super::keypair;

const PING: &str = "/ipfs/ping/1.0.0";
const IDENTIFY: &str = "/ipfs/id/1.0.0";

const HTTP: &[u8] = b"HTTP/1.1 400 Bad Request\r\nServer: nginx\r\nContent-Type: text/html\r\nContent-Length: 150\r\n\
    Connection: close\r\n\r\n<html><head><title>400 Bad Request</title></head></html>";

/// What is at the other end of a pipe.
pub(crate) struct Hand {
    kind: Kind,
    pub(crate) recv: RecvBuf,
    pub(crate) send: SendBuf,
    over: bool,
}

enum Kind {
    /// Reads and says nothing.
    Silent,
    /// Answers as a web server does, and closes.
    Http,
    /// Closes when it has received so many bytes.
    Closes(usize),
    /// Negotiates something else than noise.
    OtherSecurity(Negotiator),
    /// Shakes hands and offers another muxer.
    OtherMuxer(Negotiator, Option<Box<Handshake>>),
    Served(Box<Served>),
}

/// A connection without a node: it does on its streams what a test wants.
pub(crate) struct Served {
    pub(crate) conn: Connection,
    /// What it says on identify streams; `None` keeps them open and silent.
    pub(crate) identify: Option<Vec<u8>>,
    /// Whether it echoes pings.
    pub(crate) pongs: bool,
    pub(crate) events: Vec<connection::Event>,
    pub(crate) got: BTreeMap<StreamId, Vec<u8>>,
}

impl Hand {
    fn of(kind: Kind) -> Self {
        Self { kind, recv: RecvBuf::default(), send: SendBuf::default(), over: false }
    }

    pub(crate) fn silent() -> Self {
        Self::of(Kind::Silent)
    }

    pub(crate) fn http() -> Self {
        Self::of(Kind::Http)
    }

    pub(crate) fn closes_at_once() -> Self {
        Self::of(Kind::Closes(0))
    }

    /// Closes in the middle of the handshake: it has said nothing yet but has read a proposal.
    pub(crate) fn closes_later() -> Self {
        Self::of(Kind::Closes(20))
    }

    pub(crate) fn other_security() -> Self {
        Self::of(Kind::OtherSecurity(negotiator("/tls/1.0.0")))
    }

    pub(crate) fn other_muxer() -> Self {
        let key = StaticKey::from_secret([9; 32]);
        let signature = keypair(9).sign(&key.message()).expect("it signs");
        let identity = keypair(9).public().encode_protobuf();
        let config = sanswarm_noise::Config {
            muxers: vec!["/mplex/6.7.0".into()],
            ..sanswarm_noise::Config::new(key, identity, signature)
        };
        let handshake = Handshake::new(Role::Listener, Arc::new(config), [77; 32]).expect("an AEAD");
        Self::of(Kind::OtherMuxer(negotiator("/noise"), Some(Box::new(handshake))))
    }

    /// A listener with the identity 9 that agrees to `speaks`.
    pub(crate) fn serves(speaks: &[&'static str], identify: Option<Vec<u8>>, pongs: bool) -> Self {
        let config = connection::Config::new(
            &keypair(9),
            [99; 32],
            Security::defaults(),
            Muxer::defaults(),
            connection::Limits::default(),
        );
        let config = Arc::new(config.expect("it signs"));
        let mut conn = Connection::new(Instant::ZERO, Role::Listener, config, None, [98; 32]);
        conn.set_names(Arc::new(speaks.iter().map(|name| ProtocolName::from_static(name)).collect()));
        let (events, got) = Default::default();
        Self::of(Kind::Served(Box::new(Served { conn, identify, pongs, events, got })))
    }

    /// The connection of a hand that serves.
    pub(crate) fn served(&mut self) -> &mut Served {
        match &mut self.kind {
            Kind::Served(served) => served,
            _ => panic!("no connection here"),
        }
    }

    pub(crate) fn feed(&mut self, bytes: &[u8]) -> usize {
        if self.recv.wants() { self.recv.feed(bytes) } else { 0 }
    }

    pub(crate) fn set_eof(&mut self) {
        self.recv.set_eof();
    }

    /// Whether it sends nothing more.
    pub(crate) fn is_over(&self) -> bool {
        self.over && self.send.is_empty()
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        match &self.kind {
            Kind::Served(served) => served.conn.poll_timeout().map(|deadline| deadline.at).filter(|_| !self.over),
            _ => None,
        }
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        if let Kind::Served(served) = &mut self.kind {
            served.conn.handle_timeout(now);
        }
    }

    /// Goes on, and gives at most `room` bytes to be sent.
    pub(crate) fn step(&mut self, now: Instant, room: usize) -> Vec<u8> {
        let Self { kind, recv, send, over } = self;
        let got = recv.sealed_mut().len();
        match kind {
            Kind::Silent => drop(eat(recv)),
            Kind::Http if got > 0 && !*over => {
                assert!(send.append(HTTP));
                *over = true;
            }
            Kind::Http => drop(eat(recv)),
            Kind::Closes(at) => *over |= got >= *at,
            Kind::OtherSecurity(negotiator) => negotiate(negotiator, recv, send),
            Kind::OtherMuxer(negotiator, handshake) => {
                shake(negotiator, handshake, recv, send);
            }
            Kind::Served(served) => {
                served.step(now, recv, send);
                *over |= served.conn.hangup(send) > Hangup::No;
            }
        }
        let bytes = send.ready()[..send.ready().len().min(room)].to_vec();
        send.sent(bytes.len());
        bytes
    }
}

fn eat(recv: &mut RecvBuf) -> usize {
    recv.reveal_all();
    let n = recv.plain().len();
    recv.consume(n);
    n
}

fn negotiator(name: &'static str) -> Negotiator {
    let names: Names = [ProtocolName::from_static(name)].into_iter().collect();
    Negotiator::listener(Arc::new(names), Greeting::AtOnce)
}

fn negotiate(negotiator: &mut Negotiator, recv: &mut RecvBuf, send: &mut SendBuf) {
    recv.reveal_all();
    while let Ok((used @ 1.., _)) = negotiator.handle_input(recv.plain()) {
        recv.consume(used);
    }
    negotiator.poll_transmit(send);
}

fn shake(
    negotiator: &mut Negotiator,
    handshake: &mut Option<Box<Handshake>>,
    recv: &mut RecvBuf,
    send: &mut SendBuf,
) -> Option<()> {
    recv.reveal_all();
    while let Ok((used @ 1.., agreed)) = negotiator.handle_input(recv.plain()) {
        recv.consume(used);
        if agreed.is_some() {
            break;
        }
    }
    negotiator.poll_transmit(send);
    let handshake = handshake.as_mut()?;
    while let Ok((used @ 1.., claim)) = handshake.handle_input(recv.plain()) {
        recv.consume(used);
        if claim.is_some() {
            handshake.handle_verdict(true).ok()?;
        }
    }
    handshake.poll_transmit(send);
    Some(())
}

impl Served {
    fn step(&mut self, now: Instant, recv: &mut RecvBuf, send: &mut SendBuf) {
        loop {
            while let Ok(Some(event)) = self.conn.poll_event(now, recv) {
                self.act(now, &event, send);
                self.events.push(event);
            }
            if self.conn.poll_transmit(now, send) == 0 {
                return;
            }
        }
    }

    fn act(&mut self, now: Instant, event: &connection::Event, send: &mut SendBuf) {
        match event {
            connection::Event::Opened { stream, protocol, direction: Direction::Inbound } => {
                if let (IDENTIFY, Some(bytes)) = (protocol.as_str(), &self.identify) {
                    let _ = self.conn.write(now, *stream, bytes, send);
                    let _ = self.conn.finish(*stream);
                }
            }
            connection::Event::Readable { stream } => {
                let is_ping = self.protocol(*stream).is_some_and(|name| name == PING);
                while let Ok(Some(slice)) = self.conn.read(*stream) {
                    if is_ping && self.pongs {
                        let _ = self.conn.write(now, *stream, &slice, send);
                    }
                    self.got.entry(*stream).or_default().extend_from_slice(&slice);
                }
            }
            connection::Event::Finished { stream } => {
                let _ = self.conn.read(*stream);
                let _ = self.conn.finish(*stream);
            }
            _ => {}
        }
    }

    fn protocol(&self, id: StreamId) -> Option<&str> {
        self.events.iter().find_map(|event| match event {
            connection::Event::Opened { stream, protocol, .. } if *stream == id => Some(protocol.as_str()),
            _ => None,
        })
    }

    /// The inbound streams of a protocol, in order.
    pub(crate) fn streams(&self, name: &str) -> Vec<StreamId> {
        let of = |event: &connection::Event| match event {
            connection::Event::Opened { stream, protocol, direction: Direction::Inbound } => {
                (protocol.as_str() == name).then_some(*stream)
            }
            _ => None,
        };
        self.events.iter().filter_map(of).collect()
    }
}
