//! What a node knows of addresses: its own, and those of its peers.

use core::time::Duration;

use sanswarm::{Known, Multiaddr, PeerId, SnapshotError};

use crate::Node;

impl Node {
    /// The addresses that are listened on, as they were bound.
    pub async fn listeners(&self) -> Vec<Multiaddr> {
        self.call(|control, _| control.listeners().cloned().collect()).await.unwrap_or_default()
    }

    /// The addresses by which others can dial this node: those that are bound, and in the place of one of all interfaces
    /// that of each interface. Without `/p2p/…`.
    pub async fn advertised(&self) -> Vec<Multiaddr> {
        self.call(|control, _| control.advertised().collect()).await.unwrap_or_default()
    }

    /// Remembers an address of a peer, for `time` or, if that is `None`, for good: requests try it behind those that they
    /// are given. Returns whether it was taken; what no host can have is not.
    pub async fn add_address(&self, peer: PeerId, address: Multiaddr, time: Option<Duration>) -> bool {
        self.call(move |control, now| control.add_address(now, peer, &address, time)).await.unwrap_or(false)
    }

    /// The addresses of a peer that are remembered, the most worth first: those given, and those that it has told by
    /// identify or in a signed record.
    pub async fn addresses(&self, peer: PeerId) -> Vec<(Multiaddr, Known)> {
        self.call(move |control, now| control.addresses(now, &peer)).await.unwrap_or_default()
    }

    /// The protocols that a peer said it speaks when it was last connected.
    pub async fn known_protocols(&self, peer: PeerId) -> Vec<String> {
        self.call(move |control, _| control.known_protocols(&peer).to_vec()).await.unwrap_or_default()
    }

    /// The peers that something is remembered of, the one that was of use last at the end.
    pub async fn known_peers(&self) -> Vec<PeerId> {
        self.call(|control, _| control.known_peers().collect()).await.unwrap_or_default()
    }

    /// Forgets all that is remembered of a peer. Returns whether there was something.
    pub async fn forget(&self, peer: PeerId) -> bool {
        self.call(move |control, _| control.forget(&peer)).await.unwrap_or(false)
    }

    /// All that is remembered of peers, as bytes to be kept over a restart. Empty if the node has ended.
    pub async fn snapshot(&self) -> Vec<u8> {
        self.call(|control, now| control.snapshot(now)).await.unwrap_or_default()
    }

    /// Takes a snapshot in. Returns how many peers it held; none if the node has ended.
    ///
    /// # Errors
    /// [`SnapshotError`]: nothing was taken.
    pub async fn restore(&self, bytes: Vec<u8>) -> Result<usize, SnapshotError> {
        self.call(move |control, now| control.restore(now, &bytes)).await.unwrap_or(Ok(0))
    }
}
