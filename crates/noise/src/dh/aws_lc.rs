//! By `aws-lc-rs`.

use alloc::sync::Arc;

use aws_lc_rs::agreement::{PrivateKey, UnparsedPublicKey, X25519, agree};
use zeroize::Zeroizing;

pub(super) const AVAILABLE: bool = true;

#[derive(Clone)]
pub(crate) struct Secret(Arc<PrivateKey>);

impl Secret {
    pub(super) fn new(secret: &[u8; 32]) -> Option<(Self, [u8; 32])> {
        let secret = PrivateKey::from_private_key(&X25519, secret).ok()?;
        let public = secret.compute_public_key().ok()?.as_ref().try_into().ok()?;
        Some((Self(Arc::new(secret)), public))
    }

    /// The library refuses what gives zeros.
    pub(super) fn agree(&self, public: [u8; 32]) -> Option<Zeroizing<[u8; 32]>> {
        let public = UnparsedPublicKey::new(&X25519, public);
        agree(&self.0, public, None, |shared| shared.try_into().map(Zeroizing::new).map_err(|_| None::<()>)).ok()
    }
}
