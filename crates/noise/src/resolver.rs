//! The primitives that snow runs the handshake with.

use alloc::boxed::Box;

use sha2::{Digest, Sha256};
use snow::{
    params::{CipherChoice, DHChoice, HashChoice},
    resolvers::CryptoResolver,
    types::{Cipher, Dh, Hash, Random},
};
use zeroize::Zeroizing;

use crate::{Aead, StaticKey, TAG, aead::Key};

/// Primitives for one handshake, with its ephemeral secret.
pub(crate) struct Resolver {
    pub(crate) key: StaticKey,
    pub(crate) ephemeral: Zeroizing<[u8; 32]>,
    pub(crate) aead: Aead,
}

impl CryptoResolver for Resolver {
    fn resolve_rng(&self) -> Option<Box<dyn Random>> {
        Some(Box::new(Once(Some(self.ephemeral.clone()))))
    }

    fn resolve_dh(&self, choice: &DHChoice) -> Option<Box<dyn Dh>> {
        (*choice == DHChoice::Curve25519).then(|| Box::new(X25519(self.key.clone())) as Box<dyn Dh>)
    }

    fn resolve_hash(&self, choice: &HashChoice) -> Option<Box<dyn Hash>> {
        (*choice == HashChoice::SHA256).then(|| Box::new(Sha(Sha256::new())) as Box<dyn Hash>)
    }

    fn resolve_cipher(&self, choice: &CipherChoice) -> Option<Box<dyn Cipher>> {
        let cipher = ChaChaPoly { aead: self.aead, key: Zeroizing::new([0; 32]) };
        (*choice == CipherChoice::ChaChaPoly).then(|| Box::new(cipher) as Box<dyn Cipher>)
    }
}

/// Hands the given secret out, once.
struct Once(Option<Zeroizing<[u8; 32]>>);

impl Random for Once {
    fn try_fill_bytes(&mut self, dest: &mut [u8]) -> Result<(), snow::Error> {
        match self.0.take() {
            Some(secret) if dest.len() == secret.len() => dest.copy_from_slice(&secret[..]),
            _ => return Err(snow::Error::Rng),
        }
        Ok(())
    }
}

/// A key pair. It starts as the node's static one, so that its public key is not computed for each handshake.
struct X25519(StaticKey);

impl Dh for X25519 {
    fn name(&self) -> &'static str {
        "25519"
    }

    fn pub_len(&self) -> usize {
        32
    }

    fn priv_len(&self) -> usize {
        32
    }

    /// snow sets the static key only, which is there already.
    fn set(&mut self, _: &[u8]) {}

    fn generate(&mut self, rng: &mut dyn Random) -> Result<(), snow::Error> {
        let mut secret = Zeroizing::new([0; 32]);
        rng.try_fill_bytes(&mut secret[..])?;
        self.0 = StaticKey::with_dh(self.0.dh(), *secret).ok_or(snow::Error::Dh)?;
        Ok(())
    }

    fn pubkey(&self) -> &[u8] {
        self.0.public()
    }

    /// snow asks for it only to hand it out, which nobody wants.
    fn privkey(&self) -> &[u8] {
        &[]
    }

    fn dh(&self, public: &[u8], out: &mut [u8]) -> Result<(), snow::Error> {
        let public = public.first_chunk().ok_or(snow::Error::Dh)?;
        let shared = self.0.agree(*public).ok_or(snow::Error::Dh)?;
        out.first_chunk_mut().ok_or(snow::Error::Dh)?.clone_from(&shared);
        Ok(())
    }
}

struct Sha(Sha256);

impl Hash for Sha {
    fn name(&self) -> &'static str {
        "SHA256"
    }

    fn block_len(&self) -> usize {
        64
    }

    fn hash_len(&self) -> usize {
        32
    }

    fn reset(&mut self) {
        self.0 = Sha256::new();
    }

    fn input(&mut self, data: &[u8]) {
        self.0.update(data);
    }

    fn result(&mut self, out: &mut [u8]) {
        out[..32].copy_from_slice(&self.0.finalize_reset());
    }
}

/// A key of the handshake seals or opens two texts at most, and those of the split none, so it is prepared for each.
struct ChaChaPoly {
    aead: Aead,
    key: Zeroizing<[u8; 32]>,
}

impl ChaChaPoly {
    fn prepared(&self) -> Option<Key> {
        Key::new(self.aead, &self.key)
    }
}

impl Cipher for ChaChaPoly {
    fn name(&self) -> &'static str {
        "ChaChaPoly"
    }

    fn set(&mut self, key: &[u8; 32]) {
        self.key.copy_from_slice(key);
    }

    /// `out` has room for the tag: snow checks that. Without a library, which cannot be, the message would stay empty
    /// and the peer refuse it.
    fn encrypt(&self, nonce: u64, data: &[u8], plaintext: &[u8], out: &mut [u8]) -> usize {
        let (text, rest) = out.split_at_mut(plaintext.len());
        text.copy_from_slice(plaintext);
        match self.prepared().and_then(|mut key| key.seal(nonce, data, text)) {
            Some(tag) => rest[..TAG].copy_from_slice(&tag),
            None => {
                text.fill(0);
                return 0;
            }
        }
        plaintext.len() + TAG
    }

    fn decrypt(&self, nonce: u64, data: &[u8], sealed: &[u8], out: &mut [u8]) -> Result<usize, snow::Error> {
        let (text, tag) = sealed.split_last_chunk().ok_or(snow::Error::Decrypt)?;
        let out = out.get_mut(..text.len()).ok_or(snow::Error::Decrypt)?;
        out.copy_from_slice(text);
        let opened = self.prepared().is_some_and(|mut key| key.open(nonce, data, out, *tag));
        if opened { Ok(text.len()) } else { Err(snow::Error::Decrypt) }
    }
}
