//! Handshakes between two of ours.

#![cfg(any(feature = "aws-lc", feature = "openssl", feature = "ring", feature = "rustcrypto"))]
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::sync::Arc;

use bytes::Bytes;
use common::*;
use proptest::prelude::*;
use sanswarm_noise::{Aead, Cipher, Dh, Error, Handshake, Limits, StaticKey};
use sanswarm_wire::{RecvBuf, Role, SendBuf};

const WHOLE: &[usize] = &[usize::MAX / 2];

fn both() -> (Handshake, Handshake) {
    (end(Role::Dialer), end(Role::Listener))
}

fn seal(cipher: &mut Cipher, text: &[u8]) -> Vec<u8> {
    let mut send = SendBuf::default();
    send.set_framing(Cipher::framing());
    assert!(send.append(text));
    assert_eq!(cipher.seal(&mut send), Ok(true));
    send.ready().to_vec()
}

fn open(cipher: &mut Cipher, bytes: &[u8]) -> Vec<u8> {
    let mut recv = RecvBuf::default();
    recv.feed(bytes);
    while cipher.open(&mut recv).unwrap() {}
    recv.plain().to_vec()
}

#[test]
fn both_ends_agree_and_talk() {
    for cuts in [WHOLE, &[1], &[3, 50, 7]] {
        let (mut dialer, mut listener) = both();
        let (_, [by_listener, by_dialer]) = run(&mut dialer, &mut listener, cuts);
        let key = StaticKey::from_secret(LISTENER_STATIC);
        assert_eq!(
            (&by_listener.identity_key[..], &by_listener.signature[..]),
            (&b"listener key"[..], &b"signature"[..])
        );
        assert_eq!(by_listener.message[..], [&b"noise-libp2p-static-key:"[..], key.public()].concat());
        assert_eq!(by_listener.message, key.message());
        assert_eq!(by_dialer.identity_key, "dialer key");
        let ((mut a, at_dialer), (mut b, at_listener)) = (dialer.finish().unwrap(), listener.finish().unwrap());
        assert_eq!(&at_dialer.static_key, key.public());
        assert_eq!(&at_listener.static_key, StaticKey::from_secret(DIALER_STATIC).public());
        for text in ["one", "two", "three"] {
            assert_eq!(open(&mut b, &seal(&mut a, text.as_bytes())), text.as_bytes());
            assert_eq!(open(&mut a, &seal(&mut b, text.as_bytes())), text.as_bytes());
        }
    }
}

#[test]
fn muxers_are_offered_or_absent_on_either_side() {
    let names: Vec<Bytes> = vec!["/yamux/1.0.0".into(), "/mplex/6.7.0".into()];
    for (by_dialer, by_listener) in [(&names[..], &names[1..]), (&names[..], &[]), (&[], &names[..]), (&[], &[])] {
        let mut dialer = end_with(Role::Dialer, |c| c.muxers = by_dialer.to_vec());
        let mut listener = end_with(Role::Listener, |c| c.muxers = by_listener.to_vec());
        run(&mut dialer, &mut listener, WHOLE);
        let offered = |names: &[Bytes]| (!names.is_empty()).then(|| names.to_vec());
        assert_eq!(listener.finish().unwrap().1.muxers, offered(by_dialer));
        assert_eq!(dialer.finish().unwrap().1.muxers, offered(by_listener));
    }
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
    assert!(sent(&mut dialer).is_empty(), "no message 3");
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
fn nothing_behind_the_deciding_message_is_used() {
    let (mut dialer, mut listener) = both();
    assert_eq!(listener.handle_input(&[&sent(&mut dialer)[..], b"\x00"].concat()), Ok((34, None)));
    let two = [&sent(&mut listener)[..], b"early data"].concat();
    let (used, claim) = dialer.handle_input(&two).unwrap();
    assert!(claim.is_some());
    assert_eq!(used, two.len() - 10);
    assert_eq!(dialer.handle_input(&two[used..]), Ok((0, None)), "waits for the verdict");
    assert!(sent(&mut dialer).is_empty(), "message 3 waits, too");
    dialer.handle_verdict(true).unwrap();
    assert_eq!(dialer.handle_input(&two[used..]), Ok((0, None)), "that is the cipher's");
    let three = [&sent(&mut dialer)[..], &[0, 16], &[0; 16]].concat();
    let (used, claim) = listener.handle_input(&three).unwrap();
    assert_eq!((used, claim.is_some()), (three.len() - 18, true));
}

#[test]
fn one_call_takes_several_messages() {
    // The dialer's messages 1 and 3 as one piece, which takes a listener with the same secrets to be possible.
    let (mut dialer, mut listener) = both();
    let ([one, _, three], _) = run(&mut dialer, &mut listener, WHOLE);
    let mut listener = end(Role::Listener);
    let input = [&one[..], &three, b"rest"].concat();
    let (used, claim) = listener.handle_input(&input).unwrap();
    assert_eq!((used, claim.is_some()), (one.len() + three.len(), true));
    listener.handle_verdict(true).unwrap();
    assert!(!listener.is_done(), "message 2 has not been taken");
}

#[test]
fn a_payload_in_message_1_is_ignored() {
    let (mut dialer, mut listener) = both();
    let one = sent(&mut dialer);
    let longer = [&[0, 35], &one[2..], b"abc"].concat();
    assert_eq!(listener.handle_input(&longer), Ok((37, None)));
    assert!(!sent(&mut listener).is_empty());
}

#[test]
fn flipped_bytes_are_refused() {
    let (mut dialer, mut listener) = both();
    let ([one, two, three], _) = run(&mut dialer, &mut listener, WHOLE);
    for at in 2..two.len() {
        let (mut dialer, mut bad) = (end(Role::Dialer), two.clone());
        bad[at] ^= 1;
        sent(&mut dialer);
        let refused = dialer.handle_input(&bad);
        assert_eq!(refused, Err(Error::Authentication), "message 2, byte {at}");
        assert_eq!(dialer.handle_input(&two), refused, "sticky");
    }
    for at in 2..three.len() {
        let (mut listener, mut bad) = (end(Role::Listener), three.clone());
        bad[at] ^= 1;
        listener.handle_input(&one).unwrap();
        assert_eq!(listener.handle_input(&bad), Err(Error::Authentication), "message 3, byte {at}");
    }
    // Message 1 has no tag: the change shows at message 2.
    let (mut dialer, mut listener) = both();
    let mut bad = sent(&mut dialer);
    bad[5] ^= 1;
    listener.handle_input(&bad).unwrap();
    assert_eq!(dialer.handle_input(&sent(&mut listener)), Err(Error::Authentication));
}

#[test]
fn replays_and_reflections_are_refused() {
    let (mut dialer, mut listener) = both();
    let ([one, two, three], _) = run(&mut dialer, &mut listener, WHOLE);
    let mut other = Handshake::new(Role::Dialer, Arc::new(config(Role::Dialer)), [9; 32]).unwrap();
    sent(&mut other);
    assert_eq!(other.handle_input(&two), Err(Error::Authentication));
    let mut other = Handshake::new(Role::Listener, Arc::new(config(Role::Listener)), [9; 32]).unwrap();
    assert_eq!(other.handle_input(&[&one[..], &three].concat()), Err(Error::Authentication));
    let mut dialer = end(Role::Dialer);
    assert_eq!(dialer.handle_input(&one), Err(Error::TooShort { min: 96 }), "its own message 1");
}

#[test]
fn swapped_messages_and_those_of_other_handshakes_are_refused() {
    let (mut dialer, mut listener) = both();
    let ([one, two, three], _) = run(&mut dialer, &mut listener, WHOLE);
    // A first message is any 32 bytes, so what is wrong shows at the next one.
    for input in [[&three[..], &one], [&two, &three], [&three, &three], [&one, &two], [&one, &one]] {
        let mut listener = end(Role::Listener);
        let refused = listener.handle_input(&input.concat()).map(drop);
        assert!(matches!(refused, Err(Error::Authentication | Error::TooShort { .. })), "{refused:?}");
        assert!(!listener.is_done());
    }
    // Both ends' keys are the same again, but for one ephemeral.
    let mut other = Handshake::new(Role::Dialer, Arc::new(config(Role::Dialer)), [9; 32]).unwrap();
    let mut listener = end(Role::Listener);
    listener.handle_input(&sent(&mut other)).unwrap();
    deliver(&mut other, &sent(&mut listener), WHOLE).unwrap();
    let three_of_other = sent(&mut other);
    let mut first = end(Role::Listener);
    assert_eq!(first.handle_input(&[&one[..], &three_of_other].concat()).map(drop), Err(Error::Authentication));
    assert_eq!(listener.handle_input(&three).map(drop), Err(Error::Authentication));
}

#[test]
fn lengths_are_judged_alone() {
    for (role, len, error) in [
        (Role::Listener, 31, Error::TooShort { min: 32 }),
        (Role::Listener, 16 * 1024 + 1, Error::TooLong { limit: 16 * 1024 }),
        (Role::Dialer, 0, Error::TooShort { min: 96 }),
        (Role::Dialer, 95, Error::TooShort { min: 96 }),
        (Role::Dialer, 65_535, Error::TooLong { limit: 16 * 1024 }),
    ] {
        let (mut end, prefix) = (end(role), (len as u16).to_be_bytes());
        assert_eq!(end.handle_input(&prefix[..1]), Ok((0, None)));
        assert_eq!(end.handle_input(&prefix), Err(error));
        assert_eq!(end.handle_input(&[]), Err(error), "sticky");
        assert!(sent(&mut end).is_empty());
    }
    let (mut dialer, mut listener) = both();
    listener.handle_input(&sent(&mut dialer)).unwrap();
    assert_eq!(listener.handle_input(&[0, 63]), Err(Error::TooShort { min: 64 }), "message 3");
}

#[test]
fn the_length_of_a_part_is_known() {
    let mut end = end(Role::Dialer);
    assert_eq!(end.expects(), 0);
    assert_eq!(end.handle_input(&[0x30, 0]), Ok((0, None)));
    assert_eq!(end.expects(), 2 + 0x3000);
}

#[test]
fn an_all_zero_shared_secret_is_refused() {
    for dh in Dh::ALL.into_iter().filter(|dh| dh.is_available()) {
        let end = |role| end_with(role, |c| c.key = StaticKey::with_dh(dh, [8; 32]).unwrap());
        let mut listener = end(Role::Listener);
        assert_eq!(listener.handle_input(&[&[0, 32][..], &[0; 32]].concat()), Err(Error::WeakKey));
        assert!(sent(&mut listener).is_empty());
        let mut dialer = end(Role::Dialer);
        sent(&mut dialer);
        assert_eq!(dialer.handle_input(&[&[0, 96][..], &[0; 96]].concat()), Err(Error::WeakKey));
    }
}

#[test]
fn a_config_that_cannot_work_is_refused() {
    let try_new = |change: fn(&mut sanswarm_noise::Config)| {
        let mut config = config(Role::Dialer);
        change(&mut config);
        Handshake::new(Role::Dialer, Arc::new(config), [0; 32]).map(drop)
    };
    let limit = 16 * 1024 - 96;
    assert_eq!(try_new(|c| c.identity_key = vec![0; 16 * 1024].into()), Err(Error::OwnPayload { limit }));
    assert_eq!(try_new(|c| c.limits = Limits { handshake_bytes: 0 }), Err(Error::OwnPayload { limit: 0 }));
    assert_eq!(try_new(|c| c.limits = Limits { handshake_bytes: usize::MAX }), Ok(()));
    let missing = Aead::ALL.into_iter().find(|aead| !aead.is_available());
    if let Some(aead) = missing {
        let mut config = config(Role::Dialer);
        config.aead = Some(aead);
        assert!(matches!(Handshake::new(Role::Dialer, Arc::new(config), [0; 32]), Err(Error::NoAead)));
    }
}

#[test]
fn messages_up_to_the_limit_pass() {
    let large = |c: &mut sanswarm_noise::Config| c.identity_key = vec![7; 16 * 1024 - 96 - 14].into();
    let (mut dialer, mut listener) = (end_with(Role::Dialer, large), end_with(Role::Listener, large));
    let ([_, two, _], _) = run(&mut dialer, &mut listener, &[1000]);
    assert_eq!(two.len(), 2 + 16 * 1024);
}

#[test]
fn calls_in_the_wrong_order_are_typed_errors_and_change_nothing() {
    let (mut dialer, mut listener) = both();
    assert_eq!(listener.poll_transmit(&mut SendBuf::default()), 0);
    assert_eq!(dialer.handle_verdict(true), Err(Error::NoClaim));
    assert_eq!(listener.handle_verdict(false), Err(Error::NoClaim));
    assert!(matches!(end(Role::Dialer).finish(), Err(Error::NotDone)));
    run(&mut dialer, &mut listener, WHOLE);
    assert!(dialer.is_done() && listener.is_done());
    assert_eq!(dialer.handle_verdict(false), Err(Error::NoClaim));
    assert!(dialer.finish().is_ok() && listener.finish().is_ok());
}

#[test]
fn a_message_waits_for_room_and_goes_whole() {
    let mut dialer = end(Role::Dialer);
    let mut send = SendBuf::new(16 * 1024);
    assert!(send.append(&[0; 16 * 1024 - 33]));
    assert_eq!(dialer.poll_transmit(&mut send), 0);
    send.sent(16 * 1024);
    assert_eq!(dialer.poll_transmit(&mut send), 34);
    assert_eq!(dialer.poll_transmit(&mut send), 0, "once");
}

#[test]
fn the_machines_may_change_threads() {
    fn sent<T: Send + Sync>() {}
    sent::<Handshake>();
    sent::<Cipher>();
}

#[test]
fn a_key_is_prepared_for_the_library_that_is_named() {
    assert_eq!(StaticKey::from_secret([1; 32]).dh(), Dh::fastest());
    for dh in Dh::ALL {
        let key = StaticKey::with_dh(dh, [1; 32]);
        assert_eq!(key.is_some(), dh.is_available());
        if let Some(key) = key {
            assert_eq!((key.dh(), key.public()), (dh, StaticKey::from_secret([1; 32]).public()));
        }
    }
}

#[test]
fn secrets_are_not_printed() {
    let key = StaticKey::from_secret([0xAB; 32]);
    assert!(!format!("{key:?} {:?}", end(Role::Dialer)).contains("171, 171"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn chunking_does_not_matter(cuts in prop::collection::vec(1usize..100, 1..10)) {
        let (mut dialer, mut listener) = both();
        let expected = run(&mut dialer, &mut listener, WHOLE);
        let (mut dialer, mut listener) = both();
        prop_assert_eq!(run(&mut dialer, &mut listener, &cuts), expected);
    }

    #[test]
    fn any_bytes_are_refused_or_waited_for(input in prop::collection::vec(any::<u8>(), 0..300), dials in any::<bool>()) {
        let mut end = end(if dials { Role::Dialer } else { Role::Listener });
        if let Ok((used, claim)) = end.handle_input(&input) {
            prop_assert!(used <= input.len());
            prop_assert_eq!(claim, None);
        }
        prop_assert!(!end.is_done());
    }
}
