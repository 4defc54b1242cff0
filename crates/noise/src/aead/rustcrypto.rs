//! By `chacha20poly1305`.

use chacha20poly1305::{ChaCha20Poly1305, KeyInit, aead::AeadInOut};

use super::TAG;

pub(super) const AVAILABLE: bool = true;

pub(crate) struct Key(ChaCha20Poly1305);

impl Key {
    #[allow(clippy::unnecessary_wraps, reason = "the same shape as the others")]
    pub(super) fn new(key: &[u8; 32]) -> Option<Self> {
        Some(Self(ChaCha20Poly1305::new(key.into())))
    }

    pub(super) fn seal(&self, nonce: [u8; 12], data: &[u8], text: &mut [u8]) -> Option<[u8; TAG]> {
        self.0.encrypt_inout_detached(&nonce.into(), data, text.into()).ok().map(Into::into)
    }

    pub(super) fn open(&self, nonce: [u8; 12], data: &[u8], text: &mut [u8], tag: [u8; TAG]) -> bool {
        self.0.decrypt_inout_detached(&nonce.into(), data, text.into(), &tag.into()).is_ok()
    }
}
