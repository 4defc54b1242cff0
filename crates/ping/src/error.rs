//! How a ping fails.

use core::{fmt, time::Duration};

/// Why the stream is of no more use. Each is the peer's fault, or the network's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The echo differs from what was sent.
    Mismatch {
        /// The first byte that differs, from 0.
        at: usize,
    },
    /// Bytes came while no echo was owed.
    Unsolicited,
    /// The whole echo did not come in time.
    Timeout {
        /// The time since the ping was started.
        elapsed: Duration,
        /// [`Config::timeout`](crate::Config::timeout).
        limit: Duration,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mismatch { at } => write!(f, "the echo of a ping differs in byte {at}"),
            Self::Unsolicited => write!(f, "bytes on a ping stream while no echo was owed"),
            Self::Timeout { elapsed, limit } => write!(f, "no echo after {elapsed:?} (limit {limit:?})"),
        }
    }
}

impl core::error::Error for Error {}
