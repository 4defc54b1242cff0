//! What can go wrong, by fault.

use core::{fmt, time::Duration};

use crate::frame::GoAway;

/// Why a session has ended. Fatal: once returned it is returned again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The peer sent a frame of a version other than 0 (spec, "Framing").
    Version(u8),
    /// The peer sent a frame of a type that is not specified (spec, "Type field").
    FrameType(u8),
    /// The peer sent data or a window update for stream 0, which is the session (spec, "StreamID field").
    StreamZero,
    /// The peer opened a stream with an id of ours: the wrong parity (spec, "StreamID field").
    WrongParity {
        /// The id it used.
        id: u32,
    },
    /// The peer opened a stream that is open.
    AlreadyOpen {
        /// The stream's id.
        id: u32,
    },
    /// The peer sent more payload than the stream's window had left (spec, "Flow control").
    WindowExceeded {
        /// The payload of the frame, in bytes.
        length: u32,
        /// What the window had left, in bytes.
        window: u32,
    },
    /// The peer sent a body for an unknown stream that no window of ours would have allowed.
    BodyTooLong {
        /// The body, in bytes.
        length: u32,
        /// The largest receive window that any stream has had, in bytes.
        limit: u32,
    },
    /// The peer gave more credit than a window can hold: 2^32 - 1 bytes.
    CreditOverflow,
    /// The peer did not answer a ping.
    PingTimeout {
        /// The time that it had: [`Config::ping_timeout`](crate::Config::ping_timeout).
        limit: Duration,
    },
}

impl Error {
    /// What the peer is told.
    pub(crate) fn code(self) -> GoAway {
        match self {
            Self::PingTimeout { .. } => GoAway::InternalError,
            _ => GoAway::ProtocolError,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Version(version) => write!(f, "the peer sent a yamux frame of version {version}, not 0"),
            Self::FrameType(kind) => write!(f, "the peer sent a yamux frame of unknown type {kind}"),
            Self::StreamZero => f.write_str("the peer sent a stream's frame for stream 0"),
            Self::WrongParity { id } => write!(f, "the peer opened stream {id}, an id of ours"),
            Self::AlreadyOpen { id } => write!(f, "the peer opened stream {id}, which is open"),
            Self::WindowExceeded { length, window } => {
                write!(f, "the peer sent {length} bytes where the window had {window} left")
            }
            Self::BodyTooLong { length, limit } => {
                write!(f, "the peer sent {length} bytes for an unknown stream, more than the window limit of {limit}")
            }
            Self::CreditOverflow => f.write_str("the peer gave more credit than a window can hold"),
            Self::PingTimeout { limit } => write!(f, "the peer did not answer a yamux ping within {limit:?}"),
        }
    }
}

impl core::error::Error for Error {}

/// Why no stream was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OpenError {
    /// All ids of this end have been used: about 2^31 streams.
    Exhausted,
    /// The peer, or we, sent GoAway: open streams go on, new ones are not possible.
    GoingAway,
    /// A limit of ours: as many streams of ours are open as [`Limits::streams`](crate::Limits::streams) allows.
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

/// The stream is unknown: it was reset, or both ends have finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownStream;

impl fmt::Display for UnknownStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the stream is unknown: reset, or finished by both ends")
    }
}

impl core::error::Error for UnknownStream {}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn an_error_says_what_the_peer_did() {
        let errors = [
            (Error::Version(3), "the peer sent a yamux frame of version 3, not 0"),
            (Error::FrameType(9), "the peer sent a yamux frame of unknown type 9"),
            (Error::StreamZero, "the peer sent a stream's frame for stream 0"),
            (Error::WrongParity { id: 4 }, "the peer opened stream 4, an id of ours"),
            (Error::AlreadyOpen { id: 5 }, "the peer opened stream 5, which is open"),
            (Error::WindowExceeded { length: 7, window: 6 }, "the peer sent 7 bytes where the window had 6 left"),
            (
                Error::BodyTooLong { length: 9, limit: 8 },
                "the peer sent 9 bytes for an unknown stream, more than the window limit of 8",
            ),
            (Error::CreditOverflow, "the peer gave more credit than a window can hold"),
            (Error::PingTimeout { limit: Duration::from_secs(10) }, "the peer did not answer a yamux ping within 10s"),
        ];
        for (error, text) in errors {
            assert_eq!(error.to_string(), text);
        }
    }

    #[test]
    fn who_calls_is_told_why_not() {
        let limit = OpenError::Limit { name: "streams", value: 1000 };
        assert_eq!(limit.to_string(), "our limit streams is reached: 1000");
        assert_eq!(OpenError::Exhausted.to_string(), "all stream ids have been used");
        assert_eq!(OpenError::GoingAway.to_string(), "the session is going away");
        assert_eq!(OpenError::Closed.to_string(), "the session has failed");
        assert_eq!(WriteError::Unknown.to_string(), UnknownStream.to_string());
        assert_eq!(UnknownStream.to_string(), "the stream is unknown: reset, or finished by both ends");
        assert_eq!(WriteError::Finished.to_string(), "the stream was finished by this end");
        assert_eq!(WriteError::Closed.to_string(), "the session has failed");
    }
}
