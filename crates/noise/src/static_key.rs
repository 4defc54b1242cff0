//! The Noise key of a node.

use alloc::vec::Vec;
use core::fmt;

use x25519_dalek::{PublicKey, StaticSecret};

/// What stands before the static key in the bytes that an identity signs.
const SIGNED_PREFIX: &[u8] = b"noise-libp2p-static-key:";

/// A node's X25519 key pair. It is not the identity, which signs it, and should be made anew when a node starts
/// (noise-libp2p, "Static Key Authentication").
#[derive(Clone)]
pub struct StaticKey {
    secret: StaticSecret,
    public: PublicKey,
}

impl StaticKey {
    /// The key pair of 32 random bytes. The public key is computed once, here.
    pub fn from_secret(secret: [u8; 32]) -> Self {
        let secret = StaticSecret::from(secret);
        let public = PublicKey::from(&secret);
        Self { secret, public }
    }

    /// The public key.
    pub fn public(&self) -> &[u8; 32] {
        self.public.as_bytes()
    }

    /// What the identity signs, once a node: `noise-libp2p-static-key:` and the public key.
    pub fn message(&self) -> Vec<u8> {
        signed_message(self.public())
    }

    pub(crate) fn secret(&self) -> &[u8; 32] {
        self.secret.as_bytes()
    }

    /// The shared secret with `public`, or `None` if it is all zeros.
    pub(crate) fn agree(&self, public: [u8; 32]) -> Option<x25519_dalek::SharedSecret> {
        let shared = self.secret.diffie_hellman(&PublicKey::from(public));
        shared.was_contributory().then_some(shared)
    }
}

impl fmt::Debug for StaticKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StaticKey").field("public", self.public()).finish_non_exhaustive()
    }
}

/// The bytes that a signature over the static key `public` covers.
pub(crate) fn signed_message(public: &[u8]) -> Vec<u8> {
    [SIGNED_PREFIX, public].concat()
}
