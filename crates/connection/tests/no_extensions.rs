//! Against a peer that names no muxers in its handshake: multistream-select for the muxer.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use std::sync::Arc;

use common::{ByHand, DIALER, End, LISTENER, name, noise, now, pattern, peer};
use sanswarm_connection::{Connection, Error, Event, Limits, Muxer, Open, Security, Stage};
use sanswarm_wire::Role;
use sanswarm_yamux as yamux;

/// Whole flights, the dialer's first, until the peer has answered `ping` and the answer is here.
fn round_trips(how: Open) -> (u32, u32) {
    let (mut a, mut b) = (End::dialer(Limits::default()), ByHand::listener(LISTENER));
    let id = a.request(&["/echo/1.0.0"], how, b"ping");
    let agreement = b"\x13/multistream/1.0.0\n\x0c/echo/1.0.0\n";
    let mut answered = 0;
    for n in 0..10 {
        a.settle(now());
        if a.got.get(&id).is_some_and(|got| got == b"ping") {
            return (n, a.conn.stats().round_trips);
        }
        let sent = b.recv.feed(a.send.ready());
        a.send.sent(sent);
        b.settle();
        // The peer answers what it has: first the agreement, then the payload.
        let whole = [&agreement[..], b"ping"].concat();
        assert!(whole.starts_with(&b.data), "{:?}", b.data.escape_ascii().to_string());
        let ready = if b.data.len() >= agreement.len() { b.data.len() } else { 0 };
        if let Some(&yamux::Event::Opened { stream }) = b.events.first()
            && ready > answered
        {
            let session = b.session.as_mut().unwrap();
            assert_eq!(session.write(now(), stream, &whole[answered..ready], &mut b.send), Ok(ready - answered));
            answered = ready;
        }
        b.settle();
        let sent = a.recv.feed(b.send.ready());
        b.send.sent(sent);
    }
    panic!("no answer");
}

#[test]
fn a_lazy_request_takes_two_round_trips_here_too() {
    assert_eq!(round_trips(Open::Lazy), (2, 2));
}

#[test]
fn a_request_that_waits_takes_three() {
    assert_eq!(round_trips(Open::Wait), (3, 3));
}

#[test]
fn the_dialer_becomes_ready() {
    let (mut a, mut b) = (End::dialer(Limits::default()), ByHand::listener(LISTENER));
    b.run_with(&mut a);
    let ready = Event::Ready { peer: peer(LISTENER), security: Some(Security::Noise), muxer: Muxer::Yamux };
    assert_eq!((a.events, a.error), (vec![ready], None));
    assert_eq!(b.remote_muxers, Some(1), "we name ours");
    assert!(b.session.is_some());
}

#[test]
fn the_listener_becomes_ready_and_answers() {
    let mut a = ByHand::new(Role::Dialer, &["/noise"], noise(20), &["/yamux/1.0.0"]);
    let mut b = End::listener(&["/echo/1.0.0"], Limits::default());
    a.run_with(&mut b);
    assert!(b.is_ready() && a.session.is_some());
    let session = a.session.as_mut().unwrap();
    let id = session.open().unwrap();
    let proposal = b"\x13/multistream/1.0.0\n\x0c/echo/1.0.0\nhello";
    assert_eq!(session.write(now(), id, proposal, &mut a.send), Ok(proposal.len()));
    a.run_with(&mut b);
    assert_eq!(a.data, proposal, "agreement and echo look the same");
}

#[test]
fn several_names_of_the_peer_are_tried_in_turn() {
    let mut a = ByHand::new(Role::Dialer, &["/tls/1.0.0", "/noise"], noise(20), &["/mplex/6.7.0", "/yamux/1.0.0"]);
    let mut b = End::listener(&[], Limits::default());
    a.run_with(&mut b);
    assert!(b.is_ready() && a.session.is_some());
}

#[test]
fn large_payload_crosses() {
    let (mut a, mut b) = (End::dialer(Limits::default()), ByHand::listener(LISTENER));
    a.request(&["/sink"], Open::Lazy, &pattern(200_000));
    b.run_with(&mut a);
    assert!(b.data.ends_with(&pattern(200_000)));
}

#[test]
fn a_dialer_that_asks_tells_what_the_peer_speaks_instead() {
    for (asks, remote) in [(false, &[][..]), (true, &["/mplex/6.7.0", "/other/1"])] {
        let config = common::config_of(DIALER, Security::defaults(), vec![Muxer::Yamux], Limits::default());
        let config = Arc::into_inner(config).unwrap();
        let config = if asks { config.asking() } else { config };
        let a = Connection::new(now(), Role::Dialer, Arc::new(config), None, [9; 32]);
        let mut a = End::of(a);
        let mut b = ByHand::new(Role::Listener, &["/noise"], noise(LISTENER), &["/other/1", "/mplex/6.7.0"]);
        b.run_with(&mut a);
        let remote = remote.iter().map(|name| (*name).to_owned()).collect();
        let offered = vec![name("/yamux/1.0.0")];
        assert_eq!(a.error, Some(Error::NothingInCommon { stage: Stage::Muxer, offered, remote }));
    }
}
