//! Certificates with whatever is wrong, written by hand.

use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair},
};

/// 1.3.6.1.4.1.53594.1.1, as DER.
pub(crate) const LIBP2P: &[u8] = &[6, 10, 0x2b, 6, 1, 4, 1, 0x83, 0xa2, 0x5a, 1, 1];
/// 1.3.6.1.4.1.53594.1.2, which is nobody's.
pub(crate) const OTHER: &[u8] = &[6, 10, 0x2b, 6, 1, 4, 1, 0x83, 0xa2, 0x5a, 1, 2];
/// 1.2.840.10045.4.3.2 and .3.
const ECDSA_SHA256: &[u8] = &[0x30, 10, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2];
pub(crate) const ECDSA_SHA384: &[u8] = &[0x30, 10, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 3];
/// 1.2.840.10045.4.1, with SHA-1.
pub(crate) const ECDSA_SHA1: &[u8] = &[0x30, 9, 6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 1];
const ED25519: &[u8] = &[0x30, 5, 6, 3, 0x2b, 0x65, 0x70];
const P256_KEY: &[u8] = &[
    0x30, 0x59, 0x30, 0x13, 6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7, 3,
    0x42, 0,
];

pub(crate) fn tlv(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let body = parts.concat();
    let mut out = vec![tag];
    match body.len() {
        len @ 0..128 => out.push(len as u8),
        len @ 128..256 => out.extend([0x81, len as u8]),
        len => out.extend([0x82, (len >> 8) as u8, len as u8]),
    }
    out.extend(body);
    out
}

pub(crate) fn signed_key(key: &[u8], signature: &[u8]) -> Vec<u8> {
    tlv(0x30, &[&tlv(4, &[key]), &tlv(4, &[signature])])
}

/// An extension; `critical` as its DER has it.
pub(crate) fn extension(id: &[u8], critical: &[u8], value: &[u8]) -> Vec<u8> {
    tlv(0x30, &[id, critical, &tlv(4, &[value])])
}

pub(crate) const CRITICAL: &[u8] = &[1, 1, 0xff];

/// The parts of a certificate. What is not said is as it should be.
#[derive(Clone)]
pub(crate) struct Recipe {
    pub(crate) version: Vec<u8>,
    pub(crate) algorithm: Vec<u8>,
    pub(crate) outer_algorithm: Option<Vec<u8>>,
    pub(crate) not_before: Vec<u8>,
    pub(crate) not_after: Vec<u8>,
    pub(crate) unique_id: Vec<u8>,
    /// With the explicit tag 3; `None` leaves it out.
    pub(crate) extensions: Option<Vec<Vec<u8>>>,
    pub(crate) ed25519: bool,
    /// Signed by another key.
    pub(crate) forged: bool,
    pub(crate) behind: Vec<u8>,
}

impl Default for Recipe {
    fn default() -> Self {
        Self {
            version: tlv(0xa0, &[&[2, 1, 2]]),
            algorithm: ECDSA_SHA256.to_vec(),
            outer_algorithm: None,
            not_before: tlv(0x17, &[b"231114000000Z"]),
            not_after: tlv(0x18, &[b"21231114000000Z"]),
            unique_id: Vec::new(),
            extensions: Some(vec![extension(LIBP2P, &[], &signed_key(b"identity", b"signature"))]),
            ed25519: false,
            forged: false,
            behind: Vec::new(),
        }
    }
}

/// A certificate and its key as PKCS#8.
pub(crate) struct Made {
    pub(crate) der: Vec<u8>,
    pub(crate) key: Vec<u8>,
    /// `SubjectPublicKeyInfo`.
    pub(crate) public: Vec<u8>,
}

enum Signer {
    P256(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl Signer {
    fn new(ed25519: bool) -> (Self, Vec<u8>) {
        let rng = SystemRandom::new();
        if ed25519 {
            let key = Ed25519KeyPair::generate_pkcs8(&rng).unwrap();
            return (Self::Ed25519(Ed25519KeyPair::from_pkcs8(key.as_ref()).unwrap()), key.as_ref().to_vec());
        }
        let algorithm = &ECDSA_P256_SHA256_ASN1_SIGNING;
        let key = EcdsaKeyPair::generate_pkcs8(algorithm, &rng).unwrap();
        (Self::P256(EcdsaKeyPair::from_pkcs8(algorithm, key.as_ref(), &rng).unwrap()), key.as_ref().to_vec())
    }

    fn public(&self) -> Vec<u8> {
        match self {
            Self::P256(key) => [P256_KEY, key.public_key().as_ref()].concat(),
            Self::Ed25519(key) => tlv(0x30, &[ED25519, &tlv(3, &[&[0], key.public_key().as_ref()])]),
        }
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        match self {
            Self::P256(key) => key.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec(),
            Self::Ed25519(key) => key.sign(message).as_ref().to_vec(),
        }
    }
}

impl Recipe {
    pub(crate) fn extensions(extensions: &[Vec<u8>]) -> Self {
        Self { extensions: Some(extensions.to_vec()), ..Self::default() }
    }

    pub(crate) fn make(&self) -> Made {
        let (signer, key) = Signer::new(self.ed25519);
        let (other, _) = Signer::new(self.ed25519);
        let algorithm = if self.ed25519 { ED25519 } else { &self.algorithm };
        let public = signer.public();
        let extensions = self.extensions.as_ref().map(|list| tlv(0xa3, &[&tlv(0x30, &[&list.concat()])]));
        let body = tlv(
            0x30,
            &[
                &self.version,
                &[2, 1, 7],
                algorithm,
                &tlv(0x30, &[]),
                &tlv(0x30, &[&self.not_before, &self.not_after]),
                &tlv(0x30, &[]),
                &public,
                &self.unique_id,
                &extensions.unwrap_or_default(),
            ],
        );
        let proof = if self.forged { other.sign(&body) } else { signer.sign(&body) };
        let outer = self.outer_algorithm.as_deref().unwrap_or(algorithm);
        let mut der = tlv(0x30, &[&body, outer, &tlv(3, &[&[0], &proof])]);
        der.extend(&self.behind);
        Made { der, key, public }
    }
}
