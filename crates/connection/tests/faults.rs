//! Peers that are wrong, broken, silent or gone.

mod common;

use common::{ByHand, DIALER, End, LISTENER, Pair, name, now, pattern, peer, secs};
use proptest::prelude::*;
use sanswarm_connection::{
    CloseReason, Connection, Error, Event, Goodbye, Hangup, KeyFault, Limits, Open, OpenError, ReadError, Stage,
    WriteError,
};
use sanswarm_multistream_select as select;
use sanswarm_noise as noise;
use sanswarm_wire::{Instant, Role};
use sanswarm_yamux as yamux;

const ECHO: &str = "/echo/1.0.0";

fn both() -> [End; 2] {
    [End::dialer(Limits::default()), End::listener(&[ECHO], Limits::default())]
}

/// What ends a dialer that meets a listener with this handshake.
fn error_with(config: noise::Config) -> Option<Error> {
    let mut a = End::dialer(Limits::default());
    let mut b = ByHand::new(Role::Listener, &["/noise"], config, &["/yamux/1.0.0"]);
    b.run_with(&mut a);
    assert!(!a.is_ready());
    a.error
}

// ---- the wrong peer

#[test]
fn another_peer_than_the_one_dialled_is_an_error_that_names_both() {
    let mut pair = Pair::new(&[]);
    let config = common::config(DIALER, Limits::default());
    pair.a = End::of(Connection::new(now(), Role::Dialer, config, Some(peer(99)), [1; 32]));
    pair.run();
    let error = pair.a.error.unwrap();
    assert_eq!(error, Error::WrongPeer { expected: peer(99), got: peer(LISTENER) });
    let text = error.to_string();
    assert!(text.contains(&peer(99).to_string()) && text.contains(&peer(LISTENER).to_string()));
    assert_eq!(
        pair.b.error,
        Some(Error::Eof { stage: Stage::Handshake, streams: 0, offered: vec![] }),
        "it never learns who dialled"
    );
}

#[test]
fn an_identity_key_that_is_none_is_refused() {
    let config = noise::Config { identity_key: (&b"\x08\x63\x12\x01x"[..]).into(), ..common::noise(LISTENER) };
    assert_eq!(error_with(config), Some(Error::IdentityKey { key_type: Some(99), fault: KeyFault::NotBuiltIn }));
    let config = noise::Config { identity_key: (&b"rubbish"[..]).into(), ..common::noise(LISTENER) };
    assert_eq!(error_with(config), Some(Error::IdentityKey { key_type: None, fault: KeyFault::Malformed }));
}

#[test]
fn a_signature_of_something_else_is_refused() {
    let config = noise::Config { signature: common::noise(20).signature, ..common::noise(LISTENER) };
    assert_eq!(error_with(config), Some(Error::IdentitySignature));
}

#[test]
fn the_key_of_another_identity_is_refused() {
    // The attacker has a valid claim of the victim's for another static key.
    let victim = common::noise(LISTENER);
    let config = noise::Config { key: noise::StaticKey::from_secret([3; 32]), ..victim };
    assert_eq!(error_with(config), Some(Error::IdentitySignature));
}

#[test]
fn a_listener_judges_the_dialer_too() {
    let config = noise::Config { signature: common::noise(LISTENER).signature, ..common::noise(20) };
    let mut a = ByHand::new(Role::Dialer, &["/noise"], config, &["/yamux/1.0.0"]);
    let mut b = End::listener(&[], Limits::default());
    a.run_with(&mut b);
    assert_eq!(b.error, Some(Error::IdentitySignature));
}

// ---- nothing in common

#[test]
fn no_common_security_names_what_we_offered() {
    let mut a = End::dialer(Limits::default());
    let mut b = ByHand::new(Role::Listener, &["/tls/1.0.0"], common::noise(LISTENER), &[]);
    b.run_with(&mut a);
    let (offered, remote) = (vec![name("/noise")], Vec::new());
    let error = Error::NothingInCommon { stage: Stage::Security, offered, remote };
    assert_eq!(error.to_string(), "security: the peer refused all of /noise");
    assert_eq!(a.error, Some(error));
}

#[test]
fn no_common_muxer_in_the_handshake_names_both_lists() {
    let config = noise::Config { muxers: vec![(&b"/other/1.0.0"[..]).into()], ..common::noise(LISTENER) };
    let error = Error::NothingInCommon {
        stage: Stage::Muxer,
        offered: vec![name("/yamux/1.0.0")],
        remote: vec!["/other/1.0.0".into()],
    };
    assert_eq!(error_with(config), Some(error));
}

#[test]
fn no_common_muxer_by_negotiation_is_the_same_fault() {
    let mut a = End::dialer(Limits::default());
    let mut b = ByHand::new(Role::Listener, &["/noise"], common::noise(LISTENER), &["/mplex/6.7.0"]);
    let id = a.request(&[ECHO], Open::Lazy, b"x");
    b.run_with(&mut a);
    let (offered, remote) = (vec![name("/yamux/1.0.0")], Vec::new());
    assert_eq!(a.error, Some(Error::NothingInCommon { stage: Stage::Muxer, offered, remote }));
    assert_eq!(a.conn.read(id), Err(ReadError::Closed));
}

// ---- strangers

#[test]
fn http_is_an_error_at_either_end() {
    let [mut a, mut b] = both();
    a.recv.feed(
        b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n400 Bad",
    );
    b.recv.feed(b"GET / HTTP/1.1\r\nHost: 192.0.2.1:4001\r\nUser-Agent: curl/8.5.0\r\nAccept: */*\r\n\r\n");
    for end in [&mut a, &mut b] {
        end.settle(now());
        let Some(Error::Negotiation { stage: Stage::Security, cause, offered }) = &end.error else {
            panic!("{:?}", end.error)
        };
        assert!(matches!(cause, select::Error::Line(_) | select::Error::NoHeader { .. }), "{cause:?}");
        assert_eq!(offered, &[name("/noise")]);
    }
}

#[test]
fn a_second_header_is_an_error() {
    let mut a = End::dialer(Limits::default());
    a.recv.feed(b"\x13/multistream/1.0.0\n\x13/multistream/1.0.0\n");
    a.settle(now());
    assert!(matches!(a.error, Some(Error::Negotiation { cause: select::Error::SecondHeader, .. })));
}

#[test]
fn endless_proposals_are_an_error() {
    let mut b = End::listener(&[], Limits::default());
    b.recv.feed(b"\x13/multistream/1.0.0\n");
    for _ in 0..10_000 {
        b.recv.feed(b"\x05/abc\n");
        b.settle(now());
        let n = b.send.ready().len();
        b.send.sent(n);
    }
    assert!(matches!(b.error, Some(Error::Negotiation { cause: select::Error::TooManyProposals { .. }, .. })));
}

proptest! {
    #[test]
    fn random_bytes_end_in_a_typed_error_or_wait(
        bytes in prop::collection::vec(any::<u8>(), 0..2000),
        // How much of a right beginning comes before them.
        start in 0usize..28,
        chunk in 1usize..300,
    ) {
        for mut end in both() {
            let bytes = [&b"\x13/multistream/1.0.0\n\x07/noise\n"[..start], &bytes].concat();
            for piece in bytes.chunks(chunk) {
                end.recv.feed(piece);
                end.settle(now());
            }
            end.recv.set_eof();
            end.settle(now());
            prop_assert!(end.error.is_some());
            prop_assert!(end.events.is_empty());
            let n = end.send.ready().len();
            end.send.sent(n);
            prop_assert_eq!(end.hangup(), Hangup::Both);
        }
    }

    #[test]
    fn random_bytes_on_a_secured_pipe_end_in_a_typed_error_or_wait(
        frames in prop::collection::vec((0u8..4, 0u8..16, 0u8..6, 0u32..38), 0..60),
        bytes in prop::collection::vec(any::<u8>(), 0..60),
    ) {
        let mut pair = Pair::secured(&[ECHO], Limits::default());
        pair.run();
        for (kind, flags, stream, length) in frames {
            pair.b.recv.feed(&[0, kind, 0, flags, 0, 0, 0, stream]);
            pair.b.recv.feed(&length.to_be_bytes());
            if kind == 0 {
                pair.b.recv.feed(&b"\x13/multistream/1.0.0\n\x0c/echo/1.0.0\nhello"[..length as usize]);
            }
            pair.b.settle(now());
        }
        pair.b.recv.feed(&bytes);
        pair.b.recv.set_eof();
        pair.b.settle(now());
        let closed = pair.b.events.iter().any(|e| matches!(e, Event::Closed { reason: CloseReason::Remote(_) }));
        prop_assert!(closed != pair.b.error.is_some());
    }
}

// ---- cut and changed

/// A whole conversation with an echo in it.
fn conversation(change: impl FnOnce(&mut Pair)) -> Pair {
    let mut pair = Pair::new(&[ECHO]);
    pair.a.request(&[ECHO], Open::Lazy, b"ping");
    change(&mut pair);
    pair.run();
    pair
}

#[test]
fn an_end_at_any_byte_is_eof_at_the_stage_that_was_reached() {
    let whole = conversation(|_| {});
    for cut in 0..=whole.forth.passed {
        let pair = conversation(|p| p.forth.cut = Some(cut));
        check_cut(&pair.b, cut);
    }
    for cut in 0..=whole.back.passed {
        let pair = conversation(|p| p.back.cut = Some(cut));
        check_cut(&pair.a, cut);
        assert_eq!(cut == whole.back.passed, pair.a.error.is_none(), "only at the very end nothing is missing");
    }
}

fn check_cut(end: &End, cut: usize) {
    match &end.error {
        Some(Error::Eof { stage, streams, .. }) => {
            assert_eq!(*stage == Stage::Streams, end.is_ready(), "{cut}");
            assert!(*streams <= 1, "{cut}");
            assert!(cut > 0 || *stage == Stage::Security);
        }
        Some(other) => panic!("{other} at {cut}"),
        None => {
            assert!(end.saw(&Event::Closed { reason: CloseReason::Remote(Goodbye::Eof) }), "{cut}");
            assert!(end.is_ready());
        }
    }
    assert_eq!(end.hangup(), Hangup::Both, "{cut}");
}

#[test]
fn a_change_of_any_byte_is_noticed() {
    let whole = conversation(|_| {});
    assert_eq!(whole.a.got.values().next().unwrap(), b"ping");
    for (forth, len) in [(true, whole.forth.passed), (false, whole.back.passed)] {
        for at in 0..len {
            for mask in [1, 0x80] {
                let mut pair = conversation(|p| if forth { &mut p.forth } else { &mut p.back }.flip = Some((at, mask)));
                check_changed(&pair);
                let stands_still = pair.a.error.is_none() && pair.b.error.is_none();
                pair.pass(secs(60));
                pair.run();
                if stands_still && !(pair.a.is_ready() && pair.b.is_ready()) {
                    let timeout = |e: &End| matches!(e.error, Some(Error::Timeout { .. }));
                    assert!(timeout(&pair.a) || timeout(&pair.b), "{forth} {at}");
                }
            }
        }
    }
}

fn check_changed(pair: &Pair) {
    for (end, other) in [(&pair.a, LISTENER), (&pair.b, DIALER)] {
        for event in &end.events {
            assert!(!matches!(event, Event::Ready { peer: got, .. } if *got != peer(other)));
        }
        assert!(end.got.values().all(|got| b"ping".starts_with(got)));
    }
    let echoed = pair.a.got.values().any(|got| got == b"ping") && !pair.a.ended.is_empty();
    assert!(pair.a.error.is_some() || pair.b.error.is_some() || !echoed || pair.b.conn.stats().streams > 0);
}

// ---- silence

#[test]
fn a_silent_peer_is_a_timeout_at_the_deadline() {
    for mut end in both() {
        end.settle(now());
        let deadline = end.conn.poll_timeout().unwrap();
        assert_eq!((deadline.at, deadline.why), (now() + secs(15), "upgrade"));
        end.conn.handle_timeout(Instant::from_micros(deadline.at.as_micros() - 1));
        end.settle(now());
        assert_eq!(end.error, None);
        end.conn.handle_timeout(deadline.at);
        end.settle(deadline.at);
        assert_eq!(
            end.error,
            Some(Error::Timeout { stage: Stage::Security, after: secs(15), offered: vec![name("/noise")] })
        );
        assert_eq!(end.error.unwrap().to_string(), "security: not done within 15s; we offered /noise");
    }
}

#[test]
fn a_peer_that_stops_in_the_handshake_is_a_timeout_there() {
    let mut pair = Pair::new(&[]);
    pair.back.cut = Some(100);
    pair.a.recv.feed(b"\x13/multistream/1.0.0\n\x07/noise\n\x01");
    pair.a.settle(now());
    pair.a.conn.handle_timeout(now() + secs(15));
    pair.a.settle(now() + secs(15));
    assert_eq!(pair.a.error, Some(Error::Timeout { stage: Stage::Handshake, after: secs(15), offered: vec![] }));
}

#[test]
fn a_ready_connection_has_no_deadline() {
    let pair = Pair::ready(&[]);
    assert_eq!((pair.a.conn.poll_timeout(), pair.b.conn.poll_timeout()), (None, None));
}

// ---- the goodbye

/// A ready dialer whose peer then misuses the muxer.
fn misused() -> (End, ByHand) {
    let (mut a, mut b) = (End::dialer(Limits::default()), ByHand::listener(LISTENER));
    b.run_with(&mut a);
    b.send_raw(&[9; 12]);
    let n = a.recv.feed(b.send.ready());
    b.send.sent(n);
    a.settle(now());
    assert_eq!(a.error, Some(Error::Yamux(yamux::Error::Version(9))));
    (a, b)
}

#[test]
fn after_a_fatal_error_the_peer_hears_why_and_then_the_end() {
    let (mut a, mut b) = misused();
    assert_eq!(a.hangup(), Hangup::No, "the goodbye is not sent yet");
    b.recv.feed(a.send.ready());
    a.send.sent(usize::MAX / 2);
    b.settle();
    assert_eq!(b.events, [yamux::Event::GoAway { code: yamux::GoAway::ProtocolError }]);
    assert_eq!(a.hangup(), Hangup::Write);
    a.recv.set_eof();
    a.settle(now());
    assert_eq!(a.hangup(), Hangup::Both);
}

#[test]
fn a_peer_that_does_not_read_holds_a_goodbye_for_its_timeout_only() {
    let (mut a, _) = misused();
    let deadline = a.conn.poll_timeout().unwrap();
    assert_eq!((deadline.at, deadline.why), (now() + secs(1), "goodbye"));
    assert_eq!(a.hangup(), Hangup::No);
    a.conn.handle_timeout(deadline.at);
    assert_eq!(a.hangup(), Hangup::Both);
    assert_eq!(a.conn.poll_timeout(), None);
}

#[test]
fn a_peer_that_does_not_close_holds_it_no_longer() {
    let (mut a, _) = misused();
    a.send.sent(usize::MAX / 2);
    assert_eq!(a.hangup(), Hangup::Write);
    a.conn.handle_timeout(now() + secs(1));
    assert_eq!(a.hangup(), Hangup::Both);
}

#[test]
fn after_the_end_every_call_is_a_typed_error() {
    let (mut a, mut b) = (End::dialer(Limits::default()), ByHand::listener(LISTENER));
    let id = a.open(&[ECHO], Open::Wait);
    b.run_with(&mut a);
    b.send_raw(&[9; 12]);
    a.recv.feed(b.send.ready());
    a.settle(now());
    assert!(a.error.is_some());
    assert_eq!(a.conn.open(now(), common::names(&[ECHO]), Open::Wait), Err(OpenError::Closed));
    assert_eq!(a.conn.read(id), Err(ReadError::Closed));
    assert_eq!(a.conn.write(now(), id, b"x", &mut a.send), Err(WriteError::Closed));
    for result in [a.conn.finish(id), a.conn.stop(id), a.conn.reset(id)] {
        assert_eq!(result, Err(WriteError::Closed));
    }
    let before = a.error.clone();
    a.conn.close(now());
    a.settle(now());
    assert_eq!(a.error, before, "sticky");
}

#[test]
fn what_still_comes_after_the_end_takes_no_memory() {
    let (mut a, _) = misused();
    for _ in 0..100 {
        assert_eq!(a.recv.feed(&[7; 10_000]), 10_000, "there is always room");
        a.settle(now());
    }
    assert!(a.recv.is_empty());
}

// ---- frames that are not ended

#[test]
fn a_frame_that_is_begun_and_not_ended_ends_the_connection_in_time() {
    let mut pair = Pair::ready(&[ECHO]);
    pair.b.recv.feed(&[0xff, 0xff, 1, 2, 3]);
    pair.b.settle(pair.at);
    let after = Limits::default().frame_timeout;
    assert_eq!(pair.b.conn.poll_timeout().map(|deadline| deadline.at), Some(pair.at + after));
    // More of it does not give it more time.
    pair.pass(after - secs(1));
    pair.b.recv.feed(&[4; 100]);
    pair.b.settle(pair.at);
    assert_eq!(pair.b.error, None);
    pair.pass(secs(1));
    pair.b.settle(pair.at);
    assert_eq!(pair.b.error, Some(Error::Timeout { stage: Stage::Streams, after, offered: vec![] }));
}

#[test]
fn whole_frames_each_have_their_own_time() {
    let mut pair = Pair::ready(&[ECHO]);
    let id = pair.a.open(&[ECHO], Open::Lazy);
    pair.run();
    pair.chunk = 10;
    let step = Limits::default().frame_timeout / 4;
    for n in 0..12u8 {
        pair.a.write(id, &[n; 20]);
        pair.a.settle(pair.at);
        for _ in 0..3 {
            pair.round();
            pair.pass(step / 3);
        }
    }
    pair.run();
    assert_eq!((&pair.a.error, &pair.b.error), (&None, &None));
    assert_eq!(pair.b.got.values().map(Vec::len).sum::<usize>(), 12 * 20);
}

#[test]
fn without_memory_to_read_into_a_connection_waits_and_goes_on() {
    let budget = sanswarm_wire::Budget::new(1000);
    let mut pair = Pair::ready(&[ECHO]);
    pair.b.recv = sanswarm_wire::RecvBuf::with_budget(budget);
    let data = pattern(60_000);
    let id = pair.a.open(&[ECHO], Open::Lazy);
    pair.a.send_all(id, &data);
    pair.run();
    assert!(pair.b.recv.is_starved());
    let deadline = pair.b.conn.poll_timeout().unwrap();
    assert_eq!(deadline.why, "memory to read into");
    pair.pass(secs(1));
    pair.run();
    assert_eq!(pair.b.error, None, "it goes on waiting");
    pair.pass(Limits::default().frame_timeout);
    pair.run();
    assert!(matches!(pair.b.error, Some(Error::Timeout { stage: Stage::Streams, .. })), "{:?}", pair.b.error);
}
