//! A dial, the plan that it follows, and its report.

use core::{fmt, time::Duration};
use std::collections::{BTreeSet, VecDeque};

use libp2p_identity::PeerId;
use multiaddr::Multiaddr;
use sanswarm_wire::{Instant, Key};

use crate::{ConnId, Denied, Security, TransportError};

/// The name of a dial. Never used again.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DialId(pub(crate) Key);

impl fmt::Debug for DialId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "dial {:?}", self.0)
    }
}

/// How a dial failed as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DialError {
    /// No address was given.
    NoAddresses,
    /// The peer to be dialled is this node.
    Ourselves,
    /// Every attempt failed.
    AllFailed,
    /// It took too long.
    TimedOut {
        /// [`Limits::dial`](crate::Limits::dial).
        limit: Duration,
    },
    /// By [`Swarm::cancel`](crate::Swarm::cancel).
    Cancelled,
    /// A limit is reached.
    Limit {
        /// The field of [`Limits`](crate::Limits).
        name: &'static str,
        /// Its value.
        value: usize,
    },
}

impl fmt::Display for DialError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoAddresses => write!(f, "no address to dial"),
            Self::Ourselves => write!(f, "the peer to dial is this node itself"),
            Self::AllFailed => write!(f, "every attempt failed"),
            Self::TimedOut { limit } => write!(f, "no connection within {limit:?}"),
            Self::Cancelled => write!(f, "cancelled"),
            Self::Limit { name, value } => write!(f, "the limit `{name}` of {value} is reached"),
        }
    }
}

impl core::error::Error for DialError {}

/// What became of one address of a dial.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// The connection that was tried, by which the layer above may know more; stale now. `None` if none was.
    pub conn: Option<ConnId>,
    /// The address, without a trailing `/p2p/…` unless that is what was wrong.
    pub address: Multiaddr,
    /// What went wrong.
    pub failure: AttemptFailure,
    /// How long it was tried.
    pub elapsed: Duration,
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} (after {:?})", self.address, self.failure, self.elapsed)
    }
}

/// What went wrong with one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AttemptFailure {
    /// There is no socket.
    Transport(TransportError),
    /// Security or muxer failed. The layer above knows how, by the attempt's connection.
    Upgrade,
    /// Another peer answered.
    WrongPeer {
        /// The peer that was dialled.
        expected: PeerId,
        /// The peer that the security handshake proved.
        got: PeerId,
    },
    /// The address ends in another peer's id. It was not tried.
    WrongPeerInAddress {
        /// The peer to be dialled.
        expected: PeerId,
        /// The peer in the address.
        got: PeerId,
    },
    /// This node answered.
    Ourselves,
    /// It was not ready in time.
    TimedOut,
    /// The dial ended before the attempt did, or before it began.
    Abandoned,
    /// No transport has addresses of this shape. It was not tried.
    NoTransport,
    /// A limit is reached. Where it is `addresses_per_dial`, this address and those behind it were not tried.
    Limit {
        /// The field of [`Limits`](crate::Limits).
        name: &'static str,
        /// Its value.
        value: usize,
    },
}

impl AttemptFailure {
    /// The failure of an attempt that `got` answered.
    pub(crate) const fn denied(denied: Denied, got: PeerId) -> Self {
        match denied {
            Denied::Limit { name, value } => Self::Limit { name, value },
            Denied::WrongPeer { expected } => Self::WrongPeer { expected, got },
            Denied::Ourselves => Self::Ourselves,
            Denied::Unknown => Self::Abandoned,
        }
    }
}

impl fmt::Display for AttemptFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Transport(error) => error.fmt(f),
            Self::Upgrade => write!(f, "the upgrade failed"),
            Self::WrongPeer { expected, got } => write!(f, "peer {got} answered instead of {expected}"),
            Self::WrongPeerInAddress { expected, got } => write!(f, "the address is of peer {got}, not of {expected}"),
            Self::Ourselves => write!(f, "this node itself answered"),
            Self::TimedOut => write!(f, "not ready in time"),
            Self::Abandoned => write!(f, "the dial ended first"),
            Self::NoTransport => write!(f, "no transport for such an address"),
            Self::Limit { name, value } => write!(f, "the limit `{name}` of {value} is reached"),
        }
    }
}

/// One call of `dial` that has no answer yet.
#[derive(Debug)]
pub(crate) struct Dial {
    pub(crate) plan: Option<Key>,
    pub(crate) deadline: Instant,
}

/// The attempts that dials to one peer share.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) peer: Option<PeerId>,
    pub(crate) dials: BTreeSet<Key>,
    /// All addresses so far, to know repetitions.
    pub(crate) seen: BTreeSet<Multiaddr>,
    /// Addresses to be tried, in order.
    pub(crate) untried: VecDeque<(Multiaddr, Security)>,
    /// Attempts under way, at most `dials_per_peer`.
    pub(crate) active: Vec<Key>,
    pub(crate) attempts: Vec<Attempt>,
    /// When the last attempt began.
    pub(crate) last: Instant,
    /// When the next begins, if none fails before.
    pub(crate) stagger: Option<Instant>,
    /// Its place among the plans that wait for `pending_outbound`.
    pub(crate) turn: Option<u64>,
    /// Whether addresses were left out for `addresses_per_dial`.
    pub(crate) cut: bool,
}

impl Plan {
    pub(crate) const fn new(now: Instant, peer: Option<PeerId>) -> Self {
        Self {
            peer,
            dials: BTreeSet::new(),
            seen: BTreeSet::new(),
            untried: VecDeque::new(),
            active: Vec::new(),
            attempts: Vec::new(),
            last: now,
            stagger: None,
            turn: None,
            cut: false,
        }
    }

    /// Notes an address that was not tried.
    pub(crate) fn skip(&mut self, address: Multiaddr, failure: AttemptFailure) {
        self.attempts.push(Attempt { conn: None, address, failure, elapsed: Duration::ZERO });
    }
}
