//! What a swarm may hold and how long it waits.

use core::time::Duration;

/// The bounds of a swarm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections that are ready or closing. 1,000. Against running out of sockets and memory.
    pub established: usize,
    /// Of these, accepted ones. No limit of its own. Against strangers that leave no room for our own dials.
    pub established_inbound: usize,
    /// Of these, dialled ones. No limit of its own.
    pub established_outbound: usize,
    /// Ready connections of one peer. 8. Against one peer that takes all of them.
    pub established_per_peer: usize,
    /// Accepted connections that are not ready yet. 128. Against floods of handshakes.
    pub pending_inbound: usize,
    /// Accepted connections, ready or not, from one network: an IPv4 address or the first 56 bits of an IPv6 address;
    /// loopback is none. 64. Against one host that takes all of them under many names.
    pub inbound_per_prefix: usize,
    /// Sockets accepted in a second, as many at once; 0: none. 1,000. Against floods of connects.
    pub accepts_per_second: usize,
    /// The same for one network, as `inbound_per_prefix` has them; loopback is none. 100. Against one host that keeps all
    /// others from being accepted.
    pub accepts_per_prefix: usize,
    /// Bytes that all connections may hold, as far as the swarm is told: 80 KiB while one is not ready, then 20 KiB or what
    /// `handle_memory` says. 512 MiB. With less left, sockets are not accepted and addresses not dialled. Against peers
    /// that have us hold what nobody reads.
    pub memory: usize,
    /// Peers and networks on the lists of who may come in and who may not. 4,096.
    pub listed: usize,
    /// How long a ready connection without a stream stays. `None`: for ever. The peer may open one just then: leave it
    /// seconds rather than less.
    pub idle: Option<Duration>,
    /// How long one without a stream stays that we have dialled although there is a better one to the same peer. 10 s.
    pub surplus: Duration,
    /// Ready connections above which those are trimmed that were idle for longest. 0: nine tenths of `established`.
    pub high_water: usize,
    /// Down to how many. 0: eight tenths of `established`.
    pub low_water: usize,
    /// How long a connection must have been idle to be trimmed. 20 s, as go-libp2p.
    pub trim_grace: Duration,
    /// Keeps at once. 1,024.
    pub keeps: usize,
    /// Peers protected from trimming. 1,024.
    pub protected: usize,
    /// Peers that something is remembered of; the one that was of no use for longest makes way. 4,096.
    pub book_peers: usize,
    /// Addresses remembered of a peer; the least worth makes way. 16. Against lists of victims to dial.
    pub book_addresses: usize,
    /// Bytes of protocol names and program remembered of a peer; what does not fit is left out. 2,048.
    pub book_text: usize,
    /// How long an address is remembered that a peer has told of itself. 1 h.
    pub book_time: Duration,
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
            established_inbound: usize::MAX,
            established_outbound: usize::MAX,
            established_per_peer: 8,
            pending_inbound: 128,
            inbound_per_prefix: 64,
            accepts_per_second: 1000,
            accepts_per_prefix: 100,
            memory: 512 << 20,
            listed: 4096,
            idle: None,
            surplus: Duration::from_secs(10),
            high_water: 0,
            low_water: 0,
            trim_grace: Duration::from_secs(20),
            keeps: 1024,
            protected: 1024,
            book_peers: 4096,
            book_addresses: 16,
            book_text: 2048,
            book_time: Duration::from_secs(3600),
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
