//! What a swarm has done, as numbers.

use sanswarm_wire::Role;

use crate::{AttemptFailure, Denied, DialError, Swarm, connection::Pending};

/// What a swarm has done since its start, and what it has now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Sockets of a listener's that were taken in. Each becomes one of `accept_failed` or of `established_inbound`.
    pub accepted: u64,
    /// Accepted connections that ended before they were ready, or that may not stay.
    pub accept_failed: u64,
    /// Accepted connections that became ready.
    pub established_inbound: u64,
    /// Dialled connections that became ready.
    pub established_outbound: u64,
    /// Connections that were ready and have closed.
    pub closed: u64,
    /// Sockets that were not taken in, and ready connections that may not stay, by cause.
    pub denied: DeniedCounters,
    /// What was asked for, by how it was answered.
    pub dials: DialCounters,
    /// Addresses that were tried for it, by how that ended.
    pub attempts: AttemptCounters,
    /// Connections now: ready or closing.
    pub open: u64,
    /// Accepted connections now that are not ready.
    pub pending_inbound: u64,
    /// Dialled connections now that are not ready.
    pub pending_outbound: u64,
}

/// Connections that were denied, by [cause](Denied).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeniedCounters {
    /// A limit.
    pub limit: u64,
    /// Another peer answered than the one dialled.
    pub wrong_peer: u64,
    /// The other end was this node.
    pub ourselves: u64,
    /// A list.
    pub blocked: u64,
    /// The caller's gate.
    pub gate: u64,
    /// The swarm was shutting down.
    pub shutting_down: u64,
}

/// Calls of [`Swarm::dial`] by their answer. What is left of `asked` has none yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DialCounters {
    /// All calls.
    pub asked: u64,
    /// Answered by a connection that was there.
    pub reused: u64,
    /// Answered by a new connection.
    pub succeeded: u64,
    /// Every attempt failed.
    pub failed: u64,
    /// No connection within [`Limits::dial`](crate::Limits::dial).
    pub timed_out: u64,
    /// Given up by the caller, or since the swarm shuts down.
    pub cancelled: u64,
    /// Answered without an attempt: no address, a rest after a failure, a list, a limit, ourselves, a shutdown.
    pub refused: u64,
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
    /// A socket, and then security or muxer failed or took too long.
    pub upgrade: u64,
    /// Ready, but may not stay.
    pub denied: u64,
    /// Given up, mostly since another attempt was ready first.
    pub abandoned: u64,
}

impl DeniedCounters {
    pub(crate) const fn note(&mut self, denied: Denied) {
        match denied {
            Denied::Limit { .. } => self.limit += 1,
            Denied::WrongPeer { .. } => self.wrong_peer += 1,
            Denied::Ourselves => self.ourselves += 1,
            Denied::Blocked => self.blocked += 1,
            Denied::Gate { .. } => self.gate += 1,
            Denied::ShuttingDown => self.shutting_down += 1,
            // It was counted when it was given up.
            Denied::Unknown => {}
        }
    }

    /// All causes together.
    pub const fn sum(&self) -> u64 {
        self.limit + self.wrong_peer + self.ourselves + self.blocked + self.gate + self.shutting_down
    }
}

impl DialCounters {
    /// Those that no plan answers.
    pub(crate) const fn note(&mut self, cause: DialError) {
        match cause {
            DialError::AllFailed => self.failed += 1,
            DialError::TimedOut { .. } => self.timed_out += 1,
            DialError::Cancelled | DialError::ShuttingDown => self.cancelled += 1,
            _ => self.refused += 1,
        }
    }

    /// How many have no answer yet.
    pub const fn pending(&self) -> u64 {
        let answered = self.reused + self.succeeded + self.failed + self.timed_out + self.cancelled + self.refused;
        self.asked.saturating_sub(answered)
    }
}

impl Counters {
    pub(crate) const fn established(&mut self, role: Role) {
        if role.is_dialer() {
            self.established_outbound += 1;
            self.attempts.succeeded += 1;
        } else {
            self.established_inbound += 1;
        }
    }

    /// A connection has ended before it was ready.
    pub(crate) const fn pending_gone(&mut self, pending: &Pending, failure: AttemptFailure) {
        if !pending.role.is_dialer() {
            self.accept_failed += 1;
            return;
        }
        let attempts = &mut self.attempts;
        let count = match failure {
            AttemptFailure::Abandoned => &mut attempts.abandoned,
            AttemptFailure::WrongPeer { .. }
            | AttemptFailure::Ourselves
            | AttemptFailure::Limit { .. }
            | AttemptFailure::Blocked
            | AttemptFailure::Gate { .. } => &mut attempts.denied,
            _ if pending.connected => &mut attempts.upgrade,
            _ => &mut attempts.connect,
        };
        *count += 1;
    }
}

impl Swarm {
    /// What the swarm has done, and what it has now.
    pub const fn counters(&self) -> Counters {
        let (open, pending_inbound) = (self.established as u64, self.pending_inbound as u64);
        Counters { open, pending_inbound, pending_outbound: self.pending_outbound as u64, ..self.counters }
    }
}
