//! Why a call came to nothing.

use core::{error, fmt};
use std::io;

use sanswarm::{OpenStreamError, ReadError, Refusal, TransportError, WriteError};

/// Why an address is not listened on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ListenError {
    /// It was not even tried.
    Refused(sanswarm::ListenError),
    /// The system would not have it.
    Bind(TransportError),
    /// [`Node::unlisten`](crate::Node::unlisten) came first.
    Unlistened,
    /// The node has been shut down.
    Shutdown,
}

impl fmt::Display for ListenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(error) => error.fmt(f),
            Self::Bind(cause) => cause.fmt(f),
            Self::Unlistened => f.write_str("the listener was ended before it was bound"),
            Self::Shutdown => f.write_str("the node has been shut down"),
        }
    }
}

impl error::Error for ListenError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::Refused(error) => Some(error),
            Self::Bind(cause) => Some(cause),
            Self::Unlistened | Self::Shutdown => None,
        }
    }
}

/// What ended a stream: the error within the [`io::Error`]s of a [`Stream`](crate::Stream).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StreamError {
    /// The peer has reset it.
    Reset,
    /// It was open before the peer had agreed, and the peer did not.
    Refused(Refusal),
    /// The connection has ended.
    Closed,
    /// We have finished our side.
    Finished,
}

impl fmt::Display for StreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reset => f.write_str("the peer has reset the stream"),
            Self::Refused(refusal) => refusal.fmt(f),
            Self::Closed => f.write_str("the connection has ended"),
            Self::Finished => f.write_str("our side of the stream is finished"),
        }
    }
}

impl error::Error for StreamError {}

impl StreamError {
    /// What a machine's answer means for a stream whose handle lives: `Gone` is the peer's doing.
    pub(crate) fn of_read(error: ReadError, refusal: Option<&Refusal>) -> Self {
        match (error, refusal) {
            (ReadError::Closed, _) => Self::Closed,
            (ReadError::Finished, _) => Self::Finished,
            (ReadError::Gone, Some(refusal)) => Self::Refused(refusal.clone()),
            (ReadError::Gone, None) => Self::Reset,
        }
    }

    pub(crate) fn of_write(error: WriteError, refusal: Option<&Refusal>) -> Self {
        match (error, refusal) {
            (WriteError::Closed, _) => Self::Closed,
            (WriteError::Finished, _) => Self::Finished,
            (WriteError::Gone, Some(refusal)) => Self::Refused(refusal.clone()),
            (WriteError::Gone, None) => Self::Reset,
        }
    }

    pub(crate) fn reading(self) -> io::Error {
        let kind = match self {
            Self::Refused(_) => io::ErrorKind::ConnectionRefused,
            _ => io::ErrorKind::ConnectionReset,
        };
        io::Error::new(kind, self)
    }

    pub(crate) fn writing(self) -> io::Error {
        let kind = match self {
            Self::Refused(_) => io::ErrorKind::ConnectionRefused,
            _ => io::ErrorKind::BrokenPipe,
        };
        io::Error::new(kind, self)
    }
}

/// The answer to a request that a node which was shut down cannot meet.
pub(crate) const SHUT_DOWN: OpenStreamError = OpenStreamError::Closed(Ok(sanswarm::CloseReason::Local));
