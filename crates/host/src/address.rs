//! Multiaddrs and socket addresses, and what the system says of them.

use core::net::{IpAddr, SocketAddr};
use std::io;

use sanswarm::{Multiaddr, TransportError, multiaddr::Protocol};

/// Host and port of `/ip4` or `/ip6`, then `/tcp`, then perhaps `/p2p/…`, which says nothing here. `None`: it is another
/// address.
pub fn socket_addr(address: &Multiaddr) -> Option<SocketAddr> {
    let mut parts = address.iter();
    let (host, Protocol::Tcp(port)) = (parts.next()?, parts.next()?) else { return None };
    let ip: IpAddr = match host {
        Protocol::Ip4(ip) => ip.into(),
        Protocol::Ip6(ip) => ip.into(),
        _ => return None,
    };
    matches!((parts.next(), parts.next()), (None | Some(Protocol::P2p(_)), None)).then(|| SocketAddr::new(ip, port))
}

/// The multiaddr of a TCP socket. An IPv4 address in the clothes of an IPv6 one is shown as what it is.
pub fn multiaddr(address: SocketAddr) -> Multiaddr {
    let host = match address.ip().to_canonical() {
        IpAddr::V4(ip) => Protocol::Ip4(ip),
        IpAddr::V6(ip) => Protocol::Ip6(ip),
    };
    Multiaddr::empty().with(host).with(Protocol::Tcp(address.port()))
}

/// What the system said, by its kind and, where that says too little, by its number.
pub fn transport_error(error: &io::Error) -> TransportError {
    use io::ErrorKind as Kind;
    match error.kind() {
        Kind::ConnectionRefused => TransportError::Refused,
        Kind::HostUnreachable | Kind::NetworkUnreachable | Kind::NetworkDown => TransportError::Unreachable,
        Kind::ConnectionReset | Kind::ConnectionAborted => TransportError::Reset,
        // A blocking socket whose time is up says that it would block.
        Kind::TimedOut | Kind::WouldBlock => TransportError::TimedOut,
        Kind::NotFound => TransportError::NotFound,
        Kind::PermissionDenied => TransportError::PermissionDenied,
        Kind::AddrInUse => TransportError::AddressInUse,
        Kind::AddrNotAvailable => TransportError::AddressNotAvailable,
        Kind::Unsupported => TransportError::Unsupported,
        _ if has_no_descriptors(error) => TransportError::NoDescriptors,
        _ => TransportError::Other(error.raw_os_error().unwrap_or(0)),
    }
}

/// EMFILE and ENFILE, or what Windows calls them.
fn has_no_descriptors(error: &io::Error) -> bool {
    let codes: &[i32] = if cfg!(windows) { &[10024] } else { &[23, 24] };
    error.raw_os_error().is_some_and(|code| codes.contains(&code))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_go_both_ways() {
        for text in ["/ip4/127.0.0.1/tcp/4001", "/ip6/::1/tcp/1"] {
            let address: Multiaddr = text.parse().unwrap();
            assert_eq!(multiaddr(socket_addr(&address).unwrap()), address);
        }
        assert_eq!(multiaddr("[::ffff:127.0.0.1]:1".parse().unwrap()).to_string(), "/ip4/127.0.0.1/tcp/1");
        let peer = "/ip4/127.0.0.1/tcp/2/p2p/12D3KooWGC6TvWhfapngX6wvJHMYvKpDMXPb3ZnCZ6dMoaMtimQ5".parse().unwrap();
        assert_eq!(socket_addr(&peer), Some(([127, 0, 0, 1], 2).into()));
        for bad in ["/ip4/127.0.0.1", "/ip4/127.0.0.1/udp/1", "/ip4/127.0.0.1/tcp/1/ws", "/dns/a/tcp/1"] {
            assert_eq!(socket_addr(&bad.parse().unwrap()), None, "{bad}");
        }
    }

    #[test]
    fn errors_of_the_system_have_names() {
        let of = |code| transport_error(&io::Error::from_raw_os_error(code));
        if cfg!(target_os = "linux") {
            assert_eq!(of(24), TransportError::NoDescriptors);
            assert_eq!(of(111), TransportError::Refused);
            assert_eq!(of(98), TransportError::AddressInUse);
            assert_eq!(of(5), TransportError::Other(5));
        }
    }
}
