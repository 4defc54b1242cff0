//! The book as bytes, so that a caller can keep it over a restart.

use core::{fmt, time::Duration};

use libp2p_identity::PeerId;
use multiaddr::Multiaddr;
use prost::Message as _;
use sanswarm_wire::Instant;

use super::{Known, Source};
use crate::{Kind, Reach, Swarm};

/// The only version so far.
const VERSION: u32 = 1;

#[derive(Clone, PartialEq, Eq, prost::Message)]
struct Snapshot {
    #[prost(uint32, tag = "1")]
    version: u32,
    #[prost(message, repeated, tag = "2")]
    peers: Vec<Peer>,
}

#[derive(Clone, PartialEq, Eq, prost::Message)]
struct Peer {
    #[prost(bytes = "vec", tag = "1")]
    id: Vec<u8>,
    #[prost(message, repeated, tag = "2")]
    addrs: Vec<Address>,
    #[prost(string, repeated, tag = "3")]
    protocols: Vec<String>,
    #[prost(string, optional, tag = "4")]
    agent: Option<String>,
    #[prost(uint64, optional, tag = "5")]
    seq: Option<u64>,
}

#[derive(Clone, PartialEq, Eq, prost::Message)]
struct Address {
    #[prost(bytes = "vec", tag = "1")]
    multiaddr: Vec<u8>,
    #[prost(uint32, tag = "2")]
    source: u32,
    #[prost(uint32, tag = "3")]
    confidence: u32,
    #[prost(bool, tag = "4")]
    worked: bool,
    /// Microseconds that it lasts from the snapshot on.
    #[prost(uint64, optional, tag = "5")]
    lasts: Option<u64>,
}

/// Why a snapshot cannot be restored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SnapshotError {
    /// It is no snapshot.
    Malformed,
    /// It is of another version than 1.
    Version(u32),
}

impl fmt::Display for SnapshotError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed => write!(f, "no snapshot of a peer book"),
            Self::Version(version) => write!(f, "a snapshot of version {version}, which is not known"),
        }
    }
}

impl core::error::Error for SnapshotError {}

impl Swarm {
    /// All that is remembered of peers, as bytes. It takes time in their number.
    pub fn snapshot(&self, now: Instant) -> Vec<u8> {
        let peer = |(_, id): &(u64, PeerId)| {
            let page = self.book.pages.get(id)?;
            let addrs = page.addrs.iter().filter(|(_, known)| known.lasts(now)).map(|(address, known)| Address {
                multiaddr: address.to_vec(),
                source: known.source as u32,
                confidence: known.confidence.into(),
                worked: known.worked,
                lasts: known.expires.map(|at| at.as_micros() - now.as_micros()),
            });
            let (protocols, agent, seq) = (page.protocols.clone(), page.agent.clone(), page.seq);
            Some(Peer { id: id.to_bytes(), addrs: addrs.collect(), protocols, agent, seq })
        };
        Snapshot { version: VERSION, peers: self.book.turns.iter().filter_map(peer).collect() }.encode_to_vec()
    }

    /// Takes a snapshot in, beside what is there. What cannot be read, what no host can have and what is over the limits of
    /// this swarm is left out. Returns how many peers it held.
    ///
    /// # Errors
    ///
    /// [`SnapshotError`]: nothing was taken.
    pub fn restore(&mut self, now: Instant, bytes: &[u8]) -> Result<usize, SnapshotError> {
        let snapshot = Snapshot::decode(bytes).map_err(|_| SnapshotError::Malformed)?;
        if snapshot.version != VERSION {
            return Err(SnapshotError::Version(snapshot.version));
        }
        let limits = self.limits;
        let mut count = 0;
        for peer in snapshot.peers {
            let Ok(id) = PeerId::from_bytes(&peer.id) else { continue };
            let Some(page) = self.book.page(id, &limits) else { break };
            count += 1;
            page.describe(&peer.protocols, peer.agent.as_deref(), &limits);
            page.seq = page.seq.max(peer.seq);
            for saved in peer.addrs {
                let Some((address, known)) = read(now, &saved) else { continue };
                page.add(now, address.clone(), known.source, known.expires, &limits);
                if let Some(place) = page.addrs.get_mut(&address) {
                    (place.confidence, place.worked) = (known.confidence, known.worked);
                }
            }
        }
        Ok(count)
    }
}

fn read(now: Instant, saved: &Address) -> Option<(Multiaddr, Known)> {
    let address = Multiaddr::try_from(saved.multiaddr.clone()).ok()?;
    let source = match saved.source {
        0 => Source::Identify,
        1 => Source::Signed,
        2 => Source::Application,
        _ => return None,
    };
    let confidence = u8::try_from(saved.confidence).unwrap_or(u8::MAX).max(1);
    let expires = saved.lasts.map(|micros| now + Duration::from_micros(micros));
    let known = Known { source, confidence, worked: saved.worked, expires };
    (Kind::of(&address).reach != Reach::Unroutable).then_some((address, known))
}
