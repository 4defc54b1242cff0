//! Payload that has arrived and was not read yet.

use alloc::collections::VecDeque;

use bytes::{Buf, Bytes, BytesMut};

/// Slices shorter than this are copied into a block of the inbox, so that they never pin a large block.
const COPY_BELOW: usize = 1024;

/// The unread payload of one stream, as slices of the blocks that it arrived in.
///
/// The muxer's window bounds what it may hold. A slice of 1 KiB or more is kept as it is; smaller ones are gathered in
/// a block of the inbox's own, so that a peer that sends single bytes costs no list of handles.
#[derive(Debug, Default)]
pub struct Inbox {
    slices: VecDeque<Bytes>,
    /// What arrived in small pieces, behind all of `slices`.
    tail: BytesMut,
    len: usize,
}

impl Inbox {
    /// An empty inbox, which holds no memory.
    pub fn new() -> Self {
        Self::default()
    }

    /// Unread bytes.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether all has been read.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Adds payload that arrived. An empty slice adds nothing.
    pub fn push(&mut self, slice: Bytes) {
        if slice.len() < COPY_BELOW {
            return self.push_copy(&slice);
        }
        self.len += slice.len();
        self.close_tail();
        self.slices.push_back(slice);
    }

    /// Adds a copy of `bytes`.
    pub fn push_copy(&mut self, bytes: &[u8]) {
        self.len += bytes.len();
        self.tail.extend_from_slice(bytes);
    }

    /// Takes the next slice out, or `None` if all has been read. Copies nothing.
    pub fn pop(&mut self) -> Option<Bytes> {
        if self.slices.is_empty() {
            self.close_tail();
        }
        let slice = self.slices.pop_front();
        match &slice {
            Some(slice) => self.len -= slice.len(),
            None => self.slices = VecDeque::new(),
        }
        slice
    }

    /// Copies unread bytes into `out` and returns how many.
    pub fn read(&mut self, out: &mut [u8]) -> usize {
        let mut done = 0;
        while done < out.len() {
            let front = self.peek(1);
            if front.is_empty() {
                break;
            }
            let n = front.len().min(out.len() - done);
            out[done..done + n].copy_from_slice(&front[..n]);
            self.consume(n);
            done += n;
        }
        done
    }

    /// The next unread bytes as one slice: at least `want` of them if there are as many. It copies only where the
    /// first slice is shorter than `want`, so `want` should be small.
    pub fn peek(&mut self, want: usize) -> &[u8] {
        if self.slices.front().is_none_or(|first| first.len() < want) && !self.slices.is_empty() {
            self.gather(want);
        }
        self.slices.front().map_or(&self.tail[..], |first| &first[..])
    }

    /// Drops the next `n` unread bytes, or all if there are fewer.
    pub fn consume(&mut self, n: usize) {
        let mut left = n.min(self.len);
        self.len -= left;
        while let Some(first) = self.slices.front_mut() {
            if first.len() > left {
                first.advance(left);
                return;
            }
            left -= first.len();
            self.slices.pop_front();
        }
        self.tail.advance(left);
        if self.len == 0 {
            *self = Self::new();
        }
    }

    /// Makes the first slice at least `want` long, or the only one.
    fn gather(&mut self, want: usize) {
        self.close_tail();
        let mut first = BytesMut::new();
        while first.len() < want {
            let Some(slice) = self.slices.pop_front() else { break };
            first.extend_from_slice(&slice);
        }
        self.slices.push_front(first.freeze());
    }

    fn close_tail(&mut self) {
        if !self.tail.is_empty() {
            self.slices.push_back(core::mem::take(&mut self.tail).freeze());
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::{vec, vec::Vec};

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn large_slices_are_not_copied_and_small_ones_are() {
        let large = Bytes::from(vec![1; COPY_BELOW]);
        let small = Bytes::from(vec![2; COPY_BELOW - 1]);
        let mut inbox = Inbox::new();
        inbox.push(large.clone());
        inbox.push(small.clone());
        assert_eq!(inbox.pop().map(|b| b.as_ptr()), Some(large.as_ptr()));
        let copy = inbox.pop().expect("the small slice");
        assert_eq!(copy, small);
        assert_ne!(copy.as_ptr(), small.as_ptr());
        assert_eq!(inbox.pop(), None);
    }

    #[test]
    fn single_bytes_cost_no_handles() {
        let mut inbox = Inbox::new();
        for i in 0..100_000u32 {
            inbox.push(Bytes::copy_from_slice(&[i as u8]));
        }
        assert!(inbox.slices.is_empty());
        assert!(inbox.tail.capacity() <= 200_000 + 4096, "{}", inbox.tail.capacity());
        assert_eq!(inbox.pop().map(|b| b.len()), Some(100_000));
    }

    #[test]
    fn peek_gathers_across_slices() {
        let mut inbox = Inbox::new();
        inbox.push(Bytes::from(vec![1; 1024]));
        inbox.push(Bytes::from(vec![2; 1024]));
        inbox.push_copy(&[3; 10]);
        assert_eq!(inbox.peek(1).len(), 1024);
        assert_eq!(inbox.peek(1500).len(), 2048);
        assert_eq!(inbox.peek(9999).len(), 2058);
        inbox.consume(2050);
        assert_eq!(inbox.peek(1), [3; 8]);
    }

    proptest! {
        #[test]
        fn whatever_the_pieces_the_bytes_come_out_in_order(
            pieces in prop::collection::vec((0usize..3000, any::<bool>()), 0..20),
            reads in prop::collection::vec((0u8..4, 1usize..5000), 0..40),
        ) {
            let (mut inbox, mut sent, mut got, mut next) = (Inbox::new(), Vec::new(), Vec::new(), 0u8);
            let mut reads = reads.into_iter().cycle().take(200);
            for (len, copy) in pieces {
                let piece: Vec<u8> = (0..len).map(|_| { next = next.wrapping_add(1); next }).collect();
                sent.extend_from_slice(&piece);
                if copy { inbox.push_copy(&piece) } else { inbox.push(piece.into()) }
                let Some((how, n)) = reads.next() else { continue };
                match how {
                    0 => got.extend(inbox.pop().into_iter().flatten()),
                    1 => { let mut out = vec![0; n]; let n = inbox.read(&mut out); got.extend_from_slice(&out[..n]); }
                    2 => { let n = inbox.peek(n).len().min(n); got.extend_from_slice(&inbox.peek(n)[..n]); inbox.consume(n); }
                    _ => {}
                }
                prop_assert_eq!(inbox.len(), sent.len() - got.len());
            }
            while let Some(slice) = inbox.pop() { got.extend_from_slice(&slice); }
            prop_assert_eq!(got, sent);
            prop_assert!(inbox.is_empty());
        }
    }
}
