//! What can go wrong.

use core::fmt;

use rustls::{PeerIncompatible, PeerMisbehaved};

use crate::Alert;

/// Why a handshake or a cipher refuses to go on.
///
/// All but [`NoClaim`](Self::NoClaim) and [`NotDone`](Self::NotDone) are fatal: the machine returns the same error again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    // ---- the peer's
    /// The bytes are no TLS record that may stand here: another protocol, or a record that is not encrypted.
    Record,
    /// A message has not the form that TLS gives it.
    Malformed,
    /// A message or record came when another one was due.
    Unexpected,
    /// The peer broke another rule of TLS 1.3, such as choosing what was not offered.
    Misbehaved,
    /// The peer does not speak TLS 1.3.
    Version,
    /// The peer has no cipher suite, key exchange or signature algorithm in common with us.
    Incompatible,
    /// The peer offers protocols, but neither `libp2p` nor a muxer of ours.
    NoProtocol,
    /// A record or message failed authentication: it was changed, replayed or made with other keys.
    Authentication,
    /// The peer's certificate is not one of libp2p's.
    Certificate(CertificateError),
    /// The verdict was that the certificate is not signed by the identity that it names, or not the right identity's.
    Signature,
    /// The peer ended it, with the reason that it gave.
    Alert(Alert),
    /// The peer closed in good order, but in the middle of the handshake.
    Closed,

    // ---- a limit's
    /// The peer sent more than [`Limits::handshake_bytes`](crate::Limits::handshake_bytes) for its handshake, or a
    /// record longer than TLS allows.
    TooLong {
        /// The limit in bytes.
        limit: usize,
    },
    /// The peer changed its keys so many times without a byte of payload between.
    KeyUpdates {
        /// The limit.
        limit: u32,
    },
    /// The cipher has sealed as much with its keys as is safe, and there was no room to tell the peer of new ones.
    Exhausted,

    // ---- the caller's
    /// The provider of cryptography is not built in: see the features `ring` and `aws-lc-rs`.
    NoProvider,
    /// The key of the certificate is not a P-256 key in PKCS#8, or none could be made for want of random numbers.
    OwnKey,
    /// Identity key or signature of our own certificate are empty, or a muxer's name is not 1 to 255 bytes long.
    OwnConfig,
    /// The open frame was made for another framing: its plaintext is longer than `limit` bytes.
    OwnFrame {
        /// The most plaintext of one frame.
        limit: usize,
    },
    /// Something was to be sent behind our own goodbye.
    Ended,
    /// There is no claim that waits for a verdict.
    NoClaim,
    /// The handshake has not finished, or its last flight was not taken yet.
    NotDone,

    /// The TLS library failed in a way that it should not.
    Library,
}

impl Error {
    /// The alert that tells the peer of it.
    pub(crate) const fn alert(self) -> Alert {
        match self {
            Self::Record | Self::Unexpected => Alert::UNEXPECTED_MESSAGE,
            Self::Authentication => Alert::BAD_RECORD_MAC,
            Self::TooLong { .. } => Alert::RECORD_OVERFLOW,
            Self::Malformed => Alert::DECODE_ERROR,
            Self::KeyUpdates { .. } => Alert::UNEXPECTED_MESSAGE,
            Self::Signature => Alert::ACCESS_DENIED,
            _ => Alert::INTERNAL_ERROR,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Record => f.write_str("not a TLS record that may stand here"),
            Self::Malformed => f.write_str("malformed TLS message"),
            Self::Unexpected => f.write_str("TLS message out of order"),
            Self::Misbehaved => f.write_str("peer broke a rule of TLS 1.3"),
            Self::Version => f.write_str("peer does not speak TLS 1.3"),
            Self::Incompatible => f.write_str("no TLS cipher suite, key exchange or signature algorithm in common"),
            Self::NoProtocol => f.write_str("no application protocol in common in the TLS handshake"),
            Self::Authentication => f.write_str("TLS record or message failed authentication"),
            Self::Certificate(error) => write!(f, "TLS certificate: {error}"),
            Self::Signature => f.write_str("TLS certificate not signed by the identity, or not the right one's"),
            Self::Alert(alert) => write!(f, "peer sent the TLS alert {alert}"),
            Self::Closed => f.write_str("peer closed in the TLS handshake"),
            Self::TooLong { limit } => write!(f, "TLS handshake or record longer than {limit} bytes"),
            Self::KeyUpdates { limit } => write!(f, "more than {limit} TLS key updates without payload"),
            Self::Exhausted => f.write_str("TLS keys used up"),
            Self::NoProvider => f.write_str("the provider of cryptography is not built in"),
            Self::OwnKey => f.write_str("no P-256 key for the own TLS certificate"),
            Self::OwnConfig => {
                f.write_str("own TLS certificate without identity, or a muxer's name of no legal length")
            }
            Self::OwnFrame { limit } => write!(f, "plaintext of a frame longer than {limit} bytes"),
            Self::Ended => f.write_str("sending behind the own TLS goodbye"),
            Self::NoClaim => f.write_str("no claim waits for a verdict"),
            Self::NotDone => f.write_str("TLS handshake not finished"),
            Self::Library => f.write_str("failure within the TLS library"),
        }
    }
}

impl core::error::Error for Error {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Certificate(error) => Some(error),
            _ => None,
        }
    }
}

/// What is wrong with a certificate (libp2p TLS, "Peer Authentication").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CertificateError {
    /// There is none.
    Missing,
    /// There is more than one.
    Several,
    /// It is not the DER of an X.509 certificate.
    Der,
    /// It is not of version 3, which has extensions.
    Version,
    /// It has an issuer's or a subject's unique id.
    UniqueId,
    /// It has not the extension that names an identity.
    NoExtension,
    /// It has that extension twice.
    TwoExtensions,
    /// That extension does not hold a key and a signature.
    Extension,
    /// It has another extension that is critical.
    Critical,
    /// It is not valid yet.
    NotYetValid,
    /// It is not valid any more.
    Expired,
    /// Its key or its signature is of a kind that is not known, or is too weak.
    Algorithm,
    /// It is not signed by its own key.
    SelfSignature,
}

impl fmt::Display for CertificateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "none",
            Self::Several => "more than one",
            Self::Der => "not DER of X.509",
            Self::Version => "not of version 3",
            Self::UniqueId => "with a unique id",
            Self::NoExtension => "without the libp2p extension",
            Self::TwoExtensions => "with two libp2p extensions",
            Self::Extension => "malformed libp2p extension",
            Self::Critical => "unknown critical extension",
            Self::NotYetValid => "not yet valid",
            Self::Expired => "expired",
            Self::Algorithm => "key or signature of unknown kind",
            Self::SelfSignature => "not signed by its own key",
        })
    }
}

impl core::error::Error for CertificateError {}

impl From<der::Error> for CertificateError {
    fn from(_: der::Error) -> Self {
        Self::Der
    }
}

/// As rustls has to hear of it, so that the peer hears the right alert.
impl From<CertificateError> for rustls::Error {
    fn from(error: CertificateError) -> Self {
        use rustls::CertificateError as Known;
        Self::InvalidCertificate(match error {
            CertificateError::Expired => Known::Expired,
            CertificateError::NotYetValid => Known::NotValidYet,
            CertificateError::Der => Known::BadEncoding,
            CertificateError::Critical => Known::UnhandledCriticalExtension,
            error => Known::Other(rustls::OtherError(std::sync::Arc::new(error))),
        })
    }
}

impl From<rustls::Error> for Error {
    fn from(error: rustls::Error) -> Self {
        use rustls::Error as Tls;
        match error {
            Tls::InvalidMessage(_) => Self::Malformed,
            Tls::InappropriateMessage { .. } | Tls::InappropriateHandshakeMessage { .. } => Self::Unexpected,
            Tls::PeerMisbehaved(PeerMisbehaved::IllegalTlsInnerPlaintext) => Self::Malformed,
            Tls::PeerMisbehaved(PeerMisbehaved::MessageInterleavedWithHandshakeMessage) => Self::Unexpected,
            Tls::PeerMisbehaved(_) => Self::Misbehaved,
            Tls::PeerIncompatible(error) => incompatible(&error),
            Tls::PeerSentOversizedRecord => Self::TooLong { limit: crate::RECORD_MAX },
            Tls::NoApplicationProtocol => Self::NoProtocol,
            Tls::DecryptError => Self::Authentication,
            Tls::AlertReceived(alert) => Self::Alert(Alert(u8::from(alert))),
            Tls::NoCertificatesPresented => Self::Certificate(CertificateError::Missing),
            Tls::InvalidCertificate(error) => certificate(&error),
            _ => Self::Library,
        }
    }
}

fn incompatible(error: &PeerIncompatible) -> Error {
    match error {
        PeerIncompatible::ServerDoesNotSupportTls12Or13
        | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig
        | PeerIncompatible::SupportedVersionsExtensionRequired
        | PeerIncompatible::Tls12NotOffered
        | PeerIncompatible::Tls12NotOfferedOrEnabled => Error::Version,
        _ => Error::Incompatible,
    }
}

fn certificate(error: &rustls::CertificateError) -> Error {
    use rustls::CertificateError as Known;
    Error::Certificate(match error {
        Known::Expired => CertificateError::Expired,
        Known::NotValidYet => CertificateError::NotYetValid,
        Known::BadEncoding => CertificateError::Der,
        Known::UnhandledCriticalExtension => CertificateError::Critical,
        Known::Other(other) => match other.0.downcast_ref::<CertificateError>() {
            Some(error) => *error,
            None => return Error::Library,
        },
        // Of the signature over the handshake: the verifier of ours has accepted the certificate.
        _ => return Error::Authentication,
    })
}
