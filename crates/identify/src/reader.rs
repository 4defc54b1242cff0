//! The side that hears.

use alloc::vec::Vec;

use bytes::Bytes;
use prost::Message as _;

use crate::{Error, Info, Limits, message::Message};

/// Reads one identify or identify/push stream to its end.
#[derive(Clone, Debug)]
pub struct Reader {
    limits: Limits,
    state: State,
    /// What has come of the message under way.
    body: Vec<u8>,
    /// All messages so far, as one.
    merged: Message,
    messages: usize,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// In a length prefix: its value so far, and how many of its bytes have come.
    Length {
        value: u64,
        bytes: u32,
    },
    /// In a message of this length.
    Body {
        len: usize,
    },
    Failed(Error),
}

const START: State = State::Length { value: 0, bytes: 0 };

impl Reader {
    /// A reader at the start of a stream.
    pub fn new(limits: Limits) -> Self {
        Self { limits, state: START, body: Vec::new(), merged: Message::default(), messages: 0 }
    }

    /// Takes bytes of the stream and returns how many: all, as the stream has nothing else.
    ///
    /// # Errors
    ///
    /// [`Error::BadLength`], [`Error::Malformed`], [`Error::MessageTooLong`] or [`Error::TooManyMessages`], from then on
    /// for ever. Reset the stream.
    pub fn handle_input(&mut self, input: &[u8]) -> Result<usize, Error> {
        if let State::Failed(error) = self.state {
            return Err(error);
        }
        let mut rest = input;
        while !rest.is_empty() || self.is_whole() {
            if let Err(error) = self.step(&mut rest) {
                self.state = State::Failed(error);
                self.body = Vec::new();
                self.merged = Message::default();
                return Err(error);
            }
        }
        Ok(input.len())
    }

    /// What the peer has said, once its side of the stream has ended.
    ///
    /// # Errors
    ///
    /// [`Error::Empty`] or [`Error::Truncated`], or the error that the stream has failed with.
    pub fn finish(self) -> Result<Info, Error> {
        match self.state {
            State::Failed(error) => Err(error),
            State::Length { bytes: 0, .. } if self.messages == 0 => Err(Error::Empty),
            State::Length { bytes: 0, .. } => Ok(Info::from_message(self.merged, &self.limits)),
            State::Length { .. } | State::Body { .. } => Err(Error::Truncated),
        }
    }

    /// Whether all of a message is in `body`.
    fn is_whole(&self) -> bool {
        matches!(self.state, State::Body { len } if self.body.len() == len)
    }

    fn step(&mut self, rest: &mut &[u8]) -> Result<(), Error> {
        match self.state {
            State::Failed(error) => return Err(error),
            State::Length { value, bytes } => {
                let Some((byte, tail)) = rest.split_first() else { return Ok(()) };
                *rest = tail;
                self.state = self.length(value, bytes, *byte)?;
            }
            State::Body { len } => {
                let (head, tail) = rest.split_at(rest.len().min(len - self.body.len()));
                *rest = tail;
                self.body.extend_from_slice(head);
                if self.body.len() == len {
                    self.state = START;
                    self.merge()?;
                }
            }
        }
        Ok(())
    }

    fn length(&self, value: u64, bytes: u32, byte: u8) -> Result<State, Error> {
        if bytes == 0 && self.messages == self.limits.messages {
            return Err(Error::TooManyMessages { limit: self.limits.messages });
        }
        let low = u64::from(byte & 0x7f);
        // The tenth byte has one bit left.
        if bytes == 9 && byte > 1 {
            return Err(Error::BadLength);
        }
        let value = value | low << (7 * bytes);
        let too_long = Error::MessageTooLong { limit: self.limits.message };
        let len = usize::try_from(value).map_err(|_| too_long)?;
        if len > self.limits.message {
            return Err(too_long);
        }
        Ok(if byte & 0x80 == 0 { State::Body { len } } else { State::Length { value, bytes: bytes + 1 } })
    }

    fn merge(&mut self) -> Result<(), Error> {
        self.messages += 1;
        let body = Bytes::from(core::mem::take(&mut self.body));
        self.merged.merge(body).map_err(|_| Error::Malformed)?;
        let Limits { protocol, protocols, addresses, .. } = self.limits;
        self.merged.protocols.retain(|name| name.len() <= protocol && core::str::from_utf8(name).is_ok());
        // The handles go with what they were for.
        self.merged.protocols.truncate(protocols);
        self.merged.protocols.shrink_to_fit();
        self.merged.listen_addrs.truncate(addresses);
        self.merged.listen_addrs.shrink_to_fit();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use alloc::{string::String, vec};

    use proptest::prelude::*;

    use super::*;

    fn run(stream: &[u8], pieces: &mut dyn Iterator<Item = usize>) -> Result<Info, Error> {
        let (mut reader, mut at) = (Reader::new(Limits::default()), 0);
        while at < stream.len() {
            let end = stream.len().min(at + pieces.next().unwrap());
            at += reader.handle_input(&stream[at..end])?;
        }
        reader.finish()
    }

    fn whole(stream: &[u8]) -> Result<Info, Error> {
        run(stream, &mut core::iter::repeat(usize::MAX / 2))
    }

    fn framed(body: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        prost::encode_length_delimiter(body.len(), &mut out).unwrap();
        out.extend_from_slice(body);
        out
    }

    #[test]
    fn a_stream_that_ends_early_is_an_error_everywhere() {
        let stream = framed(&[0x1a, 2, b'/', b'a']);
        assert_eq!(whole(&[]), Err(Error::Empty));
        for end in 1..stream.len() {
            assert_eq!(whole(&stream[..end]), Err(Error::Truncated), "{end}");
        }
        assert_eq!(whole(&[0x80]), Err(Error::Truncated));
        assert_eq!(whole(&[0]), Ok(Info::default()), "an empty message is a message");
    }

    #[test]
    fn messages_are_merged_lists_grow_and_the_last_value_stays() {
        let one = framed(&[0x1a, 2, b'/', b'a', 0x12, 1, 1, 0x32, 1, b'x', 0x0a, 1, 7]);
        let two = framed(&[0x1a, 2, b'/', b'b', 0x12, 1, 2, 0x32, 1, b'y']);
        let got = whole(&[one, two].concat()).unwrap();
        assert_eq!(got.protocols, ["/a", "/b"]);
        assert_eq!(got.listen_addrs, [&[1][..], &[2]]);
        assert_eq!((got.agent_version.as_deref(), got.public_key.as_deref()), (Some("y"), Some(&[7][..])));
    }

    #[test]
    fn fields_in_any_order_and_unknown_fields_are_read() {
        let got = whole(&framed(&[0x32, 1, b'x', 0x2a, 1, b'p', 0x3a, 1, 9, 0x90, 3, 5, 0x0a, 1, 7])).unwrap();
        let expect = Info {
            public_key: Some(Bytes::from_static(&[7])),
            protocol_version: Some("p".into()),
            agent_version: Some("x".into()),
            ..Info::default()
        };
        assert_eq!(got, expect);
    }

    #[test]
    fn a_length_is_refused_before_its_message() {
        let mut reader = Reader::new(Limits::default());
        assert_eq!(reader.handle_input(&[0x80, 0x40]), Ok(2), "8,192");
        let mut reader = Reader::new(Limits::default());
        let error = Error::MessageTooLong { limit: 8192 };
        assert_eq!(reader.handle_input(&[0x81, 0x40]), Err(error));
        assert_eq!(reader.handle_input(&[0]), Err(error), "an error is for ever");
        assert_eq!(reader.finish(), Err(error));
    }

    #[test]
    fn a_length_may_have_ten_bytes_and_no_more() {
        let padded = [0x84, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0, 0x1a, 2, b'/', b'a'];
        assert_eq!(whole(&padded).map(|info| info.protocols), Ok(vec![String::from("/a")]));
        assert_eq!(whole(&[0x80; 10]), Err(Error::BadLength));
        let last = [&[0x80; 9][..], &[2]].concat();
        assert_eq!(whole(&last), Err(Error::BadLength), "the 65th bit");
    }

    #[test]
    fn messages_are_counted() {
        assert_eq!(whole(&[0; 10]), Ok(Info::default()));
        assert_eq!(whole(&[0; 11]), Err(Error::TooManyMessages { limit: 10 }));
    }

    #[test]
    fn what_is_not_protobuf_is_an_error() {
        assert_eq!(whole(&framed(&[0x1a, 9, b'/'])), Err(Error::Malformed), "a field longer than its message");
        assert_eq!(whole(&framed(&[0x18, 9])), Err(Error::Malformed), "a number where text is due");
        assert_eq!(whole(&framed(&[0xff; 20])), Err(Error::Malformed));
    }

    #[test]
    fn a_bad_string_costs_only_itself() {
        let got = whole(&framed(&[0x1a, 1, 0xff, 0x1a, 2, b'/', b'a', 0x32, 1, 0xfe, 0x2a, 1, b'p'])).unwrap();
        assert_eq!(got.protocols, ["/a"]);
        assert_eq!((got.agent_version, got.protocol_version.as_deref()), (None, Some("p")));
    }

    #[test]
    fn what_is_too_long_or_too_many_is_left_out_after_merging() {
        let field = |tag: u8, value: &[u8]| [&[tag][..], &framed(value)].concat();
        let got = whole(&framed(&[field(0x32, &[b'x'; 1025]), field(0x1a, &[b'y'; 1025])].concat())).unwrap();
        assert_eq!(got.agent_version.map(|text| text.len()), Some(1024));
        assert!(got.protocols.is_empty());

        let many = framed(&[&[0x1a, 0].repeat(600)[..], &[0x12, 0].repeat(300)].concat());
        let got = whole(&[many.clone(), many].concat()).unwrap();
        assert_eq!((got.protocols.len(), got.listen_addrs.len()), (1024, 500));
    }

    proptest! {
        #[test]
        fn the_result_does_not_depend_on_the_pieces(
            protocols in prop::collection::vec("/[a-z]{0,9}", 0..9),
            addrs in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..9), 0..9),
            copies in 1usize..13,
            change in prop::option::of((any::<prop::sample::Index>(), any::<u8>())),
            cut in prop::option::of(any::<prop::sample::Index>()),
            pieces in prop::collection::vec(1usize..50, 1..40),
        ) {
            let listen_addrs = addrs.into_iter().map(Bytes::from).collect();
            let info = Info { protocols, listen_addrs, ..Info::default() };
            let mut stream = info.encode(&Limits::default()).repeat(copies);
            if let Some((at, byte)) = change { let at = at.index(stream.len()); stream[at] = byte; }
            if let Some(at) = cut { stream.truncate(at.index(stream.len())); }
            let expect = whole(&stream);
            prop_assert_eq!(&run(&stream, &mut core::iter::repeat(1)), &expect);
            prop_assert_eq!(&run(&stream, &mut pieces.into_iter().cycle()), &expect);
            if change.is_none() && cut.is_none() && copies <= 10 {
                prop_assert_eq!(expect.map(|got| got.protocols), Ok(vec![info.protocols; copies].concat()));
            }
        }

        #[test]
        fn no_bytes_make_it_panic_or_keep_too_much(stream in prop::collection::vec(any::<u8>(), 0..2000)) {
            if let Ok(info) = whole(&stream) {
                prop_assert!(info.protocols.len() + info.listen_addrs.len() <= stream.len() / 2);
            }
        }
    }
}
