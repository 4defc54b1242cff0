//! What a session does with each input of the table in the conformance notes.

mod common;

use common::*;
use sanswarm_wire::{Role, SendBuf};
use sanswarm_yamux::{Config, Error, Event, GoAway, Limits, OpenError, Session, UnknownStream, WriteError};

#[test]
fn a_version_or_type_that_does_not_exist_is_fatal() {
    assert_fatal(listener(), &[1, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0], Error::Version(1));
    assert_fatal(listener(), &[0, 9, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0], Error::FrameType(9));
}

#[test]
fn unknown_flags_are_ignored() {
    let mut session = listener();
    let stream = opened(&mut session, &head((WINDOW_UPDATE, SYN | 0xfff0, 1, 0)));
    let seen = events(&mut session, &data(0x8000, 1, b"x")).unwrap();
    assert_eq!(seen, [Event::Data { stream, len: 1, last: false }]);
}

#[test]
fn data_over_the_window_is_refused_from_its_head() {
    let mut session = listener();
    opened(&mut session, &data(SYN, 1, b"x"));
    let error = Error::WindowExceeded { length: WINDOW, window: WINDOW - 1 };
    assert_fatal(session, &head((DATA, 0, 1, WINDOW)), error);
}

#[test]
fn four_gibibytes_for_an_unknown_stream_are_fatal() {
    let error = Error::BodyTooLong { length: u32::MAX, limit: WINDOW };
    assert_fatal(listener(), &head((DATA, 0, 77, u32::MAX)), error);
    assert_fatal(listener(), &head((DATA, RST, 77, u32::MAX)), error);
}

#[test]
fn a_body_for_an_unknown_stream_is_dropped_in_silence() {
    let mut session = listener();
    let mut input = data(0, 77, &vec![1; WINDOW as usize]);
    input.extend(head((WINDOW_UPDATE, 0, 77, u32::MAX)));
    input.extend(head((DATA, FIN, 78, 0)));
    input.extend(head((DATA, ACK, 2, 0)));
    assert_eq!(events(&mut session, &input), Ok(vec![]));
    assert_eq!(due(&mut session), []);
}

#[test]
fn a_syn_of_our_parity_or_of_stream_0_is_fatal() {
    for kind in [DATA, WINDOW_UPDATE] {
        assert_fatal(listener(), &head((kind, SYN, 2, 0)), Error::WrongParity { id: 2 });
        assert_fatal(dialer(), &head((kind, SYN, 1, 0)), Error::WrongParity { id: 1 });
        for flags in [0, SYN, FIN, RST] {
            assert_fatal(dialer(), &head((kind, flags, 0, 0)), Error::StreamZero);
            assert_fatal(listener(), &head((kind, flags, 0, 0)), Error::StreamZero);
        }
    }
}

#[test]
fn a_syn_on_an_open_stream_is_fatal() {
    let mut session = listener();
    opened(&mut session, &head((DATA, SYN, 1, 0)));
    assert_fatal(session, &head((WINDOW_UPDATE, SYN, 1, 0)), Error::AlreadyOpen { id: 1 });
}

#[test]
fn ids_come_in_any_order_and_again_after_their_stream_is_over() {
    let mut session = listener();
    for id in [u32::MAX, 7, 1, 5] {
        let stream = opened(&mut session, &head((DATA, SYN, id, 0)));
        assert_eq!(session.wire_id(stream), Some(id));
    }
    events(&mut session, &head((DATA, RST, 7, 0))).unwrap();
    opened(&mut session, &head((WINDOW_UPDATE, SYN, 7, 0)));
    assert_eq!(session.len(), 4);
}

#[test]
fn a_syn_with_rst_opens_nothing() {
    let mut session = listener();
    assert_eq!(events(&mut session, &data(SYN | RST, 1, b"x")), Ok(vec![]));
    assert_eq!(due(&mut session), []);
    assert!(session.is_idle());
}

#[test]
fn data_after_fin_is_dropped_and_counted() {
    let mut session = listener();
    let stream = opened(&mut session, &head((DATA, SYN, 1, 0)));
    assert_eq!(events(&mut session, &data(FIN, 1, b"end")), Ok(vec![Event::Data { stream, len: 3, last: true }]));
    assert_eq!(events(&mut session, &data(0, 1, &vec![0; WINDOW as usize - 3])), Ok(vec![]));
    session.consumed(stream, WINDOW as usize);
    assert_eq!(due(&mut session), [], "no credit after FIN");
    assert_fatal(session, &data(0, 1, b"x"), Error::WindowExceeded { length: 1, window: 0 });
}

#[test]
fn a_second_fin_is_ignored() {
    let mut session = listener();
    let stream = opened(&mut session, &head((DATA, SYN, 1, 0)));
    assert_eq!(events(&mut session, &head((WINDOW_UPDATE, FIN, 1, 0))), Ok(vec![Event::Finished { stream }]));
    assert_eq!(events(&mut session, &head((DATA, FIN, 1, 0))), Ok(vec![]));
}

#[test]
fn credit_counts_after_fin_and_on_frames_with_fin() {
    let mut session = listener();
    let stream = opened(&mut session, &head((WINDOW_UPDATE, SYN | FIN, 1, 1)));
    events(&mut session, &head((WINDOW_UPDATE, 0, 1, 10))).unwrap();
    let mut send = SendBuf::new(1024 * 1024);
    assert_eq!(session.write(NOW, stream, &vec![0; 500_000], &mut send), Ok(WINDOW as usize + 11));
}

#[test]
fn one_frame_may_open_and_finish() {
    let mut session = listener();
    let seen = events(&mut session, &head((DATA, SYN | FIN, 1, 0))).unwrap();
    let [Event::Opened { stream }, Event::Finished { stream: finished }] = seen[..] else { panic!("{seen:?}") };
    assert_eq!(stream, finished);
}

#[test]
fn an_rst_gives_no_credit_and_its_body_is_dropped() {
    for input in [head((WINDOW_UPDATE, RST, 1, u32::MAX)), data(RST, 1, b"reason")] {
        let mut session = listener();
        let stream = opened(&mut session, &head((DATA, SYN, 1, 0)));
        assert_eq!(events(&mut session, &input), Ok(vec![Event::Reset { stream }]));
        assert_eq!(events(&mut session, &input), Ok(vec![]), "unknown by now");
        assert_eq!(session.finish(stream), Err(UnknownStream));
        assert_eq!(session.write(NOW, stream, b"x", &mut SendBuf::default()), Err(WriteError::Unknown));
        assert_eq!(due(&mut session), []);
        assert!(session.is_idle());
    }
}

#[test]
fn pings_are_answered_and_strange_ones_ignored() {
    let mut session = dialer();
    assert_eq!(events(&mut session, &head((PING, SYN, 0, 0xabcd))), Ok(vec![]));
    assert_eq!(due(&mut session), [(PING, ACK, 0, 0xabcd)]);
    let strange = [head((PING, ACK, 0, 0)), head((PING, 0, 0, 5)), head((PING, FIN, 3, 5))].concat();
    assert_eq!(events(&mut session, &strange), Ok(vec![]));
    assert_eq!(due(&mut session), []);
}

#[test]
fn their_go_away_stops_opening_and_open_streams_finish() {
    let mut session = dialer();
    let (early, late, last) = (session.open().unwrap(), session.open().unwrap(), session.open().unwrap());
    session.write(NOW, early, b"on its way", &mut SendBuf::default()).unwrap();
    let seen = events(&mut session, &head((GO_AWAY, 0, 0, 0))).unwrap();
    let never = [late, last].map(|stream| Event::Reset { stream });
    assert_eq!(seen, [Event::GoAway { code: GoAway::Normal }, never[0], never[1]], "the peer has not heard of these");
    assert_eq!(session.open(), Err(OpenError::GoingAway));
    assert_eq!(session.write(NOW, late, b"x", &mut SendBuf::default()), Err(WriteError::Unknown));
    let theirs = opened(&mut session, &head((DATA, SYN, 2, 0)));
    session.reset(theirs).unwrap();
    assert_eq!(session.write(NOW, early, b"goes on", &mut SendBuf::default()), Ok(7));
    session.finish(early).unwrap();
    assert!(!session.is_idle());
    assert_eq!(due(&mut session), [(DATA, RST, 2, 0), (DATA, FIN, 1, 0)], "no SYN");
    let seen = events(&mut session, &data(ACK | FIN, 1, b"bye")).unwrap();
    assert_eq!(seen, [Event::Data { stream: early, len: 3, last: true }]);
    assert!(session.is_idle(), "drained");
}

#[test]
fn after_our_go_away_their_streams_are_refused() {
    let mut session = listener();
    let stream = opened(&mut session, &head((DATA, SYN, 1, 0)));
    session.go_away(GoAway::Normal);
    session.finish(stream).unwrap();
    assert_eq!(session.open(), Err(OpenError::GoingAway));
    assert_eq!(events(&mut session, &data(SYN, 3, b"late")), Ok(vec![]));
    let order = [(DATA, RST, 3, 0), (DATA, ACK | FIN, 1, 0), (GO_AWAY, 0, 0, 0)];
    assert_eq!(due(&mut session), order, "some peers close on GoAway, so it is the last");
    assert_eq!(due(&mut session), []);
}

#[test]
fn syn_and_ack_travel_with_data_or_alone() {
    let (mut session, mut send) = (dialer(), SendBuf::default());
    let (with, without) = (session.open().unwrap(), session.open().unwrap());
    assert_eq!(session.write(NOW, with, b"hi", &mut send), Ok(2));
    assert_eq!(session.write(NOW, with, b"again", &mut send), Ok(5));
    assert_eq!(heads(send.ready()), [(DATA, SYN, 1, 2), (DATA, 0, 1, 5)]);
    assert_eq!((session.wire_id(with), session.wire_id(without)), (Some(1), Some(3)));
    assert_eq!(due(&mut session), [(WINDOW_UPDATE, SYN, 3, 0)]);

    let (mut session, mut send) = (listener(), SendBuf::default());
    let with = opened(&mut session, &head((DATA, SYN, 1, 0)));
    let without = opened(&mut session, &head((DATA, SYN, 3, 0)));
    assert_eq!(due(&mut session), [], "nothing before it is accepted");
    session.accept(with);
    session.accept(without);
    session.accept(without);
    assert_eq!(session.write(NOW, with, b"hi", &mut send), Ok(2));
    assert_eq!(heads(send.ready()), [(DATA, ACK, 1, 2)]);
    assert_eq!(due(&mut session), [(WINDOW_UPDATE, ACK, 3, 0)]);
    assert_eq!(due(&mut session), []);
}

#[test]
fn to_write_or_to_finish_is_to_accept() {
    let limits = Limits { unaccepted: 1, ..Limits::default() };
    let mut session = Session::new(Role::Listener, Config { limits, ..Config::default() });
    let first = opened(&mut session, &head((DATA, SYN, 1, 0)));
    assert_eq!(session.write(NOW, first, b"", &mut SendBuf::default()), Ok(0));
    assert_eq!(events(&mut session, &head((DATA, SYN, 3, 0))), Ok(vec![]), "to write nothing is not");
    assert_eq!(due(&mut session), [(DATA, RST, 3, 0)]);
    session.finish(first).unwrap();
    let second = opened(&mut session, &head((DATA, SYN, 5, 0)));
    assert_eq!(due(&mut session), [(DATA, ACK | FIN, 1, 0)]);
    let (mut full, mut send) = (SendBuf::default(), SendBuf::default());
    assert!(full.append(&vec![0; full.room()]));
    assert_eq!(session.write(NOW, second, b"x", &mut full), Ok(0));
    let third = opened(&mut session, &head((DATA, SYN, 7, 0)));
    assert_eq!(due(&mut session), [(WINDOW_UPDATE, ACK, 5, 0)], "without data, since none was taken");
    session.decline(second);
    assert_eq!(session.write(NOW, third, b"x", &mut send), Ok(1));
    opened(&mut session, &head((DATA, SYN, 9, 0)));
    assert_eq!(heads(send.ready()), [(DATA, ACK, 7, 1)]);
    assert_eq!(due(&mut session), [], "the ACK went with the data");
}

#[test]
fn an_ack_with_data_leaves_credit_due() {
    let limits = Limits { window_bytes: WINDOW + 9, ..Limits::default() };
    let mut session = Session::new(Role::Listener, Config { limits, ..Config::default() });
    let (stream, mut send) = (opened(&mut session, &head((DATA, SYN, 1, 0))), SendBuf::default());
    session.accept(stream);
    assert_eq!(session.write(NOW, stream, b"x", &mut send), Ok(1));
    assert_eq!(heads(send.ready()), [(DATA, ACK, 1, 1)]);
    assert_eq!(due(&mut session), [(WINDOW_UPDATE, 0, 1, 9)]);
}

#[test]
fn a_session_is_idle_when_nothing_is_live_owed_or_awaited() {
    type Act = fn(&mut Session);
    let busy: [(&str, Act); 6] = [
        ("a live stream", |session| assert!(session.open().is_ok())),
        ("half of a body that is dropped", |session| {
            assert_eq!(session.handle_input(NOW, &data(0, 77, b"body")[..14]), Ok((14, None)));
        }),
        ("a reset that is owed", |session| {
            let stream = opened(session, &head((DATA, SYN, 1, 0)));
            session.reset(stream).expect("live");
        }),
        ("a goodbye that is owed", |session| session.go_away(GoAway::Normal)),
        ("a pong that is owed", |session| {
            assert_eq!(session.handle_input(NOW, &head((PING, SYN, 0, 1))), Ok((12, None)));
        }),
        ("a pong that is awaited", |session| assert!(session.ping(NOW))),
    ];
    for (what, keep_busy) in busy {
        let mut session = listener();
        assert!(session.is_idle() && session.is_empty());
        keep_busy(&mut session);
        assert!(!session.is_idle(), "{what}");
    }
}

#[test]
fn both_ends_finished_is_the_end_of_a_stream() {
    for ours_first in [true, false] {
        let mut session = dialer();
        let stream = session.open().unwrap();
        session.write(NOW, stream, b"x", &mut SendBuf::default()).unwrap();
        if ours_first {
            session.finish(stream).unwrap();
            assert_eq!(due(&mut session), [(DATA, FIN, 1, 0)]);
            assert_eq!(session.write(NOW, stream, b"", &mut SendBuf::default()), Err(WriteError::Finished));
        }
        let seen = events(&mut session, &data(ACK | FIN, 1, b"y")).unwrap();
        assert_eq!(seen, [Event::Data { stream, len: 1, last: true }]);
        if !ours_first {
            assert_eq!(session.len(), 1);
            session.finish(stream).unwrap();
            session.finish(stream).unwrap();
            assert_eq!(due(&mut session), [(DATA, FIN, 1, 0)]);
        }
        assert!(session.is_idle());
        assert_eq!(session.wire_id(stream), None);
        assert_eq!(session.stop(stream), Err(UnknownStream));
        assert_eq!(session.reset(stream), Err(UnknownStream));
    }
}

#[test]
fn a_stopped_stream_takes_data_and_gives_it_back() {
    let mut session = listener();
    let stream = opened(&mut session, &head((DATA, SYN, 1, 0)));
    session.accept(stream);
    due(&mut session);
    let half = WINDOW as usize / 2;
    events(&mut session, &data(0, 1, &vec![0; half])).unwrap();
    session.stop(stream).unwrap();
    assert_eq!(due(&mut session), [(WINDOW_UPDATE, 0, 1, half as u32)], "what was not read");
    for _ in 0..10 {
        assert_eq!(events(&mut session, &data(0, 1, &vec![0; half])), Ok(vec![]));
        assert_eq!(due(&mut session), [(WINDOW_UPDATE, 0, 1, half as u32)]);
    }
    assert_eq!(events(&mut session, &data(FIN, 1, b"end")), Ok(vec![Event::Finished { stream }]));
    assert_eq!(session.write(NOW, stream, b"still", &mut SendBuf::default()), Ok(5));
}

#[test]
fn a_stream_reset_in_the_middle_of_a_frame_takes_the_rest_with_it() {
    let mut session = listener();
    let stream = opened(&mut session, &head((DATA, SYN, 1, 0)));
    let mut input = data(FIN, 1, b"abcdef")[..15].to_vec();
    let seen = feed(&mut session, &mut input).unwrap();
    assert_eq!(seen, [(Event::Data { stream, len: 3, last: false }, b"abc".to_vec())]);
    session.reset(stream).unwrap();
    assert_eq!(due(&mut session), [(DATA, RST, 1, 0)]);
    assert_eq!(events(&mut session, b"def"), Ok(vec![]));
    assert_eq!(events(&mut session, &head((PING, SYN, 0, 1))), Ok(vec![]), "in step again");
}

#[test]
fn a_stream_that_nobody_heard_of_is_reset_without_a_frame() {
    let mut session = dialer();
    let stream = session.open().unwrap();
    session.reset(stream).unwrap();
    assert_eq!(due(&mut session), []);
    assert!(session.is_idle());
    let guess = [head((DATA, RST, 3, 0)), head((WINDOW_UPDATE, ACK, 3, u32::MAX))].concat();
    let stream = session.open().unwrap();
    assert_eq!(events(&mut session, &guess), Ok(vec![]), "the peer cannot mean a stream before its SYN");
    assert_eq!(session.wire_id(stream), Some(3));
}
