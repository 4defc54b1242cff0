//! A digest of all that happens.

use core::{
    fmt,
    hash::{Hash, Hasher},
};

/// 64 bits that depend on every event and byte of a run, and on their order. Two runs with one digest were one run.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Digest(u64);

const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

impl Digest {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed ^ 0x5a5a_0f0f_3c3c_6969)
    }

    /// The bits.
    pub const fn value(self) -> u64 {
        self.0
    }

    pub(crate) fn add(&mut self, value: impl Hash) {
        value.hash(self);
    }

    const fn mix(&mut self, word: u64) {
        let product = ((self.0 ^ word) as u128).wrapping_mul(FACTOR as u128 | 1 << 65);
        self.0 = (product as u64) ^ ((product >> 64) as u64).rotate_left(23) ^ word.rotate_left(41);
    }
}

impl Hasher for Digest {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        let mut words = bytes.chunks_exact(8);
        for word in &mut words {
            self.mix(u64::from_le_bytes(word.try_into().unwrap_or_default()));
        }
        let rest = words.remainder();
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        self.mix(u64::from_le_bytes(last) ^ (bytes.len() as u64) << 56);
    }

    fn write_u64(&mut self, n: u64) {
        self.mix(n);
    }

    fn write_usize(&mut self, n: usize) {
        self.mix(n as u64);
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(bytes: &[u8]) -> u64 {
        let mut digest = Digest::new(7);
        digest.write(bytes);
        digest.value()
    }

    #[test]
    fn every_bit_length_and_order_counts() {
        let bytes = [3u8; 21];
        let mut seen = vec![of(&bytes), of(&bytes[..20]), of(&[])];
        for at in 0..bytes.len() * 8 {
            let mut other = bytes;
            other[at / 8] ^= 1 << (at % 8);
            seen.push(of(&other));
        }
        let count = seen.len();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), count);
        let (mut ab, mut ba) = (Digest::new(0), Digest::new(0));
        ab.add((1u64, 2u64));
        ba.add((2u64, 1u64));
        assert!(ab != ba);
        assert_eq!(ab.to_string().len(), 16);
    }
}
