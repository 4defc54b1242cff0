//! Payload that has arrived and was not read yet.

use alloc::collections::VecDeque;

use bytes::{Buf, Bytes, BytesMut};

use crate::RecvBuf;

/// Slices shorter than this are copied into a block of the inbox, so that they never pin a large block.
const COPY_BELOW: usize = 1024;

/// The largest block of the inbox's own, in bytes.
const OWN_BLOCK: usize = 16 * 1024;

/// The unread payload of one stream, as slices of the blocks that it arrived in.
///
/// The muxer's window bounds what it may hold. Slices of 1 KiB or more are kept as they are while one block of
/// [`RecvBuf::CAPACITY`] holds them all. A reader who is further behind could have every slice of his pin a block of
/// others' payload, so what comes then is copied; so are smaller slices, so that a peer that sends single bytes costs no
/// list of handles. What an inbox holds or pins is thus at most 240 KiB more than its unread bytes: with the smallest
/// window of yamux twice the window.
#[derive(Debug, Default)]
pub struct Inbox {
    /// The slice that comes first; empty if all that is unread is in `tail`. Here, so that a reader who keeps up costs
    /// no list.
    first: Bytes,
    more: VecDeque<Bytes>,
    /// A block of our own, behind all slices.
    tail: BytesMut,
    /// Where in memory the first slice lies that was kept; 0 if none was since the last time that there were no slices.
    kept_at: usize,
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
        if slice.len() < COPY_BELOW || self.tail.len() >= COPY_BELOW || !self.is_kept(&slice) {
            return self.push_copy(&slice);
        }
        self.len += slice.len();
        self.close_tail();
        self.push_slice(slice);
    }

    /// Adds a copy of `bytes`.
    pub fn push_copy(&mut self, mut bytes: &[u8]) {
        if self.len == 0 && bytes.len() < COPY_BELOW {
            self.len = bytes.len();
            self.first = Bytes::copy_from_slice(bytes); // for a reader who keeps up: no room for more
            return;
        }
        self.len += bytes.len();
        while !bytes.is_empty() {
            if self.tail.len() == OWN_BLOCK {
                self.close_tail();
            }
            let (now, later) = bytes.split_at(bytes.len().min(OWN_BLOCK - self.tail.len()));
            self.make_room(now.len());
            self.tail.extend_from_slice(now);
            bytes = later;
        }
    }

    /// Takes the next slice out, or `None` if all has been read. Copies nothing.
    pub fn pop(&mut self) -> Option<Bytes> {
        if self.first.is_empty() {
            self.close_tail();
        }
        let slice = self.pop_slice();
        if slice.is_empty() {
            self.more = VecDeque::new();
            return None;
        }
        self.len -= slice.len();
        Some(slice)
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
        if self.first.is_empty() {
            return &self.tail;
        }
        if self.first.len() < want && self.first.len() < self.len {
            self.gather(want);
        }
        &self.first
    }

    /// Drops the next `n` unread bytes, or all if there are fewer.
    pub fn consume(&mut self, n: usize) {
        let mut left = n.min(self.len);
        self.len -= left;
        if self.len == 0 {
            *self = Self::new();
            return;
        }
        while !self.first.is_empty() {
            if self.first.len() > left {
                self.first.advance(left);
                return;
            }
            left -= self.pop_slice().len();
        }
        self.tail.advance(left);
    }

    /// Whether `slice` may be kept as it is: it is the first, or in one block with the first.
    fn is_kept(&mut self, slice: &Bytes) -> bool {
        let at = slice.as_ptr() as usize;
        if self.kept_at == 0 {
            self.kept_at = at;
        }
        at >= self.kept_at && at - self.kept_at + slice.len() <= RecvBuf::CAPACITY.max(slice.len())
    }

    fn push_slice(&mut self, slice: Bytes) {
        if self.first.is_empty() {
            self.first = slice;
        } else {
            self.more.push_back(slice);
        }
    }

    /// Takes the first slice; it is empty if there is none.
    fn pop_slice(&mut self) -> Bytes {
        let next = self.more.pop_front().unwrap_or_default();
        if next.is_empty() {
            self.kept_at = 0;
        }
        core::mem::replace(&mut self.first, next)
    }

    /// Makes the first slice at least `want` long, or the only one.
    fn gather(&mut self, want: usize) {
        self.close_tail();
        let mut first = BytesMut::new();
        while first.len() < want && !self.first.is_empty() {
            first.extend_from_slice(&self.pop_slice());
        }
        if !self.first.is_empty() {
            self.more.push_front(core::mem::take(&mut self.first));
        }
        self.first = first.freeze();
    }

    /// Makes room for `n` bytes, with which the tail is no longer than a block of our own.
    fn make_room(&mut self, n: usize) {
        let need = self.tail.len() + n;
        if need > self.tail.capacity() {
            let capacity = (2 * self.tail.capacity()).clamp(64, OWN_BLOCK).max(need);
            let mut tail = BytesMut::with_capacity(capacity);
            tail.extend_from_slice(&self.tail);
            self.tail = tail;
        }
    }

    fn close_tail(&mut self) {
        if !self.tail.is_empty() {
            let tail = core::mem::take(&mut self.tail).freeze();
            self.push_slice(tail);
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
        assert_eq!(inbox.more.len(), 100_000 / OWN_BLOCK, "full blocks, each exactly as large as its bytes");
        assert!(inbox.more.iter().all(|block| block.len() == OWN_BLOCK));
        assert!(inbox.tail.capacity() <= OWN_BLOCK, "{}", inbox.tail.capacity());
        let all: Vec<u8> = core::iter::from_fn(|| inbox.pop()).flatten().collect();
        assert!(all.len() == 100_000 && all.iter().enumerate().all(|(i, b)| *b == i as u8));
    }

    #[test]
    fn a_reader_who_keeps_up_costs_no_memory_beside_his_slices() {
        let mut inbox = Inbox::new();
        let block = Bytes::from(vec![1; 4096]);
        for _ in 0..3 {
            inbox.push(block.slice(100..3000));
            assert_eq!((inbox.more.capacity(), inbox.tail.capacity()), (0, 0));
            assert_eq!(inbox.pop().map(|slice| slice.as_ptr()), Some(block[100..].as_ptr()));
            assert_eq!(inbox.pop(), None);
        }
        for _ in 0..3 {
            inbox.push(block.clone());
        }
        while inbox.pop().is_some() {}
        assert_eq!((inbox.more.capacity(), inbox.kept_at), (0, 0));
        inbox.push_copy(b"small");
        assert_eq!((&inbox.first[..], inbox.tail.capacity()), (&b"small"[..], 0));
        inbox.push_copy(b"more");
        inbox.consume(7);
        assert_eq!((inbox.first.len(), inbox.tail.capacity()), (0, 64 - 2));
        inbox.consume(2);
        assert_eq!(inbox.tail.capacity(), 0);
    }

    #[test]
    fn slices_of_one_block_are_kept_and_those_of_the_next_are_copied() {
        let memory = Bytes::from(vec![3; 3 * RecvBuf::CAPACITY]);
        let (first, rest) = (memory.slice(..RecvBuf::CAPACITY), memory.slice(RecvBuf::CAPACITY..));
        let mut inbox = Inbox::new();
        inbox.push(first.slice(..20_000));
        inbox.push(first.slice(60_000..));
        inbox.push(rest.slice(..2000));
        inbox.push(first.slice(30_000..32_000));
        let places: Vec<_> = core::iter::from_fn(|| inbox.pop()).map(|s| (s.len(), s.as_ptr())).collect();
        assert_eq!(places[..2], [(20_000, first.as_ptr()), (7072, first[60_000..].as_ptr())]);
        assert_eq!(places[2].0, 4000, "behind a copy of that size all is copied");
        inbox.push(rest.clone());
        assert_eq!(inbox.pop().map(|s| s.as_ptr()), Some(rest.as_ptr()), "a slice that is longer than a block");
        inbox.push(first.slice(30_000..));
        inbox.push(first.slice(..2000));
        assert_eq!(inbox.pop().map(|s| s.as_ptr()), Some(first[30_000..].as_ptr()));
        assert_ne!(inbox.pop().map(|s| s.as_ptr()), Some(first.as_ptr()), "the block of one before is another, maybe");
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

    /// One unread stream of many: whatever the sizes of its slices, what is pinned and held is bounded.
    #[derive(Default)]
    struct Held {
        blocks: Vec<Bytes>,
    }

    impl Held {
        fn slice(&mut self, at: usize, len: usize) -> Bytes {
            let block = Bytes::from(vec![0; RecvBuf::CAPACITY]);
            self.blocks.push(block.clone());
            let at = at.min(block.len() - len);
            block.slice(at..at + len)
        }

        fn bytes(&self, inbox: &Inbox) -> usize {
            let pinned = self.blocks.iter().filter(|block| !block.is_unique()).count() * RecvBuf::CAPACITY;
            let is_own = |slice: &&Bytes| slice.is_unique();
            // A closed block of ours is as large as it was when it was closed: at most twice its bytes, or 64.
            let own = |slice: &Bytes| if slice.len() == OWN_BLOCK { OWN_BLOCK } else { (2 * slice.len()).max(64) } + 32;
            pinned
                + inbox.more.iter().chain([&inbox.first]).filter(is_own).map(own).sum::<usize>()
                + inbox.more.capacity() * size_of::<Bytes>()
                + inbox.tail.capacity()
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

        #[test]
        fn an_unread_window_holds_at_most_twice_its_bytes(
            lengths in prop::collection::vec(prop_oneof![1usize..1030, 1000usize..1100, 1usize..17_000], 1..20),
            spread in 0usize..60_000,
            reads in prop::collection::vec(0usize..300, 1..4),
        ) {
            const WINDOW: usize = 256 * 1024;
            let (mut inbox, mut held) = (Inbox::new(), Held::default());
            for (i, len) in lengths.into_iter().cycle().enumerate() {
                if inbox.len() + len > WINDOW { break }
                inbox.push(held.slice(i * spread % 60_000, len));
                if i % 3 == 0 { inbox.consume(reads[i % reads.len()]) }
                held.blocks.retain(|block| !block.is_unique());
                prop_assert!(held.bytes(&inbox) <= inbox.len() + 240 * 1024, "{} for {}", held.bytes(&inbox), inbox.len());
            }
        }
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
