//! What the swarm reads in a multiaddr.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use libp2p_identity::PeerId;
use multiaddr::{Multiaddr, Protocol};

/// From where an address can be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reach {
    /// This host only.
    Loopback,
    /// A network that is not the Internet: RFC 1918, RFC 4193, RFC 6598, and link-local addresses.
    Private,
    /// Everywhere, as far as the address tells. Names too.
    Public,
    /// Nowhere: unspecified, multicast and reserved hosts, and port 0.
    Unroutable,
}

/// What kind of host an address names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// An IPv6 address.
    V6,
    /// An IPv4 address.
    V4,
    /// A name, and what is no IP address at all.
    Other,
}

/// What carries the bytes. The order is that of dialing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Carrier {
    /// QUIC.
    Quic,
    /// WebTransport and WebRTC: over UDP, with more round trips.
    Web,
    /// TCP.
    Tcp,
    /// WebSocket over TCP.
    WebSocket,
    /// Something else: memory, a Unix socket.
    Other,
}

/// What an address tells about how to dial it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind {
    /// From where it can be reached.
    pub reach: Reach,
    /// What kind of host it names.
    pub family: Family,
    /// What carries the bytes.
    pub carrier: Carrier,
    /// Whether another peer relays them (`/p2p-circuit`).
    pub relayed: bool,
}

impl Kind {
    /// Reads an address.
    pub fn of(address: &Multiaddr) -> Self {
        let mut kind = Self { reach: Reach::Public, family: Family::Other, carrier: Carrier::Other, relayed: false };
        for (i, part) in address.iter().enumerate() {
            match part {
                Protocol::Ip4(ip) if i == 0 => (kind.family, kind.reach) = (Family::V4, reach_v4(ip)),
                Protocol::Ip6(ip) if i == 0 => (kind.family, kind.reach) = (Family::V6, reach_v6(ip)),
                Protocol::Memory(_) | Protocol::Unix(_) if i == 0 => kind.reach = Reach::Loopback,
                Protocol::Tcp(0) | Protocol::Udp(0) => kind.reach = Reach::Unroutable,
                Protocol::Tcp(_) => kind.carrier = Carrier::Tcp,
                Protocol::Quic | Protocol::QuicV1 => kind.carrier = Carrier::Quic,
                Protocol::WebTransport | Protocol::WebRTCDirect => kind.carrier = Carrier::Web,
                Protocol::Ws(_) | Protocol::Wss(_) => kind.carrier = Carrier::WebSocket,
                // What follows is between the relay and its peer.
                Protocol::P2pCircuit => {
                    kind.relayed = true;
                    break;
                }
                _ => {}
            }
        }
        kind
    }
}

/// From where a host can be reached.
pub(crate) const fn reach(ip: IpAddr) -> Reach {
    match ip {
        IpAddr::V4(ip) => reach_v4(ip),
        IpAddr::V6(ip) => reach_v6(ip),
    }
}

const fn reach_v4(ip: Ipv4Addr) -> Reach {
    match ip.octets() {
        [127, ..] => Reach::Loopback,
        [0 | 224..=255, ..] => Reach::Unroutable,
        [10, ..] | [192, 168, ..] | [172, 16..=31, ..] | [100, 64..=127, ..] | [169, 254, ..] => Reach::Private,
        _ => Reach::Public,
    }
}

const fn reach_v6(ip: Ipv6Addr) -> Reach {
    if let Some(ip) = ip.to_ipv4_mapped() {
        return reach_v4(ip);
    }
    match ip.segments() {
        [0, 0, 0, 0, 0, 0, 0, 1] => Reach::Loopback,
        [0, 0, 0, 0, 0, 0, 0, 0] | [0xff00..=0xffff, ..] | [0x100, 0, 0, 0, ..] => Reach::Unroutable,
        [0xfc00..=0xfdff | 0xfe80..=0xfebf, ..] => Reach::Private,
        _ => Reach::Public,
    }
}

/// The host of an address, if it is an IP address.
pub(crate) fn host(address: &Multiaddr) -> Option<IpAddr> {
    match address.iter().next()? {
        Protocol::Ip4(ip) => Some(ip.into()),
        Protocol::Ip6(ip) => Some(ip.into()),
        _ => None,
    }
}

/// The same address at another host.
pub(crate) fn with_host(address: &Multiaddr, ip: IpAddr) -> Multiaddr {
    core::iter::once(host_of(ip)).chain(address.iter().skip(1)).collect()
}

/// An address with its name resolved. One of a WebSocket over TLS keeps the name, as `/tls/sni/NAME/ws`: the certificate
/// will be for it.
pub(crate) fn resolved(address: &Multiaddr, ip: IpAddr) -> Multiaddr {
    let named = match address.iter().next() {
        Some(Protocol::Dns(name) | Protocol::Dns4(name) | Protocol::Dns6(name)) if is_secure_websocket(address) => name,
        _ => return with_host(address, ip),
    };
    let mut resolved = Multiaddr::from(ip);
    for part in address.iter().skip(1) {
        match part {
            Protocol::Tls => {}
            Protocol::Sni(_) => return with_host(address, ip),
            Protocol::Ws(path) | Protocol::Wss(path) => {
                resolved = resolved.with(Protocol::Tls).with(Protocol::Sni(named.clone())).with(Protocol::Ws(path));
            }
            other => resolved.push(other),
        }
    }
    resolved
}

fn host_of<'a>(ip: IpAddr) -> Protocol<'a> {
    match ip {
        IpAddr::V4(ip) => Protocol::Ip4(ip),
        IpAddr::V6(ip) => Protocol::Ip6(ip),
    }
}

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
    behind_tcp(address).is_some_and(ends)
}

/// Whether this is a host, a TCP port, `/ws` and perhaps a peer.
pub(crate) fn is_websocket(address: &Multiaddr) -> bool {
    behind_tcp(address).is_some_and(|mut parts| matches!(parts.next(), Some(Protocol::Ws(_))) && ends(parts))
}

/// Whether this is a host, a TCP port, `/wss`, `/tls/ws` or `/tls/sni/…/ws`, and perhaps a peer.
pub(crate) fn is_secure_websocket(address: &Multiaddr) -> bool {
    let Some(mut parts) = behind_tcp(address) else { return false };
    let mut next = parts.next();
    if matches!(next, Some(Protocol::Wss(_))) {
        return ends(parts);
    }
    if !matches!(next, Some(Protocol::Tls)) {
        return false;
    }
    next = parts.next();
    if matches!(next, Some(Protocol::Sni(_))) {
        next = parts.next();
    }
    matches!(next, Some(Protocol::Ws(_))) && ends(parts)
}

type Parts<'a> = multiaddr::Iter<'a>;

/// What follows a host and a TCP port.
fn behind_tcp(address: &Multiaddr) -> Option<Parts<'_>> {
    use Protocol as P;
    let mut parts = address.iter();
    let is_host = matches!(parts.next(), Some(P::Ip4(_) | P::Ip6(_) | P::Dns(_) | P::Dns4(_) | P::Dns6(_)));
    (is_host && matches!(parts.next(), Some(P::Tcp(_)))).then_some(parts)
}

/// Whether nothing follows but perhaps a peer.
fn ends(mut parts: Parts<'_>) -> bool {
    matches!((parts.next(), parts.next()), (None | Some(Protocol::P2p(_)), None))
}

/// Whether this is a place in memory and perhaps a peer, and nothing else.
pub(crate) fn is_memory(address: &Multiaddr) -> bool {
    let mut parts = address.iter();
    matches!(parts.next(), Some(Protocol::Memory(_))) && ends(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(text: &str) -> Kind {
        Kind::of(&text.parse().unwrap())
    }

    #[test]
    fn addresses_tell_from_where_they_can_be_reached() {
        let all = [
            (Reach::Loopback, &["/ip4/127.9.9.9/tcp/1", "/ip6/::1/tcp/1", "/memory/7"][..]),
            (
                Reach::Private,
                &[
                    "/ip4/10.0.0.1/tcp/1",
                    "/ip4/192.168.0.1/tcp/1",
                    "/ip4/172.31.0.1/tcp/1",
                    "/ip4/100.64.0.1/tcp/1",
                    "/ip4/169.254.1.1/tcp/1",
                    "/ip6/fd00::1/tcp/1",
                    "/ip6/fe80::1/tcp/1",
                    "/ip6/::ffff:10.0.0.1/tcp/1",
                ],
            ),
            (
                Reach::Public,
                &["/ip4/172.32.0.1/tcp/1", "/ip4/100.128.0.1/tcp/1", "/ip6/2600::1/tcp/1", "/dns/a.b/tcp/1"],
            ),
            (
                Reach::Unroutable,
                &[
                    "/ip4/0.0.0.0/tcp/1",
                    "/ip4/224.0.0.1/udp/1/quic-v1",
                    "/ip4/255.255.255.255/tcp/1",
                    "/ip6/::/tcp/1",
                    "/ip6/ff02::1/tcp/1",
                    "/ip6/100::1/tcp/1",
                    "/ip4/1.2.3.4/tcp/0",
                    "/dns/a.b/tcp/0",
                ],
            ),
        ];
        for (reach, texts) in all {
            for text in texts {
                assert_eq!(kind(text).reach, reach, "{text}");
            }
        }
    }

    #[test]
    fn addresses_tell_what_carries_them() {
        let peer = "12D3KooWGC6TvWhfapngX6wvJHMYvKpDMXPb3ZnCZ6dMoaMtimQ5";
        let all = [
            ("/ip4/1.2.3.4/tcp/1", Carrier::Tcp),
            ("/ip4/1.2.3.4/udp/1/quic-v1", Carrier::Quic),
            ("/ip4/1.2.3.4/udp/1/quic-v1/webtransport", Carrier::Web),
            ("/ip4/1.2.3.4/udp/1/webrtc-direct", Carrier::Web),
            ("/ip4/1.2.3.4/tcp/1/ws", Carrier::WebSocket),
            ("/dns4/a.b/tcp/443/wss", Carrier::WebSocket),
            ("/unix/tmp", Carrier::Other),
        ];
        for (text, carrier) in all {
            assert_eq!((kind(text).carrier, kind(text).relayed), (carrier, false), "{text}");
        }
        let relayed = kind(&format!("/ip4/1.2.3.4/tcp/1/p2p/{peer}/p2p-circuit/ip4/0.0.0.0/tcp/0"));
        assert_eq!((relayed.relayed, relayed.carrier, relayed.reach), (true, Carrier::Tcp, Reach::Public));
    }
}
