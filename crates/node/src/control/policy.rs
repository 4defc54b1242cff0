//! What an application decides about dialing.

use core::{net::IpAddr, time::Duration};

use libp2p_identity::PeerId;
use multiaddr::Multiaddr;
use sanswarm_swarm::{Answer, ConnId, Denied, Gate, KeepId, Ranker, ResolveId, Subject, TransportError};
use sanswarm_wire::Instant;

use super::Control;
use crate::{ToLink, message::ToLinkKind};

impl Control {
    /// Says whether the driver answers [`Action::Resolve`](crate::Action::Resolve). If not, which is how it begins, an
    /// address with a name goes to the transport as it is, and `/dnsaddr` to none.
    pub fn set_resolves(&mut self, resolves: bool) {
        self.swarm.set_resolves(resolves);
    }

    /// Takes the answer to an [`Action::Resolve`](crate::Action::Resolve), or why there is none. One that comes too late
    /// is ignored.
    pub fn handle_resolved(&mut self, now: Instant, resolve: ResolveId, result: Result<Answer, TransportError>) {
        self.swarm.handle_resolved(now, resolve, result);
        self.drain_swarm();
    }

    /// Tells the IP addresses of this host, at the start and when they change. With them a listener on all interfaces has
    /// addresses to advertise, and private addresses are dialled only from a private network.
    pub fn handle_interfaces(&mut self, addresses: &[IpAddr]) {
        self.swarm.handle_interfaces(addresses);
        self.rewrite_info();
    }

    /// Puts a ranker of the caller's in the place of [`rank`](crate::rank).
    pub fn set_ranker(&mut self, ranker: Ranker) {
        self.swarm.set_ranker(ranker);
    }

    /// Forgets what has failed about a peer at these addresses, so that they are tried at once.
    pub fn forgive(&mut self, peer: Option<PeerId>, addrs: &[Multiaddr]) {
        self.swarm.forgive(peer, addrs);
    }

    /// The addresses that identify tells: those that are bound, never an unspecified one.
    pub fn advertised(&self) -> impl Iterator<Item = Multiaddr> + '_ {
        self.swarm.advertised()
    }
}

/// Who may come in, who stays, and how it ends.
impl Control {
    /// Puts a gate in the place of one that stands open: it is asked before each dial, on each accept, when a peer has
    /// proved who it is, and about each stream that a peer opens on a connection made from now on.
    pub fn set_gate(&mut self, gate: Gate) {
        self.gate = gate.clone();
        self.swarm.set_gate(gate);
    }

    /// Keeps a peer or a network out, and closes the peer's connections. Returns whether it is new on the list.
    ///
    /// # Errors
    /// [`Denied::Limit`]: the lists are full.
    pub fn block(&mut self, now: Instant, subject: Subject) -> Result<bool, Denied> {
        let blocked = self.swarm.block(now, subject);
        self.drain_swarm();
        blocked
    }

    /// Takes a peer or a network off that list. Returns whether it was on it.
    pub fn unblock(&mut self, subject: Subject) -> bool {
        self.swarm.unblock(subject)
    }

    /// Lets nobody in but those on this list: peers, if it names a peer; hosts, if it names a network. Returns whether it
    /// is new on the list.
    ///
    /// # Errors
    /// [`Denied::Limit`]: the lists are full.
    pub fn allow(&mut self, subject: Subject) -> Result<bool, Denied> {
        self.swarm.allow(subject)
    }

    /// Takes a peer or a network off that list. Returns whether it was on it.
    pub fn disallow(&mut self, subject: Subject) -> bool {
        self.swarm.disallow(subject)
    }

    /// Keeps the connections of a peer from being closed for idleness or trimmed, until [`release`](Self::release).
    ///
    /// # Errors
    /// [`Denied::Limit`]: too many keeps.
    pub fn keep(&mut self, peer: PeerId) -> Result<KeepId, Denied> {
        self.swarm.keep(peer)
    }

    /// Gives a keep back. Returns whether it was there.
    pub fn release(&mut self, now: Instant, keep: KeepId) -> bool {
        self.swarm.release(now, keep)
    }

    /// Protects a peer from trimming, or not any more.
    ///
    /// # Errors
    /// [`Denied::Limit`]: too many are protected.
    pub fn protect(&mut self, peer: PeerId, protected: bool) -> Result<(), Denied> {
        self.swarm.protect(peer, protected)
    }

    /// Tells how much memory a connection holds, to be held against `SwarmLimits::memory`.
    pub fn handle_memory(&mut self, conn: ConnId, bytes: usize) {
        self.swarm.handle_memory(conn, bytes);
    }

    /// Ends all in good order: what is new is refused, requests without an answer fail, idle connections say good-bye at
    /// once, those in use when their last stream has ended, and at the latest after `deadline`. Then
    /// [`Event::ShutDown`](crate::Event::ShutDown) follows.
    pub fn shutdown(&mut self, now: Instant, deadline: Duration) {
        self.swarm.shutdown(now, deadline);
        let linked = self.conns.iter().filter(|(_, conn)| conn.has_link);
        self.to_links.extend(linked.map(|(conn, _)| (*conn, ToLink(ToLinkKind::Drain))));
        self.drain_swarm();
    }
}
