//! What a failed dial says: each address, how far it came, and why it failed.
#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use common::{A, B, ECHO, Hand, Net, Place, address, config, peer, secs};
use sanswarm::{
    AttemptCause, AttemptFailure, ConnectionError, DialError, Event, OpenStreamError, PeerInfo, Stage, TransportError,
};

#[test]
fn without_an_address_there_is_no_dial() {
    let mut net = Net::new(2);
    let request = net.open_at(peer(2), Vec::new());
    net.run();
    assert_eq!(net.users[A].report(request).cause, DialError::NoAddresses);
    assert_eq!(net.users[A].failure(request).code(), "no-addresses");
}

#[test]
fn a_node_does_not_dial_itself() {
    let mut net = Net::new(1);
    let request = net.open_at(peer(1), vec![address(0)]);
    net.run();
    assert_eq!(net.users[A].failure(request).code(), "ourselves");
}

#[test]
fn where_nobody_listens_the_system_says_so() {
    let mut net = Net::new(1);
    let request = net.open_at(peer(2), vec![address(5)]);
    net.run();
    let attempt = net.users[A].attempt(request);
    assert_eq!(attempt.cause, AttemptCause::Dial(AttemptFailure::Transport(TransportError::Refused)));
    assert_eq!((attempt.stage(), attempt.code(), &attempt.address), ("connect", "connect", &address(5)));
    assert_eq!(net.users[A].failure(request).code(), "connect");
}

#[test]
fn another_peer_than_was_dialled_is_an_error_of_the_handshake() {
    let mut net = Net::new(2);
    let request = net.open_at(peer(5), vec![address(1)]);
    net.run();
    let attempt = net.users[A].attempt(request);
    let cause = ConnectionError::WrongPeer { expected: peer(5), got: peer(2) };
    assert_eq!(attempt.cause, AttemptCause::Connection(cause));
    assert_eq!((attempt.stage(), attempt.code()), ("handshake", "wrong-peer"));
    assert!(net.users[A].conns().is_empty() && net.users[B].conns().is_empty());
}

#[test]
fn an_address_of_another_peer_is_not_dialled() {
    let mut net = Net::new(2);
    let wrong = format!("{}/p2p/{}", address(1), peer(6)).parse().unwrap();
    let request = net.open_at(peer(2), vec![wrong]);
    net.run();
    assert_eq!(net.users[A].attempt(request).code(), "wrong-peer");
    assert!(net.dials.is_empty());
}

fn fails_at(make: fn() -> Hand, wait: core::time::Duration) -> (&'static str, &'static str, Net) {
    let mut net = Net::new(1);
    net.places.insert(address(7), Place::Hand(Box::new(make)));
    let request = net.open_at(peer(9), vec![address(7)]);
    net.run();
    net.pass(wait);
    assert_eq!(net.users[A].answers(request), 1);
    let attempt = net.users[A].attempt(request);
    let (stage, code) = (attempt.stage(), attempt.code());
    net.pass(secs(3));
    assert!(net.users[A].node.poll_timeout().is_none(), "nothing is left of it");
    (stage, code, net)
}

#[test]
fn a_web_server_is_no_peer() {
    let (stage, code, net) = fails_at(Hand::http, secs(0));
    assert_eq!((stage, code), ("security", "negotiation"));
    assert!(net.users[A].events.len() == 1);
}

#[test]
fn a_silent_peer_is_given_up_at_the_deadline() {
    let (stage, code, net) = fails_at(Hand::silent, secs(15));
    assert_eq!((stage, code), ("security", "timeout"));
    let report = net.users[A].events.iter().find_map(|e| match e {
        Event::OpenFailed { error: OpenStreamError::Dial(report), .. } => Some(report),
        _ => None,
    });
    assert_eq!(report.unwrap().attempts[0].elapsed, secs(15));
}

#[test]
fn a_peer_that_closes_at_once_ends_security() {
    let (stage, code, _) = fails_at(Hand::closes_at_once, secs(0));
    assert_eq!((stage, code), ("security", "eof"));
}

#[test]
fn a_peer_that_closes_in_the_middle_is_an_end_of_its_bytes() {
    let (stage, code, _) = fails_at(Hand::closes_later, secs(0));
    assert_eq!((stage, code), ("security", "eof"));
}

#[test]
fn no_common_security_is_named() {
    let (stage, code, net) = fails_at(Hand::other_security, secs(0));
    assert_eq!((stage, code), ("security", "nothing-in-common"));
    let text = net.users[A].events.iter().find_map(|e| match e {
        Event::OpenFailed { error, .. } => Some(error.to_string()),
        _ => None,
    });
    assert!(text.unwrap().contains("/noise"));
}

#[test]
fn no_common_muxer_is_named_with_both_lists() {
    let (stage, code, net) = fails_at(Hand::other_muxer, secs(0));
    assert_eq!((stage, code), ("muxer", "nothing-in-common"));
    let text = net.users[A].events.iter().find_map(|e| match e {
        Event::OpenFailed { error, .. } => Some(error.to_string()),
        _ => None,
    });
    let text = text.unwrap();
    assert!(text.contains("/yamux/1.0.0") && text.contains("/mplex/6.7.0"), "{text}");
}

#[test]
fn no_muxer_of_our_own_is_a_fault_of_the_build() {
    let mut with = config(1);
    with.muxers = Vec::new();
    let mut net = Net::with(vec![with, config(2)]);
    let request = net.open(ECHO);
    net.run();
    net.pass(secs(2));
    let attempt = net.users[A].attempt(request);
    assert_eq!((attempt.stage(), attempt.code()), ("muxer", "not-built-in"));
    assert_eq!(attempt.elapsed, secs(0), "told at once");
}

#[test]
fn an_address_that_swallows_packets_is_given_up_at_its_deadline() {
    let mut net = Net::new(1);
    net.places.insert(address(7), Place::Hole);
    let request = net.open_at(peer(9), vec![address(7)]);
    net.pass(secs(20));
    let attempt = net.users[A].attempt(request);
    assert_eq!((attempt.stage(), attempt.code(), attempt.elapsed), ("connect", "timeout", secs(20)));
    assert_eq!(net.abandoned.len(), 1);
}

#[test]
fn each_address_is_in_the_report_with_its_own_cause() {
    let mut net = Net::new(2);
    net.places.insert(address(6), Place::Hand(Box::new(Hand::http)));
    net.places.insert(address(7), Place::Hand(Box::new(Hand::silent)));
    let addrs = vec![address(5), address(6), address(7), address(1), "/memory/1".parse().unwrap()];
    let request = net.open_at(peer(9), addrs);
    net.pass(secs(20));
    let report = net.users[A].report(request);
    assert_eq!(report.cause, DialError::AllFailed);
    let mut lines: Vec<_> =
        report.attempts.iter().map(|a| format!("{} {} {}", a.address, a.stage(), a.code())).collect();
    lines.sort();
    let expect = [
        "/ip4/127.0.0.1/tcp/4002 handshake wrong-peer",
        "/ip4/127.0.0.1/tcp/4006 connect connect",
        "/ip4/127.0.0.1/tcp/4007 security negotiation",
        "/ip4/127.0.0.1/tcp/4008 security timeout",
        "/memory/1 connect no-transport",
    ];
    assert_eq!(lines, expect);
    assert_eq!(report.code(), "all-failed");
}

#[test]
fn a_good_address_among_bad_ones_is_enough() {
    let mut net = Net::new(2);
    net.places.insert(address(7), Place::Hand(Box::new(Hand::silent)));
    let request = net.open_at(peer(2), vec![address(5), address(7), address(1)]);
    net.pass(secs(1));
    assert!(net.users[A].opened(request).is_some());
    assert_eq!(net.users[A].answers(request), 1);
    net.pass(secs(30));
    assert_eq!(net.users[A].count(|e| matches!(e, Event::Disconnected { .. } | Event::OpenFailed { .. })), 0);
}

#[test]
fn stages_are_in_the_order_of_a_connection() {
    assert!(Stage::Security < Stage::Handshake && Stage::Handshake < Stage::Muxer && Stage::Muxer < Stage::Streams);
}

#[test]
fn a_peer_of_the_wrong_kind_of_address_list_is_bounded() {
    let mut with = config(1);
    with.swarm.addresses_per_dial = 2;
    let mut net = Net::with(vec![with]);
    let request =
        net.users[A].node.open_stream(net.now, ECHO, PeerInfo { id: peer(9), addrs: (10..100).map(address).collect() });
    net.run();
    assert_eq!(net.dials.len(), 2);
    assert!(net.users[A].report(request).attempts.iter().any(|a| a.code() == "limit"));
}
