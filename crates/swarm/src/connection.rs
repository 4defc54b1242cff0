//! What the swarm knows of a connection.

use core::fmt;
use std::collections::BTreeMap;

use libp2p_identity::PeerId;
use multiaddr::Multiaddr;
use sanswarm_wire::{Instant, Key, Role};

use crate::CloseReason;

/// The name of a connection, or of an attempt at one. Never used again.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnId(pub(crate) Key);

impl ConnId {
    /// The slot: small and dense, used again by later connections, so that a table beside the swarm can be a `Vec`.
    pub const fn index(self) -> usize {
        self.0.index()
    }
}

impl fmt::Debug for ConnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "conn {:?}", self.0)
    }
}

impl fmt::Display for ConnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

/// What the swarm knows of a connection that is ready or closing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnInfo {
    /// Who is at the other end, as the security handshake proved it.
    pub peer: PeerId,
    /// Which end we are.
    pub role: Role,
    /// The other end's address.
    pub address: Multiaddr,
    /// Our end's address, of an accepted connection.
    pub local: Option<Multiaddr>,
}

#[derive(Debug)]
pub(crate) enum Conn {
    Pending(Pending),
    Ready(Ready),
}

/// A connection that is not ready: dialing or upgrading.
#[derive(Debug)]
pub(crate) struct Pending {
    pub(crate) role: Role,
    pub(crate) address: Multiaddr,
    pub(crate) local: Option<Multiaddr>,
    /// Whether there is a socket.
    pub(crate) connected: bool,
    /// The plan it is an attempt of; `None` if accepted, or if its plan was answered by another connection.
    pub(crate) plan: Option<Key>,
    pub(crate) expected: Option<PeerId>,
    pub(crate) since: Instant,
    pub(crate) deadline: Instant,
}

#[derive(Debug)]
pub(crate) struct Ready {
    pub(crate) info: ConnInfo,
    /// Its place among the connections of its peer.
    pub(crate) serial: u64,
    pub(crate) closing: Option<CloseReason>,
}

/// What the swarm knows of a peer while it has a connection or a dial.
#[derive(Debug, Default)]
pub(crate) struct Peer {
    /// Ready connections that are not closing, by age.
    pub(crate) conns: BTreeMap<u64, ConnId>,
    /// The plan to reach it.
    pub(crate) plan: Option<Key>,
}
