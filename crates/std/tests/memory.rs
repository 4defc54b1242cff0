//! Pipes in memory under nodes with threads.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use common::{ECHO, SECOND, eventually, round_trip, server, within};
use sanswarm_std::{ListenError, Node, core::TransportError};

#[test]
fn ping_identify_and_echo() {
    within(|| {
        let (bob, info) = server("/memory/0");
        assert!(info.addrs[0].to_string().starts_with("/memory/") && info.addrs[0].to_string() != "/memory/0");
        assert_eq!(bob.listeners(), info.addrs);
        let alice = Node::with_new_identity().unwrap();
        alice.connect(info.clone()).unwrap();
        alice.ping(info.id).unwrap();
        bob.ping(alice.id()).unwrap();
        assert_eq!(alice.identify(info.id).unwrap().listen_addrs, info.addrs);
        round_trip(&alice.open_stream(ECHO, info).unwrap(), 5 << 20, 0);
    });
}

#[test]
fn nobody_there_twice_there_and_an_end() {
    within(|| {
        let (bob, info) = server("/memory/0");
        let alice = Node::with_new_identity().unwrap();
        let twice = alice.listen(info.addrs[0].clone());
        assert_eq!(twice, Err(ListenError::System(TransportError::AddressInUse)));
        alice.connect(info.clone()).unwrap();
        assert!(bob.unlisten(info.addrs[0].clone()));
        let error = Node::with_new_identity().unwrap().connect(info.clone()).unwrap_err();
        assert!(error.to_string().contains("connection refused"), "{error}");
        // The connection stays, and ends with its node.
        round_trip(&alice.open_stream(ECHO, info.id).unwrap(), 1000, 0);
        let id = alice.id();
        assert_eq!(alice.shutdown(SECOND), 0);
        eventually("the end is seen", || bob.stats(id).is_none());
    });
}

#[test]
fn a_node_that_is_dropped_is_gone() {
    within(|| {
        let (bob, info) = server("/memory/0");
        let alice = Node::with_new_identity().unwrap();
        alice.connect(info.clone()).unwrap();
        let id = alice.id();
        drop(alice);
        eventually("the end is seen", || bob.stats(id).is_none());
        drop(bob);
        eventually("its place is free", || Node::with_new_identity().unwrap().connect(info.clone()).is_err());
    });
}
