//! Frames after the handshake.

use core::fmt;

use sanswarm_wire::{Framing, RecvBuf, SendBuf};

use crate::{Aead, Error, MESSAGE_MAX, PREFIX, TAG, aead::Key};

/// The most plaintext of one frame.
const PLAIN_MAX: usize = MESSAGE_MAX - TAG;

/// Both directions of a secured connection. It works in place and allocates nothing.
pub struct Cipher {
    send: Direction,
    recv: Direction,
    /// Why nothing more is opened.
    failed: Option<Error>,
}

struct Direction {
    key: Key,
    nonce: u64,
}

impl Direction {
    /// The nonce of the next frame. The last one is reserved (Noise 5.1).
    fn nonce(&self) -> Result<u64, Error> {
        if self.nonce == u64::MAX { Err(Error::Nonces) } else { Ok(self.nonce) }
    }
}

impl Cipher {
    pub(crate) fn new(aead: Aead, send: &[u8; 32], recv: &[u8; 32]) -> Option<Self> {
        let direction = |key| Key::new(aead, key).map(|key| Direction { key, nonce: 0 });
        Some(Self { send: direction(send)?, recv: direction(recv)?, failed: None })
    }

    /// How a `SendBuf` must build frames for [`seal`](Self::seal).
    pub const fn framing() -> Framing {
        Framing { prefix: PREFIX, suffix: TAG, plain_max: PLAIN_MAX }
    }

    /// Opens the next frame of `recv` in place and reveals its plaintext, which may be empty. False means that no frame
    /// is whole yet; its length has been announced then, if it is known.
    ///
    /// # Errors
    ///
    /// [`Error::Authentication`], [`Error::TooShort`] for a frame without room for a tag, and [`Error::Nonces`]. They
    /// are sticky, and nothing of the frame is revealed.
    pub fn open(&mut self, recv: &mut RecvBuf) -> Result<bool, Error> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        self.open_next(recv).inspect_err(|error| self.failed = Some(*error))
    }

    fn open_next(&mut self, recv: &mut RecvBuf) -> Result<bool, Error> {
        let Some((prefix, rest)) = recv.sealed_mut().split_first_chunk_mut() else {
            return Ok(false);
        };
        let len = usize::from(u16::from_be_bytes(*prefix));
        if len < TAG {
            return Err(Error::TooShort { min: TAG });
        }
        let Some((text, tag)) = rest.get_mut(..len).and_then(|frame| frame.split_last_chunk_mut()) else {
            recv.announce(PREFIX + len);
            return Ok(false);
        };
        let nonce = self.recv.nonce()?;
        if !self.recv.key.open(nonce, &[], text, *tag) {
            return Err(Error::Authentication);
        }
        self.recv.nonce += 1;
        recv.reveal(PREFIX, len - TAG, TAG);
        Ok(true)
    }

    /// Seals the open frame of `send` in place, so that it is ready to go. False means that there is none.
    ///
    /// # Errors
    ///
    /// [`Error::Nonces`], and [`Error::OwnFrame`] if `send` has not [this framing](Self::framing). The frame stays open.
    pub fn seal(&mut self, send: &mut SendBuf) -> Result<bool, Error> {
        let Some(text) = send.open_frame() else {
            return Ok(false);
        };
        if text.len() > PLAIN_MAX {
            return Err(Error::OwnFrame { limit: PLAIN_MAX });
        }
        let prefix = ((text.len() + TAG) as u16).to_be_bytes();
        let tag = self.send.key.seal(self.send.nonce()?, &[], text).ok_or(Error::Library)?;
        self.send.nonce += 1;
        send.close_frame(&prefix, &tag);
        Ok(true)
    }
}

impl fmt::Debug for Cipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cipher")
            .field("sealed", &self.send.nonce)
            .field("opened", &self.recv.nonce)
            .field("failed", &self.failed)
            .finish_non_exhaustive()
    }
}

#[cfg(any(feature = "aws-lc", feature = "openssl", feature = "ring", feature = "rustcrypto"))]
#[cfg(test)]
mod tests {
    use alloc::{vec, vec::Vec};

    use proptest::prelude::*;

    use super::*;

    fn pair() -> (Cipher, Cipher) {
        let aead = Aead::fastest().unwrap();
        (Cipher::new(aead, &[1; 32], &[2; 32]).unwrap(), Cipher::new(aead, &[2; 32], &[1; 32]).unwrap())
    }

    fn sealed(cipher: &mut Cipher, texts: &[&[u8]]) -> Vec<u8> {
        let mut send = SendBuf::default();
        send.set_framing(Cipher::framing());
        for text in texts {
            assert!(send.append(text));
            assert_eq!(cipher.seal(&mut send), Ok(true));
        }
        send.ready().to_vec()
    }

    /// A frame without plaintext, which a `SendBuf` never makes.
    fn empty_frame(cipher: &mut Cipher) -> Vec<u8> {
        let tag = cipher.send.key.seal(cipher.send.nonce, &[], &mut []).unwrap();
        cipher.send.nonce += 1;
        [&[0, 16], &tag[..]].concat()
    }

    fn received(bytes: &[u8]) -> RecvBuf {
        let mut recv = RecvBuf::default();
        assert_eq!(recv.feed(bytes), bytes.len());
        recv
    }

    #[test]
    fn frames_open_in_both_directions() {
        let (mut a, mut b) = pair();
        let mut recv = received(&sealed(&mut a, &[b"one", b"two"]));
        assert_eq!((b.open(&mut recv), b.open(&mut recv), b.open(&mut recv)), (Ok(true), Ok(true), Ok(false)));
        assert_eq!(recv.plain(), b"onetwo", "contiguous over tag and length");
        let mut recv = received(&sealed(&mut b, &[b"three"]));
        assert_eq!(a.open(&mut recv), Ok(true));
        assert_eq!(recv.plain(), b"three");
        assert_eq!(a.seal(&mut SendBuf::default()), Ok(false));
    }

    #[test]
    fn an_empty_frame_reveals_nothing_and_is_fine() {
        let (mut a, mut b) = pair();
        let mut recv = received(&[empty_frame(&mut a), sealed(&mut a, &[b"x"])].concat());
        assert_eq!(b.open(&mut recv), Ok(true));
        assert!(recv.plain().is_empty());
        assert_eq!(b.open(&mut recv), Ok(true));
        assert_eq!(recv.plain(), b"x");
    }

    #[test]
    fn the_largest_frame_fits_the_smallest_buffer() {
        let (mut a, mut b) = pair();
        let text = vec![5; PLAIN_MAX];
        let frame = sealed(&mut a, &[&text]);
        assert_eq!(frame.len(), PREFIX + MESSAGE_MAX);
        let mut recv = RecvBuf::new(0);
        let mut fed = recv.feed(&frame);
        assert!(fed < frame.len());
        assert_eq!(b.open(&mut recv), Ok(false));
        fed += recv.feed(&frame[fed..]);
        assert_eq!(fed, frame.len(), "room for what was announced");
        assert_eq!(b.open(&mut recv), Ok(true));
        assert_eq!(recv.plain(), text);
    }

    #[test]
    fn a_changed_frame_is_fatal_for_opening_only() {
        for at in [2, 4, 20] {
            let (mut a, mut b) = pair();
            let mut frame = sealed(&mut a, &[b"abc"]);
            let mut recv = received(&frame);
            frame[at] ^= 1;
            let mut bad = received(&frame);
            assert_eq!(b.open(&mut bad), Err(Error::Authentication));
            assert!(bad.plain().is_empty());
            assert_eq!(b.open(&mut recv), Err(Error::Authentication), "sticky");
            assert!(recv.plain().is_empty());
            let mut goodbye = received(&sealed(&mut b, &[b"bye"]));
            assert_eq!(a.open(&mut goodbye), Ok(true));
        }
    }

    #[test]
    fn replayed_reordered_and_lengthened_frames_are_refused() {
        let (mut a, mut b) = pair();
        let (one, two) = (sealed(&mut a, &[b"1"]), sealed(&mut a, &[b"2"]));
        let mut recv = received(&[&one[..], &one].concat());
        assert_eq!((b.open(&mut recv), b.open(&mut recv)), (Ok(true), Err(Error::Authentication)));
        let (_, mut b) = pair();
        assert_eq!(b.open(&mut received(&two)), Err(Error::Authentication));
        let (_, mut b) = pair();
        let longer = [&[0, 18], &one[2..], &[0]].concat();
        assert_eq!(b.open(&mut received(&longer)), Err(Error::Authentication));
    }

    #[test]
    fn a_length_below_the_tag_is_refused_alone() {
        for len in [0, 15] {
            let (_, mut b) = pair();
            assert_eq!(b.open(&mut received(&[0])), Ok(false));
            assert_eq!(b.open(&mut received(&[0, len])), Err(Error::TooShort { min: 16 }));
            assert_eq!(b.open(&mut received(&[])), Err(Error::TooShort { min: 16 }), "sticky");
        }
    }

    #[test]
    fn the_last_nonce_is_never_used() {
        let (mut a, mut b) = pair();
        (a.send.nonce, b.recv.nonce) = (u64::MAX - 1, u64::MAX - 1);
        let mut recv = received(&sealed(&mut a, &[b"last"]));
        assert_eq!(b.open(&mut recv), Ok(true));
        let mut send = SendBuf::default();
        send.set_framing(Cipher::framing());
        assert!(send.append(b"beyond"));
        assert_eq!((a.seal(&mut send), a.seal(&mut send)), (Err(Error::Nonces), Err(Error::Nonces)));
        assert!(send.ready().is_empty());
        assert_eq!(b.open(&mut received(&[&[0, 16][..], &[0; 16]].concat())), Err(Error::Nonces));
    }

    #[test]
    fn another_framing_is_a_typed_error() {
        let (mut a, _) = pair();
        let mut send = SendBuf::default();
        send.set_framing(Framing { plain_max: 100_000, ..Cipher::framing() });
        assert!(send.append(&vec![0; PLAIN_MAX + 1]));
        assert_eq!(a.seal(&mut send), Err(Error::OwnFrame { limit: PLAIN_MAX }));
    }

    proptest! {
        #[test]
        fn chunking_does_not_matter(
            texts in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..600), 1..8),
            cuts in prop::collection::vec(1usize..700, 1..20),
        ) {
            let (mut a, mut b) = pair();
            let slices: Vec<&[u8]> = texts.iter().map(|t| &t[..]).collect();
            let bytes = sealed(&mut a, &slices);
            for cuts in [vec![1], vec![bytes.len()], cuts] {
                (b.recv.nonce, b.failed) = (0, None);
                let (mut recv, mut rest, mut frames) = (RecvBuf::new(0), &bytes[..], 0);
                for cut in cuts.into_iter().cycle() {
                    let fed = recv.feed(&rest[..cut.min(rest.len())]);
                    rest = &rest[fed..];
                    while b.open(&mut recv).unwrap() { frames += 1 }
                    if rest.is_empty() { break }
                }
                prop_assert_eq!(frames, texts.len());
                prop_assert_eq!(recv.plain(), texts.concat());
            }
        }
    }
}
