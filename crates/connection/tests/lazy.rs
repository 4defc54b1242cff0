//! What goes out behind a proposal before it is agreed upon, and is refused: by a listener of ours, and by listeners that
//! read it as those of go, js, py and rust do. It never makes an agreement, and nothing is sent again.

#![cfg(all(feature = "noise", feature = "yamux", feature = "mplex"))]
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;
mod peers;

use common::{DIALER, End, LISTENER, Pair, config_of, name, names, now, pattern, peer, secs};
use peers::{ALL, Manner, Peer, SYN, frames};
use proptest::prelude::*;
use sanswarm_connection::{
    Connection, Error, Event, Hangup, Limits, Muxer, Open, ReadError, Refusal, RefusalCause, Security, Stage, StreamId,
    WriteError,
};
use sanswarm_multistream_select::{Greeting, Names, Negotiator, Outcome};
use sanswarm_wire::Role;

const ECHO: &str = "/echo/1.0.0";
const HEADER: &[u8] = b"\x13/multistream/1.0.0\n";
const PROPOSAL: &[u8] = b"\x13/multistream/1.0.0\n\x03/x\n";

/// All that a listener may know but for what is proposed.
const OTHERS: &[&str] = &["/tls/1.0.0", "/plaintext/2.0.0", ECHO, "/b", "/", "/multistream/1.0.1", "/secio/1.0.0"];

/// A dialer that offers these.
fn dialer(muxer: Muxer, is_secured: bool) -> End {
    let config = config_of(DIALER, vec![Security::Noise], vec![muxer], Limits::default());
    End::of(if is_secured {
        Connection::secured(now(), Role::Dialer, config, peer(LISTENER))
    } else {
        Connection::new(now(), Role::Dialer, config, Some(peer(LISTENER)), [7; 32])
    })
}

/// Carries everything in pieces until nothing moves. Returns what the dialer sent.
fn run(a: &mut End, b: &mut Peer, chunk: usize) -> Vec<u8> {
    let (mut sent, mut back) = (Vec::new(), b.handle(&[]));
    loop {
        a.settle(now());
        let piece = a.send.ready()[..a.send.ready().len().min(chunk)].to_vec();
        a.send.sent(piece.len());
        sent.extend_from_slice(&piece);
        back.extend(b.handle(&piece));
        let n = a.recv.feed(&back[..back.len().min(chunk)]);
        back.drain(..n);
        if b.is_over() && back.is_empty() {
            a.recv.set_eof();
        }
        if piece.is_empty() && n == 0 && !a.settle(now()) {
            return sent;
        }
    }
}

/// Ends it as its driver would, whatever the peer does.
fn assert_ends(a: &mut End) {
    a.conn.handle_timeout(now() + secs(20));
    a.flush(now() + secs(20));
    assert_eq!(a.hangup(), Hangup::Both);
}

/// It has told of nothing but of room.
fn has_come_to_nothing(end: &End) -> bool {
    end.events.iter().all(|event| matches!(event, Event::Writable { .. }))
}

// ---- security

/// Each security protocol that is built in, and what a listener knows that does not know it.
fn securities() -> Vec<(Security, &'static [&'static str])> {
    vec![
        (Security::Noise, OTHERS),
        #[cfg(feature = "tls")]
        (Security::Tls, &["/noise", "/plaintext/2.0.0", "/tls/1.0.1", "/", ECHO]),
        #[cfg(feature = "plaintext")]
        (Security::Plaintext, &["/noise", "/tls/1.0.0", "/plaintext/1.0.0", "/", ECHO]),
    ]
}

#[test]
fn a_handshake_behind_a_refused_proposal_is_no_agreement() {
    for (security, others) in securities() {
        let config = config_of(DIALER, vec![security], vec![Muxer::Yamux], Limits::default());
        for manner in ALL {
            for secret in 1..=64 {
                let conn = Connection::new(now(), Role::Dialer, config.clone(), Some(peer(LISTENER)), [secret; 32]);
                let mut a = End::of(conn);
                let id = a.request(&[ECHO], Open::Lazy, b"never sent");
                a.settle(now());
                let first = a.send.ready().to_vec();
                assert!(first.len() > HEADER.len() + security.name().as_str().len() + 2 + 32, "a handshake follows");
                let mut b = Peer::new(manner, others, &["/yamux/1.0.0"], &[ECHO]);
                let sent = run(&mut a, &mut b, [1, 13, usize::MAX][usize::from(secret) % 3]);
                assert!(b.agreed.is_empty(), "{security}, {}", manner.name);
                let (offered, remote) = (vec![security.name()], Vec::new());
                assert_eq!(a.error, Some(Error::NothingInCommon { stage: Stage::Security, offered, remote }));
                assert!(a.events.is_empty());
                assert_eq!(sent, first, "once, and nothing behind it");
                assert_eq!(a.conn.read(id), Err(ReadError::Closed));
                assert_ends(&mut a);
            }
        }
    }
}

#[cfg(all(feature = "tls", feature = "plaintext"))]
#[test]
fn our_listener_ends_with_a_refused_security_protocol_whatever_follows() {
    let all = [Security::Noise, Security::Tls, Security::Plaintext];
    for ours in all {
        let theirs: Vec<_> = all.into_iter().filter(|other| *other != ours).collect();
        let config = |seed, security| config_of(seed, security, vec![Muxer::Yamux], Limits::default());
        let (dialer, listener) = (config(DIALER, vec![ours]), config(LISTENER, theirs));
        for n in 0..16 {
            let chunk = [1, 13, 100, usize::MAX][n % 4];
            let mut pair = Pair { chunk, ..Pair::of_configs(dialer.clone(), listener.clone()) };
            pair.a.request(&[ECHO], Open::Lazy, b"never sent");
            pair.run();
            assert!(pair.a.events.is_empty() && pair.b.events.is_empty(), "{ours}");
            assert_eq!(pair.a.error.as_ref().unwrap().stage(), Stage::Security, "{:?}", pair.a.error);
            assert_eq!(pair.b.error.as_ref().unwrap().stage(), Stage::Security, "{:?}", pair.b.error);
            assert_ends(&mut pair.a);
            assert_ends(&mut pair.b);
        }
    }
}

#[test]
fn our_listener_reads_no_agreement_in_what_follows_a_refused_proposal() {
    let mut a = dialer(Muxer::Yamux, false);
    a.settle(now());
    let noise = a.send.ready().to_vec();
    let muxer = |muxer| {
        let mut a = dialer(muxer, true);
        a.request(&[ECHO], Open::Lazy, b"\x0c/echo/1.0.0\n");
        a.settle(now());
        a.send.ready().to_vec()
    };
    let known = std::sync::Arc::new(Names::new(OTHERS.iter().map(|text| name(text))));
    for said in [noise, muxer(Muxer::Yamux), muxer(Muxer::Mplex)] {
        for greeting in [Greeting::AtOnce, Greeting::WithReply] {
            let mut listener = Negotiator::listener(known.clone(), greeting);
            let mut rest = &said[..];
            let error = loop {
                match listener.handle_input(rest) {
                    Ok((0, outcome)) => panic!("{outcome:?} and waits for more"),
                    Ok((used, outcome)) => {
                        assert!(!matches!(outcome, Some(Outcome::Agreed(_))));
                        rest = &rest[used..];
                    }
                    Err(error) => break error,
                }
            };
            assert!(matches!(error, sanswarm_multistream_select::Error::Refused), "{error}");
        }
    }
}

// ---- muxer

/// What may stand at the front of what a user sends. The second says whether a listener that refused may read it as a
/// proposal of what it knows.
fn payloads() -> Vec<(Vec<u8>, bool)> {
    let line = |text: &[u8]| [&[text.len() as u8 + 1], text, b"\n"].concat();
    let garbage: [&[u8]; 21] = [
        b"hello",
        b"\n",
        b"\x01\n",
        &[0; 50],
        &[0xff; 50],
        &[0x80; 9],
        b"\x03na\n",
        b"\x03ls\n",
        b"\x05/abc\n\xff\xff\xff",
        b"\x03/x\n",
        b"\x0c/echo/1.0.0",
        b"\x0b/echo/1.0.0\n",
        b"\x0c/ECHO/1.0.0\n",
        b"\x0f\x0c/echo/1.0.0\n\n",
        b"\x13/multistream/1.0.0\n",
        b"\x07/noise\n\x00\x20abcdefghijklmnopqrstuvwxyz",
        b"\x16\x03\x01\x00\xf4\x01\x00\x00\xf0\x03\x03",
        b"\x00\x00\x00\x01\x00\x00\x00\x01\x00\x00\x00\x04echo",
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"\x06\xff\xfe\x00/a\n",
        b"/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n",
    ];
    let proposals: [Vec<u8>; 6] = [
        line(ECHO.as_bytes()),
        [line(ECHO.as_bytes()), b"and what it would carry".to_vec()].concat(),
        [line(b"/other"), line(ECHO.as_bytes())].concat(),
        [line(b"na"), line(b"/other"), line(ECHO.as_bytes())].concat(),
        [HEADER.to_vec(), line(ECHO.as_bytes())].concat(),
        // To js and py, which trim.
        line(b"/echo/1.0.0\n"),
    ];
    let garbage = garbage.into_iter().map(<[u8]>::to_vec).chain([pattern(100_000), vec![b'/'; 3000]]);
    garbage.map(|bytes| (bytes, false)).chain(proposals.into_iter().map(|bytes| (bytes, true))).collect()
}

#[test]
fn frames_behind_a_refused_muxer_are_no_agreement() {
    for manner in ALL {
        for (muxer, is_secured) in [(Muxer::Yamux, true), (Muxer::Mplex, true), (Muxer::Yamux, false)] {
            if !is_secured && manner.names_muxers {
                continue;
            }
            for (i, (payload, _)) in payloads().iter().enumerate() {
                let mut a = dialer(muxer, is_secured);
                let ids: Vec<_> = (0..=i % 3).map(|_| a.request(&[ECHO], Open::Lazy, payload)).collect();
                let mut b = if is_secured {
                    Peer::secured(manner, OTHERS, &[ECHO])
                } else {
                    Peer::new(manner, &["/noise"], OTHERS, &[ECHO])
                };
                run(&mut a, &mut b, [1, 100, usize::MAX][i % 3].max(payload.len() / 100));
                assert_eq!(b.agreed.len(), usize::from(!is_secured), "{}: {:?}", manner.name, b.agreed);
                assert!(b.is_over());
                let (offered, remote) = (vec![muxer.name()], Vec::new());
                assert_eq!(a.error, Some(Error::NothingInCommon { stage: Stage::Muxer, offered, remote }));
                assert!(has_come_to_nothing(&a));
                assert!(ids.iter().all(|id| a.conn.read(*id) == Err(ReadError::Closed)));
                assert_ends(&mut a);
            }
        }
    }
}

#[test]
fn our_listener_ends_with_a_refused_muxer_whatever_follows() {
    for (ours, theirs) in [(Muxer::Yamux, Muxer::Mplex), (Muxer::Mplex, Muxer::Yamux)] {
        for (i, (payload, _)) in payloads().iter().enumerate() {
            let a = dialer(ours, true);
            let config = config_of(LISTENER, Security::defaults(), vec![theirs], Limits::default());
            let mut b = Connection::secured(now(), Role::Listener, config, peer(DIALER));
            b.set_names(common::known(&[ECHO]));
            let mut pair =
                Pair { chunk: [1, 100, usize::MAX][i % 3].max(payload.len() / 100), ..Pair::of(a, End::of(b)) };
            pair.a.request(&[ECHO], Open::Lazy, payload);
            pair.run();
            assert!(has_come_to_nothing(&pair.a) && has_come_to_nothing(&pair.b));
            assert_eq!(pair.a.error.as_ref().unwrap().stage(), Stage::Muxer);
            assert_eq!(pair.b.error.as_ref().unwrap().stage(), Stage::Muxer);
            assert_ends(&mut pair.a);
            assert_ends(&mut pair.b);
        }
    }
}

// ---- streams

fn refused() -> Refusal {
    Refusal { offered: vec![name("/x")], cause: RefusalCause::NotSupported, data_sent: true }
}

/// What the dialer of a refused stream has seen and can still do.
fn assert_refused(a: &mut End, id: StreamId) {
    assert_eq!(a.refusal(id), Some(&refused()));
    let about = |e: &&Event| match e {
        Event::Refused { stream, .. } | Event::Opened { stream, .. } | Event::Readable { stream } => *stream == id,
        Event::Finished { stream } | Event::Reset { stream } => *stream == id,
        _ => false,
    };
    assert_eq!(a.events.iter().filter(about).count(), 1, "refused and nothing else");
    assert_eq!(a.conn.read(id), Err(ReadError::Gone));
    assert_eq!(a.conn.write(now(), id, b"again", &mut a.send), Err(WriteError::Gone));
    assert!(a.got.get(&id).is_none_or(Vec::is_empty));
}

/// A lazy stream that a listener of this manner refuses, in front of `payload`, which goes in so many writes.
fn refuse_by_hand(manner: Manner, payload: &[u8], writes: usize, chunk: usize, looks_like_one: bool) {
    let mut a = dialer(Muxer::Yamux, true);
    let mut b = Peer::secured(manner, &["/yamux/1.0.0"], OTHERS);
    let mut sent = run(&mut a, &mut b, usize::MAX);
    let before = sent.len();
    let id = a.open(&["/x"], Open::Lazy);
    for piece in payload.chunks(payload.len().div_ceil(writes).max(1)) {
        assert_eq!(a.write(id, piece), piece.len(), "it goes at once");
    }
    let _ = if writes.is_multiple_of(2) { a.conn.finish(id) } else { Ok(()) };
    sent.extend(run(&mut a, &mut b, chunk));
    assert_refused(&mut a, id);
    assert_eq!(a.error, None);
    let mux = b.mux().unwrap();
    assert!(looks_like_one || mux.agreed.is_empty(), "{}: {:?}", manner.name, mux.agreed);
    // The wire is in the clear: each byte of it was sent once.
    let (all, _) = frames(&sent[before..]);
    let streams: Vec<_> = all.iter().filter(|frame| frame.flags & SYN != 0 && frame.stream != 0).collect();
    assert_eq!(streams.len(), 1, "no other stream");
    let number = streams[0].stream;
    let body: Vec<u8> = all.iter().filter(|frame| frame.stream == number).flat_map(|f| f.body.clone()).collect();
    assert_eq!(body, [PROPOSAL, payload].concat());
    assert!(mux.reset.contains(&number) || mux.broken.contains(&number), "{}: it knows that it is over", manner.name);
    // Nobody else is harmed.
    let other = a.request(&[ECHO], Open::Wait, b"and this?");
    run(&mut a, &mut b, chunk);
    assert_eq!(a.got[&other], b"and this?");
    assert_eq!(a.conn.stats().streams, 0);
}

#[test]
fn payload_behind_a_refused_stream_is_no_agreement_with_anyone() {
    for manner in ALL {
        for (i, (payload, looks_like_one)) in payloads().iter().enumerate() {
            for writes in [1, 2, 3] {
                let chunk = [1, 7, usize::MAX][(i + writes) % 3].max(payload.len() / 100);
                refuse_by_hand(manner, payload, writes, chunk, *looks_like_one);
            }
        }
    }
}

/// The same with a listener of ours, over `muxer`; opened by whoever listens on the connection if `by_listener`.
fn refuse(muxer: Muxer, payload: &[u8], by_listener: bool, chunk: usize, looks_like_one: bool) {
    let mut pair = Pair::ready_over(muxer, &[], Limits::default());
    if by_listener {
        core::mem::swap(&mut pair.a, &mut pair.b);
        core::mem::swap(&mut pair.forth, &mut pair.back);
    }
    pair.b.conn.set_names(common::known(OTHERS));
    (pair.a.echoes, pair.b.echoes) = (false, false);
    pair.chunk = chunk;
    let other = pair.a.open(&[ECHO], Open::Wait);
    let id = pair.a.open(&["/x"], Open::Lazy);
    let taken = pair.a.write(id, payload);
    assert_eq!(taken, payload.len());
    pair.run();
    assert_refused(&mut pair.a, id);
    // Both streams have names that it knows at most, and what is no stream of the dialer's is over.
    let inbound = pair.b.inbound();
    assert!(pair.a.opened(other) && (looks_like_one || inbound.len() == 1), "{inbound:?}");
    assert_eq!((pair.a.conn.stats().streams, pair.b.conn.stats().streams), (1, 1));
    let resets = pair.b.events.iter().filter(|e| matches!(e, Event::Reset { .. })).count();
    assert_eq!(resets, inbound.len() - 1);
    pair.b.echoes = true;
    pair.a.send_all(other, b"and this?");
    pair.run();
    assert_eq!(pair.a.got[&other], b"and this?");
    assert_eq!((pair.a.error, pair.b.error), (None, None));
}

#[test]
fn payload_behind_a_refused_stream_is_no_agreement_with_us() {
    for muxer in [Muxer::Yamux, Muxer::Mplex] {
        for (i, (payload, looks_like_one)) in payloads().iter().enumerate() {
            for by_listener in [false, true] {
                let chunk = [1, 7, usize::MAX][i % 3].max(payload.len() / 100);
                refuse(muxer, payload, by_listener, chunk, *looks_like_one);
            }
        }
    }
}

#[test]
fn a_lazy_name_is_proposed_again_by_its_user_only() {
    let mut pair = Pair::ready(&[ECHO]);
    let id = pair.a.request(&["/x"], Open::Lazy, b"lost");
    pair.run();
    assert_refused(&mut pair.a, id);
    pair.b.conn.set_names(common::known(&["/x"]));
    pair.run();
    assert!(pair.b.inbound().is_empty());
    let again = pair.a.conn.open(now(), names(&["/x"]), Open::Wait).unwrap();
    pair.run();
    assert!(pair.a.opened(again));
}

/// Pieces of proposals, lengths that promise much, and rubbish.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..40),
        prop::sample::select(
            &[HEADER, b"\x03na\n", b"\x03ls\n", b"\x02/\n", b"\x0c/echo/1.0.0 \n", b"\x07/noise\n"][..]
        )
        .prop_map(<[u8]>::to_vec),
        (0u8..20, "[/a-z0-9.\n]{0,20}").prop_map(|(len, text)| [&[len], text.as_bytes()].concat()),
        (any::<u8>(), any::<u8>()).prop_map(|(low, high)| vec![low | 0x80, high & 0x7f]),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn whatever_follows_a_refused_stream(
        pieces in prop::collection::vec(piece(), 1..8),
        manner in prop::sample::select(&ALL[..]),
        writes in 1usize..4,
        chunk in 1usize..200,
        muxer in prop::sample::select(&[Muxer::Yamux, Muxer::Mplex][..]),
        by_listener in any::<bool>(),
    ) {
        let mut payload = pieces.concat();
        payload.push(b'.');
        // It may spell a name that is known, at any place: then the listener may agree, and hears of the end.
        refuse_by_hand(manner, &payload, writes, chunk, true);
        refuse(muxer, &payload, by_listener, chunk, true);
    }
}
