//! Scenarios that a few numbers decide, so that they can be repeated and cut down.

use core::{fmt, time::Duration};

use sanswarm::Muxer;

use crate::{Counts, Digest, Hostile, Link, Network, Plan, Rng, Traffic, Violation, Wishes};

mod batch;
mod shrink;

/// What happens in a scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// Each host opens a stream every 10 s to a random connected peer and echoes 1 KiB (every tenth 256 KiB), pings every
    /// 30 s, and meets one fault an hour.
    Mixed,
    /// The same without faults: nothing may fail.
    Calm,
    /// Few hosts, many streams, a fault every few seconds, and applications that reset, stop and close.
    Soak,
    /// As `Soak`, and for every two hosts there is one that keeps no rules.
    Hostile,
    /// All hosts dial all others within a second, both ways.
    Storm,
    /// Few hosts with narrow limits that keep no connections: a stream dials whom it is for, and what nobody uses goes.
    Visits,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Mixed, Self::Calm, Self::Soak, Self::Hostile, Self::Storm, Self::Visits];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mixed => "mixed",
            Self::Calm => "calm",
            Self::Soak => "soak",
            Self::Hostile => "hostile",
            Self::Storm => "storm",
            Self::Visits => "visits",
        }
    }

    /// The one of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// A run that is yet to happen: what is in here decides every byte of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scenario {
    /// What happens.
    pub kind: Kind,
    /// Where all randomness comes from.
    pub seed: u64,
    /// Hosts that keep the rules; at least 2.
    pub nodes: usize,
    /// Connections that each host has.
    pub degree: usize,
    /// How long faults and traffic last, in virtual time.
    pub time: Duration,
    /// How many faults there are.
    pub faults: usize,
    /// Of these only the ones with these numbers happen; `None` is all.
    pub only: Option<Vec<usize>>,
    /// What is between any two hosts.
    pub link: Link,
    /// How long it may take until everything has come about after the last fault.
    pub settle_within: Duration,
    /// Entries of each kind that are recorded.
    pub record: usize,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The scenario that it was.
    pub scenario: Scenario,
    /// The law that was broken, if one was.
    pub violation: Option<Violation>,
    /// What was counted.
    pub counts: Counts,
    /// The digest of the run.
    pub digest: Digest,
    /// The virtual time that it took.
    pub time: Duration,
}

impl Scenario {
    /// The scenario of this kind with its usual numbers.
    pub fn new(kind: Kind, seed: u64) -> Self {
        let mut rng = Rng::new(seed ^ 0x5ce_4a10);
        let (nodes, degree, seconds) = match kind {
            Kind::Mixed | Kind::Calm => (100, 20, 600),
            Kind::Soak | Kind::Hostile | Kind::Visits => (3 + rng.index(6), 4, 60),
            Kind::Storm => (20, 38, 30),
        };
        let link = match kind {
            Kind::Soak | Kind::Hostile | Kind::Visits => Link {
                latency: rng.time(Duration::from_millis(150)),
                jitter: rng.time(Duration::from_millis(30)),
                bytes_per_second: [None, Some(500_000), Some(12_500_000)][rng.index(3)],
                lost_per_million: [0, 0, 1000, 20_000][rng.index(4)],
            },
            _ => Link::default(),
        };
        let time = Duration::from_secs(seconds);
        let settle_within = Duration::from_secs(300);
        let scenario = Self { kind, seed, nodes, degree, time, faults: 0, only: None, link, settle_within, record: 0 };
        Self { faults: scenario.usual_faults(), ..scenario }
    }

    /// How many faults this kind has with so many hosts in such a time.
    pub fn usual_faults(&self) -> usize {
        let hours = self.time.as_secs_f64() / 3600.0;
        match self.kind {
            Kind::Mixed => (self.nodes as f64 * hours).ceil() as usize,
            Kind::Calm => 0,
            // Of four runs one has none: then nothing explains what fails.
            Kind::Soak | Kind::Hostile | Kind::Visits if self.seed.is_multiple_of(4) => 0,
            Kind::Soak | Kind::Hostile | Kind::Visits => (self.time.as_secs() / 4) as usize,
            Kind::Storm => 3,
        }
    }

    /// The faults, and when they come.
    pub fn plan(&self) -> Plan {
        let plan = Plan::random(self.seed, self.faults, self.nodes, self.time);
        match &self.only {
            Some(numbers) => plan.only(numbers),
            None => plan,
        }
    }

    /// The network at its start.
    pub fn build(&self) -> Network<Traffic> {
        let mut net = Network::new(self.seed);
        let mut rng = Rng::new(self.seed ^ 0x70b0_1091);
        net.set_link(self.link);
        net.record_up_to(self.record);
        let offsets = self.offsets(&mut rng);
        let nodes = self.nodes.max(2);
        for index in 0..nodes {
            let peers = offsets.iter().map(|offset| crate::HostId::new((index + offset) % nodes)).collect();
            let mut config = net.config();
            config.ping_interval = Some(Duration::from_secs(30));
            if matches!(self.kind, Kind::Soak | Kind::Hostile) {
                if rng.chance(1, 2) {
                    config.connection.window_bytes_max = config.connection.window_bytes;
                }
                // Both speak yamux, so that any two hosts agree: on what the dialer prefers.
                config.muxers = match rng.below(4) {
                    0 => vec![Muxer::Mplex, Muxer::Yamux],
                    1 => vec![Muxer::Yamux, Muxer::Mplex],
                    _ => vec![Muxer::Yamux],
                };
            }
            if self.kind == Kind::Visits {
                narrow(&mut config.swarm, &mut rng);
            }
            let host = net.add_host_with(config, Traffic::new(self.wishes(peers)));
            let drift = rng.below(200) as u32;
            net.set_clock(host, rng.time(Duration::from_secs(1000)), drift);
        }
        if self.kind == Kind::Hostile {
            for n in 0..nodes.div_ceil(2) {
                let kind = Hostile::ALL[rng.index(Hostile::ALL.len())];
                let target = crate::HostId::new(rng.index(nodes));
                let wishes = Wishes { stream_every: None, ..self.wishes(Vec::new()) };
                net.add_hostile(kind, &[target, crate::HostId::new(n)], Traffic::new(wishes));
            }
        }
        for (_, at, fault) in self.plan().faults {
            net.schedule(at, fault);
        }
        net
    }

    /// How far each host's peers are from it round the circle of hosts: a half of the degree, since they dial, too.
    fn offsets(&self, rng: &mut Rng) -> Vec<usize> {
        let nodes = self.nodes.max(2);
        if matches!(self.kind, Kind::Storm | Kind::Visits) {
            return (1..nodes).collect();
        }
        let mut offsets: Vec<usize> = Vec::new();
        // Two offsets that make up the whole circle would be the same connections from the other end.
        let half = (nodes - 1) / 2;
        let most = half.max(1).min(self.degree.div_ceil(2));
        while offsets.len() < most {
            let offset = 1 + rng.index(half.max(1));
            if !offsets.contains(&offset) {
                offsets.push(offset);
            }
        }
        offsets
    }

    fn wishes(&self, peers: Vec<crate::HostId>) -> Wishes {
        let mixed = Wishes {
            peers,
            start_within: Duration::from_secs(30),
            stream_every: Some(Duration::from_secs(10)),
            bytes: 1024,
            bytes_tenth: 256 * 1024,
            wild: false,
            visits: false,
        };
        match self.kind {
            Kind::Mixed | Kind::Calm => mixed,
            Kind::Soak | Kind::Hostile => Wishes {
                start_within: Duration::from_secs(5),
                stream_every: Some(Duration::from_millis(500)),
                bytes: 40 * 1024,
                bytes_tenth: 800 * 1024,
                wild: true,
                ..mixed
            },
            Kind::Visits => Wishes {
                start_within: Duration::from_secs(2),
                stream_every: Some(Duration::from_secs(1)),
                bytes: 40 * 1024,
                bytes_tenth: 400 * 1024,
                wild: true,
                visits: true,
                ..mixed
            },
            Kind::Storm => Wishes { start_within: Duration::from_secs(1), ..mixed },
        }
    }

    /// Runs it.
    pub fn run(&self) -> Outcome {
        let mut net = self.build();
        self.run_with(&mut net, |_| {})
    }

    /// Runs a network that [`build`](Self::build) has made, and calls `progress` after every virtual second.
    pub fn run_with(&self, net: &mut Network<Traffic>, mut progress: impl FnMut(&Network<Traffic>)) -> Outcome {
        let start = net.now();
        let mut result = Ok(());
        while result.is_ok() && net.now().since(start) < self.time {
            let left = self.time - net.now().since(start);
            result = net.run_for(left.min(Duration::from_secs(1)));
            progress(net);
        }
        let result = result.and_then(|()| net.settle(self.settle_within));
        Outcome {
            scenario: self.clone(),
            violation: result.err(),
            counts: net.counts(),
            digest: net.digest(),
            time: net.now().since(start),
        }
    }
}

/// Limits that are reached every few seconds.
fn narrow(limits: &mut sanswarm::SwarmLimits, rng: &mut Rng) {
    limits.established = 3 + rng.index(4);
    limits.established_per_peer = 2;
    limits.pending_outbound = 1 + rng.index(3);
    limits.pending_inbound = 2 + rng.index(3);
    limits.idle = Some(Duration::from_secs(2) + rng.time(Duration::from_secs(4)));
    limits.surplus = Duration::from_secs(1) + rng.time(Duration::from_secs(3));
    (limits.high_water, limits.low_water) = (limits.established - 1, limits.established - 2);
    limits.trim_grace = Duration::from_secs(2);
}

impl fmt::Display for Scenario {
    /// The arguments of the command that repeats it: `sanswarm sim …`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let usual = Self::new(self.kind, self.seed);
        write!(f, "--scenario {} --seed {}", self.kind.name(), self.seed)?;
        if self.nodes != usual.nodes {
            write!(f, " --nodes {}", self.nodes)?;
        }
        if self.degree != usual.degree {
            write!(f, " --degree {}", self.degree)?;
        }
        if self.time != usual.time {
            write!(f, " --for {}", self.time.as_secs_f64())?;
        }
        if self.faults != self.usual_faults() {
            write!(f, " --faults {}", self.faults)?;
        }
        if self.link.latency != usual.link.latency {
            write!(f, " --latency {}", self.link.latency.as_secs_f64() * 1e3)?;
        }
        if self.link.lost_per_million != usual.link.lost_per_million {
            write!(f, " --loss {}", f64::from(self.link.lost_per_million) / 1e4)?;
        }
        if let Some(only) = &self.only {
            let numbers: Vec<_> = only.iter().map(usize::to_string).collect();
            write!(f, " --only {}", if numbers.is_empty() { "none".to_owned() } else { numbers.join(",") })?;
        }
        Ok(())
    }
}
