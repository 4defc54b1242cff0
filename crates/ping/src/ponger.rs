//! The end that echoes.

use bytes::BufMut;

use crate::PAYLOAD;

/// The listener of a ping stream: gives back each payload once it is whole.
#[derive(Clone, Debug, Default)]
pub struct Ponger {
    payload: [u8; PAYLOAD],
    filled: usize,
}

impl Ponger {
    /// A ponger that has heard nothing.
    pub const fn new() -> Self {
        Self { payload: [0; PAYLOAD], filled: 0 }
    }

    /// Takes bytes of the stream and returns how many. It takes none while an echo is owed: encode it, then offer the
    /// rest again.
    pub fn handle_input(&mut self, input: &[u8]) -> usize {
        let used = input.len().min(PAYLOAD - self.filled);
        self.payload[self.filled..self.filled + used].copy_from_slice(&input[..used]);
        self.filled += used;
        used
    }

    /// Whether an echo is owed.
    pub const fn is_due(&self) -> bool {
        self.filled == PAYLOAD
    }

    /// Adds the echo that is owed to `out` and returns its length: 32, or 0 if none is owed or `room` bytes do not
    /// hold it.
    pub fn encode(&mut self, room: usize, out: &mut impl BufMut) -> usize {
        if !self.is_due() || room.min(out.remaining_mut()) < PAYLOAD {
            return 0;
        }
        out.put_slice(&self.payload);
        self.filled = 0;
        PAYLOAD
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn part_of_a_payload_is_not_echoed() {
        let (mut ponger, mut out) = (Ponger::new(), Vec::new());
        assert_eq!(ponger.handle_input(&[1; 31]), 31);
        assert!(!ponger.is_due());
        assert_eq!(ponger.encode(99, &mut out), 0);
        assert_eq!(ponger.handle_input(&[2]), 1);
        assert_eq!(ponger.encode(31, &mut out), 0, "no room");
        assert_eq!(ponger.encode(32, &mut &mut [0; 31][..]), 0, "room that the buffer has not");
        assert_eq!(ponger.encode(32, &mut out), 32);
        assert_eq!(out, [&[1; 31][..], &[2]].concat());
        assert_eq!(ponger.encode(99, &mut out), 0, "once only");
    }

    #[test]
    fn nothing_is_taken_while_an_echo_is_owed() {
        let (mut ponger, mut out) = (Ponger::new(), Vec::new());
        assert_eq!(ponger.handle_input(&[3; 100]), 32);
        assert_eq!(ponger.handle_input(&[3; 68]), 0);
        ponger.encode(99, &mut out);
        assert_eq!(ponger.handle_input(&[3; 68]), 32);
    }

    proptest! {
        #[test]
        fn the_echo_does_not_depend_on_the_pieces(
            sent in prop::collection::vec(any::<u8>(), 0..200),
            pieces in prop::collection::vec(1usize..70, 1..50),
        ) {
            let (mut ponger, mut out, mut at) = (Ponger::new(), Vec::new(), 0);
            let mut pieces = pieces.into_iter().cycle();
            while at < sent.len() {
                let end = sent.len().min(at + pieces.next().unwrap());
                at += ponger.handle_input(&sent[at..end]);
                ponger.encode(usize::MAX, &mut out);
            }
            prop_assert_eq!(&out[..], &sent[..sent.len() / 32 * 32]);
        }
    }
}
