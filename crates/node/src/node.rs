//! A whole node on one thread: one control, its links, and their buffers.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use libp2p_identity::PeerId;
use multiaddr::Multiaddr;
use sanswarm_swarm::{ConnId, Denied, ListenError, TransportError};
use sanswarm_wire::{Deadline, Instant, RecvBuf, SendBuf};

use crate::{
    Action, Config, Control, Event, HandlerId, Hangup, Info, Link, Open, OpenId, PeerInfo, Protocols, ReadError,
    SigningError, Stats, StreamId, SwarmView, WriteError,
};

/// A node for whoever has the sockets: feed it bytes and facts, poll it for events, actions and bytes.
///
/// ```text
/// for each socket that can be read: node.handle_input(now, conn, bytes)  // or handle_eof
/// while let Some(event) = node.poll_event(now) { app(event) }
/// while let Some(action) = node.poll_action() { do_it(action) }
/// while let Some(conn) = node.poll_transmit(now) { let n = sock.write(node.ready(conn)); node.sent(conn, n) }
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

    /// Pings a peer over one of its connections: [`Event::Ping`] follows. Returns whether there is a connection.
    pub fn ping(&mut self, peer: &PeerId) -> bool {
        self.control.ping(peer)
    }

    /// What a connected peer has said of itself.
    pub fn info(&self, peer: &PeerId) -> Option<&Info> {
        self.control.info(peer)
    }

    /// The connections of a peer, the oldest first.
    pub fn connections(&self, peer: &PeerId) -> impl Iterator<Item = ConnId> + '_ {
        self.control.connections(peer)
    }

    /// Counts of a connection.
    pub fn stats(&self, conn: ConnId) -> Option<Stats> {
        Some(self.links.get(&conn)?.link.stats())
    }

    /// Closes a connection in good order. Returns whether there was one.
    pub fn close(&mut self, now: Instant, conn: ConnId) -> bool {
        self.control.close(now, conn)
    }

    /// Closes all connections of a peer in good order. Returns how many.
    pub fn disconnect(&mut self, now: Instant, peer: PeerId) -> usize {
        self.control.disconnect(now, peer)
    }

    /// Closes all connections in good order. Returns how many.
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

    // ---- the driver's calls: facts

    /// The socket of an [`Action::Dial`] is connected. `secret` is 32 random bytes that are used for nothing else.
    /// Returns whether somebody still waits for it; if not, drop the socket.
    pub fn handle_dialed(&mut self, now: Instant, conn: ConnId, secret: [u8; 32]) -> bool {
        let link = self.control.handle_dialed(now, conn, secret);
        link.map(|link| self.add_link(link)).is_some()
    }

    /// The socket of an [`Action::Dial`] could not be connected.
    pub fn handle_dial_failed(&mut self, now: Instant, conn: ConnId, cause: TransportError) {
        self.control.handle_dial_failed(now, conn, cause);
    }

    /// A listener has accepted a socket. `secret` as in [`handle_dialed`](Self::handle_dialed).
    ///
    /// # Errors
    /// [`Denied`]: it may not stay; drop the socket.
    pub fn handle_accepted(
        &mut self,
        now: Instant,
        local: Multiaddr,
        remote: Multiaddr,
        secret: [u8; 32],
    ) -> Result<ConnId, Denied> {
        let link = self.control.handle_accepted(now, local, remote, secret)?;
        Ok(self.add_link(link))
    }

    /// An address is bound.
    pub fn handle_listening(&mut self, address: Multiaddr) {
        self.control.handle_listening(address);
    }

    /// An address cannot be listened on, or not any more.
    pub fn handle_listen_failed(&mut self, address: Multiaddr, cause: TransportError) {
        self.control.handle_listen_failed(address, cause);
    }

    /// Takes bytes that have arrived, as many as there is room for, and returns how many. Offer the rest again after
    /// polling; until then do not read the socket.
    pub fn handle_input(&mut self, conn: ConnId, input: &[u8]) -> usize {
        let Some(entry) = self.links.get_mut(&conn) else { return input.len() };
        let n = if entry.recv.wants() { entry.recv.feed(input) } else { 0 };
        self.wake(conn);
        n
    }

    /// Lends the buffer for what arrives: a driver that reads into it saves a copy. Then say so with
    /// [`wake`](Self::wake).
    pub fn recv_buf(&mut self, conn: ConnId) -> Option<&mut RecvBuf> {
        Some(&mut self.links.get_mut(&conn)?.recv)
    }

    /// Whether the driver should read from the socket of a connection.
    pub fn wants_input(&self, conn: ConnId) -> bool {
        self.links.get(&conn).is_some_and(|entry| entry.recv.wants())
    }

    /// The peer will send nothing more; or the socket broke, which is the same to us.
    pub fn handle_eof(&mut self, conn: ConnId) {
        if let Some(entry) = self.links.get_mut(&conn) {
            entry.recv.set_eof();
            self.wake(conn);
        }
    }

    /// The socket is broken in both directions: what was to be sent is lost.
    pub fn handle_broken(&mut self, conn: ConnId) {
        if let Some(entry) = self.links.get_mut(&conn) {
            entry.recv.set_eof();
            let left = entry.send.ready().len();
            entry.send.sent(left);
            self.wake(conn);
        }
    }

    /// Makes the node look at a connection: its buffer was filled.
    pub fn wake(&mut self, conn: ConnId) {
        let Some(entry) = self.links.get_mut(&conn) else { return };
        if !core::mem::replace(&mut entry.is_active, true) {
            self.active.push_back(conn);
        }
    }

    // ---- the driver's calls: polling

    /// The next thing the user may want to know.
    pub fn poll_event(&mut self, now: Instant) -> Option<Event> {
        loop {
            while let Some((conn, message)) = self.control.poll_link() {
                match self.links.get_mut(&conn) {
                    Some(entry) => entry.link.handle_link(now, message),
                    None => self.control.handle_undelivered(message),
                }
                self.wake(conn);
            }
            if let Some(event) = self.control.poll_event() {
                return Some(event);
            }
            let conn = *self.active.front()?;
            if let Some(event) = self.run_link(now, conn) {
                return Some(event);
            }
        }
    }

    /// Lets the first of the active links go on. Without an event it is active no more.
    fn run_link(&mut self, now: Instant, conn: ConnId) -> Option<Event> {
        let Some(entry) = self.links.get_mut(&conn) else {
            self.active.pop_front();
            return None;
        };
        let event = entry.link.poll_event(now, &mut entry.recv);
        let mut told = false;
        while let Some(message) = entry.link.poll_control() {
            told = true;
            self.control.handle_control(now, conn, message);
        }
        if event.is_some() || told {
            return event;
        }
        if entry.link.poll_transmit(now, &mut entry.send) > 0 {
            return None; // What went out may have changed the state: once more.
        }
        self.active.pop_front();
        entry.is_active = false;
        if !entry.send.ready().is_empty() && !core::mem::replace(&mut entry.is_ready, true) {
            self.ready.push_back(conn);
        }
        self.settle(conn);
        None
    }

    /// Brings timer and socket in line with a link that has come to rest.
    fn settle(&mut self, conn: ConnId) {
        let Some(entry) = self.links.get_mut(&conn) else { return };
        let timer = entry.link.poll_timeout().map(|deadline| deadline.at);
        if timer != entry.timer {
            if let Some(old) = entry.timer {
                self.timers.remove(&(old, conn));
            }
            self.timers.extend(timer.map(|at| (at, conn)));
            entry.timer = timer;
        }
        entry.recv.release();
        entry.send.release();
        let hangup = entry.link.hangup(&entry.send);
        if hangup > entry.hangup {
            entry.hangup = hangup;
            let both = hangup == Hangup::Both;
            self.actions.push_back(if both { Action::Close { conn } } else { Action::Shutdown { conn } });
            if both {
                if let Some(at) = entry.timer {
                    self.timers.remove(&(at, conn));
                }
                self.links.remove(&conn);
            }
        }
    }

    /// The next thing the driver must do. Ask after [`poll_event`](Self::poll_event) has nothing more.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.control.poll_action().or_else(|| self.actions.pop_front())
    }

    /// The next connection that has bytes to send, told once after they changed. Ask after
    /// [`poll_event`](Self::poll_event) has nothing more.
    pub fn poll_transmit(&mut self) -> Option<ConnId> {
        loop {
            let conn = self.ready.pop_front()?;
            if let Some(entry) = self.links.get_mut(&conn) {
                entry.is_ready = false;
                return Some(conn);
            }
        }
    }

    /// The bytes that a connection has to send.
    pub fn ready(&self, conn: ConnId) -> &[u8] {
        self.links.get(&conn).map_or(&[], |entry| entry.send.ready())
    }

    /// Says that the first `n` ready bytes have gone.
    pub fn sent(&mut self, conn: ConnId, n: usize) {
        if let Some(entry) = self.links.get_mut(&conn) {
            entry.send.sent(n);
            self.wake(conn);
        }
    }

    /// When to call [`handle_timeout`](Self::handle_timeout).
    pub fn poll_timeout(&self) -> Option<Deadline> {
        let links = self.timers.first().map(|(at, _)| Deadline { at: *at, why: "connection" });
        Deadline::sooner(links, self.control.poll_timeout())
    }

    /// Says that time has passed. An early call does nothing.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.control.handle_timeout(now);
        while let Some(&(at, conn)) = self.timers.first() {
            if at > now {
                break;
            }
            self.timers.pop_first();
            if let Some(entry) = self.links.get_mut(&conn) {
                entry.timer = None;
                entry.link.handle_timeout(now);
            }
            self.wake(conn);
        }
    }

    // ---- within

    pub(crate) fn control(&mut self) -> &mut Control {
        &mut self.control
    }

    pub(crate) fn add_link(&mut self, link: Link) -> ConnId {
        let conn = link.id();
        let entry = Entry {
            link,
            recv: RecvBuf::default(),
            send: SendBuf::default(),
            is_active: false,
            is_ready: false,
            timer: None,
            hangup: Hangup::No,
        };
        self.links.insert(conn, entry);
        self.wake(conn);
        conn
    }
}
