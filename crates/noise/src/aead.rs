//! ChaCha20-Poly1305 by one of two libraries.

use crate::TAG;

/// A library that does ChaCha20-Poly1305. All make the same bytes.
///
/// Both names always exist. One that is not built in [is not available](Self::is_available), and a handshake with it is
/// [`Error::NoAead`](crate::Error::NoAead).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aead {
    /// `ring`: the faster one, above all for small frames. Feature `ring`, which is on by default; never on wasm32 or
    /// without an OS.
    Ring,
    /// `chacha20poly1305`: pure Rust. Feature `rustcrypto`; always on wasm32 and without an OS.
    RustCrypto,
}

impl Aead {
    /// The fastest that is built in.
    pub fn fastest() -> Option<Self> {
        [Self::Ring, Self::RustCrypto].into_iter().find(|aead| aead.is_available())
    }

    /// Whether it is built in.
    pub const fn is_available(self) -> bool {
        match self {
            Self::Ring => by_ring::AVAILABLE,
            Self::RustCrypto => by_rustcrypto::AVAILABLE,
        }
    }
}

/// A key, prepared for many frames.
#[allow(clippy::large_enum_variant, reason = "a box would cost every frame a detour")]
pub(crate) enum Key {
    Ring(by_ring::Key),
    RustCrypto(by_rustcrypto::Key),
}

impl Key {
    /// Prepares `key`, or `None` if `aead` is not built in.
    pub(crate) fn new(aead: Aead, key: &[u8; 32]) -> Option<Self> {
        match aead {
            Aead::Ring => by_ring::Key::new(key).map(Self::Ring),
            Aead::RustCrypto => by_rustcrypto::Key::new(key).map(Self::RustCrypto),
        }
    }

    /// Seals `text` in place and returns its tag. `None` only for a text of 2^38 bytes.
    pub(crate) fn seal(&self, nonce: u64, data: &[u8], text: &mut [u8]) -> Option<[u8; TAG]> {
        match self {
            Self::Ring(key) => key.seal(noise_nonce(nonce), data, text),
            Self::RustCrypto(key) => key.seal(noise_nonce(nonce), data, text),
        }
    }

    /// Opens `text` in place. If the answer is false, nothing of `text` may be used.
    #[must_use]
    pub(crate) fn open(&self, nonce: u64, data: &[u8], text: &mut [u8], tag: [u8; TAG]) -> bool {
        match self {
            Self::Ring(key) => key.open(noise_nonce(nonce), data, text, tag),
            Self::RustCrypto(key) => key.open(noise_nonce(nonce), data, text, tag),
        }
    }
}

/// Four zero bytes and the counter, little-endian (Noise 12.3).
fn noise_nonce(nonce: u64) -> [u8; 12] {
    let mut bytes = [0; 12];
    bytes[4..].copy_from_slice(&nonce.to_le_bytes());
    bytes
}

#[cfg(all(feature = "ring", not(any(target_arch = "wasm32", target_os = "none"))))]
mod by_ring {
    use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, Tag, UnboundKey};

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
            self.0.open_in_place_separate_tag(nonce, Aad::from(data), Tag::from(tag), text, 0..).is_ok()
        }
    }
}

#[cfg(not(all(feature = "ring", not(any(target_arch = "wasm32", target_os = "none")))))]
use missing as by_ring;

#[cfg(any(feature = "rustcrypto", target_arch = "wasm32", target_os = "none"))]
mod by_rustcrypto {
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
}

#[cfg(not(any(feature = "rustcrypto", target_arch = "wasm32", target_os = "none")))]
use missing as by_rustcrypto;

/// What stands where a library is not built in: a key that nobody can have.
#[allow(dead_code, reason = "unused if all libraries are built in")]
mod missing {
    use super::TAG;

    pub(super) const AVAILABLE: bool = false;

    pub(crate) enum Key {}

    impl Key {
        pub(super) fn new(_: &[u8; 32]) -> Option<Self> {
            None
        }

        pub(super) fn seal(&self, _: [u8; 12], _: &[u8], _: &mut [u8]) -> Option<[u8; TAG]> {
            match *self {}
        }

        pub(super) fn open(&self, _: [u8; 12], _: &[u8], _: &mut [u8], _: [u8; TAG]) -> bool {
            match *self {}
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    fn keys(secret: [u8; 32]) -> Vec<Key> {
        [Aead::Ring, Aead::RustCrypto].into_iter().filter_map(|aead| Key::new(aead, &secret)).collect()
    }

    #[test]
    fn a_key_exists_where_the_library_does() {
        for aead in [Aead::Ring, Aead::RustCrypto] {
            assert_eq!(Key::new(aead, &[0; 32]).is_some(), aead.is_available());
        }
        assert_eq!(Aead::Ring.is_available(), cfg!(feature = "ring"));
        assert_eq!(Aead::fastest().is_some(), cfg!(any(feature = "ring", feature = "rustcrypto")));
    }

    #[test]
    fn sealed_texts_open_once_and_only_as_they_were() {
        for key in keys([7; 32]) {
            let mut text = *b"plaintext";
            let tag = key.seal(5, b"data", &mut text).unwrap();
            assert_ne!(&text, b"plaintext");
            let sealed = text;
            for (nonce, data, flip) in [(6, &b"data"[..], 0), (5, b"dat", 0), (5, b"data", 1)] {
                text = sealed;
                text[3] ^= flip;
                assert!(!key.open(nonce, data, &mut text, tag));
                assert_ne!(&text, b"plaintext");
            }
            text = sealed;
            assert!(key.open(5, b"data", &mut text, tag));
            assert_eq!(&text, b"plaintext");
        }
    }

    #[test]
    fn the_libraries_agree() {
        let sealed: Vec<_> = keys([9; 32])
            .iter()
            .map(|key| {
                let mut text = [1; 300];
                (key.seal(u64::MAX - 1, b"x", &mut text), text)
            })
            .collect();
        assert!(sealed.windows(2).all(|pair| pair[0] == pair[1]));
        assert_eq!(noise_nonce(0x0102), [0, 0, 0, 0, 2, 1, 0, 0, 0, 0, 0, 0]);
    }
}
