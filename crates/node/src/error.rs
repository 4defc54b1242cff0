//! Failures, as reports.

use core::{fmt, time::Duration};

use libp2p_identity::PeerId;
use multiaddr::Multiaddr;
use sanswarm_connection as connection;
use sanswarm_swarm::{AttemptFailure, DialError, Reached};

use crate::{CloseReason, Protocols, Refusal};

/// Why a stream could not be had.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OpenStreamError {
    /// The peer could not be reached.
    Dial(DialReport),
    /// The peer does not speak the protocol.
    Refused(Refusal),
    /// By [`Open::KnownOnly`](crate::Open::KnownOnly): identify lists none of the names.
    NotListed {
        /// What would have been offered.
        offered: Protocols,
        /// Whether identify is done. If not, too many requests wait for it.
        told: bool,
    },
    /// A limit, or a connection that takes no new streams.
    Open(connection::OpenError),
    /// The connection ended before the stream was agreed on.
    Closed(Result<CloseReason, connection::Error>),
}

impl OpenStreamError {
    /// A name for machines that stays the same over versions. `docs/errors.md` lists them.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Dial(report) => report.code(),
            Self::Refused(refusal) => refusal.code(),
            Self::NotListed { .. } => "not-listed",
            Self::Open(_) => "open",
            Self::Closed(Err(error)) => error.code(),
            Self::Closed(Ok(_)) => "closed",
        }
    }
}

impl fmt::Display for OpenStreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dial(report) => report.fmt(f),
            Self::Refused(refusal) => write!(f, "stream: {refusal}"),
            Self::NotListed { offered, told: true } => {
                write!(f, "stream: the peer lists none of {:?}", offered.as_slice())
            }
            Self::NotListed { .. } => f.write_str("stream: too many requests wait for what the peer lists"),
            Self::Open(error) => write!(f, "stream: {error}"),
            Self::Closed(Ok(reason)) => write!(f, "stream: {reason}"),
            Self::Closed(Err(error)) => error.fmt(f),
        }
    }
}

impl core::error::Error for OpenStreamError {}

/// Everything that was tried to reach a peer, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DialReport {
    /// Whom it was for.
    pub peer: Option<PeerId>,
    /// How the dial ended as a whole.
    pub cause: DialError,
    /// Each address, in the order in which they ended.
    pub attempts: Vec<Attempt>,
}

/// One address of a dial.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// The address.
    pub address: Multiaddr,
    /// What happened.
    pub cause: AttemptCause,
    /// How far it came before there was a connection that could say so.
    pub reached: Reached,
    /// From its start to its end.
    pub elapsed: Duration,
}

/// What happened to one address of a dial.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AttemptCause {
    /// It ended before there was a connection to negotiate on, or by a rule of ours.
    Dial(AttemptFailure),
    /// It was connected, and this ended it.
    Connection(connection::Error),
}

impl Attempt {
    /// How far it came: `resolve`, `connect`, `security`, `handshake`, `muxer`, `streams`; `upgrade` is one of the three
    /// before `streams`, where the attempt was given up from outside.
    pub fn stage(&self) -> &'static str {
        match &self.cause {
            AttemptCause::Dial(AttemptFailure::WrongPeer { .. } | AttemptFailure::Ourselves) => "handshake",
            AttemptCause::Dial(_) => match self.reached {
                Reached::Resolve => "resolve",
                Reached::Connect => "connect",
                Reached::Upgrade => "upgrade",
            },
            AttemptCause::Connection(error) => match error.stage() {
                connection::Stage::Security => "security",
                connection::Stage::Handshake => "handshake",
                connection::Stage::Muxer => "muxer",
                connection::Stage::Streams => "streams",
            },
        }
    }

    /// A name of the cause for machines.
    pub fn code(&self) -> &'static str {
        match &self.cause {
            AttemptCause::Connection(error) => error.code(),
            AttemptCause::Dial(AttemptFailure::Resolve(_)) => "resolve",
            AttemptCause::Dial(AttemptFailure::Transport(_)) => "connect",
            AttemptCause::Dial(AttemptFailure::WrongPeer { .. } | AttemptFailure::WrongPeerInAddress { .. }) => {
                "wrong-peer"
            }
            AttemptCause::Dial(AttemptFailure::TimedOut) => "timeout",
            AttemptCause::Dial(AttemptFailure::NoTransport) => "no-transport",
            AttemptCause::Dial(AttemptFailure::Unroutable { .. }) => "unroutable",
            AttemptCause::Dial(AttemptFailure::BackOff { .. }) => "back-off",
            AttemptCause::Dial(AttemptFailure::BlackHole) => "black-hole",
            AttemptCause::Dial(AttemptFailure::LeftOut) => "left-out",
            AttemptCause::Dial(AttemptFailure::Blocked) => "blocked",
            AttemptCause::Dial(AttemptFailure::Gate { .. }) => "gate",
            AttemptCause::Dial(AttemptFailure::Limit { .. }) => "limit",
            AttemptCause::Dial(AttemptFailure::Ourselves) => "ourselves",
            AttemptCause::Dial(AttemptFailure::Upgrade) => "upgrade",
            AttemptCause::Dial(_) => "abandoned",
        }
    }
}

impl DialReport {
    /// The code of the only attempt, or of the dial as a whole.
    pub fn code(&self) -> &'static str {
        match (&self.cause, &self.attempts[..]) {
            (DialError::AllFailed, [attempt]) => attempt.code(),
            (DialError::AllFailed, _) => "all-failed",
            (DialError::NoAddresses, _) => "no-addresses",
            (DialError::Ourselves, _) => "ourselves",
            (DialError::TimedOut { .. }, _) => "timeout",
            (DialError::Cancelled, _) => "cancelled",
            (DialError::BackOff { .. }, _) => "back-off",
            (DialError::Blocked, _) => "blocked",
            (DialError::ShuttingDown, _) => "shutting-down",
            _ => "limit",
        }
    }
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.address)?;
        match &self.cause {
            AttemptCause::Dial(failure) => write!(f, "{}: {failure}", self.stage())?,
            AttemptCause::Connection(error) => error.fmt(f)?,
        }
        write!(f, " (after {:.1} ms)", self.elapsed.as_secs_f64() * 1e3)
    }
}

impl fmt::Display for DialReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.peer {
            Some(peer) => write!(f, "could not reach {peer}")?,
            None => f.write_str("could not reach the peer")?,
        }
        if self.cause != DialError::AllFailed {
            write!(f, ": {}", self.cause)?;
        }
        for (i, attempt) in self.attempts.iter().enumerate() {
            write!(f, "{} {attempt}", if i == 0 { ":" } else { ";" })?;
        }
        Ok(())
    }
}

impl core::error::Error for DialReport {}
