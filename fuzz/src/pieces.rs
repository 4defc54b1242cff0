//! The sizes of pieces.

/// Sizes that follow from a seed alone: mostly small, some of a whole message or more.
#[derive(Clone, Copy, Debug)]
pub struct Pieces(u32);

impl Pieces {
    /// Those of `seed`.
    pub fn new(seed: u8) -> Self {
        Self(u32::from(seed) | 1 << 8)
    }

    /// A number below 2^16.
    pub fn number(&mut self) -> usize {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (self.0 >> 16) as usize
    }

    /// The next size: 1 and more.
    pub fn size(&mut self) -> usize {
        let number = self.number();
        match number % 8 {
            0..5 => number / 8 % 4 + 1,
            5 | 6 => number / 8 % 32 + 1,
            _ => number / 8 % 2048 + 1,
        }
    }
}
