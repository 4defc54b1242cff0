//! What can go wrong.

use core::fmt;

/// Why a handshake or a cipher refuses to go on.
///
/// All but [`NoClaim`](Self::NoClaim) and [`NotDone`](Self::NotDone) are fatal: the machine returns the same error again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    // ---- the peer's
    /// A message or frame is shorter than its keys and tags, which take `min` bytes.
    TooShort {
        /// The least length in bytes.
        min: usize,
    },
    /// A message or frame failed authentication: it was changed, replayed or made with other keys.
    Authentication,
    /// The peer's key gives an all-zero shared secret, which anybody knows.
    WeakKey,
    /// A field or varint of the payload goes on beyond its end.
    PayloadTruncated,
    /// A varint of the payload has more than 64 bits.
    PayloadVarint,
    /// The payload has a field number outside 1 to 2^29 - 1, a group, or an unknown wire type.
    PayloadField,
    /// The payload has no identity key or no signature.
    NoIdentity,
    /// The verdict was that the signature is not the identity's.
    Signature,

    // ---- a limit's
    /// A message of the handshake is longer than [`Limits::handshake_bytes`](crate::Limits::handshake_bytes).
    TooLong {
        /// The limit in bytes.
        limit: usize,
    },
    /// A direction has used all its nonces (Noise 5.1).
    Nonces,

    // ---- the caller's
    /// No [`Aead`](crate::Aead) is built in, or not the one that was asked for.
    NoAead,
    /// The payload of the [`Config`](crate::Config) would be longer than `limit` bytes.
    OwnPayload {
        /// What fits into a message of [`Limits::handshake_bytes`](crate::Limits::handshake_bytes).
        limit: usize,
    },
    /// The open frame was made for another framing: its plaintext is longer than `limit` bytes.
    OwnFrame {
        /// The most plaintext of one frame.
        limit: usize,
    },
    /// There is no claim that waits for a verdict.
    NoClaim,
    /// The handshake has not finished, or its last message was not taken yet.
    NotDone,

    /// The Noise library failed in a way that it should not.
    Library,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooShort { min } => write!(f, "noise message shorter than {min} bytes"),
            Self::Authentication => f.write_str("noise message failed authentication"),
            Self::WeakKey => f.write_str("all-zero shared secret"),
            Self::PayloadTruncated => f.write_str("noise payload ends inside a field"),
            Self::PayloadVarint => f.write_str("varint of more than 64 bits in the noise payload"),
            Self::PayloadField => f.write_str("invalid field in the noise payload"),
            Self::NoIdentity => f.write_str("noise payload without identity key or signature"),
            Self::Signature => f.write_str("invalid signature of the noise static key"),
            Self::TooLong { limit } => write!(f, "noise handshake message longer than {limit} bytes"),
            Self::Nonces => f.write_str("no nonce left"),
            Self::NoAead => f.write_str("the AEAD is not built in"),
            Self::OwnPayload { limit } => write!(f, "own noise payload longer than {limit} bytes"),
            Self::OwnFrame { limit } => write!(f, "plaintext of a frame longer than {limit} bytes"),
            Self::NoClaim => f.write_str("no claim waits for a verdict"),
            Self::NotDone => f.write_str("noise handshake not finished"),
            Self::Library => f.write_str("failure within the noise library"),
        }
    }
}

impl core::error::Error for Error {}

impl From<snow::Error> for Error {
    fn from(error: snow::Error) -> Self {
        match error {
            snow::Error::Decrypt => Self::Authentication,
            snow::Error::Dh => Self::WeakKey,
            // Lengths, order and key material have been checked before.
            _ => Self::Library,
        }
    }
}
