//! What no channel can do without: sealing and opening in place, by each library in its fastest way; and copying a message
//! into a frame, and the frame to the other end.

use std::hint::black_box;

use chacha20poly1305::{ChaCha20Poly1305, KeyInit, aead::AeadInOut};
use openssl::{cipher::Cipher, cipher_ctx::CipherCtx};

use super::{Channel, MESSAGE_MAX};

const KEY: [u8; 32] = [9; 32];

/// The bytes that are worked on, and the number of the frame.
struct Frame {
    buffer: Vec<u8>,
    number: u64,
}

impl Frame {
    fn new() -> Self {
        Self { buffer: vec![7; MESSAGE_MAX], number: 0 }
    }

    fn next(&mut self, message: &[u8]) -> ([u8; 12], &mut [u8]) {
        self.number += 1;
        let mut nonce = [0; 12];
        nonce[4..].copy_from_slice(&self.number.to_le_bytes());
        (nonce, black_box(&mut self.buffer[..message.len()]))
    }
}

pub(super) struct Ring {
    key: ring::aead::LessSafeKey,
    frame: Frame,
}

impl Ring {
    pub(super) fn new() -> Self {
        let key = ring::aead::UnboundKey::new(&ring::aead::CHACHA20_POLY1305, &KEY).expect("32 bytes");
        Self { key: ring::aead::LessSafeKey::new(key), frame: Frame::new() }
    }
}

impl Channel for Ring {
    fn carry(&mut self, message: &[u8]) -> usize {
        use ring::aead::{Aad, Nonce};
        let (nonce, text) = self.frame.next(message);
        let nonce = || Nonce::assume_unique_for_key(nonce);
        let tag = self.key.seal_in_place_separate_tag(nonce(), Aad::empty(), text).expect("short");
        let opened = self.key.open_in_place_separate_tag(nonce(), Aad::empty(), tag, text, 0..);
        opened.expect("as it was sealed").len()
    }
}

pub(super) struct AwsLc {
    key: aws_lc_rs::aead::LessSafeKey,
    frame: Frame,
}

impl AwsLc {
    pub(super) fn new() -> Self {
        let key = aws_lc_rs::aead::UnboundKey::new(&aws_lc_rs::aead::CHACHA20_POLY1305, &KEY).expect("32 bytes");
        Self { key: aws_lc_rs::aead::LessSafeKey::new(key), frame: Frame::new() }
    }
}

impl Channel for AwsLc {
    fn carry(&mut self, message: &[u8]) -> usize {
        use aws_lc_rs::aead::{Aad, Nonce};
        let (nonce, text) = self.frame.next(message);
        let nonce = || Nonce::assume_unique_for_key(nonce);
        let tag = self.key.seal_in_place_separate_tag(nonce(), Aad::empty(), text).expect("short");
        let opened = self.key.open_in_place_separate_tag(nonce(), Aad::empty(), tag.as_ref(), text);
        opened.expect("as it was sealed").len()
    }
}

pub(super) struct RustCrypto {
    key: ChaCha20Poly1305,
    frame: Frame,
}

impl RustCrypto {
    pub(super) fn new() -> Self {
        Self { key: ChaCha20Poly1305::new(&KEY.into()), frame: Frame::new() }
    }
}

impl Channel for RustCrypto {
    fn carry(&mut self, message: &[u8]) -> usize {
        let (nonce, text) = self.frame.next(message);
        let nonce = nonce.into();
        let tag = self.key.encrypt_inout_detached(&nonce, &[], (&mut *text).into()).expect("short");
        self.key.decrypt_inout_detached(&nonce, &[], (&mut *text).into(), &tag).expect("as it was sealed");
        text.len()
    }
}

pub(super) struct OpenSsl {
    seal: CipherCtx,
    open: CipherCtx,
    frame: Frame,
}

impl OpenSsl {
    pub(super) fn new() -> Self {
        let (mut seal, mut open) = (CipherCtx::new().expect("memory"), CipherCtx::new().expect("memory"));
        seal.encrypt_init(Some(Cipher::chacha20_poly1305()), Some(&KEY), None).expect("32 bytes");
        open.decrypt_init(Some(Cipher::chacha20_poly1305()), Some(&KEY), None).expect("32 bytes");
        Self { seal, open, frame: Frame::new() }
    }
}

impl Channel for OpenSsl {
    fn carry(&mut self, message: &[u8]) -> usize {
        let (nonce, text) = self.frame.next(message);
        let mut tag = [0; 16];
        self.seal.encrypt_init(None, None, Some(&nonce)).expect("12 bytes");
        self.seal.cipher_update_inplace(text, text.len()).expect("room");
        self.seal.cipher_final(&mut []).expect("no rest");
        self.seal.tag(&mut tag).expect("16 bytes");
        self.open.decrypt_init(None, None, Some(&nonce)).expect("12 bytes");
        self.open.set_tag(&tag).expect("16 bytes");
        self.open.cipher_update_inplace(text, text.len()).expect("room");
        self.open.cipher_final(&mut []).expect("as it was sealed");
        text.len()
    }
}

/// The copies alone.
pub(super) struct Copies {
    out: Vec<u8>,
    back: Vec<u8>,
}

impl Copies {
    pub(super) fn new() -> Self {
        Self { out: vec![0; MESSAGE_MAX + 18], back: vec![0; MESSAGE_MAX + 18] }
    }
}

impl Channel for Copies {
    fn carry(&mut self, message: &[u8]) -> usize {
        let len = message.len();
        black_box(&mut self.out[2..2 + len]).copy_from_slice(message);
        let frame = black_box(&self.out[..len + 18]);
        black_box(&mut self.back[..len + 18]).copy_from_slice(frame);
        black_box(&self.back[2..2 + len]).len()
    }
}
