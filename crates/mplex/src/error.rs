//! What can go wrong, by fault.

use core::fmt;

/// Why a session has ended. Fatal: once returned it is returned again. The peer broke the protocol in each case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The first varint of a head, id and flag, has more than nine bytes (spec, "Message format").
    HeaderTooLong,
    /// A varint has more bytes than its value needs.
    NotMinimal,
    /// A head has flag 7, which is not specified (spec, "Flag Values"). Whether a body follows nobody knows.
    UnknownFlag {
        /// The id beside it.
        id: u64,
    },
    /// A head announces a longer body than is taken.
    MessageTooLong {
        /// The most that is taken, in bytes: [`Limits::message_bytes`](crate::Limits::message_bytes).
        limit: u32,
    },
    /// The peer opened a stream that is open.
    AlreadyOpen {
        /// The stream's id.
        id: u64,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::HeaderTooLong => f.write_str("the peer sent a head of more than nine bytes"),
            Self::NotMinimal => f.write_str("the peer sent a varint that is not minimal"),
            Self::UnknownFlag { id } => write!(f, "the peer sent flag 7, which does not exist, for stream {id}"),
            Self::MessageTooLong { limit } => write!(f, "the peer announced a message of more than {limit} bytes"),
            Self::AlreadyOpen { id } => write!(f, "the peer opened stream {id}, which is open"),
        }
    }
}

impl core::error::Error for Error {}

/// Why no stream was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OpenError {
    /// All ids of this end have been used: about 2^59 streams.
    Exhausted,
    /// We have [gone away](crate::Session::go_away): open streams go on, new ones are not possible.
    GoingAway,
    /// A limit of ours.
    Limit {
        /// Its name in [`Limits`](crate::Limits).
        name: &'static str,
        /// Its value.
        value: usize,
    },
    /// The session has failed.
    Closed,
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exhausted => f.write_str("all stream ids have been used"),
            Self::GoingAway => f.write_str("the session is going away"),
            Self::Limit { name, value } => write!(f, "our limit {name} is reached: {value}"),
            Self::Closed => f.write_str("the session has failed"),
        }
    }
}

impl core::error::Error for OpenError {}

/// Why nothing was written, and nothing ever will be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WriteError {
    /// The stream is unknown: it was reset, or both ends have finished.
    Unknown,
    /// We have [finished](crate::Session::finish) the stream.
    Finished,
    /// The session has failed.
    Closed,
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unknown => "the stream is unknown: reset, or finished by both ends",
            Self::Finished => "the stream was finished by this end",
            Self::Closed => "the session has failed",
        })
    }
}

impl core::error::Error for WriteError {}

/// The stream is unknown: it was reset, or both ends have finished and all was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownStream;

impl fmt::Display for UnknownStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the stream is unknown: reset, or finished by both ends")
    }
}

impl core::error::Error for UnknownStream {}
