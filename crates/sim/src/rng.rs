//! Randomness that a seed decides.

use core::time::Duration;

/// SplitMix64: small, fast, and the same on every machine. Not for secrets.
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// The generator of this seed.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Another generator, which this one's state and `tag` decide. What one draws does not change what the other does.
    pub fn fork(&mut self, tag: u64) -> Self {
        let mut rng = Self(self.next_u64() ^ tag.wrapping_mul(0xd6e8_feb8_6659_fd93));
        Self(rng.next_u64())
    }

    /// 64 random bits.
    pub const fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `n`; 0 where `n` is 0.
    pub fn below(&mut self, n: u64) -> u64 {
        ((u128::from(self.next_u64()) * u128::from(n)) >> 64) as u64
    }

    /// An index of a slice of this length; 0 of an empty one.
    pub fn index(&mut self, len: usize) -> usize {
        self.below(len as u64) as usize
    }

    /// True `n` times of `of`.
    pub fn chance(&mut self, n: u64, of: u64) -> bool {
        n > 0 && self.below(of) < n
    }

    /// A time below `max`, in whole microseconds.
    pub fn time(&mut self, max: Duration) -> Duration {
        Duration::from_micros(self.below(u64::try_from(max.as_micros()).unwrap_or(u64::MAX)))
    }

    /// 32 random bytes.
    pub fn bytes32(&mut self) -> [u8; 32] {
        let mut bytes = [0; 32];
        bytes.chunks_exact_mut(8).for_each(|eight| eight.copy_from_slice(&self.next_u64().to_le_bytes()));
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sequence_is_the_published_one() {
        // The reference implementation's first values of the seed 1234567.
        let mut rng = Rng::new(1_234_567);
        assert_eq!([rng.next_u64(), rng.next_u64()], [6_457_827_717_110_365_317, 3_203_168_211_198_807_973]);
    }

    #[test]
    fn numbers_stay_below_their_bound_and_reach_it() {
        let mut rng = Rng::new(1);
        let seen: Vec<u64> = (0..1000).map(|_| rng.below(7)).collect();
        assert!((0..7).all(|n| seen.contains(&n)) && seen.iter().all(|n| *n < 7));
        assert_eq!((rng.below(0), rng.chance(0, 5), rng.chance(5, 5)), (0, false, true));
    }

    #[test]
    fn a_fork_leaves_its_parent_as_one_draw_does() {
        let (mut one, mut two) = (Rng::new(5), Rng::new(5));
        let mut fork = one.fork(3);
        for _ in 0..100 {
            fork.next_u64();
        }
        two.next_u64();
        assert_eq!(one.next_u64(), two.next_u64());
        assert!(Rng::new(5).fork(1).next_u64() != Rng::new(5).fork(2).next_u64());
    }
}
