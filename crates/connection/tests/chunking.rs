//! How the bytes are cut on their way changes nothing of what either user sees.

mod common;

use std::collections::BTreeMap;

use common::{End, Pair};
use proptest::prelude::*;
use sanswarm_connection::{Event, Limits, Open, StreamId};

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

fn play(requests: &[Request], chunk: usize) -> (Log, Log) {
    let mut pair = Pair::with(&["/echo"], Limits::default(), Limits::default());
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

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn each_end_sees_the_same(requests in prop::collection::vec(request(), 0..8)) {
        let whole = play(&requests, usize::MAX);
        for chunk in [1, 7, 1000] {
            prop_assert_eq!(&play(&requests, chunk), &whole, "chunks of {}", chunk);
        }
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
