//! Over mplex, which has no flow control: who reads must be noticed at once.
#![cfg(feature = "mplex")]
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use core::time::Duration;
use std::{
    io::{Read, Write},
    sync::Mutex,
    time::Instant,
};

use common::{ECHO, echo, listen_on, start, within};
use sanswarm_std::{Node, PeerInfo, ProtocolName, Stream, core::Muxer};

const SOURCE: ProtocolName = ProtocolName::from_static("/source/1.0.0");

/// Less than what a stream reads before its connection's thread is told, in any case.
const BYTES: usize = 14_400;

/// So many streams are just below what a connection takes unread, and a few more are above.
const BELOW: usize = 8 * 1024 * 1024 / BYTES;
const ABOVE: usize = 40;

fn over_mplex() -> Node {
    let mut config = sanswarm_std::new_config().unwrap();
    config.muxers = vec![Muxer::Mplex];
    Node::new(config).unwrap()
}

/// Two nodes that speak mplex. The second echoes, and is a source of bytes.
fn pair() -> (Node, Node, PeerInfo) {
    let (alice, bob) = (over_mplex(), over_mplex());
    bob.set_stream_handler(ECHO, echo);
    // The streams stay open: an end would wake the thread as well.
    let kept = Mutex::new(Vec::new());
    bob.set_stream_handler(SOURCE, move |stream: Stream| {
        let _ = (&stream).write_all(&[7; BYTES]);
        kept.lock().unwrap().push(stream);
    });
    let info = listen_on(&bob, "/ip4/127.0.0.1/tcp/0");
    (alice, bob, info)
}

#[test]
fn echo_over_mplex() {
    within(|| {
        let (alice, _bob, info) = pair();
        let stream = alice.open_stream(ECHO, info).unwrap();
        let writer = stream.try_clone().unwrap();
        let data: Vec<u8> = (0..3_000_000).map(|i| (i % 251) as u8).collect();
        let sent = data.clone();
        let writing = start(move || {
            (&writer).write_all(&sent).unwrap();
            writer.finish().unwrap();
        });
        let mut got = Vec::new();
        (&stream).read_to_end(&mut got).unwrap();
        writing.join().unwrap();
        assert!(got == data);
    });
}

/// Readers who take little each make room together. The connection's thread is told when that ends a hold, and does not
/// wait for the five seconds of the muxer to pass.
#[test]
#[expect(clippy::disallowed_methods, reason = "the test measures time")]
fn readers_of_a_held_connection_are_noticed_at_once() {
    within(|| {
        let (alice, bob, info) = pair();
        let streams: Vec<_> = (0..BELOW).map(|_| alice.open_stream(SOURCE, info.clone()).unwrap()).collect();
        // These come behind what has no place.
        let late: Vec<_> = (0..ABOVE)
            .map(|_| {
                let (alice, info) = (alice.clone(), info.clone());
                start(move || alice.open_stream(SOURCE, info).unwrap())
            })
            .collect();
        std::thread::sleep(Duration::from_millis(500));
        let came = alice.stats(bob.id()).unwrap().bytes_in as usize;
        assert!(came < (BELOW + ABOVE) * BYTES, "the connection is held");
        let begin = Instant::now();
        let read_all = |stream: &Stream| {
            let (mut stream, mut got) = (stream, vec![0; BYTES]);
            stream.read_exact(&mut got).unwrap();
            assert_eq!(got, [7; BYTES]);
        };
        streams.iter().for_each(read_all);
        let late: Vec<_> = late.into_iter().map(|thread| thread.join().unwrap()).collect();
        late.iter().for_each(read_all);
        assert!(begin.elapsed() < Duration::from_secs(3), "{:?}", begin.elapsed());
    });
}
