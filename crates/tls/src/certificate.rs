//! Our own certificate: a key of the node, signed by the identity, in an X.509 certificate that signs itself.

use core::fmt;
use std::sync::Arc;

use der::{
    Encode, Tag, TagNumber,
    asn1::{AnyRef, BitStringRef, ObjectIdentifier},
};
use rustls::{
    SignatureScheme,
    pki_types::{CertificateDer, PrivatePkcs8KeyDer},
    sign::{CertifiedKey, SigningKey},
};

use crate::{Error, Provider};

/// The extension that names the identity.
pub(crate) const LIBP2P: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.53594.1.1");
const ECDSA_WITH_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");
const ORGANIZATION: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.10");

/// What stands before the key in the bytes that an identity signs.
const SIGNED_PREFIX: &[u8] = b"libp2p-tls-handshake:";

/// Valid for as long as the spec's own examples: nothing is gained by an end, and clocks differ.
const NOT_BEFORE: &[u8] = b"750101000000Z";
const NOT_AFTER: &[u8] = b"40960101000000Z";

/// The P-256 key of a node's certificate. It is not the identity, which signs it, and should be made anew when a node
/// starts (libp2p TLS, "Peer Authentication").
#[derive(Clone)]
pub struct CertificateKey {
    provider: Provider,
    key: Arc<dyn SigningKey>,
    /// The public half, as a `SubjectPublicKeyInfo`.
    public: Vec<u8>,
}

impl CertificateKey {
    /// A new key, from the random numbers of `provider`.
    ///
    /// # Errors
    ///
    /// [`Error::NoProvider`], or [`Error::OwnKey`] if there are no random numbers.
    pub fn generate(provider: Provider) -> Result<Self, Error> {
        if !provider.is_available() {
            return Err(Error::NoProvider);
        }
        Self::from_pkcs8(provider, &provider.generate().ok_or(Error::OwnKey)?)
    }

    /// A key that was made before: the DER of a PKCS#8 document.
    ///
    /// # Errors
    ///
    /// [`Error::NoProvider`], or [`Error::OwnKey`] if it is not a P-256 key.
    pub fn from_pkcs8(provider: Provider, der: &[u8]) -> Result<Self, Error> {
        let crypto = provider.crypto().ok_or(Error::NoProvider)?;
        let der = PrivatePkcs8KeyDer::from(der.to_vec());
        let key = crypto.key_provider.load_private_key(der.into()).map_err(|_| Error::OwnKey)?;
        key.choose_scheme(&[SignatureScheme::ECDSA_NISTP256_SHA256]).ok_or(Error::OwnKey)?;
        let public = key.public_key().ok_or(Error::OwnKey)?.to_vec();
        Ok(Self { provider, key, public })
    }

    /// What the identity signs, once a node: `libp2p-tls-handshake:` and the public key, a `SubjectPublicKeyInfo`.
    pub fn message(&self) -> Vec<u8> {
        signed_message(&self.public)
    }

    pub(crate) fn provider(&self) -> Provider {
        self.provider
    }

    /// The certificate, with the identity's key and its signature over the [message](Self::message).
    pub(crate) fn certify(&self, identity_key: &[u8], signature: &[u8]) -> Result<CertifiedKey, Error> {
        if identity_key.is_empty() || signature.is_empty() {
            return Err(Error::OwnConfig);
        }
        let body = body(&self.public, identity_key, signature).map_err(|_| Error::Library)?;
        let signer = self.key.choose_scheme(&[SignatureScheme::ECDSA_NISTP256_SHA256]).ok_or(Error::OwnKey)?;
        let proof = signer.sign(&body)?;
        let certificate = signed(&body, &proof).map_err(|_| Error::Library)?;
        Ok(CertifiedKey::new(vec![CertificateDer::from(certificate)], self.key.clone()))
    }
}

impl fmt::Debug for CertificateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CertificateKey").field("provider", &self.provider).finish_non_exhaustive()
    }
}

/// The bytes that a signature over the public key of a certificate covers.
pub(crate) fn signed_message(public: &[u8]) -> Vec<u8> {
    [SIGNED_PREFIX, public].concat()
}

/// `TBSCertificate` (RFC 5280, section 4.1). The libp2p extension is its first: js-libp2p looks there only. It is not
/// critical, since libraries that do not know it may have to read the certificate.
fn body(public: &[u8], identity_key: &[u8], signature: &[u8]) -> der::Result<Vec<u8>> {
    let number = serial(public);
    let name = name()?;
    let valid = tlv(Tag::Sequence, &[&tlv(Tag::UtcTime, &[NOT_BEFORE])?, &tlv(Tag::GeneralizedTime, &[NOT_AFTER])?])?;
    let strings = [tlv(Tag::OctetString, &[identity_key])?, tlv(Tag::OctetString, &[signature])?];
    let signed_key = tlv(Tag::Sequence, &[&strings[0], &strings[1]])?;
    let extension = tlv(Tag::Sequence, &[&LIBP2P.to_der()?, &tlv(Tag::OctetString, &[&signed_key])?])?;
    let parts = [
        tlv(explicit(0), &[&tlv(Tag::Integer, &[&[2]])?])?,
        tlv(Tag::Integer, &[&number])?,
        algorithm()?,
        name.clone(),
        valid,
        name,
        public.to_vec(),
        tlv(explicit(3), &[&tlv(Tag::Sequence, &[&extension])?])?,
    ];
    tlv(Tag::Sequence, &parts.each_ref().map(|part| &part[..]))
}

/// `Certificate`.
fn signed(body: &[u8], proof: &[u8]) -> der::Result<Vec<u8>> {
    tlv(Tag::Sequence, &[body, &algorithm()?, &BitStringRef::from_bytes(proof)?.to_der()?])
}

fn algorithm() -> der::Result<Vec<u8>> {
    tlv(Tag::Sequence, &[&ECDSA_WITH_SHA256.to_der()?])
}

/// Issuer and subject. Nobody reads them, but RFC 5280 wants an issuer.
fn name() -> der::Result<Vec<u8>> {
    let attribute = tlv(Tag::Sequence, &[&ORGANIZATION.to_der()?, &tlv(Tag::PrintableString, &[b"libp2p.io"])?])?;
    tlv(Tag::Sequence, &[&tlv(Tag::Set, &[&attribute])?])
}

/// A positive number that differs from key to key: some of the key's own bytes.
fn serial(public: &[u8]) -> [u8; 16] {
    let mut number = *public.last_chunk().unwrap_or(&[0; 16]);
    number[0] = number[0] & 0x3f | 0x40;
    number
}

const fn explicit(number: u32) -> Tag {
    Tag::ContextSpecific { constructed: true, number: TagNumber(number) }
}

fn tlv(tag: Tag, parts: &[&[u8]]) -> der::Result<Vec<u8>> {
    AnyRef::new(tag, &parts.concat())?.to_der()
}
