//! By `ring`.

use alloc::boxed::Box;

use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, Tag, UnboundKey};

use super::TAG;

pub(super) const AVAILABLE: bool = true;

/// Boxed: it takes half a KiB, which the keys of other libraries would take along.
pub(crate) struct Key(Box<LessSafeKey>);

impl Key {
    pub(super) fn new(key: &[u8; 32]) -> Option<Self> {
        UnboundKey::new(&CHACHA20_POLY1305, key).ok().map(|key| Self(Box::new(LessSafeKey::new(key))))
    }

    pub(super) fn seal(&self, nonce: [u8; 12], data: &[u8], text: &mut [u8]) -> Option<[u8; TAG]> {
        let nonce = Nonce::assume_unique_for_key(nonce);
        let tag = self.0.seal_in_place_separate_tag(nonce, Aad::from(data), text).ok()?;
        tag.as_ref().try_into().ok()
    }

    pub(super) fn open(&self, nonce: [u8; 12], data: &[u8], text: &mut [u8], tag: [u8; TAG]) -> bool {
        let nonce = Nonce::assume_unique_for_key(nonce);
        self.0.open_in_place_separate_tag(nonce, Aad::from(data), Tag::from(tag), text, 0..).is_ok()
    }
}
