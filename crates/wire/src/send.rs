//! Bytes on their way out.

use alloc::vec::Vec;

/// How a cipher frames what it seals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Framing {
    /// Bytes that are kept free before the plaintext, for a length.
    pub prefix: usize,
    /// Bytes that will follow the sealed plaintext: the tag.
    pub suffix: usize,
    /// The most plaintext of one frame, in bytes.
    pub plain_max: usize,
}

/// The bytes that one connection has yet to send: `[ sent | sealed | prefix | open | spare ]`.
///
/// Layers append; the driver sends what is [`ready`](Self::ready). Without a cipher appended bytes are ready at once.
/// With one they gather in an open frame, which the cipher seals in place, once for many writes. The driver never sees
/// plaintext of an open frame.
///
/// The capacity is fixed: a full buffer is a short write. Its last 4 KiB are kept for control frames, which may not
/// wait behind payload.
#[derive(Debug)]
pub struct SendBuf {
    store: Vec<u8>,
    sent: usize,
    /// `store[sent..sealed]` is ready. Behind it, if `open`: the prefix and the plaintext of the open frame.
    sealed: usize,
    open: bool,
    framing: Option<Framing>,
    capacity: usize,
    /// All bytes that were ready once and have left the storage.
    gone: u64,
}

impl SendBuf {
    /// The default capacity in bytes: two of the largest Noise frames, nearly.
    pub const CAPACITY: usize = 128 * 1024;

    /// What payload leaves free for control frames, in bytes.
    pub const CONTROL_RESERVE: usize = 4 * 1024;

    /// An empty buffer that takes no memory before the first byte and never more than `capacity` bytes.
    /// The range is 16 KiB and more.
    pub fn new(capacity: usize) -> Self {
        let capacity = capacity.max(16 * 1024);
        Self { store: Vec::new(), sent: 0, sealed: 0, open: false, framing: None, capacity, gone: 0 }
    }

    // ---- the driver's side

    /// The bytes that can go to the socket now.
    pub fn ready(&self) -> &[u8] {
        &self.store[self.sent..self.sealed]
    }

    /// Says that the first `n` ready bytes have gone. More than there were counts as all.
    pub fn sent(&mut self, n: usize) {
        self.sent = self.sent.saturating_add(n).min(self.sealed);
        if self.sent == self.store.len() {
            self.store.clear();
        } else if self.sent < self.capacity / 2 {
            return; // Moving the rest forward now could cost more than was sent.
        } else {
            self.store.drain(..self.sent);
        }
        self.gone += self.sent as u64;
        self.sealed -= self.sent;
        self.sent = 0;
    }

    /// All bytes that have ever been ready.
    pub fn total(&self) -> u64 {
        self.gone + self.sealed as u64
    }

    /// Whether nothing waits, sealed or not.
    pub fn is_empty(&self) -> bool {
        self.sent == self.store.len()
    }

    /// Gives the memory back if nothing waits in it. A driver calls this before it waits, so that an idle connection
    /// holds no buffer.
    pub fn release(&mut self) {
        if self.is_empty() {
            self.sent(0);
            self.store = Vec::new();
        }
    }

    /// Whether it holds memory, with bytes in it or without.
    pub fn holds_memory(&self) -> bool {
        self.store.capacity() > 0
    }

    /// Exchanges the storage with `other` if all of it is ready and none was sent: a writer on another thread sends
    /// from it while layers go on appending. `other` must be empty and becomes the new storage; what it then holds is
    /// all to be sent. Returns whether it happened.
    pub fn take_ready(&mut self, other: &mut Vec<u8>) -> bool {
        if self.open || !other.is_empty() || self.is_empty() || self.sent > 0 {
            return false;
        }
        core::mem::swap(&mut self.store, other);
        self.gone += self.sealed as u64;
        self.sealed = 0;
        true
    }

    // ---- the layers' side

    /// The bytes of payload that may be appended now: what is left of the open frame and of the capacity, less the
    /// reserve for control frames.
    pub fn room(&self) -> usize {
        self.capacity_room().saturating_sub(Self::CONTROL_RESERVE).min(self.frame_room())
    }

    /// The bytes of control frames that may be appended now.
    pub fn control_room(&self) -> usize {
        self.capacity_room().min(self.frame_room())
    }

    fn capacity_room(&self) -> usize {
        let overhead = match self.framing {
            Some(framing) if self.open => framing.suffix,
            Some(framing) => framing.prefix + framing.suffix,
            None => 0,
        };
        self.capacity.saturating_sub(self.store.len() + overhead)
    }

    /// Appends `bytes` if [`control_room`](Self::control_room) has room for all of them, else nothing.
    /// Returns whether it did. A layer that appends payload asks [`room`](Self::room) first.
    #[inline]
    #[must_use]
    pub fn append(&mut self, bytes: &[u8]) -> bool {
        self.append_parts([bytes])
    }

    /// Appends several parts of one message, all or nothing, as [`append`](Self::append) does with one.
    #[inline]
    #[must_use]
    pub fn append_parts<const N: usize>(&mut self, parts: [&[u8]; N]) -> bool {
        let len = parts.iter().map(|part| part.len()).sum();
        if len > self.control_room() {
            return false;
        }
        if len > self.store.capacity() - self.store.len() || self.framing.is_some() {
            self.make_room(len);
        }
        for part in parts {
            self.store.extend_from_slice(part);
        }
        if self.framing.is_none() {
            self.sealed = self.store.len();
        }
        true
    }

    /// Opens a frame for `len` bytes if there is none, and gets them memory.
    #[cold]
    fn make_room(&mut self, len: usize) {
        if self.store.capacity() == 0 {
            self.store.reserve_exact(self.capacity.min(len.max(1024)));
        }
        if let (Some(framing), false, 1..) = (self.framing, self.open, len) {
            self.open = true;
            self.store.resize(self.store.len() + framing.prefix, 0);
        }
    }

    /// Sets how frames are built from here on. Bytes appended before are ready as they are; an open frame is not
    /// touched, so a cipher sets this once, before anything is to be sealed by it.
    pub fn set_framing(&mut self, framing: Framing) {
        self.framing = Some(framing);
    }

    /// The plaintext of the open frame, for the cipher to seal in place; `None` if there is nothing to seal.
    pub fn open_frame(&mut self) -> Option<&mut [u8]> {
        let prefix = self.framing?.prefix;
        if self.open { Some(&mut self.store[self.sealed + prefix..]) } else { None }
    }

    /// Appends to the open frame what its cipher seals along with the plaintext, and returns both. The room is the
    /// suffix's: `bytes` and what [`close_frame`](Self::close_frame) appends are together as long as that. `None` if
    /// there is nothing to seal.
    pub fn extend_frame(&mut self, bytes: &[u8]) -> Option<&mut [u8]> {
        if self.open {
            self.store.extend_from_slice(bytes);
        }
        self.open_frame()
    }

    /// Closes the open frame around its sealed bytes, which are ready then. `prefix` and `suffix` have the lengths of
    /// the framing (less what [`extend_frame`](Self::extend_frame) has appended); without an open frame nothing happens.
    pub fn close_frame(&mut self, prefix: &[u8], suffix: &[u8]) {
        if self.open {
            let at = self.sealed;
            self.store[at..at + prefix.len()].copy_from_slice(prefix);
            self.store.extend_from_slice(suffix);
            self.sealed = self.store.len();
            self.open = false;
        }
    }

    /// What was appended behind `mark` and is not sealed, and the mark behind it: so that a transcript can look at bytes on
    /// their way. The mark of the beginning is 0. What has left the storage, or was sealed, is not shown.
    pub fn appended(&self, mark: u64) -> (&[u8], u64) {
        let end = self.gone + self.store.len() as u64;
        let first = match self.framing {
            Some(_) if !self.open => self.store.len(),
            Some(framing) => self.sealed + framing.prefix,
            None => 0,
        };
        let from = usize::try_from(mark.saturating_sub(self.gone)).map_or(self.store.len(), |at| at.max(first));
        (self.store.get(from..).unwrap_or_default(), end)
    }

    /// Whether the open frame has so little room that it should be sealed to make room for the next: less than `need`
    /// bytes, while the capacity has more.
    pub fn frame_is_full(&self, need: usize) -> bool {
        self.open && self.frame_room() < need
    }

    fn frame_room(&self) -> usize {
        match self.framing {
            Some(framing) if self.open => {
                framing.plain_max.saturating_sub(self.store.len() - self.sealed - framing.prefix)
            }
            Some(framing) => framing.plain_max,
            None => usize::MAX,
        }
    }
}

impl Default for SendBuf {
    fn default() -> Self {
        Self::new(Self::CAPACITY)
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_transcript_sees_each_appended_byte_once_before_it_is_sealed() {
        let mut send = SendBuf::default();
        assert!(send.append(b"plain"));
        let (bytes, mark) = send.appended(0);
        assert_eq!(bytes, b"plain");
        assert_eq!(send.appended(mark).0, b"");
        send.sent(5);
        send.set_framing(Framing { prefix: 2, suffix: 1, plain_max: 10 });
        assert_eq!(send.appended(mark), (&b""[..], mark));
        assert!(send.append(b"ab"));
        let (bytes, mark) = send.appended(mark);
        assert_eq!(bytes, b"ab");
        assert!(send.append(b"cd"));
        let (bytes, mark) = send.appended(mark);
        assert_eq!(bytes, b"cd");
        send.close_frame(b"..", b"t");
        assert_eq!(send.appended(mark).0, b"", "sealed bytes are not shown");
        assert!(send.append(b"e"));
        assert_eq!(send.appended(mark).0, b"e", "nor is the prefix of a frame");
    }

    const FRAMING: Framing = Framing { prefix: 2, suffix: 3, plain_max: 20_000 };

    fn seal(send: &mut SendBuf) {
        let Some(plain) = send.open_frame() else { return };
        plain.iter_mut().for_each(|b| *b ^= 0xff);
        let len = plain.len() as u16;
        send.close_frame(&len.to_be_bytes(), b"tag");
    }

    #[test]
    fn without_a_cipher_bytes_are_ready_at_once() {
        let mut send = SendBuf::default();
        assert!(send.append(b"hello"));
        assert_eq!(send.ready(), b"hello");
        send.sent(2);
        assert_eq!(send.ready(), b"llo");
        send.sent(99);
        assert!(send.is_empty());
        assert_eq!((send.store.len(), send.total()), (0, 5));
    }

    #[test]
    fn plaintext_is_never_ready() {
        let mut send = SendBuf::default();
        assert!(send.append(b"clear"));
        send.set_framing(FRAMING);
        assert!(send.append(b"sec"));
        assert!(send.append(b"ret"));
        assert_eq!(send.ready(), b"clear");
        send.sent(5);
        assert!(send.ready().is_empty());
        assert!(!send.is_empty());
        seal(&mut send);
        let sealed = b"secret".map(|b| b ^ 0xff);
        assert_eq!(send.ready(), [&[0, 6], &sealed[..], b"tag"].concat());
        assert!(send.open_frame().is_none());
    }

    #[test]
    fn payload_leaves_a_reserve_for_control() {
        let mut send = SendBuf::new(16 * 1024);
        assert!(send.append(&vec![0; send.room()]));
        assert_eq!(send.room(), 0);
        assert_eq!(send.control_room(), SendBuf::CONTROL_RESERVE);
        assert!(!send.append(&[0; SendBuf::CONTROL_RESERVE + 1]));
        assert!(send.append(&[0; SendBuf::CONTROL_RESERVE]));
        assert_eq!(send.control_room(), 0);
    }

    #[test]
    fn a_full_frame_makes_room_by_being_sealed() {
        let mut send = SendBuf::default();
        send.set_framing(FRAMING);
        assert!(send.append(&vec![1; FRAMING.plain_max - 10]));
        assert_eq!(send.room(), 10);
        assert!(send.frame_is_full(11) && !send.frame_is_full(10));
        assert!(!send.append(&[0; 11]));
        seal(&mut send);
        assert_eq!(send.room(), FRAMING.plain_max);
    }

    #[test]
    fn a_cipher_may_seal_more_than_the_plaintext() {
        let mut send = SendBuf::new(16 * 1024);
        send.set_framing(FRAMING);
        assert!(send.extend_frame(b"t").is_none(), "nothing is open");
        assert!(send.append(&vec![7; send.control_room()]));
        let sealed = send.extend_frame(b"t").unwrap();
        assert_eq!((sealed.len(), sealed.last()), (16 * 1024 - 4, Some(&b't')));
        send.close_frame(b"!!", b"ag");
        assert_eq!((send.ready().len(), &send.ready()[16 * 1024 - 3..]), (16 * 1024, &b"tag"[..]));
    }

    #[test]
    fn storage_changes_hands_only_when_all_of_it_is_ready() {
        let (mut send, mut out) = (SendBuf::default(), Vec::new());
        assert!(!send.take_ready(&mut out));
        send.set_framing(FRAMING);
        assert!(send.append(b"abc"));
        assert!(!send.take_ready(&mut out), "an open frame");
        seal(&mut send);
        assert!(send.take_ready(&mut out));
        assert_eq!(out.len(), 8);
        assert!(send.is_empty());
        assert!(send.append(b"x"));
        seal(&mut send);
        assert!(!send.take_ready(&mut out), "the other is not empty");
    }

    #[test]
    fn memory_comes_with_the_first_byte_and_goes_with_the_last() {
        let mut send = SendBuf::default();
        assert_eq!(send.store.capacity(), 0);
        assert!(send.append(b"x"));
        send.release();
        assert_ne!(send.store.capacity(), 0);
        send.sent(1);
        send.release();
        assert_eq!(send.store.capacity(), 0);
    }

    proptest! {
        #[test]
        fn bytes_leave_in_order_and_within_capacity(
            ops in prop::collection::vec((0u8..3, 1usize..9000), 1..200),
        ) {
            let mut send = SendBuf::new(16 * 1024);
            let (mut put, mut got, mut next) = (Vec::new(), Vec::new(), 0u8);
            for (op, n) in ops {
                match op {
                    0 => {
                        let piece: Vec<u8> = (0..n).map(|_| { next = next.wrapping_add(7); next }).collect();
                        if send.append(&piece) { put.extend(piece) }
                    }
                    _ => {
                        let n = n.min(send.ready().len());
                        got.extend_from_slice(&send.ready()[..n]);
                        send.sent(n);
                    }
                }
                prop_assert!(send.store.len() <= 16 * 1024);
            }
            got.extend_from_slice(send.ready());
            prop_assert_eq!(got, put);
        }
    }
}
