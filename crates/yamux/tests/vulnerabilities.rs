//! One test a row of the vulnerability catalogue that concerns yamux; the number is the row's.

mod common;

use common::*;
use sanswarm_wire::{Role, SendBuf};
use sanswarm_yamux::{Config, Error, Event, GoAway, Limits, OpenError, Session, WriteError};

#[test]
fn v01_a_syn_with_a_body_over_the_window_leaves_no_stream() {
    for length in [WINDOW + 1, u32::MAX] {
        let mut session = listener();
        let error = Error::WindowExceeded { length, window: WINDOW };
        assert_eq!(session.handle_input(NOW, &head((DATA, SYN, 1, length))), Err(error));
        assert!(session.is_empty());
    }
}

#[test]
fn v02_credit_that_overflows_is_fatal() {
    let mut session = listener();
    opened(&mut session, &head((DATA, SYN, 1, 0)));
    assert_eq!(events(&mut session, &head((WINDOW_UPDATE, 0, 1, u32::MAX - WINDOW))), Ok(vec![]));
    assert_fatal(session, &head((WINDOW_UPDATE, 0, 1, 1)), Error::CreditOverflow);
}

#[test]
fn v03_credit_that_overflows_on_syn_is_fatal() {
    assert_fatal(listener(), &head((WINDOW_UPDATE, SYN, 1, u32::MAX)), Error::CreditOverflow);
    let mut session = dialer();
    session.open().unwrap();
    due(&mut session);
    assert_fatal(session, &head((WINDOW_UPDATE, ACK, 1, u32::MAX)), Error::CreditOverflow);
}

/// The peer provokes replies and never reads them.
fn flood(input: &[u8], replies: usize) {
    let mut session = Session::new(
        Role::Listener,
        Config { limits: Limits { unaccepted: 1, control: 20, ..Limits::default() }, ..Config::default() },
    );
    opened(&mut session, &head((DATA, SYN, 1, 0)));
    let mut input = input.to_vec();
    let before = input.len();
    assert_eq!(feed(&mut session, &mut input), Ok(vec![]));
    assert_eq!(before - input.len(), replies * 12, "the limit's worth of frames was used");
    assert!(session.is_held());
    assert_eq!(session.handle_input(NOW, &input), Ok((0, None)));
    assert_eq!(due(&mut session).len(), replies);
    assert!(!session.is_held());
    assert_eq!(feed(&mut session, &mut input), Ok(vec![]));
    assert_eq!(before - input.len(), 2 * replies * 12, "it goes on where it stopped");
}

#[test]
fn v04_replies_that_cannot_be_sent_stop_the_input() {
    flood(&head((PING, SYN, 0, 7)).repeat(1000), 8);
    let syns: Vec<u8> = (1..1000).flat_map(|i| head((DATA, SYN, 2 * i + 1, 0))).collect();
    flood(&syns, 20);
}

#[test]
fn v05_a_frame_of_four_gibibytes_is_refused_without_its_body() {
    let mut session = listener();
    opened(&mut session, &head((DATA, SYN, 1, 0)));
    let error = Error::WindowExceeded { length: u32::MAX, window: WINDOW };
    assert_fatal(session, &head((DATA, 0, 1, u32::MAX)), error);
}

#[test]
fn v08_payload_is_handed_up_as_it_comes_and_judged_before() {
    let mut session = listener();
    let stream = opened(&mut session, &head((DATA, SYN, 1, 0)));
    let frame = data(0, 1, &vec![7; WINDOW as usize]);
    let mut arrived = 0;
    for piece in [&frame[..12], &frame[12..13], &frame[13..1000], &frame[1000..]] {
        for event in events(&mut session, piece).unwrap() {
            let Event::Data { stream: whose, len, last } = event else { panic!("{event:?}") };
            assert_eq!((whose, last), (stream, false));
            arrived += len;
        }
        assert!(session.heap_bytes() < 2048, "nothing of it is kept here");
    }
    assert_eq!(arrived, WINDOW as usize);
    let error = Error::WindowExceeded { length: u32::MAX, window: 0 };
    assert_fatal(session, &head((DATA, 0, 1, u32::MAX)), error);
}

#[test]
fn v09_streams_without_end_are_bounded() {
    let mut session = listener();
    let mut refused = 0;
    for i in 0..5000 {
        let seen = events(&mut session, &head((DATA, SYN, 2 * i + 1, 0))).unwrap();
        for event in seen {
            let Event::Opened { stream } = event else { panic!("{event:?}") };
            session.accept(stream);
        }
        refused += due(&mut session).iter().filter(|(_, flags, ..)| *flags == RST).count();
    }
    assert_eq!((session.len(), refused), (1000, 4000));
    let open = session.heap_bytes();
    assert!(open < 128 * 1000, "{open}");
    for i in 0..5000 {
        events(&mut session, &head((DATA, RST, 2 * i + 1, 0))).unwrap();
    }
    assert!(session.is_idle() && session.heap_bytes() < 2048, "{}", session.heap_bytes());
}

#[test]
fn v10_many_small_frames_allocate_nothing_more() {
    let mut session = listener();
    let stream = opened(&mut session, &head((DATA, SYN, 1, 0)));
    session.accept(stream);
    due(&mut session);
    let before = session.heap_bytes();
    let mut frames = data(0, 1, b"x");
    frames.extend([head((DATA, 0, 1, 0)), head((WINDOW_UPDATE, 0, 1, 0)), head((DATA, ACK, 1, 0))].concat());
    frames.extend([head((WINDOW_UPDATE, 0, 77, 5)), data(0, 77, b"dropped"), head((PING, ACK, 0, 1))].concat());
    for _ in 0..10_000 {
        let seen = events(&mut session, &frames).unwrap();
        assert_eq!(seen, [Event::Data { stream, len: 1, last: false }]);
        assert_eq!(due(&mut session), []);
    }
    assert_eq!(session.heap_bytes(), before);
}

#[test]
fn v34_a_stream_that_is_not_read_gets_no_credit_and_holds_one_window() {
    let mut session = listener();
    opened(&mut session, &head((DATA, SYN, 1, 0)));
    events(&mut session, &data(0, 1, &vec![0; WINDOW as usize])).unwrap();
    assert_eq!(due(&mut session), []);
    assert_fatal(session, &head((DATA, 0, 1, 1)), Error::WindowExceeded { length: 1, window: 0 });
}

#[test]
fn v35_a_peer_that_closes_streams_disturbs_no_timer() {
    let mut session = dialer();
    let stream = session.open().unwrap();
    assert!(session.ping(NOW));
    due(&mut session);
    let deadline = session.poll_timeout().unwrap();
    assert_eq!(events(&mut session, &head((DATA, RST, 1, 0))), Ok(vec![Event::Reset { stream }]));
    assert_eq!(session.poll_timeout(), Some(deadline));
    let error = Error::PingTimeout { limit: Config::default().ping_timeout };
    assert_eq!(session.handle_timeout(deadline.at), Err(error));
    assert_eq!(session.handle_timeout(deadline.at), Err(error));
    assert_eq!(due(&mut session), [(GO_AWAY, 0, 0, 2)]);
}

#[test]
fn v36_a_backlog_slot_is_freed_exactly_once() {
    let limits = Limits { unacknowledged: 1, ..Limits::default() };
    // ACK, RST by either end, or FIN of both: in any combination they free one slot.
    let acked = head((WINDOW_UPDATE, ACK, 1, 0));
    let ways: [&[u8]; 4] = [
        &[acked.clone(), acked.clone(), head((DATA, ACK | FIN, 1, 0))].concat(),
        &[head((DATA, ACK | RST, 1, 0)), acked.clone()].concat(),
        &[acked, head((DATA, RST, 1, 0)), head((DATA, RST, 1, 0))].concat(),
        &[head((DATA, FIN, 1, 0)), head((DATA, RST, 1, 0))].concat(),
    ];
    for way in ways {
        let mut session = Session::new(Role::Dialer, Config { limits: limits.clone(), ..Config::default() });
        let streams: Vec<_> = (0..4).map(|_| session.open().unwrap()).collect();
        assert_eq!(due(&mut session), [(WINDOW_UPDATE, SYN, 1, 0)]);
        assert_eq!(due(&mut session), []);
        let mut send = SendBuf::default();
        assert_eq!(session.write(NOW, streams[1], b"waits", &mut send), Ok(0));
        assert_eq!(session.write_room(streams[1], &send), 0);
        events(&mut session, way).unwrap();
        let _ = session.reset(streams[0]);
        let sent: Vec<_> = due(&mut session).into_iter().filter(|(_, flags, ..)| flags & SYN != 0).collect();
        assert_eq!(sent, [(WINDOW_UPDATE, SYN, 3, 0)], "one slot, one stream");
        assert_eq!(session.poll_writable(), Some(streams[1]), "the writer that waited is told");
        assert_eq!(session.write(NOW, streams[1], b"waits", &mut send), Ok(5));
        assert_eq!(heads(send.ready()), [(DATA, 0, 3, 5)]);
    }
}

#[test]
fn v37_an_rst_never_overtakes_data() {
    let (mut session, mut send) = (dialer(), SendBuf::default());
    let stream = session.open().unwrap();
    session.write(NOW, stream, b"data", &mut send).unwrap();
    session.reset(stream).unwrap();
    session.poll_transmit(NOW, &mut send);
    assert_eq!(heads(send.ready()), [(DATA, SYN, 1, 4), (DATA, RST, 1, 0)]);
    assert_eq!(events(&mut session, &data(0, 1, b"crossing")), Ok(vec![]));
    assert_eq!(due(&mut session), [], "silence for a stream that is unknown");
}

#[test]
fn streams_beyond_the_limits_get_rst() {
    let limits = Limits { streams: 3, unaccepted: 2, ..Limits::default() };
    let mut session = Session::new(Role::Listener, Config { limits, ..Config::default() });
    let first = opened(&mut session, &head((DATA, SYN, 1, 0)));
    opened(&mut session, &head((DATA, SYN, 3, 0)));
    assert_eq!(events(&mut session, &data(SYN, 5, b"body")), Ok(vec![]));
    assert_eq!(due(&mut session), [(DATA, RST, 5, 0)]);
    session.accept(first);
    opened(&mut session, &head((DATA, SYN, 7, 0)));
    session.reset(first).unwrap();
    due(&mut session);
    assert_eq!(events(&mut session, &head((DATA, RST, 3, 0))).unwrap().len(), 1);
    let last = opened(&mut session, &head((DATA, SYN, 9, 0)));
    session.accept(last);
    assert_eq!(session.len(), 2);
    opened(&mut session, &head((DATA, SYN, 11, 0)));
    session.accept(last);
    assert_eq!(events(&mut session, &head((DATA, SYN, 13, 0))), Ok(vec![]), "three are open");
    assert_eq!(due(&mut session).last(), Some(&(WINDOW_UPDATE, ACK, 9, 0)));
}

#[test]
fn v43_an_error_of_the_session_is_told_to_every_stream() {
    let mut session = dialer();
    let mut send = SendBuf::new(16 * 1024);
    let streams: Vec<_> = (0..3).map(|_| session.open().unwrap()).collect();
    session.write(NOW, streams[0], &vec![0; 100_000], &mut send).unwrap();
    assert_eq!(session.write(NOW, streams[1], b"waits", &mut send), Ok(0));
    session.ping(NOW);
    let deadline = session.poll_timeout().unwrap();
    let error = Error::PingTimeout { limit: Config::default().ping_timeout };
    assert_eq!(session.handle_timeout(deadline.at), Err(error), "also if the ping could not even be sent");
    send.sent(usize::MAX);
    for stream in streams {
        assert_eq!(session.write(deadline.at, stream, b"x", &mut send), Err(WriteError::Closed));
        assert_eq!(session.write_room(stream, &send), 0);
        session.wait_writable(stream);
    }
    assert_eq!(session.poll_writable(), None, "nobody is sent to wait for it");
    assert_eq!(session.handle_input(NOW, &[]), Err(error));
    assert_eq!(session.open(), Err(OpenError::Closed));
    assert!(!session.ping(NOW) && !session.is_held());
    session.go_away(GoAway::Normal);
    assert_eq!(due(&mut session), [(GO_AWAY, 0, 0, 2)], "its own goodbye, once");
    assert_eq!(due(&mut session), []);
    assert_eq!(session.poll_timeout(), None);
}
