//! Addresses and errors between libp2p and the system.

use core::net::{IpAddr, SocketAddr};
use std::io;

use sanswarm::{Multiaddr, TransportError, multiaddr::Protocol};

/// Reads `/ip4` or `/ip6`, then `/tcp`, then perhaps `/p2p/…`. Names have been resolved before.
pub(crate) fn socket_addr(address: &Multiaddr) -> Option<SocketAddr> {
    let mut parts = address.iter();
    let (host, Protocol::Tcp(port)) = (parts.next()?, parts.next()?) else { return None };
    let ip: IpAddr = match host {
        Protocol::Ip4(ip) => ip.into(),
        Protocol::Ip6(ip) => ip.into(),
        _ => return None,
    };
    matches!((parts.next(), parts.next()), (None | Some(Protocol::P2p(_)), None)).then(|| SocketAddr::new(ip, port))
}

/// A socket's address as libp2p writes it.
pub(crate) fn multiaddr(addr: SocketAddr) -> Multiaddr {
    let host = match addr.ip() {
        IpAddr::V4(ip) => Protocol::Ip4(ip),
        IpAddr::V6(ip) => Protocol::Ip6(ip),
    };
    Multiaddr::empty().with(host).with(Protocol::Tcp(addr.port()))
}

/// What the system said, in the words of the swarm.
pub(crate) fn transport_error(error: &io::Error) -> TransportError {
    const NO_DESCRIPTORS: [i32; 3] = [23, 24, 10024]; // ENFILE, EMFILE, WSAEMFILE
    let code = error.raw_os_error().unwrap_or(0);
    match error.kind() {
        io::ErrorKind::ConnectionRefused => TransportError::Refused,
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => TransportError::Unreachable,
        io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted => TransportError::Reset,
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => TransportError::TimedOut,
        io::ErrorKind::PermissionDenied => TransportError::PermissionDenied,
        io::ErrorKind::AddrInUse => TransportError::AddressInUse,
        io::ErrorKind::AddrNotAvailable => TransportError::AddressNotAvailable,
        _ if NO_DESCRIPTORS.contains(&code) => TransportError::NoDescriptors,
        _ => TransportError::Other(code),
    }
}

/// 32 random bytes.
pub(crate) fn secret() -> Result<[u8; 32], getrandom::Error> {
    let mut secret = [0; 32];
    getrandom::fill(&mut secret)?;
    Ok(secret)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_go_both_ways() {
        for text in ["/ip4/127.0.0.1/tcp/80", "/ip6/::1/tcp/4001"] {
            let address: Multiaddr = text.parse().unwrap();
            assert_eq!(multiaddr(socket_addr(&address).unwrap()), address);
        }
        for text in ["/ip4/127.0.0.1/udp/80", "/ip4/127.0.0.1", "/ip4/127.0.0.1/tcp/80/ws", "/dns/a/tcp/1"] {
            assert_eq!(socket_addr(&text.parse().unwrap()), None, "{text}");
        }
    }

    #[test]
    fn errors_keep_their_meaning() {
        let of = |code| transport_error(&io::Error::from_raw_os_error(code));
        assert_eq!(transport_error(&io::ErrorKind::ConnectionRefused.into()), TransportError::Refused);
        assert_eq!(of(24), TransportError::NoDescriptors);
    }
}
