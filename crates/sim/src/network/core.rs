//! What all hosts of a network share.

use core::{fmt, time::Duration};
use std::collections::{BTreeMap, BTreeSet};

use sanswarm::{ConnId, Instant, Keypair, Multiaddr, OpenId, PeerId, PeerInfo, ProtocolName};

use super::{HostId, connect, faults};
use crate::{Digest, Fault, Link, Record, Rng, Sockets, Violation, desk::PipeKey, pipe::Side};

/// Counts of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Entries of the agenda that were handled.
    pub events: u64,
    /// Connections that were ready at both ends or at one.
    pub connections: u64,
    /// Streams that a node has opened for an application.
    pub streams: u64,
    /// Bytes that applications have written.
    pub bytes: u64,
    /// Bytes that sockets have taken.
    pub wire_bytes: u64,
    /// Pings that were answered.
    pub pings: u64,
    /// Faults that were injected.
    pub faults: u64,
    /// Requests that failed, for a cause.
    pub failed: u64,
}

/// Hears of everything that happens: when, at which host, and what.
pub type Trace = fn(Instant, HostId, &dyn fmt::Display);

/// What is on the agenda.
#[derive(Debug)]
pub(crate) enum Due {
    /// The first segment of a flow arrives.
    Arrive(PipeKey, Side),
    /// A blocked writer hears of room.
    Room(PipeKey, Side),
    /// A writer's system has waited long enough for an answer.
    GiveUp(PipeKey, Side),
    Syn(Box<connect::Syn>),
    DialFailed {
        host: usize,
        epoch: u32,
        conn: ConnId,
        cause: sanswarm::TransportError,
    },
    /// The dialer hears that it is connected.
    Established(PipeKey, u32, ConnId),
    /// The listener hears that it is.
    Accept(PipeKey),
    Timer(usize),
    App {
        host: usize,
        epoch: u32,
        timer: u64,
    },
    Fault(Box<Fault>),
    /// A fault that lasted is over.
    End(faults::Ended),
    /// Do both ends of a pipe agree?
    Check(PipeKey),
    /// Was a request answered?
    Request {
        host: usize,
        epoch: u32,
        request: OpenId,
    },
    /// Was the socket closed in time after it was shut down?
    Shut {
        host: usize,
        epoch: u32,
        conn: ConnId,
    },
    HostileDial {
        host: usize,
        target: usize,
    },
}

/// What all hosts share.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) now: Instant,
    pub(crate) agenda: crate::agenda::Agenda<Due>,
    pub(crate) rng: Rng,
    pub(crate) digest: Digest,
    pub(crate) sockets: Sockets,
    pub(crate) link: Link,
    pub(crate) links: BTreeMap<(usize, usize), Link>,
    /// Who has which identity and address.
    pub(crate) directory: Vec<PeerInfo>,
    pub(crate) peers: BTreeMap<PeerId, usize>,
    /// Who listens where.
    pub(crate) places: BTreeMap<Multiaddr, usize>,
    pub(crate) cuts: Vec<faults::Cut>,
    pub(crate) counts: Counts,
    pub(crate) record: Record,
    pub(crate) violation: Option<Violation>,
    /// What the application of each host handles, and has not ceased to.
    pub(crate) speaks: Vec<BTreeSet<ProtocolName>>,
    /// What of one direction of a stream may be under way and unread.
    pub(crate) pending_bytes_max: usize,
    /// Faults have stopped.
    pub(crate) is_settling: bool,
    pub(crate) trace: Option<Trace>,
    pub(crate) serial: u64,
    pub(crate) next_cut: u64,
}

/// An Ed25519 identity that `rng` decides.
pub(crate) fn keypair(rng: &mut Rng) -> Keypair {
    loop {
        if let Ok(keypair) = Keypair::ed25519_from_bytes(rng.bytes32()) {
            return keypair;
        }
    }
}

impl Core {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            now: Instant::from_micros(1_000_000),
            agenda: crate::agenda::Agenda::new(),
            rng: Rng::new(seed),
            digest: Digest::new(seed),
            sockets: Sockets::default(),
            link: Link::default(),
            links: BTreeMap::new(),
            directory: Vec::new(),
            peers: BTreeMap::new(),
            places: BTreeMap::new(),
            cuts: Vec::new(),
            counts: Counts::default(),
            record: Record::default(),
            violation: None,
            speaks: Vec::new(),
            pending_bytes_max: 0,
            is_settling: false,
            trace: None,
            serial: 0,
            next_cut: 0,
        }
    }

    /// Whether the links between two hosts explain whatever comes late.
    pub(crate) fn is_bad(&self, a: usize, b: usize) -> bool {
        self.link(a, b).is_bad() || self.link(b, a).is_bad()
    }

    pub(crate) fn trace(&self, host: usize, text: impl FnOnce() -> String) {
        if let Some(trace) = self.trace {
            trace(self.now, HostId::new(host), &text());
        }
    }

    pub(crate) fn link(&self, from: usize, to: usize) -> Link {
        if self.links.is_empty() { self.link } else { *self.links.get(&(from, to)).unwrap_or(&self.link) }
    }

    /// A time on the way from one host to another.
    pub(crate) fn way(&mut self, from: usize, to: usize) -> Duration {
        let link = self.link(from, to);
        link.latency + self.rng.time(link.jitter)
    }
}
