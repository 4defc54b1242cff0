//! `NoiseHandshakePayload`: the protobuf in messages 2 and 3 (noise-libp2p, "The libp2p Handshake Payload").

use alloc::vec::Vec;

use bytes::{Buf, Bytes};

use crate::{Config, Error};

/// The most muxers that are kept; go-libp2p ignores longer lists.
const MUXERS_MAX: usize = 100;
/// The longest name of a muxer that is kept, in bytes.
const MUXER_BYTES_MAX: usize = 256;

const IDENTITY_KEY: u32 = 1;
const IDENTITY_SIG: u32 = 2;
const EXTENSIONS: u32 = 4;
/// Within `NoiseExtensions`.
const STREAM_MUXERS: u32 = 2;

/// What a peer says in its payload.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Payload {
    pub(crate) identity_key: Bytes,
    pub(crate) signature: Bytes,
    /// `None` if no muxer was named.
    pub(crate) muxers: Option<Vec<Bytes>>,
}

/// The payload that every handshake of a node sends.
pub(crate) fn encode(config: &Config) -> Vec<u8> {
    let mut out = Vec::with_capacity(encoded_len(config));
    put_bytes(IDENTITY_KEY, &config.identity_key, &mut out);
    put_bytes(IDENTITY_SIG, &config.signature, &mut out);
    if !config.muxers.is_empty() {
        put_head(EXTENSIONS, extensions_len(config), &mut out);
        for muxer in &config.muxers {
            put_bytes(STREAM_MUXERS, muxer, &mut out);
        }
    }
    out
}

/// The length of that in bytes.
pub(crate) fn encoded_len(config: &Config) -> usize {
    let extensions = if config.muxers.is_empty() { 0 } else { field_len(extensions_len(config)) };
    field_len(config.identity_key.len()) + field_len(config.signature.len()) + extensions
}

fn extensions_len(config: &Config) -> usize {
    config.muxers.iter().map(|muxer| field_len(muxer.len())).sum()
}

/// The length of a field of `len` bytes, with its head.
fn field_len(len: usize) -> usize {
    let mut head = 2;
    let mut rest = len >> 7;
    while rest > 0 {
        head += 1;
        rest >>= 7;
    }
    head + len
}

fn put_bytes(field: u32, bytes: &[u8], out: &mut Vec<u8>) {
    put_head(field, bytes.len(), out);
    out.extend_from_slice(bytes);
}

fn put_head(field: u32, mut len: usize, out: &mut Vec<u8>) {
    out.push((field << 3) as u8 | 2);
    while len >= 0x80 {
        out.push(len as u8 | 0x80);
        len >>= 7;
    }
    out.push(len as u8);
}

/// Decodes a payload in time linear in its length. As protobuf has it, the last of a repeated single field counts, and
/// fields that are unknown or of another wire type are skipped.
pub(crate) fn decode(input: Bytes) -> Result<Payload, Error> {
    let mut payload = Payload { identity_key: Bytes::new(), signature: Bytes::new(), muxers: None };
    let mut fields = Fields(input);
    while let Some((field, value)) = fields.next()? {
        match field {
            IDENTITY_KEY => payload.identity_key = value,
            IDENTITY_SIG => payload.signature = value,
            EXTENSIONS => decode_extensions(value, &mut payload.muxers)?,
            _ => {}
        }
    }
    if payload.identity_key.is_empty() || payload.signature.is_empty() {
        return Err(Error::NoIdentity);
    }
    Ok(payload)
}

fn decode_extensions(input: Bytes, muxers: &mut Option<Vec<Bytes>>) -> Result<(), Error> {
    let mut fields = Fields(input);
    while let Some((field, value)) = fields.next()? {
        if field == STREAM_MUXERS && value.len() <= MUXER_BYTES_MAX {
            let muxers = muxers.get_or_insert_default();
            if muxers.len() < MUXERS_MAX {
                muxers.push(value);
            }
        }
    }
    Ok(())
}

/// The fields of a message that have yet to be read.
struct Fields(Bytes);

impl Fields {
    /// The next length-delimited field. Others are skipped.
    fn next(&mut self) -> Result<Option<(u32, Bytes)>, Error> {
        while !self.0.is_empty() {
            let tag = self.varint()?;
            let field = u32::try_from(tag >> 3).map_err(|_| Error::PayloadField)?;
            if !(1..1 << 29).contains(&field) {
                return Err(Error::PayloadField);
            }
            match tag & 7 {
                0 => drop(self.varint()?),
                1 => drop(self.bytes(8)?),
                2 => {
                    let len = self.varint()?;
                    return Ok(Some((field, self.bytes(len)?)));
                }
                5 => drop(self.bytes(4)?),
                _ => return Err(Error::PayloadField),
            }
        }
        Ok(None)
    }

    fn bytes(&mut self, len: u64) -> Result<Bytes, Error> {
        match usize::try_from(len) {
            Ok(len) if len <= self.0.len() => Ok(self.0.split_to(len)),
            _ => Err(Error::PayloadTruncated),
        }
    }

    /// A varint of up to ten bytes, which need not be the shortest.
    fn varint(&mut self) -> Result<u64, Error> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.0.try_get_u8().map_err(|_| Error::PayloadTruncated)?;
            if shift == 63 && byte > 1 {
                break;
            }
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Error::PayloadVarint)
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use proptest::prelude::*;

    use super::*;
    use crate::StaticKey;

    fn encode(identity_key: &[u8], signature: &[u8], muxers: &[Bytes]) -> Vec<u8> {
        let (key, copy) = (StaticKey::from_secret([1; 32]), Bytes::copy_from_slice);
        let config = Config { muxers: muxers.to_vec(), ..Config::new(key, copy(identity_key), copy(signature)) };
        let bytes = super::encode(&config);
        assert_eq!(bytes.len(), encoded_len(&config));
        bytes
    }

    const BASE: &[u8] = b"\x0a\x01k\x12\x01s";

    fn with(extra: &[u8]) -> Result<Payload, Error> {
        decode([BASE, extra].concat().into())
    }

    fn muxers(extra: &[u8]) -> Option<Vec<Bytes>> {
        with(extra).unwrap().muxers
    }

    #[test]
    fn bytes_are_as_prost_makes_them() {
        let names = ["/yamux/1.0.0", "/mplex/6.7.0"].map(Bytes::from);
        assert_eq!(encode(b"k", b"s", &[]), BASE);
        assert_eq!(encode(b"k", b"s", &names), [BASE, b"\x22\x1c\x12\x0c/yamux/1.0.0\x12\x0c/mplex/6.7.0"].concat());
        assert_eq!(&encode(&[7; 300], b"s", &[])[..4], b"\x0a\xac\x02\x07");
        assert_eq!(muxers(&encode(b"k", b"s", &names)), Some(names.to_vec()));
    }

    #[test]
    fn an_absent_list_and_an_empty_one_are_the_same() {
        assert_eq!(muxers(b""), None);
        assert_eq!(muxers(b"\x22\x00"), None);
        assert_eq!(muxers(b"\x22\x03\x0a\x01h"), None, "certhashes only");
        assert_eq!(muxers(b"\x22\x03\x12\x01a\x22\x03\x12\x01b"), Some(vec!["a".into(), "b".into()]), "merged");
    }

    #[test]
    fn unknown_fields_are_skipped() {
        for extra in [
            &b"\x1a\x03abc"[..],                              // 3, the old `data`
            b"\x18\x96\x01",                                  // a varint
            b"\x19\x01\x02\x03\x04\x05\x06\x07\x08",          // 64 bits
            b"\x1d\x01\x02\x03\x04",                          // 32 bits
            b"\xf2\x40\x01x",                                 // field 1038
            b"\x20\x05",                                      // extensions as a varint
            b"\x0a\x81\x80\x80\x80\x80\x80\x80\x80\x80\x00k", // a length in ten bytes
            b"\x18\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",  // the largest varint
        ] {
            let payload = with(extra).unwrap();
            assert_eq!((&payload.identity_key[..], &payload.signature[..]), (&b"k"[..], &b"s"[..]), "{extra:x?}");
        }
        assert_eq!(&with(b"\x0a\x01K").unwrap().identity_key[..], b"K", "the last counts");
    }

    #[test]
    fn bad_payloads_are_typed_errors() {
        for (extra, error) in [
            (&b"\x0a\x02k"[..], Error::PayloadTruncated),
            (b"\x0a", Error::PayloadTruncated),
            (b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", Error::PayloadTruncated),
            (b"\x22\x02\x12\x01", Error::PayloadTruncated),
            (b"\x19\x01\x02", Error::PayloadTruncated),
            (b"\x1d\x01\x02", Error::PayloadTruncated),
            (b"\x18\x80", Error::PayloadTruncated),
            (b"\x18\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", Error::PayloadVarint),
            (b"\x18\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00", Error::PayloadVarint),
            (b"\x1b\x1c", Error::PayloadField),
            (b"\x1f", Error::PayloadField),
            (b"\x00\x00", Error::PayloadField),
            (b"\x82\x80\x80\x80\x10\x00", Error::PayloadField),
        ] {
            assert_eq!(with(extra), Err(error), "{extra:x?}");
        }
        for none in [&b""[..], b"\x0a\x01k", b"\x12\x01s", b"\x0a\x00\x12\x01s"] {
            assert_eq!(decode(Bytes::from_static(none)), Err(Error::NoIdentity), "{none:x?}");
        }
    }

    #[test]
    fn what_is_kept_of_muxers_is_bounded() {
        let many = vec![Bytes::from("m"); MUXERS_MAX + 50];
        assert_eq!(muxers(&encode(b"k", b"s", &many)).map(|m| m.len()), Some(MUXERS_MAX));
        let long = [vec![b'x'; MUXER_BYTES_MAX + 1], vec![b'x'; MUXER_BYTES_MAX]].map(Bytes::from);
        assert_eq!(muxers(&encode(b"k", b"s", &long)), Some(vec![long[1].clone()]));
        assert_eq!(muxers(&encode(b"k", b"s", &long[..1])), None);
    }

    proptest! {
        #[test]
        fn any_bytes_decode_or_are_refused(input in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(payload) = with(&input) {
                prop_assert!(!payload.identity_key.is_empty());
                prop_assert!(payload.muxers.is_none_or(|m| !m.is_empty()));
            }
        }

        #[test]
        fn what_was_encoded_is_decoded(
            key in prop::collection::vec(any::<u8>(), 1..400),
            names in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..256), 1..20),
        ) {
            let muxers: Vec<Bytes> = names.into_iter().map(Bytes::from).collect();
            let payload = decode(encode(&key, b"sig", &muxers).into()).unwrap();
            prop_assert_eq!(&payload.identity_key[..], &key[..]);
            prop_assert_eq!(payload.muxers, Some(muxers));
        }
    }
}
