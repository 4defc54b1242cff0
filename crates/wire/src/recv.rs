//! Bytes on their way in.

use bytes::{Buf, BufMut, Bytes, BytesMut, buf::Limit};

use crate::budget::{Budget, Share};

/// Below this much room a read is not worth its system call: the block is changed first.
const ROOM_MIN: usize = 4 * 1024;

/// The first block, in bytes, and what a buffer with a budget may have outside of it: the least capacity.
const FREE: usize = 8 * 1024;

/// The block that small slices are copied to, in bytes: what one of them may pin.
const SMALL_BLOCK: usize = 2 * 1024;

/// The bytes that one connection has received and not used yet: `[ used | plain | gap | sealed | spare ]`.
///
/// The driver fills `spare`. A cipher opens the first bytes of `sealed` in place and [reveals](Self::reveal) them as
/// `plain`, which the layers above use up from the front. What they leave when a frame ends (a part of a head) is moved
/// forward over tag and length, so that everyone sees one contiguous slice. Payload leaves as [`Bytes`] slices of the
/// block: nothing is copied.
///
/// Without a cipher all that arrives is revealed as it is. When a layer agrees on a cipher, [`reseal`](Self::reseal)
/// takes back what was revealed too early.
#[derive(Debug)]
pub struct RecvBuf {
    /// Longer than `end` where spare bytes have been zeroed for [`spare`](Self::spare).
    block: BytesMut,
    /// `block[start..plain]` is revealed, `block[sealed..end]` has yet to be opened; what lies between is a gap.
    start: usize,
    plain: usize,
    sealed: usize,
    end: usize,
    capacity: usize,
    /// The bytes that `sealed` must have room for: the frame that was announced.
    announced: usize,
    total: u64,
    eof: bool,
    held: bool,
    /// Reads bring so much that the next block is as large as it may be.
    is_busy: bool,
    /// Room for copies of slices that are too short to pin a block.
    small: BytesMut,
    share: Option<Share>,
}

impl RecvBuf {
    /// Room for one whole Noise frame and the longest head that a layer may leave unused.
    pub const CAPACITY: usize = 65 * 1024 + 512;

    /// An empty buffer that takes no memory before the first read, then a block of 8 KiB, and blocks of `capacity` bytes
    /// from when a read fills one up until one brings less than 8 KiB. The range is 8 KiB and more; a larger frame that was [announced](Self::announce)
    /// makes it grow.
    pub fn new(capacity: usize) -> Self {
        Self {
            block: BytesMut::new(),
            start: 0,
            plain: 0,
            sealed: 0,
            end: 0,
            capacity: capacity.max(FREE),
            announced: 0,
            total: 0,
            eof: false,
            held: false,
            is_busy: false,
            small: BytesMut::new(),
            share: None,
        }
    }

    /// The same with the default capacity, of which all but 8 KiB come out of `budget` while they are in use. With the
    /// budget used up it [wants](Self::wants) no more than it has.
    pub fn with_budget(budget: Budget) -> Self {
        Self { share: Some(Share::of(budget)), ..Self::default() }
    }

    // ---- the driver's side

    /// Whether the driver should read from its socket: there is room, no end was seen, and no layer holds it back.
    pub fn wants(&self) -> bool {
        !self.eof && !self.held && self.room() > 0
    }

    /// Whether it would want more if the budget had it. Nothing tells when it has: ask again in a while.
    pub fn is_starved(&self) -> bool {
        self.room() == 0 && self.bound() > self.end - self.start
    }

    /// Initialised room to read into; tell the number of bytes by [`filled`](Self::filled).
    /// Empty when the buffer is full.
    pub fn spare(&mut self) -> &mut [u8] {
        let room = self.make_room();
        if self.block.len() < self.end + room {
            self.block.resize(self.end + room, 0);
        }
        &mut self.block[self.end..self.end + room]
    }

    /// Says that the first `n` bytes of [`spare`](Self::spare) have been filled. More than there were counts as all.
    pub fn filled(&mut self, n: usize) {
        let room = self.block.len() - self.end;
        let n = n.min(room);
        self.has_read(n, room);
        self.end += n;
        self.total += n as u64;
    }

    /// Lets `read` append to the buffer through [`BufMut`], which needs no zeroing.
    ///
    /// ```
    /// # use bytes::BufMut;
    /// # let mut recv = sanswarm_wire::RecvBuf::default();
    /// recv.fill(|spare| spare.put_slice(b"hello")); // an adapter: recv.fill(|spare| socket.try_read_buf(spare))
    /// assert_eq!(recv.sealed_mut(), b"hello");
    /// ```
    pub fn fill<R>(&mut self, read: impl FnOnce(&mut Limit<&mut BytesMut>) -> R) -> R {
        let room = self.make_room();
        self.block.truncate(self.end);
        let result = read(&mut (&mut self.block).limit(room));
        let n = self.block.len() - self.end;
        self.has_read(n, room);
        self.total += n as u64;
        self.end = self.block.len();
        result
    }

    /// Copies from `input` what there is room for, and returns how much that was.
    pub fn feed(&mut self, input: &[u8]) -> usize {
        let mut used = 0;
        while used < input.len() && self.room() > 0 {
            let before = self.total;
            self.fill(|spare| spare.put_slice(&input[used..used + spare.remaining_mut().min(input.len() - used)]));
            used += (self.total - before) as usize;
        }
        used
    }

    /// Says that the peer will send nothing more.
    pub fn set_eof(&mut self) {
        self.eof = true;
    }

    /// Gives the memory back if nothing is in it. A driver calls this before it waits, so that an idle connection holds
    /// no buffer.
    pub fn release(&mut self) {
        if self.is_empty() {
            self.block = BytesMut::new();
            self.small = BytesMut::new();
            if let Some(share) = &mut self.share {
                share.give();
            }
        }
    }

    /// Whether it holds memory, with bytes in it or without.
    pub fn holds_memory(&self) -> bool {
        self.block.capacity() > 0 || self.small.capacity() > 0
    }

    // ---- the layers' side

    /// Whether the driver has seen the end of the input. Bytes may still be here.
    pub fn is_eof(&self) -> bool {
        self.eof
    }

    /// All bytes that have ever come in.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Whether there are bytes that no cipher has opened: a frame that is not whole, once all whole ones are opened.
    pub fn is_partial(&self) -> bool {
        self.sealed < self.end
    }

    /// Whether no byte is left, revealed or not.
    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Stops or resumes reading: a layer that cannot take more input says so here, and the socket fills up.
    pub fn hold(&mut self, held: bool) {
        self.held = held;
    }

    /// The bytes that have been revealed and not used.
    #[inline]
    pub fn plain(&self) -> &[u8] {
        &self.block[self.start..self.plain]
    }

    /// Uses the first `n` revealed bytes up, or all if there are fewer.
    #[inline]
    pub fn consume(&mut self, n: usize) {
        self.start += n.min(self.plain - self.start);
        self.drop_gap();
    }

    /// Takes the first `n` revealed bytes out as a slice of the block, or all if there are fewer. Copies nothing.
    pub fn take(&mut self, n: usize) -> Bytes {
        let n = n.min(self.plain - self.start);
        self.drop_used();
        let slice = self.block.split_to(n).freeze();
        self.plain -= n;
        self.sealed -= n;
        self.end -= n;
        self.drop_gap();
        slice
    }

    /// Takes the first `n` revealed bytes out as a copy, in a block that it shares with other such copies. There are so
    /// many, and at most half of that block.
    pub(crate) fn take_copy(&mut self, n: usize) -> Bytes {
        if self.small.capacity() < n {
            self.small.reserve(SMALL_BLOCK); // This is the old block again if nobody holds a part of it.
        }
        self.small.extend_from_slice(&self.block[self.start..self.start + n]);
        self.consume(n);
        self.small.split().freeze()
    }

    /// The bytes that no cipher has opened yet.
    pub fn sealed_mut(&mut self) -> &mut [u8] {
        &mut self.block[self.sealed..self.end]
    }

    /// Says that the next frame of the sealed bytes is `len` bytes long, so that there will be room for it.
    /// The caller has checked `len` against the limit of its protocol.
    pub fn announce(&mut self, len: usize) {
        self.announced = len;
    }

    /// Says that a cipher has opened the frame at the front of the sealed bytes in place: `head` bytes before the
    /// plaintext, `plain` bytes of it, `tail` bytes behind. Lengths beyond the sealed bytes are cut.
    pub fn reveal(&mut self, head: usize, plain: usize, tail: usize) {
        let from = (self.sealed + head).min(self.end);
        let to = (from + plain).min(self.end);
        let left = self.plain - self.start;
        if left > 0 && from > self.plain {
            self.block.copy_within(self.start..self.plain, from - left);
        }
        self.start = from - left;
        self.plain = to;
        self.sealed = (to + tail).min(self.end);
        self.announced = 0;
        self.drop_gap();
    }

    /// Reveals all sealed bytes as they are: what a connection without a cipher does.
    #[inline]
    pub fn reveal_all(&mut self) {
        if self.plain == self.sealed {
            (self.plain, self.sealed, self.announced) = (self.end, self.end, 0);
        } else {
            self.reveal(0, self.end - self.sealed, 0);
        }
    }

    /// Takes back what was revealed and not used, at a switch from no cipher to one: it belongs to the cipher.
    /// Of use only while all was revealed by [`reveal_all`](Self::reveal_all), when there is no gap.
    pub fn reseal(&mut self) {
        if self.plain == self.sealed {
            self.sealed = self.start;
            self.plain = self.start;
        }
    }

    // ---- within

    /// The bytes that may be held: up to the capacity, or as many as the announced frame needs.
    fn bound(&self) -> usize {
        self.capacity.max(self.sealed - self.start + self.announced)
    }

    /// What may still be read in.
    fn room(&self) -> usize {
        let bound = match &self.share {
            Some(share) => self.bound().min(FREE + share.could_have(self.bound().saturating_sub(FREE))),
            None => self.bound(),
        };
        bound.saturating_sub(self.end - self.start)
    }

    /// Judges the size of the next block by what a read has brought.
    fn has_read(&mut self, n: usize, room: usize) {
        self.is_busy = n == room || (self.is_busy && n >= FREE);
    }

    /// Makes sure that the block has room behind `end`, and returns how much of it may be used.
    fn make_room(&mut self) -> usize {
        let mut bound = self.bound();
        if !self.is_busy && self.end - self.start <= FREE - ROOM_MIN {
            bound = bound.min(FREE.max(self.sealed - self.start + self.announced));
        }
        if let Some(share) = &mut self.share {
            bound = bound.min(FREE + share.get(bound.saturating_sub(FREE)));
        }
        let room = bound.saturating_sub(self.end - self.start);
        let missing = (self.sealed + self.announced).saturating_sub(self.end);
        let in_block = self.block.capacity() - self.end;
        if in_block >= room.min(ROOM_MIN.max(missing)) {
            return room.min(in_block);
        }
        self.drop_used();
        self.block.truncate(self.end);
        self.block.reserve(room);
        room
    }

    /// Lets the block begin with the first unused byte.
    fn drop_used(&mut self) {
        let used = core::mem::take(&mut self.start);
        self.block.advance(used);
        self.plain -= used;
        self.sealed -= used;
        self.end -= used;
    }

    /// With nothing revealed left, tag and length of the frame behind it are of no use. With nothing left at all, the
    /// block can be filled from its beginning again.
    #[inline]
    fn drop_gap(&mut self) {
        if self.start < self.plain {
            return;
        }
        if self.sealed == self.end {
            (self.sealed, self.end) = (0, 0);
        }
        (self.start, self.plain) = (self.sealed, self.sealed);
    }
}

impl Default for RecvBuf {
    fn default() -> Self {
        Self::new(Self::CAPACITY)
    }
}

#[cfg(test)]
mod tests {
    use alloc::{vec, vec::Vec};

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_a_layer_leaves_is_contiguous_with_the_next_frame() {
        let mut recv = RecvBuf::default();
        // two frames: 2 bytes of length, text, 1 byte of tag
        assert_eq!(recv.feed(b"..hello!..world!"), 16);
        recv.reveal(2, 5, 1);
        assert_eq!(recv.plain(), b"hello");
        recv.consume(3);
        assert_eq!(recv.sealed_mut(), b"..world!");
        recv.reveal(2, 5, 1);
        assert_eq!(recv.plain(), b"loworld");
        assert_eq!(recv.take(3), "low");
        recv.consume(99);
        assert!(recv.is_empty());
    }

    #[test]
    fn reseal_takes_back_what_the_next_layer_owns() {
        let mut recv = RecvBuf::default();
        recv.feed(b"agreed|secret");
        recv.reveal_all();
        recv.consume(7);
        recv.reseal();
        assert_eq!(recv.plain(), b"");
        assert_eq!(recv.sealed_mut(), b"secret");
    }

    #[test]
    fn reading_stops_at_capacity_at_the_end_and_when_held() {
        let mut recv = RecvBuf::new(8 * 1024);
        assert_eq!(recv.feed(&vec![7; 10_000]), 8 * 1024);
        assert!(!recv.wants());
        assert!(recv.spare().is_empty());
        recv.reveal_all();
        recv.consume(1);
        assert!(recv.wants());
        assert_eq!(recv.spare().len(), 1);
        recv.hold(true);
        assert!(!recv.wants());
        recv.hold(false);
        recv.set_eof();
        assert!(!recv.wants());
    }

    #[test]
    fn an_announced_frame_makes_it_grow_by_just_that() {
        let mut recv = RecvBuf::new(8 * 1024);
        recv.feed(&[0; 100]);
        recv.announce(65_537);
        assert_eq!(recv.feed(&vec![1; 100_000]), 65_437);
        assert!(!recv.wants());
        recv.reveal(2, 65_519, 16);
        assert_eq!(recv.take(65_519).len(), 65_519);
        assert!(recv.is_empty());
        assert_eq!(recv.room(), 8 * 1024);
    }

    #[test]
    fn frames_that_never_end_cost_no_more_than_the_budget() {
        let budget = Budget::new(100_000);
        let frame = |recv: &mut RecvBuf| {
            recv.feed(&[0xff, 0xff]);
            recv.announce(65_537);
            recv.feed(&[1; 65_000])
        };
        let mut all: Vec<_> = (0..5).map(|_| RecvBuf::with_budget(budget.clone())).collect();
        let taken: Vec<_> = all.iter_mut().map(frame).collect();
        assert_eq!(taken, [65_000, FREE - 2, FREE - 2, FREE - 2, FREE - 2]);
        assert!(budget.used() <= 100_000);
        assert!(all[0].wants() && !all[0].is_starved());
        assert!(!all[1].wants() && all[1].is_starved());
        all[0].feed(&[1; 535]);
        all[0].reveal(2, 65_519, 16);
        all[0].consume(65_519);
        all[0].release();
        assert_eq!(budget.used(), 0);
        assert!(all[1].wants() && !all[1].is_starved());
        assert_eq!(all[1].feed(&[1; 100_000]), RecvBuf::CAPACITY - FREE, "the rest of the frame, and more");
        drop(all);
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn blocks_are_as_large_as_reads_want_them() {
        let mut recv = RecvBuf::default();
        let mut read = |n: usize, rest: usize| {
            let room = recv.spare().len();
            recv.filled(n.min(room));
            recv.reveal_all();
            recv.consume(recv.plain().len() - rest);
            recv.release();
            room
        };
        assert_eq!(read(100, 0), FREE);
        assert_eq!(read(FREE, 10), FREE);
        assert_eq!(read(60_000, 0), RecvBuf::CAPACITY - 10);
        assert_eq!(read(FREE, 0), RecvBuf::CAPACITY, "after it was given back, too");
        assert_eq!(read(FREE - 1, 0), RecvBuf::CAPACITY);
        assert_eq!(read(1, 0), FREE);
    }

    proptest! {
        /// A driver that reads into an empty slice takes that for the end.
        #[test]
        fn who_wants_bytes_has_room_for_some(
            ops in prop::collection::vec((any::<bool>(), prop_oneof![0usize..200, 0usize..10_000, Just(usize::MAX)]), 1..100),
        ) {
            let mut recv = RecvBuf::default();
            for (reads, n) in ops {
                if reads {
                    let wants = recv.wants();
                    let room = recv.spare().len();
                    prop_assert!(room > 0 || !wants);
                    recv.filled(n.min(room));
                    recv.reveal_all();
                } else {
                    recv.consume(n);
                    recv.release();
                }
            }
        }
    }

    #[test]
    fn an_idle_buffer_holds_no_block() {
        let mut recv = RecvBuf::default();
        recv.feed(b"x");
        recv.release();
        assert!(recv.block.capacity() > 0, "a byte is in it");
        recv.reveal_all();
        recv.consume(1);
        recv.release();
        assert!(!recv.holds_memory());
    }

    #[test]
    fn a_block_that_nobody_holds_is_used_again() {
        let mut recv = RecvBuf::default();
        let mut blocks = Vec::new();
        for _ in 0..50 {
            recv.feed(&vec![1; 60_000]);
            recv.reveal_all();
            let slice = recv.take(60_000);
            blocks.push(slice.as_ptr() as usize);
        }
        blocks.sort_unstable();
        blocks.dedup();
        assert_eq!(blocks.len(), 1, "one block serves all");
    }

    #[test]
    fn what_is_used_without_being_taken_stays_in_place() {
        let mut recv = RecvBuf::new(8 * 1024);
        for _ in 0..1000 {
            recv.feed(&[1; 100]);
            recv.reveal_all();
            recv.consume(100);
        }
        assert_eq!((recv.total(), recv.block.capacity(), recv.end), (100_000, 8 * 1024, 0));
        recv.feed(&[1; 5000]);
        recv.reveal_all();
        recv.consume(4999);
        assert_eq!(
            (recv.room(), recv.feed(&[2; 9000])),
            (8 * 1024 - 1, 8 * 1024 - 1),
            "room counts from what is unused"
        );
        recv.reveal_all();
        assert_eq!((recv.plain()[0], recv.plain()[1], recv.plain().len()), (1, 2, 8 * 1024));
    }

    #[test]
    fn copies_share_a_block_that_is_used_again() {
        let mut recv = RecvBuf::default();
        let mut copy = |text: &[u8]| {
            recv.feed(text);
            recv.reveal_all();
            recv.take_copy(text.len())
        };
        let first = copy(&[1; 1000]);
        let (second, third) = (copy(&[2; 1000]), copy(&[3; 1000]));
        assert_eq!((&first[..], &second[..], &third[..]), (&[1; 1000][..], &[2; 1000][..], &[3; 1000][..]));
        assert_eq!(first.as_ptr() as usize + 1000, second.as_ptr() as usize, "one block");
        let at = third.as_ptr();
        drop((first, second, third));
        copy(&[4; 1000]);
        assert_eq!(copy(&[5; 1000]).as_ptr(), at, "nobody held it any more");
        recv.release();
        assert_eq!((recv.small.capacity(), recv.block.capacity()), (0, 0));
    }

    proptest! {
        /// Frames of `[len u16][text][tag 3]`, fed in any pieces, used in any pieces: the text comes out in order.
        #[test]
        fn chunking_does_not_matter(
            frames in prop::collection::vec(0usize..2000, 1..12),
            chunks in prop::collection::vec(1usize..3000, 1..20),
            uses in prop::collection::vec(1usize..2500, 1..20),
            zeroed in any::<bool>(),
        ) {
            let (mut wire, mut text) = (Vec::new(), Vec::new());
            for (i, len) in frames.iter().enumerate() {
                let piece = vec![i as u8; *len];
                wire.extend((*len as u16).to_be_bytes());
                wire.extend(&piece);
                wire.extend([0xff; 3]);
                text.extend(piece);
            }
            let mut recv = RecvBuf::new(8 * 1024);
            let (mut chunks, mut uses) = (chunks.into_iter().cycle(), uses.into_iter().cycle());
            let (mut at, mut got) = (0, Vec::new());
            loop {
                let n = chunks.next().unwrap().min(wire.len() - at);
                if zeroed {
                    let spare = recv.spare();
                    let n = n.min(spare.len());
                    spare[..n].copy_from_slice(&wire[at..at + n]);
                    recv.filled(n);
                    at += n;
                } else {
                    at += recv.feed(&wire[at..at + n]);
                }
                let sealed = recv.sealed_mut();
                if let Some(len) = sealed.first_chunk::<2>().map(|l| u16::from_be_bytes(*l) as usize) {
                    if sealed.len() >= len + 5 { recv.reveal(2, len, 3) } else { recv.announce(len + 5) }
                }
                let n = uses.next().unwrap();
                let few = n.min(recv.plain().len());
                if n % 3 == 0 && n <= 1000 { got.extend(recv.take_copy(few)) }
                else if recv.plain().len() > 1026 || n % 2 == 0 { got.extend(recv.take(n)) }
                else { let n = n.min(recv.plain().len()); got.extend_from_slice(&recv.plain()[..n]); recv.consume(n) }
                if at == wire.len() && recv.is_empty() { break }
            }
            prop_assert_eq!(got, text);
        }
    }
}
