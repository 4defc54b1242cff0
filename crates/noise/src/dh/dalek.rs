//! By `x25519-dalek`.

use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroizing;

#[derive(Clone)]
pub(crate) struct Secret(StaticSecret);

impl Secret {
    pub(super) fn new(secret: [u8; 32]) -> (Self, [u8; 32]) {
        let secret = StaticSecret::from(secret);
        let public = PublicKey::from(&secret).to_bytes();
        (Self(secret), public)
    }

    pub(super) fn agree(&self, public: [u8; 32]) -> Option<Zeroizing<[u8; 32]>> {
        let shared = self.0.diffie_hellman(&PublicKey::from(public));
        shared.was_contributory().then(|| Zeroizing::new(shared.to_bytes()))
    }
}
