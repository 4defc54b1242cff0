//! Listeners: all interfaces, both families, and their end.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use core::time::Duration;

use common::{ECHO, check_echo, echo, within};
use sanswarm_tokio::{Event, ListenError, Multiaddr, Node, PeerInfo};

fn port(address: &Multiaddr) -> u16 {
    address.to_string().rsplit('/').next().unwrap().parse().unwrap()
}

#[tokio::test]
async fn all_interfaces_are_told_by_their_addresses() {
    within(async {
        let bob = Node::with_new_identity();
        bob.set_stream_handler(ECHO, echo);
        let bound = bob.listen("/ip4/0.0.0.0/tcp/0".parse().unwrap()).await.unwrap();
        let four = port(&bound);
        assert_eq!(bound.to_string(), format!("/ip4/0.0.0.0/tcp/{four}"));
        let advertised = bob.advertised().await;
        assert!(advertised.contains(&format!("/ip4/127.0.0.1/tcp/{four}").parse().unwrap()), "{advertised:?}");
        assert!(!advertised.contains(&bound) && advertised.iter().all(|address| port(address) == four));
        for address in &advertised {
            // Each of them leads here.
            let alice = Node::with_new_identity();
            let peer = PeerInfo { id: bob.id(), addrs: vec![address.clone()] };
            check_echo(alice.open_stream(ECHO, peer).await.unwrap(), 1000, 1).await;
            let told = alice.identify(bob.id()).await.unwrap().listen_addrs;
            assert!(!told.contains(&bound) && told.contains(address), "{told:?}");
        }
        assert!(bob.unlisten(bound).await);
        assert_eq!(bob.advertised().await, []);
    })
    .await;
}

#[tokio::test]
async fn one_port_serves_both_families() {
    within(async {
        let bob = Node::with_new_identity();
        let six = bob.listen("/ip6/::/tcp/0".parse().unwrap()).await.unwrap();
        let four = format!("/ip4/0.0.0.0/tcp/{}", port(&six));
        assert_eq!(bob.listen(four.parse().unwrap()).await.unwrap().to_string(), four);
        for host in ["/ip4/127.0.0.1", "/ip6/::1"] {
            let alice = Node::with_new_identity();
            let address = format!("{host}/tcp/{}", port(&six)).parse().unwrap();
            alice.connect(PeerInfo { id: bob.id(), addrs: vec![address] }).await.unwrap();
        }
        assert_eq!(bob.listeners().await.len(), 2);
    })
    .await;
}

#[tokio::test]
async fn a_listener_ends_by_command_and_its_connections_stay() {
    within(async {
        let (alice, bob) = (Node::with_new_identity(), Node::with_new_identity());
        bob.set_stream_handler(ECHO, echo);
        let any: Multiaddr = "/ip4/127.0.0.1/tcp/0".parse().unwrap();
        assert!(!bob.unlisten(any.clone()).await, "nothing is listened on");
        let mut events = bob.events();
        for by_command in [true, false] {
            let bound = bob.listen(any.clone()).await.unwrap();
            assert!(matches!(bob.listen(any.clone()).await, Err(ListenError::Refused(_))), "twice");
            let peer = PeerInfo { id: bob.id(), addrs: vec![bound.clone()] };
            alice.connect(peer.clone()).await.unwrap();
            assert!(bob.unlisten(if by_command { any.clone() } else { bound.clone() }).await);
            assert!(!bob.unlisten(bound.clone()).await, "once");
            assert_eq!((bob.listeners().await, bob.advertised().await), (vec![], vec![]));
            while events.next().await.unwrap() != (Event::Unlistened { address: bound.clone() }) {}
            // The port is free, and nobody is there.
            drop(std::net::TcpListener::bind(("127.0.0.1", port(&bound))).unwrap());
            assert_eq!(Node::with_new_identity().connect(peer.clone()).await.unwrap_err().code(), "connect");
            check_echo(alice.open_stream(ECHO, bob.id()).await.unwrap(), 1000, 2).await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_listener_may_end_before_it_is_there() {
    within(async {
        let node = Node::with_new_identity();
        let any: Multiaddr = "/ip4/127.0.0.1/tcp/0".parse().unwrap();
        let (listened, ended) = tokio::join!(node.listen(any.clone()), node.unlisten(any.clone()));
        assert!(ended);
        assert!(listened == Err(ListenError::Unlistened) || listened.is_ok(), "{listened:?}");
        assert_eq!(node.listeners().await, []);
        node.listen(any).await.unwrap();
        assert_eq!(node.shutdown(Duration::from_secs(1)).await, 0);
    })
    .await;
}
