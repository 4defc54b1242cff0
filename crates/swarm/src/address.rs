//! What the swarm reads in a multiaddr.

use libp2p_identity::PeerId;
use multiaddr::{Multiaddr, Protocol};

/// Splits a trailing `/p2p/X` off: where to connect to, and whom the address promises there.
pub(crate) fn split_peer(address: &Multiaddr) -> (Multiaddr, Option<PeerId>) {
    match address.iter().last() {
        Some(Protocol::P2p(peer)) => {
            let mut address = address.clone();
            address.pop();
            (address, Some(peer))
        }
        _ => (address.clone(), None),
    }
}

/// Whether this is a host, a TCP port and perhaps a peer, and nothing else.
pub(crate) fn is_tcp(address: &Multiaddr) -> bool {
    let mut parts = address.iter();
    matches!(
        parts.next(),
        Some(Protocol::Ip4(_) | Protocol::Ip6(_) | Protocol::Dns(_) | Protocol::Dns4(_) | Protocol::Dns6(_))
    ) && matches!(parts.next(), Some(Protocol::Tcp(_)))
        && matches!((parts.next(), parts.next()), (None | Some(Protocol::P2p(_)), None))
}
