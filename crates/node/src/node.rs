//! A whole node on one thread: one control, its links, and their buffers.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use libp2p_identity::PeerId;
use multiaddr::Multiaddr;
use sanswarm_multistream::ProtocolName;
use sanswarm_swarm::{ConnId, ListenError};
use sanswarm_wire::{Instant, RecvBuf, SendBuf};

use crate::{
    Action, Config, Control, Counters, Event, HandlerId, Hangup, Info, Link, Open, OpenId, PeerInfo, Protocols,
    ReadError, SigningError, Stats, StreamId, SwarmView, WriteError,
};

mod book;
mod driver;
mod policy;

/// A node for whoever has the sockets: feed it bytes and facts, poll it for events, actions and bytes.
///
/// ```text
/// for each socket that can be read: node.handle_input(now, conn, bytes)  // or handle_eof
/// while let Some(event) = node.poll_event(now) { app(event) }
/// while let Some(action) = node.poll_action() { do_it(action) }
/// while let Some(conn) = node.poll_transmit() { let n = sock.write(node.ready(conn)); node.sent(conn, n) }
/// wait until a socket is ready or node.poll_timeout(); then node.handle_timeout(now)
/// ```
///
/// Round again until nothing comes of it: what was sent makes room, and what an event led to is due.
#[derive(Debug)]
pub struct Node {
    control: Control,
    links: BTreeMap<ConnId, Entry>,
    /// Links whose events or bytes have to be looked at.
    active: VecDeque<ConnId>,
    /// Links with bytes that the driver was not told of since they changed.
    ready: VecDeque<ConnId>,
    timers: BTreeSet<(Instant, ConnId)>,
    /// An event of a link that is told behind those of the control.
    behind: Option<Event>,
    actions: VecDeque<Action>,
}

#[derive(Debug)]
struct Entry {
    link: Link,
    recv: RecvBuf,
    send: SendBuf,
    is_active: bool,
    is_ready: bool,
    timer: Option<Instant>,
    hangup: Hangup,
    /// The socket takes nothing more.
    is_broken: bool,
}

impl Node {
    /// A node that can dial and listen on TCP addresses.
    ///
    /// # Errors
    /// [`SigningError`] if the identity cannot sign.
    pub fn new(config: Config) -> Result<Self, SigningError> {
        Ok(Self {
            control: Control::new(config)?,
            links: BTreeMap::new(),
            active: VecDeque::new(),
            ready: VecDeque::new(),
            timers: BTreeSet::new(),
            behind: None,
            actions: VecDeque::new(),
        })
    }

    // ---- the user's calls

    /// Who this node is.
    pub fn id(&self) -> PeerId {
        self.control.id()
    }

    /// Opens a stream to a peer for the first of `protocols` that it speaks; connects first where there is no connection.
    /// [`Event::Opened`] or [`Event::OpenFailed`] follows, with this request.
    pub fn open_stream(&mut self, now: Instant, protocols: impl Into<Protocols>, peer: impl Into<PeerInfo>) -> OpenId {
        self.control.open_stream(now, protocols, peer, Open::Wait)
    }

    /// As [`open_stream`](Self::open_stream), with a say in whether payload may go before the agreement.
    pub fn open_stream_with(
        &mut self,
        now: Instant,
        protocols: impl Into<Protocols>,
        peer: impl Into<PeerInfo>,
        how: Open,
    ) -> OpenId {
        self.control.open_stream(now, protocols, peer, how)
    }

    /// Takes inbound streams of `protocols`: they come as [`Event::Opened`] with this handler's name.
    pub fn set_stream_handler(&mut self, protocols: impl Into<Protocols>) -> HandlerId {
        self.control.set_stream_handler(protocols)
    }

    /// Takes inbound streams of all protocols that `accepts` accepts. See [`Control::set_stream_handler_where`].
    pub fn set_stream_handler_where(
        &mut self,
        accepts: impl Fn(&ProtocolName) -> bool + Send + Sync + 'static,
    ) -> HandlerId {
        self.control.set_stream_handler_where(accepts)
    }

    /// Takes a handler away: streams of its protocols are refused from now on. Returns whether it was there.
    pub fn remove_stream_handler(&mut self, handler: HandlerId) -> bool {
        self.control.remove_stream_handler(handler)
    }

    /// The calls of the swarm layer.
    pub fn swarm(&mut self) -> SwarmView<'_> {
        SwarmView { node: self }
    }

    /// Connects to a peer. [`Event::Dialed`] or [`Event::OpenFailed`] follows.
    pub fn connect(&mut self, now: Instant, peer: impl Into<PeerInfo>) -> OpenId {
        self.control.connect(now, peer)
    }

    /// Gives up on a request that has no answer yet. See [`Control::cancel`].
    pub fn cancel(&mut self, now: Instant, request: OpenId) -> bool {
        self.control.cancel(now, request)
    }

    /// Listens on an address. [`Event::Listening`] for each address bound, or [`Event::ListenFailed`] follows.
    ///
    /// # Errors
    /// [`ListenError`]: no transport has such addresses, or a limit.
    pub fn listen(&mut self, address: Multiaddr) -> Result<(), ListenError> {
        self.control.listen(address)
    }

    /// As [`Control::unlisten`].
    pub fn unlisten(&mut self, address: &Multiaddr) -> bool {
        self.control.unlisten(address)
    }

    /// Pings a peer over one of its connections: [`Event::Ping`] follows. Returns whether there is a connection.
    pub fn ping(&mut self, peer: &PeerId) -> bool {
        self.control.ping(peer)
    }

    /// What a connected peer has said of itself.
    pub fn info(&self, peer: &PeerId) -> Option<&Info> {
        self.control.info(peer)
    }

    /// The connections of a peer, the best first: new streams take it.
    pub fn connections(&self, peer: &PeerId) -> impl Iterator<Item = ConnId> + '_ {
        self.control.connections(peer)
    }

    /// Counts of a connection.
    pub fn stats(&self, conn: ConnId) -> Option<Stats> {
        Some(self.links.get(&conn)?.link.stats())
    }

    /// What the node has done, and what it has now, to the last byte: what its links have not told yet is in it. It goes
    /// through all of them.
    pub fn counters(&self) -> Counters {
        let mut counters = self.control.counters();
        for entry in self.links.values() {
            if let Some(untold) = entry.link.counters() {
                counters.add(&untold);
            }
        }
        counters
    }

    /// The id of a stream on the wire, for logs. See [`Link::wire_id`].
    pub fn wire_id(&self, stream: StreamId) -> Option<u64> {
        self.links.get(&stream.conn)?.link.wire_id(stream)
    }

    /// Closes a connection in good order. Returns whether there was one.
    pub fn close(&mut self, now: Instant, conn: ConnId) -> bool {
        self.control.close(now, conn)
    }

    /// Closes all connections of a peer in good order. Returns how many.
    pub fn disconnect(&mut self, now: Instant, peer: PeerId) -> usize {
        self.control.disconnect(now, peer)
    }

    /// Ends all that is under way: requests without an answer are cancelled, connections are closed in good order.
    /// Returns how many connections. Listeners stay.
    pub fn close_all(&mut self, now: Instant) -> usize {
        self.control.close_all(now)
    }

    /// Takes the next unread slice of a stream. `Ok(None)`: nothing now; [`Event::Readable`] follows.
    ///
    /// # Errors
    /// [`ReadError::Finished`] once the peer has finished and all was read.
    pub fn read(&mut self, stream: StreamId) -> Result<Option<Bytes>, ReadError> {
        let entry = self.links.get_mut(&stream.conn).ok_or(ReadError::Gone)?;
        let slice = entry.link.read(stream);
        // Credit may be due.
        self.wake(stream.conn);
        slice
    }

    /// Writes to a stream and returns how many bytes were taken. Fewer than `data` has: [`Event::Writable`] follows.
    ///
    /// # Errors
    /// [`WriteError`]: the stream is finished on our side, or gone, or the connection has ended.
    pub fn write(&mut self, now: Instant, stream: StreamId, data: &[u8]) -> Result<usize, WriteError> {
        let entry = self.links.get_mut(&stream.conn).ok_or(WriteError::Gone)?;
        let n = entry.link.write(now, stream, data, &mut entry.send);
        self.wake(stream.conn);
        n
    }

    /// Finishes our side of a stream: the peer sees its end after all that was written. Reading goes on.
    ///
    /// # Errors
    /// [`WriteError`].
    pub fn finish(&mut self, stream: StreamId) -> Result<(), WriteError> {
        self.command(stream, Link::finish)
    }

    /// Ends a stream at once in both directions. The id is stale now.
    ///
    /// # Errors
    /// [`WriteError`].
    pub fn reset(&mut self, stream: StreamId) -> Result<(), WriteError> {
        self.command(stream, Link::reset)
    }

    /// Says that we read no more of a stream. Writing goes on.
    ///
    /// # Errors
    /// [`WriteError`].
    pub fn stop(&mut self, stream: StreamId) -> Result<(), WriteError> {
        self.command(stream, Link::stop)
    }

    fn command(
        &mut self,
        stream: StreamId,
        order: fn(&mut Link, StreamId) -> Result<(), WriteError>,
    ) -> Result<(), WriteError> {
        let entry = self.links.get_mut(&stream.conn).ok_or(WriteError::Gone)?;
        let result = order(&mut entry.link, stream);
        self.wake(stream.conn);
        result
    }
}

#[cfg(test)]
mod tests;
