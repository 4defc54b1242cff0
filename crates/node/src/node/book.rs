//! The calls of [`Control`](crate::Control) on the peer book.

use core::time::Duration;

use libp2p_identity::PeerId;
use multiaddr::Multiaddr;
use sanswarm_swarm::{Known, SnapshotError};
use sanswarm_wire::Instant;

use super::Node;

impl Node {
    /// As [`Control::add_address`](crate::Control::add_address).
    pub fn add_address(&mut self, now: Instant, peer: PeerId, address: &Multiaddr, time: Option<Duration>) -> bool {
        self.control.add_address(now, peer, address, time)
    }

    /// As [`Control::addresses`](crate::Control::addresses).
    pub fn addresses(&self, now: Instant, peer: &PeerId) -> Vec<(Multiaddr, Known)> {
        self.control.addresses(now, peer)
    }

    /// As [`Control::known_protocols`](crate::Control::known_protocols).
    pub fn known_protocols(&self, peer: &PeerId) -> &[String] {
        self.control.known_protocols(peer)
    }

    /// As [`Control::known_peers`](crate::Control::known_peers).
    pub fn known_peers(&self) -> impl Iterator<Item = PeerId> + '_ {
        self.control.known_peers()
    }

    /// As [`Control::forget`](crate::Control::forget).
    pub fn forget(&mut self, peer: &PeerId) -> bool {
        self.control.forget(peer)
    }

    /// As [`Control::snapshot`](crate::Control::snapshot).
    pub fn snapshot(&self, now: Instant) -> Vec<u8> {
        self.control.snapshot(now)
    }

    /// As [`Control::restore`](crate::Control::restore).
    ///
    /// # Errors
    /// [`SnapshotError`]: nothing was taken.
    pub fn restore(&mut self, now: Instant, bytes: &[u8]) -> Result<usize, SnapshotError> {
        self.control.restore(now, bytes)
    }
}
