//! What the network knows of a host's node: its connections, streams and open requests.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use sanswarm::{Config, ConnId, Event, Instant, Multiaddr, Node, OpenId, PeerId, StreamId, SwarmLimits};
use sanswarm_wire::Key;

use crate::{Hostile, Rng, book::StreamName, pipe::Side};

/// The name of a pipe.
pub(crate) type PipeKey = Key;

/// A host of the network.
#[derive(Debug)]
pub(crate) struct Machine<A> {
    pub(crate) app: A,
    pub(crate) kind: Kind,
    pub(crate) address: Multiaddr,
    pub(crate) power: Power,
    pub(crate) desk: Desk,
    /// The pipes with an end here.
    pub(crate) pipes: BTreeSet<PipeKey>,
    /// Ends with something to read.
    pub(crate) readable: VecDeque<(PipeKey, Side)>,
    /// Connections whose node did not want what there is to read.
    pub(crate) waiting: Vec<(PipeKey, Side)>,
    /// Pipes that the system has taken and the process has not.
    pub(crate) backlog: Vec<PipeKey>,
    /// Events that a slow reader has not heard of.
    pub(crate) held: VecDeque<Event>,
    /// The earliest entry of the agenda for the node's timer.
    pub(crate) timer_at: Option<Instant>,
    pub(crate) frozen_until: Instant,
    pub(crate) slow_until: Instant,
}

#[derive(Debug)]
pub(crate) enum Kind {
    /// The real node, while its process lives.
    Node(Box<Config>, Option<Box<Node>>),
    Hostile(Hostile, Box<sanswarm::Keypair>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Power {
    On,
    /// The process is dead, its system answers.
    Dead,
    /// Nothing answers.
    Off,
}

/// The books of one node.
#[derive(Debug)]
pub(crate) struct Desk {
    pub(crate) rng: Rng,
    pub(crate) clock: Clock,
    /// How often the host has started.
    pub(crate) epoch: u32,
    pub(crate) conns: BTreeMap<ConnId, Tie>,
    pub(crate) connected: BTreeMap<ConnId, PeerId>,
    pub(crate) streams: BTreeMap<ConnId, BTreeMap<StreamId, (Side, StreamName)>>,
    pub(crate) requests: BTreeMap<OpenId, Request>,
    /// How long a request may wait for its answer.
    pub(crate) answer_within: Duration,
    pub(crate) ping_interval: Option<Duration>,
    pub(crate) limits: SwarmLimits,
    pub(crate) streams_max: usize,
    /// By host: how often in a row its socket could not be reached, and when last, by this host's clock.
    pub(crate) failed: BTreeMap<usize, (u32, Instant)>,
    /// By host: when it was last connected that had dialled us.
    pub(crate) met: BTreeMap<usize, Instant>,
    /// Hosts with which something went wrong for a reason, and when.
    pub(crate) troubled: BTreeMap<usize, Instant>,
    /// Until when a fault explains what goes wrong here.
    pub(crate) quiet_from: Instant,
}

/// A connection of a node, or an attempt at one.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tie {
    pub(crate) pipe: Option<(PipeKey, Side)>,
    pub(crate) other: usize,
    pub(crate) last_ping: Option<Instant>,
    /// Its muxer has no flow control.
    pub(crate) is_mplex: bool,
    pub(crate) is_shut: bool,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Request {
    /// The host that is asked, if it is one of the network.
    pub(crate) target: Option<usize>,
    pub(crate) since: Instant,
}

/// A clock that is not quite right.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Clock {
    /// What it is ahead, in microseconds.
    pub(crate) ahead: u64,
    /// How much too fast it is, in millionths.
    pub(crate) drift: u32,
}

impl Clock {
    /// What the clock says at a time of the network.
    pub(crate) fn local(self, global: Instant) -> Instant {
        let t = global.as_micros();
        Instant::from_micros(self.ahead + t + self.drifted(t))
    }

    /// The first time of the network at which the clock says `local` or more.
    pub(crate) fn global(self, local: Instant) -> Instant {
        let t = local.as_micros().saturating_sub(self.ahead);
        let scaled = u128::from(t) * 1_000_000 / (1_000_000 + u128::from(self.drift));
        let mut global = u64::try_from(scaled).unwrap_or(u64::MAX);
        while global + self.drifted(global) < t {
            global += 1;
        }
        Instant::from_micros(global)
    }

    fn drifted(self, t: u64) -> u64 {
        (u128::from(t) * u128::from(self.drift) / 1_000_000) as u64
    }
}

impl Desk {
    pub(crate) fn new(rng: Rng, config: Option<&Config>) -> Self {
        let config = config.map(|config| (config.swarm, config.connection, config.ping_interval));
        let (swarm, connection, ping_interval) = config.unwrap_or_default();
        Self {
            rng,
            clock: Clock::default(),
            epoch: 0,
            conns: BTreeMap::new(),
            connected: BTreeMap::new(),
            streams: BTreeMap::new(),
            requests: BTreeMap::new(),
            // A dial, an upgrade that began at its end, and the negotiation; 5 s are more than the way there and back.
            answer_within: swarm.dial + swarm.attempt + connection.negotiation_timeout + Duration::from_secs(5),
            ping_interval,
            limits: swarm,
            streams_max: connection.streams,
            failed: BTreeMap::new(),
            met: BTreeMap::new(),
            troubled: BTreeMap::new(),
            quiet_from: Instant::ZERO,
        }
    }

    /// The process has died: its node's names mean nothing any more.
    pub(crate) fn forget(&mut self) {
        self.epoch += 1;
        self.conns.clear();
        self.connected.clear();
        self.streams.clear();
        self.requests.clear();
        self.failed.clear();
        self.met.clear();
    }
}

impl<A> Machine<A> {
    pub(crate) fn node(&mut self) -> Option<&mut Node> {
        match &mut self.kind {
            Kind::Node(_, node) => node.as_deref_mut(),
            Kind::Hostile(..) => None,
        }
    }

    pub(crate) fn is_hostile(&self) -> bool {
        matches!(self.kind, Kind::Hostile(..))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_goes_back_to_the_first_instant() {
        for (ahead, drift) in [(0, 0), (5_000_000, 0), (0, 300), (77, 99_999)] {
            let clock = Clock { ahead, drift };
            for t in [0, 1, 999_999, 1_000_000, 86_400_000_000] {
                let global = Instant::from_micros(t);
                let local = clock.local(global);
                assert_eq!(clock.global(local), global, "{clock:?} {t}");
                let next = Instant::from_micros(local.as_micros() + 1);
                assert!(clock.local(clock.global(next)) >= next);
            }
        }
    }
}
