//! What a node looks at when something happens.

use libp2p_identity::Keypair;
use multiaddr::Multiaddr;
use sanswarm_wire::Instant;

use crate::{Config, ConnId, Node};

const NOW: Instant = Instant::ZERO;

/// A node with 1,000 accepted sockets, all at rest.
fn crowd() -> (Node, Vec<ConnId>) {
    let mut config = Config::new(Keypair::ed25519_from_bytes([1; 32]).unwrap(), [2; 32]);
    config.swarm.pending_inbound = 1000;
    let mut node = Node::new(config).unwrap();
    let address: Multiaddr = "/ip4/127.0.0.1/tcp/4001".parse().unwrap();
    let conns =
        (0..1000).map(|_| node.handle_accepted(NOW, address.clone(), address.clone(), [3; 32]).unwrap()).collect();
    assert_eq!(node.poll_event(NOW), None);
    while node.poll_transmit().is_some() {}
    assert!(node.active.is_empty());
    (node, conns)
}

#[test]
fn input_wakes_the_one_connection_that_it_is_for() {
    let (mut node, conns) = crowd();
    node.handle_input(conns[500], b"\x13/multistream/1.0.0\n");
    assert_eq!(node.active, [conns[500]]);
    assert_eq!(node.poll_event(NOW), None);
    assert!(node.active.is_empty() && node.ready.is_empty() | (node.ready == [conns[500]]));
}

#[test]
fn calls_about_one_connection_wake_no_other() {
    let (mut node, conns) = crowd();
    assert!(node.stats(conns[7]).is_some() && node.wants_input(conns[7]));
    node.sent(conns[7], 1);
    node.handle_eof(conns[7]);
    node.wake(conns[7]);
    assert_eq!(node.active, [conns[7]]);
}

#[test]
fn an_early_timeout_wakes_nobody() {
    let (mut node, _) = crowd();
    let at = node.poll_timeout().unwrap().at;
    node.handle_timeout(Instant::from_micros(at.as_micros() - 1));
    assert!(node.active.is_empty());
    node.handle_timeout(at);
    assert_eq!(node.active.len(), 1000);
}

#[test]
fn a_set_handler_reaches_all_connections() {
    let (mut node, conns) = crowd();
    node.set_stream_handler(crate::ProtocolName::from_static("/echo/1.0.0"));
    assert_eq!(node.poll_event(NOW), None);
    assert!(conns.iter().all(|conn| node.links.contains_key(conn)));
}

/// Carries bytes between two nodes until they rest.
fn carry(now: Instant, ends: &mut [(Node, ConnId); 2]) {
    loop {
        let mut moved = 0;
        for i in 0..2 {
            while ends[i].0.poll_event(now).is_some() {}
            let bytes = ends[i].0.ready(ends[i].1).to_vec();
            let conn = ends[i].1;
            ends[i].0.sent(conn, bytes.len());
            let conn = ends[1 - i].1;
            assert_eq!(ends[1 - i].0.handle_input(conn, &bytes), bytes.len());
            moved += bytes.len();
        }
        if moved == 0 {
            return;
        }
    }
}

#[test]
fn a_control_hears_within_a_second_what_its_links_have_counted() {
    let at = |millis: u64| Instant::from_micros(millis * 1000);
    let address: Multiaddr = "/ip4/127.0.0.1/tcp/4001".parse().unwrap();
    let mut nodes = [1, 2].map(|seed| {
        let mut config = Config::new(Keypair::ed25519_from_bytes([seed; 32]).unwrap(), [seed; 32]);
        config.ping_interval = None;
        Node::new(config).unwrap()
    });
    let id = nodes[1].id();
    nodes[0].connect(NOW, crate::PeerInfo { id, addrs: vec![address.clone()] });
    let Some(crate::Action::Dial { conn, .. }) = nodes[0].poll_action() else { panic!() };
    assert!(nodes[0].handle_dialed(NOW, conn, [3; 32]));
    let theirs = nodes[1].handle_accepted(NOW, address.clone(), address, [4; 32]).unwrap();
    let [a, b] = nodes;
    let mut ends = [(a, conn), (b, theirs)];
    carry(NOW, &mut ends);
    let all = ends[0].0.counters();
    assert_eq!((all.streams.opened, all.streams.accepted, all.streams.finished), (1, 1, 2), "identify, both ways");
    let untold = |ends: &[(Node, ConnId); 2]| ends[0].0.links[&ends[0].1].link.counters();
    for millis in [0, 999, 1000] {
        ends[0].0.handle_timeout(at(millis));
        carry(at(millis), &mut ends);
        if let Some(untold) = untold(&ends) {
            let mut sum = ends[0].0.control.counters();
            assert_ne!(sum, all);
            sum.add(&untold);
            assert_eq!(sum, all);
        }
    }
    assert_eq!((untold(&ends), ends[0].0.control.counters()), (None, all), "a second is over");
}
