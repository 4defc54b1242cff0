//! From the first byte to the first answer, and how many round trips that takes.

mod common;

use common::{DIALER, End, LISTENER, Pair, name, peer};
use sanswarm_connection::{Direction, Event, Limits, Muxer, Open, Security};

const ECHO: &str = "/echo/1.0.0";

fn ready(seed: u8) -> Event {
    Event::Ready { peer: peer(seed), security: Some(Security::Noise), muxer: Muxer::Yamux }
}

#[test]
fn both_ends_learn_who_the_other_is() {
    let pair = Pair::ready(&[]);
    assert_eq!(pair.a.events, [ready(LISTENER)]);
    assert_eq!(pair.b.events, [ready(DIALER)]);
    assert_eq!((pair.a.error, pair.b.error), (None, None));
}

#[test]
fn a_dialer_without_expectations_takes_anybody() {
    let mut pair = Pair::new(&[]);
    let config = common::config(DIALER, Limits::default());
    let role = sanswarm_wire::Role::Dialer;
    pair.a = End::of(sanswarm_connection::Connection::new(common::now(), role, config, None, [9; 32]));
    pair.run();
    assert_eq!(pair.a.events, [ready(LISTENER)]);
}

#[test]
fn the_chunk_size_does_not_matter_to_an_echo() {
    for chunk in [1, 13, 1000, usize::MAX] {
        for how in [Open::Wait, Open::Lazy] {
            let mut pair = Pair::new(&[ECHO]);
            pair.chunk = chunk;
            let id = pair.a.request(&[ECHO], how, b"hello");
            pair.run();
            assert_eq!(pair.a.got[&id], b"hello", "{chunk} {how:?}");
            assert!(pair.a.ended.contains(&id));
            assert_eq!((pair.a.conn.stats().streams, pair.b.conn.stats().streams), (0, 0));
        }
    }
}

#[test]
fn each_end_is_told_of_the_stream_once() {
    let mut pair = Pair::new(&[ECHO]);
    let id = pair.a.request(&[ECHO], Open::Wait, b"x");
    pair.run();
    let opened = Event::Opened { stream: id, protocol: name(ECHO), direction: Direction::Outbound };
    assert_eq!(pair.a.events.iter().filter(|e| **e == opened).count(), 1);
    let inbound = pair.b.inbound();
    assert_eq!(inbound.len(), 1);
    assert_eq!(pair.b.got[&inbound[0]], b"x");
}

#[test]
fn a_listener_can_open_streams_too() {
    let mut pair = Pair::ready(&[]);
    pair.a.conn.set_names(common::known(&[ECHO]));
    pair.a.echoes = true;
    let id = pair.b.request(&[ECHO], Open::Wait, b"from the listener");
    pair.run();
    assert_eq!(pair.b.got[&id], b"from the listener");
}

#[test]
fn a_listener_can_ask_for_streams_before_it_is_ready() {
    let mut pair = Pair::new(&[]);
    pair.a.conn.set_names(common::known(&[ECHO]));
    pair.a.echoes = true;
    let id = pair.b.request(&[ECHO], Open::Lazy, b"early");
    pair.run();
    assert_eq!(pair.b.got[&id], b"early");
}

// ---- round trips

#[test]
fn the_dialer_is_ready_after_one_round_trip_with_the_muxer_named_in_the_handshake() {
    let mut pair = Pair::new(&[]);
    assert_eq!(pair.round_trips(End::is_ready), 1);
}

#[test]
fn a_fresh_connection_answers_a_lazy_request_after_two_round_trips() {
    let mut pair = Pair::new(&[ECHO]);
    let id = pair.a.request(&[ECHO], Open::Lazy, b"ping");
    assert_eq!(pair.round_trips(|a| a.got.get(&id).is_some_and(|got| got == b"ping")), 2);
}

#[test]
fn a_lazy_request_goes_with_the_last_handshake_message() {
    let mut pair = Pair::new(&[ECHO]);
    pair.a.request(&[ECHO], Open::Lazy, b"ping");
    for flight in 0..2 {
        assert_eq!(pair.b.got.len(), 0, "not before flight {flight}");
        pair.a.settle(pair.at);
        let n = pair.b.recv.feed(pair.a.send.ready());
        pair.a.send.sent(n);
        pair.b.settle(pair.at);
        let n = pair.a.recv.feed(pair.b.send.ready());
        pair.b.send.sent(n);
    }
    assert_eq!(pair.b.got.values().next().map(|got| &got[..]), Some(&b"ping"[..]));
}

#[test]
fn a_fresh_connection_that_waits_for_agreement_takes_one_more() {
    let mut pair = Pair::new(&[ECHO]);
    let id = pair.a.request(&[ECHO], Open::Wait, b"ping");
    assert_eq!(pair.round_trips(|a| a.got.contains_key(&id)), 3);
}

#[test]
fn an_early_stream_that_waits_is_agreed_on_after_two() {
    let mut pair = Pair::new(&[ECHO]);
    let id = pair.a.open(&[ECHO], Open::Wait);
    assert_eq!(pair.round_trips(|a| a.opened(id)), 2);
}

/// Round trips of a stream on a connection that has been in use.
fn round_trips_of_a_later_stream(list: &[&'static str], how: Open) -> u32 {
    let mut pair = Pair::ready(&[ECHO]);
    let before = pair.a.conn.stats().round_trips;
    let id = pair.a.request(list, how, b"ping");
    pair.run();
    assert_eq!(pair.a.got[&id], b"ping");
    // The answer's FIN has come with the answer, so nothing has been counted behind it.
    pair.a.conn.stats().round_trips - before
}

#[test]
fn a_later_lazy_stream_takes_one_round_trip_and_one_that_waits_two() {
    assert_eq!(round_trips_of_a_later_stream(&[ECHO], Open::Lazy), 1);
    assert_eq!(round_trips_of_a_later_stream(&[ECHO], Open::Wait), 2);
}

#[test]
fn with_several_names_lazy_is_as_wait() {
    assert_eq!(round_trips_of_a_later_stream(&[ECHO, "/other"], Open::Lazy), 2);
    assert_eq!(round_trips_of_a_later_stream(&["/other", ECHO], Open::Lazy), 3);
}

#[test]
fn the_cost_of_each_stage_is_remembered() {
    let mut pair = Pair::new(&[ECHO]);
    let id = pair.a.request(&[ECHO], Open::Lazy, b"ping");
    pair.round_trips(|a| a.got.contains_key(&id));
    let stats = pair.a.conn.stats();
    assert_eq!((stats.bytes_in, stats.bytes_out), (pair.back.passed as u64, pair.forth.passed as u64));
    let (secured, ready) = (stats.secured.unwrap(), stats.ready.unwrap());
    assert_eq!((secured.round_trips, ready.round_trips, stats.round_trips), (1, 1, 2));
    assert!(secured.bytes_in <= ready.bytes_in && ready.bytes_in < stats.bytes_in);
    assert_eq!(Pair::new(&[]).a.conn.stats().ready, None);
}

// ---- a pipe that is secure already

#[test]
fn a_secured_pipe_negotiates_only_the_muxer() {
    let mut pair = Pair::secured(&[ECHO], Limits::default());
    pair.run();
    let ready = |seed| Event::Ready { peer: peer(seed), security: None, muxer: Muxer::Yamux };
    assert_eq!(pair.a.events, [ready(LISTENER)]);
    assert_eq!(pair.b.events, [ready(DIALER)]);
    assert_eq!(pair.forth.tap, b"\x13/multistream/1.0.0\n\x0d/yamux/1.0.0\n");
    assert_eq!(pair.back.tap, pair.forth.tap);
}

#[test]
fn a_secured_pipe_echoes_in_chunks() {
    for chunk in [1, 7, usize::MAX] {
        let mut pair = Pair::secured(&[ECHO], Limits::default());
        pair.chunk = chunk;
        let ids = [Open::Wait, Open::Lazy].map(|how| pair.a.request(&[ECHO], how, b"plain"));
        pair.run();
        for id in ids {
            assert_eq!(pair.a.got[&id], b"plain", "{chunk}");
        }
    }
}

#[test]
fn a_lazy_request_on_a_secured_pipe_takes_one_round_trip() {
    let mut pair = Pair::secured(&[ECHO], Limits::default());
    let id = pair.a.request(&[ECHO], Open::Lazy, b"ping");
    assert_eq!(pair.round_trips(|a| a.got.contains_key(&id)), 1);
}

#[test]
fn nothing_of_a_stream_goes_before_the_muxer_is_proposed() {
    let mut pair = Pair::secured(&[ECHO], Limits::default());
    // Polling first is what a driver does; a write right behind it must still wait.
    pair.a.poll(pair.at);
    let id = pair.a.open(&[ECHO], Open::Lazy);
    assert_eq!(pair.a.write(id, b"too early"), 0);
    pair.a.flush(pair.at);
    assert!(pair.a.send.ready().starts_with(b"\x13/multistream/1.0.0\n\x0d/yamux/1.0.0\n"));
    pair.a.poll(pair.at);
    assert!(pair.a.saw(&Event::Writable { stream: id }));
}

#[test]
fn the_same_secrets_give_the_same_bytes() {
    let run = || {
        let mut pair = Pair::new(&[ECHO]);
        pair.a.request(&[ECHO], Open::Lazy, b"ping");
        pair.run();
        (pair.forth.tap, pair.back.tap)
    };
    assert_eq!(run(), run());
}
