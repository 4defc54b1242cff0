//! Heads of frames, byte by byte.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use common::*;
use proptest::prelude::*;
use sanswarm_mplex::{Error, HEADER_BYTES, Header, ID_MAX, Kind};

const MIB: u32 = 1024 * 1024;

fn header(kind: Kind, by_opener: bool, id: u64, length: u32) -> Header {
    Header { kind, by_opener, id, length }
}

fn decode(input: &[u8]) -> Result<Option<(Header, usize)>, Error> {
    Header::decode(input, MIB)
}

#[test]
fn every_kind_is_laid_out_as_the_spec_says() {
    let table: [(&[u8], Header); 9] = [
        (&[0x00, 0x00], header(Kind::NewStream, true, 0, 0)),
        (&[0x88, 0x01, 0x02], header(Kind::NewStream, true, 17, 2)),
        (&[0x89, 0x01, 0x05], header(Kind::Message, false, 17, 5)),
        (&[0x8a, 0x01, 0x80, 0x01], header(Kind::Message, true, 17, 128)),
        (&[0x0b, 0x00], header(Kind::Close, false, 1, 0)),
        (&[0x0c, 0x00], header(Kind::Close, true, 1, 0)),
        (&[0x0d, 0x00], header(Kind::Reset, false, 1, 0)),
        (&[0x0e, 0x00], header(Kind::Reset, true, 1, 0)),
        (
            &[0xfa, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 0x80, 0x80, 0x40],
            header(Kind::Message, true, ID_MAX, MIB),
        ),
    ];
    for (bytes, header) in table {
        assert_eq!(header.encode(&mut [0; HEADER_BYTES]), bytes, "{header:?}");
        assert_eq!(header.encoded_len(), bytes.len(), "{header:?}");
        assert_eq!(decode(bytes), Ok(Some((header, bytes.len()))));
        assert_eq!(decode(&[bytes, b"body"].concat()), Ok(Some((header, bytes.len()))), "the body is not looked at");
        for part in 0..bytes.len() {
            assert_eq!(decode(&bytes[..part]), Ok(None), "{part} bytes of {bytes:x?}");
        }
    }
}

#[test]
fn an_id_has_60_bits() {
    assert_eq!(ID_MAX, 0x0fff_ffff_ffff_ffff);
    let beyond = header(Kind::Close, true, ID_MAX + 3, 0);
    assert_eq!(beyond.encode(&mut [0; HEADER_BYTES]), [0x14, 0], "the lower 60 count");
    assert_eq!(beyond.encoded_len(), 2);
    // js-libp2p decodes 2^29 as 0.
    let id = 1 << 29;
    assert_eq!(decode(&head(NEW, id, 0)), Ok(Some((header(Kind::NewStream, true, id, 0), 6))));
}

#[test]
fn the_longest_head_fits() {
    let longest = header(Kind::Reset, true, ID_MAX, u32::MAX);
    assert_eq!(longest.encode(&mut [0; HEADER_BYTES]).len(), HEADER_BYTES);
    assert_eq!(Header::decode(longest.encode(&mut [0; HEADER_BYTES]), u32::MAX), Ok(Some((longest, HEADER_BYTES))));
}

#[test]
fn a_first_varint_of_ten_bytes_is_refused_at_the_ninth() {
    let nine = [0x80; 9];
    assert_eq!(decode(&nine[..8]), Ok(None));
    assert_eq!(decode(&nine), Err(Error::HeaderTooLong));
    assert_eq!(decode(&[&nine[..], &[1, 0]].concat()), Err(Error::HeaderTooLong));
}

#[test]
fn varints_that_are_not_minimal_are_refused() {
    for wrong in [&[0x80, 0x00][..], &[0x8a, 0x80, 0x00], &[0x0a, 0x80, 0x00], &[0x0a, 0x85, 0x80, 0x00]] {
        assert_eq!(decode(wrong), Err(Error::NotMinimal), "{wrong:x?}");
    }
}

#[test]
fn flag_7_is_refused_without_waiting_for_a_length() {
    assert_eq!(decode(&[0x0f]), Err(Error::UnknownFlag { id: 1 }));
    assert_eq!(decode(&[0xff, 0x01, 0x00]), Err(Error::UnknownFlag { id: 31 }));
}

#[test]
fn a_body_over_the_limit_is_refused_from_its_head() {
    let too_long = |limit| Err(Error::MessageTooLong { limit });
    for flag in 0..7 {
        assert_eq!(decode(&head(flag, 1, MIB as usize + 1)), too_long(MIB));
    }
    for limit in [1, 0x7f, 0x80, 0x3fff, 0x4000, MIB, u32::MAX - 1] {
        let fits = Header::decode(&head(MESSAGE_INITIATOR, 1, limit as usize), limit).unwrap().unwrap().0;
        assert_eq!(fits.length, limit);
        assert_eq!(Header::decode(&head(MESSAGE_INITIATOR, 1, limit as usize + 1), limit), too_long(limit));
    }
    assert_eq!(Header::decode(&head(MESSAGE_INITIATOR, 1, u32::MAX as usize + 1), u32::MAX), too_long(u32::MAX));
    // The third byte says that there is a fourth: whatever it is, 1 MiB has three.
    assert_eq!(decode(&[0x0a, 0x80, 0x80]), Ok(None));
    assert_eq!(decode(&[0x0a, 0x80, 0x80, 0x80]), too_long(MIB));
}

fn any_header() -> impl Strategy<Value = Header> {
    let kind = prop_oneof![Just(Kind::NewStream), Just(Kind::Message), Just(Kind::Close), Just(Kind::Reset)];
    let id = prop_oneof![0..200u64, 0..=ID_MAX];
    (kind, any::<bool>(), id, 0..=MIB)
        .prop_map(|(kind, by_opener, id, length)| header(kind, by_opener || kind == Kind::NewStream, id, length))
}

proptest! {
    #[test]
    fn every_head_comes_back(header in any_header(), behind in prop::collection::vec(any::<u8>(), 0..20)) {
        let mut buffer = [0; HEADER_BYTES];
        let bytes = header.encode(&mut buffer);
        prop_assert_eq!(bytes.len(), header.encoded_len());
        prop_assert_eq!(decode(&[bytes, &behind].concat()), Ok(Some((header, bytes.len()))));
    }

    #[test]
    fn more_bytes_never_change_a_verdict(bytes in prop::collection::vec(prop_oneof![any::<u8>(), 0x7e..0x83u8], 0..24)) {
        let mut verdict = Ok(None);
        for end in 0..=bytes.len() {
            let now = decode(&bytes[..end]);
            prop_assert!(verdict == Ok(None) || verdict == now, "{:?} became {:?}", verdict, now);
            verdict = now;
        }
        prop_assert!(verdict != Ok(None) || bytes.len() < 12, "twelve bytes always say");
    }
}
