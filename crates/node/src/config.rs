//! What a node is told before it starts.

use core::time::Duration;

use libp2p_identity::Keypair;

use crate::{Muxer, Security};

/// The configuration of a node. Make it with [`new`](Self::new) and change what you like.
#[derive(Clone, Debug)]
pub struct Config {
    /// The identity. Its public half is the peer id.
    pub keypair: Keypair,
    /// 32 random bytes that become the node's static Noise key. Made anew at each start, used for nothing else.
    pub noise_secret: [u8; 32],
    /// A seed for what needs no secrecy, such as the payload of pings. A simulation gives a fixed one.
    pub seed: u64,
    /// The security protocols, in the order in which they are offered.
    pub security: Vec<Security>,
    /// The muxers, in the order in which they are offered.
    pub muxers: Vec<Muxer>,
    /// What identify says of our program. Default `sanswarm/<version>`.
    pub agent: String,
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
            security: Security::defaults(),
            muxers: Muxer::defaults(),
            agent: concat!("sanswarm/", env!("CARGO_PKG_VERSION")).to_owned(),
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
