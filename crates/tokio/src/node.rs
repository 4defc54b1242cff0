//! The handle on a node.

use core::{fmt, time::Duration};
use std::sync::{Arc, OnceLock};

use sanswarm::{
    Config, ConnId, Control, Counters, IdentifyError, Info, Instant, Keypair, Mark, Multiaddr, Open, OpenStreamError,
    PeerId, PeerInfo, PingError, ProtocolName, Protocols, SigningError,
};
use tokio::sync::{mpsc, oneshot};

use crate::{
    Events, Handler, ListenError, NameServers, Stream,
    control::ControlTask,
    error::SHUT_DOWN,
    facts::{Command, Ticket},
    shared::{NodeShared, Run, lock},
    socket::Kit,
};
use sanswarm_host::{Scope, identity, secret, unix_seconds};

/// How long to wait before a ping is tried again that met one of the node's own.
const PING_AGAIN: Duration = Duration::from_millis(20);

/// A node: a handle, cheap to clone. See the [crate's page](crate) for how long it lives.
#[derive(Clone)]
pub struct Node {
    id: PeerId,
    commands: mpsc::UnboundedSender<Command>,
    shared: Arc<NodeShared>,
}

/// Counts of a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LinkStats {
    /// Changes of direction: how often something came in after something had gone out.
    pub round_trips: u32,
    /// Streams now, those of ping and identify included.
    pub streams: usize,
    /// Bytes that came in.
    pub bytes_in: u64,
    /// Bytes that went out, or are about to.
    pub bytes_out: u64,
    /// How often the connection's task had something to do.
    pub turns: u64,
    /// Whether the connection holds buffers: while it is in use, and for 200 ms after.
    pub has_buffers: bool,
    /// When the security handshake was done on our side.
    pub secured: Option<Mark>,
    /// When the muxer was agreed on.
    pub ready: Option<Mark>,
}

/// The default configuration for an identity, with secrets from the system's randomness.
///
/// # Panics
/// If the system has no randomness to give.
pub fn config(keypair: Keypair) -> Config {
    sanswarm_host::config(keypair).expect(RANDOMNESS)
}

/// 32 bytes that nobody can guess.
pub(crate) fn random() -> [u8; 32] {
    secret().expect(RANDOMNESS)
}

const RANDOMNESS: &str = "the system gives randomness: without it nothing can be secret";

impl Node {
    /// Starts a node. [`config`] makes a configuration with fresh secrets.
    ///
    /// # Errors
    /// [`SigningError`] if the identity cannot sign.
    ///
    /// # Panics
    /// Outside of a tokio runtime, or in one without I/O or time.
    pub fn new(config: Config) -> Result<Self, SigningError> {
        Self::with_name_servers(config, NameServers::System)
    }

    /// Starts a node that asks these servers about the names in addresses.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    ///
    /// # Panics
    /// As [`new`](Self::new).
    pub fn with_name_servers(config: Config, servers: NameServers) -> Result<Self, SigningError> {
        Self::start(config, servers, Kit::default())
    }

    /// Starts a node with something else for the TLS below its WebSockets than [`WebTls::new`](crate::WebTls::new): a
    /// certificate, which a listener of `/wss` needs, or other roots.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    ///
    /// # Panics
    /// As [`new`](Self::new).
    #[cfg(feature = "wss")]
    pub fn with_tls(config: Config, servers: NameServers, tls: crate::WebTls) -> Result<Self, SigningError> {
        Self::start(config, servers, Kit { tls })
    }

    fn start(mut config: Config, servers: NameServers, kit: Kit) -> Result<Self, SigningError> {
        config.unix_seconds = config.unix_seconds.or_else(unix_seconds);
        let shared = Arc::new(NodeShared::new());
        let (commands, orders) = mpsc::unbounded_channel();
        let control = ControlTask::new(config, servers, kit, shared.clone(), orders)?;
        let id = control.id();
        tokio::spawn(control.run());
        Ok(Self { id, commands, shared })
    }

    /// Starts a node with a new Ed25519 identity and the default configuration.
    ///
    /// # Panics
    /// As [`new`](Self::new), and if the system has no randomness to give.
    pub fn with_new_identity() -> Self {
        Self::new(config(identity().expect(RANDOMNESS))).expect("Ed25519 signs")
    }

    /// Who this node is.
    pub fn id(&self) -> PeerId {
        self.id
    }

    /// Listens on an address and returns the one that was bound, without `/p2p/…`: port 0 has become a real one. What others
    /// can dial of an address of all interfaces, [`advertised`](Self::advertised) tells. Dropping the future does not end
    /// the listening.
    ///
    /// # Errors
    /// [`ListenError`].
    pub async fn listen(&self, address: Multiaddr) -> Result<Multiaddr, ListenError> {
        self.ask(|reply| Command::Listen { address, reply }).await.unwrap_or(Err(ListenError::Shutdown))
    }

    /// Listens no more on an address: the one that [`listen`](Self::listen) was given, or the one that it returned.
    /// Connections that it has accepted stay. Returns whether there was such a listener; then its port is free again.
    pub async fn unlisten(&self, address: Multiaddr) -> bool {
        self.ask(|reply| Command::Unlisten { address, reply }).await.unwrap_or(false)
    }

    /// Opens a stream to a peer for the first of `protocols` that it speaks; connects first where there is no
    /// connection. Cancel-safe: if the future is dropped the dial is given up, and a stream that comes all the same is
    /// reset.
    ///
    /// # Errors
    /// [`OpenStreamError`], with a report on each address.
    pub async fn open_stream(
        &self,
        protocols: impl Into<Protocols>,
        peer: impl Into<PeerInfo>,
    ) -> Result<Stream, OpenStreamError> {
        self.open_stream_with(protocols, peer, Open::Wait).await
    }

    /// As [`open_stream`](Self::open_stream), with a say in whether payload may go before the agreement, and in whether a
    /// name is offered that the peer does not list.
    ///
    /// # Errors
    /// [`OpenStreamError`].
    pub async fn open_stream_with(
        &self,
        protocols: impl Into<Protocols>,
        peer: impl Into<PeerInfo>,
        how: Open,
    ) -> Result<Stream, OpenStreamError> {
        let (protocols, peer) = (protocols.into(), peer.into());
        self.request(|ticket, reply| Command::Open { protocols, peer, how, ticket, reply }).await
    }

    /// Connects to a peer, or finds the connection that is there. Cancel-safe.
    ///
    /// # Errors
    /// [`OpenStreamError`], with a report on each address.
    pub async fn connect(&self, peer: impl Into<PeerInfo>) -> Result<ConnId, OpenStreamError> {
        let peer = peer.into();
        self.request(|ticket, reply| Command::Connect { peer, ticket, reply }).await
    }

    /// Sets who handles inbound streams of `protocols`, from now on: each stream gets a task. A name that had a handler has
    /// the new one; what the old one has begun goes on. Connected peers are told what has changed.
    pub fn set_stream_handler<F, Fut>(&self, protocols: impl Into<Protocols>, handler: F) -> Handler
    where
        F: Fn(Stream) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.set_handler(Scope::Names(protocols.into()), Arc::new(move |stream| Box::pin(handler(stream))))
    }

    /// Sets who handles inbound streams of all protocols that `accepts` accepts and that have no handler of their own. Of
    /// several such handlers the one that was set first is asked first. `accepts` must not block; peers are not told of
    /// these names, since they are no list.
    pub fn set_stream_handler_where<F, Fut>(
        &self,
        accepts: impl Fn(&ProtocolName) -> bool + Send + Sync + 'static,
        handler: F,
    ) -> Handler
    where
        F: Fn(Stream) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.set_handler(Scope::Where(Arc::new(accepts)), Arc::new(move |stream| Box::pin(handler(stream))))
    }

    fn set_handler(&self, scope: Scope, run: Run) -> Handler {
        let mut handlers = lock(&self.shared.handlers);
        let (handler, replaced) = handlers.set(&scope, run);
        let mut gone: Vec<_> = replaced.iter().map(|(id, _)| *id).filter(|id| !handlers.has(*id)).collect();
        gone.dedup();
        // Under the lock, so that the table and the control task agree on who was last. A node that has ended takes none.
        let ended = self.commands.send(Command::SetHandler { handler: handler.id(), scope, gone }).is_err();
        let unused = if ended { handlers.remove(handler) } else { Vec::new() };
        drop(handlers);
        // The user's code: dropped without the lock.
        drop((replaced, unused));
        handler
    }

    /// Takes a handler away: streams of its protocols are refused from now on; what it has begun goes on. Returns whether
    /// it was there, which one is no more once each of its names has a new one.
    pub fn remove_stream_handler(&self, handler: Handler) -> bool {
        let removed = lock(&self.shared.handlers).remove(handler);
        let _ = self.commands.send(Command::RemoveHandler { handler: handler.id() });
        !removed.is_empty()
    }

    /// Pings a connected peer and returns the round-trip time.
    ///
    /// # Errors
    /// [`PingError`]; [`Closed`](PingError::Closed) if there is no connection.
    pub async fn ping(&self, peer: PeerId) -> Result<Duration, PingError> {
        for _ in 0..100 {
            match self.ask(|reply| Command::Ping { peer, reply }).await.unwrap_or(Err(PingError::Closed)) {
                // Most likely the node pings that peer by itself just now.
                Err(PingError::Busy) => tokio::time::sleep(PING_AGAIN).await,
                result => return result,
            }
        }
        Err(PingError::Busy)
    }

    /// What a connected peer says of itself. Waits until it has said so.
    ///
    /// # Errors
    /// [`IdentifyError`]; [`Closed`](IdentifyError::Closed) if there is no connection.
    pub async fn identify(&self, peer: PeerId) -> Result<Info, IdentifyError> {
        self.ask(|reply| Command::Identify { peer, reply }).await.unwrap_or(Err(IdentifyError::Closed))
    }

    /// The events of the node from now on.
    pub fn events(&self) -> Events {
        lock(&self.shared.events).subscribe()
    }

    /// Counts of the oldest connection of a peer. `None` if there is none.
    pub async fn stats(&self, peer: PeerId) -> Option<LinkStats> {
        self.ask(|reply| Command::Stats { peer, reply }).await.flatten()
    }

    /// What the node has done since its start, and what it has now. Connections tell within a second what their streams have
    /// counted, and all when they end. `None`: the node has ended.
    pub async fn counters(&self) -> Option<Counters> {
        self.call(|control, _| control.counters()).await
    }

    /// Closes all connections of a peer in good order and returns how many. It does not wait for their end, which
    /// [`Event::Disconnected`](crate::Event::Disconnected) tells.
    pub async fn disconnect(&self, peer: PeerId) -> usize {
        self.ask(|reply| Command::Disconnect { peer, reply }).await.unwrap_or(0)
    }

    /// Ends the node in good order: its listeners and what waits for an answer at once, connections without a stream with
    /// a goodbye, those in use when their last stream has ended. After `deadline` the others are cut, with a goodbye
    /// that takes a second at most. Returns how many connections were cut:
    /// they were in use, or had not sent all. What is asked from now on is answered with an error; handlers are dropped.
    pub async fn shutdown(&self, deadline: Duration) -> usize {
        self.ask(|reply| Command::Shutdown { deadline, reply }).await.unwrap_or(0)
    }

    // ---- within

    /// Does something where the control is. `None`: the node has ended.
    pub(crate) async fn call<T: Send + 'static>(
        &self,
        call: impl FnOnce(&mut Control, Instant) -> T + Send + 'static,
    ) -> Option<T> {
        self.ask(|reply| Command::Call(Box::new(|control, now| drop(reply.send(call(control, now)))))).await
    }

    /// For those that shall not keep the node running.
    pub(crate) fn weak_commands(&self) -> mpsc::WeakUnboundedSender<Command> {
        self.commands.downgrade()
    }

    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Option<T> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(command(reply)).ok()?;
        answer.await.ok()
    }

    async fn request<T>(
        &self,
        command: impl FnOnce(Ticket, oneshot::Sender<Result<T, OpenStreamError>>) -> Command,
    ) -> Result<T, OpenStreamError> {
        let mut guard = Guard { commands: &self.commands, ticket: Some(Arc::new(OnceLock::new())) };
        let ticket = guard.ticket.clone().unwrap_or_default();
        let answer = self.ask(|reply| command(ticket, reply)).await;
        guard.ticket = None;
        answer.unwrap_or(Err(SHUT_DOWN))
    }
}

/// Gives a request up when its future is dropped before the answer.
struct Guard<'a> {
    commands: &'a mpsc::UnboundedSender<Command>,
    ticket: Option<Ticket>,
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            let _ = self.commands.send(Command::Cancel(ticket));
        }
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node").field("id", &self.id).finish_non_exhaustive()
    }
}
