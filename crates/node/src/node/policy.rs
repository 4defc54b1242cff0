//! The calls of [`Control`](crate::Control) by which an application decides about dialing.

use core::net::IpAddr;

use libp2p_identity::PeerId;
use multiaddr::Multiaddr;
use sanswarm_swarm::{Answer, Ranker, ResolveId, TransportError};
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
