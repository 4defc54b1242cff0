//! By `aws-lc-rs`.

use aws_lc_rs::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};

use super::TAG;

pub(super) const AVAILABLE: bool = true;

pub(crate) struct Key(LessSafeKey);

impl Key {
    pub(super) fn new(key: &[u8; 32]) -> Option<Self> {
        UnboundKey::new(&CHACHA20_POLY1305, key).ok().map(|key| Self(LessSafeKey::new(key)))
    }

    pub(super) fn seal(&self, nonce: [u8; 12], data: &[u8], text: &mut [u8]) -> Option<[u8; TAG]> {
        let nonce = Nonce::assume_unique_for_key(nonce);
        let tag = self.0.seal_in_place_separate_tag(nonce, Aad::from(data), text).ok()?;
        tag.as_ref().try_into().ok()
    }

    pub(super) fn open(&self, nonce: [u8; 12], data: &[u8], text: &mut [u8], tag: [u8; TAG]) -> bool {
        let nonce = Nonce::assume_unique_for_key(nonce);
        self.0.open_in_place_separate_tag(nonce, Aad::from(data), &tag, text).is_ok()
    }
}
