//! Payload that has arrived and was not read yet.

use alloc::{boxed::Box, collections::VecDeque};

use bytes::{Buf, Bytes, BytesMut};

use crate::RecvBuf;

/// Slices shorter than this are copied into a block of the inbox, so that they never pin a large block.
const COPY_BELOW: usize = 1024;

/// The largest block of the inbox's own, in bytes.
const OWN_BLOCK: usize = 16 * 1024;

/// The slices that an inbox keeps room for which has been read to its end.
const KEPT_SLICES: usize = 8;

/// How often an inbox is found empty before it gives room back that was of no use.
const KEPT_FOR: u8 = 64;

/// The unread payload of one stream, as slices of the blocks that it arrived in.
///
/// The muxer's window bounds what it may hold. Slices of 1 KiB or more are kept as they are while one block of
/// [`RecvBuf::CAPACITY`] holds them all. A reader who is further behind could have every slice of his pin a block of
/// others' payload, so what comes then is copied; so are smaller slices, so that a peer that sends single bytes costs
/// no list of handles; of a reader who keeps up they share blocks of 2 KiB ([`push_from`](Self::push_from)), so that a
/// message is no allocation. What an inbox holds or pins is thus at most 240 KiB more than its unread bytes: with the
/// smallest window of yamux twice the window.
///
/// An inbox is as large as five pointers. It takes no more memory than its first slice before a second one waits behind
/// that. What it takes then, at most 400 bytes where nothing is unread, it gives back when it has been found empty
/// often without a second one.
#[derive(Debug, Default)]
pub struct Inbox {
    /// What comes first; empty if all has been read.
    first: Bytes,
    rest: Option<Box<Rest>>,
}

/// What waits behind the first slice.
#[derive(Debug, Default)]
struct Rest {
    slices: VecDeque<Bytes>,
    /// A block of our own, behind all slices.
    tail: BytesMut,
    /// Where in memory the slice lies with which others must share a block to be kept.
    kept_at: usize,
    len: usize,
    /// How often the inbox was found empty since something has waited here.
    idle: u8,
}

impl Inbox {
    /// An empty inbox, which holds no memory.
    pub fn new() -> Self {
        Self::default()
    }

    /// Unread bytes.
    pub fn len(&self) -> usize {
        self.first.len() + self.behind()
    }

    /// Whether all has been read.
    pub fn is_empty(&self) -> bool {
        self.first.is_empty()
    }

    /// Adds payload that arrived. An empty slice adds nothing.
    pub fn push(&mut self, slice: Bytes) {
        if slice.len() < COPY_BELOW {
            self.push_copy(&slice);
        } else if self.first.is_empty() {
            self.first = slice;
        } else {
            self.rest().push(slice);
        }
    }

    /// Adds the first `n` revealed bytes of `recv`, which it uses up, or all if there are fewer. It is as
    /// [`push`](Self::push) of what [`RecvBuf::take`] gives, but for a reader who keeps up with small slices, which it
    /// copies into a block that they share: of 2 KiB, so that it matters little who holds it.
    pub fn push_from(&mut self, recv: &mut RecvBuf, n: usize) {
        let n = n.min(recv.plain().len());
        if n >= COPY_BELOW {
            self.push(recv.take(n));
        } else if self.first.is_empty() {
            self.first = recv.take_copy(n);
        } else {
            self.push_copy(&recv.plain()[..n]);
            recv.consume(n);
        }
    }

    /// Adds a copy of `bytes`.
    pub fn push_copy(&mut self, bytes: &[u8]) {
        if !self.first.is_empty() {
            self.rest().push_copy(bytes);
        } else if bytes.len() <= OWN_BLOCK {
            self.first = Bytes::copy_from_slice(bytes); // For a reader who keeps up: no room for more.
        } else {
            let (first, behind) = bytes.split_at(OWN_BLOCK);
            self.first = Bytes::copy_from_slice(first);
            self.rest().push_copy(behind);
        }
    }

    /// Takes the next slice out, or `None` if all has been read. Copies nothing.
    pub fn pop(&mut self) -> Option<Bytes> {
        if self.first.is_empty() {
            self.found_empty();
            return None;
        }
        Some(self.pop_first())
    }

    /// Copies unread bytes into `out` and returns how many.
    pub fn read(&mut self, out: &mut [u8]) -> usize {
        let mut done = 0;
        while done < out.len() && !self.first.is_empty() {
            let n = self.first.len().min(out.len() - done);
            out[done..done + n].copy_from_slice(&self.first[..n]);
            self.consume(n);
            done += n;
        }
        done
    }

    /// The next unread bytes as one slice: at least `want` of them if there are as many. It copies only where the
    /// first slice is shorter than `want`, so `want` should be small.
    pub fn peek(&mut self, want: usize) -> &[u8] {
        if self.first.len() < want && self.behind() > 0 {
            self.gather(want);
        }
        &self.first
    }

    /// Drops the next `n` unread bytes, or all if there are fewer.
    pub fn consume(&mut self, n: usize) {
        let mut left = n;
        while left >= self.first.len() && !self.first.is_empty() {
            left -= self.pop_first().len();
        }
        if self.first.is_empty() {
            *self = Self::new();
        } else {
            self.first.advance(left);
        }
    }

    /// The bytes behind the first slice.
    fn behind(&self) -> usize {
        self.rest.as_ref().map_or(0, |rest| rest.len)
    }

    /// Where what comes behind the first slice is to go.
    fn rest(&mut self) -> &mut Rest {
        let rest = self.rest.get_or_insert_default();
        if rest.len == 0 {
            rest.kept_at = self.first.as_ptr() as usize;
        }
        rest
    }

    /// Takes the first slice, which is there.
    fn pop_first(&mut self) -> Bytes {
        let next = self.rest.as_mut().map_or_else(Bytes::new, |rest| rest.pop());
        core::mem::replace(&mut self.first, next)
    }

    /// Gives most of the memory back, and all that was of no use for long.
    fn found_empty(&mut self) {
        let Some(rest) = &mut self.rest else { return };
        rest.idle += 1;
        if rest.idle > KEPT_FOR {
            self.rest = None;
        } else if rest.slices.capacity() > KEPT_SLICES {
            rest.slices = VecDeque::new();
        }
    }

    /// Makes the first slice at least `want` long, or the only one.
    fn gather(&mut self, want: usize) {
        let mut all = BytesMut::with_capacity(want.min(self.len()));
        while all.len() < want && !self.first.is_empty() {
            all.extend_from_slice(&self.pop_first());
        }
        let next = core::mem::replace(&mut self.first, all.freeze());
        if let (Some(rest), false) = (&mut self.rest, next.is_empty()) {
            rest.len += next.len();
            rest.slices.push_front(next);
        }
    }
}

impl Rest {
    fn push(&mut self, slice: Bytes) {
        // A tail of some length is not closed: its room would be lost.
        if self.tail.len() >= COPY_BELOW || !self.is_kept(&slice) {
            return self.push_copy(&slice);
        }
        self.idle = 0;
        self.len += slice.len();
        self.close_tail();
        self.slices.push_back(slice);
    }

    /// Whether `slice` lies in one block with the one that others are kept for.
    fn is_kept(&self, slice: &Bytes) -> bool {
        let at = slice.as_ptr() as usize;
        at >= self.kept_at && at - self.kept_at + slice.len() <= RecvBuf::CAPACITY
    }

    fn push_copy(&mut self, mut bytes: &[u8]) {
        self.idle = 0;
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
            self.slices.push_back(core::mem::take(&mut self.tail).freeze());
        }
    }

    /// Takes what comes next; it is empty if nothing is here.
    fn pop(&mut self) -> Bytes {
        let next = self.slices.pop_front().unwrap_or_else(|| core::mem::take(&mut self.tail).freeze());
        self.len -= next.len();
        next
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
    fn what_comes_from_a_buffer_is_copied_if_it_is_small() {
        let (mut recv, mut inbox, mut other) = (RecvBuf::default(), Inbox::new(), Inbox::new());
        recv.feed(&[[1; COPY_BELOW], [2; COPY_BELOW], [3; COPY_BELOW]].concat());
        recv.reveal_all();
        let block = recv.plain().as_ptr() as usize;
        inbox.push_from(&mut recv, COPY_BELOW);
        inbox.push_from(&mut recv, 10);
        assert_eq!((inbox.first.as_ptr() as usize, &inbox.rest.as_ref().unwrap().tail[..]), (block, &[2; 10][..]));
        other.push_from(&mut recv, 0);
        assert!(other.is_empty() && other.pop().is_none());
        other.push_from(&mut recv, COPY_BELOW - 10);
        assert!(other.rest.is_none() && !(block..block + RecvBuf::CAPACITY).contains(&(other.first.as_ptr() as usize)));
        assert_eq!(other.pop().as_deref(), Some(&[2; COPY_BELOW - 10][..]));
        other.push_from(&mut recv, usize::MAX);
        assert_eq!(other.pop().map(|slice| slice.as_ptr() as usize), Some(block + 2 * COPY_BELOW));
        assert!(recv.is_empty());
    }

    #[test]
    fn single_bytes_cost_no_handles() {
        let mut inbox = Inbox::new();
        for i in 0..100_000u32 {
            inbox.push(Bytes::copy_from_slice(&[i as u8]));
        }
        let rest = inbox.rest.as_ref().unwrap();
        assert_eq!(rest.slices.len(), 100_000 / OWN_BLOCK, "full blocks, each exactly as large as its bytes");
        assert!(rest.slices.iter().all(|block| block.len() == OWN_BLOCK));
        assert!(rest.tail.capacity() <= OWN_BLOCK, "{}", rest.tail.capacity());
        let all: Vec<u8> = core::iter::from_fn(|| inbox.pop()).flatten().collect();
        assert!(all.len() == 100_000 && all.iter().enumerate().all(|(i, b)| *b == i as u8));
    }

    #[test]
    fn own_blocks_are_as_large_as_they_need_to_be() {
        let mut inbox = Inbox::new();
        inbox.push_copy(b"first");
        let mut capacities = Vec::new();
        for _ in 0..OWN_BLOCK {
            inbox.push_copy(b"x");
            let tail = &inbox.rest.as_ref().unwrap().tail;
            if capacities.last() != Some(&tail.capacity()) {
                capacities.push(tail.capacity());
            }
        }
        assert_eq!(capacities, [64, 128, 256, 512, 1024, 2048, 4096, 8192, OWN_BLOCK]);
        let mut inbox = Inbox::new();
        inbox.push_copy(&vec![1; 2 * OWN_BLOCK + 10]);
        let rest = inbox.rest.as_ref().unwrap();
        assert_eq!((inbox.first.len(), rest.slices[0].len(), rest.tail.len()), (OWN_BLOCK, OWN_BLOCK, 10));
    }

    #[test]
    fn a_reader_who_keeps_up_costs_no_memory_beside_his_slices() {
        let mut inbox = Inbox::new();
        assert!(size_of::<Inbox>() <= 5 * size_of::<usize>());
        let block = Bytes::from(vec![1; 4096]);
        for _ in 0..3 {
            inbox.push(block.slice(100..3000));
            assert_eq!((inbox.rest.is_none(), inbox.len(), inbox.is_empty()), (true, 2900, false));
            assert_eq!(inbox.pop().map(|slice| slice.as_ptr()), Some(block[100..].as_ptr()));
            assert_eq!(inbox.pop(), None);
        }
        inbox.push_copy(b"small");
        inbox.consume(4);
        assert_eq!((inbox.rest.is_none(), &inbox.first[..]), (true, &b"l"[..]));
    }

    #[test]
    fn memory_for_what_waits_goes_when_nothing_waits_any_more() {
        let block = Bytes::from(vec![1; 60_000]);
        let mut inbox = Inbox::new();
        let fill = |inbox: &mut Inbox, slices: usize| {
            (0..slices).for_each(|i| inbox.push(block.slice(i * 2000..i * 2000 + 2000)));
            (0..slices).for_each(|_| assert_eq!(inbox.pop().map(|slice| slice.len()), Some(2000)));
            assert_eq!(inbox.pop(), None);
            inbox.rest.as_ref().map(|rest| rest.slices.capacity())
        };
        assert_eq!(fill(&mut inbox, 1), None);
        assert_eq!(fill(&mut inbox, 5), Some(4), "kept for the next time");
        assert_eq!(fill(&mut inbox, 6), Some(8));
        assert_eq!(fill(&mut inbox, 20), Some(0));
        assert_eq!(fill(&mut inbox, 5), Some(4));
        for _ in 1..KEPT_FOR {
            assert_eq!(fill(&mut inbox, 1), Some(4));
        }
        assert_eq!(fill(&mut inbox, 1), None, "it was of no use for long");
        inbox.push(block.clone());
        inbox.push(block.clone());
        inbox.consume(usize::MAX);
        assert!(inbox.rest.is_none() && inbox.is_empty());
    }

    #[test]
    fn slices_of_one_block_are_kept_and_those_of_the_next_are_copied() {
        let memory = Bytes::from(vec![3; 3 * RecvBuf::CAPACITY]);
        let (first, rest) = (memory.slice(..RecvBuf::CAPACITY), memory.slice(RecvBuf::CAPACITY..));
        let mut inbox = Inbox::new();
        inbox.push(first.slice(..20_000));
        inbox.push(first.slice(60_000..));
        inbox.push(rest.slice(..1024));
        inbox.push(first.slice(30_000..32_000));
        let places: Vec<_> = core::iter::from_fn(|| inbox.pop()).map(|s| (s.len(), s.as_ptr())).collect();
        assert_eq!(places[..2], [(20_000, first.as_ptr()), (7072, first[60_000..].as_ptr())]);
        assert_eq!(places[2].0, 3024, "behind a copy of that size all is copied");
        inbox.push(rest.clone());
        assert_eq!(inbox.pop().map(|s| s.as_ptr()), Some(rest.as_ptr()), "a slice that is longer than a block");
        inbox.push(first.slice(30_000..));
        inbox.push_copy(&[1; 1023]);
        inbox.push(first.slice(20_000..22_000));
        inbox.push(first.slice(40_000..42_000));
        let places: Vec<_> = core::iter::from_fn(|| inbox.pop()).map(|s| (s.len(), s.as_ptr())).collect();
        assert_eq!(places[0], (RecvBuf::CAPACITY - 30_000, first[30_000..].as_ptr()));
        assert_eq!(places[1].0, 1023 + 2000 + 2000, "what lies before the first may be in another block");
    }

    #[test]
    fn a_short_copy_does_not_keep_slices_from_being_kept() {
        let block = Bytes::from(vec![1; 60_000]);
        let mut inbox = Inbox::new();
        inbox.push(block.slice(..2000));
        inbox.push_copy(&[1; 1023]);
        inbox.push(block.slice(2000..4000));
        let places: Vec<_> = core::iter::from_fn(|| inbox.pop()).map(|s| (s.len(), s.as_ptr())).collect();
        assert_eq!((places[0].1, places[2].1), (block.as_ptr(), block[2000..].as_ptr()));
        assert_eq!(places.iter().map(|(len, _)| *len).collect::<Vec<_>>(), [2000, 1023, 2000]);
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
        recv: RecvBuf,
    }

    impl Held {
        fn slice(&mut self, at: usize, len: usize) -> Bytes {
            let block = Bytes::from(vec![0; RecvBuf::CAPACITY]);
            self.blocks.push(block.clone());
            let at = at.min(block.len() - len);
            block.slice(at..at + len)
        }

        /// As a connection does it that has just received this.
        fn push_from(&mut self, inbox: &mut Inbox, len: usize) {
            self.recv.feed(&vec![0; len]);
            self.recv.reveal_all();
            inbox.push_from(&mut self.recv, len);
        }

        fn bytes(&self, inbox: &Inbox) -> usize {
            let shared = 2 * 1024 + 64; // The first slice may be a copy in a block with others' copies.
            let blocks = self.blocks.iter().filter(|block| !block.is_unique()).count();
            let pinned = blocks * RecvBuf::CAPACITY + shared;
            let is_own = |slice: &&Bytes| slice.is_unique();
            // A closed block of ours is as large as it was when it was closed: at most twice its bytes, or 64.
            let own = |slice: &Bytes| if slice.len() == OWN_BLOCK { OWN_BLOCK } else { (2 * slice.len()).max(64) } + 32;
            let first = pinned + [&inbox.first].into_iter().filter(is_own).map(own).sum::<usize>();
            inbox.rest.as_ref().map_or(first, |rest| {
                first
                    + rest.slices.iter().filter(is_own).map(own).sum::<usize>()
                    + rest.slices.capacity() * size_of::<Bytes>()
                    + rest.tail.capacity()
                    + size_of::<Rest>()
            })
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
            // Who reads as fast as it comes never fills it.
            for (i, len) in lengths.into_iter().cycle().enumerate().take(20_000) {
                if inbox.len() + len > WINDOW { break }
                if i % 2 == 0 && len < COPY_BELOW {
                    held.push_from(&mut inbox, len);
                } else {
                    inbox.push(held.slice(i * spread % 60_000, len));
                }
                if i % 3 == 0 { inbox.consume(reads[i % reads.len()]) }
                held.blocks.retain(|block| !block.is_unique());
                let (bytes, unread) = (held.bytes(&inbox), inbox.len());
                prop_assert!(bytes <= unread + 240 * 1024, "{bytes} for {unread}");
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
                    2 => {
                        let n = inbox.peek(n).len().min(n);
                        got.extend_from_slice(&inbox.peek(n)[..n]);
                        inbox.consume(n);
                    }
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
