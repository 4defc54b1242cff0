//! Nodes over real sockets, on an executor of one thread and on tokio's.
#![allow(clippy::unwrap_used, reason = "a test")]

use core::time::Duration;
use std::{io, net::TcpListener, sync::Arc};

use async_executor::Executor;
use async_io::{Async, Timer};
use futures_lite::{
    AsyncReadExt, AsyncWriteExt,
    future::{block_on, or},
};
use sanswarm_smol::{
    Node, Stream,
    sanswarm::{OpenStreamError, PeerInfo, ProtocolName, RefusalCause},
};

const ECHO: ProtocolName = ProtocolName::from_static("/echo/1.0.0");

type Tasks = Arc<Executor<'static>>;

fn node(tasks: &Tasks) -> Node {
    let tasks = tasks.clone();
    Node::new(sanswarm_smol::config().unwrap(), move |task| tasks.spawn(task).detach()).unwrap()
}

async fn server(tasks: &Tasks) -> (Node, PeerInfo) {
    let node = node(tasks);
    let address = node.listen("/ip4/127.0.0.1/tcp/0".parse().unwrap()).unwrap();
    let incoming = node.set_stream_handler(ECHO);
    let spawner = tasks.clone();
    tasks
        .spawn(async move {
            while let Ok(stream) = incoming.recv().await {
                spawner.spawn(echo(stream)).detach();
            }
        })
        .detach();
    let info = PeerInfo { id: node.id(), addrs: vec![address] };
    (node, info)
}

async fn echo(stream: Stream) {
    let (mut reader, mut writer) = futures_lite::io::split(stream);
    if futures_lite::io::copy(&mut reader, &mut writer).await.is_ok() {
        let _ = writer.close().await;
    }
}

/// Runs a test and its tasks on this thread, then looks whether any task is left.
fn run<F: Future<Output = ()>>(test: impl FnOnce(Tasks) -> F) {
    let tasks = Tasks::default();
    let late = async {
        Timer::after(Duration::from_secs(30)).await;
        panic!("it takes too long");
    };
    block_on(tasks.run(or(test(tasks.clone()), late)));
    let idle = async {
        while !tasks.is_empty() {
            Timer::after(Duration::from_millis(5)).await;
        }
    };
    let late = async {
        Timer::after(Duration::from_secs(10)).await;
        panic!("tasks are left");
    };
    block_on(tasks.run(or(idle, late)));
}

#[test]
fn megabytes_over_many_streams_come_back_whole() {
    run(|tasks| async move {
        let (bob, info) = server(&tasks).await;
        let alice = node(&tasks);
        let jobs: Vec<_> = (0..8u8)
            .map(|n| {
                let (alice, info, peer) = (alice.clone(), info.clone(), bob.id());
                tasks.spawn(async move {
                    let stream = alice.open_stream(ECHO, info).await.unwrap();
                    assert_eq!((stream.peer(), stream.protocol()), (peer, &ECHO));
                    let (mut reader, mut writer) = futures_lite::io::split(stream);
                    let sent: Vec<u8> = (0..1_000_000u32).map(|i| (i ^ i >> 8) as u8 ^ n).collect();
                    let write = async {
                        writer.write_all(&sent).await?;
                        writer.close().await
                    };
                    let mut got = Vec::new();
                    let read = reader.read_to_end(&mut got);
                    let (wrote, read) = futures_lite::future::zip(write, read).await;
                    wrote.unwrap();
                    assert_eq!(read.unwrap(), sent.len());
                    assert!(got == sent, "stream {n} came back changed");
                })
            })
            .collect();
        for job in jobs {
            job.await;
        }
        assert_eq!((alice.shutdown(Duration::from_secs(5)).await, bob.shutdown(Duration::from_secs(5)).await), (0, 0));
    });
}

#[test]
fn failures_say_what_happened() {
    run(|tasks| async move {
        let (bob, info) = server(&tasks).await;
        let alice = node(&tasks);
        let nothing = ProtocolName::from_static("/nothing/1.0.0");
        let Err(OpenStreamError::Refused(refusal)) = alice.open_stream(nothing.clone(), info.clone()).await else {
            panic!("it is not spoken")
        };
        assert_eq!((refusal.cause, refusal.offered), (RefusalCause::NotSupported, vec![nothing]));
        let nowhere = PeerInfo { addrs: vec!["/ip4/127.0.0.1/tcp/1".parse().unwrap()], ..node(&tasks).id().into() };
        let Err(OpenStreamError::Dial(report)) = alice.open_stream(ECHO, nowhere).await else { panic!("nobody there") };
        assert_eq!(report.attempts.len(), 1, "{report}");
        assert_eq!(report.attempts[0].stage(), "connect", "{report}");
        let error = alice.listen("/ip4/127.0.0.1/udp/1".parse().unwrap()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);

        // A name is looked up, and what is found is tried.
        let local = PeerInfo { addrs: vec!["/dns4/localhost/tcp/1".parse().unwrap()], ..node(&tasks).id().into() };
        let Err(OpenStreamError::Dial(report)) = alice.open_stream(ECHO, local).await else { panic!("nobody there") };
        assert_eq!(report.attempts[0].address.to_string(), "/ip4/127.0.0.1/tcp/1", "{report}");

        // A stream that is dropped unfinished is cut at the other end; so is one whose node ends.
        let mut stream = alice.open_stream(ECHO, info).await.unwrap();
        stream.write_all(b"half").await.unwrap();
        let mut byte = [0];
        stream.read_exact(&mut byte).await.unwrap();
        assert_eq!(bob.shutdown(Duration::from_millis(200)).await, 1, "a stream was in use until the deadline");
        let end = stream.read_to_end(&mut Vec::new()).await.unwrap_err();
        assert_eq!(end.kind(), io::ErrorKind::ConnectionReset);
        assert_eq!(stream.write_all(&[0; 9]).await.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    });
}

#[test]
fn a_dropped_stream_is_reset_and_a_dropped_request_given_up() {
    run(|tasks| async move {
        let bob = node(&tasks);
        let address = bob.listen("/ip4/127.0.0.1/tcp/0".parse().unwrap()).unwrap();
        let incoming = bob.set_stream_handler(ECHO);
        let alice = node(&tasks);
        let info = PeerInfo { id: bob.id(), addrs: vec![address] };
        let mut stream = alice.open_stream(ECHO, info).await.unwrap();
        stream.write_all(b"half").await.unwrap();
        let mut inbound = incoming.recv().await.unwrap();
        let mut half = [0; 4];
        inbound.read_exact(&mut half).await.unwrap();
        drop(stream);
        let error = inbound.read(&mut [0]).await.unwrap_err();
        assert_eq!((&half, error.kind()), (b"half", io::ErrorKind::ConnectionReset));

        // Whoever is there says nothing: the socket is closed when nobody waits any more.
        let mute = Async::<TcpListener>::bind(([127, 0, 0, 1], 0)).unwrap();
        let port = mute.get_ref().local_addr().unwrap().port();
        let address = format!("/ip4/127.0.0.1/tcp/{port}").parse().unwrap();
        let request = alice.open_stream(ECHO, PeerInfo { id: node(&tasks).id(), addrs: vec![address] });
        let accepted = async { Err(mute.accept().await.unwrap()) };
        let (mut socket, _) = or(async { Ok(request.await) }, accepted).await.unwrap_err();
        socket.read_to_end(&mut Vec::new()).await.unwrap();
        // Who takes no more streams has one reset, and speaks it no more.
        drop((inbound, incoming));
        let mut stream = alice.open_stream(ECHO, bob.id()).await.unwrap();
        assert_eq!(stream.read(&mut [0]).await.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
        let nobody = ProtocolName::from_static("/nobody/1.0.0");
        let refused = async || {
            matches!(alice.open_stream([ECHO, nobody.clone()], bob.id()).await, Err(OpenStreamError::Refused(_)))
        };
        while !refused().await {
            Timer::after(Duration::from_millis(5)).await;
        }
        drop((alice, bob));
    });
}

#[test]
fn any_executor_will_do() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    runtime.block_on(async {
        let spawn = |task| drop(tokio::spawn(task));
        let (alice, bob) = (
            Node::new(sanswarm_smol::config().unwrap(), spawn).unwrap(),
            Node::new(sanswarm_smol::config().unwrap(), spawn).unwrap(),
        );
        let address = bob.listen("/ip4/127.0.0.1/tcp/0".parse().unwrap()).unwrap();
        let incoming = bob.set_stream_handler(ECHO);
        tokio::spawn(async move { echo(incoming.recv().await.unwrap()).await });
        let mut stream = alice.open_stream(ECHO, PeerInfo { id: bob.id(), addrs: vec![address] }).await.unwrap();
        stream.write_all(&[7; 100_000]).await.unwrap();
        stream.close().await.unwrap();
        let mut got = Vec::new();
        stream.read_to_end(&mut got).await.unwrap();
        assert_eq!(got, [7; 100_000]);
    });
}

#[test]
fn counters_of_a_session() {
    run(|tasks| async move {
        let (server, info) = server(&tasks).await;
        let client = node(&tasks);
        for _ in 0..3 {
            let mut stream = client.open_stream(ECHO, info.clone()).await.unwrap();
            stream.write_all(&[7; 1000]).await.unwrap();
            stream.close().await.unwrap();
            let mut back = Vec::new();
            stream.read_to_end(&mut back).await.unwrap();
            assert_eq!(back, [7; 1000]);
        }
        // What a link has not told yet is in it.
        let of = |node: &Node| {
            let counters = node.counters();
            let entry = counters.protocol(&ECHO).unwrap();
            [entry.opened, entry.accepted, entry.bytes_in, entry.bytes_out]
        };
        assert_eq!((of(&client), of(&server)), ([3, 0, 3000, 3000], [0, 3, 3000, 3000]));
        let (ours, theirs) = (client.counters().connections, server.counters().connections);
        assert_eq!((ours.established_outbound, ours.open, theirs.accepted, theirs.open), (1, 1, 1, 1));
        client.shutdown(Duration::from_secs(5)).await;
        while server.counters().connections.open > 0 {
            Timer::after(Duration::from_millis(5)).await;
        }
        let theirs = server.counters();
        assert_eq!((theirs.connections.ended.sum(), theirs.streams.open()), (1, 0));
        server.shutdown(Duration::from_secs(5)).await;
    });
}
