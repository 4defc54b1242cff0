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

/// Where a WebSocket is, and what its dialer says there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebAddr {
    /// Where to connect, or to listen.
    pub socket: SocketAddr,
    /// The path to ask for.
    pub path: String,
    /// Whether TLS lies below.
    pub secure: bool,
    /// The name that the certificate must be for, if it is not the IP address.
    pub name: Option<String>,
}

impl WebAddr {
    /// Host and port of `/ip4` or `/ip6`, then `/tcp`, then `/ws`, `/wss`, `/tls/ws` or `/tls/sni/…/ws`, then perhaps
    /// `/p2p/…`, which says nothing here. `None`: it is another address.
    pub fn of(address: &Multiaddr) -> Option<Self> {
        let socket = socket_addr(&address.iter().take(2).collect())?;
        let mut parts = address.iter().skip(2);
        let (path, secure, name) = match parts.next()? {
            Protocol::Ws(path) => (path, false, None),
            Protocol::Wss(path) => (path, true, None),
            Protocol::Tls => match parts.next()? {
                Protocol::Ws(path) => (path, true, None),
                Protocol::Sni(name) => match parts.next()? {
                    Protocol::Ws(path) => (path, true, Some(name.into_owned())),
                    _ => return None,
                },
                _ => return None,
            },
            _ => return None,
        };
        let ends = matches!((parts.next(), parts.next()), (None | Some(Protocol::P2p(_)), None));
        ends.then(|| Self { socket, path: path.into_owned(), secure, name })
    }

    /// The host of a request, with its port.
    pub fn host(&self) -> String {
        match &self.name {
            Some(name) => format!("{name}:{}", self.socket.port()),
            None => self.socket.to_string(),
        }
    }
}

/// The multiaddr of a TCP socket with all that lies on it in `wanted`, which a listener was told.
pub fn multiaddr_like(wanted: &Multiaddr, address: SocketAddr) -> Multiaddr {
    let rest = wanted.iter().skip(2).filter(|part| !matches!(part, Protocol::P2p(_)));
    multiaddr(address).iter().chain(rest).collect()
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
    fn websockets_say_what_lies_below() {
        let of = |text: &str| WebAddr::of(&text.parse().unwrap());
        let peer = "12D3KooWGC6TvWhfapngX6wvJHMYvKpDMXPb3ZnCZ6dMoaMtimQ5";
        let all = [
            ("/ip4/127.0.0.1/tcp/1/ws", false, "127.0.0.1:1"),
            ("/ip6/::1/tcp/1/ws", false, "[::1]:1"),
            ("/ip4/127.0.0.1/tcp/1/wss", true, "127.0.0.1:1"),
            ("/ip4/127.0.0.1/tcp/1/tls/ws", true, "127.0.0.1:1"),
            ("/ip4/127.0.0.1/tcp/1/tls/sni/a.b/ws", true, "a.b:1"),
        ];
        for (text, secure, host) in all {
            for text in [text.to_owned(), format!("{text}/p2p/{peer}")] {
                let addr = of(&text).unwrap_or_else(|| panic!("{text}"));
                assert_eq!((addr.secure, &*addr.host(), &*addr.path), (secure, host, "/"), "{text}");
            }
            let bound = multiaddr_like(&text.parse().unwrap(), ([10, 0, 0, 1], 9).into());
            let rest = text.split("/tcp/1").nth(1).unwrap();
            assert_eq!(bound.to_string(), format!("/ip4/10.0.0.1/tcp/9{rest}"));
        }
        for bad in [
            "/ip4/127.0.0.1/tcp/1",
            "/dns/a/tcp/1/ws",
            "/ip4/127.0.0.1/tcp/1/tls",
            "/ip4/127.0.0.1/tcp/1/ws/ws",
            "/ip4/127.0.0.1/tcp/1/tls/sni/a.b",
            "/ip4/127.0.0.1/tcp/1/tls/sni/a.b/ws/tls",
        ] {
            assert_eq!(of(bad), None, "{bad}");
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
