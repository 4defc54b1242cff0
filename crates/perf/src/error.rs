//! How an exchange fails.

use core::fmt;

/// Why the stream is of no more use. Each is the peer's fault, but for `Limit`, which is a bound of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The server sent something, or ended its side, before the client had ended its own (perf.md, "Protocol": the
    /// download must not run beside the upload).
    Early {
        /// What the client had uploaded, in bytes.
        uploaded: u64,
    },
    /// More came back than was asked for.
    Excess {
        /// What was asked for, in bytes.
        asked: u64,
    },
    /// The server ended its side before everything had come back.
    Short {
        /// What came, in bytes.
        got: u64,
        /// What was asked for, in bytes.
        asked: u64,
    },
    /// The client ended its side within the size in front of the upload.
    Truncated {
        /// How many of its 8 bytes there were.
        got: usize,
    },
    /// The client asked for more, or sent more, than the server has a mind to.
    Limit {
        /// The field of [`Limits`](crate::Limits).
        name: &'static str,
        /// Its value, in bytes.
        limit: u64,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Early { uploaded } => {
                write!(f, "the peer answered after {uploaded} bytes of an upload that had not ended")
            }
            Self::Excess { asked } => write!(f, "more came back than the {asked} bytes that were asked for"),
            Self::Short { got, asked } => write!(f, "{got} bytes came back of {asked} that were asked for"),
            Self::Truncated { got } => write!(f, "the stream ended {got} bytes into the size of the download"),
            Self::Limit { name, limit } => write!(f, "over the limit {name} of {limit} bytes"),
        }
    }
}

impl core::error::Error for Error {}
