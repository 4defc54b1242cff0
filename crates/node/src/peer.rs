//! Peers: how to reach one, and what one says of itself.

use core::fmt;

use bytes::Bytes;
use libp2p_identity::PeerId;
use multiaddr::{Multiaddr, Protocol};
use sanswarm_identify as identify;

use crate::Refusal;

/// A peer and the addresses where it may be reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerInfo {
    /// Who it is. Whoever else answers is refused.
    pub id: PeerId,
    /// Where it may be. May be empty for a peer that we are connected to.
    pub addrs: Vec<Multiaddr>,
}

impl From<PeerId> for PeerInfo {
    /// A peer that we are connected to already.
    fn from(id: PeerId) -> Self {
        Self { id, addrs: Vec::new() }
    }
}

impl TryFrom<Multiaddr> for PeerInfo {
    type Error = NoPeerId;

    /// An address that ends in `/p2p/…`.
    fn try_from(address: Multiaddr) -> Result<Self, NoPeerId> {
        match address.iter().last() {
            Some(Protocol::P2p(id)) => Ok(Self { id, addrs: vec![address] }),
            _ => Err(NoPeerId(address)),
        }
    }
}

/// The address does not say whose it is: it does not end in `/p2p/…`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoPeerId(pub Multiaddr);

impl fmt::Display for NoPeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the address {} does not end in /p2p/<peer id>", self.0)
    }
}

impl core::error::Error for NoPeerId {}

/// What a peer says of itself, by identify. Its key was checked against the one that the handshake proved; the rest is
/// the peer's word.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Info {
    /// Its program, `go-libp2p/0.48.0` for example.
    pub agent: Option<String>,
    /// The network that it belongs to, `ipfs/0.1.0` for example.
    pub protocol_version: Option<String>,
    /// The protocols that it accepts streams for.
    pub protocols: Vec<String>,
    /// Where it listens. Addresses that cannot be read are left out.
    pub listen_addrs: Vec<Multiaddr>,
    /// The address that it sees of us.
    pub observed_addr: Option<Multiaddr>,
    /// Its signed peer record, as it came: [`PeerRecord::open`](crate::PeerRecord::open) checks it.
    pub signed_peer_record: Option<Bytes>,
}

impl Info {
    pub(crate) fn read(raw: &identify::Info) -> Self {
        let address = |bytes: &Bytes| Multiaddr::try_from(bytes.to_vec()).ok();
        Self {
            agent: raw.agent_version.clone(),
            protocol_version: raw.protocol_version.clone(),
            protocols: raw.protocols.clone(),
            listen_addrs: raw.listen_addrs.iter().filter_map(address).collect(),
            observed_addr: raw.observed_addr.as_ref().and_then(address),
            signed_peer_record: raw.signed_peer_record.clone(),
        }
    }
}

/// Why identify told us nothing about a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum IdentifyError {
    /// It does not speak identify.
    Refused(Refusal),
    /// What it sent cannot be read.
    Message(identify::Error),
    /// It claims a key that is not the one that it proved.
    WrongKey,
    /// It did not answer in time.
    Timeout,
    /// It reset the stream, or the connection ended first.
    Closed,
}

impl fmt::Display for IdentifyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refusal) => refusal.fmt(f),
            Self::Message(error) => error.fmt(f),
            Self::WrongKey => f.write_str("identify claims another key than the handshake proved"),
            Self::Timeout => f.write_str("no identify message in time"),
            Self::Closed => f.write_str("the identify stream ended early"),
        }
    }
}

impl core::error::Error for IdentifyError {}
