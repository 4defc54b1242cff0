//! What a session does with each input.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use common::*;
use sanswarm_mplex::{Error, Event, Limits, OpenError, Session, UnknownStream, WriteError};
use sanswarm_wire::{Role, SendBuf};

const MIB: usize = 1024 * 1024;

fn write(session: &mut Session, id: sanswarm_mplex::StreamId, data: &[u8]) -> Vec<Head> {
    let mut send = SendBuf::default();
    assert_eq!(session.write(NOW, id, data, &mut send), Ok(data.len()));
    heads(send.ready())
}

#[test]
fn malformed_heads_are_fatal() {
    assert_fatal(listener(), &[0x0f], Error::UnknownFlag { id: 1 });
    assert_fatal(listener(), &[0x80; 9], Error::HeaderTooLong);
    assert_fatal(listener(), &[0x88, 0x00], Error::NotMinimal);
    assert_fatal(dialer(), &head(MESSAGE_INITIATOR, 7, MIB + 1), Error::MessageTooLong { limit: MIB as u32 });
    let limits = Limits { message_bytes: 5, ..Limits::default() };
    let error = Error::MessageTooLong { limit: 5 };
    assert_fatal(Session::new(Role::Dialer, limits.clone()), &head(NEW, 7, 6), error);
    let mut session = Session::new(Role::Dialer, limits);
    assert_eq!(events(&mut session, &frame(NEW, 7, b"12345")).unwrap().len(), 1);
}

#[test]
fn a_stream_that_is_open_cannot_be_opened() {
    let mut session = listener();
    opened(&mut session, 1);
    assert_fatal(session, &head(NEW, 1, 0), Error::AlreadyOpen { id: 1 });
    // Neither when the peer has closed its side only.
    let mut session = listener();
    opened(&mut session, 4);
    events(&mut session, &head(CLOSE_INITIATOR, 4, 0)).unwrap();
    assert_fatal(session, &frame(NEW, 4, b"name"), Error::AlreadyOpen { id: 4 });
}

#[test]
fn after_an_error_every_call_says_so() {
    let mut session = listener();
    let (theirs, mut send) = (opened(&mut session, 1), SendBuf::default());
    let ours = session.open().unwrap();
    session.write(NOW, theirs, &vec![0; 1 << 20], &mut send).unwrap();
    events(&mut session, &[0x0f]).unwrap_err();
    send.sent(usize::MAX / 2);
    assert_eq!(session.open(), Err(OpenError::Closed));
    assert_eq!(session.write(NOW, ours, b"x", &mut send), Err(WriteError::Closed));
    assert_eq!(session.write_room(ours, &send), 0);
    session.wait_writable(ours);
    session.poll_transmit(NOW, &mut send);
    assert_eq!(session.poll_writable(), None);
    assert_eq!((session.poll_timeout(), send.ready()), (None, &[][..]));
    assert_eq!(session.reset(ours), Ok(()));
    assert_eq!(due(&mut session), []);
}

#[test]
fn both_ends_may_give_out_the_same_id() {
    let (mut session, mut send) = (dialer(), SendBuf::default());
    let ours = session.open().unwrap();
    session.write(NOW, ours, b"hi", &mut send).unwrap();
    let theirs = opened(&mut session, 1);
    assert_eq!((session.wire_id(ours), session.wire_id(theirs)), (Some(1), Some(1)));
    let input = [frame(MESSAGE_RECEIVER, 1, b"ours"), frame(MESSAGE_INITIATOR, 1, b"theirs")].concat();
    let (to_ours, to_theirs) =
        (Event::Data { stream: ours, len: 4, last: false }, Event::Data { stream: theirs, len: 6, last: false });
    assert_eq!(events(&mut session, &input), Ok(vec![to_ours, to_theirs]));
    session.consumed(ours, 4);
    session.consumed(theirs, 6);
    assert_eq!(events(&mut session, &head(RESET_INITIATOR, 1, 0)), Ok(vec![Event::Reset { stream: theirs }]));
    assert_eq!(events(&mut session, &head(CLOSE_RECEIVER, 1, 0)), Ok(vec![Event::Finished { stream: ours }]));
    session.finish(ours).unwrap();
    assert_eq!(due(&mut session), [(CLOSE_INITIATOR, 1, 0)]);
    assert!(session.is_idle());
}

#[test]
fn dialers_have_odd_ids_and_listeners_even_ones() {
    for (role, ids) in [(Role::Dialer, [1, 3, 5]), (Role::Listener, [0, 2, 4])] {
        let mut session = Session::new(role, Limits::default());
        for _ in 0..3 {
            session.open().unwrap();
        }
        assert_eq!(due(&mut session), ids.map(|id| (NEW, id, 0)));
    }
}

#[test]
fn new_stream_goes_with_the_first_data_or_alone() {
    let mut session = dialer();
    let (with, without) = (session.open().unwrap(), session.open().unwrap());
    assert_eq!(write(&mut session, with, b"hi"), [(NEW, 1, 0), (MESSAGE_INITIATOR, 1, 2)]);
    assert_eq!(write(&mut session, with, b"again"), [(MESSAGE_INITIATOR, 1, 5)]);
    assert_eq!(due(&mut session), [(NEW, 3, 0)]);
    assert_eq!(due(&mut session), []);
    assert_eq!(write(&mut session, without, b"x"), [(MESSAGE_INITIATOR, 3, 1)]);
    assert_eq!(session.write(NOW, with, b"", &mut SendBuf::default()), Ok(0), "an empty message is none");
}

#[test]
fn nothing_is_sent_for_a_stream_of_theirs_but_what_was_said() {
    let mut session = dialer();
    let stream = opened(&mut session, 0);
    session.accept(stream);
    assert_eq!(due(&mut session), [], "accepting has no frame");
    assert_eq!(write(&mut session, stream, b"data"), [(MESSAGE_RECEIVER, 0, 4)]);
    session.finish(stream).unwrap();
    session.finish(stream).unwrap();
    assert_eq!(due(&mut session), [(CLOSE_RECEIVER, 0, 0)]);
    session.reset(stream).unwrap();
    assert_eq!(due(&mut session), [(RESET_RECEIVER, 0, 0)]);
}

#[test]
fn names_and_the_bodies_of_close_and_reset_are_dropped() {
    let mut session = listener();
    let mut input = frame(NEW, 9, b"a name that means nothing");
    input.extend(frame(MESSAGE_INITIATOR, 9, b"x"));
    input.extend(frame(CLOSE_INITIATOR, 9, b"no body expected"));
    input.extend(frame(RESET_INITIATOR, 9, &vec![7; MIB]));
    let seen = events(&mut session, &input).unwrap();
    let [Event::Opened { stream }, rest @ ..] = &seen[..] else { panic!("{seen:?}") };
    let stream = *stream;
    let expected = [Event::Data { stream, len: 1, last: false }, Event::Finished { stream }, Event::Reset { stream }];
    assert_eq!(rest, expected);
    assert!(session.is_idle() && session.unread() == 0);
}

#[test]
fn frames_for_unknown_streams_are_dropped_in_silence() {
    let mut session = listener();
    for flag in 1..7 {
        assert_eq!(events(&mut session, &frame(flag, 77, &vec![1; MIB])), Ok(vec![]));
    }
    assert_eq!(due(&mut session), []);
    assert!(session.is_idle());
}

#[test]
fn an_empty_message_is_nothing() {
    let mut session = listener();
    opened(&mut session, 1);
    assert_eq!(events(&mut session, &head(MESSAGE_INITIATOR, 1, 0).repeat(100)), Ok(vec![]));
}

#[test]
fn payload_is_told_as_it_comes() {
    let mut session = listener();
    let stream = opened(&mut session, 1);
    let input = frame(MESSAGE_INITIATOR, 1, b"abcdef");
    assert_eq!(session.handle_input(NOW, &input[..1]), Ok((0, None)), "half a head");
    assert_eq!(session.handle_input(NOW, &input[..2]), Ok((2, None)));
    assert_eq!(session.handle_input(NOW, b""), Ok((0, None)));
    assert_eq!(session.handle_input(NOW, b"abc"), Ok((0, Some(Event::Data { stream, len: 3, last: false }))));
    assert!(!session.is_idle());
    assert_eq!(session.handle_input(NOW, b"defg"), Ok((0, Some(Event::Data { stream, len: 3, last: false }))));
    assert_eq!(session.unread(), 6);
}

#[test]
fn payload_behind_close_is_dropped() {
    let mut session = listener();
    let stream = opened(&mut session, 1);
    let input = [frame(MESSAGE_INITIATOR, 1, b"end"), head(CLOSE_INITIATOR, 1, 0)].concat();
    let seen = events(&mut session, &input).unwrap();
    assert_eq!(seen, [Event::Data { stream, len: 3, last: false }, Event::Finished { stream }]);
    let more = [frame(MESSAGE_INITIATOR, 1, b"more"), head(CLOSE_INITIATOR, 1, 0)].concat();
    assert_eq!(events(&mut session, &more), Ok(vec![]), "neither payload nor a second end");
    assert_eq!((session.unread(), session.len()), (3, 1));
    assert_eq!(write(&mut session, stream, b"still"), [(MESSAGE_RECEIVER, 1, 5)]);
}

#[test]
fn both_ends_finished_is_the_end_of_a_stream() {
    for ours_first in [true, false] {
        let mut session = dialer();
        let stream = session.open().unwrap();
        write(&mut session, stream, b"x");
        if ours_first {
            session.finish(stream).unwrap();
            assert_eq!(due(&mut session), [(CLOSE_INITIATOR, 1, 0)]);
            assert_eq!(session.write(NOW, stream, b"", &mut SendBuf::default()), Err(WriteError::Finished));
        }
        assert_eq!(events(&mut session, &head(CLOSE_RECEIVER, 1, 0)), Ok(vec![Event::Finished { stream }]));
        if !ours_first {
            assert_eq!(session.len(), 1);
            session.finish(stream).unwrap();
            assert_eq!(session.len(), 1, "until it is sent");
            assert_eq!(due(&mut session), [(CLOSE_INITIATOR, 1, 0)]);
        }
        assert!(session.is_idle());
        assert_eq!(session.wire_id(stream), None);
        assert_eq!(session.write(NOW, stream, b"", &mut SendBuf::default()), Err(WriteError::Unknown));
        assert_eq!(session.finish(stream), Err(UnknownStream));
        assert_eq!(session.stop(stream), Err(UnknownStream));
        assert_eq!(session.reset(stream), Err(UnknownStream));
        assert_eq!(due(&mut session), []);
    }
}

#[test]
fn a_stream_over_but_unread_counts_until_it_is_read_and_its_id_is_free() {
    let mut session = listener();
    let old = opened(&mut session, 1);
    events(&mut session, &[frame(MESSAGE_INITIATOR, 1, b"unread"), head(CLOSE_INITIATOR, 1, 0)].concat()).unwrap();
    session.finish(old).unwrap();
    assert_eq!(due(&mut session), [(CLOSE_RECEIVER, 1, 0)]);
    assert_eq!((session.len(), session.unread()), (1, 6));
    assert_eq!(session.finish(old), Ok(()));
    assert_eq!(session.write(NOW, old, b"x", &mut SendBuf::default()), Err(WriteError::Finished));
    assert_eq!(events(&mut session, &head(RESET_INITIATOR, 1, 0)), Ok(vec![]), "the name is no more");
    let new = opened(&mut session, 1);
    session.consumed(old, 5);
    assert_eq!((session.len(), session.unread()), (2, 1));
    session.consumed(old, 5);
    assert_eq!((session.len(), session.unread(), session.wire_id(old)), (1, 0, None));
    assert_eq!(
        events(&mut session, &frame(MESSAGE_INITIATOR, 1, b"n")),
        Ok(vec![Event::Data { stream: new, len: 1, last: false }])
    );
}

#[test]
fn a_stream_over_but_unread_is_reset_without_a_frame() {
    // The peer has forgotten the stream, and may have given its id to another.
    for stop in [false, true] {
        let mut session = listener();
        let stream = opened(&mut session, 1);
        events(&mut session, &[frame(MESSAGE_INITIATOR, 1, b"unread"), head(CLOSE_INITIATOR, 1, 0)].concat()).unwrap();
        session.finish(stream).unwrap();
        due(&mut session);
        let end = if stop { Session::stop } else { Session::reset };
        assert_eq!(end(&mut session, stream), Ok(()));
        assert_eq!(due(&mut session), []);
        assert!(session.is_idle() && session.unread() == 0);
    }
}

#[test]
fn a_reset_by_the_peer_ends_a_stream() {
    for (ours, flag) in [(true, RESET_RECEIVER), (false, RESET_INITIATOR)] {
        let mut session = dialer();
        let stream = if ours { session.open().unwrap() } else { opened(&mut session, 1) };
        write(&mut session, stream, b"x");
        let data = flag - RESET_RECEIVER + MESSAGE_RECEIVER;
        events(&mut session, &frame(data, 1, b"lost")).unwrap();
        assert_eq!(events(&mut session, &head(flag, 1, 0)), Ok(vec![Event::Reset { stream }]));
        assert_eq!(events(&mut session, &head(flag, 1, 0)), Ok(vec![]), "unknown by now");
        assert_eq!(session.finish(stream), Err(UnknownStream));
        assert_eq!(session.write(NOW, stream, b"x", &mut SendBuf::default()), Err(WriteError::Unknown));
        assert_eq!(due(&mut session), [], "a reset is not answered");
        assert!(session.is_idle() && session.unread() == 0);
    }
}

#[test]
fn a_reset_of_ours_follows_what_was_written() {
    let (mut session, mut send) = (dialer(), SendBuf::default());
    let stream = session.open().unwrap();
    session.write(NOW, stream, b"data", &mut send).unwrap();
    session.finish(stream).unwrap();
    session.reset(stream).unwrap();
    assert!(!session.is_idle(), "the reset is due");
    session.poll_transmit(NOW, &mut send);
    assert_eq!(heads(send.ready()), [(NEW, 1, 0), (MESSAGE_INITIATOR, 1, 4), (RESET_INITIATOR, 1, 0)]);
    assert_eq!(events(&mut session, &frame(MESSAGE_RECEIVER, 1, b"crossing")), Ok(vec![]));
    assert_eq!(due(&mut session), []);
    assert!(session.is_idle());
}

#[test]
fn a_stream_that_nobody_heard_of_is_reset_without_a_frame() {
    let mut session = dialer();
    let stream = session.open().unwrap();
    session.reset(stream).unwrap();
    assert_eq!(due(&mut session), []);
    assert!(session.is_idle());
    let stream = session.open().unwrap();
    let guess = [head(RESET_RECEIVER, 3, 0), frame(MESSAGE_RECEIVER, 3, b"guess")].concat();
    assert_eq!(events(&mut session, &guess), Ok(vec![]), "the peer cannot mean a stream before its NewStream");
    assert_eq!(session.wire_id(stream), Some(3));
    session.finish(stream).unwrap();
    assert_eq!(due(&mut session), [(NEW, 3, 0), (CLOSE_INITIATOR, 3, 0)]);
}

#[test]
fn a_stopped_stream_takes_data_that_does_not_count() {
    let mut session = listener();
    let stream = opened(&mut session, 1);
    let mut input = frame(MESSAGE_INITIATOR, 1, b"abcdef")[..5].to_vec();
    feed(&mut session, NOW, &mut input).unwrap();
    assert_eq!(session.unread(), 3);
    session.stop(stream).unwrap();
    assert_eq!(session.unread(), 0);
    assert_eq!(events(&mut session, b"def"), Ok(vec![]), "the rest of the frame");
    for _ in 0..20 {
        assert_eq!(events(&mut session, &frame(MESSAGE_INITIATOR, 1, &vec![0; MIB])), Ok(vec![]));
    }
    assert_eq!((session.unread(), session.is_held()), (0, false));
    assert_eq!(events(&mut session, &head(CLOSE_INITIATOR, 1, 0)), Ok(vec![Event::Finished { stream }]));
    assert_eq!(write(&mut session, stream, b"still"), [(MESSAGE_RECEIVER, 1, 5)]);
}

#[test]
fn a_stream_reset_in_the_middle_of_a_frame_takes_the_rest_with_it() {
    let mut session = listener();
    let stream = opened(&mut session, 1);
    let mut input = frame(MESSAGE_INITIATOR, 1, b"abcdef")[..5].to_vec();
    let seen = feed(&mut session, NOW, &mut input).unwrap();
    assert_eq!(seen, [(Event::Data { stream, len: 3, last: false }, b"abc".to_vec())]);
    session.reset(stream).unwrap();
    assert_eq!(due(&mut session), [(RESET_RECEIVER, 1, 0)]);
    assert_eq!(session.handle_input(NOW, b"de"), Ok((2, None)));
    assert_eq!(
        session.handle_input(NOW, &[b"f", &head(NEW, 3, 0)[..]].concat()).map(|(n, _)| n),
        Ok(3),
        "in step again"
    );
    assert_eq!(session.len(), 1);
}

#[test]
fn after_going_away_their_streams_are_reset_and_ours_refused() {
    let mut session = listener();
    let stream = opened(&mut session, 1);
    session.go_away();
    assert_eq!(session.open(), Err(OpenError::GoingAway));
    assert_eq!(events(&mut session, &frame(NEW, 3, b"late")), Ok(vec![]));
    assert_eq!(events(&mut session, &frame(MESSAGE_INITIATOR, 3, b"lost")), Ok(vec![]));
    assert_eq!(due(&mut session), [(RESET_RECEIVER, 3, 0)]);
    assert_eq!(write(&mut session, stream, b"on"), [(MESSAGE_RECEIVER, 1, 2)], "open ones go on");
}

#[test]
fn our_streams_are_limited() {
    let limits = Limits { streams: 2, ..Limits::default() };
    let mut session = Session::new(Role::Listener, limits);
    opened(&mut session, 1);
    let stream = session.open().unwrap();
    session.open().unwrap();
    assert_eq!(session.open(), Err(OpenError::Limit { name: "streams", value: 2 }));
    session.reset(stream).unwrap();
    assert!(session.open().is_ok());
    assert_eq!(session.len(), 3);
    assert!(!session.is_empty());
}

#[test]
fn no_limit_is_below_its_range() {
    let limits = Limits {
        message_bytes: 0,
        stream_unread_bytes: 0,
        session_unread_bytes: 0,
        streams: 0,
        unaccepted: 0,
        control: 0,
        ..Limits::default()
    };
    let mut session = Session::new(Role::Listener, limits);
    assert!(!session.is_held());
    let stream = opened(&mut session, 1);
    for _ in 0..4096 {
        let seen = events(&mut session, &frame(MESSAGE_INITIATOR, 1, b"x"));
        assert_eq!(seen, Ok(vec![Event::Data { stream, len: 1, last: false }]), "the longest negotiation fits");
    }
    let mut input = frame(MESSAGE_INITIATOR, 1, b"x");
    assert_eq!(feed(&mut session, NOW, &mut input), Ok(vec![]));
    assert!(session.is_held());
}

#[test]
fn errors_say_what_is_wrong_and_which_limit() {
    let said = [
        (Error::HeaderTooLong.to_string(), "the peer sent a head of more than nine bytes"),
        (Error::NotMinimal.to_string(), "the peer sent a varint that is not minimal"),
        (Error::UnknownFlag { id: 3 }.to_string(), "the peer sent flag 7, which does not exist, for stream 3"),
        (Error::MessageTooLong { limit: 5 }.to_string(), "the peer announced a message of more than 5 bytes"),
        (Error::AlreadyOpen { id: 4 }.to_string(), "the peer opened stream 4, which is open"),
        (OpenError::Exhausted.to_string(), "all stream ids have been used"),
        (OpenError::GoingAway.to_string(), "the session is going away"),
        (OpenError::Limit { name: "streams", value: 9 }.to_string(), "our limit streams is reached: 9"),
        (OpenError::Closed.to_string(), "the session has failed"),
        (WriteError::Unknown.to_string(), "the stream is unknown: reset, or finished by both ends"),
        (WriteError::Finished.to_string(), "the stream was finished by this end"),
        (WriteError::Closed.to_string(), "the session has failed"),
        (UnknownStream.to_string(), "the stream is unknown: reset, or finished by both ends"),
    ];
    for (text, expected) in said {
        assert_eq!(text, expected);
    }
}
