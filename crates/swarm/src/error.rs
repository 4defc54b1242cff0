//! Why something was refused, closed, or could not be connected.

use core::{fmt, time::Duration};

use libp2p_identity::PeerId;

/// What the operating system said to a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TransportError {
    /// Nobody listens there.
    Refused,
    /// There is no route to the host or its network.
    Unreachable,
    /// The peer ended it while it was connecting.
    Reset,
    /// The system gave up.
    TimedOut,
    /// The name has no address.
    NotFound,
    /// A firewall, or a port for which one needs a right.
    PermissionDenied,
    /// Somebody listens there already.
    AddressInUse,
    /// The host has no such address.
    AddressNotAvailable,
    /// The process or the system has no file descriptor left.
    NoDescriptors,
    /// The name service failed: it cannot be reached, or would not say.
    NameService,
    /// What lies between the socket and the connection (WebSocket, or the TLS below it) did not come about, and why.
    Handshake(&'static str),
    /// The driver cannot do this address.
    Unsupported,
    /// Something else, as the system numbers it.
    Other(i32),
}

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused => write!(f, "connection refused"),
            Self::Unreachable => write!(f, "host or network unreachable"),
            Self::Reset => write!(f, "connection reset"),
            Self::TimedOut => write!(f, "the system's connect timed out"),
            Self::NotFound => write!(f, "the name was not resolved"),
            Self::PermissionDenied => write!(f, "permission denied"),
            Self::AddressInUse => write!(f, "address in use"),
            Self::AddressNotAvailable => write!(f, "address not available on this host"),
            Self::NoDescriptors => write!(f, "no file descriptor left"),
            Self::NameService => write!(f, "the name service failed"),
            Self::Handshake(why) => f.write_str(why),
            Self::Unsupported => write!(f, "the driver does not support this address"),
            Self::Other(code) => write!(f, "system error {code}"),
        }
    }
}

impl core::error::Error for TransportError {}

/// Why a connection may not stay. The caller closes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Denied {
    /// A limit is reached.
    Limit {
        /// The field of [`Limits`](crate::Limits).
        name: &'static str,
        /// Its value.
        value: usize,
    },
    /// Another peer answered than the one dialled.
    WrongPeer {
        /// The peer that was dialled.
        expected: PeerId,
    },
    /// The other end is this node.
    Ourselves,
    /// A list keeps the peer or its network out.
    Blocked,
    /// The caller's gate is against it.
    Gate {
        /// What the gate said.
        reason: &'static str,
    },
    /// The swarm is shutting down.
    ShuttingDown,
    /// The swarm has given the connection up already, or never knew it.
    Unknown,
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Limit { name, value } => write!(f, "the limit `{name}` of {value} is reached"),
            Self::WrongPeer { expected } => write!(f, "another peer answered than {expected}"),
            Self::Ourselves => write!(f, "the other end is this node itself"),
            Self::Blocked => write!(f, "kept out by a list"),
            Self::Gate { reason } => write!(f, "refused by the gate: {reason}"),
            Self::ShuttingDown => write!(f, "the node is shutting down"),
            Self::Unknown => write!(f, "the connection was given up already"),
        }
    }
}

impl core::error::Error for Denied {}

/// Why a connection is to be closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CloseReason {
    /// The application asked for it.
    Requested,
    /// Another attempt of its dial was ready first, or its dial ended.
    Abandoned,
    /// It was not ready in time.
    TimedOut,
    /// It may not stay.
    Denied(Denied),
    /// It had no stream for so long.
    Idle {
        /// [`Limits::idle`](crate::Limits::idle).
        after: Duration,
    },
    /// There is a better connection to the same peer.
    Surplus,
    /// There were too many connections, and this one was idle for longest.
    Trimmed {
        /// Down to how many: [`Limits::low_water`](crate::Limits::low_water).
        low_water: usize,
    },
    /// Nothing has come from the peer while it was pinged, twice in a row.
    Silent,
    /// The swarm is shutting down.
    Shutdown,
    /// The swarm is shutting down, and it was still in use when time was up.
    Cut,
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Requested => write!(f, "closed on request"),
            Self::Abandoned => write!(f, "its dial needs it no more"),
            Self::TimedOut => write!(f, "not ready in time"),
            Self::Denied(denied) => denied.fmt(f),
            Self::Idle { after } => write!(f, "idle for {after:?}"),
            Self::Surplus => write!(f, "there is a better connection to this peer"),
            Self::Trimmed { low_water } => write!(f, "too many connections: trimmed down to {low_water}"),
            Self::Silent => write!(f, "the peer is silent"),
            Self::Shutdown => write!(f, "the node is shutting down"),
            Self::Cut => write!(f, "the node is shutting down, and time is up"),
        }
    }
}

/// Why the swarm does not even try to listen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ListenError {
    /// No transport has addresses of this shape.
    NoTransport,
    /// The swarm listens there, or tries to.
    Duplicate,
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

impl fmt::Display for ListenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoTransport => write!(f, "no transport listens on such an address"),
            Self::ShuttingDown => write!(f, "the node is shutting down"),
            Self::Duplicate => write!(f, "this address is listened on already"),
            Self::Limit { name, value } => write!(f, "the limit `{name}` of {value} is reached"),
        }
    }
}

impl core::error::Error for ListenError {}
