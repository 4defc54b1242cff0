//! Every security protocol, and lists of them.

#![cfg(all(feature = "noise", feature = "tls", feature = "plaintext", feature = "yamux"))]

mod common;

use std::sync::Arc;

use common::{DIALER, End, LISTENER, Pair, config_of, known, pattern, peer};
use proptest::prelude::*;
use sanswarm_connection::{
    CloseReason, Config, Error, Event, Goodbye, Limits, Muxer, Open, Security, Stage, transcript::Level,
};

const ECHO: &str = "/echo/1.0.0";
const ALL: [Security; 3] = [Security::Noise, Security::Tls, Security::Plaintext];

fn config(seed: u8, security: &[Security]) -> Arc<Config> {
    config_of(seed, security.to_vec(), vec![Muxer::Yamux], Limits::default())
}

/// The two ends offer these.
fn pair(dialer: &[Security], listener: &[Security]) -> Pair {
    let mut pair = Pair::of_configs(config(DIALER, dialer), config(LISTENER, listener));
    pair.b.conn.set_names(known(&[ECHO]));
    pair
}

fn agreed(pair: &Pair) -> Option<Security> {
    let ready = |end: &End| {
        end.events.iter().find_map(|event| match event {
            Event::Ready { peer, security, .. } => Some((*peer, *security)),
            _ => None,
        })
    };
    let (a, b) = (ready(&pair.a)?, ready(&pair.b)?);
    assert_eq!((a.0, b.0, a.1), (peer(LISTENER), peer(DIALER), b.1));
    a.1
}

#[test]
fn an_echo_over_each_in_any_pieces() {
    for security in ALL {
        for chunk in [1, 13, 1000, usize::MAX] {
            let mut pair = Pair { chunk, ..pair(&[security], &[security]) };
            let data = pattern(if chunk == 1 { 100 } else { 300_000 });
            let id = pair.a.request(&[ECHO], Open::Lazy, &data);
            pair.run();
            assert_eq!(agreed(&pair), Some(security), "{:?}", pair.a.error);
            assert!(pair.a.got[&id] == data, "{security} {chunk}");
            pair.a.conn.close(pair.at);
            pair.run();
            assert_eq!(pair.a.events.last(), Some(&Event::Closed { reason: CloseReason::Local }));
            let reason = CloseReason::Remote(Goodbye::GoAway);
            assert_eq!(pair.b.events.last(), Some(&Event::Closed { reason }), "{security}");
        }
    }
}

#[test]
fn the_dialers_order_decides() {
    for (dialer, listener, expected) in [
        (&ALL[..2], &ALL[..2], Security::Noise),
        (&[Security::Tls, Security::Noise], &ALL[..2], Security::Tls),
        (&[Security::Tls, Security::Noise], &[Security::Noise], Security::Noise),
        (&[Security::Noise, Security::Plaintext], &[Security::Plaintext], Security::Plaintext),
        (&[Security::Tls], &ALL, Security::Tls),
    ] {
        let mut pair = pair(dialer, listener);
        let id = pair.a.request(&[ECHO], Open::Wait, b"x");
        pair.run();
        assert_eq!(agreed(&pair), Some(expected));
        assert_eq!(pair.a.got[&id], b"x");
    }
}

#[test]
fn nothing_in_common_is_a_typed_end_on_both_sides() {
    for security in ALL {
        let others: Vec<_> = ALL.into_iter().filter(|other| *other != security).collect();
        let mut pair = pair(&[security], &others);
        pair.a.request(&[ECHO], Open::Lazy, b"never");
        pair.run();
        let offered = vec![security.name()];
        let error = Error::NothingInCommon { stage: Stage::Security, offered, remote: vec![] };
        assert_eq!(pair.a.error, Some(error));
        assert!(matches!(pair.b.error, Some(Error::Negotiation { stage: Stage::Security, .. })), "{:?}", pair.b.error);
        assert!(pair.b.got.is_empty());
    }
}

#[test]
fn plaintext_is_offered_only_where_it_is_named() {
    assert_eq!(Security::defaults(), [Security::Noise]);
}

// ---- round trips

fn round_trips(dialer: &[Security], how: Open) -> u32 {
    let mut pair = pair(dialer, &ALL);
    let id = pair.a.request(&[ECHO], how, b"ping");
    pair.round_trips(|a| a.got.get(&id).is_some_and(|got| got == b"ping"))
}

#[test]
fn one_protocol_answers_after_two_round_trips_and_several_after_three() {
    assert_eq!(round_trips(&[Security::Noise], Open::Lazy), 2);
    assert_eq!(round_trips(&[Security::Tls], Open::Lazy), 2);
    assert_eq!(round_trips(&[Security::Plaintext], Open::Lazy), 2, "its muxer is proposed lazily");
    assert_eq!(round_trips(&[Security::Noise, Security::Tls], Open::Lazy), 3);
    assert_eq!(round_trips(&[Security::Tls, Security::Noise], Open::Lazy), 3);
    assert_eq!(round_trips(&[Security::Tls], Open::Wait), 3);
}

// ---- identities

#[test]
fn a_wrong_peer_is_refused_by_each() {
    for security in ALL {
        let mut pair = pair(&[security], &[security]);
        let listener = sanswarm_connection::Connection::new(
            pair.at,
            sanswarm_wire::Role::Listener,
            config(99, &[security]),
            None,
            [5; 32],
        );
        pair.b = End::of(listener);
        pair.run();
        let error = Error::WrongPeer { expected: peer(LISTENER), got: peer(99) };
        assert_eq!(pair.a.error, Some(error), "{security}");
        assert!(!pair.b.is_ready() && pair.b.error.is_some(), "{security}: {:?}", pair.b.events);
    }
}

#[test]
fn dates_count_where_there_is_a_clock() {
    // Before and behind what our certificates say, and within.
    for (seconds, fails) in [(0, true), (1_800_000_000, false), (90_000_000_000, true)] {
        let dialer = config_of(DIALER, vec![Security::Tls], vec![Muxer::Yamux], Limits::default());
        let dialer = Arc::new(Arc::into_inner(dialer).unwrap().at(seconds));
        let mut pair = Pair::of_configs(dialer, config(LISTENER, &[Security::Tls]));
        pair.run();
        assert_eq!(pair.a.error.is_some(), fails, "{seconds}: {:?}", pair.a.error);
        if let Some(error) = &pair.a.error {
            assert_eq!((error.code(), error.stage()), ("tls", Stage::Handshake));
            // The alert tells the other end why.
            let told = pair.b.error.as_ref().map(ToString::to_string).unwrap_or_default();
            assert!(told.contains("certificate"), "{told}");
        }
    }
}

// ---- changes on the way

/// What became of a TLS conversation of which one byte was changed.
fn flipped(at: usize, mask: u8, forth: bool) -> Pair {
    let mut pair = pair(&[Security::Tls], &[Security::Tls]);
    pair.a.request(&[ECHO], Open::Lazy, b"ping");
    let line = if forth { &mut pair.forth } else { &mut pair.back };
    line.flip = Some((at, mask));
    pair.run();
    // A changed length is noticed when the record is not whole in time.
    for _ in 0..4 {
        pair.pass(common::secs(35));
        pair.run();
    }
    pair
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn a_changed_byte_never_makes_another_peer_or_another_text(at in 0usize..1700, mask in 1u8.., forth in any::<bool>()) {
        let pair = flipped(at, mask, forth);
        for (end, other) in [(&pair.a, LISTENER), (&pair.b, DIALER)] {
            for event in &end.events {
                if let Event::Ready { peer: got, .. } = event {
                    prop_assert_eq!(*got, peer(other));
                }
            }
            prop_assert!(end.got.values().all(|got| b"ping".starts_with(&got[..])));
        }
        // What nobody authenticates is the version of a plaintext record, which means nothing (RFC 8446, 5.1): then all is well.
        if pair.a.error.is_none() && pair.b.error.is_none() {
            prop_assert!(agreed(&pair).is_some());
            prop_assert_eq!(pair.a.got.values().next().map(|got| &got[..]), Some(&b"ping"[..]));
        }
    }
}

#[test]
fn an_alert_behind_the_handshake_names_what_was_wrong() {
    let mut pair = pair(&[Security::Tls], &[Security::Tls]);
    pair.run();
    let id = pair.a.open(&[ECHO], Open::Lazy);
    pair.a.write(id, b"x");
    pair.a.settle(pair.at);
    let mut record = pair.a.send.ready().to_vec();
    *record.last_mut().unwrap() ^= 1;
    pair.a.send.sent(usize::MAX);
    pair.b.recv.feed(&record);
    pair.run();
    let error = pair.b.error.clone().unwrap();
    assert_eq!((error.code(), error.stage()), ("tls", Stage::Streams));
    let told = pair.a.error.as_ref().map(ToString::to_string).unwrap_or_default();
    assert!(told.contains("bad_record_mac"), "{told}");
}

#[test]
fn an_end_of_input_without_close_notify_loses_no_stream_silently() {
    let mut pair = pair(&[Security::Tls], &[Security::Tls]);
    let id = pair.a.open(&[ECHO], Open::Wait);
    pair.run();
    pair.a.recv.set_eof();
    pair.run();
    assert!(matches!(pair.a.error, Some(Error::Eof { stage: Stage::Streams, streams: 1, .. })), "{:?}", pair.a.error);
    assert!(pair.a.conn.read(id).is_err());
}

#[test]
fn a_transcript_of_tls_tells_turns_and_records() {
    let mut pair = pair(&[Security::Tls], &[Security::Tls]);
    pair.a.conn.set_transcript(Level::Frames);
    pair.a.request(&[ECHO], Open::Lazy, b"ping");
    pair.run();
    let entries: Vec<_> = core::iter::from_fn(|| pair.a.conn.poll_transcript()).collect();
    let text: Vec<_> = entries.iter().map(|entry| format!("{} {}", entry.layer, entry.what)).collect();
    for line in
        ["security proposes /tls/1.0.0", "handshake handshake, turn 3", "connection ready: /tls/1.0.0, /yamux/1.0.0"]
    {
        assert!(text.iter().any(|got| got == line), "{line} in {text:#?}");
    }
    let sealed: usize = entries.iter().filter(|entry| entry.what.code() == "sealed").map(|entry| entry.bytes).sum();
    assert!(sealed > 100, "{text:#?}");
}

#[test]
fn a_library_can_be_named_and_one_that_is_not_built_in_is_a_typed_error() {
    for aead in sanswarm_connection::Aead::ALL {
        let config = |seed| {
            let config = config_of(seed, vec![Security::Noise], vec![Muxer::Yamux], Limits::default());
            Arc::new(Arc::into_inner(config).unwrap().with_aead(aead))
        };
        let mut pair = Pair::of_configs(config(DIALER), config(LISTENER));
        pair.run();
        assert_eq!(agreed(&pair).is_some(), aead.is_available(), "{aead:?}: {:?}", pair.a.error);
        assert_eq!(pair.a.error.is_none(), aead.is_available(), "{aead:?}");
    }
}
