//! The Noise key of a node.

use core::fmt;

use zeroize::Zeroizing;

use crate::{Dh, dh::Secret};

/// What stands before the static key in the bytes that an identity signs.
const SIGNED_PREFIX: [u8; 24] = *b"noise-libp2p-static-key:";

/// A node's X25519 key pair. It is not the identity, which signs it, and should be made anew when a node starts
/// (noise-libp2p, "Static Key Authentication").
///
/// It is prepared for one library, which does all agreements of the handshakes that it is used in. Clones are cheap.
#[derive(Clone)]
pub struct StaticKey {
    secret: Secret,
    public: [u8; 32],
}

impl StaticKey {
    /// The key pair of 32 random bytes, for the [fastest](Dh::fastest) library. What can be computed ahead is computed
    /// here, once.
    pub fn from_secret(secret: [u8; 32]) -> Self {
        Self::with_dh(Dh::fastest(), secret).unwrap_or_else(|| Self::with_dalek(secret))
    }

    /// The same for the library that is named, or `None` if that is not built in.
    pub fn with_dh(dh: Dh, secret: [u8; 32]) -> Option<Self> {
        let secret = Zeroizing::new(secret);
        Secret::new(dh, &secret).map(|(secret, public)| Self { secret, public })
    }

    fn with_dalek(secret: [u8; 32]) -> Self {
        let (secret, public) = Secret::by_dalek(&Zeroizing::new(secret));
        Self { secret, public }
    }

    /// The library that it is prepared for.
    pub fn dh(&self) -> Dh {
        self.secret.dh()
    }

    /// The public key.
    pub fn public(&self) -> &[u8; 32] {
        &self.public
    }

    /// What the identity signs, once a node: `noise-libp2p-static-key:` and the public key.
    pub fn message(&self) -> [u8; 56] {
        signed_message(self.public())
    }

    /// The shared secret with `public`, or `None` if it is all zeros.
    pub(crate) fn agree(&self, public: [u8; 32]) -> Option<Zeroizing<[u8; 32]>> {
        self.secret.agree(public)
    }
}

impl fmt::Debug for StaticKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StaticKey").field("public", self.public()).field("dh", &self.dh()).finish_non_exhaustive()
    }
}

/// The bytes that a signature over the static key `public` covers.
pub(crate) fn signed_message(public: &[u8; 32]) -> [u8; 56] {
    let mut message = [0; 56];
    message[..24].copy_from_slice(&SIGNED_PREFIX);
    message[24..].copy_from_slice(public);
    message
}
