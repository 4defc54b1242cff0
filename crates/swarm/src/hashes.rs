//! Tables of peers.

use core::hash::{BuildHasher, Hasher as _};
use std::collections::{HashMap, hash_map::DefaultHasher};

use libp2p_identity::PeerId;

/// What is known by peer: looked up, and never gone through, so that its order does not matter. However many there are, a
/// look-up takes the same time.
pub(crate) type PeerMap<T> = HashMap<PeerId, T, Hashes>;

/// Hashes that the seed of a swarm decides: strangers, who choose their ids, cannot choose them to collide.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Hashes(u64);

impl Hashes {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }
}

impl BuildHasher for Hashes {
    type Hasher = DefaultHasher;

    fn build_hasher(&self) -> DefaultHasher {
        let mut hasher = DefaultHasher::new();
        hasher.write_u64(self.0);
        hasher
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seed_decides_the_hashes() {
        let hash = |seed| Hashes::new(seed).hash_one(PeerId::from_bytes(&[0, 1, 7]).unwrap());
        assert_eq!(hash(1), hash(1));
        assert_ne!(hash(1), hash(2));
    }
}
