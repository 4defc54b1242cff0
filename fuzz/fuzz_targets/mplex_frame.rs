//! Heads of mplex frames: the verdict on a head never changes with the bytes that follow, and what is read is what would
//! be written.
//!
//! Input: one byte that chooses the limit of a body, then what a peer sends.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sanswarm_mplex::{Error, HEADER_BYTES, Header, ID_MAX, Kind};

/// The verdict on the head at the front of `input`, which is the same however much of the input is there.
fn verdict(input: &[u8], limit: u32) -> Result<Option<(Header, usize)>, Error> {
    let mut verdict = Ok(None);
    for end in 0..=input.len().min(HEADER_BYTES + 2) {
        let now = Header::decode(&input[..end], limit);
        assert!(verdict == Ok(None) || now == verdict, "{verdict:?} became {now:?}");
        verdict = now;
    }
    assert_eq!(verdict, Header::decode(input, limit));
    verdict
}

fn check(header: Header, bytes: &[u8], limit: u32) {
    let mut buffer = [0; HEADER_BYTES];
    assert_eq!(header.encode(&mut buffer), bytes, "{header:?}");
    assert_eq!(header.encoded_len(), bytes.len());
    assert!(header.id <= ID_MAX && header.length <= limit);
    assert!(header.by_opener || header.kind != Kind::NewStream);
    // Whatever its fields, a head that is written can be read.
    let other = Header { id: !header.id & ID_MAX, length: limit - header.length, ..header };
    let mut buffer = [0; HEADER_BYTES];
    let bytes = other.encode(&mut buffer);
    assert_eq!(Header::decode(bytes, limit), Ok(Some((other, bytes.len()))));
}

fuzz_target!(|input: &[u8]| {
    let Some((&choice, mut rest)) = input.split_first() else { return };
    // From 1 byte to 4 GiB; 20 is the default.
    let limit = u32::MAX >> (31 - u32::from(choice) % 32);
    loop {
        match verdict(rest, limit) {
            Ok(Some((header, used))) => {
                check(header, &rest[..used], limit);
                rest = rest.get(used + header.length as usize..).unwrap_or(&[]);
            }
            Ok(None) => break assert!(rest.len() < HEADER_BYTES, "so many bytes always say"),
            Err(_) => break,
        }
    }
});
