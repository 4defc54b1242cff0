//! What a node has done, as numbers, and how those of its links come together.

use core::{num::NonZeroU8, time::Duration};
use std::collections::BTreeMap;

use sanswarm_connection::{self as connection, LabelCounters, RoundTrips, Stage, StreamCounters};
use sanswarm_multistream::ProtocolName;
use sanswarm_swarm::{self as swarm, CloseReason as CloseRule, DeniedCounters, DialCounters};

use crate::CloseReason;

/// Protocols of which streams and bytes are counted apart. Only those are that this node has set a handler for by name, or has
/// opened a stream for: a stranger adds none. All others are counted together.
const PROTOCOLS_MAX: usize = 127;

/// What a node has done since its start, and what it has now. Numbers only grow, but for those that say "now".
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Connections.
    pub connections: ConnectionCounters,
    /// Requests for a connection, by their answer.
    pub dials: DialCounters,
    /// Addresses that were tried for these, by how far they came.
    pub attempts: AttemptCounters,
    /// Streams of all protocols, those of ping and identify too.
    pub streams: StreamCounters,
    /// Pings of ours.
    pub pings: PingCounters,
    /// Streams and payload by protocol. The first has no name: it is all that have no entry of their own.
    pub protocols: Vec<ProtocolCounters>,
}

/// Counts of connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConnectionCounters {
    /// Now: ready or closing.
    pub open: u64,
    /// Now: accepted and not ready.
    pub pending_inbound: u64,
    /// Now: dialled and not ready.
    pub pending_outbound: u64,
    /// Sockets of listeners that were taken in.
    pub accepted: u64,
    /// Of these, those that never became ready, by how far they came.
    pub accept_failed: StageCounters,
    /// Of these, those that became ready.
    pub established_inbound: u64,
    /// Dialled connections that became ready.
    pub established_outbound: u64,
    /// Sockets that were not taken in, and connections that may not stay, by cause.
    pub denied: DeniedCounters,
    /// Connections that were ready and are no more, by cause.
    pub ended: EndedCounters,
    /// Round trips from the first byte until a connection was ready, as each end sees them.
    pub round_trips: RoundTrips,
}

/// Connections that failed between socket and ready, by stage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StageCounters {
    /// While the security protocol was negotiated.
    pub security: u64,
    /// In the security handshake.
    pub handshake: u64,
    /// While the muxer was negotiated.
    pub muxer: u64,
    /// Ended from outside, by a rule or a timeout of the swarm; or it was not let in.
    pub other: u64,
}

/// Connections that were ready and have ended, by cause.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct EndedCounters {
    /// The application asked for it.
    pub requested: u64,
    /// By the rule of idle ones.
    pub idle: u64,
    /// There was a better one to the same peer.
    pub surplus: u64,
    /// There were too many.
    pub trimmed: u64,
    /// The peer was blocked, or not among those that are allowed.
    pub blocked: u64,
    /// Nothing had come from the peer while it was pinged, twice in a row.
    pub silent: u64,
    /// The node was shutting down.
    pub shutdown: u64,
    /// The node was shutting down, and it was still in use when time was up.
    pub cut: u64,
    /// The peer closed it in good order.
    pub peer: u64,
    /// It broke, or somebody broke its rules.
    pub error: u64,
}

/// Attempts at one address each, by their end. What is left of `begun` is `pending_outbound`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct AttemptCounters {
    /// Sockets that were asked for.
    pub begun: u64,
    /// Became ready.
    pub succeeded: u64,
    /// Names that were not resolved. No socket was asked for, so they are none of `begun`.
    pub resolve: u64,
    /// No socket.
    pub connect: u64,
    /// A socket, and then nothing of it, by stage.
    pub upgrade: StageCounters,
    /// Ready, but may not stay.
    pub denied: u64,
    /// Given up, mostly since another attempt was ready first.
    pub abandoned: u64,
}

/// Counts of pings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PingCounters {
    /// Were answered.
    pub answered: u64,
    /// Had no answer in time, or a wrong one, or the peer does not speak ping. Not those whose connection ended first.
    pub failed: u64,
    /// Microseconds that all answers took together.
    pub micros: u64,
    /// Microseconds that the last answer took.
    pub last_micros: u64,
}

/// Streams of one protocol, and their payload.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProtocolCounters {
    /// The protocol; `None` is all that have no entry of their own.
    pub name: Option<ProtocolName>,
    /// Streams of ours that were agreed on.
    pub opened: u64,
    /// Streams of peers that were agreed on.
    pub accepted: u64,
    /// Bytes of payload that arrived, read or not.
    pub bytes_in: u64,
    /// Bytes of payload that were taken to be sent.
    pub bytes_out: u64,
}

impl StageCounters {
    const fn note(&mut self, stage: Stage) {
        match stage {
            Stage::Security => self.security += 1,
            Stage::Handshake => self.handshake += 1,
            Stage::Muxer => self.muxer += 1,
            Stage::Streams => self.other += 1,
        }
    }

    /// All stages together.
    pub const fn sum(&self) -> u64 {
        self.security + self.handshake + self.muxer + self.other
    }

    /// The same with the rest of `all` in `other`.
    const fn of(self, all: u64) -> Self {
        let known = self.security + self.handshake + self.muxer;
        Self { other: all.saturating_sub(known), ..self }
    }
}

impl EndedCounters {
    pub(crate) fn note(&mut self, rule: Option<CloseRule>, reason: &Result<CloseReason, connection::Error>) {
        let count = match (rule, reason) {
            (Some(CloseRule::Idle { .. }), _) => &mut self.idle,
            (Some(CloseRule::Surplus), _) => &mut self.surplus,
            (Some(CloseRule::Trimmed { .. }), _) => &mut self.trimmed,
            (Some(CloseRule::Denied(_)), _) => &mut self.blocked,
            (Some(CloseRule::Silent), _) => &mut self.silent,
            (Some(CloseRule::Shutdown), _) => &mut self.shutdown,
            (Some(CloseRule::Cut), _) => &mut self.cut,
            (Some(_), _) | (None, Ok(CloseReason::Local)) => &mut self.requested,
            (None, Ok(CloseReason::Remote(_))) => &mut self.peer,
            (None, Err(_)) => &mut self.error,
        };
        *count += 1;
    }

    /// All causes together.
    pub const fn sum(&self) -> u64 {
        let ours = self.requested + self.idle + self.surplus + self.trimmed + self.blocked + self.shutdown + self.cut;
        ours + self.silent + self.peer + self.error
    }
}

impl PingCounters {
    pub(crate) const fn answered(&mut self, rtt: Duration) {
        self.answered += 1;
        self.last_micros = rtt.as_micros() as u64;
        self.micros = self.micros.saturating_add(self.last_micros);
    }
}

impl ProtocolCounters {
    fn add(&mut self, more: &Self) {
        self.opened += more.opened;
        self.accepted += more.accepted;
        self.bytes_in += more.bytes_in;
        self.bytes_out += more.bytes_out;
    }
}

impl Counters {
    /// Adds what a link has counted and not told yet. An entry of a protocol that is not here comes behind the others.
    pub fn add(&mut self, link: &LinkCounters) {
        self.streams.add(&link.streams);
        for more in &link.protocols {
            match self.protocols.iter_mut().find(|entry| entry.name == more.name) {
                Some(entry) => entry.add(more),
                None => self.protocols.push(more.clone()),
            }
        }
    }

    /// The entry of a protocol.
    pub fn protocol(&self, name: &ProtocolName) -> Option<&ProtocolCounters> {
        self.protocols.iter().find(|entry| entry.name.as_ref() == Some(name))
    }
}

/// What a link has counted and its control was not told of yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LinkCounters {
    /// Streams of all protocols.
    pub streams: StreamCounters,
    /// Streams and payload by protocol.
    pub protocols: Vec<ProtocolCounters>,
}

impl LinkCounters {
    pub(crate) fn read(counters: &connection::Counters, labels: &Labels) -> Self {
        let is_some = |(_, counters): &(usize, &LabelCounters)| **counters != LabelCounters::default();
        let counted = counters.labels.iter().enumerate().filter(is_some);
        let protocols = counted.map(|(index, counters)| labels.entry(index, counters)).collect();
        Self { streams: counters.streams, protocols }
    }
}

/// The numbers by which links count protocols: 1 for all that have none of their own. Numbers are given once, so that what a
/// link counts by an older table means the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Labels {
    by_name: BTreeMap<ProtocolName, NonZeroU8>,
    /// From number 2 on.
    names: Vec<ProtocolName>,
}

impl Labels {
    pub(crate) fn get(&self, name: &ProtocolName) -> NonZeroU8 {
        self.by_name.get(name).copied().unwrap_or(NonZeroU8::MIN)
    }

    /// Whether a name has no number and could have one.
    pub(crate) fn lacks(&self, name: &ProtocolName) -> bool {
        self.names.len() < PROTOCOLS_MAX && !self.by_name.contains_key(name)
    }

    pub(crate) fn add(&mut self, name: &ProtocolName) {
        if self.lacks(name) {
            let label = NonZeroU8::MIN.saturating_add(self.names.len() as u8 + 1);
            self.by_name.insert(name.clone(), label);
            self.names.push(name.clone());
        }
    }

    /// `index` is the number less one.
    fn entry(&self, index: usize, counters: &LabelCounters) -> ProtocolCounters {
        let name = index.checked_sub(1).and_then(|index| self.names.get(index)).cloned();
        let LabelCounters { opened, accepted, bytes_in, bytes_out } = *counters;
        ProtocolCounters { name, opened, accepted, bytes_in, bytes_out }
    }
}

/// What a control counts beside its swarm, and what its links have told.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) accept_failed: StageCounters,
    pub(crate) upgrade_failed: StageCounters,
    pub(crate) ended: EndedCounters,
    pub(crate) round_trips: RoundTrips,
    pub(crate) pings: PingCounters,
    streams: StreamCounters,
    labels: Vec<LabelCounters>,
}

impl Tally {
    /// A link has told what it has counted.
    pub(crate) fn add(&mut self, told: &connection::Counters) {
        self.streams.add(&told.streams);
        if self.labels.len() < told.labels.len() {
            self.labels.resize(told.labels.len(), LabelCounters::default());
        }
        for (all, more) in self.labels.iter_mut().zip(&told.labels) {
            all.add(more);
        }
    }

    /// A connection whose `stage` had not ended has failed.
    pub(crate) const fn failed(&mut self, accepted: bool, stage: Stage) {
        if accepted { self.accept_failed.note(stage) } else { self.upgrade_failed.note(stage) }
    }

    /// All of a node. Every protocol that has a number is listed, be it used or not.
    pub(crate) fn counters(&self, swarm: &swarm::Counters, labels: &Labels) -> Counters {
        let none = LabelCounters::default();
        let of = |index| self.labels.get(index).unwrap_or(&none);
        let attempts = &swarm.attempts;
        Counters {
            connections: ConnectionCounters {
                open: swarm.open,
                pending_inbound: swarm.pending_inbound,
                pending_outbound: swarm.pending_outbound,
                accepted: swarm.accepted,
                accept_failed: self.accept_failed.of(swarm.accept_failed),
                established_inbound: swarm.established_inbound,
                established_outbound: swarm.established_outbound,
                denied: swarm.denied,
                ended: self.ended,
                round_trips: self.round_trips,
            },
            dials: swarm.dials,
            attempts: AttemptCounters {
                begun: attempts.begun,
                succeeded: attempts.succeeded,
                resolve: attempts.resolve,
                connect: attempts.connect,
                upgrade: self.upgrade_failed.of(attempts.upgrade),
                denied: attempts.denied,
                abandoned: attempts.abandoned,
            },
            streams: self.streams,
            pings: self.pings,
            protocols: (0..=labels.names.len()).map(|index| labels.entry(index, of(index))).collect(),
        }
    }
}
