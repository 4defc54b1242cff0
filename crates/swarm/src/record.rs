//! Signed peer records: what a peer says of its addresses, in a form that others can pass on.
//!
//! RFC 0002 (signed envelopes) and RFC 0003 (routing records) of `libp2p/specs`; the domain and the payload type are those
//! that go-libp2p and js-libp2p use, and the RFC's own, which rust-libp2p uses, are read too.

use core::fmt;

use libp2p_identity::{Keypair, PeerId, PublicKey, SigningError};
use multiaddr::Multiaddr;
use prost::Message as _;

/// Bytes of an envelope that are read. Identify has no longer message.
const ENVELOPE_MAX: usize = 8192;

const DOMAIN: &[u8] = b"libp2p-peer-record";
const PAYLOAD_TYPE: &[u8] = &[0x03, 0x01];
/// Those of RFC 0003.
const RFC_DOMAIN: &[u8] = b"libp2p-routing-state";
const RFC_PAYLOAD_TYPE: &[u8] = b"/libp2p/routing-state-record";

#[derive(Clone, PartialEq, Eq, prost::Message)]
struct Envelope {
    #[prost(bytes = "vec", tag = "1")]
    public_key: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    payload_type: Vec<u8>,
    #[prost(bytes = "vec", tag = "3")]
    payload: Vec<u8>,
    #[prost(bytes = "vec", tag = "5")]
    signature: Vec<u8>,
}

#[derive(Clone, PartialEq, Eq, prost::Message)]
struct Record {
    #[prost(bytes = "vec", tag = "1")]
    peer_id: Vec<u8>,
    #[prost(uint64, tag = "2")]
    seq: u64,
    #[prost(message, repeated, tag = "3")]
    addresses: Vec<AddressInfo>,
}

#[derive(Clone, PartialEq, Eq, prost::Message)]
struct AddressInfo {
    #[prost(bytes = "vec", tag = "1")]
    multiaddr: Vec<u8>,
}

/// What a signed record says. Whoever has one has checked its signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerRecord {
    /// Who says it.
    pub peer: PeerId,
    /// Which of its records it is: the larger one is the newer.
    pub seq: u64,
    /// Where it listens. What is no address was left out.
    pub addrs: Vec<Multiaddr>,
}

/// Why a signed record is not believed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RecordError {
    /// It is longer than this.
    TooLong {
        /// The limit in bytes.
        limit: usize,
    },
    /// It is no envelope, or holds no record.
    Malformed,
    /// Something else than a peer record is in the envelope.
    PayloadType(Vec<u8>),
    /// The key cannot be read: malformed, or of a type that is not built in.
    Key,
    /// The key did not sign it.
    Signature,
    /// It is of another peer than the one that signed or sent it.
    WrongPeer {
        /// The peer in the record, or the one that signed it.
        got: PeerId,
    },
    /// There is a newer one.
    Old {
        /// The number of the newer one.
        newest: u64,
    },
}

impl fmt::Display for RecordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong { limit } => write!(f, "the envelope is longer than {limit} bytes"),
            Self::Malformed => write!(f, "no signed envelope with a peer record"),
            Self::PayloadType(bytes) => write!(f, "the envelope holds something else: type {bytes:02x?}"),
            Self::Key => write!(f, "the key of the envelope cannot be read"),
            Self::Signature => write!(f, "the key of the envelope did not sign it"),
            Self::WrongPeer { got } => write!(f, "the record is of peer {got}"),
            Self::Old { newest } => write!(f, "there is a newer record, number {newest}"),
        }
    }
}

impl core::error::Error for RecordError {}

impl PeerRecord {
    /// Reads an encoded envelope and checks its signature.
    ///
    /// # Errors
    ///
    /// [`RecordError`].
    pub fn open(envelope: &[u8]) -> Result<Self, RecordError> {
        if envelope.len() > ENVELOPE_MAX {
            return Err(RecordError::TooLong { limit: ENVELOPE_MAX });
        }
        let envelope = Envelope::decode(envelope).map_err(|_| RecordError::Malformed)?;
        let domain = match &envelope.payload_type[..] {
            PAYLOAD_TYPE => DOMAIN,
            RFC_PAYLOAD_TYPE => RFC_DOMAIN,
            _ => return Err(RecordError::PayloadType(envelope.payload_type)),
        };
        let key = PublicKey::try_decode_protobuf(&envelope.public_key).map_err(|_| RecordError::Key)?;
        if !key.verify(&signed(domain, &envelope.payload_type, &envelope.payload), &envelope.signature) {
            return Err(RecordError::Signature);
        }
        let record = Record::decode(&envelope.payload[..]).map_err(|_| RecordError::Malformed)?;
        let peer = PeerId::from_bytes(&record.peer_id).map_err(|_| RecordError::Malformed)?;
        if peer != key.to_peer_id() {
            return Err(RecordError::WrongPeer { got: peer });
        }
        let addrs = record.addresses.into_iter().filter_map(|info| Multiaddr::try_from(info.multiaddr).ok());
        Ok(Self { peer, seq: record.seq, addrs: addrs.collect() })
    }

    /// Signs a record of our own and encodes it. `peer` is that of the key.
    ///
    /// # Errors
    ///
    /// [`SigningError`]: the key cannot sign.
    pub fn seal(key: &Keypair, seq: u64, addrs: &[Multiaddr]) -> Result<Vec<u8>, SigningError> {
        let addresses = addrs.iter().map(|address| AddressInfo { multiaddr: address.to_vec() }).collect();
        let payload = Record { peer_id: key.public().to_peer_id().to_bytes(), seq, addresses }.encode_to_vec();
        let signature = key.sign(&signed(DOMAIN, PAYLOAD_TYPE, &payload))?;
        let public_key = key.public().encode_protobuf();
        Ok(Envelope { public_key, payload_type: PAYLOAD_TYPE.to_vec(), payload, signature }.encode_to_vec())
    }
}

/// What is signed: the three parts, each behind its length (RFC 0002).
fn signed(domain: &[u8], payload_type: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut message = Vec::with_capacity(domain.len() + payload_type.len() + payload.len() + 12);
    for part in [domain, payload_type, payload] {
        prost::encoding::encode_varint(part.len() as u64, &mut message);
        message.extend_from_slice(part);
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of the key made from 32 times 7, by libp2p-core 0.44.0 (`PeerRecord::new_interop`), the form of go and js too.
    const OF_GO: &str = concat!(
        "0a2408011220ea4a6c63e29c520abef5507b132ec5f9954776aebebe7b92421eea691446d22c120203011a4e0a260024",
        "08011220ea4a6c63e29c520abef5507b132ec5f9954776aebebe7b92421eea691446d22c10c3fcadd8061a0a0a080414",
        "000001060fa11a120a103609612e6578616d706c650601bbde032a404913cf7f2927661a92263ebe7425d0aa873aa5f0",
        "1da59322baec9f591b6fcce91c14c876d27577694d31f1496716267c31846e8c352e5a5a19dc314e1a0f4c0a"
    );
    /// The same by its `PeerRecord::new`, the form of RFC 0003.
    const OF_RFC: &str = concat!(
        "0a2408011220ea4a6c63e29c520abef5507b132ec5f9954776aebebe7b92421eea691446d22c121c2f6c69627032702f",
        "726f7574696e672d73746174652d7265636f72641a4e0a26002408011220ea4a6c63e29c520abef5507b132ec5f99547",
        "76aebebe7b92421eea691446d22c10c3fcadd8061a0a0a080414000001060fa11a120a103609612e6578616d706c6506",
        "01bbde032a4088b6ab2c4fd4100dd9994d6a8c2302842d209343fa99cf0928d964766989c6c89045f6fed17387070683",
        "02e5cf17b1b760d2d59267168c20901e7e66f7f0450e"
    );
    const SEQ: u64 = 1_795_915_331;

    fn bytes(hex: &str) -> Vec<u8> {
        hex.as_bytes()
            .chunks(2)
            .map(|pair| u8::from_str_radix(core::str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect()
    }

    fn key(seed: u8) -> Keypair {
        Keypair::ed25519_from_bytes([seed; 32]).unwrap()
    }

    fn addrs() -> Vec<Multiaddr> {
        ["/ip4/20.0.0.1/tcp/4001", "/dns4/a.example/tcp/443/wss"].map(|text| text.parse().unwrap()).to_vec()
    }

    #[test]
    fn records_of_rust_libp2p_are_read_in_both_forms() {
        let record = PeerRecord { peer: key(7).public().to_peer_id(), seq: SEQ, addrs: addrs() };
        assert_eq!(PeerRecord::open(&bytes(OF_GO)), Ok(record.clone()));
        assert_eq!(PeerRecord::open(&bytes(OF_RFC)), Ok(record));
    }

    #[test]
    fn ours_is_the_same_to_the_byte() {
        assert_eq!(PeerRecord::seal(&key(7), SEQ, &addrs()).unwrap(), bytes(OF_GO));
    }

    #[test]
    fn no_bit_of_a_record_can_be_changed() {
        let good = bytes(OF_GO);
        let plain = PeerRecord::open(&good).unwrap();
        for at in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[at / 8] ^= 1 << (at % 8);
            // Some tags may be changed into those of fields that are unknown and so left out: never into another record.
            if let Ok(record) = PeerRecord::open(&bad) {
                assert_eq!(record, plain, "bit {at}");
            }
        }
        for len in 0..good.len() {
            assert!(PeerRecord::open(&good[..len]).is_err(), "cut to {len}");
        }
    }

    #[test]
    fn each_fault_has_its_error() {
        let good = Envelope::decode(&bytes(OF_GO)[..]).unwrap();
        let open = |envelope: &Envelope| PeerRecord::open(&envelope.encode_to_vec());
        let long = vec![0; ENVELOPE_MAX + 1];
        assert_eq!(PeerRecord::open(&long), Err(RecordError::TooLong { limit: ENVELOPE_MAX }));
        assert_eq!(PeerRecord::open(b"\xff"), Err(RecordError::Malformed));
        let other = Envelope { payload_type: vec![1], ..good.clone() };
        assert_eq!(open(&other), Err(RecordError::PayloadType(vec![1])));
        assert_eq!(open(&Envelope { public_key: vec![9], ..good.clone() }), Err(RecordError::Key));
        // The domain is part of what is signed.
        let domain = Envelope { payload_type: RFC_PAYLOAD_TYPE.to_vec(), ..good.clone() };
        assert_eq!(open(&domain), Err(RecordError::Signature));
        let sign = |payload: Vec<u8>| {
            let signature = key(8).sign(&signed(DOMAIN, PAYLOAD_TYPE, &payload)).unwrap();
            Envelope { public_key: key(8).public().encode_protobuf(), payload, signature, ..good.clone() }
        };
        let got = key(7).public().to_peer_id();
        assert_eq!(open(&sign(good.payload.clone())), Err(RecordError::WrongPeer { got }));
        assert_eq!(open(&sign(vec![0xff])), Err(RecordError::Malformed));
        assert_eq!(open(&sign(Vec::new())), Err(RecordError::Malformed), "no peer");
        let addresses = vec![AddressInfo { multiaddr: vec![0xff] }];
        let record = Record { peer_id: key(8).public().to_peer_id().to_bytes(), seq: 1, addresses };
        assert_eq!(open(&sign(record.encode_to_vec())).unwrap().addrs, [], "no address, and no reason to disbelieve");
    }
}
