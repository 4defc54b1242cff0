//! The calls of [`Control`](crate::Control) by which an application decides about dialing.

use core::{net::IpAddr, time::Duration};

use libp2p_identity::PeerId;
use multiaddr::Multiaddr;
use sanswarm_swarm::{Answer, ConnId, Denied, Gate, KeepId, Ranker, ResolveId, Subject, TransportError};
use sanswarm_wire::Instant;

use super::Node;

impl Node {
    /// As [`Control::set_resolves`](crate::Control::set_resolves).
    pub fn set_resolves(&mut self, resolves: bool) {
        self.control.set_resolves(resolves);
    }

    /// As [`Control::handle_resolved`](crate::Control::handle_resolved).
    pub fn handle_resolved(&mut self, now: Instant, resolve: ResolveId, result: Result<Answer, TransportError>) {
        self.control.handle_resolved(now, resolve, result);
    }

    /// As [`Control::handle_interfaces`](crate::Control::handle_interfaces).
    pub fn handle_interfaces(&mut self, addresses: &[IpAddr]) {
        self.control.handle_interfaces(addresses);
    }

    /// As [`Control::set_ranker`](crate::Control::set_ranker).
    pub fn set_ranker(&mut self, ranker: Ranker) {
        self.control.set_ranker(ranker);
    }

    /// As [`Control::forgive`](crate::Control::forgive).
    pub fn forgive(&mut self, peer: Option<PeerId>, addrs: &[Multiaddr]) {
        self.control.forgive(peer, addrs);
    }

    /// As [`Control::advertised`](crate::Control::advertised).
    pub fn advertised(&self) -> impl Iterator<Item = Multiaddr> + '_ {
        self.control.advertised()
    }
}

/// Who may come in, who stays, and how it ends.
impl Node {
    /// As [`Control::set_gate`](crate::Control::set_gate).
    pub fn set_gate(&mut self, gate: Gate) {
        self.control.set_gate(gate);
    }

    /// As [`Control::block`](crate::Control::block).
    ///
    /// # Errors
    /// [`Denied::Limit`]: the lists are full.
    pub fn block(&mut self, now: Instant, subject: Subject) -> Result<bool, Denied> {
        self.control.block(now, subject)
    }

    /// As [`Control::unblock`](crate::Control::unblock).
    pub fn unblock(&mut self, subject: Subject) -> bool {
        self.control.unblock(subject)
    }

    /// As [`Control::allow`](crate::Control::allow).
    ///
    /// # Errors
    /// [`Denied::Limit`]: the lists are full.
    pub fn allow(&mut self, subject: Subject) -> Result<bool, Denied> {
        self.control.allow(subject)
    }

    /// As [`Control::disallow`](crate::Control::disallow).
    pub fn disallow(&mut self, subject: Subject) -> bool {
        self.control.disallow(subject)
    }

    /// As [`Control::keep`](crate::Control::keep).
    ///
    /// # Errors
    /// [`Denied::Limit`]: too many keeps.
    pub fn keep(&mut self, peer: PeerId) -> Result<KeepId, Denied> {
        self.control.keep(peer)
    }

    /// As [`Control::release`](crate::Control::release).
    pub fn release(&mut self, now: Instant, keep: KeepId) -> bool {
        self.control.release(now, keep)
    }

    /// As [`Control::protect`](crate::Control::protect).
    ///
    /// # Errors
    /// [`Denied::Limit`]: too many are protected.
    pub fn protect(&mut self, peer: PeerId, protected: bool) -> Result<(), Denied> {
        self.control.protect(peer, protected)
    }

    /// As [`Control::handle_memory`](crate::Control::handle_memory).
    pub fn handle_memory(&mut self, conn: ConnId, bytes: usize) {
        self.control.handle_memory(conn, bytes);
    }

    /// As [`Control::shutdown`](crate::Control::shutdown).
    pub fn shutdown(&mut self, now: Instant, deadline: Duration) {
        self.control.shutdown(now, deadline);
    }
}
