//! What can end a connection, a stream or a call, as data.

use core::{fmt, time::Duration};

use libp2p_identity::PeerId;
use sanswarm_multistream::ProtocolName;
use sanswarm_multistream_select as select;

use crate::{Direction, KeyFault};

/// How far a connection has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Stage {
    /// The security protocol is being negotiated.
    Security,
    /// The security handshake is running.
    Handshake,
    /// The muxer is being negotiated.
    Muxer,
    /// Streams flow.
    Streams,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Security => "security",
            Self::Handshake => "handshake",
            Self::Muxer => "muxer",
            Self::Streams => "streams",
        })
    }
}

/// Why a connection ended by force. Every variant is fatal and sticky.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The peer broke multistream-select while security or muxer was negotiated.
    Negotiation {
        /// What was being negotiated.
        stage: Stage,
        /// What the peer did.
        cause: select::Error,
        /// What we offer at this stage.
        offered: Vec<ProtocolName>,
    },
    /// The two ends have no security protocol or no muxer in common.
    NothingInCommon {
        /// What was being negotiated.
        stage: Stage,
        /// What we offer at this stage.
        offered: Vec<ProtocolName>,
        /// What the peer offers, as far as it said.
        remote: Vec<String>,
    },
    /// The Noise handshake failed, or a frame behind it.
    #[cfg(feature = "noise")]
    Noise {
        /// The handshake, or the stage in which the frame came.
        stage: Stage,
        /// What was wrong.
        cause: sanswarm_noise::Error,
    },
    /// The TLS handshake failed, or a record behind it.
    #[cfg(feature = "tls")]
    Tls {
        /// The handshake, or the stage in which the record came.
        stage: Stage,
        /// What was wrong.
        cause: sanswarm_tls::Error,
    },
    /// The exchange of identities by plaintext failed.
    #[cfg(feature = "plaintext")]
    Plaintext(crate::plaintext::Error),
    /// The peer's identity key cannot be read: malformed, or of a type that is not built in.
    IdentityKey {
        /// The number of the key's type: 0 RSA, 1 Ed25519, 2 secp256k1, 3 ECDSA; `None` where not even that is readable.
        key_type: Option<u8>,
        /// What is wrong with it.
        fault: KeyFault,
    },
    /// The peer's identity key did not sign its handshake.
    IdentitySignature,
    /// Another peer answered than the one that was dialled.
    WrongPeer {
        /// Who was dialled.
        expected: PeerId,
        /// Who answered.
        got: PeerId,
    },
    /// The muxer was misused by the peer, or ran into a limit.
    #[cfg(feature = "yamux")]
    Yamux(sanswarm_yamux::Error),
    /// The same of mplex.
    #[cfg(feature = "mplex")]
    Mplex(sanswarm_mplex::Error),
    /// The peer's muxer ended the session because of a fault that it saw.
    GoneAway {
        /// What it saw: 1 a breach of the protocol by us, 2 a fault of its own, others are not defined.
        code: u32,
    },
    /// A stage did not end in time.
    Timeout {
        /// The stage.
        stage: Stage,
        /// The limit that passed.
        after: Duration,
        /// What we offer at this stage, while it is negotiated.
        offered: Vec<ProtocolName>,
    },
    /// The peer's bytes ended in the middle of something.
    Eof {
        /// Where.
        stage: Stage,
        /// Streams that were open.
        streams: usize,
        /// What we offer at this stage, while it is negotiated.
        offered: Vec<ProtocolName>,
    },
    /// A protocol was configured that is not built in, or none was configured for the stage.
    NotBuiltIn {
        /// The stage that needs it.
        stage: Stage,
    },
}

impl Error {
    /// The stage that the connection had reached.
    pub fn stage(&self) -> Stage {
        match self {
            Self::Negotiation { stage, .. } | Self::NothingInCommon { stage, .. } => *stage,
            Self::Timeout { stage, .. } | Self::Eof { stage, .. } | Self::NotBuiltIn { stage } => *stage,
            #[cfg(feature = "noise")]
            Self::Noise { stage, .. } => *stage,
            #[cfg(feature = "tls")]
            Self::Tls { stage, .. } => *stage,
            #[cfg(feature = "plaintext")]
            Self::Plaintext(_) => Stage::Handshake,
            Self::IdentityKey { .. } | Self::IdentitySignature | Self::WrongPeer { .. } => Stage::Handshake,
            #[cfg(feature = "yamux")]
            Self::Yamux(_) => Stage::Streams,
            #[cfg(feature = "mplex")]
            Self::Mplex(_) => Stage::Streams,
            Self::GoneAway { .. } => Stage::Streams,
        }
    }

    /// Who ended the connection: the peer, by ending its bytes or by an error of its muxer's (inbound), or we, by a rule or
    /// a limit (outbound).
    pub fn by(&self) -> Direction {
        match self {
            Self::Eof { .. } => Direction::Inbound,
            Self::GoneAway { .. } => Direction::Inbound,
            _ => Direction::Outbound,
        }
    }

    /// The same, in another stage, if it is one of the secure channel.
    pub(crate) fn at(mut self, at: Stage) -> Self {
        match &mut self {
            #[cfg(feature = "noise")]
            Self::Noise { stage, .. } => *stage = at,
            #[cfg(feature = "tls")]
            Self::Tls { stage, .. } => *stage = at,
            _ => {}
        }
        self
    }

    /// What we offer at the stage, where the failure has to do with that.
    pub fn offered(&self) -> Option<&[ProtocolName]> {
        match self {
            Self::Negotiation { offered, .. } | Self::NothingInCommon { offered, .. } => Some(offered),
            Self::Timeout { offered, .. } | Self::Eof { offered, .. } if !offered.is_empty() => Some(offered),
            _ => None,
        }
    }

    /// What the peer has at the stage, as far as it has said.
    pub fn remote(&self) -> &[String] {
        if let Self::NothingInCommon { remote, .. } = self { remote } else { &[] }
    }

    /// A name for machines that stays the same over versions.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Negotiation { .. } => "negotiation",
            Self::NothingInCommon { .. } => "nothing-in-common",
            #[cfg(feature = "noise")]
            Self::Noise { .. } => "noise",
            #[cfg(feature = "tls")]
            Self::Tls { .. } => "tls",
            #[cfg(feature = "plaintext")]
            Self::Plaintext(_) => "plaintext",
            Self::IdentityKey { .. } => "identity-key",
            Self::IdentitySignature => "identity-signature",
            Self::WrongPeer { .. } => "wrong-peer",
            #[cfg(feature = "yamux")]
            Self::Yamux(_) => "yamux",
            #[cfg(feature = "mplex")]
            Self::Mplex(_) => "mplex",
            Self::GoneAway { .. } => "gone-away",
            Self::Timeout { .. } => "timeout",
            Self::Eof { .. } => "eof",
            Self::NotBuiltIn { .. } => "not-built-in",
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Negotiation { stage, cause, offered } => {
                write!(f, "{stage}: {cause}; we offered {}", List(offered))
            }
            Self::NothingInCommon { stage, offered, remote } if remote.is_empty() => {
                write!(f, "{stage}: the peer refused all of {}", List(offered))
            }
            Self::NothingInCommon { stage, offered, remote } => {
                write!(f, "{stage}: nothing in common; we offered {}, the peer {}", List(offered), List(remote))
            }
            #[cfg(feature = "noise")]
            Self::Noise { stage, cause } => write!(f, "{stage}: {cause}"),
            #[cfg(feature = "tls")]
            Self::Tls { stage, cause } => write!(f, "{stage}: {cause}"),
            #[cfg(feature = "plaintext")]
            Self::Plaintext(error) => write!(f, "handshake: {error}"),
            Self::IdentityKey { key_type: Some(n), fault } => {
                write!(f, "handshake: the peer's identity key, type {n}, is {fault}")
            }
            Self::IdentityKey { key_type: None, fault } => write!(f, "handshake: the peer's identity key is {fault}"),
            Self::IdentitySignature => f.write_str("handshake: the peer's identity key did not sign its handshake"),
            Self::WrongPeer { expected, got } => write!(f, "handshake: expected peer {expected}, but {got} answered"),
            #[cfg(feature = "yamux")]
            Self::Yamux(error) => write!(f, "yamux: {error}"),
            #[cfg(feature = "mplex")]
            Self::Mplex(error) => write!(f, "mplex: {error}"),
            Self::GoneAway { code: 1 } => f.write_str("streams: the peer says that we broke the muxer's protocol"),
            Self::GoneAway { code: 2 } => f.write_str("streams: the peer says that it has a fault of its own"),
            Self::GoneAway { code } => write!(f, "streams: the peer ended the session with code {code}"),
            Self::Timeout { stage, after, offered } => {
                write!(f, "{stage}: not done within {after:?}{}", Offer(offered))
            }
            Self::Eof { stage: Stage::Streams, streams, .. } => {
                write!(f, "the peer's bytes ended with {streams} streams open")
            }
            Self::Eof { stage, offered, .. } => {
                write!(f, "{stage}: the peer's bytes ended in the middle{}", Offer(offered))
            }
            Self::NotBuiltIn { stage } => write!(f, "{stage}: none of the configured protocols is built in"),
        }
    }
}

impl core::error::Error for Error {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Negotiation { cause, .. } => Some(cause),
            #[cfg(feature = "noise")]
            Self::Noise { cause, .. } => Some(cause),
            #[cfg(feature = "tls")]
            Self::Tls { cause, .. } => Some(cause),
            #[cfg(feature = "plaintext")]
            Self::Plaintext(error) => Some(error),
            #[cfg(feature = "yamux")]
            Self::Yamux(error) => Some(error),
            #[cfg(feature = "mplex")]
            Self::Mplex(error) => Some(error),
            _ => None,
        }
    }
}

/// Says what we offer, where there is something.
struct Offer<'a>(&'a [ProtocolName]);

impl fmt::Display for Offer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { Ok(()) } else { write!(f, "; we offered {}", List(self.0)) }
    }
}

/// Prints names separated by commas.
struct List<'a, T>(&'a [T]);

impl<T: AsRef<str>> fmt::Display for List<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, name) in self.0.iter().enumerate() {
            write!(f, "{}{}", if i == 0 { "" } else { ", " }, name.as_ref())?;
        }
        Ok(())
    }
}

/// Why a stream that we opened was not agreed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The names that we offered.
    pub offered: Vec<ProtocolName>,
    /// What the peer speaks, as far as it is known: a node knows it from identify, a connection does not.
    pub remote: Vec<String>,
    /// What happened.
    pub cause: RefusalCause,
    /// Whether payload went out behind a lazy proposal. The peer may have seen it, but not as this protocol.
    pub data_sent: bool,
}

/// What happened to a stream that was not agreed on.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RefusalCause {
    /// The peer speaks none of the names.
    NotSupported,
    /// The peer broke multistream-select.
    Negotiation(select::Error),
    /// The peer reset the stream or ended it before it agreed.
    Reset,
    /// No agreement within this time.
    Timeout(Duration),
}

impl Refusal {
    /// The stage of the connection: streams.
    pub fn stage(&self) -> Stage {
        Stage::Streams
    }

    /// A name for machines that stays the same over versions.
    pub fn code(&self) -> &'static str {
        match self.cause {
            RefusalCause::NotSupported => "protocol-refused",
            RefusalCause::Negotiation(_) => "stream-negotiation",
            RefusalCause::Reset => "stream-reset",
            RefusalCause::Timeout(_) => "stream-timeout",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.cause {
            RefusalCause::NotSupported => write!(f, "the peer speaks none of {}", List(&self.offered))?,
            RefusalCause::Negotiation(error) => write!(f, "{error}; we offered {}", List(&self.offered))?,
            RefusalCause::Reset => write!(f, "the peer reset the stream before agreeing on {}", List(&self.offered))?,
            RefusalCause::Timeout(after) => write!(f, "no agreement on {} within {after:?}", List(&self.offered))?,
        }
        if self.remote.is_empty() { Ok(()) } else { write!(f, "; it speaks {}", List(&self.remote)) }
    }
}

impl core::error::Error for Refusal {}

/// Why no stream could be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OpenError {
    /// No name was given.
    NoName,
    /// The connection is closing or closed.
    Closed,
    /// The peer has announced that it takes no new streams.
    GoingAway,
    /// A limit of ours.
    Limit {
        /// Its name in `Limits`.
        name: &'static str,
        /// Its value.
        value: usize,
    },
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoName => f.write_str("no protocol name was given"),
            Self::Closed => f.write_str("the connection is closed"),
            Self::GoingAway => f.write_str("the peer takes no new streams"),
            Self::Limit { name, value } => write!(f, "our limit {name} is reached: {value}"),
        }
    }
}

impl core::error::Error for OpenError {}

/// Why a stream gave no bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadError {
    /// The peer has finished and all was read.
    Finished,
    /// The id names no stream: never, or not any more (reset, refused, or ended at both sides).
    Gone,
    /// The connection has ended.
    Closed,
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Finished => "the peer has finished the stream",
            Self::Gone => "there is no such stream any more",
            Self::Closed => "the connection is closed",
        })
    }
}

impl core::error::Error for ReadError {}

/// Why a stream takes no bytes, or an order about it came to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteError {
    /// We have finished the stream ourselves.
    Finished,
    /// The id names no stream: never, or not any more (reset, refused, or ended at both sides).
    Gone,
    /// The connection has ended.
    Closed,
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Finished => "the stream is finished on our side",
            Self::Gone => "there is no such stream any more",
            Self::Closed => "the connection is closed",
        })
    }
}

impl core::error::Error for WriteError {}
