//! Keys of one direction.

use rustls::ConnectionTrafficSecrets;

use crate::{Error, HEADER, Provider, TAG};

/// A key, prepared for many records.
#[allow(clippy::large_enum_variant, reason = "a box would cost every record a detour")]
pub(crate) enum Key {
    #[cfg(feature = "aws-lc-rs")]
    AwsLc(by_aws_lc::Key),
    #[cfg(feature = "ring")]
    Ring(by_ring::Key),
    #[cfg(not(any(feature = "aws-lc-rs", feature = "ring")))]
    #[allow(dead_code, reason = "there is no key without a provider")]
    None(core::convert::Infallible),
}

#[derive(Clone, Copy)]
enum Kind {
    Aes128Gcm,
    Aes256Gcm,
    ChaCha20Poly1305,
}

impl Key {
    /// The key and the initialisation vector of a direction.
    pub(crate) fn new(provider: Provider, secrets: &ConnectionTrafficSecrets) -> Result<(Self, [u8; 12]), Error> {
        let (kind, key, iv) = match secrets {
            ConnectionTrafficSecrets::Aes128Gcm { key, iv } => (Kind::Aes128Gcm, key, iv),
            ConnectionTrafficSecrets::Aes256Gcm { key, iv } => (Kind::Aes256Gcm, key, iv),
            ConnectionTrafficSecrets::Chacha20Poly1305 { key, iv } => (Kind::ChaCha20Poly1305, key, iv),
            _ => return Err(Error::Library),
        };
        let iv = iv.as_ref().try_into().map_err(|_| Error::Library)?;
        let key = match provider {
            #[cfg(feature = "aws-lc-rs")]
            Provider::AwsLc => by_aws_lc::Key::new(kind, key.as_ref()).map(Self::AwsLc),
            #[cfg(feature = "ring")]
            Provider::Ring => by_ring::Key::new(kind, key.as_ref()).map(Self::Ring),
            #[cfg(not(all(feature = "aws-lc-rs", feature = "ring")))]
            _ => {
                let _ = (kind, key);
                return Err(Error::NoProvider);
            }
        };
        Ok((key.ok_or(Error::Library)?, iv))
    }

    /// Seals `text` in place and returns its tag. `None` only for a text that is much too long.
    pub(crate) fn seal(&self, nonce: [u8; 12], head: [u8; HEADER], text: &mut [u8]) -> Option<[u8; TAG]> {
        match self {
            #[cfg(feature = "aws-lc-rs")]
            Self::AwsLc(key) => key.seal(nonce, head, text),
            #[cfg(feature = "ring")]
            Self::Ring(key) => key.seal(nonce, head, text),
            #[cfg(not(any(feature = "aws-lc-rs", feature = "ring")))]
            Self::None(_) => None.filter(|_: &[u8; TAG]| (nonce.len(), head.len(), text.len()).0 > 0),
        }
    }

    /// Opens `text`, which ends in its tag, in place. Returns the length of the plaintext; with `None` nothing of
    /// `text` may be used.
    pub(crate) fn open(&self, nonce: [u8; 12], head: [u8; HEADER], text: &mut [u8]) -> Option<usize> {
        match self {
            #[cfg(feature = "aws-lc-rs")]
            Self::AwsLc(key) => key.open(nonce, head, text),
            #[cfg(feature = "ring")]
            Self::Ring(key) => key.open(nonce, head, text),
            #[cfg(not(any(feature = "aws-lc-rs", feature = "ring")))]
            Self::None(_) => None.filter(|_: &usize| (nonce.len(), head.len(), text.len()).0 > 0),
        }
    }
}

/// ring and aws-lc-rs have the same names and signatures.
#[allow(unused_macros, reason = "without a provider")]
macro_rules! by {
    ($name:ident, $library:ident) => {
        mod $name {
            use $library::aead::{AES_128_GCM, AES_256_GCM, Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};

            use super::{HEADER, Kind, TAG};

            pub(crate) struct Key(LessSafeKey);

            impl Key {
                pub(super) fn new(kind: Kind, key: &[u8]) -> Option<Self> {
                    let algorithm = match kind {
                        Kind::Aes128Gcm => &AES_128_GCM,
                        Kind::Aes256Gcm => &AES_256_GCM,
                        Kind::ChaCha20Poly1305 => &CHACHA20_POLY1305,
                    };
                    UnboundKey::new(algorithm, key).ok().map(|key| Self(LessSafeKey::new(key)))
                }

                #[inline]
                pub(super) fn seal(&self, nonce: [u8; 12], head: [u8; HEADER], text: &mut [u8]) -> Option<[u8; TAG]> {
                    let nonce = Nonce::assume_unique_for_key(nonce);
                    let tag = self.0.seal_in_place_separate_tag(nonce, Aad::from(head), text).ok()?;
                    tag.as_ref().try_into().ok()
                }

                #[inline]
                pub(super) fn open(&self, nonce: [u8; 12], head: [u8; HEADER], text: &mut [u8]) -> Option<usize> {
                    let nonce = Nonce::assume_unique_for_key(nonce);
                    self.0.open_in_place(nonce, Aad::from(head), text).ok().map(|plain| plain.len())
                }
            }
        }
    };
}

#[cfg(feature = "aws-lc-rs")]
by!(by_aws_lc, aws_lc_rs);
#[cfg(feature = "ring")]
by!(by_ring, ring);
