//! ChaCha20-Poly1305 by one of several libraries.

use crate::TAG;

mod missing;

#[cfg(all(feature = "aws-lc", not(any(target_arch = "wasm32", target_os = "none"))))]
mod aws_lc;
#[cfg(not(all(feature = "aws-lc", not(any(target_arch = "wasm32", target_os = "none")))))]
use missing as aws_lc;

#[cfg(all(feature = "openssl", not(any(target_arch = "wasm32", target_os = "none"))))]
mod openssl;
#[cfg(not(all(feature = "openssl", not(any(target_arch = "wasm32", target_os = "none")))))]
use missing as openssl;

#[cfg(all(feature = "ring", not(any(target_arch = "wasm32", target_os = "none"))))]
mod ring;
#[cfg(not(all(feature = "ring", not(any(target_arch = "wasm32", target_os = "none")))))]
use missing as ring;

#[cfg(any(feature = "rustcrypto", target_arch = "wasm32", target_os = "none"))]
mod rustcrypto;
#[cfg(not(any(feature = "rustcrypto", target_arch = "wasm32", target_os = "none")))]
use missing as rustcrypto;

/// A library that does ChaCha20-Poly1305. All make the same bytes.
///
/// Every name always exists. One that is not built in [is not available](Self::is_available), and a handshake with it is
/// [`Error::NoAead`](crate::Error::NoAead). `docs/performance.md` has their speeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Aead {
    /// `openssl`, the system's library, for frames of 2.5 KiB and more, which it does a third faster than the others.
    /// Smaller ones are done by `aws-lc-rs` or `ring` if one of them is built in. Feature `openssl`; never on wasm32 or
    /// without an OS.
    OpenSsl,
    /// `ring`. It keeps 32 bytes of an idle direction. Feature `ring`, which is on by default; never on wasm32 or without
    /// an OS.
    Ring,
    /// `aws-lc-rs`, as fast as `ring`, but it keeps 600 bytes of a direction. Feature `aws-lc`, which is on by default;
    /// never on wasm32 or without an OS.
    AwsLc,
    /// `chacha20poly1305`: pure Rust. Feature `rustcrypto`; always on wasm32 and without an OS.
    RustCrypto,
}

impl Aead {
    /// All of them, the fastest first; of those that are as fast, the smallest.
    pub const ALL: [Self; 4] = [Self::OpenSsl, Self::Ring, Self::AwsLc, Self::RustCrypto];

    /// The fastest that is built in.
    pub fn fastest() -> Option<Self> {
        Self::ALL.into_iter().find(|aead| aead.is_available())
    }

    /// Whether it is built in.
    pub const fn is_available(self) -> bool {
        match self {
            Self::OpenSsl => openssl::AVAILABLE,
            Self::AwsLc => aws_lc::AVAILABLE,
            Self::Ring => ring::AVAILABLE,
            Self::RustCrypto => rustcrypto::AVAILABLE,
        }
    }
}

/// A key, prepared for many frames of one direction.
pub(crate) enum Key {
    OpenSsl(openssl::Key),
    AwsLc(aws_lc::Key),
    Ring(ring::Key),
    RustCrypto(rustcrypto::Key),
}

impl Key {
    /// Prepares `key`, or `None` if `aead` is not built in.
    pub(crate) fn new(aead: Aead, key: &[u8; 32]) -> Option<Self> {
        match aead {
            Aead::OpenSsl => openssl::Key::new(key).map(Self::OpenSsl),
            Aead::AwsLc => aws_lc::Key::new(key).map(Self::AwsLc),
            Aead::Ring => ring::Key::new(key).map(Self::Ring),
            Aead::RustCrypto => rustcrypto::Key::new(key).map(Self::RustCrypto),
        }
    }

    /// Seals `text` in place and returns its tag. `None` only for a text of 2^31 bytes or more.
    pub(crate) fn seal(&mut self, nonce: u64, data: &[u8], text: &mut [u8]) -> Option<[u8; TAG]> {
        match self {
            Self::OpenSsl(key) => key.seal(noise_nonce(nonce), data, text),
            Self::AwsLc(key) => key.seal(noise_nonce(nonce), data, text),
            Self::Ring(key) => key.seal(noise_nonce(nonce), data, text),
            Self::RustCrypto(key) => key.seal(noise_nonce(nonce), data, text),
        }
    }

    /// Opens `text` in place. If the answer is false, nothing of `text` may be used.
    #[must_use]
    pub(crate) fn open(&mut self, nonce: u64, data: &[u8], text: &mut [u8], tag: [u8; TAG]) -> bool {
        match self {
            Self::OpenSsl(key) => key.open(noise_nonce(nonce), data, text, tag),
            Self::AwsLc(key) => key.open(noise_nonce(nonce), data, text, tag),
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

#[cfg(test)]
mod tests {
    use alloc::{vec, vec::Vec};

    use super::*;

    fn keys(secret: [u8; 32]) -> Vec<(Aead, Key)> {
        Aead::ALL.into_iter().filter_map(|aead| Some((aead, Key::new(aead, &secret)?))).collect()
    }

    #[test]
    fn a_key_exists_where_the_library_does() {
        for aead in Aead::ALL {
            assert_eq!(Key::new(aead, &[0; 32]).is_some(), aead.is_available());
        }
        assert_eq!(Aead::OpenSsl.is_available(), cfg!(feature = "openssl"));
        assert_eq!(Aead::AwsLc.is_available(), cfg!(feature = "aws-lc"));
        assert_eq!(Aead::Ring.is_available(), cfg!(feature = "ring"));
        assert_eq!(Aead::RustCrypto.is_available(), cfg!(feature = "rustcrypto"));
        assert_eq!(Aead::fastest().is_some(), Aead::ALL.iter().any(|aead| aead.is_available()));
    }

    #[test]
    fn sealed_texts_open_once_and_only_as_they_were() {
        for len in [0, 9, 2559, 2560, 5000] {
            for (aead, mut key) in keys([7; 32]) {
                let plain = vec![5; len];
                let mut text = plain.clone();
                let tag = key.seal(5, b"data", &mut text).unwrap();
                assert_eq!(text == plain, len == 0, "{aead:?}");
                let sealed = text.clone();
                let mut other_tag = tag;
                other_tag[15] ^= 1;
                for (nonce, data, tag) in [(6, &b"data"[..], tag), (5, b"dat", tag), (5, b"data", other_tag)] {
                    text.clone_from(&sealed);
                    assert!(!key.open(nonce, data, &mut text, tag), "{aead:?}");
                }
                for at in [0, len / 2].into_iter().filter(|at| *at < len) {
                    text.clone_from(&sealed);
                    text[at] ^= 1;
                    assert!(!key.open(5, b"data", &mut text, tag), "{aead:?}");
                }
                text.clone_from(&sealed);
                assert!(key.open(5, b"data", &mut text, tag), "{aead:?}, and after it has failed");
                assert_eq!(text, plain);
            }
        }
    }

    #[test]
    fn the_libraries_agree() {
        for (len, nonce) in [(0, 0), (1, 1), (300, u64::MAX - 1), (2559, 2), (2560, 3), (65_519, 4)] {
            let sealed: Vec<_> = keys([9; 32])
                .into_iter()
                .map(|(_, mut key)| {
                    let mut text = vec![1; len];
                    (key.seal(nonce, b"x", &mut text), text)
                })
                .collect();
            assert!(sealed.windows(2).all(|pair| pair[0] == pair[1]), "{len} bytes");
        }
        assert_eq!(noise_nonce(0x0102), [0, 0, 0, 0, 2, 1, 0, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn what_one_seals_all_others_open() {
        for (len, nonce) in [(64, 7), (2560, 8), (65_519, 9)] {
            for (by, mut from) in keys([3; 32]) {
                for (aead, mut to) in keys([3; 32]) {
                    let mut text = vec![0x5a; len];
                    let tag = from.seal(nonce, b"", &mut text).unwrap();
                    assert!(to.open(nonce, b"", &mut text, tag), "sealed by {by:?}, opened by {aead:?}");
                    assert_eq!(text, vec![0x5a; len]);
                }
            }
        }
    }
}
