//! What a stream goes through, and that it harms no other.

mod common;

use common::{End, Pair, name, names, now, pattern};
use sanswarm_connection::{
    Direction, Event, Limits, Open, OpenError, ReadError, Refusal, RefusalCause, StreamId, WriteError,
};

const ECHO: &str = "/echo/1.0.0";

/// A ready pair with a stream that both ends have agreed on. The listener does nothing of itself.
fn open_pair() -> (Pair, StreamId, StreamId) {
    let mut pair = Pair::ready(&[ECHO]);
    pair.b.echoes = false;
    let id = pair.a.open(&[ECHO], Open::Wait);
    pair.run();
    let inbound = pair.b.inbound()[0];
    (pair, id, inbound)
}

fn assert_stale(end: &mut End, id: StreamId) {
    assert_eq!(end.conn.read(id), Err(ReadError::Gone));
    assert_eq!(end.conn.write(now(), id, b"x", &mut end.send), Err(WriteError::Gone));
    for result in [end.conn.finish(id), end.conn.stop(id), end.conn.reset(id)] {
        assert_eq!(result, Err(WriteError::Gone));
    }
}

fn assert_echo_works(pair: &mut Pair) {
    pair.b.echoes = true;
    let id = pair.a.request(&[ECHO], Open::Lazy, b"still here");
    pair.run();
    assert_eq!(pair.a.got[&id], b"still here");
    assert_eq!((&pair.a.error, &pair.b.error), (&None, &None));
}

// ---- agreement

#[test]
fn a_refused_stream_tells_the_dialer_what_was_offered_and_the_listener_nothing() {
    let mut pair = Pair::ready(&[ECHO]);
    let id = pair.a.open(&["/x", "/y"], Open::Wait);
    pair.run();
    let offered = vec![name("/x"), name("/y")];
    let refusal = Refusal { offered, remote: vec![], cause: RefusalCause::NotSupported, data_sent: false };
    assert_eq!(refusal.to_string(), "the peer speaks none of /x, /y");
    assert_eq!(pair.a.refusal(id), Some(&refusal));
    assert_eq!(pair.b.events.len(), 1, "only Ready");
    assert_eq!((pair.a.conn.stats().streams, pair.b.conn.stats().streams), (0, 0));
    assert_stale(&mut pair.a, id);
    assert_echo_works(&mut pair);
}

#[test]
fn of_several_names_the_first_common_one_is_agreed_on() {
    let mut pair = Pair::ready(&["/z", ECHO]);
    let id = pair.a.open(&["/x", ECHO, "/z"], Open::Wait);
    pair.run();
    let opened = |stream, direction| Event::Opened { stream, protocol: name(ECHO), direction };
    assert!(pair.a.saw(&opened(id, Direction::Outbound)));
    assert!(pair.b.saw(&opened(pair.b.inbound()[0], Direction::Inbound)));
}

#[test]
fn no_name_is_no_stream() {
    let mut pair = Pair::ready(&[]);
    assert_eq!(pair.a.conn.open(now(), names(&[]), Open::Wait), Err(OpenError::NoName));
}

#[test]
fn names_can_be_set_while_the_connection_runs() {
    let mut pair = Pair::ready(&[]);
    let first = pair.a.open(&[ECHO], Open::Wait);
    pair.run();
    assert!(pair.a.refusal(first).is_some());
    pair.b.conn.set_names(common::known(&[ECHO]));
    assert_echo_works(&mut pair);
}

#[test]
fn a_peer_that_resets_before_its_agreement_is_out_is_a_refusal() {
    let mut pair = Pair::ready(&[ECHO]);
    let id = pair.a.open(&[ECHO], Open::Wait);
    pair.a.settle(pair.at);
    let n = pair.b.recv.feed(pair.a.send.ready());
    pair.a.send.sent(n);
    pair.b.poll(pair.at);
    pair.b.conn.reset(pair.b.inbound()[0]).unwrap();
    pair.run();
    assert_eq!(pair.a.refusal(id).unwrap().cause, RefusalCause::Reset);
}

#[test]
fn a_write_before_agreement_takes_nothing_and_can_go_on_after_it() {
    let mut pair = Pair::ready(&[ECHO]);
    let id = pair.a.open(&[ECHO], Open::Wait);
    assert_eq!(pair.a.write(id, b"early"), 0);
    pair.run();
    assert!(pair.a.opened(id));
    assert_eq!(pair.a.events.last(), Some(&Event::Writable { stream: id }));
    assert_eq!(pair.a.write(id, b"now"), 3);
}

// ---- lazy payload behind a refusal

#[test]
fn lazy_payload_behind_a_refusal_harms_nothing_else() {
    let payloads: [&[u8]; 7] =
        [b"hello", b"\n", &[0; 50], &[0xff; 50], b"\x03ab\n", b"\x05/abc\n\xff\xff\xff", &[7; 100_000]];
    for payload in payloads {
        for finished in [false, true] {
            let mut pair = Pair::ready(&[ECHO]);
            let other = pair.a.open(&[ECHO], Open::Wait);
            let id = pair.a.open(&["/x"], Open::Lazy);
            assert_eq!(pair.a.write(id, payload), payload.len().min(100_000));
            if finished {
                pair.a.conn.finish(id).unwrap();
            }
            pair.run();
            let refusal = pair.a.refusal(id).unwrap();
            assert!(refusal.data_sent, "{payload:?}");
            assert_eq!((&refusal.cause, &refusal.offered), (&RefusalCause::NotSupported, &vec![name("/x")]));
            assert_eq!(pair.b.inbound().len(), 1, "only the other");
            pair.a.send_all(other, b"other");
            pair.run();
            assert_eq!(pair.a.got[&other], b"other");
            assert_eq!((pair.a.conn.stats().streams, pair.b.conn.stats().streams), (0, 0));
            assert_echo_works(&mut pair);
        }
    }
}

#[test]
fn a_lazy_refusal_without_payload_says_so() {
    let mut pair = Pair::ready(&[]);
    let id = pair.a.open(&["/x"], Open::Lazy);
    pair.run();
    assert!(!pair.a.refusal(id).unwrap().data_sent);
}

// ---- finish

#[test]
fn half_close_early_lets_the_answer_come() {
    for how in [Open::Wait, Open::Lazy] {
        let mut pair = Pair::ready(&[ECHO]);
        let id = pair.a.request(&[ECHO], how, &pattern(100_000));
        pair.run();
        assert_eq!(pair.a.got[&id], pattern(100_000));
        assert_eq!((pair.a.conn.stats().streams, pair.b.conn.stats().streams), (0, 0));
        assert_stale(&mut pair.a, id);
    }
}

#[test]
fn half_close_late_ends_the_stream() {
    let (mut pair, id, inbound) = open_pair();
    pair.a.write(id, b"ask");
    pair.run();
    assert_eq!(pair.b.got[&inbound], b"ask");
    pair.b.write(inbound, b"answer");
    pair.b.conn.finish(inbound).unwrap();
    pair.run();
    assert_eq!(pair.a.got[&id], b"answer");
    assert_eq!(pair.a.conn.read(id), Err(ReadError::Finished), "still ours to finish");
    assert_eq!(pair.a.write(id, b"more"), 4);
    pair.a.conn.finish(id).unwrap();
    pair.run();
    assert_eq!(pair.b.got[&inbound], b"askmore");
    assert_eq!((pair.a.conn.stats().streams, pair.b.conn.stats().streams), (0, 0));
}

#[test]
fn finish_before_agreement_is_an_empty_stream() {
    let mut pair = Pair::ready(&[ECHO]);
    let id = pair.a.open(&["/x", ECHO], Open::Wait);
    pair.a.conn.finish(id).unwrap();
    pair.run();
    let inbound = pair.b.inbound()[0];
    assert_eq!(pair.b.got[&inbound], b"");
    assert!(pair.b.ended.contains(&inbound) && pair.a.ended.contains(&id));
}

#[test]
fn finish_right_behind_a_lazy_write_still_delivers() {
    for ready in [false, true] {
        let mut pair = if ready { Pair::ready(&[ECHO]) } else { Pair::new(&[ECHO]) };
        let id = pair.a.request(&[ECHO], Open::Lazy, b"x");
        pair.run();
        assert_eq!(pair.a.got[&id], b"x");
    }
}

#[test]
fn after_finish_a_write_is_an_error_of_its_own() {
    let (mut pair, id, _) = open_pair();
    pair.a.conn.finish(id).unwrap();
    assert_eq!(pair.a.conn.finish(id), Err(WriteError::Finished));
    assert_eq!(pair.a.conn.write(now(), id, b"x", &mut pair.a.send), Err(WriteError::Finished));
    assert_eq!(pair.a.conn.read(id), Ok(None));
}

#[test]
fn the_end_comes_behind_all_payload() {
    let (mut pair, id, inbound) = open_pair();
    pair.b.reads = false;
    pair.a.send_all(id, b"last words");
    pair.run();
    let place = |event| pair.b.events.iter().position(|e| *e == event).unwrap();
    assert!(place(Event::Readable { stream: inbound }) < place(Event::Finished { stream: inbound }));
    assert_eq!(pair.b.read_all(inbound), b"last words");
    assert_eq!(pair.b.conn.read(inbound), Err(ReadError::Finished));
}

#[test]
fn a_listener_that_ends_its_side_before_its_agreement_is_out_leaves_nothing_behind() {
    let mut pair = Pair::ready(&[ECHO]);
    pair.b.reads = false;
    pair.a.request(&[ECHO], Open::Lazy, b"x");
    pair.a.settle(pair.at);
    let n = pair.b.recv.feed(pair.a.send.ready());
    pair.a.send.sent(n);
    pair.b.poll(pair.at);
    let inbound = pair.b.inbound()[0];
    pair.b.conn.finish(inbound).unwrap();
    assert_eq!(pair.b.read_all(inbound), b"x");
    pair.run();
    assert_eq!((pair.a.conn.stats().streams, pair.b.conn.stats().streams), (0, 0));
    assert_eq!(pair.a.error, None);
}

// ---- reset and stop

#[test]
fn a_reset_is_heard_by_the_other_end_and_makes_both_ids_stale() {
    for by_dialer in [true, false] {
        let (mut pair, id, inbound) = open_pair();
        let (end, own) = if by_dialer { (&mut pair.a, id) } else { (&mut pair.b, inbound) };
        end.conn.reset(own).unwrap();
        pair.run();
        let (other, its) = if by_dialer { (&pair.b, inbound) } else { (&pair.a, id) };
        assert!(other.saw(&Event::Reset { stream: its }));
        assert_stale(&mut pair.a, id);
        assert_stale(&mut pair.b, inbound);
        assert_echo_works(&mut pair);
    }
}

#[test]
fn a_stale_id_never_names_a_later_stream() {
    let (mut pair, id, _) = open_pair();
    pair.a.conn.reset(id).unwrap();
    let next = pair.a.open(&[ECHO], Open::Wait);
    assert_eq!(next.index(), id.index(), "the same slot");
    assert_stale(&mut pair.a, id);
    pair.run();
    assert!(pair.a.opened(next));
}

#[test]
fn a_stream_reset_before_its_first_byte_is_never_heard_of() {
    let mut pair = Pair::new(&[ECHO]);
    let early = pair.a.open(&[ECHO], Open::Lazy);
    pair.a.conn.reset(early).unwrap();
    pair.run();
    let later = pair.a.open(&[ECHO], Open::Lazy);
    pair.a.conn.reset(later).unwrap();
    pair.run();
    assert_eq!((pair.a.events.len(), pair.b.events.len()), (1, 1), "only Ready");
}

#[test]
fn stop_drops_what_comes_and_lets_the_writer_go_on() {
    let (mut pair, id, inbound) = open_pair();
    pair.a.conn.stop(id).unwrap();
    pair.b.send_all(inbound, &pattern(1_000_000));
    pair.run();
    assert!(!pair.a.saw(&Event::Readable { stream: id }) && !pair.a.saw(&Event::Finished { stream: id }));
    pair.a.send_all(id, b"we still write");
    pair.run();
    assert_eq!(pair.b.got[&inbound], b"we still write");
    assert_eq!((pair.a.conn.stats().streams, pair.b.conn.stats().streams), (0, 0));
}

#[test]
fn stop_before_agreement_still_negotiates() {
    let mut pair = Pair::ready(&[ECHO]);
    let id = pair.a.open(&["/x", ECHO], Open::Wait);
    pair.a.conn.stop(id).unwrap();
    pair.a.send_all(id, &pattern(500_000));
    pair.run();
    assert!(pair.a.opened(id) && !pair.a.got.contains_key(&id));
    assert_eq!(pair.b.got[&pair.b.inbound()[0]], pattern(500_000));
    assert_eq!((pair.a.conn.stats().streams, pair.b.conn.stats().streams), (0, 0));
}

#[test]
fn stop_drops_what_was_unread() {
    let (mut pair, id, inbound) = open_pair();
    pair.a.reads = false;
    pair.b.write(inbound, b"unread");
    pair.run();
    pair.a.conn.stop(id).unwrap();
    assert_eq!(pair.a.conn.read(id), Ok(None));
}

// ---- limits and flow

#[test]
fn our_stream_limit_is_an_error_that_names_it() {
    let mut pair = Pair::with(&[ECHO], Limits { streams: 3, ..Limits::default() }, Limits::default());
    for _ in 0..3 {
        pair.a.open(&[ECHO], Open::Wait);
    }
    let limit = OpenError::Limit { name: "streams", value: 3 };
    assert_eq!(pair.a.conn.open(now(), names(&[ECHO]), Open::Wait), Err(limit));
    pair.run();
    assert_eq!(pair.a.conn.stats().streams, 3);
    assert_eq!(pair.a.conn.open(now(), names(&[ECHO]), Open::Wait), Err(limit));
}

#[test]
fn what_is_beyond_the_peers_stream_limit_is_refused_alone() {
    let mut pair = Pair::with(&[ECHO], Limits::default(), Limits { streams: 2, ..Limits::default() });
    pair.run();
    let ids = [0; 3].map(|_| pair.a.open(&[ECHO], Open::Wait));
    pair.run();
    assert!(pair.a.opened(ids[0]) && pair.a.opened(ids[1]));
    assert_eq!(pair.a.refusal(ids[2]).unwrap().cause, RefusalCause::Reset);
    pair.a.send_all(ids[1], b"ok");
    pair.run();
    assert_eq!(pair.a.got[&ids[1]], b"ok");
}

#[test]
fn a_short_write_is_followed_by_writable() {
    let (mut pair, id, inbound) = open_pair();
    pair.b.reads = false;
    let data = pattern(1_000_000);
    let mut taken = pair.a.write(id, &data);
    assert!(taken < data.len());
    let before = pair.a.events.len();
    pair.b.reads = true;
    while taken < data.len() {
        pair.run();
        let told = pair.a.events[before..].iter().filter(|e| **e == Event::Writable { stream: id }).count();
        assert!(told > 0, "after {taken} bytes");
        let n = pair.a.write(id, &data[taken..]);
        assert!(n > 0, "Writable was true");
        taken += n;
    }
    pair.run();
    assert_eq!(pair.b.got[&inbound], data);
}

#[test]
fn a_reader_that_does_not_read_holds_its_own_stream_only() {
    let (mut pair, id, inbound) = open_pair();
    pair.b.reads = false;
    pair.a.send_all(id, &pattern(1_000_000));
    pair.run();
    pair.b.reads = true;
    assert_echo_works(&mut pair);
    assert!(!pair.b.got.contains_key(&inbound));
    let held = pair.b.read_all(inbound);
    let negotiated = "\x13/multistream/1.0.0\n\x0c/echo/1.0.0\n".len();
    assert_eq!(held.len(), 256 * 1024 - negotiated, "one window");
    assert_eq!(held, pattern(1_000_000)[..held.len()]);
    pair.run();
    pair.b.take_in(pair.at, inbound);
    assert!(!pair.b.got[&inbound].is_empty(), "reading made room");
}

#[test]
fn readable_comes_once_until_a_read_found_nothing() {
    let (mut pair, id, inbound) = open_pair();
    pair.b.reads = false;
    let told = |pair: &Pair| pair.b.events.iter().filter(|e| **e == Event::Readable { stream: inbound }).count();
    for _ in 0..3 {
        pair.a.write(id, b"x");
        pair.run();
    }
    assert_eq!(told(&pair), 1);
    assert_eq!(pair.b.read_all(inbound), b"xxx");
    pair.a.write(id, b"y");
    pair.run();
    assert_eq!(told(&pair), 2);
}

#[test]
fn twenty_large_echoes_at_once_arrive_whole() {
    for (how, chunk) in [(Open::Wait, usize::MAX), (Open::Lazy, 5000)] {
        let mut pair = Pair::new(&[ECHO]);
        pair.chunk = chunk;
        let ids: Vec<_> = (0..20).map(|i| pair.a.request(&["/x", ECHO][i % 2..], how, &pattern(300_000 + i))).collect();
        pair.run();
        for (i, id) in ids.iter().enumerate() {
            assert_eq!(pair.a.got.get(id).map(Vec::len), Some(300_000 + i), "{how:?}");
            assert_eq!(pair.a.got[id], pattern(300_000 + i));
            assert!(pair.a.ended.contains(id));
        }
        assert_eq!((pair.a.conn.stats().streams, pair.b.conn.stats().streams), (0, 0));
    }
}

#[test]
fn a_larger_window_is_granted() {
    let wide = Limits { window_bytes: 1024 * 1024, ..Limits::default() };
    let mut pair = Pair::with(&[ECHO], Limits::default(), wide);
    pair.b.reads = false;
    let id = pair.a.request(&[ECHO], Open::Wait, &pattern(2_000_000));
    pair.run();
    let inbound = pair.b.inbound()[0];
    assert_eq!(pair.b.read_all(inbound).len(), 1024 * 1024);
    assert!(pair.a.opened(id));
}

#[test]
fn a_stream_read_late_does_not_take_the_next_one_along() {
    let mut pair = Pair::ready(&[ECHO]);
    pair.a.reads = false;
    let first = pair.a.request(&[ECHO], Open::Wait, b"early");
    pair.run();
    // Both sides have finished and the muxer has forgotten it; the next stream gets its slot there.
    let second = pair.a.open(&[ECHO], Open::Wait);
    pair.run();
    assert_eq!(pair.a.read_all(first), b"early");
    assert_eq!(pair.a.conn.read(first), Err(ReadError::Gone), "read to its end");
    pair.a.reads = true;
    pair.a.send_all(second, b"late");
    pair.run();
    assert_eq!(pair.a.got[&second], b"late");
}

// ---- what is unread

#[test]
fn what_was_not_read_is_counted_and_nothing_else() {
    let (mut pair, id, theirs) = open_pair();
    pair.b.reads = false;
    let unread = |pair: &Pair| [pair.a.conn.stats().unread, pair.b.conn.stats().unread];
    assert_eq!(unread(&pair), [0, 0], "what was negotiated has been used");
    pair.a.write(id, &pattern(5000));
    let other = pair.a.open(&[ECHO], Open::Wait);
    pair.run();
    pair.a.write(other, &pattern(700));
    pair.run();
    assert_eq!(unread(&pair), [0, 5700]);
    let first = pair.b.read(theirs).unwrap().len();
    assert_eq!(unread(&pair), [0, 5700 - first]);
    pair.b.read_all(theirs);
    assert_eq!(unread(&pair), [0, 700]);
    let others = pair.b.inbound()[1];
    pair.b.conn.stop(others).unwrap();
    assert_eq!(unread(&pair), [0, 0], "dropped");
    pair.a.write(other, &pattern(300));
    pair.run();
    assert_eq!(unread(&pair), [0, 0], "and not kept any more");
    pair.a.write(id, &pattern(900));
    pair.run();
    assert_eq!(unread(&pair), [0, 900]);
    pair.a.conn.reset(id).unwrap();
    pair.run();
    assert_eq!(unread(&pair), [0, 0], "it went with its stream");
}
