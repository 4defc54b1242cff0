//! Bytes of the specifications and of peers, row by row.

#![allow(clippy::unwrap_used, reason = "tests")]

use core::hash::{BuildHasher, BuildHasherDefault};
use std::hash::DefaultHasher;

use sanswarm_multistream::{
    Error, HEADER, HEADER_LINE, LS, Line, MESSAGE_BYTES_MAX, NA, NA_LINE, ProtocolName, decode, encode, encoded_len,
    header::{DEPTH_MAX, Path, peel, peel_all, write_header},
};

/// unsigned-varint's table of examples, as far as they are lengths of lines.
#[test]
fn lengths_are_the_varints_of_the_specification() {
    let table: [(usize, &[u8]); 6] =
        [(1, &[1]), (127, &[0x7f]), (128, &[0x80, 1]), (255, &[0xff, 1]), (300, &[0xac, 2]), (16384, &[0x80, 0x80, 1])];
    for (len, varint) in table {
        let text = vec![b'a'; len - 1];
        let mut line = Vec::new();
        encode(&text, &mut line);
        assert_eq!(&line[..varint.len()], varint);
        assert_eq!(line.len(), encoded_len(&text));
        let read = decode(&line, usize::MAX).unwrap().unwrap();
        assert_eq!((read.text, read.used), (&text[..], line.len()));
        for cut in 0..varint.len() {
            assert_eq!(decode(&line[..cut], usize::MAX), Ok(None), "incomplete");
        }
    }
}

#[test]
fn a_length_has_at_most_nine_bytes() {
    let limit = usize::MAX;
    let largest = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f];
    assert_eq!(decode(&largest, limit), Ok(None), "2^63 - 1 is awaited by who allows it");
    assert_eq!(decode(&largest, limit / 4), Err(Error::TooLong { limit: limit / 4 }));
    let ten = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
    for seen in 9..=10 {
        assert_eq!(decode(&ten[..seen], limit), Err(Error::TooLong { limit }), "refused at the ninth");
    }
    assert_eq!(decode(&ten[..8], limit), Ok(None));
}

#[test]
fn a_length_has_one_form() {
    for bytes in [&[0x80, 0][..], &[0x81, 0], &[0xff, 0], &[0x80, 0x80, 0]] {
        let limit = usize::MAX;
        assert_eq!(decode(bytes, limit), Err(Error::NotMinimal), "{bytes:x?}");
    }
    assert_eq!(
        decode(&[0x80, 0x80, 0], 1024),
        Err(Error::TooLong { limit: 1024 }),
        "too long before it is not minimal"
    );
}

#[test]
fn the_words_of_the_dialogue_are_their_bytes() {
    let line = |text: &str| {
        let mut out = Vec::new();
        encode(text.as_bytes(), &mut out);
        out
    };
    assert_eq!(line(NA), [0x03, 0x6e, 0x61, 0x0a]);
    assert_eq!(line(NA), NA_LINE);
    assert_eq!(line(LS), [0x03, 0x6c, 0x73, 0x0a]);
    assert_eq!(line(HEADER), HEADER_LINE);
}

#[test]
fn the_limit_counts_the_newline_and_not_the_length() {
    let mut longest = Vec::new();
    encode(&[b'a'; MESSAGE_BYTES_MAX - 1], &mut longest);
    assert_eq!(decode(&longest, MESSAGE_BYTES_MAX).unwrap().unwrap().used, MESSAGE_BYTES_MAX + 2);
    let mut longer = Vec::new();
    encode(&[b'a'; MESSAGE_BYTES_MAX], &mut longer);
    assert_eq!(decode(&longer[..2], MESSAGE_BYTES_MAX), Err(Error::TooLong { limit: 1024 }), "from the prefix alone");
}

/// The example of the README of multistream, and the paths of the first outlines.
#[test]
fn a_header_is_a_path_as_a_line() {
    let echo = [0x0a, 0x2f, 0x65, 0x63, 0x68, 0x6f, 0x2f, 0x31, 0x2e, 0x30, 0x0a];
    let (path, used) = peel(&echo).unwrap().unwrap();
    assert_eq!((path.as_bytes(), used), (&b"/echo/1.0"[..], 11));
    for text in [
        "/ipfs/Qmaa4Rw81a3a1VEx4LxB7HADUAXvZFhCoRdBzsMZyZmqHD/ipfs.protocol",
        "/http/w3id.org/ipfs/ipfs-1.1.0.json",
        "/ipfs/QmdRKVhvzyATs3L6dosSb6w8hKuqfZK2SyPVqcYJ5VLYa2/multistream-select/0.3.0",
        "/",
    ] {
        let mut stream = Vec::new();
        write_header(Path::new(text.as_bytes()).unwrap(), &mut stream);
        assert_eq!(usize::from(stream[0]), text.len() + 1, "the newline is counted");
        stream.extend(b"\x00\xffpayload");
        let (path, used) = peel(&stream).unwrap().unwrap();
        assert_eq!((path.to_string().as_str(), &stream[used..]), (text, &b"\x00\xffpayload"[..]));
        for cut in 0..used {
            assert_eq!(peel(&stream[..cut]), Ok(None));
        }
    }
}

#[test]
fn the_worked_example_of_the_old_specification_contradicts_its_prose() {
    let example = b"\x06/json/{\"a\":1}";
    assert_eq!(peel(example), Err(Error::NoNewline), "we follow the prose");
}

#[test]
fn headers_are_limited_like_lines() {
    let mut longest = Vec::new();
    write_header(Path::new(&[b'/'; Path::BYTES_MAX]).unwrap(), &mut longest);
    assert_eq!(peel(&longest).unwrap().unwrap().1, longest.len());
    assert_eq!(peel(&[0x81, 0x08]), Err(Error::TooLong { limit: MESSAGE_BYTES_MAX }));
    assert_eq!(peel(&[0]), Err(Error::ZeroLength));
    assert_eq!(peel(&[0x83, 0]), Err(Error::NotMinimal));
    let deep = b"\x03/a\n".repeat(DEPTH_MAX + 1);
    assert_eq!(peel_all(&deep, DEPTH_MAX), Err(Error::TooDeep { limit: DEPTH_MAX }));
    let peeled = peel_all(&deep[4..], DEPTH_MAX).unwrap().unwrap();
    assert_eq!((peeled.paths().len(), peeled.used()), (DEPTH_MAX, 4 * DEPTH_MAX));
}

#[test]
fn a_line_is_lent_from_the_input() {
    let input = b"\x03na\nrest".to_vec();
    let Line { text, used } = decode(&input, MESSAGE_BYTES_MAX).unwrap().unwrap();
    assert_eq!(text.as_ptr(), input[1..].as_ptr(), "not a copy");
    assert_eq!(&input[used..], b"rest");
}

#[test]
fn names_hash_by_their_bytes_wherever_those_are() {
    let hash = |name: &ProtocolName| BuildHasherDefault::<DefaultHasher>::default().hash_one(name);
    let noise = ProtocolName::from_static("/noise");
    assert_eq!(hash(&noise), hash(&ProtocolName::try_from("/noise").unwrap()));
    assert_eq!(hash(&noise), BuildHasherDefault::<DefaultHasher>::default().hash_one("/noise"), "as a str does");
    assert_ne!(hash(&noise), hash(&ProtocolName::from_static("/tls/1.0.0")));
    assert!(noise != *"/tls" && noise == *"/noise");
}
