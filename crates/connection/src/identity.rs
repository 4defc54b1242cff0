//! The identity keys of peers.

use core::fmt;

use libp2p_identity::PublicKey;

/// The least and the most bits of an RSA key, as go-libp2p has them. More would burn CPU, fewer are no key.
const RSA_BITS: core::ops::RangeInclusive<usize> = 2048..=8192;

/// Why an identity key is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct IdentityError {
    /// The number of the key's type: 0 RSA, 1 Ed25519, 2 secp256k1, 3 ECDSA; `None` where not even that is readable.
    pub(crate) key_type: Option<u8>,
    pub(crate) fault: Fault,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It is no `PublicKey` message, or what it holds is no key of its type.
    Malformed,
    /// Its type is not built in, or unknown.
    NotBuiltIn,
    /// An RSA key of so many bits, which are too few or too many.
    RsaBits(usize),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed => f.write_str("malformed"),
            Self::NotBuiltIn => f.write_str("of a type that is not built in"),
            Self::RsaBits(bits) => write!(f, "RSA of {bits} bits, not {} to {}", RSA_BITS.start(), RSA_BITS.end()),
        }
    }
}

/// Decodes a `PublicKey` protobuf (peer-ids, "Keys"), and refuses what the library would take: RSA keys of other sizes,
/// which it finds out when it verifies, and secp256k1 keys that are not the 33 bytes of a compressed point. Nothing is
/// computed with a key that is refused for its size.
pub(crate) fn decode(protobuf: &[u8]) -> Result<PublicKey, IdentityError> {
    let (key_type, data) = fields(protobuf).ok_or(IdentityError { key_type: None, fault: Fault::Malformed })?;
    let refused = |fault| IdentityError { key_type: u8::try_from(key_type).ok(), fault };
    match key_type {
        0 if cfg!(feature = "rsa") => match rsa_bits(data) {
            Some(bits) if RSA_BITS.contains(&bits) => {}
            Some(bits) => return Err(refused(Fault::RsaBits(bits))),
            None => return Err(refused(Fault::Malformed)),
        },
        2 if cfg!(feature = "secp256k1") => {
            if data.len() != 33 || !matches!(data[0], 2 | 3) {
                return Err(refused(Fault::Malformed));
            }
        }
        3 if cfg!(feature = "ecdsa") => {}
        1 => {}
        _ => return Err(refused(Fault::NotBuiltIn)),
    }
    PublicKey::try_decode_protobuf(protobuf).map_err(|_| refused(Fault::Malformed))
}

/// Type and data of a `PublicKey`: of each field the last counts, as in the library. Others may be there.
fn fields(mut input: &[u8]) -> Option<(u64, &[u8])> {
    let (mut key_type, mut data) = (None, None);
    while !input.is_empty() {
        let tag = varint(&mut input)?;
        match tag & 7 {
            0 => {
                let value = varint(&mut input)?;
                if tag >> 3 == 1 {
                    key_type = Some(value);
                }
            }
            1 => input = input.get(8..)?,
            2 => {
                let len = usize::try_from(varint(&mut input)?).ok()?;
                let (value, rest) = input.split_at_checked(len)?;
                if tag >> 3 == 2 {
                    data = Some(value);
                }
                input = rest;
            }
            5 => input = input.get(4..)?,
            _ => return None,
        }
    }
    Some((key_type?, data?))
}

fn varint(input: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = input.split_first()?;
        *input = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

const INTEGER: u8 = 2;
const BIT_STRING: u8 = 3;
const SEQUENCE: u8 = 0x30;

/// The bits of the modulus in a `SubjectPublicKeyInfo` around an `RSAPublicKey` (RFC 3279, 2.3.1), by its length alone.
fn rsa_bits(spki: &[u8]) -> Option<usize> {
    let (info, []) = der(SEQUENCE, spki)? else { return None };
    let (_, key) = der(SEQUENCE, info)?;
    let (key, []) = der(BIT_STRING, key)? else { return None };
    let (key, []) = der(SEQUENCE, key.strip_prefix(&[0])?)? else { return None };
    let (modulus, exponent) = der(INTEGER, key)?;
    let (_, []) = der(INTEGER, exponent)? else { return None };
    // A zero byte stands before a number whose first bit is set, which would be negative.
    let modulus = match modulus {
        [0, rest @ ..] => rest,
        [first, ..] if *first < 0x80 => modulus,
        _ => return None,
    };
    Some(modulus.len() * 8 - modulus.first()?.leading_zeros() as usize)
}

/// What a DER value of type `tag` holds, and what follows it.
fn der(tag: u8, input: &[u8]) -> Option<(&[u8], &[u8])> {
    let [first, rest @ ..] = input.strip_prefix(&[tag])? else { return None };
    if *first < 0x80 {
        return rest.split_at_checked(usize::from(*first));
    }
    let (len, rest) = rest.split_at_checked(usize::from(*first & 0x7f))?;
    if len.len() > 2 {
        return None; // 64 KiB and more are not in a payload of a handshake.
    }
    let len = len.iter().fold(0, |len, byte| len << 8 | usize::from(*byte));
    rest.split_at_checked(len)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn bytes(hex: &str) -> Vec<u8> {
        (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
    }

    /// The public key and the peer id of a file of `tests/keys`.
    fn vector(text: &str) -> (Vec<u8>, &str) {
        let mut lines = text.lines().skip(1);
        (bytes(lines.next().unwrap()), lines.next().unwrap())
    }

    fn key(key_type: u8, data: &[u8]) -> Vec<u8> {
        let mut out = vec![8, key_type, 0x12];
        let mut len = data.len();
        while len >= 0x80 {
            out.push(len as u8 | 0x80);
            len >>= 7;
        }
        out.push(len as u8);
        [&out, data].concat()
    }

    fn fault(protobuf: &[u8]) -> Option<(Option<u8>, Fault)> {
        decode(protobuf).err().map(|error| (error.key_type, error.fault))
    }

    /// The keys of the peer-ids specification, whose ids were computed apart.
    #[test]
    fn keys_of_the_specification_are_decoded_if_built_in() {
        for (key_type, text, built_in) in [
            (0, include_str!("../tests/keys/rsa.txt"), cfg!(feature = "rsa")),
            (1, include_str!("../tests/keys/ed25519.txt"), true),
            (2, include_str!("../tests/keys/secp256k1.txt"), cfg!(feature = "secp256k1")),
            (3, include_str!("../tests/keys/ecdsa.txt"), cfg!(feature = "ecdsa")),
        ] {
            let (protobuf, id) = vector(text);
            match decode(&protobuf) {
                Ok(key) => {
                    assert!(built_in);
                    assert_eq!(key.encode_protobuf(), protobuf);
                    assert_eq!(key.to_peer_id().to_base58(), id);
                }
                Err(error) => {
                    assert!(!built_in);
                    assert_eq!(error, IdentityError { key_type: Some(key_type), fault: Fault::NotBuiltIn });
                }
            }
        }
    }

    #[test]
    fn what_is_no_key_is_malformed() {
        for no_message in [&b""[..], b"\x08", b"\x08\x01", b"\x12\x00", b"\x08\x01\x12\x21a", b"\x0b\x0c", &[0xff; 12]]
        {
            assert_eq!(fault(no_message), Some((None, Fault::Malformed)), "{no_message:?}");
        }
        let no_point = [&[2], &[0; 31][..]].concat();
        for data in [&[0; 31][..], &[0; 33], &no_point] {
            assert_eq!(fault(&key(1, data)), Some((Some(1), Fault::Malformed)), "Ed25519, {data:?}");
        }
        assert_eq!(fault(&key(4, &[0; 32])), Some((Some(4), Fault::NotBuiltIn)));
        assert_eq!(fault(b"\x08\x81\x02\x12\x00"), Some((None, Fault::NotBuiltIn)), "a type of two bytes");
        let (ed25519, _) = vector(include_str!("../tests/keys/ed25519.txt"));
        for cut in 0..ed25519.len() {
            assert!(decode(&ed25519[..cut]).is_err(), "the first {cut} bytes");
        }
    }

    #[cfg(feature = "secp256k1")]
    #[test]
    fn secp256k1_keys_are_33_bytes_of_a_compressed_point() {
        let (protobuf, _) = vector(include_str!("../tests/keys/secp256k1.txt"));
        let point = &protobuf[4..];
        let malformed = Some((Some(2), Fault::Malformed));
        for tag in [0, 1, 4, 5, 6, 7] {
            assert_eq!(fault(&key(2, &[&[tag], &point[1..]].concat())), malformed, "tag {tag}");
        }
        assert_eq!(fault(&key(2, &point[..32])), malformed);
        assert_eq!(fault(&key(2, &[point, &[0]].concat())), malformed);
        assert_eq!(fault(&key(2, &[&[4], &[7; 64][..]].concat())), malformed, "uncompressed");
        assert_eq!(fault(&key(2, &[&[2], &[0xff; 32][..]].concat())), malformed, "no point");
        assert_eq!(fault(&key(2, &[&[point[0] ^ 1], &point[1..]].concat())), None, "the point on the other side");
    }

    #[cfg(feature = "ecdsa")]
    #[test]
    fn ecdsa_keys_are_points_of_p256() {
        let (protobuf, _) = vector(include_str!("../tests/keys/ecdsa.txt"));
        let der = &protobuf[4..];
        for at in [0, 5, 14, 26, 60] {
            let mut bad = der.to_vec();
            bad[at] ^= 1;
            assert_eq!(fault(&key(3, &bad)), Some((Some(3), Fault::Malformed)), "byte {at}");
        }
        assert_eq!(fault(&key(3, &der[..der.len() - 1])), Some((Some(3), Fault::Malformed)));
    }

    /// An RSA key of which the modulus is a one and zeros.
    #[cfg(feature = "rsa")]
    fn rsa(bits: usize) -> Vec<u8> {
        fn der(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
            let content = parts.concat();
            let len = content.len() as u16;
            let len = if len < 0x80 { vec![len as u8] } else { [&[0x82], &len.to_be_bytes()[..]].concat() };
            [&[tag], &len[..], &content].concat()
        }
        let mut modulus = vec![0; bits / 8 + 1];
        let at = modulus.len() - 1 - (bits - 1) / 8;
        modulus[at] = 1 << ((bits - 1) % 8);
        let public = der(
            SEQUENCE,
            &[&der(INTEGER, &[&modulus[at - usize::from(bits.is_multiple_of(8))..]]), b"\x02\x03\x01\x00\x01"],
        );
        let algorithm = b"\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00";
        key(0, &der(SEQUENCE, &[algorithm, &der(BIT_STRING, &[&[0], &public])]))
    }

    #[cfg(feature = "rsa")]
    #[test]
    fn rsa_keys_have_2048_to_8192_bits() {
        for bits in [2048, 2049, 3072, 8191, 8192] {
            assert_eq!(fault(&rsa(bits)), None, "{bits}");
        }
        for bits in [1, 512, 1024, 2047, 8193, 16_384, 100_000] {
            assert_eq!(fault(&rsa(bits)), Some((Some(0), Fault::RsaBits(bits))));
        }
        let (protobuf, _) = vector(include_str!("../tests/keys/rsa.txt"));
        let spki = &protobuf[5..];
        assert_eq!(rsa_bits(spki), Some(4096));
        for cut in 0..spki.len() {
            assert_eq!(fault(&key(0, &spki[..cut])), Some((Some(0), Fault::Malformed)), "the first {cut} bytes");
        }
        assert_eq!(fault(&key(0, &[spki, &[0]].concat())), Some((Some(0), Fault::Malformed)));
    }

    #[test]
    fn of_a_field_the_last_counts() {
        let (protobuf, id) = vector(include_str!("../tests/keys/ed25519.txt"));
        let twice = [&key(9, b"x"), &b"\x1d\x01\x02\x03\x04"[..], &protobuf].concat();
        assert_eq!(decode(&twice).unwrap().to_peer_id().to_base58(), id, "made again before it is hashed");
    }
}
