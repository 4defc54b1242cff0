//! The end that answers.

use crate::{Error, HEAD, Limits, count, payload};

/// The server of one exchange. What it is asked for is a number to it, whatever the number is.
#[derive(Clone, Debug)]
pub struct Server {
    limits: Limits,
    head: [u8; HEAD],
    head_read: usize,
    uploaded: u64,
    /// What is still to be sent. Nothing is, until the upload has ended.
    left: u64,
    downloaded: u64,
    state: State,
    failed: Option<Error>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Upload,
    Download,
    Done,
}

impl Server {
    /// A server that has heard nothing.
    pub const fn new(limits: Limits) -> Self {
        Self {
            limits,
            head: [0; HEAD],
            head_read: 0,
            uploaded: 0,
            left: 0,
            downloaded: 0,
            state: State::Upload,
            failed: None,
        }
    }

    /// Takes the size and counts the upload. It uses all of the input; behind the upload's end there is none.
    ///
    /// # Errors
    ///
    /// [`Error::Limit`], or the error that the stream has failed with.
    pub fn handle_input(&mut self, input: &[u8]) -> Result<(), Error> {
        self.check()?;
        let (head, upload) = input.split_at(input.len().min(HEAD - self.head_read));
        self.head[self.head_read..self.head_read + head.len()].copy_from_slice(head);
        self.head_read += head.len();
        let (asked, limits) = (self.asked(), self.limits);
        if asked.is_some_and(|asked| asked > limits.download) {
            return Err(self.fail(Error::Limit { name: "download", limit: limits.download }));
        }
        if count(upload.len()) > limits.upload - self.uploaded {
            return Err(self.fail(Error::Limit { name: "upload", limit: limits.upload }));
        }
        self.uploaded += count(upload.len());
        Ok(())
    }

    /// Takes note that the client has ended its side: now the download is due.
    ///
    /// # Errors
    ///
    /// [`Error::Truncated`], or the error that the stream has failed with.
    pub fn handle_eof(&mut self) -> Result<(), Error> {
        self.check()?;
        let Some(asked) = self.asked() else {
            return Err(self.fail(Error::Truncated { got: self.head_read }));
        };
        if self.state == State::Upload {
            self.state = State::Download;
            self.left = asked;
        }
        Ok(())
    }

    /// The next bytes to write, at most [`BLOCK`](crate::BLOCK) of them. Empty before the upload has ended, and after all
    /// was sent.
    pub fn ready(&self) -> &[u8] {
        if self.failed.is_some() { &[] } else { payload(self.left) }
    }

    /// Tells that the stream took the first `n` bytes of [`ready`](Self::ready). More than there were count as all.
    pub fn sent(&mut self, n: usize) {
        let n = count(n.min(self.ready().len()));
        self.left -= n;
        self.downloaded += n;
    }

    /// Whether our side of the stream is to be ended now: then the exchange is done. Says so once.
    pub fn poll_finish(&mut self) -> bool {
        let is_due = self.state == State::Download && self.failed.is_none() && self.left == 0;
        if is_due {
            self.state = State::Done;
        }
        is_due
    }

    /// The size of the download, in bytes, once it is known.
    pub const fn asked(&self) -> Option<u64> {
        if self.head_read == HEAD { Some(u64::from_be_bytes(self.head)) } else { None }
    }

    /// What has come of the upload, in bytes.
    pub const fn uploaded(&self) -> u64 {
        self.uploaded
    }

    /// What the stream has taken of the download, in bytes.
    pub const fn downloaded(&self) -> u64 {
        self.downloaded
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
    use alloc::{vec, vec::Vec};

    use proptest::prelude::*;

    use super::*;
    use crate::{BLOCK, Client};

    fn request(asked: u64, upload: usize) -> Vec<u8> {
        [&asked.to_be_bytes()[..], &vec![7; upload]].concat()
    }

    #[test]
    fn nothing_is_sent_before_the_upload_has_ended() {
        let mut server = Server::new(Limits::default());
        for byte in request(3, 4) {
            assert_eq!(server.handle_input(&[byte]), Ok(()));
            assert!(server.ready().is_empty() && !server.poll_finish());
        }
        assert_eq!((server.asked(), server.uploaded()), (Some(3), 4));
        assert_eq!(server.handle_eof(), Ok(()));
        assert_eq!(server.ready(), [0; 3]);
        assert!(!server.poll_finish(), "not all was sent");
        server.sent(2);
        server.sent(usize::MAX);
        assert!(server.ready().is_empty() && server.poll_finish() && !server.poll_finish(), "once");
        assert_eq!(server.downloaded(), 3);
    }

    #[test]
    fn a_size_is_a_number_and_no_buffer() {
        let mut server = Server::new(Limits::default());
        assert_eq!(server.handle_input(&request(u64::MAX, 0)), Ok(()));
        assert_eq!(server.handle_eof(), Ok(()));
        for _ in 0..3 {
            assert_eq!(server.ready().len(), BLOCK);
            server.sent(BLOCK);
        }
        assert_eq!(server.handle_eof(), Ok(()), "once more changes nothing");
        assert_eq!(server.downloaded(), 3 * BLOCK as u64);
        assert!(!server.poll_finish());
    }

    #[test]
    fn of_nothing_the_end_is_due_at_once() {
        let mut server = Server::new(Limits::default());
        assert_eq!((server.handle_input(&[0; 8]), server.handle_eof()), (Ok(()), Ok(())));
        assert!(server.ready().is_empty() && server.poll_finish());
    }

    #[test]
    fn half_a_size_is_an_error() {
        for got in 0..HEAD {
            let mut server = Server::new(Limits::default());
            assert_eq!(server.handle_input(&[1; 7][..got]), Ok(()));
            assert_eq!(server.asked(), None);
            let error = Error::Truncated { got };
            assert_eq!(server.handle_eof(), Err(error));
            assert_eq!(server.handle_input(&[1; 8]), Err(error), "for ever");
            assert!(server.ready().is_empty() && !server.poll_finish());
        }
    }

    #[test]
    fn more_than_the_limits_is_refused_at_once() {
        let limits = Limits { upload: 4, download: 3 };
        let mut server = Server::new(limits);
        assert_eq!(server.handle_input(&request(3, 4)), Ok(()));
        assert_eq!(server.handle_input(&[0]), Err(Error::Limit { name: "upload", limit: 4 }));
        assert_eq!(server.handle_eof(), Err(Error::Limit { name: "upload", limit: 4 }));
        let mut server = Server::new(limits);
        assert_eq!(server.handle_input(&[0; 7]), Ok(()));
        assert_eq!(server.handle_input(&[4]), Err(Error::Limit { name: "download", limit: 3 }));
        assert!(server.ready().is_empty());
    }

    proptest! {
        #[test]
        fn the_result_does_not_depend_on_the_pieces(
            wire in prop::collection::vec(any::<u8>(), 0..40),
            big in any::<bool>(),
            pieces in prop::collection::vec(1usize..20, 1..20),
            upload in 0u64..40,
        ) {
            let limits = Limits { upload, download: if big { u64::MAX } else { 1 << 60 } };
            let run = |pieces: &mut dyn Iterator<Item = usize>| {
                let (mut server, mut at) = (Server::new(limits), 0);
                while at < wire.len() {
                    let end = wire.len().min(at + pieces.next().unwrap());
                    server.handle_input(&wire[at..end])?;
                    at = end;
                }
                server.handle_eof().map(|()| (server.asked(), server.uploaded(), server.ready().len()))
            };
            let whole = run(&mut core::iter::repeat(99));
            prop_assert_eq!(&run(&mut core::iter::repeat(1)), &whole);
            prop_assert_eq!(&run(&mut pieces.iter().copied().cycle()), &whole);
        }

        #[test]
        fn the_two_ends_agree(upload in 0u64..300_000, download in 0u64..300_000, piece in 1usize..100_000) {
            let (mut client, mut server) = (Client::new(upload, download), Server::new(Limits::default()));
            while !client.poll_finish() {
                let n = client.ready().len().min(piece);
                server.handle_input(&client.ready()[..n]).unwrap();
                client.sent(n);
            }
            server.handle_eof().unwrap();
            while !server.poll_finish() {
                let n = server.ready().len().min(piece);
                client.handle_input(&server.ready()[..n]).unwrap();
                server.sent(n);
            }
            client.handle_eof().unwrap();
            prop_assert!(client.is_done());
            prop_assert_eq!((client.uploaded(), client.downloaded()), (upload, download));
            prop_assert_eq!((server.uploaded(), server.downloaded()), (upload, download));
        }
    }
}
