//! Over mplex, which has no flow control: who reads must be noticed at once.
#![cfg(feature = "mplex")]
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use core::time::Duration;
use std::sync::{Arc, Mutex};

use common::{ECHO, check_echo, config, echo_server, listener_on, payload, within};
use sanswarm_tokio::{Node, ProtocolName, core::Muxer};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::Instant,
};

const SOURCE: ProtocolName = ProtocolName::from_static("/source/1.0.0");

/// Less than what a stream reads before its task is told, in any case.
const BYTES: usize = 14_400;

/// So many streams are just below what a connection takes unread, and a few more are above.
const BELOW: usize = 8 * 1024 * 1024 / BYTES;
const ABOVE: usize = 40;

fn over_mplex(seed: u8) -> Node {
    let mut config = config(seed);
    config.muxers = vec![Muxer::Mplex];
    Node::new(config).unwrap()
}

#[tokio::test]
async fn echo_over_mplex() {
    let (bob, info) = listener_on(over_mplex(1), "/ip4/127.0.0.1/tcp/0").await;
    bob.set_stream_handler(ECHO, common::echo);
    let alice = over_mplex(2);
    within(async {
        for seed in 0..3 {
            check_echo(alice.open_stream(ECHO, info.clone()).await.unwrap(), 3_000_000, seed).await;
        }
    })
    .await;
    // Who does not know it says so.
    let (_carol, info) = echo_server().await;
    let error = within(alice.open_stream(ECHO, info)).await.unwrap_err();
    assert!(error.to_string().contains("/mplex/6.7.0"), "{error}");
}

/// Readers who take little each make room together. The link's task is told when that ends a hold, and does not wait
/// for the five seconds of the muxer to pass.
#[tokio::test]
async fn readers_of_a_held_connection_are_noticed_at_once() {
    let (bob, info) = listener_on(over_mplex(3), "/ip4/127.0.0.1/tcp/0").await;
    // The streams stay open: an end would wake the task as well.
    let kept = Arc::new(Mutex::new(Vec::new()));
    bob.set_stream_handler(SOURCE, move |mut stream| {
        let kept = kept.clone();
        async move {
            let _ = stream.write_all(&payload(BYTES, 7)).await;
            kept.lock().unwrap().push(stream);
        }
    });
    let alice = over_mplex(4);
    let mut streams = Vec::new();
    for _ in 0..BELOW {
        streams.push(within(alice.open_stream(SOURCE, info.clone())).await.unwrap());
    }
    // These come behind what has no place.
    let late: Vec<_> = (0..ABOVE)
        .map(|_| {
            let (alice, info) = (alice.clone(), info.clone());
            tokio::spawn(async move { alice.open_stream(SOURCE, info).await.unwrap() })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(500)).await;
    let came = within(alice.stats(bob.id())).await.unwrap().bytes_in as usize;
    assert!(came < (BELOW + ABOVE) * BYTES, "the connection is held");
    let start = Instant::now();
    let expected = payload(BYTES, 7);
    let mut got = vec![0; BYTES];
    for stream in &mut streams {
        within(stream.read_exact(&mut got)).await.unwrap();
        assert!(got == expected);
    }
    for task in late {
        let mut stream = within(task).await.unwrap();
        within(stream.read_exact(&mut got)).await.unwrap();
        assert!(got == expected);
        streams.push(stream);
    }
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
}
