//! The peer's certificate.

use bytes::Bytes;
use der::{
    Decode, Reader, SliceReader, Tag, TagNumber, Tagged,
    asn1::{AnyRef, BitStringRef, GeneralizedTime, OctetStringRef, UtcTime},
};
use rustls::crypto::WebPkiSupportedAlgorithms;

use crate::{
    CertificateError, Claim, Error, Provider,
    certificate::{LIBP2P, signed_message},
    config::ANY_TIME,
};

/// What libp2p needs of a certificate (RFC 5280, section 4.1). Everything is a part of the DER.
#[derive(Debug)]
pub(crate) struct Certificate<'a> {
    /// What the certificate's own key signs.
    body: &'a [u8],
    /// The inside of the signature's `AlgorithmIdentifier`.
    algorithm: &'a [u8],
    signature: &'a [u8],
    /// Unix seconds, both inclusive.
    not_before: u64,
    not_after: u64,
    /// The key, as a `SubjectPublicKeyInfo`.
    pub(crate) public: &'a [u8],
    key_algorithm: &'a [u8],
    key: &'a [u8],
    identity_key: &'a [u8],
    identity_signature: &'a [u8],
}

impl Claim {
    /// Reads a certificate and checks all of it but what only its [`signature`](Self::signature) can prove: form, dates
    /// at `unix_seconds`, and that it is signed by its own key. A handshake does this itself; QUIC needs the same.
    ///
    /// # Errors
    ///
    /// [`Error::Certificate`], or [`Error::NoProvider`].
    pub fn from_certificate(der: &[u8], unix_seconds: u64, provider: Provider) -> Result<Self, Error> {
        let crypto = provider.crypto().ok_or(Error::NoProvider)?;
        let check = || {
            let certificate = Certificate::parse(der)?;
            certificate.check(unix_seconds, &crypto.signature_verification_algorithms)?;
            Ok(certificate.claim())
        };
        check().map_err(Error::Certificate)
    }
}

impl<'a> Certificate<'a> {
    /// Reads `der`, which must be a certificate and nothing else.
    pub(crate) fn parse(der: &'a [u8]) -> Result<Self, CertificateError> {
        AnyRef::from_der(der)?.sequence(|reader| {
            let body = reader.tlv_bytes()?;
            let algorithm = sequence(reader)?;
            let signature: BitStringRef<'_> = reader.decode()?;
            let signature = signature.as_bytes().ok_or(CertificateError::Der)?;
            let found = AnyRef::from_der(body)?.sequence(Body::parse)?;
            if found.algorithm != algorithm {
                return Err(CertificateError::Der);
            }
            let (key_algorithm, key) = AnyRef::from_der(found.public)?.sequence(|reader| {
                let algorithm = sequence(reader)?;
                let key: BitStringRef<'_> = reader.decode()?;
                Ok::<_, CertificateError>((algorithm, key.as_bytes().ok_or(CertificateError::Der)?))
            })?;
            let (identity_key, identity_signature) = found.identity;
            let (not_before, not_after) = found.dates;
            let public = found.public;
            Ok(Self {
                body,
                algorithm,
                signature,
                not_before,
                not_after,
                public,
                key_algorithm,
                key,
                identity_key,
                identity_signature,
            })
        })
    }

    /// Whether the certificate is valid at `now`, in Unix seconds, and signed by its own key.
    pub(crate) fn check(&self, now: u64, known: &WebPkiSupportedAlgorithms) -> Result<(), CertificateError> {
        if now != ANY_TIME && now < self.not_before {
            return Err(CertificateError::NotYetValid);
        }
        if now != ANY_TIME && now > self.not_after {
            return Err(CertificateError::Expired);
        }
        let mut known = known.all.iter().filter(|known| {
            known.signature_alg_id().as_ref() == self.algorithm
                && known.public_key_alg_id().as_ref() == self.key_algorithm
        });
        let known = known.next().ok_or(CertificateError::Algorithm)?;
        let valid = known.verify_signature(self.key, self.body, self.signature);
        valid.map_err(|_| CertificateError::SelfSignature)
    }

    pub(crate) fn claim(&self) -> Claim {
        Claim {
            identity_key: Bytes::copy_from_slice(self.identity_key),
            message: signed_message(self.public),
            signature: Bytes::copy_from_slice(self.identity_signature),
        }
    }
}

/// What libp2p needs of a `TBSCertificate`.
struct Body<'a> {
    algorithm: &'a [u8],
    dates: (u64, u64),
    public: &'a [u8],
    identity: (&'a [u8], &'a [u8]),
}

impl<'a> Body<'a> {
    fn parse(reader: &mut SliceReader<'a>) -> Result<Self, CertificateError> {
        let version = explicit(reader, 0)?.ok_or(CertificateError::Version)?;
        if (version.tag(), version.value()) != (Tag::Integer, &[2]) {
            return Err(CertificateError::Version);
        }
        let serial: AnyRef<'_> = reader.decode()?;
        serial.tag().assert_eq(Tag::Integer).map_err(|_| CertificateError::Der)?;
        let algorithm = sequence(reader)?;
        sequence(reader)?; // issuer
        let dates = reader
            .decode::<AnyRef<'_>>()?
            .sequence(|reader| Ok::<_, CertificateError>((date(reader)?, date(reader)?)))?;
        sequence(reader)?; // subject
        let public = reader.tlv_bytes()?;
        let next = if reader.is_finished() { None } else { Some(Tag::peek(reader)?.number().value()) };
        if matches!(next, Some(1 | 2)) {
            return Err(CertificateError::UniqueId);
        }
        let extensions = explicit(reader, 3)?.ok_or(CertificateError::NoExtension)?;
        let identity = extensions.sequence(identity)?;
        Ok(Self { algorithm, dates, public, identity })
    }
}

/// Goes through all extensions: one is libp2p's, and no other may be critical.
fn identity<'a>(reader: &mut SliceReader<'a>) -> Result<(&'a [u8], &'a [u8]), CertificateError> {
    let mut identity = None;
    while !reader.is_finished() {
        let extension: AnyRef<'_> = reader.decode()?;
        let (id, critical, value) = extension.sequence(|reader| {
            let id: AnyRef<'_> = reader.decode()?;
            id.tag().assert_eq(Tag::ObjectIdentifier)?;
            let critical = Tag::peek(reader)? == Tag::Boolean && reader.decode()?;
            let value: &OctetStringRef = reader.decode()?;
            Ok::<_, der::Error>((id.value(), critical, value.as_bytes()))
        })?;
        if id != LIBP2P.as_bytes() {
            if critical {
                return Err(CertificateError::Critical);
            }
        } else if identity.replace(signed_key(value).map_err(|_| CertificateError::Extension)?).is_some() {
            return Err(CertificateError::TwoExtensions);
        }
    }
    let (key, signature) = identity.ok_or(CertificateError::NoExtension)?;
    if key.is_empty() || signature.is_empty() {
        return Err(CertificateError::Extension);
    }
    Ok((key, signature))
}

/// `SignedKey`: the identity's key and its signature.
fn signed_key(value: &[u8]) -> der::Result<(&[u8], &[u8])> {
    AnyRef::from_der(value)?.sequence(|reader| {
        let key: &OctetStringRef = reader.decode()?;
        let signature: &OctetStringRef = reader.decode()?;
        Ok((key.as_bytes(), signature.as_bytes()))
    })
}

/// The inside of the sequence that comes next.
fn sequence<'a>(reader: &mut SliceReader<'a>) -> Result<&'a [u8], CertificateError> {
    let any: AnyRef<'_> = reader.decode()?;
    any.tag().assert_eq(Tag::Sequence).map_err(|_| CertificateError::Der)?;
    Ok(any.value())
}

/// The one value within the explicit tag `number`, if that comes next.
fn explicit<'a>(reader: &mut SliceReader<'a>, number: u32) -> Result<Option<AnyRef<'a>>, CertificateError> {
    let tag = Tag::ContextSpecific { constructed: true, number: TagNumber(number) };
    if reader.is_finished() || Tag::peek(reader)? != tag {
        return Ok(None);
    }
    let outer: AnyRef<'_> = reader.decode()?;
    Ok(Some(AnyRef::from_der(outer.value())?))
}

/// A date in Unix seconds.
fn date(reader: &mut SliceReader<'_>) -> Result<u64, CertificateError> {
    let since = match Tag::peek(reader)? {
        Tag::UtcTime => reader.decode::<UtcTime>()?.to_unix_duration(),
        _ => reader.decode::<GeneralizedTime>()?.to_unix_duration(),
    };
    Ok(since.as_secs())
}
