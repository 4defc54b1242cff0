//! Which addresses a driver can dial and listen on.

use multiaddr::Multiaddr;

use crate::address;

/// What a driver can connect, by the shape of the address. The swarm asks in the order of `add_transport`.
#[derive(Clone, Copy, Debug)]
pub struct Transport {
    /// Whether an address is one of this transport's. To be dialled, addresses come without their trailing `/p2p/…`.
    pub matches: fn(&Multiaddr) -> bool,
    /// What its connections need before they are ready.
    pub security: Security,
}

/// What a transport's connections bring with them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Security {
    /// Plain bytes: security and muxer are to be negotiated.
    Raw,
    /// The peer is known and the bytes are secret: a pipe in memory, for example. The muxer is to be negotiated.
    Secure,
}

impl Transport {
    /// TCP: `/ip4`, `/ip6`, `/dns`, `/dns4` or `/dns6`, then `/tcp`, then perhaps `/p2p/…`.
    pub const fn tcp() -> Self {
        Self { matches: address::is_tcp, security: Security::Raw }
    }

    /// WebSocket: an address of TCP, then `/ws`, then perhaps `/p2p/…`.
    pub const fn websocket() -> Self {
        Self { matches: address::is_websocket, security: Security::Raw }
    }

    /// WebSocket over TLS: an address of TCP, then `/wss`, `/tls/ws` or `/tls/sni/…/ws`, then perhaps `/p2p/…`. A certificate
    /// of the web says nothing of a peer, so that its connections are secured like all others. With a name in front, the name
    /// becomes the `/sni/…` when it is resolved.
    pub const fn secure_websocket() -> Self {
        Self { matches: address::is_secure_websocket, security: Security::Raw }
    }

    /// Pipes in memory: `/memory/…`, then perhaps `/p2p/…`. Their bytes are as plain as those of TCP, since any thread may
    /// be at the other end.
    pub const fn memory() -> Self {
        Self { matches: address::is_memory, security: Security::Raw }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_knows_its_addresses() {
        let memory = |text: &str| (Transport::memory().matches)(&text.parse().unwrap());
        let peer = "12D3KooWGC6TvWhfapngX6wvJHMYvKpDMXPb3ZnCZ6dMoaMtimQ5";
        assert!(memory("/memory/7") && memory(&format!("/memory/7/p2p/{peer}")));
        for bad in [
            "",
            "/ip4/1.2.3.4/tcp/1",
            "/memory/7/tcp/1",
            "/memory/7/memory/8",
            "/p2p/12D3KooWGC6TvWhfapngX6wvJHMYvKpDMXPb3ZnCZ6dMoaMtimQ5",
        ] {
            assert!(!memory(bad), "{bad}");
        }
        assert!(!memory(&format!("/memory/7/p2p/{peer}/p2p-circuit")));
    }

    #[test]
    fn websockets_know_their_addresses() {
        let plain = |text: &str| (Transport::websocket().matches)(&text.parse().unwrap());
        let secure = |text: &str| (Transport::secure_websocket().matches)(&text.parse().unwrap());
        let peer = "12D3KooWGC6TvWhfapngX6wvJHMYvKpDMXPb3ZnCZ6dMoaMtimQ5";
        for host in ["/ip4/1.2.3.4/tcp/1", "/ip6/::1/tcp/1", "/dns/a.b/tcp/1", "/dns4/a.b/tcp/1", "/dns6/a.b/tcp/1"] {
            let with_peer = |end| [format!("{host}{end}"), format!("{host}{end}/p2p/{peer}")];
            for text in ["/ws", "/x-parity-ws/%2Fa"].map(with_peer).concat() {
                assert!(plain(&text) && !secure(&text), "{text}");
            }
            for text in ["/wss", "/tls/ws", "/tls/sni/a.b/ws"].map(with_peer).concat() {
                assert!(secure(&text) && !plain(&text), "{text}");
            }
            for end in ["", "/tls", "/tls/sni/a.b", "/ws/ws", "/wss/ws", "/tls/wss", "/ws/tls", "/wss/tls/ws"] {
                let text = format!("{host}{end}");
                assert!(!plain(&text) && !secure(&text), "{text}");
            }
            for end in ["/ws", "/wss", "/tls/ws"] {
                for behind in ["p2p-circuit", &format!("p2p/{peer}")] {
                    let text = format!("{host}{end}/p2p/{peer}/{behind}");
                    assert!(!plain(&text) && !secure(&text), "{text}");
                }
            }
        }
        assert!(!plain("/ws") && !plain("/ip4/1.2.3.4/udp/1/ws") && !secure("/wss"));
    }

    #[test]
    fn tcp_knows_its_addresses() {
        let tcp = |text: &str| (Transport::tcp().matches)(&text.parse().unwrap());
        let peer = "12D3KooWGC6TvWhfapngX6wvJHMYvKpDMXPb3ZnCZ6dMoaMtimQ5";
        for good in ["/ip4/1.2.3.4/tcp/1", "/ip6/::1/tcp/1", "/dns/a.b/tcp/1", "/dns4/a.b/tcp/1", "/dns6/a.b/tcp/1"] {
            assert!(tcp(good), "{good}");
            assert!(tcp(&format!("{good}/p2p/{peer}")), "{good}");
            assert!(!tcp(&format!("{good}/p2p/{peer}/p2p-circuit")), "{good}");
            assert!(!tcp(&format!("{good}/ws")), "{good}");
        }
        for bad in ["", "/ip4/1.2.3.4", "/tcp/1", "/ip4/1.2.3.4/udp/1", "/dnsaddr/a.b/tcp/1", "/tcp/1/ip4/1.2.3.4"] {
            assert!(!tcp(bad), "{bad}");
        }
    }
}
