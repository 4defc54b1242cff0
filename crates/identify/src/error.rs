//! How the reading of a peer's identify stream fails.

use core::fmt;

/// Why a peer's identify stream cannot be read. None of them needs to end the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The stream ended without a message.
    Empty,
    /// The stream ended inside a message.
    Truncated,
    /// A length prefix is no varint of at most 64 bits.
    BadLength,
    /// A message is no protobuf message, or a field has another type than the spec's.
    Malformed,
    /// A length prefix announces more than [`Limits::message`](crate::Limits::message).
    MessageTooLong {
        /// The limit, in bytes.
        limit: usize,
    },
    /// More messages came than [`Limits::messages`](crate::Limits::messages).
    TooManyMessages {
        /// The limit.
        limit: usize,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => write!(f, "the identify stream ended without a message"),
            Self::Truncated => write!(f, "the identify stream ended inside a message"),
            Self::BadLength => write!(f, "the length of an identify message is no varint"),
            Self::Malformed => write!(f, "an identify message is not valid protobuf"),
            Self::MessageTooLong { limit } => write!(f, "an identify message is longer than {limit} bytes"),
            Self::TooManyMessages { limit } => write!(f, "more than {limit} identify messages on one stream"),
        }
    }
}

impl core::error::Error for Error {}
