//! Ends in good order, and the end of the input.

mod common;

use common::{ByHand, End, LISTENER, Pair, names, now, secs};
use sanswarm_connection::{CloseReason, Error, Event, Goodbye, Hangup, Limits, Open, OpenError, ReadError, Stage};
use sanswarm_yamux as yamux;

const ECHO: &str = "/echo/1.0.0";

fn closed(reason: CloseReason) -> Event {
    Event::Closed { reason }
}

#[test]
fn a_close_is_told_to_both() {
    for by_dialer in [true, false] {
        let mut pair = Pair::ready(&[]);
        if by_dialer { &mut pair.a } else { &mut pair.b }.conn.close(now());
        pair.run();
        let (end, other) = if by_dialer { (&pair.a, &pair.b) } else { (&pair.b, &pair.a) };
        assert_eq!(end.events[1..], [closed(CloseReason::Local)]);
        assert_eq!(other.events[1..], [closed(CloseReason::Remote(Goodbye::GoAway))]);
        assert_eq!((end.hangup(), other.hangup()), (Hangup::Both, Hangup::Both));
    }
}

#[test]
fn what_was_written_before_a_close_is_delivered() {
    let mut pair = Pair::ready(&[ECHO]);
    let id = pair.a.open(&[ECHO], Open::Wait);
    pair.run();
    pair.a.write(id, b"last");
    pair.a.conn.finish(id).unwrap();
    pair.a.conn.close(now());
    pair.run();
    let inbound = pair.b.inbound()[0];
    assert_eq!(pair.b.got[&inbound], b"last");
    assert!(pair.b.ended.contains(&inbound));
    assert_eq!(pair.a.events.last(), Some(&closed(CloseReason::Local)));
}

#[test]
fn a_close_while_the_muxer_is_not_there_ends_at_once() {
    let mut pair = Pair::new(&[]);
    pair.a.settle(now());
    pair.a.conn.close(now());
    assert_eq!(pair.a.hangup(), Hangup::No, "what is in the buffer goes out");
    pair.run();
    assert_eq!(pair.a.events, [closed(CloseReason::Local)]);
    assert!(matches!(pair.b.error, Some(Error::Eof { stage: Stage::Handshake, .. })), "{:?}", pair.b.error);
}

#[test]
fn closing_twice_changes_nothing() {
    let mut pair = Pair::ready(&[]);
    pair.a.conn.close(now());
    pair.a.conn.close(now() + secs(100));
    assert_eq!(pair.a.conn.poll_timeout().unwrap().at, now() + secs(1));
    pair.run();
    assert_eq!(pair.a.events[1..], [closed(CloseReason::Local)]);
}

#[test]
fn a_close_waits_for_the_peer_no_longer_than_its_timeout() {
    let mut pair = Pair::ready(&[]);
    pair.a.conn.close(now());
    pair.a.settle(now());
    assert_eq!(pair.a.hangup(), Hangup::No);
    pair.a.conn.handle_timeout(now() + secs(1));
    assert_eq!(pair.a.hangup(), Hangup::Both);
}

#[test]
fn an_end_of_input_with_streams_open_is_an_error_that_counts_them() {
    let mut pair = Pair::ready(&[ECHO]);
    let ids = [0; 3].map(|_| pair.a.open(&[ECHO], Open::Wait));
    pair.run();
    pair.a.recv.set_eof();
    pair.a.settle(now());
    assert_eq!(pair.a.error, Some(Error::Eof { stage: Stage::Streams, streams: 3, offered: vec![] }));
    assert_eq!(pair.a.error.as_ref().unwrap().to_string(), "the peer's bytes ended with 3 streams open");
    assert_eq!(pair.a.conn.read(ids[0]), Err(ReadError::Closed), "never a clean end");
}

#[test]
fn an_end_of_input_without_streams_is_a_close() {
    let mut pair = Pair::ready(&[]);
    pair.a.recv.set_eof();
    pair.a.settle(now());
    assert_eq!(pair.a.events[1..], [closed(CloseReason::Remote(Goodbye::Eof))]);
}

#[test]
fn an_end_of_input_inside_a_frame_is_an_error() {
    let mut pair = Pair::ready(&[]);
    pair.a.recv.feed(&[0]);
    pair.a.recv.set_eof();
    pair.a.settle(now());
    assert_eq!(pair.a.error, Some(Error::Eof { stage: Stage::Streams, streams: 0, offered: vec![] }));
}

#[test]
fn what_has_arrived_can_be_read_after_the_end() {
    let mut pair = Pair::ready(&[ECHO]);
    pair.a.reads = false;
    let id = pair.a.request(&[ECHO], Open::Wait, b"echo");
    pair.run();
    pair.a.recv.set_eof();
    pair.a.settle(now());
    assert_eq!(pair.a.events.last(), Some(&closed(CloseReason::Remote(Goodbye::Eof))), "nothing was lost");
    assert_eq!(pair.a.read(id).unwrap(), b"echo"[..]);
    assert_eq!(pair.a.conn.read(id), Err(ReadError::Finished));
}

#[test]
fn unread_payload_of_a_broken_connection_can_be_read() {
    let mut pair = Pair::ready(&[ECHO]);
    pair.a.reads = false;
    let id = pair.a.open(&[ECHO], Open::Wait);
    pair.run();
    pair.a.write(id, b"part");
    pair.run();
    pair.a.recv.set_eof();
    pair.a.settle(now());
    assert!(pair.a.error.is_some());
    assert_eq!(pair.a.read_all(id), b"part");
    assert_eq!(pair.a.conn.read(id), Err(ReadError::Closed), "but not its end");
}

#[test]
fn when_the_peer_goes_away_open_streams_go_on_and_then_it_ends() {
    let (mut a, mut b) = (End::dialer(Limits::default()), ByHand::listener(LISTENER));
    let id = a.open(&[ECHO], Open::Lazy);
    b.run_with(&mut a);
    let Some(&yamux::Event::Opened { stream }) = b.events.first() else { panic!("{:?}", b.events) };
    let session = b.session.as_mut().unwrap();
    session.accept(stream);
    session.go_away(yamux::GoAway::Normal);
    b.run_with(&mut a);
    assert_eq!(a.conn.open(now(), names(&[ECHO]), Open::Wait), Err(OpenError::GoingAway));
    assert_eq!(a.hangup(), Hangup::No);
    let answer = b"\x13/multistream/1.0.0\n\x0c/echo/1.0.0\nbye";
    b.session.as_mut().unwrap().write(now(), stream, answer, &mut b.send).unwrap();
    b.session.as_mut().unwrap().finish(stream).unwrap();
    b.run_with(&mut a);
    assert_eq!(a.got[&id], b"bye");
    assert_eq!(a.events.last(), Some(&Event::Finished { stream: id }));
    a.conn.finish(id).unwrap();
    b.run_with(&mut a);
    assert_eq!(a.events.last(), Some(&closed(CloseReason::Remote(Goodbye::GoAway))));
    assert!(b.events.contains(&yamux::Event::Finished { stream }), "our end was sent first");
    assert_eq!(a.hangup(), Hangup::Write);
}

#[test]
fn a_flood_of_pings_is_answered_as_fast_as_it_is_read() {
    let mut pair = Pair::secured(&[], Limits::default());
    pair.run();
    let flood = [0, 2, 0, 1, 0, 0, 0, 0, 0, 0, 0, 7].repeat(1000);
    pair.b.recv.feed(&flood);
    pair.b.recv.set_eof();
    pair.b.settle(now());
    let answered = pair.b.send.total() - pair.back.passed as u64;
    assert_eq!(answered, 12 * 1000 + 12, "also those that were held when the input ended, and GoAway");
    assert_eq!(pair.b.events[1..], [closed(CloseReason::Remote(Goodbye::Eof))]);
}

/// Found by fuzzing: the goodbye saw room, and told a writer of it who had been told of the end.
#[test]
fn nothing_is_told_after_the_end() {
    let mut pair = Pair::ready(&[ECHO]);
    let id = pair.a.open(&[ECHO], Open::Wait);
    pair.run();
    let payload = vec![0; 1 << 20];
    assert!(pair.a.write(id, &payload) < payload.len(), "the buffer is full, and `Writable` is owed");
    pair.a.conn.close(now());
    pair.a.poll(now());
    assert_eq!(pair.a.events.last(), Some(&closed(CloseReason::Local)));
    pair.a.send.sent(usize::MAX);
    pair.a.conn.poll_transmit(now(), &mut pair.a.send);
    assert_eq!(pair.a.conn.poll_event(now(), &mut pair.a.recv), Ok(None));
}
