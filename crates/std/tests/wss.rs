//! WebSocket over TLS under a node with threads, and under a driver, with a certificate of a test's own authority.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use common::{ECHO, echo, listen_on, round_trip, within};
use sanswarm_std::{ListenError, NameServers, Node, PeerInfo, WebTls, core::TransportError, new_config};

const ROOT: &[u8] = include_bytes!("../../websocket/tests/certificates/ca.pem");
const LEAF: &[u8] = include_bytes!("../../websocket/tests/certificates/leaf.pem");
const KEY: &[u8] = include_bytes!("../../websocket/tests/certificates/leaf.key");

fn server(address: &str) -> (Node, PeerInfo) {
    let tls = WebTls::new().with_certificate(LEAF, KEY).unwrap();
    let bob = Node::with_tls(new_config().unwrap(), NameServers::System, tls).unwrap();
    bob.set_stream_handler(ECHO, echo);
    let info = listen_on(&bob, address);
    (bob, info)
}

fn roots() -> WebTls {
    WebTls::new().with_roots(ROOT).unwrap()
}

#[test]
fn ping_identify_and_echo() {
    within(|| {
        for end in ["wss", "tls/ws", "tls/sni/a.example/ws"] {
            let (bob, info) = server(&format!("/ip4/127.0.0.1/tcp/0/{end}"));
            assert!(info.addrs[0].to_string().ends_with(end), "{info:?}");
            let alice = Node::with_tls(new_config().unwrap(), NameServers::System, roots()).unwrap();
            alice.connect(info.clone()).unwrap();
            alice.ping(info.id).unwrap();
            bob.ping(alice.id()).unwrap();
            assert_eq!(alice.identify(info.id).unwrap().listen_addrs, info.addrs);
            round_trip(&alice.open_stream(ECHO, info).unwrap(), 3 << 20, 0);
        }
    });
}

#[test]
fn what_is_not_trusted_is_told() {
    within(|| {
        let (_bob, info) = server("/ip4/127.0.0.1/tcp/0/wss");
        let error = Node::with_new_identity().unwrap().connect(info).unwrap_err();
        assert!(error.to_string().contains("connect: the peer's certificate is of an unknown issuer"), "{error}");
        let result = Node::with_new_identity().unwrap().listen("/ip4/127.0.0.1/tcp/0/wss".parse().unwrap());
        assert!(matches!(result, Err(ListenError::System(TransportError::Handshake(_)))), "{result:?}");
    });
}

#[cfg(feature = "poll")]
#[test]
fn a_driver_dials() {
    use sanswarm_std::{Event, poll::Driver};
    within(|| {
        let (_bob, info) = server("/ip4/127.0.0.1/tcp/0/wss");
        let mut driver = Driver::with_tls(new_config().unwrap(), NameServers::System, roots()).unwrap();
        let (now, id) = (driver.now(), info.id);
        driver.node().connect(now, info);
        let ready = core::iter::from_fn(|| driver.next_event(Some(5 * common::SECOND)));
        let mut ready =
            ready.filter(|event| matches!(event, Event::PeerReady { peer, identify: Ok(_), .. } if *peer == id));
        assert!(ready.next().is_some());
    });
}
