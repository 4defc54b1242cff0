//! A dial, the plan that it follows, and its report.

use core::{fmt, time::Duration};
use std::collections::{BTreeSet, VecDeque};

use libp2p_identity::PeerId;
use multiaddr::Multiaddr;
use sanswarm_wire::{Instant, Key};

use crate::{ConnId, Denied, Prospect, Reach, Security, TransportError};

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
    /// The peer could not be reached shortly before, and no address is given that was not tried then.
    BackOff {
        /// How long it rests.
        left: Duration,
    },
    /// The peer is on the list of those who are kept out, or not on that of those who may come in.
    Blocked,
    /// The swarm is shutting down.
    ShuttingDown,
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
            Self::Blocked => write!(f, "the peer is kept out by a list"),
            Self::ShuttingDown => write!(f, "the node is shutting down"),
            Self::BackOff { left } => write!(f, "it failed shortly before and rests for {left:.1?}"),
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
    /// How far it came.
    pub reached: Reached,
    /// How long it was tried.
    pub elapsed: Duration,
}

/// How far one address of a dial came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reached {
    /// Its name was asked for.
    Resolve,
    /// Its socket was to be connected, or it was not tried.
    Connect,
    /// It had a socket, and security and muxer were negotiated there.
    Upgrade,
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
    /// The name in the address was not resolved. [`TransportError::NotFound`]: it has no address, or none of this peer.
    Resolve(TransportError),
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
    /// No host can have this address; or it is a private one, and this host is on no private network. It was not tried.
    Unroutable {
        /// From where it could be reached.
        reach: Reach,
    },
    /// It failed shortly before. It was not tried.
    BackOff {
        /// How long it rests.
        left: Duration,
        /// How often it has failed in a row.
        failures: u32,
    },
    /// Nobody ever answers over this transport from here, and there are other addresses. It was not tried.
    BlackHole,
    /// The caller's ranker left it out. It was not tried.
    LeftOut,
    /// A list keeps the peer or its network out.
    Blocked,
    /// The caller's gate is against it.
    Gate {
        /// What the gate said.
        reason: &'static str,
    },
    /// A limit is reached. Where it is `addresses_per_dial`, this address and those behind it were not tried.
    Limit {
        /// The field of [`Limits`](crate::Limits).
        name: &'static str,
        /// Its value.
        value: usize,
    },
}

impl AttemptFailure {
    /// Whether it is a fault of the address or of the peer, and not of ours.
    pub(crate) const fn is_fault(self) -> bool {
        match self {
            Self::Transport(error) | Self::Resolve(error) => !matches!(
                error,
                TransportError::NoDescriptors
                    | TransportError::PermissionDenied
                    | TransportError::NameService
                    | TransportError::Unsupported
            ),
            Self::Upgrade | Self::WrongPeer { .. } | Self::Ourselves | Self::TimedOut => true,
            _ => false,
        }
    }

    /// The failure of an attempt that `got` answered.
    pub(crate) const fn denied(denied: Denied, got: PeerId) -> Self {
        match denied {
            Denied::Limit { name, value } => Self::Limit { name, value },
            Denied::WrongPeer { expected } => Self::WrongPeer { expected, got },
            Denied::Ourselves => Self::Ourselves,
            Denied::Blocked => Self::Blocked,
            Denied::Gate { reason } => Self::Gate { reason },
            Denied::Unknown | Denied::ShuttingDown => Self::Abandoned,
        }
    }
}

impl fmt::Display for AttemptFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Resolve(TransportError::TimedOut) => write!(f, "the name service did not answer"),
            Self::Transport(error) | Self::Resolve(error) => error.fmt(f),
            Self::Upgrade => write!(f, "the upgrade failed"),
            Self::WrongPeer { expected, got } => write!(f, "peer {got} answered instead of {expected}"),
            Self::WrongPeerInAddress { expected, got } => write!(f, "the address is of peer {got}, not of {expected}"),
            Self::Ourselves => write!(f, "this node itself answered"),
            Self::TimedOut => write!(f, "no answer in time"),
            Self::Abandoned => write!(f, "the dial ended first"),
            Self::NoTransport => write!(f, "no transport for such an address"),
            Self::Unroutable { reach: Reach::Private } => {
                write!(f, "a private address, and this host is on no private network")
            }
            Self::Unroutable { .. } => write!(f, "no host can be reached at such an address"),
            Self::BackOff { left, failures } => {
                write!(f, "failed {failures} times in a row and rests for {left:.1?}")
            }
            Self::BlackHole => write!(f, "nobody ever answers over this transport from here"),
            Self::LeftOut => write!(f, "left out by the ranker"),
            Self::Blocked => write!(f, "kept out by a list"),
            Self::Gate { reason } => write!(f, "refused by the gate: {reason}"),
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

/// An address that is to be tried.
#[derive(Debug)]
pub(crate) struct Untried {
    pub(crate) prospect: Prospect,
    pub(crate) security: Security,
    /// Who must be there.
    pub(crate) expected: Option<PeerId>,
    /// How long after the start of the one before.
    pub(crate) gap: Duration,
    /// It goes where nobody ever answers, to see whether somebody does now.
    pub(crate) probes: bool,
}

/// The attempts that dials to one peer share.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) peer: Option<PeerId>,
    pub(crate) dials: BTreeSet<Key>,
    /// All addresses so far, to know repetitions.
    pub(crate) seen: BTreeSet<Multiaddr>,
    /// Addresses to be tried, in order.
    pub(crate) untried: VecDeque<Untried>,
    /// Questions to the name service that have no answer yet.
    pub(crate) resolving: Vec<Key>,
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
            resolving: Vec::new(),
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
        let (reached, elapsed) = (Reached::Connect, Duration::ZERO);
        self.attempts.push(Attempt { conn: None, address, failure, reached, elapsed });
    }
}
