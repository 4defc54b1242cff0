//! The life of a node.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use core::time::Duration;

use common::{ECHO, check_echo, config, echo, echo_server, listener_on, no_streams, within};
use sanswarm_tokio::{
    CloseReason, Event, EventsError, IdentifyError, Node, OpenStreamError, PeerId, PeerInfo, PingError, ProtocolName,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

async fn connected(seed: u8) -> (Node, Node, PeerInfo) {
    let (bob, info) = echo_server().await;
    let alice = Node::new(config(seed)).unwrap();
    alice.connect(info.clone()).await.unwrap();
    (alice, bob, info)
}

#[tokio::test]
async fn ping_and_identify() {
    within(async {
        let (alice, bob, info) = connected(1).await;
        let first = alice.connect(info.clone()).await.unwrap();
        assert_eq!(alice.connect(info.id).await.unwrap(), first, "there is one already");
        let (one, two) = tokio::join!(alice.ping(info.id), alice.ping(info.id));
        assert!(one.unwrap() < Duration::from_secs(1) && two.is_ok());
        bob.ping(alice.id()).await.unwrap();
        let info = alice.identify(info.id).await.unwrap();
        assert!(info.agent.unwrap().starts_with("sanswarm/"));
        assert!(info.protocols.iter().any(|name| name == "/echo/1.0.0"));
        assert!(bob.identify(alice.id()).await.is_ok());

        let stranger = PeerId::from_bytes(&[0, 1, 7]).unwrap();
        assert_eq!(alice.ping(stranger).await, Err(PingError::Closed));
        assert_eq!(alice.identify(stranger).await, Err(IdentifyError::Closed));
        assert_eq!(alice.stats(stranger).await, None);
    })
    .await;
}

#[tokio::test]
async fn cancelled_requests_leave_nothing() {
    within(async {
        let (alice, bob, info) = connected(2).await;
        for micros in (0..2000).step_by(20) {
            let open = alice.open_stream(ECHO, info.clone());
            let _ = tokio::time::timeout(Duration::from_micros(micros), open).await;
        }
        no_streams(&alice, bob.id()).await;
        no_streams(&bob, alice.id()).await;
        check_echo(alice.open_stream(ECHO, info).await.unwrap(), 1000, 0).await;

        // A dial that nobody waits for any more is given up: its socket is closed.
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("/ip4/127.0.0.1/tcp/{}", listener.local_addr().unwrap().port());
        let peer = PeerInfo { id: PeerId::from_bytes(&[0, 1, 7]).unwrap(), addrs: vec![address.parse().unwrap()] };
        let open = alice.open_stream(ECHO, peer);
        assert!(tokio::time::timeout(Duration::from_millis(50), open).await.is_err());
        let (mut socket, _) = listener.accept().await.unwrap();
        socket.read_to_end(&mut Vec::new()).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn shutdown_delivers_what_was_written_and_ends_all() {
    within(async {
        let (alice, bob, info) = connected(3).await;
        let mut events = bob.events();
        let mut stream = alice.open_stream(ECHO, info.clone()).await.unwrap();
        stream.write_all(b"hello").await.unwrap();
        assert_eq!(alice.shutdown(Duration::from_millis(100)).await, 1, "the stream was open");
        let reason = loop {
            if let Event::Disconnected { reason, .. } = events.next().await.unwrap() {
                break reason;
            }
        };
        // The echo's stream was open: that is an end by force, told as such.
        assert!(reason.is_err() || matches!(reason, Ok(CloseReason::Remote(_))), "{reason:?}");
        let error = alice.open_stream(ECHO, info.clone()).await.unwrap_err();
        assert_eq!(error, OpenStreamError::Closed(Ok(CloseReason::Local)));
        assert!(alice.listen("/ip4/127.0.0.1/tcp/0".parse().unwrap()).await.is_err());
        assert!(stream.write_all(b"x").await.is_err());
        // The echo may have come.
        let rest = stream.read_to_end(&mut Vec::new()).await;
        assert!(rest.is_err(), "{rest:?}");
        assert_eq!(alice.events().next().await, Err(EventsError::Ended));
        assert_eq!(alice.shutdown(Duration::ZERO).await, 0);

        assert_eq!(bob.shutdown(Duration::from_secs(5)).await, 0);
        let carol = Node::with_new_identity();
        let error = carol.open_stream(ECHO, info).await.unwrap_err();
        assert_eq!(error.code(), "connect", "its listener is closed");
    })
    .await;
}

#[tokio::test]
async fn shutdown_does_not_wait_for_those_who_do_not_answer() {
    within(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("/ip4/127.0.0.1/tcp/{}", listener.local_addr().unwrap().port());
        let peer = PeerInfo { id: PeerId::from_bytes(&[0, 1, 7]).unwrap(), addrs: vec![address.parse().unwrap()] };
        let alice = Node::with_new_identity();
        let node = alice.clone();
        let open = tokio::spawn(async move { node.open_stream(ECHO, peer).await });
        let (_socket, _) = listener.accept().await.unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
        let start = tokio::time::Instant::now();
        alice.shutdown(Duration::from_millis(200)).await;
        assert!(start.elapsed() < Duration::from_secs(1));
        assert!(open.await.unwrap().is_err());
    })
    .await;
}

#[tokio::test]
async fn a_node_ends_with_its_last_handle() {
    within(async {
        let (alice, bob, info) = connected(4).await;
        let mut events = alice.events();
        drop(bob);
        loop {
            if let Event::Disconnected { reason, .. } = events.next().await.unwrap() {
                assert!(matches!(reason, Ok(CloseReason::Remote(_))), "{reason:?}");
                break;
            }
        }
        assert!(alice.open_stream(ECHO, info).await.is_err());
    })
    .await;
}

#[tokio::test]
async fn a_runtime_that_ends_leaves_nobody_waiting() {
    let (bob, info) = echo_server().await;
    bob.set_stream_handler(ECHO, |stream| async move {
        tokio::time::sleep(Duration::from_secs(60)).await;
        drop(stream);
    });
    let (node, mut stream) = tokio::task::spawn_blocking(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let node = Node::with_new_identity();
            let stream = node.open_stream(ECHO, info).await.unwrap();
            (node, stream)
        })
    })
    .await
    .unwrap();
    within(async {
        assert!(stream.read_bytes().await.is_err());
        assert!(stream.write_all(&[0; 1000]).await.is_err());
        assert!(node.connect(bob.id()).await.is_err());
        assert_eq!(node.events().next().await, Err(EventsError::Ended));
    })
    .await;
}

#[tokio::test]
async fn a_handler_is_replaced_and_removed() {
    within(async {
        let (alice, bob, info) = connected(5).await;
        let say = |text: &'static [u8]| {
            move |mut stream: sanswarm_tokio::Stream| async move {
                let _ = stream.write_all(text).await;
                let _ = stream.shutdown().await;
            }
        };
        let ask = async || {
            let mut answer = String::new();
            alice.open_stream(ECHO, info.clone()).await.unwrap().read_to_string(&mut answer).await.unwrap();
            answer
        };
        bob.set_stream_handler(ECHO, say(b"one"));
        assert_eq!(ask().await, "one");
        bob.set_stream_handler(ProtocolName::from_static("/two/1.0.0"), say(b"two"));
        let handler = bob.set_stream_handler(ECHO, say(b"two"));
        assert_eq!(ask().await, "two");
        assert!(bob.remove_stream_handler(handler));
        while bob.identify(alice.id()).await.is_err() {}
        let refused = loop {
            // The node has no say in when the connection hears of it.
            match alice.open_stream(ECHO, info.clone()).await {
                Ok(mut stream) => drop(stream.read_bytes().await),
                Err(error) => break error,
            }
        };
        assert_eq!(refused.code(), "protocol-refused", "{refused}");
        alice.open_stream(ProtocolName::from_static("/two/1.0.0"), info.clone()).await.unwrap();
        bob.set_stream_handler(ECHO, echo);
        let stream = loop {
            if let Ok(stream) = alice.open_stream(ECHO, info.clone()).await {
                break stream;
            }
        };
        check_echo(stream, 1000, 0).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_hundred_connections() {
    within(async {
        let mut config = config(6);
        config.swarm.pending_inbound = 400;
        let (bob, info) = listener_on(Node::new(config).unwrap(), "/ip4/127.0.0.1/tcp/0").await;
        bob.set_stream_handler(ECHO, echo);
        let mut tasks = Vec::new();
        for seed in 0..200 {
            let info = info.clone();
            tasks.push(tokio::spawn(async move {
                let node = Node::with_new_identity();
                let stream = node.open_stream(ECHO, info).await.unwrap();
                check_echo(stream, 20_000, seed).await;
                node
            }));
        }
        let mut nodes = Vec::new();
        for task in tasks {
            nodes.push(task.await.unwrap());
        }
        assert_eq!(bob.shutdown(Duration::from_secs(10)).await, 0);
    })
    .await;
}

#[tokio::test]
async fn a_connection_that_may_not_stay_reaches_no_handler() {
    within(async {
        let mut config = config(10);
        config.swarm.established_per_peer = 1;
        let (bob, info) = listener_on(Node::new(config).unwrap(), "/ip4/127.0.0.1/tcp/0").await;
        bob.set_stream_handler(ECHO, |stream| async move {
            let mut stream = stream;
            let _ = stream.write_all(b"let in").await;
            let _ = stream.shutdown().await;
        });
        let twins = [Node::new(common::config(9)).unwrap(), Node::new(common::config(9)).unwrap()];
        let mut answers = Vec::new();
        for twin in &twins {
            let mut answer = Vec::new();
            if let Ok(mut stream) = twin.open_stream(ECHO, info.clone()).await {
                let _ = stream.read_to_end(&mut answer).await;
            }
            answers.push(answer);
        }
        assert_eq!(answers, [b"let in".to_vec(), Vec::new()]);
    })
    .await;
}

#[tokio::test]
async fn an_idle_connection_costs_no_turn() {
    within(async {
        let (alice, bob, info) = connected(8).await;
        let stream = alice.open_stream(ECHO, info.clone()).await.unwrap();
        alice.identify(info.id).await.unwrap();
        bob.identify(alice.id()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(200)).await;
        let before = (alice.stats(bob.id()).await, bob.stats(alice.id()).await);
        tokio::time::sleep(Duration::from_millis(300)).await;
        let after = (alice.stats(bob.id()).await, bob.stats(alice.id()).await);
        assert!(before.0.is_some() && before.1.is_some());
        assert_eq!(before, after);
        drop(stream);
    })
    .await;
}

#[tokio::test]
async fn a_slow_listener_to_events_is_told_what_it_missed() {
    within(async {
        let (bob, info) = echo_server().await;
        let mut events = bob.events();
        for seed in 0..100 {
            let alice = Node::new(config(100 + seed)).unwrap();
            alice.connect(info.clone()).await.unwrap();
            alice.shutdown(Duration::from_secs(5)).await;
        }
        // Connected, PeerReady and Disconnected of each: more than are kept.
        let error = events.next().await.unwrap_err();
        assert!(matches!(error, EventsError::Missed(n) if n > 0), "{error:?}");
        assert!(events.next().await.is_ok());
    })
    .await;
}
