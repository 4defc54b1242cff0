//! What can go wrong.

use core::{error, fmt};

/// Why a socket takes no more input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    // ---- the peer's, in the opening handshake (RFC 6455, section 4)
    /// What it sent is no head of an HTTP/1.1 message.
    Head,
    /// It asked by another method than GET.
    Method,
    /// It answered with another status than 101.
    Status {
        /// The status.
        code: u16,
    },
    /// A header is missing, or has not the value that it must have.
    Header {
        /// Its name.
        name: &'static str,
    },

    // ---- the peer's, in frames (section 5)
    /// A frame of text: libp2p sends bytes.
    Text,
    /// A reserved opcode.
    Opcode {
        /// The opcode.
        opcode: u8,
    },
    /// A reserved bit is set, though no extension was agreed on.
    Reserved,
    /// A client did not mask a frame.
    Unmasked,
    /// A server masked a frame.
    Masked,
    /// A length of more than 63 bits.
    Length,
    /// A control frame in fragments, of more than 125 bytes, or a Close of one byte.
    Control,
    /// A fragment that continues no message, or a message that begins within another.
    Fragment,
    /// It closed, and its code says that something was wrong.
    Closed {
        /// The code (section 7.4).
        code: u16,
    },
    /// The input ended within the handshake or within a frame.
    Cut,

    // ---- the peer's, in the TLS below
    /// Its certificate is not trusted.
    Certificate(Flaw),
    /// It sent an alert.
    Alert {
        /// The alert's number (RFC 8446, section 6).
        code: u8,
    },
    /// It broke TLS, or has nothing in common with us.
    Tls,

    // ---- a limit's
    /// The head of its HTTP message is longer than [`Limits::head_bytes`](crate::Limits::head_bytes).
    HeadTooLong {
        /// The limit in bytes.
        limit: usize,
    },

    // ---- the caller's
    /// The host or the path of the [`Target`](crate::Target) cannot stand in a request.
    Target,
    /// A certificate or private key cannot be read, is missing, or does not belong to the other.
    Credentials,
    /// Nothing can be written any more: Close has been sent.
    Finished,
}

/// What is wrong with a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Flaw {
    /// Its time is over.
    Expired,
    /// It is for another name.
    Name,
    /// Nobody whom we trust has issued it.
    Issuer,
    /// It is malformed, revoked, or not for this use.
    Other,
}

impl Error {
    /// What it is, without numbers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Head => "the peer does not speak HTTP/1.1",
            Self::Method => "the peer's request is no GET",
            Self::Status { .. } => "the peer's answer to the WebSocket request is not 101",
            Self::Header { .. } => "a header of the WebSocket handshake is missing or wrong",
            Self::Text => "the peer sent a text frame",
            Self::Opcode { .. } => "the peer sent a frame of a reserved opcode",
            Self::Reserved => "the peer set a reserved bit of a frame",
            Self::Unmasked => "the client sent a frame without a mask",
            Self::Masked => "the server sent a frame with a mask",
            Self::Length => "the peer sent a frame of more than 2^63 bytes",
            Self::Control => "the peer sent a malformed control frame",
            Self::Fragment => "the peer sent a fragment out of order",
            Self::Closed { .. } => "the peer closed the WebSocket for a fault",
            Self::Cut => "the input ended within the WebSocket handshake or a frame",
            Self::Certificate(Flaw::Expired) => "the peer's certificate has expired",
            Self::Certificate(Flaw::Name) => "the peer's certificate is for another name",
            Self::Certificate(Flaw::Issuer) => "the peer's certificate is of an unknown issuer",
            Self::Certificate(Flaw::Other) => "the peer's certificate is not valid",
            Self::Alert { .. } => "the peer ended the TLS below the WebSocket by an alert",
            Self::Tls => "the peer does not speak our TLS 1.3",
            Self::HeadTooLong { .. } => "the head of the peer's HTTP message is too long",
            Self::Target => "the host or path cannot stand in a WebSocket request",
            Self::Credentials => "the certificate for TLS below the WebSocket is missing or cannot be used",
            Self::Finished => "the WebSocket has been closed on our side",
        }
    }

    /// The code that a Close for this fault has (section 7.4.1).
    pub(crate) const fn close_code(self) -> u16 {
        match self {
            Self::Text => 1003,
            _ => 1002,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.as_str();
        match self {
            Self::Status { code } | Self::Closed { code } => write!(f, "{text}: {code}"),
            Self::Alert { code } => write!(f, "{text}: {code}"),
            Self::Header { name } => write!(f, "{text}: {name}"),
            Self::Opcode { opcode } => write!(f, "{text}: {opcode}"),
            Self::HeadTooLong { limit } => write!(f, "{text}: more than {limit} bytes"),
            _ => f.write_str(text),
        }
    }
}

impl error::Error for Error {}
