//! The peer book, as an application sees it.

use core::time::Duration;

use libp2p_identity::PeerId;
use multiaddr::Multiaddr;
use sanswarm_swarm::{Known, SnapshotError};
use sanswarm_wire::Instant;

use super::Control;

impl Control {
    /// Remembers an address of a peer, for `time` or, if that is `None`, for good: requests try it behind those that they
    /// are given. Returns whether it was taken; what no host can have is not.
    pub fn add_address(&mut self, now: Instant, peer: PeerId, address: &Multiaddr, time: Option<Duration>) -> bool {
        self.swarm.add_address(now, peer, address, time)
    }

    /// The addresses of a peer that are remembered, the most worth first: those given, and those that it has told by
    /// identify or in a signed record.
    pub fn addresses(&self, now: Instant, peer: &PeerId) -> Vec<(Multiaddr, Known)> {
        self.swarm.addresses(now, peer)
    }

    /// The protocols that a peer said it speaks when it was last connected.
    pub fn known_protocols(&self, peer: &PeerId) -> &[String] {
        self.swarm.protocols(peer)
    }

    /// The peers that something is remembered of, the one that was of use last at the end.
    pub fn known_peers(&self) -> impl Iterator<Item = PeerId> + '_ {
        self.swarm.known_peers()
    }

    /// Forgets all that is remembered of a peer. Returns whether there was something.
    pub fn forget(&mut self, peer: &PeerId) -> bool {
        self.swarm.forget(peer)
    }

    /// All that is remembered of peers, as bytes to be kept over a restart.
    pub fn snapshot(&self, now: Instant) -> Vec<u8> {
        self.swarm.snapshot(now)
    }

    /// Takes a snapshot in. Returns how many peers it held.
    ///
    /// # Errors
    /// [`SnapshotError`]: nothing was taken.
    pub fn restore(&mut self, now: Instant, bytes: &[u8]) -> Result<usize, SnapshotError> {
        self.swarm.restore(now, bytes)
    }
}
