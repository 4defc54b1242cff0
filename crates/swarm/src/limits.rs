//! What a swarm may hold and how long it waits.

use core::time::Duration;

/// The bounds of a swarm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections that are ready or closing. 1,000. Against running out of sockets and memory.
    pub established: usize,
    /// Ready connections of one peer. 8. Against one peer that takes all of them.
    pub established_per_peer: usize,
    /// Accepted connections that are not ready yet. 128. Against floods of handshakes.
    pub pending_inbound: usize,
    /// Attempts at once, of all dials; more wait their turn. 160, as go-libp2p. Against running out of sockets.
    pub pending_outbound: usize,
    /// Dials without an answer. 1,024. Against an application that dials whatever it hears of.
    pub dials: usize,
    /// Different addresses of one dial, those of joined dials included; the rest is not tried. 16. Against a peer that
    /// lists victims as its addresses.
    pub addresses_per_dial: usize,
    /// Attempts at once of one dial; 0 counts as 1. 8, as rust-libp2p.
    pub dials_per_peer: usize,
    /// Addresses listened on by command. 64.
    pub listeners: usize,
    /// How long an attempt may take until it is ready. 15 s, as go-libp2p. Against addresses that swallow packets.
    pub attempt: Duration,
    /// How long a dial may take. 60 s, as go-libp2p.
    pub dial: Duration,
    /// How long an accepted connection may take until it is ready. 15 s, as go-libp2p. Against silent dialers.
    pub inbound_upgrade: Duration,
    /// How long an attempt is alone before the next address is tried beside it. 250 ms (RFC 8305, section 5).
    pub stagger: Duration,
    /// The same for private addresses on a private network. 30 ms, as go-libp2p.
    pub lan_stagger: Duration,
    /// Questions to the name service at once; further names fail. 64. Against dials that list nothing but names.
    pub resolves: usize,
    /// How long the name service may take for one question. 5 s.
    pub resolve: Duration,
    /// Results of one question that are looked at. 100, as go-libp2p. Against a name that lists victims.
    pub resolved_addresses: usize,
    /// `/dnsaddr` names that may lead to each other. 4, as go-libp2p. Against loops.
    pub resolve_depth: usize,
    /// How long an address or a peer rests after its first failure, a quarter more or less; doubled with each further
    /// one. 1 s; zero: no back-off. Against hammering at who is down.
    pub backoff: Duration,
    /// The longest such rest; and for how long after it the failures are remembered. 5 min, as go-libp2p.
    pub backoff_max: Duration,
    /// Addresses and peers whose failures are remembered; the first to be forgotten makes way. 4,096.
    pub backoffs: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            established: 1000,
            established_per_peer: 8,
            pending_inbound: 128,
            pending_outbound: 160,
            dials: 1024,
            addresses_per_dial: 16,
            dials_per_peer: 8,
            listeners: 64,
            attempt: Duration::from_secs(15),
            dial: Duration::from_secs(60),
            inbound_upgrade: Duration::from_secs(15),
            stagger: Duration::from_millis(250),
            lan_stagger: Duration::from_millis(30),
            resolves: 64,
            resolve: Duration::from_secs(5),
            resolved_addresses: 100,
            resolve_depth: 4,
            backoff: Duration::from_secs(1),
            backoff_max: Duration::from_secs(300),
            backoffs: 4096,
        }
    }
}
