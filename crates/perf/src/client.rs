//! The end that asks.

use crate::{Error, HEAD, count, payload};

/// The client of one exchange: what it has uploaded, and what has come back.
#[derive(Clone, Debug)]
pub struct Client {
    head: [u8; HEAD],
    head_sent: usize,
    /// What is still to be uploaded.
    left: u64,
    uploaded: u64,
    asked: u64,
    downloaded: u64,
    /// Our side has ended.
    is_finished: bool,
    /// Theirs has.
    is_done: bool,
    failed: Option<Error>,
}

impl Client {
    /// A client that uploads so many bytes, and asks for so many. [`u64::MAX`] is a valid size of either.
    pub const fn new(upload: u64, download: u64) -> Self {
        Self {
            head: download.to_be_bytes(),
            head_sent: 0,
            left: upload,
            uploaded: 0,
            asked: download,
            downloaded: 0,
            is_finished: false,
            is_done: false,
            failed: None,
        }
    }

    /// The next bytes to write, at most [`BLOCK`](crate::BLOCK) of them. Empty: none, now and for ever.
    pub fn ready(&self) -> &[u8] {
        if self.is_finished || self.failed.is_some() {
            return &[];
        }
        match &self.head[self.head_sent..] {
            [] => payload(self.left),
            head => head,
        }
    }

    /// Tells that the stream took the first `n` bytes of [`ready`](Self::ready). More than there were count as all.
    pub fn sent(&mut self, n: usize) {
        let n = n.min(self.ready().len());
        if self.head_sent < HEAD {
            self.head_sent += n;
        } else {
            self.left -= count(n);
            self.uploaded += count(n);
        }
    }

    /// Ends the upload with what was sent so far: how a client measures by the clock.
    pub const fn stop(&mut self) {
        self.left = 0;
    }

    /// Whether our side of the stream is to be ended now. Says so once.
    pub fn poll_finish(&mut self) -> bool {
        let is_due = !self.is_finished && self.failed.is_none() && self.ready().is_empty();
        self.is_finished |= is_due;
        is_due
    }

    /// Counts what comes back. It uses all of it.
    ///
    /// # Errors
    ///
    /// [`Error::Early`], [`Error::Excess`], or the error that the stream has failed with.
    pub fn handle_input(&mut self, input: &[u8]) -> Result<(), Error> {
        self.check()?;
        if input.is_empty() {
            return Ok(());
        }
        self.answered()?;
        if self.is_done || count(input.len()) > self.asked - self.downloaded {
            return Err(self.fail(Error::Excess { asked: self.asked }));
        }
        self.downloaded += count(input.len());
        Ok(())
    }

    /// Takes note that the server has ended its side: the exchange is done.
    ///
    /// # Errors
    ///
    /// [`Error::Early`], [`Error::Short`], or the error that the stream has failed with.
    pub fn handle_eof(&mut self) -> Result<(), Error> {
        self.check()?;
        self.answered()?;
        if self.downloaded < self.asked {
            return Err(self.fail(Error::Short { got: self.downloaded, asked: self.asked }));
        }
        self.is_done = true;
        Ok(())
    }

    /// What the stream has taken of the upload, in bytes.
    pub const fn uploaded(&self) -> u64 {
        self.uploaded
    }

    /// What has come back, in bytes.
    pub const fn downloaded(&self) -> u64 {
        self.downloaded
    }

    /// Whether everything was sent and has come back, to the end.
    pub const fn is_done(&self) -> bool {
        self.is_done
    }

    /// An answer may only come once our side has ended.
    const fn answered(&mut self) -> Result<(), Error> {
        if self.is_finished {
            return Ok(());
        }
        Err(self.fail(Error::Early { uploaded: self.uploaded }))
    }

    const fn check(&self) -> Result<(), Error> {
        match self.failed {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    const fn fail(&mut self, error: Error) -> Error {
        self.failed = Some(error);
        error
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use proptest::prelude::*;

    use super::*;
    use crate::BLOCK;

    /// All that it sends, in pieces of `piece`.
    fn send(client: &mut Client, piece: usize) -> Vec<u8> {
        let mut wire = Vec::new();
        while !client.poll_finish() {
            let n = client.ready().len().min(piece);
            wire.extend_from_slice(&client.ready()[..n]);
            client.sent(n);
        }
        wire
    }

    #[test]
    fn the_size_is_eight_bytes_and_the_high_one_is_first() {
        assert_eq!(send(&mut Client::new(0, 0), 99), [0; 8]);
        assert_eq!(send(&mut Client::new(2, 0x0102_0304_0506_0708), 99), [1, 2, 3, 4, 5, 6, 7, 8, 0, 0]);
        assert_eq!(send(&mut Client::new(1, u64::MAX), 3), [255, 255, 255, 255, 255, 255, 255, 255, 0]);
    }

    #[test]
    fn a_size_is_a_number_and_no_buffer() {
        let mut client = Client::new(u64::MAX, 0);
        client.sent(HEAD);
        assert_eq!(client.ready().len(), BLOCK);
        client.sent(BLOCK);
        assert_eq!((client.uploaded(), client.ready().len()), (BLOCK as u64, BLOCK));
        assert!(!client.poll_finish(), "it goes on");
        client.stop();
        assert!(client.ready().is_empty() && client.poll_finish() && !client.poll_finish(), "once");
        assert_eq!(client.uploaded(), BLOCK as u64);
        assert_eq!((client.handle_eof(), client.is_done()), (Ok(()), true));
    }

    #[test]
    fn stop_leaves_the_size_whole() {
        let mut client = Client::new(9, 4);
        client.sent(3);
        client.stop();
        assert_eq!(send(&mut client, 1), [0, 0, 0, 0, 4]);
        assert_eq!(client.uploaded(), 0);
    }

    #[test]
    fn an_answer_before_the_end_is_an_error() {
        for sent in [0, 8, 9, 11] {
            let mut client = Client::new(3, 5);
            send_some(&mut client, sent);
            let uploaded = sent.saturating_sub(HEAD) as u64;
            assert_eq!(client.handle_input(&[]), Ok(()), "nothing is no answer");
            assert_eq!(client.clone().handle_eof(), Err(Error::Early { uploaded }));
            assert_eq!(client.handle_input(&[0]), Err(Error::Early { uploaded }));
            assert_eq!(client.handle_eof(), Err(Error::Early { uploaded }), "for ever");
            assert!(client.ready().is_empty() && !client.poll_finish());
        }
    }

    fn send_some(client: &mut Client, mut n: usize) {
        while n > 0 {
            let piece = client.ready().len().min(n);
            client.sent(piece);
            n -= piece;
        }
    }

    #[test]
    fn more_or_less_than_was_asked_for_is_an_error() {
        let mut client = Client::new(0, 5);
        send(&mut client, 99);
        let (mut more, mut less) = (client.clone(), client.clone());
        assert_eq!(more.handle_input(&[0; 6]), Err(Error::Excess { asked: 5 }));
        assert_eq!(less.handle_input(&[0; 4]), Ok(()));
        assert_eq!(less.handle_eof(), Err(Error::Short { got: 4, asked: 5 }));
        assert_eq!(client.handle_input(&[0; 5]), Ok(()));
        assert!(!client.is_done(), "its end is missing");
        assert_eq!((client.handle_eof(), client.is_done(), client.downloaded()), (Ok(()), true, 5));
        assert_eq!(client.handle_input(&[0]), Err(Error::Excess { asked: 5 }), "behind the end");
    }

    #[test]
    fn more_than_was_ready_counts_as_all() {
        let mut client = Client::new(3, 0);
        client.sent(usize::MAX);
        assert_eq!(client.ready().len(), 3);
        client.sent(usize::MAX);
        client.sent(1);
        assert_eq!(client.uploaded(), 3);
    }

    proptest! {
        #[test]
        fn the_result_does_not_depend_on_the_pieces(
            upload in 0u64..200_000,
            asked in 0u64..100,
            came in 0usize..110,
            pieces in prop::collection::vec(1usize..70, 1..40),
        ) {
            let run = |out: usize, pieces: &mut dyn Iterator<Item = usize>| {
                let (mut client, mut at) = (Client::new(upload, asked), 0);
                let wire = send(&mut client, out);
                let mut result = Ok(());
                while at < came && result.is_ok() {
                    let n = pieces.next().unwrap().min(came - at);
                    result = client.handle_input(&[0; 128][..n]);
                    at += n;
                }
                (wire, result.and_then(|()| client.handle_eof()))
            };
            let whole = run(usize::MAX, &mut core::iter::repeat(usize::MAX));
            prop_assert_eq!(&run(7, &mut core::iter::repeat(1)), &whole);
            prop_assert_eq!(&run(BLOCK - 1, &mut pieces.iter().copied().cycle()), &whole);
            prop_assert_eq!(whole.0.len() as u64, 8 + upload);
            let expect = match (came as u64).cmp(&asked) {
                core::cmp::Ordering::Equal => Ok(()),
                core::cmp::Ordering::Less => Err(Error::Short { got: came as u64, asked }),
                core::cmp::Ordering::Greater => Err(Error::Excess { asked }),
            };
            prop_assert_eq!(whole.1, expect);
        }
    }
}
