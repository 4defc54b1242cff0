//! A build without any AEAD compiles, and says so.

#![cfg(not(any(feature = "aws-lc", feature = "openssl", feature = "ring", feature = "rustcrypto")))]

use std::sync::Arc;

use sanswarm_noise::{Aead, Config, Error, Handshake, StaticKey};
use sanswarm_wire::Role;

#[test]
fn without_an_aead_there_is_no_handshake() {
    for aead in Aead::ALL.into_iter().map(Some).chain([None]) {
        let config = Config { aead, ..Config::new(StaticKey::from_secret([1; 32]), &b"key"[..], &b"sig"[..]) };
        assert!(matches!(Handshake::new(Role::Dialer, Arc::new(config), [2; 32]), Err(Error::NoAead)));
    }
}
