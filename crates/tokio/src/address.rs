//! Multiaddrs and socket addresses, and what the system says of them.

use core::net::{IpAddr, SocketAddr};
use std::io;

use sanswarm::{Multiaddr, TransportError, multiaddr::Protocol};

/// Where a multiaddr points to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Ip(SocketAddr),
    Name { name: String, port: u16, family: Family },
}

/// Which addresses of a name count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    Any,
    V4,
    V6,
}

impl Target {
    /// Host and port of an address; a trailing `/p2p/…` says nothing here. `None`: it is no TCP address.
    pub(crate) fn parse(address: &Multiaddr) -> Option<Self> {
        let mut parts = address.iter();
        let (host, Protocol::Tcp(port)) = (parts.next()?, parts.next()?) else { return None };
        let name = |name: &str, family| Self::Name { name: name.to_owned(), port, family };
        let target = match &host {
            Protocol::Ip4(ip) => Self::Ip(SocketAddr::new((*ip).into(), port)),
            Protocol::Ip6(ip) => Self::Ip(SocketAddr::new((*ip).into(), port)),
            Protocol::Dns(host) => name(host, Family::Any),
            Protocol::Dns4(host) => name(host, Family::V4),
            Protocol::Dns6(host) => name(host, Family::V6),
            _ => return None,
        };
        matches!((parts.next(), parts.next()), (None | Some(Protocol::P2p(_)), None)).then_some(target)
    }

    /// The socket addresses, of which there is at least one.
    pub(crate) async fn resolve(self) -> Result<Vec<SocketAddr>, TransportError> {
        let (name, port, family) = match self {
            Self::Ip(address) => return Ok(vec![address]),
            Self::Name { name, port, family } => (name, port, family),
        };
        let found = tokio::net::lookup_host((name, port)).await.map_err(|_| TransportError::NotFound)?;
        let found: Vec<_> = found
            .filter(|address| match family {
                Family::Any => true,
                Family::V4 => address.is_ipv4(),
                Family::V6 => address.is_ipv6(),
            })
            .collect();
        if found.is_empty() { Err(TransportError::NotFound) } else { Ok(found) }
    }
}

/// The multiaddr of a TCP socket. An IPv4 address in the clothes of an IPv6 one is shown as what it is.
pub(crate) fn multiaddr(address: SocketAddr) -> Multiaddr {
    let host = match address.ip().to_canonical() {
        IpAddr::V4(ip) => Protocol::Ip4(ip),
        IpAddr::V6(ip) => Protocol::Ip6(ip),
    };
    Multiaddr::empty().with(host).with(Protocol::Tcp(address.port()))
}

/// What the system said, by its kind and, where that says too little, by its number.
pub(crate) fn transport_error(error: &io::Error) -> TransportError {
    use io::ErrorKind as Kind;
    match error.kind() {
        Kind::ConnectionRefused => TransportError::Refused,
        Kind::HostUnreachable | Kind::NetworkUnreachable | Kind::NetworkDown => TransportError::Unreachable,
        Kind::ConnectionReset | Kind::ConnectionAborted => TransportError::Reset,
        Kind::TimedOut => TransportError::TimedOut,
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
            let Some(Target::Ip(socket)) = Target::parse(&address) else { panic!("{text}") };
            assert_eq!(multiaddr(socket), address);
        }
        assert_eq!(multiaddr("[::ffff:127.0.0.1]:1".parse().unwrap()).to_string(), "/ip4/127.0.0.1/tcp/1");
        let name = "/dns4/localhost/tcp/2/p2p/12D3KooWGC6TvWhfapngX6wvJHMYvKpDMXPb3ZnCZ6dMoaMtimQ5".parse().unwrap();
        let target = Target::Name { name: "localhost".to_owned(), port: 2, family: Family::V4 };
        assert_eq!(Target::parse(&name), Some(target));
        for bad in ["/ip4/127.0.0.1", "/ip4/127.0.0.1/udp/1", "/ip4/127.0.0.1/tcp/1/ws"] {
            assert_eq!(Target::parse(&bad.parse().unwrap()), None, "{bad}");
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
