//! Streams that are slow to agree: their time and their number are bounded.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use common::{ByHand, End, LISTENER, now, secs};
use sanswarm_connection::{Event, Limits, Open, RefusalCause};
use sanswarm_wire::Role;
use sanswarm_yamux as yamux;

const ECHO: &str = "/echo/1.0.0";
const HEADER: &[u8] = b"\x13/multistream/1.0.0\n";
const PROPOSAL: &[u8] = b"\x0c/echo/1.0.0\n";

/// A dialer by hand with `count` streams that have sent their header and no more.
fn half_open(count: usize, limits: Limits) -> (ByHand, End, Vec<yamux::StreamId>) {
    let mut a = ByHand::new(Role::Dialer, &["/noise"], common::noise(20), &["/yamux/1.0.0"]);
    // It opens more at once than it should.
    a.limits = yamux::Limits { unacknowledged: 1000, ..yamux::Limits::default() };
    let mut b = End::listener(&[ECHO], limits);
    a.run_with(&mut b);
    let ids: Vec<_> = (0..count).map(|_| a.session.as_mut().unwrap().open().unwrap()).collect();
    for id in &ids {
        say(&mut a, *id, HEADER);
    }
    a.run_with(&mut b);
    (a, b, ids)
}

fn say(a: &mut ByHand, id: yamux::StreamId, bytes: &[u8]) {
    let n = a.session.as_mut().unwrap().write(now(), id, bytes, &mut a.send).unwrap();
    assert_eq!(n, bytes.len());
}

fn few() -> Limits {
    Limits { negotiating: 2, ..Limits::default() }
}

#[test]
fn the_129th_waits_until_another_is_done() {
    let (mut a, mut b, ids) = half_open(129, Limits::default());
    say(&mut a, ids[128], PROPOSAL);
    a.run_with(&mut b);
    assert_eq!(b.inbound().len(), 0);
    say(&mut a, ids[0], PROPOSAL);
    a.run_with(&mut b);
    assert_eq!(b.inbound().len(), 2, "the first, and in its place the last");
    assert_eq!(b.conn.stats().streams, 129);
}

#[test]
fn behind_128_that_negotiate_256_wait_unacknowledged_and_the_next_is_reset() {
    let (mut a, mut b, ids) = half_open(128 + 256, Limits::default());
    assert_eq!(b.conn.stats().streams, 384);
    assert_eq!(resets(&a), []);
    let late = a.session.as_mut().unwrap().open().unwrap();
    say(&mut a, late, HEADER);
    a.run_with(&mut b);
    assert_eq!(resets(&a), [late]);
    // One is done: one of those who wait takes its place, and there is room for a new one.
    say(&mut a, ids[0], PROPOSAL);
    a.run_with(&mut b);
    let next = a.session.as_mut().unwrap().open().unwrap();
    say(&mut a, next, HEADER);
    a.run_with(&mut b);
    assert_eq!(resets(&a), [late]);
    assert_eq!(b.error, None);
}

fn resets(a: &ByHand) -> Vec<yamux::StreamId> {
    let reset = |event: &yamux::Event| match event {
        yamux::Event::Reset { stream } => Some(*stream),
        _ => None,
    };
    a.events.iter().filter_map(reset).collect()
}

#[test]
fn a_reset_makes_room_too() {
    let (mut a, mut b, ids) = half_open(3, few());
    say(&mut a, ids[2], PROPOSAL);
    a.run_with(&mut b);
    assert_eq!(b.inbound().len(), 0);
    a.session.as_mut().unwrap().reset(ids[0]).unwrap();
    a.run_with(&mut b);
    assert_eq!(b.inbound().len(), 1);
}

#[test]
fn so_does_a_broken_negotiation() {
    let (mut a, mut b, ids) = half_open(3, few());
    say(&mut a, ids[2], PROPOSAL);
    say(&mut a, ids[0], b"\xff\xff\xff");
    a.run_with(&mut b);
    assert_eq!(b.inbound().len(), 1);
    let [reset] = a.events.iter().filter(|e| matches!(e, yamux::Event::Reset { .. })).collect::<Vec<_>>()[..] else {
        panic!("{:?}", a.events)
    };
    assert_eq!(*reset, yamux::Event::Reset { stream: ids[0] });
}

#[test]
fn so_does_payload_behind_a_refusal() {
    let (mut a, mut b, ids) = half_open(3, few());
    say(&mut a, ids[2], PROPOSAL);
    say(&mut a, ids[0], b"\x03/x\n\xff\xff\xff");
    a.session.as_mut().unwrap().finish(ids[0]).unwrap();
    a.run_with(&mut b);
    assert_eq!(b.inbound().len(), 1);
    assert!(a.data.windows(4).any(|bytes| bytes == b"\x03na\n"), "the refusal was heard");
    assert!(a.events.contains(&yamux::Event::Finished { stream: ids[0] }), "and then an end");
}

#[test]
fn and_so_does_time() {
    let (mut a, mut b, ids) = half_open(3, few());
    say(&mut a, ids[2], PROPOSAL);
    a.run_with(&mut b);
    let deadline = b.conn.poll_timeout().unwrap();
    assert_eq!((deadline.at, deadline.why), (now() + secs(10), "negotiation of a stream"));
    b.conn.handle_timeout(deadline.at);
    b.settle(deadline.at);
    assert_eq!((b.inbound().len(), b.conn.stats().streams), (1, 1));
}

#[test]
fn many_that_waited_are_admitted_at_once() {
    let limits = Limits { negotiating: 1, ..Limits::default() };
    let (mut a, mut b, ids) = half_open(250, limits);
    for id in ids.iter().rev() {
        say(&mut a, *id, PROPOSAL);
        a.run_with(&mut b);
    }
    assert_eq!(b.inbound().len(), 250);
}

#[test]
fn a_negotiation_that_takes_too_long_resets_its_stream_only() {
    let (mut a, mut b, ids) = half_open(2, Limits::default());
    say(&mut a, ids[0], PROPOSAL);
    a.run_with(&mut b);
    b.conn.handle_timeout(now() + secs(10));
    a.run_with(&mut b);
    assert!(a.events.contains(&yamux::Event::Reset { stream: ids[1] }));
    assert_eq!((b.conn.stats().streams, b.error.as_ref()), (1, None));
    say(&mut a, ids[0], b"hello");
    a.run_with(&mut b);
    assert!(a.data.ends_with(b"hello"));
}

#[test]
fn an_agreed_stream_has_no_deadline() {
    let (mut a, mut b, ids) = half_open(1, Limits::default());
    say(&mut a, ids[0], PROPOSAL);
    a.run_with(&mut b);
    assert_eq!(b.conn.poll_timeout(), None);
}

#[test]
fn a_dialers_stream_without_answer_is_refused_by_time() {
    let (mut a, mut b) = (End::dialer(Limits::default()), ByHand::listener(LISTENER));
    b.run_with(&mut a);
    let id = a.open(&[ECHO], Open::Wait);
    b.run_with(&mut a);
    a.conn.handle_timeout(now() + secs(9));
    a.settle(now() + secs(9));
    assert_eq!(a.refusal(id), None);
    a.conn.handle_timeout(now() + secs(10));
    a.settle(now() + secs(10));
    assert_eq!(a.refusal(id).unwrap().cause, RefusalCause::Timeout(secs(10)));
    assert_eq!((a.conn.stats().streams, a.error.as_ref()), (0, None));
}

#[test]
fn a_peer_that_ends_the_stream_before_agreeing_is_a_refusal() {
    let (mut a, mut b) = (End::dialer(Limits::default()), ByHand::listener(LISTENER));
    b.run_with(&mut a);
    let id = a.open(&[ECHO], Open::Wait);
    b.run_with(&mut a);
    let Some(&yamux::Event::Opened { stream }) = b.events.first() else { panic!("{:?}", b.events) };
    b.session.as_mut().unwrap().finish(stream).unwrap();
    b.run_with(&mut a);
    assert!(matches!(a.refusal(id).unwrap().cause, RefusalCause::Negotiation(_)));
    assert!(b.events.contains(&yamux::Event::Reset { stream }));
}

#[test]
fn a_wrong_answer_breaks_its_stream_only() {
    let (mut a, mut b) = (End::dialer(Limits::default()), ByHand::listener(LISTENER));
    b.run_with(&mut a);
    let id = a.open(&[ECHO], Open::Lazy);
    b.run_with(&mut a);
    let Some(&yamux::Event::Opened { stream }) = b.events.first() else { panic!("{:?}", b.events) };
    say(&mut b, stream, b"\x13/multistream/1.0.0\n\x06/else\n");
    b.run_with(&mut a);
    assert!(matches!(a.refusal(id).unwrap().cause, RefusalCause::Negotiation(_)));
    assert!(!a.saw(&Event::Reset { stream: id }) && a.error.is_none());
}
