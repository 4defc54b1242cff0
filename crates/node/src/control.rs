//! The control plane of a node: peers, dials, listeners, handlers, requests. Never a stream byte.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use libp2p_identity::PeerId;
use multiaddr::Multiaddr;
use sanswarm_connection as connection;
use sanswarm_identify as identify;
use sanswarm_multistream::ProtocolName;
use sanswarm_swarm::{self as swarm, ConnId, Gate, Kind, ListenError, Reach, Swarm, Transport};
use sanswarm_wire::{Budget, Instant, Role, Slab};

use crate::{
    Action, Config, Counters, Event, HandlerId, Info, Muxer, Open, OpenId, PeerInfo, Protocols, Security, ToLink,
    counters::{Labels, Tally},
    message::ToLinkKind,
    protocols::Handlers,
    service,
};

mod book;
mod driver;
mod policy;
mod within;

/// Who to dial, who may stay, who handles what. It makes the [`Link`](crate::Link)s, and never sees a byte of theirs.
///
/// Drive it with facts (`handle_dialed`, `handle_accepted`, …), carry its [messages](Self::poll_link) to the links and
/// [theirs](Self::handle_control) back, and do what [`poll_action`](Self::poll_action) says.
#[derive(Debug)]
pub struct Control {
    config: Config,
    connection: Arc<connection::Config>,
    swarm: Swarm,
    gate: Gate,
    handlers: Arc<Handlers>,
    infos: Infos,
    requests: Slab<Request>,
    dials: BTreeMap<swarm::DialId, OpenId>,
    // Behind boxes, since a node of the map has room for eleven.
    conns: BTreeMap<ConnId, Box<Conn>>,
    peers: BTreeMap<PeerId, Box<Info>>,
    /// What ended connections whose dial goes on, the newest at the back.
    failures: VecDeque<(ConnId, connection::Error)>,
    to_links: VecDeque<(ConnId, ToLink)>,
    events: VecDeque<Event>,
    /// A shutdown has come to its end, which is told behind all other events.
    shut_down: Option<usize>,
    actions: VecDeque<Action>,
    seed: u64,
    budget: Budget,
    labels: Arc<Labels>,
    tally: Tally,
}

/// What identify says of us: to peers on this host, and to all others, who cannot use an address of loopback.
#[derive(Debug, Default)]
struct Infos {
    near: Arc<identify::Info>,
    far: Arc<identify::Info>,
}

impl Infos {
    fn of(&self, remote: &Multiaddr) -> Arc<identify::Info> {
        if is_loopback(remote) { self.near.clone() } else { self.far.clone() }
    }
}

fn is_loopback(address: &Multiaddr) -> bool {
    Kind::of(address).reach == Reach::Loopback
}

#[derive(Debug)]
struct Request {
    /// `None`: the connection is all that was asked for.
    protocols: Option<Protocols>,
    how: Open,
    /// Whether `Dialed` is to be told.
    tell_dialed: bool,
    /// The dial that it waits for.
    dial: Option<swarm::DialId>,
}

/// What the control knows of a connection.
#[derive(Debug)]
struct Conn {
    /// Which end of the upgrade we are.
    role: Role,
    /// By a listener or by hand, not by a dial of ours.
    accepted: bool,
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
        let connection = connection::Config::new(
            &config.keypair,
            config.noise_secret,
            config.security.clone(),
            config.muxers.clone(),
            config.connection,
        )?;
        #[cfg(feature = "noise")]
        let connection = match config.aead {
            Some(aead) => connection.with_aead(aead),
            None => connection,
        };
        let connection = Arc::new(match config.unix_seconds {
            Some(seconds) => connection.at(seconds),
            None => connection,
        });
        let mut swarm = Swarm::seeded(connection.local(), config.swarm, config.seed);
        swarm.add_transport(Transport::tcp());
        let handlers = Arc::new(Handlers::new());
        let mut control = Self {
            seed: config.seed,
            budget: Budget::new(config.recv_bytes),
            config,
            connection,
            swarm,
            gate: Gate::default(),
            handlers,
            infos: Infos::default(),
            requests: Slab::new(),
            dials: BTreeMap::new(),
            conns: BTreeMap::new(),
            peers: BTreeMap::new(),
            failures: VecDeque::new(),
            to_links: VecDeque::new(),
            events: VecDeque::new(),
            shut_down: None,
            actions: VecDeque::new(),
            labels: Arc::default(),
            tally: Tally::default(),
        };
        control.label(&service::names());
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
        self.request(now, Request { protocols, how, tell_dialed: false, dial: None }, &peer.into())
    }

    /// Connects to a peer. [`Event::Dialed`] or [`Event::OpenFailed`] follows.
    pub fn connect(&mut self, now: Instant, peer: impl Into<PeerInfo>) -> OpenId {
        self.request(now, Request { protocols: None, how: Open::Wait, tell_dialed: true, dial: None }, &peer.into())
    }

    /// Connects to a peer and opens a stream for `protocols`: [`Event::Dialed`], then [`Event::Opened`] with the same
    /// request; or [`Event::OpenFailed`].
    pub(crate) fn dial(&mut self, now: Instant, protocols: Protocols, peer: &PeerInfo) -> OpenId {
        let protocols = Some(protocols);
        self.request(now, Request { protocols, how: Open::Wait, tell_dialed: true, dial: None }, peer)
    }

    /// Counts streams of these names apart from now on.
    fn label(&mut self, names: &[ProtocolName]) {
        for name in names {
            if self.labels.lacks(name) {
                Arc::make_mut(&mut self.labels).add(name);
            }
        }
    }

    fn request(&mut self, now: Instant, request: Request, peer: &PeerInfo) -> OpenId {
        if let Some(protocols) = &request.protocols {
            self.label(protocols.as_slice());
        }
        let id = OpenId(self.requests.insert(request));
        let dial = self.swarm.dial(now, Some(peer.id), &peer.addrs);
        self.dials.insert(dial, id);
        if let Some(request) = self.requests.get_mut(id.0) {
            request.dial = Some(dial);
        }
        self.drain_swarm();
        id
    }

    /// Gives up on a request that has no answer yet: [`Event::OpenFailed`] follows, if none was on its way. Returns
    /// whether there was something to give up.
    pub fn cancel(&mut self, now: Instant, request: OpenId) -> bool {
        let dial = self.requests.get(request.0).and_then(|request| request.dial);
        let cancelled = dial.is_some_and(|dial| self.swarm.cancel(now, dial));
        self.drain_swarm();
        cancelled
    }

    /// Sets who handles inbound streams of `protocols`. A name that had a handler has the new one; connected peers are
    /// told what has changed.
    pub fn set_stream_handler(&mut self, protocols: impl Into<Protocols>) -> HandlerId {
        let protocols = protocols.into();
        self.label(protocols.as_slice());
        let id = Arc::make_mut(&mut self.handlers).set(&protocols);
        self.rewrite_info();
        id
    }

    /// Sets who handles inbound streams of all protocols that `accepts` accepts and that have no handler of their own: a
    /// range of versions, say. Of several such handlers the one that was set first is asked first. Identify does not list
    /// these names, since they are no list.
    pub fn set_stream_handler_where(
        &mut self,
        accepts: impl Fn(&ProtocolName) -> bool + Send + Sync + 'static,
    ) -> HandlerId {
        let id = Arc::make_mut(&mut self.handlers).set_where(Arc::new(accepts));
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

    /// Listens on an address no more: the one of the command, or one that was bound for it. Connections that it has
    /// accepted stay. Returns whether there is such a listener; then [`Event::Unlistened`] follows for each address bound.
    pub fn unlisten(&mut self, address: &Multiaddr) -> bool {
        let is_there = self.swarm.unlisten(address);
        self.drain_swarm();
        is_there
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
        self.peers.get(peer).map(|info| &**info)
    }

    /// The connections of a peer, the best first: new streams take it.
    pub fn connections(&self, peer: &PeerId) -> impl Iterator<Item = ConnId> + '_ {
        self.swarm.connections(peer)
    }

    /// What the node has done, and what it has now, as far as its links have told: each tells within a second, and all when it
    /// ends. What one has not told yet, [`Link::counters`](crate::Link::counters) has.
    pub fn counters(&self) -> Counters {
        self.tally.counters(&self.swarm.counters(), &self.labels)
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

    /// Ends all that is under way: requests without an answer are cancelled, connections are closed in good order.
    /// Returns how many connections. Listeners stay.
    pub fn close_all(&mut self, now: Instant) -> usize {
        for dial in self.dials.keys().copied().collect::<Vec<_>>() {
            self.swarm.cancel(now, dial);
        }
        self.drain_swarm();
        let conns: Vec<_> = self.conns.keys().copied().collect();
        conns.into_iter().filter(|conn| self.close(now, *conn)).count()
    }

    /// Adds addresses that the driver can dial and listen on.
    pub fn add_transport(&mut self, transport: Transport) {
        self.swarm.add_transport(transport);
    }
}
