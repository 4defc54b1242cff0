//! What an application decides about dialing.

use core::net::IpAddr;

use libp2p_identity::PeerId;
use multiaddr::Multiaddr;
use sanswarm_swarm::{Answer, Ranker, ResolveId, TransportError};
use sanswarm_wire::Instant;

use super::Control;

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
