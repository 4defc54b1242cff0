//! The data plane of a node: one connection with its ping and identify machines.

use core::time::Duration;
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

use bytes::Bytes;
use libp2p_identity::PeerId;
use multiaddr::Multiaddr;
use sanswarm_connection as connection;
use sanswarm_connection::Connection;
use sanswarm_identify as identify;
use sanswarm_swarm::{ConnId, Gate};
use sanswarm_wire::{Budget, Deadline, Instant, RecvBuf, Role, SendBuf};

use crate::{
    CloseReason, Event, Hangup, IdentifyError, LinkCounters, OpenId, PingError, Protocols, ReadError, StreamId,
    ToControl, ToLink, WriteError,
    counters::Labels,
    message::{ToControlKind, ToLinkKind},
    protocols::Handlers,
    service::{Kind, Service},
    transcript::{Entry, Level},
};

mod services;
mod streams;
mod usage;

/// Streams of ping and identify at once. What a peer opens beyond is reset. Stops: services as free memory.
const SERVICES_MAX: usize = 16;

/// So many pings in a row without an answer or anything else, and the connection is closed: one can be lost in a network that comes
/// back. Stops: connections to hosts that are no more, and who waits for them.
const SILENT_PINGS: u8 = 2;

/// Requests that wait at once for what a peer says that it speaks. Further ones fail.
const WAITING_MAX: usize = 256;

/// One connection of a node. It shares nothing with its [`Control`](crate::Control) and can live on another thread.
///
/// Drive it as a [`Connection`]: `poll_event`, `poll_transmit`, `poll_timeout`, `handle_timeout`, `hangup`; and carry what
/// [`poll_control`](Self::poll_control) gives to the control, and what the control gives to
/// [`handle_link`](Self::handle_link).
#[derive(Debug)]
pub struct Link {
    id: ConnId,
    conn: Connection,
    setup: Setup,
    /// Once ready: who the peer is.
    peer: Option<PeerId>,
    /// What the peer said that it speaks.
    speaks: Option<BTreeSet<String>>,
    /// Behind boxes, since a node of the map has room for eleven.
    services: BTreeMap<connection::StreamId, Box<Service>>,
    /// Services that have something to send.
    due: VecDeque<connection::StreamId>,
    requests: BTreeMap<connection::StreamId, OpenId>,
    /// Requests that wait for what the peer says that it speaks.
    waiting: Vec<(OpenId, Protocols)>,
    /// Streams that were told open before the agreement.
    early: BTreeSet<connection::StreamId>,
    ping: Option<connection::StreamId>,
    /// The stream for pings is agreed on. Until then its first ping is under way.
    ping_is_open: bool,
    /// Where we ask who the peer is.
    identify: Option<connection::StreamId>,
    /// Where we tell what has changed about us.
    push: Option<connection::StreamId>,
    /// Something has changed that the peer was not told of.
    push_due: bool,
    next_ping: Option<Instant>,
    /// Bytes that have come in, until now and until the last ping began.
    received: u64,
    received_before_ping: u64,
    /// Pings in a row during which nothing has come.
    silent_pings: u8,
    /// Identify has not been told of, and this is when it is told without a message.
    identify_until: Option<Instant>,
    identified: bool,
    usage: usage::Usage,
    events: VecDeque<Event>,
    to_control: VecDeque<ToControl>,
    ended: bool,
    /// How it ended, until the control is told, which is after all events.
    end: Option<Result<CloseReason, connection::Error>>,
}

/// What a link is given by its control.
#[derive(Debug)]
pub(crate) struct Setup {
    pub(crate) handlers: Arc<Handlers>,
    pub(crate) labels: Arc<Labels>,
    pub(crate) gate: Gate,
    pub(crate) info: Arc<identify::Info>,
    /// The peer's address, as identify tells it.
    pub(crate) observed: Bytes,
    pub(crate) ping_interval: Option<Duration>,
    pub(crate) ping_timeout: Duration,
    pub(crate) identify_timeout: Duration,
    pub(crate) seed: u64,
    pub(crate) transcript: Level,
    pub(crate) budget: Budget,
}

impl Link {
    pub(crate) fn new(id: ConnId, mut conn: Connection, setup: Setup) -> Self {
        conn.set_names(setup.handlers.names.clone());
        conn.set_transcript(setup.transcript);
        Self {
            id,
            conn,
            setup,
            peer: None,
            speaks: None,
            services: BTreeMap::new(),
            due: VecDeque::new(),
            requests: BTreeMap::new(),
            waiting: Vec::new(),
            early: BTreeSet::new(),
            ping: None,
            ping_is_open: false,
            identify: None,
            push: None,
            push_due: false,
            next_ping: None,
            received: 0,
            received_before_ping: 0,
            silent_pings: 0,
            identify_until: None,
            identified: false,
            usage: usage::Usage::default(),
            events: VecDeque::new(),
            to_control: VecDeque::new(),
            ended: false,
            end: None,
        }
    }

    /// Gives memory back that is of no use while nothing happens. A driver calls this when the connection rests.
    pub fn shrink(&mut self) {
        self.events.shrink_to_fit();
        self.to_control.shrink_to_fit();
        self.due.shrink_to_fit();
    }

    /// The connection's name.
    pub fn id(&self) -> ConnId {
        self.id
    }

    /// Whether the connection has ended: no event about a stream follows, and every call on one says `Closed`.
    pub fn is_ended(&self) -> bool {
        self.ended
    }

    /// Whether input waits until the application reads, or replies are sent. See [`Connection::is_held`]: a read that ends
    /// this is a reason to poll at once.
    pub fn is_held(&self) -> bool {
        self.conn.is_held()
    }

    /// A buffer for what arrives, whose memory comes out of what [`Config::recv_bytes`](crate::Config::recv_bytes) gives all
    /// connections of the node.
    pub fn recv_buf(&self) -> RecvBuf {
        RecvBuf::with_budget(self.setup.budget.clone())
    }

    /// The next entry of the transcript that [`Config::transcript`](crate::Config::transcript) asks for.
    pub fn poll_transcript(&mut self) -> Option<Entry> {
        self.conn.poll_transcript()
    }

    /// Which end of the connection this is.
    pub fn role(&self) -> Role {
        self.conn.role()
    }

    /// The other end's address.
    pub fn remote(&self) -> Option<Multiaddr> {
        Multiaddr::try_from(self.setup.observed.to_vec()).ok()
    }

    /// Counts of the connection.
    pub fn stats(&self) -> connection::Stats {
        self.conn.stats()
    }

    /// What this link has counted and its control was not told of yet. `None`: there is nothing.
    pub fn counters(&self) -> Option<LinkCounters> {
        Some(LinkCounters::read(self.conn.counters()?, &self.setup.labels))
    }

    /// See [`Connection::wire_id`].
    pub fn wire_id(&self, stream: StreamId) -> Option<u64> {
        self.conn.wire_id(stream.stream).filter(|_| stream.conn == self.id)
    }

    // ---- the driver's calls

    /// Uses what has arrived and tells what came of it: one event a call, `None` when there is nothing more to tell.
    pub fn poll_event(&mut self, now: Instant, recv: &mut RecvBuf) -> Option<Event> {
        self.received = recv.total();
        loop {
            if let Some(event) = self.events.pop_front() {
                return Some(event);
            }
            if let Some(result) = self.end.take() {
                self.tell_counters();
                self.tell(ToControlKind::Closed(result));
            }
            match self.conn.poll_event(now, recv) {
                Ok(Some(event)) => self.handle_event(now, event),
                Ok(None) => {
                    self.tell_usage(now);
                    self.count(now);
                    return None;
                }
                Err(_) if self.ended => return None,
                Err(error) => self.end(now, Err(error)),
            }
        }
    }

    /// Adds what is due to `send`; returns how many bytes became ready.
    pub fn poll_transmit(&mut self, now: Instant, send: &mut SendBuf) -> usize {
        let before = send.total();
        for _ in 0..self.due.len() {
            let Some(id) = self.due.pop_front() else { break };
            let Some(service) = self.services.get_mut(&id) else { continue };
            if service.send(now, id, &mut self.conn, send) {
                // An echo that went out makes room for the next ping.
                self.read_service(now, id);
            } else {
                self.services.remove(&id);
            }
            self.check_pushed(now, id);
        }
        self.conn.poll_transmit(now, send);
        self.usage.unsent = send.ready().len();
        (send.total() - before) as usize
    }

    /// When to call [`handle_timeout`](Self::handle_timeout).
    pub fn poll_timeout(&self) -> Option<Deadline> {
        let at = |at: Option<Instant>, why| at.map(|at| Deadline { at, why });
        let pinger = self.ping.and_then(|id| match &self.services.get(&id)?.kind {
            Kind::Ping(pinger) => pinger.poll_timeout(),
            _ => None,
        });
        [
            at(self.next_ping, "next ping"),
            at(self.identify_until, "identify"),
            at(self.usage.until, "unused"),
            at(self.usage.less_at, "less memory"),
            at(Some(self.usage.count_at).filter(|at| *at > Instant::ZERO), "counters"),
            pinger,
        ]
        .into_iter()
        .fold(self.conn.poll_timeout(), Deadline::sooner)
    }

    /// Says that time has passed. An early call does nothing.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.conn.handle_timeout(now);
        if self.identify_until.is_some_and(|at| at <= now) {
            self.identified(now, Err(IdentifyError::Timeout));
            if let Some(id) = self.identify.take() {
                self.services.remove(&id);
                let _ = self.conn.reset(id);
            }
        }
        if let Some(Kind::Ping(pinger)) = self.ping.and_then(|id| Some(&mut self.services.get_mut(&id)?.kind)) {
            if let Err(error) = pinger.handle_timeout(now) {
                self.ping_failed(PingError::Echo(error));
            }
        }
        self.tell_usage(now);
        self.count(now);
        if self.next_ping.is_some_and(|at| at <= now) {
            self.next_ping = self.setup.ping_interval.map(|interval| now + interval);
            self.start_ping(now);
        }
    }

    /// What to do with the socket, given what is left to send.
    pub fn hangup(&self, send: &SendBuf) -> Hangup {
        self.conn.hangup(send)
    }

    /// The next message for the control.
    pub fn poll_control(&mut self) -> Option<ToControl> {
        self.to_control.pop_front()
    }

    /// A message from the control.
    pub fn handle_link(&mut self, now: Instant, message: ToLink) {
        match message.0 {
            ToLinkKind::Open { request, protocols, how, labels } => {
                self.setup.labels = labels;
                self.open(now, request, &protocols, how);
            }
            ToLinkKind::Ping => {
                if !self.start_ping(now) {
                    self.tell(ToControlKind::Pong(Err(PingError::Busy)));
                }
            }
            ToLinkKind::Handlers { handlers, labels, info } => {
                self.setup.labels = labels;
                self.conn.set_names(handlers.names.clone());
                self.setup.handlers = handlers;
                self.setup.info = info;
                self.push_due = self.peer.is_some() && !self.ended;
                self.push(now);
            }
            ToLinkKind::Drain => {
                self.drain();
                self.tell_usage(now);
            }
            ToLinkKind::Close => self.conn.close(now),
        }
    }

    // ---- the user's calls

    /// See [`Connection::read`].
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn read(&mut self, stream: StreamId) -> Result<Option<Bytes>, ReadError> {
        if stream.conn == self.id { self.conn.read(stream.stream) } else { Err(ReadError::Gone) }
    }

    /// See [`Connection::write`].
    ///
    /// # Errors
    /// [`WriteError`].
    pub fn write(
        &mut self,
        now: Instant,
        stream: StreamId,
        data: &[u8],
        send: &mut SendBuf,
    ) -> Result<usize, WriteError> {
        self.check(stream)?;
        self.conn.write(now, stream.stream, data, send)
    }

    /// See [`Connection::finish`].
    ///
    /// # Errors
    /// [`WriteError`].
    pub fn finish(&mut self, stream: StreamId) -> Result<(), WriteError> {
        self.check(stream)?;
        self.conn.finish(stream.stream)
    }

    /// See [`Connection::reset`].
    ///
    /// # Errors
    /// [`WriteError`].
    pub fn reset(&mut self, stream: StreamId) -> Result<(), WriteError> {
        self.check(stream)?;
        self.early.remove(&stream.stream);
        self.conn.reset(stream.stream)
    }

    /// See [`Connection::stop`].
    ///
    /// # Errors
    /// [`WriteError`].
    pub fn stop(&mut self, stream: StreamId) -> Result<(), WriteError> {
        self.check(stream)?;
        self.conn.stop(stream.stream)
    }

    fn check(&self, stream: StreamId) -> Result<(), WriteError> {
        if stream.conn == self.id { Ok(()) } else { Err(WriteError::Gone) }
    }
}
