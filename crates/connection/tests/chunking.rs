//! How the bytes are cut on their way changes nothing of what either user sees.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use std::collections::BTreeMap;

use common::{DIALER, End, LISTENER, Pair, config_of, peer};
use proptest::prelude::*;
use sanswarm_connection::{
    Connection, Event, Limits, Muxer, Open, Security, StreamId,
    transcript::{Entry, Layer, Level},
};
use sanswarm_wire::Role;

const NAMES: [&[&str]; 4] = [&["/echo"], &["/none", "/echo"], &["/none"], &["/none", "/nothing"]];

#[derive(Clone, Debug)]
struct Request {
    /// Opened by the dialer before the connection is ready, by the dialer later, by the listener later.
    when: u8,
    lazy: bool,
    names: usize,
    len: usize,
}

fn request() -> impl Strategy<Value = Request> {
    (0u8..3, any::<bool>(), 0..NAMES.len(), prop_oneof![0usize..200, 0usize..40_000])
        .prop_map(|(when, lazy, names, len)| Request { when, lazy, names, len })
}

/// What an end has seen: of the connection in order, and of each stream in order, with its payload.
type Log = (Vec<String>, Vec<(Vec<String>, Vec<u8>)>);

fn log(end: &End) -> Log {
    let mut connection = Vec::new();
    let mut streams: BTreeMap<StreamId, Vec<String>> = BTreeMap::new();
    for event in &end.events {
        match event {
            Event::Opened { stream, protocol, direction } => {
                streams.entry(*stream).or_default().push(format!("opened {protocol} {direction:?}"));
            }
            Event::Refused { stream, refusal } => streams.entry(*stream).or_default().push(format!("{refusal:?}")),
            Event::Finished { stream } => streams.entry(*stream).or_default().push("finished".into()),
            Event::Reset { stream } => streams.entry(*stream).or_default().push("reset".into()),
            // How often these come is a matter of pace.
            Event::Readable { .. } | Event::Writable { .. } => {}
            other => connection.push(format!("{other:?}")),
        }
    }
    connection.push(format!("{:?}", end.error));
    let payload = |id| end.got.get(&id).cloned().unwrap_or_default();
    let mut streams: Vec<_> = streams.into_iter().map(|(id, events)| (events, payload(id))).collect();
    // Which of two streams is agreed on first is a matter of pace, too.
    streams.sort();
    (connection, streams)
}

fn muxers() -> Vec<Muxer> {
    vec![
        Muxer::Yamux,
        #[cfg(feature = "mplex")]
        Muxer::Mplex,
    ]
}

fn securities() -> Vec<Security> {
    vec![
        Security::Noise,
        #[cfg(feature = "tls")]
        Security::Tls,
        #[cfg(feature = "plaintext")]
        Security::Plaintext,
    ]
}

fn play(security: Security, muxer: Muxer, requests: &[Request], chunk: usize) -> (Log, Log) {
    let config = |seed| config_of(seed, vec![security], vec![muxer], Limits::default());
    let mut pair = Pair::of_configs(config(DIALER), config(LISTENER));
    pair.b.conn.set_names(common::known(&["/echo"]));
    pair.chunk = chunk;
    pair.a.conn.set_names(common::known(&["/echo"]));
    pair.a.echoes = true;
    let ask = |end: &mut End, n: usize, request: &Request| {
        let how = if request.lazy { Open::Lazy } else { Open::Wait };
        let data: Vec<u8> = (0..request.len).map(|k| (n + k) as u8).collect();
        end.request(NAMES[request.names], how, &data);
    };
    for (n, request) in requests.iter().enumerate().filter(|(_, r)| r.when == 0) {
        ask(&mut pair.a, n, request);
    }
    pair.run();
    for (n, request) in requests.iter().enumerate().filter(|(_, r)| r.when > 0) {
        ask(if request.when == 1 { &mut pair.a } else { &mut pair.b }, n, request);
    }
    pair.run();
    assert_eq!((pair.a.conn.stats().streams, pair.b.conn.stats().streams), (0, 0));
    pair.a.conn.close(common::now());
    pair.run();
    (log(&pair.a), log(&pair.b))
}

/// Of each stream and each direction, the lines.
type Told = Vec<(Option<u64>, Vec<String>)>;

/// What an end's transcript tells of negotiations, the handshake and the end, stream by stream. Which of two streams
/// speaks first is a matter of pace, and so is into how many frames they are put.
fn told(end: &mut End) -> Told {
    let mut told: BTreeMap<_, Vec<String>> = BTreeMap::new();
    for entry in core::iter::from_fn(|| end.conn.poll_transcript()) {
        let Entry { direction, layer, stream, what, bytes, .. } = entry;
        assert!(layer != Layer::Channel && layer != Layer::Session);
        let line = format!("{direction:?} {layer} {what:?} {bytes}");
        // Of one stream, what either end says is in order; how the two interleave is pace again.
        told.entry((stream, direction)).or_default().push(line);
    }
    told.into_iter().map(|((stream, _), lines)| (stream.map(|stream| stream.number), lines)).collect()
}

fn transcript(muxer: Muxer, requests: &[Request], chunk: usize) -> [Told; 2] {
    let mut pair = Pair { chunk, ..Pair::over(muxer, &["/echo"], Limits::default()) };
    pair.a.conn.set_transcript(Level::Negotiation);
    pair.b.conn.set_transcript(Level::Negotiation);
    for (n, request) in requests.iter().enumerate() {
        let how = if request.lazy { Open::Lazy } else { Open::Wait };
        pair.a.request(NAMES[request.names], how, &vec![n as u8; request.len]);
    }
    pair.run();
    pair.a.conn.close(common::now());
    pair.run();
    [told(&mut pair.a), told(&mut pair.b)]
}

/// What two ends that come to nothing tell, and how their transcripts end.
fn fail(which: u8, chunk: usize) -> [(Vec<Event>, Option<String>, Told); 2] {
    let config = |seed, muxer| config_of(seed, Security::defaults(), vec![muxer], Limits::default());
    let other = *muxers().last().unwrap();
    let theirs = if which == 0 { other } else { Muxer::Yamux };
    let mut pair = Pair::of_configs(config(DIALER, Muxer::Yamux), config(LISTENER, theirs));
    if which == 1 || theirs == Muxer::Yamux && which == 0 {
        let expected = Some(peer(99));
        let conn = Connection::new(common::now(), Role::Dialer, config(DIALER, Muxer::Yamux), expected, [9; 32]);
        pair.a = End::of(conn);
    }
    pair.chunk = chunk;
    pair.a.conn.set_transcript(Level::Negotiation);
    pair.b.conn.set_transcript(Level::Negotiation);
    match which {
        2 => pair.forth.cut = Some(100),
        3 => pair.back.cut = Some(200),
        // The last byte of the second message of the handshake.
        4 => pair.back.flip = Some((245, 1)),
        _ => {}
    }
    pair.run();
    [pair.a, pair.b].map(|mut end| {
        let told = told(&mut end);
        (end.events, end.error.map(|error| error.to_string()), told)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn each_end_sees_the_same(
        security in prop::sample::select(securities()),
        muxer in prop::sample::select(muxers()),
        requests in prop::collection::vec(request(), 0..8),
    ) {
        let whole = play(security, muxer, &requests, usize::MAX);
        for chunk in [1, 7, 1000] {
            prop_assert_eq!(&play(security, muxer, &requests, chunk), &whole, "chunks of {}", chunk);
        }
    }

    #[test]
    fn a_transcript_tells_the_same(
        muxer in prop::sample::select(muxers()),
        requests in prop::collection::vec(request(), 0..4),
        chunk in prop_oneof![Just(1usize), 2usize..200],
    ) {
        prop_assert_eq!(transcript(muxer, &requests, chunk), transcript(muxer, &requests, usize::MAX));
    }

    #[test]
    fn a_failure_is_the_same_however_it_comes(which in 0u8..5, chunk in 1usize..100) {
        let whole = fail(which, usize::MAX);
        prop_assert!(whole.iter().any(|(_, error, _)| error.is_some()), "{whole:?}");
        prop_assert_eq!(fail(which, 1), whole.clone());
        prop_assert_eq!(fail(which, chunk), whole);
    }

    #[test]
    fn an_error_is_the_same_however_it_comes(
        bytes in prop::collection::vec(any::<u8>(), 0..400),
        start in 0usize..28,
        chunk in 1usize..50,
    ) {
        let bytes = [&b"\x13/multistream/1.0.0\n\x07/noise\n"[..start], &bytes].concat();
        for dialer in [true, false] {
            let play = |chunk: usize| {
                let mut end = if dialer { End::dialer(Limits::default()) } else { End::listener(&[], Limits::default()) };
                for piece in bytes.chunks(chunk) {
                    end.recv.feed(piece);
                    end.settle(common::now());
                }
                end.recv.set_eof();
                end.settle(common::now());
                end.error
            };
            let whole = play(usize::MAX);
            prop_assert!(whole.is_some());
            prop_assert_eq!(&play(1), &whole);
            prop_assert_eq!(&play(chunk), &whole);
        }
    }
}
