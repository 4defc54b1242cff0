//! Addresses and errors between libp2p and the system.

use core::net::{IpAddr, SocketAddr};
use std::{io, net::ToSocketAddrs};

use sanswarm::{Multiaddr, TransportError, multiaddr::Protocol};

/// Where an address leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Socket(SocketAddr),
    /// A name that is to be looked up; `Some(true)`: for IPv6 addresses only, `Some(false)`: for IPv4 addresses only.
    Name(String, u16, Option<bool>),
}

impl Target {
    /// Reads `/ip4`, `/ip6`, `/dns`, `/dns4` or `/dns6`, then `/tcp`, then perhaps `/p2p/…`.
    pub(crate) fn read(address: &Multiaddr) -> Option<Self> {
        let mut parts = address.iter();
        let (host, port) = (parts.next()?, parts.next()?);
        let Protocol::Tcp(port) = port else { return None };
        match parts.next() {
            None | Some(Protocol::P2p(_)) => {}
            _ => return None,
        }
        Some(match host {
            Protocol::Ip4(ip) => Self::Socket((ip, port).into()),
            Protocol::Ip6(ip) => Self::Socket((ip, port).into()),
            Protocol::Dns(name) => Self::Name(name.into_owned(), port, None),
            Protocol::Dns4(name) => Self::Name(name.into_owned(), port, Some(false)),
            Protocol::Dns6(name) => Self::Name(name.into_owned(), port, Some(true)),
            _ => return None,
        })
    }

    /// Asks the system for the name; this may take long.
    pub(crate) fn resolve(self) -> Result<Vec<SocketAddr>, TransportError> {
        let (name, port, v6) = match self {
            Self::Socket(addr) => return Ok(vec![addr]),
            Self::Name(name, port, v6) => (name, port, v6),
        };
        let found = (name.as_str(), port).to_socket_addrs().map_err(|_| TransportError::NotFound)?;
        let found: Vec<_> = found.filter(|addr| v6.is_none_or(|v6| addr.is_ipv6() == v6)).collect();
        if found.is_empty() { Err(TransportError::NotFound) } else { Ok(found) }
    }
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
            let Some(Target::Socket(addr)) = Target::read(&address) else { panic!("{text}") };
            assert_eq!(multiaddr(addr), address);
        }
        for text in ["/ip4/127.0.0.1/udp/80", "/ip4/127.0.0.1", "/ip4/127.0.0.1/tcp/80/ws"] {
            assert_eq!(Target::read(&text.parse().unwrap()), None, "{text}");
        }
    }

    #[test]
    fn names_are_looked_up_by_family() {
        let target = |text: &str| Target::read(&text.parse().unwrap()).unwrap();
        let v4 = target("/dns4/localhost/tcp/1").resolve().unwrap();
        assert!(v4.iter().all(SocketAddr::is_ipv4));
        assert_eq!(target("/dns/no-such-name.invalid/tcp/1").resolve(), Err(TransportError::NotFound));
    }

    #[test]
    fn errors_keep_their_meaning() {
        let of = |code| transport_error(&io::Error::from_raw_os_error(code));
        assert_eq!(transport_error(&io::ErrorKind::ConnectionRefused.into()), TransportError::Refused);
        assert_eq!(of(24), TransportError::NoDescriptors);
    }
}
