//! The handle of a node.

use core::time::Duration;
use std::sync::{Arc, mpsc::RecvTimeoutError};

use sanswarm::{
    CloseReason, Config, ConnId, Control, Counters, IdentifyError, Info, Instant, Multiaddr, Open, OpenStreamError,
    PeerId, PeerInfo, PingError, ProtocolName, Protocols,
};

use crate::{
    Events, Handler, ListenError, NameServers, StartError, Stream,
    control::{Steering, Times},
    shared::{Command, Run, Shared},
    socket::Kit,
    threads::{Kind, lock},
};
use sanswarm_host::{Scope, config, identity, transport_error, unix_seconds};

/// Inbound streams of a node that are handled at once, each on its own thread. More are reset. Stops: threads as a
/// weapon.
pub const HANDLERS_MAX: usize = 512;

/// A libp2p node on blocking sockets. A handle: clones name the same node.
///
/// When the last handle is dropped the node closes its connections and ends, in the background. A stream handler that
/// holds a handle keeps the node up: then [`shutdown`](Self::shutdown) ends it.
#[derive(Clone, Debug)]
pub struct Node {
    handle: Arc<Handle>,
}

#[derive(Debug)]
struct Handle {
    shared: Arc<Shared>,
}

/// Counts of one connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkStats {
    /// Changes of direction: how often something came in after something had gone out.
    pub round_trips: u32,
    /// Bytes that have come from the socket.
    pub bytes_in: u64,
    /// Bytes made ready for the socket.
    pub bytes_out: u64,
    /// Streams now.
    pub streams: usize,
}

impl Node {
    /// Starts a node.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn new(config: Config) -> Result<Self, StartError> {
        Self::with_name_servers(config, NameServers::System)
    }

    /// Starts a node that asks these servers about the names in addresses.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn with_name_servers(config: Config, servers: NameServers) -> Result<Self, StartError> {
        Self::start(config, servers, Kit::default())
    }

    /// Starts a node with something else for the TLS below its WebSockets than [`WebTls::new`](crate::WebTls::new): a certificate,
    /// which a listener of `/wss` needs, or other roots.
    ///
    /// # Errors
    /// [`StartError`].
    #[cfg(feature = "wss")]
    pub fn with_tls(config: Config, servers: NameServers, tls: crate::WebTls) -> Result<Self, StartError> {
        Self::start(config, servers, Kit { tls })
    }

    fn start(mut config: Config, servers: NameServers, kit: Kit) -> Result<Self, StartError> {
        config.unix_seconds = config.unix_seconds.or_else(unix_seconds);
        let times = Times::of(&config);
        let control = Control::new(config).map_err(StartError::Signing)?;
        let (shared, commands) = Shared::new(control.id(), HANDLERS_MAX, times.ping);
        let steering = Steering::new(control, shared.clone(), servers, kit, times);
        let run = move || steering.run(commands);
        let started = shared.threads.spawn(Kind::Ours, "sanswarm-control", usize::MAX, run);
        started.map_err(|error| StartError::System(transport_error(&error)))?;
        Ok(Self { handle: Arc::new(Handle { shared }) })
    }

    /// Starts a node with a new Ed25519 identity and the default configuration.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn with_new_identity() -> Result<Self, StartError> {
        Self::new(new_config()?)
    }

    /// Who this node is.
    pub fn id(&self) -> PeerId {
        self.shared().id
    }

    /// Listens on an address, and returns the one that was bound, without the peer id. `/dns…` cannot be listened on. What
    /// others can dial of an address of all interfaces, [`advertised`](Self::advertised) tells.
    ///
    /// # Errors
    /// [`ListenError`].
    pub fn listen(&self, address: Multiaddr) -> Result<Multiaddr, ListenError> {
        self.shared().ask(|reply| Command::Listen { address, reply }).unwrap_or(Err(ListenError::Ended))
    }

    /// Listens no more on an address: the one that [`listen`](Self::listen) was given, or the one that it returned.
    /// Connections that it has accepted stay. Returns whether there was such a listener; then its port is free again.
    pub fn unlisten(&self, address: Multiaddr) -> bool {
        self.shared().ask(|reply| Command::Unlisten { address, reply }).unwrap_or(false)
    }

    /// Opens a stream to a peer for the first of `protocols` that it speaks; connects first where there is no
    /// connection. Waits for the peer's agreement, or until the limits of the configuration.
    ///
    /// # Errors
    /// [`OpenStreamError`].
    pub fn open_stream(
        &self,
        protocols: impl Into<Protocols>,
        peer: impl Into<PeerInfo>,
    ) -> Result<Stream, OpenStreamError> {
        self.open_stream_with(protocols, peer, Open::Wait)
    }

    /// As [`open_stream`](Self::open_stream), with a say in whether payload may go before the agreement, and in whether a
    /// name is offered that the peer does not list.
    ///
    /// # Errors
    /// [`OpenStreamError`].
    pub fn open_stream_with(
        &self,
        protocols: impl Into<Protocols>,
        peer: impl Into<PeerInfo>,
        how: Open,
    ) -> Result<Stream, OpenStreamError> {
        let (protocols, peer) = (protocols.into(), peer.into());
        self.shared().ask(|reply| Command::Open { protocols, peer, how, reply }).unwrap_or(Err(ended()))
    }

    /// Connects to a peer.
    ///
    /// # Errors
    /// [`OpenStreamError`].
    pub fn connect(&self, peer: impl Into<PeerInfo>) -> Result<ConnId, OpenStreamError> {
        let peer = peer.into();
        self.shared().ask(|reply| Command::Connect { peer, reply }).unwrap_or(Err(ended()))
    }

    /// Handles inbound streams of `protocols` from now on, each on a thread of its own, [`HANDLERS_MAX`] at once. A name
    /// that had a handler has the new one; what the old one has begun goes on. Connected peers are told what has changed.
    pub fn set_stream_handler(
        &self,
        protocols: impl Into<Protocols>,
        handler: impl Fn(Stream) + Send + Sync + 'static,
    ) -> Handler {
        self.set_handler(Scope::Names(protocols.into()), Arc::new(handler))
    }

    /// Handles inbound streams of all protocols that `accepts` accepts and that have no handler of their own. Of several
    /// such handlers the one that was set first is asked first. `accepts` must not block; peers are not told of these
    /// names, since they are no list.
    pub fn set_stream_handler_where(
        &self,
        accepts: impl Fn(&ProtocolName) -> bool + Send + Sync + 'static,
        handler: impl Fn(Stream) + Send + Sync + 'static,
    ) -> Handler {
        self.set_handler(Scope::Where(Arc::new(accepts)), Arc::new(handler))
    }

    fn set_handler(&self, scope: Scope, run: Run) -> Handler {
        let mut handlers = lock(&self.shared().handlers);
        let (handler, replaced) = handlers.set(&scope, run);
        let mut gone: Vec<_> = replaced.iter().map(|(id, _)| *id).filter(|id| !handlers.has(*id)).collect();
        gone.dedup();
        // Under the lock, so that the table and the control agree on who was last.
        let done = self.shared().order(|done| Command::SetHandler { handler: handler.id(), scope, gone, done });
        drop(handlers);
        drop(replaced); // The user's code: dropped without the lock.
        let _ = done.recv();
        handler
    }

    /// Takes a handler away: streams of its protocols are refused from now on; what it has begun goes on. Returns whether
    /// it was there, which one is no more once each of its names has a new one.
    pub fn remove_stream_handler(&self, handler: Handler) -> bool {
        let removed = lock(&self.shared().handlers).remove(handler);
        let _ = self.shared().ask(|done| Command::RemoveHandler { handler: handler.id(), done });
        !removed.is_empty()
    }

    /// Pings a connected peer and returns the round-trip time. If a ping is under way, its result is the answer.
    ///
    /// # Errors
    /// [`PingError`]; `Closed` if there is no connection.
    pub fn ping(&self, peer: PeerId) -> Result<Duration, PingError> {
        let shared = self.shared();
        // The machine answers within its timeout; a second more for a stream that could not be opened.
        let answer = shared.order(|reply| Command::Ping { peer, reply });
        match answer.recv_timeout(shared.ping_timeout + Duration::from_secs(1)) {
            Ok(result) => result,
            Err(RecvTimeoutError::Timeout) => Err(PingError::Busy),
            Err(RecvTimeoutError::Disconnected) => Err(PingError::Closed),
        }
    }

    /// What a connected peer says of itself; waits until it has.
    ///
    /// # Errors
    /// [`IdentifyError`]; `Closed` if there is no connection.
    pub fn identify(&self, peer: PeerId) -> Result<Info, IdentifyError> {
        self.shared().ask(|reply| Command::Identify { peer, reply }).unwrap_or(Err(IdentifyError::Closed))
    }

    /// What happens on the node from now on. Each call gives a queue of its own.
    pub fn events(&self) -> Events {
        self.shared().hub.listen()
    }

    /// Counts of the oldest connection of a peer. `None`: there is no connection.
    pub fn stats(&self, peer: PeerId) -> Option<LinkStats> {
        self.shared().ask(|reply| Command::Stats { peer, reply }).flatten()
    }

    /// What the node has done since its start, and what it has now. Connections tell within a second what their streams have
    /// counted, and all when they end. `None`: the node has ended.
    pub fn counters(&self) -> Option<Counters> {
        self.call(|control, _| control.counters())
    }

    /// Closes all connections of a peer in good order, and returns how many without waiting for their end.
    pub fn disconnect(&self, peer: PeerId) -> usize {
        self.shared().ask(|reply| Command::Disconnect { peer, reply }).unwrap_or(0)
    }

    /// Ends the node in good order: its listeners and what waits for an answer at once, connections without a stream with
    /// a goodbye, those in use when their last stream has ended. After `deadline` the others are cut, with a goodbye
    /// that takes a second at most. Returns how many connections were cut:
    /// they were in use, or had not sent all. What is asked from now on is answered with an error; handlers are dropped.
    ///
    /// Then all threads of the node have ended, but for those of the user: stream handlers, attempts to connect and
    /// questions to the system are waited for until `deadline` only.
    pub fn shutdown(&self, deadline: Duration) -> usize {
        let shared = self.shared();
        let until = shared.clock.now() + deadline;
        let cut = shared.ask(|reply| Command::Shutdown { deadline, reply }).unwrap_or(0);
        shared.threads.wait(Kind::Ours, None);
        for kind in Kind::OTHERS {
            shared.threads.wait(*kind, Some(shared.clock.until(until)));
        }
        cut
    }

    // ---- within

    /// Does something where the control is. `None`: the node has ended.
    pub(crate) fn call<T: Send + 'static>(
        &self,
        call: impl FnOnce(&mut Control, Instant) -> T + Send + 'static,
    ) -> Option<T> {
        self.shared().ask(|reply| Command::Call(Box::new(move |control, now| drop(reply.send(call(control, now))))))
    }

    pub(crate) fn shared_arc(&self) -> Arc<Shared> {
        self.handle.shared.clone()
    }

    fn shared(&self) -> &Shared {
        &self.handle.shared
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        let deadline = Duration::ZERO;
        drop(self.shared.order(|reply| Command::Shutdown { deadline, reply }));
    }
}

fn ended() -> OpenStreamError {
    OpenStreamError::Closed(Ok(CloseReason::Local))
}

/// The default configuration with an Ed25519 identity, a Noise key and a seed of new randomness.
///
/// # Errors
/// [`StartError::Randomness`].
pub fn new_config() -> Result<Config, StartError> {
    identity().and_then(config).map_err(|_| StartError::Randomness)
}
