//! A host as its application sees it.

use core::time::Duration;

use sanswarm::{
    Bytes, ConnId, Event, HandlerId, Instant, Node, Open, OpenId, PeerId, PeerInfo, Protocols, ReadError, StreamId,
    WriteError,
};

use crate::{
    HostId, Rng, Rule, Violation,
    book::{Cause, Pair, Way},
    desk::{Desk, Request},
    network::{Core, Due, Pipes},
    pipe::Side,
};

/// What mplex lets be unread of a stream before it stops, and a message.
const MPLEX_UNREAD: usize = 1024 * 1024 + 64 * 1024;

/// The application of a host: a protocol of one's own, or what a test does.
///
/// One value of it lives as long as its host, through crashes.
pub trait App {
    /// The host is up: at the start of the network, and again after each crash, when all that its node knew is gone.
    fn start(&mut self, host: &mut Host<'_>) {
        let _ = host;
    }

    /// The node has something to say.
    fn handle_event(&mut self, host: &mut Host<'_>, event: Event);

    /// A time set with [`Host::after`] is over.
    fn handle_timer(&mut self, host: &mut Host<'_>, timer: u64) {
        let _ = (host, timer);
    }

    /// Whether nothing that it waits for is still to come, and it wants no connection that it has not. Asked when faults
    /// have stopped, see [`Network::settle`](crate::Network::settle). By default nothing is waited for.
    fn is_settled(&self, host: &Host<'_>) -> bool {
        let _ = host;
        true
    }
}

/// An application that does nothing: for nodes that a test drives by hand.
impl App for () {
    fn handle_event(&mut self, _: &mut Host<'_>, _: Event) {}
}

impl<A: App + ?Sized> App for Box<A> {
    fn start(&mut self, host: &mut Host<'_>) {
        (**self).start(host);
    }

    fn handle_event(&mut self, host: &mut Host<'_>, event: Event) {
        (**self).handle_event(host, event);
    }

    fn handle_timer(&mut self, host: &mut Host<'_>, timer: u64) {
        (**self).handle_timer(host, timer);
    }

    fn is_settled(&self, host: &Host<'_>) -> bool {
        (**self).is_settled(host)
    }
}

/// A host while its application is at work: its node, its clock, its randomness. The calls are those of a
/// [`Node`], and what goes through them is compared with what comes out at the other end.
#[derive(Debug)]
pub struct Host<'a> {
    pub(crate) id: HostId,
    /// The host's own clock.
    pub(crate) now: Instant,
    pub(crate) node: &'a mut Node,
    pub(crate) desk: &'a mut Desk,
    pub(crate) core: &'a mut Core,
    pub(crate) pipes: &'a mut Pipes,
}

impl Host<'_> {
    /// Which host this is.
    pub fn id(&self) -> HostId {
        self.id
    }

    /// The time on this host's clock.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// Who this host's node is.
    pub fn peer_id(&self) -> PeerId {
        self.node.id()
    }

    /// How many hosts the network has.
    pub fn hosts(&self) -> usize {
        self.core.directory.len()
    }

    /// How to reach a host.
    pub fn info_of(&self, host: HostId) -> PeerInfo {
        self.core.directory[host.index()].clone()
    }

    /// Which host has this identity.
    pub fn host_of(&self, peer: &PeerId) -> Option<HostId> {
        self.core.peers.get(peer).copied().map(HostId::new)
    }

    /// The host's randomness, which the seed of the network decides.
    pub fn rng(&mut self) -> &mut Rng {
        &mut self.desk.rng
    }

    /// Has [`App::handle_timer`] called with `timer` after a time on the host's clock. A crash forgets it.
    pub fn after(&mut self, time: Duration, timer: u64) {
        let at = self.desk.clock.global(self.now + time);
        let (host, epoch) = (self.id.index(), self.desk.epoch);
        self.core.agenda.put(at.max(self.core.now), Due::App { host, epoch, timer });
    }

    /// Says that the application has found something wrong: the run ends.
    pub fn fail(&mut self, text: impl Into<String>) {
        self.violate(Rule::User, text.into());
    }

    /// Puts a line into the record of the run, and into its digest.
    pub fn note(&mut self, text: &str) {
        self.core.digest.add(text);
        let now = self.core.now;
        self.core.record.note(now, self.id.index(), text);
    }

    /// Whether faults have stopped and the network waits for everything to come about: no time to begin something new.
    pub fn is_settling(&self) -> bool {
        self.core.is_settling
    }

    /// The node, to look at. Commands go through this host, whose checkers have to know of them.
    pub fn node(&self) -> &Node {
        self.node
    }

    /// The ready connections of a peer, the oldest first.
    pub fn connections(&self, peer: &PeerId) -> Vec<ConnId> {
        self.node.connections(peer).collect()
    }

    /// All connections that were told as `Connected` and not as `Disconnected`, with their peers.
    pub fn all_connections(&self) -> impl ExactSizeIterator<Item = (ConnId, PeerId)> {
        self.desk.connected.iter().map(|(conn, peer)| (*conn, *peer))
    }

    // ---- commands

    /// See [`Node::connect`].
    pub fn connect(&mut self, peer: impl Into<PeerInfo>) -> OpenId {
        let peer = peer.into();
        let target = self.target(&peer);
        let id = self.node.connect(self.now, peer);
        self.asked(id, target)
    }

    /// See [`Node::open_stream`].
    pub fn open_stream(&mut self, protocols: impl Into<Protocols>, peer: impl Into<PeerInfo>) -> OpenId {
        self.open_stream_with(protocols, peer, Open::Wait)
    }

    /// See [`Node::open_stream_with`].
    pub fn open_stream_with(
        &mut self,
        protocols: impl Into<Protocols>,
        peer: impl Into<PeerInfo>,
        how: Open,
    ) -> OpenId {
        let peer = peer.into();
        let target = self.target(&peer);
        let id = self.node.open_stream_with(self.now, protocols, peer, how);
        self.asked(id, target)
    }

    /// The host that is asked for, if it can be found where it is looked for.
    fn target(&self, peer: &PeerInfo) -> Option<usize> {
        let target = *self.core.peers.get(&peer.id)?;
        let place = self.core.directory[target].addrs.first()?.as_ref();
        let is_there = peer.addrs.is_empty() || peer.addrs.iter().any(|address| address.as_ref().starts_with(place));
        is_there.then_some(target)
    }

    fn asked(&mut self, id: OpenId, target: Option<usize>) -> OpenId {
        let now = self.core.now;
        self.desk.requests.insert(id, Request { target, since: now });
        let at = now + self.desk.answer_within;
        self.core.agenda.put(at, Due::Request { host: self.id.index(), epoch: self.desk.epoch, request: id });
        id
    }

    /// See [`Node::cancel`].
    pub fn cancel(&mut self, request: OpenId) -> bool {
        if let Some(target) = self.desk.requests.get(&request).and_then(|request| request.target) {
            self.desk.troubled.insert(target, self.core.now);
        }
        self.node.cancel(self.now, request)
    }

    /// See [`Node::set_stream_handler`].
    pub fn set_stream_handler(&mut self, protocols: impl Into<Protocols>) -> HandlerId {
        let protocols = protocols.into();
        self.core.speaks[self.id.index()].extend(protocols.as_slice().iter().cloned());
        self.node.set_stream_handler(protocols)
    }

    /// See [`Node::remove_stream_handler`]. From now on nobody wonders about what this host refuses.
    pub fn remove_stream_handler(&mut self, handler: HandlerId) -> bool {
        self.core.speaks[self.id.index()].clear();
        self.node.remove_stream_handler(handler)
    }

    /// See [`Node::ping`].
    pub fn ping(&mut self, peer: &PeerId) -> bool {
        self.node.ping(peer)
    }

    /// See [`Node::close`].
    pub fn close(&mut self, conn: ConnId) -> bool {
        self.blame(conn);
        self.node.close(self.now, conn)
    }

    /// See [`Node::disconnect`].
    pub fn disconnect(&mut self, peer: PeerId) -> usize {
        for conn in self.connections(&peer) {
            self.blame(conn);
        }
        self.node.disconnect(self.now, peer)
    }

    /// See [`Node::close_all`].
    pub fn close_all(&mut self) -> usize {
        let conns: Vec<_> = self.desk.conns.keys().copied().collect();
        conns.into_iter().for_each(|conn| self.blame(conn));
        let (now, targets) = (self.core.now, self.desk.requests.values().filter_map(|request| request.target));
        self.desk.troubled.extend(targets.map(|target| (target, now)));
        self.node.close_all(self.now)
    }

    // ---- streams

    /// See [`Node::write`].
    ///
    /// # Errors
    /// [`WriteError`].
    pub fn write(&mut self, stream: StreamId, data: &[u8]) -> Result<usize, WriteError> {
        let n = self.node.write(self.now, stream, data)?;
        self.core.counts.bytes += n as u64;
        if let Some((side, pair)) = self.pair(stream) {
            pair.ways[side].write(&data[..n]);
            let pending = pair.ways[side].pending_bytes();
            let is_mplex = self.desk.conns.get(&stream.conn).is_some_and(|tie| tie.is_mplex);
            if pending > self.core.pending_bytes_max + if is_mplex { MPLEX_UNREAD } else { 0 } {
                self.violate(Rule::Limit, format!("{pending} bytes of a stream are under way and unread"));
            }
        }
        Ok(n)
    }

    /// See [`Node::read`].
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn read(&mut self, stream: StreamId) -> Result<Option<Bytes>, ReadError> {
        let result = self.node.read(stream);
        let Some((side, pair)) = self.pair(stream) else { return result };
        let way = &mut pair.ways[1 - side];
        let wrong = match &result {
            Ok(Some(slice)) => way.read(slice).err().map(|text| (Rule::Payload, text)),
            Err(ReadError::Finished) => {
                let (is_whole, written, read) = (way.read == way.written, way.written, way.read);
                let is_right = way.finished && is_whole;
                way.end_seen = true;
                let text = format!("a stream ended after {read} bytes of {written}, finished: {}", way.finished);
                (!is_right).then_some((if is_whole { Rule::StreamEnd } else { Rule::Payload }, text))
            }
            _ => None,
        };
        if matches!(result, Err(ReadError::Finished)) {
            self.leave_if_done(stream);
        }
        if let Some((rule, text)) = wrong {
            self.violate(rule, text);
        }
        result
    }

    /// See [`Node::finish`].
    ///
    /// # Errors
    /// [`WriteError`].
    pub fn finish(&mut self, stream: StreamId) -> Result<(), WriteError> {
        self.node.finish(stream)?;
        if let Some((side, pair)) = self.pair(stream) {
            pair.ways[side].finished = true;
        }
        self.leave_if_done(stream);
        Ok(())
    }

    /// See [`Node::reset`].
    ///
    /// # Errors
    /// [`WriteError`].
    pub fn reset(&mut self, stream: StreamId) -> Result<(), WriteError> {
        self.node.reset(stream)?;
        if let Some((side, pair)) = self.pair(stream) {
            pair.reset[side] = true;
        }
        self.leave(stream);
        Ok(())
    }

    /// See [`Node::stop`].
    ///
    /// # Errors
    /// [`WriteError`].
    pub fn stop(&mut self, stream: StreamId) -> Result<(), WriteError> {
        self.node.stop(stream)?;
        if let Some((side, pair)) = self.pair(stream) {
            pair.ways[1 - side].stop();
        }
        self.leave_if_done(stream);
        Ok(())
    }

    // ---- within

    pub(crate) fn violate(&mut self, rule: Rule, text: String) {
        let (at, host) = (self.core.now, Some(self.id));
        self.core.violation.get_or_insert(Violation { at, host, rule, text });
    }

    fn blame(&mut self, conn: ConnId) {
        if let Some(tie) = self.desk.conns.get(&conn) {
            if let Some(pipe) = tie.pipe.and_then(|(key, _)| self.pipes.get_mut(key)) {
                pipe.account.blame(Cause::App);
            }
        }
    }

    /// The books of a stream, and which end of its connection this host is.
    pub(crate) fn pair(&mut self, stream: StreamId) -> Option<(Side, &mut Pair)> {
        let (side, name) = self.desk.streams.get(&stream.conn)?.get(&stream).copied()?;
        let (key, _) = self.desk.conns.get(&stream.conn)?.pipe?;
        Some((side, self.pipes.get_mut(key)?.account.streams.get_mut(&name)?))
    }

    /// Closes this end's books of a stream where both directions are done.
    fn leave_if_done(&mut self, stream: StreamId) {
        let Some((side, pair)) = self.pair(stream) else { return };
        let reads = &pair.ways[1 - side];
        if pair.ways[side].finished && (reads.end_seen || (reads.stopped && reads.finished)) {
            self.leave(stream);
        }
    }

    /// Closes this end's books of a stream. When both ends have, they are thrown away.
    pub(crate) fn leave(&mut self, stream: StreamId) {
        let streams = self.desk.streams.get_mut(&stream.conn);
        let Some((side, name)) = streams.and_then(|streams| streams.remove(&stream)) else { return };
        let Some((key, _)) = self.desk.conns.get(&stream.conn).and_then(|tie| tie.pipe) else { return };
        let Some(pipe) = self.pipes.get_mut(key) else { return };
        let now = self.core.now;
        let Some(pair) = pipe.account.streams.get_mut(&name) else { return };
        pair.left[side] = true;
        if pair.left == [true; 2] {
            let bytes = pair.ways.iter().map(|way: &Way| way.read).sum();
            self.core.record.stream_ended(now, pipe.serial, name, bytes);
            pipe.account.streams.remove(&name);
        }
    }
}
