//! `/plaintext/2.0.0`: both ends say who they are, and nothing proves or hides anything. For tests alone.
//!
//! # Spec
//!
//! [plaintext](https://github.com/libp2p/specs/blob/master/plaintext/README.md). Both send one message at once, and what
//! follows it is raw:
//!
//! ```text
//! [ length uvarint ][ id = 1 bytes (multihash), pubkey = 2 PublicKey ]
//! ```
//!
//! # Example
//!
//! ```
//! use libp2p_identity::Keypair;
//! use sanswarm_connection::plaintext::Exchange;
//! use sanswarm_wire::SendBuf;
//!
//! let [one, other] = [1, 2].map(|n| Keypair::ed25519_from_bytes([n; 32]).expect("32 bytes").public());
//! let [mut here, mut there] = [&one, &other].map(|key| Exchange::new(&key.encode_protobuf(), &key.to_peer_id().to_bytes()));
//! let mut send = SendBuf::default();
//! there.poll_transmit(&mut send);
//! here.poll_transmit(&mut SendBuf::default());
//! let (used, claim) = here.handle_input(send.ready())?;
//! assert_eq!(used, send.ready().len());
//! assert_eq!(claim.expect("a whole message").peer_id()?, other.to_peer_id());
//! assert!(here.is_done());
//! # Ok::<(), sanswarm_connection::plaintext::Error>(())
//! ```

use core::{fmt, ops::Range};

use bytes::Bytes;
use libp2p_identity::{PeerId, PublicKey};
use prost::Message as _;
use sanswarm_wire::SendBuf;
use unsigned_varint::decode;

/// The longest message that is read, in bytes without its length: 8 KiB. It stops a peer from having more kept. With an
/// RSA key of 8192 bits a message takes under 1.2 KiB.
pub const MESSAGE_MAX: usize = 8 * 1024;

/// One end of the exchange. There are no roles.
#[derive(Debug)]
pub struct Exchange {
    /// Our message, until it was taken.
    due: Vec<u8>,
    state: State,
}

#[derive(Debug)]
enum State {
    Waits,
    Heard,
    Failed(Error),
}

/// What a peer says of itself. Nothing proves it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The peer's public key, as a `PublicKey` protobuf. Not empty, nothing else is known of it.
    pub identity_key: Bytes,
    /// The peer's id, as a multihash. Not empty, nothing else is known of it.
    pub id: Bytes,
}

impl Claim {
    /// The peer id that the key makes, if it is the one that was sent. Whether it is the one that was dialled is yet to
    /// be compared.
    ///
    /// # Errors
    ///
    /// [`Error::IdentityKey`] and [`Error::OtherId`].
    pub fn peer_id(&self) -> Result<PeerId, Error> {
        let key = PublicKey::try_decode_protobuf(&self.identity_key).map_err(|_| Error::IdentityKey)?;
        let id = key.to_peer_id();
        if id.to_bytes() == self.id { Ok(id) } else { Err(Error::OtherId) }
    }
}

/// The message `Exchange` of the spec. Of a field that comes twice the last counts.
#[derive(Clone, PartialEq, prost::Message)]
struct Message {
    #[prost(bytes = "bytes", optional, tag = "1")]
    id: Option<Bytes>,
    #[prost(bytes = "bytes", optional, tag = "2")]
    pubkey: Option<Bytes>,
}

impl Exchange {
    /// An end that says of itself `identity_key`, a `PublicKey` protobuf, and `id`, a multihash.
    pub fn new(identity_key: &[u8], id: &[u8]) -> Self {
        let [id, pubkey] = [id, identity_key].map(|bytes| Some(Bytes::copy_from_slice(bytes)));
        Self { due: Message { id, pubkey }.encode_length_delimited_to_vec(), state: State::Waits }
    }

    /// Takes the bytes that have arrived and were not used yet. Returns how many it used: all of the peer's message once
    /// it is whole, else none, and none afterwards.
    ///
    /// # Errors
    ///
    /// The peer broke the protocol or a limit. Sticky.
    pub fn handle_input(&mut self, input: &[u8]) -> Result<(usize, Option<Claim>), Error> {
        match self.state {
            State::Waits => {}
            State::Heard => return Ok((0, None)),
            State::Failed(error) => return Err(error),
        }
        let Some(message) = whole_message(input).map_err(|error| self.fail(error))? else {
            return Ok((0, None));
        };
        let claim = read(&input[message.clone()]).map_err(|error| self.fail(error))?;
        self.state = State::Heard;
        Ok((message.end, Some(claim)))
    }

    /// Appends our message, if `out` has room for the whole of it. Returns how many bytes that were.
    pub fn poll_transmit(&mut self, out: &mut SendBuf) -> usize {
        if self.due.is_empty() || !out.append(&self.due) {
            return 0;
        }
        core::mem::take(&mut self.due).len()
    }

    /// Whether both messages are through: all that follows, in both directions, is raw.
    pub fn is_done(&self) -> bool {
        matches!(self.state, State::Heard) && self.due.is_empty()
    }

    fn fail(&mut self, error: Error) -> Error {
        self.state = State::Failed(error);
        self.due = Vec::new();
        error
    }
}

/// Where the first message lies in `input`, if it is whole. Its length is judged as soon as it is there.
fn whole_message(input: &[u8]) -> Result<Option<Range<usize>>, Error> {
    let (len, rest) = match decode::u64(input) {
        Ok((len, rest)) => (len, rest),
        Err(decode::Error::Insufficient) => return Ok(None),
        Err(decode::Error::Overflow) => return Err(Error::TooLong { limit: MESSAGE_MAX }),
        Err(_) => return Err(Error::Length),
    };
    let start = input.len() - rest.len();
    match usize::try_from(len) {
        Ok(len) if len <= MESSAGE_MAX => Ok((len <= rest.len()).then_some(start..start + len)),
        _ => Err(Error::TooLong { limit: MESSAGE_MAX }),
    }
}

fn read(message: &[u8]) -> Result<Claim, Error> {
    let message = Message::decode(message).map_err(|_| Error::Malformed)?;
    let some = |field: Option<Bytes>| field.filter(|bytes| !bytes.is_empty());
    let id = some(message.id).ok_or(Error::NoId)?;
    let identity_key = some(message.pubkey).ok_or(Error::NoKey)?;
    Ok(Claim { identity_key, id })
}

/// How the exchange fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The message is longer than [`MESSAGE_MAX`].
    TooLong {
        /// The limit in bytes.
        limit: usize,
    },
    /// The length is a varint with more bytes than it needs.
    Length,
    /// The message is no valid protobuf.
    Malformed,
    /// The message has no peer id.
    NoId,
    /// The message has no public key.
    NoKey,
    /// The public key cannot be read: malformed, or of a type that is not built in.
    IdentityKey,
    /// The peer id is not the key's.
    OtherId,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong { limit } => write!(f, "plaintext exchange longer than {limit} bytes"),
            Self::Length => f.write_str("length of the plaintext exchange is not minimal"),
            Self::Malformed => f.write_str("plaintext exchange is not valid protobuf"),
            Self::NoId => f.write_str("plaintext exchange without a peer id"),
            Self::NoKey => f.write_str("plaintext exchange without a public key"),
            Self::IdentityKey => f.write_str("public key of the plaintext exchange cannot be read"),
            Self::OtherId => f.write_str("peer id of the plaintext exchange is not the key's"),
        }
    }
}

impl core::error::Error for Error {}

#[cfg(test)]
mod tests {
    use libp2p_identity::Keypair;
    use proptest::prelude::*;

    use super::*;

    /// The message of the Ed25519 key whose secret is all ones, made by hand.
    fn message() -> Vec<u8> {
        let key = key().encode_protobuf();
        assert_eq!((key.len(), &key[..4]), (36, &[8, 1, 18, 32][..]));
        let id = [&[0, 36][..], &key].concat();
        [&[78, 0x0a, 38][..], &id, &[0x12, 36], &key].concat()
    }

    fn key() -> PublicKey {
        Keypair::ed25519_from_bytes([1; 32]).unwrap().public()
    }

    fn exchange() -> Exchange {
        Exchange::new(&key().encode_protobuf(), &key().to_peer_id().to_bytes())
    }

    fn read_one(input: &[u8]) -> Result<(usize, Option<Claim>), Error> {
        exchange().handle_input(input)
    }

    #[test]
    fn the_message_is_that_of_the_spec() {
        let (mut exchange, mut send) = (exchange(), SendBuf::default());
        assert_eq!(exchange.poll_transmit(&mut send), 79);
        assert_eq!(send.ready(), message());
        assert_eq!(exchange.poll_transmit(&mut send), 0, "once");
        assert!(!exchange.is_done());
        let (used, claim) = exchange.handle_input(&[&message()[..], b"raw"].concat()).unwrap();
        assert_eq!((used, claim.unwrap().peer_id()), (79, Ok(key().to_peer_id())));
        assert!(exchange.is_done());
        assert_eq!(exchange.handle_input(b"raw"), Ok((0, None)), "that is the next layer's");
    }

    #[test]
    fn a_message_waits_for_room_and_goes_whole() {
        let (mut exchange, mut send) = (exchange(), SendBuf::new(16 * 1024));
        assert!(send.append(&[0; 16 * 1024 - 78]));
        assert_eq!(exchange.poll_transmit(&mut send), 0);
        send.sent(16 * 1024);
        assert_eq!(exchange.poll_transmit(&mut send), 79);
    }

    #[test]
    fn unknown_fields_are_skipped_and_the_last_of_a_field_counts() {
        let fields = b"\x0a\x01x\x18\x05\x22\x01?\x12\x01k\x0a\x01i";
        let (used, claim) = read_one(&[&[fields.len() as u8][..], fields].concat()).unwrap();
        assert_eq!(used, 1 + fields.len());
        let claim = claim.unwrap();
        assert_eq!((&claim.identity_key[..], &claim.id[..]), (&b"k"[..], &b"i"[..]));
        assert_eq!(claim.peer_id(), Err(Error::IdentityKey));
    }

    #[test]
    fn another_id_than_the_keys_is_found() {
        let other = Keypair::ed25519_from_bytes([2; 32]).unwrap().public().to_peer_id();
        for id in [other.to_bytes(), b"nobody".to_vec()] {
            let claim = Claim { identity_key: key().encode_protobuf().into(), id: id.into() };
            assert_eq!(claim.peer_id(), Err(Error::OtherId));
        }
    }

    #[test]
    fn bad_messages_are_typed_errors_and_sticky() {
        let long = Error::TooLong { limit: MESSAGE_MAX };
        for (input, error) in [
            (&[0][..], Error::NoId),
            (b"\x03\x12\x01k", Error::NoId),
            (b"\x05\x12\x01k\x0a\x00", Error::NoId),
            (b"\x03\x0a\x01i", Error::NoKey),
            (b"\x02\x0a\x01", Error::Malformed),
            (b"\x02\x08\x01", Error::Malformed),
            (b"\x80\x00", Error::Length),
            (b"\x81\x40", long),
            (&[0xff; 10], long),
            (b"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01", long),
        ] {
            let mut exchange = exchange();
            assert_eq!(exchange.handle_input(input), Err(error), "{input:x?}");
            assert_eq!(exchange.handle_input(&message()), Err(error), "sticky");
            assert_eq!(exchange.poll_transmit(&mut SendBuf::default()), 0, "it ends abruptly");
            assert!(!exchange.is_done());
        }
        assert_eq!(read_one(b"\x80\x40"), Ok((0, None)), "just the limit");
        assert_eq!(read_one(&[0xff; 9]), Ok((0, None)), "no length yet");
    }

    proptest! {
        #[test]
        fn chunking_does_not_matter(cut in 0usize..79) {
            let message = message();
            let mut exchange = exchange();
            prop_assert_eq!(exchange.handle_input(&message[..cut]), Ok((0, None)));
            prop_assert_eq!(exchange.handle_input(&message), read_one(&message));
        }

        #[test]
        fn any_bytes_are_read_or_refused(input in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Ok((used, claim)) = read_one(&input) {
                prop_assert!(used <= input.len());
                prop_assert_eq!(used > 0, claim.is_some());
            }
        }
    }
}
