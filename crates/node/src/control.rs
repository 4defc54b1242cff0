//! The control plane of a node: peers, dials, listeners, handlers, requests. Never a stream byte.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use libp2p_identity::PeerId;
use multiaddr::Multiaddr;
use sanswarm_connection as connection;
use sanswarm_connection::Connection;
use sanswarm_identify as identify;
use sanswarm_swarm::{self as swarm, ConnId, Denied, ListenError, Swarm, Transport, TransportError};
use sanswarm_wire::{Deadline, Instant, Role, Slab};

use crate::{
    Action, Attempt, AttemptCause, CloseReason, Config, DialReport, Event, HandlerId, Info, Link, Muxer, Open, OpenId,
    OpenStreamError, PeerInfo, Protocols, Security, ToControl, ToLink,
    link::Setup,
    message::{ToControlKind, ToLinkKind},
    protocols::Handlers,
};

/// How many errors of failed dials are kept for the report that is yet to come.
const FAILURES_MAX: usize = 256;

/// Who to dial, who may stay, who handles what. It makes the [`Link`]s, and never sees a byte of theirs.
///
/// Drive it with facts (`handle_dialed`, `handle_accepted`, …), carry its [messages](Self::poll_link) to the links and
/// [theirs](Self::handle_control) back, and do what [`poll_action`](Self::poll_action) says.
#[derive(Debug)]
pub struct Control {
    config: Config,
    connection: Arc<connection::Config>,
    swarm: Swarm,
    handlers: Arc<Handlers>,
    info: Arc<identify::Info>,
    requests: Slab<Request>,
    dials: BTreeMap<swarm::DialId, OpenId>,
    conns: BTreeMap<ConnId, Conn>,
    peers: BTreeMap<PeerId, Info>,
    /// What ended connections whose dial goes on, the newest at the back.
    failures: VecDeque<(ConnId, connection::Error)>,
    to_links: VecDeque<(ConnId, ToLink)>,
    events: VecDeque<Event>,
    actions: VecDeque<Action>,
    seed: u64,
}

#[derive(Debug)]
struct Request {
    /// `None`: the connection is all that was asked for.
    protocols: Option<Protocols>,
    how: Open,
    /// Whether `Dialed` is to be told.
    tell_dialed: bool,
}

/// What the control knows of a connection.
#[derive(Debug)]
struct Conn {
    role: Role,
    address: Multiaddr,
    /// Who must be at the other end.
    expected: Option<PeerId>,
    /// Whether a link was made.
    has_link: bool,
    /// Once it is ready.
    ready: Option<(PeerId, Option<Security>, Muxer)>,
}

/// How a pipe becomes a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Upgrade {
    /// Security, then the muxer.
    Raw([u8; 32]),
    /// The muxer only.
    Secure(PeerId),
}

impl Control {
    /// The control of a node that can dial and listen on TCP addresses.
    ///
    /// # Errors
    /// [`SigningError`](crate::SigningError) if the identity cannot sign.
    pub fn new(config: Config) -> Result<Self, crate::SigningError> {
        let connection = Arc::new(connection::Config::new(
            &config.keypair,
            config.noise_secret,
            config.security.clone(),
            config.muxers.clone(),
            config.connection,
        )?);
        let mut swarm = Swarm::new(connection.local(), config.swarm);
        swarm.add_transport(Transport::tcp());
        let handlers = Arc::new(Handlers::new());
        let mut control = Self {
            seed: config.seed,
            config,
            connection,
            swarm,
            handlers,
            info: Arc::default(),
            requests: Slab::new(),
            dials: BTreeMap::new(),
            conns: BTreeMap::new(),
            peers: BTreeMap::new(),
            failures: VecDeque::new(),
            to_links: VecDeque::new(),
            events: VecDeque::new(),
            actions: VecDeque::new(),
        };
        control.rewrite_info();
        Ok(control)
    }

    // ---- the user's calls

    /// Who this node is.
    pub fn id(&self) -> PeerId {
        self.connection.local()
    }

    /// Opens a stream to a peer for the first of `protocols` that it speaks, over a connection that is there, or else
    /// over one that is dialled for it. [`Event::Opened`], from the link, or [`Event::OpenFailed`] follows.
    pub fn open_stream(
        &mut self,
        now: Instant,
        protocols: impl Into<Protocols>,
        peer: impl Into<PeerInfo>,
        how: Open,
    ) -> OpenId {
        let protocols = Some(protocols.into());
        self.request(now, Request { protocols, how, tell_dialed: false }, &peer.into())
    }

    /// Connects to a peer. [`Event::Dialed`] or [`Event::OpenFailed`] follows.
    pub fn connect(&mut self, now: Instant, peer: impl Into<PeerInfo>) -> OpenId {
        self.request(now, Request { protocols: None, how: Open::Wait, tell_dialed: true }, &peer.into())
    }

    /// Connects to a peer and opens a stream for `protocols`: [`Event::Dialed`], then [`Event::Opened`] with the same
    /// request; or [`Event::OpenFailed`].
    pub(crate) fn dial(&mut self, now: Instant, protocols: Protocols, peer: &PeerInfo) -> OpenId {
        self.request(now, Request { protocols: Some(protocols), how: Open::Wait, tell_dialed: true }, peer)
    }

    fn request(&mut self, now: Instant, request: Request, peer: &PeerInfo) -> OpenId {
        let id = OpenId(self.requests.insert(request));
        let dial = self.swarm.dial(now, Some(peer.id), &peer.addrs);
        self.dials.insert(dial, id);
        self.drain_swarm();
        id
    }

    /// Gives up on a request that has no answer yet: [`Event::OpenFailed`] follows, if none was on its way. Returns
    /// whether there was something to give up.
    pub fn cancel(&mut self, now: Instant, request: OpenId) -> bool {
        let dial = self.dials.iter().find(|(_, open)| **open == request).map(|(dial, _)| *dial);
        let cancelled = dial.is_some_and(|dial| self.swarm.cancel(now, dial));
        self.drain_swarm();
        cancelled
    }

    /// Sets who handles inbound streams of `protocols`. A name that had a handler has the new one; connected peers are
    /// told what has changed.
    pub fn set_stream_handler(&mut self, protocols: impl Into<Protocols>) -> HandlerId {
        let id = Arc::make_mut(&mut self.handlers).set(&protocols.into());
        self.rewrite_info();
        id
    }

    /// Takes a handler away: streams of its protocols are refused from now on. Returns whether it was there.
    pub fn remove_stream_handler(&mut self, handler: HandlerId) -> bool {
        let removed = Arc::make_mut(&mut self.handlers).remove(handler);
        if removed {
            self.rewrite_info();
        }
        removed
    }

    /// Listens on an address. [`Event::Listening`] for each address bound, or [`Event::ListenFailed`] follows.
    ///
    /// # Errors
    /// [`ListenError`]: no transport has such addresses, or a limit.
    pub fn listen(&mut self, address: Multiaddr) -> Result<(), ListenError> {
        self.swarm.listen(address)?;
        self.drain_swarm();
        Ok(())
    }

    /// The addresses that are listened on.
    pub fn listeners(&self) -> impl Iterator<Item = &Multiaddr> {
        self.swarm.listeners()
    }

    /// Pings a peer over one of its connections: [`Event::Ping`] follows. Returns whether there is a connection.
    pub fn ping(&mut self, peer: &PeerId) -> bool {
        let conn = self.swarm.connections(peer).next();
        if let Some(conn) = conn {
            self.to_links.push_back((conn, ToLink(ToLinkKind::Ping)));
        }
        conn.is_some()
    }

    /// What a connected peer has said of itself.
    pub fn info(&self, peer: &PeerId) -> Option<&Info> {
        self.peers.get(peer)
    }

    /// The connections of a peer, the oldest first.
    pub fn connections(&self, peer: &PeerId) -> impl Iterator<Item = ConnId> + '_ {
        self.swarm.connections(peer)
    }

    /// Closes a connection in good order. Returns whether there was one.
    pub fn close(&mut self, now: Instant, conn: ConnId) -> bool {
        let closed = self.swarm.close(now, conn, swarm::CloseReason::Requested);
        self.drain_swarm();
        closed
    }

    /// Closes all connections of a peer in good order. Returns how many.
    pub fn disconnect(&mut self, now: Instant, peer: PeerId) -> usize {
        let closed = self.swarm.close_peer(now, peer, swarm::CloseReason::Requested);
        self.drain_swarm();
        closed
    }

    /// Closes all connections in good order. Returns how many.
    pub fn close_all(&mut self, now: Instant) -> usize {
        let conns: Vec<_> = self.conns.keys().copied().collect();
        conns.into_iter().filter(|conn| self.close(now, *conn)).count()
    }

    /// Adds addresses that the driver can dial and listen on.
    pub fn add_transport(&mut self, transport: Transport) {
        self.swarm.add_transport(transport);
    }

    // ---- the driver's calls

    /// The socket of an [`Action::Dial`] is connected, and its bytes are not secure yet. `secret` is 32 random bytes that
    /// are used for nothing else. `None`: nobody waits for it any more; drop the socket.
    pub fn handle_dialed(&mut self, now: Instant, conn: ConnId, secret: [u8; 32]) -> Option<Link> {
        self.swarm.handle_dialed(now, conn);
        self.upgrade(now, conn, None, Upgrade::Raw(secret))
    }

    /// The socket of an [`Action::Dial`] could not be connected.
    pub fn handle_dial_failed(&mut self, now: Instant, conn: ConnId, cause: TransportError) {
        self.conns.remove(&conn);
        self.swarm.handle_dial_failed(now, conn, cause);
        self.drain_swarm();
    }

    /// A listener has accepted a socket whose bytes are not secure yet. `secret` as in
    /// [`handle_dialed`](Self::handle_dialed).
    ///
    /// # Errors
    /// [`Denied`]: it may not stay; drop the socket.
    pub fn handle_accepted(
        &mut self,
        now: Instant,
        local: Multiaddr,
        remote: Multiaddr,
        secret: [u8; 32],
    ) -> Result<Link, Denied> {
        let conn = self.add_pipe(now, local, remote)?;
        self.upgrade(now, conn, None, Upgrade::Raw(secret)).ok_or(Denied::Unknown)
    }

    /// Takes a pipe in that somebody else has made, without starting anything on it.
    pub(crate) fn add_pipe(&mut self, now: Instant, local: Multiaddr, remote: Multiaddr) -> Result<ConnId, Denied> {
        let conn = self.swarm.handle_accepted(now, local, remote.clone())?;
        let role = Role::Listener;
        self.conns.insert(conn, Conn { role, address: remote, expected: None, has_link: false, ready: None });
        Ok(conn)
    }

    /// Makes the link of a pipe. `None` if the pipe is unknown or has a link already.
    pub(crate) fn upgrade(&mut self, now: Instant, id: ConnId, role: Option<Role>, how: Upgrade) -> Option<Link> {
        let conn = self.conns.get_mut(&id).filter(|conn| !conn.has_link)?;
        conn.has_link = true;
        let role = role.unwrap_or(conn.role);
        let config = self.connection.clone();
        let machine = match how {
            Upgrade::Raw(secret) => Connection::new(now, role, config, conn.expected, secret),
            Upgrade::Secure(peer) => Connection::secured(now, role, config, peer),
        };
        self.seed = self.seed.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
        let setup = Setup {
            handlers: self.handlers.clone(),
            info: self.info.clone(),
            observed: conn.address.to_vec().into(),
            ping_interval: self.config.ping_interval,
            ping_timeout: self.config.ping_timeout,
            identify_timeout: self.config.identify_timeout,
            seed: self.seed,
        };
        Some(Link::new(id, machine, setup))
    }

    /// An address is bound.
    pub fn handle_listening(&mut self, address: Multiaddr) {
        self.swarm.handle_listening(address);
        self.drain_swarm();
        self.rewrite_info();
    }

    /// An address cannot be listened on, or not any more.
    pub fn handle_listen_failed(&mut self, address: Multiaddr, cause: TransportError) {
        self.swarm.handle_listen_failed(address, cause);
        self.drain_swarm();
        self.rewrite_info();
    }

    /// A message from a link.
    pub fn handle_control(&mut self, now: Instant, id: ConnId, message: ToControl) {
        match message.0 {
            ToControlKind::Ready { peer, security, muxer } => {
                if let Some(conn) = self.conns.get_mut(&id) {
                    conn.ready = Some((peer, security, muxer));
                }
                if self.swarm.handle_ready(now, id, peer).is_err() {
                    self.to_links.push_back((id, ToLink(ToLinkKind::Close)));
                }
            }
            ToControlKind::Identified(identify) => {
                let Some(peer) = self.peer_of(id) else { return };
                if let Ok(info) = &identify {
                    self.peers.insert(peer, info.clone());
                }
                self.events.push_back(Event::PeerReady { peer, conn: id, identify });
            }
            ToControlKind::Changed(change) => {
                let Some(peer) = self.peer_of(id) else { return };
                let info = self.peers.entry(peer).or_default();
                merge(info, change);
                let info = info.clone();
                self.events.push_back(Event::PeerChanged { peer, conn: id, info });
            }
            ToControlKind::Pong(result) => {
                let Some(peer) = self.peer_of(id) else { return };
                self.events.push_back(Event::Ping { peer, conn: id, result });
            }
            ToControlKind::Closed(result) => self.closed(now, id, result),
        }
        self.drain_swarm();
    }

    /// The next message for a link.
    pub fn poll_link(&mut self) -> Option<(ConnId, ToLink)> {
        self.to_links.pop_front()
    }

    /// A message could not be delivered: its link is gone.
    pub fn handle_undelivered(&mut self, message: ToLink) {
        if let ToLinkKind::Open { request, .. } = message.0 {
            let error = OpenStreamError::Closed(Ok(CloseReason::Local));
            self.events.push_back(Event::OpenFailed { request, error });
        }
    }

    /// The next thing the driver must do.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// The next thing the user may want to know. Events of streams come from the links.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// When to call [`handle_timeout`](Self::handle_timeout).
    pub fn poll_timeout(&self) -> Option<Deadline> {
        self.swarm.poll_timeout()
    }

    /// Says that time has passed. An early call does nothing.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.swarm.handle_timeout(now);
        self.drain_swarm();
    }

    // ---- within

    fn peer_of(&self, id: ConnId) -> Option<PeerId> {
        self.swarm.connection(id).map(|info| info.peer)
    }

    fn closed(&mut self, now: Instant, id: ConnId, result: Result<CloseReason, connection::Error>) {
        let Some(conn) = self.conns.remove(&id) else { return };
        match (self.swarm.connection(id).is_some(), result) {
            (true, reason) => {
                let peer = self.peer_of(id);
                self.swarm.handle_closed(now, id);
                if let Some(peer) = peer {
                    if !self.swarm.is_connected(&peer) {
                        self.peers.remove(&peer);
                    }
                    self.drain_swarm();
                    self.events.push_back(Event::Disconnected { peer, conn: id, reason });
                }
            }
            (false, Err(error)) if conn.role == Role::Listener => {
                self.swarm.handle_failed(now, id);
                self.events.push_back(Event::AcceptFailed { address: conn.address, error });
            }
            (false, result) => {
                if let Err(error) = result {
                    if self.failures.len() == FAILURES_MAX {
                        self.failures.pop_front();
                    }
                    self.failures.push_back((id, error));
                }
                self.swarm.handle_failed(now, id);
            }
        }
    }

    /// Takes what the swarm has to say, and does what is ours.
    fn drain_swarm(&mut self) {
        while let Some(event) = self.swarm.poll_event() {
            self.handle_swarm(event);
        }
        while let Some(action) = self.swarm.poll_action() {
            match action {
                swarm::Action::Dial { conn, address, peer, .. } => {
                    let role = Role::Dialer;
                    let entry = Conn { role, address: address.clone(), expected: peer, has_link: false, ready: None };
                    self.conns.insert(conn, entry);
                    self.actions.push_back(Action::Dial { conn, address });
                }
                swarm::Action::Abandon { conn } => {
                    self.conns.remove(&conn);
                    self.actions.push_back(Action::Abandon { conn });
                }
                swarm::Action::Close { conn, .. } => {
                    if self.conns.get(&conn).is_some_and(|conn| conn.has_link) {
                        self.to_links.push_back((conn, ToLink(ToLinkKind::Close)));
                    } else {
                        self.conns.remove(&conn);
                        self.actions.push_back(Action::Close { conn });
                    }
                }
                swarm::Action::Listen { address } => self.actions.push_back(Action::Listen { address }),
                _ => {}
            }
        }
    }

    fn handle_swarm(&mut self, event: swarm::Event) {
        match event {
            swarm::Event::Connected { conn, peer, role, address } => {
                let Some((_, security, muxer)) = self.conns.get(&conn).and_then(|conn| conn.ready) else { return };
                self.events.push_back(Event::Connected { peer, conn, role, address, security, muxer });
            }
            swarm::Event::Dialed { dial, conn, peer } => self.dialed(dial, conn, peer),
            swarm::Event::DialFailed { dial, peer, cause, attempts } => {
                let Some(request) = self.dials.remove(&dial) else { return };
                self.requests.remove(request.0);
                let attempts = attempts.into_iter().map(|attempt| self.attempt(attempt)).collect();
                let error = OpenStreamError::Dial(DialReport { peer, cause, attempts });
                self.events.push_back(Event::OpenFailed { request, error });
            }
            swarm::Event::Listening { address } => self.events.push_back(Event::Listening { address }),
            swarm::Event::ListenFailed { address, cause } => {
                self.events.push_back(Event::ListenFailed { address, cause });
            }
            // `closed` tells of it, with the reason that the link gave.
            _ => {}
        }
    }

    fn dialed(&mut self, dial: swarm::DialId, conn: ConnId, peer: PeerId) {
        let Some(request) = self.dials.remove(&dial) else { return };
        let Some(Request { protocols, how, tell_dialed }) = self.requests.remove(request.0) else { return };
        if tell_dialed {
            self.events.push_back(Event::Dialed { request, conn, peer });
        }
        if let Some(protocols) = protocols {
            self.to_links.push_back((conn, ToLink(ToLinkKind::Open { request, protocols, how })));
        }
    }

    /// Puts the error of the connection, which the swarm never saw, into the report.
    fn attempt(&self, attempt: swarm::Attempt) -> Attempt {
        let known = self.failures.iter().rev().find(|(conn, _)| Some(*conn) == attempt.conn);
        let cause = match known {
            Some((_, error)) => AttemptCause::Connection(error.clone()),
            None => AttemptCause::Dial(attempt.failure),
        };
        Attempt { address: attempt.address, cause, elapsed: attempt.elapsed }
    }

    /// Makes anew what identify says of us, and tells the links.
    fn rewrite_info(&mut self) {
        self.info = Arc::new(identify::Info {
            public_key: Some(self.config.keypair.public().encode_protobuf().into()),
            listen_addrs: self.swarm.listeners().map(|address| address.to_vec().into()).collect(),
            protocols: self.handlers.protocols(),
            observed_addr: None,
            protocol_version: Some("ipfs/0.1.0".to_owned()),
            agent_version: Some(self.config.agent.clone()),
            signed_peer_record: None,
        });
        for (id, conn) in &self.conns {
            if conn.has_link {
                let (handlers, info) = (self.handlers.clone(), self.info.clone());
                self.to_links.push_back((*id, ToLink(ToLinkKind::Handlers { handlers, info })));
            }
        }
    }
}

/// Takes over what a push says; what it leaves out stays.
fn merge(info: &mut Info, change: Info) {
    let Info { agent, protocol_version, protocols, listen_addrs, observed_addr, signed_peer_record } = change;
    info.agent = agent.or(info.agent.take());
    info.protocol_version = protocol_version.or(info.protocol_version.take());
    info.observed_addr = observed_addr.or(info.observed_addr.take());
    info.signed_peer_record = signed_peer_record.or(info.signed_peer_record.take());
    if !protocols.is_empty() {
        info.protocols = protocols;
    }
    if !listen_addrs.is_empty() {
        info.listen_addrs = listen_addrs;
    }
}
