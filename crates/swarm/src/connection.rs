//! What the swarm knows of a connection.

use core::fmt;
use std::collections::BTreeMap;

use libp2p_identity::PeerId;
use multiaddr::Multiaddr;
use sanswarm_wire::{Instant, Key, Role};

use crate::{CloseReason, Kind, Reached};

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

/// How good a connection is among those of its peer, the best first: direct before relayed; then those that the end with
/// the smaller peer id has dialled, which both ends know; then the older ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Rank {
    relayed: bool,
    dialled_by_larger: bool,
    serial: u64,
}

impl Rank {
    pub(crate) fn new(local: &PeerId, info: &ConnInfo, serial: u64) -> Self {
        let (dialer, listener) = match info.role {
            Role::Dialer => (local, &info.peer),
            Role::Listener => (&info.peer, local),
        };
        Self { relayed: Kind::of(&info.address).relayed, dialled_by_larger: dialer > listener, serial }
    }
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

impl Pending {
    pub(crate) const fn reached(&self) -> Reached {
        if self.connected { Reached::Upgrade } else { Reached::Connect }
    }
}

#[derive(Debug)]
pub(crate) struct Ready {
    pub(crate) info: ConnInfo,
    /// Its place among the connections of its peer.
    pub(crate) key: Rank,
    /// Streams of the application's.
    pub(crate) streams: usize,
    /// Since when it has none.
    pub(crate) idle_since: Instant,
    /// When it is looked at for that.
    pub(crate) idle_timer: Option<Instant>,
    /// Bytes that it counts.
    pub(crate) memory: usize,
    pub(crate) closing: Option<CloseReason>,
}

/// What the swarm knows of a peer while it has a connection or a dial.
#[derive(Debug, Default)]
pub(crate) struct Peer {
    /// Ready connections that are not closing, the best first.
    pub(crate) conns: BTreeMap<Rank, ConnId>,
    /// How many wish that it stay connected.
    pub(crate) keeps: usize,
    /// It is not trimmed.
    pub(crate) protected: bool,
    /// The plan to reach it.
    pub(crate) plan: Option<Key>,
}
