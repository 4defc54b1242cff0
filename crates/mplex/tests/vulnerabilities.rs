//! Old bugs of muxers, one test each.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use common::*;
use sanswarm_mplex::{Error, Event, Limits, Session};
use sanswarm_wire::{Role, SendBuf};

const MIB: usize = 1024 * 1024;

/// CVE-2026-32314 (rust-yamux): a frame that opened a stream and was refused left half of the stream behind.
#[test]
fn a_frame_that_is_refused_leaves_no_stream() {
    let mut session = listener();
    let error = Error::MessageTooLong { limit: MIB as u32 };
    assert_eq!(session.handle_input(NOW, &head(NEW, 1, MIB + 1)), Err(error));
    assert!(session.is_empty());
}

/// GHSA-3999-5ffv-wp2r (rust-yamux): replies queued without a bound for a peer that does not read them.
#[test]
fn replies_that_cannot_be_sent_stop_the_input() {
    let limits = Limits { unaccepted: 1, control: 20, ..Limits::default() };
    let mut session = Session::new(Role::Listener, limits);
    opened(&mut session, 0);
    let mut input: Vec<u8> = (1..100).flat_map(|id| head(NEW, id, 0)).collect();
    let before = input.len();
    let flood = |n: u64| (1..=n).map(|id| head(NEW, id, 0).len()).sum::<usize>();
    assert_eq!(feed(&mut session, NOW, &mut input), Ok(vec![]));
    assert_eq!(before - input.len(), flood(20), "the limit's worth of frames was used");
    assert!(session.is_held());
    assert_eq!(session.poll_timeout(), None, "that is the peer's own affair");
    assert_eq!(session.handle_input(NOW, &input), Ok((0, None)));
    assert_eq!(due(&mut session), (1..=20).map(|id| (RESET_RECEIVER, id, 0)).collect::<Vec<_>>());
    assert!(!session.is_held());
    assert_eq!(feed(&mut session, NOW, &mut input), Ok(vec![]));
    assert_eq!(before - input.len(), flood(40), "it goes on where it stopped");
}

/// The same, where the room for replies is short: what does not fit stays due, in order.
#[test]
fn resets_wait_for_room() {
    let mut session = listener();
    let streams = [1, 3, 5].map(|id| opened(&mut session, id));
    for stream in streams {
        session.reset(stream).unwrap();
    }
    let mut send = SendBuf::new(16 * 1024);
    assert!(send.append(&vec![0; send.control_room() - 5]));
    send.sent(0);
    assert_eq!(session.poll_transmit(NOW, &mut send), 4);
    assert_eq!(session.poll_transmit(NOW, &mut send), 0);
    assert_eq!(due(&mut session), [(RESET_RECEIVER, 5, 0)]);
}

/// GHSA-hmj8-5xmh-5573 (py-libp2p), js-libp2p-yamux: frames awaited and buffered whole, whatever they announce.
#[test]
fn a_frame_is_refused_or_told_without_its_body() {
    let mut session = listener();
    let stream = opened(&mut session, 1);
    let input = [head(MESSAGE_INITIATOR, 1, MIB), vec![9]].concat();
    let used = input.len() - 1;
    assert_eq!(session.handle_input(NOW, &input), Ok((used, Some(Event::Data { stream, len: 1, last: false }))));
    for length in [MIB + 1, u32::MAX as usize, u64::MAX as usize >> 1] {
        let mut session = listener();
        opened(&mut session, 1);
        assert_fatal(session, &head(MESSAGE_INITIATOR, 1, length), Error::MessageTooLong { limit: MIB as u32 });
    }
}

/// CVE-2022-23492, CVE-2022-23486 (go-libp2p, rust-libp2p): streams without a limit.
#[test]
fn streams_beyond_the_limits_are_reset() {
    let limits = Limits { streams: 3, unaccepted: 2, ..Limits::default() };
    let mut session = Session::new(Role::Listener, limits);
    let first = opened(&mut session, 1);
    let second = opened(&mut session, 3);
    assert_eq!(events(&mut session, &frame(NEW, 5, b"name")), Ok(vec![]));
    assert_eq!(due(&mut session), [(RESET_RECEIVER, 5, 0)]);
    session.accept(first);
    session.accept(first);
    opened(&mut session, 7);
    session.accept(second);
    assert_eq!(session.len(), 3);
    assert_eq!(events(&mut session, &head(NEW, 9, 0)), Ok(vec![]), "three are open");
    assert_eq!(due(&mut session), [(RESET_RECEIVER, 9, 0)]);
    // Each that goes makes room for one, however it goes.
    session.reset(first).unwrap();
    opened(&mut session, 11);
    assert_eq!(events(&mut session, &head(RESET_INITIATOR, 7, 0)).unwrap().len(), 1);
    opened(&mut session, 13);
    session.finish(second).unwrap();
    events(&mut session, &head(CLOSE_INITIATOR, 3, 0)).unwrap();
    due(&mut session);
    assert_eq!(events(&mut session, &head(NEW, 15, 0)), Ok(vec![]), "two are not accepted");
    assert_eq!((session.len(), due(&mut session)), (2, vec![(RESET_RECEIVER, 15, 0)]));
}

/// Streams that are over but not read would evade the limits if they did not count.
#[test]
fn streams_that_are_over_and_unread_count() {
    let limits = Limits { streams: 3, ..Limits::default() };
    let mut session = Session::new(Role::Listener, limits);
    for id in 0..3 {
        let stream = opened(&mut session, id);
        session.finish(stream).unwrap();
        events(&mut session, &[frame(MESSAGE_INITIATOR, id, b"x"), head(CLOSE_INITIATOR, id, 0)].concat()).unwrap();
    }
    assert_eq!(due(&mut session).len(), 3);
    assert_eq!((session.len(), session.unread()), (3, 3));
    assert_eq!(events(&mut session, &head(NEW, 3, 0)), Ok(vec![]));
    assert_eq!(due(&mut session), [(RESET_RECEIVER, 3, 0)]);
}

/// tentacle#437 (tokio-yamux): frames pend without a bound while a stream is not read. See tests/unread.rs for the rest.
#[test]
fn a_stream_that_is_not_read_holds_one_bound() {
    let mut session = listener();
    opened(&mut session, 1);
    let mut input = frame(MESSAGE_INITIATOR, 1, &vec![0; MIB]);
    input.extend(frame(MESSAGE_INITIATOR, 1, &vec![0; MIB]));
    feed(&mut session, NOW, &mut input).unwrap();
    assert_eq!((session.unread(), input.len(), session.is_held()), (MIB, MIB, true));
}

/// smoldot#1122: a stream that was closed while a timer of it ran.
#[test]
fn a_peer_that_resets_what_the_session_waits_for_disturbs_no_timer() {
    let mut session = listener();
    let stream = opened(&mut session, 1);
    let mut input = frame(MESSAGE_INITIATOR, 1, &vec![0; MIB]);
    input.extend(frame(MESSAGE_INITIATOR, 1, b"more"));
    feed(&mut session, NOW, &mut input).unwrap();
    let deadline = session.poll_timeout().unwrap();
    session.reset(stream).unwrap();
    assert_eq!(session.poll_timeout(), None);
    assert_eq!(session.handle_timeout(deadline.at), Ok(()));
    assert_eq!(events(&mut session, &input), Ok(vec![]), "what had no place is dropped");
    assert!(!session.is_held());
}

/// rust-yamux#110: a reset overtook data that was queued before it; rust-yamux#117: unknown streams were answered.
#[test]
fn a_reset_never_overtakes_data() {
    let (mut session, mut send) = (dialer(), SendBuf::default());
    let stream = session.open().unwrap();
    session.write(NOW, stream, &[7; 40_000], &mut send).unwrap();
    session.reset(stream).unwrap();
    session.poll_transmit(NOW, &mut send);
    let sent = heads(send.ready());
    assert_eq!(sent.iter().map(|(.., length)| length).sum::<usize>(), 40_000);
    assert_eq!(sent.last(), Some(&(RESET_INITIATOR, 1, 0)));
    assert_eq!(events(&mut session, &frame(MESSAGE_RECEIVER, 1, b"crossing")), Ok(vec![]));
    assert_eq!(due(&mut session), []);
}

/// js-libp2p's mplex takes the id from 32 bits of the head: 2^29 becomes 0.
#[test]
fn large_ids_are_not_cut() {
    let mut session = listener();
    let zero = opened(&mut session, 0);
    for id in [1 << 28, 1 << 29, 1 << 53, (1 << 60) - 1] {
        let stream = opened(&mut session, id);
        assert_ne!(stream, zero);
        assert_eq!(
            events(&mut session, &frame(MESSAGE_INITIATOR, id, b"x")),
            Ok(vec![Event::Data { stream, len: 1, last: false }])
        );
        session.reset(stream).unwrap();
        assert_eq!(due(&mut session), [(RESET_RECEIVER, id, 0)]);
    }
}
