//! Where the cryptography comes from.

use rustls::{CipherSuite, crypto::CryptoProvider};

/// A library of cryptography. Peers do not see which one it is.
///
/// Both names always exist. One that is not built in [is not available](Self::is_available), and a key of it is
/// [`Error::NoProvider`](crate::Error::NoProvider).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Provider {
    /// `aws-lc-rs`: the faster one. Feature `aws-lc-rs`.
    AwsLc,
    /// `ring`. Feature `ring`, which is on by default.
    Ring,
}

impl Provider {
    /// The fastest that is built in.
    pub fn fastest() -> Option<Self> {
        [Self::AwsLc, Self::Ring].into_iter().find(|provider| provider.is_available())
    }

    /// Whether it is built in.
    pub const fn is_available(self) -> bool {
        match self {
            Self::AwsLc => cfg!(feature = "aws-lc-rs"),
            Self::Ring => cfg!(feature = "ring"),
        }
    }

    /// What rustls needs, with suites of TLS 1.3 only, or `None` if it is not built in.
    pub(crate) fn crypto(self) -> Option<CryptoProvider> {
        let mut crypto = match self {
            #[cfg(feature = "aws-lc-rs")]
            Self::AwsLc => rustls::crypto::aws_lc_rs::default_provider(),
            #[cfg(feature = "ring")]
            Self::Ring => rustls::crypto::ring::default_provider(),
            #[cfg(not(all(feature = "aws-lc-rs", feature = "ring")))]
            _ => return None,
        };
        crypto.cipher_suites.retain(|suite| suite.tls13().is_some());
        // The fastest where the processor knows AES, and as safe as the others.
        crypto.cipher_suites.sort_by_key(|suite| suite.suite() != CipherSuite::TLS13_AES_128_GCM_SHA256);
        Some(crypto)
    }

    /// A new P-256 key as PKCS#8, or `None` if the provider is not built in or has no random numbers.
    pub(crate) fn generate(self) -> Option<Vec<u8>> {
        match self {
            #[cfg(feature = "aws-lc-rs")]
            Self::AwsLc => {
                use aws_lc_rs::{rand::SystemRandom, signature as s};
                s::EcdsaKeyPair::generate_pkcs8(&s::ECDSA_P256_SHA256_ASN1_SIGNING, &SystemRandom::new())
                    .ok()
                    .map(|key| key.as_ref().to_vec())
            }
            #[cfg(feature = "ring")]
            Self::Ring => {
                use ring::{rand::SystemRandom, signature as s};
                s::EcdsaKeyPair::generate_pkcs8(&s::ECDSA_P256_SHA256_ASN1_SIGNING, &SystemRandom::new())
                    .ok()
                    .map(|key| key.as_ref().to_vec())
            }
            #[cfg(not(all(feature = "aws-lc-rs", feature = "ring")))]
            _ => None,
        }
    }
}
