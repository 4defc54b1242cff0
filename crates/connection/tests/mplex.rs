//! The same connection over mplex: what a stream goes through, and what is bounded where no credit is.
#![cfg(feature = "mplex")]
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use std::sync::Arc;

use common::{DIALER, End, LISTENER, Pair, keypair, known, name, now, pattern, peer, secs};
use sanswarm_connection::{
    CloseReason, Config, Connection, Error, Event, Goodbye, Hangup, Limits, Muxer, Open, ReadError, RefusalCause,
    Security, Stage, StreamId, WriteError,
};
use sanswarm_wire::{Role, SendBuf};

const ECHO: &str = "/echo/1.0.0";
const MIB: usize = 1 << 20;

fn config(seed: u8, muxers: &[Muxer]) -> Arc<Config> {
    let limits = Limits::default();
    Arc::new(Config::new(&keypair(seed), [seed + 1; 32], Security::defaults(), muxers.to_vec(), limits).unwrap())
}

fn dialer(muxers: &[Muxer]) -> End {
    let config = config(DIALER, muxers);
    End::of(Connection::new(now(), Role::Dialer, config, Some(peer(LISTENER)), [DIALER + 2; 32]))
}

fn listener(muxers: &[Muxer]) -> End {
    let mut conn = Connection::new(now(), Role::Listener, config(LISTENER, muxers), None, [LISTENER + 2; 32]);
    conn.set_names(known(&[ECHO]));
    let mut end = End::of(conn);
    end.echoes = true;
    end
}

fn pair() -> Pair {
    Pair::of(dialer(&[Muxer::Mplex]), listener(&[Muxer::Mplex]))
}

/// Over a pipe that is secure already, where the muxer is negotiated by multistream-select.
fn secured(ours: &[Muxer], theirs: &[Muxer]) -> Pair {
    let a = Connection::secured(now(), Role::Dialer, config(DIALER, ours), peer(LISTENER));
    let mut b = Connection::secured(now(), Role::Listener, config(LISTENER, theirs), peer(DIALER));
    b.set_names(known(&[ECHO]));
    let mut pair = Pair::of(End::of(a), End::of(b));
    pair.b.echoes = true;
    pair
}

/// A ready pair with `n` streams that both ends have agreed on. The listener does nothing of itself.
fn open_pair(n: usize) -> (Pair, Vec<StreamId>, Vec<StreamId>) {
    let mut pair = pair();
    pair.b.echoes = false;
    let ours: Vec<_> = (0..n).map(|_| pair.a.open(&[ECHO], Open::Wait)).collect();
    pair.run();
    let theirs = pair.b.inbound();
    assert_eq!(theirs.len(), n);
    (pair, ours, theirs)
}

fn muxer(end: &End) -> Option<Muxer> {
    end.events.iter().find_map(|event| match event {
        Event::Ready { muxer, .. } => Some(*muxer),
        _ => None,
    })
}

// ---- agreement

#[test]
fn echo_over_mplex_whatever_the_pieces() {
    for chunk in [1, 7, 1000, usize::MAX] {
        let mut pair = pair();
        pair.chunk = chunk;
        let len = if chunk == 1 { 3_000 } else { 300_000 };
        let requests: Vec<_> = [Open::Lazy, Open::Wait, Open::Lazy]
            .into_iter()
            .enumerate()
            .map(|(i, how)| (pair.a.request(&[ECHO], how, &pattern(len + i)), len + i))
            .collect();
        pair.run();
        assert_eq!((muxer(&pair.a), muxer(&pair.b)), (Some(Muxer::Mplex), Some(Muxer::Mplex)));
        for (id, len) in requests {
            assert_eq!(pair.a.got[&id], pattern(len));
            assert!(pair.a.saw(&Event::Finished { stream: id }));
        }
        assert_eq!((pair.a.conn.stats().streams, pair.b.conn.stats().streams), (0, 0));
        assert_eq!((&pair.a.error, &pair.b.error), (&None, &None));
    }
}

#[test]
fn both_ends_open_streams() {
    let mut pair = pair();
    pair.a.conn.set_names(known(&[ECHO]));
    pair.a.echoes = true;
    let from_a = pair.a.request(&[ECHO], Open::Lazy, b"from a");
    pair.run();
    let from_b = pair.b.request(&[ECHO], Open::Lazy, b"from b");
    pair.run();
    assert_eq!((&pair.a.got[&from_a][..], &pair.b.got[&from_b][..]), (&b"from a"[..], &b"from b"[..]));
}

#[test]
fn the_dialers_order_decides_between_two_muxers() {
    use Muxer::{Mplex, Yamux};
    for (ours, theirs, agreed) in [
        (&[Mplex, Yamux][..], &[Yamux, Mplex][..], Mplex),
        (&[Yamux, Mplex], &[Mplex, Yamux], Yamux),
        (&[Yamux, Mplex], &[Mplex], Mplex),
        (&[Mplex], &[Yamux, Mplex], Mplex),
    ] {
        // By the handshake's extensions, and by multistream-select.
        for mut pair in [Pair::of(dialer(ours), listener(theirs)), secured(ours, theirs)] {
            let id = pair.a.request(&[ECHO], Open::Lazy, b"hi");
            pair.run();
            assert_eq!((muxer(&pair.a), muxer(&pair.b)), (Some(agreed), Some(agreed)), "{ours:?} {theirs:?}");
            assert_eq!(pair.a.got[&id], b"hi");
        }
    }
}

#[test]
fn mplex_is_not_offered_unless_it_is_named() {
    assert_eq!(Muxer::defaults(), [Muxer::Yamux]);
    assert_eq!(Muxer::Mplex.to_string(), "/mplex/6.7.0");
}

#[test]
fn nothing_in_common_is_told_by_both() {
    let mut pair = Pair::of(dialer(&[Muxer::Mplex]), listener(&[Muxer::Yamux]));
    pair.run();
    let offered = vec![name("/mplex/6.7.0")];
    let error = Error::NothingInCommon { stage: Stage::Muxer, offered, remote: vec!["/yamux/1.0.0".into()] };
    assert_eq!(pair.a.error, Some(error));
    assert!(matches!(pair.b.error, Some(Error::NothingInCommon { .. })), "{:?}", pair.b.error);
}

/// The one muxer is proposed lazily, with streams right behind it. Where it is refused, what the listener reads of them
/// as proposals is never taken for one.
#[test]
fn a_lazy_muxer_that_is_refused_is_the_end_of_both() {
    for chunk in [1, 5, usize::MAX] {
        let mut pair = secured(&[Muxer::Mplex], &[Muxer::Yamux]);
        pair.chunk = chunk;
        for len in [0, 5, 200, 20_000] {
            pair.a.request(&[ECHO], Open::Lazy, &pattern(len));
        }
        pair.run();
        // Whether the listener's "na" is still sent depends on the pieces.
        let ends = matches!(
            &pair.a.error,
            Some(Error::NothingInCommon { stage: Stage::Muxer, offered, .. } | Error::Eof { stage: Stage::Muxer, offered, .. })
                if offered[..] == [name("/mplex/6.7.0")]
        );
        assert!(ends, "{:?}", pair.a.error);
        assert!(matches!(pair.b.error, Some(Error::Negotiation { stage: Stage::Muxer, .. })), "{:?}", pair.b.error);
        assert_eq!(pair.b.inbound(), []);
    }
}

// ---- the ends of a stream

#[test]
fn either_end_may_finish_first() {
    let (mut pair, ours, theirs) = open_pair(2);
    // The dialer, and the listener goes on.
    pair.a.send_all(ours[0], b"question");
    pair.run();
    assert!(pair.b.saw(&Event::Finished { stream: theirs[0] }));
    assert_eq!(pair.b.got[&theirs[0]], b"question");
    assert_eq!(pair.b.conn.read(theirs[0]), Err(ReadError::Finished));
    assert_eq!(pair.a.conn.write(now(), ours[0], b"x", &mut SendBuf::default()), Err(WriteError::Finished));
    pair.b.send_all(theirs[0], &pattern(500_000));
    pair.run();
    assert_eq!(pair.a.got[&ours[0]], pattern(500_000));
    // The listener, and the dialer goes on.
    pair.b.send_all(theirs[1], b"greeting");
    pair.run();
    assert!(pair.a.saw(&Event::Finished { stream: ours[1] }));
    assert_eq!(pair.a.got[&ours[1]], b"greeting");
    pair.a.send_all(ours[1], &pattern(500_000));
    pair.run();
    assert_eq!(pair.b.got[&theirs[1]], pattern(500_000));
    assert_eq!((pair.a.conn.stats().streams, pair.b.conn.stats().streams), (0, 0));
}

#[test]
fn a_stream_that_both_have_finished_can_be_read_to_its_end() {
    let (mut pair, ours, theirs) = open_pair(1);
    pair.b.reads = false;
    pair.b.conn.finish(theirs[0]).unwrap();
    pair.a.send_all(ours[0], &pattern(200_000));
    pair.run();
    assert_eq!(pair.b.read_all(theirs[0]), pattern(200_000));
    assert_eq!(pair.b.conn.read(theirs[0]), Err(ReadError::Gone));
    assert_eq!(pair.b.conn.stats().streams, 0);
}

#[test]
fn a_reset_by_either_end_reaches_the_other() {
    let (mut pair, ours, theirs) = open_pair(2);
    pair.a.write(ours[0], b"lost");
    pair.a.conn.reset(ours[0]).unwrap();
    pair.b.write(theirs[1], b"lost");
    pair.b.conn.reset(theirs[1]).unwrap();
    pair.run();
    assert!(pair.b.saw(&Event::Reset { stream: theirs[0] }) && pair.a.saw(&Event::Reset { stream: ours[1] }));
    for (end, id) in [(&mut pair.a, ours[1]), (&mut pair.b, theirs[0])] {
        assert_eq!(end.conn.read(id), Err(ReadError::Gone), "never a clean end");
        assert_eq!(end.conn.write(now(), id, b"x", &mut end.send), Err(WriteError::Gone));
    }
    assert_eq!((pair.a.conn.stats().streams, pair.b.conn.stats().streams), (0, 0));
}

#[test]
fn a_refusal_is_heard_behind_lazy_payload() {
    let mut pair = pair();
    let id = pair.a.request(&["/none"], Open::Lazy, &pattern(100_000));
    let other = pair.a.request(&[ECHO], Open::Lazy, b"other");
    pair.run();
    let refusal = pair.a.refusal(id).unwrap();
    assert!(refusal.data_sent && refusal.cause == RefusalCause::NotSupported);
    assert_eq!(pair.a.got[&other], b"other");
    assert_eq!((pair.a.conn.stats().streams, pair.b.conn.stats().streams), (0, 0));
}

#[test]
fn what_comes_for_a_stopped_stream_is_dropped_without_end() {
    let (mut pair, ours, theirs) = open_pair(1);
    pair.b.reads = false;
    pair.a.write(ours[0], b"unread");
    pair.run();
    pair.b.conn.stop(theirs[0]).unwrap();
    pair.a.send_all(ours[0], &pattern(3 * MIB));
    pair.run();
    assert!(pair.a.send.is_empty() && !pair.b.conn.is_held());
    assert_eq!(pair.b.conn.read(theirs[0]), Err(ReadError::Finished), "nothing of it is kept");
    pair.b.send_all(theirs[0], b"answer");
    pair.run();
    assert_eq!(pair.a.got[&ours[0]], b"answer");
}

// ---- a reader who does not read

/// Lets time pass, and what comes of it.
fn pass(pair: &mut Pair, seconds: u64) {
    pair.pass(secs(seconds));
    pair.run();
}

/// What `end` holds of a stream, and the stream is read by that.
fn unread(end: &mut End, id: StreamId) -> usize {
    end.read_all(id).len()
}

#[test]
fn a_stream_that_is_not_read_holds_the_connection_and_resumes() {
    let (mut pair, ours, theirs) = open_pair(2);
    pair.b.reads = false;
    pair.a.send_all(ours[0], &pattern(3 * MIB));
    pair.run();
    assert!(pair.b.conn.is_held() && !pair.b.recv.wants());
    let deadline = pair.b.conn.poll_timeout().unwrap();
    assert_eq!((deadline.at, deadline.why), (now() + secs(5), "mplex stall"));
    // Nothing else comes through, but what is sent does.
    pair.a.send_all(ours[1], b"behind");
    pair.b.send_all(theirs[1], b"ahead");
    pair.run();
    assert_eq!(pair.a.got[&ours[1]], b"ahead");
    // Reading ends the hold, and every byte comes.
    let mut got = Vec::new();
    while got.len() < 3 * MIB {
        pass(&mut pair, 4);
        let slice = pair.b.read_all(theirs[0]);
        assert!(!slice.is_empty() && slice.len() <= MIB, "{}", slice.len());
        got.extend_from_slice(&slice);
    }
    assert_eq!(got, pattern(3 * MIB));
    pair.run();
    assert_eq!(pair.b.read_all(theirs[1]), b"behind");
    assert!(pair.b.saw(&Event::Finished { stream: theirs[0] }) && !pair.b.conn.is_held());
    assert_eq!((&pair.a.error, &pair.b.error), (&None, &None));
}

#[test]
fn after_five_seconds_the_stream_that_is_not_read_is_reset_and_others_live() {
    let (mut pair, ours, theirs) = open_pair(3);
    pair.b.reads = false;
    pair.a.write(ours[2], b"unread, but little");
    pair.run();
    pair.a.send_all(ours[0], &pattern(3 * MIB));
    pair.run();
    pair.a.send_all(ours[1], b"behind");
    pass(&mut pair, 4);
    assert!(!pair.b.saw(&Event::Reset { stream: theirs[0] }) && pair.b.conn.is_held());
    pass(&mut pair, 1);
    assert!(pair.b.saw(&Event::Reset { stream: theirs[0] }), "the slow reader is told");
    assert!(pair.a.saw(&Event::Reset { stream: ours[0] }), "and so is the writer");
    assert_eq!(pair.b.conn.read(theirs[0]), Err(ReadError::Gone));
    assert!(!pair.b.conn.is_held() && pair.b.recv.wants());
    assert_eq!(pair.b.read_all(theirs[1]), b"behind");
    assert_eq!(pair.b.read_all(theirs[2]), b"unread, but little");
    pair.b.reads = true;
    pair.b.echoes = true;
    let id = pair.a.request(&[ECHO], Open::Lazy, &pattern(100_000));
    pair.run();
    assert_eq!(pair.a.got[&id], pattern(100_000));
    assert_eq!((&pair.a.error, &pair.b.error), (&None, &None));
}

#[test]
fn a_flood_over_many_streams_is_held_at_the_bound_of_the_connection() {
    let (mut pair, ours, theirs) = open_pair(20);
    pair.b.reads = false;
    for id in &ours {
        pair.a.send_all(*id, &pattern(MIB));
    }
    pair.run();
    assert!(pair.b.conn.is_held());
    // Five seconds later one is gone, and no more.
    pass(&mut pair, 5);
    let lost: Vec<_> = theirs.iter().filter(|id| pair.b.saw(&Event::Reset { stream: **id })).copied().collect();
    assert_eq!((lost.len(), pair.b.conn.is_held()), (1, true));
    // All that is held is there to be read, within the bound.
    let held: usize = theirs.iter().map(|id| unread(&mut pair.b, *id)).sum();
    assert!(held <= 8 * MIB && held > 7 * MIB, "{held}");
    // From here on everybody reads: what was not reset comes whole.
    pair.b.reads = true;
    pair.run();
    let ended = theirs.iter().filter(|id| pair.b.ended.contains(id)).count();
    assert_eq!(ended, 19);
    assert_eq!((&pair.a.error, &pair.b.error), (&None, &None));
}

#[test]
fn streams_over_at_both_ends_and_unread_count_too() {
    let (mut pair, ours, theirs) = open_pair(20);
    pair.b.reads = false;
    for id in &theirs {
        pair.b.conn.finish(*id).unwrap();
    }
    for id in &ours {
        pair.a.send_all(*id, &pattern(MIB));
    }
    pair.run();
    assert!(pair.b.conn.is_held());
    let held: usize = theirs.iter().map(|id| unread(&mut pair.b, *id)).sum();
    assert!(held <= 8 * MIB && held > 7 * MIB, "{held}");
}

// ---- the end

#[test]
fn a_faulty_peer_is_a_typed_error() {
    let mut pair = secured(&[Muxer::Mplex], &[Muxer::Mplex]);
    pair.run();
    pair.b.recv.feed(&[0x0f]);
    pair.b.settle(now());
    let error = Error::Mplex(sanswarm_mplex::Error::UnknownFlag { id: 1 });
    assert_eq!(pair.b.error, Some(error.clone()));
    assert_eq!((error.code(), error.stage()), ("mplex", Stage::Streams));
    assert_eq!(error.to_string(), "mplex: the peer sent flag 7, which does not exist, for stream 1");
    assert!(core::error::Error::source(&error).is_some());
}

#[test]
fn an_end_in_good_order() {
    let mut pair = pair();
    let id = pair.a.request(&[ECHO], Open::Lazy, b"last words");
    pair.run();
    assert_eq!(pair.a.got[&id], b"last words");
    let before = pair.a.send.total();
    pair.a.conn.close(pair.at);
    pair.a.settle(pair.at);
    assert_eq!((pair.a.hangup(), pair.a.send.total()), (Hangup::Write, before), "no goodbye but the end of the bytes");
    pair.run();
    assert!(pair.a.saw(&Event::Closed { reason: CloseReason::Local }));
    assert!(pair.b.saw(&Event::Closed { reason: CloseReason::Remote(Goodbye::Eof) }), "{:?}", pair.b.events);
}

#[test]
fn an_end_of_input_waits_for_a_held_reader() {
    let (mut pair, ours, theirs) = open_pair(1);
    pair.b.reads = false;
    pair.b.conn.finish(theirs[0]).unwrap();
    pair.a.send_all(ours[0], &pattern(MIB + 1000));
    pair.run();
    assert!(pair.b.conn.is_held());
    pair.b.recv.set_eof();
    pair.run();
    assert!(!pair.b.saw(&Event::Closed { reason: CloseReason::Remote(Goodbye::Eof) }) && pair.b.error.is_none());
    let mut got = pair.b.read_all(theirs[0]);
    assert_eq!(got.len(), MIB);
    pair.b.poll(now());
    got.extend(pair.b.read_all(theirs[0]));
    assert_eq!(got, pattern(MIB + 1000));
}
