//! The payload of an echo: as many bytes as one likes, made as they are sent, different on each stream.

use sha2::{Digest, Sha256};

/// The bytes of one stream. No two blocks are the same, so that one that is lost, doubled or swapped is seen.
#[derive(Debug)]
pub(crate) struct Pattern {
    state: u64,
    left: u64,
    digest: Sha256,
}

impl Pattern {
    pub(crate) fn new(stream: usize, bytes: u64) -> Self {
        Self { state: (stream as u64).wrapping_mul(0xd134_2543_de82_ef95), left: bytes, digest: Sha256::new() }
    }

    /// Fills as much of `block` as there are bytes left, and returns how many. A block that is not the last one has to
    /// be a multiple of 8 bytes long.
    pub(crate) fn fill(&mut self, block: &mut [u8]) -> usize {
        let n = usize::try_from(self.left).unwrap_or(usize::MAX).min(block.len());
        for eight in block[..n].chunks_mut(8) {
            eight.copy_from_slice(&self.next().to_le_bytes()[..eight.len()]);
        }
        self.left -= n as u64;
        self.digest.update(&block[..n]);
        n
    }

    /// SHA-256 of what was made.
    pub(crate) fn digest(self) -> [u8; 32] {
        self.digest.finalize().into()
    }

    /// splitmix64.
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let x = (self.state ^ (self.state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }
}

/// The digest of the only stream, or of the digests of all in their order.
pub(crate) fn combine(digests: &[[u8; 32]]) -> [u8; 32] {
    match digests {
        [only] => *only,
        all => Sha256::digest(all.concat()).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(stream: usize, bytes: u64, block: usize) -> (Vec<u8>, [u8; 32]) {
        let mut pattern = Pattern::new(stream, bytes);
        let (mut all, mut block) = (Vec::new(), vec![0; block]);
        loop {
            let n = pattern.fill(&mut block);
            if n == 0 {
                return (all, pattern.digest());
            }
            all.extend_from_slice(&block[..n]);
        }
    }

    #[test]
    fn the_size_of_blocks_does_not_matter() {
        let whole = take(3, 1001, 4096);
        assert_eq!(whole.0.len(), 1001);
        assert_eq!(whole, take(3, 1001, 8));
        assert_eq!(whole.1, <[u8; 32]>::from(Sha256::digest(&whole.0)));
        assert_ne!(whole.1, take(4, 1001, 8).1);
        assert!(take(0, 0, 8).0.is_empty());
    }

    #[test]
    fn digests_are_combined_in_order() {
        assert_eq!(combine(&[[1; 32]]), [1; 32]);
        assert_ne!(combine(&[[1; 32], [2; 32]]), combine(&[[2; 32], [1; 32]]));
    }
}
