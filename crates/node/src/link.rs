//! The data plane of a node: one connection with its ping and identify machines.

use core::time::Duration;
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

use bytes::Bytes;
use libp2p_identity::PeerId;
use sanswarm_connection as connection;
use sanswarm_connection::{Connection, Direction};
use sanswarm_identify as identify;
use sanswarm_multistream::ProtocolName;
use sanswarm_swarm::ConnId;
use sanswarm_wire::{Deadline, Instant, RecvBuf, SendBuf};

use crate::{
    CloseReason, Event, Hangup, IdentifyError, Info, Open, OpenId, OpenStreamError, PingError, Protocols, ReadError,
    Refusal, StreamId, ToControl, ToLink, WriteError,
    message::{ToControlKind, ToLinkKind},
    protocols::Handlers,
    service::{Kind, Outcome, Service},
};

/// Streams of ping and identify that a peer may have open at once. More are reset. Stops: services as free memory.
const SERVICES_MAX: usize = 16;

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
    services: BTreeMap<connection::StreamId, Service>,
    /// Services that have something to send.
    due: VecDeque<connection::StreamId>,
    requests: BTreeMap<connection::StreamId, OpenId>,
    /// Streams that were told open before the agreement.
    early: BTreeSet<connection::StreamId>,
    ping: Option<connection::StreamId>,
    next_ping: Option<Instant>,
    /// Identify has not been told of, and this is when it is told without a message.
    identify_until: Option<Instant>,
    identified: bool,
    events: VecDeque<Event>,
    to_control: VecDeque<ToControl>,
    ended: bool,
}

/// What a link is given by its control.
#[derive(Debug)]
pub(crate) struct Setup {
    pub(crate) handlers: Arc<Handlers>,
    pub(crate) info: Arc<identify::Info>,
    /// The peer's address, as identify tells it.
    pub(crate) observed: Bytes,
    pub(crate) ping_interval: Option<Duration>,
    pub(crate) ping_timeout: Duration,
    pub(crate) identify_timeout: Duration,
    pub(crate) seed: u64,
}

impl Link {
    pub(crate) fn new(id: ConnId, mut conn: Connection, setup: Setup) -> Self {
        conn.set_names(setup.handlers.names.clone());
        Self {
            id,
            conn,
            setup,
            peer: None,
            speaks: None,
            services: BTreeMap::new(),
            due: VecDeque::new(),
            requests: BTreeMap::new(),
            early: BTreeSet::new(),
            ping: None,
            next_ping: None,
            identify_until: None,
            identified: false,
            events: VecDeque::new(),
            to_control: VecDeque::new(),
            ended: false,
        }
    }

    /// The connection's name.
    pub fn id(&self) -> ConnId {
        self.id
    }

    /// Whether the connection has ended: no event about a stream follows, and every call on one says `Closed`.
    pub fn is_ended(&self) -> bool {
        self.ended
    }

    /// Counts of the connection.
    pub fn stats(&self) -> connection::Stats {
        self.conn.stats()
    }

    // ---- the driver's calls

    /// Uses what has arrived and tells what came of it: one event a call, `None` when there is nothing more to tell.
    pub fn poll_event(&mut self, now: Instant, recv: &mut RecvBuf) -> Option<Event> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Some(event);
            }
            match self.conn.poll_event(now, recv) {
                Ok(Some(event)) => self.handle_event(now, event),
                Ok(None) => return None,
                Err(_) if self.ended => return None,
                Err(error) => self.end(Err(error)),
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
        }
        self.conn.poll_transmit(now, send);
        (send.total() - before) as usize
    }

    /// When to call [`handle_timeout`](Self::handle_timeout).
    pub fn poll_timeout(&self) -> Option<Deadline> {
        let at = |at: Option<Instant>, why| at.map(|at| Deadline { at, why });
        let pinger = self.ping.and_then(|id| match &self.services.get(&id)?.kind {
            Kind::Ping(pinger) => pinger.poll_timeout(),
            _ => None,
        });
        [at(self.next_ping, "next ping"), at(self.identify_until, "identify"), pinger]
            .into_iter()
            .fold(self.conn.poll_timeout(), Deadline::sooner)
    }

    /// Says that time has passed. An early call does nothing.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.conn.handle_timeout(now);
        if self.identify_until.is_some_and(|at| at <= now) {
            self.identified(Err(IdentifyError::Timeout));
        }
        if let Some(Service { kind: Kind::Ping(pinger), .. }) = self.ping.and_then(|id| self.services.get_mut(&id)) {
            if let Err(error) = pinger.handle_timeout(now) {
                self.ping_failed(PingError::Echo(error));
            }
        }
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
            ToLinkKind::Open { request, protocols, how } => self.open(now, request, &protocols, how),
            ToLinkKind::Ping => {
                if !self.start_ping(now) {
                    self.tell(ToControlKind::Pong(Err(PingError::Busy)));
                }
            }
            ToLinkKind::Handlers { handlers, info } => {
                self.conn.set_names(handlers.names.clone());
                self.setup.handlers = handlers;
                self.setup.info = info;
                self.push(now);
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

    // ---- within

    fn tell(&mut self, message: ToControlKind) {
        self.to_control.push_back(ToControl(message));
    }

    fn stream(&self, stream: connection::StreamId) -> StreamId {
        StreamId { conn: self.id, stream }
    }

    fn handle_event(&mut self, now: Instant, event: connection::Event) {
        match event {
            connection::Event::Ready { peer, security, muxer } => {
                self.peer = Some(peer);
                self.tell(ToControlKind::Ready { peer, security, muxer });
                self.identify_until = Some(now + self.setup.identify_timeout);
                self.next_ping = self.setup.ping_interval.map(|interval| now + interval);
                let (name, service) = Service::identify();
                if !self.start_service(now, name, service) {
                    self.identified(Err(IdentifyError::Closed));
                }
            }
            connection::Event::Opened { stream, protocol, direction } => {
                self.opened(now, stream, protocol, direction);
            }
            connection::Event::Refused { stream, refusal } => self.refused(stream, refusal),
            connection::Event::Readable { stream } if self.services.contains_key(&stream) => {
                self.read_service(now, stream);
            }
            connection::Event::Finished { stream } if self.services.contains_key(&stream) => {
                self.read_service(now, stream);
            }
            connection::Event::Writable { stream } if self.services.contains_key(&stream) => self.due.push_back(stream),
            connection::Event::Reset { stream } => {
                if let Some(service) = self.services.remove(&stream) {
                    self.service_gone(stream, &service);
                } else {
                    self.events.push_back(Event::Reset { stream: self.stream(stream) });
                }
            }
            connection::Event::Readable { stream } => {
                self.events.push_back(Event::Readable { stream: self.stream(stream) });
            }
            connection::Event::Writable { stream } => {
                self.events.push_back(Event::Writable { stream: self.stream(stream) });
            }
            connection::Event::Finished { stream } => {
                self.events.push_back(Event::Finished { stream: self.stream(stream) });
            }
            connection::Event::Closed { reason } => self.end(Ok(reason)),
            _ => {}
        }
    }

    fn open(&mut self, now: Instant, request: OpenId, protocols: &Protocols, how: Open) {
        let (names, how) = self.choose(protocols, how);
        match self.conn.open(now, names.clone(), how) {
            Ok(id) if how == Open::Lazy && names.len() == 1 && self.peer.is_some() => {
                self.early.insert(id);
                self.tell_opened(id, Some(request), names[0].clone(), None);
            }
            Ok(id) => drop(self.requests.insert(id, request)),
            Err(error) => {
                self.events.push_back(Event::OpenFailed { request, error: OpenStreamError::Open(error) });
            }
        }
    }

    /// With what the peer says that it speaks, only the first name that it lists is offered, and needs no waiting.
    fn choose(&self, protocols: &Protocols, how: Open) -> (Arc<[ProtocolName]>, Open) {
        let listed =
            self.speaks.as_ref().and_then(|speaks| protocols.0.iter().find(|name| speaks.contains(name.as_str())));
        match listed {
            Some(name) => (Arc::new([name.clone()]), Open::Lazy),
            None => (protocols.0.clone(), how),
        }
    }

    fn tell_opened(
        &mut self,
        id: connection::StreamId,
        request: Option<OpenId>,
        protocol: ProtocolName,
        handler: Option<crate::HandlerId>,
    ) {
        let Some(peer) = self.peer else { return };
        let stream = self.stream(id);
        self.events.push_back(Event::Opened { handler, request, stream, protocol, peer });
    }

    fn opened(&mut self, now: Instant, id: connection::StreamId, protocol: ProtocolName, direction: Direction) {
        if direction == Direction::Outbound {
            if self.services.contains_key(&id) {
                self.service_opened(now, id);
            } else if !self.early.remove(&id) {
                let request = self.requests.remove(&id);
                self.tell_opened(id, request, protocol, None);
            }
            return;
        }
        let (info, observed) = (&self.setup.info, &self.setup.observed);
        let own =
            || identify::Info { observed_addr: Some(observed.clone()), ..(**info).clone() }.encode(&Default::default());
        if let Some(service) = Service::inbound(&protocol, own) {
            if self.services.len() >= SERVICES_MAX {
                let _ = self.conn.reset(id);
                return;
            }
            self.services.insert(id, service);
            self.due.push_back(id);
        } else if let Some(handler) = self.setup.handlers.get(&protocol) {
            self.tell_opened(id, None, protocol, Some(handler));
        } else {
            // Its handler was removed while the stream was negotiated.
            let _ = self.conn.reset(id);
        }
    }

    fn refused(&mut self, id: connection::StreamId, refusal: Refusal) {
        if let Some(service) = self.services.remove(&id) {
            match service.kind {
                Kind::Ping(_) => {
                    self.ping = None;
                    self.next_ping = None;
                    self.tell(ToControlKind::Pong(Err(PingError::Refused(refusal))));
                }
                Kind::Listen { push: false, .. } => self.identified(Err(IdentifyError::Refused(refusal))),
                _ => {}
            }
        } else if let Some(request) = self.requests.remove(&id) {
            self.events.push_back(Event::OpenFailed { request, error: OpenStreamError::Refused(refusal) });
        } else if self.early.remove(&id) {
            self.events.push_back(Event::Refused { stream: self.stream(id), refusal });
        }
    }

    fn end(&mut self, result: Result<CloseReason, connection::Error>) {
        if core::mem::replace(&mut self.ended, true) {
            return;
        }
        for request in core::mem::take(&mut self.requests).into_values() {
            let error = OpenStreamError::Closed(result.clone());
            self.events.push_back(Event::OpenFailed { request, error });
        }
        if self.ping.take().is_some() {
            self.tell(ToControlKind::Pong(Err(PingError::Closed)));
        }
        if self.peer.is_some() {
            self.identified(Err(IdentifyError::Closed));
        }
        self.services.clear();
        self.next_ping = None;
        self.tell(ToControlKind::Closed(result));
    }

    // ---- ping and identify

    fn start_service(&mut self, now: Instant, name: ProtocolName, service: Service) -> bool {
        // Lazy: their first message says nothing that could be read as a proposal, and mostly there is none.
        let how = if matches!(service.kind, Kind::Listen { .. }) { Open::Lazy } else { Open::Wait };
        let Ok(id) = self.conn.open(now, Arc::new([name]), how) else { return false };
        if let Kind::Ping(_) = service.kind {
            self.ping = Some(id);
        }
        self.services.insert(id, service);
        true
    }

    fn service_opened(&mut self, now: Instant, id: connection::StreamId) {
        let payload = self.payload();
        if let Some(Service { kind: Kind::Ping(pinger), .. }) = self.services.get_mut(&id) {
            pinger.start(now, payload);
        }
        self.due.push_back(id);
        self.read_service(now, id);
    }

    /// Starts a ping if none is under way.
    fn start_ping(&mut self, now: Instant) -> bool {
        let payload = self.payload();
        match self.ping.and_then(|id| Some((id, self.services.get_mut(&id)?))) {
            Some((id, Service { kind: Kind::Ping(pinger), .. })) => {
                let started = pinger.start(now, payload);
                self.due.push_back(id);
                started
            }
            _ if self.peer.is_none() || self.ended => false,
            _ => {
                let (name, service) = Service::ping(self.setup.ping_timeout);
                self.start_service(now, name, service)
            }
        }
    }

    /// 32 bytes that nobody has sent before (splitmix64).
    fn payload(&mut self) -> [u8; 32] {
        let mut payload = [0; 32];
        for eight in payload.chunks_exact_mut(8) {
            self.setup.seed = self.setup.seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut x = self.setup.seed;
            x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            eight.copy_from_slice(&(x ^ (x >> 31)).to_le_bytes());
        }
        payload
    }

    fn read_service(&mut self, now: Instant, id: connection::StreamId) {
        while let Some(service) = self.services.get_mut(&id) {
            let outcome = service.read(now, id, &mut self.conn);
            if service.is_due() {
                self.due.push_back(id);
            }
            match outcome {
                None => return,
                Some(Outcome::Pong(rtt)) => self.tell(ToControlKind::Pong(Ok(rtt))),
                Some(Outcome::PingFailed(error)) => self.ping_failed(error),
                Some(Outcome::Info { info, push }) => {
                    if info.is_err() {
                        let _ = self.conn.reset(id);
                        self.services.remove(&id);
                    }
                    self.heard(info, push);
                    return;
                }
                Some(Outcome::Ended) => {
                    if self.services.get(&id).is_some_and(Service::is_over) {
                        self.services.remove(&id);
                    }
                    return;
                }
            }
        }
    }

    fn ping_failed(&mut self, error: PingError) {
        if let Some(id) = self.ping.take() {
            self.services.remove(&id);
            let _ = self.conn.reset(id);
            self.tell(ToControlKind::Pong(Err(error)));
        }
    }

    fn service_gone(&mut self, id: connection::StreamId, service: &Service) {
        match service.kind {
            Kind::Ping(_) if self.ping == Some(id) => {
                self.ping = None;
                self.tell(ToControlKind::Pong(Err(PingError::Closed)));
            }
            Kind::Listen { push: false, .. } => self.identified(Err(IdentifyError::Closed)),
            _ => {}
        }
    }

    fn heard(&mut self, info: Result<identify::Info, identify::Error>, push: bool) {
        let info = match info {
            Ok(raw) if !self.is_key_of_peer(&raw) => Err(IdentifyError::WrongKey),
            Ok(raw) => Ok(Info::read(&raw)),
            Err(error) => Err(IdentifyError::Message(error)),
        };
        if let (Ok(info), true) = (&info, push) {
            // A push leaves out what has not changed.
            if !info.protocols.is_empty() {
                self.speaks = Some(info.protocols.iter().cloned().collect());
            }
            return self.tell(ToControlKind::Changed(info.clone()));
        }
        if !push {
            self.identified(info);
        }
    }

    fn is_key_of_peer(&self, raw: &identify::Info) -> bool {
        let Some(key) = &raw.public_key else { return true };
        libp2p_identity::PublicKey::try_decode_protobuf(key).is_ok_and(|key| Some(key.to_peer_id()) == self.peer)
    }

    /// Tells once what identify came to.
    fn identified(&mut self, info: Result<Info, IdentifyError>) {
        if core::mem::replace(&mut self.identified, true) {
            return;
        }
        self.identify_until = None;
        if let Ok(info) = &info {
            self.speaks = Some(info.protocols.iter().cloned().collect());
        }
        self.tell(ToControlKind::Identified(info));
    }

    /// Tells a peer that listens to pushes what has changed about us.
    fn push(&mut self, now: Instant) {
        if self.speaks.as_ref().is_some_and(|speaks| speaks.contains(identify::PUSH_NAME)) {
            let (name, service) = Service::push(self.setup.info.encode(&Default::default()));
            self.start_service(now, name, service);
        }
    }
}
