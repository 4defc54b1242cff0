//! Records after the handshake, between two of ours.

#![cfg(any(feature = "ring", feature = "aws-lc"))]
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use common::*;
use proptest::prelude::*;
use sanswarm_tls::{Alert, Cipher, Error};
use sanswarm_wire::{Framing, RecvBuf, SendBuf};

const PLAIN_MAX: usize = 16 * 1024;

#[test]
fn frames_open_in_both_directions() {
    let (mut a, mut b) = ciphers();
    let mut recv = received(&[seal(&mut a, b"one"), seal(&mut a, b"two")].concat());
    assert_eq!((b.open(&mut recv), b.open(&mut recv), b.open(&mut recv)), (Ok(true), Ok(true), Ok(false)));
    assert_eq!(recv.plain(), b"onetwo", "contiguous over tag and head");
    let mut recv = received(&seal(&mut b, b"three"));
    assert_eq!(a.open(&mut recv), Ok(true));
    assert_eq!(recv.plain(), b"three");
    assert_eq!(a.seal(&mut SendBuf::default()), Ok(false));
}

#[test]
fn a_record_looks_like_application_data() {
    let (mut a, _) = ciphers();
    let record = seal(&mut a, b"hello");
    assert_eq!((record.len(), &record[..5]), (5 + 5 + 1 + 16, &[23, 3, 3, 0, 22][..]));
    assert!(!record.windows(5).any(|part| part == b"hello"));
}

#[test]
fn the_largest_frame_fits_the_smallest_buffer() {
    let (mut a, mut b) = ciphers();
    let text = vec![5; PLAIN_MAX];
    let frame = seal(&mut a, &text);
    assert_eq!(frame.len(), 5 + PLAIN_MAX + 17);
    let mut recv = RecvBuf::new(0);
    let mut fed = recv.feed(&frame);
    assert!(fed < frame.len());
    assert_eq!(b.open(&mut recv), Ok(false));
    fed += recv.feed(&frame[fed..]);
    assert_eq!(fed, frame.len(), "room for what was announced");
    assert_eq!(b.open(&mut recv), Ok(true));
    assert_eq!(recv.plain(), text);
}

#[test]
fn a_changed_record_is_fatal_for_opening_only() {
    for at in [1, 2, 5, 7, 20] {
        let (mut a, mut b) = ciphers();
        let mut frame = seal(&mut a, b"abc");
        let mut recv = received(&frame);
        frame[at] ^= 1;
        let mut bad = received(&frame);
        assert_eq!(b.open(&mut bad), Err(Error::Authentication), "byte {at}");
        assert!(bad.plain().is_empty());
        assert_eq!(b.open(&mut recv), Err(Error::Authentication), "sticky");
        assert!(recv.plain().is_empty());
        // What was written before still leaves, and the alert that says why.
        let (said, why) = (seal(&mut b, b"bye"), goodbye(&mut b));
        let mut recv = received(&[said, why].concat());
        assert_eq!((a.open(&mut recv), a.open(&mut recv)), (Ok(true), Err(Error::Alert(Alert(20)))));
        assert_eq!(recv.plain(), b"bye");
        assert_eq!(a.close(&mut SendBuf::default()), Ok(false), "nobody is there any more");
    }
}

#[test]
fn replayed_reordered_and_lengthened_records_are_refused() {
    let (mut a, mut b) = ciphers();
    let (one, two) = (seal(&mut a, b"1"), seal(&mut a, b"2"));
    let mut recv = received(&[&one[..], &one].concat());
    assert_eq!((b.open(&mut recv), b.open(&mut recv)), (Ok(true), Err(Error::Authentication)));
    let (mut a, mut b) = ciphers();
    let _first = seal(&mut a, b"1");
    assert_eq!(try_open(&mut b, &seal(&mut a, b"2")), Err(Error::Authentication));
    let (mut a, mut b) = ciphers();
    let one = seal(&mut a, b"1");
    let longer = [&[23, 3, 3, 0, 19], &one[5..], &[0]].concat();
    assert_eq!(try_open(&mut b, &longer), Err(Error::Authentication));
    assert_eq!(try_open(&mut ciphers().1, &two), Err(Error::Authentication), "of other keys");
    assert_eq!(try_open(&mut a, &one), Err(Error::Authentication), "its own");
}

#[test]
fn heads_are_judged_alone() {
    for (head, error) in [
        (&[0][..], Error::Record),
        (&[22], Error::Record),
        (&[21, 3, 3, 0, 2, 2, 40], Error::Record),
        (&[23, 3, 3, 0x41, 1], Error::TooLong { limit: PLAIN_MAX + 256 }),
        (&[23, 3, 3, 0xff, 0xff], Error::TooLong { limit: PLAIN_MAX + 256 }),
        (&[23, 3, 3, 0, 0], Error::Authentication),
        (&[23, 3, 3, 0, 15, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], Error::Authentication),
    ] {
        let (_, mut b) = ciphers();
        assert_eq!(b.open(&mut received(&head[..0])), Ok(false));
        assert_eq!(b.open(&mut received(head)), Err(error), "{head:?}");
        assert_eq!(b.open(&mut received(&[])), Err(error), "sticky");
    }
}

#[test]
fn behind_a_goodbye_nothing_is_opened_and_nothing_is_sealed() {
    let (mut a, mut b) = ciphers();
    let mut send = SendBuf::default();
    send.set_framing(Cipher::framing());
    assert!(send.append(b"last"));
    assert_eq!((a.close(&mut send), a.close(&mut send)), (Ok(true), Ok(false)));
    assert!(send.append(b"more"));
    assert_eq!(a.seal(&mut send), Err(Error::Ended));
    let mut recv = received(&[send.ready(), b"junk"].concat());
    assert_eq!((b.open(&mut recv), b.is_closed()), (Ok(true), false));
    assert_eq!((b.open(&mut recv), b.is_closed()), (Ok(true), true));
    assert_eq!(recv.plain(), b"last");
    assert_eq!(b.open(&mut recv), Ok(false), "what follows means nothing");
    assert_eq!(open(&mut a, &seal(&mut b, b"half-closed")), b"half-closed");
}

#[test]
fn a_goodbye_waits_for_room() {
    let (mut a, mut b) = ciphers();
    let mut send = SendBuf::new(16 * 1024);
    send.set_framing(Cipher::framing());
    assert!(send.append(&vec![0; send.control_room() - 5]));
    assert_eq!(a.close(&mut send), Ok(false));
    let mut recv = received(send.ready());
    send.sent(usize::MAX);
    assert_eq!(a.close(&mut send), Ok(true));
    recv.feed(send.ready());
    while b.open(&mut recv).unwrap() {}
    assert!(b.is_closed());
}

#[test]
fn another_framing_is_a_typed_error() {
    let (mut a, _) = ciphers();
    let mut send = SendBuf::default();
    send.set_framing(Framing { plain_max: 100_000, ..Cipher::framing() });
    assert!(send.append(&vec![0; PLAIN_MAX + 1]));
    assert_eq!(a.seal(&mut send), Err(Error::OwnFrame { limit: PLAIN_MAX }));
}

#[test]
fn secrets_are_not_printed() {
    let text =
        format!("{:?} {:?} {:?}", ciphers().0, end(sanswarm_wire::Role::Dialer), config(sanswarm_wire::Role::Dialer));
    assert!(!text.contains("key:") && !text.contains("secret"), "{text}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn chunking_does_not_matter(
        texts in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..600), 1..8),
        cuts in prop::collection::vec(1usize..700, 1..20),
    ) {
        for cuts in [vec![1], vec![usize::MAX], cuts] {
            let (mut a, mut b) = ciphers();
            let bytes: Vec<u8> = texts.iter().flat_map(|text| seal(&mut a, text)).collect();
            let (mut recv, mut rest, mut frames) = (RecvBuf::new(0), &bytes[..], 0);
            for cut in cuts.into_iter().cycle() {
                let fed = recv.feed(&rest[..cut.min(rest.len())]);
                rest = &rest[fed..];
                while b.open(&mut recv).unwrap() { frames += 1 }
                if rest.is_empty() { break }
            }
            prop_assert_eq!(frames, texts.len());
            prop_assert_eq!(recv.plain(), texts.concat());
        }
    }

    #[test]
    fn any_flip_is_refused(len in 1usize..200, at in any::<prop::sample::Index>(), flip in 1u8..) {
        let (mut a, mut b) = ciphers();
        let mut record = seal(&mut a, &vec![7; len]);
        let at = at.index(record.len());
        record[at] ^= flip;
        let mut recv = received(&record);
        let result = b.open(&mut recv);
        // A length that grew is waited for.
        prop_assert!(result.is_err() || matches!(at, 3 | 4) && result == Ok(false), "{result:?}");
        prop_assert!(recv.plain().is_empty());
    }
}
