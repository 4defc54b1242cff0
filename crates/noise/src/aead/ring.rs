//! By `ring`.

use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, Tag, UnboundKey};
use zeroize::Zeroizing;

use super::TAG;

pub(super) const AVAILABLE: bool = true;

/// The bare key. ring prepares it by a copy, into something that takes half a KiB: made for each frame, an idle connection
/// does without.
pub(crate) struct Key(Zeroizing<[u8; 32]>);

impl Key {
    #[allow(clippy::unnecessary_wraps, reason = "the same shape as the others")]
    pub(super) fn new(key: &[u8; 32]) -> Option<Self> {
        Some(Self(Zeroizing::new(*key)))
    }

    fn prepare(&self) -> Option<LessSafeKey> {
        UnboundKey::new(&CHACHA20_POLY1305, &self.0[..]).ok().map(LessSafeKey::new)
    }

    pub(super) fn seal(&self, nonce: [u8; 12], data: &[u8], text: &mut [u8]) -> Option<[u8; TAG]> {
        let nonce = Nonce::assume_unique_for_key(nonce);
        let tag = self.prepare()?.seal_in_place_separate_tag(nonce, Aad::from(data), text).ok()?;
        tag.as_ref().try_into().ok()
    }

    pub(super) fn open(&self, nonce: [u8; 12], data: &[u8], text: &mut [u8], tag: [u8; TAG]) -> bool {
        let nonce = Nonce::assume_unique_for_key(nonce);
        let Some(key) = self.prepare() else { return false };
        key.open_in_place_separate_tag(nonce, Aad::from(data), Tag::from(tag), text, 0..).is_ok()
    }
}
