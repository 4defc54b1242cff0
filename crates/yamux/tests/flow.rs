//! Windows, turns, pings and the buffer.

mod common;

use core::time::Duration;

use common::*;
use sanswarm_wire::{Framing, Instant, Role, SendBuf};
use sanswarm_yamux::{
    Config, Event, FRAME_BYTES, GoAway, HEADER_BYTES, Limits, OpenError, Session, StreamId, TURN_BYTES,
};

#[test]
fn frames_are_of_16_kib_and_the_window_ends_them() {
    let (mut session, mut send) = (dialer(), SendBuf::new(1024 * 1024));
    let stream = session.open().unwrap();
    let payload = vec![0; 2 * WINDOW as usize];
    assert_eq!(session.write_room(stream, &send), WINDOW as usize);
    assert_eq!(session.write(NOW, stream, &payload, &mut send), Ok(WINDOW as usize));
    let sent = heads(send.ready());
    assert_eq!(sent.len(), WINDOW as usize / FRAME_BYTES);
    assert!(sent.iter().all(|(.., length)| *length as usize == FRAME_BYTES));
    assert_eq!(session.write(NOW, stream, &payload, &mut send), Ok(0));
    session.poll_transmit(NOW, &mut send);
    assert_eq!(session.poll_writable(), None, "no credit, no turn");
    events(&mut session, &head((WINDOW_UPDATE, ACK, 1, 0))).unwrap();
    assert_eq!(session.poll_writable(), None, "an ACK is no credit");
    events(&mut session, &head((WINDOW_UPDATE, ACK, 1, 100))).unwrap();
    assert_eq!(session.poll_writable(), Some(stream));
    assert_eq!(session.write(NOW, stream, &payload, &mut send), Ok(100));
}

#[test]
fn a_larger_window_is_granted_with_syn_and_ack() {
    let config = |bytes| Config { limits: Limits { window_bytes: bytes, ..Limits::default() }, ..Config::default() };
    let mut session = Session::new(Role::Dialer, config(WINDOW + 9));
    session.open().unwrap();
    assert_eq!(due(&mut session), [(WINDOW_UPDATE, SYN, 1, 9)]);
    let (written, mut send) = (session.open().unwrap(), SendBuf::default());
    session.write(NOW, written, b"x", &mut send).unwrap();
    assert_eq!(due(&mut session), [(WINDOW_UPDATE, 0, 3, 9)]);
    let theirs = opened(&mut session, &head((DATA, SYN, 2, 0)));
    session.finish(theirs).unwrap();
    assert_eq!(due(&mut session), [(WINDOW_UPDATE, ACK | FIN, 2, 9)]);
    let seen = events(&mut session, &data(0, 2, &vec![0; WINDOW as usize + 9])).unwrap();
    assert_eq!(seen, [Event::Data { stream: theirs, len: WINDOW as usize + 9, last: false }]);
    let mut small = Session::new(Role::Dialer, config(1));
    small.open().unwrap();
    assert_eq!(due(&mut small), [(WINDOW_UPDATE, SYN, 1, 0)], "the initial window is the least");
}

#[test]
fn streams_of_ours_are_limited_too() {
    let config = Config { limits: Limits { streams: 1, ..Limits::default() }, ..Config::default() };
    let mut session = Session::new(Role::Listener, config);
    opened(&mut session, &head((DATA, SYN, 1, 0)));
    let stream = session.open().unwrap();
    assert_eq!(session.open(), Err(OpenError::Limit { name: "streams", value: 1 }));
    session.reset(stream).unwrap();
    assert!(session.open().is_ok());
}

#[test]
fn a_thousand_streams_open_at_once_and_256_syns_are_on_their_way() {
    let (mut session, mut send) = (dialer(), SendBuf::new(1024 * 1024));
    let streams: Vec<StreamId> = (0..1000).map(|_| session.open().unwrap()).collect();
    assert_eq!(session.open(), Err(OpenError::Limit { name: "streams", value: 1000 }));
    let syns = |heads: &[Head]| heads.iter().filter(|(_, flags, ..)| flags & SYN != 0).count();
    // The first go out with data, others alone; all have something to write.
    for stream in &streams {
        session.write(NOW, *stream, b"hello", &mut send).unwrap();
    }
    session.poll_transmit(NOW, &mut send);
    let sent = heads(send.ready());
    assert_eq!((sent.len(), syns(&sent)), (256, 256));
    assert!(streams[256..].iter().all(|stream| session.write_room(*stream, &send) == 0));
    assert_eq!(session.poll_writable(), None);
    // Each that is acknowledged, refused or over frees one slot; the next in order is told.
    let mut expected = 256;
    for (i, way) in [ACK, RST, ACK | FIN, ACK | RST].into_iter().enumerate() {
        for kind in [DATA, WINDOW_UPDATE] {
            send.sent(usize::MAX);
            let wire = (4 * i + 2 * usize::from(kind) + 1) as u32;
            events(&mut session, &head((kind, way, wire, 0))).unwrap();
            session.poll_transmit(NOW, &mut send);
            assert_eq!(heads(send.ready()), [(WINDOW_UPDATE, SYN, 2 * expected as u32 + 1, 0)]);
            assert_eq!(session.poll_writable(), Some(streams[expected]));
            assert_eq!(session.write(NOW, streams[expected], b"hello", &mut send), Ok(5));
            expected += 1;
        }
    }
}

#[test]
fn a_stream_that_waits_for_its_syn_can_finish_and_does_not_overtake() {
    let limits = Limits { unacknowledged: 1, ..Limits::default() };
    let mut session = Session::new(Role::Dialer, Config { limits, ..Config::default() });
    let (_first, second) = (session.open().unwrap(), session.open().unwrap());
    assert_eq!(due(&mut session), [(WINDOW_UPDATE, SYN, 1, 0)]);
    session.finish(second).unwrap();
    assert_eq!(due(&mut session), [], "no slot");
    events(&mut session, &head((WINDOW_UPDATE, ACK, 1, 0))).unwrap();
    assert_eq!(due(&mut session), [(DATA, SYN | FIN, 3, 0)]);
}

#[test]
fn a_pong_tells_the_time_since_the_ping_was_sent() {
    let (mut session, mut send) = (dialer(), SendBuf::default());
    let at = |seconds| Instant::ZERO + Duration::from_secs(seconds);
    assert!(session.ping(at(1)));
    assert!(!session.ping(at(1)), "one at a time");
    assert_eq!(session.handle_input(at(2), &head((PING, ACK, 0, 0))), Ok((12, None)), "not sent yet");
    assert_eq!(session.poll_transmit(at(3), &mut send), HEADER_BYTES);
    assert_eq!(heads(send.ready()), [(PING, SYN, 0, 0)]);
    assert_eq!(session.poll_timeout().map(|d| d.at), Some(at(11)));
    assert_eq!(session.handle_timeout(at(10)), Ok(()));
    assert_eq!(session.handle_input(at(4), &head((PING, ACK, 0, 1))), Ok((12, None)), "another value");
    let pong = Event::Pong { rtt: Duration::from_secs(1) };
    assert_eq!(session.handle_input(at(4), &head((PING, ACK, 0, 0))), Ok((12, Some(pong))));
    assert_eq!(session.poll_timeout(), None);
    assert!(session.ping(at(5)));
    assert_eq!(due(&mut session), [(PING, SYN, 0, 1)]);
}

#[test]
fn what_does_not_fit_stays_due() {
    let mut session = dialer();
    for _ in 0..3 {
        session.open().unwrap();
    }
    session.ping(NOW);
    events(&mut session, &head((PING, SYN, 0, 9))).unwrap();
    let mut send = SendBuf::new(16 * 1024);
    assert!(send.append(&vec![0; send.control_room() - 30]));
    send.sent(0);
    assert_eq!(session.poll_transmit(NOW, &mut send), 24);
    assert_eq!(session.poll_transmit(NOW, &mut send), 0);
    assert_eq!(due(&mut session), [1, 3, 5].map(|id| (WINDOW_UPDATE, SYN, id, 0)));
}

#[test]
fn go_away_waits_for_what_does_not_fit() {
    let mut session = listener();
    for id in [1, 3] {
        let stream = opened(&mut session, &head((DATA, SYN, id, 0)));
        session.finish(stream).unwrap();
    }
    session.go_away(GoAway::Normal);
    let mut send = SendBuf::new(16 * 1024);
    assert!(send.append(&vec![0; send.control_room() - 18]));
    assert_eq!(session.poll_transmit(NOW, &mut send), 12);
    send.sent(usize::MAX / 2);
    assert_eq!(session.poll_transmit(NOW, &mut send), 24);
    assert_eq!(heads(send.ready()), [(DATA, ACK | FIN, 3, 0), (GO_AWAY, 0, 0, 0)]);
}

#[test]
fn a_frame_never_crosses_the_end_of_a_sealed_frame() {
    const FRAMING: Framing = Framing { prefix: 2, suffix: 3, plain_max: 40 };
    let (mut session, mut send) = (dialer(), SendBuf::default());
    send.set_framing(FRAMING);
    let stream = session.open().unwrap();
    let (mut left, mut plain) = (&[7; 100][..], Vec::new());
    while !left.is_empty() {
        let room = session.write_room(stream, &send);
        let n = session.write(NOW, stream, left, &mut send).unwrap();
        assert_eq!(n, room.min(left.len()));
        left = &left[n..];
        plain.extend_from_slice(send.open_frame().unwrap());
        send.close_frame(b"..", b"...");
    }
    let lengths: Vec<_> = heads(&plain).into_iter().map(|(.., length)| length).collect();
    assert_eq!(lengths, [28, 28, 28, 16]);
}

#[test]
fn room_for_a_head_alone_is_no_room() {
    for (spare, told) in [(HEADER_BYTES, false), (HEADER_BYTES + 1, true)] {
        let mut session = listener();
        let mut send = SendBuf::new(16 * 1024);
        let stream = opened(&mut session, &head((DATA, SYN, 1, 0)));
        session.accept(stream);
        due(&mut session);
        // Once the write itself sees how much is left, and once the flush.
        assert!(send.append(&vec![0; send.room() - spare]));
        assert_eq!(session.write(NOW, stream, b"more", &mut send), Ok(usize::from(told)));
        assert_eq!(session.poll_writable(), None, "nothing is left");
        send.sent(usize::MAX);
        assert!(send.append(&vec![0; send.room() - spare]));
        session.wait_writable(stream);
        session.poll_transmit(NOW, &mut send);
        assert_eq!(session.poll_writable(), told.then_some(stream));
        send.sent(usize::MAX);
        let most = send.room() - HEADER_BYTES - spare;
        assert_eq!(session.write(NOW, stream, &vec![0; most], &mut send), Ok(most));
        assert_eq!(send.room(), spare);
        session.wait_writable(stream);
        assert_eq!(session.poll_writable(), told.then_some(stream));
    }
}

/// Sends all of `send` to nowhere, and counts payload a stream.
fn drain(send: &mut SendBuf, sent: &mut [usize]) {
    for (kind, _, stream, length) in heads(send.ready()) {
        if kind == DATA {
            sent[stream as usize / 2] += length as usize;
        }
    }
    send.sent(usize::MAX / 2);
}

#[test]
fn a_writer_of_one_byte_is_not_held_up_by_99_greedy_ones() {
    let (mut session, mut send) = (dialer(), SendBuf::default());
    let streams: Vec<StreamId> = (0..100).map(|_| session.open().unwrap()).collect();
    let (payload, mut sent) = (vec![0; 200_000], vec![0; 100]);
    for stream in &streams[..99] {
        session.write(NOW, *stream, &payload, &mut send).unwrap();
    }
    assert_eq!(session.write(NOW, streams[99], b"x", &mut send), Ok(0));
    drain(&mut send, &mut sent);
    sent.fill(0);
    'rounds: loop {
        session.poll_transmit(NOW, &mut send);
        while let Some(stream) = session.poll_writable() {
            if stream == streams[99] {
                assert_eq!(session.write(NOW, stream, b"x", &mut send), Ok(1));
                break 'rounds;
            }
            assert!(session.write(NOW, stream, &payload, &mut send).unwrap() <= TURN_BYTES);
        }
        drain(&mut send, &mut sent);
    }
    drain(&mut send, &mut sent);
    let before: usize = sent[..99].iter().sum();
    assert!(sent[..99].iter().all(|n| *n <= TURN_BYTES), "nobody had a second turn before it: {sent:?}");
    assert!(before > 90 * TURN_BYTES, "it was the last in line: {before}");
}

#[test]
fn a_head_that_lost_interest_holds_up_nobody() {
    let (mut session, mut send) = (dialer(), SendBuf::new(16 * 1024));
    let (idle, keen) = (session.open().unwrap(), session.open().unwrap());
    let payload = vec![0; 60_000];
    session.write(NOW, idle, &payload, &mut send).unwrap();
    assert_eq!(session.write(NOW, keen, &payload, &mut send), Ok(0));
    assert_eq!(session.poll_writable(), None, "no room");
    send.sent(usize::MAX / 2);
    session.poll_transmit(NOW, &mut send);
    assert_eq!(session.poll_writable(), Some(idle));
    assert_eq!(session.poll_writable(), None, "told once");
    session.poll_transmit(NOW, &mut send);
    assert_eq!(session.poll_writable(), Some(keen));
    assert!(session.write(NOW, keen, &payload, &mut send).unwrap() > 0);
    send.sent(usize::MAX / 2);
    // It is told once more, then left out; its turn it may use when it likes.
    let told: Vec<_> = (0..6)
        .map(|_| {
            session.poll_transmit(NOW, &mut send);
            let head = session.poll_writable();
            if head == Some(keen) {
                session.write(NOW, keen, &payload, &mut send).unwrap();
                send.sent(usize::MAX / 2);
            }
            head
        })
        .collect();
    assert!(told.iter().filter(|head| **head == Some(idle)).count() <= 1, "{told:?}");
    assert!(told[3..].iter().all(|head| *head == Some(keen)), "{told:?}");
    assert!(session.write(NOW, idle, b"back", &mut send).unwrap() > 0);
}

#[test]
fn a_head_that_was_late_once_and_wrote_is_not_left_out_later() {
    let (mut session, mut send) = (dialer(), SendBuf::new(16 * 1024));
    let stream = session.open().unwrap();
    let payload = vec![0; 60_000];
    session.write(NOW, stream, &payload, &mut send).unwrap();
    for _ in 0..3 {
        send.sent(usize::MAX / 2);
        session.poll_transmit(NOW, &mut send);
        assert_eq!(session.poll_writable(), Some(stream));
        session.poll_transmit(NOW, &mut send);
        assert_eq!(session.poll_writable(), Some(stream), "late");
        assert!(session.write(NOW, stream, &payload, &mut send).unwrap() > 0);
    }
}

#[test]
fn a_stream_that_goes_leaves_the_ring() {
    for how in [Session::finish, Session::reset] {
        let (mut session, mut send) = (dialer(), SendBuf::new(16 * 1024));
        let (gone, next) = (session.open().unwrap(), session.open().unwrap());
        let payload = vec![0; 60_000];
        session.write(NOW, gone, &payload, &mut send).unwrap();
        session.write(NOW, next, &payload, &mut send).unwrap();
        send.sent(usize::MAX / 2);
        session.poll_transmit(NOW, &mut send);
        assert_eq!(session.poll_writable(), Some(gone));
        how(&mut session, gone).unwrap();
        assert_eq!(session.poll_writable(), Some(next), "the turn goes on at once");
        assert!(session.write(NOW, next, &payload, &mut send).unwrap() > TURN_BYTES / 2, "nobody else waits");
    }
}

#[test]
fn a_message_that_must_go_whole_does_not_keep_a_turn_that_is_too_short_for_it() {
    let (mut session, mut send) = (dialer(), SendBuf::new(32 * 1024));
    let (whole, keen) = (session.open().unwrap(), session.open().unwrap());
    let payload = vec![0; 60_000];
    session.write(NOW, whole, &payload, &mut send).unwrap();
    assert_eq!(session.write(NOW, keen, &payload, &mut send), Ok(0));
    send.sent(usize::MAX / 2);
    session.poll_transmit(NOW, &mut send);
    assert_eq!(session.poll_writable(), Some(whole));
    assert_eq!(session.write(NOW, whole, &payload[..TURN_BYTES - 10], &mut send), Ok(TURN_BYTES - 10));
    session.wait_writable(whole); // 10 bytes of its turn are left, or it has a new one; its message is longer
    send.sent(usize::MAX / 2);
    session.poll_transmit(NOW, &mut send);
    assert_eq!(session.poll_writable(), Some(keen), "the other has its turn");
}
