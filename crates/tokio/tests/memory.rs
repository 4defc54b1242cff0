//! Pipes in memory under nodes.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use core::time::Duration;

use common::{ECHO, check_echo, config, echo, listener_on, within};
use sanswarm_tokio::{Event, ListenError, Node, PeerInfo, TransportError};

async fn server() -> (Node, PeerInfo) {
    let (bob, info) = listener_on(Node::with_new_identity(), "/memory/0").await;
    bob.set_stream_handler(ECHO, echo);
    (bob, info)
}

#[tokio::test]
async fn ping_identify_and_echo() {
    within(async {
        let (bob, info) = server().await;
        assert!(info.addrs[0].to_string().starts_with("/memory/") && info.addrs[0].to_string() != "/memory/0");
        assert_eq!(bob.listeners().await, info.addrs);
        let alice = Node::new(config(1)).unwrap();
        alice.connect(info.clone()).await.unwrap();
        alice.ping(info.id).await.unwrap();
        bob.ping(alice.id()).await.unwrap();
        assert_eq!(alice.identify(info.id).await.unwrap().listen_addrs, info.addrs);
        check_echo(alice.open_stream(ECHO, info.clone()).await.unwrap(), 1 << 20, 0).await;
        let (one, two) = (alice.open_stream(ECHO, info.id), alice.open_stream(ECHO, info.id));
        let (one, two) = tokio::join!(one, two);
        tokio::join!(check_echo(one.unwrap(), 3 << 20, 1), check_echo(two.unwrap(), 3 << 20, 2));
    })
    .await;
}

#[tokio::test]
async fn nobody_there_twice_there_and_an_end() {
    within(async {
        let (bob, info) = server().await;
        let (alice, mut events) = (Node::with_new_identity(), bob.events());
        let twice = alice.listen(info.addrs[0].clone()).await;
        assert_eq!(twice, Err(ListenError::Bind(TransportError::AddressInUse)));
        alice.connect(info.clone()).await.unwrap();
        assert!(bob.unlisten(info.addrs[0].clone()).await);
        let error = Node::with_new_identity().connect(info.clone()).await.unwrap_err();
        assert!(error.to_string().contains("connection refused"), "{error}");
        // The connection stays, and ends with its node.
        check_echo(alice.open_stream(ECHO, info.id).await.unwrap(), 1000, 0).await;
        assert_eq!(alice.shutdown(Duration::from_secs(1)).await, 0);
        while !matches!(events.next().await.unwrap(), Event::Disconnected { .. }) {}
    })
    .await;
}

#[tokio::test]
async fn a_node_that_is_dropped_is_gone() {
    within(async {
        let (bob, info) = server().await;
        let (alice, mut events) = (Node::with_new_identity(), bob.events());
        alice.connect(info.clone()).await.unwrap();
        drop(alice);
        while !matches!(events.next().await.unwrap(), Event::Disconnected { .. }) {}
        drop((bob, events));
        let carol = Node::with_new_identity();
        while carol.connect(info.clone()).await.is_ok() {
            carol.disconnect(info.id).await;
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
}
