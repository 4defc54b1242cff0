//! What a node is told before it starts.

use core::time::Duration;

use libp2p_identity::Keypair;

#[cfg(feature = "noise")]
use crate::Aead;
use crate::{Muxer, Security, transcript::Level};

/// The configuration of a node. Make it with [`new`](Self::new) and change what you like.
#[derive(Clone, Debug)]
pub struct Config {
    /// The identity. Its public half is the peer id.
    pub keypair: Keypair,
    /// 32 random bytes that become the node's static Noise key. Made anew at each start, used for nothing else.
    pub noise_secret: [u8; 32],
    /// A seed for what needs no secrecy, such as the payload of pings. A simulation gives a fixed one.
    pub seed: u64,
    /// The Unix time in seconds at [`Instant::ZERO`](crate::Instant::ZERO), by which TLS looks at the dates of certificates.
    /// `None`: there is no clock, and they are not looked at. The adapters for tokio and std set it.
    pub unix_seconds: Option<u64>,
    /// The security protocols, in the order in which they are offered.
    pub security: Vec<Security>,
    /// The muxers, in the order in which they are offered.
    pub muxers: Vec<Muxer>,
    /// What identify says of our program. Default `sanswarm/<version>`.
    pub agent: String,
    /// The library that seals the frames of Noise. Default `None`: the fastest that is built in.
    #[cfg(feature = "noise")]
    pub aead: Option<Aead>,
    /// How much each connection writes down, for [`Link::poll_transcript`](crate::Link::poll_transcript). Default nothing.
    pub transcript: Level,
    /// What all receive buffers together may hold beyond 8 KiB each, in bytes. Default 64 MiB: a thousand connections
    /// that receive at the same moment. Stops: frames that are begun on many connections and never ended.
    pub recv_bytes: usize,
    /// The number of the first signed peer record that identify sends, larger at each start: the seconds since 1970, say.
    /// Default `None`: no record is sent.
    pub record_seq: Option<u64>,
    /// How often each connection is pinged. Default 15 s; `None` never.
    pub ping_interval: Option<Duration>,
    /// How long a ping may take. Default 10 s.
    pub ping_timeout: Duration,
    /// How long identify may take on a new connection before `PeerReady` comes without it. Default 5 s.
    pub identify_timeout: Duration,
    /// The limits of one connection.
    pub connection: sanswarm_connection::Limits,
    /// The limits of dialing and of the number of connections.
    pub swarm: sanswarm_swarm::Limits,
}

impl Config {
    /// The defaults for this identity. `noise_secret` is 32 bytes of good randomness.
    pub fn new(keypair: Keypair, noise_secret: [u8; 32]) -> Self {
        // An attempt outlives the upgrade's own deadline, whose error says more.
        let twenty = Duration::from_secs(20);
        Self {
            keypair,
            noise_secret,
            seed: 0,
            unix_seconds: None,
            security: Security::defaults(),
            muxers: Muxer::defaults(),
            agent: concat!("sanswarm/", env!("CARGO_PKG_VERSION")).to_owned(),
            #[cfg(feature = "noise")]
            aead: None,
            transcript: Level::Off,
            recv_bytes: 64 * 1024 * 1024,
            record_seq: None,
            ping_interval: Some(Duration::from_secs(15)),
            ping_timeout: Duration::from_secs(10),
            identify_timeout: Duration::from_secs(5),
            connection: sanswarm_connection::Limits::default(),
            swarm: sanswarm_swarm::Limits {
                attempt: twenty,
                inbound_upgrade: twenty,
                ..sanswarm_swarm::Limits::default()
            },
        }
    }
}
