//! What can go wrong outside the machines.

use core::fmt;

use sanswarm::{SigningError, TransportError};

/// Why a node could not start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StartError {
    /// The identity cannot sign.
    Signing(SigningError),
    /// The system gives no randomness.
    Randomness,
    /// The system gives no thread, or no poller.
    System(TransportError),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Signing(error) => error.fmt(f),
            Self::Randomness => f.write_str("the system gives no randomness"),
            Self::System(error) => write!(f, "the node could not start: {error}"),
        }
    }
}

impl core::error::Error for StartError {}

/// Why an address is not listened on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ListenError {
    /// It was not even tried.
    Denied(sanswarm::ListenError),
    /// What the system said.
    System(TransportError),
    /// The node has been shut down.
    Ended,
}

impl fmt::Display for ListenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Denied(error) => error.fmt(f),
            Self::System(error) => error.fmt(f),
            Self::Ended => f.write_str("the node has been shut down"),
        }
    }
}

impl core::error::Error for ListenError {}
