//! What a node sets.

use alloc::vec::Vec;

use bytes::Bytes;

use crate::{Aead, StaticKey};

/// What all handshakes of a node have in common.
#[derive(Clone, Debug)]
pub struct Config {
    /// The node's Noise key, prepared for the library that agrees on keys: see [`StaticKey::with_dh`].
    pub key: StaticKey,
    /// The identity's public key, as a `PublicKey` protobuf.
    pub identity_key: Bytes,
    /// The identity's signature over [`StaticKey::message`].
    pub signature: Bytes,
    /// The muxers to offer, the preferred one first; with none the extension is not sent.
    pub muxers: Vec<Bytes>,
    /// What the peer may cost.
    pub limits: Limits,
    /// The AEAD; `None` takes the [fastest](Aead::fastest) that is built in.
    pub aead: Option<Aead>,
}

impl Config {
    /// A config that offers no muxers, with the default limits and the fastest AEAD.
    pub fn new(key: StaticKey, identity_key: impl Into<Bytes>, signature: impl Into<Bytes>) -> Self {
        Self {
            key,
            identity_key: identity_key.into(),
            signature: signature.into(),
            muxers: Vec::new(),
            limits: Limits::default(),
            aead: None,
        }
    }
}

/// What the peer may cost before it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The longest message of a handshake, in bytes without its length. Default 16 KiB, at most 65,535.
    ///
    /// It stops strangers from making a listener hold and decode 64 KiB each. A payload with an RSA identity of 8192
    /// bits takes under 3 KiB. Own payloads keep it too.
    pub handshake_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { handshake_bytes: 16 * 1024 }
    }
}
