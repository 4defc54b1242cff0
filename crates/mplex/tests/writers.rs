//! What goes out: frames, room and turns.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use common::*;
use proptest::prelude::*;
use sanswarm_mplex::{FRAME_BYTES, Limits, Session, StreamId, TURN_BYTES};
use sanswarm_wire::{Framing, Role, SendBuf};

fn write(session: &mut Session, id: StreamId, data: &[u8], send: &mut SendBuf) -> usize {
    let room = session.write_room(id, send);
    let n = session.write(NOW, id, data, send).unwrap();
    assert_eq!(n, room.min(data.len()), "write_room tells what write takes");
    n
}

#[test]
fn frames_are_of_16_kib() {
    let (mut session, mut send) = (dialer(), SendBuf::new(1024 * 1024));
    let stream = session.open().unwrap();
    assert_eq!(write(&mut session, stream, &vec![0; 5 * FRAME_BYTES + 1], &mut send), 5 * FRAME_BYTES + 1);
    let sent: Vec<_> = heads(send.ready()).into_iter().map(|(.., length)| length).collect();
    assert_eq!(sent, [0, FRAME_BYTES, FRAME_BYTES, FRAME_BYTES, FRAME_BYTES, FRAME_BYTES, 1]);
    assert_eq!(FRAME_BYTES, 16 * 1024);
}

#[test]
fn what_does_not_fit_stays_due() {
    let mut session = dialer();
    let streams = [1, 3, 5].map(|_| session.open().unwrap());
    session.finish(streams[0]).unwrap();
    let mut send = SendBuf::new(16 * 1024);
    let full = vec![0; send.control_room() - 3];
    assert!(send.append(&full));
    assert_eq!(session.poll_transmit(NOW, &mut send), 2, "NewStream, and no Close");
    assert_eq!(session.poll_transmit(NOW, &mut send), 0);
    assert_eq!(due(&mut session), [(CLOSE_INITIATOR, 1, 0), (NEW, 3, 0), (NEW, 5, 0)]);
}

#[test]
fn a_frame_never_crosses_the_end_of_a_sealed_frame() {
    const FRAMING: Framing = Framing { prefix: 2, suffix: 3, plain_max: 40 };
    let (mut session, mut send) = (dialer(), SendBuf::default());
    send.set_framing(FRAMING);
    let stream = session.open().unwrap();
    let (mut left, mut plain) = (&[7; 100][..], Vec::new());
    while !left.is_empty() {
        let n = write(&mut session, stream, left, &mut send);
        left = &left[n..];
        plain.extend_from_slice(send.open_frame().unwrap());
        send.close_frame(b"..", b"...");
    }
    let lengths: Vec<_> = heads(&plain).into_iter().map(|(.., length)| length).collect();
    assert_eq!(lengths, [0, 36, 38, 26]);
}

#[test]
fn a_stream_is_not_opened_where_nothing_of_its_data_fits() {
    let (mut session, mut send) = (dialer(), SendBuf::new(16 * 1024));
    let stream = session.open().unwrap();
    for (room, taken, sent) in [(4, 0, 0), (5, 1, 5)] {
        let fill = send.room() - room;
        assert!(send.append(&vec![0; fill]));
        assert_eq!(write(&mut session, stream, b"data", &mut send), taken);
        assert_eq!(send.ready().len(), fill + sent);
        send.sent(usize::MAX / 2);
    }
    assert_eq!(due(&mut session), [], "it has gone with the byte");
    // One that is open needs less.
    let fill = send.room() - 6;
    assert!(send.append(&vec![0; fill]));
    assert_eq!(write(&mut session, stream, b"12345", &mut send), 4);
    assert_eq!(heads(&send.ready()[fill..]), [(MESSAGE_INITIATOR, 1, 4)]);
}

#[test]
fn a_stream_that_could_not_write_is_opened_without_data() {
    let (mut session, mut send) = (dialer(), SendBuf::new(16 * 1024));
    let stream = session.open().unwrap();
    assert!(send.append(&vec![0; send.room()]));
    assert_eq!(write(&mut session, stream, b"data", &mut send), 0);
    assert_eq!(due(&mut session), [(NEW, 1, 0)]);
}

#[test]
fn a_stream_that_is_finished_has_no_room() {
    let (mut session, send) = (dialer(), SendBuf::default());
    let stream = session.open().unwrap();
    assert!(session.write_room(stream, &send) > 0);
    session.finish(stream).unwrap();
    assert_eq!(session.write_room(stream, &send), 0);
    session.reset(stream).unwrap();
    assert_eq!(session.write_room(stream, &send), 0);
}

#[test]
fn who_is_told_that_it_can_write_can() {
    let mut session = listener();
    let stream = opened(&mut session, (1 << 60) - 1);
    for room in 0..200 {
        let mut send = SendBuf::new(16 * 1024);
        session.write(NOW, stream, &vec![0; 40_000], &mut send).unwrap();
        send.sent(usize::MAX / 2);
        assert!(send.append(&vec![0; send.room() - room]));
        session.poll_transmit(NOW, &mut send);
        match session.poll_writable() {
            Some(told) => assert!(told == stream && session.write_room(stream, &send) > 0, "{room}"),
            None => assert!(room <= 20, "{room}"),
        }
        session.decline(stream);
    }
}

/// Sends all of `send` to nowhere, and counts payload a stream.
fn drain(send: &mut SendBuf, sent: &mut [usize]) {
    for (flag, id, length) in heads(send.ready()) {
        if flag == MESSAGE_INITIATOR {
            sent[id as usize / 2] += length;
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
        write(&mut session, *stream, &payload, &mut send);
    }
    assert_eq!(write(&mut session, streams[99], b"x", &mut send), 0);
    drain(&mut send, &mut sent);
    sent.fill(0);
    let mut turns = 0;
    while sent[99] == 0 {
        session.poll_transmit(NOW, &mut send);
        while let Some(stream) = session.poll_writable() {
            let mine = if stream == streams[99] { &b"x"[..] } else { &payload };
            let n = write(&mut session, stream, mine, &mut send);
            assert!(n <= TURN_BYTES);
            turns += 1;
        }
        drain(&mut send, &mut sent);
    }
    assert!(turns <= 130, "{turns} turns");
    let most = sent[..99].iter().max().copied().unwrap_or(0);
    assert!(most <= 2 * TURN_BYTES, "nobody had a second turn before it: {most}");
}

/// Two streams that came short, and room.
fn two_writers() -> (Session, SendBuf, [StreamId; 2]) {
    let (mut session, mut send) = (dialer(), SendBuf::new(16 * 1024));
    let streams = [1, 3].map(|_| session.open().unwrap());
    for stream in streams {
        write(&mut session, stream, &[0; 60_000], &mut send);
    }
    assert_eq!(session.poll_writable(), None, "no room");
    send.sent(usize::MAX / 2);
    session.poll_transmit(NOW, &mut send);
    send.sent(usize::MAX / 2);
    (session, send, streams)
}

#[test]
fn a_stream_that_goes_or_declines_leaves_the_line() {
    let ends: [fn(&mut Session, StreamId); 3] = [
        |session, id| session.finish(id).unwrap(),
        |session, id| session.reset(id).unwrap(),
        |session, id| session.decline(id),
    ];
    for end in ends {
        let (mut session, mut send, [gone, next]) = two_writers();
        assert_eq!(session.poll_writable(), Some(gone));
        assert_eq!(session.poll_writable(), None, "told once");
        end(&mut session, gone);
        assert_eq!(session.poll_writable(), Some(next), "the turn goes on at once");
        assert!(write(&mut session, next, &[0; 60_000], &mut send) > TURN_BYTES / 2);
    }
}

#[test]
fn a_head_that_was_told_and_does_not_write_is_passed_over() {
    let (mut session, mut send, [idle, keen]) = two_writers();
    assert_eq!(session.poll_writable(), Some(idle));
    session.poll_transmit(NOW, &mut send);
    assert_eq!(session.poll_writable(), Some(keen));
    assert!(write(&mut session, keen, &[0; 60_000], &mut send) > 0);
}

#[test]
fn a_message_that_must_go_whole_gets_in_line() {
    let (mut session, mut send, [whole, keen]) = two_writers();
    assert_eq!(session.poll_writable(), Some(whole));
    session.wait_writable(whole);
    assert_eq!(session.poll_writable(), Some(keen), "the other has its turn");
    assert!(write(&mut session, keen, &[0; 100], &mut send) > 0, "and has no more to write");
    assert_eq!(session.poll_writable(), Some(whole));
    // One that cannot write is left alone.
    session.decline(whole);
    session.finish(keen).unwrap();
    session.wait_writable(keen);
    assert_eq!(session.poll_writable(), None);
    session.wait_writable(whole);
    assert_eq!(session.poll_writable(), Some(whole));
}

#[test]
fn who_is_not_in_line_waits_its_turn() {
    let (mut session, mut send, [first, _]) = two_writers();
    let third = session.open().unwrap();
    assert_eq!(write(&mut session, third, b"me first", &mut send), 0);
    assert_eq!(session.poll_writable(), Some(first));
    assert_eq!(session.write_room(first, &send), (16 - 4) * 1024 - 3, "all the room, which is less than a turn");
}

proptest! {
    /// Whatever the room and the id, `write` takes what `write_room` says, nothing more would fit, and it is all there.
    #[test]
    fn room_is_used_to_the_last_byte(
        id in prop_oneof![0..40u64, 0..1u64 << 60],
        room in 0usize..60_000,
        len in 1usize..70_000,
        ours in any::<bool>(),
    ) {
        let mut session = if ours { dialer() } else { listener() };
        let stream = if ours { session.open().unwrap() } else { opened(&mut session, id) };
        let mut send = SendBuf::new(128 * 1024);
        let fill = send.room() - room;
        assert!(send.append(&vec![0; fill]));
        let before = send.room();
        let n = write(&mut session, stream, &vec![1; len], &mut send);
        let written = heads(&send.ready()[fill..]);
        prop_assert_eq!(written.iter().map(|(.., length)| length).sum::<usize>(), n);
        prop_assert!(written.iter().all(|(flag, _, length)| *length > 0 || *flag == NEW));
        // A head of one more byte, or of a longer length, is all that is left.
        let least = varint(if ours { 1 } else { id } << 3).len() + 2;
        prop_assert!(n == len || send.room() <= least || (n == 0 && before <= least + 2), "{} left of {}", send.room(), before);
    }
}

#[test]
fn an_idle_session_owes_nothing() {
    let mut session = Session::new(Role::Dialer, Limits::default());
    assert!(session.is_idle() && session.is_empty());
    let stream = session.open().unwrap();
    assert!(!session.is_idle());
    let mut send = SendBuf::default();
    write(&mut session, stream, b"x", &mut send);
    session.reset(stream).unwrap();
    assert!(!session.is_idle(), "a reset is due");
    assert_eq!(due(&mut session), [(RESET_INITIATOR, 1, 0)]);
    assert!(session.is_idle());
    assert_eq!(session.handle_input(NOW, &head(MESSAGE_RECEIVER, 1, 5)), Ok((2, None)));
    assert!(!session.is_idle(), "in the middle of a frame");
    events(&mut session, b"12345").unwrap();
    assert!(session.is_idle());
}
