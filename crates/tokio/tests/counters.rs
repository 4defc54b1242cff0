//! What a node counts, over real sockets.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use core::time::Duration;

use common::{ECHO, check_echo, config, echo_server, within};
use sanswarm_tokio::{Counters, Node, PeerInfo, ProtocolName};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// The counters of a node as soon as they are so.
async fn counters(node: &Node, what: &str, is_so: impl Fn(&Counters) -> bool) -> Counters {
    for _ in 0..500 {
        let counters = node.counters().await.unwrap();
        if is_so(&counters) {
            return counters;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{what}: {:#?}", node.counters().await);
}

fn of(counters: &Counters, name: &ProtocolName) -> [u64; 4] {
    let entry = counters.protocol(name).unwrap();
    [entry.opened, entry.accepted, entry.bytes_in, entry.bytes_out]
}

#[tokio::test]
async fn a_session_at_both_ends() {
    within(async {
        let (bob, info) = echo_server().await;
        let alice = Node::new(config(1)).unwrap();
        for _ in 0..3 {
            check_echo(alice.open_stream(ECHO, info.clone()).await.unwrap(), 100_000, 7).await;
        }
        // Within a second, while the connection lasts.
        let (ours, theirs) = ([3, 0, 300_000, 300_000], [0, 3, 300_000, 300_000]);
        let a = counters(&alice, "told", |counters| of(counters, &ECHO) == ours).await;
        let b = counters(&bob, "told", |counters| of(counters, &ECHO) == theirs).await;
        assert_eq!((a.connections.established_outbound, a.connections.open, a.dials.asked), (1, 1, 3));
        assert_eq!((b.connections.accepted, b.connections.established_inbound, b.connections.open), (1, 1, 1));
        assert_eq!((a.connections.round_trips.count(), b.connections.round_trips.count()), (1, 1));
        // And all at its end.
        let mut lost = alice.open_stream(ECHO, info.clone()).await.unwrap();
        lost.write_all(b"x").await.unwrap();
        assert_eq!(lost.read_u8().await.unwrap(), b'x', "it is agreed on");
        alice.disconnect(info.id).await;
        let ended = |counters: &Counters| counters.connections.ended.sum() == 1;
        let a = counters(&alice, "ended", ended).await;
        let b = counters(&bob, "ended", ended).await;
        drop(lost);
        assert_eq!((of(&a, &ECHO), a.streams.open(), b.streams.open()), ([4, 0, 300_001, 300_001], 0, 0));
        assert_eq!((a.connections.open, a.connections.ended.requested), (0, 1));
        alice.shutdown(Duration::ZERO).await;
        assert_eq!(alice.counters().await, None);
    })
    .await;
}

#[tokio::test]
async fn failures() {
    within(async {
        let alice = Node::new(config(2)).unwrap();
        let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let stranger = Node::new(config(3)).unwrap().id();
        let address = format!("/ip4/127.0.0.1/tcp/{nobody}").parse().unwrap();
        alice.open_stream(ECHO, PeerInfo { id: stranger, addrs: vec![address] }).await.unwrap_err();
        let (_bob, mut info) = echo_server().await;
        alice.open_stream(ProtocolName::from_static("/none"), info.clone()).await.unwrap_err();
        info.id = stranger;
        alice.forgive(Some(stranger), vec![]).await;
        alice.connect(info).await.unwrap_err();
        let a = counters(&alice, "refused", |counters| counters.streams.refused == 1).await;
        assert_eq!((a.attempts.begun, a.attempts.succeeded, a.attempts.connect), (3, 1, 1));
        assert_eq!((a.attempts.upgrade.handshake, a.attempts.upgrade.sum()), (1, 1), "another peer answered");
        assert_eq!((a.dials.asked, a.dials.succeeded, a.dials.failed, a.dials.pending()), (3, 1, 2, 0));
    })
    .await;
}
