//! Listeners: all interfaces, both families, and their end.

#![allow(clippy::unwrap_used)] // clippy sees helpers outside of #[test] as no tests

mod common;

use common::{ECHO, echo, round_trip, within};
use sanswarm_std::{Event, ListenError, Multiaddr, Node, PeerInfo};

fn port(address: &Multiaddr) -> u16 {
    address.to_string().rsplit('/').next().unwrap().parse().unwrap()
}

#[test]
fn all_interfaces_are_told_by_their_addresses() {
    within(|| {
        let bob = Node::with_new_identity().unwrap();
        bob.set_stream_handler(ECHO, echo);
        let bound = bob.listen("/ip4/0.0.0.0/tcp/0".parse().unwrap()).unwrap();
        let advertised = bob.advertised();
        let loopback: Multiaddr = format!("/ip4/127.0.0.1/tcp/{}", port(&bound)).parse().unwrap();
        assert!(advertised.contains(&loopback) && !advertised.contains(&bound), "{advertised:?}");
        for address in &advertised {
            let alice = Node::with_new_identity().unwrap();
            let peer = PeerInfo { id: bob.id(), addrs: vec![address.clone()] };
            round_trip(&alice.open_stream(ECHO, peer).unwrap(), 1000, 1);
            let told = alice.identify(bob.id()).unwrap().listen_addrs;
            assert!(!told.contains(&bound) && told.contains(address), "{told:?}");
        }
        assert!(bob.unlisten(bound));
        assert_eq!(bob.advertised(), []);
    });
}

#[test]
fn one_port_serves_both_families() {
    within(|| {
        let bob = Node::with_new_identity().unwrap();
        let six = bob.listen("/ip6/::/tcp/0".parse().unwrap()).unwrap();
        let four = format!("/ip4/0.0.0.0/tcp/{}", port(&six));
        assert_eq!(bob.listen(four.parse().unwrap()).unwrap().to_string(), four);
        for host in ["/ip4/127.0.0.1", "/ip6/::1"] {
            let alice = Node::with_new_identity().unwrap();
            let address = format!("{host}/tcp/{}", port(&six)).parse().unwrap();
            alice.connect(PeerInfo { id: bob.id(), addrs: vec![address] }).unwrap();
        }
        assert_eq!(bob.listeners().len(), 2);
    });
}

#[test]
fn a_listener_ends_by_command_and_its_connections_stay() {
    within(|| {
        let [alice, bob] = [(); 2].map(|()| Node::with_new_identity().unwrap());
        bob.set_stream_handler(ECHO, echo);
        let any: Multiaddr = "/ip4/127.0.0.1/tcp/0".parse().unwrap();
        assert!(!bob.unlisten(any.clone()), "nothing is listened on");
        let mut events = bob.events();
        for by_command in [true, false] {
            let bound = bob.listen(any.clone()).unwrap();
            assert!(matches!(bob.listen(any.clone()), Err(ListenError::Denied(_))), "twice");
            let peer = PeerInfo { id: bob.id(), addrs: vec![bound.clone()] };
            alice.connect(peer.clone()).unwrap();
            assert!(bob.unlisten(if by_command { any.clone() } else { bound.clone() }));
            assert!(!bob.unlisten(bound.clone()), "once");
            assert_eq!((bob.listeners(), bob.advertised()), (vec![], vec![]));
            assert!(events.any(|event| event == Event::Unlistened { address: bound.clone() }));
            // The port is free, and nobody is there.
            drop(std::net::TcpListener::bind(("127.0.0.1", port(&bound))).unwrap());
            assert_eq!(Node::with_new_identity().unwrap().connect(peer).unwrap_err().code(), "connect");
            round_trip(&alice.open_stream(ECHO, bob.id()).unwrap(), 1000, 2);
        }
    });
}

#[cfg(feature = "poll")]
#[test]
fn a_node_on_one_thread_listens_on_all_interfaces_and_stops() {
    use common::SECOND;
    use sanswarm_std::poll::Driver;

    within(|| {
        let mut driver = Driver::with_new_identity().unwrap();
        let any: Multiaddr = "/ip4/0.0.0.0/tcp/0".parse().unwrap();
        driver.listen(any.clone()).unwrap();
        let Some(Event::Listening { address }) = driver.next_event(Some(SECOND)) else { panic!("no listener") };
        let advertised: Vec<_> = driver.node().advertised().collect();
        let loopback = format!("/ip4/127.0.0.1/tcp/{}", port(&address)).parse().unwrap();
        assert!(advertised.contains(&loopback), "{advertised:?}");
        assert!(driver.unlisten(&any));
        assert_eq!(driver.next_event(Some(SECOND)), Some(Event::Unlistened { address: address.clone() }));
        assert_eq!(driver.node().advertised().count(), 0);
        drop(std::net::TcpListener::bind(("0.0.0.0", port(&address))).unwrap());
        assert!(!driver.unlisten(&address));
    });
}
