//! Streams over real sockets.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use core::time::Duration;
use std::io;

use common::{ECHO, check_echo, echo_server, listener, listener_on, no_streams, payload, within};
use sanswarm_tokio::{Node, ProtocolName, Stream, StreamError};
use tokio::{
    io::{AsyncReadExt, AsyncWrite, AsyncWriteExt},
    sync::mpsc,
};

/// A listener that hands its streams in, a dialer, and a stream between them.
async fn pair() -> (Node, Node, Stream, Stream) {
    let (bob, info) = listener().await;
    let (sender, mut receiver) = mpsc::unbounded_channel();
    bob.set_stream_handler(ECHO, move |stream| {
        let _ = sender.send(stream);
        core::future::ready(())
    });
    let alice = Node::with_new_identity();
    let ours = alice.open_stream(ECHO, info).await.expect("bob listens");
    let theirs = receiver.recv().await.expect("bob's handler");
    (alice, bob, ours, theirs)
}

fn cause(error: &io::Error) -> &StreamError {
    error.get_ref().and_then(|inner| inner.downcast_ref()).expect("a typed cause")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_mib_on_one_stream_and_on_twenty() {
    within(async {
        let (_bob, info) = echo_server().await;
        let alice = Node::with_new_identity();
        check_echo(alice.open_stream(ECHO, info.clone()).await.unwrap(), 1 << 20, 0).await;
        let mut tasks = Vec::new();
        for seed in 0..20 {
            let stream = alice.open_stream(ECHO, info.clone()).await.unwrap();
            tasks.push(tokio::spawn(check_echo(stream, 1 << 20, seed)));
        }
        for task in tasks {
            task.await.unwrap();
        }
        no_streams(&alice, info.id).await;
        let stats = alice.stats(info.id).await.unwrap();
        assert!(stats.bytes_in > 21 << 20 && stats.bytes_out > 21 << 20, "{stats:?}");
    })
    .await;
}

#[tokio::test]
async fn on_one_thread_too_and_over_ipv6() {
    within(async {
        let (bob, info) = listener_on(Node::with_new_identity(), "/ip6/::1/tcp/0").await;
        assert!(info.addrs[0].to_string().starts_with("/ip6/::1/tcp/"), "{}", info.addrs[0]);
        bob.set_stream_handler(ECHO, common::echo);
        let alice = Node::with_new_identity();
        let stream = alice.open_stream(ECHO, info.clone()).await.unwrap();
        assert_eq!((stream.peer(), stream.protocol().as_str()), (info.id, "/echo/1.0.0"));
        check_echo(stream, 1 << 20, 3).await;
    })
    .await;
}

#[tokio::test]
async fn parts_are_written_in_their_order() {
    within(async {
        let (_alice, _bob, mut ours, mut theirs) = pair().await;
        assert!(ours.is_write_vectored());
        let sent = payload(3 << 20, 5);
        let expected = sent.clone();
        let writer = async move {
            let mut left = &sent[..];
            while !left.is_empty() {
                // A head, nothing, more than the buffer has room for, a tail.
                let (head, rest) = left.split_at(left.len().min(10));
                let (body, tail) = rest.split_at(rest.len().min(300_000));
                let parts = [head, &[], body, &tail[..tail.len().min(1000)]].map(io::IoSlice::new);
                left = &left[ours.write_vectored(&parts).await.unwrap()..];
            }
            assert_eq!(ours.write_vectored(&[io::IoSlice::new(&[])]).await.unwrap(), 0);
            ours.shutdown().await.unwrap();
            assert!(ours.write_vectored(&[io::IoSlice::new(b"late")]).await.is_err());
            ours
        };
        let mut got = Vec::new();
        let (_ours, n) = tokio::join!(writer, theirs.read_to_end(&mut got));
        assert!(n.unwrap() == expected.len() && got == expected);
    })
    .await;
}

#[tokio::test]
async fn a_name_is_resolved() {
    within(async {
        let (_bob, mut info) = echo_server().await;
        let text = info.addrs[0].to_string().replace("/ip4/127.0.0.1", "/dns4/localhost");
        info.addrs = vec![text.parse().unwrap()];
        let alice = Node::with_new_identity();
        check_echo(alice.open_stream(ECHO, info).await.unwrap(), 1000, 3).await;
    })
    .await;
}

#[tokio::test]
async fn either_side_may_finish_first() {
    within(async {
        let (_alice, _bob, mut ours, mut theirs) = pair().await;
        ours.write_all(b"question").await.unwrap();
        ours.shutdown().await.unwrap();
        ours.shutdown().await.unwrap();
        assert_eq!(cause(&ours.write_all(b"x").await.unwrap_err()), &StreamError::Finished);
        let mut got = Vec::new();
        theirs.read_to_end(&mut got).await.unwrap();
        assert_eq!(got, b"question");
        theirs.write_all(b"answer").await.unwrap();
        theirs.shutdown().await.unwrap();
        got.clear();
        ours.read_to_end(&mut got).await.unwrap();
        assert_eq!(got, b"answer");
        assert_eq!(ours.read(&mut [0]).await.unwrap(), 0, "the end stays");

        let (_alice, _bob, mut ours, mut theirs) = pair().await;
        theirs.shutdown().await.unwrap();
        assert_eq!(ours.read_bytes().await.unwrap(), None);
        ours.write_all(&payload(200_000, 1)).await.unwrap();
        ours.shutdown().await.unwrap();
        let mut got = Vec::new();
        theirs.read_to_end(&mut got).await.unwrap();
        assert!(got == payload(200_000, 1));
    })
    .await;
}

#[tokio::test]
async fn a_dropped_stream_is_reset() {
    within(async {
        let (alice, bob, mut ours, theirs) = pair().await;
        let reader = tokio::spawn(async move { ours.read_bytes().await });
        tokio::time::sleep(Duration::from_millis(50)).await;
        drop(theirs);
        let error = reader.await.unwrap().unwrap_err();
        assert_eq!((error.kind(), cause(&error)), (io::ErrorKind::ConnectionReset, &StreamError::Reset));
        no_streams(&alice, bob.id()).await;
        no_streams(&bob, alice.id()).await;
    })
    .await;
}

#[tokio::test]
async fn a_writer_that_waits_hears_of_a_reset() {
    within(async {
        let (_alice, _bob, mut ours, theirs) = pair().await;
        let writer = tokio::spawn(async move { ours.write_all(&payload(4 << 20, 1)).await });
        tokio::time::sleep(Duration::from_millis(100)).await;
        theirs.reset();
        let error = writer.await.unwrap().unwrap_err();
        assert_eq!((error.kind(), cause(&error)), (io::ErrorKind::BrokenPipe, &StreamError::Reset));
    })
    .await;
}

#[tokio::test]
async fn what_was_written_before_shutdown_arrives_though_the_handle_is_dropped() {
    within(async {
        let (alice, bob, mut ours, mut theirs) = pair().await;
        ours.write_all(&payload(200_000, 5)).await.unwrap();
        ours.shutdown().await.unwrap();
        drop(ours);
        let mut got = Vec::new();
        theirs.read_to_end(&mut got).await.unwrap();
        assert!(got == payload(200_000, 5));
        // Nobody reads this; nobody is held up by it either.
        theirs.write_all(&payload(1 << 20, 5)).await.unwrap();
        theirs.shutdown().await.unwrap();
        drop(theirs);
        no_streams(&alice, bob.id()).await;
        no_streams(&bob, alice.id()).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_slow_reader_does_not_stop_other_streams() {
    within(async {
        let (bob, info) = echo_server().await;
        let lazy = ProtocolName::from_static("/lazy/1.0.0");
        // It never reads.
        bob.set_stream_handler(&lazy, |stream| async move {
            tokio::time::sleep(Duration::from_secs(20)).await;
            drop(stream);
        });
        let alice = Node::with_new_identity();
        let mut stuck = alice.open_stream(lazy, info.clone()).await.unwrap();
        let stuck = tokio::spawn(async move { stuck.write_all(&payload(4 << 20, 0)).await });
        for seed in 0..4 {
            check_echo(alice.open_stream(ECHO, info.clone()).await.unwrap(), 1 << 20, seed).await;
        }
        assert!(!stuck.is_finished());
        stuck.abort();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_writers_that_do_not_read_wait_and_go_on_when_they_do() {
    within(async {
        let (_alice, _bob, ours, theirs) = pair().await;
        let (mut our_reader, mut our_writer) = tokio::io::split(ours);
        let (mut their_reader, mut their_writer) = tokio::io::split(theirs);
        let a = tokio::spawn(async move {
            our_writer.write_all(&payload(8 << 20, 1)).await.unwrap();
            our_writer.shutdown().await.unwrap();
        });
        let b = tokio::spawn(async move {
            their_writer.write_all(&payload(8 << 20, 2)).await.unwrap();
            their_writer.shutdown().await.unwrap();
        });
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert!(!a.is_finished() && !b.is_finished(), "8 MiB are more than any buffer");
        let (mut x, mut y) = (Vec::new(), Vec::new());
        let (x_done, y_done) = tokio::join!(our_reader.read_to_end(&mut x), their_reader.read_to_end(&mut y));
        x_done.unwrap();
        y_done.unwrap();
        a.await.unwrap();
        b.await.unwrap();
        assert!(x == payload(8 << 20, 2) && y == payload(8 << 20, 1));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_may_live_in_another_runtime() {
    within(async {
        let (_bob, info) = echo_server().await;
        let alice = Node::with_new_identity();
        let stream = alice.open_stream(ECHO, info.clone()).await.unwrap();
        let (node, peer) = (alice.clone(), info.clone());
        let other = tokio::task::spawn_blocking(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            runtime.block_on(async {
                check_echo(stream, 1 << 20, 9).await;
                check_echo(node.open_stream(ECHO, peer).await.unwrap(), 1 << 20, 8).await;
            });
        });
        other.await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn small_writes_and_reads_in_turns() {
    within(async {
        let (_bob, info) = echo_server().await;
        let alice = Node::with_new_identity();
        let mut tasks = Vec::new();
        for seed in 0..10 {
            let mut stream = alice.open_stream(ECHO, info.clone()).await.unwrap();
            tasks.push(tokio::spawn(async move {
                for round in 0..200_usize {
                    let data = payload(1 + round % 50, seed);
                    stream.write_all(&data).await.unwrap();
                    let mut back = vec![0; data.len()];
                    stream.read_exact(&mut back).await.unwrap();
                    assert_eq!(back, data);
                }
                stream.shutdown().await.unwrap();
                assert_eq!(stream.read_bytes().await.unwrap(), None);
            }));
        }
        for task in tasks {
            task.await.unwrap();
        }
    })
    .await;
}

#[tokio::test]
async fn the_end_of_the_connection_ends_its_streams() {
    within(async {
        let (alice, bob, mut ours, mut theirs) = pair().await;
        theirs.write_all(b"last words").await.unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!(bob.disconnect(alice.id()).await, 1);
        let mut got = vec![0; 10];
        ours.read_exact(&mut got).await.unwrap();
        assert_eq!(got, b"last words");
        let error = ours.read_bytes().await.unwrap_err();
        assert_eq!((error.kind(), cause(&error)), (io::ErrorKind::ConnectionReset, &StreamError::Closed));
        let error = theirs.write_all(b"x").await.unwrap_err();
        assert_eq!((error.kind(), cause(&error)), (io::ErrorKind::BrokenPipe, &StreamError::Closed));
    })
    .await;
}

#[tokio::test]
async fn an_idle_connection_gives_its_buffers_back_and_sleeps() {
    within(async {
        let (bob, info) = echo_server().await;
        let alice = Node::with_new_identity();
        let stats = async || alice.stats(bob.id()).await.unwrap();
        let mut has_buffers = false;
        for seed in 0..10 {
            check_echo(alice.open_stream(ECHO, info.clone()).await.unwrap(), 1 << 20, seed).await;
            has_buffers |= stats().await.has_buffers; // unless this machine takes 200 ms to get here
        }
        assert!(has_buffers, "who asks again should not wait for new ones");
        while stats().await.has_buffers {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        tokio::time::sleep(Duration::from_secs(2)).await; // until the control knows that it is not used
        let turns = stats().await.turns;
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert_eq!((stats().await.turns, stats().await.has_buffers), (turns, false));
    })
    .await;
}
