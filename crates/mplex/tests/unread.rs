//! Unread bytes: their bounds, the hold, and the five seconds.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use core::time::Duration;

use common::*;
use sanswarm_mplex::{Event, Limits, Session, StreamId};
use sanswarm_wire::{Deadline, Instant, Role, SendBuf};

const KIB: usize = 1024;
const STREAM: usize = 16 * KIB;
const SESSION: usize = 64 * KIB;

fn limits() -> Limits {
    Limits { stream_unread_bytes: STREAM as u32, session_unread_bytes: SESSION, ..Limits::default() }
}

fn at(seconds: u64) -> Instant {
    Instant::ZERO + Duration::from_secs(seconds)
}

/// A listener on which the peer has opened streams 0 to `n` - 1.
fn with_streams(n: u64) -> (Session, Vec<StreamId>) {
    let mut session = Session::new(Role::Listener, limits());
    let streams = (0..n).map(|id| opened(&mut session, id)).collect();
    (session, streams)
}

/// Sends `n` bytes of stream `id`, and returns how many had no place.
fn send(session: &mut Session, now: Instant, id: u64, n: usize) -> usize {
    let mut input = frame(MESSAGE_INITIATOR, id, &vec![0; n]);
    feed(session, now, &mut input).unwrap();
    input.len()
}

/// What the session says without further input.
fn said(session: &mut Session, now: Instant) -> Option<Event> {
    session.handle_input(now, &[]).unwrap().1
}

#[test]
fn the_defaults_are_those_that_are_documented() {
    let limits = Limits::default();
    assert_eq!((limits.message_bytes, limits.stream_unread_bytes), (1 << 20, 1 << 20));
    assert_eq!((limits.session_unread_bytes, limits.stall), (8 << 20, Duration::from_secs(5)));
    assert_eq!((limits.streams, limits.unaccepted, limits.control), (1000, 256, 256));
}

#[test]
fn the_bound_of_a_stream_is_never_passed() {
    let (mut session, streams) = with_streams(2);
    assert_eq!(send(&mut session, at(1), 0, STREAM), 0, "exactly the bound");
    assert!(!session.is_held(), "nothing waits");
    assert_eq!(send(&mut session, at(1), 1, 10), 0, "others go on");
    let mut input = frame(MESSAGE_INITIATOR, 0, b"x");
    let head = input.len() - 1;
    assert_eq!(session.handle_input(at(2), &input[..head]), Ok((head, None)));
    assert!(!session.is_held(), "a head takes no place");
    input.drain(..head);
    assert_eq!(session.handle_input(at(3), &input), Ok((0, None)));
    assert!(session.is_held());
    assert_eq!(session.unread(), STREAM + 10);
    assert_eq!(session.poll_timeout(), Some(Deadline { at: at(8), why: "mplex stall" }));
    assert_eq!(session.handle_input(at(4), &input), Ok((0, None)));
    assert_eq!(session.poll_timeout().unwrap().at, at(8), "asking again gives no time");
    session.consumed(streams[1], 10);
    assert!(session.is_held(), "that is another stream");
    session.consumed(streams[0], STREAM / 16 - 1);
    assert!(session.is_held(), "less than a sixteenth");
    session.consumed(streams[0], 1);
    assert_eq!((session.is_held(), session.poll_timeout()), (false, None));
    let event = Event::Data { stream: streams[0], len: 1, last: false };
    assert_eq!(session.handle_input(at(5), &input), Ok((0, Some(event))));
    assert_eq!(session.handle_timeout(at(99)), Ok(()));
    assert_eq!((session.len(), said(&mut session, at(99))), (2, None), "nobody is reset");
}

#[test]
fn a_frame_is_told_as_far_as_it_has_a_place() {
    let (mut session, streams) = with_streams(1);
    send(&mut session, NOW, 0, STREAM - 10);
    let input = frame(MESSAGE_INITIATOR, 0, b"fifteen bytes..");
    let head = input.len() - 15;
    let data = |len| Some(Event::Data { stream: streams[0], len, last: false });
    assert_eq!(session.handle_input(NOW, &input), Ok((head, data(10))));
    let rest = &input[head + 10..];
    assert_eq!(session.handle_input(NOW, rest), Ok((0, None)));
    session.consumed(streams[0], STREAM);
    assert_eq!(session.unread(), 0);
    assert_eq!(session.handle_input(NOW, rest), Ok((0, data(5))));
}

#[test]
fn the_bound_of_the_session_is_never_passed() {
    let (mut session, streams) = with_streams(9);
    for id in 0..8 {
        assert_eq!(send(&mut session, at(id), id, SESSION / 8), 0);
    }
    assert!(!session.is_held());
    assert_eq!(send(&mut session, at(10), 8, 7), 7);
    assert_eq!((session.unread(), session.is_held()), (SESSION, true));
    assert_eq!(session.poll_timeout().unwrap().at, at(15));
    session.consumed(streams[3], SESSION / 16 - 1);
    assert!(session.is_held(), "less than a sixteenth");
    session.consumed(streams[5], 1);
    assert!(!session.is_held(), "whoever reads makes room");
}

#[test]
fn after_the_stall_the_stream_over_its_own_bound_is_reset_and_others_live() {
    let (mut session, streams) = with_streams(3);
    send(&mut session, at(0), 1, 100);
    assert_eq!(send(&mut session, at(1), 0, STREAM + 50), 50);
    let mut rest = [vec![0; 50], frame(MESSAGE_INITIATOR, 2, b"next")].concat();
    assert_eq!(session.handle_timeout(at(6)), Ok(()));
    assert_eq!((session.len(), session.unread(), session.is_held()), (2, 100, false));
    assert!(!session.is_idle(), "there is something to tell");
    assert_eq!(session.poll_timeout(), None);
    let seen: Vec<_> = feed(&mut session, at(6), &mut rest).unwrap().into_iter().map(|(event, _)| event).collect();
    let next = Event::Data { stream: streams[2], len: 4, last: false };
    assert_eq!(seen, [Event::Reset { stream: streams[0] }, next], "once, and the rest of its frame is dropped");
    assert!(rest.is_empty());
    assert_eq!(due(&mut session), [(RESET_RECEIVER, 0, 0)]);
    assert_eq!(send(&mut session, at(7), 0, 10), 0);
    assert_eq!(session.unread(), 104, "what still comes for it is dropped");
    assert_eq!(session.wire_id(streams[0]), None);
}

#[test]
fn an_early_timeout_does_nothing() {
    let (mut session, _) = with_streams(1);
    assert_eq!(send(&mut session, at(1), 0, STREAM + 1), 1);
    assert_eq!(session.handle_timeout(Instant::from_micros(5_999_999)), Ok(()));
    assert_eq!((session.len(), session.is_held()), (1, true));
    assert_eq!(session.handle_timeout(at(6)), Ok(()));
    assert_eq!((session.len(), session.is_held()), (0, false));
}

#[test]
fn the_stall_is_as_long_as_configured() {
    let limits = Limits { stall: Duration::from_millis(1500), ..limits() };
    let mut session = Session::new(Role::Listener, limits);
    opened(&mut session, 0);
    send(&mut session, at(1), 0, STREAM + 1);
    assert_eq!(session.poll_timeout().unwrap().at, Instant::from_micros(2_500_000));
}

/// Fills the session with eight streams, and holds it by a ninth.
fn full(now: Instant) -> (Session, Vec<StreamId>) {
    let (mut session, streams) = with_streams(9);
    for id in 0..8 {
        send(&mut session, now, id, SESSION / 8);
    }
    send(&mut session, now, 8, 1);
    assert!(session.is_held());
    (session, streams)
}

#[test]
fn after_the_stall_of_a_session_who_has_waited_longest_is_reset() {
    // Nobody has read: the first that got something.
    let (mut session, streams) = full(at(0));
    session.handle_timeout(at(5)).unwrap();
    assert_eq!(said(&mut session, at(5)), Some(Event::Reset { stream: streams[0] }));
    assert_eq!(said(&mut session, at(5)), None);
    assert_eq!(session.unread(), SESSION - SESSION / 8);
    // Who has read goes behind who has not.
    let (mut session, streams) = full(at(0));
    for reader in [0, 1, 3] {
        session.consumed(streams[reader], 1);
    }
    session.handle_timeout(at(5)).unwrap();
    assert_eq!(said(&mut session, at(5)), Some(Event::Reset { stream: streams[2] }));
    // Who has nothing unread is not slow, however long ago it read.
    let (mut session, streams) = full(at(0));
    session.consumed(streams[0], SESSION);
    assert!(!session.is_held());
    assert_eq!(feed(&mut session, at(1), &mut vec![0]).unwrap().len(), 1);
    assert_eq!(send(&mut session, at(1), 8, SESSION / 8 - 1), 0);
    assert_eq!(send(&mut session, at(2), 0, 1), 1);
    session.handle_timeout(at(7)).unwrap();
    assert_eq!(said(&mut session, at(7)), Some(Event::Reset { stream: streams[1] }));
}

#[test]
fn what_is_read_and_written_again_is_last_in_line() {
    let (mut session, streams) = with_streams(9);
    for id in 0..8 {
        send(&mut session, at(0), id, SESSION / 8);
    }
    // Stream 0 has read all, and then got more: it has not waited for longer than the others.
    session.consumed(streams[0], SESSION / 8);
    assert_eq!(send(&mut session, at(0), 0, SESSION / 8), 0);
    assert_eq!(send(&mut session, at(0), 8, 1), 1);
    session.handle_timeout(at(5)).unwrap();
    assert_eq!(said(&mut session, at(5)), Some(Event::Reset { stream: streams[1] }));
}

#[test]
fn reading_nothing_is_not_reading() {
    let (mut session, streams) = full(at(0));
    session.consumed(streams[0], 0);
    session.handle_timeout(at(5)).unwrap();
    assert_eq!(said(&mut session, at(5)), Some(Event::Reset { stream: streams[0] }));
}

#[test]
fn each_hold_has_its_own_time() {
    let (mut session, streams) = with_streams(2);
    assert_eq!(send(&mut session, at(0), 0, STREAM + STREAM), STREAM);
    session.consumed(streams[0], STREAM / 16);
    assert_eq!(session.poll_timeout(), None);
    let mut rest = vec![0; STREAM];
    feed(&mut session, at(4), &mut rest).unwrap();
    assert_eq!(session.poll_timeout().unwrap().at, at(9), "a reader who goes on is not slow");
    session.handle_timeout(at(5)).unwrap();
    assert_eq!(session.len(), 2);
}

#[test]
fn a_flood_over_many_streams_ends_one_stream_at_a_time() {
    let (mut session, streams) = with_streams(20);
    let (mut lost, mut seconds) = (Vec::new(), 0);
    let mut input: Vec<u8> = (0..20).flat_map(|id| frame(MESSAGE_INITIATOR, id, &[id as u8; SESSION / 10])).collect();
    while !input.is_empty() {
        for (event, _) in feed(&mut session, at(seconds), &mut input).unwrap() {
            if let Event::Reset { stream } = event {
                lost.push(stream);
            }
        }
        assert!(session.unread() <= SESSION);
        assert!(input.is_empty() || session.is_held());
        seconds += 5;
        session.handle_timeout(at(seconds)).unwrap();
    }
    assert_eq!(lost, streams[..10], "as many as had to go, in order");
    assert_eq!(due(&mut session).len(), 10);
}

#[test]
fn a_hold_ends_with_the_stream_that_it_is_for() {
    let ends: [fn(&mut Session, StreamId); 2] =
        [|session, id| session.reset(id).unwrap(), |session, id| session.stop(id).unwrap()];
    for end in ends {
        // By its own bound.
        let (mut session, streams) = with_streams(1);
        assert_eq!(send(&mut session, NOW, 0, STREAM + 5), 5);
        end(&mut session, streams[0]);
        assert_eq!((session.is_held(), session.poll_timeout(), session.unread()), (false, None, 0));
        assert_eq!(events(&mut session, &[0; 5]), Ok(vec![]), "the rest is dropped");
        // By that of the session, by a stream that has nothing unread.
        let (mut session, streams) = full(NOW);
        end(&mut session, streams[8]);
        assert_eq!((session.is_held(), session.poll_timeout(), session.unread()), (false, None, SESSION));
        assert_eq!(events(&mut session, &[0]), Ok(vec![]));
        // By that of the session, and another goes: there is room.
        let (mut session, streams) = full(NOW);
        end(&mut session, streams[4]);
        assert_eq!((session.is_held(), session.unread()), (false, SESSION - SESSION / 8));
    }
}

#[test]
fn a_held_session_still_sends() {
    let (mut session, streams) = with_streams(2);
    assert_eq!(send(&mut session, NOW, 0, STREAM + 5), 5);
    let mut out = SendBuf::default();
    assert_eq!(session.write(NOW, streams[0], b"pong", &mut out), Ok(4));
    session.finish(streams[1]).unwrap();
    session.open().unwrap();
    session.poll_transmit(NOW, &mut out);
    assert_eq!(heads(out.ready()), [(MESSAGE_RECEIVER, 0, 4), (CLOSE_RECEIVER, 1, 0), (NEW, 0, 0)]);
    assert!(session.is_held());
}

#[test]
fn more_than_was_told_cannot_be_consumed() {
    let (mut session, streams) = with_streams(2);
    send(&mut session, NOW, 0, 10);
    send(&mut session, NOW, 1, 10);
    session.consumed(streams[0], 11);
    session.consumed(streams[0], usize::MAX);
    assert_eq!(session.unread(), 10);
    session.reset(streams[1]).unwrap();
    session.consumed(streams[1], 10);
    assert_eq!(session.unread(), 0);
}

#[test]
fn a_stream_that_is_over_can_be_the_slowest_too() {
    let (mut session, streams) = with_streams(6);
    send(&mut session, NOW, 0, SESSION / 8);
    events(&mut session, &head(CLOSE_INITIATOR, 0, 0)).unwrap();
    session.finish(streams[0]).unwrap();
    due(&mut session);
    for id in 1..4 {
        assert_eq!(send(&mut session, NOW, id, STREAM), 0);
    }
    assert_eq!(send(&mut session, NOW, 4, STREAM), STREAM / 2);
    session.handle_timeout(at(5)).unwrap();
    assert_eq!(said(&mut session, at(5)), Some(Event::Reset { stream: streams[0] }));
    assert_eq!(due(&mut session), [], "the peer has forgotten it");
}
