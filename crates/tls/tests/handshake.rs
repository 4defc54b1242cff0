//! Handshakes between two of ours.

#![cfg(any(feature = "ring", feature = "aws-lc"))]
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::sync::Arc;

use common::*;
use proptest::prelude::*;
use sanswarm_tls::{Alert, CertificateError, Cipher, Error, Handshake, Limits};
use sanswarm_wire::{Instant, Role, SendBuf};

#[test]
fn both_ends_agree_and_talk() {
    for cuts in [WHOLE, &[1], &[3, 50, 7]] {
        let (mut dialer, mut listener) = both();
        let (_, [by_listener, by_dialer]) = run(&mut dialer, &mut listener, cuts);
        assert_eq!(
            (&by_listener.identity_key[..], &by_listener.signature[..]),
            (&b"listener key"[..], &b"signature"[..])
        );
        assert!(by_listener.message.starts_with(b"libp2p-tls-handshake:"));
        assert_eq!(by_dialer.identity_key, "dialer key");
        let ((mut a, at_dialer), (mut b, at_listener)) = (dialer.finish().unwrap(), listener.finish().unwrap());
        assert_eq!((at_dialer.muxer, at_listener.muxer), (None, None));
        for text in ["one", "two", "three"] {
            assert_eq!(open(&mut b, &seal(&mut a, text.as_bytes())), text.as_bytes());
            assert_eq!(open(&mut a, &seal(&mut b, text.as_bytes())), text.as_bytes());
        }
    }
}

#[test]
fn the_signed_message_is_of_the_certificate_that_was_sent() {
    let key = sanswarm_tls::CertificateKey::generate(provider()).unwrap();
    let config = sanswarm_tls::Config::new(&key, "k", "s", NOW).unwrap();
    let mut listener = Handshake::new(Role::Listener, Arc::new(config), Instant::ZERO).unwrap();
    let (_, [by_listener, _]) = run(&mut end(Role::Dialer), &mut listener, WHOLE);
    assert_eq!(by_listener.message, key.message());
}

#[test]
fn the_dialers_order_of_muxers_decides() {
    let (yamux, mplex) = ("/yamux/1.0.0", "/mplex/6.7.0");
    for (ours, theirs, agreed) in [
        (&[yamux, mplex][..], &[mplex, yamux][..], Some(yamux)),
        (&[mplex, yamux], &[yamux, mplex], Some(mplex)),
        (&[yamux, mplex], &[mplex], Some(mplex)),
        (&[yamux], &[mplex], None),
        (&[yamux], &[], None),
        (&[], &[yamux], None),
    ] {
        let mut dialer = end_with(Role::Dialer, |c| c.muxers = muxers(ours));
        let mut listener = end_with(Role::Listener, |c| c.muxers = muxers(theirs));
        run(&mut dialer, &mut listener, WHOLE);
        let agreed = agreed.map(bytes::Bytes::from);
        assert_eq!(dialer.finish().unwrap().1.muxer, agreed, "{ours:?} {theirs:?}");
        assert_eq!(listener.finish().unwrap().1.muxer, agreed, "{ours:?} {theirs:?}");
    }
}

#[test]
fn the_first_answer_is_there_after_two_round_trips() {
    let (mut dialer, mut listener) = both();
    let mut flight = SendBuf::default();
    dialer.poll_transmit(&mut flight); // one round trip
    deliver(&mut listener, flight.ready(), WHOLE).unwrap();
    let mut flight = SendBuf::default();
    listener.poll_transmit(&mut flight);
    deliver(&mut dialer, flight.ready(), WHOLE).unwrap();
    let mut flight = SendBuf::default(); // and two, with the last flight and the request in one
    assert!(dialer.poll_transmit(&mut flight) > 0);
    let (mut dialer, _) = dialer.finish().unwrap();
    flight.set_framing(Cipher::framing());
    assert!(flight.append(b"request"));
    dialer.seal(&mut flight).unwrap();
    let (used, claim) = listener.handle_input(flight.ready()).unwrap();
    assert!(claim.is_some());
    listener.handle_verdict(true).unwrap();
    let (mut listener, _) = listener.finish().unwrap();
    assert_eq!(open(&mut listener, &flight.ready()[used..]), b"request");
    assert_eq!(open(&mut dialer, &seal(&mut listener, b"answer")), b"answer");
}

#[test]
fn a_bad_signature_ends_it_on_either_side() {
    let (mut dialer, mut listener) = both();
    listener.handle_input(&sent(&mut dialer)).unwrap();
    let two = sent(&mut listener);
    assert!(dialer.handle_input(&two).unwrap().1.is_some());
    assert_eq!(dialer.handle_verdict(false), Err(Error::Signature));
    assert_eq!(dialer.handle_verdict(true), Err(Error::Signature), "sticky");
    assert_eq!(dialer.handle_input(&two), Err(Error::Signature));
    assert!(sent(&mut dialer).is_empty(), "its certificate stays here");
    assert!(matches!(dialer.finish(), Err(Error::Signature)));

    let (mut dialer, mut listener) = both();
    listener.handle_input(&sent(&mut dialer)).unwrap();
    deliver(&mut dialer, &sent(&mut listener), WHOLE).unwrap();
    assert!(listener.handle_input(&sent(&mut dialer)).unwrap().1.is_some());
    assert_eq!(listener.handle_verdict(false), Err(Error::Signature));
    assert!(!listener.is_done());
    assert!(matches!(listener.finish(), Err(Error::Signature)));
}

#[test]
fn nothing_behind_the_deciding_record_is_used() {
    let (mut dialer, mut listener) = both();
    let one = sent(&mut dialer);
    assert_eq!(listener.handle_input(&[&one[..], b"\x16"].concat()), Ok((one.len(), None)));
    let two = [&sent(&mut listener)[..], b"early data"].concat();
    let (used, claim) = dialer.handle_input(&two).unwrap();
    assert!(claim.is_some());
    assert_eq!(used, two.len() - 10);
    assert_eq!(dialer.handle_input(&two[used..]), Ok((0, None)), "waits for the verdict");
    assert!(sent(&mut dialer).is_empty(), "the last flight waits, too");
    dialer.handle_verdict(true).unwrap();
    assert_eq!(dialer.handle_input(&two[used..]), Ok((0, None)), "that is the cipher's");
    let three = [&sent(&mut dialer)[..], b"payload"].concat();
    let (used, claim) = listener.handle_input(&three).unwrap();
    assert_eq!((used, claim.is_some()), (three.len() - 7, true));
}

/// What becomes of both ends when `change` meets the flights, of which 0 and 2 are the dialer's.
fn tampered(mut change: impl FnMut(usize, &mut Vec<u8>)) -> [Result<Handshake, Error>; 2] {
    let (mut dialer, mut listener) = both();
    let mut faults = [None; 2];
    for flight in 0..3 {
        let (from, to, fault) = match flight {
            1 => (&mut listener, &mut dialer, 0),
            _ => (&mut dialer, &mut listener, 1),
        };
        let mut bytes = sent(from);
        change(flight, &mut bytes);
        faults[fault] = faults[fault].or(deliver(to, &bytes, WHOLE).err());
    }
    [(faults[0], dialer), (faults[1], listener)].map(|(fault, end)| fault.map_or(Ok(end), Err))
}

/// Two ends that both think that they are done have the same view, and no changed byte was believed.
fn check_views(ends: [Result<Handshake, Error>; 2], what: &str) -> bool {
    let [Ok(dialer), Ok(listener)] = ends else { return false };
    if !(dialer.is_done() && listener.is_done()) {
        return false;
    }
    let ((mut a, at_dialer), (mut b, at_listener)) = (dialer.finish().unwrap(), listener.finish().unwrap());
    assert_eq!(at_dialer, at_listener, "{what}");
    assert_eq!(open(&mut b, &seal(&mut a, b"x")), b"x", "{what}");
    true
}

#[test]
fn flipped_bytes_never_lead_to_two_views() {
    let (mut dialer, mut listener) = both();
    let (flights, _) = run(&mut dialer, &mut listener, WHOLE);
    for (flight, bytes) in flights.iter().enumerate() {
        let versions = record_versions(bytes);
        // The length of a flight differs by some bytes, with the signatures.
        for at in (0..bytes.len() - 8).step_by(3) {
            let ends = tampered(|n, bytes| {
                if n == flight {
                    bytes[at] ^= 0x11;
                }
            });
            let harmless = check_views(ends, &format!("flight {flight}, byte {at}"));
            assert!(!harmless || versions.contains(&at), "flight {flight}, byte {at}");
        }
    }
}

/// Where the lower halves of the versions of the records are, which mean nothing (RFC 8446, section 5.1).
fn record_versions(bytes: &[u8]) -> Vec<usize> {
    let (mut versions, mut at) = (Vec::new(), 0);
    while let Some(head) = bytes.get(at..at + 5) {
        versions.push(at + 2);
        at += 5 + usize::from(u16::from_be_bytes([head[3], head[4]]));
    }
    assert_eq!(at, bytes.len());
    versions
}

#[test]
fn cut_repeated_and_swapped_flights_are_refused_or_waited_for() {
    for flight in 0..3 {
        let only = |change: fn(&mut Vec<u8>)| {
            tampered(move |n, bytes| {
                if n == flight {
                    change(bytes);
                }
            })
        };
        for (what, ends) in [
            ("cut", only(|bytes| bytes.truncate(bytes.len() - 1))),
            ("gone", only(Vec::clear)),
            ("a byte first", only(|bytes| bytes.insert(0, 0x16))),
            ("reversed", only(|bytes| bytes.reverse())),
        ] {
            assert!(!check_views(ends, what), "flight {flight} {what}");
        }
    }
    let (mut dialer, mut listener) = both();
    let ([one, two, three], _) = run(&mut dialer, &mut listener, WHOLE);
    for (what, mut end, bytes, error) in [
        ("its own", end(Role::Dialer), &one, Error::Unexpected),
        ("of another handshake", end(Role::Dialer), &two, Error::Authentication),
        ("too early", end(Role::Listener), &three, Error::Unexpected),
        ("the listener's", end(Role::Listener), &two, Error::Unexpected),
    ] {
        sent(&mut end);
        assert_eq!(deliver(&mut end, bytes, WHOLE), Err(error), "{what}");
        assert_eq!(end.handle_input(bytes), Err(error), "{what}: sticky");
    }
    let mut listener = end(Role::Listener);
    listener.handle_input(&one).unwrap();
    assert_eq!(deliver(&mut listener, &three, WHOLE), Err(Error::Authentication), "a replay");
}

#[test]
fn a_peer_hears_of_an_error() {
    let [dialer, listener] = tampered(|n, bytes| {
        if n == 0 {
            let at = bytes.windows(8).position(|part| part == b"\x07\x06libp2p").unwrap();
            bytes[at] ^= 1;
        }
    });
    assert_eq!(dialer.err(), Some(Error::Alert(Alert(50))));
    assert_eq!(listener.err(), Some(Error::Malformed));
    assert_eq!(Alert(50).to_string(), "decode_error (50)");
    // Of the last flight: the listener's alert comes behind the handshake, to the cipher.
    let (mut dialer, mut listener) = both();
    listener.handle_input(&sent(&mut dialer)).unwrap();
    deliver(&mut dialer, &sent(&mut listener), WHOLE).unwrap();
    let mut three = sent(&mut dialer);
    let last = three.len() - 1;
    three[last] ^= 1;
    assert_eq!(deliver(&mut listener, &three, WHOLE), Err(Error::Authentication));
    let (mut dialer, _) = dialer.finish().unwrap();
    let alert = sent(&mut listener);
    assert_eq!(try_open(&mut dialer, &alert), Err(Error::Alert(Alert(20))), "bad_record_mac");
}

#[test]
fn heads_are_judged_alone() {
    let limit = 16 * 1024 + 256;
    for (head, error) in [
        (&b"\x13"[..], Error::Record),
        (b"\x18", Error::Record),
        (b"GET / HTTP/1.1\r\n", Error::Record),
        (b"\x16\x02", Error::Record),
        (b"\x16\x04", Error::Record),
        (b"\x16\x03\x01\x41\x01", Error::TooLong { limit }),
        (b"\x16\x03\x01\xff\xff", Error::TooLong { limit }),
        (b"\x16\x03\x01\x40\x00", Error::TooLong { limit: 16 * 1024 }),
    ] {
        for role in [Role::Dialer, Role::Listener] {
            let mut end = end(role);
            assert_eq!(end.handle_input(head), Err(error), "{head:x?}");
            assert_eq!(end.handle_input(&[]), Err(error), "sticky");
        }
    }
}

#[test]
fn a_handshake_is_bounded_as_a_whole() {
    // Fragments of a message that never ends: each record is short, the message announces 16 MiB.
    let mut listener = end_with(Role::Listener, |c| c.limits = Limits { handshake_bytes: 1000 });
    let first = [&[0x16, 3, 1, 0, 95, 1, 0xff, 0xff, 0xff][..], &[0; 91]].concat();
    let next = [&[0x16, 3, 1, 0, 95][..], &[0; 95]].concat();
    let mut result = listener.handle_input(&first);
    let mut count = 1;
    while result == Ok((100, None)) {
        result = listener.handle_input(&next);
        count += 1;
    }
    assert!(count <= 11, "{count}");
    assert!(matches!(result, Err(Error::TooLong { .. } | Error::Malformed)), "{result:?}");
    let mut dialer = end_with(Role::Dialer, |c| c.limits = Limits { handshake_bytes: 600 });
    let mut listener = end(Role::Listener);
    listener.handle_input(&sent(&mut dialer)).unwrap();
    assert_eq!(deliver(&mut dialer, &sent(&mut listener), &[1]), Err(Error::TooLong { limit: 600 }));
}

#[test]
fn the_length_of_a_part_is_known() {
    let mut end = end(Role::Listener);
    assert_eq!(end.expects(), 0);
    assert_eq!(end.handle_input(&[0x16, 3, 1, 0x30, 0]), Ok((0, None)));
    assert_eq!(end.expects(), 5 + 0x3000);
}

#[test]
fn a_config_that_cannot_work_is_refused() {
    for muxers in [vec![""], vec!["/yamux/1.0.0", ""], vec![&*"x".repeat(256)]] {
        let mut config = config(Role::Dialer);
        config.muxers = common::muxers(&muxers);
        for role in [Role::Dialer, Role::Listener] {
            let refused = Handshake::new(role, Arc::new(config.clone()), Instant::ZERO);
            assert!(matches!(refused, Err(Error::OwnConfig)), "{muxers:?}");
        }
    }
}

#[test]
fn time_goes_on_from_the_configs() {
    let mut listener = end_with(Role::Listener, |c| c.unix_seconds = 100);
    let (mut dialer, hour) = (end(Role::Dialer), Instant::from_micros(3_600_000_000));
    listener.handle_input(&sent(&mut dialer)).unwrap();
    deliver(&mut dialer, &sent(&mut listener), WHOLE).unwrap();
    let refused = deliver(&mut listener, &sent(&mut dialer), WHOLE);
    assert_eq!(refused, Err(Error::Certificate(CertificateError::NotYetValid)), "it is 1970");
    // Our certificates begin in 1975, at second 157,766,400.
    for (start, valid) in [(157_766_400 - 3600, true), (157_766_400 - 3601, false)] {
        let mut config = config(Role::Dialer);
        config.unix_seconds = start;
        let mut dialer = Handshake::new(Role::Dialer, Arc::new(config), hour).unwrap();
        let mut listener = end(Role::Listener);
        listener.handle_input(&sent(&mut dialer)).unwrap();
        assert_eq!(deliver(&mut dialer, &sent(&mut listener), WHOLE).is_ok(), valid);
    }
}

#[test]
fn calls_in_the_wrong_order_are_typed_errors_and_change_nothing() {
    let (mut dialer, mut listener) = both();
    assert_eq!(listener.poll_transmit(&mut SendBuf::default()), 0);
    assert_eq!(dialer.handle_verdict(true), Err(Error::NoClaim));
    assert_eq!(listener.handle_verdict(false), Err(Error::NoClaim));
    assert!(matches!(end(Role::Dialer).finish(), Err(Error::NotDone)));
    assert!(matches!(end(Role::Listener).finish(), Err(Error::NotDone)));
    run(&mut dialer, &mut listener, WHOLE);
    assert!(dialer.is_done() && listener.is_done());
    assert_eq!(dialer.handle_verdict(false), Err(Error::NoClaim));
    assert!(dialer.finish().is_ok() && listener.finish().is_ok());
    // Nothing is given away before the verdict, or before the last flight was taken.
    let (mut dialer, mut listener) = both();
    listener.handle_input(&sent(&mut dialer)).unwrap();
    assert!(dialer.handle_input(&sent(&mut listener)).unwrap().1.is_some());
    assert!(!dialer.is_done());
    dialer.handle_verdict(true).unwrap();
    assert!(!dialer.is_done());
    assert!(matches!(dialer.finish(), Err(Error::NotDone)));
}

#[test]
fn a_flight_waits_for_room_and_goes_whole() {
    let mut dialer = end(Role::Dialer);
    let mut send = SendBuf::new(16 * 1024);
    assert!(send.append(&[0; 16 * 1024 - 100]));
    assert_eq!(dialer.poll_transmit(&mut send), 0);
    send.sent(16 * 1024);
    assert!(dialer.poll_transmit(&mut send) > 200);
    assert_eq!(dialer.poll_transmit(&mut send), 0, "once");
}

#[test]
fn the_machines_may_change_threads() {
    fn sent<T: Send + Sync>() {}
    sent::<Handshake>();
    sent::<Cipher>();
    sent::<sanswarm_tls::Config>();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn chunking_does_not_matter(cuts in prop::collection::vec(1usize..400, 1..10)) {
        let (mut dialer, mut listener) = both();
        let (_, [by_listener, by_dialer]) = run(&mut dialer, &mut listener, &cuts);
        prop_assert_eq!(by_listener.identity_key, "listener key");
        prop_assert_eq!(by_dialer.identity_key, "dialer key");
        prop_assert!(dialer.is_done() && listener.is_done());
    }

    #[test]
    fn any_flip_of_any_flight_is_seen(flight in 0usize..3, at in any::<prop::sample::Index>(), flip in 1u8..) {
        let ends = tampered(|n, bytes| if n == flight { let at = at.index(bytes.len()); bytes[at] ^= flip });
        check_views(ends, "flipped");
    }

    #[test]
    fn any_bytes_are_refused_or_waited_for(
        input in prop::collection::vec(any::<u8>(), 0..300),
        is_record in any::<bool>(),
        dials in any::<bool>(),
    ) {
        let mut end = end(if dials { Role::Dialer } else { Role::Listener });
        let head = [0x16, 3, 3, 0, input.len().min(255) as u8];
        let input = [if is_record { &head[..] } else { &[] }, &input].concat();
        if let Ok((used, claim)) = end.handle_input(&input) {
            prop_assert!(used <= input.len());
            prop_assert_eq!(claim, None);
        }
        prop_assert!(!end.is_done());
    }
}
