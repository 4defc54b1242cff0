//! By the system's OpenSSL, small frames by another library if there is one.

use openssl::{
    cipher::Cipher,
    cipher_ctx::{CipherCtx, CipherCtxRef},
    error::ErrorStack,
};

use super::{TAG, aws_lc, ring};

pub(super) const AVAILABLE: bool = true;

/// From so many bytes on OpenSSL is the faster one. A call of it takes half a microsecond before the first byte.
const LARGE: usize = 2560;

pub(crate) struct Key {
    small: Option<Small>,
    /// It keeps the key: only the nonce is set for each frame.
    large: CipherCtx,
}

enum Small {
    AwsLc(aws_lc::Key),
    Ring(ring::Key),
}

impl Key {
    pub(super) fn new(key: &[u8; 32]) -> Option<Self> {
        let mut large = CipherCtx::new().ok()?;
        large.encrypt_init(Some(Cipher::chacha20_poly1305()), Some(key), None).ok()?;
        let small = aws_lc::Key::new(key).map(Small::AwsLc).or_else(|| ring::Key::new(key).map(Small::Ring));
        Some(Self { small, large })
    }

    pub(super) fn seal(&mut self, nonce: [u8; 12], data: &[u8], text: &mut [u8]) -> Option<[u8; TAG]> {
        match &self.small {
            Some(Small::AwsLc(key)) if text.len() < LARGE => key.seal(nonce, data, text),
            Some(Small::Ring(key)) if text.len() < LARGE => key.seal(nonce, data, text),
            _ => seal(&mut self.large, nonce, data, text).ok(),
        }
    }

    pub(super) fn open(&mut self, nonce: [u8; 12], data: &[u8], text: &mut [u8], tag: [u8; TAG]) -> bool {
        match &self.small {
            Some(Small::AwsLc(key)) if text.len() < LARGE => key.open(nonce, data, text, tag),
            Some(Small::Ring(key)) if text.len() < LARGE => key.open(nonce, data, text, tag),
            _ => open(&mut self.large, nonce, data, text, tag).is_ok(),
        }
    }
}

fn seal(ctx: &mut CipherCtxRef, nonce: [u8; 12], data: &[u8], text: &mut [u8]) -> Result<[u8; TAG], ErrorStack> {
    ctx.encrypt_init(None, None, Some(&nonce))?;
    update(ctx, data, text)?;
    ctx.cipher_final(&mut [])?;
    let mut tag = [0; TAG];
    ctx.tag(&mut tag)?;
    Ok(tag)
}

fn open(
    ctx: &mut CipherCtxRef,
    nonce: [u8; 12],
    data: &[u8],
    text: &mut [u8],
    tag: [u8; TAG],
) -> Result<(), ErrorStack> {
    ctx.decrypt_init(None, None, Some(&nonce))?;
    ctx.set_tag(&tag)?;
    update(ctx, data, text)?;
    ctx.cipher_final(&mut []).map(drop)
}

/// OpenSSL takes an empty input for the end of all, so it is given none.
fn update(ctx: &mut CipherCtxRef, data: &[u8], text: &mut [u8]) -> Result<(), ErrorStack> {
    if !data.is_empty() {
        ctx.cipher_update(data, None)?;
    }
    if !text.is_empty() {
        ctx.cipher_update_inplace(text, text.len())?;
    }
    Ok(())
}
